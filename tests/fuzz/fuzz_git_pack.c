/* fuzz_git_pack.c - any bytes as a pack; the checksum is made right, so that the fuzzer gets past it. */
#include <stdint.h>

#include "base/buf.h"
#include "verify/git_pack.h"

#define HEADER_BYTES 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *arg, const struct git_entry *entry, struct err *e)
{
	(void)arg, (void)e;
	return strlen(entry->path) ? 0 : ERR_FAILED;
}

/* Walks from the commit whose id stands in the input's last 20 bytes: the seeds put it there. */
static void walk(const struct git_pack *p, const uint8_t *data, size_t size)
{
	struct digest id = { .algo = DIGEST_SHA1 }, tree;

	if (size < 20)
		return;
	memcpy(id.bytes, data + size - 20, 20);
	git_manifest_walk(p, &id, look, NULL, &tree, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct git_pack *p = NULL;
	size_t n = size >= HEADER_BYTES + 20 ? size - 20 : size;
	struct digest d;
	struct spool s;

	spool_init(&s, NULL, NULL, GIT_PACK_MAX_BYTES);
	digest_of(&d, DIGEST_SHA1, data, n);
	spool_add(&s, data, n);
	spool_add(&s, d.bytes, 20);
	if (spool_end(&s, NULL) == 0 && git_pack_parse(&p, &s, NULL) == 0)
		walk(p, data, size);
	git_pack_free(p);
	spool_done(&s);
	return 0;
}
