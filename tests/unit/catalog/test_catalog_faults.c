/*
 * test_catalog_faults.c - a revision is taken from upstream's word to published while the Nth write, fsync, link or open fails, or the process is
 * killed there, for N all over the run. Whatever happens: no crash, a sentence for an error, the catalog opens again and checks, the chain of
 * events holds, what was reported done is there, what is published is whole in the store, and doing it again ends published.
 *
 * The run is this program called again with "run DIR FD" under tests/fault/failnth.c. It reports each step that was done by one byte on a
 * socket, which the faults do not touch.
 */
#include "catalog_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fdio.h"
#include "base/str.h"
#include "catalog/event.h"
#include "catalog/finding.h"
#include "catalog/job.h"
#include "catalog/model.h"
#include "catalog/partial.h"
#include "catalog/token.h"
#include "verify/git_object.h"

#define COMMIT	    "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
#define N_FILES	    20		/* enough for the batch's syncfs() */
#define SPOTS_MAX   20		/* values of N tried of each kind of fault; REGISTRYD_SWEEP=all tries every one */
#define NOW	    1000000

static const char *self;

/* --- the run --- */

enum step { STEP_OPEN = 'a', STEP_TOKEN, STEP_PLANNED, STEP_JOB, STEP_BATCH, STEP_PARTIAL, STEP_EVIDENCE, STEP_PUBLISHED, STEP_FINISHED };

struct run {
	struct store *store;
	struct db *db;
	int64_t model, revision, job;
	struct model_file files[N_FILES];
	char content[N_FILES][40], path[N_FILES][24];
};

static void report(int fd, enum step s)
{
	char c = (char)s;

	if (send(fd, &c, 1, 0) != 1)
		_exit(9);
}

static void describe(struct run *r)
{
	for (int i = 0; i < N_FILES; i++) {
		struct model_file *f = &r->files[i];

		snprintf(r->content[i], sizeof(r->content[i]), "content of file %d", i);
		snprintf(r->path[i], sizeof(r->path[i]), i == 0 ? "model.safetensors" : "file-%02d.json", i);
		*f = (struct model_file){ .path = r->path[i], .size_bytes = strlen(r->content[i]), .wanted = true, .lfs = i == 0 };
		digest_of(&f->sha256, DIGEST_SHA256, r->content[i], strlen(r->content[i]));
		if (i == 0)
			git_pointer_id(&f->git_oid, &(struct git_pointer){ f->sha256, f->size_bytes });
		else
			git_object_id(&f->git_oid, GIT_BLOB, r->content[i], strlen(r->content[i]));
	}
}

static int plan(struct run *r, struct err *e)
{
	struct model_upstream u = { .name = "org/m", .upstream = "hub" };
	struct model_file listed[N_FILES];
	int rc = model_upsert(r->db, &u, NOW, &r->model, e);

	if (rc < 0)
		return rc;
	memcpy(listed, r->files, sizeof(listed));
	for (int i = 1; i < N_FILES; i++)
		listed[i].sha256 = (struct digest){ 0 };
	struct model_plan p = { .model_id = r->model, .commit = COMMIT, .ref = "main", .files = listed, .n_files = N_FILES };
	if ((rc = model_plan(r->db, &p, NOW, &r->revision, NULL, e)) < 0)
		return rc;
	return model_keep_document(r->db, r->revision, DOCUMENT_INFO, "", "{}", 2, NOW, e);
}

/* All but the first file, through one batch. */
static int small_files(struct run *r, struct err *e)
{
	struct store_item items[N_FILES];
	struct model_stored stored[N_FILES];
	size_t n = 0;
	int rc = 0;

	for (int i = 1; i < N_FILES && rc == 0; i++) {
		int fd = store_temp(r->store, e);

		if (fd < 0)
			rc = fd;
		if (rc == 0)
			items[n++] = (struct store_item){ fd, r->files[i].size_bytes, r->files[i].sha256 };
		if (rc == 0)
			rc = fdio_write(fd, r->content[i], r->files[i].size_bytes, r->path[i], e);
		if (n)
			stored[n - 1] = (struct model_stored){ r->path[i], r->files[i].sha256, r->files[i].size_bytes };
	}
	if (rc == 0)
		rc = store_publish_batch(r->store, items, n, e);
	for (size_t i = 0; i < n; i++)
		close(items[i].fd);
	return rc < 0 ? rc : model_files_stored(r->db, r->revision, stored, n, e);
}

static int large_file(struct run *r, struct err *e)
{
	const struct model_file *f = &r->files[0];
	own(partial) struct partial p = { 0 };
	struct partial_range have = { 0, 8 };
	int rc;

	if ((rc = store_has(r->store, &f->sha256, f->size_bytes, e)) < 0)
		return rc;
	if (rc == 0) {
		if ((rc = partial_open(&p, r->store, &f->sha256, f->size_bytes, e)) < 0 || (rc = fdio_pwrite(p.fd, r->content[0], 8, 0, f->path, e)) < 0 ||
		    (rc = partial_note(&p, PARTIAL_FLUSHED, &have, 1, e)) < 0 || (rc = fdio_pwrite(p.fd, r->content[0] + 8, f->size_bytes - 8, 8, f->path, e)) < 0 ||
		    (rc = partial_publish(&p, &f->sha256, e)) < 0)
			return rc;
	}
	struct model_stored s = { f->path, f->sha256, f->size_bytes };
	return model_files_stored(r->db, r->revision, &s, 1, e);
}

static int evidence(struct run *r, struct err *e)
{
	struct finding_file file = { r->path[0], FINDING_ACCEPT, "safetensors" };
	struct finding_smoke smoke = { .verdict = "pass", .device = "cpu", .bits_per_byte = 1, .tokens_per_s = 5, .at = NOW };
	struct model_facts facts = { .license = "mit", .tags = (const char *const[]){ "en", "license:mit" }, .n_tags = 2 };
	int rc;

	if ((rc = finding_record(r->db, r->revision, "inspect", &file, 1, NULL, 0, true, NOW, e)) < 0 || (rc = finding_record_smoke(r->db, r->revision, &smoke, e)) < 0 ||
	    (rc = model_set_proof(r->db, r->revision, PROOF_LISTING, e)) < 0)
		return rc;
	return model_set_facts(r->db, r->revision, &facts, e);
}

static int gate(struct run *r, struct err *e)
{
	own(arena) struct arena a;
	own(policy) struct policy *p = NULL;
	struct policy_facts facts;
	struct policy_verdict v;
	int rc;

	arena_init(&a);
	if ((rc = policy_load(&p, NULL, e)) < 0 || (rc = model_evidence(r->db, r->revision, &a, &facts, e)) < 0)
		return rc;
	policy_decide(p, &facts, NOW, &a, &v);
	if (v.outcome != POLICY_PUBLISH)
		return err_set(e, ERR_REFUSED, "the gate would not publish: %s", v.summary);
	return model_conclude(r->db, r->revision, &v, NOW, e);
}

static int token(struct run *r, struct err *e)
{
	char text[TOKEN_MAX];
	int rc = token_create(r->db, "admin", TOKEN_ADMIN, 0, NOW, text, e);

	return rc == ERR_CONFLICT ? 0 : rc;	/* made by an earlier run */
}

static int claim(struct run *r, struct err *e)
{
	struct job_new j = { .kind = "sync", .repo = "org/m", .revision = "main" };
	own(arena) struct arena a;
	struct job job;
	int rc;

	arena_init(&a);
	if ((rc = job_recover(r->db, NULL, e)) < 0 || (rc = job_enqueue(r->db, &j, NOW, &r->job, NULL, e)) < 0)
		return rc;
	return job_claim(r->db, NULL, NOW, &a, &job, NULL, e);
}

static int finish(struct run *r, struct err *e)
{
	return job_finish(r->db, r->job, "{}", NULL, NOW, e);
}

static int run_all(struct run *r, const char *dir, int fd, struct err *e)
{
	static const struct {
		enum step step;
		int (*run)(struct run *r, struct err *e);
	} steps[] = { { STEP_TOKEN, token },	    { STEP_PLANNED, plan },	  { STEP_JOB, claim },		{ STEP_BATCH, small_files },
		      { STEP_PARTIAL, large_file }, { STEP_EVIDENCE, evidence }, { STEP_PUBLISHED, gate }, { STEP_FINISHED, finish } };
	char path[512];
	int rc;

	snprintf(path, sizeof(path), "%s/catalog.sqlite", dir);
	describe(r);
	if ((rc = store_open(&r->store, dir, e)) < 0 || (rc = db_open(&r->db, path, 1, e)) < 0)
		return rc;
	report(fd, STEP_OPEN);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if ((rc = steps[i].run(r, e)) < 0)
			return rc;
		report(fd, steps[i].step);
	}
	return 0;
}

static int run_main(const char *dir, int fd)
{
	struct err e = ERR_NONE;
	static struct run r;
	int rc = run_all(&r, dir, fd, &e);

	db_close(r.db);
	store_close(r.store);
	if (rc == 0)
		return 0;
	/* An error has a code of ours and a sentence that names something. */
	return e.code == (enum err_code)rc && strlen(e.msg) > 10 ? 1 : 8;
}

/* --- around it --- */

/* Runs once with a fault (NULL none). Returns the wait status; the steps that were reported go to `done`. */
static int run_once(const char *dir, const char *fault, const char *count_file, char done[16])
{
	int pair[2], status;
	ssize_t n, at = 0;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		char fd[16];

		if (fault) {
			setenv("LD_PRELOAD", BIN_DIR "/../tests/libfailnth.so", 1);
			setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
			setenv("REGISTRYD_FAULT", fault, 1);
		}
		if (count_file)
			setenv("REGISTRYD_FAULT_COUNT", count_file, 1);
		snprintf(fd, sizeof(fd), "%d", pair[1]);
		execl(self, self, "run", dir, fd, (char *)NULL);
		_exit(7);
	}
	close(pair[1]);
	while (at < 15 && (n = read(pair[0], done + at, (size_t)(15 - at))) > 0)
		at += n;
	done[at] = 0;
	close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void check_published(struct store *store, struct db *db, bool must)
{
	own(arena) struct arena a;
	struct model m;
	struct revision r;
	struct model_file *files;
	size_t n;
	int rc;

	arena_init(&a);
	rc = model_find(db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, NULL);
	assert_true(rc == 0 || rc == ERR_NOT_FOUND);
	if (must)
		assert_int_equal(rc, 0);
	if (rc < 0)
		return;
	assert_int_equal(r.state, REVISION_PUBLISHED);
	ok(model_files(db, r.id, FILES_HELD, NULL, NULL, 0, &a, &files, &n, e));
	assert_int_equal(n, N_FILES);
	for (size_t i = 0; i < n; i++)
		ok(store_rehash(store, &files[i].sha256, NULL, e));
}

static int each_blob(void *arg, const struct digest *sha256, uint64_t size_bytes)
{
	(void)size_bytes;
	ok(store_rehash(arg, sha256, NULL, e));
	return 0;
}

/* Opened without faults: all is well, as far as it had come. */
static void check_state(const char *dir, const char *done)
{
	const struct digest none = { 0 };
	own(arena) struct arena a;
	struct store *store;
	struct db *db;
	char path[512];
	struct token *tokens;
	struct model m;
	struct revision r;
	size_t n;

	arena_init(&a);
	snprintf(path, sizeof(path), "%s/catalog.sqlite", dir);
	ok(store_open(&store, dir, e));
	ok(db_open(&db, path, 1, e));
	ok(db_check(db, e));
	ok(event_verify(db, &none, NULL, NULL, e));
	ok(store_each(store, each_blob, NULL, store, e));
	if (strchr(done, STEP_TOKEN)) {
		ok(token_list(db, &a, &tokens, &n, e));
		assert_int_equal(n, 1);
	}
	if (strchr(done, STEP_PLANNED))
		ok(model_find(db, "org/m", NULL, MODEL_ANY, &a, &m, &r, NULL, e));
	check_published(store, db, strchr(done, STEP_PUBLISHED) != NULL);
	db_close(db);
	store_close(store);
}

static void one_fault(const char *fault)
{
	char dir[scratch_MAX], done[16];
	int status;

	scratch_make(dir);
	status = run_once(dir, fault, NULL, done);
	if (!(WIFEXITED(status) && WEXITSTATUS(status) <= 1) && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && strstr(fault, "KILL")))
		fail_msg("with %s the run ended with status %x after '%s'", fault, status, done);
	check_state(dir, done);
	status = run_once(dir, NULL, NULL, done);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("after %s the run can't be done again: status %x after '%s'", fault, status, done);
	check_state(dir, done);
	scratch_remove(dir);
}

static long calls_of(const char *kind)
{
	char dir[scratch_MAX], done[16], fault[40], file[300];
	own(buf) struct buf text;
	long n;

	buf_init(&text, 100);
	scratch_make(dir);
	snprintf(file, sizeof(file), "%s.count", dir);
	snprintf(fault, sizeof(fault), "%s:1000000:EIO", kind);
	assert_int_equal(run_once(dir, fault, file, done), 0);
	ok(fdio_slurp(AT_FDCWD, file, &text, e));
	n = strtol(text.data, NULL, 10);
	unlink(file);
	scratch_remove(dir);
	return n;
}

static void sweep(const char *kind, const char *error)
{
	char fault[40];
	long n = calls_of(kind), by = getenv("REGISTRYD_SWEEP") ? 1 : n / SPOTS_MAX + 1, tried = 0;

	assert_true(n > 5);
	for (long at = 1; at <= n; at += by, tried++) {
		snprintf(fault, sizeof(fault), "%s:%ld%s", kind, at, error);
		one_fault(fault);
	}
	print_message("%s%s: %ld of %ld places\n", kind, error, tried, n);
}

static void test_killed_anywhere(void **state)
{
	(void)state;
	sweep("any", ":KILL");
}

static void test_disk_full(void **state)
{
	(void)state;
	sweep("write", ":ENOSPC");
	sweep("write", "+:ENOSPC");
}

static void test_disk_dying(void **state)
{
	(void)state;
	sweep("fsync", ":EIO");
	sweep("link", ":EIO");
	sweep("create", ":EIO");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_killed_anywhere), cmocka_unit_test(test_disk_full), cmocka_unit_test(test_disk_dying) };

	self = argv[0];
	if (argc == 4 && !strcmp(argv[1], "run"))
		return run_main(argv[2], (int)strtol(argv[3], NULL, 10));
	if (access(BIN_DIR "/../tests/libfailnth.so", R_OK) != 0) {
		print_message("skipped: libfailnth.so is not built together with sanitizers, which preload themselves\n");
		return 0;
	}
	setenv("TMPDIR", "/dev/shm", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
