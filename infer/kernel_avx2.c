/*
 * kernel_avx2.c - AVX2, FMA and F16C: 12 of 16 registers accumulate, three rows of weights by four vectors of tokens. See kernel.h.
 * That product is written out: it is where the time goes, and compilers spill registers in it. Per column 12 multiply-adds, and beside
 * them three loads of tokens, the fourth as an operand, three of weights, and a quarter of the loop's own work.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define NAME avx2
#define BYTES 32
#define WIDEST rows_by_four
#include <cpuid.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang 14 does not know "f16c" by name: CPUID leaf 1, ECX bit 29. */
static bool has_f16c(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

#define USABLE (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
#define HALVES(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define BF16(p) _mm256_slli_epi32(_mm256_cvtepu16_epi32(HALVES(p)), 16)
#define F16(p) _mm256_cvtph_ps(HALVES(p))
#define MIN(a, b) ((vec)_mm256_min_ps(a, b))
#define MAX(a, b) ((vec)_mm256_max_ps(a, b))

static void rows_by_four(float *acc, const float *x, const float *w, size_t ldw, uint32_t n);

#include "infer/kernel_body.h"

#define ROW(weight, last, a, b, c, d)                                                                                  \
	"vbroadcastss " weight ", %%ymm15\n\t"                                                                         \
	"vfmadd231ps %%ymm12, %%ymm15, %%ymm" a "\n\t"                                                                 \
	"vfmadd231ps %%ymm13, %%ymm15, %%ymm" b "\n\t"                                                                 \
	"vfmadd231ps %%ymm14, %%ymm15, %%ymm" c "\n\t"                                                                 \
	"vfmadd231ps " last "(%[x]), %%ymm15, %%ymm" d "\n\t"

#define COLUMN(k)                                                                                                      \
	"vmovups 128*" #k "(%[x]), %%ymm12\n\t"                                                                        \
	"vmovups 128*" #k "+32(%[x]), %%ymm13\n\t"                                                                     \
	"vmovups 128*" #k "+64(%[x]), %%ymm14\n\t"                                                                     \
	ROW("4*" #k "(%[w])", "128*" #k "+96", "0", "1", "2", "3")                                                     \
	ROW("4*" #k "(%[w], %[ldw])", "128*" #k "+96", "4", "5", "6", "7")                                             \
	ROW("4*" #k "(%[w], %[ldw], 2)", "128*" #k "+96", "8", "9", "10", "11")

#define LOAD(i)	 "vmovups 32*" #i "(%[acc]), %%ymm" #i "\n\t"
#define STORE(i) "vmovups %%ymm" #i ", 32*" #i "(%[acc])\n\t"
#define EACH(what) what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10) what(11)

/* Four columns at a time, n4 times, at least once. */
static void three_by_four(float *acc, const float *x, const float *w, size_t ldw, size_t n4)
{
	__asm__ volatile(EACH(LOAD)
		".balign 32\n"
		"1:\n\t"
		COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3)
		"add $512, %[x]\n\t"
		"add $16, %[w]\n\t"
		"dec %[n4]\n\t"
		"jnz 1b\n\t"
		EACH(STORE)
		: [x] "+r"(x), [w] "+r"(w), [n4] "+r"(n4)
		: [acc] "r"(acc), [ldw] "r"(ldw * sizeof(*w))
		: "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
		"xmm13", "xmm14", "xmm15");
}

static void rows_by_four(float *acc, const float *x, const float *w, size_t ldw, uint32_t n)
{
	uint32_t rest = n % 4, whole = n - rest;

	for (size_t r = 0; whole && r < KERNEL_ROWS; r += 3)
		three_by_four(acc + r * 4 * LANES, x, w + r * ldw, ldw, whole / 4);
	if (rest)
		dot_4(acc, x + (size_t)whole * 4 * LANES, w + whole, ldw, rest);
}
#endif
