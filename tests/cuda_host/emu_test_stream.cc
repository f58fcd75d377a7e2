/* emu_test_stream.cc - streams, events, host functions, and several threads of the host. */
#include <math.h>

#include <atomic>
#include <thread>

#include "emu_test.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ring),
		TEST(test_events_between_streams),
		TEST(test_default_stream),
		TEST(test_pageable_and_registered),
		TEST(test_elapsed_time),
		TEST(test_host_threads),
		TEST(test_host_function),	/* last: it starts a thread, which children would not have */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
