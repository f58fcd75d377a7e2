/* path_check.c - see path_check.h. */
#include "verify/path_check.h"

#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"

#define PATH_BYTES_MAX	    1024
#define COMPONENT_BYTES_MAX 255
#define FAIL(r, rule, ...)  report_reject(r, rule, "path", NULL, __VA_ARGS__)

/* Names that Windows gives to devices, with or without an extension. */
static bool is_device(const char *c, size_t n)
{
	static const char *const names[] = { "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "lpt1", "lpt2", "lpt3" };
	size_t stem = 0;

	while (stem < n && c[stem] != '.')
		stem++;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (stem == strlen(names[i]) && strncasecmp(c, names[i], stem) == 0)
			return true;
	return false;
}

static int check_component(const char *path, const char *c, size_t n, bool last, struct report *r)
{
	if (n == 0)
		return FAIL(r, "path.dslash", "'%.200s' has an empty part", path);
	if (n == 1 && c[0] == '.')
		return FAIL(r, "path.dot", "'%.200s' has a part '.'", path);
	if (n == 2 && c[0] == '.' && c[1] == '.')
		return FAIL(r, last ? "path.end" : "path.dotdot", "'%.200s' leaves its directory", path);
	if (n > COMPONENT_BYTES_MAX)
		return FAIL(r, "path.long_path", "'%.200s' has a part of %zu bytes", path, n);
	if (n == 4 && strncasecmp(c, ".git", 4) == 0)
		return FAIL(r, strncmp(c, ".git", 4) == 0 ? "path.git" : "path.git_case", "'%.200s' lies in a .git directory", path);
	if (c[n - 1] == '.' || c[n - 1] == ' ')
		report_flag(r, "path.trail_dot", "'%.200s' has a part that ends with a dot or a space", path);
	if (is_device(c, n))
		report_flag(r, "path.reserved", "'%.200s' is a device's name on Windows", path);
	return 0;
}

static int check_bytes(const char *path, size_t n, struct report *r)
{
	if (n == 0)
		return FAIL(r, "path.empty", "an empty name");
	if (memchr(path, 0, n))
		return FAIL(r, "path.nul", "a name with a NUL byte");
	if (memchr(path, '\n', n))
		return FAIL(r, "path.newline", "'%.200s' holds a line end", path);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)path[i] < ' ' || path[i] == 0x7f)
			return FAIL(r, "path.control", "'%.200s' holds a control character", path);
	if (!str_utf8_valid(path, n))
		return FAIL(r, "path.utf8", "a name that is not UTF-8");
	if (n > PATH_BYTES_MAX)
		return FAIL(r, "path.long_path", "a name of %zu bytes", n);
	if (path[0] == '/')
		return FAIL(r, "path.absolute", "'%.200s' is absolute", path);
	if (memchr(path, '\\', n))
		return FAIL(r, "path.backslash", "'%.200s' holds a backslash", path);
	if (n > 1 && path[1] == ':' && isalpha((unsigned char)path[0]))
		return FAIL(r, "path.drive", "'%.200s' names a drive", path);
	return 0;
}

int path_check(const char *path, size_t n, struct report *r)
{
	int code = check_bytes(path, n, r);
	size_t at = 0;

	while (code == 0 && at <= n) {
		const char *slash = memchr(path + at, '/', n - at);
		size_t len = slash ? (size_t)(slash - (path + at)) : n - at;

		if (!slash && len == 0 && at > 0)
			break;	/* one slash at the end: a directory's entry in an archive */
		code = check_component(path, path + at, len, !slash, r);
		at += len + 1;
	}
	if (code == 0 && memmem(path, n, "\xe2\x80\xae", 3))
		report_flag(r, "path.bidi", "'%.200s' turns the direction of writing", path);
	return code;
}

void path_set_add(struct path_set *s, const char *path)
{
	*vec_push(&s->names, &s->n, &s->cap) = mem_strdup(path);
}

bool path_set_has(const struct path_set *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->names[i], path))
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_name_caseless(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct path_set *s, char *name)
{
	return bsearch(&name, s->names, s->n, sizeof(*s->names), by_name) != NULL;
}

/* Is a directory on the way to this name itself a file's name? */
static bool below_a_file(const struct path_set *s, const char *name)
{
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		char *parent = mem_strndup(name, (size_t)(slash - name));
		bool found = has(s, parent);

		free(parent);
		if (found)
			return true;
	}
	return false;
}

void path_set_check(struct path_set *s, struct report *r)
{
	if (s->n == 0)
		return;
	qsort(s->names, s->n, sizeof(*s->names), by_name);
	for (size_t i = 0; i < s->n; i++) {
		if (i && !strcmp(s->names[i], s->names[i - 1]))
			FAIL(r, "path.duplicate", "'%.200s' is there twice", s->names[i]);
		if (below_a_file(s, s->names[i]))
			FAIL(r, "path.file_dir", "'%.200s' lies below a name that is a file", s->names[i]);
	}
	qsort(s->names, s->n, sizeof(*s->names), by_name_caseless);
	for (size_t i = 1; i < s->n; i++)
		if (strcmp(s->names[i], s->names[i - 1]) && !strcasecmp(s->names[i], s->names[i - 1]))
			report_flag(r, "path.case", "'%.100s' and '%.100s' differ only in case", s->names[i - 1], s->names[i]);
}

void path_set_done(struct path_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->names[i]);
	free(s->names);
	*s = (struct path_set){ 0 };
}
