/* quant_weight.c - finding and checking the tensors that make up one weight. Decoding them is quant_rows.c. */
#include "infer/quant_weight.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "infer/config_parts.h"
#include "infer/quant_parts.h"
#include "infer/quant_rules.h"

#define STATE_MAX_BYTES ((uint64_t)65536)	/* bitsandbytes' quant_state */
#define SIDE_MAX	((uint64_t)1 << 31)	/* rows or columns of one weight */

/* What one quant_weight_open is about. */
struct opening {
	struct quant_weight *w;
	const struct quant_config *c;
	const struct quant_source *src;
	struct quant_layout layout;	/* what the configuration says of this weight */
	char stem[QUANT_NAME_MAX];	/* the name without ".weight" */
	const char *weight;		/* ".weight", or "" for a tensor that is called otherwise */
	struct err *e;
};

static bool find(struct opening *o, const char *suffix, struct quant_part *part)
{
	char name[QUANT_NAME_MAX];

	if (snprintf(name, sizeof(name), "%s%s", o->stem, suffix) >= (int)sizeof(name))
		return false;
	return o->src->find(o->src->ctx, name, part);
}

#define BAD(o, ...) bad((o), __VA_ARGS__)

static int __attribute__((format(printf, 2, 3))) bad(struct opening *o, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(o->e, ERR_INPUT, "%s%s: %s", o->stem, o->weight, text);
}

static bool count(const struct quant_part *p, uint64_t *n)
{
	*n = 1;
	for (uint32_t i = 0; i < p->rank; i++)
		if (__builtin_mul_overflow(*n, p->shape[i], n))
			return false;
	return true;
}

static bool type_is(const struct quant_part *p, const char *name)
{
	return strcmp(p->dtype, name) == 0;
}

static bool is_fp8(const struct quant_part *p)
{
	return str_starts(p->dtype, "F8_E4M3") || str_starts(p->dtype, "F8_E5M2");
}

/* The bytes of a small tensor. NULL with an error. */
static void *load(struct opening *o, const struct quant_part *p, const char *what)
{
	own(mem) void *bytes = NULL;

	if (p->size_bytes > QUANT_AUX_MAX_BYTES) {
		BAD(o, "its %s has %llu bytes, more than is loaded", what, (unsigned long long)p->size_bytes);
		return NULL;
	}
	bytes = malloc(p->size_bytes + 1);
	if (!bytes) {
		err_set(o->e, ERR_FAILED, "%s: no memory for its %s", o->stem, what);
		return NULL;
	}
	if (o->src->load(o->src->ctx, p, bytes, o->e) < 0)
		return NULL;
	return take(bytes);
}

/* n numbers as floats, all finite. NULL with an error. */
static float *load_floats(struct opening *o, const struct quant_part *p, uint64_t n, const char *what)
{
	own(mem) void *bytes = NULL;
	own(mem) float *v = NULL;
	uint64_t have;

	if (!p->type || p->type->block != 1 || !count(p, &have) || have != n || p->size_bytes != n * p->type->bytes) {
		BAD(o, "its %s has not the %llu numbers it needs", what, (unsigned long long)n);
		return NULL;
	}
	bytes = load(o, p, what);
	if (!bytes)
		return NULL;
	v = malloc((n + 1) * sizeof(*v));
	if (!v) {
		err_set(o->e, ERR_FAILED, "%s: no memory for its %s", o->stem, what);
		return NULL;
	}
	p->type->row(v, bytes, n);
	for (uint64_t i = 0; i < n; i++)
		if (!isfinite(v[i])) {
			BAD(o, "its %s holds %s at %llu", what, isnan(v[i]) ? "NaN" : "infinity", (unsigned long long)i);
			return NULL;
		}
	return take(v);
}

/* The weight is stored in this form, which programs read where the configuration names one of these methods. Without any they take the numbers as they stand. */
static int set_scheme(struct opening *o, enum quant_scheme scheme, const char *form, const char *methods)
{
	const char *method = o->c->method;

	o->w->scheme = scheme;
	if (!*method)
		return BAD(o, "it is stored as %s, and no quantization_config tells programs so", form);
	return config_in_list(methods, method) ? 0 : BAD(o, "it is stored as %s, and quantization_config says %s, which does not read that", form, method);
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static int set_shape(struct opening *o, uint64_t out, uint64_t in)
{
	if (out == 0 || in == 0 || out > SIDE_MAX || in > SIDE_MAX)
		return BAD(o, "a shape of %llu x %llu", (unsigned long long)out, (unsigned long long)in);
	o->w->out = out;
	o->w->in = in;
	return 0;
}

static int set_main(struct opening *o, const char *suffix, const struct quant_part *p)
{
	snprintf(o->w->name, sizeof(o->w->name), "%s%s", o->stem, suffix);
	o->w->main = *p;
	return 0;
}

/* main as it lies: out x in elements, the whole tensor. */
static int need_main_bytes(struct opening *o, uint64_t bytes)
{
	if (o->w->main.size_bytes != bytes)
		return BAD(o, "%s has %llu bytes where %llu x %llu needs %llu", o->w->name, (unsigned long long)o->w->main.size_bytes,
			   (unsigned long long)o->w->out, (unsigned long long)o->w->in, (unsigned long long)bytes);
	return 0;
}

static int matrix_shape(struct opening *o, const struct quant_part *p)
{
	if (p->rank != 2)
		return BAD(o, "a packed weight of rank %u, 2 is expected", p->rank);
	return set_shape(o, p->shape[0], p->shape[1]);
}

static int open_plain(struct opening *o)
{
	const struct quant_part *p = &o->w->main;
	uint64_t n;

	if (!p->type)
		return BAD(o, "elements of type %s can't be read as numbers", p->dtype);
	if (!count(p, &n) || p->rank == 0 || p->shape[p->rank - 1] == 0 || p->shape[p->rank - 1] % p->type->block)
		return BAD(o, "a shape that is no rows of %s", p->type->name);
	o->w->scheme = QUANT_PLAIN;
	if (set_shape(o, n / p->shape[p->rank - 1], p->shape[p->rank - 1]) < 0)
		return ERR_INPUT;
	return need_main_bytes(o, o->w->out * quant_row_bytes(p->type, o->w->in));
}

/* One scale: for all, for each row, or for each block of the size that the configuration or the scale's own shape gives. */
static int fp8_blocks(struct opening *o, const struct quant_part *scale)
{
	struct quant_weight *w = o->w;
	const uint64_t *b = o->layout.block;
	uint64_t n;

	if (!count(scale, &n))
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
		found = find(o, suffix, &scale);
		inverse = found && i == 0;
	}
	if (!found && !find(o, ".scale", &scale))
		return BAD(o, "%s elements without a scale (%s%s_scale_inv or _scale)", o->w->main.dtype, o->stem, o->weight);
	r = set_scheme(o, QUANT_FP8, inverse ? "FP8 with weight_scale_inv" : "FP8 with scales", inverse ? " fp8 " : " fp8 fbgemm_fp8 modelopt compressed-tensors ");
	if (r == 0)
		r = fp8_blocks(o, &scale);
	if (r == 0)
		r = need_main_bytes(o, o->w->out * o->w->in);
	if (r < 0)
		return r;
	o->w->n_groups = ceil_div(o->w->out, o->w->block[0]) * ceil_div(o->w->in, o->w->block[1]);
	o->w->scale = load_floats(o, &scale, o->w->n_groups, "scale");
	return o->w->scale ? 0 : ERR_INPUT;
}

/* Inputs that share a scale; checks that so many groups are there. Where nothing is said of their size, it must divide the inputs. */
static int set_groups(struct opening *o, uint64_t groups)
{
	struct quant_weight *w = o->w;

	w->n_groups = groups;
	w->group = o->layout.group_size > 0 ? (uint64_t)o->layout.group_size : w->in;
	if (groups == 1)
		w->group = w->in;
	else if (o->layout.unsaid && groups && w->in % groups == 0)
		w->group = w->in / groups;
	if (groups == 0 || ceil_div(w->in, w->group) != groups)
		return BAD(o, "%llu groups of scales, %llu inputs in groups of %llu need %llu", (unsigned long long)groups, (unsigned long long)w->in,
			   (unsigned long long)w->group, (unsigned long long)ceil_div(w->in, w->group));
	return 0;
}

/* Room for a zero point of each scale. */
static int make_zeros(struct opening *o)
{
	struct quant_weight *w = o->w;

	w->zero = malloc(w->out * w->n_groups * sizeof(*w->zero));
	return w->zero ? 0 : err_set(o->e, ERR_FAILED, "%s: no memory for its zeros", o->stem);
}

/* compressed-tensors' zeros beside bytes: I8 for each scale. */
static int load_byte_zeros(struct opening *o, const struct quant_part *p, uint64_t n)
{
	struct quant_weight *w = o->w;
	own(mem) int8_t *bytes = NULL;

	if (!type_is(p, "I8") || p->size_bytes != n)
		return BAD(o, "its zero points are not one I8 for each of %llu scales", (unsigned long long)n);
	bytes = load(o, p, "zero points");
	if (!bytes)
		return ERR_INPUT;
	if (make_zeros(o) < 0)
		return o->e->code;
	for (uint64_t i = 0; i < w->out * w->n_groups; i++)
		w->zero[i] = bytes[n == 1 ? 0 : i];
	return 0;
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
	struct quant_part scale, zeros;
	bool bnb = find(o, ".SCB", &scale);
	uint64_t n;
	int r = matrix_shape(o, &w->main);

	if (r < 0)
		return r;
	if (!bnb && find(o, ".weight_scales", &scale))
		return err_set(o->e, ERR_UNSUPPORTED, "not run: eetq");
	if (!bnb && !find(o, ".weight_scale", &scale))
		return BAD(o, "I8 elements without a scale (%s.SCB or .weight_scale)", o->stem);
	r = set_scheme(o, QUANT_INT8, bnb ? "bitsandbytes' 8-bit integers" : "8-bit integers with scales", bnb ? " bitsandbytes " : " compressed-tensors ");
	if (r < 0)
		return r;
	if (!count(&scale, &n) || (n != 1 && (n == 0 || n % w->out || (n != w->out && (scale.rank != 2 || scale.shape[0] != w->out)))))
		return BAD(o, "a scale of %llu numbers for its %llu rows", (unsigned long long)n, (unsigned long long)w->out);
	r = need_main_bytes(o, w->out * w->in);
	if (r == 0)
		r = set_groups(o, n == 1 ? 1 : n / w->out);
	if (r < 0)
		return r;
	w->scale = load_floats(o, &scale, n, "scale");
	if (!w->scale)
		return ERR_INPUT;
	for (uint64_t i = 0; bnb && i < n; i++)
		w->scale[i] /= 127.0f;
	r = n == 1 ? spread_scale(o) : 0;
	return r == 0 && find(o, ".weight_zero_point", &zeros) ? load_byte_zeros(o, &zeros, n) : r;
}

static int load_g_idx(struct opening *o, const char *suffix)
{
	struct quant_weight *w = o->w;
	own(mem) uint8_t *bytes = NULL;
	struct quant_part p;
	uint64_t n;

	if (!find(o, suffix, &p))
		return 0;
	if (!type_is(&p, "I32") || !count(&p, &n) || n != w->in || p.size_bytes != n * 4)
		return BAD(o, "its g_idx is not one I32 for each of %llu inputs", (unsigned long long)w->in);
	bytes = load(o, &p, "g_idx");
	if (!bytes)
		return ERR_INPUT;
	w->g_idx = calloc(n, sizeof(*w->g_idx));
	if (!w->g_idx)
		return err_set(o->e, ERR_FAILED, "%s: no memory for its g_idx", o->stem);
	memcpy(w->g_idx, bytes, n * 4);
	for (uint64_t i = 0; i < n; i++)
		if (w->g_idx[i] >= w->n_groups)
			return BAD(o, "g_idx[%llu] is %d, there are %llu groups", (unsigned long long)i, (int32_t)w->g_idx[i], (unsigned long long)w->n_groups);
	return 0;
}

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
	bytes = load(o, p, "zeros");
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
	int r = set_groups(o, groups);

	if (r < 0)
		return r;
	w->scale = load_floats(o, scales, groups * w->out, "scales");
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

static int open_gptq(struct opening *o, const struct quant_part *q, const struct quant_part *scales)
{
	struct quant_weight *w = o->w;
	struct quant_part zeros;
	int r = set_scheme(o, QUANT_GPTQ, "GPTQ's words", " gptq ");

	if (r < 0)
		return r;
	w->bits = o->layout.bits;
	if (w->bits != 2 && w->bits != 3 && w->bits != 4 && w->bits != 8)
		return BAD(o, "GPTQ with %u bits", w->bits);
	if (!find(o, ".qzeros", &zeros))
		return BAD(o, "GPTQ without qzeros");
	if (zeros.rank == 2 && zeros.shape[1] != ceil_div(q->shape[1] * w->bits, 32))
		return BAD(o, "its qzeros hold %.3g bits for each of %llu outputs, quantization_config says %u", (double)zeros.shape[1] * 32 / (double)q->shape[1],
			   (unsigned long long)q->shape[1], w->bits);
	if (q->shape[0] * 32 % w->bits)
		return BAD(o, "%llu rows of words hold no whole number of %u-bit values", (unsigned long long)q->shape[0], w->bits);
	r = set_shape(o, q->shape[1], q->shape[0] * 32 / w->bits);
	if (r == 0)
		r = need_main_bytes(o, q->shape[0] * q->shape[1] * 4);
	if (r < 0)
		return r;
	r = load_columns(o, scales->shape[0], scales, &zeros, o->c->gptq_v2 ? 0 : 1, NULL);
	return r < 0 ? r : load_g_idx(o, ".g_idx");
}

static int open_awq(struct opening *o, const struct quant_part *q, const struct quant_part *scales)
{
	struct quant_part zeros;
	bool has_zeros = find(o, ".qzeros", &zeros);
	int r = set_scheme(o, QUANT_AWQ, "AWQ's words", " awq ");

	o->w->bits = 4;
	if (r == 0)
		r = set_shape(o, q->shape[1] * 8, q->shape[0]);
	if (r == 0)
		r = need_main_bytes(o, q->shape[0] * q->shape[1] * 4);
	return r < 0 ? r : load_columns(o, scales->shape[0], scales, has_zeros ? &zeros : NULL, has_zeros ? 0 : 8, quant_awq_order);
}

static int open_qweight(struct opening *o)
{
	const struct quant_part *q = &o->w->main;
	struct quant_part scales;

	if (!type_is(q, "I32") || q->rank != 2 || q->shape[0] > SIDE_MAX || q->shape[1] > SIDE_MAX)
		return BAD(o, "its qweight is no matrix of I32");
	if (!find(o, ".scales", &scales))
		return BAD(o, "a qweight without scales");
	if (scales.rank != 2 || scales.shape[0] > SIDE_MAX)
		return BAD(o, "its scales are no matrix");
	if (scales.shape[1] == q->shape[1])
		return open_gptq(o, q, &scales);
	if (scales.shape[1] == q->shape[1] * 8)
		return open_awq(o, q, &scales);
	return BAD(o, "scales for %llu outputs do not fit a qweight of %llu x %llu", (unsigned long long)scales.shape[1], (unsigned long long)q->shape[0],
		   (unsigned long long)q->shape[1]);
}

/* {"quant_type":"nf4","blocksize":64,"shape":[out,in],"nested_blocksize":256,"nested_offset":0.04,…} */
static json_t *load_state(struct opening *o, const struct quant_part *p)
{
	own(mem) char *text = NULL;

	if (p->size_bytes > STATE_MAX_BYTES) {
		BAD(o, "its quant_state has %llu bytes", (unsigned long long)p->size_bytes);
		return NULL;
	}
	text = load(o, p, "quant_state");
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
	if (!find(o, ".weight.nested_quant_map", &p) || !(map = load_floats(o, &p, 256, "nested_quant_map")))
		return BAD(o, "no usable nested_quant_map");
	if (!find(o, ".weight.nested_absmax", &p) || !(outer = load_floats(o, &p, ceil_div(n, (uint64_t)size), "nested_absmax")))
		return BAD(o, "no usable nested_absmax");
	if (absmax->size_bytes != n || !(index = load(o, absmax, "absmax")))
		return BAD(o, "its absmax has not %llu entries", (unsigned long long)n);
	w->scale = malloc(n * sizeof(*w->scale));
	for (uint64_t i = 0; w->scale && i < n; i++)
		w->scale[i] = map[index[i]] * outer[i / (uint64_t)size] + offset;
	return w->scale ? 0 : err_set(o->e, ERR_FAILED, "%s: no memory for its absmax", o->stem);
}

static int open_bnb4(struct opening *o, const struct quant_part *state_part)
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
	r = set_scheme(o, QUANT_BNB4, "bitsandbytes' 4 bits", " bitsandbytes ");
	if (r == 0)
		r = set_shape(o, (uint64_t)out, (uint64_t)in);
	if (r < 0)
		return r;
	if (in % 2)
		return BAD(o, "rows of an odd length (%lld)", (long long)in);
	r = need_main_bytes(o, w->out * w->in / 2);
	if (r < 0)
		return r;
	w->group = (uint64_t)size;
	w->n_groups = ceil_div(w->out * w->in, w->group);
	if (!find(o, ".weight.quant_map", &p) || !(map = load_floats(o, &p, 16, "quant_map")))
		return BAD(o, "no usable quant_map");
	memcpy(w->map, map, sizeof(w->map));
	if (!find(o, ".weight.absmax", &p))
		return BAD(o, "4-bit elements without absmax");
	if (type_is(&p, "U8"))
		return unnest(o, state, &p, w->n_groups);
	w->scale = load_floats(o, &p, w->n_groups, "absmax");
	return w->scale ? 0 : ERR_INPUT;
}

/* compressed-tensors: weight_zero_point I32 [words of out][groups], fields down a column; or I8 [out][groups], in programs of old. */
static int load_packed_zeros(struct opening *o, const struct quant_part *p)
{
	struct quant_weight *w = o->w;
	own(mem) uint8_t *bytes = NULL;
	uint64_t words = ceil_div(w->out * w->bits, 32);

	if (type_is(p, "I8")) {
		int r = load_byte_zeros(o, p, w->out * w->n_groups);

		for (uint64_t i = 0; r == 0 && i < w->out * w->n_groups; i++)
			w->zero[i] += 1 << (w->bits - 1);
		return r;
	}
	if (!type_is(p, "I32") || p->rank != 2 || p->shape[0] != words || p->shape[1] != w->n_groups || p->size_bytes != words * w->n_groups * 4)
		return BAD(o, "its zero points are not I32 of %llu x %llu", (unsigned long long)words, (unsigned long long)w->n_groups);
	bytes = load(o, p, "zero points");
	if (!bytes)
		return ERR_INPUT;
	if (make_zeros(o) < 0)
		return o->e->code;
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
	if (!find(o, ".weight_shape", &shape) || (!type_is(&shape, "I64") && !type_is(&shape, "I32")) || shape.size_bytes != (type_is(&shape, "I64") ? 16 : 8))
		return BAD(o, "no usable weight_shape");
	dims = load(o, &shape, "weight_shape");
	if (!dims)
		return ERR_INPUT;
	for (size_t i = 0; i < 2; i++) {
		n[i] = 0;
		memcpy(&n[i], dims + i * shape.size_bytes / 2, shape.size_bytes / 2);
	}
	return set_shape(o, (uint64_t)n[0], (uint64_t)n[1]);
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
	return need_main_bytes(o, w->out * ceil_div(w->in * w->bits, 32) * 4);
}

/* compressed-tensors: weight_packed I32 [out][words], weight_scale [out][groups]. */
static int open_packed(struct opening *o)
{
	struct quant_weight *w = o->w;
	struct quant_part scale, zeros;
	int r = set_scheme(o, QUANT_PACKED, "packed integers", " compressed-tensors ");

	if (r == 0)
		r = packed_shape(o);
	if (r == 0)
		r = packed_bits(o);
	if (r < 0)
		return r;
	if (!find(o, ".weight_scale", &scale) || scale.rank != 2 || scale.shape[0] != w->out)
		return BAD(o, "no usable weight_scale");
	r = set_groups(o, scale.shape[1]);
	if (r < 0)
		return r;
	w->scale = load_floats(o, &scale, w->out * w->n_groups, "weight_scale");
	if (!w->scale)
		return ERR_INPUT;
	r = find(o, ".weight_zero_point", &zeros) ? load_packed_zeros(o, &zeros) : 0;
	return r < 0 ? r : load_g_idx(o, ".weight_g_idx");
}

/* modelopt multiplies with weight_scale_2, compressed-tensors divides by weight_global_scale. */
static int open_nvfp4(struct opening *o)
{
	struct quant_weight *w = o->w;
	struct quant_part scale, global;
	own(mem) float *g = NULL;
	bool divide = false;
	int r;

	if (w->main.rank != 2 || !type_is(&w->main, "U8") || w->main.shape[1] > SIDE_MAX / 2)
		return BAD(o, "its bytes are no matrix of U8");
	w->group = 16;
	r = set_scheme(o, QUANT_NVFP4, "NVFP4", " modelopt compressed-tensors ");
	if (r == 0)
		r = set_shape(o, w->main.shape[0], w->main.shape[1] * 2);
	if (r < 0)
		return r;
	w->n_groups = ceil_div(w->in, 16);
	if (!find(o, ".weight_scale", &scale) || !type_is(&scale, "F8_E4M3"))
		return BAD(o, "4-bit elements without a weight_scale of F8_E4M3");
	if (!find(o, ".weight_scale_2", &global)) {
		divide = true;
		if (!find(o, ".weight_global_scale", &global))
			return BAD(o, "4-bit elements without weight_scale_2 or weight_global_scale");
	}
	g = load_floats(o, &global, 1, "global scale");
	w->scale = g ? load_floats(o, &scale, w->out * w->n_groups, "weight_scale") : NULL;
	if (!w->scale)
		return ERR_INPUT;
	for (uint64_t i = 0; i < w->out * w->n_groups; i++)
		w->scale[i] = divide ? w->scale[i] / g[0] : w->scale[i] * g[0];
	return need_main_bytes(o, w->out * w->in / 2);
}

/* What the configuration says of this module: a rule for it, or what is said of all. */
static int find_layout(struct opening *o)
{
	struct quant_layout none;
	bool found = false;
	int r = 0;

	o->layout = o->c->layout;
	if (o->c->ignored)
		r = quant_rules_find(o->c->ignored, o->stem, &none, &found, o->e);
	if (r == 0 && found)
		o->layout.left_out = true;
	else if (r == 0 && o->c->rules)
		r = quant_rules_find(o->c->rules, o->stem, &o->layout, &found, o->e);
	return r;
}

static int open_weight(struct opening *o)
{
	static const char *const packed[] = { ".qweight", ".weight_packed" };
	struct quant_part p, state;
	int r = find_layout(o);

	if (r < 0)
		return r;
	if (find(o, o->weight, &p)) {
		set_main(o, o->weight, &p);
		if (find(o, ".weight.quant_state.bitsandbytes__nf4", &state) || find(o, ".weight.quant_state.bitsandbytes__fp4", &state))
			return open_bnb4(o, &state);
		if (is_fp8(&p))
			return open_fp8(o);
		if (type_is(&p, "I8"))
			return open_int8(o);
		if (type_is(&p, "U8") && find(o, ".weight_scale", &state))
			return open_nvfp4(o);
		if (type_is(&p, "U8"))
			return BAD(o, "U8 elements without a quant_state or a scale");
		return open_plain(o);
	}
	for (size_t i = 0; i < ARRAY_LEN(packed); i++) {
		if (!find(o, packed[i], &p))
			continue;
		set_main(o, packed[i], &p);
		if (o->layout.left_out)
			return BAD(o, "it is packed, and quantization_config leaves it as it is");
		return i == 0 ? open_qweight(o) : type_is(&p, "U8") ? open_nvfp4(o) : open_packed(o);
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
