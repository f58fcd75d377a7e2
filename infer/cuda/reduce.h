/* reduce.h - one value from all threads of a block, in a fixed order, so that sums repeat. The block's size is a power of two. */
#ifndef INFER_CUDA_REDUCE_H
#define INFER_CUDA_REDUCE_H

struct reduce_add {
	template <typename T> __device__ T operator()(T a, T b) const { return a + b; }
};

struct reduce_max {
	template <typename T> __device__ T operator()(T a, T b) const { return a > b ? a : b; }
};

struct reduce_min {
	template <typename T> __device__ T operator()(T a, T b) const { return a < b ? a : b; }
};

/* shared[blockDim.x]; every thread gets the result, and may use `shared` again at once. */
template <typename T, typename F> __device__ T block_reduce(T v, T *shared, F join)
{
	unsigned i = threadIdx.x;

	shared[i] = v;
	__syncthreads();
	for (unsigned half = blockDim.x / 2; half; half /= 2) {
		if (i < half)
			shared[i] = join(shared[i], shared[i + half]);
		__syncthreads();
	}
	v = shared[0];
	__syncthreads();
	return v;
}

#endif
