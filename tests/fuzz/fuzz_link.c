/* fuzz_link.c - an upstream's Link header: what is taken for the next page's address is one of its targets, and leads to where we asked. */
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/vec.h"
#include "registryd/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(mem) char *link = mem_strndup((const char *)data, n);
	own(mem) char *next = net_link_next(link);
	own(mem) char *page = next ? net_page("https://hub.example/api/models?limit=2", next) : NULL;

	if (next && (strchr(next, '>') || !strstr(link, next)))
		abort();
	if (page && !str_starts(page, "https://hub.example/api/models?"))
		abort();
	return 0;
}
