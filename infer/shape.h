/*
 * shape.h - the structure of checkpoints that are not run: encoders, rerankers, vision, speech, parts of diffusion pipelines, adapters.
 * A kind is a table of tensors with their shapes in words of the configuration (shape_kinds.c); what it demands must be there so.
 *
 * Rules of the findings: shape.missing shape.shape shape.config (rejects: the configuration lacks a number, or it is none),
 * shape.rank shape.pair shape.target (rejects, of adapters), shape.pooling (reject), shape.unexpected shape.base (flags)
 */
#ifndef INFER_SHAPE_H
#define INFER_SHAPE_H

#include <jansson.h>

#include "infer/weights.h"

#define SHAPE_NAME_MAX	 256
#define SHAPE_LAYERS_MAX 1024

enum { SHAPE_BIAS = 1 /* NAME.bias too, as long as the first dimension */, SHAPE_OPTIONAL = 2 /* checked where it is there */ };

/*
 * '^' at the start of a name stands for the root, %L for the layer; ".weight" is added unless it ends with '!'. A dimension is a product
 * of numbers and keys: "3*hidden_size"; "a|b=2" is the key a, else b, else 2; "#id2label" counts what is in an object or list;
 * "widths.0", "widths.%L" and "widths.last" are entries of a list; "@patches" are those of image_size by patch_size; "?" is anything.
 */
struct shape_row {
	const char *name, *dims;
	unsigned flags;
};

struct shape_kind {
	const char *architectures;	/* globs, separated by blanks */
	const char *config;		/* the object within config.json that the keys are in, "" itself; what it lacks is looked for outside it */
	const char *roots;		/* tried in turn, separated by blanks; "-" is none */
	const char *layers;		/* how many there are, as a dimension is written */
	const struct shape_row *rows;	/* ended by a NULL name; the first one finds the root */
	bool partial;			/* the rows are some of what there is: the rest is not named */
};

const struct shape_kind *shape_kind_at(size_t i);	/* NULL past the last */

struct shape_count {
	size_t demanded, unexpected;
	bool known;	/* a kind fits the architecture */
	bool partial;
};

/* config is foreign input of any form. ERR_INPUT when something is missing or differs. Marks what has a place as claimed. */
int shape_check(struct weights *w, const char *architecture, const json_t *config, struct shape_count *n, struct report *r, struct err *e);
/* An adapter against its adapter_config.json: pairs that fit, ranks as said, every target met, a base that is named. */
int shape_check_adapter(struct weights *w, const json_t *config, struct shape_count *n, struct report *r, struct err *e);

#endif
