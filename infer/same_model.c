/* same_model.c - see same_model.h. */
#include "infer/same_model.h"

#include <math.h>
#include <stdarg.h>

#include "base/json.h"

#define NUMBERS_REL 0.1		/* of a layer: another size of a family has other matrices, or more of them */
#define LAYERS_MIN  0.75	/* share of the layers by which a model is still the same one; 14B beside 32B have other matrices */

static struct same_model_answer answer(enum same_model how, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static struct same_model_answer answer(enum same_model how, const char *fmt, ...)
{
	struct same_model_answer a = { .how = how };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a.why, sizeof(a.why), fmt, ap);
	va_end(ap);
	return a;
}

static bool near(double a, double b)
{
	return fabs(a - b) <= NUMBERS_REL * b;
}

/* Reports of old count all numbers, the head's too, and the older of them packed words. */
static bool near_in_all(const struct smoke *s, const json_t *report)
{
	const json_t *print = json_object_get(report, "fingerprint");

	return near((double)s->size.n_params, json_get_real(print, "params", json_get_real(report, "params", 0)));
}

struct same_model_answer same_model(const struct smoke *s, const json_t *report)
{
	const json_t *print = json_object_get(report, "fingerprint");
	uint32_t layers = s->n_layers - 1, had = (uint32_t)json_array_size(json_object_get(print, "layer_rms")) - 1;	/* the first entry is the embedding's */
	int64_t width = json_get_int(print, "width", 0), experts = json_get_int(print, "experts", 0);
	double numbers = json_get_real(print, "layer_params", 0);
	bool known = width > 0 && numbers > 0, alike;

	if (!json_array_size(json_object_get(print, "layer_rms")))
		return answer(SAME_UNKNOWN, "has no figures of a run");
	alike = known ? near((double)s->size.layer_params / layers, numbers / had) && fmin(layers, had) >= LAYERS_MIN * fmax(layers, had) : layers == had;
	if (known && width != s->size.width)
		return answer(SAME_NOT, "is %lld wide, this one %u", (long long)width, s->size.width);
	if (layers != had)
		return answer(alike ? SAME_IN_PART : SAME_NOT, "has %u layers, this one %u", had, layers);
	if (known && experts != s->size.experts)
		return answer(alike ? SAME_IN_PART : SAME_NOT, "has %lld experts a layer, this one %u", (long long)experts, s->size.experts);
	if (!alike)
		return answer(SAME_NOT, "has %.0f numbers in its layers, this one %llu", numbers, (unsigned long long)s->size.layer_params);
	if (!known && !near_in_all(s, report))
		return answer(SAME_UNKNOWN, "has not the %llu numbers of this one, and its report does not tell those of the layers", (unsigned long long)s->size.n_params);
	return answer(SAME_MODEL, "%s", "");
}

const json_t *same_model_among(const struct smoke *s, const json_t *report)
{
	const json_t *list = json_object_get(report, "artefacts"), *one, *best = NULL;
	enum same_model how = SAME_UNKNOWN;
	size_t i;

	json_array_foreach(list, i, one) {
		enum same_model as = same_model(s, one).how;

		if (!best || as < how) {
			best = one;
			how = as;
		}
	}
	return best && how != SAME_UNKNOWN ? best : report;
}
