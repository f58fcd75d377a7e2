/*
 * git_pack.h - the objects of one git pack (gitformat-pack(5), version 2), and what a commit in it says: path, mode, blob id and,
 * for a Git LFS file, SHA-256 and size. Everything is recomputed: an object is found by the SHA-1 of its own bytes, so a manifest
 * that was built is bound to the commit id. The input is hostile; every size below is a limit, and nothing recurses.
 */
#ifndef VERIFY_GIT_PACK_H
#define VERIFY_GIT_PACK_H

#include "base/spool.h"
#include "verify/git_object.h"

/* With blobs left out, 200,000 files take about 10 MiB; a server that can't leave them out must not take the memory of its callers. */
#define GIT_PACK_MAX_BYTES	((size_t)24 << 20)	/* the pack as it came */
#define GIT_PACK_INFLATED_MAX	((size_t)32 << 20)	/* all objects together */
#define GIT_OBJECT_MAX_BYTES	((size_t)24 << 20)
#define GIT_PACK_OBJECTS_MAX	1000000
#define GIT_DELTA_DEPTH_MAX	256
#define GIT_TREE_DEPTH_MAX	64
#define GIT_MANIFEST_MAX	1000000	/* files */

struct git_pack;

/* Parses the pack, which has been ended: inflates, applies deltas, names every object, compares the trailer. It may go away afterwards. */
int git_pack_parse(struct git_pack **out, const struct spool *pack, struct err *e);
void git_pack_free(struct git_pack *p);
size_t git_pack_count(const struct git_pack *p);

struct git_object {
	enum git_type type;
	const void *data;			/* NUL-terminated behind its n bytes; NULL for a pointer */
	size_t n;
	const struct git_pointer *pointer;	/* the blob is a Git LFS pointer, and says this */
};

/* False when the pack does not hold it. */
bool git_pack_find(const struct git_pack *p, const struct digest *id, struct git_object *out);

enum git_mode {
	GIT_MODE_FILE,		/* 100644, 100664 */
	GIT_MODE_EXECUTABLE,	/* 100755 */
	GIT_MODE_SYMLINK,	/* 120000: the blob is the target's path */
	GIT_MODE_SUBMODULE,	/* 160000: a commit of another repository, no bytes here */
};

struct git_entry {
	const char *path;	/* checked by fdio_check_relative, and no component is .git */
	enum git_mode mode;
	struct digest oid;	/* the blob's id: of the pointer text for an LFS file */
	bool have_blob;		/* the pack held the blob */
	bool is_pointer;	/* it is a Git LFS pointer, below */
	struct git_pointer pointer;
	uint64_t size_bytes;	/* of the blob when have_blob and not is_pointer */
};

/* What a negative code from `each` means is the caller's affair: it ends the walk. The entry lasts as long as the call. */
typedef int git_entry_fn(void *arg, const struct git_entry *entry, struct err *e);

/*
 * Gives every file that the commit lists, folder by folder in the order of its trees; *tree is the id of the uppermost. Nothing is kept of them:
 * a tree that names a file twice gives it twice. ERR_MISMATCH when the commit or one of its trees is not in the pack or not well-formed.
 */
int git_manifest_walk(const struct git_pack *p, const struct digest *commit, git_entry_fn *each, void *arg, struct digest *tree, struct err *e);

#endif
