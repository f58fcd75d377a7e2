/*
 * cmd_attest.c - attest show: the daemon's signed statement about a revision; attest verify: a local directory against such a statement,
 * with the keys that the daemon has or trusts.
 */
#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "cli/trust.h"
#include "cli/verb.h"
#include "verify/sign.h"

static int collect(void *arg, const char *p, size_t n, struct err *e)
{
	return buf_add(arg, p, n) < 0 ? err_set(e, ERR_LIMIT, "the bundle is larger than %zu bytes", SIGN_BUNDLE_MAX) : 0;
}

int cmd_attest_show(struct ctl *c, struct err *e)
{
	const char *file = args_text(&c->args, "o");
	own(buf) struct buf path, text;
	struct ctl_model m;
	int rc;

	buf_init(&path, 0);
	buf_init(&text, SIGN_BUNDLE_MAX);
	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	ctl_model_path(&path, &m, "/-/attestation");
	client_query_add(&path, "format", args_text(&c->args, "format"));
	rc = client_stream(&c->client, path.data, collect, &text, e);
	if (rc < 0)
		return rc;
	if (file)
		return fdio_output(file, text.data, text.len, e);
	return fwrite(text.data, 1, text.len, stdout) == text.len && putchar('\n') != EOF ? 0 : err_errno(e, "write to standard output");
}

/* --- verify --- */

struct report {
	json_t *files;
	size_t bad;
	const struct ctl *c;
};

static void report(struct report *r, const char *mark, const char *status, const char *path)
{
	own(mem) char *clean = text_clean(path);

	if (!r->c->json)
		printf("%s %s\n", mark, clean);
	json_array_append_new(r->files, json_pack("{s:s, s:s}", "path", path, "status", status));
	r->bad += strcmp(status, "same") != 0;
}

static int compare_file(const struct tree *t, const struct sign_file *f, struct report *r, struct err *e)
{
	own(fd) int fd = openat(t->dirfd, f->path, O_RDONLY | O_CLOEXEC);
	struct digest d;
	bool same;

	if (fd < 0)
		return err_errno(e, "open '%s'", f->path);
	if (digest_of_fd(&d, DIGEST_SHA256, fd, NULL, f->path, e) < 0)
		return e->code;
	same = digest_equal(&d, &f->sha256);
	report(r, same ? "=" : "*", same ? "same" : "differs", f->path);
	return 0;
}

/* Both lists are sorted by path: one walk over the two. A file that the statement does not name is as bad as one that differs. */
static int compare(const struct tree *t, const struct sign_file *files, size_t n, const char *signature, struct report *r, struct err *e)
{
	size_t i = 0, j = 0;

	while (i < t->n_files || j < n) {
		int order = i == t->n_files ? 1 : j == n ? -1 : strcmp(t->files[i].path, files[j].path);

		if (order < 0) {
			if (!sign_is_ignored(t->files[i].path) && strcmp(t->files[i].path, signature) != 0)
				report(r, "+", "extra", t->files[i].path);
			i++;
		} else if (order > 0) {
			report(r, "-", "missing", files[j++].path);
		} else {
			if (compare_file(t, &files[j], r, e) < 0)
				return e->code;
			i++, j++;
		}
	}
	return 0;
}

/* The signature's path below dir when it lies there, else "": it is no part of what it signs. */
static const char *inside(const char *dir, const char *file)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return !strncmp(dir, file, n) && file[n] == '/' ? file + n + 1 : "";
}

int cmd_attest_verify(struct ctl *c, struct err *e)
{
	const char *dir = c->args.words[0], *signature = args_text(&c->args, "signature");
	own(sign_opened) struct sign_opened o = { 0 };
	own(tree) struct tree t = { .dirfd = -1 };
	own(json) json_t *statement = NULL, *files_seen = json_array();
	own(mem) struct sign_file *files = NULL;
	struct report r = { .files = files_seen, .c = c };
	char hint[DIGEST_HEX_MAX] = "";
	own(buf) struct buf text;
	size_t n = 0;

	buf_init(&text, SIGN_BUNDLE_MAX);
	if (!signature)
		return err_set(e, ERR_USAGE, "attest verify needs --signature FILE");
	if (fdio_slurp(AT_FDCWD, signature, &text, e) < 0 || sign_open(&o, text.data, text.len, e) < 0 ||
	    trust_check(c, &o, &statement, hint, e) < 0 || sign_oms_files(statement, &files, &n, e) < 0 || tree_read(&t, dir, e) < 0 ||
	    compare(&t, files, n, inside(dir, signature), &r, e) < 0)
		return e->code;
	if (c->json) {
		own(json) json_t *all = json_pack("{s:s, s:O}", "key", hint, "files", files_seen);

		if (ctl_print_json(all, e) < 0)
			return e->code;
	}
	if (r.bad)
		return err_set(e, ERR_MISMATCH, "%zu files are not as signed", r.bad);
	ctl_say(c, "as signed with key %.16s…", hint);
	return 0;
}
