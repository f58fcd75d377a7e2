/* quant_parts.h - between the files of quant: how bytes are read, and the sets of row functions. */
#ifndef INFER_QUANT_PARTS_H
#define INFER_QUANT_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "infer/quant.h"

/*
 * The row functions (quant_block.h, quant_k.h, quant_iq.h, quant_plain.h) are also compiled for GPUs, by cuda/decode.cu: there they
 * are functions of the device, and their tables lie in its memory. So they are written in what C and C++ share.
 */
#ifdef __CUDACC__
#define QUANT_FN    static __device__ inline
#define QUANT_CONST static __device__ const
#define QUANT_DATA  static __device__
#else
#define QUANT_FN    static inline
#define QUANT_CONST static const
#define QUANT_DATA  static
#endif

QUANT_FN float quant_float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

QUANT_FN uint32_t quant_bits_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

/*
 * A half as a float without a branch and without ever making a subnormal float, which a thread that flushes those would lose:
 * the exponent is shifted to float's bias; a subnormal half gets exponent 2^-14 and that much taken off again.
 */
QUANT_FN float quant_half(uint16_t bits)
{
	uint32_t o = (uint32_t)(bits & 0x7fff) << 13, exp = o & 0x0f800000u;
	uint32_t sub = exp == 0 ? 1u << 23 : 0, special = exp == 0x0f800000u ? 112u << 23 : 0;
	float f = quant_float_of(o + (112u << 23) + sub + special);

	f -= sub ? 0x1p-14f : 0.0f;
	return quant_float_of(quant_bits_of(f) | (uint32_t)(bits & 0x8000) << 16);
}

QUANT_FN uint16_t quant_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

QUANT_FN uint32_t quant_u32(const uint8_t *p)
{
	return (uint32_t)quant_u16(p) | (uint32_t)quant_u16(p + 2) << 16;
}

/* A half that stands at p. */
QUANT_FN float quant_half_at(const uint8_t *p)
{
	return quant_half(quant_u16(p));
}

/* The table of quant.h in each instruction set, in the same order; a row without a name ends it. */
extern const struct quant_type quant_set_scalar[], quant_set_avx2[], quant_set_avx512[];

extern const uint8_t quant_awq_order[8];	/* the nibble of a word that holds output k of eight */

#endif
