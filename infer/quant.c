/* quant.c - the table of quant.h, and the types that have no blocks. */
#include "infer/quant.h"

#include <stdbool.h>

#include "base/own.h"
#include "infer/quant_parts.h"

float quant_bf16(uint16_t bits)
{
	return quant_float_of((uint32_t)bits << 16);
}

float quant_f16(uint16_t bits)
{
	return quant_half(bits);
}

static void row_f32(float *out, const void *in, size_t n)
{
	memcpy(out, in, n * sizeof(*out));
}

/* Rows of a C type that converts to float as it is. */
#define ROW_OF(name, type)                                                            \
	static void row_##name(float *out, const void *in, size_t n)                  \
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

static void row_f16(float *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_half_at(p + 2 * i);
}

static void row_bf16(float *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_bf16(quant_u16(p + 2 * i));
}

/* Eight bits of sign, exponent and `man` bits of mantissa, without infinities. As quant_half, no subnormal float on the way. */
static inline float small_float(uint8_t b, unsigned man, unsigned bias)
{
	uint32_t o = (uint32_t)(b & 0x7f) << (23 - man), sub = o < 1u << 23 ? 1u << 23 : 0;
	float f = quant_float_of(o + ((127 - bias) << 23) + sub);

	f -= sub ? quant_float_of((128 - bias) << 23) : 0.0f;
	return quant_float_of(quant_bits_of(f) | (uint32_t)(b & 0x80) << 24);
}

#define NAN_BITS 0x7fc00000u

static void row_f8_e4m3(float *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i++) {
		float f = small_float(p[i], 3, 7);

		out[i] = (p[i] & 0x7f) == 0x7f ? quant_float_of(NAN_BITS) : f;
	}
}

/* The upper half of a half. */
static void row_f8_e5m2(float *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_half((uint16_t)(p[i] << 8));
}

static void row_f8_e4m3fnuz(float *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i++) {
		float f = small_float(p[i], 3, 8);

		out[i] = p[i] == 0x80 ? quant_float_of(NAN_BITS) : f;
	}
}

static void row_f8_e5m2fnuz(float *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i++) {
		float f = small_float(p[i], 2, 16);

		out[i] = p[i] == 0x80 ? quant_float_of(NAN_BITS) : f;
	}
}

/* A power of two, 2^(b - 127); 2^-127 is the one that a float holds as a subnormal. */
static void row_f8_e8m0(float *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i++)
		out[i] = quant_float_of(p[i] == 0xff ? NAN_BITS : p[i] ? (uint32_t)p[i] << 23 : 1u << 22);
}

/* Two elements a byte, the first in the low bits. */
static void row_f4(float *out, const void *in, size_t n)
{
	static const float values[16] = { 0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -.5f, -1, -1.5f, -2, -3, -4, -6 };
	const uint8_t *p = in;

	for (size_t i = 0; i < n; i += 2) {
		out[i] = values[p[i / 2] & 15];
		out[i + 1] = values[p[i / 2] >> 4];
	}
}

static const struct quant_type table[] = {
	{ "F32", 1, 4, row_f32 },
	{ "BF16", 1, 2, row_bf16 },
	{ "F16", 1, 2, row_f16 },
	{ "F64", 1, 8, row_f64 },
	{ "F8_E4M3", 1, 1, row_f8_e4m3 },
	{ "F8_E5M2", 1, 1, row_f8_e5m2 },
	{ "F8_E4M3FNUZ", 1, 1, row_f8_e4m3fnuz },
	{ "F8_E5M2FNUZ", 1, 1, row_f8_e5m2fnuz },
	{ "F8_E8M0", 1, 1, row_f8_e8m0 },
	{ "F4", 2, 1, row_f4 },
	{ "I8", 1, 1, row_i8 },
	{ "U8", 1, 1, row_u8 },
	{ "I16", 1, 2, row_i16 },
	{ "U16", 1, 2, row_u16 },
	{ "I32", 1, 4, row_i32 },
	{ "U32", 1, 4, row_u32 },
	{ "I64", 1, 8, row_i64 },
	{ "U64", 1, 8, row_u64 },
	{ "Q4_0", 32, 18, quant_row_q4_0 },
	{ "Q4_1", 32, 20, quant_row_q4_1 },
	{ "Q5_0", 32, 22, quant_row_q5_0 },
	{ "Q5_1", 32, 24, quant_row_q5_1 },
	{ "Q8_0", 32, 34, quant_row_q8_0 },
	{ "Q8_1", 32, 36, quant_row_q8_1 },
	{ "Q2_K", 256, 84, quant_row_q2_k },
	{ "Q3_K", 256, 110, quant_row_q3_k },
	{ "Q4_K", 256, 144, quant_row_q4_k },
	{ "Q5_K", 256, 176, quant_row_q5_k },
	{ "Q6_K", 256, 210, quant_row_q6_k },
	{ "Q8_K", 256, 292, quant_row_q8_k },
	{ "IQ1_S", 256, 50, quant_row_iq1_s },
	{ "IQ1_M", 256, 56, quant_row_iq1_m },
	{ "IQ2_XXS", 256, 66, quant_row_iq2_xxs },
	{ "IQ2_XS", 256, 74, quant_row_iq2_xs },
	{ "IQ2_S", 256, 82, quant_row_iq2_s },
	{ "IQ3_XXS", 256, 98, quant_row_iq3_xxs },
	{ "IQ3_S", 256, 110, quant_row_iq3_s },
	{ "IQ4_NL", 32, 18, quant_row_iq4_nl },
	{ "IQ4_XS", 256, 136, quant_row_iq4_xs },
	{ "TQ1_0", 256, 54, quant_row_tq1_0 },
	{ "TQ2_0", 256, 66, quant_row_tq2_0 },
	{ "MXFP4", 32, 17, quant_row_mxfp4 },
	{ "NVFP4", 64, 36, quant_row_nvfp4 },
};

const struct quant_type *quant_type_at(size_t i)
{
	return i < ARRAY_LEN(table) ? &table[i] : NULL;
}

const struct quant_type *quant_type(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}
