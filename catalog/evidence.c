/* evidence.c - see evidence.h. Rows of `document`, named "FORMAT/SHA256"; of one format the row made last is the newest. */
#include "catalog/evidence.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/model_tx.h"

#define NAME_MAX_BYTES (32 + 1 + DIGEST_HEX_MAX)

static void name_of(char name[NAME_MAX_BYTES], const char *format, const char *hex)
{
	snprintf(name, NAME_MAX_BYTES, "%.32s/%s", format, hex);
}

/* Of the newest row of this format, "" when there is none. '0' comes after '/'. */
static int newest(struct db_conn *c, int64_t revision_id, const char *format, char name[NAME_MAX_BYTES], struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT name FROM document WHERE revision_id = $1 AND kind = $2 AND name > $3 AND name < $4 ORDER BY rowid DESC LIMIT 1", e);
	char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];

	name_of(from, format, "");
	snprintf(to, sizeof(to), "%.32s0", format);
	sql_int(&q, revision_id);
	sql_int(&q, DOCUMENT_SBOM);
	sql_text(&q, from);
	sql_text(&q, to);
	snprintf(name, NAME_MAX_BYTES, "%s", sql_row(&q) ? sql_get_text(&q, 0) : "");
	return sql_done(&q);
}

/* A document that comes back becomes the newest again: its row is made anew. */
static int put(struct db_conn *c, int64_t revision_id, const char *name, const struct evidence *x, int64_t now, struct err *e)
{
	own(sql) struct sql gone = sql_prepare(c, "DELETE FROM document WHERE revision_id = $1 AND kind = $2 AND name = $3", e);
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO document (revision_id, kind, name, at, body) VALUES ($1, $2, $3, $4, $5) RETURNING rowid", e);
	int64_t row = 0;
	int rc;

	sql_int(&gone, revision_id);
	sql_int(&gone, DOCUMENT_SBOM);
	sql_text(&gone, name);
	if ((rc = sql_run(&gone)) < 0)
		return rc;
	sql_int(&q, revision_id);
	sql_int(&q, DOCUMENT_SBOM);
	sql_text(&q, name);
	sql_int(&q, now);
	sql_room(&q, x->text->n);
	if (sql_row(&q))
		row = sql_get_int(&q, 0);
	rc = sql_done(&q);
	return rc ? rc : sql_fill(c, "document", "body", row, x->text, e);
}

int evidence_digest(struct digest *out, const struct spool *text, struct err *e)
{
	own(digest) struct digest_ctx c = { 0 };
	char piece[32768];
	uint64_t at = 0;
	ssize_t n;

	digest_begin(&c, DIGEST_SHA256);
	while ((n = spool_read(text, piece, sizeof(piece), at, e)) > 0) {
		digest_update(&c, piece, (size_t)n);
		at += (uint64_t)n;
	}
	digest_end(&c, out);
	return n < 0 ? (int)n : 0;
}

static int keep_one(struct db_conn *c, int64_t revision_id, const struct evidence *x, int64_t now, json_t *kept, struct err *e)
{
	char name[NAME_MAX_BYTES], last[NAME_MAX_BYTES], hex[DIGEST_HEX_MAX];
	struct digest sha256;
	int rc;

	if (x->text->n > MODEL_DOCUMENT_MAX)
		return err_set(e, ERR_LIMIT, "a bill of materials of %llu bytes: at most %u are kept", (unsigned long long)x->text->n, MODEL_DOCUMENT_MAX);
	if ((rc = evidence_digest(&sha256, x->text, e)) < 0)
		return rc;
	digest_hex(hex, &sha256);
	name_of(name, x->format, hex);
	if ((rc = newest(c, revision_id, x->format, last, e)) < 0 || !strcmp(last, name))
		return rc;
	json_object_set_new(kept, x->format, json_string(hex));
	return put(c, revision_id, name, x, now, e);
}

int evidence_keep(struct db *db, int64_t revision_id, const struct evidence *list, size_t n, int64_t now, struct err *e)
{
	own(json) json_t *kept = json_object();
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		if ((rc = keep_one(t.c, revision_id, &list[i], now, kept, e)) < 0)
			return rc;
	if (!json_object_size(kept))
		return 0;
	rc = event_add_tx(t.c, "revision.sbom", rev.repo, rev.commit, json_incref(kept), now, e);
	return rc < 0 ? rc : tx_commit(&t, e);
}

int evidence_read(struct db *db, int64_t revision_id, const char *format, const char *sha256, struct spool *out, struct err *e)
{
	own(read) struct read r = { 0 };
	char name[NAME_MAX_BYTES];
	int64_t row = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	if (sha256)
		name_of(name, format, sha256);
	else if ((rc = newest(r.c, revision_id, format, name, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT rowid FROM document WHERE revision_id = $1 AND kind = $2 AND name = $3", e);
	sql_int(&q, revision_id);
	sql_int(&q, DOCUMENT_SBOM);
	sql_text(&q, name);
	if (sql_row(&q))
		row = sql_get_int(&q, 0);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	if (!row)
		return err_set(e, ERR_NOT_FOUND, sha256 ? "no %s document %.64s is kept of this revision" : "no %s document is kept of this revision", format, sha256);
	return sql_spool(r.c, "document", "body", row, out, e);
}

json_t *evidence_list(struct db *db, int64_t revision_id, struct err *e)
{
	own(read) struct read r = { 0 };
	json_t *list = json_array();

	if (read_begin(&r, db, e) < 0) {
		json_decref(list);
		return NULL;
	}
	own(sql) struct sql q = sql_prepare(r.c, "SELECT name, at, length(body) FROM document WHERE revision_id = $1 AND kind = $2 ORDER BY rowid DESC", e);
	sql_int(&q, revision_id);
	sql_int(&q, DOCUMENT_SBOM);
	while (sql_row(&q)) {
		const char *name = sql_get_text(&q, 0), *slash = strchr(name, '/');
		char at[STR_TIME_MAX];

		if (!slash)
			continue;
		str_format_iso(at, sql_get_int(&q, 1));
		json_array_append_new(list, json_pack("{s:s%, s:s, s:I, s:s}", "format", name, (size_t)(slash - name), "sha256", slash + 1, "size_bytes",
						      (json_int_t)sql_get_int(&q, 2), "at", at));
	}
	if (sql_done(&q) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}
