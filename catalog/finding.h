/*
 * finding.h - evidence about a revision: what the inspection found in each file, what the smoke test measured, and what was decided and why.
 */
#ifndef CATALOG_FINDING_H
#define CATALOG_FINDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "catalog/db.h"

#define FINDING_MAX	    1000	/* findings kept a revision; a last one says how many were left out */
#define FINDING_MESSAGE_MAX 1000	/* bytes, cut */

enum finding_severity {
	FINDING_ACCEPT,	/* looked at, nothing to say */
	FINDING_FLAG,	/* could not be judged, or odd: holds */
	FINDING_REJECT,	/* malformed or malicious: rejects */
};
const char *finding_severity_name(enum finding_severity s);
int finding_severity_parse(enum finding_severity *out, const char *name, struct err *e);

struct finding {
	const char *path;	/* "" concerns the revision as a whole */
	const char *rule;	/* "pickle-global" */
	enum finding_severity severity;
	const char *message;
};

/* One weight file was inspected, and this is the verdict: the worst severity of its findings. */
struct finding_file {
	const char *path;
	enum finding_severity verdict;
	const char *format;	/* what it really is, as the inspector says: "safetensors" */
};

/*
 * Replaces the revision's evidence from one inspector ("inspect", "proof", "card", "smoke", "reference"): the files it looked at and what it found, in one
 * transaction. `complete` says that the inspector came to its end; an incomplete one leaves its files uninspected, which holds.
 */
int finding_record(struct db *db, int64_t revision_id, const char *inspector, const struct finding_file *files, size_t n_files,
		   const struct finding *findings, size_t n_findings, bool complete, int64_t now, struct err *e);
int finding_list(struct db *db, int64_t revision_id, struct arena *a, struct finding **out, size_t *n, struct err *e);

/* --- smoke runs --------------------------------------------------------------------------------------------------------------------- */

struct finding_smoke {
	const char *verdict;		/* "pass", "fail", "not_run", "error" */
	const char *device;		/* "cpu", "cuda:0 NVIDIA …" or NULL */
	double bits_per_byte;		/* NAN when the forward pass did not run */
	int64_t prompt_tokens;
	double tokens_per_s;		/* NAN unknown */
	const char *reasons;		/* JSON array of strings */
	const char *report;		/* the child's whole report, JSON, kept as a fact */
	const char *platform;		/* JSON: device model, compute capability, driver and CUDA versions; or NULL */
	int64_t at;
};
int finding_record_smoke(struct db *db, int64_t revision_id, const struct finding_smoke *s, struct err *e);
/* The newest run. ERR_NOT_FOUND when it was never tested. */
int finding_last_smoke(struct db *db, int64_t revision_id, struct arena *a, struct finding_smoke *out, struct err *e);
/* The run that counts: the newest that came to a verdict. One that went wrong ("error": no such device, no memory) says nothing of the model, and
 * counts only where there is no other. */
int finding_smoke(struct db *db, int64_t revision_id, struct arena *a, struct finding_smoke *out, struct err *e);
#define FINDING_SMOKE_FIRST "ORDER BY verdict = 'error', id DESC LIMIT 1"	/* of a revision's smoke_run, in SQL */

/* --- decisions (written by model_conclude and model_rule) ----------------------------------------------------------------------------- */

/* For `why`: [{"at","by","rule","verdict","reason"}…], newest decision first; those of one decision keep their order. NULL on error. */
json_t *finding_why(struct db *db, int64_t revision_id, struct err *e);

/* Of a smoke_run's platform, 0 where it names none: a processor, or NULL. */
double finding_compute_capability(const char *platform);

#endif
