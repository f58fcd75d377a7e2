/* test_http.c - routes and queries: which row a raw path finds, and what its parameters are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "registryd/http.h"

static int nothing(struct request *rq, struct err *e)
{
	(void)rq;
	(void)e;
	return 0;
}

static const struct http_route table[] = {
	{ "GET", "/-/healthy", HTTP_OPEN, 0, nothing, NULL, NULL },
	{ "GET", "/api/models", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/api/models/{repo}/revision/{rev}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/api/models/{repo}/tree/{rev}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/api/models/{repo}/tree/{rev}/{path*}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "POST", "/api/models/{repo}/paths-info/{rev}", HTTP_READ, HTTP_BODY, nothing, NULL, NULL },
	{ "GET", "/api/models/{repo}/refs", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/api/models/{repo}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/{repo}/resolve/{rev}/{path*}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/{repo}", HTTP_READ, 0, nothing, NULL, NULL },
	{ 0 },
};
static const struct http_route *const tables[] = { table };

static const struct {
	const char *method, *path, *pattern, *repo, *rev, *file;
} rows[] = {
	{ "GET", "/-/healthy", "/-/healthy", NULL, NULL, NULL },
	{ "HEAD", "/-/healthy", "/-/healthy", NULL, NULL, NULL },
	{ "GET", "/-/other", NULL, NULL, NULL, NULL },
	{ "GET", "/api/models/org/m", "/api/models/{repo}", "org/m", NULL, NULL },
	{ "GET", "/api/models/gpt2", "/api/models/{repo}", "gpt2", NULL, NULL },
	{ "GET", "/api/models/org%2Fm", "/api/models/{repo}", "org/m", NULL, NULL },
	{ "GET", "/api/models/gpt2/refs", "/api/models/{repo}/refs", "gpt2", NULL, NULL },
	{ "GET", "/api/models/org/m/revision/main", "/api/models/{repo}/revision/{rev}", "org/m", "main", NULL },
	{ "GET", "/api/models/gpt2/revision/main", "/api/models/{repo}/revision/{rev}", "gpt2", "main", NULL },
	{ "GET", "/api/models/org/m/revision/refs%2Fpr%2F1", "/api/models/{repo}/revision/{rev}", "org/m", "refs/pr/1", NULL },
	{ "GET", "/api/models/org/m/revision/refs/pr/1", "/api/models/{repo}/revision/{rev}", "org/m", "refs/pr/1", NULL },
	{ "GET", "/api/models/org/m/tree/main", "/api/models/{repo}/tree/{rev}", "org/m", "main", NULL },
	{ "GET", "/api/models/org/m/tree/main/a%2Fb", "/api/models/{repo}/tree/{rev}/{path*}", "org/m", "main", "a/b" },
	{ "GET", "/org/m/resolve/main/sub%20dir/a%23b.txt", "/{repo}/resolve/{rev}/{path*}", "org/m", "main", "sub dir/a#b.txt" },
	{ "GET", "/org/m/resolve/main/a+b", "/{repo}/resolve/{rev}/{path*}", "org/m", "main", "a+b" },
	{ "GET", "/gpt2/resolve/main/x", "/{repo}/resolve/{rev}/{path*}", "gpt2", "main", "x" },
	{ "GET", "/org/m/resolve/refs/pr/1/x/y", "/{repo}/resolve/{rev}/{path*}", "org/m", "refs/pr/1", "x/y" },
	{ "GET", "/org/m/resolve/refs/x", "/{repo}/resolve/{rev}/{path*}", "org/m", "refs", "x" },
	{ "GET", "/org/m", "/{repo}", "org/m", NULL, NULL },
	{ "GET", "/org/m/resolve/main/", NULL, NULL, NULL, NULL },
	{ "GET", "/.git/config", NULL, NULL, NULL, NULL },
	{ "GET", "/org/m/x", NULL, NULL, NULL, NULL },
	{ "GET", "//m", NULL, NULL, NULL, NULL },
	{ "GET", "", NULL, NULL, NULL, NULL },
	{ "GET", "/org/m/resolve/main/%00", NULL, NULL, NULL, NULL },
	{ "GET", "/org/m/resolve/main/%zz", NULL, NULL, NULL, NULL },
	{ "GET", "/org/m/resolve/main/%ff", NULL, NULL, NULL, NULL },
	{ "POST", "/api/models/org/m", NULL, NULL, NULL, NULL },
};

static void same(const char *got, const char *want)
{
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void paths_find_their_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct request rq = { .method = rows[i].method, .uri = rows[i].path, .path = rows[i].path };
		const struct http_route *r;
		struct err e = ERR_NONE;
		char allow[64];

		arena_init(&rq.arena);
		r = http_match(tables, 1, &rq, allow, &e);
		if (!!r != !!rows[i].pattern || (r && strcmp(r->pattern, rows[i].pattern)))
			fail_msg("%s found %s", rows[i].path, r ? r->pattern : "nothing");
		if (r) {
			same(http_param(&rq, "repo"), rows[i].repo);
			same(http_param(&rq, "rev"), rows[i].rev);
			same(http_param(&rq, "path"), rows[i].file);
		} else {
			assert_true(e.code < 0);
		}
		arena_done(&rq.arena);
	}
}

static void other_methods_are_named(void **state)
{
	struct request rq = { .method = "DELETE", .path = "/api/models/org/m/paths-info/main" };
	struct err e = ERR_NONE;
	char allow[64];

	(void)state;
	arena_init(&rq.arena);
	assert_null(http_match(tables, 1, &rq, allow, &e));
	assert_string_equal(allow, "POST");
	arena_done(&rq.arena);
}

static void queries(void **state)
{
	own(arena) struct arena a;
	struct request rq = { 0 };
	struct err e = ERR_NONE;
	bool flag = false;
	uint64_t n = 7;
	size_t at = 0;

	(void)state;
	arena_init(&a);
	assert_int_equal(http_parse_pairs(&a, "a=1&&b=x+y%2B&a=%C3%A9&flag&n=12", 16, &rq.queries, &rq.n_queries, &e), 0);
	assert_int_equal(rq.n_queries, 5);
	assert_string_equal(http_query_next(&rq, "a", &at), "1");
	assert_string_equal(http_query_next(&rq, "a", &at), "\xc3\xa9");
	assert_null(http_query_next(&rq, "a", &at));
	assert_string_equal(http_query(&rq, "b"), "x y+");
	assert_true(http_query_bool(&rq, "flag", false));
	assert_false(http_query_bool(&rq, "none", false));
	assert_int_equal(http_query_flag(&rq, "none", &flag, &e), 0);
	assert_false(flag);
	assert_int_equal(http_query_flag(&rq, "flag", &flag, &e), ERR_USAGE);
	assert_int_equal(http_query_flag(&rq, "b", &flag, &e), ERR_USAGE);
	assert_int_equal(http_query_flag(&rq, "a", &flag, &e), 0);
	assert_true(flag);
	assert_int_equal(http_query_u64(&rq, "none", 1, 9, &n, &e), 0);
	assert_int_equal(n, 7);
	assert_int_equal(http_query_u64(&rq, "n", 1, 20, &n, &e), 0);
	assert_int_equal(n, 12);
	assert_int_equal(http_query_u64(&rq, "n", 1, 9, &n, &e), ERR_USAGE);
	assert_int_equal(http_parse_pairs(&a, "a=%0", 16, &rq.queries, &rq.n_queries, &e), ERR_USAGE);
	assert_int_equal(http_parse_pairs(&a, "a=%ff", 16, &rq.queries, &rq.n_queries, &e), ERR_USAGE);
	assert_int_equal(http_parse_pairs(&a, "a&b&c", 2, &rq.queries, &rq.n_queries, &e), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(paths_find_their_row), cmocka_unit_test(other_methods_are_named), cmocka_unit_test(queries) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
