/*
 * json_list.h - a JSON document that comes in pieces and holds one long list, a member of its outermost object: the list's elements are given one
 * at a time as they come, and what remains is the document with that list empty. A report about 100,000 files is read in the memory of one.
 */
#ifndef BASE_JSON_LIST_H
#define BASE_JSON_LIST_H

#include "base/json.h"

#define JSON_LIST_ITEM_MAX (64u << 10)	/* bytes of one element */

struct json_list {
	const char *key;
	void (*each)(void *arg, const json_t *item);
	void *arg;
	struct buf *rest;	/* the document without the elements; the caller's, with its ceiling */
	/* private */
	struct buf item;
	char name[32];		/* the string that was read last where members are named */
	size_t n_name, depth;
	enum { JSON_LIST_BETWEEN, JSON_LIST_NAMED, JSON_LIST_COLON } at;	/* a member's name was read, and its colon */
	bool in_string, escaped, in_list;
};

/* key: fewer than 32 bytes, none of them escaped. */
void json_list_begin(struct json_list *l, const char *key, struct buf *rest, void (*each)(void *arg, const json_t *item), void *arg);
/* The next bytes. ERR_LIMIT when rest or an element is too long, ERR_INPUT when an element is no JSON; what is wrong elsewhere, the parser of rest finds. */
int json_list_add(struct json_list *l, const char *p, size_t n);
void json_list_done(struct json_list *l);

#endif
