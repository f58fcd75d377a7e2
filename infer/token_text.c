/* token_text.c - see token_parts.h: texts in pieces, characters and their classes. */
#include <utf8proc.h>

#include "base/vec.h"
#include "infer/token_parts.h"

void token_text_init(struct token_text *t)
{
	*t = (struct token_text){ 0 };
	buf_init(&t->text, TOKEN_WORK_MAX_BYTES);
}

void token_text_done(struct token_text *t)
{
	buf_done(&t->text);
	free(t->pieces);
	t->pieces = NULL;
	t->n = t->cap = 0;
}

void token_text_reset(struct token_text *t)
{
	buf_reset(&t->text);
	t->n = 0;
}

void token_text_swap(struct token_text *a, struct token_text *b)
{
	struct token_text c = *a;

	*a = *b;
	*b = c;
}

static void put(struct token_text *t, const char *s, size_t n, int32_t id, bool first)
{
	size_t off = t->text.len;

	if (buf_add(&t->text, s, n) == 0)
		*vec_push(&t->pieces, &t->n, &t->cap) = (struct token_piece){ off, n, id, first };
}

void token_text_put(struct token_text *t, const char *s, size_t n, int32_t id, bool first)
{
	if (n > 0 || id >= 0)
		put(t, s, n, id, first);
}

void token_text_keep(struct token_text *t, const char *s, size_t n, int32_t id)
{
	put(t, s, n, id, false);
}

int token_text_check(const struct buf *b, struct err *e)
{
	return buf_failed(b) ? err_set(e, ERR_LIMIT, "the tokenizer makes the text longer than %zu bytes", b->max) : 0;
}

void token_ids_add(struct token_ids *ids, int32_t id)
{
	*vec_push(&ids->v, &ids->n, &ids->cap) = id;
}

uint32_t token_utf8_at(const char *s, size_t n, size_t *len)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);

	*len = used > 0 ? (size_t)used : 1;
	return used > 0 ? (uint32_t)c : 0xfffd;
}

uint32_t token_utf8_before(const char *s, size_t n, size_t *len)
{
	size_t at = n - 1;

	while (at > 0 && ((unsigned char)s[at] & 0xc0) == 0x80)
		at--;
	return token_utf8_at(s + at, n - at, len);
}

void token_utf8_put(struct buf *b, uint32_t c)
{
	utf8proc_uint8_t out[4];

	buf_add(b, out, (size_t)utf8proc_encode_char((utf8proc_int32_t)c, out));
}

bool token_is_space(uint32_t c)
{
	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r');
	return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
	       c == 0x3000;
}

static utf8proc_category_t category(uint32_t c)
{
	return utf8proc_category((utf8proc_int32_t)c);
}

bool token_is_numeric(uint32_t c)
{
	utf8proc_category_t k = category(c);

	return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

bool token_is_punctuation(uint32_t c)
{
	utf8proc_category_t k = category(c);

	if (c < 0x80)
		return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
	return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

bool token_is_word(uint32_t c)
{
	utf8proc_category_t k = category(c);

	if ((k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_ME) || k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC)
		return true;
	/* Other_Alphabetic beyond marks: letters in circles and squares; Join_Control. */
	return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189) ||
	       c == 0x200c || c == 0x200d;
}

bool token_is_mark(uint32_t c)
{
	utf8proc_category_t k = category(c);

	return k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME;
}

bool token_is_nonspacing(uint32_t c)
{
	return category(c) == UTF8PROC_CATEGORY_MN;
}

/*
 * Printable Latin-1 bytes stand for themselves; the other 68 (0 to 0x20, 0x7f to 0xa0, 0xad) for U+0100 to U+0143 in order.
 */
uint32_t token_byte_char(uint8_t byte)
{
	if (byte <= 0x20)
		return 0x100u + byte;
	if (byte >= 0x7f && byte <= 0xa0)
		return 0x121u + byte - 0x7f;
	return byte == 0xad ? 0x143 : byte;
}

int token_char_byte(uint32_t c)
{
	if (c >= 0x100 && c <= 0x120)
		return (int)c - 0x100;
	if (c >= 0x121 && c <= 0x142)
		return (int)c - 0x121 + 0x7f;
	if (c == 0x143)
		return 0xad;
	return c < 0x100 && token_byte_char((uint8_t)c) == c ? (int)c : -1;
}
