/* git_tree.c - see git_tree.h. */
#include "verify/git_tree.h"

#include "base/buf.h"
#include "base/vec.h"

#define TREE_MAX_BYTES ((size_t)64 << 20)
#define TREE_DEPTH_MAX 64

/* One directory being filled: its path in the current file's path, and its entries so far. */
struct level {
	struct buf entries;
	const char *name;	/* of this directory in its parent; not terminated */
	size_t name_len;
};

/*
 * Whole paths compared with '/' as the smallest... is not git's order: "a.b" < "a/" there, as '.' < '/'. Comparing paths bytewise gives
 * just that, because every entry of directory "a" begins with "a/", and a file "a" beside it is an error.
 */
static int by_path(const void *a, const void *b)
{
	return strcmp((*(const struct git_tree_file *const *)a)->path, (*(const struct git_tree_file *const *)b)->path);
}

static void add_entry(struct buf *b, const char *mode, const char *name, size_t n, const struct digest *id)
{
	buf_puts(b, mode);
	buf_putc(b, ' ');
	buf_add(b, name, n);
	buf_putc(b, 0);
	buf_add(b, id->bytes, digest_size(DIGEST_SHA1));
}

/* Closes directories down to depth `keep`: each becomes an entry of its parent. */
static void close_levels(struct level *stack, size_t *depth, size_t keep)
{
	while (*depth > keep) {
		struct level *l = &stack[*depth];
		struct digest id;

		git_object_id(&id, GIT_TREE, l->entries.data, l->entries.len);
		buf_done(&l->entries);
		--*depth;
		add_entry(&stack[*depth].entries, "40000", l->name, l->name_len, &id);
	}
}

/* How many leading directories of path are open already. */
static size_t shared_levels(const struct level *stack, size_t depth, const char *path)
{
	size_t n = 0;

	while (n < depth) {
		size_t len = strcspn(path, "/");

		if (path[len] != '/' || len != stack[n + 1].name_len || memcmp(path, stack[n + 1].name, len))
			break;
		path += len + 1;
		n++;
	}
	return n;
}

static int add_file(struct level *stack, size_t *depth, const struct git_tree_file *f, struct err *e)
{
	size_t keep = shared_levels(stack, *depth, f->path), at = 0;
	const char *p = f->path;

	close_levels(stack, depth, keep);
	for (;; p += strcspn(p, "/") + 1, at++) {
		size_t len = strcspn(p, "/");

		if (!p[len])
			break;
		if (at < keep)
			continue;
		if (*depth + 1 >= TREE_DEPTH_MAX)
			return err_set(e, ERR_LIMIT, "'%.200s' lies more than %d directories deep", f->path, TREE_DEPTH_MAX);
		stack[++*depth] = (struct level){ .name = p, .name_len = len };
		buf_init(&stack[*depth].entries, TREE_MAX_BYTES);
	}
	add_entry(&stack[*depth].entries, "100644", p, strlen(p), &f->oid);
	return buf_failed(&stack[*depth].entries) ? err_set(e, ERR_LIMIT, "a directory has too many files") : 0;
}

/* Sorted: a file and a directory of one name lie apart only by names between them, so each directory's prefix is looked up. */
static int check_clash(const struct git_tree_file *const *sorted, size_t n, struct err *e)
{
	for (size_t i = 0; i + 1 < n; i++) {
		size_t len = strlen(sorted[i]->path);

		for (size_t j = i + 1; j < n && !strncmp(sorted[j]->path, sorted[i]->path, len); j++)
			if (sorted[j]->path[len] == '/' || !sorted[j]->path[len])
				return err_set(e, ERR_INPUT, "'%.200s' is named twice, or is a file and a directory", sorted[i]->path);
	}
	return 0;
}

int git_tree_id(struct digest *out, const struct git_tree_file *files, size_t n, struct err *e)
{
	own(mem) const struct git_tree_file **sorted = mem_zalloc((n + 1) * sizeof(*sorted));
	own(mem) struct level *stack = mem_zalloc(TREE_DEPTH_MAX * sizeof(*stack));
	size_t depth = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		sorted[i] = &files[i];
	qsort(sorted, n, sizeof(*sorted), by_path);
	rc = check_clash(sorted, n, e);
	buf_init(&stack[0].entries, TREE_MAX_BYTES);
	for (size_t i = 0; i < n && !rc; i++)
		rc = add_file(stack, &depth, sorted[i], e);
	close_levels(stack, &depth, 0);
	if (!rc)
		git_object_id(out, GIT_TREE, stack[0].entries.data, stack[0].entries.len);
	buf_done(&stack[0].entries);
	return rc;
}
