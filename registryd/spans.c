/* spans.c - see spans.h. */
#include "registryd/spans.h"

/* The first range that ends at or after `at` (touching counts). */
static size_t find(const struct spans *s, uint64_t at)
{
	size_t i = 0;

	while (i < s->n && s->at[i].end < at)
		i++;
	return i;
}

/* Puts r, or nothing, in the place of `old` ranges at i. */
static void replace(struct spans *s, size_t i, size_t old, const struct partial_range *r, size_t n)
{
	memmove(&s->at[i + n], &s->at[i + old], (s->n - i - old) * sizeof(*s->at));
	memcpy(&s->at[i], r, n * sizeof(*r));
	s->n = s->n - old + n;
}

bool spans_add(struct spans *s, uint64_t begin, uint64_t end)
{
	size_t i = find(s, begin), j = i;
	struct partial_range r = { begin, end };

	if (begin >= end)
		return true;
	for (; j < s->n && s->at[j].begin <= end; j++) {
		r.begin = s->at[j].begin < r.begin ? s->at[j].begin : r.begin;
		r.end = s->at[j].end > r.end ? s->at[j].end : r.end;
	}
	if (i == j && s->n == SPANS_MAX)
		return false;
	replace(s, i, j - i, &r, 1);
	return true;
}

bool spans_remove(struct spans *s, uint64_t begin, uint64_t end)
{
	struct partial_range rest[2];
	size_t i = find(s, begin), j, n = 0;

	if (i < s->n && s->at[i].end == begin)
		i++;	/* it only touches */
	for (j = i; j < s->n && s->at[j].begin < end; j++)
		;
	if (begin >= end || i == j)
		return true;
	if (s->at[i].begin < begin)
		rest[n++] = (struct partial_range){ s->at[i].begin, begin };
	if (s->at[j - 1].end > end)
		rest[n++] = (struct partial_range){ end, s->at[j - 1].end };
	if (n > j - i && s->n == SPANS_MAX)
		return false;
	replace(s, i, j - i, rest, n);
	return true;
}

uint64_t spans_upto(const struct spans *s, uint64_t from)
{
	size_t i = find(s, from);

	if (i < s->n && s->at[i].end == from)
		i++;
	return i < s->n && s->at[i].begin <= from ? s->at[i].end : from;
}

bool spans_gap(const struct spans *s, uint64_t from, uint64_t size, struct partial_range *gap)
{
	uint64_t begin = spans_upto(s, from), end = size;

	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].begin > begin) {
			end = s->at[i].begin < size ? s->at[i].begin : size;
			break;
		}
	if (begin >= end)
		return false;
	*gap = (struct partial_range){ begin, end };
	return true;
}

uint64_t spans_bytes(const struct spans *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->at[i].end - s->at[i].begin;
	return n;
}
