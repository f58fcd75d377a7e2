/* api_v1_lifecycle.c - orders about a model's end, and what ends when. */
#include "registryd/api_v1_impl.h"

#include "base/str.h"
#include "catalog/lifecycle.h"
#include "catalog/usage.h"
#include "registryd/bases.h"
#include "registryd/bill.h"
#include "registryd/derive.h"

enum order {
	ORDER_DEPRECATE,
	ORDER_UNDEPRECATE,
	ORDER_RETIRE,
	ORDER_RESTORE,
	ORDER_WITHDRAW,
};

static int read_flag(const json_t *body, const char *key, bool *out, struct err *e)
{
	const json_t *v = json_object_get(body, key);

	if (v && !json_is_boolean(v) && !json_is_null(v))
		return err_set(e, ERR_USAGE, "\"%s\" must be true or false", key);
	*out = json_is_true(v);
	return 0;
}

/* The request's members into o. Without a revision the order is about the whole model. Text stays body's. */
static int read_order(struct request *rq, const json_t *body, struct lifecycle_order *o, struct model *m, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	const char *rev, *sunset;
	struct revision r;

	*o = (struct lifecycle_order){ .who = rq->who };
	if (api_v1_text(body, "revision", &rev, e) < 0 || api_v1_reason(body, &o->reason, e) < 0 ||
	    api_v1_text(body, "successor", &o->successor, e) < 0 || api_v1_text(body, "sunset", &sunset, e) < 0 ||
	    read_flag(body, "force", &o->force, e) < 0 || read_flag(body, "legal", &o->legal, e) < 0)
		return e->code;
	if (json_is_string(json_object_get(body, "successor")) && !o->successor)
		return err_set(e, ERR_USAGE, "a successor needs a name: ORG/NAME");
	if (sunset && str_parse_time(sunset, &o->sunset_at, e) < 0)
		return err_wrap(e, "sunset");
	if (rev) {
		if (api_v1_find(rq, rev, m, &r, e) < 0)
			return e->code;
		o->revision_id = r.id;
	} else if (model_find_repo(db, http_param(rq, "repo"), &rq->arena, m, e) < 0) {
		return e->code;
	}
	o->model_id = m->id;
	return 0;
}

static json_t *not_served_json(const char *commit, enum revision_state state, const char *reason)
{
	return json_pack("{s:s, s:s, s:s?}", "revision", commit, "state", revision_state_name(state), "reason", reason);
}

/* What did not come back with the mark that is gone, for the answer. */
static int restore(struct request *rq, const struct lifecycle_order *o, json_t *not_served, struct err *e)
{
	struct daemon *d = api_v1_daemon(rq);
	struct lifecycle_restored *list;
	const char *before = bases_standing(d->db, o->model_id, &rq->arena);
	size_t n;
	int rc = lifecycle_restore(d->db, o, daemon_policy(d), rq->now, &rq->arena, &list, &n, e);

	if (!rc)
		rc = derive_queue(d->db, o->model_id, before, &rq->arena, e);
	for (size_t i = 0; !rc && i < n; i++) {
		if (list[i].state == REVISION_PUBLISHED)
			bill_note(d, list[i].revision_id);
		else
			json_array_append_new(not_served, not_served_json(list[i].commit, list[i].state, list[i].reason));
	}
	return rc;
}

static int carry_out(struct request *rq, enum order what, const struct lifecycle_order *o, json_t *not_served, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	struct policy_lifecycle rules;

	switch (what) {
	case ORDER_DEPRECATE:
		policy_lifecycle(daemon_policy(api_v1_daemon(rq)), &rules);
		return lifecycle_deprecate(db, o, &rules, rq->now, e);
	case ORDER_UNDEPRECATE:
		return lifecycle_undeprecate(db, o, rq->now, e);
	case ORDER_RETIRE:
		return lifecycle_retire(db, o, rq->now, e);
	case ORDER_RESTORE:
		return restore(rq, o, not_served, e);
	case ORDER_WITHDRAW:
		return lifecycle_withdraw(db, o, rq->now, e);
	}
	return err_set(e, ERR_FAILED, "an order that is none");
}

/* The revision that an order is about, or what the model shows, or else its newest. ERR_NOT_FOUND: it has none. */
static int find_meant(struct request *rq, const struct lifecycle_order *o, struct revision *r, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	const char *repo = http_param(rq, "repo");
	struct model m;
	int rc;

	if (o->revision_id)
		return model_revision(db, o->revision_id, &rq->arena, &m, r, e);
	rc = model_find(db, repo, NULL, MODEL_VISIBLE, &rq->arena, &m, r, NULL, e);
	return rc == ERR_NOT_FOUND ? model_find(db, repo, NULL, MODEL_ANY, &rq->arena, &m, r, NULL, e) : rc;
}

/* Somebody takes a model off and means what is in it, under whatever name. */
static int add_also_served(struct request *rq, const struct lifecycle_order *o, json_t *answer, struct err *e)
{
	struct model_elsewhere *list;
	json_t *also;
	size_t n;
	int rc = model_served_elsewhere(api_v1_daemon(rq)->db, o->model_id, o->revision_id, &rq->arena, &list, &n, e);

	if (rc || !n)
		return rc;
	also = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(also, json_pack("{s:s, s:s, s:s}", "repo", list[i].repo, "revision", list[i].commit, "because", list[i].because));
	json_object_set_new(answer, "also_served", also);
	return 0;
}

/* Others send people here; they no longer do from now on. */
static int add_named_by(struct request *rq, const struct lifecycle_order *o, json_t *answer, struct err *e)
{
	own(json) json_t *list = json_array();
	int rc = lifecycle_named_by(api_v1_daemon(rq)->db, o->model_id, daemon_policy(api_v1_daemon(rq)), rq->now, list, e);

	if (!rc && json_array_size(list))
		json_object_set(answer, "named_by", list);
	return rc;
}

/* What holds now, of all marks together: an order about the model may leave one on what it shows. */
static int answer_order(struct request *rq, enum order what, const struct lifecycle_order *o, const struct model *m, json_t *not_served, struct err *e)
{
	struct revision r = { 0 };
	struct lifecycle l;
	json_t *j;
	int rc = find_meant(rq, o, &r, e);

	if (rc && rc != ERR_NOT_FOUND)
		return rc;
	if (lifecycle_at(api_v1_daemon(rq)->db, o->model_id, r.id, daemon_policy(api_v1_daemon(rq)), rq->now, &rq->arena, &l, e) < 0)
		return e->code;
	if (what == ORDER_RESTORE && r.id && r.state != REVISION_PUBLISHED && !json_array_size(not_served))
		json_array_append_new(not_served, not_served_json(r.commit, r.state, r.reason));
	j = lifecycle_json(&l);
	json_object_set_new(j, "repo", json_string(m->name));
	if (json_array_size(not_served))
		json_object_set(j, "not_served", not_served);
	if ((what == ORDER_WITHDRAW && add_also_served(rq, o, j, e) < 0) || ((what == ORDER_WITHDRAW || what == ORDER_RETIRE) && add_named_by(rq, o, j, e) < 0)) {
		json_decref(j);
		return e->code;
	}
	return http_answer_json(rq, 200, j);
}

static int order(struct request *rq, enum order what, const char *const *names, struct err *e)
{
	own(json) json_t *body = http_json_object(rq, e), *not_served = json_array();
	struct lifecycle_order o;
	struct model m;

	if (!body || api_v1_known(body, names, e) < 0 || read_order(rq, body, &o, &m, e) < 0 || carry_out(rq, what, &o, not_served, e) < 0)
		return e->code;
	return answer_order(rq, what, &o, &m, not_served, e);
}

int api_v1_deprecate(struct request *rq, struct err *e)
{
	static const char *const names[] = { "revision", "reason", "sunset", "successor", "force", NULL };

	return order(rq, ORDER_DEPRECATE, names, e);
}

static const char *const plain_names[] = { "revision", "reason", NULL };

int api_v1_undeprecate(struct request *rq, struct err *e)
{
	return order(rq, ORDER_UNDEPRECATE, plain_names, e);
}

int api_v1_retire(struct request *rq, struct err *e)
{
	return order(rq, ORDER_RETIRE, plain_names, e);
}

int api_v1_restore(struct request *rq, struct err *e)
{
	return order(rq, ORDER_RESTORE, plain_names, e);
}

int api_v1_withdraw(struct request *rq, struct err *e)
{
	static const char *const names[] = { "revision", "reason", "legal", NULL };

	return order(rq, ORDER_WITHDRAW, names, e);
}

int api_v1_lifecycle(struct request *rq, struct err *e)
{
	const char *format = http_query(rq, "format");
	bool all = !http_query(rq, "within");	/* everything that is deprecated, whenever it ends */
	uint64_t within = 0;
	json_t *list;

	if (format && strcmp(format, "ics") != 0 && strcmp(format, "json") != 0)
		return err_set(e, ERR_USAGE, "format must be json or ics");
	if (format && !strcmp(format, "ics")) {
		own(mem) char *ics = lifecycle_ics(api_v1_daemon(rq)->db, daemon_policy(api_v1_daemon(rq)), rq->now, e);

		return ics ? http_answer_text(rq, 200, "text/calendar; charset=utf-8", ics) : (int)e->code;
	}
	if (http_query_u64(rq, "within", 0, (uint64_t)INT32_MAX * 10, &within, e) < 0)
		return e->code;
	if (usage_flush(api_v1_daemon(rq)->db, e) < 0)	/* counters still in memory belong to the answer */
		return e->code;
	list = lifecycle_list(api_v1_daemon(rq)->db, daemon_policy(api_v1_daemon(rq)), all ? 0 : rq->now + (int64_t)within, rq->now, e);
	return list ? http_answer_json(rq, 200, json_pack("{s:o}", "lifecycle", list)) : (int)e->code;
}
