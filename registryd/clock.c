/* clock.c - see clock.h. */
#include "registryd/clock.h"

#include "base/log.h"
#include "catalog/job.h"
#include "catalog/partial.h"
#include "catalog/usage.h"

static void failed(const char *what, const struct err *e)
{
	char quoted[LOG_QUOTE_MAX];

	log_event(LOG_WARNING, "clock.failed", "what=%s error=%s", what, log_quote(quoted, e->msg));
}

static void tidy(struct daemon *d, int64_t now)
{
	struct err e = ERR_NONE;
	uint64_t freed = 0;

	if (job_expire(d->db, now - CLOCK_JOBS_KEPT_S, &e))
		failed("old jobs", &e);
	if (partial_expire(d->store, now - CLOCK_PARTIAL_KEPT_S, &freed, &e))
		failed("abandoned downloads", &e);
	if (freed)
		log_event(LOG_INFO, "clock.freed", "bytes=%llu", (unsigned long long)freed);
}

void clock_tick(struct daemon *d, int64_t now)
{
	static int64_t usage_at, tidy_at;	/* one thread calls this */
	struct err e = ERR_NONE;

	if (now >= usage_at) {
		usage_at = now + CLOCK_USAGE_EVERY_S;
		if (usage_flush(d->db, &e))
			failed("usage", &e);
	}
	if (now >= tidy_at) {
		tidy_at = now + CLOCK_TIDY_EVERY_S;
		tidy(d, now);
	}
}
