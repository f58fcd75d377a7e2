/* safetensors.c - one file's header; see safetensors.h. Its JSON is read by safetensors_json.c, the sharded index by safetensors_set.c. */
#include "verify/safetensors.h"

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/safetensors_json.h"

#define DIM_ABSURD (1ull << 48)		/* of a tensor without bytes */
#define LFS_POINTER "version https://git-lfs.github.com/spec/"

static const struct {
	const char *name;
	unsigned bits;
} dtypes[ST_DTYPES] = {
	[ST_BOOL] = { "BOOL", 8 }, [ST_F4] = { "F4", 4 }, [ST_F6_E2M3] = { "F6_E2M3", 6 }, [ST_F6_E3M2] = { "F6_E3M2", 6 },
	[ST_U8] = { "U8", 8 }, [ST_I8] = { "I8", 8 }, [ST_F8_E5M2] = { "F8_E5M2", 8 }, [ST_F8_E4M3] = { "F8_E4M3", 8 },
	[ST_F8_E8M0] = { "F8_E8M0", 8 }, [ST_F8_E4M3FNUZ] = { "F8_E4M3FNUZ", 8 }, [ST_F8_E5M2FNUZ] = { "F8_E5M2FNUZ", 8 },
	[ST_I16] = { "I16", 16 }, [ST_U16] = { "U16", 16 }, [ST_F16] = { "F16", 16 }, [ST_BF16] = { "BF16", 16 },
	[ST_I32] = { "I32", 32 }, [ST_U32] = { "U32", 32 }, [ST_F32] = { "F32", 32 }, [ST_C64] = { "C64", 64 },
	[ST_F64] = { "F64", 64 }, [ST_I64] = { "I64", 64 }, [ST_U64] = { "U64", 64 },
};

const char *safetensors_dtype_name(enum safetensors_dtype d)
{
	return dtypes[d].name;
}

unsigned safetensors_dtype_bits(enum safetensors_dtype d)
{
	return dtypes[d].bits;
}

static int metadata_value(struct header_reader *r, struct safetensors *st, const char *key)
{
	struct safetensors_pair *pair;
	const char *value;

	header_skip_space(r);
	if (r->p < r->end && *r->p != '"') {
		if (header_skip_value(r, 2) < 0)
			return ERR_INPUT;
		return HEADER_REJECT(r, "st.metadata", "__metadata__ entry \"%s\" is not a string", key);
	}
	if (header_string(r, &value) < 0)
		return ERR_INPUT;
	if (st->n_metadata == SAFETENSORS_METADATA_MAX)
		return HEADER_REJECT(r, "st.limit", "__metadata__ has more than %u entries", SAFETENSORS_METADATA_MAX);
	pair = vec_push(&st->metadata, &st->n_metadata, &st->cap_metadata);
	*pair = (struct safetensors_pair){ key, value };
	return 0;
}

static int metadata(struct header_reader *r, struct safetensors *st)
{
	const char *key;

	header_skip_space(r);
	if (r->end - r->p >= 4 && memcmp(r->p, "null", 4) == 0) {	/* as the reference reader takes it */
		r->p += 4;
		return 0;
	}
	if (!header_accept(r, '{'))
		return HEADER_REJECT(r, "st.metadata", "__metadata__ is not an object");
	if (header_accept(r, '}'))
		return 0;
	do {
		if (header_string(r, &key) < 0 || header_expect(r, ':', "':'") < 0 || metadata_value(r, st, key) < 0)
			return ERR_INPUT;
	} while (header_accept(r, ','));
	return header_expect(r, '}', "'}' after __metadata__");
}

static int dtype_field(struct header_reader *r, struct safetensors_tensor *t)
{
	const char *name;

	header_skip_space(r);
	if (r->p < r->end && *r->p != '"')
		return HEADER_REJECT(r, "st.fields", "tensor \"%s\": dtype is not a string", t->name);
	if (header_string(r, &name) < 0)
		return ERR_INPUT;
	for (int d = 0; d < ST_DTYPES; d++) {
		if (strcmp(name, dtypes[d].name) == 0) {
			t->dtype = (enum safetensors_dtype)d;
			return 0;
		}
	}
	return HEADER_REJECT(r, "st.dtype", "tensor \"%s\": dtype \"%.32s\" is not one this version knows", t->name, name);
}

/* [n, n, …] of at most max numbers. */
static int numbers(struct header_reader *r, const struct safetensors_tensor *t, const char *what, uint64_t *out, size_t max, size_t *n)
{
	*n = 0;
	if (!header_accept(r, '['))
		return HEADER_REJECT(r, "st.fields", "tensor \"%s\": %s is not a list", t->name, what);
	if (header_accept(r, ']'))
		return 0;
	do {
		if (*n == max)
			return HEADER_REJECT(r, "st.limit", "tensor \"%s\": %s has more than %zu entries", t->name, what, max);
		if (header_number(r, &out[(*n)++], what) < 0)
			return ERR_INPUT;
	} while (header_accept(r, ','));
	return header_expect(r, ']', "']'");
}

enum { FIELD_DTYPE = 1, FIELD_SHAPE = 2, FIELD_OFFSETS = 4, FIELD_ALL = 7 };

static int tensor_field(struct header_reader *r, struct safetensors_tensor *t, const char *key, unsigned *seen)
{
	unsigned bit = strcmp(key, "dtype") == 0 ? FIELD_DTYPE : strcmp(key, "shape") == 0 ? FIELD_SHAPE
			: strcmp(key, "data_offsets") == 0 ? FIELD_OFFSETS : 0;
	uint64_t offsets[2];
	size_t n;

	if (*seen & bit)
		return HEADER_REJECT(r, "st.duplicate", "tensor \"%s\": field \"%s\" appears twice", t->name, key);
	*seen |= bit;
	if (bit == FIELD_DTYPE)
		return dtype_field(r, t);
	if (bit == FIELD_SHAPE) {
		if (numbers(r, t, "shape", t->shape, SAFETENSORS_RANK_MAX, &n) < 0)
			return ERR_INPUT;
		t->rank = (uint8_t)n;
		return 0;
	}
	if (bit == FIELD_OFFSETS) {
		if (numbers(r, t, "data_offsets", offsets, 2, &n) < 0)
			return ERR_INPUT;
		if (n != 2)
			return HEADER_REJECT(r, "st.fields", "tensor \"%s\": data_offsets needs two numbers", t->name);
		t->begin = offsets[0];
		t->end = offsets[1];
		return 0;
	}
	return header_skip_value(r, 2);
}

static int tensor(struct header_reader *r, struct safetensors *st, const char *name)
{
	struct safetensors_tensor *t;
	unsigned seen = 0;
	const char *key;

	if (st->n_tensors == SAFETENSORS_TENSORS_MAX)
		return HEADER_REJECT(r, "st.limit", "more than %u tensors", SAFETENSORS_TENSORS_MAX);
	t = vec_push(&st->tensors, &st->n_tensors, &st->cap_tensors);
	t->name = name;
	if (!header_accept(r, '{'))
		return HEADER_REJECT(r, "st.fields", "tensor \"%s\" is not described by an object", name);
	if (!header_accept(r, '}')) {
		do {
			if (header_string(r, &key) < 0 || header_expect(r, ':', "':'") < 0 || tensor_field(r, t, key, &seen) < 0)
				return ERR_INPUT;
		} while (header_accept(r, ','));
		if (header_expect(r, '}', "'}' after a tensor") < 0)
			return ERR_INPUT;
	}
	if (seen != FIELD_ALL)
		return HEADER_REJECT(r, "st.fields", "tensor \"%s\" lacks dtype, shape or data_offsets", name);
	return 0;
}

static int header_json(struct header_reader *r, struct safetensors *st)
{
	bool seen_metadata = false;
	const char *key;
	int rc;

	if (r->p == r->end || *r->p != '{')
		return header_malformed(r, "'{' as the first byte");
	r->p++;
	if (!header_accept(r, '}')) {
		do {
			if (header_string(r, &key) < 0 || header_expect(r, ':', "':'") < 0)
				return ERR_INPUT;
			if (strcmp(key, "__metadata__") != 0) {
				rc = tensor(r, st, key);
			} else if (seen_metadata) {
				rc = HEADER_REJECT(r, "st.duplicate", "__metadata__ appears twice");
			} else {
				seen_metadata = true;
				rc = metadata(r, st);
			}
			if (rc < 0)
				return rc;
		} while (header_accept(r, ','));
		if (header_expect(r, '}', "'}' at the end") < 0)
			return ERR_INPUT;
	}
	while (r->p < r->end && *r->p == ' ')
		r->p++;
	if (r->p == r->end)
		return 0;
	header_skip_space(r);
	if (r->p != r->end)
		return header_malformed(r, "nothing more after the header's object");
	report_flag(r->f, "st.padding", "the header is padded with other bytes than spaces");
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct safetensors_tensor *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->end != y->end)
		return x->end < y->end ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct safetensors_tensor *const *)a)->name, (*(const struct safetensors_tensor *const *)b)->name);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct safetensors_pair *)a)->key, ((const struct safetensors_pair *)b)->key);
}

static int check_duplicates(struct header_reader *r, struct safetensors *st)
{
	st->by_name = mem_zalloc((st->n_tensors + 1) * sizeof(*st->by_name));
	for (size_t i = 0; i < st->n_tensors; i++)
		st->by_name[i] = &st->tensors[i];
	if (st->n_tensors)
		qsort(st->by_name, st->n_tensors, sizeof(*st->by_name), by_name);
	for (size_t i = 1; i < st->n_tensors; i++)
		if (strcmp(st->by_name[i - 1]->name, st->by_name[i]->name) == 0)
			return HEADER_REJECT(r, "st.duplicate", "tensor \"%s\" appears twice", st->by_name[i]->name);
	if (st->n_metadata)
		qsort(st->metadata, st->n_metadata, sizeof(*st->metadata), by_key);
	for (size_t i = 1; i < st->n_metadata; i++)
		if (strcmp(st->metadata[i - 1].key, st->metadata[i].key) == 0)
			return HEADER_REJECT(r, "st.duplicate", "__metadata__ key \"%s\" appears twice", st->metadata[i].key);
	return 0;
}

/* The number of bytes that shape and dtype ask for must be what the offsets give. */
static int check_size(struct header_reader *r, const struct safetensors_tensor *t)
{
	uint64_t bits = 1;

	if (t->end < t->begin)
		return HEADER_REJECT(r, "st.offsets", "tensor \"%s\" ends before it begins", t->name);
	for (int i = 0; i < t->rank; i++)
		if (__builtin_mul_overflow(bits, t->shape[i], &bits))
			return HEADER_REJECT(r, "st.overflow", "tensor \"%s\": the product of its shape overflows", t->name);
	if (__builtin_mul_overflow(bits, (uint64_t)dtypes[t->dtype].bits, &bits))
		return HEADER_REJECT(r, "st.overflow", "tensor \"%s\": its size in bits overflows", t->name);
	if (bits % 8)
		return HEADER_REJECT(r, "st.subbyte", "tensor \"%s\" is not a whole number of bytes", t->name);
	if (bits / 8 != t->end - t->begin)
		return HEADER_REJECT(r, "st.size_mismatch", "tensor \"%s\" of type %s needs %llu bytes but its range has %llu", t->name,
			dtypes[t->dtype].name, (unsigned long long)(bits / 8), (unsigned long long)(t->end - t->begin));
	for (int i = 0; bits == 0 && i < t->rank; i++) {
		if (t->shape[i] > DIM_ABSURD) {
			report_flag(r->f, "st.shape", "tensor \"%s\" is empty but claims a dimension of %llu",
				t->name, (unsigned long long)t->shape[i]);
			break;
		}
	}
	return 0;
}

/* The tensors, in file order, must cover the data exactly: no hole, no overlap, nothing behind the last. */
static int check_tiling(struct header_reader *r, struct safetensors *st)
{
	uint64_t data_bytes = st->file_bytes - st->data_start, at = 0;

	for (size_t i = 0; i < st->n_tensors; i++) {
		const struct safetensors_tensor *t = &st->tensors[i];

		if (check_size(r, t) < 0)
			return ERR_INPUT;
		if (t->begin != at)
			return HEADER_REJECT(r, t->begin < at ? "st.overlap" : "st.gap", "tensor \"%s\" begins at %llu where the one before it ends at %llu",
				t->name, (unsigned long long)t->begin, (unsigned long long)at);
		at = t->end;
	}
	if (at > data_bytes)
		return HEADER_REJECT(r, "st.truncated", "the header promises %llu bytes of tensors but the file holds %llu: it was cut off",
			(unsigned long long)at, (unsigned long long)data_bytes);
	if (at < data_bytes)
		return HEADER_REJECT(r, "st.trailing", "%llu bytes follow the last tensor", (unsigned long long)(data_bytes - at));
	return 0;
}

/* N and the bytes of the header, into memory; nothing is allocated before N has been checked against the file. */
static int read_header(struct header_reader *r, int fd, struct safetensors *st)
{
	unsigned char head[sizeof(LFS_POINTER) - 1];
	uint64_t n = 0;
	ssize_t got;
	int rc = fdio_size(fd, &st->file_bytes, r->path, r->e);

	if (rc < 0)
		return rc;
	got = fdio_pread(fd, head, sizeof(head), 0, r->path, r->e);
	if (got < 0)
		return (int)got;
	if (got == (ssize_t)sizeof(head) && memcmp(head, LFS_POINTER, sizeof(head)) == 0)
		return HEADER_REJECT(r, "lfs.pointer", "this is a Git LFS pointer, not the file it stands for");
	if (got < 8)
		return HEADER_REJECT(r, "st.too_small", "%zd bytes are too few for a safetensors file", got);
	for (int i = 7; i >= 0; i--)
		n = n << 8 | head[i];
	if (n > SAFETENSORS_HEADER_MAX)
		return HEADER_REJECT(r, "st.header_too_large", "a header of %llu bytes is over the format's limit of %u", (unsigned long long)n,
			SAFETENSORS_HEADER_MAX);
	if (n > st->file_bytes - 8)
		return HEADER_REJECT(r, "st.header_beyond_file", "a header of %llu bytes does not fit a file of %llu", (unsigned long long)n,
			(unsigned long long)st->file_bytes);
	st->data_start = 8 + n;
	st->header = mem_zalloc(n + 1);
	r->start = r->p = st->header;
	r->end = st->header + n;
	return fdio_pread_exact(fd, st->header, n, 8, r->path, r->e);
}

static int parse(struct header_reader *r, int fd, struct safetensors *st)
{
	int rc = read_header(r, fd, st);

	if (rc < 0)
		return rc;
	if (!str_utf8_valid(st->header, (size_t)(r->end - r->start)))
		return HEADER_REJECT(r, "st.utf8", "the header is not valid UTF-8");
	if (header_json(r, st) < 0)
		return ERR_INPUT;
	if (st->n_tensors)
		qsort(st->tensors, st->n_tensors, sizeof(*st->tensors), by_offset);
	if (check_duplicates(r, st) < 0)
		return ERR_INPUT;
	return check_tiling(r, st);
}

int safetensors_open(struct safetensors *out, int fd, const char *path, struct report *f, struct err *e)
{
	struct header_reader r = { .path = path, .f = f, .e = e };
	struct safetensors st = { 0 };
	int rc;

	report_path(f, "%s", path);
	rc = parse(&r, fd, &st);
	if (rc < 0) {
		safetensors_close(&st);
		return rc;
	}
	*out = st;
	return 0;
}

void safetensors_close(struct safetensors *st)
{
	free(st->tensors);
	free(st->by_name);
	free(st->metadata);
	free(st->header);
	*st = (struct safetensors){ 0 };
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *st, const char *name)
{
	size_t lo = 0, hi = st->n_tensors;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, st->by_name[mid]->name);

		if (c == 0)
			return st->by_name[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
