/* bundle.c - what came on a medium becomes a revision: read the entry, prove, take the contents, judge. See bundle.h. */
#include "registryd/bundle.h"

#include <unistd.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/vec.h"
#include "catalog/lost.h"
#include "registryd/bases.h"
#include "registryd/bundle_job.h"
#include "registryd/bundle_life.h"
#include "registryd/bundle_upload.h"
#include "registryd/derive.h"
#include "registryd/documents.h"
#include "registryd/gate.h"
#include "registryd/judge.h"
#include "registryd/plan.h"
#include "registryd/quota.h"

#define BATCH	    128	/* files stored and recorded together; their descriptors are open meanwhile */
#define NOT_CARRIED "the bundle does not hold it"
#define NOT_SERVED  "the bundle brings it to be read for the licence, and not to be served"

/* ---- the plan -------------------------------------------------------------------------------------------------- */

static const json_t *find_held(const struct bundle *b, const char *path)
{
	size_t low = 0, high = json_array_size(b->held);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const json_t *item = json_array_get(b->held, mid);
		int order = strcmp(json_get_str_or(item, "path", ""), path);

		if (!order)
			return item;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* The content that the bundle names for the file. An LFS file's is in the listing, and must be the same. */
static int name_content(struct model_file *f, const json_t *held, struct err *e)
{
	struct digest sha256;

	if (digest_parse(&sha256, DIGEST_SHA256, json_get_str_or(held, "sha256", ""), e) < 0)
		return err_set(e, ERR_INPUT, "the bundle gives no SHA-256 for '%.400s'", f->path);
	if (f->sha256.algo != DIGEST_NONE && !digest_equal(&f->sha256, &sha256))
		return err_set(e, ERR_MISMATCH, "'%.400s': the bundle's listing and its contents disagree about the SHA-256", f->path);
	f->sha256 = sha256;
	return 0;
}

/* What the other site serves is served here, too; a card or licence text that it only reads is read here, too. A mark at anything else says nothing. */
static int plan_file(struct model_file *f, const json_t *held, const char *linked, struct err *e)
{
	int rc = held ? name_content(f, held, e) : 0;

	if (rc)
		return rc;
	f->evidence = held && json_get_bool(held, "evidence", false) && documents_is_evidence(f->path, f->size_bytes, linked);
	f->wanted = held && !f->evidence;
	f->skip_reason = f->wanted ? NULL : f->evidence ? NOT_SERVED : NOT_CARRIED;
	return 0;
}

/* Of what is on the medium, as /-/v1/blobs/missing was asked about it: the same weights in another format that stayed behind are no reason to skip these. */
static void skip_formats(struct bundle *b)
{
	struct model_file *carried = arena_alloc(b->w->arena, (b->n_files + 1) * sizeof(*carried));
	size_t n = 0;

	for (size_t i = 0; i < b->n_files; i++)
		if (b->files[i].wanted)
			carried[n++] = b->files[i];
	policy_skip_files(b->w->policy, carried, n);
	for (size_t i = b->n_files; i-- && n;)
		if (b->files[i].wanted)
			b->files[i] = carried[--n];
}

static int make_plan(struct bundle *b, struct err *e)
{
	const char *linked = documents_linked_text(NULL, b->info.doc, b->w->job.repo, b->w->arena);
	own(json) json_t *nothing = json_object();
	struct plan_selection everything = { 0 };
	int rc = plan_read_selection(&everything, nothing, b->w->arena, e);

	if (rc)
		return rc;
	plan_from_tree(&b->tree, &everything, NULL, b->w->arena, &b->files, &b->n_files);
	for (size_t i = 0; i < b->n_files && !rc; i++)
		if (b->files[i].wanted)
			rc = plan_file(&b->files[i], find_held(b, b->files[i].path), linked, e);
	if (!rc)
		skip_formats(b);
	return rc;
}

static bool is_tag(const struct bundle *b, const char *ref)
{
	const json_t *tag;
	size_t i;

	json_array_foreach (json_object_get(b->entry, "tags"), i, tag)
		if (json_is_string(tag) && !strcmp(json_string_value(tag), ref))
			return true;
	return false;
}

/* One of the names that the revision has at the other site, NULL: it has none. */
static int plan_ref(struct bundle *b, struct model_plan *p, const char *ref, bool *changed, struct err *e)
{
	bool one = false;
	int rc;

	p->ref = ref;
	rc = model_plan(b->w->db, p, work_now(), &b->revision_id, &one, e);
	*changed |= one;
	if (rc || !ref || !is_tag(b, ref))
		return rc;
	rc = model_saw_ref(b->w->db, b->model_id, ref, b->commit, work_now(), NULL, e);
	return rc ? rc : model_ref_is_tag(b->w->db, b->model_id, ref, true, e);
}

/*
 * An older bundle that comes again must not take a ref back to what was superseded here: the ref stays with the revision that
 * came later, whatever has become of this one meanwhile, unless a person has asked for it. 1: it stays.
 */
static int stays(struct bundle *b, const char *ref, struct err *e)
{
	char now_at[MODEL_COMMIT_HEX + 1];
	struct revision mine;
	struct model m;
	int rc;

	if (!ref || json_get_bool(b->w->args, "rollback", false) || model_find(b->w->db, b->w->job.repo, b->commit, MODEL_ANY, b->w->arena, &m, &mine, NULL, NULL))
		return 0;
	rc = model_ref_superseded(b->w->db, mine.id, ref, now_at, e);
	if (rc == 1)
		json_array_append_new(b->kept, json_pack("{s:s, s:s}", "name", ref, "revision", now_at));
	return rc;
}

/* The names that the revision is to have here; one at least is planned, NULL where there is none. */
static int plan_refs(struct bundle *b, struct model_plan *p, bool *changed, struct err *e)
{
	const json_t *refs = json_object_get(b->entry, "refs");
	size_t n = json_array_size(refs), planned = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		const char *ref = json_string_value(json_array_get(refs, i));

		if ((rc = stays(b, ref, e)) == 1) {
			rc = 0;
			continue;
		}
		planned++;
		if (!rc)
			rc = plan_ref(b, p, ref, changed, e);
	}
	return rc || planned ? rc : plan_ref(b, p, NULL, changed, e);
}

/* Nothing is served by it, so what is published does not change for it; but it is to be here. */
static int lacks_evidence(struct bundle *b, bool *lacks, struct err *e)
{
	struct model_file known;
	int rc = 0;

	for (size_t i = 0; i < b->n_files && !rc; i++)
		if (b->files[i].evidence && !(rc = model_file(b->w->db, b->revision_id, b->files[i].path, FILES_ALL, b->w->arena, &known, e)))
			*lacks |= !known.stored || !(known.wanted || known.evidence);
	return rc;
}

static int record_plan(struct bundle *b, bool *changed, struct err *e)
{
	struct model_upstream u = { .name = b->w->job.repo, .upstream = BUNDLE_UPSTREAM, .gated = b->info.gated == HUB_OPEN ? MODEL_OPEN : MODEL_GATED_MANUAL,
		.is_private = b->info.is_private, .disabled = 0, .downloads = json_get_int(b->info.doc, "downloads", -1), .likes = json_get_int(b->info.doc, "likes", -1),
		.modified_at = b->info.last_modified };
	struct model_plan p = { .commit = b->commit, .title = *b->proof.title ? b->proof.title : NULL, .commit_at = b->proof.commit_at ? b->proof.commit_at : b->info.last_modified,
		.upstream_key = *b->info.key ? b->info.key : NULL, .files = b->files, .n_files = b->n_files };
	const json_t *said = json_object_get(b->entry, "base_models");
	own(mem) char *info = json_text(b->info.doc);
	own(mem) char *bases = json_is_object(said) ? json_text(said) : NULL;
	const char *before;
	int rc = model_upsert(b->w->db, &u, work_now(), &b->model_id, e);

	if (rc)
		return rc;
	p.model_id = b->model_id;
	before = bases_standing(b->w->db, b->model_id, b->w->arena);
	rc = plan_refs(b, &p, changed, e);
	if (!rc)
		rc = lacks_evidence(b, changed, e);
	if (!rc)
		rc = derive_queue(b->w->db, b->model_id, before, b->w->arena, e);
	if (!rc)
		rc = model_keep_document(b->w->db, b->revision_id, DOCUMENT_INFO, "", info, strlen(info), work_now(), e);
	if (!rc && !buf_failed(&b->tree.raw) && b->tree.raw.len)
		rc = model_keep_document(b->w->db, b->revision_id, DOCUMENT_TREE, "", b->tree.raw.data, b->tree.raw.len, work_now(), e);
	if (!rc && bases)
		rc = model_keep_document(b->w->db, b->revision_id, DOCUMENT_PROOF, BASES_DOCUMENT, bases, strlen(bases), work_now(), e);
	return rc;
}

/* ---- the contents ---------------------------------------------------------------------------------------------- */

/* Both names of the content, from its bytes: the one it is stored by, and the one that the commit knows. */
static int check_bytes(struct bundle *b, const struct model_file *f, int fd, struct err *e)
{
	own(digest) struct digest_ctx sha256 = { 0 };
	own(digest) struct digest_ctx git = { 0 };
	own(mem) char *buf = mem_zalloc(1u << 20);
	struct digest got;
	uint64_t total = 0;
	ssize_t n;

	digest_begin(&sha256, DIGEST_SHA256);
	git_object_begin(&git, GIT_BLOB, f->size_bytes);
	while ((n = fdio_read(fd, buf, 1u << 20, f->path, e)) > 0) {
		digest_update(&sha256, buf, (size_t)n);
		if (!f->lfs)
			digest_update(&git, buf, (size_t)n);
		total += (uint64_t)n;
		if (work_check(b->w, e))
			return e->code;
	}
	if (n < 0)
		return (int)n;
	digest_end(&sha256, &got);
	if (total != f->size_bytes || !digest_equal(&got, &f->sha256))
		return err_set(e, ERR_MISMATCH, "'%.400s' of the bundle does not have the bytes that its SHA-256 names", f->path);
	digest_end(&git, &got);
	if (!f->lfs && !digest_equal(&got, &f->git_oid))
		return err_set(e, ERR_MISMATCH, "'%.400s' of the bundle is not the blob that the commit names", f->path);
	return 0;
}

/* Uploads that were checked and go into the store together: one wait for the disk. */
struct batch {
	struct store_item items[BATCH];
	size_t n;
	size_t first;		/* file of the plan that the batch begins with */
};

static void batch_close(struct batch *t)
{
	for (size_t i = 0; i < t->n; i++)
		close(t->items[i].fd);
	t->n = 0;
}

/* Is it to come from the medium, be it to be served or to be read? */
static bool is_taken(const struct model_file *f)
{
	return f->wanted || f->evidence;
}

/* From the store, or from what was uploaded; either way its bytes are read, unless the store vouches for an LFS file already. */
static int take_file(struct bundle *b, const struct model_file *f, struct batch *t, struct err *e)
{
	int here = store_has(b->w->store, &f->sha256, f->size_bytes, e), rc;
	own(fd) int fd = -1;

	if (here < 0 || (here && f->lfs))
		return here < 0 ? here : 0;
	fd = here ? store_open_blob(b->w->store, &f->sha256, NULL, e) : bundle_upload_open(b->incoming, &f->sha256);
	if (fd < 0)
		return here ? fd : err_set(e, ERR_NOT_FOUND, "'%.400s' has not arrived: import the bundle again", f->path);
	rc = check_bytes(b, f, fd, e);
	if (rc == ERR_MISMATCH && !here)
		bundle_upload_drop(b->incoming, &f->sha256);	/* the next try sends it anew */
	if (!rc && !here)
		t->items[t->n++] = (struct store_item){ take_fd(&fd), f->size_bytes, f->sha256 };
	return rc;
}

/* The files of the plan from t->first up to `to` are checked: into the store with them, then into the catalog. */
static int store_batch(struct bundle *b, struct batch *t, size_t to, struct err *e)
{
	struct model_stored stored[BATCH];
	size_t n = 0;
	int rc = t->n ? store_publish_batch(b->w->store, t->items, t->n, e) : 0;

	batch_close(t);
	for (; t->first < to; t->first++)
		if (is_taken(&b->files[t->first]))
			stored[n++] = (struct model_stored){ b->files[t->first].path, b->files[t->first].sha256, b->files[t->first].size_bytes };
	return rc || !n ? rc : model_files_stored(b->w->db, b->revision_id, stored, n, e);
}

static int take_files(struct bundle *b, struct err *e)
{
	uint64_t total = 0, done = 0, n = 0;
	struct batch batch = { 0 };
	int rc = 0;

	for (size_t i = 0; i < b->n_files; i++) {
		total += is_taken(&b->files[i]) ? b->files[i].size_bytes : 0;
		n += is_taken(&b->files[i]);
	}
	work_totals(b->w, total, n);
	n = 0;
	for (size_t i = 0; i < b->n_files && !rc; i++) {
		struct model_file *f = &b->files[i];

		if (is_taken(f)) {
			work_phase(b->w, "reading %s", f->path);
			rc = take_file(b, f, &batch, e);
			done += f->size_bytes;
			work_done(b->w, done, ++n);
		}
		if (!rc && (i + 1 - batch.first == BATCH || i + 1 == b->n_files))
			rc = store_batch(b, &batch, i + 1, e);
	}
	batch_close(&batch);
	return rc;
}

/* ---- the end of it --------------------------------------------------------------------------------------------- */

/*
 * What the entry says of the model's end and the revision's, which may be what keeps it off the doors, or no longer. After the verdict: whom should the end of what
 * is not published be told?
 */
static int take_lifecycle(struct bundle *b, struct err *e)
{
	struct revision r;
	struct model m;
	bool changed = false;
	int rc = model_revision(b->w->db, b->revision_id, b->w->arena, &m, &r, e);

	if (!rc)
		rc = bundle_life_take(b->w, &m, &r, json_object_get(b->entry, "lifecycle"), &changed, &b->otherwise, e);
	return rc || !changed || r.state != REVISION_PUBLISHED ? rc : judge_result(b->w, b->revision_id, &(struct gate_outcome){ REVISION_PUBLISHED, NULL }, e);
}

static int reject(struct bundle *b, struct err *e)
{
	struct gate_outcome g = { REVISION_REJECTED, arena_strdup(b->w->arena, e->msg) };
	struct err own_fault = ERR_NONE;
	struct revision r;
	int rc = gate_reject(b->w, b->revision_id, "proof", "content", "", g.reason, &own_fault);

	if (!rc)
		rc = model_revision(b->w->db, b->revision_id, b->w->arena, NULL, &r, &own_fault);
	if (rc) {
		*e = own_fault;
		return rc;
	}
	g.state = r.state;
	rc = judge_result(b->w, b->revision_id, &g, e);
	if (!rc)
		json_object_set_new(b->w->result, "code", json_string("mismatch"));
	return rc;
}

static int store_all(struct bundle *b, struct err *e)
{
	struct quota_claim *quota = NULL;
	int rc = gitproof_record(b->w, b->revision_id, &b->proof, e);

	if (!rc)
		rc = quota_admit(b->w, b->revision_id, &quota, e);
	if (!rc)
		rc = take_files(b, e);
	quota_give(b->w->d->quota, quota);
	return rc;
}

/* This very commit is published here already, from an upstream, which it goes on to come from. */
static bool published_here(struct bundle *b)
{
	struct err lost = ERR_NONE;
	struct revision r;
	struct model m;

	if (model_find(b->w->db, b->w->job.repo, b->commit, MODEL_ANY, b->w->arena, &m, &r, NULL, NULL) || r.state != REVISION_PUBLISHED || !strcmp(m.upstream, BUNDLE_UPSTREAM))
		return false;
	b->model_id = m.id;
	b->revision_id = r.id;
	return lost_check(b->w->db, r.id, &lost) == 0;
}

static int bring_in(struct bundle *b, struct err *e)
{
	bool changed = false;
	int rc = bundle_read(b, e);

	if (!rc)
		rc = make_plan(b, e);
	if (!rc)
		rc = bundle_read_proof(b, e);
	if (!rc && published_here(b))
		return judge_result(b->w, b->revision_id, &(struct gate_outcome){ REVISION_PUBLISHED, NULL }, e);
	if (!rc)
		rc = record_plan(b, &changed, e);
	if (rc)
		return rc;
	if (!changed) {
		rc = judge_result(b->w, b->revision_id, &(struct gate_outcome){ REVISION_PUBLISHED, NULL }, e);
		return rc ? rc : take_lifecycle(b, e);
	}
	rc = store_all(b, e);
	if (rc == ERR_MISMATCH)
		return reject(b, e);
	if (rc) {
		if (rc != ERR_CANCELED || work_was_canceled(b->w, rc))
			model_stop(b->w->db, b->revision_id, rc == ERR_CANCELED ? "its import was canceled" : e->msg, work_now(), NULL);
		return rc;
	}
	rc = judge_revision(b->w, b->revision_id, b->info.doc, NULL, e);
	return rc ? rc : take_lifecycle(b, e);
}

/* What was used is in the store now. What waits or was interrupted needs its entry again. */
static void tidy(struct bundle *b)
{
	struct digest id;

	for (size_t i = 0; i < b->n_files; i++)
		if (is_taken(&b->files[i]) && store_has(b->w->store, &b->files[i].sha256, b->files[i].size_bytes, NULL) == 1)
			bundle_upload_drop(b->incoming, &b->files[i].sha256);
	if (!bundle_entry_id(b, &id, NULL))
		bundle_upload_drop(b->incoming, &id);
}

int bundle_job(struct work *w, struct err *e)
{
	struct bundle b = { .w = w, .kept = json_array() };
	int rc;

	b.incoming = bundle_upload_dir(w->store, e);
	if (b.incoming < 0) {
		json_decref(b.kept);
		return e->code;
	}
	hub_tree_init(&b.tree);
	rc = bring_in(&b, e);
	if (json_array_size(b.kept) && w->result)
		json_object_set(w->result, "refs_kept", b.kept);
	if (b.otherwise && w->result)
		json_object_set_new(w->result, "lifecycle", json_string(b.otherwise));
	if (rc != ERR_CANCELED && rc != ERR_NOSPACE)
		tidy(&b);
	hub_revision_done(&b.info);
	hub_tree_done(&b.tree);
	gitproof_done(&b.proof);
	json_decref(b.entry);
	json_decref(b.kept);
	close(b.incoming);
	return rc;
}
