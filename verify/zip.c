/* zip.c - see zip.h. */
#include "verify/zip.h"

#include <zlib.h>

#include "base/vec.h"
#include "verify/path_check.h"

#define END_BYTES	22
#define END64_BYTES	56
#define LOCATOR64_BYTES 20
#define CENTRAL_BYTES	46
#define LOCAL_BYTES	30
#define COMMENT_MAX	65535
#define DESCRIPTOR_MAX	24	/* behind a member that was streamed */
#define CHUNK_BYTES	((size_t)65536)

#define SIG_LOCAL   0x04034b50u
#define SIG_CENTRAL 0x02014b50u
#define SIG_END	    0x06054b50u
#define SIG_END64   0x06064b50u
#define SIG_LOC64   0x07064b50u

#define FLAG_ENCRYPTED	1u
#define FLAG_STREAMED	8u
#define FLAG_STRONG	(1u << 6)
#define FLAG_MASKED	(1u << 13)
#define FLAGS_KNOWN	(FLAG_STREAMED | 6u | 1u << 11)	/* deflate's two hint bits, UTF-8 names */

#define FAIL(r, rule, ...) report_reject(r, rule, "zip", NULL, __VA_ARGS__)

struct end {
	uint64_t at;		/* of the (first) end record */
	uint64_t n, size, offset;	/* of the directory */
};

/* Counts end records in the tail whose comment fits the file exactly; *at is the first, or where the last signature stands. */
static int find_end(struct bytes *b, uint64_t *at, bool *more)
{
	uint64_t n = b->size < END_BYTES + COMMENT_MAX ? b->size : END_BYTES + COMMENT_MAX, from = b->size - n;
	const uint8_t *p = bytes_at(b, from, (size_t)n);
	int fitting = 0;

	*more = false;
	for (uint64_t i = 0; p && i + END_BYTES <= n; i++) {
		if (p[i] != 'P' || bytes_le32(p + i) != SIG_END)
			continue;
		if (i + END_BYTES + bytes_le16(p + i + 20) == n) {
			if (!fitting)
				*at = from + i;
			fitting++;
		} else if (fitting) {
			*more = true;	/* a record inside the comment of another */
		}
	}
	*more |= fitting > 1;
	return fitting;
}

bool zip_is(struct bytes *b)
{
	uint64_t at;
	bool more;

	return find_end(b, &at, &more) > 0;
}

/* ZIP64: where numbers are all ones, the true ones stand in a record before. */
static int read_end64(struct bytes *b, struct end *e, struct report *r)
{
	const uint8_t *p = e->at >= LOCATOR64_BYTES ? bytes_at(b, e->at - LOCATOR64_BYTES, LOCATOR64_BYTES) : NULL;
	uint64_t at;

	if (!p || bytes_le32(p) != SIG_LOC64)
		return 0;
	at = bytes_le64(p + 8);
	p = bytes_at(b, at, END64_BYTES);
	if (!p || bytes_le32(p) != SIG_END64 || at + END64_BYTES + LOCATOR64_BYTES != e->at)
		return FAIL(r, "zip.structure", "its ZIP64 end record is not where it should be");
	if (e->n != 0xffff && e->n != bytes_le64(p + 32))
		return FAIL(r, "zip.structure", "its two end records disagree");
	e->at = at;
	e->n = bytes_le64(p + 32);
	e->size = bytes_le64(p + 40);
	e->offset = bytes_le64(p + 48);
	return 0;
}

static int read_end(struct bytes *b, struct end *e, struct report *r)
{
	const uint8_t *p;
	bool more;
	int code;

	if (find_end(b, &e->at, &more) == 0)
		return FAIL(r, "zip.structure", "it has no end record, or bytes follow it");
	if (more)
		FAIL(r, "zip.structure", "it has two end records: readers disagree which is meant");
	p = bytes_at(b, e->at, END_BYTES);
	if (!p)
		return FAIL(r, "zip.structure", "its end can't be read");
	if (bytes_le16(p + 4) || bytes_le16(p + 6) || bytes_le16(p + 8) != bytes_le16(p + 10))
		FAIL(r, "zip.structure", "it is part of a set of disks");
	e->n = bytes_le16(p + 10);
	e->size = bytes_le32(p + 12);
	e->offset = bytes_le32(p + 16);
	code = read_end64(b, e, r);
	if (code < 0)
		return code;
	if (e->n > ZIP_ENTRIES_MAX)
		return FAIL(r, "zip.limit", "%llu members, %d are allowed", (unsigned long long)e->n, ZIP_ENTRIES_MAX);
	if (e->size > e->at || e->offset > e->at - e->size)
		return FAIL(r, "zip.structure", "its directory does not fit before its end");
	if (e->offset + e->size != e->at)
		return FAIL(r, "zip.prefix", "%llu bytes stand before it: other readers take those for the file", (unsigned long long)(e->at - e->size - e->offset));
	return 0;
}

/* The 8-byte values of the ZIP64 extra field, for those of the three that are all ones. */
static int widen(struct zip_member *m, const uint8_t *extra, size_t n, struct report *r)
{
	uint64_t *const wide[3] = { m->bytes == UINT32_MAX ? &m->bytes : NULL, m->packed_bytes == UINT32_MAX ? &m->packed_bytes : NULL,
				    m->local_at == UINT32_MAX ? &m->local_at : NULL };

	for (size_t i = 0; i + 4 <= n;) {
		size_t len = bytes_le16(extra + i + 2), at = i + 4;

		if (len > n - at)
			return FAIL(r, "zip.structure", "'%.200s' has an extra field that is cut", m->name);
		for (size_t k = 0; bytes_le16(extra + i) == 1 && k < 3; k++) {
			if (!wide[k])
				continue;
			if (at + 8 > i + 4 + len)
				return FAIL(r, "zip.structure", "'%.200s' has a short ZIP64 field", m->name);
			*wide[k] = bytes_le64(extra + at);
			at += 8;
		}
		i += 4 + len;
	}
	return 0;
}

static int read_central(struct bytes *b, struct zip *z, uint64_t *pos, uint64_t end, struct report *r)
{
	const uint8_t *p = bytes_at(b, *pos, CENTRAL_BYTES);
	struct zip_member *m;
	size_t name, extra, comment;
	int code;

	if (!p || end - *pos < CENTRAL_BYTES || bytes_le32(p) != SIG_CENTRAL)
		return FAIL(r, "zip.structure", "its directory is cut short");
	m = vec_push(&z->members, &z->n, &z->cap);
	m->flags = (uint16_t)bytes_le16(p + 8);
	m->method = (uint16_t)bytes_le16(p + 10);
	m->crc = bytes_le32(p + 16);
	m->packed_bytes = bytes_le32(p + 20);
	m->bytes = bytes_le32(p + 24);
	m->local_at = bytes_le32(p + 42);
	name = bytes_le16(p + 28);
	extra = bytes_le16(p + 30);
	comment = bytes_le16(p + 32);
	if (end - *pos - CENTRAL_BYTES < name + extra + comment)
		return FAIL(r, "zip.structure", "its directory is cut short");
	p = bytes_at(b, *pos + CENTRAL_BYTES, name + extra);
	if (!p)
		return FAIL(r, "zip.structure", "its directory can't be read");
	m->name = mem_strndup((const char *)p, name);
	path_check(m->name, name, r);
	code = widen(m, p + name, extra, r);
	*pos += CENTRAL_BYTES + name + extra + comment;
	return code;
}

static int check_local(struct bytes *b, struct zip_member *m, uint64_t directory_at, struct report *r)
{
	const uint8_t *p = m->local_at < directory_at ? bytes_at(b, m->local_at, LOCAL_BYTES) : NULL;
	bool streamed = m->flags & FLAG_STREAMED;
	size_t name, extra;

	if (!p || bytes_le32(p) != SIG_LOCAL)
		return FAIL(r, "zip.structure", "'%.200s' has no local header where its entry says", m->name);
	name = bytes_le16(p + 26);
	extra = bytes_le16(p + 28);
	m->data_at = m->local_at + LOCAL_BYTES + name + extra;
	if (bytes_le16(p + 6) != m->flags || bytes_le16(p + 8) != m->method)
		FAIL(r, "zip.flags", "'%.200s' has other flags or another method in its local header", m->name);
	if (m->flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED))
		FAIL(r, "zip.encrypted", "'%.200s' is encrypted", m->name);
	else if (m->flags & ~FLAGS_KNOWN)
		FAIL(r, "zip.flags", "'%.200s' has unknown flags 0x%04x", m->name, m->flags);
	if (bytes_le32(p + 14) != m->crc && !(streamed && bytes_le32(p + 14) == 0))
		FAIL(r, "zip.crc", "'%.200s' has another checksum in its local header", m->name);
	if ((bytes_le32(p + 22) != m->bytes && bytes_le32(p + 22) != UINT32_MAX && !(streamed && bytes_le32(p + 22) == 0)) ||
	    (bytes_le32(p + 18) != m->packed_bytes && bytes_le32(p + 18) != UINT32_MAX && !(streamed && bytes_le32(p + 18) == 0)))
		FAIL(r, "zip.size", "'%.200s' has another size in its local header", m->name);
	p = bytes_at(b, m->local_at + LOCAL_BYTES, name);
	if (!p || name != strlen(m->name) || memcmp(p, m->name, name))
		FAIL(r, "zip.mismatch", "'%.200s' has another name in its local header", m->name);
	if (m->data_at > directory_at || m->packed_bytes > directory_at - m->data_at)
		return FAIL(r, "zip.size", "'%.200s' reaches into the directory", m->name);
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct zip_member *x = *(const struct zip_member *const *)a, *y = *(const struct zip_member *const *)b;

	return x->local_at < y->local_at ? -1 : x->local_at > y->local_at;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct zip_member *const *)a)->name, (*(const struct zip_member *const *)b)->name);
}

static void check_names(struct zip *z, struct report *r)
{
	z->by_name = mem_zalloc((z->n + 1) * sizeof(*z->by_name));
	for (size_t i = 0; i < z->n; i++)
		z->by_name[i] = &z->members[i];
	if (z->n)
		qsort(z->by_name, z->n, sizeof(*z->by_name), by_name);
	for (size_t i = 1; i < z->n; i++)
		if (!strcmp(z->by_name[i]->name, z->by_name[i - 1]->name))
			FAIL(r, "zip.duplicate", "'%.200s' is there twice: readers choose differently", z->by_name[i]->name);
}

static void check_order(struct zip *z, struct report *r)
{
	own(mem) const struct zip_member **m = mem_zalloc((z->n + 1) * sizeof(*m));
	uint64_t end = 0;

	for (size_t i = 0; i < z->n; i++)
		m[i] = &z->members[i];
	if (z->n)
		qsort(m, z->n, sizeof(*m), by_place);
	for (size_t i = 0; i < z->n; i++) {
		if (i == 0 && m[i]->local_at > 0) {
			FAIL(r, "zip.prefix", "%llu bytes stand before its first member", (unsigned long long)m[i]->local_at);
		} else if (m[i]->local_at < end) {
			FAIL(r, "zip.overlap", "'%.200s' overlaps the member before it", m[i]->name);
			z->overlaps = true;
		} else if (m[i]->local_at - end > DESCRIPTOR_MAX) {
			report_flag(r, "zip.gap", "%llu bytes before '%.200s' belong to no member", (unsigned long long)(m[i]->local_at - end), m[i]->name);
		}
		end = m[i]->data_at + m[i]->packed_bytes;
	}
	if (z->n && z->directory_at > end && z->directory_at - end > DESCRIPTOR_MAX)
		report_flag(r, "zip.gap", "%llu bytes before the directory belong to no member", (unsigned long long)(z->directory_at - end));
}

int zip_open(struct zip *z, struct bytes *b, struct report *r)
{
	struct end e = { 0 };
	uint64_t pos;
	int code = read_end(b, &e, r);

	*z = (struct zip){ .directory_at = e.offset, .end_at = e.at };
	if (code < 0)
		return code;
	pos = e.offset;
	for (uint64_t i = 0; i < e.n; i++) {
		code = read_central(b, z, &pos, e.at, r);
		if (code < 0)
			return code;
	}
	if (pos != e.at)
		FAIL(r, "zip.structure", "its directory has %llu bytes more than its %llu members need", (unsigned long long)(e.at - pos), (unsigned long long)e.n);
	for (size_t i = 0; i < z->n; i++) {
		code = check_local(b, &z->members[i], z->directory_at, r);
		if (code < 0)
			return code;
	}
	check_names(z, r);
	check_order(z, r);
	return 0;
}

void zip_close(struct zip *z)
{
	for (size_t i = 0; i < z->n; i++)
		free(z->members[i].name);
	free(z->members);
	free(z->by_name);
	*z = (struct zip){ 0 };
}

const struct zip_member *zip_find(const struct zip *z, const char *name)
{
	const struct zip_member want = { .name = (char *)(uintptr_t)name }, *p = &want;
	const struct zip_member **hit = z->n && z->by_name ? bsearch(&p, z->by_name, z->n, sizeof(*z->by_name), by_name) : NULL;

	return hit ? *hit : NULL;
}

/* ---- members ---- */

struct output {
	struct buf *keep;
	size_t most;	/* to keep */
	uint64_t n;
	uint32_t crc;
};

static void emit(struct output *o, const uint8_t *p, size_t n)
{
	o->crc = (uint32_t)crc32(o->crc, p, (uInt)n);
	o->n += n;
	if (o->keep && o->keep->len < o->most)
		buf_add(o->keep, p, n < o->most - o->keep->len ? n : o->most - o->keep->len);
}

static int copy_stored(struct bytes *b, const struct zip_member *m, struct output *o, struct report *r)
{
	for (uint64_t done = 0; done < m->packed_bytes;) {
		size_t n = m->packed_bytes - done < BYTES_WINDOW ? (size_t)(m->packed_bytes - done) : BYTES_WINDOW;
		const uint8_t *p = bytes_at(b, m->data_at + done, n);

		if (!p)
			return FAIL(r, "zip.size", "'%.200s' can't be read", m->name);
		emit(o, p, n);
		done += n;
	}
	return 0;
}

/* One chunk of input through the inflater. 1 when the stream ends there. */
static int inflate_chunk(z_stream *s, const struct zip_member *m, struct output *o, struct report *r)
{
	uint8_t out[CHUNK_BYTES];
	int code = Z_OK;

	while (code == Z_OK && (s->avail_in || s->avail_out == 0)) {
		s->next_out = out;
		s->avail_out = sizeof(out);
		code = inflate(s, Z_NO_FLUSH);
		if (code == Z_BUF_ERROR)
			return 0;
		if (code != Z_OK && code != Z_STREAM_END)
			return FAIL(r, "zip.structure", "'%.200s' is no deflated stream", m->name);
		emit(o, out, sizeof(out) - s->avail_out);
		if (o->n > m->bytes)	/* the output is bounded by what is declared, never by what comes */
			return FAIL(r, "zip.size", "'%.200s' inflates to more than the %llu bytes declared", m->name, (unsigned long long)m->bytes);
	}
	return code == Z_STREAM_END;
}

static int copy_deflated(struct bytes *b, const struct zip_member *m, struct output *o, struct report *r)
{
	z_stream s = { 0 };
	int code = 0;

	if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
		return FAIL(r, "zip.limit", "no memory to inflate");
	for (uint64_t done = 0; code == 0 && done < m->packed_bytes;) {
		size_t n = m->packed_bytes - done < CHUNK_BYTES ? (size_t)(m->packed_bytes - done) : CHUNK_BYTES;
		const uint8_t *p = bytes_at(b, m->data_at + done, n);

		if (!p)
			code = FAIL(r, "zip.size", "'%.200s' can't be read", m->name);
		s.next_in = (Bytef *)(uintptr_t)p;
		s.avail_in = (uInt)n;
		s.avail_out = 0;
		if (p)
			code = inflate_chunk(&s, m, o, r);
		done += n;
		if (code == 1 && (done < m->packed_bytes || s.avail_in))
			code = FAIL(r, "zip.size", "'%.200s' ends before its packed bytes do", m->name);
	}
	inflateEnd(&s);
	if (code == 0 && m->packed_bytes)
		return FAIL(r, "zip.size", "'%.200s' ends inside its deflated stream", m->name);
	return code < 0 ? code : 0;
}

int zip_read(struct bytes *b, const struct zip_member *m, struct buf *out, size_t keep, struct report *r)
{
	struct output o = { .keep = out, .most = keep, .crc = (uint32_t)crc32(0, NULL, 0) };
	int code;

	if (m->bytes > ZIP_OUT_MAX)
		return FAIL(r, "zip.limit", "'%.200s' is said to have %llu bytes", m->name, (unsigned long long)m->bytes);
	if (m->bytes > ZIP_RATIO_FROM && m->bytes / ZIP_RATIO_MAX > m->packed_bytes)
		return FAIL(r, "zip.ratio", "'%.200s' unpacks %llu bytes to %llu", m->name, (unsigned long long)m->packed_bytes, (unsigned long long)m->bytes);
	if (m->method == 0)
		code = m->packed_bytes == m->bytes ? copy_stored(b, m, &o, r) : FAIL(r, "zip.size", "'%.200s' is stored with two sizes", m->name);
	else if (m->method == 8)
		code = copy_deflated(b, m, &o, r);
	else
		code = FAIL(r, "zip.method", "'%.200s' is packed with method %u", m->name, m->method);
	if (code < 0)
		return code;
	if (o.n != m->bytes)
		return FAIL(r, "zip.size", "'%.200s' has %llu bytes, %llu are declared", m->name, (unsigned long long)o.n, (unsigned long long)m->bytes);
	if (o.crc != m->crc)
		return FAIL(r, "zip.crc", "'%.200s' has checksum %08x, %08x is declared", m->name, o.crc, m->crc);
	return 0;
}
