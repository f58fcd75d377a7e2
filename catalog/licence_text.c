/*
 * licence_text.c - which licence a text is. Two ways: the fixed part of a known text, found by its first words and proven by its SHA-256
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

struct fingerprint {
	const char *id, *anchor;
	uint64_t length;
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
		char *fields[4];
		struct fingerprint *p = vec_push(&prints, &n_prints, &cap_prints);

		if (licence_csv_row(line, fields, 4) != 4 || str_parse_u64(fields[2], &p->length, NULL) < 0 ||
		    digest_parse(&p->sha256, DIGEST_SHA256, fields[3], NULL) < 0)
			abort();	/* built in, and a test reads it */
		p->id = fields[0];
		p->anchor = fields[1];
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

/* Does the fixed part stand in the text, anywhere? */
static bool matches(const struct fingerprint *p, const char *text, size_t n)
{
	const char *at = text;
	struct digest d;

	for (int tries = 0; tries < ANCHOR_TRIES && (at = strstr(at, p->anchor)); tries++, at++) {
		if (p->length > n - (size_t)(at - text))
			return false;
		digest_of(&d, DIGEST_SHA256, at, p->length);
		if (digest_equal(&d, &p->sha256))
			return true;
	}
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
	for (size_t i = 0; i < n_prints; i++)
		if (matches(&prints[i], reduced, reduced_n))
			return prints[i].id;
	for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
		const char *at = strstr(reduced, titles[i].title);

		if (at && (size_t)(at - reduced) <= TITLE_WITHIN)
			return titles[i].id;
	}
	return NULL;
}
