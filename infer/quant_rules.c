/* quant_rules.c - see quant_rules.h. */
#include "infer/quant_rules.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

struct rule {
	enum quant_target kind;
	char *target;
	struct token_regex *re;
	struct quant_layout layout;
};

struct quant_rules {
	struct rule *v;
	size_t n, cap;
	bool sorted;
};

struct quant_rules *quant_rules_new(bool sorted)
{
	struct quant_rules *r = mem_zalloc(sizeof(*r));

	r->sorted = sorted;
	return r;
}

void quant_rules_free(struct quant_rules *r)
{
	for (size_t i = 0; r && i < r->n; i++) {
		free(r->v[i].target);
		token_regex_free(r->v[i].re);
	}
	if (r)
		free(r->v);
	free(r);
}

int quant_rules_add(struct quant_rules *r, enum quant_target kind, const char *target, const struct quant_layout *layout, struct err *e)
{
	struct rule made = { .kind = kind, .layout = *layout }, *to;

	for (size_t i = 0; i < r->n; i++) {
		struct rule *old = &r->v[i];

		if (old->kind != kind || (kind != TARGET_CLASS && strcmp(old->target, target) != 0))
			continue;
		if (kind == TARGET_CLASS && strcmp(old->target, target) != 0)	/* which module is of which class the tensors don't say */
			old->layout.unsaid = true;
		else
			old->layout = *layout;
		return 0;
	}
	if (r->n == QUANT_RULES_MAX)
		return err_set(e, ERR_LIMIT, "quantization_config has more than %d rules for single modules", QUANT_RULES_MAX);
	if ((kind == TARGET_PART || kind == TARGET_SUBSTRING) && strpbrk(target, "*+?|()[]{}\\^$"))	/* what is none after all is taken as it stands */
		(void)!token_regex_open(&made.re, target, strlen(target), TOKEN_RUST, NULL);
	if (kind == TARGET_PATTERN && token_regex_open(&made.re, target, strlen(target), TOKEN_RUST, e) < 0)
		return err_set(e, ERR_UNSUPPORTED, "not run: quantization_config has a pattern that can't be used: %.120s", target);
	made.target = mem_strdup(target);
	to = vec_push(&r->v, &r->n, &r->cap);
	*to = made;
	return 0;
}

static bool ends_part(char c)
{
	return c == '\0' || c == '.';
}

/* Is `part` some of the name, from one dot to another? */
static const char *find_part(const char *name, const char *part)
{
	size_t n = strlen(part);

	for (const char *at = strstr(name, part); n > 0 && at; at = strstr(at + 1, part))
		if ((at == name || at[-1] == '.') && ends_part(at[n]))
			return at;
	return NULL;
}

/* A name from the stack of layers on ("layers.0.mlp" of "model.layers.0.mlp"); all of it where it has none. */
static const char *within_model(const char *name)
{
	const char *part = name;

	for (const char *c = name; *c; c++)
		if (*c == '.') {
			if (isdigit((unsigned char)c[1]))
				return part;
			part = c + 1;
		}
	return name;
}

static bool names_part(const char *target, const char *module)
{
	return find_part(module, within_model(target)) != NULL;
}

/* Does a part of the name end with `end`, which may have the dot itself? */
static bool ends_some_part(const char *name, const char *end)
{
	size_t n = strlen(end);

	for (const char *at = strstr(name, end); n > 0 && at; at = strstr(at + 1, end))
		if (at[n - 1] == '.' || ends_part(at[n]))
			return true;
	return false;
}

static enum quant_fit fit_part(enum quant_target kind, const char *target, const char *module)
{
	const char *at = find_part(module, target), *inner = within_model(target);

	if (at && (at == module || at[strlen(target)] == '\0'))
		return FIT_YES;
	return (kind == TARGET_SUBSTRING ? strstr(module, inner) != NULL : ends_some_part(module, inner)) ? FIT_PERHAPS : FIT_NO;
}

/* * for any number of characters and ? for one, in a time that no pattern can make long. */
static bool glob_fits(const char *glob, const char *s)
{
	const char *star = NULL, *again = s;

	while (*s) {
		if (*glob == '*') {
			star = ++glob;
			again = s;
		} else if (*glob == *s || *glob == '?') {
			glob++;
			s++;
		} else if (star) {
			glob = star;
			s = ++again;
		} else {
			return false;
		}
	}
	return glob[strspn(glob, "*")] == '\0';
}

static enum quant_fit fit_glob(const char *target, const char *module)
{
	char loose[QUANT_NAME_MAX];

	if (glob_fits(target, module))
		return FIT_YES;
	snprintf(loose, sizeof(loose), "*%s*", within_model(target));
	return glob_fits(loose, module) ? FIT_PERHAPS : FIT_NO;
}

/* Fewer than 0: a failure. The leftmost match counts: one that begins at the first character is it. */
static int fit_name(struct token_regex *re, const char *module, struct err *e)
{
	struct token_matches m = { .re = re, .s = module, .n = strlen(module) };
	int rc = re ? token_matches_next(&m, e) : 0;

	return rc <= 0 ? rc : m.from == 0 ? FIT_YES : FIT_PERHAPS;
}

/* What the text model's stack of layers is within, by program: where it is one of a model that sees, its tensors are often saved under another's name. */
static const char *const stacks[] = { "model.language_model.", "language_model.model.", "model." };

/*
 * Another name that a program may have for the module, as it nests the parts of a model; false when there are no more. `sees`: the name itself tells
 * that it is of a model whose text model is nested.
 */
static bool other_name(const char *module, size_t i, char other[QUANT_NAME_MAX], bool *sees)
{
	size_t own = 0;

	while (own < ARRAY_LEN(stacks) && !str_starts(module, stacks[own]))
		own++;
	*sees = own + 1 < ARRAY_LEN(stacks);
	if (*sees || (own < ARRAY_LEN(stacks) && str_starts(module + strlen(stacks[own]), "layers."))) {
		i += i >= own;
		if (i < ARRAY_LEN(stacks))
			snprintf(other, QUANT_NAME_MAX, "%s%s", stacks[i], module + strlen(stacks[own]));
		return i < ARRAY_LEN(stacks);
	}
	if (own < ARRAY_LEN(stacks))
		snprintf(other, QUANT_NAME_MAX, "%s", module + strlen("model."));
	else
		snprintf(other, QUANT_NAME_MAX, "model.%s", module);
	return i == 0;
}

/* A pattern may be meant for the names in memory, and these are not always the stored ones: what only some of them fit is not sure. */
static int fit_pattern(struct token_regex *re, const char *module, struct err *e)
{
	int fit = fit_name(re, module, e);
	char other[QUANT_NAME_MAX];
	bool sees;

	for (size_t i = 0; fit != FIT_PERHAPS && fit >= 0 && other_name(module, i, other, &sees); i++) {
		int rc = fit == FIT_NO || sees ? fit_name(re, other, e) : fit;

		if (rc < 0)
			return rc;
		fit = (rc == FIT_NO) == (fit == FIT_NO) ? fit : FIT_PERHAPS;
	}
	return fit;
}

static int fits(const struct rule *rule, const char *module, struct err *e)
{
	int fit;

	switch (rule->kind) {
	case TARGET_CLASS:	/* another than a linear one may be derived from it, or be an embedding's */
		return str_ends(rule->target, "Linear") ? FIT_YES : FIT_PERHAPS;
	case TARGET_NAME:
		return strcmp(rule->target, module) == 0 ? FIT_YES : names_part(rule->target, module) ? FIT_PERHAPS : FIT_NO;
	case TARGET_PATTERN:
		return fit_pattern(rule->re, module, e);
	case TARGET_PART:	/* may be a pattern too, which not all editions of these programs read as one */
	case TARGET_SUBSTRING:
		fit = (int)fit_part(rule->kind, rule->target, module);
		return fit == FIT_NO && fit_pattern(rule->re, module, NULL) > 0 ? FIT_PERHAPS : fit;
	case TARGET_END:
		return str_ends(module, rule->target) ? FIT_YES : FIT_NO;
	case TARGET_GLOB:
		return (int)fit_glob(rule->target, module);
	}
	return FIT_NO;
}

/* Does a come before b? Of two names or classes one fits at most. */
static bool is_before(const struct rule *a, const struct rule *b)
{
	return a->kind != b->kind ? a->kind < b->kind : a->kind == TARGET_PATTERN && strcmp(a->target, b->target) < 0;
}

int quant_rules_find(const struct quant_rules *r, const char *module, struct quant_layout *out, enum quant_fit *fit, struct err *e)
{
	const struct rule *best = NULL, *perhaps = NULL;

	*fit = FIT_NO;
	for (size_t i = 0; r && i < r->n && !(best && !r->sorted); i++) {
		int rc = best && !is_before(&r->v[i], best) ? FIT_NO : fits(&r->v[i], module, e);

		if (rc < 0)
			return rc;
		if (rc > (int)*fit)
			*fit = (enum quant_fit)rc;
		if (rc == FIT_YES)
			best = &r->v[i];
		else if (rc == FIT_PERHAPS && (!perhaps || is_before(&r->v[i], perhaps)))
			perhaps = &r->v[i];
	}
	if (!best)
		return 0;
	*out = best->layout;
	if (perhaps && (!r->sorted || is_before(perhaps, best)) && !(perhaps->layout.left_out && best->layout.left_out)) {
		*fit = FIT_PERHAPS;
		out->left_out = false;
		out->unsaid = true;
	}
	return 0;
}
