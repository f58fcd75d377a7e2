/* reference.c - see reference.h. */
#include "infer/reference.h"

#include <math.h>

#include "base/json.h"

#define SAME_PATH_REL	 2e-6	/* one path, one precision: figures repeat but for how parts are laid out in the file */
#define OTHER_PATH_REL	 2e-4	/* another instruction set or device: other orders of adding */
#define TOP1_MAX_CHANGED 2	/* of 64 predictions, where neither of two is sure */

/* What a precision may cost, by bits a weight: nats, and share of the residual's size. */
static const struct {
	double bits, loss, rms;
} costs[] = { { 7, 0.03, 0.05 }, { 4.9, 0.05, 0.10 }, { 3.9, 0.15, 0.25 }, { 0, 0.5, 0.6 } };

static double bits_a_weight(double bytes, double params)
{
	return params > 0 ? bytes * 8 / params : 32;
}

static bool tokens_differ(const struct smoke *s, const json_t *tokens)
{
	if (!json_is_array(tokens))
		return false;
	if (json_array_size(tokens) != s->n_tokens)
		return true;
	for (size_t i = 0; i < s->n_tokens; i++)
		if (json_integer_value(json_array_get(tokens, i)) != s->tokens[i])
			return true;
	return false;
}

static uint32_t top1_changed(const struct smoke *s, const json_t *top1)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_top1 && i < json_array_size(top1); i++)
		n += json_integer_value(json_array_get(top1, i)) != s->top1[i];
	return n;
}

/* The layer that differs most, and by what share. */
static double rms_change(const struct smoke *s, const json_t *rms, uint32_t *layer)
{
	double worst = 0;

	*layer = 0;
	for (uint32_t i = 0; i < s->n_layers && i < json_array_size(rms); i++) {
		double was = json_number_value(json_array_get(rms, i)), change = fabs(s->layer_rms[i] - was) / fmax(was, 1e-12);

		if (!(change <= worst)) {
			worst = change;
			*layer = i;
		}
	}
	return worst;
}

static void compare_figures(struct smoke *s, const json_t *print, double loss_max, double rms_max, uint32_t top1_max)
{
	double was = json_get_real(print, "loss", NAN), change;
	uint32_t layer, n;

	if (!(fabs(s->loss - was) <= loss_max))
		smoke_reason(s, SMOKE_FAIL, "the loss is %.6f; the reference has %.6f and may differ by %.2g", s->loss, was, loss_max);
	change = rms_change(s, json_object_get(print, "layer_rms"), &layer);
	if (!(change <= rms_max))
		smoke_reason(s, SMOKE_FAIL, "after layer %d the residual stream is off the reference by %.2g of its size", (int)layer - 1, change);
	n = top1_changed(s, json_object_get(print, "top1"));
	if (n > top1_max)
		smoke_reason(s, SMOKE_FAIL, "%u of %u predictions differ from the reference", n, s->n_top1);
}

static bool another_model(const struct smoke *s, const json_t *reference)
{
	double params = json_get_real(reference, "params", 0);

	return json_array_size(json_object_get(json_object_get(reference, "fingerprint"), "layer_rms")) != s->n_layers ||
		fabs((double)s->n_params - params) > 0.1 * params;
}

void reference_compare(struct smoke *s, const json_t *reference, bool is_sibling)
{
	const json_t *print = json_object_get(reference, "fingerprint");
	double bits = bits_a_weight((double)s->weight_bytes, (double)s->n_params);
	double other = bits_a_weight(json_get_real(reference, "weight_bytes", 0), json_get_real(reference, "params", 0));
	const char *path = json_get_str(print, "path");
	bool same_path = path && s->isa && strcmp(path, s->isa) == 0;

	if (is_sibling && another_model(s, reference))
		return;
	if (tokens_differ(s, json_object_get(reference, "tokens"))) {
		smoke_reason(s, SMOKE_FAIL, "the text gives other token ids than with the reference's tokenizer");
		return;
	}
	if (!json_is_object(print) || json_array_size(json_object_get(print, "layer_rms")) != s->n_layers) {
		smoke_reason(s, SMOKE_FAIL, "the reference is of another kind of model");
		return;
	}
	if (fabs(bits - other) < 0.01 * other) {
		double rel = same_path ? SAME_PATH_REL : OTHER_PATH_REL;

		compare_figures(s, print, rel * s->loss, rel, same_path ? 0 : TOP1_MAX_CHANGED);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(costs); i++) {
		if (fmin(bits, other) >= costs[i].bits) {
			compare_figures(s, print, costs[i].loss, costs[i].rms, s->n_top1);
			return;
		}
	}
}
