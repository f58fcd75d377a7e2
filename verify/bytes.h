/*
 * bytes.h - a range of bytes to parse, in a file or in memory, looked at through a bounded window. Parsers ask for the few bytes
 * they need next and never for what is not there: bytes_at gives NULL instead.
 */
#ifndef VERIFY_BYTES_H
#define VERIFY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BYTES_WINDOW ((size_t)1 << 20)	/* the most that can be asked for at once */

struct bytes {
	const char *what;	/* the file's name in errors */
	uint64_t size;
	int fd;			/* -1: in memory */
	uint64_t base;		/* where byte 0 lies in fd */
	const uint8_t *mem;
	uint8_t *window;
	uint64_t at;		/* what the window holds: [at, at + have) */
	size_t have;
	struct err e;		/* the first failed read; later ones give NULL too */
};

void bytes_of_fd(struct bytes *b, int fd, uint64_t base, uint64_t size, const char *what);
void bytes_of_mem(struct bytes *b, const void *p, size_t n, const char *what);
/* The n bytes at `at` of b as a range of their own; what b does not have of them is left out. b must outlive it. */
void bytes_of_part(struct bytes *part, const struct bytes *b, uint64_t at, uint64_t n);
void bytes_done(struct bytes *b);

/* The n bytes at pos, valid until the next call; NULL when the range does not have them or reading failed. */
const uint8_t *bytes_at(struct bytes *b, uint64_t pos, size_t n);

static inline uint32_t bytes_le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t bytes_le32(const uint8_t *p)
{
	return bytes_le16(p) | bytes_le16(p + 2) << 16;
}

static inline uint64_t bytes_le64(const uint8_t *p)
{
	return (uint64_t)bytes_le32(p) | (uint64_t)bytes_le32(p + 4) << 32;
}

static inline void own_bytes(struct bytes *b)
{
	bytes_done(b);
}

#endif
