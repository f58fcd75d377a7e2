/*
 * parts.h - what the files of the CUDA backend share. Who does what:
 *	backend.cu	opening, arrays, errors, the table of operations
 *	memory.cu	the device's memory and its budget
 *	feed.cu		bytes from files through pinned buffers to the device, on a stream of their own
 *	matmul.cu	a weight piece by piece: fed or resident, decoded, looked at, multiplied
 *	decode.cu	element types to floats; packed.cu: weights that several tensors make up
 *	stats.cu	what numbers look like; rows.cu, rope.cu, attend.cu, experts.cu, tally.cu: the operations on activations
 *
 * Two streams: `copy` brings weights, `compute` does everything else in the order of the calls. What crosses between them is
 * guarded by events: a buffer is overwritten after what read it, and read after what wrote it. Every sum has one order, given by
 * shapes and the size of buffers, so a run repeats bit by bit on the same kind of device with the same memory.
 */
#ifndef INFER_CUDA_PARTS_H
#define INFER_CUDA_PARTS_H

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "infer/cuda/launch.h"

extern "C" {
#include "infer/ops.h"
#include "infer/gaps.h"
#include "infer/packed.h"
#include "infer/pool.h"
}

#define CUDA_THREADS	  256		/* of a block, where nothing else is said; a power of two */
#define CUDA_ARRAYS_MAX	  32768		/* activations under way: a few, and two a layer for keys and values */
#define FEED_SLOTS	  6
#define ARGS_SEGMENTS	  8
#ifndef CUDA_SMALL
#define FEED_SLOT_BYTES	  ((size_t)32 << 20)
#define FEED_UNIT_BYTES	  ((size_t)1 << 20)	/* that one thread reads at a time */
#define ARGS_SEGMENT_BYTES ((size_t)2 << 20)
#define TILE_FLOATS	  ((size_t)16 << 20)	/* of a decoded piece: 64 MiB */
#define STATS_BLOCKS	  512
#define STATS_SLOTS	  16384		/* products whose statistics wait to be collected */
#define WORKSPACE_BYTES	  ((size_t)32 << 20)	/* of cuBLAS */
#else						/* the emulation's: small models too come in many pieces, and rings go round */
#define FEED_SLOT_BYTES	  ((size_t)64 << 10)
#define FEED_UNIT_BYTES	  ((size_t)5 << 10)
#define ARGS_SEGMENT_BYTES ((size_t)128 << 10)
#define TILE_FLOATS	  ((size_t)12 << 10)
#define STATS_BLOCKS	  3
#define STATS_SLOTS	  5
#define WORKSPACE_BYTES	  ((size_t)1 << 10)
#endif

/* Bytes of a file (or of memory) that go to `to` of a piece. */
struct extent {
	int fd;
	const void *memory;	/* instead of fd */
	uint64_t at;
	size_t bytes, to;
	const char *file;
	struct tensor *tensor;	/* whose rows these are, for gaps.h; NULL: it has seen them, or would not */
};

struct feed_slot {
	uint8_t *host, *device;
	cudaEvent_t copied;	/* `host` may be filled again; what it held is on the device */
	cudaEvent_t used;	/* `device` may be overwritten */
};

struct feed {
	struct feed_slot slot[FEED_SLOTS];
	unsigned next;
	struct feed_slot *last;	/* the one that feed_piece() filled */
};

/* Small arrays of the host on their way: pinned, in segments that are used again when the stream has passed them. */
struct args {
	uint8_t *host, *device;
	cudaEvent_t passed[ARGS_SEGMENTS];
	unsigned segment;
	size_t used;
};

/* What came of a part's look at numbers; device memory. min and max of the finite ones. */
struct seen {
	double sum_squares;
	unsigned long long bad, zero;
	float absmax, min, max;
	unsigned bits;
};

struct stats {
	struct seen *partial;		/* [STATS_BLOCKS] */
	struct seen *seen;		/* [STATS_SLOTS] */
	struct tensor *of[STATS_SLOTS];
	unsigned n;
};

struct array {
	float *p;
	size_t bytes;
	bool used;
};

/* A weight that stays: raw bytes as matmul.cu lays them out. Known by what it is a view of. */
struct resident {
	struct weight key;
	uint8_t *p;
	size_t bytes;
};

/* Device memory that grows to what was needed; contents are lost. */
struct room {
	uint8_t *p;
	size_t bytes;
	cudaEvent_t used;	/* recorded when what reads it has been enqueued */
};

struct backend {
	cudaStream_t compute, copy;
	cublasHandle_t blas;
	struct pool *pool;
	struct ops_device device;
	bool bf16;			/* matrix units take bfloat16 */

	uint64_t budget, bytes, peak;	/* of device memory */
	struct array *arrays;
	size_t n_arrays;
	struct resident *residents;
	size_t n_residents, cap_residents;
	bool streamed;			/* some weight did not find room to stay */

	struct feed feed;
	struct args args;
	struct stats stats;
	struct room tile, split, raw;	/* floats of a piece; x as two bfloat16 terms; a weight that needs to be whole */
	void *workspace;		/* of cuBLAS: given, so that products repeat */

	struct err error;		/* the first */
	struct {
		const char *op, *name;	/* what was enqueued last, for errors */
		size_t a, b, c;
		long layer;		/* -1: none */
	} at;
};

/* ---- backend.cu -------------------------------------------------------------------------------------------------- */

/* May `op` go on? Notes what it is about for errors. False once anything has failed. */
bool cuda_begin(struct backend *b, const char *op, size_t rows, size_t cols, size_t depth);
/* Was the call good? Keeps the first error. */
bool cuda_ok(struct backend *b, cudaError_t rc);
bool cuda_blas_ok(struct backend *b, cublasStatus_t rc);
/* A copy of host[n] on the device, good for what is enqueued on `compute` before the next call of the same kind returns it. NULL: failed. */
const void *cuda_args(struct backend *b, const void *host, size_t bytes);
void cuda_put(struct backend *b, float *to, const float *host, size_t n);

static inline unsigned cuda_blocks(size_t n, unsigned threads, unsigned most)
{
	size_t blocks = (n + threads - 1) / threads;

	return blocks < most ? (unsigned)blocks : most;
}

/* ---- memory.cu --------------------------------------------------------------------------------------------------- */

/* Within the budget, giving up what is only kept for speed; NULL with an error set. */
void *memory_get(struct backend *b, size_t bytes, const char *what);
void memory_free(struct backend *b, void *p, size_t bytes);
float *memory_array(struct backend *b, size_t n);
void memory_array_free(struct backend *b, float *p);
bool memory_room(struct backend *b, struct room *r, size_t bytes, const char *what);
struct resident *memory_resident(struct backend *b, const struct weight *key);			/* NULL: not there */
struct resident *memory_resident_add(struct backend *b, const struct weight *key, size_t bytes);	/* NULL: no room; no error */
bool memory_drop_resident(struct backend *b);	/* the one that was added last; false: there is none */
void memory_forget(struct backend *b);
void memory_close(struct backend *b);

/* ---- feed.cu ----------------------------------------------------------------------------------------------------- */

bool feed_open(struct backend *b);
void feed_close(struct backend *b);
/*
 * Reads the extents (at most FEED_SLOT_BYTES in all) and sends them to the device: to `to`, or where that is NULL to a buffer of the ring.
 * What is enqueued on `compute` afterwards sees them. feed_used() says that everything that reads the ring's buffer has been enqueued.
 */
uint8_t *feed_piece(struct backend *b, const struct extent *x, size_t n, uint8_t *to);
void feed_used(struct backend *b);
/* A pinned buffer for host data that the compute stream will read; feed_copied() after that was enqueued. */
uint8_t *feed_pinned(struct backend *b);
void feed_copied(struct backend *b);

/* ---- kernels ------------------------------------------------------------------------------------------------------ */

void decode_open(struct backend *b);
/* out[n] of t's elements; n is a whole number of blocks. */
void decode_type(struct backend *b, float *out, const uint8_t *in, const struct quant_type *t, size_t n);

/* Rows of a packed weight: where its parts lie on the device. */
struct packed_device {
	const uint8_t *main;		/* the window of rows from `row0`, or all of it (GPTQ, AWQ) */
	const float *scale;
	const int32_t *zero;
	const uint32_t *g_idx;
};

/* Bytes of the small parts behind each other, each at a multiple of 16; extents of them from `to` on, their addresses from `base`. */
size_t packed_aux_bytes(const struct quant_weight *w);
unsigned packed_aux(const struct quant_weight *w, size_t to, struct extent *x, const uint8_t *base, struct packed_device *d);
/* out[n][in]: rows first … first + n of `w`; the window begins with row `first`. */
void packed_decode(struct backend *b, float *out, const struct weight *w, const struct packed_device *d, uint32_t first, uint32_t n);

enum stats_from { STATS_F32, STATS_BF16 };
bool stats_open(struct backend *b);
/* n elements at p (of either type) count for t. */
void stats_add(struct backend *b, struct tensor *t, const void *p, size_t n, enum stats_from from);
void stats_collect(struct backend *b);		/* after the stream was waited for */
void stats_measure(struct backend *b, float *m, const float *x, size_t n);

void cuda_matmul(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w);
void cuda_norm(struct backend *b, float *y, const float *x, const float *w, const float *bias, size_t n, uint32_t d, double eps, enum norm_kind kind);
void cuda_zero(struct backend *b, float *y, size_t n);
void cuda_add(struct backend *b, float *y, const float *x, size_t n);
void cuda_add_row(struct backend *b, float *y, const float *row, uint32_t n, uint32_t d);
void cuda_scale(struct backend *b, float *y, double by, size_t n);
void cuda_scale_rows(struct backend *b, float *y, const float *by, uint32_t n, uint32_t d);
void cuda_softcap(struct backend *b, float *y, double cap, size_t n);
void cuda_rope(struct backend *b, float *x, uint32_t n, const struct ops_rope *r);
void cuda_attend(struct backend *b, float *out, const float *q, const float *k, const float *v, const struct ops_attend *a);
void cuda_join_heads(struct backend *b, float *y, const float *a, const float *shared, uint32_t n, uint32_t n_head, uint32_t d_a, uint32_t d_b);
void cuda_act(struct backend *b, float *y, const float *up, enum act_kind kind, size_t n);
void cuda_gather(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d);
void cuda_scatter_add(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d);
void cuda_gate_rows(struct backend *b, float *y, const float *gate, uint32_t n, uint32_t d);
void cuda_tally(struct backend *b, float *t, const float *logits, uint32_t n, uint32_t cols, uint32_t first_id, const int32_t *targets);

#endif
