/*
 * licence.h - what a model's licence is and what it allows: one table (schema/licenses.csv), and the way from what a card says to one answer.
 * Not legal advice; where the table rests on belief it says so. Pure: no disk, no SQL.
 *
 * Ids are the Hub's ("apache-2.0"), or "other:<license_name>" in lower case for licences the Hub has no id for, or "unknown".
 */
#ifndef CATALOG_LICENCE_H
#define CATALOG_LICENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define LICENCE_ID_MAX	      96
#define LICENCE_CONFLICTS_MAX 16
#define LICENCE_TAGS_MAX      64
#define LICENCE_TEXT_MAX      ((size_t)1 << 20)	/* bytes of a text, but for long runs of white space; nobody reads a longer one */
#define LICENCE_NOTICE_MAX    700	/* reduced characters; a longer text is more than a word about a licence */
#define LICENCE_REST_MAX      150	/* of what stands beside known texts, without lines that name owners or a licence */
#define LICENCE_OWNERS_MAX    8000	/* of what stands beside known texts, with the lines that name owners */

enum licence_use {	/* may it be used commercially? */
	LICENCE_UNKNOWN,
	LICENCE_YES,
	LICENCE_CONDITIONAL,	/* under conditions named in the row */
	LICENCE_NO,
};
const char *licence_use_name(enum licence_use u);	/* "yes" "conditional" "no" "unknown" */

struct licence {
	const char *id, *spdx, *name;	/* spdx: SPDX id, LicenseRef-… or NOASSERTION */
	enum licence_use commercial_use;
	enum licence_use redistribution;
	bool osi_approved;
	bool permissive;	/* redistribution inside an organisation without conditions beyond notices: what the default policy publishes */
	bool family;		/* names a family, not one text: "gpl", "cc" */
	const char *attribution, *copyleft, *restrictions, *derivatives, *redistribution_text, *notes;	/* words, "" when there are none */
	int64_t user_limit;	/* monthly active users above which another agreement is needed, 0 none */
};

/* The row, or NULL. Case does not matter. */
const struct licence *licence_find(const char *id);
const struct licence *licence_at(size_t i);	/* all rows, NULL past the end */
const char *licence_nearest(const char *id);	/* for "did you mean", or NULL */
/* SPDX id for any answer, also those without a row: LicenseRef-… made of the name's allowed characters, and of its hash where others are in it. Written to out. */
void licence_spdx(const char *id, char out[LICENCE_ID_MAX]);

/* What is claimed for one revision, and by whom. Everything may be NULL/0. */
struct licence_claims {
	const char *repo;		/* the model's own name: it is no base of itself */
	const char *const *card;	/* `license` of the card: one or several strings as written */
	size_t n_card;
	const char *card_name, *card_link;	/* license_name, license_link */
	const char *const *tags;	/* X of upstream's tags "license:X", none of them empty */
	size_t n_tags;
	const char *chosen;		/* given by a person at import; wins */
	struct licence_text {
		const char *path;
		bool linked;		/* the card's license_link names it: it is the model's own, whatever it is called. Of words: whatever else they name is a conflict */
		const char *recognised;	/* its licence; of several the strictest, of equally strict ones the first. NULL: none that is known */
		const char *const *all;	/* every licence in it */
		size_t n_all;
		const char *unread;	/* why nobody has read it ("is longer than …"), else NULL: a conflict, for nobody knows what it says */
		const char *const *said;	/* what licences a short text, or a word beside known ones, speaks of: ids, families ("cc-by-nc", "llama"), and "other:…" for what no list has */
		size_t n_said;
		bool says_more;		/* beside the known texts in it more than a word stands there, which nobody has read. Of words: they set terms */
		bool restricts;		/* words of it that are of no known text take back commercial use, be it long or short */
		const char *notice;	/* a short text as letters and digits in lower case; "-" when that is nothing, "" for a long one */
	} const *texts;
	size_t n_texts;
	const struct licence_text *words;	/* what the card says of its licence beside `license`, path: where. No answer comes of it, only conflicts */
	size_t n_words;
	const struct licence_base {
		const char *repo;
		const char *license;	/* resolved id, or NULL when the catalog does not know the base model */
		const char *unanswered;	/* why nobody could be asked about it, else NULL: a conflict, for its licence may be any */
		const char *unsettled;	/* why its licence is held and waits for a person, else NULL: a conflict for whatever allows more than what nobody knows */
	} *bases;
	size_t n_bases;
};

struct licence_answer {
	const char *id;		/* never NULL: "unknown" when nothing is known */
	const char *spdx;
	const char *name;	/* license_name as written when the id was made of it, or the unmapped text; else NULL */
	const char *source;	/* "person", "card", "text", "tag" or "none" */
	enum licence_use commercial_use;
	const char *conflicts[LICENCE_CONFLICTS_MAX];	/* sentences */
	size_t n_conflicts;
};

/*
 * One answer. Of several licences, the card's or the card's and the texts', the strictest counts, and the others are a conflict; a person's word stands. A base model's
 * licence that is stricter, whose copyleft is dropped or that lets no derivatives be shared is a conflict. Strings live in a.
 */
void licence_resolve(const struct licence_claims *c, struct arena *a, struct licence_answer *out);
/* Is this conflict one with what the model was made from, which whatever is made of it is compared with, too? */
bool licence_is_of_base(const char *conflict);
/*
 * The words of a card: license_name where it is of no known licence, license_link, gated access, tags, and the sections about its licence in the n bytes of `text`
 * behind the front matter, but for what is said there of another model than c->repo. Anything may be NULL.
 */
void licence_read_card(const json_t *front, const char *text, size_t n, struct arena *a, struct licence_claims *c);
/* The licence that an address is known to lead to, or NULL. */
const char *licence_of_link(const char *link, struct arena *a);
/* Does `id` count where both are named: does it forbid more commercially, else of derivatives, else does it have a copyleft and `other` none? */
bool licence_is_stricter(const char *id, const char *other);
/* The id of what a person asks for: an id of the Hub, an SPDX id, or other:…, in any case and by name like a card's. NULL: there is none. */
const char *licence_id(const char *written, struct arena *a);
/* The id that a license_name makes where no known licence is called so: what a person who reads the card would name it. NULL of NULL. */
const char *licence_said(const char *license_name, struct arena *a);
/* Maps one written form ("MIT", "Apache 2.0", "apache-2", "Academic Free License v3.0") to an id, or NULL. */
const char *licence_normalise(const char *written);
/*
 * What the text of a licence file says: recognised, all and notice of *out. By normalised text, so that copyright lines and line breaks do not matter, and by
 * "SPDX-License-Identifier:". All of it is read, or out->unread says why not. What lasts of it lives in a.
 */
void licence_read_text(const char *text, size_t n, struct arena *a, struct licence_text *out);
/* Is there a text by which this licence would be recognised? */
bool licence_has_text(const char *id);
/* The same for a file that may be data: of LICENSE.json and the like the strings are read, and the ids under "license" and such. */
void licence_read_file(const char *path, const char *text, size_t n, struct arena *a, struct licence_text *out);
/*
 * Is this file a licence, notice or use policy? LICENSE*, LICENCE*, COPYING*, NOTICE*, USE_POLICY*, *LICENSE, *LICENCE with any extension but those of programs,
 * data and weights, in any directory; what else of that kind lies in a folder "licenses" (REUSE: LICENSES/); X.license beside X; beside the card a text called an agreement, EULA, terms or use policy; and LICENSE.json, .yaml, .toml.
 */
bool licence_is_text_path(const char *path);
/* The same of a file of this size. Only the name of a licence makes more than 1 MiB one: "eula_corpus.md" is words, and no agreement is so long. */
bool licence_is_text_file(const char *path, uint64_t size_bytes);
/* The file of the model's own repository that license_link names, in a: a path, or an address on the Hub. NULL: it leads elsewhere, or to the card. repo: the model's name. */
const char *licence_link_path(const char *link, const char *repo, struct arena *a);
/* Is it the model's own licence, LICENSE, LICENCE, COPYING, MODEL_LICENSE or the like beside the card, where its text is expected? */
bool licence_is_main_text(const char *path);
/* Has it a licence's name of any kind beside the card, as LICENSE.en.md and LIZENZ.txt have? Where nothing has the plain name it is the model's own. */
bool licence_is_named(const char *path);
bool licence_is_foreign(const char *path);	/* is it called a licence in another language than English? */
/* Is it by its name terms, an EULA or an agreement beside the card? */
bool licence_is_agreement(const char *path);
bool licence_is_notice(const char *path);	/* NOTICE, with any extension, in any directory */
/* Is what it says about something else than the model: code that comes with it (LICENSE-CODE), or what lies in third_party/ and the like? */
bool licence_is_of_parts(const char *path);

#endif
