/* lifecycle.c - see lifecycle.h: what holds now. Orders are in lifecycle_order.c (ends with a date) and lifecycle_off.c (at once), listings in lifecycle_list.c. */
#include "catalog/lifecycle.h"

#include "base/json.h"
#include "catalog/lifecycle_tx.h"
#include "catalog/sql.h"

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

enum marks {
	MARKS_ALL,	/* of the revision and its model */
	MARKS_NO_RULE,	/* of those, but for what rules say of the revision */
	MARKS_OWN,	/* of the revision alone, or of the model alone where none is named */
	MARKS_PERSON,	/* of those, a person's, which may be a bundle's */
};

static int merge(struct db_conn *c, int64_t model_id, int64_t revision_id, enum marks which, struct arena *a, struct merged *m, struct err *e)
{
	/* What ends first comes first; of what ends at no date, a person's word. */
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT deprecated_at, sunset_at, successor, reason, retired_at, withdrawn_at, legal, off_reason FROM lifecycle "
					    "WHERE model_id = $1 AND revision_id IN ($2, $3) AND (source = 'person' OR NOT $5) AND (source <> 'policy' OR revision_id = 0 OR $4) ORDER BY CASE WHEN sunset_at > 0 THEN 0 ELSE 1 END, sunset_at, "
					    "CASE WHEN source = 'person' THEN 0 ELSE 1 END, deprecated_at, revision_id DESC",
					    e);

	*m = (struct merged){ .off = OFF_NOT };
	sql_int(&q, model_id);
	sql_int(&q, revision_id);
	sql_int(&q, which == MARKS_OWN || which == MARKS_PERSON ? revision_id : 0);
	sql_int(&q, which != MARKS_NO_RULE);
	sql_int(&q, which == MARKS_PERSON);
	while (sql_row(&q)) {
		take_deprecation(&q, a, &m->l);
		take_off(&q, a, m);
	}
	return sql_done(&q);
}

static void conclude(struct merged *m, int64_t now, struct lifecycle *out)
{
	m->l.state = state_at(m, now);
	if (m->off >= OFF_WITHDRAWN || m->off_reason)
		m->l.reason = m->off_reason;
	*out = m->l;
}

static int marked(struct db_conn *c, int64_t model_id, int64_t revision_id, enum marks which, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	struct merged m;
	int rc = merge(c, model_id, revision_id, which, a, &m, e);

	if (rc == 0)
		conclude(&m, now, out);
	return rc;
}

int lifecycle_at_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	return marked(c, model_id, revision_id, MARKS_ALL, now, a, out, e);
}

int lifecycle_with_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, const struct lifecycle *rule, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	struct merged m;
	int rc = merge(c, model_id, revision_id, MARKS_NO_RULE, a, &m, e);

	if (rc < 0)
		return rc;
	if (rule->deprecated_at && (!m.l.deprecated_at || (rule->sunset_at && earlier(m.l.sunset_at, rule->sunset_at) != m.l.sunset_at)))
		m.l.reason = rule->reason;
	m.l.deprecated_at = earlier(m.l.deprecated_at, rule->deprecated_at);
	m.l.sunset_at = earlier(m.l.sunset_at, rule->sunset_at);
	conclude(&m, now, out);
	return 0;
}

int lifecycle_at(struct db *db, int64_t model_id, int64_t revision_id, const struct policy *p, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	own(read) struct read r = { 0 };
	struct policy_lifecycle rules;
	int rc = read_begin(&r, db, e);

	policy_lifecycle(p, &rules);
	return rc < 0 ? rc : lifecycle_told_tx(r.c, model_id, revision_id, &rules, now, a, out, e);
}

bool lifecycle_is_off(const struct lifecycle *l, const struct policy_lifecycle *rules)
{
	return l->state > LIFECYCLE_RETIRED || (l->state == LIFECYCLE_RETIRED && (l->retired_at || rules->gone_after_sunset));
}

const char *lifecycle_way_back(const struct lifecycle *l)
{
	return l->state == LIFECYCLE_RETIRED && !l->retired_at ? "undeprecate" : "restore";
}

void lifecycle_under(struct lifecycle *l, const struct policy_lifecycle *rules)
{
	if (l->state == LIFECYCLE_RETIRED && !lifecycle_is_off(l, rules))
		l->state = LIFECYCLE_DEPRECATED;
}

int lifecycle_marked(struct db *db, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : lifecycle_at_tx(r.c, model_id, revision_id, now, a, out, e);
}

int lifecycle_own(struct db *db, int64_t model_id, int64_t revision_id, const struct policy *p, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	own(read) struct read r = { 0 };
	struct policy_lifecycle rules;
	int rc = read_begin(&r, db, e);

	policy_lifecycle(p, &rules);
	if (rc == 0)
		rc = marked(r.c, model_id, revision_id, MARKS_OWN, now, a, out, e);
	if (rc == 0)
		lifecycle_under(out, &rules);
	return rc < 0 ? rc : lifecycle_served_successor_tx(r.c, model_id, revision_id, &rules, now, a, &out->successor, e);
}

int lifecycle_ordered(struct db *db, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : marked(r.c, model_id, revision_id, MARKS_PERSON, now, a, out, e);
}

json_t *lifecycle_json(const struct lifecycle *l)
{
	return json_pack("{s:s,s:o,s:o,s:s?,s:s?,s:o,s:o}", "state", lifecycle_state_name(l->state), "deprecated_at", json_time(l->deprecated_at), "sunset_at",
			 json_time(l->sunset_at), "successor", l->successor, "reason", l->reason, "retired_at", json_time(l->retired_at), "withdrawn_at",
			 json_time(l->withdrawn_at));
}
