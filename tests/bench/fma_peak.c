/*
 * fma_peak.c - how many fp32 operations a second one core can do with AVX2 or, where it has that, AVX-512: independent chains of multiply-adds in
 * registers, by the thread's own time. Prints the set and the median of many short stretches in GFLOP/s: what the core gives now, beside whatever
 * else runs on it. An argument, avx2 or avx512, asks for that set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STRETCHES 101
#define LOOPS	  1000000L
#define CHAINS	  12

struct set {
	const char *name;
	int lanes;
	void (*multiply_add)(long loops);	/* CHAINS vectors, twice a lane's operations, a loop */
};

static double thread_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined(__x86_64__)
#define CHAIN(v, r) "vfmadd231ps %%" v "14, %%" v "15, %%" v #r "\n\t"
#define MULTIPLY_ADD(name, v)                                                                                                                 \
	static void name(long loops)                                                                                                          \
	{                                                                                                                                     \
		__asm__ volatile("vzeroall\n"                                                                                                 \
			"1:\n\t"                                                                                                              \
			CHAIN(v, 0) CHAIN(v, 1) CHAIN(v, 2) CHAIN(v, 3) CHAIN(v, 4) CHAIN(v, 5)                                               \
			CHAIN(v, 6) CHAIN(v, 7) CHAIN(v, 8) CHAIN(v, 9) CHAIN(v, 10) CHAIN(v, 11)                                             \
			"dec %0\n\t"                                                                                                          \
			"jnz 1b\n\t"                                                                                                          \
			"vzeroupper"                                                                                                          \
			: "+r"(loops)                                                                                                         \
			:                                                                                                                     \
			: "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",    \
			"xmm13", "xmm14", "xmm15");                                                                                           \
	}

MULTIPLY_ADD(avx2, "ymm")
MULTIPLY_ADD(avx512, "zmm")

static const struct set *usable(const char *name)
{
	static const struct set sets[] = { { "avx512", 16, avx512 }, { "avx2", 8, avx2 } };

	if ((!name || !strcmp(name, "avx512")) && __builtin_cpu_supports("avx512f"))
		return &sets[0];
	return (!name || !strcmp(name, "avx2")) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &sets[1] : NULL;
}
#else
static const struct set *usable(const char *name)
{
	(void)name;
	return NULL;
}
#endif

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const struct set *set = usable(argc > 1 ? argv[1] : NULL);
	double rate[STRETCHES];

	if (!set) {
		fprintf(stderr, "fma_peak: this processor has no %s\n", argc > 1 ? argv[1] : "AVX2 with FMA");
		return 1;
	}
	for (int i = 0; i < STRETCHES; i++) {
		double start = thread_s();

		set->multiply_add(LOOPS);
		rate[i] = (double)(LOOPS * 2 * set->lanes * CHAINS) * 1e-9 / (thread_s() - start);
	}
	qsort(rate, STRETCHES, sizeof(*rate), by_size);
	printf("%s %.1f\n", set->name, rate[STRETCHES / 2]);
	return 0;
}
