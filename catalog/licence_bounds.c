/* licence_bounds.c - how much is read of what somebody sent, and what lasts of it; see licence_table.h. What is over a bound is not read in part: it says anything. */
#include <ctype.h>

#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"

#define WORD_MOST   ((size_t)8192)	/* bytes without white space; a paragraph of Chinese has fewer */
#define BLANKS_MOST ((size_t)64)	/* of white space in a row that are kept: more say no more */

const char *licence_bounded(const char *text, size_t *n, struct arena *scratch, struct licence_text *out)
{
	char *copy = arena_alloc(scratch, *n + 1);
	size_t kept = 0, word = 0, blanks = 0;

	for (size_t i = 0; i < *n && kept <= LICENCE_TEXT_MAX && word <= WORD_MOST; i++) {
		bool is_blank = isspace((unsigned char)text[i]) != 0;

		word = is_blank ? 0 : word + 1;
		blanks = is_blank ? blanks + 1 : 0;
		if (blanks <= BLANKS_MOST)
			copy[kept++] = text[i];
	}
	*n = kept;
	if (kept <= LICENCE_TEXT_MAX && word <= WORD_MOST)
		return copy;
	out->unread = kept > LICENCE_TEXT_MAX ? "is longer than 1 MiB, so nobody has read it" : "has more than 8 KiB without a blank, so nobody has read it";
	return NULL;
}

void licence_note_spent(const struct arena *scratch, struct licence_text *out)
{
	if (licence_is_spent(scratch) && !out->unread)
		out->unread = "takes too long to read, so nobody has read all of it";
}

static const char *const *keep_all(const char *const *from, size_t n, struct arena *a)
{
	const char **all = arena_alloc(a, n * sizeof(*all) + 1);

	for (size_t i = 0; i < n; i++)
		all[i] = arena_strdup(a, from[i]);
	return all;
}

void licence_keep(const struct licence_text *from, struct arena *a, struct licence_text *out)
{
	*out = *from;
	out->recognised = arena_strdup(a, from->recognised);
	out->notice = arena_strdup(a, from->notice);
	out->all = keep_all(from->all, from->n_all, a);
	out->said = keep_all(from->said, from->n_said, a);
}
