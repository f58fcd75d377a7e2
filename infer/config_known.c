/*
 * config_known.c - the keys of config.json that we know; see config.h. A key that is not here may change what the model computes:
 * where its name sounds like that, the model is rejected, else the key is named in a finding.
 */
#include "infer/config_parts.h"

#include "base/json.h"
#include "base/str.h"

/* Read by config_hf.c, or without influence on the forward pass of a text. */
static const char *const known_keys =
	" architectures model_type torch_dtype dtype transformers_version use_cache initializer_range pretraining_tp auto_map _name_or_path"
	" attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop residual_dropout embedding_dropout ffn_dropout attn_dropout_prob"
	" emb_dropout_prob hidden_dropout_prob rope_scaling rope_parameters quantization_config use_sliding_window layer_types no_rope_layers"
	" mlp_only_layers moe_layer_freq hidden_act hidden_activation activation_function topk_method scoring_func multi_query use_bias use_qk_norm"
	" attn_temperature_tuning original_max_position_embeddings text_config vision_config audio_config output_router_logits"
	" router_aux_loss_coef aux_loss_alpha seq_aux ep_size num_nextn_predict_layers cache_implementation attention_softmax_in_fp32"
	" scale_attention_softmax_in_fp32 masked_softmax_fusion skip_bias_add skip_bias_add_qkv slow_but_exact bias_dropout_fusion attention_bias"
	" mlp_bias reorder_and_upcast_attn summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj"
	" use_flash_attn use_dynamic_ntk use_logn_attn bf16 fp16 fp32 onnx_safe softmax_in_fp32 use_cache_quantization use_cache_kernel"
	" tokenizer_class rotary_emb_base attn_implementation _attn_implementation input_jitter_noise router_z_loss_coef attn_pdrop_prob"
	" projector_hidden_act vision_feature_layer spatial_merge_size multimodal_projector_bias moe_layers sliding_window_size offset_alibi dual_chunk_attention_config"
	" _attn_implementation_autoset attention_probs_dropout_prob attn_dropout _sliding_window_pattern token_classification_bias ";

/* How to sample and what to call things: leftovers of the class that wrote the file, and of tools. */
static const char *const harmless_keys =
	" temperature top_k top_p typical_p min_p max_length min_length max_new_tokens length_penalty repetition_penalty diversity_penalty"
	" no_repeat_ngram_size encoder_no_repeat_ngram_size num_beams num_beam_groups num_return_sequences do_sample bad_words_ids"
	" suppress_tokens begin_suppress_tokens return_dict return_dict_in_generate output_scores output_attentions output_hidden_states"
	" early_stopping prefix id2label label2id num_labels problem_type finetuning_task task_specific_params chunk_size_feed_forward"
	" torchscript tf_legacy_loss use_bfloat16 is_decoder tie_encoder_decoder gradient_checkpointing keys_to_ignore_at_inference qk_head_dim"
	" is_llama_config transformers.js_config unsloth_fixed unsloth_version tokenizer_type tokenizer_name for_llm_compressor inference_runner"
	" max_batch_size max_sequence_length pad_key_length pre_allocate_kv_cache validate_runner_input _commit_hash"
	" _flash_attn_2_enabled use_flash_attention_2 use_flash_attention use_flash_attn_2 residual_in_fp32 sequence_parallel tensor_parallel_degree"
	" tensor_parallel_output embed_dropout embd_dropout use_fused_rms_norm use_fused_rope fuse_attention_qkv fuse_attention_ffn"
	" _attn_implementation_internal bos_token eos_token pad_token unk_token model_max_length ";

/* The same of a GGUF, behind "ARCH." */
static const char *const known_gguf_keys =
	" rope.scaling.type rope.scaling.factor rope.scaling.original_context_length rope.scaling.attn_factor rope.scaling.yarn_log_multiplier"
	" rope.scaling.finetuned rope.scaling.yarn_beta_fast rope.scaling.yarn_beta_slow rope.scaling.yarn_ext_factor"
	" rope.scaling.yarn_attn_factor attention.key_length_mla attention.value_length_mla expert_gating_func attention.causal"
	" use_parallel_residual tensor_data_layout attention.sliding_window_pattern attention.layer_norm_rms_epsilon attention.layer_norm_epsilon"
	" attention.max_alibi_bias rope.freq_base_swa pooling_type ";

/* Keys that change the mathematics and of which we know one value. */
static const struct {
	const char *key;
	enum { BOOLEAN, NUMBER, WORD } type;
	double value;
	const char *word;
} fixed_keys[] = {
	{ "scale_attn_by_inverse_layer_idx", BOOLEAN, false, NULL }, { "scale_attn_weights", BOOLEAN, true, NULL },
	{ "apply_residual_connection_post_layernorm", BOOLEAN, false, NULL }, { "qk_layernorm", BOOLEAN, false, NULL },
	{ "add_cross_attention", BOOLEAN, false, NULL }, { "attn_output_gate", BOOLEAN, false, NULL }, { "alibi", BOOLEAN, false, NULL },
	{ "is_encoder_decoder", BOOLEAN, false, NULL }, { "is_causal", BOOLEAN, true, NULL }, { "use_bidirectional_attention", BOOLEAN, false, NULL },
	{ "use_rope", BOOLEAN, true, NULL }, { "gated_mlp", BOOLEAN, true, NULL }, { "use_rms_norm", BOOLEAN, true, NULL }, { "use_parallel_residual", BOOLEAN, false, NULL }, { "no_bias", BOOLEAN, true, NULL },
	{ "rope_interleaved", BOOLEAN, false, NULL }, { "interpolate_factor", NUMBER, 1, NULL }, { "full_attn_mod", NUMBER, 1, NULL },
	{ "parallel_attn", BOOLEAN, true, NULL }, { "new_decoder_architecture", BOOLEAN, false, NULL }, { "num_ln_in_parallel_attn", NUMBER, 1, NULL },
	{ "use_gated_activation", BOOLEAN, true, NULL }, { "use_parallel_block", BOOLEAN, true, NULL }, { "use_embedding_sharing", BOOLEAN, true, NULL },
	{ "layer_switch", NUMBER, 4, NULL }, { "order_of_interleaved_layers", WORD, 0, "local_attn_first" },
	{ "activation", WORD, 0, "gelu" },
	{ "norm_type", WORD, 0, "layer_norm" }, { "mlp_type", WORD, 0, "default" },
};

static const char *const suspicious[] = {
	"*rope*", "*rotary*", "*norm*", "*scal*", "*softcap*", "*window*", "*expert*", "*router*", "*bias*", "*multiplier*", "*temperature*",
	"*attn*", "*attention*", "*alibi*", "*residual*", "*clip*", "*position*", "*embed*", "*gate*", "*parallel*",
};

bool config_in_list(const char *list, const char *name)
{
	char padded[CONFIG_NAME_MAX + 2];

	return snprintf(padded, sizeof(padded), " %s ", name) < (int)sizeof(padded) && strstr(list, padded);
}

static bool in_table(const char *name)
{
	char one[CONFIG_NAME_MAX];

	for (const struct config_key *k = config_keys; k->hf; k++)
		for (const char *list = k->hf; config_next_name(&list, one);)
			if (strcmp(one, name) == 0)
				return true;
	return false;
}

static bool in_gguf_table(const char *name)
{
	char one[CONFIG_NAME_MAX];

	for (const struct config_key *k = config_keys; k->hf; k++)
		for (const char *list = k->gguf; config_next_name(&list, one);)
			if (strcmp(one, name) == 0)
				return true;
	return false;
}

static bool sounds_like_mathematics(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(suspicious); i++)
		if (str_glob(suspicious[i], name))
			return true;
	return false;
}

/* Ids and names of tokens are agree.c's. */
static bool is_token(const char *name)
{
	return str_ends(name, "_token_id") || str_ends(name, "_token_ids") || str_ends(name, "_token_index");
}

/* "Not that" in any of the ways that a file may say it. */
static bool says_nothing(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

static bool is_fixed(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed_keys); i++)
		if (strcmp(fixed_keys[i].key, name) == 0)
			return true;
	return false;
}

static bool fixed_fits(size_t i, const json_t *v)
{
	switch (fixed_keys[i].type) {
	case BOOLEAN:
		return !json_is_boolean(v) || json_is_true(v) == (fixed_keys[i].value != 0);
	case NUMBER:
		return json_is_number(v) && json_number_value(v) == fixed_keys[i].value;
	case WORD:
		return json_is_string(v) && strcmp(json_string_value(v), fixed_keys[i].word) == 0;
	}
	return false;
}

/* What is not run may well look at both sides. */
static int check_fixed(const json_t *text, bool not_run, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed_keys); i++) {
		const json_t *v = json_object_get(text, fixed_keys[i].key);
		own(mem) char *said = NULL;

		if (!v || json_is_null(v) || fixed_fits(i, v) || (not_run && config_in_list(" is_causal use_bidirectional_attention ", fixed_keys[i].key)))
			continue;
		said = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
		return err_set(e, ERR_UNSUPPORTED, "not run: %s is %.60s", fixed_keys[i].key, said ? said : "unreadable");
	}
	return 0;
}

int config_check_keys(const json_t *text, bool not_run, const char *also_known, struct report *r, struct err *e)
{
	const char *name;
	json_t *v;
	int rc = check_fixed(text, not_run, e);

	if (rc < 0)
		return rc;
	json_object_foreach((json_t *)text, name, v) {
		if (is_fixed(name) || says_nothing(v) || config_in_list(known_keys, name) || config_in_list(harmless_keys, name) || config_in_list(also_known, name) || in_table(name) ||
			is_token(name))
			continue;
		if (sounds_like_mathematics(name))
			rc = report_reject(r, "config.unknown_key", "config.json", e, "key \"%.80s\" sounds like mathematics and is not one we know", name);
		else
			report_flag(r, "config.unknown_key", "key \"%.80s\" is not one we know", name);
	}
	return rc;
}

int config_check_gguf_keys(const struct gguf *g, const char *arch, struct report *r, struct err *e)
{
	size_t n = strlen(arch);
	char key[CONFIG_NAME_MAX];
	bool causal = true;

	snprintf(key, sizeof(key), "%s.attention.causal", arch);
	if (gguf_bool(g, key, &causal) && !causal)
		return err_set(e, ERR_UNSUPPORTED, "not run: attention.causal is false");
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const char *name = gguf_kv_at(g, i)->key;

		if (strncmp(name, arch, n) != 0 || name[n] != '.')
			continue;
		name += n + 1;
		if (config_in_list(known_gguf_keys, name) || in_gguf_table(name))
			continue;
		if (sounds_like_mathematics(name))
			return err_set(e, ERR_UNSUPPORTED, "not run: key \"%.80s\" sounds like mathematics and is not one we know", name);
		report_flag(r, "config.unknown_key", "key \"%.80s\" is not one we know", name);
	}
	return 0;
}

bool config_own_code(const json_t *config)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(config, "auto_map"), key, v)
		if (str_starts(key, "AutoModel"))
			return true;
	return false;
}
