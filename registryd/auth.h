/*
 * auth.h - who calls, and may he: the Authorization header against the catalog's tokens. A token that is unknown, revoked or expired
 * counts as none where anybody may read, because clients send the token of another Hub along; where a role is needed it is refused.
 */
#ifndef REGISTRYD_AUTH_H
#define REGISTRYD_AUTH_H

#include "registryd/daemon.h"
#include "registryd/http.h"

/* For http_options.authorize: fills rq->role, who and bad_token. */
int auth_authorize(struct request *rq, enum http_access access, struct err *e);
/* Does the caller hold any valid token? What models that are gated upstream ask for. */
bool auth_known(const struct request *rq);
/*
 * At the start: makes an admin token and writes it to DATA/admin.token (mode 0600) when there is none, or one that is of no use and no other admin's token is in force.
 */
int auth_first_token(struct daemon *d, const char *data_dir, int64_t now, struct err *e);

#endif
