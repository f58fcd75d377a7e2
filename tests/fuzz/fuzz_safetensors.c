/* fuzz_safetensors.c - any bytes as a .safetensors file: what is accepted must tile the file exactly and be found by name. */
#include <sys/mman.h>

#include "verify/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct safetensors *st)
{
	uint64_t at = 0;

	for (size_t i = 0; i < st->n_tensors; i++) {
		const struct safetensors_tensor *t = &st->tensors[i];

		if (t->begin != at || t->end < t->begin || safetensors_find(st, t->name) != t)
			abort();
		at = t->end;
	}
	if (st->data_start + at != st->file_bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	own(fd) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct safetensors st own(safetensors) = { 0 };
	struct report r own(report) = { 0 };
	struct err e = ERR_NONE;

	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		abort();
	if (safetensors_open(&st, fd, "fuzz", &r, &e) == 0)
		check(&st);
	else if (r.verdict != REPORT_REJECT || !e.msg[0])
		abort();	/* a refusal says why */
	return 0;
}
