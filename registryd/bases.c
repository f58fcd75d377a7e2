/* bases.c - see bases.h. */
#include "registryd/bases.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/model.h"

static void add(struct bases *b, const char *repo)
{
	for (size_t i = 0; i < b->n; i++)
		if (!strcasecmp(b->v[i].repo, repo))
			return;
	if (b->n < BASES_MAX && *repo)
		b->v[b->n++] = (struct licence_base){ .repo = repo };
}

/* A string, or a list of them. */
static void add_json(struct bases *b, const json_t *names, struct arena *a)
{
	const json_t *item;
	size_t i;

	if (json_is_string(names))
		add(b, arena_strdup(a, json_string_value(names)));
	json_array_foreach (names, i, item)
		if (json_is_string(item))
			add(b, arena_strdup(a, json_string_value(item)));
}

/* What the catalog knows of base i, and of what that was made from. */
static bool from_catalog(struct work *w, struct bases *b, size_t i)
{
	struct revision r = { 0 };
	const char **repos;
	struct model m;
	size_t n = 0;

	if (model_find(w->db, b->v[i].repo, NULL, MODEL_ANY, w->arena, &m, &r, NULL, NULL) || !r.license_source)
		return false;
	b->v[i].license = r.license;
	if (model_base_models(w->db, r.id, w->arena, &repos, &n, NULL, NULL) == 0)
		for (size_t k = 0; k < n; k++)
			add(b, repos[k]);
	return true;
}

/* The same from what upstream answered. */
static bool from_answer(struct bases *b, size_t i, const json_t *answer, struct arena *a)
{
	const char *license = json_get_str(answer, "license"), *known = license ? licence_normalise(license) : NULL;

	if (!answer)
		return false;
	b->v[i].license = known ? known : license ? arena_strdup(a, license) : NULL;
	add_json(b, json_object_get(answer, "base_model"), a);
	return true;
}

void bases_gather(struct work *w, const char *const *repos, size_t n, const json_t *asked, struct bases *out)
{
	*out = (struct bases){ 0 };
	for (size_t i = 0; i < n; i++)
		add(out, repos[i]);
	out->n_own = out->n;
	for (size_t i = 0; i < out->n; i++)	/* grows meanwhile */
		if (!from_catalog(w, out, i))
			from_answer(out, i, json_object_get(asked, out->v[i].repo), w->arena);
}

/* The licence that upstream names: what its card says, or the tag that it made of that. */
static const char *license_of(const json_t *doc)
{
	const json_t *card = json_object_get(doc, "cardData"), *said = json_object_get(card, "license"), *tags = json_object_get(doc, "tags"), *item;
	const char *name = json_get_str(card, "license_name"), *id = json_string_value(json_is_array(said) ? json_array_get(said, 0) : said);
	size_t i;

	if (id && !strcmp(id, "other") && name)
		return name;
	json_array_foreach (tags, i, item)
		if (!id && json_is_string(item) && str_starts(json_string_value(item), "license:"))
			id = json_string_value(item) + 8;
	return id;
}

/* One that upstream does not have, or not for us, is one that nobody knows; when upstream can't be asked at all, the sync of the model itself says so. */
static int ask(struct work *w, struct hub *hub, const char *repo, json_t *asked, struct err *e)
{
	own(revision) struct hub_revision r = { 0 };
	struct err why = ERR_NONE;
	const json_t *bases;
	json_t *answer;

	hub_get_revision(hub, repo, NULL, &w->stop, &r, &why);
	if (why.code == ERR_CANCELED || why.code == ERR_THROTTLED) {
		*e = why;
		return why.code;
	}
	if (why.code)
		return 0;
	bases = json_object_get(json_object_get(r.doc, "cardData"), "base_model");
	answer = json_pack("{s:s?, s:O*}", "license", license_of(r.doc), "base_model", bases);
	json_object_set_new(asked, repo, answer ? answer : json_object());
	return 0;
}

int bases_ask(struct work *w, struct hub *hub, const json_t *doc, json_t **asked, struct bases *out, struct err *e)
{
	size_t requests = 0;
	int rc = 0;

	*asked = json_object();
	*out = (struct bases){ 0 };
	add_json(out, json_object_get(json_object_get(doc, "cardData"), "base_model"), w->arena);
	out->n_own = out->n;
	for (size_t i = 0; i < out->n && rc == 0; i++) {	/* grows meanwhile */
		if (from_catalog(w, out, i) || requests == BASES_ASKED_MAX || !strchr(out->v[i].repo, '/'))
			continue;
		requests++;
		rc = ask(w, hub, out->v[i].repo, *asked, e);
		if (rc == 0)
			from_answer(out, i, json_object_get(*asked, out->v[i].repo), w->arena);
	}
	return rc;
}
