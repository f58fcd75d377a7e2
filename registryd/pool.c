/* pool.c - see pool.h. */
#include "registryd/pool.h"

#include "base/err.h"
#include "base/vec.h"

#define POOL_ALIGN 4096
#define POOL_ROUND 2	/* buffers that go round, at least */

void pool_init(struct pool *p, uint64_t max_bytes)
{
	uint64_t n = max_bytes / POOL_BUFFER_BYTES;

	memset(p, 0, sizeof(*p));
	p->max = n < POOL_BUFFERS_MIN ? POOL_BUFFERS_MIN : n > POOL_BUFFERS_MAX ? POOL_BUFFERS_MAX : (size_t)n;
	p->idle = mem_zalloc(p->max * sizeof(*p->idle));
	pthread_mutex_init(&p->lock, NULL);
}

void pool_done(struct pool *p)
{
	while (p->n_idle)
		free(p->idle[--p->n_idle]);
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

void *pool_take(struct pool *p)
{
	void *buffer = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->n_idle) {
		buffer = p->idle[--p->n_idle];
	} else if (p->n_made < p->max) {
		buffer = aligned_alloc(POOL_ALIGN, POOL_BUFFER_BYTES);
		if (!buffer)
			abort();
		p->n_made++;
	}
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
