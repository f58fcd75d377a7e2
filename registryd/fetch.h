/*
 * fetch.h - the files of one revision from a Hub into the store: many at once on few connections, small ones in memory and flushed
 * in groups, large ones through streams (stream.h). Every byte is hashed as it comes and compared with what the listing says before it is
 * stored. Nothing here knows what a model is, or of SQL.
 *
 * Faults of the network and of the upstream (a cut, reset or stalled body, 5xx, 429, an expired signed address, 200 for a range) are tried
 * again from where the bytes stopped; the address is resolved anew each time. What stays is an error of the whole fetch, with the path in it:
 * ERR_MISMATCH wrong bytes, twice · ERR_NOSPACE · ERR_CANCELED · ERR_THROTTLED outside the time window, or told to wait long ·
 * ERR_UNREACHABLE · what hub_explain() gives. Files stored before it stay stored, and partial files stay for the next try.
 */
#ifndef REGISTRYD_FETCH_H
#define REGISTRYD_FETCH_H

#include "catalog/store.h"
#include "registryd/hub.h"
#include "registryd/pool.h"

#define FETCH_SMALL_BYTES	(1u << 20)	/* up to here a file is held in memory until it is whole */
#define FETCH_SMALL_TOTAL_BYTES (8u << 20)	/* of all small files under way */
#define FETCH_GROUP_FILES	200		/* small files that are flushed together */
#define FETCH_GROUP_MS		2000		/* and how long the first of them waits at most */

struct fetch_file {
	const char *path;
	uint64_t size_bytes;
	struct digest id;	/* the SHA-256 that is claimed, or a git file's blob id; the SHA-256 once it is stored */
	bool same;		/* it has the content of the one before it, and is not fetched */
};

struct fetch {
	struct hub *hub;
	struct store *store;
	struct pool *pool;
	const char *repo, *commit;
	struct fetch_file *files;	/* equal contents side by side, the first of them without `same` */
	size_t n_files;
	int max_large;			/* files over FETCH_SMALL_BYTES at once; 0 means no limit of its own */
	const atomic_bool *stop;	/* may be NULL */
	void *arg;
	/* These contents are in the store now, also after a power cut. A failure ends the fetch. */
	int (*stored)(void *arg, const struct fetch_file *const *files, size_t n, struct err *e);
	/* Bytes received or found in partial/, and the path that moves; true asks to stop. Called a few times a second. */
	bool (*progress)(void *arg, uint64_t bytes, const char *path);
	int64_t wait_s;			/* out, with ERR_THROTTLED: when to come again */
};

int fetch_files(struct fetch *f, struct err *e);

#endif
