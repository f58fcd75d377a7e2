/* test_token_parts.c - the tokenizer's parts on their own: patterns rewritten, bad files refused by name, hostile text in bounded time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/vec.h"
#include "infer/token_parts.h"
#include "infer/token_scan.h"
#include "verify/gguf.h"

#define LONG_TEXT ((size_t)1 << 20)

/* A tokenizer from the text of a tokenizer.json; NULL with e set. */
static struct tokenizer *make(const char *json, struct err *e)
{
	struct tokenizer *t = tokenizer_new();

	if (token_json_read(t, json, strlen(json), e) < 0 || tokenizer_finish(t, e) < 0) {
		tokenizer_free(t);
		return NULL;
	}
	return t;
}

static void expect_ids(struct tokenizer *t, const char *text, size_t n, const int32_t *expected)
{
	own(mem) int32_t *ids = NULL;
	struct err e = ERR_NONE;
	size_t got = 0;

	assert_int_equal(tokenizer_encode(t, text, strlen(text), &ids, &got, &e), 0);
	assert_int_equal(got, n);
	assert_memory_equal(ids, expected, n * sizeof(*ids));
}

/* The pieces that a pattern cuts the text into, with | between. */
static void cut(const char *pattern, enum token_flavour flavour, const char *text, char *out, size_t max)
{
	struct token_regex *re = NULL;
	struct err e = ERR_NONE;
	struct token_matches m = { .s = text, .n = strlen(text) };
	int used = 0;

	if (token_regex_open(&re, pattern, strlen(pattern), flavour, &e) < 0)
		fail_msg("%s", e.msg);
	m.re = re;
	out[0] = 0;
	while (token_matches_next(&m, &e) > 0)
		used += snprintf(out + used, max - (size_t)used, "%s%.*s", used ? "|" : "", (int)(m.to - m.from), text + m.from);
	token_regex_free(re);
}

static void patterns_mean_what_their_authors_meant(void **state)
{
	static const struct {
		const char *pattern;
		enum token_flavour flavour;
		const char *text, *pieces;
	} cases[] = {
		{ "\\s+", TOKEN_ONIGURUMA, "a b\xc2\xa0" "c\xe1\xa0\x8e" "d", " |\xc2\xa0" },				/* not U+180E */
		{ "\\w+", TOKEN_ONIGURUMA, "a\xcc\x81_b \xc2\xbd-\xe2\x93\x90", "a\xcc\x81_b|\xc2\xbd|\xe2\x93\x90" },	/* marks, one half, a circled letter */
		{ "[\\w]+", TOKEN_ONIGURUMA, "a\xc2\xbd", "a" },							/* but no fraction within a set */
		{ "\\w+", TOKEN_RUST, "a\xe2\x80\x8d" "b\xc2\xbd", "a\xe2\x80\x8d" "b" },				/* Rust's has the joiners */
		{ "[^\\w\\s]+", TOKEN_ONIGURUMA, "a!? b.", "!?|." },
		{ "[^\\W\\d]+", TOKEN_ONIGURUMA, "ab12cd", "ab|cd" },
		{ "[\\W\\d]+", TOKEN_ONIGURUMA, "ab1-cd", "1-" },
		{ "[a-z&&[^aeiou]]+", TOKEN_ONIGURUMA, "hello", "h|ll" },
		{ "[^a-z&&[^aeiou]]+", TOKEN_ONIGURUMA, "he1lo", "e1|o" },
		{ "[ab[cd]]+", TOKEN_ONIGURUMA, "abcde", "abcd" },
		{ "[[:punct:]]+", TOKEN_ONIGURUMA, "a+-\xe2\x82\xac!", "+-\xe2\x82\xac!" },
		{ "\\p{Han}+", TOKEN_ONIGURUMA, "\xe3\x80\x82\xe4\xb8\x96", "\xe4\xb8\x96" },				/* the script, not its extensions */
		{ "\\p{^L}+", TOKEN_ONIGURUMA, "a1b", "1" },
		{ "\\p{Letter}+", TOKEN_ONIGURUMA, "a1b", "a|b" },
		{ "\\h+", TOKEN_ONIGURUMA, "xyzabc", "abc" },
		{ "^.", TOKEN_ONIGURUMA, "ab\ncd", "a|c" },
		{ "(?m:b.c)", TOKEN_ONIGURUMA, "ab\ncd", "b\nc" },
		{ "a{,2}b", TOKEN_ONIGURUMA, "aab", "aab" },
		{ "\\bfoo\\b", TOKEN_ONIGURUMA, "foo food xfoo foo", "foo|foo" },
		{ "\\u0061|\\x{62}", TOKEN_ONIGURUMA, "abc", "a|b" },
		{ "(?i:'s|'t)", TOKEN_RUST, "it'S don't", "'S|'t" },
		{ "x$", TOKEN_RUST, "x\nx", "x" },
		{ "a?", TOKEN_ONIGURUMA, "ba", "a" },	/* one empty match before b, which does not show here, and none behind the a */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char got[128];

		cut(cases[i].pattern, cases[i].flavour, cases[i].text, got, sizeof(got));
		assert_string_equal(got, cases[i].pieces);
	}
}

static void odd_patterns_are_refused(void **state)
{
	static const struct {
		const char *pattern, *why;
	} cases[] = {
		{ "\\p{N}{1,3}+", "'+' behind an interval" },
		{ "[[^a]b]", "a negated set within a set" },
		{ "[a", "an unfinished set" },
		{ "a\\", "a lone backslash" },
		{ "\\p{Lu", "an unfinished \\p" },
		{ "(a", "missing closing parenthesis" },
		{ "\\p{Nonsense}", "unknown property" },
		{ "[[:graph:]]", "other than the usual ones" },
		{ "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))",
		  "parentheses are too deeply nested" },
		{ "[[[[[[[[[[[[a]]]]]]]]]]]]", "sets nested too deeply" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct token_regex *re = NULL;
		struct err e = ERR_NONE;

		assert_int_equal(token_regex_open(&re, cases[i].pattern, strlen(cases[i].pattern), TOKEN_ONIGURUMA, &e), ERR_UNSUPPORTED);
		if (!strstr(e.msg, cases[i].why))
			fail_msg("%s: %s", cases[i].pattern, e.msg);
	}
}

static void a_pattern_that_never_ends_is_stopped(void **state)
{
	struct token_regex *re = NULL;
	struct err e = ERR_NONE;
	char text[64];
	struct token_matches m = { .s = text, .n = sizeof(text) };

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 'b';
	assert_int_equal(token_regex_open(&re, "(a+)+(a+)+(a+)+$", 16, TOKEN_RUST, &e), 0);
	m.re = re;
	assert_int_equal(token_matches_next(&m, &e), ERR_LIMIT);
	assert_non_null(strstr(e.msg, "takes too long"));
	token_regex_free(re);
}

#define TOP(model)   "{\"model\":" model "}"
#define BPE(v, m)    "{\"type\":\"BPE\",\"vocab\":{" v "},\"merges\":[" m "]}"
#define WITH(k, v)   "{\"" k "\":" v ",\"model\":" BPE("\"a\":0", "") "}"

static void bad_files_are_refused_by_name(void **state)
{
	static const struct {
		const char *json;
		int code;
		const char *why;
	} cases[] = {
		{ "", ERR_INPUT, "an object is expected" },
		{ "[]", ERR_INPUT, "an object is expected" },
		{ "{}", ERR_INPUT, "it has no model" },
		{ "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0", ERR_INPUT, "a comma is expected" },
		{ TOP(BPE("\"a\":0", "")) "x", ERR_INPUT, "something follows" },
		{ TOP(BPE("\"a\":-1", "")), ERR_INPUT, "token 'a' has id -1" },
		{ TOP(BPE("\"a\":2000000", "")), ERR_INPUT, "ids from 0 to 1999999" },
		{ TOP(BPE("\"a\":99999999999999999999", "")), ERR_INPUT, "a whole number" },
		{ TOP(BPE("\"a\":1.5", "")), ERR_INPUT, "a whole number" },
		{ TOP(BPE("\"\\ud800\":0", "")), ERR_INPUT, "half of a surrogate pair" },
		{ TOP(BPE("\"\xff\":0", "")), ERR_INPUT, "not UTF-8" },
		{ TOP(BPE("\"a\":0", "\"a b\"")), ERR_INPUT, "merge 0, 'a' with 'b': the second is not in the vocabulary" },
		{ TOP(BPE("\"a\":0", "\"a a\"")), ERR_INPUT, "what they make is not in the vocabulary" },
		{ TOP(BPE("\"a\":0", "\"a a a\"")), ERR_INPUT, "is not two tokens" },
		{ TOP(BPE("\"a\":0", "[\"a\",\"a\",\"a\"]")), ERR_INPUT, "more than two parts" },
		{ TOP("{\"type\":\"Magic\",\"vocab\":{\"a\":0}}"), ERR_UNSUPPORTED, "the model 'Magic' is not supported" },
		{ TOP("{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}"), ERR_UNSUPPORTED, "dropout" },
		{ TOP("{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1.0]],\"unk_id\":7}"), ERR_INPUT, "unk_id" },
		{ TOP("{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e999]]}"), ERR_INPUT, "a finite number" },
		{ TOP("{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1.0]],\"byte_fallback\":true}"), ERR_INPUT, "no token <0x00>" },
		{ WITH("normalizer", "{\"type\":\"Shout\"}"), ERR_UNSUPPORTED, "the normalizer 'Shout' is not supported" },
		{ WITH("pre_tokenizer", "{\"type\":\"UnicodeScripts\"}"), ERR_UNSUPPORTED, "the pre-tokenizer 'UnicodeScripts' is not supported" },
		{ WITH("decoder", "{\"type\":\"CTC\"}"), ERR_UNSUPPORTED, "the decoder 'CTC' is not supported" },
		{ WITH("post_processor", "{\"type\":\"Magic\"}"), ERR_UNSUPPORTED, "the post-processor 'Magic' is not supported" },
		{ WITH("post_processor", "{\"type\":\"BertProcessing\",\"sep\":[\"x\",5],\"cls\":[\"y\",6]}"), ERR_INPUT, "adds token 6, which does not exist" },
		{ WITH("added_tokens", "[{\"content\":\"x\"}]"), ERR_INPUT, "added token 0" },
		{ WITH("normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!!!\"}"), ERR_INPUT, "base64" },
		{ WITH("normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}"), ERR_INPUT, "claims an index of 4294967295" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_NONE;
		struct tokenizer *t = make(cases[i].json, &e);

		if (t || (int)e.code != cases[i].code || !strstr(e.msg, cases[i].why))
			fail_msg("%s gave %d: %s", cases[i].json, (int)e.code, e.msg);
	}
}

static void broken_models_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *why;
	} cases[] = {
		{ "", 0, "it has no pieces" },
		{ "\x0a\xff", 2, "ends inside a number" },
		{ "\x0a\x7f", 2, "longer than what holds it" },
		{ "\x0b", 1, "unknown type" },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "more than 64 bits" },
		{ "\x0a\x05\x0a\x01" "a\x18\x09", 7, "piece 0 has no text" },
		{ "\x0a\x08\x0a\x01" "a\x15\x00\x00\xc0\x7f", 10, "piece 0 has no text" },	/* a score that is NaN */
		{ "\x0a\x03\x0a\x01" "a\x12\x02\x18\x03", 9, "models of words or characters" },
		{ "\x0a\x03\x0a\x01" "a", 5, "is not the unknown one" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tokenizer *t = tokenizer_new();
		struct err e = ERR_NONE;

		assert_true(token_spm_read(t, cases[i].bytes, cases[i].n, true, &e) < 0);
		if (!strstr(e.msg, cases[i].why))
			fail_msg("%zu: %s", i, e.msg);
		tokenizer_free(t);
	}
}

static void rank_files_of_nobody_are_refused(void **state)
{
	static const char text[] = "YQ== 0\nYg== 1\n", broken[] = "YQ== 0\nYg==1\n";
	struct tokenizer *t = tokenizer_new();
	struct err e = ERR_NONE;

	(void)state;
	assert_true(token_tiktoken_looks(text, sizeof(text) - 1));
	assert_false(token_tiktoken_looks("\x0a\x05<unk>", 7));
	assert_int_equal(token_tiktoken_read(t, text, sizeof(text) - 1, &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "a rank file of 2 tokens is not supported"));
	assert_int_equal(token_tiktoken_read(t, broken, sizeof(broken) - 1, &e), ERR_INPUT);
	assert_non_null(strstr(e.msg, "line 2"));
	tokenizer_free(t);
}

/* The small GGUF of the fuzz corpus with `from` written over by `to`, which is as long. */
static int open_changed_gguf(const char *from, const char *to, struct err *e)
{
	own(fd) int fd = memfd_create("test", MFD_CLOEXEC);
	own(tokenizer) struct tokenizer *t = NULL;
	own(gguf) struct gguf *g = NULL;
	own(buf) struct buf b;
	char *at;

	buf_init(&b, 1 << 16);
	assert_int_equal(fdio_slurp(AT_FDCWD, SOURCE_DIR "/tests/fuzz/corpus/tokenizer/gguf-gpt2", &b, e), 0);
	at = memmem(b.data, b.len, from, strlen(from));
	assert_non_null(at);
	memcpy(at, to, strlen(from));
	assert_int_equal(fdio_write(fd, b.data + 1, b.len - 1, "the copy", e), 0);	/* the first byte is the fuzz target's */
	assert_int_equal(gguf_open(&g, fd, "the copy", e), 0);
	return tokenizer_open_gguf(&t, g, e);
}

static void a_gguf_must_say_how_it_cuts(void **state)
{
	struct err e = ERR_NONE;

	(void)state;
	assert_int_equal(open_changed_gguf("deepseek-v3", "deepseek-v3", &e), 0);
	assert_int_equal(open_changed_gguf("ggml.pre", "ggml.prx", &e), ERR_INPUT);
	assert_non_null(strstr(e.msg, "does not name its pre-tokenizer (tokenizer.ggml.pre)"));
	assert_int_equal(open_changed_gguf("deepseek-v3", "deepseek-v9", &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "'deepseek-v9' is not supported"));
	assert_int_equal(open_changed_gguf("gpt2\x12", "rwkv\x12", &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "tokenizer model 'rwkv' is not supported"));
	assert_int_equal(open_changed_gguf("a b", "a-b", &e), ERR_INPUT);
	assert_non_null(strstr(e.msg, "merge 0 of the GGUF is not two tokens"));
}

/* A vocabulary of a, aa, aaaa … up to 2^12, each the join of two halves. */
static char *doubling(void)
{
	struct buf b;

	buf_init(&b, (size_t)1 << 20);
	buf_puts(&b, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
	for (unsigned k = 0; k <= 12; k++) {
		buf_printf(&b, "%s\"", k ? "," : "");
		for (unsigned i = 0; i < 1u << k; i++)
			buf_putc(&b, 'a');
		buf_printf(&b, "\":%u", k);
	}
	buf_puts(&b, "},\"merges\":[");
	for (unsigned k = 0; k < 12; k++) {
		buf_puts(&b, k ? ",[" : "[");
		for (unsigned half = 0; half < 2; half++) {
			buf_puts(&b, half ? ",\"" : "\"");
			for (unsigned i = 0; i < 1u << k; i++)
				buf_putc(&b, 'a');
			buf_putc(&b, '"');
		}
		buf_putc(&b, ']');
	}
	buf_puts(&b, "]}}");
	return buf_take(&b);
}

/* One word of a megabyte: a quadratic merge would take hours. */
static void long_words_take_no_longer_than_they_must(void **state)
{
	own(mem) char *json = doubling(), *text = mem_zalloc(LONG_TEXT);
	own(mem) int32_t *ids = NULL;
	struct err e = ERR_NONE;
	struct tokenizer *t = make(json, &e);
	size_t n = 0;

	(void)state;
	assert_non_null(t);
	memset(text, 'a', LONG_TEXT);
	assert_int_equal(tokenizer_encode(t, text, LONG_TEXT, &ids, &n, &e), 0);
	assert_int_equal(n, LONG_TEXT >> 12);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ids[i], 12);
	tokenizer_free(t);
}

static void marks_without_end_are_refused(void **state)
{
	struct err e = ERR_NONE;
	struct tokenizer *t = make("{\"normalizer\":{\"type\":\"NFC\"},\"model\":" BPE("\"a\":0", "") "}", &e);
	own(mem) int32_t *ids = NULL;
	own(buf) struct buf b;
	size_t n = 0;

	(void)state;
	buf_init(&b, LONG_TEXT);
	assert_non_null(t);
	for (int i = 0; i < TOKEN_MARKS_MAX; i++)
		buf_puts(&b, i % 2 ? "\xcc\x81" : "\xcc\xa3");
	assert_int_equal(tokenizer_encode(t, b.data, b.len, &ids, &n, &e), 0);
	free(take(ids));
	buf_puts(&b, "\xcc\x81");
	assert_int_equal(tokenizer_encode(t, b.data, b.len, &ids, &n, &e), ERR_LIMIT);
	assert_non_null(strstr(e.msg, "combining marks"));
	tokenizer_free(t);
}

/* A normaliser that makes text longer meets the limit of what is kept, not that of the machine. */
static void growing_text_is_bounded(void **state)
{
	own(mem) char *text = mem_zalloc(LONG_TEXT);
	own(mem) int32_t *ids = NULL;
	struct err e = ERR_NONE;
	struct tokenizer *t = make("{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
				   "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},"
				   "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]},"
				   "\"model\":" BPE("\"a\":0", "") "}", &e);
	size_t n = 0;

	(void)state;
	assert_non_null(t);
	memset(text, 'a', LONG_TEXT);
	assert_int_equal(tokenizer_encode(t, text, LONG_TEXT, &ids, &n, &e), ERR_LIMIT);
	assert_non_null(strstr(e.msg, "makes the text longer than"));
	tokenizer_free(t);
}

static void the_vocabulary_holds_what_it_was_given(void **state)
{
	struct token_vocab v;
	struct err e = ERR_NONE;
	char name[32];
	size_t n;

	(void)state;
	token_vocab_init(&v);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "token-%d", i);
		assert_int_equal(token_vocab_add(&v, name, strlen(name), 3 * i, &e), 0);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "token-%d", i);
		assert_int_equal(token_vocab_find(&v, name, strlen(name)), 3 * i);
		assert_memory_equal(token_vocab_text(&v, 3 * i, &n), name, strlen(name));
	}
	assert_int_equal(token_vocab_find(&v, "token-5000", 10), -1);
	assert_null(token_vocab_text(&v, 1, &n));
	assert_null(token_vocab_text(&v, -1, &n));
	assert_int_equal(v.n_tokens, 5000);
	assert_int_equal(v.n_ids, 3 * 4999 + 1);
	token_vocab_done(&v);
}

static void prefixes_are_found_shortest_first(void **state)
{
	static const char *const words[] = { "b", "ab", "abcd", "abd", "a", "\xff", "zzz" };
	struct token_prefixes p = { 0 };
	struct token_walk w;
	struct token_vocab v;
	struct err e = ERR_NONE;

	(void)state;
	token_vocab_init(&v);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_int_equal(token_vocab_add(&v, words[i], strlen(words[i]), (int64_t)i, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		token_prefixes_add(&p, &v, (int32_t)i);
	token_prefixes_sort(&p);
	w = token_walk_start(&p, "abcde", 5);
	assert_int_equal(token_walk_next(&w)->id, 4);
	assert_int_equal(token_walk_next(&w)->id, 1);
	assert_int_equal(token_walk_next(&w)->id, 2);
	assert_null(token_walk_next(&w));
	assert_int_equal(token_prefixes_longest(&p, "abd", 3)->id, 3);
	assert_int_equal(token_prefixes_longest(&p, "abc", 3)->id, 1);
	assert_int_equal(token_prefixes_longest(&p, "\xff", 1)->id, 5);
	assert_null(token_prefixes_longest(&p, "zz", 2));
	token_prefixes_done(&p);
	token_vocab_done(&v);
}

static void templates_nest_from_the_outside(void **state)
{
	static const int32_t expected[] = { 2, 1, 0, 3 };
	struct err e = ERR_NONE;
	struct tokenizer *t = make("{\"added_tokens\":[{\"id\":1,\"content\":\"<s>\"},{\"id\":2,\"content\":\"<x>\"},{\"id\":3,\"content\":\"</s>\"}],"
				   "\"post_processor\":{\"type\":\"Sequence\",\"processors\":["
				   "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}],"
				   "\"special_tokens\":{\"<s>\":{\"ids\":[1]}}},"
				   "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<x>\"}},{\"Sequence\":{\"id\":\"A\"}},"
				   "{\"SpecialToken\":{\"id\":\"</s>\"}}],\"special_tokens\":{\"<x>\":{\"ids\":[2]},\"</s>\":{\"ids\":[3]}}}]},"
				   "\"model\":" BPE("\"a\":0", "") "}", &e);

	(void)state;
	assert_non_null(t);
	expect_ids(t, "a", 4, expected);
	assert_int_equal(tokenizer_max_id(t), 3);
	assert_int_equal(tokenizer_size(t), 4);
	assert_int_equal(tokenizer_find(t, "</s>", 4), 3);
	tokenizer_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_mean_what_their_authors_meant),
		cmocka_unit_test(odd_patterns_are_refused),
		cmocka_unit_test(a_pattern_that_never_ends_is_stopped),
		cmocka_unit_test(bad_files_are_refused_by_name),
		cmocka_unit_test(broken_models_are_refused),
		cmocka_unit_test(rank_files_of_nobody_are_refused),
		cmocka_unit_test(a_gguf_must_say_how_it_cuts),
		cmocka_unit_test(long_words_take_no_longer_than_they_must),
		cmocka_unit_test(marks_without_end_are_refused),
		cmocka_unit_test(growing_text_is_bounded),
		cmocka_unit_test(the_vocabulary_holds_what_it_was_given),
		cmocka_unit_test(prefixes_are_found_shortest_first),
		cmocka_unit_test(templates_nest_from_the_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
