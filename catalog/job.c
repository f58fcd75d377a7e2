/* job.c - a job's way through the queue: in, taken, ended, gone. See job.h; how far it has come is job_progress.c, looking at it job_find.c. */
#include "catalog/job.h"

#include "catalog/event_tx.h"
#include "catalog/job_tx.h"
#include "catalog/sql.h"

/* --- enqueue, claim --- */

static int find_same(struct db_conn *c, const struct job_new *j, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT id FROM job WHERE kind = $1 AND repo = $2 AND revision = $3 AND args = $4 AND state IN (1, 3)", e);

	sql_text(&q, j->kind);
	sql_text(&q, j->repo);
	sql_text(&q, j->revision);
	sql_text(&q, j->args);
	*id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

static int insert(struct db_conn *c, const struct job_new *j, int64_t now, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO job (kind, repo, revision, args, who, state, priority, created_at, not_before) "
					    "VALUES ($1, $2, $3, $4, $5, CASE WHEN $8 > $7 THEN 3 ELSE 1 END, $6, $7, $8) RETURNING id",
					    e);

	sql_text(&q, j->kind);
	sql_text(&q, j->repo);
	sql_text(&q, j->revision);
	sql_text(&q, j->args);
	sql_text(&q, j->who);
	sql_int(&q, j->priority);
	sql_int(&q, now);
	sql_int(&q, j->not_before);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}

/* Somebody asks for what waits: it is looked at again now, and is as urgent as the more urgent of the two. */
static int wake(struct db_conn *c, int64_t id, int priority, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE job SET not_before = CASE state WHEN 3 THEN 0 ELSE not_before END, priority = CASE WHEN priority < $2 THEN $2 ELSE priority END "
					    "WHERE id = $1 AND state IN (1, 3)",
					    e);

	sql_int(&q, id);
	sql_int(&q, priority);
	return sql_run(&q);
}

int job_enqueue(struct db *db, const struct job_new *asked, int64_t now, int64_t *id, bool *existed, struct err *e)
{
	struct job_new j = *asked;
	own(tx) struct tx t = { 0 };
	int64_t same = 0;
	int rc;

	j.repo = j.repo ? j.repo : "";
	j.revision = j.revision ? j.revision : "";
	j.args = j.args ? j.args : "{}";
	j.who = j.who ? j.who : "schedule";
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = find_same(t.c, &j, &same, e)) < 0)
		return rc;
	if (existed)
		*existed = same != 0;
	if (same) {
		*id = same;
		rc = wake(t.c, same, j.priority, e);
		return rc < 0 ? rc : tx_commit(&t, e);
	}
	if ((rc = insert(t.c, &j, now, &same, e)) < 0 || (rc = tx_commit(&t, e)) < 0)
		return rc;
	*id = same;
	return 0;
}

static bool wanted_kind(const char *const *kinds, const char *kind)
{
	for (; kinds && *kinds; kinds++)
		if (!strcmp(*kinds, kind))
			return true;
	return !kinds;
}

/* The first job that may run: rows come best first, the list of active ones is short. */
static int pick(struct db_conn *c, const char *const *kinds, int64_t now, int64_t *id, int64_t *next_at, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT id, kind, state, not_before FROM job AS j WHERE state IN (1, 3) AND (repo = '' OR NOT EXISTS "
					    "(SELECT 1 FROM job AS r WHERE r.state = 2 AND r.repo = j.repo)) AND (priority > $1 OR NOT EXISTS "
					    "(SELECT 1 FROM job AS r WHERE r.state = 2 AND r.priority <= $1)) ORDER BY priority DESC, id",
					    e);

	sql_int(&q, JOB_BACKGROUND);
	*id = 0;
	*next_at = 0;
	while (*id == 0 && sql_row(&q)) {
		int64_t not_before = sql_get_int(&q, 3);

		if (!wanted_kind(kinds, sql_get_text(&q, 1)))
			continue;
		if (not_before <= now || not_before > now + JOB_WAIT_MAX_S)
			*id = sql_get_int(&q, 0);
		else if (*next_at == 0 || not_before < *next_at)
			*next_at = not_before;
	}
	return sql_done(&q);
}

int job_claim(struct db *db, const char *const *kinds, int64_t now, struct arena *a, struct job *out, int64_t *next_at, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int64_t id, next;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = pick(t.c, kinds, now, &id, &next, e)) < 0)
		return rc;
	if (next_at)
		*next_at = next;
	if (id == 0)
		return err_set(e, ERR_NOT_FOUND, "no job is due");
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE job SET state = 2, started_at = $2, attempts = attempts + 1, not_before = 0 WHERE id = $1", e);
		sql_int(&q, id);
		sql_int(&q, now);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	if ((rc = job_row(t.c, id, a, out, e)) < 0)
		return rc;
	job_progress_start(db, id);
	if ((rc = tx_commit(&t, e)) < 0)
		job_progress_end(db, id);
	return rc;
}

int job_recover(struct db *db, int64_t *n, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		/* One that was asked to stop has stopped; one that was queued again meanwhile is the same work. */
		own(sql) struct sql q = sql_prepare(t.c,
						    "UPDATE job SET state = 6, error_label = 'canceled', error_message = 'the daemon ended' WHERE state = 2 AND (cancel_asked = 1 OR "
						    "EXISTS (SELECT 1 FROM job AS o WHERE o.state IN (1, 3) AND o.kind = job.kind AND o.repo = job.repo AND o.revision = job.revision "
						    "AND o.args = job.args))",
						    e);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE job SET state = 1, attempts = 0 WHERE state = 2", e);
		if ((rc = sql_run(&q)) < 0)
			return rc;
		if (n)
			*n = sql_changes(&q);
	}
	return tx_commit(&t, e);
}

/* --- ends --- */

struct ending {
	enum job_state state;
	int64_t not_before;
	bool no_try;		/* tries are counted anew */
	const char *phase;	/* NULL: the last one */
	const char *label, *message, *result;
	const struct spool *files;	/* NULL: none */
};

static int set_end(struct db_conn *c, int64_t id, const struct ending *x, const struct job_running *p, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE job SET state = $2, finished_at = $3, not_before = $4, bytes_done = $5, bytes_total = $6, files_done = $7, files_total = $8, "
					    "phase = $9, error_label = $10, error_message = $11, result = $12, attempts = CASE $13 WHEN 1 THEN 0 ELSE attempts END "
					    "WHERE id = $1 AND state = 2",
					    e);
	int rc;

	sql_int(&q, id);
	sql_int(&q, x->state);
	sql_int(&q, x->state == JOB_WAITING ? 0 : now);
	sql_int(&q, x->not_before);
	sql_int(&q, (int64_t)p->bytes_done);
	sql_int(&q, (int64_t)p->bytes_total);
	sql_int(&q, (int64_t)p->files_done);
	sql_int(&q, (int64_t)p->files_total);
	sql_text(&q, x->phase ? x->phase : p->phase);
	sql_text(&q, x->label);
	sql_text(&q, x->message);
	sql_text(&q, x->result);
	sql_int(&q, x->no_try);
	if ((rc = sql_run(&q)) < 0)
		return rc;
	return sql_changes(&q) == 1 ? 0 : err_set(e, ERR_CONFLICT, "job %lld is not running", (long long)id);
}

/* An identical job was queued while this one ran: it stands for this one's second try. */
static int queued_again(struct db_conn *c, int64_t id, bool *again, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT 1 FROM job AS o, job AS j WHERE j.id = $1 AND o.state IN (1, 3) AND o.kind = j.kind AND o.repo = j.repo "
					    "AND o.revision = j.revision AND o.args = j.args",
					    e);

	sql_int(&q, id);
	*again = sql_row(&q);
	return sql_done(&q);
}

static int fail_event(struct db_conn *c, int64_t id, const struct ending *x, int64_t now, struct err *e)
{
	struct arena a;
	struct job j;
	int rc;

	arena_init(&a);
	rc = job_row(c, id, &a, &j, e);
	if (rc == 0)
		rc = event_add_tx(c, "job.failed", j.repo, NULL,
				  json_pack("{s:I,s:s,s:s,s:s,s:s}", "job", (json_int_t)id, "kind", j.kind, "revision", j.revision, "code", x->label, "message", x->message), now, e);
	arena_done(&a);
	return rc;
}

static int keep_files(struct db_conn *c, int64_t id, const struct spool *files, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO job_files (job_id, body) VALUES ($1, $2)", e);
	int rc;

	sql_int(&q, id);
	sql_room(&q, files->n);
	rc = sql_run(&q);
	return rc ? rc : sql_fill(c, "job_files", "body", id, files, e);
}

static int end_tx(struct db *db, int64_t id, struct ending x, const struct job_running *p, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	bool again = false;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	if (x.state == JOB_WAITING && p->cancel)
		x = (struct ending){ .state = JOB_CANCELED, .label = "canceled", .message = "canceled on request" };
	if (x.state == JOB_WAITING && (rc = queued_again(t.c, id, &again, e)) < 0)
		return rc;
	if (again)
		x = (struct ending){ .state = JOB_CANCELED, .label = "canceled", .message = "the same job was queued again" };
	if ((rc = set_end(t.c, id, &x, p, now, e)) < 0)
		return rc;
	if (x.files && (rc = keep_files(t.c, id, x.files, e)) < 0)
		return rc;
	if (x.state == JOB_FAILED && (rc = fail_event(t.c, id, &x, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

static int end(struct db *db, int64_t id, struct ending x, int64_t now, struct err *e)
{
	struct job_running p = job_progress_end(db, id);	/* before the commit: from there on it may be claimed anew */
	int rc = end_tx(db, id, x, &p, now, e);

	if (rc < 0 && rc != ERR_CONFLICT)
		job_progress_back(db, &p);
	return rc;
}

int job_finish(struct db *db, int64_t id, const char *result_json, const struct spool *files, int64_t now, struct err *e)
{
	return end(db, id, (struct ending){ .state = JOB_DONE, .result = result_json, .files = files }, now, e);
}

int job_fail(struct db *db, int64_t id, const struct err *why, int64_t now, struct err *e)
{
	enum job_state state = why->code == ERR_CANCELED ? JOB_CANCELED : JOB_FAILED;

	return end(db, id, (struct ending){ .state = state, .label = err_label(why->code), .message = why->msg }, now, e);
}

int job_wait_until(struct db *db, int64_t id, int64_t not_before, bool failed, const char *phase, int64_t now, struct err *e)
{
	return end(db, id, (struct ending){ .state = JOB_WAITING, .not_before = not_before, .no_try = !failed, .phase = phase }, now, e);
}

int job_wake(struct db *db, int64_t id, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE job SET not_before = 0 WHERE state = 3 AND started_at > 0 AND ($1 = 0 OR id = $1)", e);
		sql_int(&q, id);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

int job_retry_failed(struct db *db, const char *kind, int64_t now, size_t *n, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	*n = 0;
	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c,
						    "INSERT INTO job (kind, repo, revision, args, who, state, priority, created_at, not_before) "
						    "SELECT kind, repo, revision, args, who, 1, priority, $2, 0 FROM job WHERE state = 5 AND id IN "
						    "(SELECT max(id) FROM job WHERE kind = $1 GROUP BY repo, revision, args) ON CONFLICT DO NOTHING",
						    e);
		sql_text(&q, kind);
		sql_int(&q, now);
		if ((rc = sql_run(&q)) < 0)
			return rc;
		*n = (size_t)sql_changes(&q);
	}
	return tx_commit(&t, e);
}

int job_cancel(struct db *db, int64_t id, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int64_t state = 0;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c,
						    "UPDATE job SET cancel_asked = 1, state = CASE state WHEN 2 THEN 2 ELSE 6 END, finished_at = CASE state WHEN 2 THEN 0 ELSE $2 END, "
						    "error_label = CASE state WHEN 2 THEN NULL ELSE 'canceled' END, error_message = CASE state WHEN 2 THEN NULL ELSE 'canceled on request' "
						    "END WHERE id = $1 AND state <= 3 RETURNING state",
						    e);
		sql_int(&q, id);
		sql_int(&q, now);
		if (sql_row(&q))
			state = sql_get_int(&q, 0);
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	if (state == 0)
		return err_set(e, ERR_CONFLICT, "there is no active job %lld", (long long)id);
	if ((rc = tx_commit(&t, e)) < 0)
		return rc;
	job_progress_cancel(db, id);
	return 0;
}

int job_expire(struct db *db, int64_t before, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "DELETE FROM job_files WHERE job_id IN (SELECT id FROM job WHERE state >= 4 AND finished_at < $1)", e);
		sql_int(&q, before);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	{
		own(sql) struct sql q = sql_prepare(t.c, "DELETE FROM job WHERE state >= 4 AND finished_at < $1", e);
		sql_int(&q, before);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}
