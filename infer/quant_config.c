/* quant_config.c - what a config.json says about how weights are packed, and which tensors belong to the packing. */
#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "infer/config_parts.h"
#include "infer/quant_rules.h"

#define FP8_BLOCK_MAX 65536

static int unsupported(struct err *e, const char *method, const char *why)
{
	return err_set(e, ERR_UNSUPPORTED, "not run: weights packed with %s (%s)", method, why);
}

/* Python would not take a string or a fraction for a number, nor is one cut to fit. Absent or null: *out stays as it is. */
static int read_whole(const json_t *q, const char *key, int64_t min, int64_t max, int64_t *out, struct err *e)
{
	const json_t *v = json_object_get(q, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v))
		return err_set(e, ERR_INPUT, "quantization_config: %s is %s, not a whole number", key, json_is_string(v) ? "a string" : "something else");
	if (json_integer_value(v) < min || json_integer_value(v) > max)
		return err_set(e, ERR_INPUT, "quantization_config: %s is %lld, from %lld to %lld can be", key, (long long)json_integer_value(v), (long long)min, (long long)max);
	*out = json_integer_value(v);
	return 0;
}

/* `bits` and `group_size` by the names that a method gives them. */
static int read_sizes(struct quant_layout *l, const json_t *q, const char *bits_key, const char *group_key, struct err *e)
{
	int64_t bits = l->bits;
	int rc = read_whole(q, bits_key, 1, 32, &bits, e);

	l->bits = (uint32_t)bits;
	return rc < 0 ? rc : read_whole(q, group_key, -1, INT32_MAX, &l->group_size, e);
}

static int check_gptq_bits(uint32_t bits, struct err *e)
{
	return bits == 2 || bits == 3 || bits == 4 || bits == 8 ? 0
		: err_set(e, ERR_INPUT, "quantization_config: gptq with %u bits, 2, 3, 4 and 8 exist", bits);
}

static int check_group_size(int64_t size, struct err *e)
{
	return size == 0 || size < -1 ? err_set(e, ERR_INPUT, "quantization_config: a group size of %lld", (long long)size) : 0;
}

/* GPTQModel's rules for modules by pattern, the first that matches counts: "-:" leaves modules as they are, "+:" (or nothing) packs them otherwise. */
static int parse_dynamic(struct quant_config *c, const json_t *dynamic, struct err *e)
{
	const char *pattern;
	json_t *rule;

	if (!json_is_object(dynamic) || json_object_size(dynamic) == 0)
		return 0;
	c->rules = quant_rules_new(false);
	json_object_foreach((json_t *)dynamic, pattern, rule) {
		struct quant_layout l = c->layout;
		bool marked = str_starts(pattern, "-:") || str_starts(pattern, "+:");
		int rc;

		l.left_out = pattern[0] == '-' && marked;
		l.reordered = json_get_bool(rule, "desc_act", l.reordered);
		l.symmetric = json_get_bool(rule, "sym", l.symmetric);
		rc = read_sizes(&l, rule, "bits", "group_size", e);
		if (rc == 0 && !l.left_out)
			rc = check_gptq_bits(l.bits, e);
		if (rc == 0)
			rc = check_group_size(l.group_size, e);
		if (rc == 0)
			rc = quant_rules_add(c->rules, TARGET_PATTERN, pattern + (marked ? 2 : 0), &l, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Lists of names, which may be lists in a list. */
static int add_names(struct quant_rules *rules, enum quant_target kind, const json_t *names, const struct quant_layout *l, struct err *e)
{
	json_t *v;
	size_t i;
	int rc = 0;

	json_array_foreach(names, i, v) {
		if (json_is_array(v))
			rc = add_names(rules, kind, v, l, e);
		else if (json_is_string(v) && *json_string_value(v))
			rc = quant_rules_add(rules, kind, json_string_value(v), l, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* GPTQ's names within a layer, where not all of its linear ones are packed. */
static int parse_in_block(struct quant_config *c, const json_t *names, bool head, struct err *e)
{
	int rc = 0;

	if (json_array_size(names) == 0)
		return 0;
	c->rules = quant_rules_new(false);
	c->only_rules = true;
	if (head)
		rc = quant_rules_add(c->rules, TARGET_END, "lm_head", &c->layout, e);
	return rc < 0 ? rc : add_names(c->rules, TARGET_END, names, &c->layout, e);
}

static int leave_out(struct quant_config *c, enum quant_target kind, const json_t *names, struct err *e)
{
	if (!c->ignored)
		c->ignored = quant_rules_new(false);
	return add_names(c->ignored, kind, names, &(const struct quant_layout){ .left_out = true }, e);
}

static int parse_gptq(struct quant_config *c, const json_t *q, struct err *e)
{
	const char *format = json_get_str_or(q, "checkpoint_format", json_get_bool(q, "is_marlin_format", false) ? "marlin" : "gptq");
	int rc;

	if (strcmp(format, "gptq") && strcmp(format, "gptq_v2"))
		return unsupported(e, "gptq", format);
	if (!json_object_get(q, "bits"))
		return err_set(e, ERR_INPUT, "quantization_config: gptq without bits");
	c->gptq_v2 = strcmp(format, "gptq_v2") == 0;
	c->all_linear = true;
	c->plain_embedding = true;
	c->plain_head = !json_get_bool(q, "lm_head", false);
	/* groups that were settled before the order was hold inputs that stand together */
	c->layout.reordered = json_get_bool(q, "desc_act", false) && !json_get_bool(q, "static_groups", json_get_bool(json_object_get(q, "meta"), "static_groups", false));
	c->layout.symmetric = json_get_bool(q, "sym", false);
	rc = check_gptq_bits(c->layout.bits, e);
	if (rc == 0)
		rc = parse_dynamic(c, json_object_get(q, "dynamic"), e);
	return rc < 0 || c->rules ? rc : parse_in_block(c, json_object_get(q, "modules_in_block_to_quantize"), json_get_bool(q, "lm_head", false), e);
}

static int parse_awq(struct quant_config *c, const json_t *q, struct err *e)
{
	const char *version = json_get_str_or(q, "version", "gemm");

	if (strcasecmp(version, "gemm"))
		return unsupported(e, "awq", version);
	if (c->layout.bits != 4)
		return err_set(e, ERR_INPUT, "quantization_config: awq with %u bits, only 4 exist", c->layout.bits);
	c->awq_middle = !json_get_bool(q, "zero_point", true);
	c->all_linear = c->plain_head = c->plain_embedding = true;
	return leave_out(c, TARGET_SUBSTRING, json_object_get(q, "modules_to_not_convert"), e);
}

static int parse_bnb(struct quant_config *c, const json_t *q, struct err *e)
{
	bool four = json_get_bool(q, "load_in_4bit", json_get_bool(q, "_load_in_4bit", false));
	bool eight = json_get_bool(q, "load_in_8bit", json_get_bool(q, "_load_in_8bit", false));

	if (four == eight)
		return err_set(e, ERR_INPUT, "quantization_config: bitsandbytes says %s load_in_4bit %s load_in_8bit", four ? "both" : "neither", four ? "and" : "nor");
	c->layout.bits = four ? 4 : 8;
	c->all_linear = c->plain_embedding = true;
	c->plain_head = !json_is_array(json_object_get(q, "llm_int8_skip_modules"));	/* a list stands for transformers' own */
	return leave_out(c, TARGET_PART, json_object_get(q, "llm_int8_skip_modules"), e);
}

static int parse_blocks(struct quant_layout *l, const json_t *sizes, struct err *e)
{
	if (!json_is_array(sizes))
		return 0;
	for (size_t i = 0; i < 2; i++) {
		json_int_t n = json_integer_value(json_array_get(sizes, i));

		if (json_array_size(sizes) != 2 || n < 1 || n > FP8_BLOCK_MAX)
			return err_set(e, ERR_INPUT, "quantization_config: the block size is not two numbers up to %d", FP8_BLOCK_MAX);
		l->block[i] = (uint64_t)n;
	}
	return 0;
}

/* Plain matrices that are not left out are read as they are by some of its programs. */
static int parse_fp8(struct quant_config *c, const json_t *q, struct err *e)
{
	const json_t *sizes = json_object_get(q, "weight_block_size");
	int rc = parse_blocks(&c->layout, sizes, e);

	if (rc == 0 && sizes && !json_is_null(sizes) && !json_is_array(sizes))
		rc = err_set(e, ERR_INPUT, "quantization_config: weight_block_size is no list of two numbers");
	c->layout.static_inputs = !c->layout.block[0] && strcmp(json_get_str_or(q, "activation_scheme", "dynamic"), "static") == 0;
	if (rc == 0)
		rc = leave_out(c, TARGET_PART, json_object_get(q, "modules_to_not_convert"), e);
	return rc < 0 ? rc : leave_out(c, TARGET_NAME, json_object_get(q, "ignored_layers"), e);
}

/* A method of its own: every linear layer that is not listed is built with codes, and stays zero without them. */
static int parse_fbgemm(struct quant_config *c, const json_t *q, struct err *e)
{
	c->all_linear = true;
	return parse_fp8(c, q, e);
}

/* Both of ModelOpt's round what flows in, by scales that were measured, unless its groups say otherwise. */
static bool has_static_inputs(const json_t *q)
{
	json_t *groups = json_object_get(q, "config_groups"), *group;
	const char *key;
	bool all = json_get_str(q, "quant_algo") != NULL;

	json_object_foreach(groups, key, group)
		all = all && json_is_false(json_object_get(json_object_get(group, "input_activations"), "dynamic"));
	return all;
}

static int parse_modelopt(struct quant_config *c, const json_t *q, struct err *e)
{
	const char *algo = json_get_str_or(q, "quant_algo", "FP8"), *key;
	json_t *group;
	int rc;

	if (strcmp(algo, "FP8") && strcmp(algo, "NVFP4"))
		return unsupported(e, "modelopt", algo);
	c->layout.static_inputs = has_static_inputs(q);
	json_object_foreach(json_object_get(q, "config_groups"), key, group)
		if ((rc = read_whole(json_object_get(group, "weights"), "group_size", -1, INT32_MAX, &c->layout.group_size, e)) < 0)
			return rc;
	c->all_linear = json_get_str(q, "quant_algo") != NULL;	/* without it only what is kept of earlier tokens is rounded */
	rc = leave_out(c, TARGET_GLOB, json_object_get(q, "exclude_modules"), e);
	return rc < 0 ? rc : leave_out(c, TARGET_GLOB, json_object_get(q, "ignore"), e);
}

static int place(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (word && strcasecmp(word, words[i]) == 0)
			return (int)i + 1;
	return 0;
}

/* Sizes go with the strategy that has them: compressed-tensors does not load a group that says otherwise. */
static int check_strategy(const struct quant_layout *l, const json_t *weights, struct err *e)
{
	const char *said = json_get_str_or(weights, "strategy", "");
	bool blocks = !json_is_null(json_object_get(weights, "block_structure")) && json_object_get(weights, "block_structure");

	if (l->strategy == STRATEGY_UNSAID)
		return 0;
	if ((l->strategy == STRATEGY_GROUP) != (l->group_size > 0))
		return err_set(e, ERR_INPUT, "quantization_config: strategy %s with a group_size of %lld", said, (long long)l->group_size);
	if ((l->strategy == STRATEGY_BLOCK) != blocks)
		return err_set(e, ERR_INPUT, "quantization_config: strategy %s %s a block_structure", said, blocks ? "with" : "without");
	return 0;
}

/* Absent it is true; compressed-tensors does not load a group with null. */
static int check_symmetric(const json_t *args, const char *of, struct err *e)
{
	return json_is_null(json_object_get(args, "symmetric"))
		? err_set(e, ERR_INPUT, "quantization_config: symmetric of %s is null, neither true nor false", of) : 0;
}

/* compressed-tensors does not load a word that it does not know. */
static int check_word(const json_t *args, const char *of, const char *key, const char *known, struct err *e)
{
	const json_t *v = json_object_get(args, key);
	const char *word = json_string_value(v);
	char lower[32];

	if (!v || json_is_null(v) || (json_is_boolean(v) && strcmp(key, "actorder") == 0))
		return 0;
	snprintf(lower, sizeof(lower), "%s", word ? word : "");
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return *lower && config_in_list(known, lower) ? 0
		: err_set(e, ERR_INPUT, "quantization_config: %s of %s is %.40s; there are%sand no others", key, of, word ? word : "no word", known);
}

static int check_words(const json_t *args, const char *of, struct err *e)
{
	int rc = check_word(args, of, "type", " int float ", e);

	if (rc == 0)
		rc = check_word(args, of, "strategy", " tensor channel group block token tensor_group attn_head ", e);
	return rc < 0 ? rc : check_word(args, of, "actorder", " group weight dynamic static ", e);
}

/* A group's bits, size and blocks, and what they are of. */
static int parse_group(struct quant_layout *l, const json_t *group, struct err *e)
{
	static const char *const numbers[] = { "int", "float" }, *const strategies[] = { "tensor", "channel", "group", "block" };
	const json_t *weights = json_object_get(group, "weights"), *order = json_object_get(weights, "actorder");
	const char *strategy = json_get_str(weights, "strategy"), *word = json_string_value(order);

	const json_t *inputs = json_object_get(group, "input_activations"), *dynamic = json_object_get(inputs, "dynamic");
	int rc = read_sizes(l, weights, "num_bits", "group_size", e);

	for (size_t i = 0; rc == 0 && i < 2; i++) {
		const json_t *args = i ? inputs : weights;
		const char *of = i ? "input_activations" : "weights";

		rc = check_symmetric(args, of, e);
		if (rc == 0)
			rc = check_words(args, of, e);
	}
	if (rc < 0)
		return rc;
	l->bits_said = json_is_integer(json_object_get(weights, "num_bits"));
	l->number = (enum quant_number)place(json_get_str(weights, "type"), numbers, ARRAY_LEN(numbers));
	l->strategy = strategy && strcasecmp(strategy, "tensor_group") == 0 ? STRATEGY_GROUP : (enum quant_strategy)place(strategy, strategies, ARRAY_LEN(strategies));
	if (strategy && l->strategy == STRATEGY_UNSAID)	/* it is for what flows through, and no program has weights so */
		return unsupported(e, "compressed-tensors", strategy);
	l->symmetric = json_is_true(json_object_get(weights, "symmetric"));
	l->asymmetric = json_is_false(json_object_get(weights, "symmetric"));
	l->reordered = json_is_true(order) || (word && (strcasecmp(word, "group") == 0 || strcasecmp(word, "dynamic") == 0));
	l->by_group = true;
	/* "local": scales of groups as they come, one over them that is known before */
	l->static_inputs = json_is_false(dynamic) || (json_is_string(dynamic) && strcmp(json_string_value(dynamic), "local") == 0);
	l->asymmetric_inputs = json_is_false(json_object_get(inputs, "symmetric"));
	return check_strategy(l, weights, e) < 0 ? ERR_INPUT : parse_blocks(l, json_object_get(weights, "block_structure"), e);
}

static int check_format(const char *format, struct err *e)
{
	static const char *const known[] = { "float-quantized", "naive-quantized", "int-quantized", "pack-quantized", "nvfp4-pack-quantized", "dense", "mixed-precision" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(format, known[i]) == 0)
			return 0;
	return unsupported(e, "compressed-tensors", format);
}

/* Classes whose modules have no weight that is packed. */
static bool never_linear(const char *target)
{
	static const char *const classes[] = { "Conv1d", "Conv2d", "Conv3d" };

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strcmp(target, classes[i]) == 0)
			return true;
	return *target >= 'A' && *target <= 'Z' && (str_ends(target, "Norm") || str_ends(target, "Attention"));
}

/* "re:" and a pattern, a module's name, or a class: only a name has dots, but for a head's. */
static int add_targets(struct quant_rules *rules, const json_t *targets, const struct quant_layout *l, struct err *e)
{
	json_t *v;
	size_t i;

	json_array_foreach(targets, i, v) {
		const char *target = json_is_string(v) ? json_string_value(v) : "";
		bool pattern = str_starts(target, "re:");
		bool name = strchr(target, '.') || (*target >= 'a' && *target <= 'z');
		enum quant_target kind = pattern ? TARGET_PATTERN : name ? TARGET_NAME : TARGET_CLASS;
		int rc = never_linear(target) ? 0 : quant_rules_add(rules, kind, target + (pattern ? 3 : 0), l, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * Only what is said to be compressed, in a form that packs, is looked for as such: a model that is merely calibrated keeps its matrices. (Programs of
 * old wrote "frozen" into both.)
 */
static bool is_compressed(const json_t *q, const json_t *group)
{
	const char *format = json_get_str_or(group, "format", json_get_str_or(q, "format", "dense"));

	return strcmp(json_get_str_or(q, "quantization_status", ""), "compressed") == 0 && strcmp(format, "dense") != 0 && strcmp(format, "mixed-precision") != 0;
}

/* Groups differ in which modules they target, and perhaps in how these are packed. */
static int parse_compressed(struct quant_config *c, const json_t *q, struct err *e)
{
	const struct quant_layout plain = c->layout;
	const char *key;
	json_t *group;
	int rc = check_format(json_get_str_or(q, "format", "dense"), e);

	if (rc == 0)	/* zeros may be left out, packed or not */
		rc = check_format(json_get_str_or(json_object_get(q, "sparsity_config"), "format", "dense"), e);
	if (rc < 0)
		return rc;
	c->rules = quant_rules_new(true);
	c->ignored = quant_rules_new(true);
	c->layout.unsaid = c->only_rules = c->all_linear = true;
	json_object_foreach(json_object_get(q, "config_groups"), key, group) {
		struct quant_layout l = plain;

		rc = check_format(json_get_str_or(group, "format", "dense"), e);
		if (rc == 0)
			rc = parse_group(&l, group, e);
		if (rc == 0 && json_is_object(json_object_get(group, "weights")))	/* else only what flows through them is rounded */
			rc = add_targets(c->rules, json_object_get(group, "targets"), &l, e);
		c->all_linear = c->all_linear && is_compressed(q, group);
		if (rc < 0)
			return rc;
	}
	return add_targets(c->ignored, json_object_get(q, "ignore"), &(const struct quant_layout){ .left_out = true }, e);
}

static const struct {
	const char *method;
	int (*parse)(struct quant_config *c, const json_t *q, struct err *e);
} methods[] = {
	{ "gptq", parse_gptq }, { "awq", parse_awq }, { "bitsandbytes", parse_bnb }, { "fp8", parse_fp8 }, { "fbgemm_fp8", parse_fbgemm },
	{ "modelopt", parse_modelopt }, { "compressed-tensors", parse_compressed },
};

/* Old programs did not write whose it is. */
static const char *unnamed_method(const json_t *q)
{
	if (json_get_str(q, "quant_algo"))
		return "modelopt";
	return json_object_get(q, "load_in_4bit") || json_object_get(q, "load_in_8bit") ? "bitsandbytes" : "";
}

static int parse_method(struct quant_config *c, const json_t *q, const char *otherwise, struct err *e)
{
	const char *method = json_get_str_or(q, "quant_method", *unnamed_method(q) ? unnamed_method(q) : otherwise);
	size_t i = 0;
	int rc;

	snprintf(c->method, sizeof(c->method), "%s", method);
	while (i < ARRAY_LEN(methods) && strcmp(methods[i].method, method) != 0)
		i++;
	if (i == ARRAY_LEN(methods))
		return unsupported(e, *method ? method : "an unnamed method", "this runner can't decode it");
	c->layout.bits = 4;
	rc = read_sizes(&c->layout, q, "w_bit", "q_group_size", e);
	if (rc == 0)
		rc = read_sizes(&c->layout, q, "bits", "group_size", e);
	if (rc == 0)
		rc = check_group_size(c->layout.group_size, e);
	return rc < 0 ? rc : methods[i].parse(c, q, e);
}

static int parse(struct quant_config *c, const json_t *q, const char *otherwise, struct err *e)
{
	const json_t *inner = json_object_get(q, "quantization");	/* beside the name of ModelOpt, which wrote it */
	int rc = parse_method(c, json_is_object(inner) ? inner : q, otherwise, e);

	if (rc < 0)
		quant_config_close(c);
	return rc;
}

const json_t *quant_config_section(const json_t *config)
{
	const json_t *q = json_object_get(config, "quantization_config");

	if (!q || json_is_null(q))
		q = json_object_get(config, "compression_config");
	if (!q || json_is_null(q))
		q = json_object_get(json_object_get(config, "text_config"), "quantization_config");
	return json_is_null(q) ? NULL : q;
}

int quant_config_parse(struct quant_config *c, const json_t *config, struct err *e)
{
	const json_t *q = quant_config_section(config);

	*c = (struct quant_config){ .layout.group_size = -1 };
	if (!q)
		return json_is_object(json_object_get(config, "quantization")) ? unsupported(e, "mlx", "this runner can't decode it") : 0;
	return parse(c, q, "", e);
}

int quant_config_parse_own(struct quant_config *c, const json_t *params, struct err *e)
{
	const json_t *q = json_object_get(params, "quantization");
	const char *format = json_get_str_or(q, "qformat_weight", "an unnamed format");

	if (json_object_size(q) == 0)
		return quant_config_parse(c, params, e);
	*c = (struct quant_config){ .method = "fp8", .layout.group_size = -1 };
	return strcmp(format, "fp8_e4m3") == 0 ? 0 : unsupported(e, "Mistral's own program", format);
}

int quant_config_parse_beside(struct quant_config *c, const json_t *file, const char *method, struct err *e)
{
	*c = (struct quant_config){ .layout.group_size = -1 };
	return parse(c, file, method, e);
}

void quant_config_close(struct quant_config *c)
{
	quant_rules_free(c->rules);
	quant_rules_free(c->ignored);
	c->rules = c->ignored = NULL;
}

bool quant_is_companion(const char *name)
{
	static const char *const suffixes[] = {
		".weight_scale", ".weight_scale_inv", ".weight_scale_2", ".weight_global_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx",
		".input_scale", ".input_global_scale", ".input_zero_point", ".output_scale", ".k_scale", ".v_scale", ".q_scale", ".kv_scale", ".k_zero_point", ".v_zero_point", ".q_zero_point",
		".activation_scale", ".input_scale_ub", ".weight_scales", ".scales", ".qzeros", ".g_idx", ".scale", ".SCB", ".weight_format", ".qscale_weight", ".qscale_act",
		".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map",
		".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4",
	};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_ends(name, suffixes[i]))
			return true;
	return false;
}
