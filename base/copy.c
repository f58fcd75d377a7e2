/* copy.c - see copy.h. */
#include "base/copy.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>

#define LINE 64u

static void stream_lines(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i += LINE) {
		const __m128i *line = (const __m128i *)(from + i);
		__m128i a = _mm_loadu_si128(line), b = _mm_loadu_si128(line + 1), c = _mm_loadu_si128(line + 2), d = _mm_loadu_si128(line + 3);

		_mm_stream_si128((__m128i *)(to + i), a);
		_mm_stream_si128((__m128i *)(to + i) + 1, b);
		_mm_stream_si128((__m128i *)(to + i) + 2, c);
		_mm_stream_si128((__m128i *)(to + i) + 3, d);
	}
	_mm_sfence();	/* these stores keep no order with others, such as that of a lock that is let go */
}

void copy_far(void *restrict to, const void *restrict from, size_t n)
{
	size_t head = -(uintptr_t)to % LINE, lines;

	if (head > n)
		head = n;
	lines = (n - head) / LINE * LINE;
	memcpy(to, from, head);
	stream_lines((char *)to + head, (const char *)from + head, lines);
	memcpy((char *)to + head + lines, (const char *)from + head + lines, n - head - lines);
}
#else
void copy_far(void *restrict to, const void *restrict from, size_t n)
{
	memcpy(to, from, n);
}
#endif
