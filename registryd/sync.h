/*
 * sync.h - one revision of one repository from an upstream to the gate: plan, fetch, prove, inspect, smoke, gate. Job kinds "sync" and
 * "plan" (worker.h). Everything is written down as it is reached, so running a job again does only what is left.
 */
#ifndef REGISTRYD_SYNC_H
#define REGISTRYD_SYNC_H

#include "registryd/gate.h"
#include "registryd/work.h"

int sync_job(struct work *w, struct err *e);
int sync_plan_job(struct work *w, struct err *e);

/*
 * The second half, for any revision whose files are stored: read the documents, inspect, test, decide; w->result is set. info and license
 * as in gate_read_documents().
 */
int sync_judge(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct err *e);

#endif
