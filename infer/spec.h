/*
 * spec.h - what a decoder-only language model computes, as data. Every family is this one block with parts left out:
 *	x += post_norm?(attention(norm(x)));  x += post_norm?(ffn(norm(x)))		or, where `parallel`,
 *	x += attention(n) + ffn(n), n = norm(x)
 *	logits = softcap?(logit_scale * (final_norm(x) W^T + b?))
 * Nothing here knows a family by name: family.c fills a struct spec from its rows and the checkpoint's own configuration.
 */
#ifndef INFER_SPEC_H
#define INFER_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SPEC_LAYERS_MAX	 1024
#define SPEC_DIM_MAX	 262144u	/* width of the residual, of a head row, of an MLP */
#define SPEC_FF_MAX	 1048576u
#define SPEC_HEADS_MAX	 4096u
#define SPEC_HEAD_MAX	 1024u		/* elements of one head */
#define SPEC_VOCAB_MAX	 4000000u
#define SPEC_EXPERTS_MAX 4096u
#define SPEC_ROT_MAX	 512		/* rotated elements of a head */
#define SPEC_CTX_MAX	 (1u << 28)

enum norm_kind { NORM_RMS, NORM_LAYER };
enum act_kind { ACT_SILU, ACT_GELU_TANH, ACT_GELU_ERF, ACT_RELU };
enum pos_kind { POS_ROPE, POS_LEARNED, POS_ALIBI };
enum qk_norm { QK_NORM_NONE, QK_NORM_HEAD /* weighted RMS of a head, before rope */, QK_NORM_ALL /* of all heads together */, QK_NORM_L2 /* unweighted, after rope, where there is rope */ };
enum router_score { ROUTER_SOFTMAX, ROUTER_SIGMOID, ROUTER_SPARSEMIXER };
enum group_score { GROUP_MAX, GROUP_TOP2 };
enum shared_kind { SHARED_NONE, SHARED_PLAIN, SHARED_GATED /* times sigmoid(gate x) */ };
enum layer_pattern {
	PATTERN_NONE,		/* the window, where there is one, holds everywhere */
	PATTERN_ALTERNATE,	/* even layers local, odd ones full */
	PATTERN_NTH_FULL,	/* every pattern_n-th layer full, the others local */
	PATTERN_FROM,		/* local from layer pattern_n on */
};
enum rope_scaling { ROPE_PLAIN, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN, ROPE_LONG };

/* How one table of rotation frequencies comes about; rope.c makes the table. */
struct rope_config {
	double theta;
	enum rope_scaling scaling;
	double factor;				/* 0: context / original context */
	double original_ctx, low_freq, high_freq, beta_fast, beta_slow;
	double attn_factor;			/* 0: by the formula of the scaling */
	double mscale, mscale_all_dim;		/* 0: absent */
	double short_mscale, long_mscale;	/* 0: absent */
	bool no_truncate;
	uint32_t n_short, n_long;		/* longrope's factors; also plain divisors of a GGUF (rope_freqs) in `divide` */
	uint32_t n_divide;
	float short_factor[SPEC_ROT_MAX / 2], long_factor[SPEC_ROT_MAX / 2], divide[SPEC_ROT_MAX / 2];
};

struct rope_table {
	uint32_t n_rot;				/* elements of a head that turn */
	double inv_freq[SPEC_ROT_MAX / 2];
	double factor;				/* cos and sin are multiplied by it */
};

struct spec_layer {
	int8_t rope;		/* index into spec.rope, -1: none on this layer */
	bool moe;
	uint32_t window;	/* a query sees this many positions, itself included; 0: all */
	uint32_t chunk;		/* a query sees only its own chunk; 0: off */
};

struct moe_spec {
	uint32_t n_expert, n_used, d_ff;
	enum router_score score;
	enum group_score group_score;
	uint32_t n_group, n_group_used;	/* 0 or 1: no groups */
	bool select_bias;		/* the choice, not the weight, sees score + bias */
	bool renorm, weight_at_input;
	double scale, jitter;		/* of the chosen weights; of the sparsemixer */
	enum shared_kind shared;
	uint32_t n_shared, d_shared;	/* d_shared 0: n_shared * d_ff */
	uint32_t first_dense, step;	/* dense layers first; then every step-th layer routes */
};

struct mla_spec {
	uint32_t q_lora, kv_lora, d_nope, d_rope;	/* kv_lora 0: plain attention; q_lora 0: q is one matrix */
};

struct spec {
	uint32_t n_layer, d_model, n_vocab, n_ctx;
	enum norm_kind norm;
	bool norm_plus1;		/* the weight stored is w - 1 */
	bool norm_bare;			/* LayerNorms without a bias */
	double eps;
	bool post_norms, parallel, embed_norm;
	bool no_pre_norms;		/* x += post_norm(attention(x)) */
	double embed_scale, logit_scale, residual_scale, logit_softcap;	/* scales: 0 or 1 leave it alone; residual: of what is added to x */

	enum pos_kind pos;
	bool rope_interleaved;
	double partial_rotary;		/* of a head; 0: all */
	uint32_t n_rot;			/* 0: from partial_rotary */
	struct rope_config rope_config[2];	/* [1]: local layers, where they have their own */
	struct rope_table rope[2];
	bool local_rope;
	double q_temper_scale, q_temper_floor;	/* q *= 1 + scale ln(1 + floor((pos + 1) / floor)) on layers without rope … */
	bool q_temper_all;			/* … or on all layers, and without the + 1 */

	uint32_t n_head, n_kv, d_k, d_v;
	double attn_scale;		/* 0: d_k^-1/2 (or query_pre_attn^-1/2) */
	double query_pre_attn, attn_softcap;
	enum qk_norm qk_norm;
	bool qkv_per_head;		/* a fused matrix holds a head's q, k, v, then the next head's; else all q, all k, all v */
	uint32_t window, chunk, pattern_n, nope_every;
	bool nope_full;			/* layers that see everything have no positions */
	enum layer_pattern pattern;
	struct mla_spec mla;

	bool bias_qkv, bias_o, bias_ffn, bias_head;
	bool ffn_gated;
	enum act_kind act;
	uint32_t d_ff, d_ff_dense;	/* d_ff_dense: of dense layers among routed ones; 0: d_ff */
	struct moe_spec moe;
	bool tied;			/* the head is the embedding */
	const char *task;		/* not NULL: no language model but an embedder or a classifier built on one, for this; it has no head that says words */
	uint32_t n_labels;		/* of a classifier's head; 0: there is none that is known */
	bool labels_of_tokens, bias_labels;
	uint32_t n_extra_layers;	/* behind the last: they predict further tokens in training, and are not run */

	struct spec_layer layer[SPEC_LAYERS_MAX];
};

/*
 * Fills what follows from the rest (head sizes, rotated elements, rope tables, the kind of each layer that `kinds` does not give)
 * and checks every number against its limit and its neighbours. n_tokens is how far positions go (longrope has two tables).
 */
int spec_finish(struct spec *s, uint32_t n_tokens, struct err *e);
/* Texts are n_tokens long after all: of two rotation tables the one that holds for them. */
int spec_reach(struct spec *s, uint32_t n_tokens, struct err *e);
int rope_build(const struct rope_config *c, uint32_t n_rot, uint32_t n_ctx, uint32_t n_tokens, struct rope_table *out, struct err *e);
double rope_yarn_mscale(double factor, double mscale);
/* Numbers of the matrices that texts are multiplied with, all experts' among them and the head's, tied or not: whatever form they are stored in. */
uint64_t spec_params(const struct spec *s);

static inline uint32_t spec_q_dim(const struct spec *s)
{
	return s->n_head * s->d_k;
}

#endif
