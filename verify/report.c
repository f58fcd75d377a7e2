/* report.c - see report.h. */
#include "verify/report.h"

#include <stdarg.h>

#include "base/str.h"
#include "base/vec.h"

#define PATH_MAX_BYTES 2048

void report_init(struct report *r)
{
	*r = (struct report){ 0 };
}

void report_done(struct report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].path);
		free(r->v[i].message);
	}
	free(r->v);
	free(r->path);
	*r = (struct report){ 0 };
}

void report_path(struct report *r, const char *fmt, ...)
{
	char path[PATH_MAX_BYTES] = "";
	va_list ap;

	if (!r)
		return;
	va_start(ap, fmt);
	if (fmt)
		vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	free(r->path);
	r->path = mem_strdup(path);
}

static void add(struct report *r, enum report_severity severity, const char *rule, const char *message)
{
	struct report_finding *f;

	if (!r)
		return;
	if (severity > r->verdict)
		r->verdict = severity;
	if (r->n >= REPORT_FINDINGS_MAX) {
		r->left_out++;
		return;
	}
	f = vec_push(&r->v, &r->n, &r->cap);
	f->path = mem_strdup(r->path ? r->path : "");
	f->rule = rule;
	f->severity = severity;
	f->message = mem_strdup(message);
	/* Both hold bytes of the file inspected; they end up in JSON, logs and pages. */
	str_printable(f->message);
	str_printable(f->path);
}

void report_flag(struct report *r, const char *rule, const char *fmt, ...)
{
	char message[REPORT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	add(r, REPORT_FLAG, rule, message);
}

int report_reject(struct report *r, const char *rule, const char *what, struct err *e, const char *fmt, ...)
{
	char message[REPORT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	str_printable(message);
	add(r, REPORT_REJECT, rule, message);
	return err_set(e, ERR_INPUT, "%s: %s", what, message);
}

const char *report_severity_name(enum report_severity s)
{
	static const char *const names[] = { "accept", "flag", "reject" };

	return names[s];
}

int report_has(const struct report *r, const char *rule)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->v[i].rule, rule))
			return 1;
	return 0;
}

json_t *report_json(const struct report *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:s}", "path", r->v[i].path, "rule", r->v[i].rule, "severity",
						   report_severity_name(r->v[i].severity), "message", r->v[i].message));
	return a;
}
