/* test_safetensors.c - every hostile header and index gets the recorded verdict under the recorded rule; good ones keep their meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "verify/safetensors.h"

#define HOSTILE SHARED_DIR "/data/hostile"

static char tmp[] = "/tmp/test_safetensors.XXXXXX";

/* Inspects one case as the manifest names it; the verdict and the rule must be the recorded ones. */
static void check_case(int dirfd, const json_t *c)
{
	struct report f own(report) = { 0 };
	struct safetensors_set set own(safetensors_set) = { 0 };
	struct err e = ERR_NONE;
	char path[256];
	const char *name, *expect = json_get_str(c, "expect"), *code = json_get_str(c, "code");
	own(fd) int dir = -1;
	int rc;

	snprintf(path, sizeof(path), "%s", json_get_str(c, "path"));
	name = strrchr(path, '/') + 1;
	path[name - path - 1] = '\0';
	dir = fdio_open_beneath(dirfd, path, O_RDONLY | O_DIRECTORY, &e);
	assert_true(dir >= 0);
	rc = safetensors_set_open(&set, dir, name, &f, &e);
	if (strcmp(report_severity_name(f.verdict), expect) != 0 || (strcmp(code, "ok") != 0 && !report_has(&f, code)) || (rc < 0) != (f.verdict == REPORT_REJECT))
		fail_msg("%s: %s (%s), expected %s under %s", name, report_severity_name(f.verdict), e.msg, expect, code);
}

static void hostile_files_get_their_verdict(void **state)
{
	struct err e = ERR_NONE;
	struct buf text own(buf);
	json_t *manifest own(json) = NULL;
	const json_t *c;
	char command[256];
	own(fd) int dir = -1;
	size_t i, n = 0;

	(void)state;
	if (access(HOSTILE "/files.tar.zst", R_OK) < 0) {
		print_message("skipped: " HOSTILE " is not there\n");
		skip();
	}
	snprintf(command, sizeof(command), "zstd -dc %s/files.tar.zst | tar -C %s -x safetensors sharded", HOSTILE, tmp);
	assert_int_equal(system(command), 0);
	buf_init(&text, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, HOSTILE "/manifest.json", &text, &e), 0);
	manifest = json_parse(text.data, text.len, "manifest", &e);
	dir = fdio_open_dir(AT_FDCWD, tmp, &e);
	json_array_foreach(json_object_get(manifest, "cases"), i, c) {
		const char *group = json_get_str(c, "group");

		if (strcmp(group, "safetensors") == 0 || strcmp(group, "sharded") == 0) {
			check_case(dir, c);
			n++;
		}
	}
	assert_true(n >= 40);
}

/* The header text (and n data bytes) as a file, opened. */
static int open_text(struct safetensors *st, const char *header, size_t n, struct report *f, struct err *e)
{
	FILE *file own(file) = tmpfile();
	uint64_t size = strlen(header);

	assert_non_null(file);
	assert_int_equal(fwrite(&size, 8, 1, file), 1);
	assert_int_equal(fwrite(header, 1, size, file), size);
	for (size_t i = 0; i < n; i++)
		fputc((int)i, file);
	fflush(file);
	return safetensors_open(st, fileno(file), "x.safetensors", f, e);
}

static void good_header_keeps_its_meaning(void **state)
{
	struct safetensors st own(safetensors) = { 0 };
	struct report f own(report) = { 0 };
	struct err e = ERR_NONE;
	const struct safetensors_tensor *t;

	(void)state;
	assert_int_equal(open_text(&st, "{\"b\\u00e9\":{\"shape\":[3,1],\"dtype\":\"F16\",\"data_offsets\":[2,8],\"x\":[{\"y\":-1.5e3},null]},"
		"\"a\":{\"dtype\":\"I16\",\"shape\":[],\"data_offsets\":[0,2]},\"__metadata__\":{\"format\":\"pt\"}}", 8, &f, &e), 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(st.n_tensors, 2);
	assert_string_equal(st.tensors[0].name, "a");
	t = safetensors_find(&st, "b\xc3\xa9");
	assert_non_null(t);
	assert_int_equal(t->dtype, ST_F16);
	assert_int_equal(t->rank, 2);
	assert_int_equal(t->shape[0], 3);
	assert_int_equal(t->begin, 2);
	assert_null(safetensors_find(&st, "c"));
	assert_string_equal(st.metadata[0].value, "pt");
}

static void each_rule_has_its_code(void **state)
{
	static const struct {
		const char *rule, *header;
		size_t data;
	} cases[] = {
		{ "st.gap", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2 },
		{ "st.trailing", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2 },
		{ "st.trailing", "{}", 1 },
		{ "st.offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1 },
		{ "st.dtype", "{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
		{ "st.duplicate", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1 },
		{ "st.duplicate", "{\"__metadata__\":{},\"__metadata__\":{}}", 0 },
		{ "st.duplicate", "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0 },
		{ "st.name", "{\"a\\u0000\":{}}", 0 },
		{ "st.fields", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 0 },
		{ "st.fields", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 0 },
		{ "st.limit", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1]}}", 0 },
		{ "st.header_json", "{\"a\":{\"dtype\":\"U8\",\"x\":01}}", 0 },
		{ "st.header_json", "{\"a\":{\"x\":[1,{\"y\":}]}}", 0 },
		{ "st.header_json", "{\"\\ud800\":{}}", 0 },
		{ "st.header_json", "{\"a\\", 0 },
		{ "st.header_json", " {}", 0 },
		{ "st.header_json", "{\"__metadata__\":{},}", 0 },
		{ "st.utf8", "{\"\xff\":{}}", 0 },
		{ "st.depth", "{\"a\":{\"x\":{\"y\":{\"z\":{\"w\":1}}}}}", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct safetensors st own(safetensors) = { 0 };
		struct report f own(report) = { 0 };
		struct err e = ERR_NONE;

		assert_int_equal(open_text(&st, cases[i].header, cases[i].data, &f, &e), ERR_INPUT);
		if (!report_has(&f, cases[i].rule))
			fail_msg("%s: got %s, expected %s", cases[i].header, e.msg, cases[i].rule);
	}
}

/* A header near the limit must cost seconds and a bounded amount of memory, not minutes. */
static void large_header_is_read_quickly(void **state)
{
	struct buf b own(buf);
	struct safetensors st own(safetensors) = { 0 };
	struct report f own(report) = { 0 };
	struct err e = ERR_NONE;
	char name[32];

	(void)state;
	buf_init(&b, SAFETENSORS_HEADER_MAX);
	buf_putc(&b, '{');
	for (unsigned i = 0; i < 200000; i++)
		buf_printf(&b, "%s\"model.layers.%u.weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%u,%u]}", i ? "," : "", i, i, i + 1);
	buf_putc(&b, '}');
	assert_int_equal(open_text(&st, b.data, 200000, &f, &e), 0);
	assert_int_equal(st.n_tensors, 200000);
	for (unsigned i = 0; i < 200000; i += 997) {
		snprintf(name, sizeof(name), "model.layers.%u.weight", i);
		assert_int_equal(safetensors_find(&st, name)->begin, i);
	}
}

static int make_tmp(void **state)
{
	(void)state;
	return mkdtemp(tmp) ? 0 : -1;
}

static int remove_tmp(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", tmp);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_files_get_their_verdict),
		cmocka_unit_test(good_header_keeps_its_meaning),
		cmocka_unit_test(each_rule_has_its_code),
		cmocka_unit_test(large_header_is_read_quickly),
	};

	return cmocka_run_group_tests(tests, make_tmp, remove_tmp);
}
