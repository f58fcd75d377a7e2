/* recheck.c - see recheck.h. */
#include "registryd/recheck.h"

#include <math.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "catalog/lost.h"
#include "catalog/model.h"
#include "catalog/recertify.h"
#include "registryd/bill.h"
#include "registryd/gate.h"
#include "registryd/loss.h"
#include "registryd/smoke.h"

#define VERIFY_FILES_MAX 1000000	/* good ones that a report names */

struct tally {
	int64_t same, differs, missing;
	uint64_t bytes;
	struct work_failures failures;
};

/* Bytes that are here again, put back by hand, end a loss. */
static int note_found(struct work *w, int64_t revision_id, const struct model_file *f, struct err *e)
{
	struct model_stored again = { f->path, f->sha256, f->size_bytes };

	return f->stored ? 0 : model_files_stored(w->db, revision_id, &again, 1, e);
}

/* One line of the report. A very long one goes on with what is wrong. */
static void report(struct work *w, struct tally *t, const char *repo, const char *commit, const char *path, const char *status)
{
	if (strcmp(status, "same") != 0 || t->same <= VERIFY_FILES_MAX)
		work_file(w, json_pack("{s:s*, s:s*, s:s, s:s}", "repo", repo, "revision", commit, "path", path, "status", status));
}

/* Everything has been asked for: what else has this content is as bad. */
static int report_sharers(struct work *w, struct tally *t, const struct digest *sha256, int64_t revision_id, const char *status, struct err *e)
{
	own(arena) struct arena a;
	struct lost_use *uses;
	size_t n;
	int rc;

	arena_init(&a);
	rc = lost_sharers(w->db, sha256, revision_id, &a, &uses, &n, e);
	for (size_t i = 0; !rc && i < n; i++) {
		t->differs += !strcmp(status, "differs");
		t->missing += !strcmp(status, "missing");
		report(w, t, uses[i].repo, uses[i].commit, uses[i].path, status);
	}
	return rc;
}

/* m: NULL where one revision was asked for. */
static int verify_file(struct work *w, const struct model *m, const struct revision *r, const struct model_file *f, struct tally *t, struct err *e)
{
	struct err why = ERR_NONE;
	const char *status = "same";
	uint64_t size = 0;
	int rc = store_rehash(w->store, &f->sha256, &size, &why);

	if (!rc && size != f->size_bytes)
		rc = err_set(&why, ERR_MISMATCH, "its size is %llu instead of %llu bytes", (unsigned long long)size, (unsigned long long)f->size_bytes);
	if (rc && rc != ERR_MISMATCH && rc != ERR_NOT_FOUND) {
		*e = why;
		return err_wrap(e, "read '%s'", f->path);
	}
	if (rc == ERR_MISMATCH)
		status = "differs";
	else if (rc)
		status = "missing";
	t->same += !rc;
	t->differs += rc == ERR_MISMATCH;
	t->missing += rc == ERR_NOT_FOUND;
	report(w, t, m ? m->name : NULL, m ? r->commit : NULL, f->path, status);
	if (!rc)
		return note_found(w, r->id, f, e);
	rc = loss_note(w->d, &f->sha256, rc == ERR_MISMATCH, why.msg, e);
	return rc || !m ? rc : report_sharers(w, t, &f->sha256, r->id, status, e);
}

/* What a revision should hold; after a loss the file is no longer "held", so the whole plan is asked, and what was read besides. */
static int verify_revision(struct work *w, const struct model *m, const struct revision *r, struct tally *t, struct err *e)
{
	own(walk) struct model_walk walk = { .db = w->db, .revision_id = r->id, .which = m ? FILES_FIRST : FILES_ALL };
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&walk, &f, e)) > 0) {
		if (f->sha256.algo == DIGEST_NONE || (!m && !f->wanted && !f->evidence))
			continue;
		rc = work_check(w, e);
		work_phase(w, "reading %s", f->path);
		if (!rc && verify_file(w, m, r, f, t, e))
			rc = work_failed(w, &t->failures, e);
		if (rc)
			return rc;
		t->bytes += f->size_bytes;
		work_done(w, t->bytes, (uint64_t)(t->same + t->differs + t->missing));
	}
	return rc;
}

/* Every content of the store, once: where the first revision has it, whatever its state. */
static int verify_all(struct work *w, struct tally *t, struct err *e)
{
	int64_t id = 0;
	int rc;

	while (!(rc = model_next_revision(w->db, id, &id, e)) && id) {
		own(arena) struct arena a;
		struct revision r;
		struct model m;

		arena_init(&a);
		rc = model_revision(w->db, id, &a, &m, &r, e);
		if (!rc)
			rc = verify_revision(w, &m, &r, t, e);
		if (rc)
			return rc;
	}
	return rc;
}

int recheck_verify_job(struct work *w, struct err *e)
{
	struct tally t = { 0 };
	struct revision r;
	struct model m;
	int rc;

	if (!*w->job.repo) {
		rc = verify_all(w, &t, e);
	} else {
		rc = model_find(w->db, w->job.repo, *w->job.revision ? w->job.revision : NULL, MODEL_ANY, w->arena, &m, &r, NULL, e);
		if (!rc)
			rc = verify_revision(w, NULL, &r, &t, e);
	}
	if (!rc)
		rc = work_failures(&t.failures, e);
	if (rc)
		return rc;
	work_file(w, NULL);
	w->result = json_pack("{s:I, s:I, s:I}", "same", (json_int_t)t.same, "differs", (json_int_t)t.differs, "missing", (json_int_t)t.missing);
	return 0;
}

/* ---- the test again -------------------------------------------------------------------------------------------- */

static json_t *real_or_null(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static json_t *smoke_json(const struct finding_smoke *s)
{
	char at[STR_TIME_MAX];
	json_t *reasons = json_parse(s->reasons, strlen(s->reasons), "reasons", NULL);

	str_format_iso(at, s->at);
	return json_pack("{s:s, s:s?, s:o, s:I, s:o, s:o, s:s}", "verdict", s->verdict, "device", s->device, "bits_per_byte", real_or_null(s->bits_per_byte), "prompt_tokens",
			 (json_int_t)s->prompt_tokens, "tokens_per_s", real_or_null(s->tokens_per_s), "reasons", reasons ? reasons : json_array(), "at", at);
}

/* What the test has against it now; NULL when it passes, or could not be made. *asked: the policy demands that it pass. */
static const char *no_longer_passes(const struct policy *p, const struct policy_facts *f, struct arena *a, bool *asked)
{
	struct policy_verdict *v = arena_alloc(a, sizeof(*v));

	*asked = true;
	policy_decide(p, f, work_now(), a, v);
	for (size_t i = 0; i < v->n_reasons; i++) {
		const struct policy_reason *r = &v->reasons[i];

		if (strcmp(r->rule, "smoke") != 0 || !r->objection || r->outcome == POLICY_HOLD)
			continue;
		*asked = r->outcome == POLICY_REJECT;
		return r->objection;
	}
	return NULL;
}

static int has_failed_before(struct work *w, int64_t revision_id, bool *has, struct err *e)
{
	struct policy_facts marked = { 0 };
	int rc = recertify_lived_with(w->db, revision_id, w->arena, &marked, e);

	*has = false;
	for (size_t i = 0; i < marked.n_lived_with && !rc; i++)
		*has |= !strcmp(marked.lived_with[i].rule, "smoke");
	return rc;
}

/* What is published and does not pass any more goes on, but everybody who pulls it is told; it may be the device and not the model. */
static int certify_again(struct work *w, const struct model *m, const struct revision *r, const struct finding_smoke *s, struct err *e)
{
	struct policy_facts facts;
	char quoted[LOG_QUOTE_MAX];
	const char *reason = NULL;
	bool changed, asked, known = false;
	double max;
	int rc = model_evidence(w->db, r->id, w->arena, &facts, e);

	if (rc || !strcmp(s->verdict, "error"))
		return rc;
	if (!strcmp(s->verdict, "not_run") && policy_smoke_for(daemon_policy(w->d), facts.repo, facts.task, &max) != POLICY_SMOKE_INSPECT)
		return rc;
	reason = no_longer_passes(daemon_policy(w->d), &facts, w->arena, &asked);
	if (reason && !asked && ((rc = has_failed_before(w, r->id, &known, e)) || !known))
		return rc;	/* nobody demands that it pass, and so it is not news; what is marked is not better for that */
	if (reason)
		reason = arena_printf(w->arena, "tested again on %s: %s", s->device ? s->device : "an unknown device", reason);
	rc = recertify_record(w->db, r->id, RECERTIFY_SMOKE, reason, work_now(), &changed, e);
	if (!rc && changed)
		log_event(LOG_WARNING, reason ? "smoke.regressed" : "smoke.recovered", "repo=%s revision=%s reason=%s", m->name, r->commit, log_quote(quoted, reason ? reason : ""));
	return rc;
}

/* A revision that waits for a decision gets one with the new evidence, unless it waits for its files. */
static int decide_again(struct work *w, struct revision *r, struct err *e)
{
	struct gate_outcome g;
	bool metadata;
	int rc = model_is_metadata(w->db, r->id, &metadata, e);

	if (rc || metadata || (r->state != REVISION_HELD && r->state != REVISION_REJECTED && r->state != REVISION_TESTING))
		return rc;
	rc = gate_conclude(w, r->id, &g, e);
	if (!rc)
		r->state = g.state;
	return rc;
}

/* It may have been taken off the doors since it was queued behind other work: then nobody needs the test. *state: what it is now. */
static int is_off(struct work *w, const struct model *m, const struct revision *r, const char **state, struct err *e)
{
	struct lifecycle life;
	int rc;

	*state = NULL;
	if (w->job.priority > JOB_BACKGROUND)
		return 0;	/* somebody asks for this one */
	rc = lifecycle_at(w->db, m->id, r->id, w->policy, work_now(), w->arena, &life, e);
	if (!rc && r->state != REVISION_PUBLISHED)
		*state = revision_state_name(r->state);
	else if (!rc && (life.retired_at || life.withdrawn_at))
		*state = lifecycle_state_name(life.state);
	return rc;
}

int recheck_smoke_job(struct work *w, struct err *e)
{
	struct finding_smoke s;
	const char *off;
	struct revision r;
	struct model m;
	char *dir = NULL;
	int rc;

	rc = model_find(w->db, w->job.repo, *w->job.revision ? w->job.revision : NULL, MODEL_ANY, w->arena, &m, &r, NULL, e);
	if (!rc)
		rc = is_off(w, &m, &r, &off, e);
	if (!rc && off) {
		w->result = json_pack("{s:s, s:s, s:s, s:n}", "revision", r.commit, "state", off, "reason", "not tested again: it is not served", "smoke");
		return 0;
	}
	if (!rc)
		rc = smoke_check_device(w->d, json_get_str(w->args, "device"), e);
	if (!rc)
		rc = smoke_view_open(w, r.id, &dir, e);
	if (rc)
		return rc;
	work_phase(w, "testing");
	rc = smoke_test(w, r.id, dir, json_get_str(w->args, "device"), e);
	smoke_view_close(dir);
	free(dir);
	if (!rc)
		rc = finding_last_smoke(w->db, r.id, w->arena, &s, e);
	if (!rc)
		rc = r.state == REVISION_PUBLISHED ? certify_again(w, &m, &r, &s, e) : decide_again(w, &r, e);
	if (rc)
		return rc;
	bill_note(w->d, r.id);
	w->result = json_pack("{s:s, s:s, s:o}", "revision", r.commit, "state", revision_state_name(r.state), "smoke", smoke_json(&s));
	return 0;
}

/* ---- when the machine has changed -------------------------------------------------------------------------------- */

static int queue_due(struct daemon *d, const struct recertify_platform *platform, int64_t now, size_t *n_queued, struct err *e)
{
	own(arena) struct arena a;
	struct recertify_due *due;
	size_t n;
	int rc;

	arena_init(&a);
	*n_queued = 0;
	rc = recertify_due(d->db, platform, now, RECHECK_BATCH, &a, &due, &n, e);
	for (size_t i = 0; i < n && !rc; i++) {
		struct job_new j = { .kind = "smoke", .repo = due[i].repo, .revision = due[i].commit, .args = "{}", .who = "schedule", .priority = JOB_BACKGROUND };
		bool existed;
		int64_t id;

		rc = job_enqueue(d->db, &j, now, &id, &existed, e);
		*n_queued += !rc && !existed;
	}
	return rc;
}

int recheck_queue_due(struct daemon *d, int64_t now, size_t *n_queued, struct err *e)
{
	own(json) json_t *report = NULL;
	own(mem) char *text = NULL;
	char device[LOG_QUOTE_MAX], quoted[LOG_QUOTE_MAX];
	bool any = false;
	int rc = recertify_any(d->db, &any, e);

	*n_queued = 0;
	if (rc || !any)
		return rc;
	rc = smoke_look(d, NULL, &report, e);
	if (rc)
		return rc;
	text = json_text(json_object_get(report, "platform"));
	log_event(LOG_INFO, "smoke.platform", "device=%s platform=%s", log_quote(device, json_get_str(report, "device")), log_quote(quoted, text));
	return queue_due(d, &(struct recertify_platform){ json_get_str(report, "device"), text }, now, n_queued, e);
}
