/* gc.c - see gc.h. */
#include "catalog/gc.h"

#include "base/vec.h"
#include "catalog/event_tx.h"
#include "catalog/model_tx.h"
#include "catalog/sql.h"

struct blob_name {
	struct digest sha256;
	uint64_t size_bytes;
};

struct sweep {
	struct db_conn *c;
	struct blob_name *unneeded;
	size_t n, cap;
	struct err *e;
};

struct released {
	int64_t id, model_id;
};

/* Published revisions behind the newest `keep_last` of their model that no ref serves and nobody pulled lately. */
static int find_superseded(struct db_conn *c, const struct gc_rules *rules, struct released **out, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT id, model_id FROM (SELECT r.id, r.model_id, row_number() OVER (PARTITION BY r.model_id ORDER BY r.published_at DESC, r.id DESC) "
					    "AS place FROM revision AS r WHERE r.state = 7) AS ranked WHERE place > $1 "
					    "AND NOT EXISTS (SELECT 1 FROM ref WHERE ref.model_id = ranked.model_id AND ref.revision_id = ranked.id) "
					    "AND NOT EXISTS (SELECT 1 FROM pull WHERE pull.model_id = ranked.model_id AND pull.revision_id = ranked.id AND pull.last_at >= $2)",
					    e);
	size_t cap = 0;

	sql_int(&q, rules->keep_last);
	sql_int(&q, rules->unused_since);
	while (sql_row(&q))
		*vec_push(out, n, &cap) = (struct released){ sql_get_int(&q, 0), sql_get_int(&q, 1) };
	return sql_done(&q);
}

static int drop_uses(struct db_conn *c, int64_t revision_id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM blob_use WHERE revision_id = $1", e);

	sql_int(&q, revision_id);
	return sql_run(&q);
}

static int release(struct db_conn *c, const struct released *r, int64_t now, struct gc_counts *out, struct err *e)
{
	struct model_rev rev;
	int rc;

	if ((rc = model_rev_tx(c, r->id, &rev, e)) < 0 || (rc = drop_uses(c, r->id, e)) < 0 ||
	    (rc = model_set_state_tx(c, r->id, REVISION_PLANNED, "superseded, and its files were freed: a sync of this commit fetches them again", now, e)) < 0 ||
	    (rc = model_refresh_tx(c, r->model_id, e)) < 0 ||
	    (rc = event_add_tx(c, "revision.freed", rev.repo, rev.commit, NULL, now, e)) < 0)
		return rc;
	json_array_append_new(out->list, json_pack("{s:s, s:s}", "repo", rev.repo, "revision", rev.commit));
	out->revisions++;
	return 0;
}

static int release_superseded(struct db_conn *c, const struct gc_rules *rules, int64_t now, struct gc_counts *out, struct err *e)
{
	own(mem) struct released *list = NULL;
	size_t n = 0;
	int rc;

	if (!rules->keep_last)
		return 0;
	rc = find_superseded(c, rules, &list, &n, e);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = release(c, &list[i], now, out, e);
	return rc;
}

static int is_needed(struct db_conn *c, const struct digest *sha256, bool *needed, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT 1 FROM blob JOIN blob_use ON blob_use.blob_id = blob.id WHERE blob.sha256 = $1 LIMIT 1", e);

	sql_digest(&q, sha256);
	*needed = sql_row(&q);
	return sql_done(&q);
}

static int look_at(void *arg, const struct digest *sha256, uint64_t size_bytes)
{
	struct sweep *s = arg;
	bool needed;
	int rc = is_needed(s->c, sha256, &needed, s->e);

	if (rc == 0 && !needed)
		*vec_push(&s->unneeded, &s->n, &s->cap) = (struct blob_name){ *sha256, size_bytes };
	return rc;
}

/* The catalog forgets first: a crash before the removal leaves orphans for the next run, never a promise without bytes. */
static int forget(struct db_conn *c, const struct blob_name *b, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE blob SET stored = 0 WHERE sha256 = $1", e);

	sql_digest(&q, &b->sha256);
	return sql_run(&q);
}

static int remove_all(struct store *st, const struct sweep *s, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < s->n && rc == 0; i++)
		rc = store_remove(st, &s->unneeded[i].sha256, e);
	return rc < 0 ? rc : store_flush(st, e);
}

static int plan_and_forget(struct db *db, struct store *st, const struct gc_rules *rules, int64_t now, struct sweep *s, struct gc_counts *out, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	s->c = t.c;
	if ((rc = release_superseded(t.c, rules, now, out, e)) < 0 || (rc = store_each(st, look_at, NULL, s, e)) < 0)
		return rc;
	for (size_t i = 0; i < s->n; i++) {
		out->blobs++;
		out->bytes += s->unneeded[i].size_bytes;
		if ((rc = forget(t.c, &s->unneeded[i], e)) < 0)
			return rc;
	}
	return rules->dry_run ? 0 : tx_commit(&t, e);	/* a dry run is rolled back */
}

int gc_run(struct db *db, struct store *st, const struct gc_rules *rules, int64_t now, struct gc_counts *out, struct err *e)
{
	struct sweep s = { .e = e };
	int rc;

	*out = (struct gc_counts){ .list = json_array() };
	rc = plan_and_forget(db, st, rules, now, &s, out, e);
	if (rc == 0 && !rules->dry_run)
		rc = remove_all(st, &s, e);
	free(s.unneeded);
	if (rc < 0) {
		json_decref(out->list);
		out->list = NULL;
	}
	return rc;
}
