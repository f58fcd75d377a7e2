/*
 * pool.h - the one budget of large transfer buffers that all downloads of the daemon share, so that its memory does not grow with the
 * number or the size of models on their way. Buffers are POOL_BUFFER_BYTES each, aligned for direct writes, made when first needed.
 */
#ifndef REGISTRYD_POOL_H
#define REGISTRYD_POOL_H

#include <pthread.h>
#include <stddef.h>

#define POOL_BUFFER_BYTES (1u << 20)
#define POOL_BUFFERS	  24	/* 24 MiB at most */

struct pool {
	pthread_mutex_t lock;
	void *idle[POOL_BUFFERS];
	size_t n_idle, n_made;
};

void pool_init(struct pool *p);
void pool_done(struct pool *p);	/* every buffer must be back */
void *pool_take(struct pool *p);	/* NULL while all are in use */
void pool_give(struct pool *p, void *buffer);	/* NULL is fine */

#endif
