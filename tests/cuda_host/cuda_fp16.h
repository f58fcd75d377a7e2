/*
 * cuda_fp16.h - half precision: the type and its conversions, by bits and without a float's hardware. No arithmetic: the sources
 * compute in fp32.
 */
#ifndef CUDA_HOST_CUDA_FP16_H
#define CUDA_HOST_CUDA_FP16_H

#include "emu_device.h"

struct __half {
	unsigned short emu_x;
};
struct alignas(4) __half2 {
	__half x, y;
};
typedef __half half;
typedef __half2 half2;

EMU_DEVICE unsigned short __half_as_ushort(__half h) { return h.emu_x; }
EMU_DEVICE __half __ushort_as_half(unsigned short x) { return { x }; }

/* A half's bits, moved to where a float has them, are the number times 2^-112. */
EMU_DEVICE float __half2float(__half h)
{
	unsigned sign = static_cast<unsigned>(h.emu_x & 0x8000) << 16, rest = h.emu_x & 0x7fffu;

	if (rest >= 0x7c00)	/* infinite or NaN */
		return emu_bits<float>(sign | 0x7f800000 | rest << 13);
	return emu_bits<float>(sign | emu_bits<unsigned>(emu_bits<float>(rest << 13) * 0x1p112f));
}

/* To the nearest, of two the even one. */
EMU_DEVICE __half __float2half_rn(float f)
{
	unsigned x = emu_bits<unsigned>(f), sign = x >> 16 & 0x8000, rest = x & 0x7fffffff, bits;

	if (rest > 0x7f800000)
		return { 0x7fff };	/* NaN, as the device gives it */
	if (rest >= 0x477ff000)		/* 65520 and more */
		bits = 0x7c00;
	else if (rest >= 0x38800000)	/* 2^-14: normal */
		bits = (rest + 0xfff + (rest >> 13 & 1) - 0x38000000) >> 13;
	else				/* adding 0.5 puts the last bit of a subnormal half at the end of a float, and rounds there */
		bits = emu_bits<unsigned>(emu_bits<float>(rest) + 0.5f) - 0x3f000000;
	return { static_cast<unsigned short>(sign | bits) };
}

EMU_DEVICE __half __float2half(float f) { return __float2half_rn(f); }
EMU_DEVICE __half2 __halves2half2(__half x, __half y) { return { x, y }; }
EMU_DEVICE __half2 __floats2half2_rn(float x, float y) { return { __float2half_rn(x), __float2half_rn(y) }; }
EMU_DEVICE float2 __half22float2(__half2 h) { return { __half2float(h.x), __half2float(h.y) }; }
EMU_DEVICE float __low2float(__half2 h) { return __half2float(h.x); }
EMU_DEVICE float __high2float(__half2 h) { return __half2float(h.y); }

#endif
