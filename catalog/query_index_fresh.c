/* query_index_fresh.c - the posting index keeps step with what is committed behind its load; see query_index.h. */
#include "base/vec.h"
#include "catalog/conn.h"
#include "catalog/query_index_impl.h"

#define FRESH_MIN    50000	/* changed rows after which the index wants to be loaded again, */
#define FRESH_SHARE  16		/* or this part of all models, whichever is more */
#define CATCH_UP_MAX 1000	/* rows committed during a load that are read while commits wait; more are read before, in rounds */
#define ROUNDS_MAX   20

/* --- the slot ------------------------------------------------------------------------------------------------------------------------------ */

static void *slot_make(void)
{
	struct query_index *x = mem_zalloc(sizeof(*x));
	pthread_rwlockattr_t attr;

	/* A commit waits for the readers that are at work, not for those that come meanwhile. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_mutex_init(&x->upkeep, NULL);
	pthread_rwlock_init(&x->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return x;
}

static void slot_free(void *p)
{
	struct query_index *x = p;

	index_free(x->index);
	free(x->during);
	pthread_mutex_destroy(&x->upkeep);
	pthread_rwlock_destroy(&x->lock);
	free(x);
}

struct query_index *index_of(struct db *db)
{
	return db_slot(db, DB_SLOT_QUERY, slot_make, slot_free);
}

bool query_index_grown(struct db *db)
{
	struct query_index *x = index_of(db);
	uint32_t most = FRESH_MIN;
	bool grown = false;

	pthread_rwlock_rdlock(&x->lock);
	if (x->index) {
		if (x->index->base.n / FRESH_SHARE > most)
			most = x->index->base.n / FRESH_SHARE;
		grown = x->index->tail.n > most || !atomic_load(&x->ready);
	}
	pthread_rwlock_unlock(&x->lock);
	return grown;
}

/* --- reading rows -------------------------------------------------------------------------------------------------------------------------- */

/* A changed model: its row, and the terms it carries: terms[first … first + n_terms) of the batch. */
struct change {
	struct index_row row;
	size_t first, n_terms;
	uint64_t hash;		/* of its terms */
	uint32_t was;		/* where its row is until now: see struct index */
	uint32_t position;	/* in the tail, where it will be */
	bool gone, fresh;	/* gone: there is no row any more; fresh: at the tail's end, not where it was */
};

struct batch {
	struct change *v;
	size_t n, cap;
	uint32_t *terms;
	size_t n_terms, cap_terms;
	uint32_t n_fresh;
};

static void own_batch(struct batch *b)
{
	free(b->v);
	free(b->terms);
}

static const uint32_t *terms_of(const struct batch *b, const struct change *h)
{
	return h->n_terms ? b->terms + h->first : NULL;
}

static void add_term(struct batch *b, uint32_t term)
{
	if (term)
		*vec_push(&b->terms, &b->n_terms, &b->cap_terms) = term;
}

static int read_tags(struct db_conn *c, int64_t id, struct batch *b, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT tag_id FROM model_tag WHERE model_id = $1 ORDER BY tag_id", e);

	sql_int(&q, id);
	while (sql_row(&q))
		add_term(b, (uint32_t)sql_get_int(&q, 0));
	return sql_done(&q);
}

static int read_change(struct db_conn *c, int64_t id, struct batch *b, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT " INDEX_ROW_COLUMNS " FROM model WHERE id = $1", e);
	struct change *h = vec_push(&b->v, &b->n, &b->cap);
	int rc;

	h->first = b->n_terms;
	h->row.id = id;
	sql_int(&q, id);
	if (sql_row(&q))
		index_row_read(&q, &h->row);
	h->gone = h->row.columns[FACET_STATE] == 0;	/* removed, or without a revision, and so no row */
	if ((rc = sql_done(&q)) < 0 || h->gone)
		return rc;
	for (int i = 0; i < INDEX_COLUMNS; i++)
		if (i != FACET_STATE)
			add_term(b, h->row.columns[i]);
	add_term(b, h->row.library);
	rc = read_tags(c, id, b, e);
	h->n_terms = b->n_terms - h->first;
	return rc;
}

static int compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Every model once, in order. */
static size_t unique_ids(int64_t *ids, size_t n)
{
	size_t k = 0;

	qsort(ids, n, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < n; i++)
		if (k == 0 || ids[k - 1] != ids[i])
			ids[k++] = ids[i];
	return k;
}

static int read_batch(struct db_conn *c, int64_t *ids, size_t n, struct batch *b, struct err *e)
{
	int rc = 0;

	n = unique_ids(ids, n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_change(c, ids[i], b, e);
	return rc;
}

/* --- a batch takes its place --------------------------------------------------------------------------------------------------------------- */

static bool before(const struct index_place *a, const struct index_place *b)
{
	return a->downloads != b->downloads ? a->downloads > b->downloads : a->id < b->id;
}

static int compare_places(const void *a, const void *b)
{
	return before(a, b) ? -1 : before(b, a);
}

static uint64_t hash_terms(const uint32_t *terms, size_t n, uint32_t author)
{
	uint64_t h = author;

	for (size_t i = 0; i < n; i++)
		h = (h ^ terms[i]) * 0x9e3779b97f4a7c15ull ^ h >> 29;
	return h;
}

static bool in_tail(const struct index *x, uint32_t place)
{
	return place != INDEX_NONE && place >= x->base.n;
}

/*
 * Where the rows go: a row of the tail is changed where it is as long as its terms and its name stay as they are, which is what a listing with new numbers of
 * downloads does to it, time and again. Otherwise it is a new one at the end.
 */
static void plan(const struct index *x, struct batch *b)
{
	const struct index_part *t = &x->tail;

	b->n_fresh = 0;
	for (size_t i = 0; i < b->n; i++) {
		struct change *h = &b->v[i];

		h->was = (size_t)h->row.id < x->n_where ? x->where[h->row.id] : INDEX_NONE;
		h->hash = hash_terms(terms_of(b, h), h->n_terms, h->row.author);
		h->position = in_tail(x, h->was) ? h->was - x->base.n : INDEX_NONE;
		h->fresh = !h->gone && (h->position == INDEX_NONE || x->terms_hash[h->position] != h->hash ||
					strcmp(t->names + t->name_at[h->position], h->row.name) != 0);
		if (h->fresh)
			h->position = t->n + b->n_fresh++;
	}
}

/* The batch's rows in the order of downloads. Caller frees. */
static struct index_place *places_of(const struct batch *b, size_t *n)
{
	struct index_place *out = mem_zalloc((b->n + 1) * sizeof(*out));

	*n = 0;
	for (size_t i = 0; i < b->n; i++)
		if (!b->v[i].gone)
			out[(*n)++] = (struct index_place){ b->v[i].row.downloads, (uint32_t)b->v[i].row.id, b->v[i].position };
	qsort(out, *n, sizeof(*out), compare_places);
	return out;
}

/* The tail's order as it will be: without the batch's models where they are now, and with them where they go. Caller frees. */
static struct index_place *merge(const struct index *x, const struct batch *b, size_t *n)
{
	struct index_place *out = mem_zalloc((x->n_order + b->n + 1) * sizeof(*out));
	uint64_t *moved = mem_zalloc(index_words(x->tail.cap) * sizeof(*moved));
	size_t k = 0, n_places;
	own(mem) struct index_place *places = places_of(b, &n_places);

	for (size_t i = 0; i < b->n; i++)
		if (in_tail(x, b->v[i].was))
			moved[(b->v[i].was - x->base.n) / 64] |= 1ull << ((b->v[i].was - x->base.n) % 64);
	*n = 0;
	for (size_t i = 0; i < x->n_order; i++) {
		if (index_bit(moved, x->order[i].position))
			continue;
		while (k < n_places && before(&places[k], &x->order[i]))
			out[(*n)++] = places[k++];
		out[(*n)++] = x->order[i];
	}
	while (k < n_places)
		out[(*n)++] = places[k++];
	free(moved);
	return out;
}

static void make_room(struct index *x, uint32_t n)
{
	while (x->tail.n + n > x->tail.cap)
		index_part_grow(&x->tail);
	x->terms_hash = reallocarray(x->terms_hash, x->tail.cap, sizeof(*x->terms_hash));
	if (!x->terms_hash)
		abort();
}

static void set_where(struct index *x, int64_t id, uint32_t place)
{
	if ((size_t)id >= x->n_where) {
		size_t n = (size_t)id + (size_t)id / 4 + 1024;

		x->where = reallocarray(x->where, n, sizeof(*x->where));
		if (!x->where)
			abort();
		memset(x->where + x->n_where, 0xff, (n - x->n_where) * sizeof(*x->where));
		x->n_where = n;
	}
	x->where[id] = place;
}

/* The model's row until now counts no more. */
static void bury(struct index *x, const struct change *h)
{
	struct index_part *t = in_tail(x, h->was) ? &x->tail : &x->base;
	uint32_t p = in_tail(x, h->was) ? h->was - x->base.n : h->was;

	if (h->was != INDEX_NONE)
		t->sets[INDEX_LIVE][p / 64] &= ~(1ull << (p % 64));
}

static void carry(struct index_part *t, uint32_t term, uint32_t position)
{
	index_part_terms(t, term);
	index_part_carry(t, term, position);
}

static void append(struct index *x, const struct change *h, const uint32_t *terms)
{
	uint32_t author = index_author_add(&x->authors, h->row.name, h->row.author);

	bury(x, h);
	for (size_t i = 0; i < h->n_terms; i++)
		carry(&x->tail, terms[i], h->position);
	if (author)
		carry(&x->tail, author, h->position);
	x->terms_hash[h->position] = h->hash;
	set_where(x, h->row.id, x->base.n + h->position);
	index_part_name(&x->tail, h->row.name);
}

/* With the lock, where others see the index. */
static int place_rows(struct index *x, const struct batch *b, struct err *e)
{
	make_room(x, b->n_fresh);
	for (size_t i = 0; i < b->n; i++) {
		const struct change *h = &b->v[i];
		struct index_facts facts = { 0 };

		if ((!h->gone && !index_facts(&x->values, &h->row, &facts)) || h->row.id >= INDEX_NONE / 2 || x->base.n + x->tail.n >= INDEX_NONE / 2)
			return err_set(e, ERR_LIMIT, "the posting index has no room for model %lld", (long long)h->row.id);
		if (h->gone) {
			bury(x, h);
			if (h->was != INDEX_NONE)
				set_where(x, h->row.id, INDEX_NONE);
			continue;
		}
		if (h->fresh)
			append(x, h, terms_of(b, h));
		index_part_put(&x->tail, h->position, &h->row, &facts);
	}
	return 0;
}

/* lock: NULL when nobody else sees the index yet. */
static int take_place(struct index *x, struct batch *b, pthread_rwlock_t *lock, struct err *e)
{
	struct index_place *order, *old = x->order;
	size_t n;
	int rc;

	plan(x, b);
	order = merge(x, b, &n);
	if (lock)
		pthread_rwlock_wrlock(lock);
	x->order = order;
	x->n_order = n;
	rc = place_rows(x, b, e);
	if (lock)
		pthread_rwlock_unlock(lock);
	free(old);
	return rc;
}

static int change_rows(struct index *x, struct db_conn *c, int64_t *ids, size_t n, pthread_rwlock_t *lock, struct err *e)
{
	own(batch) struct batch b = { 0 };
	int rc = read_batch(c, ids, n, &b, e);

	return rc < 0 ? rc : take_place(x, &b, lock, e);
}

void query_index_committed(struct db *db, struct db_conn *c)
{
	struct query_index *x = c->n_touched ? index_of(db) : NULL;
	struct err e;

	if (!x || (!atomic_load(&x->loading) && !atomic_load(&x->ready)))
		return;
	pthread_mutex_lock(&x->upkeep);
	for (size_t i = 0; i < c->n_touched && atomic_load(&x->loading); i++)
		*vec_push(&x->during, &x->n_during, &x->cap_during) = c->touched[i];
	if (x->index && change_rows(x->index, c, c->touched, c->n_touched, &x->lock, &e) < 0)
		atomic_store(&x->ready, false);	/* a row it can't follow: SQLite answers until the next load */
	pthread_mutex_unlock(&x->upkeep);
}

/* --- a new index --------------------------------------------------------------------------------------------------------------------------- */

/* Takes the ids committed since the last look. upkeep held. */
static int64_t *take_during(struct query_index *x, size_t *n)
{
	int64_t *ids = x->during;

	*n = x->n_during;
	x->during = NULL;
	x->n_during = x->cap_during = 0;
	return ids;
}

static int read_during(struct db *db, struct index *index, int64_t *ids, size_t n, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = n ? read_begin(&r, db, e) : 0;

	return rc < 0 || !n ? rc : change_rows(index, r.c, ids, n, NULL, e);
}

/* What was committed while the index was read, in rounds: each is shorter, for only the last one keeps commits waiting. Returns with upkeep held. */
static int catch_up(struct query_index *x, struct db *db, struct index *index, struct err *e)
{
	int rc = 0;

	for (int round = 0;; round++) {
		own(mem) int64_t *ids = NULL;
		bool last;
		size_t n;

		pthread_mutex_lock(&x->upkeep);
		ids = take_during(x, &n);
		last = rc < 0 || n <= CATCH_UP_MAX || round == ROUNDS_MAX;
		if (!last)
			pthread_mutex_unlock(&x->upkeep);
		if (rc == 0)
			rc = read_during(db, index, ids, n, e);
		if (last)
			return rc;
	}
}

int query_index_load(struct db *db, uint64_t memory_max, struct err *e)
{
	struct query_index *x = index_of(db);
	struct index *index = NULL, *old;
	bool expected = false;
	int rc;

	if (!atomic_compare_exchange_strong(&x->loading, &expected, true))
		return err_set(e, ERR_CONFLICT, "the posting index is being loaded already");
	if ((rc = index_load(db, memory_max, &index, e)) == 0)
		rc = catch_up(x, db, index, e);
	else
		pthread_mutex_lock(&x->upkeep);
	if (rc < 0) {
		index_free(index);
		index = NULL;
	}
	pthread_rwlock_wrlock(&x->lock);
	old = x->index;
	x->index = index;
	pthread_rwlock_unlock(&x->lock);
	atomic_store(&x->loading, false);
	atomic_store(&x->ready, rc == 0);
	free(take_during(x, &(size_t){ 0 }));
	pthread_mutex_unlock(&x->upkeep);
	index_free(old);
	return rc;
}
