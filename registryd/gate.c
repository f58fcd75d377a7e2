/* gate.c - see gate.h. Deciding itself is catalog/policy's, a pure function; here is what it is asked about. */
#include "registryd/gate.h"

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/finding.h"
#include "catalog/retention.h"
#include "registryd/bases.h"
#include "registryd/bill.h"
#include "registryd/derive.h"
#include "registryd/loss.h"
#include "registryd/quota.h"
#include "verify/card.h"

#define TEXTS_MAX      200	/* licence texts of one model */
#define TEXT_BYTES_MAX ((uint64_t)16 << 20)	/* in them */
#define TAGS_MAX       500

struct documents {
	struct work *w;
	int64_t revision_id;
	struct card card;
	bool card_read;
	struct licence_claims said;	/* the words of the card that was read */
	struct licence_claims claims;	/* of upstream, and instead of what it has made of the card the card itself */
	json_t *config;			/* config.json */
	const json_t *info, *inspection;
	struct licence_text texts[TEXTS_MAX + 1];
	uint64_t text_bytes;
	bool texts_cut;		/* the last one stands for all that follow */
	size_t n_texts;
	struct bases bases;
	const char *repo;
	const char *linked;		/* the file that the card's license_link names; NULL: it leads elsewhere, or there is none */
	bool linked_listed;		/* the revision has that file */
	const char *terms_elsewhere;	/* a sentence, where nobody here can have read the licence */
	const char *tags[TAGS_MAX];
	size_t n_tags;
};

static const char *tame(struct work *w, const char *s)
{
	return s && *s ? str_printable(arena_strndup(w->arena, s, strnlen(s, 400))) : NULL;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

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
	return d->n_texts >= TEXTS_MAX || d->text_bytes > TEXT_BYTES_MAX;
}

/* What can't be read may say anything. */
static void add_text(struct documents *d, struct licence_text t)
{
	if (d->texts_cut)
		return;
	t.path = arena_strdup(d->w->arena, t.path);
	t.linked = is_linked(d, t.path);
	if (is_full(d)) {	/* linked: it counts, be it of a part by its name, for others are behind it */
		const char *most = d->n_texts < TEXTS_MAX ? "16 MiB of" : "200";

		t = (struct licence_text){ .path = t.path, .linked = licence_is_of_parts(t.path), .unread = arena_printf(d->w->arena, "and what follows were not read: more than %s licence texts", most) };
		d->texts_cut = true;
	}
	d->texts[d->n_texts++] = t;
}

const char *gate_unreadable(const struct buf *b)
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

	buf_init(&b, GATE_DOCUMENT_MAX);
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
		struct licence_text t = { .path = f->path, .unread = gate_unreadable(&b) };

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

	if (model_file(d->w->db, d->revision_id, CARD_PATH, FILES_ALL, d->w->arena, &f, NULL) || f.size_bytes > GATE_DOCUMENT_MAX)
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

const char *gate_linked_text(const char *link, const json_t *info, const char *repo, struct arena *a)
{
	const char *canonical = json_get_str(info, "id"), *path = NULL;

	if (!link)
		link = json_string_value(card_the_one(json_object_get(json_object_get(info, "cardData"), "license_link")));
	if (link && canonical)
		path = licence_link_path(link, canonical, a);
	return link && !path ? licence_link_path(link, repo, a) : path;
}

bool gate_is_evidence(const char *path, uint64_t size_bytes, const char *linked)
{
	return size_bytes <= GATE_DOCUMENT_MAX && (!strcmp(path, CARD_PATH) || licence_is_text_file(path, size_bytes) || (linked && !strcmp(path, linked)));
}

static int find_linked(struct documents *d, struct err *e)
{
	struct revision r;
	struct model m;
	int rc = model_revision(d->w->db, d->revision_id, d->w->arena, &m, &r, e);

	d->repo = rc ? NULL : arena_strdup(d->w->arena, m.name);
	d->linked = rc ? NULL : gate_linked_text(d->claims.card_link, d->info, m.name, d->w->arena);
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
		if (kind == DOCUMENT_LICENSE && f->size_bytes > GATE_DOCUMENT_MAX)
			add_text(d, (struct licence_text){ .path = f->path, .unread = "is too long for a licence, so nobody has read it" });
		if (!kind || kind == DOCUMENT_CARD || f->size_bytes > GATE_DOCUMENT_MAX)
			continue;
		rc = work_check(d->w, e);
		if (!rc)
			rc = read_document(d, f, kind, e);
		if (rc)
			return rc;
	}
	return rc;
}

/* ---- facts ----------------------------------------------------------------------------------------------------- */

static void add_tag(struct documents *d, const char *tag)
{
	if (!tag || !*tag || strlen(tag) > 200 || d->n_tags == TAGS_MAX)
		return;
	for (size_t i = 0; i < d->n_tags; i++)
		if (!strcmp(d->tags[i], tag))
			return;
	d->tags[d->n_tags++] = tag;
}

static void add_tags(struct documents *d, const struct card_list *l, const char *prefix)
{
	for (size_t i = 0; i < l->n; i++)
		add_tag(d, arena_printf(d->w->arena, "%s%s", prefix, l->item[i]));
}

/* Upstream's tags, and those that follow from the card, in the forms by which the Hub's listing is filtered. */
static void gather_tags(struct documents *d)
{
	const json_t *list = json_object_get(d->info, "tags"), *item;
	size_t i;

	json_array_foreach (list, i, item)
		add_tag(d, tame(d->w, json_string_value(item)));
	add_tags(d, &d->card.library, "");
	add_tags(d, &d->card.task, "");
	add_tags(d, &d->card.tags, "");
	add_tags(d, &d->card.language, "");
	add_tags(d, &d->card.datasets, "dataset:");
	for (i = 0; i < d->card.base_model.n; i++) {
		const char *name = bases_name(d->card.base_model.item[i], d->w->arena);

		if (name)
			add_tag(d, arena_printf(d->w->arena, "base_model:%s", name));
	}
	add_tags(d, &d->card.license, "license:");
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

static void resolve_licence(struct documents *d, const char *chosen, struct licence_answer *out)
{
	struct licence_claims c = d->claims;

	c.repo = d->repo;
	c.chosen = chosen;
	c.texts = d->texts;
	c.n_texts = d->n_texts;
	c.bases = d->bases.v;
	c.n_bases = d->bases.n;
	licence_resolve(&c, d->w->arena, out);
}

static const char *first(const struct card_list *l)
{
	return l->n ? l->item[0] : NULL;
}

static int64_t parameters(const struct documents *d)
{
	int64_t n = json_get_int(d->inspection, "params", 0);

	if (n <= 0)
		n = json_get_int(json_object_get(d->info, "safetensors"), "total", 0);
	return n > 0 ? n : 0;
}

static const char *dtypes(const struct documents *d)
{
	const json_t *own_count = json_object_get(d->inspection, "dtypes"), *theirs = json_object_get(json_object_get(d->info, "safetensors"), "parameters");
	const json_t *which = json_is_object(own_count) && json_object_size(own_count) ? own_count : theirs;
	own(mem) char *text = json_is_object(which) && json_object_size(which) < 100 ? json_text(which) : NULL;

	return text ? arena_strdup(d->w->arena, text) : NULL;
}

static const char *quantization(const struct documents *d)
{
	const json_t *q = json_object_get(d->config, "quantization_config");
	const char *s = json_get_str(d->inspection, "quantization");

	return tame(d->w, s ? s : json_get_str(q, "quant_method"));
}

static int64_t context_length(const struct documents *d)
{
	static const char *const keys[] = { "max_position_embeddings", "n_positions", "n_ctx", "seq_length", "max_sequence_length" };
	int64_t n = json_get_int(d->inspection, "context_length", 0);

	for (size_t i = 0; n <= 0 && i < ARRAY_LEN(keys); i++)
		n = json_get_int(d->config, keys[i], 0);
	return n > 0 ? n : 0;
}

static const char *architecture(const struct documents *d)
{
	const char *s = json_get_str(d->config, "model_type");

	return tame(d->w, s ? s : json_get_str(d->inspection, "architecture"));
}

/*
 * As the Hub tags what has a licence, also where a text or a person says so and no card: clients and other registries read it there. A person's word stands instead
 * of what others have tagged: whoever filters by licence finds what a listing by licence finds.
 */
static void put_licence_tag(struct documents *d, const struct licence_answer *answer)
{
	size_t n = 0;

	if (!strcmp(answer->source, "person")) {
		for (size_t i = 0; i < d->n_tags; i++)
			if (!str_starts(d->tags[i], "license:"))
				d->tags[n++] = d->tags[i];
		d->n_tags = n;
	}
	for (size_t i = 0; i < d->n_tags; i++)
		if (str_starts(d->tags[i], "license:"))
			return;
	if (strcmp(answer->id, "unknown"))
		add_tag(d, arena_printf(d->w->arena, "license:%s", str_starts(answer->id, "other:") ? "other" : answer->id));
}

/* Has nobody read the terms of this licence: it is no known one, and no text here is its? Then where they are is said. NULL: they are known. */
static const char *terms_elsewhere(const struct documents *d, const char *id)
{
	const char *link = tame(d->w, d->claims.card_link);

	if (!link || licence_has_text(id) || d->linked_listed)
		return NULL;
	for (size_t i = 0; i < d->n_texts; i++)
		if (d->texts[i].recognised && !strcmp(d->texts[i].recognised, id))
			return NULL;
	if (d->linked)
		return arena_printf(d->w->arena, "the terms of its licence are said to be in %s, which is not in the repository, so nobody here has read them", d->linked);
	return arena_printf(d->w->arena, "the terms of its licence are said to be at %s, which is not in the repository, so nobody here has read them", link);
}

static int set_facts(struct documents *d, const char *license, struct err *e)
{
	const char *task = first(&d->card.task), *library = first(&d->card.library), *bases[BASES_MAX];
	struct licence_answer answer;
	struct model_facts f;

	gather_tags(d);
	gather_bases(d);
	resolve_licence(d, license, &answer);
	put_licence_tag(d, &answer);
	d->terms_elsewhere = terms_elsewhere(d, answer.id);
	for (size_t i = 0; i < d->bases.n_own; i++)
		bases[i] = d->bases.v[i].repo;
	f = (struct model_facts){
		.license = answer.id,
		.license_name = answer.name,
		.license_link = d->claims.card_link,
		.license_source = answer.source,
		.license_conflicts = answer.conflicts,
		.n_license_conflicts = answer.n_conflicts,
		.params = parameters(d),
		.dtypes = dtypes(d),
		.architecture = architecture(d),
		.quantization = quantization(d),
		.task = tame(d->w, json_get_str_or(d->info, "pipeline_tag", task ? task : json_get_str(d->inspection, "task"))),
		.library = tame(d->w, json_get_str_or(d->info, "library_name", library)),
		.context_length = context_length(d),
		.tags = d->tags,
		.n_tags = d->n_tags,
		.base_models = bases,
		.n_base_models = d->bases.n_own,
		.base_relation = d->card.base_model_relation,
		.new_version = d->card.new_version,
	};
	return model_set_facts(d->w->db, d->revision_id, &f, e);
}

static int record_card(struct documents *d, struct err *e)
{
	struct finding f[2];
	size_t n = 0;

	if (d->card.verdict != CARD_FINE)
		f[n++] = (struct finding){ CARD_PATH, "card", FINDING_FLAG, d->card.problem };
	if (d->terms_elsewhere)
		f[n++] = (struct finding){ CARD_PATH, "license-link", FINDING_ACCEPT, d->terms_elsewhere };
	return finding_record(d->w->db, d->revision_id, "card", NULL, 0, f, n, true, work_now(), e);
}

static int documents_read(struct documents *d, struct err *e)
{
	int rc = read_card(d, e);

	gather_claims(d);
	if (!rc)
		rc = find_linked(d, e);
	return rc ? rc : read_all(d, e);
}

static void documents_done(struct documents *d)
{
	card_done(&d->card);
	json_decref(d->config);
}

int gate_read_documents(struct work *w, int64_t revision_id, const json_t *info, const json_t *inspection, const char *license, struct err *e)
{
	struct documents *d = arena_alloc(w->arena, sizeof(*d));
	int rc;

	*d = (struct documents){ .w = w, .revision_id = revision_id, .info = info, .inspection = inspection };
	rc = documents_read(d, e);
	if (!rc)
		rc = set_facts(d, license, e);
	if (!rc)
		rc = record_card(d, e);
	documents_done(d);
	return rc;
}

/* ---- deciding -------------------------------------------------------------------------------------------------- */

int gate_preview_quota(struct work *w, const char *repo, uint64_t new_bytes, struct policy_facts *f, struct err *e)
{
	const char *slash = strchr(repo, '/');
	int rc;

	f->author = arena_strndup(w->arena, repo, slash ? (size_t)(slash - repo) : 0);
	if (!policy_has_quotas(w->policy))
		return 0;
	rc = retention_namespace_bytes(w->db, f->author, &f->namespace_bytes, e);
	f->namespace_bytes += rc ? 0 : new_bytes;
	return rc;
}

int gate_check_store(struct daemon *d, int64_t revision_id, struct err *e)
{
	own(walk) struct model_walk w = { .db = d->db, .revision_id = revision_id, .which = FILES_WANTED };
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&w, &f, e)) > 0) {
		struct err why = ERR_NONE;
		int has = f->stored ? store_has(d->store, &f->sha256, f->size_bytes, &why) : 1;	/* what was never here the catalog knows */

		if (has == 1)
			continue;
		if (has < 0 && has != ERR_MISMATCH) {
			*e = why;
			return has;
		}
		rc = loss_note(d, &f->sha256, has < 0, has < 0 ? why.msg : "it is no longer in the store", e);
		return rc ? rc : err_set(e, ERR_CONFLICT, "'%.300s' is %s in the store: sync it again", f->path, has ? "damaged" : "no longer");
	}
	return rc;
}

/* What the policy says of it now. Strings live in w->arena. */
static int ask_policy(struct work *w, int64_t revision_id, struct policy_facts *facts, struct policy_verdict *verdict, struct err *e)
{
	const struct policy *p = daemon_policy(w->d);	/* not the job's: hours may lie between */
	int rc = model_evidence(w->db, revision_id, w->arena, facts, e);

	if (!rc && policy_has_quotas(p))
		rc = retention_bytes_with(w->db, revision_id, w->arena, &facts->author, &facts->namespace_bytes, e);
	if (!rc)
		policy_decide(p, facts, work_now(), w->arena, verdict);
	return rc;
}

int gate_may_differ(struct work *w, int64_t revision_id, bool *differs, struct err *e)
{
	struct policy_verdict *v = arena_alloc(w->arena, sizeof(*v));
	struct policy_facts facts;
	int rc = ask_policy(w, revision_id, &facts, v, e);

	*differs = !rc && (v->outcome == POLICY_PUBLISH || (facts.smoke && !strcmp(facts.smoke, "error")));
	return rc;
}

const char *gate_word_on_licence(const struct policy_verdict *v)
{
	for (size_t i = 0; v->outcome != POLICY_PUBLISH && i < v->n_reasons; i++)
		if (!strcmp(v->reasons[i].rule, "license") && v->reasons[i].outcome != POLICY_PUBLISH)
			return v->reasons[i].text;
	return NULL;
}

/* What the licence would be with this word of a person, and nothing of it is recorded. */
static int licence_if(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct policy_facts *facts, struct err *e)
{
	struct documents *d = arena_alloc(w->arena, sizeof(*d));
	struct licence_answer *answer = arena_alloc(w->arena, sizeof(*answer));
	int rc;

	*d = (struct documents){ .w = w, .revision_id = revision_id, .info = info };
	rc = documents_read(d, e);
	if (!rc) {
		gather_bases(d);
		resolve_licence(d, license, answer);
		facts->license = answer->id;
		facts->license_said = licence_said(answer->name, w->arena);
		facts->license_conflicts = answer->conflicts;
		facts->n_license_conflicts = answer->n_conflicts;
		facts->license_unread = terms_elsewhere(d, answer->id);
	}
	documents_done(d);
	return rc;
}

int gate_relicense(struct work *w, int64_t revision_id, const json_t *info, const char *license, struct gate_outcome *out, struct err *e)
{
	struct policy_verdict *v = arena_alloc(w->arena, sizeof(*v));
	struct policy_facts facts;
	struct revision r;
	int rc = model_revision(w->db, revision_id, w->arena, NULL, &r, e);

	*out = (struct gate_outcome){ 0 };
	if (rc || r.state != REVISION_PUBLISHED)
		return rc;
	rc = model_evidence(w->db, revision_id, w->arena, &facts, e);
	if (!rc)
		rc = licence_if(w, revision_id, info, license, &facts, e);
	if (rc)
		return rc;
	policy_decide(daemon_policy(w->d), &facts, work_now(), w->arena, v);
	out->state = r.state;
	out->reason = gate_word_on_licence(v);
	if (!out->reason)
		return 0;
	v->summary = out->reason;
	return model_conclude(w->db, revision_id, v, work_now(), e);
}

/* Two that fit one by one are not both let in beside each other. */
static int decide(struct work *w, int64_t revision_id, struct policy_verdict *verdict, struct err *e)
{
	struct policy_facts facts;
	int rc;

	quota_lock(w->d->quota);
	rc = ask_policy(w, revision_id, &facts, verdict, e);
	if (!rc)
		rc = model_conclude(w->db, revision_id, verdict, work_now(), e);
	quota_unlock(w->d->quota);
	return rc;
}

int gate_conclude(struct work *w, int64_t revision_id, struct gate_outcome *out, struct err *e)
{
	struct policy_verdict verdict;
	struct revision r;
	const char *before;
	int rc = model_revision(w->db, revision_id, w->arena, NULL, &r, e);

	if (rc)
		return rc;
	before = bases_standing(w->db, r.model_id, w->arena);
	rc = decide(w, revision_id, &verdict, e);
	if (!rc)
		rc = derive_queue(w->db, r.model_id, before, w->arena, e);
	if (!rc)
		rc = model_revision(w->db, revision_id, w->arena, NULL, &r, e);
	if (rc)
		return rc;
	bill_note(w->d, revision_id);
	out->state = r.state;
	out->reason = verdict.outcome == POLICY_PUBLISH ? NULL : verdict.summary;
	return 0;
}

int gate_reject(struct work *w, int64_t revision_id, const char *inspector, const char *rule, const char *path, const char *why, struct err *e)
{
	struct policy_verdict verdict = { .outcome = POLICY_REJECT, .reasons = { { .rule = rule, .outcome = POLICY_REJECT, .text = why } }, .n_reasons = 1, .summary = why };
	struct finding f = { path, rule, FINDING_REJECT, why };
	int rc = finding_record(w->db, revision_id, inspector, NULL, 0, &f, 1, true, work_now(), e);

	return rc ? rc : model_conclude(w->db, revision_id, &verdict, work_now(), e);
}
