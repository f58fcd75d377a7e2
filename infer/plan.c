/* plan.c - the places of the whole model: its root, its ends, every layer, and what is left over. See plan.h. */
#include "infer/plan.h"

#include "base/str.h"
#include "base/vec.h"
#include "infer/extra.h"
#include "infer/plan_find.h"

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
	struct plan_finder f = { .p = p, .r = r, .e = e };
	char name[PLAN_NAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		p->root = roots[i];
		if (plan_find(&f, ROLE_EMBED, ".weight", name))
			return 0;
	}
	p->head_only = p->spec->tied && !p->gguf && !p->spec->task;
	for (size_t i = 0; p->head_only && i < ARRAY_LEN(roots); i++) {
		p->root = roots[i];
		if (plan_find(&f, ROLE_HEAD, ".weight", name) && plan_find(&f, ROLE_ATTN_NORM, ".weight", name))
			return 0;
	}
	p->root = roots[0];
	plan_find(&f, ROLE_EMBED, ".weight", name);
	report_path(r, "%s", "");
	return report_reject(r, "plan.missing", plan_file_name(p->weights), e, "tensor %s is missing, under this and every other known prefix", name);
}

static void take_embedding(struct plan_finder *f)
{
	const struct spec *s = f->p->spec;
	struct weight *to = &f->out->w[ROLE_EMBED];
	char name[PLAN_NAME_MAX];

	if (!f->p->head_only) {
		plan_take(f, ROLE_EMBED, NEEDED, s->n_vocab, s->d_model);
		return;
	}
	plan_find(f, ROLE_HEAD, ".weight", name);
	*to = plan_matrix(f, name, 0, s->n_vocab, s->d_model, 0, false);
	plan_label(f, ROLE_EMBED, to, false);
	if (to->rows == 0)
		return;
	report_path(f->r, "%s", to->tensor->file);
	report_flag(f->r, "plan.tied", "there is no embedding: tensor %s is taken for it, to which the configuration ties it", name);
}

/* The head of a classifier, which is all that it was made for. */
static void take_labels(struct plan_finder *f)
{
	const struct spec *s = f->p->spec;
	enum role role = s->labels_of_tokens ? ROLE_TOKEN_LABELS : ROLE_TEXT_LABELS;

	plan_take_linear(f, role, s->bias_labels, s->n_labels, s->d_model);
}

static int take_ends(struct plan *p, struct report *r, struct err *e)
{
	const struct spec *s = p->spec;
	struct plan_finder f = { .p = p, .out = &p->ends, .r = r, .e = e };
	char name[PLAN_NAME_MAX];

	take_embedding(&f);
	if (s->pos == POS_LEARNED)
		plan_take(&f, ROLE_POS_EMBED, NEEDED, s->n_ctx, s->d_model);
	if (s->embed_norm)
		plan_take_norm(&f, ROLE_EMBED_NORM, s->d_model);
	plan_take_norm(&f, ROLE_FINAL_NORM, s->d_model);
	if (s->task) {
		if (plan_find(&f, ROLE_HEAD, ".weight", name))
			weights_find(p->weights, name)->claimed = true;	/* left over from what it was trained from */
		if (s->n_labels)
			take_labels(&f);
		return f.failed ? ERR_INPUT : f.unsupported;
	}
	if (plan_find(&f, ROLE_HEAD, ".weight", name) && !(s->tied && !p->gguf)) {
		plan_take(&f, ROLE_HEAD, NEEDED, s->n_vocab, s->d_model);
	} else if (s->tied || p->gguf) {
		if (weights_find(p->weights, name))
			weights_find(p->weights, name)->claimed = true;	/* tied: stored, but not what is used */
		p->ends.w[ROLE_HEAD] = p->ends.w[ROLE_EMBED];
	} else {
		plan_fail(&f, "plan.tied", "", "tensor %s is missing and the configuration does not tie it to the embedding", name);
	}
	p->stored_head = weights_find(p->weights, name);
	plan_take_bias(&f, ROLE_HEAD, s->bias_head, s->n_vocab);
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
		if (extra_of_training(t->name)) {
			report_flag(r, "plan.unexpected", "tensor %s is of a head of training, which a model of this class passes over", t->name);
			continue;
		}
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
