/*
 * pool.h - a few threads that share numbered tasks. Which thread takes which task is chance; so a task's result must depend on
 * its number alone.
 */
#ifndef INFER_POOL_H
#define INFER_POOL_H

#include <stdint.h>

#include "base/err.h"

#define POOL_THREADS_MAX 256

struct pool;

/* n 0: one a processor that we may use. */
int pool_open(struct pool **out, unsigned n, struct err *e);
void pool_close(struct pool *p);
unsigned pool_threads(const struct pool *p);
/* fn(arg, task, thread) for every task in [0, n_tasks), thread in [0, pool_threads()); returns when all are done. */
void pool_run(struct pool *p, uint32_t n_tasks, void (*fn)(void *arg, uint32_t task, unsigned thread), void *arg);

#endif
