/* licence_id.c - from a written form of a licence's name to its id, and to its SPDX id. */
#include "catalog/licence.h"

#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"
#include "verify/digest.h"

#define WRITTEN_MAX    200
#define NAME_MAX_BYTES (LICENCE_ID_MAX - 16)	/* of an id made from a name */
#define HASH_DIGITS    16

/* --- written forms ---------------------------------------------------------------------------------------------------------------- */

/* Spellings that no rule below brings to an id. */
static const struct {
	const char *written, *id;
} spellings[] = {
	{ "apache", "apache-2.0" },	    { "bsd 3", "bsd-3-clause" },	 { "bsd 2", "bsd-2-clause" },	     { "new bsd", "bsd-3-clause" }, { "3 clause bsd", "bsd-3-clause" }, { "2 clause bsd", "bsd-2-clause" }, { "creativeml open rail m", "creativeml-openrail-m" },
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
	{ "sspl", "other:sspl-1.0" }, { "server side public", "other:sspl-1.0" }, { "busl", "other:busl-1.1" }, { "business source", "other:busl-1.1" }, { "bsl 1.1", "other:busl-1.1" },
	{ "el 2", "other:elastic-2.0" }, { "gemma2", "gemma" }, { "gemma 2", "gemma" }, { "gemma3", "gemma" }, { "gemma 3", "gemma" }, { "llama31", "llama3.1" }, { "llama32", "llama3.2" }, { "llama33", "llama3.3" },
	{ "kimi k2", "other:modified-mit" }, { "mistral ai research", "other:mrl" }, { "mistral ai non production", "other:mnpl" },
	{ "mrl 0.1", "other:mrl" }, { "mnpl 0.1", "other:mnpl" },
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

/* "apache2", "gpl3.0": a family's letters right before a version. */
static bool is_family_before(const char *token, const char *digit)
{
	static const char *const families[] = { "apache", "bsd", "mit", "gpl", "lgpl", "agpl", "mpl", "epl", "eupl", "ofl", "afl", "by", "sa", "nd", "nc" };

	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (strlen(families[i]) == (size_t)(digit - token) && str_starts(token, families[i]))
			return strspn(digit, "0123456789.") == strlen(digit);
	return false;
}

/* Bytes of "by", "nc" and the like at the begin of "ccbync4.0" or "byncsa", in which nothing but a version stands behind two or more of them; 0: it is none. */
static size_t joined_parts(const char *token)
{
	size_t n = 0;

	for (; str_starts(token + n, "cc") || str_starts(token + n, "by") || str_starts(token + n, "nc") || str_starts(token + n, "sa") || str_starts(token + n, "nd"); n += 2)
		;
	return n > 2 && strspn(token + n, "0123456789.") == strlen(token + n) ? n : 0;
}

/* "v3" is "3", "gplv3" and "gpl3" are "gpl 3", "2.0" is "2": what a token adds to the key. */
static void add_token(char *key, char *token)
{
	size_t n = strlen(token), at = strlen(key);
	char *digit = strpbrk(token, "0123456789");
	size_t joined = joined_parts(token);

	for (size_t i = 0; i < joined; i += 2, at = strlen(key))
		snprintf(key + at, LICENCE_KEY_MAX - at, at ? " %.2s" : "%.2s", token + i);
	if (joined) {
		add_token(key, token + joined);
		return;
	}
	if (digit && is_family_before(token, digit)) {
		snprintf(key + at, LICENCE_KEY_MAX - at, at ? " %.*s" : "%.*s", (int)(digit - token), token);
		add_token(key, digit);
		return;
	}

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
	const char *id;
	char key[LICENCE_KEY_MAX];

	if (l)
		return l->id;
	if (!licence_key(key, written))
		return NULL;
	id = licence_of_key(key);
	for (size_t i = 0; i < ARRAY_LEN(spellings) && !id; i++)
		if (!strcmp(key, spellings[i].written))
			id = spellings[i].id;
	return id;
}

/* --- licences that the table does not have ---------------------------------------------------------------------------------------- */

/* Ends `text` with the beginning of the name's SHA-256, so that two names stay two where their letters say the same. */
static void add_hash(char *text, size_t n, const char *name)
{
	char hex[DIGEST_HEX_MAX];
	struct digest d;

	digest_of(&d, DIGEST_SHA256, name, strlen(name));
	digest_hex(hex, &d);
	snprintf(text + n, HASH_DIGITS + 2, "%s%.*s", n && text[n - 1] != '-' ? "-" : "", HASH_DIGITS, hex);
}

/* "other:acme" and SPDX's "LicenseRef-Acme" are two ways to write one name. */
static const char *after_other(const char *id)
{
	static const char own[] = "LicenseRef-";

	if (!strncasecmp(id, "other:", 6))
		id += 6;
	return strncasecmp(id, own, sizeof(own) - 1) != 0 || !id[sizeof(own) - 1] ? id : id + sizeof(own) - 1;
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
