/* sync.c - see sync.h. */
#include "registryd/sync.h"

#include <ctype.h>
#include <malloc.h>

#include "base/json.h"
#include "base/log.h"
#include "base/vec.h"
#include "catalog/event.h"
#include "catalog/finding.h"
#include "registryd/bases.h"
#include "registryd/derive.h"
#include "registryd/documents.h"
#include "registryd/judge.h"
#include "registryd/mirror.h"
#include "registryd/quota.h"
#include "registryd/room.h"
#include "registryd/settled.h"
#include "registryd/sync_impl.h"

#define SPACE_WAIT_S	 300	/* how soon a sync looks again whether there is room */
#define PROVE_EVERY_S	 86400	/* how often the clock asks git about what is served without its proof */
#define SHORT_COMMIT_MIN 7

/* The plan is in the catalog: a listing of 100,000 files is not held beside what comes next. */
void sync_forget_plan(struct sync *s)
{
	hub_tree_done(&s->tree);
	hub_tree_init(&s->tree);
	arena_done(&s->plan);
	s->files = NULL;
	s->n_files = 0;
	malloc_trim(0);	/* what it lay in is scattered, and the rest of the job may take hours */
}

/* Everything is here. */
static void forget_missing(struct sync *s)
{
	arena_done(&s->missing);
	free(take(s->wanted));
	s->n_wanted = s->cap_wanted = 0;
	malloc_trim(0);
}

void own_sync(struct sync *s)
{
	hub_revision_done(&s->info);
	gitproof_done(&s->proof);
	sync_forget_plan(s);
	forget_missing(s);
}

/* A ref as asked for, by its short name: NULL for what stands for the default branch, and a commit's id in lower case. */
static const char *read_ref(const char *text, struct arena *a)
{
	char *ref = arena_strdup(a, str_starts(text, "refs/heads/") ? text + strlen("refs/heads/") : str_starts(text, "refs/tags/") ? text + strlen("refs/tags/") : text);

	if (!*ref || !strcmp(ref, "HEAD"))
		return NULL;
	if (strlen(ref) == 40 && strspn(ref, "0123456789abcdefABCDEF") == 40)
		for (char *p = ref; *p; p++)
			*p = (char)tolower((unsigned char)*p);
	return ref;
}

/* ---- ask ------------------------------------------------------------------------------------------------------- */

int sync_begin(struct sync *s, struct work *w, struct err *e)
{
	int rc;

	s->w = w;
	hub_tree_init(&s->tree);
	s->repo = w->job.repo;
	s->ref = read_ref(w->job.revision, w->arena);
	s->hub = work_hub(w, json_get_str(w->args, "upstream"), e);
	if (!s->hub)
		return e->code;
	rc = plan_read_selection(&s->selection, w->args, w->arena, e);
	if (rc)
		return rc;
	work_phase(w, "asking %s", s->hub->config.endpoint);
	rc = hub_get_revision(s->hub, s->repo, s->ref ? s->ref : "main", &w->stop, &s->info, e);	/* not what another registry shows where it has no main */
	if (rc) {
		sync_note_gone(s, e);
		return rc;
	}
	s->here = s->name = arena_strdup(w->arena, s->info.id);
	s->linked = documents_linked_text(NULL, s->info.doc, s->repo, w->arena);
	if (s->ref && strlen(s->ref) >= SHORT_COMMIT_MIN && str_is_hex(s->ref, strlen(s->ref)) && str_starts(s->info.sha, s->ref))
		s->ref = s->info.sha;	/* the beginning of a commit's id is no branch */
	return 0;
}

/* ---- plan ------------------------------------------------------------------------------------------------------ */

static int refuse_disabled(struct sync *s, struct err *e)
{
	return s->info.disabled ? err_set(e, ERR_REFUSED, "%s is disabled upstream", s->name) : 0;
}

/* The Hub shows the listing of a gated model to everybody, with asterisks for hashes. */
static int refuse_masked(struct sync *s, struct err *e)
{
	for (size_t i = 0; i < s->tree.n_files; i++) {
		const char *path = s->tree.files[i].path;

		if (s->tree.files[i].masked && !plan_why_not(&s->selection, path))
			return hub_explain_gated(s->hub, s->name, arena_printf(s->w->arena, "the listing hides the hash of '%.200s' behind asterisks", path), &s->w->stop, e);
	}
	return 0;
}

int sync_list(struct sync *s, struct err *e)
{
	int rc = refuse_disabled(s, e);

	if (rc)
		return rc;
	work_phase(s->w, "listing %s@%.12s", s->name, s->info.sha);
	rc = hub_get_tree(s->hub, s->name, s->info.sha, &s->w->stop, &s->tree, e);
	s->n_listed = s->tree.n_files;
	return rc ? rc : refuse_masked(s, e);
}

/* Git's objects have vouched for this listing, and a commit never changes: upstream need not be asked for either again, unless what it sent was refuted. */
static int list_known(struct sync *s, bool *known, struct err *e)
{
	struct revision r;
	int rc;

	*known = false;
	if (!s->revision_id)
		return 0;
	rc = model_revision(s->w->db, s->revision_id, s->w->arena, NULL, &r, e);
	if (rc || r.proof != PROOF_COMMIT || r.state == REVISION_REJECTED)
		return rc;
	rc = refuse_disabled(s, e);
	if (!rc)
		rc = model_files(s->w->db, r.id, FILES_ALL, "", NULL, 0, &s->plan, &s->files, &s->n_files, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < s->n_files; i++)
		if (!s->files[i].lfs)
			s->files[i].sha256 = (struct digest){ 0 };	/* it is we who know it */
	plan_decide(&s->selection, s->w->policy, s->files, s->n_files);
	s->n_listed = s->n_files;
	*known = s->proven = true;
	return 0;
}

/* What it is made from is let go. */
void sync_make_plan(struct sync *s)
{
	plan_from_tree(&s->tree, &s->selection, s->w->policy, &s->plan, &s->files, &s->n_files);
	hub_tree_keep_paths(&s->tree);
}

static int keep_facts(struct sync *s, struct err *e)
{
	int rc = model_keep_document(s->w->db, s->revision_id, DOCUMENT_INFO, "", s->info.raw, s->info.raw_bytes, work_now(), e);

	if (!rc && !buf_failed(&s->tree.raw) && s->tree.raw.len && s->tree.raw.len < MODEL_DOCUMENT_MAX)
		rc = model_keep_document(s->w->db, s->revision_id, DOCUMENT_TREE, "", s->tree.raw.data, s->tree.raw.len, work_now(), e);
	return rc;
}

/* What upstream says of the models that this one was made from, for its licence; and where its files may be found. */
static int keep_bases(struct sync *s, struct err *e)
{
	const char *repos[BASES_MAX];
	own(json) json_t *asked = NULL;
	own(mem) char *text = NULL;
	struct bases all = { .n = 0 };
	int rc = bases_ask(s->w, s->hub, s->info.doc, &asked, &all, e);

	for (size_t i = 0; i < all.n_own && !rc; i++)
		repos[i] = all.v[i].repo;
	if (!rc)
		rc = model_kin(s->w->db, s->revision_id, repos, all.n_own, &s->kin, e);
	if (rc || (!json_object_size(asked) && !bases_unanswered(s->w, s->revision_id)))
		return rc;
	text = json_text(asked);
	return model_keep_document(s->w->db, s->revision_id, DOCUMENT_PROOF, BASES_DOCUMENT, text, strlen(text), work_now(), e);
}

static int record_plan(struct sync *s, bool *changed, struct err *e)
{
	struct model_plan p = {
		.model_id = s->model_id,
		.commit = s->info.sha,
		.ref = sync_served_ref(s),
		.title = *s->proof.title ? s->proof.title : NULL,
		.commit_at = s->proof.commit_at ? s->proof.commit_at : s->proven ? 0 : s->info.last_modified,
		.upstream_key = *s->info.key && !s->selection.metadata_only ? s->info.key : NULL,	/* millions may be kept so, and none is ever served */
		.selection = s->selection.text,
		.files = s->files,
		.n_files = s->n_files,
	};
	const char *before = bases_standing(s->w->db, s->model_id, s->w->arena);
	int rc = model_plan(s->w->db, &p, work_now(), &s->revision_id, changed, e);

	if (!rc)
		rc = derive_queue(s->w->db, s->model_id, before, s->w->arena, e);
	if (!rc)
		rc = keep_facts(s, e);
	if (!rc)
		rc = keep_bases(s, e);
	sync_forget_plan(s);
	return rc;
}

static int count_totals(struct sync *s, struct err *e)
{
	struct model_sum sum;
	int rc = model_sum(s->w->db, s->revision_id, &sum, e);

	if (rc)
		return rc;
	s->have_bytes = sum.stored_bytes;
	s->have_files = sum.stored_files;
	work_totals(s->w, sum.bytes + s->evidence_bytes, sum.files + s->evidence_files);
	work_done(s->w, s->have_bytes, s->have_files);
	return 0;
}

/* ---- fetch ----------------------------------------------------------------------------------------------------- */

/* These contents are in the store: every file that was to have one of them is stored now. */
static int on_stored(void *arg, const struct fetch_file *const *files, size_t n, struct err *e)
{
	struct sync *s = arg;
	const struct fetch_file *end = s->wanted + s->n_wanted;
	struct model_stored *list = NULL;
	size_t n_list = 0, cap = 0;
	int rc;

	for (size_t i = 0; i < n; i++) {
		const struct fetch_file *f = files[i];

		room_wrote(s->w->d->room, s->room, f);
		do
			*vec_push(&list, &n_list, &cap) = (struct model_stored){ f->path, files[i]->id, f->size_bytes };
		while (++f < end && f->same);
		s->fetched_bytes += files[i]->size_bytes;
	}
	rc = model_files_stored(s->w->db, s->revision_id, list, n_list, e);
	s->have_files += n_list;
	free(list);
	return rc;
}

static bool on_progress(void *arg, uint64_t bytes, const char *path)
{
	struct sync *s = arg;

	work_done(s->w, s->have_bytes + bytes, s->have_files);
	if (path)
		work_phase(s->w, "fetching %s", path);
	return atomic_load(&s->w->stop);
}

static int fetch(struct sync *s, struct err *e)
{
	struct fetch f = {
		.hub = s->hub,
		.store = s->w->store,
		.pool = s->w->pool,
		.repo = s->name,
		.commit = s->info.sha,
		.files = s->wanted,
		.n_files = s->n_wanted,
		.max_large = (int)s->w->config->sync.files,
		.stop = &s->w->stop,
		.arg = s,
		.stored = on_stored,
		.progress = on_progress,
	};
	const struct room_want want = {
		.job = s->w->job.id,
		.name = arena_printf(s->w->arena, "%s@%.12s", s->name, s->info.sha),
		.files = s->wanted,
		.n_files = s->n_wanted,
		.keep_free = s->w->config->sync.keep_free,
	};
	char bytes[32];
	int rc = s->n_wanted ? room_take(s->w->d->room, &want, &s->room, e) : 0;

	if (!rc && s->n_wanted) {
		rc = model_set_state(s->w->db, s->revision_id, REVISION_FETCHING, NULL, work_now(), e);
		if (!rc)
			rc = fetch_files(&f, e);
	}
	room_give(s->w->d->room, take(s->room));
	if (rc == ERR_THROTTLED)
		s->w->wait_s = f.wait_s;
	if (rc)
		return rc;
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)s->fetched_bytes);
	log_event(LOG_INFO, "sync.stored", "repo=%s revision=%s bytes=%s", s->name, s->info.sha, bytes);
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

/* What became of it, for whoever asked. */
static int tell_result(struct sync *s, const struct gate_outcome *g, struct err *e)
{
	int rc = judge_result(s->w, s->revision_id, g, e);

	if (!rc && s->selection.metadata_only && g->state == REVISION_HELD)
		json_object_set_new(s->w->result, "state", json_string("metadata"));
	return rc;
}

/*
 * Published with every file that this selection wants, and the ref where it belongs: nothing to fetch, not even the listing. Nor where the clock asks for what was
 * turned down a short while ago.
 */
static int is_settled(struct sync *s, const struct revision *r, bool *done, const char **why, struct err *e)
{
	own(arena) struct arena a = { 0 };
	enum settled settled;
	int rc = settled_ask(s->w, r, &s->selection, s->info.n_siblings, &a, &settled, why, e);

	*done = !rc && (settled == SETTLED || settled == SETTLED_REFUSED) && (sync_by_clock(s) || (r->state == REVISION_PUBLISHED && settled == SETTLED));
	if (!rc && settled == SETTLED_OTHERWISE && sync_by_clock(s))
		rc = settled_in_turns(s->w, r, done, e);
	*why = *done && *why ? arena_strdup(s->w->arena, *why) : NULL;
	return rc || !*done || r->state != REVISION_PUBLISHED ? rc : settled_at_ref(s->w, r, sync_served_ref(s), &a, done, e);
}

/*
 * What has been turned down, or taken off, stays so when just its metadata is asked for, also where it is being fetched once more. Where no more than that was here, it
 * is asked for again, unless it was a person who said no. g: how it stands.
 */
static int is_decided(struct sync *s, const struct revision *r, bool *decided, struct gate_outcome *g, struct err *e)
{
	struct policy_facts facts;
	const char *why = NULL;
	bool metadata;
	int rc;

	*g = (struct gate_outcome){ r->state, r->reason };
	*decided = s->selection.metadata_only && r->state == REVISION_RETIRED;
	if (!s->selection.metadata_only || r->state == REVISION_RETIRED || r->state == REVISION_PUBLISHED || r->state == REVISION_HELD)
		return 0;
	rc = r->state == REVISION_REJECTED ? 0 : model_turned_down(s->w->db, r->id, s->w->arena, &why, e);
	if (!rc && why)
		*g = (struct gate_outcome){ REVISION_REJECTED, why };
	if (rc || g->state != REVISION_REJECTED)
		return rc;
	rc = model_is_metadata(s->w->db, r->id, &metadata, e);
	if (!rc && metadata)
		rc = model_evidence(s->w->db, r->id, s->w->arena, &facts, e);
	*decided = !rc && (!metadata || facts.person == POLICY_PERSON_REJECTED);
	return rc;
}

/* Is there nothing to do for this commit? Then w->result says how it stands. */
static int nothing_changed(struct sync *s, bool *done, struct err *e)
{
	struct gate_outcome g = { 0 };
	const char *before;
	struct revision r;
	struct model m;
	int rc;

	*done = false;
	if (model_find(s->w->db, s->here, s->info.sha, MODEL_ANY, s->w->arena, &m, &r, NULL, NULL))
		return 0;
	s->revision_id = r.id;
	before = bases_standing(s->w->db, m.id, s->w->arena);
	rc = is_decided(s, &r, done, &g, e);
	if (!rc && !*done) {
		g.state = r.state;
		rc = is_settled(s, &r, done, &g.reason, e);
	}
	if (!rc && *done && sync_served_ref(s) && r.state != REVISION_RETIRED)	/* upstream may have been elsewhere meanwhile */
		rc = model_ask_ref(s->w->db, r.id, sync_served_ref(s), work_now(), e);
	if (!rc)
		rc = derive_queue(s->w->db, m.id, before, s->w->arena, e);
	if (rc || !*done)
		return rc;
	return tell_result(s, &g, e);
}

/* What is off the doors as a whole gets nothing new unless somebody asks: then w->result says why. */
static int left_off(struct sync *s, bool *off, struct err *e)
{
	const char *state, *why = NULL;
	int rc = sync_by_clock(s) ? settled_off(s->w, s->model_id, s->w->arena, &state, &why, e) : 0;

	*off = why != NULL;
	if (*off)
		s->w->result = json_pack("{s:s, s:s, s:s, s:s, s:s}", "repo", s->here, "revision", s->info.sha, "state", state, "reason", why, "code", "refused");
	return rc;
}

/* Git's word against that of the listing by which this was published: a person must look, and finds it in `show`. */
static int contradicted(struct sync *s, struct err *e)
{
	struct finding f = { "", "proof", FINDING_FLAG, arena_strdup(s->w->arena, e->msg) };
	struct err why = ERR_NONE;

	if (finding_record(s->w->db, s->revision_id, "proof", NULL, 0, &f, 1, true, work_now(), &why) ||
	    event_add(s->w->db, "upstream.contradicts", s->here, s->info.sha, json_pack("{s:s}", "reason", f.message), work_now(), &why))
		*e = why;
	return e->code;
}

/* The commit could not be proven when this was published, for a reason that may have passed. What is served stays as it is, whatever comes of it. */
static int prove_again(struct sync *s, struct err *e)
{
	struct revision r;
	int rc = model_revision(s->w->db, s->revision_id, s->w->arena, NULL, &r, e);

	if (rc || r.state != REVISION_PUBLISHED || r.proof == PROOF_COMMIT || !gitproof_due(s->w->db, r.id, sync_by_clock(s) ? PROVE_EVERY_S : 0, s->w->arena))
		return rc;
	rc = sync_list(s, e);
	if (!rc)
		rc = gitproof_make(&s->proof, s->w, s->hub, s->name, s->info.sha, &s->tree, e);
	if (!rc)
		rc = gitproof_record(s->w, s->revision_id, &s->proof, e);
	return rc == ERR_MISMATCH ? contradicted(s, e) : rc;
}

/* What upstream claims or sends does not hold: the revision is rejected and says so. */
static int reject(struct sync *s, const char *rule, struct err *e)
{
	struct gate_outcome g = { REVISION_REJECTED, arena_strdup(s->w->arena, e->msg) };
	struct err own_fault = ERR_NONE;
	struct revision r;
	int rc = gate_reject(s->w, s->revision_id, "proof", rule, "", g.reason, &own_fault);

	if (!rc)
		rc = model_revision(s->w->db, s->revision_id, s->w->arena, NULL, &r, &own_fault);
	if (!rc) {
		g.state = r.state;
		rc = judge_result(s->w, s->revision_id, &g, &own_fault);
	}
	if (rc) {
		*e = own_fault;
		return rc;
	}
	json_object_set_new(s->w->result, "code", json_string("mismatch"));
	log_event(LOG_WARNING, "sync.rejected", "repo=%s revision=%s", s->name, s->info.sha);
	return 0;
}

/* Of a proven listing nothing stands against it but bytes that came wrong, and those come anew. */
static int record_proof(struct sync *s, struct err *e)
{
	if (s->proven)
		return finding_record(s->w->db, s->revision_id, "proof", NULL, 0, NULL, 0, true, work_now(), e);
	return gitproof_record(s->w, s->revision_id, &s->proof, e);
}

static int store_all(struct sync *s, struct err *e)
{
	struct quota_claim *quota = NULL;
	int rc = record_proof(s, e);

	gitproof_done(&s->proof);
	if (!rc)
		rc = sync_look_around(s, e);
	if (!rc)
		rc = count_totals(s, e);
	if (!rc)
		rc = quota_admit(s->w, s->revision_id, &quota, e);
	if (!rc)
		rc = fetch(s, e);
	quota_give(s->w->d->quota, quota);
	if (!rc)
		rc = bases_ask_stored(s->w, s->hub, s->revision_id, e);	/* card and configurations are here now */
	return rc;
}

/* Card, configurations and licences only: kept for searching, never served. */
static int keep_metadata(struct sync *s, struct err *e)
{
	struct gate_outcome g = { REVISION_HELD, "only metadata is kept of this model (metadata: only); sync it without to mirror it" };
	int rc = judge_documents(s->w, s->revision_id, s->info.doc, NULL, NULL, e);

	if (!rc)
		rc = model_set_state(s->w->db, s->revision_id, g.state, g.reason, work_now(), e);
	return rc ? rc : tell_result(s, &g, e);
}

/* What was added to a revision that is served passes the gate like everything there, be it metadata. */
static int conclude(struct sync *s, struct err *e)
{
	struct revision r = { 0 };
	int rc = s->selection.metadata_only ? model_revision(s->w->db, s->revision_id, s->w->arena, NULL, &r, e) : 0;

	if (rc)
		return rc;
	if (s->selection.metadata_only && r.state != REVISION_PUBLISHED)
		return keep_metadata(s, e);
	return judge_revision(s->w, s->revision_id, s->info.doc, NULL, e);
}

/* A mirror entry may say how large its models may be; the plan shows it before anything is fetched. */
static bool too_large(struct sync *s)
{
	int64_t max = json_get_int(s->w->args, "max_size", 0);
	own(arena) struct arena a = { 0 };
	struct model_file *files = s->files;
	uint64_t total = 0;
	size_t n = s->n_files;

	if (max <= 0)
		return false;
	if (!files)
		plan_from_tree(&s->tree, &s->selection, s->w->policy, &a, &files, &n);
	for (size_t i = 0; i < n; i++)
		total += files[i].wanted ? files[i].size_bytes : 0;
	if (total <= (uint64_t)max)
		return false;
	s->w->result = json_pack("{s:s, s:s, s:s, s:s, s:I}", "repo", s->here, "revision", s->info.sha, "state", "skipped", "reason", "it is larger than the entry's max_size", "size_bytes", (json_int_t)total);
	return true;
}

/* A page of the listing may have been lost on the way, and the model's info knows how many files there are. Git's objects would have told. */
static int refuse_short(struct sync *s, struct err *e)
{
	size_t listed = s->tree.n_files + s->tree.n_others;

	if (s->proof.have || s->info.n_siblings <= listed)
		return 0;
	return err_set(e, ERR_INPUT, "the listing of %s@%.12s ends after %zu files, and upstream's info of the model names %zu: is there a proxy before %s that drops or changes Link "
		       "headers?", s->name, s->info.sha, listed, s->info.n_siblings, s->hub->config.endpoint);
}

/* From the listing to the files in the store. *skipped: it is not wanted after all, and w->result says why. */
static int obtain(struct sync *s, bool *skipped, struct err *e)
{
	bool changed, known;
	int rc = list_known(s, &known, e);

	if (!rc && !known)
		rc = sync_list(s, e);
	*skipped = !rc && too_large(s);
	if (rc || *skipped)
		return rc;
	if (!known) {
		rc = gitproof_make(&s->proof, s->w, s->hub, s->name, s->info.sha, &s->tree, e);
		if (!rc)
			rc = refuse_short(s, e);
		if (rc)
			return rc;
		sync_make_plan(s);
	}
	rc = record_plan(s, &changed, e);
	s->planned = !rc;
	return rc ? rc : store_all(s, e);
}

/* Where it stands, for `show` and `why`; what was fetched is kept for the next try. A stop of the daemon says nothing: its next start goes on. */
static void note_stand(struct sync *s, int rc, const struct err *why)
{
	bool canceled = work_was_canceled(s->w, rc);

	if (!s->planned || (rc == ERR_CANCELED && !canceled))
		return;
	if (rc == ERR_NOSPACE || rc == ERR_THROTTLED)
		model_set_state(s->w->db, s->revision_id, REVISION_FETCHING, why->msg, work_now(), NULL);
	else
		model_stop(s->w->db, s->revision_id, canceled ? "its sync was canceled" : why->msg, work_now(), NULL);
}

static int sync_revision(struct sync *s, struct err *e)
{
	bool done, off, skipped = false;
	int rc;

	rc = sync_check_name(s, e);
	if (rc == ERR_REFUSED)
		sync_note_reuse(s, e->msg, NULL);
	if (!rc)
		rc = sync_note_model(s, e);
	if (!rc)
		rc = nothing_changed(s, &done, e);
	if (rc)
		return rc;
	if (done)
		return prove_again(s, e);
	rc = left_off(s, &off, e);
	if (rc || off)
		return rc;
	rc = obtain(s, &skipped, e);
	if (rc == ERR_AUTH && s->selection.metadata_only) {
		forget_missing(s);
		s->have_bytes = s->have_files = s->evidence_bytes = s->evidence_files = 0;
		s->selection.public_only = true;	/* a gate's card and licence are for everybody */
		*e = (struct err)ERR_NONE;
		rc = obtain(s, &skipped, e);
	}
	if (skipped)
		return 0;
	if (rc == ERR_MISMATCH && s->planned)
		return reject(s, "content", e);
	if (rc) {
		note_stand(s, rc, e);
		return rc;
	}
	forget_missing(s);
	rc = conclude(s, e);
	if (work_was_canceled(s->w, rc))
		note_stand(s, rc, e);
	return rc;
}

/*
 * An entry chooses by the licence of what a listing speaks of, which is `main`. What is served of it is followed, whatever its licence is by now: the gate sees to that.
 */
static int check_licence(struct sync *s, struct err *e)
{
	struct revision r;
	struct model m;

	if ((s->ref && strcmp(s->ref, "main")) || !model_find_shown(s->w->db, s->repo, s->w->arena, &m, &r, NULL))
		return 0;
	return mirror_check_asked(s->w, s->info.doc, e);
}

int sync_job(struct work *w, struct err *e)
{
	own(sync) struct sync s = { 0 };
	int rc = mirror_check_asked(w, NULL, e);

	if (!rc)
		rc = sync_begin(&s, w, e);
	if (!rc)
		rc = check_licence(&s, e);
	if (!rc)
		rc = sync_revision(&s, e);
	if (rc == ERR_NOSPACE)
		w->wait_s = SPACE_WAIT_S;
	if (!rc && w->result)
		json_object_set_new(w->result, "fetched_bytes", json_integer((json_int_t)s.fetched_bytes));
	return rc;
}

