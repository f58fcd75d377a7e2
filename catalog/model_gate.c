/* model_gate.c - see model.h: derived facts, the evidence for the gate, and the one transaction that publishes. */
#include "catalog/model.h"

#include <math.h>

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/finding.h"
#include "catalog/licence.h"
#include "catalog/lifecycle_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"
#include "catalog/recertify.h"
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
	own(sql) struct sql q = sql_prepare(c, "SELECT verdict, bits_per_byte, reasons, platform FROM smoke_run WHERE revision_id = $1 " FINDING_SMOKE_FIRST, e);
	own(json) json_t *reasons = NULL;
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

static int evidence_tx(struct db_conn *c, int64_t revision_id, struct arena *a, struct policy_facts *out, struct err *e)
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

	return rc < 0 ? rc : evidence_tx(r.c, revision_id, a, out, e);
}

/* --- decisions --- */

static int next_run(struct db_conn *c, int64_t id, int64_t *run, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT coalesce(max(run), 0) + 1 FROM decision WHERE revision_id = $1", e);

	sql_int(&q, id);
	if (sql_row(&q))
		*run = sql_get_int(&q, 0);
	return sql_done(&q);
}

static int put_decision(struct db_conn *c, int64_t id, int64_t run, const char *who, const struct policy_reason *why, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO decision (revision_id, run, at, who, rule, verdict, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)", e);

	sql_int(&q, id);
	sql_int(&q, run);
	sql_int(&q, now);
	sql_text(&q, who);
	sql_text(&q, why->rule);
	sql_int(&q, why->outcome);
	sql_text(&q, why->text);
	return sql_run(&q);
}

static int put_decisions(struct db_conn *c, int64_t id, const char *who, const struct policy_reason *reasons, size_t n, int64_t now, struct err *e)
{
	int64_t run = 1;
	int rc = next_run(c, id, &run, e);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = put_decision(c, id, run, who, &reasons[i], now, e);
	return rc;
}

/* --- publishing --- */

/* The path of a wanted file that the store lacks, or "". */
static int first_missing(struct db_conn *c, int64_t id, char *path, size_t n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT f.path FROM file AS f LEFT JOIN blob AS b ON b.id = f.blob_id WHERE f.revision_id = $1 AND f.wanted > 0 "
					    "AND coalesce(b.stored, 0) = 0 ORDER BY f.path LIMIT 1",
					    e);

	sql_int(&q, id);
	snprintf(path, n, "%s", sql_row(&q) ? sql_get_text(&q, 0) : "");
	return sql_done(&q);
}

static int settle_pending(struct db_conn *c, int64_t id, bool accept, const char *why, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE file SET wanted = $2, why = $3 WHERE revision_id = $1 AND wanted = 2", e);

	sql_int(&q, id);
	sql_int(&q, accept ? 1 : 0);
	sql_text(&q, accept ? NULL : why);
	return sql_run(&q);
}

/* Every ref it was asked for, unless that ref serves a revision which was asked for later. */
static int move_refs(struct db_conn *c, const struct model_rev *rev, int64_t now, json_t *moved, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO ref (model_id, name, revision_id, moved_at) SELECT $1, w.name, $2, $3 FROM ref_wanted AS w WHERE w.revision_id = $2 "
					    "AND NOT EXISTS (SELECT 1 FROM ref AS f JOIN ref_wanted AS x ON x.revision_id = f.revision_id AND x.name = f.name "
					    "WHERE f.model_id = $1 AND f.name = w.name AND f.revision_id <> $2 AND x.asked_at > w.asked_at) "
					    "ON CONFLICT (model_id, name) DO UPDATE SET moved_at = CASE WHEN ref.revision_id = $2 THEN ref.moved_at ELSE $3 END, revision_id = $2 "
					    "RETURNING name",
					    e);

	sql_int(&q, rev->model_id);
	sql_int(&q, rev->id);
	sql_int(&q, now);
	while (sql_row(&q))
		json_array_append_new(moved, json_string(sql_get_text(&q, 0)));
	return sql_done(&q);
}

/* A revision that gave its room back may find all of it here, kept for others: from now on it needs it too. */
static int use_files(struct db_conn *c, int64_t id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO blob_use (blob_id, revision_id) SELECT DISTINCT f.blob_id, f.revision_id FROM file AS f WHERE f.revision_id = $1 AND f.wanted > 0 "
					    "AND f.blob_id IS NOT NULL ON CONFLICT DO NOTHING",
					    e);

	sql_int(&q, id);
	return sql_run(&q);
}

/* Whoever hears of it may not be able to get it: its model may be deprecated or off the doors, and so may the revision itself. */
static int tell_published(struct db_conn *c, const struct model_rev *rev, const char *by, json_t *moved, int64_t now, struct err *e)
{
	own(arena) struct arena a;
	struct lifecycle l;
	int rc;

	arena_init(&a);
	if ((rc = lifecycle_at_tx(c, rev->model_id, rev->id, now, &a, &l, e)) < 0)
		return rc;
	return event_add_tx(c, "revision.published", rev->repo, rev->commit,
			    json_pack("{s:O,s:s,s:s*}", "refs", moved, "by", by, "lifecycle", l.state == LIFECYCLE_ACTIVE ? NULL : lifecycle_state_name(l.state)), now, e);
}

static int publish(struct db_conn *c, const struct model_rev *rev, const char *by, const char *summary, int64_t now, struct err *e)
{
	own(json) json_t *moved = json_array();
	char path[200];
	int rc;

	if (rev->state == REVISION_RETIRED)
		return err_set(e, ERR_REFUSED, "%s@%.12s is retired: restore it first", rev->repo, rev->commit);
	if ((rc = first_missing(c, rev->id, path, sizeof(path), e)) < 0)
		return rc;
	if (*path)
		return err_set(e, ERR_CONFLICT, "%s@%.12s can't be published: %s is not in the store", rev->repo, rev->commit, path);
	if ((rc = settle_pending(c, rev->id, true, NULL, e)) < 0 || (rc = model_sum_files_tx(c, rev->id, e)) < 0 || (rc = use_files(c, rev->id, e)) < 0)
		return rc;
	if ((rc = model_set_state_tx(c, rev->id, REVISION_PUBLISHED, summary, now, e)) < 0 || (rc = move_refs(c, rev, now, moved, e)) < 0)
		return rc;
	return tell_published(c, rev, by, moved, now, e);
}

/* Published all the same: `why` begins with it, and not with what was met when it was published. */
static int keep_reason(struct db_conn *c, int64_t id, const char *summary, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE revision SET reason = 'it goes on being served as it was: ' || $2 WHERE id = $1", e);

	sql_int(&q, id);
	sql_text(&q, summary);
	return sql_run(&q);
}

/* Held or rejected. What is published stays so: then it was only about pending files. */
static int turn_down(struct db_conn *c, const struct model_rev *rev, enum policy_outcome outcome, const char *by, const char *summary, int64_t now,
		     struct err *e)
{
	enum revision_state state = outcome == POLICY_REJECT ? REVISION_REJECTED : REVISION_HELD;
	const char *kind = outcome == POLICY_REJECT ? "revision.rejected" : "revision.held";
	int rc;

	if (rev->state == REVISION_PUBLISHED) {
		if ((rc = settle_pending(c, rev->id, false, summary, e)) < 0 || (rc = keep_reason(c, rev->id, summary, e)) < 0)
			return rc;
		return event_add_tx(c, "revision.files_refused", rev->repo, rev->commit, json_pack("{s:s,s:s}", "reason", summary, "by", by), now, e);
	}
	if ((rc = model_set_state_tx(c, rev->id, state, summary, now, e)) < 0)
		return rc;
	return event_turned_down_tx(c, kind, rev->repo, rev->commit, summary, by, now, e);
}

static int conclude_tx(struct db_conn *c, const struct model_rev *rev, const struct policy_verdict *v, const char *who, int64_t now, struct err *e)
{
	const char *summary = v->summary ? v->summary : policy_outcome_name(v->outcome);
	int rc = put_decisions(c, rev->id, who, v->reasons, v->n_reasons, now, e);

	if (rc < 0)
		return rc;
	if (v->outcome == POLICY_PUBLISH)
		rc = publish(c, rev, who, summary, now, e);
	else
		rc = turn_down(c, rev, v->outcome, who, summary, now, e);
	return rc < 0 ? rc : model_refresh_tx(c, rev->model_id, e);
}

/* Marks of what the policy has judged. What stays published though it was turned down is marked as before: that was about other files, or another licence. */
static int settle_marks(struct db_conn *c, const struct model_rev *rev, const struct policy_verdict *v, int64_t now, struct err *e)
{
	if (v->outcome != POLICY_PUBLISH && rev->state == REVISION_PUBLISHED)
		return 0;
	return recertify_settle_tx(c, rev, policy_lives_with(v, "smoke"), policy_lives_with(v, "license"), now, e);
}

static int judged(struct db_conn *c, const struct model_rev *rev, const struct policy_verdict *v, int64_t now, struct err *e)
{
	int rc = conclude_tx(c, rev, v, "policy", now, e);

	return rc < 0 ? rc : settle_marks(c, rev, v, now, e);
}

int model_conclude(struct db *db, int64_t revision_id, const struct policy_verdict *v, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0 || (rc = judged(t.c, &rev, v, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/*
 * Off every door: the revision is to be held or rejected next, and refs that pointed at it point at nothing until a revision is published for
 * them, this one or another.
 */
static int unpublish(struct db_conn *c, struct model_rev *rev, struct err *e)
{
	int rc;

	if (rev->state != REVISION_PUBLISHED)
		return 0;
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM ref WHERE model_id = $1 AND revision_id = $2", e);
	sql_int(&q, rev->model_id);
	sql_int(&q, rev->id);
	rc = sql_run(&q);
	rev->state = REVISION_HELD;
	return rc;
}

int model_reconsider(struct db *db, int64_t revision_id, enum revision_state from, const struct policy_verdict *v, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0 || rev.state != from)
		return rc;
	if (v->outcome != POLICY_PUBLISH && (rc = unpublish(t.c, &rev, e)) < 0)
		return rc;
	if ((rc = judged(t.c, &rev, v, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int model_judge_again_tx(struct db_conn *c, int64_t revision_id, const struct policy *p, int64_t now, struct arena *a, enum revision_state *state, const char **reason,
			 struct err *e)
{
	struct policy_verdict v;
	struct policy_facts f;
	struct model_rev rev;
	int rc;

	if ((rc = model_rev_tx(c, revision_id, &rev, e)) < 0 || (rc = evidence_tx(c, revision_id, a, &f, e)) < 0)
		return rc;
	f.is_published = true;	/* it was: its end is for its dates to say, and its room is taken already */
	policy_decide(p, &f, now, a, &v);
	*reason = v.outcome == POLICY_PUBLISH ? "restored" : v.summary;
	if (v.outcome == POLICY_PUBLISH) {
		*state = REVISION_PUBLISHED;
		if ((rc = put_decisions(c, rev.id, "policy", v.reasons, v.n_reasons, now, e)) < 0 || (rc = settle_marks(c, &rev, &v, now, e)) < 0)
			return rc;
		rc = use_files(c, rev.id, e);
		return rc < 0 ? rc : model_set_state_tx(c, rev.id, *state, *reason, now, e);
	}
	*state = v.outcome == POLICY_REJECT ? REVISION_REJECTED : REVISION_HELD;
	rev.state = REVISION_PUBLISHED;
	if ((rc = unpublish(c, &rev, e)) < 0)
		return rc;
	return judged(c, &rev, &v, now, e);
}

/* --- a person's decision --- */

static int put_ruling(struct db_conn *c, int64_t id, enum policy_outcome outcome, const char *who, const char *reason, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO ruling (revision_id, verdict, who, reason, at) VALUES ($1, $2, $3, $4, $5) "
					    "ON CONFLICT (revision_id) DO UPDATE SET verdict = $2, who = $3, reason = $4, at = $5",
					    e);

	sql_int(&q, id);
	sql_int(&q, outcome);
	sql_text(&q, who);
	sql_text(&q, reason);
	sql_int(&q, now);
	return sql_run(&q);
}

/* A person may publish what policy holds, not what does not verify. */
static int check_publishable(struct db_conn *c, const struct model_rev *rev, struct err *e)
{
	own(arena) struct arena a;
	struct policy_facts f = { 0 };
	bool metadata;
	int rc;

	arena_init(&a);
	if ((rc = model_is_metadata_tx(c, rev->id, &metadata, e)) < 0 || (rc = about_findings(c, rev->id, &a, &f, e)) < 0)
		return rc;
	if (metadata)
		return err_set(e, ERR_CONFLICT, "%s@%.12s has no weights here, only metadata is kept of it: sync it whole first", rev->repo, rev->commit);
	if (f.n_rejected)
		return err_set(e, ERR_REFUSED, "%s@%.12s can't be published by hand: %s: %s (%s)", rev->repo, rev->commit, *f.worst_path ? f.worst_path : "the revision",
			       f.worst_message, f.worst_rule);
	return 0;
}

/* A person's word settles the licence; that a test failed is still so, and clients are told of it as before. */
static int settle_marks_ruled(struct db_conn *c, const struct model_rev *rev, int64_t now, struct err *e)
{
	own(arena) struct arena a;
	struct policy_facts f = { 0 };
	int rc;

	arena_init(&a);
	if ((rc = about_smoke(c, rev->id, &a, &f, e)) < 0)
		return rc;
	return recertify_settle_tx(c, rev, f.smoke && !strcmp(f.smoke, "fail"), false, now, e);
}

int model_rule(struct db *db, int64_t revision_id, enum policy_outcome outcome, const char *who, const char *reason, int64_t now, struct err *e)
{
	const char *text = reason && *reason ? reason : "no reason given";
	struct policy_verdict v = { .outcome = outcome, .n_reasons = 1 };
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	char summary[600];
	int rc;

	if (outcome == POLICY_HOLD)
		return err_set(e, ERR_USAGE, "a person publishes or rejects");
	snprintf(summary, sizeof(summary), "%s by %.64s: %s", outcome == POLICY_PUBLISH ? "published" : "rejected", who, text);
	str_mend_utf8(summary);
	v.reasons[0] = (struct policy_reason){ .rule = "person", .outcome = outcome, .text = summary };
	v.summary = summary;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0)
		return rc;
	if (outcome == POLICY_PUBLISH ? (rc = check_publishable(t.c, &rev, e)) < 0 : (rc = unpublish(t.c, &rev, e)) < 0)
		return rc;
	if ((rc = put_ruling(t.c, revision_id, outcome, who, reason, now, e)) < 0 || (rc = conclude_tx(t.c, &rev, &v, who, now, e)) < 0)
		return rc;
	if (outcome == POLICY_PUBLISH && (rc = settle_marks_ruled(t.c, &rev, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}
