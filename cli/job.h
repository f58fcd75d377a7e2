/* job.h - a job of the daemon as its client sees it: started, followed to its end, judged. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "cli/ctl.h"

/* Follows job `id` to its end, with progress on stderr; *job is its last state. Interrupted: says that the job goes on, ERR_CANCELED. */
int job_follow(struct ctl *c, int64_t id, json_t **job, struct err *e);
/* 0 when it is done; else its error with the daemon's sentence. Only not_found, refused, gone and mismatch keep their code: the rest is ERR_FAILED. */
int job_outcome(const json_t *job, struct err *e);
/*
 * What a job that was to publish came to: prints the job with --json, else says what was published. 0 when it is published, else the
 * sentence and the code of the contract: refused when the gate holds or rejects it, mismatch when content does not verify.
 */
int job_verdict(struct ctl *c, const json_t *job, struct err *e);

/*
 * POSTs body to path; the answer is {"job":{…}}. With --no-wait prints what was started and sets *job to NULL; else follows it, and
 * the outcome is the caller's to judge.
 */
int job_start(struct ctl *c, const char *path, const json_t *body, json_t **job, struct err *e);

#endif
