/* sync_plan.c - the preview of a sync: which files, how many bytes, which licence, and what the gate would say. See sync_impl.h. */
#include <math.h>

#include "base/json.h"
#include "catalog/lifecycle.h"
#include "registryd/bases.h"
#include "registryd/gate.h"
#include "registryd/judge.h"
#include "registryd/sync.h"
#include "registryd/sync_impl.h"

#define PLAN_TEXTS_MAX	  20
#define PLAN_ADAPTERS_MAX 20

/* Equal contents are fetched once. */
static bool counted_before(json_t *seen, const struct model_file *f)
{
	const struct digest *id = f->sha256.algo == DIGEST_NONE ? &f->git_oid : &f->sha256;
	char hex[DIGEST_HEX_MAX];

	digest_hex(hex, id);
	if (id->algo == DIGEST_NONE || !f->wanted)
		return false;
	if (json_object_get(seen, hex))
		return true;
	json_object_set_new(seen, hex, json_true());
	return false;
}

struct plan_texts {
	struct licence_text v[PLAN_TEXTS_MAX];
	size_t n, n_adapters;
	struct bases bases;
};

static void plan_files(struct sync *s, uint64_t *total, uint64_t *to_fetch, unsigned *formats)
{
	own(json) json_t *seen = json_object();

	for (size_t i = 0; i < s->n_files; i++) {
		struct model_file *f = &s->files[i];
		struct digest sha256;
		bool here = f->wanted && sync_held(s, f, &sha256, NULL) == 1;

		work_file(s->w, json_pack("{s:s, s:I, s:b, s:s?, s:b}", "path", f->path, "size_bytes", (json_int_t)f->size_bytes, "wanted", f->wanted, "skip_reason", f->skip_reason,
					  "stored", here));
		if (!f->wanted)
			continue;
		*total += f->size_bytes;
		*to_fetch += here || counted_before(seen, f) ? 0 : f->size_bytes;
		if (format_of_path(f->path))
			*formats |= FORMAT_BIT(format_of_path(f->path));
	}
	work_file(s->w, NULL);
	sync_forget_plan(s);
}

/* A small file of the model as upstream has it now. False: it can't be had, and is looked at when the model is fetched. */
static bool plan_read(struct sync *s, const struct model_file *f, struct buf *body)
{
	own(mem) char *url = hub_resolve_url(s->hub, s->name, s->info.sha, f->path);
	struct hub_call call = { .url = url, .what = f->path, .repo = s->name, .bucket = HUB_RESOLVE, .tries = 1, .stop = &s->w->stop };
	own(answer) struct net_answer a = { 0 };
	struct err e = ERR_NONE;

	return f->size_bytes <= GATE_DOCUMENT_MAX && hub_call(s->hub, &call, &a, body, &e) == 0;
}

static void plan_text(struct sync *s, const struct model_file *f, struct plan_texts *t)
{
	own(buf) struct buf body;

	buf_init(&body, GATE_DOCUMENT_MAX);
	if (!plan_read(s, f, &body))
		return;
	t->v[t->n] = (struct licence_text){ .path = arena_strdup(s->w->arena, f->path), .linked = s->linked && !strcmp(s->linked, f->path), .unread = gate_unreadable(&body) };
	licence_read_file(f->path, body.data, body.len, s->w->arena, &t->v[t->n++]);
}

static void plan_adapter(struct sync *s, const struct model_file *f, struct plan_texts *t)
{
	own(buf) struct buf body;

	buf_init(&body, GATE_DOCUMENT_MAX);
	if (plan_read(s, f, &body))
		bases_add_adapter(&t->bases, body.data, body.len, s->w->arena);
}

/* The licence texts are small, and say what a card may not; so are the configurations of adapters, which name their bases. */
static void plan_texts(struct sync *s, struct plan_texts *t)
{
	for (size_t i = 0; i < s->n_files; i++) {
		if (sync_is_licence(s, s->files[i].path) && t->n < PLAN_TEXTS_MAX)
			plan_text(s, &s->files[i], t);
		else if (bases_is_adapter(s->files[i].path) && t->n_adapters++ < PLAN_ADAPTERS_MAX)
			plan_adapter(s, &s->files[i], t);
	}
}

/* The licence as upstream's own reading of the card says, the texts, and the base models. */
static int plan_licence(struct sync *s, struct plan_texts *texts, struct licence_answer *answer, struct err *e)
{
	own(json) json_t *asked = NULL;
	int rc = bases_ask(s->w, s->hub, s->info.doc, &asked, &texts->bases, e);
	struct licence_claims c;

	bases_upstream_claims(s->info.doc, s->w->arena, &c);
	c.repo = s->name;
	c.texts = texts->v;
	c.n_texts = texts->n;
	c.bases = texts->bases.v;
	c.n_bases = texts->bases.n;
	licence_resolve(&c, s->w->arena, answer);
	return rc;
}

/* What is withdrawn or rejected under another name is held. */
static int find_off(struct sync *s, struct policy_facts *facts, struct err *e)
{
	struct model_off off;
	int rc = model_off(s->w->db, s->model_id, s->info.sha, *s->info.key ? s->info.key : NULL, s->w->arena, &off, e);

	if (!rc && off.why) {
		facts->n_flagged = 1;
		facts->worst_path = "";
		facts->worst_rule = off.rule;
		facts->worst_message = off.why;
	}
	return rc;
}

/* What is known here of the model may stand in the way of all of it: it comes from elsewhere, or has been taken off the doors. *why: the sentence, or NULL. */
static int find_obstacle(struct sync *s, struct policy_facts *facts, const char **why, struct err *e)
{
	struct lifecycle life = { 0 };
	struct revision r = { 0 };
	struct model m, same;
	int rc;

	*why = NULL;
	if (model_find_repo(s->w->db, s->name, s->w->arena, &m, NULL))
		return find_off(s, facts, e);
	if (strcmp(m.upstream, s->hub->config.name))
		return err_set(e, ERR_CONFLICT, "%s is here from '%s', and can't come from upstream '%s' too", m.name, m.upstream, s->hub->config.name);
	s->model_id = m.id;	/* what of it is here is not fetched again */
	if (model_find(s->w->db, s->name, s->info.sha, MODEL_ANY, s->w->arena, &same, &r, NULL, NULL))
		r.id = 0;
	rc = lifecycle_at(s->w->db, m.id, r.id, work_now(), s->w->arena, &life, e);
	if (!rc)
		*why = judge_off(s->w, &life);
	return rc || (r.id && r.state == REVISION_PUBLISHED) ? rc : find_off(s, facts, e);
}

int sync_plan_job(struct work *w, struct err *e)
{
	own(sync) struct sync s = { 0 };
	struct policy_verdict verdict;
	struct licence_answer answer;
	struct policy_facts facts = { .bits_per_byte = NAN };
	struct plan_texts texts = { .n = 0 };
	const char *obstacle;
	uint64_t total = 0, to_fetch = 0;
	own(json) json_t *reasons = json_array();
	int rc = sync_begin(&s, w, e);

	if (!rc)
		rc = sync_check_name(&s, e);
	if (!rc)
		rc = find_obstacle(&s, &facts, &obstacle, e);
	if (!rc)
		rc = sync_list(&s, e);
	if (rc)
		return rc;
	sync_make_plan(&s);
	plan_texts(&s, &texts);
	plan_files(&s, &total, &to_fetch, &facts.formats);
	facts.repo = s.name;
	rc = plan_licence(&s, &texts, &answer, e);
	if (rc)
		return rc;
	facts.license = answer.id;
	facts.license_conflicts = answer.conflicts;
	facts.n_license_conflicts = answer.n_conflicts;
	facts.size_bytes = total;
	facts.task = json_get_str(s.info.doc, "pipeline_tag");
	facts.modified_at = s.info.last_modified;
	rc = gate_preview_quota(w, s.name, to_fetch, &facts, e);
	if (rc)
		return rc;
	policy_preview(w->policy, &facts, work_now(), w->arena, &verdict);
	for (size_t i = 0; i < verdict.n_reasons; i++)
		json_array_append_new(reasons, json_pack("{s:s, s:s, s:s}", "rule", verdict.reasons[i].rule, "outcome", policy_outcome_name(verdict.reasons[i].outcome), "reason",
							 verdict.reasons[i].text));
	if (obstacle)
		json_array_append_new(reasons, json_pack("{s:s, s:s, s:s}", "rule", "lifecycle", "outcome", policy_outcome_name(POLICY_REJECT), "reason", obstacle));
	w->result = json_pack("{s:s, s:s, s:s, s:I, s:I, s:{s:s, s:O}}", "repo", s.name, "revision", s.info.sha, "license", facts.license, "size_bytes", (json_int_t)total,
			      "fetch_bytes", (json_int_t)to_fetch, "gate", "outcome", policy_outcome_name(obstacle ? POLICY_REJECT : verdict.outcome), "reasons", reasons);
	return 0;
}
