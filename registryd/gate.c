/* gate.c - see gate.h. Deciding itself is catalog/policy's, a pure function; here is what it is asked about. */
#include "registryd/gate.h"

#include "catalog/finding.h"
#include "catalog/retention.h"
#include "registryd/bill.h"
#include "registryd/derive.h"
#include "registryd/documents.h"
#include "registryd/loss.h"
#include "registryd/quota.h"

int gate_preview_quota(struct work *w, const char *repo, uint64_t new_bytes, struct policy_facts *f, struct err *e)
{
	const char *slash = strchr(repo, '/');
	int rc;

	f->author = arena_strndup(w->arena, repo, slash ? (size_t)(slash - repo) : 0);
	if (!policy_has_quotas(w->policy))
		return 0;
	rc = retention_namespace_bytes(w->db, f->author, &f->namespace_bytes, e);
	f->namespace_bytes += rc ? 0 : new_bytes;
	return rc;
}

int gate_check_store(struct daemon *d, int64_t revision_id, struct err *e)
{
	own(walk) struct model_walk w = { .db = d->db, .revision_id = revision_id, .which = FILES_WANTED };
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&w, &f, e)) > 0) {
		struct err why = ERR_NONE;
		int has = f->stored ? store_has(d->store, &f->sha256, f->size_bytes, &why) : 1;	/* what was never here the catalog knows */

		if (has == 1)
			continue;
		if (has < 0 && has != ERR_MISMATCH) {
			*e = why;
			return has;
		}
		rc = loss_note(d, &f->sha256, has < 0, has < 0 ? why.msg : "it is no longer in the store", e);
		return rc ? rc : err_set(e, ERR_CONFLICT, "'%.300s' is %s in the store: sync it again", f->path, has ? "damaged" : "no longer");
	}
	return rc;
}

/* What the policy says of it now. Strings live in w->arena. */
static int ask_policy(struct work *w, int64_t revision_id, struct policy_facts *facts, struct policy_verdict *verdict, struct err *e)
{
	const struct policy *p = daemon_policy(w->d);	/* not the job's: hours may lie between */
	int rc = model_evidence(w->db, revision_id, w->arena, facts, e);

	if (!rc && policy_has_quotas(p))
		rc = retention_bytes_with(w->db, revision_id, w->arena, &facts->author, &facts->namespace_bytes, e);
	if (!rc)
		policy_decide(p, facts, work_now(), w->arena, verdict);
	return rc;
}

int gate_may_differ(struct work *w, int64_t revision_id, bool *differs, struct err *e)
{
	struct policy_verdict *v = arena_alloc(w->arena, sizeof(*v));
	struct policy_facts facts;
	int rc = ask_policy(w, revision_id, &facts, v, e);

	*differs = !rc && (v->outcome == POLICY_PUBLISH || (facts.smoke && !strcmp(facts.smoke, "error")));
	return rc;
}

const char *gate_word_on_licence(const struct policy_verdict *v)
{
	for (size_t i = 0; v->outcome != POLICY_PUBLISH && i < v->n_reasons; i++)
		if (!strcmp(v->reasons[i].rule, "license") && v->reasons[i].outcome != POLICY_PUBLISH)
			return v->reasons[i].text;
	return NULL;
}

/* What the licence would be with this word of a person, and nothing of it is recorded. */
static int licence_if(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct policy_facts *facts, struct err *e)
{
	struct documents *d = arena_alloc(w->arena, sizeof(*d));
	struct licence_answer *answer = arena_alloc(w->arena, sizeof(*answer));
	int rc;

	*d = (struct documents){ .w = w, .revision_id = revision_id, .info = info };
	rc = documents_read(d, e);
	if (!rc) {
		documents_licence(d, license, answer);
		facts->license = answer->id;
		facts->license_said = licence_said(answer->name, w->arena);
		facts->license_conflicts = answer->conflicts;
		facts->n_license_conflicts = answer->n_conflicts;
		facts->license_unread = documents_terms_elsewhere(d, answer->id);
	}
	documents_done(d);
	return rc;
}

int gate_relicense(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct gate_outcome *out, struct err *e)
{
	struct policy_verdict *v = arena_alloc(w->arena, sizeof(*v));
	struct policy_facts facts;
	struct revision r;
	int rc = model_revision(w->db, revision_id, w->arena, NULL, &r, e);

	*out = (struct gate_outcome){ 0 };
	if (rc || r.state != REVISION_PUBLISHED)
		return rc;
	rc = model_evidence(w->db, revision_id, w->arena, &facts, e);
	if (!rc)
		rc = licence_if(w, revision_id, info, license, &facts, e);
	if (rc)
		return rc;
	policy_decide(daemon_policy(w->d), &facts, work_now(), w->arena, v);
	out->state = r.state;
	out->reason = gate_word_on_licence(v);
	if (!out->reason)
		return 0;
	v->summary = out->reason;
	return model_conclude(w->db, revision_id, v, work_now(), e);
}

/* Two that fit one by one are not both let in beside each other. */
static int decide(struct work *w, int64_t revision_id, struct policy_verdict *verdict, struct err *e)
{
	struct policy_facts facts;
	int rc;

	quota_lock(w->d->quota);
	rc = ask_policy(w, revision_id, &facts, verdict, e);
	if (!rc)
		rc = model_conclude(w->db, revision_id, verdict, work_now(), e);
	quota_unlock(w->d->quota);
	return rc;
}

int gate_conclude(struct work *w, int64_t revision_id, struct gate_outcome *out, struct err *e)
{
	struct policy_verdict verdict;
	struct revision r;
	const char *before;
	int rc = model_revision(w->db, revision_id, w->arena, NULL, &r, e);

	if (rc)
		return rc;
	before = bases_standing(w->db, r.model_id, w->arena);
	rc = decide(w, revision_id, &verdict, e);
	if (!rc)
		rc = derive_queue(w->db, r.model_id, before, w->arena, e);
	if (!rc)
		rc = model_revision(w->db, revision_id, w->arena, NULL, &r, e);
	if (rc)
		return rc;
	bill_note(w->d, revision_id);
	out->state = r.state;
	out->reason = verdict.outcome == POLICY_PUBLISH ? NULL : verdict.summary;
	return 0;
}

int gate_reject(struct work *w, int64_t revision_id, const char *inspector, const char *rule, const char *path, const char *why, struct err *e)
{
	struct policy_verdict verdict = { .outcome = POLICY_REJECT, .reasons = { { .rule = rule, .outcome = POLICY_REJECT, .text = why } }, .n_reasons = 1, .summary = why };
	struct finding f = { path, rule, FINDING_REJECT, why };
	int rc = finding_record(w->db, revision_id, inspector, NULL, 0, &f, 1, true, work_now(), e);

	return rc ? rc : model_conclude(w->db, revision_id, &verdict, work_now(), e);
}
