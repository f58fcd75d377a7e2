/* api_v1_admin.c - the daemon itself: status, events, tokens, mirror entries, webhooks. */
#include "registryd/api_v1_impl.h"

#include "base/str.h"
#include "catalog/event.h"
#include "catalog/hook.h"
#include "catalog/mirror.h"
#include "catalog/token.h"
#include "registryd/hub.h"
#include "registryd/mirror.h"
#include "registryd/rules.h"

#define EVERY_DEFAULT_S (6 * 3600)
#define EVERY_MIN_S 60
#define EVERY_MAX_S (365 * 86400)	/* as in the settings */

static json_t *job_figures(struct db *db, struct err *e)
{
	int64_t counts[JOB_CANCELED + 1] = { 0 };
	json_t *j;

	if (job_counts(db, counts, e) < 0)
		return NULL;
	j = json_object();
	for (int s = JOB_QUEUED; s <= JOB_CANCELED; s++)
		json_object_set_new(j, job_state_name((enum job_state)s), json_integer((json_int_t)counts[s]));
	return j;
}

int api_v1_status(struct request *rq, struct err *e)
{
	struct daemon *d = api_v1_daemon(rq);
	own(json) json_t *jobs = job_figures(d->db, e);
	own(json) json_t *totals = jobs ? query_totals(d->db, e) : NULL;
	own(json) json_t *rules = totals ? rules_json(d, e) : NULL;
	uint64_t free_bytes = 0;

	if (!rules || store_free_bytes(d->store, &free_bytes, e) < 0)
		return e->code;
	return http_answer_json(rq, 200,
				json_pack("{s:s, s:I, s:O, s:{s:I, s:I}, s:O, s:O}", "version", REGISTRYD_VERSION, "uptime_s",
					  (json_int_t)(rq->now - d->started_at), "catalog", totals, "store", "free_bytes", (json_int_t)free_bytes,
					  "catalog_bytes", (json_int_t)db_size_bytes(d->db), "jobs", jobs, "policy", rules));
}

int api_v1_events(struct request *rq, struct err *e)
{
	uint64_t after = 0, limit = 100, tail = 0;
	struct event_head head;
	struct event *events;
	json_t *list;
	size_t n;

	if (http_query_u64(rq, "after", 0, INT64_MAX, &after, e) < 0 || http_query_u64(rq, "limit", 1, API_V1_EVENTS_MAX, &limit, e) < 0 ||
	    http_query_u64(rq, "tail", 1, API_V1_EVENTS_MAX, &tail, e) < 0)
		return e->code;
	if (tail) {
		if (event_head(api_v1_daemon(rq)->db, &head, e) < 0)
			return e->code;
		after = (uint64_t)head.id > tail ? (uint64_t)head.id - tail : 0;
	}
	if (event_list(api_v1_daemon(rq)->db, (int64_t)after, http_query(rq, "repo"), (size_t)limit, &rq->arena, &events, &n, e) < 0)
		return e->code;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, event_json(&events[i]));
	return http_answer_json(rq, 200, json_pack("{s:o}", "events", list));
}

int api_v1_audit(struct request *rq, struct err *e)
{
	struct digest expected = { .algo = DIGEST_NONE };
	struct db *db = api_v1_daemon(rq)->db;
	const char *head = http_query(rq, "head");
	int64_t checked = 0, bad = 0;
	struct err why = ERR_NONE;
	char hex[DIGEST_HEX_MAX];
	struct event_head h;
	int rc;

	if (head && digest_parse_any_case(&expected, DIGEST_SHA256, head, NULL) < 0)
		return err_set(e, ERR_USAGE, "head must be a SHA-256 of 64 hexadecimal digits");
	rc = event_verify(db, &expected, &checked, &bad, &why);
	if (rc < 0 && rc != ERR_MISMATCH) {
		*e = why;
		return rc;
	}
	if (event_head(db, &h, e) < 0)
		return e->code;
	digest_hex(hex, &h.hash);
	return http_answer_json(rq, 200, json_pack("{s:b, s:I, s:o, s:s?, s:I, s:s}", "intact", rc == 0, "checked", (json_int_t)checked, "first_bad",
						   rc == 0 ? json_null() : json_integer((json_int_t)bad), "message", rc == 0 ? NULL : why.msg, "last",
						   (json_int_t)h.id, "head", hex));
}

/* To be noted elsewhere: a tail that is cut off later shows against it. */
int api_v1_audit_head(struct request *rq, struct err *e)
{
	char hex[DIGEST_HEX_MAX];
	struct event_head h;

	if (event_head(api_v1_daemon(rq)->db, &h, e) < 0)
		return e->code;
	digest_hex(hex, &h.hash);
	return http_answer_json(rq, 200, json_pack("{s:I, s:o, s:s}", "last", (json_int_t)h.id, "at", api_v1_time(h.at), "head", hex));
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------------- */

int api_v1_tokens(struct request *rq, struct err *e)
{
	struct token *tokens;
	json_t *list;
	size_t n;

	if (token_list(api_v1_daemon(rq)->db, &rq->arena, &tokens, &n, e) < 0)
		return e->code;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, token_json(&tokens[i]));
	return http_answer_json(rq, 200, json_pack("{s:o}", "tokens", list));
}

/* Seconds from now; absent or null: never, 0. */
static int read_expiry(const json_t *body, int64_t *out, struct err *e)
{
	const json_t *v = json_object_get(body, "expires_in_s");

	*out = 0;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > INT32_MAX)
		return err_set(e, ERR_USAGE, "\"expires_in_s\" must be a number from 1 to %d; without it the token never ends", INT32_MAX);
	*out = json_integer_value(v);
	return 0;
}

int api_v1_token_create(struct request *rq, struct err *e)
{
	static const char *const names[] = { "name", "role", "expires_in_s", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	enum token_role role = TOKEN_READER;
	const char *name, *role_name;
	int64_t expires_in;
	char text[TOKEN_MAX];

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "name", &name, e) < 0 || api_v1_text(body, "role", &role_name, e) < 0)
		return e->code;
	if (!name)
		return err_set(e, ERR_USAGE, "\"name\" is missing");
	if ((role_name && token_role_parse(&role, role_name, e) < 0) || read_expiry(body, &expires_in, e) < 0)
		return e->code;
	if (token_create(api_v1_daemon(rq)->db, name, role, expires_in ? rq->now + expires_in : 0, rq->now, text, e) < 0)
		return e->code;
	return http_answer_json(rq, 201, json_pack("{s:s, s:s, s:s, s:o}", "token", text, "name", name, "role", token_role_name(role), "expires_at",
						   api_v1_time(expires_in ? rq->now + expires_in : 0)));
}

int api_v1_token_revoke(struct request *rq, struct err *e)
{
	const char *name = http_param(rq, "name");

	if (token_revoke(api_v1_daemon(rq)->db, name, rq->now, e) < 0)
		return e->code;
	return http_answer_json(rq, 200, json_pack("{s:s, s:b}", "name", name, "revoked", 1));
}

/* --- mirror entries ------------------------------------------------------------------------------------------------------------------ */

int api_v1_mirrors(struct request *rq, struct err *e)
{
	struct mirror *m;
	json_t *list;
	size_t n;

	if (mirror_list(api_v1_daemon(rq)->db, &rq->arena, &m, &n, e) < 0)
		return e->code;
	for (size_t i = 0; i < n; i++)
		if (mirror_said(api_v1_daemon(rq)->db, &m[i], &rq->arena, e) < 0)
			return e->code;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, mirror_json(&m[i]));
	return http_answer_json(rq, 200, json_pack("{s:o}", "mirrors", list));
}

/* Exactly one of repo, author and query names what is kept. A query's target is kept as the parameters of the Hub's listing. */
static int read_target(struct request *rq, const json_t *body, struct mirror *m, struct err *e)
{
	const char *repo, *author, *query;

	if (api_v1_text(body, "repo", &repo, e) < 0 || api_v1_text(body, "author", &author, e) < 0 || api_v1_text(body, "query", &query, e) < 0)
		return e->code;
	if (!repo + !author + !query != 2)
		return err_set(e, ERR_USAGE, "exactly one of \"repo\", \"author\" and \"query\" must be given");
	if ((repo && hub_check_repo(repo, e)) || (author && hub_check_author(author, e)))
		return e->code;
	m->kind = repo ? MIRROR_REPO : author ? MIRROR_AUTHOR : MIRROR_QUERY;
	m->target = m->name = repo ? repo : author ? author : query;
	if (query) {
		own(json) json_t *parameters = json_pack("{s:s}", "search", query);
		own(mem) char *text = json_text(parameters);

		m->target = arena_strdup(&rq->arena, text);
	}
	return 0;
}

/* What a round would stumble over later is refused now. What is not given stays as it is in `options` and m. */
static int read_options(const json_t *body, struct mirror *m, json_t *options, struct err *e)
{
	const json_t *every = json_object_get(body, "every_s"), *only = json_object_get(body, "metadata_only");

	if (every)
		m->every_s = json_is_null(every) ? EVERY_DEFAULT_S : json_integer_value(every);
	if (m->every_s < EVERY_MIN_S || m->every_s > EVERY_MAX_S)
		return err_set(e, ERR_USAGE, "\"every_s\" must be a number from %d to %d", EVERY_MIN_S, EVERY_MAX_S);
	if (only && !json_is_boolean(only) && !json_is_null(only))
		return err_set(e, ERR_USAGE, "\"metadata_only\" must be true or false");
	if (json_is_true(only))
		json_object_set_new(options, "metadata_only", json_true());
	else if (only)
		json_object_del(options, "metadata_only");
	return api_v1_globs(body, "include", options, e) < 0 || api_v1_globs(body, "exclude", options, e) < 0 ? (int)e->code : 0;
}

/* The entry that is there by m's name, or one with every default. Whoever adds it again changes what he gives. */
static int read_known(struct request *rq, const struct mirror *m, struct mirror *was, struct err *e)
{
	int rc = mirror_find(api_v1_daemon(rq)->db, m->name, &rq->arena, was, e);

	if (rc != ERR_NOT_FOUND)
		return rc;
	*e = (struct err)ERR_NONE;
	*was = (struct mirror){ .revision = "main", .options = "{}", .every_s = EVERY_DEFAULT_S };
	return 0;
}

/* Another branch of a repository is another entry. */
static int read_entry(struct request *rq, const json_t *body, struct mirror *m, struct err *e)
{
	const struct config_upstream *up;
	struct mirror was;

	if (read_target(rq, body, m, e) < 0 || api_v1_text(body, "revision", &m->revision, e) < 0 || api_v1_text(body, "upstream", &m->upstream, e) < 0)
		return e->code;
	if (m->revision && strlen(m->revision) > MODEL_REF_MAX)
		return err_set(e, ERR_USAGE, "\"revision\" is longer than %d bytes", MODEL_REF_MAX);
	if (m->kind == MIRROR_REPO && m->revision && strcmp(m->revision, "main"))
		m->name = arena_printf(&rq->arena, "%s@%s", m->target, m->revision);
	if (read_known(rq, m, &was, e) < 0)
		return e->code;
	m->revision = m->revision ? m->revision : was.revision;
	m->upstream = m->upstream ? m->upstream : was.upstream;
	up = config_find_upstream(daemon_config(api_v1_daemon(rq)), m->upstream);
	if (!up)
		return err_set(e, ERR_USAGE, "no upstream named '%.80s' is configured", m->upstream ? m->upstream : "");
	m->upstream = up->name;
	m->options = was.options;
	m->every_s = was.every_s;
	return 0;
}

int api_v1_mirror_add(struct request *rq, struct err *e)
{
	static const char *const names[] = { "repo", "author", "query", "revision", "upstream", "include", "exclude", "every_s", "metadata_only", NULL };
	own(json) json_t *body = http_json_object(rq, e), *options = NULL;
	own(mem) char *text = NULL;
	struct mirror m = { 0 };
	int64_t id;

	if (!body || api_v1_known(body, names, e) < 0 || read_entry(rq, body, &m, e) < 0 ||
	    !(options = json_parse(m.options, strlen(m.options), "the entry's options", e)) || read_options(body, &m, options, e) < 0)
		return e->code;
	text = json_text(options);
	m.options = text;
	if (mirror_put(api_v1_daemon(rq)->db, &m, rq->now, &id, e) < 0 || mirror_find(api_v1_daemon(rq)->db, m.name, &rq->arena, &m, e) < 0)
		return e->code;
	return http_answer_json(rq, 201, mirror_json(&m));
}

int api_v1_mirror_remove(struct request *rq, struct err *e)
{
	const char *name = http_param(rq, "name");

	if (mirror_remove(api_v1_daemon(rq)->db, name, e) < 0)
		return e->code;
	return http_answer_json(rq, 200, json_pack("{s:s, s:b}", "name", name, "removed", 1));
}

int api_v1_mirror_run(struct request *rq, struct err *e)
{
	static const char *const names[] = { "name", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	const char *name;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "name", &name, e) < 0 ||
	    mirror_run_now(api_v1_daemon(rq)->db, name, e) < 0)
		return e->code;
	return http_answer_json(rq, 202, json_pack("{s:s?}", "name", name));
}

/* --- webhooks ------------------------------------------------------------------------------------------------------------------------ */

int api_v1_webhooks(struct request *rq, struct err *e)
{
	uint64_t limit = 100;
	json_t *list;

	if (http_query_u64(rq, "limit", 1, HOOK_HISTORY_MAX, &limit, e) < 0)
		return e->code;
	list = hook_history(api_v1_daemon(rq)->db, http_query(rq, "url"), (size_t)limit, e);
	return list ? http_answer_json(rq, 200, json_pack("{s:o}", "deliveries", list)) : (int)e->code;
}
