/* str.c - see str.h. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <locale.h>
#include <math.h>
#include <wctype.h>

#include "base/vec.h"

#define NAME_MAX_NEAR 64	/* longer names are not compared by str_nearest */

int str_parse_u64(const char *s, uint64_t *out, struct err *e)
{
	uint64_t v = 0;

	if (!*s)
		return err_set(e, ERR_USAGE, "a number is missing");
	for (const char *p = s; *p; p++) {
		if (*p < '0' || *p > '9')
			return err_set(e, ERR_USAGE, "'%.40s' is not a whole number", s);
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return err_set(e, ERR_USAGE, "'%.40s' is too large", s);
	}
	*out = v;
	return 0;
}

struct unit {
	const char *name;
	double factor;
};

static const struct unit size_units[] = {
	{ "", 1 },	{ "B", 1 },	{ "K", 1e3 },	 { "KB", 1e3 },	  { "M", 1e6 },	 { "MB", 1e6 },	  { "G", 1e9 },	     { "GB", 1e9 },
	{ "T", 1e12 },	{ "TB", 1e12 }, { "KiB", 0x1p10 }, { "MiB", 0x1p20 }, { "GiB", 0x1p30 }, { "TiB", 0x1p40 }, { "PB", 1e15 },
};

static const struct unit time_units[] = {
	{ "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 }, { "w", 7 * 86400 }, { "y", 365 * 86400 },
};

/* A non-negative decimal number followed by one of the units (case does not matter, "kib" is KiB). */
static int parse_with_unit(const char *s, const struct unit *units, size_t n, double *out)
{
	char *end;
	double v;

	if (*s < '0' || *s > '9')
		return ERR_USAGE;
	errno = 0;
	v = strtod(s, &end);
	if (errno || !isfinite(v) || strcspn(s, "xXpPeE") < (size_t)(end - s))
		return ERR_USAGE;
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < n; i++) {
		if (!strcasecmp(end, units[i].name)) {
			*out = v * units[i].factor;
			return 0;
		}
	}
	return ERR_USAGE;
}

int str_parse_size(const char *s, uint64_t *bytes, struct err *e)
{
	double v;

	if (parse_with_unit(s, size_units, ARRAY_LEN(size_units), &v) < 0 || v >= 0x1p63)
		return err_set(e, ERR_USAGE, "'%.40s' is not a size: write it as 500M, 20GB or 1.5GiB", s);
	*bytes = (uint64_t)(v + 0.5);
	return 0;
}

int str_parse_duration(const char *s, int64_t *seconds, struct err *e)
{
	double v;

	if (parse_with_unit(s, time_units, ARRAY_LEN(time_units), &v) < 0 || v > 1e11)
		return err_set(e, ERR_USAGE, "'%.40s' is not a duration: write it as 90d, 6h, 30m or 15s", s);
	*seconds = (int64_t)(v + 0.5);
	return 0;
}

/* Reads exactly n digits. */
static bool digits(const char **p, int n, int *out)
{
	*out = 0;
	while (n--) {
		if (**p < '0' || **p > '9')
			return false;
		*out = *out * 10 + (*(*p)++ - '0');
	}
	return true;
}

static bool literal(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* "T12:00:00", an optional fraction, and "Z". */
static bool clock_part(const char **p, struct tm *tm)
{
	if (!literal(p, 'T') || !digits(p, 2, &tm->tm_hour) || !literal(p, ':') || !digits(p, 2, &tm->tm_min) || !literal(p, ':') ||
	    !digits(p, 2, &tm->tm_sec))
		return false;
	if (literal(p, '.'))
		while (**p >= '0' && **p <= '9')
			(*p)++;
	return literal(p, 'Z') && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

int str_parse_time(const char *s, int64_t *at, struct err *e)
{
	struct tm tm = { 0 }, back;
	const char *p = s;
	bool ok = digits(&p, 4, &tm.tm_year) && literal(&p, '-') && digits(&p, 2, &tm.tm_mon) && literal(&p, '-') && digits(&p, 2, &tm.tm_mday);
	time_t t;

	if (ok && *p)
		ok = clock_part(&p, &tm) && !*p;
	if (ok) {
		int day = tm.tm_mday, month = tm.tm_mon - 1;

		tm.tm_year -= 1900;
		tm.tm_mon = month;
		t = timegm(&tm);
		ok = gmtime_r(&t, &back) && back.tm_mday == day && back.tm_mon == month;	/* timegm turns February 30 into March, and month 13 into January */
	}
	if (!ok)
		return err_set(e, ERR_USAGE, "'%.40s' is not a date: write it as 2027-06-30", s);
	*at = t;
	return 0;
}

void str_format_size(char out[STR_SIZE_MAX], uint64_t bytes)
{
	static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 999.5 && i + 1 < ARRAY_LEN(names)) {
		v /= 1000;
		i++;
	}
	snprintf(out, STR_SIZE_MAX, i == 0 || v >= 99.5 ? "%.0f %s" : v >= 9.95 ? "%.1f %s" : "%.2f %s", v, names[i]);
}

static void format_time(char out[STR_TIME_MAX], int64_t at, const char *fmt)
{
	time_t t = (time_t)at;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, STR_TIME_MAX, fmt, &tm))
		snprintf(out, STR_TIME_MAX, "%lld", (long long)at);
}

void str_format_duration(char out[STR_SIZE_MAX], int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t i = 0;

	while (seconds % units[i].seconds)
		i++;
	snprintf(out, STR_SIZE_MAX, "%lld%c", (long long)(seconds / units[i].seconds), units[i].unit);
}

void str_format_iso(char out[STR_TIME_MAX], int64_t at)
{
	format_time(out, at, "%Y-%m-%dT%H:%M:%SZ");
}

void str_format_iso_ms(char out[STR_TIME_MAX], int64_t at)
{
	format_time(out, at, "%Y-%m-%dT%H:%M:%S.000Z");
}

void str_format_http_date(char out[STR_TIME_MAX], int64_t at)
{
	format_time(out, at, "%a, %d %b %Y %H:%M:%S GMT");	/* the programs never call setlocale, so names are English */
}

bool str_is_hex(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") == n && s[n] == 0;
}

void str_hex(char *out, const void *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = hex[b[i] >> 4];
		out[2 * i + 1] = hex[b[i] & 15];
	}
	out[2 * n] = 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int str_unhex(void *out, size_t n, const char *hex)
{
	unsigned char *b = out;

	if (strnlen(hex, 2 * n + 1) != 2 * n)
		return ERR_INPUT;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return ERR_INPUT;
		b[i] = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

bool str_starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && !memcmp(s + n - m, suffix, m);
}

bool str_glob(const char *pattern, const char *text)
{
	return fnmatch(pattern, text, FNM_NOESCAPE) == 0;
}

bool str_glob_nocase(const char *pattern, const char *text)
{
	return fnmatch(pattern, text, FNM_NOESCAPE | FNM_CASEFOLD) == 0;
}

static size_t edit_distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_NEAR + 1], n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

const char *str_nearest(const char *s, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t limit = strlen(s) / 3 + 2;

	for (size_t i = 0; i < n; i++) {
		size_t d;

		if (strlen(names[i]) > NAME_MAX_NEAR || strlen(s) > NAME_MAX_NEAR)
			continue;
		d = edit_distance(s, names[i]);
		if (d < limit) {
			limit = d;
			best = names[i];
		}
	}
	return best;
}

/* Length of the UTF-8 sequence at s (n bytes left), 0 when it is not valid: overlong, surrogate, past U+10FFFF, cut. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t cp;

	if (len == 0 || len > n)
		return 0;
	if (len == 1)
		return 1;
	cp = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	return cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000) ? 0 : len;
}

bool str_utf8_valid(const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t len = utf8_len((const unsigned char *)s + i, n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

bool str_has_word(const char *s)
{
	static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	locale_t chars = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	bool found = false;
	size_t len;

	for (; *s && !found; s += len) {
		wint_t c;

		if (!(len = utf8_len((const unsigned char *)s, strlen(s)))) {
			len = 1;
			continue;
		}
		c = (unsigned char)*s & lead[len];
		for (size_t i = 1; i < len; i++)
			c = c << 6 | ((unsigned char)s[i] & 0x3f);
		if (chars)
			found = iswalnum_l(c, chars);
		else	/* a system without that table: the Latin-1 signs and the blocks of blanks and punctuation are told apart all the same */
			found = c < 0x80 ? isalnum((int)c) : c >= 0xc0 && c != 0xfeff && (c < 0x2000 || c >= 0x3040);
	}
	if (chars)
		freelocale(chars);
	return found;
}

/* Is that the beginning of a character, up to the end of a text that was too long for its place? */
static bool is_cut(const unsigned char *s, size_t n)
{
	size_t want = s[0] > 0xf4 ? 0 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

	for (size_t i = 1; i < n; i++)
		if (s[i] >> 6 != 2)
			return false;
	return n < want;
}

bool str_percent_decode(char *s)
{
	char *out = s;

	for (; *s; s++) {
		int hi, lo;

		if (*s != '%') {
			*out++ = *s;
			continue;
		}
		hi = hex_digit(s[1]);
		lo = hi < 0 ? -1 : hex_digit(s[2]);
		if (lo < 0 || (hi | lo) == 0)
			return false;
		*out++ = (char)(hi << 4 | lo);
		s += 2;
	}
	*out = 0;
	return true;
}

char *str_percent_encode(const char *s, const char *keep)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = mem_zalloc(3 * strlen(s) + 1), *p = out;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) || strchr(keep, c)) {
			*p++ = (char)c;
		} else {
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		}
	}
	return out;
}

char *str_mend_utf8(char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_len((const unsigned char *)s + i, n - i);
		if (len)
			continue;
		if (is_cut((const unsigned char *)s + i, n - i)) {
			s[i] = '\0';
			break;
		}
		s[i] = '?';
		len = 1;
	}
	return s;
}

char *str_printable(char *s)
{
	str_mend_utf8(s);
	for (char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return s;
}
