/* sbom_parts.h - between sbom.c and the writers of the two formats; nobody else includes it. */
#ifndef VERIFY_SBOM_PARTS_H
#define VERIFY_SBOM_PARTS_H

#include <jansson.h>

#include "verify/sbom.h"

#define SBOM_UUID_MAX 40

/*
 * The document, compact and with members in the order of their names. It is written piece by piece: as one tree of JSON values 100,000 files would
 * take twenty times its size. ERR_INPUT when a text could not be taken because it is not UTF-8; whether it fits, b says.
 */
int sbom_cyclonedx(struct buf *b, const struct sbom_facts *f);
int sbom_spdx(struct buf *b, const struct sbom_facts *f);
/* One piece; takes the reference. ERR_INPUT for NULL, which is what jansson makes of bad UTF-8. */
int sbom_put(struct buf *b, json_t *piece);
/* A UUID derived from the revision, so that the same facts name the same document. */
void sbom_uuid(char out[SBOM_UUID_MAX], const struct sbom_facts *f);

#endif
