/* test_quant_rules.c - rules for single modules, as many as the largest models have. What they mean test_quant_demand.c asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "infer/quant_weight.h"

#define Q "model.layers.1.self_attn.q_proj"

/* A list of n entries, and one more. */
static void long_list(struct buf *to, const char *begin, size_t n, const char *entry, const char *rest, const char *last)
{
	buf_init(to, (size_t)16 << 20);
	buf_printf(to, "%s", begin);
	for (size_t i = 0; i < n; i++)
		buf_printf(to, "\"%s%zu%s\",", entry, i + 2, rest);
	buf_printf(to, "\"%s\"]}}", last);
}

#define LIST(method, list) "{\"quantization_config\":{\"quant_method\":\"" method "\",\"load_in_4bit\":true,\"quant_algo\":\"FP8\",\"" list "\":["

/* A large mixture's list names every expert; what is asked again is answered as before. Patterns, which cost far more, have a limit of their own. */
static void long_lists(void **state)
{
	static const char *const lists[] = { LIST("compressed-tensors", "ignore"), LIST("fp8", "ignored_layers"), LIST("fp8", "modules_to_not_convert"),
		LIST("bitsandbytes", "llm_int8_skip_modules"), LIST("modelopt", "exclude_modules") };
	struct err e = ERR_NONE;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists) * 2; i++) {
		bool listed = i % 2 == 0;
		struct buf text own(buf);
		own(json) json_t *j = NULL;
		own(quant_config) struct quant_config c = { 0 };

		long_list(&text, lists[i / 2], 60000, "model.layers.", ".mlp.experts.0.up_proj", listed ? Q : "model.layers.1.self_attn.k_proj");
		j = json_parse(text.data, text.len, "config", &e);
		assert_int_equal(quant_config_parse(&c, j, &e), 0);
		for (int again = 0; again < 2; again++) {
			struct quant_layout l;
			enum quant_demand demand;

			assert_int_equal(quant_config_demand(&c, Q, &l, &demand, &e), 0);
			assert_int_equal(l.left_out, listed);
			assert_int_equal(quant_config_demand(&c, "model.layers.59999.mlp.experts.0.up_proj", &l, &demand, &e), 0);
			assert_true(l.left_out);
		}
	}
	for (size_t n = 4095; n <= 4096; n++) {
		struct buf text own(buf);
		own(json) json_t *j = NULL;
		own(quant_config) struct quant_config c = { 0 };

		long_list(&text, lists[0], n, "re:.*", "", "re:.*x");
		j = json_parse(text.data, text.len, "config", NULL);
		assert_int_equal(quant_config_parse(&c, j, &e), n == 4095 ? 0 : ERR_UNSUPPORTED);
		assert_true(n == 4095 || strstr(e.msg, "not run: quantization_config has more than 4096 patterns"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(long_lists) };

	return cmocka_run_group_tests_name("quant_rules", tests, NULL, NULL);
}
