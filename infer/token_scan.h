/*
 * token_scan.h - a walk over JSON text that builds no tree: a tokenizer.json of 33 MB is a million small strings, which would
 * take jansson half a second and 300 MB. Values that are not walked are handed over as text for json_parse. Strict where it
 * looks: what it skips is only matched for brackets and quotes, and must be parsed by whoever uses it.
 */
#ifndef INFER_TOKEN_SCAN_H
#define INFER_TOKEN_SCAN_H

#include "base/json.h"

struct scan {
	const char *text;
	size_t n, at;
	const char *what;	/* names the document in errors */
	bool fresh;		/* just behind an opening bracket: no comma before the next member */
};

void scan_init(struct scan *s, const char *text, size_t n, const char *what);
char scan_peek(struct scan *s);					/* the next byte that is no white space; 0 at the end */
int scan_enter(struct scan *s, char bracket, struct err *e);	/* '{' or '[' */
/* The next member of the object (its key in `key`, the value follows) or array: 1; 0 when it is closed, which is consumed. */
int scan_key(struct scan *s, struct buf *key, struct err *e);
int scan_item(struct scan *s, struct err *e);
int scan_string(struct scan *s, struct buf *out, struct err *e);	/* decoded UTF-8; out is emptied first */
int scan_int(struct scan *s, int64_t *out, struct err *e);
int scan_real(struct scan *s, double *out, struct err *e);
int scan_skip(struct scan *s, struct err *e);			/* over one value */
json_t *scan_value(struct scan *s, struct err *e);		/* one value as a tree; NULL on error */
int scan_end(struct scan *s, struct err *e);			/* ERR_INPUT when anything follows */

#endif
