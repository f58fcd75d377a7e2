/*
 * bill.h - the bill of materials of a published revision: gathers what the catalog knows for verify/sbom.h, and keeps what was made of it. The same
 * facts give the same bytes; when they change (a new smoke test, a person's decision, what the files say) another document is kept,
 * and the earlier one stays.
 */
#ifndef REGISTRYD_BILL_H
#define REGISTRYD_BILL_H

#include "registryd/daemon.h"
#include "verify/sbom.h"

/* To be called whenever a published revision's facts may have changed: keeps both documents when they did. Does nothing for other revisions. */
int bill_keep(struct daemon *d, int64_t revision_id, struct err *e);
/* The same where nothing else may fail for it: an error is logged, and the document is kept when it is first asked for. */
void bill_note(struct daemon *d, int64_t revision_id);
/* The newest document, or with sha256 that one, into out (begun with SBOM_MAX_BYTES). ERR_CONFLICT when the revision has never been published. */
int bill_read(struct daemon *d, int64_t revision_id, enum sbom_format format, const char *sha256, struct arena *a, struct spool *out, struct err *e);

#endif
