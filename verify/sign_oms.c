/* sign_oms.c - the statement of OpenSSF Model Signing v1.0 about a model's files: written, and read with distrust. */
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/sign.h"

static const char *const ignored[] = { ".git", ".gitattributes", ".github", ".gitignore" };

bool sign_is_ignored(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++) {
		size_t n = strlen(ignored[i]);

		if (!strncmp(path, ignored[i], n) && (!path[n] || path[n] == '/'))
			return true;
	}
	return false;
}

static json_t *ignore_list(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		json_array_append_new(list, json_string(ignored[i]));
	return list;
}

json_t *sign_oms_statement(const char *name, const struct sign_file *files, size_t n, struct err *e)
{
	own(digest) struct digest_ctx root = { 0 };
	json_t *resources = json_array();
	char hex[DIGEST_HEX_MAX];
	struct digest d;

	digest_begin(&root, DIGEST_SHA256);
	for (size_t i = 0; i < n; i++) {
		if (sign_is_ignored(files[i].path))
			continue;
		digest_hex(hex, &files[i].sha256);
		digest_update(&root, files[i].sha256.bytes, digest_size(DIGEST_SHA256));
		json_array_append_new(resources, json_pack("{s:s, s:s, s:s}", "algorithm", "sha256", "digest", hex, "name", files[i].path));
	}
	digest_end(&root, &d);
	digest_hex(hex, &d);
	if (!json_array_size(resources)) {
		json_decref(resources);
		err_set(e, ERR_INPUT, "there is no file to make a statement about");
		return NULL;
	}
	return json_pack("{s:s, s:[{s:s, s:{s:s}}], s:s, s:{s:{s:s, s:s, s:b, s:o}, s:o}}", "_type", "https://in-toto.io/Statement/v1", "subject", "name", name,
			 "digest", "sha256", hex, "predicateType", SIGN_TYPE_OMS, "predicate", "serialization", "method", "files", "hash_type", "sha256",
			 "allow_symlinks", 0, "ignore_paths", ignore_list(), "resources", resources);
}

/* Only what is no part of a model may be left out of a statement: else weights could hide there. */
static int check_serialization(const json_t *s, struct err *e)
{
	const json_t *v;
	size_t i;

	if (strcmp(json_get_str_or(s, "method", ""), "files") != 0 || strcmp(json_get_str_or(s, "hash_type", ""), "sha256") != 0)
		return err_set(e, ERR_UNSUPPORTED, "the statement is not about whole files with SHA-256, which is the only kind read here");
	json_array_foreach(json_object_get(s, "ignore_paths"), i, v) {
		const char *path = json_string_value(v);

		if (!path || (!sign_is_ignored(path) && !str_ends(path, ".sig") && !str_ends(path, ".sigstore") && !str_ends(path, ".sigstore.json")))
			return err_set(e, ERR_MISMATCH, "the statement leaves '%.200s' out, where anything could hide", path ? path : "");
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct sign_file *)a)->path, ((const struct sign_file *)b)->path);
}

static int read_resource(const json_t *r, struct sign_file *f, struct err *e)
{
	const char *digest = json_get_str(r, "digest");

	f->path = json_get_str(r, "name");
	if (!f->path || fdio_check_relative(f->path, e) < 0)
		return err_set(e, ERR_INPUT, "the statement names a file that can't be one: '%.200s'", f->path ? f->path : "");
	if (strcmp(json_get_str_or(r, "algorithm", ""), "sha256") != 0 || !digest || digest_parse(&f->sha256, DIGEST_SHA256, digest, e) < 0)
		return err_set(e, ERR_INPUT, "the statement gives no SHA-256 for '%.200s'", f->path);
	return 0;
}

/* The subject's digest is over the files' digests in the order in which they are listed. */
static int check_root(const json_t *statement, const struct sign_file *files, size_t n, struct err *e)
{
	const json_t *subjects = json_object_get(statement, "subject");
	own(digest) struct digest_ctx root = { 0 };
	char hex[DIGEST_HEX_MAX];
	struct digest d;

	digest_begin(&root, DIGEST_SHA256);
	for (size_t i = 0; i < n; i++)
		digest_update(&root, files[i].sha256.bytes, digest_size(DIGEST_SHA256));
	digest_end(&root, &d);
	digest_hex(hex, &d);
	if (json_array_size(subjects) != 1 || strcmp(json_get_str_or(json_object_get(json_array_get(subjects, 0), "digest"), "sha256", ""), hex) != 0)
		return err_set(e, ERR_MISMATCH, "the statement's digest is not that of the files it names");
	return 0;
}

int sign_oms_files(const json_t *statement, struct sign_file **files, size_t *n, struct err *e)
{
	const json_t *predicate = json_object_get(statement, "predicate"), *resources = json_object_get(predicate, "resources"), *r;
	own(mem) struct sign_file *list = NULL;
	size_t i, count = json_array_size(resources);

	if (strcmp(json_get_str_or(statement, "predicateType", ""), SIGN_TYPE_OMS) != 0)
		return err_set(e, ERR_INPUT, "the statement is not one about a model's files: its type is '%.100s'", json_get_str_or(statement, "predicateType", ""));
	if (!count || count > SIGN_FILES_MAX)
		return err_set(e, ERR_INPUT, "the statement must name 1 to %d files", SIGN_FILES_MAX);
	list = mem_zalloc(count * sizeof(*list));
	json_array_foreach(resources, i, r)
		if (read_resource(r, &list[i], e) < 0)
			return e ? (int)e->code : ERR_INPUT;
	if (check_serialization(json_object_get(predicate, "serialization"), e) < 0 || check_root(statement, list, count, e) < 0)
		return e ? (int)e->code : ERR_MISMATCH;
	qsort(list, count, sizeof(*list), by_path);
	for (i = 1; i < count; i++)
		if (!strcmp(list[i - 1].path, list[i].path))
			return err_set(e, ERR_MISMATCH, "the statement names '%.200s' twice", list[i].path);
	*files = take(list);
	*n = count;
	return 0;
}
