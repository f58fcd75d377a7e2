/* quant_bnb.c - bitsandbytes' 4 bits: places in a table of 16 values, in blocks that run on over the ends of rows. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "infer/quant_opening.h"

#define STATE_MAX_BYTES ((uint64_t)65536)	/* quant_state */

/* {"quant_type":"nf4","blocksize":64,"shape":[out,in],"nested_blocksize":256,"nested_offset":0.04,…} */
static json_t *load_state(struct opening *o, const struct quant_part *p)
{
	own(mem) char *text = NULL;

	if (p->size_bytes > STATE_MAX_BYTES) {
		BAD(o, "its quant_state has %llu bytes", (unsigned long long)p->size_bytes);
		return NULL;
	}
	text = opening_load(o, p, "quant_state");
	return text ? json_parse(text, p->size_bytes, "quant_state", o->e) : NULL;
}

/* absmax may itself be in bytes: an index into nested_quant_map, times a nested_absmax for each nested_blocksize, plus nested_offset. */
static int unnest(struct opening *o, const json_t *state, const struct quant_part *absmax, uint64_t n)
{
	struct quant_weight *w = o->w;
	int64_t size = json_get_int(state, "nested_blocksize", 256);
	float offset = (float)json_get_real(state, "nested_offset", 0);
	own(mem) float *map = NULL, *outer = NULL;
	own(mem) uint8_t *index = NULL;
	struct quant_part p;

	if (size < 1 || !isfinite(offset))
		return BAD(o, "a nested block size of %lld", (long long)size);
	if (!opening_find(o, ".weight.nested_quant_map", &p) || !(map = opening_load_floats(o, &p, 256, "nested_quant_map")))
		return BAD(o, "no usable nested_quant_map");
	if (!opening_find(o, ".weight.nested_absmax", &p) || !(outer = opening_load_floats(o, &p, ceil_div(n, (uint64_t)size), "nested_absmax")))
		return BAD(o, "no usable nested_absmax");
	if (absmax->size_bytes != n || !(index = opening_load(o, absmax, "absmax")))
		return BAD(o, "its absmax has not %llu entries", (unsigned long long)n);
	w->scale = malloc(n * sizeof(*w->scale));
	for (uint64_t i = 0; w->scale && i < n; i++)
		w->scale[i] = map[index[i]] * outer[i / (uint64_t)size] + offset;
	return w->scale ? 0 : err_set(o->e, ERR_FAILED, "%s: no memory for its absmax", o->stem);
}

int opening_bnb4(struct opening *o, const struct quant_part *state_part)
{
	struct quant_weight *w = o->w;
	own(json) json_t *state = load_state(o, state_part);
	json_t *shape = json_object_get(state, "shape");
	int64_t size = json_get_int(state, "blocksize", 64), out = json_integer_value(json_array_get(shape, 0)), in = json_integer_value(json_array_get(shape, 1));
	own(mem) float *map = NULL;
	struct quant_part p;
	int r;

	if (!state)
		return o->e && o->e->code ? (int)o->e->code : ERR_INPUT;
	if (json_array_size(shape) != 2 || out < 1 || in < 1 || size < 2 || size > 65536)
		return BAD(o, "its quant_state has no usable shape or block size");
	r = opening_set_scheme(o, QUANT_BNB4, "bitsandbytes' 4 bits", " bitsandbytes ");
	if (r == 0)
		r = opening_set_shape(o, (uint64_t)out, (uint64_t)in);
	if (r < 0)
		return r;
	if (in % 2)
		return BAD(o, "rows of an odd length (%lld)", (long long)in);
	r = opening_need_main_bytes(o, w->out * w->in / 2);
	if (r < 0)
		return r;
	w->group = (uint64_t)size;
	w->n_groups = ceil_div(w->out * w->in, w->group);
	if (!opening_find(o, ".weight.quant_map", &p) || !(map = opening_load_floats(o, &p, 16, "quant_map")))
		return BAD(o, "no usable quant_map");
	memcpy(w->map, map, sizeof(w->map));
	if (!opening_find(o, ".weight.absmax", &p))
		return BAD(o, "4-bit elements without absmax");
	if (type_is(&p, "U8"))
		return unnest(o, state, &p, w->n_groups);
	w->scale = opening_load_floats(o, &p, w->n_groups, "absmax");
	return w->scale ? 0 : ERR_INPUT;
}
