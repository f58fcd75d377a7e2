/*
 * db.h - the catalog file DATA/catalog.sqlite: one writing connection behind a lock, a few reading ones, migrations, and the words for
 * what can go wrong. What the rows mean is in schema/NNNN_*.sql and in the header of each part that keeps them.
 *
 * Durability: WAL with synchronous=FULL. When a function of catalog/ that changes rows has returned 0, the change survives a power cut.
 * No descriptor of the catalog, its -wal or its -shm is opened in this process but by SQLite: closing it would drop SQLite's locks (db.c). When one
 * of the three is removed or replaced under the open catalog, every later transaction fails, and so does db_ready().
 * Threads: every function of catalog/ that takes a struct db may be called from any thread. Writers wait for one another; readers never wait
 * for a writer and see the last committed state.
 */
#ifndef CATALOG_DB_H
#define CATALOG_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define DB_READERS_DEFAULT   4
#define DB_CHECK_AT_OPEN_MAX (256ull << 20)

struct db;

/*
 * Opens or creates the catalog at path (mode 0640; no symbolic link is followed) and brings it to this program's schema, one transaction a migration. A catalog of a newer program is
 * refused (ERR_UNSUPPORTED, both versions named). After an unclean end a catalog of up to DB_CHECK_AT_OPEN_MAX bytes is read and checked first, and a
 * damaged one is ERR_MISMATCH and left alone; a larger one would delay the start: db_was_unclean() tells the caller to run db_check() behind it.
 * readers: reading connections, 0 for the default.
 */
int db_open(struct db **out, const char *path, unsigned readers, struct err *e);
/* Checkpoints and marks a clean end. Accepts NULL. */
void db_close(struct db *db);
static inline void own_db(struct db **db)
{
	db_close(*db);
}

bool db_was_unclean(const struct db *db);	/* the last one who had it open did not come to db_close() */

/* Reads the whole file and compares (PRAGMA quick_check): 0, or ERR_MISMATCH with the first finding. For `verify --all` and readiness. */
int db_check(struct db *db, struct err *e);
/* Can the catalog be read and written now? A transaction that changes nothing; it is committed where the last one could not be. */
int db_ready(struct db *db, struct err *e);
int db_schema_version(const struct db *db);
uint64_t db_size_bytes(struct db *db);	/* file and write-ahead log */

/* Waits until something has been committed since *seen was last set by this function (start with 0), or timeout. True when something was. */
bool db_wait_change(struct db *db, uint64_t *seen, int timeout_ms);
/* Ends these waits as a commit does: for who has told a waiting thread to stop. */
void db_wake(struct db *db);

#endif
