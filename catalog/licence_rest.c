/* licence_rest.c - what stands in a file beside the texts that are known: owners, titles, words about licences, and what is more than that; see licence_table.h. */
#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"

#define SAID_MAX      ((size_t)16)	/* licences of which a short text speaks */
#define OWNERS_WITHIN ((size_t)1000)	/* bytes before "all rights reserved" in which its owner is named */
#define OWNER_MOST    160		/* bytes of a line that names an owner; a longer one says more */

bool licence_is_of_owner(const char *line)
{
	return !strncasecmp(line, "copyright", 9) || !strncasecmp(line, "(c)", 3) || str_starts(line, "\xc2\xa9");
}

bool licence_is_beside_name(const char *line)
{
	static const char *const begins[] = { "all rights reserved", "http://", "https://" };

	if (licence_is_of_owner(line))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (!strncasecmp(line, begins[i], strlen(begins[i])))
			return true;
	return false;
}

bool licence_is_reserved_by_owner(const char *text, const char *at)
{
	const char *from = (size_t)(at - text) > OWNERS_WITHIN ? at - OWNERS_WITHIN : text;

	for (const char *line = at;; line--) {
		const char *first;

		while (line > from && line[-1] != '\n')
			line--;
		first = line + strspn(line, " \t\r#*/>-");
		if (line == from && from > text && line[-1] != '\n')
			return false;
		if (licence_is_of_owner(first))
			return !memmem(first, strcspn(first, "\n"), "eights", 6);
		if (line == from || (first < at && strncasecmp(first, "all rights reserved", 19) != 0 && *first != '\n'))
			return false;
	}
}

bool licence_is_title(const char *at, size_t n, struct arena *a)
{
	const char *line = arena_strndup(a, at, n);

	bool is_address = str_starts(line, "http") && !line[strcspn(line, " \t")];

	return n <= OWNER_MOST && (licence_is_of_owner(line) || is_address || !strncasecmp(line, "spdx-", 5) || licence_normalise(line));
}

/* Its letters and digits; owners: and those of lines that say nothing of the terms. */
static size_t count_left(const char *left, bool owners, struct arena *a)
{
	size_t found = 0;

	for (const char *line = left, *end; *line; line = end + (*end != 0)) {
		const char *first = line + strspn(line, LICENCE_LINE_MARKS);

		end = line + strcspn(line, "\n");
		if (!owners && first < end && licence_is_title(first, (size_t)(end - first), a))
			continue;
		for (const char *p = line; p < end; p++)
			found += isalnum((unsigned char)*p) != 0;
	}
	return found;
}

/* Cuts the lines that name an owner, and nothing said of a licence, out of `left`. */
static char *cut_owners(char *left, struct arena *a)
{
	char *owners = arena_strdup(a, left);

	for (char *line = left, *end; *line; line = end + (*end != 0)) {
		const char *first = line + strspn(line, LICENCE_LINE_MARKS);

		end = line + strcspn(line, "\n");
		bool is_owner = end - first <= OWNER_MOST && licence_is_of_owner(first) && !memmem(first, (size_t)(end - first), "icen", 4);

		memset(is_owner ? line : owners + (line - left), ' ', (size_t)(end - line));
	}
	return owners;
}

/* What `left` speaks of. DeepSeek, Llama and Apache are owners, too. */
static void read_spoken(char *left, struct arena *a, struct licence_text *out)
{
	const char **said = arena_alloc(a, 2 * SAID_MAX * sizeof(*said)), **more = arena_alloc(a, SAID_MAX * sizeof(*more));
	const char *owners = cut_owners(left, a);
	size_t n = licence_spoken_of(owners, strlen(owners), a, more, SAID_MAX);

	out->said = said;
	out->n_said = licence_spoken_of(left, strlen(left), a, said, SAID_MAX);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(more[i], "other:more-than-are-read") || (licence_find(more[i]) && !str_starts(more[i], "other:")))
			said[out->n_said++] = more[i];
}

void licence_read_rest(char *left, const char *unsaid, size_t most, struct arena *a, struct licence_text *out)
{
	size_t n = count_left(unsaid, false, a);
	bool is_long = n > LICENCE_NOTICE_MAX || count_left(left, true, a) > LICENCE_OWNERS_MAX;

	out->says_more |= is_long || n > most;
	if (!is_long)
		read_spoken(left, a, out);
}
