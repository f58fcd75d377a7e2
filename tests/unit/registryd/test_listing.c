/* test_listing.c - listings of files as a Hub answers them: odd, hostile, contradicting themselves or the commit; and what is wanted of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/vec.h"
#include "registryd/gitproof.h"
#include "registryd/plan.h"

#define OID_A "\"oid\":\"1111111111111111111111111111111111111111\""
#define FILE_OF(path) "{\"type\":\"file\",\"path\":\"" path "\",\"size\":1," OID_A "}"
#define CHAIN SOURCE_DIR "/tests/data/git-chain/bert-base-uncased.json"

static int read_tree(struct hub_tree *t, const char *text, struct err *e)
{
	int rc;

	hub_tree_init(t);
	rc = hub_tree_page(t, text, strlen(text), e);
	return rc ? rc : hub_tree_finish(t, e);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "[" FILE_OF("../x") "]", "'../x'" },
		{ "[" FILE_OF("/etc/x") "]", "absolute" },
		{ "[" FILE_OF("a//b") "]", "'a//b'" },
		{ "[" FILE_OF("a\\u0000b") "]", "NUL" },
		{ "[" FILE_OF("a\\nb") "]", "control" },
		{ "[" FILE_OF("") "]", "0 bytes" },
		{ "[" FILE_OF("x/.GIT/hooks/y") "]", ".git" },
		{ "[" FILE_OF("a") "," FILE_OF("a") "]", "twice" },
		{ "[" FILE_OF("a") "," FILE_OF("a.b") "," FILE_OF("a/b") "]", "directory" },
		{ "[{\"type\":\"file\",\"path\":\"a\",\"size\":-1," OID_A "}]", "size" },
		{ "[{\"type\":\"file\",\"path\":\"a\",\"size\":9223372036854775807," OID_A "}]", "size" },
		{ "[{\"type\":\"file\",\"path\":\"a\",\"size\":1}]", "object id" },
		{ "[{\"type\":\"file\",\"path\":\"a\",\"size\":1,\"oid\":\"XYZ\"}]", "'XYZ'" },
		{ "[{\"type\":\"file\",\"path\":\"a\",\"size\":1," OID_A ",\"lfs\":{\"oid\":\"12\",\"size\":1}}]", "SHA-256" },
		{ "[{\"type\":\"file\",\"path\":\"a\",\"size\":1," OID_A ",\"lfs\":{\"oid\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"size\":2}}]", "two sizes" },
		{ "<html>login</html>", "HTML" },
		{ "[1,2", "JSON" },
		{ "{}", "array" },
		{ "[{\"path\":7}]", "type or path" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(tree) struct hub_tree t;
		struct err e = ERR_NONE;

		assert_int_not_equal(read_tree(&t, cases[i].text, &e), 0);
		if (!strstr(e.msg, cases[i].word))
			fail_msg("%s: '%s' does not say '%s'", cases[i].text, e.msg, cases[i].word);
	}
}

static void test_accepted(void **state)
{
	own(tree) struct hub_tree t;
	(void)state;

	assert_int_equal(read_tree(&t, "[" FILE_OF("b #%1?.txt") "," FILE_OF("B #%1?.txt") "," FILE_OF("\xc3\xa9/x") ",{\"type\":\"directory\",\"path\":\"d\",\"size\":0," OID_A "},{\"type\":\"unknown\",\"path\":\"sub\"}]", NULL), 0);
	assert_int_equal(t.n_files, 3);
	assert_int_equal(t.n_dirs, 1);
	assert_non_null(t.odd_path);	/* two names that differ only by case */
	assert_non_null(hub_tree_find(&t, "\xc3\xa9/x"));
	assert_null(hub_tree_find(&t, "x"));
}

static void test_masked(void **state)
{
	own(tree) struct hub_tree t;
	(void)state;

	assert_int_equal(read_tree(&t, "[{\"type\":\"file\",\"path\":\"a\",\"size\":1," OID_A ",\"lfs\":{\"oid\":\"****************************************************************\",\"size\":1}}]", NULL), 0);
	assert_true(t.files[0].masked);
}

static void test_hostile(void **state)
{
	static const char dir[] = SOURCE_DIR "/tests/data/hostile/tree";
	own(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : opendir(dir);
	struct dirent *entry;
	size_t seen = 0;
	(void)state;

	if (!d)
		fail_msg("%s is not here", dir);
	while ((entry = readdir(d))) {
		own(tree) struct hub_tree t;
		own(buf) struct buf b;
		int rc;

		hub_tree_init(&t);
		buf_init(&b, 1 << 20);
		if (*entry->d_name == '.')
			continue;
		assert_int_equal(fdio_slurp(fd, entry->d_name, &b, NULL), 0);
		rc = read_tree(&t, b.data, NULL);
		if (!strncmp(entry->d_name, "bad_", 4) == !rc)
			fail_msg("%s: %d", entry->d_name, rc);
		if (!strncmp(entry->d_name, "flag_", 5))
			assert_non_null(t.odd_path);
		seen++;
	}
	closedir(d);
	assert_int_equal(seen, 11);
}

/* ---- the real commit of google-bert/bert-base-uncased ---------------------------------------------------------- */

struct chain {
	struct hub_tree tree;
	struct git_entry *entries;
	size_t n, cap;
};

/* The listing as the Hub recorded it, and the manifest as its commit says it. */
static int load_chain(void **state)
{
	struct chain *c = mem_zalloc(sizeof(*c));
	own(json) json_t *doc = NULL;
	own(mem) char *page = NULL;
	own(buf) struct buf b;
	json_t *item;
	size_t i;

	buf_init(&b, 1 << 20);
	if (fdio_slurp(AT_FDCWD, CHAIN, &b, NULL) || !(doc = json_parse(b.data, b.len, "chain", NULL)))
		return -1;
	json_array_foreach (json_object_get(doc, "files"), i, item) {
		const json_t *lfs = json_object_get(item, "lfs");
		struct git_entry *g = vec_push(&c->entries, &c->n, &c->cap);

		json_object_set_new(item, "type", json_string("file"));
		g->path = mem_strdup(json_get_str(item, "path"));
		digest_parse(&g->oid, DIGEST_SHA1, json_get_str(item, "oid"), NULL);
		g->is_pointer = g->have_blob = lfs != NULL;
		digest_parse(&g->pointer.sha256, DIGEST_SHA256, lfs ? json_get_str(lfs, "oid") : "", NULL);
		g->pointer.size_bytes = (uint64_t)json_get_int(item, "size", 0);
	}
	page = json_text(json_object_get(doc, "files"));
	*state = c;
	return read_tree(&c->tree, page, NULL);
}

static int free_chain(void **state)
{
	struct chain *c = *state;

	hub_tree_done(&c->tree);
	for (size_t i = 0; i < c->n; i++)
		free((char *)c->entries[i].path);
	free(c->entries);
	free(c);
	return 0;
}

static struct hub_file *weights(struct chain *c)
{
	return (struct hub_file *)hub_tree_find(&c->tree, "pytorch_model.bin");
}

/* The commit's files against the listing. Backwards: their order is no matter. */
static int compare(const struct chain *c, enum proof_level *level, struct err *e)
{
	struct gitproof_compare cmp;

	gitproof_compare_begin(&cmp, &c->tree);
	for (size_t i = c->n; i-- > 0;)
		assert_int_equal(gitproof_compare_entry(&cmp, &c->entries[i], e), 0);
	gitproof_compare_end(&cmp);
	*level = cmp.level;
	*e = cmp.disagrees;
	return e->code;
}

static void test_chain_agrees(void **state)
{
	struct chain *c = *state;
	struct err e = ERR_NONE;
	enum proof_level level;

	assert_int_equal(compare(c, &level, &e), 0);
	assert_int_equal(level, PROOF_COMMIT);
	assert_int_equal(gitproof_check_listing(&c->tree, &level, NULL), 0);
	assert_int_equal(level, PROOF_LISTING);
	weights(c)->pointer_bytes = 0;
	weights(c)->sha256.bytes[7] ^= 1;
	assert_int_equal(gitproof_check_listing(&c->tree, &level, NULL), ERR_MISMATCH);
	weights(c)->pointer_bytes = 200;	/* longer than the plain pointer: one with extensions */
	assert_int_equal(gitproof_check_listing(&c->tree, &level, NULL), 0);
	assert_int_equal(level, PROOF_HASH);
}

/* Each single lie of the listing is found, with its path. */
static void test_chain_disagrees(void **state)
{
	struct chain *c = *state;
	struct hub_file *f = weights(c), saved = *f;
	struct err e = ERR_NONE;
	enum proof_level level;

	for (int lie = 0; lie < 5; lie++) {
		*f = saved;
		if (lie == 0)
			f->sha256.bytes[31] ^= 1;
		if (lie == 1)
			f->size_bytes++;
		if (lie == 2)
			f->oid.bytes[0] ^= 1;
		if (lie == 3)
			f->path = "other.bin";
		if (lie == 4)
			f->lfs = false;
		assert_int_equal(compare(c, &level, &e), ERR_MISMATCH);
		assert_non_null(strstr(e.msg, "pytorch_model.bin"));
	}
	*f = saved;
	c->tree.n_files--;	/* the listing leaves a file out */
	assert_int_equal(compare(c, &level, &e), ERR_MISMATCH);
	assert_non_null(strstr(e.msg, "vocab.txt"));
	c->tree.n_files++;
}

static void test_commit_disagrees(void **state)
{
	struct chain *c = *state;
	struct git_entry *g = &c->entries[c->n - 1], saved = *g;
	struct gitproof_compare cmp;
	struct err e = ERR_NONE;
	enum proof_level level;

	c->n--;			/* the commit leaves a file out */
	assert_int_equal(compare(c, &level, &e), ERR_MISMATCH);
	assert_non_null(strstr(e.msg, saved.path));
	c->n++;
	g->mode = GIT_MODE_SUBMODULE;	/* or holds no bytes for it */
	assert_int_equal(compare(c, &level, &e), ERR_MISMATCH);
	*g = saved;
	gitproof_compare_begin(&cmp, &c->tree);
	assert_int_equal(gitproof_compare_entry(&cmp, g, &e), 0);
	assert_int_equal(gitproof_compare_entry(&cmp, g, &e), ERR_MISMATCH);
	assert_non_null(strstr(e.msg, "twice"));
	gitproof_compare_end(&cmp);
}

/* ---- what is wanted -------------------------------------------------------------------------------------------- */

static const char *why_not(const char *args, const char *path, struct arena *a)
{
	own(json) json_t *j = json_parse(args, strlen(args), "args", NULL);
	struct plan_selection s;

	assert_int_equal(plan_read_selection(&s, j, a, NULL), 0);
	return plan_why_not(&s, path);
}

static void test_globs(void **state)
{
	own(arena) struct arena a;
	(void)state;

	arena_init(&a);
	assert_null(why_not("{}", "x", &a));
	assert_null(why_not("{\"include\":[\"*.json\"]}", "sub/config.json", &a));
	assert_non_null(why_not("{\"include\":[\"*.json\"]}", "model.bin", &a));
	assert_non_null(strstr(why_not("{\"include\":[\"*\"],\"exclude\":[\"onnx/\"]}", "onnx/model.onnx", &a), "onnx/*"));
	assert_null(why_not("{\"metadata_only\":true}", "README.md", &a));
	assert_null(why_not("{\"metadata_only\":true}", "LICENSE", &a));
	assert_non_null(why_not("{\"metadata_only\":true}", "model.safetensors", &a));
}

static void test_bad_globs(void **state)
{
	static const char *const bad[] = { "{\"include\":\"x\"}", "{\"include\":[1]}", "{\"exclude\":[\"\"]}" };
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		own(json) json_t *j = json_parse(bad[i], strlen(bad[i]), "args", NULL);
		own(arena) struct arena a;
		struct plan_selection s;

		arena_init(&a);
		assert_int_equal(plan_read_selection(&s, j, &a, NULL), ERR_USAGE);
	}
}

static void test_repo_names(void **state)
{
	static const char *const good[] = { "gpt2", "org/name", "a.b/c_d-e.f", "A/1" };
	static const char *const bad[] = { "", "/", "a/", "/b", "a/b/c", "-a/b", "a/b.", "a/..", "a--b/c", "a b/c", "a/\xc3\xa9", "../x", "a/b?c" };
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(hub_check_repo(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!hub_check_repo(bad[i], NULL))
			fail_msg("'%s' is accepted", bad[i]);
}

/* What tells a repository from another of the same name: not what is the same for all, nor what a registry makes from the name. */
static void test_keys(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "{\"_id\":\"621ffdc036468d709f17434d\"}", "621ffdc036468d709f17434d" },
		{ "{\"_id\":\"000000000000000000000000\"}", "" },
		{ "{\"_id\":\"621ffdc036468d709f17434\"}", "" },
		{ "{\"_id\":\"621ffdc036468d709f17434g\"}", "" },
		{ "{\"_id\":7}", "" },
		{ "{}", "" },
	};
	char key[MODEL_KEY_HEX + 1], made[MODEL_KEY_HEX + 1];
	own(json) json_t *own_key = NULL;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(json) json_t *doc = json_parse(cases[i].text, strlen(cases[i].text), "a model", NULL);

		hub_read_key(doc, "org/name", key);
		assert_string_equal(key, cases[i].want);
	}
	model_made_key("org/name", made);
	own_key = json_pack("{s:s}", "_id", made);
	hub_read_key(own_key, "org/name", key);
	assert_string_equal(key, "");
	hub_read_key(own_key, "org/other", key);
	assert_string_equal(key, made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test_setup_teardown(test_chain_agrees, load_chain, free_chain),
		cmocka_unit_test_setup_teardown(test_chain_disagrees, load_chain, free_chain),
		cmocka_unit_test_setup_teardown(test_commit_disagrees, load_chain, free_chain),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_bad_globs),
		cmocka_unit_test(test_repo_names),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
