/* test_base.c - the ground floor: ceilings hold, units and dates are read strictly, foreign documents are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/arena.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/json_list.h"
#include "base/spool.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"

static void err_table_is_consistent(void **state)
{
	struct err e = ERR_NONE;

	(void)state;
	assert_int_equal(err_exit_status(0), 0);
	assert_int_equal(err_exit_status(ERR_REFUSED), 5);
	assert_int_equal(err_exit_status(ERR_MISMATCH), 6);
	assert_int_equal(err_exit_status(-999), 1);
	err_set(&e, ERR_FAILED, "text");	/* made from the message that it replaces */
	err_set(&e, ERR_AUTH, "what: %s, %s", e.msg, e.msg);
	assert_string_equal(e.msg, "what: text, text");
	for (int code = ERR_LEGAL; code <= 0; code++)
		assert_int_equal(err_from_label(err_label(code)), code);
	errno = EMFILE;
	assert_int_equal(err_errno(&e, "open"), ERR_BUSY);
	assert_int_equal(err_http_status(ERR_BUSY), 503);
	errno = ENOSPC;
	assert_int_equal(err_errno(&e, "write %s", "x"), ERR_NOSPACE);
	assert_string_equal(e.msg, "write x: No space left on device");
	assert_int_equal(err_wrap(&e, "publish %s", "org/m"), ERR_NOSPACE);
	assert_string_equal(e.msg, "publish org/m: write x: No space left on device");
}

static void buf_keeps_its_ceiling(void **state)
{
	own(buf) struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_puts(&b, "12345"), 0);
	assert_int_equal(buf_printf(&b, "%d", 67890), 0);
	assert_int_equal(buf_putc(&b, 'x'), ERR_LIMIT);
	assert_true(buf_failed(&b));
	assert_string_equal(b.data, "1234567890");
	buf_reset(&b);
	assert_int_equal(buf_json_escaped(&b, "a\"\n"), 0);
	assert_string_equal(b.data, "a\\\"\\u000a");
}

static void sizes_durations_dates(void **state)
{
	char out[STR_TIME_MAX], size[STR_SIZE_MAX];
	int64_t at;
	uint64_t n;

	(void)state;
	assert_int_equal(str_parse_size("20GB", &n, NULL), 0);
	assert_int_equal(n, 20000000000);
	assert_int_equal(str_parse_size("1.5GiB", &n, NULL), 0);
	assert_int_equal(n, 1610612736);
	assert_int_equal(str_parse_size("500M", &n, NULL), 0);
	assert_int_equal(n, 500000000);
	for (const char *const *bad = (const char *const[]){ "", "GB", "-1", "1e3", "0x10", "5 apples", "nan", "99999999PB", NULL }; *bad; bad++)
		assert_int_equal(str_parse_size(*bad, &n, NULL), ERR_USAGE);
	assert_int_equal(str_parse_duration("90d", &at, NULL), 0);
	assert_int_equal(at, 90 * 86400);
	assert_int_equal(str_parse_duration("6", &at, NULL), ERR_USAGE);
	assert_int_equal(str_parse_time("2027-06-30", &at, NULL), 0);
	str_format_iso(out, at);
	assert_string_equal(out, "2027-06-30T00:00:00Z");
	assert_int_equal(str_parse_time("2027-02-30", &at, NULL), ERR_USAGE);
	assert_int_equal(str_parse_time("2027-13-01", &at, NULL), ERR_USAGE);
	assert_int_equal(str_parse_time("2027-00-01", &at, NULL), ERR_USAGE);
	assert_int_equal(str_parse_time("2027-06-30T12:00:01.250Z", &at, NULL), 0);
	str_format_http_date(out, at);
	assert_string_equal(out, "Wed, 30 Jun 2027 12:00:01 GMT");
	str_format_size(size, 999950);
	assert_string_equal(size, "1.00 MB");
	static const struct {
		int64_t s;
		const char *text;
	} durations[] = { { 90 * 86400, "90d" }, { 129600, "36h" }, { 5400, "90m" }, { 61, "61s" }, { 0, "0d" } };
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		str_format_duration(size, durations[i].s);
		assert_string_equal(size, durations[i].text);
	}
}

static void text_questions(void **state)
{
	static const char *const names[] = { "listen", "data", "upstreams" };
	char escaped[] = "a%2Fb%20c", nul[] = "a%00b";

	(void)state;
	assert_string_equal(str_nearest("upstream", names, 3), "upstreams");
	assert_null(str_nearest("zebra", names, 3));
	assert_true(str_glob("*.safetensors", "sub/model.safetensors"));
	assert_false(str_glob("*.safetensors", "model.bin"));
	assert_true(str_percent_decode(escaped));
	assert_string_equal(escaped, "a/b c");
	assert_false(str_percent_decode(nul));
	assert_true(str_utf8_valid("h\xc3\xa9", 3));
	assert_false(str_utf8_valid("\xc0\xaf", 2));
	assert_false(str_utf8_valid("\xed\xa0\x80", 3));
	const char *const words[] = { "x", "7", " \xc3\xa9", "- \xe6\xa8\xa1", "\xd9\xa3", "\xff ok" };
	const char *const none[] = { "", " \t\n", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\x8b", "\xef\xbb\xbf", "-", "\xe2\x80\xa6 !", "\xff" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_true(str_has_word(words[i]));
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_false(str_has_word(none[i]));
	const char *const broken[][2] = { { "h\xc3\xa9", "h\xc3\xa9" }, { "h\xc3", "h" }, { "\xe6\xa8\xa1\xe6\xa8", "\xe6\xa8\xa1" }, { "\xf0\x9f\x98", "" },
					  { "'\xe6\xa8' is", "'\x3f\x3f' is" }, { "\xc0\xaf", "\x3f\x3f" }, { "\xff", "?" }, { "\xed\xa0\x80", "\x3f\x3f\x3f" }, { "", "" } };
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		char text[16];

		snprintf(text, sizeof(text), "%s", broken[i][0]);
		assert_string_equal(str_mend_utf8(text), broken[i][1]);
	}
	struct err cut;
	own(buf) struct buf name;
	buf_init(&name, 4096);
	for (size_t i = 0; i < 2000; i++)
		buf_puts(&name, i ? "\xc3\xa9" : "x");
	err_set(&cut, ERR_FAILED, "%s", name.data);
	assert_true(str_utf8_valid(cut.msg, strlen(cut.msg)));
	err_wrap(&cut, "a");
	assert_true(str_utf8_valid(cut.msg, strlen(cut.msg)));
	own(mem) char *enc = str_percent_encode("sub dir/a#b.txt", "/");
	assert_string_equal(enc, "sub%20dir/a%23b.txt");
}

static void paths_are_checked(void **state)
{
	static const char *const bad[] = { "", "/etc/x", "../x", "a/../b", "a//b", "a/", ".", "a\\b", "a\nb", "\xff" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(fdio_check_relative(bad[i], &e), ERR_INPUT);
	assert_int_equal(fdio_check_relative("sub dir/a#b %.txt", &e), 0);
}

static void files_are_replaced_whole(void **state)
{
	char dir[] = "/tmp/test_base.XXXXXX";
	struct err e = ERR_NONE;
	own(buf) struct buf b;

	(void)state;
	assert_non_null(mkdtemp(dir));
	own(fd) int fd = fdio_open_dir(AT_FDCWD, dir, &e);
	assert_int_equal(fdio_replace(fd, "x", "hello", 5, 0600, &e), 0);
	assert_int_equal(fdio_replace(fd, "x", "world!", 6, 0600, &e), 0);
	buf_init(&b, 100);
	assert_int_equal(fdio_slurp(fd, "x", &b, &e), 0);
	assert_string_equal(b.data, "world!");
	assert_int_equal(symlinkat("/etc/passwd", fd, "link"), 0);
	assert_int_equal(fdio_open_beneath(fd, "link", O_RDONLY, &e), ERR_INPUT);
	assert_int_equal(fdio_open_beneath(fd, "../../etc/passwd", O_RDONLY, &e), ERR_INPUT);
	assert_int_equal(fdio_open_beneath(fd, "none", O_RDONLY, &e), ERR_NOT_FOUND);
	unlinkat(fd, "x", 0);
	unlinkat(fd, "link", 0);
	rmdir(dir);
}

static void output_is(const char *path, const char *want, mode_t mode)
{
	own(buf) struct buf b;
	struct stat st;

	buf_init(&b, 100);
	assert_int_equal(fdio_slurp(AT_FDCWD, path, &b, NULL), 0);
	assert_string_equal(b.data, want);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | mode);
}

static void output_goes_where_the_name_leads(void **state)
{
	char dir[] = "/tmp/test_base.XXXXXX", text[8];
	struct err e = ERR_NONE;
	struct stat st;
	int pipe;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(fdio_output("file", "one", 3, &e), 0);
	output_is("file", "one", 0644);
	assert_int_equal(chmod("file", 0600), 0);
	assert_int_equal(symlink("file", "link"), 0);
	assert_int_equal(fdio_output("link", "two", 3, &e), 0);
	output_is("file", "two", 0600);
	assert_int_equal(symlink("later", "dangling"), 0);
	assert_int_equal(fdio_output("dangling", "three", 5, &e), 0);
	output_is("later", "three", 0644);
	assert_int_equal(lstat("dangling", &st), 0);
	assert_true(S_ISLNK(st.st_mode));

	assert_int_equal(mkfifo("pipe", 0600), 0);
	pipe = open("pipe", O_RDWR | O_CLOEXEC);
	assert_int_equal(fdio_output("pipe", "four", 4, &e), 0);
	assert_int_equal(read(pipe, text, sizeof(text)), 4);
	close(pipe);
	assert_int_equal(lstat("pipe", &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	if (mknod("full", S_IFCHR | 0600, makedev(1, 7)) == 0) {	/* only root may; a copy of /dev/full */
		assert_int_equal(fdio_output("full", "five", 4, &e), ERR_NOSPACE);
		assert_int_equal(lstat("full", &st), 0);
		assert_true(S_ISCHR(st.st_mode));
		unlink("full");
	}
	assert_int_equal(fdio_output(dir, "six", 3, &e), ERR_FAILED);
	for (const char *const *name = (const char *const[]){ "file", "link", "later", "dangling", "pipe", NULL }; *name; name++)
		assert_int_equal(unlink(*name), 0);
	assert_int_equal(rmdir(dir), 0);
}

static int open_unnamed(void *arg, struct err *e)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	++*(int *)arg;
	return fd < 0 ? err_errno(e, "open") : fd;
}

static int open_nothing(void *arg, struct err *e)
{
	(void)arg;
	return err_set(e, ERR_NOSPACE, "there is no room");
}

static void a_spool_goes_to_a_file_when_it_is_long(void **state)
{
	static char want[3 * SPOOL_MEMORY_BYTES], got[sizeof(want)];
	own(spool) struct spool small, large, full, bad;
	int opened = 0, fd;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (char)('a' + i % 23);
	spool_init(&small, open_unnamed, &opened, 1000);
	spool_open(&small, json_pack("{s:i}", "a", 1));
	spool_printf(&small, ",\"%s\":", "b");
	spool_json(&small, json_pack("[s]", "c"));
	spool_puts(&small, "}");
	assert_int_equal(spool_end(&small, &e), 0);
	assert_string_equal(small.held.data, "{\"a\":1,\"b\":[\"c\"]}");
	assert_int_equal(spool_read(&small, got, 4, 14, &e), 3);
	assert_memory_equal(got, "\"]}", 3);
	assert_int_equal(spool_read(&small, got, 4, 17, &e), 0);
	assert_int_equal(spool_take_fd(&small), -1);
	assert_int_equal(opened, 0);

	spool_init(&large, open_unnamed, &opened, sizeof(want));
	for (size_t i = 0; i < sizeof(want); i += 1000)
		spool_add(&large, want + i, sizeof(want) - i < 1000 ? sizeof(want) - i : 1000);
	assert_int_equal(spool_end(&large, &e), 0);
	assert_int_equal(opened, 1);
	assert_int_equal(large.n, sizeof(want));
	assert_int_equal(spool_read(&large, got, sizeof(got), 0, &e), sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	fd = spool_take_fd(&large);
	assert_true(fd >= 0);
	close(fd);

	spool_init(&full, open_nothing, NULL, sizeof(want));
	spool_add(&full, want, sizeof(want));
	spool_add(&full, want, 1);	/* the first error stays */
	assert_int_equal(spool_end(&full, &e), ERR_NOSPACE);
	assert_string_equal(e.msg, "there is no room");
	spool_init(&bad, NULL, NULL, 10);
	spool_json(&bad, json_string("\xff"));
	spool_puts(&bad, "more than ten bytes");
	assert_int_equal(spool_end(&bad, &e), ERR_INPUT);
}

/* As Python's json module writes it, and JSON does not have it. */
static void json_of_python(void **state)
{
	static const char text[] = "{\"a\": 1000000000000000019884624838656, \"b\": [NaN, -Infinity, Infinity, -1, 12], \"NaN 99999999999999999999\": \"Infinity \\\" NaN\", \"c\": 1e5}";
	own(json) json_t *j = json_parse_python(text, sizeof(text) - 1, "x", NULL);
	const json_t *b = json_object_get(j, "b");

	(void)state;
	assert_true(json_is_real(json_object_get(j, "a")) && json_real_value(json_object_get(j, "a")) > 9e29);
	assert_true(json_is_null(json_array_get(b, 0)) && json_real_value(json_array_get(b, 1)) < -1e300 && json_real_value(json_array_get(b, 2)) > 1e300);
	assert_int_equal(json_integer_value(json_array_get(b, 3)), -1);
	assert_string_equal(json_get_str(j, "NaN 99999999999999999999"), "Infinity \" NaN");
	assert_null(json_parse(text, sizeof(text) - 1, "x", NULL));
	assert_null(json_parse_python("{\"a\": nan}", 10, "x", NULL));
	assert_null(json_parse_python("{\"a\": \"NaN", 10, "x", NULL));
	assert_null(json_parse_python("-", 1, "x", NULL));
	assert_null(json_parse_python("{\"a\":NaN,\"a\":2}", 15, "x", NULL));
}

static void json_is_strict(void **state)
{
	struct err e;
	own(buf) struct buf deep;

	(void)state;
	assert_null(json_parse("{\"a\":1,\"a\":2}", 13, "x", &e));
	assert_null(json_parse("{} x", 4, "x", &e));
	buf_init(&deep, 100000);
	for (int i = 0; i < 50000; i++)
		buf_putc(&deep, '[');
	assert_null(json_parse(deep.data, deep.len, "deep", &e));
	assert_string_equal(e.msg, "deep: nested deeper than 128 at byte 128");
	own(json) json_t *j = json_parse("{\"b\":1.5,\"a\":\"s\"}", 17, "x", &e);
	assert_non_null(j);
	own(mem) char *text = json_text(j);
	assert_string_equal(text, "{\"a\":\"s\",\"b\":1.5}");
}

static void a_member_is_emptied_in_the_text(void **state)
{
	static const struct {
		const char *text, *left;
	} cases[] = {
		{ "{\"a\":1,\"x\" : [ {\"b\":\"]\\\"\"}, [2] ],\"c\":[3]}", "{\"a\":1,\"x\" : [],\"c\":[3]}" },
		{ "{\"x\":{\"x\":[1]},\"y\":{\"x\":[1]}}", "{\"x\":{},\"y\":{\"x\":[1]}}" },	/* only of the outermost object */
		{ "{\"y\":\"x\",\"x\":7}", "{\"y\":\"x\",\"x\":7}" },
		{ "{\"x\":[1,2", "{\"x\":[1,2" },
		{ "{\"x\"", "{\"x\"" },
		{ "[\"x\",[1]]", "[\"x\",[1]]" },
		{ "]]{\"x\\", "]]{\"x\\" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(buf) struct buf b;

		buf_init(&b, 1000);
		buf_puts(&b, cases[i].text);
		json_empty_member(&b, "x");
		assert_string_equal(b.data, cases[i].left);
		assert_int_equal(b.len, strlen(cases[i].left));
	}
}

static void gather(void *arg, const json_t *item)
{
	own(mem) char *text = json_text(item);

	buf_printf(arg, "<%s>", text);
}

/* What json_list_add() said, and what it gave, for a document that comes `step` bytes at a time. */
static int split(const char *text, size_t step, struct buf *items, struct buf *rest)
{
	struct json_list l;
	int rc = 0;

	json_list_begin(&l, "x", rest, gather, items);
	for (size_t i = 0, n = strlen(text); i < n && !rc; i += step)
		rc = json_list_add(&l, text + i, n - i < step ? n - i : step);
	json_list_done(&l);
	return rc;
}

static void a_list_is_taken_out_of_a_stream(void **state)
{
	static const struct {
		const char *text, *items, *rest;
		int rc;
	} cases[] = {
		{ "{\"a\":[1],\"x\" : [ {\"b\":\"],\\\"\"}, [2,[3]],4 , \"s\\\\\"],\"c\":{\"x\":[5]}}", "<{\"b\":\"],\\\"\"}><[2,[3]]><4><\"s\\\\\">", "{\"a\":[1],\"x\" : [],\"c\":{\"x\":[5]}}", 0 },
		{ "{\"x\":[]}", "", "{\"x\":[]}", 0 },
		{ "{\"y\":\"x\",\"z\":[1],\"x\":{\"x\":[1]}}", "", "{\"y\":\"x\",\"z\":[1],\"x\":{\"x\":[1]}}", 0 },
		{ "{\"x\":[1,{]}", "<1>", "{\"x\":[", ERR_INPUT },
		{ "{\"x\":[1}", "<1>", "{\"x\":[}", 0 },	/* which no parser takes */
		{ "[1,2]", "", "[1,2]", 0 },
	};
	own(buf) struct buf items, rest, large;

	(void)state;
	buf_init(&items, 10000);
	buf_init(&rest, 1000);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step < 9; step++) {
			buf_reset(&items);
			buf_reset(&rest);
			assert_int_equal(split(cases[i].text, step, &items, &rest), cases[i].rc);
			assert_string_equal(items.data, cases[i].items);
			assert_string_equal(rest.data, cases[i].rest);
		}
	}
	buf_init(&large, JSON_LIST_ITEM_MAX + 100);
	buf_puts(&large, "{\"x\":[\"");
	while (large.len < JSON_LIST_ITEM_MAX + 50)
		buf_putc(&large, 'y');
	assert_int_equal(split(large.data, 4096, &items, &rest), ERR_LIMIT);
}

static void yaml_is_bounded(void **state)
{
	static const char card[] = "license: apache-2.0\nlanguage: no\ntags:\n- a\n- 1.5\nempty:\nbase_model: [x/y, z/w]\n";
	struct err e;
	own(buf) struct buf deep;

	(void)state;
	own(json) json_t *j = yaml_parse(card, sizeof(card) - 1, YAML_STRICT, "card", &e);
	assert_non_null(j);
	assert_string_equal(json_get_str(j, "language"), "no");
	assert_true(json_is_null(json_object_get(j, "empty")));
	assert_int_equal(json_array_size(json_object_get(j, "base_model")), 2);
	buf_init(&deep, 300000);
	for (int i = 0; i < 200000; i++)
		buf_putc(&deep, '[');
	assert_null(yaml_parse(deep.data, deep.len, YAML_LAX, "deep", &e));	/* libyaml's loader would take a minute */
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(yaml_parse("a: &x [*x]", 10, YAML_STRICT, "y", &e));
	assert_null(yaml_parse("a: 1\n---\nb: 2\n", 15, YAML_STRICT, "y", &e));	/* half of it would be passed over */
	assert_null(yaml_parse("a: 1\na: 2", 9, YAML_STRICT, "y", &e));
	own(json) json_t *lax = yaml_parse("a: 1\na: 2\nb: &q 1\nc: *q", 23, YAML_LAX, "y", &e);
	assert_string_equal(json_get_str(lax, "a"), "2");
	assert_string_equal(json_get_str(lax, "c"), "1");
	assert_null(yaml_parse("a: [1,", 6, YAML_LAX, "y", &e));
}

static void yaml_aliases_and_doubles(void **state)
{
	static const char text[] = "s: &x one\nl: &x [a]\nm: *x\nn: &x two\no: [*x, *none]\np: {k: 1, k: 2}\n'n': 3\nn : 4\n";
	own(json) json_t *twice = json_object(), *cut = json_object();
	struct err e = ERR_NONE;
	own(buf) struct buf many;

	(void)state;
	own(json) json_t *j = yaml_parse_lax(text, sizeof(text) - 1, "y", twice, cut, &e);
	assert_true(json_is_object(json_object_get(j, "m")));	/* of a list: no tree grows from it */
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "o"), 0)), "two");
	assert_true(json_is_object(json_array_get(json_object_get(j, "o"), 1)));
	assert_int_equal(json_object_size(twice), 1);	/* what is nested does not count */
	assert_true(json_is_true(json_object_get(twice, "n")));
	assert_int_equal(json_object_size(cut), 2);
	assert_true(json_is_true(json_object_get(cut, "m")) && json_is_true(json_object_get(cut, "o")));
	buf_init(&many, 1 << 20);
	buf_printf(&many, "x: &x %0*d\ny: [", 100000, 7);
	for (int i = 0; i < 11; i++)
		buf_puts(&many, "*x, ");
	buf_puts(&many, "]");
	assert_null(yaml_parse(many.data, many.len, YAML_LAX, "y", &e));
	assert_int_equal(e.code, ERR_LIMIT);
}

static void vec_and_arena(void **state)
{
	size_t n = 0, cap = 0;
	struct arena a;
	int *v = NULL;

	(void)state;
	for (int i = 0; i < 1000; i++)
		*vec_push(&v, &n, &cap) = i;
	assert_int_equal(v[999], 999);
	free(v);
	arena_init(&a);
	for (int i = 0; i < 1000; i++)
		assert_string_equal(arena_printf(&a, "%040d", 7), "0000000000000000000000000000000000000007");
	assert_non_null(arena_alloc(&a, 100000));
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_table_is_consistent), cmocka_unit_test(buf_keeps_its_ceiling),    cmocka_unit_test(sizes_durations_dates),
		cmocka_unit_test(text_questions),	   cmocka_unit_test(paths_are_checked),	       cmocka_unit_test(files_are_replaced_whole),
		cmocka_unit_test(output_goes_where_the_name_leads),
		cmocka_unit_test(a_member_is_emptied_in_the_text), cmocka_unit_test(a_list_is_taken_out_of_a_stream),
		cmocka_unit_test(a_spool_goes_to_a_file_when_it_is_long),
		cmocka_unit_test(json_of_python), cmocka_unit_test(json_is_strict),	   cmocka_unit_test(yaml_is_bounded), cmocka_unit_test(yaml_aliases_and_doubles),	       cmocka_unit_test(vec_and_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
