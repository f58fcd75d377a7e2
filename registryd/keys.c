/* keys.c - see keys.h. */
#include "registryd/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"

#define NAME_MAX_BYTES 64
#define PATH_BYTES (STORE_PATH_MAX + 128)

static int check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n >= 1 && n <= NAME_MAX_BYTES && *name != '.' &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n)
		return 0;
	return err_set(e, ERR_USAGE, "'%.80s' is not a key's name: 1 to %d letters, digits, '-', '_' and '.', not beginning with '.'", name, NAME_MAX_BYTES);
}

/* DATA/keys or DATA/keys/trusted, made when it is not there. */
static int open_dir(struct daemon *d, bool trusted, struct err *e)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/keys%s", store_data_dir(d->store), trusted ? "/trusted" : "");
	if (fdio_mkdirs(path, 0700, e) < 0)
		return e->code;
	return fdio_open_dir(AT_FDCWD, path, e);
}

/* Writes NAME.pem, which must not be there. */
static int put(struct daemon *d, bool trusted, const char *name, const char *pem, size_t n, struct err *e)
{
	own(fd) int dir = open_dir(d, trusted, e);
	char file[NAME_MAX_BYTES + 8];

	if (dir < 0)
		return e->code;
	snprintf(file, sizeof(file), "%s.pem", name);
	if (faccessat(dir, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, ERR_CONFLICT, "there is a key '%s' already", name);
	return fdio_replace(dir, file, pem, n, trusted ? 0644 : 0600, e);
}

int keys_generate(struct daemon *d, const char *name, struct sign_key *out, struct err *e)
{
	own(sign_key) struct sign_key k = { 0 };
	own(buf) struct buf pem;
	int rc;

	buf_init(&pem, SIGN_PEM_MAX);
	name = name ? name : KEYS_DEFAULT;
	if (check_name(name, e) < 0 || sign_key_generate(&k, e) < 0 || sign_key_write_private(&k, &pem, e) < 0)
		return e->code;
	rc = put(d, false, name, pem.data, pem.len, e);
	explicit_bzero(pem.data, pem.len);
	if (rc < 0)
		return rc;
	*out = k;
	k = (struct sign_key){ 0 };
	return 0;
}

int keys_trust(struct daemon *d, const char *name, const char *pem, struct sign_key *out, struct err *e)
{
	own(sign_key) struct sign_key k = { 0 };
	int rc;

	if (check_name(name, e) < 0)
		return e->code;
	rc = sign_key_read_public(&k, pem, strlen(pem), e);
	if (rc < 0)
		return err_set(e, ERR_USAGE, "key '%s': it must be a public key in PEM form on P-256, P-384 or P-521", name);
	rc = put(d, true, name, k.pem, strlen(k.pem), e);
	if (rc < 0)
		return rc;
	*out = k;
	k = (struct sign_key){ 0 };
	return 0;
}

static int load(int dir, const char *file, bool trusted, struct sign_key *out, struct err *e)
{
	own(buf) struct buf pem;
	int rc;

	buf_init(&pem, SIGN_PEM_MAX);
	rc = fdio_slurp(dir, file, &pem, e);
	if (rc == 0)
		rc = trusted ? sign_key_read_public(out, pem.data, pem.len, e) : sign_key_read_private(out, pem.data, pem.len, e);
	explicit_bzero(pem.data, pem.len);
	return rc;
}

int keys_load(struct daemon *d, const char *name, struct sign_key *out, struct err *e)
{
	own(fd) int dir = -1;
	char file[NAME_MAX_BYTES + 8];
	int rc;

	name = name ? name : KEYS_DEFAULT;
	if (check_name(name, e) < 0)
		return e->code;
	dir = open_dir(d, false, e);
	if (dir < 0)
		return e->code;
	snprintf(file, sizeof(file), "%s.pem", name);
	rc = load(dir, file, false, out, e);
	if (rc == ERR_NOT_FOUND)
		return err_set(e, ERR_NOT_FOUND, "there is no signing key '%s': `registryctl key generate` makes one", name);
	return rc < 0 ? err_wrap(e, "key '%s'", name) : 0;
}

static int is_pem(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && str_ends(entry->d_name, ".pem") && strlen(entry->d_name) < NAME_MAX_BYTES + 8;
}

static int list_dir(struct daemon *d, bool trusted, json_t *list, struct err *e)
{
	own(fd) int dir = open_dir(d, trusted, e);
	struct dirent **entries;
	int n, rc = 0;

	if (dir < 0)
		return e->code;
	n = scandirat(dir, ".", &entries, is_pem, alphasort);
	if (n < 0)
		return err_errno(e, "read the keys");
	for (int i = 0; i < n; i++) {
		own(sign_key) struct sign_key k = { 0 };
		size_t len = strlen(entries[i]->d_name) - strlen(".pem");

		if (rc == 0 && i < KEYS_MAX && (rc = load(dir, entries[i]->d_name, trusted, &k, e)) == 0)
			json_array_append_new(list, json_pack("{s:s%, s:s, s:s, s:s}", "name", entries[i]->d_name, len, "use", trusted ? "trusted" : "signing",
							      "hint", k.hint, "pem", k.pem));
		else if (rc < 0 && e->code == rc && i < KEYS_MAX)
			err_wrap(e, "key '%s'", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

json_t *keys_list(struct daemon *d, struct err *e)
{
	json_t *list = json_array();

	if (list_dir(d, false, list, e) < 0 || list_dir(d, true, list, e) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}
