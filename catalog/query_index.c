/* query_index.c - answering from the posting index; see query_index.h. Loading is query_index_load.c, upkeep query_index_fresh.c. */
#include "base/vec.h"
#include "catalog/query_index_impl.h"
#include "catalog/term.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define NAME_DRIVE_SHARE 64	/* a term carried by more than 1/64 of all models does not drive a search for names */

/* --- a filter in terms of the index ----------------------------------------------------------------------------------------------- */

/* Term ids that a row must carry (all of `all`), one of `licenses`, and ranges. */
struct compiled {
	const struct query_filter *f;
	uint32_t all[QUERY_LIST_MAX + 4], licenses[QUERY_LIST_MAX];
	size_t n_all, n_licenses, n_search;
	char search[QUERY_LIST_MAX][MODEL_NAME_MAX + 1];	/* lower case */
	bool nothing;
	int64_t now;
};

/* Conditions that are rare, or ordered otherwise, are left to SQLite. */
static bool known_to_index(const struct query_filter *f)
{
	return !f->state && !f->author && !f->deprecated && !f->sunset_before && f->contains.algo == DIGEST_NONE;
}

static int add_term(struct compiled *q, struct db_conn *c, enum term_kind kind, const char *name, struct err *e)
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

static int compile(struct compiled *q, struct db_conn *c, const struct query_filter *f, int64_t now, struct err *e)
{
	int rc = 0;

	memset(q, 0, offsetof(struct compiled, search));
	q->nothing = false;
	q->f = f;
	q->now = now;
	for (size_t i = 0; i < f->n_search; i++) {
		if (strlen(f->search[i]) > MODEL_NAME_MAX)
			q->nothing = true;
		else if (*f->search[i])
			index_lower(q->search[q->n_search++], f->search[i]);
	}
	for (size_t i = 0; i < f->n_tag && rc == 0; i++)
		rc = add_term(q, c, TERM_TAG, f->tag[i], e);
	for (size_t i = 0; i < f->n_license && rc == 0; i++) {
		int64_t id;

		rc = term_find(c, TERM_LICENSE, f->license[i], &id, e);
		if (rc == 0 && id)
			q->licenses[q->n_licenses++] = (uint32_t)id;
	}
	if (f->n_license && !q->n_licenses)
		q->nothing = true;
	if (rc == 0 && (rc = add_term(q, c, TERM_TASK, f->task, e)) == 0 && (rc = add_term(q, c, TERM_LIBRARY, f->library, e)) == 0 &&
	    (rc = add_term(q, c, TERM_ARCHITECTURE, f->architecture, e)) == 0)
		rc = add_term(q, c, TERM_QUANTIZATION, f->quantization, e);
	/* One licence is a term like any other: its list can drive the walk. */
	if (q->n_licenses == 1) {
		q->all[q->n_all++] = q->licenses[0];
		q->n_licenses = 0;
	}
	return rc;
}

static bool in_range(const struct query_filter *f, uint64_t size, int64_t params, unsigned formats, uint8_t flags, uint32_t sunset_at, int64_t now)
{
	if (f->visible_only && (!(flags & INDEX_VISIBLE) || (sunset_at && sunset_at <= now)))
		return false;	/* past its sunset a model is gone, though nothing has written so anywhere */
	if (f->min_size && size < f->min_size)
		return false;
	if (f->max_size && size > f->max_size)
		return false;
	if ((f->min_params && params < f->min_params) || (f->max_params && (params < 1 || params > f->max_params)))
		return false;
	if (f->commercial && !(flags & INDEX_COMMERCIAL))
		return false;
	if (f->format != FORMAT_NONE && !(formats & FORMAT_BIT(f->format)))
		return false;
	return f->gated < 0 || ((flags & INDEX_GATED) != 0) == (f->gated == 1);
}

static bool one_of(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return n == 0;
}

/* --- the base: walking the shortest list, testing the others ------------------------------------------------------------------------- */

struct walk {
	const struct index_base *b;
	const struct compiled *q;
	const uint32_t *drive;		/* positions of the rarest term; NULL: all positions */
	size_t n, at;
	struct test {
		const uint64_t *bits;	/* of a common term */
		const uint32_t *list;	/* of a rarer one, galloped through */
		size_t n, at;
	} tests[QUERY_LIST_MAX + 4];
	size_t n_tests;
	bool by_name;			/* the first text searched for drives: its occurrences are found in all names at once */
};

static void walk_begin(struct walk *w, const struct index_base *b, const struct compiled *q)
{
	size_t rarest = 0;

	*w = (struct walk){ .b = b, .q = q, .n = b->n };
	for (size_t i = 1; i < q->n_all; i++)
		if (index_term_n(b, q->all[i]) < index_term_n(b, q->all[rarest]))
			rarest = i;
	for (size_t i = 0; i < q->n_all; i++) {
		size_t n = index_term_n(b, q->all[i]);

		if (i == rarest) {
			w->drive = index_list(b, q->all[i]);
			w->n = n;
		} else {
			w->tests[w->n_tests++] = (struct test){ index_bitmap(b, q->all[i]), index_list(b, q->all[i]), n, 0 };
		}
	}
	if (q->n_search && (!w->drive || w->n > b->n / NAME_DRIVE_SHARE)) {
		if (w->drive)
			w->tests[w->n_tests++] = (struct test){ index_bitmap(b, q->all[rarest]), w->drive, w->n, 0 };
		w->drive = NULL;
		w->n = b->n;
		w->by_name = true;
	}
	if (q->n_all && w->n == 0)
		w->drive = b->positions;	/* a term that nobody carries: an empty walk, not all positions */
}

/* First index at or behind `at` whose value is at least x: doubling steps, then bisection. */
static size_t gallop(const uint32_t *v, size_t n, size_t at, uint32_t x)
{
	size_t step = 1, hi;

	while (at + step < n && v[at + step] < x)
		step *= 2;
	hi = at + step < n ? at + step + 1 : n;
	while (at < hi) {
		size_t mid = at + (hi - at) / 2;

		if (v[mid] < x)
			at = mid + 1;
		else
			hi = mid;
	}
	return at;
}

static bool passes(struct test *t, uint32_t position)
{
	if (t->bits)
		return t->bits[position / 64] >> (position % 64) & 1;
	t->at = gallop(t->list, t->n, t->at, position);
	return t->at < t->n && t->list[t->at] == position;
}

/* Goes on from `position`. */
static void walk_seek(struct walk *w, uint32_t position)
{
	w->at = w->drive ? gallop(w->drive, w->n, 0, position) : position;
}

/* The first occurrence of word, as memmem(). Comparing the first and the last byte of 16 places at once is several times as fast. */
static const char *find_word(const char *at, const char *end, const char *word)
{
	size_t n = strlen(word);
#ifdef __SSE2__
	const __m128i first = _mm_set1_epi8(word[0]), last = _mm_set1_epi8(word[n - 1]);

	for (; at + n + 15 <= end; at += 16) {
		__m128i a = _mm_loadu_si128((const __m128i_u *)at), b = _mm_loadu_si128((const __m128i_u *)(at + n - 1));
		unsigned hits = (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, last)));

		for (; hits; hits &= hits - 1)
			if (!memcmp(at + __builtin_ctz(hits), word, n))
				return at + __builtin_ctz(hits);
	}
#endif
	return memmem(at, (size_t)(end - at), word, n);
}

/* The position of the first name at or behind position `at` that holds the text; b->n when none does. */
static size_t next_name(const struct index_base *b, size_t at, const char *text)
{
	const char *found = at < b->n ? find_word(b->names + b->name_at[at], b->names + b->name_at[b->n], text) : NULL;
	uint32_t offset;

	if (!found)
		return b->n;
	offset = (uint32_t)(found - b->names);
	at = gallop(b->name_at, b->n, at, offset);
	return at < b->n && b->name_at[at] == offset ? at : at - 1;
}

static bool named(const char *name, const struct compiled *q)
{
	for (size_t i = 0; i < q->n_search; i++)
		if (!strstr(name, q->search[i]))
			return false;
	return true;
}

/* Cheap and telling tests first: what is not looked at costs no cache miss. */
static bool fits(struct walk *w, uint32_t p)
{
	const struct index_base *b = w->b;

	if (b->flags[p] & INDEX_STALE)
		return false;
	for (size_t i = 0; i < w->n_tests; i++)
		if (!passes(&w->tests[i], p))
			return false;
	return in_range(w->q->f, b->size[p], b->params[p], b->formats[p], b->flags[p], b->sunset_at[p], w->q->now) && one_of(w->q->licenses, w->q->n_licenses, b->columns[FACET_LICENSE][p]) &&
	       named(b->names + b->name_at[p], w->q);
}

/* The next position that fits, UINT32_MAX at the end. Rows changed since the load are passed over. */
static uint32_t walk_next(struct walk *w)
{
	for (;;) {
		uint32_t p;

		if (w->by_name)
			w->at = next_name(w->b, w->at, w->q->search[0]);
		if (w->at >= w->n)
			return UINT32_MAX;
		p = w->drive ? w->drive[w->at] : (uint32_t)w->at;
		w->at++;
		if (fits(w, p))
			return p;
	}
}

/* --- rows changed since the load ----------------------------------------------------------------------------------------------------- */

static bool fresh_fits(const struct index_fresh *r, const struct compiled *q)
{
	if (!in_range(q->f, r->size, r->params, r->formats, r->flags, r->sunset_at, q->now) || !one_of(q->licenses, q->n_licenses, r->columns[FACET_LICENSE]))
		return false;
	for (size_t i = 0; i < q->n_all; i++)
		if (!r->n_terms || !one_of(r->terms, r->n_terms, q->all[i]))
			return false;
	return named(r->name, q);
}

static int in_order(int64_t downloads_a, int64_t id_a, int64_t downloads_b, int64_t id_b)
{
	if (downloads_a != downloads_b)
		return downloads_a > downloads_b ? -1 : 1;
	return id_a < id_b ? -1 : id_a > id_b;
}

/* The first of the changed rows behind `after`. */
static size_t fresh_after(const struct query_index *x, const struct query_index_row *after)
{
	size_t lo = 0, hi = after ? x->n_fresh : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (in_order(x->fresh[mid].downloads, x->fresh[mid].row->id, after->downloads, after->id) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The next one at or behind `at` that fits; x->n_fresh when there is none. */
static size_t fresh_next(const struct query_index *x, const struct compiled *q, size_t at)
{
	while (at < x->n_fresh && !fresh_fits(x->fresh[at].row, q))
		at++;
	return at;
}

/* --- pages ----------------------------------------------------------------------------------------------------------------------------- */

/* The first position behind a row, by bisection: positions are in order. */
static uint32_t position_after(const struct index_base *b, const struct query_index_row *after)
{
	uint32_t lo = 0, hi = b->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (in_order(b->downloads[mid], b->id[mid], after->downloads, after->id) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Merges the base's walk with the changed rows. */
static void merge(struct walk *w, const struct query_index *x, const struct query_index_row *after, size_t limit, struct query_index_row *rows, size_t *n, bool *more)
{
	const struct index_base *b = w->b;
	uint32_t p = walk_next(w);
	size_t i = fresh_next(x, w->q, fresh_after(x, after));

	*n = 0;
	while (p != UINT32_MAX || i < x->n_fresh) {
		bool from_fresh = p == UINT32_MAX || (i < x->n_fresh && in_order(x->fresh[i].downloads, x->fresh[i].row->id, b->downloads[p], b->id[p]) < 0);

		if (*n == limit) {
			*more = true;
			return;
		}
		if (from_fresh) {
			rows[(*n)++] = (struct query_index_row){ x->fresh[i].row->id, x->fresh[i].downloads };
			i = fresh_next(x, w->q, i + 1);
		} else {
			rows[(*n)++] = (struct query_index_row){ b->id[p], b->downloads[p] };
			p = walk_next(w);
		}
	}
	*more = false;
}

int query_index_page(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, const struct query_index_row *after, size_t limit,
		     struct query_index_row *rows, size_t *n, bool *more, struct err *e)
{
	struct query_index *x = index_of(db);
	struct compiled q;
	struct walk w;
	int rc;

	if (!known_to_index(f) || f->sort != QUERY_SORT_DOWNLOADS || !f->descending || !atomic_load(&x->ready))
		return ERR_UNSUPPORTED;
	if ((rc = compile(&q, c, f, now, e)) < 0)
		return rc;
	*n = 0;
	*more = false;
	if (q.nothing)
		return 0;
	pthread_rwlock_rdlock(&x->lock);
	if (!x->base) {
		pthread_rwlock_unlock(&x->lock);
		return ERR_UNSUPPORTED;
	}
	walk_begin(&w, x->base, &q);
	if (after)
		walk_seek(&w, position_after(x->base, after));
	merge(&w, x, after, limit, rows, n, more);
	pthread_rwlock_unlock(&x->lock);
	return 0;
}

/* --- facets -------------------------------------------------------------------------------------------------------------------------------- */

/* Counts by key, in an array as long as the largest key. */
struct tallies {
	struct query_index_count *of[FACET_N];
	size_t n[FACET_N];
};

static void tally(struct tallies *t, enum query_facet facet, uint32_t key, uint64_t size)
{
	t->of[facet][key].models++;
	t->of[facet][key].bytes += size;
}

static void tally_formats(struct tallies *t, unsigned formats, uint64_t size)
{
	for (; formats; formats &= formats - 1)
		tally(t, FACET_FORMAT, (uint32_t)__builtin_ctz(formats), size);
}

static void tally_base(struct tallies *t, struct walk *w)
{
	const struct index_base *b = w->b;

	for (uint32_t p; (p = walk_next(w)) != UINT32_MAX;) {
		for (int facet = 0; facet < INDEX_COLUMNS; facet++)
			tally(t, (enum query_facet)facet, b->dense[facet][p], b->size[p]);
		tally_formats(t, b->formats[p], b->size[p]);
	}
}

static void tally_fresh(struct tallies *t, const struct query_index *x, const struct compiled *q)
{
	for (size_t i = 0; i < x->n_fresh; i++) {
		const struct index_fresh *r = x->fresh[i].row;

		if (!fresh_fits(r, q))
			continue;
		for (int facet = 0; facet < INDEX_COLUMNS; facet++)
			tally(t, (enum query_facet)facet, index_value(x->base, facet, r->columns[facet]), r->size);
		tally_formats(t, r->formats, r->size);
	}
}

static int compare_counts(const void *a, const void *b)
{
	const struct query_index_count *x = a, *y = b;

	if (x->models != y->models)
		return x->models > y->models ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

static void collect(const struct query_index *x, struct tallies *t, struct arena *a, struct query_index_facets *out)
{
	for (int facet = 0; facet < FACET_N; facet++) {
		out->counts[facet] = arena_alloc(a, t->n[facet] * sizeof(*out->counts[facet]));
		out->n[facet] = 0;
		for (uint32_t key = 0; key < t->n[facet]; key++) {
			if (!t->of[facet][key].models)
				continue;
			out->counts[facet][out->n[facet]] = t->of[facet][key];
			out->counts[facet][out->n[facet]++].key = facet < INDEX_COLUMNS ? x->base->values[facet].value_of[key] : key;
		}
		if (facet != FACET_FORMAT)	/* few, and always in the order of enum format */
			qsort(out->counts[facet], out->n[facet], sizeof(*out->counts[facet]), compare_counts);
	}
}

int query_index_facets(struct db *db, struct db_conn *c, const struct query_filter *f, int64_t now, struct arena *a, struct query_index_facets *out, struct err *e)
{
	struct query_index *x = index_of(db);
	struct tallies t = { 0 };
	struct compiled q;
	struct walk w;
	int rc;

	*out = (struct query_index_facets){ 0 };
	if (!known_to_index(f) || !atomic_load(&x->ready))
		return ERR_UNSUPPORTED;
	if ((rc = compile(&q, c, f, now, e)) < 0 || q.nothing)
		return rc;
	pthread_rwlock_rdlock(&x->lock);
	if (!x->base) {
		pthread_rwlock_unlock(&x->lock);
		return ERR_UNSUPPORTED;
	}
	for (int facet = 0; facet < FACET_N; facet++) {
		t.n[facet] = facet < INDEX_COLUMNS ? x->base->values[facet].n : FORMAT_N;
		t.of[facet] = arena_alloc(a, (t.n[facet] ? t.n[facet] : 1) * sizeof(*t.of[facet]));
	}
	walk_begin(&w, x->base, &q);
	tally_base(&t, &w);
	tally_fresh(&t, x, &q);
	collect(x, &t, a, out);
	pthread_rwlock_unlock(&x->lock);
	return 0;
}
