/*
 * sample.h - a name for the numbers that a model uses, however its files are cut, called and commented: where two have the same one, what differs
 * between their runs is no doing of the weights. Of a large tensor a few places are read and not all of it, for the forward pass may have pushed its
 * bytes out of memory; for the rest speaks a sum that was taken on the way (weights.h), of those that hold their own numbers. Packed ones that differ
 * only elsewhere have one name, and so have others by intent: nobody may take them for the same file on its word.
 */
#ifndef INFER_SAMPLE_H
#define INFER_SAMPLE_H

#include "infer/model.h"
#include "verify/digest.h"

/* Of one whose tensors were all looked at (survey.h). The same of the same tensors in any order and under any names; of one that is stored twice as of one that is stored once. */
int sample_model(const struct model *m, char out[DIGEST_HEX_MAX], struct err *e);

#endif
