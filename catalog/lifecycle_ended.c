/* lifecycle_ended.c - a sunset that has passed is told of, once. Nothing else happens then: doors ask what holds. See lifecycle.h. */
#include "catalog/lifecycle_tx.h"

#include "base/json.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"

#define PAGE_ROWS 500	/* marks read at a time */

/* A mark whose date has come. */
struct ended {
	int64_t model_id, revision_id, sunset_at;
	const char *source;
};

static int read_page(struct db *db, int64_t now, struct arena *a, struct ended **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	size_t cap = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	/* Its model's before a revision's of the same day, which that tells of too. */
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT model_id, revision_id, sunset_at, source FROM lifecycle WHERE sunset_at > 0 AND ended = 0 AND sunset_at <= $1 "
					    "ORDER BY sunset_at, revision_id LIMIT $2",
					    e);
	sql_int(&q, now);
	sql_int(&q, PAGE_ROWS);
	while (sql_row(&q))
		*list_push(a, out, n, &cap) = (struct ended){ sql_get_int(&q, 0), sql_get_int(&q, 1), sql_get_int(&q, 2), sql_get_dup(&q, 3, a) };
	return sql_done(&q);
}

/* Told while the clock was ahead: it is still to come, and is told of then. */
static int forget_told(struct db *db, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	bool any;
	int rc;

	{
		own(read) struct read r = { 0 };

		if ((rc = read_begin(&r, db, e)) < 0)
			return rc;
		own(sql) struct sql q = sql_prepare(r.c, "SELECT 1 FROM lifecycle WHERE ended = 1 AND sunset_at > $1 LIMIT 1", e);
		sql_int(&q, now);
		any = sql_row(&q);
		if ((rc = sql_done(&q)) < 0 || !any)
			return rc;
	}
	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE lifecycle SET ended = 0 WHERE ended = 1 AND sunset_at > $1", e);

		sql_int(&q, now);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

/* Has this very date passed for it by another mark, and was that told? */
static int is_told(struct db_conn *c, const struct ended *x, bool *told, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT 1 FROM lifecycle WHERE model_id = $1 AND revision_id IN (0, $2) AND sunset_at = $3 AND ended = 1 LIMIT 1", e);

	sql_int(&q, x->model_id);
	sql_int(&q, x->revision_id);
	sql_int(&q, x->sunset_at);
	*told = sql_row(&q);
	return sql_done(&q);
}

/* False when the mark has been changed meanwhile. */
static int note(struct db_conn *c, const struct ended *x, bool *noted, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE lifecycle SET ended = 1 WHERE model_id = $1 AND revision_id = $2 AND source = $3 AND sunset_at = $4 AND ended = 0 RETURNING model_id", e);

	sql_int(&q, x->model_id);
	sql_int(&q, x->revision_id);
	sql_text(&q, x->source);
	sql_int(&q, x->sunset_at);
	*noted = sql_row(&q);
	return sql_done(&q);
}

/* Of a model: with what its shown revision says of the same date besides, for people ask for that and it is not told of again. */
static int what_holds(struct db_conn *c, const struct ended *x, const struct policy_lifecycle *rules, int64_t now, struct arena *a, struct lifecycle *l, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT revision_id FROM model WHERE id = $1 AND $2 = 0 AND revision_id IS NOT NULL", e);
	struct lifecycle shown;
	int64_t revision_id = 0;
	int rc;

	sql_int(&q, x->model_id);
	sql_int(&q, x->revision_id);
	if (sql_row(&q))
		revision_id = sql_get_int(&q, 0);
	if ((rc = sql_done(&q)) < 0 || (rc = lifecycle_told_tx(c, x->model_id, x->revision_id, rules, now, a, l, e)) < 0 || !revision_id)
		return rc;
	if ((rc = lifecycle_told_tx(c, x->model_id, revision_id, rules, now, a, &shown, e)) == 0 && shown.sunset_at == l->sunset_at && !shown.withdrawn_at && !shown.retired_at)
		*l = shown;
	return rc;
}

/* By this mark it has ended: not sooner by another, nor is it off the doors for another cause or not published at all. */
static int ends_by(struct db_conn *c, const struct ended *x, const struct policy_lifecycle *rules, int64_t now, struct arena *a, struct lifecycle *l, bool *ends,
		   struct err *e)
{
	struct model_rev rev = { .state = REVISION_PUBLISHED };
	int rc = what_holds(c, x, rules, now, a, l, e);

	if (rc == 0 && x->revision_id)
		rc = model_rev_tx(c, x->revision_id, &rev, e);
	*ends = rc == 0 && !l->withdrawn_at && !l->retired_at && l->sunset_at == x->sunset_at && rev.state == REVISION_PUBLISHED;
	return rc;
}

static int tell_one(struct db *db, const struct ended *x, const struct policy_lifecycle *rules, int64_t now, bool *told, struct err *e)
{
	const struct lifecycle_order o = { .model_id = x->model_id, .revision_id = x->revision_id };
	struct lifecycle_subject s;
	own(tx) struct tx t = { 0 };
	bool before, noted, ends;
	own(arena) struct arena a;
	struct lifecycle l;
	int rc;

	arena_init(&a);
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = is_told(t.c, x, &before, e)) < 0 || (rc = note(t.c, x, &noted, e)) < 0 || !noted)
		return rc;
	if ((rc = ends_by(t.c, x, rules, now, &a, &l, &ends, e)) < 0)
		return rc;
	*told = ends && !before;
	if (*told && (rc = lifecycle_subject_tx(t.c, &o, &s, e)) == 0)
		rc = event_add_tx(t.c, "lifecycle.ended", s.repo, s.commit,
				  json_pack("{s:o, s:s?, s:s?, s:b}", "sunset_at", json_time(l.sunset_at), "successor", l.successor, "reason", l.reason, "gone", rules->gone_after_sunset), now, e);
	return rc < 0 ? rc : tx_commit(&t, e);
}

int lifecycle_tell_ended(struct db *db, const struct policy_lifecycle *rules, int64_t now, int64_t *n_told, struct err *e)
{
	size_t n;
	int rc = forget_told(db, now, e);

	*n_told = 0;
	if (rc < 0)
		return rc;
	do {
		own(arena) struct arena a;
		struct ended *page = NULL;

		arena_init(&a);
		n = 0;
		rc = read_page(db, now, &a, &page, &n, e);
		for (size_t i = 0; rc == 0 && i < n; i++) {
			bool told = false;

			rc = tell_one(db, &page[i], rules, now, &told, e);
			*n_told += told;
		}
	} while (rc == 0 && n == PAGE_ROWS);
	return rc;
}
