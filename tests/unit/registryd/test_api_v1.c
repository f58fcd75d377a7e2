/* test_api_v1.c - what schema/openapi.yaml describes is what the daemon serves, neither more nor less; and who may call it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "registryd/api_v1_impl.h"

static json_t *described(void)
{
	struct err e = ERR_NONE;
	own(buf) struct buf b;
	json_t *j;

	buf_init(&b, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, SOURCE_DIR "/schema/openapi.yaml", &b, &e), 0);
	j = api_v1_openapi(b.data, b.len, &e);
	if (!j)
		fail_msg("%s", e.msg);
	return j;
}

/* The route's pattern as OpenAPI writes it: {path*} is {path}. */
static const json_t *operation_of(const json_t *paths, const struct http_route *r)
{
	char path[200], method[8];
	size_t n = 0;

	for (const char *p = r->pattern; *p && n < sizeof(path) - 1; p++)
		if (*p != '*')
			path[n++] = *p;
	path[n] = 0;
	n = 0;
	for (const char *p = r->method; *p && n < sizeof(method) - 1; p++)
		method[n++] = (char)(*p | 0x20);
	method[n] = 0;
	return json_object_get(json_object_get(paths, path), method);
}

static void every_route_is_described(void **state)
{
	own(json) json_t *doc = described();

	(void)state;
	for (const struct http_route *r = api_v1_routes; r->method; r++)
		if (!operation_of(json_object_get(doc, "paths"), r))
			fail_msg("%s %s is served and not described", r->method, r->pattern);
}

static void every_description_is_served(void **state)
{
	own(json) json_t *doc = described();
	size_t n_described = 0, n_served = 0;
	const char *path, *method;
	json_t *item, *op;

	(void)state;
	json_object_foreach(json_object_get(doc, "paths"), path, item)
		json_object_foreach(item, method, op)
			n_described += json_is_object(op);
	for (const struct http_route *r = api_v1_routes; r->method; r++)
		n_served++;
	assert_int_equal(n_described, n_served);
}

/* Whatever changes something asks for a role; reading does not. */
static void changing_needs_a_role(void **state)
{
	(void)state;
	for (const struct http_route *r = api_v1_routes; r->method; r++) {
		bool reads = !strcmp(r->method, "GET");

		if (!reads)
			assert_true(r->access == HTTP_PUBLISH || r->access == HTTP_ADMIN);
		/* Names of tokens and addresses of webhooks (which may carry a key) are not for everybody. */
		if (str_starts(r->pattern, "/-/v1/tokens") || str_starts(r->pattern, "/-/v1/webhooks"))
			assert_int_equal(r->access, HTTP_ADMIN);
		/* Contents and entries leave here past what doors enforce. */
		else if (str_starts(r->pattern, "/-/v1/blobs") || str_ends(r->pattern, "/-/bundle"))
			assert_int_equal(r->access, HTTP_PUBLISH);
		else if (reads)
			assert_true(r->access == HTTP_READ || r->access == HTTP_OPEN);
	}
}

static void plain_scalars_get_their_types(void **state)
{
	static const char yaml[] = "a: true\nb: 12\nc: [false, x]\nd: '3.1.0'\ne: null\n";
	own(json) json_t *j = api_v1_openapi(yaml, sizeof(yaml) - 1, NULL);

	(void)state;
	assert_true(json_is_true(json_object_get(j, "a")));
	assert_int_equal(json_integer_value(json_object_get(j, "b")), 12);
	assert_true(json_is_false(json_array_get(json_object_get(j, "c"), 0)));
	assert_string_equal(json_get_str(j, "d"), "3.1.0");
	assert_true(json_is_null(json_object_get(j, "e")));
}

static void members_are_read_strictly(void **state)
{
	static const char *const names[] = { "revision", "reason", NULL };
	own(json) json_t *body = json_pack("{s:s, s:i, s:n, s:s}", "revision", "main", "reason", 1, "note", "empty", "");
	struct err e = ERR_NONE;
	const char *s;

	(void)state;
	assert_int_equal(api_v1_text(body, "revision", &s, &e), 0);
	assert_string_equal(s, "main");
	assert_int_equal(api_v1_text(body, "note", &s, &e), 0);
	assert_null(s);
	assert_int_equal(api_v1_text(body, "empty", &s, &e), 0);
	assert_null(s);
	assert_int_equal(api_v1_text(body, "reason", &s, &e), ERR_USAGE);
	json_object_set_new(body, "reason", json_string("\xc2\xa0\xe2\x80\x8b"));
	assert_int_equal(api_v1_reason(body, &s, &e), 0);
	assert_null(s);
	assert_int_equal(api_v1_known(body, names, &e), ERR_USAGE);
	assert_non_null(strstr(e.msg, "\"note\""));
}

static void names_are_those_of_the_hub(void **state)
{
	static const char *const good[] = { "org/name", "gpt2", "a/b", "Org-1/na_me.v2-x", "0/1" };
	static const char *const bad[] = { "", "/a", "a/", "a//b", "a/b/c", "../x", "a/..", ".a/b", "a/-b", "a-/b", "a..b/c", "a b/c", "a/b\n", "a/ü", "a@b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(api_v1_check_repo(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(api_v1_check_repo(bad[i], NULL), ERR_USAGE);
	assert_int_equal(api_v1_check_repo(NULL, NULL), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_described),  cmocka_unit_test(every_description_is_served),
		cmocka_unit_test(changing_needs_a_role),     cmocka_unit_test(plain_scalars_get_their_types),
		cmocka_unit_test(members_are_read_strictly), cmocka_unit_test(names_are_those_of_the_hub),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
