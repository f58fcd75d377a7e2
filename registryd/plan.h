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
/* The listing's files with `wanted` decided. *files lives in a, the paths in the listing. */
void plan_from_tree(const struct hub_tree *t, const struct plan_selection *s, const struct policy *p, struct arena *a, struct model_file **files, size_t *n);
/* Is every file of the list as this selection and policy want it, and stored? Then a sync has nothing to do. The list is spent: `wanted` is now theirs. */
bool plan_is_done(const struct plan_selection *s, const struct policy *p, struct model_file *files, size_t n);

#endif
