/*
 * quant_k.h - GGUF's super-blocks of 256 elements: the K types (integers with two levels of scales) and the ternary ones.
 * Layouts: ggml's ggml-common.h; offsets of the fields are given with each.
 */
#ifndef INFER_QUANT_K_H
#define INFER_QUANT_K_H

#include "infer/quant_parts.h"

#define SUPER 256

/* { u8 scales[16]; u8 qs[64]; half d, dmin }: scale in the low nibble, minimum in the high one, for each 16 elements.
 * Here and below 32 elements are unpacked together, which compilers turn into vectors, and scaled by halves. */
QUANT_FN void row_q2_k(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, p += 84) {
		float d = quant_half_at(p + 80), dmin = quant_half_at(p + 82);

		for (int g = 0; g < 8; g++, out += 32) {
			const uint8_t *q = p + 16 + g / 4 * 32, *scales = p + 2 * g;
			int shift = g % 4 * 2;
			float v[32];

			for (int i = 0; i < 32; i++)
				v[i] = (float)(q[i] >> shift & 3);
			for (int h = 0; h < 2; h++) {
				float dl = d * (float)(scales[h] & 15), ml = dmin * (float)(scales[h] >> 4);

				for (int i = 16 * h; i < 16 * h + 16; i++)
					out[i] = dl * v[i] - ml;
			}
		}
	}
}

/* { u8 hmask[32]; u8 qs[64]; u8 scales[12]; half d }: the third bit, when 0, takes 4 away; scales are 6 bits less 32 */
QUANT_FN void row_q3_k(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, p += 110) {
		const uint8_t *scales = p + 96;
		float d = quant_half_at(p + 108);

		for (int g = 0; g < 8; g++, out += 32) {
			const uint8_t *q = p + 32 + g / 4 * 32;
			int shift = g % 4 * 2;
			float v[32];

			for (int i = 0; i < 32; i++)
				v[i] = (float)((q[i] >> shift & 3) + (p[i] >> g & 1) * 4 - 4);
			for (int h = 0; h < 2; h++) {
				int k = 2 * g + h, low = scales[k % 8] >> (k / 8 * 4) & 15, high = scales[8 + k % 4] >> (k / 4 * 2) & 3;
				float dl = d * (float)((low | high << 4) - 32);

				for (int i = 16 * h; i < 16 * h + 16; i++)
					out[i] = dl * v[i];
			}
		}
	}
}

/* Eight 6-bit scales and eight 6-bit minima in 12 bytes: the last four of each have their upper two bits in the first eight bytes. */
QUANT_FN void scale_min(const uint8_t *s, int g, int *scale, int *min)
{
	if (g < 4) {
		*scale = s[g] & 63;
		*min = s[g + 4] & 63;
	} else {
		*scale = (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
		*min = s[g + 4] >> 4 | s[g] >> 6 << 4;
	}
}

/* { half d, dmin; u8 scales[12]; u8 qs[128] }: groups of 32, low nibbles before high ones */
QUANT_FN void row_q4_k(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, p += 144) {
		float d = quant_half_at(p), dmin = quant_half_at(p + 2);

		for (int g = 0; g < 8; g++, out += 32) {
			const uint8_t *q = p + 16 + g / 2 * 32;
			int scale, min, shift = g % 2 * 4;
			float dl, ml;

			scale_min(p + 4, g, &scale, &min);
			dl = d * (float)scale;
			ml = dmin * (float)min;
			for (int i = 0; i < 32; i++)
				out[i] = dl * (float)(q[i] >> shift & 15) - ml;
		}
	}
}

/* { half d, dmin; u8 scales[12]; u8 qh[32]; u8 qs[128] } */
QUANT_FN void row_q5_k(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, p += 176) {
		const uint8_t *h = p + 16;
		float d = quant_half_at(p), dmin = quant_half_at(p + 2);

		for (int g = 0; g < 8; g++, out += 32) {
			const uint8_t *q = p + 48 + g / 2 * 32;
			int scale, min, shift = g % 2 * 4;
			float dl, ml;

			scale_min(p + 4, g, &scale, &min);
			dl = d * (float)scale;
			ml = dmin * (float)min;
			for (int i = 0; i < 32; i++)
				out[i] = dl * (float)((q[i] >> shift & 15) | (h[i] >> g & 1) << 4) - ml;
		}
	}
}

/* { u8 ql[128]; u8 qh[64]; i8 scales[16]; half d }: each half of 128 elements: four groups of 32, low nibbles of 64 bytes, then high */
QUANT_FN void row_q6_k(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, p += 210) {
		float d = quant_half_at(p + 208);

		for (int g = 0; g < 8; g++, out += 32) {
			const uint8_t *ql = p + g / 4 * 64 + g % 2 * 32, *qh = p + 128 + g / 4 * 32;
			int low = g / 2 % 2 * 4, high = g % 4 * 2;
			float v[32];

			for (int i = 0; i < 32; i++)
				v[i] = (float)(((ql[i] >> low & 15) | (qh[i] >> high & 3) << 4) - 32);
			for (int h = 0; h < 2; h++) {
				float dl = d * (float)(int8_t)p[192 + 2 * g + h];

				for (int i = 16 * h; i < 16 * h + 16; i++)
					out[i] = dl * v[i];
			}
		}
	}
}

/* { float d; i8 qs[256]; i16 bsums[16] } */
QUANT_FN void row_q8_k(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, out += SUPER, p += 292) {
		float d = quant_float_of(quant_u32(p));

		for (int i = 0; i < SUPER; i++)
			out[i] = d * (float)(int8_t)p[4 + i];
	}
}

/*
 * Base 3: five elements a byte (four in the last ones), stored as a fraction of 256, most significant first: multiplying by 3^k
 * modulo 256 brings element k to the top, and three times that is its value in the bits above the eighth.
 */
QUANT_FN void ternary(float *out, const uint8_t *q, int bytes, int per_byte, float d)
{
	static const uint8_t power[5] = { 1, 3, 9, 27, 81 };

	for (int k = 0; k < per_byte; k++)
		for (int i = 0; i < bytes; i++) {
			uint8_t top = (uint8_t)(q[i] * power[k]);

			*out++ = d * (float)((top * 3 >> 8) - 1);
		}
}

/* { u8 qs[48]; u8 qh[4]; half d } */
QUANT_FN void row_tq1_0(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, out += SUPER, p += 54) {
		float d = quant_half_at(p + 52);

		ternary(out, p, 32, 5, d);
		ternary(out + 160, p + 32, 16, 5, d);
		ternary(out + 240, p + 48, 4, 4, d);
	}
}

/* { u8 qs[64]; half d }: two bits each */
QUANT_FN void row_tq2_0(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= SUPER, p += 66) {
		float d = quant_half_at(p + 64);

		for (int g = 0; g < 8; g++, out += 32)
			for (int i = 0; i < 32; i++)
				out[i] = d * (float)((p[g / 4 * 32 + i] >> (g % 4 * 2) & 3) - 1);
	}
}

#endif
