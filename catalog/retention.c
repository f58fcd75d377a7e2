/* retention.c - see retention.h. */
#include "catalog/retention.h"

#include "base/json.h"
#include "base/vec.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"
#include "catalog/sql.h"
#include "catalog/usage.h"

/* The models of a namespace, $1: a range of the index of names, which compares without case ('0' follows '/'). Names without a '/' are few. */
#define OF_AUTHOR  "m.name >= $1 || '/' AND m.name < $1 || '0'"
#define OF_NOBODY  "m.author_id = (SELECT id FROM term WHERE kind = 1 AND name = $1)"
/*
 * What mirror entries (1: of a repo, by any of its names) pin by commit: no ref holds that, and the entry's next round would fetch what was let go. A commit's id may be cut
 * to 7 digits there; a branch whose name reads like one keeps a revision too many at worst.
 */
#define PINNED                                                                                                                \
	"SELECT x.id FROM mirror AS p JOIN model AS n ON n.name = p.target OR n.id = (SELECT model_id FROM alias WHERE alias.name = p.target) " \
	"JOIN revision AS x ON x.model_id = n.id AND substr(lower(hex(x.commit_id)), 1, length(p.revision)) = lower(p.revision) WHERE p.kind = 1 AND length(p.revision) >= 7"
/* Nobody is served it from a ref, no mirror entry pins it, and nobody pulled it since $2. */
#define NOT_IN_USE                                                                                                            \
	"NOT EXISTS (SELECT 1 FROM ref WHERE ref.model_id = r.model_id AND ref.revision_id = r.id) AND r.id NOT IN (" PINNED ") "  \
	"AND NOT EXISTS (SELECT 1 FROM pull WHERE pull.model_id = r.model_id AND pull.revision_id = r.id AND " USAGE_SINCE("pull", "$2") ")"

struct released {
	int64_t id, model_id;
	enum revision_state state;
};

/* --- what a namespace takes --- */

static const char *of(const char *author, const char *named, const char *nameless)
{
	return *author ? named : nameless;
}

#define BYTES(models)                                                                                                         \
	"SELECT coalesce(sum(b.size_bytes), 0) FROM blob AS b WHERE b.stored = 1 AND b.id IN (SELECT f.blob_id FROM model AS m " \
	"JOIN revision AS r ON r.model_id = m.id JOIN file AS f ON f.revision_id = r.id WHERE " models                          \
	" AND EXISTS (SELECT 1 FROM blob_use AS u WHERE u.blob_id = f.blob_id AND u.revision_id = f.revision_id))"

/* Of those alone that are not held or rejected, nor about to be judged: they wait, and take nobody's place. But for the revision $2. */
#define SETTLED	    " AND (r.state NOT IN (3, 4, 5, 6) OR r.id = $2)"

static int settled_tx(struct db_conn *c, const char *author, int64_t revision_id, uint64_t *bytes, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, of(author, BYTES("(" OF_AUTHOR ")" SETTLED), BYTES("(" OF_NOBODY ")" SETTLED)), e);

	sql_text(&q, author);
	sql_int(&q, revision_id);
	*bytes = sql_row(&q) ? (uint64_t)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

static int bytes_tx(struct db_conn *c, const char *author, uint64_t *bytes, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, of(author, BYTES(OF_AUTHOR), BYTES(OF_NOBODY)), e);

	sql_text(&q, author);
	*bytes = sql_row(&q) ? (uint64_t)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

int retention_namespace_bytes(struct db *db, const char *author, uint64_t *bytes, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : bytes_tx(r.c, author, bytes, e);
}

/* What revisions $2 (a JSON array) want of the namespace and the store lacks, each content once. The join keeps this order of the loops. */
#define MISSING(models)                                                                                                       \
	"SELECT coalesce(sum(x.size_bytes), 0) FROM (SELECT max(f.size_bytes) AS size_bytes FROM json_each($2) AS j CROSS JOIN revision AS r ON r.id = j.value " \
	"CROSS JOIN model AS m ON m.id = r.model_id CROSS JOIN file AS f ON f.revision_id = r.id LEFT JOIN blob AS b ON b.id = f.blob_id WHERE (" models ") " \
	"AND f.wanted > 0 AND coalesce(b.stored, 0) = 0 GROUP BY coalesce(f.blob_id, f.revision_id || '/' || f.path)) AS x"

static int missing_tx(struct db_conn *c, const char *author, const json_t *revisions, uint64_t *bytes, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, of(author, MISSING(OF_AUTHOR), MISSING(OF_NOBODY)), e);
	own(mem) char *text = json_text(revisions);

	sql_text(&q, author);
	sql_text(&q, text);
	*bytes = sql_row(&q) ? (uint64_t)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

static int author_tx(struct db_conn *c, int64_t revision_id, struct arena *a, const char **author, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT t.name FROM revision AS r JOIN model AS m ON m.id = r.model_id JOIN term AS t ON t.id = m.author_id WHERE r.id = $1", e);

	sql_int(&q, revision_id);
	*author = sql_row(&q) ? sql_get_dup(&q, 0, a) : "";
	return sql_done(&q);
}

int retention_bytes_with(struct db *db, int64_t revision_id, struct arena *a, const char **author, uint64_t *bytes, struct err *e)
{
	own(json) json_t *one = json_pack("[I]", (json_int_t)revision_id);
	own(read) struct read r = { 0 };
	uint64_t missing = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0 || (rc = author_tx(r.c, revision_id, a, author, e)) < 0 || (rc = settled_tx(r.c, *author, revision_id, bytes, e)) < 0 ||
	    (rc = missing_tx(r.c, *author, one, &missing, e)) < 0)
		return rc;
	*bytes += missing;
	return 0;
}

int retention_room(struct db *db, int64_t revision_id, const int64_t *running, size_t n, struct arena *a, struct retention_room *out, struct err *e)
{
	own(json) json_t *all = json_pack("[I]", (json_int_t)revision_id);
	own(read) struct read r = { 0 };
	uint64_t missing = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0 || (rc = author_tx(r.c, revision_id, a, &out->author, e)) < 0 || (rc = bytes_tx(r.c, out->author, &out->bytes, e)) < 0 ||
	    (rc = missing_tx(r.c, out->author, all, &out->missing_bytes, e)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, json_integer((json_int_t)running[i]));
	rc = missing_tx(r.c, out->author, all, &missing, e);
	out->bytes += missing;
	return rc;
}

/*
 * What the largest sync of a namespace lacks that waits for room: planned, and not let go of before. One that would not fit into $2 bytes at all asks for nothing.
 */
#define WAITING(models)                                                                                                        \
	"SELECT coalesce(max(w.lacks), 0) FROM (SELECT sum(f.size_bytes) AS lacks FROM model AS m JOIN revision AS r ON r.model_id = m.id " \
	"JOIN file AS f ON f.revision_id = r.id LEFT JOIN blob AS b ON b.id = f.blob_id WHERE " models " AND r.state = 1 AND f.wanted > 0 " \
	"AND coalesce(b.stored, 0) = 0 AND coalesce(r.reason, '') NOT LIKE '%" RETENTION_FETCH_AGAIN "' GROUP BY r.id) AS w WHERE w.lacks <= $2"

static int waiting_tx(struct db_conn *c, const char *author, uint64_t max, uint64_t *bytes, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, of(author, WAITING(OF_AUTHOR), WAITING(OF_NOBODY)), e);

	sql_text(&q, author);
	sql_int(&q, (int64_t)max);
	*bytes = sql_row(&q) ? (uint64_t)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

/* --- who is above his quota --- */

static int authors_with_content(struct db_conn *c, struct arena *a, const char ***out, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT t.name FROM term AS t WHERE t.kind = 1 AND t.id IN (SELECT m.author_id FROM model AS m WHERE m.newest_state > 0) ORDER BY lower(t.name), t.name", e);
	size_t cap = 0;

	/* Spellings that differ in case are one namespace. */
	while (sql_row(&q))
		if (!*n || strcasecmp((*out)[*n - 1], sql_get_text(&q, 0)))
			*list_push(a, out, n, &cap) = sql_get_dup(&q, 0, a);
	return sql_done(&q);
}

int retention_over_quota(struct db *db, const struct policy *p, struct arena *a, struct retention_over **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	const char **authors = NULL;
	size_t n_authors = 0, cap = 0;
	int rc;

	*out = NULL;
	*n = 0;
	if (!p || !policy_has_quotas(p))
		return 0;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	rc = authors_with_content(r.c, a, &authors, &n_authors, e);
	for (size_t i = 0; i < n_authors && rc == 0; i++) {
		uint64_t bytes, waiting, max = policy_quota(p, authors[i]);

		if (!max || (rc = bytes_tx(r.c, authors[i], &bytes, e)) < 0 || (rc = waiting_tx(r.c, authors[i], max, &waiting, e)) < 0)
			continue;
		if (bytes + waiting > max)
			*list_push(a, out, n, &cap) = (struct retention_over){ authors[i], max, waiting };
	}
	return rc;
}

/* --- letting go --- */

static int drop_uses(struct db_conn *c, int64_t revision_id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM blob_use WHERE revision_id = $1 AND blob_id IN (SELECT blob_id FROM file WHERE file.revision_id = $1)", e);

	sql_int(&q, revision_id);
	return sql_run(&q);
}

/* A rejected one stays rejected, with its reason. */
static int say_freed(struct db_conn *c, const struct released *r, const char *why, int64_t now, struct err *e)
{
	char reason[ERR_MSG_MAX];

	snprintf(reason, sizeof(reason), "%.600s, and " RETENTION_FETCH_AGAIN, why);
	if (r->state != REVISION_REJECTED)
		return model_set_state_tx(c, r->id, REVISION_PLANNED, reason, now, e);
	own(sql) struct sql q = sql_prepare(c, "UPDATE revision SET reason = coalesce(reason || '; ', '') || $2 WHERE id = $1", e);
	sql_int(&q, r->id);
	sql_text(&q, reason);
	return sql_run(&q);
}

/* A retired one stays retired: whoever asks for it is still told what to use instead. */
static int release(struct db_conn *c, const struct released *r, const char *why, int64_t now, struct gc_counts *out, struct err *e)
{
	struct model_rev rev;
	int rc;

	if ((rc = model_rev_tx(c, r->id, &rev, e)) < 0 || (rc = drop_uses(c, r->id, e)) < 0 ||
	    (r->state != REVISION_RETIRED && (rc = say_freed(c, r, why, now, e)) < 0) ||
	    (rc = model_refresh_tx(c, r->model_id, e)) < 0 || (rc = event_add_tx(c, "revision.freed", rev.repo, rev.commit, json_pack("{s:s}", "why", why), now, e)) < 0)
		return rc;
	json_array_append_new(out->list, json_pack("{s:s, s:s, s:s}", "repo", rev.repo, "revision", rev.commit, "why", why));
	out->revisions++;
	return 0;
}

static void read_released(struct sql *q, struct released **out, size_t *n)
{
	size_t cap = 0;

	while (sql_row(q))
		*vec_push(out, n, &cap) = (struct released){ sql_get_int(q, 0), sql_get_int(q, 1), (enum revision_state)sql_get_int(q, 2) };
}

/* Since the first time: it may have been judged again and again. One that had nothing stored has nothing to give. */
static int find_rejected(struct db_conn *c, const struct gc_rules *rules, struct released **out, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT r.id, r.model_id, r.state FROM revision AS r WHERE r.state = 6 AND coalesce((SELECT min(d.at) FROM decision AS d WHERE d.revision_id = r.id "
					    "AND d.verdict = 2), r.state_at) < $1 AND EXISTS (SELECT 1 FROM file AS f JOIN blob_use AS u ON u.blob_id = f.blob_id "
					    "AND u.revision_id = f.revision_id JOIN blob AS b ON b.id = f.blob_id AND b.stored = 1 WHERE f.revision_id = r.id) ORDER BY r.id",
					    e);

	sql_int(&q, rules->rejected_before);
	read_released(&q, out, n);
	return sql_done(&q);
}

static int release_rejected(struct db_conn *c, const struct gc_rules *rules, int64_t now, struct gc_counts *out, struct err *e)
{
	own(mem) struct released *list = NULL;
	size_t n = 0;
	int rc = rules->rejected_before ? find_rejected(c, rules, &list, &n, e) : 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = release(c, &list[i], "rejected long ago", now, out, e);
	return rc;
}

/*
 * Published revisions with `keep_last` newer ones of their model that people can get: what is off the doors by a mark of its own, or has lost a file, takes nobody's
 * place. A mark on the whole model is none of theirs: when it goes, the newest should be there.
 */
#define OFF_BY_ITSELF                                                                                                         \
	"EXISTS (SELECT 1 FROM lifecycle AS l WHERE l.model_id = s.model_id AND l.revision_id = s.id "                         \
	"AND (l.withdrawn_at > 0 OR l.retired_at > 0 OR l.sunset_at BETWEEN 1 AND $3))"
/* From the losses, which are few: CROSS JOIN keeps that order of the loops. */
#define HAS_LOST                                                                                                              \
	"s.id IN (SELECT u.revision_id FROM lost CROSS JOIN blob_use AS u ON u.blob_id = lost.blob_id "                        \
	"CROSS JOIN file AS f ON f.revision_id = u.revision_id AND f.blob_id = u.blob_id AND f.wanted = 1)"

static int find_superseded(struct db_conn *c, const struct gc_rules *rules, struct released **out, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT r.id, r.model_id, 7 FROM (SELECT s.id, s.model_id, sum(CASE WHEN " OFF_BY_ITSELF " OR " HAS_LOST " THEN 0 ELSE 1 END) OVER (PARTITION BY s.model_id "
					    "ORDER BY " MODEL_LAST_PUBLISHED("s") ", s.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer FROM revision AS s WHERE s.state = 7) AS r "
					    "WHERE r.newer >= $1 AND " NOT_IN_USE,
					    e);

	sql_int(&q, rules->keep_last);
	sql_int(&q, rules->unused_since);
	sql_int(&q, rules->ended_at);
	read_released(&q, out, n);
	return sql_done(&q);
}

static int release_superseded(struct db_conn *c, const struct gc_rules *rules, int64_t now, struct gc_counts *out, struct err *e)
{
	own(mem) struct released *list = NULL;
	char why[80];
	size_t n = 0;
	int rc;

	if (!rules->keep_last)
		return 0;
	snprintf(why, sizeof(why), "superseded by %lld newer revisions", (long long)rules->keep_last);
	rc = find_superseded(c, rules, &list, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = release(c, &list[i], why, now, out, e);
	return rc;
}

/*
 * What a namespace can do without: first what was retired before anybody could still need it, then published revisions that are not in use, the
 * oldest first. Within a model the oldest is what was published first, whatever the clock said then, so none counts as younger than one that came after it.
 * One of which nothing is left here has nothing to give.
 */
#define SPARE(models)                                                                                                          \
	"SELECT s.id, s.model_id, s.state FROM (SELECT r.id, r.model_id, r.state, r.published_no, r.published_at, min(r.published_at) OVER (PARTITION BY r.model_id, r.state " \
	"ORDER BY " MODEL_LAST_PUBLISHED("r") ", r.id DESC ROWS UNBOUNDED PRECEDING) AS published_by FROM model AS m JOIN revision AS r ON r.model_id = m.id WHERE " models \
	" AND ((r.state = 8 AND r.state_at < $2) OR (r.state = 7 AND " NOT_IN_USE ")) AND EXISTS (SELECT 1 FROM file AS f JOIN blob_use AS u " \
	"ON u.blob_id = f.blob_id AND u.revision_id = f.revision_id WHERE f.revision_id = r.id)) AS s " \
	"ORDER BY s.state DESC, s.published_by, s.model_id, s.published_no, s.published_at, s.id"

static int find_spare(struct db_conn *c, const char *author, const struct gc_rules *rules, struct released **out, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, of(author, SPARE(OF_AUTHOR), SPARE(OF_NOBODY)), e);

	sql_text(&q, author);
	sql_int(&q, rules->unused_since);
	read_released(&q, out, n);
	return sql_done(&q);
}

/* Above the quota anything that is spare goes; for a sync that waits, only what somebody has retired. */
static bool may_go(const struct retention_over *x, uint64_t bytes, enum revision_state state)
{
	return bytes > x->max_bytes || (state == REVISION_RETIRED && bytes + x->waiting_bytes > x->max_bytes);
}

static int release_over(struct db_conn *c, const struct gc_rules *rules, const struct retention_over *x, int64_t now, struct gc_counts *out, struct err *e)
{
	own(mem) struct released *list = NULL;
	uint64_t before = 0, bytes = 0, settled = 0;
	char why[300];
	size_t n = 0;
	int rc;

	if ((rc = bytes_tx(c, x->author, &before, e)) < 0 || (rc = find_spare(c, x->author, rules, &list, &n, e)) < 0)
		return rc;
	bytes = before;
	for (size_t i = 0; i < n && may_go(x, bytes, list[i].state); i++) {
		snprintf(why, sizeof(why), bytes > x->max_bytes ? "%s while %.200s is above its quota" : "%s while a sync waits for room in the quota of %.200s",
			 list[i].state == REVISION_RETIRED ? "retired" : "not in use", x->author);
		if ((rc = release(c, &list[i], why, now, out, e)) < 0 || (rc = bytes_tx(c, x->author, &bytes, e)) < 0)
			return rc;
	}
	if (before <= x->max_bytes)
		return 0;
	if ((rc = settled_tx(c, x->author, 0, &settled, e)) < 0)
		return rc;
	json_array_append_new(out->quotas, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "author", x->author, "max_bytes", (json_int_t)x->max_bytes, "before_bytes",
						     (json_int_t)before, "bytes", (json_int_t)bytes, "over_bytes",
						     (json_int_t)(bytes > x->max_bytes ? bytes - x->max_bytes : 0), "held_bytes", (json_int_t)(bytes - settled)));
	return 0;
}

int retention_release_tx(struct db_conn *c, const struct gc_rules *rules, const struct retention_over *over, size_t n_over, int64_t now, struct gc_counts *out,
			 struct err *e)
{
	int rc = release_rejected(c, rules, now, out, e);

	if (rc == 0)
		rc = release_superseded(c, rules, now, out, e);
	for (size_t i = 0; i < n_over && rc == 0; i++)
		rc = release_over(c, rules, &over[i], now, out, e);
	return rc;
}
