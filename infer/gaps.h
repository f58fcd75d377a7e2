/*
 * gaps.h - runs of zero bytes where a write was lost or a part of a file never came. Numbers of a model may be zero, but then by rows (tokens
 * that never were, units that were pruned) or by columns, which are many short runs. A few long ones that begin or end within a row are
 * neither; where that is at a border of the file's pages as well, chance has no part in it.
 *
 * Whoever reads a tensor's bytes on the way to elsewhere lets gaps_look see them: it reads one word in GAP_STEP bytes. Matrices that are stored
 * transposed are read in strips too thin for it.
 */
#ifndef INFER_GAPS_H
#define INFER_GAPS_H

#include "infer/weights.h"

#define GAP_STEP   512u
#define GAP_PAGE   4096u	/* files are written and lost in pages */
#define GAPS_MAX   16		/* of a tensor; one with more is meant to have them */

struct gap {
	uint64_t from, to;	/* in the file */
	bool at_page;		/* an end within a row is one of a page, too */
};

/* n bytes of the tensor that lie in its file from `at` on. From any thread. */
void gaps_look(struct tensor *t, uint64_t at, const void *bytes, size_t n);
/* What was seen, to its ends, from GAP_PAGE bytes on. */
int gaps_found(const struct tensor *t, struct gap out[GAPS_MAX], size_t *n, struct err *e);

#endif
