/*
 * test_config.c - configurations as models in use publish them (tests/golden/published/configs.json: with every key, also those of
 * training, and the spellings of their time) are understood to the last key, and mean what is written beside them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/vec.h"
#include "infer/config.h"

#define PUBLISHED SOURCE_DIR "/tests/golden/published/configs.json"

static const char *scaling_name(const struct spec *s)
{
	static const char *const names[] = { "plain", "linear", "dynamic", "llama3", "yarn", "longrope" };

	return names[s->rope_config[0].scaling];
}

static const char *act_name(const struct spec *s)
{
	static const char *const names[] = { "silu", "gelu_tanh", "gelu_erf", "relu" };

	return names[s->act];
}

static bool number_is(const struct spec *s, const char *key, double want)
{
	const struct {
		const char *key;
		double have;
	} numbers[] = {
		{ "d_k", s->d_k }, { "n_kv", s->n_kv }, { "n_rot", s->n_rot }, { "d_ff", s->d_ff }, { "theta", s->rope_config[0].theta },
		{ "window", s->window }, { "tied", s->tied }, { "n_expert", s->moe.n_expert }, { "n_used", s->moe.n_used },
		{ "renorm", s->moe.renorm }, { "d_shared", s->moe.d_shared },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (strcmp(numbers[i].key, key) == 0) {
			if (fabs(numbers[i].have - want) > 1e-6 * fabs(want))
				print_error("  %s is %g, expected %g\n", key, numbers[i].have, want);
			return fabs(numbers[i].have - want) <= 1e-6 * fabs(want);
		}
	}
	print_error("  nothing is called %s\n", key);
	return false;
}

static bool value_is(const struct spec *s, const struct family *f, const char *key, const json_t *want)
{
	const char *text = json_string_value(want);

	if (strcmp(key, "family") == 0)
		return strcmp(f->name, text) == 0;
	if (strcmp(key, "scaling") == 0)
		return strcmp(scaling_name(s), text) == 0;
	if (strcmp(key, "act") == 0)
		return strcmp(act_name(s), text) == 0;
	return number_is(s, key, json_is_boolean(want) ? json_is_true(want) : json_number_value(want));
}

static bool understood(const char *name, const json_t *config, const json_t *expect)
{
	own(mem) struct spec *s = mem_zalloc(sizeof(*s));
	struct report r own(report) = { 0 };
	const struct family *f = NULL;
	struct err e = ERR_NONE;
	const char *key;
	json_t *want;
	bool good = true;

	if (config_read_hf(s, &f, config, &r, &e) < 0 || spec_finish(s, 64, &e) < 0 || config_layers_hf(s, f, config, &r, &e) < 0) {
		print_error("%s: %s\n", name, e.msg);
		return false;
	}
	for (size_t i = 0; i < r.n; i++)
		print_error("%s: %s\n", name, r.v[i].message);
	json_object_foreach((json_t *)expect, key, want) {
		if (!value_is(s, f, key, want)) {
			print_error("%s: %s is not what it should be\n", name, key);
			good = false;
		}
	}
	for (uint32_t i = 0; i < s->rope[0].n_rot / 2; i++)
		good &= isfinite(s->rope[0].inv_freq[i]) && s->rope[0].inv_freq[i] > 0;
	return good && r.n == 0;
}

static void published_configurations(void **state)
{
	json_t *all own(json) = NULL;
	struct buf text own(buf);
	const char *name;
	json_t *one;
	int bad = 0;

	(void)state;
	buf_init(&text, 4 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, PUBLISHED, &text, NULL), 0);
	all = json_parse(text.data, text.len, PUBLISHED, NULL);
	assert_true(json_object_size(all) >= 35);
	json_object_foreach(all, name, one)
		bad += !understood(name, json_object_get(one, "config"), json_object_get(one, "expect"));
	assert_int_equal(bad, 0);
}

/* Gemma 3 has kept the key of Gemma 2's cap on attention, and its class does not look at it. */
static void caps_that_the_class_looks_at(void **state)
{
	static const struct {
		const char *type, *architecture;
		double attn, last;
	} cases[] = { { "gemma2", "Gemma2ForCausalLM", 20, 10 }, { "gemma3_text", "Gemma3ForCausalLM", 0, 10 }, { "llama", "LlamaForCausalLM", 0, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(mem) struct spec *s = mem_zalloc(sizeof(*s));
		struct report r own(report) = { 0 };
		const struct family *f = NULL;
		struct err e = ERR_NONE;
		json_t *config own(json) = json_pack("{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "architectures", cases[i].architecture, "model_type", cases[i].type,
			"hidden_size", 64, "num_hidden_layers", 2, "num_attention_heads", 4, "num_key_value_heads", 2, "head_dim", 16, "intermediate_size", 96, "vocab_size", 512,
			"attn_logit_softcapping", 20.0, "final_logit_softcapping", 10.0);

		assert_int_equal(config_read_hf(s, &f, config, &r, &e), 0);
		assert_true(s->attn_softcap == cases[i].attn && s->logit_softcap == cases[i].last);
	}
}

/* Any of these passed over would make a good model look bad, or a bad one good. */
static void one_key_too_many(void **state)
{
	static const char *const keys[] = { "attention_multiplier", "residual_scale", "logit_softcap", "clip_qkv", "rope_offset", "num_shared_experts_extra" };
	json_t *all own(json) = NULL, *config;
	struct buf text own(buf);

	(void)state;
	buf_init(&text, 4 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, PUBLISHED, &text, NULL), 0);
	all = json_parse(text.data, text.len, PUBLISHED, NULL);
	config = json_object_get(json_object_get(all, "Llama-3.2-1B"), "config");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		own(mem) struct spec *s = mem_zalloc(sizeof(*s));
		struct report r own(report) = { 0 };
		const struct family *f;
		struct err e = ERR_NONE;

		json_object_set_new(config, keys[i], json_real(0.5));
		assert_int_equal(config_read_hf(s, &f, config, &r, &e), ERR_INPUT);
		assert_non_null(strstr(e.msg, keys[i]));
		json_object_del(config, keys[i]);
	}
}

/* Known keys whose other values mean mathematics that nobody checks. */
static void refused_values(void **state)
{
	static const struct {
		const char *model, *key;
		int value;
	} cases[] = { { "Qwen-7B", "no_bias", 0 }, { "Llama-3.2-1B", "is_causal", 0 }, { "Llama-3.2-1B", "use_bidirectional_attention", 1 }, { "Llama-3.2-1B", "use_rope", 0 }, { "deepseek-moe-16b-base", "moe_layer_freq", 2 }, { "phi-2", "qk_layernorm", 1 } };
	json_t *all own(json) = NULL;
	struct buf text own(buf);

	(void)state;
	buf_init(&text, 4 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, PUBLISHED, &text, NULL), 0);
	all = json_parse(text.data, text.len, PUBLISHED, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *config = json_object_get(json_object_get(all, cases[i].model), "config");
		own(mem) struct spec *s = mem_zalloc(sizeof(*s));
		struct report r own(report) = { 0 };
		const struct family *f;
		struct err e = ERR_NONE;

		json_t *was = json_object_get(config, cases[i].key);

		json_object_set_new(config, cases[i].key, json_is_boolean(was) || !was ? json_boolean(cases[i].value) : json_integer(cases[i].value));
		assert_int_equal(config_read_hf(s, &f, config, &r, &e), ERR_UNSUPPORTED);
		assert_non_null(strstr(e.msg, cases[i].key));
		json_object_del(config, cases[i].key);
	}
}

/* What classes read in different ways, or not at all, is named or not run. */
static void said_in_vain(void **state)
{
	static const struct {
		const char *model, *more, *word;
		int code;
	} cases[] = {
		{ "Llama-3.2-1B", "{\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":7.0}}", "rope_parameters and rope_scaling say different things", 0 },
		{ "Llama-3.2-1B", "{\"layer_types\":[\"full_attention\",\"sliding_attention\"]}", "layer_types differ between layers", 0 },
		{ "Llama-3.2-1B", "{\"layer_types\":[\"full_attention\",\"full_attention\"]}", NULL, 0 },
		{ "Llama-3.2-1B", "{\"layer_norm_eps\":0.5,\"sliding_window\":0}", NULL, 0 },
		{ "Mistral-7B-v0.1", "{\"sliding_window\":0}", "sliding_window is 0", ERR_UNSUPPORTED },
		{ "DeepSeek-V2-Lite", "{\"norm_topk_prob\":true}", "norm_topk_prob is true", ERR_UNSUPPORTED },
		{ "deepseek-moe-16b-base", "{\"norm_topk_prob\":true}", NULL, 0 },
		{ "DeepSeek-V3", "{\"norm_topk_prob\":true}", NULL, 0 },
		{ "Mistral-7B-v0.1", "{\"layer_types\":[\"full_attention\"]}", "layer_types needs an entry for each", ERR_INPUT },
		{ "Mistral-7B-v0.1", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"llama_4_scaling_beta\":0.1}}", "llama_4_scaling_beta", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}", "factor is 0", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":-2}}", "factor is -2", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"linear\"}}", "\"linear\" has no factor", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":null}}", "\"linear\" has no factor", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":null}}", "\"dynamic\" has no factor", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":null,\"original_max_position_embeddings\":1024}}", NULL, 0 },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"yarn\",\"original_max_position_embeddings\":1024}}", "\"yarn\" has no factor", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_parameters\":{\"rope_type\":\"default\",\"long_factor\":null,\"short_factor\":null}}", NULL, 0 },
		{ "Llama-2-7b", "{\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":null,\"short_factor\":null}}", "short factors where 64 are needed", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":\"4\"}}", "factor is no number", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":4,\"attention_factor\":0}}", "attention_factor is 0", ERR_INPUT },
		{ "Llama-2-7b", "{\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":4,\"attention_factor\":null}}", NULL, 0 },
		{ "Llama-2-7b", "{\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":0}}", "rope_theta is 0", ERR_INPUT },
		{ "gemma-3-1b-pt", "{\"layer_types\":[],\"_sliding_window_pattern\":2}", "_sliding_window_pattern is 2", 0 },
		{ "gemma-3-1b-pt", "{\"layer_types\":[],\"_sliding_window_pattern\":6}", NULL, 0 },
	};
	json_t *all own(json) = NULL;
	struct buf text own(buf);

	(void)state;
	buf_init(&text, 4 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, PUBLISHED, &text, NULL), 0);
	all = json_parse(text.data, text.len, PUBLISHED, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *config own(json) = json_copy(json_object_get(json_object_get(all, cases[i].model), "config"));
		json_t *more own(json) = json_parse(cases[i].more, strlen(cases[i].more), "more", NULL);
		own(mem) struct spec *s = mem_zalloc(sizeof(*s));
		struct report r own(report) = { 0 };
		const struct family *f;
		struct err e = ERR_NONE;
		int rc;

		assert_int_equal(json_object_update(config, more), 0);
		rc = config_read_hf(s, &f, config, &r, &e);
		if (rc == 0)
			rc = spec_finish(s, 64, &e);
		if (rc == 0)
			rc = config_layers_hf(s, f, config, &r, &e);
		if (rc != cases[i].code || (rc < 0 && !strstr(e.msg, cases[i].word)))
			fail_msg("%s with %s: %d '%s'", cases[i].model, cases[i].more, rc, e.msg);
		if (rc == 0 && r.n != (cases[i].word != NULL))
			fail_msg("%s with %s: %zu findings", cases[i].model, cases[i].more, r.n);
		if (rc == 0 && r.n && !strstr(r.v[0].message, cases[i].word))
			fail_msg("%s with %s: '%s'", cases[i].model, cases[i].more, r.v[0].message);
	}
}

/* Of a key that another family's class looks at, and this one's does not, nothing comes. */
static void keys_of_other_classes(void **state)
{
	static const struct {
		const char *model, *more;
		bool counts;
	} cases[] = {
		{ "gpt2", "{\"intermediate_size\":64,\"num_key_value_heads\":2,\"attention_bias\":false,\"mlp_bias\":false}", false },
		{ "bloom-560m", "{\"intermediate_size\":64,\"num_key_value_heads\":2}", false },
		{ "starcoder", "{\"intermediate_size\":64}", false },
		{ "falcon-7b", "{\"intermediate_size\":64,\"attention_bias\":true}", false },
		{ "falcon-7b", "{\"ffn_hidden_size\":64}", true },
		{ "gpt2", "{\"n_inner\":64}", true },
		{ "Llama-2-7b", "{\"ffn_hidden_size\":64}", false },
		{ "Llama-2-7b", "{\"num_key_value_heads\":2}", true },
		{ "gemma-3-1b-pt", "{\"attention_bias\":true}", true },
	};
	json_t *all own(json) = NULL;
	struct buf text own(buf);

	(void)state;
	buf_init(&text, 4 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, PUBLISHED, &text, NULL), 0);
	all = json_parse(text.data, text.len, PUBLISHED, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *config own(json) = json_copy(json_object_get(json_object_get(all, cases[i].model), "config"));
		json_t *more own(json) = json_parse(cases[i].more, strlen(cases[i].more), "more", NULL);
		own(mem) struct spec *without = mem_zalloc(sizeof(*without)), *with = mem_zalloc(sizeof(*with));
		struct report r own(report) = { 0 };
		const struct family *f;

		assert_int_equal(config_read_hf(without, &f, config, &r, NULL), 0);
		assert_int_equal(json_object_update(config, more), 0);
		assert_int_equal(config_read_hf(with, &f, config, &r, NULL), 0);
		if ((memcmp(without, with, sizeof(*with)) != 0) != cases[i].counts)
			fail_msg("%s with %s", cases[i].model, cases[i].more);
		if (strstr(cases[i].more, "attention_bias") && cases[i].counts)
			assert_true(with->bias_qkv && with->bias_o);
	}
}

/* Of how it was run and trained, and what is built on it. */
static void no_mathematics(void **state)
{
	static const char *const keys[] = { "_flash_attn_2_enabled", "use_flash_attention_2", "residual_in_fp32", "sequence_parallel", "tensor_parallel_degree" };
	json_t *all own(json) = NULL, *config;
	own(mem) struct spec *s = mem_zalloc(sizeof(*s));
	struct report r own(report) = { 0 };
	struct buf text own(buf);
	const struct family *f;
	struct err e = ERR_NONE;

	(void)state;
	buf_init(&text, 4 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, PUBLISHED, &text, NULL), 0);
	all = json_parse(text.data, text.len, PUBLISHED, NULL);
	config = json_object_get(json_object_get(all, "Llama-3.2-1B"), "config");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		json_object_set_new(config, keys[i], json_integer(1));
	assert_int_equal(config_read_hf(s, &f, config, &r, &e), 0);
	assert_int_equal(r.n, 0);
	assert_null(s->task);
	json_object_set_new(config, "architectures", json_pack("[s]", "LlamaForSequenceClassification"));
	json_object_set_new(config, "is_causal", json_false());
	assert_int_equal(config_read_hf(s, &f, config, &r, &e), 0);
	assert_string_equal(s->task, "text-classification");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(published_configurations), cmocka_unit_test(caps_that_the_class_looks_at), cmocka_unit_test(one_key_too_many),
		cmocka_unit_test(refused_values), cmocka_unit_test(no_mathematics), cmocka_unit_test(said_in_vain),
		cmocka_unit_test(keys_of_other_classes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
