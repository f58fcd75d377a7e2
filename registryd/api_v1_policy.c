/* api_v1_policy.c - the policy in force, what another one would change, and putting the file's in force. */
#include "registryd/api_v1_impl.h"

#include "base/json.h"
#include "catalog/lifecycle.h"
#include "catalog/policy_task.h"
#include "registryd/rules.h"

/* What in it has no effect as things are. */
static int list_idle(struct request *rq, const struct policy *p, json_t *out, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;

	return policy_idle_tasks(db, p, out, e) < 0 || lifecycle_idle_successors(db, p, rq->now, out, e) < 0 ? (int)e->code : 0;
}

int api_v1_policy(struct request *rq, struct err *e)
{
	own(mem) char *text = policy_show(daemon_policy(api_v1_daemon(rq)));
	own(json) json_t *warnings = json_array();
	json_t *j;

	if (list_idle(rq, daemon_policy(api_v1_daemon(rq)), warnings, e) < 0 || !(j = rules_json(api_v1_daemon(rq), e)))
		return e->code;
	json_object_set(j, "warnings", warnings);
	json_object_set_new(j, "policy", json_string(text));
	return http_answer_json(rq, 200, j);
}

static const char *state_after(enum policy_outcome o)
{
	return o == POLICY_PUBLISH ? "published" : o == POLICY_HOLD ? "held" : "rejected";
}

struct changes {
	json_t *gate, *lifecycle;
};

static int add_change(void *arg, const struct policy_changed *ch, struct err *e)
{
	const struct changes *to = arg;

	(void)e;
	if (ch->verdict)
		json_array_append_new(to->gate, json_pack("{s:s, s:s, s:s, s:s, s:s?}", "repo", ch->repo, "revision", ch->commit, "from", revision_state_name(ch->from), "to",
							  state_after(ch->verdict->outcome), "reason", ch->verdict->summary));
	else
		json_array_append_new(to->lifecycle, json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?}", "repo", ch->repo, "revision", ch->commit, "from",
							       lifecycle_reach_name(ch->before->reach), "to", lifecycle_reach_name(ch->after->reach), "sunset_at",
							       json_time(ch->after->sunset_at), "reason", ch->why));
	return 0;
}

int api_v1_policy_test(struct request *rq, struct err *e)
{
	own(policy) struct policy *p = NULL;
	own(json) json_t *gate = json_array(), *lifecycle = json_array(), *warnings = json_array();
	struct policy_effect x;
	struct daemon *d = api_v1_daemon(rq);
	char question[200];

	if (policy_parse(&p, rq->body.data, rq->body.len, "the policy", e) < 0 || list_idle(rq, p, warnings, e) < 0 ||
	    rules_compare(d, p, rq->now, add_change, &(struct changes){ gate, lifecycle }, &x, e) < 0)
		return e->code;
	policy_effect_question(question, sizeof(question), &x);
	return http_answer_json(rq, 200, json_pack("{s:I, s:I, s:I, s:I, s:b, s:s?, s:O, s:O, s:{s:I, s:I, s:I, s:I, s:O}}", "tested", (json_int_t)x.tested, "published",
						   (json_int_t)x.published, "unpublishes", (json_int_t)x.unpublishes, "publishes", (json_int_t)x.publishes, "asks",
						   policy_effect_is_drastic(&x), "message", *question ? question : NULL, "warnings", warnings, "changes", gate, "lifecycle", "deprecates",
						   (json_int_t)x.deprecates, "pins", (json_int_t)x.pins, "ends", (json_int_t)x.ends, "eases", (json_int_t)x.eases,
						   "changes", lifecycle));
}

/* The file is the daemon's own, named in its settings; nothing of it comes with the request. */
int api_v1_policy_reload(struct request *rq, struct err *e)
{
	static const char *const names[] = { "yes", NULL };
	own(json) json_t *body = http_json_object(rq, e);

	if (!body || api_v1_known(body, names, e) < 0)
		return e->code;
	if (json_object_get(body, "yes") && !json_is_boolean(json_object_get(body, "yes")))
		return err_set(e, ERR_USAGE, "\"yes\" must be true or false");
	if (rules_reload(api_v1_daemon(rq), rq->who, json_get_bool(body, "yes", false), e) < 0)
		return e->code;
	return api_v1_policy(rq, e);
}
