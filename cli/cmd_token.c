/* cmd_token.c - token create, list, revoke. */
#include "cli/verb.h"

int cmd_token_create(struct ctl *c, struct err *e)
{
	own(json) json_t *body = json_pack("{s:s, s:s*}", "name", c->args.words[0], "role", args_text(&c->args, "role"));
	own(json) json_t *answer = NULL;
	uint64_t expires = args_number(&c->args, "expires", 0);
	int rc;

	if (args_has(&c->args, "expires") && expires == 0)
		return err_set(e, ERR_USAGE, "--expires %s would be over at once; without --expires a token never ends", args_text(&c->args, "expires"));
	if (expires)
		json_object_set_new(body, "expires_in_s", json_integer((json_int_t)expires));
	rc = client_call(&c->client, "POST", "/-/v1/tokens", body, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	/* The token alone on stdout, so that it can go straight into a file. */
	printf("%s\n", ctl_text(answer, "token"));
	if (!c->quiet)
		fprintf(stderr, "token %s (%s) is shown this once; it expires: %s\n", ctl_text(answer, "name"), ctl_text(answer, "role"),
			json_get_str(answer, "expires_at") ? ctl_when(answer, "expires_at") : "never");
	return 0;
}

int cmd_token_list(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "NAME", TABLE_FLEX }, { "ROLE", TABLE_LEFT }, { "CREATED", TABLE_LEFT }, { "EXPIRES", TABLE_LEFT }, { "LAST USED", TABLE_LEFT }, { "REVOKED", TABLE_LEFT },
	};
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	const json_t *k;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	rc = client_get(&c->client, "/-/v1/tokens", &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(json_object_get(answer, "tokens"), e);
	json_array_foreach(json_object_get(answer, "tokens"), i, k) {
		table_add(&t, json_get_str(k, "name"));
		table_add(&t, json_get_str(k, "role"));
		table_add(&t, ctl_when(k, "created_at"));
		table_add(&t, ctl_when(k, "expires_at"));
		table_add(&t, ctl_when(k, "last_used_at"));
		table_add(&t, ctl_when(k, "revoked_at"));
	}
	ctl_print_table(c, &t, "no tokens");
	return 0;
}

int cmd_token_revoke(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;

	if (ctl_delete(c, "/-/v1/tokens/", c->args.words[0], &answer, e) < 0)
		return e->code;
	if (c->json)
		return ctl_print_json(answer, e);
	ctl_say(c, "token %s no longer works", ctl_text(answer, "name"));
	return 0;
}
