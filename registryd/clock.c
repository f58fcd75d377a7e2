/* clock.c - see clock.h. */
#include "registryd/clock.h"

#include "base/log.h"
#include "base/vec.h"
#include "catalog/job.h"
#include "catalog/lifecycle.h"
#include "catalog/partial.h"
#include "catalog/usage.h"
#include "registryd/incoming.h"
#include "registryd/mirror.h"
#include "registryd/rules.h"

#define USAGE_EVERY_S 5
#define USAGE_RETRY_S 60

static void failed(const char *what, const struct err *e)
{
	char quoted[LOG_QUOTE_MAX];

	log_event(LOG_WARNING, "clock.failed", "what=%s error=%s", what, log_quote(quoted, e->msg));
}

static void follow_config(struct clock *c, struct daemon *d, int64_t now)
{
	unsigned reloads = atomic_load(&d->reloads);
	struct err e = ERR_NONE;

	if (c->config_read && c->reloads == reloads)
		return;
	c->config_read = true;
	c->reloads = reloads;
	if (mirror_follow_config(d, now, &e))
		failed("mirror entries of the settings", &e);
}

static void mirrors(struct clock *c, struct daemon *d, int64_t now)
{
	struct err e = ERR_NONE;

	follow_config(c, d, now);
	if (mirror_queue_due(d, now, &e))
		failed("mirror entries that are due", &e);
}

/*
 * Soon, so that little is forgotten where the daemon is killed: gc lets go what nobody pulled. Where it can't be written (the disk is full), that is said once a
 * minute, and what is counted meanwhile stays in memory.
 */
static void usage(struct clock *c, struct daemon *d, int64_t now)
{
	struct err e = ERR_NONE;

	if (llabs(now - c->usage_failed_at) < USAGE_RETRY_S || !usage_flush(d->db, &e))
		return;
	c->usage_failed_at = now;
	failed("usage counts", &e);
}

static void tidy(struct clock *c, struct daemon *d, int64_t now)
{
	struct err e = ERR_NONE;
	uint64_t freed = 0;

	(void)c;
	if (job_expire(d->db, now - CLOCK_JOBS_KEPT_S, &e))
		failed("old jobs", &e);
	if (partial_expire(d->store, now - CLOCK_PARTIAL_KEPT_S, &freed, &e))
		failed("abandoned downloads", &e);
	if (incoming_expire(d, now, &e))
		failed("abandoned uploads", &e);
	if (freed)
		log_event(LOG_INFO, "clock.freed", "bytes=%llu", (unsigned long long)freed);
}

static void lifecycle(struct clock *c, struct daemon *d, int64_t now)
{
	struct err e = ERR_NONE;

	(void)c;
	if (rules_apply_dates(d, now, &e))
		failed("the policy's dates", &e);
}

static void sunsets(struct clock *c, struct daemon *d, int64_t now)
{
	struct policy_lifecycle rules;
	struct err e = ERR_NONE;
	int64_t told = 0;

	(void)c;
	policy_lifecycle(daemon_policy(d), &rules);
	if (lifecycle_tell_ended(d->db, &rules, now, &told, &e))
		failed("sunsets that have passed", &e);
	if (told)
		log_event(LOG_NOTICE, "lifecycle.ended", "count=%lld", (long long)told);
}

/* What is done for many models at once, and did not come to its end for some: nobody asks for it again. */
static void again(struct clock *c, struct daemon *d, int64_t now)
{
	static const char *const kinds[] = { "derive", "policy" };

	(void)c;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct err e = ERR_NONE;
		size_t n = 0;

		if (job_retry_failed(d->db, kinds[i], now, &n, &e))
			failed("jobs that failed", &e);
		if (n)
			log_event(LOG_NOTICE, "clock.again", "kind=%s jobs=%zu", kinds[i], n);
	}
}

void clock_tick(struct clock *c, struct daemon *d, int64_t now)
{
	static const struct {
		int every_s;
		void (*run)(struct clock *c, struct daemon *d, int64_t now);
	} duties[CLOCK_DUTIES] = { { 1, mirrors }, { USAGE_EVERY_S, usage }, { 3600, tidy }, { 3600, lifecycle }, { 60, sunsets }, { 3600, again } };

	for (size_t i = 0; i < CLOCK_DUTIES; i++) {
		if (now < c->due_at[i] && c->due_at[i] - now <= duties[i].every_s)
			continue;	/* further ahead, and the clock was set back since */
		c->due_at[i] = now + duties[i].every_s;
		duties[i].run(c, d, now);
	}
}
