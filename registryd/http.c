/*
 * http.c - the life of a connection's requests: admit, read the body, run the handler (here or on a helper thread), answer.
 *
 * libmicrohttpd's traps, and what is done about each:
 *  - it hands over a path that is already unescaped and ends at "%00": the raw one is taken in uri_seen();
 *  - queueing an answer in the first call of on_access() closes the connection: answers go out in a later call, except for a
 *    refused upload that is too large to read to its end;
 *  - a body arrives in pieces through on_access(), and an upload that is not consumed is offered again: all is always taken.
 */
#include "registryd/http.h"

#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/vec.h"
#include "registryd/http_cache.h"

#define HELPERS 4
#define LISTEN_MAX 8
#define LISTEN_BACKLOG 512
#define CONNECTION_MEMORY_BYTES (16 << 10)
#define DISCARD_MAX (16 << 20)	/* of a refused body that is read to its end, to keep the connection */

struct http_server {
	struct http_options o;
	struct MHD_Daemon *daemons[LISTEN_MAX];
	unsigned ports[LISTEN_MAX];
	size_t n;
	_Atomic unsigned in_flight;

	pthread_mutex_t lock;		/* guards the queue below */
	pthread_cond_t wake;
	struct http_exchange *first, *last;
	bool stopping;
	pthread_t helpers[HELPERS];
	unsigned n_helpers;
};

static double monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* MHD's first sight of a request: the raw address. What is returned is *context in on_access() and on_completed(). */
static void *uri_seen(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct http_exchange *x = mem_zalloc(sizeof(*x));

	x->server = cls;
	x->generation_of = x->server->o.generation;
	x->connection = connection;
	x->started = monotonic();
	arena_init(&x->rq.arena);
	x->rq.app = x->server->o.app;
	x->rq.answer = &x->answer;
	x->rq.exchange = x;
	x->rq.role = -1;
	x->rq.now = (int64_t)time(NULL);
	x->rq.uri = arena_strdup(&x->rq.arena, uri);
	atomic_fetch_add(&x->server->in_flight, 1);
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode how)
{
	struct http_server *s = cls;
	struct http_exchange *x = *context;

	(void)connection;
	(void)how;
	if (!x)
		return;
	if (s->o.finished && x->rq.method)
		s->o.finished(&x->rq, x->answer.status, x->answer.bytes, monotonic() - x->started);
	if (x->rq.release)
		x->rq.release(x->rq.state);
	if (x->answer.response && !x->answer.shared)
		MHD_destroy_response(x->answer.response);
	buf_done(&x->rq.body);
	arena_done(&x->rq.arena);
	free(x);
	*context = NULL;
	atomic_fetch_sub(&s->in_flight, 1);
}

int http_error_page(struct request *rq, int status, const struct err *e)
{
	struct http_server *s = rq->exchange->server;

	return s->o.error_page ? s->o.error_page(rq, status, e) : ERR_UNSUPPORTED;
}

static int admit(struct http_exchange *x, struct err *e)
{
	struct http_server *s = x->server;
	struct request *rq = &x->rq;
	char allow[64];
	uint64_t length;
	int rc;

	if ((rc = http_request_parse(rq, e))) {
		x->answer.status = rc == ERR_LIMIT ? 414 : 0;
		return rc;
	}
	rq->route = http_match(s->o.tables, s->o.n_tables, rq, allow, e);
	if (!rq->route) {
		if (allow[0]) {
			http_set(rq, "Allow", "%s", allow);
			x->answer.status = 405;
		}
		return e->code;
	}
	if (s->o.authorize && (rc = s->o.authorize(rq, rq->route->access, e)))
		return rc;
	length = http_content_length(rq);
	if (rq->route->flags & HTTP_BODY && length != UINT64_MAX && length > HTTP_BODY_MAX)
		return err_set(e, ERR_LIMIT, "the body is larger than %d bytes", HTTP_BODY_MAX);
	buf_init(&rq->body, HTTP_BODY_MAX);
	return rq->route->begin ? rq->route->begin(rq, e) : 0;
}

static void refuse(struct http_exchange *x, const struct err *e)
{
	if (x->answer.response)
		return;
	http_answer_error(&x->rq, e);
}

static void take_body(struct http_exchange *x, const char *p, size_t n)
{
	const struct http_route *route = x->rq.route;
	struct err e = ERR_NONE;
	int rc = 0;

	x->body_seen += n;
	if (x->answer.response)
		return;
	if (route->flags & HTTP_STREAM)
		rc = route->data(&x->rq, p, n, &e);
	else if (!(route->flags & HTTP_BODY))
		rc = 0;		/* a body where none belongs is ignored, as most servers do */
	else if (buf_add(&x->rq.body, p, n))
		rc = err_set(&e, ERR_LIMIT, "the body is larger than %d bytes", HTTP_BODY_MAX);
	if (rc)
		refuse(x, &e);
}

static void run_handler(struct http_exchange *x)
{
	struct err e = ERR_NONE;
	int rc;

	if (x->answer.response)
		return;
	rc = x->rq.route->handle(&x->rq, &e);
	if (x->answer.response)
		return;
	if (!rc)
		err_set(&e, ERR_FAILED, "no answer was made for %s", x->rq.route->pattern);
	else if (!e.code)
		err_set(&e, (enum err_code)rc, "%s", err_label(rc));
	refuse(x, &e);
}

static void *helper_main(void *cls)
{
	struct http_server *s = cls;

	for (;;) {
		struct http_exchange *x;

		pthread_mutex_lock(&s->lock);
		while (!s->first && !s->stopping)
			pthread_cond_wait(&s->wake, &s->lock);
		x = s->first;
		if (!x) {
			pthread_mutex_unlock(&s->lock);
			return NULL;
		}
		s->first = x->next;
		pthread_mutex_unlock(&s->lock);
		run_handler(x);
		x->stage = HTTP_DONE;	/* published to the event thread by MHD's own lock in resume */
		MHD_resume_connection(x->connection);
	}
}

/* False when no helper is left: the caller runs it. Afterwards x belongs to the helper until MHD calls again. */
static bool run_on_helper(struct http_exchange *x)
{
	struct http_server *s = x->server;

	pthread_mutex_lock(&s->lock);
	if (s->stopping) {	/* no helper is left */
		pthread_mutex_unlock(&s->lock);
		return false;
	}
	x->stage = HTTP_RUNNING;
	x->next = NULL;
	MHD_suspend_connection(x->connection);
	if (s->first)
		s->last->next = x;
	else
		s->first = x;
	s->last = x;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* A refused body that is small, or of which nothing is announced, is read to its end so that the connection can go on. */
static bool worth_reading(const struct http_exchange *x)
{
	uint64_t length = http_content_length(&x->rq);

	if (length != UINT64_MAX)
		return length <= DISCARD_MAX && !http_header(&x->rq, "Expect");
	return x->body_seen <= DISCARD_MAX;
}

/* A failed upload is read to its end: MHD takes no answer in the middle, and the client must learn why it failed. */
static bool streams(const struct http_exchange *x)
{
	return x->rq.route && x->rq.route->flags & HTTP_STREAM;
}

static enum MHD_Result send_answer(struct http_exchange *x)
{
	return MHD_queue_response(x->connection, (unsigned)x->answer.status, x->answer.response);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
	const char *upload, size_t *upload_size, void **context)
{
	struct http_exchange *x = *context;
	struct err e = ERR_NONE;

	(void)cls;
	(void)connection;
	(void)url;
	(void)version;
	switch (x->stage) {
	case HTTP_NEW:
		x->rq.method = arena_strdup(&x->rq.arena, method);
		x->stage = HTTP_READING;
		if (admit(x, &e))
			refuse(x, &e);
		if (x->answer.response && !worth_reading(x))
			return send_answer(x);
		return MHD_YES;
	case HTTP_READING:
		if (*upload_size) {
			take_body(x, upload, *upload_size);
			*upload_size = 0;
			return x->answer.response && x->body_seen > DISCARD_MAX && !streams(x) ? MHD_NO : MHD_YES;
		}
		if (!x->answer.response && http_cache_get(x))
			return send_answer(x);
		if (!x->answer.response && x->rq.route->flags & HTTP_SLOW && run_on_helper(x))
			return MHD_YES;
		run_handler(x);
		x->stage = HTTP_DONE;
		http_cache_put(x);
		return send_answer(x);
	case HTTP_RUNNING:
		return MHD_YES;
	case HTTP_DONE:
		http_cache_put(x);
		return send_answer(x);
	}
	return MHD_NO;
}

/* "127.0.0.1:8640" or "[::1]:8640" in its two halves. */
static int split_address(const char *text, char host[256], char port[8], struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!colon || !n || n >= 256 || strlen(colon + 1) > 5 || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return err_set(e, ERR_USAGE, "listen address %s is not ADDRESS:PORT, such as 127.0.0.1:8640 or [::]:8640", text);
	if (text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	snprintf(host, 256, "%.*s", (int)n, text);
	snprintf(port, 8, "%s", colon + 1);
	return 0;
}

int http_check_listen(const char *text, struct err *e)
{
	char host[256], port[8];
	int rc = split_address(text, host, port, e);

	if (!rc && strtoul(port, NULL, 10) > 65535)
		return err_set(e, ERR_USAGE, "listen address %s: a port is at most 65535", text);
	return rc;
}

static int listen_on(const char *text, unsigned *bound, struct err *e)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	char host[256], port[8];
	int rc = split_address(text, host, port, e), on = 1, bad;
	own(fd) int fd = -1;

	if (rc)
		return rc;
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc)
		return err_set(e, ERR_USAGE, "listen address %s: %s", text, gai_strerror(rc));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		freeaddrinfo(found);
		return err_errno(e, "listen on %s", text);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bad = bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0;
	freeaddrinfo(found);
	if (bad)
		return err_errno(e, "listen on %s (is another registryd running? --listen ADDR:PORT chooses another port)", text);
	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return err_errno(e, "listen on %s", text);
	*bound = name.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&name)->sin6_port) : ntohs(((struct sockaddr_in *)&name)->sin_port);
	return take_fd(&fd);
}

static int start_listener(struct http_server *s, const char *text, struct err *e)
{
	const struct http_options *o = &s->o;
	unsigned port;
	int fd = listen_on(text, &port, e);
	struct MHD_Daemon *d;

	if (fd < 0)
		return fd;
	d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, s,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_THREAD_POOL_SIZE, o->threads,
		MHD_OPTION_CONNECTION_LIMIT, o->connections_max,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, o->idle_timeout_s,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_URI_LOG_CALLBACK, uri_seen, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_END);
	if (!d) {
		close(fd);
		return err_set(e, ERR_FAILED, "the HTTP server did not start on %s", text);
	}
	s->ports[s->n] = port;
	s->daemons[s->n++] = d;
	return 0;
}

int http_open(struct http_server **out, const struct http_options *o, struct err *e)
{
	struct http_server *s;
	int rc = 0;

	if (!o->n_listen || o->n_listen > LISTEN_MAX)
		return err_set(e, ERR_USAGE, "between 1 and %d listen addresses are possible", LISTEN_MAX);
	s = mem_zalloc(sizeof(*s));
	s->o = *o;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	for (; !rc && s->n_helpers < HELPERS; s->n_helpers++)
		if (pthread_create(&s->helpers[s->n_helpers], NULL, helper_main, s)) {
			rc = err_set(e, ERR_FAILED, "no thread could be started for the HTTP server");
			break;
		}
	for (size_t i = 0; !rc && i < o->n_listen; i++)
		rc = start_listener(s, o->listen[i], e);
	if (rc) {
		http_close(s, 0);
		return rc;
	}
	*out = s;
	return 0;
}

unsigned http_port(const struct http_server *s, size_t n)
{
	return n < s->n ? s->ports[n] : 0;
}

void http_close(struct http_server *s, unsigned grace_s)
{
	double until = monotonic() + grace_s;
	const struct timespec step = { .tv_nsec = 20000000 };
	int listening[LISTEN_MAX];

	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		listening[i] = MHD_quiesce_daemon(s->daemons[i]);
	while (atomic_load(&s->in_flight) && monotonic() < until)
		nanosleep(&step, NULL);
	/* Helpers finish what is queued, so that no connection still sleeps when MHD stops. */
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->n_helpers; i++)
		pthread_join(s->helpers[i], NULL);
	for (size_t i = 0; i < s->n; i++) {
		MHD_stop_daemon(s->daemons[i]);
		if (listening[i] >= 0)
			close(listening[i]);
	}
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
