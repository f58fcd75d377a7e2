/* shape_words.c - see shape_words.h. */
#include "infer/shape_words.h"

#include "base/str.h"
#include "base/vec.h"

bool shape_next_word(const char **at, char separator, char out[SHAPE_WORD_MAX])
{
	const char *end;
	size_t n;

	while (**at == separator)
		++*at;
	end = strchr(*at, separator);
	n = end ? (size_t)(end - *at) : strlen(*at);
	if (n == 0 || n >= SHAPE_WORD_MAX)
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at += n;
	return true;
}

static long long number_of(const struct shape_words *w, char letter)
{
	return letter == 'L' ? (long long)w->layer : letter == 'Z' ? (long long)w->last : (long long)w->stage - (letter == 'P');
}

/* Puts the root, the layer and the stage where '^', %L, %S, %P and %Z stand for them. Before the first stage is -1, which no list has. */
bool shape_expand(const struct shape_words *w, const char *text, size_t len, const char *suffix, char out[SHAPE_NAME_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i <= len; i++) {
		char one[2] = { text[i], '\0' }, number[24];
		const char *put = i == len ? suffix : text[i] == '^' ? w->root : one;

		if (i + 1 < len && text[i] == '%') {
			snprintf(number, sizeof(number), "%lld", number_of(w, text[++i]));
			put = number;
		}
		if (strlen(put) >= SHAPE_NAME_MAX - n)
			return false;
		n += (size_t)snprintf(out + n, SHAPE_NAME_MAX - n, "%s", put);
	}
	return true;
}

static const json_t *value_of(const struct shape_words *w, const char *key)
{
	const json_t *v = json_object_get(w->config, key);

	return v && !json_is_null(v) ? v : json_object_get(w->outer, key);
}

/* A key's value, or its entry ("widths.0", "widths.last"), which leaves the key in name. */
static const json_t *entry_of(const struct shape_words *w, char *name)
{
	char *dot = strrchr(name, '.');
	const json_t *list;
	uint64_t i;

	if (dot)
		*dot++ = '\0';
	list = value_of(w, name);
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

static bool default_of(const struct shape_words *w, const char *key, double *out)
{
	const char *at = w->kind->defaults;
	size_t n = strlen(key);
	char word[SHAPE_WORD_MAX];

	while (at && shape_next_word(&at, ' ', word))
		if (strncmp(word, key, n) == 0 && word[n] == '=')
			return literal(word + n + 1, out);
	return false;
}

/* "a|b=2". Only ratios may be fractions; what is negative stands for what is not said, where another key is asked next. */
static bool key_value(const struct shape_words *w, char *word, double *out)
{
	char *otherwise = strchr(word, '='), name[SHAPE_WORD_MAX];
	const char *at = word;

	if (otherwise)
		*otherwise++ = '\0';
	while (shape_next_word(&at, '|', name)) {
		const json_t *v = entry_of(w, name);

		*out = json_number_value(v);
		if (*out < 0 && *at == '|')
			continue;
		if (v && !json_is_null(v))
			return (json_is_integer(v) || (json_is_real(v) && strstr(name, "ratio"))) && *out >= 0 && *out < 4294967296.0;
		if (default_of(w, name, out))
			return true;
	}
	return otherwise && literal(otherwise, out);
}

/* image_size and patch_size may be one number or a pair. */
static bool patches(const struct shape_words *w, double *out)
{
	char image[][SHAPE_WORD_MAX] = { "image_size.0", "image_size.1" }, patch[][SHAPE_WORD_MAX] = { "patch_size.0", "patch_size.1" };

	*out = 1;
	for (size_t i = 0; i < 2; i++) {
		double a, b;

		if (!key_value(w, image[i], &a) || !key_value(w, patch[i], &b) || b < 1 || b > a)
			return false;
		*out *= (double)((uint64_t)a / (uint64_t)b);
	}
	return true;
}

/* Labels may be given by their number, and are two where nothing is said of them. */
static bool counted(const struct shape_words *w, const char *key, double *out)
{
	const json_t *v = value_of(w, key);
	char labels[SHAPE_WORD_MAX] = "num_labels=2";

	*out = (double)(json_is_array(v) ? json_array_size(v) : json_object_size(v));
	return json_is_array(v) || json_is_object(v) || (strcmp(key, "id2label") == 0 && key_value(w, labels, out));
}

static bool power_of_two(const char *exponent, double *out)
{
	double n;

	if (!literal(exponent, &n) || n >= SHAPE_STAGES_MAX)
		return false;
	*out = (double)(1ull << (unsigned)n);
	return true;
}

/* The width of DINOv2's gated network: two thirds of what a plain one would have, in eights. */
static bool gated_width(const struct shape_words *w, double *out)
{
	char width[] = "hidden_size", ratio[] = "mlp_ratio=4";
	double h, r;

	if (!key_value(w, width, &h) || !key_value(w, ratio, &r) || h * r > 4294967296.0)
		return false;
	*out = (double)(((uint64_t)((double)(uint64_t)(h * r) * 2 / 3) + 7) / 8 * 8);
	return true;
}

static bool factor(const struct shape_words *w, char *word, double *out)
{
	char *part = strchr(word, '/');
	double parts = 1;
	bool ok;

	if (part)
		*part++ = '\0';
	if (part && (!(literal(part, &parts) || key_value(w, part, &parts)) || parts < 1))
		return false;
	if (*word == '#')
		ok = counted(w, word + 1, out);
	else if (strcmp(word, "@patches") == 0)
		ok = patches(w, out);
	else if (strcmp(word, "@gated_width") == 0)
		ok = gated_width(w, out);
	else if (str_starts(word, "1<<"))
		ok = power_of_two(word + 3, out);
	else
		ok = literal(word, out) || key_value(w, word, out);
	*out /= parts;
	return ok;
}

/* "3*hidden_size", "1+max_position_embeddings", "4*window_size+-1". Exact as far as doubles are: beyond it no tensor has a dimension. */
bool shape_dimension(const struct shape_words *w, const char *text, uint64_t *out)
{
	char here[SHAPE_NAME_MAX], word[SHAPE_WORD_MAX], one[SHAPE_WORD_MAX];
	const char *sum = here;
	double total = 0;

	if (!shape_expand(w, text, strlen(text), "", here))
		return false;
	while (shape_next_word(&sum, '+', word)) {
		const char *product = word + (*word == '-');
		double v, all = *word == '-' ? -1 : 1;

		while (shape_next_word(&product, '*', one)) {
			if (!factor(w, one, &v))
				return false;
			all *= v;
		}
		total += all;
	}
	*out = total >= 0 && total < 9007199254740992.0 ? (uint64_t)total : 0;
	return total >= 0 && total < 9007199254740992.0;
}

static bool matches(const json_t *v, const char *glob)
{
	const json_t *one;
	char number[32];
	size_t i;

	json_array_foreach(v, i, one)
		if (json_is_string(one) && str_glob(glob, json_string_value(one)))
			return true;
	snprintf(number, sizeof(number), "%g", json_number_value(v));
	return str_glob(glob, json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "true" : json_is_false(v) ? "false" : json_is_null(v) ? "null" :
		json_is_number(v) ? number : "");
}

static bool is_among(const json_t *list, const char *number)
{
	const json_t *one;
	char text[32];
	size_t i;

	json_array_foreach(list, i, one) {
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(one));
		if (json_is_integer(one) && strcmp(text, number) == 0)
			return true;
	}
	return false;
}

/* "key=glob", "!key=glob", "key", "key:number", "dimension<>dimension", "^" */
static bool condition_holds(const struct shape_words *w, const char *condition)
{
	bool negated = *condition == '!', so;
	char here[SHAPE_NAME_MAX], *want;
	const json_t *v;
	uint64_t a, b;

	if (strcmp(condition, "^") == 0)
		return *w->root != '\0';
	condition += negated;
	if (!shape_expand(w, condition, strlen(condition), "", here))
		return false;
	want = strstr(here, "<>");
	if (want) {
		*want = '\0';
		return shape_dimension(w, here, &a) && shape_dimension(w, want + 2, &b) && a != b;
	}
	want = strchr(here, ':');
	if (want) {
		*want++ = '\0';
		return is_among(value_of(w, here), want) != negated;
	}
	want = strchr(here, '=');
	if (want)
		*want++ = '\0';
	v = entry_of(w, here);
	so = want ? matches(v, want) : v && !json_is_null(v);
	return so != negated;
}

bool shape_holds(const struct shape_words *w, const char *when)
{
	char word[SHAPE_WORD_MAX], one[SHAPE_WORD_MAX];

	while (when && shape_next_word(&when, ' ', word)) {
		bool any = false;

		for (const char *at = word; !any && shape_next_word(&at, '|', one);)
			any = condition_holds(w, one);
		if (!any)
			return false;
	}
	return true;
}
