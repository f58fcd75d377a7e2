/* api_hub.c - the Hub's API: which address means what, and its small answers. */
#include "registryd/api_hub.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/token.h"

/* --- the next page ------------------------------------------------------------------------------------------------------------------ */

int api_hub_set_next(struct request *rq, const char *cursor, struct err *e)
{
	own(mem) char *at = str_percent_encode(cursor, "");
	own(buf) struct buf b;

	buf_init(&b, HTTP_URI_MAX);
	buf_printf(&b, "<%s%s?", door_base_url(rq), rq->path);
	for (size_t i = 0; i < rq->n_queries; i++) {
		own(mem) char *key = str_percent_encode(rq->queries[i].key, ""), *value = str_percent_encode(rq->queries[i].value, "");

		if (strcmp(rq->queries[i].key, "cursor"))
			buf_printf(&b, "%s=%s&", key, value);
	}
	buf_printf(&b, "cursor=%s>; rel=\"next\"", at);
	if (buf_failed(&b))	/* without it the page would look like all there is */
		return err_set(e, ERR_USAGE, "there is more than one page of this, and the address of the next would be longer than %d bytes: ask with fewer or shorter parameters",
			       HTTP_URI_MAX);
	http_set(rq, "Link", "%s", b.data);
	return 0;
}

/* --- refs and commits --------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *prefix, *list;
} ref_kinds[] = { { "refs/pr/", "pullRequests" }, { "refs/convert/", "converts" } };

/* A branch or a tag has its short name; anything else the whole one. */
static void add_ref(json_t *out, const struct model_ref *ref)
{
	const char *kind = ref->is_tag ? "tags" : "branches", *prefix = ref->is_tag ? "refs/tags/" : "refs/heads/", *name = ref->name;
	json_t *list;

	for (size_t k = 0; k < ARRAY_LEN(ref_kinds); k++)
		if (str_starts(name, ref_kinds[k].prefix)) {
			kind = ref_kinds[k].list;
			prefix = ref_kinds[k].prefix;
			name += strlen(prefix);
			break;
		}
	list = json_object_get(out, kind);
	if (list)	/* pull requests are listed only when asked for */
		json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "name", name, "ref", json_sprintf("%s%s", prefix, name), "targetCommit", ref->commit));
}

static int refs(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	struct model_ref *list;
	struct door d;
	json_t *out;
	size_t n;
	int rc;

	if (!door_enter(rq, DOOR_FACTS, &d))
		return 0;
	if ((rc = model_refs(app->db, d.m.id, 0, &rq->arena, &list, &n, e)))
		return rc;
	out = json_pack("{s:[], s:[], s:[]}", "branches", "tags", "converts");
	if (http_query_bool(rq, "include_prs", false))
		json_object_set_new(out, "pullRequests", json_array());
	for (size_t i = 0; i < n; i++)
		add_ref(out, &list[i]);
	return http_answer_json(rq, 200, out);
}

static json_t *commit_json(const struct revision *r)
{
	char at[STR_TIME_MAX];

	str_format_iso_ms(at, r->commit_at ? r->commit_at : r->planned_at);
	return json_pack("{s:s, s:s, s:s, s:[], s:s}", "id", r->commit, "title", r->title ? r->title : "", "message", "", "authors", "date", at);
}

/* The commits that are published here, from the one asked for on. Those in between, only upstream has. */
static int commits(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	uint64_t page = 0, limit = 50;
	struct revision *all;
	size_t n, from = 0;
	struct door d;
	json_t *out;
	int rc;

	if (!door_enter(rq, DOOR_FACTS, &d))
		return 0;
	if ((rc = http_query_u64(rq, "p", 0, 1000000, &page, e)) || (rc = http_query_u64(rq, "limit", 1, 1000, &limit, e)) ||
	    (rc = model_revisions(app->db, d.m.id, MODEL_VISIBLE, &rq->arena, &all, &n, e)))
		return rc;
	while (from < n && strcmp(all[from].commit, d.r.commit))
		from++;
	http_set(rq, "X-Total-Count", "%zu", n - from);
	out = json_array();
	for (size_t i = from + (size_t)(page * limit); i < n && i < from + (size_t)((page + 1) * limit); i++)
		json_array_append_new(out, commit_json(&all[i]));
	return http_answer_json(rq, 200, out);
}

/* --- who am I ----------------------------------------------------------------------------------------------------------------------- */

static int whoami(struct request *rq, struct err *e)
{
	(void)e;
	if (rq->role < 0)
		return door_refuse(rq, 401, NULL, "Invalid username or password.");
	return http_answer_json(rq, 200, json_pack("{s:s, s:s, s:s, s:s, s:b, s:[], s:{s:s, s:{s:s, s:s}}}", "type", "user", "id", rq->who, "name", rq->who, "fullname",
						   rq->who, "isPro", 0, "orgs", "auth", "type", "access_token", "accessToken", "displayName", rq->who, "role",
						   rq->role >= TOKEN_PUBLISHER ? "write" : "read"));
}

static int auth_check(struct request *rq, struct err *e)
{
	struct door d;

	(void)e;
	return door_enter(rq, DOOR_BYTES, &d) ? http_answer_json(rq, 200, json_object()) : 0;
}

/* --- what is not here --------------------------------------------------------------------------------------------------------------- */

static int not_offered(struct request *rq, struct err *e)
{
	(void)e;
	return door_refuse(rq, 404, NULL, "this registry does not have this");
}

static int only_models(struct request *rq, struct err *e)
{
	(void)e;
	return door_refuse(rq, 404, "RepoNotFound", "Repository not found: this registry mirrors models only");
}

static int read_only(struct request *rq, struct err *e)
{
	(void)e;
	return door_refuse(rq, 403, NULL, "read-only mirror");
}

#define GET(pattern, function) { "GET", pattern, HTTP_READ, HTTP_CACHED, function, NULL, NULL }
/* May read a listing of 100,000 files: not on an event thread, where downloads would stand still meanwhile. */
#define LONG(pattern, function) { "GET", pattern, HTTP_READ, HTTP_SLOW | HTTP_CACHED, function, NULL, NULL }
#define OPEN(method, pattern, function) { method, pattern, HTTP_OPEN, 0, function, NULL, NULL }

const struct http_route api_hub_routes[] = {
	/* Asked by every client before anything else, without a token: a quick no. */
	OPEN("GET", "/api/agent-harnesses", not_offered),
	OPEN("GET", "/api/telemetry/{path*}", not_offered),
	OPEN("POST", "/api/telemetry/{path*}", not_offered),
	OPEN("GET", "/api/whoami-v2", whoami),

	LONG("/api/models", api_hub_list),
	LONG("/api/models-tags-by-type", api_hub_tags_by_type),
	LONG("/api/models/{repo}/revision/{rev}", api_hub_info),
	LONG("/api/models/{repo}/tree/{rev}", api_hub_tree),
	LONG("/api/models/{repo}/tree/{rev}/{path*}", api_hub_tree),
	LONG("/api/models/{repo}/treesize/{rev}", api_hub_treesize),
	LONG("/api/models/{repo}/treesize/{rev}/{path*}", api_hub_treesize),
	{ "POST", "/api/models/{repo}/paths-info/{rev}", HTTP_READ, HTTP_BODY | HTTP_SLOW, api_hub_paths_info, NULL, NULL },
	GET("/api/models/{repo}/refs", refs),
	GET("/api/models/{repo}/commits/{rev}", commits),
	GET("/api/models/{repo}/auth-check", auth_check),
	GET("/api/models/{repo}/xet-read-token/{rev}", not_offered),
	LONG("/api/models/{repo}", api_hub_info),

	GET("/api/datasets/{path*}", only_models),
	GET("/api/spaces/{path*}", only_models),
	OPEN("GET", "/api/{path*}", not_offered),
	OPEN("POST", "/api/{path*}", read_only),
	OPEN("PUT", "/api/{path*}", read_only),
	OPEN("PATCH", "/api/{path*}", read_only),
	OPEN("DELETE", "/api/{path*}", read_only),

	GET("/datasets/{path*}", only_models),
	GET("/spaces/{path*}", only_models),
	GET("/{repo}/resolve/{rev}/{path*}", api_hub_resolve),
	GET("/{repo}/raw/{rev}/{path*}", api_hub_raw),
	{ 0 },
};
