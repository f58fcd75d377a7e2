/* licence_title.h - for licence_text.c: words by which a licence is known without its text. Reduced, to letters and digits in lower case. */
#ifndef CATALOG_LICENCE_TITLE_H
#define CATALOG_LICENCE_TITLE_H

struct licence_title {
	const char *words, *id;	/* both NULL in the last one of a list */
};

/* Titles of agreements. None of a permissive licence: whoever writes one above terms of his own is not believed. */
extern const struct licence_title licence_titles[];
/* Of policies that agreements refer to, documents of their own. */
extern const struct licence_title licence_policies[];
/* Sentences that a licence prescribes for what is given on under it; they count wherever they stand. */
extern const struct licence_title licence_sentences[];

#endif
