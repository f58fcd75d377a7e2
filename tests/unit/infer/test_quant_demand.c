/* test_quant_demand.c - what rules of a configuration ask of single modules: packed in which way, plain, or either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/infer/quant_golden.h"

/* Each module has the bits of the rule that is meant for it, or it is refused. */
static void rules_for_modules(void **state)
{
	static const struct {
		const char *config, *name, *word;	/* "": as the configuration has it */
	} cases[] = {
		{ GPTQ("\"+:gptq8\":{\"bits\":8}"), "gptq8.weight", "" },
		{ GPTQ("\"gptq[38]\":{\"bits\":8}"), "gptq4.weight", "" },
		{ GPTQ("\"ptq8\":{\"bits\":8}"), "gptq8.weight", "hold 8 bits for each of 32 outputs, quantization_config says 4" },
		{ GPTQ("\"+:.*\":{\"bits\":8},\"gptq4\":{\"bits\":4}"), "gptq4.weight", "quantization_config says 8" },
		{ GPTQ("\"gptq4\":{\"group_size\":32}"), "gptq4.weight", "in groups of 32" },
		{ GPTQ("\"-:.*4\":{}"), "gptq4.weight", "quantization_config leaves it as it is" },
		{ GROUPS("", "\"a\":" GROUP("\"Linear\"", "4") ",\"b\":" GROUP("\"re:packed8\"", "8")), "packed8.weight", "" },
		{ GROUPS("", "\"a\":" GROUP("\"re:packed.*\",\"packed4\"", "4") ",\"b\":" GROUP("\"Linear\"", "8")), "packed8.weight", "hold 8 bits for each of 64 inputs, quantization_config says 4" },
		{ GROUPS("", "\"a\":" GROUP("\"packed4\"", "4") ",\"b\":" GROUP("\"re:.*\"", "8")), "packed4.weight", "" },
		{ GROUPS("", "\"a\":" GROUP("\"Linear\"", "8") ",\"b\":" GROUP("\"Embedding\"", "4")), "packed4.weight", "" },
		{ GROUPS("", "\"a\":" GROUP("\"Linear\"", "8") ",\"b\":" GROUP("\"Conv2d\"", "4")), "packed4.weight", "quantization_config says 8" },
		{ GROUPS("", "\"a\":" GROUP("\"re:nothing\"", "4")), "packed8.weight", "has no rule that packs it" },
		{ GROUPS("", "\"a\":" GROUP("\"Conv2d\"", "8")), "packed8.weight", "has no rule that packs it" },
		{ GROUPS("", "\"a\":" GROUP("\"re:acked.*\"", "4")), "packed8.weight", "" },	/* a name without what goes before it */
		{ GROUPS("", "\"a\":" ARGS("\"type\":\"float\"")), "packed4.weight", "quantization_config says type float" },
		{ GROUPS("", "\"a\":" STRATEGY("channel", "")), "packed4.weight", "says strategy channel, which has 16" },
		{ GROUPS("", "\"a\":" STRATEGY("block", ",\"block_structure\":[16,64]")), "packed4.weight", "says strategy block, which has 1" },
		{ GROUPS("", "\"a\":" ARGS("\"strategy\":\"group\",\"symmetric\":true")), "packed4.weight", "" },
		{ GROUPS("", "\"a\":" ARGS("\"symmetric\":false")), "packed4.weight", "has no zero points" },
		{ GROUPS("", "\"a\":" ARGS("\"symmetric\":true")), "packed4_zeros.weight", "has zero points" },
		{ GROUPS("", "\"a\":" ARGS("\"symmetric\":false")), "packed4_zeros.weight", "" },
		{ GROUPS("", "\"a\":" ARGS("\"actorder\":\"group\"")), "packed4.weight", "has no weight_g_idx" },
		{ GROUPS("", "\"a\":" ARGS("\"actorder\":\"weight\"")), "packed4.weight", "" },
		{ GROUPS("", "\"a\":" GROUP("\"Linear\"", "8")), "fp8_channel.weight", "" },
		{ GROUPS("", "\"a\":" ARGS("\"type\":\"float\"")), "fp8_channel.weight", "quantization_config says 4 bits" },
		{ GROUPS("", "\"a\":" ARGS("\"type\":\"int\"")), "fp8_channel.weight", "quantization_config says type int" },
		{ GROUPS("", "\"a\":" ARGS("\"type\":\"float\"")), "nvfp4_packed.weight", "groups of 32" },
		{ GROUPS(",\"ignore\":[\"re:fp8\"]", "\"a\":" GROUP("\"Linear\"", "8")), "fp8_channel.weight", "quantization_config leaves it as it is" },
		{ GROUPS(",\"ignore\":[\"int8_channel\"]", "\"a\":" GROUP("\"Linear\"", "8")), "int8_channel.weight", "quantization_config leaves it as it is" },
		{ SKIPS("bitsandbytes", "llm_int8_skip_modules", "nf4"), "nf4.weight", "quantization_config leaves it as it is" },
		{ SKIPS("bitsandbytes", "llm_int8_skip_modules", "f4"), "nf4.weight", "" },	/* whole parts of a name */
		{ SKIPS("awq", "modules_to_not_convert", "awq"), "awq.weight", "quantization_config leaves it as it is" },
		{ SKIPS("fp8", "modules_to_not_convert", "fp8_e5m2"), "fp8_e5m2.weight", "quantization_config leaves it as it is" },
		{ SKIPS("fp8", "ignored_layers", "fp8_e5m2"), "fp8_e5m2.weight", "quantization_config leaves it as it is" },
		{ SKIPS("modelopt", "exclude_modules", "*_tensor"), "fp8_tensor.weight", "quantization_config leaves it as it is" },
		{ SKIPS("modelopt", "ignore", "fp?_tenso?"), "fp8_tensor.weight", "quantization_config leaves it as it is" },
		{ SKIPS("modelopt", "ignore", "*_tenso"), "fp8_tensor.weight", "" },
		{ IN_BLOCK("gptq4"), "gptq4.weight", "" },
		{ IN_BLOCK("ptq8"), "gptq4.weight", "has no rule that packs it" },
		{ GROUPS("", "\"a\":" GROUP("\"Linear\"", "3")), "packed4.weight", "not run: packed4.weight_packed is packed with 3 bits" },
		{ GROUPS(",\"ignore\":[\"re:.*4$\"]", "\"a\":" GROUP("\"Linear\"", "4")), "packed4.weight", "quantization_config leaves it as it is" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(quant_config) struct quant_config c = config_of(cases[i].config);
		own(quant_weight) struct quant_weight w = { 0 };
		struct err e = ERR_NONE;

		if (quant_weight_open(&w, &c, &source, cases[i].name, &e) < 0 ? !*cases[i].word || !strstr(e.msg, cases[i].word) : *cases[i].word)
			fail_msg("%s of %s: '%s' does not say '%s'", cases[i].name, cases[i].config, e.msg, cases[i].word);
	}
}

/* One plain matrix of 4 x 4 under every name. */
static bool find_plain(void *ctx, const char *name, struct quant_part *out)
{
	(void)ctx;
	*out = (struct quant_part){ .dtype = "F32", .type = quant_type("F32"), .rank = 2, .shape = { 4, 4 }, .size_bytes = 64 };
	return str_ends(name, ".weight");
}

#define METHOD(name, more) "{\"quantization_config\":{\"quant_method\":\"" name "\",\"bits\":4,\"load_in_4bit\":true" more "}}"
#define SAID(status, format, more) \
	METHOD("compressed-tensors", ",\"format\":\"" format "\",\"quantization_status\":\"" status "\",\"config_groups\":{\"a\":" GROUP("\"Linear\"", "4") "}" more)
#define Q "model.layers.1.self_attn.q_proj"
#define NESTED_Q "language_model." Q

/* A plain matrix stands only where the method's own programs build a plain layer, or are not known to build another. */
static void plain_where_packed_is_meant(void **state)
{
	static const struct {
		const char *config, *name;
		bool good;
	} cases[] = {
		{ "{}", Q, true }, { METHOD("gptq", ""), Q, false }, { METHOD("awq", ""), Q, false }, { METHOD("bitsandbytes", ""), Q, false },
		{ METHOD("modelopt", ",\"quant_algo\":\"FP8\""), Q, false }, { METHOD("modelopt", ",\"kv_cache_quant_algo\":\"FP8\""), Q, true },
		{ METHOD("fp8", ""), Q, true }, { METHOD("fbgemm_fp8", ""), Q, false },
		{ METHOD("fbgemm_fp8", ",\"modules_to_not_convert\":[\"" Q "\"]"), Q, true }, { METHOD("fbgemm_fp8", ""), "lm_head", true },
		{ SAID("compressed", "pack-quantized", ""), Q, false }, { SAID("frozen", "pack-quantized", ""), Q, true }, { SAID("compressed", "dense", ""), Q, true },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"" Q "\"]"), Q, true },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"model.language_model.layers.1.self_attn.q_proj\"]"), Q, true },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"model.layers.11.self_attn.q_proj\"]"), Q, false },
		{ METHOD("awq", ",\"modules_to_not_convert\":[\"self_attn\"]"), Q, true }, { METHOD("awq", ",\"modules_to_not_convert\":[\"attn\"]"), Q, true },
		{ METHOD("awq", ",\"modules_to_not_convert\":[\"layers.1.\"]"), Q, true }, { METHOD("awq", ",\"modules_to_not_convert\":[\"layers.2.\"]"), Q, false },
		{ METHOD("awq", ",\"modules_to_not_convert\":[\"model.layers.1.\"]"), Q, true }, { METHOD("awq", ",\"modules_to_not_convert\":[\"q_pro\"]"), Q, true },
		{ METHOD("awq", ",\"modules_to_not_convert\":[\"self_attn.q\"]"), Q, true }, { METHOD("awq", ",\"modules_to_not_convert\":[\"self_attn.k\"]"), Q, false },
		{ METHOD("awq", ",\"modules_to_not_convert\":[\"model.language_model.layers.1.\"]"), Q, true },
		{ METHOD("awq", ",\"modules_to_not_convert\":[\"model.layers.*.self_attn\"]"), Q, true },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"model.layers.1\"]"), Q, true },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"layers.2\"]"), Q, false },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"model.layers.1.\"]"), Q, true },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"model.layers.2.\"]"), Q, false },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"q_proj\"]"), Q, true }, { METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"_proj\"]"), Q, true },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"q_pro\"]"), Q, false },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"model.layers.1\"]"), "model.layers.11.mlp.up_proj", false },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"model\\\\.language_model\\\\.layers\\\\.1\\\\..*\"]"), NESTED_Q, true },
		{ METHOD("bitsandbytes", ",\"llm_int8_skip_modules\":[\"model\\\\.language_model\\\\.layers\\\\.2\\\\..*\"]"), NESTED_Q, false },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"re:model.language_model.layers.1.*\"]"), NESTED_Q, true },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"re:model.language_model.layers.2.*\"]"), NESTED_Q, false },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"re:model.language_model.layers.1.*\"]"), Q, true },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"re:model.vision_tower.*\"]"), "vision_tower.layers.1.q_proj", true },
		{ SAID("compressed", "pack-quantized", ",\"ignore\":[\"re:model.vision_tower.*\"]"), NESTED_Q, false },
		{ METHOD("gptq", ",\"dynamic\":{\"-:model.language_model.layers.1.*\":{},\"+:.*\":{}}"), NESTED_Q, true },
		{ METHOD("gptq", ",\"dynamic\":{\"-:model.language_model.layers.2.*\":{},\"+:.*\":{}}"), NESTED_Q, false },
		{ METHOD("modelopt", ",\"quant_algo\":\"FP8\",\"ignore\":[\"model.layers.1.self_attn\"]"), Q, true },
		{ METHOD("gptq", ",\"dynamic\":{\"-:.*q_proj\":{}}"), Q, true }, { METHOD("gptq", ",\"dynamic\":{\"-:.*k_proj\":{}}"), Q, false },
		{ METHOD("gptq", ",\"modules_in_block_to_quantize\":[[\"self_attn.k_proj\"]]"), Q, true },
		{ METHOD("gptq", ",\"modules_in_block_to_quantize\":[[\"self_attn.q_proj\"]]"), Q, false },
		{ METHOD("gptq", ""), "lm_head", true }, { METHOD("bitsandbytes", ""), "model.embed_tokens", true }, { METHOD("bitsandbytes", ""), "pooler.dense", true },
		{ METHOD("gptq", ""), "model.layers.1.mlp.gate", true }, { METHOD("gptq", ""), "model.layers.1.mlp.experts.3.up_proj", true },
		{ METHOD("gptq", ""), "model.layers.1.mlp.gate_proj", false },
		{ METHOD("bitsandbytes", ""), "decoder.block.0.layer.0.SelfAttention.relative_attention_bias", true },
		{ METHOD("bitsandbytes", ""), "decoder.block.0.layer.2.DenseReluDense.wo", true },
	};
	struct quant_source plain = { NULL, find_plain, golden_load };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(quant_config) struct quant_config c = config_of(cases[i].config);
		own(quant_weight) struct quant_weight w = { 0 };
		char name[128];
		struct err e = ERR_NONE;

		snprintf(name, sizeof(name), "%s.weight", cases[i].name);
		if (quant_weight_open(&w, &c, &plain, name, &e) < 0 ? cases[i].good || !strstr(e.msg, "it is plain, and quantization_config") : !cases[i].good)
			fail_msg("%s of %s: '%s'", cases[i].name, cases[i].config, e.msg);
	}
}

/* Packed ones that a pattern speaks of by one of the names that programs have for the module: only by all of them it settles something. */
static void patterns_for_another_name(void **state)
{
	static const struct {
		const char *config;
		bool good;
	} cases[] = {
		{ GROUPS("", "\"a\":" GROUP("\"re:model.language_model.*proj$\"", "4")), true },
		{ GROUPS("", "\"a\":" GROUP("\"re:model.vision_tower.*proj$\"", "4")), false },
		{ GROUPS("", "\"a\":" GROUP("\"re:model.language_model.*q_proj$\"", "4") ",\"b\":" GROUP("\"Linear\"", "8")), true },
		{ GROUPS("", "\"a\":" GROUP("\"re:.*q_proj$\"", "8") ",\"b\":" GROUP("\"Linear\"", "4")), false },
		{ GROUPS(",\"ignore\":[\"re:^(?!model.language_model).*\"]", "\"a\":" GROUP("\"Linear\"", "4")), true },
		{ GROUPS(",\"ignore\":[\"re:^(?!model.vision_tower).*\"]", "\"a\":" GROUP("\"Linear\"", "4")), false },
		{ GROUPS(",\"ignore\":[\"re:language_model.*\"]", "\"a\":" GROUP("\"Linear\"", "4")), true },
		{ GROUPS(",\"ignore\":[\"re:.*layers.1.*\"]", "\"a\":" GROUP("\"Linear\"", "4")), false },
	};

	(void)state;
	golden.renamed_stem = NESTED_Q;
	golden.renamed_to = "packed4";
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(quant_config) struct quant_config c = config_of(cases[i].config);
		own(quant_weight) struct quant_weight w = { 0 };
		struct err e = ERR_NONE;

		if ((quant_weight_open(&w, &c, &source, NESTED_Q ".weight", &e) == 0) != cases[i].good)
			fail_msg("%s: '%s'", cases[i].config, e.msg);
	}
	golden.renamed_stem = NULL;
}

/* Heads and embeddings that programs leave as they are unless they are told otherwise. */
static void ends_that_are_packed(void **state)
{
	static const struct {
		const char *config, *name;
		bool good;
	} cases[] = {
		{ METHOD("gptq", ",\"group_size\":16"), "lm_head", false }, { METHOD("gptq", ",\"group_size\":16,\"lm_head\":true"), "lm_head", true },
		{ METHOD("gptq", ",\"group_size\":16,\"lm_head\":true,\"modules_in_block_to_quantize\":[[\"q_proj\"]]"), "lm_head", true },
		{ METHOD("gptq", ",\"group_size\":16,\"lm_head\":true"), "model.embed_tokens", false },
		{ METHOD("gptq", ",\"group_size\":16,\"dynamic\":{\"lm_head\":{}}"), "lm_head", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(quant_config) struct quant_config c = config_of(cases[i].config);
		own(quant_weight) struct quant_weight w = { 0 };
		char name[64];
		struct err e = ERR_NONE;

		golden.renamed_stem = cases[i].name;
		golden.renamed_to = "gptq4";
		snprintf(name, sizeof(name), "%s.weight", cases[i].name);
		if ((quant_weight_open(&w, &c, &source, name, &e) == 0) != cases[i].good)
			fail_msg("%s: '%s'", cases[i].config, e.msg);
	}
	golden.renamed_stem = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_for_modules),
		cmocka_unit_test(plain_where_packed_is_meant),
		cmocka_unit_test(patterns_for_another_name),
		cmocka_unit_test(ends_that_are_packed),
	};

	return cmocka_run_group_tests_name("quant_demand", tests, setup, teardown);
}
