/* query.c - pages of models: sort keys, cursors, rows; see query.h. The filter as SQL is query_where.c, JSON is query_json.c. */
#include "catalog/query.h"

#include "base/str.h"
#include "base/vec.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"
#include "catalog/query_impl.h"
#include "catalog/query_index.h"
#include "catalog/query_rows.h"

#define CURSOR_MAX 512

/* column: of m or, when derived, of the revision filtered by. Ties are broken by id, ascending, in both directions: so the indexes are. */
static const struct sort {
	const char *keys[4], *column;
	bool derived, text;
} sorts[] = {
	[QUERY_SORT_NAME] = { { "name", "repo", "id" }, "name", .text = true },
	[QUERY_SORT_DOWNLOADS] = { { "downloads", "trendingScore", "trending_score", "downloadsAllTime" }, "downloads", .derived = false },
	[QUERY_SORT_LIKES] = { { "likes", "likes30d" }, "likes", .derived = false },
	[QUERY_SORT_MODIFIED] = { { "modified", "lastModified", "last_modified" }, "modified_at", .derived = false },
	[QUERY_SORT_CREATED] = { { "created", "createdAt", "created_at" }, "created_at", .derived = false },
	[QUERY_SORT_SIZE] = { { "size", "size_bytes", "mainSize" }, "size_bytes", .derived = true },
	[QUERY_SORT_PARAMS] = { { "params", "num_parameters" }, "params", .derived = true },
	[QUERY_SORT_PUBLISHED] = { { "published", "published_at", "publishedAt" }, "published_at", .derived = true },
	[QUERY_SORT_SUNSET] = { { "sunset", "sunset_at" }, "sunset_at", .derived = false },
};

int query_sort_parse(enum query_sort *out, bool *descending, const char *key, struct err *e)
{
	const char *name = key[0] == '-' ? key + 1 : key, *names[ARRAY_LEN(sorts)], *near;

	for (size_t i = 0; i < ARRAY_LEN(sorts); i++) {
		names[i] = sorts[i].keys[0];
		for (size_t k = 0; k < 4 && sorts[i].keys[k]; k++) {
			if (!strcmp(sorts[i].keys[k], name)) {
				*out = (enum query_sort)i;
				*descending = key[0] == '-';
				return 0;
			}
		}
	}
	near = str_nearest(name, names, ARRAY_LEN(names));
	return err_set(e, ERR_USAGE, "can't sort by '%.40s': there are name, downloads, likes, modified, created, size, params, published, sunset%s%s%s", name,
		       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* --- cursors: "<sort><direction>.<id>.<value of the last row>", hex, so that they stand in a URL; opaque to clients ------------------ */

static const char *make_cursor(struct arena *a, const struct query_filter *f, int64_t id, const char *value)
{
	char plain[CURSOR_MAX], *hex = arena_alloc(a, 2 * sizeof(plain) + 1);
	int n = snprintf(plain, sizeof(plain), "%d%c.%lld.%s", (int)f->sort, f->descending ? 'd' : 'a', (long long)id, value);

	str_hex(hex, plain, n < (int)sizeof(plain) ? (size_t)n : sizeof(plain) - 1);
	return hex;
}

struct cursor {
	char value[CURSOR_MAX];
	int64_t id;
};

static int parse_cursor(struct cursor *out, const struct query_filter *f, struct err *e)
{
	char plain[CURSOR_MAX] = { 0 }, expect[8], *dot;
	size_t n = strlen(f->cursor) / 2;
	int prefix = snprintf(expect, sizeof(expect), "%d%c.", (int)f->sort, f->descending ? 'd' : 'a');

	if (n >= sizeof(plain) || str_unhex(plain, n, f->cursor) < 0 || strncmp(plain, expect, (size_t)prefix) != 0)
		return err_set(e, ERR_USAGE, "the cursor is not one of this query's");
	dot = strchr(plain + prefix, '.');
	if (!dot)
		return err_set(e, ERR_USAGE, "the cursor is not one of this query's");
	out->id = strtoll(plain + prefix, NULL, 10);
	snprintf(out->value, sizeof(out->value), "%s", dot + 1);
	return 0;
}

/* The column to sort by, "m.downloads". */
static const char *sort_column(const struct query_filter *f, const struct query_where *w, struct arena *a)
{
	const struct sort *s = &sorts[f->sort];

	if (f->sort == QUERY_SORT_SUNSET)	/* what has no end is last, whichever way */
		return f->descending ? w->sunset_at : arena_printf(a, "coalesce(nullif(%s, 0), %lld)", w->sunset_at, (long long)INT64_MAX);
	return arena_printf(a, "%s%s", s->derived ? w->cols : "m.", s->column);
}

/* Rows behind the cursor's: an inequality that an index can begin at, and the tie. */
static int after_cursor(struct query_where *w, const struct query_filter *f, const char *column, struct arena *a, struct err *e)
{
	const char *op = f->descending ? "<" : ">";
	struct cursor at;
	int value, id, rc = parse_cursor(&at, f, e);

	if (rc < 0)
		return rc;
	value = sorts[f->sort].text ? query_where_text(w, arena_strdup(a, at.value)) : query_where_int(w, strtoll(at.value, NULL, 10));
	id = query_where_int(w, at.id);
	buf_printf(&w->where, " AND %s %s= $%d AND (%s %s $%d OR m.id > $%d)", column, op, value, column, op, value, id);
	return 0;
}

/* --- pages -------------------------------------------------------------------------------------------------------------------------- */

static void read_row(struct sql *q, struct arena *a, struct query_row *row)
{
	model_row(q, 1, a, &row->m);
	if (!sql_is_null(q, 1 + MODEL_N_COLUMNS))
		model_revision_row(q, 1 + MODEL_N_COLUMNS, a, &row->r);
}

static const char *sort_value(struct arena *a, const struct query_filter *f, const struct query_row *row, int64_t number)
{
	return sorts[f->sort].text ? row->m.name : arena_printf(a, "%lld", (long long)number);
}

static int run_page(struct db_conn *c, const struct query_filter *f, struct query_where *w, struct arena *a, struct query_row **rows, size_t *n, const char **next,
		    struct err *e)
{
	size_t limit = f->limit && f->limit < QUERY_LIMIT_MAX ? f->limit : QUERY_LIMIT_MAX, cap = 0;
	const char *column = sort_column(f, w, a);
	struct buf text;
	int64_t last = 0;
	int rc;

	if (f->cursor && (rc = after_cursor(w, f, column, a, e)) < 0)
		return rc;
	buf_init(&text, QUERY_SQL_MAX);
	/* The page is found first, by columns of the model alone; names are joined to its few rows. */
	buf_printf(&text,
		   "SELECT p.k, " MODEL_COLUMNS ", " REVISION_COLUMNS " FROM (SELECT m.id AS i, %s AS v, %s AS k FROM %s WHERE %s ORDER BY %s %s, m.id LIMIT $%d) AS p "
		   "JOIN model AS m ON m.id = p.i LEFT JOIN revision AS r ON r.id = p.v " MODEL_JOINS REVISION_JOINS " ORDER BY p.k %s, p.i",
		   w->shown, column, w->from.data, w->where.data, column, f->descending ? "DESC" : "ASC", query_where_int(w, (int64_t)limit + 1), f->descending ? "DESC" : "ASC");
	own(sql) struct sql q = sql_prepare(c, text.data, e);
	buf_done(&text);
	query_where_bind(w, &q);
	while (sql_row(&q)) {
		if (*n == limit) {
			*next = make_cursor(a, f, (*rows)[*n - 1].m.id, sort_value(a, f, &(*rows)[*n - 1], last));
			break;
		}
		struct query_row *row = list_push(a, rows, n, &cap);

		*row = (struct query_row){ 0 };
		read_row(&q, a, row);
		last = sorts[f->sort].text ? 0 : sql_get_int(&q, 0);
	}
	return sql_done(&q);
}

/* The rows of a page whose ids are known, from memory as far as they are there. One that has gone since is left out. */
static int rows_by_id(struct db *db, struct db_conn *c, const int64_t *ids, size_t n_ids, uint64_t generation, struct arena *a, struct query_row **rows, size_t *n, struct err *e)
{
	struct query_row *all = arena_alloc(a, n_ids * sizeof(*all)), *read = arena_alloc(a, n_ids * sizeof(*read));
	bool *known = arena_alloc(a, n_ids * sizeof(*known));
	size_t n_read = 0;
	int rc = 0;

	query_rows_get(db, ids, n_ids, a, all, known);
	for (size_t i = 0; i < n_ids && rc == 0; i++) {
		if (known[i])
			continue;
		rc = query_row_read(db, c, ids[i], a, &all[i], &known[i], e);
		if (rc == 0 && known[i])
			read[n_read++] = all[i];
	}
	if (rc == 0 && n_read)
		query_rows_keep(db, read, n_read, generation);
	for (size_t i = 0; i < n_ids; i++)
		if (known[i])
			all[(*n)++] = all[i];
	*rows = all;
	return rc;
}

/* ERR_UNSUPPORTED when the posting index can't answer. */
static int page_by_index(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, uint64_t generation, struct arena *a, struct query_row **rows, size_t *n,
			 const char **next, struct err *e)
{
	size_t limit = f->limit && f->limit < QUERY_LIMIT_MAX ? f->limit : QUERY_LIMIT_MAX, n_ids;
	struct query_index_row *found, after;
	struct cursor at;
	int64_t *ids;
	bool more;
	int rc;

	if (f->sort != QUERY_SORT_DOWNLOADS || !f->descending)
		return ERR_UNSUPPORTED;
	if (f->cursor && (rc = parse_cursor(&at, f, e)) < 0)
		return rc;
	if (f->cursor)
		after = (struct query_index_row){ at.id, strtoll(at.value, NULL, 10) };
	found = arena_alloc(a, limit * sizeof(*found));
	rc = query_index_page(db, c, f, now, f->cursor ? &after : NULL, limit, found, &n_ids, &more, e);
	if (rc < 0)
		return rc;
	if (more)
		*next = make_cursor(a, f, found[n_ids - 1].id, arena_printf(a, "%lld", (long long)found[n_ids - 1].downloads));
	ids = arena_alloc(a, n_ids * sizeof(*ids));
	for (size_t i = 0; i < n_ids; i++)
		ids[i] = found[i].id;
	return rows_by_id(db, c, ids, n_ids, generation, a, rows, n, e);
}

int query_models(struct db *db, const struct query_filter *f, int64_t now, struct arena *a, struct query_row **rows, size_t *n, const char **next, struct err *e)
{
	own(read) struct read r = { 0 };
	own(query_where) struct query_where w = { 0 };
	const char *cursor = NULL;	/* next may be where f->cursor is kept */
	uint64_t generation = query_rows_generation(db);
	int rc = read_begin(&r, db, e);

	*rows = NULL;
	*n = 0;
	if (rc == 0 && (rc = page_by_index(db, r.c, f, now, generation, a, rows, n, &cursor, e)) != ERR_UNSUPPORTED) {
		*next = cursor;
		return rc;
	}
	rc = rc == ERR_UNSUPPORTED ? 0 : rc;
	if (rc == 0 && (rc = query_where_build(&w, r.c, f, now, a, e)) == 0 && !w.nothing)
		rc = run_page(r.c, f, &w, a, rows, n, &cursor, e);
	*next = cursor;
	return rc;
}

int query_each(struct db *db, struct query_filter f, int64_t now, int (*each)(void *arg, const struct query_row *row, struct err *e), void *arg, struct err *e)
{
	own(mem) char *cursor = NULL;

	f.limit = QUERY_LIMIT_MAX;
	do {
		own(arena) struct arena page;
		struct query_row *rows;
		const char *next;
		size_t n;

		arena_init(&page);
		f.cursor = cursor;
		if (query_models(db, &f, now, &page, &rows, &n, &next, e) < 0)
			return e->code;
		for (size_t i = 0; i < n; i++)
			if (each(arg, &rows[i], e) < 0)
				return e->code;
		free(cursor);
		cursor = next ? mem_strdup(next) : NULL;
	} while (cursor);
	return 0;
}

int query_count(struct db *db, const struct query_filter *f, int64_t now, uint64_t *models, uint64_t *bytes, struct err *e)
{
	own(read) struct read r = { 0 };
	own(query_where) struct query_where w = { 0 };
	struct arena a;
	struct buf text;
	int rc;

	*models = *bytes = 0;
	arena_init(&a);
	if ((rc = read_begin(&r, db, e)) == 0)
		rc = query_where_build(&w, r.c, f, now, &a, e);
	if (rc == 0 && !w.nothing) {
		buf_init(&text, QUERY_SQL_MAX);
		buf_printf(&text, "SELECT count(*), total(%ssize_bytes) FROM %s WHERE %s", w.cols, w.from.data, w.where.data);
		own(sql) struct sql q = sql_prepare(r.c, text.data, e);
		buf_done(&text);
		query_where_bind(&w, &q);
		if (sql_row(&q)) {
			*models = (uint64_t)sql_get_int(&q, 0);
			*bytes = (uint64_t)sql_get_int(&q, 1);
		}
		rc = sql_done(&q);
	}
	arena_done(&a);
	return rc;
}
