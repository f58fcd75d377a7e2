/* list.h - result lists that grow in an arena: *list_push(a, &rows, &n, &cap) = row. The caller bounds n where it is not bounded by the rows. */
#ifndef CATALOG_LIST_H
#define CATALOG_LIST_H

#include "base/arena.h"

static inline void *list_push_raw(struct arena *a, void **p, size_t *n, size_t *cap, size_t size)
{
	if (*n == *cap) {
		size_t want = *cap ? *cap * 2 : 16;
		void *more = arena_alloc(a, want * size);

		if (*n)
			memcpy(more, *p, *n * size);
		*p = more;
		*cap = want;
	}
	return (char *)*p + (*n)++ * size;
}

#define list_push(a, p, n, cap) ((__typeof__(*(p)))list_push_raw((a), (void **)(p), (n), (cap), sizeof(**(p))))

#endif
