/*
 * range.h - the Range header of RFC 9110 section 14.2 for one representation of known size.
 * A header that is malformed, of another unit, or names several ranges is ignored, as RFC 9110 allows and object stores do:
 * the whole file is sent. An empty file has no satisfiable range, and the Hub's clients choke on a 416 for it: it is RANGE_WHOLE.
 */
#ifndef REGISTRYD_RANGE_H
#define REGISTRYD_RANGE_H

#include <stdint.h>

enum range_kind {
	RANGE_WHOLE,		/* answer 200 */
	RANGE_PART,		/* answer 206 with offset and length */
	RANGE_UNSATISFIABLE,	/* answer 416 with Content-Range "bytes *" and the size */
};

struct range {
	uint64_t offset, length;	/* bytes; the whole file for RANGE_WHOLE; length > 0 for RANGE_PART */
};

/* header may be NULL. Ends beyond the file are clipped. */
enum range_kind range_parse(const char *header, uint64_t size, struct range *out);

#endif
