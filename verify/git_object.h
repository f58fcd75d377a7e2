/*
 * git_object.h - git's object ids, and the Git LFS pointer, the few lines of text by which a commit names a large file's SHA-256.
 * Object id: SHA-1 of "<type> <decimal length>\0" and the content (git-scm.com, Git Internals - Git Objects).
 * Pointer: git-lfs/docs/spec.md; there is exactly one valid encoding, so a parsed pointer is encoded again and compared.
 */
#ifndef VERIFY_GIT_OBJECT_H
#define VERIFY_GIT_OBJECT_H

#include "base/err.h"
#include "verify/digest.h"

#define GIT_POINTER_MAX 1024	/* bytes; the specification's own limit */

enum git_type {
	GIT_COMMIT = 1,	/* the numbers are those of pack files */
	GIT_TREE = 2,
	GIT_BLOB = 3,
	GIT_TAG = 4,
};

const char *git_type_name(enum git_type type);
/* The header is hashed at once; the caller then feeds exactly size_bytes bytes of content to c. */
void git_object_begin(struct digest_ctx *c, enum git_type type, uint64_t size_bytes);
void git_object_id(struct digest *out, enum git_type type, const void *content, size_t n);

struct git_pointer {
	struct digest sha256;
	uint64_t size_bytes;
};

/* The pointer's text into out (NUL-terminated); returns its length. */
size_t git_pointer_text(char out[GIT_POINTER_MAX], const struct git_pointer *p);
/* The blob id that a commit must list for a file of this digest and size. */
void git_pointer_id(struct digest *out, const struct git_pointer *p);
/* ERR_INPUT when text is not the one valid encoding of a pointer (also for pointers with extensions, which are named). */
int git_pointer_parse(struct git_pointer *out, const char *text, size_t n, struct err *e);

#endif
