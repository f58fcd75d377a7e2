/* test_room.c - syncs side by side leave each other the room that they counted on, and who waits is told when that is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/vec.h"
#include "catalog/partial.h"
#include "registryd/room.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	char dir[64];
	struct store *store;
	struct room *room;
	uint64_t free_bytes;
};

static int up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = ERR_NONE;

	snprintf(f->dir, sizeof(f->dir), "/tmp/registryd-room-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(store_open(&f->store, f->dir, &e), 0);
	assert_int_equal(store_free_bytes(f->store, &f->free_bytes, &e), 0);
	f->room = room_new(f->store);
	*state = f;
	return 0;
}

static int down(void **state)
{
	struct fixture *f = *state;
	char cmd[100];

	room_free(f->room);
	store_close(f->store);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", f->dir);
	assert_int_equal(system(cmd), 0);
	free(f);
	return 0;
}

static struct fetch_file file(uint64_t size_bytes, const char *content)
{
	struct fetch_file f = { .path = content, .size_bytes = size_bytes };

	digest_of(&f.id, DIGEST_SHA256, content, strlen(content));
	return f;
}

static int ask(struct fixture *f, int64_t job, const char *name, const struct fetch_file *files, size_t n, uint64_t keep, struct room_claim **c, struct err *e)
{
	const struct room_want w = { .job = job, .name = name, .files = files, .n_files = n, .keep_free = keep };

	*e = (struct err)ERR_NONE;
	return room_take(f->room, &w, c, e);
}

static void test_side_by_side(void **state)
{
	struct fixture *f = *state;
	uint64_t part = f->free_bytes / 10;
	struct fetch_file a[] = { file(4 * part, "a"), file(2 * part, "b"), file(2 * part, "b"), file(100, "s") }, b[] = { file(3 * part, "c") }, all[] = { file(20 * part, "d") };
	struct room_claim *first, *second;
	struct err e;

	a[2].same = true;
	assert_int_equal(ask(f, 1, "org/a", a, 4, 0, &first, &e), 0);
	assert_true(room_claimed(f->room) == 6 * part + 100);
	/* Beside it the second would have room, but not what is to be kept free. */
	assert_int_equal(ask(f, 2, "org/b", b, 1, 2 * part, &second, &e), ERR_NOSPACE);
	assert_non_null(strstr(e.msg, "waits for room beside org/a: org/b needs"));
	assert_int_equal(ask(f, 3, "org/c", all, 1, 0, &second, &e), ERR_NOSPACE);
	assert_non_null(strstr(e.msg, "make room"));
	assert_int_equal(room_due(f->room), 0);
	/* What is stored is asked for no more, under whatever id it is known by now. */
	digest_of(&a[0].id, DIGEST_SHA256, "x", 1);
	room_wrote(f->room, first, &a[0]);
	room_wrote(f->room, first, &a[3]);
	assert_true(room_claimed(f->room) == 2 * part);
	assert_int_equal(ask(f, 2, "org/b", b, 1, 2 * part, &second, &e), 0);
	room_give(f->room, second);
	room_give(f->room, first);
	assert_true(room_claimed(f->room) == 0);
	assert_int_equal(room_due(f->room), 2);
	assert_int_equal(room_due(f->room), 3);	/* others may leave what they had begun */
	assert_int_equal(room_due(f->room), 0);
	assert_int_equal(ask(f, 3, "org/c", all, 1, 0, &second, &e), ERR_NOSPACE);
	assert_int_equal(room_due(f->room), 0);
	room_wait(f->room, 2);
	assert_int_equal(room_due(f->room), 2);
}

static void test_uploads(void **state)
{
	struct fixture *f = *state;
	uint64_t part = f->free_bytes / 10;
	struct fetch_file a[] = { file(4 * part, "a") };
	struct room_claim *one, *two, *sync;
	struct err e = ERR_NONE;

	assert_int_equal(room_take_upload(f->room, "the upload of w", 6 * part, 0, &one, &e), 0);
	assert_int_equal(room_take_upload(f->room, "x", 2 * part, 4 * part, &two, &e), ERR_NOSPACE);
	assert_non_null(strstr(e.msg, "for syncs and uploads that run"));
	assert_int_equal(room_take_upload(f->room, "x", UINT64_MAX - 1, 0, &two, &e), ERR_NOSPACE);
	assert_int_equal(ask(f, 1, "org/a", a, 1, 2 * part, &sync, &e), ERR_NOSPACE);
	assert_non_null(strstr(e.msg, "waits for room beside the upload of w: org/a needs"));
	/* Whole, it has what it claimed: nobody need look again. */
	room_received(f->room, one, 6 * part);
	assert_true(room_claimed(f->room) == 0);
	room_give(f->room, one);
	assert_int_equal(room_due(f->room), 0);
	/* Broken off, it gives the rest back. */
	assert_int_equal(room_take_upload(f->room, "the upload of w", 6 * part, 0, &one, &e), 0);
	assert_int_equal(ask(f, 1, "org/a", a, 1, 2 * part, &sync, &e), ERR_NOSPACE);
	room_received(f->room, one, part);
	assert_true(room_claimed(f->room) == 5 * part);
	room_give(f->room, one);
	assert_int_equal(room_due(f->room), 1);
	assert_int_equal(ask(f, 1, "org/a", a, 1, 2 * part, &sync, &e), 0);
	assert_int_equal(room_take_upload(f->room, "x", 5 * part, 2 * part, &one, &e), ERR_NOSPACE);
	room_give(f->room, sync);
}

/* What is begun has its room, which is no longer free, and is not counted twice. */
static void test_begun(void **state)
{
	struct fixture *f = *state;
	struct fetch_file a[] = { file(3 * MIB, "a"), file(5 * MIB, "b") };
	struct room_claim *c;
	struct partial p;
	struct err e;

	assert_int_equal(ask(f, 1, "org/a", a, 2, 0, &c, &e), 0);
	assert_int_equal(partial_open(&p, f->store, &a[1].id, a[1].size_bytes, &e), 0);
	if (partial_reserved(f->store, &a[1].id, a[1].size_bytes))	/* else the file system here reserves nothing */
		assert_true(room_claimed(f->room) == 3 * MIB);
	/* Given up, it leaves the room to others, but for what it has written. */
	assert_int_equal(pwrite(p.fd, "x", 1, 0), 1);
	partial_close(&p);
	assert_true(room_claimed(f->room) > 7 * MIB && room_claimed(f->room) <= 8 * MIB);
	room_give(f->room, c);
}

/* What is to be given back is said, where what is free would not do. */
static void test_taken(void **state)
{
	struct fixture *f = *state;
	struct fetch_file a[] = { file(64 * MIB, "a") }, b[] = { file(MIB, "b") };
	struct room_claim *c, *none;
	uint64_t free_bytes;
	struct partial p;
	struct err e;

	assert_int_equal(ask(f, 1, "org/a", a, 1, 0, &c, &e), 0);
	assert_int_equal(partial_open(&p, f->store, &a[0].id, a[0].size_bytes, &e), 0);
	if (partial_reserved(f->store, &a[0].id, a[0].size_bytes)) {	/* else the file system here reserves nothing */
		assert_int_equal(store_free_bytes(f->store, &free_bytes, &e), 0);
		assert_int_equal(ask(f, 2, "org/b", b, 1, free_bytes + 32 * MIB, &none, &e), ERR_NOSPACE);
		assert_non_null(strstr(e.msg, "waits for room beside org/a: org/b needs 1.05 MB more"));
		assert_non_null(strstr(e.msg, "0 B are for what runs, beside 67.1 MB that its unfinished files have taken already"));
	}
	partial_close(&p);
	room_give(f->room, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_side_by_side, up, down), cmocka_unit_test_setup_teardown(test_uploads, up, down),
					    cmocka_unit_test_setup_teardown(test_begun, up, down), cmocka_unit_test_setup_teardown(test_taken, up, down) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
