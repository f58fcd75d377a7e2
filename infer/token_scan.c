/* token_scan.c - see token_scan.h. */
#include "infer/token_scan.h"

#include <errno.h>

#include "base/str.h"

#define NUMBER_MAX 64	/* characters of a number */

static int bad(const struct scan *s, struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, "%s is not valid JSON: %s at byte %zu", s->what, why, s->at);
}

void scan_init(struct scan *s, const char *text, size_t n, const char *what)
{
	*s = (struct scan){ .text = text, .n = n, .what = what };
}

char scan_peek(struct scan *s)
{
	while (s->at < s->n && memchr(" \t\r\n", s->text[s->at], 4))
		s->at++;
	return s->at < s->n ? s->text[s->at] : 0;
}

int scan_enter(struct scan *s, char bracket, struct err *e)
{
	if (scan_peek(s) != bracket)
		return bad(s, e, bracket == '{' ? "an object is expected" : "an array is expected");
	s->at++;
	s->fresh = true;
	return 0;
}

/* Past the comma to the next member, or past the closing bracket. */
static int next(struct scan *s, char close, struct err *e)
{
	char c = scan_peek(s);
	bool fresh = s->fresh;

	s->fresh = false;
	if (c == close) {
		s->at++;
		return 0;
	}
	if (fresh)
		return 1;
	if (c != ',')
		return bad(s, e, "a comma is expected");
	s->at++;
	return 1;
}

int scan_key(struct scan *s, struct buf *key, struct err *e)
{
	int rc = next(s, '}', e);

	if (rc <= 0)
		return rc;
	rc = scan_string(s, key, e);
	if (rc < 0)
		return rc;
	if (scan_peek(s) != ':')
		return bad(s, e, "a colon is expected");
	s->at++;
	return 1;
}

int scan_item(struct scan *s, struct err *e)
{
	return next(s, ']', e);
}

static int hex4(const struct scan *s, size_t at, uint32_t *out)
{
	uint8_t v[2];
	char digits[5];

	if (s->n - at < 4)
		return -1;
	for (int i = 0; i < 4; i++)
		digits[i] = (char)(s->text[at + (size_t)i] | (s->text[at + (size_t)i] >= 'A' ? 0x20 : 0));
	digits[4] = 0;
	if (str_unhex(v, 2, digits) < 0)
		return -1;
	*out = (uint32_t)(v[0] << 8 | v[1]);
	return 0;
}

static void put_utf8(struct buf *out, uint32_t c)
{
	char b[4];

	if (c < 0x80) {
		buf_putc(out, (char)c);
	} else if (c < 0x800) {
		b[0] = (char)(0xc0 | c >> 6);
		b[1] = (char)(0x80 | (c & 0x3f));
		buf_add(out, b, 2);
	} else if (c < 0x10000) {
		b[0] = (char)(0xe0 | c >> 12);
		b[1] = (char)(0x80 | (c >> 6 & 0x3f));
		b[2] = (char)(0x80 | (c & 0x3f));
		buf_add(out, b, 3);
	} else {
		b[0] = (char)(0xf0 | c >> 18);
		b[1] = (char)(0x80 | (c >> 12 & 0x3f));
		b[2] = (char)(0x80 | (c >> 6 & 0x3f));
		b[3] = (char)(0x80 | (c & 0x3f));
		buf_add(out, b, 4);
	}
}

/* At the `u` of \uXXXX; a high surrogate must have its low one behind it. */
static int unicode_escape(struct scan *s, struct buf *out, struct err *e)
{
	uint32_t c, low;

	if (hex4(s, s->at + 1, &c) < 0)
		return bad(s, e, "a broken \\u escape");
	s->at += 5;
	if (c >= 0xd800 && c <= 0xdfff) {
		if (c >= 0xdc00 || s->n - s->at < 6 || s->text[s->at] != '\\' || s->text[s->at + 1] != 'u' || hex4(s, s->at + 2, &low) < 0 ||
		    low < 0xdc00 || low > 0xdfff)
			return bad(s, e, "half of a surrogate pair");
		s->at += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(out, c);
	return 0;
}

static int escape(struct scan *s, struct buf *out, struct err *e)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;

	s->at++;
	if (s->at >= s->n)
		return bad(s, e, "a string has no end");
	if (s->text[s->at] == 'u')
		return unicode_escape(s, out, e);
	found = memchr(from, s->text[s->at], sizeof(from) - 1);
	if (!found)
		return bad(s, e, "an unknown escape");
	s->at++;
	return buf_putc(out, to[found - from]);
}

int scan_string(struct scan *s, struct buf *out, struct err *e)
{
	size_t start;
	int rc = 0;

	buf_reset(out);
	if (scan_peek(s) != '"')
		return bad(s, e, "a string is expected");
	for (start = ++s->at; rc == 0 && s->at < s->n && s->text[s->at] != '"'; ) {
		if ((unsigned char)s->text[s->at] < 0x20)
			return bad(s, e, "a control character in a string");
		if (s->text[s->at] != '\\') {
			s->at++;
			continue;
		}
		buf_add(out, s->text + start, s->at - start);
		rc = escape(s, out, e);
		start = s->at;
	}
	if (rc < 0)
		return rc;
	if (s->at >= s->n)
		return bad(s, e, "a string has no end");
	buf_add(out, s->text + start, s->at - start);
	if (buf_failed(out))
		return err_set(e, ERR_LIMIT, "%s: the string before byte %zu is longer than %zu bytes", s->what, s->at, out->max);
	if (!str_utf8_valid(out->data, out->len))
		return bad(s, e, "a string that is not UTF-8");
	s->at++;
	return 0;
}

/* The characters of a number, NUL-terminated. */
static int number(struct scan *s, char out[NUMBER_MAX], struct err *e)
{
	size_t n = 0;

	scan_peek(s);
	while (s->at + n < s->n && n < NUMBER_MAX - 1 && memchr("+-.0123456789eE", s->text[s->at + n], 15))
		n++;
	if (n == 0 || s->text[s->at] == '+' || s->text[s->at] == '.')
		return bad(s, e, "a number is expected");
	memcpy(out, s->text + s->at, n);
	out[n] = 0;
	return (int)n;
}

int scan_int(struct scan *s, int64_t *out, struct err *e)
{
	char text[NUMBER_MAX], *end;
	int n = number(s, text, e);

	if (n < 0)
		return n;
	errno = 0;
	*out = strtoll(text, &end, 10);
	if (*end || errno)
		return bad(s, e, "a whole number is expected");
	s->at += (size_t)n;
	return 0;
}

int scan_real(struct scan *s, double *out, struct err *e)
{
	char text[NUMBER_MAX], *end;
	int n = number(s, text, e);

	if (n < 0)
		return n;
	*out = strtod(text, &end);
	if (*end || !(*out - *out == 0))
		return bad(s, e, "a finite number is expected");
	s->at += (size_t)n;
	return 0;
}

int scan_skip(struct scan *s, struct err *e)
{
	size_t depth = 0;
	bool in_string = false;

	scan_peek(s);
	s->fresh = false;
	for (size_t start = s->at; s->at < s->n; s->at++) {
		char c = s->text[s->at];

		if (in_string) {
			if (c == '\\')
				s->at++;
			in_string = c != '"';
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
			return s->at > start ? 0 : bad(s, e, "a value is expected");
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return bad(s, e, "the text ends inside a value");
}

json_t *scan_value(struct scan *s, struct err *e)
{
	size_t start;

	scan_peek(s);
	start = s->at;
	if (scan_skip(s, e) < 0)
		return NULL;
	return json_parse(s->text + start, s->at - start, s->what, e);
}

int scan_end(struct scan *s, struct err *e)
{
	return scan_peek(s) == 0 && s->at == s->n ? 0 : bad(s, e, "something follows the document");
}
