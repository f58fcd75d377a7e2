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
};

/* Reduced words by which a text takes back what a permissive licence in it gives. */
static const char *const restrictions[] = {
	"commercialuseisprohibited", "commercialuseprohibited", "commercialuseisnotallowed", "commercialuseisnotpermitted", "commercialuseisforbidden", "notforcommercialuse",
	"notbeusedforcommercial", "nocommercialuse", "noncommercialuseonly", "fornoncommercialpurposesonly", "researchpurposesonly", "forresearchuseonly",
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

/* The letters and digits of a text; begins_line[i]: text[i] is the first one of its line, or behind a mark of HTML. */
struct reduced {
	char *text;
	bool *begins_line;
	size_t n;
};

static void own_reduced(struct reduced *r)
{
	free(r->text);
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

	*r = (struct reduced){ mem_zalloc(most), mem_zalloc(most), 0 };
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

/* Where the text whose n parts these are begins in this one; NULL when it does not stand in it. */
static const char *find_text(const struct fingerprint *p, size_t n, const struct reduced *r)
{
	const char *at = r->text, *end = r->text + r->n;

	for (int tries = 0; tries < ANCHOR_TRIES && (at = strstr(at, p->anchor)); tries++, at++)
		if (is_part(p, at, end) && parts_follow(p, n, at + p->length, end))
			return at;
	return NULL;
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

static bool is_taken_back(const char *id, const char *reduced)
{
	const struct licence *l = licence_find(id);

	for (size_t i = 0; l && l->permissive && i < ARRAY_LEN(restrictions); i++)
		if (strstr(reduced, restrictions[i]))
			return true;
	return false;
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

static void find_all(const struct reduced *r, struct found_list *out)
{
	pthread_once(&once, load);
	for (size_t i = 0; i < n_prints; i += n_parts(i))
		note(out, prints[i].id, find_text(&prints[i], n_parts(i), r));
	for (size_t i = 0; i < ARRAY_LEN(titles); i++)
		note(out, titles[i].id, find_title(titles[i].title, r));
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

/* One SPDX expression: ids with AND or OR between them, and exceptions behind WITH. */
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
		if (!is_word(p, n, "and") && !is_word(p, n, "or"))
			return;
		p += n;
	}
}

static void find_identifiers(const char *text, size_t n, const char *at, struct arena *a, struct found_list *out)
{
	static const char tag[] = "SPDX-License-Identifier";
	const char *end = text + n;

	for (const char *p = text; out->n < FOUND_MAX && (p = memmem(p, (size_t)(end - p), tag, sizeof(tag) - 1));) {
		const char *line = memchr(p, '\n', (size_t)(end - p));

		p += sizeof(tag) - 1;
		read_expression(p, line ? line : end, at, a, out);
	}
}

static const char *recognise(const struct reduced *r, const struct found_list *found)
{
	const char *id = strictest(found);

	for (size_t i = 0; i < ARRAY_LEN(riders); i++)
		if (strstr(r->text, riders[i].words))
			return riders[i].id;
	return id && is_taken_back(id, r->text) ? "other:with-restrictions" : id;
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
