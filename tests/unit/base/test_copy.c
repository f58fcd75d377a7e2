/* copy_far() is memcpy() at every alignment and length, and writes nothing beside it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/copy.h"

#define ROOM 600
#define FREE 0xEE

static void copies(void **state)
{
	unsigned char from[ROOM], to[ROOM], want[ROOM];

	(void)state;
	for (size_t i = 0; i < ROOM; i++)
		from[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t at = 0; at < 130; at++) {
		for (size_t n = 0; n + at < ROOM - 64; n += n < 140 ? 1 : 37) {
			memset(to, FREE, ROOM);
			memset(want, FREE, ROOM);
			memcpy(want + at, from + n % 19, n);
			copy_far(to + at, from + n % 19, n);
			assert_memory_equal(to, want, ROOM);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(copies) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
