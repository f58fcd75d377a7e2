/*
 * derive.h - licences, parameter counts and the rest, derived again from the facts kept: job kinds "rebuild", for all that is here, and "derive", for
 * the models that were made from one whose licence is now known, or is another than it was.
 */
#ifndef REGISTRYD_DERIVE_H
#define REGISTRYD_DERIVE_H

#include "registryd/work.h"

int derive_rebuild_job(struct work *w, struct err *e);
int derive_job(struct work *w, struct err *e);

/* To be called when the licence of this revision's model is derived. before: what was known of the revision, NULL nothing. Queues "derive" where somebody waits for it. */
int derive_queue(struct work *w, int64_t revision_id, const char *before, struct err *e);
/* The same when something else has changed of what is known of the model: the names that it has. */
int derive_queue_model(struct work *w, const char *repo, struct err *e);

/* What is published goes on, whatever its licence has come to be: everybody who pulls it is told (it is deprecated with the reason), and a person decides. */
int derive_judge_licence(struct work *w, int64_t revision_id, struct err *e);
/* The same for a licence that was refused and is not recorded. reason: the policy's word; NULL takes the mark back. */
int derive_mark_licence(struct work *w, int64_t revision_id, const char *reason, struct err *e);

#endif
