/*
 * json.h - strict JSON over jansson: duplicate keys and trailing bytes are refused, depth and size are bounded before parsing.
 * Getters never fail on a wrong type: they return the default, because upstream documents have free types; a reader that must
 * insist uses json_need_*.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_DEPTH_MAX 128

static inline void own_json(json_t **j)
{
	json_decref(*j);
}

/* Parses n bytes. NULL with ERR_INPUT in e: what is wrong and at which byte. `what` names the document. */
json_t *json_parse(const char *text, size_t n, const char *what, struct err *e);
/* As json_parse for what Python's json module writes: NaN is null, Infinity a very large number, and an integer of more than 64 bits is a real. */
json_t *json_parse_python(const char *text, size_t n, const char *what, struct err *e);
/* As json_parse_python with duplicates allowed (the last wins): for documents of others that are only read, never trusted. */
json_t *json_parse_lax(const char *text, size_t n, const char *what, struct err *e);

/*
 * Empties a list or object that is a member of the document's outermost object, in the text and before it is parsed: what takes room there and is
 * not read. A text that is no JSON is left for the parser to complain about.
 */
void json_empty_member(struct buf *text, const char *key);

const char *json_get_str(const json_t *obj, const char *key);			/* NULL when absent or not a string */
const char *json_get_str_or(const json_t *obj, const char *key, const char *otherwise);
int64_t json_get_int(const json_t *obj, const char *key, int64_t otherwise);
double json_get_real(const json_t *obj, const char *key, double otherwise);	/* integers too */
bool json_get_bool(const json_t *obj, const char *key, bool otherwise);
/* Set e and give ERR_INPUT when the key is absent or of another type. */
int json_need_str(const json_t *obj, const char *key, const char **out, const char *what, struct err *e);
int json_need_int(const json_t *obj, const char *key, int64_t *out, const char *what, struct err *e);

/* A unix time as an RFC 3339 string, or null for 0: how answers show times. */
json_t *json_time(int64_t at);

/* Compact text with sorted keys, in b. */
int json_write(struct buf *b, const json_t *j);
/* The same to a function of jansson's kind, which gets it in pieces. 0, or -1 when a text of it is not UTF-8 or the function said so. */
int json_dump_to(json_dump_callback_t write, void *arg, const json_t *j);
/* The same as a string that the caller frees. */
char *json_text(const json_t *j);

#endif
