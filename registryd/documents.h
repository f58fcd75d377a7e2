/* documents.h - what a revision's documents say: its card, configurations and licence texts, and upstream's own answer. */
#ifndef REGISTRYD_DOCUMENTS_H
#define REGISTRYD_DOCUMENTS_H

#include "catalog/licence.h"
#include "registryd/bases.h"
#include "registryd/work.h"
#include "verify/card.h"

#define DOCUMENTS_BYTES_MAX (4u << 20)	/* larger cards and configurations are not read; a licence text so long is a conflict */
#define DOCUMENTS_TEXTS_MAX 200	/* licence texts of one model */

/* Begins with .w, .revision_id, .info (upstream's, NULL for imports) and .inspection (NULL: not yet). Strings live in the job's arena. */
struct documents {
	struct work *w;
	int64_t revision_id;
	struct card card;
	bool card_read;
	struct licence_claims said;	/* the words of the card that was read */
	struct licence_claims claims;	/* of upstream, and instead of what it has made of the card the card itself */
	json_t *config;			/* config.json */
	const json_t *info, *inspection;
	struct licence_text texts[DOCUMENTS_TEXTS_MAX + 1];
	uint64_t text_bytes;
	bool texts_cut;		/* the last one stands for all that follow */
	size_t n_texts;
	struct bases bases;
	const char *repo;
	const char *linked;		/* the file that the card's license_link names; NULL: it leads elsewhere, or there is none */
	bool linked_listed;		/* the revision has that file */
};

/* Reads them and keeps them as documents of the catalog; documents_done() whatever comes of it. */
int documents_read(struct documents *d, struct err *e);
void documents_done(struct documents *d);
/* One answer from all that claims one, also of what the model was made from, which may mean to ask upstream. chosen: by a person, or NULL. */
void documents_licence(struct documents *d, const char *chosen, struct licence_answer *out);
/* Has nobody read the terms of this licence: it is no known one, and no text here is its? Then where they are is said. NULL: they are known. */
const char *documents_terms_elsewhere(const struct documents *d, const char *id);
/* Foreign text of at most 400 bytes that can be shown; NULL of nothing. */
const char *documents_tame(struct work *w, const char *s);

/* Why nobody here can read this licence text: formats of word processors. NULL: it is a text. */
const char *documents_unreadable(const struct buf *b);

/*
 * The file that the card's license_link names, which is read as a licence text whatever it is called; in a, NULL when it leads elsewhere. link: NULL takes it from what
 * upstream has made of the card; repo: a name of the model besides the one in info.
 */
const char *documents_linked_text(const char *link, const json_t *info, const char *repo, struct arena *a);

/* May this be a card or the text of a licence, to be read where it is not served? linked: see above, NULL none. */
bool documents_is_evidence(const char *path, uint64_t size_bytes, const char *linked);

#endif
