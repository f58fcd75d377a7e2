/*
 * kernel_body.h - the text of one kernel (see kernel.h). The includer defines NAME, BYTES (of a vector), MIN and MAX of two vectors, BF16
 * and F16, which make a vector of as many halves, and WIDEST, the product with four vectors of tokens (dot_4 where there are registers for it).
 * It is compiled with the flags of its instruction set, AVX2 among them.
 */
#include <math.h>
#include <string.h>

#include "infer/kernel.h"
#include "infer/quant.h"

typedef float vec __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(BYTES), aligned(4), may_alias));

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
DOT(4)

static void dot(float *acc, const float *x, const float *w, size_t ldw, uint32_t n, uint32_t nv)
{
	if (nv == 1)
		dot_1(acc, x, w, ldw, n);
	else if (nv == 2)
		dot_2(acc, x, w, ldw, n);
	else
		WIDEST(acc, x, w, ldw, n);
}

/* What is seen of numbers, in the lanes of vectors. */
struct lanes {
	vec sum[2], low, high;
	ivec zero;		/* less how many were */
	uvec bits;
};

static inline void look(struct lanes *l, vec a, vec b)
{
	l->sum[0] += a * a;
	l->sum[1] += b * b;
	l->low = MIN(l->low, MIN(a, b));
	l->high = MAX(l->high, MAX(a, b));
	l->zero += (a == 0) + (b == 0);
	l->bits += TENSOR_BITS((uvec)a) + TENSOR_BITS((uvec)b);
}

/* n numbers that were looked at; false, and nothing added, where one is not finite or the sum of their squares is not. */
static bool looked(struct tensor_stats *s, const struct lanes *l, size_t n)
{
	double total = 0;

	for (int i = 0; i < LANES; i++)
		total += (double)l->sum[0][i] + (double)l->sum[1][i];
	if (!isfinite(total))
		return false;
	if (s->n == 0)
		s->min = l->low[0], s->max = l->high[0];
	for (int i = 0; i < LANES; i++) {
		s->n_zero += (uint64_t)-l->zero[i];
		s->bits += l->bits[i];
		s->min = l->low[i] < s->min ? l->low[i] : s->min;
		s->max = l->high[i] > s->max ? l->high[i] : s->max;
	}
	s->absmax = -s->min > s->max ? -s->min : s->max;
	s->sum_squares += total;
	s->n += n;
	return true;
}

#define NOTHING { .low = (vec){ 0 } + INFINITY, .high = (vec){ 0 } - INFINITY }
#define LOOK_MOST 4096u	/* whose squares are added in single precision */

/* As tensor_stats_add, two vectors at a time. */
static void stats(struct tensor_stats *s, const float *x, size_t n)
{
	size_t whole = n - n % (2 * LANES);

	for (size_t from = 0; from < whole; from += LOOK_MOST) {
		size_t size = whole - from < LOOK_MOST ? whole - from : LOOK_MOST;
		struct lanes l = NOTHING;

		for (size_t i = from; i < from + size; i += 2 * LANES)
			look(&l, *(const vec *)(const void *)(x + i), *(const vec *)(const void *)(x + i + LANES));
		if (!looked(s, &l, size))
			tensor_stats_add(s, x + from, size);
	}
	if (n > whole)
		tensor_stats_add(s, x + whole, n - whole);
}

/* Rows of halves: what LOAD makes of as many as a vector has lanes, ONE of one. */
#define ROWS_OF(name, LOAD, ONE)                                                                                               \
	static void name(float *out, const void *in, size_t pitch, size_t rows, size_t n, struct tensor_stats *s)             \
	{                                                                                                                      \
		size_t whole = n - n % (2 * LANES);                                                                            \
		struct lanes l = NOTHING;                                                                                      \
                                                                                                                               \
		for (size_t r = 0; r < rows; r++) {                                                                            \
			const uint16_t *from = (const uint16_t *)(const void *)((const char *)in + r * pitch);                 \
			float *to = out + r * n;                                                                               \
                                                                                                                               \
			for (size_t i = 0; i < n; i += 64 / sizeof(*from))                                                     \
				__builtin_prefetch((const char *)(from + i) + AHEAD_ROWS * pitch, 0, 3);                       \
			for (size_t i = 0; i < whole; i += 2 * LANES) {                                                        \
				vec a = (vec)LOAD(from + i), b = (vec)LOAD(from + i + LANES);                                  \
                                                                                                                               \
				*(vec *)(void *)(to + i) = a;                                                                  \
				*(vec *)(void *)(to + i + LANES) = b;                                                          \
				look(&l, a, b);                                                                                \
			}                                                                                                      \
			for (size_t i = whole; i < n; i++)                                                                     \
				to[i] = ONE(from[i]);                                                                          \
		}                                                                                                              \
		if (!s)                                                                                                        \
			return;                                                                                                \
		if (whole < n || rows * n > LOOK_MOST)                                                                         \
			stats(s, out, rows * n);                                                                               \
		else if (!looked(s, &l, rows * n))                                                                             \
			tensor_stats_add(s, out, rows * n);                                                                    \
	}

#define AHEAD_ROWS 4	/* that are fetched while one is decoded */

ROWS_OF(bf16, BF16, quant_bf16)
ROWS_OF(f16, F16, quant_f16)

/* Eight rows of eight become columns: pairs, fours, then halves change places. */
static void transpose_8x8(float *to, size_t ld_to, const float *from, size_t ld_from)
{
	__m256 r[8], p[8], q[8];

	for (size_t i = 0; i < 8; i++)
		r[i] = _mm256_loadu_ps(from + i * ld_from);
	for (int i = 0; i < 8; i += 2) {
		p[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
		p[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
	}
	for (int i = 0; i < 8; i += 4) {
		q[i] = _mm256_shuffle_ps(p[i], p[i + 2], 0x44);
		q[i + 1] = _mm256_shuffle_ps(p[i], p[i + 2], 0xee);
		q[i + 2] = _mm256_shuffle_ps(p[i + 1], p[i + 3], 0x44);
		q[i + 3] = _mm256_shuffle_ps(p[i + 1], p[i + 3], 0xee);
	}
	for (size_t i = 0; i < 4; i++) {
		_mm256_storeu_ps(to + i * ld_to, _mm256_permute2f128_ps(q[i], q[i + 4], 0x20));
		_mm256_storeu_ps(to + (i + 4) * ld_to, _mm256_permute2f128_ps(q[i], q[i + 4], 0x31));
	}
}

static void transpose(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t cols)
{
	size_t r8 = rows - rows % 8, c8 = cols - cols % 8;

	for (size_t c = 0; c < c8; c += 8)
		for (size_t r = 0; r < r8; r += 8)
			transpose_8x8(to + c * ld_to + r, ld_to, from + r * ld_from + c, ld_from);
	for (size_t r = 0; r < rows; r++)
		for (size_t c = r < r8 ? c8 : 0; c < cols; c++)
			to[c * ld_to + r] = from[r * ld_from + c];
}

static float inner(const float *a, const float *b, size_t n)
{
	vec sum[2] = { { 0 } };
	float all = 0;
	size_t i = 0;

	for (; i + 2 * LANES <= n; i += 2 * LANES) {
		sum[0] += *(const vec *)(const void *)(a + i) * *(const vec *)(const void *)(b + i);
		sum[1] += *(const vec *)(const void *)(a + i + LANES) * *(const vec *)(const void *)(b + i + LANES);
	}
	for (; i < n; i++)
		all += a[i] * b[i];
	sum[0] += sum[1];
	for (int l = 0; l < LANES; l++)
		all += sum[0][l];
	return all;
}

static void add_scaled(float *y, const float *x, float by, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		*(vec *)(void *)(y + i) += *(const vec *)(const void *)(x + i) * by;
	for (; i < n; i++)
		y[i] += x[i] * by;
}

/*
 * e^x = 2^k e^r with |r| <= ln 2 / 2: a polynomial of r whose error is a tenth of a rounding, and 2^k as two factors, so that what is
 * too large becomes infinite and what is too small 0 on the way. NaN stays.
 */
static vec exp_of(vec x)
{
	const float round = 0x1.8p23f, ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f;
	vec k, r, p;
	ivec i, half;

	x = (vec)(((ivec)(x < -120) & (ivec)((vec){ 0 } - 120)) | ((ivec)x & ~(ivec)(x < -120)));
	x = (vec)(((ivec)(x > 120) & (ivec)((vec){ 0 } + 120)) | ((ivec)x & ~(ivec)(x > 120)));
	k = x * 1.44269504088896341f + round;
	i = (ivec)k - (ivec)((vec){ 0 } + round);
	k -= round;
	r = x - k * ln2_high - k * ln2_low;
	p = ((0.0013926213f * r + 0.008363203f) * r + 0.041666554f) * r + 0.16666577f;
	p = (p * r + 0.5f) * (r * r) + r + 1;
	half = i >> 1;
	return p * (vec)((half + 127) << 23) * (vec)((i - half + 127) << 23);
}

static void exps(float *y, const float *x, size_t n)
{
	vec rest = { 0 };
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		*(vec *)(void *)(y + i) = exp_of(*(const vec *)(const void *)(x + i));
	memcpy(&rest, x + i, (n - i) * sizeof(*x));
	rest = exp_of(rest);
	memcpy(y + i, &rest, (n - i) * sizeof(*y));
}

static bool usable(void)
{
	return USABLE;
}

#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

const struct kernel JOIN(kernel_, NAME) = { QUOTE(NAME), usable, LANES, 4, dot, bf16, f16, stats, transpose, inner, add_scaled, exps };
