/*
 * policy_change.h - a policy that takes another's place: the history of those that were in force, and what a change means for the revisions that
 * were settled (published, held, rejected) under the one before.
 *
 * Only the change counts. A revision changes when the old rules and the new ones, asked with the same evidence at the same time, say different
 * things. Rules that took another's place and were not worked through to the end are old ones too: they may have settled any revision. What came about otherwise and is lived with
 * (a test that failed after publication, a licence that conflicts since) settles nothing: only the other rules do, also on the way back. The same holds for what their
 * lifecycle rules say of one that stays published: from when on clients are warned of it, or refused it.
 */
#ifndef CATALOG_POLICY_CHANGE_H
#define CATALOG_POLICY_CHANGE_H

#include "catalog/db.h"
#include "catalog/lifecycle.h"
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
int policy_kept_newest(struct db *db, struct arena *a, struct policy_kept *out, struct err *e);
/*
 * All under which revisions may stand settled, the oldest first: the newest of those whose effect was worked through, and every later one, of which nobody knows how far
 * it came. The last is the newest.
 */
int policy_kept_at_work(struct db *db, struct arena *a, struct policy_kept **out, size_t *n, struct err *e);
/* Puts a policy in force, with an event that tells by whom, its digest and what it changes. The first one ever counts as applied. */
int policy_keep(struct db *db, const char *text, const char *who, json_t *effect, int64_t now, struct err *e);
int policy_applied(struct db *db, int64_t id, struct err *e);	/* this one and all before it */

struct policy_effect {
	int64_t tested;			/* settled revisions */
	int64_t published;		/* of them */
	int64_t unpublishes, publishes, others;	/* others: from held to rejected or back */
	/* Of those that stay published, by lifecycle rules: deprecated, or to end sooner; no longer for new users; ended, at once or within a day; the other way round. */
	int64_t deprecates, pins, ends, eases;
	int64_t served, takes_off;	/* published revisions that the old rules leave to clients, and of them those that the new ones would not */
	int64_t named, turns_away;	/* of what is served: what new users get by a branch, a tag or the bare name, and of it what they would not */
};
/* Would it leave next to nothing of what is published, of what is served, or for new users? Then a person is asked. */
bool policy_effect_is_drastic(const struct policy_effect *x);
/* The sentence about a change that is asked about; "" for another. */
void policy_effect_question(char *out, size_t n, const struct policy_effect *x);

/* A revision that changes, for the caller of policy_compare(). Lives until the callback returns. */
struct policy_changed {
	int64_t revision_id;
	const char *repo, *commit;
	enum revision_state from;
	const struct policy_verdict *verdict;	/* of the new rules; NULL: it stays published, and its lifecycle changes */
	const struct lifecycle_foreseen *before, *after;	/* then */
	const char *why;			/* then, or NULL */
};
/*
 * Asks the policies before, one at least, and the new one about every settled revision, page by page, and tells each (may be NULL) of those that change for one of the old
 * ones. What lifecycle rules change is told by the first of them. An error of each ends it. out NULL: of those alone that the gate settles otherwise, without counting.
 */
int policy_compare(struct db *db, const struct policy *const *old, size_t n_old, const struct policy *new, int64_t now,
		   int (*each)(void *arg, const struct policy_changed *ch, struct err *e), void *arg, struct policy_effect *out, struct err *e);

#endif
