/* kernel_avx512.c - AVX-512: 24 of 32 registers accumulate. See kernel.h. */
#if defined(__x86_64__)
#include <immintrin.h>

#define NAME avx512
#define BYTES 64
#define MAX_NV 4
#define USABLE (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && \
		__builtin_cpu_supports("avx512dq"))
#define F16_VEC

#include "infer/quant.h"

static void f16(float *out, const void *in, size_t n)
{
	const uint16_t *from = in;
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		_mm512_storeu_ps(out + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(from + i))));
	for (; i < n; i++)
		out[i] = quant_f16(from[i]);
}

#include "infer/kernel_body.h"
#endif
