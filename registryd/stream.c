/* stream.c - see stream.h. */
#include "registryd/stream.h"

#include <errno.h>

#include "base/fdio.h"
#include "base/vec.h"
#include "catalog/partial.h"
#include "verify/git_object.h"

#define BUFFERED_WRITE_BYTES (256u << 10)	/* larger buffered writes were measured to be slower */
#define REREAD_BYTES	     (256u << 10)
#define PUSH_WAIT_MS	     20	/* how long the receiver waits for room before it pauses the transfer */

struct chunk {
	void *buffer;
	size_t n;
};

struct stream {
	struct stream_want want;
	struct store *store;
	struct pool *pool;
	CURLM *wake;
	struct partial partial;
	pthread_t hasher, writer;
	bool threads;

	uint64_t resumed;	/* bytes of partial/ that were there at the start; the hash thread reads them back */
	void *filling;		/* buffer that the receiver fills, its own until pushed */
	size_t filled;
	uint64_t offset;	/* received: the receiver's own */

	pthread_mutex_t lock;
	pthread_cond_t more;	/* something was pushed, or the end was reached, or a thread moved on */
	/*
	 * Chunks are numbered from 0; number i lies at ring[i % STREAM_RING]. hashed, written <= pushed; a buffer goes back to the pool
	 * once both have passed it (freed = the smaller of the two), and pushed - freed < STREAM_RING.
	 */
	struct chunk ring[STREAM_RING];
	uint64_t pushed, hashed, written, freed;
	bool eof, stop, starved, ended;
	int rc;
	struct err err;
	struct digest sha256;
};

static void fail_locked(struct stream *s, int rc, const struct err *e)
{
	if (s->rc)
		return;
	s->rc = rc;
	s->err = *e;
	pthread_cond_broadcast(&s->more);
	curl_multi_wakeup(s->wake);
}

static void fail(struct stream *s, int rc, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	fail_locked(s, rc, e);
	pthread_mutex_unlock(&s->lock);
}

static void free_passed_locked(struct stream *s)
{
	uint64_t passed = s->hashed < s->written ? s->hashed : s->written;

	for (; s->freed < passed; s->freed++)
		pool_give(s->pool, take(s->ring[s->freed % STREAM_RING].buffer));
	if (s->starved) {
		s->starved = false;
		curl_multi_wakeup(s->wake);
	}
}

/* The chunk at *next, waiting for it; false at the end, at a stop and after a failure. */
static bool next_chunk(struct stream *s, const uint64_t *next, struct chunk *c)
{
	bool got;

	pthread_mutex_lock(&s->lock);
	while (*next == s->pushed && !s->eof && !s->stop && !s->rc)
		pthread_cond_wait(&s->more, &s->lock);
	got = *next < s->pushed && !s->rc;
	if (got)
		*c = s->ring[*next % STREAM_RING];
	pthread_mutex_unlock(&s->lock);
	return got;
}

static void passed(struct stream *s, uint64_t *next)
{
	pthread_mutex_lock(&s->lock);
	++*next;
	free_passed_locked(s);
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the writer ----------------------------------------------------------------------------------------------- */

static int write_chunk(struct stream *s, const struct chunk *c, uint64_t at, struct err *e)
{
	size_t padded = (c->n + PARTIAL_ALIGN - 1) / PARTIAL_ALIGN * PARTIAL_ALIGN;

	if (s->partial.direct_fd >= 0) {
		memset((char *)c->buffer + c->n, 0, padded - c->n);	/* the last block; cut off again when it is published */
		if (pwrite(s->partial.direct_fd, c->buffer, padded, (off_t)at) == (ssize_t)padded)
			return 0;
		/* A refused, short or failed direct write: the buffered way says what is wrong. */
	}
	for (size_t done = 0; done < c->n; done += BUFFERED_WRITE_BYTES) {
		size_t n = c->n - done < BUFFERED_WRITE_BYTES ? c->n - done : BUFFERED_WRITE_BYTES;
		int rc = fdio_pwrite(s->partial.fd, (const char *)c->buffer + done, n, at + done, s->want.path, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int note(struct stream *s, uint64_t upto, struct err *e)
{
	struct partial_range all = { 0, upto };

	return upto ? partial_note(&s->partial, &all, 1, e) : 0;
}

static void *write_all(void *arg)
{
	struct stream *s = arg;
	uint64_t at = s->resumed, noted = at;
	struct err e = ERR_NONE;
	struct chunk c;
	int rc = 0;

	while (next_chunk(s, &s->written, &c)) {
		rc = write_chunk(s, &c, at, &e);
		if (!rc) {
			at += c.n;
			if (at - noted >= STREAM_NOTE_BYTES && at < s->want.size_bytes) {
				rc = note(s, at, &e);
				noted = at;
			}
		}
		if (rc) {
			err_wrap(&e, "write '%s'", s->want.path);
			fail(s, rc, &e);
			return NULL;
		}
		passed(s, &s->written);
	}
	if (at < s->want.size_bytes && at > noted && note(s, at / PARTIAL_ALIGN * PARTIAL_ALIGN, &e))
		fail(s, e.code, &e);
	return NULL;
}

/* ---- the hasher ----------------------------------------------------------------------------------------------- */

struct hashes {
	struct digest_ctx sha256, git;
	bool is_git;
};

static void hash(struct hashes *h, const void *p, size_t n)
{
	digest_update(&h->sha256, p, n);
	if (h->is_git)
		digest_update(&h->git, p, n);
}

static int hash_resumed(struct stream *s, struct hashes *h, struct err *e)
{
	own(mem) char *buf = mem_zalloc(REREAD_BYTES);
	int rc;

	for (uint64_t at = 0; at < s->resumed; at += REREAD_BYTES) {
		size_t n = s->resumed - at < REREAD_BYTES ? (size_t)(s->resumed - at) : REREAD_BYTES;

		rc = fdio_pread_exact(s->partial.fd, buf, n, at, s->want.path, e);
		if (rc)
			return rc;
		if (__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
			return err_set(e, ERR_CANCELED, "stopped");
		hash(h, buf, n);
	}
	return 0;
}

static int compare(struct stream *s, const struct digest *sha256, const struct digest *git, struct err *e)
{
	char want[DIGEST_HEX_MAX], got[DIGEST_HEX_MAX];
	bool by_git = s->want.sha256.algo == DIGEST_NONE;
	const struct digest *w = by_git ? &s->want.git_oid : &s->want.sha256, *g = by_git ? git : sha256;

	if (digest_equal(w, g))
		return 0;
	digest_hex(want, w);
	digest_hex(got, g);
	return err_set(e, ERR_MISMATCH, "%s mismatch in '%s': the listing says %.16s…, the bytes that came are %.16s…", by_git ? "git object id" : "sha256", s->want.path, want, got);
}

static int conclude(struct stream *s, struct hashes *h, struct err *e)
{
	struct digest sha256, git = { 0 };
	int rc;

	digest_end(&h->sha256, &sha256);
	if (h->is_git)
		digest_end(&h->git, &git);
	rc = compare(s, &sha256, &git, e);
	if (!rc) {
		s->sha256 = sha256;
		rc = partial_publish(&s->partial, &sha256, e);
		return rc ? err_wrap(e, "store '%s'", s->want.path) : 0;
	}
	if (!s->want.keep_wrong)
		partial_restart(&s->partial, NULL);
	else if (!partial_quarantine(&s->partial, &sha256, e->msg, time(NULL), NULL) && strlen(e->msg) + 24 < sizeof(e->msg))
		snprintf(e->msg + strlen(e->msg), 24, " (kept in quarantine/)");
	return rc;
}

/* Waits for the writer to have written the last chunk; false when it failed or a stop came first. */
static bool all_written(struct stream *s)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	while (s->written < s->pushed && !s->stop && !s->rc)
		pthread_cond_wait(&s->more, &s->lock);
	ok = s->eof && !s->rc && s->written == s->pushed;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

static void *hash_all(void *arg)
{
	struct stream *s = arg;
	struct hashes h = { .is_git = s->want.git_oid.algo == DIGEST_SHA1 };
	struct err e = ERR_NONE;
	struct chunk c;
	int rc;

	digest_begin(&h.sha256, DIGEST_SHA256);
	if (h.is_git)
		git_object_begin(&h.git, GIT_BLOB, s->want.size_bytes);
	rc = hash_resumed(s, &h, &e);
	while (!rc && next_chunk(s, &s->hashed, &c)) {
		hash(&h, c.buffer, c.n);
		passed(s, &s->hashed);
	}
	if (!rc && all_written(s))
		rc = conclude(s, &h, &e);
	digest_done(&h.sha256);
	digest_done(&h.git);
	pthread_mutex_lock(&s->lock);
	if (rc)
		fail_locked(s, rc, &e);
	s->ended = true;
	curl_multi_wakeup(s->wake);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the receiver's side -------------------------------------------------------------------------------------- */

static int open_partial(struct stream *s, struct err *e)
{
	const struct digest *id = s->want.sha256.algo == DIGEST_NONE ? &s->want.git_oid : &s->want.sha256;
	int rc = partial_open(&s->partial, s->store, id, s->want.size_bytes, e);

	if (!rc && s->want.afresh)
		rc = partial_restart(&s->partial, e);
	if (rc)
		return rc;
	s->resumed = s->want.afresh ? 0 : partial_prefix(&s->partial);
	if (s->resumed > s->want.size_bytes)
		s->resumed = 0;
	if (s->resumed < s->want.size_bytes)	/* direct writes go on at a block's begin */
		s->resumed = s->resumed / PARTIAL_ALIGN * PARTIAL_ALIGN;
	s->offset = s->resumed;
	return 0;
}

int stream_open(struct stream **out, struct store *st, struct pool *pool, const struct stream_want *want, CURLM *wake, struct err *e)
{
	struct stream *s = mem_zalloc(sizeof(*s));
	int rc;

	s->want = *want;
	s->store = st;
	s->pool = pool;
	s->wake = wake;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	rc = open_partial(s, e);
	if (rc) {
		stream_close(s);
		return rc;
	}
	if (pthread_create(&s->hasher, NULL, hash_all, s) || pthread_create(&s->writer, NULL, write_all, s))
		abort();	/* no thread to be had: nothing sensible is left to do */
	s->threads = true;
	*out = s;
	return 0;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
	if (s->threads) {
		pthread_join(s->writer, NULL);
		pthread_join(s->hasher, NULL);
	}
	for (size_t i = 0; i < STREAM_RING; i++)
		pool_give(s->pool, s->ring[i].buffer);
	pool_give(s->pool, s->filling);
	partial_close(&s->partial);
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint64_t stream_offset(const struct stream *s)
{
	return s->offset;
}

uint64_t stream_resumed(const struct stream *s)
{
	return s->resumed;
}

static void push_filled(struct stream *s, bool eof)
{
	pthread_mutex_lock(&s->lock);
	if (s->filled)
		s->ring[s->pushed++ % STREAM_RING] = (struct chunk){ take(s->filling), s->filled };
	s->filled = 0;
	s->eof = eof;
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
}

/*
 * Is there a place in the ring besides the buffer being filled? Waits a moment for one: a pause would make libcurl copy what it holds, which
 * was measured to cost more than hashing it. The threads that make room need nothing from the caller. Else asks to be woken.
 */
static bool ring_has_place(struct stream *s)
{
	struct timespec until;
	bool place;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PUSH_WAIT_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&s->lock);
	while (!(place = s->pushed - s->freed < STREAM_RING - 1) && !s->rc)
		if (pthread_cond_timedwait(&s->more, &s->lock, &until))
			break;
	s->starved = !place;
	pthread_mutex_unlock(&s->lock);
	return place;
}

enum stream_room stream_push(struct stream *s, const void *p, size_t n)
{
	size_t room = s->filling ? POOL_BUFFER_BYTES - s->filled : 0, first = n < room ? n : room;
	void *further = NULL;

	pthread_mutex_lock(&s->lock);
	bool broken = s->rc != 0;
	pthread_mutex_unlock(&s->lock);
	if (broken)
		return STREAM_BROKEN;
	if (n > room) {
		if (!ring_has_place(s))
			return STREAM_FULL;
		further = pool_take(s->pool);
		if (!further)
			return STREAM_FULL;
	}
	if (first)
		memcpy((char *)s->filling + s->filled, p, first);
	s->filled += first;
	if (s->filled == POOL_BUFFER_BYTES)
		push_filled(s, false);
	if (further) {
		s->filling = further;
		memcpy(further, (const char *)p + first, n - first);
		s->filled = n - first;
	}
	s->offset += n;
	return STREAM_TOOK;
}

void stream_finish(struct stream *s)
{
	push_filled(s, true);
}

bool stream_ended(struct stream *s, struct digest *sha256, int *rc, struct err *e)
{
	bool ended;

	pthread_mutex_lock(&s->lock);
	ended = s->ended || s->rc;
	if (ended) {
		*rc = s->rc;
		*e = s->err;
		*sha256 = s->sha256;
	}
	pthread_mutex_unlock(&s->lock);
	return ended;
}
