/* sbom_cyclonedx.c - the CycloneDX 1.6 document; see sbom.h. */
#include <stdbool.h>

#include "base/str.h"
#include "verify/sbom_parts.h"

#define URN_MAX 512

static json_t *property(const char *name, const char *value)
{
	return json_pack("{s:s, s:s}", "name", name, "value", value);
}

/* pkg:huggingface/ns/name@commit, as the purl specification's huggingface type has it; commit may be NULL. */
static void purl(char out[URN_MAX], const char *repo, const char *commit)
{
	own(mem) char *path = str_percent_encode(repo, "/");

	snprintf(out, URN_MAX, commit ? "pkg:huggingface/%.300s@%.64s" : "pkg:huggingface/%.300s", path, commit);
}

/* A model component: group and name from "org/name", version from "@commit" or the argument. */
static json_t *model_component(const char *repo_at, const char *commit)
{
	const char *at = strchr(repo_at, '@');
	char ref[URN_MAX], repo[256];
	const char *slash, *version = commit ? commit : at ? at + 1 : NULL;
	json_t *c;

	snprintf(repo, sizeof(repo), "%.*s", at ? (int)(at - repo_at) : (int)strlen(repo_at), repo_at);
	slash = strchr(repo, '/');
	purl(ref, repo, version);
	c = json_pack("{s:s, s:s, s:s, s:s}", "type", "machine-learning-model", "bom-ref", ref, "name", slash ? slash + 1 : repo, "purl", ref);
	if (c && slash)
		json_object_set_new(c, "group", json_stringn(repo, (size_t)(slash - repo)));
	if (c && version)
		json_object_set_new(c, "version", json_string(version));
	return c;
}

static json_t *licences(const struct sbom_facts *f)
{
	bool listed = f->license_spdx && !str_starts(f->license_spdx, "LicenseRef-");
	const char *name = f->license_name ? f->license_name : f->license_spdx;
	json_t *l;

	if (!listed && !name)
		return NULL;
	l = json_pack("{s:s}", listed ? "id" : "name", listed ? f->license_spdx : name);
	if (l && f->license_url)
		json_object_set_new(l, "url", json_string(f->license_url));
	return json_pack("[{s:o}]", "license", l);
}

static json_t *metrics(const struct sbom_facts *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n_metrics; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s*}", "type", f->metrics[i].type, "value", f->metrics[i].value, "slice", f->metrics[i].dataset));
	return json_pack("{s:o}", "performanceMetrics", list);
}

static json_t *model_card(const struct sbom_facts *f)
{
	json_t *parameters = json_object(), *datasets, *card;

	if (f->task)
		json_object_set_new(parameters, "task", json_string(f->task));
	if (f->architecture)
		json_object_set_new(parameters, "modelArchitecture", json_string(f->architecture));
	if (f->n_datasets) {
		datasets = json_array();
		for (size_t i = 0; i < f->n_datasets; i++)
			json_array_append_new(datasets, json_pack("{s:s, s:s}", "type", "dataset", "name", f->datasets[i]));
		json_object_set_new(parameters, "datasets", datasets);
	}
	card = json_pack("{s:o}", "modelParameters", parameters);
	if (f->n_metrics)
		json_object_set_new(card, "quantitativeAnalysis", metrics(f));
	return card;
}

static json_t *model(const struct sbom_facts *f)
{
	json_t *c = model_component(f->repo, f->commit), *l = licences(f), *list;

	if (!c)
		return NULL;
	if (l)
		json_object_set_new(c, "licenses", l);
	json_object_set_new(c, "modelCard", model_card(f));
	json_object_set_new(c, "externalReferences", json_pack("[{s:s, s:s}]", "type", "distribution", "url", f->source_url));
	if (f->n_base_models) {
		list = json_array();
		for (size_t i = 0; i < f->n_base_models; i++)
			json_array_append_new(list, model_component(f->base_models[i], NULL));
		json_object_set_new(c, "pedigree", json_pack("{s:o}", "ancestors", list));
	}
	list = json_array();
	for (size_t i = 0; i < f->n_properties; i++)
		json_array_append_new(list, property(f->properties[i].name, f->properties[i].value));
	json_object_set_new(c, "properties", list);
	return c;
}

static json_t *file_component(const struct sbom_file *file, const char *ref)
{
	char hex[DIGEST_HEX_MAX], size[24];
	json_t *c, *properties;

	digest_hex(hex, &file->sha256);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)file->size_bytes);
	properties = json_pack("[o]", property("registryd:size_bytes", size));
	c = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s}], s:o}", "type", "file", "bom-ref", ref, "name", file->path, "hashes", "alg", "SHA-256", "content", hex, "properties",
		      properties);
	if (c && file->git_oid.algo != DIGEST_NONE) {
		digest_hex(hex, &file->git_oid);
		json_array_append_new(properties, property("registryd:git_oid", hex));
	}
	return c;
}

/* What refers to a file within the document. */
static void file_ref(struct buf *out, const struct sbom_file *file)
{
	own(mem) char *path = str_percent_encode(file->path, "/");

	buf_reset(out);
	buf_printf(out, "file:%s", path);
}

static json_t *ref_only(const struct sbom_file *file, const char *ref)
{
	(void)file;
	return json_string(ref);
}

/* A list with an element for each file. */
static int put_each(struct spool *s, const struct sbom_facts *f, json_t *(*make)(const struct sbom_file *file, const char *ref), struct err *e)
{
	own(buf) struct buf ref;
	const char *between = "";
	struct sbom_file file;
	int rc;

	buf_init(&ref, 4096);
	while ((rc = sbom_next_file(f, &file, e)) > 0) {
		file_ref(&ref, &file);
		spool_puts(s, between);
		spool_json(s, make(&file, ref.data));
		between = ",";
	}
	return rc;
}

static void put_metadata(struct spool *s, const struct sbom_facts *f)
{
	char at[STR_TIME_MAX];

	str_format_iso(at, f->published_at);
	spool_json(s, json_pack("{s:s, s:{s:[{s:s, s:s, s:s}]}, s:o}", "timestamp", at, "tools", "components", "type", "application", "name", "registryd", "version",
				REGISTRYD_VERSION, "component", model(f)));
}

int sbom_cyclonedx(struct spool *s, const struct sbom_facts *f, struct err *e)
{
	char ref[URN_MAX];
	int rc;

	purl(ref, f->repo, f->commit);
	spool_puts(s, "{\"$schema\":\"http://cyclonedx.org/schema/bom-1.6.schema.json\",\"bomFormat\":\"CycloneDX\",\"components\":[");
	rc = put_each(s, f, file_component, e);
	spool_puts(s, "],\"dependencies\":[{\"dependsOn\":[");
	if (!rc)
		rc = put_each(s, f, ref_only, e);
	spool_puts(s, "],\"ref\":");
	spool_json(s, json_string(ref));
	spool_puts(s, "}],\"metadata\":");
	put_metadata(s, f);
	spool_printf(s, ",\"serialNumber\":\"urn:uuid:%s\",\"specVersion\":\"1.6\",\"version\":1}\n", f->uuid);
	return rc;
}
