/* sbom.c - the two documents' common entry. */
#include "verify/sbom.h"

#include "base/json.h"
#include "verify/sbom_parts.h"

int sbom_format_parse(enum sbom_format *out, const char *name, struct err *e)
{
	if (!strcmp(name, "cyclonedx"))
		*out = SBOM_CYCLONEDX;
	else if (!strcmp(name, "spdx"))
		*out = SBOM_SPDX;
	else
		return err_set(e, ERR_USAGE, "'%.40s' is not an SBOM format: there are cyclonedx and spdx", name);
	return 0;
}

void sbom_uuid(char out[SBOM_UUID_MAX], const struct sbom_facts *f)
{
	own(buf) struct buf name;
	struct digest d;
	char hex[DIGEST_HEX_MAX];

	buf_init(&name, 4096);
	buf_printf(&name, "registryd sbom %s@%s %lld", f->repo, f->commit, (long long)f->published_at);
	digest_of(&d, DIGEST_SHA256, name.data, name.len);
	d.bytes[6] = (unsigned char)((d.bytes[6] & 0x0f) | 0x80);	/* version 8, RFC 9562: content of our own choosing */
	d.bytes[8] = (unsigned char)((d.bytes[8] & 0x3f) | 0x80);
	digest_hex(hex, &d);
	snprintf(out, SBOM_UUID_MAX, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

int sbom_write(struct buf *b, enum sbom_format format, const struct sbom_facts *facts, struct err *e)
{
	own(json) json_t *doc = format == SBOM_CYCLONEDX ? sbom_cyclonedx(facts) : sbom_spdx(facts);

	if (!doc)
		return err_set(e, ERR_INPUT, "SBOM of %s: a name or a value is not valid UTF-8", facts->repo);
	if (json_write(b, doc) < 0 || buf_putc(b, '\n') < 0)
		return err_set(e, ERR_LIMIT, "SBOM of %s is larger than %zu bytes", facts->repo, b->max);
	return 0;
}
