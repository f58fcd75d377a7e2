/*
 * clock.h - what becomes due by itself: mirror entries, usage counts to write, old jobs, abandoned downloads and uploads to forget, dates of
 * the policy, sunsets to tell of, work over many models that failed for some.
 */
#ifndef REGISTRYD_CLOCK_H
#define REGISTRYD_CLOCK_H

#include "registryd/daemon.h"

#define CLOCK_DUTIES	     6
#define CLOCK_JOBS_KEPT_S    (90 * 86400)	/* ended jobs */
#define CLOCK_PARTIAL_KEPT_S (14 * 86400)	/* downloads that nobody has gone on with */

/* Zeroed before its first tick. */
struct clock {
	int64_t due_at[CLOCK_DUTIES];
	int64_t usage_failed_at;
	bool config_read;
	unsigned reloads;	/* daemon.reloads when the settings' entries were last followed */
};

/* Called a few times a second by one thread; does nothing most times. Failures are logged and tried again at the next turn. */
void clock_tick(struct clock *c, struct daemon *d, int64_t now);

#endif
