/* whole.h - a directory with all its checkpoints: each is tested and has a verdict, and the worst of them is the whole's. */
#ifndef INFER_WHOLE_H
#define INFER_WHOLE_H

#include "infer/smoke.h"

struct whole {
	struct smoke *all;
	size_t n, cap;			/* at least 1 once it has run: the artefacts, then what lists the parts of a whole (listed.h) */
	const struct smoke *worst;	/* of those that are models, if any is */
};

/* `only`: one file in the directory, or NULL. An error only when the directory can't be read. */
int whole_run(struct whole *w, int dirfd, const char *only, const struct smoke_options *o, struct report *r, struct err *e);
/* The worst one's report, with all of them in "artefacts" where there are several. */
json_t *whole_json(const struct whole *w, const struct report *r);
void whole_done(struct whole *w);

static inline void own_whole(struct whole *w)
{
	whole_done(w);
}

#endif
