/*
 * model_same.c - see model.h: what comes under one name and was withdrawn, or rejected by a person, under another; what comes under the name of a model and is
 * another repository; and what is withdrawn and goes on being served under another name.
 */
#include "base/str.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"

#define WEIGHTS_MIN_BYTES (1 << 20)	/* a smaller file may be alike in models that have nothing to do with each other */

struct same {
	int64_t model_id;	/* 0: not in the catalog */
	struct digest commit;
	const char *key;	/* the upstream's id of the repository, NULL unknown */
	bool was_published;	/* here, and under this name */
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

/*
 * What was withdrawn or rejected is little, and is gone through: indexes over all commits and keys would be a thirtieth of a large catalog, for a question
 * that few revisions ask.
 *
 * A mark on one revision is about its commit, one on a model about all that upstream has in that repository.
 */
static int find_withdrawn(struct db_conn *c, const struct same *s, struct arena *a, struct model_off *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT m.name, l.off_reason, w.commit_id = $2 FROM lifecycle AS l CROSS JOIN revision AS w ON w.model_id = l.model_id "
					    "JOIN model AS m ON m.id = w.model_id WHERE l.withdrawn_at > 0 AND (l.revision_id = 0 OR (l.revision_id = w.id AND w.commit_id = $2)) "
					    "AND w.model_id <> $1 AND (w.commit_id = $2 OR w.upstream_key = $3) "
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
					    "SELECT m.name, g.who, g.reason, w.commit_id = $2 FROM ruling AS g CROSS JOIN revision AS w ON w.id = g.revision_id "
					    "JOIN model AS m ON m.id = w.model_id WHERE g.verdict = 2 AND w.model_id <> $1 AND (w.commit_id = $2 OR (w.upstream_key = $3 AND NOT EXISTS "
					    "(SELECT 1 FROM revision AS p WHERE p.model_id = w.model_id AND p.id > w.id AND p.published_at > 0))) ORDER BY 4 DESC, g.at DESC LIMIT 1",
					    e);

	bind(&q, s);
	if (sql_row(&q)) {
		out->rule = "rejected";
		out->why = tell(a, sql_get_int(&q, 3) != 0, arena_printf(a, "was rejected by %s", sql_get_text(&q, 1)), sql_get_text(&q, 0), sql_get_text(&q, 2));
	}
	return sql_done(&q);
}

/* --- which repository a model is --- */

void model_made_key(const char *name, char key[MODEL_KEY_HEX + 1])
{
	char hex[DIGEST_HEX_MAX];
	struct digest d;

	digest_of(&d, DIGEST_SHA1, name, strlen(name));
	digest_hex(hex, &d);
	snprintf(key, MODEL_KEY_HEX + 1, "%.24s", hex);
}

static int known_key(struct db_conn *c, int64_t model_id, char key[MODEL_KEY_HEX + 1], bool *published, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT r.upstream_key, r.published_at, m.name FROM revision AS r JOIN model AS m ON m.id = r.model_id "
					    "WHERE r.model_id = $1 AND r.upstream_key IS NOT NULL ORDER BY " MODEL_LAST_PUBLISHED("r") ", CASE WHEN r.published_at > 0 THEN -r.id ELSE r.id END",
					    e);
	char made[MODEL_KEY_HEX + 1];

	*key = 0;
	*published = false;
	sql_int(&q, model_id);
	while (!*key && sql_row(&q)) {
		model_made_key(sql_get_text(&q, 2), made);
		if (!strcmp(sql_get_text(&q, 0), made))
			continue;
		snprintf(key, MODEL_KEY_HEX + 1, "%s", sql_get_text(&q, 0));
		*published = sql_get_int(&q, 1) > 0;
	}
	return sql_done(&q);
}

int model_key(struct db *db, int64_t model_id, char key[MODEL_KEY_HEX + 1], bool *published, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : known_key(r.c, model_id, key, published, e);
}

/* Of the same upstream: another one counts its repositories itself. */
static int others_of_key(struct db_conn *c, int64_t model_id, const char *key, struct arena *a, const char ***names, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT DISTINCT m.name FROM revision AS r JOIN model AS m ON m.id = r.model_id WHERE r.upstream_key = $1 AND r.model_id <> $2 "
					    "AND m.upstream_id = (SELECT upstream_id FROM model WHERE id = $2)",
					    e);
	size_t cap = 0;

	*names = NULL;
	*n = 0;
	sql_text(&q, key);
	sql_int(&q, model_id);
	while (sql_row(&q))
		*list_push(a, names, n, &cap) = sql_get_dup(&q, 0, a);
	return sql_done(&q);
}

static int name_of(struct db_conn *c, int64_t model_id, struct arena *a, const char **name, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT name FROM model WHERE id = $1", e);

	sql_int(&q, model_id);
	*name = sql_row(&q) ? sql_get_dup(&q, 0, a) : "";
	return sql_done(&q);
}

int model_saw_key(struct db *db, int64_t model_id, const char *key, int64_t now, struct err *e)
{
	const char **names, *name;
	own(read) struct read r = { 0 };
	own(tx) struct tx t = { 0 };
	own(arena) struct arena a;
	size_t n;
	int rc;

	arena_init(&a);
	if ((rc = read_begin(&r, db, e)) < 0 || (rc = others_of_key(r.c, model_id, key, &a, &names, &n, e)) < 0 || !n || (rc = name_of(r.c, model_id, &a, &name, e)) < 0)
		return rc;
	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		if ((rc = model_add_alias_tx(t.c, names[i], model_id, name, now, e)) < 0)
			return rc;
	return tx_commit(&t, e);
}

/* A name that has served the bytes of one repository does not by itself serve those of another. */
static int find_reused(struct db_conn *c, const struct same *s, struct model_off *out, struct err *e)
{
	char known[MODEL_KEY_HEX + 1];
	bool published;
	int rc;

	if (!s->key || (rc = known_key(c, s->model_id, known, &published, e)) < 0)
		return s->key ? rc : 0;
	if (published && strcmp(known, s->key) != 0)
		*out = (struct model_off){ "reused", "upstream has another repository under this name than the one that was published here: that was deleted and made anew, or was renamed "
						     "and somebody took its name" };
	return 0;
}

static int find_off(struct db_conn *c, const struct same *s, struct arena *a, struct model_off *out, struct err *e)
{
	int rc;

	*out = (struct model_off){ 0 };
	if ((rc = find_withdrawn(c, s, a, out, e)) < 0 || out->why)
		return rc;
	if ((rc = find_rejected(c, s, a, out, e)) < 0 || out->why || s->was_published)
		return rc;
	return find_reused(c, s, out, e);
}

int model_off_tx(struct db_conn *c, int64_t revision_id, struct arena *a, struct model_off *out, struct err *e)
{
	struct same s = { 0 };
	bool asked = false;
	int rc;

	*out = (struct model_off){ 0 };
	{
		own(sql) struct sql q = sql_prepare(c, "SELECT model_id, commit_id, upstream_key, published_at FROM revision WHERE id = $1 AND state <> 7", e);
		sql_int(&q, revision_id);
		if ((asked = sql_row(&q))) {
			s.model_id = sql_get_int(&q, 0);
			sql_get_digest(&q, 1, DIGEST_SHA1, &s.commit);
			s.key = sql_get_dup(&q, 2, a);
			s.was_published = sql_get_int(&q, 3) > 0;
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

int model_served_elsewhere(struct db *db, int64_t model_id, int64_t revision_id, struct arena *a, struct model_elsewhere **out, size_t *n, struct err *e)
{
	static const char *const because[] = { "it is the same commit", "upstream has renamed the one to the other", "it has the same large files, or some of them" };
	own(read) struct read r = { 0 };
	size_t cap = 0;
	int rc = read_begin(&r, db, e);

	*out = NULL;
	*n = 0;
	if (rc < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT m.name, r.commit_id, min(k.kind) FROM ("
					    "SELECT o.id AS id, o.commit_id NOT IN (SELECT commit_id FROM revision WHERE model_id = $1) AS kind FROM revision AS o WHERE o.state = 7 "
					    "AND (o.commit_id IN (SELECT commit_id FROM revision WHERE model_id = $1 AND $2 IN (0, id)) "
					    "OR ($2 = 0 AND o.upstream_key IN (SELECT upstream_key FROM revision WHERE model_id = $1))) UNION ALL "
					    "SELECT u.revision_id, 2 FROM revision AS w JOIN file AS f ON f.revision_id = w.id AND f.wanted > 0 AND f.size_bytes >= $3 "
					    "JOIN blob_use AS u ON u.blob_id = f.blob_id WHERE w.model_id = $1 AND $2 IN (0, w.id)) AS k "
					    "JOIN revision AS r ON r.id = k.id AND r.state = 7 AND r.model_id <> $1 JOIN model AS m ON m.id = r.model_id "
					    "WHERE NOT EXISTS (SELECT 1 FROM lifecycle AS l WHERE l.model_id = r.model_id AND l.revision_id IN (0, r.id) "
					    "AND (l.retired_at > 0 OR l.withdrawn_at > 0)) GROUP BY m.name, r.commit_id ORDER BY 3, 1 LIMIT $4",
					    e);
	sql_int(&q, model_id);
	sql_int(&q, revision_id);
	sql_int(&q, WEIGHTS_MIN_BYTES);
	sql_int(&q, MODEL_ELSEWHERE_MAX);
	while (sql_row(&q)) {
		struct model_elsewhere *x = list_push(a, out, n, &cap);
		char hex[DIGEST_HEX_MAX];
		struct digest commit;

		sql_get_digest(&q, 1, DIGEST_SHA1, &commit);
		digest_hex(hex, &commit);
		*x = (struct model_elsewhere){ sql_get_dup(&q, 0, a), arena_strdup(a, hex), because[sql_get_int(&q, 2)] };
	}
	return sql_done(&q);
}
