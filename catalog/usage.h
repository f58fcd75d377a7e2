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

#define USAGE_LATELY_DAYS 30	/* what is pulled in this time is in use, and its consumers are named */
/*
 * What was pulled since a time, in SQL, of the table or alias `pull`: a day's row whose last pull is not older; it counts whole, with what came before on that day.
 * (Such a row's day began less than a day before that: a range of the table's key.)
 */
#define USAGE_SINCE(pull, since) "(" pull ".day > " since " - 86400 AND " pull ".last_at >= " since ")"

#define USAGE_PENDING_MAX 100000	/* counters kept in memory; when passed they are written at once */

/* One answered GET of a file. Never fails; consumer is cut at 128 bytes. */
void usage_count(struct db *db, int64_t model_id, int64_t revision_id, const char *consumer, uint64_t bytes, int64_t now);
int usage_flush(struct db *db, struct err *e);	/* every few seconds, before gc, and before db_close() */
/* [{"consumer","pulls","bytes","last_at"}…] of the last `days` times 24 hours (USAGE_SINCE), most pulls first. model_id 0: all models, with "repo". */
json_t *usage_json(struct db *db, int64_t model_id, int days, int64_t now, struct err *e);

#endif
