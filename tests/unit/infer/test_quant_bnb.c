/* test_quant_bnb.c - bitsandbytes' nested scales of blocks, large enough for a page of a file to be few of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/json.h"
#include "infer/quant_weight.h"

#define STATE "{\"shape\":[1024,1280],\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"bfloat16\",\"nested_dtype\":\"float32\",\"nested_blocksize\":256,\"nested_offset\":0.6}"

#define BLOCKS 20480
struct nested {
	uint8_t absmax[BLOCKS];
	float outer[BLOCKS / 256], map[256];
};

static bool find_nested(void *ctx, const char *name, struct quant_part *out)
{
	static const struct {
		const char *name, *type;
		uint64_t n;
	} parts[] = { { "w.weight", "U8", BLOCKS * 32 }, { "w.weight.absmax", "U8", BLOCKS }, { "w.weight.nested_absmax", "F32", BLOCKS / 256 },
		{ "w.weight.nested_quant_map", "F32", 256 }, { "w.weight.quant_map", "F32", 16 }, { "w.weight.quant_state.bitsandbytes__nf4", "U8", 0 } };

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (strcmp(parts[i].name, name) != 0)
			continue;
		*out = (struct quant_part){ .dtype = parts[i].type, .type = quant_type(parts[i].type), .rank = 1, .shape = { parts[i].n }, .id = i,
			.size_bytes = parts[i].n * (parts[i].type[0] == 'F' ? 4 : 1) };
		if (i + 1 == ARRAY_LEN(parts))
			out->size_bytes = out->shape[0] = strlen(STATE);
		return true;
	}
	return false;
}

static int load_nested(void *ctx, const struct quant_part *p, void *dst, struct err *e)
{
	static const float nf4[16] = { -1, -0.69619280f, -0.52507305f, -0.39491749f, -0.28444138f, -0.18477343f, -0.09105004f, 0, 0.07958030f, 0.16093020f,
		0.24611230f, 0.33791524f, 0.44070983f, 0.56261700f, 0.72295684f, 1 };
	const struct nested *v = ctx;
	const void *const from[] = { NULL, v->absmax, v->outer, v->map, nf4, STATE };

	(void)e;
	memcpy(dst, from[p->id], p->size_bytes);
	return 0;
}

/* A page of absmax that was lost, or much of it; blocks whose numbers are all alike mean such a page. */
static void absmax_with_gaps(void **state)
{
	static const struct {
		size_t from, n, least;	/* the least of the other codes, so that all come to nothing */
		bool alike;
		const char *word;	/* "": good */
	} cases[] = {
		{ 0, 0, 1, false, "" }, { 8000, 4096, 64, true, "" }, { 8000, 4096, 64, false, "zeros in a row" }, { 8000, 4000, 64, false, "" },
		{ 8000, 4000, 1, false, "its absmax has a mean of" }, { 0, BLOCKS, 1, false, "its absmax has a mean of" }, { 8000, 900, 1, false, "" },
	};
	struct nested v;
	struct quant_source source_of = { &v, find_nested, load_nested };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct quant_config c = { .method = "bitsandbytes", .layout = { .bits = 4, .group_size = -1 } };
		own(quant_weight) struct quant_weight w = { 0 };
		struct err e = ERR_NONE;
		size_t end = cases[i].from + cases[i].n;

		for (size_t k = 0; k < 256; k++)
			v.map[k] = ((float)k - 127.5f) / 127.5f;
		for (size_t k = 0; k < BLOCKS; k++)
			v.absmax[k] = (uint8_t)(k >= cases[i].from && k < end ? 0 : cases[i].least + k * 37 % (255 - cases[i].least));
		for (size_t k = 0; k < BLOCKS / 256; k++)
			v.outer[k] = cases[i].alike && k >= cases[i].from / 256 && k <= end / 256 ? 0.25f : 0.25f + 0.001f * (float)(k * 7 % 31);
		if (quant_weight_open(&w, &c, &source_of, "w.weight", &e) < 0 ? !*cases[i].word || !strstr(e.msg, cases[i].word) : *cases[i].word)
			fail_msg("%zu: '%s' does not say '%s'", i, e.msg, cases[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(absmax_with_gaps) };

	return cmocka_run_group_tests_name("quant_bnb", tests, NULL, NULL);
}
