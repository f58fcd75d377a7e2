/*
 * weights.h - where a checkpoint's numbers lie, and how to read some rows of them. A struct tensor is what a file holds; a struct
 * weight is a matrix that the model multiplies with: all or part of a tensor, perhaps transposed or with its rows interleaved.
 * Nothing is kept in memory: rows are read from the file when they are wanted, through the caller's scratch, so that any model
 * runs in a bounded amount of memory. Reading is safe from several threads.
 */
#ifndef INFER_WEIGHTS_H
#define INFER_WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "infer/quant.h"
#include "verify/gguf.h"
#include "verify/report.h"
#include "verify/safetensors.h"

#define WEIGHTS_RANK_MAX 8
#define WEIGHTS_SHARDS_MAX 10000

/* A number's bits as a word to add; the lower half of many a number is empty. */
#define TENSOR_BITS(word) ((word) ^ ((word) >> 16))

/* What the elements of a tensor look like; filled while it is read. */
struct tensor_stats {
	uint64_t n, n_nonfinite, n_zero;
	double sum_squares;
	float absmax, min, max;		/* of the finite ones */
	uint32_t bits;			/* theirs as words, added: the same in any order, and on any device */
};

struct tensor {
	const char *name, *file;
	const char *type_name;
	const struct quant_type *type;	/* NULL: not one that we can decode */
	uint8_t rank;
	uint64_t shape[WEIGHTS_RANK_MAX];	/* slowest dimension first, also for GGUF */
	uint64_t at, bytes;			/* in fd */
	int fd;
	bool unlisted;				/* the index of the shards does not have it */
	bool claimed;				/* by the plan: it has a place in the model */
	uint8_t role;				/* which (family.h), once it is claimed */
	bool is_bias;
	uint32_t layer;
	uint64_t stands_for[2];			/* rows and columns of the matrix that it packs; 0: it holds its own */
	struct tensor_stats stats;
	bool has_gaps;				/* perhaps: gaps.h */
	uint8_t zeros, order;			/* enum quant_zeros, of a matrix that is packed: its zero points, its list of groups */
};

struct weights {
	struct tensor *tensors;		/* sorted by name */
	size_t n, cap;
	struct safetensors_set set;	/* what the names point into: either */
	struct weights_part {
		int fd;
		char *file;
		struct gguf *gguf;
	} *parts;			/* or these, in split order */
	size_t n_parts, cap_parts;
};

/* A matrix of rows x cols, row-major as the product wants it: y = x W^T has one output a row. rows 0: there is none. */
struct weight {
	struct tensor *tensor;
	const struct quant_type *type;
	uint32_t rows, cols;
	uint64_t row0;			/* its first row among those stored (its first column where transposed) */
	uint64_t at;			/* in the file, of stored row 0 */
	uint64_t pitch;			/* bytes from one stored row to the next */
	uint32_t group, stride;		/* rows that lie together, and rows from one such group to the next; group 0: all together */
	bool transposed;		/* stored [cols][…]: an output is a stored column */
	const struct packed *packed;	/* several tensors make the matrix (GPTQ, FP8 with scales …); see packed.h */
};

/* Memory of one thread that grows to what was needed. */
struct scratch {
	void *p;
	size_t cap;
};

void *scratch_room(struct scratch *s, size_t n);	/* n bytes; what was there is lost */

int weights_open_safetensors(struct weights *w, int dirfd, const char *file, struct report *r, struct err *e);
/* `file` below dirfd; where it is the first of a split model (NAME-00001-of-0000N.gguf), the others too. */
int weights_open_gguf(struct weights *w, int dirfd, const char *file, struct report *r, struct err *e);
bool weights_is_part(const struct gguf *g, const char *file);	/* by its name, or as it says of itself */
void weights_close(struct weights *w);
struct tensor *weights_find(const struct weights *w, const char *name);

/* The matrix a whole tensor is: rank 2, or a later block of a higher rank: [blocks][rows][cols]. Shapes must have been checked. */
struct weight weight_of(struct tensor *t, uint64_t block, uint32_t rows, uint32_t cols, bool transposed);
struct weight weight_slice(struct weight w, uint32_t first, uint32_t n);			/* rows first … first + n */
/* Of rows in groups of `stride`, those at first … first + group in each: heads of a fused matrix. */
struct weight weight_heads(struct weight w, uint32_t first, uint32_t group, uint32_t stride);

/* Rows first … first + n as floats, n x cols. s is grown as needed. Adds what it saw to *stats where that is given. */
int weight_rows(const struct weight *w, uint32_t first, uint32_t n, float *out, struct scratch *s, struct tensor_stats *stats, struct err *e);
/* The same rows as they lie in the file, n x pitch bytes; for a weight that is neither transposed nor packed. */
int weight_rows_stored(const struct weight *w, uint32_t first, uint32_t n, void *out, struct err *e);
uint64_t tensor_elements(const struct tensor *t);
/* Those of the matrix that it packs, or its own. */
static inline uint64_t tensor_numbers(const struct tensor *t)
{
	return t->stands_for[0] ? t->stands_for[0] * t->stands_for[1] : tensor_elements(t);
}

/* Ask the kernel to have the bytes ready soon. */
void weight_prefetch(const struct weight *w);

void tensor_stats_add(struct tensor_stats *s, const float *x, size_t n);
void tensor_stats_merge(struct tensor_stats *into, const struct tensor_stats *from);

static inline void own_weights(struct weights *w)
{
	weights_close(w);
}

static inline void own_scratch(struct scratch *s)
{
	free(s->p);
}

#endif
