/* gc.c - see gc.h. */
#include "catalog/gc.h"

#include "base/vec.h"
#include "catalog/retention.h"
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
	struct err first = ERR_NONE, why = ERR_NONE;

	for (size_t i = 0; i < s->n; i++)	/* one that can't be removed keeps no other */
		if (store_remove(st, &s->unneeded[i].sha256, &why) && !first.code)
			first = why;
	if (store_flush(st, &why) && !first.code)
		first = why;
	return first.code ? err_set(e, first.code, "%s", first.msg) : 0;
}

static int plan_and_forget(struct db *db, struct store *st, const struct gc_rules *rules, int64_t now, struct sweep *s, struct gc_counts *out, struct err *e)
{
	own(arena) struct arena a;
	struct retention_over *over;
	own(tx) struct tx t = { 0 };
	size_t n_over;
	int rc;

	arena_init(&a);
	if ((rc = retention_over_quota(db, rules->quotas, &a, &over, &n_over, e)) < 0 || (rc = tx_begin(&t, db, e)) < 0)
		return rc;
	s->c = t.c;
	if ((rc = retention_release_tx(t.c, rules, over, n_over, now, out, e)) < 0 || (rc = store_each(st, look_at, NULL, s, e)) < 0)
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

	*out = (struct gc_counts){ .list = json_array(), .quotas = json_array() };
	rc = plan_and_forget(db, st, rules, now, &s, out, e);
	if (rc == 0 && !rules->dry_run)
		rc = remove_all(st, &s, e);
	free(s.unneeded);
	if (rc < 0) {
		json_decref(out->list);
		json_decref(out->quotas);
		out->list = out->quotas = NULL;
	}
	return rc;
}
