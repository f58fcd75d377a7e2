/* sbom.c - the two documents' common entry. */
#include "verify/sbom.h"

#include "verify/sbom_parts.h"

static const char *const format_names[] = { [SBOM_CYCLONEDX] = "cyclonedx", [SBOM_SPDX] = "spdx" };

const char *sbom_format_name(enum sbom_format f)
{
	return format_names[f];
}

int sbom_format_parse(enum sbom_format *out, const char *name, struct err *e)
{
	for (enum sbom_format f = SBOM_CYCLONEDX; f <= SBOM_SPDX; f++) {
		if (!strcmp(name, format_names[f])) {
			*out = f;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "'%.40s' is not an SBOM format: there are cyclonedx and spdx", name);
}

/* A text with its NUL, so that two lists never read as one. */
static void add_text(struct digest_ctx *c, const char *s)
{
	digest_update(c, s ? s : "", strlen(s ? s : "") + 1);
}

int sbom_next_file(const struct sbom_facts *f, struct sbom_file *out, struct err *e)
{
	return f->files ? f->files->next(f->files, out, e) : 0;
}

/* Everything that a document says goes in: one with other facts has another name. */
static int digest_facts(struct digest *out, const struct sbom_facts *f, struct err *e)
{
	const char *const texts[] = { f->repo, f->commit, f->source_url, f->license_spdx, f->license_name, f->license_url, f->task, f->architecture };
	own(digest) struct digest_ctx c = { 0 };
	struct sbom_file file;
	char number[32];
	int rc;

	digest_begin(&c, DIGEST_SHA256);
	snprintf(number, sizeof(number), "%lld", (long long)f->published_at);
	add_text(&c, number);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		add_text(&c, texts[i]);
	for (size_t i = 0; i < f->n_base_models; i++)
		add_text(&c, f->base_models[i]);
	add_text(&c, NULL);
	for (size_t i = 0; i < f->n_datasets; i++)
		add_text(&c, f->datasets[i]);
	add_text(&c, NULL);
	for (size_t i = 0; i < f->n_metrics; i++) {
		add_text(&c, f->metrics[i].type);
		add_text(&c, f->metrics[i].value);
		add_text(&c, f->metrics[i].dataset);
	}
	while ((rc = sbom_next_file(f, &file, e)) > 0) {
		add_text(&c, file.path);
		digest_update(&c, file.sha256.bytes, 32);
	}
	add_text(&c, NULL);
	for (size_t i = 0; i < f->n_properties; i++) {
		add_text(&c, f->properties[i].name);
		add_text(&c, f->properties[i].value);
	}
	digest_end(&c, out);
	return rc;
}

int sbom_identify(struct sbom_facts *f, struct err *e)
{
	struct digest d;
	char hex[DIGEST_HEX_MAX];
	int rc = digest_facts(&d, f, e);

	if (rc)
		return rc;
	d.bytes[6] = (unsigned char)((d.bytes[6] & 0x0f) | 0x80);	/* version 8, RFC 9562: content of our own choosing */
	d.bytes[8] = (unsigned char)((d.bytes[8] & 0x3f) | 0x80);
	digest_hex(hex, &d);
	snprintf(f->uuid, sizeof(f->uuid), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return 0;
}

int sbom_write(struct spool *s, enum sbom_format format, const struct sbom_facts *facts, struct err *e)
{
	int rc = format == SBOM_CYCLONEDX ? sbom_cyclonedx(s, facts, e) : sbom_spdx(s, facts, e);

	if (!rc)
		rc = spool_end(s, e);
	return rc ? err_wrap(e, "SBOM of %s", facts->repo) : 0;
}
