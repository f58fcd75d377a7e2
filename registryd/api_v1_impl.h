/* api_v1_impl.h - what the files of api_v1 share. One handler a route; the table is in api_v1.c. */
#ifndef REGISTRYD_API_V1_IMPL_H
#define REGISTRYD_API_V1_IMPL_H

#include "base/json.h"
#include "catalog/job.h"
#include "catalog/model.h"
#include "catalog/query.h"
#include "registryd/api_v1.h"
#include "registryd/daemon.h"
#include "verify/sign.h"

#define API_V1_TEXT_MAX 2000	/* bytes of a reason or another sentence in a request */
#define API_V1_LIST_MAX 200	/* entries of one list in a request */
#define API_V1_JOBS_MAX 200	/* jobs in one answer */
#define API_V1_EVENTS_MAX 1000	/* events in one answer */
#define API_V1_ANSWER_MAX (UINT64_C(1) << 30)	/* bytes of an answer that lists files */
#define API_V1_JSON	  "application/json; charset=utf-8"

static inline struct daemon *api_v1_daemon(const struct request *rq)
{
	return rq->app;
}

/* A member of the request's object: absent or null gives *out NULL, another type than text or too long a text is ERR_USAGE. */
int api_v1_text(const json_t *body, const char *key, const char **out, struct err *e);
/* The member "reason"; one without a letter or digit is none. */
int api_v1_reason(const json_t *body, const char **out, struct err *e);
/* ERR_USAGE when the object has a member that is not among names (ended by NULL): a typo must not be taken for a default. */
int api_v1_known(const json_t *body, const char *const *names, struct err *e);
/*
 * ERR_USAGE unless repo is a name as the Hub allows it: one or two parts of letters, digits, '_', '-' and '.', none of them beginning or
 * ending with '-' or '.'. NULL is "missing".
 */
int api_v1_check_repo(const char *repo, struct err *e);
/* A list of globs, checked, into member `key` of args; left out when absent, null or empty. */
int api_v1_globs(const json_t *body, const char *key, json_t *args, struct err *e);
/* The model of {repo} at rev, NULL meaning the newest revision in any state. */
int api_v1_find(struct request *rq, const char *rev, struct model *m, struct revision *r, struct err *e);
/* The same among what is published (rev NULL: main): ERR_REFUSED with the reason when it is here and is not. */
int api_v1_find_published(struct request *rq, const char *rev, struct model *m, struct revision *r, struct err *e);
/* {"repo","revision","state","reason"}: what a revision is now. */
int api_v1_answer_state(struct request *rq, int64_t revision_id, struct err *e);
/* Puts a job into the queue and answers 202 {"job":{…},"existed":BOOL}. args is taken. */
int api_v1_enqueue(struct request *rq, const char *kind, const char *repo, const char *revision, json_t *args, struct err *e);
/* Answers the statement as k signs it: a Sigstore bundle. */
int api_v1_answer_signed(struct request *rq, const json_t *statement, const struct sign_key *k, struct err *e);
/* RFC 3339 text or null. */
json_t *api_v1_time(int64_t at);

/* api_v1_model.c */
int api_v1_list(struct request *rq, struct err *e);
int api_v1_facets(struct request *rq, struct err *e);
int api_v1_show(struct request *rq, struct err *e);
int api_v1_decisions(struct request *rq, struct err *e);
int api_v1_usage(struct request *rq, struct err *e);
int api_v1_sbom(struct request *rq, struct err *e);
int api_v1_sboms(struct request *rq, struct err *e);
int api_v1_licenses(struct request *rq, struct err *e);
int api_v1_publish(struct request *rq, struct err *e);
int api_v1_reject(struct request *rq, struct err *e);

/* api_v1_job.c */
int api_v1_sync(struct request *rq, struct err *e);
int api_v1_plan(struct request *rq, struct err *e);
int api_v1_verify(struct request *rq, struct err *e);
int api_v1_verify_all(struct request *rq, struct err *e);
int api_v1_smoke(struct request *rq, struct err *e);
int api_v1_smoke_all(struct request *rq, struct err *e);
int api_v1_gc(struct request *rq, struct err *e);
int api_v1_rebuild(struct request *rq, struct err *e);
int api_v1_jobs(struct request *rq, struct err *e);
int api_v1_job(struct request *rq, struct err *e);
int api_v1_job_cancel(struct request *rq, struct err *e);

/* api_v1_import.c */
struct room_claim;
int api_v1_import_begin(struct request *rq, struct err *e);
int api_v1_import_file_begin(struct request *rq, struct err *e);
int api_v1_import_file_data(struct request *rq, const void *p, size_t n, struct err *e);
int api_v1_import_file(struct request *rq, struct err *e);
int api_v1_claim_room(struct request *rq, const char *name, struct room_claim **out, struct err *e);	/* ERR_NOSPACE; ERR_USAGE when no length is announced */
int api_v1_import_commit(struct request *rq, struct err *e);

/* api_v1_bundle.c */
int api_v1_bundle_entry(struct request *rq, struct err *e);
int api_v1_blobs(struct request *rq, struct err *e);
int api_v1_blobs_missing(struct request *rq, struct err *e);
int api_v1_blob(struct request *rq, struct err *e);
int api_v1_blob_put_begin(struct request *rq, struct err *e);
int api_v1_blob_put_data(struct request *rq, const void *p, size_t n, struct err *e);
int api_v1_blob_put(struct request *rq, struct err *e);
int api_v1_bundle(struct request *rq, struct err *e);
int api_v1_bundle_sign(struct request *rq, struct err *e);

/* api_v1_lifecycle.c */
int api_v1_deprecate(struct request *rq, struct err *e);
int api_v1_undeprecate(struct request *rq, struct err *e);
int api_v1_retire(struct request *rq, struct err *e);
int api_v1_restore(struct request *rq, struct err *e);
int api_v1_withdraw(struct request *rq, struct err *e);
int api_v1_lifecycle(struct request *rq, struct err *e);

/* api_v1_key.c */
int api_v1_keys(struct request *rq, struct err *e);
int api_v1_key_generate(struct request *rq, struct err *e);
int api_v1_key_trust(struct request *rq, struct err *e);
int api_v1_attestation(struct request *rq, struct err *e);

/* api_v1_admin.c */
int api_v1_status(struct request *rq, struct err *e);
int api_v1_events(struct request *rq, struct err *e);
int api_v1_audit(struct request *rq, struct err *e);
int api_v1_audit_head(struct request *rq, struct err *e);
int api_v1_webhooks(struct request *rq, struct err *e);
int api_v1_tokens(struct request *rq, struct err *e);
int api_v1_token_create(struct request *rq, struct err *e);
int api_v1_token_revoke(struct request *rq, struct err *e);
int api_v1_mirrors(struct request *rq, struct err *e);
int api_v1_mirror_add(struct request *rq, struct err *e);
int api_v1_mirror_remove(struct request *rq, struct err *e);
int api_v1_mirror_run(struct request *rq, struct err *e);

/* api_v1_policy.c */
int api_v1_policy(struct request *rq, struct err *e);
int api_v1_policy_test(struct request *rq, struct err *e);
int api_v1_policy_reload(struct request *rq, struct err *e);

#endif
