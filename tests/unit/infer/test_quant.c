/* test_quant.c - every element type decodes to the bits that the format's own package gives (tests/golden/quant/make.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>

#include "base/fdio.h"
#include "infer/quant.h"
#include "infer/quant_parts.h"

#define GOLDEN_MAX_BYTES ((size_t)1 << 20)
#define VALUES_MAX	 4096

struct record {
	char name[16];
	uint32_t bytes, elements;
};

static const struct quant_type *in_table(const struct quant_type *t, const char *name)
{
	while (t->name && strcmp(t->name, name))
		t++;
	return t->name ? t : NULL;
}

static void golden_types(void **state)
{
	own(buf) struct buf b;
	struct err e = ERR_NONE;
	size_t at = 0, types = 0;

	(void)state;
	buf_init(&b, GOLDEN_MAX_BYTES);
	assert_int_equal(fdio_slurp(AT_FDCWD, SOURCE_DIR "/tests/golden/quant/gguf.bin", &b, &e), 0);
	while (at < b.len) {
		struct record r;
		const struct quant_type *t;
		float got[VALUES_MAX], want[VALUES_MAX];

		memcpy(&r, b.data + at, sizeof(r));
		at += sizeof(r);
		t = in_table(quant_set_scalar, r.name);
		assert_non_null(t);
		assert_true(r.elements <= VALUES_MAX);
		assert_int_equal(quant_row_bytes(t, r.elements), r.bytes);
		t->row(got, b.data + at, r.elements);
		memcpy(want, b.data + at + r.bytes, r.elements * sizeof(float));
		for (uint32_t i = 0; i < r.elements; i++)
			if (memcmp(&got[i], &want[i], sizeof(float)) && !(got[i] == 0 && want[i] == 0))
				fail_msg("%s element %u: %.9g, expected %.9g", r.name, i, (double)got[i], (double)want[i]);
		at += r.bytes + r.elements * sizeof(float);
		types++;
	}
	assert_int_equal(types, 25);
}

/* The value of a small float from its definition. */
static double defined(unsigned bits, int man, int bias)
{
	int exp = (int)(bits & 0x7f) >> man, m = (int)(bits & ((1u << man) - 1));
	double v = exp ? ldexp(1 + ldexp(m, -man), exp - bias) : ldexp(m, 1 - bias - man);

	return bits & 0x80 ? -v : v;
}

static void fp8_by_definition(void **state)
{
	static const struct {
		const char *name;
		int man, bias;
	} kinds[] = { { "F8_E4M3", 3, 7 }, { "F8_E5M2", 2, 15 }, { "F8_E4M3FNUZ", 3, 8 }, { "F8_E5M2FNUZ", 2, 16 } };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		const struct quant_type *t = quant_type(kinds[k].name);

		for (unsigned b = 0; b < 256; b++) {
			uint8_t byte = (uint8_t)b;
			bool nuz = strstr(kinds[k].name, "NUZ") != NULL;
			float f;

			t->row(&f, &byte, 1);
			if (nuz ? b == 0x80 : k == 0 ? (b & 0x7f) == 0x7f : (b & 0x7f) > 0x7c)
				assert_true(isnan(f));
			else if (k == 1 && (b & 0x7f) == 0x7c)
				assert_true(isinf(f) && (f < 0) == (b > 127));
			else
				assert_true((double)f == defined(b, kinds[k].man, kinds[k].bias));
		}
	}
}

static void halves_by_definition(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 65536; b++) {
		unsigned exp = b >> 10 & 31, man = b & 1023;
		float f = quant_f16((uint16_t)b);
		double v = exp ? ldexp(1 + man / 1024.0, (int)exp - 15) : ldexp(man, -24);

		if (exp == 31)
			assert_true(man ? isnan(f) : isinf(f));
		else
			assert_true((double)f == (b & 0x8000 ? -v : v));
	}
}

static void powers_and_fours(void **state)
{
	uint8_t e8m0[] = { 0, 1, 127, 254, 255 }, f4[] = { 0x10, 0xf7 };
	float f[5];

	(void)state;
	quant_type("F8_E8M0")->row(f, e8m0, 5);
	assert_true(f[0] == 0x1p-127f && f[1] == 0x1p-126f && f[2] == 1 && f[3] == 0x1p127f && isnan(f[4]));
	quant_type("F4")->row(f, f4, 4);
	assert_true(f[0] == 0 && f[1] == 0.5f && f[2] == 6 && f[3] == -6);
	assert_null(quant_type("BOOL"));
	assert_null(quant_type("Q1_0"));
}

/* A row is the rows of its blocks: nothing is carried over from one to the next. */
static void rows_are_blocks(void **state)
{
	(void)state;
	for (size_t k = 0; quant_type_at(k); k++) {
		const struct quant_type *t = quant_type_at(k);
		uint8_t in[3 * 300];
		float whole[3 * 256], single[256];

		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (uint8_t)(i * 37 + k);
		t->row(whole, in, (size_t)3 * t->block);
		for (size_t b = 0; b < 3; b++) {
			t->row(single, in + b * t->bytes, t->block);
			assert_memory_equal(single, whole + b * t->block, t->block * sizeof(float));
		}
	}
}

/* Every set that this processor can run decodes the same bits; and a set that does not is found out. */
static void sets_agree(void **state)
{
	struct quant_type wrong[] = { { "F32", 1, 4, NULL }, { NULL, 0, 0, NULL } };

	(void)state;
	assert_true(quant_self_test(quant_set_scalar));
	if (__builtin_cpu_supports("avx2"))
		assert_true(quant_self_test(quant_set_avx2));
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
		assert_true(quant_self_test(quant_set_avx512));
	wrong[0].row = quant_type("I32")->row;
	assert_false(quant_self_test(wrong));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_types),	  cmocka_unit_test(fp8_by_definition), cmocka_unit_test(halves_by_definition),
		cmocka_unit_test(powers_and_fours), cmocka_unit_test(rows_are_blocks),	 cmocka_unit_test(sets_agree),
	};

	return cmocka_run_group_tests_name("quant", tests, NULL, NULL);
}
