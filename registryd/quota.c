/* quota.c - see quota.h. */
#include "registryd/quota.h"

#include <pthread.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/retention.h"
#include "catalog/usage.h"

struct quota_claim {
	struct quota_claim *next;
	int64_t revision_id;
};

struct quota {
	pthread_mutex_t lock;		/* for the claims */
	struct quota_claim *claims;
	pthread_mutex_t judging;
};

struct quota *quota_new(void)
{
	struct quota *q = mem_zalloc(sizeof(*q));

	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->judging, NULL);
	return q;
}

void quota_free(struct quota *q)
{
	if (!q)
		return;
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->judging);
	free(q);
}

void quota_lock(struct quota *q)
{
	pthread_mutex_lock(&q->judging);
}

void quota_unlock(struct quota *q)
{
	pthread_mutex_unlock(&q->judging);
}

static int ask_locked(struct quota *q, struct work *w, int64_t revision_id, struct err *e)
{
	const struct policy *p = daemon_policy(w->d);
	char have[STR_SIZE_MAX], most[STR_SIZE_MAX];
	own(mem) int64_t *running = NULL;
	struct retention_room room;
	size_t n = 0, cap = 0;
	uint64_t max;
	int rc;

	if (!policy_has_quotas(p))
		return 0;
	for (const struct quota_claim *c = q->claims; c; c = c->next)
		*vec_push(&running, &n, &cap) = c->revision_id;
	rc = retention_room(w->db, revision_id, running, n, w->arena, &room, e);
	max = rc ? 0 : policy_quota(p, room.author);
	if (!max || !room.missing_bytes || room.bytes <= max)
		return rc;
	str_format_size(have, room.bytes);
	str_format_size(most, max);
	return err_set(e, ERR_REFUSED, "nothing is fetched: with it the models of %s would take %s, more than their quota of %s (retention.quotas of the policy). "
				       "`registryctl gc` frees what was retired %d days ago; else raise the quota", *room.author ? room.author : "no namespace", have, most, USAGE_LATELY_DAYS);
}

/* Claimed where there are no quotas, too: a reload may bring some. */
int quota_admit(struct work *w, int64_t revision_id, struct quota_claim **out, struct err *e)
{
	struct quota *q = w->d->quota;
	int rc;

	pthread_mutex_lock(&q->lock);
	rc = ask_locked(q, w, revision_id, e);
	if (!rc) {
		*out = mem_zalloc(sizeof(**out));
		**out = (struct quota_claim){ q->claims, revision_id };
		q->claims = *out;
	}
	pthread_mutex_unlock(&q->lock);
	return rc;
}

void quota_give(struct quota *q, struct quota_claim *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&q->lock);
	for (struct quota_claim **at = &q->claims; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	pthread_mutex_unlock(&q->lock);
	free(c);
}
