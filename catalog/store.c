/* store.c - see store.h. */
#include "catalog/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"

#define DIR_MODE	   0750
#define BLOB_MODE	   0440
#define QUARANTINE_TRIES   1000
#define SYNCFS_FROM_FILES  16	/* from this many files on, one syncfs() is cheaper than an fdatasync() each */

struct store {
	char *data_dir;
	int lock_fd, blobs_fd, partial_fd, quarantine_fd;
};

/* --- opening --- */

static int open_part(struct store *st, const char *name, struct err *e)
{
	char path[STORE_PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", st->data_dir, name) >= (int)sizeof(path))
		return err_set(e, ERR_USAGE, "the data directory's name is too long: %.80s…", st->data_dir);
	if (fdio_mkdirs(path, DIR_MODE, e) < 0)
		return e ? (int)e->code : ERR_FAILED;
	return fdio_open_dir(AT_FDCWD, path, e);
}

/* The directories above were perhaps made just now: their names must survive a power cut before anything in them counts. */
static int flush_dir(const char *path, struct err *e)
{
	own(fd) int fd = fdio_open_dir(AT_FDCWD, path, e);

	if (fd < 0)
		return fd;
	if (fsync(fd) < 0)
		return err_errno(e, "flush %s", path);
	return 0;
}

static int flush_parents(struct store *st, struct err *e)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/blobs", st->data_dir);
	if (flush_dir(path, e) < 0)
		return ERR_FAILED;
	return flush_dir(st->data_dir, e);
}

static int lock(struct store *st, struct err *e)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/store.lock", st->data_dir);
	st->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (st->lock_fd < 0)
		return err_errno(e, "open %s", path);
	if (flock(st->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, ERR_CONFLICT, "another registryd uses %s (store.lock is held)", st->data_dir);
	return err_errno(e, "lock %s", path);
}

static int open_all(struct store *st, struct err *e)
{
	int rc;

	if ((rc = fdio_mkdirs(st->data_dir, DIR_MODE, e)) < 0 || (rc = lock(st, e)) < 0)
		return rc;
	if ((rc = st->blobs_fd = open_part(st, "blobs/sha256", e)) < 0)
		return rc;
	if ((rc = st->partial_fd = open_part(st, "partial", e)) < 0)
		return rc;
	if ((rc = st->quarantine_fd = open_part(st, "quarantine", e)) < 0)
		return rc;
	return flush_parents(st, e);
}

int store_open(struct store **out, const char *data_dir, struct err *e)
{
	struct store *st = mem_zalloc(sizeof(*st));
	int rc;

	st->data_dir = mem_strdup(data_dir);
	st->lock_fd = st->blobs_fd = st->partial_fd = st->quarantine_fd = -1;
	rc = open_all(st, e);
	if (rc < 0) {
		store_close(st);
		return rc;
	}
	*out = st;
	return 0;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	own_fd(&st->blobs_fd);
	own_fd(&st->partial_fd);
	own_fd(&st->quarantine_fd);
	own_fd(&st->lock_fd);	/* last: the lock goes with it */
	free(st->data_dir);
	free(st);
}

const char *store_data_dir(const struct store *st)
{
	return st->data_dir;
}

int store_partial_fd(const struct store *st)
{
	return st->partial_fd;
}

/* --- reading --- */

static int blob_name(char name[DIGEST_HEX_MAX], const struct digest *sha256, struct err *e)
{
	if (sha256->algo != DIGEST_SHA256)
		return err_set(e, ERR_FAILED, "a blob is named by a SHA-256, not by %s", digest_name(sha256->algo));
	digest_hex(name, sha256);
	return 0;
}

int store_has(struct store *st, const struct digest *sha256, uint64_t size_bytes, struct err *e)
{
	char name[DIGEST_HEX_MAX];
	struct stat s;
	int rc = blob_name(name, sha256, e);

	if (rc < 0)
		return rc;
	if (fstatat(st->blobs_fd, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "stat blob %.12s", name);
	if (!S_ISREG(s.st_mode))
		return err_set(e, ERR_MISMATCH, "blobs/sha256/%s is not a regular file", name);
	if ((uint64_t)s.st_size != size_bytes)
		return err_set(e, ERR_MISMATCH, "blob %s has %lld bytes, %llu were expected: it is damaged, or the listing is wrong", name, (long long)s.st_size,
			       (unsigned long long)size_bytes);
	return 1;
}

int store_open_blob(struct store *st, const struct digest *sha256, uint64_t *size_bytes, struct err *e)
{
	char name[DIGEST_HEX_MAX];
	int rc = blob_name(name, sha256, e);

	if (rc < 0)
		return rc;
	own(fd) int fd = openat(st->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "the store has no blob %s", name);
	if (fd < 0)
		return err_errno(e, "open blob %.12s", name);
	if (size_bytes && (rc = fdio_size(fd, size_bytes, name, e)) < 0)
		return rc;
	return take_fd(&fd);
}

/* --- publishing --- */

int store_temp(struct store *st, struct err *e)
{
	int fd = openat(st->partial_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "create a temporary file in %s/partial", st->data_dir);
	return fd;
}

static int open_temp(void *st, struct err *e)
{
	return store_temp(st, e);
}

void store_spool(struct store *st, struct spool *s, uint64_t max)
{
	spool_init(s, open_temp, st, max);
}

/* Gives an open file (unnamed or not) the name `name` below dirfd, as a second hard link. -1 and errno when it can't. */
static int link_fd(int fd, int dirfd, const char *name)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, dirfd, name, AT_SYMLINK_FOLLOW);
}

/* A name may only be given to bytes of the right number; what they hash to, the caller has seen to. */
static int check_size(const struct store_item *item, const char *name, struct err *e)
{
	uint64_t size = 0;
	int rc = fdio_size(item->fd, &size, name, e);

	if (rc < 0)
		return rc;
	if (size != item->size_bytes)
		return err_set(e, ERR_MISMATCH, "content %.12s… has %llu bytes, %llu were expected", name, (unsigned long long)size,
			       (unsigned long long)item->size_bytes);
	return 0;
}

/* Name the item. A blob that is there already is left as it is, unless its size shows that it is damaged: then it makes way. */
static int link_item(struct store *st, const struct store_item *item, struct err *e)
{
	char name[DIGEST_HEX_MAX];
	struct stat s;
	int rc;

	if ((rc = blob_name(name, &item->sha256, e)) < 0 || (rc = check_size(item, name, e)) < 0)
		return rc;
	if (fchmod(item->fd, BLOB_MODE) < 0)
		return err_errno(e, "make blob %.12s read-only", name);
	if (link_fd(item->fd, st->blobs_fd, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_errno(e, "link blob %.12s", name);
	if (fstatat(st->blobs_fd, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "stat blob %.12s", name);
	if (S_ISREG(s.st_mode) && (uint64_t)s.st_size == item->size_bytes)
		return 0;
	if (store_quarantine_blob(st, &item->sha256, "replaced: its size does not fit its name", time(NULL), e) < 0)
		return err_wrap(e, "make way for blob %.12s", name);
	if (link_fd(item->fd, st->blobs_fd, name) < 0 && errno != EEXIST)
		return err_errno(e, "link blob %.12s", name);
	return 0;
}

int store_publish(struct store *st, int fd, const struct digest *sha256, uint64_t size_bytes, struct err *e)
{
	struct store_item item = { .fd = fd, .size_bytes = size_bytes, .sha256 = *sha256 };

	return store_publish_batch(st, &item, 1, e);
}

/*
 * One syncfs() writes everything out and waits once, where fsync() would wait once a file. It reports errors of the whole file system since
 * the descriptor was opened (Linux 5.8), which errs on the safe side.
 */
static int flush_items(struct store *st, const struct store_item *items, size_t n, struct err *e)
{
	if (n >= SYNCFS_FROM_FILES) {
		if (syncfs(items[0].fd) < 0)
			return err_errno(e, "flush %zu files", n);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (fsync(items[i].fd) < 0)
			return err_errno(e, "flush content in %s", st->data_dir);
	return 0;
}

int store_publish_batch(struct store *st, const struct store_item *items, size_t n, struct err *e)
{
	int rc;

	if (n == 0)
		return 0;
	if (n > STORE_BATCH_MAX)
		return err_set(e, ERR_LIMIT, "%zu files in one batch: at most %d", n, STORE_BATCH_MAX);
	if ((rc = flush_items(st, items, n, e)) < 0)
		return rc;
	/* Link only after the data has been flushed: a name must never point at bytes that may vanish. */
	for (size_t i = 0; i < n; i++)
		if ((rc = link_item(st, &items[i], e)) < 0)
			return rc;
	return store_flush(st, e);	/* the names must survive a power cut too */
}

int store_flush(struct store *st, struct err *e)
{
	if (fsync(st->blobs_fd) < 0)
		return err_errno(e, "flush %s/blobs/sha256", st->data_dir);
	return 0;
}

static inline void own_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* --- quarantine --- */

/* Is content of this digest and size there already? An upstream that is wrong is wrong each time it is asked. */
static int find_quarantined(struct store *st, const struct digest *sha256, uint64_t size_bytes, char *name, size_t n, struct err *e)
{
	char hex[DIGEST_HEX_MAX], part[24];
	struct dirent *entry;
	struct stat s;
	int fd;

	*name = 0;
	if (!sha256 || sha256->algo == DIGEST_NONE)
		return 0;
	if ((fd = fdio_open_dir(st->quarantine_fd, ".", e)) < 0)
		return e->code;
	own(dir) DIR *d = fdopendir(fd);	/* has fd now */
	if (!d) {
		close(fd);
		return err_errno(e, "list quarantine/");
	}
	digest_hex(hex, sha256);
	snprintf(part, sizeof(part), "-%.16s-", hex);
	while (!*name && (entry = readdir(d)))
		if (strstr(entry->d_name, part) && !str_ends(entry->d_name, ".reason") && fstatat(st->quarantine_fd, entry->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (uint64_t)s.st_size == size_bytes)
			snprintf(name, n, "%s", entry->d_name);
	return 0;
}

static void quarantine_base(char *out, size_t n, const struct digest *sha256, int64_t now, int i)
{
	char hex[DIGEST_HEX_MAX] = "unknown";

	if (sha256 && sha256->algo != DIGEST_NONE)
		digest_hex(hex, sha256);
	snprintf(out, n, "%lld-%.16s-%d", (long long)now, hex, i);
}

static int write_reason(struct store *st, const char *base, const char *reason, struct err *e)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.reason", base);
	int fd = openat(st->quarantine_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	own(fd) int guard = fd;
	if (fd < 0)
		return err_errno(e, "write quarantine/%s", name);
	int rc = fdio_write(guard, reason, strlen(reason), name, e);
	return rc < 0 ? rc : fdio_write(guard, "\n", 1, name, e);
}

int store_quarantine(struct store *st, int fd, const struct digest *sha256, const char *reason, int64_t now, char *out_name, struct err *e)
{
	char base[256];
	struct stat s;
	int i = 0, rc;

	if (fstat(fd, &s) < 0)
		return err_errno(e, "keep the content in quarantine/");
	if ((rc = find_quarantined(st, sha256, (uint64_t)s.st_size, base, sizeof(base), e)) < 0)
		return rc;
	if (*base) {
		if (out_name)
			snprintf(out_name, STORE_PATH_MAX, "quarantine/%s", base);
		return 0;
	}
	for (; i < QUARANTINE_TRIES; i++) {
		quarantine_base(base, sizeof(base), sha256, now, i);
		if (link_fd(fd, st->quarantine_fd, base) == 0)
			break;
		if (errno != EEXIST)
			return err_errno(e, "keep the content in quarantine/");
	}
	if (i == QUARANTINE_TRIES)
		return err_set(e, ERR_LIMIT, "quarantine/ has %d files of this second and content already", QUARANTINE_TRIES);
	if (out_name)
		snprintf(out_name, STORE_PATH_MAX, "quarantine/%s", base);
	return write_reason(st, base, reason, e);
}

int store_quarantine_blob(struct store *st, const struct digest *sha256, const char *reason, int64_t now, struct err *e)
{
	char name[DIGEST_HEX_MAX], base[96];
	int rc = blob_name(name, sha256, e);

	if (rc < 0)
		return rc;
	for (int i = 0; i < QUARANTINE_TRIES; i++) {
		quarantine_base(base, sizeof(base), sha256, now, i);
		/* link and unlink instead of rename: rename would overwrite an earlier piece of evidence. */
		if (linkat(st->blobs_fd, name, st->quarantine_fd, base, 0) == 0) {
			if (unlinkat(st->blobs_fd, name, 0) < 0)
				return err_errno(e, "remove damaged blob %.12s", name);
			if ((rc = write_reason(st, base, reason, e)) < 0)
				return rc;
			return store_flush(st, e);
		}
		if (errno == ENOENT)
			return err_set(e, ERR_NOT_FOUND, "the store has no blob %s", name);
		if (errno != EEXIST)
			return err_errno(e, "move blob %.12s to quarantine/", name);
	}
	return err_set(e, ERR_LIMIT, "quarantine/ has %d files of this second and content already", QUARANTINE_TRIES);
}

/* --- the whole store --- */

int store_free_bytes(struct store *st, uint64_t *bytes, struct err *e)
{
	struct statvfs s;

	if (fstatvfs(st->blobs_fd, &s) < 0)
		return err_errno(e, "ask how much is free in %s", st->data_dir);
	*bytes = (uint64_t)s.f_bavail * (uint64_t)s.f_frsize;
	return 0;
}

static int each_entry(struct store *st, const char *name, int (*each)(void *, const struct digest *, uint64_t), void (*foreign)(void *, const char *),
		      void *arg, struct err *e)
{
	struct digest d;
	struct stat s;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	if (fstatat(st->blobs_fd, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "stat blobs/sha256/%.80s", name);	/* ENOENT: removed meanwhile */
	if (digest_parse(&d, DIGEST_SHA256, name, NULL) < 0 || !S_ISREG(s.st_mode)) {
		if (foreign)
			foreign(arg, name);
		return 0;
	}
	return each(arg, &d, (uint64_t)s.st_size);
}

int store_each(struct store *st, int (*each)(void *arg, const struct digest *sha256, uint64_t size_bytes), void (*foreign)(void *arg, const char *name),
	       void *arg, struct err *e)
{
	own(fd) int fd = fdio_open_dir(st->blobs_fd, ".", e);	/* its own position, not that of blobs_fd */
	struct dirent *entry;
	int rc = 0;

	if (fd < 0)
		return fd;
	own(dir) DIR *d = fdopendir(fd);
	if (!d)
		return err_errno(e, "list %s/blobs/sha256", st->data_dir);
	fd = -1;
	while (rc == 0 && (errno = 0, entry = readdir(d)))
		rc = each_entry(st, entry->d_name, each, foreign, arg, e);
	if (rc == 0 && errno)
		return err_errno(e, "list %s/blobs/sha256", st->data_dir);
	return rc;
}

int store_remove(struct store *st, const struct digest *sha256, struct err *e)
{
	char name[DIGEST_HEX_MAX];
	int rc = blob_name(name, sha256, e);

	if (rc < 0)
		return rc;
	if (unlinkat(st->blobs_fd, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "remove blob %.12s", name);
	return 0;
}

int store_rehash(struct store *st, const struct digest *sha256, uint64_t *size_bytes, struct err *e)
{
	char name[DIGEST_HEX_MAX], is[DIGEST_HEX_MAX];
	struct digest got;
	int rc;

	own(fd) int fd = store_open_blob(st, sha256, NULL, e);
	if (fd < 0)
		return fd;
	digest_hex(name, sha256);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	rc = digest_of_fd(&got, DIGEST_SHA256, fd, size_bytes, name, e);
	if (rc < 0)
		return rc;
	if (!digest_equal(&got, sha256)) {
		digest_hex(is, &got);
		return err_set(e, ERR_MISMATCH, "blob %s is damaged: its bytes hash to %s", name, is);
	}
	return 0;
}
