/* query_sum.c - sums over the catalog: licences, facets, totals; see query.h. */
#include "base/json.h"
#include "base/str.h"
#include "catalog/event.h"
#include "catalog/model_tx.h"
#include "catalog/query_impl.h"
#include "catalog/query_index.h"
#include "catalog/term.h"

json_t *query_licenses(struct db *db, struct err *e)
{
	own(read) struct read r = { 0 };
	own(json) json_t *list = json_array();

	if (read_begin(&r, db, e) < 0)
		return NULL;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT t.name, count(*), total(m.size_bytes) FROM model AS m LEFT JOIN term AS t ON t.id = m.license_id WHERE m.revision_id IS NOT NULL "
					    "GROUP BY m.license_id ORDER BY 2 DESC, 1",
					    e);
	while (sql_row(&q)) {
		const char *id = sql_get_text(&q, 0) ? sql_get_text(&q, 0) : "unknown";
		const struct licence *l = licence_find(id);
		char spdx[LICENCE_ID_MAX];

		licence_spdx(id, spdx);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:s, s:I, s:I}", "id", id, "spdx", spdx, "name", l ? l->name : NULL, "commercial_use",
						      licence_use_name(l ? l->commercial_use : LICENCE_UNKNOWN), "models", (json_int_t)sql_get_int(&q, 1), "bytes",
						      (json_int_t)sql_get_int(&q, 2)));
	}
	return sql_done(&q) < 0 ? NULL : take(list);
}

/* One facet: how the models of the filter divide by a column. `expr` gives the shown text, `key` what is grouped by. */
static int facet(struct db_conn *c, const struct query_where *w, const char *key, const char *expr, const char *join, json_t **out, struct err *e)
{
	json_t *list = json_array();
	struct buf text;
	int rc;

	buf_init(&text, QUERY_SQL_MAX);
	buf_printf(&text, "SELECT %s, g.n, g.b FROM (SELECT %s AS k, count(*) AS n, total(%ssize_bytes) AS b FROM %s WHERE %s GROUP BY 1) AS g %s ORDER BY g.n DESC, g.k LIMIT %d",
		   expr, key, w->cols, w->from.data, w->where.data, join, QUERY_FACET_VALUES_MAX);
	own(sql) struct sql q = sql_prepare(c, text.data, e);
	buf_done(&text);
	query_where_bind(w, &q);
	while (sql_row(&q))
		json_array_append_new(list, json_pack("{s:s?, s:I, s:I}", "value", sql_get_text(&q, 0), "models", (json_int_t)sql_get_int(&q, 1), "bytes",
						      (json_int_t)sql_get_int(&q, 2)));
	rc = sql_done(&q);
	if (rc < 0)
		json_decref(list);
	else
		*out = list;
	return rc;
}

/* A model can be of several formats, so each is counted on its own. */
static int format_facet(struct db_conn *c, const struct query_where *w, json_t **out, struct err *e)
{
	json_t *list = json_array();

	for (int f = FORMAT_SAFETENSORS; f < FORMAT_N; f++) {
		struct buf text;
		int rc;

		buf_init(&text, QUERY_SQL_MAX);
		buf_printf(&text, "SELECT count(*), total(%ssize_bytes) FROM %s WHERE %s AND (%sformats & %u) <> 0", w->cols, w->from.data, w->where.data, w->cols,
			   FORMAT_BIT(f));
		own(sql) struct sql q = sql_prepare(c, text.data, e);
		buf_done(&text);
		query_where_bind(w, &q);
		if (sql_row(&q) && sql_get_int(&q, 0) > 0)
			json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "value", format_name((enum format)f), "models", (json_int_t)sql_get_int(&q, 0), "bytes",
							      (json_int_t)sql_get_int(&q, 1)));
		rc = sql_done(&q);
		if (rc < 0) {
			json_decref(list);
			return rc;
		}
	}
	*out = list;
	return 0;
}

static int all_facets(struct db_conn *c, const struct query_where *w, json_t *o, struct err *e)
{
	static const struct {
		const char *name, *column;
	} terms[] = { { "license", "license_id" }, { "architecture", "architecture_id" }, { "task", "task_id" }, { "quantization", "quantization_id" } };
	char key[64];
	json_t *list = NULL;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(terms); i++) {
		snprintf(key, sizeof(key), "%s%s", w->cols, terms[i].column);
		rc = facet(c, w, key, "t.name", "LEFT JOIN term AS t ON t.id = g.k", &list, e);
		if (rc < 0)
			return rc;
		json_object_set_new(o, terms[i].name, list);
	}
	rc = facet(c, w, w->cols[0] == 'm' ? "m.state" : "r.state",
		   "CASE g.k WHEN 1 THEN 'planned' WHEN 2 THEN 'fetching' WHEN 3 THEN 'verifying' WHEN 4 THEN 'testing' WHEN 5 THEN 'held' WHEN 6 THEN 'rejected' WHEN 7 THEN "
		   "'published' WHEN 8 THEN 'retired' END",
		   "", &list, e);
	if (rc < 0)
		return rc;
	json_object_set_new(o, "state", list);
	rc = format_facet(c, w, &list, e);
	return rc < 0 ? rc : json_object_set_new(o, "format", list);
}

static const char *const facet_names[FACET_N] = { "license", "architecture", "task", "quantization", "state", "format" };

/* The text of a facet's value, or NULL for "none". */
static int value_text(struct db *db, struct db_conn *c, enum query_facet facet, int64_t key, struct arena *a, const char **out, struct err *e)
{
	if (facet == FACET_STATE)
		*out = revision_state_name((enum revision_state)key);
	else if (facet == FACET_FORMAT)
		*out = format_name((enum format)key);
	else
		return term_name(db, c, a, key, out, e);
	return 0;
}

static int add_counted(json_t *o, struct db *db, struct db_conn *c, enum query_facet facet, const struct query_index_count *counts, size_t n, struct arena *a, struct err *e)
{
	json_t *list = json_array();
	const char *text;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = value_text(db, c, facet, counts[i].key, a, &text, e);
		if (rc == 0)
			json_array_append_new(list, json_pack("{s:s?, s:I, s:I}", "value", text, "models", (json_int_t)counts[i].models, "bytes", (json_int_t)counts[i].bytes));
	}
	json_object_set_new(o, facet_names[facet], list);
	return rc;
}

/* ERR_UNSUPPORTED when the posting index can't answer. */
static int facets_by_index(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, struct arena *a, json_t *o, struct err *e)
{
	struct query_index_facets counted;
	int rc = query_index_facets(db, c, f, now, a, &counted, e);

	for (int facet = 0; facet < FACET_N && rc == 0; facet++)
		rc = add_counted(o, db, c, (enum query_facet)facet, counted.counts[facet], counted.n[facet], a, e);
	return rc;
}

json_t *query_facets(struct db *db, const struct query_filter *f, int64_t now, struct err *e)
{
	own(read) struct read r = { 0 };
	own(query_where) struct query_where w = { 0 };
	own(json) json_t *o = json_object();
	struct arena a;
	int rc;

	arena_init(&a);
	if ((rc = read_begin(&r, db, e)) == 0 && (rc = facets_by_index(db, r.c, f, now, &a, o, e)) != ERR_UNSUPPORTED) {
		arena_done(&a);
		return rc < 0 ? NULL : take(o);
	}
	if (rc == ERR_UNSUPPORTED)
		rc = query_where_build(&w, r.c, f, now, &a, e);
	if (rc == 0 && w.nothing)
		rc = json_object_update_new(o, json_pack("{s:[], s:[], s:[], s:[], s:[], s:[]}", "license", "architecture", "task", "quantization", "state", "format"));
	else if (rc == 0)
		rc = all_facets(r.c, &w, o, e);
	arena_done(&a);
	return rc < 0 ? NULL : take(o);
}

static int add_number(json_t *o, struct db_conn *c, const char *name, const char *text, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, text, e);

	json_object_set_new(o, name, json_integer(sql_row(&q) ? (json_int_t)sql_get_int(&q, 0) : 0));
	return sql_done(&q);
}

json_t *query_totals(struct db *db, struct err *e)
{
	static const struct {
		const char *name, *sql;
	} numbers[] = {
		{ "models", "SELECT count(DISTINCT model_id) FROM revision" },	/* as `ls` lists them */
		{ "models_without_revision", "SELECT count(*) FROM model AS m WHERE NOT EXISTS (SELECT 1 FROM revision AS r WHERE r.model_id = m.id)" },
		{ "revisions", "SELECT count(*) FROM revision" },
		{ "published", "SELECT count(*) FROM revision WHERE state = 7" },
		{ "held", "SELECT count(*) FROM revision WHERE state = 5" },
		{ "rejected", "SELECT count(*) FROM revision WHERE state = 6" },
		{ "files", "SELECT count(*) FROM file" },
		{ "blobs", "SELECT count(*) FROM blob WHERE stored = 1" },
		{ "lost", "SELECT count(*) FROM lost AS l WHERE EXISTS (SELECT 1 FROM blob_use AS u JOIN revision AS r ON r.id = u.revision_id AND r.state = 7 "
			  "JOIN file AS f ON f.revision_id = r.id AND f.blob_id = u.blob_id AND (f.wanted = 1 OR " MODEL_IS_EVIDENCE("f") ") WHERE u.blob_id = l.blob_id)" },
		{ "blob_bytes", "SELECT total(size_bytes) FROM blob WHERE stored = 1" },
	};
	own(read) struct read r = { 0 };
	own(json) json_t *o = json_object();
	struct event_head head;
	char hex[DIGEST_HEX_MAX];

	if (event_head(db, &head, e) < 0 || read_begin(&r, db, e) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (add_number(o, r.c, numbers[i].name, numbers[i].sql, e) < 0)
			return NULL;
	digest_hex(hex, &head.hash);
	json_object_set_new(o, "events", json_integer((json_int_t)head.id));
	json_object_set_new(o, "head", json_string(hex));
	return take(o);
}
