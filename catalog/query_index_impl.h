/* query_index_impl.h - the index in memory; shared by query_index.c and query_index_load.c, nobody else includes it. */
#ifndef CATALOG_QUERY_INDEX_IMPL_H
#define CATALOG_QUERY_INDEX_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/query_index.h"

#define INDEX_COLUMNS (FACET_STATE + 1)	/* facets that are one value a model: licence, architecture, task, quantisation, state */
#define INDEX_STATES  9

enum { INDEX_VISIBLE = 1, INDEX_GATED = 2, INDEX_COMMERCIAL = 4, INDEX_STALE = 8 };

/* Immutable but for INDEX_STALE. A position is a model's place in the order of downloads. */
struct index_base {
	uint32_t n;
	uint32_t *id;
	int64_t *downloads;
	uint64_t *size;
	int64_t *params;
	uint16_t *formats;
	uint8_t *flags;
	uint32_t *sunset_at;			/* unix seconds, 0 none */
	uint32_t *columns[INDEX_COLUMNS];	/* term ids; the state itself */
	uint16_t *dense[INDEX_COLUMNS];		/* the same as small numbers, for counting */
	uint32_t *position_of;			/* by model id, UINT32_MAX none */
	uint32_t max_id;
	/* lists, by term: positions[start[t] … start[t] + length[t]) carry term t, ascending */
	uint32_t *start, *length, *positions;
	uint32_t n_terms;
	uint64_t **bitmaps;			/* by term, NULL for the rarer ones */
	/* names in lower case, each with its NUL, one behind the other in order of position */
	char *names;
	uint32_t *name_at;			/* n + 1 entries */
};

/* A model changed since the load. */
struct index_fresh {
	int64_t id, downloads, params;
	uint64_t size;
	uint16_t formats;
	uint8_t flags;
	uint32_t sunset_at;
	uint32_t columns[INDEX_COLUMNS];
	uint16_t dense[INDEX_COLUMNS];
	char name[MODEL_NAME_MAX + 1];	/* lower case */
	uint32_t *terms;	/* everything it carries: tags, licence, task … */
	size_t n_terms;
};

struct query_index {
	pthread_rwlock_t lock;		/* all below but the two flags */
	atomic_bool ready, loading;
	struct index_base *base;	/* NULL until loaded */
	struct index_fresh *fresh;
	size_t n_fresh, cap_fresh;
	uint32_t *fresh_of;		/* by model id: index into fresh plus 1; 0 none */
	size_t n_fresh_of;
	int64_t *during;		/* ids committed while a load runs: they hide its rows too */
	size_t n_during, cap_during;
	/* small numbers for the values of a column; the last one stands for all that found no place */
	uint32_t *term_of[INDEX_COLUMNS];
	size_t n_dense[INDEX_COLUMNS], cap_dense[INDEX_COLUMNS];
};

struct query_index *index_of(struct db *db);
void index_lower(char out[MODEL_NAME_MAX + 1], const char *name);

static inline size_t index_term_n(const struct index_base *b, uint32_t term)
{
	return term < b->n_terms ? b->length[term] : 0;
}

static inline const uint32_t *index_list(const struct index_base *b, uint32_t term)
{
	return b->positions + (term < b->n_terms ? b->start[term] : 0);
}

static inline const uint64_t *index_bitmap(const struct index_base *b, uint32_t term)
{
	return term < b->n_terms ? b->bitmaps[term] : NULL;
}

#endif
