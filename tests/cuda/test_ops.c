/*
 * test_ops.c - the CUDA backend against plain loops: every operation and element type (ops_check.h), weights that several tensors make up,
 * models larger than the memory they may have. Built twice: for a real device ("gpu", skipped where there is none), and for the emulation
 * of tests/cuda_host, whose small buffers cut every weight in pieces and whose streams run as late, as early or as oddly as they may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/vec.h"
#include "infer/cuda/module.h"
#include "infer/ops_check.h"
#include "infer/packed.h"
#include "tests/golden/quant/cases.h"

#ifdef CUDA_EMULATED
#include "tests/cuda_host/emu.h"
#define open_gpu cuda_module_open
#else
#define open_gpu ops_cuda_open
#endif

struct gpu {
	const struct ops *op;
	struct backend *be;
	struct ops_device device;
};

static int try_open(struct gpu *g, uint64_t memory_bytes, struct err *e)
{
	struct ops_cuda_options o = { .index = -1, .memory_bytes = memory_bytes, .threads = 2 };

	return open_gpu(&g->op, &g->be, &o, &g->device, e);
}

static struct gpu open_or_fail(uint64_t memory_bytes)
{
	struct gpu g;
	struct err e = ERR_NONE;

	if (try_open(&g, memory_bytes, &e) < 0)
		fail_msg("%s", e.msg);
	return g;
}

#ifdef CUDA_EMULATED
static void set(const char *order, const char *seed)
{
	setenv("EMU_ORDER", order, 1);
	setenv("EMU_SEED", seed, 1);
	emu_configure();
}

static void each_order(void (*check)(bool is_first))
{
	static const char *const orders[][2] = { { "random", "1" }, { "eager", "1" }, { "lazy", "1" }, { "random", "2" } };

	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		set(orders[i][0], orders[i][1]);
		check(i == 0);
		assert_int_equal(emu_leaks(), 0);
	}
}
#else
static void each_order(void (*check)(bool is_first))
{
	check(true);
}
#endif

/* ---- operations ------------------------------------------------------------------------------------------------------ */

static void check_operations(bool is_first)
{
	struct gpu g = open_or_fail(0);
	struct err e = ERR_NONE;

	if (ops_check(g.op, g.be, is_first ? OPS_CHECK_FULL : OPS_CHECK_QUICK, &e) < 0)
		fail_msg("%s", e.msg);
	g.op->close(g.be);
}

static void operations(void **state)
{
	(void)state;
	each_order(check_operations);
}

/* ---- packed weights ----------------------------------------------------------------------------------------------------- */

static float noise(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (float)(int32_t)*seed * 0x1p-31f;
}

/* y[n][rows] of x (noise) times w, on the host. */
static float *product(const struct ops *op, struct backend *be, const struct weight *w, uint32_t n)
{
	own(mem) float *host = mem_zalloc((size_t)n * w->cols * sizeof(*host));
	float *y_host = mem_zalloc((size_t)n * w->rows * sizeof(*y_host)), *x, *y;
	uint32_t seed = w->rows;

	for (size_t i = 0; i < (size_t)n * w->cols; i++)
		host[i] = noise(&seed);
	x = op->alloc(be, (size_t)n * w->cols);
	y = op->alloc(be, (size_t)n * w->rows);
	op->put(be, x, host, (size_t)n * w->cols);
	op->matmul(be, y, w->rows, x, n, w);
	op->get(be, y_host, y, (size_t)n * w->rows);
	op->free(be, x);
	op->free(be, y);
	return y_host;
}

static void assert_close(const float *a, const float *b, size_t n, const char *name)
{
	float top = 0;

	for (size_t i = 0; i < n; i++)
		top = fmaxf(top, fabsf(b[i]));
	for (size_t i = 0; i < n; i++)
		if (!(fabsf(a[i] - b[i]) <= 2e-5f * (top + fabsf(b[i]))))
			fail_msg("%s: element %zu is %.9g, plain loops give %.9g", name, i, (double)a[i], (double)b[i]);
}

static void compare(const struct gpu *g, const struct weight *w, const char *name)
{
	struct gpu cpu;
	struct err e = ERR_NONE;
	own(mem) float *mine = product(g->op, g->be, w, 5), *plain = NULL;
	struct tensor_stats stats = w->tensor->stats;

	if (g->op->finish(g->be, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
	assert_int_equal(ops_cpu_open(&cpu.op, &cpu.be, 1, "scalar", &e), 0);
	plain = product(cpu.op, cpu.be, w, 5);
	cpu.op->close(cpu.be);
	assert_close(mine, plain, 5 * (size_t)w->rows, name);
	assert_true(stats.n <= tensor_numbers(w->tensor));
}

static struct quant_config config_of(const char *json)
{
	struct quant_config c;
	struct err e = ERR_NONE;
	own(json) json_t *j = json_parse(json, strlen(json), "config", &e);

	assert_int_equal(quant_config_parse(&c, j, &e), 0);
	return c;
}

/* All of a packed weight, some of its rows, heads of it; twice, since the second time it lies on the device. */
static void check_packed_one(const struct gpu *g, struct weights *weights, const char *name, const char *config)
{
	struct packed *p own(packed) = NULL;
	own(quant_config) struct quant_config c = config_of(config);
	struct weight views[3];
	char full[64];
	struct err e = ERR_NONE;

	snprintf(full, sizeof(full), "%s.weight", name);
	if (packed_open(&p, weights, &c, full, true, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
	views[0] = (struct weight){ .tensor = p->main, .rows = (uint32_t)p->q.out, .cols = (uint32_t)p->q.in, .packed = p };
	views[1] = weight_slice(views[0], 1, (uint32_t)p->q.out - 2);
	views[2] = weight_heads(weight_slice(views[0], 0, (uint32_t)p->q.out / 4 * 4), 1, 2, 4);
	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < ARRAY_LEN(views); i++)
			compare(g, &views[i], name);
}

static void check_packed(bool is_first)
{
	struct gpu g = open_or_fail(0);
	struct weights weights own(weights) = { 0 };
	struct err e = ERR_NONE;
	own(fd) int dir = fdio_open_dir(AT_FDCWD, SOURCE_DIR "/tests/golden/quant", &e);

	(void)is_first;
	if (weights_open_safetensors(&weights, dir, PACKED_FILE, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < ARRAY_LEN(packed_cases); i++)
		check_packed_one(&g, &weights, packed_cases[i].name, packed_cases[i].config);
	g.op->close(g.be);
}

static void packed_weights(void **state)
{
	(void)state;
	each_order(check_packed);
}

/* ---- memory --------------------------------------------------------------------------------------------------------------- */

/* A tensor of noise in a file of memory. */
static struct tensor matrix(const char *type, uint32_t rows, uint32_t cols)
{
	struct tensor t = { .name = "m", .file = "m", .type_name = type, .type = quant_type(type), .rank = 2, .shape = { rows, cols } };
	uint32_t seed = 7;

	own(mem) uint16_t *data = NULL;

	t.bytes = quant_row_bytes(t.type, (uint64_t)rows * cols);
	data = mem_zalloc(t.bytes);
	for (size_t i = 0; i < t.bytes / 2; i++) {
		float f = noise(&seed);
		uint32_t bits;

		memcpy(&bits, &f, sizeof(bits));
		data[i] = (uint16_t)(bits >> 16);	/* a bfloat16, and as halves of an F32 moderate too */
	}
	t.fd = memfd_create("m", MFD_CLOEXEC);
	assert_int_equal(write(t.fd, data, t.bytes), t.bytes);
	return t;
}

static uint64_t smallest_budget(void)
{
	struct gpu g = open_or_fail(0);
	uint64_t bytes = g.op->peak_bytes(g.be);

	g.op->close(g.be);
	return bytes;
}

/* With room a weight stays and is not read again; without, the same product comes out of pieces. */
static void check_residence(bool is_first)
{
	uint64_t least = smallest_budget();
	struct tensor t = matrix("BF16", 700, 300);
	struct weight w = weight_of(&t, 0, 700, 300, false);
	struct gpu rich = open_or_fail(0), poor = open_or_fail(least + ((uint64_t)300 << 10));
	own(mem) float *first = product(rich.op, rich.be, &w, 4), *poorly = NULL, *again = NULL;
	struct err e = ERR_NONE;

	(void)is_first;
	assert_int_equal(rich.op->finish(rich.be, &e), 0);
	assert_true(rich.op->resident(rich.be));
	poorly = product(poor.op, poor.be, &w, 4);
	if (poor.op->finish(poor.be, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(poor.op->resident(poor.be));
	assert_true(poor.op->peak_bytes(poor.be) <= least + ((uint64_t)300 << 10));
	assert_memory_equal(first, poorly, 4 * 700 * sizeof(float));
	assert_int_equal(ftruncate(t.fd, 0), 0);
	again = product(rich.op, rich.be, &w, 4);
	assert_int_equal(rich.op->finish(rich.be, &e), 0);
	assert_memory_equal(first, again, 4 * 700 * sizeof(float));
	free(product(poor.op, poor.be, &w, 4));
	assert_true(poor.op->finish(poor.be, &e) < 0);		/* it had to read, and the file is empty */
	assert_non_null(strstr(e.msg, "tensor m"));
	rich.op->forget(rich.be);
	free(product(rich.op, rich.be, &w, 4));
	assert_true(rich.op->finish(rich.be, &e) < 0);		/* so must this, after forgetting */
	rich.op->close(rich.be);
	poor.op->close(poor.be);
	close(t.fd);
}

static void residence(void **state)
{
	(void)state;
	each_order(check_residence);
}

static void too_little_memory(void **state)
{
	struct gpu g;
	struct err e = ERR_NONE;

	(void)state;
	assert_true(try_open(&g, 100000, &e) < 0);
	assert_non_null(strstr(e.msg, "--device-memory"));
	assert_true(e.code != ERR_INPUT && e.code != ERR_MISMATCH);	/* it says nothing about a checkpoint */
}

/* Weights that stay make way for activations. */
static void activations_come_first(void **state)
{
	struct tensor t = matrix("F32", 300, 200);
	struct weight w = weight_of(&t, 0, 300, 200, false);
	struct gpu g = open_or_fail(smallest_budget() + ((uint64_t)600 << 10));
	struct err e = ERR_NONE;
	float *large;

	(void)state;
	free(product(g.op, g.be, &w, 2));
	assert_true(g.op->resident(g.be));
	large = g.op->alloc(g.be, (size_t)120 << 10);
	assert_int_equal(g.op->status(g.be, &e), 0);
	assert_false(g.op->resident(g.be));
	g.op->free(g.be, large);
	compare(&g, &w, "after its place was taken");
	g.op->close(g.be);
	close(t.fd);
}

#ifdef CUDA_EMULATED
/* ---- faults -------------------------------------------------------------------------------------------------------------------- */

static int scenario(struct tensor *t, struct err *e)
{
	struct weight w = weight_of(t, 0, (uint32_t)t->shape[0], (uint32_t)t->shape[1], false);
	struct gpu g;
	int rc = try_open(&g, 0, e);

	if (rc < 0)
		return rc;
	free(product(g.op, g.be, &w, 3));
	rc = g.op->finish(g.be, e);
	g.op->close(g.be);
	return rc;
}

/* The Nth call fails, for every N: an error of the test with a sentence, nothing left behind, and never a word against the weights. */
static void every_call_fails_once(void **state)
{
	struct tensor t = matrix("F32", 120, 100);
	struct err e = ERR_NONE;
	uint64_t calls;
	char text[32];

	(void)state;
	set("random", "3");
	assert_int_equal(scenario(&t, &e), 0);
	calls = emu_calls();
	for (uint64_t n = 1; n <= calls; n += n < 150 ? 1 : 97) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
		setenv("EMU_FAIL_AT", text, 1);
		emu_configure();
		e = ERR_NONE;
		if (scenario(&t, &e) < 0 && (e.code == ERR_INPUT || e.code == ERR_MISMATCH || !e.msg[0]))
			fail_msg("call %llu of %llu: %d, \"%s\"", (unsigned long long)n, (unsigned long long)calls, e.code, e.msg);
		if (emu_leaks())
			fail_msg("call %llu of %llu fails, and something is left behind", (unsigned long long)n, (unsigned long long)calls);
	}
	unsetenv("EMU_FAIL_AT");
	emu_configure();
	close(t.fd);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations), cmocka_unit_test(packed_weights), cmocka_unit_test(residence), cmocka_unit_test(too_little_memory),
		cmocka_unit_test(activations_come_first),
#ifdef CUDA_EMULATED
		cmocka_unit_test(every_call_fails_once),
#endif
	};

#ifdef CUDA_EMULATED
	set("random", "1");
#else
	if (!ops_cuda_driver()) {
		print_message("skipped: no CUDA driver here, so no GPU to test\n");
		return 77;
	}
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
