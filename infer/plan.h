/*
 * plan.h - which tensor stands in which place of the model. Every tensor that the spec needs must be there with the exact shape,
 * and every tensor that is there must have a place (or be one of the few kinds that have none): that is the first layer of checks,
 * done before any arithmetic. Fused, stacked and transposed forms all become plain matrices (weights.h) here.
 *
 * Rules of the findings: plan.missing plan.shape plan.dtype plan.unexpected plan.tied plan.scale plan.unlisted
 */
#ifndef INFER_PLAN_H
#define INFER_PLAN_H

#include "infer/family.h"
#include "infer/packed.h"
#include "infer/sight.h"
#include "infer/spec.h"
#include "infer/weights.h"

#define PLAN_NAME_MAX 512

/* A layer's (or the model's) tensors by role. rows == 0: not there. Vectors are matrices of one column. */
struct plan_layer {
	struct weight w[ROLE_COUNT], bias[ROLE_COUNT];
};

struct plan {
	const struct spec *spec;
	const struct family *family;
	struct weights *weights;
	struct quant_config quant;
	bool gguf;
	const struct sight *sight;	/* what the configuration says of a part for images */
	bool checking;			/* plan_open is at work: nothing will be multiplied */
	bool head_only;			/* tied, and stored as the head alone */
	const char *root;		/* "model.", "transformer.", "" … */
	struct plan_layer ends;		/* roles before ROLE_LAYER_FIRST */
	struct tensor *stored_head;	/* the file's, used or not; NULL: there is none, or several tensors make it up */
};

/* Finds the root, checks every layer and marks the tensors that have a place; then looks at what is left over. */
int plan_open(struct plan *p, const struct spec *s, const struct family *f, struct weights *w, const struct quant_config *quant, bool gguf,
	const struct sight *sight, struct report *r, struct err *e);
void plan_close(struct plan *p);
/* Does any tensor have a name that some place of a model of this family has? */
bool plan_knows_any(const struct family *f, const struct weights *w);

/* The tensors of layer l, without its experts; what is packed is opened. Close it before the next. */
int plan_layer_open(const struct plan *p, uint32_t l, struct plan_layer *out, struct report *r, struct err *e);
/* The three matrices (ROLE_EXP_GATE, _UP, _DOWN) of one expert. */
int plan_expert_open(const struct plan *p, uint32_t l, uint32_t expert, struct plan_layer *out, struct report *r, struct err *e);
void plan_layer_close(struct plan_layer *layer);

/* Rotation factors that a GGUF keeps as tensors, into s->rope_config; before spec_finish. */
int plan_rope_factors(struct spec *s, struct weights *w, struct err *e);

static inline void own_plan(struct plan *p)
{
	plan_close(p);
}

static inline void own_plan_layer(struct plan_layer *l)
{
	plan_layer_close(l);
}

#endif
