/* plan_layer.c - the tensors of one layer and of one expert. */
#include "infer/plan_find.h"

#include "base/str.h"
#include "base/vec.h"

/* q, k and v as views of one matrix. */
static void split_qkv(const struct plan_finder *f, const struct weight *fused, struct weight *to)
{
	const struct spec *s = f->p->spec;
	uint32_t sizes[3] = { s->n_head * s->d_k, s->n_kv * s->d_k, s->n_kv * s->d_v }, first = 0;
	uint32_t heads[3] = { s->d_k, s->d_k, s->d_v };

	for (int i = 0; i < 3; i++) {
		to[ROLE_Q + i] = s->qkv_per_head ? weight_heads(*fused, first, heads[i], 2 * s->d_k + s->d_v) : weight_slice(*fused, first, sizes[i]);
		to[ROLE_Q + i].packed = fused->packed;
		first += s->qkv_per_head ? heads[i] : sizes[i];
	}
}

static void take_attention(struct plan_finder *f)
{
	const struct spec *s = f->p->spec;
	uint32_t q = s->n_head * s->d_k, k = s->n_kv * s->d_k, v = s->n_kv * s->d_v;
	char name[PLAN_NAME_MAX];

	if (plan_find(f, ROLE_QKV, ".weight", name) && !plan_find(f, ROLE_Q, ".weight", name)) {
		plan_take_linear(f, ROLE_QKV, s->bias_qkv, q + k + v, s->d_model);
		if (f->out->w[ROLE_QKV].rows)
			split_qkv(f, &f->out->w[ROLE_QKV], f->out->w);
		if (f->out->bias[ROLE_QKV].rows)
			split_qkv(f, &f->out->bias[ROLE_QKV], f->out->bias);
	} else {
		plan_take_linear(f, ROLE_Q, s->bias_qkv, q, s->d_model);
		plan_take_linear(f, ROLE_K, s->bias_qkv, k, s->d_model);
		plan_take_linear(f, ROLE_V, s->bias_qkv, v, s->d_model);
	}
	if (s->qk_norm == QK_NORM_HEAD) {
		plan_take_norm(f, ROLE_Q_NORM, s->d_k);
		plan_take_norm(f, ROLE_K_NORM, s->d_k);
	} else if (s->qk_norm == QK_NORM_ALL) {
		plan_take_norm(f, ROLE_Q_NORM, q);
		plan_take_norm(f, ROLE_K_NORM, k);
	}
	plan_take_linear(f, ROLE_O, s->bias_o, s->d_model, s->n_head * s->d_v);
}

static void take_mla(struct plan_finder *f)
{
	const struct spec *s = f->p->spec;
	char name[PLAN_NAME_MAX];

	if (s->mla.q_lora) {
		plan_take_linear(f, ROLE_Q_A, s->bias_o, s->mla.q_lora, s->d_model);
		plan_take_norm(f, ROLE_Q_A_NORM, s->mla.q_lora);
		plan_take_linear(f, ROLE_Q_B, false, s->n_head * s->d_k, s->mla.q_lora);
	} else {
		plan_take_linear(f, ROLE_Q, false, s->n_head * s->d_k, s->d_model);
	}
	plan_take_linear(f, ROLE_KV_A, s->bias_o, s->mla.kv_lora + s->mla.d_rope, s->d_model);
	plan_take_norm(f, ROLE_KV_A_NORM, s->mla.kv_lora);
	if (f->p->gguf && plan_find(f, ROLE_K_B, ".weight", name)) {	/* [head][kv_lora][d_nope] and [head][d_v][kv_lora] */
		f->out->w[ROLE_K_B] = plan_matrix(f, name, s->n_head, s->mla.kv_lora, s->mla.d_nope, 0, false);
		if (plan_find(f, ROLE_V_B, ".weight", name))
			f->out->w[ROLE_V_B] = plan_matrix(f, name, s->n_head, s->d_v, s->mla.kv_lora, 0, false);
		else
			plan_fail(f, "plan.missing", "", "tensor %s is missing", name);
	} else {
		plan_take_linear(f, ROLE_KV_B, false, s->n_head * (s->mla.d_nope + s->d_v), s->mla.kv_lora);
	}
	plan_take_linear(f, ROLE_O, s->bias_o, s->d_model, s->n_head * s->d_v);
}

static void take_mlp(struct plan_finder *f, enum role gate, enum role up, enum role down, uint32_t d_ff)
{
	const struct spec *s = f->p->spec;
	struct weight *w = f->out->w;
	char name[PLAN_NAME_MAX];

	if (s->ffn_gated && gate == ROLE_GATE && !plan_find(f, gate, ".weight", name) && plan_find(f, ROLE_GATE_UP, ".weight", name)) {
		plan_take_linear(f, ROLE_GATE_UP, false, 2 * d_ff, s->d_model);
		if (w[ROLE_GATE_UP].rows) {
			w[gate] = weight_slice(w[ROLE_GATE_UP], 0, d_ff);
			w[up] = weight_slice(w[ROLE_GATE_UP], d_ff, d_ff);
		}
		if (f->out->bias[ROLE_GATE_UP].rows) {
			f->out->bias[gate] = weight_slice(f->out->bias[ROLE_GATE_UP], 0, d_ff);
			f->out->bias[up] = weight_slice(f->out->bias[ROLE_GATE_UP], d_ff, d_ff);
		}
	} else {
		if (s->ffn_gated)
			plan_take_linear(f, gate, s->bias_ffn, d_ff, s->d_model);
		plan_take_linear(f, up, s->bias_ffn, d_ff, s->d_model);
	}
	plan_take_linear(f, down, s->bias_ffn, s->d_model, d_ff);
}

static void take_router(struct plan_finder *f)
{
	const struct spec *s = f->p->spec;
	bool always = s->moe.select_bias || (f->p->gguf && (f->p->family->flags & FAMILY_GGUF_SELECT_BIAS) && s->moe.score == ROUTER_SIGMOID);

	plan_take_linear(f, ROLE_ROUTER, false, s->moe.n_expert, s->d_model);
	if (always || (f->p->gguf && plan_in_some_layer(f, ROLE_ROUTER_BIAS, ".weight")))
		plan_take(f, ROLE_ROUTER_BIAS, NEEDED, s->moe.n_expert, 1);
	if (s->moe.shared != SHARED_NONE)
		take_mlp(f, ROLE_SHARED_GATE, ROLE_SHARED_UP, ROLE_SHARED_DOWN, s->moe.d_shared);
	if (s->moe.shared == SHARED_GATED)
		plan_take(f, ROLE_SHARED_ROUTER, NEEDED, 1, s->d_model);
}

/* Are all experts of the layer in one tensor, as far as there are any? */
static bool experts_stacked(const struct plan_finder *f)
{
	static const enum role roles[] = { ROLE_EXP_GATE_UP, ROLE_EXP_GATE, ROLE_EXP_UP, ROLE_EXP_DOWN };
	char name[PLAN_NAME_MAX];
	const struct tensor *t;

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (plan_find(f, roles[i], ".weight", name) && (t = weights_find(f->p->weights, name)) && t->rank == 3)
			return true;
	return false;
}

/* How the role's tensor is called in this form; false where families of this kind do not have it so. */
static bool expert_name(const struct plan_finder *f, enum role role, bool stacked, char out[PLAN_NAME_MAX])
{
	for (int i = 0; i < 2; i++)
		for (const struct family_name *row = plan_rows(f->p, i); row && row->name; row++)
			if (row->role == role && (strstr(row->name, "%E") == NULL) == stacked && plan_expand(f, row->name, ".weight", out))
				return true;
	return false;
}

/* Is the tensor of all experts packed? Then it is not run, or it is said where that can't be. */
static bool stacked_is_packed(struct plan_finder *f, const struct tensor *t)
{
	static const char *const suffixes[] = { "_scale", "_scale_inv", "_weight_scale" };
	char name[PLAN_NAME_MAX + 16];
	bool scaled = false;

	for (size_t i = 0; i < ARRAY_LEN(suffixes) && !scaled; i++) {
		snprintf(name, sizeof(name), "%s%s", t->name, suffixes[i]);
		scaled = weights_find(f->p->weights, name);
	}
	if (!scaled && !str_starts(t->type_name, "F8_E"))
		return false;
	if (!scaled)
		plan_fail(f, "plan.scale", t->file, "%s: %s elements without a scale (%s_scale or _scale_inv)", t->name, t->type_name, t->name);
	else if (!f->p->quant.method[0])
		plan_fail(f, "plan.scale", t->file, "%s: it has a scale, and no quantization_config tells programs so", t->name);
	else if (!f->failed)
		f->unsupported = err_set(f->e, ERR_UNSUPPORTED, "not run: tensor %s packs all experts of a layer, this runner decodes them one by one", t->name);
	return true;
}

/* One matrix of an expert: its own tensor, or a block of one that holds all experts. */
static void take_expert_part(struct plan_finder *f, enum role role, uint32_t rows, uint32_t cols)
{
	bool transposed = f->p->family->hf_names.experts_transposed && !f->p->gguf, stacked;
	uint32_t n = f->p->spec->moe.n_expert;
	char name[PLAN_NAME_MAX];
	const struct tensor *t;

	if (!plan_find(f, role, ".weight", name)) {
		expert_name(f, role, experts_stacked(f), name);
		plan_fail(f, "plan.missing", "", "tensor %s is missing", name);
		return;
	}
	t = weights_find(f->p->weights, name);
	stacked = t && t->rank == 3;
	if (stacked && !f->p->gguf && stacked_is_packed(f, t))
		return;
	f->out->w[role] = plan_matrix(f, name, stacked ? n : 0, rows, cols, stacked ? f->expert : 0, stacked && transposed);
	plan_label(f, role, &f->out->w[role], false);
	if (!stacked)
		plan_take_spare_bias(f, role, rows);
}

static void take_expert(struct plan_finder *f)
{
	const struct spec *s = f->p->spec;
	struct weight *w = f->out->w;
	char name[PLAN_NAME_MAX];
	bool halves = plan_find(f, ROLE_EXP_GATE, ".weight", name) || plan_find(f, ROLE_EXP_UP, ".weight", name);

	if (plan_find(f, ROLE_EXP_GATE_UP, ".weight", name) || (!halves && experts_stacked(f) && expert_name(f, ROLE_EXP_GATE_UP, true, name))) {
		take_expert_part(f, ROLE_EXP_GATE_UP, 2 * s->moe.d_ff, s->d_model);
		if (w[ROLE_EXP_GATE_UP].rows) {
			w[ROLE_EXP_GATE] = weight_slice(w[ROLE_EXP_GATE_UP], 0, s->moe.d_ff);
			w[ROLE_EXP_UP] = weight_slice(w[ROLE_EXP_GATE_UP], s->moe.d_ff, s->moe.d_ff);
		}
	} else {
		take_expert_part(f, ROLE_EXP_GATE, s->moe.d_ff, s->d_model);
		take_expert_part(f, ROLE_EXP_UP, s->moe.d_ff, s->d_model);
	}
	take_expert_part(f, ROLE_EXP_DOWN, s->d_model, s->moe.d_ff);
}

static int finish(struct plan_finder *f)
{
	if (!f->failed && !f->unsupported)
		return 0;
	plan_layer_close(f->out);
	return f->failed ? ERR_INPUT : f->unsupported;
}

int plan_layer_open(const struct plan *p, uint32_t l, struct plan_layer *out, struct report *r, struct err *e)
{
	const struct spec *s = p->spec;
	struct plan_finder f = { .p = p, .out = out, .layer = l, .r = r, .e = e };

	memset(out, 0, sizeof(*out));
	if (!s->no_pre_norms)
		plan_take_norm(&f, ROLE_ATTN_NORM, s->d_model);
	if (s->mla.kv_lora)
		take_mla(&f);
	else
		take_attention(&f);
	if (!s->parallel && !s->no_pre_norms)
		plan_take_norm(&f, ROLE_FFN_NORM, s->d_model);
	if (s->post_norms) {
		plan_take_norm(&f, ROLE_ATTN_POST_NORM, s->d_model);
		plan_take_norm(&f, ROLE_FFN_POST_NORM, s->d_model);
	}
	if (s->layer[l].moe)
		take_router(&f);
	else
		take_mlp(&f, ROLE_GATE, ROLE_UP, ROLE_DOWN, s->moe.n_expert && s->d_ff_dense ? s->d_ff_dense : s->d_ff);
	return finish(&f);
}

int plan_expert_open(const struct plan *p, uint32_t l, uint32_t expert, struct plan_layer *out, struct report *r, struct err *e)
{
	struct plan_finder f = { .p = p, .out = out, .layer = l, .expert = expert, .r = r, .e = e };

	memset(out, 0, sizeof(*out));
	take_expert(&f);
	return finish(&f);
}

/* Views of one matrix share what is packed: it is freed once. */
void plan_layer_close(struct plan_layer *layer)
{
	for (int i = 0; i < ROLE_COUNT; i++) {
		const struct packed *p = layer->w[i].packed;

		if (!p)
			continue;
		for (int j = i; j < ROLE_COUNT; j++)
			if (layer->w[j].packed == p)
				layer->w[j] = (struct weight){ 0 };
		packed_close((struct packed *)p);
	}
	memset(layer, 0, sizeof(*layer));
}
