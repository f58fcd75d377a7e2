/* rows.cu - operations on rows and elements of activations; formulas and shapes are in ops.h. */
#include "infer/cuda/parts.h"
#include "infer/cuda/reduce.h"

#define BLOCKS_MAX 65535u	/* beyond it threads take several elements */

/* for (i of n): a grid of any size covers all */
#define EACH(i, n) (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < (n); i += gridDim.x * (size_t)blockDim.x)

/* A block a row. Sums in double, as on the processor. y may be x: each thread reads and writes its own elements. */
__global__ void norm_kernel(float *y, const float *x, const float *w, const float *bias, uint32_t d, double eps, bool centred)
{
	__shared__ double sums[CUDA_THREADS];
	double mean = 0, squares = 0;
	float by;

	x += (size_t)blockIdx.x * d;
	y += (size_t)blockIdx.x * d;
	if (centred) {
		for (uint32_t k = threadIdx.x; k < d; k += blockDim.x)
			mean += (double)x[k];
		mean = block_reduce(mean, sums, reduce_add()) / d;
	}
	for (uint32_t k = threadIdx.x; k < d; k += blockDim.x)
		squares += ((double)x[k] - mean) * ((double)x[k] - mean);
	squares = block_reduce(squares, sums, reduce_add());
	by = (float)(1 / sqrt(squares / d + eps));
	for (uint32_t k = threadIdx.x; k < d; k += blockDim.x)
		y[k] = (x[k] - (float)mean) * by * (w ? w[k] : 1) + (bias ? bias[k] : 0);
}

void cuda_norm(struct backend *b, float *y, const float *x, const float *w, const float *bias, size_t n, uint32_t d, double eps, enum norm_kind kind)
{
	unsigned threads = 32;

	if (!cuda_begin(b, "norm", n, d, 0) || n == 0)
		return;
	while (threads < d && threads < CUDA_THREADS)
		threads *= 2;
	LAUNCH(norm_kernel, (unsigned)n, threads, 0, b->compute, y, x, w, bias, d, eps, kind == NORM_LAYER);
	cuda_ok(b, cudaGetLastError());
}

void cuda_zero(struct backend *b, float *y, size_t n)
{
	if (cuda_begin(b, "zero", n, 0, 0) && n)
		cuda_ok(b, cudaMemsetAsync(y, 0, n * sizeof(*y), b->compute));
}

/* What happens to each element, so that one kernel serves all. `row`: an element of a row of d that all rows share. */
struct add_to {
	const float *x;
	__device__ float operator()(float y, size_t i) const { return y + x[i]; }
};

struct add_row_to {
	const float *row;
	uint32_t d;
	__device__ float operator()(float y, size_t i) const { return y + row[i % d]; }
};

struct scale_by {
	float by;
	__device__ float operator()(float y, size_t) const { return y * by; }
};

struct scale_row_by {
	const float *by;
	uint32_t d;
	__device__ float operator()(float y, size_t i) const { return y * by[i / d]; }
};

struct gate_row_by {
	const float *gate;
	uint32_t d;
	__device__ float operator()(float y, size_t i) const { return y * (float)(1 / (1 + exp(-(double)gate[i / d]))); }
};

struct cap_at {
	float cap;
	__device__ float operator()(float y, size_t) const { return cap * tanhf(y / cap); }
};

template <enum act_kind KIND> __device__ float act(float x)
{
	switch (KIND) {
	case ACT_SILU:
		return x / (1 + expf(-x));
	case ACT_GELU_TANH:
		return 0.5f * x * (1 + tanhf(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
	case ACT_GELU_ERF:
		return 0.5f * x * (1 + erff(x * 0.70710678118654752440f));
	case ACT_RELU:
		return x > 0 ? x : 0;
	}
	return x;
}

template <enum act_kind KIND> struct act_with {
	const float *up;
	__device__ float operator()(float y, size_t i) const { return act<KIND>(y) * (up ? up[i] : 1); }
};

template <typename F> __global__ void each_kernel(float *y, size_t n, F f)
{
	for EACH (i, n)
		y[i] = f(y[i], i);
}

template <typename F> static void each(struct backend *b, float *y, size_t n, F f)
{
	if (n == 0)
		return;
	LAUNCH(each_kernel<F>, cuda_blocks(n, CUDA_THREADS, BLOCKS_MAX), CUDA_THREADS, 0, b->compute, y, n, f);
	cuda_ok(b, cudaGetLastError());
}

void cuda_add(struct backend *b, float *y, const float *x, size_t n)
{
	if (cuda_begin(b, "add", n, 0, 0))
		each(b, y, n, add_to{ x });
}

void cuda_add_row(struct backend *b, float *y, const float *row, uint32_t n, uint32_t d)
{
	if (cuda_begin(b, "add a row", n, d, 0))
		each(b, y, (size_t)n * d, add_row_to{ row, d });
}

void cuda_scale(struct backend *b, float *y, double by, size_t n)
{
	if (cuda_begin(b, "scale", n, 0, 0))
		each(b, y, n, scale_by{ (float)by });
}

void cuda_scale_rows(struct backend *b, float *y, const float *by, uint32_t n, uint32_t d)
{
	const float *on_device;

	if (!cuda_begin(b, "scale rows", n, d, 0))
		return;
	on_device = static_cast<const float *>(cuda_args(b, by, n * sizeof(*by)));
	if (on_device)
		each(b, y, (size_t)n * d, scale_row_by{ on_device, d });
}

void cuda_gate_rows(struct backend *b, float *y, const float *gate, uint32_t n, uint32_t d)
{
	if (cuda_begin(b, "gate rows", n, d, 0))
		each(b, y, (size_t)n * d, gate_row_by{ gate, d });
}

void cuda_softcap(struct backend *b, float *y, double cap, size_t n)
{
	if (cuda_begin(b, "softcap", n, 0, 0))
		each(b, y, n, cap_at{ (float)cap });
}

void cuda_act(struct backend *b, float *y, const float *up, enum act_kind kind, size_t n)
{
	if (!cuda_begin(b, "activation", n, 0, 0))
		return;
	switch (kind) {
	case ACT_SILU:
		return each(b, y, n, act_with<ACT_SILU>{ up });
	case ACT_GELU_TANH:
		return each(b, y, n, act_with<ACT_GELU_TANH>{ up });
	case ACT_GELU_ERF:
		return each(b, y, n, act_with<ACT_GELU_ERF>{ up });
	case ACT_RELU:
		return each(b, y, n, act_with<ACT_RELU>{ up });
	}
}

__global__ void join_heads_kernel(float *y, const float *a, const float *shared, uint32_t n_head, uint32_t d_a, uint32_t d_b, size_t n)
{
	for EACH (i, n) {
		size_t row = i / (d_a + d_b);	/* of all heads of all tokens */
		uint32_t k = (uint32_t)(i % (d_a + d_b));

		y[i] = k < d_a ? a[row * d_a + k] : shared[row / n_head * d_b + (k - d_a)];
	}
}

void cuda_join_heads(struct backend *b, float *y, const float *a, const float *shared, uint32_t n, uint32_t n_head, uint32_t d_a, uint32_t d_b)
{
	size_t all = (size_t)n * n_head * (d_a + d_b);

	if (!cuda_begin(b, "join heads", n, n_head, d_a + d_b) || all == 0)
		return;
	LAUNCH(join_heads_kernel, cuda_blocks(all, CUDA_THREADS, BLOCKS_MAX), CUDA_THREADS, 0, b->compute, y, a, shared, n_head, d_a, d_b, all);
	cuda_ok(b, cudaGetLastError());
}
