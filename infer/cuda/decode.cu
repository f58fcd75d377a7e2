/*
 * decode.cu - elements of every type of quant.h to floats, by the very row functions that the processor uses (quant_block.h and its
 * neighbours), compiled without fusing products and sums: the same bits. Types of single elements: a thread an element. Blocks: a
 * thread a block into shared memory, which is then written out in order.
 */
#include "infer/cuda/parts.h"

extern "C" {
#include "infer/quant_block.h"
#include "infer/quant_k.h"
#include "infer/quant_iq.h"
#include "infer/quant_plain.h"
#include "infer/quant_types.h"
}

#define STAGE_FLOATS 8192u	/* of a thread block: 32 KiB and a pad a row */
#define GRID_MAX     65535u

/* threads = STAGE_FLOATS / ELEMENTS rows of ELEMENTS floats, each padded so that the rows' beginnings lie in different banks. */
template <void (*ROW)(float *, const void *, size_t), unsigned ELEMENTS, unsigned BYTES>
__global__ void blocks_kernel(float *out, const uint8_t *in, size_t n_blocks)
{
	SHARED_DYNAMIC(float, stage);

	for (size_t first = blockIdx.x * (size_t)blockDim.x; first < n_blocks; first += gridDim.x * (size_t)blockDim.x) {
		unsigned here = n_blocks - first < blockDim.x ? (unsigned)(n_blocks - first) : blockDim.x;

		if (threadIdx.x < here)
			ROW(stage + threadIdx.x * (ELEMENTS + 1), in + (first + threadIdx.x) * BYTES, ELEMENTS);
		__syncthreads();
		for (unsigned i = threadIdx.x; i < here * ELEMENTS; i += blockDim.x)
			out[first * ELEMENTS + i] = stage[i / ELEMENTS * (ELEMENTS + 1) + i % ELEMENTS];
		__syncthreads();
	}
}

/* Small blocks (one element, or FP4's two): straight to where they belong. */
template <void (*ROW)(float *, const void *, size_t), unsigned ELEMENTS, unsigned BYTES>
__global__ void elements_kernel(float *out, const uint8_t *in, size_t n_blocks)
{
	for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n_blocks; i += gridDim.x * (size_t)blockDim.x)
		ROW(out + i * ELEMENTS, in + i * BYTES, ELEMENTS);
}

template <void (*ROW)(float *, const void *, size_t), unsigned ELEMENTS, unsigned BYTES>
static void decode(cudaStream_t stream, float *out, const uint8_t *in, size_t n_blocks)
{
	if (ELEMENTS >= 32) {
		unsigned threads = STAGE_FLOATS / ELEMENTS;

		LAUNCH((blocks_kernel<ROW, ELEMENTS, BYTES>), cuda_blocks(n_blocks, threads, GRID_MAX), threads, threads * (ELEMENTS + 1) * sizeof(float), stream,
			out, in, n_blocks);
	} else {
		LAUNCH((elements_kernel<ROW, ELEMENTS, BYTES>), cuda_blocks(n_blocks, CUDA_THREADS, GRID_MAX), CUDA_THREADS, 0, stream, out, in, n_blocks);
	}
}

#define DECODER(name, block, bytes, row) { name, decode<row, block, bytes> },
static const struct decoder {
	const char *name;
	void (*run)(cudaStream_t stream, float *out, const uint8_t *in, size_t n_blocks);
} decoders[] = { QUANT_TYPES(DECODER) };

void decode_type(struct backend *b, float *out, const uint8_t *in, const struct quant_type *t, size_t n)
{
	for (const struct decoder &d : decoders) {
		if (strcmp(d.name, t->name) == 0) {
			d.run(b->compute, out, in, n / t->block);
			cuda_ok(b, cudaGetLastError());
			return;
		}
	}
	err_set(&b->error, ERR_FAILED, "the GPU path has no decoder for %s", t->name);	/* one list makes both tables */
}

__global__ void spread_kernel()
{
	spread_all();
}

/* The codebooks of the IQ types, once. */
void decode_open(struct backend *b)
{
	LAUNCH(spread_kernel, 1, 1, 0, b->compute);
	cuda_ok(b, cudaGetLastError());
}
