/* quant.c - the table of quant.h, and the plain types. */
#include "infer/quant.h"

#include <string.h>

#include "base/own.h"

float quant_bf16(uint16_t bits)
{
	uint32_t u = (uint32_t)bits << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

/* Subnormals are scaled by 2^-24; infinity and NaN keep their mantissa. */
float quant_f16(uint16_t bits)
{
	uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exp = bits >> 10 & 31, mant = bits & 0x3ff, u;
	float f;

	if (exp == 0) {
		f = (float)mant * 0x1p-24f;
		memcpy(&u, &f, sizeof(u));
		u |= sign;
	} else {
		u = sign | (exp == 31 ? 0xffu : exp + 112) << 23 | mant << 13;
	}
	memcpy(&f, &u, sizeof(f));
	return f;
}

static void row_f32(float *out, const void *in, size_t n)
{
	memcpy(out, in, n * sizeof(*out));
}

static void row_f64(float *out, const void *in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double d;

		memcpy(&d, (const char *)in + i * sizeof(d), sizeof(d));
		out[i] = (float)d;
	}
}

static void row_f16(float *out, const void *in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t u;

		memcpy(&u, (const char *)in + i * sizeof(u), sizeof(u));
		out[i] = quant_f16(u);
	}
}

static void row_bf16(float *out, const void *in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t u;

		memcpy(&u, (const char *)in + i * sizeof(u), sizeof(u));
		out[i] = quant_bf16(u);
	}
}

static const struct quant_type table[] = {
	{ "F32", 1, 4, row_f32 },
	{ "F64", 1, 8, row_f64 },
	{ "F16", 1, 2, row_f16 },
	{ "BF16", 1, 2, row_bf16 },
};

const struct quant_type *quant_type(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}
