/* route.c - which experts get a token: scores, groups, choice and weights, on the host and the same for every backend. */
#include <math.h>
#include <string.h>

#include "infer/run.h"

static void softmax(float *x, uint32_t n)
{
	float max = -INFINITY;
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		max = x[i] > max ? x[i] : max;
	for (uint32_t i = 0; i < n; i++) {
		x[i] = expf(x[i] - max);
		sum += (double)x[i];
	}
	for (uint32_t i = 0; i < n; i++)
		x[i] = (float)((double)x[i] / sum);
}

/*
 * The highest of x that was not picked before, the first among equals, and picks it. Something is always picked, also among NaNs and where nothing
 * is left but -inf, and nothing twice: a token goes through an expert once.
 */
static uint32_t pick_highest(const float *x, bool *picked, uint32_t n)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < n; i++)
		if (!picked[i] && (best == UINT32_MAX || x[i] > x[best] || (isnan(x[best]) && !isnan(x[i]))))
			best = i;
	picked[best] = true;
	return best;
}

static float group_score(const struct moe_spec *m, const float *x, uint32_t n)
{
	float first = -INFINITY, second = -INFINITY;

	for (uint32_t i = 0; i < n; i++) {
		if (x[i] > first) {
			second = first;
			first = x[i];
		} else if (x[i] > second) {
			second = x[i];
		}
	}
	return m->group_score == GROUP_MAX || n == 1 ? first : first + second;
}

/* Experts outside the best groups are out. */
static void limit_groups(const struct moe_spec *m, float *choice)
{
	uint32_t size = m->n_expert / m->n_group;
	float score[SPEC_EXPERTS_MAX];
	bool keep[SPEC_EXPERTS_MAX] = { false };

	for (uint32_t g = 0; g < m->n_group; g++)
		score[g] = group_score(m, choice + g * size, size);
	for (uint32_t i = 0; i < m->n_group_used; i++)
		pick_highest(score, keep, m->n_group);
	for (uint32_t i = 0; i < m->n_expert; i++)
		if (!keep[i / size])
			choice[i] = -INFINITY;
}

/*
 * Two picks. Each masks what is further than 2 jitter (relative) below the highest score left, and weighs the pick by softmax
 * over what remains. The second pick's mask looks at the scores with the first still in.
 */
static void sparsemixer(const struct moe_spec *m, const float *logits, uint32_t *ids, float *weights)
{
	float left[SPEC_EXPERTS_MAX], masked[SPEC_EXPERTS_MAX];
	bool picked[SPEC_EXPERTS_MAX] = { false };

	memcpy(left, logits, m->n_expert * sizeof(*left));
	for (int pick = 0; pick < 2; pick++) {
		uint32_t best = pick_highest(left, picked, m->n_expert);

		for (uint32_t i = 0; i < m->n_expert; i++) {
			float size = fmaxf(fabsf(logits[i]), left[best]);

			masked[i] = (left[best] - logits[i]) / size > 2 * (float)m->jitter ? -INFINITY : left[i];
		}
		softmax(masked, m->n_expert);
		ids[pick] = best;
		weights[pick] = masked[best];
		left[best] = -INFINITY;
	}
}

void route(const struct moe_spec *m, const float *logits, const float *bias, uint32_t *ids, float *weights)
{
	float score[SPEC_EXPERTS_MAX], choice[SPEC_EXPERTS_MAX];
	bool picked[SPEC_EXPERTS_MAX] = { false };
	double sum = 0;

	if (m->score == ROUTER_SPARSEMIXER) {
		sparsemixer(m, logits, ids, weights);
		return;
	}
	memcpy(score, logits, m->n_expert * sizeof(*score));
	if (m->score == ROUTER_SOFTMAX)
		softmax(score, m->n_expert);
	else
		for (uint32_t i = 0; i < m->n_expert; i++)
			score[i] = 1 / (1 + expf(-score[i]));
	for (uint32_t i = 0; i < m->n_expert; i++)
		choice[i] = score[i] + (bias ? bias[i] : 0);
	if (m->n_group > 1)
		limit_groups(m, choice);
	for (uint32_t i = 0; i < m->n_used; i++) {
		ids[i] = pick_highest(choice, picked, m->n_expert);
		weights[i] = score[ids[i]];
		sum += (double)weights[i];
	}
	for (uint32_t i = 0; i < m->n_used; i++) {
		if (m->renorm)
			weights[i] = (float)((double)weights[i] / (sum + 1e-20));
		if (m->scale > 0)
			weights[i] *= (float)m->scale;
	}
}
