/*
 * fuzz_quant.c - packed weights whose parts contradict each other. The input says which tensors there are, of which types and shapes (sizes
 * follow from those, as a checked file guarantees), how config.json calls the packing, and what the small tensors hold.
 */
#include "base/json.h"
#include "base/vec.h"
#include "infer/quant_weight.h"

#define PART_MAX_BYTES 65536
#define ROWS_MAX_BYTES (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const suffixes[] = { ".weight", ".qweight", ".weight_packed", ".scales", ".qzeros", ".g_idx", ".weight_scale", ".weight_scale_inv", ".SCB",
					".weight_scale_2", ".weight_shape", ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax",
					".weight.nested_quant_map", ".weight.quant_state.bitsandbytes__nf4", ".weight_zero_point" };
static const char *const dtypes[] = { "F32", "F16", "BF16", "F8_E4M3", "F8_E8M0", "U8", "I8", "I32", "I64", "Q4_K", "Q8_0", "BOOL" };
static const char *const configs[] = {
	"{}",
	"{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16}}",
	"{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":3,\"group_size\":32}}",
	"{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":-1,\"checkpoint_format\":\"gptq_v2\"}}",
	"{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":32}}",
	"{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[16,32]}}",
	"{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}}",
	"{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"group_size\":32}}}}}",
	"{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"mixed-precision\"}}",
};

struct file {
	struct quant_part parts[ARRAY_LEN(suffixes)];
	bool there[ARRAY_LEN(suffixes)];
	const uint8_t *bytes;
	size_t n;
};

static bool find(void *ctx, const char *name, struct quant_part *out)
{
	const struct file *f = ctx;

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (!strncmp(name, "w", 1) && !strcmp(name + 1, suffixes[i]) && f->there[i]) {
			*out = f->parts[i];
			return true;
		}
	return false;
}

static int load(void *ctx, const struct quant_part *p, void *dst, struct err *e)
{
	const struct file *f = ctx;

	(void)e;
	for (uint64_t i = 0; i < p->size_bytes; i++)
		((uint8_t *)dst)[i] = f->n ? f->bytes[(i + p->id) % f->n] : 0;
	return 0;
}

/* Four bytes a tensor: type and whether it is there, rank, two dimensions. */
static void read_part(struct file *f, size_t i, const uint8_t *p)
{
	struct quant_part *part = &f->parts[i];
	uint64_t n = 1;

	part->dtype = dtypes[(p[0] & 0x7f) % ARRAY_LEN(dtypes)];
	part->type = quant_type(part->dtype);
	part->rank = p[1] % 4;
	part->id = i < 10 ? i * 7 : 0;	/* where its bytes begin: shapes and states at the first */
	for (uint32_t d = 0; d < part->rank; d++) {
		part->shape[d] = p[2 + d % 2] & 0x80 ? (uint64_t)(p[2 + d % 2] & 0x7f) * 16 : p[2 + d % 2];
		n *= part->shape[d];
	}
	part->size_bytes = part->type ? quant_row_bytes(part->type, n) : n;
	f->there[i] = p[0] & 0x80 && part->size_bytes <= PART_MAX_BYTES;
}

static void decode(const struct file *f, const struct quant_weight *w, uint64_t row, uint64_t n)
{
	own(mem) void *window = NULL;
	own(mem) float *out = NULL;
	uint64_t offset, bytes;

	quant_weight_window(w, row, n, &offset, &bytes);
	if (offset > w->main.size_bytes || bytes > w->main.size_bytes - offset)
		abort();
	if (bytes > ROWS_MAX_BYTES || w->in > ROWS_MAX_BYTES || n * w->in * sizeof(*out) > ROWS_MAX_BYTES)
		return;
	window = mem_zalloc(bytes + 1);
	out = malloc(n * w->in * sizeof(*out));
	for (uint64_t i = 0; i < bytes; i++)
		((uint8_t *)window)[i] = f->n ? f->bytes[(offset + i) % f->n] : 0;
	if (out && quant_weight_rows(w, window, row, n, out, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct file f;
	struct quant_source source = { &f, find, load };
	own(quant_weight) struct quant_weight w = { 0 };
	own(json) json_t *config = NULL;
	own(quant_config) struct quant_config c = { 0 };
	struct err e = ERR_NONE;
	size_t head = 1 + 4 * ARRAY_LEN(suffixes);

	if (size < head)
		return 0;
	f = (struct file){ .bytes = data + head, .n = size - head };
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		read_part(&f, i, data + 1 + 4 * i);
	config = json_parse(configs[data[0] % ARRAY_LEN(configs)], strlen(configs[data[0] % ARRAY_LEN(configs)]), "config", &e);
	if (quant_config_parse(&c, config, &e) < 0)
		abort();
	if (quant_weight_open(&w, &c, &source, "w.weight", &e) < 0) {
		if (e.code == 0)
			abort();	/* a failure must say why */
		return 0;
	}
	decode(&f, &w, 0, w.out < 8 ? w.out : 8);
	decode(&f, &w, w.out - 1, 1);
	return 0;
}
