/*
 * report.h - what an inspection found: a bounded list of findings, each {path, rule, severity, message}. The verdict is the
 * worst of them: nothing found is accept, a flag means "publish only by explicit policy", a reject "never publish".
 * Rules are short stable codes such as "gguf.overflow" or "pickle.dangerous"; the list of them is the manifest of the
 * hostile corpus in tests/data. Past REPORT_FINDINGS_MAX findings only the verdict and a count go on.
 */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

#define REPORT_FINDINGS_MAX 500
#define REPORT_MESSAGE_MAX  512

enum report_severity {
	REPORT_ACCEPT,
	REPORT_FLAG,
	REPORT_REJECT,
};

struct report_finding {
	char *path;		/* relative to what is inspected; "archive.bin!data.pkl" for a member of a container */
	const char *rule;	/* static string */
	enum report_severity severity;
	char *message;		/* one printable line */
};

struct report {
	struct report_finding *v;
	size_t n, cap;
	size_t left_out;		/* findings past the limit */
	enum report_severity verdict;	/* the worst so far */
	char *path;			/* of what is being looked at now */
};

void report_init(struct report *r);
void report_done(struct report *r);
/* Names what the next findings are about; NULL is "". */
void report_path(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds one finding about the current path. r may be NULL: then nothing is kept. */
void report_flag(struct report *r, const char *rule, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/*
 * Adds a reject and puts "what: message" in e with ERR_INPUT, for parsers that also serve readers who want no list:
 * r or e may be NULL. Returns ERR_INPUT.
 */
int report_reject(struct report *r, const char *rule, const char *what, struct err *e, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

const char *report_severity_name(enum report_severity s);	/* "accept", "flag", "reject" */
/* Is a finding with this rule in the list? For tests and for rules that depend on others. */
int report_has(const struct report *r, const char *rule);
/* An array of {path, rule, severity, message} objects, newly made. */
json_t *report_json(const struct report *r);

static inline void own_report(struct report *r)
{
	report_done(r);
}

#endif
