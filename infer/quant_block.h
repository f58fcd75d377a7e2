/*
 * quant_block.h - GGUF's block types of 32 elements: a scale, perhaps a minimum, and small integers. In a byte that holds two
 * elements, the low nibble is element i of the block and the high one element i + half. Layouts: ggml's ggml-common.h.
 */
#ifndef INFER_QUANT_BLOCK_H
#define INFER_QUANT_BLOCK_H

#include "infer/quant_parts.h"

#define BLOCK 32

/* { half d; u8 qs[16] }: d * (q - 8) */
QUANT_FN void row_q4_0(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= BLOCK, out += BLOCK, p += 18) {
		float d = quant_half_at(p);

		for (int i = 0; i < BLOCK / 2; i++)
			out[i] = d * (float)((p[2 + i] & 15) - 8);
		for (int i = 0; i < BLOCK / 2; i++)
			out[i + BLOCK / 2] = d * (float)((p[2 + i] >> 4) - 8);
	}
}

/* { half d, m; u8 qs[16] }: d * q + m */
QUANT_FN void row_q4_1(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= BLOCK, out += BLOCK, p += 20) {
		float d = quant_half_at(p), m = quant_half_at(p + 2);

		for (int i = 0; i < BLOCK / 2; i++)
			out[i] = d * (float)(p[4 + i] & 15) + m;
		for (int i = 0; i < BLOCK / 2; i++)
			out[i + BLOCK / 2] = d * (float)(p[4 + i] >> 4) + m;
	}
}

/* { half d; u32 qh; u8 qs[16] }: the fifth bits stand in qh; d * (q - 16) */
QUANT_FN void row_q5_0(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= BLOCK, out += BLOCK, p += 22) {
		float d = quant_half_at(p);
		uint32_t qh = quant_u32(p + 2);

		for (int i = 0; i < BLOCK / 2; i++) {
			out[i] = d * (float)((int)((p[6 + i] & 15) | (qh >> i & 1) << 4) - 16);
			out[i + BLOCK / 2] = d * (float)((int)(p[6 + i] >> 4 | (qh >> (i + BLOCK / 2) & 1) << 4) - 16);
		}
	}
}

/* { half d, m; u32 qh; u8 qs[16] }: d * q + m */
QUANT_FN void row_q5_1(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= BLOCK, out += BLOCK, p += 24) {
		float d = quant_half_at(p), m = quant_half_at(p + 2);
		uint32_t qh = quant_u32(p + 4);

		for (int i = 0; i < BLOCK / 2; i++) {
			out[i] = d * (float)((p[8 + i] & 15u) | (qh >> i & 1) << 4) + m;
			out[i + BLOCK / 2] = d * (float)((uint32_t)(p[8 + i] >> 4) | (qh >> (i + BLOCK / 2) & 1) << 4) + m;
		}
	}
}

/* { half d; i8 qs[32] } */
QUANT_FN void row_q8_0(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= BLOCK, out += BLOCK, p += 34) {
		float d = quant_half_at(p);

		for (int i = 0; i < BLOCK; i++)
			out[i] = d * (float)(int8_t)p[2 + i];
	}
}

/* { half d, s; i8 qs[32] }: s is d times the sum of the qs, which only a dot product wants */
QUANT_FN void row_q8_1(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= BLOCK, out += BLOCK, p += 36) {
		float d = quant_half_at(p);

		for (int i = 0; i < BLOCK; i++)
			out[i] = d * (float)(int8_t)p[4 + i];
	}
}

/* E2M1 values times two, so that they are integers; the scale is halved for it. */
QUANT_CONST int8_t e2m1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* { u8 e; u8 qs[16] }: 2^(e - 127) * E2M1 */
QUANT_FN void row_mxfp4(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= BLOCK, out += BLOCK, p += 17) {
		float d = quant_float_of(p[0] < 2 ? 0x00200000u << p[0] : (uint32_t)(p[0] - 1) << 23);

		for (int i = 0; i < BLOCK / 2; i++) {
			out[i] = d * (float)e2m1[p[1 + i] & 15];
			out[i + BLOCK / 2] = d * (float)e2m1[p[1 + i] >> 4];
		}
	}
}

/* An unsigned E4M3 (bias 7), halved; 0x7f counts as 0. */
QUANT_FN float half_ue4m3(uint8_t x)
{
	unsigned exp = x >> 3 & 15, man = x & 7;
	float raw = exp ? (1.0f + (float)man / 8.0f) * quant_float_of((exp + 120) << 23) : (float)man * 0x1p-9f;

	return x == 0 || x == 0x7f ? 0.0f : raw * 0.5f;
}

/* { ue4m3 d[4]; u8 qs[4][8] }: four groups of 16 */
QUANT_FN void row_nvfp4(float *out, const void *in, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;

	for (; n; n -= 64, p += 36)
		for (int g = 0; g < 4; g++, out += 16) {
			float d = half_ue4m3(p[g]);

			for (int i = 0; i < 8; i++) {
				out[i] = d * (float)e2m1[p[4 + 8 * g + i] & 15];
				out[i + 8] = d * (float)e2m1[p[4 + 8 * g + i] >> 4];
			}
		}
}

#endif
