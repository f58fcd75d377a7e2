/*
 * plan_find.h - how plan.c and plan_layer.c look for the tensors of a place: by the family's names for its role, in the exact shape, in
 * a form that can be decoded. What is wrong is said to the report, and the search goes on, so that all of it is said.
 */
#ifndef INFER_PLAN_FIND_H
#define INFER_PLAN_FIND_H

#include "infer/plan.h"

/* One look-up in progress: where it is, and what it has to say. */
struct plan_finder {
	const struct plan *p;
	struct plan_layer *out;
	uint32_t layer, expert;
	struct report *r;
	struct err *e;
	bool failed;
	int unsupported;	/* ERR_UNSUPPORTED once a weight is stored in a form that can't be decoded */
};

enum need { OPTIONAL, NEEDED };

/* The tensor name of a row: ^ %L %E replaced, `suffix` added unless the name is complete. False where it gets too long. */
bool plan_expand(const struct plan_finder *f, const char *name, const char *suffix, char out[PLAN_NAME_MAX]);
/* The names of roles that count for this file, in two lists (i is 0 or 1), either of them NULL. */
const struct family_name *plan_rows(const struct plan *p, int i);
/* Tries the rows of a role. On failure `out` holds the first name tried, for the message. */
bool plan_find(const struct plan_finder *f, enum role role, const char *suffix, char out[PLAN_NAME_MAX]);
/* Has any layer what this one has not? */
bool plan_in_some_layer(const struct plan_finder *f, enum role role, const char *suffix);
/* What is missing is missing in the only file, or in all of them together. */
const char *plan_file_name(const struct weights *w);

void plan_fail(struct plan_finder *f, const char *rule, const char *file, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Block `block` of [blocks][rows][cols] (blocks 0: a plain matrix; cols 1: a vector) as the file must have it; rows 0: it has not. */
struct weight plan_matrix(struct plan_finder *f, const char *name, uint64_t blocks, uint32_t rows, uint32_t cols, uint64_t block, bool transposed);
/* What a tensor is, for those who compare it with its likes. */
void plan_label(const struct plan_finder *f, enum role role, const struct weight *w, bool is_bias);

/* The role's weight into f->out, when it is there. */
bool plan_take(struct plan_finder *f, enum role role, enum need need, uint32_t rows, uint32_t cols);
void plan_take_bias(struct plan_finder *f, enum role role, bool wanted, uint32_t rows);
void plan_take_spare_bias(struct plan_finder *f, enum role role, uint32_t rows);
void plan_take_linear(struct plan_finder *f, enum role role, bool bias, uint32_t rows, uint32_t cols);
void plan_take_norm(struct plan_finder *f, enum role role, uint32_t n);

#endif
