/*
 * prove.h - how firmly the bytes of a revision are tied to its commit id, decided before anything is downloaded:
 *	commit	 the git objects were fetched and hash to the commit id; every path, blob id and LFS pointer of the listing agrees with them
 *	listing	 every LFS pointer that the listing implies hashes to the blob id it gives (and every directory's id, where it gives one)
 *	hash	 only the SHA-256 that the listing names
 */
#ifndef REGISTRYD_PROVE_H
#define REGISTRYD_PROVE_H

#include "catalog/model.h"
#include "registryd/hub.h"
#include "registryd/work.h"

/* Records the level of the revision. ERR_MISMATCH names the path where listing and git objects disagree. */
int prove_listing(struct work *w, struct hub *h, const char *repo, const char *commit, const struct hub_tree *t, const struct model_file *files, size_t n,
		  int64_t revision_id, struct err *e);

#endif
