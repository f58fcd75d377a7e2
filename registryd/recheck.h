/* recheck.h - looking again at what is held: job kinds "verify" (every byte) and "smoke" (the test). */
#ifndef REGISTRYD_RECHECK_H
#define REGISTRYD_RECHECK_H

#include "registryd/work.h"

int recheck_verify_job(struct work *w, struct err *e);
int recheck_smoke_job(struct work *w, struct err *e);

#endif
