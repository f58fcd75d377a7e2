/* hub_shared.c - what all that goes to an upstream shares: its places and its bandwidth. See hub.h. */
#include "base/vec.h"
#include "registryd/hub.h"

#define CONNECTIONS_DEFAULT 8
#define CROWDED_MS	    250	/* who waits for a place asks again within this time */

struct hub_shared {
	pthread_mutex_t lock;		/* for all below */
	int users;			/* hubs */
	int connections;
	uint64_t rate_limit;
	int active;			/* places taken: by transfers of files, and by calls */
	int calls;			/* of the API and git, those that hold a place */
	int64_t crowded_ms;		/* when somebody last waited for a place */
	int64_t allowance_bytes, allowance_at_ms;	/* bandwidth cap: a bucket of tokens, and when it was last filled */
	uint64_t spent_bytes;		/* all that was taken from it */
};

struct hub_shared *hub_shared_new(void)
{
	struct hub_shared *s = mem_zalloc(sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	s->users = 1;
	s->allowance_at_ms = net_now_ms();
	return s;
}

void hub_shared_leave(struct hub_shared *s)
{
	int left;

	pthread_mutex_lock(&s->lock);
	left = --s->users;
	pthread_mutex_unlock(&s->lock);
	if (left)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void hub_share(struct hub *h, const struct hub *with)
{
	struct hub_shared *s = with->shared;

	pthread_mutex_lock(&s->lock);
	s->users++;
	pthread_mutex_unlock(&s->lock);
	hub_shared_leave(h->shared);
	h->shared = s;
}

void hub_set_limits(struct hub *h, int connections, uint64_t rate_limit)
{
	struct hub_shared *s = h->shared;

	pthread_mutex_lock(&s->lock);
	s->connections = connections > 0 ? connections : CONNECTIONS_DEFAULT;
	s->rate_limit = rate_limit;
	pthread_mutex_unlock(&s->lock);
}

int hub_connections(struct hub *h)
{
	int n;

	pthread_mutex_lock(&h->shared->lock);
	n = h->shared->connections;
	pthread_mutex_unlock(&h->shared->lock);
	return n;
}

uint64_t hub_rate_limit(struct hub *h)
{
	uint64_t rate;

	pthread_mutex_lock(&h->shared->lock);
	rate = h->shared->rate_limit;
	pthread_mutex_unlock(&h->shared->lock);
	return rate;
}

bool hub_enter(struct hub *h)
{
	struct hub_shared *s = h->shared;
	bool in;

	pthread_mutex_lock(&s->lock);
	in = s->active < s->connections;
	s->active += in;
	pthread_mutex_unlock(&s->lock);
	return in;
}

void hub_leave(struct hub *h)
{
	pthread_mutex_lock(&h->shared->lock);
	h->shared->active--;
	pthread_mutex_unlock(&h->shared->lock);
}

void hub_crowd(struct hub *h)
{
	pthread_mutex_lock(&h->shared->lock);
	h->shared->crowded_ms = net_now_ms();
	pthread_mutex_unlock(&h->shared->lock);
}

bool hub_is_crowded(struct hub *h)
{
	struct hub_shared *s = h->shared;
	bool crowded;

	pthread_mutex_lock(&s->lock);
	crowded = s->active > s->connections || (s->crowded_ms && net_now_ms() - s->crowded_ms < CROWDED_MS);
	pthread_mutex_unlock(&s->lock);
	return crowded;
}

bool hub_enter_call(struct hub *h)
{
	struct hub_shared *s = h->shared;
	bool in;

	pthread_mutex_lock(&s->lock);
	in = s->active < s->connections || !s->calls;
	s->active += in;
	s->calls += in;
	pthread_mutex_unlock(&s->lock);
	return in;
}

void hub_leave_call(struct hub *h)
{
	pthread_mutex_lock(&h->shared->lock);
	h->shared->active--;
	h->shared->calls--;
	pthread_mutex_unlock(&h->shared->lock);
}

static int64_t spend_locked(struct hub_shared *s, uint64_t n)
{
	int64_t now = net_now_ms(), rate = (int64_t)s->rate_limit;

	if (!rate)
		return 0;
	s->allowance_bytes += (int64_t)((double)(now - s->allowance_at_ms) * (double)rate / 1000);
	s->allowance_at_ms = now;
	if (s->allowance_bytes > rate / 4)	/* a quarter of a second may burst */
		s->allowance_bytes = rate / 4;
	s->allowance_bytes -= (int64_t)n;
	s->spent_bytes += n;
	return s->allowance_bytes < 0 ? (int64_t)((double)-s->allowance_bytes * 1000 / (double)rate) + 1 : 0;
}

int64_t hub_spend(struct hub *h, uint64_t n)
{
	int64_t wait;

	pthread_mutex_lock(&h->shared->lock);
	wait = spend_locked(h->shared, n);
	pthread_mutex_unlock(&h->shared->lock);
	return wait;
}

uint64_t hub_spent(struct hub *h)
{
	uint64_t bytes;

	pthread_mutex_lock(&h->shared->lock);
	bytes = h->shared->spent_bytes;
	pthread_mutex_unlock(&h->shared->lock);
	return bytes;
}
