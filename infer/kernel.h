/*
 * kernel.h - the inner loops of a matrix product, and of what else takes time, for one instruction set. Tokens lie in vector lanes,
 * weights are broadcast:
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
	/* n floats of each row, one after the other, from halves; rows of `in` are pitch bytes apart. What is seen is added to *s; NULL: not */
	void (*bf16)(float *out, const void *in, size_t pitch, size_t rows, size_t n, struct tensor_stats *s);
	void (*f16)(float *out, const void *in, size_t pitch, size_t rows, size_t n, struct tensor_stats *s);
	void (*stats)(struct tensor_stats *s, const float *x, size_t n);
	void (*transpose)(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t cols);	/* to[c][r] = from[r][c] */
	float (*inner)(const float *a, const float *b, size_t n);		/* sum of a[i] * b[i] */
	void (*add_scaled)(float *y, const float *x, float by, size_t n);	/* y += x * by */
	void (*exps)(float *y, const float *x, size_t n);			/* y = e^x; may be x */
};

extern const struct kernel kernel_scalar, kernel_avx2, kernel_avx512;

/*
 * A unit that multiplies matrices of bf16: used beside a kernel, for weights that are stored so, on x of two terms (kernel_amx.c).
 *	acc[r][t] = sum over k of w[r][k] * x[t][k]
 */
struct kernel_matrix {
	const char *name;
	bool (*usable)(void);			/* asks the operating system for it, too */
	uint32_t rows, tokens;			/* of a tile: acc has room for whole ones */
	size_t (*packed_size)(uint32_t cols);	/* of one tile's tokens, in elements */
	void (*pack)(uint16_t *out, const float *x, uint32_t tokens, uint32_t cols);	/* x[tokens][cols], at most a tile's tokens; the missing are zero */
	void (*dot)(float *acc, const uint16_t *w, uint32_t rows, const uint16_t *x, uint32_t blocks, uint32_t cols);	/* x: blocks of packed tokens */
};

extern const struct kernel_matrix kernel_amx;

/* The best that is usable and agrees with kernel_scalar in all of this; `name` asks for one. NULL when it fails its test. */
const struct kernel *kernel_pick(const char *name);
bool kernel_known(const char *name);	/* is there code of this name, also a struct kernel_matrix */
bool kernel_usable(const char *name);	/* and can this processor run it */
bool kernel_self_test(const struct kernel *k);
/* What goes with that name, or NULL name with the processor, when it passes its test; else NULL: the kernel does everything. */
const struct kernel_matrix *kernel_pick_matrix(const char *name);
bool kernel_matrix_self_test(const struct kernel_matrix *m);

#endif
