/* licence_reduced.c - from a text to its letters and digits, and back to what is left of it; see licence_reduced.h. */
#include "catalog/licence_reduced.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

#define INDENT_MOST 32	/* bytes of a line before and of the mark of an entry */

void own_reduced(struct reduced *r)
{
	free(r->text);
	free(r->rest);
	free(r->begins);
	free(r->origin);
}

static size_t count_pluses(const char *text, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += text[i] == '+';
	return found;
}

bool licence_is_mark(const char *at, const char *end)
{
	while (at < end && isdigit((unsigned char)*at))
		at++;
	if (at < end && isalpha((unsigned char)*at))
		at++;
	while (at < end && strchr("ivx", *at))
		at++;
	while (at < end && isdigit((unsigned char)*at))
		at++;
	return at == end;
}

/* Is what stands on the line before text[i] no more than the mark of an entry? */
static bool is_behind_mark(const char *text, size_t i)
{
	const char *from = i > INDENT_MOST ? text + i - INDENT_MOST : text, *end = text + i, *at = end, *line = end;

	while (line > from && line[-1] != '\n')
		line--;
	while (at > line && isalnum((unsigned char)at[-1]))
		at--;
	for (const char *p = line; p < at; p++)
		if (!strchr(" \t\r#*>/|-0123456789.(", *p))
			return false;
	return licence_is_mark(at, end) && (line == text || line[-1] == '\n');
}

/* What begins behind the mark at text[i]. What introduces a list, a table or a line that goes on is one sentence with that. */
static unsigned char begun_by(const char *text, size_t i, size_t n)
{
	char c = text[i], next = i + 1 < n ? text[i + 1] : '\n';

	if (c == '\n' || c == '\r' || c == '>')
		return BEGINS_WORD | BEGINS_LINE;
	if (c == '!' || c == '?' || c == ';' || (c == '.' && strchr(" \t\r\n\"')", next) && !is_behind_mark(text, i)))
		return BEGINS_WORD | BEGINS_SENTENCE;
	return BEGINS_WORD;
}

void licence_reduce(struct reduced *r, const char *text, size_t n)
{
	size_t most = n + 3 * count_pluses(text, n) + 1;
	unsigned char begins = BEGINS_LINE | BEGINS_SENTENCE;

	*r = (struct reduced){ .text = mem_zalloc(most), .begins = mem_zalloc(most), .origin = mem_zalloc(most * sizeof(uint32_t)) };
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c != '+' && (c >= 0x80 || !isalnum(c))) {
			begins |= begun_by(text, i, n);
			continue;
		}
		r->begins[r->n] = begins;
		begins = 0;
		for (size_t k = 0; k < (c == '+' ? 4 : 1); k++)
			r->origin[r->n + k] = (uint32_t)i;
		if (c == '+') {
			memcpy(r->text + r->n, "plus", 4);
			r->n += 4;
		} else {
			r->text[r->n++] = (char)tolower(c);
		}
	}
	r->rest = mem_strndup(r->text, r->n);
}

char *licence_words_left(const struct reduced *r)
{
	char *words = mem_zalloc(4 * r->n + 1), *out = words;
	bool is_known = false;

	for (size_t i = 0; i < r->n; i++) {
		if (r->rest[i] == ' ') {
			is_known = true;
			continue;
		}
		if (is_known || (r->begins[i] & BEGINS_SENTENCE))
			out = mempcpy(out, " . ", 3);
		else if (r->begins[i] & BEGINS_WORD)
			*out++ = ' ';
		*out++ = r->rest[i];
		is_known = false;
	}
	return words;
}

char *licence_left_of(const char *text, size_t n, const struct reduced *r, struct arena *a)
{
	char *left = arena_strndup(a, text, n);

	for (size_t i = 0; i < r->n; i++)
		if (r->rest[i] == ' ')
			left[r->origin[i]] = ' ';
	return left;
}

size_t licence_count_left(const struct reduced *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->rest[i] != ' ';
	return n;
}
