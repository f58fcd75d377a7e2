/* housekeep.c - see housekeep.h. */
#include "registryd/housekeep.h"

#include "base/json.h"
#include "base/vec.h"
#include "catalog/gc.h"
#include "catalog/model.h"
#include "catalog/partial.h"
#include "catalog/query.h"
#include "catalog/usage.h"
#include "registryd/bill.h"
#include "registryd/gate.h"

#define UNUSED_S (30 * 86400)	/* a revision that nobody pulled for so long is not in use */
#define PARTIAL_S (7 * 86400)	/* a download that nobody touched for so long is given up */

int housekeep_gc_job(struct work *w, struct err *e)
{
	struct gc_rules rules = {
		.keep_last = json_get_int(w->args, "keep_last", policy_keep_last(daemon_policy(w->d))),
		.quotas = daemon_policy(w->d),
		.unused_since = work_now() - UNUSED_S,
		.dry_run = json_get_bool(w->args, "dry_run", false),
	};
	uint64_t partial_bytes = 0;
	struct gc_counts c;
	int rc;

	work_phase(w, "looking for what no revision needs");
	rc = usage_flush(w->db, e);	/* pulls still in memory count too */
	if (rc == 0)
		rc = gc_run(w->db, w->store, &rules, work_now(), &c, e);
	if (rc < 0)
		return rc;
	if (!rules.dry_run)
		rc = partial_expire(w->store, work_now() - PARTIAL_S, &partial_bytes, e);
	w->result = json_pack("{s:b, s:o, s:o, s:I, s:I, s:I}", "dry_run", rules.dry_run, "revisions", c.list, "quotas", c.quotas, "blobs", (json_int_t)c.blobs, "bytes",
			      (json_int_t)c.bytes, "partial_bytes", (json_int_t)partial_bytes);
	return rc;
}

/* ---- rebuild ---------------------------------------------------------------------------------------------------- */

/* A document of the revision as JSON, NULL when there is none. */
static json_t *document(struct work *w, struct arena *a, int64_t revision_id, enum document_kind kind)
{
	const char *text;
	size_t n;

	if (model_document(w->db, revision_id, kind, "", a, &text, &n, NULL) < 0)
		return NULL;
	return json_parse_lax(text, n, "a kept document", NULL);
}

/* Facts again for one revision; one whose files are not all here has none yet. */
static int rebuild_revision(struct work *w, const struct revision *r, int64_t *done, struct err *e)
{
	struct arena *outer = w->arena;
	own(arena) struct arena a;
	own(json) json_t *info = NULL, *inspection = NULL;
	struct model_sum sum;
	const char *chosen;
	int rc;

	arena_init(&a);
	rc = model_sum(w->db, r->id, &sum, e);
	if (rc < 0 || !sum.files || sum.stored_files < sum.files)
		return rc;
	info = document(w, &a, r->id, DOCUMENT_INFO);
	inspection = document(w, &a, r->id, DOCUMENT_INSPECTION);
	chosen = r->license_source && !strcmp(r->license_source, "person") ? r->license : NULL;
	w->arena = &a;	/* what is read for one revision is let go with it */
	rc = gate_read_documents(w, r->id, info, inspection, chosen, e);
	w->arena = outer;
	if (rc == 0)
		bill_note(w->d, r->id);
	*done += rc == 0;
	return rc;
}

static int rebuild_model(struct work *w, int64_t model_id, int64_t *done, struct err *e)
{
	struct revision *revisions;
	own(arena) struct arena a;
	size_t n;
	int rc;

	arena_init(&a);
	rc = model_revisions(w->db, model_id, MODEL_ANY, &a, &revisions, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = work_check(w, e);
		if (rc == 0)
			rc = rebuild_revision(w, &revisions[i], done, e);
	}
	return rc;
}

int housekeep_rebuild_job(struct work *w, struct err *e)
{
	struct query_filter f = QUERY_FILTER_ANY;
	own(mem) char *cursor = NULL;
	int64_t models = 0, revisions = 0;

	do {
		own(arena) struct arena page;
		struct query_row *rows;
		const char *next;
		size_t n;

		arena_init(&page);
		f.cursor = cursor;
		f.limit = QUERY_LIMIT_MAX;
		if (query_models(w->db, &f, work_now(), &page, &rows, &n, &next, e) < 0)
			return e->code;
		for (size_t i = 0; i < n; i++, models++) {
			work_phase(w, "deriving %s", rows[i].m.name);
			if (rebuild_model(w, rows[i].m.id, &revisions, e) < 0)
				return err_wrap(e, "rebuild %s", rows[i].m.name);
		}
		free(cursor);
		cursor = next ? mem_strdup(next) : NULL;
	} while (cursor);
	w->result = json_pack("{s:I, s:I}", "models", (json_int_t)models, "revisions", (json_int_t)revisions);
	return 0;
}
