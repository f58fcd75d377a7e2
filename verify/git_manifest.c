/* git_manifest.c - walking a commit's trees; see git_pack.h. */
#include "base/fdio.h"
#include "base/str.h"
#include "verify/git_pack.h"

#define PATH_MAX_BYTES 1024
#define STEPS_MAX      (2 * (size_t)GIT_MANIFEST_MAX)	/* a folder listed again and again multiplies without holding a file */

static const struct {
	const char *text;
	enum git_mode mode;
} modes[] = {
	{ "100644", GIT_MODE_FILE },	{ "100664", GIT_MODE_FILE },	  { "100755", GIT_MODE_EXECUTABLE },
	{ "120000", GIT_MODE_SYMLINK }, { "160000", GIT_MODE_SUBMODULE },
};

/* A tree that is being read, and where its entries' names begin. */
struct level {
	const unsigned char *p, *end;
	size_t prefix;	/* bytes of `path` that belong to it */
};

struct walk {
	const struct git_pack *pack;
	git_entry_fn *each;
	void *arg;
	size_t n;	/* files given */
	struct level levels[GIT_TREE_DEPTH_MAX];
	size_t depth, steps;
	char path[PATH_MAX_BYTES + 1];
};

static int push_tree(struct walk *w, const struct digest *id, size_t prefix, struct err *e)
{
	char hex[DIGEST_HEX_MAX];
	struct git_object o;

	digest_hex(hex, id);
	if (w->depth == GIT_TREE_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "the commit's folders are nested deeper than %d", GIT_TREE_DEPTH_MAX);
	if (!git_pack_find(w->pack, id, &o) || o.type != GIT_TREE)
		return err_set(e, ERR_MISMATCH, "tree %s of folder '%.*s' is not in the pack", hex, (int)prefix, w->path);
	w->levels[w->depth++] = (struct level){ o.data, (const unsigned char *)o.data + o.n, prefix };
	return 0;
}

static int damaged(const struct walk *w, struct err *e)
{
	return err_set(e, ERR_MISMATCH, "the tree of folder '%.*s' is damaged", (int)w->levels[w->depth - 1].prefix, w->path);
}

static int add_entry(struct walk *w, enum git_mode mode, const struct digest *oid, struct err *e)
{
	struct git_entry entry = { .path = w->path, .mode = mode, .oid = *oid };
	struct git_object o;
	int rc = fdio_check_relative(w->path, e);

	if (rc < 0)
		return err_wrap(e, "the commit lists a file that can't be mirrored");
	if (w->n++ == GIT_MANIFEST_MAX)
		return err_set(e, ERR_LIMIT, "the commit lists more than %d files", GIT_MANIFEST_MAX);
	if (mode != GIT_MODE_SUBMODULE && git_pack_find(w->pack, oid, &o)) {
		if (o.type != GIT_BLOB)
			return err_set(e, ERR_MISMATCH, "%s is listed as a file but its object is a %s", w->path, git_type_name(o.type));
		entry.have_blob = true;
		entry.size_bytes = o.n;
		entry.is_pointer = mode != GIT_MODE_SYMLINK && o.pointer;
		if (entry.is_pointer)
			entry.pointer = *o.pointer;
	}
	return w->each(w->arg, &entry, e);
}

/* "<mode> <name>\0<20 bytes>": advances the level; the entry's path is left in w->path. */
static int read_entry(struct walk *w, char mode[8], struct digest *oid, size_t *path_len, struct err *e)
{
	struct level *l = &w->levels[w->depth - 1];
	const unsigned char *space = memchr(l->p, ' ', (size_t)(l->end - l->p)), *nul;
	size_t n_mode, n_name;

	nul = space ? memchr(space, 0, (size_t)(l->end - space)) : NULL;
	if (!nul || l->end - nul < 21)
		return damaged(w, e);
	n_mode = (size_t)(space - l->p);
	n_name = (size_t)(nul - space) - 1;
	if (n_mode > 6 || n_name == 0 || memchr(space + 1, '/', n_name))
		return damaged(w, e);
	if (l->prefix + n_name > PATH_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "the commit lists a path longer than %d bytes", PATH_MAX_BYTES);
	memcpy(mode, l->p, n_mode);
	mode[n_mode] = 0;
	memcpy(w->path + l->prefix, space + 1, n_name + 1);
	*path_len = l->prefix + n_name;
	if (!strcasecmp(w->path + l->prefix, ".git"))
		return err_set(e, ERR_MISMATCH, "the commit lists '%.200s', a name that git itself refuses", w->path);
	*oid = (struct digest){ .algo = DIGEST_SHA1 };
	memcpy(oid->bytes, nul + 1, 20);
	l->p = nul + 21;
	return 0;
}

static int step(struct walk *w, struct err *e)
{
	struct digest oid;
	size_t path_len;
	char mode[8];
	int rc = read_entry(w, mode, &oid, &path_len, e);

	if (rc < 0)
		return rc;
	if (++w->steps > STEPS_MAX)
		return err_set(e, ERR_LIMIT, "the commit lists more than %zu files and folders", STEPS_MAX);
	if (!strcmp(mode, "40000")) {
		if (path_len == PATH_MAX_BYTES)
			return err_set(e, ERR_LIMIT, "the commit lists a path longer than %d bytes", PATH_MAX_BYTES);
		w->path[path_len] = '/';
		return push_tree(w, &oid, path_len + 1, e);
	}
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (!strcmp(mode, modes[i].text))
			return add_entry(w, modes[i].mode, &oid, e);
	return err_set(e, ERR_MISMATCH, "the commit lists '%.200s' with the unknown mode %s", w->path, mode);
}

/* The commit's first line is "tree <40 hex>\n". */
static int find_tree(const struct git_pack *p, const struct digest *commit, struct digest *tree, struct err *e)
{
	char hex[DIGEST_HEX_MAX], tree_hex[41];
	struct git_object o;
	const char *data;

	digest_hex(hex, commit);
	if (!git_pack_find(p, commit, &o) || o.type != GIT_COMMIT)
		return err_set(e, ERR_MISMATCH, "commit %s is not in the pack", hex);
	data = o.data;
	if (o.n < 46 || memcmp(data, "tree ", 5) != 0 || data[45] != '\n')
		return err_set(e, ERR_MISMATCH, "commit %s does not begin with its tree", hex);
	memcpy(tree_hex, data + 5, 40);
	tree_hex[40] = 0;
	return digest_parse(tree, DIGEST_SHA1, tree_hex, e);
}

int git_manifest_walk(const struct git_pack *p, const struct digest *commit, git_entry_fn *each, void *arg, struct digest *tree, struct err *e)
{
	struct walk w = { .pack = p, .each = each, .arg = arg };
	int rc = find_tree(p, commit, tree, e);

	if (rc == 0)
		rc = push_tree(&w, tree, 0, e);
	while (rc == 0 && w.depth) {
		if (w.levels[w.depth - 1].p == w.levels[w.depth - 1].end)
			w.depth--;
		else
			rc = step(&w, e);
	}
	return rc;
}
