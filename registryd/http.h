/*
 * http.h - the daemon's HTTP server over libmicrohttpd: a table of routes, requests as structs, answers in one call.
 * Knows nothing of models: what a token may do comes in as a function, what is served stands in the route tables.
 *
 * A handler gets a request whose whole body has arrived, answers it with one http_answer_*() call and returns 0, or returns a
 * negative err_code with e set, which becomes `{"code":LABEL,"error":MESSAGE}` (below /-/: `{"error":{"code":LABEL,"message":MESSAGE}}`),
 * the status of err.h's table, and X-Error-Message.
 * HEAD is answered by the GET handler (the body is left out for it). Everything a handler allocates for one request goes to
 * rq->arena. Handlers run on the server's event threads and must not wait: one that reads much of the disk, or thinks long,
 * sets HTTP_SLOW and is run on a helper thread while its connection sleeps.
 *
 * Patterns are matched on the raw, still escaped path, then each parameter is unescaped:
 *	{name}	one segment, "%2F" inside it becoming '/'
 *	{repo}	"ns/name" or a legacy "name": two segments are tried first, then one (also "ns%2Fname" in one)
 *	{rev}	one segment, or three that begin with "refs"
 *	{path*}	all the rest, at least one byte; only at the end
 * The first row that matches path and method wins; when only the path matches, the answer is 405 with Allow.
 */
#ifndef REGISTRYD_HTTP_H
#define REGISTRYD_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/spool.h"

#define HTTP_URI_MAX 8192		/* longer ones are 414 */
#define HTTP_PARAMS_MAX 6		/* in one pattern */
#define HTTP_QUERY_MAX 256		/* key=value pairs; more are 400 */
#define HTTP_HEADERS_MAX 24		/* that one answer may set */
#define HTTP_BODY_MAX (4 << 20)		/* of a body that is collected in memory; more is 413 */
#define HTTP_WHO_MAX 65			/* a token's name or an address, with its end */

enum http_access {
	HTTP_OPEN,	/* anybody: liveness, readiness */
	HTTP_READ,	/* whoever may read: everybody, or token holders where auth.anonymous is none */
	HTTP_PUBLISH,	/* a token with the role publisher or admin */
	HTTP_ADMIN,	/* a token with the role admin */
};

enum http_flags {
	HTTP_SLOW = 1,		/* run on a helper thread */
	HTTP_BODY = 2,		/* takes a body of at most HTTP_BODY_MAX: http_body(), http_json(), http_form() */
	HTTP_STREAM = 4,	/* the body goes to route->data as it arrives, whatever its size */
	HTTP_HTML = 8,		/* errors are shown as a page for people */
	HTTP_CACHED = 16,	/* answers may be kept within the second: see http_cache.h */
};

struct http_pair {
	const char *key, *value;
};

struct request {
	struct arena arena;
	void *app;			/* what http_open() was given: the daemon */
	const struct http_route *route;
	const char *method;		/* as sent; "HEAD" for a HEAD */
	const char *uri;		/* raw: path and query as sent */
	const char *host;		/* that the request is for; NULL when it names none */
	const char *path;		/* raw: without the query */
	struct http_pair params[HTTP_PARAMS_MAX];
	size_t n_params;
	struct http_pair *queries;	/* unescaped, in order */
	size_t n_queries;
	struct buf body;
	int64_t now;			/* unix seconds when the request began */

	/* Set by the authorize function. */
	int role;			/* enum token_role of the catalog, -1 for nobody */
	char who[HTTP_WHO_MAX];		/* the token's name, "anonymous" without one */
	bool bad_token;			/* a token was sent, and it is unknown, revoked or expired */

	/* A streamed upload's own state; release is called once when the request ends in any way. */
	void *state;
	void (*release)(void *state);

	struct http_answer *answer;	/* http.c's own */
	struct http_exchange *exchange;
};

struct http_route {
	const char *method, *pattern;
	enum http_access access;
	unsigned flags;
	int (*handle)(struct request *rq, struct err *e);
	/* HTTP_STREAM only. begin: headers are there and access is granted; data: the next bytes. An error ends the upload with its answer. */
	int (*begin)(struct request *rq, struct err *e);
	int (*data)(struct request *rq, const void *p, size_t n, struct err *e);
};

/* --- what a request says --- */

const char *http_param(const struct request *rq, const char *name);		/* NULL when the pattern has none */
const char *http_query(const struct request *rq, const char *key);		/* the first; NULL when absent */
const char *http_query_next(const struct request *rq, const char *key, size_t *at);	/* all: start with *at = 0, until NULL */
bool http_query_bool(const struct request *rq, const char *key, bool otherwise);	/* true, True, 1, or the key alone */
int http_query_flag(const struct request *rq, const char *key, bool *out, struct err *e);	/* true, false, 1 or 0, all else being ERR_USAGE; *out kept when absent */
int http_query_u64(const struct request *rq, const char *key, uint64_t min, uint64_t max, uint64_t *out, struct err *e);	/* *out kept when absent */
const char *http_header(const struct request *rq, const char *name);		/* NULL when absent */
uint64_t http_content_length(const struct request *rq);				/* UINT64_MAX when not announced */
const char *http_bearer(const struct request *rq);	/* token of Authorization: Bearer, or password of Basic; NULL when there is none */
bool http_is_head(const struct request *rq);
void http_peer(const struct request *rq, char out[HTTP_WHO_MAX]);	/* the caller's address, "" when not known */

/* The body as strict JSON; NULL with e set when it is not. The caller owns it. */
json_t *http_json(struct request *rq, struct err *e);
/* As http_json, but an absent body is an empty object, and anything but an object is refused. */
json_t *http_json_object(struct request *rq, struct err *e);
/* The body as application/x-www-form-urlencoded pairs. */
int http_form(struct request *rq, struct http_pair **pairs, size_t *n, struct err *e);

/* Parses "a=b&c=d" (a copy is made in the arena); '+' is a blank. For queries and forms; shown for its tests. */
int http_parse_pairs(struct arena *a, const char *text, size_t max, struct http_pair **pairs, size_t *n, struct err *e);

/* --- what it gets --- */

/* Adds a header to the answer to come. The value is made printable (no CR, LF, controls). */
void http_set(struct request *rq, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Exactly one of these answers a request; all return 0. type is a Content-Type. */
int http_answer_json(struct request *rq, int status, json_t *j);		/* takes j */
int http_answer_text(struct request *rq, int status, const char *type, const char *text);
int http_answer_bytes(struct request *rq, int status, const char *type, const void *p, size_t n);	/* copied */
int http_answer_buf(struct request *rq, int status, const char *type, struct buf *b);	/* takes b's bytes; a failed buf becomes 500 */
int http_answer_spool(struct request *rq, int status, const char *type, struct spool *s);	/* ended without an error; takes what it holds */
int http_answer_empty(struct request *rq, int status);
int http_answer_fd(struct request *rq, int status, const char *type, int fd, uint64_t offset, uint64_t n);	/* takes fd; sendfile(2) */
int http_answer_head(struct request *rq, int status, const char *type, uint64_t n);	/* to a HEAD, or 304: says the size, has no bytes at hand */
int http_answer_redirect(struct request *rq, int status, const char *location);
/* Bytes made while they are sent; n UINT64_MAX when not known. read fills p (at most max) and gives the count, 0 at the end, or a negative code. */
int http_answer_reader(struct request *rq, int status, const char *type, uint64_t n,
	ssize_t (*read)(void *state, void *p, size_t max), void (*release)(void *state), void *state);
/* A sentence as the page for people that http_options.error_page makes; as text where there is none. */
int http_answer_page(struct request *rq, int status, const char *text);
/* Is this a request to the OCI door (/v2/), whose clients understand errors in one shape only? */
bool http_is_oci(const struct request *rq);
/* That shape: {"errors":[{"code":CODE,"message":TEXT}]}. code NULL: the one that the status stands for. */
int http_answer_oci_error(struct request *rq, int status, const char *code, const char *text);
/* Says with a 401 how to send a token: Bearer; Basic, with the token as the password, to the OCI door, where Bearer means a token server. */
void http_challenge(struct request *rq);
/* The answer for an error, as when the handler had returned it. */
int http_answer_error(struct request *rq, const struct err *e);

/* --- the server --- */

struct http_options {
	const char *const *listen;	/* "127.0.0.1:8640", "[::1]:80", "0.0.0.0:0" (any port) */
	size_t n_listen;
	unsigned threads;		/* event threads for each address */
	unsigned connections_max;	/* for each address */
	unsigned idle_timeout_s;
	const struct http_route *const *tables;	/* route tables in order, each ended by a row without method */
	size_t n_tables;
	void *app;
	/* Fills rq->role and who from the token; an error refuses the request. */
	int (*authorize)(struct request *rq, enum http_access access, struct err *e);
	/* A number that changes whenever an answer of an HTTP_CACHED route may change. NULL: nothing is kept. */
	uint64_t (*generation)(void *app);
	/* Called once for each finished request; bytes is the body's size as announced. */
	void (*finished)(const struct request *rq, int status, uint64_t bytes, double seconds);
	/* Renders an error for HTTP_HTML routes; may be NULL. */
	int (*error_page)(struct request *rq, int status, const struct err *e);
};

struct http_server;

/* Is this text an address to listen on? For --check-config; nothing is opened. */
int http_check_listen(const char *text, struct err *e);
int http_open(struct http_server **out, const struct http_options *o, struct err *e);
/* The port that the n-th address really has. */
unsigned http_port(const struct http_server *s, size_t n);
/* Takes no new connection, lets running requests end for at most grace_s seconds, then closes all. */
void http_close(struct http_server *s, unsigned grace_s);

/* The row for a method and raw path, with rq->params filled; NULL with *allow (methods that exist there, "" when none). For http.c and its tests. */
const struct http_route *http_match(const struct http_route *const *tables, size_t n_tables, struct request *rq, char allow[64], struct err *e);

#endif
