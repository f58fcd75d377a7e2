/* sbom_spdx.c - the SPDX 3.0.1 document; see sbom.h. One JSON-LD graph; ids are urn:uuid:…#part. */
#include <stdbool.h>

#include "base/str.h"
#include "verify/sbom_parts.h"

#define ID_MAX 128

struct graph {
	const struct sbom_facts *f;
	struct spool *s;
	size_t n_nodes;
	char base[64], at[STR_TIME_MAX];
};

static void id_of(const struct graph *g, char out[ID_MAX], const char *part, size_t n)
{
	snprintf(out, ID_MAX, n == SIZE_MAX ? "%s#%s" : "%s#%s-%zu", g->base, part, n);
}

/* Takes the reference. */
static void put_node(struct graph *g, json_t *node)
{
	spool_puts(g->s, g->n_nodes++ ? "," : "");
	spool_json(g->s, node);
}

/* Adds node, with its id and creation info, to the graph; takes the reference. */
static void add(struct graph *g, json_t *node, const char *part, size_t n)
{
	char id[ID_MAX];

	id_of(g, id, part, n);
	if (node) {
		json_object_set_new(node, "spdxId", json_string(id));
		json_object_set_new(node, "creationInfo", json_string("_:creation"));
	}
	put_node(g, node);
}

static void relate(struct graph *g, const char *from, const char *type, json_t *to, const char *part, size_t n)
{
	char from_id[ID_MAX];

	id_of(g, from_id, from, SIZE_MAX);
	add(g, json_pack("{s:s, s:s, s:s, s:o}", "type", "Relationship", "from", from_id, "relationshipType", type, "to", to), part, n);
}

static json_t *id_list(const struct graph *g, const char *part, size_t n)
{
	char id[ID_MAX];

	id_of(g, id, part, n);
	return json_pack("[s]", id);
}

static void add_frame(struct graph *g)
{
	char agent[ID_MAX], tool[ID_MAX], sbom[ID_MAX], model[ID_MAX];

	id_of(g, agent, "supplier", SIZE_MAX);
	id_of(g, tool, "tool", SIZE_MAX);
	id_of(g, sbom, "sbom", SIZE_MAX);
	id_of(g, model, "model", SIZE_MAX);
	put_node(g, json_pack("{s:s, s:s, s:s, s:s, s:[s], s:[s]}", "type", "CreationInfo", "@id", "_:creation", "specVersion", "3.0.1", "created", g->at, "createdBy", agent,
			      "createdUsing", tool));
	add(g, json_pack("{s:s, s:s%}", "type", "Organization", "name", g->f->repo, strcspn(g->f->repo, "/")), "supplier", SIZE_MAX);
	add(g, json_pack("{s:s, s:s}", "type", "Tool", "name", "registryd " REGISTRYD_VERSION), "tool", SIZE_MAX);
	add(g, json_pack("{s:s, s:[s,s,s,s], s:[s]}", "type", "SpdxDocument", "profileConformance", "core", "software", "ai", "simpleLicensing", "rootElement", sbom),
	    "document", SIZE_MAX);
	add(g, json_pack("{s:s, s:[s], s:[s]}", "type", "software_Sbom", "software_sbomType", "analyzed", "rootElement", model), "sbom", SIZE_MAX);
}

/* SPDX has no place for the data set but the name of what was measured. */
static json_t *metrics(const struct sbom_facts *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n_metrics; i++) {
		const struct sbom_metric *m = &f->metrics[i];
		json_t *key = m->dataset ? json_sprintf("%s (%s)", m->type, m->dataset) : json_string(m->type);

		json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "type", "DictionaryEntry", "key", key, "value", m->value));
	}
	return list;
}

static void add_model(struct graph *g)
{
	const struct sbom_facts *f = g->f;
	char agent[ID_MAX];
	json_t *m;

	id_of(g, agent, "supplier", SIZE_MAX);
	m = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "type", "ai_AIPackage", "name", f->repo, "software_packageVersion", f->commit, "software_downloadLocation",
		      f->source_url, "software_primaryPurpose", "model", "suppliedBy", agent, "releaseTime", g->at);
	if (m && f->architecture)
		json_object_set_new(m, "ai_typeOfModel", json_pack("[s]", f->architecture));
	if (m && f->task)
		json_object_set_new(m, "ai_domain", json_pack("[s]", f->task));
	if (m && f->n_metrics)
		json_object_set_new(m, "ai_metric", metrics(f));
	add(g, m, "model", SIZE_MAX);
}

/* The relationship that names all files, its members in the order of their names like those of every other node. */
static void add_contains(struct graph *g, size_t n_files)
{
	char id[ID_MAX];

	spool_puts(g->s, ",{\"creationInfo\":\"_:creation\"");
	id_of(g, id, "model", SIZE_MAX);
	spool_printf(g->s, ",\"from\":\"%s\",\"relationshipType\":\"contains\"", id);
	id_of(g, id, "contains", SIZE_MAX);
	spool_printf(g->s, ",\"spdxId\":\"%s\",\"to\":[", id);
	for (size_t i = 0; i < n_files; i++) {
		id_of(g, id, "file", i);
		spool_printf(g->s, "%s\"%s\"", i ? "," : "", id);
	}
	spool_puts(g->s, "],\"type\":\"Relationship\"}");
}

static int add_files(struct graph *g, struct err *e)
{
	struct sbom_file file;
	size_t n = 0;
	int rc;

	while ((rc = sbom_next_file(g->f, &file, e)) > 0) {
		char hex[DIGEST_HEX_MAX];

		digest_hex(hex, &file.sha256);
		add(g, json_pack("{s:s, s:s, s:[{s:s, s:s, s:s}]}", "type", "software_File", "name", file.path, "verifiedUsing", "type", "Hash", "algorithm", "sha256",
				 "hashValue", hex),
		    "file", n++);
	}
	if (n)
		add_contains(g, n);
	return rc;
}

/* Declared and concluded are one here: the answer that the catalog derived, conflicts held it back before it was published. */
static void add_licence(struct graph *g)
{
	const char *expression = g->f->license_spdx ? g->f->license_spdx : "NOASSERTION";
	json_t *l = json_pack("{s:s, s:s}", "type", "simplelicensing_LicenseExpression", "simplelicensing_licenseExpression", expression);

	if (l && g->f->license_name)
		json_object_set_new(l, "name", json_string(g->f->license_name));
	add(g, l, "licence", SIZE_MAX);
	relate(g, "model", "hasDeclaredLicense", id_list(g, "licence", SIZE_MAX), "declared", SIZE_MAX);
	relate(g, "model", "hasConcludedLicense", id_list(g, "licence", SIZE_MAX), "concluded", SIZE_MAX);
}

static void add_ancestry(struct graph *g)
{
	for (size_t i = 0; i < g->f->n_base_models; i++) {
		add(g, json_pack("{s:s, s:s, s:s}", "type", "ai_AIPackage", "name", g->f->base_models[i], "software_primaryPurpose", "model"), "base", i);
		relate(g, "model", "descendantOf", id_list(g, "base", i), "descends", i);
	}
	for (size_t i = 0; i < g->f->n_datasets; i++) {
		add(g, json_pack("{s:s, s:s, s:s}", "type", "software_Package", "name", g->f->datasets[i], "software_primaryPurpose", "data"), "dataset", i);
		relate(g, "model", "trainedOn", id_list(g, "dataset", i), "trained", i);
	}
}

static void add_properties(struct graph *g)
{
	char model[ID_MAX];

	id_of(g, model, "model", SIZE_MAX);
	for (size_t i = 0; i < g->f->n_properties; i++) {
		own(buf) struct buf text;

		buf_init(&text, 1 << 20);
		buf_printf(&text, "%s: %s", g->f->properties[i].name, g->f->properties[i].value);
		add(g, json_pack("{s:s, s:s, s:s, s:s}", "type", "Annotation", "annotationType", "other", "subject", model, "statement", text.data), "property", i);
	}
}

int sbom_spdx(struct spool *s, const struct sbom_facts *f, struct err *e)
{
	struct graph g = { .f = f, .s = s };
	int rc;

	snprintf(g.base, sizeof(g.base), "urn:uuid:%s", f->uuid);
	str_format_iso(g.at, f->published_at);
	spool_puts(s, "{\"@context\":\"https://spdx.org/rdf/3.0.1/spdx-context.jsonld\",\"@graph\":[");
	add_frame(&g);
	add_model(&g);
	rc = add_files(&g, e);
	add_licence(&g);
	add_ancestry(&g);
	add_properties(&g);
	spool_puts(s, "]}\n");
	return rc;
}
