/* hub_doc.c - what a Hub's answers hold: revision info and lists of models; listings of files are hub_tree.c. Everything in them is foreign text and is checked here. */
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/hub.h"

#define COMMIT_PAGES_MAX 20	/* of 100 commits */
#define REPO_PART_MAX 96
#define LIST_PAGE     100	/* models a page of a listing */

/* ---- names ---------------------------------------------------------------------------------------------------- */

static bool part_ok(const char *s, size_t n)
{
	if (!n || n > REPO_PART_MAX || strchr("-.", s[0]) || strchr("-.", s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.')
			return false;
		if (i && (c == '-' || c == '.') && s[i - 1] == (char)c)
			return false;
	}
	return true;
}

int hub_check_repo(const char *name, struct err *e)
{
	const char *slash = strchr(name, '/');

	if (slash ? part_ok(name, (size_t)(slash - name)) && part_ok(slash + 1, strlen(slash + 1)) : part_ok(name, strlen(name)))
		return 0;
	return err_set(e, ERR_USAGE, "'%.200s' is not a repository name: ORG/NAME of letters, digits, '-', '_' and '.' is meant", name);
}

int hub_check_author(const char *name, struct err *e)
{
	if (part_ok(name, strlen(name)))
		return 0;
	return err_set(e, ERR_USAGE, "'%.200s' is not an author's name: ORG of letters, digits, '-', '_' and '.' is meant", name);
}

json_t *hub_parse_answer(const char *text, size_t n, const char *what, const char *endpoint, struct err *e)
{
	json_t *j;
	size_t i = 0;

	while (i < n && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t'))
		i++;
	if (i < n && text[i] == '<') {
		err_set(e, ERR_INPUT, "%s answers %s with an HTML page instead of JSON: is there a login page or a proxy in between?", endpoint, what);
		return NULL;
	}
	j = json_parse_lax(text, n, what, e);
	if (!j)
		err_wrap(e, "%s answers something that is not JSON", endpoint);
	return j;
}

int hub_next_page(struct hub *h, const char *url, const struct net_answer *a, char **next, struct err *e)
{
	own(mem) char *link = a->header[NET_LINK] ? net_link_next(a->header[NET_LINK]) : NULL;

	*next = link ? net_page(url, link) : NULL;
	if (link && !*next)
		return err_set(e, ERR_INPUT, "%s names '%.200s' as the listing's next page, which is no http address with a query", h->config.endpoint, str_printable(link));
	if (*next && !strcmp(*next, url)) {
		free(take(*next));
		return err_set(e, ERR_INPUT, "the listing has a page that leads to itself");
	}
	return 0;
}

/* ---- one revision --------------------------------------------------------------------------------------------- */

void hub_revision_done(struct hub_revision *r)
{
	free(r->id);
	free(r->raw);
	json_decref(r->doc);
	memset(r, 0, sizeof(*r));
}

static char *revision_url(const struct hub *h, const char *repo, const char *rev)
{
	own(mem) char *quoted = rev ? str_percent_encode(rev, "") : NULL;
	char *url;

	if (asprintf(&url, "%s/api/models/%s%s%s", h->config.endpoint, repo, rev ? "/revision/" : "", rev ? quoted : "") < 0)
		abort();
	return url;
}

/* Hex digits, of which some are not zero: one that says the same of all its models says nothing, and one that a registry has made from the name says no more than that. */
void hub_read_key(const json_t *doc, const char *id, char out[MODEL_KEY_HEX + 1])
{
	const char *key = json_get_str(doc, "_id");
	char made[MODEL_KEY_HEX + 1];

	*out = 0;
	if (!key || !str_is_hex(key, MODEL_KEY_HEX) || strspn(key, "0") == MODEL_KEY_HEX)
		return;
	model_made_key(id, made);
	if (strcmp(key, made) != 0)
		snprintf(out, MODEL_KEY_HEX + 1, "%s", key);
}

int hub_revision_read(struct hub_revision *r, const char *from, const char *repo, const char *what, struct err *e)
{
	const char *sha = json_get_str(r->doc, "sha"), *id = json_get_str(r->doc, "id"), *at = json_get_str(r->doc, "lastModified");
	const json_t *gated = json_object_get(r->doc, "gated");

	if (!json_is_object(r->doc))
		return err_set(e, ERR_INPUT, "%s: %s answers JSON that is not an object", what, from);
	if (!sha || !str_is_hex(sha, 40))
		return err_set(e, ERR_INPUT, "%s: %s names no commit id ('sha' must be 40 hex digits)", what, from);
	if (!id)
		id = json_get_str(r->doc, "modelId");	/* the shape of 2022 */
	if (id && hub_check_repo(id, e))
		return err_wrap(e, "%s: %s answers for", what, from);
	snprintf(r->sha, sizeof(r->sha), "%s", sha);
	r->id = mem_strdup(id ? id : repo);
	hub_read_key(r->doc, r->id, r->key);
	r->gated = json_is_true(gated) || (json_is_string(gated) && strcmp(json_string_value(gated), "false")) ? HUB_GATED : HUB_OPEN;
	r->is_private = json_get_bool(r->doc, "private", false);
	r->disabled = json_get_bool(r->doc, "disabled", false);
	if (at)
		str_parse_time(at, &r->last_modified, NULL);
	return 0;
}

/* Without parsing what may be a list of 100,000: within another string the quotes would be escaped. */
static size_t count_siblings(const struct buf *body)
{
	static const char key[] = "\"rfilename\"";
	const char *at = body->data, *end = body->data + body->len;
	size_t n = 0;

	while (at && (at = memmem(at, (size_t)(end - at), key, sizeof(key) - 1))) {
		at += sizeof(key) - 1;
		while (at < end && strchr(" \t\r\n", *at))
			at++;
		n += at < end && *at == ':';	/* else a file is called so */
	}
	return n;
}

int hub_get_revision(struct hub *h, const char *repo, const char *rev, const atomic_bool *stop, struct hub_revision *out, struct err *e)
{
	own(answer) struct net_answer a = { 0 };
	own(buf) struct buf body;
	own(mem) char *url = NULL;
	own(mem) char *what = NULL;
	struct hub_revision r = { 0 };
	int rc;

	buf_init(&body, HUB_INFO_MAX_BYTES);
	rc = hub_check_repo(repo, e);
	if (rc)
		return rc;
	url = revision_url(h, repo, rev);
	if (asprintf(&what, "%s@%s", repo, rev ? rev : "main") < 0)
		abort();
	rc = hub_call(h, &(struct hub_call){ .url = url, .what = what, .repo = repo, .bucket = HUB_API, .stop = stop }, &a, &body, e);
	if (rc) {
		out->disabled = hub_says_disabled(&a);
		out->no_such_revision = rc == ERR_NOT_FOUND && hub_says_no_revision(&a);
		return rc;
	}
	r.n_siblings = count_siblings(&body);
	json_empty_member(&body, "siblings");
	r.n_siblings -= count_siblings(&body);	/* elsewhere in it, in a card's words say */
	r.doc = hub_parse_answer(body.data, body.len, what, h->config.endpoint, e);
	if (!r.doc)
		return ERR_INPUT;
	rc = hub_revision_read(&r, h->config.endpoint, repo, what, e);
	if (rc) {
		hub_revision_done(&r);
		return rc;
	}
	r.raw_bytes = body.len;
	r.raw = mem_strndup(body.data, body.len);	/* its room was for the list of files */
	*out = r;
	return 0;
}

static bool lists_commit(const json_t *rows, const char *commit)
{
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (!strcmp(json_get_str_or(row, "id", ""), commit))
			return true;
	return false;
}

int hub_descends(struct hub *h, const char *repo, const char *head, const char *commit, const atomic_bool *stop)
{
	for (int page = 0; page < COMMIT_PAGES_MAX; page++) {
		own(answer) struct net_answer a = { 0 };
		own(json) json_t *rows = NULL;
		own(mem) char *url = NULL, *next = NULL;
		struct err e = ERR_NONE;
		own(buf) struct buf body;

		buf_init(&body, HUB_INFO_MAX_BYTES);
		if (asprintf(&url, "%s/api/models/%s/commits/%s?limit=100&p=%d", h->config.endpoint, repo, head, page) < 0)
			abort();
		if (hub_call(h, &(struct hub_call){ .url = url, .what = "commits", .repo = repo, .bucket = HUB_API, .stop = stop }, &a, &body, &e))
			return -1;
		rows = json_parse_lax(body.data, body.len, "commits", &e);
		if (!json_array_size(rows))
			return -1;
		if (lists_commit(rows, commit))
			return 1;
		next = a.header[NET_LINK] ? net_link_next(a.header[NET_LINK]) : NULL;
		if (!next)
			return 0;
	}
	return -1;
}

int hub_is_tag(struct hub *h, const char *repo, const char *ref, const atomic_bool *stop)
{
	own(mem) char *url = NULL;
	own(answer) struct net_answer a = { 0 };
	own(json) json_t *refs = NULL;
	struct err e = ERR_NONE;
	const json_t *tag;
	own(buf) struct buf body;
	size_t i;

	buf_init(&body, HUB_INFO_MAX_BYTES);
	if (asprintf(&url, "%s/api/models/%s/refs", h->config.endpoint, repo) < 0)
		abort();
	if (hub_call(h, &(struct hub_call){ .url = url, .what = "refs", .repo = repo, .bucket = HUB_API, .stop = stop }, &a, &body, &e))
		return -1;
	refs = json_parse_lax(body.data, body.len, "refs", &e);
	if (!refs)
		return -1;
	json_array_foreach (json_object_get(refs, "tags"), i, tag)
		if (!strcmp(json_get_str_or(tag, "name", ""), ref))
			return 1;
	return 0;
}

char *hub_resolve_url(const struct hub *h, const char *repo, const char *sha, const char *path)
{
	own(mem) char *quoted = str_percent_encode(path, "/");
	char *url;

	if (asprintf(&url, "%s/%s/resolve/%s/%s", h->config.endpoint, repo, sha, quoted) < 0)
		abort();
	return url;
}

/* ---- lists of models ------------------------------------------------------------------------------------------ */

static void add_param(struct buf *url, const char *name, const char *value)
{
	own(mem) char *quoted = value ? str_percent_encode(value, "") : NULL;

	if (quoted)
		buf_printf(url, "&%s=%s", name, quoted);
}

/* Gives one listed model to the caller; 1 ends the walk. */
static int list_one(const json_t *item, const struct hub_query *q, int (*each)(const struct hub_listed *m, void *arg), void *arg)
{
	const char *id = json_get_str_or(item, "id", json_get_str(item, "modelId")), *sha = json_get_str(item, "sha"), *at = json_get_str(item, "lastModified");
	struct hub_listed m = { .doc = (json_t *)item };

	if (!id || hub_check_repo(id, NULL))
		return 0;	/* a name that can't be asked for can't be mirrored */
	if (at)
		str_parse_time(at, &m.last_modified, NULL);
	if (q->since && m.last_modified && m.last_modified < q->since)
		return 1;
	m.id = (char *)id;
	m.sha = sha && str_is_hex(sha, 40) ? (char *)sha : NULL;
	return each(&m, arg);
}

/* An object, say, in which a server says what it lacks, though with status 200. */
static int no_list(const json_t *got, const char *endpoint, struct err *e)
{
	own(mem) char *said = mem_strdup(json_get_str_or(got, "error", ""));

	return err_set(e, ERR_INPUT, "list of models: %s answers JSON that is not an array%s%.200s", endpoint, *said ? ": " : "", str_printable(said));
}

int hub_list(struct hub *h, const struct hub_query *q, const atomic_bool *stop, int (*each)(const struct hub_listed *m, void *arg), void *arg, struct err *e)
{
	own(buf) struct buf first;
	own(mem) char *url = NULL;
	size_t seen = 0;

	buf_init(&first, 8192);
	buf_printf(&first, "%s/api/models?sort=lastModified&direction=-1&limit=%d&full=true&cardData=true", h->config.endpoint, LIST_PAGE);
	add_param(&first, "author", q->author);
	add_param(&first, "search", q->search);
	add_param(&first, "filter", q->filter);
	if (buf_failed(&first))
		return err_set(e, ERR_LIMIT, "the query for models is too long");
	url = buf_take(&first);
	for (int page = 0; url && page < HUB_PAGES_MAX && seen < HUB_LIST_MAX; page++) {
		own(answer) struct net_answer a = { 0 };
		own(buf) struct buf body;
		own(json) json_t *list = NULL;
		char *next = NULL;
		json_t *item;
		size_t i;
		int rc;

		buf_init(&body, HUB_PAGE_MAX_BYTES);
		rc = hub_call(h, &(struct hub_call){ .url = url, .what = "list of models", .bucket = HUB_API, .stop = stop }, &a, &body, e);
		if (rc)
			return rc;
		list = hub_parse_answer(body.data, body.len, "list of models", h->config.endpoint, e);
		if (!list)
			return ERR_INPUT;
		if (!json_is_array(list))
			return no_list(list, h->config.endpoint, e);
		json_array_foreach (list, i, item) {
			seen++;
			if (list_one(item, q, each, arg))
				return 0;
		}
		rc = hub_next_page(h, url, &a, &next, e);
		if (rc)
			return rc;
		free(url);
		url = json_array_size(list) ? next : (free(next), NULL);
	}
	return 0;
}
