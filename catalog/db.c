/* db.c - see db.h. Also the connections and transactions of sql.h; the statements are in sql.c. */
#include "catalog/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/cond.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/vec.h"
#include "catalog/conn.h"
#include "catalog/query_index.h"
#include "catalog/query_rows.h"
#include "catalog/sql.h"

#define BUSY_TIMEOUT_MS	  10000		/* only an operator's sqlite3 shell can be in the way */
#define JOURNAL_BYTES_MAX "67108864"	/* the write-ahead log is cut back to this after a checkpoint */
#define READERS_MAX	  64
/*
 * Of all connections together: from there on a page that is read takes the place of another in its own cache. Each has its 8 MiB when it works
 * alone, but not all of them after having worked by turns.
 */
#define SQLITE_BYTES_MAX  (20 << 20)

#define N_FILES		  3		/* the catalog, its write-ahead log, the log's index */

struct db {
	char *path;
	struct {
		dev_t dev;
		ino_t ino;	/* 0: not opened yet */
	} files[N_FILES];
	struct db_conn writer;
	pthread_mutex_t write_lock;
	bool write_failed;		/* the last transaction could not be written; its lock */
	bool unmarked;			/* not marked as open: there was no room for it. The next transaction brings it; its lock */

	struct db_conn *readers[READERS_MAX];	/* those not in use are readers[0..n_idle) */
	unsigned n_readers, n_idle;
	pthread_mutex_t pool_lock;
	pthread_cond_t pool_free;

	uint64_t changes;		/* committed transactions */
	pthread_mutex_t change_lock;
	pthread_cond_t changed;

	struct {
		void *p;
		void (*done)(void *);
	} slots[DB_SLOT_N];
	pthread_mutex_t slot_lock;
	bool unclean, said_gone;
	int version;
};

/* --- the files --- */

/*
 * SQLite's locks on these files are POSIX locks: they belong to the process, and the first descriptor of a file that it closes, whoever opened
 * it, lets go of all of them. Another process then takes itself for the last user, moves the log into the catalog and removes it, and what is
 * committed here from then on goes into a file without a name. So nothing in this process opens them but SQLite; to look at them there is stat().
 */
static const char *const suffixes[N_FILES] = { "", "-wal", "-shm" };

static int look_at(struct db *db, unsigned i, struct stat *s, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", db->path, suffixes[i]);
	return lstat(path, s) < 0 ? err_errno(e, "%s", path) : 0;
}

/* SQLite would make it with 0644; its other files take its mode. It is opened only to be made, before SQLite has it. */
static int make_file(struct db *db, struct err *e)
{
	struct stat s;
	int rc, fd = open(db->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd >= 0)
		return close(fd) < 0 ? err_errno(e, "make %s", db->path) : 0;
	if (errno != EEXIST)
		return err_errno(e, "make %s", db->path);
	if ((rc = look_at(db, 0, &s, e)) < 0)
		return rc;
	if (!S_ISREG(s.st_mode))
		return err_set(e, ERR_FAILED, "%s is not a plain file: the catalog has to lie in its own place, not behind a symbolic link", db->path);
	return faccessat(AT_FDCWD, db->path, R_OK | W_OK, AT_EACCESS) < 0 ? err_errno(e, "open %s", db->path) : 0;
}

static int note_files(struct db *db, struct err *e)
{
	struct stat s;
	int rc;

	for (unsigned i = 0; i < N_FILES; i++) {
		if ((rc = look_at(db, i, &s, e)) < 0)
			return rc;
		db->files[i].dev = s.st_dev;
		db->files[i].ino = s.st_ino;
	}
	return 0;
}

/*
 * SQLite keeps them while it has them open. What is written to one that somebody has removed or replaced is lost at the end at the latest, and until
 * then nobody sees it: so nothing more is. A log without a name is still moved into the catalog by db_close(). The caller has the write lock.
 */
static int files_are_there(struct db *db, struct err *e)
{
	struct stat s;

	for (unsigned i = 0; i < N_FILES && db->files[i].ino; i++) {
		struct err why = ERR_NONE;
		char quoted[LOG_QUOTE_MAX];
		bool there = look_at(db, i, &s, NULL) == 0;

		if (there && s.st_dev == db->files[i].dev && s.st_ino == db->files[i].ino)
			continue;
		err_set(&why, ERR_FAILED, "%s%s was %s while registryd had it open, so nothing more is written: %s", db->path, suffixes[i], there ? "replaced" : "removed",
			i ? "end registryd with SIGTERM, which saves what it has committed, and start it again" : "stop registryd before its catalog is changed, and start it again");
		if (!db->said_gone)
			log_event(LOG_CRIT, "catalog.file_gone", "error=%s", log_quote(quoted, why.msg));
		db->said_gone = true;
		return err_set(e, why.code, "%s", why.msg);
	}
	return 0;
}

/* --- opening one connection --- */

static void note(int64_t **ids, size_t *n, size_t *cap, int64_t id)
{
	if (*n == 0 || (*ids)[*n - 1] != id)
		*vec_push(ids, n, cap) = id;
}

/* What is in memory beside these rows has to follow them. SQLite tells of each, so that no function that changes one has to think of it. */
static void row_changed(void *arg, int op, const char *database, const char *table, sqlite3_int64 id)
{
	struct db_conn *c = arg;

	(void)op;
	(void)database;
	if (!strcmp(table, "model"))
		note(&c->touched, &c->n_touched, &c->cap_touched, id);
	else if (!strcmp(table, "revision"))
		note(&c->revised, &c->n_revised, &c->cap_revised, id);
}

static void forget_changes(struct db_conn *c)
{
	c->n_touched = c->n_revised = 0;
}

static int connect_to(struct db_conn *c, const char *path, bool writer, struct err *e)
{
	int rc = sqlite3_open_v2(path, &c->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return conn_error(c, rc, "open the catalog", e);
	sqlite3_busy_timeout(c->sqlite, BUSY_TIMEOUT_MS);
	sqlite3_db_config(c->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if ((rc = sql_exec(c, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;"
			      "PRAGMA cache_size = -8192; PRAGMA journal_size_limit = " JOURNAL_BYTES_MAX,
			   e)) < 0)
		return rc;
	if (!writer)
		return sql_exec(c, "PRAGMA query_only = ON", e);
	/*
	 * Damage is found before anything is written over it. A reader only tells of it; and each commit empties the readers' page caches, so that
	 * looking at every cell of every page again is what a reader beside a busy writer would mostly do.
	 */
	if ((rc = sql_exec(c, "PRAGMA cell_size_check = ON", e)) < 0)
		return rc;
	sqlite3_update_hook(c->sqlite, row_changed, c);
	/* FULL: a commit waits until the log has reached the disk. With WAL the default would be enough only against corruption, not loss. */
	return sql_exec(c, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", e);
}

static void disconnect(struct db_conn *c)
{
	conn_forget_statements(c);
	free(c->touched);
	free(c->revised);
	sqlite3_close(c->sqlite);
	c->sqlite = NULL;
}

/* --- migrations --- */

static int one_int(struct db_conn *c, const char *text, int64_t *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, text, e);

	if (sql_row(&q))
		*out = sql_get_int(&q, 0);
	return sql_done(&q);
}

static int newest_version(void)
{
	int version = 0;

	for (const struct embedded *m = schema_migrations; m->name; m++)
		version = (int)strtol(m->name, NULL, 10);
	return version;
}

static int migrate_one(struct db_conn *c, const struct embedded *m, struct err *e)
{
	char set[64];
	int rc;

	snprintf(set, sizeof(set), "PRAGMA user_version = %ld", strtol(m->name, NULL, 10));
	if ((rc = sql_exec(c, "BEGIN IMMEDIATE", e)) < 0)
		return rc;
	if ((rc = sql_exec(c, m->data, e)) < 0 || (rc = sql_exec(c, set, e)) < 0 || (rc = sql_exec(c, "COMMIT", e)) < 0) {
		sql_exec(c, "ROLLBACK", NULL);
		return err_wrap(e, "migration %s", m->name);
	}
	return 0;
}

static int migrate(struct db *db, struct err *e)
{
	int64_t have = 0;
	int rc;

	if ((rc = one_int(&db->writer, "PRAGMA user_version", &have, e)) < 0)
		return rc;
	db->version = newest_version();
	if (have > db->version)
		return err_set(e, ERR_UNSUPPORTED, "%s has schema %lld, made by a newer registryd; this one knows up to %d", db->path, (long long)have, db->version);
	for (const struct embedded *m = schema_migrations; m->name; m++)
		if (strtol(m->name, NULL, 10) > have && (rc = migrate_one(&db->writer, m, e)) < 0)
			return rc;
	forget_changes(&db->writer);	/* nothing is in memory yet */
	return 0;
}

/* --- opening and closing --- */

static int check(struct db_conn *c, const char *path, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "PRAGMA quick_check(1)", e);
	int rc;

	if (sql_row(&q) && strcmp(sql_get_text(&q, 0), "ok") != 0)
		return err_set(e, ERR_MISMATCH, "the catalog %s is damaged: %s; restore it, or run `registryctl rebuild` on a copy", path, sql_get_text(&q, 0));
	rc = sql_done(&q);
	return rc;
}

#define MARK_OPEN "INSERT INTO meta (key, value) VALUES ('open', '1') ON CONFLICT (key) DO UPDATE SET value = '1'"

/* A full disk is no reason not to serve what is here: as long as nothing is written, there is nothing to be marked. */
static int mark_or_owe(struct db *db, struct err *e)
{
	char quoted[LOG_QUOTE_MAX];
	int rc = sql_exec(&db->writer, MARK_OPEN, e);

	if (rc != ERR_NOSPACE)
		return rc;
	log_event(LOG_ERR, "catalog.no_room", "error=%s effect=\"what is here is served, and nothing is written until there is room\"", log_quote(quoted, e->msg));
	*e = (struct err)ERR_NONE;
	db->unmarked = db->write_failed = true;
	return 0;
}

/* Was the last end unclean? Then check (if that is quick), and from now on an end without db_close() is. */
static int mark_open(struct db *db, struct err *e)
{
	struct stat s;
	int64_t open_before = 0;
	int rc;

	if ((rc = one_int(&db->writer, "SELECT 1 FROM meta WHERE key = 'open' AND value = '1'", &open_before, e)) < 0)
		return rc;
	db->unclean = open_before != 0;
	if (db->unclean && stat(db->path, &s) == 0 && (uint64_t)s.st_size <= DB_CHECK_AT_OPEN_MAX && (rc = check(&db->writer, db->path, e)) < 0)
		return rc;
	return db->unclean ? 0 : mark_or_owe(db, e);
}

static int open_readers(struct db *db, unsigned n, struct err *e)
{
	for (; db->n_readers < n; db->n_readers++) {
		struct db_conn *c = mem_zalloc(sizeof(*c));
		int rc = connect_to(c, db->path, false, e);

		if (rc < 0) {
			disconnect(c);
			free(c);
			return rc;
		}
		db->readers[db->n_idle++] = c;
	}
	return 0;
}

static int open_all(struct db *db, unsigned readers, struct err *e)
{
	int rc;

	if ((rc = make_file(db, e)) < 0)
		return rc;
	if ((rc = connect_to(&db->writer, db->path, true, e)) < 0)
		return err_wrap(e, "%s", db->path);
	if ((rc = migrate(db, e)) < 0 || (rc = mark_open(db, e)) < 0 || (rc = note_files(db, e)) < 0)
		return rc;
	if (readers > READERS_MAX)
		readers = READERS_MAX;
	return open_readers(db, readers ? readers : DB_READERS_DEFAULT, e);
}

int db_open(struct db **out, const char *path, unsigned readers, struct err *e)
{
	struct db *db = mem_zalloc(sizeof(*db));
	int rc;

	sqlite3_soft_heap_limit64(SQLITE_BYTES_MAX);
	db->path = mem_strdup(path);
	pthread_mutex_init(&db->write_lock, NULL);
	pthread_mutex_init(&db->pool_lock, NULL);
	pthread_mutex_init(&db->change_lock, NULL);
	pthread_mutex_init(&db->slot_lock, NULL);
	pthread_cond_init(&db->pool_free, NULL);
	cond_init(&db->changed);
	rc = open_all(db, readers, e);
	if (rc < 0) {
		db_close(db);	/* writer.is_open is not set: what failed to open is not marked as cleanly closed */
		return rc;
	}
	db->writer.is_open = true;
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (int i = 0; i < DB_SLOT_N; i++)
		if (db->slots[i].p)
			db->slots[i].done(db->slots[i].p);
	for (unsigned i = 0; i < db->n_idle; i++) {
		disconnect(db->readers[i]);
		free(db->readers[i]);
	}
	if (db->writer.is_open)
		sql_exec(&db->writer, "UPDATE meta SET value = '0' WHERE key = 'open'; PRAGMA wal_checkpoint(TRUNCATE)", NULL);
	disconnect(&db->writer);
	pthread_mutex_destroy(&db->write_lock);
	pthread_mutex_destroy(&db->pool_lock);
	pthread_mutex_destroy(&db->change_lock);
	pthread_mutex_destroy(&db->slot_lock);
	pthread_cond_destroy(&db->pool_free);
	pthread_cond_destroy(&db->changed);
	free(db->path);
	free(db);
}

bool db_was_unclean(const struct db *db)
{
	return db->unclean;
}

int db_schema_version(const struct db *db)
{
	return db->version;
}

uint64_t db_size_bytes(struct db *db)
{
	uint64_t bytes = 0;
	struct stat s;
	char wal[4096];

	snprintf(wal, sizeof(wal), "%s-wal", db->path);
	if (stat(db->path, &s) == 0)
		bytes += (uint64_t)s.st_size;
	if (stat(wal, &s) == 0)
		bytes += (uint64_t)s.st_size;
	return bytes;
}

int db_check(struct db *db, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : check(r.c, db->path, e);
}

int db_ready(struct db *db, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc = tx_begin(&t, db, e);

	if (rc < 0)
		return rc;
	rc = sql_exec(t.c, "INSERT INTO meta (key, value) VALUES ('ready', '1'); DELETE FROM meta WHERE key = 'ready'", e);	/* what would write the same is not written */
	return rc < 0 || !db->write_failed ? rc : tx_commit(&t, e);	/* nothing is written where it is not in doubt */
}

void *db_slot(struct db *db, enum db_slot which, void *(*make)(void), void (*done)(void *))
{
	pthread_mutex_lock(&db->slot_lock);
	if (!db->slots[which].p) {
		db->slots[which].p = make();
		db->slots[which].done = done;
	}
	pthread_mutex_unlock(&db->slot_lock);
	return db->slots[which].p;
}

/* --- transactions --- */

int tx_begin(struct tx *t, struct db *db, struct err *e)
{
	int rc;

	pthread_mutex_lock(&db->write_lock);
	rc = files_are_there(db, e);
	if (rc == 0) {
		own(sql) struct sql q = sql_prepare(&db->writer, "BEGIN IMMEDIATE", e);
		rc = sql_run(&q);
	}
	if (rc < 0) {
		pthread_mutex_unlock(&db->write_lock);
		return rc;
	}
	*t = (struct tx){ .db = db, .c = &db->writer };
	return db->unmarked ? sql_exec(t->c, MARK_OPEN, e) : 0;	/* own_tx() rolls back */
}

static void tx_end(struct tx *t)
{
	struct db *db = t->db;

	forget_changes(t->c);
	*t = (struct tx){ 0 };
	pthread_mutex_unlock(&db->write_lock);
}

int tx_commit(struct tx *t, struct err *e)
{
	struct db *db = t->db;
	int rc;

	{
		own(sql) struct sql q = sql_prepare(t->c, "COMMIT", e);
		rc = sql_run(&q);
	}
	db->write_failed = rc < 0;
	if (rc < 0)
		return rc;	/* own_tx() rolls back */
	db->unmarked = false;
	query_rows_committed(db, t->c);
	query_index_committed(db, t->c);
	tx_end(t);
	db_wake(db);
	return 0;
}

void own_tx(struct tx *t)
{
	if (!t->db)
		return;
	/* Some errors (disk full, I/O) have rolled back already. */
	if (!sqlite3_get_autocommit(t->c->sqlite)) {
		own(sql) struct sql q = sql_prepare(t->c, "ROLLBACK", NULL);
		sql_run(&q);
	} else {
		t->db->write_failed = true;
	}
	tx_end(t);
}

int read_begin(struct read *r, struct db *db, struct err *e)
{
	int rc;

	pthread_mutex_lock(&db->pool_lock);
	while (db->n_idle == 0)
		pthread_cond_wait(&db->pool_free, &db->pool_lock);
	*r = (struct read){ .db = db, .c = db->readers[--db->n_idle] };
	pthread_mutex_unlock(&db->pool_lock);
	{
		own(sql) struct sql q = sql_prepare(r->c, "BEGIN", e);
		rc = sql_run(&q);
	}
	return rc;	/* own_read() gives the connection back */
}

void own_read(struct read *r)
{
	struct db *db = r->db;

	if (!db)
		return;
	if (!sqlite3_get_autocommit(r->c->sqlite)) {
		own(sql) struct sql q = sql_prepare(r->c, "ROLLBACK", NULL);
		sql_run(&q);
	}
	pthread_mutex_lock(&db->pool_lock);
	db->readers[db->n_idle++] = r->c;
	pthread_cond_signal(&db->pool_free);
	pthread_mutex_unlock(&db->pool_lock);
	*r = (struct read){ 0 };
}

void db_wake(struct db *db)
{
	pthread_mutex_lock(&db->change_lock);
	db->changes++;
	pthread_cond_broadcast(&db->changed);
	pthread_mutex_unlock(&db->change_lock);
}

bool db_wait_change(struct db *db, uint64_t *seen, int timeout_ms)
{
	struct timespec until = cond_deadline(timeout_ms);
	bool changed;

	pthread_mutex_lock(&db->change_lock);
	while (db->changes == *seen && timeout_ms > 0 && pthread_cond_timedwait(&db->changed, &db->change_lock, &until) == 0)
		;
	changed = db->changes != *seen;
	*seen = db->changes;
	pthread_mutex_unlock(&db->change_lock);
	return changed;
}
