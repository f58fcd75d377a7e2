/* plan_find.c - see plan_find.h. */
#include "infer/plan_find.h"

#include <stdarg.h>

#include "base/str.h"
#include "base/vec.h"

bool plan_expand(const struct plan_finder *f, const char *name, const char *suffix, char out[PLAN_NAME_MAX])
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

const struct family_name *plan_rows(const struct plan *p, int i)
{
	if (p->gguf)
		return i == 0 ? family_gguf_names : NULL;
	return i == 0 ? p->family->hf_names.also : i == 1 ? p->family->hf_names.rows : NULL;
}

/* A family that calls a role by a name of its own does not call it by the name that others have: that may be another role's there. */
static bool is_renamed(const struct plan *p, int i, enum role role)
{
	for (const struct family_name *row = i && !p->gguf ? p->family->hf_names.also : NULL; row && row->name; row++)
		if (row->role == role)
			return true;
	return false;
}

bool plan_find(const struct plan_finder *f, enum role role, const char *suffix, char out[PLAN_NAME_MAX])
{
	char name[PLAN_NAME_MAX];
	bool first = true, found;

	out[0] = '\0';
	for (int i = 0; i < 2; i++) {
		for (const struct family_name *row = plan_rows(f->p, i); row && row->name; row++) {
			if (row->role != role || is_renamed(f->p, i, role) || !plan_expand(f, row->name, suffix, name))
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

const char *plan_file_name(const struct weights *w)
{
	if (w->set.n_shards == 1)
		return w->set.shards[0].file;
	return w->n_parts == 1 ? w->parts[0].file : "the checkpoint";
}

void plan_fail(struct plan_finder *f, const char *rule, const char *file, const char *fmt, ...)
{
	char message[REPORT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	report_path(f->r, "%s", file);
	report_reject(f->r, rule, *file ? file : plan_file_name(f->p->weights), f->e, "%s", message);
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
static struct weight packed_matrix(struct plan_finder *f, struct packed *p, uint64_t blocks, uint32_t rows, uint32_t cols, uint64_t block)
{
	char more[80];

	if (p->q.out != (blocks ? blocks : 1) * rows || p->q.in != cols) {
		snprintf(more, sizeof(more), "[%llu, %llu], expected [%llu, %u]", (unsigned long long)p->q.out, (unsigned long long)p->q.in,
			(unsigned long long)(blocks ? blocks : 1) * rows, cols);
		plan_fail(f, "plan.shape", p->main->file, "tensor %s stands for a matrix of %s", p->main->name, more);
		packed_close(p);
		return (struct weight){ 0 };
	}
	return (struct weight){ .tensor = p->main, .type = p->main->type, .rows = rows, .cols = cols, .row0 = block * rows, .packed = p };
}

struct weight plan_matrix(struct plan_finder *f, const char *name, uint64_t blocks, uint32_t rows, uint32_t cols, uint64_t block, bool transposed)
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
			plan_fail(f, "plan.scale", t ? t->file : "", "%s", e.msg);
		else if (packed)
			return packed_matrix(f, packed, blocks, rows, cols, block);
		if (rc < 0)
			return (struct weight){ 0 };
	}
	if (!t) {	/* its name stands for several tensors, and here one is wanted */
		plan_fail(f, "plan.dtype", "", "tensor %s is stored packed, which can't be where it is used", name);
		return (struct weight){ 0 };
	}
	t->claimed = true;
	if (!t->type && f->p->gguf) {	/* the file is sound: its types are those of the format */
		f->unsupported = err_set(f->failed ? NULL : f->e, ERR_UNSUPPORTED, "not run: tensor %s has elements of type %s, which this runner can't decode", name,
			t->type_name);
	} else if (!t->type || (cols == 1 && t->type->block != 1) || (transposed && t->type->block != 1)) {
		plan_fail(f, "plan.dtype", t->file, "tensor %s has elements of type %s, which can't be used there", name, t->type_name);
	} else if (!shape_fits(t, f->p->gguf, blocks, transposed ? cols : rows, transposed ? rows : cols)) {
		shape_text(t, blocks, transposed ? cols : rows, transposed ? rows : cols, shape);
		plan_fail(f, "plan.shape", t->file, "tensor %s has the shape %s", name, shape);
	} else {
		return weight_of(t, block, rows, cols, transposed);
	}
	return (struct weight){ 0 };
}

void plan_label(const struct plan_finder *f, enum role role, const struct weight *w, bool is_bias)
{
	if (w->rows == 0)
		return;
	w->tensor->role = (uint8_t)role;
	w->tensor->layer = f->layer;
	w->tensor->is_bias = is_bias;
}

bool plan_take(struct plan_finder *f, enum role role, enum need need, uint32_t rows, uint32_t cols)
{
	bool linear = cols > 1 && role >= ROLE_LAYER_FIRST;
	char name[PLAN_NAME_MAX];

	if (!plan_find(f, role, ".weight", name)) {
		if (need == NEEDED)
			plan_fail(f, "plan.missing", "", "tensor %s is missing", name);
		return false;
	}
	f->out->w[role] = plan_matrix(f, name, 0, rows, cols, 0, linear && f->p->family->hf_names.conv1d && !f->p->gguf);
	plan_label(f, role, &f->out->w[role], false);
	return f->out->w[role].rows != 0;
}

/* What is added in the forward pass (run_linear); the narrow product of compressed keys and values has no bias there. */
static bool bias_can_be_added(enum role role)
{
	return role != ROLE_KV_A && role != ROLE_KV_B;
}

static bool is_zero(struct plan_finder *f, const struct weight *w)
{
	own(mem) float *v = mem_zalloc((w->rows + 1) * sizeof(*v));
	struct scratch scratch own(scratch) = { 0 };
	struct err e = ERR_NONE;

	if (weight_rows(w, 0, w->rows, v, &scratch, NULL, &e) < 0)
		plan_fail(f, "plan.dtype", w->tensor->file, "%s", e.msg);
	for (uint32_t i = 0; i < w->rows; i++)
		if (v[i] != 0)
			return false;
	return true;
}

/*
 * GPTQ's programs store a bias beside every weight that they pack, zeros where the model has none. One that is not zero is added, as
 * they do; others pass it over, and so it is named.
 */
void plan_take_spare_bias(struct plan_finder *f, enum role role, uint32_t rows)
{
	const struct packed *p = f->out->w[role].packed;
	char name[PLAN_NAME_MAX];
	struct weight bias;

	if (!p || (p->q.scheme != QUANT_GPTQ && p->q.scheme != QUANT_AWQ) || !plan_find(f, role, ".bias", name))
		return;
	bias = plan_matrix(f, name, 0, rows, 1, 0, false);
	if (bias.rows && f->p->checking && !is_zero(f, &bias)) {
		if (!bias_can_be_added(role)) {
			plan_fail(f, "plan.unexpected", bias.tensor->file, "tensor %s is not zero, and a model of this kind has no bias there", name);
			return;
		}
		report_path(f->r, "%s", bias.tensor->file);
		report_flag(f->r, "plan.unexpected", "tensor %s is not zero: it is added, though a model of this kind has no bias there", name);
	}
	f->out->bias[role] = bias;
	plan_label(f, role, &bias, true);
}

bool plan_in_some_layer(const struct plan_finder *f, enum role role, const char *suffix)
{
	struct plan_finder other = *f;
	char name[PLAN_NAME_MAX];

	for (other.layer = 0; role >= ROLE_LAYER_FIRST && other.layer < f->p->spec->n_layer; other.layer++)
		if (plan_find(&other, role, suffix, name))
			return true;
	return false;
}

/* A GGUF does not say which biases there are beyond its family's: there the ones that are found count, in all layers or in none. */
void plan_take_bias(struct plan_finder *f, enum role role, bool wanted, uint32_t rows)
{
	char name[PLAN_NAME_MAX];

	if (!wanted && !f->p->gguf) {
		plan_take_spare_bias(f, role, rows);
		return;
	}
	if (plan_find(f, role, ".bias", name)) {
		f->out->bias[role] = plan_matrix(f, name, 0, rows, 1, 0, false);
		plan_label(f, role, &f->out->bias[role], true);
	} else if (wanted || (f->p->checking && plan_in_some_layer(f, role, ".bias"))) {
		plan_fail(f, "plan.missing", "", "tensor %s is missing", name);
	}
}

void plan_take_linear(struct plan_finder *f, enum role role, bool bias, uint32_t rows, uint32_t cols)
{
	if (plan_take(f, role, NEEDED, rows, cols))
		plan_take_bias(f, role, bias, rows);
}

void plan_take_norm(struct plan_finder *f, enum role role, uint32_t n)
{
	if (plan_take(f, role, NEEDED, n, 1))
		plan_take_bias(f, role, (f->p->spec->norm == NORM_LAYER && !f->p->spec->norm_bare) || (f->p->gguf && f->p->family->base->norm == NORM_LAYER), n);
}
