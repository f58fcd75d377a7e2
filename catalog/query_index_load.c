/* query_index_load.c - making the posting index from the rows, and keeping step with what is committed afterwards; see query_index.h. */
#include "base/buf.h"
#include "base/vec.h"
#include "catalog/conn.h"
#include "catalog/query_index_impl.h"

#define DENSE_SHARE   32	/* a term carried by more than 1/32 of all models has a bitmap */
#define DENSE_MAX     65535u	/* distinct values of a column that are counted apart */
#define FRESH_MAX     50000	/* changed rows after which the index wants to be loaded again */
#define BYTES_A_MODEL 120	/* columns, for the estimate */
#define NAMES_MAX     ((size_t)2 << 30)
#define COLUMN_LISTS  5		/* licence, architecture, task, quantisation, library */

/* The columns of a model, in the order that read_columns() takes them. */
#define ROW_COLUMNS                                                                                                              \
	"id, downloads, size_bytes, params, formats, visible, gated, commercial, coalesce(license_id, 0), coalesce(architecture_id, 0), " \
	"coalesce(task_id, 0), coalesce(quantization_id, 0), state, coalesce(library_id, 0), name, sunset_at"

static void base_free(struct index_base *b)
{
	if (!b)
		return;
	for (uint32_t t = 0; b->bitmaps && t < b->n_terms; t++)
		free(b->bitmaps[t]);
	for (int i = 0; i < INDEX_COLUMNS; i++) {
		free(b->columns[i]);
		free(b->dense[i]);
	}
	free(b->id);
	free(b->downloads);
	free(b->size);
	free(b->params);
	free(b->formats);
	free(b->flags);
	free(b->sunset_at);
	free(b->position_of);
	free(b->start);
	free(b->length);
	free(b->positions);
	free(b->bitmaps);
	free(b->names);
	free(b->name_at);
	free(b);
}

static void fresh_free(struct query_index *x)
{
	for (size_t i = 0; i < x->n_fresh; i++)
		free(x->fresh[i].terms);
	free(x->fresh);
	x->fresh = NULL;
	x->n_fresh = x->cap_fresh = 0;
}

static void *index_make(void)
{
	struct query_index *x = mem_zalloc(sizeof(*x));

	pthread_rwlock_init(&x->lock, NULL);
	return x;
}

static void index_free(void *p)
{
	struct query_index *x = p;

	base_free(x->base);
	fresh_free(x);
	free(x->fresh_of);
	free(x->during);
	for (int i = 0; i < INDEX_COLUMNS; i++)
		free(x->term_of[i]);
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
	bool grown;

	pthread_rwlock_rdlock(&x->lock);
	grown = x->n_fresh > FRESH_MAX;
	pthread_rwlock_unlock(&x->lock);
	return grown;
}

/* --- loading --------------------------------------------------------------------------------------------------------------------------------- */

static void *array(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();	/* query_index_load() has compared the estimate with its limit */
	return p;
}

static int number(struct db_conn *c, const char *text, int64_t *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, text, e);

	*out = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

struct sizes {
	int64_t models, max_id, max_term, tags;
};

static int read_sizes(struct db_conn *c, struct sizes *s, struct err *e)
{
	int rc;

	if ((rc = number(c, "SELECT count(*) FROM model", &s->models, e)) < 0 || (rc = number(c, "SELECT coalesce(max(id), 0) FROM model", &s->max_id, e)) < 0 ||
	    (rc = number(c, "SELECT coalesce(max(id), 0) FROM term", &s->max_term, e)) < 0)
		return rc;
	return number(c, "SELECT count(*) FROM model_tag", &s->tags, e);
}

static struct index_base *base_new(const struct sizes *s)
{
	struct index_base *b = array(1, sizeof(*b));
	size_t n = (size_t)s->models;

	b->id = array(n, sizeof(*b->id));
	b->downloads = array(n, sizeof(*b->downloads));
	b->size = array(n, sizeof(*b->size));
	b->params = array(n, sizeof(*b->params));
	b->formats = array(n, sizeof(*b->formats));
	b->flags = array(n, sizeof(*b->flags));
	b->sunset_at = array(n, sizeof(*b->sunset_at));
	b->name_at = array(n + 1, sizeof(*b->name_at));
	for (int i = 0; i < INDEX_COLUMNS; i++) {
		b->columns[i] = array(n, sizeof(*b->columns[i]));
		b->dense[i] = array(n, sizeof(*b->dense[i]));
	}
	b->max_id = (uint32_t)s->max_id;
	b->position_of = array(b->max_id + 1ul, sizeof(*b->position_of));
	memset(b->position_of, 0xff, (b->max_id + 1ul) * sizeof(*b->position_of));
	b->n_terms = (uint32_t)s->max_term + 1;
	b->start = array(b->n_terms, sizeof(*b->start));
	b->length = array(b->n_terms, sizeof(*b->length));
	b->bitmaps = array(b->n_terms, sizeof(*b->bitmaps));
	b->positions = array((size_t)s->tags + COLUMN_LISTS * n, sizeof(*b->positions));
	return b;
}

static uint8_t flags_of(struct sql *q)
{
	int64_t commercial = sql_get_int(q, 7);
	unsigned flags = 0;

	flags |= sql_get_int(q, 5) ? INDEX_VISIBLE : 0;
	flags |= sql_get_int(q, 6) ? INDEX_GATED : 0;
	flags |= commercial == LICENCE_YES || commercial == LICENCE_CONDITIONAL ? INDEX_COMMERCIAL : 0;
	return (uint8_t)flags;
}

/* Dates beyond what 32 bits hold (the year 2106) never come. */
static uint32_t sunset_of(struct sql *q)
{
	int64_t at = sql_get_int(q, 15);

	return at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

void index_lower(char out[MODEL_NAME_MAX + 1], const char *name)
{
	size_t n = 0;

	for (; name[n] && n < MODEL_NAME_MAX; n++)
		out[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
	out[n] = 0;
}

/* Appends a name in lower case, with its NUL. */
static void add_name(struct buf *names, const char *name)
{
	char lower[MODEL_NAME_MAX + 1];

	index_lower(lower, name ? name : "");
	buf_add(names, lower, strlen(lower) + 1);
}

static int load_columns(struct index_base *b, struct db_conn *c, const struct sizes *s, uint32_t *library, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT " ROW_COLUMNS " FROM model ORDER BY downloads DESC, id", e);
	struct buf names;
	int rc;

	buf_init(&names, NAMES_MAX);
	while (b->n < (uint32_t)s->models && sql_row(&q)) {
		uint32_t p = b->n++;

		b->id[p] = (uint32_t)sql_get_int(&q, 0);
		b->downloads[p] = sql_get_int(&q, 1);
		b->size[p] = (uint64_t)sql_get_int(&q, 2);
		b->params[p] = sql_get_int(&q, 3);
		b->formats[p] = (uint16_t)sql_get_int(&q, 4);
		b->flags[p] = flags_of(&q);
		b->sunset_at[p] = sunset_of(&q);
		for (int i = 0; i < INDEX_COLUMNS; i++)
			b->columns[i][p] = (uint32_t)sql_get_int(&q, 8 + i);
		library[p] = (uint32_t)sql_get_int(&q, 13);
		b->name_at[p] = (uint32_t)names.len;
		add_name(&names, sql_get_text(&q, 14));
		if (b->id[p] <= b->max_id)
			b->position_of[b->id[p]] = p;
	}
	b->name_at[b->n] = (uint32_t)names.len;
	rc = sql_done(&q);
	if (rc == 0 && buf_failed(&names))
		rc = err_set(e, ERR_LIMIT, "the names of all models are longer than %zu bytes", NAMES_MAX);
	b->names = buf_take(&names);
	return rc;
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Tags come in the order of their lists; within one, positions are sorted afterwards. */
static int load_tags(struct index_base *b, struct db_conn *c, size_t max, size_t *used, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT tag_id, model_id FROM model_tag ORDER BY tag_id, model_id", e);

	while (*used < max && sql_row(&q)) {
		uint32_t tag = (uint32_t)sql_get_int(&q, 0), id = (uint32_t)sql_get_int(&q, 1), p = id <= b->max_id ? b->position_of[id] : UINT32_MAX;

		if (tag >= b->n_terms || p == UINT32_MAX)
			continue;
		if (b->length[tag]++ == 0)
			b->start[tag] = (uint32_t)*used;
		b->positions[(*used)++] = p;
	}
	for (uint32_t t = 0; t < b->n_terms; t++)
		qsort(b->positions + b->start[t], b->length[t], sizeof(*b->positions), compare_u32);
	return sql_done(&q);
}

/* A column's values are terms too: count, place, fill. No term is both a tag and a column's value, for terms have kinds. */
static void load_column_lists(struct index_base *b, const uint32_t *column, size_t *used)
{
	uint32_t *fill = array(b->n_terms, sizeof(*fill));

	for (uint32_t p = 0; p < b->n; p++)
		if (column[p] && column[p] < b->n_terms)
			fill[column[p]]++;
	for (uint32_t t = 0; t < b->n_terms; t++) {
		if (!fill[t])
			continue;
		b->start[t] = (uint32_t)*used;
		b->length[t] = fill[t];
		*used += fill[t];
		fill[t] = b->start[t];
	}
	for (uint32_t p = 0; p < b->n; p++)
		if (column[p] && column[p] < b->n_terms)
			b->positions[fill[column[p]]++] = p;
	free(fill);
}

static void load_bitmaps(struct index_base *b)
{
	for (uint32_t t = 0; t < b->n_terms; t++) {
		if (b->length[t] <= b->n / DENSE_SHARE)
			continue;
		b->bitmaps[t] = array(b->n / 64 + 1, sizeof(uint64_t));
		for (uint32_t i = 0; i < b->length[t]; i++) {
			uint32_t p = b->positions[b->start[t] + i];

			b->bitmaps[t][p / 64] |= 1ull << (p % 64);
		}
	}
}

/* --- small numbers for a column's values ----------------------------------------------------------------------------------------------------- */

static uint16_t dense_add(struct query_index *x, int column, uint32_t value)
{
	if (x->n_dense[column] == DENSE_MAX)
		return DENSE_MAX - 1;
	*vec_push(&x->term_of[column], &x->n_dense[column], &x->cap_dense[column]) = value;
	return (uint16_t)(x->n_dense[column] - 1);
}

static uint16_t dense_find(struct query_index *x, int column, uint32_t value)
{
	for (size_t i = 0; i < x->n_dense[column]; i++)
		if (x->term_of[column][i] == value)
			return (uint16_t)i;
	return dense_add(x, column, value);
}

static void load_dense(struct query_index *x, struct index_base *b)
{
	for (int i = 0; i < INDEX_COLUMNS; i++) {
		uint32_t *known = array(b->n_terms, sizeof(*known));	/* small number plus 1 */

		x->n_dense[i] = 0;
		for (uint32_t p = 0; p < b->n; p++) {
			uint32_t value = b->columns[i][p] < b->n_terms ? b->columns[i][p] : 0;

			if (!known[value])
				known[value] = 1u + dense_add(x, i, value);
			b->dense[i][p] = (uint16_t)(known[value] - 1);
		}
		free(known);
	}
}

/* --- rows changed since ------------------------------------------------------------------------------------------------------------------------ */

static void set_fresh_of(struct query_index *x, int64_t id, uint32_t value)
{
	if ((size_t)id >= x->n_fresh_of) {
		size_t n = (size_t)id * 2 + 1024;

		x->fresh_of = reallocarray(x->fresh_of, n, sizeof(*x->fresh_of));
		if (!x->fresh_of)
			abort();
		memset(x->fresh_of + x->n_fresh_of, 0, (n - x->n_fresh_of) * sizeof(*x->fresh_of));
		x->n_fresh_of = n;
	}
	x->fresh_of[id] = value;
}

static void mark_stale(struct query_index *x, int64_t id)
{
	if (x->base && id >= 0 && id <= x->base->max_id && x->base->position_of[id] != UINT32_MAX)
		x->base->flags[x->base->position_of[id]] |= INDEX_STALE;
}

static int read_fresh(struct db_conn *c, int64_t id, struct index_fresh *r, bool *found, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT " ROW_COLUMNS " FROM model WHERE id = $1", e);
	own(sql) struct sql t = sql_prepare(c, "SELECT tag_id FROM model_tag WHERE model_id = $1", e);
	size_t cap = 0;
	uint32_t library;
	int rc;

	sql_int(&q, id);
	*found = sql_row(&q);
	*r = (struct index_fresh){ .id = id };
	if (*found) {
		r->downloads = sql_get_int(&q, 1);
		r->size = (uint64_t)sql_get_int(&q, 2);
		r->params = sql_get_int(&q, 3);
		r->formats = (uint16_t)sql_get_int(&q, 4);
		r->flags = flags_of(&q);
		r->sunset_at = sunset_of(&q);
		for (int i = 0; i < INDEX_COLUMNS; i++) {
			r->columns[i] = (uint32_t)sql_get_int(&q, 8 + i);
			if (i != FACET_STATE && r->columns[i])
				*vec_push(&r->terms, &r->n_terms, &cap) = r->columns[i];
		}
		library = (uint32_t)sql_get_int(&q, 13);
		index_lower(r->name, sql_get_text(&q, 14));
		if (library)
			*vec_push(&r->terms, &r->n_terms, &cap) = library;
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	sql_int(&t, id);
	while (sql_row(&t))
		*vec_push(&r->terms, &r->n_terms, &cap) = (uint32_t)sql_get_int(&t, 0);
	return sql_done(&t);
}

/* Replaces or adds the row; lock held for writing. */
static void put_fresh(struct query_index *x, const struct index_fresh *row)
{
	uint32_t at = (size_t)row->id < x->n_fresh_of ? x->fresh_of[row->id] : 0;
	struct index_fresh *r;

	if (at) {
		r = &x->fresh[at - 1];
		free(r->terms);
	} else {
		r = vec_push(&x->fresh, &x->n_fresh, &x->cap_fresh);
		set_fresh_of(x, row->id, (uint32_t)x->n_fresh);
	}
	*r = *row;
	for (int i = 0; i < INDEX_COLUMNS; i++)
		r->dense[i] = dense_find(x, i, r->columns[i]);
	mark_stale(x, row->id);
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

void query_index_committed(struct db *db, struct db_conn *c)
{
	struct query_index *x = c->n_touched ? index_of(db) : NULL;
	bool loading = x && atomic_load(&x->loading);

	if (!x || (!loading && !atomic_load(&x->ready)))
		return;
	for (size_t i = 0; i < c->n_touched; i++) {
		struct index_fresh row;
		struct err e;
		bool found;
		int rc = read_fresh(c, c->touched[i], &row, &found, &e);

		pthread_rwlock_wrlock(&x->lock);
		if (rc < 0)
			atomic_store(&x->ready, false);	/* a row it can't follow: SQLite answers until the next load */
		else if (found)
			put_fresh(x, &row);
		else
			mark_stale(x, c->touched[i]);
		if (loading)
			*vec_push(&x->during, &x->n_during, &x->cap_during) = c->touched[i];
		pthread_rwlock_unlock(&x->lock);
		if (rc < 0 || !found)
			free(row.terms);
	}
}

/* The new base takes the old one's place; of the changed rows only those stay that were committed while it was read. */
static void install(struct query_index *x, struct index_base *b)
{
	struct index_fresh *old;
	size_t n_old;

	pthread_rwlock_wrlock(&x->lock);
	old = x->fresh;
	n_old = x->n_fresh;
	x->fresh = NULL;
	x->n_fresh = x->cap_fresh = 0;
	base_free(x->base);
	x->base = b;
	load_dense(x, b);
	for (size_t i = 0; i < x->n_during; i++) {
		uint32_t at = (size_t)x->during[i] < x->n_fresh_of ? x->fresh_of[x->during[i]] : 0;

		mark_stale(x, x->during[i]);
		if (!at || !old[at - 1].id)
			continue;
		struct index_fresh kept = old[at - 1];

		old[at - 1] = (struct index_fresh){ 0 };	/* moved: `during` may name it again */
		x->fresh_of[kept.id] = 0;
		put_fresh(x, &kept);
	}
	for (size_t i = 0; i < n_old; i++) {
		if (old[i].id)
			x->fresh_of[old[i].id] = 0;
		free(old[i].terms);
	}
	free(old);
	x->n_during = 0;
	atomic_store(&x->loading, false);
	atomic_store(&x->ready, true);
	pthread_rwlock_unlock(&x->lock);
}

static int load(struct db *db, uint64_t memory_max, struct index_base **out, struct err *e)
{
	own(read) struct read r = { 0 };
	struct sizes s = { 0 };
	struct index_base *b;
	uint32_t *library;
	size_t used = 0;
	uint64_t bytes;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0 || (rc = read_sizes(r.c, &s, e)) < 0)
		return rc;
	bytes = (uint64_t)s.models * BYTES_A_MODEL + ((uint64_t)s.tags + COLUMN_LISTS * (uint64_t)s.models) * 4;
	if (bytes > memory_max || s.max_id >= UINT32_MAX || s.tags >= UINT32_MAX / 2)
		return err_set(e, ERR_LIMIT, "the posting index of %lld models would take %llu MB, more than it may", (long long)s.models, (unsigned long long)(bytes >> 20));
	b = base_new(&s);
	library = array((size_t)s.models, sizeof(*library));
	if ((rc = load_columns(b, r.c, &s, library, e)) == 0 && (rc = load_tags(b, r.c, (size_t)s.tags, &used, e)) == 0) {
		for (int i = 0; i < INDEX_COLUMNS; i++)
			if (i != FACET_STATE)
				load_column_lists(b, b->columns[i], &used);
		load_column_lists(b, library, &used);
		load_bitmaps(b);
	}
	free(library);
	if (rc < 0)
		base_free(b);
	else
		*out = b;
	return rc;
}

int query_index_load(struct db *db, uint64_t memory_max, struct err *e)
{
	struct query_index *x = index_of(db);
	struct index_base *b;
	bool expected = false;
	int rc;

	if (!atomic_compare_exchange_strong(&x->loading, &expected, true))
		return err_set(e, ERR_CONFLICT, "the posting index is being loaded already");
	rc = load(db, memory_max, &b, e);
	if (rc == 0) {
		install(x, b);
		return 0;
	}
	pthread_rwlock_wrlock(&x->lock);
	x->n_during = 0;
	atomic_store(&x->loading, false);
	pthread_rwlock_unlock(&x->lock);
	return rc;
}
