/* test_spans.c - sets of byte ranges against a plain array of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registryd/spans.h"

enum { SIZE = 96 };

static void matches(const struct spans *s, const bool *want)
{
	uint64_t bytes = 0, last = 0;
	struct partial_range gap;

	for (size_t i = 0; i < s->n; i++) {
		assert_true(s->at[i].begin < s->at[i].end);
		assert_true(!i || s->at[i].begin > last);	/* ranges that touch are one */
		last = s->at[i].end;
	}
	for (uint64_t at = 0; at < SIZE; at++) {
		uint64_t upto = at, begin, end;

		bytes += want[at];
		while (upto < SIZE && want[upto])
			upto++;
		assert_int_equal(spans_upto(s, at), upto);
		for (begin = upto, end = begin; end < SIZE && !want[end]; end++)
			;
		assert_int_equal(spans_gap(s, at, SIZE, &gap), begin < end);
		if (begin < end)
			assert_true(gap.begin == begin && gap.end == end);
	}
	assert_int_equal(spans_bytes(s), bytes);
}

static void test_random(void **state)
{
	uint32_t x = 12345;
	(void)state;

	for (int round = 0; round < 50; round++) {
		struct spans s = { .n = 0 };
		bool want[SIZE] = { false };

		for (int step = 0; step < 60; step++) {
			uint64_t begin = (x = x * 1664525 + 1013904223) >> 16 & 63, n = (x = x * 1664525 + 1013904223) >> 16 & 31;
			bool add = (x = x * 1664525 + 1013904223) >> 16 & 1;

			assert_true(add ? spans_add(&s, begin, begin + n) : spans_remove(&s, begin, begin + n));
			memset(want + begin, add, n);
			matches(&s, want);
		}
	}
}

static void test_full(void **state)
{
	struct spans s = { .n = 0 };
	struct partial_range gap;
	(void)state;

	for (uint64_t i = 0; i < SPANS_MAX; i++)
		assert_true(spans_add(&s, 10 * i, 10 * i + 5));
	assert_false(spans_add(&s, 10 * SPANS_MAX, 10 * SPANS_MAX + 1));
	assert_false(spans_remove(&s, 1, 2));
	assert_int_equal(s.n, SPANS_MAX);
	assert_true(spans_add(&s, 5, 10));	/* closes a gap */
	assert_true(spans_remove(&s, 1, 2));
	assert_true(spans_gap(&s, 0, 1000, &gap));
	assert_true(gap.begin == 1 && gap.end == 2);
	assert_false(spans_gap(&s, 3, 12, &gap));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_full) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
