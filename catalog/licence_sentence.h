/* licence_sentence.h - a sentence as words, and lists of words; between licence_terms.c, which cuts texts into them, and those that read these. */
#ifndef CATALOG_LICENCE_SENTENCE_H
#define CATALOG_LICENCE_SENTENCE_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "catalog/licence_table.h"

#define SENTENCE_MAX 80		/* words; in a longer one nothing is plain */
#define SENTENCE_LAP 20		/* of these, the last ones that are read again with what is behind them */
#define WORD_MAX     24		/* letters of a word that a list has */

typedef const char *const words_list[];	/* a "*" stands for any end, or at the begin of one for any begin; NULL ends it */

struct word {
	char text[WORD_MAX];	/* in lower case; LICENCE_NAMED for a licence's name */
	bool is_proper;		/* a name's, by its capital behind a sentence's first word, or of an address */
	bool is_foreign;	/* of a language with marks on its letters, and no name: it may mean anything */
	bool is_gone;		/* a phrase that says nothing against anything */
};

struct sentence {
	struct word v[SENTENCE_MAX];
	size_t n;
	bool has_operative, is_long;
	const char *more;	/* where what does not fit begins, with the last words before it */
};

/* Reads the sentence at p, of a text in which licences' names are marked; where the next one begins. */
const char *licence_next_sentence(struct sentence *s, const char *p);
/* Of one that is long, the words that did not fit, as far as they do now. False: there are none. */
bool licence_read_on(struct sentence *s, const char *end);
/* Does it only name a licence, allow what that allows, or give no warranty? */
bool licence_says_nothing(const struct sentence *s);

static inline bool is_like(const char *word, const char *pattern)
{
	size_t n = strlen(pattern);

	if (*pattern == '*')
		return strlen(word) >= n - 1 && !strcmp(word + strlen(word) - (n - 1), pattern + 1);
	return n && pattern[n - 1] == '*' ? !strncmp(word, pattern, n - 1) : !strcmp(word, pattern);
}

static inline bool is_one(const char *word, const char *const *list)
{
	for (; *list; list++)
		if ((**list == *word || **list == '*') && is_like(word, *list))
			return true;
	return false;
}

static inline bool is_name(const char *word)
{
	return *word == LICENCE_NAMED;
}

static inline bool is_number(const char *word)
{
	return isdigit((unsigned char)*word);
}

/* Word i, "" where there is none. */
static inline const char *at(const struct sentence *s, size_t i)
{
	return i < s->n ? s->v[i].text : "";
}

static inline bool has_one(const struct sentence *s, const char *const *list)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i].is_gone && is_one(s->v[i].text, list))
			return true;
	return false;
}

#endif
