/* documents.c - see documents.h. */
#include "registryd/documents.h"

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/loss.h"

#define TEXT_BYTES_MAX ((uint64_t)16 << 20)	/* in them */

const char *documents_tame(struct work *w, const char *s)
{
	return s && *s ? str_printable(arena_strndup(w->arena, s, strnlen(s, 400))) : NULL;
}

static bool is_config(const char *path)
{
	static const char *const names[] = { "config.json", "tokenizer_config.json", "generation_config.json", "model_index.json",
					     "config_sentence_transformers.json", "modules.json", "preprocessor_config.json" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(path, names[i]))
			return true;
	return false;
}

static bool is_linked(const struct documents *d, const char *path)
{
	return d->linked && !strcmp(d->linked, path);
}

static enum document_kind kind_of(const struct documents *d, const char *path, uint64_t size_bytes)
{
	if (!strcmp(path, CARD_PATH))
		return DOCUMENT_CARD;
	if (is_config(path) || bases_is_adapter(path))
		return DOCUMENT_CONFIG;
	return licence_is_text_file(path, size_bytes) || is_linked(d, path) ? DOCUMENT_LICENSE : 0;
}

/* Are there more texts, or is there more in them, than anybody reads? */
static bool is_full(const struct documents *d)
{
	return d->n_texts >= DOCUMENTS_TEXTS_MAX || d->text_bytes > TEXT_BYTES_MAX;
}

/* What can't be read may say anything. */
static void add_text(struct documents *d, struct licence_text t)
{
	if (d->texts_cut)
		return;
	t.path = arena_strdup(d->w->arena, t.path);
	t.linked = is_linked(d, t.path);
	if (is_full(d)) {	/* linked: it counts, be it of a part by its name, for others are behind it */
		const char *most = d->n_texts < DOCUMENTS_TEXTS_MAX ? "16 MiB of" : "200";

		t = (struct licence_text){ .path = t.path, .linked = licence_is_of_parts(t.path), .unread = arena_printf(d->w->arena, "and what follows were not read: more than %s licence texts", most) };
		d->texts_cut = true;
	}
	d->texts[d->n_texts++] = t;
}

const char *documents_unreadable(const struct buf *b)
{
	static const char *const begins[] = { "%PDF", "%!PS", "PK\3\4", "{\\rtf", "\xd0\xcf\x11\xe0" };

	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (b->len > strlen(begins[i]) && !memcmp(b->data, begins[i], strlen(begins[i])))
			return "is not a text, so nobody has read it";
	return NULL;
}

/* A text that is not here, and what should be here and says what the licence is or what the model was made from, may say anything. */
static int not_here(struct documents *d, const struct model_file *f, enum document_kind kind, struct err *e)
{
	*e = (struct err)ERR_NONE;
	if (kind == DOCUMENT_LICENSE || (f->stored && (kind == DOCUMENT_CARD || bases_is_adapter(f->path))))
		add_text(d, (struct licence_text){ .path = f->path, .unread = "is not here, so nobody has read it" });
	return 0;
}

static int read_document(struct documents *d, const struct model_file *f, enum document_kind kind, struct err *e)
{
	own(buf) struct buf b;
	bool kept;
	int rc;

	buf_init(&b, DOCUMENTS_BYTES_MAX);
	rc = loss_read(d->w->d, d->revision_id, f, kind, &b, &kept, e);
	if (rc == ERR_NOT_FOUND)
		return not_here(d, f, kind, e);
	if (!rc && !kept)
		rc = model_keep_document(d->w->db, d->revision_id, kind, loss_document_name(kind, f->path), b.data, b.len, work_now(), e);
	if (rc)
		return rc;
	if (kind == DOCUMENT_CARD) {
		card_parse(b.data, b.len, d->w->arena, &d->card);
		licence_read_card(d->card.front, b.data, b.len, d->w->arena, &d->said);
		d->card_read = true;
	}
	if (kind == DOCUMENT_LICENSE) {
		struct licence_text t = { .path = f->path, .unread = documents_unreadable(&b) };

		d->text_bytes += b.len;
		if (!is_full(d))
			licence_read_file(f->path, b.data, b.len, d->w->arena, &t);
		add_text(d, t);
	}
	if (bases_is_adapter(f->path))
		bases_add_adapter(&d->bases, b.data, b.len, d->w->arena);
	if (!strcmp(f->path, "config.json"))
		d->config = json_parse_lax(b.data, b.len, f->path, NULL);
	return 0;
}

/* It says which other file may be a licence. */
static int read_card(struct documents *d, struct err *e)
{
	struct model_file f;

	if (model_file(d->w->db, d->revision_id, CARD_PATH, FILES_ALL, d->w->arena, &f, NULL) || f.size_bytes > DOCUMENTS_BYTES_MAX)
		return 0;
	return read_document(d, &f, DOCUMENT_CARD, e);
}

/* Upstream's reading of the card counts where nobody here has read it: what it claims is not lost with that. */
static void gather_claims(struct documents *d)
{
	struct licence_claims *c = &d->claims;

	bases_upstream_claims(d->info, d->w->arena, c);
	if (!d->card_read) {
		card_read_bases(json_object_get(json_object_get(d->info, "cardData"), "base_model"), d->w->arena, &d->card.base_model);
		return;
	}
	c->card = d->card.license.item;
	c->n_card = d->card.license.n;
	c->card_name = d->card.license_name;
	c->card_link = d->card.license_link;
	c->words = d->said.words;
	c->n_words = d->said.n_words;
}

const char *documents_linked_text(const char *link, const json_t *info, const char *repo, struct arena *a)
{
	const char *canonical = json_get_str(info, "id"), *path = NULL;

	if (!link)
		link = json_string_value(card_the_one(json_object_get(json_object_get(info, "cardData"), "license_link")));
	if (link && canonical)
		path = licence_link_path(link, canonical, a);
	return link && !path ? licence_link_path(link, repo, a) : path;
}

bool documents_is_evidence(const char *path, uint64_t size_bytes, const char *linked)
{
	return size_bytes <= DOCUMENTS_BYTES_MAX && (!strcmp(path, CARD_PATH) || licence_is_text_file(path, size_bytes) || (linked && !strcmp(path, linked)));
}

static int find_repo(struct documents *d, struct err *e)
{
	struct revision r;
	struct model m;
	int rc = model_revision(d->w->db, d->revision_id, d->w->arena, &m, &r, e);

	d->repo = rc ? NULL : arena_strdup(d->w->arena, m.name);
	d->said.repo = d->repo;
	return rc;
}

static int read_all(struct documents *d, struct err *e)
{
	own(walk) struct model_walk w = { .db = d->w->db, .revision_id = d->revision_id, .which = FILES_ALL };
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&w, &f, e)) > 0) {
		enum document_kind kind = kind_of(d, f->path, f->size_bytes);

		d->linked_listed |= is_linked(d, f->path);
		if (kind == DOCUMENT_LICENSE && f->size_bytes > DOCUMENTS_BYTES_MAX)
			add_text(d, (struct licence_text){ .path = f->path, .unread = "is too long for a licence, so nobody has read it" });
		if (!kind || kind == DOCUMENT_CARD || f->size_bytes > DOCUMENTS_BYTES_MAX)
			continue;
		rc = work_check(d->w, e);
		if (!rc)
			rc = read_document(d, f, kind, e);
		if (rc)
			return rc;
	}
	return rc;
}

int documents_read(struct documents *d, struct err *e)
{
	int rc = find_repo(d, e);

	rc = rc ? rc : read_card(d, e);
	gather_claims(d);
	d->linked = rc ? NULL : documents_linked_text(d->claims.card_link, d->info, d->repo, d->w->arena);
	return rc ? rc : read_all(d, e);
}

void documents_done(struct documents *d)
{
	card_done(&d->card);
	json_decref(d->config);
}

/* What it was made from: adapters' configurations have been read for it; its card and upstream's tags say so too. */
static void gather_bases(struct documents *d)
{
	const json_t *list = json_object_get(d->info, "tags"), *item;
	size_t i;

	for (i = 0; i < d->card.base_model.n; i++)
		bases_add(&d->bases, d->card.base_model.item[i], d->w->arena);
	json_array_foreach (list, i, item) {
		const char *name = json_is_string(item) ? bases_of_tag(json_string_value(item), d->w->arena) : NULL;

		if (name)
			bases_add(&d->bases, name, d->w->arena);
	}
	bases_gather(d->w, d->revision_id, &d->bases);
}

void documents_licence(struct documents *d, const char *chosen, struct licence_answer *out)
{
	struct licence_claims c;

	gather_bases(d);
	c = d->claims;
	c.repo = d->repo;
	c.chosen = chosen;
	c.texts = d->texts;
	c.n_texts = d->n_texts;
	c.bases = d->bases.v;
	c.n_bases = d->bases.n;
	licence_resolve(&c, d->w->arena, out);
}

const char *documents_terms_elsewhere(const struct documents *d, const char *id)
{
	const char *link = documents_tame(d->w, d->claims.card_link);

	if (!link || licence_has_text(id) || d->linked_listed)
		return NULL;
	for (size_t i = 0; i < d->n_texts; i++)
		if (d->texts[i].recognised && !strcmp(d->texts[i].recognised, id))
			return NULL;
	if (d->linked)
		return arena_printf(d->w->arena, "the terms of its licence are said to be in %s, which is not in the repository, so nobody here has read them", d->linked);
	return arena_printf(d->w->arena, "the terms of its licence are said to be at %s, which is not in the repository, so nobody here has read them", link);
}
