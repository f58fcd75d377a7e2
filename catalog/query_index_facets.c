/* query_index_facets.c - facets from the posting index: how the models of a filter divide by licence, architecture and the like; see query_index.h. */
#include "catalog/query_index_impl.h"

#define PREFETCH_WORDS 8	/* ahead, */
#define LINE_FACTS     5	/* of whose rows' facts at least so many share a cache line */
#define SPREAD	       10	/* when one row in so many is counted, the lines between are not worth reading */

/* --- sums --------------------------------------------------------------------------------------------------------------------------------- */

/*
 * The rows of a bitmap. Their facts are spread over more memory than caches hold, and the processor does not see which come next, so they are asked for some
 * words ahead.
 */
static void count_bits(const struct index_sums *sums, const struct index_part *t, const uint64_t *bits, uint64_t rows, uint64_t sign)
{
	size_t words = index_words(t->n);
	bool spread = rows < t->n / SPREAD;

	for (size_t i = 0; rows && i < words; i++) {
		size_t ahead = i + PREFETCH_WORDS;

		if (ahead < words && spread)
			for (uint64_t later = bits[ahead]; later; later &= later - 1)
				__builtin_prefetch(&t->facts[ahead * 64 + (unsigned)__builtin_ctzll(later)]);
		else if (ahead < words)
			for (size_t k = 0; k < 64; k += LINE_FACTS)
				__builtin_prefetch(&t->facts[ahead * 64 + k]);
		for (uint64_t word = bits[i]; word; word &= word - 1)
			index_count(sums, t, (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(word), sign);
	}
}

/* Past its sunset a model is gone. Those of the base are at hand in the order of their dates, so only they are looked at. */
static void clear_ended(const struct index_walk *w, uint64_t *bits)
{
	for (size_t i = 0; i < w->x->n_ends && w->x->ends[i].sunset_at <= w->q->now; i++)
		bits[w->x->ends[i].position / 64] &= ~(1ull << (w->x->ends[i].position % 64));
}

static void clear_unfit(const struct index_walk *w, uint64_t *bits)
{
	for (size_t i = 0; i < index_words(w->part->n); i++)
		for (uint64_t ask = bits[i]; ask; ask &= ask - 1)
			if (!index_walk_fits(w, (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(ask)))
				bits[i] &= ~(ask & -ask);
}

/* What the sets can't tell: dates, and in the tail ranges. Returns the number of rows that are left. */
static uint64_t settle(const struct index_walk *w, uint64_t *bits)
{
	const struct query_filter *f = w->q->f;
	bool dates_alone = !w->test_size && !w->test_params && !w->test_licences && !w->test_names && !f->deprecated && !f->sunset_before;

	if (!dates_alone || (w->test_dates && w->part != &w->x->base))
		clear_unfit(w, bits);
	else if (w->test_dates)
		clear_ended(w, bits);
	return index_count_ones(bits, index_words(w->part->n));
}

static void count_part(const struct index_sums *sums, const struct index *x, const struct index_part *t, const struct index_query *q)
{
	struct index_walk w;
	struct index_rest rest;
	uint64_t *bits;

	index_walk_begin(&w, x, t, q, true);
	if ((bits = index_walk_bits(&w))) {
		index_totals_near(&w, bits, settle(&w, bits), sums, &rest);
		count_bits(sums, t, rest.add, rest.n_add, 1);
		count_bits(sums, t, rest.take, rest.n_take, -1ull);
	} else {
		for (uint32_t p; (p = index_walk_next(&w)) != INDEX_NONE;)
			index_count(sums, t, p, 1);
	}
	index_walk_done(&w);
}

/* --- by value ----------------------------------------------------------------------------------------------------------------------------- */

static void add(struct query_index_count *c, const struct index_sum *s)
{
	c->models += s->models;
	c->bytes += s->bytes;
}

/* By facet, and by small number, state or format. */
struct counts {
	struct query_index_count *of[FACET_N];
	size_t n[FACET_N];
};

static void counts_init(struct counts *c, const struct index_values *v, struct arena *a)
{
	for (int facet = 0; facet < FACET_N; facet++) {
		c->n[facet] = facet == FACET_FORMAT ? FORMAT_N : v->columns[facet].n;
		c->of[facet] = arena_alloc(a, c->n[facet] * sizeof(*c->of[facet]));
		for (size_t i = 0; i < c->n[facet]; i++)
			c->of[facet][i].key = facet == FACET_FORMAT ? (int64_t)i : v->columns[facet].term_of[i];
	}
}

static void divide(struct counts *c, const struct index_values *v, const struct index_sums *sums)
{
	for (size_t i = 0; i < v->rights.n; i++) {
		add(&c->of[FACET_LICENSE][v->rights.v[i].of[0]], &sums->rights[i]);
		add(&c->of[FACET_STATE][v->rights.v[i].of[1]], &sums->rights[i]);
	}
	for (size_t i = 0; i < v->columns[FACET_ARCHITECTURE].n; i++)
		add(&c->of[FACET_ARCHITECTURE][i], &sums->architectures[i]);
	for (size_t i = 0; i < v->kinds.n; i++) {
		add(&c->of[FACET_TASK][v->kinds.v[i].of[0]], &sums->kinds[i]);
		add(&c->of[FACET_QUANTIZATION][v->kinds.v[i].of[1]], &sums->kinds[i]);
		for (uint32_t formats = v->kinds.v[i].of[2]; formats; formats &= formats - 1)
			add(&c->of[FACET_FORMAT][__builtin_ctz(formats)], &sums->kinds[i]);
	}
}

static bool before(const struct query_index_count *a, const struct query_index_count *b)
{
	return a->models != b->models ? a->models > b->models : a->key < b->key;
}

/* The greatest come first and only those that are shown; formats are few, and always in the order of enum format. */
static size_t shown(struct query_index_count *out, const struct query_index_count *counts, size_t n, enum query_facet facet)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = k;

		if (!counts[i].models || (facet == FACET_FORMAT && i == FORMAT_NONE))
			continue;
		while (facet != FACET_FORMAT && at > 0 && before(&counts[i], &out[at - 1]))
			at--;
		if (at == QUERY_FACET_VALUES_MAX)
			continue;
		k += k < QUERY_FACET_VALUES_MAX;
		memmove(out + at + 1, out + at, (k - 1 - at) * sizeof(*out));
		out[at] = counts[i];
	}
	return k;
}

int query_index_facets(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, struct arena *a, struct query_index_facets *out, struct err *e)
{
	struct query_index *x = index_of(db);
	const struct index *index;
	struct index_query q;
	int rc;

	*out = (struct query_index_facets){ 0 };
	if (!atomic_load(&x->ready))
		return ERR_UNSUPPORTED;
	if ((rc = index_query_init(&q, c, f, now, e)) < 0)
		return rc;
	if (!(index = index_query_begin(x, &q)))
		return ERR_UNSUPPORTED;
	if (!q.nothing) {
		struct index_sums sums = index_sums(&index->values, arena_alloc(a, index_sums_n(&index->values) * sizeof(struct index_sum)));
		struct counts counts;

		counts_init(&counts, &index->values, a);
		count_part(&sums, index, &index->base, &q);
		count_part(&sums, index, &index->tail, &q);
		divide(&counts, &index->values, &sums);
		for (int facet = 0; facet < FACET_N; facet++)
			out->n[facet] = shown(out->counts[facet], counts.of[facet], counts.n[facet], (enum query_facet)facet);
	}
	pthread_rwlock_unlock(&x->lock);
	return 0;
}
