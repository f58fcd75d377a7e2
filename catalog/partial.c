/* partial.c - see partial.h. */
#include "catalog/partial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"

#define NOTE_SUFFIX ".have"
#define NOTE_MAGIC  "partial1"
#define BOOT_ID	    "/proc/sys/kernel/random/boot_id"

/*
 * <key>.have is two of these: what was flushed, and behind it what was written, which is as much or more. Each is whole or worthless: the digest
 * over what precedes it, and in the second over the machine's start too, decides. Host byte order: it never leaves the machine.
 */
struct note {
	char magic[8];
	uint64_t size_bytes, n;
	struct partial_range have[PARTIAL_RANGES_MAX];
	unsigned char sha256[32];
};

static void note_name(char out[PARTIAL_KEY_MAX + sizeof(NOTE_SUFFIX)], const char *key)
{
	snprintf(out, PARTIAL_KEY_MAX + sizeof(NOTE_SUFFIX), "%s" NOTE_SUFFIX, key);
}

static void note_seal(const struct note *note, const char *boot, struct digest *out)
{
	own(digest) struct digest_ctx c = { 0 };

	digest_begin(&c, DIGEST_SHA256);
	digest_update(&c, boot, strlen(boot));
	digest_update(&c, note, offsetof(struct note, sha256));
	digest_end(&c, out);
}

/* Ascending, disjoint, not empty, within the size. */
static bool ranges_valid(const struct partial_range *have, size_t n, uint64_t size_bytes)
{
	uint64_t at = 0;

	if (n > PARTIAL_RANGES_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (have[i].begin < at || have[i].end <= have[i].begin || have[i].end > size_bytes)
			return false;
		at = have[i].end;
	}
	return true;
}

/* Anything odd about a note means that nothing is vouched for. */
static bool note_holds(const struct partial *p, const struct note *note, const char *boot)
{
	struct digest seal;

	note_seal(note, boot, &seal);
	return memcmp(note->magic, NOTE_MAGIC, 8) == 0 && memcmp(note->sha256, seal.bytes, 32) == 0 && note->size_bytes == p->size_bytes && note->n <= PARTIAL_RANGES_MAX &&
	       ranges_valid(note->have, (size_t)note->n, p->size_bytes);
}

/* What the notes vouch for, cut to what the file has. */
static void read_notes(struct partial *p, uint64_t file_bytes)
{
	struct note notes[2] = { 0 }, *note;

	p->n_have = 0;
	if (fdio_pread(p->note_fd, notes, sizeof(notes), 0, p->key, NULL) < (ssize_t)sizeof(notes[0]))
		return;
	note = *p->boot && note_holds(p, &notes[1], p->boot) ? &notes[1] : &notes[0];
	if (note == &notes[0] && !note_holds(p, note, ""))
		return;
	for (size_t i = 0; i < note->n && note->have[i].begin < file_bytes; i++) {
		p->have[p->n_have] = note->have[i];
		if (note->have[i].end > file_bytes)
			p->have[p->n_have].end = file_bytes;
		p->n_have++;
	}
}

/* Where it can't be told, writing counts for nothing and only what was flushed does. */
static void read_boot(struct partial *p)
{
	own(fd) int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : fdio_read(fd, p->boot, sizeof(p->boot) - 1, BOOT_ID, NULL);

	p->boot[n > 0 ? n : 0] = 0;
}

static int no_room(struct partial *p, uint64_t free_bytes, struct err *e)
{
	char need[STR_SIZE_MAX], left[STR_SIZE_MAX];

	str_format_size(need, p->size_bytes);
	str_format_size(left, free_bytes);
	return err_set(e, ERR_NOSPACE, "no room for a file of %s: %s are free in %s", need, left, store_data_dir(p->store));
}

static int reserve(struct partial *p, struct err *e)
{
	uint64_t free_bytes = 0, have;
	struct stat st;

	if (p->size_bytes == 0)
		return 0;
	/* Asked first: a fallocate() that can't succeed takes what is left of the disk for a moment, and others would fail for it. */
	if (fstat(p->fd, &st) == 0 && store_free_bytes(p->store, &free_bytes, NULL) == 0) {
		have = (uint64_t)st.st_blocks * 512;
		if (p->size_bytes > have && p->size_bytes - have > free_bytes)
			return no_room(p, free_bytes, e);
	}
	/* FALLOC_FL_KEEP_SIZE: the length goes on telling how far the data goes. */
	if (fallocate(p->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)p->size_bytes) == 0 || errno == EOPNOTSUPP)
		return 0;
	if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
		return err_errno(e, "reserve space for %s", p->key);
	if (errno == EFBIG)
		return err_errno(e, "%s is larger than the file system allows", p->key);
	return no_room(p, free_bytes, e);
}

static int make_key(struct partial *p, const struct digest *id, struct err *e)
{
	char hex[DIGEST_HEX_MAX];

	if (id->algo == DIGEST_NONE)
		return err_set(e, ERR_FAILED, "a partial file needs a digest to be known by");
	digest_hex(hex, id);
	snprintf(p->key, sizeof(p->key), "%s%s-%llu", id->algo == DIGEST_SHA1 ? "git-" : "", hex, (unsigned long long)p->size_bytes);
	return 0;
}

uint64_t partial_reserved(struct store *st, const struct digest *id, uint64_t size_bytes)
{
	struct partial p = { .size_bytes = size_bytes };
	struct stat on_disk;
	uint64_t bytes;

	if (make_key(&p, id, NULL) < 0 || fstatat(store_partial_fd(st), p.key, &on_disk, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	bytes = (uint64_t)on_disk.st_blocks * 512;
	return bytes < size_bytes ? bytes : size_bytes;
}

/*
 * Open and lock. Between open() and flock() another thread may have finished and removed the file: then the lock is on a file without a
 * name, and we begin again.
 */
static int open_locked(struct partial *p, struct err *e)
{
	int dir = store_partial_fd(p->store);
	struct stat mine, named;

	for (;;) {
		own(fd) int fd = openat(dir, p->key, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (fd < 0)
			return err_errno(e, "open partial/%s", p->key);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return err_set(e, ERR_CONFLICT, "partial/%.20s… is being downloaded already", p->key);
		if (fstat(fd, &mine) < 0)
			return err_errno(e, "stat partial/%s", p->key);
		if (fstatat(dir, p->key, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == mine.st_ino) {
			p->fd = take_fd(&fd);
			return 0;
		}
	}
}

static int open_rest(struct partial *p, struct err *e)
{
	char name[PARTIAL_KEY_MAX + sizeof(NOTE_SUFFIX)], proc[64];
	uint64_t file_bytes = 0;
	int rc;

	note_name(name, p->key);
	p->note_fd = openat(store_partial_fd(p->store), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (p->note_fd < 0)
		return err_errno(e, "open partial/%s", name);
	if ((rc = fdio_size(p->fd, &file_bytes, p->key, e)) < 0 || (rc = reserve(p, e)) < 0)
		return rc;
	read_boot(p);
	read_notes(p, file_bytes);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", p->fd);
	p->direct_fd = open(proc, O_RDWR | O_DIRECT | O_CLOEXEC);	/* -1 where there is none: the caller writes through fd */
	return 0;
}

int partial_open(struct partial *p, struct store *st, const struct digest *id, uint64_t size_bytes, struct err *e)
{
	int rc;

	*p = (struct partial){ .store = st, .fd = -1, .direct_fd = -1, .note_fd = -1, .size_bytes = size_bytes };
	if ((rc = make_key(p, id, e)) < 0 || (rc = open_locked(p, e)) < 0 || (rc = open_rest(p, e)) < 0) {
		partial_close(p);
		return rc;
	}
	return 0;
}

static void release(struct partial *p)
{
	own_fd(&p->direct_fd);
	own_fd(&p->note_fd);
	own_fd(&p->fd);
	*p = (struct partial){ .fd = -1, .direct_fd = -1, .note_fd = -1 };
}

/* The room past its end was for whoever wrote: nobody may come back to it for long. */
void partial_close(struct partial *p)
{
	uint64_t size;

	if (!p->store)
		return;
	if (p->fd >= 0 && fdio_size(p->fd, &size, p->key, NULL) == 0 && ftruncate(p->fd, (off_t)size) < 0)
		size = 0;	/* it stays taken, then */
	release(p);
}

uint64_t partial_prefix(const struct partial *p)
{
	uint64_t at = 0;

	for (size_t i = 0; i < p->n_have && p->have[i].begin == at; i++)
		at = p->have[i].end;
	return at;
}

static void note_make(struct note *note, const struct partial *p, const char *boot, const struct partial_range *have, size_t n)
{
	struct digest seal;

	*note = (struct note){ .magic = NOTE_MAGIC, .size_bytes = p->size_bytes, .n = n };
	memcpy(note->have, have, n * sizeof(*have));
	note_seal(note, boot, &seal);
	memcpy(note->sha256, seal.bytes, 32);
}

int partial_note(struct partial *p, enum partial_care care, const struct partial_range *have, size_t n, struct err *e)
{
	struct note notes[2];
	size_t first = care == PARTIAL_FLUSHED ? 0 : 1;
	int rc;

	if (!ranges_valid(have, n, p->size_bytes))
		return err_set(e, ERR_FAILED, "partial/%s: ranges to note are out of order or too many", p->key);
	if (care == PARTIAL_FLUSHED && fdatasync(p->fd) < 0)
		return err_errno(e, "flush partial/%s", p->key);
	note_make(&notes[0], p, "", have, n);
	note_make(&notes[1], p, p->boot, have, n);
	/* Not flushed: losing the note loses progress, never truth. */
	if ((rc = fdio_pwrite(p->note_fd, &notes[first], (2 - first) * sizeof(notes[0]), first * sizeof(notes[0]), p->key, e)) < 0)
		return rc;
	memmove(p->have, have, n * sizeof(*have));
	p->n_have = n;
	return 0;
}

int partial_restart(struct partial *p, struct err *e)
{
	if (ftruncate(p->note_fd, 0) < 0 || ftruncate(p->fd, 0) < 0)
		return err_errno(e, "empty partial/%s", p->key);
	p->n_have = 0;
	return reserve(p, e);
}

int partial_trim(struct partial *p, struct err *e)
{
	uint64_t size = 0;
	int rc = fdio_size(p->fd, &size, p->key, e);

	if (rc < 0)
		return rc;
	if (size < p->size_bytes)
		return err_set(e, ERR_MISMATCH, "partial/%s ends at byte %llu, %llu were expected", p->key, (unsigned long long)size,
			       (unsigned long long)p->size_bytes);
	/* Also frees blocks reserved past the end. */
	if (ftruncate(p->fd, (off_t)p->size_bytes) < 0)
		return err_errno(e, "cut partial/%s to its size", p->key);
	return 0;
}

int partial_drop(struct partial *p, struct err *e)
{
	char name[PARTIAL_KEY_MAX + sizeof(NOTE_SUFFIX)];
	int dir = store_partial_fd(p->store);

	note_name(name, p->key);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "remove partial/%s", name);
	if (unlinkat(dir, p->key, 0) < 0 && errno != ENOENT)
		return err_errno(e, "remove partial/%s", p->key);
	release(p);	/* its bytes may have another name by now */
	return 0;
}

int partial_publish(struct partial *p, const struct digest *sha256, struct err *e)
{
	int rc;

	if ((rc = partial_trim(p, e)) < 0 || (rc = store_publish(p->store, p->fd, sha256, p->size_bytes, e)) < 0)
		return rc;
	return partial_drop(p, e);
}

int partial_quarantine(struct partial *p, const struct digest *id, const char *reason, int64_t now, struct err *e)
{
	int rc = store_quarantine(p->store, p->fd, id, reason, now, NULL, e);

	return rc < 0 ? rc : partial_drop(p, e);
}

/* --- all of them --- */

static inline void own_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

int partial_each(struct store *st, int (*each)(void *arg, const struct partial_info *info), void *arg, struct err *e)
{
	own(fd) int fd = fdio_open_dir(store_partial_fd(st), ".", e);
	struct dirent *entry;
	struct stat s;
	int rc = 0;

	if (fd < 0)
		return fd;
	own(dir) DIR *d = fdopendir(fd);
	if (!d)
		return err_errno(e, "list %s/partial", store_data_dir(st));
	fd = -1;
	while (rc == 0 && (errno = 0, entry = readdir(d))) {
		struct partial_info info = { 0 };

		if (entry->d_name[0] == '.' || str_ends(entry->d_name, NOTE_SUFFIX) || strlen(entry->d_name) >= sizeof(info.key))
			continue;
		if (fstatat(dirfd(d), entry->d_name, &s, AT_SYMLINK_NOFOLLOW) < 0)
			continue;	/* finished meanwhile */
		snprintf(info.key, sizeof(info.key), "%s", entry->d_name);
		info.file_bytes = (uint64_t)s.st_blocks * 512;
		info.changed_at = s.st_mtime;
		rc = each(arg, &info);
	}
	if (rc == 0 && errno)
		return err_errno(e, "list %s/partial", store_data_dir(st));
	return rc;
}

struct expiry {
	struct store *st;
	int64_t before;
	uint64_t freed_bytes;
};

/* Somebody's who was killed. It is no older or younger for it. */
static void cut(int fd)
{
	struct stat s;

	if (fstat(fd, &s) == 0 && s.st_blocks * 512 > s.st_size && ftruncate(fd, s.st_size) == 0)
		futimens(fd, (struct timespec[]){ s.st_atim, s.st_mtim });
}

static int expire_one(void *arg, const struct partial_info *info)
{
	struct expiry *x = arg;
	int dir = store_partial_fd(x->st);
	char name[PARTIAL_KEY_MAX + sizeof(NOTE_SUFFIX)];

	own(fd) int fd = openat(dir, info->key, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;	/* gone, or somebody is at it */
	if (info->changed_at >= x->before) {
		cut(fd);
		return 0;
	}
	note_name(name, info->key);
	unlinkat(dir, name, 0);
	if (unlinkat(dir, info->key, 0) == 0)
		x->freed_bytes += info->file_bytes;
	return 0;
}

int partial_expire(struct store *st, int64_t before, uint64_t *freed_bytes, struct err *e)
{
	struct expiry x = { .st = st, .before = before };
	int rc = partial_each(st, expire_one, &x, e);

	if (freed_bytes)
		*freed_bytes = x.freed_bytes;
	return rc;
}
