/*
 * lifecycle_rules.c - what the policy lets time do by itself: ages, ends of formats and licences, hints from upstream. A rule's mark has the source
 * "policy", on a revision that is published. What a person has marked gets none besides; a mark that is there follows its rule, and goes with it, even
 * while the revision is off the doors: it may come back.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/finding.h"
#include "catalog/licence.h"
#include "catalog/lifecycle_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"

#define PAGE_ROWS 500	/* revisions read at a time, so that no snapshot is held for long */
#define WHO	  "policy"
#define SUCCESSORS_MAX 100	/* no further from card to card */

/* A revision that is published or has a mark of the rules, and what they look at. */
struct subject {
	int64_t id, model_id, published_at;
	const char *repo, *commit, *new_version;
	bool disabled, vanished;	/* upstream's word on the model */
	struct policy_traits traits;
	bool named;		/* a ref leads to it, or the bare name of its model */
	bool by_person, exempt;	/* a person has said something of it or of its model; that rules leave it alone */
	/* the policy's mark on it, if any */
	bool marked;
	int64_t deprecated_at, sunset_at;
	const char *reason, *successor;
};

/* What the rules want for it; deprecated_at 0: nothing. */
struct wish {
	int64_t deprecated_at, sunset_at;
	const char *reason, *successor;
};

/* --- reading --- */

static void read_subject(struct sql *q, struct arena *a, struct subject *s)
{
	struct digest commit;
	char hex[DIGEST_HEX_MAX];

	*s = (struct subject){ .id = sql_get_int(q, 0), .model_id = sql_get_int(q, 1), .published_at = sql_get_int(q, 3), .repo = sql_get_dup(q, 4, a) };
	sql_get_digest(q, 2, DIGEST_SHA1, &commit);
	digest_hex(hex, &commit);
	s->commit = arena_strdup(a, hex);
	s->traits = (struct policy_traits){ .repo = s->repo,
					    .license = sql_get_dup(q, 5, a),
					    .license_said = licence_said(sql_get_text(q, 21), a),
					    .architecture = sql_get_dup(q, 6, a),
					    .quantization = sql_get_dup(q, 7, a),
					    .dtypes = sql_get_dup(q, 8, a),
					    .formats = (unsigned)sql_get_int(q, 9),
					    .compute_capability = finding_compute_capability(sql_get_text(q, 11)) };
	s->new_version = sql_get_dup(q, 10, a);
	s->marked = !sql_is_null(q, 12);
	s->by_person = !sql_is_null(q, 17);
	s->exempt = sql_get_int(q, 17) != 0;
	s->deprecated_at = sql_get_int(q, 13);
	s->sunset_at = sql_get_int(q, 14);
	s->disabled = sql_get_int(q, 18) != 0;
	s->vanished = sql_get_int(q, 19) != 0;
	s->named = sql_get_int(q, 20) != 0;
	s->reason = sql_get_dup(q, 15, a);
	s->successor = sql_get_dup(q, 16, a);
}

static int read_page(struct db *db, int64_t after, int most, struct arena *a, struct subject **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	struct subject *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT r.id, r.model_id, r.commit_id, r.published_at, m.name, li.name, ar.name, qu.name, r.dtypes, r.formats, r.new_version, "
					    "(SELECT platform FROM smoke_run WHERE revision_id = r.id " FINDING_SMOKE_FIRST "), "
					    "l.source, l.deprecated_at, l.sunset_at, l.reason, l.successor, "
					    "(SELECT max(w.exempt) FROM lifecycle AS w WHERE w.model_id = r.model_id AND w.revision_id IN (0, r.id) AND w.source = 'person'), "
					    "m.disabled, m.vanished_at IS NOT NULL, m.revision_id = r.id OR EXISTS (SELECT 1 FROM ref WHERE ref.model_id = r.model_id AND ref.revision_id = r.id), r.license_name "
					    "FROM revision AS r JOIN model AS m ON m.id = r.model_id "
					    "LEFT JOIN lifecycle AS l ON l.model_id = r.model_id AND l.revision_id = r.id AND l.source = 'policy' "
					    "LEFT JOIN term AS li ON li.id = r.license_id LEFT JOIN term AS ar ON ar.id = r.architecture_id "
					    "LEFT JOIN term AS qu ON qu.id = r.quantization_id WHERE r.id > $1 AND (r.state = 7 OR l.source IS NOT NULL) ORDER BY r.id LIMIT $2",
					    e);
	sql_int(&q, after);
	sql_int(&q, most);
	while (sql_row(&q))
		read_subject(&q, a, list_push(a, &list, &count, &cap));
	*out = list;
	*n = count;
	return sql_done(&q);
}

/* --- rules --- */

/* A date that a rule gives never comes sooner than the notice from now, unless it was announced already: what has a mark without a date was told of none. */
static int64_t with_notice(int64_t at, const struct subject *s, const struct policy_lifecycle *rules, int64_t now)
{
	int64_t soonest = now + rules->notice_s;

	if (s->sunset_at && s->sunset_at < soonest)
		soonest = s->sunset_at;
	return at > soonest ? at : soonest;
}

static void wish_end(const struct policy *p, const struct subject *s, const struct policy_lifecycle *rules, int64_t now, struct arena *a, struct wish *w)
{
	const struct policy_end *end = policy_end_of(p, &s->traits);

	if (!end)
		return;
	w->sunset_at = with_notice(end->at, s, rules, now);
	w->deprecated_at = w->sunset_at - rules->notice_s;	/* announced before that: the date is known at once */
	w->reason = end->reason ? end->reason : arena_printf(a, "the policy ends what this is");
	w->successor = end->successor;
}

/* until: old by then is old enough. */
static void wish_age(const struct subject *s, const struct policy_lifecycle *rules, int64_t now, int64_t until, struct wish *w)
{
	int64_t sunset;

	if (!rules->max_age_s || s->published_at == 0)
		return;
	sunset = with_notice(s->published_at + rules->max_age_s, s, rules, now);
	if (sunset - rules->notice_s > until || (w->deprecated_at && w->sunset_at <= sunset))
		return;		/* not old yet, or it ends sooner for another reason */
	*w = (struct wish){ .deprecated_at = sunset - rules->notice_s, .sunset_at = sunset, .reason = "published longer ago than the policy's max_age" };
}

/* A model on the way from card to card. */
struct step {
	int64_t id;		/* 0: nothing that we have */
	bool visible;
	char name[MODEL_NAME_MAX + 1];
};

static int read_step(struct sql *q, struct step *to)
{
	to->id = 0;
	if (sql_row(q)) {
		to->id = sql_get_int(q, 0);
		to->visible = sql_get_int(q, 1) != 0;
		snprintf(to->name, sizeof(to->name), "%s", sql_get_text(q, 2));
	}
	return sql_done(q);
}

/* Shown, and not past its sunset at $2, which is 0 where the policy goes on serving that. */
#define SERVED(model) model ".visible = 1 AND (" model ".sunset_at = 0 OR " model ".sunset_at > $2)"

static int first_of(struct db_conn *c, const char *repo, int64_t listed_at, struct step *to, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT n.id, " SERVED("n") ", n.name FROM model AS n WHERE n.name = $1", e);

	sql_text(&q, repo);
	sql_int(&q, listed_at);
	return read_step(&q, to);
}

/* What takes a model's place: a person's word, else what the card of the revision that it shows names. */
static int next_of(struct db_conn *c, int64_t model_id, int64_t listed_at, struct step *to, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT n.id, " SERVED("n") ", n.name FROM model AS m LEFT JOIN revision AS r ON r.id = m.revision_id "
					    "JOIN model AS n ON n.name = coalesce((SELECT l.successor FROM lifecycle AS l WHERE l.model_id = m.id AND l.revision_id IN (0, m.revision_id) "
					    "AND l.source = 'person' AND l.successor IS NOT NULL ORDER BY l.revision_id DESC LIMIT 1), r.new_version) WHERE m.id = $1 AND n.id <> m.id",
					    e);

	sql_int(&q, model_id);
	sql_int(&q, listed_at);
	return read_step(&q, to);
}

static bool seen_before(const int64_t *seen, size_t n, int64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (seen[i] == id)
			return true;
	return false;
}

/*
 * Follows the cards' new versions from s to the last that is served here: *successor (NULL: none is). *loops: they lead back to s, and of models
 * that each name the next none is the newer one.
 */
static int follow(struct db *db, const struct subject *s, int64_t listed_at, struct arena *a, const char **successor, bool *loops, struct err *e)
{
	own(read) struct read r = { 0 };
	int64_t seen[SUCCESSORS_MAX];
	struct step at;
	size_t n = 0;
	int rc;

	*successor = NULL;
	*loops = false;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	seen[n++] = s->model_id;
	rc = first_of(r.c, s->new_version, listed_at, &at, e);
	while (rc == 0 && at.id && n < SUCCESSORS_MAX && !seen_before(seen, n, at.id)) {
		if (at.visible)
			*successor = arena_strdup(a, at.name);
		seen[n++] = at.id;
		rc = next_of(r.c, at.id, listed_at, &at, e);
	}
	*loops = rc == 0 && at.id == s->model_id;
	return rc;
}

static const char *hint_of(const struct subject *s, bool newer)
{
	if (newer)
		return "its card names a newer version";
	if (s->disabled)
		return "upstream has disabled it";
	return s->vanished ? "upstream no longer has it" : NULL;
}

/* A hint has no date: what is here goes on, and says so. */
static int wish_hint(struct db *db, const struct subject *s, const struct policy_lifecycle *rules, int64_t now, struct arena *a, struct wish *w, struct err *e)
{
	const char *hint, *successor = NULL;
	char quoted[LOG_QUOTE_MAX];
	bool loops = false;
	int rc;

	if (!rules->follow_hints)
		return 0;
	if (s->new_version && (rc = follow(db, s, rules->gone_after_sunset ? now : 0, a, &successor, &loops, e)) < 0)
		return rc;
	if (loops)
		log_event(LOG_DEBUG, "lifecycle.loop", "repo=%s new_version=%s", s->repo, log_quote(quoted, s->new_version));
	hint = hint_of(s, s->new_version && !loops);
	if (!hint)
		return 0;
	if (!w->deprecated_at)
		*w = (struct wish){ .deprecated_at = now, .reason = hint };
	if (!w->successor && !loops)
		w->successor = successor;
	return 0;
}

/* Beside a person's mark no rule adds one, nor an end to one that has none; what is there still changes or goes with its rule. */
static int wish_for(struct db *db, const struct policy *p, const struct subject *s, int64_t now, int64_t until, struct arena *a, struct wish *w, struct err *e)
{
	struct policy_lifecycle rules;

	*w = (struct wish){ 0 };
	if (s->exempt || (s->by_person && !s->marked))
		return 0;
	policy_lifecycle(p, &rules);
	if (!s->by_person || s->sunset_at) {
		wish_end(p, s, &rules, now, a, w);
		wish_age(s, &rules, now, until, w);
	}
	return wish_hint(db, s, &rules, now, a, w, e);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool is_as_wished(const struct subject *s, const struct wish *w)
{
	if (!w->deprecated_at)
		return !s->marked;
	/* The day it was first marked stays, so only what is said about the end counts. */
	return s->marked && s->sunset_at == w->sunset_at && same_text(s->reason, w->reason) && same_text(s->successor, w->successor);
}

/* --- marking --- */

/* A successor that the catalog does not have, that has ended itself or that sends people here is worse than none; *why_not, in a, says which. */
static int check_successor(struct db_conn *c, const struct subject *s, const struct policy_lifecycle *rules, int64_t now, struct arena *a, struct wish *w,
			   const char **why_not, struct err *e)
{
	const struct lifecycle_order o = { .model_id = s->model_id, .revision_id = s->id, .successor = w->successor };
	int rc = w->successor ? lifecycle_check_successor_tx(c, &o, rules, now, e) : 0;

	if (rc != ERR_NOT_FOUND && rc != ERR_REFUSED)
		return rc;
	w->successor = NULL;
	*why_not = arena_strdup(a, e->msg);
	*e = (struct err)ERR_NONE;
	return 0;
}

static int put_mark(struct db_conn *c, const struct subject *s, const struct wish *w, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO lifecycle (model_id, revision_id, source, deprecated_at, sunset_at, successor, reason, who, at) "
					    "VALUES ($1, $2, 'policy', $3, $4, $5, $6, $7, $8) ON CONFLICT (model_id, revision_id, source) DO UPDATE SET "
					    "ended = CASE WHEN lifecycle.sunset_at = $4 THEN lifecycle.ended ELSE 0 END, sunset_at = $4, successor = $5, reason = $6, at = $8, "
					    "deprecated_at = CASE WHEN lifecycle.deprecated_at < $3 THEN lifecycle.deprecated_at ELSE $3 END",
					    e);

	sql_int(&q, s->model_id);
	sql_int(&q, s->id);
	sql_int(&q, w->deprecated_at);
	sql_int(&q, w->sunset_at);
	sql_text(&q, w->successor);
	sql_text(&q, w->reason);
	sql_text(&q, WHO);
	sql_int(&q, now);
	return sql_run(&q);
}

static int drop_mark(struct db_conn *c, const struct subject *s, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM lifecycle WHERE model_id = $1 AND revision_id = $2 AND source = 'policy'", e);

	sql_int(&q, s->model_id);
	sql_int(&q, s->id);
	return sql_run(&q);
}

static int tell(struct db_conn *c, const struct subject *s, const struct wish *w, const char *why_not, int64_t now, struct err *e)
{
	json_t *data = json_pack("{s:s,s:s?,s:s?,s:s*}", "by", WHO, "reason", w->reason, "successor", w->successor, "no_successor", why_not);

	if (w->deprecated_at)
		json_object_set_new(data, "sunset_at", json_time(w->sunset_at));
	return event_add_tx(c, w->deprecated_at ? "lifecycle.deprecated" : "lifecycle.undeprecated", s->repo, s->commit, data, now, e);
}

static int mark(struct db *db, const struct policy *p, const struct subject *s, struct wish w, int64_t now, struct arena *a, bool *changed, struct err *e)
{
	const char *why_not = NULL;
	char quoted[LOG_QUOTE_MAX];
	struct policy_lifecycle rules;
	own(tx) struct tx t = { 0 };
	int rc;

	policy_lifecycle(p, &rules);
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = check_successor(t.c, s, &rules, now, a, &w, &why_not, e)) < 0)
		return rc;
	if (is_as_wished(s, &w))
		return 0;	/* but for a successor that can't be named */
	rc = w.deprecated_at ? put_mark(t.c, s, &w, now, e) : drop_mark(t.c, s, e);
	if (rc < 0 || (rc = model_refresh_tx(t.c, s->model_id, e)) < 0 || (rc = tell(t.c, s, &w, why_not, now, e)) < 0 || (rc = tx_commit(&t, e)) < 0)
		return rc;
	if (why_not)
		log_event(LOG_WARNING, "lifecycle.no_successor", "repo=%s error=%s", s->repo, log_quote(quoted, why_not));
	*changed = true;
	return 0;
}

static int apply(struct db *db, const struct policy *p, const struct subject *s, int64_t now, struct arena *a, bool *changed, struct err *e)
{
	struct wish w;
	int rc = wish_for(db, p, s, now, now, a, &w, e);

	return rc < 0 || is_as_wished(s, &w) ? rc : mark(db, p, s, w, now, a, changed, e);
}

/* Without rules there is work only where an earlier policy has left marks. */
static int has_marks(struct db *db, bool *has, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT 1 FROM lifecycle WHERE source = 'policy' LIMIT 1", e);
	*has = sql_row(&q);
	return sql_done(&q);
}

int lifecycle_apply_rules(struct db *db, const struct policy *p, int64_t now, int64_t *n_changed, struct err *e)
{
	bool needed = policy_has_lifecycle_rules(p);
	int64_t after = 0, changes = 0;
	size_t n = 0;
	int rc = needed ? 0 : has_marks(db, &needed, e);

	do {
		own(arena) struct arena a;
		struct subject *page = NULL;

		arena_init(&a);
		n = 0;
		if (rc == 0 && needed)
			rc = read_page(db, after, PAGE_ROWS, &a, &page, &n, e);
		for (size_t i = 0; rc == 0 && i < n; i++) {
			bool changed = false;

			rc = apply(db, p, &page[i], now, &a, &changed, e);
			changes += changed;
			after = page[i].id;
		}
	} while (rc == 0 && n == PAGE_ROWS);
	if (n_changed)
		*n_changed = changes;
	return rc;
}

/* --- in advance --- */

/* The mark that a run of the rules would leave. */
static int mark_under(struct db *db, const struct policy *p, const struct subject *s, int64_t now, int64_t until, struct arena *a, struct lifecycle *mark, struct err *e)
{
	struct wish w;
	int rc = wish_for(db, p, s, now, until, a, &w, e);

	if (w.deprecated_at && s->marked && s->deprecated_at < w.deprecated_at)
		w.deprecated_at = s->deprecated_at;
	*mark = (struct lifecycle){ .deprecated_at = w.deprecated_at, .sunset_at = w.sunset_at, .reason = w.reason };
	return rc;
}

static enum lifecycle_reach reach_of(const struct lifecycle *l, const struct policy_lifecycle *rules, int64_t until)
{
	bool is_off = l->withdrawn_at || l->retired_at;

	if (is_off || (rules->gone_after_sunset && l->sunset_at && l->sunset_at <= until))
		return LIFECYCLE_REACH_GONE;
	if (!l->deprecated_at)
		return LIFECYCLE_REACH_ACTIVE;
	return rules->refuse_new_when_deprecated && l->deprecated_at <= until ? LIFECYCLE_REACH_PINNED : LIFECYCLE_REACH_DEPRECATED;
}

static int foresee(struct db *db, const struct policy *p, const struct subject *s, int64_t now, struct arena *a, struct lifecycle_foreseen *out, struct err *e)
{
	const int64_t until = now + LIFECYCLE_SOON_S;
	struct policy_lifecycle rules;
	struct lifecycle mark, l;
	int rc = mark_under(db, p, s, now, until, a, &mark, e);

	if (rc < 0)
		return rc;
	own(read) struct read r = { 0 };
	if ((rc = read_begin(&r, db, e)) < 0 || (rc = lifecycle_with_tx(r.c, s->model_id, s->id, &mark, now, a, &l, e)) < 0)
		return rc;
	policy_lifecycle(p, &rules);
	*out = (struct lifecycle_foreseen){ .reach = reach_of(&l, &rules, until), .named = s->named, .sunset_at = l.sunset_at, .reason = l.reason };
	return 0;
}

const char *lifecycle_reach_name(enum lifecycle_reach r)
{
	static const char *const names[] = { "active", "deprecated", "pinned_only", "gone" };

	return names[r];
}

int lifecycle_foresee(struct db *db, int64_t revision_id, const struct policy *const *p, size_t n, int64_t now, struct arena *a, struct lifecycle_foreseen *out, struct err *e)
{
	struct subject *s;
	size_t found;
	int rc = read_page(db, revision_id - 1, 1, a, &s, &found, e);

	for (size_t i = 0; i < n && rc == 0; i++) {
		out[i] = (struct lifecycle_foreseen){ .reach = LIFECYCLE_REACH_GONE };
		if (found && s->id == revision_id)
			rc = foresee(db, p[i], s, now, a, &out[i], e);
	}
	return rc;
}
