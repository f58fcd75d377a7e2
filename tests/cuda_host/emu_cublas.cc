/*
 * emu_cublas.cc - C = alpha op(A) op(B) + beta C, by plain loops with sums in double. The extents of A, B and C are checked against the
 * device's memory when the call is made. How cuBLAS rounds, and in which order it adds, has to be seen on a device.
 */
#include <stdio.h>

#include <set>
#include <vector>

#include "cublas_v2.h"
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "emu_parts.h"

struct cublasContext {
	cudaStream_t stream;
};

struct matrix {
	const char *what;
	char *p;
	cudaDataType type;
	int ld;
	long long stride;	/* elements from one of a batch to the next */
	cublasOperation_t op;
	int rows, cols;		/* of op(X) */
};

struct product {
	matrix a, b, c;
	int m, n, k, count;
	float alpha, beta;
};

unsigned emu_cublas_handles;
static std::set<cublasHandle_t> &handles = *new std::set<cublasHandle_t>;

static const struct {
	cublasStatus_t code;
	const char *name, *text;
} statuses[] = {
#define STATUS(code, text) { code, #code, text }
	STATUS(CUBLAS_STATUS_SUCCESS, "success"),
	STATUS(CUBLAS_STATUS_NOT_INITIALIZED, "the library was not initialized"),
	STATUS(CUBLAS_STATUS_ALLOC_FAILED, "the resource allocation failed"),
	STATUS(CUBLAS_STATUS_INVALID_VALUE, "an unsupported value or parameter was passed to the function"),
	STATUS(CUBLAS_STATUS_ARCH_MISMATCH, "the function requires a feature absent from the device architecture"),
	STATUS(CUBLAS_STATUS_MAPPING_ERROR, "an access to GPU memory space failed"),
	STATUS(CUBLAS_STATUS_EXECUTION_FAILED, "the function failed to launch on the GPU"),
	STATUS(CUBLAS_STATUS_NOT_SUPPORTED, "the functionality requested is not supported"),
	STATUS(CUBLAS_STATUS_INTERNAL_ERROR, "an internal operation failed"),	/* last: stands for what is unknown */
#undef STATUS
};

static const auto &status_row(cublasStatus_t status)
{
	const size_t n = sizeof(statuses) / sizeof(*statuses);

	for (const auto &s : statuses)
		if (s.code == status)
			return s;
	return statuses[n - 1];
}

const char *cublasGetStatusString(cublasStatus_t status)
{
	return status_row(status).text;
}

const char *cublasGetStatusName(cublasStatus_t status)
{
	return status_row(status).name;
}

static cublasStatus_t call(const char *name, const std::function<cublasStatus_t()> &f, emu_counted counted = EMU_COUNTED)
{
	cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
	cudaError_t error = emu_call(name, counted, [&] {
		status = f();
		return cudaSuccess;
	});

	if (error == cudaErrorMemoryAllocation)
		return CUBLAS_STATUS_ALLOC_FAILED;
	return error ? CUBLAS_STATUS_EXECUTION_FAILED : status;
}

static cublasHandle_t checked(cublasHandle_t h, const char *name)
{
	if (!handles.count(h))
		emu_die("%s: %p is not a handle of cuBLAS, or was destroyed", name, static_cast<void *>(h));
	return h;
}

cublasStatus_t cublasCreate(cublasHandle_t *h)
{
	return call(__func__, [&] {
		*h = new cublasContext { NULL };
		handles.insert(*h);
		emu_cublas_handles++;
		return CUBLAS_STATUS_SUCCESS;
	});
}

cublasStatus_t cublasDestroy(cublasHandle_t h)
{
	return call(__func__, [&] {
		handles.erase(checked(h, "cublasDestroy"));
		delete h;
		emu_cublas_handles--;
		return CUBLAS_STATUS_SUCCESS;
	}, EMU_UNCOUNTED);
}

cublasStatus_t cublasSetStream(cublasHandle_t h, cudaStream_t stream)
{
	return call(__func__, [&] {
		checked(h, "cublasSetStream")->stream = emu_stream(stream, "cublasSetStream");
		return CUBLAS_STATUS_SUCCESS;
	});
}

cublasStatus_t cublasGetVersion(cublasHandle_t h, int *version)
{
	return call(__func__, [&] {
		checked(h, "cublasGetVersion");
		*version = 130000;
		return CUBLAS_STATUS_SUCCESS;
	});
}

/* Products are in full fp32 in any case; who asks for TF32 is told that it is not there. */
cublasStatus_t cublasSetMathMode(cublasHandle_t h, cublasMath_t mode)
{
	return call(__func__, [&] {
		checked(h, "cublasSetMathMode");
		return (mode & 3) == CUBLAS_TF32_TENSOR_OP_MATH ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
	});
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t h, void *workspace, size_t size)
{
	return call(__func__, [&] {
		checked(h, "cublasSetWorkspace");
		if (size)
			emu_need_device("cublasSetWorkspace", "the workspace", workspace, size);
		return reinterpret_cast<uintptr_t>(workspace) % 256 ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
	});
}

/* ---- elements ---- */

static size_t size_of(cudaDataType type)
{
	return type == CUDA_R_32F ? 4 : 2;
}

static float load(const char *p, cudaDataType type, size_t i)
{
	if (type == CUDA_R_16F)
		return __half2float(reinterpret_cast<const __half *>(p)[i]);
	if (type == CUDA_R_16BF)
		return __bfloat162float(reinterpret_cast<const __nv_bfloat16 *>(p)[i]);
	return reinterpret_cast<const float *>(p)[i];
}

static void store(char *p, cudaDataType type, size_t i, float x)
{
	if (type == CUDA_R_16F)
		reinterpret_cast<__half *>(p)[i] = __float2half_rn(x);
	else if (type == CUDA_R_16BF)
		reinterpret_cast<__nv_bfloat16 *>(p)[i] = __float2bfloat16_rn(x);
	else
		reinterpret_cast<float *>(p)[i] = x;
}

static char *nth(const matrix &x, int i)
{
	return x.p + i * x.stride * static_cast<long long>(size_of(x.type));
}

/* op(X) of the i-th of a batch as rows, or, by columns, as its columns: what a sum runs over lies together. */
static std::vector<float> packed(const matrix &x, int i, bool by_columns)
{
	int outer = by_columns ? x.cols : x.rows, inner = by_columns ? x.rows : x.cols;
	bool along = (x.op == CUBLAS_OP_N) == by_columns;	/* the inner index runs down a stored column */
	size_t ld = static_cast<size_t>(x.ld);
	std::vector<float> to;

	to.reserve(static_cast<size_t>(outer) * static_cast<size_t>(inner));
	for (size_t o = 0; o < static_cast<size_t>(outer); o++)
		for (size_t j = 0; j < static_cast<size_t>(inner); j++)
			to.push_back(load(nth(x, i), x.type, along ? o * ld + j : j * ld + o));
	return to;
}

static void multiply(const product &p, int i)
{
	std::vector<float> a = packed(p.a, i, false), b = packed(p.b, i, true);
	size_t m = static_cast<size_t>(p.m), n = static_cast<size_t>(p.n), k = static_cast<size_t>(p.k), ldc = static_cast<size_t>(p.c.ld);
	char *c = nth(p.c, i);

	for (size_t col = 0; col < n; col++) {
		for (size_t row = 0; row < m; row++) {
			double sum = 0, old = p.beta == 0 ? 0 : static_cast<double>(p.beta) * load(c, p.c.type, col * ldc + row);	/* beta 0: C may hold anything */

			for (size_t j = 0; j < k; j++)
				sum += static_cast<double>(a[row * k + j]) * static_cast<double>(b[col * k + j]);
			store(c, p.c.type, col * ldc + row, static_cast<float>(p.alpha * sum + old));
		}
	}
}

/* ---- the calls ---- */

static bool is_known(cudaDataType type)
{
	return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF;
}

static cublasStatus_t check_matrix(const char *name, const matrix &x, int count)
{
	int rows = x.op == CUBLAS_OP_N ? x.rows : x.cols, cols = x.op == CUBLAS_OP_N ? x.cols : x.rows;
	size_t size = size_of(x.type);

	if (x.ld < 1 || x.ld < rows)
		return CUBLAS_STATUS_INVALID_VALUE;
	for (int i = 0; i < count && rows && cols; i++) {
		if (reinterpret_cast<uintptr_t>(nth(x, i)) % size)
			emu_die("%s: matrix %s begins at %p, which is not a multiple of its element's %zu bytes", name, x.what, static_cast<void *>(nth(x, i)), size);
		emu_need_device(name, x.what, nth(x, i), (static_cast<uint64_t>(x.ld) * static_cast<uint64_t>(cols - 1) + static_cast<uint64_t>(rows)) * size);
	}
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check(const char *name, const product &p)
{
	bool same = p.a.type == p.b.type && (p.c.type == CUDA_R_32F || p.c.type == p.a.type);
	cublasStatus_t status;

	if (p.m < 0 || p.n < 0 || p.k < 0 || p.count < 0)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (!is_known(p.a.type) || !is_known(p.b.type) || !is_known(p.c.type) || !same)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	for (const matrix *x : { &p.a, &p.b, &p.c })
		if ((status = check_matrix(name, *x, p.count)) != CUBLAS_STATUS_SUCCESS)
			return status;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t enqueue(const char *name, cublasHandle_t h, product p, cublasComputeType_t compute)
{
	return call(name, [&] {
		cublasStatus_t status = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ? check(name, p) : CUBLAS_STATUS_NOT_SUPPORTED;

		if (status == CUBLAS_STATUS_SUCCESS && p.m && p.n)
			emu_put(emu_stream(checked(h, name)->stream, name), [p, name] {
				for (int i = 0; i < p.count; i++)
					multiply(p, i);
				emu_device_check(name);
			});
		return status;
	});
}

static char *bytes(const void *p)
{
	return const_cast<char *>(static_cast<const char *>(p));
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t h, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
	const void *a, cudaDataType type_a, int lda, long long stride_a, const void *b, cudaDataType type_b, int ldb, long long stride_b, const void *beta,
	void *c, cudaDataType type_c, int ldc, long long stride_c, int count, cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
	product p = {
		{ "A", bytes(a), type_a, lda, stride_a, op_a, m, k },
		{ "B", bytes(b), type_b, ldb, stride_b, op_b, k, n },
		{ "C", bytes(c), type_c, ldc, stride_c, CUBLAS_OP_N, m, n },
		m, n, k, count, *static_cast<const float *>(alpha), *static_cast<const float *>(beta)
	};

	(void)algo;
	return enqueue(count == 1 ? "cublasGemmEx" : "cublasGemmStridedBatchedEx", h, p, compute);
}

cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
	const void *a, cudaDataType type_a, int lda, const void *b, cudaDataType type_b, int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
	cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
	return cublasGemmStridedBatchedEx(h, op_a, op_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c, type_c, ldc, 0, 1, compute, algo);
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t h, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const float *alpha,
	const float *a, int lda, long long stride_a, const float *b, int ldb, long long stride_b, const float *beta, float *c, int ldc, long long stride_c, int count)
{
	return cublasGemmStridedBatchedEx(h, op_a, op_b, m, n, k, alpha, a, CUDA_R_32F, lda, stride_a, b, CUDA_R_32F, ldb, stride_b, beta, c, CUDA_R_32F, ldc,
		stride_c, count, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

cublasStatus_t cublasSgemm(cublasHandle_t h, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const float *alpha,
	const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc)
{
	return cublasSgemmStridedBatched(h, op_a, op_b, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);
}
