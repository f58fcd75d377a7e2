/*
 * emu_kernels.cu - kernels that the emulation is tested with, some of them wrong on purpose. nvcc compiles this file too:
 *
 *	nvcc -std=c++17 -c tests/cuda_host/emu_kernels.cu -o /dev/null
 *	g++ -std=c++17 -x c++ -I tests/cuda_host -c tests/cuda_host/emu_kernels.cu -o /dev/null
 */
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#ifdef __CUDACC__
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)
#define SHARED_DYNAMIC(type, name)                                 \
	extern __shared__ __align__(16) unsigned char launch_shared[]; \
	type *name = reinterpret_cast<type *>(launch_shared)
#else
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
	emu_launch(#kernel, kernel, grid, block, shared_bytes, stream, ##__VA_ARGS__)
#endif

/* The numbers are the toolkit's: whichever header this is compiled with. */
static_assert(cudaErrorMemoryAllocation == 2 && cudaErrorInvalidConfiguration == 9 && cudaErrorInvalidPitchValue == 12, "errors");
static_assert(cudaErrorInvalidMemcpyDirection == 21 && cudaErrorInsufficientDriver == 35 && cudaErrorDevicesUnavailable == 46, "errors");
static_assert(cudaErrorNoDevice == 100 && cudaErrorInvalidDevice == 101 && cudaErrorNoKernelImageForDevice == 209, "errors");
static_assert(cudaErrorECCUncorrectable == 214 && cudaErrorInvalidResourceHandle == 400 && cudaErrorNotReady == 600, "errors");
static_assert(cudaErrorIllegalAddress == 700 && cudaErrorLaunchOutOfResources == 701 && cudaErrorLaunchTimeout == 702, "errors");
static_assert(cudaErrorHostMemoryAlreadyRegistered == 712 && cudaErrorHostMemoryNotRegistered == 713, "errors");
static_assert(cudaErrorLaunchFailure == 719 && cudaErrorNotPermitted == 800 && cudaErrorNotSupported == 801 && cudaErrorUnknown == 999, "errors");
static_assert(cudaMemcpyHostToDevice == 1 && cudaMemcpyDeviceToHost == 2 && cudaMemcpyDeviceToDevice == 3 && cudaMemcpyDefault == 4, "copies");
static_assert(cudaStreamNonBlocking == 1 && cudaEventBlockingSync == 1 && cudaEventDisableTiming == 2 && cudaHostRegisterReadOnly == 8, "flags");
static_assert(cudaDevAttrMultiProcessorCount == 16 && cudaDevAttrPciBusId == 33 && cudaDevAttrComputeCapabilityMajor == 75, "attributes");
static_assert(cudaDevAttrMaxSharedMemoryPerBlockOptin == 97 && cudaDevAttrMemoryPoolsSupported == 115 && cudaDevAttrHostRegisterReadOnlySupported == 113, "attributes");
static_assert(cudaFuncAttributeMaxDynamicSharedMemorySize == 8 && cudaHostAllocWriteCombined == 4, "attributes");
static_assert(CUDA_R_16BF == 14 && CUDA_R_16F == 2 && CUDA_R_32F == 0 && CUBLAS_OP_T == 1 && CUBLAS_GEMM_DEFAULT == -1, "cuBLAS");
static_assert(CUBLAS_COMPUTE_32F == 68 && CUBLAS_COMPUTE_32F_PEDANTIC == 69 && CUBLAS_COMPUTE_32F_FAST_TF32 == 77, "cuBLAS");
static_assert(CUBLAS_STATUS_ALLOC_FAILED == 3 && CUBLAS_STATUS_INVALID_VALUE == 7 && CUBLAS_STATUS_EXECUTION_FAILED == 13 && CUBLAS_STATUS_NOT_SUPPORTED == 15, "cuBLAS");
static_assert(sizeof(float4) == 16 && alignof(float4) == 16 && alignof(float2) == 8 && alignof(uint4) == 16 && sizeof(uint3) == 12 && alignof(ushort4) == 8, "vectors");
static_assert(alignof(longlong2) == 16 && alignof(char4) == 4 && alignof(uchar2) == 2 && sizeof(__half) == 2 && sizeof(__nv_bfloat162) == 4, "vectors");

__constant__ static const float weights[4] = { 1, 2, 3, 4 };

/* The sum over a block, in thread 0: within each warp by shuffles, then over the warps by shared memory. */
template <int WARPS> static __device__ float block_sum(float x)
{
	__shared__ float partial[WARPS];
	unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;

	for (int d = warpSize / 2; d > 0; d /= 2)
		x += __shfl_xor_sync(0xffffffff, x, d);
	if (lane == 0)
		partial[warp] = x;
	__syncthreads();
	x = threadIdx.x < WARPS ? partial[threadIdx.x] : 0.0f;
	if (warp == 0)
		for (unsigned d = 16; d > 0; d /= 2)
			x += __shfl_down_sync(0xffffffff, x, d);
	return x;
}

/* sums[row] of x[rows][n] */
template <int WARPS> __global__ void __launch_bounds__(WARPS * 32) sum_rows(float *__restrict__ sums, const float *__restrict__ x, uint32_t n)
{
	float s = 0;

	for (uint32_t i = threadIdx.x; i < n; i += blockDim.x)
		s += __ldg(&x[static_cast<size_t>(blockIdx.x) * n + i]);
	s = block_sum<WARPS>(s);
	if (threadIdx.x == 0)
		sums[blockIdx.x] = s;
}

/* y = x with each block's elements in reverse order; without the barrier it reads what may not have been written yet. */
__global__ void reverse(float *y, const float *x, bool with_barrier)
{
	SHARED_DYNAMIC(float, held);
	unsigned first = blockIdx.x * blockDim.x;

	held[threadIdx.x] = x[first + threadIdx.x];
	if (with_barrier)
		__syncthreads();
	y[first + threadIdx.x] = held[blockDim.x - 1 - threadIdx.x];
}

/* Thread 40 goes with the first warp, and its own waits for it. */
__global__ void divergent_barrier(float *y)
{
	if (threadIdx.x < 32 || threadIdx.x == 40)
		__syncthreads();
	else
		y[threadIdx.x] = __shfl_sync(0xffffffff, 1.0f, 0);
}

__global__ void two_barriers(void)
{
	if (threadIdx.x % 2)
		__syncthreads();
	else
		__syncthreads();
}

__global__ void lane_stays_away(int *y)
{
	if (threadIdx.x != 7)
		y[threadIdx.x] = __shfl_xor_sync(0xffffffff, static_cast<int>(threadIdx.x), 1);
	__syncthreads();
}

__global__ void lane_has_ended(int *y)
{
	if (threadIdx.x >= 20)
		return;
	y[threadIdx.x] = __shfl_down_sync(0xffffffff, static_cast<int>(threadIdx.x), 16);
}

/* Lanes that have ended are excused, as long as nobody wants anything of them. */
__global__ void tail_has_ended(unsigned *y, unsigned n)
{
	if (threadIdx.x >= n)
		return;
	unsigned votes = __ballot_sync(0xffffffff, threadIdx.x % 3 == 0);
	__syncthreads();
	y[threadIdx.x] = votes;
}

/* Each kind of exchange, in masks and widths that leave some out. y[kind][lane] */
__global__ void exchanges(int *y)
{
	int t = static_cast<int>(threadIdx.x);
	unsigned half_mask = t < 16 ? 0x0000ffffu : 0xffff0000u;

	y[t] = __shfl_sync(0xffffffff, t, 5);
	y[32 + t] = __shfl_sync(0xffffffff, t, 3, 8);
	y[64 + t] = __shfl_up_sync(0xffffffff, t, 2);
	y[96 + t] = __shfl_up_sync(0xffffffff, t, 1, 4);
	y[128 + t] = __shfl_down_sync(0xffffffff, t, 3);
	y[160 + t] = __shfl_down_sync(0xffffffff, t, 1, 2);
	y[192 + t] = __shfl_xor_sync(0xffffffff, t, 31);
	y[224 + t] = __shfl_xor_sync(half_mask, t, 8);
	y[256 + t] = static_cast<int>(__ballot_sync(half_mask, t % 2));
	y[288 + t] = __any_sync(0xffffffff, t == 9) * 2 + __all_sync(0xffffffff, t < 32);
	y[320 + t] = __all_sync(half_mask, t < 16);
	__syncwarp();
	if (t % 2)
		y[352 + t] = static_cast<int>(__shfl_xor_sync(0xaaaaaaaau, static_cast<long long>(t) << 32, 2) >> 32);
}

__global__ void indices(unsigned *seen, uint3 *where)
{
	unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
	unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
	unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;

	atomicAdd(&seen[i], 1u);
	where[i] = make_uint3(threadIdx.x, threadIdx.y, threadIdx.z);
}

/* Thread by thread, in whatever order they come, each waits for its turn: who waits must let others run. */
__global__ void take_turns(int *turn, int *order)
{
	while (atomicCAS(turn, static_cast<int>(threadIdx.x), -1) != static_cast<int>(threadIdx.x))
		;
	order[threadIdx.x] = static_cast<int>(blockDim.x - threadIdx.x);
	*turn = static_cast<int>(threadIdx.x) + 1;
}

__global__ void atomics(int *i, unsigned *u, float *f, unsigned long long *l)
{
	int t = static_cast<int>(threadIdx.x);

	atomicAdd(&i[0], t);
	atomicMax(&i[1], t);
	atomicMin(&i[2], -t);
	atomicMax(u, threadIdx.x);
	atomicAdd(f, 0.5f);
	atomicAdd(l, 1ull << 33);
}

__global__ void scale(float *y, float by, unsigned n)
{
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		y[i] = __fmul_rn(y[i], by) * weights[0];
}

__global__ void write_at(float *y, ptrdiff_t at)
{
	y[at] = 1;
}

__global__ void write_shared(float *y, unsigned at)
{
	SHARED_DYNAMIC(float, held);

	held[at] = 1;
	y[0] = held[at];
}

__global__ void write_static_shared(float *y, unsigned at)
{
	__shared__ float held[16];
	float *p = held;	/* what UBSan knows of the array's length would come first */

	p[at] = 1;
	y[0] = p[at];
}

/* What static shared memory holds before anybody writes there */
__global__ void read_shared(unsigned *y)
{
	__shared__ unsigned held[8];

	y[blockIdx.x * 8 + threadIdx.x] = held[threadIdx.x];
	held[threadIdx.x] = 7;
}

__global__ void convert(float *y, unsigned short *bits, const float *x)
{
	unsigned i = threadIdx.x;
	__half h = __float2half_rn(x[i]);
	__nv_bfloat16 b = __float2bfloat16_rn(x[i]);

	y[2 * i] = __half2float(h);
	y[2 * i + 1] = __bfloat162float(b);
	bits[2 * i] = __half_as_ushort(h);
	bits[2 * i + 1] = __bfloat16_as_ushort(b);
}

__global__ void nothing(void) {}

inline void launch_sum_rows(float *sums, const float *x, unsigned rows, unsigned n, cudaStream_t stream)
{
	LAUNCH(sum_rows<4>, rows, 4 * 32, 0, stream, sums, x, n);
}

inline void launch_scale(float *y, double by, size_t n, cudaStream_t stream)
{
	LAUNCH(scale, dim3((static_cast<unsigned>(n) + 255) / 256), dim3(256), 0, stream, y, static_cast<float>(by), static_cast<unsigned>(n));
}
