/* http_request.c - what a request says: query, parameters, headers, body. */
#include <arpa/inet.h>
#include <microhttpd.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/http_impl.h"

static int unescape(char *s, struct err *e)
{
	for (char *p = s; *p; p++)
		if (*p == '+')
			*p = ' ';
	if (!str_percent_decode(s) || !str_utf8_valid(s, strlen(s)))
		return err_set(e, ERR_USAGE, "malformed escape or text that is not UTF-8 in the query");
	return 0;
}

int http_parse_pairs(struct arena *a, const char *text, size_t max, struct http_pair **pairs, size_t *n, struct err *e)
{
	size_t count = 1, at = 0;
	char *copy = arena_strdup(a, text), *piece, *save = copy;
	struct http_pair *out;
	int rc;

	for (const char *p = text; *p; p++)
		count += *p == '&';
	if (count > max)
		return err_set(e, ERR_LIMIT, "more than %zu parameters", max);
	out = arena_alloc(a, count * sizeof(*out));
	while ((piece = strsep(&save, "&"))) {
		char *value;

		if (!*piece)
			continue;
		value = strchr(piece, '=');
		if (value)
			*value++ = 0;
		else
			value = piece + strlen(piece);
		if ((rc = unescape(piece, e)) || (rc = unescape(value, e)))
			return rc;
		out[at++] = (struct http_pair){ piece, value };
	}
	*pairs = out;
	*n = at;
	return 0;
}

/* "http://HOST/PATH" as if it were "/PATH" with that Host, whatever the header says (RFC 9112, 3.2.2). */
static void take_absolute_form(struct request *rq)
{
	size_t scheme = !strncasecmp(rq->uri, "http://", 7) ? 7 : !strncasecmp(rq->uri, "https://", 8) ? 8 : 0;
	const char *host = rq->uri + scheme, *rest = host + strcspn(host, "/?");

	if (!scheme)
		return;
	rq->host = arena_strndup(&rq->arena, host, (size_t)(rest - host));
	rq->uri = *rest == '/' ? rest : arena_printf(&rq->arena, "/%s", rest);
}

int http_request_parse(struct request *rq, struct err *e)
{
	const char *mark;

	rq->host = http_header(rq, "Host");
	take_absolute_form(rq);
	mark = strchr(rq->uri, '?');
	rq->path = mark ? arena_strndup(&rq->arena, rq->uri, (size_t)(mark - rq->uri)) : rq->uri;
	if (strlen(rq->uri) > HTTP_URI_MAX)
		return err_set(e, ERR_LIMIT, "the address is longer than %d bytes", HTTP_URI_MAX);
	if (rq->path[0] != '/')
		return err_set(e, ERR_USAGE, "the path must begin with '/'");
	return mark ? http_parse_pairs(&rq->arena, mark + 1, HTTP_QUERY_MAX, &rq->queries, &rq->n_queries, e) : 0;
}

const char *http_param(const struct request *rq, const char *name)
{
	for (size_t i = 0; i < rq->n_params; i++)
		if (!strcmp(rq->params[i].key, name))
			return rq->params[i].value;
	return NULL;
}

const char *http_query_next(const struct request *rq, const char *key, size_t *at)
{
	while (*at < rq->n_queries) {
		const struct http_pair *p = &rq->queries[(*at)++];

		if (!strcmp(p->key, key))
			return p->value;
	}
	return NULL;
}

const char *http_query(const struct request *rq, const char *key)
{
	size_t at = 0;

	return http_query_next(rq, key, &at);
}

bool http_query_bool(const struct request *rq, const char *key, bool otherwise)
{
	const char *v = http_query(rq, key);

	if (!v)
		return otherwise;
	return !*v || !strcasecmp(v, "true") || !strcmp(v, "1");
}

int http_query_flag(const struct request *rq, const char *key, bool *out, struct err *e)
{
	const char *v = http_query(rq, key);

	if (!v)
		return 0;
	*out = !strcasecmp(v, "true") || !strcmp(v, "1");
	return *out || !strcasecmp(v, "false") || !strcmp(v, "0") ? 0 : err_set(e, ERR_USAGE, "%s must be true or false", key);
}

int http_query_u64(const struct request *rq, const char *key, uint64_t min, uint64_t max, uint64_t *out, struct err *e)
{
	const char *v = http_query(rq, key);
	uint64_t n;

	if (!v)
		return 0;
	if (str_parse_u64(v, &n, NULL) || n < min || n > max)
		return err_set(e, ERR_USAGE, "%s must be a number from %llu to %llu", key, (unsigned long long)min, (unsigned long long)max);
	*out = n;
	return 0;
}

const char *http_header(const struct request *rq, const char *name)
{
	if (!rq->exchange)
		return NULL;
	return MHD_lookup_connection_value(rq->exchange->connection, MHD_HEADER_KIND, name);
}

uint64_t http_content_length(const struct request *rq)
{
	const char *v = http_header(rq, "Content-Length");
	uint64_t n;

	return v && !str_parse_u64(v, &n, NULL) ? n : UINT64_MAX;
}

bool http_is_head(const struct request *rq)
{
	return !strcmp(rq->method, "HEAD");
}

void http_peer(const struct request *rq, char out[HTTP_WHO_MAX])
{
	const union MHD_ConnectionInfo *info = rq->exchange ? MHD_get_connection_info(rq->exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS) : NULL;
	const struct sockaddr *a = info ? info->client_addr : NULL;

	out[0] = 0;
	if (a && a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, HTTP_WHO_MAX);
	else if (a && a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, HTTP_WHO_MAX);
}

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The password of "user:password" in base64 (git-lfs and curl -u send tokens so). NULL when malformed. */
static const char *basic_password(const struct request *rq, const char *text)
{
	char *out = arena_alloc((struct arena *)&rq->arena, strlen(text) + 1), *colon;
	unsigned bits = 0, have = 0;
	size_t n = 0;

	for (; *text && *text != '='; text++) {
		int v = base64_value(*text);

		if (v < 0)
			return NULL;
		bits = bits << 6 | (unsigned)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(bits >> have & 0xff);
		}
	}
	out[n] = 0;
	colon = strchr(out, ':');
	return colon ? colon + 1 : NULL;
}

const char *http_bearer(const struct request *rq)
{
	const char *v = http_header(rq, "Authorization");

	if (!v)
		return NULL;
	if (!strncasecmp(v, "Bearer ", 7))
		return v + 7 + strspn(v + 7, " ");
	if (!strncasecmp(v, "Basic ", 6))
		return basic_password(rq, v + 6 + strspn(v + 6, " "));
	return NULL;
}

json_t *http_json(struct request *rq, struct err *e)
{
	json_t *j = json_parse(rq->body.data ? rq->body.data : "", rq->body.len, "the request's body", e);

	if (!j && e)
		e->code = ERR_USAGE;	/* the caller's mistake, not a document of the store */
	return j;
}

json_t *http_json_object(struct request *rq, struct err *e)
{
	own(json) json_t *j = NULL;

	if (!rq->body.len)
		return json_object();
	j = http_json(rq, e);
	if (!j)
		return NULL;
	if (!json_is_object(j)) {
		err_set(e, ERR_USAGE, "the request's body must be a JSON object");
		return NULL;
	}
	return take(j);
}

int http_form(struct request *rq, struct http_pair **pairs, size_t *n, struct err *e)
{
	enum { FORM_PAIRS_MAX = 10000 };

	if (rq->body.len && memchr(rq->body.data, 0, rq->body.len))
		return err_set(e, ERR_USAGE, "a zero byte in the form");
	return http_parse_pairs(&rq->arena, rq->body.data ? rq->body.data : "", FORM_PAIRS_MAX, pairs, n, e);
}
