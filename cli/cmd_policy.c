/* cmd_policy.c - policy show, check, test: the rules, and what they would do. */
#include <fcntl.h>

#include "base/fdio.h"
#include "cli/job.h"
#include "cli/verb.h"

#define POLICY_FILE_MAX (1u << 20)

int cmd_policy_show(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;
	int rc = client_get(&c->client, "/-/v1/policy", &answer, e);

	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	fputs(json_get_str_or(answer, "policy", ""), stdout);
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

/* Changes that publish, or those that do not. */
static int64_t count_to(const json_t *answer, bool publish)
{
	const json_t *ch;
	int64_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(answer, "changes"), i, ch)
		n += publish == !strcmp(json_get_str_or(ch, "to", ""), "published");
	return n;
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
	if (t.n_cells)
		table_print(&t, stdout, c->columns);
	ctl_say(c, "%lld revisions tested: %lld newly allowed, %lld newly held or denied", (long long)json_get_int(answer, "tested", 0),
		(long long)count_to(answer, true), (long long)count_to(answer, false));
	return 0;
}
