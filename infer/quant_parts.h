/* quant_parts.h - between the files of quant: how bytes are read, and the sets of row functions. */
#ifndef INFER_QUANT_PARTS_H
#define INFER_QUANT_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "infer/quant.h"

static inline float quant_float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline uint32_t quant_bits_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

/*
 * A half as a float without a branch and without ever making a subnormal float, which a thread that flushes those would lose:
 * the exponent is shifted to float's bias; a subnormal half gets exponent 2^-14 and that much taken off again.
 */
static inline float quant_half(uint16_t bits)
{
	uint32_t o = (uint32_t)(bits & 0x7fff) << 13, exp = o & 0x0f800000u;
	uint32_t sub = exp == 0 ? 1u << 23 : 0, special = exp == 0x0f800000u ? 112u << 23 : 0;
	float f = quant_float_of(o + (112u << 23) + sub + special);

	f -= sub ? 0x1p-14f : 0.0f;
	return quant_float_of(quant_bits_of(f) | (uint32_t)(bits & 0x8000) << 16);
}

static inline uint16_t quant_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t quant_u32(const uint8_t *p)
{
	return (uint32_t)quant_u16(p) | (uint32_t)quant_u16(p + 2) << 16;
}

/* A half that stands at p. */
static inline float quant_half_at(const uint8_t *p)
{
	return quant_half(quant_u16(p));
}

/* The table of quant.h in each instruction set, in the same order; a row without a name ends it. */
extern const struct quant_type quant_set_scalar[], quant_set_avx2[], quant_set_avx512[];

extern const uint8_t quant_awq_order[8];	/* the nibble of a word that holds output k of eight */

#endif
