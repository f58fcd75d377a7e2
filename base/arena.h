/* arena.h - memory that lives as long as one request or one job, freed in one go. Running out of memory aborts. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_chunk *chunks;
	size_t used_bytes;	/* all that was asked for: a job may have a limit of it */
};

void arena_init(struct arena *a);
void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t n);		/* zeroed, aligned for any type */
char *arena_strdup(struct arena *a, const char *s);	/* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void own_arena(struct arena *a)
{
	arena_done(a);
}

#endif
