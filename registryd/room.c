/* room.c - see room.h. */
#include "registryd/room.h"

#include <pthread.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/partial.h"

/* A content that goes through partial/, where it takes its room as soon as it is begun. */
struct part {
	const struct fetch_file *file;	/* only to be told from others: its owner changes it */
	struct digest id;
	uint64_t size_bytes;	/* 0: it is in the store */
};

struct room_claim {
	struct room_claim *next;
	const char *name;
	bool upload;
	uint64_t small_bytes;	/* of files that are written when they are whole; of an upload, what has not come yet */
	struct part *parts;	/* as they lie in the list of who claims */
	size_t n_parts, cap_parts;
};

struct waiter {
	int64_t job;
	bool due;
};

struct room {
	struct store *store;
	pthread_mutex_t lock;		/* for all below */
	struct room_claim *claims;
	struct waiter *waiters;
	size_t n_waiters, cap_waiters;
};

struct room *room_new(struct store *st)
{
	struct room *r = mem_zalloc(sizeof(*r));

	r->store = st;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

static void claim_free(struct room_claim *c)
{
	free(c->parts);
	free(c);
}

void room_free(struct room *r)
{
	if (!r)
		return;
	free(r->waiters);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- claims ---------------------------------------------------------------------------------------------------- */

static struct room_claim *claim_new(const struct room_want *want)
{
	struct room_claim *c = mem_zalloc(sizeof(*c));

	c->name = want->name;
	for (size_t i = 0; i < want->n_files; i++) {
		const struct fetch_file *f = &want->files[i];

		if (f->same)
			continue;
		if (f->size_bytes <= FETCH_SMALL_BYTES)
			c->small_bytes += f->size_bytes;
		else
			*vec_push(&c->parts, &c->n_parts, &c->cap_parts) = (struct part){ f, f->id, f->size_bytes };
	}
	return c;
}

struct sum {
	uint64_t left;	/* what has still to find room */
	uint64_t begun;	/* what files that are not whole yet have taken */
};

static void add(struct room *r, const struct room_claim *c, struct sum *s)
{
	s->left += c->small_bytes;
	for (size_t i = 0; i < c->n_parts; i++) {
		const struct part *p = &c->parts[i];
		uint64_t begun = p->size_bytes ? partial_reserved(r->store, &p->id, p->size_bytes) : 0;

		s->left += p->size_bytes - begun;
		s->begun += begun;
	}
}

static struct sum sum_of_all(struct room *r)
{
	struct sum s = { 0 };

	for (const struct room_claim *c = r->claims; c; c = c->next)
		add(r, c, &s);
	return s;
}

static bool fits(uint64_t bytes, uint64_t keep_free, uint64_t free_bytes)
{
	return bytes <= free_bytes && keep_free <= free_bytes - bytes;
}

static void wait_locked(struct room *r, int64_t job, bool due)
{
	for (size_t i = 0; i < r->n_waiters; i++)
		if (r->waiters[i].job == job) {
			r->waiters[i].due |= due;
			return;
		}
	*vec_push(&r->waiters, &r->n_waiters, &r->cap_waiters) = (struct waiter){ job, due };
}

static int no_room(struct room *r, const struct room_want *want, uint64_t bytes, const struct sum *others, uint64_t free_bytes, struct err *e)
{
	char need[STR_SIZE_MAX], have[STR_SIZE_MAX], theirs[STR_SIZE_MAX], keep[STR_SIZE_MAX], begun[STR_SIZE_MAX], taken[STR_SIZE_MAX + 80] = "";

	str_format_size(need, bytes);
	str_format_size(have, free_bytes);
	str_format_size(theirs, others->left);
	str_format_size(keep, want->keep_free);
	if (r->claims)
		wait_locked(r, want->job, false);
	if (!fits(bytes, want->keep_free, free_bytes + others->begun))
		return err_set(e, ERR_NOSPACE, "%s needs %s more and %s are free (sync.keep_free leaves %s alone): make room in %s, the sync goes on by itself", want->name, need, have, keep,
			       store_data_dir(r->store));
	str_format_size(begun, others->begun);
	if (!fits(bytes, want->keep_free, free_bytes))	/* it can be given back, and is not free */
		snprintf(taken, sizeof(taken), ", beside %s that its unfinished files have taken already", begun);
	return err_set(e, ERR_NOSPACE, "waits for room beside %s%s: %s needs %s more, and of %s that are free %s are for what runs%s (sync.keep_free leaves %s alone)", r->claims->name,
		       r->claims->next ? " and others" : "", want->name, need, have, theirs, taken, keep);
}

int room_take(struct room *r, const struct room_want *want, struct room_claim **out, struct err *e)
{
	struct room_claim *c = claim_new(want);
	struct sum mine = { 0 }, others;
	uint64_t free_bytes;
	int rc;

	pthread_mutex_lock(&r->lock);
	add(r, c, &mine);
	others = sum_of_all(r);
	rc = store_free_bytes(r->store, &free_bytes, e);	/* last: what is begun meanwhile counts twice rather than not at all */
	if (!rc && mine.left && !fits(mine.left + others.left, want->keep_free, free_bytes))
		rc = no_room(r, want, mine.left, &others, free_bytes, e);
	if (!rc) {
		c->next = r->claims;
		r->claims = c;
	}
	pthread_mutex_unlock(&r->lock);
	if (rc)
		claim_free(c);
	else
		*out = c;
	return rc;
}

static int no_room_for_upload(struct room *r, uint64_t bytes, uint64_t keep_free, uint64_t others, uint64_t free_bytes, struct err *e)
{
	char need[STR_SIZE_MAX], have[STR_SIZE_MAX], theirs[STR_SIZE_MAX], keep[STR_SIZE_MAX];

	str_format_size(need, bytes);
	str_format_size(have, free_bytes);
	str_format_size(theirs, others);
	str_format_size(keep, keep_free);
	return err_set(e, ERR_NOSPACE, "%s are needed beside the %s that sync.keep_free leaves alone and %s for syncs and uploads that run, and %s are free: make room in %s, or lower that setting",
		       need, keep, theirs, have, store_data_dir(r->store));
}

int room_take_upload(struct room *r, const char *name, uint64_t bytes, uint64_t keep_free, struct room_claim **out, struct err *e)
{
	uint64_t free_bytes, others;
	int rc;

	pthread_mutex_lock(&r->lock);
	others = sum_of_all(r).left;
	rc = store_free_bytes(r->store, &free_bytes, e);
	if (!rc && (bytes > free_bytes || !fits(bytes + others, keep_free, free_bytes)))
		rc = no_room_for_upload(r, bytes, keep_free, others, free_bytes, e);
	if (!rc) {
		*out = mem_zalloc(sizeof(**out));
		**out = (struct room_claim){ .next = r->claims, .name = name, .upload = true, .small_bytes = bytes };
		r->claims = *out;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

void room_received(struct room *r, struct room_claim *c, uint64_t bytes)
{
	pthread_mutex_lock(&r->lock);
	c->small_bytes -= bytes < c->small_bytes ? bytes : c->small_bytes;
	pthread_mutex_unlock(&r->lock);
}

static int by_place(const void *file, const void *part)
{
	const struct fetch_file *f = file, *other = ((const struct part *)part)->file;

	return (f > other) - (f < other);
}

void room_wrote(struct room *r, struct room_claim *c, const struct fetch_file *f)
{
	struct part *p;

	pthread_mutex_lock(&r->lock);
	p = c->n_parts ? bsearch(f, c->parts, c->n_parts, sizeof(*c->parts), by_place) : NULL;
	if (p)
		p->size_bytes = 0;
	else
		c->small_bytes -= f->size_bytes;
	pthread_mutex_unlock(&r->lock);
}

void room_give(struct room *r, struct room_claim *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&r->lock);
	for (struct room_claim **at = &r->claims; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	/* An upload that is whole has taken all that it claimed: there is no more room than before. */
	for (size_t i = 0; i < r->n_waiters && (!c->upload || c->small_bytes); i++)
		r->waiters[i].due = true;
	pthread_mutex_unlock(&r->lock);
	claim_free(c);
}

uint64_t room_claimed(struct room *r)
{
	uint64_t bytes;

	pthread_mutex_lock(&r->lock);
	bytes = sum_of_all(r).left;
	pthread_mutex_unlock(&r->lock);
	return bytes;
}

/* ---- who waits ------------------------------------------------------------------------------------------------- */

int64_t room_due(struct room *r)
{
	int64_t job = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_waiters && !job; i++)
		if (r->waiters[i].due) {
			job = r->waiters[i].job;
			r->waiters[i] = r->waiters[--r->n_waiters];
		}
	pthread_mutex_unlock(&r->lock);
	return job;
}

void room_wait(struct room *r, int64_t job)
{
	pthread_mutex_lock(&r->lock);
	wait_locked(r, job, true);
	pthread_mutex_unlock(&r->lock);
}
