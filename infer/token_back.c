/*
 * token_back.c - did a text come back from its tokens? Byte for byte, or as the tokenizer's own normaliser leaves it: many fold case, compose
 * accents, write one blank for several or for the end of a line. What no normaliser of a working tokenizer touches are the letters and digits
 * of ASCII, whatever it makes of the rest: one that does is damaged itself, and explains nothing.
 */
#include <ctype.h>
#include <utf8proc.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define DECOMPOSED_MAX 32

struct part {
	const char *s;
	size_t n;
};

static struct part trimmed(const char *s, size_t n, bool tail)
{
	while (n && *s == ' ')
		s++, n--;
	while (tail && n && s[n - 1] == ' ')
		n--;
	return (struct part){ s, n };
}

static bool same(struct part a, struct part b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

/* Blanks and bytes as the text has them, of which the normaliser may make signs for the vocabulary. */
static void put_plain(struct buf *out, const char *s, size_t n, bool bytes)
{
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		uint32_t c = token_utf8_at(s + i, n - i, &len);

		if (bytes && token_char_byte(c) >= 0)
			buf_putc(out, (char)token_char_byte(c));
		else if (c == 0x2581)
			buf_putc(out, ' ');
		else
			buf_add(out, s + i, len);
	}
}

static int normalised(const struct tokenizer *t, const char *text, size_t n, struct buf *out)
{
	own(token_text) struct token_text pieces;
	bool bytes = false;
	struct err e = ERR_NONE;
	int rc;

	for (size_t i = 0; i < t->norm.n; i++)
		bytes |= t->norm.v[i].norm == token_norm_bytes;
	token_text_init(&pieces);
	rc = token_text_cut(t, text, n, &pieces, &e);
	for (size_t i = 0; rc == 0 && i < pieces.n; i++) {
		const struct token_piece *p = &pieces.pieces[i];
		size_t len = p->len;
		const char *s = p->id < 0 ? pieces.text.data + p->off : tokenizer_text(t, p->id, &len);

		if (p->id < 0)
			put_plain(out, s, len, bytes);
		else if (!tokenizer_is_special(t, p->id))
			buf_add(out, s, len);
	}
	return rc < 0 || buf_failed(out) ? ERR_INPUT : 0;
}

/* One blank for each run of white space: what is cut at it loses which it was. */
static void squeeze(struct buf *b)
{
	size_t len, to = 0;

	for (size_t i = 0; i < b->len; i += len) {
		bool space = token_is_space(token_utf8_at(b->data + i, b->len - i, &len));

		if (space && to && b->data[to - 1] == ' ')
			continue;
		memmove(b->data + to, space ? " " : b->data + i, space ? 1 : len);
		to += space ? 1 : len;
	}
	b->len = to;
}

static bool cuts_space_away(const struct tokenizer *t)
{
	for (size_t i = 0; i < t->pre.n; i++)
		if (t->pre.v[i].is == token_is_space && t->pre.v[i].behaviour == TOKEN_REMOVED)
			return true;
	return false;
}

static void put_letters(struct buf *out, const char *s, size_t n)
{
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		utf8proc_int32_t c = (utf8proc_int32_t)token_utf8_at(s + i, n - i, &len), d[DECOMPOSED_MAX];
		int class = 0;
		utf8proc_ssize_t k = utf8proc_decompose_char(c, d, DECOMPOSED_MAX, UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD, &class);

		for (utf8proc_ssize_t j = 0; j < k && j < DECOMPOSED_MAX; j++)
			if (d[j] < 0x80 && isalnum((int)d[j]))
				buf_putc(out, (char)tolower((int)d[j]));
	}
}

static bool same_letters(const char *a, size_t n, const char *b, size_t m)
{
	own(buf) struct buf x, y;

	buf_init(&x, TOKEN_WORK_MAX_BYTES);
	buf_init(&y, TOKEN_WORK_MAX_BYTES);
	put_letters(&x, a, n);
	put_letters(&y, b, m);
	return !buf_failed(&x) && !buf_failed(&y) && same((struct part){ x.data, x.len }, (struct part){ y.data, y.len });
}

bool tokenizer_gave_back(const struct tokenizer *t, const char *text, size_t n, const char *back, size_t m)
{
	own(buf) struct buf want, have;

	buf_init(&want, TOKEN_WORK_MAX_BYTES);
	buf_init(&have, TOKEN_WORK_MAX_BYTES);
	if (same(trimmed(text, n, false), trimmed(back, m, false)))
		return true;
	buf_add(&have, back, m);
	if (buf_failed(&have) || !str_utf8_valid(back, m) || normalised(t, text, n, &want) < 0)
		return false;
	if (cuts_space_away(t)) {
		squeeze(&want);
		squeeze(&have);
	}
	return same(trimmed(want.data, want.len, true), trimmed(have.data, have.len, true)) && same_letters(text, n, want.data, want.len);
}
