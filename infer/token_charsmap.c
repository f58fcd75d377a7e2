/*
 * token_charsmap.c - SentencePiece's precompiled map of characters: u32 size of the index in bytes, the index (a double array
 * of u32 units as the Darts-clone library lays it out), then the replacements, each ended by a NUL. Little endian.
 * A unit holds: bits 0-7 (and 31) its label, bit 8 "a value follows here", bits 10-30 an offset, shifted by 8 more when bit 9 is
 * set; a value unit has bit 31 set and the value below. Hostile until read: each step is checked against the array's length.
 */
#include <endian.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

struct token_charsmap {
	uint32_t *units;
	size_t n_units;
	char *text;		/* NUL behind the last */
	size_t n_text;
};

int token_charsmap_open(struct token_charsmap **out, const char *blob, size_t n, struct err *e)
{
	struct token_charsmap *m;
	uint32_t size;

	if (n < 4)
		return err_set(e, ERR_INPUT, "the precompiled map of characters has %zu bytes", n);
	memcpy(&size, blob, 4);
	size = le32toh(size);
	if (size > n - 4 || size % 4 || size == 0)
		return err_set(e, ERR_INPUT, "the precompiled map of characters claims an index of %u bytes, %zu are there", size, n - 4);
	if (!str_utf8_valid(blob + 4 + size, n - 4 - size))
		return err_set(e, ERR_INPUT, "the precompiled map of characters holds text that is not UTF-8");
	m = mem_zalloc(sizeof(*m));
	m->n_units = size / 4;
	m->units = mem_zalloc(size);
	memcpy(m->units, blob + 4, size);
	for (size_t i = 0; i < m->n_units; i++)
		m->units[i] = le32toh(m->units[i]);
	m->n_text = n - 4 - size;
	m->text = mem_zalloc(m->n_text + 1);
	memcpy(m->text, blob + 4 + size, m->n_text);
	*out = m;
	return 0;
}

void token_charsmap_free(struct token_charsmap *m)
{
	if (!m)
		return;
	free(m->units);
	free(m->text);
	free(m);
}

static uint32_t offset(uint32_t unit)
{
	return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* What the value of the node says; NULL for a broken index. A value may point into the middle of a replacement: its tail. */
static const char *value(const struct token_charsmap *m, size_t node)
{
	uint32_t v = node < m->n_units ? m->units[node] & 0x7fffffff : UINT32_MAX;

	return v <= m->n_text && ((unsigned char)m->text[v] & 0xc0) != 0x80 ? m->text + v : NULL;
}

const char *token_charsmap_find(const struct token_charsmap *m, const char *s, size_t n, bool longest, size_t *used)
{
	uint32_t unit = m->units[0];
	size_t node = offset(unit);
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned c = (unsigned char)s[i];

		node ^= c;
		if (node >= m->n_units)
			break;
		unit = m->units[node];
		if ((unit & (1u << 31 | 0xff)) != c)
			break;
		node ^= offset(unit);
		if (!(unit >> 8 & 1))
			continue;
		const char *at = value(m, node);
		if (!at)
			break;
		found = at;
		*used = i + 1;
		if (!longest)
			break;
	}
	return found;
}
