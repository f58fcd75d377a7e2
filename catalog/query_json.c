/* query_json.c - rows as the JSON of contract section 2: what `ls`, `show` and /-/v1 answer. */
#include <math.h>

#include "base/json.h"
#include "base/str.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "catalog/lost.h"
#include "catalog/query.h"
#include "catalog/sql.h"

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *time_or_null(int64_t at)
{
	char out[STR_TIME_MAX];

	if (at == 0)
		return json_null();
	str_format_iso(out, at);
	return json_string(out);
}

static json_t *real_or_null(double v)
{
	return isnan(v) ? json_null() : json_real(v);
}

/* A JSON text kept in a column; NULL or damage gives otherwise (its reference is taken). */
static json_t *kept_json(const char *text, json_t *otherwise)
{
	json_t *j = text ? json_parse(text, strlen(text), "kept JSON", NULL) : NULL;

	if (!j)
		return otherwise;
	json_decref(otherwise);
	return j;
}

static int conflicts_json(struct db *db, int64_t revision_id, json_t **out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	if (rc < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT license_conflicts FROM revision WHERE id = $1", e);
	sql_int(&q, revision_id);
	*out = kept_json(sql_row(&q) ? sql_get_text(&q, 0) : NULL, json_array());
	return sql_done(&q);
}

static int add_license(json_t *o, struct db *db, const struct revision *r, struct err *e)
{
	const char *id = r->license ? r->license : "unknown";
	const struct licence *l = licence_find(id);
	char spdx[LICENCE_ID_MAX];
	json_t *conflicts = NULL;
	int rc = conflicts_json(db, r->id, &conflicts, e);

	if (rc < 0)
		return rc;
	licence_spdx(id, spdx);
	json_object_set_new(o, "license",
			    json_pack("{s:s, s:s, s:o, s:o, s:s, s:o}", "id", id, "spdx", spdx, "name", text_or_null(l ? NULL : r->license_name), "source",
				      text_or_null(r->license_source), "commercial_use", licence_use_name(l ? l->commercial_use : LICENCE_UNKNOWN), "conflicts", conflicts));
	if (l)
		json_object_set_new(json_object_get(o, "license"), "terms",
				    json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "redistribution", l->redistribution_text, "attribution", l->attribution, "copyleft", l->copyleft,
					      "restrictions", l->restrictions, "user_limit", (json_int_t)l->user_limit, "notes", l->notes));
	return 0;
}

static json_t *format_list(unsigned set)
{
	json_t *list = json_array();

	for (int f = FORMAT_SAFETENSORS; f < FORMAT_N; f++)
		if (set & FORMAT_BIT(f))
			json_array_append_new(list, json_string(format_name((enum format)f)));
	return list;
}

static int add_refs(json_t *o, struct db *db, const struct revision *r, struct arena *a, struct err *e)
{
	struct model_ref *refs;
	json_t *list = json_array();
	size_t n;
	int rc = model_refs(db, r->model_id, r->id, a, &refs, &n, e);

	for (size_t i = 0; rc == 0 && i < n; i++)
		json_array_append_new(list, json_string(refs[i].name));
	json_object_set_new(o, "refs", list);
	return rc;
}

static int add_bases(json_t *o, struct db *db, const struct revision *r, struct arena *a, struct err *e)
{
	const char **repos, *relation;
	json_t *list = json_array();
	size_t n;
	int rc = model_base_models(db, r->id, a, &repos, &n, &relation, e);

	for (size_t i = 0; rc == 0 && i < n; i++)
		json_array_append_new(list, json_string(repos[i]));
	json_object_set_new(o, "base_models", list);
	json_object_set_new(o, "base_relation", rc == 0 ? text_or_null(relation) : json_null());
	return rc;
}

/* A later try that went wrong, and so counts for nothing. */
static int add_last_try(json_t *smoke, struct db *db, int64_t revision_id, const struct finding_smoke *counts, struct arena *a, struct err *e)
{
	struct finding_smoke s = { 0 };
	int rc = strcmp(counts->verdict, "error") ? finding_last_smoke(db, revision_id, a, &s, e) : 0;

	if (!rc && s.verdict && !strcmp(s.verdict, "error"))
		json_object_set_new(smoke, "last_try", json_pack("{s:s, s:o, s:o, s:o}", "verdict", s.verdict, "device", text_or_null(s.device), "reasons",
								 kept_json(s.reasons, json_array()), "at", time_or_null(s.at)));
	return rc;
}

static int add_smoke(json_t *o, struct db *db, const struct revision *r, struct arena *a, struct err *e)
{
	struct finding_smoke s = { 0 };
	int rc = finding_smoke(db, r->id, a, &s, e);

	if (rc == ERR_NOT_FOUND) {
		json_object_set_new(o, "smoke", json_null());
		return 0;
	}
	if (rc < 0)
		return rc;
	json_object_set_new(o, "smoke",
			    json_pack("{s:s, s:o, s:o, s:I, s:o, s:o, s:o}", "verdict", s.verdict, "device", text_or_null(s.device), "bits_per_byte",
				      real_or_null(s.bits_per_byte), "prompt_tokens", (json_int_t)s.prompt_tokens, "tokens_per_s", real_or_null(s.tokens_per_s),
				      "reasons", kept_json(s.reasons, json_array()), "at", time_or_null(s.at)));
	return add_last_try(json_object_get(o, "smoke"), db, r->id, &s, a, e);
}

static int add_lifecycle(json_t *o, struct db *db, const struct revision *r, const struct policy *p, int64_t now, struct arena *a, struct err *e)
{
	struct lifecycle l;
	int rc = lifecycle_at(db, r->model_id, r->id, p, now, a, &l, e);

	return rc < 0 ? rc : json_object_set_new(o, "lifecycle", lifecycle_json(&l)) < 0 ? ERR_FAILED : 0;
}

/* What needs no further question. */
static json_t *plain_row(const struct model *m, const struct revision *r)
{
	static const char *const gates[] = { "no", "auto", "manual" };

	return json_pack("{s:s, s:o, s:s, s:o, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:I, s:I, s:o, s:s, s:I}", "repo", m->name, "revision",
			 json_string(r->commit), "state", revision_state_name(r->state), "reason", text_or_null(r->reason),
			 "upstream", m->upstream, "size_bytes", (json_int_t)r->size_bytes, "params", (json_int_t)r->params, "formats", format_list(r->formats), "quantization",
			 text_or_null(r->quantization), "architecture", text_or_null(r->architecture), "task", text_or_null(r->task), "library", text_or_null(r->library),
			 "author", m->author, "proof", proof_level_name(r->proof), "published_at", time_or_null(r->published_at), "downloads", (json_int_t)m->downloads,
			 "likes", (json_int_t)m->likes, "modified_at", time_or_null(m->modified_at), "gated", gates[m->gated], "context_length",
			 (json_int_t)r->context_length);
}

static int full_row(struct db *db, const struct model *m, const struct revision *r, const struct policy *p, int64_t now, struct arena *a, json_t **out, struct err *e)
{
	json_t *o = plain_row(m, r);
	int rc = o ? 0 : err_set(e, ERR_FAILED, "%s can't be shown: a text of it is not UTF-8", m->name);

	if (rc == 0)
		json_object_set_new(o, "dtypes", kept_json(r->dtypes, json_object()));
	if (rc < 0 || (rc = add_license(o, db, r, e)) < 0 || (rc = add_refs(o, db, r, a, e)) < 0 || (rc = add_bases(o, db, r, a, e)) < 0 ||
	    (rc = add_smoke(o, db, r, a, e)) < 0 || (rc = add_lifecycle(o, db, r, p, now, a, e)) < 0) {
		json_decref(o);
		return rc;
	}
	*out = o;
	return 0;
}

json_t *query_ls(struct db *db, const struct query_filter *f, const struct policy *p, int64_t now, const char **next, struct arena *a, struct err *e)
{
	json_t *list = json_array(), *row;
	struct query_row *rows;
	size_t n;
	int rc = query_models(db, f, now, a, &rows, &n, next, e);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = full_row(db, &rows[i].m, &rows[i].r, p, now, a, &row, e);
		if (rc == 0)
			json_array_append_new(list, row);
	}
	if (rc == 0)
		return list;
	json_decref(list);
	return NULL;
}

json_t *query_row_json(struct db *db, int64_t revision_id, const struct policy *p, int64_t now, struct err *e)
{
	struct revision r;
	struct model m;
	struct arena a;
	json_t *row = NULL;

	arena_init(&a);
	if (model_revision(db, revision_id, &a, &m, &r, e) == 0 && full_row(db, &m, &r, p, now, &a, &row, e) < 0)
		row = NULL;
	arena_done(&a);
	return row;
}

static json_t *digest_or_null(const struct digest *d)
{
	char hex[DIGEST_HEX_MAX];

	digest_hex(hex, d);
	return d->algo == DIGEST_NONE ? json_null() : json_string(hex);
}

static json_t *file_json(const struct model_file *f)
{
	return json_pack("{s:s, s:I, s:o, s:o, s:b}", "path", f->path, "size_bytes", (json_int_t)f->size_bytes, "sha256", digest_or_null(&f->sha256), "git_oid",
			 digest_or_null(&f->git_oid), "stored", (int)f->stored);
}

static json_t *skipped_json(const struct model_file *f)
{
	return json_pack("{s:s, s:I, s:o}", "path", f->path, "size_bytes", (json_int_t)f->size_bytes, "reason", text_or_null(f->skip_reason));
}

static int put_list(struct db *db, int64_t revision_id, enum model_files_of which, json_t *(*make)(const struct model_file *f), struct spool *s, struct err *e)
{
	own(walk) struct model_walk w = { .db = db, .revision_id = revision_id, .which = which };
	const struct model_file *f;
	const char *between = "";
	int rc;

	while ((rc = model_walk_next(&w, &f, e)) > 0) {
		spool_puts(s, between);
		spool_json(s, make(f));
		between = ",";
	}
	return rc;
}

/* The files that are mirrored; those left out are named with the reason in `skipped`. */
int query_put_files(struct db *db, int64_t revision_id, struct spool *s, struct err *e)
{
	int rc;

	spool_puts(s, ",\"files\":[");
	if ((rc = put_list(db, revision_id, FILES_WANTED, file_json, s, e)) < 0)
		return rc;
	spool_puts(s, "],\"skipped\":[");
	if ((rc = put_list(db, revision_id, FILES_SKIPPED, skipped_json, s, e)) < 0)
		return rc;
	spool_puts(s, "]");
	return 0;
}

static int add_findings(json_t *o, struct db *db, int64_t revision_id, struct arena *a, struct err *e)
{
	json_t *list = json_array();
	struct finding *v;
	size_t n;
	int rc = finding_list(db, revision_id, a, &v, &n, e);

	for (size_t i = 0; rc == 0 && i < n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "path", v[i].path, "rule", v[i].rule, "severity", finding_severity_name(v[i].severity), "message",
						      v[i].message));
	json_object_set_new(o, "findings", list);
	return rc;
}

/* Of a revision with several checkpoints each one's own verdict, and what each was held against. */
static int add_artefacts(json_t *o, struct db *db, int64_t revision_id, struct arena *a, struct err *e)
{
	static const char *const keys[] = { "file", "verdict", "bits_per_byte", "reasons", "compared" };
	json_t *smoke = json_object_get(o, "smoke"), *list = json_array();
	own(json) json_t *report = NULL;
	const json_t *one, *all;
	struct finding_smoke s;
	size_t i;
	int rc = finding_smoke(db, revision_id, a, &s, e);

	report = rc == 0 ? kept_json(s.report, NULL) : NULL;
	all = json_object_get(report, "artefacts");
	json_array_foreach (all, i, one) {
		json_t *row = json_object();

		for (size_t k = 0; k < ARRAY_LEN(keys); k++)
			if (json_object_get(one, keys[k]))
				json_object_set(row, keys[k], json_object_get(one, keys[k]));
		json_array_append_new(list, row);
	}
	if (json_object_get(report, "compared"))
		json_object_set(smoke, "compared", json_object_get(report, "compared"));
	if (json_array_size(list))
		json_object_set(smoke, "artefacts", list);
	json_decref(list);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* What upstream says of the model's end: a newer version in the card, disabled, no longer there. */
static int add_hints(json_t *o, struct db *db, int64_t revision_id, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT r.new_version, m.disabled, coalesce(m.vanished_at, 0) FROM revision AS r JOIN model AS m ON m.id = r.model_id WHERE r.id = $1",
					    e);
	sql_int(&q, revision_id);
	if (sql_row(&q))
		json_object_set_new(o, "hints", json_pack("{s:o, s:b, s:o}", "new_version", text_or_null(sql_get_text(&q, 0)), "disabled", sql_get_int(&q, 1) != 0,
							  "vanished_at", time_or_null(sql_get_int(&q, 2))));
	return sql_done(&q);
}

static int add_lost(json_t *o, struct db *db, int64_t revision_id, struct err *e)
{
	json_t *list = lost_json(db, revision_id, e);

	return list ? json_object_set_new(o, "lost", list) : (int)e->code;
}

json_t *query_show(struct db *db, int64_t revision_id, const struct policy *p, int64_t now, struct err *e)
{
	json_t *o = query_row_json(db, revision_id, p, now, e);
	struct arena a;
	int rc;

	if (!o)
		return NULL;
	arena_init(&a);
	rc = add_findings(o, db, revision_id, &a, e);
	if (rc == 0)
		rc = add_artefacts(o, db, revision_id, &a, e);
	if (rc == 0)
		rc = add_hints(o, db, revision_id, e);
	if (rc == 0)
		rc = add_lost(o, db, revision_id, e);
	arena_done(&a);
	if (rc == 0)
		return o;
	json_decref(o);
	return NULL;
}
