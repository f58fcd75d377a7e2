/*
 * sbom.h - what a published revision is made of, written as a software bill of materials. Pure: facts in, text out; the same facts
 * give the same bytes, so a kept document can be compared.
 *
 * CycloneDX 1.6 (cyclonedx.org/docs/1.6/json): the model is metadata.component of type machine-learning-model, its version the
 * commit; every file is a component with its SHA-256; base models are its pedigree's ancestors.
 * SPDX 3.0.1 with the AI profile (spdx.github.io/spdx-spec/v3.0.1): an ai_AIPackage that contains software_Files. The four
 * properties that the profile demands but the JSON schema does not (suppliedBy, releaseTime, downloadLocation, packageVersion) are
 * always there.
 */
#ifndef VERIFY_SBOM_H
#define VERIFY_SBOM_H

#include "base/spool.h"
#include "verify/digest.h"

#define SBOM_MAX_BYTES ((size_t)256 << 20)

struct sbom_file {
	const char *path;
	uint64_t size_bytes;
	struct digest sha256;
	struct digest git_oid;	/* DIGEST_NONE when there is none (an imported model) */
};

/*
 * The files in the order of their paths, gone through more than once. next: 1 and the file, as long as until the next one; 0 at the end, and from
 * then on from the first again; or an error.
 */
struct sbom_files {
	int (*next)(struct sbom_files *self, struct sbom_file *out, struct err *e);
};

struct sbom_property {
	const char *name, *value;	/* name like "registryd:smoke:verdict" */
};

#define SBOM_UUID_MAX 40

/* What the card claims to have measured: "accuracy" "0.91" on "glue" (NULL: it does not say). */
struct sbom_metric {
	const char *type, *value, *dataset;
};

struct sbom_facts {
	char uuid[SBOM_UUID_MAX];	/* made by sbom_identify() */
	const char *repo;	/* "org/name", or a legacy "name" */
	const char *commit;	/* 40 hex: the version */
	const char *source_url;	/* where the bytes came from: endpoint/repo/tree/commit */
	int64_t published_at;	/* unix seconds: time stamp of both documents */
	const char *license_spdx;	/* an SPDX id or LicenseRef-…; NULL when unknown */
	const char *license_name;	/* in words, for a licence that has no SPDX id; may be NULL */
	const char *license_url;	/* may be NULL */
	const char *task, *architecture;	/* may be NULL */
	const char *const *base_models;		/* "org/name" or "org/name@commit" */
	size_t n_base_models;
	const char *const *datasets;
	size_t n_datasets;
	const struct sbom_metric *metrics;
	size_t n_metrics;
	struct sbom_files *files;		/* NULL: none */
	const struct sbom_property *properties;	/* smoke verdict, proof, policy decision … */
	size_t n_properties;
};

enum sbom_format {
	SBOM_CYCLONEDX,
	SBOM_SPDX,
};

const char *sbom_format_name(enum sbom_format f);
/* "cyclonedx" or "spdx"; anything else is ERR_USAGE. */
int sbom_format_parse(enum sbom_format *out, const char *name, struct err *e);
/* Names the document by all that it says, so that the same facts name the same one. To be called when the facts are complete. */
int sbom_identify(struct sbom_facts *facts, struct err *e);
/* The document into s (begun with SBOM_MAX_BYTES), and its end. ERR_LIMIT when it does not fit, ERR_INPUT when a text is not UTF-8. */
int sbom_write(struct spool *s, enum sbom_format format, const struct sbom_facts *facts, struct err *e);

#endif
