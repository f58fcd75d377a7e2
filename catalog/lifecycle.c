/* lifecycle.c - see lifecycle.h: what holds now, and the orders that change it. The listings are in lifecycle_list.c. */
#include "catalog/lifecycle.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/lifecycle_tx.h"
#include "catalog/model_tx.h"

#define SUCCESSORS_MAX 100	/* a longer chain of successors is refused as a loop would be */

static const char *const states[] = { "active", "deprecated", "retired", "withdrawn", "withdrawn-legal" };

const char *lifecycle_state_name(enum lifecycle_state s)
{
	return states[s <= LIFECYCLE_WITHDRAWN_LEGAL ? s : 0];
}

/* --- what holds --- */

/* One row into the answer. Withdrawal and retirement add up; dates of a revision come before those of its model (read first). */
static void take_row(struct sql *q, struct arena *a, struct lifecycle *l, bool *legal)
{
	if (l->deprecated_at == 0 && sql_get_int(q, 0) > 0) {
		l->deprecated_at = sql_get_int(q, 0);
		l->sunset_at = sql_get_int(q, 1);
		l->successor = sql_get_dup(q, 2, a);
	}
	if (!l->reason)
		l->reason = sql_get_dup(q, 3, a);
	if (!l->who)
		l->who = sql_get_dup(q, 7, a);
	if (l->retired_at == 0)
		l->retired_at = sql_get_int(q, 4);
	if (l->withdrawn_at == 0)
		l->withdrawn_at = sql_get_int(q, 5);
	*legal = *legal || sql_get_int(q, 6) != 0;
}

static enum lifecycle_state state_at(const struct lifecycle *l, bool legal, int64_t now)
{
	if (l->withdrawn_at)
		return legal ? LIFECYCLE_WITHDRAWN_LEGAL : LIFECYCLE_WITHDRAWN;
	if (l->retired_at || (l->sunset_at && l->sunset_at <= now))
		return LIFECYCLE_RETIRED;
	return l->deprecated_at && l->deprecated_at <= now ? LIFECYCLE_DEPRECATED : LIFECYCLE_ACTIVE;
}

int lifecycle_at_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT deprecated_at, sunset_at, successor, reason, retired_at, withdrawn_at, legal, who FROM lifecycle "
					    "WHERE model_id = $1 AND revision_id IN (0, $2) ORDER BY revision_id DESC",
					    e);
	struct lifecycle l = { 0 };
	bool legal = false;
	int rc;

	sql_int(&q, model_id);
	sql_int(&q, revision_id);
	while (sql_row(&q))
		take_row(&q, a, &l, &legal);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	l.state = state_at(&l, legal, now);
	*out = l;
	return 0;
}

int lifecycle_at(struct db *db, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : lifecycle_at_tx(r.c, model_id, revision_id, now, a, out, e);
}

json_t *lifecycle_json(const struct lifecycle *l)
{
	return json_pack("{s:s,s:o,s:o,s:s?,s:s?,s:o,s:o}", "state", lifecycle_state_name(l->state), "deprecated_at", json_time(l->deprecated_at), "sunset_at",
			 json_time(l->sunset_at), "successor", l->successor, "reason", l->reason, "retired_at", json_time(l->retired_at), "withdrawn_at",
			 json_time(l->withdrawn_at));
}

/* --- who is meant --- */

struct subject {
	char repo[MODEL_NAME_MAX + 1];
	char commit[MODEL_COMMIT_HEX + 1];	/* "" for the whole model */
};

static int subject_of(struct db_conn *c, const struct lifecycle_order *o, struct subject *s, struct err *e)
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

static int tell(struct db_conn *c, const char *kind, const struct subject *s, const struct lifecycle_order *o, json_t *more, int64_t now, struct err *e)
{
	json_t *data = more ? more : json_object();

	json_object_set_new(data, "by", json_string(o->who));
	if (o->reason)
		json_object_set_new(data, "reason", json_string(o->reason));
	return event_add_tx(c, kind, s->repo, s->commit, data, now, e);
}

/* --- the successor --- */

static int successor_of(struct db_conn *c, int64_t model_id, int64_t *next, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT m.id FROM lifecycle AS l JOIN model AS m ON m.name = l.successor WHERE l.model_id = $1 AND l.revision_id = 0", e);

	sql_int(&q, model_id);
	*next = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

static int check_chain(struct db_conn *c, int64_t from, int64_t start, const char *successor, struct err *e)
{
	int64_t at = start;
	int rc;

	for (int i = 0; at && i < SUCCESSORS_MAX; i++) {
		if (at == from)
			return err_set(e, ERR_CONFLICT, "successor %s leads back to the model itself", successor);
		if ((rc = successor_of(c, at, &at, e)) < 0)
			return rc;
	}
	return at ? err_set(e, ERR_CONFLICT, "the chain of successors from %s does not end", successor) : 0;
}

/* A model that was never published, or whose shown revision is off the doors, is nothing to send people to. */
static int check_served(struct db_conn *c, int64_t id, const char *successor, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT state, visible FROM model WHERE id = $1", e);
	int64_t state = 0, visible = 0;
	int rc;

	sql_int(&q, id);
	if (sql_row(&q)) {
		state = sql_get_int(&q, 0);
		visible = sql_get_int(&q, 1);
	}
	if ((rc = sql_done(&q)) < 0 || visible)
		return rc;
	if (state >= REVISION_PUBLISHED)
		return err_set(e, ERR_CONFLICT, "successor %.200s is not served: what it shows is withdrawn or retired itself", successor);
	return err_set(e, ERR_CONFLICT, "successor %.200s is %s, so nobody can get it: publish it first", successor, state ? revision_state_name((enum revision_state)state) : "not mirrored yet");
}

static int check_successor(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(arena) struct arena a;
	struct lifecycle l;
	int64_t id;
	int rc;

	arena_init(&a);
	if ((rc = model_id_tx(c, o->successor, &id, e)) < 0)
		return rc;
	if (id == 0)
		return err_set(e, ERR_USAGE, "successor %.200s is not in the catalog", o->successor);
	if ((rc = lifecycle_at_tx(c, id, 0, now, &a, &l, e)) < 0)
		return rc;
	if (l.state >= LIFECYCLE_RETIRED)
		return err_set(e, ERR_CONFLICT, "successor %.200s is %s itself", o->successor, lifecycle_state_name(l.state));
	if ((rc = check_served(c, id, o->successor, e)) < 0)
		return rc;
	/* A revision may well be succeeded by its own model's newer ones. */
	return o->revision_id && id == o->model_id ? 0 : check_chain(c, o->model_id, id, o->successor, e);
}

/* --- orders --- */

static int check_sunset(const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e)
{
	char earliest[STR_TIME_MAX];

	if (o->sunset_at == 0)
		return 0;
	if (o->sunset_at <= now)
		return err_set(e, ERR_USAGE, "the sunset date lies in the past");
	if (o->sunset_at >= now + rules->notice_s)
		return 0;
	str_format_iso(earliest, now + rules->notice_s);
	if (!o->force)
		return err_set(e, ERR_USAGE, "the policy wants %lld days of notice: the earliest sunset is %.10s (or --force with a reason)",
			       (long long)(rules->notice_s / 86400), earliest);
	if (!o->reason || !*o->reason)
		return err_set(e, ERR_USAGE, "a sunset before %.10s, forced, needs a reason (--reason TEXT)", earliest);
	return 0;
}

static int put_deprecation(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO lifecycle (model_id, revision_id, deprecated_at, sunset_at, successor, reason, who, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $3) "
					    "ON CONFLICT (model_id, revision_id) DO UPDATE SET deprecated_at = CASE WHEN lifecycle.deprecated_at > 0 THEN lifecycle.deprecated_at ELSE $3 END, "
					    "sunset_at = $4, successor = $5, reason = $6, who = $7, at = $3",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	sql_int(&q, o->sunset_at);
	sql_text(&q, o->successor);
	sql_text(&q, o->reason);
	sql_text(&q, o->who);
	return sql_run(&q);
}

int lifecycle_deprecate(struct db *db, const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct subject s;
	json_t *data;
	int rc;

	if ((rc = check_sunset(o, rules, now, e)) < 0)
		return rc;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = subject_of(t.c, o, &s, e)) < 0)
		return rc;
	if (o->successor && (rc = check_successor(t.c, o, now, e)) < 0)
		return rc;
	if ((rc = put_deprecation(t.c, o, now, e)) < 0 || (rc = model_refresh_tx(t.c, o->model_id, e)) < 0)
		return rc;
	data = json_pack("{s:o,s:s?}", "sunset_at", json_time(o->sunset_at), "successor", o->successor);
	if ((rc = tell(t.c, "lifecycle.deprecated", &s, o, data, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/* An order that changes one row which must be in a certain state: `text` has $1 model, $2 revision, $3 now, $4 who and returns a row when it did. */
static int change(struct db *db, const struct lifecycle_order *o, const char *text, const char *otherwise, const char *kind,
		  int (*also)(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e), int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct subject s;
	bool done;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = subject_of(t.c, o, &s, e)) < 0)
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
		return err_set(e, ERR_CONFLICT, "%s%s%.12s is not %s", s.repo, *s.commit ? "@" : "", s.commit, otherwise);
	if (also && (rc = also(t.c, o, now, e)) < 0)
		return rc;
	if ((rc = model_refresh_tx(t.c, o->model_id, e)) < 0 || (rc = tell(t.c, kind, &s, o, NULL, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int lifecycle_undeprecate(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	return change(db, o,
		      "UPDATE lifecycle SET deprecated_at = 0, sunset_at = 0, successor = NULL, reason = NULL, at = $3, who = $4 "
		      "WHERE model_id = $1 AND revision_id = $2 AND deprecated_at > 0 RETURNING model_id",
		      "deprecated", "lifecycle.undeprecated", NULL, now, e);
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

/* Back to published, but for revisions that are retired by a mark of their own. What gave its content back meanwhile is only planned. */
#define HAS_CONTENT                                                                                                          \
	"(NOT EXISTS (SELECT 1 FROM file AS f WHERE f.revision_id = revision.id AND f.wanted > 0) OR EXISTS (SELECT 1 FROM file AS f JOIN blob_use AS u " \
	"ON u.blob_id = f.blob_id AND u.revision_id = f.revision_id WHERE f.revision_id = revision.id))"

static int restore_states(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE revision SET state = CASE WHEN " HAS_CONTENT " THEN 7 ELSE 1 END, state_at = $3, reason = CASE WHEN " HAS_CONTENT
					    " THEN 'restored' ELSE 'restored, but its files were freed: a sync of this commit fetches them again' END WHERE model_id = $1 AND ($2 = 0 OR id = $2) AND state = 8 AND NOT EXISTS "
					    "(SELECT 1 FROM lifecycle AS l WHERE l.model_id = $1 AND l.revision_id IN (0, revision.id) AND l.retired_at > 0)",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	return sql_run(&q);
}

static int put_reason(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE lifecycle SET reason = coalesce($3, reason), legal = CASE WHEN withdrawn_at = $4 THEN $5 ELSE legal END "
					    "WHERE model_id = $1 AND revision_id = $2",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_text(&q, o->reason);
	sql_int(&q, now);
	sql_int(&q, o->legal);
	return sql_run(&q);
}

static int retired(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	int rc = retire_states(c, o, now, e);

	return rc < 0 ? rc : put_reason(c, o, now, e);
}

int lifecycle_retire(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	return change(db, o,
		      "INSERT INTO lifecycle (model_id, revision_id, retired_at, who, at) VALUES ($1, $2, $3, $4, $3) ON CONFLICT (model_id, revision_id) "
		      "DO UPDATE SET retired_at = $3, who = $4, at = $3 WHERE lifecycle.retired_at = 0 RETURNING model_id",
		      "still there: it is retired already", "lifecycle.retired", retired, now, e);
}

int lifecycle_withdraw(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	if (!o->reason || !*o->reason)
		return err_set(e, ERR_USAGE, "withdrawing needs a reason");
	return change(db, o,
		      "INSERT INTO lifecycle (model_id, revision_id, withdrawn_at, who, at) VALUES ($1, $2, $3, $4, $3) ON CONFLICT (model_id, revision_id) "
		      "DO UPDATE SET withdrawn_at = $3, who = $4, at = $3 RETURNING model_id",
		      "there", o->legal ? "lifecycle.withdrawn_legal" : "lifecycle.withdrawn", put_reason, now, e);
}

int lifecycle_restore(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	return change(db, o,
		      "UPDATE lifecycle SET retired_at = 0, withdrawn_at = 0, legal = 0, at = $3, who = $4 "
		      "WHERE model_id = $1 AND revision_id = $2 AND (retired_at > 0 OR withdrawn_at > 0) RETURNING model_id",
		      "retired or withdrawn (a mark on the whole model is taken back without @REV, one on a revision with it)", "lifecycle.restored",
		      restore_states, now, e);
}
