/* quant_opening.h - what the files share that find the tensors of one weight; quant_weight.c chooses between the forms. */
#ifndef INFER_QUANT_OPENING_H
#define INFER_QUANT_OPENING_H

#include <string.h>

#include "infer/quant_weight.h"

#define QUANT_SIDE_MAX ((uint64_t)1 << 31)	/* rows or columns of one weight */

/* What one quant_weight_open is about. */
struct opening {
	struct quant_weight *w;
	const struct quant_config *c;
	const struct quant_source *src;
	struct quant_layout layout;	/* what the configuration says of this weight */
	enum quant_demand demand;
	char stem[QUANT_NAME_MAX];	/* the name without ".weight" */
	const char *weight;		/* ".weight", or "" for a tensor that is called otherwise */
	struct err *e;
};

/* The forms. w->main has been found; the rest of *w is filled. */
int opening_columns(struct opening *o);	/* ".qweight": GPTQ or AWQ */
int opening_bnb4(struct opening *o, const struct quant_part *state_part);	/* the first of its quant_states */
int opening_packed(struct opening *o);	/* compressed-tensors: weight_packed I32 [out][words], weight_scale [out][groups] */
int opening_nvfp4(struct opening *o);

#define BAD(o, ...) opening_bad((o), __VA_ARGS__)

int opening_bad(struct opening *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool opening_find(struct opening *o, const char *suffix, struct quant_part *part);
bool opening_count(const struct quant_part *p, uint64_t *n);	/* its elements; false where they overflow */
/* The bytes of a small tensor. NULL with an error. */
void *opening_load(struct opening *o, const struct quant_part *p, const char *what);
/* n numbers as floats, all finite. NULL with an error. */
float *opening_load_floats(struct opening *o, const struct quant_part *p, uint64_t n, const char *what);
/*
 * The weight is stored in this form, which programs read where the configuration names one of these methods and packs this module so. Without any
 * they take the numbers as they stand.
 */
int opening_set_scheme(struct opening *o, enum quant_scheme scheme, const char *form, const char *methods);
int opening_set_shape(struct opening *o, uint64_t out, uint64_t in);
int opening_need_main_bytes(struct opening *o, uint64_t bytes);	/* main as it lies: out x in elements, the whole tensor */
/* Inputs that share a scale; checks that so many groups are there. Where nothing is said of their size, it must divide the inputs. */
int opening_set_groups(struct opening *o, uint64_t groups);
/* n scales against the number that the strategy of a group of compressed-tensors has. */
int opening_check_strategy(struct opening *o, uint64_t n);
/* The zero points that are there, or are not, against what the group says of them; `middle` is what stands for none. */
int opening_check_zeros(struct opening *o, int32_t middle);
void opening_see_zeros(struct opening *o, const void *bytes, uint64_t n_bytes);	/* sets w->zeros by what is stored */
int opening_make_zeros(struct opening *o);	/* room for a zero point of each scale */
/* compressed-tensors' zeros beside bytes: I8 for each scale. */
int opening_load_byte_zeros(struct opening *o, const struct quant_part *p, uint64_t n);
int opening_load_g_idx(struct opening *o, const char *suffix);
/* The scale of what flows in, where the configuration has it measured: programs multiply by it, or divide. The zero point, too, where it has one. */
int opening_check_input_scale(struct opening *o);

static inline bool type_is(const struct quant_part *p, const char *name)
{
	return strcmp(p->dtype, name) == 0;
}

static inline uint64_t ceil_div(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

#endif
