/*
 * kernel_amx.c - bf16 weights in Intel's AMX tiles (SDM vol. 2, TDPBF16PS). Weights go to the unit as they lie in the file. A float of x is the sum
 * of two bf16, which keeps 16 bits of it; both products are added to the same fp32 sums, so nothing but 2^-17 of each x is lost.
 *	A: 16 rows of w, 32 columns.  B: the same 32 columns of 16 tokens, columns in pairs: [16 pairs][16 tokens][2].  C: [16 rows][16 tokens].
 */
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "infer/kernel.h"

#define SIDE   16		/* rows and tokens of a tile */
#define DEPTH  32		/* columns of a tile */
#define TILE   (SIDE * DEPTH)	/* elements */
#define STRIDE (DEPTH * 2)	/* bytes of a tile's row */

#define ARCH_REQ_XCOMP_PERM 0x1023	/* asm/prctl.h of Linux 5.16 */
#define XFEATURE_XTILEDATA  18
#define LEAF7_EDX_BF16	    (1u << 22)
#define LEAF7_EDX_TILE	    (1u << 24)

/* To the compiler the unit's loads read nothing (GCC 12) or not all that they read: what is in memory must have got there before. */
#define IN_MEMORY() __asm__ volatile("" ::: "memory")

/* Linux hands tiles out on request, for the whole process and the threads it will have. */
static bool usable(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & LEAF7_EDX_BF16) && (d & LEAF7_EDX_TILE) &&
		syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* To the nearest, ties to even; a NaN stays one. */
static uint16_t round_bf16(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static size_t packed_size(uint32_t cols)
{
	return (size_t)(cols + DEPTH - 1) / DEPTH * 2 * TILE;
}

static void pack(uint16_t *out, const float *x, uint32_t tokens, uint32_t cols)
{
	memset(out, 0, packed_size(cols) * sizeof(*out));
	for (uint32_t t = 0; t < tokens; t++) {
		for (uint32_t k = 0; k < cols; k++) {
			uint16_t *to = out + (size_t)(k / DEPTH) * 2 * TILE + (k % DEPTH / 2) * STRIDE / 2 + t * 2 + k % 2;
			float v = x[(size_t)t * cols + k];

			to[0] = round_bf16(v);
			to[TILE] = round_bf16(v - quant_bf16(to[0]));
		}
	}
}

/* 16 rows of w from column k on: where they lie or, at the edges of w, a copy with zeros around. */
struct rows {
	const uint16_t *at;
	uint32_t n, cols;
	uint16_t edge[TILE];
};

static const void *rows_at(struct rows *r, uint32_t k, size_t *stride)
{
	uint32_t depth = r->cols - k < DEPTH ? r->cols - k : DEPTH;

	if (r->n == SIDE && depth == DEPTH) {
		*stride = r->cols * sizeof(*r->at);
		return r->at + k;
	}
	memset(r->edge, 0, sizeof(r->edge));
	for (uint32_t i = 0; i < r->n; i++)
		memcpy(r->edge + i * DEPTH, r->at + (size_t)i * r->cols + k, depth * sizeof(*r->at));
	IN_MEMORY();
	*stride = STRIDE;
	return r->edge;
}

/* Two by two tiles of results; either second one may be missing. No result is added to twice in four products: that is how long one takes. */
static void two_by_two(float *acc, size_t ld, struct rows *low, struct rows *high, const uint16_t *x0, const uint16_t *x1)
{
	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	for (uint32_t k = 0; k < low->cols; k += DEPTH) {
		size_t stride, at = (size_t)(k / DEPTH) * 2 * TILE;
		const void *w = rows_at(low, k, &stride);

		_tile_loadd(4, w, stride);
		if (high->n) {
			w = rows_at(high, k, &stride);
			_tile_loadd(5, w, stride);
		}
		for (int term = 0; term < 2; term++, at += TILE) {
			_tile_loadd(6, x0 + at, STRIDE);
			_tile_dpbf16ps(0, 4, 6);
			if (high->n)
				_tile_dpbf16ps(1, 5, 6);
			if (!x1)
				continue;
			_tile_loadd(7, x1 + at, STRIDE);
			_tile_dpbf16ps(2, 4, 7);
			if (high->n)
				_tile_dpbf16ps(3, 5, 7);
		}
	}
	_tile_stored(0, acc, ld * sizeof(*acc));
	if (high->n)
		_tile_stored(1, acc + SIDE * ld, ld * sizeof(*acc));
	if (x1)
		_tile_stored(2, acc + SIDE, ld * sizeof(*acc));
	if (x1 && high->n)
		_tile_stored(3, acc + SIDE * ld + SIDE, ld * sizeof(*acc));
}

static uint32_t up_to_side(uint32_t n)
{
	return n < SIDE ? n : SIDE;
}

static void dot(float *acc, const uint16_t *w, uint32_t rows, const uint16_t *x, uint32_t blocks, uint32_t cols)
{
	struct {
		uint8_t palette, start_row, reserved[14];
		uint16_t bytes[16];
		uint8_t rows[16];
	} config = { .palette = 1 };
	size_t ld = (size_t)blocks * SIDE, block = packed_size(cols);

	for (int i = 0; i < 8; i++) {
		config.bytes[i] = STRIDE;
		config.rows[i] = SIDE;
	}
	IN_MEMORY();
	_tile_loadconfig(&config);
	for (uint32_t r = 0; r < rows; r += 2 * SIDE) {
		uint32_t left = rows - r;
		struct rows low = { .at = w + (size_t)r * cols, .n = up_to_side(left), .cols = cols };
		struct rows high = { .at = low.at + (size_t)SIDE * cols, .n = left > SIDE ? up_to_side(left - SIDE) : 0, .cols = cols };

		for (uint32_t b = 0; b < blocks; b += 2)
			two_by_two(acc + r * ld + (size_t)b * SIDE, ld, &low, &high, x + b * block, b + 1 < blocks ? x + (b + 1) * block : NULL);
	}
	_tile_release();
}

const struct kernel_matrix kernel_amx = { "amx", usable, SIDE, SIDE, packed_size, pack, dot };
#endif
