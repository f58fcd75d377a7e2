/*
 * usage.h - who pulls what: a count a day, model, revision and consumer (token name, or client address for anonymous callers). Counted in
 * memory and written now and then, so that serving a file costs no disk write.
 */
#ifndef CATALOG_USAGE_H
#define CATALOG_USAGE_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/db.h"

#define USAGE_PENDING_MAX 100000	/* counters kept in memory; when passed they are written at once */

/* One answered GET of a file. Never fails; consumer is cut at 128 bytes. */
void usage_count(struct db *db, int64_t model_id, int64_t revision_id, const char *consumer, uint64_t bytes, int64_t now);
int usage_flush(struct db *db, struct err *e);	/* every minute or so, and before db_close() */
/* [{"consumer","pulls","bytes","last_at"}…] of the last `days` days, most pulls first. model_id 0: all models, with "repo". */
json_t *usage_json(struct db *db, int64_t model_id, int days, int64_t now, struct err *e);

#endif
