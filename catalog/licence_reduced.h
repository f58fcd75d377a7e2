/* licence_reduced.h - a text reduced to its letters and digits, as texts of licences are compared; between licence_text.c and licence_reduced.c. */
#ifndef CATALOG_LICENCE_REDUCED_H
#define CATALOG_LICENCE_REDUCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum {	/* what a letter is the first one of */
	BEGINS_WORD = 1,
	BEGINS_LINE = 2,	/* or behind a mark of HTML */
	BEGINS_SENTENCE = 4,
	IN_GAP = 8,	/* or: it stands between two parts of a text, where that has an owner's name or the like */
};

/* The letters and digits of a text; rest: the same with blanks for known texts. */
struct reduced {
	char *text, *rest;
	unsigned char *begins;
	uint32_t *origin;	/* where in the text as written */
	size_t n;
};

/* Of the n bytes of a text. It is given back with own_reduced(). */
void licence_reduce(struct reduced *r, const char *text, size_t n);
void own_reduced(struct reduced *r);
/* Is it the mark of a list's entry, as "(a)", "iv.", "4.1", "2(b)" are without their marks, or nothing? A word is none: it may be "not". */
bool licence_is_mark(const char *at, const char *end);
/* Behind what is left of the text: its words, for licence_restricts(). Caller frees. */
char *licence_words_left(const struct reduced *r);
/* What is left of the n bytes of the text as written. */
char *licence_left_of(const char *text, size_t n, const struct reduced *r, struct arena *a);
size_t licence_count_left(const struct reduced *r);	/* letters of it */

#endif
