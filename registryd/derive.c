/* derive.c - see derive.h. */
#include "registryd/derive.h"

#include "base/json.h"
#include "base/log.h"
#include "base/vec.h"
#include "catalog/model.h"
#include "catalog/query.h"
#include "catalog/recertify.h"
#include "registryd/bases.h"
#include "registryd/bill.h"
#include "registryd/facts.h"
#include "registryd/gate.h"

/* A document of the revision as JSON, NULL when there is none. */
static json_t *document(struct work *w, struct arena *a, int64_t revision_id, enum document_kind kind)
{
	const char *text;
	size_t n;

	if (model_document(w->db, revision_id, kind, "", a, &text, &n, NULL) < 0)
		return NULL;
	return json_parse_lax(text, n, "a kept document", NULL);
}

/* The first word of the policy against the licence as it is known now; NULL: none, or a person has decided. */
static const char *no_longer_licensed(const struct policy *p, const struct policy_facts *f, struct arena *a)
{
	struct policy_verdict *v = arena_alloc(a, sizeof(*v));

	policy_decide(p, f, work_now(), a, v);
	return gate_word_on_licence(v);
}

int derive_mark_licence(struct work *w, int64_t revision_id, const char *reason, struct err *e)
{
	char quoted[LOG_QUOTE_MAX];
	bool changed = false;
	struct revision r;
	struct model m;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &r, e);

	if (!rc)
		rc = recertify_record(w->db, r.id, RECERTIFY_LICENCE, reason, work_now(), &changed, e);
	if (!rc && changed)
		log_event(LOG_WARNING, reason ? "licence.conflict" : "licence.settled", "repo=%s revision=%s reason=%s", m.name, r.commit, log_quote(quoted, reason ? reason : ""));
	return rc;
}

int derive_judge_licence(struct work *w, int64_t revision_id, struct err *e)
{
	struct policy_facts facts;
	int rc = model_evidence(w->db, revision_id, w->arena, &facts, e);

	return rc ? rc : derive_mark_licence(w, revision_id, no_longer_licensed(daemon_policy(w->d), &facts, w->arena), e);
}

/* Facts again for one revision. One whose files are not all here has none yet; what is published has had them all, and is served whatever it has lost since. */
static int derive_revision(struct work *w, const struct revision *r, int64_t *done, struct err *e)
{
	own(json) json_t *info = NULL, *inspection = NULL;
	struct model_sum sum;
	const char *chosen;
	int rc;

	rc = model_sum(w->db, r->id, &sum, e);
	if (rc < 0 || !sum.files || (r->state != REVISION_PUBLISHED && sum.stored_files < sum.files))
		return rc;
	info = document(w, w->arena, r->id, DOCUMENT_INFO);
	inspection = document(w, w->arena, r->id, DOCUMENT_INSPECTION);
	chosen = r->license_source && !strcmp(r->license_source, "person") ? r->license : NULL;
	rc = facts_derive(w, r->id, info, inspection, chosen, e);
	if (!rc && r->state == REVISION_PUBLISHED)
		rc = derive_judge_licence(w, r->id, e);
	if (!rc)
		bill_note(w->d, r->id);
	*done += !rc;
	return rc;
}

/* What has been done, and what could not be. */
struct derived {
	struct work *w;
	int64_t models, revisions;
	struct work_failures failures;
};

static int derive_model(struct derived *done, const struct model *m, struct err *e)
{
	struct work *w = done->w;
	struct arena *outer = w->arena;
	struct revision *revisions;
	own(arena) struct arena list;
	size_t n = 0;
	int rc;

	arena_init(&list);
	work_phase(w, "deriving %s", m->name);
	rc = model_revisions(w->db, m->id, MODEL_ANY, &list, &revisions, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		own(arena) struct arena a;	/* what is read for one revision is let go with it */

		arena_init(&a);
		w->arena = &a;
		rc = work_check(w, e);
		if (rc == 0 && derive_revision(w, &revisions[i], &done->revisions, e)) {
			err_wrap(e, "derive %s@%.12s", m->name, revisions[i].commit);
			rc = work_failed(w, &done->failures, e);
		}
		w->arena = outer;
	}
	done->models++;
	return rc;
}

static int derived_result(const struct derived *done, struct err *e)
{
	done->w->result = json_pack("{s:I, s:I}", "models", (json_int_t)done->models, "revisions", (json_int_t)done->revisions);
	return work_failures(&done->failures, e);
}

/* What was made from it may have been derived before it. */
static int derive_row(void *arg, const struct query_row *row, struct err *e)
{
	struct derived *done = arg;
	own(arena) struct arena a;
	const char *before;
	int rc;

	arena_init(&a);
	before = bases_standing(done->w->db, row->m.id, &a);
	rc = derive_model(done, &row->m, e);
	return rc ? rc : derive_queue(done->w->db, row->m.id, before, &a, e);
}

int derive_rebuild_job(struct work *w, struct err *e)
{
	struct derived done = { .w = w };

	if (query_each(w->db, QUERY_FILTER_ANY, work_now(), derive_row, &done, e) < 0)
		return e->code;
	return derived_result(&done, e);
}

/* ---- what was made from a model ---------------------------------------------------------------------------------- */

/* Models still to be looked at, from `at` on, each once. */
struct family {
	const char **names;
	size_t n, cap, at;
	json_t *seen;
};

static int add_derivatives(struct work *w, struct family *f, const char *repo, struct err *e)
{
	const char **repos;
	size_t n;
	int rc = model_derivatives(w->db, repo, w->arena, &repos, &n, e);

	for (size_t i = 0; !rc && i < n; i++) {
		if (json_object_get(f->seen, repos[i]))
			continue;
		json_object_set_new(f->seen, repos[i], json_true());
		*vec_push(&f->names, &f->n, &f->cap) = repos[i];
	}
	return rc;
}

/* What was made from these counts too: a licence is compared with those of the whole chain. */
static int derive_family(struct derived *done, struct family *f, struct err *e)
{
	struct work *w = done->w;
	int rc = add_derivatives(w, f, w->job.repo, e);

	while (!rc && f->at < f->n) {
		const char *name = f->names[f->at++];
		struct model m;

		rc = model_find_repo(w->db, name, w->arena, &m, e);
		if (!rc)
			rc = derive_model(done, &m, e);
		if (!rc)
			rc = add_derivatives(w, f, name, e);
	}
	return rc;
}

int derive_job(struct work *w, struct err *e)
{
	struct family f = { .seen = json_object() };
	struct derived done = { .w = w };
	int rc = derive_family(&done, &f, e);

	json_decref(f.seen);
	free(f.names);
	return rc ? rc : derived_result(&done, e);
}

int derive_queue_model(struct db *db, const char *repo, struct arena *a, struct err *e)
{
	struct job_new j = { .kind = "derive", .repo = repo, .args = "{}", .who = "schedule", .priority = -1 };
	const char **repos;
	int64_t id;
	size_t n;
	int rc = model_derivatives(db, repo, a, &repos, &n, e);

	return rc || !n ? rc : job_enqueue(db, &j, work_now(), &id, NULL, e);
}

int derive_queue(struct db *db, int64_t model_id, const char *before, struct arena *a, struct err *e)
{
	const char **names;
	size_t n;
	int rc;

	if (!strcmp(before, bases_standing(db, model_id, a)))
		return 0;
	rc = model_names(db, model_id, a, &names, &n, e);
	return rc || !n ? rc : derive_queue_model(db, names[0], a, e);
}
