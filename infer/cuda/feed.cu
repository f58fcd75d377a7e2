/*
 * feed.cu - bytes from files to the device. A ring of slots, each a pinned buffer of the host and one of the device:
 *	threads read a piece into the pinned buffer -> the copy stream sends it -> the compute stream uses it
 * so that reading piece i + 1, copying piece i and computing with piece i - 1 go on at the same time. Two events guard a slot: `copied`
 * before its pinned buffer is filled again, `used` before its device buffer is overwritten.
 */
#include "infer/cuda/parts.h"

extern "C" {
#include "base/fdio.h"
#include "base/vec.h"
}

static bool slot_open(struct backend *b, struct feed_slot *s)
{
	s->device = static_cast<uint8_t *>(memory_get(b, FEED_SLOT_BYTES, "weights on their way"));
	return s->device && cuda_ok(b, cudaHostAlloc(reinterpret_cast<void **>(&s->host), FEED_SLOT_BYTES, cudaHostAllocDefault)) &&
	       cuda_ok(b, cudaEventCreateWithFlags(&s->copied, cudaEventDisableTiming)) &&
	       cuda_ok(b, cudaEventCreateWithFlags(&s->used, cudaEventDisableTiming));
}

bool feed_open(struct backend *b)
{
	for (struct feed_slot &s : b->feed.slot)
		if (!slot_open(b, &s))
			return false;
	return true;
}

void feed_close(struct backend *b)
{
	for (struct feed_slot &s : b->feed.slot) {
		if (s.copied)
			cudaEventDestroy(s.copied);
		if (s.used)
			cudaEventDestroy(s.used);
		if (s.host)
			cudaFreeHost(s.host);
		memory_free(b, s.device, FEED_SLOT_BYTES);
		s = {};
	}
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

struct unit {
	const struct extent *x;
	size_t skip, bytes;
};

struct reading {
	uint8_t *to;
	struct unit *units;
	size_t n, cap;
	struct err *errors;	/* a unit each */
};

static void read_unit(void *arg, uint32_t no, unsigned)
{
	struct reading *r = static_cast<struct reading *>(arg);
	const struct unit *u = &r->units[no];
	uint8_t *to = r->to + u->x->to + u->skip;

	if (u->x->memory)
		memcpy(to, static_cast<const uint8_t *>(u->x->memory) + u->skip, u->bytes);
	else if (fdio_pread_exact(u->x->fd, to, u->bytes, u->x->at + u->skip, u->x->file, &r->errors[no]) == 0 && u->x->tensor)
		gaps_look(u->x->tensor, u->x->at + u->skip, to, u->bytes);
}

/* Long extents are cut, so that all threads have something to do. */
static void cut(struct reading *r, const struct extent *x)
{
	for (size_t skip = 0; skip < x->bytes; skip += FEED_UNIT_BYTES) {
		size_t left = x->bytes - skip;
		struct unit *u = static_cast<struct unit *>(vec_push_raw(reinterpret_cast<void **>(&r->units), &r->n, &r->cap, sizeof(*u)));

		*u = { x, skip, left < FEED_UNIT_BYTES ? left : FEED_UNIT_BYTES };
	}
}

static bool read_all(struct backend *b, uint8_t *to, const struct extent *x, size_t n)
{
	struct reading r = { to, NULL, 0, 0, NULL };

	for (size_t i = 0; i < n; i++)
		cut(&r, &x[i]);
	r.errors = static_cast<struct err *>(mem_zalloc((r.n ? r.n : 1) * sizeof(*r.errors)));
	if (r.n)
		pool_run(b->pool, (uint32_t)r.n, read_unit, &r);
	for (size_t i = 0; i < r.n && b->error.code == 0; i++)
		if (r.errors[i].code)
			err_set(&b->error, r.errors[i].code, "tensor %s: %s", b->at.name, r.errors[i].msg);
	free(r.units);
	free(r.errors);
	return b->error.code == 0;
}

/* ---- the ring ------------------------------------------------------------------------------------------------------ */

static struct feed_slot *next_slot(struct backend *b)
{
	struct feed *f = &b->feed;

	f->last = &f->slot[f->next];
	f->next = (f->next + 1) % FEED_SLOTS;
	return cuda_ok(b, cudaEventSynchronize(f->last->copied)) ? f->last : NULL;
}

uint8_t *feed_piece(struct backend *b, const struct extent *x, size_t n, uint8_t *to)
{
	struct feed_slot *s = next_slot(b);
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes = x[i].to + x[i].bytes > bytes ? x[i].to + x[i].bytes : bytes;
	if (!s || !read_all(b, s->host, x, n))
		return NULL;
	if (!to) {
		to = s->device;
		if (!cuda_ok(b, cudaStreamWaitEvent(b->copy, s->used, 0)))
			return NULL;
	}
	if (!cuda_ok(b, cudaMemcpyAsync(to, s->host, bytes, cudaMemcpyHostToDevice, b->copy)) || !cuda_ok(b, cudaEventRecord(s->copied, b->copy)) ||
	    !cuda_ok(b, cudaStreamWaitEvent(b->compute, s->copied, 0)))
		return NULL;
	return to;
}

void feed_used(struct backend *b)
{
	cuda_ok(b, cudaEventRecord(b->feed.last->used, b->compute));
}

uint8_t *feed_pinned(struct backend *b)
{
	struct feed_slot *s = next_slot(b);

	return s ? s->host : NULL;
}

void feed_copied(struct backend *b)
{
	cuda_ok(b, cudaEventRecord(b->feed.last->copied, b->compute));
}
