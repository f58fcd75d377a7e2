/*
 * packed.h - a matrix that several tensors make up (FP8 with scales, GPTQ, AWQ, bitsandbytes …; quant_weight.h knows how), as a
 * part of struct weight. Its small tensors are in memory while it is open; of those that store columns the large one is too.
 */
#ifndef INFER_PACKED_H
#define INFER_PACKED_H

#include "infer/quant_weight.h"
#include "infer/weights.h"

struct packed {
	struct quant_weight q;
	struct tensor *main;
	void *whole;		/* of main, where a row is not found in one place */
};

/* The tensor that is the weight `name` ("….weight"), or the large one of those that make it up; NULL: there is none. */
struct tensor *packed_find(const struct weights *w, const char *name);
/*
 * Finds and checks what makes up `name` ("….weight"). NULL in *out and 0 when it is one plain tensor. ERR_NOT_FOUND when there
 * is nothing of that name. Every tensor it consists of is marked as claimed. With `to_read` false it is only to be checked: then
 * no large tensor is read.
 */
int packed_open(struct packed **out, struct weights *w, const struct quant_config *c, const char *name, bool to_read, struct err *e);
void packed_close(struct packed *p);
/* Stored rows row … row + n as floats. */
int packed_rows(const struct packed *p, uint64_t row, uint32_t n, float *out, struct scratch *s, struct err *e);

/* Decodes all of it into main's statistics, where no forward pass does. main->stats is begun anew. */
int packed_survey(const struct packed *p, struct err *e);

/* Are all bytes of a packed matrix the same? Read no further than to the first that is not. */
bool packed_is_one_code(const struct tensor *t);

static inline void own_packed(struct packed **p)
{
	packed_close(*p);
}

#endif
