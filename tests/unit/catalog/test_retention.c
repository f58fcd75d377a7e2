/* test_retention.c - what gc lets go, and what is in use. */
#include "lifecycle_case.h"

#include "catalog/gc.h"
#include "catalog/lost.h"
#include "catalog/mirror.h"

/* The revisions that a run names, oldest first. */
static json_t *let_go(struct fixture *f, const struct gc_rules *gc, int64_t now)
{
	struct gc_counts freed = { 0 };

	ok(gc_run(f->db, f->store, gc, now, &freed, e));
	json_decref(freed.quotas);
	return freed.list;
}

/* What nobody gets takes the place of none that people do. */
static void test_keep_last(void **state)
{
	struct fixture *f = *state;
	int64_t r[4], m = make(f->db, "org/m", 'a', &r[0]);
	struct lifecycle_order bad = { .model_id = m, .who = "ada", .reason = "bad" }, ends = { .model_id = m, .who = "ada", .sunset_at = NOW + 100 * DAY };
	struct gc_rules gc = { .keep_last = 1, .unused_since = NOW, .dry_run = true };
	static const struct {
		int64_t ended_at;
		size_t freed;
	} cases[] = { { NOW + 99 * DAY, 2 }, { NOW + 100 * DAY, 1 }, { 0, 2 } };

	for (int i = 1; i < 4; i++)
		make(f->db, "org/m", (char)('a' + i), &r[i]);
	bad.revision_id = r[3];
	ok(lifecycle_withdraw(f->db, &bad, NOW, e));	/* main is at it all the same */
	ends.revision_id = r[2];
	ok(lifecycle_deprecate(f->db, &ends, &rules, NOW, e));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(json) json_t *freed = NULL;

		gc.ended_at = cases[i].ended_at;
		freed = let_go(f, &gc, NOW + 101 * DAY);
		assert_int_equal(json_array_size(freed), cases[i].freed);
	}
	bad.revision_id = 0;
	ok(lifecycle_withdraw(f->db, &bad, NOW, e));	/* all of it, and the newest stays for when that is taken back */
	own(json) json_t *freed = let_go(f, &gc, NOW + 101 * DAY);
	assert_int_equal(json_array_size(freed), 2);
}

/* What was published first is the oldest within its model, also when the clock was ahead that day; between models dates tell. */
static void test_quota_order(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *quotas = policy("retention: {quotas: [{author: org, max: 6B}]}");	/* two files of six */
	struct gc_rules gc = { .quotas = quotas, .unused_since = NOW, .dry_run = true };
	static const struct {
		const char *name;
		int64_t at;
	} made[] = { { "org/m", NOW + 3650 * DAY }, { "org/n", NOW + DAY }, { "org/m", NOW + 2 * DAY }, { "org/n", NOW + 3 * DAY }, { "org/m", NOW + 4 * DAY }, { "org/n", NOW + 5 * DAY } };
	static const char oldest[] = { 'b', 'a', 'c', 'd' };	/* the first of org/m is no younger than its second */

	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		make_at(f->db, made[i].name, (char)('a' + i), made[i].at, &(int64_t){ 0 });
	own(json) json_t *freed = let_go(f, &gc, NOW + 10 * DAY);
	assert_int_equal(json_array_size(freed), ARRAY_LEN(oldest));
	for (size_t i = 0; i < ARRAY_LEN(oldest); i++)
		assert_int_equal(json_get_str(json_array_get(freed, i), "revision")[0], oldest[i]);
}

/* A revision that nobody gets whole takes the place of none that people do. */
static void test_keep_last_lost(void **state)
{
	struct fixture *f = *state;
	struct gc_rules gc = { .keep_last = 1, .unused_since = NOW, .dry_run = true };
	struct model_stored again = { .path = "config.json", .size_bytes = 3 };
	own(arena) struct arena a;
	struct lost_use *uses;
	int64_t r[3];
	size_t n;
	bool news;

	arena_init(&a);
	for (int i = 0; i < 3; i++)
		make(f->db, "org/m", (char)('a' + i), &r[i]);
	digest_of(&again.sha256, DIGEST_SHA256, "c", 1);
	ok(lost_note(f->db, &again.sha256, "gone", NOW, &a, &uses, &n, &news, e));
	own(json) json_t *freed = let_go(f, &gc, NOW + DAY);
	assert_int_equal(json_array_size(freed), 1);
	assert_int_equal(json_get_str(json_array_get(freed, 0), "revision")[0], 'a');
	ok(model_files_stored(f->db, r[2], &again, 1, e));
	own(json) json_t *whole = let_go(f, &gc, NOW + DAY);
	assert_int_equal(json_array_size(whole), 2);
}

/* Whether an entry that pins this keeps org/m's oldest commit, which no ref serves, from keep_last and from a quota. */
static void expect_pinned(struct fixture *f, enum mirror_kind kind, const char *target, const char *revision, bool kept)
{
	own(policy) struct policy *quotas = policy("retention: {quotas: [{author: org, max: 1B}]}");
	const struct gc_rules rules_of[] = { { .keep_last = 1, .unused_since = NOW, .dry_run = true }, { .quotas = quotas, .unused_since = NOW, .dry_run = true } };
	struct mirror m = { .name = "entry", .kind = kind, .target = target, .upstream = "hub", .revision = revision, .every_s = 60 };

	ok(mirror_put(f->db, &m, NOW, NULL, e));
	for (size_t i = 0; i < ARRAY_LEN(rules_of); i++) {
		own(json) json_t *freed = let_go(f, &rules_of[i], NOW + DAY);

		assert_int_equal(json_array_size(freed), !kept);
	}
	ok(mirror_remove(f->db, "entry", e));
	own(json) json_t *freed = let_go(f, &rules_of[0], NOW + DAY);
	assert_int_equal(json_array_size(freed), 1);
}

static void test_pinned(void **state)
{
	static const char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
	struct fixture *f = *state;
	struct model_upstream renamed = { .name = "org/m", .asked_name = "org/before", .upstream = "hub" };
	int64_t r, id;

	make(f->db, "org/m", 'a', &r);
	make(f->db, "org/m", 'b', &r);
	make(f->db, "org/other", 'c', &r);
	ok(model_upsert(f->db, &renamed, NOW, &id, e));
	expect_pinned(f, MIRROR_REPO, "org/m", a, true);
	expect_pinned(f, MIRROR_REPO, "Org/M", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true);
	expect_pinned(f, MIRROR_REPO, "org/before", a, true);
	expect_pinned(f, MIRROR_REPO, "org/m", "aaaaaaa", true);
	expect_pinned(f, MIRROR_REPO, "org/m", "aaaaaa", false);
	expect_pinned(f, MIRROR_REPO, "org/m", b, false);
	expect_pinned(f, MIRROR_REPO, "org/m", "main", false);
	expect_pinned(f, MIRROR_REPO, "org/other", a, false);
	expect_pinned(f, MIRROR_AUTHOR, "org/m", a, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = { with_fixture(test_keep_last), with_fixture(test_keep_last_lost), with_fixture(test_quota_order), with_fixture(test_pinned) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
