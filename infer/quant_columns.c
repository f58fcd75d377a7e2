/* quant_columns.c - GPTQ and AWQ: words that stand in columns, one scale and one zero a group of inputs and an output. */
#include <string.h>

#include "infer/quant_opening.h"
#include "infer/quant_parts.h"

/* `rows` rows of packed little-endian bit fields, `n` a row, each row in whole words; plus `add`. */
static int32_t *unpack(struct opening *o, const struct quant_part *p, uint64_t rows, uint64_t n, uint32_t bits, int32_t add, const uint8_t *order)
{
	uint64_t words = ceil_div(n * bits, 32);
	own(mem) uint8_t *bytes = NULL;
	int32_t *v;

	if (!type_is(p, "I32") || p->rank != 2 || p->shape[0] != rows || p->shape[1] != words || p->size_bytes != rows * words * 4) {
		BAD(o, "its zeros are not I32 of %llu x %llu", (unsigned long long)rows, (unsigned long long)words);
		return NULL;
	}
	bytes = opening_load(o, p, "zeros");
	if (bytes)
		opening_see_zeros(o, bytes, p->size_bytes);
	v = bytes ? malloc(rows * n * sizeof(*v)) : NULL;
	for (uint64_t r = 0; v && r < rows; r++)
		for (uint64_t i = 0; i < n; i++) {
			uint64_t at = (order ? i / 8 * 8 + order[i % 8] : i) * bits;
			uint64_t two = 0;

			memcpy(&two, bytes + (r * words + at / 32) * 4, at / 32 + 1 < words ? 8 : 4);
			v[r * n + i] = (int32_t)(two >> at % 32 & ((1u << bits) - 1)) + add;
		}
	return v;
}

const uint8_t quant_awq_order[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };

static int load_columns(struct opening *o, uint64_t groups, const struct quant_part *scales, const struct quant_part *zeros, int32_t add, const uint8_t *order)
{
	struct quant_weight *w = o->w;
	int r = opening_set_groups(o, groups);

	if (r < 0)
		return r;
	w->scale = opening_load_floats(o, scales, groups * w->out, "scales");
	if (!w->scale)
		return ERR_INPUT;
	if (!zeros) {
		w->zero = malloc(groups * w->out * sizeof(*w->zero));
		for (uint64_t i = 0; w->zero && i < groups * w->out; i++)
			w->zero[i] = add;
	} else {
		w->zero = unpack(o, zeros, groups, w->out, w->bits, add, order);
	}
	return w->zero ? 0 : o->e && o->e->code ? (int)o->e->code : err_set(o->e, ERR_FAILED, "%s: no memory for its zeros", o->stem);
}

/* Kernels for symmetric weights never read qzeros. */
static int check_middle(struct opening *o)
{
	const struct quant_weight *w = o->w;

	for (uint64_t i = 0; o->layout.symmetric && i < w->out * w->n_groups; i++)
		if (w->zero[i] != 1 << (w->bits - 1))
			return BAD(o, "its qzeros hold a zero point of %d, and quantization_config says sym: true: programs take %d for all", w->zero[i], 1 << (w->bits - 1));
	return 0;
}

static int open_gptq(struct opening *o, const struct quant_part *q, const struct quant_part *scales)
{
	struct quant_weight *w = o->w;
	struct quant_part zeros;
	int r = opening_set_scheme(o, QUANT_GPTQ, "GPTQ's words", " gptq ");

	if (r < 0)
		return r;
	w->bits = o->layout.bits;
	if (w->bits != 2 && w->bits != 3 && w->bits != 4 && w->bits != 8)
		return BAD(o, "GPTQ with %u bits", w->bits);
	if (!opening_find(o, ".qzeros", &zeros))
		return BAD(o, "GPTQ without qzeros");
	if (zeros.rank == 2 && zeros.shape[1] != ceil_div(q->shape[1] * w->bits, 32))
		return BAD(o, "its qzeros hold %.3g bits for each of %llu outputs, quantization_config says %u", (double)zeros.shape[1] * 32 / (double)q->shape[1],
			   (unsigned long long)q->shape[1], w->bits);
	if (q->shape[0] * 32 % w->bits)
		return BAD(o, "%llu rows of words hold no whole number of %u-bit values", (unsigned long long)q->shape[0], w->bits);
	r = opening_set_shape(o, q->shape[1], q->shape[0] * 32 / w->bits);
	if (r == 0)
		r = opening_need_main_bytes(o, q->shape[0] * q->shape[1] * 4);
	if (r < 0)
		return r;
	r = load_columns(o, scales->shape[0], scales, &zeros, o->c->gptq_v2 ? 0 : 1, NULL);
	if (r == 0)
		r = check_middle(o);
	return r < 0 ? r : opening_load_g_idx(o, ".g_idx");
}

static int open_awq(struct opening *o, const struct quant_part *q, const struct quant_part *scales)
{
	struct quant_part zeros;
	bool has_zeros = opening_find(o, ".qzeros", &zeros);
	int r = opening_set_scheme(o, QUANT_AWQ, "AWQ's words", " awq ");

	o->w->bits = 4;
	if (r == 0 && !has_zeros && !o->c->awq_middle)
		r = BAD(o, "AWQ without qzeros, and quantization_config does not say zero_point: false");
	if (r == 0)
		r = opening_set_shape(o, q->shape[1] * 8, q->shape[0]);
	if (r == 0)
		r = opening_need_main_bytes(o, q->shape[0] * q->shape[1] * 4);
	return r < 0 ? r : load_columns(o, scales->shape[0], scales, has_zeros ? &zeros : NULL, has_zeros ? 0 : 8, quant_awq_order);
}

int opening_columns(struct opening *o)
{
	const struct quant_part *q = &o->w->main;
	struct quant_part scales;

	if (!type_is(q, "I32") || q->rank != 2 || q->shape[0] > QUANT_SIDE_MAX || q->shape[1] > QUANT_SIDE_MAX)
		return BAD(o, "its qweight is no matrix of I32");
	if (!opening_find(o, ".scales", &scales))
		return BAD(o, "a qweight without scales");
	if (scales.rank != 2 || scales.shape[0] > QUANT_SIDE_MAX)
		return BAD(o, "its scales are no matrix");
	if (scales.shape[1] == q->shape[1])
		return open_gptq(o, q, &scales);
	if (scales.shape[1] == q->shape[1] * 8)
		return open_awq(o, q, &scales);
	return BAD(o, "scales for %llu outputs do not fit a qweight of %llu x %llu", (unsigned long long)scales.shape[1], (unsigned long long)q->shape[0],
		   (unsigned long long)q->shape[1]);
}
