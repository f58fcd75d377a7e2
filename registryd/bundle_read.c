/* bundle_read.c - the entry of a bundle: its form, the listing and the git objects in it. */
#include "registryd/bundle_job.h"

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "registryd/bundle.h"
#include "registryd/bundle_upload.h"
#include "verify/base64.h"

#define FROM "the bundle"

int bundle_entry_id(const struct bundle *b, struct digest *id, struct err *e)
{
	const char *hex = json_get_str_or(b->w->args, "entry", "");

	return digest_parse(id, DIGEST_SHA256, hex, e) ? err_set(e, ERR_USAGE, "the job names no entry") : 0;
}

static int load_entry(struct bundle *b, struct err *e)
{
	struct digest want, got;
	own(buf) struct buf text;
	int rc = bundle_entry_id(b, &want, e);
	own(fd) int fd = rc ? -1 : bundle_upload_open(b->incoming, &want);

	buf_init(&text, BUNDLE_ENTRY_MAX);
	if (rc)
		return rc;
	if (fd < 0)
		return err_set(e, ERR_NOT_FOUND, "the bundle's entry is not here (any more): import the bundle again");
	if (fdio_slurp_fd(fd, "the bundle's entry", &text, e) < 0)
		return e->code;
	digest_of(&got, DIGEST_SHA256, text.data, text.len);
	if (!digest_equal(&got, &want))
		return err_set(e, ERR_MISMATCH, "the bundle's entry arrived with other bytes than its SHA-256 says");
	b->entry = json_parse(text.data, text.len, "the bundle's entry", e);
	return b->entry ? 0 : e->code;
}

/* A name that looks like a commit's id would hide the commit of that id from whoever has pinned it. */
static int check_refs(const json_t *refs, struct err *e)
{
	const json_t *ref;
	size_t i;

	json_array_foreach (refs, i, ref)
		if (!json_is_string(ref) || str_is_hex(json_string_value(ref), MODEL_COMMIT_HEX))
			return err_set(e, ERR_INPUT, "the bundle's entry has a ref that is no name of a branch or tag");
	return 0;
}

static int read_entry(struct bundle *b, struct err *e)
{
	const char *format, *repo;
	int rc;

	if (json_need_str(b->entry, "format", &format, "the bundle's entry", e) < 0 || json_need_str(b->entry, "repo", &repo, "the bundle's entry", e) < 0 ||
	    json_need_str(b->entry, "revision", &b->commit, "the bundle's entry", e) < 0)
		return e->code;
	if (strcmp(format, BUNDLE_ENTRY_FORMAT) != 0)
		return err_set(e, ERR_UNSUPPORTED, "the bundle's entry has the format '%.60s'; this registryd reads " BUNDLE_ENTRY_FORMAT, format);
	if (strcmp(repo, b->w->job.repo) != 0)
		return err_set(e, ERR_USAGE, "the bundle's entry is about %.200s and not %s", repo, b->w->job.repo);
	rc = hub_check_repo(repo, e);
	b->held = json_object_get(b->entry, "held");
	if (!rc && (!json_is_array(b->held) || !json_is_array(json_object_get(b->entry, "tree")) || !json_is_array(json_object_get(b->entry, "refs"))))
		rc = err_set(e, ERR_INPUT, "the bundle's entry lacks a list of files, a listing or refs");
	if (!rc)
		rc = check_refs(json_object_get(b->entry, "refs"), e);
	b->info.doc = json_incref(json_object_get(b->entry, "info"));
	if (!rc)
		rc = hub_revision_read(&b->info, FROM, repo, repo, e);
	if (!rc && strcmp(b->info.sha, b->commit) != 0)
		rc = err_set(e, ERR_INPUT, "the bundle's entry is about revision %.40s, and its model info about %s", b->commit, b->info.sha);
	return rc;
}

static int read_tree(struct bundle *b, struct err *e)
{
	const json_t *page;
	size_t i;

	json_array_foreach (json_object_get(b->entry, "tree"), i, page) {
		own(mem) char *text = json_text(page);
		int rc = hub_tree_page(&b->tree, text, strlen(text), e);

		if (rc)
			return rc;
	}
	return hub_tree_finish(&b->tree, e);
}

int bundle_read(struct bundle *b, struct err *e)
{
	int rc = load_entry(b, e);

	if (!rc)
		rc = read_entry(b, e);
	return rc ? rc : read_tree(b, e);
}

int bundle_read_proof(struct bundle *b, struct err *e)
{
	const char *text = json_get_str(json_object_get(b->entry, "pack") ? b->entry : NULL, "pack");
	own(mem) unsigned char *pack = NULL;
	size_t n;
	int rc;

	if (!text) {
		gitproof_without(&b->proof, &b->tree, "the bundle brings no git objects");
		return 0;
	}
	rc = base64_decode(text, &pack, &n, GITPROOF_PACK_MAX + 2, "the bundle's git pack", e);
	if (!rc)
		rc = gitproof_read(&b->proof, b->w, pack, n, b->commit, &b->tree, e);
	return rc ? err_set(e, ERR_MISMATCH, "the bundle's git objects do not give commit %s: %s", b->commit, arena_strdup(b->w->arena, e->msg)) : 0;
}
