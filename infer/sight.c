/* sight.c - see sight.h. */
#include "infer/sight.h"

#include <ctype.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/extra.h"

#define SIDE_MAX (1 << 20)	/* of any matrix there */
#define GLOB_MAX 96
#define JOINED_MAX 1024

enum size { ANY, TEXT, SIGHT, OUT, MERGED, NONE };
enum bias { NO_BIAS, ALWAYS, PROJECTOR /* where the configuration says so of what joins */ };

/*
 * Parts that must be there, the two sides of those that join, and whether a bias is beside them. The layers' are those of the first: the
 * others are held against it. '%' stands for the number of one of several that join, all of which must be there.
 */
static const struct part {
	const char *architecture, *glob;
	enum size rows, cols;
	enum bias bias;
} parts[] = {
	{ "Mistral3For*", "*vision_tower.patch_conv.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.ln_pre.*", SIGHT, NONE, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.attention.q_proj.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.attention.k_proj.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.attention.v_proj.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.attention.o_proj.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.attention_norm.*", SIGHT, NONE, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.ffn_norm.*", SIGHT, NONE, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.feed_forward.gate_proj.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.feed_forward.up_proj.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*vision_tower.*.layers.0.feed_forward.down_proj.*", ANY, ANY, NO_BIAS },
	{ "Mistral3For*", "*multi_modal_projector.norm.weight", SIGHT, NONE, NO_BIAS },
	{ "Mistral3For*", "*multi_modal_projector.patch_merger.merging_layer.*", SIGHT, MERGED, NO_BIAS },
	{ "Mistral3For*", "*multi_modal_projector.linear_1.*", TEXT, SIGHT, PROJECTOR },
	{ "Mistral3For*", "*multi_modal_projector.linear_2.*", TEXT, TEXT, PROJECTOR },
	{ "Gemma3For*", "*vision_tower.*embeddings.patch_embedding.*", ANY, ANY, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*embeddings.position_embedding.*", ANY, SIGHT, NO_BIAS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.self_attn.q_proj.*", ANY, ANY, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.self_attn.k_proj.*", ANY, ANY, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.self_attn.v_proj.*", ANY, ANY, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.self_attn.out_proj.*", ANY, ANY, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.layer_norm1.*", SIGHT, NONE, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.layer_norm2.*", SIGHT, NONE, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.mlp.fc1.*", ANY, ANY, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*.layers.0.mlp.fc2.*", ANY, ANY, ALWAYS },
	{ "Gemma3For*", "*vision_tower.*post_layernorm.*", SIGHT, NONE, ALWAYS },
	{ "Gemma3For*", "*multi_modal_projector.mm_input_projection_weight", SIGHT, TEXT, NO_BIAS },
	{ "Gemma3For*", "*multi_modal_projector.mm_soft_emb_norm.weight", SIGHT, NONE, NO_BIAS },
	{ "Llama4For*", "*vision_model.class_embedding", SIGHT, NONE, NO_BIAS },
	{ "Llama4For*", "*vision_model.positional_embedding_vlm", ANY, SIGHT, NO_BIAS },
	{ "Llama4For*", "*vision_model.patch_embedding.linear.*", ANY, ANY, NO_BIAS },
	{ "Llama4For*", "*vision_model.layernorm_pre.*", SIGHT, NONE, ALWAYS },
	{ "Llama4For*", "*vision_model.layernorm_post.*", SIGHT, NONE, ALWAYS },
	{ "Llama4For*", "*vision_model.*.layers.0.self_attn.q_proj.*", ANY, ANY, ALWAYS },
	{ "Llama4For*", "*vision_model.*.layers.0.self_attn.k_proj.*", ANY, ANY, ALWAYS },
	{ "Llama4For*", "*vision_model.*.layers.0.self_attn.v_proj.*", ANY, ANY, ALWAYS },
	{ "Llama4For*", "*vision_model.*.layers.0.self_attn.o_proj.*", ANY, ANY, ALWAYS },
	{ "Llama4For*", "*vision_model.*.layers.0.mlp.fc1.*", ANY, ANY, ALWAYS },
	{ "Llama4For*", "*vision_model.*.layers.0.mlp.fc2.*", ANY, ANY, ALWAYS },
	{ "Llama4For*", "*vision_model.vision_adapter.mlp.fc1.*", ANY, ANY, NO_BIAS },
	{ "Llama4For*", "*vision_model.vision_adapter.mlp.fc2.*", ANY, ANY, NO_BIAS },
	{ "Llama4For*", "*multi_modal_projector.linear_1.*", TEXT, OUT, NO_BIAS },
	{ "Qwen2VLFor*", "*visual.patch_embed.proj.*", SIGHT, ANY, NO_BIAS },
	{ "Qwen2VLFor*", "*visual.blocks.0.norm1.*", SIGHT, NONE, ALWAYS },
	{ "Qwen2VLFor*", "*visual.blocks.0.norm2.*", SIGHT, NONE, ALWAYS },
	{ "Qwen2VLFor*", "*visual.blocks.0.attn.qkv.*", ANY, ANY, ALWAYS },
	{ "Qwen2VLFor*", "*visual.blocks.0.attn.proj.*", ANY, ANY, ALWAYS },
	{ "Qwen2VLFor*", "*visual.blocks.0.mlp.fc1.*", ANY, ANY, ALWAYS },
	{ "Qwen2VLFor*", "*visual.blocks.0.mlp.fc2.*", ANY, ANY, ALWAYS },
	{ "Qwen2VLFor*", "*visual.merger.ln_q.*", SIGHT, NONE, ALWAYS },
	{ "Qwen2VLFor*", "*visual.merger.mlp.0.*", MERGED, MERGED, ALWAYS },
	{ "Qwen2VLFor*", "*visual.merger.mlp.2.*", TEXT, MERGED, ALWAYS },
	{ "Qwen2_5_VLFor*", "*visual.patch_embed.proj.*", SIGHT, ANY, NO_BIAS },
	{ "Qwen2_5_VLFor*", "*visual.blocks.0.norm1.*", SIGHT, NONE, NO_BIAS },
	{ "Qwen2_5_VLFor*", "*visual.blocks.0.norm2.*", SIGHT, NONE, NO_BIAS },
	{ "Qwen2_5_VLFor*", "*visual.blocks.0.attn.qkv.*", ANY, ANY, ALWAYS },
	{ "Qwen2_5_VLFor*", "*visual.blocks.0.attn.proj.*", ANY, ANY, ALWAYS },
	{ "Qwen2_5_VLFor*", "*visual.blocks.0.mlp.gate_proj.*", ANY, ANY, ALWAYS },
	{ "Qwen2_5_VLFor*", "*visual.blocks.0.mlp.up_proj.*", ANY, ANY, ALWAYS },
	{ "Qwen2_5_VLFor*", "*visual.blocks.0.mlp.down_proj.*", ANY, ANY, ALWAYS },
	{ "Qwen2_5_VLFor*", "*visual.merger.ln_q.*", SIGHT, NONE, NO_BIAS },
	{ "Qwen2_5_VLFor*", "*visual.merger.mlp.0.*", MERGED, MERGED, ALWAYS },
	{ "Qwen2_5_VLFor*", "*visual.merger.mlp.2.*", TEXT, MERGED, ALWAYS },
	{ "Qwen3VLFor*", "*visual.patch_embed.proj.*", SIGHT, ANY, ALWAYS },
	{ "Qwen3VLFor*", "*visual.blocks.0.norm1.*", SIGHT, NONE, ALWAYS },
	{ "Qwen3VLFor*", "*visual.blocks.0.norm2.*", SIGHT, NONE, ALWAYS },
	{ "Qwen3VLFor*", "*visual.blocks.0.attn.qkv.*", ANY, ANY, ALWAYS },
	{ "Qwen3VLFor*", "*visual.blocks.0.attn.proj.*", ANY, ANY, ALWAYS },
	{ "Qwen3VLFor*", "*visual.blocks.0.mlp.linear_fc1.*", ANY, ANY, ALWAYS },
	{ "Qwen3VLFor*", "*visual.blocks.0.mlp.linear_fc2.*", ANY, ANY, ALWAYS },
	{ "Qwen3VLFor*", "*visual.pos_embed.*", ANY, SIGHT, NO_BIAS },
	{ "Qwen3VLFor*", "*visual.merger.norm.*", SIGHT, NONE, ALWAYS },
	{ "Qwen3VLFor*", "*visual.merger.linear_fc1.*", MERGED, MERGED, ALWAYS },
	{ "Qwen3VLFor*", "*visual.merger.linear_fc2.*", TEXT, MERGED, ALWAYS },
	{ "Qwen3VLFor*", "*visual.deepstack_merger_list.%.norm.*", MERGED, NONE, ALWAYS },
	{ "Qwen3VLFor*", "*visual.deepstack_merger_list.%.linear_fc1.*", MERGED, MERGED, ALWAYS },
	{ "Qwen3VLFor*", "*visual.deepstack_merger_list.%.linear_fc2.*", TEXT, MERGED, ALWAYS },
};

/* Known beside them; heads that a tower was trained with, and is not used for. */
static const char *const others[] = { "*.head.*", "*position_ids", "*.inv_freq", "*.freqs*" };

static uint64_t side(const json_t *o, const char *key)
{
	int64_t v = json_get_int(o, key, 0);

	return v > 0 && v < SIDE_MAX ? (uint64_t)v : 0;
}

void sight_read(struct sight *s, const json_t *config, bool own_form)
{
	const json_t *v = json_object_get(config, own_form ? "vision_encoder" : "vision_config");
	const char *name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
	uint64_t merge = side(json_object_get(v, "spatial_merge_size") ? v : config, "spatial_merge_size");
	const char *depth = json_object_get(v, "num_hidden_layers") ? "num_hidden_layers" : "depth";

	*s = (struct sight){ .declared = true, .n_layer = (uint32_t)side(v, depth), .size = side(v, json_object_get(v, "embed_dim") ? "embed_dim" : "hidden_size"),
		.size_out = side(v, "vision_output_dim"), .projector_bias = json_get_bool(config, "multimodal_projector_bias", false) };
	if (json_array_size(json_object_get(v, "deepstack_visual_indexes")) <= JOINED_MAX)
		s->n_joined = (uint32_t)json_array_size(json_object_get(v, "deepstack_visual_indexes"));
	s->size_merged = merge && merge < 64 ? s->size * merge * merge : 0;
	if (name && !own_form)
		snprintf(s->architecture, sizeof(s->architecture), "%.63s", name);
}

/* ---- layers ------------------------------------------------------------------------------------------------------- */

/* "STEM.layers.3.REST": where its number stands; false for what is in no layer. */
static bool layer_of(const char *name, size_t *at, uint32_t *layer, const char **rest)
{
	static const char *const words[] = { ".layers.", ".blocks.", ".resblocks." };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *p = strstr(name, words[i]);
		size_t n;

		if (!p)
			continue;
		p += strlen(words[i]);
		n = strspn(p, "0123456789");
		if (n == 0 || n > 6 || p[n] != '.')
			continue;
		*at = (size_t)(p - name);
		*layer = (uint32_t)strtoul(p, NULL, 10);
		*rest = p + n;
		return true;
	}
	return false;
}

static int reject(struct report *r, struct err *e, const char *rule, const char *file, const char *fmt, const char *a, const char *b)
{
	report_path(r, "%s", file);
	return report_reject(r, rule, *file ? file : "the checkpoint", e, fmt, a, b);
}

/* A tensor of one layer in another. What packs a weight may differ from layer to layer, and is not looked at. */
static int check_twin(const struct plan *p, const struct tensor *t, size_t at, const char *rest, uint32_t layer, struct report *r, struct err *e)
{
	const struct tensor *twin;
	char name[PLAN_NAME_MAX];

	if (snprintf(name, sizeof(name), "%.*s%u%s", (int)at, t->name, layer, rest) >= (int)sizeof(name))
		return 0;
	twin = weights_find(p->weights, name);
	if (!twin)
		return reject(r, e, "plan.missing", "", "tensor %s is missing, which other layers have (%s)", name, t->name);
	if (twin->rank == t->rank && memcmp(twin->shape, t->shape, t->rank * sizeof(*t->shape)) == 0)
		return 0;
	return reject(r, e, "plan.shape", twin->file, "tensor %s has another shape than %s", name, t->name);
}

static int check_layers(const struct plan *p, uint32_t *n_layer, struct report *r, struct err *e)
{
	uint32_t layer;
	const char *rest;
	size_t at;
	int rc = 0;

	*n_layer = 0;
	for (size_t i = 0; i < p->weights->n; i++)
		if (extra_is_tower(p->weights->tensors[i].name) && layer_of(p->weights->tensors[i].name, &at, &layer, &rest) && layer >= *n_layer)
			*n_layer = layer + 1;
	for (size_t i = 0; rc == 0 && i < p->weights->n && !p->quant.method[0]; i++) {
		const struct tensor *t = &p->weights->tensors[i];

		if (!extra_is_tower(t->name) || !layer_of(t->name, &at, &layer, &rest))
			continue;
		rc = layer ? check_twin(p, t, at, rest, 0, r, e) : 0;
		for (uint32_t l = 1; rc == 0 && layer == 0 && l < *n_layer; l++)
			rc = check_twin(p, t, at, rest, l, r, e);
	}
	return rc;
}

/* ---- the parts around them ------------------------------------------------------------------------------------------ */

static bool fits(const struct plan *p, const struct tensor *t, const struct part *part)
{
	const struct sight *s = p->sight;
	const uint64_t sizes[] = { [ANY] = 0, [TEXT] = p->spec->d_model, [SIGHT] = s->size, [OUT] = s->size_out, [MERGED] = s->size_merged };
	uint64_t rows = part->rows == NONE ? 0 : sizes[part->rows], cols = part->cols == NONE ? 0 : sizes[part->cols];

	if (p->quant.method[0] || str_ends(t->name, ".bias"))
		return true;
	if (part->cols == NONE)
		return t->rank == 1 && (!rows || t->shape[0] == rows);
	if (rows && (t->rank < 2 || t->shape[0] != rows))
		return false;
	return !cols || (t->rank >= 2 && t->shape[1] == cols);
}

/* A matrix or a norm as it is stored, and not what is stored beside it. */
static bool is_weight(const char *name)
{
	return str_ends(name, ".weight") || str_ends(name, ".qweight") || str_ends(name, ".weight_packed");
}

/* The bias beside a weight is as long as that has rows, which of a packed one are not looked at. */
static int check_bias(const struct plan *p, const struct tensor *t, enum bias bias, struct report *r, struct err *e)
{
	const struct tensor *beside;
	char name[PLAN_NAME_MAX];

	if (bias == NO_BIAS || (bias == PROJECTOR && !p->sight->projector_bias) || !is_weight(t->name))
		return 0;
	if (snprintf(name, sizeof(name), "%.*s.bias", (int)(strrchr(t->name, '.') - t->name), t->name) >= (int)sizeof(name))
		return 0;
	beside = weights_find(p->weights, name);
	if (!beside)
		return reject(r, e, "plan.missing", "", "tensor %s is missing, which belongs to %s", name, t->name);
	if (p->quant.method[0] || (beside->rank == 1 && t->rank && beside->shape[0] == t->shape[0]))
		return 0;
	return reject(r, e, "plan.shape", beside->file, "tensor %s is not as long as %s has rows", name, t->name);
}

/* A row's pattern for one number, or for any. */
static void expand(const char *glob, const char *number, char out[GLOB_MAX])
{
	size_t n = strcspn(glob, "%");

	snprintf(out, GLOB_MAX, "%.*s%s%s", (int)n, glob, glob[n] ? number : "", glob[n] ? glob + n + 1 : "");
}

static int check_part(const struct plan *p, const struct part *part, const char *glob, struct report *r, struct err *e)
{
	bool found = false;
	int rc;

	for (size_t i = 0; i < p->weights->n; i++) {
		const struct tensor *t = &p->weights->tensors[i];

		if (!str_glob(glob, t->name))
			continue;
		found |= !str_ends(t->name, ".bias");
		if (!fits(p, t, part))
			return reject(r, e, "plan.shape", t->file, "tensor %s has a shape that does not fit the sizes which the configuration gives%s", t->name, "");
		rc = check_bias(p, t, part->bias, r, e);
		if (rc < 0)
			return rc;
	}
	return found ? 0 : reject(r, e, "plan.missing", "", "of the part that sees images there is no tensor %s%s", glob, "");
}

/* Of a list how long it is the configuration says; where it does not, there is some. */
static int check_parts(const struct plan *p, const struct part *part, struct report *r, struct err *e)
{
	uint32_t n = strchr(part->glob, '%') ? p->sight->n_joined : 0;
	char glob[GLOB_MAX], number[16] = "*";
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && (i < n || i == 0); i++) {
		if (n)
			snprintf(number, sizeof(number), "%u", i);
		expand(part->glob, number, glob);
		rc = check_part(p, part, glob, r, e);
	}
	return rc;
}

static bool is_known(const char *architecture, const char *name)
{
	char glob[GLOB_MAX];
	uint32_t layer;
	const char *rest;
	size_t at;

	if (layer_of(name, &at, &layer, &rest))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (str_glob(others[i], name))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		expand(parts[i].glob, "*", glob);
		if (str_glob(parts[i].architecture, architecture) && str_glob(glob, name))
			return true;
	}
	return false;
}

static void name_unknown(const struct plan *p, struct report *r)
{
	for (size_t i = 0; i < p->weights->n; i++) {
		const struct tensor *t = &p->weights->tensors[i];

		if (t->claimed || !extra_is_sight(t->name) || is_known(p->sight->architecture, t->name))
			continue;
		report_path(r, "%s", t->file);
		report_flag(r, "plan.unexpected", "tensor %s fits no part that sees images as we know them", t->name);
	}
}

int sight_check(const struct plan *p, struct report *r, struct err *e)
{
	const struct sight *s = p->sight;
	bool known = false;
	uint32_t n;
	int rc = check_layers(p, &n, r, e);

	report_path(r, "%s", "");
	if (rc == 0 && s->n_layer && n < s->n_layer)
		rc = report_reject(r, "plan.missing", "the checkpoint", e, "the part that sees images has %u layers, where the configuration says %u", n, s->n_layer);
	else if (rc == 0 && s->n_layer && n > s->n_layer)
		report_flag(r, "plan.unexpected", "the part that sees images has %u layers, where the configuration says %u", n, s->n_layer);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parts); i++) {
		if (!str_glob(parts[i].architecture, s->architecture))
			continue;
		known = true;
		rc = check_parts(p, &parts[i], r, e);
	}
	if (rc == 0 && known)
		name_unknown(p, r);
	return rc;
}
