/* ffn.c - y = ffn(xn): one MLP, gated or plain, or a choice of experts with perhaps one that all tokens share. */
#include "base/vec.h"
#include "infer/run.h"

static void mlp(struct run *r, float *y, const float *x, uint32_t n, const struct plan_layer *w, enum role gate, enum role up, enum role down)
{
	const struct spec *s = r->s;
	uint32_t d_ff = w->w[up].rows;

	if (s->ffn_gated) {
		run_linear(r, r->a, x, n, w, gate);
		run_linear(r, r->b, x, n, w, up);
		r->op->act(r->be, r->a, r->b, s->act, (size_t)n * d_ff);
	} else {
		run_linear(r, r->a, x, n, w, up);
		r->op->act(r->be, r->a, NULL, s->act, (size_t)n * d_ff);
	}
	run_linear(r, y, r->a, n, w, down);
}

/* Router logits and its selection bias to the host; ids and weights of every token's experts. */
static void choose(struct run *r, uint32_t *ids, float *weights)
{
	const struct moe_spec *m = &r->s->moe;
	own(mem) float *logits = mem_zalloc((size_t)r->n * m->n_expert * sizeof(*logits));
	own(mem) float *bias = NULL;
	const struct weight *b = &r->w.w[ROLE_ROUTER_BIAS];
	struct scratch scratch own(scratch) = { 0 };

	run_linear(r, r->route, r->xn, r->n, &r->w, ROLE_ROUTER);
	r->op->get(r->be, logits, r->route, (size_t)r->n * m->n_expert);
	if (b->rows) {
		bias = mem_zalloc(m->n_expert * sizeof(*bias));
		if (r->rc == 0)
			r->rc = weight_rows(b, 0, b->rows, bias, &scratch, NULL, r->e);
	}
	for (uint32_t i = 0; i < r->n; i++)
		route(m, logits + (size_t)i * m->n_expert, bias, ids + (size_t)i * m->n_used, weights + (size_t)i * m->n_used);
}

/* The tokens that chose an expert go through it together. */
static void expert(struct run *r, uint32_t no, const uint32_t *rows, const float *weights, uint32_t n)
{
	const struct spec *s = r->s;
	struct plan_layer w own(plan_layer) = { 0 };
	bool at_input = s->moe.weight_at_input;

	if (r->rc < 0)
		return;
	r->rc = plan_expert_open(&r->m->plan, r->layer, no, &w, NULL, r->e);
	if (r->rc < 0)
		return;
	r->op->gather(r->be, r->gathered, r->xn, rows, at_input ? weights : NULL, n, s->d_model);
	mlp(r, r->returned, r->gathered, n, &w, ROLE_EXP_GATE, ROLE_EXP_UP, ROLE_EXP_DOWN);
	r->op->scatter_add(r->be, r->y, r->returned, rows, at_input ? NULL : weights, n, s->d_model);
}

static void shared_expert(struct run *r)
{
	const struct spec *s = r->s;

	if (s->moe.shared == SHARED_NONE) {
		r->op->zero(r->be, r->y, (size_t)r->n * s->d_model);
		return;
	}
	mlp(r, r->y, r->xn, r->n, &r->w, ROLE_SHARED_GATE, ROLE_SHARED_UP, ROLE_SHARED_DOWN);
	if (s->moe.shared == SHARED_GATED) {
		run_linear(r, r->route, r->xn, r->n, &r->w, ROLE_SHARED_ROUTER);
		r->op->gate_rows(r->be, r->y, r->route, r->n, s->d_model);
	}
}

static void moe(struct run *r)
{
	const struct moe_spec *m = &r->s->moe;
	size_t n_choices = (size_t)r->n * m->n_used;
	own(mem) uint32_t *ids = mem_zalloc(n_choices * sizeof(*ids)), *rows = mem_zalloc(r->n * sizeof(*rows));
	own(mem) float *weights = mem_zalloc(n_choices * sizeof(*weights)), *by = mem_zalloc(r->n * sizeof(*by));

	choose(r, ids, weights);
	shared_expert(r);
	for (uint32_t e = 0; e < m->n_expert; e++) {
		uint32_t n = 0;

		for (size_t i = 0; i < n_choices; i++) {
			if (ids[i] == e) {
				rows[n] = (uint32_t)(i / m->n_used);
				by[n++] = weights[i];
			}
		}
		if (n)
			expert(r, e, rows, by, n);
	}
}

void ffn(struct run *r)
{
	if (r->s->layer[r->layer].moe)
		moe(r);
	else
		mlp(r, r->y, r->xn, r->n, &r->w, ROLE_GATE, ROLE_UP, ROLE_DOWN);
}
