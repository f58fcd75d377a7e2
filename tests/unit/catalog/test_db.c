/* test_db.c - opening, migrating, refusing, transactions, and what an unclean end does. */
#include "catalog_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/embed.h"
#include "base/fdio.h"
#include "catalog/sql.h"

static void set_meta(struct db *db, const char *key, const char *value)
{
	own(tx) struct tx t = { 0 };

	ok(tx_begin(&t, db, e));
	{
		own(sql) struct sql q = sql_prepare(t.c, "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2", NULL);
		sql_text(&q, key);
		sql_text(&q, value);
		ok(sql_run(&q));
	}
	ok(tx_commit(&t, e));
}

static bool has_meta(struct db *db, const char *key)
{
	own(read) struct read r = { 0 };

	ok(read_begin(&r, db, e));
	own(sql) struct sql q = sql_prepare(r.c, "SELECT 1 FROM meta WHERE key = $1", NULL);
	sql_text(&q, key);
	return sql_row(&q);
}

static void test_rollback(void **state)
{
	struct fixture *f = *state;

	{
		own(tx) struct tx t = { 0 };
		ok(tx_begin(&t, f->db, e));
		ok(sql_exec(t.c, "INSERT INTO meta VALUES ('gone', 'x')", e));
	}
	assert_false(has_meta(f->db, "gone"));
	set_meta(f->db, "kept", "x");
	assert_true(has_meta(f->db, "kept"));
	ok(db_ready(f->db, e));
	ok(db_check(f->db, e));
}

static void test_statement_errors(void **state)
{
	struct fixture *f = *state;
	own(tx) struct tx t = { 0 };

	ok(tx_begin(&t, f->db, e));
	{
		struct err e = ERR_NONE;
		own(sql) struct sql q = sql_prepare(t.c, "SELECT nonsense", &e);
		sql_int(&q, 1);
		assert_false(sql_row(&q));
		assert_int_equal(sql_done(&q), ERR_FAILED);
		assert_non_null(strstr(e.msg, "nonsense"));
	}
	{
		struct err e = ERR_NONE;
		own(sql) struct sql q = sql_prepare(t.c, "SELECT $1, $2", &e);
		sql_int(&q, 1);
		assert_int_equal(sql_run(&q), ERR_FAILED);
		assert_non_null(strstr(e.msg, "1 of 2 parameters"));
	}
	{
		struct err e = ERR_NONE;
		own(sql) struct sql q = sql_prepare(t.c, "INSERT INTO revision (model_id, commit_id, state, planned_at, state_at) VALUES (99, zeroblob(3), 1, 1, 1)", &e);
		assert_int_equal(sql_run(&q), ERR_CONFLICT);
	}
}

static void test_newer_catalog(void **state)
{
	struct fixture *f = *state;
	struct db *db;
	char cmd[512];

	db_close(f->db);
	f->db = NULL;
	snprintf(cmd, sizeof(cmd), "sqlite3 '%s' 'PRAGMA user_version = 9999'", f->path);
	if (system(cmd) != 0)
		skip();
	fails(ERR_UNSUPPORTED, "9999", db_open(&db, f->path, 0, e));
}

static void test_not_a_catalog(void **state)
{
	struct fixture *f = *state;
	struct db *db;
	char path[512];

	snprintf(path, sizeof(path), "%s/noise.sqlite", f->dir);
	own(fd) int fd = open(path, O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < 500; i++)
		assert_int_equal(write(fd, "this is not a database at all.. ", 32), 32);
	fails(ERR_MISMATCH, "not a catalog", db_open(&db, path, 0, e));
}

/* A process that dies in the middle loses nothing that was committed and keeps nothing that was not. */
static void test_unclean_end(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status;

	db_close(f->db);
	f->db = NULL;
	pid = fork();
	if (pid == 0) {
		struct db *db;
		struct tx t;

		if (db_open(&db, f->path, 0, NULL) < 0)
			_exit(1);
		set_meta(db, "before", "x");
		if (tx_begin(&t, db, NULL) < 0 || sql_exec(t.c, "INSERT INTO meta VALUES ('during', 'x')", NULL) < 0)
			_exit(1);
		_exit(7);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 7);
	ok(db_open(&f->db, f->path, 0, e));
	assert_true(db_was_unclean(f->db));
	assert_true(has_meta(f->db, "before"));
	assert_false(has_meta(f->db, "during"));
	db_close(f->db);
	f->db = NULL;
	ok(db_open(&f->db, f->path, 0, e));
	assert_false(db_was_unclean(f->db));
}

static void test_damaged_catalog(void **state)
{
	struct fixture *f = *state;
	char value[4000];

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = 0;
	for (int i = 0; i < 50; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		set_meta(f->db, key, value);
	}
	set_meta(f->db, "open", "1");
	db_close(f->db);
	f->db = NULL;
	own(fd) int fd = open(f->path, O_RDWR);
	for (uint64_t at = 4096; at < 60 * 4096; at += 4096)	/* page headers all over */
		ok(fdio_pwrite(fd, "\xff\xff\xff\xff", 4, at, "page", e));
	f->db = NULL;
	struct err e = ERR_NONE;
	int rc = db_open(&f->db, f->path, 0, &e);
	assert_int_equal(rc, ERR_MISMATCH);
	assert_non_null(strstr(e.msg, "damaged"));
	f->db = NULL;
}

/* What is written to a file that has no name is lost: it is refused, and what was committed before is saved by a clean end. */
static void test_files_removed(void **state)
{
	struct fixture *f = *state;
	char path[sizeof(f->path) + 8];

	set_meta(f->db, "before", "x");
	snprintf(path, sizeof(path), "%s-wal", f->path);
	assert_int_equal(unlink(path), 0);
	fails(ERR_FAILED, "catalog.sqlite-wal was removed", db_ready(f->db, e));
	own(fd) int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0640);
	assert_true(fd >= 0);
	{
		own(tx) struct tx t = { 0 };
		fails(ERR_FAILED, "catalog.sqlite-wal was replaced", tx_begin(&t, f->db, e));
	}
	assert_int_equal(unlink(path), 0);
	assert_true(has_meta(f->db, "before"));
	db_close(f->db);
	f->db = NULL;
	ok(db_open(&f->db, f->path, 0, e));
	assert_true(has_meta(f->db, "before"));
	ok(db_ready(f->db, e));
}

static void test_catalog_behind_a_link(void **state)
{
	struct fixture *f = *state;
	struct db *db;
	char path[512];

	snprintf(path, sizeof(path), "%s/link.sqlite", f->dir);
	assert_int_equal(symlink(f->path, path), 0);
	fails(ERR_FAILED, "not a plain file", db_open(&db, path, 0, e));
}

static void *count_up(void *arg)
{
	struct db *db = arg;

	for (int i = 0; i < 50; i++) {
		own(tx) struct tx t = { 0 };
		ok(tx_begin(&t, db, e));
		ok(sql_exec(t.c, "INSERT INTO meta VALUES ('n', '0') ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)", e));
		ok(tx_commit(&t, e));
		has_meta(db, "n");
	}
	return NULL;
}

static time_t ahead_s;	/* of the machine's clock, as whoever asks sees it */

int clock_gettime(clockid_t c, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, c, t);

	t->tv_sec += c == CLOCK_REALTIME ? ahead_s : 0;
	return rc;
}

/* A wait that began before the clock was set back ends when it would have ended. */
static void test_the_clock_is_set_back(void **state)
{
	static const int waits_ms[] = { 0, 1, 20 };
	struct fixture *f = *state;
	uint64_t seen = 0;

	db_wait_change(f->db, &seen, 0);
	ahead_s = 3600;
	alarm(30);
	for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++)
		assert_false(db_wait_change(f->db, &seen, waits_ms[i]));
	alarm(0);
	ahead_s = 0;
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[8];
	uint64_t seen = 0;

	set_meta(f->db, "n", "0");
	assert_true(db_wait_change(f->db, &seen, 0));
	assert_false(db_wait_change(f->db, &seen, 10));
	db_wake(f->db);
	assert_true(db_wait_change(f->db, &seen, 5000));
	assert_false(db_wait_change(f->db, &seen, 10));
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_up, f->db), 0);
	assert_true(db_wait_change(f->db, &seen, 5000));
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	own(read) struct read r = { 0 };
	ok(read_begin(&r, f->db, e));
	own(sql) struct sql q = sql_prepare(r.c, "SELECT value FROM meta WHERE key = 'n'", NULL);
	assert_true(sql_row(&q));
	assert_string_equal(sql_get_text(&q, 0), "400");
}

/* The schema as it stands after all migrations is kept beside them, so that a change shows in review. UPDATE_GOLDEN=1 writes it anew. */
static void test_golden_schema(void **state)
{
	struct fixture *f = *state;
	own(buf) struct buf is, want;
	own(read) struct read r = { 0 };

	buf_init(&is, 1 << 20);
	buf_init(&want, 1 << 20);
	ok(read_begin(&r, f->db, e));
	own(sql) struct sql q = sql_prepare(r.c, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name", NULL);
	while (sql_row(&q))
		buf_printf(&is, "%s;\n", sql_get_text(&q, 0));
	if (getenv("UPDATE_GOLDEN"))
		ok(fdio_replace(AT_FDCWD, SOURCE_DIR "/schema/current.sql", is.data, is.len, 0644, e));
	ok(fdio_slurp(AT_FDCWD, SOURCE_DIR "/schema/current.sql", &want, e));
	if (strcmp(is.data, want.data) != 0)
		fail_msg("the schema is not the one in schema/current.sql: if that is meant, run this test with UPDATE_GOLDEN=1");
}

/* Marks of before 0005, when a revision had one row: each goes to whoever has made it, and what says nothing more is kept only as far as it still counts. */
static void test_lifecycle_sources(void **state)
{
	static const char before[] =
		"ALTER TABLE revision DROP COLUMN published_no; ALTER TABLE revision DROP COLUMN upstream_key; DROP TABLE lost; ALTER TABLE upstream_ref DROP COLUMN is_tag; DROP TABLE lifecycle; CREATE TABLE lifecycle (model_id INTEGER NOT NULL REFERENCES model (id), revision_id INTEGER NOT NULL, deprecated_at INTEGER NOT NULL DEFAULT 0, "
		"sunset_at INTEGER NOT NULL DEFAULT 0, successor TEXT COLLATE NOCASE, reason TEXT, retired_at INTEGER NOT NULL DEFAULT 0, withdrawn_at INTEGER NOT NULL DEFAULT 0, "
		"legal INTEGER NOT NULL DEFAULT 0, who TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (model_id, revision_id)) STRICT, WITHOUT ROWID; "
		"CREATE INDEX lifecycle_sunset ON lifecycle (sunset_at) WHERE sunset_at > 0; CREATE INDEX lifecycle_successor ON lifecycle (successor) WHERE successor IS NOT NULL; "
		"INSERT INTO term (id, kind, name) VALUES (901, 1, 'org'), (902, 8, 'hub'); INSERT INTO model (id, name, author_id, upstream_id) VALUES (1, 'org/m', 901, 902); "
		"INSERT INTO lifecycle VALUES (1, 0, 10, 20, 'org/n', 'old', 0, 0, 0, 'ada', 5), (1, 1, 10, 0, NULL, 'hint', 0, 0, 0, 'policy', 5), "
		"(1, 2, 10, 0, NULL, 'fails', 0, 0, 0, 'smoke', 5), (1, 3, 10, 0, NULL, 'court', 0, 30, 1, 'policy', 5), (1, 4, 0, 0, NULL, NULL, 0, 0, 0, 'ada', 5), "
		"(1, 5, 0, 0, NULL, 'mistake', 0, 0, 0, 'ada', 5), (1, 6, 0, 0, NULL, NULL, 0, 0, 0, 'policy', 5); PRAGMA user_version = 4";
	static const char after[] = "0 person 10 20 old - 0\n1 policy 10 0 hint - 0\n2 smoke 10 0 fails - 0\n3 person 10 0 court court 0\n4 person 0 0 - - 1\n";
	struct fixture *f = *state;
	own(read) struct read r = { 0 };
	own(buf) struct buf is;

	{
		own(tx) struct tx t = { 0 };
		ok(tx_begin(&t, f->db, e));
		ok(sql_exec(t.c, before, e));
		ok(tx_commit(&t, e));
	}
	db_close(f->db);
	f->db = NULL;
	ok(db_open(&f->db, f->path, 0, e));
	buf_init(&is, 1 << 16);
	ok(read_begin(&r, f->db, e));
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT revision_id || ' ' || source || ' ' || deprecated_at || ' ' || sunset_at || ' ' || coalesce(reason, '-') || ' ' || "
					    "coalesce(off_reason, '-') || ' ' || exempt FROM lifecycle ORDER BY revision_id",
					    NULL);
	while (sql_row(&q))
		buf_printf(&is, "%s\n", sql_get_text(&q, 0));
	assert_string_equal(is.data, after);
	own(sql) struct sql dates = sql_prepare(r.c, "SELECT 1 FROM model WHERE id = 1 AND deprecated_at = 10 AND sunset_at = 20", NULL);
	assert_true(sql_row(&dates));	/* those of all marks together, which the rows of models show */
}

/* The id that upstream keeps for a repository, of revisions that were here before 0010: from the answers that are kept. */
static void test_upstream_keys(void **state)
{
	static const char before[] =
		"ALTER TABLE revision DROP COLUMN published_no; ALTER TABLE revision DROP COLUMN upstream_key; "
		"INSERT INTO term (id, kind, name) VALUES (901, 1, 'org'), (902, 8, 'hub'); INSERT INTO model (id, name, author_id, upstream_id) VALUES (1, 'org/m', 901, 902); "
		"INSERT INTO revision (id, model_id, commit_id, state, planned_at, state_at) VALUES (1, 1, zeroblob(20), 7, 1, 1), (2, 1, randomblob(20), 7, 1, 1), "
		"(3, 1, randomblob(20), 7, 1, 1), (4, 1, randomblob(20), 7, 1, 1); "
		"INSERT INTO document (revision_id, kind, name, at, body) VALUES (1, 1, '', 1, CAST('{\"_id\":\"621FFDC036468d709f17434d\",\"id\":\"org/m\"}' AS BLOB)), "
		"(2, 1, '', 1, CAST('{\"id\":\"org/m\"}' AS BLOB)), (3, 1, '', 1, CAST('{\"_id\":\"000000000000000000000000\"}' AS BLOB)), (4, 1, '', 1, CAST('{\"_id\":\"short\"}' AS BLOB)); "
		"PRAGMA user_version = 9";
	struct fixture *f = *state;
	own(read) struct read r = { 0 };

	{
		own(tx) struct tx t = { 0 };
		ok(tx_begin(&t, f->db, e));
		ok(sql_exec(t.c, before, e));
		ok(tx_commit(&t, e));
	}
	db_close(f->db);
	f->db = NULL;
	ok(db_open(&f->db, f->path, 0, e));
	ok(read_begin(&r, f->db, e));
	own(sql) struct sql q = sql_prepare(r.c, "SELECT group_concat(id || '=' || coalesce(upstream_key, '-'), ' ') FROM (SELECT * FROM revision ORDER BY id)", NULL);
	assert_true(sql_row(&q));
	assert_string_equal(sql_get_text(&q, 0), "1=621ffdc036468d709f17434d 2=- 3=- 4=-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_rollback),	 with_fixture(test_statement_errors), with_fixture(test_newer_catalog), with_fixture(test_not_a_catalog),
		with_fixture(test_unclean_end),	 with_fixture(test_damaged_catalog),  with_fixture(test_files_removed), with_fixture(test_catalog_behind_a_link), with_fixture(test_threads), with_fixture(test_the_clock_is_set_back),	with_fixture(test_golden_schema), with_fixture(test_lifecycle_sources),
		with_fixture(test_upstream_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
