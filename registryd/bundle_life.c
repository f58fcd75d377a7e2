/* bundle_life.c - see bundle_life.h. */
#include "registryd/bundle_life.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "catalog/event.h"
#include "registryd/bundle.h"

#define DAY_S 86400

static int64_t time_of(const json_t *from, const char *member)
{
	const char *text = json_get_str(from, member);
	int64_t at;

	return text && str_parse_time(text, &at, NULL) == 0 ? at : 0;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static bool same_repo(const char *a, const char *b)
{
	return !strcasecmp(a ? a : "", b ? b : "");
}

/* ---- what has been said here --------------------------------------------------------------------------------------- */

/* A model as a whole, commit "" and revision_id 0, or one revision of it. */
struct subject {
	const char *repo, *commit;
	int64_t model_id, revision_id;
};

static bool is_undone(const struct event *ev)
{
	return !strcmp(ev->kind, "lifecycle.undeprecated");
}

/* A word on when that ends. What is taken back for a model is also what rules and tests have marked of its revisions. */
static bool is_about(const struct event *ev, const struct subject *s)
{
	return (is_undone(ev) || !strcmp(ev->kind, "lifecycle.deprecated")) && (!strcmp(ev->revision, s->commit) || (is_undone(ev) && !*ev->revision));
}

/* Each of them to see(), oldest first. */
static int each_word(struct db *db, const struct subject *s, void (*see)(const struct event *ev, const json_t *data, void *arg), void *arg, struct err *e)
{
	enum { PAGE = 200 };
	int64_t since = 0;
	size_t n;

	do {
		own(arena) struct arena a = { 0 };
		struct event *events;
		int rc = event_list(db, since, s->repo, PAGE, &a, &events, &n, e);

		if (rc)
			return rc;
		for (size_t i = 0; i < n; i++) {
			own(json) json_t *data = is_about(&events[i], s) ? json_parse_lax(events[i].data, strlen(events[i].data), "an event", NULL) : NULL;

			if (data)
				see(&events[i], data, arg);
			since = events[i].id;
		}
	} while (n == PAGE);
	return 0;
}

struct last {
	const struct subject *of;
	struct lifecycle life;
	int64_t said_at;
	json_t *first_said;	/* what a bundle's mark that holds was at the site that made it, or NULL */
};

/*
 * What a bundle brought keeps the time of the site that said it, by which it is known; a word of this site's own is later than all that was said before it,
 * whatever clocks have done meanwhile.
 */
static int64_t said_after(int64_t before, int64_t elsewhere, int64_t at)
{
	if (elsewhere >= before && elsewhere)
		return elsewhere;
	return !elsewhere && at > before ? at : before + 1;
}

static void see_last(const struct event *ev, const json_t *data, void *arg)
{
	int64_t elsewhere = time_of(data, "said_at");
	json_t *first = json_object_get(data, "first_said");
	struct last *l = arg;

	if (l->life.deprecated_at && strcmp(ev->revision, l->of->commit) != 0)	/* that did not take it back */
		return;
	l->said_at = said_after(l->said_at, elsewhere, ev->at);
	json_decref(l->first_said);
	l->first_said = l->life.deprecated_at && time_of(data, "sunset_at") == l->life.sunset_at ? json_incref(first) : NULL;
}

static json_t *entry_of(struct daemon *d, const struct subject *s, int64_t now, struct arena *a, struct err *e)
{
	struct last l = { .of = s };
	json_t *j = NULL;

	if (!lifecycle_own(d->db, s->model_id, s->revision_id, daemon_policy(d), now, a, &l.life, e) && !each_word(d->db, s, see_last, &l, e)) {
		j = lifecycle_json(&l.life);
		json_object_set_new(j, "said_at", json_time(l.said_at));
		if (l.first_said)
			json_object_set(j, "first_said", l.first_said);
	}
	json_decref(l.first_said);
	return j;
}

json_t *bundle_life_entry(struct daemon *d, const struct model *m, const struct revision *r, int64_t now, struct arena *a, struct err *e)
{
	const struct subject whole = { m->name, "", m->id, 0 }, one = { m->name, r->commit, m->id, r->id };
	json_t *j = entry_of(d, &whole, now, a, e), *of_revision = j ? entry_of(d, &one, now, a, e) : NULL;

	if (of_revision) {
		json_object_set_new(j, "of_revision", of_revision);
		return j;
	}
	json_decref(j);
	return NULL;
}

struct here {
	const struct subject *of;
	struct arena *a;
	struct lifecycle mark;
	bool off;		/* retired or withdrawn */
	bool of_bundle;		/* nobody here has said anything since a bundle did */
	bool told;		/* a bundle has said something before */
	int64_t told_at;	/* when its site said that, by the clock there; 0: it is not known */
	int64_t told_sunset_at;	/* and what, in the words of the site that said so first */
	const char *told_reason;
	const char *told_for;	/* see struct word */
	int64_t undone_told_at;	/* told_at as people here last took a mark back */
};

/* Rules and tests have marks of their own, beside the bundle's. */
static bool is_people(const char *by)
{
	return strcmp(by, "policy") != 0 && strcmp(by, "smoke") != 0 && strcmp(by, "licence") != 0;
}

static void see_here(const struct event *ev, const json_t *data, void *arg)
{
	const json_t *first = json_object_get(data, "first_said");
	const char *by = json_get_str_or(data, "by", "");
	struct here *h = arg;

	if (strcmp(ev->revision, h->of->commit) != 0 || !is_people(by))
		return;
	h->of_bundle = !strcmp(by, BUNDLE_UPSTREAM);
	if (h->of_bundle) {
		h->told = true;
		h->told_at = time_of(data, "said_at");
		h->told_sunset_at = time_of(first ? first : data, "sunset_at");
		h->told_reason = arena_strdup(h->a, json_get_str(first ? first : data, "reason"));
		h->told_for = arena_strdup(h->a, json_get_str(first, "revision"));
	} else if (is_undone(ev)) {
		h->undone_told_at = h->told_at;
	}
}

static int read_here(struct work *w, const struct subject *s, int64_t now, struct here *h, struct err *e)
{
	struct lifecycle all;
	int rc = lifecycle_marked(w->db, s->model_id, s->revision_id, now, w->arena, &all, e);

	*h = (struct here){ .of = s, .a = w->arena, .off = !rc && (all.retired_at || all.withdrawn_at) };
	if (!rc)
		rc = lifecycle_ordered(w->db, s->model_id, s->revision_id, now, w->arena, &h->mark, e);
	return rc ? rc : each_word(w->db, s, see_here, h, e);
}

/* ---- what the other site says -------------------------------------------------------------------------------------- */

/* Times are as that site's clock had them, and compared with nothing but each other: clocks of two sites may differ by any time. */
struct word {
	int64_t said_at;
	bool dated;		/* an older bundle doesn't say when it was said: then it is made_at, and another word may have the same */
	int64_t made_at;	/* when that site deprecated it; 0: it is not deprecated there any more */
	int64_t sunset_at;	/* 0 none */
	const char *reason, *successor;
	int64_t first_sunset_at;	/* as the site had it that said so first: a word is known by that and said_at, whatever sites on the way have made of it */
	const char *first_reason;
	const char *reason_moved;	/* of a mark whose date was moved */
	const char *told_for;	/* the revision whose entry gave this to the model, since it had one end for both; or NULL */
};

/* False when that site has never said anything. */
static bool read_word(struct work *w, const json_t *life, const char *told_for, struct word *s)
{
	const json_t *first = json_object_get(life, "first_said");
	int64_t made_at = time_of(life, "deprecated_at"), first_made_at = time_of(first, "deprecated_at");
	char there[STR_TIME_MAX];

	*s = (struct word){ .said_at = time_of(life, "said_at"), .reason = json_get_str(life, "reason"), .successor = json_get_str(life, "successor"),
		.told_for = told_for ? told_for : json_get_str(first, "revision") };
	s->dated = s->said_at != 0;
	if (!s->dated)
		s->said_at = made_at;
	if (!made_at)
		return s->dated;
	s->made_at = first_made_at ? first_made_at : made_at;
	if (s->made_at > s->said_at)	/* of what came through a site: its mark is younger than the word */
		s->made_at = s->said_at;
	s->sunset_at = time_of(life, "sunset_at");
	str_format_iso(there, s->sunset_at);
	s->first_sunset_at = first ? time_of(first, "sunset_at") : s->sunset_at;
	s->first_reason = first ? json_get_str(first, "reason") : s->reason;
	s->reason_moved = arena_printf(w->arena, "%s%sthe other site's date, %.10s, is sooner than the notice here allows", s->first_reason ? s->first_reason : "", s->first_reason ? "; " : "",
				       there);
	return true;
}

/* That something other holds here than what the other site says, since people have said so. NULL: it is the same. */
static const char *people_say(struct work *w, const struct here *h, const struct word *s)
{
	char date[STR_TIME_MAX];

	if (h->mark.deprecated_at && s->made_at && h->mark.sunset_at == s->sunset_at && (!s->successor || same_repo(h->mark.successor, s->successor)))
		return NULL;
	str_format_iso(date, s->sunset_at);
	return arena_printf(w->arena, "stays as people here have said; the other site says that it %s%s%.10s%s%s", s->made_at ? "is deprecated" : "is not deprecated any more",
			    s->sunset_at ? " until " : "", s->sunset_at ? date : "", s->successor ? ", with the successor " : "", s->successor ? s->successor : "");
}

/* ---- the mark ------------------------------------------------------------------------------------------------------ */

/*
 * The date that holds here. People here have the notice of their own policy, from now on; but one that they were told of once stays, and is enough for a
 * sooner one. *moved: it is not the other site's. False when that has come at both sites, so that there is nothing more to announce.
 */
static bool find_date(struct work *w, const struct here *h, const struct word *s, int64_t now, int64_t *date, bool *moved)
{
	int64_t told = h->mark.deprecated_at ? h->mark.sunset_at : 0, earliest;
	struct policy_lifecycle rules;

	*moved = s->sunset_at && told > s->sunset_at && h->told_sunset_at == s->first_sunset_at;
	*date = *moved ? told : s->sunset_at;
	policy_lifecycle(w->policy, &rules);
	earliest = now + (rules.notice_s ? rules.notice_s : 1);
	if (*date && told && told <= now && *date <= now)
		return false;
	if (*moved || !*date || *date == told || *date >= earliest)
		return true;
	*moved = true;
	*date = (earliest + DAY_S - 1) / DAY_S * DAY_S;
	if (told > now && told > s->sunset_at && told < *date)
		*date = told;
	return true;
}

/* A successor that can't be named goes unnamed; but for the one that was named before, which may be back one day. */
static int put(struct work *w, struct lifecycle_order *o, const struct here *h, int64_t now, struct err *why)
{
	static const struct policy_lifecycle no_notice = { 0 };	/* find_date() has seen to it */
	int rc = lifecycle_deprecate(w->db, o, &no_notice, now, why);

	if (!rc || !o->successor)
		return rc;
	o->anew = !h->mark.successor || !same_repo(h->mark.successor, o->successor);
	o->successor = NULL;
	return lifecycle_deprecate(w->db, o, &no_notice, now, why);
}

static bool is_marked_so(const struct here *h, const struct word *s)
{
	return h->mark.deprecated_at && s->made_at && s->first_sunset_at == h->told_sunset_at && same_text(s->first_reason, h->told_reason);
}

/* This very word has come before, by whatever way; what a site on it has said besides is no other. */
static bool is_told(const struct here *h, const struct word *s)
{
	return h->of_bundle && s->said_at == h->told_at && (is_marked_so(h, s) || (s->dated && !s->told_for && !h->told_for));
}

static json_t *first_said(const struct word *s)
{
	return json_pack("{s:o, s:s?, s:o, s:s*}", "sunset_at", json_time(s->first_sunset_at), "reason", s->first_reason, "deprecated_at", json_time(s->made_at), "revision", s->told_for);
}

/* Nothing new, but for a successor that had not come yet. */
static bool name_successor(struct work *w, const struct here *h, const struct word *s, int64_t now)
{
	own(json) json_t *first = first_said(s);
	const struct lifecycle_order o = { .model_id = h->of->model_id, .revision_id = h->of->revision_id, .who = BUNDLE_UPSTREAM, .successor = s->successor, .anew = true,
		.said_at = s->said_at, .first_said = first, .sunset_at = h->mark.sunset_at, .reason = h->mark.reason };

	return s->successor && !h->mark.successor && is_marked_so(h, s) && lifecycle_deprecate(w->db, &o, &(struct policy_lifecycle){ 0 }, now, NULL) == 0;
}

static void mark(struct work *w, const struct here *h, const struct word *s, int64_t now, bool *changed, const char **otherwise)
{
	own(json) json_t *first = first_said(s);
	struct lifecycle_order o = { .model_id = h->of->model_id, .revision_id = h->of->revision_id, .who = BUNDLE_UPSTREAM, .successor = s->successor, .anew = true,
		.said_at = s->said_at, .first_said = first };
	char there[STR_TIME_MAX], here[STR_TIME_MAX];
	struct err why = ERR_NONE;
	bool moved, same;

	if (!find_date(w, h, s, now, &o.sunset_at, &moved))
		return;
	o.reason = moved ? s->reason_moved : s->reason;
	same = h->mark.deprecated_at && h->mark.sunset_at == o.sunset_at && same_text(h->mark.reason, o.reason);
	*changed = put(w, &o, h, now, &why) == 0;
	str_format_iso(there, s->sunset_at);
	str_format_iso(here, o.sunset_at);
	if (!*changed)
		*otherwise = arena_printf(w->arena, "is not deprecated here as it is at the other site: %s", why.msg);
	else if (moved && !same)
		*otherwise = arena_printf(w->arena, "ends here on %.10s: %.10s, the other site's date, is sooner than the notice here allows", here, there);
}

/* What the policy and tests here have marked is not the bundle's to take back. */
static void take_back(struct work *w, const struct here *h, const struct word *s, int64_t now, bool *changed, const char **otherwise)
{
	const struct lifecycle_order o = { .model_id = h->of->model_id, .revision_id = h->of->revision_id, .who = BUNDLE_UPSTREAM, .own_mark = true, .said_at = s->said_at };
	struct err why = ERR_NONE;

	if (!h->mark.deprecated_at)
		return;
	if (!h->of_bundle)
		*otherwise = h->told && s->said_at >= h->told_at ? people_say(w, h, s) : NULL;
	else if (lifecycle_undeprecate(w->db, &o, now, &why))
		*otherwise = arena_printf(w->arena, "is deprecated here still, and not at the other site: %s", why.msg);
	else
		*changed = true;
}

/* Its site has said more since, and that came here before. */
static const char *later_word(struct work *w, const struct here *h)
{
	char date[STR_TIME_MAX];

	str_format_iso(date, h->told_at);
	return arena_printf(w->arena, "stays as the other site said later, on %.10s: this bundle is older", date);
}

/* told_for: the revision whose entry has one end for both, and calls it the model's; else NULL. */
static int take_word(struct work *w, const struct subject *of, const json_t *life, const char *told_for, bool *changed, const char **otherwise, struct err *e)
{
	int64_t now = work_now();
	struct here here;
	struct word said;
	int rc;

	*changed = false;
	*otherwise = NULL;
	if (!read_word(w, life, told_for, &said))
		return 0;
	rc = read_here(w, of, now, &here, e);
	if (rc || here.off || (!said.made_at && !here.mark.deprecated_at))
		return rc;
	if (is_told(&here, &said))
		*changed = name_successor(w, &here, &said, now);
	else if (here.of_bundle && said.said_at < here.told_at)
		*otherwise = later_word(w, &here);
	else if (!said.made_at)
		take_back(w, &here, &said, now, changed, otherwise);
	else if ((here.mark.deprecated_at && !here.of_bundle) || here.undone_told_at >= said.made_at || said.said_at < here.told_at)
		*otherwise = people_say(w, &here, &said);
	else
		mark(w, &here, &said, now, changed, otherwise);
	return 0;
}

/* ---- entries with one end for both --------------------------------------------------------------------------------- */

/* The model's, unless that site has told the two apart since, and this is an older bundle that comes again. */
static int take_for_both(struct work *w, const struct subject *whole, const struct subject *one, const json_t *life, bool *changed, const char **otherwise, struct err *e)
{
	struct here here;
	struct word said;
	int rc = read_here(w, one, work_now(), &here, e);

	if (rc || (here.told && read_word(w, life, one->commit, &said) && said.said_at <= here.told_at))
		return rc;
	return take_word(w, whole, life, one->commit, changed, otherwise, e);
}

/* A mark that such an entry of the revision put on the model, of which this one says that it is not deprecated. */
static int take_back_for(struct work *w, const struct subject *whole, const struct subject *one, const json_t *life, bool *changed, struct err *e)
{
	struct lifecycle_order o = { .model_id = whole->model_id, .who = BUNDLE_UPSTREAM, .own_mark = true, .said_at = time_of(json_object_get(life, "of_revision"), "said_at") };
	int64_t now = work_now();
	struct here here;
	int rc = read_here(w, whole, now, &here, e);

	if (rc || here.off || !here.of_bundle || !here.mark.deprecated_at || !same_text(here.told_for, one->commit) || time_of(life, "deprecated_at"))
		return rc;
	if (o.said_at <= here.told_at)
		o.said_at = here.told_at + 1;
	rc = lifecycle_undeprecate(w->db, &o, now, e);
	*changed = !rc;
	return rc;
}

static int take_each(struct work *w, const struct subject *whole, const struct subject *one, const json_t *life, bool *changed, const char **otherwise, struct err *e)
{
	bool one_changed = false;
	const char *of_one = NULL;
	int rc = take_back_for(w, whole, one, life, changed, e);

	if (!rc && !*changed)
		rc = take_word(w, whole, life, NULL, changed, otherwise, e);
	if (!rc)
		rc = take_word(w, one, json_object_get(life, "of_revision"), NULL, &one_changed, &of_one, e);
	*changed |= one_changed;
	if (of_one)
		*otherwise = arena_printf(w->arena, "%s%sin revision %.12s %s", *otherwise ? *otherwise : "", *otherwise ? "; " : "", one->commit, of_one);
	return rc;
}

int bundle_life_take(struct work *w, const struct model *m, const struct revision *r, const json_t *life, bool *changed, const char **otherwise, struct err *e)
{
	const struct subject whole = { m->name, "", m->id, 0 }, one = { m->name, r->commit, m->id, r->id };
	char quoted[LOG_QUOTE_MAX];
	int rc;

	*changed = false;
	*otherwise = NULL;
	rc = json_object_get(life, "of_revision") ? take_each(w, &whole, &one, life, changed, otherwise, e) : take_for_both(w, &whole, &one, life, changed, otherwise, e);
	if (*otherwise)
		log_event(LOG_WARNING, "bundle.lifecycle", "repo=%s what=%s", m->name, log_quote(quoted, *otherwise));
	return rc;
}
