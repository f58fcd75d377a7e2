/* housekeep.h - job kind "gc": freeing what no revision needs. */
#ifndef REGISTRYD_HOUSEKEEP_H
#define REGISTRYD_HOUSEKEEP_H

#include "registryd/work.h"

int housekeep_gc_job(struct work *w, struct err *e);

#endif
