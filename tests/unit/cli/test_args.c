/* test_args.c - command lines as people write them, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "cli/args.h"
#include "cli/verb.h"

static int nothing(struct ctl *c, struct err *e)
{
	(void)c, (void)e;
	return 0;
}

static const struct opt globals[] = {
	{ "json", OPT_FLAG, NULL, "" }, { "url", OPT_TEXT, "URL", "" }, { "help", OPT_FLAG, NULL, "" }, { "version", OPT_FLAG, NULL, "" }, OPT_END
};
static const struct opt ls_opts[] = {
	{ "license", OPT_LIST, "ID", "" },   { "min-size", OPT_SIZE, "SIZE", "" },	   { "min-params", OPT_PARAMS, "N", "" },
	{ "sort", OPT_TEXT, "KEY", "" },     { "sunset-before", OPT_DATE, "DATE", "" }, { "within", OPT_DURATION, "D", "" },
	{ "limit", OPT_COUNT, "N", "" },     { "o", OPT_TEXT, "FILE", "" },		   OPT_END
};
static const struct verb verbs[] = {
	{ "ls", "", 0, 0, "", NULL, ls_opts, nothing },
	{ "show", "REPO[@REV]", 1, 1, "", NULL, NULL, nothing },
	{ "token create", "NAME", 1, 1, "", NULL, NULL, nothing },
	{ "token revoke", "NAME", 1, 1, "", NULL, NULL, nothing },
	{ "later", "DIR", 1, 1, "", "soon", NULL, NULL },
	{ 0 },
};

#define LINE(...) ((char *[]){ "registryctl", __VA_ARGS__ })
#define PARSE(a, ...) args_parse(a, verbs, globals, (int)ARRAY_LEN(LINE(__VA_ARGS__)), LINE(__VA_ARGS__), &err)

static struct err err;

static void options_stand_anywhere(void **state)
{
	own(args) struct args a;

	(void)state;
	assert_int_equal(PARSE(&a, "--url", "http://x", "ls", "--json", "--license=mit", "--license", "apache-2.0", "--sort", "-size"), 0);
	assert_string_equal(a.verb->name, "ls");
	assert_true(args_has(&a, "json"));
	assert_string_equal(args_text(&a, "url"), "http://x");
	assert_string_equal(args_nth(&a, "license", 0), "mit");
	assert_string_equal(args_nth(&a, "license", 1), "apache-2.0");
	assert_null(args_nth(&a, "license", 2));
	assert_string_equal(args_text(&a, "sort"), "-size");
	assert_false(args_has(&a, "limit"));
}

static void values_are_read_with_their_units(void **state)
{
	own(args) struct args a;

	(void)state;
	assert_int_equal(PARSE(&a, "ls", "--min-size", "1.5GiB", "--min-params", "7B", "--within", "90d", "--sunset-before", "2027-06-30", "--limit",
			       "10", "-o", "out"),
			 0);
	assert_int_equal(args_number(&a, "min-size", 0), 1610612736);
	assert_int_equal(args_number(&a, "min-params", 0), 7000000000);
	assert_int_equal(args_number(&a, "within", 0), 90 * 86400);
	assert_int_equal(args_time(&a, "sunset-before", 0), 1814313600);
	assert_int_equal(args_number(&a, "limit", 0), 10);
	assert_string_equal(args_text(&a, "o"), "out");
	args_done(&a);
	assert_int_equal(PARSE(&a, "ls", "--min-params", "500M"), 0);
	assert_int_equal(args_number(&a, "min-params", 0), 500000000);
}

static void two_word_verbs(void **state)
{
	own(args) struct args a;

	(void)state;
	assert_int_equal(PARSE(&a, "token", "--json", "create", "ci"), 0);
	assert_string_equal(a.verb->name, "token create");
	assert_int_equal(a.n_words, 1);
	assert_string_equal(a.words[0], "ci");
}

static void a_double_dash_ends_options(void **state)
{
	own(args) struct args a;

	(void)state;
	assert_int_equal(PARSE(&a, "show", "--", "--odd"), 0);
	assert_string_equal(a.words[0], "--odd");
}

static void help_needs_no_arguments(void **state)
{
	own(args) struct args a;

	(void)state;
	assert_int_equal(PARSE(&a, "show", "--help"), 0);
	assert_string_equal(a.verb->name, "show");
	args_done(&a);
	assert_int_equal(PARSE(&a, "--help"), 0);
	assert_null(a.verb);
}

static void a_verb_not_supported_takes_anything(void **state)
{
	own(args) struct args a;

	(void)state;
	assert_int_equal(PARSE(&a, "later", "DIR", "--as", "x"), 0);
	assert_string_equal(a.verb->name, "later");
}

static void mistakes_are_named(void **state)
{
	static const struct {
		char *line[5];
		const char *says;
	} cases[] = {
		{ { "lss" }, "unknown command 'lss'; did you mean 'ls'?" },
		{ { "frobnicate" }, "unknown command 'frobnicate'; `registryctl --help` lists those there are" },
		{ { "token", "crate" }, "unknown command 'token crate'; did you mean 'token create'?" },
		{ { "token" }, "token needs one of: create, revoke" },
		{ { "ls", "--licens", "mit" }, "unknown option --licens for ls; did you mean --license?" },
		{ { "--jsno", "ls" }, "unknown option --jsno; did you mean --json?" },
		{ { "ls", "-license" }, "unknown option --license for ls; did you mean --license?" },
		{ { "ls", "--sort" }, "--sort needs a value: KEY" },
		{ { "ls", "--json=yes" }, "--json takes no value" },
		{ { "ls", "--sort", "a", "--sort=b" }, "--sort is given twice" },
		{ { "ls", "--min-size", "big" }, "--min-size: 'big' is not a size: write it as 500M, 20GB or 1.5GiB" },
		{ { "ls", "--min-params", "7X" }, "--min-params: '7X' is not a number of parameters: write it as 7B, 500M or 1000000" },
		{ { "ls", "--limit", "-1" }, "--limit: '-1' is not a whole number" },
		{ { "ls", "x" }, "ls takes no argument, and 'x' is too much" },
		{ { "show" }, "show needs REPO[@REV]" },
		{ { "show", "a", "b" }, "show takes only REPO[@REV], and 'b' is too much" },
		{ { "--json" }, "a command is missing; `registryctl --help` lists them" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(args) struct args a;
		char *argv[6] = { "registryctl" };
		int argc = 1;

		for (; cases[i].line[argc - 1]; argc++)
			argv[argc] = cases[i].line[argc - 1];
		assert_int_equal(args_parse(&a, verbs, globals, argc, argv, &err), ERR_USAGE);
		assert_string_equal(err.msg, cases[i].says);
	}
}

/* The real table: names are unique, usage is stated, and what is not supported says why. */
static void the_table_is_sound(void **state)
{
	(void)state;
	for (const struct verb *v = verb_table; v->name; v++) {
		assert_true(v->min_words <= v->max_words);
		assert_int_equal(v->max_words > 0, *v->args != 0);
		assert_non_null(v->summary);
		if (!v->run)
			assert_non_null(v->detail);
		for (const struct verb *w = v + 1; w->name; w++)
			assert_string_not_equal(v->name, w->name);
		for (const struct opt *o = v->opts; o && o->name; o++) {
			assert_int_equal(o->kind == OPT_FLAG, o->metavar == NULL);
			for (const struct opt *g = verb_globals; g->name; g++)
				assert_string_not_equal(o->name, g->name);
		}
	}
}

static void compare_with(const char *path, void (*make)(FILE *))
{
	own(mem) char *made = NULL;
	own(buf) struct buf kept;
	size_t n = 0;
	FILE *f;

	buf_init(&kept, 1 << 20);
	f = open_memstream(&made, &n);
	make(f);
	fclose(f);
	assert_int_equal(fdio_slurp(AT_FDCWD, path, &kept, &err), 0);
	assert_string_equal(kept.data, made);
}

/* What is in the tree is what the table gives; script/make-man writes it anew. */
static void the_manual_page_is_current(void **state)
{
	(void)state;
	compare_with(SOURCE_DIR "/etc/man/registryctl.1", verb_man);
	compare_with(SOURCE_DIR "/etc/registryctl.bash", verb_completion);
}

static void models_are_taken_apart(void **state)
{
	static const char *const bad[] = { "", "/x", "x/", "a/b/c", "a/b@", "a b", "@main" };
	struct ctl_model m;

	(void)state;
	assert_int_equal(ctl_parse_model(&m, "org/name@refs/pr/1", &err), 0);
	assert_string_equal(m.repo, "org/name");
	assert_string_equal(m.rev, "refs/pr/1");
	assert_int_equal(ctl_parse_model(&m, "gpt2", &err), 0);
	assert_string_equal(m.repo, "gpt2");
	assert_null(m.rev);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ctl_parse_model(&m, bad[i], &err), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere),	   cmocka_unit_test(values_are_read_with_their_units),
		cmocka_unit_test(two_word_verbs),		   cmocka_unit_test(a_double_dash_ends_options),
		cmocka_unit_test(help_needs_no_arguments),	   cmocka_unit_test(a_verb_not_supported_takes_anything),
		cmocka_unit_test(mistakes_are_named),		   cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(models_are_taken_apart),	   cmocka_unit_test(the_manual_page_is_current),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
