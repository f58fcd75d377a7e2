/* test_kernel.c - the inner loops check themselves, and a wrong one is found out; products in odd shapes equal plain sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/vec.h"
#include "infer/kernel.h"
#include "infer/ops.h"

static const char *const sets[] = { "scalar", "avx2", "avx512" };

static void good_ones_pass(void **state)
{
	(void)state;
	assert_non_null(kernel_pick(NULL));
	assert_non_null(kernel_pick("scalar"));
	assert_null(kernel_pick("mmx"));
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const struct kernel *k = kernel_pick(sets[i]);

		if (!k)
			print_message("skipped: this processor has no %s\n", sets[i]);
		else
			assert_string_equal(k->name, sets[i]);
	}
}

static void dot_off_by_one(float *acc, const float *x, const float *w, size_t ldw, uint32_t n, uint32_t nv)
{
	kernel_scalar.dot(acc, x, w, ldw, n - 1, nv);	/* forgets the last column */
}

static void f16_without_subnormals(float *out, const void *in, size_t pitch, size_t rows, size_t n, struct tensor_stats *s)
{
	kernel_scalar.f16(out, in, pitch, rows, n, s);
	for (size_t i = 0; i < rows * n; i++)
		out[i] = fabsf(out[i]) < 0x1p-14f ? 0 : out[i];
}

static void stats_blind_to_nan(struct tensor_stats *s, const float *x, size_t n)
{
	kernel_scalar.stats(s, x, n);
	s->n_nonfinite = 0;
}

static void transpose_short(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t cols)
{
	kernel_scalar.transpose(to, ld_to, from, ld_from, rows, cols - 1);
}

static float inner_short(const float *a, const float *b, size_t n)
{
	return kernel_scalar.inner(a, b, n - 1);
}

static void add_twice(float *y, const float *x, float by, size_t n)
{
	kernel_scalar.add_scaled(y, x, by, n);
	kernel_scalar.add_scaled(y + n - 1, x + n - 1, by, 1);
}

static void exps_rough(float *y, const float *x, size_t n)
{
	kernel_scalar.exps(y, x, n);
	for (size_t i = 0; i < n; i++)
		y[i] *= 1 + 1e-6f;
}

static void exps_finite(float *y, const float *x, size_t n)
{
	kernel_scalar.exps(y, x, n);
	for (size_t i = 0; i < n; i++)
		y[i] = isnan(y[i]) ? 0 : y[i];
}

static void bad_ones_fail(void **state)
{
	struct kernel k = kernel_scalar;

	(void)state;
	assert_true(kernel_self_test(&k));
	k.dot = dot_off_by_one;
	assert_false(kernel_self_test(&k));
	k = kernel_scalar;
	k.f16 = f16_without_subnormals;
	assert_false(kernel_self_test(&k));
	k = kernel_scalar;
	k.stats = stats_blind_to_nan;
	assert_false(kernel_self_test(&k));
	k = kernel_scalar;
	k.transpose = transpose_short;
	assert_false(kernel_self_test(&k));
	k = kernel_scalar;
	k.inner = inner_short;
	assert_false(kernel_self_test(&k));
	k = kernel_scalar;
	k.add_scaled = add_twice;
	assert_false(kernel_self_test(&k));
	k = kernel_scalar;
	k.exps = exps_rough;
	assert_false(kernel_self_test(&k));
	k.exps = exps_finite;
	assert_false(kernel_self_test(&k));
}

static float noise(uint32_t *s)
{
	*s = *s * 1664525 + 1013904223;
	return (float)(int32_t)*s * 0x1p-31f;
}

/* A matrix in a temporary file. */
static struct weight matrix(struct tensor *t, FILE *file, uint32_t rows, uint32_t cols, float *copy, bool transposed)
{
	uint32_t seed = rows * 31 + cols;

	for (size_t i = 0; i < (size_t)rows * cols; i++)
		copy[i] = noise(&seed);
	for (size_t i = 0; i < (size_t)rows * cols; i++)
		fwrite(transposed ? &copy[i % rows * cols + i / rows] : &copy[i], sizeof(float), 1, file);
	fflush(file);
	*t = (struct tensor){ .name = "w", .file = "w", .type = quant_type("F32"), .type_name = "F32", .rank = 2, .fd = fileno(file),
		.shape = { transposed ? cols : rows, transposed ? rows : cols }, .bytes = (uint64_t)rows * cols * 4 };
	return weight_of(t, 0, rows, cols, transposed);
}

static void check_product(const char *isa, uint32_t rows, uint32_t cols, uint32_t n, bool transposed)
{
	own(mem) float *w = mem_zalloc((size_t)rows * cols * 4), *x = mem_zalloc((size_t)n * cols * 4), *y = mem_zalloc((size_t)n * (rows + 3) * 4);
	FILE *file own(file) = tmpfile();
	const struct ops *op;
	struct backend *be;
	struct tensor t;
	struct weight m;
	uint32_t seed = n;

	if (ops_cpu_open(&op, &be, 2, isa, NULL) < 0)
		return;
	m = matrix(&t, file, rows, cols, w, transposed);
	for (size_t i = 0; i < (size_t)n * cols; i++)
		x[i] = noise(&seed);
	op->matmul(be, y, rows + 3, x, n, &m);
	assert_int_equal(op->finish(be, NULL), 0);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t r = 0; r < rows; r++) {
			double want = 0, size = 1e-6;

			for (uint32_t k = 0; k < cols; k++) {
				want += (double)w[(size_t)r * cols + k] * (double)x[(size_t)i * cols + k];
				size += fabs((double)w[(size_t)r * cols + k] * (double)x[(size_t)i * cols + k]);
			}
			if (!(fabs((double)y[(size_t)i * (rows + 3) + r] - want) <= 1e-6 * size))
				fail_msg("%s %ux%u, token %u of %u, row %u: %g, expected %g", isa, rows, cols, i, n, r, (double)y[(size_t)i * (rows + 3) + r], want);
		}
	}
	assert_int_equal(t.stats.n, (uint64_t)rows * cols);	/* seen once, all of it */
	op->matmul(be, y, rows + 3, x, n, &m);
	assert_int_equal(t.stats.n, (uint64_t)rows * cols);
	op->close(be);
}

static void products_in_odd_shapes(void **state)
{
	static const uint32_t shapes[][3] = { { 1, 1, 1 }, { 7, 5, 3 }, { 97, 33, 65 }, { 200, 600, 17 }, { 13, 2100, 96 }, { 6, 64, 130 }, { 700, 40, 33 } };

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(sets); s++)
		for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
			for (int transposed = 0; transposed < 2; transposed++)
				check_product(sets[s], shapes[i][0], shapes[i][1], shapes[i][2], transposed);
}

static void a_short_file_is_an_error(void **state)
{
	float w[64], x[8] = { 0 }, y[8];
	FILE *file own(file) = tmpfile();
	const struct ops *op;
	struct backend *be;
	struct err e = ERR_NONE;
	struct tensor t;
	struct weight m = matrix(&t, file, 8, 8, w, false);

	(void)state;
	assert_int_equal(ops_cpu_open(&op, &be, 1, NULL, NULL), 0);
	assert_int_equal(ftruncate(fileno(file), 200), 0);
	op->matmul(be, y, 8, x, 1, &m);
	assert_int_equal(op->finish(be, &e), ERR_MISMATCH);
	assert_non_null(strstr(e.msg, "tensor w"));
	assert_int_equal(op->finish(be, &e), 0);	/* it was reported */
	op->close(be);
}

/* Head rows of a fused matrix: of groups of five rows, the two from the third on. */
static void views_pick_their_rows(void **state)
{
	float w[20 * 3], out[8 * 3];
	FILE *file own(file) = tmpfile();
	struct scratch scratch own(scratch) = { 0 };
	struct tensor t;
	struct weight m = matrix(&t, file, 20, 3, w, false), heads = weight_heads(m, 2, 2, 5), slice = weight_slice(m, 4, 8);

	(void)state;
	assert_int_equal(heads.rows, 8);
	assert_int_equal(weight_rows(&heads, 0, 8, out, &scratch, NULL, NULL), 0);
	for (uint32_t r = 0; r < 8; r++)
		assert_memory_equal(out + r * 3, w + (r / 2 * 5 + 2 + r % 2) * 3, 3 * sizeof(float));
	assert_int_equal(weight_rows(&slice, 3, 2, out, &scratch, NULL, NULL), 0);
	assert_memory_equal(out, w + 7 * 3, 6 * sizeof(float));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_pass),
		cmocka_unit_test(bad_ones_fail),
		cmocka_unit_test(products_in_odd_shapes),
		cmocka_unit_test(a_short_file_is_an_error),
		cmocka_unit_test(views_pick_their_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
