/* test_route.c - which experts get a token: as many as are asked for, none of them twice, whatever the scores are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/vec.h"
#include "infer/run.h"

#define EXPERTS 8

static void picks_distinct(const struct moe_spec *m, const float *logits)
{
	uint32_t ids[EXPERTS], seen = 0;
	float weights[EXPERTS];

	route(m, logits, NULL, ids, weights);
	for (uint32_t i = 0; i < m->n_used; i++) {
		assert_true(ids[i] < EXPERTS);
		assert_false(seen >> ids[i] & 1);
		seen |= 1u << ids[i];
	}
}

static void no_expert_twice(void **state)
{
	static const struct moe_spec kinds[] = {
		{ .n_expert = EXPERTS, .n_used = 4, .score = ROUTER_SOFTMAX, .renorm = true },
		{ .n_expert = EXPERTS, .n_used = 4, .score = ROUTER_SIGMOID, .n_group = 4, .n_group_used = 2, .group_score = GROUP_TOP2 },
		{ .n_expert = EXPERTS, .n_used = 4, .score = ROUTER_SIGMOID, .n_group = 4, .n_group_used = 1, .group_score = GROUP_MAX },
		{ .n_expert = EXPERTS, .n_used = 2, .score = ROUTER_SPARSEMIXER, .jitter = 0.01 },
	};
	static const float hard[] = { NAN, INFINITY, -INFINITY, 3e38f, 0 };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		for (size_t i = 0; i < ARRAY_LEN(hard); i++) {
			float all[EXPERTS], one[EXPERTS] = { 0.1f, 0.7f, -0.2f, 0.3f, 0.9f, -0.5f, 0.2f, 0.4f };

			for (int x = 0; x < EXPERTS; x++)
				all[x] = hard[i];
			one[5] = hard[i];
			picks_distinct(&kinds[k], all);
			picks_distinct(&kinds[k], one);
		}
	}
}

/* With one expert a token, renormalised weights are 1. */
static void one_of_them(void **state)
{
	const struct moe_spec m = { .n_expert = EXPERTS, .n_used = 1, .score = ROUTER_SOFTMAX, .renorm = true };
	const float logits[EXPERTS] = { 0, 0, 0, 2, 0, 0, 0, 0 };
	uint32_t id;
	float weight;

	(void)state;
	route(&m, logits, NULL, &id, &weight);
	assert_int_equal(id, 3);
	assert_true(fabsf(weight - 1) < 1e-6f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_expert_twice), cmocka_unit_test(one_of_them) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
