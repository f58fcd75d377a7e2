/* query_rows.c - see query_rows.h. */
#include "catalog/query_rows.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/vec.h"
#include "catalog/conn.h"
#include "catalog/model_tx.h"
#include "catalog/term.h"

#define SETS	  4096	/* a model's row is kept in one of the places of its set */
#define WAYS	  4
#define BYTES_MAX 2048	/* of a row; longer ones are read each time */

/* One block, its texts behind it. Never altered: a change makes another. */
struct kept {
	size_t bytes;
	struct query_row row;
};

struct rows {
	pthread_rwlock_t lock;
	_Atomic uint64_t generation;	/* commits that changed rows */
	struct {
		int64_t id[WAYS];	/* 0 none */
		struct kept *way[WAYS];
		atomic_bool used[WAYS];	/* since a newcomer was last in want of a place */
	} set[SETS];
};

static void *rows_make(void)
{
	struct rows *rows = mem_zalloc(sizeof(*rows));
	pthread_rwlockattr_t attr;

	/* A commit waits for the readers that are at work, not for those that come meanwhile. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&rows->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return rows;
}

static void rows_free(void *p)
{
	struct rows *rows = p;

	for (size_t i = 0; i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			free(rows->set[i].way[k]);
	pthread_rwlock_destroy(&rows->lock);
	free(rows);
}

static struct rows *rows_of(struct db *db)
{
	return db_slot(db, DB_SLOT_ROWS, rows_make, rows_free);
}

/* --- a row as one block ------------------------------------------------------------------------------------------------------------------- */

/* Every text of a row. */
static const size_t texts[] = {
	offsetof(struct query_row, m.name),	    offsetof(struct query_row, m.author),	offsetof(struct query_row, m.upstream),
	offsetof(struct query_row, r.reason),	    offsetof(struct query_row, r.title),	offsetof(struct query_row, r.license),
	offsetof(struct query_row, r.license_name), offsetof(struct query_row, r.license_source), offsetof(struct query_row, r.dtypes),
	offsetof(struct query_row, r.architecture), offsetof(struct query_row, r.quantization), offsetof(struct query_row, r.task),
	offsetof(struct query_row, r.library),
};

static const char **text_at(struct query_row *row, size_t i)
{
	return (const char **)((char *)row + texts[i]);
}

/* NULL when it is too long. */
static struct kept *kept_new(const struct query_row *row)
{
	struct query_row copy = *row;
	size_t bytes = sizeof(struct kept);
	struct kept *k;
	char *at;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bytes += *text_at(&copy, i) ? strlen(*text_at(&copy, i)) + 1 : 0;
	if (bytes > BYTES_MAX)
		return NULL;
	k = mem_zalloc(bytes);
	at = (char *)(k + 1);
	*k = (struct kept){ .bytes = bytes, .row = *row };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char **text = text_at(&k->row, i);
		size_t n = *text ? strlen(*text) + 1 : 0;

		if (!n)
			continue;
		*text = memcpy(at, *text, n);
		at += n;
	}
	return k;
}

static void copy_out(const struct kept *k, struct arena *a, struct query_row *out)
{
	struct kept *copy = arena_alloc(a, k->bytes);

	memcpy(copy, k, k->bytes);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char **text = text_at(&copy->row, i);

		if (*text)
			*text = (char *)copy + (*text - (const char *)k);
	}
	*out = copy->row;
}

/* --- places ------------------------------------------------------------------------------------------------------------------------------- */

static size_t set_of(int64_t id)
{
	return (size_t)((uint64_t)id * 0x9e3779b97f4a7c15ull >> 52) % SETS;
}

/* The model's way in its set, WAYS when it is not kept. */
static size_t way_of(const struct rows *rows, int64_t id)
{
	size_t k = 0;

	while (k < WAYS && rows->set[set_of(id)].id[k] != id)
		k++;
	return k;
}

/* An empty one, else one that nobody has asked for since the last time. Who reads all models once does not drive out what is asked for again and again. */
static size_t free_way(struct rows *rows, size_t set)
{
	size_t k = 0;

	while (k < WAYS && rows->set[set].way[k] && atomic_load(&rows->set[set].used[k]))
		k++;
	if (k < WAYS)
		return k;
	for (size_t i = 0; i < WAYS; i++)
		atomic_store(&rows->set[set].used[i], false);
	return 0;
}

static void put(struct rows *rows, struct kept *k)
{
	int64_t id = k->row.m.id;
	size_t set = set_of(id), way = way_of(rows, id);

	if (way == WAYS) {
		way = free_way(rows, set);
		atomic_store(&rows->set[set].used[way], false);
	}
	free(rows->set[set].way[way]);
	rows->set[set].id[way] = id;
	rows->set[set].way[way] = k;
}

static void drop(struct rows *rows, int64_t id)
{
	size_t way = way_of(rows, id);

	if (way == WAYS)
		return;
	free(rows->set[set_of(id)].way[way]);
	rows->set[set_of(id)].way[way] = NULL;
	rows->set[set_of(id)].id[way] = 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------------------------------ */

void query_rows_get(struct db *db, const int64_t *ids, size_t n, struct arena *a, struct query_row *rows, bool *known)
{
	struct rows *all = rows_of(db);

	pthread_rwlock_rdlock(&all->lock);
	for (size_t i = 0; i < n; i++) {
		size_t set = set_of(ids[i]), way = way_of(all, ids[i]);

		known[i] = way < WAYS;
		if (!known[i])
			continue;
		copy_out(all->set[set].way[way], a, &rows[i]);
		if (!atomic_load_explicit(&all->set[set].used[way], memory_order_relaxed))
			atomic_store_explicit(&all->set[set].used[way], true, memory_order_relaxed);
	}
	pthread_rwlock_unlock(&all->lock);
}

uint64_t query_rows_generation(struct db *db)
{
	return atomic_load(&rows_of(db)->generation);
}

void query_rows_keep(struct db *db, const struct query_row *rows, size_t n, uint64_t generation)
{
	struct rows *all = rows_of(db);
	own(mem) struct kept **kept = mem_zalloc((n + 1) * sizeof(struct kept *));

	for (size_t i = 0; i < n; i++)
		kept[i] = kept_new(&rows[i]);
	pthread_rwlock_wrlock(&all->lock);
	for (size_t i = 0; i < n && atomic_load(&all->generation) == generation; i++)
		if (kept[i])
			put(all, take(kept[i]));
	pthread_rwlock_unlock(&all->lock);
	for (size_t i = 0; i < n; i++)
		free(kept[i]);
}

/* Names that stand in table term: their ids are the columns from col on. */
static int name_row(struct db *db, struct sql *q, int col, struct arena *a, struct query_row *row, struct err *e)
{
	const char **names[] = { &row->m.author, &row->m.upstream, &row->r.license, &row->r.architecture, &row->r.quantization, &row->r.task, &row->r.library };
	int rc = 0;

	for (int i = 0; i < (int)ARRAY_LEN(names) && rc == 0; i++)
		if (!sql_is_null(q, col + i))
			rc = term_name(db, q->c, a, sql_get_int(q, col + i), names[i], e);
	return rc;
}

/* Without seven joins for names it costs a third. */
int query_row_read(struct db *db, struct db_conn *c, int64_t model_id, struct arena *a, struct query_row *row, bool *found, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT " MODEL_COLUMNS_OF("NULL", "NULL") ", " REVISION_COLUMNS_OF("NULL", "NULL", "NULL", "NULL", "NULL")
					    ", m.author_id, m.upstream_id, r.license_id, r.architecture_id, r.quantization_id, r.task_id, r.library_id "
					    "FROM model AS m LEFT JOIN revision AS r ON r.id = m.revision_id WHERE m.id = $1",
					    e);
	int rc = 0;

	*row = (struct query_row){ 0 };
	sql_int(&q, model_id);
	if ((*found = sql_row(&q))) {
		model_row(&q, 0, a, &row->m);
		if (!sql_is_null(&q, MODEL_N_COLUMNS))
			model_revision_row(&q, MODEL_N_COLUMNS, a, &row->r);
		rc = name_row(db, &q, MODEL_N_COLUMNS + REVISION_N_COLUMNS, a, row, e);
	}
	return rc < 0 ? rc : sql_done(&q);
}

/* --- a commit ----------------------------------------------------------------------------------------------------------------------------- */

struct changed {
	int64_t *ids;
	struct kept **kept;	/* as they are now; NULL: not kept, gone, or too long */
	size_t n, cap;
};

static void own_changed(struct changed *h)
{
	for (size_t i = 0; h->kept && i < h->n; i++)
		free(h->kept[i]);
	free(h->kept);
	free(h->ids);
}

/* Models changed themselves, and those of changed revisions. */
static int changed_models(struct changed *h, struct db_conn *c, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_touched; i++)
		*vec_push(&h->ids, &h->n, &h->cap) = c->touched[i];
	for (size_t i = 0; i < c->n_revised && rc == 0; i++) {
		own(sql) struct sql q = sql_prepare(c, "SELECT model_id FROM revision WHERE id = $1", e);

		sql_int(&q, c->revised[i]);
		if (sql_row(&q))
			*vec_push(&h->ids, &h->n, &h->cap) = sql_get_int(&q, 0);
		rc = sql_done(&q);
	}
	return rc;
}

/* The new rows of those that are kept. Others may come to be kept meanwhile: they are dropped. */
static int read_changed(struct changed *h, struct rows *all, struct db *db, struct db_conn *c, struct err *e)
{
	own(mem) bool *known = mem_zalloc(h->n + 1);
	int rc = 0;

	h->kept = mem_zalloc((h->n + 1) * sizeof(struct kept *));
	pthread_rwlock_rdlock(&all->lock);
	for (size_t i = 0; i < h->n; i++)
		known[i] = way_of(all, h->ids[i]) < WAYS;
	pthread_rwlock_unlock(&all->lock);
	for (size_t i = 0; i < h->n && rc == 0; i++) {
		own(arena) struct arena a;
		struct query_row row;
		bool found = false;

		arena_init(&a);
		if (known[i])
			rc = query_row_read(db, c, h->ids[i], &a, &row, &found, e);
		if (rc == 0 && found)
			h->kept[i] = kept_new(&row);
	}
	return rc;
}

static void drop_all(struct rows *all)
{
	for (size_t i = 0; i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			if (all->set[i].id[k])
				drop(all, all->set[i].id[k]);
}

void query_rows_committed(struct db *db, struct db_conn *c)
{
	own(changed) struct changed h = { 0 };
	struct rows *all = rows_of(db);
	struct err e;
	int rc;

	if (!c->n_touched && !c->n_revised)
		return;
	if ((rc = changed_models(&h, c, &e)) == 0)
		rc = read_changed(&h, all, db, c, &e);
	pthread_rwlock_wrlock(&all->lock);
	atomic_fetch_add(&all->generation, 1);
	if (rc < 0)	/* what has changed is not known: nothing may stay */
		drop_all(all);
	for (size_t i = 0; i < h.n; i++) {
		if (h.kept && h.kept[i])
			put(all, take(h.kept[i]));
		else
			drop(all, h.ids[i]);
	}
	pthread_rwlock_unlock(&all->lock);
}
