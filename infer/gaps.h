/*
 * gaps.h - runs of zero bytes where a write was lost or a part of a file never came. Numbers of a model may be zero, but then by rows (tokens
 * that never were, units that were pruned) or by columns, which are many runs at one place of their rows. Long ones that begin or end within a
 * row are neither; where that is at a border of the file's pages as well, chance has no part in it, and more of them are no better than one.
 *
 * Whoever reads a tensor's bytes on the way to elsewhere lets gaps_look see them: it reads one word in GAP_STEP bytes, and only notes that there
 * is something. Such a tensor, which is hardly ever one, is read once more to its end. Matrices that are stored transposed are read in strips too
 * thin for it.
 */
#ifndef INFER_GAPS_H
#define INFER_GAPS_H

#include "infer/weights.h"

#define GAP_STEP   512u
#define GAP_PAGE   4096u	/* files are written and lost in pages */
#define GAP_TAIL   64u		/* bytes of a tensor that are enough where the run goes on over its end, to the end of the file or of a page */
#define GAPS_FEW   16u		/* runs that are no page's; a tensor with more is meant to have them */

struct gap {
	uint64_t from, to;	/* in the file, of the part in the tensor */
};

/* Runs of one kind: how many, and the first of them. */
struct gaps {
	uint64_t n;
	struct gap first;
};

struct gaps_found {
	/* An end within a row is one of a page, too: more of them than chance explains among so many, or one from page to page that is far longer. */
	struct gaps at_page;
	struct gaps elsewhere;	/* no more than GAPS_FEW */
	struct gaps columns;	/* at pages, but at one place in every other row: meant, or a strange accident */
};

/* n bytes of the tensor that lie in its file from `at` on. From any thread. */
void gaps_look(struct tensor *t, uint64_t at, const void *bytes, size_t n);
/* What is there, if anything was seen. */
int gaps_find(const struct tensor *t, struct gaps_found *out, struct err *e);

#endif
