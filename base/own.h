/*
 * own.h - scope cleanup. own(fd), own(mem), own(file) free what a variable still holds when it goes out of scope;
 * take() and take_fd() give it away visibly. Other headers add kinds by defining own_KIND(T *).
 */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define own(kind) __attribute__((cleanup(own_##kind)))

static inline void own_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void own_mem(void *p)
{
	free(*(void **)p);
}

static inline void own_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* The value of a pointer, which the variable then no longer holds. */
#define take(p)                       \
	({                            \
		__typeof__(p) t_ = (p); \
		(p) = NULL;           \
		t_;                   \
	})

static inline int take_fd(int *fd)
{
	int t = *fd;

	*fd = -1;
	return t;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
