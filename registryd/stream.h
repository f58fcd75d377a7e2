/*
 * stream.h - one large file between the network and the store. Receivers copy bytes into 1 MiB buffers; a hash thread and a writer
 * thread take each full buffer at the same time, so that hashing costs no second pass and the disk no waiting:
 *
 *	stream_push() -> ring of buffers -> hash thread   SHA-256, and the git blob id of a git file
 *	                                 -> writer thread  direct writes into partial/, noted every few MiB, flushed now and then
 *
 * A file may be received in several lanes side by side, each a range that no other has. The hash goes front to back all the same: a buffer
 * that lies further on than the hash has come is only written, and read back from the file when the hash gets there. With more than one lane
 * the writes go through the page cache, so that this reading back costs no disk; memory of ours it costs none, however far the lanes are
 * apart. What partial/ holds when the stream is opened, holes and all, is treated alike.
 *
 * When all bytes have come the hash thread compares, and publishes the content in the store. The stream outlives a broken connection:
 * receiving goes on at the lane's `at`. All calls come from one thread.
 */
#ifndef REGISTRYD_STREAM_H
#define REGISTRYD_STREAM_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalog/store.h"
#include "registryd/pool.h"
#include "registryd/spans.h"
#include "verify/digest.h"

#define STREAM_RING	  8		/* buffers one stream may hold */
#define STREAM_NOTE_BYTES (1u << 20)	/* written since the last note in partial/: what a kill costs, with the ring */
#define STREAM_FLUSH_BYTES (64u << 20)	/* written since the last flush: what a power cut costs, with the ring */
#define STREAM_FLUSH_MS	  2000		/* and for how long at most, where bytes come slowly */
#define STREAM_LANES_MAX  16
#define STREAM_PIECE_BYTES (256u << 10)	/* what lanes side by side hand on at a time: what a crash costs for each of them */
#define STREAM_PUSH_MAX	  STREAM_PIECE_BYTES

struct stream;

struct stream_want {
	const char *path;	/* for messages; lives as long as the stream */
	uint64_t size_bytes;
	struct digest sha256;	/* what upstream claims, or DIGEST_NONE */
	struct digest git_oid;	/* of the content of a git file, or DIGEST_NONE */
	bool afresh;		/* what partial/ holds is not used: it proved wrong */
	bool keep_wrong;	/* wrong bytes go to quarantine/ (the last try), else they are dropped */
};

/* `wake` is woken whenever a full stream has room again, and when it has ended. */
int stream_open(struct stream **out, struct store *st, struct pool *pool, const struct stream_want *want, CURLM *wake, struct err *e);
/* Ends the threads, notes what was written, closes. The partial file stays unless it was published. Lanes are released first. Accepts NULL. */
void stream_close(struct stream *s);

uint64_t stream_resumed(const struct stream *s);	/* bytes that partial/ held when it was opened */
uint64_t stream_unclaimed(const struct stream *s);	/* bytes that are neither here nor any lane's */

/* A range that one connection receives, front to back. Zeroed: closed. */
struct stream_lane {
	uint64_t at, end;	/* the byte to receive next; the first one that is not its own */
	void *filling;		/* private: a buffer that is not handed on yet, and the bytes in it, the last of which is at - 1 */
	size_t filled;
	bool open;
};

enum stream_claim {
	STREAM_CLAIMED,
	STREAM_ALL_TAKEN,	/* all bytes are here, or another lane's */
	STREAM_NO_BUFFER,	/* more lanes would leave the pool with too few buffers; perhaps later */
};
/* Opens a lane, or moves one that has come to its end, to the first bytes that are nobody's: at most `max` of them. */
enum stream_claim stream_claim(struct stream *s, struct stream_lane *l, uint64_t max);
/* Ends a lane earlier, at a multiple of PARTIAL_ALIGN between its `at` and its `end`; what it loses is nobody's. */
void stream_cut(struct stream *s, struct stream_lane *l, uint64_t end);
/* The lane gets what is nobody's right behind it, up to `limit`. */
void stream_extend(struct stream *s, struct stream_lane *l, uint64_t limit);
/* Closes a lane; what it had still to receive is nobody's. Returns how many of the bytes it did receive are lost with it (a block's rest). */
uint64_t stream_release(struct stream *s, struct stream_lane *l);

enum stream_room {
	STREAM_TOOK,	/* all n bytes */
	STREAM_FULL,	/* none: pause, and push the same bytes again after a wake-up */
	STREAM_BROKEN,	/* none: the disk failed; stream_ended() tells */
};
/* n is at most STREAM_PUSH_MAX, and at most what the lane has left. May wait some milliseconds for room. */
enum stream_room stream_push(struct stream *s, struct stream_lane *l, const void *p, size_t n);
/* Everything has been pushed or was there: verify and publish. */
void stream_finish(struct stream *s);
/* True when it is published, or failed; then *rc and e tell (ERR_MISMATCH: wrong bytes), and *sha256 is what was stored. */
bool stream_ended(struct stream *s, struct digest *sha256, int *rc, struct err *e);

#endif
