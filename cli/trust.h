/* trust.h - signatures checked with the keys that the daemon has or trusts. */
#ifndef CLI_TRUST_H
#define CLI_TRUST_H

#include "cli/ctl.h"
#include "verify/sign.h"

/*
 * With the key of the signature's hint, or without a hint with each key in turn. ERR_MISMATCH: that key did not sign it; ERR_REFUSED: a key that is not
 * trusted here. *statement is the caller's; hint gets the key's.
 */
int trust_check(struct ctl *c, const struct sign_opened *o, json_t **statement, char hint[DIGEST_HEX_MAX], struct err *e);

#endif
