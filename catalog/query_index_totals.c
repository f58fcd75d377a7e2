/*
 * query_index_totals.c - sums that facets begin with, made at the load: of every row, of sets and terms that many models carry, of all below a size. What is
 * asked for is often nearly one of them (what most models carry, half of all sizes), and then the rows that make the difference are fewer than those asked for.
 */
#include "base/vec.h"
#include "catalog/query_index_impl.h"

#define TOTAL_SHARE 32	/* sets with fewer than this part of all rows are counted row by row */

static struct index_sums sums_new(const struct index *x)
{
	return index_sums(&x->values, index_array(index_sums_n(&x->values), sizeof(struct index_sum)));
}

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

/* Once a row, among the visible ones or the others; see sum_up(). */
static void count(const struct index *x, struct index_total *t, uint32_t position)
{
	int visible = index_bit(x->base.sets[INDEX_VISIBLE], position);

	index_count(&t->sums[visible], &x->base, position, 1);
	t->rows[visible]++;
}

/* The sums of others become those of all. */
static void sum_up(struct index_total *t)
{
	add_sums(&t->sums[0], &t->sums[1], 1);
	t->rows[0] += t->rows[1];
}

static void add_total(struct index *x, const uint64_t *bits)
{
	size_t words = index_words(x->base.n);
	struct index_total *t;

	if (index_count_ones(bits, words) < x->base.n / TOTAL_SHARE)
		return;
	t = vec_push(&x->totals, &x->n_totals, &x->cap_totals);
	*t = (struct index_total){ .bits = bits, .sums = { sums_new(x), sums_new(x) } };
	for (size_t i = 0; i < words; i++)
		for (uint64_t word = bits[i]; word; word &= word - 1)
			count(x, t, (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(word));
	sum_up(t);
}

/* Each step is the one before and its own rows. */
static void add_steps(struct index *x, struct index_range *r)
{
	uint32_t n = x->base.n, at = 0;

	for (uint32_t k = 0; k < INDEX_STEPS; k++) {
		struct index_total *t = &r->totals[k], *before = k ? &r->totals[k - 1] : NULL;

		*t = (struct index_total){ .bits = r->below[k], .sums = { sums_new(x), sums_new(x) } };
		for (; at < n && at < index_step(n) * (k + 1); at++)
			count(x, t, r->order[at]);
		sum_up(t);
		for (int i = 0; before && i < 2; i++) {
			add_sums(&t->sums[i], &before->sums[i], 1);
			t->rows[i] += before->rows[i];
		}
	}
}

void index_totals_make(struct index *x)
{
	add_total(x, x->base.sets[INDEX_LIVE]);
	x->totals[0].bits = NULL;	/* that set shrinks, this sum does not */
	for (int i = INDEX_GATED; i < INDEX_SETS; i++)
		add_total(x, x->base.sets[i]);
	for (uint32_t i = 0; i < x->base.n_terms; i++)
		if (x->base.terms[i].dense)
			add_total(x, x->base.terms[i].bits);
	add_steps(x, &x->size);
	add_steps(x, &x->params);
}

static void total_free(struct index_total *t)
{
	free(t->sums[0].rights);
	free(t->sums[1].rights);
}

void index_totals_free(struct index *x)
{
	for (size_t i = 0; i < x->n_totals; i++)
		total_free(&x->totals[i]);
	for (uint32_t k = 0; k < INDEX_STEPS; k++) {
		total_free(&x->size.totals[k]);
		total_free(&x->params.totals[k]);
	}
	free(x->totals);
}

/* --- which comes closest -------------------------------------------------------------------------------------------------------------------- */

/*
 * The totals of `plus`, which have no row in common, without those of `minus`, which has no others (NULL: nothing). `cost` bounds the rows by which they differ from
 * what is asked for.
 */
struct cover {
	const struct index_total *plus[QUERY_LIST_MAX], *minus;
	size_t n_plus;
	uint64_t cost;
};

static const struct index_total *total_of(const struct index *x, const uint64_t *bits)
{
	for (size_t i = 0; i < x->n_totals; i++)
		if (x->totals[i].bits == bits)
			return &x->totals[i];
	return NULL;
}

static void consider(struct cover *best, const struct cover *c)
{
	if (c->cost < best->cost)
		*best = *c;
}

static void consider_total(struct cover *best, const struct index_total *t, bool visible, uint64_t rows)
{
	if (t)
		consider(best, &(struct cover){ .plus = { t }, .n_plus = 1, .cost = t->rows[visible] - rows });
}

/* Every row asked for is in each set that is asked for, and in that of all. */
static void consider_sets(struct cover *best, const struct index_walk *w, bool visible, uint64_t rows)
{
	consider_total(best, &w->x->totals[0], visible, rows);
	for (size_t i = 0; i < w->n_sets; i++)
		if (!w->sets[i].flip)
			consider_total(best, total_of(w->x, w->sets[i].bits), visible, rows);
}

static void consider_ranges(struct cover *best, const struct index_walk *w, bool visible, uint64_t rows)
{
	for (size_t i = 0; i < w->n_ranges; i++) {
		const struct index_total *totals = w->ranges[i].range->totals;
		uint32_t step = index_step(w->part->n), from = w->ranges[i].from / step, to = (w->ranges[i].to + step - 1) / step;
		struct cover c = { .plus = { to ? &totals[to - 1] : NULL }, .minus = from ? &totals[from - 1] : NULL, .n_plus = 1 };

		if (to <= from)
			continue;
		c.cost = c.plus[0]->rows[visible] - (c.minus ? c.minus->rows[visible] : 0) - rows;
		consider(best, &c);
	}
}

/* A model has one licence, so those of several have no row in common. The rows of one without a total are missing; as many may be too many of the others. */
static void consider_licences(struct cover *best, const struct index_walk *w, bool visible, uint64_t rows)
{
	struct cover c = { 0 };
	uint64_t missing = 0, covered = 0;

	for (size_t i = 0; i < w->q->n_licenses; i++) {
		uint32_t term = w->q->licenses[i], n = index_term_n(w->part, term);
		const struct index_total *t = n && w->part->terms[term].dense ? total_of(w->x, w->part->terms[term].bits) : NULL;

		if (t)
			c.plus[c.n_plus++] = t;
		else
			missing += n;
		covered += t ? t->rows[visible] : 0;
	}
	c.cost = covered + 2 * missing > rows ? covered + 2 * missing - rows : 0;
	if (c.n_plus)
		consider(best, &c);
}

static uint64_t cover_word(const struct index_walk *w, const struct cover *c, bool visible, size_t at)
{
	uint64_t word = 0;

	for (size_t k = 0; k < c->n_plus; k++)
		word |= c->plus[k]->bits ? c->plus[k]->bits[at] : ~0ull;
	if (c->minus)
		word &= ~c->minus->bits[at];
	return visible ? word & w->part->sets[INDEX_VISIBLE][at] : word;
}

/* What the cover has too much is to be taken away, what it has not is still to be added. */
static void compare(struct index_walk *w, const struct cover *c, bool visible, struct index_rest *rest)
{
	size_t words = index_words(w->part->n);

	rest->n_add = 0;
	rest->take = index_walk_new_bits(w);
	for (size_t i = 0; i < words; i++) {
		uint64_t word = cover_word(w, c, visible, i);

		if (i == words - 1)	/* no row is behind the last */
			word &= (1ull << (w->part->n % 64)) - 1;
		rest->take[i] = word & ~rest->add[i];
		rest->add[i] &= ~word;
		rest->n_take += index_ones(rest->take[i]);
		rest->n_add += index_ones(rest->add[i]);
	}
}

void index_totals_near(struct index_walk *w, uint64_t *bits, uint64_t rows, const struct index_sums *sums, struct index_rest *rest)
{
	bool visible = w->q->f->visible_only;
	struct cover c = { .cost = rows };

	*rest = (struct index_rest){ .add = bits, .n_add = rows };
	if (w->part != &w->x->base)	/* there are none of the tail */
		return;
	consider_sets(&c, w, visible, rows);
	consider_ranges(&c, w, visible, rows);
	consider_licences(&c, w, visible, rows);
	if (!c.n_plus)
		return;
	for (size_t i = 0; i < c.n_plus; i++)
		add_sums(sums, &c.plus[i]->sums[visible], 1);
	if (c.minus)
		add_sums(sums, &c.minus->sums[visible], -1ull);
	compare(w, &c, visible, rest);
}
