/*
 * smoke_reference.c - what a revision's run is held against: the revision that is served now, and the models that it says it was made
 * from. Their reports are kept with their verdicts; the runner compares (infer/reference.h), here they are found and written down for it.
 */
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "catalog/format.h"
#include "registryd/smoke.h"

/* The report of a passed run, ready for --reference; false when there is none. */
static bool report_of(struct work *w, int64_t revision_id, json_t **out)
{
	struct finding_smoke s;

	*out = NULL;
	if (finding_smoke(w->db, revision_id, w->arena, &s, NULL) || strcmp(s.verdict, "pass") || !s.report)
		return false;
	*out = json_parse(s.report, strlen(s.report), "a kept report", NULL);
	return json_is_object(*out);
}

static int write_down(struct work *w, struct smoke_references *refs, const char *relation, const char *name, json_t *report, struct err *e)
{
	own(json) json_t *o = json_pack("{s:s, s:s, s:o}", "relation", relation, "name", name, "report", report);
	const char *path = arena_printf(w->arena, "%s/work/%lld.reference-%zu.json", store_data_dir(w->store), (long long)w->job.id, refs->n);
	own(mem) char *text = o ? json_text(o) : NULL;
	int rc = text ? fdio_replace(AT_FDCWD, path, text, strlen(text), 0600, e) : 0;

	if (!rc && text)
		refs->path[refs->n++] = path;
	return rc;
}

/* Does the runner run what is in it? */
static bool is_run(const char *path)
{
	enum format format = format_of_path(path);

	return format == FORMAT_SAFETENSORS || format == FORMAT_GGUF;
}

/* Is every file of a that holds weights to be run, with these very bytes, one of b? */
static int all_in(struct work *w, int64_t a, int64_t b, bool *all, struct err *e)
{
	own(walk) struct model_walk walk = { .db = w->db, .revision_id = a, .which = FILES_ALL };
	const struct model_file *f;
	int rc;

	*all = true;
	while (*all && (rc = model_walk_next(&walk, &f, e)) > 0) {
		own(arena) struct arena one = { 0 };
		struct model_file other;

		if (!f->wanted || !is_run(f->path))
			continue;
		rc = model_file(w->db, b, f->path, FILES_ALL, &one, &other, e);
		if (rc && rc != ERR_NOT_FOUND)
			return rc;
		*all = !rc && other.wanted && digest_equal(&f->sha256, &other.sha256);
	}
	return *all ? rc : 0;
}

/*
 * Told by the files, for reports of old, which do not name the weights that they are of (infer/sample.h): where one revision only has some more, those
 * under a name of before are those of before.
 */
static int same_weights(struct work *w, int64_t a, int64_t b, bool *same, struct err *e)
{
	int rc = all_in(w, a, b, same, e);

	return rc || *same ? rc : all_in(w, b, a, same, e);
}

/* The revision that clients get now. */
static int add_served(struct work *w, const struct model *m, int64_t revision_id, struct smoke_references *refs, struct err *e)
{
	struct revision served;
	struct model again;
	json_t *report;
	bool same = false;
	int rc;

	if (model_find(w->db, m->name, NULL, MODEL_VISIBLE, w->arena, &again, &served, NULL, NULL) || served.id == revision_id || !report_of(w, served.id, &report))
		return 0;
	rc = same_weights(w, revision_id, served.id, &same, e);
	if (rc) {
		json_decref(report);
		return rc;
	}
	return write_down(w, refs, same ? "same_weights" : "other_weights", arena_printf(w->arena, "%s@%.12s", m->name, served.commit), report, e);
}

/* Only what was made by quantising must say what its original says; a card that names an original and no relation is asked about. */
static int add_bases(struct work *w, const struct revision *r, struct smoke_references *refs, struct err *e)
{
	const char **repos, *relation = NULL;
	size_t n;
	int rc = model_base_models(w->db, r->id, w->arena, &repos, &n, &relation, e);
	bool quantised = relation && !strcmp(relation, "quantized"), may_be = !relation && (r->quantization || (r->formats & FORMAT_BIT(FORMAT_GGUF)));

	for (size_t i = 0; !rc && (quantised || may_be) && i < n && refs->n < SMOKE_REFERENCES_MAX; i++) {
		struct revision base;
		struct model m;
		json_t *report;

		if (!model_find(w->db, repos[i], NULL, MODEL_VISIBLE, w->arena, &m, &base, NULL, NULL) && base.id != r->id && report_of(w, base.id, &report))
			rc = write_down(w, refs, quantised ? "quantized" : "maybe_quantized", arena_printf(w->arena, "%s@%.12s", m.name, base.commit), report, e);
	}
	return rc;
}

int smoke_references_open(struct work *w, int64_t revision_id, struct smoke_references *refs, struct err *e)
{
	struct revision r;
	struct model m;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &r, e);

	refs->n = 0;
	if (!rc)
		rc = add_served(w, &m, revision_id, refs, e);
	if (!rc)
		rc = add_bases(w, &r, refs, e);
	if (rc)
		smoke_references_close(refs);
	return rc;
}

void smoke_references_close(struct smoke_references *refs)
{
	for (size_t i = 0; i < refs->n; i++)
		unlink(refs->path[i]);
	refs->n = 0;
}
