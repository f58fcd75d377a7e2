/* artefact.c - see artefact.h. */
#include "infer/artefact.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/safetensors.h"

#define ENTRIES_MAX 200000	/* of one folder */
#define SHARDS_MAX  10000
#define STRAYS_MAX  8		/* of one folder that are looked at: the first settles it */

struct names {
	char **v;
	size_t n, cap;
};

struct walk {
	struct artefacts *a;
	int dirfd;		/* of the root */
	struct err *e;
};

static void names_done(struct names *x)
{
	for (size_t i = 0; i < x->n; i++)
		free(x->v[i]);
	free(x->v);
}

static inline void own_names(struct names *x)
{
	names_done(x);
}

/* How well a name stands for a model: the one that programs load when not told otherwise comes first, and the others are held against it. */
static int rank_of(const char *name)
{
	static const char *const best_last[] = { "*.gguf", "consolidated*.safetensors", "*.safetensors", "*.safetensors.index*.json", "diffusion_pytorch_model.safetensors",
		"diffusion_pytorch_model.safetensors.index.json", "model.safetensors", "model.safetensors.index.json" };

	for (int i = (int)ARRAY_LEN(best_last); i > 0; i--)
		if (str_glob(best_last[i - 1], name))
			return i;
	return 0;
}

/* PREFIX-00002-of-00005.END: where the number stands, 0 when the name is none of a series. */
static size_t part_of(const char *name, unsigned *no, unsigned *total)
{
	const char *at = strrchr(name, '-'), *dot = at ? strchr(at, '.') : NULL;

	if (!dot || !str_glob("*-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].*", name) || dot - at != 6 || at - name < 9 ||
		sscanf(at - 9, "-%5u-of-%5u", no, total) != 2)
		return 0;
	return (size_t)(at - name) - 8;
}

static bool is_later_part(const char *name)
{
	unsigned no, total;

	return part_of(name, &no, &total) && no != 1;
}

/* Files that hold tensors and are no model: what programs keep beside one. */
static bool is_side(const char *name)
{
	static const char *const globs[] = { "*mmproj*", "*imatrix*", "*optimizer*", "*learned_embeds*", "*rng_state*", "*scheduler*", "*.lora.safetensors", "*_head.safetensors",
		"*projector*.safetensors" };

	for (size_t i = 0; i < ARRAY_LEN(globs); i++)
		if (str_glob(globs[i], name))
			return true;
	return false;
}

/* Not what programs call a model, or another form of it. */
static bool is_extra(const char *name)
{
	static const char *const globs[] = { "*.gguf", "*.json", "model*", "pytorch_model*", "consolidated*", "diffusion_pytorch_model*", "*-of-*" };

	for (size_t i = 0; i < ARRAY_LEN(globs); i++)
		if (str_glob(globs[i], name))
			return false;
	return true;
}

static bool listed(const struct names *x, const char *name)
{
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->v[i], name) == 0)
			return true;
	return false;
}

static void add_name(struct names *x, const char *name)
{
	*vec_push(&x->v, &x->n, &x->cap) = mem_strdup(name);
}

static char *joined(const char *dir, const char *name, const char *end)
{
	char *path = NULL;

	if (asprintf(&path, "%s%s%s", dir, name, end) < 0)
		abort();
	return path;
}

/* The shards that an index names are one artefact with it. An index that can't be read is refused when it is opened. */
static void read_index(struct walk *w, const char *dir, const char *file, struct names *covered)
{
	own(mem) char *path = joined(dir, file, "");
	json_t *index own(json) = NULL, *shard;
	struct buf text own(buf);
	const char *tensor, *last = "";

	buf_init(&text, SAFETENSORS_INDEX_MAX);
	if (fdio_slurp(w->dirfd, path, &text, NULL) < 0)
		return;
	index = json_parse(text.data, text.len, path, NULL);
	json_object_foreach(json_object_get(index, "weight_map"), tensor, shard) {
		const char *name = json_string_value(shard);

		if (name && strcmp(name, last) != 0 && !listed(covered, name) && covered->n < SHARDS_MAX)
			add_name(covered, name);
		last = name ? name : "";
	}
}

static int by_rank(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	int dx = is_side(x) ? -1 : rank_of(x), dy = is_side(y) ? -1 : rank_of(y);

	return dx != dy ? dy - dx : strcmp(x, y);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What one folder holds: checkpoints, and parts that belong to the first of their series or to an index. */
static int list(struct walk *w, const char *dir, struct names *files, struct names *later, struct names *folders)
{
	int fd = openat(w->dirfd, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *x;
	struct stat st;
	size_t n = 0;

	if (!d)
		return err_errno(w->e, "list %s", *dir ? dir : "the directory");
	while ((x = readdir(d)) && n++ < ENTRIES_MAX) {
		if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0 || fstatat(fd, x->d_name, &st, 0) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && fstatat(fd, x->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			add_name(folders, x->d_name);
		else if (rank_of(x->d_name))
			add_name(is_later_part(x->d_name) ? later : files, x->d_name);
	}
	closedir(d);
	return 0;
}

static int add(struct walk *w, const char *dir, const char *file, bool stray)
{
	if (w->a->n == ARTEFACTS_MAX)
		return err_set(w->e, ERR_LIMIT, "there are more than %d checkpoints here: test a part of them at a time (--include)", ARTEFACTS_MAX);
	*vec_push(&w->a->v, &w->a->n, &w->a->cap) =
		(struct artefact){ .dir = mem_strdup(dir), .file = mem_strdup(file), .side = is_side(file), .extra = is_extra(file), .stray = stray };
	return 0;
}

/* Is it one of those that opening the first part of a split GGUF opens too (weights.h)? */
static bool follows_first(const struct names *files, const char *name)
{
	own(mem) char *first = mem_strdup(name);
	unsigned no, total;
	size_t at = part_of(name, &no, &total);

	memcpy(first + at, "00001", 5);
	return str_ends(name, ".gguf") && no >= 1 && no <= total && listed(files, first);
}

static int add_files(struct walk *w, const char *dir, struct names *files, struct names *later)
{
	struct names covered own(names) = { 0 };
	size_t strays = 0;
	int rc = 0;

	for (size_t i = 0; i < files->n; i++)
		if (str_ends(files->v[i], ".json"))
			read_index(w, dir, files->v[i], &covered);
	if (files->n)
		qsort(files->v, files->n, sizeof(*files->v), by_rank);
	if (later->n)
		qsort(later->v, later->n, sizeof(*later->v), by_name);
	for (size_t i = 0; rc == 0 && i < files->n; i++)
		rc = listed(&covered, files->v[i]) ? 0 : add(w, dir, files->v[i], false);
	for (size_t i = 0; rc == 0 && i < later->n && strays < STRAYS_MAX; i++) {
		if (listed(&covered, later->v[i]) || follows_first(files, later->v[i]))
			continue;
		rc = add(w, dir, later->v[i], true);
		strays++;
	}
	return rc;
}

static int walk(struct walk *w, const char *dir, int depth)
{
	struct names files own(names) = { 0 }, later own(names) = { 0 }, folders own(names) = { 0 };
	int rc = list(w, dir, &files, &later, &folders);

	if (rc == 0)
		rc = add_files(w, dir, &files, &later);
	if (folders.n)
		qsort(folders.v, folders.n, sizeof(*folders.v), by_name);
	if (rc == 0 && folders.n && depth == ARTEFACTS_DEPTH_MAX)
		rc = err_set(w->e, ERR_LIMIT, "%s: more than %d folders below one another are not looked into", dir, ARTEFACTS_DEPTH_MAX);
	for (size_t i = 0; rc == 0 && i < folders.n; i++) {
		own(mem) char *below = joined(dir, folders.v[i], "/");

		rc = walk(w, below, depth + 1);
	}
	return rc;
}

int artefacts_find(struct artefacts *a, int dirfd, struct err *e)
{
	struct walk w = { .a = a, .dirfd = dirfd, .e = e };

	*a = (struct artefacts){ 0 };
	return walk(&w, "", 0);
}

void artefacts_done(struct artefacts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].dir);
		free(a->v[i].file);
	}
	free(a->v);
	*a = (struct artefacts){ 0 };
}
