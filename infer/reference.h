/*
 * reference.h - the last layer of checks: against an earlier report on what should be the same model (the previous revision, or
 * the same weights in another format). This is what sees one transposed matrix or a wrong epsilon, which loss alone does not.
 */
#ifndef INFER_REFERENCE_H
#define INFER_REFERENCE_H

#include "infer/smoke.h"

/*
 * Adds a reason (by the relation: a finding, rule "reference") for every way in which s differs more than it may: token ids not at all;
 * of the same floats on the same device path nothing beyond rounding, but for what rows that pad a vocabulary cost; else the loss by what the coarser of the two precisions costs.
 * What no form of a model changes (same_model.h) may not differ at all. A sibling that it shows to be another model is not compared, which is said; nor is
 * one of several that the checkpoint says it was quantised from, where another is its original. Other weights may differ in all but doing worse; which of an
 * earlier revision's are the same says their name (sample.h), or the relation where the report has none; they count under this name and under those that
 * are no more, for another configuration may be beside them.
 */
void references_compare(struct smoke *s, const struct smoke_reference *refs, size_t n, struct report *r);
/*
 * Can a run over n tokens be held against it? ERR_FAILED where a report that is given by hand is of a run over more or less of the same text. Of other
 * relations such a one is not compared: how much is read goes by the model's size and its context, and earlier runners counted that in other ways. The same
 * weights under a context that ends the text, where it did not, differ.
 */
int reference_check(const struct smoke *s, const struct smoke_reference *ref, uint32_t n, struct err *e);
/* A file for --reference: a report of a run, or {"relation","name","report"} as the daemon writes it. ERR_INPUT for another thing. */
int reference_read(struct smoke_reference *out, const json_t *file, struct err *e);

#endif
