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
	uint64_t at;	/* of the file; a multiple of PARTIAL_ALIGN */
	bool cached;	/* written through the page cache: the hash may read it back soon */
};

struct stream {
	struct stream_want want;
	struct store *store;
	struct pool *pool;
	CURLM *wake;
	struct partial partial;
	pthread_t hasher, writer;
	bool threads;

	uint64_t resumed;	/* bytes of partial/ that were there at the start */
	struct spans taken;	/* the receivers' own: what is here, on its way to the disk, or some lane's to receive */
	int lanes;

	pthread_mutex_t lock;
	pthread_cond_t more;	/* something was pushed, or the end was reached, or a thread moved on */
	struct spans have;	/* in the file: found at the start, or written since */
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

static void passed_locked(struct stream *s, uint64_t *next)
{
	++*next;
	free_passed_locked(s);
	pthread_cond_broadcast(&s->more);
}

/* ---- the writer ----------------------------------------------------------------------------------------------- */

/* The next chunk to write, waiting for it; false at the end, at a stop and after a failure. */
static bool next_chunk(struct stream *s, struct chunk *c)
{
	bool got;

	pthread_mutex_lock(&s->lock);
	while (s->written == s->pushed && !s->eof && !s->stop && !s->rc)
		pthread_cond_wait(&s->more, &s->lock);
	got = s->written < s->pushed && !s->rc;
	if (got)
		*c = s->ring[s->written % STREAM_RING];
	pthread_mutex_unlock(&s->lock);
	return got;
}

static int write_chunk(struct stream *s, const struct chunk *c, struct err *e)
{
	size_t padded = (c->n + PARTIAL_ALIGN - 1) / PARTIAL_ALIGN * PARTIAL_ALIGN;

	if (s->partial.direct_fd >= 0 && !c->cached) {
		memset((char *)c->buffer + c->n, 0, padded - c->n);	/* the file's last block; cut off again when it is published */
		if (pwrite(s->partial.direct_fd, c->buffer, padded, (off_t)c->at) == (ssize_t)padded)
			return 0;
		/* A refused, short or failed direct write: the buffered way says what is wrong. */
	}
	for (size_t done = 0; done < c->n; done += BUFFERED_WRITE_BYTES) {
		size_t n = c->n - done < BUFFERED_WRITE_BYTES ? c->n - done : BUFFERED_WRITE_BYTES;
		int rc = fdio_pwrite(s->partial.fd, (const char *)c->buffer + done, n, c->at + done, s->want.path, e);

		if (rc)
			return rc;
	}
	return 0;
}

/* Whole blocks only: a transfer goes on at a block's begin. Ranges that hold none are left out. */
static size_t whole_blocks(const struct spans *have, uint64_t size_bytes, struct partial_range out[SPANS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < have->n; i++) {
		uint64_t begin = (have->at[i].begin + PARTIAL_ALIGN - 1) / PARTIAL_ALIGN * PARTIAL_ALIGN, end = have->at[i].end;

		if (end != size_bytes)
			end = end / PARTIAL_ALIGN * PARTIAL_ALIGN;
		if (begin < end)
			out[n++] = (struct partial_range){ begin, end };
	}
	return n;
}

static int note(struct stream *s, struct err *e)
{
	struct partial_range have[SPANS_MAX];
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = whole_blocks(&s->have, s->want.size_bytes, have);
	pthread_mutex_unlock(&s->lock);
	return n ? partial_note(&s->partial, have, n, e) : 0;
}

/* The chunk is in the file: count it, and say whether the file is whole. */
static int wrote(struct stream *s, const struct chunk *c, bool *whole, struct err *e)
{
	bool added;

	pthread_mutex_lock(&s->lock);
	added = spans_add(&s->have, c->at, c->at + c->n);
	*whole = spans_upto(&s->have, 0) == s->want.size_bytes;
	passed_locked(s, &s->written);
	pthread_mutex_unlock(&s->lock);
	return added ? 0 : err_set(e, ERR_LIMIT, "it is in more than %d pieces", SPANS_MAX);
}

static void *write_all(void *arg)
{
	struct stream *s = arg;
	struct err e = ERR_NONE;
	struct chunk c;
	uint64_t since_note = 0;
	bool whole = false;
	int rc = 0;

	while (!rc && next_chunk(s, &c)) {
		rc = write_chunk(s, &c, &e);
		if (!rc)
			rc = wrote(s, &c, &whole, &e);
		since_note += c.n;
		if (!rc && since_note >= STREAM_NOTE_BYTES && !whole) {
			rc = note(s, &e);
			since_note = 0;
		}
	}
	if (!rc && since_note && !whole)
		rc = note(s, &e);
	if (rc) {
		err_wrap(&e, "write '%s'", s->want.path);
		fail(s, rc, &e);
	}
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

enum hash_turn {
	HASH_CHUNK,	/* look at the next buffer of the ring */
	HASH_READ,	/* the file has what comes next */
	HASH_END,	/* all is hashed; or a stop, or a failure */
};

/*
 * What to do next, waiting for it. Buffers come first, because others wait for them; so whatever the file has by the time that it is read
 * has passed here as a buffer already, and is read back because it came too early.
 */
static enum hash_turn next_turn(struct stream *s, uint64_t at, struct chunk *c, size_t *n)
{
	enum hash_turn turn = HASH_END;
	uint64_t upto;

	pthread_mutex_lock(&s->lock);
	while (!s->rc && !s->stop && at < s->want.size_bytes) {
		if (s->hashed < s->pushed) {
			*c = s->ring[s->hashed % STREAM_RING];
			turn = HASH_CHUNK;
			break;
		}
		upto = spans_upto(&s->have, at);
		if (upto > at) {
			*n = upto - at < REREAD_BYTES ? (size_t)(upto - at) : REREAD_BYTES;
			turn = HASH_READ;
			break;
		}
		pthread_cond_wait(&s->more, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return turn;
}

static void looked_at(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	passed_locked(s, &s->hashed);
	pthread_mutex_unlock(&s->lock);
}

/* The whole file, front to back. */
static int hash_file(struct stream *s, struct hashes *h, struct err *e)
{
	own(mem) char *buf = mem_zalloc(REREAD_BYTES);
	enum hash_turn turn;
	uint64_t at = 0;
	struct chunk c;
	size_t n;
	int rc = 0;

	while (!rc && (turn = next_turn(s, at, &c, &n)) != HASH_END) {
		if (turn == HASH_CHUNK) {
			if (c.at == at) {
				hash(h, c.buffer, c.n);
				at += c.n;
			}
			looked_at(s);
			continue;
		}
		rc = fdio_pread_exact(s->partial.fd, buf, n, at, s->want.path, e);
		if (!rc)
			hash(h, buf, n);
		at += n;
	}
	return !rc && at < s->want.size_bytes ? err_set(e, ERR_CANCELED, "stopped") : rc;
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

/* Everything is hashed. Waits for the writer to have written the last chunk, too; false when it failed or a stop came first. */
static bool all_written(struct stream *s)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	while ((!s->eof || s->written < s->pushed) && !s->stop && !s->rc)
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
	int rc;

	digest_begin(&h.sha256, DIGEST_SHA256);
	if (h.is_git)
		git_object_begin(&h.git, GIT_BLOB, s->want.size_bytes);
	rc = hash_file(s, &h, &e);
	if (!rc && all_written(s))
		rc = conclude(s, &h, &e);
	digest_done(&h.sha256);
	digest_done(&h.git);
	pthread_mutex_lock(&s->lock);
	if (rc && rc != ERR_CANCELED)	/* after a stop the writer goes on with what was pushed */
		fail_locked(s, rc, &e);
	s->ended = true;
	curl_multi_wakeup(s->wake);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the receivers' side -------------------------------------------------------------------------------------- */

/* What partial/ vouches for. Half of the ranges at most are believed, so that there is place for those of this time. */
static void take_over(struct stream *s)
{
	struct spans found = { .n = s->partial.n_have < SPANS_MAX / 2 ? s->partial.n_have : SPANS_MAX / 2 };

	memcpy(found.at, s->partial.have, found.n * sizeof(*found.at));
	s->have.n = whole_blocks(&found, s->want.size_bytes, s->have.at);
	s->taken = s->have;
	s->resumed = spans_bytes(&s->have);
}

static int open_partial(struct stream *s, struct err *e)
{
	const struct digest *id = s->want.sha256.algo == DIGEST_NONE ? &s->want.git_oid : &s->want.sha256;
	int rc = partial_open(&s->partial, s->store, id, s->want.size_bytes, e);

	if (!rc && s->want.afresh)
		rc = partial_restart(&s->partial, e);
	if (!rc)
		take_over(s);
	return rc;
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
	partial_close(&s->partial);
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint64_t stream_resumed(const struct stream *s)
{
	return s->resumed;
}

uint64_t stream_unclaimed(const struct stream *s)
{
	return s->want.size_bytes - spans_bytes(&s->taken);
}

enum stream_claim stream_claim(struct stream *s, struct stream_lane *l, uint64_t max)
{
	struct partial_range gap;

	if (!spans_gap(&s->taken, 0, s->want.size_bytes, &gap))
		return STREAM_ALL_TAKEN;
	if (!l->open && (s->lanes == STREAM_LANES_MAX || !pool_enter(s->pool, s->lanes ? POOL_FURTHER : POOL_FIRST)))
		return STREAM_NO_BUFFER;
	s->lanes += !l->open;
	l->open = true;
	l->at = gap.begin;
	l->end = gap.end - gap.begin > max ? gap.begin + max / PARTIAL_ALIGN * PARTIAL_ALIGN : gap.end;
	spans_add(&s->taken, l->at, l->end);
	return STREAM_CLAIMED;
}

void stream_cut(struct stream *s, struct stream_lane *l, uint64_t end)
{
	if (end > l->at && end < l->end && spans_remove(&s->taken, end, l->end))
		l->end = end;
}

void stream_extend(struct stream *s, struct stream_lane *l, uint64_t limit)
{
	struct partial_range gap;

	if (spans_gap(&s->taken, l->end, limit, &gap) && gap.begin == l->end && spans_add(&s->taken, gap.begin, gap.end))
		l->end = gap.end;
}

static void hand_on(struct stream *s, struct stream_lane *l)
{
	pthread_mutex_lock(&s->lock);
	if (l->filled)
		s->ring[s->pushed++ % STREAM_RING] = (struct chunk){ take(l->filling), l->filled, l->at - l->filled, s->lanes > 1 };
	l->filled = 0;
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
}

/*
 * Are there places in the ring for what one push may hand on, two buffers? Waits a moment for one: a pause would make libcurl copy what it holds, which
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
	while (!(place = s->pushed - s->freed + 2 <= STREAM_RING) && !s->rc)
		if (pthread_cond_timedwait(&s->more, &s->lock, &until))
			break;
	s->starved = !place;
	pthread_mutex_unlock(&s->lock);
	return place;
}

uint64_t stream_release(struct stream *s, struct stream_lane *l)
{
	uint64_t lost = 0;

	if (!l->open)
		return 0;
	if (l->filled)
		lost = ring_has_place(s) ? l->filled % PARTIAL_ALIGN : l->filled;
	l->at -= lost;
	l->filled -= (size_t)lost;
	spans_remove(&s->taken, l->at, l->end);
	hand_on(s, l);
	pool_give(s->pool, l->filling);
	pool_leave(s->pool);
	s->lanes--;
	*l = (struct stream_lane){ 0 };
	return lost;
}

static bool broken(struct stream *s)
{
	bool yes;

	pthread_mutex_lock(&s->lock);
	yes = s->rc != 0;
	pthread_mutex_unlock(&s->lock);
	return yes;
}

enum stream_room stream_push(struct stream *s, struct stream_lane *l, const void *p, size_t n)
{
	size_t piece = s->lanes > 1 ? STREAM_PIECE_BYTES : POOL_BUFFER_BYTES;
	size_t full = l->filled < piece ? piece : POOL_BUFFER_BYTES;
	size_t room = l->filling ? full - l->filled : 0, first = n < room ? n : room;
	void *further = NULL;

	if (broken(s))
		return STREAM_BROKEN;
	if ((n >= room || l->at + n == l->end) && !ring_has_place(s))
		return STREAM_FULL;
	if (n > room) {
		further = pool_take(s->pool);
		if (!further)
			return STREAM_FULL;
	}
	if (first)
		memcpy((char *)l->filling + l->filled, p, first);
	l->filled += first;
	l->at += first;
	if (l->filled == full)
		hand_on(s, l);
	if (further) {
		l->filling = further;
		memcpy(further, (const char *)p + first, n - first);
		l->filled = n - first;
		l->at += n - first;
	}
	if (l->at == l->end || l->filled == piece)
		hand_on(s, l);
	return STREAM_TOOK;
}

void stream_finish(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->eof = true;
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
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
