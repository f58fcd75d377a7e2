/* recheck.h - looking again at what is held: job kinds "verify" (every byte) and "smoke" (the test). */
#ifndef REGISTRYD_RECHECK_H
#define REGISTRYD_RECHECK_H

#include "registryd/work.h"

int recheck_verify_job(struct work *w, struct err *e);
int recheck_smoke_job(struct work *w, struct err *e);

#define RECHECK_BATCH	 1000		/* jobs queued at a time */
#define RECHECK_EVERY_MS (3600 * 1000)	/* between two looks */
/*
 * Looks at what tests run on, where something published rests on that, and queues a test, behind all other work, of what was published under another
 * device, driver or runtime. May take as long as a driver needs to start.
 */
int recheck_queue_due(struct daemon *d, int64_t now, size_t *n_queued, struct err *e);

#endif
