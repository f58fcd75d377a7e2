/*
 * mirror_said.c - what `mirror list` says went wrong in an entry's newest round: its own failure, or else what the syncs have come to that it asked for and those
 * that it waits with. The round itself is over before they are, so that this is found out when somebody asks.
 */
#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/mirror.h"
#include "registryd/mirror_round.h"

#define WATCHED_MAX 10000	/* names that a round leaves; of further ones the next round tells */
#define SYNCS_MAX   10000	/* the entry's newest */

void mirror_watch(struct round *r, const char *repo)
{
	if (!r->watched)
		r->watched = json_array();
	if (json_array_size(r->watched) < WATCHED_MAX)
		json_array_append_new(r->watched, json_string(repo));
}

void mirror_note_refused(struct round *r, const char *repo, const char *why)
{
	if (!r->refused++) {
		r->refused_repo = mem_strdup(repo);
		r->refused_why = mem_strdup(why);
	}
}

void mirror_remember_round(const struct round *r, json_t *memory)
{
	json_object_set(memory, "watched", r->watched ? r->watched : json_null());
	json_object_set_new(memory, "refused", r->refused ? json_pack("{s:I, s:s, s:s}", "n", (json_int_t)r->refused, "repo", r->refused_repo, "why", r->refused_why)
							  : json_null());
}

/* One name that the round left: what its last sync that has ended came to. */
struct outcome {
	const char *repo;
	bool again;		/* another one is to come */
	bool ended;
	const char *failed, *refused;
};

struct outcomes {
	struct outcome *v;
	size_t n;
	json_t *by_name;	/* its place, by the name in lower case */
};

static void own_outcomes(struct outcomes *o)
{
	json_decref(o->by_name);
}

static const char *key_of(const char *repo, struct arena *a)
{
	char *key = arena_strdup(a, repo);

	for (char *p = key; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	return key;
}

static void read_watched(struct outcomes *o, const json_t *watched, struct arena *a)
{
	const json_t *name;
	size_t i;

	o->by_name = json_object();
	o->v = arena_alloc(a, (json_array_size(watched) + 1) * sizeof(*o->v));
	json_array_foreach(watched, i, name) {
		const char *repo = json_string_value(name), *key = repo ? key_of(repo, a) : NULL;

		if (!key || json_object_get(o->by_name, key))
			continue;
		json_object_set_new(o->by_name, key, json_integer((json_int_t)o->n));
		o->v[o->n++].repo = repo;
	}
}

static void read_end(struct outcome *x, const struct job *j, struct arena *a)
{
	own(json) json_t *result = j->result ? json_parse(j->result, strlen(j->result), "a job's result", NULL) : NULL;
	const char *reason = json_get_str(result, "reason");

	x->ended = true;
	if (j->state == JOB_FAILED || j->state == JOB_CANCELED)
		x->failed = j->error_message ? j->error_message : "its sync was canceled";
	else if (reason && !strcmp(json_get_str_or(result, "state", ""), "published"))
		x->refused = arena_strdup(a, reason);
}

/* Jobs come with those that are to end first, and then the newest first. */
static int look_at_syncs(struct outcomes *o, struct db *db, const struct mirror *m, struct arena *a, struct err *e)
{
	own(json) json_t *options = json_parse(m->options, strlen(m->options), "the entry's options", e);
	own(mem) char *args = options ? mirror_sync_args(m, options) : NULL;
	struct job_filter f = { .kind = "sync", .repo = o->n == 1 ? o->v[0].repo : NULL, .revision = m->revision, .args = args, .limit = SYNCS_MAX };
	struct job *jobs;
	size_t n = 0;

	if (!options || (o->n && job_list(db, &f, a, &jobs, &n, e)))
		return e->code;
	for (size_t i = 0; i < n; i++) {
		const json_t *place = json_object_get(o->by_name, key_of(jobs[i].repo, a));
		struct outcome *x = place ? &o->v[json_integer_value(place)] : NULL;

		if (!x || x->ended || mirror_was_dropped(&jobs[i]))
			continue;
		if (jobs[i].state <= JOB_WAITING)
			x->again = true;
		else
			read_end(x, &jobs[i], a);
	}
	return 0;
}

static void say_failed(struct buf *b, const struct outcomes *o)
{
	const struct outcome *first = NULL;
	long long n = 0, again = 0;

	for (size_t i = 0; i < o->n; i++) {
		if (!o->v[i].failed)
			continue;
		first = first ? first : &o->v[i];
		n++;
		again += o->v[i].again;
	}
	if (first)
		buf_printf(b, "%lld model%s could not be brought in and %s tried again; %s: %s", n, n == 1 ? "" : "s", again < n ? "will be" : n == 1 ? "is being" : "are being",
			   first->repo, first->failed);
}

/* earlier: those of which the round saw that they stay so for now. */
static void say_refused(struct buf *b, const struct outcomes *o, const json_t *earlier)
{
	const char *repo = json_get_str(earlier, "repo"), *why = json_get_str_or(earlier, "why", "");
	long long n = (long long)json_get_int(earlier, "n", 0);

	for (size_t i = 0; i < o->n; i++) {
		if (!o->v[i].refused)
			continue;
		if (!n++) {
			repo = o->v[i].repo;
			why = o->v[i].refused;
		}
	}
	if (repo)
		buf_printf(b, "%s of %lld model%s were refused and are not served; %s: %s", b->len ? ". Files" : "files", n, n == 1 ? "" : "s", repo, why);
}

int mirror_said(struct db *db, struct mirror *m, struct arena *a, struct err *e)
{
	own(json) json_t *memory = m->cursor ? json_parse(m->cursor, strlen(m->cursor), "the entry's memory", NULL) : NULL;
	own(outcomes) struct outcomes o = { 0 };
	own(buf) struct buf said;

	buf_init(&said, 4 * ERR_MSG_MAX);
	if (m->last_error || !memory)
		return 0;
	read_watched(&o, json_object_get(memory, "watched"), a);
	if (look_at_syncs(&o, db, m, a, e))
		return e->code;
	say_failed(&said, &o);
	say_refused(&said, &o, json_object_get(memory, "refused"));
	m->last_error = said.len ? arena_strndup(a, said.data, said.len) : NULL;
	return 0;
}
