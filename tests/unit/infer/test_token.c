/* test_token.c - the tokenizer against recorded ids: stories260K in its layouts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "infer/token.h"

#define STORIES SHARED_DIR "/data/models/stories260K"

static json_t *load(const char *path)
{
	struct err e = ERR_NONE;
	own(buf) struct buf b;

	buf_init(&b, (size_t)16 << 20);
	if (fdio_slurp(AT_FDCWD, path, &b, &e) < 0) {
		print_message("skipped: %s\n", e.msg);
		skip();
	}
	return json_parse(b.data, b.len, path, &e);
}

static struct tokenizer *open_dir(const char *path)
{
	struct err e = ERR_NONE;
	own(fd) int fd = fdio_open_dir(AT_FDCWD, path, &e);
	struct tokenizer *t = NULL;

	if (fd < 0) {
		print_message("skipped: %s\n", e.msg);
		skip();
	}
	if (tokenizer_open(&t, fd, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	return t;
}

/* The ids are those expected, and without what stands around the text they decode to it again. */
static void check(struct tokenizer *t, const char *text, size_t n, const json_t *expected)
{
	own(mem) int32_t *ids = NULL, *plain = NULL;
	size_t n_ids, n_plain;
	struct err e = ERR_NONE;
	own(buf) struct buf back;

	buf_init(&back, 1 << 20);
	assert_int_equal(tokenizer_encode(t, text, n, &ids, &n_ids, &e), 0);
	assert_int_equal(n_ids, json_array_size(expected));
	for (size_t i = 0; i < n_ids; i++)
		assert_int_equal(ids[i], json_integer_value(json_array_get(expected, i)));
	assert_int_equal(tokenizer_encode_plain(t, text, n, &plain, &n_plain, &e), 0);
	assert_int_equal(tokenizer_decode(t, plain, n_plain, &back, &e), 0);
	assert_int_equal(back.len, n);
	assert_memory_equal(back.data, text, n);
}

static void stories(const char *dir)
{
	own(json) json_t *all = load(STORIES "/expected.json");
	const json_t *vectors = json_object_get(all, "tokenizer_vectors"), *ids;
	struct tokenizer *t = open_dir(dir);
	const char *text;

	assert_true(json_object_size(vectors) >= 10);
	json_object_foreach ((json_t *)vectors, text, ids)
		check(t, text, strlen(text), ids);
	check(t, json_get_str(all, "text"), strlen(json_get_str(all, "text")), json_object_get(all, "token_ids"));
	check(t, json_get_str(all, "prompt"), strlen(json_get_str(all, "prompt")), json_object_get(all, "prompt_ids"));
	assert_int_equal(tokenizer_bos(t), 1);
	assert_int_equal(tokenizer_eos(t), 2);
	assert_int_equal(tokenizer_max_id(t), 511);
	assert_int_equal(tokenizer_size(t), 512);
	tokenizer_free(t);
}

static void test_stories_json(void **state)
{
	(void)state;
	stories(STORIES "/hf-f32");
}

static void test_stories_spm(void **state)
{
	(void)state;
	stories(STORIES "/hf-f16-sharded-spm");
}

static void test_not_utf8(void **state)
{
	struct tokenizer *t = open_dir(STORIES "/hf-f32");
	struct err e = ERR_NONE;
	own(mem) int32_t *ids = NULL;
	size_t n;

	(void)state;
	assert_int_equal(tokenizer_encode(t, "\xff", 1, &ids, &n, &e), ERR_INPUT);
	assert_string_equal(e.msg, "the text is not valid UTF-8");
	tokenizer_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories_json),
		cmocka_unit_test(test_stories_spm),
		cmocka_unit_test(test_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
