/* fuzz_model_config.c - any bytes as a model's config.json: what is accepted must be within the limits that the forward pass relies on. */
#include <math.h>

#include "base/json.h"
#include "base/vec.h"
#include "infer/config.h"
#include "infer/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct spec *s)
{
	if (s->n_layer == 0 || s->n_layer > SPEC_LAYERS_MAX || s->d_model > SPEC_DIM_MAX || s->n_head % s->n_kv || s->n_rot > s->d_k || !(s->attn_scale > 0))
		abort();
	for (uint32_t l = 0; l < s->n_layer; l++)
		if (s->layer[l].rope > 1 || (s->layer[l].moe && !s->moe.n_expert))
			abort();
	for (int i = 0; s->pos == POS_ROPE && i < 1 + s->local_rope; i++)
		for (uint32_t k = 0; k < s->rope[i].n_rot / 2; k++)
			if (!isfinite(s->rope[i].inv_freq[k]))
				abort();
}

/* The same bytes as the configuration of what is not run: nothing that it demands is there. */
static void check_shapes(const json_t *config)
{
	static const char *const architectures[] = {
		"BertForSequenceClassification", "CLIPModel", "ViTModel", "UNet2DConditionModel", "T5EncoderModel", "Dense", "MarianMTModel", "AlbertModel",
		"Wav2Vec2ForCTC", "WavLMForXVector", "SwinForImageClassification", "ResNetForImageClassification", "SegformerForSemanticSegmentation",
	};
	const struct shape_packing plain = { .unknown = false };
	struct weights none = { 0 };
	struct shape_count n;
	struct err e = ERR_NONE;

	for (size_t i = 0; i < ARRAY_LEN(architectures); i++)
		if (shape_check(&none, architectures[i], config, &plain, &n, NULL, &e) == 0 && n.known)
			abort();
	shape_check_adapter(&none, config, &n, NULL, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *config own(json) = json_parse((const char *)data, size, "config.json", NULL);
	own(mem) struct spec *s = mem_zalloc(sizeof(*s));
	const struct family *family;
	struct report r own(report) = { 0 };
	struct err e = ERR_NONE;

	if (config)
		check_shapes(config);
	if (!config || config_read_hf(s, &family, config, &r, &e) < 0 || spec_finish(s, 100, &e) < 0 || config_layers_hf(s, family, config, &r, &e) < 0)
		return 0;
	check(s);
	return 0;
}
