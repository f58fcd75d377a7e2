/*
 * model.h - models, their revisions, files and refs. One *model* is a repository of the Hub ("org/name", or a legacy name without '/');
 * one *revision* is one upstream commit of it, which travels
 *
 *	planned -> fetching -> verifying -> testing -> published | held | rejected          published -> retired
 *
 * Nothing is visible to a client before it is published, and publishing is one transaction (model_conclude, model_rule) that records why,
 * sets the state, moves the refs and writes the event. What upstream said is kept as facts (model_document); what follows from it (licence,
 * parameter count, formats …) is derived and can be rebuilt.
 *
 * Names compare without regard to case, as on the Hub, where two repositories never differ by case only; the spelling first seen is kept.
 * Strings in results live in the caller's arena. `now` is unix seconds and comes from the caller everywhere.
 */
#ifndef CATALOG_MODEL_H
#define CATALOG_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/spool.h"
#include "catalog/db.h"
#include "catalog/format.h"
#include "catalog/policy.h"
#include "verify/digest.h"

#define MODEL_NAME_MAX	  200	/* bytes of "org/name" */
#define MODEL_REF_MAX	  255
#define MODEL_COMMIT_HEX  40
#define MODEL_KEY_HEX	  24	/* of the id that a Hub keeps for a repository when it is renamed */

/* ERR_USAGE unless it is "org/name" or "name": letters, digits and . _ -, no empty part, no "..", as the Hub itself has it. */
int model_check_name(const char *name, struct err *e);
#define MODEL_FILES_MAX	  200000	/* files of one revision */
#define MODEL_DOCUMENT_MAX (64u << 20)	/* bytes of one raw document */

enum revision_state {
	REVISION_PLANNED = 1,
	REVISION_FETCHING,
	REVISION_VERIFYING,
	REVISION_TESTING,
	REVISION_HELD,
	REVISION_REJECTED,
	REVISION_PUBLISHED,
	REVISION_RETIRED,
};
const char *revision_state_name(enum revision_state s);
int revision_state_parse(enum revision_state *out, const char *name, struct err *e);

/* How a file's bytes are tied to the commit: by the commit's own git objects, by the ids of the Hub's listing, or by a hash we made ourselves. */
enum proof_level {
	PROOF_NONE,
	PROOF_HASH,
	PROOF_LISTING,
	PROOF_COMMIT,
};
const char *proof_level_name(enum proof_level p);
int proof_level_parse(enum proof_level *out, const char *name, struct err *e);

enum model_gate {	/* upstream's `gated` */
	MODEL_OPEN,
	MODEL_GATED_AUTO,
	MODEL_GATED_MANUAL,
};

struct model {
	int64_t id;
	const char *name;		/* canonical spelling */
	const char *author;		/* before the '/', "" for a legacy name */
	const char *upstream;		/* configured upstream's name, "import" for an imported model */
	enum model_gate gated;
	bool is_private, disabled;
	int64_t vanished_at;		/* upstream answered "no such model" since then; 0 */
	int64_t downloads, likes;	/* upstream's figures */
	int64_t created_at, modified_at;	/* upstream's; 0 unknown */
	int64_t checked_at;		/* last asked upstream */
};

struct revision {
	int64_t id, model_id;
	char commit[MODEL_COMMIT_HEX + 1];
	enum revision_state state;
	const char *reason;		/* why it is in this state: one sentence, or NULL */
	enum proof_level proof;
	int64_t planned_at, state_at, published_at;	/* published_at: first time, 0 never */
	const char *title;		/* first line of the upstream commit's message, or NULL */
	int64_t commit_at;		/* upstream's date of the commit, 0 unknown */
	/* derived from the verified files and the card */
	const char *license;		/* Hub id, "other:<name>" or "unknown" */
	const char *license_name, *license_source;	/* NULL when there is none */
	uint64_t size_bytes;		/* of the wanted files */
	int64_t params;			/* 0 unknown */
	const char *dtypes;		/* {"BF16":123,…} or NULL */
	const char *architecture, *quantization, *task, *library;	/* NULL unknown */
	int64_t context_length;		/* 0 unknown */
	unsigned formats;		/* FORMAT_BIT set of the wanted files */
};

struct model_file {
	const char *path;
	uint64_t size_bytes;
	struct digest git_oid;		/* the tree's blob id: of the content, or of the pointer for LFS; DIGEST_NONE for imports without git */
	struct digest sha256;		/* upstream's claim for LFS until stored, then our own hash; DIGEST_NONE while unknown */
	bool lfs;
	bool wanted;			/* false: not mirrored, see skip_reason */
	const char *skip_reason;
	bool stored;			/* the store holds sha256, verified (output only) */
	bool pending;			/* newly wanted in a published revision, not shown yet (output only) */
	bool evidence;			/* not wanted, and read for the licence all the same: kept, and neither listed nor served (output only) */
};

/* --- what upstream said ------------------------------------------------------------------------------------------------------------ */

/* What a Hub's model info says. Fields unknown to the caller keep what the catalog has: NULL, -1, 0 as noted. */
struct model_upstream {
	const char *name;		/* canonical id from the body */
	const char *asked_name;		/* as asked for; when it differs beyond case, an alias is kept (renamed upstream: 307). NULL same */
	const char *upstream;
	int gated;			/* enum model_gate, -1 unknown */
	int is_private, disabled;	/* -1 unknown */
	int64_t downloads, likes;	/* -1 unknown */
	int64_t created_at, modified_at;	/* 0 unknown */
};

/*
 * Creates or updates the model: the one that is here as asked_name, or else as name. *id is its id. Changes of gated, private, disabled, name are drift: each makes an event. A known name of
 * another upstream is ERR_CONFLICT: a model never silently changes where it comes from.
 */
int model_upsert(struct db *db, const struct model_upstream *u, int64_t now, int64_t *id, struct err *e);
/*
 * The same for a whole listing (an author's models, a query's answer) in one transaction, so that thousands a second are durable. ids may be NULL.
 * A model that can't be taken (its name, another upstream) is skipped: *skipped (may be NULL) counts, and *why (may be NULL) is the first reason.
 */
#define MODEL_BATCH_MAX 10000
int model_upsert_many(struct db *db, const struct model_upstream *u, size_t n, int64_t now, int64_t *ids, size_t *skipped, struct err *why, struct err *e);
/* Upstream's ref now points at commit. *moved (may be NULL): it pointed elsewhere before (an event is written). commit NULL: the ref is gone. */
int model_saw_ref(struct db *db, int64_t model_id, const char *ref, const char *commit, int64_t now, bool *moved, struct err *e);
/* Upstream no longer knows the model (gone), or does again. What we serve does not change; an event is written on a change. */
int model_saw_gone(struct db *db, int64_t model_id, bool gone, int64_t now, struct err *e);
/* Upstream refuses the model to everybody. The next model info that comes (model_upsert) says when that is over. */
int model_saw_disabled(struct db *db, int64_t model_id, int64_t now, struct err *e);

/* A raw document, kept as it came. name tells several of a kind apart (a config's path), "" else. The newest of a (kind, name) is kept. */
enum document_kind {
	DOCUMENT_INFO = 1,	/* model info JSON of the revision */
	DOCUMENT_TREE,		/* tree listing JSON, pages joined into one array */
	DOCUMENT_CARD,		/* README.md */
	DOCUMENT_CONFIG,	/* config.json, tokenizer_config.json, generation_config.json … */
	DOCUMENT_LICENSE,	/* LICENSE*, NOTICE*, USE_POLICY* text */
	DOCUMENT_PROOF,		/* what the git proof found, JSON */
	DOCUMENT_INSPECTION,	/* report of registryd-smoke --inspect, JSON */
	DOCUMENT_SBOM,		/* kept by evidence.h */
};
int model_keep_document(struct db *db, int64_t revision_id, enum document_kind kind, const char *name, const void *text, size_t n, int64_t now,
			struct err *e);
/* The same of a long one, ended. */
int model_keep_spool(struct db *db, int64_t revision_id, enum document_kind kind, const char *name, const struct spool *text, int64_t now, struct err *e);
/* ERR_NOT_FOUND when there is none. Text in the arena, NUL-terminated; *n its length. */
int model_document(struct db *db, int64_t revision_id, enum document_kind kind, const char *name, struct arena *a, const char **text, size_t *n,
		   struct err *e);

/* --- planning and fetching --------------------------------------------------------------------------------------------------------- */

struct model_plan {
	int64_t model_id;
	const char *commit;		/* 40 hex */
	const char *ref;		/* the ref that was asked for ("main"): publishing moves it here; NULL for a pinned commit */
	const char *title;
	int64_t commit_at;
	const char *upstream_key;	/* the id that upstream keeps for the repository when it is renamed; NULL unknown */
	const char *selection;		/* JSON of the include/exclude globs used, or NULL for everything */
	const struct model_file *files;	/* sorted or not; paths checked with fdio_check_relative() */
	size_t n_files;
};

/*
 * Records the revision and its files, state `planned`. A revision that is known already keeps its id, its stored files and a person's ruling, and
 * is planned anew when it was never published. A published one stays published, with its files: those newly wanted are *pending*, unseen by
 * clients until the gate has passed them (model_conclude), and files no longer wanted stay. A retired one is ERR_CONFLICT.
 * *changed (may be NULL): something is to be fetched or judged; false: published as it is.
 */
int model_plan(struct db *db, const struct model_plan *p, int64_t now, int64_t *revision_id, bool *changed, struct err *e);
/* The revision, of which nothing needs to be planned, is what was asked for last under this ref: what is published of an earlier asking does not take the ref from it. */
int model_ask_ref(struct db *db, int64_t revision_id, const char *ref, int64_t now, struct err *e);

/* The selection that it was planned with last, NULL for everything. */
int model_selection(struct db *db, int64_t revision_id, struct arena *a, const char **selection, struct err *e);
/* Is only its metadata kept? Then it is held, whatever a policy or a person says of it. */
int model_is_metadata(struct db *db, int64_t revision_id, bool *metadata, struct err *e);

/*
 * Moves between the working states, or to held/rejected with a reason. Not to published (model_conclude) or retired (lifecycle): ERR_CONFLICT.
 * On a published revision with pending files it does nothing: the state stays `published`.
 */
int model_set_state(struct db *db, int64_t revision_id, enum revision_state state, const char *reason, int64_t now, struct err *e);
/* Work on it has ended without a verdict: it is planned, for this reason. Where a person or the inspection has rejected it before, that stands, with its reason and date. */
/* Its pending files are not wanted any more: what was served as a whole is whole without them. A published or retired one just loses these. */
int model_stop(struct db *db, int64_t revision_id, const char *reason, int64_t now, struct err *e);
#define MODEL_NEVER_CAME "it was asked for later than the rest, and its sync ended without it"	/* skip_reason of what was pending then */
/* The same for pending files that nobody works on any more, whatever the state; it stays. */
int model_drop_pending(struct db *db, int64_t revision_id, struct err *e);
/* Has a person or the inspection rejected it when it was judged last? *why in a; NULL: neither. */
int model_turned_down(struct db *db, int64_t revision_id, struct arena *a, const char **why, struct err *e);
int model_set_proof(struct db *db, int64_t revision_id, enum proof_level proof, struct err *e);

struct model_stored {
	const char *path;
	struct digest sha256;
	uint64_t size_bytes;
};
/* These files are in the store (published there before this call), in one transaction. A path that is not of the revision is ERR_NOT_FOUND;
 * a digest or size that contradicts what the plan says is ERR_MISMATCH. */
int model_files_stored(struct db *db, int64_t revision_id, const struct model_stored *files, size_t n, struct err *e);
/*
 * "Already here": may a git file's bytes be taken from the store? They may when another revision of the model holds the same path (NULL: any, which
 * reads all that is known of the model) with the same git id: gives the SHA-256 under which they were stored. ERR_NOT_FOUND when there is none. (For LFS files ask store_has().)
 */
int model_known_git_blob(struct db *db, int64_t model_id, const char *path, const struct digest *git_oid, uint64_t size_bytes, struct digest *sha256,
			 struct err *e);

#define MODEL_KIN_MAX 16

/* Revisions of other models in which the small files of a copy, a conversion or a fine-tuning are likely to be found. */
struct model_kin {
	int64_t revision_id[MODEL_KIN_MAX];
	size_t n;
};

/* Those that the models named here show, and those that hold an LFS content which this revision lists too. (An index over the git ids of all files would find the rest: it
 * would be a tenth of the catalog.) */
int model_kin(struct db *db, int64_t revision_id, const char *const *repos, size_t n_repos, struct model_kin *kin, struct err *e);
/* The same as model_known_git_blob(), for the same path in one of them. */
int model_kin_git_blob(struct db *db, const struct model_kin *kin, const char *path, const struct digest *git_oid, uint64_t size_bytes, struct digest *sha256, struct err *e);

/* --- derived facts ------------------------------------------------------------------------------------------------------------------ */

struct model_facts {
	const char *license;		/* resolved: see licence.h */
	const char *license_name, *license_link, *license_source;
	const char *const *license_conflicts;
	size_t n_license_conflicts;
	int64_t params;
	const char *dtypes;		/* JSON object, dtype -> elements */
	const char *architecture, *quantization, *task, *library;
	int64_t context_length;
	const char *const *tags;	/* Hub tags as /api/models filters by them, e.g. "license:mit", "region:us", "en" */
	size_t n_tags;
	const char *const *base_models;	/* repo ids */
	size_t n_base_models;
	const char *base_relation;	/* adapter merge quantized finetune, or NULL */
	const char *new_version;	/* card's hint of a successor, or NULL */
};
int model_set_facts(struct db *db, int64_t revision_id, const struct model_facts *f, struct err *e);

/* --- the gate's outcome ------------------------------------------------------------------------------------------------------------- */

/* Everything policy_decide() wants to know about a revision, read in one snapshot. */
int model_evidence(struct db *db, int64_t revision_id, struct arena *a, struct policy_facts *out, struct err *e);
/* The key that a registry like this one makes from a model's name: it says nothing of the repository behind it. */
void model_made_key(const char *name, char key[MODEL_KEY_HEX + 1]);
/* Which of upstream's repositories the model is: the key of the revision published last, else of the first that was planned; "" unknown. *published: it is of the former. */
int model_key(struct db *db, int64_t model_id, char key[MODEL_KEY_HEX + 1], bool *published, struct err *e);
/*
 * Upstream has the repository with this key under this model's name now: what is here of it under others has been renamed to this. They become aliases of it too, which
 * leaves them as they are. All revisions are gone through: to be asked once for a model.
 */
int model_saw_key(struct db *db, int64_t model_id, const char *key, int64_t now, struct err *e);
/*
 * Is this withdrawn, or rejected by a person, under another name: the same commit, or another of what upstream has renamed? Or does it come from another repository than
 * what was published under its own? model_id: what it is here, 0 nothing; upstream_key as in model_plan. The sentence lives in a; NULL: it is not.
 */
struct model_off {
	const char *rule, *why;
};
int model_off(struct db *db, int64_t model_id, const char *commit, const char *upstream_key, struct arena *a, struct model_off *out, struct err *e);
/*
 * What goes on being served under other names of what is taken off: the same commit, other commits of a repository that upstream has renamed, or the same large files.
 * revision_id 0: of the whole model. Strings live in a.
 */
#define MODEL_ELSEWHERE_MAX 100
struct model_elsewhere {
	const char *repo, *commit, *because;
};
int model_served_elsewhere(struct db *db, int64_t model_id, int64_t revision_id, struct arena *a, struct model_elsewhere **out, size_t *n, struct err *e);
/*
 * The gate has decided: in ONE transaction record each decision (for `why`), set the state, and when it is `publish`, move the refs that the
 * revision was planned for (unless one of them already serves a revision planned later) and write the event. Older published revisions stay
 * reachable by commit. Publishing with a wanted file missing from the store is refused: ERR_CONFLICT. A hold or reject of a published revision's
 * pending files leaves what is published as it is and drops those files, with the reason.
 */
int model_conclude(struct db *db, int64_t revision_id, const struct policy_verdict *v, int64_t now, struct err *e);
/*
 * A changed policy's verdict on a revision that was settled before: as model_conclude(), but what is published and may no longer be is taken off
 * every door. Does nothing when the revision has left the state that the verdict was about.
 */
int model_reconsider(struct db *db, int64_t revision_id, enum revision_state from, const struct policy_verdict *v, int64_t now, struct err *e);
/* A person's decision, kept with who and when; it survives a re-sync of the same revision but not a new one. Publishes or rejects at once. */
int model_rule(struct db *db, int64_t revision_id, enum policy_outcome outcome, const char *who, const char *reason, int64_t now, struct err *e);

/* --- finding ------------------------------------------------------------------------------------------------------------------------ */

enum model_who {
	MODEL_ANY,	/* operators: newest revision in any state when rev is NULL; rev may be any known ref, commit or short commit */
	MODEL_VISIBLE,	/* clients: published revisions only; rev NULL or "HEAD" is "main" */
};
/*
 * The model and one revision of it. repo may be an alias of a renamed model (m->name then differs from repo). rev: ref, full commit, unique
 * commit prefix of 7 or more digits, or NULL. ERR_NOT_FOUND: no such model; *no_such_revision (may be NULL) tells a missing revision apart.
 * With MODEL_VISIBLE a withdrawn or retired revision is found all the same: ask lifecycle_at() what the door must answer.
 */
int model_find(struct db *db, const char *repo, const char *rev, enum model_who who, struct arena *a, struct model *m, struct revision *r,
	       bool *no_such_revision, struct err *e);
int model_find_repo(struct db *db, const char *repo, struct arena *a, struct model *m, struct err *e);
/* The name of another model that is here, and that upstream has renamed this one to; NULL: none. */
int model_renamed_to(struct db *db, const struct model *m, struct arena *a, const char **name, struct err *e);
/* Its name, and those that it has or had upstream. */
int model_names(struct db *db, int64_t model_id, struct arena *a, const char ***names, size_t *n, struct err *e);
/* The revision that listings show to clients: `main`, else the one published last. */
int model_find_shown(struct db *db, const char *repo, struct arena *a, struct model *m, struct revision *r, struct err *e);
int model_revision(struct db *db, int64_t revision_id, struct arena *a, struct model *m, struct revision *r, struct err *e);	/* m may be NULL */
/* The first revision after this number, in any state; 0 behind the last. */
int model_next_revision(struct db *db, int64_t after, int64_t *id, struct err *e);
/* All revisions of a model, newest first. who MODEL_VISIBLE: those published. */
int model_revisions(struct db *db, int64_t model_id, enum model_who who, struct arena *a, struct revision **r, size_t *n, struct err *e);

struct model_ref {
	const char *name;
	char commit[MODEL_COMMIT_HEX + 1];
	int64_t revision_id;
	int64_t moved_at;
	bool is_tag;			/* by upstream's word */
};
/* Published refs, by name. revision_id not 0: only those that point at it. */
int model_refs(struct db *db, int64_t model_id, int64_t revision_id, struct arena *a, struct model_ref **refs, size_t *n, struct err *e);
/* 1: this revision was to have the ref, and another has it which was asked for later: commit says which. */
int model_ref_superseded(struct db *db, int64_t revision_id, const char *ref, char commit[MODEL_COMMIT_HEX + 1], struct err *e);
/* Upstream calls this ref, which it was seen to have, a tag. */
int model_ref_is_tag(struct db *db, int64_t model_id, const char *ref, bool is_tag, struct err *e);
/* What upstream's ref pointed at when last seen; "" when never. */
int model_upstream_ref(struct db *db, int64_t model_id, const char *ref, char commit[MODEL_COMMIT_HEX + 1], struct err *e);

enum model_files_of {
	FILES_ALL,	/* the whole tree as upstream listed it */
	FILES_HELD,	/* wanted, stored, not pending */
	FILES_SERVED,	/* of a published revision, what doors list: it was published with all of these in the store, so one that is not has been lost */
	FILES_FIRST,	/* those that are stored or lost, and whose content no earlier revision has: over all revisions, each content once */
	FILES_WANTED,	/* pending ones too */
	FILES_SKIPPED,	/* the others */
	FILES_MISSING,	/* wanted and not stored yet: what a resumed sync has to fetch */
};
/* In path order (bytes). under: only below this directory, "" for all. after/limit page through big trees: NULL/0 for everything. */
int model_files(struct db *db, int64_t revision_id, enum model_files_of which, const char *under, const char *after, size_t limit, struct arena *a,
		struct model_file **files, size_t *n, struct err *e);
/*
 * The same one after the other, without holding more than a page of them: a revision may have 100,000.
 *
 *	own(walk) struct model_walk w = { .db = db, .revision_id = id, .which = FILES_HELD };
 *	while ((rc = model_walk_next(&w, &f, e)) > 0)
 *		… f, as long as until the next …
 */
struct model_walk {
	struct db *db;
	int64_t revision_id;
	enum model_files_of which;
	struct arena page;		/* from here on the walk's own */
	struct model_file *files;
	size_t n, i;
	bool ended;
};
int model_walk_next(struct model_walk *w, const struct model_file **f, struct err *e);	/* 1, 0 at the end, or an error */
void model_walk_rewind(struct model_walk *w);	/* to the beginning; frees all */

static inline void own_walk(struct model_walk *w)
{
	model_walk_rewind(w);
}

int model_count(struct db *db, int64_t revision_id, enum model_files_of which, uint64_t *n, struct err *e);
/* How many files and bytes of a revision are wanted (pending ones too), and of these in the store. */
struct model_sum {
	uint64_t files, bytes, stored_files, stored_bytes;
};
int model_sum(struct db *db, int64_t revision_id, struct model_sum *out, struct err *e);
/* One file by its path, of those served or of all. ERR_NOT_FOUND. */
int model_file(struct db *db, int64_t revision_id, const char *path, enum model_files_of which, struct arena *a, struct model_file *f, struct err *e);

/* One content of a model: a file that a revision shows with it. */
struct model_content {
	int64_t revision_id;
	char commit[MODEL_COMMIT_HEX + 1];
	struct model_file file;
};
/* Where this model shows this content: one file of each visible revision that has it, newest first. */
int model_contents(struct db *db, int64_t model_id, const struct digest *sha256, struct arena *a, struct model_content **list, size_t *n, struct err *e);

/* Contents that the store holds for some revision, in order, from behind `after` (DIGEST_NONE: from the first); at most limit. */
int model_blobs(struct db *db, const struct digest *after, size_t limit, struct arena *a, struct digest **blobs, size_t *n, struct err *e);
/* Those of the revision that listings show; and a revision's own, of which that is any. */
int model_tags(struct db *db, int64_t model_id, struct arena *a, const char ***tags, size_t *n, struct err *e);
int model_revision_tags(struct db *db, int64_t revision_id, struct arena *a, const char ***tags, size_t *n, struct err *e);
int model_base_models(struct db *db, int64_t revision_id, struct arena *a, const char ***repos, size_t *n, const char **relation, struct err *e);
/* The other way: models of which some revision's card names this one, by its name or one that it had, as its base. */
int model_derivatives(struct db *db, const char *repo, struct arena *a, const char ***repos, size_t *n, struct err *e);
/*
 * The revisions that count for what was made from the model, of those whose licence is known: what `main` serves, and what was asked for last as `main`, in any state. Of
 * a model that has no `main` here all. Which of its commits was asked for last besides makes no difference.
 */
int model_standing(struct db *db, int64_t model_id, struct arena *a, struct revision **r, size_t *n, struct err *e);

#endif
