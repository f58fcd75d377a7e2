/*
 * licence_text.c - which licence a text is. Two ways: the fixed parts of a known text, found by their first words and proven by their SHA-256
 * (schema/licence_texts.csv, made by script/licence-texts); and, for agreements whose text is known by title only, that title near the
 * beginning or at the begin of a line. Before both, a text is reduced to its letters and digits in lower case, so that line breaks, marks and
 * copyright lines before the body do not matter. One file may hold several: the strictest counts.
 */
#include <ctype.h>
#include <pthread.h>

#include "base/embed.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "verify/digest.h"

#define TITLE_WITHIN	((size_t)400)		/* reduced characters in which a title may stand anywhere */
#define ANCHOR_TRIES	256			/* places in one text where a body may begin */
#define FOUND_MAX	64			/* licences in one text */
#define NAME_WITHIN	((size_t)160)		/* reduced characters of a text that may be nothing but a licence's name */

/* One part of a known text. Parts of one text follow each other, number 0 first. */
struct fingerprint {
	const char *id, *anchor;
	uint64_t part, gap, length;	/* gap: reduced characters at most between it and the part before: a name, the mark of a list */
	struct digest sha256;
};

static struct fingerprint *prints;
static size_t n_prints, cap_prints;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Reduced conditions that are put on top of a known text, wherever they stand: with one it is another licence. */
static const struct {
	const char *words, *id;
} riders[] = {
	{ "commonsclauselicensecondition", "other:commons-clause" },
	{ "subjecttothecommonsclause", "other:commons-clause" },
	{ "modifiedmitlicense", "other:modified-mit" },
	{ "shallbeusedforgoodnotevil", "other:json" },
};

/* Reduced words by which a text takes back commercial use: the one, and at most so many characters behind it the other. */
static const struct {
	const char *words, *then;
	size_t gap;
} restrictions[] = {
	{ "commercialuse", "prohibited", 60 },	{ "commercialuse", "notallowed", 60 },	   { "commercialuse", "notpermitted", 60 },	 { "commercialuse", "forbidden", 60 },
	{ "commercialuse", "requires", 30 },	{ "commercialpurpose", "prohibited", 40 }, { "commercialpurpose", "notallowed", 40 },	 { "commercialpurpose", "notpermitted", 40 },
	{ "commercialpurpose", "forbidden", 40 }, { "notuse", "commercial", 60 },	   { "notbeused", "commercial", 60 },		 { "notfor", "commercial", 20 },
	{ "notlicensed", "commercial", 30 },	{ "notpermitted", "commercial", 40 },	   { "notallowed", "commercial", 40 },		 { "prohibited", "commercial", 40 },
	{ "nocommercial", "", 0 },		{ "academic", "only", 20 },		   { "onlyfor", "academic", 20 },		 { "research", "only", 12 },
	{ "onlyfor", "research", 16 },		{ "solelyfor", "research", 16 },	   { "educational", "only", 12 },		 { "evaluation", "only", 12 },
	{ "personaluse", "only", 4 },		{ "monthlyactiveusers", "", 0 },
};

/* Reduced sentences that a licence prescribes for what is given on under it; they count wherever they stand. */
static const struct {
	const char *words, *id;
} sentences[] = {
	{ "licensedunderthellama4communitylicense", "llama4" },
	{ "licensedunderthellama33communitylicense", "llama3.3" },
	{ "licensedunderthellama32communitylicense", "llama3.2" },
	{ "licensedunderthellama31communitylicense", "llama3.1" },
	{ "licensedunderthemetallama3communitylicense", "llama3" },
	{ "licensedunderthellama2communitylicense", "llama2" },
	{ "gemmaisprovidedunderandsubjecttothegemmatermsofuse", "gemma" },
	{ "licensedundertheqwenresearchlicense", "other:qwen-research" },
	{ "licensedundertheqwenlicense", "other:qwen" },
	{ "licensedunderthestabilityaicommunitylicense", "other:stabilityai-ai-community" },
	{ "licensedunderthetencenthunyuancommunitylicense", "other:hunyuan" },
	{ "underthenvidiaopenmodellicense", "other:nvidia-open-model-license" },
	{ "undertheflux1devnoncommerciallicense", "other:flux-1-dev-non-commercial-license" },
	{ "licensedundertheapplemachinelearningresearchmodellicense", "apple-amlr" },
};

/* Reduced titles. */
static const struct {
	const char *title, *id;
} titles[] = {
	{ "llama4communitylicenseagreement", "llama4" },
	{ "llama33communitylicenseagreement", "llama3.3" },
	{ "llama32communitylicenseagreement", "llama3.2" },
	{ "llama31communitylicenseagreement", "llama3.1" },
	{ "metallama3communitylicenseagreement", "llama3" },
	{ "llama2communitylicenseagreement", "llama2" },
	{ "gemmatermsofuse", "gemma" },
	{ "grok2communitylicenseagreement", "grok2-community" },
	{ "creativemlopenrailplusplusm", "openrail++" },
	{ "creativemlopenrailm", "creativeml-openrail-m" },
	{ "bigcodeopenrailm", "bigcode-openrail-m" },
	{ "bigscienceopenrailm", "bigscience-openrail-m" },
	{ "bigsciencerailicense", "bigscience-bloom-rail-1.0" },
	{ "bigsciencerailicensev10", "bigscience-bloom-rail-1.0" },
	{ "openmdwlicenseagreementversion11", "openmdw-1.1" },
	{ "openmdwlicenseagreementversion10", "openmdw-1.0" },
	{ "qwenresearchlicenseagreement", "other:qwen-research" },
	{ "tongyiqianwenresearchlicenseagreement", "other:qwen-research" },
	{ "qwenlicenseagreement", "other:qwen" },
	{ "tongyiqianwenlicenseagreement", "other:qwen" },
	{ "deepseeklicenseagreement", "other:deepseek" },
	{ "mistralainonproductionlicense", "other:mnpl" },
	{ "mistralairesearchlicense", "other:mrl" },
	{ "falconllmlicense", "other:falcon-llm-license" },
	{ "stabilityaicommunitylicenseagreement", "other:stabilityai-ai-community" },
	{ "flux1devnoncommerciallicense", "other:flux-1-dev-non-commercial-license" },
	{ "nvidiaopenmodellicense", "other:nvidia-open-model-license" },
	{ "exaoneaimodellicenseagreement", "other:exaone" },
	{ "tencenthunyuancommunitylicenseagreement", "other:hunyuan" },
	{ "applemachinelearningresearchmodellicenseagreement", "apple-amlr" },
	{ "fairnoncommercialresearchlicense", "fair-noncommercial-research-license" },
	{ "deepfloydiflicenseagreement", "deepfloyd-if-license" },
	{ "intelresearchuselicenseagreement", "intel-research" },
	{ "llama4acceptableusepolicy", "llama4" },
	{ "llama33acceptableusepolicy", "llama3.3" },
	{ "llama32acceptableusepolicy", "llama3.2" },
	{ "llama31acceptableusepolicy", "llama3.1" },
	{ "metallama3acceptableusepolicy", "llama3" },
	{ "llama2acceptableusepolicy", "llama2" },
};

static void load(void)
{
	const struct embedded *f = licence_file("licence_texts.csv");
	char *text = mem_strndup(f->data, f->size_bytes), *save = NULL;

	strtok_r(text, "\n", &save);	/* the column names */
	for (char *line; (line = strtok_r(NULL, "\n", &save));) {
		char *fields[6];
		struct fingerprint *p = vec_push(&prints, &n_prints, &cap_prints);

		if (licence_csv_row(line, fields, 6) != 6 || str_parse_u64(fields[1], &p->part, NULL) < 0 || str_parse_u64(fields[2], &p->gap, NULL) < 0 ||
		    str_parse_u64(fields[4], &p->length, NULL) < 0 || digest_parse(&p->sha256, DIGEST_SHA256, fields[5], NULL) < 0)
			abort();	/* built in, and a test reads it */
		p->id = fields[0];
		p->anchor = fields[3];
	}
}

/* The letters and digits of a text; begins_line[i]: text[i] is the first one of its line, or behind a mark of HTML. rest: the same with blanks for known texts. */
struct reduced {
	char *text, *rest;
	bool *begins_line;
	size_t n;
};

static void own_reduced(struct reduced *r)
{
	free(r->text);
	free(r->rest);
	free(r->begins_line);
}

static size_t count_pluses(const char *text, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += text[i] == '+';
	return found;
}

static void reduce(struct reduced *r, const char *text, size_t n)
{
	size_t most = n + 3 * count_pluses(text, n) + 1;
	bool begins = true;

	*r = (struct reduced){ .text = mem_zalloc(most), .begins_line = mem_zalloc(most) };
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n' || c == '\r' || c == '>')
			begins = true;
		if (c != '+' && (c >= 0x80 || !isalnum(c)))
			continue;
		r->begins_line[r->n] = begins;
		begins = false;
		if (c == '+') {
			memcpy(r->text + r->n, "plus", 4);
			r->n += 4;
		} else {
			r->text[r->n++] = (char)tolower(c);
		}
	}
	r->rest = mem_strndup(r->text, r->n);
}

/* Does this part begin at `at`? */
static bool is_part(const struct fingerprint *p, const char *at, const char *end)
{
	struct digest d;

	if (p->length > (size_t)(end - at))
		return false;
	digest_of(&d, DIGEST_SHA256, at, p->length);
	return digest_equal(&d, &p->sha256);
}

/* The parts behind the first one, from `at` on. */
static bool parts_follow(const struct fingerprint *p, size_t n, const char *at, const char *end)
{
	for (size_t i = 1; i < n; i++) {
		const char *found = strstr(at, p[i].anchor);

		if (!found || (uint64_t)(found - at) > p[i].gap || !is_part(&p[i], found, end))
			return false;
		at = found + p[i].length;
	}
	return true;
}

/* The parts stand at `at`: what is not theirs remains. */
static void blank(struct reduced *r, const struct fingerprint *p, size_t n, const char *at)
{
	for (size_t i = 0; i < n; i++) {
		at = i ? strstr(at, p[i].anchor) : at;
		memset(r->rest + (at - r->text), ' ', p[i].length);
		at += p[i].length;
	}
}

/* Where the text whose n parts these are begins in this one; NULL when it does not stand in it. */
static const char *find_text(const struct fingerprint *p, size_t n, struct reduced *r)
{
	const char *at = r->text, *end = r->text + r->n, *first = NULL;

	for (int tries = 0; tries < ANCHOR_TRIES && (at = strstr(at, p->anchor)); tries++, at++) {
		if (!is_part(p, at, end) || !parts_follow(p, n, at + p->length, end))
			continue;
		blank(r, p, n, at);
		first = first ? first : at;
	}
	return first;
}

/* Where a title stands as one does; what is said in passing, further on, is none. */
static const char *find_title(const char *title, const struct reduced *r)
{
	for (const char *at = r->text; (at = strstr(at, title)); at++)
		if ((size_t)(at - r->text) <= TITLE_WITHIN || r->begins_line[at - r->text])
			return at;
	return NULL;
}

/* How many parts the text has whose first one is i. */
static size_t n_parts(size_t i)
{
	size_t n = 1;

	while (i + n < n_prints && prints[i + n].part)
		n++;
	return n;
}

/* Does "noncommercial" at `at` stand beside "commercial", as one of two that are both allowed, or in the GPL's words about offers of source? */
static bool is_harmless(const char *text, const char *at)
{
	static const char *const before[] = { "commercial", "commercialor", "commercialand", "commercialuseor", "commerciallyor", "commerciallyand",
					      "thisalternativeisallowedonlyfor", "thisalternativeisallowedonlyoccasionallyand" };
	static const char *const behind[] = { "orcommercial", "andcommercial", "lyorcommercial", "lyandcommercial", "useorcommercial", "useandcommercial" };

	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		size_t n = strlen(before[i]);

		if ((size_t)(at - text) >= n && !memcmp(at - n, before[i], n))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(behind); i++)
		if (str_starts(at + strlen("noncommercial"), behind[i]))
			return true;
	return false;
}

/* Does `then` begin at most `gap` characters behind `at`? */
static bool follows(const char *at, const char *then, size_t gap)
{
	return memmem(at, strnlen(at, gap + strlen(then)), then, strlen(then)) != NULL;
}

bool licence_restricts(const char *reduced)
{
	for (const char *at = reduced; (at = strstr(at, "noncommercial")); at++)
		if (!is_harmless(reduced, at))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(restrictions); i++)
		for (const char *at = reduced; (at = strstr(at, restrictions[i].words));)
			if (follows(at += strlen(restrictions[i].words), restrictions[i].then, restrictions[i].gap))
				return true;
	return false;
}

static bool is_taken_back(const char *id, const struct reduced *r)
{
	const struct licence *l = licence_find(id);

	return l && l->commercial_use == LICENCE_YES && licence_restricts(r->rest);
}

struct found {
	const char *id, *at;
};

struct found_list {
	struct found v[FOUND_MAX];
	size_t n;
};

static void note(struct found_list *l, const char *id, const char *at)
{
	if (at && l->n < FOUND_MAX)
		l->v[l->n++] = (struct found){ id, at };
}

static bool is_found(const struct found_list *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].id, id))
			return true;
	return false;
}

/* The LGPL adds permissions to the GPL and comes with its text. */
static bool is_part_of_another(const struct found_list *l, const char *id)
{
	return !strcmp(id, "gpl-3.0") && is_found(l, "lgpl-3.0");
}

static const char *strictest(const struct found_list *l)
{
	const struct found *best = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const struct found *f = &l->v[i];

		if (is_part_of_another(l, f->id))
			continue;
		if (!best || licence_is_stricter(f->id, best->id) || (!licence_is_stricter(best->id, f->id) && f->at < best->at))
			best = f;
	}
	return best ? best->id : NULL;
}

static void find_all(struct reduced *r, struct found_list *out)
{
	pthread_once(&once, load);
	for (size_t i = 0; i < n_prints; i += n_parts(i))
		note(out, prints[i].id, find_text(&prints[i], n_parts(i), r));
	for (size_t i = 0; i < ARRAY_LEN(titles); i++)
		note(out, titles[i].id, find_title(titles[i].title, r));
	for (size_t i = 0; i < ARRAY_LEN(sentences); i++)
		note(out, sentences[i].id, strstr(r->text, sentences[i].words));
}

static size_t token_length(const char *p, const char *end)
{
	size_t n = 0;

	while (p + n < end && (isalnum((unsigned char)p[n]) || strchr(".+-", p[n])) && p[n])
		n++;
	return n;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && *p && strchr(" \t()\"'=:", *p))
		p++;
	return p;
}

static bool is_word(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && !strncasecmp(p, word, n);
}

/* One SPDX expression: ids with AND or OR between them, or what people write instead, and exceptions behind WITH. */
static void read_expression(const char *p, const char *end, const char *at, struct arena *a, struct found_list *out)
{
	for (int ids = 0; ids < FOUND_MAX; ids++) {
		size_t n = token_length(p = skip_blanks(p, end), end);
		const char *name, *id;

		if (!n || !isalnum((unsigned char)*p))
			return;
		name = arena_strndup(a, p, n);
		id = licence_normalise(name);
		note(out, id ? id : licence_other_id(a, str_starts(name, "LicenseRef-") ? name + strlen("LicenseRef-") : name), at);
		n = token_length(p = skip_blanks(p + n, end), end);
		if (is_word(p, n, "with")) {
			p = skip_blanks(p + n, end);
			p = skip_blanks(p + token_length(p, end), end);
			n = token_length(p, end);
		}
		if (!is_word(p, n, "and") && !is_word(p, n, "or") && (n || p == end || !*p || !strchr(",;/|&", *p)))
			return;
		p += n ? n : 1;
	}
}

static void find_identifiers(const char *text, size_t n, const char *at, struct arena *a, struct found_list *out)
{
	static const char tag[] = "SPDX-License-Identifier";
	const char *end = text + n;

	for (const char *p = text; out->n < FOUND_MAX && (size_t)(end - p) >= sizeof(tag) - 1; p++) {
		if (strncasecmp(p, tag, sizeof(tag) - 1) != 0)
			continue;
		const char *line = memchr(p, '\n', (size_t)(end - p));

		read_expression(p + sizeof(tag) - 1, line ? line : end, at, a, out);
	}
}

/* Is it a line that says nothing of the licence's name? */
static bool is_beside_name(const char *line)
{
	static const char *const begins[] = { "copyright", "(c)", "\xc2\xa9", "all rights reserved", "http://", "https://" };

	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (!strncasecmp(line, begins[i], strlen(begins[i])))
			return true;
	return false;
}

/* A text that is nothing but a licence's name, but for copyright lines and where its text is. */
static void find_name(const char *text, size_t n, const struct reduced *r, struct arena *a, struct found_list *out)
{
	char *lines = r->n && r->n <= NAME_WITHIN ? arena_strndup(a, text, n) : NULL, *save = NULL;
	const char *name = "", *id;

	for (char *line = lines ? strtok_r(lines, "\r\n", &save) : NULL; line; line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t#*=->");
		if (!is_beside_name(line))
			name = arena_printf(a, "%s %s", name, line);
	}
	id = licence_normalise(name);
	if (id && strcmp(id, "other") != 0 && strcmp(id, "unknown") != 0)
		note(out, id, r->text);
}

static const char *recognise(const struct reduced *r, const struct found_list *found)
{
	const char *id = strictest(found);

	for (size_t i = 0; i < ARRAY_LEN(riders); i++)
		if (strstr(r->text, riders[i].words))
			return riders[i].id;
	return id && is_taken_back(id, r) ? "other:with-restrictions" : id;
}

static const char *notice(const struct reduced *r, struct arena *a)
{
	if (r->n > LICENCE_NOTICE_MAX)
		return "";
	return r->n ? arena_strdup(a, r->text) : "-";
}

void licence_read_text(const char *text, size_t n, struct arena *a, struct licence_text *out)
{
	struct found_list found = { .n = 0 };
	own(reduced) struct reduced r;
	const char **all;

	reduce(&r, text, n);
	find_all(&r, &found);
	find_identifiers(text, n, r.text, a, &found);
	find_name(text, n, &r, a, &found);
	all = arena_alloc(a, found.n * sizeof(*all) + 1);
	for (size_t i = 0; i < found.n; i++)
		all[i] = found.v[i].id;
	out->recognised = recognise(&r, &found);
	out->all = all;
	out->n_all = found.n;
	out->notice = notice(&r, a);
}

bool licence_has_text(const char *id)
{
	pthread_once(&once, load);
	for (size_t i = 0; i < n_prints; i++)
		if (!strcmp(prints[i].id, id))
			return true;
	return false;
}
