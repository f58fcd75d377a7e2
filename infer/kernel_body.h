/*
 * kernel_body.h - the text of one kernel (see kernel.h). The includer defines NAME, BYTES (of a vector) and MAX_NV, and is compiled
 * with the flags of its instruction set. Every accumulator is a register: KERNEL_ROWS * MAX_NV of them, and no more than there are.
 */
#include <string.h>

#include "infer/kernel.h"

typedef float vec __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef uint16_t hvec __attribute__((vector_size(BYTES / 2), aligned(2), may_alias));

#define LANES (BYTES / 4)

/* Written out for each nv, so that the compiler sees constant bounds. */
#define DOT(nv)                                                                                        \
	static void dot_##nv(float *acc, const float *x, const float *w, size_t ldw, uint32_t n)      \
	{                                                                                              \
		vec a[KERNEL_ROWS][nv];                                                                \
		for (int r = 0; r < KERNEL_ROWS; r++)                                                  \
			for (int j = 0; j < nv; j++)                                                   \
				a[r][j] = *(const vec *)(const void *)(acc + (r * nv + j) * LANES);    \
		for (uint32_t k = 0; k < n; k++) {                                                     \
			vec v[nv];                                                                     \
			for (int j = 0; j < nv; j++)                                                   \
				v[j] = *(const vec *)(const void *)(x + ((size_t)k * nv + (size_t)j) * LANES); \
			for (int r = 0; r < KERNEL_ROWS; r++)                                          \
				for (int j = 0; j < nv; j++)                                           \
					a[r][j] += v[j] * w[(size_t)r * ldw + k];                      \
		}                                                                                      \
		for (int r = 0; r < KERNEL_ROWS; r++)                                                  \
			for (int j = 0; j < nv; j++)                                                   \
				*(vec *)(void *)(acc + (r * nv + j) * LANES) = a[r][j];                \
	}

DOT(1)
DOT(2)
#if MAX_NV == 4
DOT(4)
#endif

static void dot(float *acc, const float *x, const float *w, size_t ldw, uint32_t n, uint32_t nv)
{
	if (nv == 1)
		dot_1(acc, x, w, ldw, n);
	else if (nv == 2)
		dot_2(acc, x, w, ldw, n);
#if MAX_NV == 4
	else
		dot_4(acc, x, w, ldw, n);
#endif
}

static void bf16(float *out, const void *in, size_t n)
{
	const uint16_t *from = in;
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		ivec wide = __builtin_convertvector(*(const hvec *)(const void *)(from + i), ivec) << 16;

		memcpy(out + i, &wide, sizeof(wide));
	}
	for (; i < n; i++)
		out[i] = quant_bf16(from[i]);
}

#ifndef F16_VEC
static void f16(float *out, const void *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = quant_f16(((const uint16_t *)in)[i]);
}
#endif

/* As tensor_stats_add, a vector at a time. */
static void stats(struct tensor_stats *s, const float *x, size_t n)
{
	size_t whole = n - n % LANES;

	for (size_t i = 0; i < whole; i += 4096) {
		size_t end = i + 4096 < whole ? i + 4096 : whole;
		vec sum = { 0 }, low = (vec){ 0 } + s->min, high = (vec){ 0 } + s->max;
		ivec bad = { 0 }, zero = { 0 };

		if (s->n == 0 && i == 0)
			low = (vec){ 0 } + __builtin_inff(), high = (vec){ 0 } - __builtin_inff();
		for (size_t j = i; j < end; j += LANES) {
			vec v = *(const vec *)(const void *)(x + j);
			ivec finite = ((ivec)v & 0x7f800000) != 0x7f800000;

			bad += finite + 1;	/* -1 where true */
			zero -= v == 0;
			v = (vec)((ivec)v & finite);
			sum += v * v;
			low = (vec)(((ivec)v & (v < low)) | ((ivec)low & ~(v < low)));
			high = (vec)(((ivec)v & (v > high)) | ((ivec)high & ~(v > high)));
		}
		s->min = low[0];
		s->max = high[0];
		for (int l = 0; l < LANES; l++) {
			s->sum_squares += (double)sum[l];
			s->n_nonfinite += (uint64_t)bad[l];
			s->n_zero += (uint64_t)zero[l];
			s->min = low[l] < s->min ? low[l] : s->min;
			s->max = high[l] > s->max ? high[l] : s->max;
		}
		s->n += end - i;
	}
	s->absmax = s->n ? (-s->min > s->max ? -s->min : s->max) : 0;
	if (n > whole)
		tensor_stats_add(s, x + whole, n - whole);
}

static bool usable(void)
{
	return USABLE;
}

#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

const struct kernel JOIN(kernel_, NAME) = { QUOTE(NAME), usable, LANES, MAX_NV, dot, bf16, f16, stats };
