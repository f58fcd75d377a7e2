/*
 * verb.h - the table of commands and of the options that all of them take. Help, usage lines and the man page are made from it.
 */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include <stdio.h>

#include "cli/ctl.h"

extern const struct verb verb_table[];	/* ended by a NULL name */
extern const struct opt verb_globals[];	/* ended by OPT_END */

void verb_help_all(FILE *out);
void verb_help(FILE *out, const struct verb *v);
void verb_man(FILE *out);	/* the whole as a page for man(1) */
void verb_completion(FILE *out);	/* and as completion for bash */

/* One function a verb or family, cmd_*.c. */
int cmd_sync(struct ctl *c, struct err *e);
int cmd_import(struct ctl *c, struct err *e);
int cmd_bundle_create(struct ctl *c, struct err *e);
int cmd_bundle_inspect(struct ctl *c, struct err *e);
int cmd_bundle_verify(struct ctl *c, struct err *e);
int cmd_bundle_import(struct ctl *c, struct err *e);
int cmd_ls(struct ctl *c, struct err *e);
int cmd_show(struct ctl *c, struct err *e);
int cmd_why(struct ctl *c, struct err *e);
int cmd_verify(struct ctl *c, struct err *e);
int cmd_smoke(struct ctl *c, struct err *e);
int cmd_publish(struct ctl *c, struct err *e);
int cmd_reject(struct ctl *c, struct err *e);
int cmd_status(struct ctl *c, struct err *e);
int cmd_jobs(struct ctl *c, struct err *e);
int cmd_mirror_list(struct ctl *c, struct err *e);
int cmd_mirror_add(struct ctl *c, struct err *e);
int cmd_mirror_remove(struct ctl *c, struct err *e);
int cmd_mirror_run(struct ctl *c, struct err *e);
int cmd_licenses(struct ctl *c, struct err *e);
int cmd_deprecate(struct ctl *c, struct err *e);
int cmd_undeprecate(struct ctl *c, struct err *e);
int cmd_retire(struct ctl *c, struct err *e);
int cmd_restore(struct ctl *c, struct err *e);
int cmd_withdraw(struct ctl *c, struct err *e);
int cmd_lifecycle(struct ctl *c, struct err *e);
int cmd_sbom(struct ctl *c, struct err *e);
int cmd_gc(struct ctl *c, struct err *e);
int cmd_rebuild(struct ctl *c, struct err *e);
int cmd_key_generate(struct ctl *c, struct err *e);
int cmd_key_list(struct ctl *c, struct err *e);
int cmd_key_trust(struct ctl *c, struct err *e);
int cmd_attest_show(struct ctl *c, struct err *e);
int cmd_attest_verify(struct ctl *c, struct err *e);
int cmd_usage(struct ctl *c, struct err *e);
int cmd_policy_show(struct ctl *c, struct err *e);
int cmd_policy_check(struct ctl *c, struct err *e);
int cmd_policy_test(struct ctl *c, struct err *e);
int cmd_policy_reload(struct ctl *c, struct err *e);
int cmd_events(struct ctl *c, struct err *e);
int cmd_audit_head(struct ctl *c, struct err *e);
int cmd_audit_verify(struct ctl *c, struct err *e);
int cmd_token_create(struct ctl *c, struct err *e);
int cmd_token_list(struct ctl *c, struct err *e);
int cmd_token_revoke(struct ctl *c, struct err *e);

#endif
