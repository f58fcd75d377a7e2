/*
 * tree.h - the files of a local directory, as a model: every regular file below it, in path order. Links to files are followed, as download
 * caches are made of them; links to directories are not. What tools keep beside a model (.git, .cache) is left out.
 */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <stdint.h>

#include "base/err.h"

#define TREE_DEPTH_MAX 32
#define TREE_FILES_MAX 200000

struct tree_file {
	char *path;	/* below the directory */
	uint64_t size_bytes;
};

struct tree {
	int dirfd;
	struct tree_file *files;
	size_t n_files, cap_files;
	uint64_t total_bytes;
};

/* ERR_USAGE when dir is no directory or holds no file, or a name in it can't be one of a model's. tree_done() is due in any case. */
int tree_read(struct tree *t, const char *dir, struct err *e);
void tree_done(struct tree *t);

static inline void own_tree(struct tree *t)
{
	tree_done(t);
}

#endif
