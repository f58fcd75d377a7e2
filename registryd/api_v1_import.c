/*
 * api_v1_import.c - a model that no Hub holds comes in file by file: DATA/incoming/<id>/ until the job "import" takes it over. What was
 * begun and never committed is removed after a day: incoming.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/api_v1_impl.h"
#include "registryd/import.h"
#include "registryd/incoming.h"
#include "registryd/room.h"

#define ID_BYTES (INCOMING_ID_HEX / 2)
#define DEPTH_MAX 32	/* directories of one path */

/* One file on its way: without a name until it is whole, so that of one that fails nothing stays. */
struct arrival {
	int import;	/* its directory: locked, so that it does not expire meanwhile */
	int parent, fd;
	uint64_t size_bytes;
	struct digest_ctx digest;
	struct room *room;
	struct room_claim *claim;
};

/* Nothing more comes of it. */
static void give_up(struct arrival *a)
{
	if (a->fd >= 0)
		close(take_fd(&a->fd));
	room_give(a->room, take(a->claim));	/* last: what it has written is free by now */
}

static void arrival_free(void *state)
{
	struct arrival *a = state;

	give_up(a);
	own_fd(&a->parent);
	own_fd(&a->import);
	digest_done(&a->digest);
	free(a);
}

static int open_import(struct request *rq, int *out, struct err *e)
{
	const char *id = http_param(rq, "id");
	own(fd) int base = -1;

	if (!str_is_hex(id, INCOMING_ID_HEX))
		return err_set(e, ERR_NOT_FOUND, "no import '%.40s' has been begun", id);
	base = incoming_open(api_v1_daemon(rq)->store, e);
	if (base < 0)
		return e->code;
	*out = openat(base, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*out < 0)
		return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "no import '%s' has been begun, or it was left for a day", id) :
					 err_errno(e, "open import %s", id);
	return 0;
}

static int check_license(const char *license, struct err *e)
{
	const char *near;

	if (!license || licence_find(license))
		return 0;
	near = licence_nearest(license);
	return err_set(e, ERR_USAGE, "unknown licence '%.60s'%s%s%s", license, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* A model does not change where it comes from: a Hub's can't be replaced by somebody's files. */
static int check_owner(struct request *rq, const char *repo, struct err *e)
{
	struct model m;
	int rc = model_find_repo(api_v1_daemon(rq)->db, repo, &rq->arena, &m, e);

	if (rc == ERR_NOT_FOUND)
		return 0;
	if (!rc && strcmp(m.upstream, IMPORT_UPSTREAM) != 0)
		return err_set(e, ERR_CONFLICT, "%s comes from upstream '%s', and can't be imported: choose another name", m.name, m.upstream);
	return rc;
}

/* Who says before the upload what it will be learns then what would be refused. */
static int check_intent(struct request *rq, struct err *e)
{
	static const char *const names[] = { "repo", "license", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	const char *repo, *license;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "repo", &repo, e) < 0 || api_v1_text(body, "license", &license, e) < 0 ||
	    check_license(license, e) < 0 || (repo && (api_v1_check_repo(repo, e) < 0 || check_owner(rq, repo, e) < 0)))
		return e->code;
	return 0;
}

int api_v1_import_begin(struct request *rq, struct err *e)
{
	unsigned char random[ID_BYTES];
	char id[INCOMING_ID_HEX + 1];
	own(fd) int base = -1;

	if (check_intent(rq, e) < 0 || (base = incoming_open(api_v1_daemon(rq)->store, e)) < 0)
		return e->code;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_errno(e, "read random numbers");
	str_hex(id, random, sizeof(random));
	if (mkdirat(base, id, 0750) < 0)
		return err_errno(e, "make incoming/%s", id);
	return http_answer_json(rq, 201, json_pack("{s:s}", "import", id));
}

/* Opens the directory of path below dir, and makes it; no link is ever followed. path has been checked. */
static int open_parent(int dir, const char *path, struct err *e)
{
	own(mem) char *rest = mem_strdup(path);
	own(fd) int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	char *name = rest, *slash;

	while (at >= 0 && (slash = strchr(name, '/'))) {
		int deeper;

		*slash = 0;
		if (mkdirat(at, name, 0750) < 0 && errno != EEXIST)
			return err_errno(e, "make directory '%s'", name);
		deeper = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = deeper;
		name = slash + 1;
	}
	return at >= 0 ? take_fd(&at) : err_errno(e, "open the directory of '%s'", path);
}

/* Claims the room for what the request brings, which must say how much that is. */
int api_v1_claim_room(struct request *rq, const char *name, struct room_claim **out, struct err *e)
{
	struct daemon *d = api_v1_daemon(rq);
	uint64_t want = http_content_length(rq);

	if (want == UINT64_MAX)
		return err_set(e, ERR_USAGE, "the upload must announce its length");
	return room_take_upload(d->room, arena_printf(&rq->arena, "the upload of %.100s", name), want, daemon_config(d)->sync.keep_free, out, e);
}

static int check_path(const char *path, struct err *e)
{
	int depth = 0;

	if (fdio_check_relative(path, e) < 0)
		return err_set(e, ERR_USAGE, "'%.200s' is not a file's name that can be taken", path);
	for (const char *p = path; *p; p++)
		depth += *p == '/';
	return depth > DEPTH_MAX ? err_set(e, ERR_LIMIT, "'%.200s' is nested deeper than %d directories", path, DEPTH_MAX) : 0;
}

int api_v1_import_file_begin(struct request *rq, struct err *e)
{
	const char *path = http_param(rq, "path");
	own(fd) int dir = -1;
	struct arrival *a;

	if (check_path(path, e) < 0 || open_import(rq, &dir, e) < 0)
		return e->code;
	if (flock(dir, LOCK_SH | LOCK_NB) < 0)
		return err_set(e, ERR_NOT_FOUND, "import %s was left for a day", http_param(rq, "id"));
	a = mem_zalloc(sizeof(*a));
	*a = (struct arrival){ .import = take_fd(&dir), .parent = -1, .fd = -1, .room = api_v1_daemon(rq)->room };
	digest_begin(&a->digest, DIGEST_SHA256);
	rq->state = a;
	rq->release = arrival_free;
	if (api_v1_claim_room(rq, path, &a->claim, e) < 0)
		return e->code;
	a->parent = open_parent(a->import, path, e);
	if (a->parent < 0)
		return e->code;
	a->fd = openat(a->parent, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);
	return a->fd >= 0 ? 0 : err_errno(e, "create '%s'", path);
}

int api_v1_import_file_data(struct request *rq, const void *p, size_t n, struct err *e)
{
	struct arrival *a = rq->state;

	if (fdio_write(a->fd, p, n, http_param(rq, "path"), e) < 0) {
		give_up(a);	/* now: its sender may go on for long */
		return e->code;
	}
	room_received(a->room, a->claim, n);
	digest_update(&a->digest, p, n);
	a->size_bytes += n;
	return 0;
}

/* It is whole, and takes the place of one that came before. */
static int give_name(struct arrival *a, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", a->fd);
	if (unlinkat(a->parent, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "replace '%s'", path);
	if (linkat(AT_FDCWD, proc, a->parent, name, AT_SYMLINK_FOLLOW) < 0)
		return err_errno(e, "create '%s'", path);
	futimens(a->import, NULL);	/* its day begins anew */
	return 0;
}

int api_v1_import_file(struct request *rq, struct err *e)
{
	const char *path = http_param(rq, "path");
	struct arrival *a = rq->state;
	char hex[DIGEST_HEX_MAX];
	struct digest sha256;

	if (a->size_bytes != http_content_length(rq))
		return err_set(e, ERR_USAGE, "the upload of '%s' ended early", path);
	if (give_name(a, path, e) < 0)
		return e->code;
	digest_end(&a->digest, &sha256);
	digest_hex(hex, &sha256);
	return http_answer_json(rq, 200, json_pack("{s:s, s:I, s:s}", "path", path, "size_bytes", (json_int_t)a->size_bytes, "sha256", hex));
}

struct tally {
	int64_t files, bytes;
};

/* Counts files below a directory that only uploads have filled: neither links nor anything else is in it. */
static int count(int dir, struct tally *t, struct err *e)
{
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	struct stat st;
	int rc = 0;

	if (!d)
		return err_errno(e, "read the import");
	while (rc == 0 && (entry = readdir(d))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			rc = err_errno(e, "look at '%s'", entry->d_name);
		} else if (S_ISDIR(st.st_mode)) {
			own(fd) int sub = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			rc = sub < 0 ? err_errno(e, "open '%s'", entry->d_name) : count(sub, t, e);
		} else {
			t->files++;
			t->bytes += st.st_size;
		}
	}
	closedir(d);
	return rc;
}

int api_v1_import_commit(struct request *rq, struct err *e)
{
	static const char *const names[] = { "repo", "license", "files", "size_bytes", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	struct tally t = { 0 };
	const char *repo, *license;
	int64_t files, bytes;
	own(fd) int dir = -1;
	json_t *args;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "repo", &repo, e) < 0 || api_v1_check_repo(repo, e) < 0 ||
	    api_v1_text(body, "license", &license, e) < 0 || check_license(license, e) < 0 || check_owner(rq, repo, e) < 0 || json_need_int(body, "files", &files, "the request", e) < 0 ||
	    json_need_int(body, "size_bytes", &bytes, "the request", e) < 0)
		return e->code;
	if (open_import(rq, &dir, e) < 0 || count(dir, &t, e) < 0)
		return e->code;
	if (t.files != files || t.bytes != bytes || !files)
		return err_set(e, ERR_CONFLICT, "%lld files of %lld bytes have arrived, and not %lld of %lld", (long long)t.files, (long long)t.bytes,
			       (long long)files, (long long)bytes);
	args = json_pack("{s:s, s:s*, s:I, s:I}", "dir", http_param(rq, "id"), "license", license, "files", (json_int_t)files, "size_bytes", (json_int_t)bytes);
	return api_v1_enqueue(rq, "import", repo, NULL, args, e);
}
