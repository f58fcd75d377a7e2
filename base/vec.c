/* vec.c - see vec.h. */
#include "base/vec.h"

#include "base/err.h"

void *vec_push_raw(void **p, size_t *n, size_t *cap, size_t size)
{
	char *at;

	if (*n == *cap) {
		size_t want = *cap ? *cap * 2 : 8;

		*p = reallocarray(*p, want, size);
		if (!*p)
			abort();
		*cap = want;
	}
	at = (char *)*p + *n * size;
	memset(at, 0, size);
	(*n)++;
	return at;
}

void *mem_zalloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		abort();
	return p;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
	char *p = mem_zalloc(n + 1);

	memcpy(p, s, n);
	return p;
}
