/* cmd_mirror.c - mirror list, add, remove, run: what is kept in step with upstream. */
#include "base/str.h"
#include "cli/text.h"
#include "cli/verb.h"

int cmd_mirror_list(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "NAME", TABLE_FLEX },	 { "KIND", TABLE_LEFT }, { "UPSTREAM", TABLE_LEFT }, { "EVERY", TABLE_RIGHT },
		{ "NEXT", TABLE_LEFT }, { "LAST", TABLE_LEFT }, { "LAST ERROR", TABLE_FLEX },
	};
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	const json_t *m;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	rc = client_get(&c->client, "/-/v1/mirrors", &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(json_object_get(answer, "mirrors"), e);
	json_array_foreach(json_object_get(answer, "mirrors"), i, m) {
		char every[TEXT_SHORT_MAX];

		text_duration(every, json_get_int(m, "every_s", 0));
		table_add(&t, json_get_str(m, "name"));
		table_add(&t, json_get_str(m, "kind"));
		table_add(&t, json_get_str(m, "upstream"));
		table_add(&t, every);
		table_add(&t, ctl_when(m, "next_at"));
		table_add(&t, ctl_when(m, "last_at"));
		table_add(&t, json_get_str(m, "last_error"));
	}
	ctl_print_table(c, &t, "nothing is kept in step yet");
	return 0;
}

static json_t *entry(const struct args *a)
{
	json_t *body = json_object(), *include;
	const char *s;

	if (args_has(a, "include")) {
		include = json_array();
		for (size_t i = 0; (s = args_nth(a, "include", i)); i++)
			json_array_append_new(include, json_string(s));
		json_object_set_new(body, "include", include);
	}
	if (args_has(a, "every"))
		json_object_set_new(body, "every_s", json_integer((json_int_t)args_number(a, "every", 0)));
	if (args_has(a, "metadata-only"))
		json_object_set_new(body, "metadata_only", json_true());
	return body;
}

/* As it is now: what was not given is as it was. */
static void say_entry(const struct ctl *c, const json_t *m)
{
	static const char *const lists[] = { "include", "exclude" };
	const json_t *options = json_object_get(m, "options"), *glob;
	char every[TEXT_SHORT_MAX];
	own(buf) struct buf more;
	size_t i;

	buf_init(&more, CLIENT_PATH_MAX);
	for (size_t k = 0; k < ARRAY_LEN(lists); k++)
		json_array_foreach(json_object_get(options, lists[k]), i, glob)
			buf_printf(&more, "%s%s", i ? " " : k ? ", without " : ", only ", json_string_value(glob));
	text_duration(every, json_get_int(m, "every_s", 0));
	ctl_say(c, "%s is kept in step every %s%.*s%s", ctl_text(m, "name"), every, (int)more.len, more.data ? more.data : "",
		json_get_bool(options, "metadata_only", false) ? ", metadata only" : "");
}

static int add(struct ctl *c, const char *key, const char *target, const char *revision, json_t *added, struct err *e)
{
	own(json) json_t *body = entry(&c->args);
	json_t *answer = NULL;
	int rc;

	json_object_set_new(body, key, json_string(target));
	if (revision)
		json_object_set_new(body, "revision", json_string(revision));
	rc = client_call(&c->client, "POST", "/-/v1/mirrors", body, &answer, e);
	if (rc < 0)
		return rc;
	say_entry(c, answer);
	json_array_append_new(added, answer);
	return 0;
}

int cmd_mirror_add(struct ctl *c, struct err *e)
{
	const char *author = args_text(&c->args, "author"), *query = args_text(&c->args, "query");
	own(json) json_t *added = json_array();
	int rc = 0;

	if ((c->args.n_words > 0) + (author != NULL) + (query != NULL) != 1)
		return err_set(e, ERR_USAGE, "mirror add needs either REPO…, --author A or --query Q");
	if (author)
		rc = add(c, "author", author, NULL, added, e);
	if (query)
		rc = add(c, "query", query, NULL, added, e);
	for (size_t i = 0; i < c->args.n_words && rc == 0; i++) {
		struct ctl_model m;

		rc = ctl_parse_model(&m, c->args.words[i], e);
		if (rc == 0)
			rc = add(c, "repo", m.repo, m.rev, added, e);
	}
	if (rc == 0 && c->json)
		rc = ctl_print_json(added, e);
	return rc;
}

int cmd_mirror_remove(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;

	if (ctl_delete(c, "/-/v1/mirrors/", c->args.words[0], &answer, e) < 0)
		return e->code;
	if (c->json)
		return ctl_print_json(answer, e);
	ctl_say(c, "%s is no longer kept in step; what is mirrored stays", ctl_text(answer, "name"));
	return 0;
}

int cmd_mirror_run(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;
	int rc = 0;

	for (size_t i = 0; rc == 0 && (i < c->args.n_words || i == 0); i++) {
		own(json) json_t *body = json_object();

		if (i < c->args.n_words)
			json_object_set_new(body, "name", json_string(c->args.words[i]));
		json_decref(answer);
		answer = NULL;
		rc = client_call(&c->client, "POST", "/-/v1/mirrors/run", body, &answer, e);
	}
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	ctl_say(c, "due now; `registryctl jobs --watch` shows what comes of it");
	return 0;
}
