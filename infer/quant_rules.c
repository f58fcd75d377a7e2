/* quant_rules.c - see quant_rules.h. */
#include "infer/quant_rules.h"

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
	if (kind == TARGET_PATTERN && token_regex_open(&made.re, target, strlen(target), TOKEN_RUST, e) < 0)
		return err_set(e, ERR_UNSUPPORTED, "not run: quantization_config has a pattern that can't be used: %.120s", target);
	made.target = mem_strdup(target);
	to = vec_push(&r->v, &r->n, &r->cap);
	*to = made;
	return 0;
}

static int fits(const struct rule *rule, const char *module, struct err *e)
{
	struct token_matches m = { .re = rule->re, .s = module, .n = strlen(module) };
	int rc;

	if (rule->kind == TARGET_CLASS)
		return 1;
	if (rule->kind == TARGET_NAME)
		return strcmp(rule->target, module) == 0;
	rc = token_matches_next(&m, e);		/* the leftmost: one that begins at the first character is it */
	return rc <= 0 ? rc : m.from == 0;
}

/* Does a come before b? Of two names or classes one fits at most. */
static bool is_before(const struct rule *a, const struct rule *b)
{
	return a->kind != b->kind ? a->kind < b->kind : a->kind == TARGET_PATTERN && strcmp(a->target, b->target) < 0;
}

int quant_rules_find(const struct quant_rules *r, const char *module, struct quant_layout *out, bool *found, struct err *e)
{
	const struct rule *best = NULL;

	for (size_t i = 0; i < r->n && !(best && !r->sorted); i++) {
		int rc = best && !is_before(&r->v[i], best) ? 0 : fits(&r->v[i], module, e);

		if (rc < 0)
			return rc;
		if (rc > 0)
			best = &r->v[i];
	}
	*found = best != NULL;
	if (best)
		*out = best->layout;
	return 0;
}
