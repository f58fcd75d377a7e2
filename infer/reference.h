/*
 * reference.h - the last layer of checks: against an earlier report on what should be the same model (the previous revision, or
 * the same weights in another format). This is what sees one transposed matrix or a wrong epsilon, which loss alone does not.
 */
#ifndef INFER_REFERENCE_H
#define INFER_REFERENCE_H

#include "infer/smoke.h"

/*
 * Adds a reason for every way in which s differs more than it may: token ids not at all; on the same device path and precision
 * nothing beyond rounding; else the loss by what the coarser of the two precisions costs.
 * A sibling of another size is another model, and nothing is compared.
 */
void reference_compare(struct smoke *s, const json_t *reference, bool is_sibling);

#endif
