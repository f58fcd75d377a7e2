/*
 * shape.h - the structure of checkpoints that are not run: encoders, rerankers, vision, speech, parts of diffusion pipelines, adapters.
 * A kind is a table of tensors with their shapes in words of the configuration (shape_table.h); what it demands must be there so.
 *
 * Rules of the findings: shape.missing shape.shape shape.unlisted shape.config (rejects: the configuration lacks a number, it is none, or one divides another that must not),
 * shape.rank shape.pair (rejects, of adapters), shape.target shape.layers (rejects or flags, of adapters),
 * shape.packed (reject: what makes up a packed matrix does not fit), shape.unexpected shape.base shape.pattern (flags)
 */
#ifndef INFER_SHAPE_H
#define INFER_SHAPE_H

#include <jansson.h>

#include "infer/packed.h"

#define SHAPE_NAME_MAX	 256
#define SHAPE_LAYERS_MAX 1024	/* of all stages together */
#define SHAPE_STAGES_MAX 64

enum {
	SHAPE_BIAS = 1,		/* NAME.bias too, as long as the first dimension */
	SHAPE_OPTIONAL = 2,	/* what no key decides: in all its layers with its bias, or nowhere */
	SHAPE_LATER = 4,	/* not in the first stage */
	SHAPE_BESIDE = 8,	/* of another class, whose tensors may be there too, or some of them: checked where they are */
	SHAPE_BEYOND = 16,	/* of what the configuration does not mean, of a layer the one past the last: named where it is */
};

/*
 * In a name '^' stands for the root, %L for the layer, %S for the stage, %P for the stage before; ".weight" is added unless it ends with '!'.
 * "a|b": one of these spellings must be there. A dimension is a sum of products of numbers and keys: "3*hidden_size"; "a|b=2" is the key a,
 * else b, else 2; "a/4" a quarter of it, "1<<%S" a power of two; "#id2label" counts what is in an object or list; "widths.0", "widths.%S" and
 * "widths.last" are entries of a list, or the one number that stands for all; "@patches" are those of image_size by patch_size; "?" is anything.
 * %Z is the last stage, a term that begins with '-' is taken away. A row named "?" (WHEN of shape_table.h) holds a condition, as a kind's when, for
 * those after it up to the next; it may speak of the layer, of the stage and, as "^", of a root that is not empty. One that begins with '/' names no
 * tensor (HEADS): the first of its two dimensions is a multiple of the second.
 */
struct shape_row {
	const char *name, *dims;
	unsigned flags;
};

struct shape_kind {
	const char *architectures;	/* globs, separated by blanks; NULL ends a table of kinds */
	const struct shape_row *rows;	/* ended by a NULL name; the first one finds the root */
	const char *roots;		/* tried in turn, separated by blanks; "-" is none, as NULL */
	const char *layers, *stages;	/* how many there are, as a dimension is written; layers may differ by stage ("depths.%S") */
	const char *config;		/* the object within config.json that the keys are in, NULL itself; what it lacks is looked for outside it */
	const char *when;		/* "key=glob", "!key=true", "key" for anything, "key:number" for a list that has it, "a<>b" of dimensions, "one|other": only where all are so */
	const char *defaults;		/* "key=number …": what the configuration leaves unsaid, as transformers does where it has an object for each part */
	bool partial;			/* the rows are some of what there is: the rest is not named */
};

const struct shape_kind *shape_kind_at(size_t i);	/* NULL past the last */

struct shape_count {
	size_t demanded, unexpected;
	size_t untold;	/* of the demanded those that are packed in a form that does not tell us their shape */
	bool known;	/* a kind fits the architecture, and the code is transformers' own */
	bool partial;
};

/* How config.json says that matrices are packed. */
struct shape_packing {
	struct quant_config quant;	/* no method: they are not */
	bool unknown;			/* they are, in a form that can't be decoded */
};

/*
 * config is foreign input of any form. ERR_INPUT when something is missing or differs. Marks what has a place as claimed. A packed matrix counts
 * as the one it stands for; of a form that is not known only that something is there.
 */
int shape_check(struct weights *w, const char *architecture, const json_t *config, const struct shape_packing *packing, struct shape_count *n,
	struct report *r, struct err *e);
/* An adapter against its adapter_config.json: pairs that fit, ranks as said, some target met, no layer lost, a base that is named. */
int shape_check_adapter(struct weights *w, const json_t *config, struct shape_count *n, struct report *r, struct err *e);
/* One in a GGUF, which says no more than its adapter.type. */
int shape_check_gguf_adapter(struct weights *w, const char *file, struct shape_count *n, struct report *r, struct err *e);

#endif
