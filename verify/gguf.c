/* gguf.c - see gguf.h. The reader is a cursor over `meta`, which grows in windows as the cursor moves on. */
#include "verify/gguf.h"

#include <endian.h>

#include "base/arena.h"
#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"

#define WINDOW_BYTES	 ((uint64_t)1 << 20)
#define KV_MIN_BYTES	 13	/* key length, one key byte, type, nothing less than a byte of value: 8 + 1 + 4 */
#define TENSOR_MIN_BYTES 25	/* name length, one byte, rank, type, offset: 8 + 1 + 4 + 4 + 8 */
#define STRING_MIN_BYTES 8

static const struct gguf_dtype_info dtypes[GGUF_DTYPES] = {
	[GGUF_F32] = { "F32", 1, 4 },	       [GGUF_F16] = { "F16", 1, 2 },	     [GGUF_Q4_0] = { "Q4_0", 32, 18 },
	[GGUF_Q4_1] = { "Q4_1", 32, 20 },      [GGUF_Q5_0] = { "Q5_0", 32, 22 },     [GGUF_Q5_1] = { "Q5_1", 32, 24 },
	[GGUF_Q8_0] = { "Q8_0", 32, 34 },      [GGUF_Q8_1] = { "Q8_1", 32, 36 },     [GGUF_Q2_K] = { "Q2_K", 256, 84 },
	[GGUF_Q3_K] = { "Q3_K", 256, 110 },    [GGUF_Q4_K] = { "Q4_K", 256, 144 },   [GGUF_Q5_K] = { "Q5_K", 256, 176 },
	[GGUF_Q6_K] = { "Q6_K", 256, 210 },    [GGUF_Q8_K] = { "Q8_K", 256, 292 },   [GGUF_IQ2_XXS] = { "IQ2_XXS", 256, 66 },
	[GGUF_IQ2_XS] = { "IQ2_XS", 256, 74 }, [GGUF_IQ3_XXS] = { "IQ3_XXS", 256, 98 }, [GGUF_IQ1_S] = { "IQ1_S", 256, 50 },
	[GGUF_IQ4_NL] = { "IQ4_NL", 32, 18 },  [GGUF_IQ3_S] = { "IQ3_S", 256, 110 }, [GGUF_IQ2_S] = { "IQ2_S", 256, 82 },
	[GGUF_IQ4_XS] = { "IQ4_XS", 256, 136 }, [GGUF_I8] = { "I8", 1, 1 },	     [GGUF_I16] = { "I16", 1, 2 },
	[GGUF_I32] = { "I32", 1, 4 },	       [GGUF_I64] = { "I64", 1, 8 },	     [GGUF_F64] = { "F64", 1, 8 },
	[GGUF_IQ1_M] = { "IQ1_M", 256, 56 },   [GGUF_BF16] = { "BF16", 1, 2 },	     [GGUF_TQ1_0] = { "TQ1_0", 256, 54 },
	[GGUF_TQ2_0] = { "TQ2_0", 256, 66 },   [GGUF_MXFP4] = { "MXFP4", 32, 17 },   [GGUF_NVFP4] = { "NVFP4", 64, 36 },
	[GGUF_Q1_0] = { "Q1_0", 128, 18 },     [GGUF_Q2_0] = { "Q2_0", 64, 18 },
};

/* Bytes of one value; 0 for the two that have no fixed size. */
static const uint8_t kv_bytes[] = {
	[GGUF_KV_U8] = 1,   [GGUF_KV_I8] = 1,	[GGUF_KV_U16] = 2,   [GGUF_KV_I16] = 2,	 [GGUF_KV_U32] = 4, [GGUF_KV_I32] = 4, [GGUF_KV_F32] = 4,
	[GGUF_KV_BOOL] = 1, [GGUF_KV_STRING] = 0, [GGUF_KV_ARRAY] = 0, [GGUF_KV_U64] = 8, [GGUF_KV_I64] = 8, [GGUF_KV_F64] = 8,
};

struct gguf {
	uint32_t version, alignment;
	uint64_t data_start;
	uint8_t *meta;
	struct gguf_kv *kv;
	struct gguf_tensor *tensors;
	const struct gguf_kv **kv_sorted;
	const struct gguf_tensor **tensors_sorted;
	size_t n_kv, n_tensors;
	struct arena arena;	/* keys, string values with a NUL behind them, indexes of string arrays */
};

struct reader {
	struct gguf *g;
	int fd;
	uint64_t file_bytes;
	uint64_t have;	/* bytes of meta read so far */
	uint64_t cap;
	uint64_t pos;
	const char *what;
	struct report *report;
	struct err *e;
};

#define FAIL(rd, rule, ...) report_reject((rd)->report, rule, (rd)->what, (rd)->e, __VA_ARGS__)

static uint64_t left(const struct reader *rd)
{
	return rd->file_bytes - rd->pos;	/* pos never passes file_bytes: need() sees to it */
}

/* Makes the n bytes at the cursor present in meta. The caller has checked n against left() where a rule of its own applies. */
static int need(struct reader *rd, uint64_t n)
{
	uint64_t end, want;

	if (n > left(rd))
		return FAIL(rd, "gguf.truncated", "the file ends inside its header: %llu bytes wanted at %llu of %llu", (unsigned long long)n,
			    (unsigned long long)rd->pos, (unsigned long long)rd->file_bytes);
	end = rd->pos + n;
	if (end <= rd->have)
		return 0;
	if (end > GGUF_META_MAX_BYTES) {
		FAIL(rd, "gguf.limit", "the header is larger than %llu bytes", (unsigned long long)GGUF_META_MAX_BYTES);
		return err_set(rd->e, ERR_LIMIT, "%s: the header is larger than %llu bytes", rd->what, (unsigned long long)GGUF_META_MAX_BYTES);
	}
	want = end + WINDOW_BYTES < rd->file_bytes ? end + WINDOW_BYTES : rd->file_bytes;
	if (want > rd->cap) {
		uint64_t cap = rd->cap * 2 > want ? rd->cap * 2 : want;
		uint8_t *p = realloc(rd->g->meta, cap);

		if (!p)
			return err_set(rd->e, ERR_FAILED, "%s: no memory for a header of %llu bytes", rd->what, (unsigned long long)cap);
		rd->g->meta = p;
		rd->cap = cap;
	}
	if (fdio_pread_exact(rd->fd, rd->g->meta + rd->have, want - rd->have, rd->have, rd->what, rd->e) < 0)
		return rd->e ? (int)rd->e->code : ERR_FAILED;
	rd->have = want;
	return 0;
}

static uint64_t load(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static int read_uint(struct reader *rd, size_t n, uint64_t *out)
{
	int r = need(rd, n);

	if (r < 0)
		return r;
	*out = load(rd->g->meta + rd->pos, n);
	rd->pos += n;
	return 0;
}

/* A length and that many bytes, which stay in meta at *pos. `of` says what in errors. */
static int read_string(struct reader *rd, const char *of, uint64_t *pos, uint64_t *len)
{
	int r = read_uint(rd, 8, len);

	if (r < 0)
		return r;
	if (*len > GGUF_STRING_MAX || *len > left(rd))
		return FAIL(rd, "gguf.string", "%s is said to be %llu bytes long, %llu are left", of, (unsigned long long)*len, (unsigned long long)left(rd));
	r = need(rd, *len);
	if (r < 0)
		return r;
	*pos = rd->pos;
	rd->pos += *len;
	return 0;
}

static int read_key(struct reader *rd, struct gguf_kv *kv)
{
	uint64_t pos, len;
	bool odd = false;
	int r = read_string(rd, "a key", &pos, &len);

	if (r < 0)
		return r;
	if (len == 0 || len > GGUF_KEY_MAX_BYTES)
		return FAIL(rd, "gguf.key", len ? "a key is %llu bytes long, 65535 are allowed" : "a key is empty (%llu bytes)", (unsigned long long)len);
	if (memchr(rd->g->meta + pos, 0, len))
		return FAIL(rd, "gguf.key", "a key holds a NUL byte");
	kv->key = arena_strndup(&rd->g->arena, (const char *)rd->g->meta + pos, len);
	for (uint64_t i = 0; i < len; i++)
		odd |= kv->key[i] <= ' ' || kv->key[i] > '~';
	if (odd)
		report_flag(rd->report, "gguf.key", "key '%.80s' is not plain ASCII", kv->key);
	return 0;
}

static int read_bools(struct reader *rd, const struct gguf_kv *kv)
{
	for (uint64_t i = 0; i < kv->n; i++)
		if (rd->g->meta[kv->pos + i] > 1)
			return FAIL(rd, "gguf.bool", "'%.80s' is a bool of value %u", kv->key, rd->g->meta[kv->pos + i]);
	return 0;
}

static int read_fixed(struct reader *rd, struct gguf_kv *kv, enum gguf_kv_type type)
{
	uint64_t bytes = kv->n * kv_bytes[type];	/* n <= GGUF_ARRAY_MAX */
	int r = need(rd, bytes);

	if (r < 0)
		return r;
	kv->pos = rd->pos;
	rd->pos += bytes;
	return type == GGUF_KV_BOOL ? read_bools(rd, kv) : 0;
}

static int read_string_array(struct reader *rd, struct gguf_kv *kv)
{
	uint32_t *index = arena_alloc(&rd->g->arena, kv->n ? kv->n * sizeof(*index) : 1);

	for (uint64_t i = 0; i < kv->n; i++) {
		uint64_t at = rd->pos, pos, len;
		int r = read_string(rd, "an element of a string array", &pos, &len);

		if (r < 0)
			return r;
		index[i] = (uint32_t)at;	/* below GGUF_META_MAX_BYTES: need() has read it */
	}
	kv->index = index;
	return 0;
}

static int read_array(struct reader *rd, struct gguf_kv *kv)
{
	uint64_t elem, n, least;
	int r = read_uint(rd, 4, &elem);

	if (r == 0)
		r = read_uint(rd, 8, &n);
	if (r < 0)
		return r;
	if (elem > GGUF_KV_F64)
		return FAIL(rd, "gguf.kv_type", "'%.80s' is an array of type %llu, which does not exist", kv->key, (unsigned long long)elem);
	if (elem == GGUF_KV_ARRAY)
		return FAIL(rd, "gguf.array", "'%.80s' is an array of arrays, which no reader takes", kv->key);
	least = elem == GGUF_KV_STRING ? STRING_MIN_BYTES : kv_bytes[elem];
	if (n > GGUF_ARRAY_MAX || n > left(rd) / least)
		return FAIL(rd, "gguf.array", "'%.80s' is an array of %llu elements in %llu bytes that are left", kv->key, (unsigned long long)n,
			    (unsigned long long)left(rd));
	if (n * least > GGUF_META_MAX_BYTES)
		return FAIL(rd, "gguf.limit", "'%.80s' is an array of %llu elements", kv->key, (unsigned long long)n);
	kv->elem = (enum gguf_kv_type)elem;
	kv->n = n;
	return elem == GGUF_KV_STRING ? read_string_array(rd, kv) : read_fixed(rd, kv, kv->elem);
}

static int read_value(struct reader *rd, struct gguf_kv *kv)
{
	uint64_t type, pos, len;
	int r = read_uint(rd, 4, &type);

	if (r < 0)
		return r;
	if (type > GGUF_KV_F64)
		return FAIL(rd, "gguf.kv_type", "'%.80s' has type %lld, which does not exist", kv->key, (long long)(int32_t)type);
	kv->type = kv->elem = (enum gguf_kv_type)type;
	kv->n = 1;
	if (type == GGUF_KV_ARRAY)
		return read_array(rd, kv);
	if (type == GGUF_KV_STRING) {
		kv->pos = rd->pos;
		r = read_string(rd, "a string value", &pos, &len);
		if (r == 0)
			kv->text = arena_strndup(&rd->g->arena, (const char *)rd->g->meta + pos, len);
		return r;
	}
	return read_fixed(rd, kv, kv->type);
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct gguf_kv *const *)a)->key, (*(const struct gguf_kv *const *)b)->key);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct gguf_tensor *const *)a)->name, (*(const struct gguf_tensor *const *)b)->name);
}

static int read_kvs(struct reader *rd)
{
	struct gguf *g = rd->g;
	size_t n = g->n_kv;

	g->kv = mem_zalloc((n + 1) * sizeof(*g->kv));
	g->kv_sorted = mem_zalloc((n + 1) * sizeof(*g->kv_sorted));
	for (size_t i = 0; i < n; i++) {
		int r = read_key(rd, &g->kv[i]);

		if (r == 0)
			r = read_value(rd, &g->kv[i]);
		if (r < 0)
			return r;
		g->kv_sorted[i] = &g->kv[i];
	}
	qsort(g->kv_sorted, n, sizeof(*g->kv_sorted), by_key);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(g->kv_sorted[i]->key, g->kv_sorted[i - 1]->key))
			return FAIL(rd, "gguf.duplicate", "key '%.80s' occurs twice", g->kv_sorted[i]->key);
	return 0;
}

static int read_alignment(struct reader *rd)
{
	const struct gguf_kv *kv;
	uint64_t a;

	rd->g->alignment = GGUF_ALIGNMENT_USUAL;
	kv = gguf_find_kv(rd->g, "general.alignment");
	if (!kv)
		return 0;
	if (kv->type != GGUF_KV_U32)
		return FAIL(rd, "gguf.alignment", "general.alignment is not a u32");
	a = load(rd->g->meta + kv->pos, 4);
	if (a == 0 || (a & (a - 1)) || a > GGUF_ALIGNMENT_MAX)
		return FAIL(rd, "gguf.alignment", "general.alignment is %llu, not a power of two up to %d", (unsigned long long)a, GGUF_ALIGNMENT_MAX);
	rd->g->alignment = (uint32_t)a;
	return 0;
}

static int read_dims(struct reader *rd, struct gguf_tensor *t)
{
	uint64_t rank;
	int r = read_uint(rd, 4, &rank);

	if (r < 0)
		return r;
	if (rank > GGUF_DIMS_MAX)
		return FAIL(rd, "gguf.dims", "tensor '%s' has %llu dimensions, %d are allowed", t->name, (unsigned long long)rank, GGUF_DIMS_MAX);
	t->rank = (uint32_t)rank;
	t->n_elements = 1;
	for (size_t i = 0; i < GGUF_DIMS_MAX; i++) {
		t->dims[i] = 1;
		if (i >= rank)
			continue;
		r = read_uint(rd, 8, &t->dims[i]);
		if (r < 0)
			return r;
		if (t->dims[i] > INT64_MAX)
			return FAIL(rd, "gguf.dims", "tensor '%s' has a dimension of %lld", t->name, (long long)t->dims[i]);
		if (__builtin_mul_overflow(t->n_elements, t->dims[i], &t->n_elements) || t->n_elements > INT64_MAX)
			return FAIL(rd, "gguf.overflow", "tensor '%s' has more elements than a number holds", t->name);
	}
	return 0;
}

static int read_dtype(struct reader *rd, struct gguf_tensor *t)
{
	const struct gguf_dtype_info *info;
	uint64_t type;
	int r = read_uint(rd, 4, &type);

	if (r < 0)
		return r;
	info = gguf_dtype_info((uint32_t)type);
	if (!info)
		return FAIL(rd, "gguf.type", "tensor '%s' has element type %llu, which is unknown or was removed from the format", t->name,
			    (unsigned long long)type);
	t->type = (enum gguf_dtype)type;
	if (t->dims[0] % info->block)
		return FAIL(rd, "gguf.dims", "tensor '%s' has rows of %llu elements, not a multiple of the %u in a block of %s", t->name,
			    (unsigned long long)t->dims[0], info->block, info->name);
	if (__builtin_mul_overflow(t->n_elements / info->block, (uint64_t)info->bytes, &t->size_bytes) || t->size_bytes > rd->file_bytes)
		return FAIL(rd, "gguf.overflow", "tensor '%s' needs more bytes than the whole file has (%llu)", t->name, (unsigned long long)rd->file_bytes);
	return 0;
}

static int read_tensor(struct reader *rd, struct gguf_tensor *t)
{
	uint64_t pos, len;
	int r = read_string(rd, "a tensor's name", &pos, &len);

	if (r < 0)
		return r;
	if (len == 0 || len >= GGUF_NAME_MAX || memchr(rd->g->meta + pos, 0, len))
		return FAIL(rd, "gguf.name", "a tensor's name is %llu bytes long or holds a NUL, 1 to %d are allowed", (unsigned long long)len, GGUF_NAME_MAX - 1);
	memcpy(t->name, rd->g->meta + pos, len);
	if (!str_utf8_valid(t->name, len))
		return FAIL(rd, "gguf.name", "a tensor's name is not UTF-8");
	r = read_dims(rd, t);
	if (r == 0)
		r = read_dtype(rd, t);
	if (r == 0)
		r = read_uint(rd, 8, &t->offset);
	return r;
}

/* Tensors follow one another in file order, each padded to the alignment: no gap, no overlap, all inside the file. */
static int check_tiling(struct reader *rd)
{
	struct gguf *g = rd->g;
	uint64_t mask = g->alignment - 1, end = 0, room;

	g->data_start = (rd->pos + mask) & ~mask;	/* pos <= GGUF_META_MAX_BYTES */
	room = g->data_start < rd->file_bytes ? rd->file_bytes - g->data_start : 0;
	for (size_t i = 0; i < g->n_tensors; i++) {
		const struct gguf_tensor *t = &g->tensors[i];
		uint64_t expected = (end + mask) & ~mask;	/* end <= room */

		if (t->offset != expected)
			return FAIL(rd, "gguf.offset", "tensor '%s' stands at offset %llu, not at %llu where the one before it ends", t->name,
				    (unsigned long long)t->offset, (unsigned long long)expected);
		if (expected > room || t->size_bytes > room - expected)
			return FAIL(rd, "gguf.truncated", "the data of tensor '%s' ends at byte %llu of the data section, which has %llu", t->name,
				    (unsigned long long)(expected + t->size_bytes), (unsigned long long)room);
		end = expected + t->size_bytes;
	}
	if (g->n_tensors && room > ((end + mask) & ~mask))
		report_flag(rd->report, "gguf.trailing", "%llu bytes follow the last tensor", (unsigned long long)(room - ((end + mask) & ~mask)));
	return 0;
}

static int read_tensors(struct reader *rd)
{
	struct gguf *g = rd->g;
	size_t n = g->n_tensors;

	g->tensors = calloc(n + 1, sizeof(*g->tensors));
	g->tensors_sorted = calloc(n + 1, sizeof(*g->tensors_sorted));
	if (!g->tensors || !g->tensors_sorted)
		return err_set(rd->e, ERR_FAILED, "%s: no memory for a table of %zu tensors", rd->what, n);
	for (size_t i = 0; i < n; i++) {
		int r = read_tensor(rd, &g->tensors[i]);

		if (r < 0)
			return r;
		g->tensors_sorted[i] = &g->tensors[i];
	}
	qsort(g->tensors_sorted, n, sizeof(*g->tensors_sorted), by_name);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(g->tensors_sorted[i]->name, g->tensors_sorted[i - 1]->name))
			return FAIL(rd, "gguf.duplicate", "tensor '%s' occurs twice", g->tensors_sorted[i]->name);
	return check_tiling(rd);
}

static int read_version(struct reader *rd)
{
	uint64_t magic, version;
	int r = read_uint(rd, 4, &magic);

	if (r == 0 && memcmp(rd->g->meta, "GGUF", 4) != 0)
		return FAIL(rd, "gguf.magic", "the file does not begin with GGUF");
	if (r == 0)
		r = read_uint(rd, 4, &version);
	if (r < 0)
		return r;
	if (version == 1) {
		report_flag(rd->report, "gguf.version", "version 1 (32-bit counts) is no longer read by any program");
		return err_set(rd->e, ERR_UNSUPPORTED, "%s: GGUF version 1 is no longer read by any program", rd->what);
	}
	if (version && (version & 0xffff) == 0)
		return FAIL(rd, "gguf.version", "the file is big-endian (version reads as %llu)", (unsigned long long)version);
	if (version < 2 || version > 3)
		return FAIL(rd, "gguf.version", "version %llu, only 2 and 3 exist", (unsigned long long)version);
	rd->g->version = (uint32_t)version;
	return 0;
}

static int read_counts(struct reader *rd)
{
	uint64_t n_tensors, n_kv;
	int r = read_uint(rd, 8, &n_tensors);

	if (r == 0)
		r = read_uint(rd, 8, &n_kv);
	if (r < 0)
		return r;
	if (n_kv > GGUF_KV_MAX || n_kv > left(rd) / KV_MIN_BYTES)
		return FAIL(rd, "gguf.count", "%llu key-values are announced, %d are allowed and %llu bytes are left", (unsigned long long)n_kv, GGUF_KV_MAX,
			    (unsigned long long)left(rd));
	if (n_tensors > GGUF_TENSORS_MAX || n_tensors > left(rd) / TENSOR_MIN_BYTES)
		return FAIL(rd, "gguf.count", "%llu tensors are announced, %d are allowed and %llu bytes are left", (unsigned long long)n_tensors,
			    GGUF_TENSORS_MAX, (unsigned long long)left(rd));
	rd->g->n_kv = n_kv;
	rd->g->n_tensors = n_tensors;
	return 0;
}

/* Only now, when meta does not move any more, may values point into it. */
static void bind_kvs(struct gguf *g)
{
	for (size_t i = 0; i < g->n_kv; i++)
		g->kv[i].meta = g->meta;
}

static int parse(struct reader *rd)
{
	int r = read_version(rd);

	if (r == 0)
		r = read_counts(rd);
	if (r == 0)
		r = read_kvs(rd);
	if (r == 0)
		r = read_alignment(rd);
	if (r == 0)
		r = read_tensors(rd);
	if (r == 0)
		bind_kvs(rd->g);
	return r;
}

int gguf_open_report(struct gguf **out, int fd, const char *what, struct report *report, struct err *e)
{
	own(gguf) struct gguf *g = mem_zalloc(sizeof(*g));
	struct err local = ERR_NONE;
	struct reader rd = { .g = g, .fd = fd, .what = what, .report = report, .e = e ? e : &local };
	int r;

	arena_init(&g->arena);
	r = fdio_size(fd, &rd.file_bytes, what, rd.e);
	if (r == 0)
		r = parse(&rd);
	if (r < 0)
		return r;
	*out = take(g);
	return 0;
}

int gguf_open(struct gguf **out, int fd, const char *what, struct err *e)
{
	return gguf_open_report(out, fd, what, NULL, e);
}

void gguf_close(struct gguf *g)
{
	if (!g)
		return;
	arena_done(&g->arena);
	free(g->meta);
	free(g->kv);
	free(g->kv_sorted);
	free(g->tensors);
	free(g->tensors_sorted);
	free(g);
}

bool gguf_is(const void *first4)
{
	return memcmp(first4, "GGUF", 4) == 0;
}

uint32_t gguf_version(const struct gguf *g)
{
	return g->version;
}

uint32_t gguf_alignment(const struct gguf *g)
{
	return g->alignment;
}

uint64_t gguf_data_start(const struct gguf *g)
{
	return g->data_start;
}

size_t gguf_n_kv(const struct gguf *g)
{
	return g->n_kv;
}

const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i)
{
	return &g->kv[i];
}

const struct gguf_kv *gguf_find_kv(const struct gguf *g, const char *key)
{
	struct gguf_kv want = { .key = key };
	const struct gguf_kv *p = &want;
	const struct gguf_kv **hit = bsearch(&p, g->kv_sorted, g->n_kv, sizeof(*g->kv_sorted), by_key);

	return hit ? *hit : NULL;
}

size_t gguf_n_tensors(const struct gguf *g)
{
	return g->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
	return &g->tensors[i];
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
	struct gguf_tensor want = { 0 };
	const struct gguf_tensor *p = &want;
	const struct gguf_tensor **hit;

	if (strlen(name) >= GGUF_NAME_MAX)
		return NULL;
	snprintf(want.name, sizeof(want.name), "%s", name);
	hit = bsearch(&p, g->tensors_sorted, g->n_tensors, sizeof(*g->tensors_sorted), by_name);
	return hit ? *hit : NULL;
}

const struct gguf_dtype_info *gguf_dtype_info(uint32_t type)
{
	return type < GGUF_DTYPES && dtypes[type].block ? &dtypes[type] : NULL;
}
