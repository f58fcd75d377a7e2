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

#include "base/buf.h"
#include "verify/digest.h"

#define SBOM_MAX_BYTES ((size_t)256 << 20)

struct sbom_file {
	const char *path;
	uint64_t size_bytes;
	struct digest sha256;
	struct digest git_oid;	/* DIGEST_NONE when there is none (an imported model) */
};

struct sbom_property {
	const char *name, *value;	/* name like "registryd:smoke:verdict" */
};

struct sbom_facts {
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
	const struct sbom_file *files;		/* sorted by path */
	size_t n_files;
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
/* The document into b (initialised with SBOM_MAX_BYTES). ERR_LIMIT when it does not fit, ERR_INPUT when a text is not UTF-8. */
int sbom_write(struct buf *b, enum sbom_format format, const struct sbom_facts *facts, struct err *e);

#endif
