/* facts.h - what the catalog says of a revision (licence, task, parameters, tags …), derived from its documents. */
#ifndef REGISTRYD_FACTS_H
#define REGISTRYD_FACTS_H

#include "registryd/work.h"

/*
 * Reads the card, the configurations and licence texts among the stored files, keeps them as documents and derives the revision's facts.
 * info: the Hub's model info (NULL for imports); inspection: the inspector's report (NULL: not yet); license: chosen by a person, or NULL.
 */
int facts_derive(struct work *w, int64_t revision_id, const json_t *info, const json_t *inspection, const char *license, struct err *e);

#endif
