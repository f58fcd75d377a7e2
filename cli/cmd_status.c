/* cmd_status.c - status and jobs: what the daemon holds and what it is doing. */
#include "cli/text.h"
#include "cli/verb.h"

#define WATCH_MS 1000

static void figure(const json_t *totals, const char *key, const char *name)
{
	const json_t *v = json_object_get(totals, key);

	if (json_is_integer(v))
		printf("%-14s %lld\n", name, (long long)json_integer_value(v));
}

static void size_figure(const json_t *obj, const char *key, const char *name)
{
	char size[TEXT_SHORT_MAX];

	if (!json_is_integer(json_object_get(obj, key)))
		return;
	text_size(size, json_get_int(obj, key, -1));
	printf("%-14s %s\n", name, size);
}

static void print_status(const json_t *s)
{
	const json_t *totals = json_object_get(s, "catalog"), *store = json_object_get(s, "store"), *jobs = json_object_get(s, "jobs");
	const json_t *waiting = json_object_get(json_object_get(s, "policy"), "waiting");
	char up[TEXT_SHORT_MAX];

	text_duration(up, json_get_int(s, "uptime_s", 0));
	printf("%-14s %s, up %s\n", "registryd", ctl_text(s, "version"), up);
	figure(totals, "models", "models");
	if (json_get_int(totals, "models_without_revision", 0))
		printf("%-14s and %lld that were asked for, of which nothing is here yet\n", "", (long long)json_get_int(totals, "models_without_revision", 0));
	figure(totals, "revisions", "revisions");
	figure(totals, "published", "published");
	figure(totals, "held", "held");
	figure(totals, "rejected", "rejected");
	figure(totals, "blobs", "blobs");
	if (json_get_int(totals, "lost", 0))
		printf("%-14s %lld blobs of published models are gone or damaged (registryctl events, show)\n", "lost", (long long)json_get_int(totals, "lost", 0));
	size_figure(totals, "blob_bytes", "stored");
	size_figure(store, "free_bytes", "free");
	size_figure(store, "catalog_bytes", "catalog");
	printf("%-14s %lld running, %lld waiting, %lld queued, %lld failed\n", "jobs", (long long)json_get_int(jobs, "running", 0),
	       (long long)json_get_int(jobs, "waiting", 0), (long long)json_get_int(jobs, "queued", 0), (long long)json_get_int(jobs, "failed", 0));
	if (json_is_object(waiting))
		printf("%-14s a changed one waits: %s (registryctl policy reload --yes)\n", "policy", ctl_text(waiting, "message"));
}

int cmd_status(struct ctl *c, struct err *e)
{
	own(json) json_t *s = NULL;
	int rc = client_get(&c->client, "/-/v1/status", &s, e);

	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(s, e);
	print_status(s);
	return 0;
}

/* What came of it, or how far it is. */
static void add_note(struct table *t, const json_t *j)
{
	const json_t *result = json_object_get(j, "result");
	const char *error = json_get_str(json_object_get(j, "error"), "message"), *state = json_get_str(result, "state");
	const char *reason = json_get_str(result, "reason"), *phase = json_get_str(json_object_get(j, "progress"), "phase");
	char note[ERR_MSG_MAX];

	if (json_is_integer(json_object_get(result, "unpublished"))) {	/* of a changed policy */
		snprintf(note, sizeof(note), "%lld published, %lld taken off", (long long)json_get_int(result, "published", 0), (long long)json_get_int(result, "unpublished", 0));
		table_add(t, note);
		return;
	}

	if (error || !state) {
		table_add(t, error ? error : json_is_null(json_object_get(j, "finished_at")) ? phase : NULL);
		return;
	}
	snprintf(note, sizeof(note), "%s%s%s", state, reason && strcmp(state, "published") != 0 ? ": " : "",
		 reason && strcmp(state, "published") != 0 ? reason : "");
	table_add(t, note);
}

static void add_job(struct table *t, const json_t *j)
{
	const json_t *now = json_object_get(j, "progress");
	int64_t done = json_get_int(now, "bytes_done", 0), total = json_get_int(now, "bytes_total", 0);
	const char *rev = json_get_str(j, "revision");
	char target[512], part[TEXT_SHORT_MAX] = "";

	snprintf(target, sizeof(target), "%s%s%s", json_get_str_or(j, "repo", ""), rev && *rev ? "@" : "", rev ? rev : "");
	if (total > 0)
		snprintf(part, sizeof(part), "%d%%", (int)(100.0 * (double)(done > total ? total : done) / (double)total));
	table_add_count(t, json_get_int(j, "id", 0));
	table_add(t, json_get_str(j, "kind"));
	table_add(t, target);
	table_add(t, json_get_str(j, "state"));
	table_add(t, part);
	table_add(t, ctl_when(j, "created_at"));
	add_note(t, j);
}

static int show_jobs(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "JOB", TABLE_RIGHT }, { "KIND", TABLE_LEFT },	   { "MODEL", TABLE_FLEX }, { "STATE", TABLE_LEFT },
		{ "DONE", TABLE_RIGHT }, { "CREATED", TABLE_LEFT }, { "OUTCOME", TABLE_FLEX },
	};
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	const json_t *jobs, *j;
	long long total;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	rc = client_get(&c->client, "/-/v1/jobs", &answer, e);
	if (rc < 0)
		return rc;
	jobs = json_object_get(answer, "jobs");
	json_array_foreach(jobs, i, j)
		add_job(&t, j);
	if (c->json)
		rc = ctl_print_json(jobs, e);
	else
		ctl_print_table(c, &t, "no jobs yet");
	total = (long long)json_get_int(answer, "total", 0);
	if (total > (long long)json_array_size(jobs) && !c->quiet)
		fprintf(stderr, "these are %zu of %lld jobs: what runs comes first, then what waits, is queued and has ended, of each the newest; `registryctl status` counts them\n",
			json_array_size(jobs), total);
	return rc;
}

int cmd_jobs(struct ctl *c, struct err *e)
{
	bool watch = args_has(&c->args, "watch");

	while (!*c->stop) {
		int rc;

		if (watch && c->columns && !c->json)
			fputs("\033[H\033[2J", stdout);
		rc = show_jobs(c, e);
		if (rc < 0 || !watch)
			return rc == ERR_CANCELED ? 0 : rc;
		fflush(stdout);
		if (ferror(stdout))
			return 0;	/* main says why */
		nanosleep(&(struct timespec){ WATCH_MS / 1000, (WATCH_MS % 1000) * 1000000L }, NULL);
	}
	return 0;
}
