/*
 * quota.h - one account of what a namespace may take (retention.quotas of the policy) for the syncs and bundles that run side by side: what one was let begin to
 * fetch counts for whoever comes after it, as what is stored does. And what is judged at once is judged one after the other.
 */
#ifndef REGISTRYD_QUOTA_H
#define REGISTRYD_QUOTA_H

#include "registryd/work.h"

struct quota;
struct quota_claim;

struct quota *quota_new(void);
void quota_free(struct quota *q);

/* Before anything is fetched: ERR_REFUSED when the revision's namespace would pass its quota. What is here in full needs no room and is for the gate to judge. */
int quota_admit(struct work *w, int64_t revision_id, struct quota_claim **out, struct err *e);
/* All of it is stored, or nothing more of it comes. Accepts NULL. */
void quota_give(struct quota *q, struct quota_claim *c);

/* From the policy's question of how much a namespace takes until the answer is in the catalog. */
void quota_lock(struct quota *q);
void quota_unlock(struct quota *q);

#endif
