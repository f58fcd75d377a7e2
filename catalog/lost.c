/* lost.c - see lost.h. */
#include "catalog/lost.h"

#include "base/json.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"

/* --- taking note --- */

static int blob_of(struct db_conn *c, const struct digest *sha256, int64_t *id, bool *stored, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT id, stored FROM blob WHERE sha256 = $1", e);

	*id = 0;
	*stored = false;
	sql_digest(&q, sha256);
	if (sql_row(&q)) {
		*id = sql_get_int(&q, 0);
		*stored = sql_get_int(&q, 1) != 0;
	}
	return sql_done(&q);
}

/* Of the revision: what is served, and what was read for the licence. */
#define IS_PART "(f.wanted = 1 OR " MODEL_IS_EVIDENCE("f") ")"

#define USES(served)                                                                                                                     \
	"SELECT m.name, t.name, f.path, r.commit_id, r.id FROM blob_use AS u JOIN revision AS r ON r.id = u.revision_id JOIN file AS f ON f.revision_id = r.id " \
	"AND f.blob_id = u.blob_id JOIN model AS m ON m.id = r.model_id JOIN term AS t ON t.id = m.upstream_id WHERE u.blob_id = $1 AND " served           \
	" ORDER BY r.id DESC, f.path LIMIT $2"

/* Of published revisions; or, with one given, of all but that one. */
static int read_uses(struct db_conn *c, int64_t blob, int64_t but_revision, struct arena *a, struct lost_use **out, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, but_revision ? USES("r.id <> $3") : USES("r.state = 7 AND " IS_PART), e);
	size_t cap = 0;

	*out = NULL;
	*n = 0;
	sql_int(&q, blob);
	sql_int(&q, LOST_USES_MAX);
	if (but_revision)
		sql_int(&q, but_revision);
	while (sql_row(&q)) {
		struct lost_use *u;
		struct digest commit;

		if (*n && (*out)[*n - 1].revision_id == sql_get_int(&q, 4))
			continue;	/* the same content under another name */
		u = list_push(a, out, n, &cap);
		*u = (struct lost_use){ .repo = sql_get_dup(&q, 0, a), .upstream = sql_get_dup(&q, 1, a), .path = sql_get_dup(&q, 2, a), .revision_id = sql_get_int(&q, 4) };
		sql_get_digest(&q, 3, DIGEST_SHA1, &commit);
		digest_hex(u->commit, &commit);
	}
	return sql_done(&q);
}

static int put(struct db_conn *c, int64_t blob, const char *why, int64_t now, struct err *e)
{
	int rc;

	{
		own(sql) struct sql q = sql_prepare(c, "UPDATE blob SET stored = 0 WHERE id = $1", e);
		sql_int(&q, blob);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO lost (blob_id, at, reason) VALUES ($1, $2, $3) ON CONFLICT (blob_id) DO UPDATE SET at = $2, reason = $3", e);
	sql_int(&q, blob);
	sql_int(&q, now);
	sql_text(&q, why);
	return sql_run(&q);
}

static int tell(struct db_conn *c, const struct digest *sha256, const char *why, const struct lost_use *uses, size_t n, int64_t now, struct err *e)
{
	char hex[DIGEST_HEX_MAX];
	int rc = 0;

	digest_hex(hex, sha256);
	for (size_t i = 0; i < n && !rc; i++)
		rc = event_add_tx(c, "blob.lost", uses[i].repo, uses[i].commit, json_pack("{s:s, s:s, s:s}", "path", uses[i].path, "sha256", hex, "reason", why), now, e);
	return rc;
}

int lost_note(struct db *db, const struct digest *sha256, const char *why, int64_t now, struct arena *a, struct lost_use **uses, size_t *n, bool *news, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int64_t blob;
	int rc;

	*uses = NULL;
	*n = 0;
	*news = false;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = blob_of(t.c, sha256, &blob, news, e)) < 0 || !blob || (rc = read_uses(t.c, blob, 0, a, uses, n, e)) < 0)
		return rc;
	if (!*news)
		return 0;
	if ((rc = put(t.c, blob, why, now, e)) < 0 || (rc = tell(t.c, sha256, why, *uses, *n, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int lost_sharers(struct db *db, const struct digest *sha256, int64_t revision_id, struct arena *a, struct lost_use **uses, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	int64_t blob;
	bool stored;
	int rc;

	*uses = NULL;
	*n = 0;
	if ((rc = read_begin(&r, db, e)) < 0 || (rc = blob_of(r.c, sha256, &blob, &stored, e)) < 0)
		return rc;
	return read_uses(r.c, blob, revision_id, a, uses, n, e);
}

/* --- telling --- */

#define LOST_OF                                                                                                     \
	"FROM revision AS r JOIN file AS f ON f.revision_id = r.id AND " IS_PART " JOIN blob AS b ON b.id = f.blob_id AND b.stored = 0 " \
	"LEFT JOIN lost AS l ON l.blob_id = b.id WHERE r.id = $1 AND r.state = 7 "

json_t *lost_json(struct db *db, int64_t revision_id, struct err *e)
{
	own(read) struct read r = { 0 };
	own(json) json_t *list = json_array();
	char hex[DIGEST_HEX_MAX];

	if (read_begin(&r, db, e) < 0)
		return NULL;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT f.path, f.size_bytes, b.sha256, l.at, l.reason " LOST_OF "ORDER BY f.path LIMIT $2", e);
	sql_int(&q, revision_id);
	sql_int(&q, LOST_SHOWN_MAX);
	while (sql_row(&q)) {
		struct digest sha256;

		sql_get_digest(&q, 2, DIGEST_SHA256, &sha256);
		digest_hex(hex, &sha256);
		json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:o, s:s?}", "path", sql_get_text(&q, 0), "size_bytes", (json_int_t)sql_get_int(&q, 1), "sha256", hex,
						      "since", sql_is_null(&q, 3) ? json_null() : json_time(sql_get_int(&q, 3)), "reason", sql_get_text(&q, 4)));
	}
	return sql_done(&q) < 0 ? NULL : take(list);
}

int lost_check(struct db *db, int64_t revision_id, struct err *e)
{
	own(json) json_t *list = lost_json(db, revision_id, e);
	const json_t *first = json_array_get(list, 0);
	size_t n = json_array_size(list);

	if (!list)
		return e->code;
	if (!n)
		return 0;
	return err_set(e, ERR_MISMATCH, "'%.300s'%s %s lost from the store: sync it again, or put the bytes back and run `registryctl verify`", json_get_str(first, "path"),
		       n > 1 ? " and more" : "", n > 1 ? "are" : "is");
}
