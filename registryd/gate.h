/* gate.h - from stored files to a decision: what the documents say (licence, task, parameters …), what was found, and the policy's word. */
#ifndef REGISTRYD_GATE_H
#define REGISTRYD_GATE_H

#include "catalog/licence.h"
#include "catalog/model.h"
#include "registryd/work.h"

#define GATE_DOCUMENT_MAX (4u << 20)	/* larger cards and configurations are not read; a licence text so long is a conflict */

/*
 * Reads the card, the configurations and licence texts among the stored files, keeps them as documents and derives the revision's facts.
 * info: the Hub's model info (NULL for imports); inspection: the inspector's report (NULL: not yet); license: chosen by a person, or NULL.
 */
int gate_read_documents(struct work *w, int64_t revision_id, const json_t *info, const json_t *inspection, const char *license, struct err *e);

/* Why nobody here can read this licence text: formats of word processors. NULL: it is a text. */
const char *gate_unreadable(const struct buf *b);

/*
 * The file that the card's license_link names, which is read as a licence text whatever it is called; in a, NULL when it leads elsewhere. link: NULL takes it from what
 * upstream has made of the card; repo: a name of the model besides the one in info.
 */
const char *gate_linked_text(const char *link, const json_t *info, const char *repo, struct arena *a);

/* May this be a card or the text of a licence, to be read where it is not served? linked: see above, NULL none. */
bool gate_is_evidence(const char *path, uint64_t size_bytes, const char *linked);

/* What quota_admit() will ask, for a preview: fills in what the rule is asked about. new_bytes: what would be fetched. */
int gate_preview_quota(struct work *w, const char *repo, uint64_t new_bytes, struct policy_facts *f, struct err *e);

/*
 * Are the bytes still there of what a person or a changed policy is about to publish, perhaps years after they were fetched? ERR_CONFLICT names the first that
 * is not; a sync brings it back.
 */
int gate_check_store(struct daemon *d, int64_t revision_id, struct err *e);

struct gate_outcome {
	enum revision_state state;
	const char *reason;	/* in the job's arena; NULL when published without a word */
};

/*
 * Might a revision that was held before be judged otherwise with what is known already (there is room in its namespace by now, say), or with another test, because
 * the last one could not be made?
 */
int gate_may_differ(struct work *w, int64_t revision_id, bool *differs, struct err *e);

/* The verdict's first word against the licence; NULL: there is none, or a person has decided. */
const char *gate_word_on_licence(const struct policy_verdict *v);

/*
 * A person gives what is published another licence. Where the policy would not publish it under that, it is told so (the decision, and out->reason), and all that is
 * known of what is served stays as it was. Else out->reason is NULL, and nothing has been done.
 */
int gate_relicense(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct gate_outcome *out, struct err *e);

/* Asks the policy and publishes, holds or rejects. */
int gate_conclude(struct work *w, int64_t revision_id, struct gate_outcome *out, struct err *e);

/* The evidence rejects: recorded as a finding of `inspector` that nobody may overrule, and as the state's reason. */
int gate_reject(struct work *w, int64_t revision_id, const char *inspector, const char *rule, const char *path, const char *why, struct err *e);

#endif
