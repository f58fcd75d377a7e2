/* housekeep.c - see housekeep.h. */
#include "registryd/housekeep.h"

#include "base/json.h"
#include "catalog/gc.h"
#include "catalog/partial.h"
#include "catalog/usage.h"
#include "registryd/incoming.h"

#define PARTIAL_S (7 * 86400)	/* a download that nobody touched for so long is given up */

int housekeep_gc_job(struct work *w, struct err *e)
{
	struct gc_rules rules = {
		.keep_last = json_get_int(w->args, "keep_last", policy_keep_last(daemon_policy(w->d))),
		.quotas = daemon_policy(w->d),
		.unused_since = work_now() - USAGE_LATELY_DAYS * 86400,
		.rejected_before = policy_rejected_s(daemon_policy(w->d)) ? work_now() - policy_rejected_s(daemon_policy(w->d)) : 0,
		.dry_run = json_get_bool(w->args, "dry_run", false),
	};
	struct policy_lifecycle lifecycle;
	uint64_t partial_bytes = 0;
	struct gc_counts c;
	int rc;

	policy_lifecycle(daemon_policy(w->d), &lifecycle);
	rules.ended_at = lifecycle.gone_after_sunset ? work_now() : 0;
	work_phase(w, "looking for what no revision needs");
	rc = usage_flush(w->db, e);	/* pulls still in memory count too */
	if (rc == 0)
		rc = gc_run(w->db, w->store, &rules, work_now(), &c, e);
	if (rc < 0)
		return rc;
	if (!rules.dry_run)
		rc = partial_expire(w->store, work_now() - PARTIAL_S, &partial_bytes, e);
	if (!rc && !rules.dry_run)
		rc = incoming_expire(w->d, work_now(), e);
	w->result = json_pack("{s:b, s:o, s:o, s:I, s:I, s:I}", "dry_run", rules.dry_run, "revisions", c.list, "quotas", c.quotas, "blobs", (json_int_t)c.blobs, "bytes",
			      (json_int_t)c.bytes, "partial_bytes", (json_int_t)partial_bytes);
	return rc;
}
