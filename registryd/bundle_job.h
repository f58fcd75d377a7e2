/* bundle_job.h - an import at work, between bundle_read.c and bundle.c. */
#ifndef REGISTRYD_BUNDLE_JOB_H
#define REGISTRYD_BUNDLE_JOB_H

#include <jansson.h>

#include "catalog/model.h"
#include "registryd/gitproof.h"
#include "registryd/hub.h"
#include "registryd/work.h"

struct bundle {
	struct work *w;
	int incoming;			/* directory of uploads */
	json_t *entry;
	const json_t *held;		/* of entry, by path */
	const char *commit;
	struct hub_revision info;
	struct hub_tree tree;
	struct gitproof proof;
	struct model_file *files;
	size_t n_files;
	int64_t model_id, revision_id;
	json_t *kept;			/* refs that stayed where they are: [{"name","revision"}…] */
	const char *otherwise;		/* what became otherwise of its end than at the other site, or NULL */
};

/* The SHA-256 that the job names its entry by. */
int bundle_entry_id(const struct bundle *b, struct digest *id, struct err *e);
/* The entry, by its own SHA-256, with its info and its tree. */
int bundle_read(struct bundle *b, struct err *e);
/* Git's objects, where the bundle brings them: they prove as much as when they came from the Hub. */
int bundle_read_proof(struct bundle *b, struct err *e);

#endif
