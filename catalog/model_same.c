/* model_same.c - see model.h: what comes under one name and was withdrawn, or rejected by a person, under another. */
#include "base/str.h"
#include "catalog/model_tx.h"

struct same {
	int64_t model_id;	/* 0: not in the catalog */
	struct digest commit;
	const char *key;	/* the upstream's id of the repository, NULL unknown */
};

static void bind(struct sql *q, const struct same *s)
{
	sql_int(q, s->model_id);
	sql_digest(q, &s->commit);
	sql_text(q, s->key);
}

static const char *tell(struct arena *a, bool commit, const char *what, const char *name, const char *why)
{
	return arena_printf(a, "it %s as %s%s%s%s", what, name, commit ? "" : ", which upstream has renamed to this", why ? ": " : "", why ? why : "");
}

/* A mark on one revision is about its commit, one on a model about all that upstream has in that repository. */
static int find_withdrawn(struct db_conn *c, const struct same *s, struct arena *a, struct model_off *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT m.name, l.off_reason, w.commit_id = $2 FROM revision AS w JOIN lifecycle AS l ON l.model_id = w.model_id AND l.withdrawn_at > 0 "
					    "AND (l.revision_id = 0 OR (l.revision_id = w.id AND w.commit_id = $2)) JOIN model AS m ON m.id = w.model_id "
					    "WHERE w.model_id <> $1 AND (w.commit_id = $2 OR w.upstream_key = $3) "
					    "UNION ALL SELECT m.name, l.off_reason, 0 FROM lifecycle AS l JOIN model AS m ON m.id = l.model_id JOIN alias AS x ON x.name = m.name "
					    "WHERE l.withdrawn_at > 0 AND l.revision_id = 0 AND l.model_id <> $1 AND x.model_id = $1 ORDER BY 3 DESC LIMIT 1",
					    e);

	bind(&q, s);
	if (sql_row(&q)) {
		out->rule = "withdrawn";
		out->why = tell(a, sql_get_int(&q, 2) != 0, "is withdrawn", sql_get_text(&q, 0), sql_get_text(&q, 1));
	}
	return sql_done(&q);
}

/* A commit that was rejected is so under every name. Other commits of its repository are, unless a later one was published there: then it was that commit alone. */
static int find_rejected(struct db_conn *c, const struct same *s, struct arena *a, struct model_off *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT m.name, g.who, g.reason, w.commit_id = $2 FROM revision AS w JOIN ruling AS g ON g.revision_id = w.id AND g.verdict = 2 "
					    "JOIN model AS m ON m.id = w.model_id WHERE w.model_id <> $1 AND (w.commit_id = $2 OR (w.upstream_key = $3 AND NOT EXISTS "
					    "(SELECT 1 FROM revision AS p WHERE p.model_id = w.model_id AND p.id > w.id AND p.published_at > 0))) ORDER BY 4 DESC, g.at DESC LIMIT 1",
					    e);

	bind(&q, s);
	if (sql_row(&q)) {
		out->rule = "rejected";
		out->why = tell(a, sql_get_int(&q, 3) != 0, arena_printf(a, "was rejected by %s", sql_get_text(&q, 1)), sql_get_text(&q, 0), sql_get_text(&q, 2));
	}
	return sql_done(&q);
}

static int find_off(struct db_conn *c, const struct same *s, struct arena *a, struct model_off *out, struct err *e)
{
	int rc;

	*out = (struct model_off){ 0 };
	rc = find_withdrawn(c, s, a, out, e);
	return rc < 0 || out->why ? rc : find_rejected(c, s, a, out, e);
}

int model_off_tx(struct db_conn *c, int64_t revision_id, struct arena *a, struct model_off *out, struct err *e)
{
	struct same s = { 0 };
	bool asked = false;
	int rc;

	*out = (struct model_off){ 0 };
	{
		own(sql) struct sql q = sql_prepare(c, "SELECT model_id, commit_id, upstream_key FROM revision WHERE id = $1 AND state <> 7", e);
		sql_int(&q, revision_id);
		if ((asked = sql_row(&q))) {
			s.model_id = sql_get_int(&q, 0);
			sql_get_digest(&q, 1, DIGEST_SHA1, &s.commit);
			s.key = sql_get_dup(&q, 2, a);
		}
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	return asked ? find_off(c, &s, a, out, e) : 0;
}

int model_off(struct db *db, int64_t model_id, const char *commit, const char *upstream_key, struct arena *a, struct model_off *out, struct err *e)
{
	struct same s = { .model_id = model_id, .key = upstream_key };
	own(read) struct read r = { 0 };
	int rc = digest_parse(&s.commit, DIGEST_SHA1, commit, e);

	if (rc < 0 || (rc = read_begin(&r, db, e)) < 0)
		return rc;
	return find_off(r.c, &s, a, out, e);
}
