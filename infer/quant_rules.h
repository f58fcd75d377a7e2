/*
 * quant_rules.h - how the weight of one module is packed, where a configuration says it for each by patterns: GPTQModel's `dynamic`, the
 * config_groups and `ignore` of compressed-tensors. Patterns are those of Python's re.match: they begin at a name's first character.
 */
#ifndef INFER_QUANT_RULES_H
#define INFER_QUANT_RULES_H

#include "infer/quant_weight.h"

#define QUANT_RULES_MAX 4096

enum quant_target {
	TARGET_NAME,	/* of a module, all of it */
	TARGET_PATTERN,
	TARGET_CLASS,	/* "Linear": every module that has a packed weight is one */
};

struct quant_rules;

/* The first rule that fits counts, as for GPTQModel; where `sorted`, names before patterns in order of the alphabet before classes. */
struct quant_rules *quant_rules_new(bool sorted);
void quant_rules_free(struct quant_rules *r);
/* ERR_UNSUPPORTED for a pattern that can't be used, ERR_LIMIT for too many. A target that is there already gets the new layout. */
int quant_rules_add(struct quant_rules *r, enum quant_target kind, const char *target, const struct quant_layout *layout, struct err *e);
/* *out gets the module's layout, and stays as it is where no rule fits: then *found is false. */
int quant_rules_find(const struct quant_rules *r, const char *module, struct quant_layout *out, bool *found, struct err *e);

#endif
