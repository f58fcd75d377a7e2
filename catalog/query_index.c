/* query_index.c - pages from the posting index; see query_index.h. Facets are query_index_facets.c, loading is query_index_load.c, upkeep query_index_fresh.c. */
#include "catalog/query_index_impl.h"
#include "catalog/term.h"

/* --- a filter in terms of the index ------------------------------------------------------------------------------------------------------- */

/* Conditions on revisions other than the one shown are left to SQLite. */
static bool known_to_index(const struct query_filter *f)
{
	return !f->state && f->contains.algo == DIGEST_NONE;
}

static int add_term(struct index_query *q, struct db_conn *c, enum term_kind kind, const char *name, struct err *e)
{
	int64_t id = 0;
	int rc = name ? term_find(c, kind, name, &id, e) : 0;

	if (rc < 0 || !name)
		return rc;
	if (id == 0)
		q->nothing = true;
	else
		q->all[q->n_all++] = (uint32_t)id;
	return 0;
}

static bool has(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

static int add_licences(struct index_query *q, struct db_conn *c, const struct query_filter *f, struct err *e)
{
	for (size_t i = 0; i < f->n_license; i++) {
		int64_t id;
		int rc = term_find(c, TERM_LICENSE, f->license[i], &id, e);

		if (rc < 0)
			return rc;
		if (id && !has(q->licenses, q->n_licenses, (uint32_t)id))
			q->licenses[q->n_licenses++] = (uint32_t)id;
	}
	if (f->n_license && !q->n_licenses)
		q->nothing = true;
	/* One licence is a term like any other: its list can drive the walk. */
	if (q->n_licenses == 1) {
		q->all[q->n_all++] = q->licenses[0];
		q->n_licenses = 0;
	}
	return 0;
}

static void add_texts(struct index_query *q, const struct query_filter *f)
{
	for (size_t i = 0; i < f->n_search; i++) {
		if (strlen(f->search[i]) > MODEL_NAME_MAX)
			q->nothing = true;
		else if (*f->search[i])
			index_lower(q->search[q->n_search++], f->search[i]);
	}
	*q->author = 0;
	if (f->author && (!*f->author || strlen(f->author) > MODEL_NAME_MAX))
		q->nothing = true;
	else if (f->author)
		index_lower(q->author, f->author);
}

int index_query_init(struct index_query *q, struct db_conn *c, const struct query_filter *f, int64_t now, struct err *e)
{
	int rc = 0;

	if (!known_to_index(f))
		return ERR_UNSUPPORTED;
	memset(q, 0, offsetof(struct index_query, search));
	q->f = f;
	q->now = now;
	add_texts(q, f);
	for (size_t i = 0; i < f->n_tag && rc == 0; i++)
		rc = add_term(q, c, TERM_TAG, f->tag[i], e);
	if (rc == 0 && (rc = add_term(q, c, TERM_TASK, f->task, e)) == 0 && (rc = add_term(q, c, TERM_LIBRARY, f->library, e)) == 0 &&
	    (rc = add_term(q, c, TERM_ARCHITECTURE, f->architecture, e)) == 0 && (rc = add_term(q, c, TERM_QUANTIZATION, f->quantization, e)) == 0)
		rc = add_licences(q, c, f, e);
	return rc;
}

const struct index *index_query_begin(struct query_index *x, struct index_query *q)
{
	uint32_t author = 0;

	pthread_rwlock_rdlock(&x->lock);
	if (!x->index) {
		pthread_rwlock_unlock(&x->lock);
		return NULL;
	}
	if (*q->author && (author = index_author_find(&x->index->authors, q->author)) == 0)
		q->nothing = true;
	if (author)
		q->all[q->n_all++] = author;
	return x->index;
}

/* --- pages -------------------------------------------------------------------------------------------------------------------------------- */

static int in_order(int64_t downloads_a, int64_t id_a, int64_t downloads_b, int64_t id_b)
{
	if (downloads_a != downloads_b)
		return downloads_a > downloads_b ? -1 : 1;
	return id_a < id_b ? -1 : id_a > id_b;
}

/* The first position of the base behind a row, by bisection: positions are in order. */
static uint32_t base_after(const struct index_part *t, const struct query_index_row *after)
{
	uint32_t lo = 0, hi = after ? t->n : 0;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (in_order(t->downloads[mid], t->id[mid], after->downloads, after->id) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first of the tail's rows behind `after`, likewise. */
static size_t tail_after(const struct index *x, const struct query_index_row *after)
{
	size_t lo = 0, hi = after ? x->n_order : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (in_order(x->order[mid].downloads, x->order[mid].id, after->downloads, after->id) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The tail's rows that fit, in the order of downloads: which they are is known at once, their dates and ranges are looked at as they come. */
struct tail_walk {
	struct index_walk w;
	const uint64_t *bits;
	size_t at;
};

static void tail_begin(struct tail_walk *t, const struct index *x, const struct index_query *q, const struct query_index_row *after)
{
	uint64_t *bits;

	index_walk_begin(&t->w, x, &x->tail, q, false);
	t->at = tail_after(x, after);
	bits = index_walk_bits(&t->w);
	if (!bits) {
		bits = index_walk_new_bits(&t->w);
		for (uint32_t p; (p = index_walk_next(&t->w)) != INDEX_NONE;)
			bits[p / 64] |= 1ull << (p % 64);
	}
	t->bits = bits;
}

static const struct index_place *tail_next(struct tail_walk *t)
{
	const struct index *x = t->w.x;

	while (t->at < x->n_order) {
		const struct index_place *at = &x->order[t->at++];

		if (index_bit(t->bits, at->position) && index_walk_fits(&t->w, at->position))
			return at;
	}
	return NULL;
}

/* Merges the base's walk with the tail's. */
static void merge(struct index_walk *w, struct tail_walk *t, size_t limit, struct query_index_row *rows, size_t *n, bool *more)
{
	const struct index_part *base = w->part;
	const struct index_place *place = tail_next(t);
	uint32_t p = index_walk_next(w);

	*n = 0;
	while (p != INDEX_NONE || place) {
		bool from_tail = p == INDEX_NONE || (place && in_order(place->downloads, place->id, base->downloads[p], base->id[p]) < 0);

		if (*n == limit) {
			*more = true;
			return;
		}
		if (from_tail) {
			rows[(*n)++] = (struct query_index_row){ place->id, place->downloads };
			place = tail_next(t);
		} else {
			rows[(*n)++] = (struct query_index_row){ base->id[p], base->downloads[p] };
			p = index_walk_next(w);
		}
	}
}

int query_index_page(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, const struct query_index_row *after, size_t limit,
		     struct query_index_row *rows, size_t *n, bool *more, struct err *e)
{
	struct query_index *x = index_of(db);
	const struct index *index;
	struct index_query q;
	struct tail_walk tail;
	struct index_walk w;
	int rc;

	*n = 0;
	*more = false;
	if (f->sort != QUERY_SORT_DOWNLOADS || !f->descending || !atomic_load(&x->ready))
		return ERR_UNSUPPORTED;
	if ((rc = index_query_init(&q, c, f, now, e)) < 0)
		return rc;
	if (!(index = index_query_begin(x, &q)))
		return ERR_UNSUPPORTED;
	if (!q.nothing) {
		index_walk_begin(&w, index, &index->base, &q, false);
		index_walk_seek(&w, base_after(&index->base, after));
		tail_begin(&tail, index, &q, after);
		merge(&w, &tail, limit, rows, n, more);
		index_walk_done(&w);
		index_walk_done(&tail.w);
	}
	pthread_rwlock_unlock(&x->lock);
	return 0;
}
