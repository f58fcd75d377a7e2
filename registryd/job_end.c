/* job_end.c - see job_end.h. */
#include "registryd/job_end.h"

#include "base/log.h"
#include "base/vec.h"
#include "catalog/job.h"
#include "catalog/model.h"
#include "registryd/import.h"
#include "registryd/work.h"

#define ACTIVE_MAX 1000	/* of one model */

struct ended {
	struct daemon *d;
	struct job job;
	struct job *active;	/* others of the model that have not ended */
	size_t n_active;
	struct arena *a;
};

/* A sync works on what was last seen under its ref; of what imports, one of this model is enough. All other kinds work on what is here. */
static bool works_on(const struct ended *x, const struct job *j, const struct revision *r)
{
	struct revision own;
	struct model m;

	if (strcmp(j->kind, "sync"))
		return !strcmp(j->kind, "import") || !strcmp(j->kind, "bundle");
	return !model_find(x->d->db, j->repo, *j->revision ? j->revision : "main", MODEL_ANY, x->a, &m, &own, NULL, NULL) && own.id == r->id;
}

static bool is_worked_on(const struct ended *x, const struct revision *r)
{
	bool worked_on = false;

	for (size_t i = 0; i < x->n_active && !worked_on; i++)
		worked_on = works_on(x, &x->active[i], r);
	return worked_on;
}

static bool is_left(const struct revision *r)
{
	return (r->state > REVISION_PLANNED && r->state <= REVISION_TESTING) || (r->state == REVISION_PLANNED && !r->reason);
}

static const char *what_ended(const struct ended *x, const char *what)
{
	const struct job *j = &x->job;

	if (j->state == JOB_DONE)
		return arena_printf(x->a, "its %s went on with another commit", what);
	return j->state == JOB_FAILED && j->error_message ? j->error_message : arena_printf(x->a, "its %s was canceled", what);
}

static int stop_revisions(const struct ended *x, const char *what, struct err *e)
{
	const char *reason = what_ended(x, what);
	struct revision *all;
	struct model m;
	size_t n = 0;
	int rc = 0;

	if (model_find_repo(x->d->db, x->job.repo, x->a, &m, NULL))
		return 0;	/* it has come to nothing here */
	rc = model_revisions(x->d->db, m.id, MODEL_ANY, x->a, &all, &n, e);
	for (size_t i = 0; i < n && !rc; i++) {
		if (is_worked_on(x, &all[i]))
			continue;
		rc = is_left(&all[i]) ? model_stop(x->d->db, all[i].id, reason, work_now(), e) : model_drop_pending(x->d->db, all[i].id, e);
	}
	return rc;
}

static int end_sync(const struct ended *x, struct err *e)
{
	return stop_revisions(x, "sync", e);
}

static int end_bundle(const struct ended *x, struct err *e)
{
	return stop_revisions(x, "import", e);
}

static int end_import(const struct ended *x, struct err *e)
{
	import_ended(x->d->store, &x->job, x->active, x->n_active);
	return stop_revisions(x, "import", e);
}

static const struct {
	const char *kind;
	int (*end)(const struct ended *x, struct err *e);
} kinds[] = {
	{ "sync", end_sync },
	{ "import", end_import },
	{ "bundle", end_bundle },
};

static int note(struct ended *x, int64_t id, struct err *e)
{
	int rc = job_get(x->d->db, id, x->a, &x->job, e);

	if (rc || x->job.state < JOB_DONE)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !rc; i++) {
		if (strcmp(kinds[i].kind, x->job.kind))
			continue;
		rc = job_list(x->d->db, &(struct job_filter){ .repo = x->job.repo, .any_name = true, .active_only = true, .limit = ACTIVE_MAX }, x->a, &x->active, &x->n_active, e);
		if (!rc)
			rc = kinds[i].end(x, e);
	}
	return rc;
}

void job_end_note(struct daemon *d, int64_t id)
{
	own(arena) struct arena a = { 0 };
	struct ended x = { .d = d, .a = &a };
	struct err e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];

	if (note(&x, id, &e))
		log_event(LOG_WARNING, "job.end", "id=%lld error=%s", (long long)id, log_quote(quoted, e.msg));
}
