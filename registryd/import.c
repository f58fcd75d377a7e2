/* import.c - see import.h. */
#include "registryd/import.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/model.h"
#include "catalog/partial.h"
#include "registryd/bases.h"
#include "registryd/derive.h"
#include "registryd/hub.h"
#include "registryd/incoming.h"
#include "registryd/judge.h"
#include "verify/git_tree.h"

#define DIRS_OPEN  16
#define READ_BYTES (1u << 20)

struct import {
	struct work *w;
	char *dir;
	int dirfd;
	struct model_file *files;
	size_t n_files, cap_files;
	int64_t model_id, revision_id;
};

/* ---- what there is -------------------------------------------------------------------------------------------- */

static _Thread_local struct import *walking;	/* nftw() hands nothing through */

static int walk_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	struct import *im = walking;

	(void)at;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	if (im->n_files >= MODEL_FILES_MAX)
		return 1;
	*vec_push(&im->files, &im->n_files, &im->cap_files) = (struct model_file){ .path = arena_strdup(im->w->arena, path + strlen(im->dir) + 1), .size_bytes = (uint64_t)st->st_size, .wanted = true };
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct model_file *)a)->path, ((const struct model_file *)b)->path);
}

/* What was committed, and nothing that has come or gone since. */
static int check_count(const struct import *im, struct err *e)
{
	int64_t files = json_get_int(im->w->args, "files", -1), bytes = json_get_int(im->w->args, "size_bytes", -1), total = 0;

	for (size_t i = 0; i < im->n_files; i++)
		total += (int64_t)im->files[i].size_bytes;
	if (files == (int64_t)im->n_files && bytes == total)
		return 0;
	return err_set(e, ERR_CONFLICT, "%zu files of %lld bytes are there, which are not those that were committed: import them again", im->n_files, (long long)total);
}

static int list_files(struct import *im, struct err *e)
{
	int rc;

	walking = im;
	rc = nftw(im->dir, walk_one, DIRS_OPEN, FTW_PHYS | FTW_MOUNT);
	walking = NULL;
	if (rc > 0)
		return err_set(e, ERR_LIMIT, "more than %d files are to be imported", MODEL_FILES_MAX);
	if (rc < 0 || !im->n_files)
		return err_set(e, ERR_NOT_FOUND, "the files to import are not there (any more): import them again");
	qsort(im->files, im->n_files, sizeof(*im->files), by_path);
	for (size_t i = 0; i < im->n_files; i++)
		if (fdio_check_relative(im->files[i].path, e))
			return e->code;
	return check_count(im, e);
}

/* ---- hashing and storing -------------------------------------------------------------------------------------- */

static int hash_file(struct import *im, struct model_file *f, int fd, struct err *e)
{
	own(digest) struct digest_ctx sha256 = { 0 };
	own(digest) struct digest_ctx git = { 0 };
	own(mem) char *buf = mem_zalloc(READ_BYTES);
	uint64_t total = 0;
	ssize_t n;

	digest_begin(&sha256, DIGEST_SHA256);
	git_object_begin(&git, GIT_BLOB, f->size_bytes);
	while ((n = fdio_read(fd, buf, READ_BYTES, f->path, e)) > 0) {
		digest_update(&sha256, buf, (size_t)n);
		digest_update(&git, buf, (size_t)n);
		total += (uint64_t)n;
		if (work_check(im->w, e))
			return e->code;
	}
	if (n < 0)
		return (int)n;
	if (total != f->size_bytes)
		return err_set(e, ERR_CONFLICT, "'%s' changed while it was imported", f->path);
	digest_end(&sha256, &f->sha256);
	digest_end(&git, &f->git_oid);
	f->lfs = f->size_bytes > IMPORT_LFS_BYTES;
	if (f->lfs)
		git_pointer_id(&f->git_oid, &(struct git_pointer){ f->sha256, f->size_bytes });
	return 0;
}

static int take_files(struct import *im, struct err *e)
{
	uint64_t done = 0, total = 0;

	for (size_t i = 0; i < im->n_files; i++)
		total += im->files[i].size_bytes;
	work_totals(im->w, total, im->n_files);
	for (size_t i = 0; i < im->n_files; i++) {
		struct model_file *f = &im->files[i];
		own(fd) int fd = fdio_open_beneath(im->dirfd, f->path, O_RDONLY, e);
		int rc;

		if (fd < 0)
			return fd;
		work_phase(im->w, "reading %s", f->path);
		rc = hash_file(im, f, fd, e);
		if (!rc)
			rc = store_publish(im->w->store, fd, &f->sha256, f->size_bytes, e);
		if (rc)
			return err_wrap(e, "import '%s'", f->path);
		done += f->size_bytes;
		work_done(im->w, done, i + 1);
	}
	return 0;
}

/* ---- the commit ----------------------------------------------------------------------------------------------- */

/* The commit's id: made from the files alone, so importing the same files again is the same revision. */
static int commit_id(struct import *im, char hex[DIGEST_HEX_MAX], struct err *e)
{
	own(mem) struct git_tree_file *entries = mem_zalloc((im->n_files + 1) * sizeof(*entries));
	char tree_hex[DIGEST_HEX_MAX], text[512];
	struct digest tree, commit;
	int rc, n;

	for (size_t i = 0; i < im->n_files; i++)
		entries[i] = (struct git_tree_file){ im->files[i].path, im->files[i].git_oid };
	rc = git_tree_id(&tree, entries, im->n_files, e);
	if (rc)
		return rc;
	digest_hex(tree_hex, &tree);
	n = snprintf(text, sizeof(text), "tree %s\nauthor registryd <registryd@localhost> 0 +0000\ncommitter registryd <registryd@localhost> 0 +0000\n\nimport\n", tree_hex);
	git_object_id(&commit, GIT_COMMIT, text, (size_t)n);
	digest_hex(hex, &commit);
	return 0;
}

static int record(struct import *im, struct err *e)
{
	struct model_upstream u = { .name = im->w->job.repo, .upstream = IMPORT_UPSTREAM, .gated = MODEL_OPEN, .is_private = 0, .disabled = 0, .downloads = -1, .likes = -1, .modified_at = work_now() };
	own(mem) struct model_stored *stored = mem_zalloc((im->n_files + 1) * sizeof(*stored));
	char commit[DIGEST_HEX_MAX];
	struct model_plan p = { .ref = "main", .title = "import", .commit_at = work_now(), .files = im->files, .n_files = im->n_files };
	const char *before;
	int rc = commit_id(im, commit, e);

	if (!rc)
		rc = model_upsert(im->w->db, &u, work_now(), &im->model_id, e);
	if (rc)
		return rc;
	p.model_id = im->model_id;
	p.commit = commit;
	before = bases_standing(im->w->db, im->model_id, im->w->arena);
	rc = model_plan(im->w->db, &p, work_now(), &im->revision_id, NULL, e);
	if (!rc)
		rc = derive_queue(im->w->db, im->model_id, before, im->w->arena, e);
	for (size_t i = 0; i < im->n_files; i++)
		stored[i] = (struct model_stored){ im->files[i].path, im->files[i].sha256, im->files[i].size_bytes };
	if (!rc)
		rc = model_files_stored(im->w->db, im->revision_id, stored, im->n_files, e);
	/* Every blob id was made from the bytes, and the commit's id from those. */
	return rc ? rc : model_set_proof(im->w->db, im->revision_id, PROOF_COMMIT, e);
}

/* ---- the job -------------------------------------------------------------------------------------------------- */

/* NULL: it is no name of a directory there. */
static const char *dir_name(const json_t *args)
{
	const char *name = json_get_str(args, "dir");

	return name && str_is_hex(name, INCOMING_ID_HEX) ? name : NULL;
}

static int open_dir(struct import *im, struct err *e)
{
	const char *name = dir_name(im->w->args);

	if (!name)
		return err_set(e, ERR_USAGE, "the import names no directory of DATA/incoming");
	if (asprintf(&im->dir, "%s/incoming/%s", store_data_dir(im->w->store), name) < 0)
		abort();
	im->dirfd = open(im->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return im->dirfd < 0 ? err_set(e, ERR_NOT_FOUND, "the files to import are not there (any more): import them again") : 0;
}

static int check_licence(const char *id, struct err *e)
{
	const char *near = id && !licence_find(id) ? licence_nearest(id) : NULL;

	if (!id || licence_find(id) || str_starts(id, "other:"))
		return 0;
	return err_set(e, ERR_USAGE, "there is no licence '%.96s'%s%s%s", id, near ? ": is '" : "", near ? near : "", near ? "' meant?" : "");
}

int import_job(struct work *w, struct err *e)
{
	const char *license = json_get_str(w->args, "license");
	struct import im = { .w = w, .dirfd = -1 };
	int rc = hub_check_repo(w->job.repo, e);

	if (!rc)
		rc = check_licence(license, e);
	if (!rc)
		rc = open_dir(&im, e);
	if (!rc)
		rc = list_files(&im, e);
	if (!rc)
		rc = take_files(&im, e);
	if (!rc)
		rc = record(&im, e);
	if (!rc)
		rc = judge_revision(w, im.revision_id, NULL, license, e);
	if (im.dirfd >= 0)
		close(im.dirfd);
	free(im.dir);
	free(im.files);
	return rc;
}

void import_ended(struct store *st, const struct job *ended, const struct job *active, size_t n_active)
{
	own(json) json_t *args = json_parse(ended->args, strlen(ended->args), "the job's arguments", NULL);
	const char *name = dir_name(args);

	for (size_t i = 0; i < n_active && name; i++)
		if (!strcmp(active[i].kind, ended->kind) && strstr(active[i].args, name))
			return;
	if (name)
		incoming_remove(st, name);
}
