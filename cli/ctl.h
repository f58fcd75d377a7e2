/*
 * ctl.h - what every command gets: its arguments, the daemon, and how to speak. Results go to stdout (with --json, JSON and nothing
 * else); progress and remarks to stderr; an error is returned, and main prints it as one sentence.
 */
#ifndef CLI_CTL_H
#define CLI_CTL_H

#include <stdbool.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/table.h"

#define CTL_REPO_MAX 256
#define CTL_REV_MAX 256

struct ctl {
	struct args args;
	struct client client;
	bool json, quiet;
	size_t columns;			/* of the terminal on stdout, 0: not a terminal, nothing is cut */
	volatile sig_atomic_t *stop;	/* SIGINT or SIGTERM has come */
};

/* REPO[@REV] taken apart; rev is NULL without one. ERR_USAGE when it can't be a model's name. */
struct ctl_model {
	char repo[CTL_REPO_MAX];
	char rev_text[CTL_REV_MAX];
	const char *rev;
};
int ctl_parse_model(struct ctl_model *m, const char *word, struct err *e);

/* "/-/v1/models/REPO" and what follows, for client_call(); rev becomes ?revision=. tail: "" or "/-/decisions". */
void ctl_model_path(struct buf *b, const struct ctl_model *m, const char *tail);

/* DELETE of the thing with this name below the path. */
int ctl_delete(struct ctl *c, const char *below, const char *name, json_t **answer, struct err *e);

/* Prints j as indented JSON and a line end. */
int ctl_print_json(const json_t *j, struct err *e);
/* One sentence to stdout, unless --json or --quiet. */
void ctl_say(const struct ctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The table to stdout as wide as the terminal, or `none` to stderr when it has no rows. */
void ctl_print_table(const struct ctl *c, const struct table *t, const char *none);

/* Text of a JSON document's member, cleaned for a terminal, in one of a few static buffers of this thread: for one printf. NULL gives "-". */
const char *ctl_text(const json_t *obj, const char *key);
/* The date of an RFC 3339 time ("2026-11-20"), or "-". */
const char *ctl_date(const json_t *obj, const char *key);
/* Time as it stands on a terminal: "2026-11-20 12:00:00". */
const char *ctl_when(const json_t *obj, const char *key);

#endif
