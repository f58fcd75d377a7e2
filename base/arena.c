/* arena.c - see arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"

#define CHUNK_BYTES ((size_t)8192)
#define ALIGN	    (sizeof(max_align_t))

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	max_align_t data[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){ .chunks = NULL };
}

void arena_done(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
}

static void *alloc(struct arena *a, size_t n, size_t align)
{
	struct arena_chunk *c = a->chunks;
	size_t at = c ? (c->used + align - 1) / align * align : 0;

	if (n > SIZE_MAX - CHUNK_BYTES)
		abort();
	if (!c || at > c->size || c->size - at < n) {
		size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;

		c = mem_zalloc(sizeof(*c) + size);
		c->size = size;
		c->next = a->chunks;
		a->chunks = c;
		at = 0;
	}
	c->used = at + n;
	a->used_bytes += n;
	return (char *)c->data + at;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return alloc(a, n, ALIGN);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = alloc(a, n + 1, 1);	/* lists of 100,000 paths are kept here */

	memcpy(p, s, n);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	p = alloc(a, (size_t)n + 1, 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
