/*
 * token_norm_spm.c - SentencePiece's normaliser: characters through the precompiled map, white space squeezed, spaces written as
 * U+2581, one such mark before (or behind) the text. User-defined symbols go through untouched.
 */
#include "infer/token_parts.h"

#define MARK "\xe2\x96\x81"

/* What the text at s begins with and what that becomes, as long as possible. */
static size_t normalise_prefix(const struct token_step *st, const char *s, size_t n, const char **to, size_t *n_to)
{
	const struct token_prefix *user = token_prefixes_longest(st->whole, s, n);
	size_t used = 0;

	*to = s;
	if (user)
		return *n_to = user->len;
	if (st->charsmap && (*to = token_charsmap_find(st->charsmap, s, n, true, &used))) {
		*n_to = strlen(*to);
		return used;
	}
	*to = s;
	token_utf8_at(s, n, n_to);
	return *n_to;
}

static void put_space(const struct token_step *st, struct buf *out)
{
	buf_puts(out, st->split ? MARK : " ");
}

/* squeeze: no space at the ends, and none behind another. */
static int spm(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	bool squeeze = st->clean, after_space = squeeze;
	const char *to, *space = st->split ? MARK : " ";
	size_t used, k, start = out->len;

	(void)e;
	while (squeeze && n > 0) {
		used = normalise_prefix(st, s, n, &to, &k);
		if (k != 1 || *to != ' ')
			break;
		s += used;
		n -= used;
	}
	if (n == 0)
		return 0;
	if (st->left)
		put_space(st, out);
	for (; n > 0; s += used, n -= used) {
		used = normalise_prefix(st, s, n, &to, &k);
		for (; after_space && k > 0 && *to == ' '; k--)
			to++;
		if (k > 0)
			after_space = squeeze && to[k - 1] == ' ';
		for (; k > 0; k--, to++) {
			if (*to == ' ')
				put_space(st, out);
			else
				buf_putc(out, *to);
		}
	}
	for (k = strlen(space); squeeze && out->len - start >= k && !buf_failed(out) && memcmp(out->data + out->len - k, space, k) == 0; )
		out->len -= k;
	out->data[out->len] = 0;
	if (st->right)
		put_space(st, out);
	return 0;
}

int token_norm_add_spm(struct tokenizer *t, const struct token_spm_norm *how, struct err *e)
{
	struct token_step *st = token_steps_add(&t->norm, "normalizers", e);
	bool prefix = how->dummy_prefix && !how->space_suffix;
	int rc = 0;

	if (!st)
		return ERR_LIMIT;
	st->norm = spm;
	st->left = prefix && !how->once;
	st->right = how->dummy_prefix && how->space_suffix;
	st->clean = how->squeeze;
	st->split = how->escape;
	st->whole = &t->user;
	if (how->n_charsmap)
		rc = token_charsmap_open(&st->charsmap, how->charsmap, how->n_charsmap, e);
	return rc == 0 && prefix && how->once ? token_pre_add_mark(&t->pre, e) : rc;
}
