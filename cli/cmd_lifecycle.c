/* cmd_lifecycle.c - the end of a model: orders about it, what ends when, and who still pulls it. */
#include "cli/text.h"
#include "cli/verb.h"

/* What holds now, with its date where it has one. */
static void say_state(const struct ctl *c, const json_t *l)
{
	const char *what = c->args.words[0], *state = json_get_str_or(l, "state", "");

	if (!strcmp(state, "retired") && !json_get_str(l, "retired_at"))
		ctl_say(c, "%s is retired: its sunset was on %s", what, ctl_date(l, "sunset_at"));
	else if (!strcmp(state, "deprecated") && json_get_str(l, "sunset_at"))
		ctl_say(c, "%s is deprecated until %s", what, ctl_date(l, "sunset_at"));
	else if (!strcmp(state, "active") && json_get_str(l, "sunset_at"))
		ctl_say(c, "%s is active, deprecated from %s and ends on %s", what, ctl_date(l, "deprecated_at"), ctl_date(l, "sunset_at"));
	else
		ctl_say(c, "%s is %s", what, state);
}

/* Which options each order sends; all take REPO[@REV] and --reason. Without @REV the whole model is meant. */
static int order(struct ctl *c, const char *tail, struct err *e)
{
	const struct args *a = &c->args;
	own(json) json_t *body = json_pack("{s:s*, s:s*, s:s*}", "reason", args_text(a, "reason"), "sunset", args_text(a, "sunset"), "successor",
					   args_text(a, "successor"));
	own(json) json_t *answer = NULL;
	own(buf) struct buf path;
	const json_t *not_served, *also, *by;
	struct ctl_model m;
	size_t i;
	int rc;

	buf_init(&path, CLIENT_PATH_MAX);
	rc = ctl_parse_model(&m, a->words[0], e);
	if (rc < 0)
		return rc;
	if (m.rev)
		json_object_set_new(body, "revision", json_string(m.rev));
	if (args_has(a, "force"))
		json_object_set_new(body, "force", json_true());
	if (args_has(a, "legal"))
		json_object_set_new(body, "legal", json_true());
	buf_puts(&path, "/-/v1/models/");
	client_path_add(&path, m.repo);
	buf_printf(&path, "/-/%s", tail);
	rc = client_call(&c->client, "POST", path.data, body, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	say_state(c, answer);
	json_array_foreach(json_object_get(answer, "not_served"), i, not_served)
		ctl_say(c, "but %s@%.12s is %s: %s", m.repo, ctl_text(not_served, "revision"), ctl_text(not_served, "state"), ctl_text(not_served, "reason"));
	json_array_foreach(json_object_get(answer, "also_served"), i, also)
		ctl_say(c, "but %s@%.12s goes on being served: %s", ctl_text(also, "repo"), ctl_text(also, "revision"), ctl_text(also, "because"));
	json_array_foreach(json_object_get(answer, "named_by"), i, by) {
		const char *at = json_get_str(by, "revision");

		ctl_say(c, "but %s%s%.12s names it as the successor: that is told to nobody as long as people can't get it", ctl_text(by, "repo"), at ? "@" : "", at ? at : "");
	}
	return 0;
}

int cmd_deprecate(struct ctl *c, struct err *e)
{
	return order(c, "deprecate", e);
}

int cmd_undeprecate(struct ctl *c, struct err *e)
{
	return order(c, "undeprecate", e);
}

int cmd_retire(struct ctl *c, struct err *e)
{
	return order(c, "retire", e);
}

int cmd_restore(struct ctl *c, struct err *e)
{
	return order(c, "restore", e);
}

int cmd_withdraw(struct ctl *c, struct err *e)
{
	if (!args_has(&c->args, "reason"))
		return err_set(e, ERR_USAGE, "withdraw needs --reason TEXT: it is kept and shown");
	return order(c, "withdraw", e);
}

static int to_stdout(void *arg, const char *p, size_t n, struct err *e)
{
	(void)arg;
	return fwrite(p, 1, n, stdout) == n ? 0 : err_errno(e, "write to standard output");
}

/* lifecycle_list gives "consumers" as a count or as a list of names. */
static void add_consumers(struct table *t, const json_t *v)
{
	char text[300] = "";
	size_t i, len = 0;
	const json_t *s;

	if (json_is_integer(v)) {
		table_add_count(t, json_integer_value(v));
		return;
	}
	json_array_foreach(v, i, s)
		if (len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "", json_string_value(s) ? json_string_value(s) : "");
	table_add(t, text);
}

static void print_lifecycle(const struct ctl *c, const json_t *list)
{
	static const struct table_column columns[] = {
		{ "MODEL", TABLE_FLEX },     { "STATE", TABLE_LEFT },	 { "DEPRECATED", TABLE_LEFT }, { "ENDS", TABLE_LEFT },
		{ "SUCCESSOR", TABLE_FLEX }, { "PULLS 30D", TABLE_RIGHT }, { "CONSUMERS", TABLE_FLEX },	{ "REASON", TABLE_FLEX },
	};
	own(table) struct table t;
	const json_t *l;
	size_t i;

	table_init(&t, columns, ARRAY_LEN(columns));
	json_array_foreach(list, i, l) {
		const char *rev = json_get_str(l, "revision");
		char model[CTL_REPO_MAX + 16];

		snprintf(model, sizeof(model), "%s%s%.12s", json_get_str_or(l, "repo", ""), rev && *rev ? "@" : "", rev ? rev : "");
		table_add(&t, model);
		table_add(&t, json_get_str(l, "state"));
		table_add(&t, ctl_date(l, "deprecated_at"));
		table_add(&t, ctl_date(l, "sunset_at"));
		table_add(&t, json_get_str(l, "successor"));
		table_add_count(&t, json_get_int(l, "pulls_30d", 0));
		add_consumers(&t, json_object_get(l, "consumers"));
		table_add(&t, json_get_str(l, "reason"));
	}
	ctl_print_table(c, &t, "nothing is deprecated, and nothing ends in that time");
}

int cmd_lifecycle(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;
	own(buf) struct buf path;
	int rc;

	buf_init(&path, CLIENT_PATH_MAX);
	buf_puts(&path, "/-/v1/lifecycle");
	if (args_has(&c->args, "ics")) {
		if (c->json)
			return err_set(e, ERR_USAGE, "--ics is a calendar, not JSON: give one of --ics and --json");
		client_query_add(&path, "format", "ics");
		return client_stream(&c->client, path.data, to_stdout, NULL, e);
	}
	if (args_has(&c->args, "within"))
		client_query_number(&path, "within", (int64_t)args_number(&c->args, "within", 0));
	rc = client_get(&c->client, path.data, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(json_object_get(answer, "lifecycle"), e);
	print_lifecycle(c, json_object_get(answer, "lifecycle"));
	return 0;
}

int cmd_usage(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "CONSUMER", TABLE_FLEX }, { "PULLS", TABLE_RIGHT }, { "BYTES", TABLE_RIGHT }, { "LAST", TABLE_LEFT },
	};
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	own(buf) struct buf path;
	struct ctl_model m;
	const json_t *u;
	size_t i;
	int rc;

	buf_init(&path, CLIENT_PATH_MAX);
	table_init(&t, columns, ARRAY_LEN(columns));
	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	if (m.rev)
		return err_set(e, ERR_USAGE, "usage is counted by model: leave out @%s", m.rev);
	ctl_model_path(&path, &m, "/-/usage");
	client_query_number(&path, "days", (int64_t)args_number(&c->args, "days", 30));
	rc = client_get(&c->client, path.data, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(json_object_get(answer, "usage"), e);
	json_array_foreach(json_object_get(answer, "usage"), i, u) {
		table_add(&t, json_get_str(u, "consumer"));
		table_add_count(&t, json_get_int(u, "pulls", 0));
		table_add_size(&t, json_get_int(u, "bytes", -1));
		table_add(&t, ctl_when(u, "last_at"));
	}
	ctl_print_table(c, &t, "nobody pulled it in that time");
	return 0;
}
