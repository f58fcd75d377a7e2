/*
 * scan_torch.c - what torch.save writes. Since 1.6 a ZIP: ROOT/data.pkl and one raw member ROOT/data/KEY a storage. Before: five pickles (magic,
 * protocol, system, object, list of storage keys), then for each key a count and its raw bytes, to the very end of the file.
 */
#include "verify/scan_parts.h"
#include "verify/pickle.h"

#define PICKLE_MEMBER_MAX ((size_t)256 << 20)	/* bytes of data.pkl when it is deflated */
#define SMALL_MEMBER_MAX  ((size_t)64)
#define LEGACY_PICKLES	  5

#define FAIL(r, rule, ...) report_reject(r, rule, "torch", NULL, __VA_ARGS__)

/* PROTO 2, LONG1 of ten bytes: 0x1950a86a20f9469cfc6c */
static const uint8_t magic[] = { 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };

/* Opens a member as bytes: in place when it is stored, else unpacked into `hold`. */
static int member_bytes(struct bytes *b, const struct zip_member *m, struct buf *hold, struct bytes *out)
{
	if (m->method == 0)
		bytes_of_part(out, b, m->data_at, m->packed_bytes);
	else if (zip_read(b, m, hold, hold->max, NULL) == 0 && hold->len == m->bytes)
		bytes_of_mem(out, hold->data, hold->len, b->what);
	else
		return -1;
	return 0;
}

static void run_pickle(const struct scan *in, struct bytes *b, const struct zip_member *m, struct pickle *p)
{
	own(buf) struct buf hold;
	own(bytes) struct bytes sub = { 0 };
	uint64_t end = 0;

	buf_init(&hold, PICKLE_MEMBER_MAX);
	if (member_bytes(b, m, &hold, &sub) < 0) {
		report_flag(in->r, "torch.pickle", "'%.200s' is too large to be read", m->name);
		return;
	}
	report_path(in->r, "%s!%s", in->name, m->name);
	if (pickle_run(p, &sub, 0, &end, in->r) == 0 && end < sub.size)
		FAIL(in->r, "pickle.trailing", "%llu bytes follow the pickle", (unsigned long long)(sub.size - end));
	report_path(in->r, "%s", in->name);
}

/* The storages of ROOT/data.pkl are ROOT/data/KEY; TorchScript has more such pairs. */
static void check_storage(const struct scan *in, const struct zip *z, const char *pickle, const struct pickle_storage *s)
{
	char name[PICKLE_NAME_MAX * 4];
	const struct zip_member *m;
	uint64_t want;

	snprintf(name, sizeof(name), "%.*s/%s", (int)(strlen(pickle) - strlen(".pkl")), pickle, s->key);
	m = zip_find(z, name);
	if (!m)
		FAIL(in->r, "torch.storage_missing", "the storage '%.200s' is not in the archive", s->key);
	else if (s->item_bytes && (__builtin_mul_overflow(s->numel, (uint64_t)s->item_bytes, &want) || want != m->bytes))
		report_flag(in->r, "torch.storage_size", "the storage '%.200s' of %llu elements of %u bytes has %llu", s->key, (unsigned long long)s->numel,
			    s->item_bytes, (unsigned long long)m->bytes);
}

static bool ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && strcmp(s + n - k, suffix) == 0;
}

static void check_byteorder(const struct scan *in, struct bytes *b, const struct zip *z, const char *root)
{
	char name[PICKLE_NAME_MAX];
	const struct zip_member *m;
	own(buf) struct buf text;

	buf_init(&text, SMALL_MEMBER_MAX);
	snprintf(name, sizeof(name), "%sbyteorder", root);
	m = zip_find(z, name);
	if (m && m->bytes <= SMALL_MEMBER_MAX && zip_read(b, m, &text, SMALL_MEMBER_MAX, NULL) == 0 && strcmp(text.data, "little"))
		report_flag(in->r, "torch.byteorder", "its numbers are '%.20s'-endian", text.data);
}

void scan_torch_zip(const struct scan *in, struct bytes *b, const struct zip *z, const char *root)
{
	own(pickle) struct pickle p;
	bool script = false;

	pickle_init(&p);
	p.torch = true;
	for (size_t i = 0; i < z->n; i++) {
		const char *name = z->members[i].name;

		if (ends_with(name, ".pkl")) {
			size_t before = p.n_storages;

			run_pickle(in, b, &z->members[i], &p);
			for (size_t k = before; k < p.n_storages; k++)
				check_storage(in, z, name, &p.storages[k]);
		}
		script |= strstr(name, "/code/") != NULL || ends_with(name, "/constants.pkl");
	}
	if (script)
		report_flag(in->r, "torch.script", "it holds TorchScript code");
	check_byteorder(in, b, z, root);
}

/* ---- before 1.6 ---- */

bool scan_is_torch_legacy(struct bytes *b)
{
	const uint8_t *p = bytes_at(b, 0, sizeof(magic));

	return p && memcmp(p, magic, sizeof(magic)) == 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct pickle_storage *)a)->key, ((const struct pickle_storage *)b)->key);
}

/* For each key: i64 elements, the elements. */
static void check_raw(const struct scan *in, struct bytes *b, struct pickle *p, uint64_t pos)
{
	if (p->n_storages)
		qsort(p->storages, p->n_storages, sizeof(*p->storages), by_key);
	for (size_t i = 0; i < p->n_strings; i++) {
		const struct pickle_storage want = { .key = p->strings[i] };
		const struct pickle_storage *s = p->n_storages ? bsearch(&want, p->storages, p->n_storages, sizeof(want), by_key) : NULL;
		const uint8_t *count = bytes_at(b, pos, 8);
		uint64_t n;

		if (!s || !s->item_bytes) {
			report_flag(in->r, "torch.storage_unknown", "the storage '%.200s' is of no known class", p->strings[i]);
			return;
		}
		if (!count) {
			FAIL(in->r, "torch.truncated", "it ends before the storage '%.200s'", s->key);
			return;
		}
		n = bytes_le64(count);
		pos += 8;
		if (n != s->numel)
			report_flag(in->r, "torch.storage_size", "the storage '%.200s' has %llu elements, %llu are declared", s->key, (unsigned long long)n,
				    (unsigned long long)s->numel);
		if (n > (b->size - pos) / s->item_bytes) {
			FAIL(in->r, "torch.truncated", "it ends inside the storage '%.200s'", s->key);
			return;
		}
		pos += n * s->item_bytes;
	}
	if (pos < b->size)
		FAIL(in->r, "pickle.trailing", "%llu bytes follow the last storage", (unsigned long long)(b->size - pos));
}

void scan_torch_legacy(const struct scan *in, struct bytes *b)
{
	own(pickle) struct pickle p;
	uint64_t pos = 0;

	pickle_init(&p);
	p.torch = true;
	for (int i = 0; i < LEGACY_PICKLES; i++)
		if (pickle_run(&p, b, pos, &pos, in->r) < 0)
			return;
	check_raw(in, b, &p, pos);
}
