/*
 * licence_text.c - which licence a text is. Two ways: the fixed parts of a known text, found by their first words and proven by their SHA-256
 * (schema/licence_texts.csv, made by script/licence-texts); else, for agreements whose text is known by title only, that title near the
 * beginning. Before both, a text is reduced to its letters and digits in lower case, so that line breaks, marks and copyright lines before
 * the body do not matter.
 */
#include <ctype.h>
#include <pthread.h>

#include "base/embed.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "verify/digest.h"

#define TEXT_MAX_BYTES	((size_t)1 << 20)	/* no licence is longer; the rest is not looked at */
#define TITLE_WITHIN	((size_t)400)		/* reduced characters in which a title must begin */
#define ANCHOR_TRIES	16			/* places in one text where a body may begin */

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

/* Reduced titles; more specific ones first. */
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

static char *reduce(const char *text, size_t n, size_t *out_n)
{
	char *out;
	size_t at = 0;

	n = n < TEXT_MAX_BYTES ? n : TEXT_MAX_BYTES;
	out = mem_zalloc(n * 4 + 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x80 && isalnum(c)) {
			out[at++] = (char)tolower(c);
		} else if (c == '+') {
			memcpy(out + at, "plus", 4);
			at += 4;
		}
	}
	*out_n = at;
	return out;
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

/* Does the text whose n parts these are stand in this one, anywhere? */
static bool matches(const struct fingerprint *p, size_t n, const char *text, const char *end)
{
	const char *at = text;

	for (int tries = 0; tries < ANCHOR_TRIES && (at = strstr(at, p->anchor)); tries++, at++)
		if (is_part(p, at, end) && parts_follow(p, n, at + p->length, end))
			return true;
	return false;
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

const char *licence_recognise(const char *text, size_t n)
{
	size_t reduced_n;
	own(mem) char *reduced = reduce(text, n, &reduced_n);

	pthread_once(&once, load);
	for (size_t i = 0; i < ARRAY_LEN(riders); i++)
		if (strstr(reduced, riders[i].words))
			return riders[i].id;
	for (size_t i = 0; i < n_prints; i += n_parts(i))
		if (matches(&prints[i], n_parts(i), reduced, reduced + reduced_n))
			return is_taken_back(prints[i].id, reduced) ? "other:with-restrictions" : prints[i].id;
	for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
		const char *at = strstr(reduced, titles[i].title);

		if (at && (size_t)(at - reduced) <= TITLE_WITHIN)
			return titles[i].id;
	}
	return NULL;
}

bool licence_has_text(const char *id)
{
	pthread_once(&once, load);
	for (size_t i = 0; i < n_prints; i++)
		if (!strcmp(prints[i].id, id))
			return true;
	return false;
}

const char *licence_notice(const char *text, size_t n, struct arena *a)
{
	size_t reduced_n;
	own(mem) char *reduced = reduce(text, n, &reduced_n);

	if (reduced_n > LICENCE_NOTICE_MAX)
		return "";
	return reduced_n ? arena_strdup(a, reduced) : "-";
}
