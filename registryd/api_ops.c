/* api_ops.c - what operators' machines ask: is it alive, can it serve, figures, the calendar of sunset dates. */
#include "registryd/api_ops.h"

#include "catalog/lifecycle.h"
#include "registryd/daemon.h"
#include "registryd/metrics.h"

#define METRICS_MAX_BYTES (8 << 20)

static int healthy(struct request *rq, struct err *e)
{
	(void)e;
	return http_answer_text(rq, 200, "text/plain; charset=utf-8", "ok\n");
}

/* Store and catalog usable; upstream is not asked, because what is here can be served without it. */
static int ready(struct request *rq, struct err *e)
{
	struct daemon *d = rq->app;
	uint64_t room;
	int rc = db_ready(d->db, e);

	if (!rc)
		rc = store_free_bytes(d->store, &room, e);
	if (!rc && atomic_load(&d->stopping))
		rc = err_set(e, ERR_UNREACHABLE, "the daemon is stopping");
	if (rc) {
		e->code = ERR_UNREACHABLE;
		return rc;
	}
	return http_answer_text(rq, 200, "text/plain; charset=utf-8", "ready\n");
}

static int metrics(struct request *rq, struct err *e)
{
	struct buf b;

	(void)e;
	buf_init(&b, METRICS_MAX_BYTES);
	metrics_write(&b, rq->app, rq->now);
	return http_answer_buf(rq, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static int calendar(struct request *rq, struct err *e)
{
	struct daemon *d = rq->app;
	own(mem) char *text = lifecycle_ics(d->db, daemon_policy(d), rq->now, e);

	if (!text)
		return e->code;
	http_set(rq, "Content-Disposition", "inline; filename=\"lifecycle.ics\"");
	return http_answer_text(rq, 200, "text/calendar; charset=utf-8", text);
}

const struct http_route api_ops_routes[] = {
	{ "GET", "/-/healthy", HTTP_OPEN, 0, healthy, NULL, NULL },
	{ "GET", "/-/ready", HTTP_OPEN, HTTP_SLOW, ready, NULL, NULL },
	{ "GET", "/-/lifecycle.ics", HTTP_READ, HTTP_SLOW, calendar, NULL, NULL },
	{ "GET", "/metrics", HTTP_READ, HTTP_SLOW, metrics, NULL, NULL },
	{ 0 },
};
