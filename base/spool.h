/*
 * spool.h - a text that is written from front to back and then read: in memory while it is short, and in a file from then on. For answers and
 * documents that list the files of a revision, which may be 100,000. What goes wrong on the way is kept and said at the end.
 */
#ifndef BASE_SPOOL_H
#define BASE_SPOOL_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

#define SPOOL_MEMORY_BYTES (256u << 10)

struct spool {
	int (*open)(void *arg, struct err *e);	/* a file that nobody else sees: its descriptor, or a negative code. NULL: memory it must be */
	void *arg;
	uint64_t n, max;	/* bytes so far, and at most */
	/* private */
	struct buf held;	/* all of it, or with fd what is not written yet */
	int fd;			/* -1: it is all in memory */
	struct err why;		/* the first error */
};

void spool_init(struct spool *s, int (*open)(void *arg, struct err *e), void *arg, uint64_t max);
void spool_done(struct spool *s);	/* also of a zeroed one that was never begun */
void spool_add(struct spool *s, const void *p, size_t n);
void spool_puts(struct spool *s, const char *text);
void spool_printf(struct spool *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As json_write(); takes the reference. NULL, which is what jansson makes of bad UTF-8, is ERR_INPUT. */
void spool_json(struct spool *s, json_t *j);
/* The same of an object that is not empty, without its end: the caller adds further members, each with a comma before it, and the brace. */
void spool_open(struct spool *s, json_t *o);
/* No more is written. 0, or the first error: ERR_LIMIT more than max bytes, ERR_NOSPACE … */
int spool_end(struct spool *s, struct err *e);

/* After its end: up to n bytes from `at`; 0 behind the last. */
ssize_t spool_read(const struct spool *s, void *p, size_t n, uint64_t at, struct err *e);
/* The file with all of it, which is now the caller's; -1 when it is in memory, in held. */
int spool_take_fd(struct spool *s);

static inline void own_spool(struct spool *s)
{
	spool_done(s);
}

#endif
