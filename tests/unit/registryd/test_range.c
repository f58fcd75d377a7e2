/* test_range.c - one row a header: what RFC 9110 and the Hub's clients expect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "registryd/range.h"

static const struct {
	const char *header;
	uint64_t size;
	enum range_kind kind;
	uint64_t offset, length;
} rows[] = {
	{ NULL, 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=0-0", 10, RANGE_PART, 0, 1 },
	{ "bytes=0-9", 10, RANGE_PART, 0, 10 },
	{ "bytes=0-100000", 10, RANGE_PART, 0, 10 },
	{ "bytes=3-5", 10, RANGE_PART, 3, 3 },
	{ "bytes=9-", 10, RANGE_PART, 9, 1 },
	{ "bytes=-1", 10, RANGE_PART, 9, 1 },
	{ "bytes=-100", 10, RANGE_PART, 0, 10 },
	{ "BYTES = 1-2 ", 10, RANGE_PART, 1, 2 },
	{ "bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 10 },
	{ "bytes=10-20", 10, RANGE_UNSATISFIABLE, 0, 10 },
	{ "bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 10 },
	{ "bytes=18446744073709551615-", 10, RANGE_UNSATISFIABLE, 0, 10 },
	{ "bytes=99999999999999999999999-99999999999999999999999", 10, RANGE_UNSATISFIABLE, 0, 10 },
	{ "bytes=0-99999999999999999999999", 10, RANGE_PART, 0, 10 },
	{ "bytes=-99999999999999999999999", 10, RANGE_PART, 0, 10 },
	{ "bytes=499999999999-", 500000000000, RANGE_PART, 499999999999, 1 },
	{ "bytes=5-3", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=0-0,2-3", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=-", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=a-b", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=1-2x", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=--1", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=1--2", 10, RANGE_WHOLE, 0, 10 },
	{ "items=0-1", 10, RANGE_WHOLE, 0, 10 },
	{ "", 10, RANGE_WHOLE, 0, 10 },
	{ "bytes=0-0", 0, RANGE_WHOLE, 0, 0 },
	{ "bytes=-5", 0, RANGE_WHOLE, 0, 0 },
};

static void every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct range r;

		if (range_parse(rows[i].header, rows[i].size, &r) != rows[i].kind || r.offset != rows[i].offset || r.length != rows[i].length)
			fail_msg("%s of %llu", rows[i].header, (unsigned long long)rows[i].size);
	}
}

/* Whatever the text: a part lies inside the file. */
static void random_text_stays_inside(void **state)
{
	static const char alphabet[] = "bytes=0123456789-, \t";
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[24] = "bytes=";
		struct range r;
		uint64_t size;

		for (size_t n = i % 2 ? 6 : 0; n < 23; n++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[n] = seed >> 60 ? alphabet[(seed >> 33) % (sizeof(alphabet) - 1)] : 0;
		}
		size = seed >> 40;
		if (range_parse(text, size, &r) == RANGE_PART)
			assert_true(r.length > 0 && r.offset < size && r.length <= size - r.offset);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row), cmocka_unit_test(random_text_stays_inside) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
