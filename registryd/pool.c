/* pool.c - see pool.h. */
#include "registryd/pool.h"

#include <sys/mman.h>

#include "base/err.h"
#include "base/vec.h"

#define POOL_ROUND 2	/* buffers that go round, at least */

void pool_init(struct pool *p, uint64_t max_bytes)
{
	uint64_t n = max_bytes / POOL_PAIR_BYTES * 2;

	memset(p, 0, sizeof(*p));
	p->max = n < POOL_BUFFERS_MIN ? POOL_BUFFERS_MIN : n > POOL_BUFFERS_MAX ? POOL_BUFFERS_MAX : (size_t)n;
	p->idle = mem_zalloc(p->max * sizeof(*p->idle));
	pthread_mutex_init(&p->lock, NULL);
}

void pool_done(struct pool *p)
{
	for (size_t i = 0; i < p->n_idle; i++)
		if ((uintptr_t)p->idle[i] % POOL_PAIR_BYTES == 0)	/* the first of its pair */
			free(p->idle[i]);
	free(p->idle);
	pthread_mutex_destroy(&p->lock);
}

bool pool_enter(struct pool *p, enum pool_seat seat)
{
	bool in;

	pthread_mutex_lock(&p->lock);
	in = p->receivers < (seat == POOL_FURTHER ? p->max / 2 : p->max - POOL_ROUND);
	p->receivers += in;
	pthread_mutex_unlock(&p->lock);
	return in;
}

void pool_leave(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->receivers--;
	pthread_mutex_unlock(&p->lock);
}

static void make_pair_locked(struct pool *p)
{
	char *pair = aligned_alloc(POOL_PAIR_BYTES, POOL_PAIR_BYTES);

	if (!pair)
		abort();
	madvise(pair, POOL_PAIR_BYTES, MADV_HUGEPAGE);	/* small pages do, too */
	p->idle[p->n_idle++] = pair + POOL_BUFFER_BYTES;
	p->idle[p->n_idle++] = pair;
	p->n_made += 2;
}

void *pool_take(struct pool *p)
{
	void *buffer = NULL;

	pthread_mutex_lock(&p->lock);
	if (!p->n_idle && p->n_made < p->max)
		make_pair_locked(p);
	if (p->n_idle)
		buffer = p->idle[--p->n_idle];
	pthread_mutex_unlock(&p->lock);
	return buffer;
}

void pool_give(struct pool *p, void *buffer)
{
	if (!buffer)
		return;
	pthread_mutex_lock(&p->lock);
	p->idle[p->n_idle++] = buffer;
	pthread_mutex_unlock(&p->lock);
}
