/*
 * failnth.c - a preloaded library that makes the Nth call of a kind fail, or ends the process there, as a full disk, a dying disk or a
 * power switch would: REGISTRYD_FAULT="write:37:ENOSPC", "fsync:1:EIO", "link:2+:ENOSPC" (the second and all later ones),
 * "any:120:KILL". Kinds: write, fsync, link, create, any (all of these), malloc. REGISTRYD_FAULT_WHILE names a file: calls count only
 * while it is there, as on a file system that is read-only for a time. REGISTRYD_FAULT_COUNT names a file that gets
 * the number of calls seen of that kind when the process ends, so that a test knows how far N goes.
 *
 * Tests sweep N = 1, 2, 3 … until a run passes without a fault (sqlite.org/testing.html, "anomaly testing").
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KIND_WRITE = 1, KIND_FSYNC = 2, KIND_LINK = 4, KIND_CREATE = 8, KIND_ANY = 15, KIND_MALLOC = 16 };

static unsigned kinds;
static long nth;
static bool onwards;
static int error_number;	/* 0: SIGKILL */
static const char *only_while;
static atomic_long seen;

static const struct {
	const char *name;
	int value;
} kind_names[] = { { "write", KIND_WRITE }, { "fsync", KIND_FSYNC }, { "link", KIND_LINK }, { "create", KIND_CREATE }, { "any", KIND_ANY }, { "malloc", KIND_MALLOC } },
  error_names[] = { { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EDQUOT", EDQUOT }, { "EMFILE", EMFILE }, { "ENOMEM", ENOMEM },
		    { "EROFS", EROFS }, { "KILL", 0 } };

static void bad(const char *spec)
{
	fprintf(stderr, "failnth: can't read REGISTRYD_FAULT=%s\n", spec);
	_exit(127);
}

__attribute__((constructor)) static void begin(void)
{
	const char *spec = getenv("REGISTRYD_FAULT");
	char kind[16], error[16], plus = 0;
	bool known = false;

	if (!spec)
		return;
	if (sscanf(spec, "%15[a-z]:%ld%c%15s", kind, &nth, &plus, error) != 4)
		bad(spec);
	onwards = plus == '+';
	only_while = getenv("REGISTRYD_FAULT_WHILE");
	for (size_t i = 0; i < sizeof(error_names) / sizeof(*error_names); i++) {
		if (!strcmp(error_names[i].name, error + (onwards ? 1 : 0))) {
			error_number = error_names[i].value;
			known = true;
		}
	}
	for (size_t i = 0; i < sizeof(kind_names) / sizeof(*kind_names); i++)
		if (!strcmp(kind_names[i].name, kind))
			kinds = (unsigned)kind_names[i].value;
	if (!known || !kinds)
		bad(spec);
	/* Only the program under test counts, not what it starts. */
	unsetenv("REGISTRYD_FAULT");
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("REGISTRYD_FAULT_COUNT");
	FILE *f = kinds && path ? fopen(path, "w") : NULL;

	kinds = 0;
	if (f) {
		fprintf(f, "%ld\n", (long)seen);
		fclose(f);
	}
}

/* Must this call fail? Sets errno, or does not return. */
static bool fails(unsigned kind)
{
	long n;

	if (!(kinds & kind) || (only_while && access(only_while, F_OK) < 0))
		return false;
	n = atomic_fetch_add(&seen, 1) + 1;
	if (n != nth && !(onwards && n > nth))
		return false;
	if (error_number == 0)
		raise(SIGKILL);
	errno = error_number;
	return true;
}

/* Files only: a socket or a pipe does not fill a disk. */
static bool is_file(int fd)
{
	struct stat st;

	return fd > 2 && !fstat(fd, &st) && S_ISREG(st.st_mode);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
	static __typeof__(&write) real;

	if (!real)
		real = REAL(write);
	return kinds && is_file(fd) && fails(KIND_WRITE) ? -1 : real(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails(KIND_WRITE) ? -1 : REAL(pwrite)(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return fails(KIND_WRITE) ? -1 : REAL(pwrite64)(fd, p, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return fails(KIND_WRITE) ? -1 : REAL(pwritev)(fd, v, n, at);
}

int ftruncate(int fd, off_t n)
{
	return fails(KIND_WRITE) ? -1 : REAL(ftruncate)(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
	return fails(KIND_WRITE) ? -1 : REAL(ftruncate64)(fd, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return fails(KIND_WRITE) ? -1 : REAL(fallocate)(fd, mode, at, n);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	return fails(KIND_WRITE) ? errno : REAL(posix_fallocate)(fd, at, n);
}

int fsync(int fd)
{
	return fails(KIND_FSYNC) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return fails(KIND_FSYNC) ? -1 : REAL(fdatasync)(fd);
}

int syncfs(int fd)
{
	return fails(KIND_FSYNC) ? -1 : REAL(syncfs)(fd);
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
	return fails(KIND_LINK) ? -1 : REAL(linkat)(from, old, to, new, flags);
}

int rename(const char *old, const char *new)
{
	return fails(KIND_LINK) ? -1 : REAL(rename)(old, new);
}

int renameat(int from, const char *old, int to, const char *new)
{
	return fails(KIND_LINK) ? -1 : REAL(renameat)(from, old, to, new);
}

int unlinkat(int fd, const char *path, int flags)
{
	return fails(KIND_LINK) ? -1 : REAL(unlinkat)(fd, path, flags);
}

/* open() and openat() take a mode only when they may create, and only that may fail here. */
static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(ap, unsigned) : 0;
}

#define OPEN_BODY(call)                                                            \
	va_list ap;                                                                \
	mode_t mode;                                                               \
	va_start(ap, flags);                                                       \
	mode = mode_of(flags, ap);                                                 \
	va_end(ap);                                                                \
	if ((flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) && fails(KIND_CREATE)) \
		return -1;                                                         \
	return call

int open(const char *path, int flags, ...)
{
	OPEN_BODY(REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...)
{
	OPEN_BODY(REAL(open64)(path, flags, mode));
}

int openat(int fd, const char *path, int flags, ...)
{
	OPEN_BODY(REAL(openat)(fd, path, flags, mode));
}

int openat64(int fd, const char *path, int flags, ...)
{
	OPEN_BODY(REAL(openat64)(fd, path, flags, mode));
}

/* glibc's own entry points, so that looking up "malloc" does not need malloc. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

void *malloc(size_t n)
{
	return fails(KIND_MALLOC) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(KIND_MALLOC) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(KIND_MALLOC) ? NULL : __libc_realloc(p, n);
}
