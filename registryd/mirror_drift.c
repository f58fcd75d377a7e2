/*
 * mirror_drift.c - what a listing says of models that are here: other flags, another licence, and those that it does not name any more.
 * See mirror_round.h.
 */
#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/event.h"
#include "catalog/model.h"
#include "catalog/query.h"
#include "registryd/mirror_round.h"

#define MISSING_MAX	20	/* models that it no longer has and that are asked for, a round */

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

int mirror_note_drift(struct round *r, const struct hub_listed *l, struct err *e)
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

void mirror_note_listed(struct round *r, const char *name)
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
	const char **names, *now;
	size_t n = 0;
	int rc;

	*missing = !strcmp(m->upstream, r->hub->config.name) && !m->vanished_at && !was_listed(r, m->name) && mirror_name_wanted(r->options, m->name);
	if (!*missing)
		return 0;
	rc = model_renamed_to(r->w->db, m, a, &now, e);
	*missing = !now;
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
		if (mirror_queue_sync(r, m->name, e))
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

/* What goes on being served under a name that is not listed any more leaves the others their turn. */
int mirror_ask_for_missing(struct round *r, const struct hub_query *q, const char *last, struct err *e)
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

int mirror_note_licence_lost(struct round *r, const struct hub_listed *l, struct err *e)
{
	const char *sha = mirror_listed_commit(r, l);
	bool moved = false;
	struct revision rev;
	struct model m;

	if (!sha || model_find(r->w->db, l->id, NULL, MODEL_VISIBLE, r->w->arena, &m, &rev, NULL, NULL) || strcmp(m.upstream, r->hub->config.name))
		return 0;
	if (model_saw_ref(r->w->db, m.id, r->m->revision, sha, work_now(), &moved, e))
		return e->code;
	if (!moved || !strcmp(licence_listed(l->doc), rev.license))
		return 0;
	return event_add(r->w->db, "upstream.license_changed", m.name, sha, json_pack("{s:s, s:s}", "from", rev.license, "to", licence_listed(l->doc)), work_now(), e);
}
