/* lifecycle_order.c - what people say of an end that has a date: deprecate and undeprecate; and what all orders share. See lifecycle.h. */
#include "catalog/lifecycle_tx.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/model_tx.h"

#define DAY_S 86400

int lifecycle_subject_tx(struct db_conn *c, const struct lifecycle_order *o, struct lifecycle_subject *s, struct err *e)
{
	struct model_rev rev;
	bool found;
	int rc;

	if (o->revision_id) {
		if ((rc = model_rev_tx(c, o->revision_id, &rev, e)) < 0)
			return rc;
		if (rev.model_id != o->model_id)
			return err_set(e, ERR_USAGE, "revision %lld is of another model", (long long)o->revision_id);
		memcpy(s->repo, rev.repo, sizeof(s->repo));
		memcpy(s->commit, rev.commit, sizeof(s->commit));
		return 0;
	}
	own(sql) struct sql q = sql_prepare(c, "SELECT name FROM model WHERE id = $1", e);
	sql_int(&q, o->model_id);
	s->commit[0] = 0;
	if ((found = sql_row(&q)))
		snprintf(s->repo, sizeof(s->repo), "%s", sql_get_text(&q, 0));
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no model %lld", (long long)o->model_id);
}

int lifecycle_tell_tx(struct db_conn *c, const char *kind, const struct lifecycle_subject *s, const struct lifecycle_order *o, json_t *more, int64_t now, struct err *e)
{
	json_t *data = more ? more : json_object();

	json_object_set_new(data, "by", json_string(o->who));
	if (o->reason)
		json_object_set_new(data, "reason", json_string(o->reason));
	if (o->said_at)
		json_object_set_new(data, "said_at", json_time(o->said_at));
	if (o->first_said)
		json_object_set_new(data, "first_said", json_deep_copy(o->first_said));
	return event_add_tx(c, kind, s->repo, s->commit, data, now, e);
}

int lifecycle_drop_empty_tx(struct db_conn *c, const struct lifecycle_order *o, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "DELETE FROM lifecycle WHERE model_id = $1 AND revision_id = $2 AND source = 'person' AND deprecated_at = 0 AND retired_at = 0 "
					    "AND withdrawn_at = 0 AND exempt = 0",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	return sql_run(&q);
}

/* --- deprecate --- */

static int check_sunset(const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e)
{
	int64_t soonest = now + rules->notice_s, first = soonest > now ? soonest : now + 1;
	int64_t day = (first + DAY_S - 1) / DAY_S * DAY_S;	/* what is called by its day ends as that begins */
	char earliest[STR_TIME_MAX], notice[STR_SIZE_MAX];

	if (o->sunset_at == 0)
		return 0;
	if (o->sunset_at <= now && o->sunset_at != now - now % DAY_S)
		return err_set(e, ERR_USAGE, "the sunset date lies in the past");
	str_format_iso(earliest, day);
	if (o->sunset_at <= now)
		return err_set(e, ERR_USAGE, "the sunset date is today, and a day's sunset is its beginning (00:00 UTC): the earliest is %.10s", earliest);
	if (o->sunset_at >= soonest)
		return 0;
	str_format_duration(notice, rules->notice_s);
	if (!o->force)
		return err_set(e, ERR_REFUSED, "the policy wants a notice of %s: the earliest sunset is %.10s (or --force with a reason)", notice, earliest);
	if (!o->reason || !*o->reason)
		return err_set(e, ERR_USAGE, "a sunset before %.10s, forced, needs a reason (--reason TEXT)", earliest);
	return 0;
}

/* A person's mark. What is not given stays as it was: whoever corrects a reason does not take the date back, but for one that lies ahead, of a clock that was wrong. */
static int put_deprecation(struct db_conn *c, const struct lifecycle_order *o, int64_t now, json_t *told, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO lifecycle (model_id, revision_id, source, deprecated_at, sunset_at, successor, reason, who, at) "
					    "VALUES ($1, $2, 'person', $3, $4, $5, $6, $7, $3) ON CONFLICT (model_id, revision_id, source) DO UPDATE SET "
					    "deprecated_at = CASE WHEN lifecycle.deprecated_at BETWEEN 1 AND $3 THEN lifecycle.deprecated_at ELSE $3 END, "
					    "sunset_at = CASE WHEN $4 > 0 OR $8 = 1 THEN $4 ELSE lifecycle.sunset_at END, "
					    "ended = CASE WHEN ($4 > 0 OR $8 = 1) AND $4 <> lifecycle.sunset_at THEN 0 ELSE lifecycle.ended END, "
					    "successor = CASE WHEN $8 = 1 THEN $5 ELSE coalesce($5, lifecycle.successor) END, "
					    "reason = CASE WHEN $8 = 1 THEN $6 ELSE coalesce($6, lifecycle.reason) END, exempt = 0, who = $7, at = $3 "
					    "RETURNING sunset_at, successor",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	sql_int(&q, o->sunset_at);
	sql_text(&q, o->successor);
	sql_text(&q, o->reason);
	sql_text(&q, o->who);
	sql_int(&q, o->anew);
	if (sql_row(&q)) {
		json_object_set_new(told, "sunset_at", json_time(sql_get_int(&q, 0)));
		if (sql_get_text(&q, 1))
			json_object_set_new(told, "successor", json_string(sql_get_text(&q, 1)));
	}
	return sql_done(&q);
}

/* Whom should it be announced to? */
static int check_published(struct db_conn *c, const struct lifecycle_order *o, const struct lifecycle_subject *s, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT 1 FROM revision WHERE model_id = $1 AND $2 IN (0, id) AND published_at > 0 LIMIT 1", e);
	bool published;
	int rc;

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	published = sql_row(&q);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return published ? 0 : err_set(e, ERR_CONFLICT, "%s%s%.12s was never published, so there is nobody to announce its end to (reject or withdraw keeps it from being published)",
				       s->repo, *s->commit ? "@" : "", s->commit);
}

int lifecycle_deprecate(struct db *db, const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e)
{
	own(json) json_t *told = json_object();
	own(tx) struct tx t = { 0 };
	struct lifecycle_subject s;
	int rc;

	if ((rc = check_sunset(o, rules, now, e)) < 0)
		return rc;
	if (o->force && o->sunset_at && o->sunset_at < now + rules->notice_s)
		json_object_set_new(told, "forced", json_true());
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = lifecycle_subject_tx(t.c, o, &s, e)) < 0 || (rc = check_published(t.c, o, &s, e)) < 0)
		return rc;
	if (o->successor && (rc = lifecycle_check_successor_tx(t.c, o, rules, now, e)) < 0)
		return rc;
	if ((rc = put_deprecation(t.c, o, now, told, e)) < 0 || (rc = model_refresh_tx(t.c, o->model_id, e)) < 0)
		return rc;
	if ((rc = lifecycle_tell_tx(t.c, "lifecycle.deprecated", &s, o, json_incref(told), now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/* --- undeprecate --- */

static int end_own_deprecation(struct db_conn *c, const struct lifecycle_order *o, int64_t now, bool *did, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE lifecycle SET deprecated_at = 0, sunset_at = 0, ended = 0, successor = NULL, reason = NULL, at = $3, who = $4 "
					    "WHERE model_id = $1 AND revision_id = $2 AND source = 'person' AND deprecated_at > 0 RETURNING model_id",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	sql_text(&q, o->who);
	*did = sql_row(&q);
	return sql_done(&q);
}

/* Marks of rules and tests: those of the revision, or of all the model's. */
static int drop_marks(struct db_conn *c, const struct lifecycle_order *o, bool of_rules, bool *did, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    of_rules ? "DELETE FROM lifecycle WHERE model_id = $1 AND ($2 = 0 OR revision_id = $2) AND source = 'policy' RETURNING model_id"
						     : "DELETE FROM lifecycle WHERE model_id = $1 AND ($2 = 0 OR revision_id = $2) AND source IN ('smoke', 'licence') RETURNING model_id",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	while (sql_row(&q))
		*did = true;
	return sql_done(&q);
}

/* Or else the rule would make its mark again within the hour. */
static int exempt(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO lifecycle (model_id, revision_id, source, exempt, who, at) VALUES ($1, $2, 'person', 1, $4, $3) "
					    "ON CONFLICT (model_id, revision_id, source) DO UPDATE SET exempt = 1, who = $4, at = $3",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	sql_text(&q, o->who);
	return sql_run(&q);
}

int lifecycle_undeprecate(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	bool own_word = false, of_tests = false, of_rules = false;
	own(tx) struct tx t = { 0 };
	struct lifecycle_subject s;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = lifecycle_subject_tx(t.c, o, &s, e)) < 0)
		return rc;
	if ((rc = end_own_deprecation(t.c, o, now, &own_word, e)) < 0)
		return rc;
	if (!o->own_mark && ((rc = drop_marks(t.c, o, false, &of_tests, e)) < 0 || (rc = drop_marks(t.c, o, true, &of_rules, e)) < 0))
		return rc;
	if (!own_word && !of_tests && !of_rules)
		return err_set(e, ERR_CONFLICT, "%s%s%.12s is not deprecated (a person's mark on the whole model is taken back without @REV, one on a revision with it)", s.repo,
			       *s.commit ? "@" : "", s.commit);
	if ((of_rules && (rc = exempt(t.c, o, now, e)) < 0) || (rc = lifecycle_drop_empty_tx(t.c, o, e)) < 0 || (rc = model_refresh_tx(t.c, o->model_id, e)) < 0 ||
	    (rc = lifecycle_tell_tx(t.c, "lifecycle.undeprecated", &s, o, of_rules ? json_pack("{s:b}", "exempt", 1) : NULL, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}
