/* recheck.h - looking again at what is held: job kinds "verify" (every byte) and "smoke" (the test). */
#ifndef REGISTRYD_RECHECK_H
#define REGISTRYD_RECHECK_H

#include "registryd/work.h"

int recheck_verify_job(struct work *w, struct err *e);
int recheck_smoke_job(struct work *w, struct err *e);

#define RECHECK_BATCH 1000	/* jobs queued at a time */
/* Queues a test, behind all other work, of what was published under another device, driver or runtime than the newest test ran on. */
int recheck_queue_due(struct daemon *d, int64_t now, size_t *n_queued, struct err *e);

#endif
