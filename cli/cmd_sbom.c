/* cmd_sbom.c - the bill of materials of a published revision, to a file or to stdout. */
#include <fcntl.h>

#include "base/fdio.h"
#include "cli/verb.h"

#define SBOM_MAX_BYTES ((size_t)256 << 20)	/* as the daemon's */

static int collect(void *arg, const char *p, size_t n, struct err *e)
{
	return buf_add(arg, p, n) < 0 ? err_set(e, ERR_LIMIT, "the document is larger than %zu bytes", SBOM_MAX_BYTES) : 0;
}

int cmd_sbom(struct ctl *c, struct err *e)
{
	const char *file = args_text(&c->args, "o");
	own(buf) struct buf path, text;
	struct ctl_model m;
	int rc;

	buf_init(&path, 0);
	buf_init(&text, SBOM_MAX_BYTES);
	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	ctl_model_path(&path, &m, "/-/sbom");
	client_query_add(&path, "format", args_text(&c->args, "format"));
	rc = client_stream(&c->client, path.data, collect, &text, e);
	if (rc < 0)
		return rc;
	if (file)
		return fdio_replace(AT_FDCWD, file, text.data, text.len, 0644, e);
	return fwrite(text.data, 1, text.len, stdout) == text.len ? 0 : err_errno(e, "write to standard output");
}
