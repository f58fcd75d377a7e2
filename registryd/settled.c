/* settled.c - see settled.h. */
#include "registryd/settled.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/retention.h"
#include "registryd/bases.h"
#include "registryd/gate.h"
#include "registryd/gitproof.h"
#include "registryd/judge.h"
#include "registryd/mirror.h"

struct question {
	struct work *w;
	const struct revision *r;
	const struct plan_selection *selection;
	size_t n_listed;
	struct arena *arena;
};

static int same_selection(const struct question *q, bool *same, struct err *e)
{
	const char *then, *now = q->selection->text;
	int rc = model_selection(q->w->db, q->r->id, q->arena, &then, e);

	*same = !rc && !strcmp(then ? then : "", now ? now : "");
	return rc;
}

/* A test of the files that were refused could not be made. */
static int was_untested(const struct question *q, bool *untested, struct err *e)
{
	struct policy_facts *facts = arena_alloc(q->arena, sizeof(*facts));
	int rc = model_evidence(q->w->db, q->r->id, q->arena, facts, e);

	*untested = !rc && facts->smoke && !strcmp(facts->smoke, "error");
	return rc;
}

/* Why this was held or refused may have passed: git or what was said of a base model could not be had, a test not be made, room was lacking. */
static int may_differ(const struct question *q, bool *differs, struct err *e)
{
	bool again = false;

	if (q->r->state != REVISION_PUBLISHED)	/* there git is asked again in any case */
		gitproof_why_not(q->w->db, q->r->id, q->arena, &again);
	*differs = again || bases_unanswered(q->w, q->r->id);
	if (*differs || q->r->state == REVISION_REJECTED || (q->r->state == REVISION_HELD && q->selection->metadata_only))
		return 0;
	return q->r->state == REVISION_HELD ? gate_may_differ(q->w, q->r->id, differs, e) : was_untested(q, differs, e);
}

/* Has upstream more files of the commit than it had? */
static int lists_more(const struct question *q, bool *more, struct err *e)
{
	uint64_t n = 0;
	int rc = model_count(q->w->db, q->r->id, FILES_ALL, &n, e);

	*more = !rc && q->n_listed > n;
	return rc;
}

/* What is left of the selection to be fetched or judged. */
static int left(const struct question *q, enum plan_left *out, const char **why, struct err *e)
{
	struct model_file *files;
	size_t n;
	int rc = model_files(q->w->db, q->r->id, FILES_ALL, "", NULL, 0, q->arena, &files, &n, e);

	if (!rc)
		*out = plan_left(q->selection, q->w->policy, files, n, why);
	return rc;
}

static int ask_published(const struct question *q, enum settled *out, const char **why, struct err *e)
{
	enum plan_left rest = PLAN_LEFT;
	bool same = false, differs = true;
	int rc = left(q, &rest, why, e);

	if (!rc && rest == PLAN_DONE)
		*out = SETTLED;
	/* planned_at: when somebody tried last */
	if (rc || rest != PLAN_REFUSED || llabs(work_now() - q->r->planned_at) >= SETTLED_S)
		return rc;
	rc = same_selection(q, &same, e);
	if (!rc && same)
		rc = may_differ(q, &differs, e);
	if (!rc && same && !differs)
		*out = SETTLED_REFUSED;
	return rc;
}

/*
 * Rejected for what was found in files that are not selected any more: another selection was planned since, and its sync has come to nothing. A person's
 * word is about the revision, whatever is selected.
 */
static int is_moot(const struct question *q, bool *moot, struct err *e)
{
	struct policy_facts *facts = arena_alloc(q->arena, sizeof(*facts));
	const char *why = NULL;
	int rc = 0;

	*moot = false;
	if (q->r->state == REVISION_REJECTED)
		rc = model_turned_down(q->w->db, q->r->id, q->arena, &why, e);
	if (rc || !why)
		return rc;
	rc = model_evidence(q->w->db, q->r->id, q->arena, facts, e);
	*moot = !rc && facts->person != POLICY_PERSON_REJECTED && !facts->n_rejected;
	return rc;
}

/* Rejected, and its room was given back: the clock does not fetch it each week to reject it again. */
static bool is_freed(const struct revision *r)
{
	return r->state == REVISION_REJECTED && r->reason && str_ends(r->reason, RETENTION_FETCH_AGAIN);
}

static int ask_turned_down(const struct question *q, enum settled *out, const char **why, struct err *e)
{
	enum plan_left rest = PLAN_DONE;
	bool same, differs;
	int rc;

	*why = q->r->reason;
	if (!is_freed(q->r) && llabs(work_now() - q->r->state_at) >= SETTLED_S)
		return 0;
	rc = may_differ(q, &differs, e);
	if (!rc && !differs)
		rc = same_selection(q, &same, e);
	if (rc || differs)
		return rc;
	if (!same) {
		*out = SETTLED_OTHERWISE;
		return 0;
	}
	rc = is_moot(q, &differs, e);
	if (rc || differs)
		return rc;
	if (q->r->state == REVISION_HELD && !q->selection->metadata_only)	/* of a gated model not even all metadata can be had */
		rc = left(q, &rest, why, e);
	if (!rc && rest == PLAN_DONE)
		*out = SETTLED;
	return rc;
}

int settled_ask(struct work *w, const struct revision *r, const struct plan_selection *s, size_t n_listed, struct arena *a, enum settled *out, const char **why,
		struct err *e)
{
	const struct question q = { w, r, s, n_listed, a };
	struct arena *outer = w->arena;
	bool more;
	int rc;

	*out = SETTLED_NOT;
	*why = NULL;
	if (r->state == REVISION_RETIRED) {	/* until a person restores it */
		*out = SETTLED;
		return 0;
	}
	if (r->state != REVISION_PUBLISHED && r->state != REVISION_HELD && r->state != REVISION_REJECTED)
		return 0;
	rc = lists_more(&q, &more, e);
	if (rc || more)
		return rc;
	w->arena = a;	/* a round asks about thousands of models: nothing of it is to stay until its end */
	if (r->state == REVISION_PUBLISHED)
		rc = ask_published(&q, out, why, e);
	else
		rc = ask_turned_down(&q, out, why, e);
	w->arena = outer;
	return rc;
}

int settled_off(struct work *w, int64_t model_id, struct arena *a, const char **state, const char **why, struct err *e)
{
	struct arena *outer = w->arena;
	struct lifecycle life;
	int rc = lifecycle_at(w->db, model_id, 0, w->policy, work_now(), a, &life, e);

	if (rc)
		return rc;
	w->arena = a;
	*why = judge_off(w, &life);
	w->arena = outer;
	*state = lifecycle_state_name(life.state);
	return 0;
}

int settled_at_ref(struct work *w, const struct revision *r, const char *ref, struct arena *a, bool *at_ref, struct err *e)
{
	struct model_ref *refs;
	size_t n = 0;
	int rc = ref ? model_refs(w->db, r->model_id, r->id, a, &refs, &n, e) : 0;

	*at_ref = !ref;
	for (size_t i = 0; i < n && !rc && !*at_ref; i++)
		*at_ref = !strcmp(refs[i].name, ref);
	return rc;
}

/* ---- two entries of one model ----------------------------------------------------------------------------------- */

#define SYNCS_LOOKED_AT 100

/* Does an entry select of this model what was planned last? Otherwise it was a person, or an entry that is gone or has been edited. */
static int is_of_entry(struct work *w, const char *planned, struct arena *a, bool *of_entry, struct err *e)
{
	struct mirror *list;
	size_t n;
	int rc = mirror_list(w->db, a, &list, &n, e);

	*of_entry = false;
	for (size_t i = 0; i < n && !rc && !*of_entry; i++) {
		struct plan_selection *s = arena_alloc(a, sizeof(*s));
		own(json) json_t *options = json_parse(list[i].options, strlen(list[i].options), "the entry's options", e);

		if (options && !mirror_covers(&list[i], options, w->job.repo, NULL))
			continue;
		rc = options ? plan_read_selection(s, options, a, e) : (int)e->code;
		*of_entry = !rc && !strcmp(s->text ? s->text : "", planned ? planned : "");
	}
	return rc;
}

/* Has a sync like this one gone to its end for this commit, not long ago? */
static int had_turn(struct work *w, const struct revision *r, struct arena *a, bool *had, struct err *e)
{
	struct job_filter f = { .kind = "sync", .repo = w->job.repo, .limit = SYNCS_LOOKED_AT };
	struct job *jobs;
	size_t n;
	int rc = job_list(w->db, &f, a, &jobs, &n, e);

	*had = false;
	for (size_t i = 0; i < n && !rc; i++) {
		own(json) json_t *result = NULL;

		if (!jobs[i].finished_at || strcmp(jobs[i].revision, w->job.revision) || strcmp(jobs[i].args, w->job.args))
			continue;
		result = jobs[i].result ? json_parse_lax(jobs[i].result, strlen(jobs[i].result), "a job's result", NULL) : NULL;
		*had = jobs[i].state == JOB_DONE && !strcmp(json_get_str_or(result, "revision", ""), r->commit) && llabs(work_now() - jobs[i].finished_at) < SETTLED_S;
		break;
	}
	return rc;
}

int settled_in_turns(struct work *w, const struct revision *r, bool *turns, struct err *e)
{
	own(arena) struct arena a = { 0 };
	const char *planned;
	int rc = model_selection(w->db, r->id, &a, &planned, e);

	*turns = false;
	if (!rc)
		rc = is_of_entry(w, planned, &a, turns, e);
	return rc || !*turns ? rc : had_turn(w, r, &a, turns, e);
}
