/* query_index_impl.h - the index in memory; shared by the files of query_index*, nobody else includes it. */
#ifndef CATALOG_QUERY_INDEX_IMPL_H
#define CATALOG_QUERY_INDEX_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/query_index.h"

#define INDEX_COLUMNS (FACET_STATE + 1)	/* facets that are one value a model: licence, architecture, task, quantisation, state */
#define INDEX_STATES  9
#define INDEX_NO_VALUE UINT16_MAX

enum { INDEX_VISIBLE = 1, INDEX_GATED = 2, INDEX_COMMERCIAL = 4, INDEX_STALE = 8 };

/*
 * Small numbers for the values of a column, for counting: at the load one for each value, the last one standing for all that found no place; values
 * that came later are few and stand behind `loaded`.
 */
struct index_values {
	uint32_t *value_of;		/* by small number */
	size_t n, cap, loaded;
};

/* Immutable but for INDEX_STALE and later values. A position is a model's place in the order of downloads. */
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
	uint16_t *dense[INDEX_COLUMNS];		/* the same as small numbers */
	struct index_values values[INDEX_COLUMNS];
	uint16_t *dense_of[INDEX_COLUMNS];	/* by value, INDEX_NO_VALUE where the load saw none */
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

/* A model changed since the load. Never altered once readers can see it: a change makes another. */
struct index_fresh {
	int64_t id, downloads, params;
	uint64_t size;
	uint32_t columns[INDEX_COLUMNS];
	uint32_t sunset_at;
	uint16_t formats;
	uint8_t flags;
	bool replaced, during;	/* for upkeep: another has its place; it came while a load was running */
	size_t n_terms;
	uint32_t *terms;	/* everything it carries: tags, licence, task … */
	char *name;		/* lower case */
};

/* In the order of downloads, so that a page looks at its first few rows and not at all of them. The key beside the row saves a cache miss. */
struct index_fresh_at {
	int64_t downloads;
	struct index_fresh *row;
};

/*
 * Two locks. `upkeep` is held by whoever changes the index, for as long as that takes; `lock` only while what was prepared is put in its place, so that
 * readers, who hold it shared, wait for some microseconds at most.
 */
struct query_index {
	pthread_mutex_t upkeep;
	pthread_rwlock_t lock;		/* base, fresh */
	atomic_bool ready, loading;
	struct index_base *base;	/* NULL until loaded */
	struct index_fresh_at *fresh;
	size_t n_fresh;
	/* below: upkeep's alone */
	struct index_fresh **fresh_of;	/* by model id */
	size_t n_fresh_of;
	int64_t *during;		/* ids committed while a load runs: they hide its rows too */
	size_t n_during, cap_during;
};

struct query_index *index_of(struct db *db);
void index_lower(char out[MODEL_NAME_MAX + 1], const char *name);

/* query_index_load.c: a base as of the last commit. */
int index_base_load(struct db *db, uint64_t memory_max, struct index_base **out, struct err *e);
void index_base_free(struct index_base *b);	/* accepts NULL */
uint16_t index_value_add(struct index_values *v, uint32_t value);
/* The small number of a column's value; INDEX_NO_VALUE when it has none. */
uint16_t index_value(const struct index_base *b, int column, uint32_t value);

/* The columns of a model that the index keeps, in the order in which the readers below take them. */
#define INDEX_ROW_COLUMNS                                                                                                        \
	"id, downloads, size_bytes, params, formats, visible, gated, commercial, coalesce(license_id, 0), coalesce(architecture_id, 0), " \
	"coalesce(task_id, 0), coalesce(quantization_id, 0), state, coalesce(library_id, 0), name, sunset_at"
uint8_t index_row_flags(struct sql *q);
uint32_t index_row_sunset(struct sql *q);

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
