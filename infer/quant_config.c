/* quant_config.c - what a config.json says about how weights are packed, and which tensors belong to the packing. */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "infer/quant_weight.h"

#define FP8_BLOCK_MAX 65536

static int unsupported(struct err *e, const char *method, const char *why)
{
	return err_set(e, ERR_UNSUPPORTED, "not run: weights packed with %s (%s)", method, why);
}

static int parse_gptq(struct quant_config *c, const json_t *q, struct err *e)
{
	const char *format = json_get_str_or(q, "checkpoint_format", "gptq"), *pattern;
	json_t *rule;

	if (strcmp(format, "gptq") && strcmp(format, "gptq_v2"))
		return unsupported(e, "gptq", format);
	json_object_foreach(json_object_get(q, "dynamic"), pattern, rule) {
		if (json_object_get(rule, "bits") || json_object_get(rule, "group_size"))
			return unsupported(e, "gptq", "dynamic rules for bits and group sizes");
	}
	c->gptq_v2 = strcmp(format, "gptq_v2") == 0;
	if (c->bits != 2 && c->bits != 3 && c->bits != 4 && c->bits != 8)
		return err_set(e, ERR_INPUT, "quantization_config: gptq with %u bits, 2, 3, 4 and 8 exist", c->bits);
	return 0;
}

static int parse_awq(struct quant_config *c, const json_t *q, struct err *e)
{
	const char *version = json_get_str_or(q, "version", "gemm");

	if (strcasecmp(version, "gemm"))
		return unsupported(e, "awq", version);
	if (c->bits != 4)
		return err_set(e, ERR_INPUT, "quantization_config: awq with %u bits, only 4 exist", c->bits);
	return 0;
}

static int parse_bnb(struct quant_config *c, const json_t *q, struct err *e)
{
	(void)c;
	if (!json_get_bool(q, "load_in_4bit", json_get_bool(q, "_load_in_4bit", false)) &&
	    !json_get_bool(q, "load_in_8bit", json_get_bool(q, "_load_in_8bit", false)))
		return err_set(e, ERR_INPUT, "quantization_config: bitsandbytes says neither load_in_4bit nor load_in_8bit");
	return 0;
}

static int parse_blocks(struct quant_config *c, const json_t *sizes, struct err *e)
{
	if (!json_is_array(sizes))
		return 0;
	for (size_t i = 0; i < 2; i++) {
		json_int_t n = json_integer_value(json_array_get(sizes, i));

		if (json_array_size(sizes) != 2 || n < 1 || n > FP8_BLOCK_MAX)
			return err_set(e, ERR_INPUT, "quantization_config: the block size is not two numbers up to %d", FP8_BLOCK_MAX);
		c->block[i] = (uint64_t)n;
	}
	return 0;
}

static int parse_fp8(struct quant_config *c, const json_t *q, struct err *e)
{
	return parse_blocks(c, json_object_get(q, "weight_block_size"), e);
}

static int parse_modelopt(struct quant_config *c, const json_t *q, struct err *e)
{
	const char *algo = json_get_str_or(q, "quant_algo", "FP8");

	(void)c;
	if (strcmp(algo, "FP8") && strcmp(algo, "NVFP4"))
		return unsupported(e, "modelopt", algo);
	return 0;
}

/* A group's bits, size and blocks into c. */
static int parse_group(struct quant_config *c, const json_t *group, struct err *e)
{
	const json_t *weights = json_object_get(group, "weights");

	c->bits = (uint32_t)json_get_int(weights, "num_bits", c->bits);
	c->group_size = json_get_int(weights, "group_size", c->group_size);
	return parse_blocks(c, json_object_get(weights, "block_structure"), e);
}

/* Groups differ in which layers they target. Where they differ in how these are packed too, one answer for all would be wrong. */
static int parse_compressed(struct quant_config *c, const json_t *q, struct err *e)
{
	static const char *const known[] = { "float-quantized", "naive-quantized", "int-quantized", "pack-quantized", "nvfp4-pack-quantized", "dense", "mixed-precision" };
	const char *format = json_get_str_or(q, "format", "dense"), *key;
	const struct quant_config before = *c;
	bool ok = false, first = true;
	json_t *group;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		ok |= strcmp(format, known[i]) == 0;
	if (!ok)
		return unsupported(e, "compressed-tensors", format);
	json_object_foreach(json_object_get(q, "config_groups"), key, group) {
		struct quant_config other = before;
		int rc = parse_group(&other, group, e);

		if (rc < 0)
			return rc;
		if (!first && (other.bits != c->bits || other.group_size != c->group_size || memcmp(other.block, c->block, sizeof(c->block)) != 0))
			return unsupported(e, "compressed-tensors", "config_groups that differ");
		*c = other;
		first = false;
	}
	return 0;
}

static const struct {
	const char *method;
	int (*parse)(struct quant_config *c, const json_t *q, struct err *e);
} methods[] = {
	{ "gptq", parse_gptq }, { "awq", parse_awq }, { "bitsandbytes", parse_bnb }, { "fp8", parse_fp8 }, { "fbgemm_fp8", parse_fp8 },
	{ "modelopt", parse_modelopt }, { "compressed-tensors", parse_compressed },
};

int quant_config_parse(struct quant_config *c, const json_t *config, struct err *e)
{
	const json_t *q = json_object_get(config, "quantization_config");
	const char *method;

	*c = (struct quant_config){ .group_size = -1 };
	if (!q || json_is_null(q))
		q = json_object_get(config, "compression_config");
	if (!q || json_is_null(q))
		q = json_object_get(json_object_get(config, "text_config"), "quantization_config");
	if (!q || json_is_null(q))
		return json_is_object(json_object_get(config, "quantization")) ? unsupported(e, "mlx", "this runner can't decode it") : 0;
	method = json_get_str_or(q, "quant_method", json_get_str(q, "quant_algo") ? "modelopt" : "");
	snprintf(c->method, sizeof(c->method), "%s", method);
	c->bits = (uint32_t)json_get_int(q, "bits", json_get_int(q, "w_bit", 4));
	c->group_size = json_get_int(q, "group_size", json_get_int(q, "q_group_size", -1));
	if (c->group_size == 0 || c->group_size < -1)
		return err_set(e, ERR_INPUT, "quantization_config: a group size of %lld", (long long)c->group_size);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcmp(methods[i].method, method) == 0)
			return methods[i].parse(c, q, e);
	return unsupported(e, *method ? method : "an unnamed method", "this runner can't decode it");
}

bool quant_is_companion(const char *name)
{
	static const char *const suffixes[] = {
		".weight_scale", ".weight_scale_inv", ".weight_scale_2", ".weight_global_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx",
		".input_scale", ".input_global_scale", ".input_zero_point", ".output_scale", ".k_scale", ".v_scale", ".q_scale", ".kv_scale",
		".activation_scale", ".input_scale_ub", ".weight_scales", ".scales", ".qzeros", ".g_idx", ".scale", ".SCB", ".weight_format",
		".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map",
		".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4",
	};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_ends(name, suffixes[i]))
			return true;
	return false;
}
