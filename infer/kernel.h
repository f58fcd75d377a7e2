/*
 * kernel.h - the inner loops of a matrix product for one instruction set. Tokens lie in vector lanes, weights are broadcast:
 *	acc[r][t] += sum over k of w[r][k] * x[k][t]		r < KERNEL_ROWS, t < nv * lanes
 * Each set is kernel_body.h compiled once with its own flags; scalar is plain C and the measure for the others.
 */
#ifndef INFER_KERNEL_H
#define INFER_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "infer/weights.h"

#define KERNEL_ROWS 6

struct kernel {
	const char *name;
	bool (*usable)(void);		/* on this processor */
	uint32_t lanes;
	uint32_t max_nv;		/* vectors of tokens at once: 1, 2, … max_nv, powers of two */
	void (*dot)(float *acc, const float *x, const float *w, size_t ldw, uint32_t n, uint32_t nv);	/* acc[KERNEL_ROWS][nv * lanes], n: of k */
	void (*bf16)(float *out, const void *in, size_t n);
	void (*f16)(float *out, const void *in, size_t n);
	void (*stats)(struct tensor_stats *s, const float *x, size_t n);
};

extern const struct kernel kernel_scalar, kernel_avx2, kernel_avx512;

/* The best that is usable and agrees with kernel_scalar on a small product; `name` asks for one. NULL when it fails its test. */
const struct kernel *kernel_pick(const char *name);
bool kernel_self_test(const struct kernel *k);

#endif
