/* test_lifecycle_rules.c - what the policy lets time do by itself: ages, ends, hints, their successors, and people's marks beside them. */
#include "lifecycle_case.h"

static void test_rules(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, r2, m1 = make(f->db, "org/old", 'a', &r1), m2 = make(f->db, "org/new", 'b', &r2);
	static const char aged[] = "lifecycle: {notice: 90d, max_age: 730d}", none[] = "lifecycle: {notice: 90d}";

	arena_init(&a);
	facts(f->db, r1, "gemma", "{\"Q4_0_4_4\":12}", "org/new");
	facts(f->db, r2, "mit", "{\"Q4_0\":12}", NULL);
	assert_int_equal(sweep(f->db, none, NOW), 0);
	assert_int_equal(sweep(f->db, aged, NOW + 600 * DAY), 0);
	assert_int_equal(sweep(f->db, aged, NOW + 641 * DAY), 2);
	struct lifecycle l = at(f->db, m1, r1, NOW + 641 * DAY, &a);
	assert_int_equal(l.state, LIFECYCLE_DEPRECATED);
	assert_int_equal(l.sunset_at, NOW + 641 * DAY + 90 * DAY);	/* the notice is kept, though the age would end it a day sooner */
	assert_int_equal(sweep(f->db, aged, NOW + 650 * DAY), 0);	/* and is not begun anew each time */
	assert_int_equal(sweep(f->db, none, NOW + 651 * DAY), 2);	/* the rule is gone: so are its marks */
	assert_int_equal(at(f->db, m1, r1, NOW + 800 * DAY, &a).state, LIFECYCLE_ACTIVE);

	char ends[200];
	snprintf(ends, sizeof(ends), "lifecycle: {notice: 30d, ends: [{dtype: Q4_0_4_4, at: %s, reason: removed upstream, successor: org/new}]}", "2026-12-01");
	const int64_t end = 1796083200;	/* that day */
	assert_int_equal(sweep(f->db, ends, end - 200 * DAY), 1);
	l = at(f->db, m1, r1, end - 200 * DAY, &a);
	assert_int_equal(l.state, LIFECYCLE_ACTIVE);	/* announced, not yet deprecated */
	assert_int_equal(l.sunset_at, end);
	assert_string_equal(l.successor, "org/new");
	assert_int_equal(at(f->db, m1, r1, end - 10 * DAY, &a).state, LIFECYCLE_DEPRECATED);
	assert_int_equal(at(f->db, m1, r1, end, &a).state, LIFECYCLE_RETIRED);
	assert_int_equal(at(f->db, m2, r2, end, &a).state, LIFECYCLE_ACTIVE);
	assert_int_equal(sweep(f->db, ends, end - 100 * DAY), 0);
	/* A person's word is not touched. */
	struct lifecycle_order o = { .model_id = m1, .revision_id = r1, .who = "ada" };
	ok(lifecycle_undeprecate(f->db, &o, end - 100 * DAY, e));
	assert_int_equal(sweep(f->db, ends, end - 90 * DAY), 0);
	assert_int_equal(at(f->db, m1, r1, end, &a).state, LIFECYCLE_ACTIVE);
}

/* A rule that goes takes its mark along wherever the revision is: what comes back has no date that nobody gives it any more. */
static void test_marks_of_what_is_off(void **state)
{
	static const char ends[] = "lifecycle: {notice: 30d, ends: [{repo: \"org/*\", at: 2020-01-01, reason: old}]}", none[] = "lifecycle: {notice: 30d}";
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, r2, r3, m1 = make(f->db, "org/retired", 'a', &r1), m2 = make(f->db, "org/rejected", 'b', &r2);
	struct lifecycle_order o = { .model_id = m1, .who = "ada" };

	arena_init(&a);
	assert_int_equal(sweep(f->db, ends, NOW), 2);
	ok(lifecycle_retire(f->db, &o, NOW, e));
	ok(model_rule(f->db, r2, POLICY_REJECT, "ada", "no", NOW, e));
	assert_int_equal(sweep(f->db, ends, NOW + DAY), 0);
	make(f->db, "org/never", 'c', &r3);
	ok(model_rule(f->db, r3, POLICY_REJECT, "ada", "no", NOW, e));
	assert_int_equal(sweep(f->db, ends, NOW + DAY), 0);	/* nothing new for what is off */
	assert_int_equal(sweep(f->db, none, NOW + DAY), 2);
	ok(restore(f->db, &o, NOW + 40 * DAY, e));
	ok(model_rule(f->db, r2, POLICY_PUBLISH, "ada", "yes", NOW + 40 * DAY, e));
	assert_int_equal(at(f->db, m1, r1, NOW + 40 * DAY, &a).state, LIFECYCLE_ACTIVE);
	assert_int_equal(at(f->db, m2, r2, NOW + 40 * DAY, &a).state, LIFECYCLE_ACTIVE);
}

static void test_hints(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, r2, m1 = make(f->db, "org/old", 'a', &r1);

	arena_init(&a);
	facts(f->db, r1, "mit", NULL, "org/new");
	assert_int_equal(sweep(f->db, "lifecycle: {hints: deprecate}", NOW), 1);
	assert_null(at(f->db, m1, r1, NOW, &a).successor);	/* we do not have it: nothing is promised */
	make(f->db, "org/new", 'b', &r2);
	assert_int_equal(sweep(f->db, "lifecycle: {hints: deprecate}", NOW + 1), 1);
	assert_string_equal(at(f->db, m1, r1, NOW + 1, &a).successor, "org/new");
	assert_int_equal(at(f->db, m1, r1, NOW + 1000 * DAY, &a).state, LIFECYCLE_DEPRECATED);	/* a hint ends nothing */
	assert_int_equal(sweep(f->db, "lifecycle: {hints: deprecate}", NOW + 2), 0);

	/* Gone or disabled upstream: said, without a date, for as long as it is so. */
	int64_t r3, m3 = make(f->db, "org/gone", 'c', &r3);
	ok(model_saw_gone(f->db, m3, true, NOW, e));
	assert_int_equal(sweep(f->db, "lifecycle: {hints: show}", NOW + 3), 1);	/* the mark on org/old is taken back */
	assert_int_equal(sweep(f->db, "lifecycle: {hints: deprecate}", NOW + 3), 2);
	assert_string_equal(at(f->db, m3, r3, NOW + 4, &a).reason, "upstream no longer has it");
	assert_int_equal(at(f->db, m3, r3, NOW + 4, &a).sunset_at, 0);
	ok(model_saw_gone(f->db, m3, false, NOW + 5, e));
	assert_int_equal(sweep(f->db, "lifecycle: {hints: deprecate}", NOW + 5), 1);
	assert_int_equal(at(f->db, m3, r3, NOW + 6, &a).state, LIFECYCLE_ACTIVE);
	ok(model_saw_disabled(f->db, m3, NOW + 7, e));
	assert_int_equal(sweep(f->db, "lifecycle: {hints: deprecate}", NOW + 7), 1);
	assert_string_equal(at(f->db, m3, r3, NOW + 8, &a).reason, "upstream has disabled it");
}

/* The notice of an end runs from when it was announced: an older mark without a date announced none, and a later date no sooner one. */
static void test_notice_of_an_end(void **state)
{
	static const char later[] = "lifecycle: {notice: 90d, hints: deprecate, ends: [{license: mit, at: 2027-06-01}]}";
	static const char sooner[] = "lifecycle: {notice: 90d, hints: deprecate, ends: [{license: mit, at: 2024-11-01}]}";
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, m1 = make(f->db, "org/old", 'a', &r1);

	arena_init(&a);
	facts(f->db, r1, "mit", NULL, "org/new");
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 90d, hints: deprecate}", NOW), 1);
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 90d, hints: deprecate, max_age: 1d}", NOW + 200 * DAY), 1);
	assert_int_equal(at(f->db, m1, r1, NOW + 200 * DAY, &a).sunset_at, NOW + 290 * DAY);
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 90d, hints: deprecate}", NOW + 201 * DAY), 1);
	assert_int_equal(sweep(f->db, later, NOW + 202 * DAY), 1);
	assert_int_equal(sweep(f->db, sooner, NOW + 400 * DAY), 1);
	assert_int_equal(at(f->db, m1, r1, NOW + 400 * DAY, &a).sunset_at, NOW + 490 * DAY);
	assert_int_equal(sweep(f->db, sooner, NOW + 480 * DAY), 0);
	assert_int_equal(at(f->db, m1, r1, NOW + 490 * DAY, &a).state, LIFECYCLE_RETIRED);
	assert_int_equal(sweep(f->db, sooner, NOW + 500 * DAY), 0);	/* nor does it begin anew when it has ended */
}

/* A rule's mark names what people can be sent to, and why it names nobody stands in the event and with the policy. */
static void test_successors_by_rule(void **state)
{
	static const char ends[] = "lifecycle: {notice: 30d, ends: [{repo: org/z, at: 2027-03-01, successor: org/x}, {repo: 'org/[vw]', at: 2027-03-01, successor: org/later}, {repo: org/y, at: 2028-03-01}]}";
	struct fixture *f = *state;
	own(arena) struct arena a;
	own(policy) struct policy *p = policy(ends);
	own(json) json_t *idle = json_array(), *rest = json_array();
	int64_t r[4], mx = make(f->db, "org/x", 'a', &r[0]), my = make(f->db, "org/y", 'b', &r[1]), mz = make(f->db, "org/z", 'c', &r[2]), mw = make(f->db, "org/w", 'd', &r[3]), later;
	struct lifecycle_order x = { .model_id = mx, .who = "ada", .successor = "org/y" }, y = { .model_id = my, .who = "ada", .successor = "org/z" };

	arena_init(&a);
	ok(lifecycle_deprecate(f->db, &x, &rules, NOW, e));
	ok(lifecycle_deprecate(f->db, &y, &rules, NOW, e));
	assert_int_equal(sweep(f->db, ends, NOW), 2);
	assert_null(at(f->db, mz, r[2], NOW, &a).successor);
	assert_string_equal(said_of(f->db, "lifecycle.deprecated", "org/z", "no_successor", &a), "successor org/x leads back to the model itself");
	assert_string_equal(said_of(f->db, "lifecycle.deprecated", "org/w", "no_successor", &a), "successor org/later is not in the catalog");
	ok(lifecycle_idle_successors(f->db, p, NOW, idle, e));
	assert_int_equal(json_array_size(idle), 2);
	assert_string_equal(json_string_value(json_array_get(idle, 0)), "lifecycle.ends: entry 1 names no successor for now: successor org/x leads back to the model itself");
	assert_int_equal(sweep(f->db, ends, NOW + 1), 0);

	make(f->db, "org/later", 'e', &later);
	assert_int_equal(sweep(f->db, ends, NOW + 2), 1);
	assert_string_equal(at(f->db, mw, r[3], NOW + 2, &a).successor, "org/later");
	ok(lifecycle_undeprecate(f->db, &x, NOW + 3, e));
	assert_int_equal(sweep(f->db, ends, NOW + 3), 1);
	assert_string_equal(at(f->db, mz, r[2], NOW + 3, &a).successor, "org/x");
	ok(lifecycle_idle_successors(f->db, p, NOW + 3, rest, e));
	assert_int_equal(json_array_size(rest), 0);
}

/* A person's mark keeps rules from adding theirs. One that is there still changes with its rule, and goes with it. */
static void test_rules_beside_a_person(void **state)
{
	static const char first[] = "lifecycle: {notice: 30d, ends: [{license: mit, at: 2027-03-01, reason: one}]}";
	static const char moved[] = "lifecycle: {notice: 30d, hints: deprecate, ends: [{license: mit, at: 2028-03-01, reason: two}]}";
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r1, r2, m1 = make(f->db, "org/a", 'a', &r1), m2 = make(f->db, "org/hinted", 'b', &r2);
	struct lifecycle_order o = { .model_id = m1, .who = "ada", .reason = "mine" };

	arena_init(&a);
	facts(f->db, r1, "mit", NULL, NULL);
	facts(f->db, r2, "gemma", NULL, "org/x");
	assert_int_equal(sweep(f->db, first, NOW), 1);
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	own(policy) struct policy *next = policy(moved);
	const struct policy *const one[] = { next };
	struct lifecycle_foreseen seen;
	ok(lifecycle_foresee(f->db, r1, one, 1, NOW + 1, &a, &seen, e));
	assert_int_equal(seen.sunset_at, 1835481600);
	assert_int_equal(sweep(f->db, moved, NOW + 1), 2);
	assert_int_equal(at(f->db, m1, r1, NOW + 1, &a).sunset_at, 1835481600);	/* 2028-03-01 */
	assert_string_equal(at(f->db, m1, r1, NOW + 1, &a).reason, "two; mine");

	/* A hint's mark is no end, and gets none. */
	o.model_id = m2;
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW + 1, e));
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 30d, hints: deprecate, ends: [{license: gemma, at: 2027-03-01}]}", NOW + 2), 1);
	assert_int_equal(at(f->db, m2, r2, NOW + 2, &a).sunset_at, 0);
	assert_int_equal(at(f->db, m1, r1, NOW + 2, &a).sunset_at, 0);	/* its rule has gone */
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 30d}", NOW + 3), 1);
	assert_int_equal(sweep(f->db, moved, NOW + 4), 0);
	assert_string_equal(at(f->db, m2, r2, NOW + 4, &a).reason, "mine");
}

/* From card to card: the last that is here is named, and models that name each other in a circle end nothing. */
static void test_chains_of_hints(void **state)
{
	static const char policy[] = "lifecycle: {hints: deprecate}";
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r[6], ma = make(f->db, "org/a", 'a', &r[0]), mb = make(f->db, "org/b", 'b', &r[1]), mc = make(f->db, "org/c", 'c', &r[2]);

	arena_init(&a);
	facts(f->db, r[0], "mit", NULL, "org/b");
	facts(f->db, r[1], "mit", NULL, "org/c");
	facts(f->db, r[2], "mit", NULL, "org/not-here");
	assert_int_equal(sweep(f->db, policy, NOW), 3);
	assert_string_equal(at(f->db, ma, r[0], NOW, &a).successor, "org/c");
	assert_string_equal(at(f->db, mb, r[1], NOW, &a).successor, "org/c");
	assert_null(at(f->db, mc, r[2], NOW, &a).successor);
	assert_int_equal(sweep(f->db, policy, NOW + 1), 0);

	/* What is off the doors is passed over. */
	struct lifecycle_order o = { .model_id = mc, .who = "ada", .reason = "claim" };
	ok(lifecycle_withdraw(f->db, &o, NOW + 2, e));
	sweep(f->db, policy, NOW + 2);
	assert_string_equal(at(f->db, ma, r[0], NOW + 3, &a).successor, "org/b");
	assert_null(at(f->db, mb, r[1], NOW + 3, &a).successor);

	int64_t mx = make(f->db, "org/x", 'd', &r[3]), my = make(f->db, "org/y", 'e', &r[4]), mz = make(f->db, "org/z", 'f', &r[5]);
	facts(f->db, r[3], "mit", NULL, "org/y");
	facts(f->db, r[4], "mit", NULL, "org/z");
	facts(f->db, r[5], "mit", NULL, "org/y");
	assert_int_equal(sweep(f->db, policy, NOW + 4), 1);
	assert_int_equal(at(f->db, my, r[4], NOW + 5, &a).state, LIFECYCLE_ACTIVE);
	assert_int_equal(at(f->db, mz, r[5], NOW + 5, &a).state, LIFECYCLE_ACTIVE);
	assert_non_null(at(f->db, mx, r[3], NOW + 5, &a).successor);	/* leads into the circle, and is not of it */
}

/* What a person took back is for the rules again, but for a mark of theirs that he took back. */
static void test_taken_back(void **state)
{
	static const char ends[] = "lifecycle: {notice: 30d, ends: [{license: mit, at: 2027-06-01, reason: mit ends}]}";
	struct fixture *f = *state;
	own(arena) struct arena a;
	int64_t r[3], m[3];

	arena_init(&a);
	for (int i = 0; i < 3; i++) {
		const char *const names[] = { "org/withdrawn", "org/deprecated", "org/exempt" };

		m[i] = make(f->db, names[i], (char)('a' + i), &r[i]);
		facts(f->db, r[i], "mit", NULL, NULL);
	}
	struct lifecycle_order o = { .model_id = m[0], .who = "ada", .reason = "mistake" };
	ok(lifecycle_withdraw(f->db, &o, NOW, e));
	assert_int_equal(sweep(f->db, ends, NOW), 2);
	ok(restore(f->db, &o, NOW, e));
	o.model_id = m[1];
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	assert_int_equal(sweep(f->db, "lifecycle: {notice: 30d}", NOW), 2);	/* rules gone, marks gone */
	ok(lifecycle_undeprecate(f->db, &o, NOW, e));
	assert_int_equal(sweep(f->db, ends, NOW + 1), 3);
	for (int i = 0; i < 3; i++)
		assert_string_equal(at(f->db, m[i], r[i], NOW + 1, &a).reason, "mit ends");

	/* Without a revision, whatever rules have marked of the model; and they leave it alone from then on. */
	o = (struct lifecycle_order){ .model_id = m[2], .who = "ada" };
	ok(lifecycle_undeprecate(f->db, &o, NOW + 2, e));
	assert_int_equal(at(f->db, m[2], r[2], NOW + 3, &a).sunset_at, 0);
	assert_int_equal(sweep(f->db, ends, NOW + 4), 0);
	fails(ERR_CONFLICT, "not deprecated", lifecycle_undeprecate(f->db, &o, NOW + 4, e));
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW + 5, e));
	ok(lifecycle_undeprecate(f->db, &o, NOW + 6, e));
	assert_int_equal(sweep(f->db, ends, NOW + 7), 1);
}

static void test_rules_are_read_strictly(void **state)
{
	struct policy *p;
	static const char *const bad[][2] = {
		{ "lifecycle: {ends: [{format: pickel, at: 2027-01-01}]}", "pickle" },
		{ "lifecycle: {ends: [{license: gema, at: 2027-01-01}]}", "gemma" },
		{ "lifecycle: {ends: [{format: pickle}]}", "no date" },
		{ "lifecycle: {ends: [{at: 2027-01-01}]}", "not what ends" },
		{ "lifecycle: {ends: [{format: pickle, at: soon}]}", "lifecycle.ends" },
		{ "lifecycle: {ends: [{formt: pickle, at: 2027-01-01}]}", "format" },
		{ "lifecycle: {hints: maybe}", "show, deprecate" },
		{ "lifecycle: {ends: [{format: pickle, at: 2027-01-01, successor: no such}]}", "lifecycle.ends.successor: a model's name is made of" },
		{ "lifecycle: {ends: [{repo: org/f, at: 2027-01-01, successor: org/f}]}", "entry 1: its successor org/f ends" },
		{ "lifecycle: {ends: [{repo: org/x, at: 2027-01-01, successor: org/b}, {repo: org/b, at: 2027-01-01, successor: org/c}, {repo: 'org/[c-e]', at: 2028-01-01, successor: org/b}]}",
		  "lead in a circle" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		fails(ERR_USAGE, bad[i][1], policy_parse(&p, bad[i][0], strlen(bad[i][0]), "policy.yaml", e));
	/* Nothing is known to lead back here: which of them are in these formats is nothing that names tell, and a chain has an end. */
	own(policy) struct policy *chain = policy("lifecycle: {ends: [{repo: org/a, format: gguf, at: 2027-01-01, successor: org/b}, {repo: org/b, at: 2027-01-01, successor: org/a}, {repo: org/c, at: 2027-01-01, successor: org/b}]}");
	assert_null(policy_ends_loop(chain));
	/* What is shown can be read again, and says the same. */
	own(policy) struct policy *first = policy("lifecycle: {hints: deprecate, ends: [{format: [pickle, keras], at: 2027-01-01, reason: 'no \"pickles\"'}, {compute_below: 7.5, at: 2028-01-01}]}");
	own(mem) char *shown = policy_show(first);
	own(policy) struct policy *second = policy(shown);
	own(mem) char *again = policy_show(second);
	assert_string_equal(shown, again);
	/* Nothing new comes in of a kind whose end has come. */
	own(arena) struct arena a;
	struct policy_verdict v;
	struct policy_facts pf = { .repo = "o/m", .license = "mit", .formats = FORMAT_BIT(FORMAT_PICKLE), .n_wanted = 1 };
	arena_init(&a);
	policy_preview(first, &pf, 1798761600 - 1, &a, &v);	/* 2026-12-31 */
	assert_int_equal(v.outcome, POLICY_PUBLISH);
	policy_preview(first, &pf, 1798761600, &a, &v);
	assert_int_equal(v.outcome, POLICY_HOLD);
	assert_non_null(strstr(v.summary, "ended on 2027-01-01"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { with_fixture(test_rules), with_fixture(test_marks_of_what_is_off), with_fixture(test_hints), with_fixture(test_notice_of_an_end), with_fixture(test_successors_by_rule), with_fixture(test_rules_beside_a_person), with_fixture(test_chains_of_hints), with_fixture(test_taken_back), cmocka_unit_test(test_rules_are_read_strictly) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
