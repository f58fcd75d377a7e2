/* quant.c - the table of quant.h: the best set of row functions that this processor runs and that agrees with the plain one. */
#include "infer/quant.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/own.h"
#include "infer/quant_parts.h"

#define TEST_ELEMENTS 768	/* three large blocks; of small ones a number that leaves a rest beside whole vectors */
#define TEST_REST     263
#define TEST_BYTES    4096

float quant_bf16(uint16_t bits)
{
	return quant_float_of((uint32_t)bits << 16);
}

float quant_f16(uint16_t bits)
{
	return quant_half(bits);
}

static bool any(void)
{
	return true;
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static const struct {
	bool (*usable)(void);
	const struct quant_type *table;
} sets[] = { { has_avx512, quant_set_avx512 }, { has_avx2, quant_set_avx2 }, { any, quant_set_scalar } };

/* The same bits, but for the payload of a NaN. */
static bool same(const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(&a[i], &b[i], sizeof(*a)) && !(isnan(a[i]) && isnan(b[i])))
			return false;
	return true;
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

bool quant_self_test(const struct quant_type *table)
{
	uint8_t in[TEST_BYTES];
	float want[TEST_ELEMENTS], got[TEST_ELEMENTS];

	for (size_t i = 0; table[i].name; i++) {
		size_t n = table[i].block == 1 ? TEST_REST : TEST_ELEMENTS;

		fill(in, sizeof(in), (uint32_t)i);
		quant_set_scalar[i].row(want, in, n);
		table[i].row(got, in, n);
		if (!same(want, got, n))
			return false;
	}
	return true;
}

static const struct quant_type *chosen;

static void choose(void)
{
	for (size_t i = 0; !chosen && i < ARRAY_LEN(sets); i++)
		if (sets[i].usable() && quant_self_test(sets[i].table))
			chosen = sets[i].table;
}

static const struct quant_type *table(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, choose);
	return chosen;
}

const struct quant_type *quant_type_at(size_t i)
{
	const struct quant_type *t = table();

	for (size_t k = 0; k < i && t->name; k++)
		t++;
	return t->name ? t : NULL;
}

const struct quant_type *quant_type(const char *name)
{
	for (const struct quant_type *t = table(); t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}
