/* job_tx.h - between the parts of the job queue (job.c, job_progress.c, job_find.c); nobody else includes it. */
#ifndef CATALOG_JOB_TX_H
#define CATALOG_JOB_TX_H

#include "catalog/job.h"

struct db_conn;

#define JOB_PHASE_MAX 256

/* How far a running job has come: in memory, not in the file. */
struct job_running {
	int64_t id;		/* 0: free */
	uint64_t bytes_done, bytes_total, files_done, files_total;
	char phase[JOB_PHASE_MAX];
	bool cancel;
	bool stuck;	/* it has run, and what became of it can't be written down */
};

void job_progress_start(struct db *db, int64_t id);
/* Takes the entry out; zeros when there is none. */
struct job_running job_progress_end(struct db *db, int64_t id);
void job_progress_back(struct db *db, const struct job_running *last);	/* the end could not be written */
void job_progress_cancel(struct db *db, int64_t id);
int64_t job_progress_stuck(struct db *db);	/* how many are */
/* Puts it into what was read of the job's row. */
void job_progress_put(struct db *db, struct job *j, struct arena *a);

/* A job's row, without its progress. ERR_NOT_FOUND: there is none. */
int job_row(struct db_conn *c, int64_t id, struct arena *a, struct job *out, struct err *e);

#endif
