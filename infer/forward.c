/* forward.c - the block of spec.h over a batch of texts, as the papers write it. Opening a checkpoint is model.c. */
#include <math.h>

#include "base/vec.h"
#include "infer/run.h"

#define HEAD_ROWS 8192	/* of the vocabulary at once: logits are never all in memory */

const float *run_vector(struct run *r, const struct plan_layer *from, enum role role, int which)
{
	const struct weight *w = which ? &from->bias[role] : &from->w[role];
	struct run_vector *v = &r->vectors[role][which];
	struct scratch scratch own(scratch) = { 0 };
	own(mem) float *host = NULL;
	bool plus1 = r->s->norm_plus1 && !which && w->cols == 1;

	if (w->rows == 0)
		return NULL;
	if (v->cap < w->rows) {
		r->op->free(r->be, v->data);
		v->data = r->op->alloc(r->be, w->rows);
		v->cap = w->rows;
	}
	host = mem_zalloc(w->rows * sizeof(*host));
	if (r->rc == 0)
		r->rc = weight_rows(w, 0, w->rows, host, &scratch, w->tensor->stats.n ? NULL : &w->tensor->stats, r->e);
	for (uint32_t i = 0; plus1 && i < w->rows; i++)
		host[i] += 1;
	r->op->put(r->be, v->data, host, w->rows);
	return v->data;
}

void run_linear(struct run *r, float *y, const float *x, uint32_t n, const struct plan_layer *from, enum role role)
{
	const struct weight *w = &from->w[role];
	const float *bias = run_vector(r, from, role, 1);

	r->op->matmul(r->be, y, w->rows, x, n, w);
	if (bias)
		r->op->add_row(r->be, y, bias, n, w->rows);
}

void run_norm(struct run *r, float *y, const float *x, const struct plan_layer *from, enum role role, size_t n, uint32_t d)
{
	r->op->norm(r->be, y, x, run_vector(r, from, role, 0), run_vector(r, from, role, 1), n, d, r->s->eps, r->s->norm);
}

/* Rows of a table by index, as n x d on the host. */
static void look_up(struct run *r, const struct weight *table, const int32_t *rows, const uint32_t *urows, float *out)
{
	struct scratch scratch own(scratch) = { 0 };

	for (uint32_t i = 0; r->rc == 0 && i < r->n; i++) {
		uint32_t row = rows ? (uint32_t)rows[i] : urows[i];

		if (row >= table->rows)
			r->rc = err_set(r->e, ERR_INPUT, "%s has %u rows; row %u is asked for", table->tensor->name, table->rows, row);
		else
			r->rc = weight_rows(table, row, 1, out + (size_t)i * table->cols, &scratch, NULL, r->e);
	}
}

static void embed(struct run *r)
{
	const struct spec *s = r->s;
	const struct plan_layer *ends = &r->m->plan.ends;
	size_t n = (size_t)r->n * s->d_model;
	own(mem) float *host = mem_zalloc(n * sizeof(*host));

	look_up(r, &ends->w[ROLE_EMBED], r->batch->ids, NULL, host);
	r->op->put(r->be, r->x, host, n);
	if (s->embed_scale > 0 && s->embed_scale != 1)
		r->op->scale(r->be, r->x, s->embed_scale, n);
	if (s->pos == POS_LEARNED) {
		look_up(r, &ends->w[ROLE_POS_EMBED], NULL, r->positions, host);
		r->op->put(r->be, r->y, host, n);
		r->op->add(r->be, r->x, r->y, n);
	}
	if (s->embed_norm)
		run_norm(r, r->x, r->x, ends, ROLE_EMBED_NORM, r->n, s->d_model);
}

/* What a half of a layer is given: the residual, normed or as it is. */
static void enter(struct run *r, enum role norm)
{
	size_t n = (size_t)r->n * r->s->d_model;

	if (!r->s->no_pre_norms) {
		run_norm(r, r->xn, r->x, &r->w, norm, r->n, r->s->d_model);
		return;
	}
	r->op->zero(r->be, r->xn, n);
	r->op->add(r->be, r->xn, r->x, n);
}

/* And what comes out of it. */
static void leave(struct run *r, enum role norm)
{
	size_t n = (size_t)r->n * r->s->d_model;

	if (r->s->post_norms)
		run_norm(r, r->y, r->y, &r->w, norm, r->n, r->s->d_model);
	if (r->s->residual_scale > 0 && r->s->residual_scale != 1)
		r->op->scale(r->be, r->y, r->s->residual_scale, n);
	r->op->add(r->be, r->x, r->y, n);
}

static void layer(struct run *r)
{
	enter(r, ROLE_ATTN_NORM);
	attention(r);
	leave(r, ROLE_ATTN_POST_NORM);
	if (!r->s->parallel)
		enter(r, ROLE_FFN_NORM);
	ffn(r);
	leave(r, ROLE_FFN_POST_NORM);
}

/* What the disk should bring while this layer computes. Packed weights load their scales on opening: not worth it twice. */
static void prefetch(struct run *r, uint32_t l)
{
	struct plan_layer next own(plan_layer) = { 0 };

	if (l >= r->s->n_layer || r->m->quant.method[0] || plan_layer_open(&r->m->plan, l, &next, NULL, NULL) < 0)
		return;
	for (int role = 0; role < ROLE_COUNT; role++)
		weight_prefetch(&next.w[role]);
}

static void layers(struct run *r, float *measures)
{
	const struct spec *s = r->s;
	size_t first_text = (size_t)r->batch->seqs[0].n * s->d_model;

	r->op->measure(r->be, measures, r->x, first_text);
	for (r->layer = 0; r->rc == 0 && r->layer < s->n_layer; r->layer++) {
		if (r->batch->progress)
			r->batch->progress(r->batch->ctx, r->layer, s->n_layer);
		r->op->layer(r->be, r->layer);
		prefetch(r, r->layer + 1);
		r->rc = plan_layer_open(&r->m->plan, r->layer, &r->w, NULL, r->e);
		if (r->rc < 0)
			return;
		layer(r);
		r->op->measure(r->be, measures + (r->layer + 1) * OPS_MEASURE_FLOATS, r->x, first_text);
		r->rc = r->rc < 0 ? r->rc : r->op->status(r->be, r->e);
		plan_layer_close(&r->w);
	}
}

/* Logits of the tokens from head_from on, a piece of the vocabulary at a time. */
static void head(struct run *r, float *tally)
{
	const struct spec *s = r->s;
	const struct plan_layer *ends = &r->m->plan.ends;
	uint32_t from = r->batch->head_from, n = r->n - from, piece = s->n_vocab < HEAD_ROWS ? s->n_vocab : HEAD_ROWS;
	const float *bias = run_vector(r, ends, ROLE_HEAD, 1);
	float *logits = r->op->alloc(r->be, (size_t)n * piece);

	run_norm(r, r->xn, r->x, ends, ROLE_FINAL_NORM, r->n, s->d_model);
	for (uint32_t id = 0; id < s->n_vocab; id += piece) {
		uint32_t cols = s->n_vocab - id < piece ? s->n_vocab - id : piece;
		struct weight w = weight_slice(ends->w[ROLE_HEAD], id, cols);

		r->op->matmul(r->be, logits, cols, r->xn + (size_t)from * s->d_model, n, &w);
		if (bias)
			r->op->add_row(r->be, logits, bias + id, n, cols);
		if (s->logit_scale > 0 && s->logit_scale != 1)
			r->op->scale(r->be, logits, s->logit_scale, (size_t)n * cols);
		if (s->logit_softcap > 0)
			r->op->softcap(r->be, logits, s->logit_softcap, (size_t)n * cols);
		r->op->tally(r->be, tally, logits, n, cols, id, r->batch->targets ? r->batch->targets + from : NULL);
	}
	r->op->free(r->be, logits);
}

static uint32_t max3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a > b ? a : b;

	return m > c ? m : c;
}

static void allocate(struct run *r)
{
	const struct spec *s = r->s;
	size_t n = r->n;
	uint32_t ff = max3(s->d_ff, s->d_ff_dense, max3(s->moe.d_ff, s->moe.d_shared, 1));
	struct {
		float **to;
		uint32_t each;
	} const all[] = {
		{ &r->x, s->d_model }, { &r->xn, s->d_model }, { &r->y, s->d_model }, { &r->q, s->n_head * s->d_k }, { &r->k, s->n_kv * s->d_k },
		{ &r->v, s->n_kv * s->d_v }, { &r->heads, s->n_head * max3(s->d_k, s->d_v, 1) }, { &r->c, max3(s->mla.q_lora, s->mla.kv_lora, 1) },
		{ &r->c2, max3(s->mla.d_rope, 1, 1) }, { &r->a, ff }, { &r->b, ff }, { &r->route, max3(s->moe.n_expert, 1, 1) },
		{ &r->gathered, s->moe.n_expert ? s->d_model : 1 }, { &r->returned, s->moe.n_expert ? s->d_model : 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		*all[i].to = r->op->alloc(r->be, n * all[i].each);
}

static void release(struct run *r)
{
	float *const all[] = { r->x, r->xn, r->y, r->q, r->k, r->v, r->heads, r->c, r->c2, r->a, r->b, r->route, r->gathered, r->returned };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		r->op->free(r->be, all[i]);
	for (int role = 0; role < ROLE_COUNT; role++)
		for (int i = 0; i < 2; i++)
			r->op->free(r->be, r->vectors[role][i].data);
	plan_layer_close(&r->w);
	free(r->seqs);
	free(r->positions);
}

/* Runs of tokens as the backend wants them: a text alone, or the end of one whose beginning is in the cache. */
static int lay_out(struct run *r)
{
	const struct model_batch *b = r->batch;
	uint32_t at = 0;

	r->seqs = mem_zalloc(b->n_seqs * sizeof(*r->seqs));
	r->positions = mem_zalloc(b->n * sizeof(*r->positions));
	for (uint32_t i = 0; i < b->n_seqs; i++) {
		uint32_t past = b->cache ? b->cache->n : 0, n = b->seqs[i].n;

		if (n == 0 || n > b->n - at)
			return err_set(r->e, ERR_FAILED, "texts of a batch do not add up to %u tokens", b->n);
		r->seqs[i] = (struct ops_seq){ .first = at, .n = n, .key_first = b->cache ? 0 : at, .n_keys = past + n, .position = b->seqs[i].position };
		for (uint32_t t = 0; t < n; t++)
			r->positions[at + t] = b->seqs[i].position + t;
		at += n;
	}
	return at == b->n ? 0 : err_set(r->e, ERR_FAILED, "texts of a batch do not add up to %u tokens", b->n);
}

static int check_batch(const struct model_batch *b, struct err *e)
{
	if (b->n == 0 || b->n > MODEL_TOKENS_MAX || b->n_seqs == 0 || b->head_from >= b->n)
		return err_set(e, ERR_LIMIT, "a batch of %u tokens; between 1 and %d can be run", b->n, MODEL_TOKENS_MAX);
	if (b->cache && (b->n_seqs != 1 || b->cache->n + b->n > b->cache->cap))
		return err_set(e, ERR_LIMIT, "no room for %u more tokens", b->n);
	return 0;
}

int model_forward(const struct model *m, const struct ops *op, struct backend *be, const struct model_batch *batch, struct model_output *out,
	struct err *e)
{
	struct run r = { .m = m, .s = m->spec, .op = op, .be = be, .batch = batch, .n = batch->n, .e = e };
	size_t n_tally = (size_t)(batch->n - batch->head_from) * OPS_TALLY_FLOATS, n_measures = (m->spec->n_layer + 1) * OPS_MEASURE_FLOATS;
	float *tally, *measures;

	r.rc = check_batch(batch, e);
	if (r.rc == 0)
		r.rc = lay_out(&r);
	if (r.rc < 0) {
		free(r.seqs);
		free(r.positions);
		return r.rc;
	}
	allocate(&r);
	tally = op->alloc(be, n_tally);
	measures = op->alloc(be, n_measures);
	embed(&r);
	layers(&r, measures);
	if (r.rc == 0)
		head(&r, tally);
	if (r.rc == 0)
		r.rc = op->finish(be, e);
	if (r.rc == 0) {
		memset(out->tally, 0, batch->n * sizeof(*out->tally));
		op->get(be, (float *)(void *)(out->tally + batch->head_from), tally, n_tally);
		op->get(be, (float *)(void *)out->layers, measures, n_measures);
		r.rc = op->finish(be, e);
	}
	if (r.rc == 0 && batch->cache)
		batch->cache->n += batch->n;
	op->free(be, tally);
	op->free(be, measures);
	release(&r);
	return r.rc;
}

double model_loss(const struct ops_tally *t)
{
	return t->bad > 0 ? NAN : (double)t->max + log((double)t->sum) - (double)t->target;
}

double model_entropy(const struct ops_tally *t)
{
	return (double)t->max + log((double)t->sum) - (double)t->dot / (double)t->sum;
}

void model_cache_open(struct model_cache *c, const struct model *m, const struct ops *op, struct backend *be, uint32_t cap)
{
	const struct spec *s = m->spec;

	*c = (struct model_cache){ .cap = cap, .k = mem_zalloc(s->n_layer * sizeof(*c->k)), .v = mem_zalloc(s->n_layer * sizeof(*c->v)) };
	for (uint32_t l = 0; l < s->n_layer; l++) {
		c->k[l] = op->alloc(be, (size_t)cap * s->n_kv * s->d_k);
		c->v[l] = op->alloc(be, (size_t)cap * s->n_kv * s->d_v);
	}
}

void model_cache_close(struct model_cache *c, const struct model *m, const struct ops *op, struct backend *be)
{
	for (uint32_t l = 0; c->k && l < m->spec->n_layer; l++) {
		op->free(be, c->k[l]);
		op->free(be, c->v[l]);
	}
	free(c->k);
	free(c->v);
	*c = (struct model_cache){ 0 };
}
