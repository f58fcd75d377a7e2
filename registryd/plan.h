/* plan.h - which files of a revision are wanted: the include and exclude globs of whoever asked, then the policy's skipped formats. */
#ifndef REGISTRYD_PLAN_H
#define REGISTRYD_PLAN_H

#include <jansson.h>

#include "base/arena.h"
#include "catalog/model.h"
#include "registryd/hub.h"

#define PLAN_GLOBS_MAX 200

struct plan_selection {
	const char *include[PLAN_GLOBS_MAX], *exclude[PLAN_GLOBS_MAX];
	const char *excluded[PLAN_GLOBS_MAX];	/* the sentence for files that exclude[i] leaves out */
	size_t n_include, n_exclude;
	bool metadata_only;	/* cards, configurations and licences; no weights */
	bool public_only;	/* of these, what a gated model shows to everybody: no configurations */
	const char *text;	/* the canonical JSON of it, NULL for everything */
};

/* From {"include": […], "exclude": […], "metadata_only": …}. Strings live in a. */
int plan_read_selection(struct plan_selection *s, const json_t *args, struct arena *a, struct err *e);
/* NULL when the file is wanted, else why it is not. */
const char *plan_why_not(const struct plan_selection *s, const char *path);
/* Sets `wanted` and `skip_reason` of a revision's files. */
void plan_decide(const struct plan_selection *s, const struct policy *p, struct model_file *files, size_t n);
/* The listing's files with `wanted` decided; p NULL: before any policy. *files lives in a, the paths in the listing. */
void plan_from_tree(const struct hub_tree *t, const struct plan_selection *s, const struct policy *p, struct arena *a, struct model_file **files, size_t *n);
enum plan_left {
	PLAN_DONE,	/* every file of the list is as this selection and policy want it, and served, and no evidence is lost: a sync has nothing to do */
	PLAN_REFUSED,	/* but for files that were not let in */
	PLAN_LEFT,
};
/*
 * What is left to do of a revision. PLAN_REFUSED means something only where it was planned with this same selection last; *why is then of one file the reason, as
 * the list has it. The list is spent: `wanted` is now theirs.
 */
enum plan_left plan_left(const struct plan_selection *s, const struct policy *p, struct model_file *files, size_t n, const char **why);

#endif
