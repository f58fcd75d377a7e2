/* api_v1_key.c - keys, and signed statements about published revisions. */
#include "registryd/api_v1_impl.h"

#include "catalog/lost.h"
#include "registryd/door.h"
#include "registryd/keys.h"

static json_t *key_json(const char *name, const struct sign_key *k)
{
	return json_pack("{s:s, s:s, s:s}", "name", name, "hint", k->hint, "pem", k->pem);
}

int api_v1_keys(struct request *rq, struct err *e)
{
	json_t *list = keys_list(api_v1_daemon(rq), e);

	return list ? http_answer_json(rq, 200, json_pack("{s:o}", "keys", list)) : (int)e->code;
}

int api_v1_key_generate(struct request *rq, struct err *e)
{
	static const char *const names[] = { "name", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	own(sign_key) struct sign_key k = { 0 };
	const char *name;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "name", &name, e) < 0 || keys_generate(api_v1_daemon(rq), name, &k, e) < 0)
		return e->code;
	return http_answer_json(rq, 201, key_json(name ? name : KEYS_DEFAULT, &k));
}

int api_v1_key_trust(struct request *rq, struct err *e)
{
	static const char *const names[] = { "name", "pem", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	own(sign_key) struct sign_key k = { 0 };
	const char *name, *pem;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "name", &name, e) < 0 || api_v1_text(body, "pem", &pem, e) < 0)
		return e->code;
	if (!name || !pem)
		return err_set(e, ERR_USAGE, "\"name\" and \"pem\" are needed");
	if (keys_trust(api_v1_daemon(rq), name, pem, &k, e) < 0)
		return e->code;
	return http_answer_json(rq, 201, key_json(name, &k));
}

/* Where the revision came from and what it is, as SLSA's provenance says it. */
static json_t *provenance(struct request *rq, const struct model *m, const struct revision *r, const struct model_file *files, size_t n)
{
	const struct config *c = daemon_config(api_v1_daemon(rq));
	const struct config_upstream *up = config_find_upstream(c, m->upstream);
	const char *hub = up ? up->endpoint : arena_printf(&rq->arena, "urn:registryd:%s", m->upstream);
	json_t *subjects = json_array();
	char hex[DIGEST_HEX_MAX];

	for (size_t i = 0; i < n; i++) {
		digest_hex(hex, &files[i].sha256);
		json_array_append_new(subjects, json_pack("{s:s, s:{s:s}}", "name", files[i].path, "digest", "sha256", hex));
	}
	return json_pack("{s:s, s:o, s:s, s:{s:{s:s, s:{s:s, s:s, s:s}, s:[{s:s, s:{s:s}}]}, s:{s:{s:s}, s:{s:o}}}}", "_type", "https://in-toto.io/Statement/v1",
			 "subject", subjects, "predicateType", SIGN_TYPE_SLSA, "predicate", "buildDefinition", "buildType", "urn:registryd:mirror:v1",
			 "externalParameters", "hub", hub, "repo", m->name, "revision", r->commit, "resolvedDependencies", "uri",
			 arena_printf(&rq->arena, "%s/%s/tree/%s", hub, m->name, r->commit), "digest", "gitCommit", r->commit, "runDetails", "builder", "id",
			 c->public_url ? c->public_url : "urn:registryd", "metadata", "finishedOn", api_v1_time(r->published_at));
}

static json_t *statement_of(struct request *rq, const char *format, const struct model *m, const struct revision *r, struct err *e)
{
	struct model_file *files;
	struct sign_file *list;
	size_t n;

	if (lost_check(api_v1_daemon(rq)->db, r->id, e) < 0) {
		err_wrap(e, "nothing is signed about %s@%.12s", m->name, r->commit);
		return NULL;
	}
	if (model_files(api_v1_daemon(rq)->db, r->id, FILES_SERVED, "", NULL, 0, &rq->arena, &files, &n, e) < 0)
		return NULL;
	if (!strcmp(format, "intoto"))
		return provenance(rq, m, r, files, n);
	list = arena_alloc(&rq->arena, (n + 1) * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = (struct sign_file){ files[i].path, files[i].sha256 };
	return sign_oms_statement(m->name, list, n, e);
}

int api_v1_answer_signed(struct request *rq, const json_t *statement, const struct sign_key *k, struct err *e)
{
	struct buf b;

	buf_init(&b, SIGN_BUNDLE_MAX);
	if (sign_bundle(statement, k, &b, e) < 0) {
		buf_done(&b);
		return e->code;
	}
	return http_answer_buf(rq, 200, "application/vnd.dev.sigstore.bundle.v0.3+json", &b);
}

int api_v1_attestation(struct request *rq, struct err *e)
{
	const char *format = http_query(rq, "format"), *rev = http_query(rq, "revision");
	own(sign_key) struct sign_key k = { 0 };
	own(json) json_t *statement = NULL;
	struct revision r;
	struct model m;

	format = format ? format : "oms";
	if (strcmp(format, "oms") != 0 && strcmp(format, "intoto") != 0)
		return err_set(e, ERR_USAGE, "unknown format '%.40s': it is oms or intoto", format);
	if (api_v1_find_published(rq, rev, &m, &r, e) < 0 || door_check(rq, &m, &r, rev, e) < 0 ||
	    keys_load(api_v1_daemon(rq), http_query(rq, "key"), &k, e) < 0)
		return e->code;
	statement = statement_of(rq, format, &m, &r, e);
	return statement ? api_v1_answer_signed(rq, statement, &k, e) : e->code;
}
