/* api_v1_job.c - work is asked for, watched and called off. Who does it: the workers that take jobs from the queue (api_v1.h lists the kinds). */
#include "registryd/api_v1_impl.h"
#include "registryd/job_end.h"
#include "registryd/smoke.h"

#include "base/str.h"

/* A list of globs: text without control characters, not too many, not too long. */
int api_v1_globs(const json_t *body, const char *key, json_t *args, struct err *e)
{
	const json_t *list = json_object_get(body, key), *v;
	size_t i;

	if (!list)
		return 0;
	if (json_is_null(list) || (json_is_array(list) && !json_array_size(list))) {
		json_object_del(args, key);
		return 0;
	}
	if (!json_is_array(list) || json_array_size(list) > API_V1_LIST_MAX)
		return err_set(e, ERR_USAGE, "\"%s\" must be a list of at most %d globs", key, API_V1_LIST_MAX);
	json_array_foreach(list, i, v) {
		if (!json_is_string(v) || !json_string_length(v) || json_string_length(v) > API_V1_TEXT_MAX)
			return err_set(e, ERR_USAGE, "\"%s\" must hold globs: text of 1 to %d bytes", key, API_V1_TEXT_MAX);
	}
	json_object_set(args, key, (json_t *)list);
	return 0;
}

int api_v1_check_repo(const char *repo, struct err *e)
{
	size_t n = repo ? strlen(repo) : 0, slashes = 0;

	if (!repo)
		return err_set(e, ERR_USAGE, "\"repo\" is missing");
	for (size_t i = 0; i < n; i++) {
		char c = repo[i], before = i ? repo[i - 1] : '/', after = repo[i + 1] ? repo[i + 1] : '/';
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';

		slashes += c == '/';
		if (!plain && (!strchr("-./", c) || before == '/' || after == '/' || (c == '.' && after == '.')))
			return err_set(e, ERR_USAGE, "'%.200s' is not a model's name: it is ORG/NAME of letters, digits, '_', '-' and '.'", repo);
	}
	if (n == 0 || n > MODEL_NAME_MAX || slashes > 1)
		return err_set(e, ERR_USAGE, "'%.200s' is not a model's name: it is ORG/NAME, at most %d bytes long", repo, MODEL_NAME_MAX);
	return 0;
}

static int sync_job(struct request *rq, const char *kind, struct err *e)
{
	static const char *const names[] = { "repo", "revision", "include", "exclude", "upstream", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	own(json) json_t *args = json_object();
	const char *repo, *rev, *upstream;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "repo", &repo, e) < 0 || api_v1_check_repo(repo, e) < 0 ||
	    api_v1_text(body, "revision", &rev, e) < 0 || api_v1_text(body, "upstream", &upstream, e) < 0 ||
	    api_v1_globs(body, "include", args, e) < 0 || api_v1_globs(body, "exclude", args, e) < 0)
		return e->code;
	if (rev && strlen(rev) > MODEL_REF_MAX)
		return err_set(e, ERR_USAGE, "\"revision\" is longer than %d bytes", MODEL_REF_MAX);
	if (upstream && !config_find_upstream(daemon_config(api_v1_daemon(rq)), upstream))
		return err_set(e, ERR_USAGE, "no upstream named '%.80s' is configured", upstream);
	if (upstream)
		json_object_set_new(args, "upstream", json_string(upstream));
	return api_v1_enqueue(rq, kind, repo, rev, take(args), e);
}

int api_v1_sync(struct request *rq, struct err *e)
{
	return sync_job(rq, "sync", e);
}

int api_v1_plan(struct request *rq, struct err *e)
{
	return sync_job(rq, "plan", e);
}

/* "auto", "cpu", "cuda" or "cuda:N". */
static int check_device(const char *device, struct err *e)
{
	uint64_t n;

	if (!device || !strcmp(device, "auto") || !strcmp(device, "cpu") || !strcmp(device, "cuda") ||
	    (str_starts(device, "cuda:") && str_parse_u64(device + 5, &n, NULL) == 0 && n < 1024))
		return 0;
	return err_set(e, ERR_USAGE, "'%.40s' is not a device: it is auto, cpu, cuda or cuda:N", device);
}

/* A job about one known revision, which is pinned by its commit so that it means the same when it runs. */
static int revision_job(struct request *rq, const char *kind, const char *const *names, struct err *e)
{
	own(json) json_t *body = http_json_object(rq, e);
	own(json) json_t *args = json_object();
	const char *rev, *device;
	struct revision r;
	struct model m;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "revision", &rev, e) < 0 || api_v1_text(body, "device", &device, e) < 0 ||
	    check_device(device, e) < 0 || api_v1_find(rq, rev, &m, &r, e) < 0 || smoke_check_device(api_v1_daemon(rq), device, e) < 0)
		return e->code;
	if (device)
		json_object_set_new(args, "device", json_string(device));
	return api_v1_enqueue(rq, kind, m.name, r.commit, take(args), e);
}

int api_v1_verify(struct request *rq, struct err *e)
{
	static const char *const names[] = { "revision", NULL };

	return revision_job(rq, "verify", names, e);
}

int api_v1_smoke(struct request *rq, struct err *e)
{
	static const char *const names[] = { "revision", "device", NULL };

	return revision_job(rq, "smoke", names, e);
}

int api_v1_verify_all(struct request *rq, struct err *e)
{
	static const char *const names[] = { NULL };
	own(json) json_t *body = http_json_object(rq, e);

	if (!body || api_v1_known(body, names, e) < 0)
		return e->code;
	return api_v1_enqueue(rq, "verify", NULL, NULL, json_object(), e);
}

int api_v1_gc(struct request *rq, struct err *e)
{
	static const char *const names[] = { "dry_run", "keep_last", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	const json_t *keep;

	if (!body || api_v1_known(body, names, e) < 0)
		return e->code;
	if (json_object_get(body, "dry_run") && !json_is_boolean(json_object_get(body, "dry_run")))
		return err_set(e, ERR_USAGE, "\"dry_run\" must be true or false");
	keep = json_object_get(body, "keep_last");
	if (keep && (!json_is_integer(keep) || json_integer_value(keep) < 1))
		return err_set(e, ERR_USAGE, "\"keep_last\" must be a number from 1 on: that many revisions of a model stay");
	return api_v1_enqueue(rq, "gc", NULL, NULL, json_incref(body), e);
}

int api_v1_rebuild(struct request *rq, struct err *e)
{
	return api_v1_enqueue(rq, "rebuild", NULL, NULL, json_object(), e);
}

struct smoke_all {
	struct request *rq;
	const char *args;
	int64_t queued;
};

static int queue_smoke(void *arg, const struct query_row *row, struct err *e)
{
	struct smoke_all *all = arg;
	struct job_new j = {
		.kind = "smoke", .repo = row->m.name, .revision = row->r.commit, .args = all->args, .who = all->rq->who, .priority = JOB_BACKGROUND,
	};
	int64_t id;

	all->queued++;
	return job_enqueue(api_v1_daemon(all->rq)->db, &j, all->rq->now, &id, NULL, e);
}

/* One job for each published model, behind all other work; those that are queued already stay one. */
int api_v1_smoke_all(struct request *rq, struct err *e)
{
	static const char *const names[] = { "device", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	struct query_filter f = QUERY_FILTER_ANY;
	struct smoke_all all = { .rq = rq };
	own(mem) char *args = NULL;
	const char *device;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "device", &device, e) < 0 || check_device(device, e) < 0 ||
	    smoke_check_device(api_v1_daemon(rq), device, e) < 0)
		return e->code;
	all.args = args = json_text(body);
	f.state = REVISION_PUBLISHED;
	if (query_each(api_v1_daemon(rq)->db, f, rq->now, queue_smoke, &all, e) < 0)
		return e->code;
	return http_answer_json(rq, 202, json_pack("{s:I}", "queued", (json_int_t)all.queued));
}

int api_v1_jobs(struct request *rq, struct err *e)
{
	struct job_filter f = {
		.kind = http_query(rq, "kind"), .repo = http_query(rq, "repo"),
	};
	uint64_t limit = 100;
	json_t *list;
	struct job *jobs;
	int64_t total;
	size_t n;

	if (http_query_u64(rq, "limit", 1, API_V1_JOBS_MAX, &limit, e) < 0 || http_query_flag(rq, "active", &f.active_only, e) < 0)
		return e->code;
	f.limit = (size_t)limit;
	if (job_list(api_v1_daemon(rq)->db, &f, &rq->arena, &jobs, &n, e) < 0 || job_total(api_v1_daemon(rq)->db, &f, &total, e) < 0)
		return e->code;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, job_json(&jobs[i]));
	return http_answer_json(rq, 200, json_pack("{s:o, s:I}", "jobs", list, "total", (json_int_t)total));
}

static int job_id(const struct request *rq, int64_t *id, struct err *e)
{
	uint64_t n;

	if (str_parse_u64(http_param(rq, "id"), &n, NULL) < 0 || n > INT64_MAX)
		return err_set(e, ERR_USAGE, "'%.40s' is not a job's number", http_param(rq, "id"));
	*id = (int64_t)n;
	return 0;
}

/* The result, with its files as its last member. */
static int put_result(struct spool *s, struct db *db, const struct job *j, struct err *e)
{
	int rc;

	spool_open(s, json_parse_lax(j->result, strlen(j->result), "the job's result", NULL));
	spool_puts(s, ",\"files\":");
	rc = job_put_files(db, j->id, s, e);
	spool_puts(s, "}");
	return rc;
}

int api_v1_job(struct request *rq, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	own(spool) struct spool s = { 0 };
	json_t *o;
	struct job j;
	int64_t id;

	if (job_id(rq, &id, e) < 0 || job_get(db, id, &rq->arena, &j, e) < 0)
		return e->code;
	o = job_json(&j);
	if (!j.has_files || !j.result)
		return http_answer_json(rq, 200, o);
	json_object_del(o, "result");
	store_spool(api_v1_daemon(rq)->store, &s, API_V1_ANSWER_MAX);
	spool_open(&s, o);
	spool_puts(&s, ",\"result\":");
	if (put_result(&s, db, &j, e) < 0)
		return e->code;
	spool_puts(&s, "}");
	return spool_end(&s, e) < 0 ? (int)e->code : http_answer_spool(rq, 200, API_V1_JSON, &s);
}

int api_v1_job_cancel(struct request *rq, struct err *e)
{
	struct db *db = api_v1_daemon(rq)->db;
	int64_t id;

	if (job_id(rq, &id, e) < 0 || job_cancel(db, id, rq->now, e) < 0)
		return e->code;
	job_end_note(api_v1_daemon(rq), id);
	return api_v1_job(rq, e);
}
