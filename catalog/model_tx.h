/* model_tx.h - what the files of model_* share inside a transaction. For catalog/ only; c is the connection of a struct tx (or read, for finders). */
#ifndef CATALOG_MODEL_TX_H
#define CATALOG_MODEL_TX_H

#include "catalog/model.h"
#include "catalog/sql.h"
#include "verify/card.h"

/* A revision as the changing functions need it. */
struct model_rev {
	int64_t id, model_id;
	char repo[MODEL_NAME_MAX + 1];
	char commit[MODEL_COMMIT_HEX + 1];
	enum revision_state state;
	int64_t published_at;
};
int model_rev_tx(struct db_conn *c, int64_t revision_id, struct model_rev *out, struct err *e);	/* ERR_NOT_FOUND */
int model_set_state_tx(struct db_conn *c, int64_t revision_id, enum revision_state state, const char *reason, int64_t now, struct err *e);

int model_evidence_tx(struct db_conn *c, int64_t revision_id, struct arena *a, struct policy_facts *out, struct err *e);
/*
 * A retired revision before the gate again, with the rules of now: published as before, held or rejected. The caller refreshes the model. *reason in a.
 */
int model_judge_again_tx(struct db_conn *c, int64_t revision_id, const struct policy *p, int64_t now, struct arena *a, enum revision_state *state, const char **reason,
			 struct err *e);

/*
 * Makes the model's derived row again: which revision is shown and which is newest, whether it is visible, and the columns copied from it.
 * To be called after any change of a revision, a ref or a lifecycle mark.
 */
int model_refresh_tx(struct db_conn *c, int64_t model_id, struct err *e);

/*
 * In SQL, of a file f that the revision has the content of: is it a card or a licence text that is not wanted, and was read and kept all the same? The kinds are
 * DOCUMENT_CARD, whose name is empty, and DOCUMENT_LICENSE.
 */
#define MODEL_IS_EVIDENCE(f)                                                                                                                   \
	"(" f ".wanted = 0 AND EXISTS (SELECT 1 FROM blob_use AS eu WHERE eu.blob_id = " f ".blob_id AND eu.revision_id = " f ".revision_id) "    \
	"AND EXISTS (SELECT 1 FROM document AS ed WHERE ed.revision_id = " f ".revision_id AND ed.kind = CASE " f ".path WHEN '" CARD_PATH "' THEN 3 ELSE 5 END " \
	"AND ed.name = CASE " f ".path WHEN '" CARD_PATH "' THEN '' ELSE " f ".path END))"

/* The revision's size and formats: what follows from the list of its wanted files alone. */
int model_sum_files_tx(struct db_conn *c, int64_t revision_id, struct err *e);

/*
 * The git id of an LFS file whose row has none: its pointer's, which follows from digest and size. Rows keep only an id that does not follow,
 * of a pointer with extensions, say.
 */
void model_file_oid(struct digest *git_oid, bool lfs, const struct digest *sha256, uint64_t size_bytes);

/* In SQL, of revisions r: the one published last first. What is older than published_no has none, and is ordered by its date. */
#define MODEL_LAST_PUBLISHED(r) r ".published_no DESC, " r ".published_at DESC"

/* Reading, shared by model_find.c and query.c: the columns of a model (m) and of a revision (r), and the rows made of them. */
#define MODEL_COLUMNS_OF(author, upstream)                                                                                                     \
	"m.id, m.name, " author ", " upstream ", m.gated, m.private, m.disabled, m.vanished_at, m.downloads, m.likes, m.created_at, "            \
	"m.modified_at, m.checked_at"
#define MODEL_COLUMNS MODEL_COLUMNS_OF("au.name", "up.name")
#define MODEL_JOINS " JOIN term AS au ON au.id = m.author_id JOIN term AS up ON up.id = m.upstream_id "
#define MODEL_N_COLUMNS 13
#define REVISION_COLUMNS_OF(license, architecture, quantization, task, library)                                                                \
	"r.id, r.model_id, r.commit_id, r.state, r.reason, r.proof, r.planned_at, r.state_at, r.published_at, r.title, r.commit_at, " license      \
	", r.license_name, r.license_source, r.size_bytes, r.params, r.dtypes, " architecture ", " quantization ", " task ", " library            \
	", r.context_length, r.formats"
#define REVISION_COLUMNS REVISION_COLUMNS_OF("li.name", "ar.name", "qu.name", "ta.name", "lb.name")
#define REVISION_N_COLUMNS 23
#define REVISION_JOINS                                                                                                                         \
	" LEFT JOIN term AS li ON li.id = r.license_id LEFT JOIN term AS ar ON ar.id = r.architecture_id "                                        \
	"LEFT JOIN term AS qu ON qu.id = r.quantization_id LEFT JOIN term AS ta ON ta.id = r.task_id LEFT JOIN term AS lb ON lb.id = r.library_id "
void model_row(struct sql *q, int col, struct arena *a, struct model *m);
void model_revision_row(struct sql *q, int col, struct arena *a, struct revision *r);

/* model_off() for a revision of the catalog. One that is published is none. */
int model_off_tx(struct db_conn *c, int64_t revision_id, struct arena *a, struct model_off *out, struct err *e);
int model_is_metadata_tx(struct db_conn *c, int64_t revision_id, bool *metadata, struct err *e);
/* Upstream has this name for the model too, which is known here as canonical. An event when that is news. */
int model_add_alias_tx(struct db_conn *c, const char *name, int64_t model_id, const char *canonical, int64_t now, struct err *e);
/* Name (any case) or former name to the model's id; 0 when there is none. */
int model_id_tx(struct db_conn *c, const char *repo, int64_t *id, struct err *e);

#endif
