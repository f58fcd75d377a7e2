/* whole.c - see whole.h. */
#include "infer/whole.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/artefact.h"
#include "infer/listed.h"

/* Names below the folder become names below the root. */
static void prefix(char **name, const char *dir)
{
	char *path = NULL;

	if (asprintf(&path, "%s%s", dir, *name) < 0)
		abort();
	free(*name);
	*name = path;
}

static bool is_named(const struct artefact *a, const char *path)
{
	size_t n = strlen(a->dir);

	return strncmp(path, a->dir, n) == 0 && strcmp(path + n, a->file) == 0;
}

/* Of an earlier report on the whole, the parts on what is not there under its name now. */
static json_t *gone_since(const json_t *reference, const struct artefacts *found)
{
	json_t *parts own(json) = json_incref(json_object_get(reference, "artefacts")), *gone = json_array(), *one;
	size_t i;

	if (!parts)
		parts = json_pack("[O]", reference);
	json_array_foreach(parts, i, one) {
		bool here = false;

		for (size_t k = 0; k < found->n; k++)
			here |= is_named(&found->v[k], json_get_str_or(one, "file", ""));
		if (!here)
			json_array_append(gone, one);
	}
	return gone;
}

/* Of an earlier report on the whole, the part on this artefact; NULL when it had none. */
static const json_t *earlier(const json_t *reference, const char *path)
{
	const json_t *list = json_object_get(reference, "artefacts"), *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (strcmp(json_get_str_or(one, "file", ""), path) == 0)
			return one;
	return list || strcmp(json_get_str_or(reference, "file", ""), path) != 0 ? NULL : reference;
}

/* The models of a folder, told by the first n bytes of dir, that have been run before artefact i and came to a fingerprint: its GGUFs, or what else it has. */
static void add_those_in(json_t *list, const struct artefacts *found, const struct smoke *all, size_t i, const char *dir, size_t n, bool gguf)
{
	for (size_t j = 0; j < i; j++) {
		const struct artefact *a = &found->v[j];

		if (strlen(a->dir) == n && memcmp(a->dir, dir, n) == 0 && str_ends(a->file, ".gguf") == gguf && all[j].weights[0])
			json_array_append_new(list, smoke_json(&all[j]));
	}
}

/*
 * The models of the same folder, as a report on all of them: the first of the same build (same_model.h) should be the same weights in another form.
 * GGUFs are often kept in folders below what they were made of, which comes before other GGUFs of theirs, but not before a model that has a configuration
 * there: such a one may be another. NULL: there are none.
 */
static json_t *folder_siblings(const struct artefacts *found, const struct smoke *all, size_t i)
{
	const char *dir = found->v[i].dir;
	json_t *list = json_array();
	size_t own = strlen(dir), n = str_ends(found->v[i].file, ".gguf") ? own : 0;

	add_those_in(list, found, all, i, dir, own, false);
	while (n > 0) {
		for (n--; n > 0 && dir[n - 1] != '/'; n--)
			;
		add_those_in(list, found, all, i, dir, n, false);
		add_those_in(list, found, all, i, dir, n, true);
	}
	add_those_in(list, found, all, i, dir, own, true);
	if (json_array_size(list))
		return json_pack("{s:o}", "artefacts", list);
	json_decref(list);
	return NULL;
}

/* What an artefact is held against: itself in earlier reports, what it was made from, and those of its folder, which are returned. */
static json_t *choose_references(struct smoke_options *o, const struct artefacts *found, const struct smoke *all, size_t i, const char *path)
{
	json_t *siblings = folder_siblings(found, all, i);
	size_t n = 0;

	for (size_t k = 0; k < o->n_references; k++) {
		struct smoke_reference ref = o->references[k];
		const json_t *part = earlier(ref.report, path);
		bool several = found->n > 1 || json_object_get(ref.report, "artefacts");

		if ((ref.gone || ref.relation == SMOKE_SAME) && (part || several))
			ref.report = part;
		if (ref.report || ref.gone)		/* else it was not there then */
			o->references[n++] = ref;
	}
	if (siblings)
		o->references[n++] = (struct smoke_reference){ .report = siblings, .relation = SMOKE_SIBLING };
	o->n_references = n;
	return siblings;
}

static void judge_stray(struct smoke *s, const struct artefact *a, struct report *r)
{
	const char *why = str_ends(a->file, ".gguf") ? "the first part of which is not here" : "which no index names";

	report_path(r, "%s", a->file);
	report_reject(r, "idx.stray", a->file, NULL, "it is numbered as a part of a set, %s", why);
	smoke_reason(s, SMOKE_FAIL, "%s is numbered as a part of a set, %s", a->file, why);
}

/* The sandbox opens no links. A cache of downloads consists of them, which is no fault of the model in it. */
static const char *link_among(int dirfd, const char *file)
{
	const char *const files[] = { file, "config.json", "tokenizer.json", "tokenizer.model" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (fstatat(dirfd, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			return files[i];
	return NULL;
}

/* Is another the first of the artefact's folder? That is the model: what this one is, its tensors say. */
static bool has_first(const struct artefacts *found, size_t i)
{
	return i > 0 && !found->v[i - 1].side && strcmp(found->v[i - 1].dir, found->v[i].dir) == 0;
}

static void run_one(struct whole *w, size_t i, const struct artefacts *found, int dirfd, const struct smoke_options *options, struct report *r)
{
	const struct artefact *a = &found->v[i];
	own(fd) int fd = *a->dir ? openat(dirfd, a->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	own(mem) char *path = mem_strdup(a->file);
	struct smoke_options o = *options;
	const char *link;
	json_t *siblings own(json) = NULL;
	size_t before = r->n;

	prefix(&path, a->dir);
	siblings = choose_references(&o, found, w->all, i, path);
	o.side = a->side;
	o.beside = a->extra && has_first(found, i);
	tell_file(o.tell, (uint32_t)i + 1, (uint32_t)found->n, path);
	link = link_among(*a->dir ? fd : dirfd, a->file);
	if (link) {
		smoke_begin(&w->all[i], a->file);
		smoke_reason(&w->all[i], SMOKE_ERROR, "%s is a link, and links are not followed: make a copy without them (cp -rL)", link);
	} else {
		smoke_run(&w->all[i], *a->dir ? fd : dirfd, a->file, &o, r);
	}
	if (a->stray)
		judge_stray(&w->all[i], a, r);
	if (!*a->dir)
		return;
	prefix(&w->all[i].file, a->dir);
	for (size_t f = before; f < r->n; f++)
		prefix(&r->v[f].path, a->dir);
}

/* Extra weights beside a model are looked at, and damage in them counts; that they are not run says nothing about the model. */
static void find_worst(struct whole *w, const struct artefacts *found)
{
	bool models = false;

	for (size_t i = 0; i < found->n; i++)
		models |= !w->all[i].side;
	for (size_t i = found->n; i < w->n; i++)	/* what is made of all of them comes first */
		if (!w->worst || w->all[i].verdict > w->worst->verdict)
			w->worst = &w->all[i];
	for (size_t i = 0; i < found->n; i++)
		if ((!w->all[i].side || !models || w->all[i].verdict > SMOKE_NOT_RUN) && (!w->worst || w->all[i].verdict > w->worst->verdict))
			w->worst = &w->all[i];
}

static void run_each(struct whole *w, const struct artefacts *found, int dirfd, const struct smoke_options *options, struct report *r)
{
	struct smoke_options o = *options;
	json_t *gone[ARRAY_LEN(o.references)];
	size_t n = o.n_references;

	for (size_t k = 0; k < n; k++) {
		gone[k] = o.references[k].relation >= SMOKE_SAME_WEIGHTS ? gone_since(o.references[k].report, found) : NULL;
		o.references[k].gone = gone[k];
	}
	for (size_t i = 0; i < found->n; i++)
		run_one(w, i, found, dirfd, &o, r);
	for (size_t k = 0; k < n; k++)
		json_decref(gone[k]);
}

/* Whether a folder (the first n bytes of dir) is among those of the artefacts before i, or above one of them: it has been looked at. */
static bool looked_at(const struct artefacts *found, size_t i, const char *dir, size_t n)
{
	for (size_t k = 0; k < i; k++)
		if (strncmp(found->v[k].dir, dir, n) == 0)
			return true;
	return n == 0;
}

static void add_listed(struct whole *w, int dirfd, const char *dir, struct report *r)
{
	for (size_t number = 0; number < LISTED_FILES; number++) {
		struct smoke s;
		size_t before = r->n;

		if (listed_check(&s, number, dirfd, dir, r)) {
			prefix(&s.file, dir);
			*vec_push(&w->all, &w->n, &w->cap) = s;
		}
		for (size_t f = before; f < r->n; f++)
			prefix(&r->v[f].path, dir);
	}
}

/* Lists of parts: in the root, in the folders of the artefacts and in those above them. */
static void run_listed(struct whole *w, const struct artefacts *found, int dirfd, struct report *r)
{
	add_listed(w, dirfd, "", r);
	for (size_t i = 0; i < found->n; i++)
		for (const char *end = strchr(found->v[i].dir, '/'); end; end = strchr(end + 1, '/')) {
			size_t n = (size_t)(end + 1 - found->v[i].dir);
			own(mem) char *dir = mem_strndup(found->v[i].dir, n);

			if (!looked_at(found, i, dir, n))
				add_listed(w, dirfd, dir, r);
		}
}

int whole_run(struct whole *w, int dirfd, const char *only, const struct smoke_options *o, struct report *r, struct err *e)
{
	struct artefacts found own(artefacts) = { 0 };
	int rc = 0;

	*w = (struct whole){ 0 };
	if (only)
		*vec_push(&found.v, &found.n, &found.cap) = (struct artefact){ .dir = mem_strdup(""), .file = mem_strdup(only) };
	else
		rc = artefacts_find(&found, dirfd, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < found.n; i++)
		*vec_push(&w->all, &w->n, &w->cap) = (struct smoke){ 0 };
	run_each(w, &found, dirfd, o, r);
	if (!only)
		run_listed(w, &found, dirfd, r);
	if (found.n == 0) {
		struct smoke *none = vec_push(&w->all, &w->n, &w->cap);

		smoke_begin(none, "");
		smoke_reason(none, SMOKE_NOT_RUN, "not run: no weights in safetensors or GGUF here");
	}
	find_worst(w, &found);
	return 0;
}

json_t *whole_json(const struct whole *w, const struct report *r)
{
	json_t *o = smoke_json(w->worst), *list = json_array();
	bool surveyed = w->n > 0, unsound = false;
	const char *structure;

	for (size_t i = 0; i < w->n; i++) {
		json_array_append_new(list, smoke_json(&w->all[i]));
		surveyed &= w->all[i].surveyed;
		unsound |= w->all[i].unsound;
	}
	structure = smoke_structure(surveyed, unsound);
	json_object_set_new(o, "structure", structure ? json_string(structure) : json_null());
	json_object_set_new(o, "findings", report_json(r));
	if (w->n > 1)
		json_object_set(o, "artefacts", list);
	json_decref(list);
	return o;
}

void whole_done(struct whole *w)
{
	for (size_t i = 0; i < w->n; i++)
		smoke_done(&w->all[i]);
	free(w->all);
	*w = (struct whole){ 0 };
}
