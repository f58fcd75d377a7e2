/*
 * query_index_walk.c - the rows of a part that fit a filter, in the order of their positions; see query_index_impl.h. Where a rare term is asked for, its list is
 * walked and everything else is looked up for each of its rows. Otherwise all that is asked for is a bitmap, 64 rows a word, and the words' conjunction is walked.
 */
#include "catalog/query_index_impl.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define NARROW_SHARE  16	/* a page makes a bitmap of a range at once only when at most this part of all rows is in it: it ends early otherwise */
#define PATIENCE      1024	/* rows asked for their sizes one by one, after which it does not seem to */
#define PREFETCH_ROWS 16	/* of a list, ahead */

/* First index at or behind `at` whose value is at least x: doubling steps, then bisection. */
static uint32_t gallop(const uint32_t *v, uint32_t n, uint32_t at, uint32_t x)
{
	uint64_t step = 1, lo = at, hi;

	while (lo + step < n && v[lo + step] < x)
		step *= 2;
	hi = lo + step < n ? lo + step + 1 : n;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (v[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (uint32_t)lo;
}

static bool one_of(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return n == 0;
}

/* --- bitmaps of this query ---------------------------------------------------------------------------------------------------------------- */

static void add_set(struct index_walk *w, const uint64_t *bits, bool in)
{
	w->sets[w->n_sets].bits = bits;
	w->sets[w->n_sets++].flip = in ? 0 : ~0ull;
}

uint64_t *index_walk_new_bits(struct index_walk *w)
{
	uint64_t *bits = calloc(index_words(w->part->cap), sizeof(*bits));

	if (!bits)
		abort();
	return w->made[w->n_made++] = bits;
}

static void flip(uint64_t *bits, const uint32_t *positions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bits[positions[i] / 64] ^= 1ull << (positions[i] % 64);
}

/* Toggles the first `rank` positions of an order: those up to the nearest step at once, the rest, at most half a step, one by one. */
static void flip_below(uint64_t *bits, const struct index_range *r, uint32_t n, uint32_t rank)
{
	uint32_t step = index_step(n), k = (rank + step / 2) / step, at = k * step;

	for (size_t i = 0; k > 0 && i < index_words(n); i++)
		bits[i] ^= r->below[k - 1][i];
	if (at > n)
		at = n;
	flip(bits, r->order + (at < rank ? at : rank), at < rank ? rank - at : at - rank);
}

/* --- ranges ------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t size_at(const struct index_part *t, uint32_t position)
{
	return index_part_size(t, position);
}

static uint64_t params_at(const struct index_part *t, uint32_t position)
{
	return t->params[position] > 0 ? (uint64_t)t->params[position] : 0;
}

/* How many rows of the order have a value below `least`. */
static uint32_t rank_of(const struct index_part *t, const struct index_range *r, uint64_t (*value)(const struct index_part *, uint32_t), uint64_t least)
{
	uint32_t lo = 0, hi = t->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (value(t, r->order[mid]) < least)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* least <= value <= most. False when the rows are better asked one by one. */
static bool range_set(struct index_walk *w, const struct index_range *r, uint64_t (*value)(const struct index_part *, uint32_t), uint64_t least, uint64_t most, bool all)
{
	const struct index_part *t = w->part;
	uint64_t *bits;
	uint32_t from, to;

	if (t != &w->x->base)	/* the tail is short */
		return false;
	from = least ? rank_of(t, r, value, least) : 0;
	to = most < UINT64_MAX ? rank_of(t, r, value, most + 1) : t->n;
	if (to < from)
		to = from;
	if (!all && to - from > t->n / NARROW_SHARE)
		return false;
	bits = index_walk_new_bits(w);
	if (to - from < t->n / INDEX_STEPS) {
		flip(bits, r->order + from, to - from);
	} else {
		flip_below(bits, r, t->n, to);
		flip_below(bits, r, t->n, from);
	}
	add_set(w, bits, true);
	w->ranges[w->n_ranges].range = r;
	w->ranges[w->n_ranges].from = from;
	w->ranges[w->n_ranges++].to = to;
	return true;
}

static void add_ranges(struct index_walk *w, bool all)
{
	const struct query_filter *f = w->q->f;
	uint64_t least = (uint64_t)(f->min_params > 0 ? f->min_params : 0);

	w->test_size = f->min_size || f->max_size;
	w->test_params = f->min_params || f->max_params;
	if (w->drive)
		return;
	if (f->max_params && least == 0)
		least = 1;	/* a number that is not known is not a small one */
	if (w->test_size)
		w->test_size = !range_set(w, &w->x->size, size_at, f->min_size, f->max_size ? f->max_size : UINT64_MAX, all);
	if (w->test_params)
		w->test_params = !range_set(w, &w->x->params, params_at, least, f->max_params > 0 ? (uint64_t)f->max_params : UINT64_MAX, all);
}

/* --- what is asked for, as sets, lists and tests ------------------------------------------------------------------------------------------ */

/* The rarest term that has a list drives; a term without anybody has an empty one. */
static void add_terms(struct index_walk *w)
{
	const struct index_part *t = w->part;
	static const uint32_t nobody[1];
	size_t drive = SIZE_MAX;

	for (size_t i = 0; i < w->q->n_all; i++) {
		uint32_t term = w->q->all[i], n = index_term_n(t, term);

		if (n && t->terms[term].dense)
			add_set(w, t->terms[term].bits, true);
		else if (drive == SIZE_MAX || n < index_term_n(t, w->q->all[drive]))
			drive = i;
	}
	if (drive == SIZE_MAX)
		return;
	w->n_drive = index_term_n(t, w->q->all[drive]);
	w->drive = w->n_drive ? t->terms[w->q->all[drive]].list : nobody;
	for (size_t i = 0; i < w->q->n_all && w->n_drive; i++) {
		const struct index_term *v = &t->terms[w->q->all[i]];

		if (i == drive || v->dense)
			continue;
		w->lists[w->n_lists].list = v->list;
		w->lists[w->n_lists].n = v->n;
		w->lists[w->n_lists++].at = 0;
	}
}

/* Any of several licences. */
static void add_licences(struct index_walk *w)
{
	const struct index_part *t = w->part;
	uint64_t *bits;

	w->test_licences = w->q->n_licenses && w->drive;
	if (!w->q->n_licenses || w->drive)
		return;
	bits = index_walk_new_bits(w);
	for (size_t i = 0; i < w->q->n_licenses; i++) {
		uint32_t term = w->q->licenses[i], n = index_term_n(t, term);

		for (size_t k = 0; n && t->terms[term].dense && k < index_words(t->n); k++)
			bits[k] |= t->terms[term].bits[k];
		for (uint32_t k = 0; n && !t->terms[term].dense && k < n; k++)
			bits[t->terms[term].list[k] / 64] |= 1ull << (t->terms[term].list[k] % 64);
	}
	add_set(w, bits, true);
}

static void add_flags(struct index_walk *w)
{
	const struct query_filter *f = w->q->f;
	uint64_t *const *sets = w->part->sets;

	add_set(w, sets[INDEX_LIVE], true);
	if (f->visible_only)
		add_set(w, sets[INDEX_VISIBLE], true);
	if (f->gated >= 0)
		add_set(w, sets[INDEX_GATED], f->gated == 1);
	if (f->commercial)
		add_set(w, sets[INDEX_COMMERCIAL], true);
	if (f->format != FORMAT_NONE)
		add_set(w, sets[INDEX_FORMAT + (int)f->format], true);
	if (f->deprecated)
		add_set(w, sets[INDEX_DEPRECATED], true);
	if (f->sunset_before)
		add_set(w, sets[INDEX_ENDING], true);
	w->test_dates = f->visible_only || f->deprecated || f->sunset_before;
}

/*
 * Few rows are asked for their names one by one. Where many are left, or none are left out, the text is found in all names at once, which is
 * faster than to look at each.
 */
static void add_names(struct index_walk *w)
{
	uint64_t *bits;

	w->test_names = w->q->n_search > 0;
	if (!w->test_names || w->drive)
		return;
	bits = index_walk_bits(w);
	w->n_sets = 0;
	add_set(w, bits, true);
	w->by_name = index_count_ones(bits, index_words(w->part->n)) > w->part->n / INDEX_STEPS;
}

void index_walk_begin(struct index_walk *w, const struct index *x, const struct index_part *part, const struct index_query *q, bool all)
{
	*w = (struct index_walk){ .x = x, .part = part, .q = q };
	add_flags(w);
	add_terms(w);
	add_licences(w);
	add_ranges(w, all);
	add_names(w);
}

void index_walk_done(struct index_walk *w)
{
	while (w->n_made)
		free(w->made[--w->n_made]);
}

/* --- steps -------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t common_word(const struct index_walk *w, size_t at)
{
	uint64_t word = ~0ull;

	for (size_t i = 0; i < w->n_sets; i++)
		word &= w->sets[i].bits[at] ^ w->sets[i].flip;
	return word;
}

uint64_t *index_walk_bits(struct index_walk *w)
{
	size_t words = index_words(w->part->n);
	uint64_t *bits;

	if (w->drive || w->by_name)
		return NULL;
	bits = index_walk_new_bits(w);
	memset(bits, 0xff, words * sizeof(*bits));
	for (size_t k = 0; k < w->n_sets; k++) {
		const uint64_t *set = w->sets[k].bits;
		uint64_t out = w->sets[k].flip;

		for (size_t i = 0; i < words; i++)
			bits[i] &= set[i] ^ out;
	}
	return bits;
}

void index_walk_seek(struct index_walk *w, uint32_t position)
{
	if (w->drive)
		w->at = gallop(w->drive, w->n_drive, 0, position);
	else if (w->by_name)
		w->at = position;
	else if (position < w->part->n) {
		w->at = position / 64 + 1;
		w->word = common_word(w, position / 64) & ~0ull << (position % 64);
	} else
		w->at = (uint32_t)index_words(w->part->n);
}

static bool named(const char *name, const struct index_query *q)
{
	for (size_t i = 0; i < q->n_search; i++)
		if (!strstr(name, q->search[i]))
			return false;
	return true;
}

static bool dates_fit(const struct index_walk *w, uint32_t p)
{
	const struct query_filter *f = w->q->f;
	int64_t sunset = index_bit(w->part->sets[INDEX_ENDING], p) ? w->part->sunset_at[p] : 0;

	if (f->visible_only && sunset && sunset <= w->q->now)
		return false;	/* past its sunset a model is gone, though nothing has written so anywhere */
	if (f->sunset_before && sunset >= f->sunset_before)
		return false;
	return !f->deprecated || w->part->deprecated_at[p] <= w->q->now;
}

static bool params_fit(const struct query_filter *f, int64_t params)
{
	return (!f->min_params || params >= f->min_params) && (!f->max_params || (params >= 1 && params <= f->max_params));
}

static uint32_t row_licence(const struct index_walk *w, uint32_t p)
{
	const struct index_values *v = &w->x->values;

	return v->columns[FACET_LICENSE].term_of[v->rights.v[w->part->facts[p].rights].of[0]];
}

bool index_walk_fits(const struct index_walk *w, uint32_t p)
{
	const struct query_filter *f = w->q->f;

	if (w->test_dates && !dates_fit(w, p))
		return false;
	if (w->test_size) {
		uint64_t size = index_part_size(w->part, p);

		if (size < f->min_size || (f->max_size && size > f->max_size))
			return false;
	}
	if (w->test_params && !params_fit(f, w->part->params[p]))
		return false;
	if (w->test_licences && !one_of(w->q->licenses, w->q->n_licenses, row_licence(w, p)))
		return false;
	return !w->test_names || named(w->part->names + w->part->name_at[p], w->q);
}

static bool in_sets(const struct index_walk *w, uint32_t p)
{
	for (size_t i = 0; i < w->n_sets; i++)
		if (!(((w->sets[i].bits[p / 64] ^ w->sets[i].flip) >> (p % 64)) & 1))
			return false;
	return true;
}

static bool in_lists(struct index_walk *w, uint32_t p)
{
	for (size_t i = 0; i < w->n_lists; i++) {
		uint32_t at = gallop(w->lists[i].list, w->lists[i].n, w->lists[i].at, p);

		w->lists[i].at = at;
		if (at == w->lists[i].n || w->lists[i].list[at] != p)
			return false;
	}
	return true;
}

static uint32_t next_of_drive(struct index_walk *w)
{
	while (w->at < w->n_drive) {
		uint32_t p = w->drive[w->at++];

		if (w->at + PREFETCH_ROWS < w->n_drive)
			__builtin_prefetch(&w->part->facts[w->drive[w->at + PREFETCH_ROWS]]);
		if (in_sets(w, p) && in_lists(w, p) && index_walk_fits(w, p))
			return p;
	}
	return INDEX_NONE;
}

/* Ranges that few of the rows are in that the rest lets through become bitmaps after all. */
static void lose_patience(struct index_walk *w)
{
	if (w->part != &w->x->base || !(w->test_size || w->test_params))
		return;
	w->n_ranges = 0;
	add_ranges(w, true);
	w->word &= common_word(w, w->at - 1);
}

static uint32_t next_of_words(struct index_walk *w)
{
	for (;;) {
		while (w->word) {
			uint32_t p = (w->at - 1) * 64 + (uint32_t)__builtin_ctzll(w->word);

			w->word &= w->word - 1;
			if (index_walk_fits(w, p))
				return p;
			if (++w->asked == PATIENCE)
				lose_patience(w);
		}
		if (w->at >= index_words(w->part->n))
			return INDEX_NONE;
		w->word = common_word(w, w->at++);
	}
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

/* The position of the first name at or behind position `at` that holds the text; n when none does. */
static uint32_t next_name(const struct index_part *t, uint32_t at, const char *text)
{
	const char *found = at < t->n ? find_word(t->names + t->name_at[at], t->names + t->name_at[t->n], text) : NULL;
	uint32_t offset;

	if (!found)
		return t->n;
	offset = (uint32_t)(found - t->names);
	at = gallop(t->name_at, t->n, at, offset);
	return at < t->n && t->name_at[at] == offset ? at : at - 1;
}

static uint32_t next_of_names(struct index_walk *w)
{
	for (;;) {
		w->at = next_name(w->part, w->at, w->q->search[0]);
		if (w->at >= w->part->n)
			return INDEX_NONE;
		w->at++;
		if (in_sets(w, w->at - 1) && index_walk_fits(w, w->at - 1))
			return w->at - 1;
	}
}

uint32_t index_walk_next(struct index_walk *w)
{
	return w->drive ? next_of_drive(w) : w->by_name ? next_of_names(w) : next_of_words(w);
}
