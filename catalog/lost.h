/*
 * lost.h - contents that were in the store and are not any more: damaged and put aside, or gone. A file of a published revision is part of it
 * whether its bytes are here or not (it was published with all of them), so doors go on listing it and say that it can't be had at the moment;
 * what was never here is a file that is still pending (model_plan) or not wanted, and nobody sees it. A card or licence text that was read and is not served (evidence,
 * model.h) is lost as a file is: the next reading of the licence rests on it. Storing the content again ends the loss.
 */
#ifndef CATALOG_LOST_H
#define CATALOG_LOST_H

#include <jansson.h>

#include "catalog/model.h"

#define LOST_USES_MAX  100	/* published revisions that are told of one loss */
#define LOST_SHOWN_MAX 100	/* lost files of a revision that are named */

struct lost_use {
	const char *repo, *upstream, *path;
	char commit[DIGEST_HEX_MAX];
	int64_t revision_id;
};
/*
 * The store does not have this content (any more). When the catalog thought it did: an event "blob.lost" for each published revision that it
 * belongs to. *uses are these, known before or not, at most LOST_USES_MAX. *news: it was not known yet.
 */
int lost_note(struct db *db, const struct digest *sha256, const char *why, int64_t now, struct arena *a, struct lost_use **uses, size_t *n, bool *news, struct err *e);

/* Whatever else has this content: other revisions than this one, in any state, at most LOST_USES_MAX. */
int lost_sharers(struct db *db, const struct digest *sha256, int64_t revision_id, struct arena *a, struct lost_use **uses, size_t *n, struct err *e);

/* [{"path","size_bytes","sha256","since","reason"}…] of a published revision, at most LOST_SHOWN_MAX. since, reason: null where an earlier version saw it. */
json_t *lost_json(struct db *db, int64_t revision_id, struct err *e);
/* ERR_MISMATCH with a sentence when a published revision has lost a file: nothing may be said of its content then. */
int lost_check(struct db *db, int64_t revision_id, struct err *e);

#endif
