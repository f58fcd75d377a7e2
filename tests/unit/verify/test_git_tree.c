/* test_git_tree.c - tree ids against a real commit of the Hub, and against git's own on awkward names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/vec.h"
#include "verify/git_tree.h"

#define CHAIN SOURCE_DIR "/tests/data/git-chain/bert-base-uncased.json"

static void test_real_commit(void **state)
{
	struct git_tree_file files[16];
	own(buf) struct buf b;
	char hex[DIGEST_HEX_MAX];
	struct digest tree;
	json_t *item;
	size_t i;
	(void)state;

	buf_init(&b, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, CHAIN, &b, NULL), 0);
	own(json) json_t *doc = json_parse(b.data, b.len, "chain", NULL);
	json_array_foreach (json_object_get(doc, "files"), i, item) {
		files[i].path = json_get_str(item, "path");
		assert_int_equal(digest_parse(&files[i].oid, DIGEST_SHA1, json_get_str(item, "oid"), NULL), 0);
	}
	assert_int_equal(git_tree_id(&tree, files, i, NULL), 0);
	digest_hex(hex, &tree);
	assert_string_equal(hex, json_get_str(doc, "tree"));
}

/* Expected by `git write-tree` over the same paths, each with the content "x". */
static void test_nested_order(void **state)
{
	static const char *const paths[] = { "a.b", "a/z/y", "a/b", "a-b", "a0", "z/\xc3\xa9", "a/z/x", "A" };
	struct git_tree_file files[ARRAY_LEN(paths)];
	char hex[DIGEST_HEX_MAX];
	struct digest tree;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		files[i].path = paths[i];
		git_object_id(&files[i].oid, GIT_BLOB, "x", 1);
	}
	assert_int_equal(git_tree_id(&tree, files, ARRAY_LEN(paths), NULL), 0);
	digest_hex(hex, &tree);
	assert_string_equal(hex, "711ffa80a050f010e617c6c6cf3b598103067d94");
}

static void test_clash(void **state)
{
	struct git_tree_file files[] = { { .path = "a" }, { .path = "a.b" }, { .path = "a/b" } };
	struct digest tree;
	struct err e;
	(void)state;

	assert_int_equal(git_tree_id(&tree, files, 3, &e), ERR_INPUT);
	files[2].path = "a";
	assert_int_equal(git_tree_id(&tree, files, 3, &e), ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_commit),
		cmocka_unit_test(test_nested_order),
		cmocka_unit_test(test_clash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
