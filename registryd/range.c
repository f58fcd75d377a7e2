/* range.c - see range.h. */
#include "registryd/range.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

/* Reads digits; a number that does not fit becomes UINT64_MAX, which is beyond every file. False when there is no digit. */
static bool number(const char **s, uint64_t *out)
{
	uint64_t n = 0;
	bool any = false;

	for (; isdigit((unsigned char)**s); (*s)++) {
		any = true;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(**s - '0'), &n))
			n = UINT64_MAX;
		if (n == UINT64_MAX) {
			while (isdigit((unsigned char)**s))
				(*s)++;
			break;
		}
	}
	*out = n;
	return any;
}

static void blanks(const char **s)
{
	while (**s == ' ' || **s == '\t')
		(*s)++;
}

static enum range_kind suffix(uint64_t n, uint64_t size, struct range *out)
{
	if (!n)
		return RANGE_UNSATISFIABLE;
	if (n > size)
		n = size;
	*out = (struct range){ size - n, n };
	return RANGE_PART;
}

enum range_kind range_parse(const char *header, uint64_t size, struct range *out)
{
	uint64_t first = 0, last = UINT64_MAX;
	bool has_first, has_last;
	const char *s = header;

	*out = (struct range){ 0, size };
	if (!s || !size || strncasecmp(s, "bytes", 5))
		return RANGE_WHOLE;
	s += 5;
	blanks(&s);
	if (*s++ != '=')
		return RANGE_WHOLE;
	blanks(&s);
	has_first = number(&s, &first);
	if (*s++ != '-')
		return RANGE_WHOLE;
	has_last = number(&s, &last);
	blanks(&s);
	if (*s || (!has_first && !has_last))
		return RANGE_WHOLE;
	if (!has_first)
		return suffix(last, size, out);
	if (!has_last)
		last = UINT64_MAX;
	if (last < first)
		return RANGE_WHOLE;
	if (first >= size)
		return RANGE_UNSATISFIABLE;
	if (last >= size)
		last = size - 1;
	*out = (struct range){ first, last - first + 1 };
	return RANGE_PART;
}
