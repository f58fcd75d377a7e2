/* event.c - see event.h. */
#include "catalog/event.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/sql.h"

const char *const event_kinds[] = {
	"blob.lost", "job.failed", "lifecycle.deprecated", "lifecycle.ended", "lifecycle.restored", "lifecycle.retired", "lifecycle.undeprecated",
	"lifecycle.withdrawn", "lifecycle.withdrawn_legal", "policy.changed", "policy.refused", "revision.files_refused", "revision.freed",
	"revision.held", "revision.published", "revision.rejected", "revision.sbom", "token.created", "token.revoked", "upstream.card_changed",
	"upstream.commit_gone", "upstream.contradicts", "upstream.disabled", "upstream.enabled", "upstream.gated", "upstream.license_changed",
	"upstream.moved", "upstream.name_reused", "upstream.private", "upstream.public", "upstream.ref_gone", "upstream.renamed", "upstream.returned",
	"upstream.rewritten", "upstream.ungated", "upstream.vanished", NULL,
};

#define EVENT_DATA_MAX (64u << 10)
#define LIST_MAX       10000

/* The text whose hash is chained. data is canonical already (json_text). */
static void chain(struct digest *out, const struct digest *previous, const struct event *ev)
{
	struct digest_ctx c = { 0 };
	own(json) json_t *j = NULL;
	own(mem) char *text = NULL;

	j = json_pack("{s:I,s:s,s:s,s:s,s:I}", "at", (json_int_t)ev->at, "kind", ev->kind, "repo", ev->repo, "revision", ev->revision, "id", (json_int_t)ev->id);
	if (!j)
		j = json_object();	/* text that is no UTF-8 never gets in (event_add_tx), so a row that has it was altered: another hash */
	/* data goes in as the text it is kept as, not parsed: a number's spelling must not matter. */
	text = json_text(j);
	digest_begin(&c, DIGEST_SHA256);
	digest_update(&c, previous->bytes, 32);
	digest_update(&c, text, strlen(text));
	digest_update(&c, "\n", 1);
	digest_update(&c, ev->data, strlen(ev->data));
	digest_end(&c, out);
	digest_done(&c);
}

static int head_of(struct db_conn *c, struct event_head *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT id, at, hash FROM event ORDER BY id DESC LIMIT 1", e);

	*out = (struct event_head){ .hash = { .algo = DIGEST_SHA256 } };
	if (sql_row(&q)) {
		out->id = sql_get_int(&q, 0);
		out->at = sql_get_int(&q, 1);
		sql_get_digest(&q, 2, DIGEST_SHA256, &out->hash);
	}
	return sql_done(&q);
}

static int insert(struct db_conn *c, const struct event *ev, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO event (id, at, kind, repo, revision, data, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)", e);

	sql_int(&q, ev->id);
	sql_int(&q, ev->at);
	sql_text(&q, ev->kind);
	sql_text(&q, ev->repo);
	sql_text(&q, ev->revision);
	sql_text(&q, ev->data);
	sql_digest(&q, &ev->hash);
	return sql_run(&q);
}

int event_add_tx(struct db_conn *c, const char *kind, const char *repo, const char *revision, json_t *data, int64_t now, struct err *e)
{
	own(json) json_t *j = data ? data : json_object();
	own(mem) char *text = json_text(j);
	struct event ev = { .at = now, .kind = kind, .repo = repo ? repo : "", .revision = revision ? revision : "", .data = text };
	struct event_head head;
	int rc;

	if (strlen(text) > EVENT_DATA_MAX)
		return err_set(e, ERR_LIMIT, "event %s with %zu bytes of data: at most %u", kind, strlen(text), EVENT_DATA_MAX);
	if (!str_utf8_valid(ev.repo, strlen(ev.repo)) || !str_utf8_valid(ev.revision, strlen(ev.revision)))
		return err_set(e, ERR_INPUT, "event %s names a model in bytes that are not UTF-8", kind);
	if ((rc = head_of(c, &head, e)) < 0)
		return rc;
	ev.id = head.id + 1;	/* without gaps: a missing row shows */
	chain(&ev.hash, &head.hash, &ev);
	return insert(c, &ev, e);
}

static int said_before(struct db_conn *c, const char *kind, const char *repo, const char *revision, const char *reason, bool *said, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT kind = $3 AND coalesce(json_extract(data, '$.reason'), '') = $4 FROM event WHERE repo = $1 AND revision = $2 "
					    "AND kind IN ('revision.held', 'revision.rejected', 'revision.published') ORDER BY id DESC LIMIT 1",
					    e);

	sql_text(&q, repo);
	sql_text(&q, revision);
	sql_text(&q, kind);
	sql_text(&q, reason);
	*said = sql_row(&q) && sql_get_int(&q, 0);
	return sql_done(&q);
}

int event_turned_down_tx(struct db_conn *c, const char *kind, const char *repo, const char *revision, const char *reason, const char *by, int64_t now, struct err *e)
{
	bool said = false;
	int rc = said_before(c, kind, repo, revision, reason ? reason : "", &said, e);

	return rc < 0 || said ? rc : event_add_tx(c, kind, repo, revision, json_pack("{s:s,s:s*}", "reason", reason ? reason : "", "by", by), now, e);
}

int event_add(struct db *db, const char *kind, const char *repo, const char *revision, json_t *data, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0) {
		json_decref(data);
		return rc;
	}
	if ((rc = event_add_tx(t.c, kind, repo, revision, data, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

static int is_there(struct db_conn *c, const char *kind, const char *repo, const char *revision, bool *there, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT 1 FROM event WHERE repo = $1 AND revision = $2 AND kind = $3 LIMIT 1", e);

	sql_text(&q, repo);
	sql_text(&q, revision);
	sql_text(&q, kind);
	*there = sql_row(&q);
	return sql_done(&q);
}

int event_add_once(struct db *db, const char *kind, const char *repo, const char *revision, json_t *data, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	bool there = false;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = is_there(t.c, kind, repo, revision, &there, e)) < 0 || there) {
		json_decref(data);
		return rc;
	}
	rc = event_add_tx(t.c, kind, repo, revision, data, now, e);
	return rc < 0 ? rc : tx_commit(&t, e);
}

static void row(struct sql *q, struct arena *a, struct event *ev)
{
	ev->id = sql_get_int(q, 0);
	ev->at = sql_get_int(q, 1);
	ev->kind = sql_get_dup(q, 2, a);
	ev->repo = sql_get_dup(q, 3, a);
	ev->revision = sql_get_dup(q, 4, a);
	ev->data = sql_get_dup(q, 5, a);
	sql_get_digest(q, 6, DIGEST_SHA256, &ev->hash);
}

#define COLUMNS "SELECT id, at, kind, repo, revision, data, hash FROM event "

int event_list(struct db *db, int64_t since, const char *repo, size_t limit, struct arena *a, struct event **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	struct event *list;
	size_t count = 0;
	int rc;

	if (limit == 0 || limit > LIST_MAX)
		limit = LIST_MAX;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	list = arena_alloc(a, limit * sizeof(*list));
	own(sql) struct sql q = sql_prepare(r.c, repo ? COLUMNS "WHERE id > $1 AND repo = $3 ORDER BY id LIMIT $2" : COLUMNS "WHERE id > $1 ORDER BY id LIMIT $2", e);
	sql_int(&q, since);
	sql_int(&q, (int64_t)limit);
	if (repo)
		sql_text(&q, repo);
	while (sql_row(&q) && count < limit)
		row(&q, a, &list[count++]);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*out = list;
	*n = count;
	return 0;
}

int64_t event_wait(struct db *db, int64_t since, int timeout_ms, struct err *e)
{
	struct event_head head;
	struct timespec t;
	int64_t deadline, left = timeout_ms;
	uint64_t seen = 0;
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &t);
	deadline = t.tv_sec * 1000 + t.tv_nsec / 1000000 + timeout_ms;
	db_wait_change(db, &seen, 0);
	for (;;) {
		if ((rc = event_head(db, &head, e)) < 0)
			return rc;
		if (head.id > since || left <= 0)
			return head.id;
		db_wait_change(db, &seen, (int)left);
		clock_gettime(CLOCK_MONOTONIC, &t);
		left = deadline - (t.tv_sec * 1000 + t.tv_nsec / 1000000);
	}
}

json_t *event_json(const struct event *ev)
{
	char at[STR_TIME_MAX], hash[DIGEST_HEX_MAX];
	json_t *data = json_parse_lax(ev->data, strlen(ev->data), "event", NULL);

	str_format_iso(at, ev->at);
	digest_hex(hash, &ev->hash);
	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:o,s:s}", "id", (json_int_t)ev->id, "at", at, "kind", ev->kind, "repo", ev->repo, "revision", ev->revision,
			 "data", data ? data : json_object(), "hash", hash);
}

int event_head(struct db *db, struct event_head *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : head_of(r.c, out, e);
}

/* --- verifying --- */

struct walk {
	struct event_head head;		/* of what has been checked */
	bool found;			/* the hash that was expected */
	int64_t bad_id;
};

static int check_one(struct walk *w, const struct event *ev, bool whole, const struct digest *expected, struct err *e)
{
	struct digest hash;

	w->bad_id = w->head.id + 1;
	if (ev->id != w->head.id + 1)
		return err_set(e, ERR_MISMATCH, "event %lld is missing (the next one is %lld)", (long long)w->bad_id, (long long)ev->id);
	if (!whole)
		return err_set(e, ERR_MISMATCH, "event %lld (%s) was altered: one of its texts is missing or has a NUL in it", (long long)ev->id, ev->kind);
	chain(&hash, &w->head.hash, ev);
	if (!digest_equal(&hash, &ev->hash))
		return err_set(e, ERR_MISMATCH, "event %lld (%s) was altered, or the one before it was: its hash does not follow", (long long)ev->id, ev->kind);
	w->head = (struct event_head){ .id = ev->id, .at = ev->at, .hash = hash };
	w->found = w->found || digest_equal(&hash, expected);
	return 0;
}

/* A text is written without a NUL. One that has it was altered: what is behind it is seen by nobody who reads the event, and not by chain() either. */
static const char *whole_text(struct sql *q, int col, bool *whole)
{
	size_t n;
	const char *s = sql_get_text(q, col);

	sql_get_blob(q, col, &n);
	*whole = *whole && s && strlen(s) == n;
	return s ? s : "";
}

static int walk(struct db_conn *c, struct walk *w, const struct digest *expected, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, COLUMNS "ORDER BY id", e);
	int rc = 0;

	while (rc == 0 && sql_row(&q)) {
		bool whole = true;
		struct event ev = { .id = sql_get_int(&q, 0), .at = sql_get_int(&q, 1), .kind = whole_text(&q, 2, &whole), .repo = whole_text(&q, 3, &whole),
				    .revision = whole_text(&q, 4, &whole), .data = whole_text(&q, 5, &whole) };

		sql_get_digest(&q, 6, DIGEST_SHA256, &ev.hash);
		rc = check_one(w, &ev, whole, expected, e);
	}
	return rc < 0 ? rc : sql_done(&q);
}

int event_verify(struct db *db, const struct digest *expected, int64_t *checked, int64_t *bad_id, struct err *e)
{
	struct walk w = { .head.hash.algo = DIGEST_SHA256 };
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	if (rc < 0)
		return rc;
	rc = walk(r.c, &w, expected, e);
	if (checked)
		*checked = w.head.id;
	if (rc == 0 && expected->algo != DIGEST_NONE && !w.found) {
		w.bad_id = w.head.id + 1;
		rc = err_set(e, ERR_MISMATCH, "the chain holds up to event %lld, but no event has the expected head's hash: later events were cut off",
			     (long long)w.head.id);
	}
	if (bad_id)
		*bad_id = rc == ERR_MISMATCH ? w.bad_id : 0;
	return rc;
}
