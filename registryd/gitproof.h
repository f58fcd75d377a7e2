/*
 * gitproof.h - how firmly the bytes of a revision are tied to its commit id, settled before anything is downloaded:
 *
 *	commit	 the commit, its trees and LFS pointers were fetched over git's smart HTTP and hash to the commit id; every path, blob id,
 *		 size and SHA-256 of the Hub's listing agrees with them
 *	listing	 git could not be asked; every LFS pointer that the listing implies hashes to the blob id that it gives
 *	hash	 only the SHA-256 that the listing names: a pointer with extensions, whose text the listing does not give
 *
 * It does not prove that a branch points at that commit, nor who made it.
 */
#ifndef REGISTRYD_GITPROOF_H
#define REGISTRYD_GITPROOF_H

#include "catalog/model.h"
#include "registryd/hub.h"
#include "registryd/work.h"
#include "verify/git_pack.h"

#define GITPROOF_TITLE_MAX 200
#define GITPROOF_PACK_MAX  (8u << 20)	/* of a pack that is kept as evidence: 100,000 files take about 5 MB */
#define GITPROOF_PACK	   "pack"	/* the name of that document, of kind DOCUMENT_PROOF */

struct gitproof {
	bool have;			/* the manifest below comes from the commit itself */
	struct git_manifest manifest;
	char title[GITPROOF_TITLE_MAX];	/* first line of the commit's message, "" unknown */
	int64_t commit_at;		/* committer's date, 0 unknown */
	char why_not[ERR_MSG_MAX];	/* why git could not be asked, when !have */
	struct buf pack;		/* as it came, for whoever wants to check it again; empty when it is too large */
};

/* Two small requests. An upstream without git, or one that answers nonsense, leaves have false; only ERR_CANCELED is an error. */
int gitproof_fetch(struct gitproof *p, struct hub *h, const char *repo, const char *commit, const atomic_bool *stop, struct err *e);
/* The same from a pack that somebody brought. ERR_MISMATCH or ERR_INPUT: it does not hold the commit. */
int gitproof_read(struct gitproof *p, const void *pack, size_t n, const char *commit, struct err *e);
void gitproof_done(struct gitproof *p);

/* Compares with the listing. ERR_MISMATCH names the path that disagrees. Pure. */
int gitproof_check(const struct gitproof *p, const struct hub_tree *t, enum proof_level *level, struct err *e);
/* gitproof_check(), and the level, the evidence a document about it and the pack in the catalog. */
int gitproof_record(struct work *w, int64_t revision_id, const struct gitproof *p, const struct hub_tree *t, struct err *e);

#endif
