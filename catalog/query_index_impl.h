/* query_index_impl.h - the index in memory; shared by the files of query_index*, nobody else includes it. */
#ifndef CATALOG_QUERY_INDEX_IMPL_H
#define CATALOG_QUERY_INDEX_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/query_index.h"

#define INDEX_COLUMNS	(FACET_STATE + 1)	/* facets that are one value a model: licence, architecture, task, quantisation, state */
#define INDEX_STATES	9
#define INDEX_NONE	UINT32_MAX
#define INDEX_SIZE_MAX	((1ull << 40) - 1)	/* what a row's facts have room for */
#define INDEX_STEPS	64u			/* a term carried by more than 1/64 of a base's models has a bitmap; a range has a bitmap for each 1/64 */

/* One bit a row each. INDEX_FORMAT + f: the model has weights of enum format f. */
enum index_set {
	INDEX_LIVE,			/* the row counts: no later one stands for its model */
	INDEX_VISIBLE,
	INDEX_GATED,
	INDEX_COMMERCIAL,
	INDEX_DEPRECATED,		/* has a date, which may lie ahead */
	INDEX_ENDING,			/* has a sunset date */
	INDEX_FORMAT,
	INDEX_SETS = INDEX_FORMAT + FORMAT_N,
};

/* Who carries a term (tag, licence, task, author …): positions in ascending order, or a bitmap. A list's room is the power of two above n. */
struct index_term {
	union {
		uint32_t *list;
		uint64_t *bits;
	};
	uint32_t n;
	bool dense;
};

/*
 * All that facets need of a row, in few bytes, for they look at very many rows; and in few numbers, for each is an addition: values of which there are few
 * combinations are counted together and taken apart afterwards.
 */
struct index_facts {
	uint32_t size_low;
	uint32_t architecture : 24, size_high : 8;
	uint16_t rights;			/* licence and state */
	uint16_t kind;				/* task, quantisation, formats */
};

/*
 * Rows by position. The base is what a load made, in the order of downloads (most first, ties by id), and changes in INDEX_LIVE alone. The tail has
 * what was committed since, in the order in which it came.
 */
struct index_part {
	uint32_t n, cap;
	uint32_t *id;
	int64_t *downloads, *params;
	struct index_facts *facts;
	uint32_t *sunset_at, *deprecated_at;	/* unix seconds, 0 none */
	uint64_t *sets[INDEX_SETS];
	struct index_term *terms;		/* by term id */
	uint32_t n_terms;
	struct index_large {			/* sizes that facts have no room for (INDEX_SIZE_MAX stands there), by position */
		uint32_t position;
		uint64_t size;
	} *large;
	size_t n_large, cap_large;
	char *names;				/* in lower case, each with its NUL, one behind the other */
	uint32_t *name_at;			/* n + 1 entries */
	size_t cap_names;
};

/* Combinations, numbered as they come: each of small numbers, unused ones 0. */
#define INDEX_COMBINED 3
struct index_combinations {
	struct index_combination {
		uint32_t of[INDEX_COMBINED];
	} *v;
	size_t n, cap;
	uint32_t *slots;			/* hash of v, INDEX_NONE where free */
	size_t n_slots;
};

/* What facets count, by number. A small number stands for a term, 0 for none; the state for itself. */
struct index_values {
	struct index_column {
		uint32_t *term_of;		/* by small number */
		size_t n, cap;
	} columns[INDEX_COLUMNS];
	uint32_t *small_of;			/* by term id; a term is a value of one column */
	size_t n_small_of;
	struct index_combinations rights, kinds;
};

/* Authors in any case: the term of the first spelling seen stands for all. */
struct index_authors {
	struct index_author {
		uint32_t name_at, term;		/* term 0: free */
	} *slots;
	size_t n, n_slots;
	char *names;				/* in lower case */
	size_t n_names, cap_names;
};

/* A row of the base that has a sunset date. */
struct index_end {
	uint32_t sunset_at, position;
};

/* By rights, architecture and kind. */
struct index_sums {
	struct index_sum {
		uint64_t models, bytes;
	} *rights, *architectures, *kinds;	/* one behind the other */
	size_t n;				/* of all three */
};

/*
 * The base's positions by size, or by parameters. below[k] is about the first k + 1 of INDEX_STEPS equal parts of them, so that any range is a bitmap at hand and few
 * bits.
 */
struct index_range {
	uint32_t *order;
	uint64_t *below[INDEX_STEPS];
};

/* Sums that are at hand, of the base's usual rows in both sets (NULL: all) and in the first `steps` parts of a range (NULL: at any place). */
struct index_total {
	const uint64_t *bits, *second;
	const struct index_range *range;
	uint32_t steps, rows;
	struct index_sums sums;
};

/* The tail's live rows, in the order of downloads. */
struct index_place {
	int64_t downloads;
	uint32_t id, position;
};

struct index {
	struct index_part base, tail;
	struct index_values values;
	struct index_authors authors;
	struct index_range size, params;
	const uint64_t *usual;			/* rows that totals are of: the visible ones when they are most; NULL: all */
	struct index_total *totals;		/* those of a range one behind the other */
	size_t n_totals, cap_totals;
	struct index_end *ends;			/* of the base, by date */
	size_t n_ends;
	struct index_place *order;
	size_t n_order;
	/* upkeep's alone */
	uint32_t *where;			/* by model id: a position of the base, base.n + one of the tail, INDEX_NONE */
	size_t n_where;
	uint64_t *terms_hash;			/* by position of the tail: a row whose terms are the same is changed where it is */
};

/*
 * Two locks. `upkeep` is held by whoever changes the index, for as long as that takes; `lock` only while what was prepared is put in its place, which
 * readers, who hold it shared, wait for.
 */
struct query_index {
	pthread_mutex_t upkeep;
	pthread_rwlock_t lock;			/* *index */
	atomic_bool ready, loading;
	struct index *index;			/* NULL until loaded */
	int64_t *during;			/* ids committed while a load runs; upkeep's alone */
	size_t n_during, cap_during;
};

struct query_index *index_of(struct db *db);

/* --- query_index_part.c: rows and what is known of them --- */

/* A model as read. */
struct index_row {
	int64_t id, downloads, params;
	uint64_t size;
	uint32_t columns[INDEX_COLUMNS], library, author;	/* term ids, 0 none; the state itself */
	uint32_t sunset_at, deprecated_at, formats, sets;	/* sets: bits 1 << enum index_set */
	char name[MODEL_NAME_MAX + 1];				/* lower case */
};
#define INDEX_ROW_COLUMNS                                                                                                        \
	"id, downloads, size_bytes, params, formats, visible, gated, commercial, coalesce(license_id, 0), coalesce(architecture_id, 0), " \
	"coalesce(task_id, 0), coalesce(quantization_id, 0), state, coalesce(library_id, 0), name, sunset_at, deprecated_at, author_id"
void index_row_read(struct sql *q, struct index_row *r);
void index_lower(char out[MODEL_NAME_MAX + 1], const char *name);

void *index_array(size_t n, size_t size);	/* zeroed; aborts when there is none; free() */
void index_part_init(struct index_part *t, uint32_t cap, uint32_t n_terms);
void index_part_grow(struct index_part *t);	/* room for twice as many rows */
void index_part_terms(struct index_part *t, uint32_t term);	/* room for this term */
void index_part_free(struct index_part *t);
/* All of a row but its name; position < cap. */
void index_part_put(struct index_part *t, uint32_t position, const struct index_row *r, const struct index_facts *facts);
void index_part_name(struct index_part *t, const char *name);	/* that of the row at t->n, which counts from now on */
void index_part_carry(struct index_part *t, uint32_t term, uint32_t position);	/* ascending for each term */
uint64_t index_part_size(const struct index_part *t, uint32_t position);

void index_values_init(struct index_values *v, uint32_t n_terms);
void index_values_free(struct index_values *v);
/* The row's facts without its size, numbers being made for what is new. False when there are too many. */
bool index_facts(struct index_values *v, const struct index_row *r, struct index_facts *out);
/* Memory for that many is the caller's, zeroed. */
size_t index_sums_n(const struct index_values *v);
struct index_sums index_sums(const struct index_values *v, struct index_sum *memory);

/* The term that stands for the author of a model's name (lower case), noted when new; 0 when the name has none. */
uint32_t index_author_add(struct index_authors *v, const char *name, uint32_t term);
uint32_t index_author_find(const struct index_authors *v, const char *author);	/* lower case; 0 unknown */
void index_authors_free(struct index_authors *v);

/* --- query_index_load.c: an index as of the last commit --- */
int index_load(struct db *db, uint64_t memory_max, struct index **out, struct err *e);
void index_free(struct index *x);		/* accepts NULL */
/* Sorts positions by key, keeping the order of equal ones. */
struct index_key {
	uint64_t key;
	uint32_t position;
};
void index_sort(struct index_key *v, size_t n);

/* --- query_index_walk.c: the rows of a part that fit a filter --- */

/* A filter in terms of the index: the term ids that a row must carry, one of `licenses` (each once), and the filter's ranges. */
struct index_query {
	const struct query_filter *f;
	int64_t now;
	uint32_t all[QUERY_LIST_MAX + 8], licenses[QUERY_LIST_MAX];
	size_t n_all, n_licenses, n_search;
	bool nothing;						/* a name that nobody carries was asked for */
	char search[QUERY_LIST_MAX][MODEL_NAME_MAX + 1];	/* lower case */
	char author[MODEL_NAME_MAX + 1];			/* the same; its term is known under the index's lock alone */
};

/* ERR_UNSUPPORTED when the index does not know one of the filter's conditions. */
int index_query_init(struct index_query *q, struct db_conn *c, const struct query_filter *f, int64_t now, struct err *e);
/* Locks the index for reading and adds what only it can tell. NULL, and no lock, when there is none. */
const struct index *index_query_begin(struct query_index *x, struct index_query *q);

#define INDEX_SETS_MAX (QUERY_LIST_MAX + 8 + INDEX_SETS + 3)
struct index_walk {
	const struct index *x;
	const struct index_part *part;
	const struct index_query *q;
	const uint32_t *drive;		/* positions of the rarest term; NULL: the sets' words are walked */
	uint32_t n_drive, at;		/* in drive, in words, or in positions when by_name */
	uint64_t word;			/* what is left of the word before `at` */
	struct {
		const uint64_t *bits;
		uint64_t flip;		/* all ones: a row must not be in it */
	} sets[INDEX_SETS_MAX];
	size_t n_sets;
	struct {
		const uint32_t *list;
		uint32_t n, at;
	} lists[QUERY_LIST_MAX + 8];	/* of rarer terms, galloped through */
	size_t n_lists;
	uint32_t asked;			/* rows that did not fit */
	bool by_name;			/* the first text searched for drives: its occurrences are found in all names at once */
	bool test_size, test_params, test_dates, test_licences, test_names;
	struct {
		const struct index_range *range;
		uint32_t from, to;	/* the places in its order of those that fit */
	} ranges[2];			/* that are among the sets */
	size_t n_ranges;
	uint64_t *made[12];		/* bitmaps of this query's own */
	size_t n_made;
};
/* all: every row will be asked for, not a page of them. */
void index_walk_begin(struct index_walk *w, const struct index *x, const struct index_part *part, const struct index_query *q, bool all);
void index_walk_seek(struct index_walk *w, uint32_t position);	/* before the first step: go on from there */
uint32_t index_walk_next(struct index_walk *w);			/* ascending; INDEX_NONE at the end */
/* The sets' common rows as a bitmap of the walk's, where words are walked; index_walk_fits() has still to be asked of each. NULL otherwise. */
uint64_t *index_walk_bits(struct index_walk *w);
uint64_t *index_walk_new_bits(struct index_walk *w);		/* an empty one */
bool index_walk_fits(const struct index_walk *w, uint32_t position);
void index_walk_done(struct index_walk *w);

/* --- query_index_totals.c: sums at hand --- */
void index_totals_make(struct index *x);
void index_totals_free(struct index *x);
/* Rows that are still to be counted, or to be taken away; bitmaps of the walk's. */
struct index_rest {
	uint64_t *add, *take;		/* take may be NULL */
	uint64_t n_add, n_take;
};
/* Adds the sums at hand that come closest to the rows of `bits`, if that leaves less to do than to count these. bits are changed. */
void index_totals_near(struct index_walk *w, uint64_t *bits, uint64_t rows, const struct index_sums *sums, struct index_rest *rest);

static inline uint32_t index_step(uint32_t n)
{
	return n / INDEX_STEPS + 1;
}

static inline size_t index_words(uint32_t n)
{
	return (size_t)n / 64 + 1;
}

static inline bool index_bit(const uint64_t *bits, uint32_t position)
{
	return bits[position / 64] >> (position % 64) & 1;
}

/* As __builtin_popcountll(), which is a call and a table where the processor is not known to have an instruction for it. */
static inline uint64_t index_ones(uint64_t x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	return ((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56;
}

static inline uint64_t index_count_ones(const uint64_t *bits, size_t words)
{
	uint64_t n = 0;

	for (size_t i = 0; i < words; i++)
		n += index_ones(bits[i]);
	return n;
}

static inline uint32_t index_term_n(const struct index_part *t, uint32_t term)
{
	return term < t->n_terms ? t->terms[term].n : 0;
}

/* sign: 1, or -1 to take the row away. */
static inline void index_count(const struct index_sums *s, const struct index_part *t, uint32_t position, uint64_t sign)
{
	struct index_facts f = t->facts[position];
	uint64_t size = f.size_low | (uint64_t)f.size_high << 32;

	if (__builtin_expect(size == INDEX_SIZE_MAX, 0))
		size = index_part_size(t, position);
	size *= sign;
	s->rights[f.rights].models += sign;
	s->rights[f.rights].bytes += size;
	s->architectures[f.architecture].models += sign;
	s->architectures[f.architecture].bytes += size;
	s->kinds[f.kind].models += sign;
	s->kinds[f.kind].bytes += size;
}

#endif
