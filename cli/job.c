/* job.c - see job.h. */
#include "cli/job.h"

#include <errno.h>

#include "base/str.h"
#include "cli/progress.h"
#include "cli/text.h"

#define POLL_FIRST_MS 40
#define POLL_TERMINAL_MS 250
#define POLL_PLAIN_MS 1000
#define LOST_MAX 20	/* polls in a row that may fail while the daemon restarts */

static void nap(int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);	/* a signal ends it early, as it should */
}

static bool ended(const json_t *job)
{
	const char *state = json_get_str_or(job, "state", "");

	return !strcmp(state, "done") || !strcmp(state, "failed") || !strcmp(state, "canceled");
}

static void show(struct progress *p, const json_t *job)
{
	const json_t *now = json_object_get(job, "progress");
	struct progress_state s = {
		.bytes_done = json_get_int(now, "bytes_done", 0),
		.bytes_total = json_get_int(now, "bytes_total", 0),
		.files_done = json_get_int(now, "files_done", 0),
		.files_total = json_get_int(now, "files_total", 0),
		.phase = json_get_str(now, "phase"),
	};

	progress_show(p, &s, progress_now_ms());
}

static int interrupted(struct progress *p, int64_t id, struct err *e)
{
	progress_clear(p);
	return err_set(e, ERR_CANCELED, "interrupted; job %lld goes on in the daemon: `registryctl jobs --watch` follows it", (long long)id);
}

int job_follow(struct ctl *c, int64_t id, json_t **job, struct err *e)
{
	bool terminal = isatty(STDERR_FILENO);
	int wait_ms = POLL_FIRST_MS, lost = 0, rc;
	struct progress p;
	char path[64];

	snprintf(path, sizeof(path), "/-/v1/jobs/%lld", (long long)id);
	progress_init(&p, terminal, c->quiet);
	for (;;) {
		own(json) json_t *j = NULL;

		if (*c->stop)
			return interrupted(&p, id, e);
		rc = client_get(&c->client, path, &j, e);
		if (rc == ERR_CANCELED)
			return interrupted(&p, id, e);
		/* The daemon keeps its jobs over a restart, so a short absence is not the end of ours. */
		if (rc == ERR_UNREACHABLE && ++lost < LOST_MAX) {
			nap(POLL_PLAIN_MS);
			continue;
		}
		if (rc < 0) {
			progress_clear(&p);
			return rc;
		}
		lost = 0;
		if (ended(j)) {
			progress_clear(&p);
			*job = take(j);
			return 0;
		}
		show(&p, j);
		nap(wait_ms);
		wait_ms += wait_ms / 2;
		wait_ms = wait_ms > (terminal ? POLL_TERMINAL_MS : POLL_PLAIN_MS) ? (terminal ? POLL_TERMINAL_MS : POLL_PLAIN_MS) : wait_ms;
	}
}

int job_outcome(const json_t *job, struct err *e)
{
	const char *state = json_get_str_or(job, "state", "failed");
	const json_t *error = json_object_get(job, "error");
	int code = err_from_label(json_get_str(error, "code"));

	if (!strcmp(state, "done"))
		return 0;
	if (!strcmp(state, "canceled"))
		return err_set(e, ERR_FAILED, "job %lld was canceled", (long long)json_get_int(job, "id", 0));
	if (code != ERR_NOT_FOUND && code != ERR_REFUSED && code != ERR_GONE && code != ERR_MISMATCH)
		code = ERR_FAILED;
	return err_set(e, code, "%s", ctl_text(error, "message"));
}

int job_start(struct ctl *c, const char *path, const json_t *body, json_t **job, struct err *e)
{
	own(json) json_t *answer = NULL;
	const json_t *j;
	int64_t id;
	int rc;

	*job = NULL;
	rc = client_call(&c->client, "POST", path, body, &answer, e);
	if (rc < 0)
		return rc;
	j = json_object_get(answer, "job");
	rc = json_need_int(j, "id", &id, "the daemon's job", e);
	if (rc < 0)
		return rc;
	if (!args_has(&c->args, "no-wait"))
		return job_follow(c, id, job, e);
	if (c->json)
		return ctl_print_json(j, e);
	ctl_say(c, "job %lld %s; `registryctl jobs --watch` follows it", (long long)id,
		json_get_bool(answer, "existed", false) ? "was queued already" : "is queued");
	return 0;
}

int job_verdict(struct ctl *c, const json_t *job, struct err *e)
{
	const json_t *result = json_object_get(job, "result");
	const char *state = json_get_str_or(result, "state", "");
	char size[TEXT_SHORT_MAX];

	if (c->json && ctl_print_json(job, e) < 0)
		return e->code;
	if (job_outcome(job, e) < 0)
		return e->code;
	if (!strcmp(state, "published") && !strcmp(json_get_str_or(result, "code", ""), "ok")) {
		text_size(size, json_get_int(result, "size_bytes", -1));
		ctl_say(c, "published %s@%s (%s)", ctl_text(job, "repo"), ctl_text(result, "revision"), size);
		return 0;
	}
	if (!strcmp(state, "published"))
		state = "published as it was, but what is new of it was refused";
	return err_set(e, err_from_label(json_get_str(result, "code")) == ERR_MISMATCH ? ERR_MISMATCH : ERR_REFUSED, "%s@%.12s is %s: %s",
		       ctl_text(job, "repo"), ctl_text(result, "revision"), *state ? state : "not published",
		       json_get_str(result, "reason") ? ctl_text(result, "reason") : "`registryctl why` tells more");
}
