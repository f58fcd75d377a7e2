/* cmd_sbom.c - the bill of materials of a published revision, to a file or to stdout; and which ones were kept. */
#include "base/fdio.h"
#include "cli/verb.h"

#define SBOM_MAX_BYTES ((size_t)256 << 20)	/* as the daemon's */

static int collect(void *arg, const char *p, size_t n, struct err *e)
{
	return buf_add(arg, p, n) < 0 ? err_set(e, ERR_LIMIT, "the document is larger than %zu bytes", SBOM_MAX_BYTES) : 0;
}

static int list_kept(struct ctl *c, const struct ctl_model *m, struct err *e)
{
	static const struct table_column columns[] = { { "MADE", TABLE_LEFT }, { "FORMAT", TABLE_LEFT }, { "SHA-256", TABLE_LEFT }, { "SIZE", TABLE_RIGHT } };
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	own(buf) struct buf path;
	const json_t *list, *s;
	size_t i;
	int rc;

	buf_init(&path, 0);
	table_init(&t, columns, ARRAY_LEN(columns));
	ctl_model_path(&path, m, "/-/sboms");
	rc = client_get(&c->client, path.data, &answer, e);
	if (rc < 0)
		return rc;
	list = json_object_get(answer, "sboms");
	if (c->json)
		return ctl_print_json(list, e);
	json_array_foreach(list, i, s) {
		table_add(&t, ctl_when(s, "at"));
		table_add(&t, json_get_str(s, "format"));
		table_add(&t, json_get_str(s, "sha256"));
		table_add_count(&t, json_get_int(s, "size_bytes", 0));
	}
	ctl_print_table(c, &t, "none is kept: this revision was never published here");
	return 0;
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
	if (args_has(&c->args, "list"))
		return list_kept(c, &m, e);
	ctl_model_path(&path, &m, "/-/sbom");
	client_query_add(&path, "format", args_text(&c->args, "format"));
	client_query_add(&path, "sha256", args_text(&c->args, "sha256"));
	rc = client_stream(&c->client, path.data, collect, &text, e);
	if (rc < 0)
		return rc;
	if (file)
		return fdio_output(file, text.data, text.len, e);
	return fwrite(text.data, 1, text.len, stdout) == text.len ? 0 : err_errno(e, "write to standard output");
}
