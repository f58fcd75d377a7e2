/* cmd_policy.c - policy show, check, test, reload: the rules, what others would do, and putting the file's in force. */
#include <fcntl.h>

#include "base/fdio.h"
#include "cli/job.h"
#include "cli/verb.h"

#define POLICY_FILE_MAX (1u << 20)

int cmd_policy_show(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;
	int rc = client_get(&c->client, "/-/v1/policy", &answer, e);
	const json_t *waiting, *warning;
	size_t i;

	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	printf("# in force since %s, by %s\n", ctl_when(answer, "since"), ctl_text(answer, "by"));
	waiting = json_object_get(answer, "waiting");
	if (json_is_object(waiting))
		printf("# A changed policy waits since %s: %s. `registryctl policy reload --yes` puts it in force.\n", ctl_when(waiting, "since"), ctl_text(waiting, "message"));
	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
		printf("# %s\n", json_string_value(warning));
	fputs(json_get_str_or(answer, "policy", ""), stdout);
	return 0;
}

static void say_warnings(const struct ctl *c, const json_t *answer)
{
	const json_t *warning;
	size_t i;

	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
		ctl_say(c, "but %s", json_string_value(warning));
}

/* The daemon reads the file that its settings name. */
int cmd_policy_reload(struct ctl *c, struct err *e)
{
	own(json) json_t *body = json_object(), *answer = NULL;
	int rc;

	if (args_has(&c->args, "yes"))
		json_object_set_new(body, "yes", json_true());
	rc = client_call(&c->client, "POST", "/-/v1/policy/reload", body, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	ctl_say(c, "in force since %s, by %s", ctl_when(answer, "since"), ctl_text(answer, "by"));
	say_warnings(c, answer);
	return 0;
}

/* Asks upstream for the model's plan, and tells only what the gate says of it. Ends with 5 unless it would publish. */
int cmd_policy_check(struct ctl *c, struct err *e)
{
	own(json) json_t *job = NULL, *body = NULL;
	const json_t *gate, *r;
	struct ctl_model m;
	size_t i;
	int rc;

	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	body = json_pack("{s:s}", "repo", m.repo);
	if (m.rev)
		json_object_set_new(body, "revision", json_string(m.rev));
	rc = job_start(c, "/-/v1/plans", body, &job, e);
	if (rc == 0)
		rc = job_outcome(job, e);
	if (rc < 0)
		return rc;
	gate = json_object_get(json_object_get(job, "result"), "gate");
	if (c->json && ctl_print_json(gate, e) < 0)
		return e->code;
	if (!c->json)
		json_array_foreach(json_object_get(gate, "reasons"), i, r)
			printf("%-10s %-8s %s\n", ctl_text(r, "rule"), ctl_text(r, "outcome"), ctl_text(r, "reason"));
	if (strcmp(json_get_str_or(gate, "outcome", ""), "publish") != 0)
		return err_set(e, ERR_REFUSED, "the gate would %s %s", ctl_text(gate, "outcome"), c->args.words[0]);
	return 0;
}

/* What the change comes to, and whether it is one that has to be confirmed. */
static void say_effect(const struct ctl *c, const json_t *answer)
{
	long long changes = (long long)json_array_size(json_object_get(answer, "changes")), publishes = (long long)json_get_int(answer, "publishes", 0);
	long long unpublishes = (long long)json_get_int(answer, "unpublishes", 0);

	const json_t *life = json_object_get(answer, "lifecycle");

	ctl_say(c, "%lld revisions tested: %lld newly allowed, %lld newly held or denied, %lld held instead of rejected or the other way round",
		(long long)json_get_int(answer, "tested", 0), publishes, unpublishes, changes - publishes - unpublishes);
	if (json_array_size(json_object_get(life, "changes")))
		ctl_say(c, "Its lifecycle rules: %lld newly deprecated or to end sooner, %lld no longer for new users, %lld gone (410) within a day, %lld with more time than before",
			(long long)json_get_int(life, "deprecates", 0), (long long)json_get_int(life, "pins", 0), (long long)json_get_int(life, "ends", 0),
			(long long)json_get_int(life, "eases", 0));
	if (json_get_bool(answer, "asks", false))
		ctl_say(c, "It waits for a person, because %s: it is not put in force before `registryctl policy reload --yes`.", ctl_text(answer, "message"));
}

/* With the day on which it ends, which is what people ask. */
static void add_lifecycle_change(struct table *t, const json_t *ch)
{
	const char *sunset = json_get_str(ch, "sunset_at"), *reason = json_get_str_or(ch, "reason", "");
	char text[600];

	snprintf(text, sizeof(text), "%s%.10s%s%s", sunset ? "ends on " : "", sunset ? sunset : "", sunset && *reason ? ": " : "", reason);
	table_add(t, json_get_str(ch, "repo"));
	table_add(t, json_get_str(ch, "from"));
	table_add(t, json_get_str(ch, "to"));
	table_add(t, text);
}

int cmd_policy_test(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "MODEL", TABLE_FLEX }, { "IS", TABLE_LEFT }, { "WOULD BE", TABLE_LEFT }, { "REASON", TABLE_FLEX },
	};
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	own(buf) struct buf text;
	const json_t *ch;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	buf_init(&text, POLICY_FILE_MAX);
	rc = fdio_slurp(AT_FDCWD, c->args.words[0], &text, e);
	if (rc < 0)
		return rc;
	rc = client_send_text(&c->client, "POST", "/-/v1/policy/test", "application/yaml", text.data, text.len, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	json_array_foreach(json_object_get(answer, "changes"), i, ch) {
		table_add(&t, json_get_str(ch, "repo"));
		table_add(&t, json_get_str(ch, "from"));
		table_add(&t, json_get_str(ch, "to"));
		table_add(&t, json_get_str(ch, "reason"));
	}
	json_array_foreach(json_object_get(json_object_get(answer, "lifecycle"), "changes"), i, ch)
		add_lifecycle_change(&t, ch);
	if (t.n_cells)
		table_print(&t, stdout, c->columns);
	say_effect(c, answer);
	say_warnings(c, answer);
	return 0;
}
