/*
 * bases.h - the licences along base_model: of the models that one was made from, and of those that these were made from. What the catalog has of them counts; for the
 * others upstream is asked, and its answers are kept with the revision.
 */
#ifndef REGISTRYD_BASES_H
#define REGISTRYD_BASES_H

#include <jansson.h>

#include "catalog/licence.h"
#include "registryd/hub.h"
#include "registryd/work.h"

#define BASES_MAX	64
#define BASES_ASKED_MAX 40	/* requests for one revision */
#define BASES_TEXT_MAX	(4u << 20)	/* of a card, an adapter's configuration */
#define BASES_DOCUMENT	"base_models"	/* the name under which answers are kept, as DOCUMENT_PROOF */

struct bases {
	struct licence_base v[BASES_MAX];	/* those of the model itself first; license NULL: nobody knows it */
	size_t n, n_own;
	bool cut;				/* there are more */
};

/*
 * A base as cards name it: "org/name", perhaps with blanks around it, as an address on the Hub, or with "@revision" or a further path behind it. NULL for what is no
 * repository of the Hub (a path on somebody's disk, an address elsewhere).
 */
const char *bases_name(const char *written, struct arena *a);
/* "base_model:org/name", "base_model:finetune:org/name": what upstream itself has found out. NULL: the tag is about something else. */
const char *bases_of_tag(const char *tag, struct arena *a);

/* What upstream says of a model's licence in its answer about the model: its reading of the card, and its tags. Strings live in a. */
void bases_upstream_claims(const json_t *doc, struct arena *a, struct licence_claims *c);

/* One more that the model itself names; what is no repository is left out, and what is there already. b begins zeroed. */
void bases_add(struct bases *b, const char *written, struct arena *a);
/* Is this file an adapter's configuration? There may be several adapters, each in its folder. */
bool bases_is_adapter(const char *path);
/* The base that such a configuration names. */
void bases_add_adapter(struct bases *b, const char *config, size_t n, struct arena *a);

/*
 * Asks upstream about those that the catalog does not have: those added already, and those that `doc` names, which is what it said about the model.
 * *asked: {repo: {"license": …, "base_model": […]}}, the caller's; out has them all. What could not be asked now is {"unanswered": why} there,
 * and not known for that reason: it holds the model (see licence_base).
 */
int bases_ask(struct work *w, struct hub *hub, const json_t *doc, json_t **asked, struct bases *out, struct err *e);
/* The same for the bases that the card and adapters' configurations in the store name; the answers join those kept with the revision. */
int bases_ask_stored(struct work *w, struct hub *hub, int64_t revision_id, struct err *e);
/* All of them, from those that were added and the answers kept with the revision. Strings live in w->arena or are the caller's. */
void bases_gather(struct work *w, int64_t revision_id, struct bases *out);
/* What counts of a model for what was made from it, as one text: its licence and its bases. "" when nothing is known. Lives in a. */
const char *bases_standing(struct db *db, int64_t model_id, struct arena *a);
/* Does what is kept with this revision have questions that were not answered? */
bool bases_unanswered(struct work *w, int64_t revision_id);

#endif
