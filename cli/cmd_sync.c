/* cmd_sync.c - sync REPO[@REV]: start the daemon's job, follow it, and tell what became of the revision. */
#include "cli/job.h"
#include "cli/text.h"
#include "cli/verb.h"

static json_t *list_of(const struct args *a, const char *name)
{
	json_t *list = json_array();
	const char *s;

	for (size_t i = 0; (s = args_nth(a, name, i)); i++)
		json_array_append_new(list, json_string(s));
	return list;
}

static json_t *request(const struct ctl *c, const struct ctl_model *m)
{
	json_t *body = json_pack("{s:s, s:s*, s:s*}", "repo", m->repo, "revision", m->rev, "upstream", args_text(&c->args, "upstream"));

	if (args_has(&c->args, "include"))
		json_object_set_new(body, "include", list_of(&c->args, "include"));
	if (args_has(&c->args, "exclude"))
		json_object_set_new(body, "exclude", list_of(&c->args, "exclude"));
	return body;
}

static void print_plan(const struct ctl *c, const json_t *plan)
{
	static const struct table_column columns[] = { { "FILE", TABLE_FLEX }, { "SIZE", TABLE_RIGHT }, { "ACTION", TABLE_LEFT } };
	own(table) struct table t;
	const json_t *f;
	size_t i;

	table_init(&t, columns, ARRAY_LEN(columns));
	json_array_foreach(json_object_get(plan, "files"), i, f) {
		const char *skip = json_get_str(f, "skip_reason");

		table_add(&t, json_get_str(f, "path"));
		table_add_size(&t, json_get_int(f, "size_bytes", -1));
		table_add(&t, skip ? skip : json_get_bool(f, "stored", false) ? "already here" : "to fetch");
	}
	ctl_print_table(c, &t, "no files");
}

static int dry_run(struct ctl *c, const json_t *body, struct err *e)
{
	char fetch[TEXT_SHORT_MAX], total[TEXT_SHORT_MAX];
	own(json) json_t *job = NULL;
	const json_t *plan, *gate, *r;
	size_t i;
	int rc;

	rc = job_start(c, "/-/v1/plans", body, &job, e);
	if (rc < 0 || !job)
		return rc;
	rc = job_outcome(job, e);
	if (rc < 0)
		return rc;
	plan = json_object_get(job, "result");
	if (c->json)
		return ctl_print_json(plan, e);
	gate = json_object_get(plan, "gate");
	text_size(fetch, json_get_int(plan, "fetch_bytes", -1));
	text_size(total, json_get_int(plan, "size_bytes", -1));
	printf("%s@%s: %s to fetch of %s, licence %s\n", ctl_text(plan, "repo"), ctl_text(plan, "revision"), fetch, total, ctl_text(plan, "license"));
	print_plan(c, plan);
	printf("the gate would %s it\n", ctl_text(gate, "outcome"));
	json_array_foreach(json_object_get(gate, "reasons"), i, r)
		printf("  %s: %s\n", ctl_text(r, "rule"), ctl_text(r, "reason"));
	return 0;
}

int cmd_sync(struct ctl *c, struct err *e)
{
	own(json) json_t *body = NULL, *job = NULL;
	struct ctl_model m;
	int rc;

	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	body = request(c, &m);
	if (args_has(&c->args, "dry-run"))
		return dry_run(c, body, e);
	rc = job_start(c, "/-/v1/sync", body, &job, e);
	return rc < 0 || !job ? rc : job_verdict(c, job, e);
}
