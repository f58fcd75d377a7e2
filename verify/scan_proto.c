/* scan_proto.c - protocol buffers read field by field: every length against what is left, every varint at most ten bytes. */
#include "verify/scan_parts.h"

#define VARINT_MAX_BYTES 10
#define FAIL(r, rule, ...) report_reject(r, rule, "proto", NULL, __VA_ARGS__)

static int varint(struct bytes *b, uint64_t *pos, uint64_t end, uint64_t *v, struct report *r)
{
	*v = 0;
	for (unsigned i = 0; i < VARINT_MAX_BYTES; i++) {
		const uint8_t *p = *pos < end ? bytes_at(b, *pos, 1) : NULL;

		if (!p)
			return FAIL(r, "proto.length", "it ends inside a number at byte %llu", (unsigned long long)*pos);
		(*pos)++;
		*v |= (uint64_t)(*p & 0x7f) << (7 * i);
		if (!(*p & 0x80))
			return 0;
	}
	return FAIL(r, "proto.varint", "a number of more than %d bytes before byte %llu", VARINT_MAX_BYTES, (unsigned long long)*pos);
}

int scan_proto_next(struct bytes *b, uint64_t *pos, uint64_t end, struct scan_field *f, struct report *r)
{
	uint64_t tag;
	int code;

	if (*pos >= end)
		return 0;
	code = varint(b, pos, end, &tag, r);
	if (code < 0)
		return code;
	if (tag >> 3 == 0 || tag >> 3 > 536870911)
		return FAIL(r, "proto.tag", "a field of number %llu before byte %llu", (unsigned long long)(tag >> 3), (unsigned long long)*pos);
	*f = (struct scan_field){ .number = (uint32_t)(tag >> 3), .wire = tag & 7, .at = *pos };
	switch (f->wire) {
	case 0:
		code = varint(b, pos, end, &f->value, r);
		return code < 0 ? code : 1;
	case 1:
		f->n = 8;
		break;
	case 2:
		code = varint(b, pos, end, &f->n, r);
		if (code < 0)
			return code;
		f->at = *pos;
		break;
	case 5:
		f->n = 4;
		break;
	default:
		return FAIL(r, "proto.wire", "a field of wire type %u before byte %llu", f->wire, (unsigned long long)*pos);
	}
	if (f->n > end - *pos)
		return FAIL(r, "proto.length", "a field of %llu bytes where %llu are left", (unsigned long long)f->n, (unsigned long long)(end - *pos));
	*pos += f->n;
	return 1;
}

bool scan_proto_text(struct bytes *b, const struct scan_field *f, char *out, size_t cap)
{
	const uint8_t *p = f->wire == 2 && f->n < cap ? bytes_at(b, f->at, (size_t)f->n) : NULL;

	if (!p || memchr(p, 0, (size_t)f->n))
		return false;
	memcpy(out, p, (size_t)f->n);
	out[f->n] = 0;
	return true;
}
