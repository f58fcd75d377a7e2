/*
 * artefact.h - which checkpoints a directory tree holds: every set of shards, every other safetensors file, every GGUF, in the root and
 * in folders below it (a pipeline's parts, quantisations). Told by names and by what the indexes of shards name.
 */
#ifndef INFER_ARTEFACT_H
#define INFER_ARTEFACT_H

#include <stdbool.h>

#include "base/err.h"

#define ARTEFACTS_MAX	    300
#define ARTEFACTS_DEPTH_MAX 32	/* folders below one another */

struct artefact {
	char *dir;	/* "" the root, "unet/" */
	char *file;	/* in it, as model_open takes it */
	bool side;	/* a projector, calibration data, extra weights: looked at, but no model that could be run */
	bool extra;	/* called like no model or variant of one: beside a model it may be anything */
	bool stray;	/* numbered as a part of a set that it is no part of: looked at, and a defect whatever it holds */
};

struct artefacts {
	struct artefact *v;	/* by folder, in each the best name first, then by name */
	size_t n, cap;
};

/* None at all is no error; more than ARTEFACTS_MAX are ERR_LIMIT. */
int artefacts_find(struct artefacts *a, int dirfd, struct err *e);
void artefacts_done(struct artefacts *a);

static inline void own_artefacts(struct artefacts *a)
{
	artefacts_done(a);
}

#endif
