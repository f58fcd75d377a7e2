/*
 * work.h - one job of the queue while a thread works on it: what it may use, where it reports progress, and how it is told to stop.
 * A kind of job is a function `int kind_job(struct work *, struct err *)`: 0 ends the job as done with w->result, an error as failed;
 * ERR_NOSPACE and ERR_THROTTLED make it wait and run again from the start (w->wait_s from now), ERR_CANCELED at a stop leaves it to the
 * next start of the daemon. Jobs are therefore written so that running one again does only what is left.
 */
#ifndef REGISTRYD_WORK_H
#define REGISTRYD_WORK_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "catalog/job.h"
#include "registryd/daemon.h"
#include "registryd/pool.h"

#define WORK_PHASE_MAX 160
#define WORK_FILES_MAX (UINT64_C(900) << 20)	/* bytes of the files of one result: less than SQLite keeps */

struct hub;
struct worker;

struct work {
	struct daemon *d;
	struct worker *worker;
	const struct config *config;	/* as they were when the job began */
	const struct policy *policy;
	struct db *db;
	struct store *store;
	struct pool *pool;
	struct arena *arena;		/* lives as long as the job */
	struct hub **hubs;		/* those that the job has asked for */
	size_t n_hubs, cap_hubs;
	struct job job;
	json_t *args;			/* of the job; an object */
	atomic_bool stop;		/* the daemon stops, or somebody asked to cancel */
	atomic_bool canceled;		/* somebody asked to cancel, or nobody asks for it any more */

	json_t *result;			/* set by the job */
	struct spool files;		/* its member "files", where it may be long: the array's text; work_file() */
	int64_t wait_s;			/* with ERR_NOSPACE, ERR_THROTTLED: when to run again; 0 a default */

	pthread_mutex_t lock;		/* for the progress below, which another thread reads */
	uint64_t bytes_done, bytes_total, files_done, files_total;
	char phase[WORK_PHASE_MAX];
};

static inline int64_t work_now(void)
{
	return (int64_t)time(NULL);
}

void work_phase(struct work *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void work_totals(struct work *w, uint64_t bytes, uint64_t files);
void work_done(struct work *w, uint64_t bytes, uint64_t files);
/* One more element of the result's "files"; takes the reference. NULL: there are no more, and perhaps none. */
void work_file(struct work *w, json_t *file);
/* ERR_CANCELED when the job is to end. */
int work_check(struct work *w, struct err *e);

/* It ended for a person, and not for a stop of the daemon: nobody goes on with it by himself. */
static inline bool work_was_canceled(struct work *w, int rc)
{
	return rc == ERR_CANCELED && atomic_load(&w->canceled);
}

/* What failed of single models or files, while a job over many goes on with the others. */
struct work_failures {
	int64_t n;
	struct err first;
};
/* This failed, by e. 0 when that is its own matter: it is logged and counted, and e is free again. Else everybody's (a stop, a full disk): the code in e. */
int work_failed(struct work *w, struct work_failures *f, struct err *e);
/* The end of such a job: 0 when nothing failed, else the first failure, and how many there were. */
int work_failures(const struct work_failures *f, struct err *e);

/* The upstream of this name (NULL: the first) as configured now. Lives as long as the job. NULL with ERR_USAGE, or ERR_FAILED for its token. */
struct hub *work_hub(struct work *w, const char *name, struct err *e);

#endif
