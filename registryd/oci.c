/* oci.c - see oci.h. */
#include "registryd/oci.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/evidence.h"
#include "registryd/bill.h"

void oci_digest(char out[OCI_DIGEST_MAX], const struct digest *sha256)
{
	memcpy(out, "sha256:", 7);
	digest_hex(out + 7, sha256);
}

json_t *oci_descriptor(const char *type, const struct digest *sha256, uint64_t size_bytes)
{
	char digest[OCI_DIGEST_MAX];

	oci_digest(digest, sha256);
	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size_bytes);
}

/* Takes j. Keys are sorted, so the same facts give the same bytes. */
static void piece_of(struct oci_piece *out, const char *type, json_t *j, struct arena *a)
{
	own(mem) char *text = json_text(j);

	json_decref(j);
	*out = (struct oci_piece){ .type = type, .text = arena_strdup(a, text), .n = strlen(text) };
	digest_of(&out->sha256, DIGEST_SHA256, out->text, out->n);
}

void oci_empty(struct oci_piece *out)
{
	*out = (struct oci_piece){ .type = OCI_EMPTY, .text = "{}", .n = 2 };
	digest_of(&out->sha256, DIGEST_SHA256, out->text, out->n);
}

/* ---- what kind of file it is, in ModelPack's words: by its name, because a manifest must not change with what we learn to read ------------------ */

enum kind {
	KIND_WEIGHT,
	KIND_CONFIG,
	KIND_DOC,
	KIND_CODE,
};

static const char *const kind_types[] = {
	[KIND_WEIGHT] = "application/vnd.cncf.model.weight.v1.raw",
	[KIND_CONFIG] = "application/vnd.cncf.model.weight.config.v1.raw",
	[KIND_DOC] = "application/vnd.cncf.model.doc.v1.raw",
	[KIND_CODE] = "application/vnd.cncf.model.code.v1.raw",
};

static bool ends_in(const char *name, const char *ending)
{
	size_t n = strlen(name), k = strlen(ending);

	return n > k && !strcasecmp(name + n - k, ending);
}

static enum kind kind_of(const struct model_file *f)
{
	static const struct {
		const char *ending;
		enum kind kind;
	} endings[] = {
		{ ".safetensors", KIND_WEIGHT }, { ".gguf", KIND_WEIGHT }, { ".bin", KIND_WEIGHT }, { ".pt", KIND_WEIGHT }, { ".pth", KIND_WEIGHT },
		{ ".onnx", KIND_WEIGHT }, { ".h5", KIND_WEIGHT }, { ".msgpack", KIND_WEIGHT }, { ".ckpt", KIND_WEIGHT }, { ".npz", KIND_WEIGHT },
		{ ".json", KIND_CONFIG }, { ".model", KIND_CONFIG }, { ".jinja", KIND_CONFIG }, { ".tiktoken", KIND_CONFIG }, { ".yaml", KIND_CONFIG },
		{ ".md", KIND_DOC }, { ".pdf", KIND_DOC }, { ".png", KIND_DOC }, { ".jpg", KIND_DOC }, { ".svg", KIND_DOC },
		{ ".py", KIND_CODE }, { ".ipynb", KIND_CODE }, { ".sh", KIND_CODE }, { ".cu", KIND_CODE }, { ".cpp", KIND_CODE },
	};
	static const char *const docs[] = { "LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "README", "COPYING" };
	const char *slash = strrchr(f->path, '/'), *name = slash ? slash + 1 : f->path;

	for (size_t i = 0; i < ARRAY_LEN(docs); i++)
		if (!strncasecmp(name, docs[i], strlen(docs[i])))
			return KIND_DOC;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (ends_in(name, endings[i].ending))
			return endings[i].kind;
	return f->lfs ? KIND_WEIGHT : KIND_CONFIG;
}

/* ---- the model --------------------------------------------------------------------------------------------------------------------------- */

/* title is where ORAS and its kin put the file, filepath where ModelPack's tools do. */
static json_t *layer(const struct model_file *f)
{
	json_t *d = oci_descriptor(kind_types[kind_of(f)], &f->sha256, f->size_bytes);

	json_object_set_new(d, "annotations", json_pack("{s:s, s:s}", "org.opencontainers.image.title", f->path, "org.cncf.model.filepath", f->path));
	return d;
}

/* Of each file its layer, and its digest alone. */
static int add_files(struct db *db, const struct revision *r, json_t *layers, json_t *digests, struct err *e)
{
	own(walk) struct model_walk w = { .db = db, .revision_id = r->id, .which = FILES_SERVED };
	char digest[OCI_DIGEST_MAX];
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&w, &f, e)) > 0) {
		if (json_array_size(layers) == OCI_FILES_MAX)
			return err_set(e, ERR_LIMIT, "revision %.12s has more than %d files, and a manifest of so many is more than OCI clients take: use the Hub's API", r->commit,
				       OCI_FILES_MAX);
		oci_digest(digest, &f->sha256);
		json_array_append_new(layers, layer(f));
		json_array_append_new(digests, json_string(digest));
	}
	return rc;
}

static json_t *with_annotations(json_t *manifest, const struct revision *r, const char *when)
{
	json_t *a = json_pack("{s:s}", "org.opencontainers.image.revision", r->commit);

	if (when)
		json_object_set_new(a, "org.opencontainers.image.created", json_string(when));
	json_object_set_new(manifest, "annotations", a);
	return manifest;
}

int oci_model(struct db *db, const struct revision *r, struct arena *a, struct oci_piece *manifest, struct oci_piece *config, struct err *e)
{
	own(json) json_t *layers = json_array(), *digests = json_array();
	char when[STR_TIME_MAX];
	json_t *about;
	int rc = add_files(db, r, layers, digests, e);

	if (rc < 0)
		return rc;
	about = json_pack("{s:s}", "revision", r->commit);
	str_format_iso(when, r->commit_at);
	if (r->commit_at)
		json_object_set_new(about, "createdAt", json_string(when));
	piece_of(config, OCI_MODEL_CONFIG, json_pack("{s:o, s:{}, s:{s:s, s:O}}", "descriptor", about, "config", "modelfs", "type", "layers", "diffIds", digests), a);
	piece_of(manifest, OCI_MANIFEST,
		 with_annotations(json_pack("{s:i, s:s, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "artifactType", OCI_MODEL, "config",
					    oci_descriptor(OCI_MODEL_CONFIG, &config->sha256, config->n), "layers", layers),
				  r, r->commit_at ? when : NULL),
		 a);
	return 0;
}

/* ---- its bills of materials ---------------------------------------------------------------------------------------------------------------- */

const char *oci_sbom_type(enum sbom_format format)
{
	return format == SBOM_SPDX ? "application/spdx+json" : "application/vnd.cyclonedx+json";
}

int oci_sbom(struct daemon *d, const struct revision *r, enum sbom_format format, const struct oci_piece *subject, struct arena *a, struct oci_piece *manifest,
	     struct digest *sha256, struct spool *text, struct err *e)
{
	const char *type = oci_sbom_type(format);
	struct oci_piece empty;
	json_t *content;
	int rc = bill_read(d, r->id, format, NULL, a, text, e);

	if (rc < 0 || (rc = evidence_digest(sha256, text, e)) < 0)
		return rc;
	oci_empty(&empty);
	content = oci_descriptor(type, sha256, text->n);
	json_object_set_new(content, "annotations", json_pack("{s:s}", "org.opencontainers.image.title", format == SBOM_SPDX ? "sbom.spdx.json" : "sbom.cdx.json"));
	piece_of(manifest, OCI_MANIFEST,
		 json_pack("{s:i, s:s, s:s, s:o, s:[o], s:o}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "artifactType", type, "config",
			   oci_descriptor(OCI_EMPTY, &empty.sha256, empty.n), "layers", content, "subject", oci_descriptor(OCI_MANIFEST, &subject->sha256, subject->n)),
		 a);
	return 0;
}
