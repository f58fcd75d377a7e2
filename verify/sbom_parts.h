/* sbom_parts.h - between sbom.c and the writers of the two formats; nobody else includes it. */
#ifndef VERIFY_SBOM_PARTS_H
#define VERIFY_SBOM_PARTS_H

#include <jansson.h>

#include "verify/sbom.h"

#define SBOM_UUID_MAX 40

/* The document, or NULL when a text could not be taken because it is not UTF-8. */
json_t *sbom_cyclonedx(const struct sbom_facts *f);
json_t *sbom_spdx(const struct sbom_facts *f);
/* A UUID derived from the revision, so that the same facts name the same document. */
void sbom_uuid(char out[SBOM_UUID_MAX], const struct sbom_facts *f);

#endif
