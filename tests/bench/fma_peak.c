/*
 * fma_peak.c - how many fp32 operations a second one core can do with AVX2: twelve independent chains of multiply-adds in registers, by the
 * thread's own time. Prints the median of many short stretches in GFLOP/s: what the core gives now, beside whatever else runs on it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STRETCHES 101
#define LOOPS	  1000000L
#define CHAINS	  12
#define FLOP	  (2 * 8 * CHAINS)	/* a loop */

static double thread_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined(__x86_64__)
#define CHAIN(r) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #r "\n\t"

static void multiply_add(long loops)
{
	__asm__ volatile("vzeroall\n"
		"1:\n\t"
		CHAIN(0) CHAIN(1) CHAIN(2) CHAIN(3) CHAIN(4) CHAIN(5) CHAIN(6) CHAIN(7) CHAIN(8) CHAIN(9) CHAIN(10) CHAIN(11)
		"dec %0\n\t"
		"jnz 1b\n\t"
		"vzeroupper"
		: "+r"(loops)
		:
		: "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		"xmm15");
}

static int has_fma(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
static void multiply_add(long loops)
{
	(void)loops;
}

static int has_fma(void)
{
	return 0;
}
#endif

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	double rate[STRETCHES];

	if (!has_fma()) {
		fputs("fma_peak: this processor has no AVX2 with FMA\n", stderr);
		return 1;
	}
	for (int i = 0; i < STRETCHES; i++) {
		double start = thread_s();

		multiply_add(LOOPS);
		rate[i] = LOOPS * FLOP * 1e-9 / (thread_s() - start);
	}
	qsort(rate, STRETCHES, sizeof(*rate), by_size);
	printf("%.1f\n", rate[STRETCHES / 2]);
	return 0;
}
