/*
 * derive.h - licences, parameter counts and the rest, derived again from the facts kept: job kinds "rebuild", for all that is here, and "derive", for
 * the models that were made from one whose licence is now known, or is another than it was.
 */
#ifndef REGISTRYD_DERIVE_H
#define REGISTRYD_DERIVE_H

#include "registryd/work.h"

int derive_rebuild_job(struct work *w, struct err *e);
int derive_job(struct work *w, struct err *e);

/*
 * To be called when what counts of a model for what was made from it may have changed: a revision planned, asked for as main, judged, or said something of by a person.
 * before: bases_standing() of then. Queues "derive" where it has, and somebody waits for it.
 */
int derive_queue(struct db *db, int64_t model_id, const char *before, struct arena *a, struct err *e);
/* The same when something else has changed of what is known of the model: the names that it has. */
int derive_queue_model(struct db *db, const char *repo, struct arena *a, struct err *e);

/* What is published goes on, whatever its licence has come to be: everybody who pulls it is told (it is deprecated with the reason), and a person decides. */
int derive_judge_licence(struct work *w, int64_t revision_id, struct err *e);
/* The same for a licence that was refused and is not recorded. reason: the policy's word; NULL takes the mark back. */
int derive_mark_licence(struct work *w, int64_t revision_id, const char *reason, struct err *e);

#endif
