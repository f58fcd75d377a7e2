/*
 * listed.h - what a file lists as the parts of a whole: modules.json of a sentence encoder, model_index.json of a diffusion pipeline. Programs load each of
 * them, so each must be there with its configuration and weights; and of a chain of modules each must take what the one before it gives.
 *
 * Rules of the findings: parts.missing parts.width parts.config parts.variant (rejects), parts.class (reject or flag), parts.unknown parts.head parts.shard (flags)
 */
#ifndef INFER_LISTED_H
#define INFER_LISTED_H

#include "infer/smoke.h"

#define LISTED_FILES 2

/*
 * Looks at what the number-th of LISTED_FILES lists in the folder `dir` ("" the root, else ending in '/') below dirfd. False where there is no such file, or
 * nothing to say of it; else s is begun under the file's name, with reasons and verdict, and is the caller's.
 */
bool listed_check(struct smoke *s, size_t number, int dirfd, const char *dir, struct report *r);

#endif
