/* extra.h - tensors of a checkpoint that are no part of the model of text: the parts that see, and what programs leave behind. */
#ifndef INFER_EXTRA_H
#define INFER_EXTRA_H

#include "infer/plan.h"

/* Has a tensor without a place in the forward pass of a text a reason to be there? */
bool extra_known(const struct plan *p, const char *name);
/* Of a head that estimates values while a model is trained, saved with its name for text: programs pass over it. */
bool extra_of_training(const char *name);
/* By their names: of the part that sees, or of that and what joins it to the text. */
bool extra_is_tower(const char *name);
bool extra_is_sight(const char *name);
/* A configuration that declares a part that sees images needs all tensors of it (sight.h). */
int extra_check(const struct plan *p, struct report *r, struct err *e);

#endif
