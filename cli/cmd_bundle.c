/* cmd_bundle.c - bundle inspect: what a bundle holds; bundle verify: every byte of it against its manifest, and the manifest's signature. */
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/vec.h"
#include "cli/bundle.h"
#include "cli/text.h"
#include "cli/verb.h"

#define READ_BYTES (1u << 20)

/* ---- inspect --------------------------------------------------------------------------------------------------- */

/* The key that claims to have signed it; "" for none. Nothing is checked. */
static int claimed_key(const struct bundle *b, char hint[DIGEST_HEX_MAX], struct err *e)
{
	own(sign_opened) struct sign_opened o = { 0 };
	own(buf) struct buf text;

	*hint = 0;
	buf_init(&text, SIGN_BUNDLE_MAX);
	if (faccessat(b->dirfd, BUNDLE_SIGNATURE, F_OK, 0) < 0)
		return 0;
	if (fdio_slurp(b->dirfd, BUNDLE_SIGNATURE, &text, e) < 0 || sign_open(&o, text.data, text.len, e) < 0)
		return e->code;
	snprintf(hint, DIGEST_HEX_MAX, "%s", o.hint);
	return 0;
}

static void print_models(struct ctl *c, const struct bundle *b)
{
	static const struct table_column columns[] = { { "REPO", TABLE_FLEX }, { "REVISION", TABLE_LEFT }, { "LICENSE", TABLE_FLEX }, { "SIZE", TABLE_RIGHT } };
	own(table) struct table t;
	const json_t *m;
	size_t i;

	table_init(&t, columns, ARRAY_LEN(columns));
	json_array_foreach (b->models, i, m) {
		char commit[13];

		snprintf(commit, sizeof(commit), "%.12s", json_get_str(m, "revision"));
		table_add(&t, json_get_str(m, "repo"));
		table_add(&t, commit);
		table_add(&t, json_get_str(m, "license"));
		table_add_size(&t, json_get_int(m, "size_bytes", -1));
	}
	ctl_print_table(c, &t, "the bundle holds no model");
}

int cmd_bundle_inspect(struct ctl *c, struct err *e)
{
	own(bundle) struct bundle b = { .dirfd = -1 };
	char hint[DIGEST_HEX_MAX], size[TEXT_SHORT_MAX];
	const json_t *blob;
	int64_t total = 0;
	size_t i;

	if (bundle_open(&b, c->args.words[0], e) < 0 || claimed_key(&b, hint, e) < 0)
		return e->code;
	if (c->json)
		return ctl_print_json(b.manifest, e);
	print_models(c, &b);
	json_array_foreach (b.blobs, i, blob)
		total += json_get_int(blob, "size_bytes", 0);
	text_size(size, total);
	ctl_say(c, "made %s from %s; %zu contents, %s%s", ctl_when(b.manifest, "created_at"), ctl_text(b.manifest, "source"), json_array_size(b.blobs), size,
		json_get_bool(b.manifest, "differential", false) ? ", without what a receipt named" : "");
	if (b.volumes)
		ctl_say(c, "in %u volumes", b.volumes);
	ctl_say(c, *hint ? "says it is signed with key %.16s…; `bundle verify` checks that" : "not signed", hint);
	return 0;
}

/* ---- verify ---------------------------------------------------------------------------------------------------- */

struct check {
	struct ctl *c;
	const struct bundle *b;
	json_t *files;
	size_t bad;
};

static void report(struct check *k, const char *status, const char *path)
{
	const char *mark = !strcmp(status, "same") ? "=" : !strcmp(status, "missing") ? "-" : "*";

	if (!k->c->json)
		printf("%s %s\n", mark, path);
	json_array_append_new(k->files, json_pack("{s:s, s:s}", "path", path, "status", status));
	k->bad += *mark != '=';
}

static int check_entry(struct check *k, const json_t *model, struct err *e)
{
	char path[BUNDLE_PATH_MAX];
	own(buf) struct buf text;
	int rc;

	buf_init(&text, BUNDLE_ENTRY_MAX);
	rc = bundle_read_entry(k->b, model, &text, e);
	bundle_entry_path(path, json_get_str(model, "entry"));
	if (rc && rc != ERR_MISMATCH && rc != ERR_NOT_FOUND)
		return rc;
	report(k, rc == ERR_MISMATCH ? "differs" : rc ? "missing" : "same", path);
	*e = ERR_NONE;
	return 0;
}

/* Feeds one part; what is missing or has another length is reported, and *whole becomes false. */
static int read_part(struct check *k, const json_t *blob, size_t i, struct digest_ctx *c, char *buf, bool *whole, struct err *e)
{
	char path[BUNDLE_PATH_MAX];
	uint64_t bytes;
	own(fd) int fd = bundle_open_part(k->b, blob, i, &bytes, e);
	ssize_t n;

	bundle_part(blob, i, path, &bytes);
	if (fd < 0 && fd != ERR_NOT_FOUND && fd != ERR_MISMATCH)
		return fd;
	if (fd < 0) {
		report(k, fd == ERR_NOT_FOUND ? "missing" : "differs", path);
		*whole = false;
		*e = ERR_NONE;
		return 0;
	}
	while ((n = fdio_read(fd, buf, READ_BYTES, path, e)) > 0)
		digest_update(c, buf, (size_t)n);
	return n < 0 ? (int)n : 0;
}

static int check_blob(struct check *k, const json_t *blob, char *buf, struct err *e)
{
	own(digest) struct digest_ctx c = { 0 };
	char path[BUNDLE_PATH_MAX], hex[DIGEST_HEX_MAX];
	bool whole = true, same;
	struct digest got;
	uint64_t bytes;

	digest_begin(&c, DIGEST_SHA256);
	for (size_t i = 0; i < bundle_parts(blob); i++)
		if (read_part(k, blob, i, &c, buf, &whole, e) < 0)
			return e->code;
	if (!whole)
		return 0;
	digest_end(&c, &got);
	digest_hex(hex, &got);
	same = !strcmp(hex, json_get_str(blob, "sha256"));
	for (size_t i = 0; i < bundle_parts(blob); i++) {
		bundle_part(blob, i, path, &bytes);
		report(k, same ? "same" : "differs", path);
	}
	return 0;
}

int cmd_bundle_verify(struct ctl *c, struct err *e)
{
	own(json) json_t *files = json_array();
	own(bundle) struct bundle b = { .dirfd = -1 };
	own(mem) char *buf = mem_zalloc(READ_BYTES);
	struct check k = { .c = c, .b = &b, .files = files };
	char hint[DIGEST_HEX_MAX];
	const json_t *item;
	size_t i;

	if (bundle_open(&b, c->args.words[0], e) < 0 || bundle_check_signature(c, &b, args_text(&c->args, "trust"), hint, e) < 0)
		return e->code;
	json_array_foreach (b.models, i, item)
		if (check_entry(&k, item, e) < 0)
			return e->code;
	json_array_foreach (b.blobs, i, item)
		if (check_blob(&k, item, buf, e) < 0)
			return e->code;
	if (c->json) {
		own(json) json_t *all = json_pack("{s:s?, s:O}", "key", *hint ? hint : NULL, "files", files);

		if (ctl_print_json(all, e) < 0)
			return e->code;
	}
	if (k.bad)
		return err_set(e, ERR_MISMATCH, "%zu files of the bundle are not as its manifest says", k.bad);
	ctl_say(c, *hint ? "whole, and signed with key %.16s…" : "whole; not signed", hint);
	return 0;
}
