/*
 * card.h - the front matter of a model card (README.md): the YAML between two lines of three dashes at its begin. Its authors write what
 * they like: a list where a string is meant, null, free text, another encoding. Nothing of that is an error here; what can't be used is left out.
 * Which block counts is huggingface_hub's own rule: white space may stand before the first fence, blanks behind the second.
 */
#ifndef VERIFY_CARD_H
#define VERIFY_CARD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

#define CARD_PATH	"README.md"
#define CARD_MAX_BYTES	(1u << 20)	/* of the front matter; what is longer is no card's */
#define CARD_LIST_MAX	1000		/* items of one list that are kept */
#define CARD_ITEM_BYTES 512		/* longer strings are left out */

#define CARD_BASES_DEPTH 4		/* lists and mappings in each other under base_model */

struct card_list {
	const char **item;
	size_t n;
};

enum card_verdict {
	CARD_FINE,
	CARD_ODD,	/* readable, but made to mislead: hidden writing direction, two licences, foreign tags */
	CARD_BROKEN,	/* the front matter can't be read: nothing of it is used */
};

/* Strings and lists live in the arena given to card_parse(). Absent: NULL, n = 0. */
struct card {
	bool has_front;
	enum card_verdict verdict;
	const char *problem;	/* one sentence, NULL when the verdict is CARD_FINE */
	struct card_list license, language, tags, datasets, metrics, base_model, library, task;
	const char *license_name, *license_link, *base_model_relation, *new_version;
	json_t *front;		/* the whole mapping; scalars are strings. NULL without one */
};

/* Where the front matter's YAML lies in text; false when there is none. */
bool card_find_front(const char *text, size_t n, size_t *begin, size_t *end);
/* Never fails: what is wrong with the card is in c. */
void card_parse(const char *text, size_t n, struct arena *a, struct card *c);
void card_done(struct card *c);

/*
 * The models under base_model, as written: a name, {name: …}, {quantized: …}, {org/name: …}, or a list of such. False when there is more than could be read: a mapping
 * that names none, say. Of the card itself, or of what the Hub's API has made of it.
 */
bool card_read_bases(const json_t *v, struct arena *a, struct card_list *out);

/* What a list of one or none holds, for authors write that for a string too; any other value is itself. NULL: nothing. */
const json_t *card_the_one(const json_t *v);

/* Is this key of the front matter `license`, in one of the spellings that authors use for it? */
bool card_is_licence_key(const char *key);

/* What stands behind the host, of an address on the Hub; all of what is no address; NULL for an address elsewhere. */
const char *card_skip_host(const char *written);

static inline void own_card(struct card *c)
{
	card_done(c);
}

#endif
