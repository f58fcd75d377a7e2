/*
 * err.h - errors as values. A function that can fail returns 0 or a negative enum err_code and takes `struct err *e` last;
 * the message is one sentence for the operator (what, which, why, and what to do). The buffer lives on the caller's stack
 * and nothing here allocates, so an error can be reported when memory is gone. e may be NULL where only the code matters.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/banned.h"
#include "base/own.h"

#define ERR_MSG_MAX 768

enum err_code {
	ERR_FAILED = -1,	/* the operation failed: I/O, an internal fault */
	ERR_USAGE = -2,		/* wrong command line, request or configuration */
	ERR_UNREACHABLE = -3,	/* the other side can't be reached, or broke off; trying again may help */
	ERR_NOT_FOUND = -4,	/* no such model, revision or file */
	ERR_REFUSED = -5,	/* policy, lifecycle or permission says no */
	ERR_MISMATCH = -6,	/* content does not verify */
	ERR_AUTH = -7,		/* no token, or not one that is known */
	ERR_INPUT = -8,		/* malformed document: JSON, YAML, header, listing */
	ERR_LIMIT = -9,		/* a named limit was passed */
	ERR_NOSPACE = -10,	/* the disk is full */
	ERR_CONFLICT = -11,	/* somebody else holds it, or it is in the wrong state */
	ERR_UNSUPPORTED = -12,	/* well-formed, but not something we can do; the message says why */
	ERR_CANCELED = -13,	/* asked to stop; partial work is kept */
	ERR_THROTTLED = -14,	/* the other side asked us to wait */
	ERR_GONE = -15,		/* it was here and has been retired */
	ERR_BUSY = -16,		/* out of descriptors or memory: trying again may help */
	ERR_LEGAL = -17,	/* withdrawn for legal reasons */
};

struct err {
	enum err_code code;	/* 0 when nothing failed */
	char msg[ERR_MSG_MAX];
};

#define ERR_NONE ((struct err){ 0 })

/* Set e and return code. Messages longer than the buffer are cut; e->msg itself may be among the arguments. */
#define err_set(e, code, ...) err_negative(err_set_raw((e), (code), __VA_ARGS__))
/* As err_set, with ": " and strerror(errno) behind it. ENOSPC and EDQUOT give ERR_NOSPACE, EMFILE, ENFILE and ENOMEM ERR_BUSY, all else ERR_FAILED. */
#define err_errno(e, ...) err_negative(err_errno_raw((e), __VA_ARGS__))
/* Put words and ": " in front of an error that is already set; returns its code. */
#define err_wrap(e, ...) err_negative(err_wrap_raw((e), __VA_ARGS__))

int err_set_raw(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_errno_raw(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int err_wrap_raw(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Tells the compiler what it can't see: an error is never 0, so out parameters that are set on success are set where rc is 0. */
static inline int err_negative(int code)
{
	if (code >= 0)
		__builtin_unreachable();
	return code;
}

/* One table maps a code to what each door shows. code 0 gives exit 0, HTTP 200, "ok". */
int err_exit_status(int code);
int err_http_status(int code);
const char *err_label(int code);	/* metric label and `code` in JSON errors: "not_found" */
/* The code for a label, ERR_FAILED when unknown: the CLI maps a daemon's JSON error back to an exit status with it. */
int err_from_label(const char *label);

#endif
