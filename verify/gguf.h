/*
 * gguf.h - a GGUF file (version 2 or 3, little endian), read strictly through pread: never mapped, never beyond its end.
 * Everything before the tensor data is held in memory as it lies in the file (GGUF_META_MAX_BYTES); key-values point into it.
 * Source: ggml docs/gguf.md. Stricter than ggml's reader: every length is checked against the bytes that are left before
 * anything is allocated or added, keys are bounded, tensors must tile the data section, the data must be all there.
 *
 *	struct gguf *g;
 *	if (gguf_open(&g, fd, "model.gguf", e) < 0) ...
 *	if (gguf_u64(g, "llama.block_count", &n_layers)) ...
 *	const struct gguf_tensor *t = gguf_find_tensor(g, "token_embd.weight");
 *	pread(fd, p, t->size_bytes, gguf_data_start(g) + t->offset);
 */
#ifndef VERIFY_GGUF_H
#define VERIFY_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "verify/report.h"

#define GGUF_META_MAX_BYTES  ((uint64_t)256 << 20)	/* header, key-values and tensor table; the largest real ones are near 20 MB */
#define GGUF_KV_MAX	     100000
#define GGUF_TENSORS_MAX     1000000
#define GGUF_KEY_MAX_BYTES   65535
#define GGUF_STRING_MAX	     ((uint64_t)1 << 30)
#define GGUF_ARRAY_MAX	     ((uint64_t)1 << 30)
#define GGUF_NAME_MAX	     64				/* tensor names, with the NUL */
#define GGUF_DIMS_MAX	     4
#define GGUF_ALIGNMENT_MAX   65536
#define GGUF_ALIGNMENT_USUAL 32

enum gguf_kv_type {
	GGUF_KV_U8, GGUF_KV_I8, GGUF_KV_U16, GGUF_KV_I16, GGUF_KV_U32, GGUF_KV_I32, GGUF_KV_F32, GGUF_KV_BOOL, GGUF_KV_STRING, GGUF_KV_ARRAY,
	GGUF_KV_U64, GGUF_KV_I64, GGUF_KV_F64,
};

/* Tensor element types by their number in the file. Numbers that are missing were removed from the format. */
enum gguf_dtype {
	GGUF_F32 = 0, GGUF_F16 = 1, GGUF_Q4_0 = 2, GGUF_Q4_1 = 3, GGUF_Q5_0 = 6, GGUF_Q5_1 = 7, GGUF_Q8_0 = 8, GGUF_Q8_1 = 9,
	GGUF_Q2_K = 10, GGUF_Q3_K = 11, GGUF_Q4_K = 12, GGUF_Q5_K = 13, GGUF_Q6_K = 14, GGUF_Q8_K = 15,
	GGUF_IQ2_XXS = 16, GGUF_IQ2_XS = 17, GGUF_IQ3_XXS = 18, GGUF_IQ1_S = 19, GGUF_IQ4_NL = 20, GGUF_IQ3_S = 21, GGUF_IQ2_S = 22, GGUF_IQ4_XS = 23,
	GGUF_I8 = 24, GGUF_I16 = 25, GGUF_I32 = 26, GGUF_I64 = 27, GGUF_F64 = 28, GGUF_IQ1_M = 29, GGUF_BF16 = 30,
	GGUF_TQ1_0 = 34, GGUF_TQ2_0 = 35, GGUF_MXFP4 = 39, GGUF_NVFP4 = 40, GGUF_Q1_0 = 41, GGUF_Q2_0 = 42,
	GGUF_DTYPES = 43,
};

struct gguf_dtype_info {
	const char *name;	/* as in file names: "Q4_K" */
	uint32_t block;		/* elements in a block; 0 for a type that was removed or never existed */
	uint32_t bytes;		/* of a block */
};

struct gguf_kv {
	const char *key;	/* NUL-terminated */
	enum gguf_kv_type type;
	enum gguf_kv_type elem;	/* of an array */
	uint64_t n;		/* elements of an array, else 1 */
	uint64_t pos;		/* of the value (of the first element) in meta */
	const uint32_t *index;	/* array of strings: where each one's length stands in meta */
	const char *text;	/* a string with a NUL behind it, else NULL */
	const uint8_t *meta;
};

struct gguf_tensor {
	char name[GGUF_NAME_MAX];
	enum gguf_dtype type;
	uint32_t rank;
	uint64_t dims[GGUF_DIMS_MAX];	/* fastest first; 1 beyond rank */
	uint64_t n_elements;
	uint64_t offset;		/* from gguf_data_start() */
	uint64_t size_bytes;
};

struct gguf;

/* Reads and checks the whole header; the tensor data must lie inside the file. ERR_INPUT for a file that is wrong, ERR_UNSUPPORTED
 * for version 1, ERR_LIMIT for one past a named limit. The fd stays the caller's and is not needed afterwards. */
int gguf_open(struct gguf **out, int fd, const char *what, struct err *e);
/* As gguf_open, with the rule of each finding put in r: a reject when it fails, flags for oddities that do not matter to a reader. */
int gguf_open_report(struct gguf **out, int fd, const char *what, struct report *r, struct err *e);
void gguf_close(struct gguf *g);
bool gguf_is(const void *first4);	/* do a file's first four bytes say GGUF? */

uint32_t gguf_version(const struct gguf *g);
uint32_t gguf_alignment(const struct gguf *g);
uint64_t gguf_data_start(const struct gguf *g);	/* byte offset in the file */

size_t gguf_n_kv(const struct gguf *g);
const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i);	/* file order */
const struct gguf_kv *gguf_find_kv(const struct gguf *g, const char *key);

/* Scalars by key. False when the key is absent or of another kind; *out is then untouched. Integers of every width (not negative),
 * floats of both, and gguf_f64 takes integers too. */
bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out);
bool gguf_i64(const struct gguf *g, const char *key, int64_t *out);
bool gguf_f64(const struct gguf *g, const char *key, double *out);
bool gguf_bool(const struct gguf *g, const char *key, bool *out);
const char *gguf_str(const struct gguf *g, const char *key);	/* NUL-terminated, NULL when absent; for one that may hold NULs use gguf_kv_str */

/* Element i of an array, or of a scalar with i = 0. The caller keeps i < kv->n. */
bool gguf_kv_i64(const struct gguf_kv *kv, uint64_t i, int64_t *out);
bool gguf_kv_f64(const struct gguf_kv *kv, uint64_t i, double *out);
const char *gguf_kv_str(const struct gguf_kv *kv, uint64_t i, size_t *len);	/* not NUL-terminated; NULL when it is no string */

size_t gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);	/* file order, which is data order */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name);

const struct gguf_dtype_info *gguf_dtype_info(uint32_t type);	/* NULL for a type that is unknown or was removed */

/* Parts of a split model: split.no (0-based) and split.count; false when the file is no part. */
bool gguf_split(const struct gguf *g, uint64_t *no, uint64_t *count);

static inline void own_gguf(struct gguf **g)
{
	gguf_close(*g);
}

#endif
