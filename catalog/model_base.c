/* model_base.c - see model.h: a model's tags and names, what it was made from, and what of it counts for what was made from it. */
#include "base/str.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"

static int texts_of(struct sql *q, struct arena *a, const char ***out, size_t *n)
{
	const char **list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while (sql_row(q))
		*list_push(a, &list, &count, &cap) = sql_get_dup(q, 0, a);
	if ((rc = sql_done(q)) < 0)
		return rc;
	*out = list;
	*n = count;
	return 0;
}

int model_tags(struct db *db, int64_t model_id, struct arena *a, const char ***tags, size_t *n, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c, "SELECT t.name FROM model_tag AS mt JOIN term AS t ON t.id = mt.tag_id WHERE mt.model_id = $1 ORDER BY t.name", e);
	sql_int(&q, model_id);
	return texts_of(&q, a, tags, n);
}

int model_renamed_to(struct db *db, const struct model *m, struct arena *a, const char **name, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	*name = NULL;
	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c, "SELECT n.name FROM alias AS a JOIN model AS n ON n.id = a.model_id WHERE a.name = $1 AND n.id <> $2", e);
	sql_text(&q, m->name);
	sql_int(&q, m->id);
	if (sql_row(&q))
		*name = sql_get_dup(&q, 0, a);
	return sql_done(&q);
}

int model_names(struct db *db, int64_t model_id, struct arena *a, const char ***names, size_t *n, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c, "SELECT name FROM model WHERE id = $1 UNION ALL SELECT name FROM alias WHERE model_id = $1", e);
	sql_int(&q, model_id);
	return texts_of(&q, a, names, n);
}

int model_base_models(struct db *db, int64_t revision_id, struct arena *a, const char ***repos, size_t *n, const char **relation, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	if (relation) {
		own(sql) struct sql q = sql_prepare(rd.c, "SELECT base_relation FROM revision WHERE id = $1", e);
		sql_int(&q, revision_id);
		*relation = sql_row(&q) ? sql_get_dup(&q, 0, a) : NULL;
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	own(sql) struct sql q = sql_prepare(rd.c, "SELECT repo FROM base_model WHERE revision_id = $1 ORDER BY position", e);
	sql_int(&q, revision_id);
	return texts_of(&q, a, repos, n);
}

int model_derivatives(struct db *db, const char *repo, struct arena *a, const char ***repos, size_t *n, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c,
					    "WITH names (name) AS (SELECT $1 UNION SELECT a.name FROM alias AS a JOIN model AS m ON m.id = a.model_id WHERE m.name = $1) "
					    "SELECT DISTINCT m.name FROM names AS n JOIN base_model AS b ON b.repo = n.name JOIN revision AS r ON r.id = b.revision_id "
					    "JOIN model AS m ON m.id = r.model_id ORDER BY m.name",
					    e);
	sql_text(&q, repo);
	return texts_of(&q, a, repos, n);
}

int model_standing(struct db *db, int64_t model_id, struct arena *a, struct revision **r, size_t *n, struct err *e)
{
	own(read) struct read rd = { 0 };
	size_t cap = 0;
	int rc;

	*r = NULL;
	*n = 0;
	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c,
					    "WITH known (id) AS (SELECT id FROM revision WHERE model_id = $1 AND license_source IS NOT NULL), "
					    "main (id) AS (SELECT revision_id FROM ref WHERE model_id = $1 AND name = 'main' AND revision_id IN (SELECT id FROM known) UNION "
					    "SELECT id FROM (SELECT k.id FROM known AS k JOIN ref_wanted AS w ON w.revision_id = k.id AND w.name = 'main' ORDER BY w.asked_at DESC LIMIT 1)) "
					    "SELECT " REVISION_COLUMNS " FROM revision AS r" REVISION_JOINS
					    "WHERE r.id IN (SELECT id FROM main UNION ALL SELECT id FROM known WHERE NOT EXISTS (SELECT 1 FROM main)) ORDER BY r.id DESC",
					    e);
	sql_int(&q, model_id);
	while (sql_row(&q))
		model_revision_row(&q, 0, a, list_push(a, r, n, &cap));
	return sql_done(&q);
}
