/* finding.c - see finding.h. */
#include "catalog/finding.h"

#include <math.h>

#include "base/json.h"
#include "base/str.h"
#include "catalog/list.h"
#include "catalog/policy.h"
#include "catalog/sql.h"

static const char *const severities[] = { "accept", "flag", "reject" };

const char *finding_severity_name(enum finding_severity s)
{
	return severities[s <= FINDING_REJECT ? s : FINDING_FLAG];
}

int finding_severity_parse(enum finding_severity *out, const char *name, struct err *e)
{
	for (int i = 0; i < 3; i++)
		if (!strcmp(severities[i], name)) {
			*out = (enum finding_severity)i;
			return 0;
		}
	return err_set(e, ERR_INPUT, "unknown severity '%.40s': accept, flag or reject", name);
}

/* --- recording --- */

static int forget(struct db_conn *c, const char *text, int64_t id, const char *inspector, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, text, e);

	sql_int(&q, id);
	sql_text(&q, inspector);
	return sql_run(&q);
}

static int put(struct db_conn *c, int64_t id, const char *inspector, const struct finding *f, int64_t now, struct err *e)
{
	own(mem) char *message = strndup(f->message ? f->message : "", FINDING_MESSAGE_MAX);

	if (message)
		str_mend_utf8(message);
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO finding (revision_id, inspector, path, rule, severity, message, at) VALUES ($1, $2, $3, $4, $5, $6, $7)", e);
	sql_int(&q, id);
	sql_text(&q, inspector);
	sql_text(&q, f->path ? f->path : "");
	sql_text(&q, f->rule);
	sql_int(&q, f->severity);
	sql_text(&q, message);
	sql_int(&q, now);
	return sql_run(&q);
}

/* Tied to the content: a file that changes afterwards is not inspected any more. Nothing is kept of one that the revision does not hold. */
static int put_file(struct db_conn *c, int64_t id, const char *inspector, const struct finding_file *f, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO inspected (revision_id, path, inspector, blob_id, verdict, format, at) SELECT $1, $2, $3, f.blob_id, $4, $5, $6 "
					    "FROM file AS f WHERE f.revision_id = $1 AND f.path = $2 AND f.blob_id IS NOT NULL "
					    "ON CONFLICT (revision_id, path, inspector) DO UPDATE SET blob_id = excluded.blob_id, verdict = $4, format = $5, at = $6",
					    e);

	sql_int(&q, id);
	sql_text(&q, f->path);
	sql_text(&q, inspector);
	sql_int(&q, f->verdict);
	sql_text(&q, f->format);
	sql_int(&q, now);
	return sql_run(&q);
}

static int put_all(struct db_conn *c, int64_t id, const char *inspector, const struct finding *findings, size_t n, int64_t now, struct err *e)
{
	char text[120];
	struct finding more = { .path = "", .rule = "more-findings", .severity = FINDING_ACCEPT, .message = text };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n && i < FINDING_MAX; i++)
		rc = put(c, id, inspector, &findings[i], now, e);
	if (rc < 0 || n <= FINDING_MAX)
		return rc;
	/* The rest are counted, and their worst severity is kept: leaving out must never make a revision look better. */
	for (size_t i = FINDING_MAX; i < n; i++)
		if (findings[i].severity > more.severity)
			more.severity = findings[i].severity;
	snprintf(text, sizeof(text), "%zu more findings are not listed; the worst of them is %s", n - FINDING_MAX, finding_severity_name(more.severity));
	return put(c, id, inspector, &more, now, e);
}

int finding_record(struct db *db, int64_t revision_id, const char *inspector, const struct finding_file *files, size_t n_files,
		   const struct finding *findings, size_t n_findings, bool complete, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	if ((rc = forget(t.c, "DELETE FROM finding WHERE revision_id = $1 AND inspector = $2", revision_id, inspector, e)) < 0 ||
	    (rc = forget(t.c, "DELETE FROM inspected WHERE revision_id = $1 AND inspector = $2", revision_id, inspector, e)) < 0)
		return rc;
	for (size_t i = 0; complete && i < n_files; i++)
		if ((rc = put_file(t.c, revision_id, inspector, &files[i], now, e)) < 0)
			return rc;
	if ((rc = put_all(t.c, revision_id, inspector, findings, n_findings, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int finding_list(struct db *db, int64_t revision_id, struct arena *a, struct finding **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	struct finding *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT path, rule, severity, message FROM finding WHERE revision_id = $1 ORDER BY severity DESC, path, id", e);
	sql_int(&q, revision_id);
	while (sql_row(&q))
		*list_push(a, &list, &count, &cap) = (struct finding){ .path = sql_get_dup(&q, 0, a),
								       .rule = sql_get_dup(&q, 1, a),
								       .severity = (enum finding_severity)sql_get_int(&q, 2),
								       .message = sql_get_dup(&q, 3, a) };
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*out = list;
	*n = count;
	return 0;
}

/* --- smoke runs --- */

int finding_record_smoke(struct db *db, int64_t revision_id, const struct finding_smoke *s, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c,
						    "INSERT INTO smoke_run (revision_id, at, verdict, device, bits_per_byte, prompt_tokens, tokens_per_s, reasons, platform, report) "
						    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
						    e);
		sql_int(&q, revision_id);
		sql_int(&q, s->at);
		sql_text(&q, s->verdict);
		sql_text(&q, s->device);
		sql_real(&q, s->bits_per_byte);	/* NAN is kept as NULL */
		sql_int(&q, s->prompt_tokens);
		sql_real(&q, s->tokens_per_s);
		sql_text(&q, s->reasons ? s->reasons : "[]");
		sql_text(&q, s->platform);
		sql_text(&q, s->report);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

#define SMOKE_OF "SELECT verdict, device, bits_per_byte, prompt_tokens, tokens_per_s, reasons, report, platform, at FROM smoke_run WHERE revision_id = $1 "

static int read_smoke(struct db *db, const char *text, int64_t revision_id, struct arena *a, struct finding_smoke *out, struct err *e)
{
	own(read) struct read r = { 0 };
	bool found;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, text, e);
	sql_int(&q, revision_id);
	if ((found = sql_row(&q)))
		*out = (struct finding_smoke){
			.verdict = sql_get_dup(&q, 0, a),
			.device = sql_get_dup(&q, 1, a),
			.bits_per_byte = sql_is_null(&q, 2) ? NAN : sql_get_real(&q, 2),
			.prompt_tokens = sql_get_int(&q, 3),
			.tokens_per_s = sql_is_null(&q, 4) ? NAN : sql_get_real(&q, 4),
			.reasons = sql_get_dup(&q, 5, a),
			.report = sql_get_dup(&q, 6, a),
			.platform = sql_get_dup(&q, 7, a),
			.at = sql_get_int(&q, 8),
		};
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "the revision was never tested");
}

int finding_last_smoke(struct db *db, int64_t revision_id, struct arena *a, struct finding_smoke *out, struct err *e)
{
	return read_smoke(db, SMOKE_OF "ORDER BY id DESC LIMIT 1", revision_id, a, out, e);
}

int finding_smoke(struct db *db, int64_t revision_id, struct arena *a, struct finding_smoke *out, struct err *e)
{
	return read_smoke(db, SMOKE_OF FINDING_SMOKE_FIRST, revision_id, a, out, e);
}

/* --- decisions --- */

json_t *finding_why(struct db *db, int64_t revision_id, struct err *e)
{
	own(read) struct read r = { 0 };
	json_t *list = json_array();

	if (read_begin(&r, db, e) < 0) {
		json_decref(list);
		return NULL;
	}
	own(sql) struct sql q = sql_prepare(r.c, "SELECT at, who, rule, verdict, reason FROM decision WHERE revision_id = $1 ORDER BY run DESC, id", e);
	sql_int(&q, revision_id);
	while (sql_row(&q))
		json_array_append_new(list, json_pack("{s:o,s:s,s:s,s:s,s:s}", "at", json_time(sql_get_int(&q, 0)), "by", sql_get_text(&q, 1), "rule",
						      sql_get_text(&q, 2), "verdict", policy_outcome_name((enum policy_outcome)sql_get_int(&q, 3)), "reason",
						      sql_get_text(&q, 4)));
	if (sql_done(&q) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

double finding_compute_capability(const char *platform)
{
	own(json) json_t *j = platform ? json_parse_lax(platform, strlen(platform), "platform", NULL) : NULL;
	const json_t *v = json_object_get(j, "compute_capability");

	return json_is_string(v) ? strtod(json_string_value(v), NULL) : json_is_number(v) ? json_number_value(v) : 0;
}
