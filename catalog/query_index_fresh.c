/* query_index_fresh.c - the posting index keeps step with what is committed behind its load; see query_index.h. */
#include "base/vec.h"
#include "catalog/conn.h"
#include "catalog/query_index_impl.h"

#define FRESH_MIN   50000	/* changed rows after which the index wants to be loaded again, */
#define FRESH_SHARE 16		/* or this part of all models, whichever is more */

/* --- the slot ------------------------------------------------------------------------------------------------------------------------------ */

static void *index_make(void)
{
	struct query_index *x = mem_zalloc(sizeof(*x));

	pthread_mutex_init(&x->upkeep, NULL);
	pthread_rwlock_init(&x->lock, NULL);
	return x;
}

static void index_free(void *p)
{
	struct query_index *x = p;

	index_base_free(x->base);
	for (size_t i = 0; i < x->n_fresh; i++)
		free(x->fresh[i].row);
	free(x->fresh);
	free(x->fresh_of);
	free(x->during);
	pthread_mutex_destroy(&x->upkeep);
	pthread_rwlock_destroy(&x->lock);
	free(x);
}

struct query_index *index_of(struct db *db)
{
	return db_slot(db, DB_SLOT_QUERY, index_make, index_free);
}

bool query_index_grown(struct db *db)
{
	struct query_index *x = index_of(db);
	size_t most = FRESH_MIN;
	bool grown;

	pthread_rwlock_rdlock(&x->lock);
	if (x->base && x->base->n / FRESH_SHARE > most)
		most = x->base->n / FRESH_SHARE;
	grown = x->n_fresh > most || (x->base && !atomic_load(&x->ready));
	pthread_rwlock_unlock(&x->lock);
	return grown;
}

void query_index_touch(struct db_conn *c, int64_t model_id)
{
	if (c->n_touched == 0 || c->touched[c->n_touched - 1] != model_id)
		*vec_push(&c->touched, &c->n_touched, &c->cap_touched) = model_id;
}

void query_index_forget(struct db_conn *c)
{
	c->n_touched = 0;
}

/* --- reading a row ------------------------------------------------------------------------------------------------------------------------- */

struct terms {
	uint32_t *v;
	size_t n, cap;
};

static void add_term(struct terms *t, uint32_t term)
{
	if (term)
		*vec_push(&t->v, &t->n, &t->cap) = term;
}

/* One block: the row, its terms, its name. */
static struct index_fresh *row_new(const struct index_fresh *r, const struct terms *t, const char *name)
{
	size_t terms_bytes = t->n * sizeof(*t->v), n = strlen(name) + 1;
	struct index_fresh *out = mem_zalloc(sizeof(*out) + terms_bytes + n);

	*out = *r;
	out->n_terms = t->n;
	out->terms = (uint32_t *)(out + 1);
	out->name = (char *)(out + 1) + terms_bytes;
	if (t->n)
		memcpy(out->terms, t->v, terms_bytes);
	memcpy(out->name, name, n);
	return out;
}

static int read_tags(struct db_conn *c, int64_t id, struct terms *t, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT tag_id FROM model_tag WHERE model_id = $1", e);

	sql_int(&q, id);
	while (sql_row(&q))
		add_term(t, (uint32_t)sql_get_int(&q, 0));
	return sql_done(&q);
}

/* *out stays NULL when the model has gone. t is used anew by each. */
static int read_row(struct db_conn *c, int64_t id, struct terms *t, struct index_fresh **out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT " INDEX_ROW_COLUMNS " FROM model WHERE id = $1", e);
	struct index_fresh r = { .id = id };
	char name[MODEL_NAME_MAX + 1];
	bool found;
	int rc;

	t->n = 0;
	sql_int(&q, id);
	if ((found = sql_row(&q))) {
		r.downloads = sql_get_int(&q, 1);
		r.size = (uint64_t)sql_get_int(&q, 2);
		r.params = sql_get_int(&q, 3);
		r.formats = (uint16_t)sql_get_int(&q, 4);
		r.flags = index_row_flags(&q);
		r.sunset_at = index_row_sunset(&q);
		for (int i = 0; i < INDEX_COLUMNS; i++) {
			r.columns[i] = (uint32_t)sql_get_int(&q, 8 + i);
			if (i != FACET_STATE)
				add_term(t, r.columns[i]);
		}
		add_term(t, (uint32_t)sql_get_int(&q, 13));
		index_lower(name, sql_get_text(&q, 14));
	}
	if ((rc = sql_done(&q)) < 0 || !found)
		return rc;
	if ((rc = read_tags(c, id, t, e)) == 0)
		*out = row_new(&r, t, name);
	return rc;
}

/* --- a batch takes its place --------------------------------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool before(const struct index_fresh_at *a, const struct index_fresh_at *b)
{
	return a->downloads != b->downloads ? a->downloads > b->downloads : a->row->id < b->row->id;
}

static int compare_places(const void *a, const void *b)
{
	return before(a, b) ? -1 : before(b, a);
}

static void mark_stale(struct index_base *b, int64_t id)
{
	if (b && id >= 0 && id <= b->max_id && b->position_of[id] != UINT32_MAX)
		b->flags[b->position_of[id]] |= INDEX_STALE;
}

/* The row takes the place of an earlier one of its model. */
static void note(struct query_index *x, int64_t id, struct index_fresh *row)
{
	if ((size_t)id >= x->n_fresh_of) {
		size_t n = (size_t)id + (size_t)id / 4 + 1024;

		x->fresh_of = reallocarray(x->fresh_of, n, sizeof(*x->fresh_of));
		if (!x->fresh_of)
			abort();
		memset(x->fresh_of + x->n_fresh_of, 0, (n - x->n_fresh_of) * sizeof(*x->fresh_of));
		x->n_fresh_of = n;
	}
	if (x->fresh_of[id])
		x->fresh_of[id]->replaced = true;
	x->fresh_of[id] = row;
}

/* The places before, without those replaced, and the batch (sorted) among them. Caller frees. */
static struct index_fresh_at *merge(const struct query_index *x, const struct index_fresh_at *batch, size_t n_batch, size_t *n)
{
	struct index_fresh_at *out = mem_zalloc((x->n_fresh + n_batch + 1) * sizeof(*out));
	size_t k = 0;

	*n = 0;
	for (size_t i = 0; i < x->n_fresh; i++) {
		if (x->fresh[i].row->replaced)
			continue;
		while (k < n_batch && before(&batch[k], &x->fresh[i]))
			out[(*n)++] = batch[k++];
		out[(*n)++] = x->fresh[i];
	}
	while (k < n_batch)
		out[(*n)++] = batch[k++];
	return out;
}

static void add_values(struct index_base *b, const struct index_fresh *r)
{
	for (int i = 0; i < INDEX_COLUMNS; i++)
		if (index_value(b, i, r->columns[i]) == INDEX_NO_VALUE)
			index_value_add(&b->values[i], r->columns[i]);
}

/* What no reader can see any more. */
static void free_replaced(struct index_fresh_at *places, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (places[i].row->replaced)
			free(places[i].row);
	free(places);
}

/* ids: every model of the batch, those that have gone too. */
static void take_place(struct query_index *x, struct index_fresh_at *batch, size_t n_batch, const int64_t *ids, size_t n_ids)
{
	struct index_fresh_at *places, *old = x->fresh;
	size_t n, n_old = x->n_fresh;

	qsort(batch, n_batch, sizeof(*batch), compare_places);
	places = merge(x, batch, n_batch, &n);
	pthread_rwlock_wrlock(&x->lock);
	x->fresh = places;
	x->n_fresh = n;
	for (size_t i = 0; i < n_ids; i++)
		mark_stale(x->base, ids[i]);
	for (size_t i = 0; x->base && i < n_batch; i++)
		add_values(x->base, batch[i].row);
	pthread_rwlock_unlock(&x->lock);
	free_replaced(old, n_old);
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

void query_index_committed(struct db *db, struct db_conn *c)
{
	struct query_index *x = c->n_touched ? index_of(db) : NULL;
	own(mem) struct index_fresh_at *batch = NULL;
	struct terms terms = { 0 };
	size_t n = 0;
	bool loading;
	int rc = 0;

	if (!x || (!atomic_load(&x->loading) && !atomic_load(&x->ready)))
		return;
	pthread_mutex_lock(&x->upkeep);
	loading = atomic_load(&x->loading);
	c->n_touched = unique_ids(c->touched, c->n_touched);
	batch = mem_zalloc(c->n_touched * sizeof(*batch));
	for (size_t i = 0; i < c->n_touched && rc == 0; i++) {
		struct index_fresh *row = NULL;
		struct err e;

		rc = read_row(c, c->touched[i], &terms, &row, &e);
		note(x, c->touched[i], row);
		if (loading)
			*vec_push(&x->during, &x->n_during, &x->cap_during) = c->touched[i];
		if (!row)
			continue;
		row->during = loading;
		batch[n++] = (struct index_fresh_at){ row->downloads, row };
	}
	take_place(x, batch, n, c->touched, c->n_touched);
	if (rc < 0)
		atomic_store(&x->ready, false);	/* a row it can't follow: SQLite answers until the next load */
	pthread_mutex_unlock(&x->upkeep);
	free(terms.v);
}

/* --- a new base ---------------------------------------------------------------------------------------------------------------------------- */

/*
 * It takes the old one's place; of the changed rows only those stay that were committed while it was read. NULL: the index can't be had any more, and
 * nothing stays.
 */
static void install(struct query_index *x, struct index_base *b)
{
	struct index_fresh_at *places = mem_zalloc((x->n_fresh + 1) * sizeof(*places)), *old = x->fresh;
	struct index_base *old_base = x->base;
	size_t n = 0, n_old = x->n_fresh;

	for (size_t i = 0; i < x->n_during; i++)
		mark_stale(b, x->during[i]);
	for (size_t i = 0; i < n_old; i++) {
		struct index_fresh *row = old[i].row;

		if (b && row->during) {
			row->during = false;
			add_values(b, row);
			places[n++] = old[i];
			continue;
		}
		x->fresh_of[row->id] = NULL;
		row->replaced = true;
	}
	pthread_rwlock_wrlock(&x->lock);
	x->base = b;
	x->fresh = places;
	x->n_fresh = n;
	pthread_rwlock_unlock(&x->lock);
	free_replaced(old, n_old);
	index_base_free(old_base);
	x->n_during = 0;
}

int query_index_load(struct db *db, uint64_t memory_max, struct err *e)
{
	struct query_index *x = index_of(db);
	struct index_base *b = NULL;
	bool expected = false;
	int rc;

	if (!atomic_compare_exchange_strong(&x->loading, &expected, true))
		return err_set(e, ERR_CONFLICT, "the posting index is being loaded already");
	rc = index_base_load(db, memory_max, &b, e);
	pthread_mutex_lock(&x->upkeep);
	atomic_store(&x->ready, false);
	install(x, b);
	atomic_store(&x->loading, false);
	atomic_store(&x->ready, rc == 0);
	pthread_mutex_unlock(&x->upkeep);
	return rc;
}
