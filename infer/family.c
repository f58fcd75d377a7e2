/* family.c - the rows of family.h. A new family is a row, a struct spec of what its configurations leave unsaid, and its golden. */
#include "infer/family.h"

#include <string.h>

#include "base/str.h"

#define N(role, name) { ROLE_##role, name }

static const struct family_name names_llama[] = {
	N(EMBED, "^embed_tokens"), N(FINAL_NORM, "^norm"), N(HEAD, "lm_head"), N(HEAD, "language_model.lm_head"),
	N(TEXT_LABELS, "score"), N(TOKEN_LABELS, "score"),
	N(ATTN_NORM, "^layers.%L.input_layernorm"),
	N(Q, "^layers.%L.self_attn.q_proj"), N(K, "^layers.%L.self_attn.k_proj"), N(V, "^layers.%L.self_attn.v_proj"),
	N(O, "^layers.%L.self_attn.o_proj"), N(Q_NORM, "^layers.%L.self_attn.q_norm"), N(K_NORM, "^layers.%L.self_attn.k_norm"),
	N(FFN_NORM, "^layers.%L.post_attention_layernorm"),
	N(GATE, "^layers.%L.mlp.gate_proj"), N(UP, "^layers.%L.mlp.up_proj"), N(DOWN, "^layers.%L.mlp.down_proj"),
	/* the same in the files of the author's own programs (consolidated.safetensors) */
	N(EMBED, "tok_embeddings"), N(FINAL_NORM, "norm"), N(HEAD, "output"), N(ATTN_NORM, "layers.%L.attention_norm"),
	N(Q, "layers.%L.attention.wq"), N(K, "layers.%L.attention.wk"), N(V, "layers.%L.attention.wv"), N(O, "layers.%L.attention.wo"),
	N(FFN_NORM, "layers.%L.ffn_norm"), N(GATE, "layers.%L.feed_forward.w1"), N(UP, "layers.%L.feed_forward.w3"), N(DOWN, "layers.%L.feed_forward.w2"),
	{ 0 },
};
static const struct family_name names_mixtral[] = {
	N(ROUTER, "^layers.%L.block_sparse_moe.gate"), N(EXP_GATE, "^layers.%L.block_sparse_moe.experts.%E.w1"),
	N(EXP_UP, "^layers.%L.block_sparse_moe.experts.%E.w3"), N(EXP_DOWN, "^layers.%L.block_sparse_moe.experts.%E.w2"),
	/* as transformers 5 has them in memory, and may write them */
	N(ROUTER, "^layers.%L.mlp.gate"), N(EXP_GATE_UP, "^layers.%L.mlp.experts.gate_up_proj!"), N(EXP_DOWN, "^layers.%L.mlp.experts.down_proj!"),
	{ 0 },
};
static const struct family_name names_moe[] = {
	N(ROUTER, "^layers.%L.mlp.gate"), N(ROUTER_BIAS, "^layers.%L.mlp.gate.e_score_correction_bias!"),
	N(EXP_GATE, "^layers.%L.mlp.experts.%E.gate_proj"), N(EXP_UP, "^layers.%L.mlp.experts.%E.up_proj"),
	N(EXP_DOWN, "^layers.%L.mlp.experts.%E.down_proj"),
	N(EXP_GATE_UP, "^layers.%L.mlp.experts.gate_up_proj!"), N(EXP_DOWN, "^layers.%L.mlp.experts.down_proj!"),	/* all in one, by transformers 5 */
	N(SHARED_GATE, "^layers.%L.mlp.shared_expert.gate_proj"), N(SHARED_GATE, "^layers.%L.mlp.shared_experts.gate_proj"),
	N(SHARED_UP, "^layers.%L.mlp.shared_expert.up_proj"), N(SHARED_UP, "^layers.%L.mlp.shared_experts.up_proj"),
	N(SHARED_DOWN, "^layers.%L.mlp.shared_expert.down_proj"), N(SHARED_DOWN, "^layers.%L.mlp.shared_experts.down_proj"),
	N(SHARED_ROUTER, "^layers.%L.mlp.shared_expert_gate"),
	N(Q_A, "^layers.%L.self_attn.q_a_proj"), N(Q_A_NORM, "^layers.%L.self_attn.q_a_layernorm"), N(Q_B, "^layers.%L.self_attn.q_b_proj"),
	N(KV_A, "^layers.%L.self_attn.kv_a_proj_with_mqa"), N(KV_A_NORM, "^layers.%L.self_attn.kv_a_layernorm"),
	N(KV_B, "^layers.%L.self_attn.kv_b_proj"),
	{ 0 },
};
static const struct family_name names_gemma2[] = {
	N(ATTN_POST_NORM, "^layers.%L.post_attention_layernorm"), N(FFN_NORM, "^layers.%L.pre_feedforward_layernorm"),
	N(FFN_POST_NORM, "^layers.%L.post_feedforward_layernorm"),
	{ 0 },
};
static const struct family_name names_phi3[] = {
	N(QKV, "^layers.%L.self_attn.qkv_proj"), N(GATE_UP, "^layers.%L.mlp.gate_up_proj"),
	{ 0 },
};
static const struct family_name names_phi[] = {
	N(FINAL_NORM, "^final_layernorm"), N(O, "^layers.%L.self_attn.dense"), N(UP, "^layers.%L.mlp.fc1"), N(DOWN, "^layers.%L.mlp.fc2"),
	{ 0 },
};
static const struct family_name names_starcoder2[] = {
	N(UP, "^layers.%L.mlp.c_fc"), N(DOWN, "^layers.%L.mlp.c_proj"),
	{ 0 },
};
static const struct family_name names_glm4[] = {
	N(GATE_UP, "^layers.%L.mlp.gate_up_proj"), N(ATTN_POST_NORM, "^layers.%L.post_self_attn_layernorm"),
	N(FFN_POST_NORM, "^layers.%L.post_mlp_layernorm"),
	{ 0 },
};
static const struct family_name names_olmo2[] = {
	N(ATTN_POST_NORM, "^layers.%L.post_attention_layernorm"), N(FFN_POST_NORM, "^layers.%L.post_feedforward_layernorm"),
	{ 0 },
};
static const struct family_name names_llama4[] = {
	N(GATE, "^layers.%L.feed_forward.gate_proj"), N(UP, "^layers.%L.feed_forward.up_proj"), N(DOWN, "^layers.%L.feed_forward.down_proj"),
	N(ROUTER, "^layers.%L.feed_forward.router"), N(EXP_GATE_UP, "^layers.%L.feed_forward.experts.gate_up_proj!"),
	N(EXP_DOWN, "^layers.%L.feed_forward.experts.down_proj!"),
	/* one by one, as programs that pack them write them */
	N(EXP_GATE, "^layers.%L.feed_forward.experts.%E.gate_proj"), N(EXP_UP, "^layers.%L.feed_forward.experts.%E.up_proj"),
	N(EXP_DOWN, "^layers.%L.feed_forward.experts.%E.down_proj"),
	N(SHARED_GATE, "^layers.%L.feed_forward.shared_expert.gate_proj"), N(SHARED_UP, "^layers.%L.feed_forward.shared_expert.up_proj"),
	N(SHARED_DOWN, "^layers.%L.feed_forward.shared_expert.down_proj"),
	{ 0 },
};
static const struct family_name names_gpt2[] = {
	N(TEXT_LABELS, "score"), N(TOKEN_LABELS, "classifier"),
	N(EMBED, "^wte"), N(POS_EMBED, "^wpe"), N(FINAL_NORM, "^ln_f"), N(HEAD, "lm_head"), N(ATTN_NORM, "^h.%L.ln_1"),
	N(QKV, "^h.%L.attn.c_attn"), N(O, "^h.%L.attn.c_proj"), N(FFN_NORM, "^h.%L.ln_2"), N(UP, "^h.%L.mlp.c_fc"), N(DOWN, "^h.%L.mlp.c_proj"),
	{ 0 },
};
static const struct family_name names_qwen1[] = {
	N(GATE, "^h.%L.mlp.w2"), N(UP, "^h.%L.mlp.w1"),
	{ 0 },
};
static const struct family_name names_bloom[] = {
	N(TEXT_LABELS, "score"), N(TOKEN_LABELS, "classifier"),
	N(EMBED, "^word_embeddings"), N(EMBED_NORM, "^word_embeddings_layernorm"), N(FINAL_NORM, "^ln_f"), N(HEAD, "lm_head"),
	N(ATTN_NORM, "^h.%L.input_layernorm"), N(QKV, "^h.%L.self_attention.query_key_value"), N(O, "^h.%L.self_attention.dense"),
	N(FFN_NORM, "^h.%L.post_attention_layernorm"), N(UP, "^h.%L.mlp.dense_h_to_4h"), N(DOWN, "^h.%L.mlp.dense_4h_to_h"),
	{ 0 },
};
static const struct family_name names_grok[] = {
	N(EMBED, "^in_out_embed"), N(FINAL_NORM, "^rms_norm"), N(HEAD, "lm_head"),
	N(ATTN_NORM, "^decoder_layer.%L.rms_norm"), N(Q, "^decoder_layer.%L.multi_head_attention.query"),
	N(K, "^decoder_layer.%L.multi_head_attention.key"), N(V, "^decoder_layer.%L.multi_head_attention.value"),
	N(O, "^decoder_layer.%L.multi_head_attention.linear"), N(ATTN_POST_NORM, "^decoder_layer.%L.rms_norm_1"),
	N(FFN_NORM, "^decoder_layer.%L.rms_norm_2"), N(FFN_POST_NORM, "^decoder_layer.%L.rms_norm_3"), N(ROUTER, "^decoder_layer.%L.router"),
	N(EXP_GATE, "^decoder_layer.%L.moe.%E.linear"), N(EXP_UP, "^decoder_layer.%L.moe.%E.linear_v"), N(EXP_DOWN, "^decoder_layer.%L.moe.%E.linear_1"),
	/* the second of two conversions that are about */
	N(EMBED, "^embed_tokens"), N(FINAL_NORM, "^norm.scale!"), N(ATTN_NORM, "^layers.%L.pre_attn_norm.scale!"),
	N(Q, "^layers.%L.attn.q_proj"), N(K, "^layers.%L.attn.k_proj"), N(V, "^layers.%L.attn.v_proj"), N(O, "^layers.%L.attn.o_proj"),
	N(ATTN_POST_NORM, "^layers.%L.post_attn_norm.scale!"), N(FFN_NORM, "^layers.%L.pre_moe_norm.scale!"),
	N(FFN_POST_NORM, "^layers.%L.post_moe_norm.scale!"), N(ROUTER, "^layers.%L.moe_block.gate"),
	N(EXP_GATE, "^layers.%L.moe_block.experts.%E.linear"), N(EXP_UP, "^layers.%L.moe_block.experts.%E.linear_v"),
	N(EXP_DOWN, "^layers.%L.moe_block.experts.%E.linear_1"),
	{ 0 },
};

const struct family_name family_gguf_names[] = {
	N(EMBED, "token_embd"), N(POS_EMBED, "position_embd"), N(EMBED_NORM, "token_embd_norm"), N(FINAL_NORM, "output_norm"), N(HEAD, "output"),
	N(ROPE_FREQS, "rope_freqs"), N(ROPE_SHORT, "rope_factors_short"), N(ROPE_LONG, "rope_factors_long"),
	N(ATTN_NORM, "blk.%L.attn_norm"), N(Q, "blk.%L.attn_q"), N(K, "blk.%L.attn_k"), N(V, "blk.%L.attn_v"), N(QKV, "blk.%L.attn_qkv"),
	N(O, "blk.%L.attn_output"), N(Q_NORM, "blk.%L.attn_q_norm"), N(K_NORM, "blk.%L.attn_k_norm"),
	N(ATTN_POST_NORM, "blk.%L.post_attention_norm"), N(ATTN_POST_NORM, "blk.%L.attn_output_norm"),
	N(Q_A, "blk.%L.attn_q_a"), N(Q_A_NORM, "blk.%L.attn_q_a_norm"), N(Q_B, "blk.%L.attn_q_b"), N(KV_A, "blk.%L.attn_kv_a_mqa"),
	N(KV_A_NORM, "blk.%L.attn_kv_a_norm"), N(KV_B, "blk.%L.attn_kv_b"), N(K_B, "blk.%L.attn_k_b"), N(V_B, "blk.%L.attn_v_b"),
	N(FFN_NORM, "blk.%L.ffn_norm"), N(GATE, "blk.%L.ffn_gate"), N(UP, "blk.%L.ffn_up"), N(DOWN, "blk.%L.ffn_down"),
	N(GATE_UP, "blk.%L.ffn_up"),	/* where the family fuses them, it is called so */
	N(FFN_POST_NORM, "blk.%L.post_ffw_norm"), N(FFN_POST_NORM, "blk.%L.layer_output_norm"), N(ROUTER, "blk.%L.ffn_gate_inp"),
	N(ROUTER_BIAS, "blk.%L.exp_probs_b.bias!"), N(ROUTER_BIAS, "blk.%L.exp_probs_b!"),
	N(EXP_GATE, "blk.%L.ffn_gate_exps"), N(EXP_GATE, "blk.%L.ffn_gate.%E"), N(EXP_UP, "blk.%L.ffn_up_exps"), N(EXP_UP, "blk.%L.ffn_up.%E"),
	N(EXP_DOWN, "blk.%L.ffn_down_exps"), N(EXP_DOWN, "blk.%L.ffn_down.%E"),
	N(SHARED_GATE, "blk.%L.ffn_gate_shexp"), N(SHARED_UP, "blk.%L.ffn_up_shexp"), N(SHARED_DOWN, "blk.%L.ffn_down_shexp"),
	N(SHARED_ROUTER, "blk.%L.ffn_gate_inp_shexp"),
	{ 0 },
};

#define GATED .ffn_gated = true, .act = ACT_SILU
#define ROPE(t) .rope_config = { { .theta = t }, { .theta = t } }
#define PLAIN_LN .norm = NORM_LAYER, .eps = 1e-5, .act = ACT_GELU_TANH, .bias_qkv = true, .bias_o = true, .bias_ffn = true
#define ALL(n) { .rows = n, .also = NULL }
#define WITH(n, first) { .rows = n, .also = first }

static const struct spec base_llama = { .eps = 1e-6, GATED, ROPE(10000), .moe = { .renorm = true } };
static const struct spec base_ministral3 = { .eps = 1e-5, GATED, ROPE(1e6), .d_k = 128, .q_temper_all = true };
static const struct spec base_qwen2 = { .eps = 1e-6, GATED, ROPE(10000), .bias_qkv = true, .pattern = PATTERN_FROM, .pattern_n = 28 };
static const struct spec base_qwen2moe = { .eps = 1e-6, GATED, ROPE(10000), .bias_qkv = true, .moe = { .shared = SHARED_GATED } };
static const struct spec base_qwen3 = { .eps = 1e-6, GATED, ROPE(10000), .qk_norm = QK_NORM_HEAD, .pattern = PATTERN_FROM, .pattern_n = 28 };
static const struct spec base_mixtral = { .eps = 1e-5, GATED, ROPE(1e6), .moe = { .renorm = true, .n_expert = 8, .n_used = 2 } };
static const struct spec base_deepseek = { .eps = 1e-6, GATED, ROPE(10000), .moe = { .shared = SHARED_PLAIN, .scale = 1 } };
static const struct spec base_deepseek3 = { .eps = 1e-6, GATED, ROPE(10000),
	.moe = { .shared = SHARED_PLAIN, .score = ROUTER_SIGMOID, .group_score = GROUP_TOP2, .select_bias = true, .renorm = true, .scale = 2.5 } };
static const struct spec base_gemma = { .eps = 1e-6, .norm_plus1 = true, .ffn_gated = true, .act = ACT_GELU_TANH, ROPE(10000), .tied = true,
	.embed_scale = -1, .d_k = 256 };
static const struct spec base_gemma2 = { .eps = 1e-6, .norm_plus1 = true, .ffn_gated = true, .act = ACT_GELU_TANH, ROPE(10000), .tied = true,
	.embed_scale = -1, .d_k = 256, .post_norms = true, .query_pre_attn = 256, .attn_softcap = 50, .logit_softcap = 30, .window = 4096,
	.pattern = PATTERN_ALTERNATE };
static const struct spec base_gemma3 = { .eps = 1e-6, .norm_plus1 = true, .ffn_gated = true, .act = ACT_GELU_TANH, .tied = true,
	.rope_config = { { .theta = 1e6 }, { .theta = 10000 } }, .local_rope = true, .embed_scale = -1, .d_k = 256, .n_head = 8, .n_kv = 4,
	.n_vocab = 262208, .n_ctx = 131072, .d_model = 2304, .d_ff = 9216, .n_layer = 26, .post_norms = true, .query_pre_attn = 256,
	.window = 4096, .pattern = PATTERN_NTH_FULL, .pattern_n = 6, .qk_norm = QK_NORM_HEAD };
static const struct spec base_phi3 = { .eps = 1e-5, GATED, ROPE(10000) };
static const struct spec base_phimoe = { .norm = NORM_LAYER, .eps = 1e-5, GATED, ROPE(1e6), .bias_qkv = true, .bias_o = true, .bias_head = true,
	.moe = { .score = ROUTER_SPARSEMIXER, .jitter = 0.01, .n_expert = 16, .n_used = 2 } };
static const struct spec base_phi = { PLAIN_LN, ROPE(10000), .bias_head = true, .parallel = true, .partial_rotary = 0.5 };
static const struct spec base_llama4 = { .eps = 1e-5, GATED, ROPE(500000), .nope_every = 4, .chunk = 8192, .qk_norm = QK_NORM_L2,
	.q_temper_scale = 0.1, .q_temper_floor = 8192,
	.moe = { .score = ROUTER_SIGMOID, .weight_at_input = true, .shared = SHARED_PLAIN, .n_shared = 1, .n_used = 1, .step = 1 } };
static const struct spec base_smollm3 = { .eps = 1e-6, GATED, ROPE(2e6), .nope_every = 4, .tied = true };
static const struct spec base_starcoder2 = { PLAIN_LN, ROPE(10000), .tied = true };
static const struct spec base_gpt2 = { PLAIN_LN, .pos = POS_LEARNED, .tied = true };
static const struct spec base_bloom = { PLAIN_LN, .pos = POS_ALIBI, .embed_norm = true, .qkv_per_head = true, .tied = true, .n_ctx = 2048 };
static const struct spec base_grok = { .eps = 1e-5, .ffn_gated = true, .act = ACT_GELU_TANH, ROPE(10000), .post_norms = true, .tied = true,
	.embed_scale = 78.38367176906169, .logit_scale = 0.5773502691896257, .attn_scale = 0.08838834764831845, .attn_softcap = 30,
	.moe = { .n_expert = 8, .n_used = 2 } };

static const struct spec base_olmo2 = { .eps = 1e-5, GATED, ROPE(10000), .no_pre_norms = true, .post_norms = true, .qk_norm = QK_NORM_ALL };
static const struct spec base_granite = { .eps = 1e-6, GATED, ROPE(10000), .attn_scale = 1 };
static const struct spec base_glm = { .eps = 1.5625e-7, GATED, ROPE(10000), .d_k = 128, .n_kv = 2, .bias_qkv = true, .partial_rotary = 0.5 };
static const struct spec base_glm4 = { .eps = 1.5625e-7, GATED, ROPE(10000), .d_k = 128, .n_kv = 2, .bias_qkv = true, .partial_rotary = 0.5, .post_norms = true };
static const struct spec base_cohere = { .norm = NORM_LAYER, .norm_bare = true, .eps = 1e-5, GATED, ROPE(500000), .parallel = true, .tied = true, .logit_scale = 0.0625 };
static const struct spec base_cohere2 = { .norm = NORM_LAYER, .norm_bare = true, .eps = 1e-5, GATED, ROPE(10000), .parallel = true, .tied = true, .logit_scale = 0.0625,
	.window = 4096, .pattern = PATTERN_NTH_FULL, .pattern_n = 4, .nope_full = true };
static const struct spec base_falcon = { .norm = NORM_LAYER, .eps = 1e-5, .act = ACT_GELU_ERF, ROPE(10000), .parallel = true, .tied = true,
	.n_ctx = 2048 };
static const struct spec base_seed_oss = { .eps = 1e-6, GATED, ROPE(10000), .d_k = 128, .bias_qkv = true };
static const struct spec base_ernie4_5 = { .eps = 1e-5, GATED, ROPE(500000), .d_k = 128, .tied = true };
static const struct spec base_stablelm = { .norm = NORM_LAYER, .eps = 1e-5, GATED, ROPE(10000), .partial_rotary = 0.25 };

static const struct family families[] = {
	{ "llama", { "LlamaForCausalLM", "LLaMAForCausalLM" }, { "llama" }, ALL(names_llama), false, true, FAMILY_PLAIN | FAMILY_GGUF_WHOLE_ROPE, &base_llama, NULL },
	{ "mistral", { "MistralForCausalLM", "MinistralForCausalLM", "Mistral3ForConditionalGeneration" }, { "mistral3" }, ALL(names_llama), false, true,
		FAMILY_OWN_BIAS | FAMILY_LAYER_TYPES, &base_llama, NULL },	/* with layer_types it is taken for a Ministral */
	{ "ministral3", { "Ministral3ForCausalLM" }, { NULL }, ALL(names_llama), false, true, FAMILY_OWN_BIAS | FAMILY_ROPE_TEMPER, &base_ministral3, NULL },
	{ "mixtral", { "MixtralForCausalLM" }, { NULL }, WITH(names_llama, names_mixtral), false, true, FAMILY_OWN_BIAS, &base_mixtral, NULL },
	{ "qwen", { "QWenLMHeadModel" }, { "qwen" }, WITH(names_gpt2, names_qwen1), false, false, FAMILY_HALF_FF,
		&(const struct spec){ .eps = 1e-6, GATED, ROPE(10000), .bias_qkv = true }, "layer_norm_epsilon" },
	{ "qwen2", { "Qwen2ForCausalLM", "Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration" }, { "qwen2" }, ALL(names_llama), false, false, FAMILY_WINDOW_OPT_IN | FAMILY_OWN_BIAS | FAMILY_LAYER_TYPES, &base_qwen2, NULL },
	{ "qwen2_moe", { "Qwen2MoeForCausalLM" }, { "qwen2moe" }, WITH(names_llama, names_moe), false, false, FAMILY_WINDOW_OPT_IN | FAMILY_LAYER_TYPES, &base_qwen2moe, NULL },
	{ "qwen3", { "Qwen3ForCausalLM", "Qwen3VLForConditionalGeneration" }, { "qwen3" }, ALL(names_llama), false, false, FAMILY_WINDOW_OPT_IN | FAMILY_LAYER_TYPES, &base_qwen3, NULL },
	{ "qwen3_moe", { "Qwen3MoeForCausalLM" }, { "qwen3moe" }, WITH(names_llama, names_moe), false, false, FAMILY_WINDOW_OPT_IN | FAMILY_GGUF_RENORM,
		&(const struct spec){ .eps = 1e-6, GATED, ROPE(10000), .qk_norm = QK_NORM_HEAD }, NULL },
	{ "deepseek", { "DeepseekForCausalLM" }, { "deepseek" }, WITH(names_llama, names_moe), false, true, 0, &base_deepseek, NULL },
	{ "deepseek_v2", { "DeepseekV2ForCausalLM" }, { "deepseek2" }, WITH(names_llama, names_moe), true, true, FAMILY_GGUF_SELECT_BIAS | FAMILY_NO_RENORM, &base_deepseek, NULL },
	{ "deepseek_v3", { "DeepseekV3ForCausalLM" }, { NULL }, WITH(names_llama, names_moe), true, true, 0, &base_deepseek3, NULL },
	{ "gemma", { "GemmaForCausalLM" }, { "gemma" }, ALL(names_llama), false, false, FAMILY_GELU_IS_TANH | FAMILY_PLAIN, &base_gemma, NULL },
	{ "gemma2", { "Gemma2ForCausalLM" }, { "gemma2" }, WITH(names_llama, names_gemma2), false, false, FAMILY_GELU_IS_TANH | FAMILY_WIDE_PRE_ATTN | FAMILY_CAPS | FAMILY_LAYER_TYPES, &base_gemma2, NULL },
	{ "gemma3", { "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration" }, { "gemma3" }, WITH(names_llama, names_gemma2), false, false,
		FAMILY_GELU_IS_TANH | FAMILY_WIDE_PRE_ATTN | FAMILY_CAPS | FAMILY_CAP_LAST | FAMILY_LAYER_TYPES, &base_gemma3, NULL },
	{ "phi3", { "Phi3ForCausalLM" }, { "phi3" }, WITH(names_llama, names_phi3), false, false, FAMILY_OWN_BIAS | FAMILY_PARTIAL, &base_phi3, NULL },
	{ "phimoe", { "PhimoeForCausalLM", "PhiMoEForCausalLM" }, { "phimoe" }, WITH(names_llama, names_mixtral), false, false, FAMILY_GGUF_SOFTMAX | FAMILY_GGUF_RENORM | FAMILY_GGUF_RMS, &base_phimoe, NULL },
	{ "phi", { "PhiForCausalLM" }, { "phi2" }, WITH(names_llama, names_phi), false, false, FAMILY_PARTIAL | FAMILY_OWN_BIAS, &base_phi, "layer_norm_eps" },
	{ "llama4", { "Llama4ForCausalLM", "Llama4ForConditionalGeneration" }, { "llama4" },
		{ .rows = names_llama, .also = names_llama4, .experts_transposed = true }, true, true, FAMILY_LAYER_TYPES, &base_llama4, NULL },
	{ "olmo2", { "Olmo2ForCausalLM" }, { NULL }, WITH(names_llama, names_olmo2), false, false, FAMILY_PLAIN, &base_olmo2, NULL },
	{ "granite", { "GraniteForCausalLM" }, { NULL }, ALL(names_llama), false, false, FAMILY_PLAIN | FAMILY_OWN_KEYS, &base_granite, NULL },
	{ "glm4", { "Glm4ForCausalLM" }, { NULL }, WITH(names_llama, names_glm4), true, false, FAMILY_PLAIN | FAMILY_PARTIAL | FAMILY_NO_O_BIAS, &base_glm4, NULL },
	{ "glm", { "GlmForCausalLM" }, { NULL }, WITH(names_llama, names_glm4), true, false, FAMILY_PLAIN | FAMILY_PARTIAL | FAMILY_NO_O_BIAS, &base_glm, NULL },
	{ "cohere", { "CohereForCausalLM" }, { NULL }, ALL(names_llama), true, false, FAMILY_PLAIN | FAMILY_OWN_KEYS, &base_cohere, "layer_norm_eps" },
	{ "cohere2", { "Cohere2ForCausalLM" }, { NULL }, ALL(names_llama), true, false, FAMILY_LAYER_TYPES | FAMILY_OWN_KEYS, &base_cohere2, "layer_norm_eps" },
	{ "falcon", { "FalconForCausalLM", "RWForCausalLM" }, { NULL }, ALL(names_bloom), false, false, FAMILY_PLAIN | FAMILY_OWN_KEYS | FAMILY_MULTI_QUERY | FAMILY_OWN_WIDTHS | FAMILY_OWN_BIAS,
		&base_falcon, "layer_norm_epsilon" },
	{ "seed_oss", { "SeedOssForCausalLM" }, { NULL }, ALL(names_llama), false, false, FAMILY_PLAIN | FAMILY_OWN_KEYS, &base_seed_oss, NULL },
	{ "ernie4_5", { "Ernie4_5ForCausalLM" }, { NULL }, ALL(names_llama), true, false, FAMILY_PLAIN, &base_ernie4_5, NULL },
	{ "stablelm", { "StableLmForCausalLM" }, { NULL }, ALL(names_llama), false, false, FAMILY_PLAIN | FAMILY_PARTIAL | FAMILY_OWN_KEYS | FAMILY_OWN_BIAS, &base_stablelm, "layer_norm_eps" },
	{ "smollm3", { "SmolLM3ForCausalLM" }, { "smollm3" }, ALL(names_llama), false, true, FAMILY_WINDOW_OPT_IN | FAMILY_LAYER_TYPES, &base_smollm3, NULL },
	{ "starcoder2", { "Starcoder2ForCausalLM" }, { "starcoder2" }, WITH(names_llama, names_starcoder2), false, false, FAMILY_OWN_BIAS, &base_starcoder2, "norm_epsilon" },
	{ "gpt_bigcode", { "GPTBigCodeForCausalLM" }, { "starcoder" }, ALL(names_gpt2), false, false, FAMILY_MULTI_QUERY | FAMILY_OWN_WIDTHS | FAMILY_OWN_BIAS, &base_gpt2, "layer_norm_epsilon" },
	{ "gpt2", { "GPT2LMHeadModel" }, { "gpt2" }, { .rows = names_gpt2, .conv1d = true }, false, false, FAMILY_OWN_WIDTHS | FAMILY_OWN_BIAS, &base_gpt2, "layer_norm_epsilon" },
	{ "bloom", { "BloomForCausalLM", "BloomModel" }, { "bloom" }, ALL(names_bloom), false, false, FAMILY_OWN_WIDTHS | FAMILY_OWN_BIAS, &base_bloom, "layer_norm_epsilon" },
	{ "grok", { "Grok1ForCausalLM", "Grok1ModelForCausalLM", "GrokForCausalLM" }, { "grok" }, ALL(names_grok), false, false, FAMILY_GGUF_RENORM | FAMILY_CAPS, &base_grok, NULL },
};

const struct family *family_at(size_t i)
{
	return i < ARRAY_LEN(families) ? &families[i] : NULL;
}

const struct family *family_by_hf(const char *architecture)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		for (size_t j = 0; j < ARRAY_LEN(families[i].hf) && families[i].hf[j]; j++)
			if (strcmp(families[i].hf[j], architecture) == 0)
				return &families[i];
	return NULL;
}

const struct family *family_under_hf(const char *architecture)
{
	static const char *const ends[] = { "ForSequenceClassification", "ForTokenClassification", "ForRewardModel", "RewardModel", "TextModel", "Model" };
	static const char *const heads[] = { "ForCausalLM", "LMHeadModel" };
	char name[100];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if (!str_ends(architecture, ends[i]))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(heads); k++) {
			snprintf(name, sizeof(name), "%.*s%s", (int)(strlen(architecture) - strlen(ends[i])), architecture, heads[k]);
			if (family_by_hf(name))
				return family_by_hf(name);
		}
	}
	return NULL;
}

const struct family *family_by_gguf(const char *architecture)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		for (size_t j = 0; j < ARRAY_LEN(families[i].gguf) && families[i].gguf[j]; j++)
			if (strcmp(families[i].gguf[j], architecture) == 0)
				return &families[i];
	return NULL;
}

/* By how architectures are called, and as the Hub shows models of them. The first match counts. */
const char *family_other_task(const char *architecture)
{
	static const struct {
		const char *pattern, *task;
	} tasks[] = {
		/* what is heard */
		{ "*ForCTC", "automatic-speech-recognition" }, { "*ForSpeechSeq2Seq", "automatic-speech-recognition" },
		{ "*ForAudioClassification", "audio-classification" }, { "*ForAudioFrameClassification", "audio-classification" },
		{ "*ForXVector", "audio-classification" }, { "Wav2Vec2*ForSequenceClassification", "audio-classification" },
		{ "UniSpeech*ForSequenceClassification", "audio-classification" }, { "HubertForSequenceClassification", "audio-classification" }, { "WavLMForSequenceClassification", "audio-classification" },
		{ "Whisper*", "automatic-speech-recognition" }, { "Speech2Text*", "automatic-speech-recognition" },
		{ "SpeechEncoderDecoderModel", "automatic-speech-recognition" }, { "Moonshine*", "automatic-speech-recognition" },
		{ "*ForSpeechToText", "automatic-speech-recognition" }, { "SeamlessM4T*", "automatic-speech-recognition" },
		{ "*ForTextToSpeech", "text-to-speech" }, { "VitsModel", "text-to-speech" }, { "BarkModel", "text-to-speech" }, { "ParlerTTS*", "text-to-speech" },
		{ "Dia*", "text-to-speech" }, { "Csm*", "text-to-speech" }, { "Musicgen*", "text-to-audio" }, { "*AudioForConditionalGeneration", "audio-text-to-text" },
		{ "ClapModel", "zero-shot-audio-classification" },
		/* what is seen */
		{ "*ForImageClassification*", "image-classification" }, { "*ForVideoClassification", "video-classification" },
		{ "Owl*ForObjectDetection", "zero-shot-object-detection" }, { "GroundingDino*", "zero-shot-object-detection" },
		{ "*ForObjectDetection", "object-detection" }, { "*ForDepthEstimation", "depth-estimation" }, { "*Segmentation", "image-segmentation" },
		{ "*ForImageSuperResolution", "image-to-image" }, { "Sam*Model", "mask-generation" }, { "*ForKeypointDetection", "keypoint-detection" },
		{ "CLIPText*", "feature-extraction" }, { "*VisionModel*", "image-feature-extraction" }, { "CLIP*", "zero-shot-image-classification" },
		{ "Siglip*Model", "zero-shot-image-classification" }, { "ChineseCLIPModel", "zero-shot-image-classification" },
		{ "*ForMaskedImageModeling", "image-feature-extraction" }, { "ViTMAE*", "image-feature-extraction" }, { "ViT*Model", "image-feature-extraction" },
		{ "DeiTModel", "image-feature-extraction" }, { "BeitModel", "image-feature-extraction" }, { "Dinov2*Model", "image-feature-extraction" },
		{ "DINOv3*Model", "image-feature-extraction" }, { "Swin*Model", "image-feature-extraction" }, { "ConvNext*Model", "image-feature-extraction" },
		{ "ResNetModel", "image-feature-extraction" }, { "SegformerModel", "image-feature-extraction" },
		{ "BlipForConditionalGeneration", "image-to-text" }, { "VisionEncoderDecoderModel", "image-to-text" },
		{ "BlipForQuestionAnswering", "visual-question-answering" }, { "ViltForQuestionAnswering", "visual-question-answering" },
		{ "LayoutLM*ForQuestionAnswering", "document-question-answering" }, { "Col*ForRetrieval", "visual-document-retrieval" },
		/* what is read */
		{ "*ForSequenceClassification", "text-classification" }, { "*ForTokenClassification", "token-classification" }, { "*ForMaskedLM", "fill-mask" },
		{ "TapasForQuestionAnswering", "table-question-answering" }, { "*ForQuestionAnswering", "question-answering" },
		{ "*ForMultipleChoice", "multiple-choice" }, { "BertForPreTraining", "fill-mask" }, { "AlbertForPreTraining", "fill-mask" },
		{ "*ForPreTraining", "feature-extraction" }, { "*Reranker*", "text-ranking" }, { "*EncoderModel", "feature-extraction" },
		{ "Marian*", "translation" }, { "M2M100ForConditionalGeneration", "translation" }, { "NllbMoeForConditionalGeneration", "translation" },
		{ "FSMTForConditionalGeneration", "translation" }, { "Pegasus*ForConditionalGeneration", "summarization" },
		{ "BigBirdPegasusForConditionalGeneration", "summarization" }, { "MvpForConditionalGeneration", "text2text-generation" },
		{ "T5Gemma2ForConditionalGeneration", "image-text-to-text" },
		{ "T5*", "text2text-generation" }, { "*T5ForConditionalGeneration", "text2text-generation" },
		{ "*BartForConditionalGeneration", "text2text-generation" }, { "LEDForConditionalGeneration", "text2text-generation" },
		{ "*ProphetNetForConditionalGeneration", "text2text-generation" }, { "Blenderbot*ForConditionalGeneration", "text2text-generation" },
		{ "SwitchTransformersForConditionalGeneration", "text2text-generation" }, { "EncoderDecoderModel", "text2text-generation" },
		/* what is seen and read: a class that is none of these may as well hear, or only read */
		{ "*VL*ForConditionalGeneration", "image-text-to-text" }, { "*Vl*ForConditionalGeneration", "image-text-to-text" },
		{ "*Vision*ForConditionalGeneration", "image-text-to-text" }, { "*Ocr*ForConditionalGeneration", "image-text-to-text" },
		{ "*OCR*ForConditionalGeneration", "image-text-to-text" }, { "*Llava*ForConditionalGeneration", "image-text-to-text" },
		{ "*Blip*ForConditionalGeneration", "image-text-to-text" }, { "*Kosmos2*ForConditionalGeneration", "image-text-to-text" },
		{ "Idefics*ForConditionalGeneration", "image-text-to-text" }, { "*Florence*ForConditionalGeneration", "image-text-to-text" },
		{ "PaliGemmaForConditionalGeneration", "image-text-to-text" }, { "Gemma3nForConditionalGeneration", "image-text-to-text" },
		{ "Gemma4*ForConditionalGeneration", "image-text-to-text" }, { "MllamaForConditionalGeneration", "image-text-to-text" },
		{ "Glm4*vForConditionalGeneration", "image-text-to-text" }, { "Glm4vMoeForConditionalGeneration", "image-text-to-text" },
		{ "Glm46VForConditionalGeneration", "image-text-to-text" }, { "Qwen3_5*ForConditionalGeneration", "image-text-to-text" },
		{ "AriaForConditionalGeneration", "image-text-to-text" }, { "ChameleonForConditionalGeneration", "image-text-to-text" },
		{ "Emu3ForConditionalGeneration", "image-text-to-text" }, { "JanusForConditionalGeneration", "image-text-to-text" },
		{ "Molmo*ForConditionalGeneration", "image-text-to-text" }, { "Ovis*ForConditionalGeneration", "image-text-to-text" },
		{ "PerceptionLMForConditionalGeneration", "image-text-to-text" }, { "Pix2StructForConditionalGeneration", "image-text-to-text" },
		{ "UdopForConditionalGeneration", "image-text-to-text" }, { "VideoLlama*ForConditionalGeneration", "image-text-to-text" },
		{ "GraniteDoclingForConditionalGeneration", "image-text-to-text" }, { "Kimi_K25ForConditionalGeneration", "image-text-to-text" },
		{ "FuyuForCausalLM", "image-text-to-text" }, { "GitForCausalLM", "image-text-to-text" }, { "*ForVisionText2Text", "image-text-to-text" },
		{ "*ForPrediction", "time-series-forecasting" },
		/* what is drawn */
		{ "*UNet*", "text-to-image" }, { "*Transformer2DModel", "text-to-image" },
		{ "*VideoToVideo*Pipeline", "video-to-video" }, { "*ImageToVideo*Pipeline", "image-to-video" }, { "*Image2Video*Pipeline", "image-to-video" },
		{ "*I2V*Pipeline", "image-to-video" }, { "StableVideoDiffusionPipeline", "image-to-video" }, { "ConsisIDPipeline", "image-to-video" },
		{ "*TextToImagePipeline", "text-to-image" }, { "*Video*Pipeline", "text-to-video" }, { "Wan*Pipeline", "text-to-video" },
		{ "*T2V*Pipeline", "text-to-video" }, { "LTX*Pipeline", "text-to-video" }, { "MochiPipeline", "text-to-video" },
		{ "AllegroPipeline", "text-to-video" }, { "AnimateDiff*Pipeline", "text-to-video" }, { "LattePipeline", "text-to-video" },
		{ "SkyReels*Pipeline", "text-to-video" }, { "EasyAnimate*Pipeline", "text-to-video" }, { "Cosmos*WorldPipeline", "text-to-video" },
		{ "Helios*Pipeline", "text-to-video" }, { "*Audio*Pipeline", "text-to-audio" }, { "MusicLDMPipeline", "text-to-audio" },
		{ "AceStepPipeline", "text-to-audio" }, { "DanceDiffusionPipeline", "text-to-audio" },
		{ "ShapEImg2ImgPipeline", "image-to-3d" }, { "ShapEPipeline", "text-to-3d" }, { "MarigoldDepthPipeline", "depth-estimation" },
		{ "DDPMPipeline", "unconditional-image-generation" }, { "DDIMPipeline", "unconditional-image-generation" },
		{ "PNDMPipeline", "unconditional-image-generation" }, { "ScoreSdeVePipeline", "unconditional-image-generation" },
		{ "KarrasVePipeline", "unconditional-image-generation" }, { "LDMPipeline", "unconditional-image-generation" },
		{ "ConsistencyModelPipeline", "unconditional-image-generation" }, { "DiTPipeline", "unconditional-image-generation" },
		{ "*Img2Img*Pipeline", "image-to-image" }, { "*Pix2Pix*Pipeline", "image-to-image" }, { "*SuperResolutionPipeline", "image-to-image" },
		{ "*UpscalePipeline", "image-to-image" }, { "*Edit*Pipeline", "image-to-image" }, { "*Kontext*Pipeline", "image-to-image" },
		{ "*ImageVariationPipeline", "image-to-image" }, { "LLaDA*Pipeline", "text-generation" }, { "*Pipeline", "text-to-image" },
		{ "*ForCausalLM", NULL }, { "*LMHeadModel", NULL }, { "*Model", "feature-extraction" },
	};

	for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
		if (str_glob(tasks[i].pattern, architecture))
			return tasks[i].task;
	return NULL;
}
