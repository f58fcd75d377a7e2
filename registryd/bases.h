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
#define BASES_ADAPTER_PATH "adapter_config.json"
#define BASES_ADAPTER_MAX  (4u << 20)
#define BASES_DOCUMENT	"base_models"	/* the name under which answers are kept, as DOCUMENT_PROOF */

struct bases {
	struct licence_base v[BASES_MAX];	/* those of the model itself first; license NULL: nobody knows it */
	size_t n, n_own;
	bool cut;				/* there are more */
};

/*
 * A base as cards name it: "org/name", perhaps with blanks around it, as an address on the Hub, or with "@revision" or a further path behind it. NULL for what is no
 * repository (a path on somebody's disk).
 */
const char *bases_name(const char *written, struct arena *a);

/* What upstream says of a model's licence in its answer about the model: its reading of the card, and its tags. Strings live in a. */
void bases_upstream_claims(const json_t *doc, struct arena *a, struct licence_claims *c);

/*
 * Asks upstream about those that the catalog does not have: `doc` is what it said about the model, adapter_of what bases_of_adapter() found where the configuration is
 * known already, else NULL. *asked: {repo: {"license": …, "base_model": […]}}, the caller's; out has them all. What could not be asked now is {"unanswered": why} there,
 * and not known for that reason: it holds the model (see licence_base).
 */
int bases_ask(struct work *w, struct hub *hub, const json_t *doc, const char *adapter_of, json_t **asked, struct bases *out, struct err *e);
/* The base that an adapter's configuration names, in a; NULL none. */
const char *bases_of_adapter(const char *config, size_t n, struct arena *a);
/* The same as bases_ask() for the base that the revision's configuration names, now that it is in the store; the answers join those kept with the revision. */
int bases_ask_adapter(struct work *w, struct hub *hub, int64_t revision_id, struct err *e);
/* All of them, from the names in the card, tags and configuration, and the answers kept with the revision. Strings live in w->arena or are the caller's. */
void bases_gather(struct work *w, const char *const *repos, size_t n, int64_t revision_id, struct bases *out);
/* Does what is kept with this revision have questions that were not answered? */
bool bases_unanswered(struct work *w, int64_t revision_id);

#endif
