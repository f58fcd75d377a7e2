/*
 * buf.h - a growing byte string with a ceiling. data is always NUL-terminated (data[len] == 0), also when empty.
 * The first append that would pass the ceiling fails with ERR_LIMIT and so does every later one: a caller may append
 * many times and look at buf_failed() once. Running out of memory aborts, because the ceiling bounds what may be asked for.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct buf {
	char *data;
	size_t len, cap, max;	/* bytes */
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
void buf_reset(struct buf *b);		/* empty again, memory kept */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool buf_failed(const struct buf *b)
{
	return b->failed;
}
/* Give the string away (free() it); b is empty afterwards. */
char *buf_take(struct buf *b);
/* Appends s as the inside of a JSON string (no quotes): escapes ", \ and control characters. */
int buf_json_escaped(struct buf *b, const char *s);

static inline void own_buf(struct buf *b)
{
	buf_done(b);
}

#endif
