/*
 * inspect.h - what the weight files of a directory are, without running anything: every file of a format we can read is read
 * strictly, and gets a verdict. Files of other formats are not listed, which for the daemon means "not inspected".
 */
#ifndef INFER_INSPECT_H
#define INFER_INSPECT_H

#include <jansson.h>
#include <stdint.h>

#include "verify/report.h"

#define INSPECT_FILES_MAX 20000
#define INSPECT_DEPTH_MAX 16

struct inspect_file {
	char *path;			/* relative to the directory */
	const char *format;		/* "safetensors", "gguf" … */
	enum report_severity verdict;
};

struct inspect {
	struct inspect_file *files;
	size_t n_files, cap_files;
	uint64_t n_params;		/* elements of the tensors found */
	json_t *dtypes;			/* {"BF16": elements} */
	char *architecture, *quantization;
	int64_t context_length;
};

/* `only`: one file below dirfd, or NULL for all of it. ERR_FAILED and the like when it can't be read at all. */
int inspect_run(struct inspect *x, int dirfd, const char *only, struct report *r, struct err *e);
void inspect_done(struct inspect *x);
/* {"verdict","findings","files","params","dtypes",…} */
json_t *inspect_json(const struct inspect *x, const struct report *r);

static inline void own_inspect(struct inspect *x)
{
	inspect_done(x);
}

#endif
