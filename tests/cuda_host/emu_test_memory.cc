/* emu_test_memory.cc - limits, guards around memory, leaks, and each call failing in turn. */
#include <math.h>
#include <sys/mman.h>

#include "emu_test.h"

static cudaError_t after(void)
{
	return cudaGetLastError();
}

static void test_limits(void **state)
{
	device_array<float> y(1);
	cudaDeviceProp prop;
	size_t free_bytes, total;
	float *p = nullptr;

	(void)state;
	for (dim3 block : { dim3(1025), dim3(0), dim3(32, 33), dim3(1, 1, 65) }) {
		LAUNCH(nothing, 1, block, 0, NULL);
		assert_int_equal(after(), cudaErrorInvalidConfiguration);
	}
	for (dim3 grid : { dim3(0), dim3(1, 65536), dim3(1, 1, 65536), dim3(1u << 31) }) {
		LAUNCH(nothing, grid, 1, 0, NULL);
		assert_int_equal(after(), cudaErrorInvalidConfiguration);
	}
	LAUNCH(nothing, dim3(2, 65535), 1, 0, NULL);
	OK(after());
	LAUNCH(write_shared, 1, 1, 48 << 10, NULL, y.p, 0u);
	OK(after());
	LAUNCH(write_shared, 1, 1, (48 << 10) + 1, NULL, y.p, 0u);
	assert_int_equal(after(), cudaErrorInvalidConfiguration);
	assert_int_equal(cudaFuncSetAttribute(write_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, (227 << 10) + 1), cudaErrorInvalidValue);
	OK(cudaFuncSetAttribute(write_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10));
	cudaGetLastError();
	LAUNCH(write_shared, 1, 1, 100 << 10, NULL, y.p, (100u << 10) / 4 - 1);
	OK(after());
	OK(cudaDeviceSynchronize());

	setenv("EMU_MEMORY", "1000000", 1);
	emu_configure();
	OK(cudaMemGetInfo(&free_bytes, &total));
	assert_int_equal(total, 1000000);
	assert_in_range(free_bytes, 999000, 999999);
	assert_int_equal(cudaMalloc(&p, 1000000), cudaErrorMemoryAllocation);
	assert_null(p);
	OK(cudaMalloc(&p, 900000));
	assert_in_range(emu_peak_bytes(), 900000, 1000000);
	OK(cudaFreeAsync(p, NULL));
	OK(cudaMallocAsync(&p, 900000, NULL));		/* waits for the one to be freed */
	OK(cudaFree(p));
	OK(cudaGetDeviceProperties(&prop, 0));
	assert_string_equal(prop.name, "emulated");
	assert_int_equal(cudaSetDevice(1), cudaErrorInvalidDevice);
	setenv("EMU_DEVICES", "0", 1);
	emu_configure();
	int count = 7;
	assert_int_equal(cudaGetDeviceCount(&count), cudaErrorNoDevice);
	assert_int_equal(count, 0);
	assert_string_equal(cudaGetErrorName(cudaPeekAtLastError()), "cudaErrorNoDevice");
	cudaGetLastError();
}

static void test_memory_is_guarded(void **state)
{
	device_array<float> x(100), y(64);
	std::vector<float> host(100);
	float *gone;

	(void)state;
	assert_true(isnan(x.get()[99]));
	OK(cudaMalloc(&gone, 4));
	OK(cudaFree(gone));
#ifdef EMU_ASAN
	const char *near = "AddressSanitizer: use-after-poison";
#else
	const char *near = "memory behind an allocation of 400 bytes was written";
#endif
	assert_dies(near, [&] {
		LAUNCH(write_at, 1, 1, 0, NULL, x.p, ptrdiff_t(100));
		cudaDeviceSynchronize();
	});
	assert_dies("kernel write_at, block (0,0,0), thread (0,0,0): device memory is touched 512 bytes into an allocation of 400", [&] {
		LAUNCH(write_at, 1, 1, 0, NULL, x.p, ptrdiff_t(128));
		cudaDeviceSynchronize();
	});
	assert_dies("device memory is touched", [&] {
		LAUNCH(write_at, 1, 1, 0, NULL, gone, ptrdiff_t(0));
		cudaDeviceSynchronize();
	});
	assert_dies("by the host", [&] { x.p[3] = 1; });
	if (pkey_alloc(0, 0) >= 0) {	/* else large allocations stay open */
		device_array<float> large(1 << 20);

		assert_dies("by the host", [&] { large.p[3] = 1; });
	}
	assert_dies("takes 404 bytes from byte 0 of an allocation of 400", [&] { cudaMemcpyAsync(x.p, host.data(), 404, cudaMemcpyHostToDevice); });
	assert_dies("is not device memory", [&] { cudaMemcpyAsync(host.data(), x.p, 4, cudaMemcpyHostToDevice); });
	assert_dies("and must be the host's", [&] { cudaMemcpyAsync(x.p, y.p, 4, cudaMemcpyHostToDevice); });
	assert_dies("was freed already", [&] { cudaFree(gone); });
	assert_dies("is not a stream", [&] { cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(x.p)); });
#ifdef EMU_ASAN
	const char *shared = "AddressSanitizer: heap-buffer-overflow";
	assert_dies("emu_kernels.cu", [&] {	/* AddressSanitizer's words, or UBSan's */
		LAUNCH(write_static_shared, 1, 1, 0, NULL, y.p, 16u);
		cudaDeviceSynchronize();
	});
#else
	const char *shared = "past the end of its 64 bytes of dynamic shared memory";
#endif
	assert_dies(shared, [&] {
		LAUNCH(write_shared, 1, 1, 64, NULL, y.p, 16u);
		cudaDeviceSynchronize();
	});
}

#if defined(__clang__) && !defined(EMU_ASAN)
static void test_static_shared_is_unset(void **state)
{
	device_array<unsigned> y(32);

	(void)state;
	LAUNCH(read_shared, 4, 8, 0, NULL, y.p);
	for (unsigned value : y.get())
		assert_int_equal(value, 0xffffffff);
}
#endif

static void test_leaks_are_counted(void **state)
{
	float *p, *pinned;
	cudaStream_t s;
	cudaEvent_t e;
	cublasHandle_t h;

	(void)state;
	OK(cudaMalloc(&p, 4));
	OK(cudaMallocHost(&pinned, 4));
	OK(cudaStreamCreate(&s));
	OK(cudaEventCreate(&e));
	assert_int_equal(cublasCreate(&h), CUBLAS_STATUS_SUCCESS);
	assert_int_equal(emu_leaks(), 5);
	assert_int_equal(cublasDestroy(h), CUBLAS_STATUS_SUCCESS);
	OK(cudaDeviceReset());
	assert_int_equal(emu_leaks(), 0);
}

/* ---- faults ---- */

/* A small program that passes every error on and gives everything back. */
static cudaError_t small_program(float *result)
{
	cudaError_t error;
	cudaStream_t s = NULL;
	float *x = NULL, *pinned = NULL;
	cublasHandle_t h = NULL;

	if (!(error = cudaStreamCreate(&s)) && !(error = cudaMalloc(&x, 1024)) && !(error = cudaMallocHost(&pinned, 1024)) &&
		!(error = cublasCreate(&h) ? cudaErrorUnknown : cudaSuccess)) {
		for (int i = 0; i < 256; i++)
			pinned[i] = 1;
		error = cudaMemcpyAsync(x, pinned, 1024, cudaMemcpyHostToDevice, s);
		if (!error) {
			launch_scale(x, 2, 256, s);
			error = cudaGetLastError();
		}
		if (!error)
			error = cudaMemcpyAsync(pinned, x, 1024, cudaMemcpyDeviceToHost, s);
		if (!error)
			error = cudaStreamSynchronize(s);
		*result = pinned[255];
	}
	if (h)
		cublasDestroy(h);
	cudaFreeHost(pinned);
	cudaFree(x);
	if (s)
		cudaStreamDestroy(s);
	return error;
}

static void test_every_call_fails(void **state)
{
	(void)state;
	for (const char *code : { "cudaErrorMemoryAllocation", "cudaErrorLaunchFailure", "cudaErrorDevicesUnavailable" }) {
		unsigned n = 1;
		float result = 0;

		setenv("EMU_FAIL_CODE", code, 1);
		for (;; n++) {
			setenv("EMU_FAIL_AT", std::to_string(n).c_str(), 1);
			emu_configure();
			cudaError_t error = small_program(&result);
			assert_int_equal(emu_leaks(), 0);
			if (!error)
				break;
			if (strcmp(code, "cudaErrorMemoryAllocation")) {	/* sticky */
				assert_int_not_equal(cudaDeviceSynchronize(), cudaSuccess);
				assert_string_equal(cudaGetErrorName(cudaGetLastError()), code);
				assert_string_equal(cudaGetErrorName(cudaGetLastError()), code);
			} else {
				OK(cudaDeviceSynchronize());
			}
		}
		assert_int_equal(n, emu_calls() + 1);
		assert_true(result == 2);
		assert_int_equal(n, 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_limits),
		TEST(test_memory_is_guarded),
#if defined(__clang__) && !defined(EMU_ASAN)
		TEST(test_static_shared_is_unset),
#endif
		TEST(test_leaks_are_counted),
		TEST(test_every_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
