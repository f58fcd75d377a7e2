/*
 * cond.h - conditions that are waited for until a time of the monotonic clock, so that a machine's clock that is set leaves nobody asleep. pthread's own default
 * is the wall clock: a condition with a deadline is made here, its deadline too.
 */
#ifndef BASE_COND_H
#define BASE_COND_H

#include <pthread.h>
#include <time.h>

void cond_init(pthread_cond_t *c);
struct timespec cond_deadline(int after_ms);	/* for pthread_cond_timedwait() */

#endif
