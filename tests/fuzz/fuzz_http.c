/* fuzz_http.c - a request's address against the real routes' shapes: parameters are text in UTF-8 without zero bytes, or it is refused. */
#include <stdint.h>

#include "base/str.h"
#include "base/vec.h"
#include "registryd/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int nothing(struct request *rq, struct err *e)
{
	(void)rq;
	(void)e;
	return 0;
}

static const struct http_route table[] = {
	{ "GET", "/api/models/{repo}/revision/{rev}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/api/models/{repo}/tree/{rev}/{path*}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/api/models/{repo}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/{repo}/resolve/{rev}/{path*}", HTTP_READ, 0, nothing, NULL, NULL },
	{ "GET", "/{repo}", HTTP_READ, 0, nothing, NULL, NULL },
	{ 0 },
};
static const struct http_route *const tables[] = { table };

static void sound(const char *s)
{
	if (!s || !str_utf8_valid(s, strlen(s)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(mem) char *uri = mem_strndup((const char *)data, n);
	char *query = strchr(uri, '?');
	struct request rq = { .method = "GET", .path = uri };
	char allow[64];

	if (query)
		*query++ = 0;
	arena_init(&rq.arena);
	if (http_match(tables, 1, &rq, allow, NULL))
		for (size_t i = 0; i < rq.n_params; i++)
			sound(rq.params[i].value);
	if (query && !http_parse_pairs(&rq.arena, query, HTTP_QUERY_MAX, &rq.queries, &rq.n_queries, NULL))
		for (size_t i = 0; i < rq.n_queries; i++) {
			sound(rq.queries[i].key);
			sound(rq.queries[i].value);
		}
	arena_done(&rq.arena);
	return 0;
}
