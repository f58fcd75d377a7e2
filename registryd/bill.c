/* bill.c - see bill.h. */
#include "registryd/bill.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "catalog/evidence.h"
#include "catalog/finding.h"
#include "catalog/lost.h"
#include "catalog/model.h"
#include "catalog/query.h"
#include "verify/card.h"

#define PROPERTIES_MAX 24
#define METRICS_MAX 500
#define METRIC_WORDS_MAX 200
#define NAMES_MAX 4096	/* base models, or data sets, of one card */

struct bill {
	struct sbom_files files;	/* the first, so that it is the bill too */
	struct model_walk walk;
	struct arena *a;
	struct sbom_facts facts;
	struct sbom_property properties[PROPERTIES_MAX];
	json_t *shown, *why;		/* whose texts the facts are */
};

static void own_bill(struct bill *b)
{
	model_walk_rewind(&b->walk);
	json_decref(b->shown);
	json_decref(b->why);
}

/* A property is left out when it is not known. */
static void add(struct bill *b, const char *name, const char *value)
{
	if (value && *value && b->facts.n_properties < PROPERTIES_MAX)
		b->properties[b->facts.n_properties++] = (struct sbom_property){ name, value };
}

/* Any scalar of the catalog's JSON as text. */
static void add_member(struct bill *b, const char *name, const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	if (json_is_string(v))
		add(b, name, json_string_value(v));
	else if (json_is_integer(v))
		add(b, name, arena_printf(b->a, "%lld", (long long)json_integer_value(v)));
	else if (json_is_real(v))
		add(b, name, arena_printf(b->a, "%.6g", json_real_value(v)));
}

static const char *const *names_of(struct bill *b, const json_t *list, size_t *n)
{
	size_t i, max = json_array_size(list);
	const char **names;
	const json_t *v;

	max = max > NAMES_MAX ? NAMES_MAX : max;
	names = arena_alloc(b->a, (max + 1) * sizeof(*names));
	*n = 0;
	json_array_foreach(list, i, v)
		if (json_is_string(v) && *n < max)
			names[(*n)++] = json_string_value(v);
	return names;
}

/* The revision's tags say which data sets its card names: "dataset:NAME". */
static int read_datasets(struct bill *b, struct db *db, int64_t revision_id, struct err *e)
{
	const char **tags, **names;
	size_t n;

	if (model_revision_tags(db, revision_id, b->a, &tags, &n, e) < 0)
		return e->code;
	names = arena_alloc(b->a, (n + 1) * sizeof(*names));
	for (size_t i = 0; i < n && b->facts.n_datasets < NAMES_MAX; i++)
		if (str_starts(tags[i], "dataset:"))
			names[b->facts.n_datasets++] = tags[i] + strlen("dataset:");
	b->facts.datasets = names;
	return 0;
}

/* A short text of the card, or NULL: foreign words that go into a document of ours. */
static const char *words(struct bill *b, const json_t *obj, const char *key)
{
	const char *s = json_get_str(obj, key);

	return s && *s && strlen(s) <= METRIC_WORDS_MAX && str_utf8_valid(s, strlen(s)) ? str_printable(arena_strdup(b->a, s)) : NULL;
}

static void add_metrics(struct bill *b, struct sbom_metric *to, const json_t *result)
{
	const json_t *dataset = json_object_get(result, "dataset"), *metric;
	const char *name = words(b, dataset, "name");
	size_t i;

	json_array_foreach (json_object_get(result, "metrics"), i, metric) {
		struct sbom_metric m = { words(b, metric, "type"), words(b, metric, "value"), name ? name : words(b, dataset, "type") };

		if (m.type && m.value && b->facts.n_metrics < METRICS_MAX)
			to[b->facts.n_metrics++] = m;
	}
}

/* The card's model-index. It is a claim, and stands in the bill as one. */
static void read_metrics(struct bill *b, struct db *db, int64_t revision_id)
{
	struct sbom_metric *list = arena_alloc(b->a, METRICS_MAX * sizeof(*list));
	own(card) struct card card = { 0 };
	const json_t *model, *result;
	const char *text;
	size_t n, i, k;

	if (model_document(db, revision_id, DOCUMENT_CARD, "", b->a, &text, &n, NULL) < 0)
		return;
	card_parse(text, n, b->a, &card);
	json_array_foreach (json_object_get(card.front, "model-index"), i, model)
		json_array_foreach (json_object_get(model, "results"), k, result)
			add_metrics(b, list, result);
	b->facts.metrics = list;
}

static int next_file(struct sbom_files *self, struct sbom_file *out, struct err *e)
{
	struct bill *b = (struct bill *)self;
	const struct model_file *f;
	int rc = model_walk_next(&b->walk, &f, e);

	if (rc > 0)
		*out = (struct sbom_file){ f->path, f->size_bytes, f->sha256, f->git_oid };
	else
		model_walk_rewind(&b->walk);
	return rc;
}

/* Where the bytes came from. What was imported by hand has no address; a name that can't be mistaken for one stands in its place. */
static const char *source_of(struct bill *b, const struct config *c, const struct model *m, const struct revision *r)
{
	const struct config_upstream *up = strcmp(m->upstream, "import") != 0 ? config_find_upstream(c, m->upstream) : NULL;

	if (up)
		return arena_printf(b->a, "%s/%s/tree/%s", up->endpoint, m->name, r->commit);
	return arena_printf(b->a, "urn:registryd:%s:%s:%s", m->upstream, m->name, r->commit);
}

static void read_license(struct bill *b, const json_t *l)
{
	const char *spdx = json_get_str(l, "spdx");
	const json_t *conflict;
	size_t i;

	if (spdx && strcmp(spdx, "NOASSERTION") != 0)
		b->facts.license_spdx = spdx;
	b->facts.license_name = json_get_str(l, "name");
	add_member(b, "registryd:license:id", l, "id");
	add_member(b, "registryd:license:source", l, "source");
	add_member(b, "registryd:license:commercial-use", l, "commercial_use");
	json_array_foreach(json_object_get(l, "conflicts"), i, conflict)
		add(b, "registryd:license:conflict", json_string_value(conflict));
}

/* The decision in force: the newest decision's rows stand first in `why`. */
static int read_decision(struct bill *b, struct db *db, const struct revision *r, struct err *e)
{
	const json_t *first;

	b->why = finding_why(db, r->id, e);
	if (!b->why)
		return e->code;
	first = json_array_get(b->why, 0);
	add(b, "registryd:policy:decision", r->state == REVISION_PUBLISHED ? "publish" : revision_state_name(r->state));
	add_member(b, "registryd:policy:decided-by", first, "by");
	add_member(b, "registryd:policy:decided-at", first, "at");
	return 0;
}

static void read_figures(struct bill *b, const json_t *shown)
{
	const json_t *smoke = json_object_get(shown, "smoke");

	add_member(b, "registryd:proof", shown, "proof");
	add_member(b, "registryd:upstream", shown, "upstream");
	add_member(b, "registryd:parameters", shown, "params");
	add_member(b, "registryd:quantization", shown, "quantization");
	add_member(b, "registryd:smoke:verdict", smoke, "verdict");
	add_member(b, "registryd:smoke:bits-per-byte", smoke, "bits_per_byte");
	add_member(b, "registryd:smoke:device", smoke, "device");
	add_member(b, "registryd:smoke:at", smoke, "at");
}

/* model and rev live as long as the bill. */
static int compose(struct bill *b, struct daemon *d, const struct model *m, const struct revision *r, struct arena *a, struct err *e)
{
	*b = (struct bill){ .files.next = next_file, .walk = { .db = d->db, .revision_id = r->id, .which = r->state == REVISION_PUBLISHED ? FILES_SERVED : FILES_HELD }, .a = a };
	if (lost_check(d->db, r->id, e) < 0)
		return err_wrap(e, "no bill of materials can be made of %s@%.12s", m->name, r->commit);
	/* Time is of no matter for what is read here; the revision's own keeps the bytes the same. */
	b->shown = query_row_json(d->db, r->id, daemon_policy(d), r->published_at, e);
	if (!b->shown)
		return e->code;
	b->facts.repo = m->name;
	b->facts.commit = r->commit;
	b->facts.source_url = source_of(b, daemon_config(d), m, r);
	b->facts.published_at = r->published_at;
	b->facts.task = r->task;
	b->facts.architecture = r->architecture;
	b->facts.files = &b->files;
	b->facts.properties = b->properties;
	b->facts.base_models = names_of(b, json_object_get(b->shown, "base_models"), &b->facts.n_base_models);
	read_license(b, json_object_get(b->shown, "license"));
	read_figures(b, b->shown);
	read_metrics(b, d->db, r->id);
	if (read_decision(b, d->db, r, e) < 0 || read_datasets(b, d->db, r->id, e) < 0)
		return e->code;
	return sbom_identify(&b->facts, e);
}

/* ---- keeping ---------------------------------------------------------------------------------------------------- */

static int keep(struct daemon *d, const struct model *m, const struct revision *r, struct arena *a, struct err *e)
{
	own(spool) struct spool cyclonedx = { 0 }, spdx = { 0 };
	struct spool *text[] = { [SBOM_CYCLONEDX] = &cyclonedx, [SBOM_SPDX] = &spdx };
	struct evidence list[ARRAY_LEN(text)];
	own(bill) struct bill b = { 0 };
	int rc = compose(&b, d, m, r, a, e);

	for (enum sbom_format f = SBOM_CYCLONEDX; f <= SBOM_SPDX && !rc; f++) {
		store_spool(d->store, text[f], SBOM_MAX_BYTES);
		rc = sbom_write(text[f], f, &b.facts, e);
		list[f] = (struct evidence){ sbom_format_name(f), text[f] };
	}
	return rc ? rc : evidence_keep(d->db, r->id, list, ARRAY_LEN(list), (int64_t)time(NULL), e);
}

int bill_keep(struct daemon *d, int64_t revision_id, struct err *e)
{
	own(arena) struct arena a;
	struct revision r;
	struct model m;
	int rc;

	arena_init(&a);
	rc = model_revision(d->db, revision_id, &a, &m, &r, e);
	return rc || r.state != REVISION_PUBLISHED ? rc : keep(d, &m, &r, &a, e);
}

void bill_note(struct daemon *d, int64_t revision_id)
{
	struct err e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];

	if (bill_keep(d, revision_id, &e))
		log_event(LOG_WARNING, "sbom.not_kept", "revision=%lld error=%s", (long long)revision_id, log_quote(quoted, e.msg));
}

/* One that is too large to be kept, or was published by an earlier version and has ended since, is made when asked for. */
static int make_now(struct daemon *d, const struct model *m, const struct revision *r, enum sbom_format format, struct arena *a, struct spool *out, struct err *e)
{
	own(bill) struct bill b = { 0 };
	int rc;

	if (!r->published_at)
		return err_set(e, ERR_REFUSED, "%s@%.12s is %s and was never published: only published revisions have a bill of materials%s%s", m->name, r->commit,
			       revision_state_name(r->state), r->reason ? ". Why: " : "", r->reason ? r->reason : "");
	if (r->state == REVISION_PUBLISHED)
		bill_note(d, r->id);
	rc = compose(&b, d, m, r, a, e);
	return rc ? rc : sbom_write(out, format, &b.facts, e);
}

int bill_read(struct daemon *d, int64_t revision_id, enum sbom_format format, const char *sha256, struct arena *a, struct spool *out, struct err *e)
{
	struct revision r;
	struct model m;
	int rc = model_revision(d->db, revision_id, a, &m, &r, e);

	if (!rc)
		rc = evidence_read(d->db, revision_id, sbom_format_name(format), sha256, out, e);
	if (rc == ERR_NOT_FOUND && !sha256)
		return make_now(d, &m, &r, format, a, out, e);
	return rc ? rc : spool_end(out, e);
}
