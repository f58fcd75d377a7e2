/* test_sign.c - statements signed and checked: what is altered, hidden or doubled does not pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/str.h"
#include "verify/sign.h"

static struct err err;

static void files_of(struct sign_file f[3])
{
	static const char *const names[] = { ".gitattributes", "a/b.safetensors", "a.txt" };

	for (size_t i = 0; i < 3; i++) {
		f[i].path = names[i];
		digest_of(&f[i].sha256, DIGEST_SHA256, names[i], strlen(names[i]));
	}
}

static void signed_bundle(struct sign_key *k, struct buf *b)
{
	own(json) json_t *s = NULL;
	struct sign_file f[3];

	files_of(f);
	assert_int_equal(sign_key_generate(k, &err), 0);
	s = sign_oms_statement("org/m", f, 3, &err);
	assert_non_null(s);
	assert_int_equal(sign_bundle(s, k, b, &err), 0);
}

static void a_round_trip_holds(void **state)
{
	own(sign_key) struct sign_key k = { 0 }, again = { 0 }, public = { 0 };
	own(sign_opened) struct sign_opened o = { 0 };
	own(json) json_t *statement = NULL;
	own(mem) struct sign_file *files = NULL;
	own(buf) struct buf b, pem;
	size_t n = 0;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_init(&pem, SIGN_PEM_MAX);
	signed_bundle(&k, &b);
	assert_true(str_is_hex(k.hint, 64));
	assert_int_equal(sign_key_write_private(&k, &pem, &err), 0);
	assert_int_equal(sign_key_read_private(&again, pem.data, pem.len, &err), 0);
	assert_string_equal(again.hint, k.hint);
	assert_int_equal(sign_key_read_public(&public, k.pem, strlen(k.pem), &err), 0);
	assert_int_equal(sign_open(&o, b.data, b.len, &err), 0);
	assert_string_equal(o.hint, k.hint);
	assert_int_equal(sign_check(&o, &public, &statement, &err), 0);
	assert_int_equal(sign_oms_files(statement, &files, &n, &err), 0);
	assert_int_equal(n, 2);		/* .gitattributes is no part of a model */
	assert_string_equal(files[0].path, "a.txt");
}

static void what_is_altered_does_not_pass(void **state)
{
	own(sign_key) struct sign_key k = { 0 }, other = { 0 };
	own(json) json_t *statement = NULL;
	own(buf) struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	signed_bundle(&k, &b);
	assert_int_equal(sign_key_generate(&other, &err), 0);
	{
		own(sign_opened) struct sign_opened o = { 0 };

		assert_int_equal(sign_open(&o, b.data, b.len, &err), 0);
		assert_int_equal(sign_check(&o, &other, &statement, &err), ERR_MISMATCH);
		o.hint[0] = 0;		/* without a hint the signature itself must tell */
		assert_int_equal(sign_check(&o, &other, &statement, &err), ERR_MISMATCH);
		for (size_t i = 0; i < o.payload_len; i += 17) {
			o.payload[i] ^= 1;
			assert_int_equal(sign_check(&o, &k, &statement, &err), ERR_MISMATCH);
			o.payload[i] ^= 1;
		}
		o.signature[o.signature_len / 2] ^= 1;
		assert_int_equal(sign_check(&o, &k, &statement, &err), ERR_MISMATCH);
	}
	assert_null(statement);
}

/* A bundle cut anywhere is an error, never a crash or a pass. */
static void a_cut_bundle_is_refused(void **state)
{
	own(sign_key) struct sign_key k = { 0 };
	own(buf) struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	signed_bundle(&k, &b);
	for (size_t n = 0; n < b.len; n += 7) {
		own(sign_opened) struct sign_opened o = { 0 };

		assert_int_equal(sign_open(&o, b.data, n, &err), ERR_INPUT);
	}
}

/* Statements that a trusted key signed all the same: what reference verifiers are known to let through. */
static void statements_are_read_with_distrust(void **state)
{
	static const struct {
		const char *path, *value;	/* member of the predicate that is replaced */
		int code;
	} cases[] = {
		{ "serialization", "{\"method\":\"files\",\"hash_type\":\"sha256\",\"ignore_paths\":[\"w.safetensors\"]}", ERR_MISMATCH },
		{ "serialization", "{\"method\":\"shards\",\"hash_type\":\"sha256\"}", ERR_UNSUPPORTED },
		{ "serialization", "{\"method\":\"files\",\"hash_type\":\"blake2b\"}", ERR_UNSUPPORTED },
		{ "resources", "[]", ERR_INPUT },
		{ "resources", "[{\"name\":\"../x\",\"algorithm\":\"sha256\",\"digest\":\"00\"}]", ERR_INPUT },
		{ "resources", "[{\"name\":\"x\",\"algorithm\":\"sha256\",\"digest\":\"00\"}]", ERR_INPUT },
		{ "resources", "[{\"name\":\"x\",\"algorithm\":\"blake2b\",\"digest\":\"00\"}]", ERR_INPUT },
		{ "resources", "{}", ERR_INPUT },
	};
	struct sign_file f[3];

	(void)state;
	files_of(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(json) json_t *s = sign_oms_statement("org/m", f, 3, &err);
		own(mem) struct sign_file *files = NULL;
		size_t n;

		json_object_set_new(json_object_get(s, "predicate"), cases[i].path, json_parse(cases[i].value, strlen(cases[i].value), "case", &err));
		assert_int_equal(sign_oms_files(s, &files, &n, &err), cases[i].code);
	}
	{
		own(json) json_t *s = NULL;
		own(mem) struct sign_file *files = NULL;
		size_t n;

		f[2] = f[1];	/* the same name twice */
		s = sign_oms_statement("org/m", f, 3, &err);
		assert_int_equal(sign_oms_files(s, &files, &n, &err), ERR_MISMATCH);
		assert_non_null(strstr(err.msg, "twice"));
	}
}

static void keys_of_other_kinds_are_refused(void **state)
{
	/* P-256 would do; secp256k1 is a curve that Model Signing does not know. */
	static const char k1[] = "-----BEGIN PUBLIC KEY-----\n"
				 "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEeb5mfvncu6xVoGKVzocLBwKb/NstzijZ\n"
				 "WfKBWxb4F5hIOtp3JqPEZV2k+/wOEQio/Re0SKaFVBmcR9CP+xDUuA==\n"
				 "-----END PUBLIC KEY-----\n";
	own(sign_key) struct sign_key k = { 0 };

	(void)state;
	assert_int_equal(sign_key_read_public(&k, k1, strlen(k1), &err), ERR_UNSUPPORTED);
	assert_int_equal(sign_key_read_public(&k, "no key", 6, &err), ERR_INPUT);
	assert_int_equal(sign_key_read_private(&k, k1, strlen(k1), &err), ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_trip_holds),		    cmocka_unit_test(what_is_altered_does_not_pass),
		cmocka_unit_test(a_cut_bundle_is_refused),	    cmocka_unit_test(statements_are_read_with_distrust),
		cmocka_unit_test(keys_of_other_kinds_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
