/*
 * licence_card.c - what a card says of its licence beside `license`: the names, addresses and conditions of its front matter, and the sections of its text that are about
 * the licence. Each is read as a licence's text is; see licence.h.
 */
#include <ctype.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "verify/card.h"

#define WORDS_MAX    32
#define PROMPT_DEPTH 4
#define PROMPT_BYTES (1u << 20)
#define HEADING_MOST 60		/* bytes of a heading that is one of a licence, and no sentence */
#define LEVEL_BOLD   7		/* below those that Markdown has: a line in bold letters */
#define NO_HEADING   0

struct words {
	struct licence_text v[WORDS_MAX];
	size_t n;
	struct arena *arena;
};

/* --- where an address leads ------------------------------------------------------------------------------------------------------- */

/* Pages of which the last part of the address is a licence's name. */
static const char *const lists[] = { "opensource.org/license", "spdx.org/licenses/", "choosealicense.com/licenses/", "apache.org/licenses/", "gnu.org/licenses/" };

/* Pages of one licence, and repositories whose licence it is: longer addresses before those that they begin with. */
static const struct {
	const char *address, *id;
} pages[] = {
	{ "ai.google.dev/gemma/terms", "gemma" },
	{ "llama.com/llama4", "llama4" },
	{ "llama.com/llama3_3", "llama3.3" },
	{ "llama.com/llama3_2", "llama3.2" },
	{ "llama.com/llama3_1", "llama3.1" },
	{ "llama.com/llama3/", "llama3" },
	{ "llama.meta.com/llama3_1", "llama3.1" },
	{ "llama.meta.com/llama3/", "llama3" },
	{ "llama.meta.com/llama2", "llama2" },
	{ "ai.meta.com/llama/license", "llama2" },
	{ "meta-llama/llama-4", "llama4" },
	{ "meta-llama/llama-3.3", "llama3.3" },
	{ "meta-llama/llama-3.2", "llama3.2" },
	{ "meta-llama/llama-3.1", "llama3.1" },
	{ "meta-llama/meta-llama-3.1", "llama3.1" },
	{ "meta-llama/meta-llama-3-", "llama3" },
	{ "meta-llama/llama-2", "llama2" },
	{ "google/gemma-1.1", "gemma" },
	{ "google/gemma-2", "gemma" },
	{ "google/gemma-3", "gemma" },
	{ "google/gemma-7b", "gemma" },
	{ "stability.ai/community-license", "other:stabilityai-ai-community" },
	{ "nvidia-open-model-license", "other:nvidia-open-model-license" },
	{ "mistral.ai/licenses/mrl", "other:mrl" },
	{ "mistral.ai/licenses/mnpl", "other:mnpl" },
};

/* The licence of "MIT.html", "gpl-3.0.en.html", "LICENSE-2.0". */
static const char *of_page(const char *address, struct arena *a)
{
	static const char *const endings[] = { ".html", ".txt", ".md", ".php", ".en" };
	char *name = arena_strdup(a, address), *slash;

	name[strcspn(name, "?#")] = 0;
	for (size_t n = strlen(name); n && name[n - 1] == '/';)
		name[--n] = 0;
	slash = strrchr(name, '/');
	name = slash ? slash + 1 : name;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (str_ends(name, endings[i]))
			name[strlen(name) - strlen(endings[i])] = 0;
	return strcasestr(address, "apache.org/") && !strncasecmp(name, "license-2.0", 11) ? "apache-2.0" : licence_of_name(name, a);
}

const char *licence_of_link(const char *link, struct arena *a)
{
	const char *id = licence_of_address(link, strlen(link), a);

	if (id)
		return id;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		if (strcasestr(link, pages[i].address))
			return pages[i].id;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (strcasestr(link, lists[i]))
			return of_page(link, a);
	return NULL;
}

/* --- the front matter ------------------------------------------------------------------------------------------------------------- */

static struct licence_text *add(struct words *w, const char *where)
{
	struct licence_text *t = w->n < WORDS_MAX ? &w->v[w->n++] : &w->v[WORDS_MAX - 1];

	*t = (struct licence_text){ .path = where };
	return t;
}

static void add_read(struct words *w, const char *where, const char *text, size_t n)
{
	licence_read_text(text, n, w->arena, add(w, where));
}

/* Words that stand in the names of licences for what these keep back. */
static bool is_restricting_name(const char *words)
{
	static const char *const keeps[] = { " nc ", " non commercial", " noncommercial", " research", " academic", " nonprofit ", " non profit ", " evaluation ", " commons clause " };

	for (size_t i = 0; i < ARRAY_LEN(keeps); i++)
		if (strstr(words, keeps[i]))
			return true;
	return false;
}

/* A name that no list has may still say what it is of ("cc-by-nc", "acme-non-commercial"). */
static void read_name(struct words *w, const char *name)
{
	char *words;
	struct licence_text *t;

	if (!name || licence_of_name(name, w->arena))
		return;
	words = arena_printf(w->arena, " %s ", name);
	for (char *p = words; *p; p++)
		*p = isalnum((unsigned char)*p) || *p == '.' ? (char)tolower((unsigned char)*p) : ' ';
	t = add(w, "its license_name");
	licence_read_text(words, strlen(words), w->arena, t);
	t->restricts |= is_restricting_name(words);
}

static void read_link(struct words *w, const char *link)
{
	const char *id = link ? licence_of_link(link, w->arena) : NULL;

	if (!id)
		return;
	struct licence_text *t = add(w, "its license_link");

	t->recognised = id;
	t->linked = true;
}

/* Tags are of anything; these names are of nothing else than a licence. */
static void read_tag(struct words *w, const char *tag)
{
	bool is_claim = str_starts(tag, "license:");
	const char *id = is_claim || !strncasecmp(tag, "cc-", 3) ? licence_of_name(is_claim ? tag + strlen("license:") : tag, w->arena) : NULL;

	if (id)
		add(w, "a tag in it")->recognised = id;
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

/* What whoever asks for access agrees to. */
static void read_prompt(struct words *w, const json_t *front, const char *key)
{
	own(buf) struct buf text;

	buf_init(&text, PROMPT_BYTES);
	flatten(&text, json_object_get(front, key), 0);
	if (text.len && !buf_failed(&text))
		add_read(w, arena_printf(w->arena, "its %s", key), text.data, text.len);
}

static void read_front(struct words *w, const json_t *front)
{
	static const char *const prompts[] = { "extra_gated_heading", "extra_gated_description", "extra_gated_prompt", "extra_gated_fields", "license_details" };
	const json_t *tags = json_object_get(front, "tags"), *tag;
	size_t i;

	read_name(w, json_string_value(card_the_one(json_object_get(front, "license_name"))));
	read_link(w, json_string_value(card_the_one(json_object_get(front, "license_link"))));
	for (i = 0; i < ARRAY_LEN(prompts); i++)
		read_prompt(w, front, prompts[i]);
	json_array_foreach (tags, i, tag)
		if (json_is_string(tag))
			read_tag(w, json_string_value(tag));
}

/* --- its text --------------------------------------------------------------------------------------------------------------------- */

/* The level of the heading on this line of n bytes: 1 is the highest. */
static int level_of(const char *line, size_t n)
{
	size_t marks = strspn(line, "#");

	while (n && isspace((unsigned char)line[n - 1]))
		n--;
	if (marks && marks < LEVEL_BOLD && marks < n)
		return (int)marks;
	if (n > 4 && !strncasecmp(line, "<h", 2) && line[2] >= '1' && line[2] <= '6')
		return line[2] - '0';
	return n > 4 && n < HEADING_MOST && str_starts(line, "**") && !strncmp(line + n - 2, "**", 2) ? LEVEL_BOLD : NO_HEADING;
}

/* "License", "📜 Licensing Information", "License & Terms of use": is it about the model's licence, by its words? */
static bool is_of_licence(const char *line, size_t n)
{
	static const char *const starts[] = { "licens", "licenc" };

	if (n > HEADING_MOST)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		for (size_t k = 0; k + strlen(starts[i]) <= n; k++)
			if (!strncasecmp(line + k, starts[i], strlen(starts[i])) && (!k || !isalnum((unsigned char)line[k - 1])))
				return true;
	for (size_t k = 0; k + 12 <= n; k++)
		if (!strncasecmp(line + k, "terms of use", 12))
			return true;
	return false;
}

static const char *end_of(const char *line, const char *end)
{
	const char *stop = memchr(line, '\n', (size_t)(end - line));

	return stop ? stop : end;
}

/* Where the section ends whose heading has this level: at the next heading that is not below it. */
static const char *section_end(const char *p, const char *end, int level)
{
	for (const char *stop; p < end; p = stop < end ? stop + 1 : end) {
		stop = end_of(p, end);
		int next = level_of(p, (size_t)(stop - p));

		if (next && next <= level)
			return p;
	}
	return end;
}

/* "- **License:** cc-by-nc-4.0", as the Hub's template for cards has it: how many bytes stand before what it says, 0 none. */
static size_t behind_entry(const char *line, size_t n)
{
	size_t at = 0, word;

	while (at < n && strchr(" \t-*+_", line[at]))
		at++;
	for (word = at; word < n && (isalpha((unsigned char)line[word]) || strchr("()", line[word])); word++)
		;
	if (word - at < 7 || word - at > 10 || (strncasecmp(line + at, "license", 7) != 0 && strncasecmp(line + at, "licence", 7) != 0))
		return 0;
	at = word;
	while (word < n && strchr("*_: ", line[word]))
		word++;
	return word > at && memchr(line + at, ':', word - at) ? word : 0;
}

/* Is it of what the model was made from: "a derivative of the corpus X, used under its agreement (research only)"? What its own terms are stands elsewhere, for the data's. */
static bool is_of_data(const char *sentence)
{
	static const char *const data[] = { "used under", "dataset", "data set", "corpus", "corpora" }, *const models[] = { "model", "weights", "checkpoint" };

	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		if (strcasestr(sentence, models[i]))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(data); i++)
		if (strcasestr(sentence, data[i]))
			return true;
	return false;
}

/* Behind the sentence at p: at a full stop, or where a paragraph or an entry of a list ends. */
static char *sentence_end(char *p)
{
	for (; *p; p++)
		if ((*p == '.' && isspace((unsigned char)p[1])) || (*p == '\n' && strchr("\n-*|#", p[1])))
			return p + 1;
	return p;
}

static void add_section(struct words *w, const char *where, const char *text, size_t n)
{
	char *copy = arena_strndup(w->arena, text, n);

	for (char *p = copy, *end; *p; p = end) {
		end = sentence_end(p);
		if (is_of_data(arena_strndup(w->arena, p, (size_t)(end - p))))
			memset(p, ' ', (size_t)(end - p));
	}
	add_read(w, where, copy, n);
}

static void read_sections(struct words *w, const char *text, const char *end)
{
	for (const char *p = text, *stop; p < end; p = stop < end ? stop + 1 : end) {
		stop = end_of(p, end);
		size_t n = (size_t)(stop - p), entry = behind_entry(p, n);
		int level = level_of(p, n);

		if (entry) {
			add_section(w, "an entry \"License\" in its text", p + entry, n - entry);
		} else if (level && is_of_licence(p, n)) {
			const char *from = stop < end ? stop + 1 : end, *to = section_end(from, end, level);

			add_section(w, "a section on the licence in its text", from, (size_t)(to - from));
			stop = to > from ? to - 1 : stop;
		}
	}
}

void licence_read_card(const json_t *front, const char *text, size_t n, struct arena *a, struct licence_claims *c)
{
	struct words *w = arena_alloc(a, sizeof(*w));
	const char *copy = text ? arena_strndup(a, text, n) : "";
	size_t begin, end = 0;

	*w = (struct words){ .arena = a };
	read_front(w, front);
	n = strlen(copy);	/* a NUL ends what is read */
	if (!card_find_front(copy, n, &begin, &end))
		end = 0;
	read_sections(w, copy + end, copy + n);
	c->words = w->v;
	c->n_words = w->n;
}
