/* model_gate.c - see model.h: derived facts, and the evidence for the gate. */
#include "catalog/model.h"

#include <math.h>

#include "base/json.h"
#include "catalog/finding.h"
#include "catalog/licence.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"
#include "catalog/term.h"

#define TAGS_MAX	2000	/* of one revision */
#define BASES_MAX	100

/* --- derived facts --- */

struct fact_ids {
	int64_t license, task, library, architecture, quantization;
};

static int fact_ids(struct db_conn *c, const struct model_facts *f, struct fact_ids *ids, struct err *e)
{
	const struct {
		enum term_kind kind;
		const char *name;
		int64_t *id;
	} terms[] = {
		{ TERM_LICENSE, f->license, &ids->license },		 { TERM_TASK, f->task, &ids->task },
		{ TERM_LIBRARY, f->library, &ids->library },		 { TERM_ARCHITECTURE, f->architecture, &ids->architecture },
		{ TERM_QUANTIZATION, f->quantization, &ids->quantization },
	};
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(terms); i++)
		if ((rc = term_id(c, terms[i].kind, terms[i].name, terms[i].id, e)) < 0)
			return rc;
	return 0;
}

static int put_facts(struct db_conn *c, int64_t id, const struct model_facts *f, struct err *e)
{
	const struct licence *l = f->license ? licence_find(f->license) : NULL;
	own(json) json_t *conflicts = json_array();
	own(mem) char *text = NULL;
	struct fact_ids ids;
	int rc;

	for (size_t i = 0; i < f->n_license_conflicts; i++)
		json_array_append_new(conflicts, json_string(f->license_conflicts[i]));
	text = json_text(conflicts);
	if ((rc = fact_ids(c, f, &ids, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE revision SET license_id = $2, license_name = $3, license_source = $4, license_conflicts = $5, commercial = $6, params = $7, "
					    "dtypes = $8, task_id = $9, library_id = $10, architecture_id = $11, quantization_id = $12, context_length = $13, base_relation = $14, "
					    "new_version = $15 WHERE id = $1",
					    e);
	sql_int(&q, id);
	sql_int_or_null(&q, ids.license);
	sql_text(&q, f->license_name);
	sql_text(&q, f->license_source);
	sql_text(&q, text);
	sql_int(&q, l ? l->commercial_use : LICENCE_UNKNOWN);
	sql_int(&q, f->params);
	sql_text(&q, f->dtypes);
	sql_int_or_null(&q, ids.task);
	sql_int_or_null(&q, ids.library);
	sql_int_or_null(&q, ids.architecture);
	sql_int_or_null(&q, ids.quantization);
	sql_int(&q, f->context_length);
	sql_text(&q, f->base_relation);
	sql_text(&q, f->new_version);
	return sql_run(&q);
}

static int clear_list(struct db_conn *c, const char *text, int64_t id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, text, e);

	sql_int(&q, id);
	return sql_run(&q);
}

static int put_tags(struct db_conn *c, int64_t id, const char *const *tags, size_t n, struct err *e)
{
	int64_t tag;
	int rc;

	if (n > TAGS_MAX)
		n = TAGS_MAX;	/* a card with more is playing games; what is cut only weakens search */
	if ((rc = clear_list(c, "DELETE FROM revision_tag WHERE revision_id = $1", id, e)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (strlen(tags[i]) > 400)
			continue;
		if ((rc = term_id(c, TERM_TAG, tags[i], &tag, e)) < 0)
			return rc;
		if (tag == 0)
			continue;
		own(sql) struct sql q = sql_prepare(c, "INSERT INTO revision_tag (revision_id, tag_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", e);
		sql_int(&q, id);
		sql_int(&q, tag);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return 0;
}

int model_revision_tags(struct db *db, int64_t revision_id, struct arena *a, const char ***tags, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	size_t cap = 0;
	int rc;

	*tags = NULL;
	*n = 0;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT t.name FROM revision_tag AS rt JOIN term AS t ON t.id = rt.tag_id WHERE rt.revision_id = $1 ORDER BY t.name", e);
	sql_int(&q, revision_id);
	while (sql_row(&q))
		*list_push(a, tags, n, &cap) = sql_get_dup(&q, 0, a);
	return sql_done(&q);
}

static int put_bases(struct db_conn *c, int64_t id, const char *const *bases, size_t n, struct err *e)
{
	int rc;

	if ((rc = clear_list(c, "DELETE FROM base_model WHERE revision_id = $1", id, e)) < 0)
		return rc;
	for (size_t i = 0; i < n && i < BASES_MAX; i++) {
		own(sql) struct sql q = sql_prepare(c, "INSERT INTO base_model (revision_id, position, repo) VALUES ($1, $2, $3)", e);
		sql_int(&q, id);
		sql_int(&q, (int64_t)i);
		sql_text(&q, bases[i]);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return 0;
}

int model_set_facts(struct db *db, int64_t revision_id, const struct model_facts *f, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0)
		return rc;
	if ((rc = put_facts(t.c, revision_id, f, e)) < 0 || (rc = put_tags(t.c, revision_id, f->tags, f->n_tags, e)) < 0 ||
	    (rc = put_bases(t.c, revision_id, f->base_models, f->n_base_models, e)) < 0)
		return rc;
	if ((rc = model_refresh_tx(t.c, rev.model_id, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/* --- evidence --- */

static int about_revision(struct db_conn *c, int64_t id, struct arena *a, struct policy_facts *f, const char **conflicts, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT m.name, au.name, ta.name, li.name, r.license_conflicts, r.proof, r.commit_at, ar.name, qu.name, r.dtypes, "
					    "(SELECT n.message FROM finding AS n WHERE n.revision_id = r.id AND n.inspector = 'card' AND n.rule = 'license-link'), r.license_name FROM revision AS r "
					    "JOIN model AS m ON m.id = r.model_id JOIN term AS au ON au.id = m.author_id LEFT JOIN term AS ta ON ta.id = r.task_id "
					    "LEFT JOIN term AS li ON li.id = r.license_id LEFT JOIN term AS ar ON ar.id = r.architecture_id "
					    "LEFT JOIN term AS qu ON qu.id = r.quantization_id WHERE r.id = $1",
					    e);
	bool found;
	int rc;

	sql_int(&q, id);
	if ((found = sql_row(&q))) {
		f->repo = sql_get_dup(&q, 0, a);
		f->author = sql_get_dup(&q, 1, a);
		f->task = sql_get_dup(&q, 2, a);
		f->license = sql_get_dup(&q, 3, a);
		*conflicts = sql_get_dup(&q, 4, a);
		f->proof = (int)sql_get_int(&q, 5);
		f->modified_at = sql_get_int(&q, 6);
		f->architecture = sql_get_dup(&q, 7, a);
		f->quantization = sql_get_dup(&q, 8, a);
		f->dtypes = sql_get_dup(&q, 9, a);
		f->license_unread = sql_get_dup(&q, 10, a);
		f->license_said = licence_said(sql_get_text(&q, 11), a);
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no revision %lld", (long long)id);
}

static void list_conflicts(const char *text, struct arena *a, struct policy_facts *f)
{
	own(json) json_t *j = text ? json_parse_lax(text, strlen(text), "conflicts", NULL) : NULL;
	const char **list = arena_alloc(a, (json_array_size(j) + 1) * sizeof(*list));
	size_t i;
	json_t *v;

	json_array_foreach(j, i, v)
		if (json_is_string(v))
			list[f->n_license_conflicts++] = arena_strdup(a, json_string_value(v));
	f->license_conflicts = list;
}

/* Files that are wanted, and for each weight file whether these very bytes were inspected. */
static int about_files(struct db_conn *c, int64_t id, struct arena *a, struct policy_facts *f, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT f.path, f.size_bytes, coalesce(b.stored, 0), EXISTS (SELECT 1 FROM inspected AS i WHERE i.revision_id = f.revision_id "
					    "AND i.path = f.path AND i.blob_id = f.blob_id AND i.inspector = 'inspect') FROM file AS f LEFT JOIN blob AS b ON b.id = f.blob_id "
					    "WHERE f.revision_id = $1 AND f.wanted > 0 ORDER BY f.path",
					    e);

	sql_int(&q, id);
	while (sql_row(&q)) {
		enum format format = format_of_path(sql_get_text(&q, 0));

		f->n_wanted++;
		f->n_stored += sql_get_int(&q, 2) != 0;
		f->size_bytes += (uint64_t)sql_get_int(&q, 1);
		if (format == FORMAT_NONE)
			continue;
		f->formats |= FORMAT_BIT(format);
		f->n_weight_files++;
		if (sql_get_int(&q, 3))
			f->n_inspected++;
		else if (!f->not_inspected)
			f->not_inspected = sql_get_dup(&q, 0, a);
	}
	return sql_done(&q);
}

/* Findings about files that are wanted; "" concerns the whole revision. What the smoke test found is in its verdict. */
static int about_findings(struct db_conn *c, int64_t id, struct arena *a, struct policy_facts *f, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT n.severity, n.path, n.rule, n.message FROM finding AS n WHERE n.revision_id = $1 AND n.severity > 0 AND n.inspector <> 'smoke' AND (n.path = '' OR EXISTS "
					    "(SELECT 1 FROM file AS f WHERE f.revision_id = $1 AND f.path = n.path AND f.wanted > 0)) ORDER BY n.severity DESC, n.id",
					    e);

	sql_int(&q, id);
	while (sql_row(&q)) {
		if (sql_get_int(&q, 0) == FINDING_REJECT)
			f->n_rejected++;
		else
			f->n_flagged++;
		if (f->worst_rule)
			continue;
		f->worst_path = sql_get_dup(&q, 1, a);
		f->worst_rule = sql_get_dup(&q, 2, a);
		f->worst_message = sql_get_dup(&q, 3, a);
	}
	return sql_done(&q);
}

static int about_smoke(struct db_conn *c, int64_t id, struct arena *a, struct policy_facts *f, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT verdict, bits_per_byte, reasons, platform, CASE WHEN verdict = 'fail' THEN report END FROM smoke_run WHERE revision_id = $1 " FINDING_SMOKE_FIRST, e);
	own(json) json_t *reasons = NULL, *report = NULL;
	const char *text;

	sql_int(&q, id);
	f->bits_per_byte = NAN;
	if (sql_row(&q)) {
		f->smoke = sql_get_dup(&q, 0, a);
		if (!sql_is_null(&q, 1))
			f->bits_per_byte = sql_get_real(&q, 1);
		text = sql_get_text(&q, 2);
		reasons = json_parse_lax(text, strlen(text), "reasons", NULL);
		f->smoke_reason = arena_strdup(a, json_string_value(json_array_get(reasons, 0)));
		if ((text = sql_get_text(&q, 4)))
			report = json_parse_lax(text, strlen(text), "report", NULL);
		f->is_sound = !strcmp(json_get_str_or(report, "structure", ""), "pass");
		f->compute_capability = finding_compute_capability(sql_get_text(&q, 3));
	}
	return sql_done(&q);
}

static int about_person(struct db_conn *c, int64_t id, struct arena *a, struct policy_facts *f, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT verdict, who, reason FROM ruling WHERE revision_id = $1", e);

	sql_int(&q, id);
	if (sql_row(&q)) {
		f->person = sql_get_int(&q, 0) == POLICY_PUBLISH ? POLICY_PERSON_PUBLISHED : POLICY_PERSON_REJECTED;
		f->person_name = sql_get_dup(&q, 1, a);
		f->person_reason = sql_get_dup(&q, 2, a);
	}
	return sql_done(&q);
}

/* Is it withdrawn or rejected under another name? A person may publish it all the same. What is published already is not taken off for it. */
static int about_off(struct db_conn *c, int64_t id, struct arena *a, struct policy_facts *f, struct err *e)
{
	struct model_off off;
	int rc = model_off_tx(c, id, a, &off, e);

	if (rc < 0 || !off.why)
		return rc;
	f->n_flagged++;
	if (!f->n_rejected) {
		f->worst_path = "the revision";
		f->worst_rule = off.rule;
		f->worst_message = off.why;
	}
	return 0;
}

int model_evidence_tx(struct db_conn *c, int64_t revision_id, struct arena *a, struct policy_facts *out, struct err *e)
{
	struct policy_facts f = { 0 };
	const char *conflicts = NULL;
	int rc;

	if ((rc = about_revision(c, revision_id, a, &f, &conflicts, e)) < 0)
		return rc;
	list_conflicts(conflicts, a, &f);
	if ((rc = about_files(c, revision_id, a, &f, e)) < 0 || (rc = about_findings(c, revision_id, a, &f, e)) < 0 ||
	    (rc = about_off(c, revision_id, a, &f, e)) < 0 || (rc = about_smoke(c, revision_id, a, &f, e)) < 0 || (rc = about_person(c, revision_id, a, &f, e)) < 0)
		return rc;
	*out = f;
	return 0;
}

int model_evidence(struct db *db, int64_t revision_id, struct arena *a, struct policy_facts *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : model_evidence_tx(r.c, revision_id, a, out, e);
}
