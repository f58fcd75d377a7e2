/* sample.c - see sample.h. */
#include "infer/sample.h"

#include "base/fdio.h"
#include "base/vec.h"

#define PLACES	    4		/* of a tensor, from its first byte to its last */
#define PLACE_BYTES 8192u

/* Its type and shape, the sum of all its numbers' bits where it holds its own, and so much of its bytes as is looked at: all of a small one. */
static int digest_tensor(const struct tensor *t, struct digest *out, struct err *e)
{
	uint64_t step = t->bytes > PLACES * PLACE_BYTES ? (t->bytes - PLACE_BYTES) / (PLACES - 1) : PLACE_BYTES;
	own(digest) struct digest_ctx c = { 0 };
	uint8_t place[PLACE_BYTES];
	int rc = 0;

	digest_begin(&c, DIGEST_SHA256);
	digest_update(&c, t->type_name, strlen(t->type_name) + 1);
	for (int i = 0; i < t->rank; i++)
		if (t->shape[i] != 1)		/* of which programs write as many as they like */
			digest_update(&c, &t->shape[i], sizeof(t->shape[i]));
	if (!t->stands_for[0] && t->stats.n == tensor_elements(t))
		digest_update(&c, &t->stats.bits, sizeof(t->stats.bits));
	for (uint64_t i = 0; rc == 0 && i < PLACES && i * step < t->bytes; i++) {
		uint64_t left = t->bytes - i * step;
		size_t n = left < PLACE_BYTES ? (size_t)left : PLACE_BYTES;

		rc = fdio_pread_exact(t->fd, place, n, t->at + i * step, t->file, e);
		if (rc == 0)
			digest_update(&c, place, n);
	}
	digest_end(&c, out);
	return rc < 0 ? err_wrap(e, "tensor %s", t->name) : 0;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(((const struct digest *)a)->bytes, ((const struct digest *)b)->bytes, DIGEST_MAX_BYTES);
}

int sample_model(const struct model *m, char out[DIGEST_HEX_MAX], struct err *e)
{
	own(mem) struct digest *all = mem_zalloc((m->weights.n + 1) * sizeof(*all));
	own(digest) struct digest_ctx c = { 0 };
	struct digest whole;
	size_t n = 0;

	for (size_t i = 0; i < m->weights.n; i++) {
		int rc = model_uses(m, &m->weights.tensors[i]) ? digest_tensor(&m->weights.tensors[i], &all[n++], e) : 0;

		if (rc < 0)
			return rc;
	}
	qsort(all, n, sizeof(*all), by_bytes);
	digest_begin(&c, DIGEST_SHA256);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || by_bytes(&all[i - 1], &all[i]))
			digest_update(&c, all[i].bytes, DIGEST_MAX_BYTES);
	digest_end(&c, &whole);
	digest_hex(out, &whole);
	return 0;
}
