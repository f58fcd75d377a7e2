/* fuzz_range.c - a Range header and a size (the first 8 bytes): a part always lies inside the file. */
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "registryd/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(mem) char *text = NULL;
	struct range r;
	uint64_t size;

	if (n < sizeof(size))
		return 0;
	memcpy(&size, data, sizeof(size));
	text = mem_strndup((const char *)data + sizeof(size), n - sizeof(size));
	if (range_parse(text, size, &r) == RANGE_PART && !(r.length > 0 && r.offset < size && r.length <= size - r.offset))
		abort();
	return 0;
}
