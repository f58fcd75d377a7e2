/* quant_bnb.c - bitsandbytes' 4 bits: places in a table of 16 values, in blocks that run on over the ends of rows. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "infer/config_parts.h"
#include "infer/quant_opening.h"

#define STATE_MAX_BYTES ((uint64_t)65536)	/* quant_state */
#define BLOCK_MIN	32			/* and the powers of two between */
#define BLOCK_MAX	4096
#define LOST_RUN	4096			/* entries of absmax, a page of a file */
#define MEAN_SLACK	0.05			/* of the outer scale; rounding moves the mean by less than a hundredth */
#define TABLE_SLACK	0.01f			/* the tables of the two kinds differ by ten times that, and more */

static const struct {
	const char *type;
	float map[16];
} tables[] = {
	{ "nf4", { -1, -0.69619280f, -0.52507305f, -0.39491749f, -0.28444138f, -0.18477343f, -0.09105004f, 0, 0.07958030f, 0.16093020f, 0.24611230f, 0.33791524f, 0.44070983f,
		   0.56261700f, 0.72295684f, 1 } },
	{ "fp4", { 0, 0.00520833f, 0.66666667f, 1, 0.33333333f, 0.5f, 0.16666667f, 0.25f, 0, -0.00520833f, -0.66666667f, -1, -0.33333333f, -0.5f, -0.16666667f, -0.25f } },
};

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

/* A whole number of quant_state, which bitsandbytes reads without any default. */
static int state_int(struct opening *o, const json_t *state, const char *key, int64_t min, int64_t max, int64_t *out)
{
	const json_t *v = json_object_get(state, key);

	if (!json_is_integer(v))
		return BAD(o, "its quant_state has no whole number as %s", key);
	*out = json_integer_value(v);
	return *out < min || *out > max ? BAD(o, "its quant_state has a %s of %lld", key, (long long)*out) : 0;
}

static int check_dtype(struct opening *o, const json_t *state, const char *key)
{
	const char *dtype = json_get_str_or(state, key, "");

	return config_in_list(" float16 bfloat16 float32 ", dtype) ? 0 : BAD(o, "its quant_state has no type of numbers as %s", key);
}

/* Some of bitsandbytes' programs decode by the table, the others by the name of its type: both must mean the same. */
static int check_table(struct opening *o, const json_t *state)
{
	const char *type = json_get_str_or(state, "quant_type", "");

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		if (strcmp(type, tables[i].type) != 0)
			continue;
		for (size_t k = 0; k < 16; k++)
			if (fabsf(o->w->map[k] - tables[i].map[k]) > TABLE_SLACK)
				return BAD(o, "its quant_state says %s, and quant_map[%zu] is %g, not %g", type, k, (double)o->w->map[k], (double)tables[i].map[k]);
		return 0;
	}
	return BAD(o, "its quant_state says neither nf4 nor fp4 as quant_type");
}

/*
 * Is a page of it zeros? That stands for the least scale that a block of scales reaches. Many in a row have it where their numbers are all alike, be it
 * nothing: then the blocks reach the same.
 */
static bool has_lost_run(const uint8_t *index, const float *outer, uint64_t n, uint64_t size)
{
	uint64_t run = 0, differ = 0;

	for (uint64_t i = 0; i < n; i++) {
		run = index[i] ? 0 : run + 1;
		differ = run < 2 ? 0 : differ + (outer[i / size] != outer[(i - 1) / size]);
		if (run >= LOST_RUN && differ > 2 && differ > run / size / 2)
			return true;
	}
	return false;
}

/* bitsandbytes takes the mean off before it rounds, so that what it rounds comes to nothing. */
static int check_unnested(struct opening *o, const uint8_t *index, const float *outer, uint64_t size, float offset)
{
	const struct quant_weight *w = o->w;
	double off = 0, reach = 0;

	for (uint64_t i = 0; i < w->n_groups; i++) {
		off += (double)w->scale[i] - (double)offset;
		reach += fabs((double)outer[i / size]);
	}
	if (fabs(off) > MEAN_SLACK * reach)
		return BAD(o, "its absmax has a mean of %g, and nested_offset, which is its mean, is %g", (double)offset + off / (double)w->n_groups, (double)offset);
	return has_lost_run(index, outer, w->n_groups, size) ? BAD(o, "its absmax holds %d zeros in a row, and its nested_absmax differs there", LOST_RUN) : 0;
}

/* absmax may itself be in bytes: an index into nested_quant_map, times a nested_absmax for each nested_blocksize, plus nested_offset. */
static int unnest(struct opening *o, const json_t *state, const struct quant_part *absmax, uint64_t n)
{
	struct quant_weight *w = o->w;
	const json_t *offset_said = json_object_get(state, "nested_offset");
	float offset = (float)json_number_value(offset_said);
	int64_t size;
	int r = state_int(o, state, "nested_blocksize", 1, INT32_MAX, &size);
	own(mem) float *map = NULL, *outer = NULL;
	own(mem) uint8_t *index = NULL;
	struct quant_part p;

	if (r == 0)
		r = check_dtype(o, state, "nested_dtype");
	if (r < 0)
		return r;
	if (!json_is_number(offset_said) || !isfinite(offset))
		return BAD(o, "its quant_state has no finite number as nested_offset");
	if (!opening_find(o, ".weight.nested_quant_map", &p) || !(map = opening_load_floats(o, &p, 256, "nested_quant_map")))
		return BAD(o, "no usable nested_quant_map");
	if (!opening_find(o, ".weight.nested_absmax", &p) || !(outer = opening_load_floats(o, &p, ceil_div(n, (uint64_t)size), "nested_absmax")))
		return BAD(o, "no usable nested_absmax");
	if (absmax->size_bytes != n || !(index = opening_load(o, absmax, "absmax")))
		return BAD(o, "its absmax has not %llu entries", (unsigned long long)n);
	w->scale = malloc(n * sizeof(*w->scale));
	for (uint64_t i = 0; w->scale && i < n; i++)
		w->scale[i] = map[index[i]] * outer[i / (uint64_t)size] + offset;
	return w->scale ? check_unnested(o, index, outer, (uint64_t)size, offset) : err_set(o->e, ERR_FAILED, "%s: no memory for its absmax", o->stem);
}

int opening_bnb4(struct opening *o, const struct quant_part *state_part)
{
	struct quant_weight *w = o->w;
	own(json) json_t *state = load_state(o, state_part);
	json_t *shape = json_object_get(state, "shape");
	int64_t size, out = json_integer_value(json_array_get(shape, 0)), in = json_integer_value(json_array_get(shape, 1));
	own(mem) float *map = NULL;
	struct quant_part p, nested;
	int r;

	if (opening_find(o, ".weight.quant_state.bitsandbytes__nf4", &p) && opening_find(o, ".weight.quant_state.bitsandbytes__fp4", &p))
		return BAD(o, "two quant_states, nf4 and fp4");
	if (!state)
		return o->e && o->e->code ? (int)o->e->code : ERR_INPUT;
	if (json_array_size(shape) != 2 || out < 1 || in < 1)
		return BAD(o, "its quant_state has no usable shape");
	r = opening_set_scheme(o, QUANT_BNB4, "bitsandbytes' 4 bits", " bitsandbytes ");
	if (r == 0 && o->layout.bits != 4)
		r = BAD(o, "it is stored as bitsandbytes' 4 bits, and quantization_config says load_in_8bit");
	if (r == 0)
		r = state_int(o, state, "blocksize", BLOCK_MIN, BLOCK_MAX, &size);
	if (r == 0 && (size & (size - 1)))
		r = BAD(o, "its quant_state has a blocksize of %lld, which is no power of two", (long long)size);
	if (r == 0)
		r = check_dtype(o, state, "dtype");
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
	r = check_table(o, state);
	if (r < 0)
		return r;
	if (!opening_find(o, ".weight.absmax", &p))
		return BAD(o, "4-bit elements without absmax");
	if (type_is(&p, "U8"))
		return unnest(o, state, &p, w->n_groups);
	if (opening_find(o, ".weight.nested_absmax", &nested))
		return BAD(o, "its absmax is %s, and beside a nested_absmax bitsandbytes reads bytes", p.dtype);
	w->scale = opening_load_floats(o, &p, w->n_groups, "absmax");
	return w->scale ? 0 : ERR_INPUT;
}
