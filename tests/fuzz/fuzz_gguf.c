/* fuzz_gguf.c - any bytes as a GGUF file: parse, then read every value and look every name up. */
#include <sys/mman.h>

#include "verify/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const struct gguf *g)
{
	volatile uint64_t sum = 0;	/* so that the reads are not optimised away */

	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);

		for (uint64_t k = 0; k < kv->n; k++) {
			int64_t v = 0;
			double d = 0;
			size_t len = 0;
			const char *s = gguf_kv_str(kv, k, &len);

			sum += (uint64_t)gguf_kv_i64(kv, k, &v) + (uint64_t)gguf_kv_f64(kv, k, &d) + (s && len ? (uint8_t)s[len - 1] : 0U);
		}
		if (gguf_find_kv(g, kv->key) != kv)
			abort();
	}
	for (size_t i = 0; i < gguf_n_tensors(g); i++)
		if (gguf_find_tensor(g, gguf_tensor_at(g, i)->name) != gguf_tensor_at(g, i))
			abort();
	(void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	own(fd) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	own(gguf) struct gguf *g = NULL;
	own(report) struct report r;
	struct err e = ERR_NONE;

	report_init(&r);
	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		return 0;
	if (gguf_open_report(&g, fd, "fuzz", &r, &e) == 0)
		touch(g);
	else if (e.code == 0)
		abort();	/* a failure must say why */
	return 0;
}
