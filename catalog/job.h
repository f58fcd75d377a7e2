/*
 * job.h - the queue of work, kept in the catalog so that it survives a restart. What a kind of job means, the daemon knows; here a job is a
 * kind, a model, a revision and JSON arguments.
 *
 *	queued -> running -> done | failed | canceled          running -> waiting (until not_before or a change of things) -> queued
 */
#ifndef CATALOG_JOB_H
#define CATALOG_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/spool.h"
#include "base/err.h"
#include "catalog/db.h"

enum job_state {
	JOB_QUEUED = 1,
	JOB_RUNNING,
	JOB_WAITING,	/* for disk space, a rate limit, a retry: `phase` says what for, not_before when to look again */
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELED,
};
const char *job_state_name(enum job_state s);

struct job {
	int64_t id;
	const char *kind;	/* "sync", "smoke", "verify", "gc", … */
	const char *repo;	/* "" when it concerns no model */
	const char *revision;	/* ref or commit as asked for, "" */
	const char *args;	/* JSON object, canonical text (json_text) */
	const char *who;	/* token name or "schedule" */
	enum job_state state;
	int priority;		/* higher first; 0 usual, -1 scheduled, JOB_BACKGROUND */
	int attempts;		/* times it was claimed since it last waited for anything but an upstream that is away, or was cut off */
	int64_t created_at, started_at, finished_at, not_before;
	bool cancel_asked;
	/* progress */
	uint64_t bytes_done, bytes_total, files_done, files_total;
	const char *phase;	/* "fetching model.safetensors" */
	/* outcome */
	const char *error_label, *error_message;	/* err_label() of the failure; NULL */
	const char *result;	/* JSON object, or NULL */
	bool has_files;		/* and its member "files" is kept beside it: job_put_files() */
};

#define JOB_BACKGROUND (-2)	/* behind all other work, and one at a time: it may be thousands of tests, and other work comes meanwhile */

struct job_new {
	const char *kind, *repo, *revision, *args, *who;	/* repo, revision, args may be NULL */
	int priority;
	int64_t not_before;
};
#define JOB_WAIT_MAX_S 86400	/* no job waits longer: one that would was told to by a clock that was wrong, and may run */
/* *id is the new job, or the identical one (kind, repo, revision, args) that is queued or waiting already, which is then as urgent as the more urgent of the two; *existed (may be NULL) says which. */
int job_enqueue(struct db *db, const struct job_new *j, int64_t now, int64_t *id, bool *existed, struct err *e);

/*
 * Takes the next job that may run: queued, or waiting with not_before passed; highest priority, then oldest. Never two at once for the same repo.
 * kinds: NULL for any, else a NULL-ended list. ERR_NOT_FOUND when there is nothing to do; *next_at (may be NULL) is then when to look again, 0 never.
 */
int job_claim(struct db *db, const char *const *kinds, int64_t now, struct arena *a, struct job *out, int64_t *next_at, struct err *e);
/* At start: jobs that a dead daemon left running are queued again. *n (may be NULL) counts them. */
int job_recover(struct db *db, int64_t *n, struct err *e);

/*
 * Progress is kept in memory and written with the job's next change of state, so it may be called for every chunk. It is what job_get() and
 * job_list() show. phase may be NULL (unchanged). The answer: has someone asked to cancel this job?
 */
bool job_progress(struct db *db, int64_t id, uint64_t bytes_done, uint64_t bytes_total, uint64_t files_done, uint64_t files_total, const char *phase);

/* What became of a running job can't be written down yet, because the disk is full, say: until then it is shown and counted as waiting, with its progress and phase. */
void job_stuck(struct db *db, int64_t id);

/* result may be NULL. files: the JSON array that is the result's member "files", ended; NULL when it has none. */
int job_finish(struct db *db, int64_t id, const char *result_json, const struct spool *files, int64_t now, struct err *e);
int job_fail(struct db *db, int64_t id, const struct err *why, int64_t now, struct err *e);	/* ERR_CANCELED in `why` gives state canceled */
/* failed: this was a try that failed, and counts in `attempts`; else they are counted anew. */
int job_wait_until(struct db *db, int64_t id, int64_t not_before, bool failed, const char *phase, int64_t now, struct err *e);
/* What made jobs wait may be otherwise now: those that ran and wait may run again at once. id 0: all of them. */
int job_wake(struct db *db, int64_t id, struct err *e);
/* Queues again, as they were, those of a kind that failed when they last ran. *n counts them. */
int job_retry_failed(struct db *db, const char *kind, int64_t now, size_t *n, struct err *e);
/* A queued or waiting job is canceled at once, a running one is asked to stop. ERR_CONFLICT when it has ended. */
int job_cancel(struct db *db, int64_t id, int64_t now, struct err *e);

int job_get(struct db *db, int64_t id, struct arena *a, struct job *out, struct err *e);
struct job_filter {
	const char *kind, *repo, *revision, *args;	/* NULL any */
	bool any_name;			/* of the model that repo names, whatever the spelling or former name a job has for it */
	bool active_only;		/* queued, running, waiting */
	size_t limit;			/* 0: 100 */
};
int job_list(struct db *db, const struct job_filter *f, struct arena *a, struct job **out, size_t *n, struct err *e);	/* running, waiting, queued, ended; of each the newest first */
int job_total(struct db *db, const struct job_filter *f, int64_t *n, struct err *e);	/* how many there are, whatever the limit */
json_t *job_json(const struct job *j);	/* without the files of the result */
int job_put_files(struct db *db, int64_t id, struct spool *s, struct err *e);	/* the array's text */
/* How many jobs are in each state: counts[enum job_state], for the metrics. */
int job_counts(struct db *db, int64_t counts[JOB_CANCELED + 1], struct err *e);
/* Forgets ended jobs older than `before`. */
int job_expire(struct db *db, int64_t before, struct err *e);

#endif
