/* card.c - see card.h. */
#include "verify/card.h"

#include <ctype.h>

#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"

/* ---- the block ------------------------------------------------------------------------------------------------ */

/* Length of the line break at p: 0, 1 or 2. */
static size_t line_break(const char *p, const char *end)
{
	if (p < end && *p == '\r')
		return p + 1 < end && p[1] == '\n' ? 2 : 1;
	return p < end && *p == '\n';
}

/* Is there a closing fence at p: ---, blanks, and a line break or the end of the text? */
static bool closes(const char *p, const char *end)
{
	if (end - p < 3 || memcmp(p, "---", 3))
		return false;
	for (p += 3; p < end && (*p == ' ' || *p == '\t'); p++)
		;
	return p == end || *p == '\n' || (end - p >= 2 && p[0] == '\r' && p[1] == '\n');
}

bool card_find_front(const char *text, size_t n, size_t *begin, size_t *end)
{
	const char *p = text, *stop = text + n;
	size_t nl;

	while (p < stop && isspace((unsigned char)*p))
		p++;
	if (stop - p < 3 || memcmp(p, "---", 3) || !(nl = line_break(p + 3, stop)))
		return false;
	p += 3 + nl;
	*begin = (size_t)(p - text);
	for (; p < stop; p++) {
		nl = line_break(p, stop);
		if (!nl)
			continue;
		if (closes(p + nl, stop)) {
			*end = (size_t)(p - text);
			return true;
		}
		p += nl - 1;
	}
	return false;
}

/* ---- its values ----------------------------------------------------------------------------------------------- */

static const char *usable(const json_t *v, struct arena *a)
{
	const char *s = json_string_value(v);

	while (s && isspace((unsigned char)*s))
		s++;
	return s && *s && strlen(s) <= CARD_ITEM_BYTES ? arena_strdup(a, s) : NULL;
}

/* One of a few words, as it is compared: in small letters, without blanks behind it. */
static const char *plain_word(const char *s, struct arena *a)
{
	char *word = s ? arena_strdup(a, s) : NULL;

	for (char *p = word; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (size_t n = word ? strlen(word) : 0; n && isspace((unsigned char)word[n - 1]); n--)
		word[n - 1] = 0;
	return word;
}

/* A string, or the strings of a list. */
static struct card_list list_of(const json_t *front, const char *key, struct arena *a)
{
	const json_t *v = json_object_get(front, key), *item;
	struct card_list l = { 0 };
	size_t n = json_is_array(v) ? json_array_size(v) : 1, i;

	l.item = arena_alloc(a, (n < CARD_LIST_MAX ? n : CARD_LIST_MAX) * sizeof(*l.item) + 1);
	if (!json_is_array(v)) {
		l.item[0] = usable(v, a);
		l.n = l.item[0] != NULL;
		return l;
	}
	json_array_foreach (v, i, item) {
		if (l.n == CARD_LIST_MAX)
			break;
		l.item[l.n] = usable(item, a);
		l.n += l.item[l.n] != NULL;
	}
	return l;
}

bool card_is_licence_key(const char *key)
{
	static const char *const keys[] = { "license", "licence", "licenses", "licences" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcasecmp(key, keys[i]))
			return true;
	return false;
}

/* All that stands under any spelling of `license`: each is a claim. */
static struct card_list licences_of(const json_t *front, struct arena *a)
{
	struct card_list all = { .item = arena_alloc(a, CARD_LIST_MAX * sizeof(*all.item)) };
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)front, key, v) {
		struct card_list l = card_is_licence_key(key) ? list_of(front, key, a) : (struct card_list){ .n = 0 };

		for (size_t i = 0; i < l.n && all.n < CARD_LIST_MAX; i++)
			all.item[all.n++] = l.item[i];
	}
	return all;
}

static bool is_too_long(const json_t *v)
{
	return json_is_string(v) && json_string_length(v) > CARD_ITEM_BYTES;
}

static bool names_a_model(const char *key)
{
	static const char *const keys[] = { "name", "model", "models", "id", "model_id", "model_name", "repo", "repo_id", "repo_name", "url", "link", "base", "base_model",
					    "base_model_name_or_path", "finetune", "adapter", "merge", "quantized", "<<" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcasecmp(key, keys[i]))
			return true;
	return false;
}

/* False: a mapping in it names none, or a text is too long for a name. */
static bool collect_bases(struct card_list *l, const json_t *v, int depth, struct arena *a)
{
	size_t before = l->n, i;
	const json_t *item;
	json_t *member;
	const char *key;
	bool read = !is_too_long(v);

	if (json_is_string(v) && l->n < CARD_LIST_MAX && (l->item[l->n] = usable(v, a)))
		l->n++;
	if (depth == CARD_BASES_DEPTH)
		return read && !json_is_array(v) && !json_is_object(v);
	json_array_foreach (v, i, item)
		read &= collect_bases(l, item, depth + 1, a);
	json_object_foreach ((json_t *)v, key, member) {
		if (names_a_model(key))
			read &= collect_bases(l, member, depth + 1, a);
		else if (strchr(key, '/') && strlen(key) <= CARD_ITEM_BYTES && l->n < CARD_LIST_MAX)	/* {org/name: {relation: …}} */
			l->item[l->n++] = arena_strdup(a, key);
	}
	return read && (!json_object_size(v) || l->n > before);
}

bool card_read_bases(const json_t *v, struct arena *a, struct card_list *out)
{
	*out = (struct card_list){ .item = arena_alloc(a, CARD_LIST_MAX * sizeof(*out->item)) };
	return collect_bases(out, v, 0, a);
}

const json_t *card_the_one(const json_t *v)
{
	return json_is_array(v) && json_array_size(v) < 2 ? json_array_get(v, 0) : v;
}

static void read_front(struct card *c, struct arena *a)
{
	const struct {
		const char *key;
		struct card_list *to;
	} lists[] = {
		{ "language", &c->language },	{ "tags", &c->tags },	       { "datasets", &c->datasets },
		{ "metrics", &c->metrics },   { "library_name", &c->library },	{ "pipeline_tag", &c->task },
	};
	const struct {
		const char *key;
		const char **to;
	} strings[] = {
		{ "license_name", &c->license_name },
		{ "license_link", &c->license_link },
		{ "base_model_relation", &c->base_model_relation },
		{ "new_version", &c->new_version },
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		*lists[i].to = list_of(c->front, lists[i].key, a);
	c->license = licences_of(c->front, a);
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		*strings[i].to = usable(card_the_one(json_object_get(c->front, strings[i].key)), a);
	c->base_model_relation = plain_word(c->base_model_relation, a);
}

const char *card_skip_host(const char *written)
{
	static const char *const hosts[] = { "huggingface.co/", "hf.co/" };
	const char *scheme = strstr(written, "://"), *at = scheme ? scheme + 3 : written;

	if (!strncasecmp(at, "www.", 4))
		at += 4;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (!strncasecmp(at, hosts[i], strlen(hosts[i])))
			return at + strlen(hosts[i]);
	return !scheme ? written : !strncasecmp(written, "hf://", 5) ? at : NULL;
}

/* ---- what is odd ---------------------------------------------------------------------------------------------- */

static void judge(struct card *c, struct arena *a, enum card_verdict v, const char *problem)
{
	if (v <= c->verdict)
		return;
	c->verdict = v;
	c->problem = arena_strdup(a, problem);
}

/* U+202A..U+202E and U+2066..U+2069 turn the direction of writing: what is shown is not what is read. */
static bool turns_direction(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i + 2 < n; i++)
		if (p[i] == 0xe2 && ((p[i + 1] == 0x80 && p[i + 2] >= 0xaa && p[i + 2] <= 0xae) || (p[i + 1] == 0x81 && p[i + 2] >= 0xa6 && p[i + 2] <= 0xa9)))
			return true;
	return false;
}

static bool has_foreign_tag(const char *p, size_t n)
{
	return memmem(p, n, "!!python", 8) || memmem(p, n, "tag:yaml.org,2002:python", 24);
}

static void look_for_tricks(struct card *c, const char *yaml, size_t n, struct arena *a)
{
	if (turns_direction((const unsigned char *)yaml, n))
		judge(c, a, CARD_ODD, "characters that turn the direction of writing stand in its front matter");
	if (has_foreign_tag(yaml, n))
		judge(c, a, CARD_ODD, "its front matter holds a tag that asks a careless reader to run code");
}

/* Readers of YAML disagree on which of two counts. */
static void look_for_doubles(struct card *c, const json_t *twice, struct arena *a)
{
	static const struct {
		const char *key;
		enum card_verdict verdict;
	} keys[] = { { "license", CARD_BROKEN }, { "license_name", CARD_BROKEN }, { "base_model", CARD_ODD } };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_object_get(twice, keys[i].key))
			judge(c, a, keys[i].verdict, arena_printf(a, "'%s' stands twice, and readers disagree on which one counts", keys[i].key));
}

/* Is it neither nothing nor a text of which all is kept? */
static bool is_unread(const json_t *v)
{
	return v && !json_is_null(v) && (!json_is_string(v) || is_too_long(v));
}

/* What is left out of a licence may be another one. */
static void look_for_hidden_licences(struct card *c, struct arena *a)
{
	const json_t *item;
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach (c->front, key, v) {
		bool hidden = json_is_array(v) ? json_array_size(v) > CARD_LIST_MAX : is_unread(v);

		json_array_foreach (v, i, item)
			hidden |= is_unread(item);
		if (hidden && card_is_licence_key(key))
			judge(c, a, CARD_ODD, arena_printf(a, "something under '%s' is not the name of a licence, and may say anything", str_printable(arena_strdup(a, key))));
	}
	if (is_unread(card_the_one(json_object_get(c->front, "license_name"))) || is_unread(card_the_one(json_object_get(c->front, "license_link"))))
		judge(c, a, CARD_ODD, "'license_name' or 'license_link' holds more than one text of 512 bytes at most, and may say anything");
}

/* What an alias stands for is read as nothing where it is a list or mapping. */
static void look_for_cuts(struct card *c, const json_t *cut, struct arena *a)
{
	static const char *const keys[] = { "license", "license_name", "license_link", "base_model" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_object_get(cut, keys[i]))
			judge(c, a, CARD_ODD, arena_printf(a, "under '%s' an alias stands for a list or mapping, which is not read and may say anything", keys[i]));
	if (json_object_get(c->front, "<<"))
		judge(c, a, CARD_ODD, "its front matter takes in another mapping ('<<'), which is not read and may say anything");
}

void card_parse(const char *text, size_t n, struct arena *a, struct card *c)
{
	own(json) json_t *twice = json_object(), *cut = json_object();
	struct err e = ERR_NONE;
	size_t begin, end;

	memset(c, 0, sizeof(*c));
	if (!card_find_front(text, n, &begin, &end))
		return;
	c->has_front = true;
	look_for_tricks(c, text + begin, end - begin, a);
	if (end - begin > CARD_MAX_BYTES) {
		judge(c, a, CARD_BROKEN, "its front matter is longer than 1 MiB");
		return;
	}
	if (!str_utf8_valid(text + begin, end - begin)) {
		judge(c, a, CARD_BROKEN, "its front matter is not UTF-8");
		return;
	}
	c->front = yaml_parse_lax(text + begin, end - begin, "its front matter", twice, cut, &e);
	if (!c->front) {
		judge(c, a, CARD_BROKEN, e.msg);
		return;
	}
	if (!json_is_object(c->front)) {
		if (!json_is_null(c->front))
			judge(c, a, CARD_BROKEN, "its front matter is not a mapping");
		json_decref(take(c->front));
		return;
	}
	look_for_doubles(c, twice, a);
	if (c->verdict == CARD_BROKEN)
		return;
	look_for_cuts(c, cut, a);
	look_for_hidden_licences(c, a);
	read_front(c, a);
	if (!card_read_bases(json_object_get(c->front, "base_model"), a, &c->base_model))
		judge(c, a, CARD_ODD, "something under 'base_model' names no model, so what this was made from may be anything");
}

void card_done(struct card *c)
{
	json_decref(c->front);
	c->front = NULL;
}
