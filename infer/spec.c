/* spec.c - what follows from a struct spec's own numbers, and whether they can be true. See spec.h. */
#include "infer/spec.h"

#include <math.h>

#define EPS_MAX 1e-2	/* ten times the largest of any published model */

struct bound {
	const char *name;
	uint32_t value, min, max;
};

static int check_bounds(const struct spec *s, struct err *e)
{
	const struct bound bounds[] = {
		{ "layers", s->n_layer, 1, SPEC_LAYERS_MAX },	   { "hidden size", s->d_model, 1, SPEC_DIM_MAX },
		{ "vocabulary size", s->n_vocab, 2, SPEC_VOCAB_MAX }, { "attention heads", s->n_head, 1, SPEC_HEADS_MAX },
		{ "key-value heads", s->n_kv, 1, SPEC_HEADS_MAX }, { "head size", s->d_k, 1, SPEC_HEAD_MAX },
		{ "value head size", s->d_v, 1, SPEC_HEAD_MAX },   { "intermediate size", s->d_ff, 1, SPEC_FF_MAX },
		{ "context length", s->n_ctx, 1, SPEC_CTX_MAX },   { "experts", s->moe.n_expert, 0, SPEC_EXPERTS_MAX },
		{ "experts used", s->moe.n_used, 0, s->moe.n_expert }, { "expert size", s->moe.d_ff, 0, SPEC_FF_MAX },
		{ "shared expert size", s->moe.d_shared, 0, SPEC_FF_MAX }, { "kv_lora_rank", s->mla.kv_lora, 0, SPEC_DIM_MAX },
		{ "q_lora_rank", s->mla.q_lora, 0, SPEC_DIM_MAX }, { "dense intermediate size", s->d_ff_dense, 0, SPEC_FF_MAX },
	};

	for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
		if (bounds[i].value < bounds[i].min || bounds[i].value > bounds[i].max)
			return err_set(e, ERR_INPUT, "the configuration gives %u %s; between %u and %u can be right", bounds[i].value,
				bounds[i].name, bounds[i].min, bounds[i].max);
	if (s->n_head % s->n_kv)
		return err_set(e, ERR_INPUT, "%u attention heads can't share %u key-value heads evenly", s->n_head, s->n_kv);
	if ((uint64_t)s->n_head * s->d_k > SPEC_DIM_MAX || (uint64_t)s->n_head * s->d_v > SPEC_DIM_MAX)
		return err_set(e, ERR_INPUT, "%u heads of %u elements are wider than %u", s->n_head, s->d_k, SPEC_DIM_MAX);
	if (!(s->eps > 0 && s->eps <= EPS_MAX))
		return err_set(e, ERR_INPUT, "a norm epsilon of %g makes no sense: it must be above 0, and no model has one above %g", s->eps, EPS_MAX);
	if (s->moe.n_expert && (s->moe.n_used == 0 || s->moe.d_ff == 0))
		return err_set(e, ERR_INPUT, "%u experts, but no number of used ones or no size", s->moe.n_expert);
	if (s->moe.n_group > 1 && (s->moe.n_expert % s->moe.n_group || s->moe.n_group_used == 0 || s->moe.n_group_used > s->moe.n_group))
		return err_set(e, ERR_INPUT, "%u experts in %u groups of which %u are used", s->moe.n_expert, s->moe.n_group, s->moe.n_group_used);
	if (s->moe.n_group > 1 && s->moe.n_group_used * (s->moe.n_expert / s->moe.n_group) < s->moe.n_used)
		return err_set(e, ERR_INPUT, "%u experts are used of %u groups of %u", s->moe.n_used, s->moe.n_group_used, s->moe.n_expert / s->moe.n_group);
	if (s->moe.score == ROUTER_SPARSEMIXER && s->moe.n_used != 2)
		return err_set(e, ERR_UNSUPPORTED, "a sparsemixer router that uses %u experts", s->moe.n_used);
	return 0;
}

static void derive_heads(struct spec *s)
{
	if (s->n_kv == 0)
		s->n_kv = s->n_head;
	if (s->mla.kv_lora) {
		s->n_kv = s->n_head;
		s->d_k = s->mla.d_nope + s->mla.d_rope;
		s->n_rot = s->mla.d_rope;
	}
	if (s->d_k == 0 && s->n_head)
		s->d_k = s->d_model / s->n_head;
	if (s->d_v == 0)
		s->d_v = s->d_k;
	if (s->n_rot == 0)
		s->n_rot = s->partial_rotary > 0 ? (uint32_t)(s->d_k * s->partial_rotary) : s->d_k;
}

static void derive_attn_scale(struct spec *s)
{
	const struct rope_config *c = &s->rope_config[0];

	if (s->attn_scale > 0)
		return;
	s->attn_scale = 1 / sqrt(s->query_pre_attn > 0 ? s->query_pre_attn : s->d_k);
	if (s->mla.kv_lora && c->scaling == ROPE_YARN && c->mscale_all_dim > 0) {
		double factor = c->factor > 0 ? c->factor : s->n_ctx / c->original_ctx;
		double m = rope_yarn_mscale(factor, c->mscale_all_dim);

		s->attn_scale *= m * m;		/* the yarn temperature moved from cos and sin into the softmax */
	}
}

static uint64_t attention_params(const struct spec *s)
{
	uint64_t d = s->d_model, q = (uint64_t)s->n_head * s->d_k, o = (uint64_t)s->n_head * s->d_v, lora = s->mla.q_lora, kv = s->mla.kv_lora;

	if (kv == 0)
		return d * (q + (uint64_t)s->n_kv * (s->d_k + s->d_v) + o);
	return (lora ? lora * (d + q) : d * q) + d * (kv + s->mla.d_rope) + kv * s->n_head * (s->mla.d_nope + s->d_v) + d * o;
}

static uint64_t ffn_params(const struct spec *s, bool routed)
{
	uint64_t matrices = s->ffn_gated ? 3 : 2, dense = s->moe.n_expert && s->d_ff_dense ? s->d_ff_dense : s->d_ff;
	uint64_t width = routed ? (uint64_t)s->moe.n_expert * s->moe.d_ff + (s->moe.shared != SHARED_NONE ? s->moe.d_shared : 0) : dense;

	return s->d_model * (matrices * width + (routed ? s->moe.n_expert : 0));
}

uint64_t spec_params(const struct spec *s)
{
	uint64_t n = (uint64_t)s->n_vocab * s->d_model;

	for (uint32_t i = 0; i < s->n_layer; i++)
		n += attention_params(s) + ffn_params(s, s->layer[i].moe);
	return n;
}

static bool layer_is_full(const struct spec *s, uint32_t i)
{
	switch (s->pattern) {
	case PATTERN_ALTERNATE:
		return i % 2 == 1;
	case PATTERN_NTH_FULL:
		return s->pattern_n && (i + 1) % s->pattern_n == 0;
	case PATTERN_FROM:
		return i < s->pattern_n;
	default:
		return false;
	}
}

static void derive_layers(struct spec *s)
{
	for (uint32_t i = 0; i < s->n_layer; i++) {
		struct spec_layer *l = &s->layer[i];
		bool full = layer_is_full(s, i);
		bool nope = (s->nope_every && (i + 1) % s->nope_every == 0) || (s->nope_full && full);
		uint32_t step = s->moe.step ? s->moe.step : 1;

		l->rope = (int8_t)(s->pos != POS_ROPE || nope ? -1 : s->local_rope && !full ? 1 : 0);
		l->window = full ? 0 : s->window;
		l->chunk = nope ? 0 : s->chunk;
		l->moe = s->moe.n_expert && i >= s->moe.first_dense && (i + 1) % step == 0;
	}
}

int spec_reach(struct spec *s, uint32_t n_tokens, struct err *e)
{
	for (int i = 0; s->pos == POS_ROPE && i < 1 + s->local_rope; i++) {
		int rc = rope_build(&s->rope_config[i], s->n_rot, s->n_ctx, n_tokens, &s->rope[i], e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int spec_finish(struct spec *s, uint32_t n_tokens, struct err *e)
{
	int rc;

	derive_heads(s);
	if (s->d_ff == 0 && !s->moe.n_expert)
		s->d_ff = s->d_model <= SPEC_DIM_MAX ? 4 * s->d_model : 0;
	if (s->moe.n_expert && s->moe.d_ff == 0)
		s->moe.d_ff = s->d_ff;
	if (s->d_ff == 0)
		s->d_ff = s->moe.d_ff;
	if (s->moe.shared != SHARED_NONE && s->moe.d_shared == 0 && __builtin_mul_overflow(s->moe.n_shared, s->moe.d_ff, &s->moe.d_shared))
		return err_set(e, ERR_INPUT, "%u shared experts are too many", s->moe.n_shared);
	if (s->moe.d_shared == 0)
		s->moe.shared = SHARED_NONE;
	rc = check_bounds(s, e);
	if (rc < 0)
		return rc;
	if (s->n_rot > s->d_k)
		return err_set(e, ERR_INPUT, "%u of %u elements of a head are rotated", s->n_rot, s->d_k);
	derive_attn_scale(s);
	derive_layers(s);
	return spec_reach(s, n_tokens, e);
}
