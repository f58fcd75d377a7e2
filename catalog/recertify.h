/*
 * recertify.h - a verdict holds for the device, driver and runtime under which it was made (smoke_run.platform). When those change, what is published
 * is tested again; one that no longer works is deprecated with that reason, until it works again. The same goes for what is known of a licence: it
 * may change after publication, with that of a base model. Marks made here have the source "smoke" or "licence" and stand beside those of people and
 * rules.
 */
#ifndef CATALOG_RECERTIFY_H
#define CATALOG_RECERTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "catalog/db.h"
#include "catalog/policy.h"

/* What a test would run on now: smoke_run.device and .platform. */
struct recertify_platform {
	const char *device, *text;
};

/* Is there anything published whose verdict rests on a device? */
int recertify_any(struct db *db, bool *any, struct err *e);

struct recertify_due {
	const char *repo, *commit;
};
/*
 * Published revisions, at most limit, whose last verdict was made on another platform than there is now, on a device of the same kind ("cpu", "cuda"). What
 * there is of each kind, `now` says, or else (it may be NULL) the newest test of all. A test that went wrong is no verdict: it is made again a day later. What is
 * withdrawn or retired is left alone until it is restored.
 */
#define RECERTIFY_RETRY_S 86400
int recertify_due(struct db *db, const struct recertify_platform *now, int64_t at, size_t limit, struct arena *a, struct recertify_due **out, size_t *n, struct err *e);

#define RECERTIFY_SMOKE	  "smoke"
#define RECERTIFY_LICENCE "licence"
/*
 * A published revision was looked at again by `who`. reason: why it no longer passes, NULL when it does. Deprecates it, or takes such a mark of the
 * same `who` back, with the event. *changed (may be NULL) says so: it was not marked with this reason before, or was.
 */
int recertify_record(struct db *db, int64_t revision_id, const char *who, const char *reason, int64_t now, bool *changed, struct err *e);

/*
 * What a changed policy is to live with, in a, to out->lived_with: that of its marks, and where it is off the doors what the last decision has lived with, for
 * a mark may be taken back.
 */
int recertify_lived_with(struct db *db, int64_t revision_id, struct arena *a, struct policy_facts *out, struct err *e);

struct db_conn;
struct model_rev;
/*
 * It has been published or turned down: a mark of `who` stays for what it lives with, and goes where its cause has gone or has decided; with the events.
 * what: what that is now, which the mark then says; NULL unknown. For catalog/ only.
 */
int recertify_settle_tx(struct db_conn *c, const struct model_rev *rev, const char *who, bool lives_with, const char *what, int64_t now, struct err *e);

#endif
