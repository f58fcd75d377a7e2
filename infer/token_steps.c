/* token_steps.c - lists of steps: what normalisers, pre-tokenizers and decoders have in common. */
#include "base/json.h"
#include "base/vec.h"
#include "infer/token_parts.h"

struct token_step *token_steps_add(struct token_steps *s, const char *what, struct err *e)
{
	if (s->n >= TOKEN_STEPS_MAX) {
		err_set(e, ERR_LIMIT, "the tokenizer has more than %d %s", TOKEN_STEPS_MAX, what);
		return NULL;
	}
	return vec_push(&s->v, &s->n, &s->cap);
}

void token_steps_done(struct token_steps *s)
{
	for (size_t i = 0; i < s->n; i++) {
		token_regex_free(s->v[i].re);
		token_charsmap_free(s->v[i].charsmap);
		free(s->v[i].text);
		free(s->v[i].with);
	}
	free(s->v);
	*s = (struct token_steps){ 0 };
}

static char *copy(const char *s, size_t n)
{
	char *p = mem_zalloc(n + 1);

	memcpy(p, s, n);
	return p;
}

void token_step_text(struct token_step *st, const char *text, size_t n)
{
	st->text = copy(text, n);
	st->n_text = n;
}

void token_step_with(struct token_step *st, const char *with, size_t n)
{
	st->with = copy(with, n);
	st->n_with = n;
}

int token_step_pattern(struct token_step *st, const json_t *pattern, const char *what, struct err *e)
{
	const json_t *s = json_object_get(pattern, "String"), *re = json_object_get(pattern, "Regex");

	if (json_is_string(s) && json_string_length(s) > 0)
		return token_regex_literal(&st->re, json_string_value(s), json_string_length(s), e);
	if (json_is_string(s))
		return 0;	/* the empty pattern: nowhere */
	if (!json_is_string(re))
		return err_set(e, ERR_INPUT, "%s: the pattern is neither a String nor a Regex", what);
	return token_regex_open(&st->re, json_string_value(re), json_string_length(re), TOKEN_ONIGURUMA, e);
}
