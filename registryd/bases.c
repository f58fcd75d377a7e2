/* bases.c - see bases.h. */
#include "registryd/bases.h"

#include <ctype.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/model.h"

#define NAME_MAX_BYTES 250

const char *bases_name(const char *written, struct arena *a)
{
	static const char *const hosts[] = { "https://", "http://", "www.", "huggingface.co/", "hf.co/" };
	const char *slash;
	char *name, *end;

	while (isspace((unsigned char)*written))
		written++;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (str_starts(written, hosts[i]))
			written += strlen(hosts[i]);
	if (!*written || strchr("./~", *written) || strchr(written, '\\') || strlen(written) > NAME_MAX_BYTES)
		return NULL;
	name = arena_strdup(a, written);
	slash = strchr(name, '/');
	end = slash ? strpbrk(slash + 1, "/@ \t\r\n?#") : strpbrk(name, "@ \t\r\n?#");
	if (end)
		*end = 0;
	return name;
}

static void add(struct bases *b, const char *written, struct arena *a)
{
	const char *repo = bases_name(written, a);

	if (!repo)
		return;
	for (size_t i = 0; i < b->n; i++)
		if (!strcasecmp(b->v[i].repo, repo))
			return;
	b->cut |= b->n == BASES_MAX;
	if (b->n < BASES_MAX)
		b->v[b->n++] = (struct licence_base){ .repo = repo };
}

/* One that a card names as text, or as {"name": …}. */
static void add_one(struct bases *b, const json_t *v, struct arena *a)
{
	const char *name = json_is_string(v) ? json_string_value(v) : json_get_str(v, "name");

	if (name)
		add(b, name, a);
}

/* One or a list of them. */
static void add_json(struct bases *b, const json_t *names, struct arena *a)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(names))
		add_one(b, names, a);
	json_array_foreach (names, i, item)
		add_one(b, item, a);
}

/* "base_model:org/name", "base_model:finetune:org/name": what upstream itself has found out. */
static void add_tags(struct bases *b, const json_t *tags, struct arena *a)
{
	const json_t *item;
	size_t i;

	json_array_foreach (tags, i, item)
		if (json_is_string(item) && str_starts(json_string_value(item), "base_model:"))
			add(b, strrchr(json_string_value(item), ':') + 1, a);
}

/* Those of a model, from what upstream says about it. */
static void add_doc(struct bases *b, const json_t *doc, struct arena *a)
{
	add_json(b, json_object_get(json_object_get(doc, "cardData"), "base_model"), a);
	add_tags(b, json_object_get(doc, "tags"), a);
}

/* More than are looked at: the last of them stands for what is behind it. */
static void note_cut(struct bases *b)
{
	if (b->cut)
		b->v[BASES_MAX - 1].unanswered = "it and what follows were not looked at, it is made from too many models";
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
			add(b, repos[k], w->arena);
	return true;
}

/* The same from what upstream answered. */
static bool from_answer(struct bases *b, size_t i, const json_t *answer, struct arena *a)
{
	const char *license = json_get_str(answer, "license"), *known = license ? licence_normalise(license) : NULL;

	if (!answer)
		return false;
	b->v[i].unanswered = json_get_str(answer, "unanswered") ? arena_strdup(a, json_get_str(answer, "unanswered")) : NULL;
	b->v[i].license = known ? known : license ? arena_strdup(a, license) : NULL;
	add_json(b, json_object_get(answer, "base_model"), a);
	return true;
}

void bases_gather(struct work *w, const char *const *repos, size_t n, const json_t *asked, struct bases *out)
{
	*out = (struct bases){ 0 };
	for (size_t i = 0; i < n; i++)
		add(out, repos[i], w->arena);
	out->n_own = out->n;
	for (size_t i = 0; i < out->n; i++)	/* grows meanwhile */
		if (!from_catalog(w, out, i))
			from_answer(out, i, json_object_get(asked, out->v[i].repo), w->arena);
	note_cut(out);
}

bool bases_unanswered(struct work *w, int64_t revision_id)
{
	own(json) json_t *asked = NULL;
	const char *text, *repo;
	json_t *answer;
	size_t n;

	if (model_document(w->db, revision_id, DOCUMENT_PROOF, BASES_DOCUMENT, w->arena, &text, &n, NULL))
		return false;
	asked = json_parse_lax(text, n, "what was said of base models", NULL);
	json_object_foreach (asked, repo, answer)
		if (json_get_str(answer, "unanswered"))
			return true;
	return false;
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

/* Of a fault that may pass the licence is unknown for now; one that upstream does not have, or not for us, is one that nobody knows. */
static int ask(struct work *w, struct hub *hub, const char *repo, json_t *asked, struct err *e)
{
	own(revision) struct hub_revision r = { 0 };
	struct err why = ERR_NONE;
	struct bases of = { 0 };
	json_t *names;

	hub_get_revision(hub, repo, NULL, &w->stop, &r, &why);
	if (why.code == ERR_CANCELED || why.code == ERR_THROTTLED) {
		*e = why;
		return why.code;
	}
	if (why.code == ERR_NOT_FOUND || why.code == ERR_AUTH || why.code == ERR_GONE || why.code == ERR_REFUSED)
		return 0;
	if (why.code) {
		json_object_set_new(asked, repo, json_pack("{s:s}", "unanswered", why.msg));
		return 0;
	}
	add_doc(&of, r.doc, w->arena);
	names = json_array();
	for (size_t i = 0; i < of.n; i++)
		json_array_append_new(names, json_string(of.v[i].repo));
	json_object_set_new(asked, repo, json_pack("{s:s?, s:o}", "license", license_of(r.doc), "base_model", names));
	return 0;
}

int bases_ask(struct work *w, struct hub *hub, const json_t *doc, json_t **asked, struct bases *out, struct err *e)
{
	size_t requests = 0;
	int rc = 0;

	*asked = json_object();
	*out = (struct bases){ 0 };
	add_doc(out, doc, w->arena);
	out->n_own = out->n;
	for (size_t i = 0; i < out->n && rc == 0; i++) {	/* grows meanwhile */
		const char *repo = out->v[i].repo;

		if (from_catalog(w, out, i) || !strchr(repo, '/'))
			continue;
		if (requests++ == BASES_ASKED_MAX)
			json_object_set_new(*asked, repo, json_pack("{s:s}", "unanswered", "upstream was asked about many others before it"));
		else if (requests <= BASES_ASKED_MAX)
			rc = ask(w, hub, repo, *asked, e);
		if (rc == 0)
			from_answer(out, i, json_object_get(*asked, repo), w->arena);
	}
	note_cut(out);
	return rc;
}
