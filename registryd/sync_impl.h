/*
 * sync_impl.h - what sync.c (from the first question to the gate), sync_here.c (what the store holds already), sync_drift.c (what upstream
 * has done to a model that is here) and sync_plan.c (what a sync would do) share of one sync. Private to them.
 */
#ifndef REGISTRYD_SYNC_IMPL_H
#define REGISTRYD_SYNC_IMPL_H

#include "base/str.h"
#include "catalog/licence.h"
#include "registryd/fetch.h"
#include "registryd/gitproof.h"
#include "registryd/hub.h"
#include "registryd/plan.h"
#include "registryd/work.h"

/* What one sync knows, from the first question to the end. */
struct sync {
	struct work *w;
	struct hub *hub;
	const char *repo, *ref;		/* as asked for; ref NULL: the default branch */
	struct plan_selection selection;
	struct hub_revision info;
	struct hub_tree tree;
	struct gitproof proof;
	struct arena plan;
	struct model_file *files;	/* the plan, until the catalog has it */
	size_t n_files, n_listed;	/* n_listed: of the whole listing, known when the plan is gone */
	int64_t model_id, revision_id;
	bool proven;			/* the catalog has the listing, and git's objects have vouched for it */
	bool planned;			/* the revision is in the catalog as this sync wants it */
	struct model_kin kin;		/* other models that may hold its files */
	const char *name;		/* canonical */
	const char *here;		/* of the model that is here, as far as there is one */
	const char *linked;		/* the file that the card names as its licence, NULL none */
	struct arena missing;
	struct fetch_file *wanted;	/* what has to be fetched, until it is here */
	size_t n_wanted, cap_wanted;
	uint64_t have_bytes, have_files;	/* of the wanted ones, stored before anything was fetched */
	uint64_t fetched_bytes;
	struct room_claim *room;	/* while it fetches */
	uint64_t evidence_bytes, evidence_files;	/* card and licence texts that were left out, and are fetched all the same */
};

void own_sync(struct sync *s);

static inline bool sync_is_commit(const char *rev)
{
	return rev && str_is_hex(rev, 40);
}

static inline bool sync_is_licence(const struct sync *s, const struct model_file *f)
{
	return licence_is_text_file(f->path, f->size_bytes) || (s->linked && !strcmp(f->path, s->linked));
}

/* Nobody asked for it but a mirror's round. */
static inline bool sync_by_clock(const struct sync *s)
{
	return !strcmp(s->w->job.who, "schedule");
}

/* The branch or tag that publishing moves; NULL for a pinned commit. */
static inline const char *sync_served_ref(const struct sync *s)
{
	return sync_is_commit(s->ref) ? NULL : s->ref ? s->ref : "main";
}

/* Asks upstream about the revision. s is zero before; own_sync() ends it also after an error. */
int sync_begin(struct sync *s, struct work *w, struct err *e);
/* Its listing, into s->tree. */
int sync_list(struct sync *s, struct err *e);
/* From the listing, into s->files; what it was made from is let go. */
void sync_make_plan(struct sync *s);
void sync_forget_plan(struct sync *s);
/* 1: the store holds this file's content under *sha256. */
int sync_held(struct sync *s, const struct model_file *f, struct digest *sha256, struct err *e);
/* The card and the text of a licence are fetched, to be read and not to be served, where globs leave them out too: without them the licence is not known. Counts those that it says yes to. */
bool sync_is_evidence(struct sync *s, const struct model_file *f);
/* Of the planned files, what the store holds is recorded; the rest goes to s->wanted. */
int sync_look_around(struct sync *s, struct err *e);

/* The model that is here by the name that was asked for, or else by upstream's; false when there is none. */
bool sync_find_here(struct sync *s, struct model *m);
/* ERR_REFUSED: upstream has another repository under this name than the model that is here under it, which lives on there under another. */
int sync_check_name(struct sync *s, struct err *e);
/* Tells of it, once for each revision. why NULL: it is held, and says why. */
int sync_note_reuse(struct sync *s, const char *why, struct err *e);
/* What upstream says of the model now, into the catalog; every change is an event. */
int sync_note_model(struct sync *s, struct err *e);
/* Upstream has no such model or revision any more, or has disabled it: what we serve stays, but it is seen. */
void sync_note_gone(struct sync *s, const struct err *why);

#endif
