/* cuda_bf16.h - bfloat16: the type and its conversions. No arithmetic: the sources compute in fp32. */
#ifndef CUDA_HOST_CUDA_BF16_H
#define CUDA_HOST_CUDA_BF16_H

#include "emu_device.h"

struct __nv_bfloat16 {
	unsigned short emu_x;
};
struct alignas(4) __nv_bfloat162 {
	__nv_bfloat16 x, y;
};
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

EMU_DEVICE unsigned short __bfloat16_as_ushort(__nv_bfloat16 b) { return b.emu_x; }
EMU_DEVICE __nv_bfloat16 __ushort_as_bfloat16(unsigned short x) { return { x }; }
EMU_DEVICE float __bfloat162float(__nv_bfloat16 b) { return emu_bits<float>(static_cast<unsigned>(b.emu_x) << 16); }

/* To the nearest, of two the even one. */
EMU_DEVICE __nv_bfloat16 __float2bfloat16_rn(float f)
{
	unsigned x = emu_bits<unsigned>(f);

	if ((x & 0x7fffffff) > 0x7f800000)
		return { 0x7fff };	/* NaN, as the device gives it */
	return { static_cast<unsigned short>((x + 0x7fff + (x >> 16 & 1)) >> 16) };
}

EMU_DEVICE __nv_bfloat16 __float2bfloat16(float f) { return __float2bfloat16_rn(f); }
EMU_DEVICE __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return { __float2bfloat16_rn(x), __float2bfloat16_rn(y) }; }
EMU_DEVICE float2 __bfloat1622float2(__nv_bfloat162 b) { return { __bfloat162float(b.x), __bfloat162float(b.y) }; }

#endif
