/* test_policy_change.c - what another policy changes, and what it does not. */
#include "catalog_test.h"

#include "base/json.h"
#include "catalog/event.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "catalog/policy_change.h"

#define NOW 1750000000

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
	ok(policy_compare(f->db, old, new, NOW, remember, said, &x, e));
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
	ok(policy_compare(f->db, new, old, NOW, NULL, NULL, &x, e));
	assert_int_equal(x.publishes, 1);
}

static void test_ends_keep_their_notice(void **state)
{
	struct fixture *f = *state;
	own(policy) struct policy *old = policy("licenses: {allow: [mit]}"), *new = policy("{licenses: {allow: [mit]}, lifecycle: {ends: [{license: mit, at: 2020-01-01}]}}");
	struct policy_effect x;

	make(f, "o/mit", 'a', "mit");
	ok(policy_compare(f->db, old, new, NOW, NULL, NULL, &x, e));
	assert_int_equal(x.unpublishes, 0);
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
	struct policy_kept k;
	own(arena) struct arena a;

	arena_init(&a);
	ok(policy_kept_newest(f->db, false, &a, &k, e));
	assert_int_equal(k.id, 0);
	ok(policy_keep(f->db, "one", "settings", NULL, NOW, e));
	ok(policy_kept_newest(f->db, true, &a, &k, e));
	assert_string_equal(k.text, "one");	/* the first has nothing to change */
	ok(policy_keep(f->db, "two", "ada", json_pack("{s:i}", "unpublishes", 7), NOW + 1, e));
	ok(policy_kept_newest(f->db, true, &a, &k, e));
	assert_string_equal(k.text, "one");
	ok(policy_kept_newest(f->db, false, &a, &k, e));
	assert_string_equal(k.text, "two");
	assert_string_equal(k.who, "ada");
	assert_false(k.applied);
	ok(policy_applied(f->db, k.id, e));
	ok(policy_kept_newest(f->db, true, &a, &k, e));
	assert_string_equal(k.text, "two");

	struct event *ev;
	size_t n;

	ok(event_list(f->db, 0, NULL, 10, &a, &ev, &n, e));
	assert_int_equal(n, 2);
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
	ok(policy_compare(f->db, old, new, NOW, NULL, NULL, &x, e));
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
		with_fixture(test_compare), with_fixture(test_restore_asks_the_gate), with_fixture(test_ends_keep_their_notice), cmocka_unit_test(test_drastic), with_fixture(test_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
