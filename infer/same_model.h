/*
 * same_model.h - are two runs of forms of one model? Told by what no form changes: width, layers, experts, and how many numbers the matrices of the
 * layers hold. Vocabularies are padded by programs that convert, and a head is stored or tied as they like: those say nothing.
 */
#ifndef INFER_SAME_MODEL_H
#define INFER_SAME_MODEL_H

#include "infer/smoke.h"

enum same_model {
	SAME_MODEL,	/* or one of the very same build */
	SAME_IN_PART,	/* a layer or an expert is missing in one of the two, which is damage unless it was the intent */
	SAME_NOT,	/* another model: a draft, another size of the family */
	SAME_UNKNOWN,	/* the report does not tell: of no run, or of old, with other numbers in all, which a head that is stored may be */
};

/* `why` says what the report's has and this one has not; it is empty where they are the same. */
struct same_model_answer {
	enum same_model how;
	char why[120];
};

struct same_model_answer same_model(const struct smoke *s, const json_t *report);
/* Of a report on several artefacts the one on the same model, or else on most of it, or else the first; a report on one is that. */
const json_t *same_model_among(const struct smoke *s, const json_t *report);

#endif
