/* licence.c - the table of licences, and from many claims to one answer; see licence.h. Recognising texts is licence_text.c, which files hold some licence_file.c. */
#include "catalog/licence.h"

#include <ctype.h>
#include <pthread.h>

#include "base/embed.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"
#include "verify/digest.h"

#define COLUMNS	    13
#define WRITTEN_MAX 200
#define NAME_MAX_BYTES (LICENCE_ID_MAX - 16)	/* of an id made from a name */
#define HASH_DIGITS 16

/* A row's keys: of its id, its SPDX id and its name. */
struct row_keys {
	char id[LICENCE_KEY_MAX], spdx[LICENCE_KEY_MAX], name[LICENCE_KEY_MAX];
};

static struct licence *rows;
static struct row_keys *keys;
static size_t n_rows;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* --- the table -------------------------------------------------------------------------------------------------------------------- */

const struct embedded *licence_file(const char *name)
{
	for (const struct embedded *f = schema_licences; f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	abort();	/* built in */
}

/* RFC 4180: a field may be quoted, a quote in it is doubled. Cuts *line in place; false at its end. */
static bool next_field(char **line, char **out)
{
	char *in = *line, *to;

	if (!in)
		return false;
	*out = to = in;
	if (*in == '"') {
		for (in++; *in && (*in != '"' || in[1] == '"'); in++) {
			in += *in == '"';
			*to++ = *in;
		}
		in += *in == '"';
	} else {
		while (*in && *in != ',')
			*to++ = *in++;
	}
	*line = *in == ',' ? in + 1 : NULL;
	*to = 0;
	return true;
}

size_t licence_csv_row(char *line, char **fields, size_t max)
{
	size_t n = 0;

	while (n < max && next_field(&line, &fields[n]))
		n++;
	return n;
}

static enum licence_use use_of(const char *text)
{
	return !strcmp(text, "yes") ? LICENCE_YES : !strcmp(text, "no") ? LICENCE_NO : !strcmp(text, "unknown") ? LICENCE_UNKNOWN : LICENCE_CONDITIONAL;
}

/* f: hub_id,spdx_id,name,osi_approved,commercial_use,derivatives,redistribution,attribution,copyleft,use_restrictions,mau_limit,notes,source */
static void add_row(char **f)
{
	struct licence *l = &rows[n_rows++];
	uint64_t limit = 0;

	str_parse_u64(f[10], &limit, NULL);
	*l = (struct licence){
		.id = f[0], .spdx = f[1], .name = f[2], .osi_approved = !strcmp(f[3], "yes"), .commercial_use = use_of(f[4]), .derivatives = f[5],
		.redistribution = use_of(f[6]), .redistribution_text = f[6], .attribution = f[7], .copyleft = f[8], .restrictions = f[9], .user_limit = (int64_t)limit,
		.notes = f[11], .family = strstr(f[1], "-family") != NULL,
	};
	l->permissive = l->commercial_use == LICENCE_YES && l->redistribution == LICENCE_YES && !strcmp(l->derivatives, "yes") && !strcmp(l->copyleft, "none") &&
			!*l->restrictions && !l->family;
}

static void load(void)
{
	const struct embedded *f = licence_file("licenses.csv");
	char *text = mem_strndup(f->data, f->size_bytes), *save = NULL;
	size_t lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	rows = mem_zalloc((lines + 1) * sizeof(*rows));
	strtok_r(text, "\n", &save);	/* the column names */
	for (char *line; (line = strtok_r(NULL, "\n", &save));) {
		char *fields[COLUMNS];

		if (licence_csv_row(line, fields, COLUMNS) != COLUMNS)
			abort();	/* built in, and a test reads it */
		add_row(fields);
	}
	keys = mem_zalloc((n_rows + 1) * sizeof(*keys));
	for (size_t i = 0; i < n_rows; i++) {
		licence_key(keys[i].id, rows[i].id);
		licence_key(keys[i].spdx, rows[i].spdx);
		licence_key(keys[i].name, rows[i].name);
	}
}

const struct licence *licence_at(size_t i)
{
	pthread_once(&once, load);
	return i < n_rows ? &rows[i] : NULL;
}

const struct licence *licence_find(const char *id)
{
	const struct licence *l;

	for (size_t i = 0; id && (l = licence_at(i)); i++)
		if (!strcasecmp(l->id, id))
			return l;
	return NULL;
}

const char *licence_nearest(const char *id)
{
	const char *names[512];
	size_t n = 0;

	for (const struct licence *l; n < ARRAY_LEN(names) && (l = licence_at(n));)
		names[n++] = l->id;
	return str_nearest(id, names, n);
}

const char *licence_use_name(enum licence_use u)
{
	static const char *const names[] = { "unknown", "yes", "conditional", "no" };

	return names[u];
}

/* Ends `text` with the beginning of the name's SHA-256, so that two names stay two where their letters say the same. */
static void add_hash(char *text, size_t n, const char *name)
{
	char hex[DIGEST_HEX_MAX];
	struct digest d;

	digest_of(&d, DIGEST_SHA256, name, strlen(name));
	digest_hex(hex, &d);
	snprintf(text + n, HASH_DIGITS + 2, "%s%.*s", n && text[n - 1] != '-' ? "-" : "", HASH_DIGITS, hex);
}

static const char *after_other(const char *id)
{
	return strncasecmp(id, "other:", 6) ? id : id + 6;
}

/* SPDX takes letters, digits, '.' and '-'. */
void licence_spdx(const char *id, char out[LICENCE_ID_MAX])
{
	static const char prefix[] = "LicenseRef-";
	const size_t most = LICENCE_ID_MAX - sizeof(prefix) - HASH_DIGITS - 1;
	const struct licence *l = licence_find(id);
	bool same = true;
	size_t n = 0;
	char *name;

	if (l) {
		snprintf(out, LICENCE_ID_MAX, "%s", l->spdx);
		return;
	}
	memcpy(out, prefix, sizeof(prefix));
	name = out + sizeof(prefix) - 1;
	for (const char *p = after_other(id); *p && n < LICENCE_ID_MAX - sizeof(prefix); p++) {
		bool fits = ((*p & 0x80) == 0 && isalnum((unsigned char)*p)) || *p == '.' || *p == '-';

		name[n++] = fits ? *p : '-';
		same &= fits;
	}
	name[n] = 0;
	if (!same || !n)
		add_hash(name, n < most ? n : most, id);
}

/* --- written forms ---------------------------------------------------------------------------------------------------------------- */

/* Spellings that no rule below brings to an id. */
static const struct {
	const char *written, *id;
} spellings[] = {
	{ "apache", "apache-2.0" },	    { "bsd 3", "bsd-3-clause" },	 { "bsd 2", "bsd-2-clause" },	     { "new bsd", "bsd-3-clause" },
	{ "simplified bsd", "bsd-2-clause" }, { "lgpl 3 only", "lgpl-3.0" },	 { "gpl 3 or later", "gpl-3.0" },    { "gpl 2 or later", "gpl-2.0" },
	{ "agpl 3 or later", "agpl-3.0" },  { "lgpl 2.1 or later", "lgpl-2.1" }, { "lgpl 3 or later", "lgpl-3.0" },  { "cc 0", "cc0-1.0" },
	{ "cc0", "cc0-1.0" },		    { "expat", "mit" },			 { "general public 3", "gpl-3.0" },  { "general public 2", "gpl-2.0" },
	{ "affero general public 3", "agpl-3.0" }, { "lesser general public 3", "lgpl-3.0" }, { "boost", "bsl-1.0" }, { "mozilla public 2", "mpl-2.0" },
	{ "creative commons attribution 4 international", "cc-by-4.0" }, { "creative commons zero 1 universal", "cc0-1.0" }, { "public domain", "pddl" },
	{ "llama 2", "llama2" }, { "llama 3", "llama3" }, { "llama 3 community", "llama3" }, { "llama 3.1", "llama3.1" }, { "llama 3.2", "llama3.2" }, { "llama 3.3", "llama3.3" },
	{ "llama 4", "llama4" }, { "llama2 community", "llama2" }, { "llama3 community", "llama3" }, { "llama3.1 community", "llama3.1" }, { "llama3.2 community", "llama3.2" },
	{ "llama3.3 community", "llama3.3" }, { "llama4 community", "llama4" }, { "llama 3 1 community", "llama3.1" }, { "llama 3 2 community", "llama3.2" },
	{ "llama 3 3 community", "llama3.3" }, { "meta llama 3", "llama3" }, { "meta llama 3.1", "llama3.1" }, { "meta llama 3.2", "llama3.2" }, { "meta llama 3.3", "llama3.3" },
	{ "general public", "gpl" }, { "lesser general public", "lgpl" }, { "library general public", "lgpl" }, { "affero general public", "agpl-3.0" },
	{ "eclipse public 1", "epl-1.0" }, { "eclipse public 2", "epl-2.0" }, { "cc 0 1", "cc0-1.0" }, { "cc zero 1", "cc0-1.0" }, { "cc zero", "cc0-1.0" }, { "grok 2", "grok2-community" }, { "grok 2 community", "grok2-community" }, { "grok2", "grok2-community" },
	{ "tongyi qianwen", "other:qwen" }, { "tongyi qianwen research", "other:qwen-research" }, { "stabilityai community", "other:stabilityai-ai-community" },
	{ "stability ai community", "other:stabilityai-ai-community" }, { "stable community", "other:stabilityai-ai-community" }, { "tencent hunyuan", "other:hunyuan" },
	{ "hunyuan community", "other:hunyuan" }, { "tencent hunyuan a13b", "other:hunyuan" }, { "deepseek", "other:deepseek" }, { "modified mit", "other:modified-mit" },
	{ "kimi k2", "other:modified-mit" }, { "mistral ai research", "other:mrl" }, { "mistral ai non production", "other:mnpl" },
};

static bool filler(const char *token)
{
	static const char *const words[] = { "the", "license", "licence", "licensed", "agreement", "under", "version", "v", "gnu", "software", "a" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(token, words[i]))
			return true;
	return false;
}

/* Without a full stop behind it, and the "+" of "GPLv3+". */
static void end_token(char *token)
{
	size_t n = strlen(token);

	while (n > 1 && (token[n - 1] == '.' || (token[n - 1] == '+' && isdigit((unsigned char)token[n - 2]))))
		token[--n] = 0;
}

/* "v3" is "3", "gplv3" is "gpl 3", "2.0" is "2": what a token adds to the key. */
static void add_token(char *key, char *token)
{
	size_t n = strlen(token), at = strlen(key);
	char *digit = strpbrk(token, "0123456789");

	if (n > 2 && !strcmp(token + n - 2, ".0") && digit && strspn(token, "v0123456789.") == n)
		token[n - 2] = 0;
	if (token[0] == 'v' && isdigit((unsigned char)token[1]))
		token++;
	else if (digit && digit > token + 1 && digit[-1] == 'v' && isalpha((unsigned char)token[0]) && strspn(digit, "0123456789.") == strlen(digit)) {
		digit[-1] = 0;
		add_token(key, token);
		add_token(key, digit);
		return;
	}
	if (*token && !filler(token))
		snprintf(key + at, LICENCE_KEY_MAX - at, at ? " %s" : "%s", token);
}

/* "creative commons attribution non commercial 4 international public" to "cc by nc 4". */
static void shorten_creative_commons(char key[LICENCE_KEY_MAX])
{
	static const char *const words[][2] = {
		{ "attribution", " by" }, { "noncommercial", " nc" }, { "non commercial", " nc" }, { "sharealike", " sa" }, { "share alike", " sa" }, { "noderivatives", " nd" },
		{ "noderivs", " nd" }, { "no derivatives", " nd" }, { "no derivs", " nd" }, { "international", "" }, { "unported", "" }, { "generic", "" }, { "universal", "" },
		{ "public", "" }, { "domain", "" }, { "dedication", "" }, { "deed", "" }, { "legal code", "" }, { "legalcode", "" },
	};
	const char *rest = str_starts(key, "creative commons") ? key + 16 : str_starts(key, "cc") ? key + 2 : NULL;
	char out[LICENCE_KEY_MAX] = "cc";

	if (!rest || (*rest && *rest != ' '))
		return;
	while (*(rest += strspn(rest, " "))) {
		size_t n = strcspn(rest, " "), at = strlen(out), i;

		for (i = 0; i < ARRAY_LEN(words); i++)
			if (str_starts(rest, words[i][0]) && strchr(" ", rest[strlen(words[i][0])]))
				break;
		if (i < ARRAY_LEN(words)) {
			n = strlen(words[i][0]);
			snprintf(out + at, sizeof(out) - at, "%s", words[i][1]);
		} else {
			snprintf(out + at, sizeof(out) - at, " %.*s", (int)n, rest);
		}
		rest += n;
	}
	memcpy(key, out, sizeof(out));
}

/*
 * Lower case, words and numbers only, filler words left out: "Apache License, Version 2.0" and "apache-2.0" are both "apache 2". False for what may say more than
 * the key would: letters outside ASCII, or more than is read. "MIT" with a restriction in Chinese behind it is not MIT.
 */
bool licence_key(char key[LICENCE_KEY_MAX], const char *written)
{
	char copy[WRITTEN_MAX], *save = NULL;
	size_t n = 0;

	key[0] = 0;
	for (; *written; written++) {
		unsigned char c = (unsigned char)*written;

		if (c >= 0x80 || n + 1 == sizeof(copy))
			return false;
		copy[n++] = (char)(isalnum(c) || c == '.' || c == '+' ? tolower(c) : ' ');
	}
	copy[n] = 0;
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		end_token(t);
		add_token(key, t);
	}
	shorten_creative_commons(key);
	return *key;
}

const char *licence_normalise(const char *written)
{
	const struct licence *l = licence_find(written);
	char key[LICENCE_KEY_MAX];

	if (l)
		return l->id;
	if (!licence_key(key, written))
		return NULL;
	for (size_t i = 0; i < n_rows; i++)
		if (!strcmp(key, keys[i].id) || !strcmp(key, keys[i].spdx) || !strcmp(key, keys[i].name))
			return rows[i].id;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
		if (!strcmp(key, spellings[i].written))
			return spellings[i].id;
	return NULL;
}

/* --- one answer ------------------------------------------------------------------------------------------------------------------- */

static void conflict(struct licence_answer *out, const char *sentence)
{
	if (out->n_conflicts < LICENCE_CONFLICTS_MAX)
		out->conflicts[out->n_conflicts++] = sentence;
}

/*
 * "other:<name>" from license_name or free text; spaces become '-', other odd characters too. Where letters outside ASCII or what is beyond the length are left out, a
 * hash of the whole name stands for them.
 */
const char *licence_other_id(struct arena *a, const char *name)
{
	static const char prefix[] = "other:";
	char *id = arena_alloc(a, LICENCE_ID_MAX), *out = id + sizeof(prefix) - 1;
	bool whole = true;
	size_t n = 0;

	memcpy(id, prefix, sizeof(prefix));
	name = after_other(name);
	for (const char *p = name; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 0x80 || n == NAME_MAX_BYTES)
			whole = false;
		else
			out[n++] = (char)(isalnum(c) || strchr(".+-_", c) ? tolower(c) : '-');
	}
	out[n] = 0;
	if (!whole)
		add_hash(out, n < NAME_MAX_BYTES - HASH_DIGITS - 1 ? n : NAME_MAX_BYTES - HASH_DIGITS - 1, name);
	return id;
}

const char *licence_other_pattern(struct arena *a, const char *glob)
{
	char *pattern = arena_printf(a, "other:%s", after_other(glob));

	for (char *p = pattern + strlen("other:"); *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 0x80)
			return NULL;
		*p = (char)(isalnum(c) || strchr(".+-_*?[]!", c) ? tolower(c) : '-');
	}
	return pattern;
}

const char *licence_id(const char *written, struct arena *a)
{
	const struct licence *l;
	const char *known;

	for (size_t i = 0; (l = licence_at(i)); i++)
		if (!strcasecmp(l->id, written) || !strcasecmp(l->spdx, written))
			return l->id;
	if (after_other(written) == written)
		return NULL;
	known = licence_of_name(after_other(written), a);
	return known ? known : licence_other_id(a, written);
}

const char *licence_said(const char *license_name, struct arena *a)
{
	return license_name && *license_name ? licence_other_id(a, license_name) : NULL;
}

const char *licence_of_name(const char *name, struct arena *a)
{
	const char *id = name && *name ? licence_normalise(name) : NULL;
	const struct licence *l = id ? licence_find(id) : name ? licence_find(licence_other_id(a, name)) : NULL;

	return l && strcmp(l->id, "other") != 0 && strcmp(l->id, "unknown") != 0 ? l->id : NULL;
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

static enum licence_use use_of_id(const char *id)
{
	const struct licence *l = licence_find(id);

	return l ? l->commercial_use : LICENCE_UNKNOWN;
}

/* How much is forbidden: no > unknown > conditional > yes. */
static int strictness(enum licence_use u)
{
	static const int order[] = { [LICENCE_YES] = 0, [LICENCE_CONDITIONAL] = 1, [LICENCE_UNKNOWN] = 2, [LICENCE_NO] = 3 };

	return order[u];
}

/* How much of what is made from it must be under its own terms: 0 nothing. What is not known says nothing. */
static int copyleft_of(const char *id)
{
	static const char *const kinds[] = { "weak", "share-alike", "strong", "strong + network" };
	const struct licence *l = licence_find(id);
	int rank = 0;

	for (size_t i = 0; l && i < ARRAY_LEN(kinds); i++)
		if (str_starts(l->copyleft, kinds[i]))
			rank = (int)i + 1;
	return rank;
}

/* May what is made from it be shared with nobody? */
static bool forbids_derivatives(const char *id)
{
	const struct licence *l = licence_find(id);

	return l && str_starts(l->derivatives, "no ");
}

/* Does `id` allow commercially what `other` does not? */
static bool allows_more(const char *id, const char *other)
{
	return strictness(use_of_id(id)) < strictness(use_of_id(other));
}

/* Does it ask less of derivatives than `other`, which asks for its own terms? */
static bool drops_copyleft(const char *id, const char *other)
{
	return use_of_id(id) != LICENCE_UNKNOWN && copyleft_of(id) < copyleft_of(other);
}

/* Does `id` forbid anything that `other` allows? Of two licences each may, of other things. */
static bool forbids_more(const char *id, const char *other)
{
	return allows_more(other, id) || drops_copyleft(other, id) || (forbids_derivatives(id) && !forbids_derivatives(other));
}

/* An order, so that of several licences the same one counts whichever comes first: commercial use, then derivatives, then copyleft. */
bool licence_is_stricter(const char *id, const char *other)
{
	int mine = strictness(use_of_id(id)), theirs = strictness(use_of_id(other));

	if (mine != theirs)
		return mine > theirs;
	if (forbids_derivatives(id) != forbids_derivatives(other))
		return forbids_derivatives(id);
	return copyleft_of(id) > copyleft_of(other);
}

/* Is it one of the licences for which a family's name stands? "gpl" for gpl-3.0 and not for lgpl-3.0: the name stands alone between what are no letters. */
static bool is_of_family(const char *id, const char *family)
{
	const struct licence *f = licence_find(family);
	size_t n = strlen(family);

	for (const char *p = f && f->family ? id : ""; (p = strstr(p, family)); p++)
		if ((p == id || !isalpha((unsigned char)p[-1])) && !isalpha((unsigned char)p[n]))
			return true;
	return false;
}

/* "Public domain" is pddl by its name, and may be any of these. */
static bool is_public_domain(const char *id)
{
	return !strcmp(id, "pddl") || !strcmp(id, "cc0-1.0") || !strcmp(id, "unlicense");
}

/* Do two claims leave each other room: the same licence, or a family and one of it? */
static bool agree(const char *id, const char *other)
{
	return !strcmp(id, other) || is_of_family(id, other) || is_of_family(other, id) || (is_public_domain(id) && is_public_domain(other));
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
		if (named && is_of_family(named, id))
			id = named;	/* "cc", and by its name cc-by-4.0 */
		card_names(id, name, "", a, out);
		is_said |= named && agree(named, id);
	}
	if (named && !is_said)
		card_names(named, arena_strdup(a, c->card_name), "license_name ", a, out);
}

static void take_text(const struct licence_text *t, struct licence_answer *out)
{
	out->id = t->recognised;
	out->name = NULL;
	out->source = "text";
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

/* What one text says: it fills a gap, refines a family, or contradicts; then what is stricter counts, but for a person's word. */
static void from_text(const struct licence_text *t, struct arena *a, struct licence_answer *out)
{
	bool is_gap = !strcmp(out->id, "unknown") || !strcmp(out->id, "other") || names_better(t->recognised, out), is_none = !strcmp(out->source, "none");

	if (t->unread)
		conflict(out, arena_printf(a, "%s %s", t->path, t->unread));
	if (!t->recognised || (holds(t, out->id) && !forbids_more(t->recognised, out->id)))
		return;
	if (is_gap || is_of_family(t->recognised, out->id)) {
		take_text(t, out);
		return;
	}
	if (agree(out->id, t->recognised) || is_no_other(t->recognised, out))
		return;
	conflict(out, arena_printf(a, "%s says %s but %s is the text of %s", is_none ? "the model" : out->source, out->id, t->path, t->recognised));
	if (strcmp(out->source, "person") != 0 && licence_is_stricter(t->recognised, out->id))
		take_text(t, out);
}

/* Is a mention of a licence, or of its family in general ("cc-by-nc", "llama"), one of this licence? */
static bool is_about(const char *said, const char *id)
{
	size_t n = strlen(said);

	return agree(said, id) || (str_starts(id, said) && !isalpha((unsigned char)id[n]) && !(id[n] == '-' && isalpha((unsigned char)id[n + 1])));
}

/* What a short text speaks of that is neither this licence nor one that allows all that this one does; NULL: of nothing such. */
static const char *speaks_of_another(const struct licence_text *t, const char *id)
{
	for (size_t i = 0; i < t->n_said; i++)
		if (!is_about(t->said[i], id) && (!licence_find(t->said[i]) || forbids_more(t->said[i], id)))
			return t->said[i];
	return NULL;
}

/* Is a short text a word about this licence ("Licensed under Apache 2.0"), or nothing at all? */
static bool speaks_of(const struct licence_text *t, const char *id)
{
	if (!strcmp(t->notice, "-"))
		return true;
	for (size_t i = 0; i < t->n_said; i++)
		if (is_about(t->said[i], id))
			return use_of_id(id) != LICENCE_YES || !t->restricts;
	return false;
}

static bool is_expected(const struct licence_text *t)
{
	return (t->linked || licence_is_main_text(t->path)) && !t->unread && t->notice;
}

/* Where the model's own licence is expected a word about another one counts, too. */
static void from_words(const struct licence_text *t, struct arena *a, struct licence_answer *out)
{
	const char *another = is_expected(t) ? speaks_of_another(t, out->id) : NULL;

	if (another && strcmp(out->source, "none") != 0 && strcmp(out->id, "other") != 0 && (!t->recognised || holds(t, out->id)))
		conflict(out, arena_printf(a, "%s says %s but %s speaks of %s", out->source, out->id, t->path, another));
}

/* A claimed licence has a known text, and what stands where that is expected is another one, which nobody here knows. */
static void unknown_texts(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	const char *unknown = NULL;

	if (!strcmp(out->source, "person") || !licence_has_text(out->id))
		return;
	for (size_t i = 0; i < c->n_texts; i++) {
		const struct licence_text *t = &c->texts[i];

		if (holds(t, out->id))
			return;
		if (!unknown && !t->recognised && is_expected(t) && !speaks_of_another(t, out->id) && !speaks_of(t, out->id))
			unknown = t->path;
	}
	if (unknown)
		conflict(out, arena_printf(a, "%s is not the text of %s, nor any other that is known here", unknown, out->id));
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
			from_text(t, a, out);
	}
	for (size_t i = 0; i < c->n_texts; i++)
		from_words(&c->texts[i], a, out);
	unknown_texts(c, a, out);
}

/* Where nobody else says anything upstream's tags count, the strictest of them. */
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

static void against_tags(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	if (!strcmp(out->source, "none")) {
		from_tags(c, a, out);
		return;
	}
	for (size_t i = 0; i < c->n_tags && !strcmp(out->source, "card"); i++) {
		const char *known = licence_normalise(c->tags[i]), *id = known ? known : licence_other_id(a, c->tags[i]);

		if (strcmp(id, "other") != 0 && !agree(id, out->id) && !card_says(c, c->tags[i], id, a))
			conflict(out, arena_printf(a, "the card says %s but upstream's tag says %s", out->id, str_mend_utf8(arena_strndup(a, c->tags[i], strnlen(c->tags[i], WRITTEN_MAX)))));
	}
}

static void against_base(const struct licence_base *b, struct arena *a, struct licence_answer *out)
{
	if (b->unanswered)
		conflict(out, arena_printf(a, "the licence of its base model %s is not known: %s", b->repo, b->unanswered));
	if (!b->license || !strcmp(b->license, "unknown"))
		return;
	if (forbids_derivatives(b->license))
		conflict(out, arena_printf(a, "%s, the licence of its base model %s, does not let derivatives be shared", b->license, b->repo));
	if (!strcmp(b->license, out->id))
		return;
	if (allows_more(out->id, b->license))
		conflict(out, arena_printf(a, "%s is looser than %s, the licence of its base model %s", out->id, b->license, b->repo));
	else if (drops_copyleft(out->id, b->license))
		conflict(out, arena_printf(a, "%s drops the copyleft of %s, the licence of its base model %s", out->id, b->license, b->repo));
}

static void against_bases(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	for (size_t i = 0; i < c->n_bases; i++)
		if (!c->repo || strcasecmp(c->bases[i].repo, c->repo) != 0)
			against_base(&c->bases[i], a, out);
}

void licence_resolve(const struct licence_claims *c, struct arena *a, struct licence_answer *out)
{
	char spdx[LICENCE_ID_MAX];

	*out = (struct licence_answer){ .id = "unknown", .source = "none" };
	from_card(c, a, out);
	if (c->chosen && *c->chosen) {
		const char *id = licence_normalise(c->chosen);

		const char *said = strcmp(out->source, "card") ? NULL : out->id;

		out->name = id ? NULL : arena_strdup(a, c->chosen);
		out->id = id ? id : licence_other_id(a, c->chosen);
		out->source = "person";
		if (said && forbids_more(said, out->id))
			conflict(out, arena_printf(a, "a person says %s but the card says %s", out->id, said));
	}
	from_texts(c, a, out);
	against_tags(c, a, out);
	against_bases(c, a, out);
	out->commercial_use = use_of_id(out->id);
	licence_spdx(out->id, spdx);
	out->spdx = arena_strdup(a, spdx);
}
