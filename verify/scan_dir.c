/* scan_dir.c - a directory as a whole: every file in it, and what must agree between files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/gguf.h"
#include "verify/scan.h"
#include "verify/scan_parts.h"
#include "verify/path_check.h"
#include "verify/safetensors.h"

#define SPLIT_MAX    10000	/* parts of a GGUF */
#define SPLIT_DIGITS 5

#define FAIL(r, rule, ...) report_reject(r, rule, "inspect", NULL, __VA_ARGS__)

struct walk {
	int dirfd;
	struct report *r;
	struct path_set files;
	char **todo;		/* directories still to read, by name */
	size_t n_todo, cap_todo;
	size_t seen;
};

static size_t depth_of(const char *name)
{
	size_t n = 0;

	for (; *name; name++)
		n += *name == '/';
	return n;
}

/* One name of a directory. Git's and the Hub client's own directories are no part of a model. */
static void see(struct walk *w, const char *dir, const char *name)
{
	own(mem) char *path = NULL;
	struct stat st;

	if (!strcmp(name, ".") || !strcmp(name, "..") || (!*dir && (!strcmp(name, ".git") || !strcmp(name, ".cache"))))
		return;
	if (asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		abort();
	report_path(w->r, "%s", path);
	if (path_check(path, strlen(path), w->r) < 0)
		return;
	if (fstatat(w->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		report_flag(w->r, "io", "it can't be looked at");
		return;
	}
	if (S_ISDIR(st.st_mode) && depth_of(path) >= SCAN_DEPTH_MAX)
		FAIL(w->r, "path.depth", "more than %d directories below one another", SCAN_DEPTH_MAX);
	else if (S_ISDIR(st.st_mode))
		*vec_push(&w->todo, &w->n_todo, &w->cap_todo) = take(path);
	else if (S_ISREG(st.st_mode))
		path_set_add(&w->files, path);
	else
		FAIL(w->r, "path.special", "a link or a special file");
}

static int read_dir(struct walk *w, const char *name, struct err *e)
{
	int fd = openat(w->dirfd, *name ? name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int code = 0;

	if (!d) {
		own_fd(&fd);
		return err_errno(e, "read the directory %s", *name ? name : ".");
	}
	while (code == 0 && (entry = readdir(d))) {
		if (++w->seen > SCAN_FILES_MAX)
			code = err_set(e, ERR_LIMIT, "more than %d files in one directory tree", SCAN_FILES_MAX);
		else
			see(w, name, entry->d_name);
	}
	closedir(d);
	return code;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- between files ---- */

/* "NAME-00002-of-00003.gguf": where "-00002" begins; the two numbers. */
static const char *split_name(const char *name, unsigned *no, unsigned *count)
{
	size_t n = strlen(name), tail = strlen("-00001-of-00002.gguf");
	const char *p = name + n - tail;

	if (n <= tail || !str_ends(name, ".gguf") || p[0] != '-' || memcmp(p + 1 + SPLIT_DIGITS, "-of-", 4))
		return NULL;
	*no = *count = 0;
	for (size_t i = 0; i < SPLIT_DIGITS; i++) {
		char a = p[1 + i], b = p[1 + SPLIT_DIGITS + 4 + i];

		if (a < '0' || a > '9' || b < '0' || b > '9')
			return NULL;
		*no = *no * 10 + (unsigned)(a - '0');
		*count = *count * 10 + (unsigned)(b - '0');
	}
	return p;
}

static bool has_file(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static void check_split(const struct scan *in)
{
	own(gguf) struct gguf *g = NULL;
	own(fd) int fd = -1;
	unsigned no, count;
	uint64_t its_no = 0, its_count = 0;
	const char *name = in->name, *tail = split_name(name, &no, &count);

	if (!tail)
		return;
	fd = openat(in->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || gguf_open(&g, fd, name, NULL) < 0)
		return;	/* said already */
	if (!gguf_split(g, &its_no, &its_count))
		FAIL(in->r, "gguf.split_no", "its name says part %u of %u, it says nothing of parts", no, count);
	else if (its_no + 1 != no)
		FAIL(in->r, "gguf.split_no", "its name says part %u, it says split.no %llu (counted from 0)", no, (unsigned long long)its_no);
	else if (its_count != count)
		FAIL(in->r, "gguf.split_count", "its name says %u parts, it says %llu", count, (unsigned long long)its_count);
	for (unsigned i = 1; no == 1 && !in->alone && i <= count && count <= SPLIT_MAX; i++) {
		own(mem) char *part = NULL;

		if (asprintf(&part, "%.*s-%05u-of-%05u.gguf", (int)(tail - name), name, i, count) < 0)
			abort();
		if (!has_file(in->dirfd, part))
			FAIL(in->r, "gguf.split_missing", "part %u of %u is missing", i, count);
	}
}

static void check_index(const struct scan *in)
{
	struct safetensors_set set = { 0 };
	struct err e = ERR_NONE;

	const char *slash = strrchr(in->name, '/');
	own(mem) char *folder = slash ? mem_strndup(in->name, (size_t)(slash - in->name)) : mem_strdup(".");
	own(fd) int dir = -1;

	if (!str_ends(in->name, ".safetensors.index.json"))
		return;
	dir = openat(in->dirfd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return;
	if (safetensors_set_open(&set, dir, slash ? slash + 1 : in->name, in->r, &e) == 0)
		safetensors_set_close(&set);
	else if (in->r->verdict < REPORT_REJECT)
		FAIL(in->r, "idx.json", "%.400s", e.msg);
}

void scan_siblings(const struct scan *in)
{
	check_split(in);
	check_index(in);
	report_path(in->r, "%s", in->name);
}

/* ONNX models first: they say which other files are their raw data. */
static int scan_files(const struct walk *w, const struct scan_listener *l, struct err *e)
{
	own(path_set) struct path_set claimed = { 0 };
	int code = 0;

	for (int models = 1; models >= 0; models--)
		for (size_t i = 0; code == 0 && i < w->files.n; i++)
			if (str_ends(w->files.names[i], ".onnx") == models)
				code = scan_named(w->dirfd, w->files.names[i], false, &claimed, l, w->r, e);
	return code;
}

int scan_dir(int dirfd, const struct scan_listener *l, struct report *r, struct err *e)
{
	struct walk w = { .dirfd = dirfd, .r = r };
	int code = 0;

	*vec_push(&w.todo, &w.n_todo, &w.cap_todo) = mem_strdup("");
	while (code == 0 && w.n_todo) {
		own(mem) char *name = w.todo[--w.n_todo];

		code = read_dir(&w, name, e);
	}
	report_path(r, NULL);
	path_set_check(&w.files, r);
	if (w.files.n)
		qsort(w.files.names, w.files.n, sizeof(*w.files.names), by_name);
	if (code == 0)
		code = scan_files(&w, l, e);
	report_path(r, NULL);
	while (w.n_todo)
		free(w.todo[--w.n_todo]);
	free(w.todo);
	path_set_done(&w.files);
	return code;
}
