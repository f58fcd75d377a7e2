/* mirror.c - see mirror.h. */
#include "registryd/mirror.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/mirror.h"
#include "catalog/model.h"
#include "registryd/hub.h"

#define LIMIT_DEFAULT 1000

struct round {
	struct work *w;
	const struct mirror *m;
	json_t *options;
	const char *upstream;
	char *args;		/* of each sync */
	int64_t limit, seen, queued, newest;
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

static int queue_sync(struct round *r, const char *repo, struct err *e)
{
	struct job_new j = { .kind = "sync", .repo = repo, .revision = r->m->revision, .args = r->args, .who = "schedule", .priority = -1 };
	int64_t id;

	r->queued++;
	return job_enqueue(r->w->db, &j, work_now(), &id, NULL, e);
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

/* Is this commit what the catalog saw last, and served or judged already? */
static bool known_already(const struct round *r, const struct hub_listed *l)
{
	char seen[MODEL_COMMIT_HEX + 1];
	struct revision rev;
	struct model m;

	if (!l->sha || model_find_repo(r->w->db, l->id, r->w->arena, &m, NULL))
		return false;
	if (model_upstream_ref(r->w->db, m.id, r->m->revision, seen, NULL) || strcmp(seen, l->sha))
		return false;
	return !model_find(r->w->db, l->id, l->sha, MODEL_ANY, r->w->arena, &m, &rev, NULL, NULL) && rev.state >= REVISION_HELD;
}

static int each_listed(const struct hub_listed *l, void *arg)
{
	struct round *r = arg;

	r->seen++;
	if (l->last_modified > r->newest)
		r->newest = l->last_modified;
	if (!name_wanted(r, l->id) || !licence_wanted(r, l->doc) || known_already(r, l))
		return 0;
	if (r->queued >= r->limit)
		return 1;
	return queue_sync(r, l->id, &r->err) ? 1 : 0;
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

static int follow_list(struct round *r, struct err *e)
{
	own(json) json_t *target = *r->m->target == '{' ? json_parse(r->m->target, strlen(r->m->target), "the entry's query", NULL) : NULL;
	own(json) json_t *cursor = r->m->cursor ? json_parse(r->m->cursor, strlen(r->m->cursor), "the entry's memory", NULL) : NULL;
	int64_t since = json_get_int(cursor, "since", 0);
	struct hub *h = work_hub(r->w, r->m->upstream, e);
	struct hub_query q = { .since = since > MIRROR_OVERLAP_S ? since - MIRROR_OVERLAP_S : 0 };
	int rc;

	if (!h)
		return e->code;
	read_query(r->m, target, &q);
	work_phase(r->w, "listing %s", r->m->name);
	r->newest = since;
	rc = hub_list(h, &q, &r->w->stop, each_listed, r, e);
	if (!rc && r->err.code) {
		*e = r->err;
		rc = r->err.code;
	}
	return rc;
}

/* ---- the job -------------------------------------------------------------------------------------------------- */

static int follow(struct round *r, struct err *e)
{
	r->options = json_parse(r->m->options, strlen(r->m->options), "the entry's options", e);
	if (!r->options)
		return ERR_INPUT;
	r->limit = json_get_int(r->options, "limit", LIMIT_DEFAULT);
	r->args = sync_args(r->m, r->options);
	return r->m->kind == MIRROR_REPO ? queue_sync(r, r->m->target, e) : follow_list(r, e);
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
	struct round r = { .w = w };
	own(mem) char *cursor = NULL;
	struct err late = ERR_NONE;
	int rc = find_entry(w, json_get_str_or(w->args, "name", ""), &r.m, e);

	if (rc)
		return rc;
	rc = follow(&r, e);
	/* A round that its limit ended has not seen everything: the next one starts where this one did. */
	if (!rc && r.m->kind != MIRROR_REPO && r.queued < r.limit && asprintf(&cursor, "{\"since\":%lld}", (long long)r.newest) < 0)
		abort();
	json_decref(r.options);
	free(r.args);
	if (rc != ERR_CANCELED && mirror_ran(w->db, r.m->id, work_now(), next_run(r.m, rc, work_now()), rc ? e->msg : NULL, cursor, &late) && !rc) {
		*e = late;
		rc = late.code;
	}
	if (!rc)
		w->result = json_pack("{s:I, s:I}", "seen", (json_int_t)r.seen, "queued", (json_int_t)r.queued);
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
		own(json) json_t *args = json_pack("{s:s}", "name", due[i].name);
		own(mem) char *text = json_text(args);
		struct job_new j = { .kind = "mirror", .args = text, .who = "schedule", .priority = -1 };
		int64_t id;

		rc = job_enqueue(d->db, &j, now, &id, NULL, e);
		/* Not due again while the job waits its turn; the job sets when it really is. */
		if (!rc)
			rc = mirror_ran(d->db, due[i].id, due[i].last_at, now + due[i].every_s, due[i].last_error, NULL, e);
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

static const char *name_of(const struct config_mirror *c)
{
	return c->name ? c->name : target_of(c);
}

static int put_entry(struct daemon *d, const struct config *config, const struct config_mirror *c, int64_t now, struct err *e)
{
	const struct config_upstream *u = config_find_upstream(config, c->upstream);
	own(mem) char *options = options_of(c);
	struct mirror m = {
		.name = name_of(c),
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
		names[i] = name_of(&c->mirror[i]);
		rc = put_entry(d, c, &c->mirror[i], now, e);
	}
	return rc ? rc : mirror_keep_config(d->db, names, c->n_mirror, e);
}
