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

/* What stops being served outright; the worst of all marks counts, with its own reason. */
enum off {
	OFF_NOT,
	OFF_RETIRED,
	OFF_WITHDRAWN,
	OFF_LEGAL,
};

struct merged {
	struct lifecycle l;
	enum off off;
	const char *off_reason;
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Rows come in the order of their say: the first names successor and reason, and others add what it leaves open. */
static void take_deprecation(struct sql *q, struct arena *a, struct lifecycle *l)
{
	const char *reason = sql_get_text(q, 3);

	if (sql_get_int(q, 0) == 0)
		return;
	l->deprecated_at = earlier(l->deprecated_at, sql_get_int(q, 0));
	l->sunset_at = earlier(l->sunset_at, sql_get_int(q, 1));
	if (!l->successor)
		l->successor = sql_get_dup(q, 2, a);
	if (!l->reason)
		l->reason = arena_strdup(a, reason);
	else if (reason && !strstr(l->reason, reason))
		l->reason = arena_printf(a, "%s; %s", l->reason, reason);
}

static void take_off(struct sql *q, struct arena *a, struct merged *m)
{
	int64_t retired_at = sql_get_int(q, 4), withdrawn_at = sql_get_int(q, 5);
	enum off off = withdrawn_at ? (sql_get_int(q, 6) ? OFF_LEGAL : OFF_WITHDRAWN) : retired_at ? OFF_RETIRED : OFF_NOT;

	m->l.retired_at = earlier(m->l.retired_at, retired_at);
	if (off <= m->off)
		return;
	m->off = off;
	m->off_reason = sql_get_dup(q, 7, a);
	m->l.withdrawn_at = withdrawn_at;
}

static enum lifecycle_state state_at(const struct merged *m, int64_t now)
{
	const struct lifecycle *l = &m->l;

	if (m->off >= OFF_WITHDRAWN)
		return m->off == OFF_LEGAL ? LIFECYCLE_WITHDRAWN_LEGAL : LIFECYCLE_WITHDRAWN;
	if (m->off == OFF_RETIRED || (l->sunset_at && l->sunset_at <= now))
		return LIFECYCLE_RETIRED;
	return l->deprecated_at && l->deprecated_at <= now ? LIFECYCLE_DEPRECATED : LIFECYCLE_ACTIVE;
}

int lifecycle_at_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	/* What ends first comes first; of what ends at no date, a person's word. */
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT deprecated_at, sunset_at, successor, reason, retired_at, withdrawn_at, legal, off_reason FROM lifecycle "
					    "WHERE model_id = $1 AND revision_id IN (0, $2) ORDER BY CASE WHEN sunset_at > 0 THEN 0 ELSE 1 END, sunset_at, "
					    "CASE WHEN source = 'person' THEN 0 ELSE 1 END, deprecated_at, revision_id DESC",
					    e);
	struct merged m = { .off = OFF_NOT };
	int rc;

	sql_int(&q, model_id);
	sql_int(&q, revision_id);
	while (sql_row(&q)) {
		take_deprecation(&q, a, &m.l);
		take_off(&q, a, &m);
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	m.l.state = state_at(&m, now);
	if (m.off >= OFF_WITHDRAWN || m.off_reason)
		m.l.reason = m.off_reason;
	*out = m.l;
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
	own(sql) struct sql q = sql_prepare(c, "SELECT m.id FROM lifecycle AS l JOIN model AS m ON m.name = l.successor WHERE l.model_id = $1 AND l.revision_id = 0 AND l.source = 'person'", e);

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

/* A person's mark. What is not given stays as it was: whoever corrects a reason does not take the date back. */
static int put_deprecation(struct db_conn *c, const struct lifecycle_order *o, int64_t now, json_t *told, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO lifecycle (model_id, revision_id, source, deprecated_at, sunset_at, successor, reason, who, at) "
					    "VALUES ($1, $2, 'person', $3, $4, $5, $6, $7, $3) ON CONFLICT (model_id, revision_id, source) DO UPDATE SET "
					    "deprecated_at = CASE WHEN lifecycle.deprecated_at > 0 THEN lifecycle.deprecated_at ELSE $3 END, "
					    "sunset_at = CASE WHEN $4 > 0 THEN $4 ELSE lifecycle.sunset_at END, "
					    "ended = CASE WHEN $4 > 0 AND $4 <> lifecycle.sunset_at THEN 0 ELSE lifecycle.ended END, "
					    "successor = coalesce($5, lifecycle.successor), reason = coalesce($6, lifecycle.reason), exempt = 0, who = $7, at = $3 "
					    "RETURNING sunset_at, successor",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	sql_int(&q, now);
	sql_int(&q, o->sunset_at);
	sql_text(&q, o->successor);
	sql_text(&q, o->reason);
	sql_text(&q, o->who);
	if (sql_row(&q)) {
		json_object_set_new(told, "sunset_at", json_time(sql_get_int(&q, 0)));
		if (sql_get_text(&q, 1))
			json_object_set_new(told, "successor", json_string(sql_get_text(&q, 1)));
	}
	return sql_done(&q);
}

int lifecycle_deprecate(struct db *db, const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e)
{
	own(json) json_t *told = json_object();
	own(tx) struct tx t = { 0 };
	struct subject s;
	int rc;

	if ((rc = check_sunset(o, rules, now, e)) < 0)
		return rc;
	if (o->force && o->sunset_at && o->sunset_at < now + rules->notice_s)
		json_object_set_new(told, "forced", json_true());
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = subject_of(t.c, o, &s, e)) < 0)
		return rc;
	if (o->successor && (rc = check_successor(t.c, o, now, e)) < 0)
		return rc;
	if ((rc = put_deprecation(t.c, o, now, told, e)) < 0 || (rc = model_refresh_tx(t.c, o->model_id, e)) < 0)
		return rc;
	if ((rc = tell(t.c, "lifecycle.deprecated", &s, o, json_incref(told), now, e)) < 0)
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

/* A row that says nothing more goes: the policy's rules look at what it was about again. */
static int drop_empty(struct db_conn *c, const struct lifecycle_order *o, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "DELETE FROM lifecycle WHERE model_id = $1 AND revision_id = $2 AND source = 'person' AND deprecated_at = 0 AND retired_at = 0 "
					    "AND withdrawn_at = 0 AND exempt = 0",
					    e);

	sql_int(&q, o->model_id);
	sql_int(&q, o->revision_id);
	return sql_run(&q);
}

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
	struct subject s;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = subject_of(t.c, o, &s, e)) < 0)
		return rc;
	if ((rc = end_own_deprecation(t.c, o, now, &own_word, e)) < 0 || (rc = drop_marks(t.c, o, false, &of_tests, e)) < 0 ||
	    (rc = drop_marks(t.c, o, true, &of_rules, e)) < 0)
		return rc;
	if (!own_word && !of_tests && !of_rules)
		return err_set(e, ERR_CONFLICT, "%s%s%.12s is not deprecated (a person's mark on the whole model is taken back without @REV, one on a revision with it)", s.repo,
			       *s.commit ? "@" : "", s.commit);
	if ((of_rules && (rc = exempt(t.c, o, now, e)) < 0) || (rc = drop_empty(t.c, o, e)) < 0 || (rc = model_refresh_tx(t.c, o->model_id, e)) < 0 ||
	    (rc = tell(t.c, "lifecycle.undeprecated", &s, o, of_rules ? json_pack("{s:b}", "exempt", 1) : NULL, now, e)) < 0)
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
		      "still there: it is retired already", "lifecycle.retired", retired, now, e);
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
		      "there", o->legal ? "lifecycle.withdrawn_legal" : "lifecycle.withdrawn", withdrawn, now, e);
}

static int restored(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	int rc = drop_empty(c, o, e);

	return rc < 0 ? rc : restore_states(c, o, now, e);
}

int lifecycle_restore(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	return change(db, o,
		      "UPDATE lifecycle SET retired_at = 0, withdrawn_at = 0, legal = 0, off_reason = NULL, at = $3, who = $4 "
		      "WHERE model_id = $1 AND revision_id = $2 AND source = 'person' AND (retired_at > 0 OR withdrawn_at > 0) RETURNING model_id",
		      "retired or withdrawn (a mark on the whole model is taken back without @REV, one on a revision with it)", "lifecycle.restored",
		      restored, now, e);
}
