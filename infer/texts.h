/* texts.h - what goes through the model: the text's tokens, and the two controls made of them. */
#ifndef INFER_TEXTS_H
#define INFER_TEXTS_H

#include "infer/smoke.h"

/* Tokens of the text, cut to what the model is to be given; checks that the tokenizer fits the model and gives the text back. */
int texts_encode(struct smoke *s, const struct model *m, struct tokenizer *t, const struct smoke_options *o, struct err *e);
/* How many of s->tokens go through as one text: by the size of the model, whatever form it is stored in, and no more than it takes. */
uint32_t texts_length(const struct smoke *s, const struct model *m, const struct smoke_options *o);
uint32_t texts_wanted(const struct smoke *s, const struct model *m, const struct smoke_options *o);	/* the same, whatever it takes */
/* The batch of s->tokens. */
int texts_make(struct smoke_texts *x, const struct smoke *s, const struct model *m, struct tokenizer *t, const struct smoke_options *o, struct err *e);
void texts_done(struct smoke_texts *x);

static inline void own_smoke_texts(struct smoke_texts *x)
{
	texts_done(x);
}

#endif
