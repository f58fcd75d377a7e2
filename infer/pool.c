/* pool.c - see pool.h. The caller is thread 0 and works too. */
#include "infer/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/vec.h"

struct pool {
	unsigned n;		/* with the caller */
	pthread_t threads[POOL_THREADS_MAX];
	pthread_mutex_t lock;
	pthread_cond_t start, done;
	uint64_t round;		/* guarded by lock, as are busy and stop */
	unsigned busy;
	int stop;
	uint32_t n_tasks;
	atomic_uint next;
	void (*fn)(void *arg, uint32_t task, unsigned thread);
	void *arg;
};

struct worker {
	struct pool *pool;
	unsigned no;
};

static void work(struct pool *p, unsigned thread)
{
	for (;;) {
		uint32_t task = atomic_fetch_add(&p->next, 1);

		if (task >= p->n_tasks)
			return;
		p->fn(p->arg, task, thread);
	}
}

static void *worker_main(void *arg)
{
	struct worker w = *(struct worker *)arg;
	struct pool *p = w.pool;
	uint64_t seen = 0;

	free(arg);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->round == seen && !p->stop)
			pthread_cond_wait(&p->start, &p->lock);
		if (p->stop)
			break;
		seen = p->round;
		pthread_mutex_unlock(&p->lock);
		work(p, w.no);
		pthread_mutex_lock(&p->lock);
		if (--p->busy == 0)
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static unsigned usable_processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

int pool_open(struct pool **out, unsigned n, struct err *e)
{
	struct pool *p = mem_zalloc(sizeof(*p));

	n = n ? n : usable_processors();
	n = n > POOL_THREADS_MAX ? POOL_THREADS_MAX : n;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->start, NULL);
	pthread_cond_init(&p->done, NULL);
	for (p->n = 1; p->n < n; p->n++) {
		struct worker *w = mem_zalloc(sizeof(*w));

		*w = (struct worker){ p, p->n };
		if (pthread_create(&p->threads[p->n], NULL, worker_main, w) != 0) {
			free(w);
			pool_close(p);
			return err_set(e, ERR_FAILED, "start thread %u of %u", p->n, n);
		}
	}
	*out = p;
	return 0;
}

void pool_close(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = 1;
	pthread_cond_broadcast(&p->start);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 1; i < p->n; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->start);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

unsigned pool_threads(const struct pool *p)
{
	return p->n;
}

void pool_run(struct pool *p, uint32_t n_tasks, void (*fn)(void *arg, uint32_t task, unsigned thread), void *arg)
{
	p->fn = fn;
	p->arg = arg;
	p->n_tasks = n_tasks;
	atomic_store(&p->next, 0);
	if (p->n == 1 || n_tasks == 1) {
		work(p, 0);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->busy = p->n - 1;
	p->round++;
	pthread_cond_broadcast(&p->start);
	pthread_mutex_unlock(&p->lock);
	work(p, 0);
	pthread_mutex_lock(&p->lock);
	while (p->busy)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
