/* bundle_upload.c - see bundle_upload.h. */
#include "registryd/bundle_upload.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"

int bundle_upload_dir(struct store *st, struct err *e)
{
	own(mem) char *path = NULL;

	if (asprintf(&path, "%s/incoming/blobs", store_data_dir(st)) < 0)
		abort();
	return fdio_mkdirs(path, 0750, e) < 0 ? (int)e->code : fdio_open_dir(AT_FDCWD, path, e);
}

static void expire(DIR *d, int64_t before)
{
	struct dirent *entry;
	struct stat st;

	rewinddir(d);
	while ((entry = readdir(d)))
		if (str_is_hex(entry->d_name, 64) && fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime < before)
			unlinkat(dirfd(d), entry->d_name, 0);
}

static int64_t last_upload(DIR *d)
{
	struct dirent *entry;
	struct stat st;
	int64_t last = 0;

	rewinddir(d);
	while ((entry = readdir(d)))
		if (str_is_hex(entry->d_name, 64) && fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime > last)
			last = st.st_mtime;
	return last;
}

void bundle_upload_expire(int incoming_fd, int64_t now)
{
	int fd = fcntl(incoming_fd, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d)
		return;
	expire(d, last_upload(d) < now - BUNDLE_KEEP_S ? now - BUNDLE_KEEP_S : now - BUNDLE_KEEP_MAX_S);
	closedir(d);
}

int bundle_upload_open(int incoming, const struct digest *sha256)
{
	char hex[DIGEST_HEX_MAX];

	digest_hex(hex, sha256);
	return openat(incoming, hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

void bundle_upload_drop(int incoming, const struct digest *sha256)
{
	char hex[DIGEST_HEX_MAX];

	digest_hex(hex, sha256);
	unlinkat(incoming, hex, 0);
}
