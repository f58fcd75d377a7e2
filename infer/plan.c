/* plan.c - see plan.h. */
#include "infer/plan.h"

#include <stdarg.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/extra.h"

/* One look-up in progress: where it is, and what it has to say. */
struct finder {
	const struct plan *p;
	struct plan_layer *out;
	uint32_t layer, expert;
	struct report *r;
	struct err *e;
	bool failed;
	int unsupported;	/* ERR_UNSUPPORTED once a weight is stored in a form that can't be decoded */
};

/* The tensor name of a row: ^ %L %E replaced, `suffix` added unless the name is complete. */
static bool expand(const struct finder *f, const char *name, const char *suffix, char out[PLAN_NAME_MAX])
{
	size_t n = 0;

	for (const char *c = name; *c && *c != '!'; c++) {
		size_t room = PLAN_NAME_MAX - n;
		int put;

		if (*c == '^')
			put = snprintf(out + n, room, "%s", f->p->root);
		else if (c[0] == '%' && c[1] == 'L')
			put = snprintf(out + n, room, "%u", f->layer);
		else if (c[0] == '%' && c[1] == 'E')
			put = snprintf(out + n, room, "%u", f->expert);
		else
			put = snprintf(out + n, room, "%c", *c);
		c += *c == '%';
		if (put < 0 || (size_t)put >= room)
			return false;
		n += (size_t)put;
	}
	if (str_ends(name, "!"))
		return strcmp(suffix, ".weight") == 0;
	return snprintf(out + n, PLAN_NAME_MAX - n, "%s", suffix) < (int)(PLAN_NAME_MAX - n);
}

static const struct family_name *row_lists(const struct plan *p, int i)
{
	if (p->gguf)
		return i == 0 ? family_gguf_names : NULL;
	return i == 0 ? p->family->hf_names.also : i == 1 ? p->family->hf_names.rows : NULL;
}

/* Tries the rows of a role. On failure `out` holds the first name tried, for the message. */
static bool find_name(const struct finder *f, enum role role, const char *suffix, char out[PLAN_NAME_MAX])
{
	char name[PLAN_NAME_MAX];
	bool first = true, found;

	out[0] = '\0';
	for (int i = 0; i < 2; i++) {
		for (const struct family_name *row = row_lists(f->p, i); row && row->name; row++) {
			if (row->role != role || !expand(f, row->name, suffix, name))
				continue;
			found = packed_find(f->p->weights, name);
			if (first || found)
				memcpy(out, name, sizeof(name));
			first = false;
			if (found)
				return true;
		}
	}
	return false;
}

/* What is missing is missing in the only file, or in all of them together. */
static const char *whole_name(const struct weights *w)
{
	if (w->set.n_shards == 1)
		return w->set.shards[0].file;
	return w->n_parts == 1 ? w->parts[0].file : "the checkpoint";
}

static void fail(struct finder *f, const char *rule, const char *file, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void fail(struct finder *f, const char *rule, const char *file, const char *fmt, ...)
{
	char message[REPORT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	report_path(f->r, "%s", file);
	report_reject(f->r, rule, *file ? file : whole_name(f->p->weights), f->e, "%s", message);
	f->failed = true;
}

/*
 * [blocks][rows][cols], without blocks where they are 0, or a vector of rows where cols is 1: exactly so. Only a GGUF drops and adds
 * outermost dimensions of 1 as it likes.
 */
static bool shape_fits(const struct tensor *t, bool gguf, uint64_t blocks, uint64_t rows, uint64_t cols)
{
	uint64_t want[3];
	const uint64_t *have = t->shape, *needed = want;
	int nw = 0, nh = t->rank;

	if (blocks)
		want[nw++] = blocks;
	want[nw++] = rows;
	if (cols != 1)
		want[nw++] = cols;
	for (; gguf && nh > 1 && *have == 1; nh--)
		have++;
	for (; gguf && nw > 1 && *needed == 1; nw--)
		needed++;
	return nw == nh && memcmp(needed, have, (size_t)nw * sizeof(*have)) == 0;
}

static void shape_text(const struct tensor *t, uint64_t blocks, uint64_t rows, uint64_t cols, char out[160])
{
	int n = snprintf(out, 160, "[");

	for (int i = 0; i < t->rank && n < 100; i++)
		n += snprintf(out + n, 160 - (size_t)n, "%s%llu", i ? ", " : "", (unsigned long long)t->shape[i]);
	n += snprintf(out + n, 160 - (size_t)n, "], expected [");
	if (blocks)
		n += snprintf(out + n, 160 - (size_t)n, "%llu, ", (unsigned long long)blocks);
	snprintf(out + n, 160 - (size_t)n, cols > 1 ? "%llu, %llu]" : "%llu]", (unsigned long long)rows, (unsigned long long)cols);
}

/* A matrix that several tensors make up: its size must be right, and then it is read through packed.h. */
static struct weight packed_matrix(struct finder *f, struct packed *p, uint64_t blocks, uint32_t rows, uint32_t cols, uint64_t block)
{
	char more[80];

	if (p->q.out != (blocks ? blocks : 1) * rows || p->q.in != cols) {
		snprintf(more, sizeof(more), "[%llu, %llu], expected [%llu, %u]", (unsigned long long)p->q.out, (unsigned long long)p->q.in,
			(unsigned long long)(blocks ? blocks : 1) * rows, cols);
		fail(f, "plan.shape", p->main->file, "tensor %s stands for a matrix of %s", p->main->name, more);
		packed_close(p);
		return (struct weight){ 0 };
	}
	return (struct weight){ .tensor = p->main, .type = p->main->type, .rows = rows, .cols = cols, .row0 = block * rows, .packed = p };
}

static struct weight matrix_named(struct finder *f, const char *name, uint64_t blocks, uint32_t rows, uint32_t cols, uint64_t block, bool transposed)
{
	struct tensor *t = weights_find(f->p->weights, name);
	struct packed *packed = NULL;
	char shape[160];

	if (!f->p->gguf && str_ends(name, ".weight") && cols > 1) {
		struct err e = ERR_NONE;
		int rc = packed_open(&packed, f->p->weights, &f->p->quant, name, !f->p->checking, &e);

		if (rc == ERR_UNSUPPORTED && !f->failed)
			f->unsupported = err_set(f->e, rc, "%s", e.msg);
		else if (rc < 0 && rc != ERR_UNSUPPORTED)
			fail(f, "plan.scale", t ? t->file : "", "%s", e.msg);
		else if (packed)
			return packed_matrix(f, packed, blocks, rows, cols, block);
		if (rc < 0)
			return (struct weight){ 0 };
	}
	if (!t) {	/* its name stands for several tensors, and here one is wanted */
		fail(f, "plan.dtype", "", "tensor %s is stored packed, which can't be where it is used", name);
		return (struct weight){ 0 };
	}
	t->claimed = true;
	if (!t->type && f->p->gguf) {	/* the file is sound: its types are those of the format */
		f->unsupported = err_set(f->failed ? NULL : f->e, ERR_UNSUPPORTED, "not run: tensor %s has elements of type %s, which this runner can't decode", name,
			t->type_name);
	} else if (!t->type || (cols == 1 && t->type->block != 1) || (transposed && t->type->block != 1)) {
		fail(f, "plan.dtype", t->file, "tensor %s has elements of type %s, which can't be used there", name, t->type_name);
	} else if (!shape_fits(t, f->p->gguf, blocks, transposed ? cols : rows, transposed ? rows : cols)) {
		shape_text(t, blocks, transposed ? cols : rows, transposed ? rows : cols, shape);
		fail(f, "plan.shape", t->file, "tensor %s has the shape %s", name, shape);
	} else {
		return weight_of(t, block, rows, cols, transposed);
	}
	return (struct weight){ 0 };
}

enum need { OPTIONAL, NEEDED };

/* What a tensor is, for those who compare it with its likes. */
static void label(const struct finder *f, enum role role, const struct weight *w, bool is_bias)
{
	if (w->rows == 0)
		return;
	w->tensor->role = (uint8_t)role;
	w->tensor->layer = f->layer;
	w->tensor->is_bias = is_bias;
}

/* The role's weight into the layer, when it is there. */
static bool take_weight(struct finder *f, enum role role, enum need need, uint32_t rows, uint32_t cols)
{
	bool linear = cols > 1 && role >= ROLE_LAYER_FIRST;
	char name[PLAN_NAME_MAX];

	if (!find_name(f, role, ".weight", name)) {
		if (need == NEEDED)
			fail(f, "plan.missing", "", "tensor %s is missing", name);
		return false;
	}
	f->out->w[role] = matrix_named(f, name, 0, rows, cols, 0, linear && f->p->family->hf_names.conv1d && !f->p->gguf);
	label(f, role, &f->out->w[role], false);
	return f->out->w[role].rows != 0;
}

/* What is added in the forward pass (run_linear); the narrow product of compressed keys and values has no bias there. */
static bool bias_can_be_added(enum role role)
{
	return role != ROLE_KV_A && role != ROLE_KV_B;
}

static bool is_zero(struct finder *f, const struct weight *w)
{
	own(mem) float *v = mem_zalloc((w->rows + 1) * sizeof(*v));
	struct scratch scratch own(scratch) = { 0 };
	struct err e = ERR_NONE;

	if (weight_rows(w, 0, w->rows, v, &scratch, NULL, &e) < 0)
		fail(f, "plan.dtype", w->tensor->file, "%s", e.msg);
	for (uint32_t i = 0; i < w->rows; i++)
		if (v[i] != 0)
			return false;
	return true;
}

/*
 * GPTQ's programs store a bias beside every weight that they pack, zeros where the model has none. One that is not zero is added, as
 * they do; others pass it over, and so it is named.
 */
static void take_spare_bias(struct finder *f, enum role role, uint32_t rows)
{
	const struct packed *p = f->out->w[role].packed;
	char name[PLAN_NAME_MAX];
	struct weight bias;

	if (!p || (p->q.scheme != QUANT_GPTQ && p->q.scheme != QUANT_AWQ) || !find_name(f, role, ".bias", name))
		return;
	bias = matrix_named(f, name, 0, rows, 1, 0, false);
	if (bias.rows && f->p->checking && !is_zero(f, &bias)) {
		if (!bias_can_be_added(role)) {
			fail(f, "plan.unexpected", bias.tensor->file, "tensor %s is not zero, and a model of this kind has no bias there", name);
			return;
		}
		report_path(f->r, "%s", bias.tensor->file);
		report_flag(f->r, "plan.unexpected", "tensor %s is not zero: it is added, though a model of this kind has no bias there", name);
	}
	f->out->bias[role] = bias;
	label(f, role, &bias, true);
}

/* Has any layer what this one has not? */
static bool in_some_layer(const struct finder *f, enum role role, const char *suffix)
{
	struct finder other = *f;
	char name[PLAN_NAME_MAX];

	for (other.layer = 0; role >= ROLE_LAYER_FIRST && other.layer < f->p->spec->n_layer; other.layer++)
		if (find_name(&other, role, suffix, name))
			return true;
	return false;
}

/* A GGUF does not say which biases there are beyond its family's: there the ones that are found count, in all layers or in none. */
static void take_bias(struct finder *f, enum role role, bool wanted, uint32_t rows)
{
	char name[PLAN_NAME_MAX];

	if (!wanted && !f->p->gguf) {
		take_spare_bias(f, role, rows);
		return;
	}
	if (find_name(f, role, ".bias", name)) {
		f->out->bias[role] = matrix_named(f, name, 0, rows, 1, 0, false);
		label(f, role, &f->out->bias[role], true);
	} else if (wanted || (f->p->checking && in_some_layer(f, role, ".bias"))) {
		fail(f, "plan.missing", "", "tensor %s is missing", name);
	}
}

static void take_linear(struct finder *f, enum role role, bool bias, uint32_t rows, uint32_t cols)
{
	if (take_weight(f, role, NEEDED, rows, cols))
		take_bias(f, role, bias, rows);
}

static void take_norm(struct finder *f, enum role role, uint32_t n)
{
	if (take_weight(f, role, NEEDED, n, 1))
		take_bias(f, role, (f->p->spec->norm == NORM_LAYER && !f->p->spec->norm_bare) || (f->p->gguf && f->p->family->base->norm == NORM_LAYER), n);
}

/* q, k and v as views of one matrix. */
static void split_qkv(struct finder *f, struct plan_layer *l, const struct weight *fused, struct weight *to)
{
	const struct spec *s = f->p->spec;
	uint32_t sizes[3] = { s->n_head * s->d_k, s->n_kv * s->d_k, s->n_kv * s->d_v }, first = 0;
	uint32_t heads[3] = { s->d_k, s->d_k, s->d_v };

	(void)l;
	for (int i = 0; i < 3; i++) {
		to[ROLE_Q + i] = s->qkv_per_head ? weight_heads(*fused, first, heads[i], 2 * s->d_k + s->d_v) : weight_slice(*fused, first, sizes[i]);
		to[ROLE_Q + i].packed = fused->packed;
		first += s->qkv_per_head ? heads[i] : sizes[i];
	}
}

static void take_attention(struct finder *f)
{
	const struct spec *s = f->p->spec;
	uint32_t q = s->n_head * s->d_k, k = s->n_kv * s->d_k, v = s->n_kv * s->d_v;
	char name[PLAN_NAME_MAX];

	if (find_name(f, ROLE_QKV, ".weight", name) && !find_name(f, ROLE_Q, ".weight", name)) {
		take_linear(f, ROLE_QKV, s->bias_qkv, q + k + v, s->d_model);
		if (f->out->w[ROLE_QKV].rows)
			split_qkv(f, f->out, &f->out->w[ROLE_QKV], f->out->w);
		if (f->out->bias[ROLE_QKV].rows)
			split_qkv(f, f->out, &f->out->bias[ROLE_QKV], f->out->bias);
	} else {
		take_linear(f, ROLE_Q, s->bias_qkv, q, s->d_model);
		take_linear(f, ROLE_K, s->bias_qkv, k, s->d_model);
		take_linear(f, ROLE_V, s->bias_qkv, v, s->d_model);
	}
	if (s->qk_norm == QK_NORM_HEAD) {
		take_norm(f, ROLE_Q_NORM, s->d_k);
		take_norm(f, ROLE_K_NORM, s->d_k);
	} else if (s->qk_norm == QK_NORM_ALL) {
		take_norm(f, ROLE_Q_NORM, q);
		take_norm(f, ROLE_K_NORM, k);
	}
	take_linear(f, ROLE_O, s->bias_o, s->d_model, s->n_head * s->d_v);
}

static void take_mla(struct finder *f)
{
	const struct spec *s = f->p->spec;
	char name[PLAN_NAME_MAX];

	if (s->mla.q_lora) {
		take_linear(f, ROLE_Q_A, s->bias_o, s->mla.q_lora, s->d_model);
		take_norm(f, ROLE_Q_A_NORM, s->mla.q_lora);
		take_linear(f, ROLE_Q_B, false, s->n_head * s->d_k, s->mla.q_lora);
	} else {
		take_linear(f, ROLE_Q, false, s->n_head * s->d_k, s->d_model);
	}
	take_linear(f, ROLE_KV_A, s->bias_o, s->mla.kv_lora + s->mla.d_rope, s->d_model);
	take_norm(f, ROLE_KV_A_NORM, s->mla.kv_lora);
	if (f->p->gguf && find_name(f, ROLE_K_B, ".weight", name)) {	/* [head][kv_lora][d_nope] and [head][d_v][kv_lora] */
		f->out->w[ROLE_K_B] = matrix_named(f, name, s->n_head, s->mla.kv_lora, s->mla.d_nope, 0, false);
		if (find_name(f, ROLE_V_B, ".weight", name))
			f->out->w[ROLE_V_B] = matrix_named(f, name, s->n_head, s->d_v, s->mla.kv_lora, 0, false);
		else
			fail(f, "plan.missing", "", "tensor %s is missing", name);
	} else {
		take_linear(f, ROLE_KV_B, false, s->n_head * (s->mla.d_nope + s->d_v), s->mla.kv_lora);
	}
	take_linear(f, ROLE_O, s->bias_o, s->d_model, s->n_head * s->d_v);
}

static void take_mlp(struct finder *f, enum role gate, enum role up, enum role down, uint32_t d_ff)
{
	const struct spec *s = f->p->spec;
	struct weight *w = f->out->w;
	char name[PLAN_NAME_MAX];

	if (s->ffn_gated && gate == ROLE_GATE && !find_name(f, gate, ".weight", name) && find_name(f, ROLE_GATE_UP, ".weight", name)) {
		take_linear(f, ROLE_GATE_UP, false, 2 * d_ff, s->d_model);
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
			take_linear(f, gate, s->bias_ffn, d_ff, s->d_model);
		take_linear(f, up, s->bias_ffn, d_ff, s->d_model);
	}
	take_linear(f, down, s->bias_ffn, s->d_model, d_ff);
}

static void take_router(struct finder *f)
{
	const struct spec *s = f->p->spec;
	bool always = s->moe.select_bias || (f->p->gguf && (f->p->family->flags & FAMILY_GGUF_SELECT_BIAS) && s->moe.score == ROUTER_SIGMOID);

	take_linear(f, ROLE_ROUTER, false, s->moe.n_expert, s->d_model);
	if (always || (f->p->gguf && in_some_layer(f, ROLE_ROUTER_BIAS, ".weight")))
		take_weight(f, ROLE_ROUTER_BIAS, NEEDED, s->moe.n_expert, 1);
	if (s->moe.shared != SHARED_NONE)
		take_mlp(f, ROLE_SHARED_GATE, ROLE_SHARED_UP, ROLE_SHARED_DOWN, s->moe.d_shared);
	if (s->moe.shared == SHARED_GATED)
		take_weight(f, ROLE_SHARED_ROUTER, NEEDED, 1, s->d_model);
}

/* Are all experts of the layer in one tensor, as far as there are any? */
static bool experts_stacked(const struct finder *f)
{
	static const enum role roles[] = { ROLE_EXP_GATE_UP, ROLE_EXP_GATE, ROLE_EXP_UP, ROLE_EXP_DOWN };
	char name[PLAN_NAME_MAX];
	const struct tensor *t;

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (find_name(f, roles[i], ".weight", name) && (t = weights_find(f->p->weights, name)) && t->rank == 3)
			return true;
	return false;
}

/* How the role's tensor is called in this form; false where families of this kind do not have it so. */
static bool expert_name(const struct finder *f, enum role role, bool stacked, char out[PLAN_NAME_MAX])
{
	for (int i = 0; i < 2; i++)
		for (const struct family_name *row = row_lists(f->p, i); row && row->name; row++)
			if (row->role == role && (strstr(row->name, "%E") == NULL) == stacked && expand(f, row->name, ".weight", out))
				return true;
	return false;
}

/* Is the tensor of all experts packed? Then it is not run, or it is said where that can't be. */
static bool stacked_is_packed(struct finder *f, const struct tensor *t)
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
		fail(f, "plan.scale", t->file, "%s: %s elements without a scale (%s_scale or _scale_inv)", t->name, t->type_name, t->name);
	else if (!f->p->quant.method[0])
		fail(f, "plan.scale", t->file, "%s: it has a scale, and no quantization_config tells programs so", t->name);
	else if (!f->failed)
		f->unsupported = err_set(f->e, ERR_UNSUPPORTED, "not run: tensor %s packs all experts of a layer, this runner decodes them one by one", t->name);
	return true;
}

/* One matrix of an expert: its own tensor, or a block of one that holds all experts. */
static void take_expert_part(struct finder *f, enum role role, uint32_t rows, uint32_t cols)
{
	bool transposed = f->p->family->hf_names.experts_transposed && !f->p->gguf, stacked;
	uint32_t n = f->p->spec->moe.n_expert;
	char name[PLAN_NAME_MAX];
	const struct tensor *t;

	if (!find_name(f, role, ".weight", name)) {
		expert_name(f, role, experts_stacked(f), name);
		fail(f, "plan.missing", "", "tensor %s is missing", name);
		return;
	}
	t = weights_find(f->p->weights, name);
	stacked = t && t->rank == 3;
	if (stacked && !f->p->gguf && stacked_is_packed(f, t))
		return;
	f->out->w[role] = matrix_named(f, name, stacked ? n : 0, rows, cols, stacked ? f->expert : 0, stacked && transposed);
	label(f, role, &f->out->w[role], false);
	if (!stacked)
		take_spare_bias(f, role, rows);
}

static void take_expert(struct finder *f)
{
	const struct spec *s = f->p->spec;
	struct weight *w = f->out->w;
	char name[PLAN_NAME_MAX];
	bool halves = find_name(f, ROLE_EXP_GATE, ".weight", name) || find_name(f, ROLE_EXP_UP, ".weight", name);

	if (find_name(f, ROLE_EXP_GATE_UP, ".weight", name) || (!halves && experts_stacked(f) && expert_name(f, ROLE_EXP_GATE_UP, true, name))) {
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

static int finish(struct finder *f)
{
	if (!f->failed && !f->unsupported)
		return 0;
	plan_layer_close(f->out);
	return f->failed ? ERR_INPUT : f->unsupported;
}

int plan_layer_open(const struct plan *p, uint32_t l, struct plan_layer *out, struct report *r, struct err *e)
{
	const struct spec *s = p->spec;
	struct finder f = { .p = p, .out = out, .layer = l, .r = r, .e = e };

	memset(out, 0, sizeof(*out));
	if (!s->no_pre_norms)
		take_norm(&f, ROLE_ATTN_NORM, s->d_model);
	if (s->mla.kv_lora)
		take_mla(&f);
	else
		take_attention(&f);
	if (!s->parallel && !s->no_pre_norms)
		take_norm(&f, ROLE_FFN_NORM, s->d_model);
	if (s->post_norms) {
		take_norm(&f, ROLE_ATTN_POST_NORM, s->d_model);
		take_norm(&f, ROLE_FFN_POST_NORM, s->d_model);
	}
	if (s->layer[l].moe)
		take_router(&f);
	else
		take_mlp(&f, ROLE_GATE, ROLE_UP, ROLE_DOWN, s->moe.n_expert && s->d_ff_dense ? s->d_ff_dense : s->d_ff);
	return finish(&f);
}

int plan_expert_open(const struct plan *p, uint32_t l, uint32_t expert, struct plan_layer *out, struct report *r, struct err *e)
{
	struct finder f = { .p = p, .out = out, .layer = l, .expert = expert, .r = r, .e = e };

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

static const char *const roots[] = { "model.", "transformer.", "", "language_model.model.", "model.language_model." };

/* Is this, behind the root, a name that the row may stand for, whatever the layer and the expert? */
static bool is_of_row(const char *name, const char *row)
{
	size_t literal = strcspn(row, "%!"), n = 0;
	char pattern[PLAN_NAME_MAX];

	if (strncmp(name, row, literal) != 0)
		return false;
	for (const char *c = row; *c && *c != '!' && n + 8 < sizeof(pattern); c++) {
		if (*c == '%') {
			n += (size_t)snprintf(pattern + n, sizeof(pattern) - n, "[0-9]*");
			c++;
		} else {
			pattern[n++] = *c;
		}
	}
	snprintf(pattern + n, sizeof(pattern) - n, "%s", str_ends(row, "!") ? "" : ".*");
	return str_glob(pattern, name);
}

static bool has_row(const struct family_name *rows, const char *name)
{
	for (const struct family_name *row = rows; row && row->name; row++) {
		for (size_t i = 0; *row->name == '^' && i < ARRAY_LEN(roots); i++)
			if (str_starts(name, roots[i]) && is_of_row(name + strlen(roots[i]), row->name + 1))
				return true;
		if (*row->name != '^' && is_of_row(name, row->name))
			return true;
	}
	return false;
}

bool plan_knows_any(const struct family *f, const struct weights *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (has_row(f->hf_names.rows, w->tensors[i].name) || has_row(f->hf_names.also, w->tensors[i].name))
			return true;
	return false;
}

/*
 * Where the tensors hang: the root below which the embedding is found. Of two that are one, programs that write each piece of memory once
 * may have kept the head.
 */
static int find_root(struct plan *p, struct report *r, struct err *e)
{
	struct finder f = { .p = p, .r = r, .e = e };
	char name[PLAN_NAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		p->root = roots[i];
		if (find_name(&f, ROLE_EMBED, ".weight", name))
			return 0;
	}
	p->head_only = p->spec->tied && !p->gguf && !p->spec->task;
	for (size_t i = 0; p->head_only && i < ARRAY_LEN(roots); i++) {
		p->root = roots[i];
		if (find_name(&f, ROLE_HEAD, ".weight", name) && find_name(&f, ROLE_ATTN_NORM, ".weight", name))
			return 0;
	}
	p->root = roots[0];
	find_name(&f, ROLE_EMBED, ".weight", name);
	report_path(r, "%s", "");
	return report_reject(r, "plan.missing", whole_name(p->weights), e, "tensor %s is missing, under this and every other known prefix", name);
}

static void take_embedding(struct finder *f)
{
	const struct spec *s = f->p->spec;
	struct weight *to = &f->out->w[ROLE_EMBED];
	char name[PLAN_NAME_MAX];

	if (!f->p->head_only) {
		take_weight(f, ROLE_EMBED, NEEDED, s->n_vocab, s->d_model);
		return;
	}
	find_name(f, ROLE_HEAD, ".weight", name);
	*to = matrix_named(f, name, 0, s->n_vocab, s->d_model, 0, false);
	label(f, ROLE_EMBED, to, false);
	if (to->rows == 0)
		return;
	report_path(f->r, "%s", to->tensor->file);
	report_flag(f->r, "plan.tied", "there is no embedding: tensor %s is taken for it, to which the configuration ties it", name);
}

static int take_ends(struct plan *p, struct report *r, struct err *e)
{
	const struct spec *s = p->spec;
	struct finder f = { .p = p, .out = &p->ends, .r = r, .e = e };
	char name[PLAN_NAME_MAX];

	take_embedding(&f);
	if (s->pos == POS_LEARNED)
		take_weight(&f, ROLE_POS_EMBED, NEEDED, s->n_ctx, s->d_model);
	if (s->embed_norm)
		take_norm(&f, ROLE_EMBED_NORM, s->d_model);
	take_norm(&f, ROLE_FINAL_NORM, s->d_model);
	if (s->task) {
		if (find_name(&f, ROLE_HEAD, ".weight", name))
			weights_find(p->weights, name)->claimed = true;	/* left over from what it was trained from */
		return f.failed ? ERR_INPUT : f.unsupported;
	}
	if (find_name(&f, ROLE_HEAD, ".weight", name) && !(s->tied && !p->gguf)) {
		take_weight(&f, ROLE_HEAD, NEEDED, s->n_vocab, s->d_model);
	} else if (s->tied || p->gguf) {
		if (weights_find(p->weights, name))
			weights_find(p->weights, name)->claimed = true;	/* tied: stored, but not what is used */
		p->ends.w[ROLE_HEAD] = p->ends.w[ROLE_EMBED];
	} else {
		fail(&f, "plan.tied", "", "tensor %s is missing and the configuration does not tie it to the embedding", name);
	}
	p->stored_head = weights_find(p->weights, name);
	take_bias(&f, ROLE_HEAD, s->bias_head, s->n_vocab);
	return f.failed ? ERR_INPUT : f.unsupported;
}

static int check_leftovers(const struct plan *p, struct report *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < p->weights->n; i++) {
		const struct tensor *t = &p->weights->tensors[i];

		if (t->claimed || extra_known(p, t->name) || (p->quant.method[0] && quant_is_companion(t->name)))
			continue;
		report_path(r, "%s", t->file);
		rc = report_reject(r, "plan.unexpected", t->file, e, "tensor %s has no place in a model of this kind", t->name);
	}
	return rc;
}

/*
 * A part of the model that its index does not have: programs that load what the index lists take it for missing and start it at random,
 * others load whole shards. A head that is not what is used is nobody's need.
 */
static int check_unlisted(const struct plan *p, struct report *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < p->weights->n; i++) {
		const struct tensor *t = &p->weights->tensors[i];

		if (!t->unlisted || !t->claimed || (t == p->stored_head && t != p->ends.w[ROLE_HEAD].tensor) || (p->spec->task && t->role == ROLE_HEAD))
			continue;
		report_path(r, "%s", t->file);
		rc = report_reject(r, "plan.unlisted", t->file, e, "tensor %s is not in the index: what a program takes in its place depends on the program", t->name);
	}
	return rc;
}

int plan_open(struct plan *p, const struct spec *s, const struct family *f, struct weights *w, const struct quant_config *quant, bool gguf,
	const struct sight *sight, struct report *r, struct err *e)
{
	int rc;

	*p = (struct plan){ .spec = s, .family = f, .weights = w, .quant = *quant, .gguf = gguf, .sight = sight, .checking = true, .root = "" };
	rc = find_root(p, r, e);
	if (rc == 0)
		rc = take_ends(p, r, e);
	for (uint32_t l = 0; rc == 0 && l < s->n_layer; l++) {
		struct plan_layer layer own(plan_layer) = { 0 };

		rc = plan_layer_open(p, l, &layer, r, e);
		for (uint32_t x = 0; rc == 0 && s->layer[l].moe && x < s->moe.n_expert; x++) {
			struct plan_layer expert own(plan_layer) = { 0 };

			rc = plan_expert_open(p, l, x, &expert, r, e);
		}
	}
	p->checking = false;
	if (rc == 0)
		rc = extra_check(p, r, e);
	if (rc == 0)
		rc = check_unlisted(p, r, e);
	return rc < 0 ? rc : check_leftovers(p, r, e);
}

void plan_close(struct plan *p)
{
	plan_layer_close(&p->ends);
}

static int read_factors(struct weights *w, const char *name, float *out, uint32_t *n, struct err *e)
{
	struct tensor *t = weights_find(w, name);
	struct scratch s own(scratch) = { 0 };
	struct weight v;

	if (!t)
		return 0;
	t->claimed = true;
	if (!t->type || t->type->block != 1 || t->rank != 1 || t->shape[0] > SPEC_ROT_MAX / 2)
		return err_set(e, ERR_INPUT, "%s: tensor %s is no list of rotation factors", t->file, name);
	*n = (uint32_t)t->shape[0];
	v = weight_of(t, 0, *n, 1, false);
	return weight_rows(&v, 0, *n, out, &s, NULL, e);
}

int plan_rope_factors(struct spec *s, struct weights *w, struct err *e)
{
	struct rope_config *c = &s->rope_config[0];
	int rc = read_factors(w, "rope_freqs.weight", c->divide, &c->n_divide, e);

	if (rc == 0)
		rc = read_factors(w, "rope_factors_short.weight", c->short_factor, &c->n_short, e);
	if (rc == 0)
		rc = read_factors(w, "rope_factors_long.weight", c->long_factor, &c->n_long, e);
	if (c->n_short)
		c->scaling = ROPE_LONG;
	return rc;
}
