/*
 * lifecycle.h - from published to gone: deprecation with dates and a successor, retirement, withdrawal; per model or per revision, by a person, a
 * rule of the policy, a test that failed or a licence in conflict: a mark each, side by side. What holds is made of all marks of a revision and of
 * its model, and lifecycle_at() alone knows how. Time is an argument: nothing happens "at midnight", a door asks what holds now.
 */
#ifndef CATALOG_LIFECYCLE_H
#define CATALOG_LIFECYCLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "catalog/db.h"
#include "catalog/model.h"
#include "catalog/policy.h"

enum lifecycle_state {
	LIFECYCLE_ACTIVE,
	LIFECYCLE_DEPRECATED,	/* served with headers */
	LIFECYCLE_RETIRED,	/* sunset passed, or retired by hand: 410 */
	LIFECYCLE_WITHDRAWN,	/* 403 */
	LIFECYCLE_WITHDRAWN_LEGAL,	/* 451 */
};
const char *lifecycle_state_name(enum lifecycle_state s);

struct lifecycle {
	enum lifecycle_state state;
	int64_t deprecated_at, sunset_at;	/* 0 none. deprecated_at may lie in the future: announced */
	int64_t retired_at, withdrawn_at;
	const char *successor;			/* repo that people can get, or NULL */
	const char *reason;			/* or NULL */
};

/*
 * What a door must enforce for this revision now; revision_id 0: what holds for the model as a whole. A withdrawal comes first, the legal one
 * before others, then what was retired by hand, each with its own reason. Of deprecations the earliest dates hold, and that with the earliest
 * sunset names successor and reason (of those without one a person's, then the earliest); others add their reasons, and a successor where that
 * one names none. A successor that people can't get now under the policy is not named: in its place the first that they can on the way from its own
 * successor on, if there is any; where the way leads back to the model and people can get that, nobody is. A sunset that has passed gives LIFECYCLE_RETIRED with
 * retired_at 0; where the policy says `after_sunset: warn`, that is served still, with the headers of a deprecated one, and so it is LIFECYCLE_DEPRECATED.
 */
int lifecycle_at(struct db *db, int64_t model_id, int64_t revision_id, const struct policy *p, int64_t now, struct arena *a, struct lifecycle *out, struct err *e);
/* Is that off the doors: withdrawn, retired by hand whatever its date says, or past its sunset where the policy says that it is gone then? */
bool lifecycle_is_off(const struct lifecycle *l, const struct policy_lifecycle *rules);
/* The order that takes that back, "undeprecate" or "restore". */
const char *lifecycle_way_back(const struct lifecycle *l);

/* The same, with the successor that the marks name, whether people can get it or not. */
int lifecycle_marked(struct db *db, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e);
/* As lifecycle_at(), of the revision's own marks alone, without its model's. */
int lifecycle_own(struct db *db, int64_t model_id, int64_t revision_id, const struct policy *p, int64_t now, struct arena *a, struct lifecycle *out, struct err *e);
/* As lifecycle_marked(), of that alone which an order put there: on the revision, or on the model. */
int lifecycle_ordered(struct db *db, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e);

/* What a person asks for. revision_id 0: the whole model. */
struct lifecycle_order {
	int64_t model_id, revision_id;
	const char *who;
	const char *reason;	/* NULL when none; needed for withdraw and with force */
	int64_t sunset_at;	/* deprecate: 0 none. What is not given of these and the reason stays as an earlier order said */
	const char *successor;	/* deprecate: NULL none */
	bool force;		/* a sunset closer than the policy's notice */
	bool legal;		/* withdraw: 451 instead of 403 */
	bool anew;		/* deprecate: what is not given does not stay */
	bool own_mark;		/* undeprecate: what rules and tests have marked stays */
	int64_t said_at;	/* for the event: when another site said so; 0: it was said here */
	const json_t *first_said;	/* for the event: the date and reason of the site that said so first, where they are others; else NULL */
};
/*
 * Each writes an event. Undeprecate takes back the person's mark and what rules and tests have marked (without a revision: on any of the model's);
 * of a rule's mark it leaves an exemption: rules leave that revision or model alone until a person deprecates it again. ERR_CONFLICT: nothing to take back. ERR_USAGE: a reason that is needed and missing, a sunset in the past; ERR_REFUSED: one closer than the notice
 * (the earliest date is named); ERR_NOT_FOUND: a successor that is not in the catalog; ERR_REFUSED: one that is retired, withdrawn or not published, or leads
 * back here; ERR_CONFLICT: to deprecate what was never published.
 */
int lifecycle_deprecate(struct db *db, const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e);
int lifecycle_undeprecate(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e);
int lifecycle_retire(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e);
int lifecycle_withdraw(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e);
/*
 * Takes back retire and withdraw; dates are kept, so one past its sunset stays gone until undeprecated. What was retired is for the gate to decide
 * again, by the policy as it is now: *out, in a, says what became of each such revision.
 */
struct lifecycle_restored {
	int64_t revision_id;
	const char *commit;
	enum revision_state state;
	const char *reason;
};
int lifecycle_restore(struct db *db, const struct lifecycle_order *o, const struct policy *p, int64_t now, struct arena *a, struct lifecycle_restored **out, size_t *n,
		      struct err *e);

/*
 * Applies the policy's own rules (max_age, ends, hints) to every published revision: deprecates what they end, with the notice; and takes back
 * marks whose rule is gone, whatever has become of the revision. A model or revision that a person has marked is not marked besides, but a mark that it has follows its rule.
 * *n_changed (may be NULL) counts. For the clock, hourly.
 */
int lifecycle_apply_rules(struct db *db, const struct policy *p, int64_t now, int64_t *n_changed, struct err *e);

/*
 * What clients would get of a published revision under a policy, once its rules had been applied now and with people's and tests' marks as they are.
 * Whatever comes within LIFECYCLE_SOON_S counts as if it had come: nobody could do anything about it before.
 */
#define LIFECYCLE_SOON_S 86400
enum lifecycle_reach {
	LIFECYCLE_REACH_ACTIVE,
	LIFECYCLE_REACH_DEPRECATED,	/* served with a warning, or announced to be */
	LIFECYCLE_REACH_PINNED,		/* deprecated, and refused to whoever names no commit */
	LIFECYCLE_REACH_GONE,		/* 410, or withdrawn; or no longer published */
};
const char *lifecycle_reach_name(enum lifecycle_reach r);	/* "active" "deprecated" "pinned_only" "gone" */
struct lifecycle_foreseen {
	enum lifecycle_reach reach;
	bool named;		/* a ref leads to it, or the bare name of its model */
	int64_t sunset_at;	/* 0 none */
	const char *reason;	/* or NULL */
};
/* Under each of n policies. */
int lifecycle_foresee(struct db *db, int64_t revision_id, const struct policy *const *p, size_t n, int64_t now, struct arena *a, struct lifecycle_foreseen *out, struct err *e);

/*
 * An event "lifecycle.ended" for each revision or model whose sunset has passed since the last time, as what holds has it; *n_told counts. One that
 * was told of while the clock was ahead is told of again when it comes. For the clock, every minute.
 */
int lifecycle_tell_ended(struct db *db, const struct policy_lifecycle *rules, int64_t now, int64_t *n_told, struct err *e);

/*
 * When people can't get this model (any more): the marks that name it as the successor, into out: [{"repo","revision" or null}…], LIFECYCLE_NAMED_MAX at most.
 * Else nothing.
 */
#define LIFECYCLE_NAMED_MAX 100
int lifecycle_named_by(struct db *db, int64_t model_id, const struct policy *p, int64_t now, json_t *out, struct err *e);
/* The successors in `ends` of the policy that no mark would name now, a sentence each into out. */
int lifecycle_idle_successors(struct db *db, const struct policy *p, int64_t now, json_t *out, struct err *e);

/* Contract section 2: {"deprecated_at":…,"sunset_at":…,"successor":…,"reason":…} with RFC 3339 times or null; plus "state". */
json_t *lifecycle_json(const struct lifecycle *l);
/* What is published, or was until it was retired, is deprecated, and ends before `until` or at no date (until 0: whenever), soonest first: [{"repo","revision","state","deprecated_at","sunset_at","successor","reason","pulls_30d","consumers"}…]. */
json_t *lifecycle_list(struct db *db, const struct policy *p, int64_t until, int64_t now, struct err *e);
/* RFC 5545 calendar of sunset dates; caller frees. */
char *lifecycle_ics(struct db *db, const struct policy *p, int64_t now, struct err *e);

#endif
