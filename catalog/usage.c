/* usage.c - see usage.h. */
#include "catalog/usage.h"

#include <pthread.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/sql.h"

#define CONSUMER_MAX 128
#define DAY_S	     86400
#define SLOTS	     (USAGE_PENDING_MAX * 2)	/* of an open-addressed table, at most half full */
#define ROWS_MAX     1000

struct counter {
	int64_t day, model_id, revision_id, last_at;
	uint64_t pulls, bytes;
	char *consumer;	/* NULL: free */
};

struct pending {
	pthread_mutex_t lock;
	struct counter *slots;
	size_t n;
};

static void *pending_make(void)
{
	struct pending *p = mem_zalloc(sizeof(*p));

	pthread_mutex_init(&p->lock, NULL);
	return p;
}

static void free_slots(struct counter *slots)
{
	for (size_t i = 0; slots && i < SLOTS; i++)
		free(slots[i].consumer);
	free(slots);
}

static void pending_free(void *v)
{
	struct pending *p = v;

	free_slots(p->slots);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct pending *pending_of(struct db *db)
{
	return db_slot(db, DB_SLOT_USAGE, pending_make, pending_free);
}

static size_t hash_of(int64_t day, int64_t revision_id, const char *consumer)
{
	uint64_t h = 1469598103934665603ull ^ (uint64_t)day ^ ((uint64_t)revision_id << 20);

	for (; *consumer; consumer++)
		h = (h ^ (unsigned char)*consumer) * 1099511628211ull;
	return (size_t)((h ^ h >> 29) % SLOTS);
}

static struct counter *slot_of(struct pending *p, int64_t day, int64_t model_id, int64_t revision_id, const char *consumer)
{
	size_t i = hash_of(day, revision_id, consumer);

	for (;; i = (i + 1) % SLOTS) {
		struct counter *c = &p->slots[i];

		if (!c->consumer) {
			*c = (struct counter){ .day = day, .model_id = model_id, .revision_id = revision_id, .consumer = mem_strdup(consumer) };
			p->n++;
			return c;
		}
		if (c->day == day && c->revision_id == revision_id && c->model_id == model_id && !strcmp(c->consumer, consumer))
			return c;
	}
}

void usage_count(struct db *db, int64_t model_id, int64_t revision_id, const char *consumer, uint64_t bytes, int64_t now)
{
	struct pending *p = pending_of(db);
	char name[CONSUMER_MAX + 1];
	struct counter *c;
	bool full;

	snprintf(name, sizeof(name), "%s", consumer);
	str_printable(name);
	pthread_mutex_lock(&p->lock);
	if (!p->slots)
		p->slots = mem_zalloc(SLOTS * sizeof(*p->slots));
	c = slot_of(p, now - now % DAY_S, model_id, revision_id, name);
	c->pulls++;
	c->bytes += bytes;
	c->last_at = now;
	full = p->n >= USAGE_PENDING_MAX;
	pthread_mutex_unlock(&p->lock);
	if (full)
		usage_flush(db, NULL);	/* a failure drops these counts: serving goes on */
}

static int put(struct db_conn *db, const struct counter *c, struct err *e)
{
	own(sql) struct sql q = sql_prepare(db,
					    "INSERT INTO pull (day, model_id, revision_id, consumer, pulls, bytes, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7) "
					    "ON CONFLICT (model_id, day, revision_id, consumer) DO UPDATE SET pulls = pull.pulls + $5, bytes = pull.bytes + $6, last_at = $7",
					    e);

	sql_int(&q, c->day);
	sql_int(&q, c->model_id);
	sql_int(&q, c->revision_id);
	sql_text(&q, c->consumer);
	sql_int(&q, (int64_t)c->pulls);
	sql_int(&q, (int64_t)c->bytes);
	sql_int(&q, c->last_at);
	return sql_run(&q);
}

static int write_all(struct db *db, const struct counter *slots, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc = tx_begin(&t, db, e);

	for (size_t i = 0; rc == 0 && i < SLOTS; i++)
		if (slots[i].consumer)
			rc = put(t.c, &slots[i], e);
	return rc < 0 ? rc : tx_commit(&t, e);
}

int usage_flush(struct db *db, struct err *e)
{
	struct pending *p = pending_of(db);
	struct counter *slots;
	int rc;

	pthread_mutex_lock(&p->lock);
	slots = take(p->slots);
	p->n = 0;
	pthread_mutex_unlock(&p->lock);
	if (!slots)
		return 0;
	rc = write_all(db, slots, e);
	free_slots(slots);
	return rc;
}

json_t *usage_json(struct db *db, int64_t model_id, int days, int64_t now, struct err *e)
{
	own(read) struct read r = { 0 };
	json_t *out;

	if (read_begin(&r, db, e) < 0)
		return NULL;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT m.name, p.consumer, sum(p.pulls), sum(p.bytes), max(p.last_at) FROM pull AS p JOIN model AS m ON m.id = p.model_id "
					    "WHERE " USAGE_SINCE("p", "$1") " AND ($2 = 0 OR p.model_id = $2) GROUP BY m.name, p.consumer ORDER BY 3 DESC, 1, 2 LIMIT $3",
					    e);
	sql_int(&q, now - (int64_t)days * DAY_S);
	sql_int(&q, model_id);
	sql_int(&q, ROWS_MAX);
	out = json_array();
	while (sql_row(&q))
		json_array_append_new(out, json_pack("{s:s,s:s,s:I,s:I,s:o}", "repo", sql_get_text(&q, 0), "consumer", sql_get_text(&q, 1), "pulls",
						     (json_int_t)sql_get_int(&q, 2), "bytes", (json_int_t)sql_get_int(&q, 3), "last_at", json_time(sql_get_int(&q, 4))));
	if (sql_done(&q) < 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}
