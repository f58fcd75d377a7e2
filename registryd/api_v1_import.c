/*
 * api_v1_import.c - a model that no Hub holds comes in file by file: DATA/incoming/<id>/ until the job "import" takes it over. What was
 * begun and never committed is removed after a day.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/api_v1_impl.h"
#include "registryd/import.h"
#include "registryd/room.h"

#define INCOMING "incoming"
#define ID_BYTES 16
#define ID_HEX (2 * ID_BYTES)
#define KEEP_S 86400	/* an import that nobody committed */
#define DEPTH_MAX 32	/* directories of one path */
#define OPEN_MAX_DIRS 16	/* descriptors that nftw() may hold */

/* One file on its way. */
struct arrival {
	int fd;
	uint64_t size_bytes;
	struct digest_ctx digest;
};

static void arrival_free(void *state)
{
	struct arrival *a = state;

	if (a->fd >= 0)
		close(a->fd);
	digest_done(&a->digest);
	free(a);
}

/* DATA/incoming, made when it is not there. */
static int open_incoming(struct daemon *d, struct err *e)
{
	char path[STORE_PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/" INCOMING, store_data_dir(d->store));
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return err_errno(e, "make %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_errno(e, "open %s", path);
}

static int open_import(struct request *rq, int *out, struct err *e)
{
	const char *id = http_param(rq, "id");
	own(fd) int base = -1;

	if (!str_is_hex(id, ID_HEX))
		return err_set(e, ERR_NOT_FOUND, "no import '%.40s' has been begun", id);
	base = open_incoming(api_v1_daemon(rq), e);
	if (base < 0)
		return e->code;
	*out = openat(base, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*out < 0)
		return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "no import '%s' has been begun, or it was left for a day", id) :
					 err_errno(e, "open import %s", id);
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

/* Best effort: an old import that can't be removed now is tried again with the next one. */
static void expire(struct request *rq, int base)
{
	int fd = dup(base);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	struct stat st;

	while (d && (entry = readdir(d))) {
		char path[STORE_PATH_MAX + 64];

		if (!str_is_hex(entry->d_name, ID_HEX) || fstatat(base, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_mtime > rq->now - KEEP_S)
			continue;
		snprintf(path, sizeof(path), "%s/" INCOMING "/%s", store_data_dir(api_v1_daemon(rq)->store), entry->d_name);
		nftw(path, remove_entry, OPEN_MAX_DIRS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	}
	if (d)
		closedir(d);
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
	char id[ID_HEX + 1];
	own(fd) int base = -1;

	if (check_intent(rq, e) < 0 || (base = open_incoming(api_v1_daemon(rq), e)) < 0)
		return e->code;
	expire(rq, base);
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_errno(e, "read random numbers");
	str_hex(id, random, sizeof(random));
	if (mkdirat(base, id, 0750) < 0)
		return err_errno(e, "make " INCOMING "/%s", id);
	return http_answer_json(rq, 201, json_pack("{s:s}", "import", id));
}

/* Opens path below dir for writing and makes its directories; no link is ever followed. path has been checked. */
static int create_beneath(int dir, const char *path, struct err *e)
{
	own(mem) char *rest = mem_strdup(path);
	own(fd) int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	char *name = rest, *slash;
	int fd;

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
	fd = at < 0 ? -1 : openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	return fd >= 0 ? fd : err_errno(e, "create '%s'", path);
}

/* Is there room for what the request brings? It must say how much that is. */
int api_v1_check_space(struct request *rq, struct err *e)
{
	struct daemon *d = api_v1_daemon(rq);
	uint64_t want = http_content_length(rq), keep = daemon_config(d)->sync.keep_free, claimed, have;
	char need[STR_SIZE_MAX], left[STR_SIZE_MAX], kept[STR_SIZE_MAX], theirs[STR_SIZE_MAX];

	if (want == UINT64_MAX)
		return err_set(e, ERR_USAGE, "the upload must announce its length");
	claimed = room_claimed(d->room);
	if (store_free_bytes(d->store, &have, e) < 0)
		return e->code;
	if (want <= have && keep <= have - want && claimed <= have - want - keep)
		return 0;
	str_format_size(need, want);
	str_format_size(left, have);
	str_format_size(kept, keep);
	str_format_size(theirs, claimed);
	return err_set(e, ERR_NOSPACE, "%s are needed beside the %s that sync.keep_free leaves alone and %s for syncs that run, and %s are free: make room in %s, or lower that setting", need, kept,
		       theirs, left, store_data_dir(d->store));
}

int api_v1_import_file_begin(struct request *rq, struct err *e)
{
	const char *path = http_param(rq, "path");
	own(fd) int dir = -1;
	struct arrival *a;
	int fd, depth = 0;

	if (fdio_check_relative(path, e) < 0)
		return err_set(e, ERR_USAGE, "'%.200s' is not a file's name that can be taken", path);
	for (const char *p = path; *p; p++)
		depth += *p == '/';
	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "'%.200s' is nested deeper than %d directories", path, DEPTH_MAX);
	if (open_import(rq, &dir, e) < 0 || api_v1_check_space(rq, e) < 0)
		return e->code;
	fd = create_beneath(dir, path, e);
	if (fd < 0)
		return e->code;
	a = mem_zalloc(sizeof(*a));
	a->fd = fd;
	digest_begin(&a->digest, DIGEST_SHA256);
	rq->state = a;
	rq->release = arrival_free;
	return 0;
}

int api_v1_import_file_data(struct request *rq, const void *p, size_t n, struct err *e)
{
	struct arrival *a = rq->state;

	if (fdio_write(a->fd, p, n, http_param(rq, "path"), e) < 0)
		return e->code;
	digest_update(&a->digest, p, n);
	a->size_bytes += n;
	return 0;
}

int api_v1_import_file(struct request *rq, struct err *e)
{
	struct arrival *a = rq->state;
	char hex[DIGEST_HEX_MAX];
	struct digest sha256;

	if (a->size_bytes != http_content_length(rq))
		return err_set(e, ERR_USAGE, "the upload of '%s' ended early", http_param(rq, "path"));
	digest_end(&a->digest, &sha256);
	digest_hex(hex, &sha256);
	return http_answer_json(rq, 200, json_pack("{s:s, s:I, s:s}", "path", http_param(rq, "path"), "size_bytes", (json_int_t)a->size_bytes, "sha256", hex));
}

struct tally {
	int64_t files, bytes;
};

/* Counts files below a directory that only create_beneath() filled: neither links nor anything else is in it. */
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
	args = json_pack("{s:s, s:s*}", "dir", http_param(rq, "id"), "license", license);
	return api_v1_enqueue(rq, "import", repo, NULL, args, e);
}
