/* token_wordpiece.c - BERT's way: the longest token that begins the word, then the longest that goes on (with a prefix such as ##). Also whole words. */
#include "infer/token_parts.h"

static int unknown(const struct tokenizer *t, struct token_ids *out, struct err *e)
{
	if (t->unk < 0)
		return err_set(e, ERR_INPUT, "the text has a word that is not in the vocabulary, and neither is the token for unknown ones");
	token_ids_add(out, t->unk);
	return 0;
}

static size_t count(const char *s, size_t n)
{
	size_t chars = 0;

	for (size_t i = 0; i < n; i++)
		chars += ((unsigned char)s[i] & 0xc0) != 0x80;
	return chars;
}

/* The longest token of s[from..n), its end in *to; -1 when there is none. */
static int32_t longest(const struct tokenizer *t, const char *s, size_t n, size_t from, size_t *to)
{
	own(buf) struct buf b;
	size_t len, prefix;
	int32_t id = -1;

	buf_init(&b, TOKEN_WORK_MAX_BYTES);
	if (from > 0 && t->subword_prefix)
		buf_puts(&b, t->subword_prefix);
	prefix = b.len;
	buf_add(&b, s + from, n - from);
	for (*to = n; *to > from; *to -= len) {
		id = token_vocab_find(&t->vocab, b.data, prefix + *to - from);
		if (id >= 0)
			break;
		token_utf8_before(s, *to, &len);
	}
	return id;
}

int token_wordpiece(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e)
{
	size_t before = out->n, to;

	if (count(s, n) > t->word_chars_max)
		return unknown(t, out, e);
	for (size_t from = 0; from < n; from = to) {
		int32_t id = longest(t, s, n, from, &to);

		if (id < 0) {
			out->n = before;
			return unknown(t, out, e);
		}
		token_ids_add(out, id);
	}
	return 0;
}

int token_wordlevel(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e)
{
	int32_t id = token_vocab_find(&t->vocab, s, n);

	if (id < 0)
		return unknown(t, out, e);
	token_ids_add(out, id);
	return 0;
}
