/* experts.cu - rows to the expert that they chose, and back. */
#include "infer/cuda/parts.h"

#define ROWS_MAX 65535u		/* of a grid's second dimension; beyond it blocks take several rows */

/* y[i] = x[rows[i]] * by[i] */
__global__ void gather_kernel(float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d)
{
	uint32_t k = blockIdx.x * blockDim.x + threadIdx.x;

	for (uint32_t i = blockIdx.y; i < n && k < d; i += gridDim.y)
		y[(size_t)i * d + k] = x[(size_t)rows[i] * d + k] * (by ? by[i] : 1);
}

/* y[rows[i]] += x[i] * by[i]. Rows that come twice need a grid of one block in y: then their order is that of i. */
__global__ void scatter_kernel(float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d)
{
	uint32_t k = blockIdx.x * blockDim.x + threadIdx.x;

	for (uint32_t i = blockIdx.y; i < n && k < d; i += gridDim.y)
		y[(size_t)rows[i] * d + k] += x[(size_t)i * d + k] * (by ? by[i] : 1);
}

static bool ascending(const uint32_t *rows, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (rows[i] <= rows[i - 1])
			return false;
	return true;
}

/* Both arrays on the device; *by stays NULL where it is. */
static bool lists(struct backend *b, const uint32_t **rows, const float **by, uint32_t n)
{
	*rows = static_cast<const uint32_t *>(cuda_args(b, *rows, n * sizeof(**rows)));
	if (*rows && *by) {
		*by = static_cast<const float *>(cuda_args(b, *by, n * sizeof(**by)));
		return *by;
	}
	return *rows;
}

void cuda_gather(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d)
{
	dim3 grid((d + CUDA_THREADS - 1) / CUDA_THREADS, n < ROWS_MAX ? n : ROWS_MAX);

	if (!cuda_begin(b, "gather", n, d, 0) || n == 0 || !lists(b, &rows, &by, n))
		return;
	LAUNCH(gather_kernel, grid, CUDA_THREADS, 0, b->compute, y, x, rows, by, n, d);
	cuda_ok(b, cudaGetLastError());
}

void cuda_scatter_add(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d)
{
	dim3 grid((d + CUDA_THREADS - 1) / CUDA_THREADS, !ascending(rows, n) ? 1 : n < ROWS_MAX ? n : ROWS_MAX);

	if (!cuda_begin(b, "scatter and add", n, d, 0) || n == 0 || !lists(b, &rows, &by, n))
		return;
	LAUNCH(scatter_kernel, grid, CUDA_THREADS, 0, b->compute, y, x, rows, by, n, d);
	cuda_ok(b, cudaGetLastError());
}
