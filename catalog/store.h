/*
 * store.h - the blobs: one file per distinct content, named by its SHA-256, under DATA/blobs/sha256/<64 hex>. Any sha256sum can audit it.
 * Knows nothing of models, names or SQL.
 *
 * Invariants. A name in blobs/sha256 never points at bytes that may vanish: content is flushed before the link, the directory after it.
 * A blob is mode 0440 and is never opened for writing. Publishing content that is there already is success. The caller has hashed the
 * content: the store checks its size, not its digest (store_rehash() does, and `verify` calls it).
 *
 * DATA holds blobs/sha256/, partial/, quarantine/ and store.lock, all mode 0750; the lock is exclusive, so two daemons never share a store.
 * Every function may be called from any thread.
 */
#ifndef CATALOG_STORE_H
#define CATALOG_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/spool.h"
#include "verify/digest.h"

#define STORE_BATCH_MAX 4096	/* files of one store_publish_batch() */
#define STORE_PATH_MAX	4096

struct store;

/* Creates what is missing below data_dir (also itself). ERR_CONFLICT when another process holds the store. */
int store_open(struct store **out, const char *data_dir, struct err *e);
void store_close(struct store *st);		/* accepts NULL */
const char *store_data_dir(const struct store *st);
int store_partial_fd(const struct store *st);	/* directory partial/, for partial.c; stays the store's */

/* Does the store hold this content with this size? A blob of another size is damage: ERR_MISMATCH. 1 yes, 0 no, or a negative code. */
int store_has(struct store *st, const struct digest *sha256, uint64_t size_bytes, struct err *e);
/* The blob, read-only; *size_bytes may be NULL. The fd, or ERR_NOT_FOUND. */
int store_open_blob(struct store *st, const struct digest *sha256, uint64_t *size_bytes, struct err *e);

/* A new unnamed file (O_TMPFILE) on the store's file system, readable and writable; publish it or just close it. */
int store_temp(struct store *st, struct err *e);
/* A spool whose file, when it needs one, is such a file. */
void store_spool(struct store *st, struct spool *s, uint64_t max);

/* One file to publish: fd is open (any mode), its content hashes to sha256. */
struct store_item {
	int fd;
	uint64_t size_bytes;
	struct digest sha256;
};

/* Makes the content durable under its name. The fd stays the caller's. Content that is there already is fine. */
int store_publish(struct store *st, int fd, const struct digest *sha256, uint64_t size_bytes, struct err *e);
/*
 * The same for many small files with one wait for the disk instead of one a file: data of all is flushed, then all are linked, then
 * the directory is flushed. When it returns 0 all of them survive a power cut; when it fails, those that were linked are whole.
 */
int store_publish_batch(struct store *st, const struct store_item *items, size_t n, struct err *e);

/*
 * Puts content that failed a check aside as quarantine/<unix time>-<sha256 prefix or "unknown">-<n>, with a .reason file beside it. fd as
 * above. The name (relative to DATA) goes to out_name (STORE_PATH_MAX bytes, may be NULL). Content of a digest and size that lie there already is not kept twice.
 */
int store_quarantine(struct store *st, int fd, const struct digest *sha256, const char *reason, int64_t now, char *out_name, struct err *e);
/* Moves a published blob to quarantine/: it was found damaged. Afterwards store_has() says no, so a sync fetches it again. */
int store_quarantine_blob(struct store *st, const struct digest *sha256, const char *reason, int64_t now, struct err *e);

/* Bytes that an unprivileged write may still use on the store's file system. */
int store_free_bytes(struct store *st, uint64_t *bytes, struct err *e);
/* Calls each for every blob, in no order; a name that is no digest is reported through `foreign` (may be NULL). A non-zero answer ends the walk and is returned. */
int store_each(struct store *st, int (*each)(void *arg, const struct digest *sha256, uint64_t size_bytes), void (*foreign)(void *arg, const char *name),
	       void *arg, struct err *e);
/* Frees a blob. The caller (gc) has made sure that no catalog row needs it. A missing one is fine. Call store_flush() after the last. */
int store_remove(struct store *st, const struct digest *sha256, struct err *e);
int store_flush(struct store *st, struct err *e);

/* Re-reads every byte. 0 when content and name agree, ERR_MISMATCH with both digests when not, ERR_NOT_FOUND when it is missing. */
int store_rehash(struct store *st, const struct digest *sha256, uint64_t *size_bytes, struct err *e);

#endif
