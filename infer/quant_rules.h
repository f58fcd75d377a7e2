/*
 * quant_rules.h - how the weight of one module is packed, where a configuration says it for each by patterns: GPTQModel's `dynamic`, the
 * config_groups and `ignore` of compressed-tensors, the others' lists of what is left as it is. Patterns are those of Python's re.match:
 * they begin at a name's first character.
 *
 * A list names modules as a program builds them, and a file may have been written by one that nests them otherwise ("model.language_model.layers"
 * for "language_model.model.layers"). What fits the name as it stands is sure; what fits it but for what goes before is perhaps meant. Patterns
 * are tried on the other names that a module of the text model may have; where these differ nothing is sure.
 */
#ifndef INFER_QUANT_RULES_H
#define INFER_QUANT_RULES_H

#include "infer/quant_weight.h"

#define QUANT_RULES_MAX	   131072	/* twice the experts' matrices of the largest mixtures, which some lists name one by one */
#define QUANT_PATTERNS_MAX 4096		/* each is compiled, and tried on each module */

enum quant_target {
	TARGET_NAME,	/* of a module, all of it */
	TARGET_PATTERN,
	TARGET_CLASS,	/* "Linear": every module that has a packed weight is one */
	TARGET_PART,	/* transformers' modules_to_not_convert: whole parts of a name, at its beginning or its end; some editions ask only that a part ends with it */
	TARGET_SUBSTRING,	/* AWQ's: as transformers reads it, and any text in a name for AutoAWQ and vLLM */
	TARGET_END,	/* GPTQ's modules_in_block_to_quantize: a name's end */
	TARGET_GLOB,	/* ModelOpt's exclude_modules: all of it, with * and ? */
};

enum quant_fit { FIT_NO, FIT_PERHAPS, FIT_YES };

struct quant_rules;

/* The first rule that fits counts, as for GPTQModel; where `sorted`, names before patterns in order of the alphabet before classes. */
struct quant_rules *quant_rules_new(bool sorted);
void quant_rules_free(struct quant_rules *r);
/* ERR_UNSUPPORTED for a pattern that can't be used, and for too many. No more once a module was asked for. A target that is there already gets the new layout. */
int quant_rules_add(struct quant_rules *r, enum quant_target kind, const char *target, const struct quant_layout *layout, struct err *e);
/*
 * *out gets the module's layout where a rule surely fits, and stays as it is otherwise. If one that comes before it and says otherwise
 * perhaps fits, so does the whole, and *out says nothing of being left out, nor of what shapes tell. No rules (NULL) fit nothing. What was found is
 * kept: from one thread at a time.
 */
int quant_rules_find(struct quant_rules *r, const char *module, struct quant_layout *out, enum quant_fit *fit, struct err *e);

#endif
