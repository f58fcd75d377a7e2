/* extra.c - see extra.h. */
#include "infer/extra.h"

#include "base/str.h"
#include "base/vec.h"

#define MASKED_BY ".c_attn.weight"	/* of the attention that a stored mask belongs to */

static const char *const tower[] = { "vision_tower.*", "vision_model.*", "model.vision_*", "vision_encoder.*", "visual.*", "transformer.visual.*", "model.visual.*" };
static const char *const joint[] = { "multi_modal_projector.*", "model.multi_modal_projector.*", "vision_language_adapter.*", "patch_merger.*",
	"pre_mm_projector_norm.*", "visual.*", "transformer.visual.*", "model.visual.*" };

static bool is_one_of(const char *const *patterns, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_glob(patterns[i], name))
			return true;
	return false;
}

static bool any_of(const struct plan *p, const char *const *patterns, size_t n)
{
	for (size_t i = 0; i < p->weights->n; i++)
		if (is_one_of(patterns, n, p->weights->tensors[i].name))
			return true;
	return false;
}

bool extra_is_tower(const char *name)
{
	return is_one_of(tower, ARRAY_LEN(tower), name);
}

bool extra_is_sight(const char *name)
{
	return extra_is_tower(name) || is_one_of(joint, ARRAY_LEN(joint), name);
}

/* A causal mask that some programs store beside the matrix of queries, keys and values: "…attn.bias", "…attn.masked_bias". */
static bool is_mask(const struct plan *p, const char *name)
{
	static const char *const ends[] = { ".attn.bias", ".attn.masked_bias" };
	char other[PLAN_NAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		int n = (int)(strlen(name) - strlen(strrchr(ends[i], '.')));

		if (str_ends(name, ends[i]) && snprintf(other, sizeof(other), "%.*s" MASKED_BY, n, name) < (int)sizeof(other))
			return weights_find(p->weights, other);
	}
	return false;
}

/* Of layers behind the last, which predict further tokens in training. */
static bool is_further_layer(const struct plan *p, const char *name)
{
	unsigned layer;
	char prefix[64];

	snprintf(prefix, sizeof(prefix), p->gguf ? "blk.%%u." : "%slayers.%%u.", p->root);
	return sscanf(name, prefix, &layer) == 1 && layer >= p->spec->n_layer && layer - p->spec->n_layer < p->spec->n_extra_layers;
}

bool extra_known(const struct plan *p, const char *name)
{
	static const char *const of_gguf[] = { "rope_freqs.weight", "rope_factors_*.weight", "blk.*.attn_rot_embd", "blk.*.nextn.*" };
	static const char *const other_heads[] = { "score.*", "classifier.*", "v_head.*" };

	if (is_further_layer(p, name))
		return true;
	if (p->gguf)
		return is_one_of(of_gguf, ARRAY_LEN(of_gguf), name);
	if (p->sight->declared && extra_is_sight(name))
		return true;
	if (p->spec->task && is_one_of(other_heads, ARRAY_LEN(other_heads), name))
		return true;
	return (p->spec->pos == POS_ROPE && str_glob("*rotary_emb.inv_freq", name)) || is_mask(p, name);
}

bool extra_of_training(const char *name)
{
	return str_starts(name, "v_head.");
}

int extra_check(const struct plan *p, struct report *r, struct err *e)
{
	const char *what = NULL;

	if (p->sight->declared && !any_of(p, tower, ARRAY_LEN(tower)))
		what = "of it";
	else if (p->sight->declared && !any_of(p, joint, ARRAY_LEN(joint)))
		what = "that joins it to the text";
	if (!what)
		return p->sight->declared ? sight_check(p, r, e) : 0;
	report_path(r, "%s", "");
	return report_reject(r, "plan.missing", "the checkpoint", e, "the configuration declares a part that sees images, and there is no tensor %s", what);
}
