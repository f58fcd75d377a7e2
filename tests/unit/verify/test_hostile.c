/*
 * test_hostile.c - the hostile corpus (tests/data/hostile.tar.zst): each malformed, malicious or harmless file gets the verdict of the
 * manifest beside it, and for a reason that the manifest names. And what today's writers write (tests/golden/scan) is not refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>

#include "base/fdio.h"
#include "base/json.h"
#include "verify/scan.h"

#define CORPUS		   SOURCE_DIR "/tests/data/hostile.tar.zst"
#define MANIFEST	   SOURCE_DIR "/tests/data/hostile-manifest.json"
#define MANIFEST_MAX_BYTES ((size_t)1 << 20)
#define CASES_LEAST	   220

static char dir[] = "/tmp/registryd-hostile-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int setup(void **state)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;

	(void)state;
	assert_non_null(mkdtemp(dir));
	archive_read_support_filter_all(a);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_filename(a, CORPUS, 65536), ARCHIVE_OK);
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", dir, archive_entry_pathname(entry));
		archive_entry_set_pathname(entry, path);
		assert_int_equal(archive_read_extract(a, entry, 0), ARCHIVE_OK);
	}
	archive_read_free(a);
	return 0;
}

static json_t *manifest(void)
{
	own(buf) struct buf b;
	struct err e = ERR_NONE;
	json_t *j;

	buf_init(&b, MANIFEST_MAX_BYTES);
	assert_int_equal(fdio_slurp(AT_FDCWD, MANIFEST, &b, &e), 0);
	j = json_parse(b.data, b.len, "manifest", &e);
	assert_non_null(j);
	return j;
}

/* Signatures are judged against a key and a model: test_sign's business. */
static bool is_inspected(const json_t *c)
{
	return strcmp(json_get_str(c, "group"), "oms") != 0;
}

static bool judge(const json_t *c)
{
	const char *path = json_get_str(c, "path"), *expect = json_get_str(c, "expect"), *code = json_get_str(c, "code");
	own(report) struct report r;
	struct err e = ERR_NONE;
	char full[4096];
	bool right;

	report_init(&r);
	snprintf(full, sizeof(full), "%s/%s", dir, path);
	if (json_is_true(json_object_get(json_object_get(c, "opt"), "dir")))
		*strrchr(full, '/') = 0;
	if (scan_path(full, &r, &e) < 0) {
		print_error("%s: %s\n", path, e.msg);
		return false;
	}
	right = !strcmp(report_severity_name(r.verdict), expect) && (!strcmp(code, "ok") || report_has(&r, code));
	if (!right) {
		print_error("%s: %s, expected %s (%s)\n", path, report_severity_name(r.verdict), expect, code);
		for (size_t i = 0; i < r.n && i < 5; i++)
			print_error("    %s %s: %s\n", r.v[i].path, r.v[i].rule, r.v[i].message);
	}
	return right;
}

static void every_case(void **state)
{
	own(json) json_t *j = manifest();
	const json_t *cases = json_object_get(j, "cases");
	size_t wrong = 0, n = 0;

	(void)state;
	for (size_t i = 0; i < json_array_size(cases); i++) {
		if (!is_inspected(json_array_get(cases, i)))
			continue;
		n++;
		wrong += !judge(json_array_get(cases, i));
	}
	print_message("%zu cases, %zu wrong\n", n, wrong);
	assert_true(n >= CASES_LEAST);
	assert_int_equal(wrong, 0);
}

/* ok_* must be accepted, flag_* flagged. */
static void what_writers_write(void **state)
{
	DIR *d = opendir(SOURCE_DIR "/tests/golden/scan");
	struct dirent *entry;
	size_t n = 0;

	(void)state;
	assert_non_null(d);
	while ((entry = readdir(d))) {
		own(report) struct report r;
		struct err e = ERR_NONE;
		enum report_severity want = entry->d_name[0] == 'o' ? REPORT_ACCEPT : REPORT_FLAG;
		char path[4096];

		report_init(&r);
		if (strncmp(entry->d_name, "ok_", 3) && strncmp(entry->d_name, "flag_", 5))
			continue;
		snprintf(path, sizeof(path), SOURCE_DIR "/tests/golden/scan/%s", entry->d_name);
		assert_int_equal(scan_path(path, &r, &e), 0);
		if (r.verdict != want)
			fail_msg("%s: %s, %s", entry->d_name, r.n ? r.v[0].rule : "", r.n ? r.v[0].message : "");
		n++;
	}
	closedir(d);
	assert_true(n >= 11);
}

/* Whole models of the shared test data: nothing to say about any of them. */
static void good_models(void **state)
{
	static const char *const models[] = { "hf-f32", "hf-bf16", "hf-f16-sharded-spm", "as-qwen2", "as-gemma", "as-phi3", "as-mixtral", "gguf" };

	(void)state;
	if (access(SHARED_DIR "/data/models", R_OK) < 0) {
		print_message("skipped: " SHARED_DIR "/data/models is not there\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_LEN(models); i++) {
		own(report) struct report r;
		struct err e = ERR_NONE;
		char path[4096];

		report_init(&r);
		snprintf(path, sizeof(path), SHARED_DIR "/data/models/stories260K/%s", models[i]);
		assert_int_equal(scan_path(path, &r, &e), 0);
		assert_int_equal(r.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case),
		cmocka_unit_test(what_writers_write),
		cmocka_unit_test(good_models),
	};

	return cmocka_run_group_tests_name("hostile", tests, setup, teardown);
}
