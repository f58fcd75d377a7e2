/* kernel_avx512.c - AVX-512: 24 of 32 registers accumulate. See kernel.h. */
#if defined(__x86_64__)
#include <immintrin.h>

#define NAME avx512
#define BYTES 64
#define WIDEST dot_4
#define USABLE (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && \
		__builtin_cpu_supports("avx512dq"))
#define HALVES(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define BF16(p) _mm512_slli_epi32(_mm512_cvtepu16_epi32(HALVES(p)), 16)
#define F16(p) _mm512_cvtph_ps(HALVES(p))
#define MIN(a, b) ((vec)_mm512_min_ps(a, b))
#define MAX(a, b) ((vec)_mm512_max_ps(a, b))

#include "infer/kernel_body.h"
#endif
