/* test_job.c - the queue survives its daemon, jobs run once, cancellation reaches them. */
#include "catalog_test.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/json.h"
#include "catalog/event.h"
#include "catalog/job.h"

static int64_t put(struct db *db, const char *repo, int priority, int64_t not_before)
{
	struct job_new j = { .kind = "sync", .repo = repo, .revision = "main", .args = "{}", .who = "test", .priority = priority, .not_before = not_before };
	int64_t id;

	ok(job_enqueue(db, &j, 100, &id, NULL, e));
	return id;
}

static void test_order(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct job j;
	int64_t next;

	arena_init(&a);
	fails(ERR_NOT_FOUND, "no job is due", job_claim(f->db, NULL, 100, &a, &j, &next, e));
	assert_int_equal(next, 0);
	int64_t low = put(f->db, "a/a", 0, 0), high = put(f->db, "b/b", 5, 0), later = put(f->db, "c/c", 9, 200);
	assert_int_equal(put(f->db, "a/a", 0, 0), low);	/* the same job is not queued twice */
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, high);
	assert_int_equal(j.attempts, 1);
	assert_int_equal(put(f->db, "b/b", 0, 0) == high, 0);	/* it runs: asking again is a new job … */
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, low);
	fails(ERR_NOT_FOUND, "due", job_claim(f->db, NULL, 100, &a, &j, &next, e));	/* … that waits for the first */
	assert_int_equal(next, 200);
	int64_t wrong = put(f->db, "d/d", 0, 100 + 2 * JOB_WAIT_MAX_S);	/* by a clock that was ahead */
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, wrong);
	ok(job_claim(f->db, NULL, 200, &a, &j, NULL, e));
	assert_int_equal(j.id, later);
	ok(job_finish(f->db, high, "{\"x\":1}", NULL, 210, e));
	fails(ERR_CONFLICT, "not running", job_finish(f->db, high, NULL, NULL, 210, e));
	ok(job_get(f->db, high, &a, &j, e));
	assert_int_equal(j.state, JOB_DONE);
	const char *const only[] = { "gc", NULL };
	fails(ERR_NOT_FOUND, "due", job_claim(f->db, only, 300, &a, &j, NULL, e));
	ok(job_claim(f->db, NULL, 300, &a, &j, NULL, e));
	assert_string_equal(j.repo, "b/b");
}

/* What is behind all other work runs one at a time, so that it never takes every worker; whoever asks for one of it by name does not wait for the others. */
static void test_background(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct job j;

	arena_init(&a);
	int64_t first = put(f->db, "a/a", JOB_BACKGROUND, 0), second = put(f->db, "b/b", JOB_BACKGROUND, 0), third = put(f->db, "c/c", JOB_BACKGROUND, 0);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, first);
	fails(ERR_NOT_FOUND, "due", job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	int64_t other = put(f->db, "d/d", -1, 0);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, other);
	assert_int_equal(put(f->db, "c/c", 0, 0), third);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, third);
	assert_int_equal(j.priority, 0);
	assert_int_equal(put(f->db, "b/b", JOB_BACKGROUND, 0), second);
	ok(job_finish(f->db, first, NULL, NULL, 101, e));
	ok(job_claim(f->db, NULL, 101, &a, &j, NULL, e));
	assert_int_equal(j.id, second);
}

/* What waits for a change of things may run at once; what is to run for the first time later is not due by that. */
static void test_wake(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct job j;
	int64_t id = put(f->db, "a/a", 0, 0);

	arena_init(&a);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	ok(job_wait_until(f->db, id, 150, false, "waiting for room", 101, e));
	put(f->db, "b/b", 0, 120);
	fails(ERR_NOT_FOUND, "due", job_claim(f->db, NULL, 102, &a, &j, NULL, e));
	ok(job_wake(f->db, id + 1, e));
	fails(ERR_NOT_FOUND, "due", job_claim(f->db, NULL, 102, &a, &j, NULL, e));
	ok(job_wake(f->db, 0, e));
	ok(job_claim(f->db, NULL, 102, &a, &j, NULL, e));
	assert_int_equal(j.id, id);
	fails(ERR_NOT_FOUND, "due", job_claim(f->db, NULL, 102, &a, &j, NULL, e));
}

/* A try that failed is counted until the job waits for something else. */
static void test_tries(void **state)
{
	static const bool failed[] = { true, true, false, true };
	static const int counted[] = { 1, 2, 3, 1 };
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t id = put(f->db, "a/a", 0, 0);
	struct job j;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(failed); i++) {
		ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
		assert_int_equal(j.attempts, counted[i]);
		ok(job_wait_until(f->db, id, 100, failed[i], "waiting", 100, e));
	}
}

static void test_restart(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct job j;
	int64_t n, id = put(f->db, "a/a", 0, 0);

	arena_init(&a);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	job_progress(f->db, id, 5, 10, 1, 2, "fetching");
	db_close(f->db);
	ok(db_open(&f->db, f->path, 0, e));
	ok(job_recover(f->db, &n, e));
	assert_int_equal(n, 1);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, id);
	assert_int_equal(j.attempts, 1);	/* it was cut off, which is no failure */
	/* Twice the same after a restart: one is enough. */
	put(f->db, "a/a", 0, 0);
	ok(job_recover(f->db, &n, e));
	assert_int_equal(n, 0);
	ok(job_get(f->db, id, &a, &j, e));
	assert_int_equal(j.state, JOB_CANCELED);
}

static void run(struct fixture *f, int64_t id, bool well)
{
	struct err why = { ERR_FAILED, "it went wrong" };
	own(arena) struct arena a;
	struct job j;

	arena_init(&a);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_int_equal(j.id, id);
	ok(well ? job_finish(f->db, id, NULL, NULL, 101, e) : job_fail(f->db, id, &why, 101, e));
}

/* What failed when it last ran, and nothing else. */
static void test_retry(void **state)
{
	struct fixture *f = *state;
	size_t n = 7;

	run(f, put(f->db, "a/a", 0, 0), false);
	run(f, put(f->db, "a/a", 0, 0), true);
	run(f, put(f->db, "b/b", 0, 0), true);
	run(f, put(f->db, "b/b", 0, 0), false);
	ok(job_retry_failed(f->db, "gc", 200, &n, e));
	assert_int_equal(n, 0);
	ok(job_retry_failed(f->db, "sync", 200, &n, e));
	assert_int_equal(n, 1);
	ok(job_retry_failed(f->db, "sync", 200, &n, e));
	assert_int_equal(n, 0);
	run(f, put(f->db, "b/b", 0, 0), true);	/* it was queued as it was */
	ok(job_retry_failed(f->db, "sync", 200, &n, e));
	assert_int_equal(n, 0);
}

static void test_progress_cancel_fail(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct job j, *list;
	size_t n;
	struct err why = ERR_NONE;
	int64_t counts[JOB_CANCELED + 1], id = put(f->db, "a/a", 0, 0), other = put(f->db, "b/b", 0, 0);

	arena_init(&a);
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_false(job_progress(f->db, id, 50, 100, 1, 3, "fetching x"));
	ok(job_list(f->db, &(struct job_filter){ .active_only = true }, &a, &list, &n, e));
	assert_int_equal(n, 2);
	ok(job_get(f->db, id, &a, &j, e));
	assert_int_equal(j.bytes_done, 50);
	assert_string_equal(j.phase, "fetching x");
	ok(job_wait_until(f->db, id, 150, false, "waiting for room", 101, e));
	ok(job_get(f->db, id, &a, &j, e));
	assert_int_equal(j.state, JOB_WAITING);
	assert_int_equal(j.bytes_done, 50);
	ok(job_cancel(f->db, other, 102, e));
	ok(job_claim(f->db, NULL, 150, &a, &j, NULL, e));
	ok(job_cancel(f->db, id, 151, e));
	assert_true(job_progress(f->db, id, 60, 100, 1, 3, NULL));
	err_set(&why, ERR_CANCELED, "stopped on request");
	ok(job_fail(f->db, id, &why, 152, e));
	ok(job_get(f->db, id, &a, &j, e));
	assert_int_equal(j.state, JOB_CANCELED);
	fails(ERR_CONFLICT, "no active job", job_cancel(f->db, id, 153, e));

	id = put(f->db, "c/c", 0, 0);
	ok(job_claim(f->db, NULL, 160, &a, &j, NULL, e));
	err_set(&why, ERR_UNREACHABLE, "hub is down");
	ok(job_fail(f->db, id, &why, 161, e));
	ok(job_counts(f->db, counts, e));
	assert_int_equal(counts[JOB_CANCELED], 2);
	assert_int_equal(counts[JOB_FAILED], 1);
	ok(job_get(f->db, id, &a, &j, e));
	own(json) json_t *js = job_json(&j);
	assert_non_null(js);
	assert_string_equal(json_get_str(json_object_get(js, "error"), "code"), "unreachable");
	struct event *ev;
	ok(event_list(f->db, 0, "c/c", 10, &a, &ev, &n, e));
	assert_int_equal(n, 1);
	assert_string_equal(ev[0].kind, "job.failed");
	ok(job_expire(f->db, 1000, e));
	fails(ERR_NOT_FOUND, "no job", job_get(f->db, id, &a, &j, e));
}

/* Nothing can be written: what the job has come to is seen all the same, and the catalog is not ready until something is written again. */
static void test_an_end_that_cant_be_written(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a = { 0 };
	int64_t counts[JOB_CANCELED + 1], id = put(f->db, "a/a", 0, 0);
	struct rlimit was, none;
	struct err why = ERR_NONE;
	struct job j;

	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	assert_false(job_progress(f->db, id, 50, 100, 1, 3, "waits for room"));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	none = (struct rlimit){ 1, was.rlim_max };
	setrlimit(RLIMIT_FSIZE, &none);
	for (int i = 0; i < 2; i++) {
		assert_true(job_wait_until(f->db, id, 150, false, "for room", 101, &why) < 0);
		job_stuck(f->db, id);
		ok(job_get(f->db, id, &a, &j, e));
		assert_int_equal(j.state, JOB_WAITING);
		assert_int_equal(j.bytes_done, 50);
		assert_string_equal(j.phase, "waits for room");
		ok(job_counts(f->db, counts, e));
		assert_true(counts[JOB_RUNNING] == 0 && counts[JOB_WAITING] == 1);
		assert_true(db_ready(f->db, &why) < 0);
	}
	setrlimit(RLIMIT_FSIZE, &was);
	ok(db_ready(f->db, e));
	ok(job_wait_until(f->db, id, 150, false, "for room", 102, e));
	ok(job_get(f->db, id, &a, &j, e));
	assert_int_equal(j.state, JOB_WAITING);
	assert_int_equal(j.bytes_done, 50);
	ok(job_counts(f->db, counts, e));
	assert_true(counts[JOB_RUNNING] == 0 && counts[JOB_WAITING] == 1);
	ok(job_claim(f->db, NULL, 200, &a, &j, NULL, e));
	ok(job_get(f->db, id, &a, &j, e));
	assert_int_equal(j.state, JOB_RUNNING);
}

/* A list of files that is longer than memory holds of it comes back as it was, and goes with its job. */
static void test_files_of_a_result(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a = { 0 };
	own(spool) struct spool in, out, none;
	char *sent, *got;
	struct job j;
	int64_t id = put(f->db, "a/a", 0, 0);

	store_spool(f->store, &in, 4 << 20);
	store_spool(f->store, &out, 4 << 20);
	spool_puts(&in, "[");
	for (int i = 0; i < 100000; i++)
		spool_printf(&in, "%s{\"n\":%d}", i ? "," : "", i);
	spool_puts(&in, "]");
	ok(spool_end(&in, e));
	ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	ok(job_finish(f->db, id, "{\"x\":1}", &in, 110, e));
	ok(job_get(f->db, id, &a, &j, e));
	assert_true(j.has_files);
	ok(job_put_files(f->db, id, &out, e));
	ok(spool_end(&out, e));
	assert_true(in.fd >= 0 && out.fd >= 0);
	assert_int_equal(out.n, in.n);
	sent = arena_alloc(&a, in.n);
	got = arena_alloc(&a, in.n);
	assert_int_equal(spool_read(&in, sent, in.n, 0, NULL), in.n);
	assert_int_equal(spool_read(&out, got, in.n, 0, NULL), in.n);
	assert_memory_equal(sent, got, in.n);
	ok(job_expire(f->db, 1000, e));
	store_spool(f->store, &none, 1000);
	assert_true(job_put_files(f->db, id, &none, NULL) < 0);
}

/* What is being done comes first, however much was asked for since; and what is left out counts. */
static void test_list(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a = { 0 };
	struct job j, *list;
	int64_t total;
	size_t n;

	arena_init(&a);
	int64_t ends = put(f->db, "a/a", 9, 0), waits = put(f->db, "b/b", 8, 0), runs = put(f->db, "c/c", 7, 0);
	for (int i = 0; i < 3; i++)
		ok(job_claim(f->db, NULL, 100, &a, &j, NULL, e));
	ok(job_finish(f->db, ends, NULL, NULL, 101, e));
	ok(job_wait_until(f->db, waits, 500, false, "waiting for room", 101, e));
	int64_t queued = put(f->db, "d/d", 0, 0), newest = put(f->db, "e/e", 0, 0);
	const int64_t want[] = { runs, waits, newest, queued, ends };
	ok(job_list(f->db, &(struct job_filter){ 0 }, &a, &list, &n, e));
	assert_int_equal(n, 5);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(list[i].id, want[i]);
	ok(job_list(f->db, &(struct job_filter){ .limit = 1 }, &a, &list, &n, e));
	assert_true(n == 1 && list[0].id == runs);
	ok(job_total(f->db, &(struct job_filter){ .limit = 1 }, &total, e));
	assert_int_equal(total, 5);
	ok(job_total(f->db, &(struct job_filter){ .active_only = true }, &total, e));
	assert_int_equal(total, 4);
	ok(job_total(f->db, &(struct job_filter){ .kind = "sync", .repo = "a/a" }, &total, e));
	assert_int_equal(total, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { with_fixture(test_order), with_fixture(test_background), with_fixture(test_wake), with_fixture(test_tries), with_fixture(test_retry), with_fixture(test_restart),
					     with_fixture(test_progress_cancel_fail), with_fixture(test_an_end_that_cant_be_written), with_fixture(test_files_of_a_result),
					     with_fixture(test_list) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
