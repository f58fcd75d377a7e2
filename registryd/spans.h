/*
 * spans.h - which bytes of a file: a small set of ranges, ascending, never touching each other. Knows no file. What it can hold at most is
 * what a note in partial/ can hold.
 */
#ifndef REGISTRYD_SPANS_H
#define REGISTRYD_SPANS_H

#include "catalog/partial.h"

#define SPANS_MAX PARTIAL_RANGES_MAX

struct spans {
	struct partial_range at[SPANS_MAX];
	size_t n;
};

/* Bytes [begin, end) belong to it now, or no longer. False, and nothing changes, when that would make more than SPANS_MAX ranges. */
bool spans_add(struct spans *s, uint64_t begin, uint64_t end);
bool spans_remove(struct spans *s, uint64_t begin, uint64_t end);
/* The first bytes at or after `from`, below `size`, that do not belong to it. False when there are none. */
bool spans_gap(const struct spans *s, uint64_t from, uint64_t size, struct partial_range *gap);
/* How far without a gap from `from`; `from` itself when that byte does not belong to it. */
uint64_t spans_upto(const struct spans *s, uint64_t from);
uint64_t spans_bytes(const struct spans *s);

#endif
