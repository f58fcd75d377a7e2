/* ctl.c - see ctl.h. */
#include "cli/ctl.h"

#include <stdarg.h>

#include "base/str.h"
#include "cli/text.h"

#define TEXTS 8	/* strings that one printf may take from ctl_text() */
#define TEXT_MAX 1024

int ctl_parse_model(struct ctl_model *m, const char *word, struct err *e)
{
	const char *at = strchr(word, '@');
	size_t n = at ? (size_t)(at - word) : strlen(word);
	const char *slash = memchr(word, '/', n);

	if (n == 0 || n >= CTL_REPO_MAX || word[0] == '/' || word[n - 1] == '/' ||
	    (slash && memchr(slash + 1, '/', n - (size_t)(slash + 1 - word))))
		return err_set(e, ERR_USAGE, "'%.200s' is not a model's name: write it as ORG/NAME or ORG/NAME@REVISION", word);
	for (const char *p = word; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(e, ERR_USAGE, "a model's name holds no blanks or control characters");
	if (at && (!at[1] || strlen(at + 1) >= CTL_REV_MAX))
		return err_set(e, ERR_USAGE, "behind the @ of '%.200s' a branch, tag or commit must stand", word);
	memcpy(m->repo, word, n);
	m->repo[n] = 0;
	snprintf(m->rev_text, sizeof(m->rev_text), "%s", at ? at + 1 : "");
	m->rev = at ? m->rev_text : NULL;
	return 0;
}

void ctl_model_path(struct buf *b, const struct ctl_model *m, const char *tail)
{
	buf_init(b, CLIENT_PATH_MAX);
	buf_puts(b, "/-/v1/models/");
	client_path_add(b, m->repo);
	buf_puts(b, tail);
	client_query_add(b, "revision", m->rev);
}

int ctl_delete(struct ctl *c, const char *below, const char *name, json_t **answer, struct err *e)
{
	own(buf) struct buf path;

	buf_init(&path, CLIENT_PATH_MAX);
	buf_puts(&path, below);
	client_segment_add(&path, name);
	return client_call(&c->client, "DELETE", path.data, NULL, answer, e);
}

int ctl_print_json(const json_t *j, struct err *e)
{
	if (json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) < 0 || putchar('\n') == EOF)
		return err_errno(e, "write to standard output");
	return 0;
}

void ctl_say(const struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	if (c->json || c->quiet)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void ctl_print_table(const struct ctl *c, const struct table *t, const char *none)
{
	if (t->n_cells)
		table_print(t, stdout, c->columns);
	else if (!c->quiet)
		fprintf(stderr, "%s\n", none);
}

static char *next_text(void)
{
	static _Thread_local char texts[TEXTS][TEXT_MAX];
	static _Thread_local unsigned at;

	return texts[at++ % TEXTS];
}

const char *ctl_text(const json_t *obj, const char *key)
{
	const char *s = json_get_str(obj, key);
	own(mem) char *clean = NULL;
	char *out = next_text();

	if (!s || !*s)
		return "-";
	clean = text_clean(s);
	snprintf(out, TEXT_MAX, "%s", clean);
	return out;
}

const char *ctl_date(const json_t *obj, const char *key)
{
	char *out = next_text();

	snprintf(out, TEXT_MAX, "%.10s", ctl_text(obj, key));
	return out;
}

const char *ctl_when(const json_t *obj, const char *key)
{
	const char *s = ctl_text(obj, key);
	char *out = next_text();

	if (strlen(s) < 19 || s[10] != 'T')
		return s;
	snprintf(out, TEXT_MAX, "%.10s %.8s", s, s + 11);
	return out;
}
