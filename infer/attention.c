/* attention.c - y = attention(xn): the plain form with its many options, and MLA, which expands to it. */
#include <math.h>

#include "base/vec.h"
#include "infer/run.h"

static bool rotates(const struct run *r)
{
	return r->s->layer[r->layer].rope >= 0;
}

static void rotate(struct run *r, float *x, uint32_t n_head, uint32_t d_head, uint32_t offset)
{
	struct ops_rope rope = { .n_head = n_head, .d_head = d_head, .offset = offset, .interleaved = r->s->rope_interleaved, .positions = r->positions };

	if (!rotates(r))
		return;
	rope.table = &r->s->rope[r->s->layer[r->layer].rope];
	r->op->rope(r->be, x, r->n, &rope);
}

/* Queries of layers without positions, or of all, grow a little with their distance from the start. */
static void temper(struct run *r, float *q)
{
	const struct spec *s = r->s;
	own(mem) float *by = NULL;

	if ((rotates(r) && !s->q_temper_all) || s->q_temper_scale <= 0 || s->q_temper_floor <= 0)
		return;
	by = mem_zalloc(r->n * sizeof(*by));
	for (uint32_t i = 0; i < r->n; i++)
		by[i] = (float)(1 + s->q_temper_scale * log(1 + floor((r->positions[i] + !s->q_temper_all) / s->q_temper_floor)));
	r->op->scale_rows(r->be, q, by, r->n, spec_q_dim(s));
}

/* Slopes 2^(-8 i / n) for a power of two; what is beyond takes the odd ones of the next power. */
static void alibi_slopes(float *slope, uint32_t n_head)
{
	uint32_t n = 1;

	while (2 * n <= n_head)
		n *= 2;
	for (uint32_t h = 0; h < n_head; h++)
		slope[h] = (float)(h < n ? pow(2, -8.0 * (h + 1) / n) : pow(2, -4.0 * (2 * (h - n) + 1) / n));
}

static void attend(struct run *r, const float *k, const float *v)
{
	const struct spec *s = r->s;
	const struct spec_layer *layer = &s->layer[r->layer];
	float slopes[SPEC_HEADS_MAX];
	struct ops_attend a = { .seqs = r->seqs, .n_seqs = r->batch->n_seqs, .n_head = s->n_head, .n_kv = s->n_kv, .d_k = s->d_k, .d_v = s->d_v,
		.window = layer->window, .chunk = layer->chunk, .scale = s->attn_scale, .softcap = s->attn_softcap, .half = r->batch->half };

	if (s->pos == POS_ALIBI) {
		alibi_slopes(slopes, s->n_head);
		a.alibi = slopes;
	}
	r->op->attend(r->be, r->heads, r->q, k, v, &a);
	run_linear(r, r->y, r->heads, r->n, &r->w, ROLE_O);
}

/* Where this layer's keys and values go: behind those of earlier tokens, where these are kept. */
static float *room(struct run *r, float **cache, float *own, uint32_t dim)
{
	return r->batch->cache ? cache[r->layer] + (size_t)r->batch->cache->n * dim : own;
}

static void plain(struct run *r)
{
	const struct spec *s = r->s;
	struct model_cache *c = r->batch->cache;
	float *k = room(r, c ? c->k : NULL, r->k, s->n_kv * s->d_k), *v = room(r, c ? c->v : NULL, r->v, s->n_kv * s->d_v);

	run_linear(r, r->q, r->xn, r->n, &r->w, ROLE_Q);
	run_linear(r, k, r->xn, r->n, &r->w, ROLE_K);
	run_linear(r, v, r->xn, r->n, &r->w, ROLE_V);
	if (s->qk_norm == QK_NORM_HEAD) {
		run_norm(r, r->q, r->q, &r->w, ROLE_Q_NORM, (size_t)r->n * s->n_head, s->d_k);
		run_norm(r, k, k, &r->w, ROLE_K_NORM, (size_t)r->n * s->n_kv, s->d_k);
	}
	if (s->qk_norm == QK_NORM_ALL) {
		run_norm(r, r->q, r->q, &r->w, ROLE_Q_NORM, r->n, s->n_head * s->d_k);
		run_norm(r, k, k, &r->w, ROLE_K_NORM, r->n, s->n_kv * s->d_k);
	}
	rotate(r, r->q, s->n_head, s->d_k, 0);
	rotate(r, k, s->n_kv, s->d_k, 0);
	if (s->qk_norm == QK_NORM_L2 && rotates(r)) {
		r->op->norm(r->be, r->q, r->q, NULL, NULL, (size_t)r->n * s->n_head, s->d_k, s->eps, NORM_RMS);
		r->op->norm(r->be, k, k, NULL, NULL, (size_t)r->n * s->n_kv, s->d_k, s->eps, NORM_RMS);
	}
	temper(r, r->q);
	attend(r, c ? c->k[r->layer] : k, c ? c->v[r->layer] : v);
}

/* k_nope[n][head][d_nope] into r->heads and v[n][head][d_v], from the compressed c, in either of the forms they are stored. */
static void mla_expand(struct run *r, float *k_nope, float *v)
{
	const struct spec *s = r->s;
	const struct weight *w = r->w.w;
	uint32_t d_nope = s->mla.d_nope, each = d_nope + s->d_v;

	if (w[ROLE_KV_B].rows) {
		struct weight keys = weight_heads(w[ROLE_KV_B], 0, d_nope, each), values = weight_heads(w[ROLE_KV_B], d_nope, s->d_v, each);

		r->op->matmul(r->be, k_nope, keys.rows, r->c, r->n, &keys);
		r->op->matmul(r->be, v, values.rows, r->c, r->n, &values);
		return;
	}
	for (uint32_t h = 0; h < s->n_head; h++) {
		struct weight key = weight_of(w[ROLE_K_B].tensor, h, d_nope, s->mla.kv_lora, true);
		struct weight value = weight_of(w[ROLE_V_B].tensor, h, s->d_v, s->mla.kv_lora, false);

		r->op->matmul(r->be, k_nope + h * d_nope, (size_t)s->n_head * d_nope, r->c, r->n, &key);
		r->op->matmul(r->be, v + h * s->d_v, (size_t)s->n_head * s->d_v, r->c, r->n, &value);
	}
}

/*
 * Queries and keys have a part without position and one with it; the latter is one key for all heads. Keys and values come out
 * of a narrow vector: for the few tokens of a test it is simplest to expand them.
 */
static void mla(struct run *r)
{
	const struct spec *s = r->s;
	const struct mla_spec *m = &s->mla;
	struct model_cache *c = r->batch->cache;
	float *k = room(r, c ? c->k : NULL, r->k, s->n_head * s->d_k), *v = room(r, c ? c->v : NULL, r->v, s->n_head * s->d_v);
	float *k_nope = r->heads, *k_rope = r->c2;
	const float *bias = run_vector(r, &r->w, ROLE_KV_A, 1);
	struct weight narrow = weight_slice(r->w.w[ROLE_KV_A], 0, m->kv_lora), turned = weight_slice(r->w.w[ROLE_KV_A], m->kv_lora, m->d_rope);

	if (m->q_lora) {
		run_linear(r, r->c, r->xn, r->n, &r->w, ROLE_Q_A);
		run_norm(r, r->c, r->c, &r->w, ROLE_Q_A_NORM, r->n, m->q_lora);
		run_linear(r, r->q, r->c, r->n, &r->w, ROLE_Q_B);
	} else {
		run_linear(r, r->q, r->xn, r->n, &r->w, ROLE_Q);
	}
	rotate(r, r->q, s->n_head, s->d_k, m->d_nope);
	r->op->matmul(r->be, r->c, m->kv_lora, r->xn, r->n, &narrow);
	r->op->matmul(r->be, k_rope, m->d_rope, r->xn, r->n, &turned);
	if (bias) {
		r->op->add_row(r->be, r->c, bias, r->n, m->kv_lora);
		r->op->add_row(r->be, k_rope, bias + m->kv_lora, r->n, m->d_rope);
	}
	run_norm(r, r->c, r->c, &r->w, ROLE_KV_A_NORM, r->n, m->kv_lora);
	rotate(r, k_rope, 1, m->d_rope, 0);
	mla_expand(r, k_nope, v);
	r->op->join_heads(r->be, k, k_nope, k_rope, r->n, s->n_head, m->d_nope, m->d_rope);
	attend(r, c ? c->k[r->layer] : k, c ? c->v[r->layer] : v);
}

void attention(struct run *r)
{
	if (r->s->mla.kv_lora)
		mla(r);
	else
		plain(r);
}
