/* cmd_verify.c - verify and smoke: the daemon looks at what it holds once more. */
#include "cli/job.h"
#include "cli/text.h"
#include "cli/verb.h"

/* REPO[@REV] or --all into the path of a call below "/-/v1": models/REPO/-/TAIL with the revision in body, or TAIL itself. */
static int target(struct ctl *c, const char *tail, struct buf *path, json_t *body, struct err *e)
{
	bool all = args_has(&c->args, "all");
	struct ctl_model m;
	int rc;

	if (all == (c->args.n_words > 0))
		return err_set(e, ERR_USAGE, "%s needs either %s or --all", c->args.verb->name, "REPO[@REV]");
	if (all) {
		buf_printf(path, "/-/v1/%s", tail);
		return 0;
	}
	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	buf_puts(path, "/-/v1/models/");
	client_path_add(path, m.repo);
	buf_printf(path, "/-/%s", tail);
	if (m.rev)
		json_object_set_new(body, "revision", json_string(m.rev));
	return 0;
}

static int start(struct ctl *c, const char *tail, json_t *body, json_t **job, struct err *e)
{
	own(buf) struct buf path;
	int rc;

	buf_init(&path, CLIENT_PATH_MAX);
	rc = target(c, tail, &path, body, e);
	return rc < 0 ? rc : job_start(c, path.data, body, job, e);
}

static const char *mark(const char *status)
{
	return !strcmp(status, "same") ? "=" : !strcmp(status, "differs") ? "*" : "-";
}

/* One line a file; with several models the path begins with the model's name. */
static void print_files(const json_t *result)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(result, "files"), i, f) {
		const char *repo = json_get_str(f, "repo");

		printf("%s %s%s%s\n", mark(json_get_str_or(f, "status", "")), repo ? ctl_text(f, "repo") : "", repo ? "/" : "", ctl_text(f, "path"));
	}
}

int cmd_verify(struct ctl *c, struct err *e)
{
	own(json) json_t *body = json_object(), *job = NULL;
	int64_t same, differs, missing;
	const json_t *result;
	int rc;

	rc = start(c, "verify", body, &job, e);
	if (rc < 0 || !job)
		return rc;
	rc = job_outcome(job, e);
	if (rc < 0)
		return rc;
	result = json_object_get(job, "result");
	if (c->json && ctl_print_json(result, e) < 0)
		return e->code;
	if (!c->json)
		print_files(result);
	same = json_get_int(result, "same", 0);
	differs = json_get_int(result, "differs", 0);
	missing = json_get_int(result, "missing", 0);
	if (differs || missing)
		return err_set(e, ERR_MISMATCH, "%lld of %lld files do not verify: %lld differ, %lld are missing", (long long)(differs + missing),
			       (long long)(same + differs + missing), (long long)differs, (long long)missing);
	return 0;
}

/* The exit status follows the verdict, as registryd-smoke's own does. */
static int smoke_verdict(const struct ctl *c, const json_t *job, struct err *e)
{
	const json_t *smoke = json_object_get(json_object_get(job, "result"), "smoke");
	const char *verdict = json_get_str_or(smoke, "verdict", "error");
	const char *reason = json_string_value(json_array_get(json_object_get(smoke, "reasons"), 0));
	double bpb = json_get_real(smoke, "bits_per_byte", -1);
	own(mem) char *clean = text_clean(reason ? reason : "no reason was given");

	if (!strcmp(verdict, "pass")) {
		if (bpb >= 0)
			ctl_say(c, "pass: %.4g bits per byte on %s", bpb, ctl_text(smoke, "device"));
		else
			ctl_say(c, "pass");
		return 0;
	}
	return err_set(e, !strcmp(verdict, "fail") ? ERR_MISMATCH : !strcmp(verdict, "not_run") ? ERR_REFUSED : ERR_FAILED, "smoke test of %s: %s: %s",
		       ctl_text(job, "repo"), verdict, clean);
}

int cmd_smoke(struct ctl *c, struct err *e)
{
	const char *device = args_text(&c->args, "device");
	own(json) json_t *body = json_object(), *job = NULL;
	int rc;

	if (device)
		json_object_set_new(body, "device", json_string(device));
	if (args_has(&c->args, "all")) {
		own(json) json_t *answer = NULL;
		own(buf) struct buf path;

		buf_init(&path, CLIENT_PATH_MAX);
		rc = target(c, "smoke", &path, body, e);
		if (rc == 0)
			rc = client_call(&c->client, "POST", path.data, body, &answer, e);
		if (rc < 0)
			return rc;
		if (c->json)
			return ctl_print_json(answer, e);
		ctl_say(c, "%lld revisions are queued; `registryctl jobs --watch` follows them", (long long)json_get_int(answer, "queued", 0));
		return 0;
	}
	rc = start(c, "smoke", body, &job, e);
	if (rc < 0 || !job)
		return rc;
	rc = job_outcome(job, e);
	if (rc < 0)
		return rc;
	if (c->json && ctl_print_json(json_object_get(json_object_get(job, "result"), "smoke"), e) < 0)
		return e->code;
	return smoke_verdict(c, job, e);
}
