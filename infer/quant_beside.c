/* quant_beside.c - what a file of settings says otherwise than config.json: programs differ in which of the two they read. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/vec.h"
#include "infer/quant_weight.h"

/* By the names that either has for it. Those that decide how words are read can't both be right. */
static const struct {
	const char *names[2];
	bool decides;
} said[] = {
	{ { "bits", "w_bit" }, true }, { { "group_size", "q_group_size" }, true }, { { "checkpoint_format" }, true }, { { "quant_method" }, false },
	{ { "quant_algo" }, false },   { { "version" }, false },		   { { "desc_act" }, false },	      { { "sym" }, false },
	{ { "zero_point" }, false },
};

static const json_t *value(const json_t *q, size_t i)
{
	const json_t *v = NULL;

	for (size_t k = 0; k < ARRAY_LEN(said[i].names) && said[i].names[k] && !v; k++)
		v = json_object_get(q, said[i].names[k]);
	return json_is_null(v) ? NULL : v;
}

/* A number may be written as one, or as the text of one. */
static bool as_number(const json_t *v, double *out)
{
	const char *s = json_string_value(v);
	char *end = NULL;

	*out = s ? strtod(s, &end) : json_number_value(v);
	return s ? end > s && !*end : json_is_number(v);
}

static bool same(const json_t *a, const json_t *b)
{
	double x, y;

	if (as_number(a, &x) && as_number(b, &y))
		return x == y;
	return json_is_string(a) && json_is_string(b) ? strcasecmp(json_string_value(a), json_string_value(b)) == 0 : json_equal(a, b);
}

bool quant_config_contradicts(const json_t *config, const json_t *file, struct quant_contradiction *out)
{
	const json_t *q = quant_config_section(config), *inner = json_object_get(file, "quantization");

	if (json_is_object(inner))
		file = inner;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		const json_t *here = value(q, i), *there = value(file, i);
		own(mem) char *a = NULL, *b = NULL;

		if (!here || !there || same(here, there))
			continue;
		a = json_dumps(here, JSON_ENCODE_ANY | JSON_COMPACT);
		b = json_dumps(there, JSON_ENCODE_ANY | JSON_COMPACT);
		snprintf(out->what, sizeof(out->what), "%s %.40s, and config.json %.40s", said[i].names[0], b ? b : "", a ? a : "");
		out->decides = said[i].decides;
		return true;
	}
	return false;
}
