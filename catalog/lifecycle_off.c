/* lifecycle_off.c - off the doors at once, and back: retire, withdraw, restore. See lifecycle.h. */
#include "catalog/lifecycle_tx.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"

/* An order that changes one row which must be in a certain state: `text` has $1 model, $2 revision, $3 now, $4 who and returns a row when it did. */
static int change(struct db *db, const struct lifecycle_order *o, const char *text, const char *otherwise, const char *kind,
		  int (*also)(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e), int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct lifecycle_subject s;
	bool done;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = lifecycle_subject_tx(t.c, o, &s, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, text, e);
		sql_int(&q, o->model_id);
		sql_int(&q, o->revision_id);
		sql_int(&q, now);
		sql_text(&q, o->who);
		done = sql_row(&q);
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	if (!done)
		return err_set(e, ERR_CONFLICT, "%s%s%.12s %s", s.repo, *s.commit ? "@" : "", s.commit, otherwise);
	if (also && (rc = also(t.c, o, now, e)) < 0)
		return rc;
	if ((rc = model_refresh_tx(t.c, o->model_id, e)) < 0 || (rc = lifecycle_tell_tx(t.c, kind, &s, o, NULL, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/* States follow: what is retired by hand shows as `retired` wherever states are listed. */
static int retire_states(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE revision SET state = 8, state_at = $3, reason = $4 WHERE model_id = $1 AND ($2 = 0 OR id = $2) AND state = 7", e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	sql_text(&q, o->reason);
	return sql_run(&q);
}

/* The reason of a withdrawal stays the one that is shown, whatever else is done to the model. */
static int retired(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE lifecycle SET off_reason = CASE WHEN withdrawn_at > 0 THEN off_reason ELSE $3 END "
					    "WHERE model_id = $1 AND revision_id = $2 AND source = 'person'",
					    e);
	int rc;

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_text(&q, o->reason);
	rc = sql_run(&q);
	return rc < 0 ? rc : retire_states(c, o, now, e);
}

int lifecycle_retire(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	return change(db, o,
		      "INSERT INTO lifecycle (model_id, revision_id, source, retired_at, who, at) VALUES ($1, $2, 'person', $3, $4, $3) "
		      "ON CONFLICT (model_id, revision_id, source) DO UPDATE SET retired_at = $3, who = $4, at = $3 WHERE lifecycle.retired_at = 0 RETURNING model_id",
		      "is retired already", "lifecycle.retired", retired, now, e);
}

static int withdrawn(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE lifecycle SET off_reason = $3, legal = $4 WHERE model_id = $1 AND revision_id = $2 AND source = 'person'", e);

	(void)now;
	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_text(&q, o->reason);
	sql_int(&q, o->legal);
	return sql_run(&q);
}

int lifecycle_withdraw(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	if (!o->reason || !*o->reason)
		return err_set(e, ERR_USAGE, "withdrawing needs a reason");
	return change(db, o,
		      "INSERT INTO lifecycle (model_id, revision_id, source, withdrawn_at, who, at) VALUES ($1, $2, 'person', $3, $4, $3) "
		      "ON CONFLICT (model_id, revision_id, source) DO UPDATE SET withdrawn_at = $3, who = $4, at = $3 RETURNING model_id",
		      "can't be withdrawn", o->legal ? "lifecycle.withdrawn_legal" : "lifecycle.withdrawn", withdrawn, now, e);
}

/* --- restore --- */

static int take_back(struct db_conn *c, const struct lifecycle_order *o, const struct lifecycle_subject *s, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE lifecycle SET retired_at = 0, withdrawn_at = 0, legal = 0, off_reason = NULL, at = $3, who = $4 "
					    "WHERE model_id = $1 AND revision_id = $2 AND source = 'person' AND (retired_at > 0 OR withdrawn_at > 0) RETURNING model_id",
					    e);
	bool did;
	int rc;

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	sql_text(&q, o->who);
	did = sql_row(&q);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	if (!did)
		return err_set(e, ERR_CONFLICT, "%s%s%.12s is not retired or withdrawn (a mark on the whole model is taken back without @REV, one on a revision with it; an end by its date with undeprecate)",
			       s->repo, *s->commit ? "@" : "", s->commit);
	return lifecycle_drop_empty_tx(c, o, e);
}

/* Those that were retired and may come back: none with a mark of its own, or its model's. */
static int list_retired(struct db_conn *c, const struct lifecycle_order *o, struct arena *a, struct lifecycle_restored **list, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT r.id, r.commit_id FROM revision AS r WHERE r.model_id = $1 AND ($2 = 0 OR r.id = $2) AND r.state = 8 AND NOT EXISTS "
					    "(SELECT 1 FROM lifecycle AS l WHERE l.model_id = $1 AND l.revision_id IN (0, r.id) AND l.retired_at > 0) ORDER BY r.id",
					    e);
	char hex[DIGEST_HEX_MAX];
	struct digest commit;
	size_t cap = 0;

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	while (sql_row(&q)) {
		sql_get_digest(&q, 1, DIGEST_SHA1, &commit);
		digest_hex(hex, &commit);
		*list_push(a, list, n, &cap) = (struct lifecycle_restored){ .revision_id = sql_get_int(&q, 0), .commit = arena_strdup(a, hex) };
	}
	return sql_done(&q);
}

static int has_content(struct db_conn *c, int64_t revision_id, bool *has, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM file AS f WHERE f.revision_id = $1 AND f.wanted > 0) OR EXISTS (SELECT 1 FROM file AS f "
					    "JOIN blob_use AS u ON u.blob_id = f.blob_id AND u.revision_id = f.revision_id WHERE f.revision_id = $1)",
					    e);

	sql_int(&q, revision_id);
	*has = sql_row(&q);
	return sql_done(&q);
}

/* What gave its content back meanwhile is only planned. The rest is for the gate: the policy may have changed, and what was retired was not asked about. */
static int restore_one(struct db_conn *c, struct lifecycle_restored *r, const struct policy *p, int64_t now, struct arena *a, struct err *e)
{
	bool has;
	int rc = has_content(c, r->revision_id, &has, e);

	if (rc < 0)
		return rc;
	if (has)
		return model_judge_again_tx(c, r->revision_id, p, now, a, &r->state, &r->reason, e);
	r->state = REVISION_PLANNED;
	r->reason = "restored, but its files were freed: a sync of this commit fetches them again";
	return model_set_state_tx(c, r->revision_id, r->state, r->reason, now, e);
}

int lifecycle_restore(struct db *db, const struct lifecycle_order *o, const struct policy *p, int64_t now, struct arena *a, struct lifecycle_restored **out, size_t *n,
		      struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct lifecycle_subject s;
	int rc;

	*out = NULL;
	*n = 0;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = lifecycle_subject_tx(t.c, o, &s, e)) < 0 || (rc = take_back(t.c, o, &s, now, e)) < 0 ||
	    (rc = lifecycle_tell_tx(t.c, "lifecycle.restored", &s, o, NULL, now, e)) < 0 || (rc = list_retired(t.c, o, a, out, n, e)) < 0)
		return rc;
	for (size_t i = 0; i < *n; i++)
		if ((rc = restore_one(t.c, &(*out)[i], p, now, a, e)) < 0)
			return rc;
	if ((rc = model_refresh_tx(t.c, o->model_id, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}
