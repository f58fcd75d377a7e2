/* recertify.c - see recertify.h. */
#include "catalog/recertify.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"
#include "catalog/sql.h"

#define KINDS_MAX 8	/* kinds of devices */

/* "cuda:0 NVIDIA H100" is of the kind "cuda". */
static size_t kind_length(const char *device)
{
	return strcspn(device, ": ");
}

int recertify_any(struct db *db, bool *any, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	if (rc < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT 1 FROM smoke_run AS s JOIN revision AS r ON r.id = s.revision_id WHERE r.state = 7 AND s.device IS NOT NULL "
					    "AND s.platform IS NOT NULL LIMIT 1",
					    e);
	*any = sql_row(&q);
	return sql_done(&q);
}

/* The newest platform of each kind of device, behind those that are in `out` already. */
static int newest_platforms(struct db_conn *c, struct arena *a, struct recertify_platform out[KINDS_MAX], size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT device, platform FROM smoke_run WHERE id IN (SELECT max(id) FROM smoke_run WHERE device IS NOT NULL AND platform IS NOT NULL "
					    "AND verdict IN ('pass', 'fail') GROUP BY device) ORDER BY id DESC",
					    e);

	while (sql_row(&q)) {
		const char *device = sql_get_text(&q, 0);
		bool known = *n == KINDS_MAX;

		for (size_t i = 0; i < *n && !known; i++)
			known = kind_length(out[i].device) == kind_length(device) && !strncmp(out[i].device, device, kind_length(device));
		if (!known)
			out[(*n)++] = (struct recertify_platform){ sql_get_dup(&q, 0, a), sql_get_dup(&q, 1, a) };
	}
	return sql_done(&q);
}

static bool is_outdated(const char *device, const char *platform, const struct recertify_platform *now, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (kind_length(now[i].device) == kind_length(device) && !strncmp(now[i].device, device, kind_length(device)))
			return strcmp(now[i].text, platform) != 0 || strcmp(now[i].device, device) != 0;
	return false;
}

int recertify_due(struct db *db, const struct recertify_platform *now, int64_t at, size_t limit, struct arena *a, struct recertify_due **out, size_t *n, struct err *e)
{
	struct recertify_platform newest[KINDS_MAX];
	own(read) struct read r = { 0 };
	size_t n_now = 0, cap = 0;
	int rc;

	*out = NULL;
	*n = 0;
	if (now)
		newest[n_now++] = *now;
	if ((rc = read_begin(&r, db, e)) < 0 || (rc = newest_platforms(r.c, a, newest, &n_now, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT m.name, r.commit_id, s.device, s.platform FROM smoke_run AS s JOIN revision AS r ON r.id = s.revision_id JOIN model AS m ON m.id = r.model_id "
					    "WHERE r.state = 7 AND s.device IS NOT NULL AND s.platform IS NOT NULL "
					    "AND s.id = (SELECT max(x.id) FROM smoke_run AS x WHERE x.revision_id = s.revision_id AND x.verdict <> 'error') "
					    "AND NOT EXISTS (SELECT 1 FROM smoke_run AS y WHERE y.revision_id = s.revision_id AND y.id > s.id AND y.at > $1 AND y.at <= $2) "
					    "AND NOT EXISTS (SELECT 1 FROM lifecycle AS l WHERE l.model_id = r.model_id AND l.revision_id IN (0, r.id) "
					    "AND (l.retired_at > 0 OR l.withdrawn_at > 0)) ORDER BY s.id",
					    e);
	sql_int(&q, at - RECERTIFY_RETRY_S);
	sql_int(&q, at);	/* of later ones the clock was wrong */
	while (*n < limit && sql_row(&q)) {
		char hex[DIGEST_HEX_MAX];
		struct digest commit;

		if (!is_outdated(sql_get_text(&q, 2), sql_get_text(&q, 3), newest, n_now))
			continue;
		sql_get_digest(&q, 1, DIGEST_SHA1, &commit);
		digest_hex(hex, &commit);
		*list_push(a, out, n, &cap) = (struct recertify_due){ sql_get_dup(&q, 0, a), arena_strdup(a, hex) };
	}
	return sql_done(&q);
}

static int mark(struct db_conn *c, const struct model_rev *rev, const char *who, const char *reason, int64_t now, bool *changed, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO lifecycle (model_id, revision_id, source, deprecated_at, reason, who, at) VALUES ($1, $2, $5, $3, $4, $5, $3) "
					    "ON CONFLICT (model_id, revision_id, source) DO UPDATE SET reason = $4, at = $3, deprecated_at = CASE WHEN lifecycle.deprecated_at > $3 THEN $3 "
					    "ELSE lifecycle.deprecated_at END WHERE lifecycle.reason <> $4 OR lifecycle.deprecated_at > $3 RETURNING model_id",
					    e);

	sql_int(&q, rev->model_id);
	sql_int(&q, rev->id);
	sql_int(&q, now);
	sql_text(&q, reason);
	sql_text(&q, who);
	*changed = sql_row(&q);
	return sql_done(&q);
}

static int unmark(struct db_conn *c, const struct model_rev *rev, const char *who, bool *changed, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM lifecycle WHERE model_id = $1 AND revision_id = $2 AND source = $3 RETURNING model_id", e);

	sql_int(&q, rev->model_id);
	sql_int(&q, rev->id);
	sql_text(&q, who);
	*changed = sql_row(&q);
	return sql_done(&q);
}

static int changed_tx(struct db_conn *c, const struct model_rev *rev, const char *who, const char *reason, int64_t now, struct err *e)
{
	int rc = model_refresh_tx(c, rev->model_id, e);

	return rc < 0 ? rc
		      : event_add_tx(c, reason ? "lifecycle.deprecated" : "lifecycle.undeprecated", rev->repo, rev->commit, json_pack("{s:s, s:s?}", "by", who, "reason", reason),
				     now, e);
}

int recertify_record(struct db *db, int64_t revision_id, const char *who, const char *reason, int64_t now, bool *changed, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	bool did = false;
	int rc;

	if (changed)
		*changed = false;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0 || rev.state != REVISION_PUBLISHED)
		return rc;
	rc = reason ? mark(t.c, &rev, who, reason, now, &did, e) : unmark(t.c, &rev, who, &did, e);
	if (rc < 0 || !did)
		return rc;
	if ((rc = changed_tx(t.c, &rev, who, reason, now, e)) < 0 || (rc = tx_commit(&t, e)) < 0)
		return rc;
	if (changed)
		*changed = true;
	return 0;
}

struct lived {
	struct policy_lived *v;
	size_t n, cap;
};

static int of_marks(struct db_conn *c, int64_t revision_id, struct arena *a, struct lived *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT l.source, l.reason FROM lifecycle AS l JOIN revision AS r ON r.model_id = l.model_id AND r.id = l.revision_id "
					    "WHERE r.id = $1 AND l.source IN ('" RECERTIFY_SMOKE "', '" RECERTIFY_LICENCE "')",
					    e);

	sql_int(&q, revision_id);
	while (sql_row(&q))
		*list_push(a, &out->v, &out->n, &out->cap) =
			(struct policy_lived){ strcmp(sql_get_text(&q, 0), RECERTIFY_SMOKE) ? "license" : "smoke", sql_get_dup(&q, 1, a), true };
	return sql_done(&q);
}

/* What is published has no need of it: it is served with whatever is against it now. */
static int of_decisions(struct db_conn *c, int64_t revision_id, struct arena *a, struct lived *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT d.rule, d.reason FROM decision AS d JOIN revision AS r ON r.id = d.revision_id WHERE r.id = $1 AND r.state <> 7 AND d.verdict = 0 "
					    "AND d.run = (SELECT max(x.run) FROM decision AS x WHERE x.revision_id = r.id) ORDER BY d.id",
					    e);

	sql_int(&q, revision_id);
	while (sql_row(&q)) {
		const char *text = policy_lived_with(sql_get_text(&q, 1), a);

		if (text)
			*list_push(a, &out->v, &out->n, &out->cap) = (struct policy_lived){ sql_get_dup(&q, 0, a), text, false };
	}
	return sql_done(&q);
}

int recertify_lived_with(struct db *db, int64_t revision_id, struct arena *a, struct policy_facts *out, struct err *e)
{
	own(read) struct read r = { 0 };
	struct lived l = { 0 };
	int rc = read_begin(&r, db, e);

	if (rc < 0 || (rc = of_marks(r.c, revision_id, a, &l, e)) < 0 || (rc = of_decisions(r.c, revision_id, a, &l, e)) < 0)
		return rc;
	out->lived_with = l.v;
	out->n_lived_with = l.n;
	return 0;
}

static int take_back(struct db_conn *c, const struct model_rev *rev, const char *who, int64_t now, struct err *e)
{
	bool did = false;
	int rc = unmark(c, rev, who, &did, e);

	return rc < 0 || !did ? rc : changed_tx(c, rev, who, NULL, now, e);
}

/* NULL where there is no mark, or a person took it back. */
static int reason_of_mark(struct db_conn *c, const struct model_rev *rev, const char *who, struct arena *a, const char **reason, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT reason FROM lifecycle WHERE model_id = $1 AND revision_id = $2 AND source = $3", e);

	sql_int(&q, rev->model_id);
	sql_int(&q, rev->id);
	sql_text(&q, who);
	*reason = sql_row(&q) ? sql_get_dup(&q, 0, a) : NULL;
	return sql_done(&q);
}

/* The mark of a test says besides on which device. */
static int bring_up_to_date(struct db_conn *c, const struct model_rev *rev, const char *who, const char *what, int64_t now, struct err *e)
{
	const char *reason, *text = what;
	bool did = false;
	own(arena) struct arena a;
	int rc;

	arena_init(&a);
	if ((rc = reason_of_mark(c, rev, who, &a, &reason, e)) < 0 || !reason || str_ends(reason, what))
		return rc;
	if (!strcmp(who, RECERTIFY_SMOKE))
		text = arena_printf(&a, "tested again: %s", what);
	rc = mark(c, rev, who, text, now, &did, e);
	return rc < 0 || !did ? rc : changed_tx(c, rev, who, text, now, e);
}

int recertify_settle_tx(struct db_conn *c, const struct model_rev *rev, const char *who, bool lives_with, const char *what, int64_t now, struct err *e)
{
	if (!lives_with)
		return take_back(c, rev, who, now, e);
	return what ? bring_up_to_date(c, rev, who, what, now, e) : 0;
}
