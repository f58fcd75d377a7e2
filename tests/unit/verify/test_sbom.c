/* test_sbom.c - both documents hold every fact and are the same bytes for the same facts. `test_sbom FORMAT` prints one, so that
 * tests/system/test_sbom.py can put it before the published schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "verify/sbom.h"

static struct sbom_facts full_facts(void)
{
	static struct sbom_file files[2] = { { .path = "config.json", .size_bytes = 2 }, { .path = "sub dir/model#1.safetensors", .size_bytes = 5000000000 } };
	static const char *const bases[] = { "Qwen/Qwen2.5-0.5B", "org/base@0123456789abcdef0123456789abcdef01234567" };
	static const char *const datasets[] = { "org/data" };
	static const struct sbom_property properties[] = { { "registryd:smoke:verdict", "pass" }, { "registryd:proof", "commit" } };

	digest_of(&files[0].sha256, DIGEST_SHA256, "{}", 2);
	digest_of(&files[0].git_oid, DIGEST_SHA1, "{}", 2);
	digest_of(&files[1].sha256, DIGEST_SHA256, "x", 1);
	return (struct sbom_facts){
		.repo = "org/name", .commit = "dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7", .source_url = "https://hub.example/org/name/tree/dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7",
		.published_at = 1795000000, .license_spdx = "Apache-2.0", .license_url = "https://www.apache.org/licenses/LICENSE-2.0",
		.task = "text-generation", .architecture = "LlamaForCausalLM", .base_models = bases, .n_base_models = 2, .datasets = datasets, .n_datasets = 1,
		.files = files, .n_files = 2, .properties = properties, .n_properties = 2,
	};
}

static void documents_are_deterministic_and_complete(void **state)
{
	struct sbom_facts f = full_facts();
	struct err e = ERR_NONE;

	(void)state;
	for (enum sbom_format format = SBOM_CYCLONEDX; format <= SBOM_SPDX; format++) {
		own(buf) struct buf a;
		own(buf) struct buf b;

		buf_init(&a, SBOM_MAX_BYTES);
		buf_init(&b, SBOM_MAX_BYTES);
		assert_int_equal(sbom_write(&a, format, &f, &e), 0);
		assert_int_equal(sbom_write(&b, format, &f, &e), 0);
		assert_string_equal(a.data, b.data);
		for (const char *const *want = (const char *const[]){ "dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7", "Apache-2.0", "Qwen2.5-0.5B", "org/data", "model#1.safetensors",
								      "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "registryd:smoke:verdict",
								      "text-generation", "LlamaForCausalLM", NULL };
		     *want; want++)
			assert_non_null(strstr(a.data, *want));
		own(json) json_t *parsed = json_parse(a.data, a.len, "sbom", &e);
		assert_non_null(parsed);
	}
}

static void bare_facts_and_bad_text(void **state)
{
	struct sbom_facts f = { .repo = "legacy", .commit = "dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7", .source_url = "file:///import", .license_spdx = "LicenseRef-llama3.1" };
	struct sbom_file file = { .path = "\xff" };
	struct err e = ERR_NONE;
	own(buf) struct buf b;

	(void)state;
	buf_init(&b, SBOM_MAX_BYTES);
	assert_int_equal(sbom_write(&b, SBOM_CYCLONEDX, &f, &e), 0);
	buf_reset(&b);
	assert_int_equal(sbom_write(&b, SBOM_SPDX, &f, &e), 0);
	f.files = &file;
	f.n_files = 1;
	buf_reset(&b);
	assert_int_equal(sbom_write(&b, SBOM_SPDX, &f, &e), ERR_INPUT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(documents_are_deterministic_and_complete), cmocka_unit_test(bare_facts_and_bad_text) };
	struct sbom_facts f = full_facts();
	enum sbom_format format;
	struct err e = ERR_NONE;
	own(buf) struct buf b;

	buf_init(&b, SBOM_MAX_BYTES);
	if (argc == 1)
		return cmocka_run_group_tests(tests, NULL, NULL);
	if (sbom_format_parse(&format, argv[1], &e) < 0 || sbom_write(&b, format, &f, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	fputs(b.data, stdout);
	return 0;
}
