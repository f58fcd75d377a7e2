/* gate.h - from what is known of a revision (facts.h, findings, tests) to a decision: the policy's word. */
#ifndef REGISTRYD_GATE_H
#define REGISTRYD_GATE_H

#include "catalog/licence.h"
#include "catalog/model.h"
#include "registryd/work.h"

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
