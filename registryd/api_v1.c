/* api_v1.c - the routes of /-/v1, and what their handlers share. */
#include "registryd/api_v1_impl.h"

#include "base/embed.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"

int api_v1_text(const json_t *body, const char *key, const char **out, struct err *e)
{
	const json_t *v = json_object_get(body, key);

	*out = NULL;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return err_set(e, ERR_USAGE, "\"%s\" must be text", key);
	if (json_string_length(v) > API_V1_TEXT_MAX || strlen(json_string_value(v)) != json_string_length(v))
		return err_set(e, ERR_USAGE, "\"%s\" is longer than %d bytes, or holds a NUL", key, API_V1_TEXT_MAX);
	if (json_string_length(v))
		*out = json_string_value(v);
	return 0;
}

int api_v1_reason(const json_t *body, const char **out, struct err *e)
{
	int rc = api_v1_text(body, "reason", out, e);

	if (*out && !str_has_word(*out))
		*out = NULL;
	return rc;
}

int api_v1_known(const json_t *body, const char *const *names, struct err *e)
{
	const char *key, *near;
	json_t *value;
	size_t n = 0;

	while (names[n])
		n++;
	json_object_foreach((json_t *)body, key, value) {
		bool known = false;

		for (size_t i = 0; i < n; i++)
			known |= !strcmp(names[i], key);
		if (known)
			continue;
		near = str_nearest(key, names, n);
		return err_set(e, ERR_USAGE, "unknown member \"%.80s\" in the request%s%s%s", key, near ? "; did you mean \"" : "", near ? near : "",
			       near ? "\"?" : "");
	}
	return 0;
}

int api_v1_find(struct request *rq, const char *rev, struct model *m, struct revision *r, struct err *e)
{
	return model_find(api_v1_daemon(rq)->db, http_param(rq, "repo"), rev, MODEL_ANY, &rq->arena, m, r, NULL, e);
}

int api_v1_find_published(struct request *rq, const char *rev, struct model *m, struct revision *r, struct err *e)
{
	int rc = model_find(api_v1_daemon(rq)->db, http_param(rq, "repo"), rev, MODEL_VISIBLE, &rq->arena, m, r, NULL, e);

	if (rc != ERR_NOT_FOUND || api_v1_find(rq, rev, m, r, NULL) < 0)
		return rc;
	return err_set(e, ERR_REFUSED, "%s@%.12s is %s and not published%s%s", m->name, r->commit, revision_state_name(r->state), r->reason ? ": " : "", r->reason ? r->reason : "");
}

int api_v1_answer_state(struct request *rq, int64_t revision_id, struct err *e)
{
	struct revision r;
	struct model m;

	if (model_revision(api_v1_daemon(rq)->db, revision_id, &rq->arena, &m, &r, e) < 0)
		return e->code;
	return http_answer_json(rq, 200, json_pack("{s:s, s:s, s:s, s:s?}", "repo", m.name, "revision", r.commit, "state",
						   revision_state_name(r.state), "reason", r.reason));
}

int api_v1_enqueue(struct request *rq, const char *kind, const char *repo, const char *revision, json_t *args, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	own(mem) char *text = json_text(args);
	struct job_new j = { .kind = kind, .repo = repo, .revision = revision, .args = text, .who = rq->who };
	struct job job;
	bool existed;
	int64_t id;

	json_decref(args);
	if (job_enqueue(db, &j, rq->now, &id, &existed, e) < 0)
		return e->code;
	if (job_get(db, id, &rq->arena, &job, e) < 0)
		return e->code;
	return http_answer_json(rq, 202, json_pack("{s:o, s:b}", "job", job_json(&job), "existed", existed));
}

json_t *api_v1_time(int64_t at)
{
	char text[STR_TIME_MAX];

	if (!at)
		return json_null();
	str_format_iso(text, at);
	return json_string(text);
}

/* --- the description ---------------------------------------------------------------------------------------------------------------- */

/* The YAML reader gives text for every scalar; a description needs its booleans and numbers back. */
static json_t *typed(const json_t *j)
{
	const char *s = json_string_value(j), *key;
	json_t *out, *v;
	uint64_t n;
	size_t i;

	if (json_is_object(j)) {
		out = json_object();
		json_object_foreach((json_t *)j, key, v)
			json_object_set_new(out, key, typed(v));
		return out;
	}
	if (json_is_array(j)) {
		out = json_array();
		json_array_foreach(j, i, v)
			json_array_append_new(out, typed(v));
		return out;
	}
	if (s && (!strcmp(s, "true") || !strcmp(s, "false")))
		return json_boolean(s[0] == 't');
	if (s && str_parse_u64(s, &n, NULL) == 0 && n < INT64_MAX)
		return json_integer((json_int_t)n);
	return json_deep_copy(j);
}

json_t *api_v1_openapi(const char *yaml, size_t n, struct err *e)
{
	own(json) json_t *j = yaml_parse(yaml, n, YAML_STRICT, "openapi.yaml", e);

	return j ? typed(j) : NULL;
}

static int openapi(struct request *rq, struct err *e)
{
	for (const struct embedded *f = page_assets; f->name; f++) {
		json_t *j;

		if (strcmp(f->name, "openapi.yaml") != 0)
			continue;
		j = api_v1_openapi(f->data, f->size_bytes, e);
		return j ? http_answer_json(rq, 200, j) : (int)e->code;
	}
	return err_set(e, ERR_FAILED, "this build holds no openapi.yaml");
}

/* --- the table ---------------------------------------------------------------------------------------------------------------------- */

#define M "/-/v1/models/{repo}"

/* Rows of one repository's parts stand before the row of the repository itself. */
const struct http_route api_v1_routes[] = {
	{ "GET", "/-/openapi.json", HTTP_OPEN, 0, openapi, NULL, NULL },
	{ "GET", "/-/v1/status", HTTP_READ, 0, api_v1_status, NULL, NULL },

	{ "GET", "/-/v1/models", HTTP_READ, HTTP_SLOW, api_v1_list, NULL, NULL },
	{ "GET", "/-/v1/facets", HTTP_READ, HTTP_SLOW, api_v1_facets, NULL, NULL },
	{ "GET", M "/-/decisions", HTTP_READ, 0, api_v1_decisions, NULL, NULL },
	{ "GET", M "/-/usage", HTTP_READ, HTTP_SLOW, api_v1_usage, NULL, NULL },
	{ "GET", M "/-/sbom", HTTP_READ, HTTP_SLOW, api_v1_sbom, NULL, NULL },
	{ "GET", M "/-/sboms", HTTP_READ, HTTP_SLOW, api_v1_sboms, NULL, NULL },
	{ "GET", M "/-/attestation", HTTP_READ, HTTP_SLOW, api_v1_attestation, NULL, NULL },
	{ "GET", M "/-/bundle", HTTP_PUBLISH, HTTP_SLOW, api_v1_bundle_entry, NULL, NULL },
	{ "POST", M "/-/publish", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_publish, NULL, NULL },
	{ "POST", M "/-/reject", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_reject, NULL, NULL },
	{ "POST", M "/-/verify", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_verify, NULL, NULL },
	{ "POST", M "/-/smoke", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_smoke, NULL, NULL },
	{ "POST", M "/-/deprecate", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_deprecate, NULL, NULL },
	{ "POST", M "/-/undeprecate", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_undeprecate, NULL, NULL },
	{ "POST", M "/-/retire", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_retire, NULL, NULL },
	{ "POST", M "/-/restore", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_restore, NULL, NULL },
	{ "POST", M "/-/withdraw", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_withdraw, NULL, NULL },
	{ "GET", M, HTTP_READ, HTTP_SLOW, api_v1_show, NULL, NULL },
	{ "GET", "/-/v1/licenses", HTTP_READ, HTTP_SLOW, api_v1_licenses, NULL, NULL },
	{ "GET", "/-/v1/lifecycle", HTTP_READ, HTTP_SLOW, api_v1_lifecycle, NULL, NULL },

	{ "POST", "/-/v1/sync", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_sync, NULL, NULL },
	{ "POST", "/-/v1/plans", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_plan, NULL, NULL },
	{ "POST", "/-/v1/verify", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_verify_all, NULL, NULL },
	{ "POST", "/-/v1/smoke", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_smoke_all, NULL, NULL },
	{ "POST", "/-/v1/gc", HTTP_ADMIN, HTTP_BODY | HTTP_SLOW, api_v1_gc, NULL, NULL },
	{ "POST", "/-/v1/rebuild", HTTP_ADMIN, HTTP_SLOW, api_v1_rebuild, NULL, NULL },
	{ "GET", "/-/v1/jobs", HTTP_READ, 0, api_v1_jobs, NULL, NULL },
	{ "GET", "/-/v1/jobs/{id}", HTTP_READ, HTTP_SLOW, api_v1_job, NULL, NULL },
	{ "POST", "/-/v1/jobs/{id}/cancel", HTTP_PUBLISH, HTTP_SLOW, api_v1_job_cancel, NULL, NULL },

	{ "POST", "/-/v1/imports", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_import_begin, NULL, NULL },
	{ "PUT", "/-/v1/imports/{id}/files/{path*}", HTTP_PUBLISH, HTTP_STREAM, api_v1_import_file, api_v1_import_file_begin, api_v1_import_file_data },
	{ "POST", "/-/v1/imports/{id}/commit", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_import_commit, NULL, NULL },

	{ "GET", "/-/v1/blobs", HTTP_PUBLISH, HTTP_SLOW, api_v1_blobs, NULL, NULL },
	{ "POST", "/-/v1/blobs/missing", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_blobs_missing, NULL, NULL },
	{ "GET", "/-/v1/blobs/{sha256}", HTTP_PUBLISH, 0, api_v1_blob, NULL, NULL },
	{ "PUT", "/-/v1/blobs/{sha256}", HTTP_PUBLISH, HTTP_STREAM, api_v1_blob_put, api_v1_blob_put_begin, api_v1_blob_put_data },
	{ "POST", "/-/v1/bundles", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_bundle, NULL, NULL },
	{ "POST", "/-/v1/bundles/sign", HTTP_ADMIN, HTTP_BODY | HTTP_SLOW, api_v1_bundle_sign, NULL, NULL },

	{ "GET", "/-/v1/events", HTTP_READ, 0, api_v1_events, NULL, NULL },
	{ "GET", "/-/v1/audit", HTTP_READ, HTTP_SLOW, api_v1_audit, NULL, NULL },
	{ "GET", "/-/v1/audit/head", HTTP_READ, 0, api_v1_audit_head, NULL, NULL },
	{ "GET", "/-/v1/tokens", HTTP_ADMIN, 0, api_v1_tokens, NULL, NULL },
	{ "POST", "/-/v1/tokens", HTTP_ADMIN, HTTP_BODY | HTTP_SLOW, api_v1_token_create, NULL, NULL },
	{ "DELETE", "/-/v1/tokens/{name}", HTTP_ADMIN, HTTP_SLOW, api_v1_token_revoke, NULL, NULL },
	{ "GET", "/-/v1/keys", HTTP_READ, HTTP_SLOW, api_v1_keys, NULL, NULL },
	{ "POST", "/-/v1/keys", HTTP_ADMIN, HTTP_BODY | HTTP_SLOW, api_v1_key_generate, NULL, NULL },
	{ "POST", "/-/v1/keys/trusted", HTTP_ADMIN, HTTP_BODY | HTTP_SLOW, api_v1_key_trust, NULL, NULL },
	{ "GET", "/-/v1/mirrors", HTTP_READ, 0, api_v1_mirrors, NULL, NULL },
	{ "POST", "/-/v1/mirrors", HTTP_ADMIN, HTTP_BODY | HTTP_SLOW, api_v1_mirror_add, NULL, NULL },
	{ "DELETE", "/-/v1/mirrors/{name}", HTTP_ADMIN, HTTP_SLOW, api_v1_mirror_remove, NULL, NULL },
	{ "POST", "/-/v1/mirrors/run", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_mirror_run, NULL, NULL },
	{ "GET", "/-/v1/webhooks", HTTP_ADMIN, 0, api_v1_webhooks, NULL, NULL },
	{ "GET", "/-/v1/policy", HTTP_READ, 0, api_v1_policy, NULL, NULL },
	{ "POST", "/-/v1/policy/test", HTTP_PUBLISH, HTTP_BODY | HTTP_SLOW, api_v1_policy_test, NULL, NULL },
	{ "POST", "/-/v1/policy/reload", HTTP_ADMIN, HTTP_BODY | HTTP_SLOW, api_v1_policy_reload, NULL, NULL },
	{ 0 },
};
