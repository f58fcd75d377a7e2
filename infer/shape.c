/* shape.c - see shape.h. */
#include "infer/shape_words.h"

#include <stdarg.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/config.h"

#define UNEXPECTED_MAX 8	/* named one by one; the rest is counted */

struct checker {
	struct weights *w;
	struct shape_words words;
	const char *when;		/* of the rows that are looked at now */
	const struct shape_packing *packing;
	struct shape_count *n;
	struct report *r;
	struct err *e;
	bool failed;
};

static void fail(struct checker *c, const char *rule, const char *file, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void fail(struct checker *c, const char *rule, const char *file, const char *fmt, ...)
{
	char message[REPORT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	report_path(c->r, "%s", file);
	report_reject(c->r, rule, *file ? file : "the checkpoint", c->failed ? NULL : c->e, "%s", message);
	c->failed = true;
}

static void unusable(struct checker *c, const char *what, const struct tensor *t)
{
	char here[SHAPE_NAME_MAX];

	if (!shape_expand(&c->words, what, strlen(what), "", here))
		return;
	fail(c, "shape.config", "config.json", "it gives no usable %s%s%s", here, t ? ", which is a size of tensor " : "", t ? t->name : "");
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

/* The next of the spellings that a row has for a name. */
static bool next_name(const struct checker *c, const char **at, const char *suffix, char out[SHAPE_NAME_MAX])
{
	size_t n = strcspn(*at, "|");
	bool whole = n && (*at)[n - 1] == '!';
	const char *text = *at;

	*at += n + (text[n] == '|');
	return n && shape_expand(&c->words, text, n - whole, whole ? "" : suffix, out);
}

/* As it is called, or as the first BERTs called what is a weight and a bias today. */
static struct tensor *find(const struct checker *c, const char *name)
{
	static const char *const old[][2] = { { ".weight", ".gamma" }, { ".bias", ".beta" } };
	struct tensor *t = weights_find(c->w, name);
	char other[SHAPE_NAME_MAX];

	for (size_t i = 0; !t && i < ARRAY_LEN(old); i++) {
		if (!str_ends(name, old[i][0]))
			continue;
		snprintf(other, sizeof(other), "%.*s%s", (int)(strlen(name) - strlen(old[i][0])), name, old[i][1]);
		t = weights_find(c->w, other);
	}
	return t;
}

/* Of a form that is not known: whatever hangs where the weight would, without its bias and what hangs below other modules there. */
static struct tensor *take_unknown(const struct checker *c, const char *name)
{
	size_t n = strlen(name) - strlen("weight");
	struct tensor *first = NULL;

	for (size_t i = 0; i < c->w->n; i++) {
		struct tensor *t = &c->w->tensors[i];
		const char *rest = t->name + n;

		if (strncmp(t->name, name, n) != 0 || strcmp(rest, "bias") == 0 || (strchr(rest, '.') && !str_starts(rest, "weight")))
			continue;
		t->claimed |= first != NULL;	/* the first is the caller's to count */
		first = first ? first : t;
	}
	return first;
}

static struct tensor *find_packed(const struct checker *c, const char *name)
{
	if (!str_ends(name, ".weight"))
		return NULL;
	return c->packing->unknown ? take_unknown(c, name) : c->packing->quant.method[0] ? packed_find(c->w, name) : NULL;
}

static bool is_float(const struct tensor *t)
{
	return strcmp(t->type_name, "F32") == 0 || strcmp(t->type_name, "F16") == 0 || strcmp(t->type_name, "BF16") == 0;
}

/* Codes that mean nothing without the scales beside them, whatever the configuration says. */
static bool is_scaled(const struct checker *c, const struct tensor *t, const char *weight)
{
	static const char *const scales[] = { "weight_scale", "weight_scale_inv", "SCB" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(scales) && !found && (str_starts(t->type_name, "F8_E") || strcmp(t->type_name, "I8") == 0); i++) {
		char name[SHAPE_NAME_MAX];
		int n = snprintf(name, sizeof(name), "%.*s%s", (int)(strlen(weight) - strlen("weight")), weight, scales[i]);

		found = n < (int)sizeof(name) && weights_find(c->w, name);
	}
	return found;
}

/* The matrix that is stored so: false where its shape can't be told, or is not in order. */
static bool unpack_shape(struct checker *c, const struct tensor *t, const char *name, struct tensor *out)
{
	const struct shape_packing *how = c->packing;
	struct packed *p own(packed) = NULL;
	struct err e = ERR_NONE;
	int rc;

	*out = *t;
	if (!str_ends(name, ".weight") || (how->unknown ? is_float(t) && strcmp(t->name, name) == 0 : !how->quant.method[0] && !is_scaled(c, t, name)))
		return true;
	rc = how->unknown ? ERR_UNSUPPORTED : packed_open(&p, c->w, &how->quant, name, c->r, &e);
	if (p && c->r)
		rc = packed_survey(p, &e);
	if (p) {
		out->rank = 2;
		out->shape[0] = p->q.out;
		out->shape[1] = p->q.in;
	}
	if (how->unknown)
		take_unknown(c, name);
	c->n->untold += rc == ERR_UNSUPPORTED;
	if (rc < 0 && rc != ERR_UNSUPPORTED)
		fail(c, "shape.packed", t->file, "%s", e.msg);
	return rc == 0;
}

static void check_shape(struct checker *c, const struct tensor *t, const char *dims)
{
	char word[SHAPE_WORD_MAX], have[160] = "", want[160] = "";
	int i = 0, n_have = 0, n_want = 0;
	bool same = true;

	for (const char *at = dims; shape_next_word(&at, ' ', word); i++) {
		uint64_t v = 0;

		if (strcmp(word, "?") != 0 && !shape_dimension(&c->words, word, &v)) {
			unusable(c, word, t);
			return;
		}
		same = same && i < t->rank && (*word == '?' || t->shape[i] == v);
		if (n_want < 130)
			n_want += snprintf(want + n_want, sizeof(want) - (size_t)n_want, *word == '?' ? "%sany" : "%s%llu", i ? ", " : "", (unsigned long long)v);
	}
	for (int d = 0; d < t->rank && n_have < 130; d++)
		n_have += snprintf(have + n_have, sizeof(have) - (size_t)n_have, "%s%llu", d ? ", " : "", (unsigned long long)t->shape[d]);
	if (!same || i != t->rank)
		fail(c, "shape.shape", t->file, "tensor %s has the shape [%s], where config.json means [%s]", t->name, have, want);
}

static bool is_matrix(const char *dims)
{
	char word[SHAPE_WORD_MAX];
	int n = 0;

	while (shape_next_word(&dims, ' ', word))
		n++;
	return n == 2;
}

static void check_tensor(struct checker *c, const struct shape_row *row, const char *suffix, const char *dims, bool demanded)
{
	char name[SHAPE_NAME_MAX], first[SHAPE_NAME_MAX] = "";
	bool any = false, listed = false, matrix = is_matrix(dims);

	for (const char *at = row->name; next_name(c, &at, suffix, name);) {
		struct tensor *t = find(c, name), as;

		if (!*first)
			memcpy(first, name, sizeof(first));
		if (!t && matrix)
			t = find_packed(c, name);
		if (!t)
			continue;
		any = true;
		listed = listed || !t->unlisted;
		c->n->demanded += !t->claimed;	/* two rows may speak of one */
		t->claimed = true;
		if (!matrix)
			check_shape(c, t, dims);
		else if (unpack_shape(c, t, name, &as))
			check_shape(c, &as, dims);
	}
	if (any && !listed && !(row->flags & (SHAPE_OPTIONAL | SHAPE_BESIDE)))
		fail(c, "shape.unlisted", "", "tensor %s is not in the index: what a program takes in its place depends on the program", first);
	if (any || !demanded)
		return;
	c->n->demanded++;
	fail(c, "shape.missing", "", "tensor %s is missing%s", first,
		row->flags & SHAPE_OPTIONAL ? ", where what belongs to it is there: its weight or bias, or its like in other layers" : "");
}

static bool is_there(const struct checker *c, const struct shape_row *row, const char *suffix)
{
	char name[SHAPE_NAME_MAX];

	for (const char *at = row->name; next_name(c, &at, suffix, name);)
		if (find(c, name) || (is_matrix(row->dims) && find_packed(c, name)))
			return true;
	return false;
}

static void check_row(struct checker *c, const struct shape_row *row, bool demanded)
{
	const char *at = row->dims;
	char first[SHAPE_WORD_MAX];

	check_tensor(c, row, ".weight", row->dims, demanded);
	if ((row->flags & SHAPE_BIAS) && shape_next_word(&at, ' ', first))
		check_tensor(c, row, ".bias", first, demanded);
}

static void find_root(struct checker *c)
{
	const char *roots = c->words.kind->roots ? c->words.kind->roots : "-", *at = roots;
	char word[SHAPE_WORD_MAX], name[SHAPE_NAME_MAX];

	c->words.stage = c->words.layer = 0;
	while (shape_next_word(&at, ' ', word)) {
		snprintf(c->words.root, sizeof(c->words.root), "%s", strcmp(word, "-") == 0 ? "" : word);
		for (const char *names = c->words.kind->rows[0].name; next_name(c, &names, ".weight", name);)
			if (find(c, name) || find_packed(c, name))
				return;
	}
	at = roots;
	shape_next_word(&at, ' ', word);
	snprintf(c->words.root, sizeof(c->words.root), "%s", strcmp(word, "-") == 0 ? "" : word);
}

/* How many layers the stage has. */
static bool layers_of(struct checker *c, uint64_t *out)
{
	*out = 0;
	return !c->words.kind->layers || (shape_dimension(&c->words, c->words.kind->layers, out) && *out <= SHAPE_LAYERS_MAX);
}

/* In the stage and layer at hand? */
static bool row_applies(const struct checker *c, const struct shape_row *row)
{
	bool staged = strstr(row->name, "%S") || strstr(row->name, "%P");

	return !(c->words.stage ? !staged : row->flags & SHAPE_LATER) && shape_holds(&c->words, c->when);
}

/* What a model has or not as a whole: is any of it there, its weight or its bias, in any layer? */
static bool somewhere(struct checker *c, const struct shape_row *row)
{
	struct checker at = *c;
	bool layered = strstr(row->name, "%L");
	uint64_t layers;

	for (at.words.stage = 0; at.words.stage <= c->words.last && layers_of(&at, &layers); at.words.stage++)
		for (at.words.layer = 0; at.words.layer < (layered ? layers : 1); at.words.layer++)
			if (row_applies(&at, row) && (is_there(&at, row, ".weight") || ((row->flags & SHAPE_BIAS) && is_there(&at, row, ".bias"))))
				return true;
	return false;
}

static void check_divides(struct checker *c, const char *dims)
{
	char word[2][SHAPE_WORD_MAX], key[SHAPE_NAME_MAX];
	uint64_t v[2];

	for (size_t i = 0; i < 2; i++) {
		if (!shape_next_word(&dims, ' ', word[i]) || !shape_dimension(&c->words, word[i], &v[i])) {
			unusable(c, word[i], NULL);
			return;
		}
	}
	if ((v[1] == 0 || v[0] % v[1]) && shape_expand(&c->words, word[1], strlen(word[1]), "", key))
		fail(c, "shape.config", "config.json", "its %s is %llu, and a width of %llu can't be shared among so many", key, (unsigned long long)v[1],
			(unsigned long long)v[0]);
}

static void name_beyond(struct checker *c, const struct shape_row *row)
{
	char name[SHAPE_NAME_MAX];

	if (!row_applies(c, row))
		return;
	for (const char *at = row->name; next_name(c, &at, ".weight", name);) {
		const struct tensor *t = find(c, name) ? find(c, name) : find_packed(c, name);

		if (!t)
			continue;
		report_path(c->r, "%s", t->file);
		report_flag(c->r, "shape.unexpected", "tensor %s has no place in what config.json means: programs pass over it", t->name);
	}
}

static void check_rows(struct checker *c, uint64_t layers)
{
	c->when = NULL;
	for (const struct shape_row *row = c->words.kind->rows; row->name; row++) {
		bool layered = strstr(row->name, "%L"), demanded;

		if (*row->name == '?') {
			c->when = row->dims;
			continue;
		}
		if (*row->name == '/') {
			if (row_applies(c, row))
				check_divides(c, row->dims);
			continue;
		}
		if (row->flags & SHAPE_BEYOND) {
			c->words.layer = layered ? layers : 0;
			name_beyond(c, row);
			continue;
		}
		demanded = !(row->flags & SHAPE_BESIDE) && (!(row->flags & SHAPE_OPTIONAL) || somewhere(c, row));
		for (c->words.layer = 0; c->words.layer < (layered ? layers : 1); c->words.layer++)
			if (row_applies(c, row))
				check_row(c, row, demanded);
	}
}

static void check_kind(struct checker *c)
{
	const struct shape_kind *k = c->words.kind;
	uint64_t stages = 1, layers, all = 0;

	find_root(c);
	if (k->stages && (!shape_dimension(&c->words, k->stages, &stages) || stages == 0 || stages > SHAPE_STAGES_MAX)) {
		unusable(c, k->stages, NULL);
		return;
	}
	c->words.last = stages - 1;
	for (c->words.stage = 0; c->words.stage < stages; c->words.stage++)
		if (!layers_of(c, &layers) || (all += layers) > SHAPE_LAYERS_MAX) {
			unusable(c, k->layers, NULL);
			return;
		}
	for (c->words.stage = 0; c->words.stage < stages; c->words.stage++)
		if (layers_of(c, &layers))
			check_rows(c, layers);
}

static bool fits(const struct shape_kind *k, const char *architecture)
{
	const char *at = k->architectures;
	char glob[SHAPE_WORD_MAX];

	while (shape_next_word(&at, ' ', glob))
		if (str_glob(glob, architecture))
			return true;
	return false;
}

/* What no row asks for: heads of training, most of the time. UniSpeechSat's labels are zeros as long as nothing asks for them. */
static void name_leftovers(struct checker *c)
{
	static const char *const extras[] = { "*position_ids", "*num_batches_tracked", "*.inv_freq", "*relative_position_index", "*relative_coords_table",
		"*attn_mask", "*coder.version", "*token_type_ids", "label_embeddings_concat" };

	for (size_t i = 0; i < c->w->n; i++) {
		const struct tensor *t = &c->w->tensors[i];
		bool extra = t->claimed || (c->packing->quant.method[0] && quant_is_companion(t->name));

		for (size_t x = 0; x < ARRAY_LEN(extras); x++)
			extra = extra || str_glob(extras[x], t->name);
		if (extra || c->n->unexpected++ >= UNEXPECTED_MAX)
			continue;
		report_path(c->r, "%s", t->file);
		report_flag(c->r, "shape.unexpected", "tensor %s has no place that we know in a model of this kind", t->name);
	}
}

int shape_check(struct weights *w, const char *architecture, const json_t *config, const struct shape_packing *packing, struct shape_count *n,
	struct report *r, struct err *e)
{
	struct checker c = { .w = w, .words = { .outer = config }, .packing = packing, .n = n, .r = r, .e = e };

	*n = (struct shape_count){ 0 };
	for (size_t i = 0; (c.words.kind = shape_kind_at(i)); i++) {
		if (!fits(c.words.kind, architecture) || config_own_code(config))
			continue;
		c.words.config = c.words.kind->config ? json_object_get(config, c.words.kind->config) : config;
		n->known = true;
		if (!shape_holds(&c.words, c.words.kind->when))
			continue;
		n->partial |= c.words.kind->partial;
		check_kind(&c);
	}
	if (n->known && !n->partial)
		name_leftovers(&c);
	return c.failed ? ERR_INPUT : 0;
}
