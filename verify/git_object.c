/* git_object.c - see git_object.h. */
#include "verify/git_object.h"

#include <inttypes.h>

#include "base/str.h"

static const char version_line[] = "version https://git-lfs.github.com/spec/v1\n";

const char *git_type_name(enum git_type type)
{
	static const char *const names[] = { [GIT_COMMIT] = "commit", [GIT_TREE] = "tree", [GIT_BLOB] = "blob", [GIT_TAG] = "tag" };

	return type >= GIT_COMMIT && type <= GIT_TAG ? names[type] : "unknown";
}

void git_object_begin(struct digest_ctx *c, enum git_type type, uint64_t size_bytes)
{
	char header[40];
	int n = snprintf(header, sizeof(header), "%s %" PRIu64, git_type_name(type), size_bytes);

	digest_begin(c, DIGEST_SHA1);
	digest_update(c, header, (size_t)n + 1);	/* with its NUL */
}

void git_object_id(struct digest *out, enum git_type type, const void *content, size_t n)
{
	own(digest) struct digest_ctx c = { 0 };

	git_object_begin(&c, type, n);
	digest_update(&c, content, n);
	digest_end(&c, out);
}

size_t git_pointer_text(char out[GIT_POINTER_MAX], const struct git_pointer *p)
{
	char hex[DIGEST_HEX_MAX];

	digest_hex(hex, &p->sha256);
	return (size_t)snprintf(out, GIT_POINTER_MAX, "%soid sha256:%s\nsize %" PRIu64 "\n", version_line, hex, p->size_bytes);
}

void git_pointer_id(struct digest *out, const struct git_pointer *p)
{
	char text[GIT_POINTER_MAX];
	size_t n = git_pointer_text(text, p);

	git_object_id(out, GIT_BLOB, text, n);
}

/* text is NUL-terminated here. Reads "oid sha256:<hex>\nsize <decimal>\n"; the caller compares with the encoding. */
static int parse_lines(struct git_pointer *p, char *text, struct err *e)
{
	char *oid = text + sizeof(version_line) - 1, *size, *end;

	if (str_starts(oid, "ext-"))
		return err_set(e, ERR_INPUT, "the Git LFS pointer has extensions, which change the content on checkout and are not supported");
	size = strchr(oid, '\n');
	if (!str_starts(oid, "oid sha256:") || !size || !str_starts(size, "\nsize "))
		return err_set(e, ERR_INPUT, "not a Git LFS pointer: its lines are not oid and size");
	*size = 0;
	size += strlen("\nsize ");
	end = strchr(size, '\n');
	if (!end)
		return err_set(e, ERR_INPUT, "not a Git LFS pointer: the last line does not end");
	*end = 0;
	if (digest_parse(&p->sha256, DIGEST_SHA256, oid + strlen("oid sha256:"), e) < 0 || str_parse_u64(size, &p->size_bytes, e) < 0)
		return err_set(e, ERR_INPUT, "not a Git LFS pointer: its oid or size can't be read");
	return 0;
}

int git_pointer_parse(struct git_pointer *out, const char *text, size_t n, struct err *e)
{
	char copy[GIT_POINTER_MAX + 1], again[GIT_POINTER_MAX];
	struct git_pointer p;
	int rc;

	if (n > GIT_POINTER_MAX || n < sizeof(version_line) - 1 || memcmp(text, version_line, sizeof(version_line) - 1) || memchr(text, 0, n))
		return err_set(e, ERR_INPUT, "not a Git LFS pointer");
	memcpy(copy, text, n);
	copy[n] = 0;
	rc = parse_lines(&p, copy, e);
	if (rc < 0)
		return rc;
	if (git_pointer_text(again, &p) != n || memcmp(again, text, n))
		return err_set(e, ERR_INPUT, "the Git LFS pointer is not in its one valid encoding");
	*out = p;
	return 0;
}
