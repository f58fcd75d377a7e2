/* test_smoke_place.c - what the child tells of itself: a fixed form, and nothing else is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "registryd/smoke.h"

static const struct {
	const char *line, *text;	/* text NULL: it is passed over */
} rows[] = {
	{ "test 12 32 1 1 model.safetensors", "testing 12/32 layers of model.safetensors" },
	{ "test 0 32 2 5 a b.gguf", "testing 0/32 layers of a b.gguf (2 of 5)" },
	{ "inspect 0 0 3 0 config.json", "inspecting config.json" },
	{ "inspect 0 0 3 7 config.json", "inspecting config.json (3 of 7)" },
	{ "open 0 0 1 1 unet/x.safetensors", "testing: opening unet/x.safetensors" },
	{ "scan 5 9 1 1 x", "testing: scanning 5/9 tensors of x" },
	{ "write 0 0 1 1 ", "testing: writing a text with the checkpoint" },
	{ "test 33 32 1 1 x", NULL },
	{ "test 1 32 2 1 x", NULL },
	{ "test -1 32 1 1 x", NULL },
	{ "test 1 100000001 1 1 x", NULL },
	{ "test 1 18446744073709551616 1 1 x", NULL },
	{ "test 1 32 1 x", NULL },
	{ "test 1 32 1 1", NULL },
	{ "test", NULL },
	{ "", NULL },
	{ "dance 1 32 1 1 x", NULL },
	{ "TEST 1 32 1 1 x", NULL },
	{ " 1 32 1 1 x", NULL },
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smoke_place p = { .stage = SMOKE_STAGE_NONE };
		char text[WORK_PHASE_MAX];

		assert_int_equal(smoke_place_parse(&p, rows[i].line, strlen(rows[i].line)), rows[i].text != NULL);
		smoke_place_text(&p, text, sizeof(text));
		assert_string_equal(text, rows[i].text ? rows[i].text : "its start");
	}
}

/* A name is cut and made printable; a line that is too long, or has a NUL in it, is none. */
static void test_names(void **state)
{
	static const char with_nul[] = "test 1 2 1 1 a\0b";
	struct smoke_place p;
	char line[2000], text[WORK_PHASE_MAX];

	(void)state;
	assert_false(smoke_place_parse(&p, with_nul, sizeof(with_nul) - 1));
	memset(line, 'x', sizeof(line));
	memcpy(line, "test 1 2 1 1 ", 13);
	assert_false(smoke_place_parse(&p, line, sizeof(line)));
	assert_true(smoke_place_parse(&p, line, 900));
	assert_int_equal(strlen(p.file), SMOKE_FILE_MAX);
	line[13] = '\033';
	assert_true(smoke_place_parse(&p, line, 40));
	assert_null(strchr(p.file, '\033'));
	smoke_place_text(&p, text, 20);
	assert_int_equal(strlen(text), 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines), cmocka_unit_test(test_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
