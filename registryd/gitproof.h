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

/* What came of it. */
struct gitproof {
	bool have;			/* the commit itself was read */
	struct digest tree;		/* its uppermost tree, and how many files it lists; when have */
	size_t n_files;
	enum proof_level level;
	struct err disagrees;		/* ERR_MISMATCH, naming the path, when the listing contradicts the commit or itself; else no error */
	char title[GITPROOF_TITLE_MAX];	/* first line of the commit's message, "" unknown */
	int64_t commit_at;		/* committer's date, 0 unknown */
	char why_not[ERR_MSG_MAX];	/* why git could not be asked, when !have */
	bool again;			/* that may pass: it is worth asking another time */
	struct spool pack;		/* as it came, for whoever wants to check it again; nothing when !have */
};

/*
 * Two small requests, and the listing is held against what they bring. An upstream without git, or one that answers nonsense, leaves have false,
 * and the listing is held against itself. A whole pack that is not the commit's is no nonsense: then `disagrees` says so. Only ERR_CANCELED and ERR_NOSPACE are errors.
 */
int gitproof_make(struct gitproof *p, struct work *w, struct hub *h, const char *repo, const char *commit, const struct hub_tree *t, struct err *e);
/* The same from a pack that somebody brought. ERR_MISMATCH or ERR_INPUT: it does not hold the commit. */
int gitproof_read(struct gitproof *p, struct work *w, const void *pack, size_t n, const char *commit, const struct hub_tree *t, struct err *e);
/* Without a pack: the listing is held against itself. */
void gitproof_without(struct gitproof *p, const struct hub_tree *t, const char *why_not);
void gitproof_done(struct gitproof *p);
/* The level, the evidence, a document about it and the pack in the catalog; or, when listing and commit disagree, ERR_MISMATCH and why. */
int gitproof_record(struct work *w, int64_t revision_id, const struct gitproof *p, struct err *e);

/* What gitproof_record() kept: why the commit was not proven (NULL: it was, or nothing is known), and whether to ask again. */
const char *gitproof_why_not(struct db *db, int64_t revision_id, struct arena *a, bool *again);
/* Is that to be done, when git was asked at least wait_s ago? */
bool gitproof_due(struct db *db, int64_t revision_id, int64_t wait_s, struct arena *a);

/* The comparing by itself: every file of the commit in any order, then the end. */
struct gitproof_compare {
	const struct hub_tree *t;
	uint8_t *seen;		/* a bit for each file of the listing */
	size_t n;		/* files of the commit */
	enum proof_level level;
	struct err disagrees;	/* the first that was found */
};

void gitproof_compare_begin(struct gitproof_compare *c, const struct hub_tree *t);
/* ERR_MISMATCH for what no commit can say: a file that is listed twice. */
int gitproof_compare_entry(struct gitproof_compare *c, const struct git_entry *g, struct err *e);
/* Fills level and disagrees; c is done with. */
void gitproof_compare_end(struct gitproof_compare *c);
/* Without a commit. */
int gitproof_check_listing(const struct hub_tree *t, enum proof_level *level, struct err *e);

#endif
