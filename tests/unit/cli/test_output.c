/* test_output.c - text, tables and progress lines: widths in columns, nothing hostile, nothing cut where nothing must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/err.h"
#include "cli/client.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"

static void hostile_text_is_made_harmless(void **state)
{
	static const char *const cases[][2] = {
		{ "plain", "plain" },
		{ "a\033[2Jb", "a?[2Jb" },
		{ "a\nb\tc", "a b c" },
		{ "C1 \xc2\x9b" "31m", "C1 ?31m" },
		{ "abc\xe2\x80\xae" "def", "abc?def" },	/* right-to-left override */
		{ "broken \xff\xc3", "broken ??" },
		{ "Ü 模型 …", "Ü 模型 …" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(mem) char *clean = text_clean(cases[i][0]);

		assert_string_equal(clean, cases[i][1]);
	}
}

static void width_is_counted_in_columns(void **state)
{
	char s[64] = "模型模型";

	(void)state;
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("Üé"), 2);
	assert_int_equal(text_width("模型"), 4);
	assert_int_equal(text_width("e\xcc\x81"), 1);	/* e and a combining accent */
	text_cut(s, 8);
	assert_string_equal(s, "模型模型");
	text_cut(s, 6);
	assert_string_equal(s, "模型…");
	assert_int_equal(text_width(s), 5);	/* a wide character is never halved */
	text_cut(s, 1);
	assert_string_equal(s, "…");
}

static void figures_read_well(void **state)
{
	char s[TEXT_SHORT_MAX];

	(void)state;
	text_params(s, 7240000000);
	assert_string_equal(s, "7.24B");
	text_params(s, 494000000);
	assert_string_equal(s, "494M");
	text_params(s, 260032);
	assert_string_equal(s, "260K");
	text_params(s, 12);
	assert_string_equal(s, "12");
	text_params(s, 0);
	assert_string_equal(s, "-");
	text_size(s, -1);
	assert_string_equal(s, "-");
	text_duration(s, 45);
	assert_string_equal(s, "45s");
	text_duration(s, 200);
	assert_string_equal(s, "3m20s");
	text_duration(s, 7500);
	assert_string_equal(s, "2h05m");
	text_count(s, 1, "file");
	assert_string_equal(s, "1 file");
}

static const struct table_column columns[] = { { "REPO", TABLE_FLEX }, { "SIZE", TABLE_RIGHT }, { "NOTE", TABLE_FLEX } };

static char *printed(const struct table *t, size_t max)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	table_print(t, f, max);
	fclose(f);
	return text;
}

static void tables_are_aligned(void **state)
{
	own(table) struct table t;
	own(mem) char *wide = NULL;
	own(mem) char *narrow = NULL;

	(void)state;
	table_init(&t, columns, ARRAY_LEN(columns));
	table_add(&t, "org/模型");
	table_add(&t, "1.20 GB");
	table_add(&t, NULL);
	table_add(&t, "a-rather-long-organisation/and-name");
	table_add(&t, "5 B");
	table_add(&t, "fine");
	wide = printed(&t, 0);
	assert_string_equal(wide, "REPO                                    SIZE  NOTE\n"
				  "org/模型                             1.20 GB  -\n"
				  "a-rather-long-organisation/and-name      5 B  fine\n");
	narrow = printed(&t, 30);
	assert_non_null(strstr(narrow, "…"));
	for (char *line = narrow, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		assert_true(text_width(line) <= 30);
	}
}

static void progress_tells_bytes_rate_and_time_left(void **state)
{
	struct progress_state s = { .bytes_done = 300000000, .bytes_total = 1000000000, .files_done = 1, .files_total = 4, .phase = "fetch model.safetensors" };
	own(buf) struct buf b;
	struct progress p;

	(void)state;
	buf_init(&b, 4096);
	progress_init(&p, true, false);
	progress_sample(&p, 0, 100000000);
	progress_sample(&p, 2000, 300000000);
	assert_true(progress_rate(&p) > 99e6 && progress_rate(&p) < 101e6);
	progress_line(&p, &s, 120, &b);
	assert_string_equal(b.data, "[#########---------------------]  30%  300 MB of 1.00 GB  1/4 files  100 MB/s  7s left  fetch model.safetensors");
	buf_reset(&b);
	progress_line(&p, &s, 60, &b);
	assert_true(text_width(b.data) <= 60);
	buf_reset(&b);
	s.bytes_total = 0;
	progress_line(&p, &s, 60, &b);
	assert_string_equal(b.data, "fetch model.safetensors");
}

static void the_rate_forgets_and_starts_anew(void **state)
{
	struct progress p;

	(void)state;
	progress_init(&p, true, false);
	for (int i = 0; i < 100; i++)	/* slow, then fast: only the last samples count */
		progress_sample(&p, i * 1000, i < 50 ? i : 1000 * (int64_t)i);
	assert_true(progress_rate(&p) > 999 && progress_rate(&p) < 1001);
	progress_sample(&p, 101000, 0);
	assert_true(progress_rate(&p) == 0);
}

static void the_admin_token_stays_on_this_machine(void **state)
{
	(void)state;
	assert_true(client_is_local("http://127.0.0.1:8640"));
	assert_true(client_is_local("http://localhost"));
	assert_true(client_is_local("http://[::1]:80/"));
	assert_false(client_is_local("http://127.0.0.1.example.com:8640"));
	assert_false(client_is_local("http://localhost.example.com"));
	assert_false(client_is_local("https://models.example.com"));
	assert_false(client_is_local("http://10.0.0.1"));
	assert_false(client_is_local("http://127.0.0.1@example.com/"));
	assert_false(client_is_local("http://localhost:x@example.com/"));
}

static void queries_are_escaped(void **state)
{
	own(buf) struct buf b;

	(void)state;
	buf_init(&b, CLIENT_PATH_MAX);
	buf_puts(&b, "/-/v1/models/");
	client_path_add(&b, "org/na me");
	client_query_add(&b, "search", "a&b=c d");
	client_query_add(&b, "none", NULL);
	client_query_number(&b, "limit", 5);
	assert_string_equal(b.data, "/-/v1/models/org/na%20me?search=a%26b%3Dc%20d&limit=5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_text_is_made_harmless),	   cmocka_unit_test(width_is_counted_in_columns),
		cmocka_unit_test(figures_read_well),			   cmocka_unit_test(tables_are_aligned),
		cmocka_unit_test(progress_tells_bytes_rate_and_time_left), cmocka_unit_test(the_rate_forgets_and_starts_anew),
		cmocka_unit_test(the_admin_token_stays_on_this_machine),   cmocka_unit_test(queries_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
