/* judge.c - see judge.h. */
#include "registryd/judge.h"

#include "base/json.h"
#include "catalog/event.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "registryd/bases.h"
#include "registryd/derive.h"
#include "registryd/facts.h"
#include "registryd/smoke.h"

static int smoke_if_asked(struct work *w, int64_t revision_id, const char *dir, struct err *e)
{
	struct policy_facts facts;
	struct revision r;
	struct model m;
	enum policy_smoke want;
	double max;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &r, e);

	if (!rc)
		rc = model_evidence(w->db, revision_id, w->arena, &facts, e);
	if (rc)
		return rc;
	want = policy_smoke_for(w->policy, m.name, r.task, &max);
	if (want == POLICY_SMOKE_NONE || facts.n_rejected || !facts.n_weight_files)
		return 0;	/* what the inspection rejects is not run */
	work_phase(w, "testing");
	rc = model_set_state(w->db, revision_id, REVISION_TESTING, NULL, work_now(), e);
	return rc ? rc : smoke_test(w, revision_id, dir, NULL, e);
}

const char *judge_off(struct work *w, const struct lifecycle *l)
{
	struct policy_lifecycle rules;

	policy_lifecycle(daemon_policy(w->d), &rules);
	if (!lifecycle_is_off(l, &rules))
		return NULL;
	return arena_printf(w->arena, "it is not served until `registryctl %s` takes that back%s%s", lifecycle_way_back(l),
			    l->reason ? "; the reason given: " : "", l->reason ? l->reason : "");
}

int judge_result(struct work *w, int64_t revision_id, const struct gate_outcome *g, struct err *e)
{
	const char *state = revision_state_name(g->state), *reason = g->reason, *off;
	struct lifecycle life = { 0 };
	struct revision r;
	struct model m;
	uint64_t held;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &r, e);

	if (!rc)
		rc = model_count(w->db, revision_id, FILES_HELD, &held, e);
	if (!rc)
		rc = lifecycle_at(w->db, m.id, revision_id, w->policy, work_now(), w->arena, &life, e);
	if (rc)
		return rc;
	/* Published says what the gate thinks; it is here in full, and all the same nobody gets it. */
	off = g->state == REVISION_PUBLISHED ? judge_off(w, &life) : NULL;
	if (off) {
		state = lifecycle_state_name(life.state);
		reason = off;
	}
	json_decref(w->result);
	w->result = json_pack("{s:s, s:s, s:s, s:s?, s:I, s:I, s:s, s:s}", "repo", m.name, "revision", r.commit, "state", state, "reason", reason,
			      "size_bytes", (json_int_t)r.size_bytes, "files", (json_int_t)held, "proof", proof_level_name(r.proof), "code",
			      !strcmp(state, "published") && !reason ? "ok" : "refused");
	return 0;
}

/* As known before it was judged this time, NULL: it never was; and what a person has said that it is, which holds until a person says otherwise. */
static int known_licence(struct work *w, int64_t revision_id, const char **known, const char **chosen, struct err *e)
{
	struct revision r;
	struct model m;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &r, e);

	if (rc)
		return rc;
	*known = r.license_source ? r.license : NULL;
	if (!*chosen && *known && !strcmp(r.license_source, "person"))
		*chosen = r.license;
	return 0;
}

/* The revision that is served until now, or else the one that was known before this one. ERR_NOT_FOUND: there is none. */
static int one_before(struct work *w, const struct model *m, int64_t revision_id, struct revision *before)
{
	struct revision *all;
	struct model same;
	size_t n;

	if (!model_find(w->db, m->name, NULL, MODEL_VISIBLE, w->arena, &same, before, NULL, NULL))
		return before->id == revision_id ? ERR_NOT_FOUND : 0;
	if (model_revisions(w->db, m->id, MODEL_ANY, w->arena, &all, &n, NULL))
		return ERR_NOT_FOUND;
	for (size_t i = 0; i < n; i++) {
		if (all[i].id == revision_id || !all[i].license_source)
			continue;
		*before = all[i];
		return 0;
	}
	return ERR_NOT_FOUND;
}

/* The licence differs from that of the revision before: worth an event, whatever the gate says. Once: a held revision may be judged again. */
static int note_licence(struct work *w, int64_t revision_id, const char *known, struct err *e)
{
	struct revision now, before;
	struct model m;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &now, e);

	if (rc || (known && !strcmp(known, now.license)) || one_before(w, &m, revision_id, &before) || !strcmp(before.license, now.license))
		return rc;
	return event_add(w->db, "upstream.license_changed", m.name, now.commit, json_pack("{s:s, s:s}", "from", before.license, "to", now.license), work_now(), e);
}

static bool card_id(struct work *w, int64_t revision_id, struct digest *id)
{
	struct model_file f;

	if (model_file(w->db, revision_id, "README.md", FILES_ALL, w->arena, &f, NULL) < 0)
		return false;
	*id = f.git_oid;
	return id->algo != DIGEST_NONE;
}

/* The card of a revision that is new here says something else than that of the one before. */
static int note_card(struct work *w, int64_t revision_id, struct err *e)
{
	struct revision now, before;
	struct digest card, other;
	struct model m;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &now, e);

	if (rc || one_before(w, &m, revision_id, &before) || !card_id(w, revision_id, &card) || !card_id(w, before.id, &other) || digest_equal(&card, &other))
		return rc;
	return event_add_once(w->db, "upstream.card_changed", m.name, now.commit, json_pack("{s:s}", "before", before.commit), work_now(), e);
}

int judge_documents(struct work *w, int64_t revision_id, const json_t *info, const json_t *inspection, const char *license, struct err *e)
{
	const char *known = NULL, *before;
	struct revision r;
	int rc = known_licence(w, revision_id, &known, &license, e);

	if (!rc)
		rc = model_revision(w->db, revision_id, w->arena, NULL, &r, e);
	if (rc)
		return rc;
	before = bases_standing(w->db, r.model_id, w->arena);
	rc = facts_derive(w, revision_id, info, inspection, license, e);
	if (!rc)
		rc = note_licence(w, revision_id, known, e);
	if (!rc && !known)
		rc = note_card(w, revision_id, e);
	return rc ? rc : derive_queue(w->db, r.model_id, before, w->arena, e);
}

/* What the files are and say, into the catalog. */
static int inspect(struct work *w, int64_t revision_id, const char *dir, const json_t *info, const char *license, struct err *e)
{
	own(json) json_t *report = NULL;
	int rc;

	work_phase(w, "inspecting");
	rc = smoke_inspect(w, revision_id, dir, &report, e);
	return rc ? rc : judge_documents(w, revision_id, info, report, license, e);
}

int judge_revision(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct err *e)
{
	struct gate_outcome g = { 0 };
	own(mem) char *dir = NULL;
	int rc = license ? gate_relicense(w, revision_id, info, license, &g, e) : 0;

	if (!rc && g.reason)
		rc = derive_mark_licence(w, revision_id, g.reason, e);
	if (rc || g.reason)
		return rc ? rc : judge_result(w, revision_id, &g, e);
	rc = model_set_state(w->db, revision_id, REVISION_VERIFYING, NULL, work_now(), e);
	if (!rc)
		rc = smoke_view_open(w, revision_id, &dir, e);
	if (!rc)
		rc = inspect(w, revision_id, dir, info, license, e);
	if (!rc)
		rc = smoke_if_asked(w, revision_id, dir, e);
	smoke_view_close(dir);
	if (!rc)
		rc = gate_conclude(w, revision_id, &g, e);
	if (!rc && g.state == REVISION_PUBLISHED)
		rc = derive_judge_licence(w, revision_id, e);
	return rc ? rc : judge_result(w, revision_id, &g, e);
}
