/* mirror.c - see mirror.h. */
#include "registryd/mirror.h"

#include "base/str.h"
#include "base/vec.h"
#include "registryd/mirror_round.h"

#define RETRY_S		600	/* after a failure, when the entry's own interval is longer */
#define LIMIT_DEFAULT	1000
#define PRIORITY	(-1)
#define SYNCS_LOOKED_AT 20	/* of one model: so many failures make no further difference */

/* The part of the options that a sync reads. */
char *mirror_sync_args(const struct mirror *m, const json_t *options)
{
	static const char *const keys[] = { "include", "exclude", "metadata_only", "max_size" };
	own(json) json_t *args = json_pack("{s:s}", "upstream", m->upstream);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_object_get(options, keys[i]))
			json_object_set(args, keys[i], json_object_get(options, keys[i]));
	return json_text(args);
}

int mirror_queue_sync(struct round *r, const char *repo, struct err *e)
{
	struct job_new j = { .kind = "sync", .repo = repo, .revision = r->m->revision, .args = r->args, .who = "schedule", .priority = PRIORITY };
	bool existed = false;
	int64_t id;
	int rc = job_enqueue(r->w->db, &j, work_now(), &id, &existed, e);

	r->queued += !existed;
	return rc;
}

static void read_result(struct past *p, const struct job *j, const char *sha)
{
	own(json) json_t *result = j->result ? json_parse(j->result, strlen(j->result), "a job's result", NULL) : NULL;

	p->same_commit = sha && !strcmp(json_get_str_or(result, "revision", ""), sha);
	p->skipped = !strcmp(json_get_str_or(result, "state", ""), "skipped");
}

static bool has_failed(const struct job *j)
{
	return j->state == JOB_FAILED || j->state == JOB_CANCELED;
}

bool mirror_was_dropped(const struct job *j)
{
	return j->state == JOB_CANCELED && !j->cancel_asked;
}

int mirror_look_back(struct round *r, const char *repo, const char *sha, struct arena *a, struct past *p, struct err *e)
{
	struct job_filter f = { .kind = "sync", .repo = repo, .revision = r->m->revision, .args = r->args, .limit = SYNCS_LOOKED_AT };
	struct job *jobs;
	size_t n;
	int rc = job_list(r->w->db, &f, a, &jobs, &n, e);

	*p = (struct past){ 0 };
	for (size_t i = 0; !rc && i < n; i++) {
		const struct job *j = &jobs[i];

		if (mirror_was_dropped(j))
			continue;
		if (!p->state) {
			*p = (struct past){ .state = j->state, .at = j->finished_at };
			read_result(p, j, sha);
		}
		if (!has_failed(j))
			break;
		p->failures++;
	}
	return rc;
}

static void own_round(struct round *r)
{
	for (size_t i = 0; i < r->n_retry; i++)
		free(r->retry[i].repo);
	free(r->retry);
	free(r->asked_to);
	free(r->refused_repo);
	free(r->refused_why);
	free(r->args);
	json_decref(r->options);
	json_decref(r->listed);
	json_decref(r->watched);
}

/* ---- is it still asked for? ----------------------------------------------------------------------------------- */

bool mirror_covers(const struct mirror *m, const json_t *options, const char *repo, const json_t *doc)
{
	size_t n = strlen(m->target);

	if (m->kind == MIRROR_REPO)
		return !strcasecmp(m->target, repo);
	if (m->kind == MIRROR_AUTHOR && (strncasecmp(m->target, repo, n) || repo[n] != '/'))
		return false;
	return mirror_name_wanted(options, repo) && (!doc || mirror_licence_wanted(options, doc));
}

static int asks_for(const struct mirror *m, const struct job *j, const json_t *doc, bool *asks, struct err *e)
{
	own(json) json_t *options = json_parse(m->options, strlen(m->options), "the entry's options", e);
	own(mem) char *args = options ? mirror_sync_args(m, options) : NULL;

	if (!options)
		return e->code;
	*asks = !strcmp(m->revision, j->revision) && !strcmp(args, j->args) && mirror_covers(m, options, j->repo, doc);
	return 0;
}

/* A round's priority is nobody else's: what a person asks for too gets a higher one. */
int mirror_check_asked(struct work *w, const json_t *doc, struct err *e)
{
	struct mirror *list;
	bool asked = false;
	size_t n = 0;
	int rc;

	if (strcmp(w->job.who, "schedule") || w->job.priority != PRIORITY)
		return 0;
	rc = mirror_list(w->db, w->arena, &list, &n, e);
	for (size_t i = 0; i < n && !rc && !asked; i++)
		rc = asks_for(&list[i], &w->job, doc, &asked, e);
	if (rc || asked)
		return rc;
	atomic_store(&w->canceled, true);
	return err_set(e, ERR_CANCELED, "no mirror entry asks for it any more: the one that did was removed or changed");
}

/* ---- the job -------------------------------------------------------------------------------------------------- */

/* Its sync finds out what is new. */
static int follow_repo(struct round *r, struct err *e)
{
	struct past p;

	if (mirror_look_back(r, r->m->target, NULL, r->w->arena, &p, e))
		return e->code;
	r->failed = p.failures > 0;
	mirror_watch(r, r->m->target);
	return mirror_queue_sync(r, r->m->target, e);
}

static int follow(struct round *r, struct err *e)
{
	own(json) json_t *args = NULL;

	r->options = json_parse(r->m->options, strlen(r->m->options), "the entry's options", e);
	if (!r->options)
		return ERR_INPUT;
	r->limit = json_get_int(r->options, "limit", LIMIT_DEFAULT);
	r->args = mirror_sync_args(r->m, r->options);
	args = json_parse(r->args, strlen(r->args), "a sync's arguments", e);
	if (!args || plan_read_selection(&r->selection, args, r->w->arena, e))
		return e->code;
	return r->m->kind == MIRROR_REPO ? follow_repo(r, e) : mirror_follow_list(r, e);
}

static int64_t next_run(const struct mirror *m, int rc, int64_t now)
{
	return now + (rc && m->every_s > RETRY_S ? RETRY_S : m->every_s);
}

static char *remember(const struct round *r)
{
	own(json) json_t *memory = r->m->cursor ? json_parse(r->m->cursor, strlen(r->m->cursor), "the entry's memory", NULL) : NULL;

	if (!memory)
		memory = json_object();
	if (r->m->kind != MIRROR_REPO)
		mirror_remember_list(r, memory);
	mirror_remember_round(r, memory);
	return json_text(memory);
}

int mirror_job(struct work *w, struct err *e)
{
	own(round) struct round r = { .w = w, .asked = json_get_bool(w->args, "asked", false) };
	own(mem) char *memory = NULL;
	struct err late = ERR_NONE;
	struct mirror m;
	int rc = mirror_find(w->db, json_get_str_or(w->args, "name", ""), w->arena, &m, e);

	if (rc)
		return rc;
	r.m = &m;
	rc = follow(&r, e);
	if (!rc)
		memory = remember(&r);
	if (rc != ERR_CANCELED && mirror_ran(w->db, r.m, work_now(), next_run(r.m, rc, work_now()), rc ? e->msg : NULL, memory, &late) && !rc) {
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
		struct job_new j = { .kind = "mirror", .args = text, .who = "schedule", .priority = PRIORITY };
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
