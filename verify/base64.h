/* base64.h - bytes as JSON carries them: base64 (RFC 4648, section 4), padded. */
#ifndef VERIFY_BASE64_H
#define VERIFY_BASE64_H

#include <jansson.h>

#include "base/err.h"

json_t *base64_json(const void *p, size_t n);
/*
 * Strict: whole groups, padding only at the end. *out is the caller's to free(), with a NUL behind its *len bytes. text NULL or "", more than max
 * bytes and what is not base64 are ERR_INPUT; what: "the bundle's signature".
 */
int base64_decode(const char *text, unsigned char **out, size_t *len, size_t max, const char *what, struct err *e);

#endif
