/* sql.c - see sql.h: statements, their cache, and the words for SQLite's errors. */
#include "catalog/sql.h"

#include <errno.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/conn.h"

#define PIECE_BYTES 32768	/* of a long value */

/* --- errors --- */

static const struct {
	int primary;		/* SQLite's primary result code */
	enum err_code code;
	const char *words;
} errors[] = {
	{ SQLITE_FULL, ERR_NOSPACE, "the disk of the catalog is full" },
	{ SQLITE_BUSY, ERR_CONFLICT, "another program keeps the catalog locked" },
	{ SQLITE_LOCKED, ERR_CONFLICT, "the catalog is locked" },
	{ SQLITE_CORRUPT, ERR_MISMATCH, "the catalog is damaged" },
	{ SQLITE_NOTADB, ERR_MISMATCH, "the file is not a catalog" },
	{ SQLITE_READONLY, ERR_FAILED, "the catalog may not be written" },
	{ SQLITE_CANTOPEN, ERR_FAILED, "the catalog can't be opened" },
	{ SQLITE_IOERR, ERR_FAILED, "reading or writing the catalog failed" },
	{ SQLITE_CONSTRAINT, ERR_CONFLICT, "a rule of the catalog was broken" },
	{ SQLITE_TOOBIG, ERR_LIMIT, "a value is too large for the catalog" },
};

/* What the system said; of a commit that could not be written only the log's file knows. */
static int system_error(struct db_conn *c, int primary)
{
	int os = c->sqlite ? sqlite3_system_errno(c->sqlite) : 0;
	sqlite3_file *log = NULL;

	if (c->sqlite && !os && primary == SQLITE_IOERR && !sqlite3_file_control(c->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) && log && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &os);
	return os;
}

int conn_error(struct db_conn *c, int sqlite_rc, const char *doing, struct err *e)
{
	const char *detail = c->sqlite ? sqlite3_errmsg(c->sqlite) : sqlite3_errstr(sqlite_rc);
	int primary = sqlite_rc & 0xff;
	int os = system_error(c, primary);

	if (primary == SQLITE_NOMEM)
		abort();
	if (primary == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT))
		primary = SQLITE_FULL;
	if (os == EMFILE || os == ENFILE)	/* it says that it can't open a file */
		return err_set(e, ERR_BUSY, "too many files are open (%s, while trying to %.120s)", detail, doing);
	if (os == EROFS && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY))	/* of others it is an older one's */
		return err_set(e, ERR_FAILED, "the file system of the catalog is read-only: what is here is served, and nothing can be changed until it may be written again (%s, while "
				"trying to %.120s)", detail, doing);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i].primary == primary)
			return err_set(e, errors[i].code, "%s (%s, while trying to %.120s)", errors[i].words, detail, doing);
	return err_set(e, ERR_FAILED, "the catalog failed to %.120s: %s", doing, detail);
}

/* --- the cache --- */

static uint32_t hash_of(const char *s)
{
	uint32_t h = 2166136261u;	/* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static void slot_free(struct sql_slot *s)
{
	sqlite3_finalize(s->st);
	free(s->at);
	free(s->text);
	free(s);
}

void conn_forget_statements(struct db_conn *c)
{
	for (size_t i = 0; i < c->n_slots; i++)
		slot_free(c->slots[i]);
	free(c->slots);
	c->slots = NULL;
	c->n_slots = c->cap_slots = 0;
}

static struct sql_slot *slot_find(struct db_conn *c, const char *text, uint32_t hash)
{
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slots[i]->hash == hash && !c->slots[i]->busy && !strcmp(c->slots[i]->text, text))
			return c->slots[i];
	return NULL;
}

static void evict_oldest(struct db_conn *c)
{
	size_t oldest = SIZE_MAX;

	for (size_t i = 0; i < c->n_slots; i++)
		if (!c->slots[i]->busy && (oldest == SIZE_MAX || c->slots[i]->used < c->slots[oldest]->used))
			oldest = i;
	if (oldest == SIZE_MAX)
		return;
	slot_free(c->slots[oldest]);
	c->slots[oldest] = c->slots[--c->n_slots];
}

/* Parameters must be $1 … $n, each used. */
static int map_params(struct sql_slot *s, struct err *e)
{
	char name[16];

	s->n_params = sqlite3_bind_parameter_count(s->st);
	s->at = mem_zalloc((size_t)(s->n_params + 1) * sizeof(*s->at));
	for (int i = 1; i <= s->n_params; i++) {
		snprintf(name, sizeof(name), "$%d", i);
		s->at[i] = sqlite3_bind_parameter_index(s->st, name);
		if (s->at[i] == 0)
			return err_set(e, ERR_FAILED, "parameter %s is missing among %d: %.200s", name, s->n_params, s->text);
	}
	return 0;
}

static struct sql_slot *slot_make(struct db_conn *c, const char *text, uint32_t hash, struct err *e)
{
	struct sql_slot *s;
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v3(c->sqlite, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);

	if (rc != SQLITE_OK) {
		conn_error(c, rc, text, e);
		return NULL;
	}
	if (c->n_slots >= SQL_CACHE_MAX)
		evict_oldest(c);
	s = mem_zalloc(sizeof(*s));
	*s = (struct sql_slot){ .text = mem_strdup(text), .st = st, .hash = hash };
	if (map_params(s, e) < 0) {
		slot_free(s);
		return NULL;
	}
	*vec_push(&c->slots, &c->n_slots, &c->cap_slots) = s;
	return s;
}

/* --- statements --- */

int sql_exec(struct db_conn *c, const char *text, struct err *e)
{
	int rc = sqlite3_exec(c->sqlite, text, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : conn_error(c, rc, text, e);
}

struct sql sql_prepare(struct db_conn *c, const char *text, struct err *e)
{
	uint32_t hash = hash_of(text);
	struct sql q = { .c = c, .e = e };

	q.slot = slot_find(c, text, hash);
	if (!q.slot)
		q.slot = slot_make(c, text, hash, e);
	if (!q.slot) {
		q.rc = e ? (int)e->code : ERR_FAILED;
		return q;
	}
	q.slot->busy = true;
	q.slot->used = ++c->clock;
	return q;
}

static void bound(struct sql *q, int rc)
{
	if (rc != SQLITE_OK && q->rc == 0)
		q->rc = conn_error(q->c, rc, q->slot->text, q->e);
}

/* The statement to bind the next parameter of, *at its index; or NULL after an error. */
static sqlite3_stmt *next(struct sql *q, int *at)
{
	if (q->rc == 0 && q->n_bound >= q->slot->n_params)
		q->rc = err_set(q->e, ERR_FAILED, "more than %d parameters bound: %.200s", q->slot->n_params, q->slot->text);
	if (q->rc < 0)
		return NULL;
	*at = q->slot->at[++q->n_bound];
	return q->slot->st;
}

void sql_int(struct sql *q, int64_t v)
{
	int at;
	sqlite3_stmt *st = next(q, &at);

	if (st)
		bound(q, sqlite3_bind_int64(st, at, v));
}

void sql_real(struct sql *q, double v)
{
	int at;
	sqlite3_stmt *st = next(q, &at);

	if (st)	/* NAN is bound as NULL by SQLite, which is what "unknown" should be */
		bound(q, sqlite3_bind_double(st, at, v));
}

void sql_text(struct sql *q, const char *s)
{
	int at;
	sqlite3_stmt *st = next(q, &at);

	if (st)
		bound(q, s ? sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC) : sqlite3_bind_null(st, at));
}

void sql_blob(struct sql *q, const void *p, size_t n)
{
	int at;
	sqlite3_stmt *st = next(q, &at);

	if (st)
		bound(q, n ? sqlite3_bind_blob64(st, at, p, n, SQLITE_STATIC) : sqlite3_bind_zeroblob(st, at, 0));
}

void sql_room(struct sql *q, uint64_t n)
{
	int at;
	sqlite3_stmt *st = next(q, &at);

	if (st)
		bound(q, sqlite3_bind_zeroblob64(st, at, n));
}

void sql_digest(struct sql *q, const struct digest *d)
{
	int at;
	sqlite3_stmt *st = next(q, &at);

	if (st)
		bound(q, d->algo == DIGEST_NONE ? sqlite3_bind_null(st, at)
						: sqlite3_bind_blob(st, at, d->bytes, (int)digest_size(d->algo), SQLITE_TRANSIENT));
}

void sql_null(struct sql *q)
{
	int at;
	sqlite3_stmt *st = next(q, &at);

	if (st)
		bound(q, sqlite3_bind_null(st, at));
}

void sql_int_or_null(struct sql *q, int64_t v)
{
	if (v)
		sql_int(q, v);
	else
		sql_null(q);
}

bool sql_row(struct sql *q)
{
	int rc;

	if (q->rc < 0)
		return false;
	if (!q->stepped && q->slot->n_params != q->n_bound) {
		q->rc = err_set(q->e, ERR_FAILED, "%d of %d parameters bound: %.200s", q->n_bound, q->slot->n_params, q->slot->text);
		return false;
	}
	q->stepped = true;
	rc = sqlite3_step(q->slot->st);
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		q->rc = conn_error(q->c, rc, q->slot->text, q->e);
	return false;
}

int sql_done(struct sql *q)
{
	int rc = q->rc;

	if (!q->slot)
		return rc;
	sqlite3_reset(q->slot->st);
	sqlite3_clear_bindings(q->slot->st);
	q->n_bound = 0;
	q->stepped = false;
	return rc;
}

int sql_run(struct sql *q)
{
	while (sql_row(q))
		;
	return sql_done(q);
}

void own_sql(struct sql *q)
{
	sql_done(q);
	if (q->slot)
		q->slot->busy = false;
	q->slot = NULL;
}

/* --- columns --- */

int64_t sql_get_int(struct sql *q, int col)
{
	return sqlite3_column_int64(q->slot->st, col);
}

double sql_get_real(struct sql *q, int col)
{
	return sqlite3_column_double(q->slot->st, col);
}

bool sql_is_null(struct sql *q, int col)
{
	return sqlite3_column_type(q->slot->st, col) == SQLITE_NULL;
}

const char *sql_get_text(struct sql *q, int col)
{
	return (const char *)sqlite3_column_text(q->slot->st, col);
}

const void *sql_get_blob(struct sql *q, int col, size_t *n)
{
	const void *p = sqlite3_column_blob(q->slot->st, col);

	*n = (size_t)sqlite3_column_bytes(q->slot->st, col);
	return p;
}

void sql_get_digest(struct sql *q, int col, enum digest_algo algo, struct digest *out)
{
	size_t n;
	const void *p = sql_get_blob(q, col, &n);

	*out = (struct digest){ 0 };
	if (!p || n != digest_size(algo))
		return;
	out->algo = algo;
	memcpy(out->bytes, p, n);
}

char *sql_get_dup(struct sql *q, int col, struct arena *a)
{
	char *s = arena_strdup(a, sql_get_text(q, col));

	return s ? str_mend_utf8(s) : NULL;
}

int64_t sql_changes(struct sql *q)
{
	return sqlite3_changes64(q->c->sqlite);
}

/* --- long values --- */

static int open_value(struct db_conn *c, const char *table, const char *column, int64_t rowid, int writable, sqlite3_blob **b, struct err *e)
{
	int rc = sqlite3_blob_open(c->sqlite, "main", table, column, rowid, writable, b);

	return rc == SQLITE_OK ? 0 : conn_error(c, rc, "open a long value", e);
}

static int fill(struct db_conn *c, sqlite3_blob *b, const struct spool *from, struct err *e)
{
	char piece[PIECE_BYTES];
	uint64_t at = 0;
	ssize_t n;
	int rc;

	while ((n = spool_read(from, piece, sizeof(piece), at, e)) > 0) {
		rc = sqlite3_blob_write(b, piece, (int)n, (int)at);
		if (rc != SQLITE_OK)
			return conn_error(c, rc, "write a long value", e);
		at += (uint64_t)n;
	}
	return n < 0 ? (int)n : 0;
}

int sql_fill(struct db_conn *c, const char *table, const char *column, int64_t rowid, const struct spool *from, struct err *e)
{
	sqlite3_blob *b = NULL;
	int rc = open_value(c, table, column, rowid, 1, &b, e);

	if (!rc)
		rc = fill(c, b, from, e);
	sqlite3_blob_close(b);
	return rc;
}

int sql_spool(struct db_conn *c, const char *table, const char *column, int64_t rowid, struct spool *to, struct err *e)
{
	char piece[PIECE_BYTES];
	sqlite3_blob *b = NULL;
	int rc = open_value(c, table, column, rowid, 0, &b, e), left = rc ? 0 : sqlite3_blob_bytes(b);

	for (int at = 0; left > 0 && !rc;) {
		int n = left < PIECE_BYTES ? left : PIECE_BYTES;
		int got = sqlite3_blob_read(b, piece, n, at);

		if (got != SQLITE_OK)
			rc = conn_error(c, got, "read a long value", e);
		else
			spool_add(to, piece, (size_t)n);
		at += n;
		left -= n;
	}
	sqlite3_blob_close(b);
	return rc;
}
