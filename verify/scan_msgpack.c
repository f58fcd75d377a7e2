/*
 * scan_msgpack.c - Flax's checkpoints: msgpack with extension types 1 (array), 2 (complex), 3 (scalar). Nesting and lengths are checked, nothing
 * is built. Rules: msgpack.depth msgpack.length msgpack.type msgpack.trailing, flag msgpack.ext.
 */
#include "verify/scan_parts.h"

#define DEPTH_MAX 64
#define FAIL(r, rule, ...) report_reject(r, rule, "msgpack", NULL, __VA_ARGS__)

struct reader {
	struct bytes *b;
	struct report *r;
	uint64_t pos;
};

static int take_uint(struct reader *rd, size_t n, uint64_t *v)
{
	const uint8_t *p = bytes_at(rd->b, rd->pos, n);

	if (!p)
		return FAIL(rd->r, "msgpack.length", "it ends at byte %llu inside a value", (unsigned long long)rd->b->size);
	*v = 0;
	for (size_t i = 0; i < n; i++)
		*v = *v << 8 | p[i];
	rd->pos += n;
	return 0;
}

static int skip(struct reader *rd, uint64_t n)
{
	if (n > rd->b->size - rd->pos)
		return FAIL(rd->r, "msgpack.length", "a value of %llu bytes where %llu are left", (unsigned long long)n, (unsigned long long)(rd->b->size - rd->pos));
	rd->pos += n;
	return 0;
}

static int ext(struct reader *rd, uint64_t n)
{
	uint64_t type = 0;
	int code = take_uint(rd, 1, &type);

	if (code == 0 && (type < 1 || type > 3) && type != 0xff)
		report_flag(rd->r, "msgpack.ext", "an extension of type %llu", (unsigned long long)type);
	return code < 0 ? code : skip(rd, n);
}

/* How a first byte from 0xc0 up goes on: bytes of a length or number, and what follows. */
enum shape { S_BAD, S_NONE, S_SKIP, S_BYTES, S_EXT, S_FIXEXT, S_ARRAY, S_MAP };

static const struct {
	enum shape shape;
	uint8_t n;
} shapes[32] = {
	{ S_NONE, 0 },	 { S_BAD, 0 },	  { S_NONE, 0 },   { S_NONE, 0 },  { S_BYTES, 1 }, { S_BYTES, 2 }, { S_BYTES, 4 }, { S_EXT, 1 },
	{ S_EXT, 2 },	 { S_EXT, 4 },	  { S_SKIP, 4 },   { S_SKIP, 8 },  { S_SKIP, 1 },  { S_SKIP, 2 },  { S_SKIP, 4 },  { S_SKIP, 8 },
	{ S_SKIP, 1 },	 { S_SKIP, 2 },	  { S_SKIP, 4 },   { S_SKIP, 8 },  { S_FIXEXT, 1 }, { S_FIXEXT, 2 }, { S_FIXEXT, 4 }, { S_FIXEXT, 8 },
	{ S_FIXEXT, 16 }, { S_BYTES, 1 }, { S_BYTES, 2 }, { S_BYTES, 4 }, { S_ARRAY, 2 }, { S_ARRAY, 4 }, { S_MAP, 2 },   { S_MAP, 4 },
};

/* One value without what it contains; *inside says how many values follow that are part of it. */
static int value(struct reader *rd, uint64_t *inside)
{
	uint64_t c = 0, n = 0;
	int code = take_uint(rd, 1, &c);

	*inside = 0;
	if (code < 0 || c < 0x80 || c >= 0xe0)
		return code;
	if (c < 0xa0) {
		*inside = (c & 15) * (c < 0x90 ? 2 : 1);
		return 0;
	}
	if (c < 0xc0)
		return skip(rd, c & 31);
	switch (shapes[c - 0xc0].shape) {
	case S_NONE:
		return 0;
	case S_SKIP:
		return skip(rd, shapes[c - 0xc0].n);
	case S_FIXEXT:
		return ext(rd, shapes[c - 0xc0].n);
	case S_BAD:
		return FAIL(rd->r, "msgpack.type", "a value of type 0x%02llx", (unsigned long long)c);
	default:
		break;
	}
	code = take_uint(rd, shapes[c - 0xc0].n, &n);
	if (code < 0)
		return code;
	if (shapes[c - 0xc0].shape == S_BYTES)
		return skip(rd, n);
	if (shapes[c - 0xc0].shape == S_EXT)
		return ext(rd, n);
	*inside = shapes[c - 0xc0].shape == S_MAP ? 2 * n : n;
	if (*inside > rd->b->size - rd->pos)
		return FAIL(rd->r, "msgpack.length", "%llu values in %llu bytes", (unsigned long long)*inside, (unsigned long long)(rd->b->size - rd->pos));
	return 0;
}

void scan_msgpack(struct bytes *b, struct report *r)
{
	struct reader rd = { .b = b, .r = r };
	uint64_t open[DEPTH_MAX] = { 1 };
	int depth = 0;

	while (depth >= 0) {
		uint64_t inside;

		if (open[depth] == 0) {
			depth--;
			continue;
		}
		open[depth]--;
		if (value(&rd, &inside) < 0)
			return;
		if (inside && ++depth >= DEPTH_MAX) {
			FAIL(r, "msgpack.depth", "nested deeper than %d", DEPTH_MAX);
			return;
		}
		if (inside)
			open[depth] = inside;
	}
	if (rd.pos < b->size)
		FAIL(r, "msgpack.trailing", "%llu bytes follow its value", (unsigned long long)(b->size - rd.pos));
}
