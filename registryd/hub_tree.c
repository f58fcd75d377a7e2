/* hub_tree.c - the listing of a revision's files, page by page. Every name, hash and size in it is foreign text and is checked here. See hub.h. */
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/hub.h"

void hub_tree_init(struct hub_tree *t)
{
	memset(t, 0, sizeof(*t));
	arena_init(&t->arena);
	buf_init(&t->raw, HUB_TREE_RAW_MAX);
}

void hub_tree_keep_paths(struct hub_tree *t)
{
	free(take(t->files));
	t->n_files = t->cap_files = t->n_dirs = 0;
}

void hub_tree_done(struct hub_tree *t)
{
	hub_tree_keep_paths(t);
	buf_done(&t->raw);
	arena_done(&t->arena);
}

static bool all_asterisks(const char *s)
{
	return *s && strspn(s, "*") == strlen(s);
}

/* ".git" in any case, as a component: a checkout would run what stands in there. */
static bool names_git_dir(const char *path)
{
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 4 && !strncasecmp(p, ".git", 4))
			return true;
		p += n;
		if (!*p)
			return false;
	}
}

static int check_path(const char *path, struct err *e)
{
	int rc = fdio_check_relative(path, e);

	if (rc)
		return err_wrap(e, "the listing names a path that can't be kept");
	if (names_git_dir(path))
		return err_set(e, ERR_INPUT, "the listing names '%.200s', which would write into a .git directory", path);
	return 0;
}

static int read_hash(struct digest *out, enum digest_algo algo, const char *hex, bool *masked, const char *path, const char *name, struct err *e)
{
	if (!hex)
		return err_set(e, ERR_INPUT, "the listing gives no %s for '%.300s'", name, path);
	if (all_asterisks(hex)) {
		*masked = true;
		return 0;
	}
	if (digest_parse(out, algo, hex, NULL))
		return err_set(e, ERR_INPUT, "the listing gives '%.80s' as %s of '%.300s', which is not one", hex, name, path);
	return 0;
}

static int read_size(uint64_t *out, const json_t *obj, const char *path, struct err *e)
{
	int64_t v = json_get_int(obj, "size", -1);

	if (v < 0 || (uint64_t)v > HUB_FILE_SIZE_MAX)
		return err_set(e, ERR_INPUT, "the listing gives no usable size for '%.300s'", path);
	*out = (uint64_t)v;
	return 0;
}

static int read_lfs(struct hub_file *f, const json_t *item, const json_t *lfs, struct err *e)
{
	uint64_t payload = 0;
	int64_t pointer = json_get_int(lfs, "pointerSize", 0);
	int rc;

	f->lfs = true;
	rc = read_hash(&f->sha256, DIGEST_SHA256, json_get_str(lfs, "oid"), &f->masked, f->path, "SHA-256", e);
	if (!rc)
		rc = read_size(&payload, lfs, f->path, e);
	if (rc)
		return rc;
	if (json_object_get(item, "size") && payload != f->size_bytes)
		return err_set(e, ERR_INPUT, "the listing gives two sizes for '%.300s': %llu and %llu bytes", f->path, (unsigned long long)f->size_bytes, (unsigned long long)payload);
	f->size_bytes = payload;
	f->pointer_bytes = pointer > 0 && pointer < 65536 ? (uint32_t)pointer : 0;
	return 0;
}

static int read_file(struct hub_tree *t, const json_t *item, const char *path, struct err *e)
{
	const json_t *lfs = json_object_get(item, "lfs");
	struct hub_file f = { .path = arena_strdup(&t->arena, path) };
	int rc;

	if (t->n_files >= HUB_FILES_MAX)
		return err_set(e, ERR_LIMIT, "the listing names more than %d files", HUB_FILES_MAX);
	rc = read_size(&f.size_bytes, item, path, e);
	if (!rc)
		rc = read_hash(&f.oid, DIGEST_SHA1, json_get_str(item, "oid"), &f.masked, path, "git object id", e);
	if (!rc && json_is_object(lfs))
		rc = read_lfs(&f, item, lfs, e);
	if (rc)
		return rc;
	if (__builtin_add_overflow(t->total_bytes, f.size_bytes, &t->total_bytes))
		return err_set(e, ERR_INPUT, "the sizes in the listing add up to more than 2^64 bytes");
	*vec_push(&t->files, &t->n_files, &t->cap_files) = f;
	return 0;
}

static int read_dir(struct hub_tree *t, const json_t *item, const char *path, struct err *e)
{
	struct digest oid;
	bool masked;

	if (t->n_dirs++ >= HUB_FILES_MAX)
		return err_set(e, ERR_LIMIT, "the listing names more than %d directories", HUB_FILES_MAX);
	return read_hash(&oid, DIGEST_SHA1, json_get_str(item, "oid"), &masked, path, "git object id", e);
}

static int read_item(struct hub_tree *t, const json_t *item, struct err *e)
{
	const char *type = json_get_str(item, "type"), *path = json_get_str(item, "path");
	int rc;

	if (!type || !path)
		return err_set(e, ERR_INPUT, "the listing has an entry without type or path");
	if (strlen(path) != json_string_length(json_object_get(item, "path")))
		return err_set(e, ERR_INPUT, "the listing names '%.200s…' with a NUL byte in it", path);
	rc = check_path(path, e);
	if (rc)
		return rc;
	if (!strcmp(type, "file"))
		return read_file(t, item, path, e);
	if (!strcmp(type, "directory"))
		return read_dir(t, item, path, e);
	t->n_others++;	/* a submodule: nothing to fetch */
	return 0;
}

int hub_tree_page(struct hub_tree *t, const char *text, size_t n, struct err *e)
{
	own(json) json_t *page = hub_parse_answer(text, n, "the listing", "upstream", e);
	size_t i;
	json_t *item;
	int rc;

	if (!page)
		return ERR_INPUT;
	if (!json_is_array(page))
		return err_set(e, ERR_INPUT, "the listing is not a JSON array");
	json_array_foreach (page, i, item) {
		rc = read_item(t, item, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct hub_file *)a)->path, ((const struct hub_file *)b)->path);
}

static int by_path_nocase(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

const struct hub_file *hub_tree_find(const struct hub_tree *t, const char *path)
{
	return t->n_files ? bsearch(&(struct hub_file){ .path = path }, t->files, t->n_files, sizeof(*t->files), by_path) : NULL;
}

/* Is some part before a '/' of the path a file too? */
static const char *file_above(const struct hub_tree *t, const char *path)
{
	own(mem) char *up = mem_strdup(path);
	const struct hub_file *f;
	char *slash;

	while ((slash = strrchr(up, '/'))) {
		*slash = 0;
		f = hub_tree_find(t, up);
		if (f)
			return f->path;
	}
	return NULL;
}

/* Names that Linux keeps apart but other systems do not: worth a word, not a refusal. */
static void find_odd(struct hub_tree *t)
{
	own(mem) const char **paths = mem_zalloc((t->n_files + 1) * sizeof(*paths));

	for (size_t i = 0; i < t->n_files; i++) {
		const char *path = paths[i] = t->files[i].path;

		if (strchr(". ", path[strlen(path) - 1]))
			t->odd_path = path;
	}
	qsort(paths, t->n_files, sizeof(*paths), by_path_nocase);
	for (size_t i = 1; i < t->n_files; i++)
		if (!strcasecmp(paths[i - 1], paths[i]))
			t->odd_path = paths[i];
}

int hub_tree_finish(struct hub_tree *t, struct err *e)
{
	if (t->n_files)
		qsort(t->files, t->n_files, sizeof(*t->files), by_path);
	for (size_t i = 0; i < t->n_files; i++) {
		const char *path = t->files[i].path, *above;

		if (i && !strcmp(t->files[i - 1].path, path))
			return err_set(e, ERR_INPUT, "the listing names '%.300s' twice", path);
		above = strchr(path, '/') ? file_above(t, path) : NULL;
		if (above)
			return err_set(e, ERR_INPUT, "the listing names '%.200s' as a file and as the directory of '%.200s'", above, path);
	}
	find_odd(t);
	return 0;
}

/* All of it or nothing: half a listing is of no use to anybody. */
static void keep_raw(struct hub_tree *t, const struct buf *page)
{
	buf_add(&t->raw, page->data, page->len);
	if (buf_putc(&t->raw, '\n') == 0)
		return;
	buf_done(&t->raw);
	t->raw.failed = true;
}

int hub_get_tree(struct hub *h, const char *repo, const char *sha, const atomic_bool *stop, struct hub_tree *t, struct err *e)
{
	own(mem) char *url = NULL;
	own(mem) char *what = NULL;
	int rc = 0;

	if (asprintf(&url, "%s/api/models/%s/tree/%s?recursive=true&expand=false&limit=1000", h->config.endpoint, repo, sha) < 0 ||
	    asprintf(&what, "listing of %s@%.12s", repo, sha) < 0)
		abort();
	for (int page = 0; url; page++) {
		own(answer) struct net_answer a = { 0 };
		own(buf) struct buf body;
		size_t before = t->n_files + t->n_dirs;
		char *next = NULL;

		buf_init(&body, HUB_PAGE_MAX_BYTES);
		if (page >= HUB_PAGES_MAX)
			return err_set(e, ERR_LIMIT, "%s: it has more than %d pages", what, HUB_PAGES_MAX);
		rc = hub_call(h, &(struct hub_call){ .url = url, .what = what, .repo = repo, .bucket = HUB_API, .stop = stop }, &a, &body, e);
		if (rc)
			return rc;
		rc = hub_tree_page(t, body.data, body.len, e);
		if (!rc)
			rc = hub_next_page(h, url, &a, &next, e);
		if (!rc && next && t->n_files + t->n_dirs == before)
			rc = err_set(e, ERR_INPUT, "the listing has an empty page that leads to a further one");
		if (rc) {
			free(next);
			return err_wrap(e, "%s", what);
		}
		keep_raw(t, &body);
		free(url);
		url = next;
	}
	rc = hub_tree_finish(t, e);
	return rc ? err_wrap(e, "%s", what) : 0;
}
