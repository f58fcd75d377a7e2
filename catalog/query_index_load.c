/* query_index_load.c - making the posting index from the rows; see query_index.h. Keeping step afterwards is query_index_fresh.c. */
#include "base/vec.h"
#include "catalog/conn.h"
#include "catalog/query_index_impl.h"

#define BYTES_A_MODEL 170	/* all but the tags, for the estimate */
#define BYTES_A_TAG   5
#define NAMES_MAX     UINT32_MAX
#define TAIL_MIN      16384u	/* rows that a tail begins with room for */
#define DIGIT_BITS    11

void index_free(struct index *x)
{
	if (!x)
		return;
	index_part_free(&x->base);
	index_part_free(&x->tail);
	index_values_free(&x->values);
	index_authors_free(&x->authors);
	for (size_t i = 0; i < INDEX_STEPS; i++) {
		free(x->size.below[i]);
		free(x->params.below[i]);
	}
	free(x->size.order);
	free(x->params.order);
	index_totals_free(x);
	free(x->ends);
	free(x->order);
	free(x->where);
	free(x->terms_hash);
	free(x);
}

/* By digits, the least first; one that all keys have in common is passed over. */
void index_sort(struct index_key *v, size_t n)
{
	struct index_key *from = v, *to = index_array(n, sizeof(*to)), *spare = to;

	for (unsigned shift = 0; shift < 64 && n; shift += DIGIT_BITS) {
		size_t at[1u << DIGIT_BITS] = { 0 }, sum = 0;

		for (size_t i = 0; i < n; i++)
			at[from[i].key >> shift & ((1u << DIGIT_BITS) - 1)]++;
		if (at[from[0].key >> shift & ((1u << DIGIT_BITS) - 1)] == n)
			continue;
		for (size_t i = 0; i < 1u << DIGIT_BITS; i++) {
			size_t many = at[i];

			at[i] = sum;
			sum += many;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i].key >> shift & ((1u << DIGIT_BITS) - 1)]++] = from[i];
		to = from;
		from = from == v ? spare : v;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
	free(spare);
}

/* --- rows --------------------------------------------------------------------------------------------------------------------------------- */

struct sizes {
	int64_t models, max_id, max_term, tags;
};

static int number(struct db_conn *c, const char *text, int64_t *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, text, e);

	*out = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

static int read_sizes(struct db_conn *c, struct sizes *s, struct err *e)
{
	int rc;

	if ((rc = number(c, "SELECT count(*) FROM model", &s->models, e)) < 0 || (rc = number(c, "SELECT coalesce(max(id), 0) FROM model", &s->max_id, e)) < 0 ||
	    (rc = number(c, "SELECT coalesce(max(id), 0) FROM term", &s->max_term, e)) < 0)
		return rc;
	return number(c, "SELECT coalesce(sum(models), 0) FROM tag_count", &s->tags, e);
}

/* What is needed until the lists are made, by position. */
struct loading {
	struct index *x;
	struct db_conn *c;
	uint32_t *library, *author, *name_at;
	uint32_t *author_of;	/* by term id: the term that stands for it */
	char *names;
	size_t n_names, cap_names;
};

/* Positions are places in the order of downloads: the index of that order has no more than is read here. */
static int load_positions(struct loading *l, struct err *e)
{
	own(sql) struct sql q = sql_prepare(l->c, "SELECT id, downloads FROM model ORDER BY downloads DESC, id", e);
	struct index_part *base = &l->x->base;
	uint32_t p = 0;

	while (p < base->cap && sql_row(&q))
		l->x->where[sql_get_int(&q, 0)] = p++;
	return sql_done(&q);
}

static int keep_name(struct loading *l, uint32_t position, const char *name, struct err *e)
{
	size_t n = strlen(name) + 1;

	if (l->n_names + n > NAMES_MAX)
		return err_set(e, ERR_LIMIT, "the names of all models are longer than %u bytes", NAMES_MAX);
	while (l->n_names + n > l->cap_names) {
		l->cap_names = l->cap_names * 3 / 2 + (1u << 20);
		l->names = realloc(l->names, l->cap_names);
		if (!l->names)
			abort();
	}
	memcpy(l->names + l->n_names, name, n);
	l->name_at[position] = (uint32_t)l->n_names;
	l->n_names += n;
	return 0;
}

static uint32_t find_author(struct loading *l, const struct index_row *r)
{
	if (r->author >= l->x->base.n_terms)
		return 0;
	if (l->author_of[r->author] == 0)
		l->author_of[r->author] = index_author_add(&l->x->authors, r->name, r->author);
	return l->author_of[r->author];
}

/* Rows are read as they lie on the disk, and put where they belong: in the order of downloads each would be looked for. */
static int load_rows(struct loading *l, struct err *e)
{
	own(sql) struct sql q = sql_prepare(l->c, "SELECT " INDEX_ROW_COLUMNS " FROM model ORDER BY id", e);
	struct index *x = l->x;
	struct index_facts facts;
	struct index_row r;
	int rc = 0;

	while (rc == 0 && sql_row(&q)) {
		uint32_t p;

		index_row_read(&q, &r);
		p = x->where[r.id];
		if (!index_facts(&x->values, &r, &facts))
			return err_set(e, ERR_LIMIT, "the models' licences, architectures and the like combine in more ways than the posting index counts");
		index_part_put(&x->base, p, &r, &facts);
		l->library[p] = r.library;
		l->author[p] = find_author(l, &r);
		rc = keep_name(l, p, r.name, e);
	}
	return rc < 0 ? rc : sql_done(&q);
}

static void place_names(struct loading *l)
{
	struct index_part *base = &l->x->base;

	base->names = index_array(l->n_names, 1);
	base->cap_names = l->n_names;
	while (base->n < base->cap)
		index_part_name(base, l->names + l->name_at[base->n]);
}

/* --- lists -------------------------------------------------------------------------------------------------------------------------------- */

/* Room for n positions of a term: a bitmap when that is shorter than the list, or nearly. */
static struct index_term *make_term(struct index_part *t, uint32_t term, size_t n)
{
	struct index_term *v = &t->terms[term];

	v->dense = n > t->n / INDEX_STEPS;
	if (v->dense)
		v->bits = index_array(index_words(t->cap), sizeof(*v->bits));
	else
		v->list = index_array(n, sizeof(*v->list));
	return v;
}

static void put_position(struct index_term *v, uint32_t p)
{
	if (v->dense)
		v->bits[p / 64] |= 1ull << (p % 64);
	else
		v->list[v->n] = p;
	v->n++;
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Positions are looked up for all models of a tag at once: memory answers many such questions in the time of one. */
static void place_tag(struct index *x, uint32_t tag, uint32_t *ids, size_t n)
{
	struct index_term *v;
	size_t known = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t p = ids[i] < x->n_where ? x->where[ids[i]] : INDEX_NONE;

		ids[known] = p;
		known += p != INDEX_NONE;
	}
	if (known == 0 || tag >= x->base.n_terms)
		return;
	v = make_term(&x->base, tag, known);
	for (size_t i = 0; i < known; i++)
		put_position(v, ids[i]);
	if (!v->dense)
		qsort(v->list, known, sizeof(*v->list), compare_u32);
}

/* Tags come in the order of their lists. */
static int load_tags(struct loading *l, struct err *e)
{
	own(sql) struct sql q = sql_prepare(l->c, "SELECT tag_id, model_id FROM model_tag ORDER BY tag_id, model_id", e);
	uint32_t *ids = NULL, tag = 0;
	size_t n = 0, cap = 0;

	while (sql_row(&q)) {
		uint32_t next = (uint32_t)sql_get_int(&q, 0);

		if (next != tag) {
			place_tag(l->x, tag, ids, n);
			n = 0;
		}
		tag = next;
		*vec_push(&ids, &n, &cap) = (uint32_t)sql_get_int(&q, 1);
	}
	place_tag(l->x, tag, ids, n);
	free(ids);
	return sql_done(&q);
}

/* A column's values are terms too: count, place, fill. No term is both a tag and a column's value, for terms have kinds. */
static void place_column(struct index_part *t, const uint32_t *column)
{
	uint32_t *n = index_array(t->n_terms, sizeof(*n));

	for (uint32_t p = 0; p < t->n; p++)
		if (column[p] < t->n_terms)
			n[column[p]]++;
	for (uint32_t term = 1; term < t->n_terms; term++)
		if (n[term])
			make_term(t, term, n[term]);
	for (uint32_t p = 0; p < t->n; p++)
		if (column[p] && column[p] < t->n_terms)
			put_position(&t->terms[column[p]], p);
	free(n);
}

static uint32_t small_at(const struct index_values *v, const struct index_facts *f, int column)
{
	if (column == FACET_LICENSE)
		return v->rights.v[f->rights].of[0];
	return column == FACET_ARCHITECTURE ? f->architecture : v->kinds.v[f->kind].of[column == FACET_QUANTIZATION];
}

static void place_columns(struct loading *l)
{
	struct index_part *base = &l->x->base;
	const struct index_values *v = &l->x->values;
	uint32_t *column = index_array(base->n, sizeof(*column));

	for (int i = 0; i < INDEX_COLUMNS; i++) {
		if (i == FACET_STATE)
			continue;
		for (uint32_t p = 0; p < base->n; p++)
			column[p] = v->columns[i].term_of[small_at(v, &base->facts[p], i)];
		place_column(base, column);
	}
	place_column(base, l->library);
	place_column(base, l->author);
	free(column);
}

/* --- what follows from the rows ----------------------------------------------------------------------------------------------------------- */

static void make_ends(struct index *x)
{
	struct index_part *base = &x->base;
	struct index_key *keys = index_array(base->n, sizeof(*keys));

	for (uint32_t p = 0; p < base->n; p++)
		if (base->sunset_at[p])
			keys[x->n_ends++] = (struct index_key){ base->sunset_at[p], p };
	index_sort(keys, x->n_ends);
	x->ends = index_array(x->n_ends, sizeof(*x->ends));
	for (size_t i = 0; i < x->n_ends; i++)
		x->ends[i] = (struct index_end){ (uint32_t)keys[i].key, keys[i].position };
	free(keys);
}

/* keys: a value for each position, in order; sorted here. */
static void make_range(struct index_range *r, struct index_key *keys, uint32_t n)
{
	uint32_t step = index_step(n);

	index_sort(keys, n);
	r->order = index_array(n, sizeof(*r->order));
	for (uint32_t i = 0; i < n; i++)
		r->order[i] = keys[i].position;
	for (uint32_t k = 0; k < INDEX_STEPS; k++) {
		uint32_t end = step * (k + 1) < n ? step * (k + 1) : n;

		r->below[k] = index_array(index_words(n), sizeof(*r->below[k]));
		if (k)
			memcpy(r->below[k], r->below[k - 1], index_words(n) * sizeof(*r->below[k]));
		for (uint32_t i = step * k; i < end; i++)
			r->below[k][r->order[i] / 64] |= 1ull << (r->order[i] % 64);
	}
}

static void make_ranges(struct index *x)
{
	struct index_part *base = &x->base;
	struct index_key *keys = index_array(base->n, sizeof(*keys));

	for (uint32_t p = 0; p < base->n; p++)
		keys[p] = (struct index_key){ index_part_size(base, p), p };
	make_range(&x->size, keys, base->n);
	for (uint32_t p = 0; p < base->n; p++)
		keys[p] = (struct index_key){ base->params[p] > 0 ? (uint64_t)base->params[p] : 0, p };
	make_range(&x->params, keys, base->n);
	free(keys);
}

/* Terms that the base keeps bitmaps of have them in the tail too, so that a walk finds either all or few rows there. */
static void make_tail(struct index *x)
{
	index_part_init(&x->tail, TAIL_MIN, x->base.n_terms);
	x->terms_hash = index_array(x->tail.cap, sizeof(*x->terms_hash));
	for (uint32_t i = 0; i < x->base.n_terms; i++) {
		if (!x->base.terms[i].dense)
			continue;
		x->tail.terms[i].dense = true;
		x->tail.terms[i].bits = index_array(index_words(x->tail.cap), sizeof(uint64_t));
	}
}

static struct index *index_new(const struct sizes *s)
{
	struct index *x = mem_zalloc(sizeof(*x));

	index_part_init(&x->base, (uint32_t)s->models, (uint32_t)s->max_term + 1);
	index_values_init(&x->values, (uint32_t)s->max_term + 1);
	x->n_where = (size_t)s->max_id + 1;
	x->where = index_array(x->n_where, sizeof(*x->where));
	memset(x->where, 0xff, x->n_where * sizeof(*x->where));
	return x;
}

static int load_base(struct loading *l, struct err *e)
{
	uint32_t n = l->x->base.cap;
	int rc;

	l->library = index_array(n, sizeof(*l->library));
	l->author = index_array(n, sizeof(*l->author));
	l->name_at = index_array(n, sizeof(*l->name_at));
	l->author_of = index_array(l->x->base.n_terms, sizeof(*l->author_of));
	if ((rc = load_positions(l, e)) == 0 && (rc = load_rows(l, e)) == 0) {
		place_names(l);
		place_columns(l);
		make_ranges(l->x);
		make_ends(l->x);
	}
	free(l->library);
	free(l->author);
	free(l->author_of);
	free(l->name_at);
	free(l->names);
	return rc < 0 ? rc : load_tags(l, e);
}

/* A model of which no revision is known is no row: as if a later one stood for it, which comes when there is one. */
static void hide_unknown(struct index *x)
{
	struct index_part *base = &x->base;

	for (uint32_t p = 0; p < base->n; p++)
		if (x->values.rights.v[base->facts[p].rights].of[1] == 0)
			base->sets[INDEX_LIVE][p / 64] &= ~(1ull << (p % 64));
}

int index_load(struct db *db, uint64_t memory_max, struct index **out, struct err *e)
{
	own(read) struct read r = { 0 };
	struct loading l = { 0 };
	struct sizes s = { 0 };
	uint64_t bytes;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0 || (rc = read_sizes(r.c, &s, e)) < 0)
		return rc;
	bytes = (uint64_t)s.models * BYTES_A_MODEL + (uint64_t)s.tags * BYTES_A_TAG;
	if (bytes > memory_max || s.max_id >= UINT32_MAX / 2 || s.max_term >= UINT32_MAX / 2)
		return err_set(e, ERR_LIMIT, "the posting index of %lld models would take %llu MB, more than it may", (long long)s.models, (unsigned long long)(bytes >> 20));
	l.c = r.c;
	l.x = index_new(&s);
	if ((rc = load_base(&l, e)) < 0) {
		index_free(l.x);
		return rc;
	}
	index_totals_make(l.x);
	hide_unknown(l.x);
	make_tail(l.x);
	*out = l.x;
	return 0;
}
