/*
 * emu_test.cc - does the emulation do what it says, and does it notice what it is there to notice? Faults that end the process are
 * tried in a child, whose last words are read.
 */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "emu_kernels.cu"

#define OK(call) assert_int_equal(call, cudaSuccess)

static const char *const orders[] = { "eager", "lazy", "random" };

static void with(const char *order, unsigned seed)
{
	setenv("EMU_ORDER", order, 1);
	setenv("EMU_SEED", std::to_string(seed).c_str(), 1);
	emu_configure();
}

static int set_up(void **state)
{
	(void)state;
	for (const char *name : { "EMU_MEMORY", "EMU_DEVICES", "EMU_FAIL_AT", "EMU_FAIL_CODE" })
		unsetenv(name);
	with("lazy", 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unsigned leaks = emu_leaks();

	OK(cudaDeviceReset());	/* a test that failed leaves things behind, which are not the next one's */
	return leaks ? -1 : 0;
}

/* f must end the process, with these words. */
static void assert_dies(const char *words, const std::function<void()> &f)
{
	char said[16384];
	size_t n = 0;
	ssize_t got;
	int out[2], status;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(out[1], STDERR_FILENO);
		alarm(60);
		f();
		_exit(0);
	}
	close(out[1]);
	while ((got = read(out[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += static_cast<size_t>(got);
	close(out[0]);
	said[n] = '\0';
	waitpid(pid, &status, 0);
	if ((WIFEXITED(status) && !WEXITSTATUS(status)) || !strstr(said, words))
		fail_msg("expected an end with '%s', got status %x and: %s", words, static_cast<unsigned>(status), said);
}

template <typename T> struct device_array {
	T *p = nullptr;
	size_t n;

	explicit device_array(size_t count) : n(count) { OK(cudaMalloc(&p, n * sizeof(T))); }
	explicit device_array(const std::vector<T> &from) : device_array(from.size()) { OK(cudaMemcpy(p, from.data(), n * sizeof(T), cudaMemcpyHostToDevice)); }
	device_array(const device_array &) = delete;
	~device_array() { cudaFree(p); }
	std::vector<T> get() const
	{
		std::vector<T> to(n);

		OK(cudaMemcpy(to.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
		return to;
	}
};

static std::vector<float> counting(size_t n)
{
	std::vector<float> x(n);

	for (size_t i = 0; i < n; i++)
		x[i] = static_cast<float>(i % 1000);
	return x;
}

/* ---- kernels ---- */

static void test_reduction(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 20; seed++) {
		const unsigned rows = 7, n = 301;

		with(orders[seed % 3], seed);
		device_array<float> x(counting(rows * n)), sums(rows);
		launch_sum_rows(sums.p, x.p, rows, n, NULL);
		std::vector<float> got = sums.get(), from = x.get();
		for (unsigned r = 0; r < rows; r++) {
			float want = 0;

			for (unsigned i = 0; i < n; i++)
				want += from[r * n + i];
			assert_true(got[r] == want);
		}
	}
}

static bool reverses(bool with_barrier)
{
	const unsigned n = 256;
	device_array<float> x(counting(2 * n)), y(2 * n);
	std::vector<float> got;

	LAUNCH(reverse, 2, n, n * sizeof(float), NULL, y.p, x.p, with_barrier);
	got = y.get();
	for (unsigned i = 0; i < n; i++)
		if (got[i] != static_cast<float>(n - 1 - i))
			return false;
	return true;
}

static void test_missing_barrier(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 10; seed++) {
		with("lazy", seed);
		assert_true(reverses(true));
		assert_false(reverses(false));
	}
}

static void test_divergence(void **state)
{
	device_array<float> y(64);
	device_array<int> z(32);

	(void)state;
	assert_dies("kernel divergent_barrier, block (0,0,0), thread (0,0,0): waits in __syncthreads", [&] {
		LAUNCH(divergent_barrier, 1, 64, 0, NULL, y.p);
		cudaDeviceSynchronize();
	});
	assert_dies("arrives at __syncthreads", [] {
		LAUNCH(two_barriers, 1, 64, 0, NULL);
		cudaDeviceSynchronize();
	});
	assert_dies("where thread (7,0,0) never arrives: that one waits in __syncthreads", [&] {
		LAUNCH(lane_stays_away, 1, 32, 0, NULL, z.p);
		cudaDeviceSynchronize();
	});
	assert_dies("reads lane 20, which has ended", [&] {
		LAUNCH(lane_has_ended, 1, 32, 0, NULL, z.p);
		cudaDeviceSynchronize();
	});
}

static void test_ended_lanes_are_excused(void **state)
{
	device_array<unsigned> y(50);

	(void)state;
	LAUNCH(tail_has_ended, 1, 64, 0, NULL, y.p, 50u);
	std::vector<unsigned> got = y.get();
	assert_int_equal(got[0], 0x49249249);		/* lanes 0, 3, … 30 */
	assert_int_equal(got[49], 0x12492);		/* threads 33, 36, … 48 */
}

static void test_exchanges(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 10; seed++) {
		with("lazy", seed);
		device_array<int> y(12 * 32);
		LAUNCH(exchanges, 1, 32, 0, NULL, y.p);
		std::vector<int> got = y.get();
		for (int t = 0; t < 32; t++) {
			const int want[] = { 5, t / 8 * 8 + 3, t < 2 ? t : t - 2, t % 4 ? t - 1 : t, t > 28 ? t : t + 3, t | 1, 31 - t, t ^ 8,
				static_cast<int>(t < 16 ? 0x0000aaaau : 0xaaaa0000u), 3, t < 16 };

			for (int i = 0; i < 11; i++)
				assert_int_equal(got[static_cast<size_t>(i * 32 + t)], want[i]);
			if (t % 2)
				assert_int_equal(got[static_cast<size_t>(352 + t)], t ^ 2);
		}
	}
}

static void test_indices_and_atomics(void **state)
{
	const size_t n = 3 * 4 * 5 * (6 * 7 * 2);

	(void)state;
	for (unsigned seed = 0; seed < 4; seed++) {
		with("lazy", seed);
		device_array<unsigned> seen(std::vector<unsigned>(n, 0)), u(std::vector<unsigned> { 0 });
		device_array<uint3> where(n);
		device_array<int> i(std::vector<int> { 0, -5, 5 }), order(100), turn(std::vector<int> { 0 });
		device_array<float> f(std::vector<float> { 0 });
		device_array<unsigned long long> l(std::vector<unsigned long long> { 1 });

		LAUNCH(indices, dim3(3, 4, 5), dim3(6, 7, 2), 0, NULL, seen.p, where.p);
		LAUNCH(atomics, 2, 100, 0, NULL, i.p, u.p, f.p, l.p);
		LAUNCH(take_turns, 1, 100, 0, NULL, turn.p, order.p);
		for (unsigned count : seen.get())
			assert_int_equal(count, 1);
		assert_int_equal(where.get()[n - 1].z, 1);
		assert_int_equal(where.get()[n - 1].y, 6);
		assert_int_equal(i.get()[0], 9900);
		assert_int_equal(i.get()[1], 99);
		assert_int_equal(i.get()[2], -99);
		assert_int_equal(u.get()[0], 99);
		assert_true(f.get()[0] == 100);
		assert_true(l.get()[0] == (200ull << 33) + 1);
		assert_int_equal(turn.get()[0], 100);
		assert_int_equal(order.get()[99], 1);
	}
}

/* ---- streams ---- */

/* Sends n numbers to the device through a ring of two pinned buffers, which the host fills again and again. Are they all there? */
static bool ring_is_right(bool with_events)
{
	const size_t piece = 64, pieces = 9;
	float *ring[2];
	cudaEvent_t free_again[2];
	cudaStream_t copy;
	device_array<float> x(piece * pieces);
	std::vector<float> want = counting(piece * pieces);

	OK(cudaStreamCreateWithFlags(&copy, cudaStreamNonBlocking));
	for (int i = 0; i < 2; i++) {
		OK(cudaMallocHost(&ring[i], piece * sizeof(float)));
		OK(cudaEventCreateWithFlags(&free_again[i], cudaEventDisableTiming));
	}
	for (size_t i = 0; i < pieces; i++) {
		if (with_events)
			OK(cudaEventSynchronize(free_again[i % 2]));
		memcpy(ring[i % 2], &want[i * piece], piece * sizeof(float));
		OK(cudaMemcpyAsync(x.p + i * piece, ring[i % 2], piece * sizeof(float), cudaMemcpyHostToDevice, copy));
		OK(cudaEventRecord(free_again[i % 2], copy));
	}
	OK(cudaStreamSynchronize(copy));
	for (int i = 0; i < 2; i++) {
		OK(cudaFreeHost(ring[i]));
		OK(cudaEventDestroy(free_again[i]));
	}
	OK(cudaStreamDestroy(copy));
	return x.get() == want;
}

static void test_ring(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		with(orders[i % 3], i / 3);
		assert_true(ring_is_right(true));
	}
	with("lazy", 0);
	assert_false(ring_is_right(false));
	with("eager", 0);
	assert_true(ring_is_right(false));	/* the friendly order hides it */
}

/* A copy on one stream, a kernel that needs it on another. */
static bool streams_agree(bool with_event)
{
	cudaStream_t copy, compute;
	cudaEvent_t there;
	float *pinned, *back;
	bool right = true;
	device_array<float> x(256);

	OK(cudaStreamCreateWithFlags(&copy, cudaStreamNonBlocking));
	OK(cudaStreamCreateWithFlags(&compute, cudaStreamNonBlocking));
	OK(cudaEventCreateWithFlags(&there, cudaEventDisableTiming));
	OK(cudaMallocHost(&pinned, 1024));
	OK(cudaHostAlloc(&back, 1024, cudaHostAllocPortable));
	for (int i = 0; i < 256; i++)
		pinned[i] = static_cast<float>(i);
	OK(cudaMemcpyAsync(x.p, pinned, 1024, cudaMemcpyHostToDevice, copy));
	OK(cudaEventRecord(there, copy));
	if (with_event)
		OK(cudaStreamWaitEvent(compute, there, 0));
	launch_scale(x.p, 3, 256, compute);
	OK(cudaMemcpyAsync(back, x.p, 1024, cudaMemcpyDeviceToHost, compute));
	OK(cudaStreamSynchronize(compute));
	for (int i = 0; i < 256; i++)
		right &= back[i] == static_cast<float>(3 * i);
	OK(cudaFreeHost(pinned));
	OK(cudaFreeHost(back));
	OK(cudaEventDestroy(there));
	OK(cudaStreamDestroy(copy));
	OK(cudaStreamDestroy(compute));
	return right;
}

static void test_events_between_streams(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		with(orders[i % 3], i / 3);
		assert_true(streams_agree(true));
	}
	with("lazy", 0);
	assert_false(streams_agree(false));
	for (unsigned seed = 0; seed < 20; seed++) {
		with("random", seed);
		wrong += !streams_agree(false);
	}
	assert_in_range(wrong, 1, 19);
}

/* The default stream waits for blocking streams and they for it; others know nothing of it. */
static void test_default_stream(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		with(orders[i % 3], i / 3);
		cudaStream_t blocking;
		device_array<float> x(std::vector<float>(8, 1.0f));

		OK(cudaStreamCreate(&blocking));
		launch_scale(x.p, 2, 8, blocking);
		OK(cudaMemsetAsync(x.p, 0, 4, NULL));
		launch_scale(x.p, 2, 8, blocking);
		OK(cudaStreamSynchronize(blocking));
		assert_true(x.get()[0] == 0 && x.get()[1] == 4);
		OK(cudaStreamDestroy(blocking));
	}
	with("lazy", 0);
	cudaStream_t other;
	float *pinned;
	device_array<float> x(std::vector<float>(1, 5.0f));
	OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
	OK(cudaMallocHost(&pinned, 4));
	OK(cudaMemsetAsync(x.p, 0, 4, other));
	assert_true(x.get()[0] == 5);		/* cudaMemcpy does not wait for it */
	OK(cudaMemcpyAsync(pinned, x.p, 4, cudaMemcpyDeviceToHost, other));
	assert_true(isnan(*pinned));
	assert_int_equal(cudaStreamQuery(other), cudaErrorNotReady);
	while (cudaStreamQuery(other) == cudaErrorNotReady)
		;
	assert_true(*pinned == 0);
	OK(cudaFreeHost(pinned));
	OK(cudaStreamDestroy(other));
	cudaGetLastError();
}

/* Pageable memory is read when the copy is asked for, and written before it returns; registered memory is pinned. */
static void test_pageable_and_registered(void **state)
{
	std::vector<float> host(1024, 1.0f);
	device_array<float> x(1024);
	cudaStream_t s;

	(void)state;
	OK(cudaStreamCreate(&s));
	OK(cudaMemcpyAsync(x.p, host.data(), 4096, cudaMemcpyHostToDevice, s));
	host[0] = 2;
	OK(cudaStreamSynchronize(s));
	assert_true(x.get()[0] == 1);
	OK(cudaMemcpyAsync(host.data(), x.p, 4096, cudaMemcpyDeviceToHost, s));
	assert_true(host[0] == 1);
	OK(cudaHostRegister(host.data(), 4096, cudaHostRegisterDefault));
	assert_int_equal(cudaHostRegister(host.data() + 1, 4, cudaHostRegisterDefault), cudaErrorHostMemoryAlreadyRegistered);
	OK(cudaMemcpyAsync(x.p, host.data(), 4096, cudaMemcpyDefault, s));
	host[0] = 3;
	OK(cudaStreamSynchronize(s));
	assert_true(x.get()[0] == 3);
	OK(cudaHostUnregister(host.data()));
	assert_int_equal(cudaHostUnregister(host.data()), cudaErrorHostMemoryNotRegistered);
	OK(cudaMemcpy2DAsync(x.p, 64, host.data(), 32, 16, 3, cudaMemcpyHostToDevice, s));
	assert_true(x.get()[16] == host[8] && x.get()[4] == 1);
	assert_int_equal(cudaMemcpy2DAsync(x.p, 8, host.data(), 32, 16, 3, cudaMemcpyHostToDevice, s), cudaErrorInvalidPitchValue);
	OK(cudaStreamDestroy(s));
}

static void test_elapsed_time(void **state)
{
	cudaEvent_t a, b, untimed;
	float ms = -1;

	(void)state;
	OK(cudaEventCreate(&a));
	OK(cudaEventCreate(&b));
	OK(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
	OK(cudaEventRecord(a));
	LAUNCH(nothing, 1, 1, 0, NULL);
	OK(cudaEventRecord(b));
	OK(cudaEventRecord(untimed));
	assert_int_equal(cudaEventElapsedTime(&ms, a, b), cudaErrorNotReady);
	OK(cudaEventSynchronize(b));
	OK(cudaEventElapsedTime(&ms, a, b));
	assert_true(ms > 0);
	assert_int_equal(cudaEventElapsedTime(&ms, a, untimed), cudaErrorInvalidResourceHandle);
	for (cudaEvent_t e : { a, b, untimed })
		OK(cudaEventDestroy(e));
	cudaGetLastError();
}

/* Several threads of the host at once, each with streams of its own. */
static void test_host_threads(void **state)
{
	(void)state;
	for (const char *order : orders) {
		std::atomic<unsigned> right(0);
		std::vector<std::thread> threads;

		with(order, 5);
		for (int i = 0; i < 4; i++)
			threads.emplace_back([&] {
				for (int j = 0; j < 10; j++)
					right += streams_agree(true) && ring_is_right(true);
			});
		for (std::thread &t : threads)
			t.join();
		assert_int_equal(right.load(), 40);
	}
}

/* The program waits for what the host function does, and calls nothing meanwhile. */
static void test_host_function(void **state)
{
	(void)state;
	for (const char *order : orders) {
		with(order, 1);
		std::atomic<int> calls(0);
		cudaStream_t s;
		device_array<float> x(std::vector<float>(8, 1.0f));

		OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
		launch_scale(x.p, 2, 8, s);
		OK(cudaLaunchHostFunc(s, [](void *p) { ++*static_cast<std::atomic<int> *>(p); }, &calls));
		launch_scale(x.p, 2, 8, s);
		while (!calls)
			std::this_thread::yield();
		OK(cudaLaunchHostFunc(s, [](void *p) { ++*static_cast<std::atomic<int> *>(p); }, &calls));
		OK(cudaStreamSynchronize(s));
		assert_int_equal(calls.load(), 2);
		assert_true(x.get()[7] == 4);
		OK(cudaStreamDestroy(s));
	}
	assert_dies("called by a host function", [] {
		/* the thread that runs them is not there after fork(): this one stands for it */
		extern thread_local bool emu_in_host_function;

		emu_in_host_function = true;
		cudaDeviceSynchronize();
	});
}

/* ---- limits and memory ---- */

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

/* ---- numbers ---- */

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
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(test_reduction),
		TEST(test_missing_barrier),
		TEST(test_divergence),
		TEST(test_ended_lanes_are_excused),
		TEST(test_exchanges),
		TEST(test_indices_and_atomics),
		TEST(test_ring),
		TEST(test_events_between_streams),
		TEST(test_default_stream),
		TEST(test_pageable_and_registered),
		TEST(test_elapsed_time),
		TEST(test_limits),
		TEST(test_memory_is_guarded),
#if defined(__clang__) && !defined(EMU_ASAN)
		TEST(test_static_shared_is_unset),
#endif
		TEST(test_leaks_are_counted),
		TEST(test_conversions),
		TEST(test_gemm),
		TEST(test_every_call_fails),
		TEST(test_host_threads),
		TEST(test_host_function),	/* last: it starts a thread, which children would not have */
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
