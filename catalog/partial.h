/*
 * partial.h - downloads on their way: DATA/partial/<key>, resumable after `kill -9`, a power cut or a full disk. A partial file's name says
 * what it will be; its bytes are only ever a claim until they have been hashed.
 *
 * How much of it may be used: partial_note() records, in <key>.have, which byte ranges are there. Written is enough after a kill, because the
 * kernel lives on: such a record counts until the machine is started anew. After that only what was flushed before it was recorded counts, so
 * that a hole, or a tail lost at a power cut, is not taken for data. Opening gives the ranges back, cut to the file's length; a torn or missing
 * record means "nothing". What is kept must be hashed again (or continue a hash whose state was kept beside it) all the same.
 *
 * At most one writer a key: partial_open() locks the file (ERR_CONFLICT when somebody is at it already).
 */
#ifndef CATALOG_PARTIAL_H
#define CATALOG_PARTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/store.h"
#include "verify/digest.h"

#define PARTIAL_KEY_MAX	   96
#define PARTIAL_RANGES_MAX 64
#define PARTIAL_ALIGN	   4096	/* offsets, lengths and addresses of direct writes */
#define PARTIAL_BOOT_MAX   40	/* a UUID as text */

struct partial_range {
	uint64_t begin, end;	/* bytes, end not included */
};

struct partial {
	struct store *store;
	char key[PARTIAL_KEY_MAX];	/* "<64 hex>-<size>" or "git-<40 hex>-<size>" */
	int fd;				/* buffered, read and write */
	int direct_fd;			/* the same file with O_DIRECT, or -1 where the file system has none */
	int note_fd;			/* private */
	char boot[PARTIAL_BOOT_MAX];	/* private: which start of the machine this is; empty: not to be told */
	uint64_t size_bytes;		/* when whole */
	struct partial_range have[PARTIAL_RANGES_MAX];	/* found at opening or last noted: ascending, disjoint, not empty */
	size_t n_have;
};

/*
 * Opens or creates the partial file for content of `size_bytes` bytes known by `id`: its SHA-256, or the git blob SHA-1 of a file whose
 * SHA-256 is not known yet. Space for the whole file is reserved: ERR_NOSPACE says how much is needed and how much is free.
 */
int partial_open(struct partial *p, struct store *st, const struct digest *id, uint64_t size_bytes, struct err *e);
/* Closes; the file stays for a later partial_open(), but not the space beyond its end. Accepts a zeroed or closed one. */
void partial_close(struct partial *p);
static inline void own_partial(struct partial *p)
{
	partial_close(p);
}

/* How far from byte 0 there is no gap: where a single front-to-back download goes on. */
uint64_t partial_prefix(const struct partial *p);
enum partial_care {
	PARTIAL_WRITTEN,	/* against a kill: costs one small write */
	PARTIAL_FLUSHED,	/* against a power cut, too: fdatasync first */
};
/* Records that these ranges (ascending, disjoint) are there. */
int partial_note(struct partial *p, enum partial_care care, const struct partial_range *have, size_t n, struct err *e);
/* Start over: nothing of it is usable (wrong bytes, another version upstream). Its space stays reserved. */
int partial_restart(struct partial *p, struct err *e);

/*
 * The content is whole and hashes to sha256: cut to size (a direct write's last block may be longer), publish, remove, close.
 * After an error the partial file is still there and open.
 */
int partial_publish(struct partial *p, const struct digest *sha256, struct err *e);
/* The two halves of partial_publish() for a group: trim each, store_publish_batch() over their fds, then drop each. */
int partial_trim(struct partial *p, struct err *e);
int partial_drop(struct partial *p, struct err *e);	/* removes and closes */
/* The content failed its check: keeps it in quarantine/ with the reason, removes the partial file, closes. id: what it hashed to, if known. */
int partial_quarantine(struct partial *p, const struct digest *id, const char *reason, int64_t now, struct err *e);

struct partial_info {
	char key[PARTIAL_KEY_MAX];
	uint64_t file_bytes;	/* allocated on disk */
	int64_t changed_at;
};

/* How many of its bytes a content of this size need not find room for: the disk space that its partial file has, 0 where there is none. */
uint64_t partial_reserved(struct store *st, const struct digest *id, uint64_t size_bytes);
/* Each partial file; a non-zero answer ends the walk and is returned. */
int partial_each(struct store *st, int (*each)(void *arg, const struct partial_info *info), void *arg, struct err *e);
/*
 * Of those that nobody has open, removes what was not touched since `before`, *freed_bytes (may be NULL) counting, and cuts the others to their end: whoever was
 * killed had no time to give back the space that it had reserved.
 */
int partial_expire(struct store *st, int64_t before, uint64_t *freed_bytes, struct err *e);

#endif
