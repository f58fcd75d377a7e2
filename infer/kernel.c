/* kernel.c - the scalar kernel, and the choice among all of them after a test. See kernel.h. */
#include "infer/kernel.h"

#include <math.h>
#include <string.h>

#include "base/vec.h"

#define LANES 8

/* The measure: one sum after the other, in the order of k. */
static void dot(float *acc, const float *x, const float *w, size_t ldw, uint32_t n, uint32_t nv)
{
	for (uint32_t r = 0; r < KERNEL_ROWS; r++)
		for (uint32_t t = 0; t < nv * LANES; t++)
			for (uint32_t k = 0; k < n; k++)
				acc[r * nv * LANES + t] += w[r * ldw + k] * x[(size_t)k * nv * LANES + t];
}

static void rows_of(const char *type, float *out, const void *in, size_t pitch, size_t rows, size_t n, struct tensor_stats *s)
{
	for (size_t r = 0; r < rows; r++)
		quant_type(type)->row(out + r * n, (const char *)in + r * pitch, n);
	if (s)
		tensor_stats_add(s, out, rows * n);
}

static void bf16(float *out, const void *in, size_t pitch, size_t rows, size_t n, struct tensor_stats *s)
{
	rows_of("BF16", out, in, pitch, rows, n, s);
}

static void f16(float *out, const void *in, size_t pitch, size_t rows, size_t n, struct tensor_stats *s)
{
	rows_of("F16", out, in, pitch, rows, n, s);
}

static void transpose(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t cols)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < cols; c++)
			to[c * ld_to + r] = from[r * ld_from + c];
}

static float inner(const float *a, const float *b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void add_scaled(float *y, const float *x, float by, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += x[i] * by;
}

static void exps(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = expf(x[i]);
}

static bool usable(void)
{
	return true;
}

const struct kernel kernel_scalar = { "scalar", usable, LANES, 1, dot, bf16, f16, tensor_stats_add, transpose, inner, add_scaled, exps };

static const struct kernel *const kernels[] = {
#if defined(__x86_64__)
	&kernel_avx512,
	&kernel_avx2,
#endif
	&kernel_scalar,
};

/* Small numbers from a fixed sequence. */
static float noise(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return (float)(int32_t)*state * 0x1p-31f;
}

enum { TEST_K = 173, TEST_T = 64 };

static bool dot_agrees(const struct kernel *k, uint32_t nv)
{
	uint32_t seed = 1, width = nv * k->lanes;
	float x[TEST_K * TEST_T], w[KERNEL_ROWS * TEST_K], acc[KERNEL_ROWS * TEST_T];

	for (size_t i = 0; i < ARRAY_LEN(x); i++)
		x[i] = noise(&seed);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		w[i] = noise(&seed);
	for (size_t i = 0; i < ARRAY_LEN(acc); i++)
		acc[i] = 1;
	k->dot(acc, x, w, TEST_K, TEST_K, nv);
	for (uint32_t r = 0; r < KERNEL_ROWS; r++) {
		for (uint32_t t = 0; t < width; t++) {
			double want = 1, size = 1;

			for (uint32_t i = 0; i < TEST_K; i++) {
				want += (double)w[r * TEST_K + i] * (double)x[i * width + t];
				size += fabs((double)w[r * TEST_K + i] * (double)x[i * width + t]);
			}
			if (!(fabs((double)acc[r * width + t] - want) <= size * 1e-5))
				return false;
		}
	}
	return true;
}

static bool same_stats(const struct tensor_stats *a, const struct tensor_stats *b)
{
	return a->n == b->n && a->n_nonfinite == b->n_nonfinite && a->n_zero == b->n_zero && a->bits == b->bits && a->min == b->min && a->max == b->max && a->absmax == b->absmax &&
		(fabs(a->sum_squares - b->sum_squares) <= 1e-4 * b->sum_squares || a->sum_squares == b->sum_squares);
}

static bool same_floats(const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i])))
			return false;
	return true;
}

/* Every half and bfloat pattern, in rows that are whole vectors and rows that leave a rest, and what is seen of them. */
static bool decode_agrees(const struct kernel *k)
{
	enum { ROWS = 3, PITCH = 72 };
	static const size_t widths[] = { 64, 71 };
	uint16_t bits[ROWS * PITCH];
	float a[ROWS * PITCH], b[ROWS * PITCH];

	for (uint32_t first = 0; first < 65536; first += ROWS * 64) {
		size_t n = widths[first / (ROWS * 64) % 2];
		struct tensor_stats seen[2] = { { 0 }, { 0 } };

		for (uint32_t r = 0; r < ROWS; r++)
			for (uint32_t i = 0; i < PITCH; i++)
				bits[r * PITCH + i] = (uint16_t)(first + r * 64 + i);
		k->f16(a, bits, PITCH * sizeof(*bits), ROWS, n, &seen[0]);
		f16(b, bits, PITCH * sizeof(*bits), ROWS, n, &seen[1]);
		if (!same_floats(a, b, ROWS * n) || !same_stats(&seen[0], &seen[1]))
			return false;
		k->bf16(a, bits, PITCH * sizeof(*bits), ROWS, n, &seen[0]);
		bf16(b, bits, PITCH * sizeof(*bits), ROWS, n, &seen[1]);
		if (!same_floats(a, b, ROWS * n) || !same_stats(&seen[0], &seen[1]))
			return false;
	}
	return true;
}

static bool stats_agree(const struct kernel *k)
{
	struct tensor_stats a = { 0 }, b = { 0 };
	uint32_t seed = 7;
	float x[777];

	for (size_t i = 0; i < ARRAY_LEN(x); i++)
		x[i] = noise(&seed);
	x[5] = NAN;
	x[70] = INFINITY;
	x[700] = 0;
	k->stats(&a, x, ARRAY_LEN(x));
	k->stats(&a, x + 100, 100);
	tensor_stats_add(&b, x, ARRAY_LEN(x));
	tensor_stats_add(&b, x + 100, 100);
	return same_stats(&a, &b);
}

/* In a shape that leaves rests on both sides; what lies beside the target stays. */
static bool transpose_agrees(const struct kernel *k)
{
	enum { ROWS = 21, COLS = 27, LD = 30 };
	float from[ROWS * LD], a[COLS * LD] = { 0 }, b[COLS * LD] = { 0 };
	uint32_t seed = 3;

	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		from[i] = noise(&seed);
	k->transpose(a, LD, from, LD, ROWS, COLS);
	transpose(b, LD, from, LD, ROWS, COLS);
	return memcmp(a, b, sizeof(a)) == 0;
}

static bool sums_agree(const struct kernel *k)
{
	float x[TEST_K], y[TEST_K], z[TEST_K];
	uint32_t seed = 5;
	double want = 0, size = 0;

	for (size_t i = 0; i < TEST_K; i++) {
		x[i] = noise(&seed);
		y[i] = z[i] = noise(&seed);
		want += (double)x[i] * (double)y[i];
		size += fabs((double)x[i] * (double)y[i]);
	}
	if (!(fabs((double)k->inner(x, y, TEST_K) - want) <= size * 1e-6))
		return false;
	k->add_scaled(z, x, 0.3f, TEST_K);
	for (size_t i = 0; i < TEST_K; i++)
		if (!(fabsf(z[i] - (y[i] + 0.3f * x[i])) <= 1e-6f))
			return false;
	return true;
}

/* Over all that is not 0 or infinite, and those. */
static bool exps_agree(const struct kernel *k)
{
	static const float special[] = { 0, -0.0f, INFINITY, -INFINITY, NAN, 88.72f, 88.73f, 1e30f, -1e30f, -87.4f, -103.9f, -104.1f, 1e-40f };
	float x[TEST_K], y[TEST_K], want[TEST_K];

	for (size_t i = 0; i < TEST_K; i++)
		x[i] = i < ARRAY_LEN(special) ? special[i] : ((float)i - ARRAY_LEN(special)) * 1.2f - 104;
	exps(want, x, TEST_K);
	k->exps(y, x, TEST_K);
	for (size_t i = 0; i < TEST_K; i++)
		if (!(y[i] == want[i] || fabsf(y[i] - want[i]) <= 3e-7f * want[i] + 0x1p-148f || (isnan(y[i]) && isnan(want[i]))))
			return false;
	return true;
}

bool kernel_self_test(const struct kernel *k)
{
	for (uint32_t nv = 1; nv <= k->max_nv; nv *= 2)
		if (!dot_agrees(k, nv))
			return false;
	return decode_agrees(k) && stats_agree(k) && transpose_agrees(k) && sums_agree(k) && exps_agree(k);
}

/* Edges in each direction, and neighbours of w that must not reach a result: what lies behind it is no number. */
bool kernel_matrix_self_test(const struct kernel_matrix *m)
{
	enum { ROWS = 53, COLS = 77, TOKENS = 37 };
	uint32_t seed = 3, blocks = (TOKENS + m->tokens - 1) / m->tokens, ld = blocks * m->tokens, high = (ROWS + m->rows - 1) / m->rows * m->rows;
	own(mem) uint16_t *w = mem_zalloc((ROWS * COLS + 64) * sizeof(*w)), *packed = mem_zalloc(blocks * m->packed_size(COLS) * sizeof(*packed));
	own(mem) float *x = mem_zalloc(TOKENS * COLS * sizeof(*x)), *acc = mem_zalloc((size_t)high * ld * sizeof(*acc));

	for (size_t i = 0; i < ROWS * COLS + 64; i++) {
		float v = noise(&seed);
		uint32_t bits;

		memcpy(&bits, &v, sizeof(bits));
		w[i] = i < ROWS * COLS ? (uint16_t)(bits >> 16) : 0x7fc0;
	}
	for (size_t i = 0; i < TOKENS * COLS; i++)
		x[i] = noise(&seed);
	for (uint32_t b = 0; b < blocks; b++)
		m->pack(packed + b * m->packed_size(COLS), x + (size_t)b * m->tokens * COLS, TOKENS - b * m->tokens < m->tokens ? TOKENS - b * m->tokens : m->tokens, COLS);
	m->dot(acc, w, ROWS, packed, blocks, COLS);
	for (uint32_t r = 0; r < ROWS; r++) {
		for (uint32_t t = 0; t < TOKENS; t++) {
			double want = 0, size = 0;

			for (uint32_t k = 0; k < COLS; k++) {
				want += (double)quant_bf16(w[r * COLS + k]) * (double)x[t * COLS + k];
				size += fabs((double)quant_bf16(w[r * COLS + k]) * (double)x[t * COLS + k]);
			}
			if (!(fabs((double)acc[(size_t)r * ld + t] - want) <= size * 1e-5))
				return false;
		}
	}
	return true;
}

const struct kernel_matrix *kernel_pick_matrix(const char *name)
{
#if defined(__x86_64__)
	if ((!name || strcmp(name, kernel_amx.name) == 0) && kernel_amx.usable() && kernel_matrix_self_test(&kernel_amx))
		return &kernel_amx;
#endif
	(void)name;
	return NULL;
}

bool kernel_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kernels); i++)
		if (strcmp(name, kernels[i]->name) == 0)
			return true;
#if defined(__x86_64__)
	return strcmp(name, kernel_amx.name) == 0;
#else
	return false;
#endif
}

bool kernel_usable(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kernels); i++)
		if (strcmp(name, kernels[i]->name) == 0)
			return kernels[i]->usable();
#if defined(__x86_64__)
	return strcmp(name, kernel_amx.name) == 0 && kernel_amx.usable();
#else
	return false;
#endif
}

const struct kernel *kernel_pick(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
		if (name && strcmp(name, kernels[i]->name) != 0)
			continue;
		if (kernels[i]->usable() && kernel_self_test(kernels[i]))
			return kernels[i];
	}
	return NULL;
}
