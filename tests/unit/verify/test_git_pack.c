/*
 * test_git_pack.c - a pack made of a real commit of the Hub gives its commit id; packs and answers made by the git program give what
 * `git ls-tree` says; damaged ones give a sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <zlib.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/git_pack.h"
#include "verify/git_wire.h"

#define CHAIN SOURCE_DIR "/tests/data/git-chain/bert-base-uncased.json"

/* A pack writer of the simplest kind: whole objects, zlib, trailer. */
struct writer {
	struct buf b;
	uint32_t n;
};

static void pack_begin(struct writer *w)
{
	buf_init(&w->b, 1 << 24);
	buf_add(&w->b, "PACK\0\0\0\2\0\0\0\0", 12);
	w->n = 0;
}

static void pack_raw(struct writer *w, int type, const void *prefix, size_t n_prefix, const void *data, size_t n)
{
	uLongf len = compressBound(n);
	own(mem) unsigned char *z = malloc(len);
	size_t left = n >> 4;

	assert_int_equal(compress(z, &len, data, n), Z_OK);
	buf_putc(&w->b, (char)((size_t)type << 4 | (n & 15) | (left ? 0x80u : 0)));
	for (; left; left >>= 7)
		buf_putc(&w->b, (char)((left & 0x7f) | (left >> 7 ? 0x80 : 0)));
	buf_add(&w->b, prefix, n_prefix);
	buf_add(&w->b, z, len);
	w->n++;
}

static void pack_end(struct writer *w)
{
	struct digest d;

	for (int i = 0; i < 4; i++)
		w->b.data[8 + i] = (char)(w->n >> (24 - 8 * i));
	digest_of(&d, DIGEST_SHA1, w->b.data, w->b.len);
	buf_add(&w->b, d.bytes, 20);
}

static json_t *chain(void)
{
	struct err e = ERR_NONE;
	own(buf) struct buf text;

	buf_init(&text, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, CHAIN, &text, &e), 0);
	return json_parse(text.data, text.len, "chain", &e);
}

/* The recorded commit as a pack: commit, root tree, and the pointers of its LFS files. */
static void pack_chain(struct writer *w, const json_t *c)
{
	own(buf) struct buf tree;
	const char *body = json_get_str(c, "commit_body");
	json_t *file;
	size_t i;

	pack_begin(w);
	buf_init(&tree, 1 << 16);
	pack_raw(w, GIT_COMMIT, "", 0, body, strlen(body));
	json_array_foreach(json_object_get(c, "files"), i, file) {
		const json_t *lfs = json_object_get(file, "lfs");
		char text[GIT_POINTER_MAX];
		struct git_pointer p;
		struct digest oid;

		assert_int_equal(digest_parse(&oid, DIGEST_SHA1, json_get_str(file, "oid"), NULL), 0);
		buf_printf(&tree, "%s %s", json_get_str(file, "mode"), json_get_str(file, "path"));
		buf_putc(&tree, 0);
		buf_add(&tree, oid.bytes, 20);
		if (!lfs)
			continue;
		digest_parse(&p.sha256, DIGEST_SHA256, json_get_str(lfs, "oid"), NULL);
		p.size_bytes = (uint64_t)json_get_int(lfs, "size", 0);
		pack_raw(w, GIT_BLOB, "", 0, text, git_pointer_text(text, &p));
	}
	pack_raw(w, GIT_TREE, "", 0, tree.data, tree.len);
	pack_end(w);
}

/* What a walk gave, in its order. */
struct manifest {
	struct digest tree;
	struct git_entry *entries;
	size_t n, cap;
};

static int keep_entry(void *arg, const struct git_entry *entry, struct err *e)
{
	struct manifest *m = arg;
	struct git_entry *to = vec_push(&m->entries, &m->n, &m->cap);

	(void)e;
	*to = *entry;
	to->path = mem_strdup(entry->path);
	return 0;
}

static int manifest_build(struct manifest *m, const struct git_pack *p, const struct digest *commit, struct err *e)
{
	*m = (struct manifest){ 0 };
	return git_manifest_walk(p, commit, keep_entry, m, &m->tree, e);
}

static void manifest_done(struct manifest *m)
{
	for (size_t i = 0; i < m->n; i++)
		free((char *)m->entries[i].path);
	free(m->entries);
}

static const struct git_entry *manifest_find(const struct manifest *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->entries[i].path, path))
			return &m->entries[i];
	return NULL;
}

static int parse(struct git_pack **p, const void *data, size_t n, struct err *e)
{
	own(spool) struct spool s;

	spool_init(&s, NULL, NULL, GIT_PACK_MAX_BYTES);
	spool_add(&s, data, n);
	assert_int_equal(spool_end(&s, e), 0);
	return git_pack_parse(p, &s, e);
}

static void a_real_commit_is_proven(void **state)
{
	own(json) json_t *c = chain();
	struct manifest m;
	struct git_pack *p = NULL;
	struct err e = ERR_NONE;
	struct digest commit;
	struct writer w;
	char hex[DIGEST_HEX_MAX];

	(void)state;
	pack_chain(&w, c);
	assert_int_equal(parse(&p, w.b.data, w.b.len, &e), 0);
	assert_int_equal(digest_parse(&commit, DIGEST_SHA1, json_get_str(c, "commit"), &e), 0);
	assert_int_equal(manifest_build(&m, p, &commit, &e), 0);
	digest_hex(hex, &m.tree);
	assert_string_equal(hex, json_get_str(c, "tree"));
	assert_int_equal(m.n, 5);
	const struct git_entry *weights = manifest_find(&m, "pytorch_model.bin");
	assert_non_null(weights);
	assert_true(weights->is_pointer);
	assert_int_equal(weights->pointer.size_bytes, 440473133);
	digest_hex(hex, &weights->pointer.sha256);
	assert_string_equal(hex, "097417381d6c7230bd9e3557456d726de6e83245ec8b24f529f60198a67b203a");
	assert_false(manifest_find(&m, "config.json")->have_blob);
	manifest_done(&m);
	git_pack_free(p);
	buf_done(&w.b);
}

/* One byte of the pointer changed: its id is no longer the one in the tree, so the file has no proven content. */
static void a_forged_pointer_is_not_found(void **state)
{
	own(json) json_t *c = chain();
	json_t *lfs = json_object_get(json_array_get(json_object_get(c, "files"), 2), "lfs");
	struct manifest m;
	struct git_pack *p = NULL;
	struct err e = ERR_NONE;
	struct digest commit;
	struct writer w;

	(void)state;
	json_object_set_new(lfs, "size", json_integer(440473134));
	pack_chain(&w, c);
	assert_int_equal(parse(&p, w.b.data, w.b.len, &e), 0);
	digest_parse(&commit, DIGEST_SHA1, json_get_str(c, "commit"), &e);
	assert_int_equal(manifest_build(&m, p, &commit, &e), 0);
	assert_false(manifest_find(&m, "pytorch_model.bin")->have_blob);
	assert_true(manifest_find(&m, "tf_model.h5")->is_pointer);
	manifest_done(&m);
	git_pack_free(p);
	buf_done(&w.b);
}

static int parse_only(const void *data, size_t n, struct err *e)
{
	struct git_pack *p = NULL;
	int rc = parse(&p, data, n, e);

	git_pack_free(p);
	return rc;
}

static void expect_bad(struct writer *w, const char *sentence)
{
	struct err e = ERR_NONE;

	pack_end(w);
	assert_true(parse_only(w->b.data, w->b.len, &e) < 0);
	if (!strstr(e.msg, sentence))
		fail_msg("expected '%s', got '%s'", sentence, e.msg);
	buf_done(&w->b);
}

static void damaged_packs_are_refused(void **state)
{
	static const unsigned char out_of_base[] = { 5, 3, 0x91, 4, 3 }, no_op[] = { 5, 1, 0 }, wrong_base[] = { 9, 1, 0x90, 1 };
	unsigned char missing[20] = { 1 };
	struct writer w;
	struct err e;

	(void)state;
	assert_int_equal(parse_only("PACK", 4, &e), ERR_INPUT);
	pack_begin(&w);
	pack_raw(&w, GIT_BLOB, "", 0, "hello", 5);
	pack_raw(&w, 6, "\x7f", 1, out_of_base, sizeof(out_of_base));
	expect_bad(&w, "base is not an object");
	for (int i = 0; i < 3; i++) {
		const unsigned char *delta = i == 0 ? out_of_base : i == 1 ? no_op : wrong_base;
		struct digest base;

		pack_begin(&w);
		git_object_id(&base, GIT_BLOB, "hello", 5);
		pack_raw(&w, GIT_BLOB, "", 0, "hello", 5);
		pack_raw(&w, 7, base.bytes, 20, delta, i == 0 ? 5 : i == 1 ? 3 : 4);
		expect_bad(&w, i == 2 ? "base of another size" : "damaged delta");
	}
	pack_begin(&w);
	pack_raw(&w, 7, missing, 20, "\5\1\x90\1", 4);
	expect_bad(&w, "base is not in the pack");
	pack_begin(&w);
	pack_raw(&w, 5, "", 0, "x", 1);
	expect_bad(&w, "unknown type");
	pack_begin(&w);
	pack_raw(&w, GIT_BLOB, "", 0, "x", 1);
	w.n = 2;
	expect_bad(&w, "ends in the middle");
	pack_begin(&w);
	pack_raw(&w, GIT_BLOB, "", 0, "x", 1);
	buf_puts(&w.b, "junk");
	expect_bad(&w, "behind its last object");
	pack_begin(&w);
	buf_add(&w.b, "\xb0\x80\x80\x80\x80\x01", 6);	/* claims 2^32 bytes */
	w.n = 1;
	expect_bad(&w, "more than is read");
}

/* A tree with one entry, as an object; its id into id. */
static void pack_tree(struct writer *w, const char *mode, const char *name, const struct digest *oid, int times, struct digest *id)
{
	own(buf) struct buf t;

	buf_init(&t, 1 << 20);
	for (int i = 0; i < times; i++) {
		buf_printf(&t, i ? "%s %s%d" : "%s %s", mode, name, i);
		buf_putc(&t, 0);
		buf_add(&t, oid->bytes, 20);
	}
	pack_raw(w, GIT_TREE, "", 0, t.data, t.len);
	git_object_id(id, GIT_TREE, t.data, t.len);
}

static int manifest_of(struct writer *w, const struct digest *tree, struct err *e)
{
	char body[80], hex[DIGEST_HEX_MAX];
	struct manifest m = { 0 };
	struct git_pack *p = NULL;
	struct digest commit;
	int rc;

	digest_hex(hex, tree);
	snprintf(body, sizeof(body), "tree %s\n", hex);
	pack_raw(w, GIT_COMMIT, "", 0, body, strlen(body));
	git_object_id(&commit, GIT_COMMIT, body, strlen(body));
	pack_end(w);
	rc = parse(&p, w->b.data, w->b.len, e);
	if (rc == 0)
		rc = manifest_build(&m, p, &commit, e);
	manifest_done(&m);
	git_pack_free(p);
	buf_done(&w->b);
	return rc;
}

static void hostile_trees_are_refused(void **state)
{
	static const struct {
		const char *mode, *name;
		int rc;
	} cases[] = {
		{ "100644", "..", ERR_INPUT },	 { "100644", ".", ERR_INPUT },	 { "100644", "a\\b", ERR_INPUT },	{ "100644", "a\nb", ERR_INPUT },
		{ "100644", ".GIT", ERR_MISMATCH }, { "100644", "\xff", ERR_INPUT }, { "123456", "x", ERR_MISMATCH }, { "40000", "x", ERR_MISMATCH },
		{ "100644", "fine #1", 0 },
	};
	struct digest blob, tree;
	struct writer w;
	struct err e;

	(void)state;
	git_object_id(&blob, GIT_BLOB, "x", 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		pack_begin(&w);
		pack_tree(&w, cases[i].mode, cases[i].name, &blob, 1, &tree);
		assert_int_equal(manifest_of(&w, &tree, &e), cases[i].rc);
	}
	/* Folders within folders, each listed ten times: 10^12 paths in a few kilobytes. */
	pack_begin(&w);
	pack_raw(&w, GIT_TREE, "", 0, "", 0);
	git_object_id(&tree, GIT_TREE, "", 0);
	for (int depth = 0; depth < 12; depth++)
		pack_tree(&w, "40000", "d", &tree, 10, &tree);
	assert_int_equal(manifest_of(&w, &tree, &e), ERR_LIMIT);
}

/* A repository with folders, modes, odd names, pointers and enough versions of a file that git makes deltas. */
static const char make_repository[] =
	"set -e; cd \"$1\"; git init -q -b main r; cd r; git config user.email a@b; git config user.name a; mkdir -p 'a/b c/d'; echo hi >'a/b c/d/x#1.txt';"
	"for i in $(seq 400); do echo \"line $i of a longer file\"; done >a.txt; printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:"
	"097417381d6c7230bd9e3557456d726de6e83245ec8b24f529f60198a67b203a\\nsize 440473133\\n' >model.safetensors; ln -s a.txt link; echo '#!/bin/sh' >run;"
	"chmod +x run; printf h >'h\xc3\xa9.txt'; : >empty; git add -A; git commit -qm one; for n in 1 2 3 4; do sed -i \"${n}0s/.*/changed/\" a.txt; git commit -qam v$n; done;"
	"git config uploadpack.allowFilter true; git rev-parse HEAD >../head; git ls-tree -r -z HEAD >../list;"
	"git rev-list --objects --no-object-names HEAD | git pack-objects -q --stdout --delta-base-offset >../ofs.pack;"
	"git rev-list --objects --no-object-names HEAD | git pack-objects -q --stdout --no-reuse-delta >../ref.pack;"
	"export GIT_PROTOCOL=version=2; git upload-pack --http-backend-info-refs . >../advert;"
	"git upload-pack --stateless-rpc . <../fetch.request >../fetch.answer 2>/dev/null || true;"
	"git upload-pack --stateless-rpc . <../refs.request >../refs.answer";

static void slurp(const char *dir, const char *name, struct buf *b)
{
	char path[256];
	struct err e = ERR_NONE;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	buf_reset(b);
	if (fdio_slurp(AT_FDCWD, path, b, &e) < 0)
		fail_msg("%s", e.msg);
}

static void run_git(const char *dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("sh", "sh", "-c", make_repository, "sh", dir, (char *)NULL);
		_exit(127);
	}
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Is the manifest what `git ls-tree -r -z` printed: "<mode> blob <oid>\t<path>\0"? */
static void compare_with_list(const struct manifest *m, struct buf *list)
{
	static const char *const names[] = { "100644", "100755", "120000", "160000" };
	size_t n = 0;

	for (char *line = list->data; line < list->data + list->len; line += strlen(line) + 1, n++) {
		const struct git_entry *entry = manifest_find(m, strchr(line, '\t') + 1);
		char hex[DIGEST_HEX_MAX];

		if (!entry)
			fail_msg("%s is not in the manifest", line);
		digest_hex(hex, &entry->oid);
		assert_memory_equal(line, names[entry->mode], 6);
		assert_memory_equal(line + 12, hex, 40);
	}
	assert_int_equal(m->n, n);
}

static void check_pack(const void *data, size_t n, const struct digest *commit, struct buf *list)
{
	struct manifest m;
	struct git_pack *p = NULL;
	struct err e = ERR_NONE;

	if (parse(&p, data, n, &e) < 0 || manifest_build(&m, p, commit, &e) < 0)
		fail_msg("%s", e.msg);
	compare_with_list(&m, list);
	assert_true(manifest_find(&m, "model.safetensors")->is_pointer);
	manifest_done(&m);
	git_pack_free(p);
}

static int count_ref(void *arg, const char *commit, const char *name, struct err *e)
{
	(void)e;
	assert_int_equal(strlen(commit), 40);
	if (!strcmp(name, "refs/heads/main"))
		(*(int *)arg)++;
	return 0;
}

static void write_request(const char *dir, const char *name, const struct buf *b)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(fdio_replace(AT_FDCWD, path, b->data, b->len, 0644, NULL), 0);
}

static void packs_and_answers_of_git_itself(void **state)
{
	char dir[] = "/tmp/test_git_pack.XXXXXX", command[300];
	struct git_advert advert = { .filter = true };
	struct err e = ERR_NONE;
	struct digest commit;
	struct buf b, list;
	int main_refs = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	buf_init(&b, 1 << 24);
	buf_init(&list, 1 << 24);
	git_ls_refs_request(&b);
	write_request(dir, "refs.request", &b);
	write_request(dir, "fetch.request", &b);
	run_git(dir);			/* once to learn the commit, */
	slurp(dir, "head", &b);
	b.data[40] = 0;
	assert_int_equal(digest_parse(&commit, DIGEST_SHA1, b.data, &e), 0);
	char hex[41];

	memcpy(hex, b.data, 41);
	slurp(dir, "list", &list);
	slurp(dir, "ofs.pack", &b);
	check_pack(b.data, b.len, &commit, &list);
	slurp(dir, "ref.pack", &b);
	check_pack(b.data, b.len, &commit, &list);
	slurp(dir, "advert", &b);
	assert_int_equal(git_advert_parse(&advert, b.data, b.len, &e), 0);
	assert_true(advert.filter);
	slurp(dir, "refs.answer", &b);
	assert_int_equal(git_ls_refs_parse(b.data, b.len, count_ref, &main_refs, &e), 0);
	assert_int_equal(main_refs, 1);

	buf_reset(&b);			/* then to ask for it. */
	git_fetch_request(&b, hex, &advert);
	write_request(dir, "fetch.request", &b);
	snprintf(command, sizeof(command), "cd %s/r && GIT_PROTOCOL=version=2 git upload-pack --stateless-rpc . <../fetch.request >../fetch.answer", dir);
	assert_int_equal(system(command), 0);
	slurp(dir, "fetch.answer", &b);
	assert_int_equal(git_fetch_parse(&b, &e), 0);
	check_pack(b.data, b.len, &commit, &list);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	buf_done(&b);
	buf_done(&list);
}

/* What is left of an answer, or the error. */
static int pack_of(const char *text, size_t n, struct err *e)
{
	own(buf) struct buf answer;

	buf_init(&answer, 1000);
	buf_add(&answer, text, n);
	return git_fetch_parse(&answer, e);
}

static void answers_that_are_no_git(void **state)
{
	static const char html[] = "<html>login</html>", error[] = "0016ERR access denied\n";
	struct git_advert a;
	struct err e;

	(void)state;
	assert_int_equal(git_advert_parse(&a, html, sizeof(html) - 1, &e), ERR_INPUT);
	assert_int_equal(pack_of(error, sizeof(error) - 1, &e), ERR_FAILED);
	assert_string_equal(e.msg, "git server: access denied");
	assert_int_equal(pack_of("000dpackfile\n0005\1", 18, &e), ERR_INPUT);
	assert_int_equal(pack_of("0003", 4, &e), ERR_INPUT);
	assert_int_equal(pack_of("", 0, &e), ERR_INPUT);
	assert_int_equal(git_advert_parse(&a, "000eversion 2\n0000", 18, &e), ERR_UNSUPPORTED);
	assert_int_equal(git_advert_parse(&a, "000eversion 2\n001aobject-format=sha256\n0000", 44, &e), ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_commit_is_proven),   cmocka_unit_test(a_forged_pointer_is_not_found),	cmocka_unit_test(damaged_packs_are_refused),
		cmocka_unit_test(hostile_trees_are_refused), cmocka_unit_test(packs_and_answers_of_git_itself), cmocka_unit_test(answers_that_are_no_git),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
