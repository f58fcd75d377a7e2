/* test_model.c - the forward pass gives the recorded losses on a trained model in every layout, and on every kind of GGUF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/model.h"

#define STORIES SHARED_DIR "/data/models/stories260K"

static json_t *load(const char *path)
{
	struct buf b own(buf);
	struct err e = ERR_NONE;

	buf_init(&b, 16 << 20);
	if (fdio_slurp(AT_FDCWD, path, &b, &e) < 0)
		return NULL;
	return json_parse(b.data, b.len, path, &e);
}

static int32_t *ids_of(const json_t *list, uint32_t *n)
{
	int32_t *ids = mem_zalloc(json_array_size(list) * sizeof(*ids));

	*n = (uint32_t)json_array_size(list);
	for (uint32_t i = 0; i < *n; i++)
		ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
	return ids;
}

/* Mean loss over the ids, each predicting the next; losses[n - 1] where wanted. */
static double mean_loss(const char *dir, const char *file, const int32_t *ids, uint32_t n, const char *isa)
{
	struct report r own(report) = { 0 };
	struct model m own(model) = { 0 };
	struct err e = ERR_NONE;
	own(fd) int fd = fdio_open_dir(AT_FDCWD, dir, &e);
	const struct ops *op;
	struct backend *be;
	own(mem) int32_t *targets = mem_zalloc(n * sizeof(*targets));
	own(mem) struct ops_tally *tally = mem_zalloc(n * sizeof(*tally));
	own(mem) struct ops_measure *layers = mem_zalloc((SPEC_LAYERS_MAX + 1) * sizeof(*layers));
	struct model_seq seq = { .n = n };
	struct model_batch batch = { .ids = ids, .targets = targets, .n = n, .seqs = &seq, .n_seqs = 1 };
	struct model_output out = { .tally = tally, .layers = layers };
	double sum = 0;

	if (model_open(&m, fd, file, n, &r, &e) < 0)
		fail_msg("%s/%s: %s", dir, file, e.msg);
	assert_int_equal(ops_cpu_open(&op, &be, 0, isa, &e), 0);
	memcpy(targets, ids + 1, (n - 1) * sizeof(*targets));
	targets[n - 1] = -1;
	if (model_forward(&m, op, be, &batch, &out, &e) < 0)
		fail_msg("%s/%s: %s", dir, file, e.msg);
	for (uint32_t i = 0; i + 1 < n; i++)
		sum += model_loss(&tally[i]);
	op->close(be);
	return sum / (n - 1);
}

static void need_data(void)
{
	if (access(STORIES "/expected.json", R_OK) < 0) {
		print_message("skipped: " STORIES " is not there\n");
		skip();
	}
}

static void check(const char *what, double got, double want, double tolerance)
{
	print_message("%-40s %.8f, recorded %.8f\n", what, got, want);
	if (!(fabs(got - want) <= tolerance * fabs(want)))
		fail_msg("%s: loss %.8f, recorded %.8f", what, got, want);
}

static void trained_model_in_every_layout(void **state)
{
	json_t *expected own(json) = NULL;
	own(mem) int32_t *ids = NULL;
	const char *name;
	json_t *model;
	uint32_t n;

	(void)state;
	need_data();
	expected = load(STORIES "/expected.json");
	ids = ids_of(json_object_get(expected, "token_ids"), &n);
	json_object_foreach(json_object_get(expected, "models"), name, model) {
		char dir[512];
		bool sharded = strstr(name, "sharded");

		snprintf(dir, sizeof(dir), STORIES "/%s", name);
		if (access(dir, R_OK) < 0)
			continue;
		check(name, mean_loss(dir, sharded ? "model.safetensors.index.json" : "model.safetensors", ids, n, NULL),
			json_get_real(model, "mean_loss", 0), 1e-5);
	}
}

static void every_instruction_set(void **state)
{
	static const char *const sets[] = { "scalar", "avx2", "avx512" };
	json_t *expected own(json) = NULL;
	own(mem) int32_t *ids = NULL;
	uint32_t n;

	(void)state;
	need_data();
	expected = load(STORIES "/expected.json");
	ids = ids_of(json_object_get(expected, "token_ids"), &n);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const struct ops *op;
		struct backend *be;

		if (ops_cpu_open(&op, &be, 1, sets[i], NULL) < 0) {
			print_message("skipped: this processor has no %s\n", sets[i]);
			continue;
		}
		op->close(be);
		check(sets[i], mean_loss(STORIES "/hf-f32", "model.safetensors", ids, n, sets[i]), 0.98759447, 1e-5);
	}
}

static void quantised_ggufs(void **state)
{
	json_t *expected own(json) = NULL;
	own(mem) int32_t *ids = NULL;
	const char *name;
	json_t *model;
	uint32_t n;

	(void)state;
	need_data();
	expected = load(STORIES "/expected-gguf.json");
	ids = ids_of(json_object_get(expected, "tokens"), &n);
	json_object_foreach(json_object_get(expected, "files"), name, model) {
		char file[256];

		snprintf(file, sizeof(file), STORIES "/gguf/%s%s", name, str_ends(name, ".gguf") ? "" : ".gguf");
		if (access(file, R_OK) < 0)
			continue;
		check(name, mean_loss(STORIES "/gguf", strrchr(file, '/') + 1, ids, n, NULL),
			json_is_number(model) ? json_number_value(model) : json_get_real(model, "mean_loss", 0), 5e-3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trained_model_in_every_layout),
		cmocka_unit_test(every_instruction_set),
		cmocka_unit_test(quantised_ggufs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
