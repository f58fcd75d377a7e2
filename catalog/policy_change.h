/*
 * policy_change.h - a policy that takes another's place: the history of those that were in force, and what a change means for the revisions that
 * were settled (published, held, rejected) under the one before.
 *
 * Only the change counts. A revision changes when the old rules and the new ones, asked with the same evidence at the same time, say different
 * things; one whose state came about otherwise (a failed test after publication, a mark of its lifecycle) stays as it is.
 */
#ifndef CATALOG_POLICY_CHANGE_H
#define CATALOG_POLICY_CHANGE_H

#include "catalog/db.h"
#include "catalog/model.h"
#include "catalog/policy.h"
#include "verify/digest.h"

/* One row of the history. */
struct policy_kept {
	int64_t id, at;			/* id 0: there is none */
	const char *who;
	struct digest sha256;		/* of text */
	const char *text;		/* as policy_show() writes it: policy_parse() reads it again */
	bool applied;
};
/* The newest (applied false), or the newest of those whose effect was worked through. */
int policy_kept_newest(struct db *db, bool applied, struct arena *a, struct policy_kept *out, struct err *e);
/* Puts a policy in force, with an event that tells by whom, its digest and what it changes. The first one ever counts as applied. */
int policy_keep(struct db *db, const char *text, const char *who, json_t *effect, int64_t now, struct err *e);
int policy_applied(struct db *db, int64_t id, struct err *e);	/* this one and all before it */

struct policy_effect {
	int64_t tested;			/* settled revisions */
	int64_t published;		/* of them */
	int64_t unpublishes, publishes, others;	/* others: from held to rejected or back */
};
/* Would it leave next to nothing of what is published? Then a person is asked. */
bool policy_effect_is_drastic(const struct policy_effect *x);

/* A revision that changes, for the caller of policy_compare(). Lives until the callback returns. */
struct policy_changed {
	int64_t revision_id;
	const char *repo, *commit;
	enum revision_state from;
	const struct policy_verdict *verdict;	/* of the new rules */
};
/* Asks both policies about every settled revision, page by page, and tells each (may be NULL) of those that change. An error of each ends it. */
int policy_compare(struct db *db, const struct policy *old, const struct policy *new, int64_t now,
		   int (*each)(void *arg, const struct policy_changed *ch, struct err *e), void *arg, struct policy_effect *out, struct err *e);

#endif
