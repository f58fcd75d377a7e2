/* cmd_import.c - import DIR --as REPO: streams a directory's files to the daemon, then follows the job that judges them. */
#include <fcntl.h>

#include "base/fdio.h"
#include "cli/job.h"
#include "cli/progress.h"
#include "cli/tree.h"
#include "cli/verb.h"

struct upload {
	struct ctl *c;
	struct tree tree;
	uint64_t done_bytes;
	size_t at;	/* the file under way */
	struct progress progress;
};

static void moved(void *arg, uint64_t bytes)
{
	struct upload *u = arg;
	char phase[PROGRESS_PHASE_MAX];
	struct progress_state s = {
		.bytes_done = (int64_t)(u->done_bytes + bytes),
		.bytes_total = (int64_t)u->tree.total_bytes,
		.files_done = (int64_t)u->at,
		.files_total = (int64_t)u->tree.n_files,
		.phase = phase,
	};

	snprintf(phase, sizeof(phase), "uploading %s", u->tree.files[u->at].path);
	progress_show(&u->progress, &s, progress_now_ms());
}

/* One that grows goes on behind what was sent of it. */
static int check_size(int fd, const struct tree_file *f, struct err *e)
{
	uint64_t now;

	if (fdio_size(fd, &now, f->path, e) < 0)
		return e->code;
	return now == f->size_bytes ? 0 : err_set(e, ERR_FAILED, "send '%s': it became %s while it was read", f->path, now > f->size_bytes ? "longer" : "shorter");
}

static int send_file(struct upload *u, const char *base, const struct tree_file *f, struct err *e)
{
	own(fd) int fd = openat(u->tree.dirfd, f->path, O_RDONLY | O_CLOEXEC);
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
	if (check_size(fd, f, e) < 0)
		return e->code;
	digest_hex(ours, &sha256);
	if (strcmp(json_get_str_or(answer, "sha256", ""), ours) != 0)
		return err_set(e, ERR_MISMATCH, "'%s' arrived with other bytes than were sent: try again", f->path);
	return 0;
}

static int send_all(struct upload *u, const char *base, struct err *e)
{
	int rc = 0;

	progress_init(&u->progress, isatty(STDERR_FILENO), u->c->quiet);
	for (u->at = 0; u->at < u->tree.n_files && rc == 0; u->at++) {
		rc = send_file(u, base, &u->tree.files[u->at], e);
		u->done_bytes += u->tree.files[u->at].size_bytes;
	}
	progress_clear(&u->progress);
	return rc;
}

/* Tells the daemon what it should have, and who the model is; it compares and starts the job. */
static int commit(struct upload *u, const char *base, const char *repo, json_t **job, struct err *e)
{
	own(json) json_t *body = json_pack("{s:s, s:s*, s:I, s:I}", "repo", repo, "license", args_text(&u->c->args, "license"), "files",
					   (json_int_t)u->tree.n_files, "size_bytes", (json_int_t)u->tree.total_bytes);
	char path[128];

	snprintf(path, sizeof(path), "%s/commit", base);
	return job_start(u->c, path, body, job, e);
}

int cmd_import(struct ctl *c, struct err *e)
{
	struct upload u = { .c = c };
	const char *as = args_text(&c->args, "as"), *id;
	own(json) json_t *job = NULL, *begun = NULL, *who = NULL;
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
	rc = tree_read(&u.tree, c->args.words[0], e);
	who = json_pack("{s:s, s:s*}", "repo", m.repo, "license", args_text(&c->args, "license"));
	if (rc == 0)	/* what would be refused at the end is refused before the bytes are sent */
		rc = client_call(&c->client, "POST", "/-/v1/imports", who, &begun, e);
	if (rc == 0)
		rc = json_need_str(begun, "import", &id, "the daemon's answer", e);
	if (rc == 0) {
		snprintf(base, sizeof(base), "/-/v1/imports/%.40s", id);
		rc = send_all(&u, base, e);
	}
	if (rc == 0)
		rc = commit(&u, base, m.repo, &job, e);
	tree_done(&u.tree);
	return rc < 0 || !job ? rc : job_verdict(c, job, e);
}
