/* licence_spoken.c - what licences a short text speaks of, by their names in any spelling, by addresses, and by words that name one that no list has; see licence_table.h. */
#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"

#define WORDS_MAX  (LICENCE_OWNERS_MAX + 1)	/* a short text has no more */
#define WINDOW_MAX 10	/* words of a name */
#define FAMILY_MAX 24
#define NAME_MOST  ((ptrdiff_t)200)	/* bytes of a name, with what stands between its words; a longer one is none */
#define ADDRESS_MOST ((size_t)2048)	/* bytes of an address; what is behind them is read as words */

struct word {
	const char *at;
	size_t n;
	bool begins;	/* a sentence or line */
};

struct said {
	struct arena *arena;
	const char **v;
	size_t n, max;
	char *text, *marked;	/* marked: for LICENCE_NAMED, or NULL */
};

/* A name stands there, of n bytes; what ends a paragraph before it, as "license", is none of it. */
static void mark(struct said *s, const char *at, size_t n)
{
	if (!s->marked)
		return;
	for (const char *end = at + n, *behind; (behind = memmem(at, (size_t)(end - at), "\n\n", 2)); at = behind + 2)
		n = (size_t)(end - behind) - 2;
	memset(s->marked + (at - s->text), ' ', n);
	s->marked[at - s->text] = LICENCE_NAMED;
}

static void say(struct said *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i], id))
			return;
	if (s->n < s->max)
		s->v[s->n++] = id;
	else
		s->v[s->max - 1] = "other:more-than-are-read";
}

/* Where `word`, which is in lower case, begins in the n bytes at p; NULL: nowhere. */
static const char *find_word(const char *p, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (; n >= len; p++, n--)
		if (tolower((unsigned char)*p) == *word && !strncasecmp(p, word, len))
			return p;
	return NULL;
}

const char *licence_of_address(const char *address, size_t n, struct arena *a)
{
	const char *p = find_word(address, n, "creativecommons.org/"), *kind;
	size_t kind_n, version_n;
	char *text;

	if (!p)
		return NULL;
	p += strlen("creativecommons.org/");
	p = arena_strndup(a, p, (size_t)(address + n - p));
	kind = !strncasecmp(p, "licenses/", 9) ? p + 9 : !strncasecmp(p, "publicdomain/", 13) ? p + 13 : NULL;
	if (!kind || !(kind_n = strcspn(kind, "/")))
		return NULL;
	if (!strncasecmp(kind, "zero", kind_n) || !strncasecmp(kind, "mark", kind_n))
		return "cc0-1.0";
	version_n = kind[kind_n] ? strspn(kind + kind_n + 1, "0123456789.") : 0;
	while (version_n && kind[kind_n + version_n] == '.')
		version_n--;
	text = version_n ? arena_printf(a, "cc-%.*s-%.*s", (int)kind_n, kind, (int)version_n, kind + kind_n + 1) : arena_printf(a, "cc-%.*s", (int)kind_n, kind);
	for (char *c = text; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return text;
}

/* Is it the name of several versions that the table has, as "agpl" or "llama" is? */
static bool is_family(const char *word, size_t n)
{
	const struct licence *l;

	for (size_t i = 0; n > 2 && n < FAMILY_MAX && (l = licence_at(i)); i++) {
		const char *behind = l->id + n;

		if (strncasecmp(l->id, word, n) != 0 || !strcmp(l->id, "other") || !strcmp(l->id, "unknown"))
			continue;
		if (!*behind || isdigit((unsigned char)*behind) || (*behind == '-' && isdigit((unsigned char)behind[1])))
			return true;
	}
	return false;
}

static bool is_one(const char *word, size_t n, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == n && !strncasecmp(word, *list, n))
			return true;
	return false;
}

/* The licence of these words, or the kind of one ("cc by nc" is "cc-by-nc"); NULL: they are no name. */
static const char *name_of(const char *words, struct arena *a)
{
	char key[LICENCE_KEY_MAX];
	const char *id = licence_normalise(words);

	if (id)
		return strcmp(id, "other") != 0 && strcmp(id, "unknown") != 0 ? id : NULL;
	if (!licence_key(key, words) || !str_starts(key, "cc "))
		return NULL;
	for (const char *p = key + 3, *next; *p; p = next) {
		size_t n = strcspn(p, " ");

		next = p + n + (p[n] == ' ');
		if (!is_one(p, n, (const char *const[]){ "by", "nc", "sa", "nd", NULL }) && (*next || !isdigit((unsigned char)*p)))
			return NULL;
	}
	for (char *p = key; *p; p++)
		*p = *p == ' ' ? '-' : *p;
	return arena_strdup(a, key);
}

/* "LLaMA-Factory" is no licence. */
static bool is_program(const struct word *behind)
{
	return behind->at[-1] == '-' && is_one(behind->at, behind->n, (const char *const[]){ "factory", "cpp", "index", NULL });
}

static bool is_begun(const struct word *w, const char *const *begins)
{
	for (; *begins; begins++)
		if (w->n >= strlen(*begins) && !strncasecmp(w->at, *begins, strlen(*begins)))
			return true;
	return false;
}

static bool is_of_terms(const struct word *w)
{
	return is_one(w->at, w->n, (const char *const[]){ "license", "licence", "licenses", "licences", "agreement", "terms", "policy", "community", NULL });
}

/* Does "under" or, on its line, "license" stand before it? */
static bool is_led(const struct word *w, size_t i)
{
	for (size_t at = i; at-- > 0 && at + 2 >= i;) {
		const char *behind = w[at].at + w[at].n;
		size_t gap = (size_t)(w[at + 1].at - behind);

		if (memchr(behind, '.', gap) || memmem(behind, gap, "\n\n", 2))
			return false;
		if (is_one(w[at].at, w[at].n, (const char *const[]){ "under", "licenseref", NULL }) || (at + 1 == i && is_of_terms(&w[at]) && !memchr(behind, '\n', gap)))
			return true;
	}
	return false;
}

/*
 * Is the name of n words at w[i] of the n_all that of a family of models, and here no licence's? It is one with its licence, agreement or terms, behind "under" or "license", or
 * alone on its line: "DeepSeek-R1 is under MIT" has one licence.
 */
static bool is_of_models(const struct word *w, size_t i, size_t n, size_t n_all)
{
	static const char *const families[] = { "deepseek", "gemma", "llama", "qwen", "falcon", "grok", "exaone", "hunyuan", "kimi", "meta", "tencent", "tongyi", NULL };
	static const char *const between[] = { "model", "models", "series", "research", "use", "acceptable", "prohibited", "llm", "open", "materials", NULL };
	size_t end = i + n, k;

	while (i < end && !is_begun(&w[i], families))	/* "License", "the" */
		i++;
	if (i == end)
		return false;
	for (k = i; k < end; k++)
		if (is_of_terms(&w[k]))
			return false;
	for (; k < n_all && !w[k].begins && (is_one(w[k].at, w[k].n, between) || isdigit((unsigned char)*w[k].at)); k++)
		;
	bool is_last = k == n_all || w[k].begins;

	return !(is_last || strchr("(|", w[k].at[-1]) ? w[i].begins : is_of_terms(&w[k])) && !is_led(w, i);
}

/* Licences that no row has, known by what is no name in words. */
static const char *foreign_name(const struct word *w, struct arena *a)
{
	static const char own[] = "licenseref-";

	static const char *const names[][2] = { { "RAIL", "other:rail" }, { "FSL-1", "other:fsl" }, { "functional source license", "other:fsl" }, { "polyform", "other:polyform" },
						{ "nvidia source code license", "other:nvidia-source-code-license" }, { "commons clause", "other:commons-clause" } };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i][0]);
		bool is_there = isupper((unsigned char)names[i][0][0]) ? !strncmp(w->at, names[i][0], n) : !strncasecmp(w->at, names[i][0], n);	/* a rail is none */

		if (is_there && !isalnum((unsigned char)w->at[n]))
			return names[i][1];
	}
	if (strncasecmp(w->at, own, strlen(own)) != 0)
		return NULL;
	/* an id that SPDX leaves to whoever needs one; where it is cut it is still one that nobody knows */
	char *id = arena_strndup(a, w->at, strnlen(w->at, (size_t)NAME_MOST));

	id[strcspn(id, " \t\r\n()<>[]\"',;")] = 0;

	return licence_normalise(id) ? NULL : licence_other_id(a, id);
}

/* The longest name that begins at all[at]; how many words it has, 0 none. */
static size_t find_name(const struct word *all, size_t at, size_t n_all, struct said *s)
{
	const struct word *w = all + at;
	const char *end;
	size_t n = n_all - at;

	for (size_t k = n < WINDOW_MAX ? n : WINDOW_MAX; k; k--) {
		const char *id;

		end = w[k - 1].at + w[k - 1].n;
		if (end - w->at >= NAME_MOST)
			continue;
		id = name_of(arena_strndup(s->arena, w->at, (size_t)(end - w->at)), s->arena);
		if (!id || is_of_models(all, at, k, n_all))
			continue;
		say(s, id);
		mark(s, w->at, (size_t)(end - w->at));
		return k;
	}
	if (!is_family(w->at, w->n) || (n > 1 && is_program(&w[1])) || is_of_models(all, at, 1, n_all))
		return 0;
	char *family = arena_strndup(s->arena, w->at, w->n);

	for (char *p = family; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	say(s, family);
	mark(s, w->at, w->n);
	return 1;
}

/* "MIT-style" and "modified MIT" are not MIT, and "MIT-NC" or "MIT (NC)" is less. NULL: it is as it is. */
static const char *altered(const struct word *before, const struct word *behind)
{
	static const char *const changed[] = { "modified", "custom", "customized", "amended", "extended", NULL }, *const alike[] = { "style", "like", "based", "derived", "inspired", NULL };
	static const char *const less[] = { "noncommercial", "non", "research", "academic", NULL };
	bool is_joined = behind && strchr("-/", behind->at[-1]);

	if (behind && ((behind->n == 2 && !strncmp(behind->at, "NC", 2) && !behind->begins) || (is_joined && (is_one(behind->at, behind->n, less) || is_one(behind->at, behind->n, (const char *const[]){ "nc", NULL })))))
		return "other:modified-nc";
	return (before && is_one(before->at, before->n, changed)) || (is_joined && is_one(behind->at, behind->n, alike)) ? "other:modified" : NULL;
}

/* "acme-nc-1.0": whose licence it is nobody knows, but what it keeps back; NULL: no such name. */
static const char *kept_back(const struct said *s, const struct word *w)
{
	const char *begin = w->at, *end = w->at + w->n;
	bool is_joined = (begin > s->text && begin[-1] == '-') || *end == '-';

	if (!is_joined || !is_one(w->at, w->n, (const char *const[]){ "nc", "noncommercial", NULL }))
		return NULL;
	while (begin > s->text && w->at - begin < NAME_MOST && (isalnum((unsigned char)begin[-1]) || strchr(".-", begin[-1])))
		begin--;
	while (end - w->at < NAME_MOST && *end && (isalnum((unsigned char)*end) || strchr(".-", *end)))
		end++;
	return licence_other_id(s->arena, arena_strndup(s->arena, begin, (size_t)(end - begin)));
}

/* "Mistral AI licensed this model": what it did, and no name. */
static bool is_deed(const struct word *w, const struct word *behind)
{
	return behind && w->n == 8 && !strncasecmp(w->at + 5, "sed", 3) && is_one(behind->at, behind->n, (const char *const[]){ "this", "these", "the", "it", "its", "under", NULL });
}

static bool is_noun(const struct word *w)
{
	return is_one(w->at, w->n, (const char *const[]){ "license", "licence", "licenses", "licences", "agreement", "agreements", NULL });
}

/* What stands before "license" and is a name, of n words of which the last one is the nearest; NULL: nothing. */
static const char *unknown_name(const struct word *w, size_t n, const struct word *licence, struct arena *a)
{
	static const char *const plain[] = { "the", "this", "a", "an", "software", "public", "open", "source", "model", "our", "its", "full", "free", "following", "same", "file", "see", "project",
					     "code", "weights", "base", "version", "section", "party", "other", "additional", "general", "and", "of", "under", "for", "copyright", "permissive",
					     "original", "main", "data", "your", "that", "license", "licence", "spdx", "foundation", "font", "secondary", NULL };
	static const char *const kinds[] = { "model", "models", "public", "open", "source", "software", "series", NULL };
	/* of public and software licences, where the version is missing by which they are known */
	static const char *const known[] = { "mozilla", "eclipse", "microsoft", "gnu", "lesser", "library", "affero", "union", "to", "boost", "zope", "postgresql", NULL };
	const struct word *end = w + n - 1, *name = end;	/* the name's last word, and its first one */

	if (!n || licence->begins || (strncasecmp(licence->at, "licen", 5) != 0 && !is_noun(licence)))
		return NULL;
	while (is_noun(licence) && name > w && !name->begins && is_one(name->at, name->n, kinds))
		name--;
	end = name;
	if (is_noun(licence) && name > w && !name->begins && isdigit((unsigned char)*name->at))
		name--;
	if (!isupper((unsigned char)*name->at) || is_one(name->at, name->n, plain))
		return NULL;
	if (name != w + n - 1 && is_one(name->at, name->n, known))
		return NULL;
	return licence_other_id(a, arena_strndup(a, name->at, (size_t)(end->at + end->n - name->at)));
}

static void read_words(const struct word *w, size_t n, struct said *s)
{
	size_t n_free = 0;	/* words right before that are of no name */

	for (size_t i = 0; i < n && !licence_is_spent(s->arena);) {
		const char *foreign = foreign_name(&w[i], s->arena);
		size_t k = is_noun(&w[i]) && w[i].at[w[i].n] == '.' ? 0 : find_name(w, i, n, s);	/* "The Acme License. MIT" */
		const char *less = k ? altered(i ? &w[i - 1] : NULL, i + k < n ? &w[i + k] : NULL) : kept_back(s, &w[i]);

		if (foreign)
			say(s, foreign);
		if (less)
			say(s, less);
		const char *unknown = k ? NULL : unknown_name(w + i - n_free, n_free, &w[i], s->arena);

		if (unknown && !is_deed(&w[i], i + 1 < n ? &w[i + 1] : NULL))
			say(s, unknown);
		n_free = k ? 0 : n_free + 1;
		i += k ? k : 1;
	}
}

/* Of a line that names an owner letters of any script are read over; elsewhere what is in another one may be a condition. */
static bool is_foreign(const char *p, const char *line)
{
	unsigned char c = (unsigned char)*p, next = (unsigned char)p[c != 0];
	bool is_form = c == 0xef && next != 0xb8 && next != 0xbf && !str_starts(p, "\xef\xbb\xbf");	/* and no mark of order, nor what chooses an emoji's form */
	bool is_owner = !strncasecmp(line, "copyright", 9) || !strncasecmp(line, "(c)", 3) || str_starts(line, "\xc2\xa9");

	return ((c >= 0xcd && c <= 0xdf) || (c > 0xe2 && c < 0xef) || c == 0xe0 || c == 0xe1 || is_form) && !is_owner;
}

/* Behind the address at p; of one that is about licences its end is read as words. */
static char *skip_address(char *p, struct said *s)
{
	size_t n = 0, licence;
	const char *about, *id;

	while (n < ADDRESS_MOST && !strchr(" \t\r\n\"'<>()[]", p[n]))	/* a NUL ends it, too */
		n++;
	about = find_word(p, n, "licen");
	id = licence_of_address(p, n, s->arena);
	id = id ? id : licence_of_list(arena_strndup(s->arena, p, n), s->arena);

	if (id) {
		say(s, id);
		mark(s, p, n);
	}
	licence = about && !id ? (size_t)(about - p) : n;
	for (char *c = p + licence; c < p + n; c++)	/* "CC%20BY%204.0" of a badge */
		if (*c == '%' && c + 2 < p + n && isdigit((unsigned char)c[1]) && c[1] < '4' && isxdigit((unsigned char)c[2]))
			memset(c, ' ', 3);
	return p + licence;
}

/* The word without the full stop behind it, and the "+" of "GPLv3+". Does the stop end a sentence? */
static bool end_word(struct word *w)
{
	bool ends = false;

	for (; w->n > 1 && strchr(".+", w->at[w->n - 1]) && (w->at[w->n - 1] == '.' || isdigit((unsigned char)w->at[w->n - 2])); w->n--)
		ends |= w->at[w->n - 1] == '.';
	return ends;
}

static void read_all(struct said *s, const char *text, size_t n)
{
	struct arena *a = s->arena;
	size_t n_words = 0, most = n < WORDS_MAX ? n + 1 : WORDS_MAX;
	struct word *w = arena_alloc(a, most * sizeof(*w));
	char *copy = arena_strndup(a, text, n), *line = copy;
	bool begins = true;

	s->text = copy;
	for (char *p = copy; *p && n_words < most;) {
		size_t len = 0;

		if (!strncasecmp(p, "http://", 7) || !strncasecmp(p, "https://", 8)) {
			char *behind = skip_address(p, s);

			begins = true;
			p = behind;
			if (!isalnum((unsigned char)*p))
				continue;
		}
		while (isalnum((unsigned char)p[len]) || (len && p[len] && strchr(".+", p[len])))
			len++;
		if (is_foreign(p, line))
			say(s, "other:words-in-another-script");
		if (!len) {
			begins |= strchr("\n.;:!?", *p) != NULL;
			line = *p == '\n' ? p + 1 + strspn(p + 1, " \t#*") : line;
			p++;
			continue;
		}
		w[n_words++] = (struct word){ p, len, begins };
		p += len;
		begins = end_word(&w[n_words - 1]);
	}
	read_words(w, n_words, s);
}

size_t licence_spoken_of(const char *text, size_t n, struct arena *a, const char **out, size_t max)
{
	struct said s = { .arena = a, .v = out, .max = max };

	read_all(&s, text, n);
	return s.n;
}

char *licence_mark_names(const char *text, struct arena *a)
{
	const char *said[1];
	struct said s = { .arena = a, .v = said, .max = 1, .marked = arena_strdup(a, text) };

	for (char *p = s.marked; *p; p++)
		*p = *p == LICENCE_NAMED ? ' ' : *p;
	read_all(&s, s.marked, strlen(s.marked));
	return s.marked;
}
