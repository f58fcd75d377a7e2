/* test_gguf.c - a strict GGUF reader: typed values come back, and every length that lies is caught before it is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "verify/gguf.h"

#define FILE_MAX_BYTES ((size_t)4 << 20)

static void put(struct buf *b, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putc(b, (char)(i < 8 ? v >> (8 * i) : 0));
}

static void put_str(struct buf *b, const char *s)
{
	put(b, strlen(s), 8);
	buf_puts(b, s);
}

static void put_key(struct buf *b, const char *key, enum gguf_kv_type type)
{
	put_str(b, key);
	put(b, type, 4);
}

static void put_header(struct buf *b, uint64_t n_tensors, uint64_t n_kv)
{
	buf_init(b, FILE_MAX_BYTES);
	buf_puts(b, "GGUF");
	put(b, 3, 4);
	put(b, n_tensors, 8);
	put(b, n_kv, 8);
}

static void pad(struct buf *b, size_t to)
{
	while (b->len % to)
		buf_putc(b, 0);
}

static int memory_file(const struct buf *b)
{
	int fd = memfd_create("gguf", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->data, b->len), (ssize_t)b->len);
	return fd;
}

static int open_buf(struct gguf **g, const struct buf *b, struct report *r, struct err *e)
{
	own(fd) int fd = memory_file(b);

	return gguf_open_report(g, fd, "t.gguf", r, e);
}

static void typed_values_come_back(void **state)
{
	own(buf) struct buf b;
	own(gguf) struct gguf *g = NULL;
	struct err e = ERR_NONE;
	const struct gguf_kv *kv;
	const struct gguf_tensor *t;
	uint64_t u = 0;
	int64_t i = 0;
	double d = 0;
	bool yes = false;
	size_t len;

	(void)state;
	put_header(&b, 2, 8);
	put_key(&b, "general.name", GGUF_KV_STRING);
	put_str(&b, "tiny");
	put_key(&b, "a.u8", GGUF_KV_U8);
	put(&b, 200, 1);
	put_key(&b, "a.i16", GGUF_KV_I16);
	put(&b, (uint64_t)-7, 2);
	put_key(&b, "a.u64", GGUF_KV_U64);
	put(&b, UINT64_MAX, 8);
	put_key(&b, "a.f32", GGUF_KV_F32);
	put(&b, 0x3fc00000, 4);
	put_key(&b, "a.yes", GGUF_KV_BOOL);
	put(&b, 1, 1);
	put_key(&b, "a.words", GGUF_KV_ARRAY);
	put(&b, GGUF_KV_STRING, 4);
	put(&b, 3, 8);
	put_str(&b, "one");
	put_str(&b, "");
	put_str(&b, "three");
	put_key(&b, "a.ints", GGUF_KV_ARRAY);
	put(&b, GGUF_KV_I32, 4);
	put(&b, 2, 8);
	put(&b, 5, 4);
	put(&b, (uint64_t)-5, 4);
	put_str(&b, "w1");
	put(&b, 2, 4);
	put(&b, 32, 8);
	put(&b, 3, 8);
	put(&b, GGUF_Q8_0, 4);
	put(&b, 0, 8);
	put_str(&b, "w2");
	put(&b, 1, 4);
	put(&b, 1, 8);
	put(&b, GGUF_F32, 4);
	put(&b, 128, 8);
	pad(&b, 32);
	for (int k = 0; k < 160; k++)
		buf_putc(&b, 0);
	assert_int_equal(open_buf(&g, &b, NULL, &e), 0);
	assert_string_equal(gguf_str(g, "general.name"), "tiny");
	assert_null(gguf_str(g, "a.u8"));
	assert_true(gguf_u64(g, "a.u8", &u) && u == 200);
	assert_true(gguf_i64(g, "a.i16", &i) && i == -7);
	assert_false(gguf_u64(g, "a.i16", &u));
	assert_true(gguf_u64(g, "a.u64", &u) && u == UINT64_MAX);
	assert_false(gguf_i64(g, "a.u64", &i));
	assert_true(gguf_f64(g, "a.f32", &d) && d == 1.5);
	assert_true(gguf_f64(g, "a.u8", &d) && d == 200);
	assert_true(gguf_bool(g, "a.yes", &yes) && yes);
	assert_false(gguf_u64(g, "a.nothing", &u));
	kv = gguf_find_kv(g, "a.words");
	assert_int_equal(kv->n, 3);
	assert_memory_equal(gguf_kv_str(kv, 2, &len), "three", 5);
	assert_int_equal(len, 5);
	assert_non_null(gguf_kv_str(kv, 1, &len));
	assert_int_equal(len, 0);
	assert_null(gguf_kv_str(kv, 3, &len));
	assert_true(gguf_kv_i64(gguf_find_kv(g, "a.ints"), 1, &i) && i == -5);
	assert_false(gguf_kv_i64(gguf_find_kv(g, "a.ints"), 2, &i));
	t = gguf_find_tensor(g, "w1");
	assert_int_equal(t->size_bytes, 3 * 34);
	assert_int_equal(t->dims[1], 3);
	assert_int_equal(t->dims[3], 1);
	assert_int_equal(gguf_find_tensor(g, "w2")->offset, 128);
	assert_null(gguf_find_tensor(g, "w"));
	assert_int_equal(gguf_data_start(g) % gguf_alignment(g), 0);
}

/* Any prefix of a good file must be refused, never read past its end. */
static void every_prefix_is_refused(void **state)
{
	own(buf) struct buf b;

	(void)state;
	put_header(&b, 1, 2);
	put_key(&b, "general.name", GGUF_KV_STRING);
	put_str(&b, "cut");
	put_key(&b, "a.words", GGUF_KV_ARRAY);
	put(&b, GGUF_KV_STRING, 4);
	put(&b, 2, 8);
	put_str(&b, "x");
	put_str(&b, "y");
	put_str(&b, "w");
	put(&b, 1, 4);
	put(&b, 4, 8);
	put(&b, GGUF_F32, 4);
	put(&b, 0, 8);
	pad(&b, 32);
	for (int k = 0; k < 16; k++)
		buf_putc(&b, 0);
	for (size_t n = b.len;; n--) {
		struct buf cut = { .data = b.data, .len = n };
		own(gguf) struct gguf *g = NULL;
		struct err e = ERR_NONE;

		if (n == b.len) {
			assert_int_equal(open_buf(&g, &cut, NULL, &e), 0);
			continue;
		}
		assert_int_equal(open_buf(&g, &cut, NULL, &e), ERR_INPUT);
		assert_null(g);
		if (n == 0)
			break;
	}
}

static void what_real_readers_miss(void **state)
{
	static const struct {
		uint64_t dim0, dim1;
		uint32_t type;
		const char *rule;
	} cases[] = {
		{ (1ULL << 62) - 1, 1, GGUF_F32, "gguf.overflow" },	/* 2^64 - 4 bytes: padding wraps to 0 */
		{ 1ULL << 60, 1, GGUF_Q8_0, "gguf.overflow" },
		{ 1ULL << 40, 1ULL << 40, GGUF_F32, "gguf.overflow" },
		{ 33, 1, GGUF_Q8_0, "gguf.dims" },
		{ 32, 1, 4, "gguf.type" },
		{ 1, 1, GGUF_DTYPES, "gguf.type" },
		{ 1ULL << 63, 0, GGUF_F32, "gguf.dims" },
		{ 4096, 1, GGUF_F32, "gguf.overflow" },
		{ 9, 1, GGUF_F32, "gguf.truncated" },
	};

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		own(buf) struct buf b;
		own(gguf) struct gguf *g = NULL;
		own(report) struct report r;
		struct err e = ERR_NONE;

		report_init(&r);
		put_header(&b, 1, 0);
		put_str(&b, "w");
		put(&b, 2, 4);
		put(&b, cases[c].dim0, 8);
		put(&b, cases[c].dim1, 8);
		put(&b, cases[c].type, 4);
		put(&b, 0, 8);
		pad(&b, 32);
		put(&b, 0, 32);
		assert_int_equal(open_buf(&g, &b, &r, &e), ERR_INPUT);
		assert_int_equal(r.n, 1);
		assert_string_equal(r.v[0].rule, cases[c].rule);
		assert_int_equal(r.verdict, REPORT_REJECT);
		assert_non_null(strstr(e.msg, r.v[0].message));
	}
}

static void oddities_are_flags(void **state)
{
	own(buf) struct buf b;
	own(gguf) struct gguf *g = NULL;
	own(report) struct report r;

	(void)state;
	report_init(&r);
	put_header(&b, 1, 0);
	put_str(&b, "w");
	put(&b, 0, 4);
	put(&b, GGUF_F32, 4);
	put(&b, 0, 8);
	pad(&b, 32);
	put(&b, 0, 8);
	pad(&b, 32);
	buf_puts(&b, "behind the end");
	assert_int_equal(open_buf(&g, &b, &r, NULL), 0);
	assert_int_equal(gguf_tensor_at(g, 0)->n_elements, 1);
	assert_true(report_has(&r, "gguf.trailing"));
	assert_int_equal(r.verdict, REPORT_FLAG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typed_values_come_back),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(what_real_readers_miss),
		cmocka_unit_test(oddities_are_flags),
	};

	return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
