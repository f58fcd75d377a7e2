/*
 * mirror.h - following what is kept in step with upstream (catalog/mirror.h has the entries). An entry of one repository becomes a sync; one
 * of an author or a query asks upstream what changed since it was last asked, with an overlap, and becomes a sync for each model that did.
 * Options: include, exclude, metadata_only as in sync; for authors and queries also names (globs), license, max_size, limit.
 */
#ifndef REGISTRYD_MIRROR_H
#define REGISTRYD_MIRROR_H

#include "catalog/mirror.h"
#include "registryd/work.h"

/* Job kind "mirror". */
int mirror_job(struct work *w, struct err *e);
/* Does the entry take this model? doc: what upstream says of its `main`, by which a listing chooses, for its licence; NULL: as far as its name tells. Of a query's words just upstream knows. */
bool mirror_covers(const struct mirror *m, const json_t *options, const char *repo, const json_t *doc);
/* ERR_CANCELED: this sync was queued by an entry's round and by nobody else, and no entry asks for it any more. doc as above. */
int mirror_check_asked(struct work *w, const json_t *doc, struct err *e);
/* Queues a job for each entry that is due. */
int mirror_queue_due(struct daemon *d, int64_t now, struct err *e);
/* m->last_error becomes what the entry's newest round has come to so far, in the arena: its own error, or else what its syncs failed with. NULL: nothing went wrong. */
int mirror_said(struct db *db, struct mirror *m, struct arena *a, struct err *e);
/* Makes the catalog's entries follow the settings. */
int mirror_follow_config(struct daemon *d, int64_t now, struct err *e);

#endif
