/* turns.c - see turns.h. */
#include "registryd/turns.h"

#include <time.h>

#define HOLD_S	600	/* of each EVERY_S that a sweep waits, others are held back for it: not for all of a download of days */
#define EVERY_S 3600

void turns_init(struct turns *t)
{
	*t = (struct turns){ .waits = 0 };
	pthread_rwlock_init(&t->store, NULL);
	pthread_mutex_init(&t->lock, NULL);
}

void turns_done(struct turns *t)
{
	pthread_rwlock_destroy(&t->store);
	pthread_mutex_destroy(&t->lock);
}

static int64_t monotonic_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The sweep that waits, 0 none; *holds: are others held back for it? */
static int64_t waiting(struct turns *t, bool *holds)
{
	int64_t job;

	pthread_mutex_lock(&t->lock);
	job = t->waits;
	*holds = job && (monotonic_s() - t->since_s) % EVERY_S < HOLD_S;
	pthread_mutex_unlock(&t->lock);
	return job;
}

static void forget(struct turns *t, int64_t job)
{
	pthread_mutex_lock(&t->lock);
	if (t->waits == job)
		t->waits = 0;
	pthread_mutex_unlock(&t->lock);
}

void turns_use(struct turns *t)
{
	pthread_rwlock_rdlock(&t->store);
}

void turns_used(struct turns *t, struct db *db)
{
	bool holds;
	int64_t sweep;

	pthread_rwlock_unlock(&t->store);
	sweep = waiting(t, &holds);
	if (sweep)
		job_wake(db, sweep, NULL);	/* else it comes by itself, a little later */
}

int turns_sweep(struct turns *t, int64_t job, struct err *e)
{
	bool holds;

	if (!pthread_rwlock_trywrlock(&t->store))
		return 0;
	pthread_mutex_lock(&t->lock);
	if (!t->waits) {
		t->waits = job;
		t->since_s = monotonic_s();
	}
	pthread_mutex_unlock(&t->lock);
	waiting(t, &holds);
	return err_set(e, ERR_THROTTLED, "waiting until no other job uses the store%s", holds ? "; none begins meanwhile" : "");
}

void turns_swept(struct turns *t, int64_t job)
{
	pthread_rwlock_unlock(&t->store);
	forget(t, job);
}

bool turns_held(struct turns *t, struct db *db, struct arena *a)
{
	bool holds;
	int64_t sweep = waiting(t, &holds);
	struct job j;

	if (!holds)
		return false;
	if (!job_get(db, sweep, a, &j, NULL) && j.state < JOB_DONE)
		return true;
	forget(t, sweep);
	return false;
}
