/* job_find.c - looking at the queue: rows as they are shown. See job.h. */
#include "base/json.h"
#include "base/vec.h"
#include "catalog/job_tx.h"
#include "catalog/list.h"
#include "catalog/sql.h"

#define LIST_MAX 10000

static const char *const states[] = { "none", "queued", "running", "waiting", "done", "failed", "canceled" };

const char *job_state_name(enum job_state s)
{
	return states[s <= JOB_CANCELED ? s : 0];
}

#define COLUMNS                                                                                                                             \
	"SELECT id, kind, repo, revision, args, who, state, priority, attempts, created_at, started_at, finished_at, not_before, cancel_asked, " \
	"bytes_done, bytes_total, files_done, files_total, phase, error_label, error_message, result, " \
	"EXISTS (SELECT 1 FROM job_files WHERE job_id = id) FROM job "

static void row(struct sql *q, struct arena *a, struct job *j)
{
	*j = (struct job){
		.id = sql_get_int(q, 0),
		.kind = sql_get_dup(q, 1, a),
		.repo = sql_get_dup(q, 2, a),
		.revision = sql_get_dup(q, 3, a),
		.args = sql_get_dup(q, 4, a),
		.who = sql_get_dup(q, 5, a),
		.state = (enum job_state)sql_get_int(q, 6),
		.priority = (int)sql_get_int(q, 7),
		.attempts = (int)sql_get_int(q, 8),
		.created_at = sql_get_int(q, 9),
		.started_at = sql_get_int(q, 10),
		.finished_at = sql_get_int(q, 11),
		.not_before = sql_get_int(q, 12),
		.cancel_asked = sql_get_int(q, 13) != 0,
		.bytes_done = (uint64_t)sql_get_int(q, 14),
		.bytes_total = (uint64_t)sql_get_int(q, 15),
		.files_done = (uint64_t)sql_get_int(q, 16),
		.files_total = (uint64_t)sql_get_int(q, 17),
		.phase = sql_get_dup(q, 18, a),
		.error_label = sql_get_dup(q, 19, a),
		.error_message = sql_get_dup(q, 20, a),
		.result = sql_get_dup(q, 21, a),
		.has_files = sql_get_int(q, 22) != 0,
	};
}

int job_row(struct db_conn *c, int64_t id, struct arena *a, struct job *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, COLUMNS "WHERE id = $1", e);
	bool found;
	int rc;

	sql_int(&q, id);
	found = sql_row(&q);
	if (found)
		row(&q, a, out);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no job %lld", (long long)id);
}

int job_get(struct db *db, int64_t id, struct arena *a, struct job *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0 || (rc = job_row(r.c, id, a, out, e)) < 0)
		return rc;
	job_progress_put(db, out, a);
	return 0;
}

#define MODEL_OF(repo) "(SELECT id FROM model WHERE name = " repo " UNION ALL SELECT model_id FROM alias WHERE name = " repo " LIMIT 1)"
#define FILTER                                                                                                                                              \
	"WHERE ($1 = 0 OR state <= 3) AND ($2 IS NULL OR kind = $2) AND ($3 IS NULL OR repo = $3 OR ($4 = 1 AND " MODEL_OF("repo") " = " MODEL_OF("$3") ")) " \
	"AND ($5 IS NULL OR revision = $5) AND ($6 IS NULL OR args = $6) "

static void put_filter(struct sql *q, const struct job_filter *f)
{
	sql_int(q, f->active_only);
	sql_text(q, f->kind);
	sql_text(q, f->repo);
	sql_int(q, f->any_name);
	sql_text(q, f->revision);
	sql_text(q, f->args);
}

int job_total(struct db *db, const struct job_filter *f, int64_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	*n = 0;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT count(*) FROM job " FILTER, e);
	put_filter(&q, f);
	if (sql_row(&q))
		*n = sql_get_int(&q, 0);
	return sql_done(&q);
}

int job_list(struct db *db, const struct job_filter *f, struct arena *a, struct job **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	struct job *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    COLUMNS FILTER "ORDER BY CASE state WHEN 2 THEN 0 WHEN 3 THEN 1 WHEN 1 THEN 2 ELSE 3 END, id DESC LIMIT $7",
					    e);
	put_filter(&q, f);
	sql_int(&q, f->limit == 0 ? 100 : f->limit > LIST_MAX ? LIST_MAX : (int64_t)f->limit);
	while (sql_row(&q))
		row(&q, a, list_push(a, &list, &count, &cap));
	if ((rc = sql_done(&q)) < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		job_progress_put(db, &list[i], a);
	*out = list;
	*n = count;
	return 0;
}

int job_put_files(struct db *db, int64_t id, struct spool *s, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : sql_spool(r.c, "job_files", "body", id, s, e);
}

json_t *job_json(const struct job *j)
{
	json_t *args = json_parse_lax(j->args, strlen(j->args), "args", NULL);
	json_t *result = j->result ? json_parse_lax(j->result, strlen(j->result), "result", NULL) : NULL;
	json_t *error = j->error_label ? json_pack("{s:s,s:s}", "code", j->error_label, "message", j->error_message ? j->error_message : "") : json_null();

	return json_pack("{s:I,s:s,s:s,s:s,s:o,s:s,s:s,s:i,s:i,s:o,s:o,s:o,s:o,s:{s:I,s:I,s:I,s:I,s:s},s:o,s:o}", "id", (json_int_t)j->id, "kind", j->kind, "repo",
			 j->repo, "revision", j->revision, "args", args ? args : json_object(), "by", j->who, "state", job_state_name(j->state), "priority",
			 j->priority, "attempts", j->attempts, "created_at", json_time(j->created_at), "started_at", json_time(j->started_at), "finished_at",
			 json_time(j->finished_at), "not_before", json_time(j->not_before), "progress", "bytes_done", (json_int_t)j->bytes_done, "bytes_total",
			 (json_int_t)j->bytes_total, "files_done", (json_int_t)j->files_done, "files_total", (json_int_t)j->files_total, "phase", j->phase, "error",
			 error, "result", result ? result : json_null());
}

int job_counts(struct db *db, int64_t counts[JOB_CANCELED + 1], struct err *e)
{
	own(read) struct read r = { 0 };
	int64_t stuck;
	int rc;

	memset(counts, 0, sizeof(*counts) * (JOB_CANCELED + 1));
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT state, count(*) FROM job GROUP BY state", e);
	while (sql_row(&q))
		counts[sql_get_int(&q, 0)] = sql_get_int(&q, 1);
	stuck = job_progress_stuck(db);
	stuck = stuck < counts[JOB_RUNNING] ? stuck : counts[JOB_RUNNING];
	counts[JOB_RUNNING] -= stuck;
	counts[JOB_WAITING] += stuck;
	return sql_done(&q);
}
