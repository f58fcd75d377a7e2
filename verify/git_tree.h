/*
 * git_tree.h - git tree objects from a list of files: the id that a commit of exactly these files has. A tree is its entries
 * "<mode> <name>\0<20-byte id>" in the order of their names, where a directory sorts as if its name ended in '/'.
 */
#ifndef VERIFY_GIT_TREE_H
#define VERIFY_GIT_TREE_H

#include "verify/git_object.h"

struct git_tree_file {
	const char *path;	/* "dir/name"; checked by the caller */
	struct digest oid;	/* blob id */
};

/* Files in any order, distinct paths; all get mode 100644. ERR_INPUT when a name is a file and a directory. */
int git_tree_id(struct digest *out, const struct git_tree_file *files, size_t n, struct err *e);

#endif
