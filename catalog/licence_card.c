/*
 * licence_card.c - what a card says of its licence beside `license`: the names, addresses and conditions of its front matter, and the sections of its text that are about
 * the licence. Each is read as a licence's text is; see licence.h.
 */
#include <ctype.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_sentence.h"
#include "catalog/licence_table.h"
#include "verify/card.h"

#define WORDS_MAX    256	/* places of one card; it is held for what it says in more */
#define SECTION_SHORT 120	/* reduced characters of a section that is about nothing but the licence; in a longer one single words are of anything */
#define ANSWER_MOST  80		/* bytes of what is only a name, or for whom or what */
#define SENTENCES_MOST ((size_t)32 << 10)	/* bytes of those on licences in a long section */
#define SAID_MAX     16
#define UNLIKE_MOST  300	/* bytes of a clause with what the model is set against */
#define PROMPT_DEPTH 4
#define MORE	     "other:more-than-are-read"

struct words {
	struct licence_text *v, left;	/* left: takes what there is no place for, and is not looked at */
	size_t n, cap, n_left;
	struct arena *arena;	/* of one card, so that it bounds what is read of that */
};

static struct licence_text *add(struct words *w, const char *where)
{
	struct licence_text *t;

	if (w->n == WORDS_MAX) {
		w->n_left++;
		w->v[WORDS_MAX - 1] = (struct licence_text){ .path = "its text", .recognised = MORE };
		w->left = (struct licence_text){ .path = where };
		return &w->left;
	}
	if (w->n == w->cap) {
		struct licence_text *more = arena_alloc(w->arena, 2 * (w->cap + 4) * sizeof(*more));

		if (w->n)
			memcpy(more, w->v, w->n * sizeof(*more));
		w->v = more;
		w->cap = 2 * (w->cap + 4);
	}
	t = &w->v[w->n++];
	*t = (struct licence_text){ .path = where };
	return t;
}

/* What nobody has read may be any licence. */
static struct licence_text *add_text(struct words *w, const char *where, const char *text, size_t n)
{
	struct licence_text *t = add(w, where);

	if (!w->n_left)
		licence_read_within(text, n, w->arena, t);
	if (t->unread)
		t->recognised = MORE;
	return t;
}

/* --- names ------------------------------------------------------------------------------------------------------------------------ */

/* A name in lower case, with blanks for what are no letters, around it, too. */
static char *words_of(const char *name, struct arena *a)
{
	char *words = arena_printf(a, " %s ", name);

	for (char *p = words; *p; p++)
		*p = isalnum((unsigned char)*p) || *p == '.' ? (char)tolower((unsigned char)*p) : ' ';
	return words;
}

static bool has_any(const char *words, const char *const *list)
{
	for (; *list; list++)
		if (strstr(words, *list))
			return true;
	return false;
}

/* Words that stand in the names of licences for what these keep back. */
static bool is_restricting_name(const char *words)
{
	static const char *const keeps[] = { " nc ", " non commercial", " noncommercial", " no commercial", " research", " academic", " nonprofit ", " non profit ", " evaluation ", " commons clause ",
					     " personal ", " private ", " internal ", " educational ", " student ", " trial ", " proprietary ", " with restrictions ", " restricted ", " aup ", " acceptable use ", " eula ", " terms ", NULL };

	return has_any(words, keeps);
}

/* Names under which models stand as under a licence's, and that are no names of it elsewhere. */
static const char *id_of_product(const char *words)
{
	static const char *const names[][2] = { { " flux 1 dev ", "other:flux-1-dev-non-commercial-license" }, { " flux.1 dev ", "other:flux-1-dev-non-commercial-license" },
						{ " flux.1 dev license ", "other:flux-1-dev-non-commercial-license" }, { " flux 1 dev license ", "other:flux-1-dev-non-commercial-license" },
						{ " flux dev ", "other:flux-1-dev-non-commercial-license" }, { " tongyi ", "other:qwen" }, { " tongyi license ", "other:qwen" } };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(words, names[i][0]))
			return names[i][1];
	return NULL;
}

/* A name that no list has may still say what it is of ("cc-by-nc", "acme-non-commercial"). */
static void read_name(struct words *w, const char *name)
{
	char *words;
	struct licence_text *t;

	if (!name || licence_of_name(name, w->arena))
		return;
	words = words_of(name, w->arena);
	t = add_text(w, "its license_name", words, strlen(words));
	t->recognised = t->recognised ? t->recognised : id_of_product(words);
	t->says_more = false;
	t->restricts |= is_restricting_name(words);
}

/* A licence that nobody knows, by a name that keeps something back ("Acme Research License"): it is no less than that. A kind of licence is none that any other is not. */
static void read_unknown_names(struct licence_text *t, struct arena *a)
{
	static const char *const kinds[] = { " rail ", " fsl ", " polyform ", NULL };

	for (size_t i = 0; i < t->n_said; i++) {
		const char *words = str_starts(t->said[i], "other:") && !licence_find(t->said[i]) ? words_of(t->said[i] + strlen("other:"), a) : "";

		t->restricts |= has_any(words, kinds) || is_restricting_name(words);
		if (is_restricting_name(words) && !t->recognised)
			t->recognised = t->said[i];
	}
}

static struct licence_text *add_read(struct words *w, const char *where, const char *text, size_t n)
{
	struct licence_text *t = add_text(w, where, text, n);

	read_unknown_names(t, w->arena);
	return t;
}

/* --- the front matter ------------------------------------------------------------------------------------------------------------- */

/* Does the address of a page say that the licence there keeps something back, whoever's it is? */
static bool is_restricting_link(const char *link, struct arena *a)
{
	static const char *const keeps[] = { " non commercial", " noncommercial", " cc by nc", " research license", " research licence", " research only", " academic ", " personal use", " prohibited use" };
	const char *words = words_of(link, a);

	for (size_t i = 0; i < ARRAY_LEN(keeps); i++)
		if (strstr(words, keeps[i]))
			return true;
	return false;
}

static void read_link(struct words *w, const char *link)
{
	const char *id = link ? licence_of_link(link, w->arena) : NULL;

	if (link && !id && is_restricting_link(link, w->arena))
		add(w, "its license_link")->restricts = true;
	if (!id)
		return;
	struct licence_text *t = add(w, "its license_link");

	t->recognised = id;
	t->linked = true;
}

/* Tags that say nothing of a model but what it may be used for. */
static bool is_restricting_tag(const char *tag)
{
	static const char *const tags[] = { "nc", "non-commercial", "noncommercial", "non-commercial-use", "non-commercial-only", "non-commercial-use-only", "no-commercial-use", "not-for-commercial-use",
					    "non-commercial-license", "research-only", "research-use-only", "for-research-only", "academic-only", "academic-use-only", "personal-use-only" };

	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (!strcasecmp(tag, tags[i]))
			return true;
	return false;
}

/* Tags are of anything; these names are of nothing else than a licence, or than its terms. */
static void read_tag(struct words *w, const char *tag)
{
	bool is_claim = str_starts(tag, "license:");
	const char *name = is_claim ? tag + strlen("license:") : tag;
	const char *id = is_claim || !strncasecmp(tag, "cc-", 3) ? licence_of_name(name, w->arena) : NULL;
	char *words = words_of(name, w->arena);

	for (char *c = words; *c; c++)
		*c = *c == ' ' ? '-' : *c;
	words[strlen(words) - 1] = 0;
	if (id)
		add(w, "a tag in it")->recognised = id;
	else if (is_claim || !strncasecmp(tag, "cc-by", 5))
		add_read(w, "a tag in it", name, strlen(name))->says_more = false;
	else if (is_restricting_tag(words + 1))
		add(w, "a tag in it")->restricts = true;
}

/* Every text and every key, on lines of their own. */
static void flatten(struct buf *out, const json_t *v, int depth)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(v))
		buf_printf(out, "%s\n", json_string_value(v));
	if (depth == PROMPT_DEPTH)
		return;
	json_array_foreach (v, i, member)
		flatten(out, member, depth + 1);
	json_object_foreach ((json_t *)v, key, member) {
		buf_printf(out, "%s\n", key);
		flatten(out, member, depth + 1);
	}
}

/* Does whoever fills in a field with this label state something? Else it asks, and what it offers as an answer restricts nothing. */
static bool is_statement(const char *label, const json_t *kind, struct arena *a)
{
	static const char *const states[] = { " agree", " accept", " acknowledge", " confirm", " certify", " understand", " only ", " not ", NULL };

	return (json_is_string(kind) && !strcmp(json_string_value(kind), "checkbox")) || has_any(words_of(label, a), states);
}

static void flatten_fields(struct buf *out, const json_t *fields, struct arena *a)
{
	const char *label;
	json_t *field;

	json_object_foreach ((json_t *)fields, label, field)
		if (is_statement(label, json_is_object(field) ? json_object_get(field, "type") : field, a))
			buf_printf(out, "%s\n", label);
}

/* What whoever asks for access agrees to. */
static void read_prompt(struct words *w, const json_t *prompt, const char *key)
{
	const char *where = arena_printf(w->arena, "its %s", key);
	own(buf) struct buf text;
	bool is_prompt = str_starts(key, "extra_gated_");

	buf_init(&text, LICENCE_TEXT_MAX);
	if (!strcmp(key, "extra_gated_fields") && json_is_object(prompt))
		flatten_fields(&text, prompt, w->arena);
	else
		flatten(&text, prompt, 0);
	if (buf_failed(&text))
		add(w, where)->recognised = MORE;
	else if (text.len)
		add_read(w, where, text.data, text.len)->says_more = licence_binds(text.data, is_prompt, w->arena);
}

static void read_front(struct words *w, const json_t *front)
{
	const json_t *tags = json_object_get(front, "tags"), *tag;
	const char *key;
	json_t *member;
	size_t i;

	read_name(w, json_string_value(card_the_one(json_object_get(front, "license_name"))));
	read_link(w, json_string_value(card_the_one(json_object_get(front, "license_link"))));
	json_object_foreach ((json_t *)front, key, member)
		if (str_starts(key, "extra_gated_") || !strcmp(key, "license_details"))
			read_prompt(w, member, key);
	json_array_foreach (tags, i, tag)
		if (json_is_string(tag))
			read_tag(w, json_string_value(tag));
}

/* --- its text --------------------------------------------------------------------------------------------------------------------- */

/* Blanks what the Hub's template for cards has where nobody wrote anything. */
static void blank_template(char *text)
{
	static const char words[] = "[More Information Needed]";

	for (char *p = text; (p = strcasestr(p, words)); p += sizeof(words) - 1)
		memset(p, ' ', sizeof(words) - 1);
}

/* Blanks pictures that stand in the text itself: no words, and longer than any. */
static void blank_pictures(char *text)
{
	for (char *p = text; (p = strcasestr(p, "data:image/")); p++)
		memset(p, ' ', strcspn(p, " \t\r\n)\"'>"));
}

/* "Not MIT", "no MIT license": the name is there to be denied. */
static bool denies_a_name(const char *text, struct arena *a)
{
	static const char *const denials[] = { "not ", "no ", "no longer ", "isn't ", "never " };
	const char *marked = licence_mark_names(text, a);

	for (const char *p = marked; (p = strchr(p, LICENCE_NAMED)); p++)
		for (size_t i = 0; i < ARRAY_LEN(denials); i++) {
			size_t n = strlen(denials[i]);

			if ((size_t)(p - marked) >= n && !strncasecmp(p - n, denials[i], n) && ((size_t)(p - marked) == n || !isalpha((unsigned char)*(p - n - 1))))
				return true;
		}
	return false;
}

/* "Warranty is excluded": every licence excludes it. */
static void blank_warranty(char *words)
{
	static const char *const excluded[] = { "warranty", "warranties", "liability" }, *const how[] = { " excluded", " is excluded", " are excluded" };

	for (size_t i = 0; i < ARRAY_LEN(excluded); i++)
		for (char *p = words; (p = strstr(p, excluded[i])); p++)
			for (size_t k = 0; k < ARRAY_LEN(how); k++)
				if (str_starts(p + strlen(excluded[i]), how[k]))
					memset(p, ' ', strlen(excluded[i]) + strlen(how[k]));
}

/*
 * Does so short a text that it is about nothing else set terms, as a word beside a licence's text would, and by words that leave the model out of a licence, or name no licence for
 * it? "Use" and the like stand in too many sections that are about nothing.
 */
static bool sets_terms(const struct licence_text *t, const char *text, struct arena *a)
{
	static const char *const keeps[] = { " except", " exclud", " proprietary ", " separate", " apart ", " aside ", " closed ", " formerly ", " previously ", " no longer ", " former ", " withdrawn ", " revoked ",
					     " expired ", " no rights ", " no license ", " no licence ", " not licensed ", " unlicensed ", " tbd ", " to be determined ", " to be decided ", " custom licen", " permission is granted for ",
					     " weights are not ", " weights aren t ", NULL };
	static const char *const models[] = { " weights ", " parameters ", " checkpoint", NULL }, *const asks[] = { " ask ", " contact ", " request ", " own ", NULL };
	bool is_reserved = strstr(t->notice, "allrightsreserved") && !t->recognised && !t->n_said;
	char *words;

	if (!*t->notice || strlen(t->notice) > SECTION_SHORT)
		return false;
	if (!t->says_more)
		return is_reserved;
	words = words_of(text, a);
	for (char *p = words; *p; p++)
		*p = *p == '.' ? ' ' : *p;
	blank_warranty(words);
	if (has_any(words, keeps) && !strstr(t->notice, "exceptincompliance") && !strstr(t->notice, "exceptaccording"))
		return true;
	if (!has_any(words, models))
		return is_reserved || denies_a_name(text, a);
	for (size_t i = 0; i < t->n_said; i++)
		if (str_starts(t->said[i], "other:") && !licence_find(t->said[i]))
			return true;	/* "The weights are subject to the Acme Community License" */
	return is_reserved || (has_any(words, asks) && !strstr(words, " intermediate ")) || denies_a_name(text, a);
}

/*
 * Blanks what a sentence sets the model against: "Unlike LLaMA (non-commercial), OpenLLaMA is Apache 2.0". Where that is of the model's own weights it says
 * what they are under.
 */
static void blank_unlike(char *text)
{
	static const char *const models[] = { "model", "weight", "checkpoint", "parameter", "this", "our" };

	for (char *p = text; (p = strcasestr(p, "unlike ")); p++) {
		bool is_own = p > text && isalnum((unsigned char)p[-1]);
		size_t n = 0;

		while (n < UNLIKE_MOST && !strchr(",.;:\n", p[n]))
			n++;
		if (p[n] != ',')
			continue;
		p[n] = 0;
		for (size_t i = 0; i < ARRAY_LEN(models); i++)
			is_own |= strcasestr(p, models[i]) != NULL;
		if (!is_own)
			memset(p, ' ', n);
		p[n] = ',';
	}
}

/* What stands below a heading or behind a label, without its first line where that is the heading. */
static const char *answer_of(const char *text, const char *where)
{
	const char *answer = str_starts(where, "a section") ? text + strcspn(text, "\n") : text;

	return answer + strspn(answer, " \t\r\n=-*_`|>");
}

/* "acme-research": nothing but one name, and a word in it that keeps something back? */
static bool is_kept_name(const char *answer, struct arena *a)
{
	size_t n = strcspn(answer, " \t\r\n*`|");
	const char *name = arena_strndup(a, answer, n < ANSWER_MOST ? n : 0), *behind = answer + strlen(name);

	return strchr(name, '-') && !behind[strspn(behind, " \t\r\n*`|-")] && !licence_of_name(name, a) && is_restricting_name(words_of(name, a));
}

/* Is all that it says, but for a licence's name, for whom or what the model is ("Research use", "MIT, personal use")? Said of a licence it is kept to that without an "only". */
static bool is_kept_to_some(const char *answer, struct arena *a)
{
	static const char *const some[] = { " research ", " academic ", " academia ", " nonprofit ", " profit ", " evaluation ", " personal ", " private ", " internal ", " educational ", " education ", " student ", " testing ", NULL };
	static const char *const beside[] = { " for ", " use ", " usage ", " uses ", " purpose ", " purposes ", " and ", " or ", " non ", " the ", " a ", " license ", " licence ", NULL };
	char *words, *save = NULL;

	if (strlen(answer) > ANSWER_MOST)
		return false;
	words = words_of(licence_mark_names(answer, a), a);
	for (char *p = words; *p; p++)
		*p = *p == '.' ? ' ' : *p;
	if (!has_any(words, some))
		return false;
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		const char *padded = arena_printf(a, " %s ", word);

		if (!has_any(padded, some) && !has_any(padded, beside))
			return false;
	}
	return true;
}

/* A long section is about more than the licence: of its sentences those on one are read for the names in them. */
static void read_sentences(struct licence_text *t, const char *text, struct arena *a)
{
	static const char *const words[] = { " licens", " licenc", " released under ", NULL };
	const char **said = arena_alloc(a, SAID_MAX * sizeof(*said));
	struct sentence s;
	own(buf) struct buf found;

	buf_init(&found, SENTENCES_MOST);
	for (const char *p = text, *end; *p && !licence_is_spent(a); p = end) {
		end = licence_next_sentence(&s, p);
		const char *sentence = arena_strndup(a, p, (size_t)(end - p));

		if (has_any(words_of(sentence, a), words))
			buf_printf(&found, "%s\n", sentence);
	}
	if (buf_failed(&found)) {
		t->recognised = MORE;
	} else if (found.len) {
		t->said = said;
		t->n_said = licence_spoken_of(found.data, found.len, a, said, SAID_MAX);
		read_unknown_names(t, a);
	}
}

static void read_section(void *words, const char *where, const char *text, size_t n)
{
	struct words *w = words;
	struct licence_text *t;
	char *copy;

	if (w->n_left || licence_is_spent(w->arena))
		return;
	copy = arena_strndup(w->arena, text, n);
	blank_template(copy);
	blank_pictures(copy);
	licence_blank_data(copy, w->arena);
	blank_unlike(copy);
	t = add_read(w, where, copy, n);
	if (t->unread)
		return;
	if (t->notice && !*t->notice)
		read_sentences(t, copy, w->arena);
	t->restricts |= is_kept_name(answer_of(copy, where), w->arena) || is_kept_to_some(answer_of(copy, where), w->arena);
	t->says_more = licence_binds(copy, false, w->arena) || (t->notice && sets_terms(t, copy, w->arena));
}

static void keep(const struct words *w, struct arena *a, struct licence_claims *c)
{
	struct licence_text *all = arena_alloc(a, w->n * sizeof(*all) + 1);

	for (size_t i = 0; i < w->n; i++) {
		licence_keep(&w->v[i], a, &all[i]);
		all[i].path = arena_strdup(a, w->v[i].path);
	}
	c->words = all;
	c->n_words = w->n;
}

void licence_read_card(const json_t *front, const char *text, size_t n, struct arena *a, struct licence_claims *c)
{
	own(arena) struct arena scratch;
	struct words *w = &(struct words){ .arena = &scratch };
	const char *copy;
	size_t begin, end = 0;

	arena_init(&scratch);
	copy = text ? arena_strndup(&scratch, text, n) : "";

	read_front(w, front);
	n = strlen(copy);	/* a NUL ends what is read */
	if (!card_find_front(copy, n, &begin, &end))
		end = 0;
	licence_each_section(copy + end, copy + n, c->repo, &scratch, read_section, w);
	if (licence_is_spent(&scratch))
		add(w, "its text")->recognised = MORE;
	keep(w, a, c);
}
