/*
 * api_hub_tree.c - tree, treesize and paths-info: the listing of what is held of a revision. Directories are made from the files'
 * paths; a directory's id is git's id of a tree with what is held, so it equals upstream's when all of it is held and nothing
 * in it is executable.
 */
#include <pthread.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/api_hub.h"
#include "verify/git_object.h"

#define TREE_DEPTH_MAX 64
#define PAGE_MAX 10000
#define PAGE_EXPANDED_MAX 1000
#define LONG_LISTING 10000	/* files */
#define LOOKUPS_MAX 64		/* above so many paths, the whole listing is read once instead */

/* --- entries ------------------------------------------------------------------------------------------------------------------------ */

static void put_string(struct spool *s, const char *text)
{
	spool_json(s, json_string(text));
}

/* The commit that we know to hold it; which one changed it last, only upstream knows. */
static void put_expanded(struct spool *s, const struct revision *r)
{
	char at[STR_TIME_MAX];

	str_format_iso_ms(at, r->commit_at ? r->commit_at : r->planned_at);
	spool_printf(s, ",\"lastCommit\":{\"id\":\"%s\",\"title\":", r->commit);
	put_string(s, r->title ? r->title : "");
	spool_printf(s, ",\"date\":\"%s\"}", at);
}

void api_hub_put_file(struct spool *s, const struct model_file *f, const struct revision *r, bool expand)
{
	char hex[DIGEST_HEX_MAX];

	api_hub_oid(hex, f);
	spool_printf(s, "{\"type\":\"file\",\"oid\":\"%s\",\"size\":%llu", hex, (unsigned long long)f->size_bytes);
	if (api_hub_is_lfs(f)) {
		digest_hex(hex, &f->sha256);
		spool_printf(s, ",\"lfs\":{\"oid\":\"%s\",\"size\":%llu,\"pointerSize\":%zu}", hex, (unsigned long long)f->size_bytes, api_hub_pointer_size(f));
	}
	spool_puts(s, ",\"path\":");
	put_string(s, f->path);
	if (expand)
		put_expanded(s, r);
	spool_puts(s, "}");
}

/* An entry of a tree: a file, or a directory with the files below it (a run of the sorted array). */
struct entry {
	const char *path;	/* whole */
	const struct model_file *first;
	size_t n;		/* files below; 0: first itself */
	uint16_t skip, depth;	/* of a directory: bytes of its path with the '/', and where it is in the tree */
};

struct entries {
	struct entry *items;
	size_t n, cap;
};

struct tree_entry {	/* for git's order: a directory's name counts as ending in '/' */
	const char *name;
	size_t len;
	bool directory;
	struct digest oid;
};

static int git_order(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int rc = memcmp(x->name, y->name, n), cx, cy;

	if (rc)
		return rc;
	cx = x->len > n ? (unsigned char)x->name[n] : x->directory ? '/' : 0;
	cy = y->len > n ? (unsigned char)y->name[n] : y->directory ? '/' : 0;
	return cx - cy;
}

static void file_oid(struct digest *out, const struct model_file *f)
{
	struct git_pointer p = { f->sha256, f->size_bytes };

	*out = f->git_oid;
	if (out->algo == DIGEST_NONE)
		git_pointer_id(out, &p);
}

/* Files f[0..n) share the first `skip` bytes of their paths, which end in '/'. The run that f begins at this level: 1 for a file. */
static size_t run_length(const struct model_file *f, size_t n, size_t skip, size_t *name_len, bool *directory)
{
	const char *name = f[0].path + skip, *slash = strchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : strlen(name), run = 1;

	*name_len = len;
	*directory = slash != NULL;
	while (slash && run < n && !strncmp(f[run].path + skip, name, len + 1))
		run++;
	return run;
}

static void tree_id(struct digest *out, const struct model_file *f, size_t n, size_t skip, int depth)
{
	struct tree_entry *t = NULL;
	size_t count = 0, cap = 0;
	struct buf b;

	for (size_t i = 0, run; i < n; i += run) {
		struct tree_entry te = { .name = f[i].path + skip };

		run = run_length(f + i, n - i, skip, &te.len, &te.directory);
		if (!te.directory)
			file_oid(&te.oid, &f[i]);
		else if (depth < TREE_DEPTH_MAX)
			tree_id(&te.oid, f + i, run, skip + te.len + 1, depth + 1);
		*vec_push(&t, &count, &cap) = te;
	}
	if (count)
		qsort(t, count, sizeof(*t), git_order);
	buf_init(&b, API_HUB_ANSWER_MAX);
	for (size_t i = 0; i < count; i++) {
		buf_printf(&b, "%s %.*s", t[i].directory ? "40000" : "100644", (int)t[i].len, t[i].name);
		buf_add(&b, "", 1);
		buf_add(&b, t[i].oid.bytes, 20);
	}
	git_object_id(out, GIT_TREE, b.data, b.len);
	buf_done(&b);
	free(t);
}

static void add_entry(struct entries *es, struct entry en)
{
	*vec_push(&es->items, &es->n, &es->cap) = en;
}

/* skip: bytes of the directory that is listed, with its '/'. Directories come before files at each level, as on the Hub. */
static void collect(struct arena *a, struct entries *es, const struct model_file *f, size_t n, size_t skip, bool recursive, int depth)
{
	for (int files = 0; files < 2; files++)
		for (size_t i = 0, run, len; i < n; i += run) {
			struct entry en = { .first = &f[i] };
			bool directory;

			run = run_length(f + i, n - i, skip, &len, &directory);
			if (directory == files)
				continue;
			en.path = f[i].path;
			if (directory) {
				en.path = arena_strndup(a, f[i].path, skip + len);
				en.n = run;
				en.skip = (uint16_t)(skip + len + 1);	/* paths are shorter than that: fdio_check_relative() */
				en.depth = (uint16_t)depth;
			}
			add_entry(es, en);
			if (directory && recursive && depth < TREE_DEPTH_MAX)
				collect(a, es, f + i, run, skip + len + 1, true, depth + 1);
		}
}

/* A directory's id is made here and not before: of a long listing one page is shown at a time. */
static void put_entry(struct spool *s, const struct entry *en, const struct revision *r, bool expand)
{
	char hex[DIGEST_HEX_MAX];
	struct digest oid;

	if (!en->n) {
		api_hub_put_file(s, en->first, r, expand);
		return;
	}
	tree_id(&oid, en->first, en->n, en->skip, en->depth);
	digest_hex(hex, &oid);
	spool_printf(s, "{\"type\":\"directory\",\"oid\":\"%s\",\"size\":0,\"path\":", hex);
	put_string(s, en->path);
	if (expand)
		put_expanded(s, r);
	spool_puts(s, "}");
}

/* --- one long listing at a time ---------------------------------------------------------------------------------------------------- */

/* What a listing is made from is held meanwhile: 20 MiB for 100,000 files, which a client may ask for page by page and side by side. */
static pthread_mutex_t long_listing = PTHREAD_MUTEX_INITIALIZER;

struct turn {
	struct arena a;		/* for that: the request's own lasts until the answer has been sent */
	bool mine;
};

static void own_turn(struct turn *t)
{
	arena_done(&t->a);
	if (t->mine)
		pthread_mutex_unlock(&long_listing);
}

static int wait_for_turn(struct turn *t, struct db *db, int64_t revision_id, struct err *e)
{
	uint64_t n;
	int rc = model_count(db, revision_id, FILES_ALL, &n, e);

	if (rc || n < LONG_LISTING)
		return rc;
	pthread_mutex_lock(&long_listing);
	t->mine = true;
	return 0;
}

/* --- tree --------------------------------------------------------------------------------------------------------------------------- */

/* Our cursors are "o" and the number of entries already given. Any other text (a client's own invention) is past the end. */
static size_t cursor_offset(const char *cursor)
{
	uint64_t n;

	if (!cursor)
		return 0;
	return cursor[0] == 'o' && !str_parse_u64(cursor + 1, &n, NULL) ? (size_t)n : SIZE_MAX;
}

static int answer_entries(struct request *rq, const struct door *d, const struct entries *es, struct err *e)
{
	bool expand = http_query_bool(rq, "expand", false);
	size_t from = cursor_offset(http_query(rq, "cursor")), to = es->n;
	struct daemon *app = rq->app;
	own(spool) struct spool s = { 0 };
	uint64_t limit = UINT64_MAX;
	int rc = http_query_u64(rq, "limit", 1, UINT32_MAX, &limit, e);

	if (rc)
		return rc;
	if (limit != UINT64_MAX && limit > (expand ? PAGE_EXPANDED_MAX : PAGE_MAX))
		limit = expand ? PAGE_EXPANDED_MAX : PAGE_MAX;
	if (from > es->n)
		from = es->n;
	if (limit < to - from) {
		to = from + (size_t)limit;
		rc = api_hub_set_next(rq, arena_printf(&rq->arena, "o%zu", to), e);
	}
	if (rc)
		return rc;
	store_spool(app->store, &s, API_HUB_ANSWER_MAX);
	spool_puts(&s, "[");
	for (size_t i = from; i < to; i++) {
		spool_puts(&s, i > from ? "," : "");
		put_entry(&s, &es->items[i], &d->r, expand);
	}
	spool_puts(&s, "]");
	rc = spool_end(&s, e);
	return rc ? rc : http_answer_spool(rq, 200, API_HUB_JSON, &s);
}

/* The held files at or below {path} ("" for all). False when the request has been answered. */
static bool find_below(struct request *rq, struct door *d, struct turn *turn, const char **under, struct model_file **files, size_t *n)
{
	struct daemon *app = rq->app;
	const char *path = http_param(rq, "path");
	struct err e = ERR_NONE;
	size_t len;
	char *dir;

	if (!door_enter(rq, DOOR_FACTS, d))
		return false;
	dir = arena_strdup(&rq->arena, path ? path : "");
	len = strlen(dir);
	while (len && dir[len - 1] == '/')
		dir[--len] = 0;
	if (wait_for_turn(turn, app->db, d->r.id, &e) || model_files(app->db, d->r.id, FILES_SERVED, dir, NULL, 0, &turn->a, files, n, &e)) {
		http_answer_error(rq, &e);
		return false;
	}
	if (!*n && len) {
		door_refuse(rq, 404, "EntryNotFound", "%s does not exist on \"%s\"", dir, http_param(rq, "rev"));
		return false;
	}
	*under = dir;
	return true;
}

int api_hub_tree(struct request *rq, struct err *e)
{
	own(turn) struct turn turn = { 0 };
	struct entries es = { 0 };
	struct model_file *files;
	const char *under;
	struct door d;
	size_t n;
	int rc;

	if (!find_below(rq, &d, &turn, &under, &files, &n))
		return 0;
	collect(&turn.a, &es, files, n, *under ? strlen(under) + 1 : 0, http_query_bool(rq, "recursive", false), 0);
	rc = answer_entries(rq, &d, &es, e);
	free(es.items);
	return rc;
}

int api_hub_treesize(struct request *rq, struct err *e)
{
	own(turn) struct turn turn = { 0 };
	struct model_file *files;
	const char *under;
	uint64_t size = 0;
	struct door d;
	size_t n;

	(void)e;
	if (!find_below(rq, &d, &turn, &under, &files, &n))
		return 0;
	for (size_t i = 0; i < n; i++)
		size += files[i].size_bytes;
	return http_answer_json(rq, 200, json_pack("{s:s, s:I}", "path", *under ? under : "/", "size", (json_int_t)size));
}

/* --- paths-info --------------------------------------------------------------------------------------------------------------------- */

struct wanted {
	const char **paths;
	size_t n;
	bool expand;
};

static int wanted_from_json(struct request *rq, struct wanted *w, struct err *e)
{
	own(json) json_t *j = http_json_object(rq, e);
	json_t *paths = j ? json_object_get(j, "paths") : NULL;
	size_t n = json_is_array(paths) ? json_array_size(paths) : 1;

	if (!j)
		return e->code;
	if (n > API_HUB_PATHS_MAX)
		return err_set(e, ERR_USAGE, "paths: at most %d are possible", API_HUB_PATHS_MAX);
	w->paths = arena_alloc(&rq->arena, (n + 1) * sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		const json_t *p = json_is_array(paths) ? json_array_get(paths, i) : paths;

		if (!json_is_string(p))
			return err_set(e, ERR_USAGE, "paths must be a list of texts");
		w->paths[w->n++] = arena_strdup(&rq->arena, json_string_value(p));
	}
	w->expand = json_is_true(json_object_get(j, "expand"));
	return 0;
}

static int wanted_from_form(struct request *rq, struct wanted *w, struct err *e)
{
	struct http_pair *pairs;
	size_t n;
	int rc = http_form(rq, &pairs, &n, e);

	if (rc)
		return rc;
	w->paths = arena_alloc(&rq->arena, (n + 1) * sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(pairs[i].key, "paths") || !strcmp(pairs[i].key, "paths[]"))
			w->paths[w->n++] = pairs[i].value;
		else if (!strcmp(pairs[i].key, "expand"))
			w->expand = !strcasecmp(pairs[i].value, "true") || !strcmp(pairs[i].value, "1");
	}
	if (w->n > API_HUB_PATHS_MAX)
		return err_set(e, ERR_USAGE, "paths: at most %d are possible", API_HUB_PATHS_MAX);
	return 0;
}

static int by_path(const void *key, const void *file)
{
	return strcmp(key, ((const struct model_file *)file)->path);
}

/* The file of this path, or the directory; ERR_NOT_FOUND. all may be NULL: then the catalog is asked. */
static int look_up(struct db *db, int64_t revision_id, const char *path, struct model_file *all, size_t n_all, struct arena *a, struct entry *out, struct err *e)
{
	struct model_file *f = all ? bsearch(path, all, n_all, sizeof(*all), by_path) : arena_alloc(a, sizeof(*f));
	struct model_file *below;
	size_t n;
	int rc = 0;

	*out = (struct entry){ .path = path, .first = f };
	if (!all)
		rc = model_file(db, revision_id, path, FILES_SERVED, a, f, e);
	if (f && !rc)
		return 0;
	if (rc && rc != ERR_NOT_FOUND)
		return rc;
	rc = *path ? model_files(db, revision_id, FILES_SERVED, path, NULL, 0, a, &below, &n, e) : ERR_NOT_FOUND;
	if (rc || !n)
		return rc ? rc : ERR_NOT_FOUND;
	out->n = n;
	out->first = below;
	out->skip = (uint16_t)(strlen(path) + 1);
	return 0;
}

int api_hub_paths_info(struct request *rq, struct err *e)
{
	own(turn) struct turn turn = { 0 };
	const char *type = http_header(rq, "Content-Type");
	struct daemon *app = rq->app;
	struct wanted w = { 0 };
	struct model_file *all = NULL;
	own(spool) struct spool s = { 0 };
	size_t n_all = 0, given = 0;
	struct door d;
	int rc = type && strstr(type, "json") ? wanted_from_json(rq, &w, e) : wanted_from_form(rq, &w, e);

	if (rc)
		return rc;
	if (!door_enter(rq, DOOR_FACTS, &d))
		return 0;
	if (w.n > LOOKUPS_MAX && ((rc = wait_for_turn(&turn, app->db, d.r.id, e)) || (rc = model_files(app->db, d.r.id, FILES_SERVED, "", NULL, 0, &turn.a, &all, &n_all, e))))
		return rc;
	store_spool(app->store, &s, API_HUB_ANSWER_MAX);
	spool_puts(&s, "[");
	for (size_t i = 0; i < w.n; i++) {
		own(arena) struct arena one = { 0 };
		struct entry en;

		rc = look_up(app->db, d.r.id, w.paths[i], all, n_all, &one, &en, e);
		if (rc == ERR_NOT_FOUND)
			continue;	/* the Hub leaves out what it does not know */
		if (rc)
			return rc;
		spool_puts(&s, given++ ? "," : "");
		put_entry(&s, &en, &d.r, w.expand);
	}
	spool_puts(&s, "]");
	rc = spool_end(&s, e);
	return rc ? rc : http_answer_spool(rq, 200, API_HUB_JSON, &s);
}
