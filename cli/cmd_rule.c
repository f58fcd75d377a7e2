/* cmd_rule.c - publish and reject: a person's decision about a revision. */
#include "cli/verb.h"

static int rule(struct ctl *c, const char *tail, struct err *e)
{
	own(json) json_t *body = json_pack("{s:s*}", "reason", args_text(&c->args, "reason"));
	own(json) json_t *answer = NULL;
	own(buf) struct buf path;
	struct ctl_model m;
	int rc;

	buf_init(&path, CLIENT_PATH_MAX);
	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	if (m.rev)
		json_object_set_new(body, "revision", json_string(m.rev));
	buf_puts(&path, "/-/v1/models/");
	client_path_add(&path, m.repo);
	buf_puts(&path, tail);
	rc = client_call(&c->client, "POST", path.data, body, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	ctl_say(c, "%s@%s is %s", ctl_text(answer, "repo"), ctl_text(answer, "revision"), ctl_text(answer, "state"));
	return 0;
}

int cmd_publish(struct ctl *c, struct err *e)
{
	return rule(c, "/-/publish", e);
}

int cmd_reject(struct ctl *c, struct err *e)
{
	return rule(c, "/-/reject", e);
}
