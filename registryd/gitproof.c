/* gitproof.c - see gitproof.h. What git's bytes mean is verify/git_wire and verify/git_pack; here they are asked for and compared. */
#include "registryd/gitproof.h"

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/finding.h"
#include "verify/git_wire.h"

#define ADVERT_MAX_BYTES (1u << 20)
#define PROTOCOL	 "Git-Protocol: version=2"
#define TRIES		 2	/* without git there is still the listing */

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static int ask(struct hub *h, const char *repo, const char *tail, const struct buf *post, const atomic_bool *stop, struct buf *body, struct err *e)
{
	own(answer) struct net_answer a = { 0 };
	own(mem) char *url = NULL;

	if (asprintf(&url, "%s/%s.git/%s", h->config.endpoint, repo, tail) < 0)
		abort();
	return hub_call(h,
			&(struct hub_call){ .url = url,
					    .what = "git",
					    .repo = repo,
					    .bucket = HUB_PAGES,
					    .post = post ? post->data : NULL,
					    .post_bytes = post ? post->len : 0,
					    .content_type = post ? "application/x-git-upload-pack-request" : NULL,
					    .extra_header = PROTOCOL,
					    .basic = true,
					    .tries = TRIES,
					    .stop = stop },
			&a, body, e);
}

static int fetch_pack(struct hub *h, const char *repo, const char *commit, const atomic_bool *stop, struct buf *pack, struct err *e)
{
	struct git_advert advert;
	own(buf) struct buf request;
	int rc;

	buf_init(&request, 4096);
	rc = ask(h, repo, "info/refs?service=git-upload-pack", NULL, stop, pack, e);
	if (!rc)
		rc = git_advert_parse(&advert, pack->data, pack->len, e);
	if (rc)
		return rc;
	git_fetch_request(&request, commit, &advert);
	rc = ask(h, repo, "git-upload-pack", &request, stop, pack, e);
	return rc ? rc : git_fetch_parse(pack, e);
}

/* The message's first line and the committer's date, for people; the commit has been verified by its id. */
static void read_commit(struct gitproof *p, const char *text, size_t n)
{
	const char *message = memmem(text, n, "\n\n", 2), *line = memmem(text, n, "\ncommitter ", 11), *end, *mail;
	size_t len;

	if (message) {
		message += 2;
		len = strcspn(message, "\n");	/* objects are NUL-terminated by the pack's reader or end before it */
		if (len > n - (size_t)(message - text))
			len = n - (size_t)(message - text);
		snprintf(p->title, sizeof(p->title), "%.*s", (int)(len < sizeof(p->title) ? len : sizeof(p->title) - 1), message);
		str_printable(p->title);
		if (!str_utf8_valid(p->title, strlen(p->title)))
			*p->title = 0;
	}
	end = line ? memchr(line + 1, '\n', n - (size_t)(line + 1 - text)) : NULL;
	mail = end ? memrchr(line, '>', (size_t)(end - line)) : NULL;
	if (mail)
		p->commit_at = strtoll(mail + 1, NULL, 10);
	if (p->commit_at < 0 || p->commit_at > INT64_C(1) << 36)
		p->commit_at = 0;
}

static int on_entry(void *arg, const struct git_entry *g, struct err *e)
{
	return gitproof_compare_entry(arg, g, e);
}

static int read_pack(struct gitproof *p, const char *commit, struct gitproof_compare *c, struct err *e)
{
	struct git_pack *objects = NULL;
	struct git_object text;
	struct digest id;
	int rc = digest_parse(&id, DIGEST_SHA1, commit, e);

	if (!rc)
		rc = git_pack_parse(&objects, &p->pack, e);
	if (!rc)
		rc = git_manifest_walk(objects, &id, on_entry, c, &p->tree, e);
	if (!rc && git_pack_find(objects, &id, &text))
		read_commit(p, text.data, strlen(text.data));
	git_pack_free(objects);
	return rc;
}

/* With p->pack. p is zero where that proves nothing. */
static int prove(struct gitproof *p, const char *commit, const struct hub_tree *t, struct err *e)
{
	struct gitproof_compare c;
	int rc;

	gitproof_compare_begin(&c, t);
	rc = read_pack(p, commit, &c, e);
	gitproof_compare_end(&c);
	if (rc) {
		gitproof_done(p);
		return rc;
	}
	p->have = true;
	p->n_files = c.n;
	p->level = c.level;
	p->disagrees = c.disagrees;
	return 0;
}

/* From here on it is in a file, when it is long. */
static int take_pack(struct gitproof *p, struct work *w, const void *pack, size_t n, struct err *e)
{
	int rc;

	memset(p, 0, sizeof(*p));
	store_spool(w->store, &p->pack, GIT_PACK_MAX_BYTES);
	spool_add(&p->pack, pack, n);
	rc = spool_end(&p->pack, e);
	if (rc)
		gitproof_done(p);
	return rc;
}

int gitproof_read(struct gitproof *p, struct work *w, const void *pack, size_t n, const char *commit, const struct hub_tree *t, struct err *e)
{
	int rc = take_pack(p, w, pack, n, e);

	return rc ? rc : prove(p, commit, t, e);
}

void gitproof_without(struct gitproof *p, const struct hub_tree *t, const char *why_not)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->why_not, sizeof(p->why_not), "%s", why_not);
	gitproof_check_listing(t, &p->level, &p->disagrees);
}

/* Faults of the network and of a busy server, and answers that were cut off; not what a server can't do at all. */
static bool may_pass(int rc)
{
	return rc == ERR_UNREACHABLE || rc == ERR_THROTTLED || rc == ERR_INPUT || rc == ERR_FAILED || rc == ERR_BUSY;
}

int gitproof_make(struct gitproof *p, struct work *w, struct hub *h, const char *repo, const char *commit, const struct hub_tree *t, struct err *e)
{
	struct err why = ERR_NONE;
	own(buf) struct buf answer;
	int rc;

	buf_init(&answer, GIT_PACK_MAX_BYTES + ADVERT_MAX_BYTES);
	rc = fetch_pack(h, repo, commit, &w->stop, &answer, &why);
	if (!rc)
		rc = take_pack(p, w, answer.data, answer.len, &why);
	buf_done(&answer);	/* beside the objects in it, which are inflated, it would be a lot for many files */
	if (!rc)
		rc = prove(p, commit, t, &why);
	if (rc == ERR_CANCELED || rc == ERR_NOSPACE) {
		*e = why;
		return rc;
	}
	if (!rc)
		return 0;
	gitproof_without(p, t, why.msg);
	p->again = may_pass(rc);
	if (rc == ERR_MISMATCH)
		err_set(&p->disagrees, ERR_MISMATCH, "git answers with something else than this commit: %s", why.msg);
	return 0;
}

void gitproof_done(struct gitproof *p)
{
	spool_done(&p->pack);
	memset(p, 0, sizeof(*p));
}

/* ---- comparing ------------------------------------------------------------------------------------------------- */

static int disagree(const struct hub_file *f, struct err *e, const char *how)
{
	return err_set(e, ERR_MISMATCH, "'%.400s': the listing and the commit disagree: %s", f->path, how);
}

/* What git says about an LFS file of the listing. */
static int check_lfs(const struct git_entry *g, const struct hub_file *f, enum proof_level *level, struct err *e)
{
	if (!f->size_bytes && g->have_blob && !g->is_pointer && !g->size_bytes)
		return 0;	/* an empty file is its own pointer */
	if (g->have_blob && !g->is_pointer && f->pointer_bytes && g->size_bytes == f->pointer_bytes) {
		*level = PROOF_HASH;	/* a pointer with extensions: the commit holds it, but its text is no plain pointer */
		return 0;
	}
	if (!g->is_pointer)
		return disagree(f, e, "it is no LFS pointer in the commit");
	if (!f->masked && !digest_equal(&g->pointer.sha256, &f->sha256))
		return disagree(f, e, "the commit's LFS pointer names another SHA-256");
	if (g->pointer.size_bytes != f->size_bytes)
		return disagree(f, e, "the commit's LFS pointer names another size");
	return 0;
}

static int check_entry(const struct git_entry *g, const struct hub_file *f, enum proof_level *level, struct err *e)
{
	if (g->mode == GIT_MODE_SUBMODULE)
		return disagree(f, e, "the commit has no such file");
	if (f->oid.algo != DIGEST_NONE && !digest_equal(&g->oid, &f->oid))
		return disagree(f, e, "the git object ids differ");
	if (f->lfs)
		return check_lfs(g, f, level, e);
	if (g->is_pointer)
		return disagree(f, e, "it is an LFS pointer in the commit, and the listing gives no SHA-256");
	if (g->have_blob && g->size_bytes != f->size_bytes)
		return disagree(f, e, "the sizes differ");
	return 0;
}

void gitproof_compare_begin(struct gitproof_compare *c, const struct hub_tree *t)
{
	*c = (struct gitproof_compare){ .t = t, .seen = mem_zalloc(t->n_files / 8 + 1), .level = PROOF_COMMIT };
}

/* Marks the file as met; true when it was before. */
static bool meet(struct gitproof_compare *c, const struct hub_file *f)
{
	size_t i = (size_t)(f - c->t->files);
	uint8_t bit = (uint8_t)(1 << i % 8);
	bool before = c->seen[i / 8] & bit;

	c->seen[i / 8] |= bit;
	return before;
}

int gitproof_compare_entry(struct gitproof_compare *c, const struct git_entry *g, struct err *e)
{
	const struct hub_file *f = hub_tree_find(c->t, g->path);

	c->n++;
	if (f && meet(c, f))
		return err_set(e, ERR_MISMATCH, "the commit lists '%.200s' twice", g->path);
	if (c->disagrees.code)
		return 0;
	if (f)
		check_entry(g, f, &c->level, &c->disagrees);
	else if (g->mode != GIT_MODE_SUBMODULE)
		err_set(&c->disagrees, ERR_MISMATCH, "'%.400s': the commit has this file and the listing leaves it out", g->path);
	return 0;
}

void gitproof_compare_end(struct gitproof_compare *c)
{
	for (size_t i = 0; i < c->t->n_files && !c->disagrees.code; i++)
		if (!(c->seen[i / 8] >> i % 8 & 1))
			disagree(&c->t->files[i], &c->disagrees, "the commit has no such file");
	free(take(c->seen));
}

/* Without git: does the pointer that digest and size imply have the blob id of the listing? */
static int check_pointer(const struct hub_file *f, enum proof_level *level, struct err *e)
{
	struct git_pointer pointer = { f->sha256, f->size_bytes };
	char text[GIT_POINTER_MAX];
	struct digest id;

	if (!f->lfs || !f->size_bytes || f->masked)
		return 0;
	git_pointer_id(&id, &pointer);
	if (digest_equal(&id, &f->oid))
		return 0;
	if (f->pointer_bytes && f->pointer_bytes != git_pointer_text(text, &pointer)) {
		*level = PROOF_HASH;
		return 0;
	}
	return err_set(e, ERR_MISMATCH, "'%.400s': the listing contradicts itself: SHA-256 and size do not give the git object id of its pointer", f->path);
}

int gitproof_check_listing(const struct hub_tree *t, enum proof_level *level, struct err *e)
{
	*level = PROOF_LISTING;
	for (size_t i = 0; i < t->n_files; i++) {
		int rc = check_pointer(&t->files[i], level, e);

		if (rc)
			return rc;
	}
	return 0;
}

int gitproof_record(struct work *w, int64_t revision_id, const struct gitproof *p, struct err *e)
{
	own(json) json_t *about = NULL;
	own(mem) char *text = NULL;
	char tree[DIGEST_HEX_MAX];
	int rc;

	if (p->disagrees.code) {
		*e = p->disagrees;
		return e->code;
	}
	rc = finding_record(w->db, revision_id, "proof", NULL, 0, NULL, 0, true, work_now(), e);
	if (!rc)
		rc = model_set_proof(w->db, revision_id, p->level, e);
	if (rc)
		return rc;
	digest_hex(tree, &p->tree);
	about = json_pack("{s:s, s:b, s:s, s:I, s:s, s:b, s:I}", "level", proof_level_name(p->level), "git", p->have, "tree", tree, "files", (json_int_t)p->n_files, "why_not", p->why_not,
		"again", p->again, "at", (json_int_t)work_now());
	text = json_text(about);
	rc = model_keep_document(w->db, revision_id, DOCUMENT_PROOF, "", text, strlen(text), work_now(), e);
	if (!rc && p->pack.n && p->pack.n <= GITPROOF_PACK_MAX)
		rc = model_keep_spool(w->db, revision_id, DOCUMENT_PROOF, GITPROOF_PACK, &p->pack, work_now(), e);
	return rc;
}

/* What was kept of the proof, NULL: nothing. */
static json_t *kept(struct db *db, int64_t revision_id, struct arena *a)
{
	const char *text;
	size_t n;

	return model_document(db, revision_id, DOCUMENT_PROOF, "", a, &text, &n, NULL) < 0 ? NULL : json_parse_lax(text, n, "what was proven", NULL);
}

const char *gitproof_why_not(struct db *db, int64_t revision_id, struct arena *a, bool *again)
{
	own(json) json_t *about = kept(db, revision_id, a);
	const char *why = json_get_str_or(about, "why_not", "");

	*again = json_get_bool(about, "again", false);
	return *why ? arena_strdup(a, why) : NULL;
}

bool gitproof_due(struct db *db, int64_t revision_id, int64_t wait_s, struct arena *a)
{
	own(json) json_t *about = kept(db, revision_id, a);

	return *json_get_str_or(about, "why_not", "") && json_get_bool(about, "again", false) && llabs(work_now() - json_get_int(about, "at", 0)) >= wait_s;
}
