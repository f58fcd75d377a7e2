/*
 * memory.cu - the device's memory within a budget. Activations are handed out again to later calls, which is safe without waiting: all
 * that touches them is on one stream. Weights stay ("resident") while there is room, first come first kept: a pass over a model that
 * does not fit reads every weight once, so keeping the latest would keep none. When activations want the room, weights go.
 */
#include "infer/cuda/parts.h"

extern "C" {
#include "base/vec.h"
}

#define ALIGN 256

static size_t rounded(size_t bytes)
{
	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static void give_back(struct backend *b, void *p, size_t bytes)
{
	cudaFree(p);	/* waits for what uses it; an error of its own would have shown before */
	b->bytes -= bytes;
}

static bool drop_idle_array(struct backend *b)
{
	for (size_t i = 0; i < b->n_arrays; i++) {
		if (!b->arrays[i].used) {
			give_back(b, b->arrays[i].p, b->arrays[i].bytes);
			b->arrays[i] = b->arrays[--b->n_arrays];
			return true;
		}
	}
	return false;
}

bool memory_drop_resident(struct backend *b)
{
	struct resident *r;

	if (b->n_residents == 0)
		return false;
	r = &b->residents[--b->n_residents];
	give_back(b, r->p, r->bytes);
	b->streamed = true;
	return true;
}

/* NULL when there is no room. */
static void *try_get(struct backend *b, size_t bytes)
{
	void *p = NULL;

	if (b->bytes + bytes > b->budget)
		return NULL;
	if (cudaMalloc(&p, bytes) != cudaSuccess) {
		cudaGetLastError();	/* somebody else's program may have taken it: that is no error yet */
		return NULL;
	}
	b->bytes += bytes;
	b->peak = b->bytes > b->peak ? b->bytes : b->peak;
	return p;
}

void *memory_get(struct backend *b, size_t bytes, const char *what)
{
	void *p;

	if (b->error.code)
		return NULL;
	bytes = rounded(bytes);
	do
		p = try_get(b, bytes);
	while (!p && (drop_idle_array(b) || memory_drop_resident(b)));
	if (!p)
		err_set(&b->error, ERR_FAILED, "GPU memory: no room for %zu MiB more (%s) beside %llu MiB; %llu MiB may be used (--device-memory)", bytes >> 20, what,
			(unsigned long long)(b->bytes >> 20), (unsigned long long)(b->budget >> 20));
	return p;
}

void memory_free(struct backend *b, void *p, size_t bytes)
{
	if (p)
		give_back(b, p, rounded(bytes));
}

/* An idle array of that size, or one up to twice as large. */
static struct array *idle_array(struct backend *b, size_t bytes)
{
	struct array *best = NULL;

	for (size_t i = 0; i < b->n_arrays; i++) {
		struct array *a = &b->arrays[i];

		if (!a->used && a->bytes >= bytes && a->bytes <= 2 * bytes && (!best || a->bytes < best->bytes))
			best = a;
	}
	return best;
}

float *memory_array(struct backend *b, size_t n)
{
	size_t bytes = rounded((n ? n : 1) * sizeof(float));
	struct array *a = idle_array(b, bytes);

	if (b->error.code)
		return NULL;
	if (!a) {
		void *p;

		if (b->n_arrays == CUDA_ARRAYS_MAX) {
			err_set(&b->error, ERR_LIMIT, "the GPU path keeps at most %d arrays", CUDA_ARRAYS_MAX);
			return NULL;
		}
		p = memory_get(b, bytes, "activations");
		if (!p)
			return NULL;
		a = &b->arrays[b->n_arrays++];
		*a = { static_cast<float *>(p), bytes, false };
	}
	a->used = true;
	cuda_ok(b, cudaMemsetAsync(a->p, 0, bytes, b->compute));
	return a->p;
}

void memory_array_free(struct backend *b, float *p)
{
	for (size_t i = 0; p && i < b->n_arrays; i++)
		if (b->arrays[i].p == p)
			b->arrays[i].used = false;
}

bool memory_room(struct backend *b, struct room *r, size_t bytes, const char *what)
{
	if (r->bytes >= bytes)
		return true;
	memory_free(b, r->p, r->bytes);
	r->bytes = 0;
	r->p = static_cast<uint8_t *>(memory_get(b, bytes, what));
	r->bytes = r->p ? rounded(bytes) : 0;
	return r->p;
}

static bool same_view(const struct weight *a, const struct weight *b)
{
	return a->tensor == b->tensor && a->row0 == b->row0 && a->rows == b->rows && a->at == b->at && a->group == b->group && a->stride == b->stride &&
	       a->transposed == b->transposed && !a->packed == !b->packed;
}

struct resident *memory_resident(struct backend *b, const struct weight *key)
{
	for (size_t i = 0; i < b->n_residents; i++)
		if (same_view(&b->residents[i].key, key))
			return &b->residents[i];
	return NULL;
}

struct resident *memory_resident_add(struct backend *b, const struct weight *key, size_t bytes)
{
	void *p;
	struct resident *r;

	/* Once one had no room, later ones don't stay either: their order is that of use, and activations may still want some. */
	bytes = rounded(bytes);
	p = b->streamed || b->error.code ? NULL : try_get(b, bytes);
	if (!p) {
		b->streamed = true;
		return NULL;
	}
	r = static_cast<struct resident *>(vec_push_raw(reinterpret_cast<void **>(&b->residents), &b->n_residents, &b->cap_residents, sizeof(*r)));
	*r = { *key, static_cast<uint8_t *>(p), bytes };
	return r;
}

void memory_forget(struct backend *b)
{
	while (memory_drop_resident(b))
		continue;
	b->streamed = false;
}

void memory_close(struct backend *b)
{
	memory_forget(b);
	for (size_t i = 0; i < b->n_arrays; i++)
		give_back(b, b->arrays[i].p, b->arrays[i].bytes);
	b->n_arrays = 0;
	free(b->residents);
	free(b->arrays);
}
