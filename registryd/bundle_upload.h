/* bundle_upload.h - what an import has sent of a bundle, until it is in the store: DATA/incoming/blobs. */
#ifndef REGISTRYD_BUNDLE_UPLOAD_H
#define REGISTRYD_BUNDLE_UPLOAD_H

#include "catalog/store.h"

#define BUNDLE_KEEP_S	    86400		/* what was uploaded and never used: so long after the last upload, */
#define BUNDLE_KEEP_MAX_S   (7 * 86400)		/* or after its own: those of one model may take more than a day */

/* The directory, made when it is not there: uploads, named by the SHA-256 that they are to have, possibly unfinished. The fd. */
int bundle_upload_dir(struct store *st, struct err *e);
/* Removes uploads that nobody wants any more. Best effort. */
void bundle_upload_expire(int incoming_fd, int64_t now);

/* The upload for reading; -1: it is not here. */
int bundle_upload_open(int incoming_fd, const struct digest *sha256);
void bundle_upload_drop(int incoming_fd, const struct digest *sha256);

#endif
