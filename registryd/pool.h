/*
 * pool.h - the one budget of large transfer buffers that all downloads of the daemon share, so that its memory does not grow with the
 * number or the size of models on their way. Buffers are POOL_BUFFER_BYTES each, aligned for direct writes, made when first needed, two at a
 * time: a pair is one huge page where the system has them, so that a direct write of a buffer is one piece of memory to the disk instead of 256.
 */
#ifndef REGISTRYD_POOL_H
#define REGISTRYD_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_BUFFER_BYTES (1u << 20)
#define POOL_PAIR_BYTES	  (2 * POOL_BUFFER_BYTES)
#define POOL_BUFFERS_MAX  4096
#define POOL_BUFFERS_MIN  4

struct pool {
	pthread_mutex_t lock;
	void **idle;
	size_t n_idle, n_made, max;
	size_t receivers;
};

void pool_init(struct pool *p, uint64_t max_bytes);	/* rounded down to whole pairs */
void pool_done(struct pool *p);	/* every buffer must be back */

enum pool_seat {
	POOL_FIRST,	/* of a file: without it nothing moves */
	POOL_FURTHER,	/* a file's second and more: only while half of the buffers stay for others */
};
/*
 * Who fills a buffer at a time of its own enters first. Each may hold one that is half full for as long as its upstream likes, so that some
 * must be left to go round: false when there would be too few.
 */
bool pool_enter(struct pool *p, enum pool_seat seat);
void pool_leave(struct pool *p);
void *pool_take(struct pool *p);	/* NULL while all are in use */
void pool_give(struct pool *p, void *buffer);	/* NULL is fine */

#endif
