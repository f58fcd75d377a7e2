/*
 * worker.h - the threads that take jobs from the queue. What a kind of job does and the arguments it reads (JSON object, all optional):
 *
 *	sync	repo, revision (ref or commit, "" the default branch)
 *		args {"upstream": name, "include": [glob…], "exclude": [glob…], "metadata_only": bool}
 *		result {"revision","state","reason","size_bytes","fetched_bytes","files","proof","code"}: state published, held or rejected;
 *		code "mismatch" when content did not verify, "refused" when the gate said no
 *	plan	as sync, but only says what a sync would do:
 *		result {"repo","revision","license","size_bytes","fetch_bytes","files":[{"path","size_bytes","skip_reason","stored"}],
 *		        "gate":{"outcome","reasons":[{"rule","outcome","reason"}]}}
 *	smoke	repo, revision; args {"device": name}
 *		result {"revision","state","smoke":{…contract section 2…}}
 *	verify	repo, revision, or repo "" for everything published; re-reads every byte
 *		result {"same","differs","missing","files":[{"repo","path","status": same|differs|missing}]}, repo only with everything
 *	import	repo; args {"dir": name below DATA/incoming, "license": id}; result as sync
 *	bundle	repo; args {"entry": SHA-256 of an upload in DATA/incoming/blobs}; result as sync
 *	gc	args {"dry_run": bool, "keep_last": N}; result {"dry_run","revisions":[{"repo","revision","why"}],
 *		"quotas":[{"author","max_bytes","before_bytes","bytes","over_bytes","held_bytes"}],"blobs","bytes","partial_bytes"}
 *	rebuild	result {"models","revisions"}
 *	policy	works a changed policy through; result {"published","unpublished","others"}
 *	mirror	args {"name": mirror entry}; result {"seen","queued"}
 */
#ifndef REGISTRYD_WORKER_H
#define REGISTRYD_WORKER_H

#include "registryd/daemon.h"

struct worker;

/* Recovers jobs that a dead daemon left behind, then starts config.sync.jobs threads, which follow a reload of the settings, and the clock. d must outlive it. */
int worker_start(struct worker **out, struct daemon *d, struct err *e);
/* Asks every job to stop, waits for them, ends the threads. Jobs not ended run again at the next start. Accepts NULL. */
void worker_stop(struct worker *w);

#endif
