/*
 * job_end.h - what the end of a job means besides its own record, however it ends: canceled while it was queued or waited, cut off, failed or done. Revisions that nothing
 * works on any more say so, and an upload that nothing is to be made from is removed.
 */
#ifndef REGISTRYD_JOB_END_H
#define REGISTRYD_JOB_END_H

#include <stdint.h>

#include "registryd/daemon.h"

/* To be called when its end is written down, and no sooner: one that is run again needs its files. Does nothing where it has not ended. */
void job_end_note(struct daemon *d, int64_t id);

#endif
