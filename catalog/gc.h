/*
 * gc.h - giving back what no revision needs. Content is needed while a revision uses it (table blob_use). Two kinds are not: orphans, which a
 * crash between store and catalog leaves behind, and the content of revisions that the retention rules let go (retention.h). Those go back to
 * `planned`, but for retired ones, which stay so: a later sync of that commit fetches them again.
 *
 * Nothing else may publish into the store or ask whether it holds something while gc_run() works: the caller sees to that.
 */
#ifndef CATALOG_GC_H
#define CATALOG_GC_H

#include <jansson.h>
#include <stdbool.h>

#include "catalog/db.h"
#include "catalog/policy.h"
#include "catalog/store.h"

struct gc_rules {
	int64_t keep_last;	/* published revisions of a model that people can get and that stay; 0: all */
	int64_t ended_at;	/* nobody gets what has its sunset at or before this time; 0: that is served still */
	const struct policy *quotas;	/* of namespaces; NULL none */
	int64_t rejected_before;	/* what was rejected before this time goes; 0 none */
	int64_t unused_since;	/* one that was pulled at or after this time stays too */
	bool dry_run;		/* only count */
};

struct gc_counts {
	int64_t revisions, blobs;
	uint64_t bytes;
	json_t *list;		/* [{"repo","revision","why"}…] of the revisions let go; the caller's reference */
	json_t *quotas;		/* [{"author","max_bytes","before_bytes","bytes","over_bytes","held_bytes"}…] of the namespaces that were above theirs; likewise */
};

/* A revision that a ref points at, or a mirror entry pins, always stays. */
int gc_run(struct db *db, struct store *st, const struct gc_rules *rules, int64_t now, struct gc_counts *out, struct err *e);

#endif
