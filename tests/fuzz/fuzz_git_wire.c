/* fuzz_git_wire.c - any bytes as each of the three answers of git's smart HTTP protocol. */
#include <stdint.h>

#include "verify/git_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore(void *arg, const char *commit, const char *name, struct err *e)
{
	(void)arg;
	(void)e;
	return strlen(commit) + strlen(name) > 0 ? 0 : ERR_INPUT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct git_advert a;
	struct buf answer;
	struct err e;

	buf_init(&answer, 1 << 20);
	git_advert_parse(&a, text, size, &e);
	git_ls_refs_parse(text, size, ignore, NULL, &e);
	if (buf_add(&answer, data, size) == 0)
		git_fetch_parse(&answer, &e);
	buf_done(&answer);
	return 0;
}
