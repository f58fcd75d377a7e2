/*
 * stats.cu - what numbers look like: how many are not finite, how many zero, the sum of squares, extremes. For weights in the pass
 * that multiplies them, and for the residual stream. Blocks of a fixed count each leave a part; one block joins them in order.
 */
#include <math.h>

#include "infer/cuda/parts.h"
#include "infer/cuda/reduce.h"

extern "C" {
#include "base/vec.h"
}

struct load_f32 {
	const float *p;
	__device__ float operator[](size_t i) const { return p[i]; }
};

struct load_bf16 {
	const uint16_t *p;
	__device__ float operator[](size_t i) const { return __uint_as_float((uint32_t)p[i] << 16); }
};

__device__ static struct seen nothing()
{
	return { 0, 0, 0, 0, INFINITY, -INFINITY, 0 };
}

struct both {
	__device__ struct seen operator()(struct seen a, struct seen b) const
	{
		return { a.sum_squares + b.sum_squares, a.bad + b.bad, a.zero + b.zero, fmaxf(a.absmax, b.absmax), fminf(a.min, b.min), fmaxf(a.max, b.max), a.bits + b.bits };
	}
};

template <typename LOAD> __global__ void look_kernel(struct seen *partial, LOAD x, size_t n)
{
	__shared__ struct seen parts[CUDA_THREADS];
	struct seen s = nothing();

	for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (size_t)blockDim.x) {
		float v = x[i];

		if (!isfinite(v)) {
			s.bad++;
			continue;
		}
		s.zero += v == 0;
		s.sum_squares += (double)v * (double)v;
		s.absmax = fmaxf(s.absmax, fabsf(v));
		s.min = fminf(s.min, v);
		s.max = fmaxf(s.max, v);
		s.bits += TENSOR_BITS(__float_as_uint(v));
	}
	s = block_reduce(s, parts, both());
	if (threadIdx.x == 0)
		partial[blockIdx.x] = s;
}

/* All parts, for every thread of one block. */
__device__ static struct seen total(const struct seen *partial, unsigned n)
{
	__shared__ struct seen parts[CUDA_THREADS];
	struct seen s = nothing();

	for (unsigned i = threadIdx.x; i < n; i += blockDim.x)
		s = both()(s, partial[i]);
	return block_reduce(s, parts, both());
}

__global__ void join_kernel(struct seen *to, const struct seen *partial, unsigned n, bool more)
{
	struct seen s = total(partial, n);

	if (threadIdx.x == 0)
		*to = more ? both()(*to, s) : s;
}

__global__ void measure_kernel(struct ops_measure *to, const struct seen *partial, unsigned n)
{
	struct seen s = total(partial, n);

	if (threadIdx.x == 0)
		*to = { (float)s.sum_squares, s.absmax, (float)s.bad };
}

bool stats_open(struct backend *b)
{
	b->stats.partial = static_cast<struct seen *>(memory_get(b, STATS_BLOCKS * sizeof(struct seen), "statistics"));
	b->stats.seen = static_cast<struct seen *>(memory_get(b, STATS_SLOTS * sizeof(struct seen), "statistics"));
	return b->stats.partial && b->stats.seen;
}

static unsigned look(struct backend *b, const void *p, size_t n, enum stats_from from)
{
	unsigned blocks = cuda_blocks(n, CUDA_THREADS, STATS_BLOCKS);

	if (from == STATS_BF16)
		LAUNCH(look_kernel<load_bf16>, blocks, CUDA_THREADS, 0, b->compute, b->stats.partial, load_bf16{ static_cast<const uint16_t *>(p) }, n);
	else
		LAUNCH(look_kernel<load_f32>, blocks, CUDA_THREADS, 0, b->compute, b->stats.partial, load_f32{ static_cast<const float *>(p) }, n);
	cuda_ok(b, cudaGetLastError());
	return blocks;
}

void stats_add(struct backend *b, struct tensor *t, const void *p, size_t n, enum stats_from from)
{
	struct stats *s = &b->stats;
	bool more = s->n && s->of[s->n - 1] == t;
	unsigned parts;

	if (n == 0)
		return;
	if (!more && s->n == STATS_SLOTS) {
		if (!cuda_ok(b, cudaStreamSynchronize(b->compute)))
			return;
		stats_collect(b);
	}
	if (!more)
		s->of[s->n++] = t;
	parts = look(b, p, n, from);
	LAUNCH(join_kernel, 1, CUDA_THREADS, 0, b->compute, s->seen + s->n - 1, s->partial, parts, more);
	cuda_ok(b, cudaGetLastError());
}

void stats_collect(struct backend *b)
{
	struct stats *s = &b->stats;
	unsigned n = s->n;
	struct seen *host;

	s->n = 0;
	if (n == 0 || b->error.code)
		return;
	host = static_cast<struct seen *>(mem_zalloc(n * sizeof(*host)));
	if (cuda_ok(b, cudaMemcpyAsync(host, s->seen, n * sizeof(*host), cudaMemcpyDeviceToHost, b->compute)) && cuda_ok(b, cudaStreamSynchronize(b->compute))) {
		for (unsigned i = 0; i < n; i++) {
			struct tensor_stats *to = &s->of[i]->stats;	/* matmul.cu has counted n, and set the extremes of the first part */

			to->n_nonfinite += host[i].bad;
			to->n_zero += host[i].zero;
			to->bits += host[i].bits;
			to->sum_squares += host[i].sum_squares;
			to->absmax = fmaxf(to->absmax, host[i].absmax);
			to->min = fminf(to->min, host[i].min);
			to->max = fmaxf(to->max, host[i].max);
		}
	}
	free(host);
}

void stats_measure(struct backend *b, float *m, const float *x, size_t n)
{
	unsigned parts;

	if (!cuda_begin(b, "measure", n, 0, 0) || n == 0)
		return;
	parts = look(b, x, n, STATS_F32);
	LAUNCH(measure_kernel, 1, CUDA_THREADS, 0, b->compute, reinterpret_cast<struct ops_measure *>(m), b->stats.partial, parts);
	cuda_ok(b, cudaGetLastError());
}
