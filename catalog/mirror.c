/* mirror.c - see mirror.h. */
#include "catalog/mirror.h"

#include "base/json.h"
#include "catalog/list.h"
#include "catalog/sql.h"

#define MIRROR_MAX 100000

static const char *const kinds[] = { "none", "repo", "author", "query" };

/* The entry of this name; kind 0: there is none. */
static int owner_of(struct db_conn *c, const char *name, int *kind, bool *config, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT from_config, kind FROM mirror WHERE name = $1", e);
	bool exists;

	sql_text(&q, name);
	exists = sql_row(&q);
	*config = exists && sql_get_int(&q, 0) != 0;
	*kind = exists ? (int)sql_get_int(&q, 1) : 0;
	return sql_done(&q);
}

static int put(struct db_conn *c, const struct mirror *m, int64_t now, int64_t *id, struct err *e)
{
	/* An entry whose meaning is as before keeps its schedule: a restart of the daemon must not poll everything at once. */
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO mirror (name, kind, target, upstream, revision, options, every_s, from_config, next_at) "
					    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO UPDATE SET "
					    "next_at = CASE WHEN mirror.kind = $2 AND mirror.target = $3 AND mirror.upstream = $4 AND mirror.revision = $5 AND mirror.options = $6 "
					    "AND mirror.every_s = $7 THEN mirror.next_at ELSE $9 END, "
					    "cursor = CASE WHEN mirror.kind = $2 AND mirror.target = $3 AND mirror.upstream = $4 AND mirror.revision = $5 AND mirror.options = $6 THEN mirror.cursor "
					    "ELSE NULL END, "
					    "kind = $2, target = $3, upstream = $4, revision = $5, options = $6, every_s = $7, from_config = $8 RETURNING id",
					    e);

	sql_text(&q, m->name);
	sql_int(&q, m->kind);
	sql_text(&q, m->target);
	sql_text(&q, m->upstream);
	sql_text(&q, m->revision ? m->revision : "main");
	sql_text(&q, m->options ? m->options : "{}");
	sql_int(&q, m->every_s);
	sql_int(&q, m->from_config);
	sql_int(&q, now);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}

int mirror_put(struct db *db, const struct mirror *m, int64_t now, int64_t *id, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int64_t made = 0;
	bool config;
	int kind, rc;

	if (m->every_s <= 0)
		return err_set(e, ERR_USAGE, "mirror %s: the interval must be positive", m->name);
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = owner_of(t.c, m->name, &kind, &config, e)) < 0)
		return rc;
	if (config && !m->from_config)
		return err_set(e, ERR_CONFLICT, "mirror %s is in the configuration file: change it there", m->name);
	if (kind && kind != (int)m->kind && !m->from_config)
		return err_set(e, ERR_CONFLICT, "mirror %s is there already, of the kind %s: remove it first", m->name, kinds[kind]);
	if ((rc = put(t.c, m, now, &made, e)) < 0 || (rc = tx_commit(&t, e)) < 0)
		return rc;
	if (id)
		*id = made;
	return 0;
}

static int remove_name(struct db_conn *c, const char *name, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM mirror WHERE name = $1", e);

	sql_text(&q, name);
	return sql_run(&q);
}

int mirror_remove(struct db *db, const char *name, struct err *e)
{
	own(tx) struct tx t = { 0 };
	bool config;
	int kind, rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = owner_of(t.c, name, &kind, &config, e)) < 0)
		return rc;
	if (!kind)
		return err_set(e, ERR_NOT_FOUND, "no mirror entry %.200s", name);
	if (config)
		return err_set(e, ERR_CONFLICT, "mirror %s is in the configuration file: remove it there", name);
	if ((rc = remove_name(t.c, name, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

#define COLUMNS                                                                                                                                  \
	"SELECT id, name, kind, target, upstream, revision, options, every_s, from_config, next_at, last_at, last_error, cursor FROM mirror "

static int rows(struct sql *q, struct arena *a, struct mirror **out, size_t *n)
{
	struct mirror *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while (sql_row(q))
		*list_push(a, &list, &count, &cap) = (struct mirror){
			.id = sql_get_int(q, 0),
			.name = sql_get_dup(q, 1, a),
			.kind = (enum mirror_kind)sql_get_int(q, 2),
			.target = sql_get_dup(q, 3, a),
			.upstream = sql_get_dup(q, 4, a),
			.revision = sql_get_dup(q, 5, a),
			.options = sql_get_dup(q, 6, a),
			.every_s = sql_get_int(q, 7),
			.from_config = sql_get_int(q, 8) != 0,
			.next_at = sql_get_int(q, 9),
			.last_at = sql_get_int(q, 10),
			.last_error = sql_get_dup(q, 11, a),
			.cursor = sql_get_dup(q, 12, a),
		};
	if ((rc = sql_done(q)) < 0)
		return rc;
	*out = list;
	*n = count;
	return 0;
}

static bool among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(names[i], name))
			return true;
	return false;
}

int mirror_keep_config(struct db *db, const char *const *names, size_t n, struct err *e)
{
	own(arena) struct arena a;
	own(tx) struct tx t = { 0 };
	struct mirror *list;
	size_t count;
	int rc;

	arena_init(&a);
	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, COLUMNS "WHERE from_config = 1", e);
		if ((rc = rows(&q, &a, &list, &count)) < 0)
			return rc;
	}
	for (size_t i = 0; i < count; i++)
		if (!among(list[i].name, names, n) && (rc = remove_name(t.c, list[i].name, e)) < 0)
			return rc;
	return tx_commit(&t, e);
}

int mirror_find(struct db *db, const char *name, struct arena *a, struct mirror *out, struct err *e)
{
	own(read) struct read r = { 0 };
	struct mirror *list;
	size_t n;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, COLUMNS "WHERE name = $1", e);
	sql_text(&q, name);
	if ((rc = rows(&q, a, &list, &n)) < 0)
		return rc;
	if (!n)
		return err_set(e, ERR_NOT_FOUND, "there is no mirror entry '%.200s'", name);
	*out = list[0];
	return 0;
}

int mirror_list(struct db *db, struct arena *a, struct mirror **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, COLUMNS "ORDER BY name LIMIT $1", e);
	sql_int(&q, MIRROR_MAX);
	return rows(&q, a, out, n);
}

/* Further ahead than its interval it was set by a clock that was wrong. */
#define DUE "(next_at <= $1 OR next_at > $1 + every_s)"

int mirror_due(struct db *db, int64_t now, struct arena *a, struct mirror **out, size_t *n, int64_t *next_at, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	if (next_at) {
		own(sql) struct sql q = sql_prepare(r.c, "SELECT coalesce(min(next_at), 0) FROM mirror WHERE NOT " DUE, e);
		sql_int(&q, now);
		*next_at = sql_row(&q) ? sql_get_int(&q, 0) : 0;
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	own(sql) struct sql q = sql_prepare(r.c, COLUMNS "WHERE " DUE " ORDER BY next_at, id", e);
	sql_int(&q, now);
	return rows(&q, a, out, n);
}

int mirror_queued(struct db *db, int64_t id, int64_t now, int64_t next_at, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE mirror SET next_at = $3 WHERE " DUE " AND id = $2", e);
		sql_int(&q, now);
		sql_int(&q, id);
		sql_int(&q, next_at);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

int mirror_ran(struct db *db, const struct mirror *m, int64_t now, int64_t next_at, const char *error, const char *cursor, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c,
						    "UPDATE mirror SET last_at = $2, next_at = CASE next_at WHEN 0 THEN 0 ELSE $3 END, last_error = $4, cursor = coalesce($5, cursor) "
						    "WHERE id = $1 AND kind = $6 AND target = $7 AND upstream = $8 AND revision = $9 AND options = $10 AND every_s = $11",
						    e);
		sql_int(&q, m->id);
		sql_int(&q, now);
		sql_int(&q, next_at);
		sql_text(&q, error);
		sql_text(&q, cursor);
		sql_int(&q, m->kind);
		sql_text(&q, m->target);
		sql_text(&q, m->upstream);
		sql_text(&q, m->revision);
		sql_text(&q, m->options);
		sql_int(&q, m->every_s);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

int mirror_run_now(struct db *db, const char *name, struct err *e)
{
	own(tx) struct tx t = { 0 };
	bool any;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE mirror SET next_at = 0 WHERE ($1 IS NULL OR name = $1) RETURNING id", e);
		sql_text(&q, name);
		any = sql_row(&q);
		while (sql_row(&q))
			;
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	if (!any && name)
		return err_set(e, ERR_NOT_FOUND, "no mirror entry %.200s", name);
	return tx_commit(&t, e);
}

static json_t *parsed(const char *text)
{
	json_t *j = text ? json_parse_lax(text, strlen(text), "mirror", NULL) : NULL;

	return j ? j : json_null();
}

json_t *mirror_json(const struct mirror *m)
{
	return json_pack("{s:s,s:s,s:o,s:s,s:s,s:o,s:I,s:b,s:o,s:o,s:s?}", "name", m->name, "kind", kinds[m->kind <= MIRROR_QUERY ? m->kind : 0], "target",
			 m->kind == MIRROR_QUERY ? parsed(m->target) : json_string(m->target), "upstream", m->upstream, "revision", m->revision, "options",
			 parsed(m->options), "every_s", (json_int_t)m->every_s, "from_config", m->from_config, "next_at", json_time(m->next_at), "last_at",
			 json_time(m->last_at), "last_error", m->last_error);
}
