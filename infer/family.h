/*
 * family.h - the model families as rows of data: how a checkpoint's configuration and tensors are called, and what its
 * configuration does not say. Family names appear in family.c and nowhere else.
 */
#ifndef INFER_FAMILY_H
#define INFER_FAMILY_H

#include "infer/spec.h"

/* The place of a tensor in the block of spec.h. Weights and their biases share a role. */
enum role {
	ROLE_EMBED, ROLE_POS_EMBED, ROLE_EMBED_NORM, ROLE_FINAL_NORM, ROLE_HEAD,
	ROLE_TEXT_LABELS, ROLE_TOKEN_LABELS,	/* heads of classifiers: of a whole text, of each token */
	ROLE_ROPE_FREQS, ROLE_ROPE_SHORT, ROLE_ROPE_LONG,
	ROLE_LAYER_FIRST,
	ROLE_ATTN_NORM = ROLE_LAYER_FIRST, ROLE_Q, ROLE_K, ROLE_V, ROLE_QKV, ROLE_O, ROLE_Q_NORM, ROLE_K_NORM, ROLE_ATTN_POST_NORM,
	ROLE_Q_A, ROLE_Q_A_NORM, ROLE_Q_B, ROLE_KV_A, ROLE_KV_A_NORM, ROLE_KV_B, ROLE_K_B, ROLE_V_B,
	ROLE_FFN_NORM, ROLE_GATE, ROLE_UP, ROLE_DOWN, ROLE_GATE_UP, ROLE_FFN_POST_NORM,
	ROLE_ROUTER, ROLE_ROUTER_BIAS, ROLE_EXP_GATE, ROLE_EXP_UP, ROLE_EXP_DOWN, ROLE_EXP_GATE_UP,
	ROLE_SHARED_GATE, ROLE_SHARED_UP, ROLE_SHARED_DOWN, ROLE_SHARED_ROUTER,
	ROLE_COUNT
};

/*
 * How a role's tensor is called. '^' at the start stands for the checkpoint's root ("model."), %L for the layer, %E for the expert.
 * ".weight" and ".bias" are added, unless the name ends with '!', which is the end of a name that is complete.
 * Several rows for a role are tried in turn.
 */
struct family_name {
	enum role role;
	const char *name;
};

struct family_names {
	const struct family_name *rows;		/* ended by a NULL name */
	const struct family_name *also;		/* rows of the family's own: of the roles that they name, those above do not count; may be NULL */
	bool conv1d;				/* linear weights are stored [in][out] */
	bool experts_transposed;		/* stacked experts are stored [expert][in][out] */
};

/* What a configuration means where families give one key different meanings. */
enum {
	FAMILY_GELU_IS_TANH = 1 << 0,	/* "gelu" in old configurations means the tanh form */
	FAMILY_HALF_FF = 1 << 1,	/* the configuration's intermediate size counts both halves of a gated MLP */
	FAMILY_WINDOW_OPT_IN = 1 << 2,	/* a sliding window counts only with use_sliding_window */
	FAMILY_MULTI_QUERY = 1 << 3,	/* one key-value head unless multi_query is false */
	FAMILY_WIDE_PRE_ATTN = 1 << 4,	/* a GGUF of 46 or 62 layers scales queries by the width over the heads: it can't say so itself */
	FAMILY_GGUF_RENORM = 1 << 5,	/* a GGUF means renormalised expert weights where it does not say */
	FAMILY_GGUF_SOFTMAX = 1 << 6,	/* a GGUF means a plain softmax router, whatever the original had */
	FAMILY_GGUF_RMS = 1 << 7,	/* a GGUF means RMS norms (with biases), whatever the original had: what its users run */
	FAMILY_OWN_BIAS = 1 << 8,	/* which linears have biases is the class's, whatever attention_bias and mlp_bias say */
	FAMILY_PLAIN = 1 << 9,	/* its class does not look at windows, soft caps and experts, which a converted configuration may still have */
	FAMILY_CAPS = 1 << 10,	/* its class looks at soft caps, which other classes' configurations may name in vain */
	FAMILY_CAP_LAST = 1 << 11,	/* of these only at that of the logits */
	FAMILY_PARTIAL = 1 << 12,	/* the same of a share of the head that is rotated */
	FAMILY_LAYER_TYPES = 1 << 13,	/* the same of layer_types */
	FAMILY_OWN_KEYS = 1 << 14,	/* its configuration has some of the keys in config_hf.c's table of such */
	FAMILY_NO_O_BIAS = 1 << 15,	/* attention_bias is of queries, keys and values alone */
	FAMILY_ROPE_TEMPER = 1 << 16,	/* its rope_parameters say how queries grow with their position */
	FAMILY_GGUF_SELECT_BIAS = 1 << 17,	/* a sigmoid router of a GGUF has a bias for the choice */
	FAMILY_GGUF_WHOLE_ROPE = 1 << 19,	/* what runs a GGUF of it takes none that rotates less than whole heads */
	FAMILY_OWN_WIDTHS = 1 << 18,	/* its class does not look at intermediate_size and num_key_value_heads: it has keys of its own for them, or none */
	FAMILY_NO_RENORM = 1 << 20,	/* its class takes the weights of experts as they are, where other programs make them 1 in all if told so */
};

/* The embedding as Meta's and Mistral's own programs call it; files with their names pair neighbours in a head for the rotation. */
#define FAMILY_NATIVE_EMBED "tok_embeddings.weight"
#define FAMILY_NATIVE_VISION "vision_encoder."

struct family {
	const char *name;
	const char *hf[5];		/* `architectures` of config.json */
	const char *gguf[3];		/* general.architecture */
	struct family_names hf_names;
	bool hf_rope_interleaved, gguf_rope_interleaved;
	unsigned flags;
	const struct spec *base;	/* defaults; what the configuration says wins */
	const char *eps;		/* the key that its class has for the norms' epsilon; NULL: rms_norm_eps */
};

const struct family *family_by_hf(const char *architecture);	/* NULL: not one we know */
/* The family of the language model that such a thing is built on ("Qwen2ForSequenceClassification", "MistralModel"), or NULL. */
const struct family *family_under_hf(const char *architecture);
const struct family *family_by_gguf(const char *architecture);
const struct family *family_at(size_t i);			/* NULL past the last */
extern const struct family_name family_gguf_names[];		/* GGUF has one set of names for all */

/* Architectures that are no decoder-only text models and so are inspected but not run: the task, or NULL. */
const char *family_other_task(const char *hf_architecture);

#endif
