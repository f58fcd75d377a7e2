/* policy_change.c - see policy_change.h. */
#include "catalog/policy_change.h"

#include "base/json.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/recertify.h"
#include "catalog/retention.h"
#include "catalog/sql.h"

#define PAGE_ROWS     500	/* revisions read at a time, so that no snapshot is held for long */
#define DRASTIC_SHARE 10	/* a change that leaves less than one in so many published is asked about */

/* --- the history --- */

static struct policy_kept kept_of(struct sql *q, struct arena *a)
{
	struct policy_kept k = { .id = sql_get_int(q, 0), .at = sql_get_int(q, 1), .who = sql_get_dup(q, 2, a), .text = sql_get_dup(q, 4, a), .applied = sql_get_int(q, 5) != 0 };

	sql_get_digest(q, 3, DIGEST_SHA256, &k.sha256);
	return k;
}

int policy_kept_newest(struct db *db, struct arena *a, struct policy_kept *out, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	*out = (struct policy_kept){ 0 };
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT id, at, who, sha256, body, applied FROM policy ORDER BY id DESC LIMIT 1", e);
	if (sql_row(&q))
		*out = kept_of(&q, a);
	return sql_done(&q);
}

int policy_kept_at_work(struct db *db, struct arena *a, struct policy_kept **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	size_t cap = 0;
	int rc;

	*out = NULL;
	*n = 0;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT id, at, who, sha256, body, applied FROM policy WHERE id >= coalesce((SELECT max(id) FROM policy WHERE applied = 1), 0) ORDER BY id",
					    e);
	while (sql_row(&q))
		*list_push(a, out, n, &cap) = kept_of(&q, a);
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

static bool leaves_little(int64_t lost, int64_t of)
{
	return lost > 0 && (of - lost) * DRASTIC_SHARE < of;
}

bool policy_effect_is_drastic(const struct policy_effect *x)
{
	return leaves_little(x->unpublishes, x->published) || leaves_little(x->takes_off, x->served) || leaves_little(x->turns_away, x->named);
}

void policy_effect_question(char *out, size_t n, const struct policy_effect *x)
{
	*out = 0;
	if (leaves_little(x->unpublishes, x->published))
		snprintf(out, n, "it would take %lld of %lld published revisions off", (long long)x->unpublishes, (long long)x->published);
	else if (leaves_little(x->takes_off, x->served))
		snprintf(out, n, "it would leave clients without %lld of %lld published revisions, with what its lifecycle rules end within a day", (long long)x->takes_off,
			 (long long)x->served);
	else if (leaves_little(x->turns_away, x->named))
		snprintf(out, n, "it would refuse new users %lld of %lld published revisions that a branch, a tag or the bare name gives them", (long long)x->turns_away,
			 (long long)x->named);
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

/* Is the state that it is in one that the rules before account for, and these would not leave it in? */
static bool is_changed(const struct settled *s, const struct policy_verdict *before, struct policy_verdict *after, struct arena *a)
{
	if (s->state == REVISION_PUBLISHED) {
		policy_object_anew(before, a, after);	/* what came about since (a test that failed, a licence that conflicts) is not for the new rules to settle */
		return after->outcome != POLICY_PUBLISH;
	}
	return before->outcome != after->outcome && after->outcome != (s->state == REVISION_HELD ? POLICY_HOLD : POLICY_REJECT);
}

/* What a change of the lifecycle comes to for clients: less (1), more (-1) or the same (0). A date that moves is one too. */
static int loss(const struct lifecycle_foreseen *before, const struct lifecycle_foreseen *after)
{
	if (after->reach != before->reach)
		return after->reach > before->reach ? 1 : -1;
	if (after->reach == LIFECYCLE_REACH_GONE || after->sunset_at == before->sunset_at)
		return 0;
	return before->sunset_at == 0 || (after->sunset_at && after->sunset_at < before->sunset_at) ? 1 : -1;
}

/* The key of the policy that alone made it so, and what was said of it before. */
static const char *why(const struct lifecycle_foreseen *before, const struct lifecycle_foreseen *after, struct arena *a)
{
	enum lifecycle_reach from = before->reach, to = after->reach;
	const char *key = NULL;

	if (from != to && to == LIFECYCLE_REACH_PINNED)
		key = "lifecycle.deprecated: pinned_only";
	else if (from == LIFECYCLE_REACH_PINNED && to == LIFECYCLE_REACH_DEPRECATED)
		key = "lifecycle.deprecated: serve";
	else if (from != to && before->sunset_at && before->sunset_at == after->sunset_at)
		key = to == LIFECYCLE_REACH_GONE ? "lifecycle.after_sunset: gone" : "lifecycle.after_sunset: warn";
	return key && after->reason ? arena_printf(a, "%s; %s", key, after->reason) : key ? key : after->reason;
}

/* One that is published now, before the old rules and after the new ones. */
static void count_life(struct policy_effect *x, const struct lifecycle_foreseen *before, const struct lifecycle_foreseen *after)
{
	bool is_served = before->reach < LIFECYCLE_REACH_GONE, is_named = before->named && before->reach < LIFECYCLE_REACH_PINNED;

	x->served += is_served;
	x->takes_off += is_served && after->reach == LIFECYCLE_REACH_GONE;
	x->named += is_named;
	x->turns_away += is_named && after->reach >= LIFECYCLE_REACH_PINNED;
}

static void count_change(struct policy_effect *x, const struct lifecycle_foreseen *before, const struct lifecycle_foreseen *after)
{
	if (loss(before, after) < 0)
		x->eases++;
	else if (after->reach == LIFECYCLE_REACH_GONE)
		x->ends++;
	else if (after->reach == LIFECYCLE_REACH_PINNED)
		x->pins++;
	else
		x->deprecates++;
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

struct comparing {
	struct db *db;
	const struct policy *const *old;
	size_t n_old;
	const struct policy *new;
	int64_t now;
	int (*each)(void *arg, const struct policy_changed *ch, struct err *e);
	void *arg;
	struct policy_effect *out;	/* or NULL */
};

/* NULL when nothing changes. */
static const struct policy_verdict *changed(const struct comparing *c, const struct settled *s, const struct policy_facts *f, struct arena *a)
{
	struct policy_verdict *before = arena_alloc(a, sizeof(*before)), *after = arena_alloc(a, sizeof(*after));

	for (size_t i = 0; i < c->n_old; i++) {
		policy_decide(c->old[i], f, c->now, a, before);
		policy_decide(c->new, f, c->now, a, after);
		if (is_changed(s, before, after, a))
			return after;
	}
	return NULL;
}

/* v: what the gate changes, or NULL. */
static int compare_life(const struct comparing *c, const struct settled *s, const struct policy_verdict *v, struct arena *a, struct err *e)
{
	struct lifecycle_foreseen life[2];
	struct policy_changed ch = { .revision_id = s->id, .repo = s->repo, .commit = s->commit, .from = s->state, .before = &life[0], .after = &life[1] };
	int rc = lifecycle_foresee(c->db, s->id, (const struct policy *const[]){ c->old[0], c->new }, 2, c->now, a, life, e);

	if (rc < 0)
		return rc;
	if (v)
		life[1].reach = LIFECYCLE_REACH_GONE;
	count_life(c->out, &life[0], &life[1]);
	if (v || loss(&life[0], &life[1]) == 0)
		return 0;
	count_change(c->out, &life[0], &life[1]);
	ch.why = why(&life[0], &life[1], a);
	return c->each ? c->each(c->arg, &ch, e) : 0;
}

static int judge(const struct comparing *c, const struct settled *s, struct arena *a, const struct policy_verdict **v, struct err *e)
{
	struct policy_facts facts;
	int rc = model_evidence(c->db, s->id, a, &facts, e);

	if (rc == 0)
		rc = recertify_lived_with(c->db, s->id, a, &facts, e);
	if (rc < 0)
		return rc;
	facts.is_published = s->state == REVISION_PUBLISHED;
	*v = changed(c, s, &facts, a);
	if (!*v || (*v)->outcome != POLICY_PUBLISH || !policy_has_quotas(c->new))
		return 0;
	rc = retention_bytes_with(c->db, s->id, a, &facts.author, &facts.namespace_bytes, e);	/* a question that takes long, so it is asked last */
	*v = rc < 0 ? NULL : changed(c, s, &facts, a);
	return rc;
}

static int compare_one(const struct comparing *c, const struct settled *s, struct arena *a, struct err *e)
{
	const struct policy_verdict *v;
	int rc = judge(c, s, a, &v, e);

	if (rc < 0)
		return rc;
	if (c->out) {
		c->out->tested++;
		c->out->published += s->state == REVISION_PUBLISHED;
		if (v)
			count(c->out, s->state, v->outcome);
		rc = s->state == REVISION_PUBLISHED ? compare_life(c, s, v, a, e) : 0;
	}
	if (rc < 0 || !v || !c->each)
		return rc;
	return c->each(c->arg, &(struct policy_changed){ .revision_id = s->id, .repo = s->repo, .commit = s->commit, .from = s->state, .verdict = v }, e);
}

int policy_compare(struct db *db, const struct policy *const *old, size_t n_old, const struct policy *new, int64_t now,
		   int (*each)(void *arg, const struct policy_changed *ch, struct err *e), void *arg, struct policy_effect *out, struct err *e)
{
	const struct comparing c = { db, old, n_old, new, now, each, arg, out };
	int64_t last = 0;
	int rc = 0;

	if (out)
		*out = (struct policy_effect){ 0 };
	do {
		own(arena) struct arena a;
		struct settled *page = NULL;
		size_t n = 0;

		arena_init(&a);
		rc = read_page(db, last, &a, &page, &n, &last, e);
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = compare_one(&c, &page[i], &a, e);
	} while (rc == 0 && last);
	return rc;
}
