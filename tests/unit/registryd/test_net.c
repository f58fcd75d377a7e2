/* test_net.c - origins, redirects' targets, Link, Retry-After and RateLimit as recorded from the Hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/vec.h"
#include "registryd/hub.h"
#include "registryd/net.h"
#include "registryd/webhook.h"

static void test_origin(void **state)
{
	(void)state;
	assert_true(net_same_origin("https://huggingface.co/a", "https://HuggingFace.co:443/b"));
	assert_false(net_same_origin("https://huggingface.co/a", "http://huggingface.co/a"));
	assert_false(net_same_origin("http://h:80/a", "http://h:81/a"));
	assert_false(net_same_origin("https://huggingface.co", "https://huggingface.co.evil.example"));
	assert_false(net_same_origin("https://huggingface.co", "https://huggingface.co@evil.example/"));
	assert_false(net_same_origin("https://huggingface.co", "no address"));
	assert_false(net_same_origin("", ""));
}

static void test_join(void **state)
{
	static const struct {
		const char *base, *location, *want;
	} cases[] = {
		{ "https://h/a/b", "/api/resolve-cache/x?y=%2F", "https://h/api/resolve-cache/x?y=%2F" },
		{ "https://h/a/b", "https://cdn.example/x", "https://cdn.example/x" },
		{ "https://h/a/b", "//cdn.example/x", "https://cdn.example/x" },
		{ "https://h/a/b", "file:///etc/passwd", NULL },
		{ "https://h/a/b", "gopher://x/", NULL },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(mem) char *got = net_join(cases[i].base, cases[i].location);

		if (!cases[i].want)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

/* A listing's next page, by whatever name and path a server, or a gateway before it, calls itself: asked for where we reach it. */
static void test_page(void **state)
{
	static const struct {
		const char *asked, *link, *want;
	} cases[] = {
		{ "https://h/api/models?limit=2", "https://huggingface.co/api/models?limit=2&cursor=a%2Fb%3D", "https://h/api/models?limit=2&cursor=a%2Fb%3D" },
		{ "https://h/hf/api/models?limit=2", "https://huggingface.co/api/models?cursor=x", "https://h/hf/api/models?cursor=x" },
		{ "https://h/hf/api/models", "https://other/a/hf/api/models?cursor=x", "https://h/hf/api/models?cursor=x" },
		{ "http://10.0.0.1:8080/api/m", "https://models.example:8443/hub/api/m?a=b?c", "http://10.0.0.1:8080/api/m?a=b?c" },
		{ "https://h/api/m?a=b", "/api/m?cursor=x", "https://h/api/m?cursor=x" },
		{ "https://h/api/m?a=b", "?cursor=x", "https://h/api/m?cursor=x" },
		{ "https://h/api/m", "https://user:word@other/x?p=2#y", "https://h/api/m?p=2" },
		{ "https://h/api/m", "https://other/api/m/page/2", NULL },
		{ "https://h/api/m", "file:///etc/passwd?x", NULL },
		{ "https://h/api/m", "http://no address\n?x", NULL },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(mem) char *got = net_page(cases[i].asked, cases[i].link);

		if (!cases[i].want)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

/* What may stand in a Link header after RFC 8288, and what is no next page. */
static void test_link(void **state)
{
	static const struct {
		const char *link, *want;
	} cases[] = {
		{ "<https://h/x?cursor=a%2Cb>; rel=\"next\"", "https://h/x?cursor=a%2Cb" },
		{ "<https://h/p>; rel=\"prev\", <https://h/n>; rel=\"next\"", "https://h/n" },
		{ "<n>;rel=next", "n" },
		{ "<n>; rel=\"next last\"", "n" },
		{ "<n>; rel=\"prev\tNEXT\"", "n" },
		{ "<n>; Rel = \"next\"", "n" },
		{ "<n>; title=\"a, b; rel=prev\"; rel=\"next\"", "n" },
		{ "<n>; title=\"a \\\", <x>\"; rel=\"next\"", "n" },
		{ "<a>; rel=\"first\", , <n?a=1,2;3>;rel=next;title=\"a,b\", <z>; rel=next", "n?a=1,2;3" },
		{ "<n>; crossorigin; rel=next", "n" },
		{ "<n>; title*=UTF-8''a; rel=next", "n" },
		{ "odd \"<x>; rel=next\", <n>; rel=next", "n" },
		{ "<a>; rel=prev; rel=next", NULL },
		{ "<a>; rel=\"nexts\"", NULL },
		{ "<a>; xrel=next", NULL },
		{ "<a>; title=\"rel=next\"", NULL },
		{ "<a>; title=\"; rel=next", NULL },
		{ "<https://h/xet>; rel=\"xet-auth\"", NULL },
		{ "<unfinished", NULL },
		{ "", NULL },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(mem) char *got = net_link_next(cases[i].link);

		if (!cases[i].want)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

static void test_limits(void **state)
{
	own(answer) struct net_answer a = { .header = { [NET_RATELIMIT] = NULL } };
	int64_t r, t;
	(void)state;

	a.header[NET_RATELIMIT] = mem_strdup("\"api\";r=499;t=293, \"resolvers\";r=0;t=55");
	assert_int_equal(net_ratelimit(&a, "api", &r, &t), 0);
	assert_true(r == 499 && t == 293);
	assert_int_equal(net_ratelimit(&a, "resolvers", &r, &t), 0);
	assert_true(r == 0 && t == 55);
	assert_int_equal(net_ratelimit(&a, "pages", &r, &t), -1);
	a.header[NET_RETRY_AFTER] = mem_strdup("12");
	assert_int_equal(net_retry_after(&a, 1000), 12);
	free(a.header[NET_RETRY_AFTER]);
	a.header[NET_RETRY_AFTER] = mem_strdup("Thu, 01 Jan 1970 00:20:00 GMT");
	assert_int_equal(net_retry_after(&a, 1000), 200);
	a.header[NET_DATE] = mem_strdup("Thu, 01 Jan 1970 00:19:58 GMT");	/* its clock, which is ahead of ours */
	assert_int_equal(net_retry_after(&a, 1000), 2);
	assert_int_equal(net_retry_after(&a, 2000), 2);
	free(a.header[NET_DATE]);
	a.header[NET_DATE] = mem_strdup("Thu, 01 Jan 1970 00:20:01 GMT");
	assert_int_equal(net_retry_after(&a, 1000), 0);
	free(a.header[NET_DATE]);
	a.header[NET_DATE] = mem_strdup("today");
	assert_int_equal(net_retry_after(&a, 1000), 200);
	free(a.header[NET_RETRY_AFTER]);
	a.header[NET_RETRY_AFTER] = mem_strdup("soon");
	assert_int_equal(net_retry_after(&a, 1000), -1);
}

static void add_packed(struct buf *out, const void *p, size_t n)
{
	unsigned char room[4096];
	z_stream z = { .next_in = (unsigned char *)p, .avail_in = (unsigned)n, .next_out = room, .avail_out = sizeof(room) };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	buf_add(out, room, sizeof(room) - z.avail_out);
}

/* What an answer's body says under a Content-Encoding; "" when it can't be told. */
static void unpacks(const char *encoding, const struct buf *packed, size_t n, size_t max, const char *want, const char *why)
{
	own(answer) struct net_answer a = { .status = 200, .header[NET_CONTENT_ENCODING] = encoding ? mem_strdup(encoding) : NULL };
	own(buf) struct buf body;
	struct err e = ERR_NONE;

	buf_init(&body, max);
	assert_int_equal(buf_add(&body, packed->data, n), 0);
	if (why) {
		assert_true(net_unpack(&a, &body, &e) < 0);
		assert_non_null(strstr(e.msg, why));
		return;
	}
	assert_int_equal(net_unpack(&a, &body, &e), 0);
	assert_int_equal(body.len, strlen(want));
	assert_string_equal(body.data, want);
	assert_int_equal(body.max, max);
}

static void test_unpack(void **state)
{
	static const char zeros[1 << 20];
	own(buf) struct buf plain;
	own(buf) struct buf packed;
	own(buf) struct buf two;
	own(buf) struct buf bomb;

	(void)state;
	buf_init(&plain, 100), buf_init(&packed, 1000), buf_init(&two, 1000), buf_init(&bomb, 8000);
	buf_puts(&plain, "{\"a\":1}");
	add_packed(&packed, plain.data, plain.len);
	add_packed(&two, "{\"a\":", 5);
	add_packed(&two, "1}", 2);
	add_packed(&bomb, zeros, sizeof(zeros));
	unpacks(NULL, &plain, plain.len, 100, "{\"a\":1}", NULL);
	unpacks("identity", &plain, plain.len, 100, "{\"a\":1}", NULL);
	unpacks("gzip", &packed, packed.len, 100, "{\"a\":1}", NULL);
	unpacks("X-GZip", &two, two.len, 100, "{\"a\":1}", NULL);
	unpacks("gzip", &packed, 0, 100, "", NULL);	/* a 204, say */
	for (size_t n = 1; n < packed.len; n++)
		unpacks("gzip", &packed, n, 100, NULL, "not whole");
	unpacks("gzip", &plain, plain.len, 100, NULL, "damaged");
	unpacks("br", &plain, plain.len, 100, NULL, "encoded as 'br'");
	unpacks("gzip, gzip", &packed, packed.len, 100, NULL, "encoded as 'gzip, gzip'");
	assert_true(bomb.len < 2000);
	unpacks("gzip", &bomb, bomb.len, sizeof(zeros) - 1, NULL, "more than 1048575 bytes");
}

static void test_backoff_grows_and_is_bounded(void **state)
{
	(void)state;
	for (int i = 1; i < 200; i++) {
		int64_t ms = net_backoff_ms(i, 500);

		assert_true(ms >= 250 && ms <= 60000);
		if (i == 1)
			assert_true(ms <= 500);
	}
}

/* Remaining requests are spread over the window before the Hub says 429, and a spent allowance is waited for. */
static void test_pace(void **state)
{
	struct hub *h = hub_new(&(struct hub_config){ .name = "hub", .endpoint = "https://h/" });
	own(answer) struct net_answer a = { .status = 200 };
	(void)state;

	assert_string_equal(h->config.endpoint, "https://h");
	assert_int_equal(hub_pace(h, HUB_API), 0);
	assert_true(hub_pace(h, HUB_API) > 0);	/* the first goes alone: nobody knows yet what is allowed */
	hub_learn(h, HUB_API, &a);
	assert_int_equal(hub_pace(h, HUB_API), 0);
	assert_int_equal(hub_pace(h, HUB_API), 0);
	a.header[NET_RATELIMIT] = mem_strdup("\"api\";r=9;t=100");
	hub_learn(h, HUB_API, &a);	/* one of the two is under way: 8 are left */
	assert_int_equal(hub_pace(h, HUB_API), 0);
	assert_true(hub_pace(h, HUB_API) > 5000);
	assert_int_equal(hub_pace(h, HUB_RESOLVE), 0);
	free(a.header[NET_RATELIMIT]);
	a.header[NET_RATELIMIT] = mem_strdup("\"resolvers\";r=0;t=30");
	hub_learn(h, HUB_RESOLVE, &a);
	assert_true(hub_pace(h, HUB_RESOLVE) > 29000);
	hub_free(h);
}

static void test_window(void **state)
{
	struct hub *night = hub_new(&(struct hub_config){ .name = "n", .endpoint = "https://h", .window_from = 22 * 60, .window_to = 6 * 60 });
	struct hub *always = hub_new(&(struct hub_config){ .name = "a", .endpoint = "https://h" });
	(void)state;

	assert_int_equal(hub_window_wait(night, 23 * 3600), 0);
	assert_int_equal(hub_window_wait(night, 5 * 3600), 0);
	assert_int_equal(hub_window_wait(night, 12 * 3600), 10 * 3600);
	assert_int_equal(hub_window_wait(always, 12 * 3600), 0);
	hub_free(night);
	hub_free(always);
}

static void test_bandwidth(void **state)
{
	struct hub *h = hub_new(&(struct hub_config){ .name = "n", .endpoint = "https://h", .rate_limit = 1000000 });
	int64_t wait = 0;
	(void)state;

	for (int i = 0; i < 100; i++)
		wait = hub_spend(h, 10000);
	assert_true(wait > 600 && wait <= 1001);
	assert_true(hub_spend(h, 0) > 500);	/* what was taken too much holds up whoever comes next */
	hub_free(h);
}

static void test_token_stays_home(void **state)
{
	struct hub *h = hub_new(&(struct hub_config){ .name = "n", .endpoint = "https://h:8443", .token = "hf_secret" });
	struct curl_slist *own_host = hub_headers(h, "https://h:8443/x"), *port = hub_headers(h, "https://h/x"), *host = hub_headers(h, "https://cdn/x");
	(void)state;

	assert_non_null(own_host->next);
	assert_non_null(strstr(own_host->next->data, "hf_secret"));
	assert_null(port->next);
	assert_null(host->next);
	curl_slist_free_all(own_host);
	curl_slist_free_all(port);
	curl_slist_free_all(host);
	hub_free(h);
}

/* What a refusal may come from is said, as far as it can be known. */
static void test_refusals(void **state)
{
	static const struct {
		const char *token;
		long status;
		int code;
		const char *says;
	} cases[] = {
		{ NULL, 404, ERR_NOT_FOUND, "a private one needs a token" },
		{ "hf_x", 404, ERR_NOT_FOUND, "or it is private and the token of upstream 'n' gives no access to it" },
		{ NULL, 407, ERR_UNREACHABLE, "the proxy answers 407" },
		{ "hf_x", 407, ERR_UNREACHABLE, "see the upstream's proxy setting" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hub *h = hub_new(&(struct hub_config){ .name = "n", .endpoint = "https://h", .token = cases[i].token });
		struct net_answer a = { .status = cases[i].status };
		struct err e = ERR_NONE;

		assert_int_equal(hub_explain(h, "org/m", "the info of org/m", &a, NULL, &e), cases[i].code);
		assert_non_null(strstr(e.msg, cases[i].says));
		hub_free(h);
	}
}

/* RFC 4231, test case 2. */
static void test_webhook_signature(void **state)
{
	char hex[WEBHOOK_SIGNATURE_MAX];

	(void)state;
	webhook_sign(hex, "Jefe", "what do ya want for nothing?", 28);
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_webhook_signature),
		cmocka_unit_test(test_origin),	   cmocka_unit_test(test_join),	  cmocka_unit_test(test_page),	  cmocka_unit_test(test_link),	    cmocka_unit_test(test_limits),
		cmocka_unit_test(test_backoff_grows_and_is_bounded), cmocka_unit_test(test_pace), cmocka_unit_test(test_window), cmocka_unit_test(test_bandwidth),
		cmocka_unit_test(test_token_stays_home), cmocka_unit_test(test_refusals), cmocka_unit_test(test_unpack),
	};

	net_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
