/* incoming.c - see incoming.h. */
#include "registryd/incoming.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "catalog/job.h"
#include "registryd/bundle_upload.h"

#define DIRS_OPEN 16	/* descriptors that nftw() may hold */

int incoming_open(struct store *st, struct err *e)
{
	char path[STORE_PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/incoming", store_data_dir(st));
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return err_errno(e, "make %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_errno(e, "open %s", path);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	remove(path);
	return 0;
}

void incoming_remove(struct store *store, const char *id)
{
	char path[STORE_PATH_MAX + 160];

	snprintf(path, sizeof(path), "%s/incoming/%s", store_data_dir(store), id);
	nftw(path, remove_entry, DIRS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void expire_import(struct store *store, int base, const char *id, int64_t before)
{
	own(fd) int fd = openat(base, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_mtime > before)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_mtime > before)
		return;	/* somebody has come back to it */
	incoming_remove(store, id);
}

static void expire_imports(struct store *store, int base, int64_t before)
{
	int fd = fcntl(base, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (str_is_hex(entry->d_name, INCOMING_ID_HEX))
			expire_import(store, base, entry->d_name, before);
	if (d)
		closedir(d);
}

static int has_jobs(struct daemon *d, const char *kind, bool *any, struct err *e)
{
	const struct job_filter f = { .kind = kind, .active_only = true };
	int64_t n = 0;
	int rc = job_total(d->db, &f, &n, e);

	*any = n > 0;
	return rc;
}

int incoming_expire(struct daemon *d, int64_t now, struct err *e)
{
	char path[STORE_PATH_MAX + 16];
	own(fd) int base = -1, blobs = -1;
	bool imports, bundles;

	snprintf(path, sizeof(path), "%s/incoming", store_data_dir(d->store));
	base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return 0;	/* nothing has ever come in */
	if (has_jobs(d, "import", &imports, e) || has_jobs(d, "bundle", &bundles, e))
		return e->code;
	if (!imports)
		expire_imports(d->store, base, now - INCOMING_KEEP_S);
	if (!bundles && (blobs = openat(base, "blobs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
		bundle_upload_expire(blobs, now);
	return 0;
}
