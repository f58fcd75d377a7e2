/*
 * query_index.h - the posting index: what listings filter by, in memory, so that any mix of tags and filters is answered in milliseconds
 * at two million models. For query*.c and db.c; the answers are the same as SQLite's.
 *
 * A load makes an immutable base: models in the order of downloads (most first, ties by id), a column for each thing filtered by, and for each
 * term (tag, licence, task, author …) who carries it: a sorted list of positions, or a bitmap where they are many. What is committed afterwards is kept
 * beside it in the same form, and hides the base's row of the same model; when that has grown large the index wants to be loaded again.
 */
#ifndef CATALOG_QUERY_INDEX_H
#define CATALOG_QUERY_INDEX_H

#include "catalog/query.h"
#include "catalog/sql.h"

/* Called by tx_commit(), write lock held: the models that the transaction of c has changed. */
void query_index_committed(struct db *db, struct db_conn *c);

/*
 * Ids of a page, in order of downloads. ERR_UNSUPPORTED when the index is not loaded or does not know one of the filter's conditions: then
 * SQLite is asked. after: the (downloads, id) of the row before, or NULL. *more: there are further rows.
 */
struct query_index_row {
	int64_t id, downloads;
};
int query_index_page(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, const struct query_index_row *after, size_t limit,
		     struct query_index_row *rows, size_t *n, bool *more, struct err *e);

enum query_facet { FACET_LICENSE, FACET_ARCHITECTURE, FACET_TASK, FACET_QUANTIZATION, FACET_STATE, FACET_FORMAT, FACET_N };
struct query_index_count {
	int64_t key;		/* term id (0 none), state or format */
	uint64_t models, bytes;
};
#define QUERY_FACET_VALUES_MAX 50	/* of one facet; those with fewer models are left out */
struct query_index_facets {
	struct query_index_count counts[FACET_N][QUERY_FACET_VALUES_MAX];	/* models descending */
	size_t n[FACET_N];
};
int query_index_facets(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, struct arena *a, struct query_index_facets *out, struct err *e);

#endif
