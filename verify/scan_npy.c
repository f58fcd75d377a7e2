/*
 * scan_npy.c - NumPy's .npy: magic, version, a header that is the text of a Python dictionary, the elements. The header is read by a strict
 * grammar (numpy evaluates a literal): {'descr': TYPE, 'fortran_order': True|False, 'shape': (N, …)}. An object type means that a
 * pickle follows. Rules: npy.header npy.depth npy.overflow npy.size npy.version, flag npy.object.
 */
#include "verify/scan_parts.h"
#include "verify/pickle.h"

#define HEADER_MAX  ((uint64_t)BYTES_WINDOW)
#define NESTING_MAX 16
#define DIMS_MAX    64

#define FAIL(n, rule, ...) report_reject((n)->r, rule, "npy", NULL, __VA_ARGS__)

struct npy {
	struct report *r;
	const char *p, *end;
	int depth;
	bool object, structured;
	uint64_t item_bytes, elements;
	unsigned keys;
};

static void blanks(struct npy *n)
{
	while (n->p < n->end && (*n->p == ' ' || *n->p == '\n' || *n->p == '\t'))
		n->p++;
}

static bool take_char(struct npy *n, char c)
{
	blanks(n);
	if (n->p >= n->end || *n->p != c)
		return false;
	n->p++;
	return true;
}

static int need_char(struct npy *n, char c)
{
	if (!take_char(n, c))
		return FAIL(n, "npy.header", "its header is no plain dictionary ('%c' expected)", c);
	return 0;
}

/* 'text' without escapes */
static int string(struct npy *n, const char **s, size_t *len)
{
	const char *close;
	char quote;

	blanks(n);
	quote = n->p < n->end ? *n->p : 0;
	if (quote != '\'' && quote != '"')
		return FAIL(n, "npy.header", "its header has no text where one is expected");
	*s = ++n->p;
	close = memchr(n->p, quote, (size_t)(n->end - n->p));
	if (!close || memchr(n->p, '\\', (size_t)(close - n->p)))
		return FAIL(n, "npy.header", "its header has a text that does not end");
	*len = (size_t)(close - n->p);
	n->p = close + 1;
	return 0;
}

static int number(struct npy *n, uint64_t *v)
{
	bool any = false;

	blanks(n);
	for (*v = 0; n->p < n->end && *n->p >= '0' && *n->p <= '9'; n->p++, any = true)
		if (__builtin_mul_overflow(*v, 10u, v) || __builtin_add_overflow(*v, (uint64_t)(*n->p - '0'), v))
			return FAIL(n, "npy.overflow", "a dimension is larger than any number");
	return any ? 0 : FAIL(n, "npy.header", "its header has no number where one is expected");
}

/* "<f4": byte order, kind, bytes */
static int simple_type(struct npy *n, const char *s, size_t len)
{
	uint64_t bytes = 0;

	if (len && strchr("<>|=", s[0])) {
		s++;
		len--;
	}
	if (len == 0 || !strchr("?bBhHiIlLqQefdgFDGSaUVOmMcuiftn", s[0]))
		return FAIL(n, "npy.header", "its element type is unknown");
	n->object |= s[0] == 'O';
	for (size_t i = 1; i < len && s[i] >= '0' && s[i] <= '9' && bytes < 1u << 30; i++)
		bytes = bytes * 10 + (uint64_t)(s[i] - '0');
	n->item_bytes = s[0] == 'U' ? bytes * 4 : bytes;
	return 0;
}

static int shape(struct npy *n, uint64_t *product)
{
	int dims = 0;
	int code = need_char(n, '(');

	*product = 1;
	while (code == 0 && !take_char(n, ')')) {
		uint64_t v;

		if (dims++ && (code = need_char(n, ',')) < 0)
			break;
		if (take_char(n, ')'))
			break;
		code = number(n, &v);
		if (code == 0 && (__builtin_mul_overflow(*product, v, product) || *product > INT64_MAX || dims > DIMS_MAX))
			code = FAIL(n, "npy.overflow", "its shape has more elements than a number holds");
	}
	return code;
}

static int type(struct npy *n);

/* ('name', TYPE) or ('name', TYPE, (N, …)); the name may be a pair of title and name */
static int field(struct npy *n)
{
	const char *s;
	size_t len;
	uint64_t sub;
	int code = need_char(n, '(');

	if (code == 0 && take_char(n, '(')) {
		code = string(n, &s, &len);
		if (code == 0)
			code = need_char(n, ',');
		if (code == 0)
			code = string(n, &s, &len);
		if (code == 0)
			code = need_char(n, ')');
	} else if (code == 0) {
		code = string(n, &s, &len);
	}
	if (code == 0)
		code = need_char(n, ',');
	if (code == 0)
		code = type(n);
	if (code == 0 && take_char(n, ',')) {
		blanks(n);
		if (n->p < n->end && *n->p == '(')
			code = shape(n, &sub);
	}
	return code < 0 ? code : need_char(n, ')');
}

static int type(struct npy *n)
{
	const char *s;
	size_t len;
	int code;

	if (++n->depth > NESTING_MAX)
		return FAIL(n, "npy.depth", "its element type is nested deeper than %d", NESTING_MAX);
	blanks(n);
	if (n->p < n->end && *n->p != '[') {
		code = string(n, &s, &len);
		if (code == 0)
			code = simple_type(n, s, len);
	} else {
		n->structured = true;
		code = need_char(n, '[');
		for (bool first = true; code == 0 && !take_char(n, ']'); first = false) {
			if (!first && (code = need_char(n, ',')) < 0)
				break;
			if (take_char(n, ']'))
				break;
			code = field(n);
		}
	}
	n->depth--;
	return code;
}

static int flag_value(struct npy *n)
{
	blanks(n);
	for (int i = 0; i < 2; i++) {
		const char *word = i ? "False" : "True";
		size_t len = strlen(word);

		if ((size_t)(n->end - n->p) >= len && memcmp(n->p, word, len) == 0) {
			n->p += len;
			return 0;
		}
	}
	return FAIL(n, "npy.header", "fortran_order is neither True nor False");
}

static int entry(struct npy *n)
{
	static const char *const names[] = { "descr", "fortran_order", "shape" };
	const char *s;
	size_t len, k = 0;
	int code = string(n, &s, &len);

	if (code < 0)
		return code;
	while (k < 3 && (strlen(names[k]) != len || memcmp(names[k], s, len)))
		k++;
	if (k == 3 || n->keys & 1u << k)
		return FAIL(n, "npy.header", "its header has a key that is unknown or there twice");
	n->keys |= 1u << k;
	code = need_char(n, ':');
	if (code < 0)
		return code;
	return k == 0 ? type(n) : k == 1 ? flag_value(n) : shape(n, &n->elements);
}

/* Nesting is looked at before anything else: the text of a hostile header may be nothing but brackets. */
static int check_nesting(struct npy *n)
{
	int depth = 0;

	for (const char *p = n->p; p < n->end; p++) {
		depth += (*p == '(' || *p == '[' || *p == '{') - (*p == ')' || *p == ']' || *p == '}');
		if (depth > NESTING_MAX)
			return FAIL(n, "npy.depth", "its header is nested deeper than %d", NESTING_MAX);
	}
	return 0;
}

static int header(struct npy *n)
{
	int code = check_nesting(n);

	if (code == 0)
		code = need_char(n, '{');
	while (code == 0 && !take_char(n, '}')) {
		code = entry(n);
		if (code == 0 && !take_char(n, ',')) {
			code = need_char(n, '}');
			break;
		}
	}
	blanks(n);
	if (code == 0 && (n->p != n->end || n->keys != 7))
		code = FAIL(n, "npy.header", "its header does not say descr, fortran_order and shape, and nothing else");
	return code;
}

static void check_data(struct npy *n, struct bytes *b, uint64_t at)
{
	uint64_t want;

	if (n->object) {
		own(bytes) struct bytes rest;

		bytes_of_part(&rest, b, at, b->size - at);
		report_flag(n->r, "npy.object", "its elements are Python objects: a pickle follows");
		pickle_inspect(&rest, n->r);
		return;
	}
	if (n->structured)
		return;
	if (__builtin_mul_overflow(n->elements, n->item_bytes, &want))
		FAIL(n, "npy.overflow", "its shape needs more bytes than a number holds");
	else if (want != b->size - at)
		FAIL(n, "npy.size", "its shape needs %llu bytes, %llu follow the header", (unsigned long long)want, (unsigned long long)(b->size - at));
}

void scan_npy(struct bytes *b, struct report *r)
{
	const uint8_t *p = bytes_at(b, 0, 12);
	struct npy n = { .r = r };
	uint64_t at, len;

	if (!p) {
		FAIL(&n, "npy.header", "it ends inside its header");
		return;
	}
	if (p[6] < 1 || p[6] > 3 || p[7] != 0) {
		FAIL(&n, "npy.version", "version %u.%u", p[6], p[7]);
		return;
	}
	at = p[6] == 1 ? 10 : 12;
	len = p[6] == 1 ? bytes_le16(p + 8) : bytes_le32(p + 8);
	if (len > HEADER_MAX || len > b->size - at) {
		FAIL(&n, "npy.header", "a header of %llu bytes", (unsigned long long)len);
		return;
	}
	p = bytes_at(b, at, (size_t)len);
	if (!p)
		return;
	n.p = (const char *)p;
	n.end = n.p + len;
	if (header(&n) == 0)
		check_data(&n, b, at + len);
}
