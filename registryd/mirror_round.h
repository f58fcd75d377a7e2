/*
 * mirror_round.h - one round of a mirror entry, between mirror.c (the job), mirror_list.c (which models a listing brings in), mirror_drift.c (what it says of those
 * that are here) and mirror_said.c (what is said of it later).
 */
#ifndef REGISTRYD_MIRROR_ROUND_H
#define REGISTRYD_MIRROR_ROUND_H

#include "base/json.h"
#include "catalog/job.h"
#include "catalog/mirror.h"
#include "registryd/hub.h"
#include "registryd/plan.h"
#include "registryd/work.h"

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
	json_t *watched;	/* names of those and of what it syncs: what becomes of them is the round's outcome */
	int64_t refused;	/* models that are published without files that the entry wants */
	char *refused_repo, *refused_why;	/* the first of them */
	struct err err;
};

/* What became of the syncs that this entry made of a model before. */
struct past {
	enum job_state state;	/* of the last one; 0: there was none */
	int64_t failures;	/* in a row, up to the last one */
	int64_t at;		/* the last one's end */
	bool same_commit;	/* it ended, and was about the commit that is listed now */
	bool skipped;		/* it brought nothing in, as of a model that is too large */
};

/* One that waits already is woken; it does not count, so that models which wait for long leave the others their turn. */
int mirror_queue_sync(struct round *r, const char *repo, struct err *e);
/* sha: the commit that is listed now, may be NULL. */
int mirror_look_back(struct round *r, const char *repo, const char *sha, struct arena *a, struct past *p, struct err *e);

/* Of a job that has ended: it says nothing of its model, for it was canceled, and not by a person. */
bool mirror_was_dropped(const struct job *j);
char *mirror_sync_args(const struct mirror *m, const json_t *options);	/* of the entry's syncs */
void mirror_watch(struct round *r, const char *repo);
/* Its files were left out of what is served, and nothing is done about it now. */
void mirror_note_refused(struct round *r, const char *repo, const char *why);

/* Reads the listing of an author or a query, and brings in what is to come. */
int mirror_follow_list(struct round *r, struct err *e);
/* The commit that the entry follows, as listed: a listing gives that of `main` only. NULL: it can't be known from there. */
const char *mirror_listed_commit(const struct round *r, const struct hub_listed *l);
/* Do the entry's options take a model of this name; of the licence that upstream tells? The listing's own word is enough to choose; the gate judges by the card and texts. */
bool mirror_name_wanted(const json_t *options, const char *name);
bool mirror_licence_wanted(const json_t *options, const json_t *doc);
/*
 * What the next round needs to know, into the entry's memory: a round that its limit ended has not seen everything, and the next one starts where this one did.
 * `since` waits for the oldest model that is not brought in, however often that fails.
 */
void mirror_remember_list(const struct round *r, json_t *memory);
/* What mirror_said() needs to know. */
void mirror_remember_round(const struct round *r, json_t *memory);

/* A gate, a lock or a ban of a model that is here is seen as its sync would see it, and one that was gone is back. */
int mirror_note_drift(struct round *r, const struct hub_listed *l, struct err *e);
/* What is served of the entry has got a licence that the entry doesn't want: it is not followed there, and it is said. */
int mirror_note_licence_lost(struct round *r, const struct hub_listed *l, struct err *e);
void mirror_note_listed(struct round *r, const char *name);
/* Syncs some of what is served of the author or the query and was not listed: behind `last`, which was asked for last, and then from the front again. */
int mirror_ask_for_missing(struct round *r, const struct hub_query *q, const char *last, struct err *e);

#endif
