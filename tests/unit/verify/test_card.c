/* test_card.c - the front matter of model cards: hand-made ones, hostile ones, and every card of the recorded corpus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "verify/card.h"

#define CARD(text) (text), sizeof(text) - 1

static struct card parse(struct arena *a, const char *text, size_t n)
{
	struct card c;

	card_parse(text, n, a, &c);
	return c;
}

static void test_plain(void **state)
{
	own(arena) struct arena a;
	(void)state;

	arena_init(&a);
	own(card) struct card c = parse(&a, CARD("---\nlicense: apache-2.0\nlanguage: no\ntags: x\nbase_model:\n- a/b\n- c/d\n- 7\nnew_version: a/e\nbase_model_relation: ['Quantized ']\n---\n# Title\n"));
	assert_true(c.has_front);
	assert_int_equal(c.verdict, CARD_FINE);
	assert_int_equal(c.license.n, 1);
	assert_string_equal(c.license.item[0], "apache-2.0");
	assert_string_equal(c.language.item[0], "no");
	assert_string_equal(c.tags.item[0], "x");
	assert_int_equal(c.base_model.n, 3);
	assert_string_equal(c.base_model.item[1], "c/d");
	assert_string_equal(c.new_version, "a/e");
	assert_string_equal(c.base_model_relation, "quantized");
}

static void test_wrong_types(void **state)
{
	own(arena) struct arena a;
	(void)state;

	arena_init(&a);
	own(card) struct card c = parse(&a, CARD("---\nlicense: [mit, null, '']\ntags:\nlibrary_name: {x: y}\nbase_model: ''\nlicense_name: [a]\nlicense_link: []\n---\n"));
	assert_int_equal(c.verdict, CARD_FINE);
	assert_int_equal(c.license.n, 1);
	assert_int_equal(c.tags.n, 0);
	assert_int_equal(c.library.n, 0);
	assert_int_equal(c.base_model.n, 0);
	assert_string_equal(c.license_name, "a");	/* a list of one is meant as that one */
	assert_null(c.license_link);
}

/* A second licence that some readers see and others do not. */
static void test_what_hides_a_licence(void **state)
{
	static const struct {
		const char *front;
		enum card_verdict verdict;
	} cases[] = {
		{ "license: gemma\n\"license\": apache-2.0", CARD_BROKEN },
		{ "\"license\": gemma\nlicense: apache-2.0", CARD_BROKEN },
		{ "license : gemma\nlicense: apache-2.0", CARD_BROKEN },
		{ "{license: gemma, license: apache-2.0}", CARD_BROKEN },
		{ "license: gemma\n? license\n: apache-2.0", CARD_BROKEN },
		{ "license:\nlicense: apache-2.0", CARD_BROKEN },
		{ "license: other\nlicense_name: a\nlicense_name: b", CARD_BROKEN },
		{ "license: mit\nbase_model: a/b\nbase_model: c/d", CARD_ODD },
		{ "x: &l [gemma]\nlicense: *l", CARD_ODD },
		{ "x: &l [gemma]\nlicense: [mit, *l]", CARD_ODD },
		{ "license: [mit, {name: gemma}]", CARD_ODD },
		{ "license: {name: gemma}", CARD_ODD },
		{ "license: mit\nx: {license: gemma}\ntags: [license, license]\nlanguage: en", CARD_FINE },
		{ "license: mit\nmore: |\n  license: gemma\n  license: gemma", CARD_FINE },
		{ "license: mit\nbase_model: {relation: finetune}", CARD_ODD },
		{ "license: mit\nbase_model: {name: org/a, relation: finetune}", CARD_FINE },
		{ "x: &b [org/nc]\nlicense: mit\nbase_model: *b", CARD_ODD },
		{ "x: &b {name: org/nc}\nlicense: mit\nbase_model: *b", CARD_ODD },
		{ "x: &b [org/nc]\nlicense: mit\nbase_model: [org/a, *b]", CARD_ODD },
		{ "x: &b {name: org/nc}\nlicense: mit\nbase_model: {name: org/a, <<: *b}", CARD_ODD },
		{ "x: &b {base_model: org/nc}\nlicense: mit\n<<: *b", CARD_ODD },
		{ "license: mit\n<<: {license: gemma}", CARD_ODD },
		{ "x: &b [en]\nlicense: mit\nbase_model: {}\nlanguage: *b", CARD_FINE },
		{ "license: mit\nlicense_link: [terms.txt, more.txt]", CARD_ODD },
		{ "license: mit\nlicense_name: {name: gemma}", CARD_ODD },
		{ "license: mit\nlicense_link: [terms.txt]", CARD_FINE },
		{ "license:", CARD_FINE },
		{ "license: []", CARD_FINE },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(arena) struct arena a;
		char text[400];
		int n = snprintf(text, sizeof(text), "---\n%s\n---\n", cases[i].front);

		arena_init(&a);
		own(card) struct card c = parse(&a, text, (size_t)n);
		if (c.verdict != cases[i].verdict)
			fail_msg("%s: %d, %s", cases[i].front, c.verdict, c.problem ? c.problem : "fine");
	}
}

static void test_aliases(void **state)
{
	own(arena) struct arena a;
	(void)state;

	arena_init(&a);
	own(card) struct card c = parse(&a, CARD("---\nx: &n cc-by-nc-4.0\nlicense: [mit, *n]\ny: &b a/b\nbase_model: *b\n---\n"));
	assert_int_equal(c.verdict, CARD_FINE);
	assert_int_equal(c.license.n, 2);
	assert_string_equal(c.license.item[1], "cc-by-nc-4.0");
	assert_string_equal(c.base_model.item[0], "a/b");
}

static void test_fences(void **state)
{
	static const struct {
		const char *text;
		bool front;
	} cases[] = {
		{ "---\na: b\n---\n", true },	    { "\n \n---\r\na: b\r\n---\r\n", true }, { "---\ra: b\r---\n", true },    { "---\na: b\n---  \t\n", true },
		{ "---\na: b\n---", true },	    { "--- \na: b\n---\n", false },	     { "---\na: b\n--\n", false },    { "x\n---\na: b\n---\n", false },
		{ "\xef\xbb\xbf---\na: b\n---\n", false }, { "", false },		     { "---", false },		      { "---\n---\n", false },
		{ "---\na: b\n----\n---\n", true }, { "---\na: b\n--- x\n", false },	     { "\n\n---\n\n---\n", true },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t begin, end;

		if (card_find_front(cases[i].text, strlen(cases[i].text), &begin, &end) != cases[i].front)
			fail_msg("case %zu: %s", i, cases[i].text);
	}
}

static void test_deep_brackets_cost_nothing(void **state)
{
	own(arena) struct arena a;
	own(buf) struct buf b;
	clock_t start = clock();
	(void)state;

	arena_init(&a);
	buf_init(&b, 1u << 20);
	buf_puts(&b, "---\nx: ");
	for (int i = 0; i < 200000; i++)
		buf_putc(&b, '[');
	buf_puts(&b, "\n---\n");
	own(card) struct card c = parse(&a, b.data, b.len);
	assert_int_equal(c.verdict, CARD_BROKEN);
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 0.1);
}

/* One entry of an archive as a string; NULL at the end. */
static bool next_file(struct archive *ar, const char **name, struct buf *text)
{
	struct archive_entry *entry;
	char chunk[65536];
	la_ssize_t n;

	do {
		if (archive_read_next_header(ar, &entry) != ARCHIVE_OK)
			return false;
	} while (archive_entry_filetype(entry) != AE_IFREG);
	*name = archive_entry_pathname(entry);
	buf_reset(text);
	while ((n = archive_read_data(ar, chunk, sizeof(chunk))) > 0)
		buf_add(text, chunk, (size_t)n);
	return true;
}

static struct archive *open_archive(const char *path)
{
	struct archive *ar = archive_read_new();

	archive_read_support_filter_all(ar);
	archive_read_support_format_tar(ar);
	if (archive_read_open_filename(ar, path, 1 << 20) == ARCHIVE_OK)
		return ar;
	archive_read_free(ar);
	print_message("skipped: %s is not here\n", path);
	return NULL;
}

/* Counts recorded with huggingface_hub's own expression and PyYAML: hub-corpus/README.md. */
static void test_corpus(void **state)
{
	struct archive *ar = open_archive(SHARED_DIR "/data/hub-corpus/cards.tar.zst");
	size_t cards = 0, fronts = 0, broken = 0, licensed = 0, lists = 0;
	own(buf) struct buf text;
	const char *name;
	(void)state;

	if (!ar)
		skip();
	buf_init(&text, 4u << 20);
	while (next_file(ar, &name, &text)) {
		own(arena) struct arena a;

		arena_init(&a);
		own(card) struct card c = parse(&a, text.data, text.len);
		cards++;
		fronts += c.has_front;
		broken += c.verdict == CARD_BROKEN;
		licensed += c.license.n > 0;
		lists += json_is_array(json_object_get(c.front, "license"));
		}
	archive_read_free(ar);
	assert_int_equal(cards, 16587);
	assert_int_equal(fronts, 13913);
	assert_int_equal(lists, 29);
	assert_true(broken <= 10);
	assert_true(licensed >= 7456 + 29 - 10);
}

/* What the manifest rejects for its YAML must not be read; what it accepts must. */
static void test_hostile(void **state)
{
	struct archive *ar = open_archive(SHARED_DIR "/data/hostile/files.tar.zst");
	own(buf) struct buf text;
	size_t seen = 0;
	const char *name;
	(void)state;

	if (!ar)
		skip();
	buf_init(&text, 64u << 20);
	while (next_file(ar, &name, &text)) {
		const char *card = strstr(name, "card/");

		if (!card)
			continue;
		own(arena) struct arena a;
		arena_init(&a);
		own(card) struct card c = parse(&a, text.data, text.len);
		seen++;
		if (str_starts(card, "card/bad_") && c.verdict != CARD_BROKEN)
			fail_msg("%s should not be usable", name);
		if (str_starts(card, "card/ok") && c.verdict != CARD_FINE)
			fail_msg("%s: %s", name, c.problem);
		if ((strstr(card, "flag_bidi") || strstr(card, "flag_py_tag")) && c.verdict != CARD_ODD)
			fail_msg("%s should be odd", name);
	}
	archive_read_free(ar);
	assert_int_equal(seen, 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_what_hides_a_licence),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_fences),
		cmocka_unit_test(test_deep_brackets_cost_nothing),
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
