/* config_hf.c - config.json as a struct spec; see config.h. */
#include "infer/config_parts.h"

#include "base/json.h"
#include "base/str.h"

#define DUAL_CHUNK_MIN 16384	/* within its first chunk the attention is the plain one, and no text here is longer */

static bool number_of(const json_t *v, double *out)
{
	if (json_is_boolean(v))
		*out = json_is_true(v);
	else if (json_is_number(v))
		*out = json_number_value(v);
	else
		return false;
	return true;
}

/* Keys that FAMILY_PLAIN passes over. */
static const char *const not_plain =
	" sliding_window max_window_layers sliding_window_pattern attn_logit_softcapping final_logit_softcapping attention_chunk_size num_local_experts num_experts"
	" n_routed_experts num_experts_per_tok num_selected_experts moe_intermediate_size n_group topk_group query_pre_attn_scalar no_rope_layer_interval ";

/* Is it a key that the family's class does not look at? */
static bool is_passed_over(const struct family *f, const char *name)
{
	if (config_in_list(" rms_norm_eps layer_norm_epsilon layer_norm_eps norm_epsilon ", name))
		return strcmp(name, f->eps ? f->eps : "rms_norm_eps") != 0;
	if (config_in_list(f->flags & FAMILY_OWN_WIDTHS ? " intermediate_size num_key_value_heads " : " ffn_hidden_size ", name))
		return true;
	return ((f->flags & FAMILY_PLAIN) && config_in_list(not_plain, name)) || (!(f->flags & FAMILY_CAPS) && strstr(name, "softcap")) ||
		((f->flags & FAMILY_CAP_LAST) && strcmp(name, "attn_logit_softcapping") == 0) ||
		(!(f->flags & FAMILY_PARTIAL) && config_in_list(" partial_rotary_factor rotary_pct ", name));
}

static int read_table(struct spec *s, const struct family *f, const json_t *text, struct err *e)
{
	char name[CONFIG_NAME_MAX];
	double v;

	for (const struct config_key *k = config_keys; k->hf; k++) {
		for (const char *list = k->hf; config_next_name(&list, name);) {
			const json_t *j = json_object_get(text, name);
			int rc;

			if (!j || (json_is_null(j) && !strstr(name, "softcap")) || is_passed_over(f, name))
				continue;
			if (json_is_null(j))
				v = 0;		/* said to be none, where the class would have one */
			else if (!number_of(j, &v))
				return err_set(e, ERR_INPUT, "config.json: %s is not a number", name);
			rc = config_store(s, k, v, name, e);
			if (rc < 0)
				return rc;
			break;
		}
	}
	return 0;
}

static int read_activation(struct spec *s, const struct family *f, const json_t *text, struct err *e)
{
	static const struct {
		const char *name;
		enum act_kind act;
	} acts[] = {
		{ "silu", ACT_SILU }, { "swish", ACT_SILU }, { "gelu_new", ACT_GELU_TANH }, { "gelu_pytorch_tanh", ACT_GELU_TANH },
		{ "gelu_fast", ACT_GELU_TANH }, { "gelu", ACT_GELU_ERF }, { "relu", ACT_RELU },
	};
	const char *name = json_get_str(text, "hidden_activation");

	if (!name)
		name = json_get_str(text, "hidden_act");
	if (!name)
		name = json_get_str(text, "activation_function");
	if (!name)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
		if (strcmp(acts[i].name, name) == 0) {
			s->act = acts[i].act;
			if (s->act == ACT_GELU_ERF && (f->flags & FAMILY_GELU_IS_TANH))
				s->act = ACT_GELU_TANH;
			return 0;
		}
	}
	return err_set(e, ERR_UNSUPPORTED, "not run: activation \"%.60s\"", name);
}

static int read_factors(const json_t *list, float *out, uint32_t *n, const char *name, struct err *e)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > SPEC_ROT_MAX / 2)
		return err_set(e, ERR_INPUT, "config.json: %s is not a list of at most %d numbers", name, SPEC_ROT_MAX / 2);
	json_array_foreach(list, i, v) {
		out[i] = (float)json_number_value(v);
		if (!(out[i] > 0))
			return err_set(e, ERR_INPUT, "config.json: %s holds %g", name, json_number_value(v));
	}
	*n = (uint32_t)json_array_size(list);
	return 0;
}

static int rope_kind(struct rope_config *c, const char *name, struct err *e)
{
	static const struct {
		const char *name;
		enum rope_scaling kind;
	} kinds[] = {
		{ "default", ROPE_PLAIN }, { "linear", ROPE_LINEAR }, { "dynamic", ROPE_DYNAMIC }, { "llama3", ROPE_LLAMA3 },
		{ "yarn", ROPE_YARN }, { "longrope", ROPE_LONG }, { "su", ROPE_LONG },
		{ "mrope", ROPE_PLAIN },	/* three positions, which for text are one */
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			c->scaling = kinds[i].kind;
			return 0;
		}
	}
	return err_set(e, ERR_UNSUPPORTED, "not run: rope scaling \"%.60s\"", name);
}

/* What scales positions or their result by nothing, or turns them round, is damage: every family's own classes go on and compute nonsense. */
static int read_rope_number(double *to, const char *key, const json_t *v, struct report *r, struct err *e)
{
	bool positive = config_in_list(" rope_theta factor original_max_position_embeddings attention_factor ", key);

	if (!json_is_number(v))
		return report_reject(r, "config.rope", "config.json", e, "rope scaling: %s is no number", key);
	if (positive && !(json_number_value(v) > 0))
		return report_reject(r, "config.rope", "config.json", e, "rope scaling: %s is %g, and has to be above 0", key, json_number_value(v));
	*to = json_number_value(v);
	return 0;
}

/* One object of rope_scaling or rope_parameters. A key that is not understood must not be passed over: it changes every position. */
static int read_rope(struct rope_config *c, const json_t *o, bool tempers, struct report *r, struct err *e)
{
	const struct {
		const char *key;
		double *to;
	} numbers[] = {
		{ "rope_theta", &c->theta }, { "factor", &c->factor }, { "original_max_position_embeddings", &c->original_ctx },
		{ "low_freq_factor", &c->low_freq }, { "high_freq_factor", &c->high_freq }, { "beta_fast", &c->beta_fast },
		{ "beta_slow", &c->beta_slow }, { "attention_factor", &c->attn_factor }, { "mscale", &c->mscale },
		{ "mscale_all_dim", &c->mscale_all_dim }, { "short_mscale", &c->short_mscale }, { "long_mscale", &c->long_mscale },
	};
	const char *key, *kind = json_get_str(o, "rope_type");
	const json_t *factor;
	json_t *v;
	int rc = 0;

	kind = kind ? kind : json_get_str(o, "type");
	if (kind && rope_kind(c, kind, e) < 0)
		return ERR_UNSUPPORTED;
	json_object_foreach((json_t *)o, key, v) {
		bool known;

		if (json_is_null(v))	/* left out */
			continue;
		known = config_in_list(" rope_type type truncate partial_rotary_factor finetuned mrope_section mrope_interleaved ", key) ||
			(tempers && config_in_list(" llama_4_scaling_beta max_position_embeddings ", key));
		for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
			if (strcmp(numbers[i].key, key) == 0) {
				known = true;
				rc = read_rope_number(numbers[i].to, key, v, r, e);
			}
		}
		if (rc < 0)
			return rc;
		if (strcmp(key, "short_factor") == 0)
			rc = read_factors(v, c->short_factor, &c->n_short, key, e);
		else if (strcmp(key, "long_factor") == 0)
			rc = read_factors(v, c->long_factor, &c->n_long, key, e);
		else if (!known)
			rc = report_reject(r, "config.unknown_key", "config.json", e, "rope scaling has a key \"%.60s\" that we don't know", key);
		if (rc < 0)
			return rc;
	}
	if (c->scaling == ROPE_YARN && c->n_short)	/* longrope, before it was called so */
		c->scaling = ROPE_LONG;
	factor = json_object_get(o, "factor");
	if (c->scaling != ROPE_PLAIN && c->scaling != ROPE_LONG && !(c->scaling == ROPE_YARN ? factor != NULL : json_is_number(factor)))	/* null there: by how much the context grew */
		return report_reject(r, "config.rope", "config.json", e, "rope scaling \"%.60s\" has no factor", kind);
	c->no_truncate = !json_get_bool(o, "truncate", true);
	c->beta_fast = c->beta_fast != 0 ? c->beta_fast : 32;	/* 0 is taken for unsaid there */
	c->beta_slow = c->beta_slow != 0 ? c->beta_slow : 1;
	return 0;
}

/* rope_parameters, or rope_scaling of old: alone or by kinds of layers. */
static int read_ropes(struct rope_config c[2], const json_t *o, bool tempers, struct report *r, struct err *e)
{
	const json_t *full = json_object_get(o, "full_attention"), *local = json_object_get(o, "sliding_attention");
	int rc = 0;

	if (!full && !local)
		return read_rope(&c[0], o, tempers, r, e);
	if (full)
		rc = read_rope(&c[0], full, tempers, r, e);
	return local && rc == 0 ? read_rope(&c[1], local, tempers, r, e) : rc;
}

/* Where a file has both, transformers 5 reads the old one, and others the new: they had better say the same. */
static int read_both_ropes(struct rope_config c[2], const json_t *text, bool tempers, struct report *r, struct err *e)
{
	const json_t *new = json_object_get(text, "rope_parameters"), *old = json_object_get(text, "rope_scaling");
	const struct rope_config before[2] = { c[0], c[1] };
	struct rope_config other[2] = { c[0], c[1] };
	int rc = 0;

	if (json_object_size(new))
		rc = read_ropes(c, new, tempers, r, e);
	if (rc < 0 || json_object_size(old) == 0)
		return rc;
	other[1] = c[1];
	rc = read_ropes(other, old, tempers, r, e);
	if (rc == 0 && json_object_size(new) && memcmp(c, other, sizeof(other)) != 0)
		report_flag(r, "config.rope", "rope_parameters and rope_scaling say different things: rope_scaling is taken, as transformers 5 does");
	c[0] = other[0];
	c[1] = json_object_size(new) ? c[1] : before[1];
	return rc;
}

static int read_rope_all(struct spec *s, const struct family *f, const json_t *text, struct report *r, struct err *e)
{
	static const char *const both[] = { "rope_parameters", "rope_scaling" };
	struct rope_config *c = s->rope_config;
	const json_t *said = NULL;
	int rc;

	for (int i = 0; i < 2; i++) {
		c[i].beta_fast = 32;
		c[i].beta_slow = 1;
		c[i].original_ctx = json_get_real(text, "original_max_position_embeddings", 0);
		if (json_object_size(json_object_get(text, both[i])))
			said = json_object_get(text, both[i]);
	}
	if (!said)
		return 0;
	rc = read_both_ropes(c, text, f->flags & FAMILY_ROPE_TEMPER, r, e);
	if (json_object_get(said, "partial_rotary_factor") && (f->flags & FAMILY_PARTIAL))
		s->partial_rotary = json_get_real(said, "partial_rotary_factor", 1);
	if (c[0].original_ctx <= 0)
		c[0].original_ctx = s->n_ctx;
	if (f->flags & FAMILY_ROPE_TEMPER) {
		s->q_temper_scale = json_get_real(said, "llama_4_scaling_beta", 0);
		s->q_temper_floor = c[0].original_ctx;
	}
	return rc;
}

/* The few keys whose meaning is no number. */
static int read_switches(struct spec *s, const struct family *f, const json_t *text, struct err *e)
{
	const char *method = json_get_str(text, "topk_method"), *scoring = json_get_str(text, "scoring_func");
	const json_t *temper = json_object_get(text, "attn_temperature_tuning"), *freq = json_object_get(text, "moe_layer_freq");
	const json_t *chunks = json_object_get(text, "dual_chunk_attention_config"), *window = json_object_get(text, "sliding_window");

	if (json_is_object(chunks) && json_get_int(chunks, "chunk_size", 0) < DUAL_CHUNK_MIN)
		return err_set(e, ERR_UNSUPPORTED, "not run: dual_chunk_attention_config has a chunk_size below %d", DUAL_CHUNK_MIN);
	if ((f->flags & FAMILY_WINDOW_OPT_IN) && !json_get_bool(text, "use_sliding_window", false))
		s->window = 0;
	else if (json_is_integer(window) && json_integer_value(window) == 0 && !(f->flags & FAMILY_PLAIN))	/* none, for some programs; for others nothing is seen */
		return err_set(e, ERR_UNSUPPORTED, "not run: sliding_window is 0");
	if (f->flags & FAMILY_MULTI_QUERY) {
		s->qkv_per_head = !json_get_bool(text, "multi_query", true);
		s->n_kv = s->qkv_per_head ? s->n_head : 1;
	}
	if (f->flags & FAMILY_HALF_FF)
		s->d_ff /= 2;
	if (f->flags & FAMILY_OWN_BIAS) {
		s->bias_qkv = f->base->bias_qkv;
		s->bias_o = f->base->bias_o;
		s->bias_ffn = f->base->bias_ffn;
	}
	if (f->flags & FAMILY_NO_O_BIAS)
		s->bias_o = false;
	if (json_get_bool(text, "use_qk_norm", false) && f->base->qk_norm == QK_NORM_NONE)
		return err_set(e, ERR_UNSUPPORTED, "not run: use_qk_norm is true");
	if (json_object_get(text, "use_bias"))
		s->bias_qkv = s->bias_o = s->bias_ffn = json_get_bool(text, "use_bias", true);
	if (json_object_get(text, "use_qk_norm") && !json_get_bool(text, "use_qk_norm", true))
		s->qk_norm = QK_NORM_NONE;
	if (temper && (json_is_false(temper) || json_integer_value(temper) == 0) && !json_is_true(temper))
		s->q_temper_scale = 0;
	if (freq && !json_is_null(freq) && json_integer_value(freq) != 1)	/* counts layers otherwise than decoder_sparse_step; a list, in some */
		return err_set(e, ERR_UNSUPPORTED, "not run: moe_layer_freq is not 1");
	if (s->moe.renorm && (f->flags & FAMILY_NO_RENORM))
		return err_set(e, ERR_UNSUPPORTED, "not run: norm_topk_prob is true, which programs read in different ways");
	if (method && strcmp(method, "greedy") == 0)
		s->moe.n_group = 0;
	else if (method && strcmp(method, "group_limited_greedy") != 0 && strcmp(method, "noaux_tc") != 0)
		return err_set(e, ERR_UNSUPPORTED, "not run: topk_method \"%.60s\"", method);
	if (scoring && strcmp(scoring, "softmax") == 0)
		s->moe.score = ROUTER_SOFTMAX;
	else if (scoring && strcmp(scoring, "sigmoid") == 0)
		s->moe.score = ROUTER_SIGMOID;
	else if (scoring)
		return err_set(e, ERR_UNSUPPORTED, "not run: scoring_func \"%.60s\"", scoring);
	return 0;
}

/* Keys that mean something to families with FAMILY_OWN_KEYS, and are not known elsewhere. */
static const char own_keys[] = " attention_multiplier embedding_multiplier residual_multiplier logits_scaling logit_scale attention_out_bias use_qkv_bias"
	" bias use_parallel_embedding position_embedding_type ";

static int read_own_keys(struct spec *s, const json_t *text, struct err *e)
{
	const char *positions = json_get_str_or(text, "position_embedding_type", "rope_gptj");
	double divisor = json_get_real(text, "logits_scaling", 1);

	if (strcmp(positions, "rope_gptj") != 0)
		return err_set(e, ERR_UNSUPPORTED, "not run: position_embedding_type \"%.60s\"", positions);
	if (!(divisor > 0))
		return err_set(e, ERR_INPUT, "config.json: logits_scaling is %g", divisor);
	s->logit_scale = json_get_real(text, "logit_scale", s->logit_scale > 0 ? s->logit_scale : 1) / divisor;
	s->attn_scale = json_get_real(text, "attention_multiplier", s->attn_scale);
	s->embed_scale = json_get_real(text, "embedding_multiplier", s->embed_scale);
	s->residual_scale = json_get_real(text, "residual_multiplier", 1);
	s->bias_o = json_get_bool(text, "attention_out_bias", s->bias_o);
	s->bias_qkv = json_get_bool(text, "use_qkv_bias", s->bias_qkv);
	if (json_object_get(text, "bias"))
		s->bias_qkv = s->bias_o = s->bias_ffn = json_get_bool(text, "bias", false);
	return 0;
}

static const struct family *family_by_type(const char *type)
{
	for (size_t i = 0; type && family_at(i); i++)
		if (strcmp(family_at(i)->name, type) == 0)
			return family_at(i);
	return NULL;
}

/* By the class; in one for several models of text, by the type of that. */
static const struct family *find_family(const json_t *config, const json_t *text, const char **architecture)
{
	const json_t *list = json_object_get(config, "architectures");
	const char *type = json_get_str(text, "model_type");
	const struct family *f;

	*architecture = json_is_array(list) ? json_string_value(json_array_get(list, 0)) : NULL;
	if (!*architecture) {
		*architecture = type;
		return family_by_type(type);
	}
	f = family_by_hf(*architecture);
	return f && text != config && family_by_type(type) ? family_by_type(type) : f;
}

/* Labels are counted by their names, else given by their number, else two. A class of the repository's own may have any head. */
static void read_labels(struct spec *s, const char *architecture, const json_t *config)
{
	const json_t *names = json_object_get(config, "id2label");
	bool tokens = str_ends(architecture, "ForTokenClassification");
	int64_t n = json_is_object(names) ? (int64_t)json_object_size(names) : json_get_int(config, "num_labels", 2);

	if ((!tokens && !str_ends(architecture, "ForSequenceClassification")) || config_own_code(config) || n <= 0 || n > SPEC_DIM_MAX)
		return;
	s->n_labels = (uint32_t)n;
	s->labels_of_tokens = tokens;
	s->bias_labels = tokens && json_get_bool(config, "token_classification_bias", true);
}

int config_read_hf(struct spec *s, const struct family **family, const json_t *config, struct report *r, struct err *e)
{
	const json_t *text = json_object_get(config, "text_config");
	const char *architecture, *task, *type;
	const struct family *f;
	int rc;

	report_path(r, "config.json");
	if (!json_is_object(config))
		return report_reject(r, "config.json", "config.json", e, "it is not an object");
	if (!json_is_object(text))
		text = config;
	f = find_family(config, text, &architecture);
	task = !f && architecture ? family_other_task(architecture) : NULL;
	if (task)
		f = family_under_hf(architecture);
	if (!architecture)
		return report_reject(r, "config.architecture", "config.json", e, "it names neither architectures nor model_type");
	if (!f && task)
		return err_set(e, ERR_UNSUPPORTED, "not run: task %s", task);
	if (!f)
		return err_set(e, ERR_UNSUPPORTED, "not run: architecture %.80s", architecture);
	type = text != config ? json_get_str(text, "model_type") : NULL;
	if (type && !str_starts(type, f->name))	/* a class for several models of text, of which the family is one */
		return err_set(e, ERR_UNSUPPORTED, "not run: text_config of the type %.60s", type);
	*s = *f->base;
	s->task = task;
	if (task)
		read_labels(s, architecture, config);
	s->rope_interleaved = f->hf_rope_interleaved;
	rc = config_check_keys(text, task != NULL, f->flags & FAMILY_OWN_KEYS ? own_keys : "", r, e);
	if (rc == 0)
		rc = read_table(s, f, text, e);
	if (rc == 0 && text != config)	/* writers put the flag in either place; it means the text model's head in both */
		s->tied |= json_get_bool(config, "tie_word_embeddings", false);
	if (rc == 0)
		rc = read_activation(s, f, text, e);
	if (rc == 0)
		rc = read_rope_all(s, f, text, r, e);
	if (rc == 0)
		rc = read_switches(s, f, text, e);
	if (rc == 0 && (f->flags & FAMILY_OWN_KEYS))
		rc = read_own_keys(s, text, e);
	if (rc < 0)
		return rc;
	if (s->embed_scale < 0)
		s->embed_scale = sqrt(s->d_model);
	*family = f;
	return 0;
}

static int layer_kind(struct spec *s, uint32_t i, const char *kind, struct err *e)
{
	struct spec_layer *l = &s->layer[i];
	bool local = strcmp(kind, "sliding_attention") == 0, chunked = strcmp(kind, "chunked_attention") == 0;

	if (!local && !chunked && strcmp(kind, "full_attention") != 0)
		return err_set(e, ERR_UNSUPPORTED, "not run: layer type \"%.60s\"", kind);
	l->window = local ? s->window : 0;
	l->chunk = chunked ? s->chunk : 0;
	if (s->local_rope)
		l->rope = local ? 1 : 0;
	else if (s->nope_full)
		l->rope = local ? 0 : -1;
	return 0;
}

static bool names_layer(const json_t *list, size_t layer)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_integer(v) && json_integer_value(v) == (json_int_t)layer)
			return true;
	return false;
}

/* What layer_types say, for a class that looks at them. */
static int read_kinds(struct spec *s, const struct family *f, const json_t *kinds, struct report *r, struct err *e)
{
	const json_t *v;
	size_t i;

	if (!(f->flags & FAMILY_LAYER_TYPES)) {
		json_array_foreach(kinds, i, v) {
			if (!json_equal(v, json_array_get(kinds, 0))) {
				report_flag(r, "config.layer_types", "layer_types differ between layers, and the class of a %s does not look at them", f->name);
				break;
			}
		}
		return 0;
	}
	if (json_array_size(kinds) && json_array_size(kinds) != s->n_layer)
		return err_set(e, ERR_INPUT, "config.json: layer_types needs an entry for each of %u layers", s->n_layer);
	json_array_foreach(kinds, i, v) {
		int rc = layer_kind(s, (uint32_t)i, json_is_string(v) ? json_string_value(v) : "", e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int config_layers_hf(struct spec *s, const struct family *f, const json_t *config, struct report *r, struct err *e)
{
	const json_t *text = json_object_get(config, "text_config"), *kinds, *ropes, *dense, *routed, *v;
	int64_t pattern;
	size_t i;
	int rc;

	if (!json_is_object(text))
		text = config;
	pattern = json_get_int(text, "_sliding_window_pattern", 0);
	kinds = json_object_get(text, "layer_types");
	ropes = json_object_get(text, "no_rope_layers");
	dense = json_object_get(text, "mlp_only_layers");
	routed = json_object_get(text, "moe_layers");
	report_path(r, "config.json");
	rc = read_kinds(s, f, kinds, r, e);
	if (rc < 0)
		return rc;
	if (pattern && s->pattern == PATTERN_NTH_FULL && json_array_size(kinds) == 0 && (uint64_t)pattern != s->pattern_n)
		report_flag(r, "config.layer_types", "_sliding_window_pattern is %lld, and the class of a %s does not look at it: every %u. layer is full", (long long)pattern,
			f->name, s->pattern_n);
	if (json_array_size(ropes) && json_array_size(ropes) != s->n_layer)
		return err_set(e, ERR_INPUT, "config.json: no_rope_layers needs an entry for each of %u layers", s->n_layer);
	json_array_foreach(ropes, i, v)		/* 1: with rope, whatever the key's name says */
		s->layer[i].rope = json_integer_value(v) ? 0 : -1;
	json_array_foreach(dense, i, v) {
		json_int_t l = json_integer_value(v);

		if (l >= 0 && l < s->n_layer)
			s->layer[l].moe = false;
	}
	if (json_array_size(routed))	/* spelled out, it wins over the step */
		for (i = 0; i < s->n_layer; i++)
			s->layer[i].moe = s->moe.n_expert && names_layer(routed, i);
	return 0;
}
