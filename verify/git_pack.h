/*
 * git_pack.h - the objects of one git pack (gitformat-pack(5), version 2), and what a commit in it says: path, mode, blob id and,
 * for a Git LFS file, SHA-256 and size. Everything is recomputed: an object is found by the SHA-1 of its own bytes, so a manifest
 * that was built is bound to the commit id. The input is hostile; every size below is a limit, and nothing recurses.
 */
#ifndef VERIFY_GIT_PACK_H
#define VERIFY_GIT_PACK_H

#include "verify/git_object.h"

#define GIT_PACK_MAX_BYTES	((size_t)128 << 20)	/* the pack as it came */
#define GIT_PACK_INFLATED_MAX	((size_t)256 << 20)	/* all objects together */
#define GIT_OBJECT_MAX_BYTES	((size_t)64 << 20)
#define GIT_PACK_OBJECTS_MAX	1000000
#define GIT_DELTA_DEPTH_MAX	256
#define GIT_TREE_DEPTH_MAX	64
#define GIT_MANIFEST_MAX	1000000	/* files */

struct git_pack;

/* Parses the pack: inflates, applies deltas, names every object, compares the trailer. data may go away afterwards. */
int git_pack_parse(struct git_pack **out, const void *data, size_t n, struct err *e);
void git_pack_free(struct git_pack *p);
size_t git_pack_count(const struct git_pack *p);
/* The object's content, or NULL when the pack does not hold it. */
const void *git_pack_find(const struct git_pack *p, const struct digest *id, enum git_type *type, size_t *n);

enum git_mode {
	GIT_MODE_FILE,		/* 100644, 100664 */
	GIT_MODE_EXECUTABLE,	/* 100755 */
	GIT_MODE_SYMLINK,	/* 120000: the blob is the target's path */
	GIT_MODE_SUBMODULE,	/* 160000: a commit of another repository, no bytes here */
};

struct git_entry {
	char *path;		/* checked by fdio_check_relative, and no component is .git */
	enum git_mode mode;
	struct digest oid;	/* the blob's id: of the pointer text for an LFS file */
	bool have_blob;		/* the pack held the blob */
	bool is_pointer;	/* it is a Git LFS pointer, below */
	struct git_pointer pointer;
	uint64_t size_bytes;	/* of the blob when have_blob and not is_pointer */
};

struct git_manifest {
	struct digest tree;
	struct git_entry *entries;	/* in path order (bytewise) */
	size_t n, cap;
};

/* Everything that the commit lists. ERR_MISMATCH when the commit or one of its trees is not in the pack or not well-formed. */
int git_manifest_build(struct git_manifest *out, const struct git_pack *p, const struct digest *commit, struct err *e);
void git_manifest_done(struct git_manifest *m);
const struct git_entry *git_manifest_find(const struct git_manifest *m, const char *path);

#endif
