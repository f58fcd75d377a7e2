/* sync_drift.c - see sync_impl.h: what upstream has done to a model that is here. What is served does not change by it. */
#include "registryd/sync_impl.h"

#include "base/json.h"
#include "catalog/event.h"
#include "catalog/model.h"
#include "registryd/derive.h"

#define NAMES_MAX 8	/* names of one model that upstream is asked for */

static int gate_of(const struct hub_revision *r)
{
	const char *gated = json_get_str(r->doc, "gated");

	return r->gated == HUB_OPEN ? MODEL_OPEN : gated && !strcmp(gated, "manual") ? MODEL_GATED_MANUAL : MODEL_GATED_AUTO;
}

static int64_t time_of(const json_t *doc, const char *key)
{
	const char *s = json_get_str(doc, key);
	int64_t at = 0;

	return s && !str_parse_time(s, &at, NULL) ? at : 0;
}

/* A branch that moved and whose former commit is no longer in its history, or nowhere: it was rewritten. What we serve stays as it is. */
static int note_rewrite(struct sync *s, const char *before, struct err *e)
{
	own(revision) struct hub_revision old = { 0 };
	struct err why = ERR_NONE;
	int rc = hub_get_revision(s->hub, s->info.id, before, &s->w->stop, &old, &why);

	if (rc != ERR_NOT_FOUND && (rc || hub_descends(s->hub, s->info.id, s->info.sha, before, &s->w->stop) != 0))
		return 0;	/* it is there, or that can't be known now */
	return event_add(s->w->db, "upstream.rewritten", s->here, before, json_pack("{s:s, s:s}", "ref", sync_served_ref(s), "now", s->info.sha), work_now(), e);
}

/*
 * A branch, or a tag? Where nobody says so it stays what it was, and a new one is taken for a branch. A mirror's round asks where it is met for the first time, or
 * again, or has moved, and a person's sync in any case: nobody may have said so before, and a tag that has become a branch may be where it was.
 */
static int note_kind(struct sync *s, const char *ref, struct err *e)
{
	int is_tag = -1;

	if (strcmp(ref, "main") != 0 && !str_starts(ref, "refs/"))
		is_tag = hub_is_tag(s->hub, s->info.id, ref, &s->w->stop);
	return is_tag < 0 ? 0 : model_ref_is_tag(s->w->db, s->model_id, ref, is_tag == 1, e);
}

static int note_ref(struct sync *s, struct err *e)
{
	char before[MODEL_COMMIT_HEX + 1] = "";
	bool moved = false;
	int rc = model_upstream_ref(s->w->db, s->model_id, sync_served_ref(s), before, e);

	if (!rc)
		rc = model_saw_ref(s->w->db, s->model_id, sync_served_ref(s), s->info.sha, work_now(), &moved, e);
	if (!rc && (!*before || moved || !sync_by_clock(s)))
		rc = note_kind(s, sync_served_ref(s), e);
	return !rc && moved && *before ? note_rewrite(s, before, e) : rc;
}

/* ---- which repository it is ---------------------------------------------------------------------------------------- */

/* What was renamed upstream may be here by either name, and as two models: what is served by a name is what a sync of that name follows. */
bool sync_find_here(struct sync *s, struct model *m)
{
	return !model_find_repo(s->w->db, s->repo, s->w->arena, m, NULL) || !model_find_repo(s->w->db, s->name, s->w->arena, m, NULL);
}

/* What is here of the repository that upstream answers for; false when there is nothing. */
static bool find_here(struct sync *s, struct model *m)
{
	return sync_find_here(s, m) && !strcmp(m->upstream, s->hub->config.name);
}

static int refuse_other(struct sync *s, const struct model *m, const char *lives_as, struct err *e)
{
	return err_set(e, ERR_REFUSED, "upstream has another repository as %s now, and the model that is here as %s lives on there as %s: what is served stays as it is, and follows "
		       "`registryctl sync %s`; to have the other one too, give it a name of its own (registryctl import DIR --as ORG/NAME)", s->name, m->name, lives_as, lives_as);
}

static int refuse_either(struct sync *s, const struct model *m, const char *other, struct err *e)
{
	return err_set(e, ERR_REFUSED, "%s and %s are one model here (%s), but two repositories upstream, which gives no ids that tell which of them it is: what is served stays as it is",
		       s->name, other, m->name);
}

/* What upstream has under a name. A repository without a `main` is asked for by the commit that is synced and by one that is served: one of these it may have. */
static int ask_any(struct sync *s, const struct model *m, const char *name, struct hub_revision *r, struct err *e)
{
	struct revision served = { 0 };
	struct model same;
	const char *const commits[] = { NULL, s->info.sha, served.commit };
	int rc = 0;

	model_find_shown(s->w->db, m->name, s->w->arena, &same, &served, NULL);
	for (size_t i = 0; i < ARRAY_LEN(commits) && (!i || (r->no_such_revision && *commits[i])); i++) {
		hub_revision_done(r);
		*e = (struct err)ERR_NONE;
		rc = hub_get_revision(s->hub, name, commits[i], &s->w->stop, r, e);
	}
	return rc;
}

/* Does upstream still have, under this other name of it, the repository that is here? `known`: its key. */
static int ask_name(struct sync *s, const struct model *m, const char *name, const char *known, struct err *e)
{
	own(revision) struct hub_revision r = { 0 };
	int rc = ask_any(s, m, name, &r, e);

	if (r.no_such_revision)	/* somebody is there */
		return refuse_either(s, m, name, e);
	if (rc == ERR_NOT_FOUND || rc == ERR_GONE || rc == ERR_AUTH || rc == ERR_REFUSED) {	/* nobody gets anything there */
		*e = (struct err)ERR_NONE;
		return 0;
	}
	if (rc)
		return rc;
	if (*known && *r.key && *s->info.key)
		return strcmp(r.key, known) ? 0 : refuse_other(s, m, name, e);
	if (*r.key && *s->info.key ? !strcmp(r.key, s->info.key) : !strcasecmp(r.id, s->name))
		return 0;	/* the same by two names */
	return refuse_either(s, m, name, e);
}

/*
 * A name that became free when its model was renamed may be given to another repository. Upstream's keys tell them apart; where it gives none, that both names are
 * answered for.
 */
int sync_check_name(struct sync *s, struct err *e)
{
	char known[MODEL_KEY_HEX + 1];
	const char **names;
	struct model m;
	bool published;
	size_t n = 0;
	int rc;

	if (!find_here(s, &m))
		return 0;
	rc = model_key(s->w->db, m.id, known, &published, e);
	if (rc || (*known && !strcmp(known, s->info.key)))
		return rc;
	rc = model_names(s->w->db, m.id, s->w->arena, &names, &n, e);
	for (size_t i = 0; i < n && i < NAMES_MAX && !rc; i++)
		if (strcasecmp(names[i], s->name) != 0)
			rc = ask_name(s, &m, names[i], known, e);
	return rc;
}

int sync_note_reuse(struct sync *s, const char *why, struct err *e)
{
	struct model m;

	if (!find_here(s, &m))
		return 0;
	return event_add_once(s->w->db, "upstream.name_reused", m.name, s->info.sha, json_pack("{s:s, s:s*}", "name", s->name, "reason", why), work_now(), e);
}

/* Deleted and made anew, say: what is said of it is about another repository than the one that is here. The gate holds it (model_off()). */
static int note_other(struct sync *s, bool *other, struct err *e)
{
	char known[MODEL_KEY_HEX + 1];
	struct model m;
	bool published;
	int rc;

	*other = false;
	if (!*s->info.key || !find_here(s, &m))
		return 0;
	rc = model_key(s->w->db, m.id, known, &published, e);
	if (rc || !published || !strcmp(known, s->info.key))
		return rc;
	*other = true;
	s->model_id = m.id;
	s->here = m.name;
	rc = sync_note_reuse(s, NULL, e);
	return !rc && sync_served_ref(s) ? model_saw_ref(s->w->db, m.id, sync_served_ref(s), s->info.sha, work_now(), NULL, e) : rc;
}

/* Of the model that is here by upstream's name for it, which gets one more when it is asked for by another. */
static int names_of(struct sync *s, const char ***names, size_t *n, struct err *e)
{
	struct model m;

	*n = 0;
	if (model_find_repo(s->w->db, s->name, s->w->arena, &m, NULL) && model_find_repo(s->w->db, s->repo, s->w->arena, &m, NULL))
		return 0;
	return strcmp(m.upstream, s->hub->config.name) ? 0 : model_names(s->w->db, m.id, s->w->arena, names, n, e);
}

/*
 * A model that is new here may be one that is here under the name that it had. When one that is not new has got one more name, what names it as its base is looked at again.
 */
static int note_former_names(struct sync *s, size_t n_names, struct err *e)
{
	char known[MODEL_KEY_HEX + 1], made[MODEL_KEY_HEX + 1];
	const char **names;
	bool published;
	size_t n = 0;
	int rc = model_key(s->w->db, s->model_id, known, &published, e);

	model_made_key(s->name, made);
	if (!rc && !strcasecmp(s->here, s->name) && *s->info.key && strcmp(known, s->info.key) && strcmp(made, s->info.key) && !s->selection.metadata_only)
		rc = model_saw_key(s->w->db, s->model_id, s->info.key, work_now(), e);
	if (!rc)
		rc = names_of(s, &names, &n, e);
	return rc || !n_names || n <= n_names ? rc : derive_queue_model(s->w->db, names[0], s->w->arena, e);
}

int sync_note_model(struct sync *s, struct err *e)
{
	const struct hub_revision *r = &s->info;
	struct model_upstream u = {
		.name = r->id,
		.asked_name = strcmp(r->id, s->repo) ? s->repo : NULL,
		.upstream = s->hub->config.name,
		.gated = gate_of(r),
		.is_private = r->is_private,
		.disabled = r->disabled,
		.downloads = json_get_int(r->doc, "downloads", -1),
		.likes = json_get_int(r->doc, "likes", -1),
		.created_at = time_of(r->doc, "createdAt"),
		.modified_at = r->last_modified,
	};
	const char **names;
	struct model m;
	size_t n_names;
	bool other;
	int rc = names_of(s, &names, &n_names, e);

	if (!rc)
		rc = note_other(s, &other, e);
	if (rc || other)
		return rc;
	rc = model_upsert(s->w->db, &u, work_now(), &s->model_id, e);
	if (!rc && sync_find_here(s, &m))
		s->here = m.name;
	if (!rc)
		rc = note_former_names(s, n_names, e);
	if (!rc)
		rc = model_saw_gone(s->w->db, s->model_id, false, work_now(), e);
	return !rc && sync_served_ref(s) ? note_ref(s, e) : rc;
}

/* Is it the model that upstream does not have or give any more, or only the revision that was asked for? It may have no `main` either. */
static bool is_gone(struct sync *s, const struct err *why)
{
	own(revision) struct hub_revision r = { .no_such_revision = s->info.no_such_revision };
	struct err e = ERR_NONE;
	int rc = why->code;

	if (s->ref && !r.no_such_revision && (rc == ERR_NOT_FOUND || rc == ERR_GONE))
		rc = hub_get_revision(s->hub, s->repo, NULL, &s->w->stop, &r, &e);
	return (rc == ERR_NOT_FOUND || rc == ERR_GONE) && !r.no_such_revision;
}

/* Upstream has the model, but not this branch, tag or commit of it that we have. */
static void note_ref_gone(struct sync *s, const struct model *m)
{
	struct revision r;
	struct model same;

	if (sync_served_ref(s))
		model_saw_ref(s->w->db, m->id, sync_served_ref(s), NULL, work_now(), NULL, NULL);
	else if (!model_find(s->w->db, s->repo, s->ref, MODEL_ANY, s->w->arena, &same, &r, NULL, NULL))
		event_add_once(s->w->db, "upstream.commit_gone", m->name, r.commit, NULL, work_now(), NULL);
}

/* Upstream has no such model or revision any more, or has disabled it: what we serve stays, but it is seen. */
void sync_note_gone(struct sync *s, const struct err *why)
{
	bool gone = is_gone(s, why);
	struct model m;

	if (model_find_repo(s->w->db, s->repo, s->w->arena, &m, NULL) || strcmp(m.upstream, s->hub->config.name))
		return;
	if (gone)
		model_saw_gone(s->w->db, m.id, true, work_now(), NULL);
	else if (s->info.disabled)
		model_saw_disabled(s->w->db, m.id, work_now(), NULL);
	else if (why->code == ERR_NOT_FOUND || why->code == ERR_GONE)
		note_ref_gone(s, &m);
}
