/*
 * query_index_totals.c - sums that facets begin with, made at the load: of every row, of sets and terms that many models carry, of all below a size, and of what
 * two of these have in common. What is asked for is often nearly one of them, and then the rows that make the difference are fewer than those asked for.
 */
#include "base/vec.h"
#include "catalog/query_index_impl.h"

#define BYTES_A_MODEL 24	/* for sums, at most; one of a large catalog has some hundred kilobytes */
#define TOTAL_SHARE   32	/* sets with fewer than this part of all rows are counted row by row */
#define WIDE_SHARE    8		/* sets with more than this part, and lacking more than this part, are taken by pairs */
#define WIDE_MAX      12
#define WIDE_STRIDE   4u	/* of the steps of a range that there are sums of, for the rows of a wide set; for all rows there is one of each */

static void add_all(struct index_sum *to, const struct index_sum *from, size_t n, uint64_t sign)
{
	for (size_t i = 0; i < n; i++) {
		to[i].models += sign * from[i].models;
		to[i].bytes += sign * from[i].bytes;
	}
}

/* sign: 1, or -1 to take them away. Of each kind `to` may have more, which came after the load. */
static void add_sums(const struct index_sums *to, const struct index_sums *from, uint64_t sign)
{
	size_t rights = (size_t)(from->architectures - from->rights), architectures = (size_t)(from->kinds - from->architectures);

	add_all(to->rights, from->rights, rights, sign);
	add_all(to->architectures, from->architectures, architectures, sign);
	add_all(to->kinds, from->kinds, from->n - rights - architectures, sign);
}

/* --- making them -------------------------------------------------------------------------------------------------------------------------- */

static bool has_room(const struct index *x)
{
	return x->n_totals < 2 + (uint64_t)x->base.n * BYTES_A_MODEL / (index_sums_n(&x->values) * sizeof(struct index_sum) + 1);
}

static struct index_total *add_total(struct index *x, struct index_total t)
{
	struct index_total *out = vec_push(&x->totals, &x->n_totals, &x->cap_totals);

	*out = t;
	out->sums = index_sums(&x->values, index_array(index_sums_n(&x->values), sizeof(struct index_sum)));
	return out;
}

/* The usual rows among 64 that are in the set; NULL: all. */
static uint64_t usual_word(const struct index *x, const uint64_t *bits, size_t at)
{
	return (bits ? bits[at] : ~0ull) & (x->usual ? x->usual[at] : ~0ull);
}

/* Of the rows that are in both sets. */
static void add_sets(struct index *x, const uint64_t *bits, const uint64_t *second)
{
	struct index_total *t;

	if (!has_room(x))
		return;
	t = add_total(x, (struct index_total){ .bits = bits, .second = second });
	for (size_t i = 0; i < index_words(x->base.n); i++)
		for (uint64_t word = usual_word(x, bits, i) & (second ? second[i] : ~0ull); word; word &= word - 1) {
			index_count(&t->sums, &x->base, (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(word), 1);
			t->rows++;
		}
}

/* Of the set's rows below each stride of a range: each sum is the one before and its own rows. */
static void add_range(struct index *x, const uint64_t *bits, const struct index_range *r, uint32_t stride)
{
	uint32_t n = x->base.n, at = 0;

	for (uint32_t steps = stride; steps <= INDEX_STEPS && has_room(x); steps += stride) {
		struct index_total *t = add_total(x, (struct index_total){ .bits = bits, .range = r, .steps = steps });

		if (steps > stride) {
			add_sums(&t->sums, &t[-1].sums, 1);
			t->rows = t[-1].rows;
		}
		for (; at < n && at < index_step(n) * steps; at++) {
			uint32_t p = r->order[at];

			if (!(usual_word(x, bits, p / 64) >> (p % 64) & 1))
				continue;
			index_count(&t->sums, &x->base, p, 1);
			t->rows++;
		}
	}
}

struct candidates {
	struct candidate {
		const uint64_t *bits;
		uint64_t rows;
	} *v;
	size_t n, cap;
};

static void add_candidate(struct candidates *c, const struct index *x, const uint64_t *bits)
{
	uint64_t rows = index_count_ones(bits, index_words(x->base.n));

	if (rows > x->base.n / TOTAL_SHARE)
		*vec_push(&c->v, &c->n, &c->cap) = (struct candidate){ bits, rows };
}

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return x->rows < y->rows ? 1 : -(x->rows > y->rows);
}

static void add_pairs(struct index *x, const struct candidate *wide, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		add_range(x, wide[i].bits, &x->size, WIDE_STRIDE);
		add_range(x, wide[i].bits, &x->params, WIDE_STRIDE);
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			add_sets(x, wide[i].bits, wide[k].bits);
}

/* Clients see nothing but what is visible, so where that is most of all, sums are of that. */
static void choose_usual(struct index *x)
{
	uint64_t visible = index_count_ones(x->base.sets[INDEX_VISIBLE], index_words(x->base.n));

	if (visible > x->base.n / 2)
		x->usual = x->base.sets[INDEX_VISIBLE];
}

/* Those that help most come first. */
void index_totals_make(struct index *x)
{
	struct candidates c = { 0 };
	size_t first = 0, n = 0;

	choose_usual(x);
	add_sets(x, x->base.sets[INDEX_LIVE], NULL);
	x->totals[0].bits = NULL;	/* that set shrinks, its sum does not */
	for (int i = x->usual ? INDEX_GATED : INDEX_VISIBLE; i < INDEX_SETS; i++)
		add_candidate(&c, x, x->base.sets[i]);
	for (uint32_t i = 0; i < x->base.n_terms; i++)
		if (x->base.terms[i].dense)
			add_candidate(&c, x, x->base.terms[i].bits);
	if (c.n)
		qsort(c.v, c.n, sizeof(*c.v), compare_candidates);
	for (size_t i = 0; i < c.n; i++)
		add_sets(x, c.v[i].bits, NULL);
	add_range(x, NULL, &x->size, 1);
	add_range(x, NULL, &x->params, 1);
	while (first < c.n && c.v[first].rows > x->base.n - x->base.n / WIDE_SHARE)
		first++;
	while (first + n < c.n && n < WIDE_MAX && c.v[first + n].rows > x->base.n / WIDE_SHARE)
		n++;
	if (n)
		add_pairs(x, c.v + first, n);
	free(c.v);
}

void index_totals_free(struct index *x)
{
	for (size_t i = 0; i < x->n_totals; i++)
		free(x->totals[i].sums.rights);
	free(x->totals);
}

/* --- which comes closest -------------------------------------------------------------------------------------------------------------------- */

/* The totals of `plus`, which have no row in common, without those of `minus` (NULL: nothing). `cost`: about how many rows they differ by from what is asked for. */
struct cover {
	const struct index_total *plus[QUERY_LIST_MAX], *minus;
	size_t n_plus;
	uint64_t cost;
};

/* Rows that are asked for: all, and those of them that are not usual, which no total has. */
struct asked {
	uint64_t rows, unusual;
};

/* covered: its rows. missing: usual rows that are asked for and not in it, about; then as many of its own are too many. */
static void consider(struct cover *best, struct cover *c, uint64_t covered, uint64_t missing, const struct asked *ask)
{
	missing += ask->unusual;
	c->cost = covered + 2 * missing > ask->rows ? covered + 2 * missing - ask->rows : 0;
	if (c->cost < best->cost)
		*best = *c;
}

static bool asks_for(const struct index_walk *w, const uint64_t *bits)
{
	for (size_t i = 0; bits && i < w->n_sets; i++)
		if (w->sets[i].bits == bits && !w->sets[i].flip)
			return true;
	return !bits;
}

static uint32_t end_of(const struct index_walk *w, const struct index_total *t)
{
	return t->steps * index_step(w->part->n);
}

/* The total of the same rows that ends nearest to where the range begins, NULL when its beginning is nearer. Those of a range stand one behind the other. */
static const struct index_total *nearest_below(const struct index_walk *w, const struct index_total *t, uint32_t from)
{
	const struct index_total *m = t, *first = w->x->totals;

	while (m > first && m[-1].range == t->range && m[-1].bits == t->bits && m[-1].steps < t->steps) {
		m--;
		if (end_of(w, m) <= from + (m->steps < 2 ? 0 : index_step(w->part->n)))
			return m;
	}
	return NULL;
}

static void consider_range(struct cover *best, const struct index_walk *w, const struct index_total *t, const struct asked *ask)
{
	struct cover c = { .plus = { t }, .n_plus = 1 };
	uint32_t from, to, end = end_of(w, t);
	uint64_t lost;		/* places of the range that the steps leave out; what is asked for is taken to be spread evenly over it */
	size_t k = 0;

	while (k < w->n_ranges && w->ranges[k].range != t->range)
		k++;
	if (k == w->n_ranges)
		return;
	from = w->ranges[k].from;
	to = w->ranges[k].to;
	c.minus = nearest_below(w, t, from);
	lost = (end < to ? to - end : 0) + (c.minus && end_of(w, c.minus) > from ? end_of(w, c.minus) - from : 0);
	consider(best, &c, t->rows - (c.minus ? c.minus->rows : 0), lost * ask->rows / (to - from + 1), ask);
}

/* Every usual row that is asked for is in each set that is asked for, and in that of all. */
static void consider_totals(struct cover *best, const struct index_walk *w, const struct asked *ask)
{
	for (size_t i = 0; i < w->x->n_totals; i++) {
		const struct index_total *t = &w->x->totals[i];
		struct cover c = { .plus = { t }, .n_plus = 1 };

		if (!asks_for(w, t->bits) || !asks_for(w, t->second))
			continue;
		if (t->range)
			consider_range(best, w, t, ask);
		else
			consider(best, &c, t->rows, 0, ask);
	}
}

static const struct index_total *total_of(const struct index *x, const uint64_t *bits)
{
	for (size_t i = 0; i < x->n_totals; i++)
		if (x->totals[i].bits == bits && !x->totals[i].second && !x->totals[i].range)
			return &x->totals[i];
	return NULL;
}

/* A model has one licence, so those of several have no row in common. The rows of one without a total are missing. */
static void consider_licences(struct cover *best, const struct index_walk *w, const struct asked *ask)
{
	uint64_t missing = 0, covered = 0;
	struct cover c = { 0 };

	for (size_t i = 0; i < w->q->n_licenses; i++) {
		uint32_t term = w->q->licenses[i], n = index_term_n(w->part, term);
		const struct index_total *t = n && w->part->terms[term].dense ? total_of(w->x, w->part->terms[term].bits) : NULL;

		if (t)
			c.plus[c.n_plus++] = t;
		else
			missing += n;
		covered += t ? t->rows : 0;
	}
	if (c.n_plus)
		consider(best, &c, covered, missing, ask);
}

/* The total's rows among 64. */
static uint64_t total_word(const struct index *x, const struct index_total *t, size_t at)
{
	uint64_t word = usual_word(x, t->bits, at);

	if (t->second)
		word &= t->second[at];
	return t->range ? word & t->range->below[t->steps - 1][at] : word;
}

/* What the cover has too much is to be taken away, what it has not is still to be added. */
static void compare(struct index_walk *w, const struct cover *c, struct index_rest *rest)
{
	size_t words = index_words(w->part->n);

	rest->n_add = 0;
	rest->take = index_walk_new_bits(w);
	for (size_t i = 0; i < words; i++) {
		uint64_t word = 0;

		for (size_t k = 0; k < c->n_plus; k++)
			word |= total_word(w->x, c->plus[k], i);
		if (c->minus)
			word &= ~total_word(w->x, c->minus, i);
		if (i == words - 1)	/* no row is behind the last */
			word &= (1ull << (w->part->n % 64)) - 1;
		rest->take[i] = word & ~rest->add[i];
		rest->add[i] &= ~word;
		rest->n_take += index_ones(rest->take[i]);
		rest->n_add += index_ones(rest->add[i]);
	}
}

static uint64_t count_unusual(const struct index *x, const uint64_t *bits)
{
	uint64_t n = 0;

	for (size_t i = 0; x->usual && i < index_words(x->base.n); i++)
		n += index_ones(bits[i] & ~x->usual[i]);
	return n;
}

void index_totals_near(struct index_walk *w, uint64_t *bits, uint64_t rows, const struct index_sums *sums, struct index_rest *rest)
{
	struct cover c = { .cost = rows };
	struct asked ask = { .rows = rows };

	*rest = (struct index_rest){ .add = bits, .n_add = rows };
	if (w->part != &w->x->base)	/* there are none of the tail */
		return;
	ask.unusual = w->q->f->visible_only ? 0 : count_unusual(w->x, bits);
	consider_totals(&c, w, &ask);
	consider_licences(&c, w, &ask);
	if (!c.n_plus)
		return;
	for (size_t i = 0; i < c.n_plus; i++)
		add_sums(sums, &c.plus[i]->sums, 1);
	if (c.minus)
		add_sums(sums, &c.minus->sums, -1ull);
	compare(w, &c, rest);
}
