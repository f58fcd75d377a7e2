/* quant_rules.c - see quant_rules.h. */
#include "infer/quant_rules.h"

#include <ctype.h>
#include <search.h>
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

/* What was found for a module: it is asked for each time that its weight is opened. */
struct answer {
	char *module;
	enum quant_fit fit;
	bool speaks;			/* a rule surely fits, and this is what it says */
	struct quant_layout layout;
};

/* A large mixture's experts are all listed by name, so names are looked up; the others are tried one by one, in their order. */
struct quant_rules {
	struct rule **v;		/* those to try */
	size_t n, cap;
	size_t n_all, n_patterns;
	bool sorted;
	struct rule *class;		/* the first one of a class */
	void *by_target;		/* trees of search.h: all rules by kind and target, which own them */
	void *by_part;			/* names by what of them is found within another */
	void *answers;
};

static int order_of_targets(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : strcmp(x->target, y->target);
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

static int order_of_parts(const void *a, const void *b)
{
	return strcmp(within_model(((const struct rule *)a)->target), within_model(((const struct rule *)b)->target));
}

static int order_of_answers(const void *a, const void *b)
{
	return strcmp(((const struct answer *)a)->module, ((const struct answer *)b)->module);
}

/* What the tree has that is equal to `key`, NULL where there is none. */
static void *look_up(const void *key, void *const *tree, int (*order)(const void *, const void *))
{
	void *node = tfind(key, tree, order);

	return node ? *(void **)node : NULL;
}

static void keep(void *what, void **tree, int (*order)(const void *, const void *))
{
	if (!tsearch(what, tree, order))
		abort();
}

struct quant_rules *quant_rules_new(bool sorted)
{
	struct quant_rules *r = mem_zalloc(sizeof(*r));

	r->sorted = sorted;
	return r;
}

static void free_rule(void *p)
{
	struct rule *rule = p;

	free(rule->target);
	token_regex_free(rule->re);
	free(rule);
}

static void free_answer(void *p)
{
	struct answer *a = p;

	free(a->module);
	free(a);
}

static void stays(void *p)
{
	(void)p;
}

void quant_rules_free(struct quant_rules *r)
{
	if (!r)
		return;
	tdestroy(r->by_part, stays);
	tdestroy(r->by_target, free_rule);
	tdestroy(r->answers, free_answer);
	free(r->v);
	free(r);
}

/* The pattern that a target is, or that it may be; NULL: none. */
static int open_pattern(struct quant_rules *r, enum quant_target kind, const char *target, struct token_regex **re, struct err *e)
{
	bool perhaps = (kind == TARGET_PART || kind == TARGET_SUBSTRING) && strpbrk(target, "*+?|()[]{}\\^$");

	if (kind != TARGET_PATTERN && !perhaps)
		return 0;
	if (++r->n_patterns > QUANT_PATTERNS_MAX)
		return err_set(e, ERR_UNSUPPORTED, "not run: quantization_config has more than %d patterns for modules", QUANT_PATTERNS_MAX);
	if (token_regex_open(re, target, strlen(target), TOKEN_RUST, NULL) < 0 && !perhaps)	/* what is none after all is taken as it stands */
		return err_set(e, ERR_UNSUPPORTED, "not run: quantization_config has a pattern that can't be used: %.120s", target);
	return 0;
}

int quant_rules_add(struct quant_rules *r, enum quant_target kind, const char *target, const struct quant_layout *layout, struct err *e)
{
	const struct rule key = { .kind = kind, .target = (char *)target };
	struct rule *old = kind == TARGET_CLASS ? r->class : look_up(&key, &r->by_target, order_of_targets);
	struct token_regex *re = NULL;
	int rc;

	if (old && strcmp(old->target, target) != 0)	/* another class: which module is of which the tensors don't say */
		old->layout.unsaid = true;
	else if (old)
		old->layout = *layout;
	if (old)
		return 0;
	if (r->n_all == QUANT_RULES_MAX)
		return err_set(e, ERR_UNSUPPORTED, "not run: quantization_config has more than %d rules for modules", QUANT_RULES_MAX);
	rc = open_pattern(r, kind, target, &re, e);
	if (rc < 0)
		return rc;
	old = mem_zalloc(sizeof(*old));
	*old = (struct rule){ .kind = kind, .target = mem_strdup(target), .re = re, .layout = *layout };
	r->n_all++;
	keep(old, &r->by_target, order_of_targets);
	if (kind == TARGET_NAME)
		keep(old, &r->by_part, order_of_parts);
	else
		*vec_push(&r->v, &r->n, &r->cap) = old;
	if (kind == TARGET_CLASS)
		r->class = old;
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
	case TARGET_NAME:	/* those are looked up */
		return FIT_NO;
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

/* The name, or else one of which what is within a model is part of the module's. */
static const struct rule *find_name(const struct quant_rules *r, const char *module)
{
	char part[QUANT_NAME_MAX];
	const struct rule key = { .kind = TARGET_NAME, .target = (char *)module }, part_key = { .target = part };
	const struct rule *found = look_up(&key, &r->by_target, order_of_targets);

	for (const char *from = module; r->by_part && !found && from; from = strchr(from, '.')) {
		from += *from == '.';
		snprintf(part, sizeof(part), "%s", from);
		for (char *end = part + strlen(part); end && !found; end = strrchr(part, '.')) {
			*end = '\0';
			found = look_up(&part_key, &r->by_part, order_of_parts);
		}
	}
	return found;
}

static int settle(const struct quant_rules *r, struct answer *a, struct err *e)
{
	const struct rule *name = find_name(r, a->module), *best = NULL, *perhaps = NULL;

	if (name && strcmp(name->target, a->module) == 0)
		best = name;
	else
		perhaps = name;
	a->fit = best ? FIT_YES : perhaps ? FIT_PERHAPS : FIT_NO;
	for (size_t i = 0; i < r->n && !(best && !r->sorted); i++) {
		const struct rule *one = r->v[i];
		int rc = best && !is_before(one, best) ? FIT_NO : fits(one, a->module, e);

		if (rc < 0)
			return rc;
		if (rc > (int)a->fit)
			a->fit = (enum quant_fit)rc;
		if (rc == FIT_YES)
			best = one;
		else if (rc == FIT_PERHAPS && (!perhaps || is_before(one, perhaps)))
			perhaps = one;
	}
	if (!best)
		return 0;
	a->layout = best->layout;
	if (perhaps && (!r->sorted || is_before(perhaps, best)) && !(perhaps->layout.left_out && best->layout.left_out)) {
		a->fit = FIT_PERHAPS;
		a->layout.left_out = false;
		a->layout.unsaid = true;
	}
	a->speaks = true;
	return 0;
}

int quant_rules_find(struct quant_rules *r, const char *module, struct quant_layout *out, enum quant_fit *fit, struct err *e)
{
	const struct answer key = { .module = (char *)module };
	struct answer *a;
	int rc;

	*fit = FIT_NO;
	if (!r)
		return 0;
	a = look_up(&key, &r->answers, order_of_answers);
	if (!a) {
		a = mem_zalloc(sizeof(*a));
		a->module = mem_strdup(module);
		rc = settle(r, a, e);
		if (rc < 0) {
			free_answer(a);
			return rc;
		}
		keep(a, &r->answers, order_of_answers);
	}
	*fit = a->fit;
	if (a->speaks)
		*out = a->layout;
	return 0;
}
