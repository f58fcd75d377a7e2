/* model_decide.c - see model.h: the decisions of the gate and of people, and the one transaction that publishes. */
#include "catalog/model.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/lifecycle_tx.h"
#include "catalog/model_tx.h"
#include "catalog/recertify.h"

/* --- decisions --- */

static int next_run(struct db_conn *c, int64_t id, int64_t *run, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT coalesce(max(run), 0) + 1 FROM decision WHERE revision_id = $1", e);

	sql_int(&q, id);
	if (sql_row(&q))
		*run = sql_get_int(&q, 0);
	return sql_done(&q);
}

static int put_decision(struct db_conn *c, int64_t id, int64_t run, const char *who, const struct policy_reason *why, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO decision (revision_id, run, at, who, rule, verdict, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)", e);

	sql_int(&q, id);
	sql_int(&q, run);
	sql_int(&q, now);
	sql_text(&q, who);
	sql_text(&q, why->rule);
	sql_int(&q, why->outcome);
	sql_text(&q, why->text);
	return sql_run(&q);
}

static int put_decisions(struct db_conn *c, int64_t id, const char *who, const struct policy_reason *reasons, size_t n, int64_t now, struct err *e)
{
	int64_t run = 1;
	int rc = next_run(c, id, &run, e);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = put_decision(c, id, run, who, &reasons[i], now, e);
	return rc;
}

/* --- publishing --- */

/* The path of a wanted file that the store lacks, or "". */
static int first_missing(struct db_conn *c, int64_t id, char *path, size_t n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT f.path FROM file AS f LEFT JOIN blob AS b ON b.id = f.blob_id WHERE f.revision_id = $1 AND f.wanted > 0 "
					    "AND coalesce(b.stored, 0) = 0 ORDER BY f.path LIMIT 1",
					    e);

	sql_int(&q, id);
	snprintf(path, n, "%s", sql_row(&q) ? sql_get_text(&q, 0) : "");
	return sql_done(&q);
}

static int settle_pending(struct db_conn *c, int64_t id, bool accept, const char *why, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE file SET wanted = $2, why = $3 WHERE revision_id = $1 AND wanted = 2", e);

	sql_int(&q, id);
	sql_int(&q, accept ? 1 : 0);
	sql_text(&q, accept ? NULL : why);
	return sql_run(&q);
}

/* Every ref it was asked for, unless that ref serves a revision which was asked for later. */
static int move_refs(struct db_conn *c, const struct model_rev *rev, int64_t now, json_t *moved, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO ref (model_id, name, revision_id, moved_at) SELECT $1, w.name, $2, $3 FROM ref_wanted AS w WHERE w.revision_id = $2 "
					    "AND NOT EXISTS (SELECT 1 FROM ref AS f JOIN ref_wanted AS x ON x.revision_id = f.revision_id AND x.name = f.name "
					    "WHERE f.model_id = $1 AND f.name = w.name AND f.revision_id <> $2 AND x.asked_at > w.asked_at) "
					    "ON CONFLICT (model_id, name) DO UPDATE SET moved_at = CASE WHEN ref.revision_id = $2 THEN ref.moved_at ELSE $3 END, revision_id = $2 "
					    "RETURNING name",
					    e);

	sql_int(&q, rev->model_id);
	sql_int(&q, rev->id);
	sql_int(&q, now);
	while (sql_row(&q))
		json_array_append_new(moved, json_string(sql_get_text(&q, 0)));
	return sql_done(&q);
}

/* A revision that gave its room back may find all of it here, kept for others: from now on it needs it too. */
static int use_files(struct db_conn *c, int64_t id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO blob_use (blob_id, revision_id) SELECT DISTINCT f.blob_id, f.revision_id FROM file AS f WHERE f.revision_id = $1 AND f.wanted > 0 "
					    "AND f.blob_id IS NOT NULL ON CONFLICT DO NOTHING",
					    e);

	sql_int(&q, id);
	return sql_run(&q);
}

/* Whoever hears of it may not be able to get it: its model may be deprecated or off the doors, and so may the revision itself. */
static int tell_published(struct db_conn *c, const struct model_rev *rev, const char *by, json_t *moved, int64_t now, struct err *e)
{
	own(arena) struct arena a;
	struct lifecycle l;
	int rc;

	arena_init(&a);
	if ((rc = lifecycle_at_tx(c, rev->model_id, rev->id, now, &a, &l, e)) < 0)
		return rc;
	return event_add_tx(c, "revision.published", rev->repo, rev->commit,
			    json_pack("{s:O,s:s,s:s*}", "refs", moved, "by", by, "lifecycle", l.state == LIFECYCLE_ACTIVE ? NULL : lifecycle_state_name(l.state)), now, e);
}

static int publish(struct db_conn *c, const struct model_rev *rev, const char *by, const char *summary, int64_t now, struct err *e)
{
	own(json) json_t *moved = json_array();
	char path[200];
	int rc;

	if (rev->state == REVISION_RETIRED)
		return err_set(e, ERR_REFUSED, "%s@%.12s is retired: restore it first", rev->repo, rev->commit);
	if ((rc = first_missing(c, rev->id, path, sizeof(path), e)) < 0)
		return rc;
	if (*path)
		return err_set(e, ERR_CONFLICT, "%s@%.12s can't be published: %s is not in the store", rev->repo, rev->commit, path);
	if ((rc = settle_pending(c, rev->id, true, NULL, e)) < 0 || (rc = model_sum_files_tx(c, rev->id, e)) < 0 || (rc = use_files(c, rev->id, e)) < 0)
		return rc;
	if ((rc = model_set_state_tx(c, rev->id, REVISION_PUBLISHED, summary, now, e)) < 0 || (rc = move_refs(c, rev, now, moved, e)) < 0)
		return rc;
	return tell_published(c, rev, by, moved, now, e);
}

/* Published all the same: `why` begins with it, and not with what was met when it was published. */
static int keep_reason(struct db_conn *c, int64_t id, const char *summary, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE revision SET reason = 'it goes on being served as it was: ' || $2 WHERE id = $1", e);

	sql_int(&q, id);
	sql_text(&q, summary);
	return sql_run(&q);
}

/* Held or rejected. What is published stays so: then it was only about pending files. */
static int turn_down(struct db_conn *c, const struct model_rev *rev, enum policy_outcome outcome, const char *by, const char *summary, int64_t now,
		     struct err *e)
{
	enum revision_state state = outcome == POLICY_REJECT ? REVISION_REJECTED : REVISION_HELD;
	const char *kind = outcome == POLICY_REJECT ? "revision.rejected" : "revision.held";
	int rc;

	if (rev->state == REVISION_PUBLISHED) {
		if ((rc = settle_pending(c, rev->id, false, summary, e)) < 0 || (rc = keep_reason(c, rev->id, summary, e)) < 0)
			return rc;
		return event_add_tx(c, "revision.files_refused", rev->repo, rev->commit, json_pack("{s:s,s:s}", "reason", summary, "by", by), now, e);
	}
	if ((rc = model_set_state_tx(c, rev->id, state, summary, now, e)) < 0)
		return rc;
	return event_turned_down_tx(c, kind, rev->repo, rev->commit, summary, by, now, e);
}

static int conclude_tx(struct db_conn *c, const struct model_rev *rev, const struct policy_verdict *v, const char *who, int64_t now, struct err *e)
{
	const char *summary = v->summary ? v->summary : policy_outcome_name(v->outcome);
	int rc = put_decisions(c, rev->id, who, v->reasons, v->n_reasons, now, e);

	if (rc < 0)
		return rc;
	if (v->outcome == POLICY_PUBLISH)
		rc = publish(c, rev, who, summary, now, e);
	else
		rc = turn_down(c, rev, v->outcome, who, summary, now, e);
	return rc < 0 ? rc : model_refresh_tx(c, rev->model_id, e);
}

/* Marks of what the policy has judged. What stays published though it was turned down is marked as before: that was about other files, or another licence. */
static int settle_marks(struct db_conn *c, const struct model_rev *rev, const struct policy_verdict *v, int64_t now, struct err *e)
{
	const char *what;
	bool stays;
	int rc;

	if (v->outcome != POLICY_PUBLISH && rev->state == REVISION_PUBLISHED)
		return 0;
	stays = policy_lives_with(v, "smoke", &what);
	if ((rc = recertify_settle_tx(c, rev, RECERTIFY_SMOKE, stays, what, now, e)) < 0)
		return rc;
	stays = policy_lives_with(v, "license", &what);
	return recertify_settle_tx(c, rev, RECERTIFY_LICENCE, stays, what, now, e);
}

static int judged(struct db_conn *c, const struct model_rev *rev, const struct policy_verdict *v, int64_t now, struct err *e)
{
	int rc = conclude_tx(c, rev, v, "policy", now, e);

	return rc < 0 ? rc : settle_marks(c, rev, v, now, e);
}

int model_conclude(struct db *db, int64_t revision_id, const struct policy_verdict *v, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0 || (rc = judged(t.c, &rev, v, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/*
 * Off every door: the revision is to be held or rejected next, and refs that pointed at it point at nothing until a revision is published for
 * them, this one or another.
 */
static int unpublish(struct db_conn *c, struct model_rev *rev, struct err *e)
{
	int rc;

	if (rev->state != REVISION_PUBLISHED)
		return 0;
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM ref WHERE model_id = $1 AND revision_id = $2", e);
	sql_int(&q, rev->model_id);
	sql_int(&q, rev->id);
	rc = sql_run(&q);
	rev->state = REVISION_HELD;
	return rc;
}

int model_reconsider(struct db *db, int64_t revision_id, enum revision_state from, const struct policy_verdict *v, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0 || rev.state != from)
		return rc;
	if (v->outcome != POLICY_PUBLISH && (rc = unpublish(t.c, &rev, e)) < 0)
		return rc;
	if ((rc = judged(t.c, &rev, v, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int model_judge_again_tx(struct db_conn *c, int64_t revision_id, const struct policy *p, int64_t now, struct arena *a, enum revision_state *state, const char **reason,
			 struct err *e)
{
	struct policy_verdict v;
	struct policy_facts f;
	struct model_rev rev;
	int rc;

	if ((rc = model_rev_tx(c, revision_id, &rev, e)) < 0 || (rc = model_evidence_tx(c, revision_id, a, &f, e)) < 0)
		return rc;
	f.is_published = true;	/* it was: its end is for its dates to say, and its room is taken already */
	policy_decide(p, &f, now, a, &v);
	*reason = v.outcome == POLICY_PUBLISH ? "restored" : v.summary;
	if (v.outcome == POLICY_PUBLISH) {
		*state = REVISION_PUBLISHED;
		if ((rc = put_decisions(c, rev.id, "policy", v.reasons, v.n_reasons, now, e)) < 0 || (rc = settle_marks(c, &rev, &v, now, e)) < 0)
			return rc;
		rc = use_files(c, rev.id, e);
		return rc < 0 ? rc : model_set_state_tx(c, rev.id, *state, *reason, now, e);
	}
	*state = v.outcome == POLICY_REJECT ? REVISION_REJECTED : REVISION_HELD;
	rev.state = REVISION_PUBLISHED;
	if ((rc = unpublish(c, &rev, e)) < 0)
		return rc;
	return judged(c, &rev, &v, now, e);
}

/* --- a person's decision --- */

static int put_ruling(struct db_conn *c, int64_t id, enum policy_outcome outcome, const char *who, const char *reason, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO ruling (revision_id, verdict, who, reason, at) VALUES ($1, $2, $3, $4, $5) "
					    "ON CONFLICT (revision_id) DO UPDATE SET verdict = $2, who = $3, reason = $4, at = $5",
					    e);

	sql_int(&q, id);
	sql_int(&q, outcome);
	sql_text(&q, who);
	sql_text(&q, reason);
	sql_int(&q, now);
	return sql_run(&q);
}

/* A person may publish what policy holds, not what does not verify. */
static int check_publishable(struct db_conn *c, const struct model_rev *rev, struct err *e)
{
	own(arena) struct arena a;
	struct policy_facts f;
	bool metadata;
	int rc;

	arena_init(&a);
	if ((rc = model_is_metadata_tx(c, rev->id, &metadata, e)) < 0 || (rc = model_evidence_tx(c, rev->id, &a, &f, e)) < 0)
		return rc;
	if (metadata)
		return err_set(e, ERR_CONFLICT, "%s@%.12s has no weights here, only metadata is kept of it: sync it whole first", rev->repo, rev->commit);
	if (f.n_rejected)
		return err_set(e, ERR_REFUSED, "%s@%.12s can't be published by hand: %s: %s (%s)", rev->repo, rev->commit, *f.worst_path ? f.worst_path : "the revision",
			       f.worst_message, f.worst_rule);
	return 0;
}

/* A person's word settles the licence; that a test failed is still so, and clients are told of it as before. */
static int settle_marks_ruled(struct db_conn *c, const struct model_rev *rev, int64_t now, struct err *e)
{
	own(arena) struct arena a;
	struct policy_facts f;
	const char *what;
	int rc;

	arena_init(&a);
	if ((rc = model_evidence_tx(c, rev->id, &a, &f, e)) < 0)
		return rc;
	what = f.smoke_reason ? arena_printf(&a, POLICY_SMOKE_FAILED "%s", f.smoke_reason) : NULL;
	if ((rc = recertify_settle_tx(c, rev, RECERTIFY_SMOKE, f.smoke && !strcmp(f.smoke, "fail"), what, now, e)) < 0)
		return rc;
	return recertify_settle_tx(c, rev, RECERTIFY_LICENCE, false, NULL, now, e);
}

int model_rule(struct db *db, int64_t revision_id, enum policy_outcome outcome, const char *who, const char *reason, int64_t now, struct err *e)
{
	const char *text = reason && *reason ? reason : "no reason given";
	struct policy_verdict v = { .outcome = outcome, .n_reasons = 1 };
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	char summary[600];
	int rc;

	if (outcome == POLICY_HOLD)
		return err_set(e, ERR_USAGE, "a person publishes or rejects");
	snprintf(summary, sizeof(summary), "%s by %.64s: %s", outcome == POLICY_PUBLISH ? "published" : "rejected", who, text);
	str_mend_utf8(summary);
	v.reasons[0] = (struct policy_reason){ .rule = "person", .outcome = outcome, .text = summary };
	v.summary = summary;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0)
		return rc;
	if (outcome == POLICY_PUBLISH ? (rc = check_publishable(t.c, &rev, e)) < 0 : (rc = unpublish(t.c, &rev, e)) < 0)
		return rc;
	if ((rc = put_ruling(t.c, revision_id, outcome, who, reason, now, e)) < 0 || (rc = conclude_tx(t.c, &rev, &v, who, now, e)) < 0)
		return rc;
	if (outcome == POLICY_PUBLISH && (rc = settle_marks_ruled(t.c, &rev, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}
