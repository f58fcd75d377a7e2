/*
 * bill.h - the bill of materials of a published revision: gathers what the catalog knows for verify/sbom.h. The same facts give the same
 * bytes; a new smoke test or a person's decision is another fact.
 */
#ifndef REGISTRYD_BILL_H
#define REGISTRYD_BILL_H

#include "registryd/daemon.h"
#include "verify/sbom.h"

/* The document into b (initialised with SBOM_MAX_BYTES). ERR_CONFLICT when the revision has never been published. */
int bill_write(struct daemon *d, int64_t revision_id, enum sbom_format format, struct arena *a, struct buf *b, struct err *e);

#endif
