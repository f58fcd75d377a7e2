/*
 * digest.h - SHA-256 and SHA-1 as values, and hashing while bytes pass. SHA-256 names content; SHA-1 only ever links a git
 * file to the commit that lists it (git's own object id), never stands alone.
 */
#ifndef VERIFY_DIGEST_H
#define VERIFY_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DIGEST_MAX_BYTES 32
#define DIGEST_HEX_MAX	 (2 * DIGEST_MAX_BYTES + 1)

enum digest_algo {
	DIGEST_NONE,	/* no digest known */
	DIGEST_SHA256,
	DIGEST_SHA1,
};

struct digest {
	enum digest_algo algo;
	unsigned char bytes[DIGEST_MAX_BYTES];	/* the first digest_size(algo) count, the rest is zero */
};

size_t digest_size(enum digest_algo algo);		/* bytes */
const char *digest_name(enum digest_algo algo);		/* "sha256" */
bool digest_equal(const struct digest *a, const struct digest *b);	/* two unknown digests are not equal */
void digest_hex(char out[DIGEST_HEX_MAX], const struct digest *d);	/* lower case; "" for DIGEST_NONE */
/* Exactly the algorithm's number of lower-case hex digits; anything else (64 asterisks of a gated repository, say) is ERR_INPUT. */
int digest_parse(struct digest *out, enum digest_algo algo, const char *hex, struct err *e);
/* The same of what a person wrote, in any case. */
int digest_parse_any_case(struct digest *out, enum digest_algo algo, const char *hex, struct err *e);

/* Hashing in pieces. digest_begin() may be called again on a used context; digest_done() accepts a zeroed one. */
struct digest_ctx {
	void *md;
	enum digest_algo algo;
};

void digest_begin(struct digest_ctx *c, enum digest_algo algo);
void digest_update(struct digest_ctx *c, const void *p, size_t n);
void digest_end(struct digest_ctx *c, struct digest *out);
void digest_done(struct digest_ctx *c);

static inline void own_digest(struct digest_ctx *c)
{
	digest_done(c);
}

void digest_of(struct digest *out, enum digest_algo algo, const void *p, size_t n);
/* Of everything from the descriptor's current position to its end; *size_bytes (may be NULL) is how much that was. */
int digest_of_fd(struct digest *out, enum digest_algo algo, int fd, uint64_t *size_bytes, const char *what, struct err *e);

#endif
