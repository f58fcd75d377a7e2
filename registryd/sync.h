/*
 * sync.h - one revision of one repository from an upstream to the gate: plan, fetch, prove, inspect, smoke, gate. Job kinds "sync" and
 * "plan" (worker.h). Everything is written down as it is reached, so running a job again does only what is left.
 */
#ifndef REGISTRYD_SYNC_H
#define REGISTRYD_SYNC_H

#include "registryd/work.h"

int sync_job(struct work *w, struct err *e);
int sync_plan_job(struct work *w, struct err *e);

#endif
