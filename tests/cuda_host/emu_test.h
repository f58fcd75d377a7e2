/*
 * emu_test.h - for the tests of the emulation: does it do what it says, and does it notice what it is there to notice? Faults that end
 * the process are tried in a child, whose last words are read.
 */
#ifndef CUDA_HOST_EMU_TEST_H
#define CUDA_HOST_EMU_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "emu_kernels.cu"

#define OK(call) assert_int_equal(call, cudaSuccess)

static const char *const orders[] = { "eager", "lazy", "random" };

inline void with(const char *order, unsigned seed)
{
	setenv("EMU_ORDER", order, 1);
	setenv("EMU_SEED", std::to_string(seed).c_str(), 1);
	emu_configure();
}

inline int set_up(void **state)
{
	(void)state;
	for (const char *name : { "EMU_MEMORY", "EMU_DEVICES", "EMU_FAIL_AT", "EMU_FAIL_CODE" })
		unsetenv(name);
	with("lazy", 0);
	return 0;
}

inline int tear_down(void **state)
{
	(void)state;
	unsigned leaks = emu_leaks();

	OK(cudaDeviceReset());	/* a test that failed leaves things behind, which are not the next one's */
	return leaks ? -1 : 0;
}

/* f must end the process, with these words. */
inline void assert_dies(const char *words, const std::function<void()> &f)
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

inline std::vector<float> counting(size_t n)
{
	std::vector<float> x(n);

	for (size_t i = 0; i < n; i++)
		x[i] = static_cast<float>(i % 1000);
	return x;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
