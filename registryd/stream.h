/*
 * stream.h - one large file between the network and the store. The receiver copies bytes into 1 MiB buffers; a hash thread and a writer
 * thread take each full buffer at the same time, so that hashing costs no second pass and the disk no waiting:
 *
 *	stream_push() -> ring of buffers -> hash thread   SHA-256, and the git blob id of a git file
 *	                                 -> writer thread  direct writes into partial/, noted every few MiB
 *
 * What partial/ already holds is read back by the hash thread first. When all bytes have come the hash thread compares, and publishes
 * the content in the store. The stream outlives a broken connection: receiving goes on at stream_offset().
 */
#ifndef REGISTRYD_STREAM_H
#define REGISTRYD_STREAM_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalog/store.h"
#include "registryd/pool.h"
#include "verify/digest.h"

#define STREAM_RING	  12		/* buffers one stream may hold */
#define STREAM_NOTE_BYTES (6u << 20)	/* written since the last note in partial/: what a crash costs, with the ring */

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
/* Ends the threads, notes what was written, closes. The partial file stays unless it was published. Accepts NULL. */
void stream_close(struct stream *s);

uint64_t stream_offset(const struct stream *s);	/* the byte to receive next */
uint64_t stream_resumed(const struct stream *s);	/* bytes that partial/ held when it was opened */

enum stream_room {
	STREAM_TOOK,	/* all n bytes */
	STREAM_FULL,	/* none: pause, and push the same bytes again after a wake-up */
	STREAM_BROKEN,	/* none: the disk failed; stream_ended() tells */
};
/* n is at most POOL_BUFFER_BYTES. May wait some milliseconds for room. */
enum stream_room stream_push(struct stream *s, const void *p, size_t n);
/* Everything has been pushed: verify and publish. */
void stream_finish(struct stream *s);
/* True when it is published, or failed; then *rc and e tell (ERR_MISMATCH: wrong bytes), and *sha256 is what was stored. */
bool stream_ended(struct stream *s, struct digest *sha256, int *rc, struct err *e);

#endif
