/* test_amx.c - the matrix unit's code, run on tiles emulated in plain C, and on the processor's own where it has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__x86_64__)
#include "amx_emulated.h"
#define kernel_amx emulated_amx
#include "infer/kernel_amx.c"
#undef kernel_amx
extern const struct kernel_matrix kernel_amx;

#include "base/vec.h"
#include "infer/ops_cpu_parts.h"

static void emulated_tiles_pass_the_self_test(void **state)
{
	(void)state;
	assert_true(kernel_matrix_self_test(&emulated_amx));
	assert_true(amx_products > 0);
	assert_int_equal(amx_config.palette, 0);	/* released */
}

static void one_term(uint16_t *out, const float *x, uint32_t tokens, uint32_t cols)
{
	pack(out, x, tokens, cols);
	for (size_t chunk = 0; chunk < packed_size(cols); chunk += 2 * TILE)
		memset(out + chunk + TILE, 0, TILE * sizeof(*out));
}

static void reads_past_the_edge(float *acc, const uint16_t *w, uint32_t rows, const uint16_t *x, uint32_t blocks, uint32_t cols)
{
	dot(acc, w, rows, x, blocks, cols + 1);
}

static void forgets_the_last_row(float *acc, const uint16_t *w, uint32_t rows, const uint16_t *x, uint32_t blocks, uint32_t cols)
{
	dot(acc, w, rows - 1, x, blocks, cols);
}

static void wrong_ones_are_found_out(void **state)
{
	struct kernel_matrix m = emulated_amx;

	(void)state;
	m.pack = one_term;
	assert_false(kernel_matrix_self_test(&m));
	m = emulated_amx;
	m.dot = reads_past_the_edge;
	assert_false(kernel_matrix_self_test(&m));
	m.dot = forgets_the_last_row;
	assert_false(kernel_matrix_self_test(&m));
}

static void the_processors_own(void **state)
{
	(void)state;
	if (!kernel_amx.usable())
		print_message("skipped: this processor or its system gives no AMX tiles; the emulated ones are tested\n");
	else
		assert_true(kernel_matrix_self_test(&kernel_amx));
}

static void numbers_keep_16_bits(void **state)
{
	static const float x[] = { 1, -1.0f / 3, 3.14159265f, 1e-20f, -6.5e20f, 0, 1.00390625f };
	uint16_t packed[2 * TILE];

	(void)state;
	pack(packed, x, 1, ARRAY_LEN(x));
	for (size_t k = 0; k < ARRAY_LEN(x); k++) {
		size_t at = k / 2 * STRIDE / 2 + k % 2;
		double sum = (double)quant_bf16(packed[at]) + (double)quant_bf16(packed[TILE + at]);

		assert_true(fabs(sum - (double)x[k]) <= fabs((double)x[k]) * 0x1p-17);
	}
	assert_true(isnan(quant_bf16(round_bf16(NAN))));
	assert_true(isinf(quant_bf16(round_bf16(INFINITY))));
	assert_int_equal(round_bf16(1.00390625f), 0x3f80);	/* ties go to even */
	assert_int_equal(round_bf16(1.01171875f), 0x3f82);
}

/* rows x cols in bf16, of which `group` of every `stride` rows are wanted; group 0: all. */
static void check_product(uint32_t rows, uint32_t cols, uint32_t n, uint32_t group, uint32_t stride)
{
	own(mem) uint16_t *w = mem_zalloc((size_t)rows * cols * 2);
	own(mem) float *x = mem_zalloc((size_t)n * cols * 4), *y = mem_zalloc((size_t)n * rows * 4), *want = mem_zalloc((size_t)n * rows * 4);
	FILE *file own(file) = tmpfile();
	struct tensor t = { .name = "w", .file = "w", .type = quant_type("BF16"), .type_name = "BF16", .rank = 2, .fd = fileno(file), .shape = { rows, cols }, .bytes = (uint64_t)rows * cols * 2 };
	struct weight m = weight_of(&t, 0, rows, cols, false);
	struct tensor_stats by_unit;
	const struct ops *op;
	struct backend *be;

	for (size_t i = 0; i < (size_t)rows * cols; i++)
		w[i] = (uint16_t)(0x3c00 + i * 7919 % 0x180 + (i % 3 ? 0x8000 : 0));
	assert_int_equal(fwrite(w, 2, (size_t)rows * cols, file), (size_t)rows * cols);
	fflush(file);
	for (size_t i = 0; i < (size_t)n * cols; i++)
		x[i] = (float)sin((double)i);
	if (group)
		m = weight_heads(m, 0, group, stride);
	assert_int_equal(ops_cpu_open(&op, &be, 2, "scalar", NULL), 0);
	op->matmul(be, want, rows, x, n, &m);
	be->matrix = &emulated_amx;
	t.stats.n = 0;
	assert_true(ops_cpu_matrix_takes(be, &m));
	op->matmul(be, y, rows, x, n, &m);
	by_unit = t.stats;
	assert_int_equal(op->finish(be, NULL), 0);
	assert_int_equal(by_unit.n, (uint64_t)m.rows * cols);
	for (size_t i = 0; i < (size_t)n * rows; i++)
		if (!(fabsf(y[i] - want[i]) <= 1e-5f * (float)cols * 0.03f))
			fail_msg("%ux%u, %u tokens: result %zu is %g, expected %g", rows, cols, n, i, (double)y[i], (double)want[i]);
	op->close(be);
}

static void products_in_odd_shapes(void **state)
{
	(void)state;
	check_product(1, 1, 1, 0, 0);
	check_product(7, 5, 3, 0, 0);
	check_product(33, 97, 65, 0, 0);
	check_product(130, 64, 16, 0, 0);
	check_product(2000, 600, 33, 0, 0);	/* several tasks */
	check_product(60, 40, 17, 2, 5);	/* rows of heads */
}

static void numbers_that_are_none_reach_the_statistics(void **state)
{
	uint16_t w[3 * 40];
	float x[40] = { 1 }, y[3];
	FILE *file own(file) = tmpfile();
	struct tensor t = { .name = "w", .file = "w", .type = quant_type("BF16"), .type_name = "BF16", .rank = 2, .fd = fileno(file), .shape = { 3, 40 }, .bytes = sizeof(w) };
	struct weight m = weight_of(&t, 0, 3, 40, false);
	const struct ops *op;
	struct backend *be;
	struct err e = ERR_NONE;

	(void)state;
	memset(w, 0, sizeof(w));
	w[40 + 39] = 0x7fc0;
	w[80] = 0xff80;
	assert_int_equal(fwrite(w, sizeof(w), 1, file), 1);
	fflush(file);
	assert_int_equal(ops_cpu_open(&op, &be, 1, "scalar", NULL), 0);
	be->matrix = &emulated_amx;
	op->matmul(be, y, 3, x, 1, &m);
	assert_int_equal(t.stats.n_nonfinite, 2);
	assert_true(y[0] == 0 && isnan(y[1]) && !isfinite(y[2]));
	assert_int_equal(ftruncate(fileno(file), 100), 0);
	op->matmul(be, y, 3, x, 1, &m);
	assert_int_equal(op->finish(be, &e), ERR_MISMATCH);
	assert_non_null(strstr(e.msg, "tensor w"));
	op->close(be);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(emulated_tiles_pass_the_self_test),
		cmocka_unit_test(wrong_ones_are_found_out),
		cmocka_unit_test(the_processors_own),
		cmocka_unit_test(numbers_keep_16_bits),
		cmocka_unit_test(products_in_odd_shapes),
		cmocka_unit_test(numbers_that_are_none_reach_the_statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
	return 0;
}
#endif
