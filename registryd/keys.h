/*
 * keys.h - the site's keys: those it signs with, DATA/keys/NAME.pem (mode 0600, never served), and public ones of others that it trusts,
 * DATA/keys/trusted/NAME.pem. A name is 1 to 64 letters, digits, '-', '_' and '.', not beginning with '.'.
 */
#ifndef REGISTRYD_KEYS_H
#define REGISTRYD_KEYS_H

#include "registryd/daemon.h"
#include "verify/sign.h"

#define KEYS_DEFAULT "default"
#define KEYS_MAX     1000	/* of each kind */

/* ERR_CONFLICT when there is one of that name. name NULL: KEYS_DEFAULT. */
int keys_generate(struct daemon *d, const char *name, struct sign_key *out, struct err *e);
int keys_trust(struct daemon *d, const char *name, const char *pem, struct sign_key *out, struct err *e);
/* The key to sign with. ERR_NOT_FOUND says how to make one. */
int keys_load(struct daemon *d, const char *name, struct sign_key *out, struct err *e);
/* [{"name","use":"signing"|"trusted","hint","pem"}…], by use and name; pem is the public half. NULL with e set. */
json_t *keys_list(struct daemon *d, struct err *e);

#endif
