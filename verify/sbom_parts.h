/* sbom_parts.h - between sbom.c and the writers of the two formats; nobody else includes it. */
#ifndef VERIFY_SBOM_PARTS_H
#define VERIFY_SBOM_PARTS_H

#include <jansson.h>

#include "verify/sbom.h"

/*
 * The document, compact and with members in the order of their names. It is written piece by piece: as one tree of JSON values 100,000 files would
 * take twenty times its size. An error is that of reading the files; others stay in s.
 */
int sbom_cyclonedx(struct spool *s, const struct sbom_facts *f, struct err *e);
int sbom_spdx(struct spool *s, const struct sbom_facts *f, struct err *e);
/* The next of the files, as their own `next` says; 0 when there are none. */
int sbom_next_file(const struct sbom_facts *f, struct sbom_file *out, struct err *e);

#endif
