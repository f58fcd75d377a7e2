/*
 * test_golden.c - every family against a reference: tests/golden/NAME.json holds a configuration, the tensors' names and shapes,
 * and the loss of each token; the weights are made here from a hash of their names, as make.py made them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/model.h"

#define GOLDEN SOURCE_DIR "/tests/golden"
#define TOLERANCE 2e-4	/* nats a token: fp32 in two orders of adding */

/* The processor, or with REGISTRYD_TEST_DEVICE (gpu, emulated) the CUDA backend; one for all. */
static const struct ops *op;
static struct backend *be;

static char tmp[] = "/tmp/test_golden.XXXXXX";

static uint32_t mix(uint32_t x)
{
	x = (x ^ (x >> 16)) * 0x7feb352du;
	x = (x ^ (x >> 15)) * 0x846ca68bu;
	return x ^ (x >> 16);
}

static uint32_t fnv(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static size_t count(const json_t *shape)
{
	size_t n = 1;

	for (size_t i = 0; i < json_array_size(shape); i++)
		n *= (size_t)json_integer_value(json_array_get(shape, i));
	return n;
}

static bool is_fp8(const json_t *t)
{
	return json_array_size(t) > 3;
}

static void write_fp8(FILE *file, const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t code = mix((uint32_t)i * 2654435761u + fnv(name)) >> 24;

		putc((int)((code & 0x7f) == 0x7f ? code ^ 1 : code), file);	/* but for the two that are no number */
	}
}

static void write_f32(FILE *file, const char *name, const json_t *t)
{
	float scale = (float)json_number_value(json_array_get(t, 1)), offset = (float)json_number_value(json_array_get(t, 2));

	for (size_t i = 0; i < count(json_array_get(t, 0)); i++) {
		volatile float noise = scale * ((float)(int32_t)mix((uint32_t)i * 2654435761u + fnv(name)) * 0x1p-31f);
		float value = offset + noise;	/* volatile: two roundings, as there */

		fwrite(&value, sizeof(value), 1, file);
	}
}

/* model.safetensors below tmp: every tensor of the golden ([shape, scale, offset] or with a fourth, the type), filled. */
static void write_weights(const json_t *tensors)
{
	json_t *header own(json) = json_object();
	own(mem) char *text = NULL;
	const char *name;
	json_t *t;
	size_t at = 0;
	uint64_t n;
	char path[64];
	FILE *file own(file) = NULL;

	json_object_foreach((json_t *)tensors, name, t) {
		size_t bytes = count(json_array_get(t, 0)) * (is_fp8(t) ? 1 : sizeof(float));

		json_object_set_new(header, name, json_pack("{s:s, s:O, s:[I, I]}", "dtype", is_fp8(t) ? json_string_value(json_array_get(t, 3)) : "F32", "shape",
			json_array_get(t, 0), "data_offsets", (json_int_t)at, (json_int_t)(at + bytes)));
		at += bytes;
	}
	text = json_dumps(header, JSON_COMPACT);
	n = strlen(text);
	snprintf(path, sizeof(path), "%s/model.safetensors", tmp);
	file = fopen(path, "w");
	assert_non_null(file);
	fwrite(&n, sizeof(n), 1, file);
	fwrite(text, 1, n, file);
	json_object_foreach((json_t *)tensors, name, t) {
		if (is_fp8(t))
			write_fp8(file, name, count(json_array_get(t, 0)));
		else
			write_f32(file, name, t);
	}
}

static void write_config(const json_t *config)
{
	own(mem) char *text = json_dumps(config, 0);
	own(fd) int dir = fdio_open_dir(AT_FDCWD, tmp, NULL);

	assert_int_equal(fdio_replace(dir, "config.json", text, strlen(text), 0600, NULL), 0);
}

static int32_t *integers(const json_t *list)
{
	int32_t *v = mem_zalloc((json_array_size(list) + 1) * sizeof(*v));

	for (size_t i = 0; i < json_array_size(list); i++)
		v[i] = (int32_t)json_integer_value(json_array_get(list, i));
	return v;
}

/* The worst difference of a token's loss; with the cache, the ids go in one by one as in generation. */
static double worst_difference(const struct model *m, const json_t *golden, bool cached)
{
	const json_t *losses = json_object_get(golden, "losses");
	uint32_t n = (uint32_t)json_array_size(json_object_get(golden, "ids"));
	own(mem) int32_t *ids = integers(json_object_get(golden, "ids"));
	own(mem) struct ops_tally *tally = mem_zalloc(n * sizeof(*tally));
	own(mem) struct ops_measure *layers = mem_zalloc((m->spec->n_layer + 1) * sizeof(*layers));
	struct model_cache cache = { 0 };
	struct err e = ERR_NONE;
	double worst = 0;

	ids[n] = -1;
	if (cached)
		model_cache_open(&cache, m, op, be, n);
	for (uint32_t at = 0, step; at < n; at += step) {
		struct model_seq seq = { .n = step = cached ? (at ? 1 : n / 2) : n, .position = at };
		struct model_batch batch = { .ids = ids + at, .targets = ids + at + 1, .n = step, .seqs = &seq, .n_seqs = 1, .cache = cached ? &cache : NULL };
		struct model_output out = { .tally = tally + at, .layers = layers };

		if (model_forward(m, op, be, &batch, &out, &e) < 0)
			fail_msg("%s", e.msg);
	}
	for (uint32_t i = 0; i + 1 < n; i++) {
		double d = fabs(model_loss(&tally[i]) - json_number_value(json_array_get(losses, i)));

		worst = d > worst || isnan(d) ? d : worst;
	}
	model_cache_close(&cache, m, op, be);
	op->forget(be);		/* the next model's weights may have these addresses */
	return worst;
}

static bool check(const char *name, const json_t *golden, const char *spelling)
{
	struct report r own(report) = { 0 };
	struct model m own(model) = { 0 };
	struct err e = ERR_NONE;
	own(fd) int dir = fdio_open_dir(AT_FDCWD, tmp, &e);
	double whole, cached;

	write_config(json_object_get(golden, spelling));
	if (model_open(&m, dir, "model.safetensors", (uint32_t)json_array_size(json_object_get(golden, "ids")), &r, &e) < 0) {
		print_error("%-24s %-10s %s\n", name, spelling, e.msg);
		return false;
	}
	whole = worst_difference(&m, golden, false);
	cached = worst_difference(&m, golden, true);
	print_message("%-24s %-10s off by %.1e nats at most, with a cache %.1e\n", name, spelling, whole, cached);
	return whole <= TOLERANCE && cached <= TOLERANCE;
}

static void every_family_agrees(void **state)
{
	const char *device = getenv("REGISTRYD_TEST_DEVICE");
	bool emulated = device && strcmp(device, "emulated") == 0;
	DIR *dir = opendir(GOLDEN);
	const struct dirent *d;
	size_t n = 0, bad = 0;

	(void)state;
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		json_t *golden own(json) = NULL;
		struct buf text own(buf);
		char path[512];

		buf_init(&text, 4 << 20);
		if (!str_ends(d->d_name, ".json"))
			continue;
		snprintf(path, sizeof(path), GOLDEN "/%s", d->d_name);
		assert_int_equal(fdio_slurp(AT_FDCWD, path, &text, NULL), 0);
		golden = json_parse(text.data, text.len, path, NULL);
		assert_non_null(golden);
		write_weights(json_object_get(golden, "tensors"));
		bad += !check(d->d_name, golden, "config");
		/* As configurations were spelled before rope_parameters. What is computed is the same: not twice where it is slow. */
		if (json_object_get(golden, "config_old") && !emulated)
			bad += !check(d->d_name, golden, "config_old");
		n++;
	}
	closedir(dir);
	assert_int_equal(bad, 0);
	assert_true(n >= 72);
}

static int setup(void **state)
{
	struct ops_cuda_options o = { .index = -1, .threads = 2 };
	struct ops_device d;
	struct err e = ERR_NONE;
	int rc = getenv("REGISTRYD_TEST_DEVICE") ? ops_cuda_open(&op, &be, &o, &d, &e) : ops_cpu_open(&op, &be, 2, NULL, &e);

	(void)state;
	if (rc < 0)
		print_error("%s\n", e.msg);
	return rc == 0 && mkdtemp(tmp) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	op->close(be);
	snprintf(command, sizeof(command), "rm -rf %s", tmp);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_family_agrees) };
	const char *device = getenv("REGISTRYD_TEST_DEVICE");

	if (device && strcmp(device, "gpu") == 0 && !ops_cuda_driver()) {
		print_message("skipped: no CUDA driver here, so no GPU to test\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
