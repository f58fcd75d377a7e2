/* ops_cpu_parts.h - what the files of the processor's backend share. */
#ifndef INFER_OPS_CPU_PARTS_H
#define INFER_OPS_CPU_PARTS_H

#include "infer/kernel.h"
#include "infer/ops.h"
#include "infer/pool.h"

struct backend {
	struct pool *pool;
	const struct kernel *kernel;
	struct scratch raw[POOL_THREADS_MAX], tile[POOL_THREADS_MAX], acc[POOL_THREADS_MAX];	/* a thread's own */
	struct scratch packed;			/* x with tokens in lanes */
	uint64_t bytes, peak;			/* of activations */
	struct err error;			/* the first; guarded by taking tasks' errors after a product */
};

void ops_cpu_matmul(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w);
void ops_cpu_attend(struct backend *b, float *out, const float *q, const float *k, const float *v, const struct ops_attend *a);

/* fn for ranges of [0, n) that together are all of it, at least `grain` long but the last. */
void ops_cpu_ranges(struct backend *b, size_t n, size_t grain, void (*fn)(void *arg, size_t from, size_t to), void *arg);

#endif
