/* stream.c - see stream.h. */
#include "registryd/stream.h"

#include <errno.h>
#include <sys/uio.h>

#include "base/cond.h"
#include "base/copy.h"
#include "base/fdio.h"
#include "base/vec.h"
#include "catalog/partial.h"
#include "registryd/net.h"
#include "verify/git_object.h"

#define BUFFERED_WRITE_BYTES (256u << 10)	/* larger buffered writes were measured to be slower */
#define REREAD_BYTES	     (256u << 10)
#define BATCH_MAX	     4	/* buffers in one direct write, when the disk has let so many wait */
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
	pthread_cond_t to_write, to_hash, room;	/* what the writer, the hasher and the receiver wait for: nobody is woken for what concerns another */
	struct spans have;			/* in the file: found at the start, or written since */
	uint64_t hash_at;			/* the byte that the hash goes on with */
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

static void wake_all_locked(struct stream *s)
{
	pthread_cond_signal(&s->to_write);
	pthread_cond_signal(&s->to_hash);
	pthread_cond_signal(&s->room);
}

static void fail_locked(struct stream *s, int rc, const struct err *e)
{
	if (s->rc)
		return;
	__atomic_store_n(&s->rc, rc, __ATOMIC_RELAXED);
	s->err = *e;
	wake_all_locked(s);
	curl_multi_wakeup(s->wake);
}

static void fail(struct stream *s, int rc, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	fail_locked(s, rc, e);
	pthread_mutex_unlock(&s->lock);
}

/* Is there place for what one push may hand on, two buffers? */
static bool has_place_locked(const struct stream *s)
{
	return s->pushed - s->freed + 2 <= STREAM_RING;
}

static void free_passed_locked(struct stream *s)
{
	uint64_t passed = s->hashed < s->written ? s->hashed : s->written;

	for (; s->freed < passed; s->freed++)
		pool_give(s->pool, take(s->ring[s->freed % STREAM_RING].buffer));
	if (has_place_locked(s))
		pthread_cond_signal(&s->room);
	if (s->starved) {
		s->starved = false;
		curl_multi_wakeup(s->wake);
	}
}

/* ---- the writer ----------------------------------------------------------------------------------------------- */

/* Chunks that follow one another in the file, to be written alike. */
struct batch {
	struct chunk chunk[BATCH_MAX];
	size_t n;
	uint64_t bytes;
};

static bool goes_on(const struct batch *b, const struct chunk *c)
{
	return b->n < BATCH_MAX && c->at == b->chunk[0].at + b->bytes && c->cached == b->chunk[0].cached && b->bytes % PARTIAL_ALIGN == 0;
}

/* What is to be written next, waiting for it; false at the end, at a stop and after a failure. */
static bool next_batch(struct stream *s, struct batch *b)
{
	b->n = 0;
	b->bytes = 0;
	pthread_mutex_lock(&s->lock);
	while (s->written == s->pushed && !s->eof && !s->stop && !s->rc)
		pthread_cond_wait(&s->to_write, &s->lock);
	for (uint64_t i = s->written; i < s->pushed && !s->rc; i++) {
		const struct chunk *c = &s->ring[i % STREAM_RING];

		if (b->n && !goes_on(b, c))
			break;
		b->chunk[b->n++] = *c;
		b->bytes += c->n;
	}
	pthread_mutex_unlock(&s->lock);
	return b->n > 0;
}

static bool write_direct(struct stream *s, const struct batch *b)
{
	struct iovec v[BATCH_MAX];
	const struct chunk *last = &b->chunk[b->n - 1];
	size_t padding = -last->n % PARTIAL_ALIGN;

	if (s->partial.direct_fd < 0 || last->cached)
		return false;
	for (size_t i = 0; i < b->n; i++)
		v[i] = (struct iovec){ b->chunk[i].buffer, b->chunk[i].n };
	memset((char *)last->buffer + last->n, 0, padding);	/* the file's last block; cut off again when it is published */
	v[b->n - 1].iov_len += padding;
	return pwritev(s->partial.direct_fd, v, (int)b->n, (off_t)b->chunk[0].at) == (ssize_t)(b->bytes + padding);
}

static int write_buffered(struct stream *s, const struct chunk *c, struct err *e)
{
	for (size_t done = 0; done < c->n; done += BUFFERED_WRITE_BYTES) {
		size_t n = c->n - done < BUFFERED_WRITE_BYTES ? c->n - done : BUFFERED_WRITE_BYTES;
		int rc = fdio_pwrite(s->partial.fd, (const char *)c->buffer + done, n, c->at + done, s->want.path, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int write_batch(struct stream *s, const struct batch *b, struct err *e)
{
	int rc = 0;

	if (write_direct(s, b))
		return 0;
	/* Not to be had, or a refused, short or failed direct write: the buffered way says what is wrong. */
	for (size_t i = 0; i < b->n && !rc; i++)
		rc = write_buffered(s, &b->chunk[i], e);
	return rc;
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

static int note(struct stream *s, enum partial_care care, struct err *e)
{
	struct partial_range have[SPANS_MAX];
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = whole_blocks(&s->have, s->want.size_bytes, have);
	pthread_mutex_unlock(&s->lock);
	return n ? partial_note(&s->partial, care, have, n, e) : 0;
}

/* What has been written since it was noted last, and since it was flushed. */
struct unnoted {
	uint64_t bytes, unflushed;
	int64_t flushed_ms;
};

static int note_flushed(struct stream *s, struct unnoted *u, struct err *e)
{
	int rc = note(s, PARTIAL_FLUSHED, e);

	*u = (struct unnoted){ .flushed_ms = net_now_ms() };
	return rc;
}

/* A flush waits for the disk, and one every few MiB was measured to halve what a slow disk writes; a note alone costs next to nothing. */
static int note_when_due(struct stream *s, struct unnoted *u, uint64_t wrote, struct err *e)
{
	int rc;

	u->bytes += wrote;
	u->unflushed += wrote;
	if (u->bytes < STREAM_NOTE_BYTES)
		return 0;
	u->bytes = 0;
	rc = note(s, PARTIAL_WRITTEN, e);	/* before a flush too: that takes long */
	if (!rc && (u->unflushed >= STREAM_FLUSH_BYTES || net_now_ms() - u->flushed_ms >= STREAM_FLUSH_MS))
		rc = note_flushed(s, u, e);
	return rc;
}

/* The batch is in the file: count it, and say whether the file is whole. */
static int wrote(struct stream *s, const struct batch *b, bool *whole, struct err *e)
{
	bool added;

	pthread_mutex_lock(&s->lock);
	added = spans_add(&s->have, b->chunk[0].at, b->chunk[0].at + b->bytes);
	*whole = spans_upto(&s->have, 0) == s->want.size_bytes;
	s->written += b->n;
	free_passed_locked(s);
	if (spans_upto(&s->have, s->hash_at) > s->hash_at || (s->eof && s->written == s->pushed))	/* it may wait for what came too early, or for the end */
		pthread_cond_signal(&s->to_hash);
	pthread_mutex_unlock(&s->lock);
	return added ? 0 : err_set(e, ERR_LIMIT, "it is in more than %d pieces", SPANS_MAX);
}

static void *write_all(void *arg)
{
	struct stream *s = arg;
	struct err e = ERR_NONE;
	struct batch b;
	struct unnoted u = { .flushed_ms = net_now_ms() };
	bool whole = false;
	int rc = 0;

	while (!rc && next_batch(s, &b)) {
		rc = write_batch(s, &b, &e);
		if (!rc)
			rc = wrote(s, &b, &whole, &e);
		if (!rc && !whole)
			rc = note_when_due(s, &u, b.bytes, &e);
	}
	if (!rc && u.unflushed && !whole)
		rc = note_flushed(s, &u, &e);
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
	s->hash_at = at;
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
		pthread_cond_wait(&s->to_hash, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return turn;
}

static void looked_at(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->hashed++;
	free_passed_locked(s);
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
		pthread_cond_wait(&s->to_hash, &s->lock);
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
	pthread_cond_init(&s->to_write, NULL);
	pthread_cond_init(&s->to_hash, NULL);
	cond_init(&s->room);
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
	s->stop = true;
	wake_all_locked(s);
	pthread_mutex_unlock(&s->lock);
	if (s->threads) {
		pthread_join(s->writer, NULL);
		pthread_join(s->hasher, NULL);
	}
	for (size_t i = 0; i < STREAM_RING; i++)
		pool_give(s->pool, s->ring[i].buffer);
	partial_close(&s->partial);
	pthread_cond_destroy(&s->to_write);
	pthread_cond_destroy(&s->to_hash);
	pthread_cond_destroy(&s->room);
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
	pthread_mutex_unlock(&s->lock);
	pthread_cond_signal(&s->to_hash);
	pthread_cond_signal(&s->to_write);
}

/*
 * Is there place in the ring? Waits a moment for it: a pause would make libcurl copy what it holds, which was measured to cost more than hashing
 * it. The threads that make room need nothing from the caller. Else asks to be woken.
 */
static bool ring_has_place(struct stream *s)
{
	struct timespec until = cond_deadline(PUSH_WAIT_MS);
	bool place;

	pthread_mutex_lock(&s->lock);
	while (!(place = has_place_locked(s)) && !s->rc)
		if (pthread_cond_timedwait(&s->room, &s->lock, &until))
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

enum stream_room stream_push(struct stream *s, struct stream_lane *l, const void *p, size_t n)
{
	size_t piece = s->lanes > 1 ? STREAM_PIECE_BYTES : POOL_BUFFER_BYTES;
	size_t full = l->filled < piece ? piece : POOL_BUFFER_BYTES;
	size_t room = l->filling ? full - l->filled : 0, first = n < room ? n : room;
	void *further = NULL;

	if (__atomic_load_n(&s->rc, __ATOMIC_RELAXED))
		return STREAM_BROKEN;
	if ((n >= room || l->at + n == l->end) && !ring_has_place(s))
		return STREAM_FULL;
	if (n > room) {
		further = pool_take(s->pool);
		if (!further)
			return STREAM_FULL;
	}
	if (first)
		copy_far((char *)l->filling + l->filled, p, first);
	l->filled += first;
	l->at += first;
	if (l->filled == full)
		hand_on(s, l);
	if (further) {
		l->filling = further;
		copy_far(further, (const char *)p + first, n - first);
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
	wake_all_locked(s);
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
