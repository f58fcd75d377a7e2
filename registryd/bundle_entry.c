/* bundle_entry.c - a published revision as an entry of a bundle; see bundle.h. */
#include "base/json.h"
#include "base/vec.h"
#include "catalog/lost.h"
#include "registryd/bases.h"
#include "registryd/bundle.h"
#include "registryd/bundle_life.h"
#include "registryd/gitproof.h"
#include "registryd/hub.h"
#include "verify/base64.h"

/* A file as the Hub's listing gives it. */
static json_t *tree_item(const struct model_file *f)
{
	char oid[DIGEST_HEX_MAX], sha256[DIGEST_HEX_MAX], text[GIT_POINTER_MAX];
	struct git_pointer pointer = { f->sha256, f->size_bytes };
	json_t *item;

	digest_hex(oid, &f->git_oid);
	item = json_pack("{s:s, s:s, s:I, s:s}", "type", "file", "path", f->path, "size", (json_int_t)f->size_bytes, "oid", oid);
	if (!f->lfs)
		return item;
	digest_hex(sha256, &f->sha256);
	json_object_set_new(item, "lfs", json_pack("{s:s, s:I, s:I}", "oid", sha256, "size", (json_int_t)f->size_bytes, "pointerSize", (json_int_t)git_pointer_text(text, &pointer)));
	return item;
}

/* The pages of the listing as they came, one a line, or NULL: they were not kept. */
static json_t *kept_pages(struct daemon *d, const struct revision *r, struct arena *a)
{
	own(json) json_t *pages = json_array();
	const char *text;
	size_t len;

	if (model_document(d->db, r->id, DOCUMENT_TREE, "", a, &text, &len, NULL))
		return NULL;
	for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (end > line && json_array_append_new(pages, json_parse_lax(line, (size_t)(end - line), "a page of the listing", NULL)) < 0)
			return NULL;
	}
	return take(pages);
}

static json_t *tree_pages(struct daemon *d, const struct revision *r, const struct model_file *files, size_t n, struct arena *a)
{
	json_t *pages = kept_pages(d, r, a), *page;

	if (pages)
		return pages;
	page = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(page, tree_item(&files[i]));
	return json_pack("[o]", page);
}

/* What the other site is to serve, and what it reads besides. */
static json_t *held_files(const struct model_file *files, size_t n)
{
	json_t *held = json_array();
	char hex[DIGEST_HEX_MAX];

	for (size_t i = 0; i < n; i++) {
		const struct model_file *f = &files[i];

		if (!f->stored || f->pending || (!f->wanted && !f->evidence))
			continue;
		digest_hex(hex, &f->sha256);
		json_array_append_new(held, json_pack("{s:s, s:s, s:I, s:o*}", "path", f->path, "sha256", hex, "size_bytes", (json_int_t)f->size_bytes, "evidence",
						      f->evidence ? json_true() : NULL));
	}
	return held;
}

/* What the Hub said; for an imported model, which no Hub knows, as much as a Hub would say. */
static json_t *info_of(struct daemon *d, const struct model *m, const struct revision *r, struct arena *a)
{
	const char *text;
	size_t n;
	json_t *j;

	if (!model_document(d->db, r->id, DOCUMENT_INFO, "", a, &text, &n, NULL) && (j = json_parse_lax(text, n, "model info", NULL)))
		return j;
	return json_pack("{s:s, s:s, s:s*, s:b, s:b}", "id", m->name, "sha", r->commit, "pipeline_tag", r->task, "gated", m->gated != MODEL_OPEN, "private", m->is_private);
}

/* The names by which this site serves the revision: all, or the tags among them. */
static json_t *ref_names(const struct model_ref *refs, size_t n, bool tags_only)
{
	json_t *names = json_array();

	for (size_t i = 0; i < n; i++)
		if (refs[i].is_tag || !tags_only)
			json_array_append_new(names, json_string(refs[i].name));
	return names;
}

static json_t *pack_of(struct daemon *d, const struct revision *r, struct arena *a)
{
	const char *pack;
	size_t n;

	return model_document(d->db, r->id, DOCUMENT_PROOF, GITPROOF_PACK, a, &pack, &n, NULL) ? json_null() : base64_json(pack, n);
}

/* What upstream said of the licences of base models, which the other site can't ask about. */
static json_t *bases_of(struct daemon *d, const struct revision *r, struct arena *a)
{
	const char *text;
	size_t n;

	return model_document(d->db, r->id, DOCUMENT_PROOF, BASES_DOCUMENT, a, &text, &n, NULL) ? NULL : json_parse_lax(text, n, "what was said of base models", NULL);
}

json_t *bundle_entry(struct daemon *d, const struct model *m, const struct revision *r, struct arena *a, struct err *e)
{
	const struct config_upstream *up = config_find_upstream(daemon_config(d), m->upstream);
	struct model_file *files;
	struct model_ref *refs;
	int64_t now = (int64_t)time(NULL);
	struct lifecycle life;
	size_t n, n_refs;
	json_t *info, *ends;

	if (lifecycle_at(d->db, m->id, r->id, daemon_policy(d), now, a, &life, e) < 0 || model_files(d->db, r->id, FILES_ALL, "", NULL, 0, a, &files, &n, e) < 0 ||
	    model_refs(d->db, m->id, r->id, a, &refs, &n_refs, e) < 0)
		return NULL;
	if (life.state > LIFECYCLE_DEPRECATED) {
		err_set(e, life.state == LIFECYCLE_RETIRED ? ERR_GONE : ERR_REFUSED, "%s is %s: it is given to nobody", m->name, lifecycle_state_name(life.state));
		return NULL;
	}
	if (lost_check(d->db, r->id, e) < 0) {
		err_wrap(e, "%s@%.12s goes into no bundle", m->name, r->commit);
		return NULL;
	}
	ends = bundle_life_entry(d, m, r, now, a, e);
	if (!ends)
		return NULL;
	info = info_of(d, m, r, a);
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:{s:s, s:s*}, s:o, s:o, s:o, s:o, s:o, s:o*, s:{s:s*, s:I}}", "format", BUNDLE_ENTRY_FORMAT, "repo", m->name, "revision", r->commit,
		"refs", ref_names(refs, n_refs, false), "tags", ref_names(refs, n_refs, true), "upstream", "name", m->upstream, "endpoint", up ? up->endpoint : NULL, "info", info,
		"tree", tree_pages(d, r, files, n, a), "pack", pack_of(d, r, a), "held", held_files(files, n), "lifecycle", ends,
		"base_models", bases_of(d, r, a), "about", "license", r->license, "size_bytes", (json_int_t)r->size_bytes);
}
