/* rope.c - rotation frequencies: theta and a scaling become one table and one factor for cos and sin. */
#include <math.h>

#include "infer/spec.h"

double rope_yarn_mscale(double factor, double mscale)
{
	return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/* Long waves are stretched by the factor, short ones stay, those between are mixed. */
static double llama3(const struct rope_config *c, double inv)
{
	double wave = 2 * M_PI / inv, mix;

	if (wave > c->original_ctx / c->low_freq)
		return inv / c->factor;
	if (wave < c->original_ctx / c->high_freq || c->high_freq == c->low_freq)	/* Llama 4: a step, nothing to blend */
		return inv;
	mix = (c->original_ctx / wave - c->low_freq) / (c->high_freq - c->low_freq);
	return (1 - mix) * inv / c->factor + mix * inv;
}

/* The dimension that turns `turns` times over the original context. */
static double yarn_dim(const struct rope_config *c, double turns, uint32_t n_rot)
{
	return n_rot * log(c->original_ctx / (turns * 2 * M_PI)) / (2 * log(c->theta));
}

static void yarn(const struct rope_config *c, double factor, struct rope_table *t)
{
	double low = yarn_dim(c, c->beta_fast, t->n_rot), high = yarn_dim(c, c->beta_slow, t->n_rot);

	if (!c->no_truncate) {
		low = floor(low);
		high = ceil(high);
	}
	low = fmax(low, 0);
	high = fmin(high, t->n_rot - 1);
	if (low == high)
		high += 0.001;
	for (uint32_t i = 0; i < t->n_rot / 2; i++) {
		double ramp = fmin(fmax((i - low) / (high - low), 0), 1);

		t->inv_freq[i] = t->inv_freq[i] / factor * ramp + t->inv_freq[i] * (1 - ramp);
	}
	if (c->attn_factor > 0)
		t->factor = c->attn_factor;
	else if (c->mscale > 0 && c->mscale_all_dim > 0)
		t->factor = rope_yarn_mscale(factor, c->mscale) / rope_yarn_mscale(factor, c->mscale_all_dim);
	else
		t->factor = rope_yarn_mscale(factor, 1);
}

static int longrope(const struct rope_config *c, double factor, uint32_t n_tokens, struct rope_table *t, struct err *e)
{
	bool is_long = n_tokens > c->original_ctx;
	const float *by = is_long ? c->long_factor : c->short_factor;
	uint32_t n = is_long ? c->n_long : c->n_short;
	double mscale = is_long ? c->long_mscale : c->short_mscale;

	if (n != t->n_rot / 2)
		return err_set(e, ERR_INPUT, "longrope has %u %s factors where %u are needed", n, is_long ? "long" : "short", t->n_rot / 2);
	for (uint32_t i = 0; i < n; i++)
		t->inv_freq[i] /= by[i];
	if (mscale > 0)
		t->factor = mscale;
	else if (c->attn_factor > 0)
		t->factor = c->attn_factor;
	else if (factor > 1)
		t->factor = sqrt(1 + log(factor) / log(c->original_ctx));
	return 0;
}

int rope_build(const struct rope_config *c, uint32_t n_rot, uint32_t n_ctx, uint32_t n_tokens, struct rope_table *t, struct err *e)
{
	double factor = c->factor;
	int rc = 0;

	if (n_rot == 0 || n_rot % 2 || n_rot > SPEC_ROT_MAX)
		return err_set(e, ERR_INPUT, "%u rotated elements of a head: an even number up to %u is needed", n_rot, SPEC_ROT_MAX);
	if (!(c->theta > 1))
		return err_set(e, ERR_INPUT, "rope_theta %g makes no sense", c->theta);
	if (c->scaling >= ROPE_LLAMA3 && !(c->original_ctx > 0))
		return err_set(e, ERR_INPUT, "rope scaling without original_max_position_embeddings");
	if (c->scaling == ROPE_LLAMA3 && !(c->low_freq > 0 && c->high_freq >= c->low_freq))
		return err_set(e, ERR_INPUT, "llama3 rope scaling with low_freq_factor %g and high_freq_factor %g", c->low_freq, c->high_freq);
	if (c->n_divide && c->n_divide != n_rot / 2)
		return err_set(e, ERR_INPUT, "rope_freqs has %u entries where %u are needed", c->n_divide, n_rot / 2);
	if (factor <= 0 && c->original_ctx > 0)
		factor = n_ctx / c->original_ctx;
	if (c->scaling > ROPE_DYNAMIC && c->scaling != ROPE_LONG && !(factor > 0))
		return err_set(e, ERR_INPUT, "rope scaling by a factor of %g", factor);
	t->n_rot = n_rot;
	t->factor = 1;
	for (uint32_t i = 0; i < n_rot / 2; i++) {
		t->inv_freq[i] = pow(c->theta, -2.0 * i / n_rot);
		if (c->n_divide)
			t->inv_freq[i] /= c->divide[i];
		if (c->scaling == ROPE_LINEAR)
			t->inv_freq[i] /= factor > 0 ? factor : 1;
		else if (c->scaling == ROPE_LLAMA3)
			t->inv_freq[i] = llama3(c, t->inv_freq[i]);
	}
	if (c->scaling == ROPE_YARN)
		yarn(c, factor, t);
	else if (c->scaling == ROPE_LONG)
		rc = longrope(c, factor, n_tokens, t, e);
	for (uint32_t i = 0; rc == 0 && i < n_rot / 2; i++)
		if (!isfinite(t->inv_freq[i]))
			return err_set(e, ERR_INPUT, "rope frequency %u is not finite", i);
	return rc;
}
