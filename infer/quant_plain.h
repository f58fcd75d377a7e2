/* quant_plain.h - rows of types without blocks: floats of every width, FP8, FP4, integers. Part of quant_set.h. */
#ifndef INFER_QUANT_PLAIN_H
#define INFER_QUANT_PLAIN_H

#include "infer/quant_parts.h"

QUANT_FN void row_f32(float *out, const void *in, size_t n)
{
	memcpy(out, in, n * sizeof(*out));
}

/* Rows of a C type that converts to float as it is. */
#define ROW_OF(name, type)                                                            \
	QUANT_FN void row_##name(float *out, const void *in, size_t n)                  \
	{                                                                             \
		for (size_t i = 0; i < n; i++) {                                      \
			type v;                                                       \
                                                                                      \
			memcpy(&v, (const char *)in + i * sizeof(v), sizeof(v));      \
			out[i] = (float)v;                                            \
		}                                                                     \
	}

ROW_OF(f64, double)
ROW_OF(i8, int8_t)
ROW_OF(u8, uint8_t)
ROW_OF(i16, int16_t)
ROW_OF(u16, uint16_t)
ROW_OF(i32, int32_t)
ROW_OF(u32, uint32_t)
ROW_OF(i64, int64_t)
ROW_OF(u64, uint64_t)

QUANT_FN void row_f16(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_half_at(p + 2 * i);
}

QUANT_FN void row_bf16(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_float_of((uint32_t)quant_u16(p + 2 * i) << 16);
}

/* Eight bits of sign, exponent and `man` bits of mantissa, without infinities. As quant_half, no subnormal float on the way. */
QUANT_FN float small_float(uint8_t b, unsigned man, unsigned bias)
{
	uint32_t o = (uint32_t)(b & 0x7f) << (23 - man), sub = o < 1u << 23 ? 1u << 23 : 0;
	float f = quant_float_of(o + ((127 - bias) << 23) + sub);

	f -= sub ? quant_float_of((128 - bias) << 23) : 0.0f;
	return quant_float_of(quant_bits_of(f) | (uint32_t)(b & 0x80) << 24);
}

#define NAN_BITS 0x7fc00000u

QUANT_FN void row_f8_e4m3(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i++) {
		float f = small_float(p[i], 3, 7);

		out[i] = (p[i] & 0x7f) == 0x7f ? quant_float_of(NAN_BITS) : f;
	}
}

/* The upper half of a half. */
QUANT_FN void row_f8_e5m2(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_half((uint16_t)(p[i] << 8));
}

QUANT_FN void row_f8_e4m3fnuz(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i++) {
		float f = small_float(p[i], 3, 8);

		out[i] = p[i] == 0x80 ? quant_float_of(NAN_BITS) : f;
	}
}

QUANT_FN void row_f8_e5m2fnuz(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i++) {
		float f = small_float(p[i], 2, 16);

		out[i] = p[i] == 0x80 ? quant_float_of(NAN_BITS) : f;
	}
}

/* A power of two, 2^(b - 127); 2^-127 is the one that a float holds as a subnormal. */
QUANT_FN void row_f8_e8m0(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_float_of(p[i] == 0xff ? NAN_BITS : p[i] ? (uint32_t)p[i] << 23 : 1u << 22);
}

/* Two elements a byte, the first in the low bits. */
QUANT_FN void row_f4(float *out, const void *in, size_t n)
{
	static const float values[16] = { 0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -.5f, -1, -1.5f, -2, -3, -4, -6 };
	const uint8_t *p = (const uint8_t *)in;

	for (size_t i = 0; i < n; i += 2) {
		out[i] = values[p[i / 2] & 15];
		out[i + 1] = values[p[i / 2] >> 4];
	}
}

#endif
