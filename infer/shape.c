/* shape.c - see shape.h. */
#include "infer/shape.h"

#include <stdarg.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"

#define WORD_MAX       96
#define UNEXPECTED_MAX 8	/* named one by one; the rest is counted */

struct checker {
	struct weights *w;
	const struct shape_kind *kind;
	const json_t *config, *outer;
	const struct shape_packing *packing;
	char root[SHAPE_NAME_MAX];
	uint64_t stage, layer;		/* that a row is looked at for */
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

/* ---- dimensions --------------------------------------------------------------------------------------------------- */

static bool next_word(const char **at, char separator, char out[WORD_MAX])
{
	const char *end;
	size_t n;

	while (**at == separator)
		++*at;
	end = strchr(*at, separator);
	n = end ? (size_t)(end - *at) : strlen(*at);
	if (n == 0 || n >= WORD_MAX)
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at += n;
	return true;
}

/* Puts the root, the layer and the stage where '^', %L, %S and %P stand for them. Before the first stage is -1, which no list has. */
static bool expand(const struct checker *c, const char *text, size_t len, const char *suffix, char out[SHAPE_NAME_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i <= len; i++) {
		char one[2] = { text[i], '\0' }, number[24];
		const char *put = i == len ? suffix : text[i] == '^' ? c->root : one;

		if (i + 1 < len && text[i] == '%') {
			long long value = text[++i] == 'L' ? (long long)c->layer : (long long)c->stage - (text[i] == 'P');

			snprintf(number, sizeof(number), "%lld", value);
			put = number;
		}
		if (strlen(put) >= SHAPE_NAME_MAX - n)
			return false;
		n += (size_t)snprintf(out + n, SHAPE_NAME_MAX - n, "%s", put);
	}
	return true;
}

static const json_t *value_of(const struct checker *c, const char *key)
{
	const json_t *v = json_object_get(c->config, key);

	return v && !json_is_null(v) ? v : json_object_get(c->outer, key);
}

/* A key's value, or its entry ("widths.0", "widths.last"), which leaves the key in name. */
static const json_t *entry_of(const struct checker *c, char *name)
{
	char *dot = strrchr(name, '.');
	const json_t *list;
	uint64_t i;

	if (dot)
		*dot++ = '\0';
	list = value_of(c, name);
	if (!dot || !json_is_array(list))
		return list;
	if (strcmp(dot, "last") == 0)
		return json_array_get(list, json_array_size(list) - 1);
	return str_parse_u64(dot, &i, NULL) == 0 ? json_array_get(list, (size_t)i) : NULL;
}

static bool literal(const char *text, double *out)
{
	uint64_t v = 0;
	bool ok = str_parse_u64(text, &v, NULL) == 0;

	*out = (double)v;
	return ok;
}

static bool default_of(const struct checker *c, const char *key, double *out)
{
	const char *at = c->kind->defaults;
	size_t n = strlen(key);
	char word[WORD_MAX];

	while (at && next_word(&at, ' ', word))
		if (strncmp(word, key, n) == 0 && word[n] == '=')
			return literal(word + n + 1, out);
	return false;
}

/* "a|b=2". Only ratios may be fractions. */
static bool key_value(const struct checker *c, char *word, double *out)
{
	char *otherwise = strchr(word, '='), name[WORD_MAX];
	const char *at = word;

	if (otherwise)
		*otherwise++ = '\0';
	while (next_word(&at, '|', name)) {
		const json_t *v = entry_of(c, name);

		*out = json_number_value(v);
		if (v && !json_is_null(v))
			return (json_is_integer(v) || (json_is_real(v) && strstr(name, "ratio"))) && *out >= 0 && *out < 4294967296.0;
		if (default_of(c, name, out))
			return true;
	}
	return otherwise && literal(otherwise, out);
}

/* image_size and patch_size may be one number or a pair. */
static bool patches(const struct checker *c, double *out)
{
	char image[][WORD_MAX] = { "image_size.0", "image_size.1" }, patch[][WORD_MAX] = { "patch_size.0", "patch_size.1" };

	*out = 1;
	for (size_t i = 0; i < 2; i++) {
		double a, b;

		if (!key_value(c, image[i], &a) || !key_value(c, patch[i], &b) || b < 1 || b > a)
			return false;
		*out *= (double)((uint64_t)a / (uint64_t)b);
	}
	return true;
}

/* Labels may be given by their number, and are two where nothing is said of them. */
static bool counted(const struct checker *c, const char *key, double *out)
{
	const json_t *v = value_of(c, key);
	char labels[WORD_MAX] = "num_labels=2";

	*out = (double)(json_is_array(v) ? json_array_size(v) : json_object_size(v));
	return json_is_array(v) || json_is_object(v) || (strcmp(key, "id2label") == 0 && key_value(c, labels, out));
}

static bool power_of_two(const char *exponent, double *out)
{
	double n;

	if (!literal(exponent, &n) || n >= SHAPE_STAGES_MAX)
		return false;
	*out = (double)(1ull << (unsigned)n);
	return true;
}

static bool factor(const struct checker *c, char *word, double *out)
{
	char *part = strchr(word, '/');
	double parts = 1;
	bool ok;

	if (part)
		*part++ = '\0';
	if (part && (!(literal(part, &parts) || key_value(c, part, &parts)) || parts < 1))
		return false;
	if (*word == '#')
		ok = counted(c, word + 1, out);
	else if (strcmp(word, "@patches") == 0)
		ok = patches(c, out);
	else if (str_starts(word, "1<<"))
		ok = power_of_two(word + 3, out);
	else
		ok = literal(word, out) || key_value(c, word, out);
	*out /= parts;
	return ok;
}

/* "3*hidden_size", "1+max_position_embeddings". Exact as far as doubles are: beyond it no tensor has a dimension. */
static bool dimension(const struct checker *c, const char *text, uint64_t *out)
{
	char here[SHAPE_NAME_MAX], word[WORD_MAX], one[WORD_MAX];
	const char *sum = here;
	double total = 0;

	if (!expand(c, text, strlen(text), "", here))
		return false;
	while (next_word(&sum, '+', word)) {
		const char *product = word;
		double v, all = 1;

		while (next_word(&product, '*', one)) {
			if (!factor(c, one, &v))
				return false;
			all *= v;
		}
		total += all;
	}
	*out = total < 9007199254740992.0 ? (uint64_t)total : 0;
	return total < 9007199254740992.0;
}

static void unusable(struct checker *c, const char *what, const struct tensor *t)
{
	char here[SHAPE_NAME_MAX];

	if (!expand(c, what, strlen(what), "", here))
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
	return n && expand(c, text, n - whole, whole ? "" : suffix, out);
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
	char word[WORD_MAX], have[160] = "", want[160] = "";
	int i = 0, n_have = 0, n_want = 0;
	bool same = true;

	for (const char *at = dims; next_word(&at, ' ', word); i++) {
		uint64_t v = 0;

		if (strcmp(word, "?") != 0 && !dimension(c, word, &v)) {
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
	char word[WORD_MAX];
	int n = 0;

	while (next_word(&dims, ' ', word))
		n++;
	return n == 2;
}

static void check_tensor(struct checker *c, const struct shape_row *row, const char *suffix, const char *dims)
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
	if (any && !listed && !(row->flags & SHAPE_OPTIONAL))
		fail(c, "shape.unlisted", "", "tensor %s is not in the index: what a program takes in its place depends on the program", first);
	if (any || (row->flags & SHAPE_OPTIONAL))
		return;
	c->n->demanded++;
	fail(c, "shape.missing", "", "tensor %s is missing", first);
}

static void check_row(struct checker *c, const struct shape_row *row)
{
	const char *at = row->dims;
	char first[WORD_MAX];

	check_tensor(c, row, ".weight", row->dims);
	if ((row->flags & SHAPE_BIAS) && next_word(&at, ' ', first))
		check_tensor(c, row, ".bias", first);
}

static void find_root(struct checker *c)
{
	const char *roots = c->kind->roots ? c->kind->roots : "-", *at = roots;
	char word[WORD_MAX], name[SHAPE_NAME_MAX];

	c->stage = c->layer = 0;
	while (next_word(&at, ' ', word)) {
		snprintf(c->root, sizeof(c->root), "%s", strcmp(word, "-") == 0 ? "" : word);
		for (const char *names = c->kind->rows[0].name; next_name(c, &names, ".weight", name);)
			if (find(c, name) || find_packed(c, name))
				return;
	}
	at = roots;
	next_word(&at, ' ', word);
	snprintf(c->root, sizeof(c->root), "%s", strcmp(word, "-") == 0 ? "" : word);
}

static void check_rows(struct checker *c, uint64_t layers)
{
	for (const struct shape_row *row = c->kind->rows; row->name; row++) {
		bool layered = strstr(row->name, "%L"), staged = strstr(row->name, "%S") || strstr(row->name, "%P");

		if (c->stage ? !staged : row->flags & SHAPE_LATER)
			continue;
		for (c->layer = 0; c->layer < (layered ? layers : 1); c->layer++)
			check_row(c, row);
	}
}

/* How many layers the stage has. */
static bool layers_of(struct checker *c, uint64_t *out)
{
	*out = 0;
	return !c->kind->layers || (dimension(c, c->kind->layers, out) && *out <= SHAPE_LAYERS_MAX);
}

static void check_kind(struct checker *c)
{
	const struct shape_kind *k = c->kind;
	uint64_t stages = 1, layers, all = 0;

	find_root(c);
	if (k->stages && (!dimension(c, k->stages, &stages) || stages == 0 || stages > SHAPE_STAGES_MAX)) {
		unusable(c, k->stages, NULL);
		return;
	}
	for (c->stage = 0; c->stage < stages; c->stage++)
		if (!layers_of(c, &layers) || (all += layers) > SHAPE_LAYERS_MAX) {
			unusable(c, k->layers, NULL);
			return;
		}
	for (c->stage = 0; c->stage < stages; c->stage++)
		if (layers_of(c, &layers))
			check_rows(c, layers);
}

static bool fits(const struct shape_kind *k, const char *architecture)
{
	const char *at = k->architectures;
	char glob[WORD_MAX];

	while (next_word(&at, ' ', glob))
		if (str_glob(glob, architecture))
			return true;
	return false;
}

/* "key=text", "!key=true", "key" */
static bool condition_holds(const struct checker *c, const char *when)
{
	bool negated = *when == '!', so;
	const char *want;
	char key[WORD_MAX];
	const json_t *v;

	when += negated;
	want = strchr(when, '=');
	snprintf(key, sizeof(key), "%.*s", want ? (int)(want - when) : (int)strlen(when), when);
	v = value_of(c, key);
	if (want)
		so = strcmp(json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "true" : json_is_false(v) ? "false" : "", want + 1) == 0;
	else
		so = v && !json_is_null(v);
	return so != negated;
}

static bool applies(const struct checker *c)
{
	char one[WORD_MAX];

	for (const char *list = c->kind->when; list && next_word(&list, ' ', one);)
		if (!condition_holds(c, one))
			return false;
	return true;
}

/* A class of the repository's own, whatever it is called: what it makes of the configuration is not known here. */
static bool own_code(const json_t *config)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(config, "auto_map"), key, v)
		if (str_starts(key, "AutoModel"))
			return true;
	return false;
}

/* What no row asks for: heads of training, most of the time. */
static void name_leftovers(struct checker *c)
{
	static const char *const extras[] = { "*position_ids", "*num_batches_tracked", "*.inv_freq", "*relative_position_index", "*relative_coords_table",
		"*attn_mask", "*coder.version" };

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
	struct checker c = { .w = w, .outer = config, .packing = packing, .n = n, .r = r, .e = e };

	*n = (struct shape_count){ 0 };
	for (size_t i = 0; (c.kind = shape_kind_at(i)); i++) {
		if (!fits(c.kind, architecture) || own_code(config))
			continue;
		c.config = c.kind->config ? json_object_get(config, c.kind->config) : config;
		n->known = true;
		if (!applies(&c))
			continue;
		n->partial |= c.kind->partial;
		check_kind(&c);
	}
	if (n->known && !n->partial)
		name_leftovers(&c);
	return c.failed ? ERR_INPUT : 0;
}
