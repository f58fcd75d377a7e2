/* err.c - see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

#include "base/str.h"

static const struct {
	int code, exit_status, http_status;
	const char *label;
} table[] = {
	{ 0, 0, 200, "ok" },
	{ ERR_FAILED, 1, 500, "failed" },
	{ ERR_USAGE, 2, 400, "usage" },
	{ ERR_UNREACHABLE, 3, 503, "unreachable" },
	{ ERR_NOT_FOUND, 4, 404, "not_found" },
	{ ERR_REFUSED, 5, 403, "refused" },
	{ ERR_MISMATCH, 6, 422, "mismatch" },
	{ ERR_AUTH, 5, 401, "auth" },
	{ ERR_INPUT, 6, 400, "input" },
	{ ERR_LIMIT, 1, 413, "limit" },
	{ ERR_NOSPACE, 1, 507, "no_space" },
	{ ERR_CONFLICT, 1, 409, "conflict" },
	{ ERR_UNSUPPORTED, 1, 501, "unsupported" },
	{ ERR_CANCELED, 1, 503, "canceled" },
	{ ERR_THROTTLED, 1, 429, "throttled" },
	{ ERR_GONE, 5, 410, "gone" },
	{ ERR_BUSY, 1, 503, "busy" },
	{ ERR_LEGAL, 5, 451, "legal" },
};

static void format(struct err *e, enum err_code code, const char *fmt, va_list ap)
{
	char msg[ERR_MSG_MAX];

	if (!e)
		return;
	vsnprintf(msg, sizeof(msg), fmt, ap);	/* not into e->msg at once: the old message may be among the arguments */
	e->code = code;
	memcpy(e->msg, msg, strlen(msg) + 1);
	str_mend_utf8(e->msg);	/* names are cut to fit, and messages end up in JSON */
}

int err_set_raw(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(e, code, fmt, ap);
	va_end(ap);
	return code;
}

static enum err_code code_of(int os)
{
	switch (os) {
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return ERR_BUSY;
	default:
		return ERR_FAILED;
	}
}

int err_errno_raw(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	enum err_code code = code_of(saved);
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	format(e, code, fmt, ap);
	va_end(ap);
	if (e) {
		n = strlen(e->msg);
		snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerrordesc_np(saved) ? strerrordesc_np(saved) : "unknown error");
		str_mend_utf8(e->msg);
	}
	errno = saved;
	return code;
}

int err_wrap_raw(struct err *e, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	size_t n;

	if (!e)
		return ERR_FAILED;
	if (e->code >= 0)
		e->code = ERR_FAILED;	/* wrapping nothing is a slip; it must not look like success */
	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	format(e, e->code, fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", old);
	str_mend_utf8(e->msg);
	return e->code;
}

static size_t row_of(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].code == code)
			return i;
	return 1;
}

int err_exit_status(int code)
{
	return table[row_of(code)].exit_status;
}

int err_http_status(int code)
{
	return table[row_of(code)].http_status;
}

const char *err_label(int code)
{
	return table[row_of(code)].label;
}

int err_from_label(const char *label)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (label && !strcmp(table[i].label, label))
			return table[i].code;
	return ERR_FAILED;
}
