/* http_cache.c - see http_cache.h. */
#include "registryd/http_cache.h"

#include <pthread.h>

#include "base/vec.h"

#define SLOTS 512
#define KEY_MAX_BYTES 1024
#define ANSWER_MAX_BYTES (16 << 10)	/* so a thread keeps at most 8 MiB */

struct slot {
	char *key;			/* NULL: empty */
	uint64_t hash, generation;
	int64_t at;			/* the second it was made in */
	struct http_answer answer;	/* headers are in the response */
};

struct table {
	struct slot slots[SLOTS];
};

static pthread_key_t table_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void empty(struct slot *s)
{
	free(s->key);
	if (s->answer.response)
		MHD_destroy_response(s->answer.response);
	*s = (struct slot){ 0 };
}

static void free_table(void *p)
{
	struct table *t = p;

	for (size_t i = 0; i < SLOTS; i++)
		empty(&t->slots[i]);
	free(t);
}

static void make_key(void)
{
	if (pthread_key_create(&table_key, free_table))
		abort();
}

static struct table *own_table(void)
{
	struct table *t;

	pthread_once(&once, make_key);
	t = pthread_getspecific(table_key);
	if (!t) {
		t = mem_zalloc(sizeof(*t));
		pthread_setspecific(table_key, t);
	}
	return t;
}

static bool conditional(const struct request *rq)
{
	return http_header(rq, "Range") || http_header(rq, "If-None-Match") || http_header(rq, "If-Range");
}

static uint64_t hash_of(const char *s)
{
	uint64_t h = 14695981039346656037u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h ^ h >> 29;
}

/* False when this request's answer is not to be kept. */
static bool key_of(const struct request *rq, char key[KEY_MAX_BYTES])
{
	int n;

	if (!rq->route || !(rq->route->flags & HTTP_CACHED) || conditional(rq))
		return false;
	n = snprintf(key, KEY_MAX_BYTES, "%c%c%s\n%s", rq->method[0], rq->role > 0 ? 't' : 'a', rq->host ? rq->host : "", rq->uri);
	return n > 0 && n < KEY_MAX_BYTES;
}

bool http_cache_get(struct http_exchange *x)
{
	struct request *rq = &x->rq;
	char key[KEY_MAX_BYTES];
	struct slot *s;
	uint64_t h;

	if (!x->generation_of || !key_of(rq, key))
		return false;
	h = hash_of(key);
	s = &own_table()->slots[h % SLOTS];
	x->generation = x->generation_of(rq->app);
	if (!s->key || s->hash != h || s->at != rq->now || s->generation != x->generation || strcmp(s->key, key))
		return false;
	x->answer.status = s->answer.status;
	x->answer.response = s->answer.response;
	x->answer.bytes = s->answer.bytes;
	x->answer.shared = true;
	return true;
}

void http_cache_put(struct http_exchange *x)
{
	char key[KEY_MAX_BYTES];
	struct slot *s;
	uint64_t h;

	if (!x->generation_of || x->answer.shared || x->answer.streamed || x->answer.bytes > ANSWER_MAX_BYTES || x->answer.status >= 500 || !key_of(&x->rq, key))
		return;
	h = hash_of(key);
	s = &own_table()->slots[h % SLOTS];
	empty(s);
	*s = (struct slot){ mem_strdup(key), h, x->generation, x->rq.now, { .status = x->answer.status, .response = x->answer.response, .bytes = x->answer.bytes } };
	x->answer.shared = true;
}
