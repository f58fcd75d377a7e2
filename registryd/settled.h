/*
 * settled.h - is there something left to do for a commit that the catalog knows, when nobody but the clock asks? Fetching a damaged file of
 * 100 GB, or testing a model, every six hours brings nothing but the same: what was held, rejected or refused is left alone for a week,
 * unless something else is selected or the reason may have passed.
 */
#ifndef REGISTRYD_SETTLED_H
#define REGISTRYD_SETTLED_H

#include "registryd/plan.h"
#include "registryd/work.h"

#define SETTLED_S (7 * 86400)

enum settled {
	SETTLED_NOT,
	SETTLED_OTHERWISE,	/* nothing to do but that something else was selected when it was held or rejected, or that the ref serves another revision */
	SETTLED_REFUSED,	/* published, and some of its files were refused a short while ago */
	SETTLED,
};

/*
 * For what is published, held or rejected; what is retired is SETTLED, anything else SETTLED_NOT. n_listed: the files that upstream says the commit has, 0
 * unknown (another registry may have got the rest of it). *why, in the arena, is the reason where there is one.
 */
int settled_ask(struct work *w, const struct revision *r, const struct plan_selection *s, size_t n_listed, struct arena *a, enum settled *out, const char **why,
		struct err *e);

/* Does the ref serve this revision? It has not to where ref is NULL. */
int settled_at_ref(struct work *w, const struct revision *r, const char *ref, struct arena *a, bool *at_ref, struct err *e);

/*
 * Is the model off the doors as a whole: withdrawn, retired, past its sunset? Then the clock brings nothing into it until a person takes that back. *state and *why, in
 * the arena: what judge_off() says; *why NULL: it is not.
 */
int settled_off(struct work *w, int64_t model_id, struct arena *a, const char **state, const char **why, struct err *e);

/*
 * The clock's sync w found `r` SETTLED_OTHERWISE. Is that because two entries select otherwise of it? With the selection of an entry it was held or rejected, and with
 * this one not long ago: they leave each other alone, lest they do it over in turns.
 */
int settled_in_turns(struct work *w, const struct revision *r, bool *turns, struct err *e);

#endif
