/* fuzz_card.c - any bytes as a model card. */
#include "verify/card.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct arena a;
	struct card c;

	arena_init(&a);
	card_parse((const char *)data, size, &a, &c);
	if (c.verdict == CARD_BROKEN && !c.problem)
		abort();
	card_done(&c);
	arena_done(&a);
	return 0;
}
