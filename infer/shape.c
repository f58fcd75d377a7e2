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
	char root[SHAPE_NAME_MAX];
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

static const json_t *value_of(const struct checker *c, const char *key)
{
	const json_t *v = json_object_get(c->config, key);

	return v && !json_is_null(v) ? v : json_object_get(c->outer, key);
}

/* image_size and patch_size may be one number or a pair. */
static bool patches(const struct checker *c, uint64_t *out)
{
	const json_t *image = value_of(c, "image_size"), *patch = value_of(c, "patch_size");

	*out = 1;
	for (size_t i = 0; i < 2; i++) {
		json_int_t a = json_integer_value(json_is_array(image) ? json_array_get(image, i) : image);
		json_int_t b = json_integer_value(json_is_array(patch) ? json_array_get(patch, i) : patch);

		if (a <= 0 || b <= 0 || a > 1 << 20 || b > a)
			return false;
		*out *= (uint64_t)(a / b);
	}
	return true;
}

/* A key, or the entry of a list: "widths.0", "widths.last". */
static const json_t *entry_of(const struct checker *c, char *name)
{
	char *dot = strrchr(name, '.');
	const json_t *list;
	uint64_t i;

	if (!dot)
		return value_of(c, name);
	*dot++ = '\0';
	list = value_of(c, name);
	if (strcmp(dot, "last") == 0)
		return json_array_get(list, json_array_size(list) - 1);
	return str_parse_u64(dot, &i, NULL) == 0 ? json_array_get(list, (size_t)i) : NULL;
}

/* "a|b=2" */
static bool key_value(const struct checker *c, char *word, uint64_t *out)
{
	char *otherwise = strchr(word, '='), name[WORD_MAX];
	const char *at = word;

	if (otherwise)
		*otherwise++ = '\0';
	while (next_word(&at, '|', name)) {
		const json_t *v = entry_of(c, name);

		if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < 1ll << 32) {
			*out = (uint64_t)json_integer_value(v);
			return true;
		}
		if (v && !json_is_null(v))
			return false;
	}
	return otherwise && str_parse_u64(otherwise, out, NULL) == 0;
}

static bool factor(const struct checker *c, char *word, uint64_t *out)
{
	if (*word == '#') {
		const json_t *v = value_of(c, word + 1);

		*out = json_is_array(v) ? json_array_size(v) : json_is_object(v) ? json_object_size(v) : 2;	/* two labels are what is left unsaid */
		return true;
	}
	if (strcmp(word, "@patches") == 0)
		return patches(c, out);
	return str_parse_u64(word, out, NULL) == 0 || key_value(c, word, out);
}

/* "3*hidden_size", "1+max_position_embeddings" */
static bool dimension(const struct checker *c, const char *text, uint64_t *out)
{
	char word[WORD_MAX], one[WORD_MAX];
	const char *sum = text;

	*out = 0;
	while (next_word(&sum, '+', word)) {
		const char *product = word;
		uint64_t v, all = 1;

		while (next_word(&product, '*', one))
			if (!factor(c, one, &v) || __builtin_mul_overflow(all, v, &all))
				return false;
		if (__builtin_add_overflow(*out, all, out))
			return false;
	}
	return true;
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static bool expand(const struct checker *c, const char *name, uint32_t layer, const char *suffix, char out[SHAPE_NAME_MAX])
{
	bool complete = str_ends(name, "!");
	size_t n = 0, len = strlen(name) - complete;

	out[0] = '\0';
	for (size_t i = 0; i < len; i++) {
		int put;

		if (name[i] == '^')
			put = snprintf(out + n, SHAPE_NAME_MAX - n, "%s", c->root);
		else if (name[i] == '%' && name[i + 1] == 'L')
			put = snprintf(out + n, SHAPE_NAME_MAX - n, "%u", layer);
		else
			put = snprintf(out + n, SHAPE_NAME_MAX - n, "%c", name[i]);
		i += name[i] == '%';
		if (put < 0 || (size_t)put >= SHAPE_NAME_MAX - n)
			return false;
		n += (size_t)put;
	}
	return complete || snprintf(out + n, SHAPE_NAME_MAX - n, "%s", suffix) < (int)(SHAPE_NAME_MAX - n);
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

static void check_shape(struct checker *c, struct tensor *t, const char *dims, uint32_t layer)
{
	char word[WORD_MAX], text[2 * WORD_MAX], have[160] = "", want[160] = "";
	int i = 0, n_have = 0, n_want = 0;
	bool same = true;

	for (const char *at = dims; next_word(&at, ' ', word); i++) {
		const char *place = strstr(word, "%L");
		uint64_t v = 0;

		if (place)
			snprintf(text, sizeof(text), "%.*s%u%.32s", (int)(place - word), word, layer, place + 2);
		else
			memcpy(text, word, sizeof(word));
		if (strcmp(word, "?") != 0 && !dimension(c, text, &v)) {
			fail(c, "shape.config", "config.json", "it gives no usable %s, which tensor %s needs", word, t->name);
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

static void check_tensor(struct checker *c, const char *name, const char *dims, unsigned flags, uint32_t layer)
{
	struct tensor *t = find(c, name);

	if (!t && (flags & SHAPE_OPTIONAL))
		return;
	c->n->demanded += !t || !t->claimed;	/* two rows may speak of one */
	if (!t) {
		fail(c, "shape.missing", "", "tensor %s is missing", name);
		return;
	}
	t->claimed = true;
	check_shape(c, t, dims, layer);
}

static void check_row(struct checker *c, const struct shape_row *row, uint32_t layer)
{
	char name[SHAPE_NAME_MAX], first[WORD_MAX];
	const char *at = row->dims;

	if (expand(c, row->name, layer, ".weight", name))
		check_tensor(c, name, row->dims, row->flags, layer);
	if ((row->flags & SHAPE_BIAS) && next_word(&at, ' ', first) && expand(c, row->name, layer, ".bias", name))
		check_tensor(c, name, first, row->flags, layer);
}

static void find_root(struct checker *c)
{
	const char *at = c->kind->roots;
	char word[WORD_MAX], name[SHAPE_NAME_MAX];

	while (next_word(&at, ' ', word)) {
		snprintf(c->root, sizeof(c->root), "%s", strcmp(word, "-") == 0 ? "" : word);
		if (expand(c, c->kind->rows[0].name, 0, ".weight", name) && find(c, name))
			return;
	}
	at = c->kind->roots;
	next_word(&at, ' ', word);
	snprintf(c->root, sizeof(c->root), "%s", strcmp(word, "-") == 0 ? "" : word);
}

static void check_kind(struct checker *c)
{
	uint64_t layers = 0;

	find_root(c);
	if (*c->kind->layers && (!dimension(c, c->kind->layers, &layers) || layers > SHAPE_LAYERS_MAX)) {
		fail(c, "shape.config", "config.json", "it gives no usable %s", c->kind->layers);
		return;
	}
	for (const struct shape_row *row = c->kind->rows; row->name; row++) {
		bool layered = strstr(row->name, "%L");

		for (uint32_t l = 0; l < (layered ? layers : 1); l++)
			check_row(c, row, l);
	}
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

/* What no row asks for: heads of training, most of the time. */
static void name_leftovers(struct checker *c)
{
	static const char *const extras[] = { "*position_ids", "*num_batches_tracked", "*.inv_freq" };

	for (size_t i = 0; i < c->w->n; i++) {
		const struct tensor *t = &c->w->tensors[i];
		bool extra = t->claimed;

		for (size_t x = 0; x < ARRAY_LEN(extras); x++)
			extra = extra || str_glob(extras[x], t->name);
		if (extra || c->n->unexpected++ >= UNEXPECTED_MAX)
			continue;
		report_path(c->r, "%s", t->file);
		report_flag(c->r, "shape.unexpected", "tensor %s has no place that we know in a model of this kind", t->name);
	}
}

int shape_check(struct weights *w, const char *architecture, const json_t *config, struct shape_count *n, struct report *r, struct err *e)
{
	struct checker c = { .w = w, .outer = config, .n = n, .r = r, .e = e };

	*n = (struct shape_count){ 0 };
	for (size_t i = 0; (c.kind = shape_kind_at(i)); i++) {
		if (!fits(c.kind, architecture))
			continue;
		c.config = *c.kind->config ? json_object_get(config, c.kind->config) : config;
		n->known = true;
		n->partial |= c.kind->partial;
		check_kind(&c);
	}
	if (n->known && !n->partial)
		name_leftovers(&c);
	return c.failed ? ERR_INPUT : 0;
}
