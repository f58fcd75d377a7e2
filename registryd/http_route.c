/* http_route.c - which row answers a path: patterns with parameters, matched on the raw path and unescaped afterwards. */
#include "registryd/http.h"

#include <ctype.h>

#include "base/str.h"

struct capture {
	const char *name;
	size_t name_len;
	const char *at;
	size_t len;
};

/* Bytes of the first k segments of s, 0 when there are fewer or one of them is empty. */
static size_t segments(const char *s, int k)
{
	size_t n = 0;

	for (int i = 0; i < k; i++) {
		size_t len;

		if (i > 0) {
			if (s[n] != '/')
				return 0;
			n++;
		}
		len = strcspn(s + n, "/");
		if (!len)
			return 0;
		n += len;
	}
	return n;
}

/* A repository's parts begin with a letter, digit or '_'; that keeps "/-/.." and dot files out of {repo}. */
static bool repo_shaped(const char *s, size_t n)
{
	bool start = true;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (start && !isalnum(c) && c != '_')
			return false;
		if (!isalnum(c) && !strchr("-_./%", c))
			return false;
		start = c == '/';
	}
	return true;
}

static bool matches(const char *pattern, const char *s, struct capture *caps, size_t *n);

static bool try_capture(const char *after, const char *s, size_t len, const struct capture *cap, struct capture *caps, size_t *n)
{
	size_t before = *n;

	if (!len || before == HTTP_PARAMS_MAX)
		return false;
	caps[before] = *cap;
	caps[before].at = s;
	caps[before].len = len;
	*n = before + 1;
	if (matches(after, s + len, caps, n))
		return true;
	*n = before;
	return false;
}

static bool match_param(const char *pattern, const char *s, struct capture *caps, size_t *n)
{
	const char *end = strchr(pattern, '}'), *after = end + 1;
	struct capture cap = { .name = pattern + 1, .name_len = (size_t)(end - pattern) - 1 };
	size_t two;

	if (end[-1] == '*') {
		cap.name_len--;
		return try_capture(after, s, strlen(s), &cap, caps, n);
	}
	if (cap.name_len == 4 && !strncmp(cap.name, "repo", 4)) {
		two = segments(s, 2);
		if (two && repo_shaped(s, two) && try_capture(after, s, two, &cap, caps, n))
			return true;
		return repo_shaped(s, segments(s, 1)) && try_capture(after, s, segments(s, 1), &cap, caps, n);
	}
	if (cap.name_len == 3 && !strncmp(cap.name, "rev", 3) && str_starts(s, "refs/") && try_capture(after, s, segments(s, 3), &cap, caps, n))
		return true;
	return try_capture(after, s, segments(s, 1), &cap, caps, n);
}

static bool matches(const char *pattern, const char *s, struct capture *caps, size_t *n)
{
	for (; *pattern; pattern++, s++) {
		if (*pattern == '{')
			return match_param(pattern, s, caps, n);
		if (*pattern != *s)
			return false;
	}
	return !*s;
}

static int unescape(struct request *rq, const struct capture *caps, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		char *value = arena_strndup(&rq->arena, caps[i].at, caps[i].len);

		if (!str_percent_decode(value) || !str_utf8_valid(value, strlen(value)))
			return err_set(e, ERR_USAGE, "malformed escape or text that is not UTF-8 in the path");
		rq->params[i] = (struct http_pair){ arena_strndup(&rq->arena, caps[i].name, caps[i].name_len), value };
	}
	rq->n_params = n;
	return 0;
}

static bool same_method(const char *row, const char *method)
{
	return !strcmp(row, method) || (!strcmp(row, "GET") && !strcmp(method, "HEAD"));
}

static void note_allowed(char allow[64], const char *method)
{
	size_t n = strlen(allow);

	if (!strstr(allow, method))
		snprintf(allow + n, 64 - n, "%s%s", n ? ", " : "", method);
}

const struct http_route *http_match(const struct http_route *const *tables, size_t n_tables, struct request *rq, char allow[64], struct err *e)
{
	allow[0] = 0;
	for (size_t t = 0; t < n_tables; t++)
		for (const struct http_route *r = tables[t]; r->method; r++) {
			struct capture caps[HTTP_PARAMS_MAX];
			size_t n = 0;

			if (!matches(r->pattern, rq->path, caps, &n))
				continue;
			if (same_method(r->method, rq->method))
				return unescape(rq, caps, n, e) ? NULL : r;
			note_allowed(allow, r->method);
		}
	if (allow[0])
		err_set(e, ERR_USAGE, "%s is not possible here, only %s", rq->method, allow);
	else
		err_set(e, ERR_NOT_FOUND, "there is nothing at this address");
	return NULL;
}
