/* policy_change.c - see policy_change.h. */
#include "catalog/policy_change.h"

#include "base/json.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/sql.h"

#define PAGE_ROWS     500	/* revisions read at a time, so that no snapshot is held for long */
#define DRASTIC_SHARE 10	/* a change that leaves less than one in so many published is asked about */

/* --- the history --- */

int policy_kept_newest(struct db *db, bool applied, struct arena *a, struct policy_kept *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	*out = (struct policy_kept){ 0 };
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT id, at, who, sha256, body, applied FROM policy WHERE applied >= $1 ORDER BY id DESC LIMIT 1", e);
	sql_int(&q, applied);
	if (sql_row(&q)) {
		*out = (struct policy_kept){ .id = sql_get_int(&q, 0), .at = sql_get_int(&q, 1), .who = sql_get_dup(&q, 2, a), .text = sql_get_dup(&q, 4, a),
					     .applied = sql_get_int(&q, 5) != 0 };
		sql_get_digest(&q, 3, DIGEST_SHA256, &out->sha256);
	}
	return sql_done(&q);
}

static int put(struct db_conn *c, const struct digest *sha256, const char *text, const char *who, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO policy (at, who, sha256, body, applied) SELECT $1, $2, $3, $4, CASE WHEN EXISTS (SELECT 1 FROM policy) THEN 0 ELSE 1 END",
					    e);

	sql_int(&q, now);
	sql_text(&q, who);
	sql_digest(&q, sha256);
	sql_text(&q, text);
	return sql_run(&q);
}

int policy_keep(struct db *db, const char *text, const char *who, json_t *effect, int64_t now, struct err *e)
{
	json_t *data = effect ? effect : json_object();
	own(tx) struct tx t = { 0 };
	char hex[DIGEST_HEX_MAX];
	struct digest sha256;
	int rc;

	digest_of(&sha256, DIGEST_SHA256, text, strlen(text));
	digest_hex(hex, &sha256);
	json_object_set_new(data, "sha256", json_string(hex));
	json_object_set_new(data, "by", json_string(who));
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = put(t.c, &sha256, text, who, now, e)) < 0) {
		json_decref(data);
		return rc;
	}
	rc = event_add_tx(t.c, "policy.changed", NULL, NULL, data, now, e);
	return rc < 0 ? rc : tx_commit(&t, e);
}

int policy_applied(struct db *db, int64_t id, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE policy SET applied = 1 WHERE id <= $1 AND applied = 0", e);
		sql_int(&q, id);
		rc = sql_run(&q);
	}
	return rc < 0 ? rc : tx_commit(&t, e);
}

/* --- what it changes --- */

bool policy_effect_is_drastic(const struct policy_effect *x)
{
	return x->unpublishes > 0 && (x->published - x->unpublishes) * DRASTIC_SHARE < x->published;
}

struct settled {
	int64_t id;
	const char *repo, *commit;
	enum revision_state state;
};

/* Revisions of which only metadata is kept are settled by that, whatever a policy says. */
static int read_page(struct db *db, int64_t after, struct arena *a, struct settled **out, size_t *n, int64_t *last, struct err *e)
{
	own(read) struct read r = { 0 };
	size_t cap = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT r.id, m.name, r.commit_id, r.state, r.selection FROM revision AS r JOIN model AS m ON m.id = r.model_id "
					    "WHERE r.id > $1 AND r.state BETWEEN 5 AND 7 ORDER BY r.id LIMIT $2",
					    e);
	sql_int(&q, after);
	sql_int(&q, PAGE_ROWS);
	*last = 0;
	while (sql_row(&q)) {
		const char *selection = sql_get_text(&q, 4);
		char hex[DIGEST_HEX_MAX];
		struct digest commit;

		*last = sql_get_int(&q, 0);
		if (selection && strstr(selection, "\"metadata_only\""))
			continue;
		sql_get_digest(&q, 2, DIGEST_SHA1, &commit);
		digest_hex(hex, &commit);
		*list_push(a, out, n, &cap) = (struct settled){ *last, sql_get_dup(&q, 1, a), arena_strdup(a, hex), (enum revision_state)sql_get_int(&q, 3) };
	}
	return sql_done(&q);
}

static enum policy_outcome worst_of(const struct policy_verdict *v, const char *rule)
{
	enum policy_outcome worst = POLICY_PUBLISH;

	for (size_t i = 0; i < v->n_reasons; i++)
		if (!strcmp(v->reasons[i].rule, rule) && v->reasons[i].outcome > worst)
			worst = v->reasons[i].outcome;
	return worst;
}

/* Is there a rule that is against it, and was not before, or less so? */
static bool is_newly_refused(const struct policy_verdict *before, const struct policy_verdict *after)
{
	if (after->outcome == POLICY_PUBLISH)
		return false;
	for (size_t i = 0; i < after->n_reasons; i++)
		if (after->reasons[i].outcome > worst_of(before, after->reasons[i].rule))
			return true;
	return false;
}

/* NULL when nothing changes. */
static const struct policy_verdict *changed(const struct settled *s, const struct policy_facts *f, const struct policy *old, const struct policy *new, int64_t now,
					    struct arena *a)
{
	struct policy_verdict *before = arena_alloc(a, sizeof(*before)), *after = arena_alloc(a, sizeof(*after));

	policy_decide(old, f, now, a, before);
	policy_decide(new, f, now, a, after);
	/* Published all the same under the old rules (a test that failed since, a licence that conflicts since): that is not for the new ones to settle. What they add is. */
	if (s->state == REVISION_PUBLISHED && before->outcome != POLICY_PUBLISH)
		return is_newly_refused(before, after) ? after : NULL;
	if (before->outcome == after->outcome || after->outcome == (s->state == REVISION_PUBLISHED ? POLICY_PUBLISH : s->state == REVISION_HELD ? POLICY_HOLD : POLICY_REJECT))
		return NULL;
	return after;
}

static void count(struct policy_effect *x, enum revision_state from, enum policy_outcome to)
{
	if (from == REVISION_PUBLISHED)
		x->unpublishes++;
	else if (to == POLICY_PUBLISH)
		x->publishes++;
	else
		x->others++;
}

int policy_compare(struct db *db, const struct policy *old, const struct policy *new, int64_t now,
		   int (*each)(void *arg, const struct policy_changed *ch, struct err *e), void *arg, struct policy_effect *out, struct err *e)
{
	int64_t last = 0;
	int rc = 0;

	*out = (struct policy_effect){ 0 };
	do {
		own(arena) struct arena a;
		struct settled *page = NULL;
		size_t n = 0;

		arena_init(&a);
		rc = read_page(db, last, &a, &page, &n, &last, e);
		for (size_t i = 0; i < n && rc == 0; i++) {
			const struct policy_verdict *v;
			struct policy_facts facts;

			rc = model_evidence(db, page[i].id, &a, &facts, e);
			if (rc < 0)
				break;
			facts.is_published = page[i].state == REVISION_PUBLISHED;
			out->tested++;
			out->published += facts.is_published;
			v = changed(&page[i], &facts, old, new, now, &a);
			if (!v)
				continue;
			count(out, page[i].state, v->outcome);
			rc = each ? each(arg, &(struct policy_changed){ page[i].id, page[i].repo, page[i].commit, page[i].state, v }, e) : 0;
		}
	} while (rc == 0 && last);
	return rc;
}
