/* query_index_load.c - making the posting index's base from the rows; see query_index.h. Keeping step afterwards is query_index_fresh.c. */
#include "base/buf.h"
#include "base/vec.h"
#include "catalog/conn.h"
#include "catalog/query_index_impl.h"

#define DENSE_SHARE   32	/* a term carried by more than 1/32 of all models has a bitmap */
#define DENSE_MAX     65535u	/* distinct values of a column that are counted apart */
#define BYTES_A_MODEL 120	/* columns, for the estimate */
#define NAMES_MAX     ((size_t)2 << 30)
#define COLUMN_LISTS  5		/* licence, architecture, task, quantisation, library */

void index_base_free(struct index_base *b)
{
	if (!b)
		return;
	for (uint32_t t = 0; b->bitmaps && t < b->n_terms; t++)
		free(b->bitmaps[t]);
	for (int i = 0; i < INDEX_COLUMNS; i++) {
		free(b->columns[i]);
		free(b->dense[i]);
		free(b->dense_of[i]);
		free(b->values[i].value_of);
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

uint8_t index_row_flags(struct sql *q)
{
	int64_t commercial = sql_get_int(q, 7);
	unsigned flags = 0;

	flags |= sql_get_int(q, 5) ? INDEX_VISIBLE : 0;
	flags |= sql_get_int(q, 6) ? INDEX_GATED : 0;
	flags |= commercial == LICENCE_YES || commercial == LICENCE_CONDITIONAL ? INDEX_COMMERCIAL : 0;
	return (uint8_t)flags;
}

/* Dates beyond what 32 bits hold (the year 2106) never come. */
uint32_t index_row_sunset(struct sql *q)
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
	own(sql) struct sql q = sql_prepare(c, "SELECT " INDEX_ROW_COLUMNS " FROM model ORDER BY downloads DESC, id", e);
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
		b->flags[p] = index_row_flags(&q);
		b->sunset_at[p] = index_row_sunset(&q);
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

uint16_t index_value_add(struct index_values *v, uint32_t value)
{
	if (v->n == DENSE_MAX)
		return DENSE_MAX - 1;
	*vec_push(&v->value_of, &v->n, &v->cap) = value;
	return (uint16_t)(v->n - 1);
}

uint16_t index_value(const struct index_base *b, int column, uint32_t value)
{
	const struct index_values *v = &b->values[column];

	if (value < b->n_terms && b->dense_of[column][value] != INDEX_NO_VALUE)
		return b->dense_of[column][value];
	for (size_t i = v->loaded; i < v->n; i++)
		if (v->value_of[i] == value)
			return (uint16_t)i;
	return v->n == DENSE_MAX ? (uint16_t)(DENSE_MAX - 1) : INDEX_NO_VALUE;
}

static void load_dense(struct index_base *b)
{
	for (int i = 0; i < INDEX_COLUMNS; i++) {
		uint16_t *known = b->dense_of[i] = array(b->n_terms, sizeof(*known));

		memset(known, 0xff, b->n_terms * sizeof(*known));
		for (uint32_t p = 0; p < b->n; p++) {
			uint32_t value = b->columns[i][p] < b->n_terms ? b->columns[i][p] : 0;

			if (known[value] == INDEX_NO_VALUE)
				known[value] = index_value_add(&b->values[i], value);
			b->dense[i][p] = known[value];
		}
		b->values[i].loaded = b->values[i].n;
	}
}

int index_base_load(struct db *db, uint64_t memory_max, struct index_base **out, struct err *e)
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
		load_dense(b);
	}
	free(library);
	if (rc < 0)
		index_base_free(b);
	else
		*out = b;
	return rc;
}
