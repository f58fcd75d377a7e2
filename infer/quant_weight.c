/* quant_weight.c - finding and checking the tensors that make up one weight. Decoding them is quant_rows.c. */
#include <string.h>

#include "base/str.h"
#include "infer/quant_opening.h"

static bool is_fp8(const struct quant_part *p)
{
	return str_starts(p->dtype, "F8_E4M3") || str_starts(p->dtype, "F8_E5M2");
}

static int set_main(struct opening *o, const char *suffix, const struct quant_part *p)
{
	snprintf(o->w->name, sizeof(o->w->name), "%s%s", o->stem, suffix);
	o->w->main = *p;
	return 0;
}

static int matrix_shape(struct opening *o, const struct quant_part *p)
{
	if (p->rank != 2)
		return BAD(o, "a packed weight of rank %u, 2 is expected", p->rank);
	return opening_set_shape(o, p->shape[0], p->shape[1]);
}

static int open_plain(struct opening *o)
{
	const struct quant_part *p = &o->w->main;
	uint64_t n;

	if (!p->type)
		return BAD(o, "elements of type %s can't be read as numbers", p->dtype);
	if (!opening_count(p, &n) || p->rank == 0 || p->shape[p->rank - 1] == 0 || p->shape[p->rank - 1] % p->type->block)
		return BAD(o, "a shape that is no rows of %s", p->type->name);
	if (o->demand == DEMAND_PACKED && *o->weight && p->rank == 2 && p->shape[0] > 1 && p->shape[1] > 1)
		return BAD(o, "it is plain, and quantization_config (%s) packs it: programs look for its codes and scales, and find none", o->c->method);
	o->w->scheme = QUANT_PLAIN;
	if (opening_set_shape(o, n / p->shape[p->rank - 1], p->shape[p->rank - 1]) < 0)
		return ERR_INPUT;
	return opening_need_main_bytes(o, o->w->out * quant_row_bytes(p->type, o->w->in));
}

/* One scale: for all, for each row, or for each block of the size that the configuration or the scale's own shape gives. */
static int fp8_blocks(struct opening *o, const struct quant_part *scale)
{
	struct quant_weight *w = o->w;
	const uint64_t *b = o->layout.block;
	uint64_t n;

	if (!opening_count(scale, &n))
		return BAD(o, "the shape of its scale overflows");
	w->block[0] = w->out;
	w->block[1] = w->in;
	if (n == 1)
		return 0;
	if (n == w->out && (scale->rank == 1 || (scale->rank == 2 && scale->shape[1] == 1))) {
		w->block[0] = 1;
		return 0;
	}
	if (scale->rank == 2) {
		w->block[0] = b[0] ? b[0] : 128;
		w->block[1] = b[1] ? b[1] : 128;
		if (scale->shape[0] == ceil_div(w->out, w->block[0]) && scale->shape[1] == ceil_div(w->in, w->block[1]))
			return 0;
	}
	return BAD(o, "a scale of %llu numbers fits neither the tensor, nor its %llu rows, nor blocks of %llu x %llu", (unsigned long long)n,
		   (unsigned long long)w->out, (unsigned long long)w->block[0], (unsigned long long)w->block[1]);
}

static int open_fp8(struct opening *o)
{
	static const char *const names[] = { "_scale_inv", "_scale" };
	struct quant_part scale;
	bool found = false, inverse = false;
	int r = matrix_shape(o, &o->w->main);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(names) && !found; i++) {
		char suffix[32];

		snprintf(suffix, sizeof(suffix), "%s%s", o->weight, names[i]);
		found = opening_find(o, suffix, &scale);
		inverse = found && i == 0;
	}
	if (!found && !opening_find(o, ".scale", &scale) && !opening_find(o, ".qscale_weight", &scale))
		return BAD(o, "%s elements without a scale (%s%s_scale_inv or _scale)", o->w->main.dtype, o->stem, o->weight);
	if (found && !inverse && *o->weight && o->layout.block[0] && strcmp(o->c->method, "fp8") == 0)
		return BAD(o, "its scale is called weight_scale, and programs of fp8 with weight_block_size read weight_scale_inv");
	r = opening_set_scheme(o, QUANT_FP8, inverse ? "FP8 with weight_scale_inv" : "FP8 with scales", inverse ? " fp8 " : " fp8 fbgemm_fp8 modelopt compressed-tensors ");
	if (r == 0)
		r = fp8_blocks(o, &scale);
	if (r == 0)
		r = opening_need_main_bytes(o, o->w->out * o->w->in);
	if (r == 0)
		r = opening_check_strategy(o, ceil_div(o->w->out, o->w->block[0]) * ceil_div(o->w->in, o->w->block[1]));
	if (r < 0)
		return r;
	o->w->n_groups = ceil_div(o->w->out, o->w->block[0]) * ceil_div(o->w->in, o->w->block[1]);
	o->w->scale = opening_load_floats(o, &scale, o->w->n_groups, "scale");
	return o->w->scale ? 0 : ERR_INPUT;
}

/* One scale for all is as many for each row as there are. */
static int spread_scale(struct opening *o)
{
	struct quant_weight *w = o->w;
	float one = w->scale[0], *all = realloc(w->scale, (w->out + 1) * sizeof(*all));

	if (!all)
		return err_set(o->e, ERR_FAILED, "%s: no memory for its scale", o->stem);
	for (uint64_t i = 0; i < w->out; i++)
		all[i] = one;
	w->scale = all;
	return 0;
}

static int open_int8(struct opening *o)
{
	struct quant_weight *w = o->w;
	struct quant_part scale, zeros, format;
	own(mem) uint8_t *layout = NULL;
	bool bnb = opening_find(o, ".SCB", &scale);
	uint64_t n;
	int r = matrix_shape(o, &w->main);

	if (r < 0)
		return r;
	if (!bnb && opening_find(o, ".weight_scales", &scale))
		return err_set(o->e, ERR_UNSUPPORTED, "not run: eetq");
	if (!bnb && !opening_find(o, ".weight_scale", &scale))
		return BAD(o, "I8 elements without a scale (%s.SCB or .weight_scale)", o->stem);
	r = opening_set_scheme(o, QUANT_INT8, bnb ? "bitsandbytes' 8-bit integers" : "8-bit integers with scales", bnb ? " bitsandbytes " : " compressed-tensors ");
	if (r < 0)
		return r;
	if (bnb && o->layout.bits != 8)
		return BAD(o, "it is stored as bitsandbytes' 8-bit integers, and quantization_config says load_in_4bit");
	if (bnb && opening_find(o, ".weight_format", &format)) {
		layout = format.size_bytes ? opening_load(o, &format, "weight_format") : NULL;
		if (!layout)
			return o->e->code ? (int)o->e->code : BAD(o, "an empty weight_format");
		if (layout[0])
			return BAD(o, "its weight_format is %u, and bitsandbytes reads rows (0) alone", layout[0]);
	}
	if (!opening_count(&scale, &n) || (n != 1 && (n == 0 || n % w->out || (n != w->out && (scale.rank != 2 || scale.shape[0] != w->out)))))
		return BAD(o, "a scale of %llu numbers for its %llu rows", (unsigned long long)n, (unsigned long long)w->out);
	r = opening_need_main_bytes(o, w->out * w->in);
	if (r == 0)
		r = opening_check_strategy(o, n);
	if (r == 0)
		r = opening_set_groups(o, n == 1 ? 1 : n / w->out);
	if (r < 0)
		return r;
	w->scale = opening_load_floats(o, &scale, n, "scale");
	if (!w->scale)
		return ERR_INPUT;
	for (uint64_t i = 0; bnb && i < n; i++)
		w->scale[i] /= 127.0f;
	r = n == 1 ? spread_scale(o) : 0;
	if (r == 0 && opening_find(o, ".weight_zero_point", &zeros))
		r = opening_load_byte_zeros(o, &zeros, n);
	return r < 0 ? r : opening_check_zeros(o, 0);
}

static int open_weight(struct opening *o)
{
	static const char *const packed[] = { ".qweight", ".weight_packed" };
	struct quant_part p, state;
	int r = quant_config_demand(o->c, o->stem, &o->layout, &o->demand, o->e);

	if (r < 0)
		return r;
	if (opening_find(o, o->weight, &p)) {
		set_main(o, o->weight, &p);
		if (opening_find(o, ".weight.quant_state.bitsandbytes__nf4", &state) || opening_find(o, ".weight.quant_state.bitsandbytes__fp4", &state))
			return opening_bnb4(o, &state);
		if (is_fp8(&p))
			return open_fp8(o);
		if (type_is(&p, "I8"))
			return open_int8(o);
		if (type_is(&p, "U8") && opening_find(o, ".weight_scale", &state))
			return opening_nvfp4(o);
		if (type_is(&p, "U8"))
			return BAD(o, "U8 elements without a quant_state or a scale");
		return open_plain(o);
	}
	for (size_t i = 0; i < ARRAY_LEN(packed); i++) {
		if (!opening_find(o, packed[i], &p))
			continue;
		set_main(o, packed[i], &p);
		return i == 0 ? opening_columns(o) : type_is(&p, "U8") ? opening_nvfp4(o) : opening_packed(o);
	}
	return err_set(o->e, ERR_NOT_FOUND, "%s%s is missing", o->stem, o->weight);
}

int quant_weight_open(struct quant_weight *w, const struct quant_config *c, const struct quant_source *src, const char *name, struct err *e)
{
	own(quant_weight) struct quant_weight made = { 0 };
	struct err local = ERR_NONE;
	struct opening o = { .w = &made, .c = c, .src = src, .weight = "", .e = e ? e : &local };
	size_t n = strlen(name);
	int r;

	if (n >= QUANT_NAME_MAX - 64)
		return err_set(e, ERR_INPUT, "a tensor's name of %zu bytes", n);
	if (str_ends(name, ".weight")) {
		o.weight = ".weight";
		n -= strlen(o.weight);
	}
	memcpy(o.stem, name, n);
	r = open_weight(&o);
	if (r == 0)
		r = opening_check_input_scale(&o);
	if (r < 0)
		return r;
	*w = made;
	made = (struct quant_weight){ 0 };
	return 0;
}

void quant_weight_close(struct quant_weight *w)
{
	free(w->scale);
	free(w->zero);
	free(w->g_idx);
	w->scale = NULL;
	w->zero = NULL;
	w->g_idx = NULL;
}
