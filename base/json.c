/* json.c - see json.h. */
#include "base/json.h"

#include "base/str.h"

/* jansson recurses; so nesting is counted before it sees the text. Offset of the first byte too deep, or SIZE_MAX. */
static size_t too_deep_at(const char *text, size_t n)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_DEPTH_MAX)
				return i;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return SIZE_MAX;
}

/* ---- what Python writes ---- */

#define DIGITS_MAX 18	/* of an integer that surely fits */

/* A word of Python's at i, and what stands for it: there is no infinity in JSON, and nothing that is no number. */
static size_t python_word(const char *s, size_t i, size_t n, const char **instead)
{
	static const char *const words[][2] = { { "NaN", "null" }, { "Infinity", "1e308" }, { "-Infinity", "-1e308" } };

	for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
		size_t len = strlen(words[k][0]);

		if (n - i >= len && !memcmp(s + i, words[k][0], len)) {
			*instead = words[k][1];
			return len;
		}
	}
	return 0;
}

/* The same text with integers of any size as reals, and Python's words replaced. Strings stay. */
static void translate_python(struct buf *out, const char *s, size_t n)
{
	const char *instead;

	for (size_t i = 0, len; i < n; i += len) {
		size_t start = i;

		len = 1;
		if (s[i] == '"') {
			for (i++; i < n && s[i] != '"'; i++)
				i += s[i] == '\\';
			len = i < n ? i + 1 - start : n - start;
			i = start;
			buf_add(out, s + i, len);
		} else if ((s[i] == 'N' || s[i] == 'I' || s[i] == '-') && (len = python_word(s, i, n, &instead))) {
			buf_puts(out, instead);
		} else if (s[i] >= '0' && s[i] <= '9') {
			for (len = 0; i + len < n && s[i + len] >= '0' && s[i + len] <= '9'; len++)
				;
			buf_add(out, s + i, len);
			if (len > DIGITS_MAX && (i + len == n || !strchr(".eE", s[i + len])))
				buf_puts(out, ".0");
		} else {
			len = 1;
			buf_putc(out, s[i]);
		}
	}
}

static json_t *parse(const char *text, size_t n, size_t flags, bool python, const char *what, struct err *e)
{
	size_t deep = too_deep_at(text, n);
	json_error_t je;
	json_t *j;

	if (deep != SIZE_MAX) {
		err_set(e, ERR_INPUT, "%s: nested deeper than %d at byte %zu", what, JSON_DEPTH_MAX, deep);
		return NULL;
	}
	j = json_loadb(text, n, flags | JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
	if (!j && python) {
		own(buf) struct buf other;

		buf_init(&other, 3 * n + 64);
		translate_python(&other, text, n);
		if (!buf_failed(&other))
			j = json_loadb(other.data, other.len, flags | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	}
	if (!j)
		err_set(e, ERR_INPUT, "%s is not valid JSON: %s at line %d (byte %d)", what, je.text, je.line, je.position);
	return j;
}

json_t *json_parse(const char *text, size_t n, const char *what, struct err *e)
{
	return parse(text, n, JSON_REJECT_DUPLICATES, false, what, e);
}

json_t *json_parse_python(const char *text, size_t n, const char *what, struct err *e)
{
	return parse(text, n, JSON_REJECT_DUPLICATES, true, what, e);
}

json_t *json_parse_lax(const char *text, size_t n, const char *what, struct err *e)
{
	return parse(text, n, 0, true, what, e);
}

/* ---- text that is not parsed yet ---- */

static size_t skip_space(const char *s, size_t i, size_t n)
{
	while (i < n && strchr(" \t\r\n", s[i]) && s[i])
		i++;
	return i;
}

/* s[i] is a quote: behind the one that closes the string. */
static size_t skip_string(const char *s, size_t i, size_t n)
{
	for (i++; i < n && s[i] != '"'; i++)
		i += s[i] == '\\';
	return i < n ? i + 1 : n;
}

/* s[i] opens a list or an object: where it closes, n when it does not. */
static size_t find_close(const char *s, size_t i, size_t n)
{
	size_t depth = 0;

	while (i < n) {
		if (s[i] == '"') {
			i = skip_string(s, i, n);
			continue;
		}
		if (s[i] == '[' || s[i] == '{')
			depth++;
		if ((s[i] == ']' || s[i] == '}') && --depth == 0)
			return i;
		i++;
	}
	return n;
}

/* The value that follows s[i] as a member's name, when that is key and the value a list or an object: its bounds. */
static bool member_at(const char *s, size_t i, size_t n, const char *key, size_t *open, size_t *close)
{
	size_t end = skip_string(s, i, n);

	if (end - i != strlen(key) + 2 || memcmp(s + i + 1, key, strlen(key)) != 0)
		return false;
	i = skip_space(s, end, n);
	if (i == n || s[i] != ':')
		return false;
	*open = skip_space(s, i + 1, n);
	if (*open == n || (s[*open] != '[' && s[*open] != '{'))
		return false;
	*close = find_close(s, *open, n);
	return *close < n;
}

void json_empty_member(struct buf *text, const char *key)
{
	size_t depth = 0, open, close, i = 0;

	while (i < text->len) {
		char c = text->data[i];

		if (c == '"' && depth == 1 && member_at(text->data, i, text->len, key, &open, &close)) {
			memmove(text->data + open + 1, text->data + close, text->len - close + 1);	/* with the NUL */
			text->len -= close - open - 1;
			i = open + 2;
		} else if (c == '"') {
			i = skip_string(text->data, i, text->len);
		} else {
			depth += c == '[' || c == '{';
			depth -= (c == ']' || c == '}') && depth > 0;
			i++;
		}
	}
}

/* ---- reading ---- */

const char *json_get_str(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

const char *json_get_str_or(const json_t *obj, const char *key, const char *otherwise)
{
	const char *s = json_get_str(obj, key);

	return s ? s : otherwise;
}

int64_t json_get_int(const json_t *obj, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) : otherwise;
}

double json_get_real(const json_t *obj, const char *key, double otherwise)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_number(v) ? json_number_value(v) : otherwise;
}

bool json_get_bool(const json_t *obj, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

int json_need_str(const json_t *obj, const char *key, const char **out, const char *what, struct err *e)
{
	const char *s = json_get_str(obj, key);

	if (!s)
		return err_set(e, ERR_INPUT, "%s: \"%s\" is missing or not a string", what, key);
	*out = s;
	return 0;
}

int json_need_int(const json_t *obj, const char *key, int64_t *out, const char *what, struct err *e)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_integer(v))
		return err_set(e, ERR_INPUT, "%s: \"%s\" is missing or not a whole number", what, key);
	*out = (int64_t)json_integer_value(v);
	return 0;
}

json_t *json_time(int64_t at)
{
	char text[STR_TIME_MAX];

	if (at == 0)
		return json_null();
	str_format_iso(text, at);
	return json_string(text);
}

#define FORM (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

static int append(const char *p, size_t n, void *b)
{
	return buf_add(b, p, n) < 0 ? -1 : 0;
}

int json_dump_to(json_dump_callback_t write, void *arg, const json_t *j)
{
	return json_dump_callback(j, write, arg, FORM);
}

int json_write(struct buf *b, const json_t *j)
{
	return json_dump_to(append, b, j) < 0 ? ERR_LIMIT : 0;
}

char *json_text(const json_t *j)
{
	char *s = json_dumps(j, FORM);

	if (!s)
		abort();
	return s;
}
