/* run.h - one forward pass in progress: what model.c, attention.c and ffn.c share. */
#ifndef INFER_RUN_H
#define INFER_RUN_H

#include "infer/model.h"

struct run {
	const struct model *m;
	const struct spec *s;
	const struct ops *op;
	struct backend *be;
	const struct model_batch *batch;
	struct ops_seq *seqs;
	uint32_t *positions;		/* host, one a token */
	uint32_t n;			/* tokens */
	uint32_t layer;
	struct plan_layer w;		/* of this layer */

	float *x, *xn, *y;		/* [n][d_model]: the residual stream, what a part reads, what it adds */
	float *q, *k, *v, *heads;	/* [n][heads * size] */
	float *c, *c2;			/* MLA: compressed queries and keys; [n][lora] */
	float *a, *b;			/* [n][d_ff]: gate and up */
	float *route, *gathered, *returned;	/* MoE: router logits; an expert's tokens in and out */
	struct run_vector {
		float *data;		/* the backend's */
		uint32_t cap;
	} vectors[ROLE_COUNT][2];
	struct err *e;
	int rc;				/* the first failure of the host's part */
};

/* A norm's weight or a bias (which: 0, 1) of this layer in the backend's memory until the next layer; NULL when there is none. */
const float *run_vector(struct run *r, const struct plan_layer *from, enum role role, int which);
/* y[n][rows] = x w^T + bias */
void run_linear(struct run *r, float *y, const float *x, uint32_t n, const struct plan_layer *from, enum role role);
void run_norm(struct run *r, float *y, const float *x, const struct plan_layer *from, enum role role, size_t n, uint32_t d);

void attention(struct run *r);		/* y = attention(xn) */
void ffn(struct run *r);		/* y = ffn(xn) */

/* route.c: which experts a token goes to and with what weight, from its router logits. ids and weights get s->moe.n_used each. */
void route(const struct moe_spec *m, const float *logits, const float *bias, uint32_t *ids, float *weights);

#endif
