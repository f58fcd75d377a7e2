/*
 * sql.h - statements for the files of catalog/, and only for them: prepared once a connection, bound by position in order, errors sticky.
 *
 *	own(read) struct read r = {0};
 *	if (read_begin(&r, db, e) < 0) return e->code;
 *	own(sql) struct sql q = sql_prepare(r.c, "SELECT name FROM model WHERE id = $1", e);
 *	sql_int(&q, id);
 *	while (sql_row(&q))
 *		… sql_get_text(&q, 0) …
 *	return sql_done(&q);
 *
 * Binding or stepping after an error does nothing and sql_row() answers false, so one look at sql_done() is enough. Text got from a row lives until the next step: copy it into an arena.
 * SQL is kept to what PostgreSQL takes too: $1 parameters, ON CONFLICT … RETURNING, time bound from C, JSON as text.
 */
#ifndef CATALOG_SQL_H
#define CATALOG_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/spool.h"
#include "catalog/db.h"
#include "verify/digest.h"

struct db_conn;

/* A transaction that writes. It is rolled back at the end of its scope unless tx_commit() was called. Never begin two in one thread. */
struct tx {
	struct db *db;
	struct db_conn *c;
};
int tx_begin(struct tx *t, struct db *db, struct err *e);
int tx_commit(struct tx *t, struct err *e);
void own_tx(struct tx *t);

/* A snapshot to read from. */
struct read {
	struct db *db;
	struct db_conn *c;
};
int read_begin(struct read *r, struct db *db, struct err *e);
void own_read(struct read *r);

/* The connection has this many prepared statements at most; the ones used longest ago go first. */
#define SQL_CACHE_MAX 256

struct sql {
	struct db_conn *c;
	struct sql_slot *slot;	/* the cached statement, NULL after a failed prepare */
	struct err *e;
	int n_bound;
	bool stepped;
	int rc;			/* 0 or the first error */
};
int sql_exec(struct db_conn *c, const char *text, struct err *e);	/* statements without parameters, run once: pragmas, migrations */
struct sql sql_prepare(struct db_conn *c, const char *text, struct err *e);
void sql_int(struct sql *q, int64_t v);
void sql_real(struct sql *q, double v);
void sql_text(struct sql *q, const char *s);	/* NULL binds NULL; s must live until sql_done() */
void sql_blob(struct sql *q, const void *p, size_t n);
void sql_room(struct sql *q, uint64_t n);	/* a blob of n bytes that sql_fill() then writes */
void sql_digest(struct sql *q, const struct digest *d);	/* its raw bytes; NULL for DIGEST_NONE */
void sql_null(struct sql *q);
void sql_int_or_null(struct sql *q, int64_t v);	/* 0 binds NULL */
bool sql_row(struct sql *q);
int sql_done(struct sql *q);		/* 0 or the first error; resets: the statement may be bound and stepped anew */
int sql_run(struct sql *q);		/* step to the end, then sql_done() */
void own_sql(struct sql *q);		/* back to the connection's cache */

int64_t sql_get_int(struct sql *q, int col);	/* 0 for NULL */
double sql_get_real(struct sql *q, int col);
bool sql_is_null(struct sql *q, int col);
const char *sql_get_text(struct sql *q, int col);	/* NULL for NULL */
const void *sql_get_blob(struct sql *q, int col, size_t *n);
void sql_get_digest(struct sql *q, int col, enum digest_algo algo, struct digest *out);
char *sql_get_dup(struct sql *q, int col, struct arena *a);	/* text in the arena, NULL for NULL */
int64_t sql_changes(struct sql *q);	/* rows changed by the last step */

/* A long value in pieces, by its row's number (which a table of this kind must have): from a spool into room of that length, and into a spool. */
int sql_fill(struct db_conn *c, const char *table, const char *column, int64_t rowid, const struct spool *from, struct err *e);
int sql_spool(struct db_conn *c, const char *table, const char *column, int64_t rowid, struct spool *to, struct err *e);

/*
 * What a part of catalog/ keeps in memory beside the rows (progress of jobs, pull counters, the posting index, names): one pointer each, freed by
 * db_close(). The part locks what it points to.
 */
enum db_slot { DB_SLOT_JOB, DB_SLOT_USAGE, DB_SLOT_QUERY, DB_SLOT_ROWS, DB_SLOT_TERM, DB_SLOT_N };
void *db_slot(struct db *db, enum db_slot which, void *(*make)(void), void (*done)(void *));	/* made at first use */

#endif
