/* emu_test_block.cc - threads of a block: barriers, exchanges, atomics, indices. */
#include "emu_test.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reduction),
		TEST(test_missing_barrier),
		TEST(test_divergence),
		TEST(test_ended_lanes_are_excused),
		TEST(test_exchanges),
		TEST(test_indices_and_atomics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
