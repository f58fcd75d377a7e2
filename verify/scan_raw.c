/*
 * scan_raw.c - files of numbers alone, that have no magic: OpenVINO's constants, which the .xml beside them describes, and llama.cpp's importance
 * matrices from before they were GGUFs. Asked about only what is no pickle, archive or program; nothing in these is ever run.
 * Rules: openvino.truncated imatrix.nonfinite
 */
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "verify/scan_parts.h"

#define XML_MAX_BYTES  ((size_t)64 << 20)
#define ENTRIES_MAX    1000000u
#define NAME_MAX_BYTES 1024u
#define FLOATS_AT_ONCE 65536u
#define PADDING_MAX    4096u

#define FAIL(in, rule, ...) report_reject((in)->r, rule, (in)->name, NULL, __VA_ARGS__)

/* ---- OpenVINO: NAME.bin beside NAME.xml ---- */

/* The .xml of the same name, NUL-terminated. False where there is none that is a plain file. */
static bool read_xml(const struct scan *in, struct buf *text)
{
	own(mem) char *path = NULL;
	own(fd) int fd = -1;
	struct stat st;

	if (in->nested || in->dirfd < 0 || !str_ends(in->name, ".bin"))
		return false;
	if (asprintf(&path, "%.*s.xml", (int)(strlen(in->name) - strlen(".bin")), in->name) < 0)
		abort();
	fd = fdio_open_beneath(in->dirfd, path, O_RDONLY | O_NONBLOCK, NULL);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fdio_slurp_fd(fd, path, text, NULL) == 0;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Is the document's element a network? */
static bool is_network(const char *text)
{
	const char *p = skip_blanks(str_starts(text, "\xef\xbb\xbf") ? text + 3 : text);

	while (str_starts(p, "<?") || str_starts(p, "<!--")) {
		const char *end = p[1] == '?' ? strstr(p, "?>") : strstr(p + 4, "-->");

		if (!end)
			return false;
		p = skip_blanks(end + (p[1] == '?' ? 2 : 3));
	}
	return str_starts(p, "<net") && strchr(" \t\r\n/>", p[4]) && p[4];
}

/* The number of an attribute (given with the blank before it and the quote behind it) of the tag that begins at p. */
static bool attribute(const char *p, const char *end, const char *name, uint64_t *out)
{
	const char *at = memmem(p, (size_t)(end - p), name, strlen(name));
	char digits[24];
	size_t n;

	if (!at)
		return false;
	at += strlen(name);
	n = strspn(at, "0123456789");
	if (n == 0 || n >= sizeof(digits) || at[n] != '"')
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)n, at);
	return str_parse_u64(digits, out, NULL) == 0;
}

/*
 * Where the last of the constants that it describes ends: <data element_type="f32" shape="2,3" offset="0" size="24"/>, in editions of old
 * without a type, or <weights offset="0" size="24"/>.
 */
static uint64_t constants_end(const char *text)
{
	uint64_t last = 0, offset, size;

	for (const char *p = text, *end; (p = strchr(p, '<')) && (end = strchr(p, '>')); p = end)
		if (attribute(p, end, " offset=\"", &offset) && attribute(p, end, " size=\"", &size)) {
			uint64_t to = offset + size < offset ? UINT64_MAX : offset + size;

			last = to > last ? to : last;
		}
	return last;
}

/* Is there nothing from `from` on but a few zeros that fill a block? */
static bool is_filled_up(struct bytes *b, uint64_t from)
{
	static const uint8_t zeros[PADDING_MAX];
	const uint8_t *p = b->size - from <= PADDING_MAX ? bytes_at(b, from, (size_t)(b->size - from)) : NULL;

	return p && memcmp(p, zeros, (size_t)(b->size - from)) == 0;
}

bool scan_openvino(const struct scan *in, struct bytes *b)
{
	own(buf) struct buf text;
	uint64_t end;

	buf_init(&text, XML_MAX_BYTES);
	if (!read_xml(in, &text) || !text.len || memchr(text.data, 0, text.len) || !is_network(text.data))
		return false;
	end = constants_end(text.data);
	if (end > b->size)
		FAIL(in, "openvino.truncated", "it ends at byte %llu, and its .xml describes constants up to %llu", (unsigned long long)b->size, (unsigned long long)end);
	return end > b->size || is_filled_up(b, end);
}

/* ---- importance matrices ---- */

static bool next_u32(struct bytes *b, uint64_t *pos, uint32_t max, uint32_t *out)
{
	const uint8_t *p = bytes_at(b, *pos, 4);

	*out = p ? bytes_le32(p) : 0;
	*pos += 4;
	return p && *out <= max;
}

/* A text with its length before it. */
static bool next_text(struct bytes *b, uint64_t *pos, uint32_t min)
{
	const uint8_t *p = NULL;
	uint32_t n;

	if (next_u32(b, pos, NAME_MAX_BYTES, &n) && n >= min)
		p = bytes_at(b, *pos, n);
	if (!p || memchr(p, 0, n) || !str_utf8_valid((const char *)p, n))
		return false;
	*pos += n;
	return true;
}

/* n floats, and how many of them are no sum of squares. */
static bool next_floats(struct bytes *b, uint64_t *pos, uint32_t n, uint64_t *bad)
{
	for (uint32_t done = 0, m; done < n; done += m) {
		const uint8_t *p;

		m = n - done < FLOATS_AT_ONCE ? n - done : FLOATS_AT_ONCE;
		p = bytes_at(b, *pos, m * sizeof(float));
		if (!p)
			return false;
		for (uint32_t i = 0; i < m; i++) {
			float v;

			memcpy(&v, p + i * sizeof(v), sizeof(v));
			*bad += !isfinite(v) || v < 0;
		}
		*pos += m * sizeof(float);
	}
	return true;
}

/* It has no magic, so it must be called one. Entries of (name, calls, values), then since 2024 the number of chunks and the name of the text; and nothing behind that. */
bool scan_imatrix(const struct scan *in, struct bytes *b)
{
	uint32_t entries, calls, n;
	uint64_t pos = 0, bad = 0;

	if (!strcasestr(in->name, "imatrix") || !next_u32(b, &pos, ENTRIES_MAX, &entries) || !entries)
		return false;
	for (uint32_t i = 0; i < entries; i++)
		if (!next_text(b, &pos, 1) || !next_u32(b, &pos, INT32_MAX, &calls) || !next_u32(b, &pos, INT32_MAX, &n) || !n || !next_floats(b, &pos, n, &bad))
			return false;
	if (pos != b->size && !(next_u32(b, &pos, INT32_MAX, &calls) && (pos == b->size || (next_text(b, &pos, 0) && pos == b->size))))
		return false;
	if (bad)
		FAIL(in, "imatrix.nonfinite", "%llu of the values that it gives for sums of squares are none", (unsigned long long)bad);
	return true;
}
