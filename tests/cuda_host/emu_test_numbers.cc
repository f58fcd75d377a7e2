/* emu_test_numbers.cc - half floats, bfloat16 and matrix products. */
#include <math.h>

#include "emu_test.h"

static void test_conversions(void **state)
{
	const std::vector<float> values = { 0.0f, -0.0f, 1.0f, 1.0f / 3, 65504, 65519.996f, 65520, -70000, 6.1035156e-5f, 6.0975552e-5f, 5.9604645e-8f, 2.9802322e-8f,
		2.9802326e-8f, 2049, 2051, INFINITY, NAN, 3.3895314e38f, 1.00390625f, 1.01171875f };
	const unsigned short want[][2] = { { 0, 0 }, { 0x8000, 0x8000 }, { 0x3c00, 0x3f80 }, { 0x3555, 0x3eab }, { 0x7bff, 0x4780 }, { 0x7bff, 0x4780 }, { 0x7c00, 0x4780 },
		{ 0xfc00, 0xc789 }, { 0x0400, 0x3880 }, { 0x03ff, 0x3880 }, { 1, 0x3380 }, { 0, 0x3300 }, { 1, 0x3300 }, { 0x6800, 0x4500 }, { 0x6802, 0x4500 },
		{ 0x7c00, 0x7f80 }, { 0x7fff, 0x7fff }, { 0x7c00, 0x7f7f }, { 0x3c04, 0x3f80 }, { 0x3c0c, 0x3f82 } };
	device_array<float> x(values), y(2 * values.size());
	device_array<unsigned short> bits(2 * values.size());

	(void)state;
	LAUNCH(convert, 1, static_cast<unsigned>(values.size()), 0, NULL, y.p, bits.p, x.p);
	for (size_t i = 0; i < values.size(); i++) {
		assert_int_equal(bits.get()[2 * i], want[i][0]);
		assert_int_equal(bits.get()[2 * i + 1], want[i][1]);
	}
	for (unsigned i = 0; i < 65536; i++) {		/* every half and every bfloat16 comes back as it was */
		unsigned short u = static_cast<unsigned short>(i);
		float h = __half2float(__ushort_as_half(u)), b = __bfloat162float(__ushort_as_bfloat16(u));

		if (isnan(h))
			assert_true((u & 0x7fff) > 0x7c00);
		else
			assert_int_equal(__half_as_ushort(__float2half_rn(h)), u);
		if (isnan(b))
			assert_true((u & 0x7fff) > 0x7f80);
		else
			assert_int_equal(__bfloat16_as_ushort(__float2bfloat16_rn(b)), u);
	}
	assert_true(__half2float(__ushort_as_half(0x3555)) == 0.333251953125f && __half2float(__ushort_as_half(0x8001)) == -0x1p-24f);
	assert_true(min(3u, -1) == 3 && max(2, 3.5f) == 3.5f && max(NAN, 1.0f) == 1.0f && rsqrtf(4) == 0.5f);
}

/* Small integers: exact in each type. */
static float element(int i)
{
	return static_cast<float>(i * 7 % 11 - 5);
}

static std::vector<unsigned char> encode(const std::vector<float> &x, cudaDataType_t type)
{
	std::vector<unsigned char> to(x.size() * (type == CUDA_R_32F ? 4 : 2));

	for (size_t i = 0; i < x.size(); i++) {
		unsigned short u = type == CUDA_R_16F ? __half_as_ushort(__float2half_rn(x[i])) : __bfloat16_as_ushort(__float2bfloat16_rn(x[i]));

		if (type == CUDA_R_32F)
			memcpy(&to[4 * i], &x[i], 4);
		else
			memcpy(&to[2 * i], &u, 2);
	}
	return to;
}

static void check_gemm(cublasHandle_t h, cublasOperation_t op_a, cublasOperation_t op_b, cudaDataType_t type, cudaDataType_t type_c, float beta)
{
	const int m = 5, n = 4, k = 7, count = 2, lda = 9, ldb = 8, ldc = 6, stride_a = 70, stride_b = 60, stride_c = 30;
	const float alpha = 2;
	std::vector<float> a(count * stride_a), b(count * stride_b), c(count * stride_c, beta == 0 ? NAN : 1.0f);

	for (size_t i = 0; i < a.size(); i++)
		a[i] = element(static_cast<int>(i));
	for (size_t i = 0; i < b.size(); i++)
		b[i] = element(static_cast<int>(i) + 3);
	device_array<unsigned char> da(encode(a, type)), db(encode(b, type)), dc(encode(c, type_c));
	assert_int_equal(cublasGemmStridedBatchedEx(h, op_a, op_b, m, n, k, &alpha, da.p, type, lda, stride_a, db.p, type, ldb, stride_b, &beta, dc.p, type_c, ldc, stride_c,
		count, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT), CUBLAS_STATUS_SUCCESS);
	for (int i = 0; i < count; i++)
		for (int col = 0; col < n; col++)
			for (int row = 0; row < m; row++) {
				float sum = 0;

				for (int j = 0; j < k; j++)
					sum += a[static_cast<size_t>(i * stride_a + (op_a == CUBLAS_OP_N ? j * lda + row : row * lda + j))] *
						b[static_cast<size_t>(i * stride_b + (op_b == CUBLAS_OP_N ? col * ldb + j : j * ldb + col))];
				c[static_cast<size_t>(i * stride_c + col * ldc + row)] = alpha * sum + (beta == 0 ? 0 : beta);
			}
	assert_true(dc.get() == encode(c, type_c));	/* and what lies between the columns is as it was */
}

static void test_gemm(void **state)
{
	const cublasOperation_t ops[] = { CUBLAS_OP_N, CUBLAS_OP_T };
	const cudaDataType_t types[][2] = { { CUDA_R_32F, CUDA_R_32F }, { CUDA_R_16F, CUDA_R_16F }, { CUDA_R_16F, CUDA_R_32F }, { CUDA_R_16BF, CUDA_R_16BF }, { CUDA_R_16BF, CUDA_R_32F } };
	const float one = 1, zero = 0;
	cublasHandle_t h;
	cudaStream_t s;
	device_array<float> x(16);

	(void)state;
	assert_int_equal(cublasCreate(&h), CUBLAS_STATUS_SUCCESS);
	for (auto &type : types)
		for (cublasOperation_t a : ops)
			for (cublasOperation_t b : ops)
				for (float beta : { 0.0f, 3.0f })
					check_gemm(h, a, b, type[0], type[1], beta);
	assert_int_equal(cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, x.p, 3, x.p, 4, &zero, x.p, 4), CUBLAS_STATUS_INVALID_VALUE);
	assert_int_equal(cublasGemmEx(h, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, x.p, CUDA_R_32F, 2, x.p, CUDA_R_16F, 2, &zero, x.p, CUDA_R_32F, 2, CUBLAS_COMPUTE_32F,
		CUBLAS_GEMM_DEFAULT), CUBLAS_STATUS_NOT_SUPPORTED);
	assert_int_equal(cublasSetMathMode(h, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_NOT_SUPPORTED);
	assert_dies("cublasGemmEx: B takes 76 bytes from byte 0 of an allocation of 64", [&] {
		cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, x.p, 4, x.p, 5, &zero, x.p, 4);
	});

	/* It runs in its stream's turn. */
	device_array<float> a(std::vector<float> { 3 }), c(1);
	float *pinned;
	OK(cudaMallocHost(&pinned, 4));
	OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
	assert_int_equal(cublasSetStream(h, s), CUBLAS_STATUS_SUCCESS);
	assert_int_equal(cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.p, 1, a.p, 1, &zero, c.p, 1), CUBLAS_STATUS_SUCCESS);
	assert_true(isnan(c.get()[0]));
	OK(cudaMemcpyAsync(pinned, c.p, 4, cudaMemcpyDeviceToHost, s));
	OK(cudaStreamSynchronize(s));
	assert_true(*pinned == 9);
	OK(cudaFreeHost(pinned));
	OK(cudaStreamDestroy(s));
	assert_int_equal(cublasDestroy(h), CUBLAS_STATUS_SUCCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_conversions),
		TEST(test_gemm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
