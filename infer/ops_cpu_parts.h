/* ops_cpu_parts.h - what the files of the processor's backend share. */
#ifndef INFER_OPS_CPU_PARTS_H
#define INFER_OPS_CPU_PARTS_H

#include "infer/kernel.h"
#include "infer/ops.h"
#include "infer/pool.h"

struct backend {
	struct pool *pool;
	const struct kernel *kernel;
	const struct kernel_matrix *matrix;	/* for bf16 weights, or NULL */
	struct scratch raw[POOL_THREADS_MAX], tile[POOL_THREADS_MAX], panel[POOL_THREADS_MAX], acc[POOL_THREADS_MAX];	/* a thread's own */
	struct scratch packed;			/* x as the kernel or the matrix unit wants it */
	uint64_t bytes, peak;			/* of activations */
	struct err error;			/* the first; guarded by taking tasks' errors after a product */
};

/* What a task of a product leaves behind; merged in the order of tasks. */
struct tile_result {
	struct tensor_stats stats;
	struct err *error;
};
void tile_failed(struct tile_result *r, const struct err *e);
void tiles_merge(struct backend *b, const struct weight *w, struct tile_result *results, uint32_t n);	/* frees them */
bool weight_wants_stats(const struct weight *w);	/* its elements were not looked at yet */

/* Whether the matrix unit takes these weights; ops_cpu_matmul then leaves them to ops_cpu_matrix. */
bool ops_cpu_matrix_takes(const struct backend *b, const struct weight *w);
void ops_cpu_matrix(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w);
void ops_cpu_matmul(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w);
void ops_cpu_attend(struct backend *b, float *out, const float *q, const float *k, const float *v, const struct ops_attend *a);

/* fn for ranges of [0, n) that together are all of it, at least `grain` long but the last. */
void ops_cpu_ranges(struct backend *b, size_t n, size_t grain, void (*fn)(void *arg, size_t from, size_t to), void *arg);

#endif
