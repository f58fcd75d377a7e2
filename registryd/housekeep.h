/* housekeep.h - job kinds "gc" and "rebuild": freeing what no revision needs, and deriving everything again from the facts kept. */
#ifndef REGISTRYD_HOUSEKEEP_H
#define REGISTRYD_HOUSEKEEP_H

#include "registryd/work.h"

int housekeep_gc_job(struct work *w, struct err *e);
int housekeep_rebuild_job(struct work *w, struct err *e);

#endif
