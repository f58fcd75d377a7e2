/* test_token.c - the tokenizer against recorded ids: stories260K in its layouts, real vocabularies from GGUF and SentencePiece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "infer/token.h"
#include "verify/gguf.h"

#define STORIES	   SHARED_DIR "/data/models/stories260K"
#define TOKENIZERS SHARED_DIR "/data/models/tokenizers"
#define SEPARATOR  "\n__ggml_vocab_test__\n"
#define IDS_MAX	   4096

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

/* The text that every checkpoint is scored on comes back from its tokens. */
static void round_trip(struct tokenizer *t)
{
	own(mem) int32_t *ids = NULL;
	own(buf) struct buf text, back;
	struct err e = ERR_NONE;
	size_t n = 0;

	buf_init(&text, 1 << 20);
	buf_init(&back, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, SOURCE_DIR "/infer/fixed_text.txt", &text, &e), 0);
	assert_int_equal(tokenizer_encode(t, text.data, text.len, &ids, &n, &e), 0);
	assert_true(n > 100);
	assert_int_equal(tokenizer_decode(t, ids, n, &back, &e), 0);
	assert_string_equal(back.data, text.data);
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
	round_trip(t);
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

/* The whole file, or the test is skipped. */
static void slurp(const char *path, struct buf *b)
{
	struct err e = ERR_NONE;

	if (fdio_slurp(AT_FDCWD, path, b, &e) < 0) {
		print_message("skipped: %s\n", e.msg);
		skip();
	}
}

static struct tokenizer *open_gguf(const char *path)
{
	own(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	own(gguf) struct gguf *g = NULL;
	struct tokenizer *t = NULL;
	struct err e = ERR_NONE;

	if (fd < 0) {
		print_message("skipped: %s is not there\n", path);
		skip();
	}
	if (gguf_open(&g, fd, path, &e) < 0 || tokenizer_open_gguf(&t, g, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	return t;
}

/* One text and its ids, without what stands around them; it decodes to itself. */
static void check_plain(struct tokenizer *t, const char *text, size_t n, const int32_t *expected, size_t n_expected)
{
	own(mem) int32_t *ids = NULL;
	size_t n_ids = 0;
	struct err e = ERR_NONE;
	own(buf) struct buf back;

	buf_init(&back, 1 << 20);
	assert_int_equal(tokenizer_encode_plain(t, text, n, &ids, &n_ids, &e), 0);
	assert_int_equal(n_ids, n_expected);
	assert_memory_equal(ids, expected, n_ids * sizeof(*ids));
	assert_int_equal(tokenizer_decode(t, ids, n_ids, &back, &e), 0);
	assert_int_equal(back.len, n);
	assert_memory_equal(back.data, text, n);
}

/* Ids as decimal numbers on one line. */
static size_t read_ids(const char *line, const char *end, int32_t ids[IDS_MAX])
{
	size_t n = 0;

	while (line < end) {
		char *after;
		long v = strtol(line, &after, 10);

		if (after == line || after > end)
			break;
		assert_true(n < IDS_MAX);
		ids[n++] = (int32_t)v;
		line = after;
	}
	return n;
}

/* NAME.gguf with NAME.gguf.inp (texts between separators) and NAME.gguf.out (a line of ids for each). */
static void gguf_vectors(const char *name)
{
	char path[512];
	own(buf) struct buf inp, out;
	struct tokenizer *t;
	size_t checked = 0;

	buf_init(&inp, 1 << 20);
	buf_init(&out, 1 << 20);
	snprintf(path, sizeof(path), "%s/%s.inp", TOKENIZERS, name);
	slurp(path, &inp);
	snprintf(path, sizeof(path), "%s/%s.out", TOKENIZERS, name);
	slurp(path, &out);
	snprintf(path, sizeof(path), "%s/%s", TOKENIZERS, name);
	t = open_gguf(path);
	for (const char *text = inp.data, *ids = out.data; text; checked++) {
		const char *end = strstr(text, SEPARATOR), *eol = strchr(ids, '\n');
		int32_t expected[IDS_MAX];
		size_t n;

		if (!end && !*text)	/* behind the last separator */
			break;
		assert_non_null(eol);
		n = read_ids(ids, eol, expected);
		check_plain(t, text, end ? (size_t)(end - text) : strlen(text), expected, n);
		ids = eol + 1;
		text = end ? end + strlen(SEPARATOR) : NULL;
	}
	assert_true(checked >= 46);
	round_trip(t);
	tokenizer_free(t);
}

static void test_gguf_gpt2(void **state)
{
	(void)state;
	gguf_vectors("ggml-vocab-gpt-2.gguf");
}

static void test_gguf_starcoder(void **state)
{
	(void)state;
	gguf_vectors("ggml-vocab-starcoder.gguf");
}

static void test_gguf_deepseek(void **state)
{
	(void)state;
	gguf_vectors("ggml-vocab-deepseek-llm.gguf");
}

static void test_gguf_llama(void **state)
{
	(void)state;
	gguf_vectors("ggml-vocab-llama-spm.gguf");
}

static void test_gguf_phi3(void **state)
{
	(void)state;
	gguf_vectors("ggml-vocab-phi-3.gguf");
}

/* What transformers' own tests expect, where we hold the vocabulary: special tokens stand in the middle of that text. */
static void test_transformers(void **state)
{
	static const char *const cases[][2] = {
		{ "test_tokenization_gpt2.py.txt", "ggml-vocab-gpt-2.gguf" },
		{ "test_tokenization_llama.py.txt", "ggml-vocab-llama-spm.gguf" },
	};
	own(json) json_t *all = load(TOKENIZERS "/hf-expected-ids.json");
	const char *text = json_get_str(all, "text");

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const json_t *of = json_object_get(json_object_get(all, "models"), cases[i][0]), *ids = json_object_get(of, "integration_expected_token_ids");
		own(mem) int32_t *got = NULL;
		struct err e = ERR_NONE;
		struct tokenizer *t;
		char path[512];
		size_t n;

		snprintf(path, sizeof(path), "%s/%s", TOKENIZERS, cases[i][1]);
		t = open_gguf(path);
		assert_int_equal(tokenizer_encode_plain(t, text, strlen(text), &got, &n, &e), 0);
		assert_int_equal(n, json_array_size(ids));
		for (size_t k = 0; k < n; k++)
			assert_int_equal(got[k], json_integer_value(json_array_get(ids, k)));
		tokenizer_free(t);
	}
}

/* A real tokenizer.model, read through a directory that holds it alone. Ids recorded from sentencepiece 0.2.3. */
static void test_mistral_spm(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		int32_t ids[16];
	} cases[] = {
		{ "Hello world", 2, { 22557, 1526 } },
		{ "na\xc3\xafve caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac", 7, { 1879, 28920, 333, 28345, 28705, 29142, 29119 } },
		{ "  two  spaces\n\ttab", 7, { 259, 989, 28705, 10599, 13, 12, 4252 } },
		{ "\xf0\x9f\xa6\x99 12345", 11, { 28705, 243, 162, 169, 156, 28705, 28740, 28750, 28770, 28781, 28782 } },
	};
	char dir[] = "/tmp/test_token.XXXXXX";
	struct err e = ERR_NONE;
	struct tokenizer *t = NULL;
	own(buf) struct buf b;

	(void)state;
	buf_init(&b, (size_t)4 << 20);
	slurp(TOKENIZERS "/mistral-v1.tokenizer.model", &b);
	assert_non_null(mkdtemp(dir));
	own(fd) int fd = fdio_open_dir(AT_FDCWD, dir, &e);
	assert_int_equal(fdio_replace(fd, "tokenizer.model", b.data, b.len, 0600, &e), 0);
	assert_int_equal(tokenizer_open(&t, fd, &e), 0);
	unlinkat(fd, "tokenizer.model", 0);
	rmdir(dir);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_plain(t, cases[i].text, strlen(cases[i].text), cases[i].ids, cases[i].n);
	assert_int_equal(tokenizer_bos(t), 1);
	assert_int_equal(tokenizer_eos(t), 2);
	assert_int_equal(tokenizer_max_id(t), 31999);
	round_trip(t);
	tokenizer_free(t);
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
		cmocka_unit_test(test_gguf_gpt2),
		cmocka_unit_test(test_gguf_starcoder),
		cmocka_unit_test(test_gguf_deepseek),
		cmocka_unit_test(test_gguf_llama),
		cmocka_unit_test(test_gguf_phi3),
		cmocka_unit_test(test_transformers),
		cmocka_unit_test(test_mistral_spm),
		cmocka_unit_test(test_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
