/*
 * fdio.h - whole reads, whole writes and careful opens on file descriptors. Short transfers and EINTR are handled here
 * and nowhere else.
 */
#ifndef BASE_FDIO_H
#define BASE_FDIO_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Up to n bytes; fewer only at the end of the file. Bytes read, or a negative code. `what` names the file in errors. */
ssize_t fdio_read(int fd, void *p, size_t n, const char *what, struct err *e);
ssize_t fdio_pread(int fd, void *p, size_t n, uint64_t offset, const char *what, struct err *e);
/* Exactly n bytes from offset; a shorter file is ERR_MISMATCH. */
int fdio_pread_exact(int fd, void *p, size_t n, uint64_t offset, const char *what, struct err *e);
int fdio_write(int fd, const void *p, size_t n, const char *what, struct err *e);
int fdio_pwrite(int fd, const void *p, size_t n, uint64_t offset, const char *what, struct err *e);
int fdio_size(int fd, uint64_t *bytes, const char *what, struct err *e);

/*
 * The whole file into b (initialised, with its ceiling). ERR_NOT_FOUND when it does not exist, ERR_LIMIT when it is larger than the ceiling,
 * ERR_INPUT when it is a pipe or device in somebody's directory (dirfd is one). */
int fdio_slurp(int dirfd, const char *path, struct buf *b, struct err *e);
int fdio_slurp_fd(int fd, const char *what, struct buf *b, struct err *e);
/* Write path so that it is there whole or not at all, also after a power cut: temporary file, fsync, rename, directory fsync. */
int fdio_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode, struct err *e);
/*
 * What somebody asked to be put into the file that he named (-o FILE). A device or pipe is written to. A file is replaced as by fdio_replace() and keeps its
 * mode; of a symbolic link it is the file that the link leads to. A new file has mode 0644.
 */
int fdio_output(const char *path, const void *p, size_t n, struct err *e);

/* Opens path below dirfd, refusing "..", absolute paths, symbolic links anywhere on the way and, to read, pipes and devices. */
int fdio_open_beneath(int dirfd, const char *path, int flags, struct err *e);
int fdio_open_dir(int dirfd, const char *path, struct err *e);	/* the directory's fd, or a negative code */
int fdio_mkdirs(const char *path, mode_t mode, struct err *e);	/* as mkdir -p */

/*
 * Is path a plain relative path that may be created below a directory? No empty or "." or ".." component, no leading '/', no
 * backslash, no control characters, valid UTF-8, at most 1024 bytes, components of at most 255. The reason is put in e.
 */
int fdio_check_relative(const char *path, struct err *e);

#endif
