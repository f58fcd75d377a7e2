/*
 * incoming.h - DATA/incoming, what the API has received until a job takes it over: a directory for each import, named by its id, and "blobs", the contents of
 * bundles (bundle_upload.h). What nobody wants any more is removed.
 */
#ifndef REGISTRYD_INCOMING_H
#define REGISTRYD_INCOMING_H

#include "registryd/daemon.h"

#define INCOMING_ID_HEX 32
#define INCOMING_KEEP_S 86400	/* an import that nobody committed */

/* The directory, made when it is not there. The fd. */
int incoming_open(struct store *st, struct err *e);
/* The files of one import. Best effort: what stays expires. */
void incoming_remove(struct store *store, const char *id);
/*
 * Removes imports that nothing was added to for INCOMING_KEEP_S and to which nothing is being added (whoever does holds a shared flock() on the directory), and
 * bundle_upload_expire()s; neither while a job of its kind is still to come to its end. Best effort: what can't be removed is tried again the next time.
 */
int incoming_expire(struct daemon *d, int64_t now, struct err *e);

#endif
