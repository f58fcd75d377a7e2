/*
 * judge.h - the second half of a sync or an import, for any revision whose files are stored: inspect, read the documents, test, decide.
 */
#ifndef REGISTRYD_JUDGE_H
#define REGISTRYD_JUDGE_H

#include "catalog/lifecycle.h"
#include "registryd/gate.h"
#include "registryd/work.h"

/* w->result is set. info and license as in facts_derive(). */
int judge_revision(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct err *e);
/* Sets w->result: what became of the revision. */
int judge_result(struct work *w, int64_t revision_id, const struct gate_outcome *g, struct err *e);

/* Why what is published is not served all the same (withdrawn, retired, at its end), in w->arena; NULL: it is. */
const char *judge_off(struct work *w, const struct lifecycle *l);

/* facts_derive(), and what follows when the licence is another one than before: an event, and a look at what was made from the model. */
int judge_documents(struct work *w, int64_t revision_id, const json_t *info, const json_t *inspection, const char *license, struct err *e);

#endif
