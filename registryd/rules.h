/*
 * rules.h - the policy in force, and how another takes its place: at the start and at SIGHUP from the settings' file, or by a person's word
 * (`registryctl policy reload`). A change is worked through: revisions published under the old rules that the new ones would not publish are taken
 * off, and those held or rejected that the new ones allow are published. Because one slip of the pen could so empty the site, a policy
 * that would leave next to nothing published or served waits, and the old one stays, until a person says yes.
 */
#ifndef REGISTRYD_RULES_H
#define REGISTRYD_RULES_H

#include <jansson.h>

#include "catalog/policy_change.h"
#include "registryd/daemon.h"
#include "registryd/work.h"

/* At the start, with the catalog open. p is taken. What is in force afterwards is p, or the one before it when p waits, or the catalog has no room for p. */
int rules_open(struct daemon *d, struct policy *p, struct err *e);
/* What rules_open() had no room for. ERR_NOSPACE: there is none yet. */
int rules_catch_up(struct daemon *d, struct err *e);
void rules_close(struct daemon *d);	/* frees every policy that was in force */

/* Takes p. ERR_REFUSED: it waits for a person, and the old one stays. who: "settings", or a token's name. */
int rules_adopt(struct daemon *d, struct policy *p, const char *who, bool yes, struct err *e);
/* The file that the settings name, read again. */
int rules_reload(struct daemon *d, const char *who, bool yes, struct err *e);

/* policy_compare() of it with the one in force, or where that took the place of one that can't be read with what is settled now. */
int rules_compare(struct daemon *d, const struct policy *p, int64_t now, int (*each)(void *arg, const struct policy_changed *ch, struct err *e), void *arg,
		  struct policy_effect *out, struct err *e);

/* {"sha256","since","by","waiting": null | {"since","sha256","tested","published","unpublishes","publishes","deprecates","pins","ends","message"}}. NULL on error. */
json_t *rules_json(struct daemon *d, struct err *e);

/* What the lifecycle rules of the policy in force say now: as often as time may change it, and once a changed policy is worked through. */
int rules_apply_dates(struct daemon *d, int64_t now, struct err *e);

/* Job "policy": works a change through, with its lifecycle rules. result {"published","unpublished","others"} */
int rules_job(struct work *w, struct err *e);

#endif
