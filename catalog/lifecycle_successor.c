/* lifecycle_successor.c - whether people can be sent to a successor: it is served, will be, and does not lead back. See lifecycle.h. */
#include "catalog/lifecycle_tx.h"

#include "catalog/model_tx.h"

#define SUCCESSORS_MAX 100	/* a longer chain of successors is refused as a loop would be */

/* What a model shows, for what holds of that is what people would meet. */
struct shown {
	int64_t revision_id, state;
	bool visible;
};

static int shown_of(struct db_conn *c, int64_t model_id, struct shown *s, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT coalesce(revision_id, 0), state, visible FROM model WHERE id = $1", e);

	*s = (struct shown){ 0 };
	sql_int(&q, model_id);
	if (sql_row(&q))
		*s = (struct shown){ sql_get_int(&q, 0), sql_get_int(&q, 1), sql_get_int(&q, 2) != 0 };
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
static int check_served(struct db_conn *c, int64_t id, const char *successor, const struct shown *s, int64_t now, struct arena *a, struct err *e)
{
	struct lifecycle l;
	int rc = lifecycle_at_tx(c, id, s->revision_id, now, a, &l, e);

	if (rc < 0)
		return rc;
	if (l.state >= LIFECYCLE_RETIRED)
		return err_set(e, ERR_REFUSED, "successor %.200s is %s itself", successor, lifecycle_state_name(l.state));
	if (s->visible)
		return 0;
	return err_set(e, ERR_REFUSED, "successor %.200s is %s, so nobody can get it: publish it first", successor,
		       s->state ? revision_state_name((enum revision_state)s->state) : "not mirrored yet");
}

int lifecycle_check_successor_tx(struct db_conn *c, const struct lifecycle_order *o, int64_t now, struct err *e)
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
	return check_served(c, id, o->successor, &s, now, &a, e);
}
