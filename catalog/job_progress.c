/* job_progress.c - how far running jobs have come: in memory, for it changes many times a second and ends with the process. See job.h. */
#include <pthread.h>

#include "base/vec.h"
#include "catalog/job_tx.h"
#include "catalog/sql.h"

#define RUNNING_MAX 256		/* jobs running at once; progress of more is not kept */

struct running {
	pthread_mutex_t lock;
	struct job_running jobs[RUNNING_MAX];
};

static void *running_make(void)
{
	struct running *r = mem_zalloc(sizeof(*r));

	pthread_mutex_init(&r->lock, NULL);
	return r;
}

static void running_free(void *p)
{
	struct running *r = p;

	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct running *running_of(struct db *db)
{
	return db_slot(db, DB_SLOT_JOB, running_make, running_free);
}

/* Its entry, lock held. id 0 finds a free one. */
static struct job_running *entry(struct running *r, int64_t id)
{
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (r->jobs[i].id == id)
			return &r->jobs[i];
	return NULL;
}

void job_progress_start(struct db *db, int64_t id)
{
	struct running *r = running_of(db);
	struct job_running *p;

	pthread_mutex_lock(&r->lock);
	if ((p = entry(r, 0)))
		*p = (struct job_running){ .id = id };
	pthread_mutex_unlock(&r->lock);
}

struct job_running job_progress_end(struct db *db, int64_t id)
{
	struct running *r = running_of(db);
	struct job_running last = { 0 }, *p;

	pthread_mutex_lock(&r->lock);
	if ((p = entry(r, id))) {
		last = *p;
		*p = (struct job_running){ 0 };
	}
	pthread_mutex_unlock(&r->lock);
	return last;
}

void job_progress_back(struct db *db, const struct job_running *last)
{
	struct running *r = running_of(db);
	struct job_running *p;

	if (!last->id)
		return;
	pthread_mutex_lock(&r->lock);
	if ((p = entry(r, 0)))
		*p = *last;
	pthread_mutex_unlock(&r->lock);
}

void job_stuck(struct db *db, int64_t id)
{
	struct running *r = running_of(db);
	struct job_running *p;

	pthread_mutex_lock(&r->lock);
	if ((p = entry(r, id)))
		p->stuck = true;
	pthread_mutex_unlock(&r->lock);
}

int64_t job_progress_stuck(struct db *db)
{
	struct running *r = running_of(db);
	int64_t n = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < RUNNING_MAX; i++)
		n += r->jobs[i].id && r->jobs[i].stuck;
	pthread_mutex_unlock(&r->lock);
	return n;
}

bool job_progress(struct db *db, int64_t id, uint64_t bytes_done, uint64_t bytes_total, uint64_t files_done, uint64_t files_total, const char *phase)
{
	struct running *r = running_of(db);
	struct job_running *p;
	bool cancel = false;

	pthread_mutex_lock(&r->lock);
	if ((p = entry(r, id))) {
		p->bytes_done = bytes_done;
		p->bytes_total = bytes_total;
		p->files_done = files_done;
		p->files_total = files_total;
		if (phase)
			snprintf(p->phase, sizeof(p->phase), "%s", phase);
		cancel = p->cancel;
	}
	pthread_mutex_unlock(&r->lock);
	return cancel;
}

void job_progress_put(struct db *db, struct job *j, struct arena *a)
{
	struct running *r = running_of(db);
	struct job_running *p;

	if (j->state != JOB_RUNNING)
		return;
	pthread_mutex_lock(&r->lock);
	if ((p = entry(r, j->id))) {
		j->bytes_done = p->bytes_done;
		j->bytes_total = p->bytes_total;
		j->files_done = p->files_done;
		j->files_total = p->files_total;
		j->phase = arena_strdup(a, p->phase);
		if (p->stuck)
			j->state = JOB_WAITING;
	}
	pthread_mutex_unlock(&r->lock);
}

void job_progress_cancel(struct db *db, int64_t id)
{
	struct running *r = running_of(db);
	struct job_running *p;

	pthread_mutex_lock(&r->lock);
	if ((p = entry(r, id)))
		p->cancel = true;
	pthread_mutex_unlock(&r->lock);
}
