/*
 * inspect.h - what the files of a directory are, without running anything: each is told by its content, read strictly and gets a
 * verdict (verify/scan.h); of weights we can read, the number and types of the parameters are added.
 */
#ifndef INFER_INSPECT_H
#define INFER_INSPECT_H

#include <jansson.h>
#include <stdint.h>

#include "infer/tell.h"
#include "verify/report.h"

struct inspect_file {
	char *path;			/* relative to the directory */
	const char *format;		/* as scan.h names them; static */
	enum report_severity verdict;
};

struct inspect {
	struct inspect_file *files;
	size_t n_files, cap_files;
	uint64_t n_params;		/* elements of the largest set of weights; of a pipeline, of its parts together */
	json_t *dtypes;			/* {"BF16": elements} */
	char *architecture, *quantization;
	const char *task;		/* static; NULL when that can't be told */
	int64_t context_length;
	struct tell *listener;
};

/* `only`: one file below dirfd, or NULL for all of it. ERR_FAILED and the like when it can't be read at all. */
int inspect_run(struct inspect *x, int dirfd, const char *only, struct tell *listener, struct report *r, struct err *e);
void inspect_done(struct inspect *x);
/* {"verdict","findings","params","dtypes",…}, and what is in its "files", which may be too many for one value: {"path","format","verdict"} */
json_t *inspect_json(const struct inspect *x, const struct report *r);
json_t *inspect_file_json(const struct inspect_file *f);

static inline void own_inspect(struct inspect *x)
{
	inspect_done(x);
}

#endif
