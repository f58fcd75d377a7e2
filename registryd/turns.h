/*
 * turns.h - who may use the store now: any number of jobs that use it, or one that sweeps it and is alone with it, so that nothing is freed between being stored and
 * being used. Where uses follow each other a sweep would never find the store unused, so others are held back for one that waits.
 */
#ifndef REGISTRYD_TURNS_H
#define REGISTRYD_TURNS_H

#include <pthread.h>
#include <stdbool.h>

#include "catalog/job.h"

struct turns {
	pthread_rwlock_t store;
	pthread_mutex_t lock;	/* for all below */
	int64_t waits;		/* the job that would sweep, 0 none */
	int64_t since_s;	/* monotonic */
};

void turns_init(struct turns *t);
void turns_done(struct turns *t);

/* A use. It waits for a sweep, which is short. */
void turns_use(struct turns *t);
void turns_used(struct turns *t, struct db *db);	/* wakes the sweep that waits */

/* A sweep does not wait for hours of downloads with a thread in hand: ERR_THROTTLED says that it has to come again. */
int turns_sweep(struct turns *t, int64_t job, struct err *e);
void turns_swept(struct turns *t, int64_t job);

/* Must what would begin to use the store come later, for the sake of a sweep that waits and has not been canceled? */
bool turns_held(struct turns *t, struct db *db, struct arena *a);

#endif
