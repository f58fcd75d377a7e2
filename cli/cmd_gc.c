/* cmd_gc.c - gc and rebuild: the daemon tidies up. */
#include "cli/job.h"
#include "cli/text.h"
#include "cli/verb.h"

/* Starts the job and gives its result; *job stays NULL with --no-wait. */
static int run(struct ctl *c, const char *path, const json_t *body, json_t **job, struct err *e)
{
	int rc = job_start(c, path, body, job, e);

	return rc < 0 || !*job ? rc : job_outcome(*job, e);
}

/* Above the quota all the same: what is in use never goes by itself, nor what waits for a person. */
static void say_rest(const struct ctl *c, const json_t *q)
{
	int64_t held_bytes = json_get_int(q, "held_bytes", 0);
	char held[TEXT_SHORT_MAX];

	text_size(held, held_bytes);
	if (held_bytes)
		ctl_say(c, "  %s are of revisions that are held or rejected: publish or reject what is held; what is rejected goes after retention.rejected of the policy", held);
	if (json_get_int(q, "bytes", 0) > held_bytes)
		ctl_say(c, "  %s is served by a ref, named by a mirror entry or was pulled in the last 30 days: deprecate and retire what may go", held_bytes ? "the rest" : "what is left");
}

/* A namespace that was above its quota. */
static void say_quota(const struct ctl *c, const json_t *q, bool dry)
{
	char before[TEXT_SHORT_MAX], now[TEXT_SHORT_MAX], max[TEXT_SHORT_MAX];
	const char *author = json_get_str_or(q, "author", "");

	text_size(before, json_get_int(q, "before_bytes", 0));
	text_size(now, json_get_int(q, "bytes", 0));
	text_size(max, json_get_int(q, "max_bytes", 0));
	ctl_say(c, "%s: %s of a quota of %s, %s %s", *author ? ctl_text(q, "author") : "models without a namespace", before, max, dry ? "would be" : "now", now);
	if (json_get_int(q, "over_bytes", 0))
		say_rest(c, q);
}

int cmd_gc(struct ctl *c, struct err *e)
{
	own(json) json_t *body = json_object(), *job = NULL;
	char bytes[TEXT_SHORT_MAX], partial[TEXT_SHORT_MAX], blobs[TEXT_SHORT_MAX];
	const json_t *result, *r;
	bool dry = args_has(&c->args, "dry-run");
	size_t i;
	int rc;

	if (dry)
		json_object_set_new(body, "dry_run", json_true());
	if (args_has(&c->args, "keep-last"))
		json_object_set_new(body, "keep_last", json_integer((json_int_t)args_number(&c->args, "keep-last", 0)));
	rc = run(c, "/-/v1/gc", body, &job, e);
	if (rc < 0 || !job)
		return rc;
	result = json_object_get(job, "result");
	if (c->json)
		return ctl_print_json(result, e);
	json_array_foreach(json_object_get(result, "revisions"), i, r)
		ctl_say(c, "%s %s@%.12s: %s", dry ? "would let go" : "let go", ctl_text(r, "repo"), ctl_text(r, "revision"), ctl_text(r, "why"));
	json_array_foreach(json_object_get(result, "quotas"), i, r)
		say_quota(c, r, dry);
	text_count(blobs, json_get_int(result, "blobs", 0), "file");
	text_size(bytes, json_get_int(result, "bytes", 0));
	text_size(partial, json_get_int(result, "partial_bytes", 0));
	ctl_say(c, "%s %s, %s; %s of abandoned downloads", dry ? "would free" : "freed", blobs, bytes, partial);
	return 0;
}

int cmd_rebuild(struct ctl *c, struct err *e)
{
	own(json) json_t *job = NULL;
	const json_t *result;
	int rc = run(c, "/-/v1/rebuild", NULL, &job, e);

	if (rc < 0 || !job)
		return rc;
	result = json_object_get(job, "result");
	if (c->json)
		return ctl_print_json(result, e);
	ctl_say(c, "derived %lld revisions of %lld models again", (long long)json_get_int(result, "revisions", 0), (long long)json_get_int(result, "models", 0));
	return 0;
}
