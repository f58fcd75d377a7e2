/* test_git_object.c - digests against published vectors; pointers and their ids against a real commit of the Hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "verify/git_object.h"

#define CHAIN SOURCE_DIR "/tests/data/git-chain/bert-base-uncased.json"

static void digests_match_published_vectors(void **state)
{
	char hex[DIGEST_HEX_MAX];
	struct digest d, back;
	struct err e;

	(void)state;
	digest_of(&d, DIGEST_SHA256, "abc", 3);	/* FIPS 180-2, appendix B.1 */
	digest_hex(hex, &d);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(digest_parse(&back, DIGEST_SHA256, hex, &e), 0);
	assert_true(digest_equal(&d, &back));
	assert_int_equal(digest_parse(&back, DIGEST_SHA256, "****************************************************************", &e), ERR_INPUT);
	assert_false(digest_equal(&(struct digest){ 0 }, &(struct digest){ 0 }));
	git_object_id(&d, GIT_BLOB, "", 0);
	digest_hex(hex, &d);
	assert_string_equal(hex, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");	/* git's empty blob */
}

/* Every LFS file of a recorded listing: the pointer we compute has the id and the length that the Hub listed. */
static void pointers_of_a_real_listing(void **state)
{
	struct err e = ERR_NONE;
	own(buf) struct buf text;
	json_t *file;
	size_t i, n_pointers = 0;

	(void)state;
	buf_init(&text, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, CHAIN, &text, &e), 0);
	own(json) json_t *chain = json_parse(text.data, text.len, "chain", &e);
	json_array_foreach(json_object_get(chain, "files"), i, file) {
		const json_t *lfs = json_object_get(file, "lfs");
		char pointer[GIT_POINTER_MAX], hex[DIGEST_HEX_MAX];
		struct git_pointer p, back;
		struct digest id;

		if (!lfs)
			continue;
		assert_int_equal(digest_parse(&p.sha256, DIGEST_SHA256, json_get_str(lfs, "oid"), &e), 0);
		p.size_bytes = (uint64_t)json_get_int(lfs, "size", 0);
		assert_int_equal(git_pointer_text(pointer, &p), json_get_int(lfs, "pointerSize", 0));
		git_pointer_id(&id, &p);
		digest_hex(hex, &id);
		assert_string_equal(hex, json_get_str(file, "oid"));
		assert_int_equal(git_pointer_parse(&back, pointer, strlen(pointer), &e), 0);
		assert_true(digest_equal(&back.sha256, &p.sha256) && back.size_bytes == p.size_bytes);
		n_pointers++;
	}
	assert_int_equal(n_pointers, 2);
}

static void only_one_encoding_is_a_pointer(void **state)
{
#define HEAD "version https://git-lfs.github.com/spec/v1\n"
#define OID "oid sha256:097417381d6c7230bd9e3557456d726de6e83245ec8b24f529f60198a67b203a\n"
	static const char *const bad[] = {
		"", HEAD, HEAD OID, HEAD OID "size 12", HEAD OID "size 012\n", HEAD OID "size 12\n\n", HEAD OID "size 99999999999999999999\n", HEAD "size 12\n" OID,
		HEAD "ext-0-foo sha256:097417381d6c7230bd9e3557456d726de6e83245ec8b24f529f60198a67b203a\n" OID "size 12\n", HEAD OID "size 12\nx 1\n",
	};
	struct git_pointer p;
	struct err e;

	(void)state;
	assert_int_equal(git_pointer_parse(&p, HEAD OID "size 12\n", strlen(HEAD OID "size 12\n"), &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(git_pointer_parse(&p, bad[i], strlen(bad[i]), &e), ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_match_published_vectors),
		cmocka_unit_test(pointers_of_a_real_listing),
		cmocka_unit_test(only_one_encoding_is_a_pointer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
