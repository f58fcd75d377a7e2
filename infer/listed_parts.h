/* listed_parts.h - what looks at lists of parts (listed.c, listed_pipeline.c) shares. */
#ifndef INFER_LISTED_PARTS_H
#define INFER_LISTED_PARTS_H

#include <jansson.h>

#include "infer/listed.h"

#define PATH_TEXT_MAX 1024
#define PARTS_MAX     500	/* in a list, settings too: the largest published have some thirty */

struct looking {
	struct smoke *s;
	int fd;			/* of the folder that the list is in */
	const char *file;	/* the list */
	struct report *r;
	size_t n_modules;	/* that were looked at, of routers too */
};

bool listed_failed(const struct looking *l);
void listed_wrong(struct looking *l, const char *rule, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* NULL: not there, or no JSON. */
json_t *listed_read(const struct looking *l, const char *path);
/* "./1_Pooling/" and "config.json" are "1_Pooling/config.json"; either may be empty, or ".". False where a list names what is no path below its folder. */
bool listed_join(const char *folder, const char *name, char out[PATH_TEXT_MAX]);
bool listed_is_there(const struct looking *l, const char *folder, const char *name);
/* Is one of these names or globs, separated by blanks, there? "a+b" are two that belong together. */
bool listed_has_any(const struct looking *l, const char *folder, const char *names);
/* "a b+c d" as "a, b with c or d". */
const char *listed_alternatives(const char *names, char out[PATH_TEXT_MAX]);
/* In any form that a program reads, whichever: that the form is whole is seen where the file is. */
bool listed_has_weights(const struct looking *l, const char *folder);
/* Calls seen(name) for what is in a folder, up to a limit. */
void listed_each(const struct looking *l, const char *folder, void (*seen)(void *arg, const char *name), void *arg);

/* What model_index.json lists. */
void listed_check_pipeline(struct looking *l, const json_t *index);

#endif
