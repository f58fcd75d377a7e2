/* metrics.c - see metrics.h. Counters are atomic and found by the route's address, so counting takes no lock. */
#include "registryd/metrics.h"

#include "base/json.h"
#include "base/log.h"
#include "catalog/job.h"
#include "catalog/query.h"

#define ROUTES_MAX 512		/* slots; more routes than that are counted as one */
#define CLASSES 6		/* 0 other, 1xx … 5xx */

static const double bounds_s[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10, 60, 600 };
#define BUCKETS (ARRAY_LEN(bounds_s) + 1)

struct counters {
	_Atomic(const struct http_route *) route;
	_Atomic uint64_t answers[CLASSES];
	_Atomic uint64_t bytes;
	_Atomic uint64_t buckets[BUCKETS];
	_Atomic uint64_t micros;
};

static struct counters slots[ROUTES_MAX];
static struct counters unrouted;

static struct counters *slot_of(const struct http_route *route)
{
	size_t at = ((uintptr_t)route / sizeof(*route)) % ROUTES_MAX;

	if (!route)
		return &unrouted;
	for (size_t i = 0; i < ROUTES_MAX; i++) {
		struct counters *c = &slots[(at + i) % ROUTES_MAX];
		const struct http_route *found = atomic_load_explicit(&c->route, memory_order_relaxed);

		if (found == route)
			return c;
		if (!found && (atomic_compare_exchange_strong(&c->route, &found, route) || found == route))
			return c;
	}
	return &unrouted;
}

void metrics_finished(const struct request *rq, int status, uint64_t bytes, double seconds)
{
	struct counters *c = slot_of(rq->route);
	size_t bucket = 0;

	while (bucket < ARRAY_LEN(bounds_s) && seconds > bounds_s[bucket])
		bucket++;
	atomic_fetch_add(&c->answers[status >= 100 && status < 600 ? status / 100 : 0], 1);
	atomic_fetch_add(&c->bytes, bytes == UINT64_MAX ? 0 : bytes);
	atomic_fetch_add(&c->buckets[bucket], 1);
	atomic_fetch_add(&c->micros, (uint64_t)(seconds * 1e6));
	log_event(LOG_DEBUG, "http.answer", "method=%s uri=\"%s\" status=%d bytes=%llu ms=%.1f who=%s", rq->method, rq->uri, status,
		  (unsigned long long)(bytes == UINT64_MAX ? 0 : bytes), seconds * 1e3, rq->who);
}

/* --- writing ------------------------------------------------------------------------------------------------------------------------- */

void metrics_escape(struct buf *b, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_putc(b, '\\');
		if (*value == '\n')
			buf_puts(b, "\\n");
		else
			buf_putc(b, *value);
	}
}

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *b, const char *name, const char *type, const char *help, double value)
{
	head(b, name, type, help);
	buf_printf(b, "%s %.17g\n", name, value);
}

static void put_route(struct buf *b, const struct counters *c, const char *name, const char *more)
{
	const struct http_route *r = atomic_load(&c->route);

	buf_printf(b, "%s{method=\"%s\",route=\"", name, r ? r->method : "");
	metrics_escape(b, r ? r->pattern : "none");
	buf_printf(b, "\"%s} ", more);
}

static bool used(const struct counters *c)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (atomic_load(&c->answers[i]))
			return true;
	return false;
}

static void each_used(struct buf *b, void (*put)(struct buf *b, const struct counters *c))
{
	if (used(&unrouted))
		put(b, &unrouted);
	for (size_t i = 0; i < ROUTES_MAX; i++)
		if (used(&slots[i]))
			put(b, &slots[i]);
}

static void put_answers(struct buf *b, const struct counters *c)
{
	for (size_t i = 0; i < CLASSES; i++) {
		uint64_t n = atomic_load(&c->answers[i]);
		char label[24];

		if (!n)
			continue;
		snprintf(label, sizeof(label), i ? ",status=\"%zuxx\"" : ",status=\"broken\"", i);
		put_route(b, c, "registryd_http_requests_total", label);
		buf_printf(b, "%llu\n", (unsigned long long)n);
	}
}

static void put_bytes(struct buf *b, const struct counters *c)
{
	put_route(b, c, "registryd_http_sent_bytes_total", "");
	buf_printf(b, "%llu\n", (unsigned long long)atomic_load(&c->bytes));
}

static void put_seconds(struct buf *b, const struct counters *c)
{
	uint64_t sum = 0;
	char label[48];

	for (size_t i = 0; i < BUCKETS; i++) {
		sum += atomic_load(&c->buckets[i]);
		if (i < ARRAY_LEN(bounds_s))
			snprintf(label, sizeof(label), ",le=\"%g\"", bounds_s[i]);
		else
			snprintf(label, sizeof(label), ",le=\"+Inf\"");
		put_route(b, c, "registryd_http_request_seconds_bucket", label);
		buf_printf(b, "%llu\n", (unsigned long long)sum);
	}
	put_route(b, c, "registryd_http_request_seconds_sum", "");
	buf_printf(b, "%.6f\n", (double)atomic_load(&c->micros) / 1e6);
	put_route(b, c, "registryd_http_request_seconds_count", "");
	buf_printf(b, "%llu\n", (unsigned long long)sum);
}

static const struct {
	const char *key, *name, *type, *help;
} totals[] = {
	{ "models", "registryd_models", "gauge", "Models of which there is a revision in the catalog." },
	{ "models_without_revision", "registryd_models_without_revision", "gauge", "Models that were asked for, and of which there is nothing." },
	{ "revisions", "registryd_revisions", "gauge", "Revisions in the catalog." },
	{ "published", "registryd_revisions_published", "gauge", "Revisions that the gate has published, those among them too that are withdrawn or have ended." },
	{ "held", "registryd_revisions_held", "gauge", "Revisions that wait for a person's decision." },
	{ "rejected", "registryd_revisions_rejected", "gauge", "Revisions that the gate refused." },
	{ "files", "registryd_files", "gauge", "Files of all revisions." },
	{ "blobs", "registryd_blobs", "gauge", "Distinct contents in the store." },
	{ "lost", "registryd_blobs_lost", "gauge", "Contents of published revisions that are gone from the store, or damaged." },
	{ "blob_bytes", "registryd_blob_bytes", "gauge", "Bytes of the store." },
	{ "events", "registryd_events_total", "counter", "Events in the audit chain." },
};

static bool write_totals(struct buf *b, struct daemon *d)
{
	own(json) json_t *j = query_totals(d->db, NULL);
	const char *chain;

	if (!j)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(totals); i++)
		one(b, totals[i].name, totals[i].type, totals[i].help, json_get_real(j, totals[i].key, 0));
	chain = json_get_str(j, "head");
	if (chain) {
		head(b, "registryd_event_head_info", "gauge", "Hash of the newest event: a cut tail of the audit chain shows against it.");
		buf_puts(b, "registryd_event_head_info{hash=\"");
		metrics_escape(b, chain);
		buf_puts(b, "\"} 1\n");
	}
	return true;
}

static bool write_jobs(struct buf *b, struct daemon *d)
{
	int64_t counts[JOB_CANCELED + 1] = { 0 };

	if (job_counts(d->db, counts, NULL))
		return false;
	head(b, "registryd_jobs", "gauge", "Jobs by state.");
	for (int s = JOB_QUEUED; s <= JOB_CANCELED; s++)
		buf_printf(b, "registryd_jobs{state=\"%s\"} %lld\n", job_state_name((enum job_state)s), (long long)counts[s]);
	return true;
}

void metrics_write(struct buf *b, struct daemon *d, int64_t now)
{
	uint64_t room = 0;
	bool up;

	head(b, "registryd_build_info", "gauge", "The running version.");
	buf_puts(b, "registryd_build_info{version=\"" REGISTRYD_VERSION "\"} 1\n");
	one(b, "registryd_uptime_seconds", "gauge", "Seconds since the daemon started.", (double)(now - d->started_at));
	one(b, "registryd_config_reloads_total", "counter", "Times the settings were read anew.", (double)atomic_load(&d->reloads));
	one(b, "registryd_search_index_loaded", "gauge", "1 when the search index is in memory.", atomic_load(&d->index_loaded));
	if (!store_free_bytes(d->store, &room, NULL))
		one(b, "registryd_store_free_bytes", "gauge", "Bytes free on the store's file system.", (double)room);
	one(b, "registryd_catalog_bytes", "gauge", "Bytes of the catalog's file and log.", (double)db_size_bytes(d->db));
	up = write_totals(b, d) && write_jobs(b, d);
	one(b, "registryd_catalog_up", "gauge", "1 when the catalog could be read for this answer.", up);
	head(b, "registryd_http_requests_total", "counter", "Answers by route and kind of status.");
	each_used(b, put_answers);
	head(b, "registryd_http_sent_bytes_total", "counter", "Bytes of answers' bodies, as announced.");
	each_used(b, put_bytes);
	head(b, "registryd_http_request_seconds", "histogram", "From a request's first line to the end of its answer.");
	each_used(b, put_seconds);
}
