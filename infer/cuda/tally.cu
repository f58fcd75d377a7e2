/*
 * tally.cu - what is kept of a token's logits (struct ops_tally) while the vocabulary passes by in pieces: maximum and its id, and, relative
 * to the maximum, sum exp(x - max) and sum exp(x - max) x; both are rescaled when the maximum grows. A block a token.
 */
#include "infer/cuda/parts.h"
#include "infer/cuda/reduce.h"

struct top {
	float value;
	uint32_t at;
};

/* The greater one; of equals the first. A NaN is never greater. */
struct reduce_top {
	__device__ struct top operator()(struct top a, struct top b) const { return b.value > a.value || (b.value == a.value && b.at < a.at) ? b : a; }
};

__global__ void tally_kernel(struct ops_tally *tallies, const float *logits, uint32_t cols, uint32_t first_id, const int32_t *targets)
{
	__shared__ struct top tops[CUDA_THREADS];
	__shared__ double sums[CUDA_THREADS];
	const float *x = logits + (size_t)blockIdx.x * cols;
	struct ops_tally t = {}, *to = &tallies[blockIdx.x];
	struct top top = { -INFINITY, UINT32_MAX };
	double sum = 0, dot = 0, bad = 0, shrink;
	float max;

	if (first_id)
		t = *to;
	else
		t.max = -INFINITY, t.target = NAN;
	for (uint32_t k = threadIdx.x; k < cols; k += blockDim.x) {
		bad += !isfinite(x[k]);
		if (x[k] > top.value)
			top = { x[k], k };
	}
	top = block_reduce(top, tops, reduce_top());
	bad = block_reduce(bad, sums, reduce_add());
	max = top.value > t.max ? top.value : t.max;
	for (uint32_t k = threadIdx.x; k < cols; k += blockDim.x) {
		float p = expf(x[k] - max);

		sum += (double)p;
		dot += (double)p * (double)x[k];
	}
	sum = block_reduce(sum, sums, reduce_add());
	dot = block_reduce(dot, sums, reduce_add());
	if (threadIdx.x)
		return;
	shrink = first_id ? exp((double)(t.max - max)) : 0;
	t.sum = (float)((double)t.sum * shrink + sum);
	t.dot = (float)((double)t.dot * shrink + dot);
	t.bad += (float)bad;
	if (top.value > t.max)
		t.top = (float)(first_id + top.at);
	t.max = max;
	if (targets && targets[blockIdx.x] >= (int32_t)first_id && targets[blockIdx.x] < (int32_t)(first_id + cols))
		t.target = x[(uint32_t)targets[blockIdx.x] - first_id];
	*to = t;
}

void cuda_tally(struct backend *b, float *t, const float *logits, uint32_t n, uint32_t cols, uint32_t first_id, const int32_t *targets)
{
	const int32_t *on_device = NULL;

	if (!cuda_begin(b, "tally of logits", n, cols, 0) || n == 0)
		return;
	if (targets) {
		on_device = static_cast<const int32_t *>(cuda_args(b, targets, n * sizeof(*targets)));
		if (!on_device)
			return;
	}
	LAUNCH(tally_kernel, n, CUDA_THREADS, 0, b->compute, reinterpret_cast<struct ops_tally *>(t), logits, cols, first_id, on_device);
	cuda_ok(b, cudaGetLastError());
}
