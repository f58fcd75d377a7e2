/* quant_opening.c - see quant_opening.h. */
#include "infer/quant_opening.h"

#include <math.h>
#include <string.h>

#include "infer/config_parts.h"

#define ZEROS_TELL 64	/* zero points */

bool opening_find(struct opening *o, const char *suffix, struct quant_part *part)
{
	char name[QUANT_NAME_MAX];

	if (snprintf(name, sizeof(name), "%s%s", o->stem, suffix) >= (int)sizeof(name))
		return false;
	return o->src->find(o->src->ctx, name, part);
}

int opening_bad(struct opening *o, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(o->e, ERR_INPUT, "%s%s: %s", o->stem, o->weight, text);
}

bool opening_count(const struct quant_part *p, uint64_t *n)
{
	*n = 1;
	for (uint32_t i = 0; i < p->rank; i++)
		if (__builtin_mul_overflow(*n, p->shape[i], n))
			return false;
	return true;
}

void *opening_load(struct opening *o, const struct quant_part *p, const char *what)
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

float *opening_load_floats(struct opening *o, const struct quant_part *p, uint64_t n, const char *what)
{
	own(mem) void *bytes = NULL;
	own(mem) float *v = NULL;
	uint64_t have;

	if (!p->type || p->type->block != 1 || !opening_count(p, &have) || have != n || p->size_bytes != n * p->type->bytes) {
		BAD(o, "its %s has not the %llu numbers it needs", what, (unsigned long long)n);
		return NULL;
	}
	bytes = opening_load(o, p, what);
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

static bool has_group(const struct opening *o)
{
	return o->layout.by_group && !o->layout.unsaid;
}

/* The kind and the bits that a group of compressed-tensors says against the form that is there. Integers of fewer bits may lie in bytes. */
static int check_group_args(struct opening *o, enum quant_scheme scheme, const char *form)
{
	const struct quant_layout *l = &o->layout;
	bool is_float = scheme == QUANT_FP8 || scheme == QUANT_NVFP4;
	uint32_t bits = scheme == QUANT_NVFP4 ? 4 : 8;

	if (l->number != NUMBER_UNSAID && (l->number == NUMBER_FLOAT) != is_float)
		return BAD(o, "it is stored as %s, and quantization_config says type %s", form, is_float ? "int" : "float");
	if (l->bits_said && scheme != QUANT_PACKED && (l->bits > bits || l->bits < (is_float ? bits : 1)))
		return BAD(o, "it is stored as %s, and quantization_config says %u bits", form, l->bits);
	return 0;
}

int opening_set_scheme(struct opening *o, enum quant_scheme scheme, const char *form, const char *methods)
{
	const char *method = o->c->method;

	o->w->scheme = scheme;
	if (!*method)
		return BAD(o, "it is stored as %s, and no quantization_config tells programs so", form);
	if (!config_in_list(methods, method))
		return BAD(o, "it is stored as %s, and quantization_config says %s, which does not read that", form, method);
	if (o->demand == DEMAND_PLAIN)
		return BAD(o, "it is stored as %s, and quantization_config %s: programs take its numbers as they stand", form,
			   o->layout.left_out ? "leaves it as it is" : "has no rule that packs it");
	return has_group(o) ? check_group_args(o, scheme, form) : 0;
}

int opening_set_shape(struct opening *o, uint64_t out, uint64_t in)
{
	if (out == 0 || in == 0 || out > QUANT_SIDE_MAX || in > QUANT_SIDE_MAX)
		return BAD(o, "a shape of %llu x %llu", (unsigned long long)out, (unsigned long long)in);
	o->w->out = out;
	o->w->in = in;
	return 0;
}

int opening_need_main_bytes(struct opening *o, uint64_t bytes)
{
	if (o->w->main.size_bytes != bytes)
		return BAD(o, "%s has %llu bytes where %llu x %llu needs %llu", o->w->name, (unsigned long long)o->w->main.size_bytes,
			   (unsigned long long)o->w->out, (unsigned long long)o->w->in, (unsigned long long)bytes);
	return 0;
}

int opening_set_groups(struct opening *o, uint64_t groups)
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

int opening_check_strategy(struct opening *o, uint64_t n)
{
	static const char *const names[] = { "", "tensor", "channel", "group", "block" };
	const struct quant_layout *l = &o->layout;
	const struct quant_weight *w = o->w;
	uint64_t meant = n;

	if (l->strategy == STRATEGY_TENSOR)
		meant = 1;
	else if (l->strategy == STRATEGY_CHANNEL)
		meant = w->out;
	else if (l->strategy == STRATEGY_GROUP && l->group_size > 0)
		meant = w->out * ceil_div(w->in, (uint64_t)l->group_size);
	else if (l->strategy == STRATEGY_BLOCK && l->block[0] && l->block[1])
		meant = ceil_div(w->out, l->block[0]) * ceil_div(w->in, l->block[1]);
	return !has_group(o) || meant == n ? 0 : BAD(o, "%llu scales, quantization_config says strategy %s, which has %llu", (unsigned long long)n,
		names[l->strategy], (unsigned long long)meant);
}

int opening_check_zeros(struct opening *o, int32_t middle)
{
	const struct quant_weight *w = o->w;

	if (!has_group(o))
		return 0;
	if (o->layout.asymmetric && !w->zero)
		return BAD(o, "it has no zero points, and quantization_config says symmetric: false");
	for (uint64_t i = 0; o->layout.symmetric && w->zero && i < w->out * w->n_groups; i++)
		if (w->zero[i] != middle)
			return BAD(o, "it has zero points, and quantization_config says symmetric: true: programs pass them over");
	return 0;
}

void opening_see_zeros(struct opening *o, const void *bytes, uint64_t n_bytes)
{
	const uint8_t *p = bytes;
	uint64_t i = 0;

	if (o->layout.symmetric || o->w->out * o->w->n_groups < ZEROS_TELL)
		return;
	while (i < n_bytes && p[i] == 0)
		i++;
	o->w->zeros = i < n_bytes ? ZEROS_STORED : ZEROS_BLANK;
}

int opening_make_zeros(struct opening *o)
{
	struct quant_weight *w = o->w;

	w->zero = malloc(w->out * w->n_groups * sizeof(*w->zero));
	return w->zero ? 0 : err_set(o->e, ERR_FAILED, "%s: no memory for its zeros", o->stem);
}

int opening_load_byte_zeros(struct opening *o, const struct quant_part *p, uint64_t n)
{
	struct quant_weight *w = o->w;
	own(mem) int8_t *bytes = NULL;

	if (!type_is(p, "I8") || p->size_bytes != n)
		return BAD(o, "its zero points are not one I8 for each of %llu scales", (unsigned long long)n);
	bytes = opening_load(o, p, "zero points");
	if (!bytes)
		return ERR_INPUT;
	if (opening_make_zeros(o) < 0)
		return o->e->code;
	if (o->layout.asymmetric)	/* else zero is the middle, and programs of old stored it */
		opening_see_zeros(o, bytes, n);
	for (uint64_t i = 0; i < w->out * w->n_groups; i++)
		w->zero[i] = bytes[n == 1 ? 0 : i];
	return 0;
}

/* Each group has as many inputs as share a scale, wherever they stand. */
static int check_groups(struct opening *o)
{
	const struct quant_weight *w = o->w;
	own(mem) uint64_t *n = calloc(w->n_groups, sizeof(*n));

	if (!n)
		return err_set(o->e, ERR_FAILED, "%s: no memory for its groups", o->stem);
	for (uint64_t i = 0; i < w->in; i++)
		n[w->g_idx[i]]++;
	for (uint64_t g = 0; g < w->n_groups; g++)
		if (n[g] > w->group)
			return BAD(o, "its g_idx puts %llu inputs into group %llu, and %llu share a scale", (unsigned long long)n[g], (unsigned long long)g,
				   (unsigned long long)w->group);
	return 0;
}

static bool is_all(const uint32_t *g_idx, uint64_t n, uint32_t value)
{
	for (uint64_t i = 0; i < n; i++)
		if (g_idx[i] != value)
			return false;
	return true;
}

/* A list of what it began with stands for inputs in order: -1 of compressed-tensors, zeros of GPTQ, whose programs read them so. */
static bool is_unset(struct opening *o, const uint32_t *g_idx)
{
	struct quant_weight *w = o->w;

	if (o->layout.reordered)
		return false;
	if (w->n_groups > 1 && !o->layout.by_group)
		w->order = is_all(g_idx, w->in, 0) ? ZEROS_BLANK : ZEROS_STORED;
	return w->order == ZEROS_BLANK || (w->scheme == QUANT_PACKED && is_all(g_idx, w->in, UINT32_MAX));
}

int opening_load_g_idx(struct opening *o, const char *suffix)
{
	struct quant_weight *w = o->w;
	own(mem) uint32_t *list = NULL;
	struct quant_part p;
	uint64_t n;

	if (!opening_find(o, suffix, &p)) {
		bool needed = w->scheme == QUANT_GPTQ && o->layout.reordered && w->n_groups > 1;

		return needed ? BAD(o, "no g_idx, and quantization_config says desc_act: programs would take its inputs in order") : 0;
	}
	if (!type_is(&p, "I32") || !opening_count(&p, &n) || n != w->in || p.size_bytes != n * 4)
		return BAD(o, "its g_idx is not one I32 for each of %llu inputs", (unsigned long long)w->in);
	list = opening_load(o, &p, "g_idx");
	if (!list)
		return ERR_INPUT;
	if (is_unset(o, list))
		return 0;
	w->g_idx = take(list);
	for (uint64_t i = 0; i < n; i++)
		if (w->g_idx[i] >= w->n_groups)
			return BAD(o, "g_idx[%llu] is %d, there are %llu groups", (unsigned long long)i, (int32_t)w->g_idx[i], (unsigned long long)w->n_groups);
	return check_groups(o);
}

int opening_check_input_scale(struct opening *o)
{
	static const char *const names[] = { ".input_scale", ".activation_scale" };
	bool global = o->w->scheme == QUANT_NVFP4 && strcmp(o->c->method, "modelopt") != 0;
	const char *suffix = global ? ".input_global_scale" : names[0];
	own(mem) float *v = NULL;
	struct quant_part p;
	uint64_t n;

	if (!o->layout.static_inputs || !*o->weight || o->w->scheme == QUANT_PLAIN)
		return 0;
	if (!opening_find(o, suffix, &p)) {
		suffix = names[1];
		if (strcmp(o->c->method, "fp8") != 0 || !opening_find(o, suffix, &p))
			return BAD(o, "no %s, and quantization_config has inputs rounded by one that is stored", (global ? ".input_global_scale" : names[0]) + 1);
	}
	if (!opening_count(&p, &n) || n == 0)
		return BAD(o, "its %s is empty", suffix + 1);
	v = opening_load_floats(o, &p, n, suffix + 1);
	if (!v)
		return o->e->code;
	for (uint64_t i = 0; i < n; i++)
		if (v[i] <= 0)
			return BAD(o, "its %s is %g, which programs divide by", suffix + 1, (double)v[i]);
	if (o->layout.asymmetric_inputs && !opening_find(o, ".input_zero_point", &p))
		return BAD(o, "no input_zero_point, and quantization_config says that inputs are rounded by a stored one (symmetric: false)");
	return 0;
}
