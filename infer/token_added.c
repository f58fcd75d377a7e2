/*
 * token_added.c - added tokens. They are found in the text before the model sees it: at each place the longest, from left to
 * right. Those that are not normalised are looked for in the raw text, the others in what normalisation made of it (and they
 * are themselves normalised for that).
 */
#include "base/vec.h"
#include "infer/token_parts.h"

void token_added_init(struct token_added *a)
{
	*a = (struct token_added){ 0 };
	token_vocab_init(&a->vocab);
	token_vocab_init(&a->folded);
}

void token_added_done(struct token_added *a)
{
	token_vocab_done(&a->vocab);
	token_vocab_done(&a->folded);
	token_prefixes_done(&a->raw);
	token_prefixes_done(&a->norm);
	free(a->flags);
	a->flags = NULL;
	a->n = a->cap = 0;
}

int token_added_add(struct token_added *a, const char *s, size_t n, struct token_flags flags, struct err *e)
{
	int rc;

	if (n == 0 || token_vocab_find(&a->vocab, s, n) >= 0)
		return 0;
	rc = token_vocab_add(&a->vocab, s, n, flags.id, e);
	if (rc < 0)
		return rc;
	*vec_push(&a->flags, &a->n, &a->cap) = flags;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	int32_t x = ((const struct token_flags *)a)->id, y = ((const struct token_flags *)b)->id;

	return x < y ? -1 : x > y;
}

void token_added_sort(struct token_added *a)
{
	if (a->n > 1)
		qsort(a->flags, a->n, sizeof(*a->flags), by_id);
}

/* Adds what normalisation makes of the token to those looked for in normalised text. */
static int fold(struct token_added *a, int32_t id, const struct token_steps *norm, struct err *e)
{
	own(buf) struct buf b;
	size_t n;
	const char *s = token_vocab_text(&a->vocab, id, &n);
	int rc;

	buf_init(&b, TOKEN_BYTES_MAX);
	buf_add(&b, s, n);
	rc = token_norm_run(norm, &b, e);
	if (rc < 0)
		return err_wrap(e, "added token '%.*s'", (int)(n < 80 ? n : 80), s);
	return b.len > 0 ? token_vocab_add(&a->folded, b.data, b.len, id, e) : 0;
}

int token_added_finish(struct token_added *a, const struct token_steps *norm, struct err *e)
{
	int rc = 0;

	token_added_sort(a);
	for (size_t i = 0; i < a->n && rc == 0; i++) {
		if (a->flags[i].normalized)
			rc = fold(a, a->flags[i].id, norm, e);
		else
			token_prefixes_add(&a->raw, &a->vocab, a->flags[i].id);
	}
	for (size_t i = 0; i < a->folded.n_ids && rc == 0; i++)	/* only now: the strings no longer move */
		token_prefixes_add(&a->norm, &a->folded, (int32_t)i);
	token_prefixes_sort(&a->raw);
	token_prefixes_sort(&a->norm);
	return rc;
}

struct token_flags *token_added_among(const struct token_added *a, size_t n, int32_t id)
{
	struct token_flags key = { .id = id };

	return n ? bsearch(&key, a->flags, n, sizeof(*a->flags), by_id) : NULL;
}

const struct token_flags *token_added_flags(const struct token_added *a, int32_t id)
{
	return token_added_among(a, a->n, id);
}

static bool is_single_word(const char *s, size_t n, size_t from, size_t to)
{
	size_t len;

	if (from > 0 && token_is_word(token_utf8_before(s, from, &len)))
		return false;
	return to == n || !token_is_word(token_utf8_at(s + to, n - to, &len));
}

/* White space next to the token that it takes with it. */
static void stretch(const struct token_flags *f, const char *s, size_t n, size_t done, size_t *from, size_t *to)
{
	size_t len;

	while (f->lstrip && *from > done && token_is_space(token_utf8_before(s, *from, &len)))
		*from -= len;
	while (f->rstrip && *to < n && token_is_space(token_utf8_at(s + *to, n - *to, &len)))
		*to += len;
}

void token_added_split(const struct token_added *a, const struct token_prefixes *which, const char *s, size_t n, bool first, struct token_text *out)
{
	size_t done = 0, at = 0;

	while (which->n > 0 && at < n) {
		const struct token_prefix *p = token_prefixes_longest(which, s + at, n - at);
		const struct token_flags *f = p ? token_added_flags(a, p->id) : NULL;
		size_t from = at, to = at + (p ? p->len : 1);

		at = to;
		if (!f || (f->single_word && !is_single_word(s, n, from, to)))
			continue;
		stretch(f, s, n, done, &from, &to);
		if (from > done)
			token_text_put(out, s + done, from - done, -1, first && done == 0);
		token_text_put(out, s + from, to > from ? to - from : 0, f->id, first && from == 0);
		done = to;
	}
	if (n > done)
		token_text_put(out, s + done, n - done, -1, first && done == 0);
}
