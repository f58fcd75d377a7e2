/*
 * licence.c - from many claims to one answer; see licence.h. The table is licence_table.c, names are licence_id.c, one beside another is licence_compare.c. Recognising texts is licence_text.c, which files hold
 * some licence_file.c.
 */
#include "catalog/licence.h"

#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_compare.h"
#include "catalog/licence_table.h"

#define WRITTEN_MAX 200	/* of what a card says, as is told */

static void conflict(struct licence_answer *out, const char *sentence)
{
	if (out->n_conflicts < LICENCE_CONFLICTS_MAX)
		out->conflicts[out->n_conflicts++] = sentence;
}

/* The id for one string of the card; *name is set to the words when it came of license_name, or the Hub has no id for them. */
static const char *id_of_card(const struct licence_claims *c, const char *written, struct arena *a, const char **name)
{
	const char *id = licence_normalise(written);

	if (id && strcmp(id, "other") != 0) {
		if (str_starts(id, "other:"))
			*name = str_mend_utf8(arena_strndup(a, written, strnlen(written, WRITTEN_MAX)));
		return id;
	}
	if (id && c->card_name && *c->card_name) {
		id = licence_of_name(c->card_name, a);
		*name = arena_strdup(a, c->card_name);
		return id ? id : licence_other_id(a, c->card_name);
	}
	if (id)
		return "other";
	*name = str_mend_utf8(arena_strndup(a, written, strnlen(written, WRITTEN_MAX)));
	return licence_other_id(a, written);
}

/* One more licence that the card names; `what` says how. */
static void card_names(const char *id, const char *name, const char *what, struct arena *a, struct licence_answer *out)
{
	bool is_first = strcmp(out->source, "card") != 0;

	if (!is_first && strcmp(id, out->id) != 0)
		conflict(out, arena_printf(a, "the card names several licences: %s and %s%s", out->id, what, id));
	if (is_first || licence_is_stricter(id, out->id)) {
		out->id = id;
		out->name = name;
	}
	out->source = "card";
}

static void from_card(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	const char *named = licence_of_name(c->card_name, a);
	bool is_said = false;

	for (size_t i = 0; i < c->n_card; i++) {
		const char *name = NULL, *id = c->card[i] && *c->card[i] ? id_of_card(c, c->card[i], a, &name) : NULL;

		if (!id)
			continue;
		if (named && licence_is_of_family(named, id))
			id = named;	/* "cc", and by its name cc-by-4.0 */
		card_names(id, name, "", a, out);
		is_said |= named && licence_agree(named, id);
	}
	if (named && !is_said)
		card_names(named, arena_strdup(a, c->card_name), "license_name ", a, out);
}

/* A known text, and beside it more than a word that nobody knows. */
static void unknown_rest(const struct licence_text *t, struct arena *a, struct licence_answer *out)
{
	if (t->recognised && t->says_more && strcmp(out->source, "person") != 0)
		conflict(out, arena_printf(a, "%s says more than the text of %s, which nobody here knows", t->path, t->recognised));
}

static bool holds(const struct licence_text *t, const char *id)
{
	for (size_t i = 0; i < t->n_all; i++)
		if (!strcmp(t->all[i], id))
			return true;
	return t->recognised && !strcmp(t->recognised, id);
}

/* The card has a name of its own for the licence, which nobody knows. */
static bool is_own_name(const struct licence_answer *out)
{
	return !strcmp(out->source, "card") && str_starts(out->id, "other:") && !licence_find(out->id);
}

/* Is it the known name of what the card calls by its own? Of a licence that gives less than all: what the card calls by its own name may be that with less. */
static bool names_better(const char *recognised, const struct licence_answer *out)
{
	const struct licence *l = recognised ? licence_find(recognised) : NULL;

	return l && l->commercial_use != LICENCE_YES && is_own_name(out);
}

/* A free licence with restrictions has no name, and may be what the card has one for. */
static bool is_no_other(const char *recognised, const struct licence_answer *out)
{
	return !strcmp(recognised, "other:with-restrictions") && is_own_name(out);
}

/* Is a mention of a licence, or of its family in general ("cc-by-nc", "llama"), one of this licence? */
static bool is_about(const char *said, const char *id)
{
	const char *name = str_starts(id, "other:") ? id + strlen("other:") : id;
	size_t n = strlen(said);

	return licence_agree(said, id) || (str_starts(name, said) && !isalpha((unsigned char)name[n]) && !(name[n] == '-' && isalpha((unsigned char)name[n + 1])));
}

#define SCRIPT "other:words-in-another-script"	/* no wonder in a file that is called a licence in that language, and names this one */

/* What a short text speaks of that is neither this licence nor one that allows all that this one does; NULL: of nothing such. */
static const char *speaks_of_another(const struct licence_text *t, const char *id)
{
	bool is_named = false;

	for (size_t i = 0; i < t->n_said; i++)
		is_named |= is_about(t->said[i], id);
	for (size_t i = 0; i < t->n_said; i++)
		if (!is_about(t->said[i], id) && !(is_named && licence_is_foreign(t->path) && !strcmp(t->said[i], SCRIPT)) && (!licence_find(t->said[i]) || licence_forbids_more(t->said[i], id)))
			return t->said[i];
	return NULL;
}

/* Is a short text a word about this licence ("Licensed under Apache 2.0"), or nothing at all? */
static bool speaks_of(const struct licence_text *t, const char *id)
{
	if (!strcmp(t->notice, "-"))
		return true;
	if (t->says_more)
		return false;
	for (size_t i = 0; i < t->n_said; i++)
		if (is_about(t->said[i], id))
			return licence_use_of(id) != LICENCE_YES || !t->restricts;
	return false;
}

static bool is_own(const struct licence_text *t)
{
	return t->linked || licence_is_main_text(t->path);
}

static bool is_expected(const struct licence_text *t)
{
	return is_own(t) && !t->unread && t->notice;
}

static void take_text(const struct licence_text *t, struct arena *a, struct licence_answer *out)
{
	out->id = t->recognised;
	out->name = NULL;
	out->source = "text";
	if (!is_expected(t))	/* those are asked for it in any case */
		unknown_rest(t, a, out);
}

/* Does it stand where the model's own licence is expected, with terms that nobody here knows, and more than a word about this licence? */
static bool is_unknown(const struct licence_text *t, const char *id)
{
	return !t->recognised && is_expected(t) && !speaks_of(t, id);
}

/* May this text say what nobody else has said? Beside an own text that nobody knows none but another own one may, or one that forbids what that may forbid. */
static bool may_answer(const struct licence_claims *c, const struct licence_text *t, const char *id)
{
	if (is_own(t) || licence_is_stricter(t->recognised, id))
		return true;
	if (t->says_more)
		return false;
	for (size_t i = 0; i < c->n_texts; i++)
		if (is_unknown(&c->texts[i], t->recognised))
			return false;
	return true;
}

/* A NOTICE names what is in a model; a free licence there is that of a part, and says something of the model only where it forbids more. */
static bool is_of_a_part(const struct licence_text *t, const char *id)
{
	return licence_is_notice(t->path) && !t->linked && licence_use_of(t->recognised) == LICENCE_YES && !licence_forbids_more(t->recognised, id);
}

/* The card names that one, too, and that it names several is said once. */
static bool is_one_of_the_cards(const struct licence_claims *c, const char *id, const struct licence_answer *out, struct arena *a)
{
	for (size_t i = 0; i < c->n_card && !strcmp(out->source, "card"); i++) {
		const char *name, *said = c->card[i] && *c->card[i] ? id_of_card(c, c->card[i], a, &name) : NULL;

		if (said && !strcmp(said, id))
			return true;
	}
	return false;
}

/* What one text says: it fills a gap, refines a family, or contradicts; then what is stricter counts, but for a person's word. */
static void from_text(const struct licence_claims *c, const struct licence_text *t, struct arena *a, struct licence_answer *out)
{
	bool is_nothing = !strcmp(out->id, "unknown") || !strcmp(out->id, "other"), is_none = !strcmp(out->source, "none");

	if (t->unread)
		conflict(out, arena_printf(a, "%s %s", t->path, t->unread));
	if (!t->recognised || (holds(t, out->id) && !licence_forbids_more(t->recognised, out->id)) || is_of_a_part(t, out->id))
		return;
	if (licence_is_of_family(t->recognised, out->id) || ((is_nothing || names_better(t->recognised, out)) && may_answer(c, t, out->id))) {
		take_text(t, a, out);
		return;
	}
	if (is_nothing || licence_agree(out->id, t->recognised) || is_no_other(t->recognised, out) || is_one_of_the_cards(c, t->recognised, out, a))
		return;
	conflict(out, arena_printf(a, "%s says %s but %s is the text of %s", is_none ? "the model" : out->source, out->id, t->path, t->recognised));
	if (strcmp(out->source, "person") != 0 && licence_is_stricter(t->recognised, out->id))
		take_text(t, a, out);
}

/* Where the model's own licence is expected a word about another one counts, too; NULL: there is none. */
static const char *another_of(const struct licence_text *t, const struct licence_answer *out)
{
	bool counts = is_expected(t) && strcmp(out->source, "none") != 0 && strcmp(out->id, "other") != 0 && (!t->recognised || holds(t, out->id));

	return counts ? speaks_of_another(t, out->id) : NULL;
}

static void from_words(const struct licence_text *t, struct arena *a, struct licence_answer *out)
{
	const char *another = another_of(t, out);

	if (another)
		conflict(out, arena_printf(a, "%s says %s but %s speaks of %s", out->source, out->id, t->path, another));
}

/* What it names that is no licence of this one's kind and forbids more, or, unless only what is known counts, that nobody knows. */
static const char *names_stricter(const struct licence_text *t, const char *id, bool only_known)
{
	for (size_t i = 0; i < t->n_said; i++) {
		bool is_known = licence_find(t->said[i]) || str_starts(t->said[i], "cc-by");

		if (strcmp(t->said[i], SCRIPT) != 0 && !is_about(t->said[i], id) && (is_known ? licence_forbids_more(t->said[i], id) : !only_known))
			return t->said[i];
	}
	return NULL;
}

/* May what stands elsewhere contradict this answer? What is no known licence is held for that already. */
static bool is_settled(const struct licence_answer *out)
{
	return strcmp(out->source, "none") != 0 && strcmp(out->id, "other") != 0 && strcmp(out->id, "unknown") != 0 && licence_find(out->id);
}

/* weights/LICENSE: is the folder that of the model, and the name its licence's? */
static bool is_licence_of_model(const char *path)
{
	static const char *const folders[] = { "weights/", "model/", "models/", "checkpoint/", "checkpoints/" };

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (!strncasecmp(path, folders[i], strlen(folders[i])))
			return licence_is_main_text(strrchr(path, '/') + 1);
	return false;
}

static bool is_in_another_script(const struct licence_text *t)
{
	for (size_t i = 0; i < t->n_said; i++)
		if (!strcmp(t->said[i], SCRIPT))
			return true;
	return false;
}

/*
 * A file that is not where the model's own licence is expected, and no text that is known, still says what its words say. A NOTICE names
 * what is in a model, and those have makers of all names.
 */
static void from_side(const struct licence_text *t, bool is_alone, struct arena *a, struct licence_answer *out)
{
	const char *another;

	if (is_expected(t) || t->unread || licence_is_of_parts(t->path) || !is_settled(out) || (t->recognised && !holds(t, out->id)))
		return;
	another = names_stricter(t, out->id, t->recognised || licence_is_notice(t->path));	/* a known title may have words that look like another's */
	if (another && licence_is_data(t->path) && licence_find(another) && !str_starts(another, "cc-"))
		another = NULL;	/* of data it may be a model's name: {"model": "llama3"} */
	if (another)
		conflict(out, arena_printf(a, "%s says %s but %s speaks of %s", out->source, out->id, t->path, another));
	else if (!t->recognised && t->restricts && licence_use_of(out->id) == LICENCE_YES)
		conflict(out, arena_printf(a, "%s says %s but %s restricts what it may be used for", out->source, out->id, t->path));
	else if (!t->recognised && (t->says_more || is_in_another_script(t)) && (is_licence_of_model(t->path) || (is_alone && licence_is_agreement(t->path))) && licence_use_of(out->id) == LICENCE_YES)
		conflict(out, arena_printf(a, "%s says %s but %s sets terms of its own", out->source, out->id, t->path));
}

/* What the card says of its licence beside `license`: where that is meant as the licence's name or place any other one counts, elsewhere one that forbids more. */
static void from_card_words(const struct licence_text *t, struct arena *a, struct licence_answer *out)
{
	bool is_any = t->linked && strcmp(out->source, "person") != 0;
	const char *another = NULL;

	if (!is_settled(out))
		return;
	if (t->recognised && !is_about(t->recognised, out->id) && !holds(t, out->id) && (is_any || licence_forbids_more(t->recognised, out->id)))
		another = t->recognised;
	if (!another && !t->recognised)
		another = names_stricter(t, out->id, true);
	if (another && strcmp(another, "other:with-restrictions") != 0)
		conflict(out, arena_printf(a, "%s says %s but %s names %s", out->source, out->id, t->path, another));
	else if (another || (t->restricts && licence_use_of(out->id) == LICENCE_YES))
		conflict(out, arena_printf(a, "%s says %s but %s restricts what it may be used for", out->source, out->id, t->path));
	else if (t->says_more && licence_use_of(out->id) == LICENCE_YES && strcmp(out->source, "person") != 0)
		conflict(out, arena_printf(a, "%s says %s but %s sets terms of its own", out->source, out->id, t->path));
}

/* Is the text of this licence known: to everyone here, or because it stands where the model's own is expected? */
static bool is_text_known(const struct licence_claims *c, const char *id)
{
	for (size_t i = 0; i < c->n_texts; i++)
		if (is_own(&c->texts[i]) && holds(&c->texts[i], id))
			return true;
	return licence_has_text(id);
}

/*
 * What stands where the answer's text is expected is another one, which nobody here knows; what other files hold makes it no better. A licence that allows commercial
 * use is not believed of a text that nobody knows, be its own known or not: it would give away what that may forbid.
 */
static void unknown_texts(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	if (!strcmp(out->source, "person") || (licence_use_of(out->id) != LICENCE_YES && !is_text_known(c, out->id)))
		return;
	for (size_t i = 0; i < c->n_texts; i++) {
		const struct licence_text *t = &c->texts[i];

		if (is_unknown(t, out->id) && !speaks_of_another(t, out->id)) {
			conflict(out, arena_printf(a, "%s is not the text of %s, nor any other that is known here", t->path, out->id));
			return;
		}
	}
}

/* The LGPL 3 adds permissions to the GPL, whose whole text lies beside it: COPYING and COPYING.LESSER. */
static bool is_beside_lgpl(const struct licence_claims *c, const struct licence_text *t)
{
	const char *slash = strrchr(t->path, '/');
	size_t folder = slash ? (size_t)(slash - t->path) + 1 : 0;

	if (!t->recognised || strcmp(t->recognised, "gpl-3.0") != 0 || !t->notice || *t->notice)
		return false;
	for (size_t i = 0; i < c->n_texts; i++) {
		const struct licence_text *other = &c->texts[i];

		if (holds(other, "lgpl-3.0") && other->notice && !*other->notice && !strncmp(other->path, t->path, folder) && !strchr(other->path + folder, '/'))
			return true;
	}
	return false;
}

static void from_texts(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	for (size_t i = 0; i < c->n_texts; i++) {
		const struct licence_text *t = &c->texts[i];

		if ((t->linked || !licence_is_of_parts(t->path)) && !is_beside_lgpl(c, t))
			from_text(c, t, a, out);
	}
}

/* Once there is an answer, whoever gave it: what stands where its text is expected. */
static void against_texts(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	for (size_t i = 0; i < c->n_texts; i++)
		from_words(&c->texts[i], a, out);
	for (size_t i = 0; i < c->n_texts; i++)
		from_side(&c->texts[i], c->n_texts == 1, a, out);
	for (size_t i = 0; i < c->n_words; i++)
		from_card_words(&c->words[i], a, out);
	unknown_texts(c, a, out);
	for (size_t i = 0; i < c->n_texts; i++)
		if (is_expected(&c->texts[i]) && !another_of(&c->texts[i], out))	/* that is said */
			unknown_rest(&c->texts[i], a, out);
}

/* Where neither a person nor the card says anything upstream's tags count, the strictest of them; texts are compared with that as with a card's word. */
static void from_tags(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	for (size_t i = 0; i < c->n_tags; i++) {
		const char *known = licence_normalise(c->tags[i]), *id = known ? known : licence_other_id(a, c->tags[i]);
		bool is_first = strcmp(out->source, "tag") != 0;

		if (!is_first && strcmp(id, out->id) != 0)
			conflict(out, arena_printf(a, "upstream's tags name several licences: %s and %s", out->id, id));
		if (is_first || licence_is_stricter(id, out->id)) {
			out->id = id;
			out->name = known ? NULL : str_mend_utf8(arena_strndup(a, c->tags[i], strnlen(c->tags[i], WRITTEN_MAX)));
		}
		out->source = "tag";
	}
}

static bool same_letters(const char *x, const char *y)
{
	for (;; x++, y++) {
		while (*x && !isalnum((unsigned char)*x))
			x++;
		while (*y && !isalnum((unsigned char)*y))
			y++;
		if (!*x || !*y || tolower((unsigned char)*x) != tolower((unsigned char)*y))
			return *x == *y;
	}
}

/* Is the tag what the card says? Of a text that is no known licence a tag may have other blanks and marks. */
static bool card_says(const struct licence_claims *c, const char *tag, const char *id, struct arena *a)
{
	for (size_t i = 0; i < c->n_card; i++) {
		const char *name, *said = c->card[i] && *c->card[i] ? id_of_card(c, c->card[i], a, &name) : NULL;

		if (said && (!strcmp(said, id) || (!licence_find(said) && same_letters(c->card[i], tag))))
			return true;
	}
	return false;
}

/* A person's word stands where a tag forbids no more. */
static void against_tags(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	bool by_person = !strcmp(out->source, "person");
	const char *who = by_person ? "a person" : !strcmp(out->source, "text") ? "the text" : "the card";

	for (size_t i = 0; i < c->n_tags; i++) {
		const char *known = licence_normalise(c->tags[i]), *id = known ? known : licence_other_id(a, c->tags[i]);

		if (strcmp(id, "other") != 0 && !licence_agree(id, out->id) && !card_says(c, c->tags[i], id, a) && (!by_person || licence_forbids_more(id, out->id)))
			conflict(out, arena_printf(a, "%s says %s but upstream's tag says %s", who, out->id, str_mend_utf8(arena_strndup(a, c->tags[i], strnlen(c->tags[i], WRITTEN_MAX)))));
	}
}

static void against_base(const struct licence_base *b, struct arena *a, struct licence_answer *out)
{
	if (b->unanswered)
		conflict(out, arena_printf(a, "the licence of its base model %s is not known: %s", b->repo, b->unanswered));
	if (!b->license || !strcmp(b->license, "unknown"))
		return;
	if (licence_forbids_derivatives(b->license))
		conflict(out, arena_printf(a, "%s, the licence of its base model %s, does not let derivatives be shared", b->license, b->repo));
	if (!strcmp(b->license, out->id))
		return;
	if (licence_allows_more(out->id, b->license))
		conflict(out, arena_printf(a, "%s is looser than %s, the licence of its base model %s", out->id, b->license, b->repo));
	else if (licence_drops_copyleft(out->id, b->license))
		conflict(out, arena_printf(a, "%s drops the copyleft of %s, the licence of its base model %s", out->id, b->license, b->repo));
	else if (licence_drops_restrictions(out->id, b->license))
		conflict(out, arena_printf(a, "%s drops the restrictions of %s, the licence of its base model %s", out->id, b->license, b->repo));
}

bool licence_is_of_base(const char *conflict)
{
	return strstr(conflict, " its base model ");
}

static bool is_itself(const struct licence_claims *c, const struct licence_base *b)
{
	return c->repo && !strcasecmp(b->repo, c->repo);
}

static void against_bases(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	for (size_t i = 0; i < c->n_bases; i++) {
		const struct licence_base *b = &c->bases[i];
		size_t before = out->n_conflicts;

		if (is_itself(c, b))
			continue;
		against_base(b, a, out);
		if (b->unsettled && out->n_conflicts == before && licence_allows_more(out->id, "unknown"))
			conflict(out, arena_printf(a, "the licence of its base model %s %s", b->repo, b->unsettled));
	}
}

/* Where no file has the plain name of the model's own licence, what has a licence's name beside the card is that. */
static void find_own(struct licence_claims *c, struct arena *a)
{
	struct licence_text *t = arena_alloc(a, c->n_texts * sizeof(*t) + 1);

	for (size_t i = 0; i < c->n_texts; i++) {
		if (is_own(&c->texts[i]))
			return;
		t[i] = c->texts[i];
		t[i].linked = licence_is_named(t[i].path);
	}
	c->texts = t;
}

void licence_resolve(const struct licence_claims *claims, struct arena *a, struct licence_answer *out)
{
	struct licence_claims own_found = *claims, *c = &own_found;
	char spdx[LICENCE_ID_MAX];
	bool by_tags;

	find_own(c, a);
	*out = (struct licence_answer){ .id = "unknown", .source = "none" };
	from_card(c, a, out);
	if (c->chosen && *c->chosen) {
		const char *id = licence_normalise(c->chosen);

		const char *said = strcmp(out->source, "card") ? NULL : out->id;

		out->name = id ? NULL : arena_strdup(a, c->chosen);
		out->id = id ? id : licence_other_id(a, c->chosen);
		out->source = "person";
		if (said && licence_forbids_more(said, out->id))
			conflict(out, arena_printf(a, "a person says %s but the card says %s", out->id, said));
	}
	by_tags = !strcmp(out->source, "none");
	if (by_tags)
		from_tags(c, a, out);
	from_texts(c, a, out);
	if (!by_tags)
		against_tags(c, a, out);
	against_texts(c, a, out);
	against_bases(c, a, out);
	out->commercial_use = licence_use_of(out->id);
	licence_spdx(out->id, spdx);
	out->spdx = arena_strdup(a, spdx);
}
