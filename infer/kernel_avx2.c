/* kernel_avx2.c - AVX2, FMA and F16C: 12 of 16 registers accumulate. See kernel.h. */
#if defined(__x86_64__)
#include <immintrin.h>

#define NAME avx2
#define BYTES 32
#define MAX_NV 2
#include <cpuid.h>
#include <stdbool.h>

/* clang 14 does not know "f16c" by name: CPUID leaf 1, ECX bit 29. */
static bool has_f16c(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

#define USABLE (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
#define F16_VEC

#include "infer/quant.h"

static void f16(float *out, const void *in, size_t n)
{
	const uint16_t *from = in;
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from + i))));
	for (; i < n; i++)
		out[i] = quant_f16(from[i]);
}

#include "infer/kernel_body.h"
#endif
