/* pickle_arg.c - the arguments of opcodes as they lie in a pickle: numbers, lines of text, counted strings. */
#include "verify/pickle_parts.h"

#define LINE_KEPT_BYTES ((size_t)65536)	/* of the text opcodes */

static int truncated(struct machine *m)
{
	return FAIL(m, "pickle.truncated", "it ends at %llu inside an opcode", (unsigned long long)m->b->size);
}

static int read_uint(struct machine *m, size_t n, uint64_t *out)
{
	const uint8_t *p = bytes_at(m->b, m->pos, n);

	if (!p)
		return truncated(m);
	*out = 0;
	for (size_t i = 0; i < n; i++)
		*out |= (uint64_t)p[i] << (8 * i);
	m->pos += n;
	return 0;
}

/* A line without its newline. Of a long one the first bytes are kept: it is neither a name nor a number that matters. */
struct line {
	const char *p;		/* valid until the next read */
	uint64_t n;
	char last;
};

static bool find_newline(struct machine *m, uint64_t *at)
{
	for (uint64_t left; (left = m->b->size - *at); ) {
		size_t look = left < LINE_KEPT_BYTES ? (size_t)left : LINE_KEPT_BYTES;
		const uint8_t *p = bytes_at(m->b, *at, look), *end = p ? memchr(p, '\n', look) : NULL;

		if (!p)
			return false;
		*at += end ? (uint64_t)(end - p) : look;
		if (end)
			return true;
	}
	return false;
}

static int read_line(struct machine *m, struct line *l)
{
	uint64_t end = m->pos;
	const uint8_t *last, *p;

	if (!find_newline(m, &end))
		return truncated(m);
	*l = (struct line){ .n = end - m->pos };
	last = l->n ? bytes_at(m->b, end - 1, 1) : NULL;
	l->last = last ? (char)*last : 0;
	p = bytes_at(m->b, m->pos, l->n < LINE_KEPT_BYTES ? (size_t)l->n : LINE_KEPT_BYTES);
	if (!p)
		return truncated(m);
	l->p = (const char *)p;
	m->pos = end + 1;
	return 0;
}

static int hex(const char *s, size_t n, size_t digits, uint32_t *out)
{
	*out = 0;
	if (n < digits)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		const char *at = s[i] ? strchr("0123456789abcdef0123456789ABCDEF", s[i]) : NULL;

		if (!at)
			return -1;
		*out = *out << 4 | ((uint32_t)(at - "0123456789abcdef0123456789ABCDEF") & 15);
	}
	return 0;
}

/* One escape at s[0] == '\\'. Bytes used; the character in *c. Only what can spell a name matters: others stay as they are. */
static size_t escape(const char *s, size_t n, bool quoted, uint32_t *c)
{
	static const char plain[] = "\\'\"abfnrtv", means[] = "\\'\"\a\b\f\n\r\t\v";
	const char *at;

	*c = '\\';
	if (n < 2)
		return 1;
	if (s[1] == 'x' && quoted && hex(s + 2, n - 2, 2, c) == 0)
		return 4;
	if (s[1] == 'u' && !quoted && hex(s + 2, n - 2, 4, c) == 0)
		return 6;
	if (s[1] == 'U' && !quoted && hex(s + 2, n - 2, 8, c) == 0)
		return 10;
	if (!quoted)
		return 1;
	if (s[1] >= '0' && s[1] <= '7') {
		size_t i = 1;

		for (*c = 0; i < n && i < 4 && s[i] >= '0' && s[i] <= '7'; i++)
			*c = *c << 3 | (uint32_t)(s[i] - '0');
		return i;
	}
	at = strchr(plain, s[1]);
	if (at && s[1]) {
		*c = (unsigned char)means[at - plain];
		return 2;
	}
	return 1;
}

static int keep(struct machine *m, const char *s, size_t n, const char **out)
{
	if (m->p->pool_bytes + n > PICKLE_POOL_MAX)
		return LIMIT(m, "pickle.limit", "more than %zu bytes of strings", PICKLE_POOL_MAX);
	m->p->pool_bytes += n + 1;
	*out = arena_strndup(&m->p->pool, s, n);
	return 0;
}

/* Names are ASCII: a character beyond it becomes '?', which is no part of any allowed name. */
static int unescape(struct machine *m, const char *s, size_t n, bool quoted, const char **out)
{
	char text[PICKLE_NAME_MAX];
	size_t len = 0;

	while (n) {
		uint32_t c = (unsigned char)*s;
		size_t used = c == '\\' ? escape(s, n, quoted, &c) : 1;

		if (len >= sizeof(text)) {
			*out = NULL;
			return 0;
		}
		text[len++] = c > 0 && c < 128 ? (char)c : '?';
		s += used;
		n -= used;
	}
	return keep(m, text, len, out);
}

static int read_text_line(struct machine *m, enum form form, struct arg *a)
{
	struct line l;
	int r = read_line(m, &l);

	if (r < 0)
		return r;
	if (form == A_QUOTED && (l.n < 2 || (l.last != '\'' && l.last != '"') || l.p[0] != l.last))
		return FAIL(m, "pickle.opcode", "a string without its quotes");
	if (l.n > LINE_KEPT_BYTES)
		return 0;
	if (form == A_QUOTED)
		return unescape(m, l.p + 1, l.n - 2, true, &a->text);
	if (form == A_ESCAPED)
		return unescape(m, l.p, l.n, false, &a->text);
	if (l.n > PICKLE_NAME_MAX)
		return 0;
	return keep(m, l.p, l.n, &a->text);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* As Python's int() reads it: blanks around it, a sign, an underscore between digits. NO_NUMBER where it would fail, and for negative ones. */
static uint64_t number(const char *s, size_t n)
{
	static const char blanks[] = " \t\n\v\f\r";
	bool minus = false, digit = false;
	uint64_t v = 0;

	while (n && memchr(blanks, *s, sizeof(blanks) - 1))
		s++, n--;
	while (n && memchr(blanks, s[n - 1], sizeof(blanks) - 1))
		n--;
	if (n && (*s == '+' || *s == '-')) {
		minus = *s == '-';
		s++, n--;
	}
	for (; n; s++, n--) {
		if (*s == '_' && digit && n > 1 && is_digit(s[1]))
			continue;
		if (!is_digit(*s))
			return NO_NUMBER;
		digit = true;
		v = v >= FAR_NUMBER / 10 ? FAR_NUMBER : v * 10 + (uint64_t)(*s - '0');
	}
	return digit && (!minus || !v) ? v : NO_NUMBER;
}

static int read_number_line(struct machine *m, struct arg *a)
{
	const char *nul;
	struct line l;
	int r = read_line(m, &l);

	if (r < 0)
		return r;
	if (l.n > LINE_KEPT_BYTES) {
		a->n = FAR_NUMBER;
		return 0;
	}
	nul = memchr(l.p, 0, l.n);	/* where C's unpickler stops reading */
	if (nul)
		l.n = (uint64_t)(nul - l.p);
	else if (l.last == 'L')
		l.n--;
	a->n = number(l.p, l.n);
	return 0;
}

static int read_counted(struct machine *m, size_t width, bool text, struct arg *a)
{
	int r = read_uint(m, width, &a->n);

	if (r < 0)
		return r;
	if (a->n > m->b->size - m->pos)
		return FAIL(m, "pickle.length", "a string of %llu bytes where %llu are left", (unsigned long long)a->n, (unsigned long long)(m->b->size - m->pos));
	if (text && a->n <= PICKLE_NAME_MAX) {
		const uint8_t *p = bytes_at(m->b, m->pos, a->n);

		if (!p)
			return truncated(m);
		r = keep(m, (const char *)p, a->n, &a->text);
		if (r == 0 && memchr(a->text, 0, a->n))
			a->text = NULL;	/* cut short it would look like another name */
	}
	m->pos += a->n;
	return r;
}

static int read_lines(struct machine *m, struct arg *a)
{
	int r = read_text_line(m, A_LINE, a);
	struct arg second = { 0 };

	if (r == 0)
		r = read_text_line(m, A_LINE, &second);
	a->second = second.text;
	return r;
}

int pickle_arg_read(struct machine *m, enum form form, struct arg *a)
{
	int r;

	switch (form) {
	case A_NONE:
		return 0;
	case A_U1:
		return read_uint(m, 1, &a->n);
	case A_U2:
		return read_uint(m, 2, &a->n);
	case A_U4:
		return read_uint(m, 4, &a->n);
	case A_I4:
		r = read_uint(m, 4, &a->n);
		a->n = (uint64_t)(int64_t)(int32_t)a->n;
		return r;
	case A_U8:
	case A_SKIP8:
		return read_uint(m, 8, &a->n);
	case A_LINE:
	case A_QUOTED:
	case A_ESCAPED:
		return read_text_line(m, form, a);
	case A_NUMBER:
		return read_number_line(m, a);
	case A_LINES:
		return read_lines(m, a);
	case A_TEXT1:
	case A_BYTES1:
		return read_counted(m, 1, form == A_TEXT1, a);
	case A_TEXT4:
	case A_BYTES4:
		return read_counted(m, 4, form == A_TEXT4, a);
	case A_TEXT8:
	case A_BYTES8:
		return read_counted(m, 8, form == A_TEXT8, a);
	case A_IS1:
	case A_IS2:
	case A_IS3:
		a->n = 1 + (uint64_t)(form - A_IS1);
		return 0;
	}
	return 0;
}
