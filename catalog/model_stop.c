/* model_stop.c - see model.h: a revision that was worked on, and of which nobody has come to a verdict. */
#include "catalog/model.h"

#include "catalog/model_tx.h"
#include "catalog/sql.h"

/* Of the last verdict: the person's word, or else what the inspection found. */
static int turned_down_tx(struct db_conn *c, int64_t revision_id, struct arena *a, const char **why, int64_t *at, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT reason, at FROM decision WHERE revision_id = $1 AND verdict = $2 AND rule IN ('person', 'findings') "
					    "AND run = (SELECT max(run) FROM decision WHERE revision_id = $1) ORDER BY rule = 'person' DESC, id LIMIT 1",
					    e);

	*why = NULL;
	sql_int(&q, revision_id);
	sql_int(&q, POLICY_REJECT);
	if (sql_row(&q)) {
		*why = sql_get_dup(&q, 0, a);
		*at = sql_get_int(&q, 1);
	}
	return sql_done(&q);
}

int model_turned_down(struct db *db, int64_t revision_id, struct arena *a, const char **why, struct err *e)
{
	own(read) struct read r = { 0 };
	int64_t at;
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : turned_down_tx(r.c, revision_id, a, why, &at, e);
}

/* What was newly wanted beside what is served, or was when it went off the doors, is no part of it. */
static int drop_pending_tx(struct db_conn *c, int64_t revision_id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE file SET wanted = 0, why = $2 WHERE revision_id = $1 AND wanted = 2", e);

	sql_int(&q, revision_id);
	sql_text(&q, MODEL_NEVER_CAME);
	return sql_run(&q);
}

/* Off the doors, what was pending and is all here may have been judged with the rest. */
static int has_unfinished(struct db *db, int64_t revision_id, bool *has, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	if (rc < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT EXISTS (SELECT 1 FROM file AS f JOIN revision AS r ON r.id = f.revision_id LEFT JOIN blob AS b ON b.id = f.blob_id "
					    "WHERE f.revision_id = $1 AND f.wanted = 2 AND (r.state = 7 OR coalesce(b.stored, 0) = 0))",
					    e);
	sql_int(&q, revision_id);
	*has = sql_row(&q) && sql_get_int(&q, 0) != 0;
	return sql_done(&q);
}

int model_drop_pending(struct db *db, int64_t revision_id, struct err *e)
{
	own(tx) struct tx t = { 0 };
	bool has = false;
	int rc = has_unfinished(db, revision_id, &has, e);

	if (rc < 0 || !has)
		return rc;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = drop_pending_tx(t.c, revision_id, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int model_stop(struct db *db, int64_t revision_id, const char *reason, int64_t now, struct err *e)
{
	own(arena) struct arena a = { 0 };
	own(tx) struct tx t = { 0 };
	const char *why = NULL;
	struct model_rev rev;
	int64_t at = now;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0 || (rc = drop_pending_tx(t.c, revision_id, e)) < 0)
		return rc;
	if (rev.state == REVISION_PUBLISHED || rev.state == REVISION_RETIRED)
		return tx_commit(&t, e);
	if ((rc = turned_down_tx(t.c, revision_id, &a, &why, &at, e)) < 0 ||
	    (rc = model_set_state_tx(t.c, revision_id, why ? REVISION_REJECTED : REVISION_PLANNED, why ? why : reason, at, e)) < 0 ||
	    (rc = model_refresh_tx(t.c, rev.model_id, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}
