/* lifecycle_successor.c - whether people can be sent to a successor: it is served, will be, and does not lead back; and who sends them. See lifecycle.h. */
#include "catalog/lifecycle_tx.h"

#include "catalog/model_tx.h"

#define SUCCESSORS_MAX 100	/* a longer chain of successors is refused as a loop would be, and followed so far for whoever asks */

/* What a model shows, for what holds of that is what people would meet. */
struct shown {
	int64_t revision_id, state, deprecated_at, sunset_at;
	bool visible;
};

static int shown_of(struct db_conn *c, int64_t model_id, struct shown *s, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT coalesce(revision_id, 0), state, visible, deprecated_at, sunset_at FROM model WHERE id = $1", e);

	*s = (struct shown){ 0 };
	sql_int(&q, model_id);
	if (sql_row(&q))
		*s = (struct shown){ .revision_id = sql_get_int(&q, 0),
				     .state = sql_get_int(&q, 1),
				     .visible = sql_get_int(&q, 2) != 0,
				     .deprecated_at = sql_get_int(&q, 3),
				     .sunset_at = sql_get_int(&q, 4) };
	return sql_done(&q);
}

/* Who is named to people who ask for that model; 0: nobody. */
static int successor_of(struct db_conn *c, int64_t model_id, int64_t now, struct arena *a, int64_t *next, struct err *e)
{
	struct lifecycle l;
	struct shown s;
	int rc;

	*next = 0;
	if ((rc = shown_of(c, model_id, &s, e)) < 0 || (rc = lifecycle_at_tx(c, model_id, s.revision_id, now, a, &l, e)) < 0)
		return rc;
	return l.successor ? model_id_tx(c, l.successor, next, e) : 0;
}

/* From the successor on, until one has none. Back to the model is in a circle, unless only a revision is ordered about that the model shows no more. */
static int check_chain(struct db_conn *c, const struct lifecycle_order *o, int64_t start, int64_t now, struct arena *a, struct err *e)
{
	int64_t at = start;
	struct shown own;
	int rc = shown_of(c, o->model_id, &own, e);

	for (int i = 0; rc == 0 && at && i < SUCCESSORS_MAX; i++) {
		if (at == o->model_id && o->revision_id && o->revision_id != own.revision_id)
			return 0;
		if (at == o->model_id)
			return err_set(e, ERR_REFUSED, "successor %s leads back to the model itself", o->successor);
		rc = successor_of(c, at, now, a, &at, e);
	}
	if (rc < 0)
		return rc;
	return at ? err_set(e, ERR_REFUSED, "the chain of successors from %s does not end", o->successor) : 0;
}

/* A model that was never published, or whose shown revision is off the doors, is nothing to send people to. */
static int check_served(struct db_conn *c, int64_t id, const char *successor, const struct shown *s, const struct policy_lifecycle *rules, int64_t now, struct arena *a,
			struct err *e)
{
	struct lifecycle l;
	int rc = lifecycle_at_tx(c, id, s->revision_id, now, a, &l, e);

	if (rc < 0)
		return rc;
	if (lifecycle_is_off(&l, rules))
		return err_set(e, ERR_REFUSED, "successor %.200s is %s itself", successor, lifecycle_state_name(l.state));
	if (s->visible)
		return 0;
	return err_set(e, ERR_REFUSED, "successor %.200s is %s, so nobody can get it: publish it first", successor,
		       s->state ? revision_state_name((enum revision_state)s->state) : "not mirrored yet");
}

int lifecycle_check_successor_tx(struct db_conn *c, const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e)
{
	own(arena) struct arena a;
	struct shown s;
	int64_t id;
	int rc;

	arena_init(&a);
	if ((rc = model_id_tx(c, o->successor, &id, e)) < 0)
		return rc;
	if (id == 0)
		return err_set(e, ERR_NOT_FOUND, "successor %.200s is not in the catalog", o->successor);
	if ((rc = shown_of(c, id, &s, e)) < 0)
		return rc;
	/* A revision may well be succeeded by another of its own model, which that shows. */
	if (id == o->model_id && o->revision_id && o->revision_id == s.revision_id)
		return err_set(e, ERR_REFUSED, "successor %.200s leads back: that very revision is what it shows", o->successor);
	if ((rc = check_chain(c, o, id, now, &a, e)) < 0)
		return rc;
	return check_served(c, id, o->successor, &s, rules, now, &a, e);
}

/* --- what people are told --- */

/* Whoever is sent there names no commit. */
static bool is_served(const struct shown *s, const struct policy_lifecycle *rules, int64_t now)
{
	if (!s->visible || (rules->gone_after_sunset && s->sunset_at && s->sunset_at <= now))
		return false;
	return !rules->refuse_new_when_deprecated || !((s->deprecated_at && s->deprecated_at <= now) || (s->sunset_at && s->sunset_at <= now));
}

int lifecycle_served_successor_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, const struct policy_lifecycle *rules, int64_t now, struct arena *a,
				  const char **successor, struct err *e)
{
	const char *name = *successor;
	struct lifecycle l;
	struct shown s;
	int64_t at, before = 0;	/* a circle that the model is not in ends at one met before */
	int rc = 0, again = 1;

	*successor = NULL;
	for (int i = 0; name && i < SUCCESSORS_MAX; i++) {
		if ((rc = model_id_tx(c, name, &at, e)) < 0 || !at || at == before || (rc = shown_of(c, at, &s, e)) < 0)
			return rc;
		if (at == model_id && (!revision_id || revision_id == s.revision_id)) {
			if (is_served(&s, rules, now))
				*successor = NULL;
			return 0;
		}
		if (!*successor && is_served(&s, rules, now))
			*successor = name;
		if (i == again) {
			before = at;
			again *= 2;
		}
		if ((rc = lifecycle_at_tx(c, at, s.revision_id, now, a, &l, e)) < 0)
			return rc;
		name = l.successor;
	}
	return 0;
}

int lifecycle_told_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, const struct policy_lifecycle *rules, int64_t now, struct arena *a, struct lifecycle *out,
		      struct err *e)
{
	int rc = lifecycle_at_tx(c, model_id, revision_id, now, a, out, e);

	if (rc == 0)
		lifecycle_under(out, rules);
	return rc < 0 || !out->successor ? rc : lifecycle_served_successor_tx(c, model_id, revision_id, rules, now, a, &out->successor, e);
}

int lifecycle_named_by(struct db *db, int64_t model_id, const struct policy *p, int64_t now, json_t *out, struct err *e)
{
	own(read) struct read r = { 0 };
	char hex[DIGEST_HEX_MAX];
	struct digest commit;
	struct policy_lifecycle rules;
	struct shown s;
	int rc;

	policy_lifecycle(p, &rules);
	if ((rc = read_begin(&r, db, e)) < 0 || (rc = shown_of(r.c, model_id, &s, e)) < 0 || is_served(&s, &rules, now))
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT DISTINCT m.name, v.commit_id FROM lifecycle AS l JOIN model AS m ON m.id = l.model_id LEFT JOIN revision AS v ON v.id = l.revision_id "
					    "WHERE l.model_id <> $1 AND l.successor IN (SELECT name FROM model WHERE id = $1 UNION ALL SELECT name FROM alias WHERE model_id = $1) "
					    "ORDER BY 1, 2 LIMIT $2",
					    e);
	sql_int(&q, model_id);
	sql_int(&q, LIFECYCLE_NAMED_MAX);
	while (sql_row(&q)) {
		sql_get_digest(&q, 1, DIGEST_SHA1, &commit);
		digest_hex(hex, &commit);
		json_array_append_new(out, json_pack("{s:s,s:s?}", "repo", sql_get_text(&q, 0), "revision", *hex ? hex : NULL));
	}
	return sql_done(&q);
}

/* --- in advance --- */

/* Whether a mark of this entry could name its successor, as far as that can be told without the models it falls on: of one that it names, all. */
static int check_end(struct db_conn *c, const struct policy *p, const struct policy_end *x, int64_t now, struct err *e)
{
	struct lifecycle_order o = { .successor = x->successor };
	struct policy_lifecycle rules;
	int rc = 0;

	if (!x->successor)
		return 0;
	policy_lifecycle(p, &rules);
	if (policy_end_is_of(p, x, x->repo))
		rc = model_id_tx(c, x->repo, &o.model_id, e);
	return rc < 0 ? rc : lifecycle_check_successor_tx(c, &o, &rules, now, e);
}

int lifecycle_idle_successors(struct db *db, const struct policy *p, int64_t now, json_t *out, struct err *e)
{
	own(read) struct read r = { 0 };
	size_t n;
	const struct policy_end *ends = policy_ends(p, &n);
	int rc = n ? read_begin(&r, db, e) : 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = check_end(r.c, p, &ends[i], now, e);
		if (rc != ERR_NOT_FOUND && rc != ERR_REFUSED)
			continue;
		json_array_append_new(out, json_sprintf("lifecycle.ends: entry %zu names no successor for now: %s", i + 1, e->msg));
		*e = (struct err)ERR_NONE;
		rc = 0;
	}
	return rc;
}
