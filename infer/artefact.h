/* artefact.h - which checkpoints a directory holds: one in safetensors, any number of GGUFs. */
#ifndef INFER_ARTEFACT_H
#define INFER_ARTEFACT_H

#include "base/err.h"

#define ARTEFACTS_MAX 200

struct artefacts {
	char **files;	/* names that model_open takes, sorted, safetensors first */
	size_t n, cap;
};

/* Looks at names only. None at all is no error. */
int artefacts_find(struct artefacts *a, int dirfd, struct err *e);
void artefacts_done(struct artefacts *a);

static inline void own_artefacts(struct artefacts *a)
{
	artefacts_done(a);
}

#endif
