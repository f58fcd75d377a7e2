/*
 * query_rows.h - rows of listings kept in memory: those that pages have shown lately. A commit empties every reader's page cache, so that a page of fifty rows
 * would read a hundred of them from the file again; and most pages show the same few thousand. For query.c and db.c.
 *
 * A commit puts what it has changed in its place before it returns, so a row from here is never older than the last commit that has returned.
 */
#ifndef CATALOG_QUERY_ROWS_H
#define CATALOG_QUERY_ROWS_H

#include "catalog/query.h"
#include "catalog/sql.h"

/* A model's row as listings show it, names and all. *found: there is one. */
int query_row_read(struct db *db, struct db_conn *c, int64_t model_id, struct arena *a, struct query_row *row, bool *found, struct err *e);

/* Copies those that are kept of n models into the arena; known[i]: rows[i] is one. */
void query_rows_get(struct db *db, const int64_t *ids, size_t n, struct arena *a, struct query_row *rows, bool *known);
/* Taken before a snapshot is read, and given with what was read in it: a row that may have changed since is not kept. */
uint64_t query_rows_generation(struct db *db);
void query_rows_keep(struct db *db, const struct query_row *rows, size_t n, uint64_t generation);
/* Called by tx_commit(), write lock held: the models and revisions that the transaction of c has changed. */
void query_rows_committed(struct db *db, struct db_conn *c);

#endif
