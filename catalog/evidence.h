/*
 * evidence.h - documents that we made about a revision and gave out, kept by their content: bills of materials. When the facts change another one is
 * kept beside the earlier ones, which stay findable by their digest; the digests are in the chain of events.
 */
#ifndef CATALOG_EVIDENCE_H
#define CATALOG_EVIDENCE_H

#include <jansson.h>

#include "base/spool.h"
#include "catalog/db.h"
#include "verify/digest.h"

struct evidence {
	const char *format;		/* "cyclonedx", "spdx" */
	const struct spool *text;	/* ended */
};
/* Keeps those that are not the newest of their format already, with one event that names them. ERR_LIMIT: larger than a document may be. */
int evidence_keep(struct db *db, int64_t revision_id, const struct evidence *list, size_t n, int64_t now, struct err *e);
/* The newest of a format, or with sha256 (64 hex) that one, into out. ERR_NOT_FOUND. */
int evidence_read(struct db *db, int64_t revision_id, const char *format, const char *sha256, struct spool *out, struct err *e);
/* The SHA-256 under which an ended text is kept. */
int evidence_digest(struct digest *out, const struct spool *text, struct err *e);
/* [{"format","sha256","size_bytes","at"}…], newest first. NULL on error. */
json_t *evidence_list(struct db *db, int64_t revision_id, struct err *e);

#endif
