/* test_policy_change.c - what another policy changes, and what it does not. */
#include "catalog_test.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "catalog/policy_change.h"
#include "catalog/recertify.h"

#define NOW    1750000000
#define ONE(p) (const struct policy *const[]){ p }, 1

/* A published revision of one stored file, under this licence and tested; or with nothing known for it when license is NULL. */
static int64_t make(struct fixture *f, const char *name, char salt, const char *license)
{
	struct model_upstream u = { .name = name, .upstream = "hub" };
	struct model_file file = { .path = "config.json", .size_bytes = 3, .wanted = true };
	struct policy_verdict v = { .outcome = POLICY_PUBLISH, .summary = "x" };
	struct model_stored s = { .path = "config.json", .size_bytes = 3 };
	struct model_facts facts = { .license = license };
	int64_t id, rev;
	char commit[41];

	memset(commit, salt, 40);
	commit[40] = 0;
	digest_of(&s.sha256, DIGEST_SHA256, &salt, 1);
	file.sha256 = s.sha256;
	ok(model_upsert(f->db, &u, NOW, &id, e));
	ok(model_plan(f->db, &(struct model_plan){ .model_id = id, .commit = commit, .ref = "main", .files = &file, .n_files = 1 }, NOW, &rev, NULL, e));
	ok(model_files_stored(f->db, rev, &s, 1, e));
	if (license) {
		ok(model_set_facts(f->db, rev, &facts, e));
		ok(model_set_proof(f->db, rev, PROOF_LISTING, e));
		ok(finding_record_smoke(f->db, rev, &(struct finding_smoke){ .verdict = "pass", .bits_per_byte = 1, .tokens_per_s = 1, .reasons = "[]", .at = NOW }, e));
	}
	ok(model_conclude(f->db, rev, &v, NOW, e));
	return rev;
}

static struct policy *policy(const char *text)
{
	struct policy *p = NULL;

	ok(policy_parse(&p, text, strlen(text), "test", e));
	return p;
}

static int remember(void *arg, const struct policy_changed *ch, struct err *e)
{
	char *said = arg;
	size_t n = strlen(said);

	(void)e;
	snprintf(said + n, 600 - n, "%s %s->%s: %s\n", ch->repo, revision_state_name(ch->from), policy_outcome_name(ch->verdict->outcome), ch->verdict->summary);
	return 0;
}

static void test_compare(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *old = policy("licenses: {allow: [mit, apache-2.0]}"), *new = policy("licenses: {allow: [apache-2.0], deny: [mit]}");
	struct policy_effect x;
	char said[600] = "";
	int64_t mit;

	mit = make(f, "o/mit", 'a', "mit");
	make(f, "o/apache", 'b', "apache-2.0");
	make(f, "o/odd", 'c', NULL);	/* neither policy would publish it: then it is not the change that may take it off */
	ok(policy_compare(f->db, ONE(old), new, NOW, remember, said, &x, e));
	assert_string_equal(said, "o/mit published->reject: licence mit is denied (licenses.deny)\n");
	assert_int_equal(x.tested, 3);
	assert_int_equal(x.published, 3);
	assert_int_equal(x.unpublishes, 1);
	assert_int_equal(x.publishes + x.others, 0);
	assert_false(policy_effect_is_drastic(&x));

	/* A revision that was meanwhile decided otherwise is left alone. */
	struct policy_verdict v = { .outcome = POLICY_REJECT, .summary = "denied" };
	struct revision r;
	own(arena) struct arena a;

	arena_init(&a);
	ok(model_reconsider(f->db, mit, REVISION_HELD, &v, NOW, e));
	ok(model_revision(f->db, mit, &a, NULL, &r, e));
	assert_int_equal(r.state, REVISION_PUBLISHED);
	ok(model_reconsider(f->db, mit, REVISION_PUBLISHED, &v, NOW, e));
	ok(model_revision(f->db, mit, &a, NULL, &r, e));
	assert_int_equal(r.state, REVISION_REJECTED);
	ok(policy_compare(f->db, ONE(new), old, NOW, NULL, NULL, &x, e));
	assert_int_equal(x.publishes, 1);
}

static void compare(struct fixture *f, const struct policy *old, const struct policy *new, char said[600])
{
	*said = 0;
	ok(policy_compare(f->db, ONE(old), new, NOW, remember, said, NULL, e));
}

static int work_through(void *arg, const struct policy_changed *ch, struct err *e)
{
	return model_reconsider(arg, ch->revision_id, ch->from, ch->verdict, NOW, e);
}

static const char *mark_of(struct fixture *f, int64_t rev, struct arena *a)
{
	struct policy_facts facts = { 0 };

	ok(recertify_lived_with(f->db, rev, a, &facts, e));
	for (size_t i = 0; i < facts.n_lived_with; i++)
		if (facts.lived_with[i].is_mark && !strcmp(facts.lived_with[i].rule, "smoke"))
			return facts.lived_with[i].text;
	return NULL;
}

/* Published although a test has failed since: another policy decides by what it adds, and the mark outlasts its coming and going. */
static void test_what_is_lived_with(void **state)
{
	static const char failed[] = "tested again on cpu: smoke test failed: the logits are not finite";
	struct fixture *f = *state;
	own(policy) struct policy *open = policy("licenses: {allow: [mit, apache-2.0]}"), *hold = policy("licenses: {allow: [apache-2.0], hold: [mit]}"),
				  *limit = policy("licenses: {allow: [mit, apache-2.0]}\nsmoke: {max_bits_per_byte: 0.5}"),
				  *hold_untested = policy("licenses: {allow: [apache-2.0], hold: [mit]}\nrequire: {smoke: none}");
	int64_t rev = make(f, "o/mit", 'a', "mit");
	char said[600];
	own(arena) struct arena a;

	arena_init(&a);
	make(f, "o/apache", 'b', "apache-2.0");
	ok(finding_record_smoke(f->db, rev, &(struct finding_smoke){ .verdict = "fail", .bits_per_byte = 1, .tokens_per_s = 1, .reasons = "[\"the logits are not finite\"]", .at = NOW }, e));
	compare(f, open, hold, said);
	assert_string_equal(said, "o/mit published->hold: licence mit needs a person's decision (licenses.hold)\n");	/* whether it is marked or not */
	ok(recertify_record(f->db, rev, RECERTIFY_SMOKE, failed, NOW, NULL, e));
	compare(f, open, hold, said);
	assert_string_equal(said, "o/mit published->hold: licence mit needs a person's decision (licenses.hold)\n");
	ok(policy_compare(f->db, ONE(open), hold, NOW, work_through, f->db, NULL, e));
	assert_string_equal(mark_of(f, rev, &a), failed);
	compare(f, hold, hold, said);
	assert_string_equal(said, "");
	compare(f, hold, open, said);
	assert_string_equal(said, "o/mit held->publish: smoke test failed: the logits are not finite; it has been served all the same\n");
	ok(policy_compare(f->db, ONE(hold), open, NOW, work_through, f->db, NULL, e));
	assert_string_equal(mark_of(f, rev, &a), failed);
	compare(f, open, limit, said);
	assert_string_equal(said, "o/apache published->reject: 1.000 bits per byte are more than 0.5 (smoke.max_bits_per_byte)\n");

	/* Held where no test is demanded, and it fails otherwise by then: neither takes the mark back, and it says what is so now. */
	ok(policy_compare(f->db, ONE(open), hold_untested, NOW, work_through, f->db, NULL, e));
	assert_string_equal(mark_of(f, rev, &a), failed);
	ok(finding_record_smoke(f->db, rev, &(struct finding_smoke){ .verdict = "fail", .bits_per_byte = 1, .tokens_per_s = 1, .reasons = "[\"it repeats one token\"]", .at = NOW + 1 }, e));
	ok(policy_compare(f->db, ONE(hold_untested), open, NOW, work_through, f->db, NULL, e));
	assert_string_equal(mark_of(f, rev, &a), "tested again: smoke test failed: it repeats one token");

	/* Held when the test passes again: the mark does not come back with it. */
	ok(policy_compare(f->db, ONE(open), hold, NOW, work_through, f->db, NULL, e));
	ok(finding_record_smoke(f->db, rev, &(struct finding_smoke){ .verdict = "pass", .bits_per_byte = 1, .tokens_per_s = 1, .reasons = "[]", .at = NOW + 1 }, e));
	ok(policy_compare(f->db, ONE(hold), open, NOW, work_through, f->db, NULL, e));
	assert_null(mark_of(f, rev, &a));

	/* A licence that conflicts since is held no less than others when the policy holds it. */
	ok(model_set_facts(f->db, rev, &(struct model_facts){ .license = "mit", .license_conflicts = (const char *const[]){ "its base is stricter" }, .n_license_conflicts = 1 }, e));
	ok(recertify_record(f->db, rev, RECERTIFY_LICENCE, "licence conflict: its base is stricter", NOW, NULL, e));
	compare(f, open, hold, said);
	assert_string_equal(said, "o/mit published->hold: licence mit needs a person's decision (licenses.hold)\n");
	ok(policy_compare(f->db, ONE(open), hold, NOW, work_through, f->db, NULL, e));
	compare(f, hold, open, said);
	assert_string_equal(said, "o/mit held->publish: licence conflict: its base is stricter; it has been served all the same\n");
}

/* Begun, not worked through to the end, and taken back: what it did is undone, and what it did not reach stays. */
static void test_several_before(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *strict = policy("licenses: {allow: [apache-2.0]}"), *loose = policy("licenses: {allow: [mit, apache-2.0]}"),
				  *quota = policy("licenses: {allow: [mit, apache-2.0]}\nretention: {quotas: [{author: o, max: 1}]}");
	const struct policy *const both[] = { strict, loose };
	struct policy_verdict v = { .outcome = POLICY_HOLD, .summary = "not listed" };
	char said[600] = "";
	int64_t held;

	make(f, "o/mit", 'a', "mit");
	make(f, "o/apache", 'b', "apache-2.0");
	held = make(f, "o/held", 'c', "mit");
	ok(model_reconsider(f->db, held, REVISION_PUBLISHED, &v, NOW, e));
	ok(policy_compare(f->db, ONE(strict), strict, NOW, remember, said, NULL, e));
	assert_string_equal(said, "");
	ok(policy_compare(f->db, both, 2, strict, NOW, remember, said, NULL, e));
	assert_string_equal(said, "o/mit published->hold: licence mit is in no list of the policy (licenses.unknown: hold)\n");
	*said = 0;
	ok(policy_compare(f->db, both, 2, loose, NOW, remember, said, NULL, e));
	assert_string_equal(said, "o/held held->publish: every rule of the policy is met\n");
	*said = 0;
	ok(policy_compare(f->db, both, 2, quota, NOW, remember, said, NULL, e));	/* allowed, and there is no room for it */
	assert_string_equal(said, "");
}

static int remember_life(void *arg, const struct policy_changed *ch, struct err *e)
{
	char *said = arg, day[STR_TIME_MAX] = "-";
	size_t n = strlen(said);

	(void)e;
	assert_null(ch->verdict);
	if (ch->after->sunset_at)
		str_format_iso(day, ch->after->sunset_at);
	snprintf(said + n, 600 - n, "%s %s->%s %.10s: %s\n", ch->repo, lifecycle_reach_name(ch->before->reach), lifecycle_reach_name(ch->after->reach), day,
		 ch->why ? ch->why : "");
	return 0;
}

/* What a change of the lifecycle section means at this time. */
static struct policy_effect life(struct fixture *f, const char *before, const char *after, int64_t now, const char *expected)
{
	char texts[2][300], said[600] = "";
	struct policy_effect x;

	snprintf(texts[0], sizeof(texts[0]), "licenses: {allow: [mit]}\nlifecycle: %s\n", before);
	snprintf(texts[1], sizeof(texts[1]), "licenses: {allow: [mit]}\nlifecycle: %s\n", after);
	own(policy) struct policy *old = policy(texts[0]), *new = policy(texts[1]);
	ok(policy_compare(f->db, ONE(old), new, now, remember_life, said, &x, e));
	assert_string_equal(said, expected);
	assert_int_equal(x.unpublishes, 0);
	return x;
}

static bool asks(struct policy_effect x, const char *about)
{
	char question[200];

	policy_effect_question(question, sizeof(question), &x);
	assert_true(strstr(question, about) != NULL && !*question == !policy_effect_is_drastic(&x));
	return *question;
}

/* 1750000000 is 2025-06-15. What ends after the notice is told with its day; what leaves clients without anything is asked about. */
static void test_what_lifecycle_rules_end(void **state)
{
	struct fixture *f = *state;
	const int64_t now = NOW + 10;
	struct policy_effect x;

	make(f, "o/one", 'a', "mit");
	x = life(f, "{notice: 30d}", "{notice: 30d, ends: [{license: mit, at: 2020-01-01, reason: over}]}", now, "o/one active->deprecated 2025-07-15: over\n");
	assert_int_equal(x.deprecates, 1);
	assert_false(asks(x, ""));
	x = life(f, "{}", "{ends: [{repo: 'O/*', at: 2027-01-01, reason: over}]}", now, "o/one active->deprecated 2027-01-01: over\n");
	assert_false(asks(x, ""));
	assert_false(asks(life(f, "{}", "{max_age: 730d}", now, ""), ""));
	assert_true(asks(life(f, "{}", "{notice: 0d, max_age: 1s}", now, "o/one active->gone 2025-06-15: published longer ago than the policy's max_age\n"), "1 of 1 published"));
	assert_true(asks(life(f, "{}", "{notice: 1m, max_age: 1h}", now, "o/one active->gone 2025-06-15: published longer ago than the policy's max_age\n"), "1 of 1 published"));
	life(f, "{notice: 0d, max_age: 1s}", "{notice: 0d, max_age: 2s}", now, "");	/* gone all the same */
	life(f, "{notice: 0d, max_age: 1s}", "{}", now, "o/one gone->active -: \n");
	x = life(f, "{notice: 0d, max_age: 1s, after_sunset: warn}", "{notice: 0d, max_age: 1s}", now,
		 "o/one deprecated->gone 2025-06-15: lifecycle.after_sunset: gone; published longer ago than the policy's max_age\n");
	assert_int_equal(x.ends, 1);
	assert_true(asks(x, "1 of 1 published"));
}

/* Of two models one has ten commits that nobody gets without naming them. */
static void test_who_is_turned_away(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *plain = policy("licenses: {allow: [mit]}"), *pinned = policy("licenses: {allow: [mit]}\nlifecycle: {deprecated: pinned_only}"),
				  *ends = policy("licenses: {allow: [mit]}\nlifecycle: {notice: 0d, ends: [{repo: o/many, at: 2020-01-01}]}");
	struct lifecycle_order o = { .who = "ada", .reason = "old" };
	struct policy_lifecycle rules = { .notice_s = 0 };
	struct policy_effect x;
	struct revision r;
	struct model m;
	own(arena) struct arena a;

	arena_init(&a);
	for (int i = 0; i < 10; i++)
		make(f, "o/many", "0123456789"[i], "mit");
	ok(model_revision(f->db, make(f, "o/many", 'a', "mit"), &a, &m, &r, e));
	o.model_id = m.id;
	ok(lifecycle_deprecate(f->db, &o, &rules, NOW, e));
	ok(policy_compare(f->db, ONE(plain), pinned, NOW, NULL, NULL, &x, e));
	assert_int_equal(x.pins, 11);
	assert_int_equal(x.named, 1);
	assert_true(asks(x, "new users 1 of 1"));
	make(f, "o/other", 'b', "mit");
	ok(policy_compare(f->db, ONE(plain), pinned, NOW, NULL, NULL, &x, e));
	assert_false(asks(x, ""));
	/* A person's word stands: no rule adds to it, and what is withdrawn is nobody's to lose. */
	ok(policy_compare(f->db, ONE(plain), ends, NOW, NULL, NULL, &x, e));
	assert_int_equal(x.ends + x.deprecates, 0);
	ok(lifecycle_withdraw(f->db, &o, NOW, e));
	ok(policy_compare(f->db, ONE(plain), pinned, NOW, NULL, NULL, &x, e));
	assert_int_equal(x.served, 1);
	assert_int_equal(x.pins, 0);
}

/* A date that was announced under the old rules is not brought forward unsaid. */
static void test_an_announced_date_moves(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *old = policy("licenses: {allow: [mit]}\nlifecycle: {notice: 30d, ends: [{license: mit, at: 2020-01-01, reason: over}]}");

	make(f, "o/one", 'a', "mit");
	ok(lifecycle_apply_rules(f->db, old, NOW, NULL, e));
	struct policy_effect x = life(f, "{notice: 30d, ends: [{license: mit, at: 2020-01-01, reason: over}]}", "{notice: 5d, ends: [{license: mit, at: 2020-01-01, reason: over}]}",
				      NOW + 86400, "o/one deprecated->deprecated 2025-06-21: over\n");
	assert_int_equal(x.deprecates, 1);
	assert_true(asks(life(f, "{notice: 30d, ends: [{license: mit, at: 2020-01-01, reason: over}]}", "{notice: 0d, ends: [{license: mit, at: 2020-01-01, reason: over}]}",
			      NOW + 86400, "o/one deprecated->gone 2025-06-16: over\n"), "1 of 1"));
	life(f, "{notice: 30d, ends: [{license: mit, at: 2020-01-01, reason: over}]}", "{}", NOW + 86400, "o/one deprecated->active -: \n");
}

static void test_drastic(void **state)
{
	(void)state;
	assert_true(policy_effect_is_drastic(&(struct policy_effect){ .published = 1, .unpublishes = 1 }));
	assert_true(policy_effect_is_drastic(&(struct policy_effect){ .published = 1000, .unpublishes = 901 }));
	assert_false(policy_effect_is_drastic(&(struct policy_effect){ .published = 1000, .unpublishes = 900 }));
	assert_false(policy_effect_is_drastic(&(struct policy_effect){ .published = 0 }));
	assert_false(policy_effect_is_drastic(&(struct policy_effect){ .published = 5, .publishes = 5 }));
}

static void test_history(void **state)
{
	struct fixture *f = *state;
	struct policy_kept k, *list;
	own(arena) struct arena a;
	size_t n;

	arena_init(&a);
	ok(policy_kept_newest(f->db, &a, &k, e));
	assert_int_equal(k.id, 0);
	ok(policy_keep(f->db, "one", "settings", NULL, NOW, e));
	ok(policy_kept_newest(f->db, &a, &k, e));
	assert_string_equal(k.text, "one");
	assert_true(k.applied);		/* the first has nothing to change */
	ok(policy_keep(f->db, "two", "ada", json_pack("{s:i}", "unpublishes", 7), NOW + 1, e));
	ok(policy_keep(f->db, "one", "ada", NULL, NOW + 2, e));
	ok(policy_kept_newest(f->db, &a, &k, e));
	assert_string_equal(k.text, "one");
	assert_string_equal(k.who, "ada");
	assert_false(k.applied);
	ok(policy_kept_at_work(f->db, &a, &list, &n, e));
	assert_int_equal(n, 3);
	assert_string_equal(list[1].text, "two");	/* nobody knows how far it came */
	ok(policy_applied(f->db, k.id, e));
	ok(policy_kept_at_work(f->db, &a, &list, &n, e));
	assert_int_equal(n, 1);
	assert_int_equal(list[0].id, k.id);

	struct event *ev;

	ok(event_list(f->db, 0, NULL, 10, &a, &ev, &n, e));
	assert_int_equal(n, 3);
	assert_string_equal(ev[1].kind, "policy.changed");
	assert_non_null(strstr(ev[1].data, "\"unpublishes\":7"));
}

/* What was retired was not asked about when the policy changed: the gate decides when it is to come back. */
static void test_restore_asks_the_gate(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *old = policy("licenses: {allow: [mit, apache-2.0]}"), *new = policy("licenses: {allow: [apache-2.0], deny: [mit]}");
	int64_t mit = make(f, "o/m", 'a', "mit"), apache = make(f, "o/m", 'b', "apache-2.0");
	struct lifecycle_restored *list;
	struct policy_effect x;
	struct revision r;
	struct model m;
	own(arena) struct arena a;
	size_t n;

	arena_init(&a);
	ok(model_revision(f->db, mit, &a, &m, &r, e));
	struct lifecycle_order o = { .model_id = m.id, .who = "ada", .reason = "old" };
	ok(lifecycle_retire(f->db, &o, NOW, e));
	ok(policy_compare(f->db, ONE(old), new, NOW, NULL, NULL, &x, e));
	assert_int_equal(x.tested, 0);
	ok(lifecycle_restore(f->db, &o, new, NOW + 1, &a, &list, &n, e));
	assert_int_equal(n, 2);
	assert_int_equal(list[0].state, REVISION_REJECTED);
	assert_string_equal(list[0].reason, "licence mit is denied (licenses.deny)");
	ok(model_revision(f->db, mit, &a, &m, &r, e));
	assert_int_equal(r.state, REVISION_REJECTED);
	ok(model_revision(f->db, apache, &a, &m, &r, e));
	assert_int_equal(r.state, REVISION_PUBLISHED);
	own(json) json_t *why = finding_why(f->db, mit, NULL);
	assert_string_equal(json_get_str(json_array_get(why, 0), "by"), "policy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_compare), with_fixture(test_several_before), with_fixture(test_what_is_lived_with), with_fixture(test_restore_asks_the_gate), with_fixture(test_what_lifecycle_rules_end), with_fixture(test_who_is_turned_away),
		with_fixture(test_an_announced_date_moves), cmocka_unit_test(test_drastic), with_fixture(test_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
