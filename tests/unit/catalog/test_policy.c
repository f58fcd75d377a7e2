/* test_policy.c - the gate fails closed, every decision names its rule, and a wrong policy file gets a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "catalog/model.h"
#include "catalog/policy.h"

#define NOW 1795000000

static struct policy *parse(const char *text)
{
	struct policy *p = NULL;
	struct err e = ERR_NONE;

	if (policy_parse(&p, text, text ? strlen(text) : 0, "policy.yaml", &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static struct policy_facts good(void)
{
	return (struct policy_facts){
		.repo = "org/m", .task = "text-generation", .license = "apache-2.0", .size_bytes = 1000, .proof = PROOF_LISTING, .formats = FORMAT_BIT(FORMAT_SAFETENSORS),
		.n_wanted = 3, .n_stored = 3, .n_weight_files = 1, .n_inspected = 1, .smoke = "pass", .bits_per_byte = 1.0,
	};
}

static void expect(const struct policy *p, const struct policy_facts *f, enum policy_outcome outcome, const char *summary)
{
	struct policy_verdict v;
	struct arena a;

	arena_init(&a);
	policy_decide(p, f, NOW, &a, &v);
	if (v.outcome != outcome || !strstr(v.summary, summary))
		fail_msg("%s: %s; expected %s: %s", policy_outcome_name(v.outcome), v.summary, policy_outcome_name(outcome), summary);
	arena_done(&a);
}

static void default_fails_closed(void **state)
{
	own(policy) struct policy *p = parse(NULL);
	struct policy_facts f = good();

	(void)state;
	expect(p, &f, POLICY_PUBLISH, "every rule");
	expect(p, &(struct policy_facts){ .bits_per_byte = NAN }, POLICY_HOLD, "no file");
	f = good(), f.license = NULL;
	expect(p, &f, POLICY_HOLD, "licence unknown");
	f = good(), f.license = "gpl-3.0";
	expect(p, &f, POLICY_HOLD, "not one of the permissive");
	f = good(), f.n_stored = 2;
	expect(p, &f, POLICY_HOLD, "1 of 3 files");
	f = good(), f.proof = PROOF_HASH;
	expect(p, &f, POLICY_HOLD, "proof reaches 'hash' but policy demands 'listing'");
	f = good(), f.n_inspected = 0, f.not_inspected = "pytorch_model.bin";
	expect(p, &f, POLICY_HOLD, "not inspected: pytorch_model.bin");
	f = good(), f.n_rejected = 1, f.worst_path = "x.pkl", f.worst_rule = "pickle-global", f.worst_message = "calls os.system";
	expect(p, &f, POLICY_REJECT, "x.pkl: calls os.system (pickle-global)");
	f = good(), f.n_flagged = 1;
	expect(p, &f, POLICY_HOLD, "objects");
	f = good(), f.smoke = NULL;
	expect(p, &f, POLICY_HOLD, "not run");
	f = good(), f.smoke = "not_run", f.smoke_reason = "not run: architecture X";
	expect(p, &f, POLICY_HOLD, "architecture X");
	f = good(), f.smoke = "error", f.smoke_reason = "timed out";
	expect(p, &f, POLICY_HOLD, "timed out");
	f = good(), f.smoke = "fail", f.smoke_reason = "NaN in layer 3";
	expect(p, &f, POLICY_REJECT, "NaN in layer 3");
	f = good(), f.bits_per_byte = 2.6;
	expect(p, &f, POLICY_REJECT, "2.600 bits per byte");
	f = good(), f.bits_per_byte = NAN;
	expect(p, &f, POLICY_HOLD, "no bits per byte");
	f = good(), f.license_conflicts = (const char *const[]){ "card says a but LICENSE is b" }, f.n_license_conflicts = 1;
	expect(p, &f, POLICY_HOLD, "licence conflict: card says a");
}

static void the_contract_example(void **state)
{
	own(policy) struct policy *p = parse("licenses: {allow: [apache-2.0, mit], hold: [llama3.1, gemma], deny: [cc-by-nc-4.0], unknown: hold}\n"
					     "formats:  {deny: [keras], skip: [pickle]}\n"
					     "size:     {max: 400GB}\n"
					     "require:  {proof: listing, smoke: pass}\n"
					     "smoke:    {max_bits_per_byte: 2.5, for: [{task: feature-extraction, require: inspect}, {repo: \"bigcode/*\", max_bits_per_byte: 4}, {task: '\"odd\"', require: none}]}\n"
					     "lifecycle: {notice: 90d, max_age: 730d, after_sunset: gone}\n");
	struct policy_facts f = good();
	struct policy_lifecycle l;

	(void)state;
	expect(p, &f, POLICY_PUBLISH, "every rule");
	f.license = "gemma";
	expect(p, &f, POLICY_HOLD, "licenses.hold");
	f.license = "cc-by-nc-4.0";
	expect(p, &f, POLICY_REJECT, "licenses.deny");
	f.license = "isc";
	expect(p, &f, POLICY_HOLD, "in no list");
	f = good(), f.formats |= FORMAT_BIT(FORMAT_KERAS);
	expect(p, &f, POLICY_REJECT, "format keras is denied");
	f = good(), f.size_bytes = 400000000001;
	expect(p, &f, POLICY_REJECT, "size.max");
	f = good(), f.task = "feature-extraction", f.smoke = "not_run";
	expect(p, &f, POLICY_PUBLISH, "every rule");
	f.smoke = "fail", f.smoke_reason = "a tensor is missing";
	expect(p, &f, POLICY_REJECT, "a tensor is missing");
	f.is_sound = true, f.smoke_reason = "no better than guessing";	/* as a whole run says of what was never to speak */
	expect(p, &f, POLICY_PUBLISH, "every rule");
	f.smoke = "pass", f.bits_per_byte = 2.6;
	expect(p, &f, POLICY_PUBLISH, "every rule");
	f.task = "text-generation";
	expect(p, &f, POLICY_REJECT, "2.600 bits per byte");
	f.smoke = "fail";
	expect(p, &f, POLICY_REJECT, "no better than guessing");
	f = good(), f.task = "feature-extraction";
	f.smoke = "error", f.smoke_reason = "out of time";
	expect(p, &f, POLICY_HOLD, "could not be made: out of time");
	f = good(), f.repo = "bigcode/x", f.bits_per_byte = 3.9;
	expect(p, &f, POLICY_PUBLISH, "every rule");
	f.bits_per_byte = 4.1;
	expect(p, &f, POLICY_REJECT, "more than 4");
	policy_lifecycle(p, &l);
	assert_int_equal(l.notice_s, 90 * 86400);
	assert_int_equal(l.max_age_s, 730LL * 86400);
	assert_true(l.gone_after_sunset);
	own(mem) char *shown = policy_show(p);
	own(policy) struct policy *again = parse(shown);
	own(mem) char *twice = policy_show(again);
	assert_string_equal(shown, twice);
}

static void defaults_of_require_one_by_one(void **state)
{
	own(policy) struct policy *none = parse("licenses: {allow: [apache-2.0]}\n");
	own(policy) struct policy *smoke = parse("require: {smoke: pass_or_not_run}\n");
	struct policy_facts f = good();

	(void)state;
	f.smoke = "not_run", f.smoke_reason = "not run: architecture X";
	expect(none, &f, POLICY_HOLD, "architecture X");
	expect(smoke, &f, POLICY_PUBLISH, "every rule");
	f.proof = PROOF_HASH;
	expect(smoke, &f, POLICY_HOLD, "demands 'listing'");
}

static void people_decide_but_not_against_the_bytes(void **state)
{
	own(policy) struct policy *p = parse("licenses: {deny: [mit]}\n");
	struct policy_facts f = good();

	(void)state;
	f.license = "mit", f.person = POLICY_PERSON_PUBLISHED, f.person_name = "ada", f.person_reason = "we have a contract";
	expect(p, &f, POLICY_PUBLISH, "ada decided to publish it: we have a contract");
	f.n_rejected = 1, f.worst_message = "calls os.system";
	expect(p, &f, POLICY_REJECT, "calls os.system");
	f.n_rejected = 0, f.n_stored = 2;
	expect(p, &f, POLICY_HOLD, "files are not in the store");
	f = good(), f.person = POLICY_PERSON_REJECTED, f.person_name = "ada";
	expect(p, &f, POLICY_REJECT, "ada rejected it");
}

static void wrong_files_get_a_sentence(void **state)
{
	static const char *const cases[][2] = {
		{ "license: {allow: [mit]}", "unknown key 'license'; did you mean 'licenses'?" },
		{ "licenses: {alow: [mit]}", "unknown key 'licenses.alow'; did you mean 'allow'?" },
		{ "licenses: {allow: [apache-2]}", "unknown licence 'apache-2'; did you mean 'apache-2.0'?" },
		{ "licenses: {allow: [mit], deny: [MIT]}", "stands in both licenses.allow and licenses.deny" },
		{ "formats: {skip: [pikle]}", "unknown format 'pikle'; did you mean 'pickle'?" },
		{ "size: {max: many}", "size.max: 'many' is not a size" },
		{ "size: {max: 0}", "size.max must be above 0" },
		{ "require: {proof: strong}", "'strong' is not one of: none, hash, listing, commit" },
		{ "smoke: {max_bits_per_byte: -1}", "not a number above 0" },
		{ "smoke: {max_bits_per_byte: 0x10}", "'0x10' is not a number above 0" },
		{ "lifecycle: {max_age: 0d}", "lifecycle.max_age must be above 0; without it nothing ends by its age" },
		{ "smoke: {for: [{require: pass}]}", "names neither a repo nor a task" },
		{ "lifecycle: {notice: soon}", "not a duration" },
		{ "licenses: [mit]", "licenses must be a mapping" },
		{ "- mit", "the policy must be a mapping" },
		{ "licenses: {allow: [mit]", "line" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct policy *p = NULL;
		struct err e = ERR_NONE;

		assert_int_equal(policy_parse(&p, cases[i][0], strlen(cases[i][0]), "policy.yaml", &e), ERR_USAGE);
		if (!strstr(e.msg, cases[i][1]) || !strstr(e.msg, "policy.yaml"))
			fail_msg("%s: %s", cases[i][0], e.msg);
	}
}

static void expect_licence(const char *lists, const char *license, enum policy_outcome outcome)
{
	char text[300];
	struct policy_facts f = good();

	snprintf(text, sizeof(text), "licenses: {%s}\n", lists);
	own(policy) struct policy *p = parse(text);
	f.license = license;
	expect(p, &f, outcome, outcome == POLICY_PUBLISH ? "every rule" : "");
}

static void patterns_name_licences(void **state)
{
	(void)state;
	expect_licence("allow: ['*'], unknown: hold", "apache-2.0", POLICY_PUBLISH);
	expect_licence("allow: ['*'], unknown: hold", "other:odd", POLICY_PUBLISH);
	expect_licence("allow: ['*'], unknown: hold", "unknown", POLICY_HOLD);
	expect_licence("allow: ['*'], unknown: deny", NULL, POLICY_REJECT);
	expect_licence("allow: ['*'], unknown: hold", "other", POLICY_HOLD);
	expect_licence("allow: ['*', unknown], unknown: hold", "unknown", POLICY_PUBLISH);
	expect_licence("deny: ['*'], unknown: allow", "unknown", POLICY_REJECT);
	expect_licence("allow: ['Apache-*']", "apache-2.0", POLICY_PUBLISH);
}

/* As the id is made of the card's name. */
static void names_are_read_as_on_the_card(void **state)
{
	own(policy) struct policy *p = parse("licenses: {deny: ['other:Strange Words Of Mine', 'Other:My Co*'], allow: [MIT]}\n");
	own(mem) char *shown = policy_show(p);
	struct policy_facts f = good();
	struct policy *q;
	struct err e;

	(void)state;
	assert_non_null(strstr(shown, "\"other:strange-words-of-mine\", \"other:my-co*\""));
	assert_non_null(strstr(shown, "allow: [\"mit\"]"));
	expect_licence("deny: ['other:Strange Words Of Mine'], unknown: allow", "other:strange-words-of-mine", POLICY_REJECT);
	expect_licence("deny: ['other:My Co*'], unknown: allow", "other:my-company", POLICY_REJECT);
	expect_licence("deny: ['other:\xe6\xa8\xa1'], unknown: allow", "other:43135e6558669e0d", POLICY_REJECT);
	expect_licence("deny: ['other:LicenseRef-My-Co*'], unknown: allow", "other:my-company", POLICY_REJECT);
	expect_licence("deny: ['other:CC-BY-NC-4.0'], unknown: allow", "cc-by-nc-4.0", POLICY_REJECT);	/* what the card's name is read as */
	for (size_t i = 0; i < 3; i++) {
		const char *const wrong[] = { "licenses: {deny: ['other:\xe6\xa8\xa1*']}", "licenses: {deny: ['other:']}", "licenses: {allow: ['other:A b'], deny: ['other:a-b']}" };
		const char *const said[] = { "letters of ASCII only", "license_name", "stands in both" };

		assert_int_equal(policy_parse(&q, wrong[i], strlen(wrong[i]), "policy.yaml", &e), ERR_USAGE);
		assert_non_null(strstr(e.msg, said[i]));
	}
	/* A name that is a known licence's is still what the card says: for what is not allowed. */
	own(policy) struct policy *llama = parse("licenses: {allow: ['*', 'other:mit*'], deny: ['other:llama*'], hold: ['other:m*']}\nlifecycle: {ends: [{license: 'other:gem*', at: 2020-01-01}]}\n");
	f.license = "llama3.1";
	expect(llama, &f, POLICY_PUBLISH, "every rule");
	f.license_said = "other:llama-3.1";
	expect(llama, &f, POLICY_REJECT, "licence llama3.1 is denied");
	f.license = "mit", f.license_said = "other:mit";
	expect(llama, &f, POLICY_HOLD, "licenses.hold");
	f.license = "gemma", f.license_said = "other:gemma-2";
	expect(llama, &f, POLICY_HOLD, "ended on 2020-01-01");
	f = good();
	f.license = "unknown", f.license_said = "other:mit";
	own(policy) struct policy *mit = parse("licenses: {allow: ['other:mit*']}\n");
	expect(mit, &f, POLICY_HOLD, "licence unknown");
	f = good();
	own(policy) struct policy *ends = parse("lifecycle: {notice: 0d, ends: [{license: MIT, repo: 'Org/*', dtype: bf16, at: 2020-01-01}]}\n");
	f.license = "mit", f.repo = "oRG/M", f.dtypes = "{\"BF16\":3}";
	expect(ends, &f, POLICY_HOLD, "ended on 2020-01-01");
}

static void names_of_repositories_have_no_case(void **state)
{
	own(policy) struct policy *p = parse("licenses: {allow: [mit, apache-2.0]}\nretention: {quotas: [{author: 'qQ*', max: 20kB}]}\n"
					     "smoke: {for: [{repo: 'Org/*', require: none}]}\n");
	struct policy_facts f = good();

	(void)state;
	assert_int_equal(policy_quota(p, "qq"), 20000);
	assert_int_equal(policy_quota(p, "QQ"), 20000);
	f.smoke = NULL, f.repo = "ORG/m";
	expect(p, &f, POLICY_PUBLISH, "every rule");
}

static void skipping_formats(void **state)
{
	own(policy) struct policy *p = parse("formats: {skip: [pickle]}\n");
	struct model_file both[] = {
		{ .path = "model.safetensors", .wanted = true }, { .path = "pytorch_model.bin", .wanted = true }, { .path = "pytorch_model.bin.index.json", .wanted = true },
		{ .path = "old/pytorch_model.bin", .wanted = true }, { .path = "ckpt/optimizer.pt", .wanted = true }, { .path = "config.json", .wanted = true },
	};
	struct model_file only[] = { { .path = "pytorch_model.bin", .wanted = true } };

	(void)state;
	policy_skip_files(p, both, ARRAY_LEN(both));
	assert_true(both[0].wanted);
	assert_false(both[1].wanted);
	assert_non_null(both[1].skip_reason);
	assert_false(both[2].wanted);	/* an index without its shards leads nowhere */
	assert_true(both[3].wanted);	/* no other weights in that folder */
	assert_false(both[4].wanted);
	assert_true(both[5].wanted);
	policy_skip_files(p, only, 1);
	assert_true(only[0].wanted);
	assert_true(policy_has_skipped(both[1].skip_reason) && policy_has_skipped(both[4].skip_reason));
	assert_false(policy_has_skipped(NULL) || policy_has_skipped("no include glob matches it"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_fails_closed),		  cmocka_unit_test(the_contract_example),
		cmocka_unit_test(defaults_of_require_one_by_one), cmocka_unit_test(people_decide_but_not_against_the_bytes),
		cmocka_unit_test(wrong_files_get_a_sentence),	  cmocka_unit_test(patterns_name_licences), cmocka_unit_test(names_are_read_as_on_the_card),
		cmocka_unit_test(names_of_repositories_have_no_case), cmocka_unit_test(skipping_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
