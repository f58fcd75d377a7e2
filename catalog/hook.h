/*
 * hook.h - which event each webhook is to be told next, and the record of every attempt. Events are told in order, one at a time an address;
 * one that can't be delivered is tried again with growing pauses and given up after HOOK_ATTEMPTS_MAX, so that one bad day does not lose the rest.
 * An address begins with the events that happen after hook_begin(), and anew where it was forgotten in between.
 */
#ifndef CATALOG_HOOK_H
#define CATALOG_HOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "catalog/db.h"
#include "catalog/event.h"

#define HOOK_ATTEMPTS_MAX 12	/* about a day and a half with the pauses below */
#define HOOK_PAUSE_S	  10	/* doubled with each attempt */
#define HOOK_PAUSE_MAX_S  21600
#define HOOK_HISTORY_MAX  5000	/* attempts kept */

/* The address begins here, if it is new. */
int hook_begin(struct db *db, const char *url, struct err *e);
/* Those that the settings no longer name; what was tried stays on record. */
int hook_forget_others(struct db *db, const char *const *urls, size_t n, struct err *e);
/*
 * The next event for this address whose kind one of the globs fits (n_kinds 0: any), when it may be tried now. *attempt counts from 1, for each event. ERR_NOT_FOUND:
 * nothing to do; *next_at (may be NULL) is then when to look again, 0 when only a new event brings something.
 */
int hook_next(struct db *db, const char *url, const char *const *kinds, size_t n_kinds, int64_t now, struct arena *a, struct event *ev, int *attempt,
	      int64_t *next_at, struct err *e);
/* What came of it. error: NULL when it was delivered (an answer 2xx). */
int hook_tried(struct db *db, const char *url, int64_t event_id, int attempt, int status, const char *error, int64_t now, struct err *e);
/* Newest first: [{"url","event","at","attempt","status","delivered","error"}…]. url NULL: all. */
json_t *hook_history(struct db *db, const char *url, size_t limit, struct err *e);

#endif
