/* sync_plan.c - the preview of a sync: which files, how many bytes, which licence, and what the gate would say. See sync_impl.h. */
#include <math.h>

#include "base/json.h"
#include "base/vec.h"
#include "catalog/lifecycle.h"
#include "registryd/bases.h"
#include "registryd/documents.h"
#include "registryd/gate.h"
#include "registryd/judge.h"
#include "registryd/sync.h"
#include "registryd/sync_impl.h"
#include "verify/scan.h"

#define PLAN_TEXTS_MAX	  20
#define PLAN_ADAPTERS_MAX 20

/* Equal contents are fetched once. */
static bool counted_before(json_t *seen, const struct model_file *f)
{
	const struct digest *id = f->sha256.algo == DIGEST_NONE ? &f->git_oid : &f->sha256;
	char hex[DIGEST_HEX_MAX];

	digest_hex(hex, id);
	if (id->algo == DIGEST_NONE)
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

/* What a preview finds out. */
struct preview {
	struct revision here;		/* the revision in the catalog, id 0: it is not there */
	bool judged;			/* all that is planned is here and has been judged: what was found then is known */
	const char *obstacle;
	struct policy_facts facts;
	struct licence_answer licence;	/* facts point into it */
	uint64_t to_fetch, texts_to_fetch;	/* bytes; of the card and licences that are not wanted and read all the same */
};

static void plan_file(struct sync *s, const struct model_file *f, json_t *seen, struct preview *p)
{
	bool evidence = sync_is_evidence(s, f);
	struct digest sha256;
	bool here = (f->wanted || evidence) && sync_held(s, f, &sha256, NULL) == 1;
	uint64_t fetch = !(f->wanted || evidence) || here || counted_before(seen, f) ? 0 : f->size_bytes;

	work_file(s->w, json_pack("{s:s, s:I, s:b, s:s?, s:b}", "path", f->path, "size_bytes", (json_int_t)f->size_bytes, "wanted", f->wanted, "skip_reason", f->skip_reason,
				  "stored", here && f->wanted));
	*(f->wanted ? &p->to_fetch : &p->texts_to_fetch) += fetch;
	if (!f->wanted)
		return;
	p->facts.n_wanted++;
	p->facts.size_bytes += f->size_bytes;
	if (format_of_path(f->path))
		p->facts.formats |= FORMAT_BIT(format_of_path(f->path));
}

/* What the inspection will find for the names alone. */
static void plan_names(struct sync *s, struct policy_facts *facts)
{
	own(mem) const char **names = mem_zalloc((s->n_files + 1) * sizeof(*names));
	own(report) struct report found = { 0 };
	const struct report_finding *worst = NULL;
	size_t n = 0;

	report_init(&found);
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].wanted)
			names[n++] = s->files[i].path;
	scan_names(names, n, &found);
	for (size_t i = 0; i < found.n; i++)
		if (found.v[i].severity != REPORT_ACCEPT && (!worst || found.v[i].severity > worst->severity))
			worst = &found.v[i];
	if (!worst)
		return;
	*(worst->severity == REPORT_REJECT ? &facts->n_rejected : &facts->n_flagged) += 1;
	if (facts->worst_rule && worst->severity != REPORT_REJECT)
		return;
	facts->worst_path = arena_strdup(s->w->arena, worst->path ? worst->path : "");
	facts->worst_rule = worst->rule;
	facts->worst_message = arena_strdup(s->w->arena, worst->message);
}

static void plan_files(struct sync *s, struct preview *p)
{
	own(json) json_t *seen = json_object();

	for (size_t i = 0; i < s->n_files; i++)
		plan_file(s, &s->files[i], seen, p);
	work_file(s->w, NULL);
	plan_names(s, &p->facts);
}

static size_t next_wanted(const struct sync *s, size_t i)
{
	while (i < s->n_files && !s->files[i].wanted)
		i++;
	return i;
}

/* Are these the files that the catalog has of it, and are they all here? Both lists are in the order of their paths. */
static int same_files(struct sync *s, int64_t revision_id, bool *same, struct err *e)
{
	own(walk) struct model_walk w = { .db = s->w->db, .revision_id = revision_id, .which = FILES_WANTED };
	const struct model_file *f;
	size_t i = next_wanted(s, 0);
	int rc;

	*same = false;
	for (; (rc = model_walk_next(&w, &f, e)) > 0; i = next_wanted(s, i + 1))
		if (i == s->n_files || strcmp(s->files[i].path, f->path) || !f->stored)
			return 0;
	*same = !rc && i == s->n_files;
	return rc;
}

/* Is it published, and nothing of the selection left to fetch? */
static int is_served(struct sync *s, const struct revision *r, bool *served, struct err *e)
{
	struct model_file *files;
	const char *why;
	size_t n;
	int rc;

	*served = false;
	if (r->state != REVISION_PUBLISHED)
		return 0;
	rc = model_files(s->w->db, r->id, FILES_ALL, "", NULL, 0, &s->plan, &files, &n, e);
	*served = !rc && plan_left(&s->selection, s->w->policy, files, n, &why) == PLAN_DONE;
	return rc;
}

/* What was found and said of the revision when it was here before. What is published and lacks nothing of what is asked for has passed, and stays. */
static int recall(struct sync *s, struct preview *p, struct err *e)
{
	struct policy_facts known, *f = &p->facts;
	bool same;
	int rc = p->here.id ? same_files(s, p->here.id, &same, e) : 0;

	if (rc || !p->here.id)
		return rc;
	rc = is_served(s, &p->here, &f->is_published, e);
	if (!rc)
		rc = model_evidence(s->w->db, p->here.id, s->w->arena, &known, e);
	if (rc)
		return rc;
	p->judged = same && (p->here.state == REVISION_HELD || p->here.state == REVISION_REJECTED);
	if (p->judged)
		*f = known;
	if (f->is_published) {
		f->n_flagged = f->n_rejected = 0;
		f->n_wanted = known.n_wanted;
	}
	f->person = known.person;
	f->person_name = known.person_name;
	f->person_reason = known.person_reason;
	return 0;
}

/* A small file of the model as upstream has it now. False: it can't be had, and is looked at when the model is fetched. */
static bool plan_read(struct sync *s, const struct model_file *f, struct buf *body)
{
	own(mem) char *url = hub_resolve_url(s->hub, s->name, s->info.sha, f->path);
	struct hub_call call = { .url = url, .what = f->path, .repo = s->name, .bucket = HUB_RESOLVE, .tries = 1, .stop = &s->w->stop };
	own(answer) struct net_answer a = { 0 };
	struct err e = ERR_NONE;

	return f->size_bytes <= DOCUMENTS_BYTES_MAX && hub_call(s->hub, &call, &a, body, &e) == 0;
}

static void plan_text(struct sync *s, const struct model_file *f, struct plan_texts *t)
{
	own(buf) struct buf body;

	buf_init(&body, DOCUMENTS_BYTES_MAX);
	if (!plan_read(s, f, &body))
		return;
	t->v[t->n] = (struct licence_text){ .path = arena_strdup(s->w->arena, f->path), .linked = s->linked && !strcmp(s->linked, f->path), .unread = documents_unreadable(&body) };
	licence_read_file(f->path, body.data, body.len, s->w->arena, &t->v[t->n++]);
}

static void plan_adapter(struct sync *s, const struct model_file *f, struct plan_texts *t)
{
	own(buf) struct buf body;

	buf_init(&body, DOCUMENTS_BYTES_MAX);
	if (plan_read(s, f, &body))
		bases_add_adapter(&t->bases, body.data, body.len, s->w->arena);
}

/* The licence texts are small, and say what a card may not; so are the configurations of adapters, which name their bases. */
static void plan_texts(struct sync *s, struct plan_texts *t)
{
	for (size_t i = 0; i < s->n_files; i++) {
		if (sync_is_licence(s, &s->files[i]) && t->n < PLAN_TEXTS_MAX)
			plan_text(s, &s->files[i], t);
		else if (bases_is_adapter(s->files[i].path) && t->n_adapters++ < PLAN_ADAPTERS_MAX)
			plan_adapter(s, &s->files[i], t);
	}
}

/* The licence as upstream's own reading of the card says, the texts, and the base models. */
static int plan_licence(struct sync *s, struct preview *p, struct plan_texts *texts, struct err *e)
{
	own(json) json_t *asked = NULL;
	int rc = bases_ask(s->w, s->hub, s->info.doc, &asked, &texts->bases, e);
	struct licence_claims c;

	bases_upstream_claims(s->info.doc, s->w->arena, &c);
	c.repo = s->name;
	if (p->here.id && p->here.license_source && !strcmp(p->here.license_source, "person"))
		c.chosen = p->here.license;
	c.texts = texts->v;
	c.n_texts = texts->n;
	c.bases = texts->bases.v;
	c.n_bases = texts->bases.n;
	licence_resolve(&c, s->w->arena, &p->licence);
	p->facts.license = p->licence.id;
	p->facts.license_said = licence_said(p->licence.name, s->w->arena);
	p->facts.license_conflicts = p->licence.conflicts;
	p->facts.n_license_conflicts = p->licence.n_conflicts;
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

/* What is known here of the model may stand in the way of all of it: it comes from elsewhere, or has been taken off the doors. */
static int find_obstacle(struct sync *s, struct preview *p, struct err *e)
{
	struct lifecycle life = { 0 };
	struct revision *r = &p->here;
	struct model m, same;
	int rc;

	if (!sync_find_here(s, &m))
		return find_off(s, &p->facts, e);
	if (strcmp(m.upstream, s->hub->config.name))
		return err_set(e, ERR_CONFLICT, "%s is here from '%s', and can't come from upstream '%s' too", m.name, m.upstream, s->hub->config.name);
	s->model_id = m.id;	/* what of it is here is not fetched again */
	s->here = m.name;
	if (model_find(s->w->db, s->here, s->info.sha, MODEL_ANY, s->w->arena, &same, r, NULL, NULL))
		r->id = 0;
	rc = lifecycle_at(s->w->db, m.id, r->id, s->w->policy, work_now(), s->w->arena, &life, e);
	if (!rc)
		p->obstacle = judge_off(s->w, &life);
	return rc || (r->id && r->state == REVISION_PUBLISHED) ? rc : find_off(s, &p->facts, e);
}

/* All that the gate would be asked about, as far as it can be known. */
static int gather(struct sync *s, struct preview *p, struct err *e)
{
	struct plan_texts texts = { .n = 0 };
	int rc = sync_check_name(s, e);

	if (!rc)
		rc = find_obstacle(s, p, e);
	if (!rc)
		rc = sync_list(s, e);
	if (rc)
		return rc;
	sync_make_plan(s);
	plan_texts(s, &texts);
	plan_files(s, p);
	rc = recall(s, p, e);
	sync_forget_plan(s);
	if (!rc)
		rc = plan_licence(s, p, &texts, e);
	p->facts.repo = s->here;
	if (!p->judged) {
		p->facts.task = json_get_str(s->info.doc, "pipeline_tag");
		p->facts.modified_at = s->info.last_modified;
	}
	return rc ? rc : gate_preview_quota(s->w, s->here, p->to_fetch, &p->facts, e);
}

static json_t *reason(const char *rule, enum policy_outcome outcome, const char *text)
{
	return json_pack("{s:s, s:s, s:s}", "rule", rule, "outcome", policy_outcome_name(outcome), "reason", text);
}

int sync_plan_job(struct work *w, struct err *e)
{
	own(sync) struct sync s = { 0 };
	struct preview p = { .facts = { .bits_per_byte = NAN } };
	own(json) json_t *reasons = json_array();
	struct policy_verdict verdict;
	int rc = sync_begin(&s, w, e);

	if (!rc)
		rc = gather(&s, &p, e);
	if (rc)
		return rc;
	(p.judged ? policy_decide : policy_preview)(w->policy, &p.facts, work_now(), w->arena, &verdict);
	for (size_t i = 0; i < verdict.n_reasons; i++)
		json_array_append_new(reasons, reason(verdict.reasons[i].rule, verdict.reasons[i].outcome, verdict.reasons[i].text));
	if (p.obstacle)
		json_array_append_new(reasons, reason("lifecycle", POLICY_REJECT, p.obstacle));
	w->result = json_pack("{s:s, s:s, s:s, s:I, s:I, s:{s:s, s:O}}", "repo", s.here, "revision", s.info.sha, "license", p.facts.license, "size_bytes",
			      (json_int_t)p.facts.size_bytes, "fetch_bytes", (json_int_t)(p.to_fetch + p.texts_to_fetch), "gate", "outcome",
			      policy_outcome_name(p.obstacle ? POLICY_REJECT : verdict.outcome), "reasons", reasons);
	return 0;
}
