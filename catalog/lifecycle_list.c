/* lifecycle_list.c - see lifecycle.h: what ends when, as JSON and as a calendar. */
#include "catalog/lifecycle.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/lifecycle_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"
#include "catalog/usage.h"

#define CONSUMERS_MAX  20	/* named in one row */
#define ICS_MAX	       (16u << 20)
#define ICS_LINE_MAX   75	/* octets, RFC 5545 section 3.1 */

struct row {
	int64_t model_id, revision_id;
	const char *repo, *commit;	/* commit: NULL for the whole model */
	int64_t at;
	struct lifecycle life;
};

/* Revisions and models with marks that are or were on the doors, in no useful order; with only_dated those that have a date of their own, sooner than their model's. */
static int subjects(struct db_conn *c, int64_t until, bool only_dated, struct arena *a, struct row **rows, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT l.model_id, l.revision_id, m.name, r.commit_id, max(l.at) FROM lifecycle AS l JOIN model AS m ON m.id = l.model_id "
					    "LEFT JOIN revision AS r ON r.id = l.revision_id WHERE l.deprecated_at > 0 "
					    "AND EXISTS (SELECT 1 FROM revision AS p WHERE p.model_id = l.model_id AND l.revision_id IN (0, p.id) AND p.published_at > 0 AND p.state IN (7, 8)) "
					    "AND ($1 = 0 OR l.sunset_at = 0 OR l.sunset_at <= $1) AND ($2 = 0 OR (l.sunset_at > 0 AND (l.revision_id = 0 OR NOT EXISTS "
					    "(SELECT 1 FROM lifecycle AS w WHERE w.model_id = l.model_id AND w.revision_id = 0 AND w.sunset_at BETWEEN 1 AND l.sunset_at)))) "
					    "GROUP BY l.model_id, l.revision_id, m.name, r.commit_id",
					    e);
	struct row *list = NULL;
	size_t count = 0, cap = 0;
	char hex[DIGEST_HEX_MAX];
	struct digest d;
	int rc;

	sql_int(&q, until);
	sql_int(&q, only_dated);
	while (sql_row(&q)) {
		struct row *r = list_push(a, &list, &count, &cap);

		*r = (struct row){ .model_id = sql_get_int(&q, 0), .revision_id = sql_get_int(&q, 1), .repo = sql_get_dup(&q, 2, a), .at = sql_get_int(&q, 4) };
		sql_get_digest(&q, 3, DIGEST_SHA1, &d);
		digest_hex(hex, &d);
		if (*hex)
			r->commit = arena_strdup(a, hex);
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*rows = list;
	*n = count;
	return 0;
}

/* Soonest first, what has no date last. */
static int by_end(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int64_t ends_a = a->life.sunset_at ? a->life.sunset_at : INT64_MAX, ends_b = b->life.sunset_at ? b->life.sunset_at : INT64_MAX;
	int by_name = strcasecmp(a->repo, b->repo);

	if (ends_a != ends_b)
		return ends_a < ends_b ? -1 : 1;
	return by_name ? by_name : (a->revision_id > b->revision_id) - (a->revision_id < b->revision_id);
}

/* What is deprecated or will be, neither retired by hand nor withdrawn, and ends before `until` (0: whenever) or at no date. */
static int marks(struct db_conn *c, const struct policy_lifecycle *rules, int64_t until, bool only_dated, int64_t now, struct arena *a, struct row **rows, size_t *n,
		 struct err *e)
{
	size_t kept = 0;
	int rc = subjects(c, until, only_dated, a, rows, n, e);

	for (size_t i = 0; rc == 0 && i < *n; i++) {
		struct row *r = &(*rows)[i];

		rc = lifecycle_told_tx(c, r->model_id, r->revision_id, rules, now, a, &r->life, e);
		if (rc == 0 && !r->life.withdrawn_at && !r->life.retired_at && (!until || r->life.sunset_at <= until))
			(*rows)[kept++] = *r;
	}
	*n = kept;
	if (kept)
		qsort(*rows, kept, sizeof(**rows), by_end);
	return rc;
}

/* Who pulled it lately: consumers by pulls. */
static int pulls(struct db_conn *c, const struct row *r, int64_t now, json_t *into, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT consumer, sum(pulls) FROM pull WHERE model_id = $1 AND " USAGE_SINCE("pull", "$2") " AND ($3 = 0 OR revision_id = $3) GROUP BY consumer "
					    "ORDER BY 2 DESC, consumer",
					    e);
	json_t *who = json_array();
	int64_t total = 0;

	sql_int(&q, r->model_id);
	sql_int(&q, now - USAGE_LATELY_DAYS * 86400);
	sql_int(&q, r->revision_id);
	while (sql_row(&q)) {
		total += sql_get_int(&q, 1);
		if (json_array_size(who) < CONSUMERS_MAX)
			json_array_append_new(who, json_string(sql_get_text(&q, 0)));
	}
	json_object_set_new(into, "pulls_30d", json_integer(total));
	json_object_set_new(into, "consumers", who);
	return sql_done(&q);
}

static int list_rows(struct db_conn *c, const struct policy_lifecycle *rules, int64_t until, int64_t now, struct arena *a, json_t *out, struct err *e)
{
	struct row *rows;
	size_t n;
	int rc = marks(c, rules, until, false, now, a, &rows, &n, e);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		json_t *j = lifecycle_json(&rows[i].life);

		json_object_set_new(j, "repo", json_string(rows[i].repo));
		json_object_set_new(j, "revision", rows[i].commit ? json_string(rows[i].commit) : json_null());
		json_array_append_new(out, j);
		rc = pulls(c, &rows[i], now, j, e);
	}
	return rc;
}

json_t *lifecycle_list(struct db *db, const struct policy *p, int64_t until, int64_t now, struct err *e)
{
	struct policy_lifecycle rules;
	own(read) struct read r = { 0 };
	own(arena) struct arena a;
	json_t *out = json_array();

	arena_init(&a);
	policy_lifecycle(p, &rules);
	if (read_begin(&r, db, e) < 0 || list_rows(r.c, &rules, until, now, &a, out, e) < 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}

/* --- RFC 5545 --- */

/* TEXT: of the control characters a tab may be in it, and the end of a line by its name. */
static void escaped(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			buf_puts(b, "\\n");
		else if (strchr("\\;,", *s))
			buf_printf(b, "\\%c", *s);
		else if (*s == '\t' || ((unsigned char)*s >= 0x20 && *s != 0x7f))
			buf_putc(b, *s);
	}
}

/* One content line, folded so that no line is longer than 75 octets and no character is cut in half. */
static void line(struct buf *out, const char *name, const char *text)
{
	own(buf) struct buf b;
	size_t at = 0, room = ICS_LINE_MAX;

	buf_init(&b, ICS_MAX);
	buf_printf(&b, "%s:", name);
	escaped(&b, text);
	while (b.len - at > room) {
		size_t n = room;

		while (n > 1 && ((unsigned char)b.data[at + n] & 0xc0) == 0x80)
			n--;
		buf_add(out, b.data + at, n);
		buf_puts(out, "\r\n ");
		at += n;
		room = ICS_LINE_MAX - 1;	/* the space that begins a continuation counts */
	}
	buf_puts(out, b.data + at);
	buf_puts(out, "\r\n");
}

static void compact(char out[20], int64_t at, bool date_only)
{
	char iso[STR_TIME_MAX];
	size_t n = 0;

	str_format_iso(iso, at);
	for (const char *p = iso; *p && n < (date_only ? 8u : 16u); p++)
		if (*p != '-' && *p != ':')
			out[n++] = *p;
	out[n] = 0;
}

static void event(struct buf *out, const struct row *r, const struct lifecycle *l, struct arena *a)
{
	char at[20], text[MODEL_NAME_MAX + 64];

	buf_puts(out, "BEGIN:VEVENT\r\n");
	snprintf(text, sizeof(text), "sunset-%lld-%lld@registryd", (long long)r->model_id, (long long)r->revision_id);
	line(out, "UID", text);
	compact(at, r->at, false);
	line(out, "DTSTAMP", at);
	compact(at, l->sunset_at, true);
	line(out, "DTSTART;VALUE=DATE", at);
	snprintf(text, sizeof(text), "%s%s%.12s ends", r->repo, r->commit ? "@" : "", r->commit ? r->commit : "");
	line(out, "SUMMARY", text);
	/* Whole, however long: a reader cuts it where it likes. */
	line(out, "DESCRIPTION", arena_printf(a, "%s%s%s%s", l->reason ? l->reason : "", l->reason ? "\n" : "", l->successor ? "Use " : "No successor is named.", l->successor ? l->successor : ""));
	line(out, "TRANSP", "TRANSPARENT");
	buf_puts(out, "END:VEVENT\r\n");
}

static int write_events(struct db_conn *c, const struct policy_lifecycle *rules, int64_t now, struct buf *out, struct err *e)
{
	own(arena) struct arena a;
	struct row *rows;
	size_t n;
	int rc;

	arena_init(&a);
	rc = marks(c, rules, 0, true, now, &a, &rows, &n, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		event(out, &rows[i], &rows[i].life, &a);
	return rc;
}

char *lifecycle_ics(struct db *db, const struct policy *p, int64_t now, struct err *e)
{
	struct policy_lifecycle rules;
	own(read) struct read r = { 0 };
	own(buf) struct buf b;

	policy_lifecycle(p, &rules);
	buf_init(&b, ICS_MAX);
	buf_puts(&b, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//registryd//lifecycle//EN\r\nCALSCALE:GREGORIAN\r\nX-WR-CALNAME:Model sunset dates\r\n");
	if (read_begin(&r, db, e) < 0 || write_events(r.c, &rules, now, &b, e) < 0)
		return NULL;
	buf_puts(&b, "END:VCALENDAR\r\n");
	if (buf_failed(&b)) {
		err_set(e, ERR_LIMIT, "the calendar would be larger than %u bytes", ICS_MAX);
		return NULL;
	}
	return buf_take(&b);
}
