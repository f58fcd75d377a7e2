/* token_norm.c - normalisers of tokenizer.json: text in, text out, before it is cut into pieces. */
#include <utf8proc.h>

#include "base/json.h"
#include "base/vec.h"
#include "infer/token_parts.h"

static int prepend(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	(void)e;
	if (n > 0)
		buf_add(out, st->text, st->n_text);
	buf_add(out, s, n);
	return 0;
}

int token_norm_replace(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	struct token_matches m = { .re = st->re, .s = s, .n = n };
	size_t done = 0;
	int rc;

	while ((rc = token_matches_next(&m, e)) > 0) {
		buf_add(out, s + done, m.from - done);
		buf_add(out, st->with, st->n_with);
		done = m.to;
	}
	buf_add(out, s + done, n - done);
	return rc;
}

static int strip(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	size_t len;

	(void)e;
	while (st->left && n > 0 && token_is_space(token_utf8_at(s, n, &len))) {
		s += len;
		n -= len;
	}
	while (st->right && n > 0 && token_is_space(token_utf8_before(s, n, &len)))
		n -= len;
	buf_add(out, s, n);
	return 0;
}

/* Marks are sorted by insertion: refuse the run that would make that slow. */
static int check_marks(const char *s, size_t n, struct err *e)
{
	size_t len, run = 0;

	for (size_t i = 0; i < n; i += len) {
		uint32_t c = token_utf8_at(s + i, n - i, &len);

		run = c >= 0x300 && utf8proc_get_property((utf8proc_int32_t)c)->combining_class ? run + 1 : 0;
		if (run > TOKEN_MARKS_MAX)
			return err_set(e, ERR_LIMIT, "more than %d combining marks in a row can't be normalised", TOKEN_MARKS_MAX);
	}
	return 0;
}

static int unicode(const char *s, size_t n, utf8proc_option_t options, struct buf *out, struct err *e)
{
	utf8proc_uint8_t *to = NULL;
	utf8proc_ssize_t len;
	int rc = check_marks(s, n, e);

	if (rc < 0)
		return rc;
	len = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &to, options | UTF8PROC_STABLE);
	if (len < 0)
		return err_set(e, ERR_INPUT, "the text can't be normalised: %s", utf8proc_errmsg(len));
	buf_add(out, to, (size_t)len);
	free(to);
	return 0;
}

static int nfc(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	(void)st;
	return unicode(s, n, UTF8PROC_COMPOSE, out, e);
}

static int nfd(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	(void)st;
	return unicode(s, n, UTF8PROC_DECOMPOSE, out, e);
}

static int nfkc(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	(void)st;
	return unicode(s, n, UTF8PROC_COMPOSE | UTF8PROC_COMPAT, out, e);
}

static int nfkd(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	(void)st;
	return unicode(s, n, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, out, e);
}

static int lowercase(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	size_t len;

	(void)st, (void)e;
	for (size_t i = 0; i < n; i += len) {
		uint32_t c = token_utf8_at(s + i, n - i, &len);

		if (c == 0x130)
			buf_puts(out, "i\xcc\x87");	/* the one character whose lower case is two */
		else
			token_utf8_put(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
	}
	return 0;
}

static void drop(const char *s, size_t n, token_class_fn *is, struct buf *out)
{
	size_t len;

	for (size_t i = 0; i < n; i += len)
		if (!is(token_utf8_at(s + i, n - i, &len)))
			buf_add(out, s + i, len);
}

static int strip_accents(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	(void)st, (void)e;
	drop(s, n, token_is_mark, out);
	return 0;
}

int token_norm_bytes(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	(void)st, (void)e;
	for (size_t i = 0; i < n; i++)
		token_utf8_put(out, token_byte_char((uint8_t)s[i]));
	return 0;
}

/* Google's clean-up: control characters go, odd spaces become plain ones. */
static int nmt(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	size_t len;

	(void)st, (void)e;
	for (size_t i = 0; i < n; i += len) {
		uint32_t c = token_utf8_at(s + i, n - i, &len);

		if ((c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f)
			continue;
		if (c == 0x9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 ||
		    c == 0x2581 || c == 0xfeff || c == 0xfffd)
			buf_putc(out, ' ');
		else
			buf_add(out, s + i, len);
	}
	return 0;
}

/*
 * A cluster of fewer than six bytes is looked up whole and replaced by what its shortest known prefix becomes, else each of its
 * characters is: odd, and what the models were trained with.
 */
static int precompiled(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	size_t len, used;

	(void)e;
	for (size_t i = 0; i < n; ) {
		size_t cluster = 0, end = i;
		utf8proc_int32_t state = 0;
		uint32_t c = token_utf8_at(s + i, n - i, &len), next;
		const char *to;

		do {
			end += len;
			cluster = end - i;
			if (end >= n)
				break;
			next = token_utf8_at(s + end, n - end, &len);
			if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next, &state))
				break;
			c = next;
		} while (true);
		to = cluster < 6 ? token_charsmap_find(st->charsmap, s + i, cluster, false, &used) : NULL;
		if (to) {
			buf_puts(out, to);
			i = end;
			continue;
		}
		for (; i < end; i += len) {
			token_utf8_at(s + i, n - i, &len);
			to = token_charsmap_find(st->charsmap, s + i, len, false, &used);
			if (to)
				buf_puts(out, to);
			else
				buf_add(out, s + i, len);
		}
	}
	return 0;
}

static bool is_chinese(uint32_t c)
{
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
	       (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool is_control(uint32_t c)
{
	utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);

	if (c == '\t' || c == '\n' || c == '\r')
		return false;
	return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO;
}

static void bert_clean(const struct token_step *st, const char *s, size_t n, struct buf *out)
{
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		uint32_t c = token_utf8_at(s + i, n - i, &len);

		if (st->clean && (c == 0 || c == 0xfffd || is_control(c)))
			continue;
		if (st->clean && token_is_space(c))
			buf_putc(out, ' ');
		else if (st->chinese && is_chinese(c))
			buf_printf(out, " %.*s ", (int)len, s + i);
		else
			buf_add(out, s + i, len);
	}
}

static int bert(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e)
{
	own(buf) struct buf a, b;
	int rc;

	buf_init(&a, out->max);
	buf_init(&b, out->max);
	bert_clean(st, s, n, &a);
	if (st->accents) {
		rc = unicode(a.data, a.len, UTF8PROC_DECOMPOSE, &b, e);
		if (rc < 0)
			return rc;
		buf_reset(&a);
		drop(b.data, b.len, token_is_nonspacing, &a);
	}
	if (st->lower)
		return lowercase(st, a.data, a.len, out, e);
	buf_add(out, a.data, a.len);
	return 0;
}

static int read_prepend(struct token_step *st, const json_t *j, struct err *e)
{
	const json_t *text = json_object_get(j, "prepend");

	if (!json_is_string(text))
		return err_set(e, ERR_INPUT, "the normalizer Prepend has no \"prepend\"");
	token_step_text(st, json_string_value(text), json_string_length(text));
	return 0;
}

static int read_replace(struct token_step *st, const json_t *j, struct err *e)
{
	const json_t *content = json_object_get(j, "content");

	if (!json_is_string(content))
		return err_set(e, ERR_INPUT, "the normalizer Replace has no \"content\"");
	token_step_with(st, json_string_value(content), json_string_length(content));
	return token_step_pattern(st, json_object_get(j, "pattern"), "the normalizer Replace", e);
}

static int read_strip(struct token_step *st, const json_t *j, struct err *e)
{
	(void)e;
	st->left = json_get_bool(j, "strip_left", true);
	st->right = json_get_bool(j, "strip_right", true);
	return 0;
}

static int read_bert(struct token_step *st, const json_t *j, struct err *e)
{
	(void)e;
	st->clean = json_get_bool(j, "clean_text", true);
	st->chinese = json_get_bool(j, "handle_chinese_chars", true);
	st->lower = json_get_bool(j, "lowercase", true);
	st->accents = json_get_bool(j, "strip_accents", st->lower);
	return 0;
}

static int base64_digit(char c)
{
	const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int token_base64(struct buf *out, const char *s, size_t n)
{
	uint32_t bits = 0;
	unsigned have = 0;

	while (n > 0 && s[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		int d = base64_digit(s[i]);

		if (d < 0)
			return ERR_INPUT;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_putc(out, (char)(bits >> have & 0xff));
		}
	}
	return buf_failed(out) ? ERR_LIMIT : 0;
}

static int read_precompiled(struct token_step *st, const json_t *j, struct err *e)
{
	const json_t *map = json_object_get(j, "precompiled_charsmap");
	own(buf) struct buf blob;

	buf_init(&blob, TOKEN_FILE_MAX_BYTES);
	if (!json_is_string(map) || token_base64(&blob, json_string_value(map), json_string_length(map)) < 0)
		return err_set(e, ERR_INPUT, "the normalizer Precompiled has no base64 in \"precompiled_charsmap\"");
	return token_charsmap_open(&st->charsmap, blob.data, blob.len, e);
}

static const struct {
	const char *type;
	token_norm_fn *run;
	int (*read)(struct token_step *st, const json_t *j, struct err *e);
} kinds[] = {
	{ "Prepend", prepend, read_prepend },
	{ "Replace", token_norm_replace, read_replace },
	{ "Strip", strip, read_strip },
	{ "StripAccents", strip_accents, NULL },
	{ "NFC", nfc, NULL },
	{ "NFD", nfd, NULL },
	{ "NFKC", nfkc, NULL },
	{ "NFKD", nfkd, NULL },
	{ "Lowercase", lowercase, NULL },
	{ "Nmt", nmt, NULL },
	{ "ByteLevel", token_norm_bytes, NULL },
	{ "Precompiled", precompiled, read_precompiled },
	{ "BertNormalizer", bert, read_bert },
};

int token_norm_read(struct token_steps *s, const json_t *j, struct err *e)
{
	const char *type = json_get_str_or(j, "type", "");
	const json_t *item;
	struct token_step *st;
	size_t i;
	int rc = 0;

	if (!j || json_is_null(j))
		return 0;
	if (!strcmp(type, "Sequence")) {
		json_array_foreach (json_object_get(j, "normalizers"), i, item)
			if (rc == 0)
				rc = token_norm_read(s, item, e);
		return rc;
	}
	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].type, type) != 0)
			continue;
		st = token_steps_add(s, "normalizers", e);
		if (!st)
			return ERR_LIMIT;
		st->norm = kinds[i].run;
		return kinds[i].read ? kinds[i].read(st, j, e) : 0;
	}
	return err_set(e, ERR_UNSUPPORTED, "the normalizer '%.40s' is not supported", type);
}

int token_norm_add_nfc(struct token_steps *s, struct err *e)
{
	struct token_step *st = token_steps_add(s, "normalizers", e);

	if (!st)
		return ERR_LIMIT;
	st->norm = nfc;
	return 0;
}

/* No language's normalisation makes much more of a text; steps that double it one after the other are made to eat time and memory. */
#define GROWTH_MAX 64
#define GROWTH_FREE 65536

int token_norm_run(const struct token_steps *s, struct buf *text, struct err *e)
{
	size_t longest = text->len * GROWTH_MAX + GROWTH_FREE;
	own(buf) struct buf out;
	int rc = 0;

	buf_init(&out, text->max);
	for (size_t i = 0; i < s->n && rc == 0; i++) {
		struct buf swap = *text;

		buf_reset(&out);
		rc = s->v[i].norm(&s->v[i], text->data, text->len, &out, e);
		if (rc == 0)
			rc = token_text_check(&out, e);
		if (rc == 0 && out.len > longest)
			rc = err_set(e, ERR_INPUT, "the normalizer makes more than %zu bytes of a text of %zu", longest, (longest - GROWTH_FREE) / GROWTH_MAX);
		*text = out;
		out = swap;
	}
	return rc;
}
