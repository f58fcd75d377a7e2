/*
 * emu_device.h - what a kernel sees: its indices, shared memory, barriers, warp exchange, atomics and arithmetic.
 *
 * The threads of a block are fibers on one thread of the host, and switch only where they wait for each other. So an atomic is a
 * plain read and write, and shared memory is static storage: one block runs after another.
 */
#ifndef CUDA_HOST_EMU_DEVICE_H
#define CUDA_HOST_EMU_DEVICE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <type_traits>

#include "emu_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif

/*
 * Each block finds static shared memory filled with 0xFF bytes where the compiler lets us gather it in a section: gcc puts no static
 * of a template there, and AddressSanitizer no red zones, which are worth more.
 */
#if defined(__clang__) && !defined(EMU_ASAN)
#define __shared__ static __attribute__((section("emu_shared")))
#else
#define __shared__ static
#endif
#define SHARED_DYNAMIC(type, name) type *name = static_cast<type *>(emu_shared_dynamic())

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static constexpr int warpSize = 32;

void *emu_shared_dynamic(void);
void emu_barrier(const char *file, int line);
void emu_yield(void);	/* another thread of the block may run */
[[noreturn]] void emu_trap(const char *file, int line);

/*
 * The lanes named in mask meet. Each gets the value of lane `source` of its warp, or, with EMU_VOTE, a bit for each lane whose value
 * is not zero.
 */
static constexpr unsigned EMU_VOTE = ~0u;
uint64_t emu_warp(const char *op, unsigned mask, uint64_t value, unsigned source, const char *file, int line);
unsigned emu_lane(void);

#define EMU_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define EMU_DEVICE static inline __attribute__((unused))

EMU_DEVICE void __syncthreads(EMU_SITE) { emu_barrier(file, line); }
EMU_DEVICE void __trap(EMU_SITE) { emu_trap(file, line); }
EMU_DEVICE void __threadfence(void) {}
EMU_DEVICE void __threadfence_block(void) {}
EMU_DEVICE void __syncwarp(unsigned mask = ~0u, EMU_SITE) { emu_warp("__syncwarp", mask, 0, EMU_VOTE, file, line); }
EMU_DEVICE unsigned __ballot_sync(unsigned mask, int yes, EMU_SITE) { return static_cast<unsigned>(emu_warp("__ballot_sync", mask, yes != 0, EMU_VOTE, file, line)); }
EMU_DEVICE int __any_sync(unsigned mask, int yes, EMU_SITE) { return emu_warp("__any_sync", mask, yes != 0, EMU_VOTE, file, line) != 0; }
EMU_DEVICE int __all_sync(unsigned mask, int yes, EMU_SITE) { return emu_warp("__all_sync", mask, yes == 0, EMU_VOTE, file, line) == 0; }

template <typename T>
T emu_shuffle(const char *op, unsigned mask, T value, unsigned source, const char *file, int line)
{
	uint64_t bits = 0;

	static_assert(std::is_trivially_copyable<T>::value && (sizeof(T) == 4 || sizeof(T) == 8), "a shuffle moves 4 or 8 bytes");
	memcpy(&bits, &value, sizeof(T));
	bits = emu_warp(op, mask, bits, source, file, line);
	memcpy(&value, &bits, sizeof(T));
	return value;
}

/* A lane whose source lies outside its group of `width` lanes keeps its own value. */
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, EMU_SITE)
{
	unsigned lane = emu_lane(), w = static_cast<unsigned>(width);

	return emu_shuffle("__shfl_sync", mask, value, (lane & ~(w - 1)) | (static_cast<unsigned>(source) & (w - 1)), file, line);
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, EMU_SITE)
{
	unsigned lane = emu_lane(), in_group = lane & (static_cast<unsigned>(width) - 1);

	return emu_shuffle("__shfl_up_sync", mask, value, in_group >= delta ? lane - delta : lane, file, line);
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, EMU_SITE)
{
	unsigned lane = emu_lane(), w = static_cast<unsigned>(width);

	return emu_shuffle("__shfl_down_sync", mask, value, (lane & (w - 1)) + delta < w ? lane + delta : lane, file, line);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, EMU_SITE)
{
	unsigned lane = emu_lane(), w = static_cast<unsigned>(width), source = lane ^ static_cast<unsigned>(lane_mask);

	return emu_shuffle("__shfl_xor_sync", mask, value, source < (lane & ~(w - 1)) + w ? source : lane, file, line);
}

#define EMU_ATOMIC(name, type, result)			\
	EMU_DEVICE type name(type *p, type v)		\
	{						\
		type old = *p;				\
							\
		*p = (result);				\
		return old;				\
	}
#define EMU_ATOMICS(type)				\
	EMU_ATOMIC(atomicAdd, type, old + v)		\
	EMU_ATOMIC(atomicExch, type, v)			\
	EMU_ATOMIC(atomicMax, type, old > v ? old : v)	\
	EMU_ATOMIC(atomicMin, type, old < v ? old : v)	\
	EMU_ATOMIC(atomicOr, type, old | v)		\
	EMU_ATOMIC(atomicAnd, type, old & v)		\
	EMU_DEVICE type atomicCAS(type *p, type compare, type v)	\
	{						\
		type old = *p;				\
							\
		if (old == compare)			\
			*p = v;				\
		else					\
			emu_yield();	/* in a loop that waits for another thread, that one must run */ \
		return old;				\
	}
EMU_ATOMICS(int)
EMU_ATOMICS(unsigned int)
EMU_ATOMICS(unsigned long long)
EMU_ATOMIC(atomicAdd, float, old + v)
EMU_ATOMIC(atomicAdd, double, old + v)
EMU_ATOMIC(atomicExch, float, v)
#undef EMU_ATOMICS
#undef EMU_ATOMIC

template <typename To, typename From>
To emu_bits(From from)
{
	To to;

	static_assert(sizeof(To) == sizeof(From), "the same bits");
	memcpy(&to, &from, sizeof(to));
	return to;
}

EMU_DEVICE unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
EMU_DEVICE float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
EMU_DEVICE int __float_as_int(float x) { return emu_bits<int>(x); }
EMU_DEVICE float __int_as_float(int x) { return emu_bits<float>(x); }

/* The fast forms are as exact here as the others: a bound that holds by their error has to be shown on a device. (Macros: glibc has functions of these names.) */
#define __expf expf
#define __logf logf
#define __log2f log2f
#define __sinf sinf
#define __cosf cosf
#define __powf powf
EMU_DEVICE float __fdividef(float x, float y) { return x / y; }
EMU_DEVICE float __fdiv_rn(float x, float y) { return x / y; }
EMU_DEVICE float __fadd_rn(float x, float y) { return x + y; }
EMU_DEVICE float __fsub_rn(float x, float y) { return x - y; }
EMU_DEVICE float __fmul_rn(float x, float y) { return x * y; }
EMU_DEVICE float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
EMU_DEVICE float __fsqrt_rn(float x) { return sqrtf(x); }
EMU_DEVICE float rsqrtf(float x) { return static_cast<float>(1 / sqrt(static_cast<double>(x))); }
EMU_DEVICE int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
EMU_DEVICE float __int2float_rn(int x) { return static_cast<float>(x); }
EMU_DEVICE int __popc(unsigned x) { return __builtin_popcount(x); }
EMU_DEVICE int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
EMU_DEVICE int __ffs(int x) { return __builtin_ffs(x); }

template <typename T> T __ldg(const T *p) { return *p; }

/* As CUDA's: of two numbers of different kinds the common one counts, and of a NaN and a number the number. */
template <typename A, typename B, typename T = std::common_type_t<A, B>>
constexpr std::enable_if_t<std::is_arithmetic<T>::value, T> min(A a, B b)
{
	if constexpr (std::is_floating_point<T>::value)
		return fmin(static_cast<T>(a), static_cast<T>(b));
	else
		return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}

template <typename A, typename B, typename T = std::common_type_t<A, B>>
constexpr std::enable_if_t<std::is_arithmetic<T>::value, T> max(A a, B b)
{
	if constexpr (std::is_floating_point<T>::value)
		return fmax(static_cast<T>(a), static_cast<T>(b));
	else
		return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}

#endif
