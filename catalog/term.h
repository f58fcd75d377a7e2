/* term.h - names as small integers (table term). For catalog/ only; c is the connection of a transaction that writes, or any for finding. */
#ifndef CATALOG_TERM_H
#define CATALOG_TERM_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct db;
struct db_conn;

enum term_kind {
	TERM_AUTHOR = 1,
	TERM_LICENSE,
	TERM_TASK,
	TERM_LIBRARY,
	TERM_ARCHITECTURE,
	TERM_QUANTIZATION,
	TERM_UPSTREAM,
	TERM_TAG,
};

/* The id of a name, made when it is new. NULL or "" gives 0 (no name) for all but TERM_AUTHOR, where "" is a name. A task counts in lower case. */
int term_id(struct db_conn *c, enum term_kind kind, const char *name, int64_t *id, struct err *e);
/* The id, or 0 when the name was never used. */
int term_find(struct db_conn *c, enum term_kind kind, const char *name, int64_t *id, struct err *e);

/*
 * The name of an id, NULL for 0. Kept in memory once asked for, for a page of a listing has hundreds: it lives as long as db, or as the arena. c is a reader's: what a
 * writer has made and may still roll back must not be remembered.
 */
int term_name(struct db *db, struct db_conn *c, struct arena *a, int64_t id, const char **name, struct err *e);

#endif
