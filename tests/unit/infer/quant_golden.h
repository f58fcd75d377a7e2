/* quant_golden.h - the packed weights of tests/golden/quant as a quant_source whose tensors can be hidden, renamed and spoilt, and configurations that speak of them. */
#ifndef TESTS_UNIT_INFER_QUANT_GOLDEN_H
#define TESTS_UNIT_INFER_QUANT_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "infer/quant_weight.h"
#include "tests/golden/quant/cases.h"
#include "verify/safetensors.h"

#define GOLDEN	   SOURCE_DIR "/tests/golden/quant/" PACKED_FILE

/* The golden file as a quant_source; `hide` is a tensor that is not there, `rename_*` let one stand for another, `poison` is all ones. */
struct golden {
	struct safetensors st;
	int fd;
	const char *hide, *rename_from, *rename_to, *poison;
	const char *renamed_stem, *renamed_to;	/* what a weight is called, all its parts, and which one it is */
	const struct safetensors_tensor *poisoned;
	const char *also, *text;	/* one tensor more, or in place of one: these bytes, of type also_type */
	size_t text_n;
	const char *also_type;
};

#define ALSO_ID ((uint64_t)1 << 40)

static inline bool golden_find(void *ctx, const char *name, struct quant_part *out)
{
	struct golden *g = ctx;
	const struct safetensors_tensor *t;
	char stem[64];

	if (g->hide && !strcmp(name, g->hide))
		return false;
	if (g->renamed_stem && str_starts(name, g->renamed_stem)) {
		snprintf(stem, sizeof(stem), "%s%s", g->renamed_to, name + strlen(g->renamed_stem));
		name = stem;
	}
	if (g->also && !strcmp(name, g->also)) {
		*out = (struct quant_part){ .dtype = g->also_type, .type = quant_type(g->also_type), .rank = 1, .size_bytes = g->text_n, .id = ALSO_ID };
		out->shape[0] = out->type && out->type->block == 1 ? g->text_n / out->type->bytes : g->text_n;
		return true;
	}
	if (g->rename_from && !strcmp(name, g->rename_from))
		name = g->rename_to;
	t = safetensors_find(&g->st, name);
	if (!t)
		return false;
	if (g->poison && !strcmp(name, g->poison))
		g->poisoned = t;
	*out = (struct quant_part){ .dtype = safetensors_dtype_name(t->dtype), .rank = t->rank, .size_bytes = t->end - t->begin };
	out->type = quant_type(out->dtype);
	for (uint32_t i = 0; i < t->rank; i++)
		out->shape[i] = t->shape[i];
	out->id = (uint64_t)(t - g->st.tensors);
	return true;
}

static inline int golden_load(void *ctx, const struct quant_part *p, void *dst, struct err *e)
{
	struct golden *g = ctx;
	int r;

	if (p->id == ALSO_ID) {
		memcpy(dst, g->text, p->size_bytes);
		return 0;
	}
	r = fdio_pread_exact(g->fd, dst, p->size_bytes, g->st.data_start + g->st.tensors[p->id].begin, "golden", e);

	if (g->poisoned == &g->st.tensors[p->id])
		memset(dst, 0xff, p->size_bytes);	/* NaN as a float, -1 as an index */
	return r;
}

static struct golden golden;
static struct quant_source source = { &golden, golden_find, golden_load };

static inline int setup(void **state)
{
	struct err e = ERR_NONE;

	(void)state;
	golden.fd = open(GOLDEN, O_RDONLY | O_CLOEXEC);
	assert_true(golden.fd >= 0);
	assert_int_equal(safetensors_open(&golden.st, golden.fd, "packed", NULL, &e), 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	safetensors_close(&golden.st);
	close(golden.fd);
	return 0;
}

static inline struct quant_config config_of(const char *json)
{
	struct quant_config c;
	struct err e = ERR_NONE;
	own(json) json_t *j = json_parse(json, strlen(json), "config", &e);

	assert_non_null(j);
	if (quant_config_parse(&c, j, &e) < 0)
		fail_msg("%s: %s", json, e.msg);
	return c;
}

#define GPTQ(dynamic) "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16,\"dynamic\":{" dynamic "}}}"
#define GROUP(targets, bits) "{\"targets\":[" targets "],\"weights\":{\"num_bits\":" bits ",\"group_size\":32}}"
#define ARGS(more) "{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"group_size\":32," more "}}"
#define STRATEGY(name, more) "{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"strategy\":\"" name "\"" more "}}"
#define IN_BLOCK(name) "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16,\"modules_in_block_to_quantize\":[[\"" name "\"]]}}"
#define SKIPS(method, list, name) \
	"{\"quantization_config\":{\"quant_method\":\"" method "\",\"load_in_4bit\":true,\"bits\":4,\"group_size\":32,\"" list "\":[\"" name "\"]}}"
#define GROUPS(more, ...) "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\"" more ",\"config_groups\":{" __VA_ARGS__ "}}}"

#endif
