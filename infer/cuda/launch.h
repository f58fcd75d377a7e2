/*
 * launch.h - how kernels are started and how they get shared memory, so that the same sources serve nvcc and the emulation of
 * tests/cuda_host, which runs every kernel on the processor in the tests.
 */
#ifndef INFER_CUDA_LAUNCH_H
#define INFER_CUDA_LAUNCH_H

#include <cuda_runtime.h>

#ifdef __CUDACC__
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) (kernel)<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
/* `name`: the block's dynamic shared memory, as an array of `type`. Once a kernel. */
#define SHARED_DYNAMIC(type, name)                                  \
	extern __shared__ __align__(16) unsigned char shared_raw[]; \
	type *const name = reinterpret_cast<type *>(shared_raw)
#else
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) emu_launch(#kernel, (kernel), (grid), (block), (shared_bytes), (stream), ##__VA_ARGS__)
#endif

#endif
