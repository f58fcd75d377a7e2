/* config.c - the table of config.h, and a GGUF's key-values. config.json is read in config_hf.c. */
#include "infer/config_parts.h"

#include "base/str.h"

#define AT(member) offsetof(struct spec, member)

const struct config_key config_keys[] = {
	{ "hidden_size n_embd n_embed d_model", "embedding_length", CONFIG_U32, AT(d_model) },
	{ "num_hidden_layers n_layer num_layers", "block_count", CONFIG_U32, AT(n_layer) },
	{ "vocab_size", "vocab_size", CONFIG_U32, AT(n_vocab) },
	{ "max_position_embeddings n_positions seq_length n_ctx", "context_length", CONFIG_U32, AT(n_ctx) },
	{ "num_attention_heads n_head num_heads", "attention.head_count", CONFIG_U32, AT(n_head) },
	{ "num_key_value_heads num_kv_heads", "attention.head_count_kv", CONFIG_U32, AT(n_kv) },
	{ "head_dim kv_channels", "attention.key_length", CONFIG_U32, AT(d_k) },
	{ "v_head_dim", "attention.value_length", CONFIG_U32, AT(d_v) },
	{ "intermediate_size n_inner ffn_dim ffn_hidden_size", "feed_forward_length", CONFIG_U32, AT(d_ff) },
	{ "intermediate_size_mlp", "", CONFIG_U32, AT(d_ff_dense) },
	{ "rms_norm_eps layer_norm_epsilon layer_norm_eps norm_epsilon", "attention.layer_norm_rms_epsilon attention.layer_norm_epsilon", CONFIG_F64, AT(eps) },
	{ "rope_theta rotary_emb_base", "rope.freq_base", CONFIG_F64, AT(rope_config[0].theta) },
	{ "rope_local_base_freq", "rope.freq_base_swa", CONFIG_F64, AT(rope_config[1].theta) },
	{ "partial_rotary_factor rotary_pct", "", CONFIG_F64, AT(partial_rotary) },
	{ "", "rope.dimension_count", CONFIG_U32, AT(n_rot) },
	{ "sliding_window", "attention.sliding_window", CONFIG_U32, AT(window) },
	{ "max_window_layers sliding_window_pattern", "", CONFIG_U32, AT(pattern_n) },
	{ "attention_chunk_size", "attention.chunk_size", CONFIG_U32, AT(chunk) },
	{ "no_rope_layer_interval", "", CONFIG_U32, AT(nope_every) },
	{ "attn_scale", "", CONFIG_F64, AT(q_temper_scale) },
	{ "floor_scale", "", CONFIG_F64, AT(q_temper_floor) },
	{ "query_pre_attn_scalar", "", CONFIG_F64, AT(query_pre_attn) },
	{ "attn_output_multiplier", "", CONFIG_F64, AT(attn_scale) },
	{ "attn_logit_softcapping max_attn_value", "attn_logit_softcapping", CONFIG_F64, AT(attn_softcap) },
	{ "final_logit_softcapping", "final_logit_softcapping", CONFIG_F64, AT(logit_softcap) },
	{ "embedding_multiplier_scale", "", CONFIG_F64, AT(embed_scale) },
	{ "output_multiplier_scale", "logit_scale", CONFIG_F64, AT(logit_scale) },
	{ "num_local_experts num_experts n_routed_experts", "expert_count", CONFIG_U32, AT(moe.n_expert) },
	{ "num_experts_per_tok num_selected_experts", "expert_used_count", CONFIG_U32, AT(moe.n_used) },
	{ "moe_intermediate_size", "expert_feed_forward_length", CONFIG_U32, AT(moe.d_ff) },
	{ "shared_expert_intermediate_size", "expert_shared_feed_forward_length", CONFIG_U32, AT(moe.d_shared) },
	{ "n_shared_experts", "expert_shared_count", CONFIG_U32, AT(moe.n_shared) },
	{ "norm_topk_prob", "expert_weights_norm", CONFIG_BOOL, AT(moe.renorm) },
	{ "routed_scaling_factor", "expert_weights_scale", CONFIG_F64, AT(moe.scale) },
	{ "router_jitter_noise", "", CONFIG_F64, AT(moe.jitter) },
	{ "n_group", "expert_group_count", CONFIG_U32, AT(moe.n_group) },
	{ "topk_group", "expert_group_used_count", CONFIG_U32, AT(moe.n_group_used) },
	{ "first_k_dense_replace", "leading_dense_block_count", CONFIG_U32, AT(moe.first_dense) },
	{ "decoder_sparse_step interleave_moe_layer_step", "interleave_moe_layer_step", CONFIG_U32, AT(moe.step) },
	{ "q_lora_rank", "attention.q_lora_rank", CONFIG_U32, AT(mla.q_lora) },
	{ "kv_lora_rank", "attention.kv_lora_rank", CONFIG_U32, AT(mla.kv_lora) },
	{ "qk_nope_head_dim", "", CONFIG_U32, AT(mla.d_nope) },
	{ "qk_rope_head_dim", "", CONFIG_U32, AT(mla.d_rope) },
	{ "num_nextn_predict_layers", "nextn_predict_layers", CONFIG_U32, AT(n_extra_layers) },
	{ "rope_interleave", "", CONFIG_BOOL, AT(rope_interleaved) },
	{ "tie_word_embeddings", "", CONFIG_BOOL, AT(tied) },
	{ "attention_bias qkv_bias", "", CONFIG_BOOL, AT(bias_qkv) },
	{ "attention_bias", "", CONFIG_BOOL, AT(bias_o) },
	{ "mlp_bias", "", CONFIG_BOOL, AT(bias_ffn) },
	{ "lm_head_bias", "", CONFIG_BOOL, AT(bias_head) },
	{ 0 },
};

int config_store(struct spec *s, const struct config_key *key, double value, const char *name, struct err *e)
{
	char *to = (char *)s + key->offset;

	switch (key->type) {
	case CONFIG_U32:
		if (!(value >= 0 && value <= UINT32_MAX) || value != (double)(uint32_t)value)
			return err_set(e, ERR_INPUT, "the configuration's %s is %g, which is no plausible count", name, value);
		*(uint32_t *)(void *)to = (uint32_t)value;
		return 0;
	case CONFIG_F64:
		if (!(value >= -1e12 && value <= 1e12))
			return err_set(e, ERR_INPUT, "the configuration's %s is %g", name, value);
		*(double *)(void *)to = value;
		return 0;
	case CONFIG_BOOL:
		*(bool *)(void *)to = value != 0;
		return 0;
	}
	return 0;
}

bool config_next_name(const char **list, char out[CONFIG_NAME_MAX])
{
	size_t n = strcspn(*list, " ");

	if (n == 0 || n >= CONFIG_NAME_MAX)
		return false;
	memcpy(out, *list, n);
	out[n] = '\0';
	*list += n + ((*list)[n] == ' ');
	return true;
}

static bool gguf_number(const struct gguf *g, const char *key, double *out)
{
	const struct gguf_kv *kv = gguf_find_kv(g, key);
	bool b;

	if (gguf_f64(g, key, out))
		return true;
	if (gguf_bool(g, key, &b)) {
		*out = b;
		return true;
	}
	return kv && kv->type == GGUF_KV_ARRAY && kv->n > 0 && gguf_kv_f64(kv, 0, out);
}

/* Some converters write one number for each layer. We have one for all. */
static int check_uniform(const struct gguf *g, const char *key, struct err *e)
{
	const struct gguf_kv *kv = gguf_find_kv(g, key);
	double first, v;

	if (!kv || kv->type != GGUF_KV_ARRAY || kv->n == 0 || !gguf_kv_f64(kv, 0, &first))
		return 0;
	for (uint64_t i = 1; i < kv->n && i < SPEC_LAYERS_MAX; i++)
		if (!gguf_kv_f64(kv, i, &v) || v != first)
			return err_set(e, ERR_UNSUPPORTED, "not run: %s differs between layers", key);
	return 0;
}

static int gguf_scaling(struct rope_config *c, const struct gguf *g, const char *arch, struct err *e)
{
	static const char *const ones[] = { "yarn_ext_factor", "yarn_attn_factor" };	/* what they do otherwise, we don't */
	char key[CONFIG_NAME_MAX];
	const char *type;
	double v;

	snprintf(key, sizeof(key), "%s.rope.scaling.type", arch);
	type = gguf_str(g, key);
	snprintf(key, sizeof(key), "%s.rope.scaling.factor", arch);
	gguf_f64(g, key, &c->factor);
	snprintf(key, sizeof(key), "%s.rope.scaling.original_context_length", arch);
	gguf_f64(g, key, &c->original_ctx);
	snprintf(key, sizeof(key), "%s.rope.scaling.attn_factor", arch);
	gguf_f64(g, key, &c->attn_factor);
	snprintf(key, sizeof(key), "%s.rope.scaling.yarn_log_multiplier", arch);
	if (gguf_f64(g, key, &v)) {
		c->mscale_all_dim = v / 0.1;
		c->mscale = c->mscale_all_dim;
	}
	c->beta_fast = 32;
	c->beta_slow = 1;
	snprintf(key, sizeof(key), "%s.rope.scaling.yarn_beta_fast", arch);
	gguf_f64(g, key, &c->beta_fast);
	snprintf(key, sizeof(key), "%s.rope.scaling.yarn_beta_slow", arch);
	gguf_f64(g, key, &c->beta_slow);
	for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
		snprintf(key, sizeof(key), "%s.rope.scaling.%s", arch, ones[i]);
		if (gguf_f64(g, key, &v) && v != 1)
			return err_set(e, ERR_UNSUPPORTED, "not run: %s is %g", key, v);
	}
	if (!type || strcmp(type, "none") == 0)
		return 0;
	if (strcmp(type, "linear") == 0)
		c->scaling = ROPE_LINEAR;
	else if (strcmp(type, "yarn") == 0)
		c->scaling = ROPE_YARN;
	else if (strcmp(type, "longrope") == 0)
		c->scaling = ROPE_LONG;
	else
		return err_set(e, ERR_UNSUPPORTED, "not run: rope scaling \"%.40s\"", type);
	return 0;
}

/* A GGUF gives lengths of whole heads where config.json gives their parts. */
static void gguf_mla(struct spec *s, const struct gguf *g, const char *arch)
{
	char key[CONFIG_NAME_MAX];
	uint64_t v;

	if (s->mla.kv_lora == 0)
		return;
	snprintf(key, sizeof(key), "%s.attention.key_length_mla", arch);	/* files with the absorbed form keep the plain one here */
	if (gguf_u64(g, key, &v) && v <= SPEC_HEAD_MAX)
		s->d_k = (uint32_t)v;
	snprintf(key, sizeof(key), "%s.attention.value_length_mla", arch);
	if (gguf_u64(g, key, &v) && v <= SPEC_HEAD_MAX)
		s->d_v = (uint32_t)v;
	s->mla.d_rope = s->n_rot;
	s->mla.d_nope = s->d_k > s->n_rot ? s->d_k - s->n_rot : 0;
}

static void gguf_router(struct spec *s, const struct family *f, const struct gguf *g, const char *arch)
{
	char key[CONFIG_NAME_MAX];
	uint64_t func;

	if (f->flags & FAMILY_GGUF_SOFTMAX)
		s->moe.score = ROUTER_SOFTMAX;
	snprintf(key, sizeof(key), "%s.expert_gating_func", arch);
	if (gguf_u64(g, key, &func))
		s->moe.score = func == 2 ? ROUTER_SIGMOID : ROUTER_SOFTMAX;
	s->moe.group_score = s->moe.score == ROUTER_SIGMOID ? GROUP_TOP2 : GROUP_MAX;
}

static int gguf_keys(struct spec *s, const struct gguf *g, const char *arch, struct err *e)
{
	char name[CONFIG_NAME_MAX], key[2 * CONFIG_NAME_MAX];

	for (const struct config_key *k = config_keys; k->hf; k++) {
		for (const char *list = k->gguf; config_next_name(&list, name);) {
			double v;
			int rc;

			snprintf(key, sizeof(key), "%s.%s", arch, name);
			if (!gguf_number(g, key, &v))
				continue;
			rc = check_uniform(g, key, e);
			if (rc == 0)
				rc = config_store(s, k, v, key, e);
			if (rc < 0)
				return rc;
			break;
		}
	}
	return 0;
}

static int check_rotation(const struct spec *s, const struct family *f, struct report *r, struct err *e)
{
	uint32_t d = s->d_k || !s->n_head ? s->d_k : s->d_model / s->n_head;

	if (!(f->flags & FAMILY_GGUF_WHOLE_ROPE) || s->n_rot == 0 || s->n_rot == d)
		return 0;
	return report_reject(r, "config.rope", "the GGUF", e, "rope.dimension_count is %u, where heads have %u elements and all of them are rotated", s->n_rot, d);
}

int config_read_gguf(struct spec *s, const struct family **family, const struct gguf *g, struct report *r, struct err *e)
{
	const char *arch = gguf_str(g, "general.architecture");
	const struct gguf_kv *tokens = gguf_find_kv(g, "tokenizer.ggml.tokens");
	const struct family *f;
	int rc;

	if (!arch || strlen(arch) > 64)
		return report_reject(r, "config.architecture", "the GGUF", e, "it does not say its architecture");
	f = family_by_gguf(arch);
	if (!f)
		return err_set(e, ERR_UNSUPPORTED, "not run: architecture %s", arch);
	rc = config_check_gguf_keys(g, arch, r, e);
	if (rc < 0)
		return rc;
	*s = *f->base;
	s->query_pre_attn = 0;
	s->d_k = 0;		/* absent means the width over the heads here */
	s->qkv_per_head = false;	/* converters sort fused rows into q, k, v */
	s->n_vocab = tokens ? (uint32_t)(tokens->n <= SPEC_VOCAB_MAX ? tokens->n : 0) : 0;
	s->moe.renorm = s->moe.renorm || (f->flags & FAMILY_GGUF_RENORM);
	gguf_router(s, f, g, arch);
	rc = gguf_keys(s, g, arch, e);
	if (rc == 0)
		rc = gguf_scaling(&s->rope_config[0], g, arch, e);
	if (rc == 0)
		rc = check_rotation(s, f, r, e);
	if (rc < 0)
		return rc;
	gguf_mla(s, g, arch);
	if (f->flags & FAMILY_GGUF_RMS)
		s->norm = NORM_RMS;
	s->norm_plus1 = false;	/* converters have added the 1 */
	s->rope_interleaved = f->gguf_rope_interleaved;
	if ((f->flags & FAMILY_WIDE_PRE_ATTN) && (s->n_layer == 46 || s->n_layer == 62) && s->n_head)
		s->query_pre_attn = s->d_model / s->n_head;
	if (f->flags & FAMILY_HALF_FF)
		s->d_ff /= 2;
	if (s->embed_scale < 0)
		s->embed_scale = sqrt(s->d_model);
	*family = f;
	return 0;
}
