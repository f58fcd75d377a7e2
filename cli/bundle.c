/* bundle.c - see bundle.h. A medium has been in other hands: everything on it is checked before it is used. */
#include "cli/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/trust.h"

/* ---- paths ----------------------------------------------------------------------------------------------------- */

void bundle_part_path(char path[BUNDLE_PATH_MAX], const char *sha256, unsigned volume, size_t i, size_t n_parts)
{
	char in[24] = "", part[24] = "";

	if (volume)
		snprintf(in, sizeof(in), "volume-%03u/", volume);
	if (n_parts > 1)
		snprintf(part, sizeof(part), ".%03zu", i + 1);
	snprintf(path, BUNDLE_PATH_MAX, "%sblobs/sha256/%.64s%s", in, sha256, part);
}

void bundle_entry_path(char path[BUNDLE_PATH_MAX], const char *sha256)
{
	snprintf(path, BUNDLE_PATH_MAX, "entries/%.64s.json", sha256);
}

size_t bundle_parts(const json_t *blob)
{
	return json_array_size(json_object_get(blob, "parts"));
}

void bundle_part(const json_t *blob, size_t i, char path[BUNDLE_PATH_MAX], uint64_t *bytes)
{
	const json_t *part = json_array_get(json_object_get(blob, "parts"), i);

	bundle_part_path(path, json_get_str(blob, "sha256"), (unsigned)json_integer_value(json_array_get(part, 0)), i, bundle_parts(blob));
	*bytes = (uint64_t)json_integer_value(json_array_get(part, 1));
}

/* ---- the manifest ---------------------------------------------------------------------------------------------- */

static bool is_sha256(const json_t *obj, const char *key)
{
	const char *hex = json_get_str(obj, key);

	return hex && str_is_hex(hex, 64);
}

static int check_model(const json_t *m, struct err *e)
{
	struct ctl_model model;
	const char *repo = json_get_str_or(m, "repo", ""), *commit = json_get_str_or(m, "revision", "");

	if (ctl_parse_model(&model, repo, e) < 0 || model.rev)
		return err_set(e, ERR_INPUT, BUNDLE_MANIFEST ": '%.200s' is not a model's name", repo);
	if (!str_is_hex(commit, 40) || !is_sha256(m, "entry") || json_get_int(m, "entry_bytes", 0) <= 0 || json_get_int(m, "entry_bytes", 0) > (int64_t)BUNDLE_ENTRY_MAX)
		return err_set(e, ERR_INPUT, BUNDLE_MANIFEST ": %s lacks a revision, or an entry's SHA-256 and size", repo);
	return 0;
}

static int check_blob(const json_t *blob, const char *before, unsigned volumes, struct err *e)
{
	const json_t *parts = json_object_get(blob, "parts"), *part;
	int64_t left = json_get_int(blob, "size_bytes", -1);
	size_t i;

	if (!is_sha256(blob, "sha256") || left < 0 || !json_array_size(parts) || json_array_size(parts) > BUNDLE_PARTS_MAX)
		return err_set(e, ERR_INPUT, BUNDLE_MANIFEST ": a content lacks its SHA-256, size or parts");
	if (strcmp(before, json_get_str(blob, "sha256")) >= 0)
		return err_set(e, ERR_INPUT, BUNDLE_MANIFEST ": the contents are not in order, or one is there twice");
	json_array_foreach (parts, i, part) {
		int64_t volume = json_integer_value(json_array_get(part, 0)), bytes = json_integer_value(json_array_get(part, 1));

		if (json_array_size(part) != 2 || volume < !!volumes || volume > (int64_t)volumes || bytes < 0 || bytes > left)
			return err_set(e, ERR_INPUT, BUNDLE_MANIFEST ": the parts of %.12s make no sense", json_get_str(blob, "sha256"));
		left -= bytes;
	}
	return left ? err_set(e, ERR_INPUT, BUNDLE_MANIFEST ": the parts of %.12s are not as long as it is", json_get_str(blob, "sha256")) : 0;
}

static int check_manifest(struct bundle *b, struct err *e)
{
	const char *format = json_get_str_or(b->manifest, "format", ""), *before = "";
	int64_t volumes = json_get_int(b->manifest, "volumes", 0);
	const json_t *item;
	size_t i;

	if (strcmp(format, BUNDLE_FORMAT) != 0)
		return err_set(e, ERR_UNSUPPORTED, BUNDLE_MANIFEST " has the format '%.60s'; this registryctl reads " BUNDLE_FORMAT, format);
	b->models = json_object_get(b->manifest, "models");
	b->blobs = json_object_get(b->manifest, "blobs");
	if (!json_is_array(b->models) || !json_is_array(b->blobs) || volumes < 0 || volumes > BUNDLE_VOLUMES_MAX)
		return err_set(e, ERR_INPUT, BUNDLE_MANIFEST " lacks its lists of models and contents, or has too many volumes");
	b->volumes = (unsigned)volumes;
	json_array_foreach (b->models, i, item)
		if (check_model(item, e) < 0)
			return e->code;
	json_array_foreach (b->blobs, i, item) {
		if (check_blob(item, before, b->volumes, e) < 0)
			return e->code;
		before = json_get_str(item, "sha256");
	}
	return 0;
}

int bundle_open(struct bundle *b, const char *dir, struct err *e)
{
	own(buf) struct buf text;

	*b = (struct bundle){ .dirfd = -1 };
	buf_init(&text, BUNDLE_MANIFEST_MAX);
	b->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dirfd < 0)
		return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_USAGE, "'%s' is not a directory that can be read: %s", dir, strerror(errno));
	if (faccessat(b->dirfd, BUNDLE_MANIFEST, F_OK, 0) < 0)
		return err_set(e, ERR_NOT_FOUND, "'%s' holds no bundle: there is no " BUNDLE_MANIFEST " in it", dir);
	if (fdio_slurp(b->dirfd, BUNDLE_MANIFEST, &text, e) < 0)
		return e->code;
	digest_of(&b->sha256, DIGEST_SHA256, text.data, text.len);
	b->manifest = json_parse(text.data, text.len, BUNDLE_MANIFEST, e);
	return b->manifest ? check_manifest(b, e) : e->code;
}

void bundle_done(struct bundle *b)
{
	if (b->dirfd >= 0)
		close(b->dirfd);
	json_decref(b->manifest);
	*b = (struct bundle){ .dirfd = -1 };
}

/* ---- contents -------------------------------------------------------------------------------------------------- */

const json_t *bundle_find_blob(const struct bundle *b, const char *sha256)
{
	size_t low = 0, high = json_array_size(b->blobs);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const json_t *blob = json_array_get(b->blobs, mid);
		int order = strcmp(json_get_str(blob, "sha256"), sha256);

		if (!order)
			return blob;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

int bundle_open_part(const struct bundle *b, const json_t *blob, size_t i, uint64_t *bytes, struct err *e)
{
	char path[BUNDLE_PATH_MAX];
	uint64_t size;
	int fd;

	bundle_part(blob, i, path, bytes);
	fd = fdio_open_beneath(b->dirfd, path, O_RDONLY, e);
	if (fd == ERR_NOT_FOUND)
		return err_set(e, ERR_NOT_FOUND, "%s is missing%s", path, b->volumes ? ": copy its volume into the bundle's directory" : "");
	if (fd < 0)
		return fd;
	if (fdio_size(fd, &size, path, e) == 0 && size == *bytes)
		return fd;
	close(fd);
	return e->code ? e->code : err_set(e, ERR_MISMATCH, "%s has %llu bytes and not %llu", path, (unsigned long long)size, (unsigned long long)*bytes);
}

int bundle_read_entry(const struct bundle *b, const json_t *model, struct buf *text, struct err *e)
{
	char path[BUNDLE_PATH_MAX], hex[DIGEST_HEX_MAX];
	struct digest got;

	bundle_entry_path(path, json_get_str(model, "entry"));
	if (fdio_slurp(b->dirfd, path, text, e) < 0)
		return e->code;
	digest_of(&got, DIGEST_SHA256, text->data, text->len);
	digest_hex(hex, &got);
	return strcmp(hex, json_get_str(model, "entry")) ? err_set(e, ERR_MISMATCH, "%s does not have the bytes that its name says", path) : 0;
}

/* ---- the signature --------------------------------------------------------------------------------------------- */

/* Is it a statement about this manifest and nothing else? */
static int check_statement(const json_t *statement, const struct bundle *b, struct err *e)
{
	own(mem) struct sign_file *files = NULL;
	size_t n;

	if (sign_oms_files(statement, &files, &n, e) < 0)
		return e->code;
	if (n != 1 || strcmp(files[0].path, BUNDLE_MANIFEST) != 0 || !digest_equal(&files[0].sha256, &b->sha256))
		return err_set(e, ERR_MISMATCH, BUNDLE_SIGNATURE " is not about this " BUNDLE_MANIFEST);
	return 0;
}

/* With the one key that must have signed it. */
static int check_with_file(const char *file, const struct sign_opened *o, json_t **statement, char hint[DIGEST_HEX_MAX], struct err *e)
{
	own(sign_key) struct sign_key key = { 0 };
	own(buf) struct buf pem;

	buf_init(&pem, SIGN_PEM_MAX);
	if (fdio_slurp(AT_FDCWD, file, &pem, e) < 0 || sign_key_read_public(&key, pem.data, pem.len, e) < 0 || sign_check(o, &key, statement, e) < 0)
		return e->code;
	snprintf(hint, DIGEST_HEX_MAX, "%s", key.hint);
	return 0;
}

int bundle_check_signature(struct ctl *c, const struct bundle *b, const char *trust_file, char hint[DIGEST_HEX_MAX], struct err *e)
{
	own(sign_opened) struct sign_opened o = { 0 };
	own(json) json_t *statement = NULL;
	own(buf) struct buf text;

	*hint = 0;
	buf_init(&text, SIGN_BUNDLE_MAX);
	if (faccessat(b->dirfd, BUNDLE_SIGNATURE, F_OK, 0) < 0)
		return trust_file ? err_set(e, ERR_MISMATCH, "the bundle is not signed: there is no " BUNDLE_SIGNATURE " in it") : 0;
	if (fdio_slurp(b->dirfd, BUNDLE_SIGNATURE, &text, e) < 0 || sign_open(&o, text.data, text.len, e) < 0)
		return e->code;
	if (trust_file ? check_with_file(trust_file, &o, &statement, hint, e) < 0 : trust_check(c, &o, &statement, hint, e) < 0)
		return e->code;
	return check_statement(statement, b, e);
}
