/* fdio.c - see fdio.h. */
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/str.h"
#include "base/vec.h"

#define PATH_MAX_BYTES	    1024
#define COMPONENT_MAX_BYTES 255

ssize_t fdio_read(int fd, void *p, size_t n, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, (char *)p + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(e, "read %s", what);
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

ssize_t fdio_pread(int fd, void *p, size_t n, uint64_t offset, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pread(fd, (char *)p + done, n - done, (off_t)(offset + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(e, "read %s", what);
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

int fdio_pread_exact(int fd, void *p, size_t n, uint64_t offset, const char *what, struct err *e)
{
	ssize_t r = fdio_pread(fd, p, n, offset, what, e);

	if (r < 0)
		return (int)r;
	if ((size_t)r < n)
		return err_set(e, ERR_MISMATCH, "%s ends at byte %llu, %zu bytes were expected at %llu", what, (unsigned long long)(offset + (size_t)r), n,
			       (unsigned long long)offset);
	return 0;
}

int fdio_write(int fd, const void *p, size_t n, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(fd, (const char *)p + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(e, "write %s", what);
		done += (size_t)r;
	}
	return 0;
}

int fdio_pwrite(int fd, const void *p, size_t n, uint64_t offset, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pwrite(fd, (const char *)p + done, n - done, (off_t)(offset + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(e, "write %s", what);
		done += (size_t)r;
	}
	return 0;
}

int fdio_size(int fd, uint64_t *bytes, const char *what, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "stat %s", what);
	*bytes = (uint64_t)st.st_size;
	return 0;
}

int fdio_slurp_fd(int fd, const char *what, struct buf *b, struct err *e)
{
	char chunk[16384];
	ssize_t n;

	while ((n = fdio_read(fd, chunk, sizeof(chunk), what, e)) > 0)
		if (buf_add(b, chunk, (size_t)n) < 0)
			return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes, the most that is read of it", what, b->max);
	return (int)n;
}

/* Opened without waiting, as a pipe would for a writer. */
static bool is_file_or_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

int fdio_slurp(int dirfd, const char *path, struct buf *b, struct err *e)
{
	own(fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | (dirfd == AT_FDCWD ? 0 : O_NONBLOCK));

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "%s does not exist", path);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (dirfd != AT_FDCWD && !is_file_or_directory(fd))	/* nobody named it: it is what somebody's directory holds */
		return err_set(e, ERR_INPUT, "%s is no regular file", path);
	return fdio_slurp_fd(fd, path, b, e);
}

/* The directory part of path below dirfd, opened. */
static int open_parent(int dirfd, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX_BYTES];

	if (!slash)
		return fdio_open_dir(dirfd, ".", e);
	if ((size_t)(slash - path) >= sizeof(parent))
		return err_set(e, ERR_LIMIT, "path too long: %.80s", path);
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return fdio_open_dir(dirfd, slash == path ? "/" : parent, e);
}

int fdio_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	own(fd) int parent = open_parent(dirfd, path, e);
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char tmp[COMPONENT_MAX_BYTES + 32];
	int rc;

	if (parent < 0)
		return parent;
	snprintf(tmp, sizeof(tmp), ".%.200s.%d.tmp", name, (int)getpid());
	own(fd) int fd = openat(parent, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_errno(e, "create %s", path);
	rc = fdio_write(fd, p, n, path, e);
	if (rc == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || renameat(parent, tmp, parent, name) < 0 || fsync(parent) < 0))
		rc = err_errno(e, "write %s", path);
	if (rc < 0)
		unlinkat(parent, tmp, 0);
	return rc;
}

/* Also creates what a symbolic link leads to and is not there yet. */
static int write_into(const char *path, const void *p, size_t n, struct err *e)
{
	own(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

	return fd < 0 ? err_errno(e, "open %s", path) : fdio_write(fd, p, n, path, e);
}

/* /dev/stdout, or its file: what was written there before stays, and a socket, which can't be opened, is written to. */
static bool is_standard_output(const struct stat *st)
{
	struct stat out;

	return fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == st->st_dev && out.st_ino == st->st_ino;
}

int fdio_output(const char *path, const void *p, size_t n, struct err *e)
{
	own(mem) char *file = NULL;
	struct stat st;

	if (lstat(path, &st) < 0 && errno == ENOENT)
		return fdio_replace(AT_FDCWD, path, p, n, 0644, e);
	if (stat(path, &st) < 0)
		return write_into(path, p, n, e);
	if (is_standard_output(&st))
		return fdio_write(STDOUT_FILENO, p, n, path, e);
	if (!S_ISREG(st.st_mode))
		return write_into(path, p, n, e);
	file = realpath(path, NULL);
	if (!file)
		return err_errno(e, "open %s", path);
	return fdio_replace(AT_FDCWD, file, p, n, st.st_mode & 0777, e);
}

/* One directory after the other, no link followed: where openat2() is not to be had, in the runner's cage and before Linux 5.6. */
static int open_stepwise(int dirfd, const char *path, int flags)
{
	own(mem) char *copy = mem_strdup(path);
	char *rest = copy, *name;
	int at = dirfd;

	while ((name = strsep(&rest, "/"))) {
		bool leaves = !strcmp(name, "..") || (!*name && name == copy);
		int fd = leaves ? -1 : openat(at, *name ? name : ".", O_NOFOLLOW | O_CLOEXEC | (rest ? O_RDONLY | O_DIRECTORY : flags));
		int why = leaves ? EXDEV : errno == ENOTDIR && rest ? ELOOP : errno;	/* ENOTDIR: what a link gives when a directory is asked for */

		if (at != dirfd)
			close(at);
		errno = why;
		if (fd < 0)
			return -1;
		at = fd;
	}
	return at;
}

static int open_confined(int dirfd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 && errno == ENOSYS ? open_stepwise(dirfd, path, flags) : (int)fd;
}

int fdio_open_beneath(int dirfd, const char *path, int flags, struct err *e)
{
	bool reads = (flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH);
	int fd = open_confined(dirfd, path, flags | O_CLOEXEC | (reads ? O_NONBLOCK : 0));

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "%s does not exist", path);
	if (fd < 0 && (errno == EXDEV || errno == ELOOP))
		return err_set(e, ERR_INPUT, "%s leads out of its directory or through a symbolic link", path);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (reads && !is_file_or_directory(fd)) {
		close(fd);
		return err_set(e, ERR_INPUT, "%s is no regular file", path);
	}
	return fd;
}

int fdio_open_dir(int dirfd, const char *path, struct err *e)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "directory %s does not exist", path);
	if (fd < 0)
		return err_errno(e, "open directory %s", path);
	return fd;
}

int fdio_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX_BYTES];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return err_set(e, ERR_USAGE, "'%.80s' is not a usable directory name", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return err_errno(e, "create directory %s", part);
	}
	own(fd) int fd = fdio_open_dir(AT_FDCWD, path, e);
	return fd < 0 ? fd : 0;
}

static int check_component(const char *path, const char *at, size_t n, struct err *e)
{
	if (n == 0)
		return err_set(e, ERR_INPUT, "path '%.80s' has an empty component", path);
	if (n > COMPONENT_MAX_BYTES)
		return err_set(e, ERR_INPUT, "path '%.80s…' has a component longer than %d bytes", path, COMPONENT_MAX_BYTES);
	if ((n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
		return err_set(e, ERR_INPUT, "path '%.80s' has a '.' or '..' component", path);
	return 0;
}

int fdio_check_relative(const char *path, struct err *e)
{
	size_t n = strlen(path), start = 0;

	if (n == 0 || n > PATH_MAX_BYTES)
		return err_set(e, ERR_INPUT, "path of %zu bytes: it must have 1 to %d", n, PATH_MAX_BYTES);
	if (!str_utf8_valid(path, n))
		return err_set(e, ERR_INPUT, "a path is not valid UTF-8");
	if (path[0] == '/')
		return err_set(e, ERR_INPUT, "path '%.80s' is absolute", path);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f || path[i] == '\\')
			return err_set(e, ERR_INPUT, "a path has a control character or a backslash at byte %zu", i);
	for (size_t i = 0; i <= n; i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		if (check_component(path, path + start, i - start, e) < 0)
			return ERR_INPUT;
		start = i + 1;
	}
	return 0;
}
