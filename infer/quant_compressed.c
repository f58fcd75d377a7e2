/* quant_compressed.c - integers in words along a row, and NVFP4: as compressed-tensors and ModelOpt write them. */
#include <string.h>

#include "base/str.h"
#include "infer/quant_opening.h"

/* compressed-tensors: weight_zero_point I32 [words of out][groups], fields down a column; or I8 [out][groups], in programs of old. */
static int load_packed_zeros(struct opening *o, const struct quant_part *p)
{
	struct quant_weight *w = o->w;
	own(mem) uint8_t *bytes = NULL;
	uint64_t words = ceil_div(w->out * w->bits, 32);

	if (type_is(p, "I8")) {
		int r = opening_load_byte_zeros(o, p, w->out * w->n_groups);

		for (uint64_t i = 0; r == 0 && i < w->out * w->n_groups; i++)
			w->zero[i] += 1 << (w->bits - 1);
		return r;
	}
	if (!type_is(p, "I32") || p->rank != 2 || p->shape[0] != words || p->shape[1] != w->n_groups || p->size_bytes != words * w->n_groups * 4)
		return BAD(o, "its zero points are not I32 of %llu x %llu", (unsigned long long)words, (unsigned long long)w->n_groups);
	bytes = opening_load(o, p, "zero points");
	if (!bytes)
		return ERR_INPUT;
	if (opening_make_zeros(o) < 0)
		return o->e->code;
	opening_see_zeros(o, bytes, p->size_bytes);
	for (uint64_t r = 0; r < w->out; r++) {
		for (uint64_t g = 0; g < w->n_groups; g++) {
			uint32_t word;

			memcpy(&word, bytes + (r * w->bits / 32 * w->n_groups + g) * 4, 4);
			w->zero[r * w->n_groups + g] = (int32_t)(word >> r * w->bits % 32 & ((1u << w->bits) - 1));
		}
	}
	return 0;
}

static int packed_shape(struct opening *o)
{
	struct quant_part shape;
	own(mem) uint8_t *dims = NULL;
	int64_t n[2];

	if (!type_is(&o->w->main, "I32") || o->w->main.rank != 2)
		return BAD(o, "its weight_packed is no matrix of I32");
	if (!opening_find(o, ".weight_shape", &shape) || (!type_is(&shape, "I64") && !type_is(&shape, "I32")) || shape.size_bytes != (type_is(&shape, "I64") ? 16 : 8))
		return BAD(o, "no usable weight_shape");
	dims = opening_load(o, &shape, "weight_shape");
	if (!dims)
		return ERR_INPUT;
	for (size_t i = 0; i < 2; i++) {
		n[i] = 0;
		memcpy(&n[i], dims + i * shape.size_bytes / 2, shape.size_bytes / 2);
	}
	return opening_set_shape(o, (uint64_t)n[0], (uint64_t)n[1]);
}

/* The number of bits, of which the words of a row tell too. Those that don't divide a word have been laid out in two ways. */
static int packed_bits(struct opening *o)
{
	struct quant_weight *w = o->w;

	w->bits = o->layout.bits;
	for (uint32_t b = 2; o->layout.unsaid && b <= 8; b *= 2)
		if (w->main.shape[1] == ceil_div(w->in * b, 32))
			w->bits = b;
	if (w->bits != 2 && w->bits != 4 && w->bits != 8)
		return err_set(o->e, ERR_UNSUPPORTED, "not run: %s is packed with %u bits, this runner knows 2, 4 and 8", w->name, w->bits);
	if (w->main.shape[1] != ceil_div(w->in * w->bits, 32))
		return BAD(o, "its rows hold %.3g bits for each of %llu inputs, quantization_config says %u", (double)w->main.shape[1] * 32 / (double)w->in,
			   (unsigned long long)w->in, w->bits);
	return opening_need_main_bytes(o, w->out * ceil_div(w->in * w->bits, 32) * 4);
}

/* Inputs out of their order need a list of their groups, and programs look for one only where the group says `actorder: group`. */
static int check_order(struct opening *o)
{
	const struct quant_weight *w = o->w;

	if (!o->layout.by_group || o->layout.unsaid)
		return 0;
	if (o->layout.reordered && !w->g_idx)
		return BAD(o, "it has no weight_g_idx, and quantization_config says actorder: group");
	for (uint64_t i = 0; !o->layout.reordered && w->g_idx && i < w->in; i++)
		if (w->g_idx[i] != i / w->group)
			return BAD(o, "its weight_g_idx puts inputs out of their order, and quantization_config does not say actorder: group");
	return 0;
}

int opening_packed(struct opening *o)
{
	struct quant_weight *w = o->w;
	struct quant_part scale, zeros;
	int r = opening_set_scheme(o, QUANT_PACKED, "packed integers", " compressed-tensors ");

	if (r == 0)
		r = packed_shape(o);
	if (r == 0)
		r = packed_bits(o);
	if (r < 0)
		return r;
	if (!opening_find(o, ".weight_scale", &scale) || scale.rank != 2 || scale.shape[0] != w->out)
		return BAD(o, "no usable weight_scale");
	r = opening_check_strategy(o, w->out * scale.shape[1]);
	if (r == 0)
		r = opening_set_groups(o, scale.shape[1]);
	if (r < 0)
		return r;
	w->scale = opening_load_floats(o, &scale, w->out * w->n_groups, "weight_scale");
	if (!w->scale)
		return ERR_INPUT;
	r = opening_find(o, ".weight_zero_point", &zeros) ? load_packed_zeros(o, &zeros) : 0;
	if (r == 0)
		r = opening_check_zeros(o, 1 << (w->bits - 1));
	if (r == 0)
		r = opening_load_g_idx(o, ".weight_g_idx");
	return r < 0 ? r : check_order(o);
}

/* modelopt keeps it in weight and multiplies with weight_scale_2, compressed-tensors in weight_packed and divides by weight_global_scale. */
int opening_nvfp4(struct opening *o)
{
	struct quant_weight *w = o->w;
	struct quant_part scale, global;
	own(mem) float *g = NULL;
	bool divide = str_ends(w->name, ".weight_packed");
	const char *second = divide ? ".weight_global_scale" : ".weight_scale_2";
	int r;

	if (w->main.rank != 2 || !type_is(&w->main, "U8") || w->main.shape[1] > QUANT_SIDE_MAX / 2)
		return BAD(o, "its bytes are no matrix of U8");
	w->group = 16;
	r = opening_set_scheme(o, QUANT_NVFP4, divide ? "NVFP4 in weight_packed" : "NVFP4 in weight", divide ? " compressed-tensors " : " modelopt ");
	if (r == 0)
		r = opening_set_shape(o, w->main.shape[0], w->main.shape[1] * 2);
	if (r < 0)
		return r;
	if (o->layout.group_size > 0 && o->layout.group_size != 16)
		return BAD(o, "a scale for each 16 inputs, quantization_config says groups of %lld", (long long)o->layout.group_size);
	w->n_groups = ceil_div(w->in, 16);
	if (!opening_find(o, ".weight_scale", &scale) || !type_is(&scale, "F8_E4M3"))
		return BAD(o, "4-bit elements without a weight_scale of F8_E4M3");
	if (!opening_find(o, second, &global))
		return BAD(o, "4-bit elements in %s without %s, which programs of %s read", divide ? "weight_packed" : "weight", second + 1, o->c->method);
	g = opening_load_floats(o, &global, 1, "global scale");
	w->scale = g ? opening_load_floats(o, &scale, w->out * w->n_groups, "weight_scale") : NULL;
	if (!w->scale)
		return ERR_INPUT;
	for (uint64_t i = 0; i < w->out * w->n_groups; i++)
		w->scale[i] = divide ? w->scale[i] / g[0] : w->scale[i] * g[0];
	return opening_need_main_bytes(o, w->out * w->in / 2);
}
