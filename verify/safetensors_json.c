/* safetensors_json.c - see safetensors_json.h. */
#include "verify/safetensors_json.h"

#include <string.h>

#include "base/vec.h"

#define DEPTH_MAX 4

int header_malformed(struct header_reader *r, const char *wanted)
{
	return HEADER_REJECT(r, "st.header_json", "the header is not valid JSON: %s expected at byte %zu", wanted, (size_t)(r->p - r->start));
}

void header_skip_space(struct header_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

bool header_accept(struct header_reader *r, char c)
{
	header_skip_space(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

int header_expect(struct header_reader *r, char c, const char *wanted)
{
	return header_accept(r, c) ? 0 : header_malformed(r, wanted);
}

/* Four hex digits of a \u escape, or -1. */
static int32_t hex4(const char *p, const char *end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

static char *put_utf8(char *w, uint32_t c)
{
	if (c < 0x80) {
		*w++ = (char)c;
	} else if (c < 0x800) {
		*w++ = (char)(0xc0 | c >> 6);
		*w++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*w++ = (char)(0xe0 | c >> 12);
		*w++ = (char)(0x80 | (c >> 6 & 0x3f));
		*w++ = (char)(0x80 | (c & 0x3f));
	} else {
		*w++ = (char)(0xf0 | c >> 18);
		*w++ = (char)(0x80 | (c >> 12 & 0x3f));
		*w++ = (char)(0x80 | (c >> 6 & 0x3f));
		*w++ = (char)(0x80 | (c & 0x3f));
	}
	return w;
}

/* \uXXXX after the `u`, with its second half where it is a surrogate. An escape is longer than the UTF-8 it stands for. */
static int unicode_escape(struct header_reader *r, char **w)
{
	int32_t c = hex4(r->p, r->end), low;

	if (c < 0)
		return header_malformed(r, "four hexadecimal digits");
	r->p += 4;
	if (c == 0)
		return HEADER_REJECT(r, "st.name", "a string of the header holds a NUL character at byte %zu", (size_t)(r->p - r->start));
	if (c >= 0xd800 && c <= 0xdfff) {
		if (c >= 0xdc00 || r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
			return header_malformed(r, "a whole surrogate pair");
		low = hex4(r->p + 2, r->end);
		if (low < 0xdc00 || low > 0xdfff)
			return header_malformed(r, "a whole surrogate pair");
		r->p += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*w = put_utf8(*w, (uint32_t)c);
	return 0;
}

static int escape(struct header_reader *r, char **w)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (r->p == r->end)
		return header_malformed(r, "an escape");
	if (*r->p == 'u') {
		r->p++;
		return unicode_escape(r, w);
	}
	at = *r->p ? strchr(from, *r->p) : NULL;
	if (!at)
		return header_malformed(r, "a known escape");
	*(*w)++ = to[at - from];
	r->p++;
	return 0;
}

int header_string(struct header_reader *r, const char **out)
{
	char *w;

	if (header_expect(r, '"', "a string") < 0)
		return ERR_INPUT;
	*out = w = r->p;
	while (r->p < r->end && *r->p != '"') {
		if ((unsigned char)*r->p < 0x20)
			return header_malformed(r, "a printable character in a string");
		if (*r->p != '\\') {
			*w++ = *r->p++;
			continue;
		}
		r->p++;
		if (escape(r, &w) < 0)
			return ERR_INPUT;
	}
	if (r->p == r->end)
		return header_malformed(r, "the end of a string");
	r->p++;
	*w = '\0';
	return 0;
}

int header_number(struct header_reader *r, uint64_t *out, const char *what)
{
	uint64_t v = 0;
	char *first;

	header_skip_space(r);
	if (r->p < r->end && *r->p == '-')
		return HEADER_REJECT(r, "st.number", "%s is negative at byte %zu", what, (size_t)(r->p - r->start));
	for (first = r->p; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++)
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*r->p - '0'), &v))
			return HEADER_REJECT(r, "st.number", "%s does not fit 64 bits at byte %zu", what, (size_t)(first - r->start));
	if (r->p == first)
		return header_malformed(r, "a number");
	if (*first == '0' && r->p - first > 1)
		return header_malformed(r, "a number without leading zeros");
	if (r->p < r->end && (*r->p == '.' || *r->p == 'e' || *r->p == 'E'))
		return HEADER_REJECT(r, "st.number", "%s is not a plain integer at byte %zu", what, (size_t)(first - r->start));
	*out = v;
	return 0;
}

static size_t skip_digits(struct header_reader *r)
{
	char *first = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t)(r->p - first);
}

static bool skip_char(struct header_reader *r, const char *set)
{
	if (r->p == r->end || !*r->p || !strchr(set, *r->p))
		return false;
	r->p++;
	return true;
}

/* A number, true, false or null, of which only the form matters. */
static int skip_scalar(struct header_reader *r)
{
	static const char *const words[] = { "true", "false", "null" };
	char *first;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(r->end - r->p) >= n && memcmp(r->p, words[i], n) == 0) {
			r->p += n;
			return 0;
		}
	}
	skip_char(r, "-");
	first = r->p;
	if (skip_digits(r) == 0 || (*first == '0' && r->p - first > 1))
		return header_malformed(r, "a value");
	if (skip_char(r, ".") && skip_digits(r) == 0)
		return header_malformed(r, "digits after the point");
	if (skip_char(r, "eE")) {
		skip_char(r, "+-");
		if (skip_digits(r) == 0)
			return header_malformed(r, "an exponent");
	}
	return 0;
}

/* open[] remembers which bracket each level closes with. */
int header_skip_value(struct header_reader *r, int depth)
{
	char open[DEPTH_MAX + 1];
	const char *s;
	int base = depth;

	do {
		if (header_accept(r, '{') || header_accept(r, '[')) {
			if (++depth > DEPTH_MAX)
				return HEADER_REJECT(r, "st.depth", "the header is nested deeper than %d", DEPTH_MAX);
			open[depth] = r->p[-1];
			if (header_accept(r, open[depth] == '{' ? '}' : ']'))
				depth--;
			else if (open[depth] == '[')
				continue;
			else if (header_string(r, &s) < 0 || header_expect(r, ':', "':'") < 0)
				return ERR_INPUT;
			else
				continue;
		} else if (r->p < r->end && *r->p == '"') {
			if (header_string(r, &s) < 0)
				return ERR_INPUT;
		} else if (skip_scalar(r) < 0) {
			return ERR_INPUT;
		}
		while (depth > base && header_accept(r, open[depth] == '{' ? '}' : ']'))
			depth--;
		if (depth > base) {
			if (header_expect(r, ',', "',' or a closing bracket") < 0)
				return ERR_INPUT;
			if (open[depth] == '{' && (header_string(r, &s) < 0 || header_expect(r, ':', "':'") < 0))
				return ERR_INPUT;
		}
	} while (depth > base);
	return 0;
}
