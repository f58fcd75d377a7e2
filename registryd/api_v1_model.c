/* api_v1_model.c - reading models, and a person's decision about a revision. */
#include "registryd/api_v1_impl.h"

#include "base/str.h"
#include "catalog/evidence.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "catalog/lost.h"
#include "catalog/usage.h"
#include "registryd/bases.h"
#include "registryd/bill.h"
#include "registryd/derive.h"
#include "registryd/gate.h"
#include "registryd/gitproof.h"

#define USAGE_DAYS_MAX 3650
#define DAYS_DEFAULT 30

/* All values of a repeated parameter. */
static int read_list(struct request *rq, const char *key, const char **out, size_t *n, struct err *e)
{
	size_t at = 0;
	const char *v;

	while ((v = http_query_next(rq, key, &at))) {
		if (*n == QUERY_LIST_MAX)
			return err_set(e, ERR_USAGE, "more than %d values of %s", QUERY_LIST_MAX, key);
		out[(*n)++] = v;
	}
	return 0;
}

static int read_format(const char *name, struct query_filter *f, struct err *e)
{
	const char *const *names = format_names();
	const char *near;
	size_t n = 0;

	f->format = format_parse(name);
	if (f->format != FORMAT_NONE)
		return 0;
	while (names[n])
		n++;
	near = str_nearest(name, names, n);
	return err_set(e, ERR_USAGE, "unknown format '%.40s'%s%s%s", name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int read_licenses(struct request *rq, struct query_filter *f, struct err *e)
{
	if (read_list(rq, "license", f->license, &f->n_license, e) < 0)
		return e->code;
	for (size_t i = 0; i < f->n_license; i++) {
		const char *written = f->license[i], *near = licence_nearest(written);

		if ((f->license[i] = licence_id(written, &rq->arena)))
			continue;
		return err_set(e, ERR_USAGE, "unknown licence '%.60s'%s%s%s", written, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	return 0;
}

static int read_ranges(struct request *rq, struct query_filter *f, struct err *e)
{
	uint64_t min = 0, max = 0, before = 0;

	/* an upper bound of 0 would read as none */
	if (http_query_u64(rq, "min_size", 0, INT64_MAX, &f->min_size, e) < 0 || http_query_u64(rq, "max_size", 1, INT64_MAX, &f->max_size, e) < 0 ||
	    http_query_u64(rq, "min_params", 0, INT64_MAX, &min, e) < 0 || http_query_u64(rq, "max_params", 1, INT64_MAX, &max, e) < 0 ||
	    http_query_u64(rq, "sunset_before", 0, INT64_MAX, &before, e) < 0)
		return e->code;
	f->min_params = (int64_t)min;
	f->max_params = (int64_t)max;
	f->sunset_before = (int64_t)before;
	return 0;
}

/* A filter that nobody knows would give everything, as if it had been met. */
static int check_filters(const struct request *rq, struct err *e)
{
	static const char *const known[] = { "license", "commercial", "min_size", "max_size", "min_params", "max_params", "format", "quant", "arch", "task", "author", "tag", "state",
					     "deprecated", "sunset_before", "contains", "search", "sort", "limit", "cursor" };

	for (size_t i = 0; i < rq->n_queries; i++) {
		const char *key = rq->queries[i].key, *near;
		size_t k = 0;

		while (k < ARRAY_LEN(known) && strcmp(key, known[k]))
			k++;
		if (k < ARRAY_LEN(known))
			continue;
		near = str_nearest(key, known, ARRAY_LEN(known));
		return err_set(e, ERR_USAGE, "unknown filter '%.40s'%s%s%s", key, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	return 0;
}

static int read_filter(struct request *rq, struct query_filter *f, struct err *e)
{
	const char *sort = http_query(rq, "sort"), *state = http_query(rq, "state"), *format = http_query(rq, "format");
	const char *contains = http_query(rq, "contains");
	enum revision_state s = 0;
	uint64_t limit = QUERY_LIMIT_MAX;

	*f = QUERY_FILTER_ANY;
	if (check_filters(rq, e) < 0 || read_licenses(rq, f, e) < 0 || read_list(rq, "tag", f->tag, &f->n_tag, e) < 0 || read_list(rq, "search", f->search, &f->n_search, e) < 0 ||
	    read_ranges(rq, f, e) < 0)
		return e->code;
	if (format && read_format(format, f, e) < 0)
		return e->code;
	if (state && revision_state_parse(&s, state, e) < 0)
		return e->code;
	if (query_sort_parse(&f->sort, &f->descending, sort ? sort : "name", e) < 0)
		return e->code;
	if (contains && digest_parse_any_case(&f->contains, DIGEST_SHA256, contains, NULL) < 0)
		return err_set(e, ERR_USAGE, "contains must be a SHA-256 of 64 hexadecimal digits");
	if (http_query_u64(rq, "limit", 1, QUERY_LIMIT_MAX, &limit, e) < 0 || http_query_flag(rq, "commercial", &f->commercial, e) < 0 ||
	    http_query_flag(rq, "deprecated", &f->deprecated, e) < 0)
		return e->code;
	f->state = (int)s;
	f->quantization = http_query(rq, "quant");
	f->architecture = http_query(rq, "arch");
	f->task = http_query(rq, "task");
	f->author = http_query(rq, "author");
	f->cursor = http_query(rq, "cursor");
	f->limit = (size_t)limit;
	return 0;
}

int api_v1_list(struct request *rq, struct err *e)
{
	const char *next = NULL;
	struct query_filter f;
	json_t *rows;

	if (read_filter(rq, &f, e) < 0)
		return e->code;
	rows = query_ls(api_v1_daemon(rq)->db, &f, daemon_policy(api_v1_daemon(rq)), rq->now, &next, &rq->arena, e);
	if (!rows)
		return e->code;
	return http_answer_json(rq, 200, json_pack("{s:o, s:s?}", "models", rows, "next", next));
}

/* Counts and bytes by licence, format and the like, within the same filters. */
int api_v1_facets(struct request *rq, struct err *e)
{
	struct query_filter f;
	json_t *facets;

	if (read_filter(rq, &f, e) < 0)
		return e->code;
	facets = query_facets(api_v1_daemon(rq)->db, &f, rq->now, e);
	return facets ? http_answer_json(rq, 200, facets) : (int)e->code;
}

int api_v1_show(struct request *rq, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	own(spool) struct spool s = { 0 };
	const char *why_not;
	struct revision r;
	struct model m;
	bool again;
	json_t *j;

	if (api_v1_find(rq, http_query(rq, "revision"), &m, &r, e) < 0)
		return e->code;
	j = query_show(db, r.id, daemon_policy(api_v1_daemon(rq)), rq->now, e);
	if (!j)
		return e->code;
	json_object_set_new(j, "reason", r.reason ? json_string(r.reason) : json_null());
	why_not = gitproof_why_not(db, r.id, &rq->arena, &again);
	json_object_set_new(j, "proof_reason", why_not ? json_string(why_not) : json_null());
	store_spool(api_v1_daemon(rq)->store, &s, API_V1_ANSWER_MAX);
	spool_open(&s, j);
	if (query_put_files(db, r.id, &s, e) < 0)
		return e->code;
	spool_puts(&s, "}");
	return spool_end(&s, e) < 0 ? (int)e->code : http_answer_spool(rq, 200, API_V1_JSON, &s);
}

int api_v1_decisions(struct request *rq, struct err *e)
{
	struct revision r;
	struct model m;
	json_t *why, *lost;

	if (api_v1_find(rq, http_query(rq, "revision"), &m, &r, e) < 0)
		return e->code;
	why = finding_why(api_v1_daemon(rq)->db, r.id, e);
	lost = why ? lost_json(api_v1_daemon(rq)->db, r.id, e) : NULL;
	if (!lost) {
		json_decref(why);
		return e->code;
	}
	return http_answer_json(rq, 200, json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o}", "repo", m.name, "revision", r.commit, "state",
						   revision_state_name(r.state), "reason", r.reason, "decisions", why, "lost", lost));
}

int api_v1_usage(struct request *rq, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	uint64_t days = DAYS_DEFAULT;
	struct model m;
	json_t *list;

	if (http_query_u64(rq, "days", 1, USAGE_DAYS_MAX, &days, e) < 0 || model_find_repo(db, http_param(rq, "repo"), &rq->arena, &m, e) < 0)
		return e->code;
	if (usage_flush(db, e) < 0)	/* counters still in memory belong to the answer */
		return e->code;
	list = usage_json(db, m.id, (int)days, rq->now, e);
	if (!list)
		return e->code;
	return http_answer_json(rq, 200, json_pack("{s:s, s:I, s:o}", "repo", m.name, "days", (json_int_t)days, "usage", list));
}

/* Without a revision the one that is served. */
int api_v1_sbom(struct request *rq, struct err *e)
{
	const char *name = http_query(rq, "format"), *rev = http_query(rq, "revision"), *sha256 = http_query(rq, "sha256");
	enum sbom_format format = SBOM_CYCLONEDX;
	own(spool) struct spool s = { 0 };
	struct revision r;
	struct model m;

	if (name && sbom_format_parse(&format, name, e) < 0)
		return e->code;
	if (sha256 && !str_is_hex(sha256, 64))
		return err_set(e, ERR_USAGE, "sha256 must be 64 hexadecimal digits");
	if (rev ? api_v1_find(rq, rev, &m, &r, e) < 0 : api_v1_find_published(rq, NULL, &m, &r, e) < 0)
		return e->code;
	store_spool(api_v1_daemon(rq)->store, &s, SBOM_MAX_BYTES);
	if (bill_read(api_v1_daemon(rq), r.id, format, sha256, &rq->arena, &s, e) < 0)
		return e->code;
	return http_answer_spool(rq, 200, format == SBOM_SPDX ? "application/spdx+json" : "application/vnd.cyclonedx+json", &s);
}

/* What was kept of a revision, those of earlier facts too. */
int api_v1_sboms(struct request *rq, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	const char *rev = http_query(rq, "revision"), *repo = http_param(rq, "repo");
	struct revision r;
	struct model m;
	json_t *list;

	/* What is no longer served is still looked for. */
	if ((rev || model_find(db, repo, NULL, MODEL_VISIBLE, &rq->arena, &m, &r, NULL, NULL) < 0) &&
	    model_find(db, repo, rev, MODEL_ANY, &rq->arena, &m, &r, NULL, e) < 0)
		return e->code;
	list = evidence_list(db, r.id, e);
	return list ? http_answer_json(rq, 200, json_pack("{s:s, s:s, s:o}", "repo", m.name, "revision", r.commit, "sboms", list)) : (int)e->code;
}

int api_v1_licenses(struct request *rq, struct err *e)
{
	json_t *list = query_licenses(api_v1_daemon(rq)->db, e);

	return list ? http_answer_json(rq, 200, json_pack("{s:o}", "licenses", list)) : (int)e->code;
}

/* Published, what is withdrawn or has ended would still be given to nobody. */
static int check_not_off(struct request *rq, const struct model *m, const struct revision *r, struct err *e)
{
	struct policy_lifecycle rules;
	struct lifecycle life;

	policy_lifecycle(daemon_policy(api_v1_daemon(rq)), &rules);
	if (lifecycle_at(api_v1_daemon(rq)->db, m->id, r->id, daemon_policy(api_v1_daemon(rq)), rq->now, &rq->arena, &life, e) < 0)
		return e->code;
	if (!lifecycle_is_off(&life, &rules))
		return 0;
	return err_set(e, ERR_REFUSED, "%s@%.12s is %s, so no door would serve it: `registryctl %s` takes that back first", m->name, r->commit, lifecycle_state_name(life.state),
		       lifecycle_way_back(&life));
}

static int rule(struct request *rq, enum policy_outcome outcome, struct err *e)
{
	static const char *const names[] = { "revision", "reason", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	struct db *db = api_v1_daemon(rq)->db;
	const char *rev, *reason, *before;
	struct revision r;
	struct model m;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "revision", &rev, e) < 0 || api_v1_reason(body, &reason, e) < 0)
		return e->code;
	if (api_v1_find(rq, rev, &m, &r, e) < 0)
		return e->code;
	if (outcome == POLICY_PUBLISH && (check_not_off(rq, &m, &r, e) < 0 || gate_check_store(api_v1_daemon(rq), r.id, e) < 0))
		return e->code;
	before = bases_standing(db, m.id, &rq->arena);
	if (model_rule(db, r.id, outcome, rq->who, reason, rq->now, e) < 0 || derive_queue(db, m.id, before, &rq->arena, e) < 0)
		return err_wrap(e, "%s %s@%.12s", policy_outcome_name(outcome), m.name, r.commit);
	bill_note(api_v1_daemon(rq), r.id);
	return api_v1_answer_state(rq, r.id, e);
}

int api_v1_publish(struct request *rq, struct err *e)
{
	return rule(rq, POLICY_PUBLISH, e);
}

int api_v1_reject(struct request *rq, struct err *e)
{
	return rule(rq, POLICY_REJECT, e);
}
