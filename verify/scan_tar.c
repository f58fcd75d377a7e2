/*
 * scan_tar.c - a tar archive header by header: ustar, pax and GNU names. Links and special files are refused, names checked, members inspected.
 * Rules: tar.checksum tar.size tar.type tar.header path.symlink path.special, flags tar.trailing torch.tar, and those of path_check.h.
 * Source: POSIX pax(1); GNU tar's manual.
 */
#include "base/own.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/scan_parts.h"
#include "verify/path_check.h"
#include "verify/pickle.h"

#define BLOCK	     512
#define NAME_MAX_LEN ((size_t)4096)
#define MEMBERS_MAX  100000
#define PAX_MAX	     ((uint64_t)65536)

#define FAIL(r, rule, ...) report_reject(r, rule, "tar", NULL, __VA_ARGS__)

static bool octal(const uint8_t *p, size_t n, uint64_t *v)
{
	size_t i = 0;

	*v = 0;
	if (p[0] & 0x80) {	/* base 256 */
		for (i = 1; i < n; i++) {
			if (*v >> 55)
				return false;
			*v = *v << 8 | p[i];
		}
		return (p[0] & 0x7f) == 0;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		*v = *v << 3 | (uint64_t)(p[i] - '0');
	return i == n || p[i] == 0 || p[i] == ' ';
}

static bool checksum_fits(const uint8_t *h)
{
	uint64_t want, sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : h[i];
	return octal(h + 148, 8, &want) && want == sum;
}

bool scan_is_tar(struct bytes *b)
{
	const uint8_t *p = bytes_at(b, 0, BLOCK);

	return p && (memcmp(p + 257, "ustar", 5) == 0 || (p[0] && checksum_fits(p)));
}

struct tar {
	const struct scan *in;
	struct bytes *b;
	struct path_set names;
	char next_name[NAME_MAX_LEN + 1];	/* from a pax or GNU header before */
	bool has_next;
	bool old_torch;	/* the members of torch's first format are there */
};

static void set_next(struct tar *t, const char *s, size_t n)
{
	if (n > NAME_MAX_LEN)
		n = NAME_MAX_LEN;
	memcpy(t->next_name, s, n);
	t->next_name[n] = 0;
	t->has_next = true;
}

/* Records "LEN key=value\n". */
static void read_pax(struct tar *t, uint64_t at, uint64_t n)
{
	const char *p = n <= PAX_MAX ? (const char *)bytes_at(t->b, at, (size_t)n) : NULL, *end = p + n;

	if (!p) {
		FAIL(t->in->r, "tar.header", "a pax header of %llu bytes", (unsigned long long)n);
		return;
	}
	while (p < end) {
		size_t len = 0;
		const char *key = p;

		while (key < end && *key >= '0' && *key <= '9' && len <= PAX_MAX)
			len = len * 10 + (size_t)(*key++ - '0');
		if (key >= end || *key != ' ' || len > (size_t)(end - p) || len <= (size_t)(key + 1 - p) || p[len - 1] != '\n') {
			FAIL(t->in->r, "tar.header", "a pax header that is malformed");
			return;
		}
		key++;
		if ((size_t)(p + len - key) > 5 && memcmp(key, "path=", 5) == 0)
			set_next(t, key + 5, (size_t)(p + len - 1 - key - 5));
		if ((size_t)(p + len - key) > 5 && memcmp(key, "size=", 5) == 0)
			FAIL(t->in->r, "tar.size", "a pax header gives a member another size");
		p += len;
	}
}

static void member_name(struct tar *t, const uint8_t *h, char *out, size_t cap)
{
	size_t name = strnlen((const char *)h, 100), prefix = memcmp(h + 257, "ustar", 5) == 0 ? strnlen((const char *)h + 345, 155) : 0;

	if (t->has_next)
		snprintf(out, cap, "%s", t->next_name);
	else if (prefix && memcmp(h + 257, "ustar  ", 7) != 0)	/* GNU keeps times there */
		snprintf(out, cap, "%.*s/%.*s", (int)prefix, h + 345, (int)name, h);
	else
		snprintf(out, cap, "%.*s", (int)name, h);
	t->has_next = false;
}

static void scan_member_file(struct tar *t, const char *name, uint64_t at, uint64_t n)
{
	own(bytes) struct bytes sub = { 0 };

	bytes_of_part(&sub, t->b, at, n);
	t->old_torch |= !strcmp(name, "storages") || !strcmp(name, "tensors");
	if (!strcmp(name, "pickle") || !strcmp(name, "sys_info") || !strcmp(name, "storages") || !strcmp(name, "tensors")) {
		own(pickle) struct pickle p;
		uint64_t end = 0;

		pickle_init(&p);
		p.torch = true;
		report_path(t->in->r, "%s!%s", t->in->name, name);
		pickle_run(&p, &sub, 0, &end, t->in->r);
		report_path(t->in->r, "%s", t->in->name);
		return;
	}
	scan_member(t->in, name, &sub);
}

/* What a member is, by its type flag. */
static void check_member(struct tar *t, char type, const char *name, uint64_t at, uint64_t n)
{
	switch (type) {
	case 0:
	case '0':
	case '7':
		if (path_check(name, strlen(name), t->in->r) == 0) {
			path_set_add(&t->names, name);
			scan_member_file(t, name, at, n);
		}
		break;
	case '1':
	case '2':
		FAIL(t->in->r, "path.symlink", "'%.200s' is a link", name);
		break;
	case '3':
	case '4':
	case '6':
		FAIL(t->in->r, "path.special", "'%.200s' is a device or a pipe", name);
		break;
	case '5':
		path_check(name, strlen(name), t->in->r);
		break;
	default:
		FAIL(t->in->r, "tar.type", "'%.200s' is of type '%c'", name, type >= ' ' && type <= '~' ? type : '?');
	}
}

/* One header and what belongs to it. Bytes used, 0 at the end or on an error. */
static uint64_t read_member(struct tar *t, uint64_t pos)
{
	const uint8_t *p = bytes_at(t->b, pos, BLOCK);
	char name[NAME_MAX_LEN + 1];
	uint8_t h[BLOCK];
	uint64_t n;

	if (!p) {
		FAIL(t->in->r, "tar.size", "it ends inside a header");
		return 0;
	}
	memcpy(h, p, BLOCK);
	if (!checksum_fits(h)) {
		FAIL(t->in->r, "tar.checksum", "the header at byte %llu has a wrong checksum", (unsigned long long)pos);
		return 0;
	}
	if (!octal(h + 124, 12, &n) || n > t->b->size - pos - BLOCK) {
		FAIL(t->in->r, "tar.size", "a member of more bytes than are left");
		return 0;
	}
	if (h[156] == 'x' || h[156] == 'g') {
		read_pax(t, pos + BLOCK, n);
	} else if (h[156] == 'L' || h[156] == 'K') {
		p = n <= NAME_MAX_LEN ? bytes_at(t->b, pos + BLOCK, (size_t)n) : NULL;
		if (!p)
			FAIL(t->in->r, "path.long_path", "a name of %llu bytes", (unsigned long long)n);
		else if (h[156] == 'L')
			set_next(t, (const char *)p, strnlen((const char *)p, (size_t)n));
	} else {
		member_name(t, h, name, sizeof(name));
		check_member(t, (char)h[156], name, pos + BLOCK, n);
	}
	return BLOCK + (n + BLOCK - 1) / BLOCK * BLOCK;
}

static bool all_zero(struct bytes *b, uint64_t pos)
{
	const uint8_t *p = bytes_at(b, pos, BLOCK);

	for (size_t i = 0; p && i < BLOCK; i++)
		if (p[i])
			return false;
	return p != NULL;
}

void scan_tar(const struct scan *in, struct bytes *b)
{
	struct tar *t = mem_zalloc(sizeof(*t));
	uint64_t pos = 0, used = 1;

	t->in = in;
	t->b = b;
	for (size_t i = 0; used && pos < b->size && !all_zero(b, pos); i++) {
		used = i < MEMBERS_MAX ? read_member(t, pos) : 0;
		pos += used;
	}
	for (; used && pos < b->size; pos += BLOCK)
		if (!all_zero(b, pos)) {
			report_flag(in->r, "tar.trailing", "bytes follow its end");
			break;
		}
	path_set_check(&t->names, in->r);
	if (t->old_torch)
		report_flag(in->r, "torch.tar", "a torch file of the first format, which no loader should read any more");
	path_set_done(&t->names);
	free(t);
}
