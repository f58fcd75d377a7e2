/* mirror.c - see mirror.h. */
#include "registryd/mirror.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/event.h"
#include "catalog/licence.h"
#include "catalog/mirror.h"
#include "catalog/model.h"
#include "catalog/query.h"
#include "registryd/hub.h"
#include "registryd/settled.h"

#define LIMIT_DEFAULT	1000
#define FULL_EVERY_S	86400	/* how often a listing is read to its end */
#define REGISTRY_FULL_EVERY_S 3600	/* of another registry */
#define MISSING_MAX	20	/* models that it no longer has and that are asked for, a round */
#define BACKOFF_MAX_S	(7 * 86400)
#define SYNCS_LOOKED_AT 20	/* of one model: so many failures make no further difference */

struct round {
	struct work *w;
	const struct mirror *m;
	json_t *options;
	struct hub *hub;	/* of an author or a query */
	char *args;		/* of each sync */
	struct plan_selection selection;	/* and what they say of files */
	json_t *listed;		/* names, in lower case, when the listing is read to its end; else NULL */
	bool fresh;		/* the first round of an entry whose meaning is new: what is here may be too little */
	bool registry;		/* upstream is one like this: what it publishes late keeps its commit's date, which an incremental round has passed */
	bool asked, full, cut;	/* a person wants it now; the listing is read to its end; the limit ended it */
	int64_t limit, seen, queued;
	char *asked_to;		/* the last model that was asked for because it was not listed, in this round or the last one that asked */
	size_t n_asked;
	int64_t newest, open_from;	/* lastModified of the newest model, and of the oldest that is not brought in yet (0 none) */
	struct retry {
		char *repo;
		int64_t at;	/* when its last sync ended */
	} *retry;		/* failed before, or are here in some way, and are to be asked again, once the others have had their turn */
	size_t n_retry, cap_retry;
	int64_t failed;		/* models whose last sync failed */
	char *failed_repo, *failed_why;	/* the first of them */
	int64_t refused;	/* models that are published without files that the entry wants */
	char *refused_repo, *refused_why;
	struct err err;
};

/* The part of the options that a sync reads. */
static char *sync_args(const struct mirror *m, const json_t *options)
{
	static const char *const keys[] = { "include", "exclude", "metadata_only", "max_size" };
	own(json) json_t *args = json_pack("{s:s}", "upstream", m->upstream);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_object_get(options, keys[i]))
			json_object_set(args, keys[i], json_object_get(options, keys[i]));
	return json_text(args);
}

/* One that waits already is woken; it does not count, so that models which wait for long leave the others their turn. */
static int queue_sync(struct round *r, const char *repo, struct err *e)
{
	struct job_new j = { .kind = "sync", .repo = repo, .revision = r->m->revision, .args = r->args, .who = "schedule", .priority = -1 };
	bool existed = false;
	int64_t id;
	int rc = job_enqueue(r->w->db, &j, work_now(), &id, &existed, e);

	r->queued += !existed;
	return rc;
}

/* ---- which models --------------------------------------------------------------------------------------------- */

static bool name_wanted(const struct round *r, const char *name)
{
	const json_t *globs = json_object_get(r->options, "names"), *glob;
	size_t i;

	if (!json_array_size(globs))
		return true;
	json_array_foreach (globs, i, glob)
		if (json_is_string(glob) && str_glob(json_string_value(glob), name))
			return true;
	return false;
}

/* The listing's own word on the licence is enough to choose; the gate judges by the card and texts. */
static bool licence_wanted(const struct round *r, const json_t *doc)
{
	const json_t *wanted = json_object_get(r->options, "license"), *tags = json_object_get(doc, "tags"), *tag, *one;
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

/* What the catalog knows of the listed commit, if that is what it saw last: with what this entry selects, is there something left to do? *why: see settled.h. */
static int look_here(struct round *r, const struct hub_listed *l, struct arena *a, enum settled *out, const char **why, struct err *e)
{
	char seen[MODEL_COMMIT_HEX + 1];
	struct revision rev;
	struct model m;

	*out = SETTLED_NOT;
	if (!l->sha || model_find_repo(r->w->db, l->id, a, &m, NULL))
		return 0;
	if (model_upstream_ref(r->w->db, m.id, r->m->revision, seen, NULL) || strcmp(seen, l->sha))
		return 0;
	if (model_find(r->w->db, l->id, l->sha, MODEL_ANY, a, &m, &rev, NULL, NULL))
		return 0;
	if (rev.state == REVISION_RETIRED)
		*out = SETTLED;
	return rev.state == REVISION_RETIRED ? 0 : settled_ask(r->w, &rev, &r->selection, files_listed(l), a, out, why, e);
}

/* What became of the syncs that this entry made of a model before. */
struct past {
	enum job_state state;	/* of the last one; 0: there was none */
	int64_t failures;	/* in a row, up to the last one */
	int64_t at;		/* the last one's end */
	bool same_commit;	/* it ended, and was about the commit that is listed now */
	bool skipped;		/* it brought nothing in, as of a model that is too large */
	const char *why;	/* it failed */
	const char *refused;	/* it left files out of what is published, and why; else NULL */
};

static void read_result(struct past *p, const struct job *j, const char *sha, struct arena *a)
{
	own(json) json_t *result = j->result ? json_parse(j->result, strlen(j->result), "a job's result", NULL) : NULL;
	const char *state = json_get_str_or(result, "state", ""), *reason = json_get_str(result, "reason");

	p->same_commit = sha && !strcmp(json_get_str_or(result, "revision", ""), sha);
	p->skipped = !strcmp(state, "skipped");
	p->refused = reason && !strcmp(state, "published") ? arena_strdup(a, reason) : NULL;
}

static bool has_failed(const struct job *j)
{
	return j->state == JOB_FAILED || j->state == JOB_CANCELED;
}

static int look_back(struct round *r, const struct hub_listed *l, struct arena *a, struct past *p, struct err *e)
{
	struct job_filter f = { .kind = "sync", .repo = l->id, .limit = SYNCS_LOOKED_AT };
	struct job *jobs;
	size_t n;
	int rc = job_list(r->w->db, &f, a, &jobs, &n, e);

	*p = (struct past){ 0 };
	for (size_t i = 0; !rc && i < n; i++) {
		const struct job *j = &jobs[i];

		if (strcmp(j->revision, r->m->revision) || strcmp(j->args, r->args))
			continue;
		if (!p->state) {
			*p = (struct past){ .state = j->state, .at = j->finished_at, .why = j->error_message };
			read_result(p, j, l->sha, a);
		}
		if (!has_failed(j))
			break;
		p->failures++;
	}
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

static void note_failed(struct round *r, const char *repo, const struct past *p)
{
	if (!r->failed++) {
		r->failed_repo = mem_strdup(repo);
		r->failed_why = mem_strdup(p->why ? p->why : "its sync was canceled");
	}
}

static void note_refused(struct round *r, const char *repo, const char *why)
{
	if (!r->refused++) {
		r->refused_repo = mem_strdup(repo);
		r->refused_why = mem_strdup(why);
	}
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
 * Has its last sync brought in what the entry follows? A listing gives the commit of `main` only: of another branch just the model's own sync can tell, and models that
 * had one wait for those that had none.
 */
static bool has_had_turn(const struct round *r, const struct past *p)
{
	return p->state == JOB_DONE && (p->same_commit || strcmp(r->m->revision, "main") != 0);
}

/* A model that is not here as it is listed. 1 when the round's limit is reached. */
static int bring_in(struct round *r, const struct hub_listed *l, enum settled here, struct arena *a, struct err *e)
{
	struct past p;

	if (look_back(r, l, a, &p, e))
		return e->code;
	if (p.state == JOB_DONE && p.same_commit && is_left(r, &p, here))
		return 0;
	keep_open(r, l);
	if (has_had_turn(r, &p)) {	/* it is here in some way: others have had no turn yet */
		ask_later(r, l->id, &p);
		return 0;
	}
	if (p.state == JOB_FAILED || p.state == JOB_CANCELED) {
		note_failed(r, l->id, &p);
		if (is_due(r, &p))
			ask_later(r, l->id, &p);
		return 0;
	}
	r->cut = r->queued >= r->limit;
	if (r->cut)
		return 1;
	if (p.state == JOB_QUEUED || p.state == JOB_RUNNING) {
		r->queued++;
		return 0;
	}
	return queue_sync(r, l->id, e);
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
		note_refused(r, l->id, why);
	}
	return here == SETTLED || here == SETTLED_REFUSED ? 0 : bring_in(r, l, here, &a, e);
}

/* -1: it says nothing. */
static int gate_listed(const json_t *gated)
{
	const char *way = json_string_value(gated);

	if (!gated)
		return -1;
	if (json_is_false(gated) || (way && !strcmp(way, "false")))
		return MODEL_OPEN;
	return way && !strcmp(way, "manual") ? MODEL_GATED_MANUAL : MODEL_GATED_AUTO;
}

static int flag_listed(const json_t *doc, const char *key)
{
	return json_object_get(doc, key) ? json_get_bool(doc, key, false) : -1;
}

static bool differs(int listed, int known)
{
	return listed >= 0 && listed != known;
}

/* A gate, a lock or a ban of a model that is here is seen as its sync would see it, and one that was gone is back. */
static int note_drift(struct round *r, const struct hub_listed *l, struct err *e)
{
	struct model_upstream u = { .upstream = r->hub->config.name, .gated = gate_listed(json_object_get(l->doc, "gated")), .is_private = flag_listed(l->doc, "private"),
				    .disabled = flag_listed(l->doc, "disabled"), .downloads = json_get_int(l->doc, "downloads", -1), .likes = json_get_int(l->doc, "likes", -1) };
	own(arena) struct arena a = { 0 };
	char key[MODEL_KEY_HEX + 1], known[MODEL_KEY_HEX + 1];
	struct model m;
	bool published;
	int64_t id;

	if (model_find_repo(r->w->db, l->id, &a, &m, NULL) || strcmp(m.upstream, u.upstream) != 0)
		return 0;
	if (!differs(u.gated, (int)m.gated) && !differs(u.is_private, m.is_private) && !differs(u.disabled, m.disabled) && !m.vanished_at)
		return 0;
	hub_read_key(l->doc, l->id, key);
	if (model_key(r->w->db, m.id, known, &published, e))
		return e->code;
	if (*key && published && strcmp(key, known) != 0)
		return 0;	/* it is about another repository: see sync_drift.c */
	u.name = m.name;
	return model_upsert(r->w->db, &u, work_now(), &id, e);
}

static char *lower(const char *name)
{
	char *copy = mem_strdup(name);

	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static void note_listed(struct round *r, const char *name)
{
	own(mem) char *key = lower(name);

	if (r->listed)
		json_object_set_new(r->listed, key, json_true());
}

static bool was_listed(const struct round *r, const char *name)
{
	own(mem) char *key = lower(name);

	return json_object_get(r->listed, key) != NULL;
}

/* By none of its names is it listed, nor is it known to be a model here that has another name upstream by now. */
static int is_missing(struct round *r, const struct model *m, struct arena *a, bool *missing, struct err *e)
{
	const char **names;
	size_t n = 0;
	int rc;

	*missing = !strcmp(m->upstream, r->hub->config.name) && !m->vanished_at && !was_listed(r, m->name) && name_wanted(r, m->name);
	if (!*missing)
		return 0;
	rc = model_was_renamed(r->w->db, m, missing, e);
	*missing = !*missing;
	if (!rc && *missing)
		rc = model_names(r->w->db, m->id, a, &names, &n, e);
	for (size_t i = 0; i < n && *missing; i++)
		*missing = !was_listed(r, names[i]);
	return rc;
}

/* Those of one page that come after the name `after`, or up to the name `end`; NULL: all. */
static int ask_for_some(struct round *r, const struct query_row *rows, size_t n, const char *after, const char *end, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < n && r->n_asked < MISSING_MAX; i++) {
		const struct model *m = &rows[i].m;
		bool missing;

		if ((after && strcasecmp(m->name, after) <= 0) || (end && strcasecmp(m->name, end) > 0))
			continue;
		if (is_missing(r, m, a, &missing, e))
			return e->code;
		if (!missing)
			continue;
		if (queue_sync(r, m->name, e))
			return e->code;
		free(r->asked_to);
		r->asked_to = mem_strdup(m->name);
		r->n_asked++;
	}
	return 0;
}

/* What is served of the author or the query and was not listed, by name: its sync learns whether it is gone, private or renamed. */
static int ask_between(struct round *r, const struct hub_query *q, const char *after, const char *end, struct err *e)
{
	struct query_filter f = { .gated = -1, .author = q->author, .search = { q->search }, .n_search = q->search != NULL, .tag = { q->filter }, .n_tag = q->filter != NULL,
				  .visible_only = true };
	own(arena) struct arena a = { 0 };

	do {
		struct query_row *rows;
		size_t n;

		if (query_models(r->w->db, &f, work_now(), &a, &rows, &n, &f.cursor, e) < 0 || ask_for_some(r, rows, n, after, end, &a, e))
			return e->code;
	} while (f.cursor && r->n_asked < MISSING_MAX);
	return 0;
}

/* Behind the one that was asked for last, and from the front again: what goes on being served under a name that is not listed any more leaves the others their turn. */
static int ask_for_missing(struct round *r, const struct hub_query *q, const char *last, struct err *e)
{
	int rc = ask_between(r, q, last, NULL, e);

	return rc || !last ? rc : ask_between(r, q, NULL, last, e);
}

static const char *licence_listed(const json_t *doc)
{
	const json_t *tags = json_object_get(doc, "tags"), *tag;
	size_t i;

	json_array_foreach (tags, i, tag)
		if (json_is_string(tag) && str_starts(json_string_value(tag), "license:"))
			return json_string_value(tag) + 8;
	return "unknown";
}

/* What is served of the entry has got a licence that the entry doesn't want: it is not followed there, and it is said. */
static int note_licence_lost(struct round *r, const struct hub_listed *l, struct err *e)
{
	bool moved = false;
	struct revision rev;
	struct model m;

	if (!l->sha || model_find(r->w->db, l->id, NULL, MODEL_VISIBLE, r->w->arena, &m, &rev, NULL, NULL) || strcmp(m.upstream, r->hub->config.name))
		return 0;
	if (model_saw_ref(r->w->db, m.id, r->m->revision, l->sha, work_now(), &moved, e))
		return e->code;
	if (!moved || !strcmp(licence_listed(l->doc), rev.license))
		return 0;
	return event_add(r->w->db, "upstream.license_changed", m.name, l->sha, json_pack("{s:s, s:s}", "from", rev.license, "to", licence_listed(l->doc)), work_now(), e);
}

static int each_listed(const struct hub_listed *l, void *arg)
{
	char made[MODEL_KEY_HEX + 1];
	struct round *r = arg;

	note_listed(r, l->id);
	model_made_key(l->id, made);
	r->registry = r->registry || !strcmp(json_get_str_or(l->doc, "_id", ""), made);
	if (note_drift(r, l, &r->err))
		return 1;
	r->seen++;
	if (l->last_modified > r->newest)
		r->newest = l->last_modified;
	if (!name_wanted(r, l->id))
		return 0;
	if (!licence_wanted(r, l->doc))
		return note_licence_lost(r, l, &r->err) != 0;
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

	for (size_t i = 0; !rc && i < r->n_retry && r->queued < r->limit; i++)
		rc = queue_sync(r, r->retry[i].repo, e);
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

static int follow_list(struct round *r, struct err *e)
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
	r->fresh = !cursor;
	r->registry = json_get_bool(cursor, "registry", false);
	r->full = r->asked || llabs(work_now() - json_get_int(cursor, "full_at", 0)) >= (r->registry ? REGISTRY_FULL_EVERY_S : FULL_EVERY_S);
	r->registry = r->registry && !r->full;	/* a full round finds out anew */
	r->listed = r->full ? json_object() : NULL;
	if (!r->full && since > MIRROR_OVERLAP_S)
		q.since = since - MIRROR_OVERLAP_S;
	rc = hub_list(r->hub, &q, &r->w->stop, each_listed, r, e);
	if (!rc && r->err.code) {
		*e = r->err;
		rc = r->err.code;
	}
	if (!rc)
		rc = try_again(r, e);
	if (!rc && r->full && !r->cut)
		rc = ask_for_missing(r, &q, last, e);
	return rc;
}

/*
 * What the next round needs to know, NULL when it is as before: a round that its limit ended has not seen everything, and the next one starts
 * where this one did. `since` waits for the oldest model that is not brought in, however often that fails.
 */
static char *next_cursor(const struct round *r)
{
	own(json) json_t *cursor = r->m->cursor ? json_parse(r->m->cursor, strlen(r->m->cursor), "the entry's memory", NULL) : NULL;
	int64_t since = not_later(r->open_from && r->open_from < r->newest ? r->open_from : r->newest);
	own(json) json_t *next = NULL;

	if (r->m->kind == MIRROR_REPO || r->cut)
		return NULL;
	next = json_pack("{s:I, s:b, s:I, s:s*}", "since", (json_int_t)since, "registry", r->registry, "full_at",
			 (json_int_t)(r->full ? work_now() : json_get_int(cursor, "full_at", 0)), "asked_to", r->asked_to);
	return json_text(next);
}

/* What `mirror list` says of a round that went well but for some models; NULL when there are none. */
static char *say_failed(const struct round *r)
{
	own(buf) struct buf said;

	buf_init(&said, 4 * ERR_MSG_MAX);
	if (r->failed)
		buf_printf(&said, "%lld model%s could not be brought in and will be tried again; %s: %s", (long long)r->failed, r->failed == 1 ? "" : "s", r->failed_repo,
			   r->failed_why);
	if (r->refused)
		buf_printf(&said, "%s of %lld model%s were refused and are not served; %s: %s", r->failed ? ". Files" : "files", (long long)r->refused,
			   r->refused == 1 ? "" : "s", r->refused_repo, r->refused_why);
	return said.len ? buf_take(&said) : NULL;
}

static void own_round(struct round *r)
{
	for (size_t i = 0; i < r->n_retry; i++)
		free(r->retry[i].repo);
	free(r->retry);
	free(r->failed_repo);
	free(r->failed_why);
	free(r->asked_to);
	free(r->refused_repo);
	free(r->refused_why);
	free(r->args);
	json_decref(r->options);
	json_decref(r->listed);
}

/* ---- the job -------------------------------------------------------------------------------------------------- */

/* Its sync finds out what is new; what became of the last one is said. */
static int follow_repo(struct round *r, struct err *e)
{
	struct hub_listed l = { .id = (char *)r->m->target };
	struct past p;

	if (look_back(r, &l, r->w->arena, &p, e))
		return e->code;
	if (p.failures)
		note_failed(r, r->m->target, &p);
	if (p.refused)
		note_refused(r, r->m->target, p.refused);
	return queue_sync(r, r->m->target, e);
}

static int follow(struct round *r, struct err *e)
{
	own(json) json_t *args = NULL;

	r->options = json_parse(r->m->options, strlen(r->m->options), "the entry's options", e);
	if (!r->options)
		return ERR_INPUT;
	r->limit = json_get_int(r->options, "limit", LIMIT_DEFAULT);
	r->args = sync_args(r->m, r->options);
	args = json_parse(r->args, strlen(r->args), "a sync's arguments", e);
	if (!args || plan_read_selection(&r->selection, args, r->w->arena, e))
		return e->code;
	return r->m->kind == MIRROR_REPO ? follow_repo(r, e) : follow_list(r, e);
}

static int find_entry(struct work *w, const char *name, const struct mirror **out, struct err *e)
{
	struct mirror *list;
	size_t n;
	int rc = mirror_list(w->db, w->arena, &list, &n, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (!strcasecmp(list[i].name, name)) {
			*out = &list[i];
			return 0;
		}
	}
	return err_set(e, ERR_NOT_FOUND, "there is no mirror entry '%.200s'", name);
}

static int64_t next_run(const struct mirror *m, int rc, int64_t now)
{
	return now + (rc && m->every_s > MIRROR_RETRY_S ? MIRROR_RETRY_S : m->every_s);
}

int mirror_job(struct work *w, struct err *e)
{
	own(round) struct round r = { .w = w, .asked = json_get_bool(w->args, "asked", false) };
	own(mem) char *cursor = NULL, *failed = NULL;
	struct err late = ERR_NONE;
	int rc = find_entry(w, json_get_str_or(w->args, "name", ""), &r.m, e);

	if (rc)
		return rc;
	rc = follow(&r, e);
	if (!rc) {
		cursor = next_cursor(&r);
		failed = say_failed(&r);
	}
	if (rc != ERR_CANCELED && mirror_ran(w->db, r.m->id, work_now(), next_run(r.m, rc, work_now()), rc ? e->msg : failed, cursor, &late) && !rc) {
		*e = late;
		rc = late.code;
	}
	if (!rc)
		w->result = json_pack("{s:I, s:I, s:I}", "seen", (json_int_t)r.seen, "queued", (json_int_t)r.queued, "failed", (json_int_t)r.failed);
	return rc;
}

int mirror_queue_due(struct daemon *d, int64_t now, struct err *e)
{
	own(arena) struct arena a;
	struct mirror *due;
	size_t n;
	int rc;

	arena_init(&a);
	rc = mirror_due(d->db, now, &a, &due, &n, NULL, e);
	for (size_t i = 0; !rc && i < n; i++) {
		bool asked = !due[i].next_at;
		own(json) json_t *args = asked ? json_pack("{s:s, s:b}", "name", due[i].name, "asked", 1) : json_pack("{s:s}", "name", due[i].name);
		own(mem) char *text = json_text(args);
		struct job_new j = { .kind = "mirror", .args = text, .who = "schedule", .priority = -1 };
		int64_t id;

		rc = job_enqueue(d->db, &j, now, &id, NULL, e);
		/* Not due again while the job waits its turn; the job sets when it really is. */
		if (!rc)
			rc = mirror_queued(d->db, due[i].id, now, now + due[i].every_s, e);
	}
	return rc;
}

/* ---- the settings' entries ------------------------------------------------------------------------------------ */

static json_t *list_json(const struct config_list *l)
{
	json_t *out = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(out, json_string(l->items[i]));
	return out;
}

static void set_list(json_t *o, const char *key, const struct config_list *l)
{
	if (l->n)
		json_object_set_new(o, key, list_json(l));
}

static char *options_of(const struct config_mirror *c)
{
	own(json) json_t *o = json_object();

	set_list(o, "include", &c->include);
	set_list(o, "exclude", &c->exclude);
	set_list(o, "names", &c->names);
	set_list(o, "license", &c->license);
	if (c->max_size)
		json_object_set_new(o, "max_size", json_integer((json_int_t)c->max_size));
	if (c->metadata == CONFIG_METADATA_ONLY)
		json_object_set_new(o, "metadata_only", json_true());
	json_object_set_new(o, "limit", json_integer(c->limit));
	return json_text(o);
}

static const char *target_of(const struct config_mirror *c)
{
	return c->repo ? c->repo : c->author ? c->author : c->query;
}

static int put_entry(struct daemon *d, const struct config *config, const struct config_mirror *c, int64_t now, struct err *e)
{
	const struct config_upstream *u = config_find_upstream(config, c->upstream);
	own(mem) char *options = options_of(c);
	struct mirror m = {
		.name = c->name,
		.kind = c->repo ? MIRROR_REPO : c->author ? MIRROR_AUTHOR : MIRROR_QUERY,
		.target = target_of(c),
		.upstream = u ? u->name : c->upstream,
		.revision = c->revision,
		.options = options,
		.every_s = c->every_s,
		.from_config = true,
	};
	int64_t id;

	return mirror_put(d->db, &m, now, &id, e);
}

int mirror_follow_config(struct daemon *d, int64_t now, struct err *e)
{
	const struct config *c = daemon_config(d);
	own(mem) const char **names = mem_zalloc((c->n_mirror + 1) * sizeof(*names));
	int rc = 0;

	for (size_t i = 0; i < c->n_mirror && !rc; i++) {
		names[i] = c->mirror[i].name;
		rc = put_entry(d, c, &c->mirror[i], now, e);
	}
	return rc ? rc : mirror_keep_config(d->db, names, c->n_mirror, e);
}
