/* cmd_events.c - events, audit head and audit verify: what happened, and whether the record of it is whole. */
#include "cli/text.h"
#include "cli/verb.h"

#define PAGE_EVENTS 1000
#define FOLLOW_MS 1000
#define FOLLOW_TAIL 10	/* events shown before those to come */

/* One event a line: in JSON too, so that a reader can take them as they come. */
static int print_event(const struct ctl *c, const json_t *ev, struct err *e)
{
	own(mem) char *data = NULL, *clean = NULL;

	if (c->json && args_has(&c->args, "follow")) {
		own(mem) char *text = json_text(ev);

		return puts(text) < 0 ? err_errno(e, "write to standard output") : 0;
	}
	data = json_text(json_object_get(ev, "data"));
	clean = text_clean(data);
	printf("%-7lld %s  %-22s %s%s%.12s %s\n", (long long)json_get_int(ev, "id", 0), ctl_when(ev, "at"), ctl_text(ev, "kind"), ctl_text(ev, "repo"),
	       json_get_str(ev, "revision") && *json_get_str(ev, "revision") ? "@" : "", json_get_str_or(ev, "revision", ""),
	       strcmp(clean, "{}") != 0 ? clean : "");
	return 0;
}

/* The next page behind *after (negative: the last few); *n is how many it had. */
static int page(struct ctl *c, int64_t *after, json_t *all, size_t *n, struct err *e)
{
	own(json) json_t *answer = NULL;
	own(buf) struct buf path;
	const json_t *events, *ev;
	size_t i;
	int rc;

	buf_init(&path, CLIENT_PATH_MAX);
	buf_puts(&path, "/-/v1/events");
	if (*after < 0)
		client_query_number(&path, "tail", FOLLOW_TAIL);
	else
		client_query_number(&path, "after", *after);
	client_query_number(&path, "limit", PAGE_EVENTS);
	rc = client_get(&c->client, path.data, &answer, e);
	if (rc < 0)
		return rc;
	events = json_object_get(answer, "events");
	*after = *after < 0 ? 0 : *after;
	*n = json_array_size(events);
	json_array_foreach(events, i, ev) {
		*after = json_get_int(ev, "id", *after);
		if (all)
			json_array_append(all, (json_t *)ev);
		else if (print_event(c, ev, e) < 0)
			return e->code;
	}
	return 0;
}

int cmd_events(struct ctl *c, struct err *e)
{
	bool follow = args_has(&c->args, "follow");
	own(json) json_t *all = c->json && !follow ? json_array() : NULL;
	int64_t after = follow ? -1 : 0;
	size_t n = 1;
	int rc = 0;

	while (!*c->stop && rc == 0) {
		rc = page(c, &after, all, &n, e);
		if (rc < 0 || n == PAGE_EVENTS)
			continue;
		if (!follow)
			return all ? ctl_print_json(all, e) : 0;
		fflush(stdout);
		if (ferror(stdout))
			return 0;	/* main says why */
		nanosleep(&(struct timespec){ FOLLOW_MS / 1000, (FOLLOW_MS % 1000) * 1000000L }, NULL);
	}
	return rc == ERR_CANCELED ? 0 : rc;
}

int cmd_audit_verify(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;
	own(buf) struct buf path;
	int rc;

	buf_init(&path, CLIENT_PATH_MAX);
	buf_puts(&path, "/-/v1/audit");
	client_query_add(&path, "head", args_text(&c->args, "head"));
	rc = client_get(&c->client, path.data, &answer, e);
	if (rc < 0)
		return rc;
	if (c->json && ctl_print_json(answer, e) < 0)
		return e->code;
	if (!json_get_bool(answer, "intact", false))
		return err_set(e, ERR_MISMATCH, "%s", ctl_text(answer, "message"));
	ctl_say(c, "%lld events, the chain is whole; head %s", (long long)json_get_int(answer, "checked", 0), ctl_text(answer, "head"));
	return 0;
}

int cmd_audit_head(struct ctl *c, struct err *e)
{
	own(json) json_t *answer = NULL;
	int rc = client_get(&c->client, "/-/v1/audit/head", &answer, e);

	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	printf("%s\n", ctl_text(answer, "head"));
	return 0;
}
