/* cmd_key.c - key generate, list, trust: with which keys the daemon signs, and which others it trusts. */
#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "cli/verb.h"
#include "verify/sign.h"

#define KEYS_TEXT_MAX (4u << 20)	/* bytes of another site's list of keys */

int cmd_key_generate(struct ctl *c, struct err *e)
{
	own(json) json_t *body = json_pack("{s:s*}", "name", c->args.n_words ? c->args.words[0] : NULL);
	own(json) json_t *k = NULL;
	int rc = client_call(&c->client, "POST", "/-/v1/keys", body, &k, e);

	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(k, e);
	ctl_say(c, "key %s is made, hint %s", ctl_text(k, "name"), ctl_text(k, "hint"));
	return 0;
}

/* The public halves of the signing keys, one after the other, to -o FILE or stdout. */
static int print_pem(struct ctl *c, const json_t *keys, struct err *e)
{
	const char *file = args_text(&c->args, "o");
	own(buf) struct buf b;
	const json_t *k;
	size_t i;

	buf_init(&b, KEYS_TEXT_MAX);
	json_array_foreach(keys, i, k)
		if (!strcmp(json_get_str_or(k, "use", ""), "signing"))
			buf_puts(&b, json_get_str_or(k, "pem", ""));
	if (!b.len)
		return err_set(e, ERR_NOT_FOUND, "there is no signing key yet: `registryctl key generate` makes one");
	if (file)
		return fdio_output(file, b.data, b.len, e);
	return fwrite(b.data, 1, b.len, stdout) == b.len ? 0 : err_errno(e, "write to standard output");
}

int cmd_key_list(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = { { "NAME", TABLE_FLEX }, { "USE", TABLE_LEFT }, { "HINT", TABLE_LEFT } };
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	const json_t *keys, *k;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	if (args_has(&c->args, "o") && !args_has(&c->args, "pem"))
		return err_set(e, ERR_USAGE, "-o FILE goes with --pem");
	if (args_has(&c->args, "pem") && c->json)
		return err_set(e, ERR_USAGE, "--pem is text, not JSON: give one of --pem and --json");
	rc = client_get(&c->client, "/-/v1/keys", &answer, e);
	if (rc < 0)
		return rc;
	keys = json_object_get(answer, "keys");
	if (args_has(&c->args, "pem"))
		return print_pem(c, keys, e);
	if (c->json)
		return ctl_print_json(keys, e);
	json_array_foreach(keys, i, k) {
		table_add(&t, json_get_str(k, "name"));
		table_add(&t, json_get_str(k, "use"));
		table_add(&t, json_get_str(k, "hint"));
	}
	ctl_print_table(c, &t, "no keys yet: `registryctl key generate` makes one");
	return 0;
}

/* --- trust --- */

static int collect(void *arg, const char *p, size_t n, struct err *e)
{
	return buf_add(arg, p, n) < 0 ? err_set(e, ERR_LIMIT, "the key's text is larger than %u bytes", KEYS_TEXT_MAX) : 0;
}

/* From another registryd, or any address that answers with PEM. No token of ours goes there. */
static int fetch_url(struct ctl *c, const char *url, struct buf *b, struct err *e)
{
	const char *host = strstr(url, "://") + 3, *path = strchr(host, '/');
	own(mem) char *base = strndup(url, path ? (size_t)(path - url) : strlen(url));
	const struct client_token_sources nothing = { 0 };
	own(client) struct client other = { 0 };
	int rc = client_open(&other, base, &nothing, e);

	other.stop = c->stop;
	return rc < 0 ? rc : client_stream(&other, path && path[1] ? path : "/-/v1/keys", collect, b, e);
}

/* A name for a key: what stands in the file's name or the URL's host. */
static void name_of(const char *from, char out[48])
{
	const char *host = strstr(from, "://"), *slash = strrchr(from, '/');
	const char *start = host ? host + 3 : slash ? slash + 1 : from;
	size_t n = strspn(start, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	if (n > 4 && !strncmp(start + n - 4, ".pem", 4))
		n -= 4;
	snprintf(out, 48, "%.*s", n && *start != '.' ? (int)n : 7, n && *start != '.' ? start : "trusted");
}

static int trust(struct ctl *c, const char *name, const char *pem, json_t *done, struct err *e)
{
	own(json) json_t *body = json_pack("{s:s, s:s}", "name", name, "pem", pem);
	json_t *k = NULL;
	int rc = client_call(&c->client, "POST", "/-/v1/keys/trusted", body, &k, e);

	if (rc < 0)
		return rc;
	ctl_say(c, "key %s is trusted, hint %s", ctl_text(k, "name"), ctl_text(k, "hint"));
	json_array_append_new(done, k);
	return 0;
}

/* Another registryd's list: each key that it signs with, as HOST-NAME. */
static int trust_list(struct ctl *c, const char *name, const struct buf *b, json_t *done, struct err *e)
{
	own(json) json_t *j = json_parse(b->data, b->len, "the answer", e);
	const json_t *k;
	size_t i;

	if (!j)
		return ERR_INPUT;
	json_array_foreach(json_object_get(j, "keys"), i, k) {
		char full[64];

		if (strcmp(json_get_str_or(k, "use", ""), "signing") != 0)
			continue;
		snprintf(full, sizeof(full), "%.30s-%.30s", name, json_get_str_or(k, "name", "key"));
		if (trust(c, full, json_get_str_or(k, "pem", ""), done, e) < 0)
			return e->code;
	}
	return json_array_size(done) ? 0 : err_set(e, ERR_NOT_FOUND, "there is no signing key at '%s'", c->args.words[0]);
}

int cmd_key_trust(struct ctl *c, struct err *e)
{
	const char *from = c->args.words[0];
	own(json) json_t *done = json_array();
	own(buf) struct buf b;
	char name[48];
	int rc;

	buf_init(&b, KEYS_TEXT_MAX);
	name_of(from, name);
	rc = str_starts(from, "http://") || str_starts(from, "https://") ? fetch_url(c, from, &b, e) : fdio_slurp(AT_FDCWD, from, &b, e);
	if (rc == 0)
		rc = b.data[strspn(b.data, " \t\r\n")] == '{' ? trust_list(c, name, &b, done, e) : trust(c, name, b.data, done, e);
	return rc == 0 && c->json ? ctl_print_json(done, e) : rc;
}
