/*
 * git_input.h - the bytes of a pack from front to back, through a window: a pack of many files is not held beside what is in it. For git_pack.c;
 * nobody else includes it.
 */
#ifndef VERIFY_GIT_INPUT_H
#define VERIFY_GIT_INPUT_H

#include <zlib.h>

#include "base/spool.h"

#define GIT_WINDOW_BYTES 65536

struct git_input {
	const struct spool *from;
	uint64_t end;		/* what follows is not read */
	uint64_t window_at;	/* where the window begins */
	size_t have, at;	/* bytes of the window, and how many of them were taken */
	z_stream z;
	unsigned char window[GIT_WINDOW_BYTES];
};

/* Memory for the window and zlib; never fails. */
struct git_input *git_input_new(const struct spool *from, uint64_t begin, uint64_t end);
void git_input_free(struct git_input *in);

uint64_t git_input_at(const struct git_input *in);	/* of the next byte */
/* All fail with ERR_INPUT when the bytes end first. */
int git_input_byte(struct git_input *in, unsigned char *out, struct err *e);
int git_input_bytes(struct git_input *in, void *out, size_t n, struct err *e);
/* A zlib stream that holds exactly n bytes. */
int git_input_inflate(struct git_input *in, unsigned char *out, size_t n, struct err *e);

#endif
