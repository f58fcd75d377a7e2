/*
 * survey.h - what the numbers of the weights look like. The forward pass has looked at most of them on its way; what it did not
 * read is read here, so that every element of every tensor has been seen once.
 *
 * Rules: stats.nonfinite stats.zero stats.constant stats.outlier stats.scale stats.holes stats.gap (rejects), stats.duplicate stats.order (flags: layers are copies,
 * which merges do on purpose)
 */
#ifndef INFER_SURVEY_H
#define INFER_SURVEY_H

#include "infer/smoke.h"

/* Completes the statistics of m's tensors and judges them: findings in r, reasons in s. */
int survey_run(struct smoke *s, struct model *m, struct tell *listener, struct report *r, struct err *e);

/* The same for a checkpoint that is not run, with its structure as far as we know its kind: what is plainly damage fails it, what is odd is flagged. */
int survey_unknown(struct smoke *s, int dirfd, const char *file, struct tell *listener, struct report *r, struct err *e);

#endif
