/*
 * test_quant_weight.c - packed weights give what the packages that packed them unpack (tests/golden/quant/make_packed.py), row by
 * row as well as at once; and a weight whose parts are missing, short or contradictory is refused with its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/json.h"
#include "tests/unit/infer/quant_golden.h"

#define VALUES_MAX 8192

/* Rows [row, row + n) read through their window alone. */
static void decode(const struct quant_weight *w, uint64_t row, uint64_t n, float *dst)
{
	own(mem) void *window = NULL;
	struct quant_part part = w->main;
	own(mem) uint8_t *all = malloc(part.size_bytes);
	uint64_t offset, bytes;
	struct err e = ERR_NONE;

	assert_int_equal(golden_load(&golden, &part, all, &e), 0);
	quant_weight_window(w, row, n, &offset, &bytes);
	assert_true(offset + bytes <= part.size_bytes);
	window = malloc(bytes);	/* exactly so long: a sanitizer sees a byte too many */
	memcpy(window, all + offset, bytes);
	assert_int_equal(quant_weight_rows(w, window, row, n, dst, &e), 0);
}

static void golden_weights(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packed_cases); i++) {
		own(quant_config) struct quant_config c = config_of(packed_cases[i].config);
		own(quant_weight) struct quant_weight w = { 0 };
		struct quant_part expected;
		float want[VALUES_MAX], got[VALUES_MAX], row[VALUES_MAX];
		char name[64];
		struct err e = ERR_NONE;

		snprintf(name, sizeof(name), "%s.weight", packed_cases[i].name);
		if (quant_weight_open(&w, &c, &source, name, &e) < 0)
			fail_msg("%s: %s", packed_cases[i].name, e.msg);
		snprintf(name, sizeof(name), "%s.expected", packed_cases[i].name);
		assert_true(golden_find(&golden, name, &expected));
		assert_int_equal(w.out, expected.shape[0]);
		assert_int_equal(w.in, expected.shape[1]);
		assert_true(w.out * w.in <= VALUES_MAX);
		golden_load(&golden, &expected, want, &e);
		decode(&w, 0, w.out, got);
		for (uint64_t k = 0; k < w.out * w.in; k++)
			if (!(fabsf(got[k] - want[k]) <= 1e-6f * (1 + fabsf(want[k]))))
				fail_msg("%s element %llu: %.9g, expected %.9g", packed_cases[i].name, (unsigned long long)k, (double)got[k], (double)want[k]);
		for (uint64_t r = 0; r < w.out; r++) {
			decode(&w, r, 1, row);
			assert_memory_equal(row, got + r * w.in, w.in * sizeof(float));
		}
		decode(&w, 1, w.out - 2, row);
		assert_memory_equal(row, got + w.in, (w.out - 2) * w.in * sizeof(float));
		assert_true(quant_weight_rows(&w, NULL, w.out, 1, row, &e) < 0);
	}
}

/* Version 2 of GPTQ keeps zeros as they are: fields one larger, the same weights. */
static void gptq_v2_zeros(void **state)
{
	own(quant_config) struct quant_config c1 = config_of(packed_cases[2].config);
	own(quant_config) struct quant_config c2 = config_of("{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16,\"checkpoint_format\":\"gptq_v2\"}}");
	own(quant_weight) struct quant_weight w1 = { 0 }, w2 = { 0 };
	float a[VALUES_MAX], b[VALUES_MAX];
	struct err e = ERR_NONE;

	(void)state;
	assert_int_equal(quant_weight_open(&w1, &c1, &source, "gptq4.weight", &e), 0);
	golden.rename_from = "gptq4.qzeros";
	golden.rename_to = "gptq4.qzeros_v2";
	assert_int_equal(quant_weight_open(&w2, &c2, &source, "gptq4.weight", &e), 0);
	golden.rename_from = NULL;
	decode(&w1, 0, w1.out, a);
	decode(&w2, 0, w2.out, b);
	assert_memory_equal(a, b, w1.out * w1.in * sizeof(float));
}

static void refused(const char *config, const char *name, int code, const char *word)
{
	own(quant_config) struct quant_config c = config_of(config);
	own(quant_weight) struct quant_weight w = { 0 };
	struct err e = ERR_NONE;

	assert_int_equal(quant_weight_open(&w, &c, &source, name, &e), code);
	if (!strstr(e.msg, word))
		fail_msg("'%s' does not say '%s'", e.msg, word);
}

static void missing_parts(void **state)
{
	static const struct {
		size_t of;
		const char *hide, *word;
	} missing[] = {
		{ 0, "gptq2.scales", "scales" },	   { 0, "gptq2.qzeros", "qzeros" },	      { 4, "awq.scales", "scales" },
		{ 5, "nf4.weight.absmax", "absmax" },	   { 5, "nf4.weight.quant_map", "quant_map" },
		{ 6, "nf4_nested.weight.nested_absmax", "nested_absmax" },			      { 9, "int8.SCB", "scale" },
		{ 10, "packed4.weight_scale", "weight_scale" },					      { 10, "packed4.weight_shape", "weight_shape" },
		{ 13, "fp8_block.weight_scale_inv", "scale" }, { 15, "fp8_tensor.weight_scale", "scale" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s.weight", packed_cases[missing[i].of].name);
		golden.hide = missing[i].hide;
		refused(packed_cases[missing[i].of].config, name, ERR_INPUT, missing[i].word);
		golden.hide = NULL;
	}
	refused("{}", "fp8_none.weight", ERR_INPUT, "without a scale");
	refused("{}", "nothing.weight", ERR_NOT_FOUND, "nothing.weight");
}

static void poisoned_parts(void **state)
{
	static const struct {
		size_t of;
		const char *tensor, *word;
	} poison[] = {
		{ 0, "gptq2.scales", "NaN" }, { 2, "gptq4.g_idx", "g_idx" }, { 4, "awq.scales", "NaN" }, { 5, "nf4.weight.absmax", "NaN" },
		{ 9, "int8.SCB", "NaN" },     { 13, "fp8_block.weight_scale_inv", "NaN" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(poison); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s.weight", packed_cases[poison[i].of].name);
		golden.poison = poison[i].tensor;
		refused(packed_cases[poison[i].of].config, name, ERR_INPUT, poison[i].word);
		golden.poison = NULL;
		golden.poisoned = NULL;
	}
}

static void shapes_that_lie(void **state)
{
	(void)state;
	refused("{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32}}", "gptq4.weight", ERR_INPUT, "groups");
	refused("{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":16}}", "gptq4.weight", ERR_INPUT, "hold 4 bits for each of 32 outputs, quantization_config says 8");
	refused("{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}}", "fp8_block.weight", ERR_INPUT, "blocks of 128");
	golden.rename_from = "gptq4.scales";
	golden.rename_to = "awq.scales";
	refused(packed_cases[2].config, "gptq4.weight", ERR_INPUT, "groups");
	golden.rename_from = NULL;
}

/* Programs go by the configuration: what it does not say, or says otherwise, they would not decode. */
static void forms_by_method(void **state)
{
	static const char *const methods[] = { "gptq", "awq", "bitsandbytes", "fp8", "modelopt", "compressed-tensors" };
	static const char *const shared[] = { "fp8_channel", "fp8_tensor" };	/* several methods read these */
	char name[80], config[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packed_cases); i++) {
		bool several = false;

		for (size_t k = 0; k < ARRAY_LEN(shared); k++)
			several |= strcmp(packed_cases[i].name, shared[k]) == 0;
		snprintf(name, sizeof(name), "%s.weight", packed_cases[i].name);
		refused("{}", name, ERR_INPUT, "no quantization_config tells programs so");
		for (size_t m = 0; m < (several ? 3 : ARRAY_LEN(methods)); m++) {
			snprintf(config, sizeof(config), "{\"quantization_config\":{\"quant_method\":\"%s\",\"bits\":4,\"load_in_4bit\":true}}", methods[m]);
			if (!strstr(packed_cases[i].config, methods[m]) && !(strcmp(packed_cases[i].name, "fp8_e5m2") == 0 && m > 3))
				refused(config, name, ERR_INPUT, "which does not read that");
		}
	}
}

static void with_also(const char *name, const char *type, const void *bytes, size_t n)
{
	golden.also = name;
	golden.also_type = type;
	golden.text = bytes;
	golden.text_n = n;
}

#define BNB4 "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}}"
#define STATE(more) "{\"shape\":[24,40]" more "}"
#define KIND ",\"quant_type\":\"nf4\""
#define BLOCK ",\"blocksize\":64"
#define DTYPE ",\"dtype\":\"bfloat16\""
#define NESTED KIND BLOCK DTYPE ",\"nested_dtype\":\"float32\""

/* bitsandbytes reads all of a quant_state and has no defaults; some of its programs go by the name of the table, the others by the table. */
static void states_of_bitsandbytes(void **state)
{
	static const struct {
		const char *name, *text, *word;	/* "": as it should be */
	} cases[] = {
		{ "nf4", STATE(KIND BLOCK DTYPE), "" },
		{ "nf4", STATE(",\"quant_type\":\"fp4\"" BLOCK DTYPE), "says fp4, and quant_map[0] is -1, not 0" },
		{ "nf4", STATE(",\"quant_type\":\"xx\"" BLOCK DTYPE), "neither nf4 nor fp4" },
		{ "nf4", STATE(BLOCK DTYPE), "neither nf4 nor fp4" },
		{ "nf4", STATE(KIND DTYPE), "no whole number as blocksize" },
		{ "nf4", STATE(KIND DTYPE ",\"blocksize\":\"64\""), "no whole number as blocksize" },
		{ "nf4", STATE(KIND DTYPE ",\"blocksize\":1e300"), "no whole number as blocksize" },
		{ "nf4", STATE(KIND DTYPE ",\"blocksize\":16"), "a blocksize of 16" },
		{ "nf4", STATE(KIND DTYPE ",\"blocksize\":96"), "no power of two" },
		{ "nf4", STATE(KIND BLOCK), "no type of numbers as dtype" },
		{ "nf4", STATE(KIND BLOCK ",\"dtype\":\"int8\""), "no type of numbers as dtype" },
		{ "nf4_nested", STATE(NESTED ",\"nested_blocksize\":256,\"nested_offset\":0.04"), "" },
		{ "nf4_nested", STATE(NESTED ",\"nested_offset\":0.04"), "no whole number as nested_blocksize" },
		{ "nf4_nested", STATE(NESTED ",\"nested_blocksize\":256"), "nested_offset" },
		{ "nf4_nested", STATE(NESTED ",\"nested_blocksize\":256,\"nested_offset\":\"x\""), "nested_offset" },
		{ "nf4_nested", STATE(NESTED ",\"nested_blocksize\":256,\"nested_offset\":1e308"), "nested_offset" },
		{ "nf4_nested", STATE(KIND BLOCK DTYPE ",\"nested_blocksize\":256,\"nested_offset\":0.04"), "nested_dtype" },
	};
	static const uint8_t tiles[] = { 1 }, rows[] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(quant_config) struct quant_config c = config_of(BNB4);
		own(quant_weight) struct quant_weight w = { 0 };
		struct err e = ERR_NONE;
		char name[80], part[128];

		snprintf(name, sizeof(name), "%s.weight", cases[i].name);
		snprintf(part, sizeof(part), "%s.quant_state.bitsandbytes__nf4", name);
		with_also(part, "U8", cases[i].text, strlen(cases[i].text));
		if (quant_weight_open(&w, &c, &source, name, &e) < 0 ? !*cases[i].word || !strstr(e.msg, cases[i].word) : *cases[i].word)
			fail_msg("%s: '%s' does not say '%s'", cases[i].text, e.msg, cases[i].word);
	}
	with_also("nf4.weight.quant_state.bitsandbytes__fp4", "U8", STATE(KIND BLOCK DTYPE), strlen(STATE(KIND BLOCK DTYPE)));
	refused(BNB4, "nf4.weight", ERR_INPUT, "two quant_states");
	with_also("int8.weight_format", "U8", tiles, 1);
	refused(packed_cases[9].config, "int8.weight", ERR_INPUT, "weight_format is 1");
	with_also("int8.weight_format", "U8", rows, 1);
	refused(BNB4, "int8.weight", ERR_INPUT, "quantization_config says load_in_4bit");
	golden.also = NULL;
	refused(packed_cases[9].config, "nf4.weight", ERR_INPUT, "quantization_config says load_in_8bit");
	golden.rename_from = "nf4.weight.nested_absmax";
	golden.rename_to = "nf4_nested.weight.nested_absmax";
	refused(BNB4, "nf4.weight", ERR_INPUT, "beside a nested_absmax");
	golden.rename_from = NULL;
}

#define CONFIG(method, more) "{\"quantization_config\":{\"quant_method\":\"" method "\"" more "}}"
#define INPUTS(dynamic) CONFIG("compressed-tensors", ",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"input_activations\":{\"dynamic\":" dynamic "},\"weights\":{}}}")

#define WEIGHTS(more) CONFIG("compressed-tensors", ",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{" more "}}}")

/* What the method's own programs read besides the codes, by the names that they know; the runner itself could do without. */
static void companions_that_programs_read(void **state)
{
	static const float none = 0, negative = -1, good = 0.5f;
	static const struct {
		const char *config, *name, *hide, *also;
		const float *value;
		const char *word;
	} cases[] = {
		{ CONFIG("modelopt", ",\"quant_algo\":\"FP8\""), "fp8_tensor", NULL, NULL, NULL, "" },
		{ CONFIG("modelopt", ",\"quant_algo\":\"FP8\""), "fp8_tensor", "fp8_tensor.input_scale", NULL, NULL, "no input_scale" },
		{ CONFIG("modelopt", ",\"quant_algo\":\"FP8\""), "fp8_tensor", NULL, "fp8_tensor.input_scale", &none, "its input_scale is 0" },
		{ CONFIG("modelopt", ",\"quant_algo\":\"FP8\""), "fp8_tensor", NULL, "fp8_tensor.input_scale", &negative, "its input_scale is -1" },
		{ CONFIG("modelopt", ",\"quant_algo\":\"FP8\",\"config_groups\":{\"a\":{\"input_activations\":null}}"), "fp8_tensor", "fp8_tensor.input_scale", NULL, NULL, "" },
		{ CONFIG("modelopt", ",\"quant_algo\":\"NVFP4\""), "nvfp4_modelopt", NULL, NULL, NULL, "no input_scale" },
		{ CONFIG("modelopt", ",\"quant_algo\":\"NVFP4\""), "nvfp4_modelopt", NULL, "nvfp4_modelopt.input_scale", &good, "" },
		{ CONFIG("fp8", ",\"activation_scheme\":\"static\""), "fp8_tensor", "fp8_tensor.input_scale", NULL, NULL, "no input_scale" },
		{ CONFIG("fp8", ",\"activation_scheme\":\"static\""), "fp8_tensor", "fp8_tensor.input_scale", "fp8_tensor.activation_scale", &good, "" },
		{ CONFIG("fp8", ",\"activation_scheme\":\"dynamic\""), "fp8_tensor", "fp8_tensor.input_scale", NULL, NULL, "" },
		{ INPUTS("false"), "fp8_tensor", "fp8_tensor.input_scale", NULL, NULL, "no input_scale" },
		{ INPUTS("true"), "fp8_tensor", "fp8_tensor.input_scale", NULL, NULL, "" },
		{ INPUTS("false,\"symmetric\":true"), "fp8_tensor", NULL, NULL, NULL, "" },
		{ INPUTS("false,\"symmetric\":false"), "fp8_tensor", NULL, NULL, NULL, "no input_zero_point" },
		{ INPUTS("false,\"symmetric\":false"), "fp8_tensor", NULL, "fp8_tensor.input_zero_point", &none, "" },
		{ INPUTS("true,\"symmetric\":false"), "fp8_tensor", "fp8_tensor.input_scale", NULL, NULL, "" },
		{ INPUTS("\"local\""), "nvfp4_packed", NULL, NULL, NULL, "no input_global_scale" },
		{ INPUTS("\"local\""), "nvfp4_packed", NULL, "nvfp4_packed.input_global_scale", &good, "" },
		{ INPUTS("true"), "nvfp4_packed", "nvfp4_packed.weight_global_scale", "nvfp4_packed.weight_scale_2", &good, "without weight_global_scale" },
		{ CONFIG("compressed-tensors", ""), "nvfp4_modelopt", NULL, NULL, NULL, "NVFP4 in weight, and quantization_config says compressed-tensors" },
		{ CONFIG("modelopt", ",\"quant_algo\":\"NVFP4\""), "nvfp4_packed", NULL, NULL, NULL, "NVFP4 in weight_packed, and quantization_config says modelopt" },
		{ CONFIG("fp8", ",\"weight_block_size\":[128,128]"), "fp8_tensor", NULL, NULL, NULL, "programs of fp8 with weight_block_size read weight_scale_inv" },
		{ CONFIG("awq", ",\"bits\":4,\"group_size\":32,\"zero_point\":true"), "awq", "awq.qzeros", NULL, NULL, "AWQ without qzeros" },
		{ CONFIG("awq", ",\"bits\":4,\"group_size\":32"), "awq", "awq.qzeros", NULL, NULL, "AWQ without qzeros" },
		{ CONFIG("awq", ",\"bits\":4,\"group_size\":32,\"zero_point\":false"), "awq", "awq.qzeros", NULL, NULL, "" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"desc_act\":true"), "gptq4", "gptq4.g_idx", NULL, NULL, "no g_idx, and quantization_config says desc_act" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"desc_act\":true,\"static_groups\":true"), "gptq4", "gptq4.g_idx", NULL, NULL, "" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"desc_act\":false"), "gptq4", "gptq4.g_idx", NULL, NULL, "" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"dynamic\":{\"gptq4\":{\"desc_act\":true}}"), "gptq4", "gptq4.g_idx", NULL, NULL, "says desc_act" },
		{ CONFIG("gptq", ",\"bits\":2,\"group_size\":16,\"sym\":true"), "gptq2", NULL, NULL, NULL, "says sym: true: programs take 2" },
		{ CONFIG("gptq", ",\"bits\":3,\"group_size\":16,\"sym\":true"), "gptq3", NULL, NULL, NULL, "says sym: true: programs take 4" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"sym\":true"), "gptq4", NULL, NULL, NULL, "says sym: true: programs take 8" },
		{ CONFIG("gptq", ",\"bits\":8,\"group_size\":16,\"sym\":true"), "gptq8", NULL, NULL, NULL, "says sym: true: programs take 128" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"sym\":false"), "gptq4", NULL, NULL, NULL, "" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"sym\":true,\"dynamic\":{\"gptq4\":{\"sym\":false}}"), "gptq4", NULL, NULL, NULL, "" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":16,\"sym\":false,\"dynamic\":{\"gptq4\":{\"sym\":true}}"), "gptq4", NULL, NULL, NULL, "says sym: true" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(quant_config) struct quant_config c = config_of(cases[i].config);
		own(quant_weight) struct quant_weight w = { 0 };
		struct err e = ERR_NONE;
		char name[80];

		golden.hide = cases[i].hide;
		with_also(cases[i].also, "F32", cases[i].value, sizeof(float));
		snprintf(name, sizeof(name), "%s.weight", cases[i].name);
		if (quant_weight_open(&w, &c, &source, name, &e) < 0 ? !*cases[i].word || !strstr(e.msg, cases[i].word) : *cases[i].word)
			fail_msg("%s of %s: '%s' does not say '%s'", cases[i].name, cases[i].config, e.msg, cases[i].word);
		golden.hide = golden.also = NULL;
	}
}

#define DESC_ACT(said) "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16,\"desc_act\":" said "}}"
#define ACTORDER(said) CONFIG("compressed-tensors", ",\"format\":\"pack-quantized\",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{" \
	"\"num_bits\":4,\"group_size\":32,\"actorder\":" said "}}}")

/* Inputs may be in any order, and each group has as many as share a scale. */
static void groups_of_inputs(void **state)
{
	enum list { AS_IT_IS, IN_ORDER, TURNED, ONE_MOVED, ZEROS, UNSET };
	static const struct {
		const char *config, *name;
		enum list list;
		const char *word;	/* "": good */
	} cases[] = {
		{ DESC_ACT("true"), "gptq4", AS_IT_IS, "" }, { DESC_ACT("true"), "gptq4", TURNED, "" }, { DESC_ACT("false"), "gptq4", IN_ORDER, "" },
		{ DESC_ACT("true"), "gptq4", ONE_MOVED, "puts 17 inputs into group 3, and 16 share a scale" }, { DESC_ACT("true"), "gptq4", ZEROS, "64 inputs into group 0" },
		{ DESC_ACT("false"), "gptq4", ONE_MOVED, "puts 17 inputs" }, { DESC_ACT("false"), "gptq4", ZEROS, "" }, { DESC_ACT("false"), "gptq4", UNSET, "g_idx[0] is -1" },
		{ ACTORDER("null"), "packed4", AS_IT_IS, "" }, { ACTORDER("null"), "packed4", IN_ORDER, "" }, { ACTORDER("null"), "packed4", UNSET, "" },
		{ ACTORDER("\"weight\""), "packed4", UNSET, "" }, { ACTORDER("\"group\""), "packed4", UNSET, "g_idx[0] is -1" },
		{ ACTORDER("null"), "packed4", TURNED, "out of their order" }, { ACTORDER("\"group\""), "packed4", TURNED, "" },
		{ ACTORDER("\"group\""), "packed4", ONE_MOVED, "puts 33 inputs into group 1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool gptq = cases[i].name[0] == 'g';
		own(quant_config) struct quant_config c = config_of(cases[i].config);
		own(quant_weight) struct quant_weight w = { 0 };
		char weight[32], list[32];
		int32_t g_idx[64];
		struct err e = ERR_NONE;

		for (int k = 0; k < 64; k++)
			g_idx[k] = cases[i].list == ZEROS ? 0 : cases[i].list == UNSET ? -1 : (cases[i].list == TURNED ? 63 - k : k) / (gptq ? 16 : 32);
		if (cases[i].list == ONE_MOVED)
			g_idx[0] = gptq ? 3 : 1;
		snprintf(weight, sizeof(weight), "%s.weight", cases[i].name);
		snprintf(list, sizeof(list), "%s.%sg_idx", cases[i].name, gptq ? "" : "weight_");
		if (cases[i].list != AS_IT_IS)
			with_also(list, "I32", g_idx, sizeof(g_idx));
		if (quant_weight_open(&w, &c, &source, weight, &e) < 0 ? !*cases[i].word || !strstr(e.msg, cases[i].word) : *cases[i].word)
			fail_msg("%s of %s, %d: '%s' does not say '%s'", cases[i].name, cases[i].config, (int)cases[i].list, e.msg, cases[i].word);
		if (cases[i].list == ZEROS && !*cases[i].word)	/* decoded in order */
			assert_true(w.g_idx == NULL && w.order == ZEROS_BLANK);
		if (cases[i].list == IN_ORDER && gptq)
			assert_true(w.g_idx != NULL && w.order == ZEROS_STORED);
		golden.also = NULL;
	}
}

/* Numbers are whole ones in their range, or named; none is cut to fit or left out silently. */
static void numbers_of_configurations(void **state)
{
	static const struct {
		const char *json, *word;
	} cases[] = {
		{ CONFIG("gptq", ",\"bits\":4294967300"), "bits is 4294967300" },
		{ CONFIG("gptq", ",\"bits\":-4"), "bits is -4" },
		{ CONFIG("gptq", ",\"bits\":\"4\""), "bits is a string" },
		{ CONFIG("gptq", ",\"group_size\":32"), "gptq without bits" },
		{ CONFIG("awq", ",\"w_bit\":4294967300"), "w_bit is 4294967300" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":\"32\""), "group_size is a string" },
		{ CONFIG("gptq", ",\"bits\":4,\"group_size\":1.5"), "group_size is something else, not a whole number" },
		{ CONFIG("gptq", ",\"bits\":4,\"dynamic\":{\"a\":{\"bits\":\"8\"}}"), "bits is a string" },
		{ CONFIG("fp8", ",\"weight_block_size\":\"x\""), "weight_block_size is no list" },
		{ CONFIG("bitsandbytes", ",\"load_in_4bit\":true,\"load_in_8bit\":true"), "both load_in_4bit and load_in_8bit" },
		{ CONFIG("compressed-tensors", ",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":0}}}"), "num_bits is 0" },
		{ CONFIG("compressed-tensors", ",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"symmetric\":null}}}"), "symmetric of weights is null" },
		{ INPUTS("true,\"symmetric\":null"), "symmetric of input_activations is null" },
		{ INPUTS("true,\"strategy\":\"tokens\""), "strategy of input_activations is tokens" },
		{ WEIGHTS("\"type\":\"int4\""), "type of weights is int4; there are int float and no others" },
		{ WEIGHTS("\"type\":4"), "type of weights is no word" },
		{ WEIGHTS("\"strategy\":\"row\""), "strategy of weights is row" },
		{ WEIGHTS("\"strategy\":\"\""), "strategy of weights is " },
		{ WEIGHTS("\"actorder\":\"yes\""), "actorder of weights is yes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(json) json_t *j = json_parse(cases[i].json, strlen(cases[i].json), "config", NULL);
		struct quant_config c;
		struct err e = ERR_NONE;

		assert_int_equal(quant_config_parse(&c, j, &e), ERR_INPUT);
		if (!strstr(e.msg, cases[i].word))
			fail_msg("%s: '%s' does not say '%s'", cases[i].json, e.msg, cases[i].word);
	}
}

/* Zero points as programs of old stored them, and some that fit nothing. */
static void zero_points(void **state)
{
	own(quant_config) struct quant_config c = config_of(packed_cases[ARRAY_LEN(packed_cases) - 3].config);
	own(quant_weight) struct quant_weight w1 = { 0 }, w2 = { 0 };
	float a[VALUES_MAX], b[VALUES_MAX];
	struct err e = ERR_NONE;

	(void)state;
	assert_int_equal(quant_weight_open(&w1, &c, &source, "packed8_zeros.weight", &e), 0);
	golden.rename_from = "packed8_zeros.weight_zero_point";
	golden.rename_to = "packed8_zeros.bytes";
	assert_int_equal(quant_weight_open(&w2, &c, &source, "packed8_zeros.weight", &e), 0);
	decode(&w1, 0, w1.out, a);
	decode(&w2, 0, w2.out, b);
	assert_memory_equal(a, b, w1.out * w1.in * sizeof(float));
	golden.rename_to = "packed4_zeros.weight_zero_point";
	refused(packed_cases[ARRAY_LEN(packed_cases) - 3].config, "packed8_zeros.weight", ERR_INPUT, "zero points are not I32 of 5 x 4");
	golden.rename_from = "int8_zeros.weight_zero_point";
	refused(packed_cases[ARRAY_LEN(packed_cases) - 2].config, "int8_zeros.weight", ERR_INPUT, "zero points are not one I8");
	golden.rename_from = NULL;
}

static void configurations(void **state)
{
	static const struct {
		const char *json;
		int code;
	} configs[] = {
		{ "{\"quantization_config\":{\"quant_method\":\"eetq\"}}", ERR_UNSUPPORTED },
		{ "{\"quantization_config\":{\"quant_method\":\"hqq\"}}", ERR_UNSUPPORTED },
		{ "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"version\":\"gemv\"}}", ERR_UNSUPPORTED },
		{ "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":5}}", ERR_INPUT },
		{ "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":0}}", ERR_INPUT },
		{ "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128,0]}}", ERR_INPUT },
		{ "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\"}}", ERR_INPUT },
		{ GPTQ("\".*\":{\"bits\":5}"), ERR_INPUT },
		{ GPTQ("\".*\":{\"group_size\":0}"), ERR_INPUT },
		{ GPTQ("\"(.*\":{\"bits\":8}"), ERR_UNSUPPORTED },
		{ GROUPS("", "\"a\":{\"format\":\"marlin-24\",\"weights\":{}}"), ERR_UNSUPPORTED },
		{ "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"sparsity_config\":{\"format\":\"sparse-24-bitmask\"}}}", ERR_UNSUPPORTED },
		{ "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"sparsity_config\":{\"format\":\"dense\"}}}", 0 },
		{ "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"is_marlin_format\":true}}", ERR_UNSUPPORTED },
		{ "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"is_marlin_format\":false}}", 0 },
		{ GROUPS("", "\"a\":" STRATEGY("channel", ",\"group_size\":32")), ERR_INPUT },
		{ GROUPS("", "\"a\":" STRATEGY("group", "")), ERR_INPUT },
		{ GROUPS("", "\"a\":" STRATEGY("block", "")), ERR_INPUT },
		{ GROUPS("", "\"a\":" STRATEGY("tensor", ",\"block_structure\":[16,16]")), ERR_INPUT },
		{ GROUPS("", "\"a\":" STRATEGY("tensor_group", ",\"group_size\":16,\"block_structure\":null")), 0 },
		{ GROUPS("", "\"a\":" STRATEGY("channel", ",\"group_size\":-1")), 0 },
		{ WEIGHTS("\"strategy\":\"token\""), ERR_UNSUPPORTED },
		{ WEIGHTS("\"strategy\":\"attn_head\""), ERR_UNSUPPORTED },
		{ WEIGHTS("\"type\":\"INT\",\"strategy\":\"Channel\",\"actorder\":false"), 0 },
		{ WEIGHTS("\"type\":null,\"strategy\":null,\"actorder\":\"static\""), 0 },
		{ INPUTS("true,\"strategy\":\"token\",\"type\":\"float\""), 0 },
		{ "{\"quantization_config\":null}", 0 },
		{ "{\"quantization_config\":{\"load_in_8bit\":true,\"llm_int8_threshold\":6.0}}", 0 },
		{ "{\"text_config\":{\"quantization_config\":{\"quant_method\":\"fp8\"}}}", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
		own(json) json_t *j = json_parse(configs[i].json, strlen(configs[i].json), "config", NULL);
		own(quant_config) struct quant_config c = { 0 };
		struct err e = ERR_NONE;

		assert_int_equal(quant_config_parse(&c, j, &e), configs[i].code);
		if (configs[i].code == ERR_UNSUPPORTED)
			assert_non_null(strstr(e.msg, "not run"));
	}
	assert_true(quant_is_companion("model.layers.0.mlp.up_proj.weight_scale_inv"));
	assert_true(quant_is_companion("h.0.weight.quant_state.bitsandbytes__nf4"));
	assert_true(quant_is_companion("model.layers.0.self_attn.k_zero_point"));
	assert_false(quant_is_companion("model.layers.0.mlp.up_proj.weight"));
	assert_false(quant_is_companion("model.layers.0.mlp.up_proj.qweight"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_weights),
		cmocka_unit_test(gptq_v2_zeros),
		cmocka_unit_test(missing_parts),
		cmocka_unit_test(poisoned_parts),
		cmocka_unit_test(shapes_that_lie),
		cmocka_unit_test(configurations),
		cmocka_unit_test(forms_by_method),
		cmocka_unit_test(zero_points),
		cmocka_unit_test(groups_of_inputs),
		cmocka_unit_test(states_of_bitsandbytes),
		cmocka_unit_test(companions_that_programs_read),
		cmocka_unit_test(numbers_of_configurations),
	};

	return cmocka_run_group_tests_name("quant_weight", tests, setup, teardown);
}
