/*
 * oci.h - a published revision as OCI artifacts: documents made from the catalog, nothing is stored for them. Image manifests of the OCI image-spec 1.1;
 * the model's follows the CNCF ModelPack specification, with each file as it is (`.raw`) in a layer of its own, so that a layer's digest is the file's
 * SHA-256 and its bytes are the store's blob. Bills of materials refer to it (`subject`).
 *
 * A manifest depends on the commit and on the files that are served with it, on nothing that may be derived otherwise one day: its digest is what
 * people pin. It changes only when more files of the same commit are mirrored.
 */
#ifndef REGISTRYD_OCI_H
#define REGISTRYD_OCI_H

#include "catalog/model.h"
#include "registryd/daemon.h"
#include "verify/sbom.h"

#define OCI_FILES_MAX	   10000	/* clients refuse manifests of more than 4 MiB */
#define OCI_DIGEST_MAX	   (7 + DIGEST_HEX_MAX)
#define OCI_MANIFEST	   "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX	   "application/vnd.oci.image.index.v1+json"
#define OCI_EMPTY	   "application/vnd.oci.empty.v1+json"
#define OCI_MODEL	   "application/vnd.cncf.model.manifest.v1+json"
#define OCI_MODEL_CONFIG   "application/vnd.cncf.model.config.v1+json"

/* A document that we make, in the caller's arena. */
struct oci_piece {
	const char *type;	/* media type */
	const char *text;
	size_t n;
	struct digest sha256;
};

/* The model's manifest and its configuration. ERR_LIMIT: more than OCI_FILES_MAX files. */
int oci_model(struct db *db, const struct revision *r, struct arena *a, struct oci_piece *manifest, struct oci_piece *config, struct err *e);
/* A bill of materials of a published revision (text: begun by the caller) and the manifest that ties it to its subject, the model's manifest. */
int oci_sbom(struct daemon *d, const struct revision *r, enum sbom_format format, const struct oci_piece *subject, struct arena *a, struct oci_piece *manifest,
	     struct digest *sha256, struct spool *text, struct err *e);
/* {"mediaType","digest","size"}: how others name it. */
json_t *oci_descriptor(const char *type, const struct digest *sha256, uint64_t size_bytes);
/* The configuration of an artifact that has none: `{}`. */
void oci_empty(struct oci_piece *out);
/* "sha256:HEX" */
void oci_digest(char out[OCI_DIGEST_MAX], const struct digest *sha256);
const char *oci_sbom_type(enum sbom_format format);

#endif
