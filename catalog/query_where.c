/*
 * query_where.c - a filter as SQL, with the plan chosen here: SQLite's own choice for common tags is hundreds of times slower than the
 * better one, because it does not know how often a tag occurs. tag_count says.
 */
#include <math.h>

#include "base/str.h"
#include "catalog/query_impl.h"
#include "catalog/term.h"

#define SCAN_PAGE     50.0	/* rows of a page, for the estimate */
#define JOIN_ROW_COST 4.0	/* a row by its id against the next row of an index */

int query_where_int(struct query_where *w, int64_t v)
{
	if (w->n_binds < QUERY_BINDS_MAX)
		w->binds[w->n_binds] = (struct query_bind){ .kind = BIND_INT, .number = v };
	return (int)++w->n_binds;
}

int query_where_text(struct query_where *w, const char *v)
{
	if (w->n_binds < QUERY_BINDS_MAX)
		w->binds[w->n_binds] = (struct query_bind){ .kind = BIND_TEXT, .text = v };
	return (int)++w->n_binds;
}

static int where_digest(struct query_where *w, const struct digest *d)
{
	if (w->n_binds < QUERY_BINDS_MAX)
		w->binds[w->n_binds] = (struct query_bind){ .kind = BIND_DIGEST, .digest = d };
	return (int)++w->n_binds;
}

void query_where_bind(const struct query_where *w, struct sql *q)
{
	for (size_t i = 0; i < w->n_binds; i++) {
		const struct query_bind *b = &w->binds[i];

		if (b->kind == BIND_INT)
			sql_int(q, b->number);
		else if (b->kind == BIND_TEXT)
			sql_text(q, b->text);
		else
			sql_digest(q, b->digest);
	}
}

void query_where_done(struct query_where *w)
{
	buf_done(&w->from);
	buf_done(&w->where);
}

/* " AND " and the condition. */
#define and_where(w, ...) (buf_puts(&(w)->where, " AND "), buf_printf(&(w)->where, __VA_ARGS__))

/* Models of which main may be retired, and another revision published: few, and in the index on the states that are not `published`. */
#define RETIRED "SELECT u.model_id FROM revision AS u WHERE u.state = 8 AND u.state <> 7"

/* What holds for a revision that may not be the one whose dates the model's row has: the first of the marks on it and on the model. */
#define OF_REVISION(column)                                                                                                     \
	"CASE WHEN r.id = m.revision_id THEN m." column " ELSE coalesce((SELECT min(l." column ") FROM lifecycle AS l "             \
	"WHERE l.model_id = m.id AND l.revision_id IN (0, r.id) AND l." column " > 0), 0) END"

/* Asked by state or by content, the row shows a revision in that state that holds it; else the one the model's row was derived from. All filters are about that one. */
static bool by_revision(const struct query_filter *f)
{
	return f->state || f->contains.algo != DIGEST_NONE;
}

/* The published revision that is shown is the one that the model's row was derived from, unless main is retired. */
static bool is_served(const struct query_filter *f)
{
	return f->state == REVISION_PUBLISHED && f->contains.algo == DIGEST_NONE;
}

/* A derived column equals the id of a name; a name nobody carries empties the answer. */
static int by_term(struct query_where *w, struct db_conn *c, enum term_kind kind, const char *name, const char *column, struct err *e)
{
	int64_t id = 0;
	int rc = name ? term_find(c, kind, name, &id, e) : 0;

	if (rc < 0 || !name)
		return rc;
	if (id == 0)
		w->nothing = true;
	else
		and_where(w, "%s%s = $%d", w->cols, column, query_where_int(w, id));
	return 0;
}

static int by_licences(struct query_where *w, struct db_conn *c, const struct query_filter *f, struct err *e)
{
	size_t known = 0;

	if (f->n_license == 0)
		return 0;
	for (size_t i = 0; i < f->n_license; i++) {
		int64_t id = 0;
		int rc = term_find(c, TERM_LICENSE, f->license[i], &id, e);

		if (rc < 0)
			return rc;
		if (id == 0)
			continue;
		/* One licence is an equality, so that an index gives the rows in order. */
		if (known++ == 0)
			and_where(w, "%slicense_id IN ($%d", w->cols, query_where_int(w, id));
		else
			buf_printf(&w->where, ", $%d", query_where_int(w, id));
	}
	if (known)
		buf_puts(&w->where, ")");
	else
		w->nothing = true;
	return 0;
}

/* Names of an author are a range of the index of names, which compares without case: '0' follows '/'. */
static void by_author(struct query_where *w, const struct query_filter *f, struct arena *a)
{
	if (!f->author)
		return;
	and_where(w, "m.name >= $%d", query_where_text(w, arena_printf(a, "%s/", f->author)));
	and_where(w, "m.name < $%d", query_where_text(w, arena_printf(a, "%s0", f->author)));
}

static void by_numbers(struct query_where *w, const struct query_filter *f, int64_t now)
{
	if (f->min_size)
		and_where(w, "%ssize_bytes >= $%d", w->cols, query_where_int(w, (int64_t)f->min_size));
	if (f->max_size)
		and_where(w, "%ssize_bytes <= $%d", w->cols, query_where_int(w, (int64_t)f->max_size));
	if (f->min_params)
		and_where(w, "%sparams >= $%d", w->cols, query_where_int(w, f->min_params));
	if (f->max_params)
		and_where(w, "%sparams BETWEEN 1 AND $%d", w->cols, query_where_int(w, f->max_params));
	if (f->commercial)
		and_where(w, "%scommercial IN (%d, %d)", w->cols, LICENCE_YES, LICENCE_CONDITIONAL);
	if (f->format != FORMAT_NONE)
		and_where(w, "(%sformats & %u) <> 0", w->cols, FORMAT_BIT(f->format));
	if (f->visible_only)	/* past its sunset a model is gone, though nothing has written so anywhere */
		and_where(w, "m.visible = 1 AND (m.sunset_at = 0 OR m.sunset_at > $%d)", query_where_int(w, now));
	if (f->gated >= 0)
		and_where(w, "m.gated %s 0", f->gated ? "<>" : "=");
	if (f->deprecated)
		and_where(w, "%s BETWEEN 1 AND $%d", w->deprecated_at, query_where_int(w, now));
	if (f->sunset_before)
		and_where(w, "%s > 0 AND %s < $%d", w->sunset_at, w->sunset_at, query_where_int(w, f->sunset_before));
	if (f->sunset_before && is_served(f))
		and_where(w, "m.id IN (SELECT d.id FROM model AS d WHERE d.sunset_at > 0 AND d.sunset_at < $%d UNION " RETIRED ")", query_where_int(w, f->sunset_before));
}

/* A model of which nothing is known but what upstream's listing says of it is no row. A revision that is joined, or what is visible, says more already. */
static void by_known_revision(struct query_where *w, const struct query_filter *f)
{
	if (!by_revision(f) && !f->visible_only)
		and_where(w, "m.state > 0");
}

static void by_content(struct query_where *w, const struct query_filter *f)
{
	if (f->contains.algo != DIGEST_NONE)
		and_where(w, "m.id IN (SELECT h.model_id FROM blob AS b JOIN blob_use AS u ON u.blob_id = b.id JOIN revision AS h ON h.id = u.revision_id WHERE b.sha256 = $%d)",
			  where_digest(w, &f->contains));
}

/* '%' and '_' of a LIKE pattern stand for themselves. */
static const char *like_pattern(struct arena *a, const char *text)
{
	char *out = arena_alloc(a, 2 * strlen(text) + 3), *p = out;

	*p++ = '%';
	for (; *text; text++) {
		if (strchr("%_\\", *text))
			*p++ = '\\';
		*p++ = *text;
	}
	*p++ = '%';
	*p = 0;
	return out;
}

/* The posting index finds names in milliseconds; until it is loaded all names are read. */
static void by_search(struct query_where *w, const struct query_filter *f, struct arena *a)
{
	for (size_t i = 0; i < f->n_search; i++)
		if (*f->search[i])
			and_where(w, "m.name LIKE $%d ESCAPE '\\'", query_where_text(w, like_pattern(a, f->search[i])));
}

struct tag {
	int64_t id;
	double models;
};

static int find_tag(struct db_conn *c, const char *name, struct tag *out, struct err *e)
{
	int rc = term_find(c, TERM_TAG, name, &out->id, e);

	if (rc < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(c, "SELECT models FROM tag_count WHERE tag_id = $1", e);
	sql_int(&q, out->id);
	out->models = sql_row(&q) ? (double)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

static int count_models(struct db_conn *c, double *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT max(id) FROM model", e);	/* an upper bound at no cost; models are hardly ever removed */

	*n = sql_row(&q) ? (double)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

/*
 * All tags must be there. Either walk the rarest tag's list and look the models up (then sort), or walk the models in the order wanted and
 * test each: whichever is expected to touch fewer rows before a page is full.
 */
static int by_tags(struct query_where *w, struct db_conn *c, const struct query_filter *f, struct err *e)
{
	struct tag tags[QUERY_LIST_MAX];
	double total, share = 1, scan;
	size_t rarest = 0;
	int rc;

	if (f->n_tag == 0 || (by_revision(f) && !is_served(f)))
		return 0;
	if ((rc = count_models(c, &total, e)) < 0)
		return rc;
	for (size_t i = 0; i < f->n_tag; i++) {
		rc = find_tag(c, f->tag[i], &tags[i], e);
		if (rc < 0)
			return rc;
		if (tags[i].models < tags[rarest].models)
			rarest = i;
		share *= tags[i].models / fmax(total, 1);
	}
	if (tags[rarest].models <= 0 && !by_revision(f)) {
		w->nothing = true;
		return 0;
	}
	scan = fmin(SCAN_PAGE / fmax(share, 1e-12), total);
	if (tags[rarest].models * JOIN_ROW_COST < scan) {
		/* CROSS JOIN keeps this order of the loops (sqlite.org/optoverview.html, "Manual Control Of Query Plans Using CROSS JOIN"). */
		buf_reset(&w->from);
		if (by_revision(f))
			buf_printf(&w->from, "(SELECT model_id FROM model_tag WHERE tag_id = $%d UNION " RETIRED ") AS t CROSS JOIN model AS m ON m.id = t.model_id",
				   query_where_int(w, tags[rarest].id));
		else {
			buf_printf(&w->from, "model_tag AS t CROSS JOIN model AS m ON m.id = t.model_id");
			and_where(w, "t.tag_id = $%d", query_where_int(w, tags[rarest].id));
		}
		w->by_tag = true;
	}
	for (size_t i = 0; i < f->n_tag && !by_revision(f); i++)
		if (i != rarest || !w->by_tag)
			and_where(w, "EXISTS (SELECT 1 FROM model_tag AS t%zu WHERE t%zu.tag_id = $%d AND t%zu.model_id = m.id)", i, i, query_where_int(w, tags[i].id), i);
	return 0;
}

/* The tags of the revision that the row shows. Those of the model, which are mostly the same, are looked at before a row is read. */
static int by_tags_of_revision(struct query_where *w, struct db_conn *c, const struct query_filter *f, struct err *e)
{
	for (size_t i = 0; i < f->n_tag && by_revision(f); i++) {
		int64_t id;
		int tag, rc = term_find(c, TERM_TAG, f->tag[i], &id, e);

		if (rc < 0)
			return rc;
		tag = query_where_int(w, id);
		if (is_served(f))
			and_where(w, "(EXISTS (SELECT 1 FROM model_tag AS n%zu WHERE n%zu.tag_id = $%d AND n%zu.model_id = m.id) OR m.id IN (" RETIRED "))", i, i, tag, i);
		and_where(w, "EXISTS (SELECT 1 FROM revision_tag AS t%zu WHERE t%zu.revision_id = r.id AND t%zu.tag_id = $%d)", i, i, i, tag);
	}
	return 0;
}

static void join_revision(struct query_where *w, const struct query_filter *f)
{
	if (!by_revision(f))
		return;
	buf_printf(&w->from, " JOIN revision AS r ON r.id = %s(SELECT s.id FROM revision AS s WHERE s.model_id = m.id", is_served(f) ? "CASE m.state WHEN 7 THEN m.revision_id WHEN 8 THEN " : "");
	if (f->state)
		buf_printf(&w->from, " AND s.state = $%d", query_where_int(w, f->state));
	if (f->contains.algo != DIGEST_NONE)
		buf_printf(&w->from,
			   " AND EXISTS (SELECT 1 FROM blob_use AS held WHERE held.blob_id = (SELECT id FROM blob WHERE sha256 = $%d) AND held.revision_id = s.id)",
			   where_digest(w, &f->contains));
	buf_printf(&w->from, " ORDER BY s.planned_at DESC, s.id DESC LIMIT 1)%s", is_served(f) ? " END" : "");
	if (f->state && f->state != REVISION_PUBLISHED)	/* few models: found by an index on the states that are not `published` */
		and_where(w, "m.id IN (SELECT u.model_id FROM revision AS u WHERE u.state = $%d AND u.state <> 7)", query_where_int(w, f->state));
}

int query_where_build(struct query_where *w, struct db_conn *c, const struct query_filter *f, int64_t now, struct arena *a, struct err *e)
{
	int rc;

	*w = by_revision(f) ? (struct query_where){ .cols = "r.", .shown = "r.id", .deprecated_at = OF_REVISION("deprecated_at"), .sunset_at = OF_REVISION("sunset_at") }
			    : (struct query_where){ .cols = "m.", .shown = "m.revision_id", .deprecated_at = "m.deprecated_at", .sunset_at = "m.sunset_at" };
	buf_init(&w->from, QUERY_SQL_MAX);
	buf_init(&w->where, QUERY_SQL_MAX);
	buf_puts(&w->from, "model AS m");
	buf_puts(&w->where, "1 = 1");
	if ((rc = by_tags(w, c, f, e)) < 0)
		return rc;
	join_revision(w, f);
	if ((rc = by_tags_of_revision(w, c, f, e)) < 0 || (rc = by_licences(w, c, f, e)) < 0 || (rc = by_term(w, c, TERM_TASK, f->task, "task_id", e)) < 0 ||
	    (rc = by_term(w, c, TERM_LIBRARY, f->library, "library_id", e)) < 0 ||
	    (rc = by_term(w, c, TERM_ARCHITECTURE, f->architecture, "architecture_id", e)) < 0 ||
	    (rc = by_term(w, c, TERM_QUANTIZATION, f->quantization, "quantization_id", e)) < 0)
		return rc;
	by_author(w, f, a);
	by_known_revision(w, f);
	by_numbers(w, f, now);
	by_content(w, f);
	by_search(w, f, a);
	if (w->n_binds > QUERY_BINDS_MAX - 4 || buf_failed(&w->where))
		return err_set(e, ERR_LIMIT, "the query has more conditions than are answered");
	return 0;
}
