/*
 * args.h - a command line read against the table of verbs. Options may stand anywhere behind the verb, as `--name VALUE` or
 * `--name=VALUE`; `--` ends them. The global options (verb.h) are understood everywhere. What is unknown, doubled, missing or
 * malformed is ERR_USAGE with one sentence that names it and, where one is near, what was probably meant.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ARGS_WORDS_MAX 4096	/* repositories named in one call */
#define ARGS_VALUES_MAX 4096	/* options given in one call */

struct ctl;

enum opt_kind {
	OPT_FLAG,
	OPT_TEXT,	/* UTF-8 */
	OPT_FILE,	/* a path, of any bytes */
	OPT_LIST,	/* may be given several times */
	OPT_SIZE,	/* 20GB */
	OPT_DURATION,	/* 90d */
	OPT_DATE,	/* 2027-06-30 */
	OPT_COUNT,	/* a whole number */
	OPT_PARAMS,	/* a number of parameters: 7B, 500M, 1000 */
};

struct opt {
	const char *name;	/* without dashes; of one letter: -o */
	enum opt_kind kind;
	const char *metavar;	/* NULL for flags */
	const char *help;
};

#define OPT_END { 0 }
#define VERB_NO_LIMIT SIZE_MAX

struct verb {
	const char *name;	/* "ls", "token create" */
	const char *args;	/* "REPO[@REV]", for the usage line; words are UTF-8 unless it names a FILE or DIR */
	size_t min_words, max_words;
	const char *summary;	/* half a line for the list of verbs */
	const char *detail;	/* more for --help; may be NULL */
	const struct opt *opts;	/* ended by OPT_END; may be NULL */
	int (*run)(struct ctl *c, struct err *e);	/* NULL: not supported yet, and why stands in detail */
};

struct opt_value {
	const struct opt *opt;
	const char *text;
	uint64_t number;	/* bytes, seconds, count */
	int64_t at;		/* unix seconds, OPT_DATE */
};

struct args {
	const struct verb *verb;	/* NULL when none was named (only --help or --version then) */
	const char **words;		/* what is not an option */
	size_t n_words, cap_words;
	struct opt_value *values;
	size_t n_values, cap_values;
};

/*
 * Strings stay those of argv. With --help or --version among the options the words are not counted, and the verb may be
 * missing. `globals` and each verb's opts end with OPT_END, `verbs` with a NULL name.
 */
int args_parse(struct args *a, const struct verb *verbs, const struct opt *globals, int argc, char *const *argv, struct err *e);
void args_done(struct args *a);

/* An option's value; what was not given, or is not an option of this verb, gives the default. */
bool args_has(const struct args *a, const char *name);
const char *args_text(const struct args *a, const char *name);		/* NULL when not given */
uint64_t args_number(const struct args *a, const char *name, uint64_t otherwise);
int64_t args_time(const struct args *a, const char *name, int64_t otherwise);
/* The i-th value of a list, NULL behind the last. */
const char *args_nth(const struct args *a, const char *name, size_t i);

static inline void own_args(struct args *a)
{
	args_done(a);
}

#endif
