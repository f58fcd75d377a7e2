/* bases.c - see bases.h. */
#include "registryd/bases.h"

#include <ctype.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/model.h"
#include "registryd/loss.h"
#include "verify/card.h"

#define NAME_MAX_BYTES 250

const char *bases_name(const char *written, struct arena *a)
{
	const char *slash;
	char *name, *end;

	while (isspace((unsigned char)*written))
		written++;
	written = card_skip_host(written);
	if (!written || !*written || strchr("./~", *written) || strchr(written, '\\') || strlen(written) > NAME_MAX_BYTES)
		return NULL;
	name = arena_strdup(a, written);
	slash = strchr(name, '/');
	end = slash ? strpbrk(slash + 1, "/@ \t\r\n?#") : strpbrk(name, "@ \t\r\n?#");
	if (end)
		*end = 0;
	return hub_check_repo(name, NULL) == 0 ? name : NULL;
}

void bases_add(struct bases *b, const char *written, struct arena *a)
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

static void add_json(struct bases *b, const json_t *names, struct arena *a)
{
	struct card_list l;

	card_read_bases(names, a, &l);	/* what can't be read is said where the card itself is */
	for (size_t i = 0; i < l.n; i++)
		bases_add(b, l.item[i], a);
}

const char *bases_of_tag(const char *tag, struct arena *a)
{
	static const char *const relations[] = { "adapter:", "finetune:", "merge:", "quantized:" };

	if (!str_starts(tag, "base_model:"))
		return NULL;
	tag += strlen("base_model:");
	for (size_t i = 0; i < ARRAY_LEN(relations); i++)
		if (str_starts(tag, relations[i]))
			return bases_name(tag + strlen(relations[i]), a);
	return bases_name(tag, a);
}

static void add_tags(struct bases *b, const json_t *tags, struct arena *a)
{
	const json_t *item;
	size_t i;

	json_array_foreach (tags, i, item) {
		const char *name = json_is_string(item) ? bases_of_tag(json_string_value(item), a) : NULL;

		if (name)
			bases_add(b, name, a);
	}
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

/* One that is not known says nothing, beside another. */
static bool says_more(const char *license, const char *other)
{
	return strcmp(license, "unknown") && (!strcmp(other, "unknown") || licence_is_stricter(license, other));
}

static const char *contested(const char *why, struct arena *a)
{
	return arena_printf(a, "is contested: %s", why);
}

/* Why its licence waits for a person; NULL: it does not. What it conflicts with of its own bases is asked of them. */
static const char *unsettled_of(struct db *db, const struct revision *r, struct arena *a)
{
	struct policy_facts f = { 0 };

	if (model_evidence(db, r->id, a, &f, NULL) || f.person == POLICY_PERSON_PUBLISHED)
		return NULL;
	for (size_t i = 0; i < f.n_license_conflicts; i++)
		if (!licence_is_of_base(f.license_conflicts[i]))
			return contested(f.license_conflicts[i], a);
	return r->license && strcmp(r->license, "unknown") ? NULL : "is not known: nothing in it says what it is";
}

/* What counts of a model that is here for what was made from it: the strictest licence, NULL when none is known, and what all of them were made from. */
static const char *standing(struct db *db, int64_t model_id, struct arena *a, struct bases *made_from, const char **unsettled)
{
	const char *license = NULL, **repos;
	struct revision *r;
	size_t n, n_repos;

	*unsettled = NULL;
	if (model_standing(db, model_id, a, &r, &n, NULL))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (!*unsettled)
			*unsettled = unsettled_of(db, &r[i], a);
		if (!license || says_more(r[i].license, license))
			license = r[i].license;
		if (model_base_models(db, r[i].id, a, &repos, &n_repos, NULL, NULL))
			continue;
		for (size_t k = 0; k < n_repos; k++)
			bases_add(made_from, repos[k], a);
	}
	return license;
}

const char *bases_standing(struct db *db, int64_t model_id, struct arena *a)
{
	struct bases *made_from = arena_alloc(a, sizeof(*made_from));
	const char *unsettled, *text = standing(db, model_id, a, made_from, &unsettled);

	for (size_t i = 0; text && i < made_from->n; i++)
		text = arena_printf(a, "%s %s", text, made_from->v[i].repo);
	if (text && unsettled)
		text = arena_printf(a, "%s, %s", text, unsettled);
	return text ? text : "";
}

/* What the catalog knows of base i, and of what that was made from. One that upstream has renamed may be here under its new name besides: then that counts too. */
static bool from_catalog(struct work *w, struct bases *b, size_t i)
{
	const char *now, *unsettled;
	struct model m;

	if (model_find_repo(w->db, b->v[i].repo, w->arena, &m, NULL))
		return false;
	if (!model_renamed_to(w->db, &m, w->arena, &now, NULL) && now)
		bases_add(b, now, w->arena);
	b->v[i].license = standing(w->db, m.id, w->arena, b, &unsettled);
	b->v[i].unsettled = unsettled;
	return b->v[i].license != NULL;
}

/* The same from what upstream answered. */
static bool from_answer(struct bases *b, size_t i, const json_t *answer, struct arena *a)
{
	const char *license = json_get_str(answer, "license"), *known = license ? licence_normalise(license) : NULL;

	if (!answer)
		return false;
	b->v[i].unanswered = json_get_str(answer, "unanswered") ? arena_strdup(a, json_get_str(answer, "unanswered")) : NULL;
	b->v[i].unsettled = json_get_str(answer, "contested") ? contested(json_get_str(answer, "contested"), a) : NULL;
	b->v[i].license = known ? known : license ? arena_strdup(a, license) : NULL;
	add_json(b, json_object_get(answer, "base_model"), a);
	return true;
}

/* What was answered about the bases of a revision, NULL when nothing was. */
static json_t *read_asked(struct work *w, int64_t revision_id)
{
	const char *text;
	json_t *asked;
	size_t n;

	if (model_document(w->db, revision_id, DOCUMENT_PROOF, BASES_DOCUMENT, w->arena, &text, &n, NULL))
		return NULL;
	asked = json_parse_lax(text, n, "what was said of base models", NULL);
	if (json_is_object(asked))
		return asked;
	json_decref(asked);
	return NULL;
}

void bases_gather(struct work *w, int64_t revision_id, struct bases *out)
{
	own(json) json_t *asked = read_asked(w, revision_id);

	out->n_own = out->n;
	for (size_t i = 0; i < out->n; i++)	/* grows meanwhile */
		if (!from_catalog(w, out, i))
			from_answer(out, i, json_object_get(asked, out->v[i].repo), w->arena);
	note_cut(out);
}

bool bases_unanswered(struct work *w, int64_t revision_id)
{
	own(json) json_t *asked = read_asked(w, revision_id);
	const char *repo;
	json_t *answer;

	json_object_foreach (asked, repo, answer)
		if (json_get_str(answer, "unanswered"))
			return true;
	return false;
}

static const char *text_of(const json_t *v, struct arena *a)
{
	return json_is_string(v) ? str_printable(arena_strdup(a, json_string_value(v))) : NULL;
}

/* One or several; what is there and no text is a licence that nobody can read. */
static void claim_card(struct licence_claims *c, const json_t *said, struct arena *a)
{
	size_t n = json_is_array(said) ? json_array_size(said) : 1;
	const char **list = arena_alloc(a, (c->n_card + n) * sizeof(*list) + 1);

	if (c->n_card)
		memcpy(list, c->card, c->n_card * sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_is_array(said) ? json_array_get(said, i) : said;

		if (v && !json_is_null(v))
			list[c->n_card++] = json_is_string(v) ? text_of(v, a) : "not a name";
	}
	c->card = list;
}

void bases_upstream_claims(const json_t *doc, struct arena *a, struct licence_claims *c)
{
	const json_t *list = json_object_get(doc, "tags"), *item;
	json_t *card = json_object_get(doc, "cardData"), *said;
	const char *key, **tags = arena_alloc(a, LICENCE_TAGS_MAX * sizeof(*tags));
	size_t i;

	*c = (struct licence_claims){ .tags = tags };
	c->card_name = text_of(card_the_one(json_object_get(card, "license_name")), a);
	c->card_link = text_of(card_the_one(json_object_get(card, "license_link")), a);
	json_object_foreach (card, key, said)
		if (card_is_licence_key(key))
			claim_card(c, said, a);
	licence_read_card(card, NULL, 0, a, c);
	json_array_foreach (list, i, item)
		if (c->n_tags < LICENCE_TAGS_MAX && json_is_string(item) && str_starts(json_string_value(item), "license:") && json_string_value(item)[8])
			tags[c->n_tags++] = text_of(item, a) + 8;
}

/* The licence that upstream names: what its card says, or the tags that it made of that. NULL: none. */
static const char *license_of(const json_t *doc, struct arena *a, const char **contested_by)
{
	struct licence_answer answer;
	struct licence_claims c;

	bases_upstream_claims(doc, a, &c);
	licence_resolve(&c, a, &answer);
	*contested_by = answer.n_conflicts ? answer.conflicts[0] : NULL;
	return strcmp(answer.source, "none") ? answer.id : NULL;
}

/* Of a fault that may pass the licence is unknown for now; one that upstream does not have, or not for us, is one that nobody knows. */
static int ask(struct work *w, struct hub *hub, const char *repo, json_t *asked, struct err *e)
{
	own(revision) struct hub_revision r = { 0 };
	struct err why = ERR_NONE;
	const char *license, *contested_by;
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
	license = license_of(r.doc, w->arena, &contested_by);
	json_object_set_new(asked, repo, json_pack("{s:s?, s:s*, s:o}", "license", license, "contested", contested_by, "base_model", names));
	return 0;
}

/* Asks about those of b that the catalog does not have and `asked` does not answer, and about what these were made from. */
static int ask_along(struct work *w, struct hub *hub, struct bases *b, json_t *asked, struct err *e)
{
	size_t requests = 0;
	int rc = 0;

	for (size_t i = 0; i < b->n && rc == 0; i++) {	/* grows meanwhile */
		const char *repo = b->v[i].repo;

		if (from_catalog(w, b, i))
			continue;
		if (!json_object_get(asked, repo)) {
			if (requests++ == BASES_ASKED_MAX)
				json_object_set_new(asked, repo, json_pack("{s:s}", "unanswered", "upstream was asked about many others before it"));
			else if (requests <= BASES_ASKED_MAX)
				rc = ask(w, hub, repo, asked, e);
		}
		if (rc == 0)
			from_answer(b, i, json_object_get(asked, repo), w->arena);
	}
	note_cut(b);
	return rc;
}

int bases_ask(struct work *w, struct hub *hub, const json_t *doc, json_t **asked, struct bases *out, struct err *e)
{
	*asked = json_object();
	add_doc(out, doc, w->arena);
	out->n_own = out->n;
	return ask_along(w, hub, out, *asked, e);
}

/* ---- what the card and adapters' configurations name --------------------------------------------------------------- */

bool bases_is_adapter(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(slash ? slash + 1 : path, "adapter_config.json");
}

void bases_add_adapter(struct bases *b, const char *config, size_t n, struct arena *a)
{
	own(json) json_t *j = json_parse_lax(config, n, "adapter_config.json", NULL);
	const char *base = json_get_str(j, "base_model_name_or_path");

	if (base && *base)
		bases_add(b, base, a);
}

static void add_card(struct bases *b, const struct buf *text, struct arena *a)
{
	own(card) struct card c = { 0 };

	card_parse(text->data, text->len, a, &c);
	for (size_t i = 0; i < c.base_model.n; i++)
		bases_add(b, c.base_model.item[i], a);
}

static int read_stored(struct work *w, int64_t revision_id, const struct model_file *f, struct bases *b, struct err *e)
{
	bool adapter = bases_is_adapter(f->path), kept;
	own(buf) struct buf text;
	int rc;

	buf_init(&text, BASES_TEXT_MAX);
	rc = loss_read(w->d, revision_id, f, adapter ? DOCUMENT_CONFIG : DOCUMENT_CARD, &text, &kept, e);
	if (rc == ERR_NOT_FOUND) {	/* the gate says so */
		*e = (struct err)ERR_NONE;
		return 0;
	}
	if (rc)
		return rc;
	if (adapter)
		bases_add_adapter(b, text.data, text.len, w->arena);
	else
		add_card(b, &text, w->arena);
	return 0;
}

static int read_all_stored(struct work *w, int64_t revision_id, struct bases *b, struct err *e)
{
	own(walk) struct model_walk files = { .db = w->db, .revision_id = revision_id, .which = FILES_ALL };
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&files, &f, e)) > 0)
		if ((bases_is_adapter(f->path) || !strcmp(f->path, "README.md")) && f->stored && f->size_bytes <= BASES_TEXT_MAX && (rc = read_stored(w, revision_id, f, b, e)) < 0)
			return rc;
	return rc;
}

int bases_ask_stored(struct work *w, struct hub *hub, int64_t revision_id, struct err *e)
{
	struct bases *b = arena_alloc(w->arena, sizeof(*b));
	own(json) json_t *asked = NULL;
	own(mem) char *text = NULL;
	size_t known;
	int rc = read_all_stored(w, revision_id, b, e);

	if (rc || !b->n)
		return rc;
	asked = read_asked(w, revision_id);
	if (!asked)
		asked = json_object();
	known = json_object_size(asked);
	rc = ask_along(w, hub, b, asked, e);
	if (rc || json_object_size(asked) == known)
		return rc;
	text = json_text(asked);
	return model_keep_document(w->db, revision_id, DOCUMENT_PROOF, BASES_DOCUMENT, text, strlen(text), work_now(), e);
}
