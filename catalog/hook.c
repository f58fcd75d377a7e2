/* hook.c - see hook.h. */
#include "catalog/hook.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/list.h"
#include "catalog/sql.h"

#define LOOK_AHEAD 200	/* events read at a time while skipping those that are not asked for */

struct place {
	int64_t event_id, next_at;
	int attempts;
	bool known;
};

static int read_place(struct db_conn *c, const char *url, struct place *p, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT event_id, attempts, next_at FROM hook WHERE url = $1", e);

	*p = (struct place){ 0 };
	sql_text(&q, url);
	if (sql_row(&q))
		*p = (struct place){ .event_id = sql_get_int(&q, 0), .attempts = (int)sql_get_int(&q, 1), .next_at = sql_get_int(&q, 2), .known = true };
	return sql_done(&q);
}

static int put_place(struct db_conn *c, const char *url, const struct place *p, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO hook (url, event_id, attempts, next_at) VALUES ($1, $2, $3, $4) "
					    "ON CONFLICT (url) DO UPDATE SET event_id = $2, attempts = $3, next_at = $4",
					    e);

	sql_text(&q, url);
	sql_int(&q, p->event_id);
	sql_int(&q, p->attempts);
	sql_int(&q, p->next_at);
	return sql_run(&q);
}

/* Is this event still to be told? The settings may have dropped the address while it was, and even named it anew: then it began behind it. */
static bool is_ahead(const struct place *p, int64_t event_id)
{
	return p->known && p->event_id < event_id;
}

static int save_place(struct db *db, const char *url, const struct place *p, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = put_place(t.c, url, p, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

static int load_place(struct db *db, const char *url, struct place *p, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : read_place(r.c, url, p, e);
}

int hook_begin(struct db *db, const char *url, struct err *e)
{
	struct event_head head;
	struct place p;
	int rc = load_place(db, url, &p, e);

	if (rc < 0 || p.known || (rc = event_head(db, &head, e)) < 0)
		return rc;
	return save_place(db, url, &(struct place){ .event_id = head.id }, e);
}

static bool is_named(const char *url, const char *const *urls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(urls[i], url))
			return true;
	return false;
}

static int list_others(struct db *db, const char *const *urls, size_t n, struct arena *a, const char ***out, size_t *n_out, struct err *e)
{
	own(read) struct read r = { 0 };
	size_t cap = 0;
	int rc;

	*out = NULL;
	*n_out = 0;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT url FROM hook", e);
	while (sql_row(&q))
		if (!is_named(sql_get_text(&q, 0), urls, n))
			*list_push(a, out, n_out, &cap) = sql_get_dup(&q, 0, a);
	return sql_done(&q);
}

static int forget(struct db_conn *c, const char *url, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM hook WHERE url = $1", e);

	sql_text(&q, url);
	return sql_run(&q);
}

int hook_forget_others(struct db *db, const char *const *urls, size_t n, struct err *e)
{
	own(tx) struct tx t = { 0 };
	own(arena) struct arena a;
	const char **others;
	size_t n_others;
	int rc;

	arena_init(&a);
	if ((rc = list_others(db, urls, n, &a, &others, &n_others, e)) < 0 || !n_others || (rc = tx_begin(&t, db, e)) < 0)
		return rc;
	for (size_t i = 0; i < n_others; i++)
		if ((rc = forget(t.c, others[i], e)) < 0)
			return rc;
	return tx_commit(&t, e);
}

static bool asked_for(const char *kind, const char *const *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_glob(kinds[i], kind))
			return true;
	return n == 0;
}

/* The first event behind `after` that is asked for; *seen is the last one looked at. */
static int find_event(struct db *db, int64_t after, const char *const *kinds, size_t n_kinds, struct arena *a, struct event *ev, bool *found, int64_t *seen,
		      struct err *e)
{
	struct event *list;
	size_t n;
	int rc;

	*found = false;
	*seen = after;
	do {
		if ((rc = event_list(db, *seen, NULL, LOOK_AHEAD, a, &list, &n, e)) < 0)
			return rc;
		for (size_t i = 0; i < n; i++) {
			if (asked_for(list[i].kind, kinds, n_kinds)) {
				*ev = list[i];
				*found = true;
				return 0;
			}
			*seen = list[i].id;
		}
	} while (n == LOOK_AHEAD);
	return 0;
}

/* What was tried is not tried again when the settings no longer ask for it; the event after it has had no attempt. */
static int check_tried(struct db *db, struct place *p, const char *const *kinds, size_t n_kinds, struct arena *a, struct err *e)
{
	struct event *ev;
	size_t n;
	int rc;

	if (!p->attempts)
		return 0;
	rc = event_list(db, p->event_id, NULL, 1, a, &ev, &n, e);
	if (rc < 0)
		return rc;
	if (!n || ev->id != p->event_id + 1 || !asked_for(ev->kind, kinds, n_kinds))
		p->attempts = 0;
	return 0;
}

static int64_t pause_after(int attempt)
{
	int64_t pause = HOOK_PAUSE_S;

	while (--attempt > 0 && pause < HOOK_PAUSE_MAX_S)
		pause *= 2;
	return pause < HOOK_PAUSE_MAX_S ? pause : HOOK_PAUSE_MAX_S;
}

int hook_next(struct db *db, const char *url, const char *const *kinds, size_t n_kinds, int64_t now, struct arena *a, struct event *ev, int *attempt,
	      int64_t *next_at, struct err *e)
{
	struct place p;
	int64_t seen;
	bool found;
	int rc = load_place(db, url, &p, e);

	if (next_at)
		*next_at = 0;
	if (rc < 0)
		return rc;
	if (!p.known)
		return err_set(e, ERR_NOT_FOUND, "the address has not begun");
	if ((rc = check_tried(db, &p, kinds, n_kinds, a, e)) < 0)
		return rc;
	if (p.attempts && p.next_at > now && p.next_at <= now + pause_after(p.attempts)) {	/* further ahead it was set by a clock that was wrong */
		if (next_at)
			*next_at = p.next_at;
		return err_set(e, ERR_NOT_FOUND, "the next attempt is not due yet");
	}
	if ((rc = find_event(db, p.event_id, kinds, n_kinds, a, ev, &found, &seen, e)) < 0)
		return rc;
	if (found) {
		*attempt = p.attempts + 1;
		return 0;
	}
	/* Do not look at them again each time. */
	if (seen > p.event_id && (rc = save_place(db, url, &(struct place){ .event_id = seen }, e)) < 0)
		return rc;
	return err_set(e, ERR_NOT_FOUND, "there is no event to tell");
}

static int put_delivery(struct db_conn *c, const char *url, int64_t event_id, int attempt, int status, const char *error, int64_t now, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO hook_delivery (url, event_id, at, attempt, status, delivered, error) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id", e);

	sql_text(&q, url);
	sql_int(&q, event_id);
	sql_int(&q, now);
	sql_int(&q, attempt);
	sql_int(&q, status);
	sql_int(&q, error == NULL);
	sql_text(&q, error);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}

static int trim_history(struct db_conn *c, int64_t newest, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM hook_delivery WHERE id <= $1", e);

	sql_int(&q, newest - HOOK_HISTORY_MAX);
	return sql_run(&q);
}

int hook_tried(struct db *db, const char *url, int64_t event_id, int attempt, int status, const char *error, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct place p;
	int64_t id = 0;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = put_delivery(t.c, url, event_id, attempt, status, error, now, &id, e)) < 0 ||
	    (rc = trim_history(t.c, id, e)) < 0 || (rc = read_place(t.c, url, &p, e)) < 0)
		return rc;
	if (is_ahead(&p, event_id)) {
		if (!error || attempt >= HOOK_ATTEMPTS_MAX)
			p = (struct place){ .event_id = event_id };
		else	/* just before it: what lies between was not asked for, and attempts are of the event after the place */
			p = (struct place){ .event_id = event_id - 1, .attempts = attempt, .next_at = now + pause_after(attempt) };
		if ((rc = put_place(t.c, url, &p, e)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

json_t *hook_history(struct db *db, const char *url, size_t limit, struct err *e)
{
	own(read) struct read r = { 0 };
	json_t *list;

	if (read_begin(&r, db, e) < 0)
		return NULL;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT url, event_id, at, attempt, status, delivered, error FROM hook_delivery WHERE ($1 IS NULL OR url = $1) ORDER BY id DESC LIMIT $2", e);
	sql_text(&q, url);
	sql_int(&q, limit == 0 || limit > HOOK_HISTORY_MAX ? HOOK_HISTORY_MAX : (int64_t)limit);
	list = json_array();
	while (sql_row(&q))
		json_array_append_new(list, json_pack("{s:s,s:I,s:o,s:I,s:I,s:b,s:s?}", "url", sql_get_text(&q, 0), "event", (json_int_t)sql_get_int(&q, 1), "at",
						      json_time(sql_get_int(&q, 2)), "attempt", (json_int_t)sql_get_int(&q, 3), "status", (json_int_t)sql_get_int(&q, 4),
						      "delivered", sql_get_int(&q, 5) != 0, "error", sql_get_text(&q, 6)));
	if (sql_done(&q) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}
