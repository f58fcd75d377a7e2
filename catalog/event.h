/*
 * event.h - what happened, append-only and hash-chained: each event's hash is SHA-256 over the previous hash (32 bytes, zeros before the first),
 * the event as canonical JSON (keys sorted, compact: {"at":…,"id":…,"kind":"…","repo":"…","revision":"…"}), a line feed, and its data (JSON
 * text as kept). An event that is altered, missing or reordered breaks the chain there; a cut tail shows against a head exported earlier.
 *
 * Changes in catalog/ write their own events in the same transaction; event_add() is for what happens elsewhere.
 */
#ifndef CATALOG_EVENT_H
#define CATALOG_EVENT_H

#include <jansson.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "catalog/db.h"
#include "verify/digest.h"

struct event {
	int64_t id, at;
	const char *kind;	/* "revision.published", "model.renamed", "job.failed", … */
	const char *repo, *revision;	/* name and 40 hex, or "" */
	const char *data;	/* JSON object text */
	struct digest hash;
};

/* Every kind that there is, ended by NULL: for whoever asks for some of them by name. */
extern const char *const event_kinds[];

/* data is taken (its reference is released); NULL for {}. */
int event_add(struct db *db, const char *kind, const char *repo, const char *revision, json_t *data, int64_t now, struct err *e);
/* The same, unless an event of this kind about this revision is there already. */
int event_add_once(struct db *db, const char *kind, const char *repo, const char *revision, json_t *data, int64_t now, struct err *e);
/* Up to limit events with id > since, oldest first. repo NULL for all. */
int event_list(struct db *db, int64_t since, const char *repo, size_t limit, struct arena *a, struct event **out, size_t *n, struct err *e);
/* Waits until there is an event after `since`, or timeout. Number of the newest event, or a negative code. */
int64_t event_wait(struct db *db, int64_t since, int timeout_ms, struct err *e);
json_t *event_json(const struct event *ev);

struct event_head {
	int64_t id, at;		/* id 0: no event yet */
	struct digest hash;
};
int event_head(struct db *db, struct event_head *out, struct err *e);
/*
 * Walks the chain. 0 when it holds (and, with `expected` not DIGEST_NONE, when some event has that hash). ERR_MISMATCH names the first event
 * altered or missing, in e and in *bad_id (may be NULL). *checked (may be NULL) counts.
 */
int event_verify(struct db *db, const struct digest *expected, int64_t *checked, int64_t *bad_id, struct err *e);

#endif
