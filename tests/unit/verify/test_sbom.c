/* test_sbom.c - both documents hold every fact and are the same bytes for the same facts. `test_sbom FORMAT` prints one, so that
 * tests/system/test_sbom.py can put it before the published schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "verify/sbom.h"

/* Files of a list. */
struct listed {
	struct sbom_files files;
	const struct sbom_file *list;
	size_t n, i;
};

static int next_listed(struct sbom_files *self, struct sbom_file *out, struct err *e)
{
	struct listed *l = (struct listed *)self;

	(void)e;
	if (l->i == l->n) {
		l->i = 0;
		return 0;
	}
	*out = l->list[l->i++];
	return 1;
}

static struct sbom_facts full_facts(void)
{
	static struct listed all = { .files.next = next_listed, .n = 2 };
	static struct sbom_file files[2] = { { .path = "config.json", .size_bytes = 2 }, { .path = "sub dir/model#1.safetensors", .size_bytes = 5000000000 } };
	static const char *const bases[] = { "Qwen/Qwen2.5-0.5B", "org/base@0123456789abcdef0123456789abcdef01234567" };
	static const char *const datasets[] = { "org/data" };
	static const struct sbom_metric metrics[] = { { "accuracy", "0.91", "GLUE \"mnli\"" }, { "loss", "1.5e-3", NULL } };
	static const struct sbom_property properties[] = { { "registryd:smoke:verdict", "pass" }, { "registryd:proof", "commit" } };

	digest_of(&files[0].sha256, DIGEST_SHA256, "{}", 2);
	digest_of(&files[0].git_oid, DIGEST_SHA1, "{}", 2);
	digest_of(&files[1].sha256, DIGEST_SHA256, "x", 1);
	all.list = files;
	struct sbom_facts f = {
		.repo = "org/name", .commit = "dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7", .source_url = "https://hub.example/org/name/tree/dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7",
		.published_at = 1795000000, .license_spdx = "Apache-2.0", .license_url = "https://www.apache.org/licenses/LICENSE-2.0",
		.task = "text-generation", .architecture = "LlamaForCausalLM", .base_models = bases, .n_base_models = 2, .datasets = datasets, .n_datasets = 1, .metrics = metrics, .n_metrics = 2,
		.files = &all.files, .properties = properties, .n_properties = 2,
	};
	assert_int_equal(sbom_identify(&f, NULL), 0);
	return f;
}

static void documents_are_deterministic_and_complete(void **state)
{
	struct sbom_facts f = full_facts();
	struct err e = ERR_NONE;

	(void)state;
	for (enum sbom_format format = SBOM_CYCLONEDX; format <= SBOM_SPDX; format++) {
		own(spool) struct spool a, b;

		spool_init(&a, NULL, NULL, SBOM_MAX_BYTES);
		spool_init(&b, NULL, NULL, SBOM_MAX_BYTES);
		assert_int_equal(sbom_write(&a, format, &f, &e), 0);
		assert_int_equal(sbom_write(&b, format, &f, &e), 0);
		assert_string_equal(a.held.data, b.held.data);
		for (const char *const *want = (const char *const[]){ "dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7", "Apache-2.0", "Qwen2.5-0.5B", "org/data", "model#1.safetensors",
								      "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "registryd:smoke:verdict",
								      "text-generation", "LlamaForCausalLM", NULL };
		     *want; want++)
			assert_non_null(strstr(a.held.data, *want));
		own(json) json_t *parsed = json_parse(a.held.data, a.held.len, "sbom", &e);
		assert_non_null(parsed);
	}
}

static int write_one(const struct sbom_facts *f, enum sbom_format format, uint64_t max, struct err *e)
{
	own(spool) struct spool s;

	spool_init(&s, NULL, NULL, max);
	return sbom_write(&s, format, f, e);
}

static void bare_facts_and_bad_text(void **state)
{
	struct sbom_facts f = { .repo = "legacy", .commit = "dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7", .source_url = "file:///import", .license_spdx = "LicenseRef-llama3.1" };
	struct sbom_file file = { .path = "\xff" };
	struct listed one = { .files.next = next_listed, .list = &file, .n = 1 };

	(void)state;
	for (enum sbom_format format = SBOM_CYCLONEDX; format <= SBOM_SPDX; format++) {
		struct err e = ERR_NONE;

		f.files = NULL;
		assert_int_equal(write_one(&f, format, SBOM_MAX_BYTES, &e), 0);
		assert_int_equal(write_one(&f, format, 100, &e), ERR_LIMIT);
		f.files = &one.files;
		assert_int_equal(write_one(&f, format, SBOM_MAX_BYTES, &e), ERR_INPUT);
		assert_non_null(strstr(e.msg, "SBOM of legacy: a name or a value is not valid UTF-8"));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(documents_are_deterministic_and_complete), cmocka_unit_test(bare_facts_and_bad_text) };
	struct sbom_facts f = full_facts();
	enum sbom_format format;
	struct err e = ERR_NONE;
	own(spool) struct spool b;

	spool_init(&b, NULL, NULL, SBOM_MAX_BYTES);
	if (argc == 1)
		return cmocka_run_group_tests(tests, NULL, NULL);
	if (sbom_format_parse(&format, argv[1], &e) < 0 || sbom_write(&b, format, &f, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	fputs(b.held.data, stdout);
	return 0;
}
