/*
 * path_check.h - may this name, from a listing or an archive, become a file below a directory? Strict where names are an attack
 * (".." , absolute, control characters, .git in any case), flags where they are only not portable.
 * Rules: path.empty path.absolute path.dotdot path.end path.dslash path.dot path.backslash path.nul path.newline path.control path.utf8
 * path.git path.git_case path.long_path path.drive; flags path.trail_dot path.reserved path.bidi
 */
#ifndef VERIFY_PATH_CHECK_H
#define VERIFY_PATH_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "verify/report.h"

/* n bytes, which may hold NULs. 0, or ERR_INPUT with a finding in r. Flags do not count as failure. */
int path_check(const char *path, size_t n, struct report *r);

/* Names of one tree, to find those that clash: the same, the same but for case, or a file that is also a directory. */
struct path_set {
	char **names;
	size_t n, cap;
};

void path_set_add(struct path_set *s, const char *path);
bool path_set_has(const struct path_set *s, const char *path);	/* looks at each: for small sets */
/* Rules: path.duplicate path.file_dir (reject), path.case (flag). */
void path_set_check(struct path_set *s, struct report *r);
void path_set_done(struct path_set *s);

static inline void own_path_set(struct path_set *s)
{
	path_set_done(s);
}

#endif
