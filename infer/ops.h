/*
 * ops.h - the one table between the forward pass and what computes it: a processor or a GPU. The forward pass (model.c and its
 * parts) knows nothing of either.
 *
 * Activations are float arrays of the backend's own memory: alloc() and free() them, move them with put() and get(), do pointer
 * arithmetic on them, never look inside. Operations are enqueued and return nothing: the first error sticks, later ones do
 * nothing, and finish() reports it. Host arrays that are passed in (indices, factors, positions), weights among them, may be
 * changed or freed once the call has returned. A weight is read from its file by the backend, in whatever pieces suit it, and its statistics are added to its
 * tensor's the first time it is read. Every operation is deterministic: the order of additions depends on shapes alone.
 *
 * n is a number of tokens (rows); matrices are row-major, a row a token.
 */
#ifndef INFER_OPS_H
#define INFER_OPS_H

#include "infer/spec.h"
#include "infer/weights.h"

struct backend;

/* A run of tokens that see each other. Rows first … first + n of q; keys are rows key_first … of k and v, the last n of them its own. */
struct ops_seq {
	uint32_t first, n;
	uint32_t key_first, n_keys;
	uint32_t position;	/* of row `first`; key j stands at position + n - n_keys + j */
};

struct ops_rope {
	const struct rope_table *table;
	uint32_t n_head, d_head, offset;	/* the rotated elements begin at offset in each head */
	bool interleaved;			/* pairs are neighbours; else (i, i + n_rot/2) */
	const uint32_t *positions;		/* host, one a token */
};

struct ops_attend {
	const struct ops_seq *seqs;		/* host */
	uint32_t n_seqs;
	uint32_t n_head, n_kv, d_k, d_v;
	uint32_t window, chunk;			/* 0: off */
	double scale, softcap;			/* softcap 0: off */
	const float *alibi;			/* host, a slope a head; NULL: none */
	bool half;				/* q, k, v and the probabilities are rounded to fp16: to compare with tools that keep them so */
};

/* What is kept of a token's logits while the vocabulary passes by in pieces. */
struct ops_tally {
	float max, sum;		/* sum of exp(logit - max) */
	float dot;		/* sum of exp(logit - max) * logit, for the entropy */
	float target;		/* the logit of the id that came next */
	float top;		/* the id with the highest logit, as a float (exact below 2^24) */
	float bad;		/* logits that are not finite */
};

struct ops_measure {
	float sum_squares, absmax, bad;		/* bad: elements that are not finite */
};

struct ops {
	const char *name;
	float *(*alloc)(struct backend *b, size_t n);
	void (*free)(struct backend *b, float *p);
	void (*put)(struct backend *b, float *to, const float *host, size_t n);
	void (*get)(struct backend *b, float *host, const float *from, size_t n);	/* waits for what was enqueued */

	/* y[n][ldy] (the first w->rows of each row) = x[n][w->cols] w^T */
	void (*matmul)(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w);
	/* RMS: x / sqrt(mean x^2 + eps) * w; LAYER: (x - mean) / sqrt(var + eps) * w + bias. w NULL: 1; bias NULL: 0. n rows of d */
	void (*norm)(struct backend *b, float *y, const float *x, const float *w, const float *bias, size_t n, uint32_t d, double eps, enum norm_kind kind);
	void (*zero)(struct backend *b, float *y, size_t n);
	void (*add)(struct backend *b, float *y, const float *x, size_t n);			/* y += x */
	void (*add_row)(struct backend *b, float *y, const float *row, uint32_t n, uint32_t d);	/* each row of y += row */
	void (*scale)(struct backend *b, float *y, double by, size_t n);
	void (*scale_rows)(struct backend *b, float *y, const float *by, uint32_t n, uint32_t d);	/* by: host, one a row */
	void (*softcap)(struct backend *b, float *y, double cap, size_t n);			/* cap * tanh(y / cap) */
	void (*rope)(struct backend *b, float *x, uint32_t n, const struct ops_rope *r);
	/* out[n][n_head * d_v]; q[n][n_head * d_k], k and v by key rows */
	void (*attend)(struct backend *b, float *out, const float *q, const float *k, const float *v, const struct ops_attend *a);
	/* keys of MLA: y[n][n_head][d_a + d_b] = each head's own a, then b, which all share */
	void (*join_heads)(struct backend *b, float *y, const float *a, const float *shared, uint32_t n, uint32_t n_head, uint32_t d_a, uint32_t d_b);
	void (*act)(struct backend *b, float *y, const float *up, enum act_kind kind, size_t n);	/* y = act(y) * up; up NULL: act(y) */
	/* rows picked and scaled: y[i] = x[rows[i]] * by[i]; rows, by: host, by NULL: 1 */
	void (*gather)(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d);
	/* and back: y[rows[i]] += x[i] * by[i] */
	void (*scatter_add)(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d);
	/* y[i] *= sigmoid(gate[i]), a row each */
	void (*gate_rows)(struct backend *b, float *y, const float *gate, uint32_t n, uint32_t d);
	/* logits[n][cols] of the ids first_id … go into t[n] (struct ops_tally, zeroed by first_id == 0); targets: host, -1: none */
	void (*tally)(struct backend *b, float *t, const float *logits, uint32_t n, uint32_t cols, uint32_t first_id, const int32_t *targets);
	void (*measure)(struct backend *b, float *m, const float *x, size_t n);			/* one struct ops_measure */

	void (*layer)(struct backend *b, uint32_t layer);	/* what follows belongs to this layer: for the words of errors */
	int (*status)(struct backend *b, struct err *e);	/* 0 or the first error that has shown so far; does not wait */
	int (*finish)(struct backend *b, struct err *e);	/* waits; 0 or the first error since the last finish() */
	bool (*resident)(struct backend *b);			/* all weights seen so far are in its memory: using them again reads nothing */
	void (*forget)(struct backend *b);			/* these weights go away: another checkpoint's may have their addresses */
	uint64_t (*peak_bytes)(struct backend *b);		/* of its own memory */
	void (*close)(struct backend *b);
};

#define OPS_TALLY_FLOATS   (sizeof(struct ops_tally) / sizeof(float))
#define OPS_MEASURE_FLOATS (sizeof(struct ops_measure) / sizeof(float))

/* The processor with n_threads (0: as many as there are). `isa` NULL picks the best that passes its self-test, else names one. */
int ops_cpu_open(const struct ops **ops, struct backend **b, unsigned n_threads, const char *isa, struct err *e);
#define OPS_CPU_EDITION 2	/* one more wherever the same product, sum or function may come out in other last bits */
const char *ops_cpu_isa(const struct backend *b);	/* "scalar", "avx2", "avx512", "amx" (with the best of the others) */

/* A GPU, for the record kept with a verdict. */
struct ops_device {
	char name[128];			/* "NVIDIA H200" */
	char driver[64];		/* "580.82.07"; empty where it can't be told */
	unsigned index, major, minor;	/* of the devices that CUDA shows; compute capability */
	int cuda_driver, cuda_runtime;	/* 13000 is CUDA 13.0 */
	uint64_t total_bytes, budget_bytes;	/* memory: all, and what we may take */
};

struct ops_cuda_options {
	int index;			/* of those that CUDA shows; -1: the first */
	uint64_t memory_bytes;		/* what we may take of its memory; 0: what is free, less a reserve */
	unsigned threads;		/* that read weights; 0: all */
};

/*
 * A GPU through CUDA, by the module registryd-cuda.so beside the program or in ../lib/registryd. ERR_UNSUPPORTED says why there is none:
 * no module, no library of CUDA's, no driver, no such device. Any other error means that the device is there and does not work (busy,
 * lost, too little memory, or it computes something else than plain loops: it is tested before it may judge).
 */
bool ops_cuda_driver(void);	/* is there a driver of NVIDIA's at all? Cheap: to be asked before opening what may not be there */
int ops_cuda_open(const struct ops **ops, struct backend **b, const struct ops_cuda_options *o, struct ops_device *device, struct err *e);

#endif
