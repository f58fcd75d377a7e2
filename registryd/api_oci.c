/* api_oci.c - see api_oci.h. Everything goes through the door: what is pulled by a digest is judged as the revision that has it. */
#include "registryd/api_oci.h"

#include "base/json.h"
#include "base/str.h"
#include "registryd/door.h"
#include "registryd/file_answer.h"
#include "registryd/oci.h"

#define TAG_MAX	   128
#define TAGS_MAX   10000
#define INDEX_MAX  65536

/* What a digest names, when it is no file: a document that we make of a revision. */
struct made {
	struct revision r;
	struct oci_piece piece;
	struct spool text;	/* instead of piece.text, for a bill of materials */
	bool is_text;
};

static inline void own_made(struct made *m)
{
	spool_done(&m->text);
}

static bool same(const struct digest *want, const struct oci_piece *p)
{
	return digest_equal(want, &p->sha256);
}

/* 1: one of the bills of this revision, or what ties it to `subject`, is it. */
static int look_at_bills(struct request *rq, const struct digest *want, const struct oci_piece *subject, struct made *out, struct err *e)
{
	struct daemon *d = rq->app;
	int rc = 0;

	for (enum sbom_format f = SBOM_CYCLONEDX; f <= SBOM_SPDX && !rc; f++) {
		own(spool) struct spool text = { 0 };
		struct digest sha256;

		store_spool(d->store, &text, SBOM_MAX_BYTES);
		rc = oci_sbom(d, &out->r, f, subject, &rq->arena, &out->piece, &sha256, &text, e);
		if (rc < 0 || same(want, &out->piece))
			return rc < 0 ? rc : 1;
		if (!digest_equal(want, &sha256))
			continue;
		out->piece = (struct oci_piece){ .type = oci_sbom_type(f), .n = (size_t)text.n, .sha256 = sha256 };
		out->text = text;
		text = (struct spool){ 0 };
		out->is_text = true;
		rc = 1;
	}
	return rc;
}

/* 1: this document is one of revision out->r. */
static int look_at(struct request *rq, const struct digest *want, struct made *out, struct err *e)
{
	struct daemon *d = rq->app;
	struct oci_piece manifest, config, empty;
	int rc = oci_model(d->db, &out->r, &rq->arena, &manifest, &config, e);

	if (rc == ERR_LIMIT)
		return 0;
	if (rc < 0)
		return rc;
	oci_empty(&empty);
	for (size_t i = 0; i < 3; i++) {
		out->piece = i == 0 ? manifest : i == 1 ? config : empty;
		if (same(want, &out->piece))
			return 1;
	}
	return out->r.state == REVISION_PUBLISHED ? look_at_bills(rq, want, &manifest, out, e) : 0;
}

/* 1: found; 0: no visible revision of the model has such a document. */
static int find_made(struct request *rq, int64_t model_id, const struct digest *want, struct made *out, struct err *e)
{
	struct daemon *d = rq->app;
	struct revision *list;
	size_t n;
	int rc = model_revisions(d->db, model_id, MODEL_VISIBLE, &rq->arena, &list, &n, e);

	for (size_t i = 0; i < n && !rc; i++) {
		out->r = list[i];
		rc = look_at(rq, want, out, e);
	}
	return rc;
}

/* Into the door as somebody who has pinned this commit, as whoever asks by digest has. */
static bool enter_pinned(struct request *rq, const char *commit, struct door *d)
{
	rq->params[rq->n_params++] = (struct http_pair){ "rev", arena_strdup(&rq->arena, commit) };
	return door_enter(rq, DOOR_BYTES, d);
}

/* Of a model that shows nothing, it is the door that says so. */
static int unknown(struct request *rq, int64_t model_id, const char *code, const struct digest *sha256, struct err *e)
{
	struct daemon *app = rq->app;
	char digest[OCI_DIGEST_MAX];
	struct revision *list;
	struct door d;
	size_t n;
	int rc = model_revisions(app->db, model_id, MODEL_VISIBLE, &rq->arena, &list, &n, e);

	if (rc < 0)
		return rc;
	if (!n && !door_enter(rq, DOOR_BYTES, &d))
		return 0;
	oci_digest(digest, sha256);
	return http_answer_oci_error(rq, 404, code, arena_printf(&rq->arena, "%s has nothing with the digest %s", http_param(rq, "repo"), digest));
}

static int answer_piece(struct request *rq, const struct oci_piece *p, struct spool *text)
{
	char digest[OCI_DIGEST_MAX];

	oci_digest(digest, &p->sha256);
	http_set(rq, "Docker-Content-Digest", "%s", digest);
	http_set(rq, "ETag", "\"%s\"", digest);
	return text ? http_answer_spool(rq, 200, p->type, text) : http_answer_bytes(rq, 200, p->type, p->text, p->n);
}

/* The document that the digest names, when the door lets its revision through. `code` is said when there is none. */
static int answer_made(struct request *rq, const struct model *m, const struct digest *want, const char *code, struct err *e)
{
	own(made) struct made made = { 0 };
	struct door d;
	int rc = find_made(rq, m->id, want, &made, e);

	if (rc < 0)
		return rc;
	if (!rc)
		return unknown(rq, m->id, code, want, e);
	if (!enter_pinned(rq, made.r.commit, &d))
		return 0;
	return answer_piece(rq, &made.piece, made.is_text ? &made.text : NULL);
}

/* False when the request has been answered: there is no such model, or the address is no digest. */
static bool read_digest(struct request *rq, struct digest *sha256, struct model *m)
{
	const char *text = http_param(rq, "digest");
	struct daemon *app = rq->app;
	struct err e = ERR_NONE;
	struct door d;

	if (!str_starts(text, "sha256:") || digest_parse(sha256, DIGEST_SHA256, text + 7, &e) < 0) {
		http_answer_oci_error(rq, 400, "DIGEST_INVALID", arena_printf(&rq->arena, "'%.100s' is not sha256: and 64 hexadecimal digits in small letters", text));
		return false;
	}
	if (!model_find_repo(app->db, http_param(rq, "repo"), &rq->arena, m, &e))
		return true;
	if (door_enter(rq, DOOR_BYTES, &d))	/* it is the door that says how there is none */
		http_answer_error(rq, &e);
	return false;
}

/* ---- manifests and blobs --------------------------------------------------------------------------------------------------------------------- */

static int manifest_by_digest(struct request *rq, struct err *e)
{
	struct digest want;
	struct model m;

	return read_digest(rq, &want, &m) ? answer_made(rq, &m, &want, "MANIFEST_UNKNOWN", e) : 0;
}

static int manifest(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	struct oci_piece manifest, config;
	struct door d;
	int rc;

	if (strchr(http_param(rq, "rev"), ':')) {
		rq->params[rq->n_params - 1].key = "digest";
		return manifest_by_digest(rq, e);
	}
	if (!door_enter(rq, DOOR_BYTES, &d))
		return 0;
	rc = oci_model(app->db, &d.r, &rq->arena, &manifest, &config, e);
	return rc < 0 ? rc : answer_piece(rq, &manifest, NULL);
}

/* Of the revisions with this content the newest that is served; if none is, the newest, and the door says why not. */
static const struct model_content *choose(struct request *rq, const struct model *m, const struct model_content *list, size_t n)
{
	struct daemon *app = rq->app;
	struct policy_lifecycle rules;
	struct lifecycle life;

	policy_lifecycle(daemon_policy(app), &rules);
	for (size_t i = 0; i < n; i++)
		if (!lifecycle_at(app->db, m->id, list[i].revision_id, daemon_policy(app), rq->now, &rq->arena, &life, NULL) && !lifecycle_is_off(&life, &rules))
			return &list[i];
	return list;
}

static int blob(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	const struct model_content *c;
	struct model_content *list;
	char digest[OCI_DIGEST_MAX];
	struct digest want;
	struct model m;
	struct door d;
	size_t n;
	int rc;

	if (!read_digest(rq, &want, &m))
		return 0;
	if ((rc = model_contents(app->db, m.id, &want, &rq->arena, &list, &n, e)) < 0)
		return rc;
	if (!n)
		return answer_made(rq, &m, &want, "BLOB_UNKNOWN", e);
	c = choose(rq, &m, list, n);
	if (!enter_pinned(rq, c->commit, &d))
		return 0;
	if (!c->file.stored)
		return file_answer_lost(rq, &c->file);
	oci_digest(digest, &want);
	http_set(rq, "Docker-Content-Digest", "%s", digest);
	return file_answer(rq, &d, &c->file, digest, "application/octet-stream", e);
}

/* ---- tags and what refers to a manifest ------------------------------------------------------------------------------------------------------- */

/* distribution-spec: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}. Refs of other shapes are reached by their commit. */
static bool is_tag(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n && n <= TAG_MAX && !name[n] && name[0] != '.' && name[0] != '-';
}

static int tags(struct request *rq, struct err *e)
{
	const char *last = http_query(rq, "last"), *repo = http_param(rq, "repo");
	struct daemon *app = rq->app;
	uint64_t limit = TAGS_MAX;
	struct model_ref *refs;
	json_t *out;
	struct door d;
	size_t n;
	int rc;

	if (!door_enter(rq, DOOR_FACTS, &d))
		return 0;
	if ((rc = http_query_u64(rq, "n", 0, TAGS_MAX, &limit, e)) < 0 || (rc = model_refs(app->db, d.m.id, 0, &rq->arena, &refs, &n, e)) < 0)
		return rc;
	out = json_array();
	for (size_t i = 0; i < n; i++) {
		if (!is_tag(refs[i].name) || (last && strcmp(refs[i].name, last) <= 0))
			continue;
		if (json_array_size(out) == limit) {
			if (limit)
				http_set(rq, "Link", "</v2/%s/tags/list?n=%llu&last=%s>; rel=\"next\"", repo, (unsigned long long)limit,
					 json_string_value(json_array_get(out, limit - 1)));
			break;
		}
		json_array_append_new(out, json_string(refs[i].name));
	}
	return http_answer_json(rq, 200, json_pack("{s:s, s:o}", "name", repo, "tags", out));
}

static int add_bill(struct request *rq, const struct revision *r, enum sbom_format format, const struct oci_piece *subject, json_t *list, struct err *e)
{
	struct daemon *app = rq->app;
	own(spool) struct spool text = { 0 };
	struct oci_piece manifest;
	struct digest sha256;
	json_t *descriptor;
	int rc;

	store_spool(app->store, &text, SBOM_MAX_BYTES);
	if ((rc = oci_sbom(app, r, format, subject, &rq->arena, &manifest, &sha256, &text, e)) < 0)
		return rc;
	descriptor = oci_descriptor(OCI_MANIFEST, &manifest.sha256, manifest.n);
	json_object_set_new(descriptor, "artifactType", json_string(oci_sbom_type(format)));
	json_array_append_new(list, descriptor);
	return 0;
}

/* 1: it is the manifest of a visible revision of the model. */
static int find_subject(struct request *rq, int64_t model_id, const struct digest *want, struct revision *r, struct oci_piece *manifest, struct err *e)
{
	struct daemon *d = rq->app;
	struct oci_piece config;
	struct revision *list;
	size_t n;
	int rc = model_revisions(d->db, model_id, MODEL_VISIBLE, &rq->arena, &list, &n, e);

	for (size_t i = 0; i < n && !rc; i++) {
		rc = oci_model(d->db, &list[i], &rq->arena, manifest, &config, e);
		*r = list[i];
		if (!rc && same(want, manifest))
			return 1;
		if (rc == ERR_LIMIT)
			rc = 0;
	}
	return rc;
}

/* The bills of materials of the revision whose manifest it is. A manifest that nothing refers to, known or not, has an empty list. */
static int referrers(struct request *rq, struct err *e)
{
	const char *only = http_query(rq, "artifactType");
	own(json) json_t *list = json_array(), *index = NULL;
	struct oci_piece subject;
	struct digest want;
	struct revision r;
	struct model m;
	struct door d;
	struct buf b;
	int rc = 0, found;

	if (!read_digest(rq, &want, &m))
		return 0;
	if ((found = find_subject(rq, m.id, &want, &r, &subject, e)) < 0)
		return found;
	if (found && !enter_pinned(rq, r.commit, &d))
		return 0;
	for (enum sbom_format f = SBOM_CYCLONEDX; found && r.state == REVISION_PUBLISHED && f <= SBOM_SPDX && !rc; f++)
		if (!only || !strcmp(only, oci_sbom_type(f)))
			rc = add_bill(rq, &r, f, &subject, list, e);
	if (rc < 0)
		return rc;
	if (only)
		http_set(rq, "OCI-Filters-Applied", "artifactType");
	index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", OCI_INDEX, "manifests", list);
	buf_init(&b, INDEX_MAX);
	json_write(&b, index);
	return http_answer_buf(rq, 200, OCI_INDEX, &b);
}

/* ---- the rest --------------------------------------------------------------------------------------------------------------------------------- */

/* That an API is here. The challenge goes with the yes too: some clients look only here for how to send what they have. */
static int base(struct request *rq, struct err *e)
{
	(void)e;
	http_set(rq, "Docker-Distribution-Api-Version", "registry/2.0");
	http_challenge(rq);
	return http_answer_json(rq, 200, json_object());
}

static int read_only(struct request *rq, struct err *e)
{
	(void)e;
	return http_answer_oci_error(rq, 405, "UNSUPPORTED", "read-only: models come in by registryctl sync, import and bundle");
}

static int no_catalog(struct request *rq, struct err *e)
{
	(void)e;
	return http_answer_oci_error(rq, 404, "UNSUPPORTED", "there is no list of all repositories here: ask /api/models or /-/v1/models");
}

/* Documents are made for each answer, and each is compared with what is asked for: not on an event thread. */
#define SLOW(pattern, function) { "GET", pattern, HTTP_READ, HTTP_SLOW | HTTP_CACHED, function, NULL, NULL }

const struct http_route api_oci_routes[] = {
	{ "GET", "/v2/", HTTP_READ, 0, base, NULL, NULL },
	{ "GET", "/v2/_catalog", HTTP_READ, 0, no_catalog, NULL, NULL },
	SLOW("/v2/{repo}/manifests/{rev}", manifest),
	{ "GET", "/v2/{repo}/blobs/{digest}", HTTP_READ, HTTP_SLOW, blob, NULL, NULL },
	SLOW("/v2/{repo}/tags/list", tags),
	SLOW("/v2/{repo}/referrers/{digest}", referrers),
	{ "POST", "/v2/{repo}/blobs/uploads/", HTTP_READ, 0, read_only, NULL, NULL },
	{ "PUT", "/v2/{repo}/manifests/{rev}", HTTP_READ, 0, read_only, NULL, NULL },
	{ "DELETE", "/v2/{repo}/manifests/{rev}", HTTP_READ, 0, read_only, NULL, NULL },
	{ 0 },
};
