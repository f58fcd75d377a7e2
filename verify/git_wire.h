/*
 * git_wire.h - the words of git's smart HTTP protocol, version 2: what to send and what an answer says. No network here.
 * Source: gitprotocol-v2(5), gitprotocol-pack(5), gitformat-pack(5).
 *
 * One commit is asked for, at depth 1, with the blobs left out that are too large to be a Git LFS pointer where the server can:
 * the answer then is the commit, its trees and the pointers, a few kilobytes that prove the listing of a model of any size.
 */
#ifndef VERIFY_GIT_WIRE_H
#define VERIFY_GIT_WIRE_H

#include <stdbool.h>

#include "base/buf.h"

#define GIT_REF_NAME_MAX 1024
#define GIT_REFS_MAX	 100000
#define GIT_COMMIT_HEX	 40

/* What GET {repo}.git/info/refs?service=git-upload-pack (with `Git-Protocol: version=2`) advertises. */
struct git_advert {
	bool filter;	/* fetch can leave blobs out */
};

/* ERR_UNSUPPORTED when the server speaks an older protocol or does not name objects by SHA-1; ERR_INPUT when it is no git answer. */
int git_advert_parse(struct git_advert *out, const char *body, size_t n, struct err *e);

/* Body of POST {repo}.git/git-upload-pack that asks for all refs, and the answer's refs one by one. */
void git_ls_refs_request(struct buf *b);
typedef int git_ref_fn(void *arg, const char *commit_hex, const char *name, struct err *e);
int git_ls_refs_parse(const char *body, size_t n, git_ref_fn *each, void *arg, struct err *e);

/* Body of POST {repo}.git/git-upload-pack that asks for one commit. Never compress it: the Hub misreads gzip'ed request bodies. */
void git_fetch_request(struct buf *b, const char *commit_hex, const struct git_advert *advert);
/* Leaves of the answer the pack inside it: with 100,000 files both are large. A server's own error text is passed on. */
int git_fetch_parse(struct buf *answer, struct err *e);

#endif
