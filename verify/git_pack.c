/* git_pack.c - reading a pack; see git_pack.h. The walk over its trees is git_manifest.c. */
#include "verify/git_pack.h"

#include "base/vec.h"
#include "verify/git_input.h"

#define HEADER_BYTES  12
#define TRAILER_BYTES 20

enum { PACK_OFS_DELTA = 6, PACK_REF_DELTA = 7 };

#define ID_BYTES      20
#define NO_OBJECT     UINT32_MAX

/* A commit of 100,000 files brings as many objects: they are kept small. */
struct object {
	void *data;		/* the content, or the delta until resolved; of a pointer the struct git_pointer that it says */
	uint32_t n;		/* bytes of the content or delta */
	uint32_t offset;	/* of its header in the pack: what OFS_DELTA counts from */
	uint32_t base;		/* index of the base object, NO_OBJECT while unknown */
	unsigned char id[ID_BYTES];	/* of a REF_DELTA its base's, until resolved */
	uint16_t depth;		/* deltas below it */
	uint8_t pack_type;	/* a git_type, or one of the two deltas until resolved */
	bool resolved : 1, is_pointer : 1;
};

_Static_assert(GIT_PACK_MAX_BYTES < UINT32_MAX && GIT_OBJECT_MAX_BYTES < UINT32_MAX && GIT_PACK_OBJECTS_MAX < NO_OBJECT && GIT_DELTA_DEPTH_MAX < UINT16_MAX,
	       "offsets, sizes, indices and depths fit");

struct git_pack {
	struct object *objects;
	size_t n;
	size_t inflated;	/* bytes held, against GIT_PACK_INFLATED_MAX */
	uint32_t *by_id;	/* indices of resolved objects in order of id */
	size_t n_resolved;
};

/* Reserves n bytes of content within the limits. */
static unsigned char *hold(struct git_pack *p, size_t n, struct err *e)
{
	unsigned char *data;

	if (n > GIT_OBJECT_MAX_BYTES || n > GIT_PACK_INFLATED_MAX - p->inflated) {
		err_set(e, ERR_LIMIT, "git pack holds more than is read: an object of %zu bytes, %zu before it", n, p->inflated);
		return NULL;
	}
	data = malloc(n + 1);
	if (!data)
		abort();
	data[n] = 0;
	p->inflated += n;
	return data;
}

/* Type and inflated size: 3 bits and 4 bits, then 7 bits a byte. */
static int read_header(struct git_input *in, int *type, uint64_t *size, struct err *e)
{
	unsigned shift = 4;
	unsigned char c;
	int rc = git_input_byte(in, &c, e);

	if (rc < 0)
		return rc;
	*type = c >> 4 & 7;
	*size = c & 15;
	while (c & 0x80) {
		if ((rc = git_input_byte(in, &c, e)) < 0)
			return rc;
		if (shift > 40)
			return err_set(e, ERR_INPUT, "git pack has an object of an impossible size");
		*size |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	}
	return 0;
}

/* The distance back to an OFS_DELTA's base: big-endian, 7 bits a byte, one added for each continuation. */
static int read_distance(struct git_input *in, uint64_t *out, struct err *e)
{
	uint64_t v = 0;
	unsigned char c;
	int rc;

	do {
		if ((rc = git_input_byte(in, &c, e)) < 0)
			return rc;
		if (v > UINT64_MAX >> 8)
			return err_set(e, ERR_INPUT, "git pack has a delta with an impossible base");
		v = v << 7 | (c & 0x7f);
		if (c & 0x80)
			v++;
	} while (c & 0x80);
	*out = v;
	return 0;
}

/* The object that begins at this offset, by bisection: objects come in offset order. */
static uint32_t at_offset(const struct git_pack *p, size_t n, size_t offset)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->objects[mid].offset < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && p->objects[lo].offset == offset ? (uint32_t)lo : NO_OBJECT;
}

static int read_base(struct git_pack *p, struct git_input *in, size_t i, struct err *e)
{
	struct object *o = &p->objects[i];
	uint64_t distance;
	int rc;

	o->base = NO_OBJECT;
	if (o->pack_type == PACK_REF_DELTA)
		return git_input_bytes(in, o->id, ID_BYTES, e);
	rc = read_distance(in, &distance, e);
	if (rc < 0)
		return rc;
	if (distance <= o->offset)
		o->base = at_offset(p, i, o->offset - (size_t)distance);
	if (o->base == NO_OBJECT)
		return err_set(e, ERR_INPUT, "git pack has a delta whose base is not an object");
	return 0;
}

static int read_object(struct git_pack *p, struct git_input *in, size_t i, struct err *e)
{
	struct object *o = &p->objects[i];
	uint64_t size;
	int rc, type;

	o->offset = (uint32_t)git_input_at(in);
	rc = read_header(in, &type, &size, e);
	if (rc < 0)
		return rc;
	if (type == 0 || type == 5)
		return err_set(e, ERR_INPUT, "git pack has an object of unknown type %d", type);
	o->pack_type = (uint8_t)type;
	if (o->pack_type >= PACK_OFS_DELTA) {
		rc = read_base(p, in, i, e);
		if (rc < 0)
			return rc;
	}
	o->data = size > GIT_OBJECT_MAX_BYTES ? hold(p, SIZE_MAX, e) : hold(p, (size_t)size, e);
	if (!o->data)
		return ERR_LIMIT;
	o->n = (uint32_t)size;
	return git_input_inflate(in, o->data, o->n, e);
}

/* A size inside a delta: 7 bits a byte, least first. */
static int delta_size(const unsigned char **d, const unsigned char *end, uint64_t *out, struct err *e)
{
	unsigned shift = 0;
	uint64_t v = 0;
	unsigned char c;

	do {
		if (*d == end || shift > 42)
			return err_set(e, ERR_INPUT, "git pack has a damaged delta");
		c = *(*d)++;
		v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while (c & 0x80);
	*out = v;
	return 0;
}

/* The little-endian number of which bits of `mask` name the bytes that are there. False when the delta ends first. */
static bool delta_number(const unsigned char **d, const unsigned char *end, unsigned mask, unsigned n_bytes, size_t *out)
{
	*out = 0;
	for (unsigned i = 0; i < n_bytes; i++) {
		if (!(mask >> i & 1))
			continue;
		if (*d == end)
			return false;
		*out |= (size_t)*(*d)++ << (8 * i);
	}
	return true;
}

/* What an object holds; text is where a pointer's is written. */
static const unsigned char *content(const struct object *o, char text[GIT_POINTER_MAX])
{
	if (!o->is_pointer)
		return o->data;
	git_pointer_text(text, o->data);
	return (const unsigned char *)text;
}

/* Runs copy and insert instructions until the delta ends; false when one steps outside. */
static bool run_delta(const unsigned char *d, const unsigned char *end, const struct object *base, unsigned char *out, size_t n)
{
	char text[GIT_POINTER_MAX];
	const unsigned char *from = content(base, text);

	size_t at = 0;

	while (d < end) {
		unsigned op = *d++;
		size_t offset = 0, len = op;

		if (op & 0x80) {
			if (!delta_number(&d, end, op & 15, 4, &offset) || !delta_number(&d, end, op >> 4 & 7, 3, &len))
				return false;
			if (len == 0)
				len = 0x10000;
			if (offset > base->n || len > base->n - offset || len > n - at)
				return false;
			memcpy(out + at, from + offset, len);
		} else {
			if (len == 0 || len > (size_t)(end - d) || len > n - at)
				return false;
			memcpy(out + at, d, len);
			d += len;
		}
		at += len;
	}
	return at == n;
}

static int apply_delta(struct git_pack *p, struct object *o, const struct object *base, struct err *e)
{
	const unsigned char *d = o->data, *end = d + o->n;
	uint64_t base_size, size;
	unsigned char *out;

	if (delta_size(&d, end, &base_size, e) < 0 || delta_size(&d, end, &size, e) < 0)
		return ERR_INPUT;
	if (base_size != base->n)
		return err_set(e, ERR_INPUT, "git pack has a delta for a base of another size");
	if (base->depth + 1 > GIT_DELTA_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "git pack has a chain of more than %d deltas", GIT_DELTA_DEPTH_MAX);
	out = size > GIT_OBJECT_MAX_BYTES ? hold(p, SIZE_MAX, e) : hold(p, (size_t)size, e);
	if (!out)
		return ERR_LIMIT;
	if (!run_delta(d, end, base, out, (size_t)size)) {
		free(out);
		return err_set(e, ERR_INPUT, "git pack has a damaged delta");
	}
	p->inflated -= o->n;
	free(o->data);
	o->data = out;
	o->n = (uint32_t)size;
	o->pack_type = base->pack_type;
	o->depth = (uint16_t)(base->depth + 1);
	return 0;
}

static int compare_id(const void *a, const void *b, void *arg)
{
	const struct git_pack *p = arg;

	return memcmp(p->objects[*(const uint32_t *)a].id, p->objects[*(const uint32_t *)b].id, ID_BYTES);
}

static uint32_t find_index(const struct git_pack *p, const unsigned char *id)
{
	size_t lo = 0, hi = p->n_resolved;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = memcmp(p->objects[p->by_id[mid]].id, id, ID_BYTES);

		if (c == 0)
			return p->by_id[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NO_OBJECT;
}

/* A pointer's text, of which there is one valid form, takes three times the room of what it says. */
static void shrink_pointer(struct git_pack *p, struct object *o)
{
	struct git_pointer pointer;

	if (o->pack_type != GIT_BLOB || git_pointer_parse(&pointer, o->data, o->n, NULL))
		return;
	p->inflated -= o->n;
	free(o->data);
	o->data = mem_zalloc(sizeof(pointer));
	*(struct git_pointer *)o->data = pointer;
	o->is_pointer = true;
}

/* Resolves i if its base is; *progress is set when it did. REF_DELTA bases are looked up among those named in earlier rounds. */
static int resolve(struct git_pack *p, size_t i, bool *progress, struct err *e)
{
	struct object *o = &p->objects[i];
	struct digest id;
	int rc = 0;

	if (o->resolved)
		return 0;
	if (o->pack_type >= PACK_OFS_DELTA) {
		if (o->base == NO_OBJECT)
			o->base = find_index(p, o->id);
		if (o->base == NO_OBJECT || !p->objects[o->base].resolved)
			return 0;
		rc = apply_delta(p, o, &p->objects[o->base], e);
	}
	if (rc == 0) {
		git_object_id(&id, (enum git_type)o->pack_type, o->data, o->n);
		memcpy(o->id, id.bytes, ID_BYTES);
		shrink_pointer(p, o);
		o->resolved = *progress = true;
	}
	return rc;
}

/* Those that have their names, in the order of these. */
static void sort_resolved(struct git_pack *p)
{
	p->n_resolved = 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->objects[i].resolved)
			p->by_id[p->n_resolved++] = (uint32_t)i;
	qsort_r(p->by_id, p->n_resolved, sizeof(*p->by_id), compare_id, p);
}

/* Rounds over all objects until every one has its name. A round that names none means that a base is missing. */
static int resolve_all(struct git_pack *p, struct err *e)
{
	p->by_id = mem_zalloc(p->n * sizeof(*p->by_id));
	sort_resolved(p);
	for (unsigned round = 0; p->n_resolved < p->n; round++) {
		bool progress = false;

		if (round > GIT_DELTA_DEPTH_MAX)
			return err_set(e, ERR_LIMIT, "git pack has a chain of more than %d deltas", GIT_DELTA_DEPTH_MAX);
		for (size_t i = 0; i < p->n; i++) {
			int rc = resolve(p, i, &progress, e);

			if (rc < 0)
				return rc;
		}
		if (!progress)
			return err_set(e, ERR_INPUT, "git pack has a delta whose base is not in the pack");
		sort_resolved(p);
	}
	return 0;
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The last bytes are the SHA-1 of all before them. */
static int check_trailer(const struct spool *pack, struct err *e)
{
	own(digest) struct digest_ctx c = { 0 };
	unsigned char piece[32768], trailer[TRAILER_BYTES];
	uint64_t at = 0, end = pack->n - TRAILER_BYTES;
	struct digest d;

	digest_begin(&c, DIGEST_SHA1);
	while (at < end) {
		ssize_t n = spool_read(pack, piece, end - at < sizeof(piece) ? (size_t)(end - at) : sizeof(piece), at, e);

		if (n <= 0)
			return n < 0 ? (int)n : err_set(e, ERR_FAILED, "the file of the git pack has become shorter");
		digest_update(&c, piece, (size_t)n);
		at += (uint64_t)n;
	}
	digest_end(&c, &d);
	if (spool_read(pack, trailer, TRAILER_BYTES, end, e) != TRAILER_BYTES)
		return err_set(e, ERR_FAILED, "the end of the git pack can't be read");
	return memcmp(d.bytes, trailer, TRAILER_BYTES) ? err_set(e, ERR_INPUT, "git pack is damaged: its checksum does not match") : 0;
}

static int check_frame(const struct spool *pack, size_t *count, struct err *e)
{
	unsigned char head[HEADER_BYTES];

	if (pack->n > GIT_PACK_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "git pack of %llu bytes: at most %zu are read", (unsigned long long)pack->n, GIT_PACK_MAX_BYTES);
	if (pack->n < HEADER_BYTES + TRAILER_BYTES || spool_read(pack, head, HEADER_BYTES, 0, e) != HEADER_BYTES || memcmp(head, "PACK", 4) != 0)
		return err_set(e, ERR_INPUT, "not a git pack");
	if (be32(head + 4) != 2)
		return err_set(e, ERR_UNSUPPORTED, "git pack of version %u: only version 2 is read", be32(head + 4));
	*count = be32(head + 8);
	if (*count > GIT_PACK_OBJECTS_MAX || *count > pack->n)	/* an object has more than one byte */
		return err_set(e, ERR_LIMIT, "git pack claims %zu objects in %llu bytes", *count, (unsigned long long)pack->n);
	return check_trailer(pack, e);
}

/* Each object is resolved as it comes when it can be, which in a pack of OFS_DELTAs is always: deltas are not held. */
static int read_objects(struct git_pack *p, struct git_input *in, size_t count, struct err *e)
{
	bool progress;
	int rc = 0;

	while (p->n < count && rc == 0) {
		rc = read_object(p, in, p->n++, e);
		if (rc == 0)
			rc = resolve(p, p->n - 1, &progress, e);
	}
	if (rc == 0 && git_input_at(in) != in->end)
		rc = err_set(e, ERR_INPUT, "git pack has bytes behind its last object");
	return rc;
}

int git_pack_parse(struct git_pack **out, const struct spool *pack, struct err *e)
{
	struct git_input *in;
	struct git_pack *p;
	size_t count;
	int rc = check_frame(pack, &count, e);

	if (rc < 0)
		return rc;
	p = mem_zalloc(sizeof(*p));
	p->objects = mem_zalloc(count * sizeof(*p->objects));
	in = git_input_new(pack, HEADER_BYTES, pack->n - TRAILER_BYTES);
	rc = read_objects(p, in, count, e);
	git_input_free(in);
	if (rc == 0)
		rc = resolve_all(p, e);
	if (rc < 0) {
		git_pack_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void git_pack_free(struct git_pack *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->objects[i].data);
	free(p->objects);
	free(p->by_id);
	free(p);
}

size_t git_pack_count(const struct git_pack *p)
{
	return p->n;
}

bool git_pack_find(const struct git_pack *p, const struct digest *id, struct git_object *out)
{
	uint32_t i = id->algo == DIGEST_SHA1 ? find_index(p, id->bytes) : NO_OBJECT;
	const struct object *o = i == NO_OBJECT ? NULL : &p->objects[i];

	if (o)
		*out = (struct git_object){ .type = (enum git_type)o->pack_type, .data = o->is_pointer ? NULL : o->data, .n = o->n, .pointer = o->is_pointer ? o->data : NULL };
	return o;
}
