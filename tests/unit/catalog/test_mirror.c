/* test_mirror.c - mirror entries: those of people and those of the settings, when they are due, and what is kept of their rounds. */
#include "catalog_test.h"

#include "base/json.h"
#include "catalog/mirror.h"

#define NOW (20000 * (int64_t)86400)

/* The only entry, as it is now. */
static struct mirror *one(struct fixture *f, struct arena *a)
{
	struct mirror *list;
	size_t n;

	ok(mirror_list(f->db, a, &list, &n, e));
	assert_int_equal(n, 1);
	return list;
}

static void test_mirror(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct mirror m = { .name = "Qwen/Q", .kind = MIRROR_REPO, .target = "Qwen/Q", .upstream = "hub", .every_s = 3600, .from_config = true }, *list;
	int64_t id, id2, next;
	size_t n;

	arena_init(&a);
	ok(mirror_put(f->db, &m, NOW, &id, e));
	ok(mirror_due(f->db, NOW, &a, &list, &n, &next, e));
	assert_int_equal(n, 1);
	ok(mirror_queued(f->db, id, NOW, NOW + 1800, e));
	ok(mirror_due(f->db, NOW, &a, &list, &n, &next, e));
	assert_true(n == 0 && next == NOW + 1800);
	list = one(f, &a);
	ok(mirror_ran(f->db, list, NOW, NOW + 3600, "hub is down", "{\"x\":1}", e));
	ok(mirror_queued(f->db, id, NOW, NOW + 7200, e));	/* written down when the run has ended already */
	ok(mirror_put(f->db, &m, NOW + 1, &id2, e));	/* the same after a restart: its schedule stays */
	assert_int_equal(id2, id);
	ok(mirror_due(f->db, NOW + 1, &a, &list, &n, &next, e));
	assert_int_equal(n, 0);
	assert_int_equal(next, NOW + 3600);
	ok(mirror_due(f->db, NOW - 10 * 365 * 86400, &a, &list, &n, &next, e));	/* the clock was years ahead then */
	assert_int_equal(n, 1);
	m.from_config = false;
	fails(ERR_CONFLICT, "configuration", mirror_put(f->db, &m, NOW, NULL, e));
	fails(ERR_CONFLICT, "configuration", mirror_remove(f->db, "qwen/q", e));
	m.name = m.target = "org/b";
	ok(mirror_put(f->db, &m, NOW, NULL, e));
	ok(mirror_keep_config(f->db, NULL, 0, e));
	ok(mirror_list(f->db, &a, &list, &n, e));
	assert_int_equal(n, 1);
	own(json) json_t *j = mirror_json(&list[0]);
	assert_string_equal(json_get_str(j, "target"), "org/b");
	ok(mirror_run_now(f->db, NULL, e));
	fails(ERR_NOT_FOUND, "no mirror", mirror_run_now(f->db, "x", e));
	ok(mirror_remove(f->db, "ORG/b", e));
	fails(ERR_NOT_FOUND, "no mirror", mirror_remove(f->db, "org/b", e));
}

/* What happens to an entry while its round runs is not undone by the round's end. */
static void test_meanwhile(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct mirror m = { .name = "team", .kind = MIRROR_AUTHOR, .target = "team", .upstream = "hub", .every_s = 3600, .from_config = true }, *round, *list;
	int64_t id;
	size_t n;

	arena_init(&a);
	ok(mirror_put(f->db, &m, NOW, &id, e));
	ok(mirror_queued(f->db, id, NOW, NOW + 3600, e));
	round = one(f, &a);
	ok(mirror_run_now(f->db, "team", e));
	ok(mirror_ran(f->db, round, NOW + 5, NOW + 3605, NULL, "{\"x\":1}", e));
	ok(mirror_due(f->db, NOW + 6, &a, &list, &n, NULL, e));
	assert_int_equal(n, 1);
	assert_int_equal(list->next_at, 0);	/* it is known for a person's */
	assert_string_equal(list->cursor, "{\"x\":1}");
	ok(mirror_queued(f->db, id, NOW + 6, NOW + 3606, e));

	round = one(f, &a);
	m.options = "{\"names\":[\"team/*\"]}";
	ok(mirror_put(f->db, &m, NOW + 7, &id, e));
	ok(mirror_ran(f->db, round, NOW + 8, NOW + 3608, NULL, "{\"x\":2}", e));
	ok(mirror_due(f->db, NOW + 9, &a, &list, &n, NULL, e));
	assert_int_equal(n, 1);
	assert_null(list->cursor);
}

int main(void)
{
	const struct CMUnitTest tests[] = { with_fixture(test_mirror), with_fixture(test_meanwhile) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
