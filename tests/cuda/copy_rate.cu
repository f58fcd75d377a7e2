/* copy_rate.cu - GB/s of pinned memory to the device: the limit that script/gpu-check compares with. Prints one number. */
#include <cuda_runtime.h>
#include <stdio.h>

#define BYTES ((size_t)1 << 30)
#define TIMES 8

static int fail(cudaError_t rc)
{
	fprintf(stderr, "copy_rate: %s\n", cudaGetErrorString(rc));
	return 1;
}

int main()
{
	void *host = NULL, *device = NULL;
	cudaEvent_t start, end;
	float ms = 0;
	cudaError_t rc = cudaHostAlloc(&host, BYTES, cudaHostAllocDefault);

	if (rc != cudaSuccess || (rc = cudaMalloc(&device, BYTES)) != cudaSuccess)
		return fail(rc);
	cudaEventCreate(&start);
	cudaEventCreate(&end);
	cudaMemcpyAsync(device, host, BYTES, cudaMemcpyHostToDevice, 0);	/* the first one is not counted */
	cudaEventRecord(start, 0);
	for (int i = 0; i < TIMES; i++)
		cudaMemcpyAsync(device, host, BYTES, cudaMemcpyHostToDevice, 0);
	cudaEventRecord(end, 0);
	rc = cudaEventSynchronize(end);
	if (rc != cudaSuccess || (rc = cudaEventElapsedTime(&ms, start, end)) != cudaSuccess)
		return fail(rc);
	printf("%.2f\n", BYTES * (double)TIMES / 1e6 / (double)ms);
	return 0;
}
