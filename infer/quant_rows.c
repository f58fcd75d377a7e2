/* quant_rows.c - packed weights as float rows, one function a scheme. All shapes have been checked by quant_weight_open. */
#include <string.h>

#include "infer/quant_parts.h"
#include "infer/quant_weight.h"

static uint64_t row_bytes(const struct quant_weight *w)
{
	switch (w->scheme) {
	case QUANT_PLAIN:
		return quant_row_bytes(w->main.type, w->in);
	case QUANT_FP8:
	case QUANT_INT8:
		return w->in;
	case QUANT_BNB4:
	case QUANT_NVFP4:
		return w->in / 2;
	case QUANT_PACKED:
		return (w->in * w->bits + 31) / 32 * 4;
	case QUANT_GPTQ:
	case QUANT_AWQ:
		break;
	}
	return 0;
}

bool quant_weight_is_whole(const struct quant_weight *w)
{
	return w->scheme == QUANT_GPTQ || w->scheme == QUANT_AWQ;
}

void quant_weight_window(const struct quant_weight *w, uint64_t row, uint64_t n, uint64_t *offset, uint64_t *bytes)
{
	*offset = row * row_bytes(w);
	*bytes = n * row_bytes(w);
	if (quant_weight_is_whole(w)) {
		*offset = 0;
		*bytes = w->main.size_bytes;
	}
}

static void rows_plain(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	(void)row;
	w->main.type->row(dst, p, n * w->in);
}

static void rows_fp8(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	uint64_t across = (w->in + w->block[1] - 1) / w->block[1];

	w->main.type->row(dst, p, n * w->in);
	for (uint64_t r = row; r < row + n; r++) {
		const float *scale = w->scale + r / w->block[0] * across;

		for (uint64_t i = 0; i < w->in; i += w->block[1]) {
			uint64_t end = i + w->block[1] < w->in ? i + w->block[1] : w->in;
			float s = *scale++;

			for (uint64_t k = i; k < end; k++)
				dst[k] *= s;
		}
		dst += w->in;
	}
}

static void rows_int8(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	for (uint64_t r = row; r < row + n; r++, dst += w->in, p += w->in) {
		const float *scale = w->scale + r * w->n_groups;
		const int32_t *zero = w->zero ? w->zero + r * w->n_groups : NULL;

		for (uint64_t g = 0; g < w->n_groups; g++) {
			uint64_t end = (g + 1) * w->group < w->in ? (g + 1) * w->group : w->in;
			int32_t z = zero ? zero[g] : 0;

			for (uint64_t i = g * w->group; i < end; i++)
				dst[i] = (float)((int8_t)p[i] - z) * scale[g];
		}
	}
}

/* Words stand in columns: value i of an output begins at bit i * bits of its column, and may go on in the next word (3 bits). */
static void rows_gptq(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	uint32_t mask = (1u << w->bits) - 1;

	for (uint64_t i = 0; i < w->in; i++) {
		uint64_t word = i * w->bits / 32, g = w->g_idx ? w->g_idx[i] : i / w->group;
		unsigned shift = (unsigned)(i * w->bits % 32);
		bool split = shift + w->bits > 32;
		const uint8_t *lo = p + (word * w->out + row) * 4, *hi = lo + w->out * 4;
		const float *scale = w->scale + g * w->out + row;
		const int32_t *zero = w->zero + g * w->out + row;

		for (uint64_t o = 0; o < n; o++) {
			uint32_t q, more = 0;

			memcpy(&q, lo + o * 4, 4);
			if (split)
				memcpy(&more, hi + o * 4, 4);
			q = (uint32_t)(((uint64_t)more << 32 | q) >> shift) & mask;
			dst[o * w->in + i] = (float)((int32_t)q - zero[o]) * scale[o];
		}
	}
}

/* A word holds eight outputs of one input, in AWQ's order. */
static void rows_awq(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	uint64_t words = w->out / 8;

	for (uint64_t i = 0; i < w->in; i++) {
		const float *scale = w->scale + i / w->group * w->out;
		const int32_t *zero = w->zero + i / w->group * w->out;

		for (uint64_t o = row; o < row + n; o++) {
			uint32_t q;

			memcpy(&q, p + (i * words + o / 8) * 4, 4);
			q = q >> (4 * quant_awq_order[o % 8]) & 15;
			dst[(o - row) * w->in + i] = (float)((int32_t)q - zero[o]) * scale[o];
		}
	}
}

/* High nibble first; blocks run on over the ends of rows. */
static void rows_bnb4(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	for (uint64_t k = row * w->in, end = (row + n) * w->in; k < end; k += 2, p++) {
		*dst++ = w->map[*p >> 4] * w->scale[k / w->group];
		*dst++ = w->map[*p & 15] * w->scale[(k + 1) / w->group];
	}
}

static void rows_packed(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	unsigned mask = (1u << w->bits) - 1, per = 8 / w->bits;
	int32_t middle = 1 << (w->bits - 1);

	for (uint64_t r = row; r < row + n; r++, dst += w->in, p += row_bytes(w)) {
		const float *scale = w->scale + r * w->n_groups;
		const int32_t *zero = w->zero ? w->zero + r * w->n_groups : NULL;

		for (uint64_t i = 0; i < w->in; i++) {
			int32_t q = (int32_t)((unsigned)p[i / per] >> (i % per * w->bits) & mask);
			uint64_t g = w->g_idx ? w->g_idx[i] : i / w->group;

			dst[i] = (float)(q - (zero ? zero[g] : middle)) * scale[g];
		}
	}
}

static void rows_nvfp4(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst)
{
	const struct quant_type *f4 = quant_type("F4");

	for (uint64_t r = row; r < row + n; r++, dst += w->in, p += w->in / 2) {
		f4->row(dst, p, w->in);
		for (uint64_t i = 0; i < w->in; i++)
			dst[i] *= w->scale[r * w->n_groups + i / 16];
	}
}

static void (*const decoders[])(const struct quant_weight *w, const uint8_t *p, uint64_t row, uint64_t n, float *dst) = {
	[QUANT_PLAIN] = rows_plain, [QUANT_FP8] = rows_fp8,   [QUANT_INT8] = rows_int8,	    [QUANT_GPTQ] = rows_gptq,
	[QUANT_AWQ] = rows_awq,	    [QUANT_BNB4] = rows_bnb4, [QUANT_PACKED] = rows_packed, [QUANT_NVFP4] = rows_nvfp4,
};

int quant_weight_rows(const struct quant_weight *w, const void *window, uint64_t row, uint64_t n, float *dst, struct err *e)
{
	if (row > w->out || n > w->out - row)
		return err_set(e, ERR_FAILED, "%s: rows %llu to %llu of %llu", w->name, (unsigned long long)row, (unsigned long long)(row + n),
			       (unsigned long long)w->out);
	decoders[w->scheme](w, window, row, n, dst);
	return 0;
}
