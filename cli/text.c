/* text.c - see text.h. */
#include "cli/text.h"

#include "base/str.h"

struct range {
	uint32_t from, to;
};

/* Characters without a column of their own: combining marks and joiners (the scripts that model cards and names really use). */
static const struct range zero_width[] = {
	{ 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd }, { 0x0610, 0x061a }, { 0x064b, 0x065f }, { 0x0900, 0x0902 },
	{ 0x093c, 0x093c }, { 0x0941, 0x0948 }, { 0x094d, 0x094d }, { 0x0e31, 0x0e31 }, { 0x0e34, 0x0e3a }, { 0x0e47, 0x0e4e },
	{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200d }, { 0x20d0, 0x20ff }, { 0x3099, 0x309a }, { 0xfe00, 0xfe0f },
	{ 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef },
};

/* Unicode's East Asian Wide and Fullwidth blocks, and emoji. */
static const struct range double_width[] = {
	{ 0x1100, 0x115f }, { 0x231a, 0x231b }, { 0x23e9, 0x23ec }, { 0x25fd, 0x25fe }, { 0x2614, 0x2615 }, { 0x2705, 0x2705 },
	{ 0x2728, 0x2728 }, { 0x274c, 0x274c }, { 0x2e80, 0x303e }, { 0x3041, 0x33ff }, { 0x3400, 0x4dbf }, { 0x4e00, 0x9fff },
	{ 0xa000, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 },
	{ 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1faff }, { 0x20000, 0x3fffd },
};

/* Marks that turn the writing direction or hide text: they could make one name look like another. */
static const struct range refused[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x061c, 0x061c }, { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
	{ 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
};

static bool within(const struct range *r, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n; i++)
		if (c >= r[i].from && c <= r[i].to)
			return true;
	return false;
}

/* Decodes one character of valid or broken UTF-8; its length, and -1 in *c where it is broken (then one byte long). */
static size_t decode(const char *s, uint32_t *c)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 0;
	char one[5] = "";

	*c = UINT32_MAX;
	if (!n || strnlen(s, n) < n)
		return 1;
	memcpy(one, s, n);
	if (!str_utf8_valid(one, n))
		return 1;
	*c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*c = *c << 6 | (p[i] & 0x3fu);
	return n;
}

static size_t columns_of(uint32_t c)
{
	if (within(zero_width, ARRAY_LEN(zero_width), c))
		return 0;
	return within(double_width, ARRAY_LEN(double_width), c) ? 2 : 1;
}

char *text_clean(const char *s)
{
	own(buf) struct buf b;
	uint32_t c;

	s = s ? s : "";
	buf_init(&b, strlen(s) + 1);	/* replacing never makes it longer */
	for (size_t n; *s; s += n) {
		n = decode(s, &c);
		if (c == UINT32_MAX || within(refused, ARRAY_LEN(refused), c))
			buf_putc(&b, c == '\n' || c == '\t' || c == '\r' ? ' ' : '?');
		else
			buf_add(&b, s, n);
	}
	return b.len ? buf_take(&b) : strdup("");
}

size_t text_width(const char *s)
{
	size_t width = 0;
	uint32_t c;

	for (; *s; s += decode(s, &c)) {
		decode(s, &c);
		width += columns_of(c);
	}
	return width;
}

void text_cut(char *s, size_t columns)
{
	size_t width = 0;
	char *p = s, *keep = s;
	uint32_t c;

	if (text_width(s) <= columns)
		return;
	/* keep is behind the last character that leaves a column for the mark. */
	while (*p) {
		size_t n = decode(p, &c);

		width += columns_of(c);
		if (width + 1 > columns)
			break;
		p += n;
		keep = p;
	}
	if (columns)
		memcpy(keep, "…", sizeof("…"));
	else
		*keep = 0;
}

void text_size(char out[TEXT_SHORT_MAX], int64_t bytes)
{
	char size[STR_SIZE_MAX];

	if (bytes >= 0)
		str_format_size(size, (uint64_t)bytes);
	snprintf(out, TEXT_SHORT_MAX, "%s", bytes < 0 ? "-" : size);
}

void text_params(char out[TEXT_SHORT_MAX], int64_t params)
{
	static const struct {
		double unit;
		const char *letter;
	} units[] = { { 1e12, "T" }, { 1e9, "B" }, { 1e6, "M" }, { 1e3, "K" } };

	if (params <= 0) {
		snprintf(out, TEXT_SHORT_MAX, "-");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		double v = (double)params / units[i].unit;

		if (v >= 1) {
			snprintf(out, TEXT_SHORT_MAX, "%.*f%s", v < 10 ? 2 : v < 100 ? 1 : 0, v, units[i].letter);
			return;
		}
	}
	snprintf(out, TEXT_SHORT_MAX, "%lld", (long long)params);
}

void text_duration(char out[TEXT_SHORT_MAX], int64_t s)
{
	long long n = s < 0 ? 0 : (long long)s;

	if (n < 60)
		snprintf(out, TEXT_SHORT_MAX, "%llds", n);
	else if (n < 3600)
		snprintf(out, TEXT_SHORT_MAX, "%lldm%02llds", n / 60, n % 60);
	else if (n < 86400)
		snprintf(out, TEXT_SHORT_MAX, "%lldh%02lldm", n / 3600, n % 3600 / 60);
	else
		snprintf(out, TEXT_SHORT_MAX, "%lldd%02lldh", n / 86400, n % 86400 / 3600);
}

void text_count(char out[TEXT_SHORT_MAX], int64_t n, const char *noun)
{
	snprintf(out, TEXT_SHORT_MAX, "%lld %s%s", (long long)n, noun, n == 1 ? "" : "s");
}
