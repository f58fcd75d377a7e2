/*
 * mirror.h - what is kept in step with upstream: entries of registryd.yaml and those added by `registryctl mirror add`. Only the entries and
 * when they are due; what following them means, the daemon knows.
 */
#ifndef CATALOG_MIRROR_H
#define CATALOG_MIRROR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "catalog/db.h"

enum mirror_kind {
	MIRROR_REPO = 1,	/* target: "org/name" */
	MIRROR_AUTHOR,		/* target: "org" */
	MIRROR_QUERY,		/* target: JSON object of query parameters */
};

struct mirror {
	int64_t id;
	const char *name;	/* unique; what `mirror remove` takes. Of a repo entry: the repo */
	enum mirror_kind kind;
	const char *target;
	const char *upstream;	/* configured upstream's name */
	const char *revision;	/* ref, default "main" */
	const char *options;	/* JSON object: include, exclude, metadata_only … */
	int64_t every_s;
	bool from_config;	/* kept in step with registryd.yaml, cannot be removed by hand */
	int64_t next_at, last_at;
	const char *last_error;	/* of the run itself; NULL when that went well, whatever its syncs come to */
	const char *cursor;	/* JSON the daemon keeps between runs (what was seen when), or NULL */
};

/* Adds, or replaces the entry of this name (next_at: now). A name that the configuration owns is ERR_CONFLICT for from_config false. */
int mirror_put(struct db *db, const struct mirror *m, int64_t now, int64_t *id, struct err *e);
int mirror_remove(struct db *db, const char *name, struct err *e);
/* Removes entries of the configuration that are not among names. */
int mirror_keep_config(struct db *db, const char *const *names, size_t n, struct err *e);
int mirror_find(struct db *db, const char *name, struct arena *a, struct mirror *out, struct err *e);	/* ERR_NOT_FOUND */
int mirror_list(struct db *db, struct arena *a, struct mirror **out, size_t *n, struct err *e);
/* Entries with next_at <= now, and *next_at (may be NULL) when the next one is due (0 none). */
int mirror_due(struct db *db, int64_t now, struct arena *a, struct mirror **out, size_t *n, int64_t *next_at, struct err *e);
/* A run that was due is queued: it is not due again until then. Where it has ended already, what it said stays. */
int mirror_queued(struct db *db, int64_t id, int64_t now, int64_t next_at, struct err *e);
/*
 * A run has ended: when to run next, what went wrong (NULL nothing), what to remember (NULL: as before). m: the entry as it was when the run began; one that was
 * edited meanwhile has its run still to come. So has one that a person wanted meanwhile, which saw only part of this run.
 */
int mirror_ran(struct db *db, const struct mirror *m, int64_t now, int64_t next_at, const char *error, const char *cursor, struct err *e);
/* A person wants it now: next_at becomes 0, which tells such a run from a scheduled one. name NULL: all. */
int mirror_run_now(struct db *db, const char *name, struct err *e);
json_t *mirror_json(const struct mirror *m);

#endif
