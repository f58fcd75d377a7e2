/*
 * quant_iq.h - GGUF's IQ types: groups of eight (or four) magnitudes are rows of a codebook, signs stand beside them.
 * Layouts: ggml's ggml-common.h; codebooks: quant_grid.h, spread into bytes once so that decoding is a table look-up.
 */
#ifndef INFER_QUANT_IQ_H
#define INFER_QUANT_IQ_H

#ifndef __CUDACC__
#include <pthread.h>
#endif

#include "infer/quant_grid.h"
#include "infer/quant_parts.h"

QUANT_DATA int8_t iq2xxs[256][8], iq2xs[512][8], iq2s[1024][8], iq1s[2048][8];
QUANT_DATA int8_t iq3xxs[256][4], iq3s[512][4];

QUANT_FN void spread(int8_t *to, const uint16_t *grid, size_t rows, int codes, const int8_t *map)
{
	int bits = 16 / codes;

	for (size_t r = 0; r < rows; r++)
		for (int k = 0; k < codes; k++)
			*to++ = map[grid[r] >> (k * bits) & ((1 << bits) - 1)];
}

QUANT_FN void spread_all(void)
{
	static const int8_t two[4] = { 8, 25, 43 }, one[4] = { -1, 0, 1 };
	static const int8_t three_xxs[16] = { 4, 12, 20, 28, 36, 44, 52, 62 }, three_s[16] = { 1, 3, 5, 7, 9, 11, 13, 15 };

	spread(iq2xxs[0], grid_iq2xxs, 256, 8, two);
	spread(iq2xs[0], grid_iq2xs, 512, 8, two);
	spread(iq2s[0], grid_iq2s, 1024, 8, two);
	spread(iq1s[0], grid_iq1s, 2048, 8, one);
	spread(iq3xxs[0], grid_iq3xxs, 256, 4, three_xxs);
	spread(iq3s[0], grid_iq3s, 512, 4, three_s);
}

#ifdef __CUDACC__
QUANT_FN void ready(void)
{
	/* a kernel has called spread_all() before any other is started */
}
#else
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void ready(void)
{
	pthread_once(&once, spread_all);
}
#endif

/* Seven sign bits and an eighth that makes their number even. Bit i of 0x6996 is the parity of the four bits of i. */
QUANT_FN unsigned even_signs(unsigned index)
{
	unsigned seven = index & 127;

	return seven | (0x6996u >> ((seven ^ seven >> 4) & 15) & 1) << 7;
}

QUANT_FN void signed_group(float *out, float d, const int8_t *grid, unsigned signs, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = quant_float_of(quant_bits_of(d * (float)grid[i]) ^ (signs >> i & 1) << 31);
}

/* { half d; { u8 grid[4]; u32 signs 4 x 7 bits and scale 4 bits }[8] } */
QUANT_FN void row_iq2_xxs(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	ready();
	for (; n; n -= SUPER, p += 66) {
		float d = quant_half_at(p);

		for (int g = 0; g < 8; g++) {
			const uint8_t *q = p + 2 + 8 * g;
			uint32_t aux = quant_u32(q + 4);
			float db = d * (0.5f + (float)(aux >> 28)) * 0.25f;

			for (int k = 0; k < 4; k++, out += 8)
				signed_group(out, db, iq2xxs[q[k]], even_signs(aux >> (7 * k)), 8);
		}
	}
}

/* { half d; u16 qs[32] (9 bits of grid, 7 of signs); u8 scales[8] (a nibble each 16 elements) } */
QUANT_FN void row_iq2_xs(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	ready();
	for (; n; n -= SUPER, p += 74) {
		float d = quant_half_at(p);

		for (int g = 0; g < 32; g++, out += 8) {
			unsigned q = quant_u16(p + 2 + 2 * g), scale = p[66 + g / 4] >> (g / 2 % 2 * 4) & 15;

			signed_group(out, d * (0.5f + (float)scale) * 0.25f, iq2xs[q & 511], even_signs(q >> 9), 8);
		}
	}
}

/* { half d; u8 qs[32]; u8 signs[32]; u8 qh[8] (two upper bits of each grid row); u8 scales[8] } */
QUANT_FN void row_iq2_s(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	ready();
	for (; n; n -= SUPER, p += 82) {
		float d = quant_half_at(p);

		for (int g = 0; g < 32; g++, out += 8) {
			unsigned row = p[2 + g] | ((unsigned)p[66 + g / 4] >> (g % 4 * 2) & 3u) << 8, scale = (unsigned)p[74 + g / 4] >> (g / 2 % 2 * 4) & 15;

			signed_group(out, d * (0.5f + (float)scale) * 0.25f, iq2s[row], p[34 + g], 8);
		}
	}
}

/* { half d; u8 qs[64]; u32 signs and scales[8] } */
QUANT_FN void row_iq3_xxs(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	ready();
	for (; n; n -= SUPER, p += 98) {
		float d = quant_half_at(p);

		for (int g = 0; g < 8; g++) {
			uint32_t aux = quant_u32(p + 66 + 4 * g);
			float db = d * (0.5f + (float)(aux >> 28)) * 0.5f;

			for (int k = 0; k < 8; k++, out += 4)
				signed_group(out, db, iq3xxs[p[2 + 8 * g + k]], even_signs(aux >> (k / 2 * 7)) >> (k % 2 * 4), 4);
		}
	}
}

/* { half d; u8 qs[64]; u8 qh[8] (the ninth bits); u8 signs[32]; u8 scales[4] (a nibble each 32 elements) } */
QUANT_FN void row_iq3_s(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	ready();
	for (; n; n -= SUPER, p += 110) {
		float d = quant_half_at(p);

		for (int g = 0; g < 8; g++) {
			float db = d * (float)(1 + 2 * (p[106 + g / 2] >> (g % 2 * 4) & 15));

			for (int k = 0; k < 8; k++, out += 4)
				signed_group(out, db, iq3s[p[2 + 8 * g + k] | (p[66 + g] >> k & 1u) << 8], (unsigned)p[74 + 4 * g + k / 2] >> (k % 2 * 4), 4);
		}
	}
}

QUANT_FN void shifted_group(float *out, float d, const int8_t *grid, float delta)
{
	for (int i = 0; i < 8; i++)
		out[i] = d * ((float)grid[i] + delta);
}

/* { half d; u8 qs[32]; u16 qh[8]: 4 x 3 upper bits, 3 bits of scale, the sign of the shift } */
QUANT_FN void row_iq1_s(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	ready();
	for (; n; n -= SUPER, p += 50) {
		float d = quant_half_at(p);

		for (int g = 0; g < 8; g++) {
			unsigned qh = quant_u16(p + 34 + 2 * g);
			float dl = d * (float)(2 * (qh >> 12 & 7) + 1), delta = qh & 0x8000 ? -0.125f : 0.125f;

			for (int k = 0; k < 4; k++, out += 8)
				shifted_group(out, dl, iq1s[p[2 + 4 * g + k] | (qh >> (3 * k) & 7) << 8], delta);
		}
	}
}

/* { u8 qs[32]; u8 qh[16] (a nibble a group: 3 upper bits, sign of the shift); u16 scales[4] (4 x 3 bits, and 4 bits of the half d) } */
QUANT_FN void row_iq1_m(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	ready();
	for (; n; n -= SUPER, p += 56) {
		unsigned bits = 0;
		float d;

		for (int w = 0; w < 4; w++)
			bits |= (quant_u16(p + 48 + 2 * w) & 0xf000u) >> (12 - 4 * w);
		d = quant_half((uint16_t)bits);
		for (int g = 0; g < 32; g++, out += 8) {
			unsigned qh = (unsigned)p[32 + g / 2] >> (g % 2 * 4) & 15u, scale = (unsigned)quant_u16(p + 48 + g / 8 * 2) >> (g / 2 % 4 * 3) & 7u;

			shifted_group(out, d * (float)(2 * scale + 1), iq1s[p[g] | (qh & 7) << 8], qh & 8 ? -0.125f : 0.125f);
		}
	}
}

QUANT_CONST int8_t iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

/* { half d; u8 qs[16] } */
QUANT_FN void row_iq4_nl(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= 32, out += 32, p += 18) {
		float d = quant_half_at(p);

		for (int i = 0; i < 16; i++) {
			out[i] = d * (float)iq4_values[p[2 + i] & 15];
			out[i + 16] = d * (float)iq4_values[p[2 + i] >> 4];
		}
	}
}

/* { half d; u16 scales_h; u8 scales_l[4]; u8 qs[128] }: 6-bit scales less 32 */
QUANT_FN void row_iq4_xs(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, p += 136) {
		unsigned high = quant_u16(p + 2);
		float d = quant_half_at(p);

		for (int g = 0; g < 8; g++, out += 32) {
			const uint8_t *q = p + 8 + 16 * g;
			unsigned scale = ((unsigned)p[4 + g / 2] >> (g % 2 * 4) & 15u) | (high >> (2 * g) & 3) << 4;
			float dl = d * (float)((int)scale - 32);

			for (int i = 0; i < 16; i++) {
				out[i] = dl * (float)iq4_values[q[i] & 15];
				out[i + 16] = dl * (float)iq4_values[q[i] >> 4];
			}
		}
	}
}

#endif
