/*
 * retention.h - which revisions may give their room back, and why: those rejected long ago, those behind the newest `keep_last` of their model,
 * and, in a namespace (the author of org/name) that takes more than its quota, retired ones and then those published longest ago. What a ref serves, a
 * mirror entry pins by commit or somebody pulled lately is in use and never goes by itself: whoever wants it gone deprecates it, and retires it after the notice.
 */
#ifndef CATALOG_RETENTION_H
#define CATALOG_RETENTION_H

#include <jansson.h>

#include "catalog/gc.h"
#include "catalog/policy.h"

struct db_conn;

/* What the reason of a revision that gave its room back ends in. */
#define RETENTION_FETCH_AGAIN "its files were freed: a sync of this commit fetches them again"

/* Bytes of the content that the namespace's revisions use and the store holds, each content once. author "": models without a namespace. */
int retention_namespace_bytes(struct db *db, const char *author, uint64_t *bytes, struct err *e);
/*
 * The revision's namespace, and what it takes with everything that this revision wants. What else is held, rejected or about to be judged does not count: of two that fit
 * one by one, the first to be judged gets the place.
 */
int retention_bytes_with(struct db *db, int64_t revision_id, struct arena *a, const char **author, uint64_t *bytes, struct err *e);

struct retention_room {
	const char *author;
	uint64_t missing_bytes;	/* what this revision wants and the store lacks */
	uint64_t bytes;		/* what the namespace takes, all states together, once that and what the running ones want is here */
};
/* running: revisions that are being fetched, of whatever namespace. */
int retention_room(struct db *db, int64_t revision_id, const int64_t *running, size_t n, struct arena *a, struct retention_room *out, struct err *e);

/* Namespaces above their quota, or with a sync that was refused for it, in the arena. Read before the transaction of gc.c, for it takes its time. */
struct retention_over {
	const char *author;
	uint64_t max_bytes, waiting_bytes;	/* waiting: what the largest refused sync would add */
};
int retention_over_quota(struct db *db, const struct policy *p, struct arena *a, struct retention_over **out, size_t *n, struct err *e);
/* In the transaction of gc.c: lets go of what the rules name, counts and lists it in out. */
int retention_release_tx(struct db_conn *c, const struct gc_rules *rules, const struct retention_over *over, size_t n_over, int64_t now, struct gc_counts *out,
			 struct err *e);

#endif
