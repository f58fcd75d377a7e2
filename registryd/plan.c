/* plan.c - see plan.h. */
#include "registryd/plan.h"

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/policy.h"

#define GLOB_MAX_BYTES 400
#define METADATA_FILE_MAX (16u << 20)

static int read_globs(const char **out, size_t *n, const json_t *list, const char *name, struct arena *a, struct err *e)
{
	const json_t *item;
	size_t i;

	if (list && !json_is_array(list))
		return err_set(e, ERR_USAGE, "'%s' is not a list of globs", name);
	json_array_foreach (list, i, item) {
		const char *glob = json_string_value(item);

		if (!glob || !*glob || strlen(glob) > GLOB_MAX_BYTES)
			return err_set(e, ERR_USAGE, "'%s' holds something that is not a glob of 1 to %d bytes", name, GLOB_MAX_BYTES);
		if (*n == PLAN_GLOBS_MAX)
			return err_set(e, ERR_LIMIT, "'%s' has more than %d globs", name, PLAN_GLOBS_MAX);
		out[(*n)++] = str_ends(glob, "/") ? arena_printf(a, "%s*", glob) : arena_strdup(a, glob);
	}
	return 0;
}

int plan_read_selection(struct plan_selection *s, const json_t *args, struct arena *a, struct err *e)
{
	const json_t *include = json_object_get(args, "include"), *exclude = json_object_get(args, "exclude");
	own(json) json_t *canonical = json_object();
	own(mem) char *text = NULL;
	int rc;

	memset(s, 0, sizeof(*s));
	rc = read_globs(s->include, &s->n_include, include, "include", a, e);
	if (!rc)
		rc = read_globs(s->exclude, &s->n_exclude, exclude, "exclude", a, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < s->n_exclude; i++)
		s->excluded[i] = arena_printf(a, "the exclude glob '%s' matches it", s->exclude[i]);
	s->metadata_only = json_get_bool(args, "metadata_only", false);
	if (s->n_include)
		json_object_set(canonical, "include", (json_t *)include);
	if (s->n_exclude)
		json_object_set(canonical, "exclude", (json_t *)exclude);
	if (s->metadata_only)
		json_object_set_new(canonical, "metadata_only", json_true());
	if (json_object_size(canonical)) {
		text = json_text(canonical);
		s->text = arena_strdup(a, text);
	}
	return 0;
}

/* Which of them matches first, n for none. */
static size_t match(const char *const *globs, size_t n, const char *path)
{
	size_t i = 0;

	while (i < n && !str_glob(globs[i], path))
		i++;
	return i;
}

const char *plan_why_not(const struct plan_selection *s, const char *path)
{
	size_t out = match(s->exclude, s->n_exclude, path);

	if (s->n_include && match(s->include, s->n_include, path) == s->n_include)
		return "no include glob matches it";
	if (out < s->n_exclude)
		return s->excluded[out];
	if (s->metadata_only && !str_ends(path, ".json") && !str_ends(path, ".md") && !licence_is_text_path(path))
		return "only metadata is kept of this model";
	if (s->public_only && !str_ends(path, ".md") && !licence_is_text_path(path))
		return "the model is gated, and only its card and licence are for everybody";
	return NULL;
}

static const char *why_not_file(const struct plan_selection *s, const struct model_file *f)
{
	const char *why = plan_why_not(s, f->path);

	return !why && s->metadata_only && f->size_bytes > METADATA_FILE_MAX ? "only metadata is kept of this model, and this file is too large to be that" : why;
}

void plan_decide(const struct plan_selection *s, const struct policy *p, struct model_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		files[i].skip_reason = why_not_file(s, &files[i]);
		files[i].wanted = !files[i].skip_reason;
	}
	if (p)
		policy_skip_files(p, files, n);
}

void plan_from_tree(const struct hub_tree *t, const struct plan_selection *s, const struct policy *p, struct arena *a, struct model_file **files, size_t *n)
{
	struct model_file *list = arena_alloc(a, (t->n_files + 1) * sizeof(*list));

	for (size_t i = 0; i < t->n_files; i++) {
		const struct hub_file *f = &t->files[i];

		list[i] = (struct model_file){ .path = f->path, .size_bytes = f->size_bytes, .git_oid = f->oid, .sha256 = f->sha256, .lfs = f->lfs };
	}
	plan_decide(s, p, list, t->n_files);
	*files = list;
	*n = t->n_files;
}

/* Was it wanted, and not let in? What globs left out then, they leave out now; a format that policy skipped is another matter, and so is what nobody has judged. */
static const char *refusal(const struct model_file *f)
{
	const char *why = f->skip_reason;

	return f->wanted || policy_has_skipped(why) || (why && !strcmp(why, MODEL_NEVER_CAME)) ? NULL : why;
}

enum plan_left plan_left(const struct plan_selection *s, const struct policy *p, struct model_file *files, size_t n, const char **why)
{
	own(mem) const char **refused = mem_zalloc((n + 1) * sizeof(*refused));
	enum plan_left left = PLAN_DONE;
	bool lost = false;

	for (size_t i = 0; i < n; i++) {
		lost |= files[i].evidence && !files[i].stored;
		refused[i] = refusal(&files[i]);
		files[i].stored = files[i].wanted && files[i].stored && !files[i].pending;	/* it is served */
	}
	plan_decide(s, p, files, n);
	for (size_t i = 0; i < n; i++) {
		if (!files[i].wanted || files[i].stored)
			continue;
		if (!refused[i])
			return PLAN_LEFT;
		left = PLAN_REFUSED;
		*why = refused[i];
	}
	return n && !lost ? left : PLAN_LEFT;
}
