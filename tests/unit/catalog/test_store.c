/* test_store.c - what the blob store and the partial downloads promise, also after a crash in the middle. */
#include "catalog_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdio.h"
#include "catalog/partial.h"

static int temp_with(struct store *st, const void *p, size_t n)
{
	int fd = store_temp(st, NULL);

	assert_true(fd >= 0);
	ok(fdio_write(fd, p, n, "temp", e));
	return fd;
}

static struct digest put(struct store *st, const char *text)
{
	struct digest d;
	own(fd) int fd = temp_with(st, text, strlen(text));

	digest_of(&d, DIGEST_SHA256, text, strlen(text));
	ok(store_publish(st, fd, &d, strlen(text), e));
	return d;
}

static bool exists(const struct fixture *f, const char *name)
{
	char path[1024];
	struct stat s;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return stat(path, &s) == 0;
}

static void test_publish(void **state)
{
	struct fixture *f = *state;
	struct digest d = put(f->store, "hello");
	struct stat s;
	uint64_t size;
	char name[DIGEST_HEX_MAX], path[512];

	digest_hex(name, &d);
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", f->dir, name);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 07777, 0440);
	assert_int_equal(store_has(f->store, &d, 5, NULL), 1);
	fails(ERR_MISMATCH, "damaged", store_has(f->store, &d, 6, e));
	put(f->store, "hello");	/* again: fine */
	ok(store_rehash(f->store, &d, &size, e));
	assert_int_equal(size, 5);
	d.bytes[0] ^= 1;
	assert_int_equal(store_has(f->store, &d, 5, NULL), 0);
	fails(ERR_NOT_FOUND, "no blob", store_open_blob(f->store, &d, NULL, e));
}

static void test_size_is_checked(void **state)
{
	struct fixture *f = *state;
	struct digest d;
	own(fd) int fd = temp_with(f->store, "abc", 3);

	digest_of(&d, DIGEST_SHA256, "abc", 3);
	fails(ERR_MISMATCH, "3 bytes", store_publish(f->store, fd, &d, 4, e));
	assert_int_equal(store_has(f->store, &d, 3, NULL), 0);
}

static void test_damage(void **state)
{
	struct fixture *f = *state;
	struct digest d = put(f->store, "precious");
	char name[DIGEST_HEX_MAX], path[512];

	digest_hex(name, &d);
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", f->dir, name);
	assert_int_equal(chmod(path, 0600), 0);
	int fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "q", 1), 1);
	close(fd);
	fails(ERR_MISMATCH, "hash to", store_rehash(f->store, &d, NULL, e));
	ok(store_quarantine_blob(f->store, &d, "test damage", 1000, e));
	assert_int_equal(store_has(f->store, &d, 8, NULL), 0);
	snprintf(path, sizeof(path), "quarantine/1000-%.16s-0", name);
	assert_true(exists(f, path));
	snprintf(path, sizeof(path), "quarantine/1000-%.16s-0.reason", name);
	assert_true(exists(f, path));
	put(f->store, "precious");
	ok(store_rehash(f->store, &d, NULL, e));
	/* A blob cut short makes way for the whole one. */
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", f->dir, name);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 3), 0);
	put(f->store, "precious");
	ok(store_rehash(f->store, &d, NULL, e));
}

static int count_blob(void *arg, const struct digest *d, uint64_t size)
{
	(void)d;
	(void)size;
	++*(int *)arg;
	return 0;
}

static void count_foreign(void *arg, const char *name)
{
	(void)name;
	*(int *)arg += 100000;
}

static void test_batch_and_walk(void **state)
{
	struct fixture *f = *state;
	struct store_item items[200];
	int n = 0;
	char path[512];

	for (int i = 0; i < 200; i++) {
		items[i].fd = temp_with(f->store, &i, sizeof(i));
		items[i].size_bytes = sizeof(i);
		digest_of(&items[i].sha256, DIGEST_SHA256, &i, sizeof(i));
	}
	ok(store_publish_batch(f->store, items, 200, e));
	for (int i = 0; i < 200; i++)
		close(items[i].fd);
	ok(store_each(f->store, count_blob, count_foreign, &n, e));
	assert_int_equal(n, 200);
	snprintf(path, sizeof(path), "%s/blobs/sha256/README", f->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	n = 0;
	ok(store_each(f->store, count_blob, count_foreign, &n, e));
	assert_int_equal(n, 100200);
	ok(store_remove(f->store, &items[7].sha256, e));
	ok(store_remove(f->store, &items[7].sha256, e));
	assert_int_equal(store_has(f->store, &items[7].sha256, sizeof(int), NULL), 0);
}

static void test_two_daemons(void **state)
{
	struct fixture *f = *state;
	struct store *other;

	fails(ERR_CONFLICT, "another registryd", store_open(&other, f->dir, e));
}

/* --- partial --- */

#define MIB (1u << 20)

static void fill(unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 2654435761u >> 13);
}

static void test_partial_resume(void **state)
{
	struct fixture *f = *state;
	unsigned char *data = malloc(3 * MIB);
	struct partial p, q;
	struct digest d;
	struct partial_range have = { 0, 2 * MIB };

	fill(data, 3 * MIB);
	digest_of(&d, DIGEST_SHA256, data, 3 * MIB);
	ok(partial_open(&p, f->store, &d, 3 * MIB, e));
	assert_int_equal(partial_prefix(&p), 0);
	ok(fdio_pwrite(p.fd, data, 2 * MIB + 100, 0, "p", e));
	ok(partial_note(&p, PARTIAL_FLUSHED, &have, 1, e));
	fails(ERR_CONFLICT, "already", partial_open(&q, f->store, &d, 3 * MIB, e));
	partial_close(&p);
	ok(partial_open(&p, f->store, &d, 3 * MIB, e));
	assert_int_equal(partial_prefix(&p), 2 * MIB);	/* not the 100 bytes behind: nobody vouched for them */
	ok(fdio_pwrite(p.fd, data + 2 * MIB, MIB, 2 * MIB, "p", e));
	ok(partial_publish(&p, &d, e));
	ok(store_rehash(f->store, &d, NULL, e));
	free(data);
}

/* What was written counts after a kill, and no longer when the machine has been started anew; what was flushed counts still. */
static void test_partial_after_a_power_cut(void **state)
{
	struct fixture *f = *state;
	unsigned char data[4 * 4096] = { 1 };
	struct partial_range flushed = { 0, 4096 }, written = { 0, 2 * 4096 }, more = { 0, 3 * 4096 };
	char boot[PARTIAL_BOOT_MAX];
	struct partial p;
	struct digest d;

	digest_of(&d, DIGEST_SHA256, data, sizeof(data));
	ok(partial_open(&p, f->store, &d, sizeof(data), e));
	memcpy(boot, p.boot, sizeof(boot));
	ok(fdio_pwrite(p.fd, data, sizeof(data), 0, "p", e));
	snprintf(p.boot, sizeof(p.boot), "another start");
	ok(partial_note(&p, PARTIAL_FLUSHED, &flushed, 1, e));
	ok(partial_note(&p, PARTIAL_WRITTEN, &written, 1, e));
	partial_close(&p);
	ok(partial_open(&p, f->store, &d, sizeof(data), e));
	assert_string_equal(p.boot, boot);
	assert_int_equal(partial_prefix(&p), flushed.end);
	ok(partial_note(&p, PARTIAL_WRITTEN, &written, 1, e));
	partial_close(&p);
	ok(partial_open(&p, f->store, &d, sizeof(data), e));
	assert_int_equal(partial_prefix(&p), *boot ? written.end : flushed.end);
	ok(partial_note(&p, PARTIAL_FLUSHED, &more, 1, e));
	*p.boot = 0;	/* not to be told: never taken for the same start */
	ok(partial_note(&p, PARTIAL_WRITTEN, &written, 1, e));
	partial_close(&p);
	ok(partial_open(&p, f->store, &d, sizeof(data), e));
	assert_int_equal(partial_prefix(&p), more.end);
	ok(partial_publish(&p, &d, e));
}

static void test_partial_lies(void **state)
{
	struct fixture *f = *state;
	struct partial p;
	struct digest d;
	struct partial_range have = { 0, 4096 };
	char path[700], key[PARTIAL_KEY_MAX];
	unsigned char junk[4096] = { 1 };

	digest_of(&d, DIGEST_SHA1, "x", 1);
	ok(partial_open(&p, f->store, &d, 8192, e));
	assert_true(!strncmp(p.key, "git-", 4));
	snprintf(key, sizeof(key), "%s", p.key);
	ok(fdio_pwrite(p.fd, junk, 4096, 0, "p", e));
	ok(partial_note(&p, PARTIAL_FLUSHED, &have, 1, e));
	partial_close(&p);
	/* The file lost its tail: only what is there counts. */
	snprintf(path, sizeof(path), "%s/partial/%s", f->dir, key);
	assert_int_equal(truncate(path, 1000), 0);
	ok(partial_open(&p, f->store, &d, 8192, e));
	assert_int_equal(partial_prefix(&p), 1000);
	partial_close(&p);
	/* The note is torn: nothing counts. */
	snprintf(path, sizeof(path), "%s/partial/%s.have", f->dir, key);
	assert_int_equal(truncate(path, 50), 0);
	ok(partial_open(&p, f->store, &d, 8192, e));
	assert_int_equal(partial_prefix(&p), 0);
	fails(ERR_MISMATCH, "ends at byte", partial_publish(&p, &d, e));
	have = (struct partial_range){ 4096, 9000 };
	fails(ERR_FAILED, "out of order", partial_note(&p, PARTIAL_FLUSHED, &have, 1, e));
	ok(partial_quarantine(&p, &d, "wrong bytes", 5, e));
	assert_false(exists(f, "partial/x"));
	snprintf(path, sizeof(path), "partial/%s", key);
	assert_false(exists(f, path));
}

static int count_partial(void *arg, const struct partial_info *info)
{
	(void)info;
	++*(int *)arg;
	return 0;
}

static void test_partial_expire(void **state)
{
	struct fixture *f = *state;
	static unsigned char data[MIB];
	struct partial a, b;
	struct digest d1, d2;
	uint64_t freed;
	int n = 0;

	digest_of(&d1, DIGEST_SHA256, "1", 1);
	digest_of(&d2, DIGEST_SHA256, "2", 1);
	ok(partial_open(&a, f->store, &d1, MIB, e));
	ok(partial_open(&b, f->store, &d2, MIB, e));
	assert_int_equal(pwrite(b.fd, data, MIB, 0), MIB);
	partial_close(&b);
	ok(partial_each(f->store, count_partial, &n, e));
	assert_int_equal(n, 2);
	ok(partial_expire(f->store, INT64_MAX, &freed, e));
	assert_true(freed >= MIB);
	n = 0;
	ok(partial_each(f->store, count_partial, &n, e));
	assert_int_equal(n, 1);	/* the open one stays */
	partial_close(&a);
}

/* Whoever was killed has given nothing back. */
static void test_partial_cut(void **state)
{
	struct fixture *f = *state;
	static unsigned char data[MIB];
	const struct timespec past[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct stat before, after;
	struct partial p, q;
	struct digest d1, d2;
	uint64_t freed;
	int fd;

	digest_of(&d1, DIGEST_SHA256, "1", 1);
	digest_of(&d2, DIGEST_SHA256, "2", 1);
	ok(partial_open(&p, f->store, &d1, 8 * MIB, e));
	ok(partial_open(&q, f->store, &d2, 8 * MIB, e));
	assert_int_equal(pwrite(p.fd, data, MIB, 0), MIB);
	assert_int_equal(futimens(p.fd, past), 0);
	fd = openat(store_partial_fd(f->store), p.key, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &before), 0);
	if (before.st_blocks * 512 < 8 * (int64_t)MIB) {	/* the file system here reserves nothing */
		close(fd);
		partial_close(&p);
		partial_close(&q);
		skip();
	}
	close(p.direct_fd);
	close(p.note_fd);
	close(p.fd);
	ok(partial_expire(f->store, 1000, &freed, e));
	assert_int_equal(fstat(fd, &after), 0);
	assert_true(after.st_blocks * 512 < 2 * (int64_t)MIB && after.st_size == MIB);
	assert_int_equal(after.st_mtime, 1000);	/* it goes on to age */
	assert_true(partial_reserved(f->store, &d2, 8 * MIB) == 8 * MIB);	/* of one that is open nothing is taken */
	close(fd);
	partial_close(&q);
}

static void test_partial_no_room(void **state)
{
	struct fixture *f = *state;
	struct partial p;
	struct digest d;

	digest_of(&d, DIGEST_SHA256, "big", 3);
	struct err why = ERR_NONE;
	int rc = partial_open(&p, f->store, &d, 1ull << 43, &why);
	if (rc == 0) {	/* a file system that really has 8 TB free */
		ok(partial_drop(&p, e));
		skip();
	}
	assert_int_equal(rc, ERR_NOSPACE);
	assert_non_null(strstr(why.msg, "free"));
}

/* Killed anywhere between opening and dropping: the blob is whole or not there, and a later open goes on. */
static void test_killed(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 64 * 1024 };
	static unsigned char data[SIZE];
	struct digest d;

	fill(data, SIZE);
	digest_of(&d, DIGEST_SHA256, data, SIZE);
	for (int step = 0; step < 40; step++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct partial p;

			if (partial_open(&p, f->store, &d, SIZE, NULL) < 0)
				_exit(1);
			for (uint64_t at = partial_prefix(&p), k = 0; at < SIZE; at += 4096, k++) {
				struct partial_range have = { 0, at + 4096 };

				if (fdio_pwrite(p.fd, data + at, 4096, at, "p", NULL) < 0 || partial_note(&p, PARTIAL_FLUSHED, &have, 1, NULL) < 0)
					_exit(1);
				if (k == (uint64_t)(step % 3))
					kill(getpid(), 9);
			}
			if (partial_trim(&p, NULL) < 0 || store_publish(f->store, p.fd, &d, SIZE, NULL) < 0)
				_exit(1);
			if (step % 2)
				kill(getpid(), 9);	/* published, not yet dropped */
			_exit(partial_drop(&p, NULL) < 0);
		}
		int status;
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		int has = store_has(f->store, &d, SIZE, NULL);
		if (has) {
			ok(store_rehash(f->store, &d, NULL, e));
			if (WIFSIGNALED(status))
				continue;
			ok(store_remove(f->store, &d, e));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_publish),	   with_fixture(test_size_is_checked), with_fixture(test_damage),	 with_fixture(test_batch_and_walk),
		with_fixture(test_two_daemons),	   with_fixture(test_partial_resume),  with_fixture(test_partial_after_a_power_cut), with_fixture(test_partial_lies),	 with_fixture(test_partial_expire),
		with_fixture(test_partial_cut), with_fixture(test_partial_no_room), with_fixture(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
