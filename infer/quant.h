/*
 * quant.h - the element types weights come in, as one table: how many elements are decoded together, how many bytes they take,
 * and the function that turns a row of them into floats. Names are GGUF's and safetensors' own ("F16", "BF16", "Q4_K", "F8_E4M3");
 * where both have one, they mean the same bytes. Plain types are rows like any other.
 * Weights that need several tensors to be read (FP8 with scales, GPTQ, AWQ, bitsandbytes) are in quant_weight.h.
 */
#ifndef INFER_QUANT_H
#define INFER_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quant_type {
	const char *name;
	uint32_t block;	/* elements */
	uint32_t bytes;	/* of a block */
	/* n elements, a whole number of blocks. `in` needs no alignment; every byte pattern gives a value (perhaps NaN). */
	void (*row)(float *out, const void *in, size_t n);
};

/* NULL for a name that is unknown or that has no meaning as a real number. Pointers may be compared. */
const struct quant_type *quant_type(const char *name);
/* The table itself, for tests and lists. */
const struct quant_type *quant_type_at(size_t i);	/* NULL past the end */

/* Do these row functions (a table that ends with a row without a name) give what the plain ones give? Done when the process starts
 * with each set of instructions before it is used. */
bool quant_self_test(const struct quant_type *table);

static inline size_t quant_row_bytes(const struct quant_type *t, size_t n)
{
	return n / t->block * t->bytes;
}

float quant_f16(uint16_t bits);
float quant_bf16(uint16_t bits);

#endif
