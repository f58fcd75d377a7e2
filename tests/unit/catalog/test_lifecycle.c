/* test_lifecycle.c - years in seconds: deprecation, sunset, retirement, withdrawal; tests made again, and who has pulled what ends. */
#include "lifecycle_case.h"

#include "base/str.h"
#include "catalog/finding.h"
#include "catalog/gc.h"
#include "catalog/query.h"
#include "catalog/recertify.h"
#include "catalog/usage.h"

static void test_sunset(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, r2, m1 = make(f->db, "org/old", 'a', &r1);

	arena_init(&a);
	make(f->db, "org/new", 'b', &r2);
	struct lifecycle_order o = { .model_id = m1, .who = "ada", .reason = "replaced", .sunset_at = NOW - 1 };
	fails(ERR_USAGE, "in the past", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	o.sunset_at = NOW;
	fails(ERR_USAGE, "is today, and a day's sunset is its beginning (00:00 UTC): the earliest is 2024-10-05", lifecycle_deprecate(f->db, &o, &(struct policy_lifecycle){ 0 }, NOW, e));
	fails(ERR_USAGE, "is today, and a day's sunset is its beginning (00:00 UTC): the earliest is 2024-10-05", lifecycle_deprecate(f->db, &o, &(struct policy_lifecycle){ 0 }, NOW + 7, e));
	fails(ERR_USAGE, "the earliest is 2025-01-02", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	fails(ERR_USAGE, "in the past", lifecycle_deprecate(f->db, &o, &(struct policy_lifecycle){ 0 }, NOW + DAY, e));
	o.sunset_at = NOW + 30 * DAY;
	fails(ERR_REFUSED, "a notice of 90d: the earliest sunset is 2025-01-02 ", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	fails(ERR_REFUSED, "a notice of 90d: the earliest sunset is 2025-01-03 ", lifecycle_deprecate(f->db, &o, &rules, NOW + 1, e));	/* as that day begins */
	o.sunset_at = NOW + 10;
	fails(ERR_REFUSED, "a notice of 1h: the earliest sunset is 2024-10-05 ", lifecycle_deprecate(f->db, &o, &(struct policy_lifecycle){ .notice_s = 3600 }, NOW, e));
	o.sunset_at = NOW + 30 * DAY;
	o.force = true;
	o.reason = NULL;
	fails(ERR_USAGE, "reason", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	o.reason = "replaced";
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	o.force = false;
	o.sunset_at = NOW + 100 * DAY;
	o.successor = "org/none";
	fails(ERR_NOT_FOUND, "not in the catalog", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	o.successor = "org/old";
	fails(ERR_REFUSED, "leads back", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	o.successor = "org/new";
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW + DAY, e));
	struct lifecycle l = at(f->db, m1, r1, NOW + 2 * DAY, &a);
	assert_int_equal(l.state, LIFECYCLE_DEPRECATED);
	assert_int_equal(l.deprecated_at, NOW);	/* the first date stays */
	assert_string_equal(l.successor, "org/new");
	assert_int_equal(at(f->db, m1, r1, NOW + 100 * DAY - 1, &a).state, LIFECYCLE_DEPRECATED);
	assert_int_equal(at(f->db, m1, r1, NOW + 100 * DAY, &a).state, LIFECYCLE_RETIRED);

	struct query_filter q = { .gated = -1, .visible_only = true };
	uint64_t n, bytes;
	ok(query_count(f->db, &q, NOW + 99 * DAY, &n, &bytes, e));
	assert_int_equal(n, 2);
	ok(query_count(f->db, &q, NOW + 101 * DAY, &n, &bytes, e));
	assert_int_equal(n, 1);
	q = (struct query_filter){ .gated = -1, .deprecated = true };
	ok(query_count(f->db, &q, NOW, &n, &bytes, e));
	assert_int_equal(n, 1);
	q = (struct query_filter){ .gated = -1, .sunset_before = NOW + 101 * DAY };
	ok(query_count(f->db, &q, NOW, &n, &bytes, e));
	assert_int_equal(n, 1);

	ok(lifecycle_deprecate(f->db, &o, &rules, NOW - 9 * DAY, e));	/* the clock was ahead until now: it is to hold all the same */
	assert_int_equal(at(f->db, m1, r1, NOW - 9 * DAY, &a).state, LIFECYCLE_DEPRECATED);

	o = (struct lifecycle_order){ .model_id = m1, .who = "ada" };
	ok(lifecycle_undeprecate(f->db, &o, NOW + 200 * DAY, e));
	assert_int_equal(at(f->db, m1, r1, NOW + 201 * DAY, &a).state, LIFECYCLE_ACTIVE);
	fails(ERR_CONFLICT, "not deprecated", lifecycle_undeprecate(f->db, &o, NOW + 200 * DAY, e));
}

static void test_chain(void **state)
{
	struct fixture *f = *state;
	int64_t r, m[3];
	const char *const names[] = { "o/a", "o/b", "o/c" };

	for (int i = 0; i < 3; i++)
		m[i] = make(f->db, names[i], (char)('a' + i), &r);
	for (int i = 0; i < 2; i++) {
		struct lifecycle_order o = { .model_id = m[i], .who = "x", .successor = names[i + 1] };
		ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	}
	struct lifecycle_order o = { .model_id = m[2], .who = "x", .successor = "o/a" };
	fails(ERR_REFUSED, "leads back", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	struct lifecycle_order gone = { .model_id = m[2], .who = "x" };
	ok(lifecycle_retire(f->db, &gone, NOW, e));
	o = (struct lifecycle_order){ .model_id = m[0], .who = "x", .successor = "o/c" };
	fails(ERR_REFUSED, "retired itself", lifecycle_deprecate(f->db, &o, &rules, NOW, e));

	/* One that nobody can get is none, forced or not. */
	int64_t held = make(f->db, "o/held", 'd', &r);
	ok(model_rule(f->db, r, POLICY_REJECT, "x", "bad", NOW, e));
	o.successor = "o/held";
	o.force = true;
	fails(ERR_REFUSED, "o/held is rejected, so nobody can get it", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	ok(model_rule(f->db, r, POLICY_PUBLISH, "x", "good", NOW, e));
	struct lifecycle_order off = { .model_id = held, .revision_id = r, .who = "x", .reason = "claim" };
	ok(lifecycle_withdraw(f->db, &off, NOW, e));
	fails(ERR_REFUSED, "o/held is withdrawn itself", lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	ok(restore(f->db, &off, NOW, e));
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
}

/* What people would meet counts, and that is what holds for the revision that is shown. */
static void test_successors_of_revisions(void **state)
{
	struct fixture *f = *state;
	int64_t rd, re, rf, md = make(f->db, "o/d", 'd', &rd), me = make(f->db, "o/e", 'e', &re), mf = make(f->db, "o/f", 'f', &rf);
	struct lifecycle_order d = { .model_id = md, .revision_id = rd, .who = "x", .successor = "o/e" }, other = { .model_id = me, .who = "x", .successor = "o/d" };

	ok(lifecycle_deprecate(f->db, &d, &rules, NOW, e));
	fails(ERR_REFUSED, "leads back", lifecycle_deprecate(f->db, &other, &rules, NOW, e));
	other.revision_id = re;
	fails(ERR_REFUSED, "leads back", lifecycle_deprecate(f->db, &other, &rules, NOW, e));

	struct lifecycle_order own = { .model_id = mf, .revision_id = rf, .who = "x", .successor = "o/f" };
	fails(ERR_REFUSED, "that very revision", lifecycle_deprecate(f->db, &own, &rules, NOW, e));
	struct model_plan p = { .model_id = mf, .commit = "abababababababababababababababababababab", .ref = "main" };
	struct policy_verdict v = { .outcome = POLICY_PUBLISH, .summary = "x" };
	int64_t newer;
	ok(model_plan(f->db, &p, NOW + 1, &newer, NULL, e));
	ok(model_conclude(f->db, newer, &v, NOW + 1, e));
	ok(lifecycle_deprecate(f->db, &own, &rules, NOW + 2, e));
	/* An older revision may be succeeded by a model that names this one's newer revisions. */
	other = (struct lifecycle_order){ .model_id = me, .who = "x", .successor = "o/f" };
	ok(lifecycle_deprecate(f->db, &other, &rules, NOW + 2, e));
	own.successor = "o/e";
	ok(lifecycle_deprecate(f->db, &own, &rules, NOW + 2, e));

	d.successor = NULL;
	d.sunset_at = NOW + 100 * DAY;
	ok(lifecycle_deprecate(f->db, &d, &rules, NOW, e));
	struct lifecycle_order late = { .model_id = make(f->db, "o/g", '9', &newer), .who = "x", .successor = "o/d" };
	fails(ERR_REFUSED, "o/d is retired itself", lifecycle_deprecate(f->db, &late, &rules, NOW + 100 * DAY, e));
}

static void test_retire_withdraw(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r, m = make(f->db, "org/m", 'a', &r);
	struct revision rev;
	struct lifecycle_order o = { .model_id = m, .who = "ada" }, one = { .model_id = m, .revision_id = r, .who = "ada", .reason = "bad weights" };

	arena_init(&a);
	fails(ERR_CONFLICT, "not retired", restore(f->db, &o, NOW, e));
	ok(lifecycle_retire(f->db, &o, NOW, e));
	assert_int_equal(at(f->db, m, r, NOW, &a).state, LIFECYCLE_RETIRED);
	ok(model_revision(f->db, r, &a, NULL, &rev, e));
	assert_int_equal(rev.state, REVISION_RETIRED);
	fails(ERR_REFUSED, "restore it first", model_rule(f->db, r, POLICY_PUBLISH, "ada", NULL, NOW, e));
	fails(ERR_REFUSED, "restore it first", model_set_state(f->db, r, REVISION_HELD, NULL, NOW, e));
	fails(ERR_CONFLICT, "org/m is retired already", lifecycle_retire(f->db, &o, NOW, e));
	ok(restore(f->db, &o, NOW, e));
	ok(model_revision(f->db, r, &a, NULL, &rev, e));
	assert_int_equal(rev.state, REVISION_PUBLISHED);
	fails(ERR_USAGE, "reason", lifecycle_withdraw(f->db, &o, NOW, e));
	ok(lifecycle_withdraw(f->db, &one, NOW, e));
	assert_int_equal(at(f->db, m, r, NOW, &a).state, LIFECYCLE_WITHDRAWN);
	assert_int_equal(at(f->db, m, 0, NOW, &a).state, LIFECYCLE_ACTIVE);
	struct query_filter q = { .gated = -1, .visible_only = true };
	uint64_t n, bytes;
	ok(query_count(f->db, &q, NOW, &n, &bytes, e));
	assert_int_equal(n, 0);
	one.legal = true;
	one.reason = "court order";
	ok(lifecycle_withdraw(f->db, &one, NOW + 1, e));
	assert_int_equal(at(f->db, m, r, NOW + 1, &a).state, LIFECYCLE_WITHDRAWN_LEGAL);
	assert_string_equal(at(f->db, m, r, NOW + 1, &a).reason, "court order");
	ok(restore(f->db, &one, NOW + 2, e));
	ok(query_count(f->db, &q, NOW, &n, &bytes, e));
	assert_int_equal(n, 1);
}

static void test_list_and_calendar(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *p = policy("{}");
	int64_t r, m = make(f->db, "org/m", 'a', &r);
	struct lifecycle_order o = { .model_id = m, .who = "ada", .sunset_at = NOW + 100 * DAY, .reason = "a long reason, with; punctuation\nand \xc3\xa9\xc3\xa9\xc3\xa9 many more words to fold the line at the right place" };

	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	usage_count(f->db, m, r, "ci", 100, NOW - DAY);
	usage_count(f->db, m, r, "ci", 100, NOW - DAY);
	usage_count(f->db, m, r, "10.0.0.1", 50, NOW);
	usage_count(f->db, m, r, "old", 50, NOW - 40 * DAY);
	ok(usage_flush(f->db, e));
	usage_count(f->db, m, r, "ci", 100, NOW);
	ok(usage_flush(f->db, e));
	own(json) json_t *list = lifecycle_list(f->db, p, NOW + 101 * DAY, NOW, NULL), *none = lifecycle_list(f->db, p, NOW + 50 * DAY, NOW, NULL);
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(json_array_size(none), 0);
	json_t *row = json_array_get(list, 0);
	assert_string_equal(json_get_str(row, "repo"), "org/m");
	assert_int_equal(json_get_int(row, "pulls_30d", -1), 4);
	assert_string_equal(json_string_value(json_array_get(json_object_get(row, "consumers"), 0)), "ci");
	own(json) json_t *use = usage_json(f->db, m, 30, NOW, NULL);
	assert_int_equal(json_array_size(use), 2);
	assert_int_equal(json_get_int(json_array_get(use, 0), "bytes", 0), 300);

	own(mem) char *ics = lifecycle_ics(f->db, p, NOW, NULL);
	assert_non_null(ics);
	assert_non_null(strstr(ics, "DTSTART;VALUE=DATE:20250112\r\n"));
	o.reason = "a\ttab\x7f\a";
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	free(ics);
	ics = lifecycle_ics(f->db, p, NOW, NULL);
	assert_non_null(strstr(ics, "DESCRIPTION:a\ttab\\n"));
	o.sunset_at = 0;
	char reason[2001] = "x";
	for (size_t i = 1; i + 2 < sizeof(reason); i += 2)
		memcpy(reason + i, "\xc3\xa9", 3);
	make(f->db, "org/next", 'b', &r);
	o.reason = reason;
	o.successor = "org/next";
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	free(ics);
	ics = lifecycle_ics(f->db, p, NOW, NULL);
	assert_non_null(strstr(ics, "\\nUse org/next\r\n"));
	for (char *s = ics, *end; *s; s = end + 2) {
		end = strstr(s, "\r\n");
		assert_non_null(end);
		assert_true(end - s <= 75);
		assert_true(str_utf8_valid(s, (size_t)(end - s)));
	}
}

/* "In the last 30 days" is 30 times 24 hours, at any hour, for whoever asks who still pulls a model and for gc. */
static void test_lately(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *p = policy("{}");
	const int64_t noon = NOW + DAY / 2, begin = noon - USAGE_LATELY_DAYS * DAY;
	int64_t r, newer, m = make(f->db, "org/m", 'a', &r);
	struct lifecycle_order o = { .model_id = m, .who = "ada", .sunset_at = NOW + 100 * DAY };
	struct gc_rules gc = { .keep_last = 1, .unused_since = begin, .dry_run = true };

	make(f->db, "org/m", 'b', &newer);
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	for (int late = 0; late < 2; late++) {
		struct gc_counts freed = { 0 };

		usage_count(f->db, m, r, "ci", 100, begin - 1 + late);
		ok(usage_flush(f->db, e));
		own(json) json_t *list = lifecycle_list(f->db, p, 0, noon, NULL), *use = usage_json(f->db, m, USAGE_LATELY_DAYS, noon, NULL);
		ok(gc_run(f->db, f->store, &gc, noon, &freed, e));
		own(json) json_t *gone = freed.list;
		json_decref(freed.quotas);
		assert_int_equal(json_array_size(use), late);
		assert_int_equal(json_get_int(json_array_get(list, 0), "pulls_30d", -1), late * 2);
		assert_int_equal(json_array_size(gone), !late);
	}
}

/* A bundle's word takes the place of its last one as a whole, and takes back no mark of rules or tests. */
static void test_another_sites_word(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, r2, m = make(f->db, "org/old", 'a', &r1);
	struct lifecycle_order o = { .model_id = m, .who = "bundle", .reason = "replaced", .successor = "org/new", .sunset_at = NOW + 100 * DAY, .said_at = NOW - DAY };
	struct lifecycle_order off;
	struct lifecycle l;

	arena_init(&a);
	off = (struct lifecycle_order){ .model_id = make(f->db, "org/new", 'b', &r2), .who = "ada" };
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	assert_string_equal(said_of(f->db, "lifecycle.deprecated", "org/old", "said_at", &a), "2024-10-03T00:00:00Z");
	ok(lifecycle_retire(f->db, &off, NOW, e));
	assert_null(at(f->db, m, 0, NOW, &a).successor);
	ok(lifecycle_marked(f->db, m, 0, NOW, &a, &l, e));
	assert_string_equal(l.successor, "org/new");

	o = (struct lifecycle_order){ .model_id = m, .who = "bundle", .anew = true };
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW + DAY, e));
	ok(lifecycle_marked(f->db, m, 0, NOW + DAY, &a, &l, e));
	assert_int_equal(l.sunset_at, 0);
	assert_null(l.successor);
	assert_null(l.reason);

	o = (struct lifecycle_order){ .model_id = m, .who = "bundle", .own_mark = true };
	ok(lifecycle_undeprecate(f->db, &o, NOW + DAY, e));
	assert_int_equal(sweep(f->db, "lifecycle: {ends: [{repo: org/old, at: 2030-01-01}]}", NOW + DAY), 1);
	fails(ERR_CONFLICT, "not deprecated", lifecycle_undeprecate(f->db, &o, NOW + DAY, e));
	assert_int_not_equal(at(f->db, m, r1, NOW + DAY, &a).sunset_at, 0);
}

/* Nobody is sent to what is off the doors: whoever it names in turn is named, or nobody, until it is back. */
static void test_successors_that_go(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *p = policy("{}");
	own(arena) struct arena a;
	own(json) json_t *none = json_array(), *by = json_array();
	int64_t r[3], m = make(f->db, "org/m", 'a', &r[0]), n = make(f->db, "org/n", 'b', &r[1]);
	struct lifecycle_order o = { .model_id = m, .who = "ada", .successor = "org/n" }, off = { .model_id = n, .who = "ada", .reason = "bad" };

	arena_init(&a);
	make(f->db, "org/k", 'c', &r[2]);
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	ok(lifecycle_named_by(f->db, n, p, NOW, none, e));
	assert_int_equal(json_array_size(none), 0);
	ok(lifecycle_withdraw(f->db, &off, NOW, e));
	assert_null(at(f->db, m, r[0], NOW, &a).successor);
	own(json) json_t *list = lifecycle_list(f->db, p, 0, NOW, NULL);
	assert_null(json_get_str(json_array_get(list, 0), "successor"));
	ok(lifecycle_named_by(f->db, n, p, NOW, by, e));
	assert_int_equal(json_array_size(by), 1);
	assert_string_equal(json_get_str(json_array_get(by, 0), "repo"), "org/m");
	/* It is still this one's successor, so that nothing leads back here when it returns. */
	struct lifecycle_order back = { .model_id = n, .who = "ada", .successor = "org/m" };
	fails(ERR_REFUSED, "leads back", lifecycle_deprecate(f->db, &back, &rules, NOW, e));
	ok(restore(f->db, &off, NOW, e));
	assert_string_equal(at(f->db, m, r[0], NOW, &a).successor, "org/n");

	back.successor = "org/k";
	back.sunset_at = NOW + 100 * DAY;
	ok(lifecycle_deprecate(f->db, &back, &rules, NOW, e));
	assert_string_equal(at(f->db, m, r[0], NOW + 99 * DAY, &a).successor, "org/n");
	assert_string_equal(at(f->db, m, r[0], NOW + 100 * DAY, &a).successor, "org/k");
}

static void tested_as(struct db *db, int64_t rev, const char *verdict, const char *device, const char *platform)
{
	ok(finding_record_smoke(db, rev, &(struct finding_smoke){ .verdict = verdict, .device = device, .platform = platform, .bits_per_byte = 1, .tokens_per_s = 1, .reasons = "[]", .at = NOW }, e));
}

static void tested(struct db *db, int64_t rev, const char *device, const char *platform)
{
	tested_as(db, rev, "pass", device, platform);
}

/* The newest test of a kind of device tells what the platform is now; older verdicts of that kind are due. */
static void test_due_again(void **state)
{
	struct fixture *f = *state;
	int64_t r1, r2, r3, m3;
	struct recertify_due *due;
	own(arena) struct arena a;
	bool changed;
	size_t n;

	arena_init(&a);
	make(f->db, "org/one", 'a', &r1);
	make(f->db, "org/two", 'b', &r2);
	m3 = make(f->db, "org/cpu", 'c', &r3);
	tested(f->db, r1, "cuda:0 H100", "{\"driver\":\"570\"}");
	tested(f->db, r3, "cpu", "{\"isa\":\"avx2\"}");
	tested(f->db, r2, "cuda:0 H100", "{\"driver\":\"570\"}");
	ok(recertify_due(f->db, NULL, NOW, 10, &a, &due, &n, e));
	assert_int_equal(n, 0);
	tested(f->db, r2, "cuda:0 H100", "{\"driver\":\"580\"}");
	ok(recertify_due(f->db, NULL, NOW, 10, &a, &due, &n, e));
	assert_int_equal(n, 1);
	assert_string_equal(due[0].repo, "org/one");
	ok(recertify_any(f->db, &changed, e));
	assert_true(changed);
	tested(f->db, r1, "cuda:0 H100", "{\"driver\":\"580\"}");
	ok(recertify_due(f->db, NULL, NOW, 10, &a, &due, &n, e));
	assert_int_equal(n, 0);

	/* What there is now goes before what tests have seen, for its kind of device. */
	ok(recertify_due(f->db, &(struct recertify_platform){ "cuda:0 H100", "{\"driver\":\"590\"}" }, NOW, 10, &a, &due, &n, e));
	assert_int_equal(n, 2);
	ok(recertify_due(f->db, &(struct recertify_platform){ "cpu", "{\"isa\":\"avx512\"}" }, NOW, 10, &a, &due, &n, e));
	assert_int_equal(n, 1);
	assert_string_equal(due[0].repo, "org/cpu");

	/* One that went wrong is no verdict, and is made again a day later; what is off the doors is left alone. */
	const struct recertify_platform avx512 = { "cpu", "{\"isa\":\"avx512\"}" };
	tested_as(f->db, r3, "error", NULL, NULL);
	ok(recertify_due(f->db, &avx512, NOW + 3600, 10, &a, &due, &n, e));
	assert_int_equal(n, 0);
	ok(recertify_due(f->db, &avx512, NOW + DAY, 10, &a, &due, &n, e));
	assert_int_equal(n, 1);
	ok(recertify_due(f->db, &avx512, NOW - 9 * DAY, 10, &a, &due, &n, e));	/* or when the clock was ahead */
	assert_int_equal(n, 1);
	struct lifecycle_order off = { .model_id = m3, .who = "ada", .reason = "leaked" };
	ok(lifecycle_withdraw(f->db, &off, NOW, e));
	ok(recertify_due(f->db, &avx512, NOW + DAY, 10, &a, &due, &n, e));
	assert_int_equal(n, 0);
	ok(restore(f->db, &off, NOW, e));
	ok(recertify_due(f->db, &avx512, NOW + DAY, 10, &a, &due, &n, e));
	assert_int_equal(n, 1);
}

static void test_recertification(void **state)
{
	struct fixture *f = *state;
	int64_t r1, r2, r3, m1 = make(f->db, "org/one", 'a', &r1);
	own(arena) struct arena a;
	bool changed;

	arena_init(&a);
	make(f->db, "org/two", 'b', &r2);
	make(f->db, "org/three", 'c', &r3);
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, NULL, NOW, &changed, e));
	assert_false(changed);
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, "tested again: fails", NOW, &changed, e));
	assert_true(changed);
	assert_string_equal(at(f->db, m1, r1, NOW + 1, &a).reason, "tested again: fails");
	assert_int_equal(at(f->db, m1, r1, NOW + 1000 * DAY, &a).state, LIFECYCLE_DEPRECATED);
	/* A rule's mark stands beside it, and each is taken back by whoever made it. */
	assert_int_equal(sweep(f->db, "lifecycle: {max_age: 1d}", NOW + 300 * DAY), 3);
	assert_int_equal(at(f->db, m1, r1, NOW + 300 * DAY, &a).sunset_at, NOW + 390 * DAY);
	assert_string_equal(at(f->db, m1, r1, NOW + 300 * DAY, &a).reason, "published longer ago than the policy's max_age; tested again: fails");
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 90d}", NOW + 301 * DAY), 3);
	assert_string_equal(at(f->db, m1, r1, NOW + 302 * DAY, &a).reason, "tested again: fails");
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, NULL, NOW + 2, &changed, e));
	assert_true(changed);
	assert_int_equal(at(f->db, m1, r1, NOW + 3, &a).state, LIFECYCLE_ACTIVE);

	struct lifecycle_order o = { .model_id = m1, .revision_id = r1, .who = "ada", .reason = "mine" };
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW + 3, e));
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, "fails", NOW + 4, &changed, e));
	assert_true(changed);
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, "fails", NOW + 4, &changed, e));
	assert_false(changed);	/* known, and told */
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, "fails", NOW + 3, &changed, e));
	assert_true(changed);	/* that was by a clock that was ahead: it holds from now on */
	assert_string_equal(at(f->db, m1, r1, NOW + 3, &a).reason, "mine; fails");
	assert_string_equal(at(f->db, m1, r1, NOW + 5, &a).reason, "mine; fails");
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, NULL, NOW + 4, &changed, e));
	assert_string_equal(at(f->db, m1, r1, NOW + 5, &a).reason, "mine");	/* a person's mark is not this one's to take back */

	/* But this one's is a person's, who may know better. */
	ok(lifecycle_undeprecate(f->db, &o, NOW + 5, e));
	ok(recertify_record(f->db, r1, RECERTIFY_SMOKE, "fails", NOW + 6, &changed, e));
	assert_true(changed);	/* whatever was said and taken back before */
	ok(recertify_record(f->db, r1, RECERTIFY_LICENCE, "licence conflict", NOW + 6, &changed, e));
	assert_true(changed);
	ok(lifecycle_undeprecate(f->db, &o, NOW + 7, e));
	assert_int_equal(at(f->db, m1, r1, NOW + 8, &a).state, LIFECYCLE_ACTIVE);
	assert_int_equal(sweep(f->db, "lifecycle: {max_age: 1d}", NOW + 300 * DAY), 3);
}

static void smoke(struct fixture *f, int64_t rev, const char *verdict, int64_t at)
{
	struct finding_smoke s = { .verdict = verdict, .bits_per_byte = 1, .tokens_per_s = 1, .reasons = "[]", .at = at };

	ok(finding_record_smoke(f->db, rev, &s, e));
}

/* What has been put right while it was off the doors comes back without its mark; a test that still fails goes on being told of. */
static void test_marks_of_what_comes_back(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, r2, m1 = make(f->db, "org/one", 'a', &r1), m2 = make(f->db, "org/two", 'b', &r2);
	struct lifecycle_order o = { .model_id = m1, .who = "ada", .reason = "driver" };

	arena_init(&a);
	for (int64_t r = r1; r; r = r == r1 ? r2 : 0) {
		ok(recertify_record(f->db, r, RECERTIFY_SMOKE, "tested again: fails", NOW, NULL, e));
		ok(recertify_record(f->db, r, RECERTIFY_LICENCE, "licence conflict", NOW, NULL, e));
	}
	ok(lifecycle_retire(f->db, &o, NOW, e));
	smoke(f, r1, "pass", NOW);
	ok(restore(f->db, &o, NOW, e));
	assert_int_equal(at(f->db, m1, r1, NOW + 1, &a).state, LIFECYCLE_ACTIVE);
	assert_string_equal(said_of(f->db, "lifecycle.undeprecated", "org/one", "by", &a), RECERTIFY_LICENCE);

	ok(model_rule(f->db, r2, POLICY_REJECT, "ada", "driver", NOW, e));
	smoke(f, r2, "fail", NOW);
	ok(model_rule(f->db, r2, POLICY_PUBLISH, "ada", "it has to do", NOW, e));
	assert_string_equal(at(f->db, m2, r2, NOW + 1, &a).reason, "tested again: fails");	/* the licence a person has decided about */
	ok(model_rule(f->db, r2, POLICY_REJECT, "ada", "driver", NOW, e));
	smoke(f, r2, "pass", NOW + 1);
	ok(model_rule(f->db, r2, POLICY_PUBLISH, "ada", "repaired", NOW, e));
	assert_int_equal(at(f->db, m2, r2, NOW + 1, &a).state, LIFECYCLE_ACTIVE);
}

/* A mark of the one never hides what the other has said. */
static void test_marks_side_by_side(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *p = policy("{}");
	own(arena) struct arena a;
	int64_t r1, r2, m = make(f->db, "org/a", 'a', &r1);
	struct query_filter q = { .gated = -1, .sunset_before = NOW + 101 * DAY };
	struct lifecycle l;
	uint64_t n, bytes;
	bool changed;

	arena_init(&a);
	make(f->db, "org/c", 'c', &r2);
	facts(f->db, r1, "mit", NULL, "org/b");
	assert_int_equal(sweep(f->db, "lifecycle: {hints: deprecate}", NOW), 1);
	struct lifecycle_order o = { .model_id = m, .who = "ada", .reason = "replaced", .sunset_at = NOW + 100 * DAY, .successor = "org/c" };
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW + DAY, e));
	l = at(f->db, m, r1, NOW + 2 * DAY, &a);
	assert_int_equal(l.deprecated_at, NOW);
	assert_int_equal(l.sunset_at, NOW + 100 * DAY);
	assert_string_equal(l.successor, "org/c");
	assert_string_equal(l.reason, "replaced; its card names a newer version");
	assert_int_equal(at(f->db, m, r1, NOW + 100 * DAY, &a).state, LIFECYCLE_RETIRED);
	ok(query_count(f->db, &q, NOW, &n, &bytes, e));
	assert_int_equal(n, 1);

	/* Of two dates the earlier one holds, whoever has said it, and on which of the two. */
	struct lifecycle_order later = { .model_id = m, .revision_id = r1, .who = "bob", .sunset_at = NOW + 200 * DAY, .reason = "later" };
	ok(lifecycle_deprecate(f->db, &later, &rules, NOW + DAY, e));
	assert_int_equal(at(f->db, m, r1, NOW + 2 * DAY, &a).sunset_at, NOW + 100 * DAY);
	own(json) json_t *list = lifecycle_list(f->db, p, NOW + 101 * DAY, NOW, NULL);
	assert_int_equal(json_array_size(list), 2);	/* the model, and the revision for the hint that it has besides */
	own(mem) char *ics = lifecycle_ics(f->db, p, NOW, NULL);
	char *first = strstr(ics, "BEGIN:VEVENT");
	assert_non_null(first);
	assert_null(strstr(first + 1, "BEGIN:VEVENT"));
	ok(lifecycle_undeprecate(f->db, &o, NOW + 2 * DAY, e));	/* the hint with it, for the rules' marks are nobody else's to take back */
	l = at(f->db, m, r1, NOW + 2 * DAY, &a);
	assert_int_equal(l.sunset_at, NOW + 200 * DAY);
	assert_string_equal(l.reason, "later");
	ok(query_count(f->db, &q, NOW, &n, &bytes, e));
	assert_int_equal(n, 0);

	/* A withdrawal comes first, with its own reason, and takes nothing else with it when it goes. */
	struct lifecycle_order off = { .model_id = m, .who = "ada", .reason = "court order 7", .legal = true };
	ok(lifecycle_withdraw(f->db, &off, NOW + 3 * DAY, e));
	assert_int_equal(at(f->db, m, r1, NOW + 4 * DAY, &a).state, LIFECYCLE_WITHDRAWN_LEGAL);
	assert_string_equal(at(f->db, m, r1, NOW + 4 * DAY, &a).reason, "court order 7");
	later.reason = "plain";
	ok(lifecycle_withdraw(f->db, &later, NOW + 3 * DAY, e));
	assert_string_equal(at(f->db, m, r1, NOW + 4 * DAY, &a).reason, "court order 7");
	later.reason = "retired as well";
	ok(lifecycle_retire(f->db, &later, NOW + 3 * DAY, e));
	ok(restore(f->db, &off, NOW + 4 * DAY, e));
	assert_int_equal(at(f->db, m, r1, NOW + 4 * DAY, &a).state, LIFECYCLE_WITHDRAWN);
	assert_string_equal(at(f->db, m, r1, NOW + 4 * DAY, &a).reason, "plain");
	ok(restore(f->db, &later, NOW + 4 * DAY, e));
	assert_string_equal(at(f->db, m, r1, NOW + 4 * DAY, &a).reason, "later");
	ok(recertify_record(f->db, r1, RECERTIFY_LICENCE, "licence conflict", NOW + 5 * DAY, &changed, e));
	assert_true(changed);
	assert_string_equal(at(f->db, m, r1, NOW + 5 * DAY, &a).reason, "later; licence conflict");
}

static int64_t tell(struct db *db, int64_t now)
{
	int64_t n;

	ok(lifecycle_tell_ended(db, &rules, now, &n, e));
	return n;
}

/* Each date that comes is told once, of what ends by it. */
static void test_ended(void **state)
{
	struct fixture *f = *state;
	int64_t r1, r2, r3, m1 = make(f->db, "org/a", 'a', &r1), m3 = make(f->db, "org/c", 'c', &r3);
	struct lifecycle_order o = { .model_id = m1, .who = "ada", .sunset_at = NOW + 100 * DAY }, one = { .model_id = m1, .revision_id = r1, .who = "ada", .sunset_at = NOW + 200 * DAY };
	static const char commit[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

	make(f->db, "org/b", 'b', &r2);
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	ok(lifecycle_deprecate(f->db, &one, &rules, NOW, e));
	struct lifecycle_order off = { .model_id = m3, .who = "ada", .sunset_at = NOW + 100 * DAY, .reason = "claim" };
	ok(lifecycle_deprecate(f->db, &off, &rules, NOW, e));
	ok(lifecycle_withdraw(f->db, &off, NOW, e));
	facts(f->db, r2, "mit", NULL, NULL);
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 90d, ends: [{license: mit, at: 2020-01-01}]}", NOW + 20 * DAY), 1);

	assert_int_equal(tell(f->db, NOW + 100 * DAY - 1), 0);
	assert_int_equal(tell(f->db, NOW + 100 * DAY), 1);
	assert_int_equal(count_events(f->db, "lifecycle.ended", "org/a", ""), 1);
	assert_int_equal(tell(f->db, NOW + 100 * DAY), 0);
	assert_int_equal(tell(f->db, NOW + 110 * DAY), 1);	/* notice after the rule was made */
	assert_int_equal(count_events(f->db, "lifecycle.ended", "org/b", commit), 1);
	assert_int_equal(tell(f->db, NOW + 300 * DAY), 0);	/* the revision ended with its model */

	/* Another date is another end. */
	o.sunset_at = NOW + 400 * DAY;
	ok(lifecycle_undeprecate(f->db, &one, NOW + 300 * DAY, e));
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW + 300 * DAY, e));
	assert_int_equal(tell(f->db, NOW + 400 * DAY), 1);
	assert_int_equal(count_events(f->db, "lifecycle.ended", "org/a", ""), 2);

	/* One that a model and its revision share is told once, with the successor that only the revision's mark names. */
	own(arena) struct arena a;
	int64_t r4, m4 = make(f->db, "org/d", 'd', &r4), r5;
	struct lifecycle_order whole = { .model_id = m4, .who = "ada", .sunset_at = NOW + 500 * DAY },
			       part = { .model_id = m4, .revision_id = r4, .who = "ada", .sunset_at = NOW + 500 * DAY, .successor = "org/e" };
	arena_init(&a);
	make(f->db, "org/e", 'e', &r5);
	ok(lifecycle_deprecate(f->db, &whole, &rules, NOW + 400 * DAY, e));
	ok(lifecycle_deprecate(f->db, &part, &rules, NOW + 400 * DAY, e));
	assert_int_equal(tell(f->db, NOW + 500 * DAY), 1);
	assert_string_equal(said_of(f->db, "lifecycle.ended", "org/d", "successor", &a), "org/e");

	/* Told while the clock was ahead, it is still to come. */
	whole.sunset_at = NOW + 700 * DAY;
	ok(lifecycle_deprecate(f->db, &whole, &rules, NOW + 500 * DAY, e));
	ok(lifecycle_undeprecate(f->db, &part, NOW + 500 * DAY, e));
	for (int64_t day = 800; day >= 699; day -= 101)
		assert_int_equal(tell(f->db, NOW + day * DAY), day == 800);
	assert_int_equal(tell(f->db, NOW + 700 * DAY), 1);
	assert_int_equal(tell(f->db, NOW + 701 * DAY), 0);
}

/* What a person retires is off whatever its date says, and what comes later of it says so. */
static void test_retired_by_a_clock_that_was_ahead(void **state)
{
	struct fixture *f = *state;
	const struct policy_lifecycle warn = { .gone_after_sunset = false };
	own(arena) struct arena a;
	int64_t r, newer, m = make(f->db, "org/m", 'a', &r), ending, n = make(f->db, "org/n", 'b', &ending);
	struct lifecycle_order off = { .model_id = m, .who = "ada" }, ends = { .model_id = n, .who = "ada", .sunset_at = NOW + 100 * DAY };
	struct lifecycle l;

	arena_init(&a);
	assert_null(said_of(f->db, "revision.published", "org/m", "lifecycle", &a));
	ok(lifecycle_retire(f->db, &off, NOW + 400 * DAY, e));
	ok(lifecycle_deprecate(f->db, &ends, &rules, NOW, e));
	l = at_under(f->db, "lifecycle: {after_sunset: warn}", m, r, NOW, &a);
	assert_true(lifecycle_is_off(&l, &warn));
	l = at(f->db, n, ending, NOW + 100 * DAY, &a);
	assert_true(lifecycle_is_off(&l, &rules));
	assert_false(lifecycle_is_off(&l, &warn));
	assert_int_equal(l.state, LIFECYCLE_RETIRED);
	assert_string_equal(lifecycle_way_back(&l), "undeprecate");
	l = at_under(f->db, "lifecycle: {after_sunset: warn}", n, ending, NOW + 100 * DAY, &a);
	assert_int_equal(l.state, LIFECYCLE_DEPRECATED);	/* the state is what the doors make of it */
	make(f->db, "org/m", 'c', &newer);
	assert_string_equal(said_of(f->db, "revision.published", "org/m", "lifecycle", &a), "retired");
}

/* However long the way to what is served. */
static void test_a_long_way(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r[13], m[13];
	char name[13][16];

	arena_init(&a);
	for (int i = 0; i < 13; i++) {
		snprintf(name[i], sizeof(name[i]), "org/k%d", i);
		m[i] = make(f->db, name[i], (char)('a' + i % 6), &r[i]);
	}
	for (int i = 0; i < 12; i++) {
		struct lifecycle_order o = { .model_id = m[i], .who = "ada", .successor = name[i + 1], .sunset_at = NOW + 100 * DAY };
		ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	}
	assert_string_equal(at(f->db, m[0], r[0], NOW + 100 * DAY, &a).successor, "org/k12");
}

/* Whom people can be sent to is what the doors give them under the policy. */
static void test_successors_under_a_policy(void **state)
{
	static const char warn[] = "lifecycle: {after_sunset: warn}", pinned[] = "lifecycle: {deprecated: pinned_only}";
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t rx, ry, rz, rt, mx = make(f->db, "org/x", 'a', &rx), my = make(f->db, "org/y", 'b', &ry), mt = make(f->db, "org/t", 'd', &rt);
	struct lifecycle_order x = { .model_id = mx, .who = "ada", .successor = "org/y" }, y = { .model_id = my, .who = "ada", .successor = "org/z", .sunset_at = NOW + 100 * DAY },
			       t = { .model_id = mt, .who = "ada", .successor = "org/y" };

	arena_init(&a);
	make(f->db, "org/z", 'c', &rz);
	ok(lifecycle_deprecate(f->db, &y, &rules, NOW, e));
	ok(lifecycle_deprecate(f->db, &x, &rules, NOW, e));
	assert_string_equal(at(f->db, mx, rx, NOW, &a).successor, "org/y");
	assert_string_equal(at_under(f->db, pinned, mx, rx, NOW, &a).successor, "org/z");
	assert_string_equal(at(f->db, mx, rx, NOW + 100 * DAY, &a).successor, "org/z");
	assert_string_equal(at_under(f->db, warn, mx, rx, NOW + 100 * DAY, &a).successor, "org/y");
	fails(ERR_REFUSED, "org/y is retired itself", lifecycle_deprecate(f->db, &t, &rules, NOW + 100 * DAY, e));
	ok(lifecycle_deprecate(f->db, &t, &(struct policy_lifecycle){ 0 }, NOW + 100 * DAY, e));
}

static void show(struct db *db, int64_t m, char salt, int64_t now, int64_t *rev)
{
	struct policy_verdict v = { .outcome = POLICY_PUBLISH, .summary = "x" };
	char commit[41] = { 0 };

	memset(commit, salt, 40);
	struct model_plan p = { .model_id = m, .commit = commit, .ref = "main" };
	ok(model_plan(db, &p, now, rev, NULL, e));
	ok(model_conclude(db, *rev, &v, now, e));
}

/* Upstream goes back to a revision that was ended when the model showed another: of two that people can get neither sends them to the other. */
static void test_a_circle_that_upstream_closes(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t old, newer, rb, rc, ma = make(f->db, "org/a", 'a', &old), mb = make(f->db, "org/b", 'b', &rb), mc = make(f->db, "org/c", 'c', &rc);
	struct lifecycle_order b = { .model_id = mb, .who = "ada", .successor = "org/a" }, one = { .model_id = ma, .revision_id = old, .who = "ada", .successor = "org/b" },
			       c = { .model_id = mc, .who = "ada", .successor = "org/b" };

	arena_init(&a);
	show(f->db, ma, 'd', NOW + 1, &newer);
	ok(lifecycle_deprecate(f->db, &b, &rules, NOW + 1, e));
	ok(lifecycle_deprecate(f->db, &one, &rules, NOW + 1, e));
	ok(lifecycle_deprecate(f->db, &c, &rules, NOW + 1, e));
	assert_string_equal(at(f->db, ma, old, NOW + 1, &a).successor, "org/b");
	assert_string_equal(at(f->db, mb, rb, NOW + 1, &a).successor, "org/a");
	show(f->db, ma, 'a', NOW + 2, &old);
	assert_null(at(f->db, ma, old, NOW + 2, &a).successor);
	assert_null(at(f->db, mb, rb, NOW + 2, &a).successor);
	assert_string_equal(at(f->db, mc, rc, NOW + 2, &a).successor, "org/b");	/* it is not in the circle */

	/* Nobody is sent back to what is off the doors, so that may name the other. */
	struct lifecycle_order off = { .model_id = mb, .who = "ada" };
	ok(lifecycle_retire(f->db, &off, NOW + 3, e));
	assert_string_equal(at(f->db, mb, rb, NOW + 3, &a).successor, "org/a");
	assert_null(at(f->db, ma, old, NOW + 3, &a).successor);
}

/* Whoever corrects a reason takes no date back. */
static void test_deprecated_again(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r, m = make(f->db, "org/a", 'a', &r);
	struct lifecycle_order o = { .model_id = m, .who = "ada", .sunset_at = NOW + 100 * DAY, .reason = "tpyo" };

	arena_init(&a);
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	o.sunset_at = 0;
	o.reason = "typo";
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	assert_int_equal(at(f->db, m, r, NOW, &a).sunset_at, NOW + 100 * DAY);
	assert_string_equal(at(f->db, m, r, NOW, &a).reason, "typo");
}

int main(void)
{
	const struct CMUnitTest tests[] = { with_fixture(test_sunset), with_fixture(test_chain), with_fixture(test_successors_of_revisions), with_fixture(test_retire_withdraw), with_fixture(test_list_and_calendar), with_fixture(test_lately), with_fixture(test_another_sites_word), with_fixture(test_successors_that_go), with_fixture(test_due_again), with_fixture(test_recertification), with_fixture(test_marks_of_what_comes_back), with_fixture(test_marks_side_by_side), with_fixture(test_ended), with_fixture(test_deprecated_again), with_fixture(test_retired_by_a_clock_that_was_ahead), with_fixture(test_a_long_way), with_fixture(test_successors_under_a_policy), with_fixture(test_a_circle_that_upstream_closes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
