/*
 * agree.h - what is written twice in a checkpoint must agree: token ids in config.json, generation_config.json and the tokenizer
 * with the rows of the embedding; the head with the embedding and with what the configuration says about the two.
 *
 * Rules of the findings: config.token_id (reject: an id without a row, no end of text that the tokenizer has; flag: an id that no
 * token has, another end of text than the tokenizer's), plan.tied (reject: tied, yet two different tensors; flag: tied, and two that
 * can't be compared; not tied, yet the same)
 */
#ifndef INFER_AGREE_H
#define INFER_AGREE_H

#include "infer/smoke.h"

void agree_token_ids(struct smoke *s, const struct model *m, const struct tokenizer *t, int dirfd, struct report *r);
int agree_tie(struct smoke *s, const struct model *m, struct report *r, struct err *e);
/* The same of what a model that is not run has twice. */
int agree_ties(struct smoke *s, const struct weights *w, const char *architecture, const json_t *config, struct report *r, struct err *e);

#endif
