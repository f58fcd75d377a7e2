/* http_answer.c - answers: a status, headers and a body from memory, from a file or from a function. */
#include <assert.h>
#include <microhttpd.h>
#include <stdarg.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "registryd/http_impl.h"

#define READER_BLOCK_BYTES (64 << 10)
#define HEADER_VALUE_MAX 4096

/*
 * Header values are one line of ASCII: a character that is not becomes one '?', so nothing foreign can end a line or confuse a client's decoder. Some read
 * UTF-8 there, some Latin-1; the body has the text whole.
 */
static void make_plain(char *s)
{
	bool inside = false;	/* of a character of several bytes */
	char *out = s;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (!inside || (c & 0xc0) != 0x80)
			*out++ = c < 0x20 || c >= 0x7f ? '?' : *s;
		inside = c >= 0x80;
	}
	*out = 0;
}

void http_set(struct request *rq, const char *name, const char *fmt, ...)
{
	struct http_answer *a = rq->answer;
	char value[HEADER_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	make_plain(value);
	for (size_t i = 0; i < a->n_headers; i++)
		if (!strcasecmp(a->headers[i].key, name)) {	/* a list's further item: not every client joins several lines */
			a->headers[i].value = arena_printf(&rq->arena, "%s, %s", a->headers[i].value, value);
			return;
		}
	assert(a->n_headers < HTTP_HEADERS_MAX);
	a->headers[a->n_headers++] = (struct http_pair){ name, arena_strdup(&rq->arena, value) };
}

static int finish(struct request *rq, int status, const char *type, struct MHD_Response *response, uint64_t bytes)
{
	struct http_answer *a = rq->answer;

	if (!response)
		abort();	/* MHD gives NULL only when memory is gone */
	assert(!a->response);
	if (type)
		MHD_add_response_header(response, "Content-Type", type);
	for (size_t i = 0; i < a->n_headers; i++)
		MHD_add_response_header(response, a->headers[i].key, a->headers[i].value);
	a->status = status;
	a->response = response;
	a->bytes = bytes;
	return 0;
}

int http_answer_bytes(struct request *rq, int status, const char *type, const void *p, size_t n)
{
	return finish(rq, status, type, MHD_create_response_from_buffer(n, (void *)p, MHD_RESPMEM_MUST_COPY), n);
}

int http_answer_text(struct request *rq, int status, const char *type, const char *text)
{
	return http_answer_bytes(rq, status, type, text, strlen(text));
}

int http_answer_empty(struct request *rq, int status)
{
	return finish(rq, status, NULL, MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT), 0);
}

int http_answer_buf(struct request *rq, int status, const char *type, struct buf *b)
{
	size_t n = b->len;
	char *p;

	if (buf_failed(b)) {
		struct err e;

		err_set(&e, ERR_LIMIT, "the answer would be larger than %zu bytes; ask for less with a limit", b->max);
		buf_done(b);
		return http_answer_error(rq, &e);
	}
	p = buf_take(b);
	return finish(rq, status, type, MHD_create_response_from_buffer(n, p ? p : (void *)"", p ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT), n);
}

int http_answer_json(struct request *rq, int status, json_t *j)
{
	char *text;
	size_t n;

	if (!j) {	/* strings are checked for UTF-8 where they come in, but a slip must not end the daemon */
		log_event(LOG_ERR, "http.no_json", "path=%s", rq->path);
		return http_answer_text(rq, 500, "text/plain; charset=utf-8", "the answer can't be given: a text in it is not UTF-8");
	}
	text = json_text(j);
	n = strlen(text);
	json_decref(j);
	return finish(rq, status, "application/json; charset=utf-8", MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE), n);
}

int http_answer_fd(struct request *rq, int status, const char *type, int fd, uint64_t offset, uint64_t n)
{
	if (!n) {
		close(fd);
		return finish(rq, status, type, MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT), 0);
	}
	rq->answer->streamed = true;
	return finish(rq, status, type, MHD_create_response_from_fd_at_offset64(n, fd, offset), n);
}

int http_answer_redirect(struct request *rq, int status, const char *location)
{
	http_set(rq, "Location", "%s", location);
	return http_answer_text(rq, status, "text/plain; charset=utf-8", "");
}

int http_answer_spool(struct request *rq, int status, const char *type, struct spool *s)
{
	int fd = spool_take_fd(s);

	return fd < 0 ? http_answer_buf(rq, status, type, &s->held) : http_answer_fd(rq, status, type, fd, 0, s->n);
}

struct reader {
	ssize_t (*read)(void *state, void *p, size_t max);
	void (*release)(void *state);
	void *state;
};

static ssize_t reader_read(void *cls, uint64_t pos, char *p, size_t max)
{
	struct reader *r = cls;
	ssize_t n = r->read(r->state, p, max);

	(void)pos;
	if (n < 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	return n ? n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void reader_free(void *cls)
{
	struct reader *r = cls;

	if (r->release)
		r->release(r->state);
	free(r);
}

int http_answer_reader(struct request *rq, int status, const char *type, uint64_t n,
	ssize_t (*read_more)(void *state, void *p, size_t max), void (*release)(void *state), void *state)
{
	struct reader *r = malloc(sizeof(*r));

	if (!r)
		abort();
	*r = (struct reader){ read_more, release, state };
	rq->answer->streamed = true;
	return finish(rq, status, type, MHD_create_response_from_callback(n == UINT64_MAX ? MHD_SIZE_UNKNOWN : n, READER_BLOCK_BYTES, reader_read, r, reader_free), n);
}

static ssize_t nothing_to_read(void *cls, uint64_t pos, char *p, size_t max)
{
	(void)cls;
	(void)pos;
	(void)p;
	(void)max;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

int http_answer_head(struct request *rq, int status, const char *type, uint64_t n)
{
	assert(http_is_head(rq) || status == 304);
	return finish(rq, status, type, MHD_create_response_from_callback(n, 1024, nothing_to_read, NULL, NULL), 0);
}

static int status_of(const struct http_answer *a, const struct err *e)
{
	return a->status ? a->status : err_http_status(e->code);
}

int http_answer_page(struct request *rq, int status, const char *text)
{
	struct err e;

	err_set(&e, ERR_FAILED, "%s", text);
	if (http_error_page(rq, status, &e) == 0)
		return 0;
	return http_answer_text(rq, status, "text/plain; charset=utf-8", text);
}

bool http_is_oci(const struct request *rq)
{
	return rq->path && str_starts(rq->path, "/v2/");
}

void http_challenge(struct request *rq)
{
	http_set(rq, "WWW-Authenticate", "%s realm=\"registryd\"", http_is_oci(rq) ? "Basic" : "Bearer");
}

int http_answer_oci_error(struct request *rq, int status, const char *code, const char *text)
{
	static const struct {
		int status;
		const char *code;
	} codes[] = { { 401, "UNAUTHORIZED" }, { 403, "DENIED" }, { 404, "NAME_UNKNOWN" }, { 405, "UNSUPPORTED" }, { 410, "DENIED" }, { 429, "TOOMANYREQUESTS" }, { 451, "DENIED" }, { 503, "UNAVAILABLE" } };

	for (size_t i = 0; i < ARRAY_LEN(codes) && !code; i++)
		if (codes[i].status == status)
			code = codes[i].code;
	return http_answer_json(rq, status, json_pack("{s:[{s:s, s:s%}]}", "errors", "code", code ? code : "UNKNOWN", "message", text, strlen(text)));
}

/* rq->answer->status, when a caller has set it, wins over err.h's table (405, 414). */
int http_answer_error(struct request *rq, const struct err *e)
{
	int status = status_of(rq->answer, e);
	char text[ERR_MSG_MAX];

	snprintf(text, sizeof(text), "%s", e->msg);
	str_printable(text);
	http_set(rq, "X-Error-Message", "%s", text);
	if (status == 401)
		http_challenge(rq);
	if (status == 503)
		http_set(rq, "Retry-After", "5");
	if (rq->route && rq->route->flags & HTTP_HTML && rq->exchange->server && http_error_page(rq, status, e) == 0)
		return 0;
	if (http_is_oci(rq))
		return http_answer_oci_error(rq, status, NULL, text);
	/* Our own API says it as an object; Hub clients look for a text called `error`. */
	if (rq->path && str_starts(rq->path, "/-/"))
		return http_answer_json(rq, status, json_pack("{s:{s:s, s:s}}", "error", "code", err_label(e->code), "message", text));
	return http_answer_json(rq, status, json_pack("{s:s, s:s}", "code", err_label(e->code), "error", text));
}
