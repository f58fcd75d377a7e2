/* tree.c - see tree.h. */
#include "cli/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/vec.h"
#include "cli/text.h"

/* What tools keep beside a model and is none of it. */
static bool is_private(const char *name)
{
	return !strcmp(name, ".git") || !strcmp(name, ".cache") || !strcmp(name, ".DS_Store");
}

static int collect(struct tree *t, const char *prefix, int depth, struct err *e);

static int collect_entry(struct tree *t, const char *path, int depth, struct err *e)
{
	struct err why = ERR_NONE;
	struct stat self, st;
	struct tree_file *f;

	if (fstatat(t->dirfd, path, &self, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "look at '%s'", path);
	if (fstatat(t->dirfd, path, &st, 0) < 0)
		return S_ISLNK(self.st_mode) && errno == ENOENT ? err_set(e, ERR_USAGE, "'%s' is a link to nothing", path) : err_errno(e, "look at '%s'", path);
	if (S_ISDIR(st.st_mode) && S_ISLNK(self.st_mode))
		return err_set(e, ERR_USAGE, "'%s' is a link to a directory, which is not followed: copy what it leads to, or take the link away", path);
	if (S_ISDIR(st.st_mode))
		return collect(t, path, depth + 1, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "'%s' is neither a file nor a directory", path);
	if (fdio_check_relative(path, &why) < 0) {
		own(mem) char *clean = text_clean(path);

		return err_set(e, ERR_USAGE, "'%s' can't be a file of a model: %s", clean, why.msg);
	}
	if (t->n_files == TREE_FILES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d files", TREE_FILES_MAX);
	f = vec_push(&t->files, &t->n_files, &t->cap_files);
	f->path = mem_strdup(path);
	f->size_bytes = (uint64_t)st.st_size;
	t->total_bytes += f->size_bytes;
	return 0;
}

static void own_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Files below DIR/prefix. Links to files are followed, as download caches are made of them; links to directories are not. */
static int collect(struct tree *t, const char *prefix, int depth, struct err *e)
{
	int fd = openat(t->dirfd, *prefix ? prefix : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*prefix ? O_NOFOLLOW : 0));
	own(dir) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!d)
		return err_errno(e, "read directory '%s'", prefix);
	if (depth > TREE_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "'%s' is nested deeper than %d directories", prefix, TREE_DEPTH_MAX);
	while ((errno = 0, entry = readdir(d))) {
		own(mem) char *path = NULL;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || is_private(entry->d_name))
			continue;
		if (asprintf(&path, "%s%s%s", prefix, *prefix ? "/" : "", entry->d_name) < 0)
			abort();
		if (collect_entry(t, path, depth, e) < 0)
			return e->code;
	}
	return errno ? err_errno(e, "read directory '%s'", prefix) : 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

int tree_read(struct tree *t, const char *dir, struct err *e)
{
	*t = (struct tree){ .dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	if (t->dirfd < 0)
		return errno == ENOENT || errno == ENOTDIR ? err_set(e, ERR_USAGE, "'%s' is not a directory", dir) : err_errno(e, "open '%s'", dir);
	if (collect(t, "", 0, e) < 0)
		return e->code;
	if (!t->n_files)
		return err_set(e, ERR_USAGE, "there is no file in '%s'", dir);
	qsort(t->files, t->n_files, sizeof(*t->files), by_path);
	return 0;
}

void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->n_files; i++)
		free(t->files[i].path);
	free(t->files);
	if (t->dirfd > 0)	/* a zeroed one holds nothing */
		close(t->dirfd);
	*t = (struct tree){ .dirfd = -1 };
}
