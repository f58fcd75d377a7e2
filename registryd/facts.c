/* facts.c - see facts.h. */
#include "registryd/facts.h"

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/finding.h"
#include "registryd/documents.h"

#define TAGS_MAX 500

struct tags {
	const char *v[TAGS_MAX];
	size_t n;
};

static void add_tag(struct tags *t, const char *tag)
{
	if (!tag || !*tag || strlen(tag) > 200 || t->n == TAGS_MAX)
		return;
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->v[i], tag))
			return;
	t->v[t->n++] = tag;
}

static void add_tags(struct tags *t, const struct card_list *l, const char *prefix, struct arena *a)
{
	for (size_t i = 0; i < l->n; i++)
		add_tag(t, arena_printf(a, "%s%s", prefix, l->item[i]));
}

/* Upstream's tags, and those that follow from the card, in the forms by which the Hub's listing is filtered. */
static void gather_tags(const struct documents *d, struct tags *t)
{
	const json_t *list = json_object_get(d->info, "tags"), *item;
	size_t i;

	json_array_foreach (list, i, item)
		add_tag(t, documents_tame(d->w, json_string_value(item)));
	add_tags(t, &d->card.library, "", d->w->arena);
	add_tags(t, &d->card.task, "", d->w->arena);
	add_tags(t, &d->card.tags, "", d->w->arena);
	add_tags(t, &d->card.language, "", d->w->arena);
	add_tags(t, &d->card.datasets, "dataset:", d->w->arena);
	for (i = 0; i < d->card.base_model.n; i++) {
		const char *name = bases_name(d->card.base_model.item[i], d->w->arena);

		if (name)
			add_tag(t, arena_printf(d->w->arena, "base_model:%s", name));
	}
	add_tags(t, &d->card.license, "license:", d->w->arena);
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

	return documents_tame(d->w, s ? s : json_get_str(q, "quant_method"));
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

	return documents_tame(d->w, s ? s : json_get_str(d->inspection, "architecture"));
}

/*
 * As the Hub tags what has a licence, also where a text or a person says so and no card: clients and other registries read it there. A person's word stands instead
 * of what others have tagged: whoever filters by licence finds what a listing by licence finds.
 */
static void put_licence_tag(struct tags *t, const struct licence_answer *answer, struct arena *a)
{
	size_t n = 0;

	if (!strcmp(answer->source, "person")) {
		for (size_t i = 0; i < t->n; i++)
			if (!str_starts(t->v[i], "license:"))
				t->v[n++] = t->v[i];
		t->n = n;
	}
	for (size_t i = 0; i < t->n; i++)
		if (str_starts(t->v[i], "license:"))
			return;
	if (strcmp(answer->id, "unknown"))
		add_tag(t, arena_printf(a, "license:%s", str_starts(answer->id, "other:") ? "other" : answer->id));
}

static int set_facts(const struct documents *d, const struct licence_answer *answer, const struct tags *tags, struct err *e)
{
	const char *task = first(&d->card.task), *library = first(&d->card.library), *bases[BASES_MAX];
	struct model_facts f;

	for (size_t i = 0; i < d->bases.n_own; i++)
		bases[i] = d->bases.v[i].repo;
	f = (struct model_facts){
		.license = answer->id,
		.license_name = answer->name,
		.license_link = d->claims.card_link,
		.license_source = answer->source,
		.license_conflicts = answer->conflicts,
		.n_license_conflicts = answer->n_conflicts,
		.params = parameters(d),
		.dtypes = dtypes(d),
		.architecture = architecture(d),
		.quantization = quantization(d),
		.task = documents_tame(d->w, json_get_str_or(d->info, "pipeline_tag", task ? task : json_get_str(d->inspection, "task"))),
		.library = documents_tame(d->w, json_get_str_or(d->info, "library_name", library)),
		.context_length = context_length(d),
		.tags = tags->v,
		.n_tags = tags->n,
		.base_models = bases,
		.n_base_models = d->bases.n_own,
		.base_relation = d->card.base_model_relation,
		.new_version = d->card.new_version,
	};
	return model_set_facts(d->w->db, d->revision_id, &f, e);
}

static int record_card(const struct documents *d, const char *terms_elsewhere, struct err *e)
{
	struct finding f[2];
	size_t n = 0;

	if (d->card.verdict != CARD_FINE)
		f[n++] = (struct finding){ CARD_PATH, "card", FINDING_FLAG, d->card.problem };
	if (terms_elsewhere)
		f[n++] = (struct finding){ CARD_PATH, "license-link", FINDING_ACCEPT, terms_elsewhere };
	return finding_record(d->w->db, d->revision_id, "card", NULL, 0, f, n, true, work_now(), e);
}

int facts_derive(struct work *w, int64_t revision_id, const json_t *info, const json_t *inspection, const char *license, struct err *e)
{
	struct documents *d = arena_alloc(w->arena, sizeof(*d));
	struct tags *t = arena_alloc(w->arena, sizeof(*t));
	struct licence_answer answer;
	int rc;

	*d = (struct documents){ .w = w, .revision_id = revision_id, .info = info, .inspection = inspection };
	t->n = 0;
	rc = documents_read(d, e);
	if (!rc) {
		gather_tags(d, t);
		documents_licence(d, license, &answer);
		put_licence_tag(t, &answer, w->arena);
		rc = set_facts(d, &answer, t, e);
	}
	if (!rc)
		rc = record_card(d, documents_terms_elsewhere(d, answer.id), e);
	documents_done(d);
	return rc;
}
