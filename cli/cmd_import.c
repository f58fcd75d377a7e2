/* cmd_import.c - import DIR --as REPO: streams a directory's files to the daemon, then follows the job that judges them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"
#include "cli/job.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/verb.h"

#define DEPTH_MAX 32
#define FILES_MAX 200000

struct local_file {
	char *path;	/* below DIR */
	uint64_t size_bytes;
};

struct upload {
	struct ctl *c;
	int dirfd;
	struct local_file *files;
	size_t n_files, cap_files;
	uint64_t total_bytes, done_bytes, file_bytes;
	size_t at;	/* the file under way */
	struct progress progress;
};

static void own_upload(struct upload *u)
{
	for (size_t i = 0; i < u->n_files; i++)
		free(u->files[i].path);
	free(u->files);
	if (u->dirfd >= 0)
		close(u->dirfd);
}

/* What tools keep beside a model and is none of it. */
static bool is_private(const char *name)
{
	return !strcmp(name, ".git") || !strcmp(name, ".cache") || !strcmp(name, ".DS_Store");
}

static int collect(struct upload *u, const char *prefix, int depth, struct err *e);

static int collect_entry(struct upload *u, const char *path, int depth, struct err *e)
{
	struct stat st;
	struct local_file *f;

	if (fstatat(u->dirfd, path, &st, 0) < 0)
		return err_errno(e, "look at '%s'", path);
	if (S_ISDIR(st.st_mode))
		return collect(u, path, depth + 1, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "'%s' is neither a file nor a directory", path);
	if (fdio_check_relative(path, e) < 0)
		return err_wrap(e, "a file with such a name can't be imported");
	if (u->n_files == FILES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d files", FILES_MAX);
	f = vec_push(&u->files, &u->n_files, &u->cap_files);
	f->path = mem_strdup(path);
	f->size_bytes = (uint64_t)st.st_size;
	u->total_bytes += f->size_bytes;
	return 0;
}

static void own_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Files below DIR/prefix. Links to files are followed, as download caches are made of them; links to directories are not. */
static int collect(struct upload *u, const char *prefix, int depth, struct err *e)
{
	int fd = openat(u->dirfd, *prefix ? prefix : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*prefix ? O_NOFOLLOW : 0));
	own(dir) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!d)
		return err_errno(e, "read directory '%s'", prefix);
	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "'%s' is nested deeper than %d directories", prefix, DEPTH_MAX);
	while ((errno = 0, entry = readdir(d))) {
		own(mem) char *path = NULL;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || is_private(entry->d_name))
			continue;
		if (asprintf(&path, "%s%s%s", prefix, *prefix ? "/" : "", entry->d_name) < 0)
			abort();
		if (collect_entry(u, path, depth, e) < 0)
			return e->code;
	}
	return errno ? err_errno(e, "read directory '%s'", prefix) : 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct local_file *)a)->path, ((const struct local_file *)b)->path);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void moved(void *arg, uint64_t bytes)
{
	struct upload *u = arg;
	char phase[PROGRESS_PHASE_MAX];
	struct progress_state s = {
		.bytes_done = (int64_t)(u->done_bytes + bytes),
		.bytes_total = (int64_t)u->total_bytes,
		.files_done = (int64_t)u->at,
		.files_total = (int64_t)u->n_files,
		.phase = phase,
	};

	snprintf(phase, sizeof(phase), "uploading %s", u->files[u->at].path);
	progress_show(&u->progress, &s, now_ms());
}

static int send_file(struct upload *u, const char *base, const struct local_file *f, struct err *e)
{
	own(fd) int fd = openat(u->dirfd, f->path, O_RDONLY | O_CLOEXEC);
	char ours[DIGEST_HEX_MAX];
	own(json) json_t *answer = NULL;
	struct digest sha256;
	own(buf) struct buf path;

	buf_init(&path, CLIENT_PATH_MAX);
	if (fd < 0)
		return err_errno(e, "open '%s'", f->path);
	buf_printf(&path, "%s/files/", base);
	client_path_add(&path, f->path);
	if (client_upload(&u->c->client, path.data, fd, f->size_bytes, moved, u, &sha256, &answer, e) < 0)
		return err_wrap(e, "send '%s'", f->path);
	digest_hex(ours, &sha256);
	if (strcmp(json_get_str_or(answer, "sha256", ""), ours) != 0)
		return err_set(e, ERR_MISMATCH, "'%s' arrived with other bytes than were sent: try again", f->path);
	return 0;
}

static int send_all(struct upload *u, const char *base, struct err *e)
{
	int rc = 0;

	progress_init(&u->progress, isatty(STDERR_FILENO), u->c->quiet);
	for (u->at = 0; u->at < u->n_files && rc == 0; u->at++) {
		rc = send_file(u, base, &u->files[u->at], e);
		u->done_bytes += u->files[u->at].size_bytes;
	}
	progress_clear(&u->progress);
	return rc;
}

/* Tells the daemon what it should have, and who the model is; it compares and starts the job. */
static int commit(struct upload *u, const char *base, const char *repo, json_t **job, struct err *e)
{
	own(json) json_t *body = json_pack("{s:s, s:s*, s:I, s:I}", "repo", repo, "license", args_text(&u->c->args, "license"), "files",
					   (json_int_t)u->n_files, "size_bytes", (json_int_t)u->total_bytes);
	char path[128];

	snprintf(path, sizeof(path), "%s/commit", base);
	return job_start(u->c, path, body, job, e);
}

static int open_dir(struct upload *u, const char *dir, struct err *e)
{
	u->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (u->dirfd < 0)
		return errno == ENOENT || errno == ENOTDIR ? err_set(e, ERR_USAGE, "'%s' is not a directory", dir) : err_errno(e, "open '%s'", dir);
	if (collect(u, "", 0, e) < 0)
		return e->code;
	if (!u->n_files)
		return err_set(e, ERR_USAGE, "there is no file in '%s'", dir);
	qsort(u->files, u->n_files, sizeof(*u->files), by_path);
	return 0;
}

int cmd_import(struct ctl *c, struct err *e)
{
	own(upload) struct upload u = { .c = c, .dirfd = -1 };
	const char *as = args_text(&c->args, "as"), *id;
	own(json) json_t *job = NULL, *begun = NULL;
	struct ctl_model m;
	char base[96];
	int rc;

	if (!as)
		return err_set(e, ERR_USAGE, "import needs --as REPO: the name that the model gets here");
	rc = ctl_parse_model(&m, as, e);
	if (rc < 0)
		return rc;
	if (m.rev)
		return err_set(e, ERR_USAGE, "--as names a model without @%s: its revision follows from its files", m.rev);
	rc = open_dir(&u, c->args.words[0], e);
	if (rc == 0)
		rc = client_call(&c->client, "POST", "/-/v1/imports", NULL, &begun, e);
	if (rc == 0)
		rc = json_need_str(begun, "import", &id, "the daemon's answer", e);
	if (rc < 0)
		return rc;
	snprintf(base, sizeof(base), "/-/v1/imports/%.40s", id);
	rc = send_all(&u, base, e);
	if (rc == 0)
		rc = commit(&u, base, m.repo, &job, e);
	return rc < 0 || !job ? rc : job_verdict(c, job, e);
}
