/*
 * ops_check.h - does a backend compute what plain loops on the processor compute? Every operation on random input, and products with
 * every element type; each has a bound of its own. A GPU is asked when it is opened: it may not judge anybody's checkpoint before.
 */
#ifndef INFER_OPS_CHECK_H
#define INFER_OPS_CHECK_H

#include "infer/ops.h"

enum ops_check_depth {
	OPS_CHECK_QUICK,	/* one small shape, the usual types: a fraction of a second */
	OPS_CHECK_FULL,		/* odd shapes, all types */
};

/* ERR_FAILED names the first operation that differs, by how much, and its bound. */
int ops_check(const struct ops *op, struct backend *be, enum ops_check_depth depth, struct err *e);

#endif
