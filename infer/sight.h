/*
 * sight.h - the part of a checkpoint that sees images, which is not run: is all of it there? Its layers must be as many as the
 * configuration says and built like the first; the parts around them and what joins them to the text are a table (sight.c).
 *
 * Rules of the findings: plan.missing plan.shape (rejects), plan.unexpected (flag: a name that fits nothing)
 */
#ifndef INFER_SIGHT_H
#define INFER_SIGHT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "verify/report.h"

struct plan;

/* What a configuration says of it. Numbers are 0 where it does not say them. */
struct sight {
	bool declared;
	char architecture[64];		/* "" in the authors' own form, whose names are others */
	uint32_t n_layer;
	uint32_t n_joined;		/* of its layers, that go into the text beside what the last one says */
	bool projector_bias;
	uint64_t size, size_out, size_merged;	/* of its layers, of what leaves it, of what patches that are joined have together */
};

/* config is foreign input: config.json, or params.json of the authors' own programs. */
void sight_read(struct sight *s, const json_t *config, bool own_form);
int sight_check(const struct plan *p, struct report *r, struct err *e);

#endif
