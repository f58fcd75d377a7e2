/* model_refresh.c - the derived row of a model: which revision is shown, and what is copied from it, so that listings read one table. */
#include "catalog/lifecycle_tx.h"
#include "catalog/model_tx.h"

struct shown {
	int64_t served, newest;		/* revision ids, 0 none */
	int64_t before;			/* shown until now */
};

static int pick(struct db_conn *c, int64_t model_id, struct shown *s, struct err *e)
{
	/* Served: what `main` points at, else the revision published last. Newest: asked for last. */
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT coalesce((SELECT f.revision_id FROM ref AS f JOIN revision AS r ON r.id = f.revision_id "
					    "WHERE f.model_id = $1 AND f.name = 'main' AND r.state IN (7, 8)), "
					    "(SELECT r.id FROM revision AS r WHERE r.model_id = $1 AND r.state IN (7, 8) ORDER BY r.state, " MODEL_LAST_PUBLISHED("r") ", r.id DESC LIMIT 1), 0), "
					    "coalesce((SELECT id FROM revision WHERE model_id = $1 ORDER BY planned_at DESC, id DESC LIMIT 1), 0), "
					    "coalesce((SELECT revision_id FROM model WHERE id = $1), 0)",
					    e);

	sql_int(&q, model_id);
	if (sql_row(&q))
		*s = (struct shown){ .served = sql_get_int(&q, 0), .newest = sql_get_int(&q, 1), .before = sql_get_int(&q, 2) };
	return sql_done(&q);
}

/* A model without any revision: metadata of the repository only. */
static int clear(struct db_conn *c, int64_t model_id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE model SET revision_id = NULL, newest_id = NULL, newest_state = 0, state = 0, visible = 0, license_id = NULL, commercial = 0, "
					    "size_bytes = 0, params = 0, task_id = NULL, library_id = NULL, architecture_id = NULL, quantization_id = NULL, formats = 0, "
					    "published_at = 0, deprecated_at = 0, sunset_at = 0 WHERE id = $1",
					    e);

	sql_int(&q, model_id);
	return sql_run(&q);
}

static int copy(struct db_conn *c, int64_t model_id, int64_t shown, int64_t newest, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE model SET revision_id = r.id, newest_id = $3, newest_state = (SELECT state FROM revision WHERE id = $3), state = r.state, "
					    "license_id = r.license_id, commercial = r.commercial, size_bytes = r.size_bytes, params = r.params, task_id = r.task_id, "
					    "library_id = r.library_id, architecture_id = r.architecture_id, quantization_id = r.quantization_id, formats = r.formats, "
					    "published_at = r.published_at, modified_at = CASE WHEN r.commit_at > 0 THEN r.commit_at ELSE modified_at END FROM revision AS r WHERE model.id = $1 AND r.id = $2",
					    e);

	sql_int(&q, model_id);
	sql_int(&q, shown);
	sql_int(&q, newest);
	return sql_run(&q);
}

/* What holds for the shown revision: its dates, and whether it is withdrawn or retired, and so not visible. Whether a date has come is asked by whoever reads it. */
static int mark(struct db_conn *c, int64_t model_id, int64_t shown, struct err *e)
{
	own(arena) struct arena a;
	struct lifecycle l;
	int rc;

	arena_init(&a);
	if ((rc = lifecycle_at_tx(c, model_id, shown, 0, &a, &l, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(c, "UPDATE model SET deprecated_at = $2, sunset_at = $3, visible = CASE WHEN state = 7 AND $4 = 0 THEN 1 ELSE 0 END WHERE id = $1", e);
	sql_int(&q, model_id);
	sql_int(&q, l.deprecated_at);
	sql_int(&q, l.sunset_at);
	sql_int(&q, l.withdrawn_at || l.retired_at);
	return sql_run(&q);
}

/* --- tags: those of the shown revision, with counts --- */

static int count_tags(struct db_conn *c, int64_t model_id, int64_t shown, int sign, struct err *e)
{
	/* sign +1: tags that the model is about to get; -1: tags that it is about to lose. */
	own(sql) struct sql q = sql_prepare(c,
					    sign > 0 ? "INSERT INTO tag_count (tag_id, models) SELECT tag_id, 1 FROM revision_tag WHERE revision_id = $2 AND NOT EXISTS "
						       "(SELECT 1 FROM model_tag AS mt WHERE mt.tag_id = revision_tag.tag_id AND mt.model_id = $1) "
						       "ON CONFLICT (tag_id) DO UPDATE SET models = tag_count.models + 1"
						     : "UPDATE tag_count SET models = models - 1 WHERE tag_id IN (SELECT tag_id FROM model_tag WHERE model_id = $1 AND NOT EXISTS "
						       "(SELECT 1 FROM revision_tag AS rt WHERE rt.revision_id = $2 AND rt.tag_id = model_tag.tag_id))",
					    e);

	sql_int(&q, model_id);
	sql_int(&q, shown);
	return sql_run(&q);
}

static int two(struct db_conn *c, const char *text, int64_t model_id, int64_t shown, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, text, e);

	sql_int(&q, model_id);
	sql_int(&q, shown);
	return sql_run(&q);
}

static int sync_tags(struct db_conn *c, int64_t model_id, int64_t shown, struct err *e)
{
	int rc;

	if ((rc = count_tags(c, model_id, shown, +1, e)) < 0 || (rc = count_tags(c, model_id, shown, -1, e)) < 0)
		return rc;
	if ((rc = two(c,
		      "DELETE FROM model_tag WHERE model_id = $1 AND NOT EXISTS (SELECT 1 FROM revision_tag AS rt WHERE rt.revision_id = $2 AND rt.tag_id = model_tag.tag_id)",
		      model_id, shown, e)) < 0)
		return rc;
	return two(c, "INSERT INTO model_tag (tag_id, model_id) SELECT tag_id, $1 FROM revision_tag WHERE revision_id = $2 ON CONFLICT DO NOTHING", model_id, shown, e);
}

int model_refresh_tx(struct db_conn *c, int64_t model_id, struct err *e)
{
	struct shown s = { 0 };
	int64_t shown;
	int rc;

	if ((rc = pick(c, model_id, &s, e)) < 0)
		return rc;
	shown = s.served ? s.served : s.newest;
	if (shown == 0)
		return clear(c, model_id, e);
	if ((rc = copy(c, model_id, shown, s.newest, e)) < 0 || (rc = mark(c, model_id, shown, e)) < 0)
		return rc;
	return sync_tags(c, model_id, shown, e);
}
