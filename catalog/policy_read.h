/* policy_read.h - between the readers of policy.yaml: policy.c, policy_time.c and the values of policy_value.c. Nobody else includes it. */
#ifndef CATALOG_POLICY_READ_H
#define CATALOG_POLICY_READ_H

#include <jansson.h>

#include "catalog/policy_impl.h"

struct policy_reader {
	struct policy *p;
	const char *file;	/* for messages */
};

/* One key: its name in its section, and what reads its value. path, here and below, is the value's name in messages ("licenses.allow"). */
struct policy_key {
	const char *name;
	int (*read)(const struct policy_reader *r, const char *path, const json_t *v, struct err *e);
};

/* All: ERR_USAGE, with one sentence that names the file, the path and what was expected. */
int policy_want_text(const struct policy_reader *r, const char *path, const json_t *v, const char **out, struct err *e);
/* One of n words; the index into *out. */
int policy_want_word(const struct policy_reader *r, const char *path, const json_t *v, const char *const *words, size_t n, int *out, struct err *e);
int policy_want_positive(const struct policy_reader *r, const char *path, const json_t *v, double max, double *out, struct err *e);
int policy_want_duration(const struct policy_reader *r, const char *path, const json_t *v, int64_t *out, struct err *e);	/* seconds */
/* Calls each for every text of a list; a single word is a list of one. */
int policy_each_text(const struct policy_reader *r, const char *path, const json_t *v,
		     int (*each)(const struct policy_reader *r, const char *path, const char *text, void *arg, struct err *e), void *arg, struct err *e);
/*
 * For policy_each_text, arg a struct policy_list. A licence of a list: a known id, "other:<name>" for those the Hub has no id for, or a glob that matches a known id. A name is written as on the card or
 * as in the id that is made of it; what could match no id is refused, for it would seem to be in force.
 */
int policy_add_licence(const struct policy_reader *r, const char *path, const char *text, void *arg, struct err *e);
int policy_add_format(const struct policy_reader *r, const char *path, const char *text, void *arg, struct err *e);	/* arg: unsigned, a FORMAT_BIT set */
/* Keys of a mapping through a table of at most 16; an unknown one is an error that names the nearest. */
int policy_read_section(const struct policy_reader *r, const char *section, const json_t *v, const struct policy_key *keys, size_t n, struct err *e);

/* The sections `lifecycle` and `retention` (policy_time.c). */
int policy_read_lifecycle(const struct policy_reader *r, const char *path, const json_t *v, struct err *e);
int policy_read_retention(const struct policy_reader *r, const char *path, const json_t *v, struct err *e);

#endif
