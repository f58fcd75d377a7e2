/* mirror_list.c - which models of an author's or a query's listing are brought in, and in what order. See mirror_round.h. */
#include "base/str.h"
#include "base/vec.h"
#include "catalog/model.h"
#include "registryd/mirror_round.h"
#include "registryd/settled.h"

#define OVERLAP_S	3600	/* upstream's lastModified and its listing are not one transaction */
#define FULL_EVERY_S	86400	/* how often a listing is read to its end */
#define REGISTRY_FULL_EVERY_S 3600	/* of another registry */
#define BACKOFF_MAX_S	(7 * 86400)

bool mirror_name_wanted(const json_t *options, const char *name)
{
	const json_t *globs = json_object_get(options, "names"), *glob;
	size_t i;

	if (!json_array_size(globs))
		return true;
	json_array_foreach (globs, i, glob)
		if (json_is_string(glob) && str_glob_nocase(json_string_value(glob), name))
			return true;
	return false;
}

bool mirror_licence_wanted(const json_t *options, const json_t *doc)
{
	const json_t *wanted = json_object_get(options, "license"), *tags = json_object_get(doc, "tags"), *tag, *one;
	size_t i, k;

	if (!json_array_size(wanted))
		return true;
	json_array_foreach (tags, i, tag) {
		const char *s = json_is_string(tag) ? json_string_value(tag) : "";

		if (!str_starts(s, "license:"))
			continue;
		json_array_foreach (wanted, k, one)
			if (json_is_string(one) && !strcasecmp(json_string_value(one), s + 8))
				return true;
	}
	return false;
}

/* The files that the listing shows of a model. */
static size_t files_listed(const struct hub_listed *l)
{
	return json_array_size(json_object_get(l->doc, "siblings"));
}

const char *mirror_listed_commit(const struct round *r, const struct hub_listed *l)
{
	return !strcmp(r->m->revision, "main") ? l->sha : NULL;
}

/* What the catalog knows of the listed commit, if that is what it saw last: with what this entry selects, is there something left to do? *why: see settled.h. */
static int look_here(struct round *r, const struct hub_listed *l, struct arena *a, enum settled *out, const char **why, struct err *e)
{
	const char *sha = mirror_listed_commit(r, l), *state;
	char seen[MODEL_COMMIT_HEX + 1];
	bool at_ref = true;
	struct revision rev;
	struct model m;
	int rc;

	*out = SETTLED_NOT;
	if (!sha || model_find_repo(r->w->db, l->id, a, &m, NULL))
		return 0;
	if (settled_off(r->w, m.id, a, &state, why, e))
		return e->code;
	if (*why) {
		*out = SETTLED;
		return 0;
	}
	if (model_upstream_ref(r->w->db, m.id, r->m->revision, seen, NULL) || strcmp(seen, sha))
		return 0;
	if (model_find(r->w->db, l->id, sha, MODEL_ANY, a, &m, &rev, NULL, NULL))
		return 0;
	rc = settled_ask(r->w, &rev, &r->selection, files_listed(l), a, out, why, e);
	if (!rc && *out != SETTLED_NOT && rev.state == REVISION_PUBLISHED)
		rc = settled_at_ref(r->w, &rev, r->m->revision, a, &at_ref, e);
	if (!at_ref)	/* a sync moves the ref, unless the gate would not let it pass now */
		*out = SETTLED_OTHERWISE;
	return rc;
}

/* At the next round after the first failure, then half as often each time. */
static bool is_due(const struct round *r, const struct past *p)
{
	int64_t wait = p->failures < 2 ? 0 : r->m->every_s;

	for (int64_t i = 2; i < p->failures && wait < BACKOFF_MAX_S; i++)
		wait *= 2;
	return r->asked || p->at > work_now() || work_now() >= p->at + (wait < BACKOFF_MAX_S ? wait : BACKOFF_MAX_S);
}

/* The next listing goes down to this model. */
static void keep_open(struct round *r, const struct hub_listed *l)
{
	if (l->last_modified && (!r->open_from || l->last_modified < r->open_from))
		r->open_from = l->last_modified;
}

/*
 * Its last sync ended with what is listed now, and it is not as this entry wants it. One that was left out stays so. What another entry selected otherwise meanwhile
 * is left alone for a while, lest the two do it over and over in turns.
 */
static bool is_left(const struct round *r, const struct past *p, enum settled here)
{
	return p->skipped || (here == SETTLED_OTHERWISE && !r->fresh && llabs(work_now() - p->at) < SETTLED_S);
}

static void ask_later(struct round *r, const char *repo, const struct past *p)
{
	*vec_push(&r->retry, &r->n_retry, &r->cap_retry) = (struct retry){ mem_strdup(repo), p->at };
}

/*
 * Has its last sync brought in what the entry follows? Of another branch than `main` just the model's own sync can tell, and models that had one wait for those that
 * had none.
 */
static bool has_had_turn(const struct round *r, const struct past *p)
{
	return p->state == JOB_DONE && (p->same_commit || strcmp(r->m->revision, "main") != 0);
}

/* A model that is not here as it is listed. 1 when the round's limit is reached. */
static int bring_in(struct round *r, const struct hub_listed *l, enum settled here, struct arena *a, struct err *e)
{
	struct past p;

	if (mirror_look_back(r, l->id, mirror_listed_commit(r, l), a, &p, e))
		return e->code;
	if (p.state == JOB_DONE && p.same_commit && is_left(r, &p, here))
		return 0;
	keep_open(r, l);
	if (has_had_turn(r, &p)) {	/* it is here in some way: others have had no turn yet */
		ask_later(r, l->id, &p);
		return 0;
	}
	if (p.state == JOB_FAILED || p.state == JOB_CANCELED) {
		r->failed++;
		mirror_watch(r, l->id);
		if (is_due(r, &p))
			ask_later(r, l->id, &p);
		return 0;
	}
	r->cut = r->queued >= r->limit;
	if (r->cut)
		return 1;
	mirror_watch(r, l->id);
	if (p.state == JOB_QUEUED || p.state == JOB_RUNNING) {
		r->queued++;
		return 0;
	}
	return mirror_queue_sync(r, l->id, e);
}

/* A model that the entry takes. */
static int follow_model(struct round *r, const struct hub_listed *l, struct err *e)
{
	own(arena) struct arena a = { 0 };
	const char *why = NULL;
	enum settled here;

	if (look_here(r, l, &a, &here, &why, e))
		return e->code;
	if (here == SETTLED_REFUSED) {
		keep_open(r, l);
		mirror_note_refused(r, l->id, why);
	}
	return here == SETTLED || here == SETTLED_REFUSED ? 0 : bring_in(r, l, here, &a, e);
}

static int each_listed(const struct hub_listed *l, void *arg)
{
	char made[MODEL_KEY_HEX + 1];
	struct round *r = arg;

	mirror_note_listed(r, l->id);
	model_made_key(l->id, made);
	r->registry = r->registry || !strcmp(json_get_str_or(l->doc, "_id", ""), made);
	if (mirror_note_drift(r, l, &r->err))
		return 1;
	r->seen++;
	if (l->last_modified > r->newest)
		r->newest = l->last_modified;
	if (!mirror_name_wanted(r->options, l->id))
		return 0;
	if (!mirror_licence_wanted(r->options, l->doc))
		return mirror_note_licence_lost(r, l, &r->err) != 0;
	return follow_model(r, l, &r->err);
}

static int by_last_turn(const void *a, const void *b)
{
	const struct retry *x = a, *y = b;

	return x->at == y->at ? strcmp(x->repo, y->repo) : x->at < y->at ? -1 : 1;
}

/* Where the limit leaves some out, whoever has waited longest comes first. */
static int try_again(struct round *r, struct err *e)
{
	int rc = 0;

	if (r->n_retry)
		qsort(r->retry, r->n_retry, sizeof(*r->retry), by_last_turn);

	for (size_t i = 0; !rc && i < r->n_retry && r->queued < r->limit; i++) {
		mirror_watch(r, r->retry[i].repo);
		rc = mirror_queue_sync(r, r->retry[i].repo, e);
	}
	return rc;
}

/* The author or the words of a query entry; its target is either words or a JSON object of parameters. */
static void read_query(const struct mirror *m, json_t *target, struct hub_query *q)
{
	if (m->kind == MIRROR_AUTHOR) {
		q->author = m->target;
		return;
	}
	q->author = json_get_str(target, "author");
	q->search = json_get_str(target, "search");
	q->filter = json_get_str(target, "filter");
	if (!json_is_object(target))
		q->search = m->target;
}

/* A date that lies ahead, of a commit that somebody has dated so, would hide all that changes until then. */
static int64_t not_later(int64_t at)
{
	return at < work_now() ? at : work_now();
}

int mirror_follow_list(struct round *r, struct err *e)
{
	own(json) json_t *target = *r->m->target == '{' ? json_parse(r->m->target, strlen(r->m->target), "the entry's query", NULL) : NULL;
	own(json) json_t *cursor = r->m->cursor ? json_parse(r->m->cursor, strlen(r->m->cursor), "the entry's memory", NULL) : NULL;
	int64_t since = not_later(json_get_int(cursor, "since", 0));
	const char *last = json_get_str(cursor, "asked_to");
	struct hub_query q = { 0 };
	int rc;

	r->hub = work_hub(r->w, r->m->upstream, e);
	if (!r->hub)
		return e->code;
	read_query(r->m, target, &q);
	work_phase(r->w, "listing %s", r->m->name);
	r->newest = since;
	r->asked_to = last ? mem_strdup(last) : NULL;
	r->fresh = !json_object_get(cursor, "since");
	r->registry = json_get_bool(cursor, "registry", false);
	r->full = r->asked || llabs(work_now() - json_get_int(cursor, "full_at", 0)) >= (r->registry ? REGISTRY_FULL_EVERY_S : FULL_EVERY_S);
	r->registry = r->registry && !r->full;	/* a full round finds out anew */
	r->listed = r->full ? json_object() : NULL;
	if (!r->full && since > OVERLAP_S)
		q.since = since - OVERLAP_S;
	rc = hub_list(r->hub, &q, &r->w->stop, each_listed, r, e);
	if (!rc && r->err.code) {
		*e = r->err;
		rc = r->err.code;
	}
	if (!rc)
		rc = try_again(r, e);
	if (!rc && r->full && !r->cut)
		rc = mirror_ask_for_missing(r, &q, last, e);
	return rc;
}

void mirror_remember_list(const struct round *r, json_t *memory)
{
	int64_t since = not_later(r->open_from && r->open_from < r->newest ? r->open_from : r->newest);

	if (r->cut)
		return;
	json_object_set_new(memory, "since", json_integer((json_int_t)since));
	json_object_set_new(memory, "registry", json_boolean(r->registry));
	if (r->full)
		json_object_set_new(memory, "full_at", json_integer((json_int_t)work_now()));
	if (r->asked_to)
		json_object_set_new(memory, "asked_to", json_string(r->asked_to));
}
