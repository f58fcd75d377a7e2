/* test_model.c - a revision's way from upstream's word to published, and everything that may not happen on it. */
#include "catalog_test.h"

#include <math.h>

#include "base/json.h"
#include "base/vec.h"
#include "catalog/event.h"
#include "catalog/finding.h"
#include "catalog/lost.h"
#include "catalog/model.h"
#include "verify/git_object.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define AB "aaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct digest sha(const char *text)
{
	struct digest d;

	digest_of(&d, DIGEST_SHA256, text, strlen(text));
	return d;
}

#define MANY 1200

static struct digest oid(const char *text)
{
	struct digest d;

	digest_of(&d, DIGEST_SHA1, text, strlen(text));
	return d;
}

static int64_t model(struct db *db, const char *name)
{
	struct model_upstream u = { .name = name, .upstream = "hub", .gated = 0, .is_private = 0, .disabled = 0, .downloads = 5, .likes = 1 };
	int64_t id;

	ok(model_upsert(db, &u, 1000, &id, e));
	return id;
}

/* Two files: a git file and an LFS one whose digest the listing claims. */
static void two_files(struct model_file f[2], const char *salt)
{
	f[0] = (struct model_file){ .path = "config.json", .size_bytes = strlen(salt), .git_oid = oid(salt), .wanted = true };
	f[1] = (struct model_file){ .path = "model.safetensors", .size_bytes = 7, .git_oid = oid("pointer"), .sha256 = sha("weights"), .lfs = true, .wanted = true };
}

static int64_t plan(struct db *db, int64_t m, const char *commit, const char *ref, const struct model_file *f, size_t n, int64_t now, bool *changed)
{
	struct model_plan p = { .model_id = m, .commit = commit, .ref = ref, .files = f, .n_files = n, .title = "Upload" };
	int64_t id;

	ok(model_plan(db, &p, now, &id, changed, e));
	return id;
}

static void store_both(struct db *db, int64_t rev, const char *salt)
{
	struct model_stored s[] = { { "config.json", sha(salt), strlen(salt) }, { "model.safetensors", sha("weights"), 7 } };

	ok(model_files_stored(db, rev, s, 2, e));
}

static void conclude(struct db *db, int64_t rev, enum policy_outcome outcome, int64_t now)
{
	struct policy_verdict v = { .outcome = outcome, .n_reasons = 1, .summary = "because" };

	v.reasons[0] = (struct policy_reason){ .rule = "license", .outcome = outcome, .text = "apache-2.0 is on the list" };
	ok(model_conclude(db, rev, &v, now, e));
}

static void test_published_only(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model_file files[2], *got;
	struct model m;
	struct revision r;
	bool changed, no_rev;
	size_t n;

	arena_init(&a);
	two_files(files, "c");
	int64_t id = model(f->db, "org/m"), rev = plan(f->db, id, A, "main", files, 2, 1000, &changed);
	assert_true(changed);
	ok(model_files(f->db, rev, FILES_MISSING, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 2);
	ok(model_find(f->db, "ORG/M", NULL, MODEL_ANY, &a, &m, &r, NULL, e));
	assert_string_equal(m.name, "org/m");
	assert_int_equal(r.state, REVISION_PLANNED);
	fails(ERR_NOT_FOUND, "no model", model_find(f->db, "org/m", NULL, MODEL_VISIBLE, &a, &m, &r, &no_rev, e));
	assert_false(no_rev);

	struct policy_verdict v = { .outcome = POLICY_PUBLISH, .summary = "x" };
	fails(ERR_CONFLICT, "config.json is not in the store", model_conclude(f->db, rev, &v, 1001, e));
	ok(model_set_state(f->db, rev, REVISION_FETCHING, NULL, 1001, e));
	store_both(f->db, rev, "c");
	ok(model_files(f->db, rev, FILES_MISSING, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 0);
	fails(ERR_CONFLICT, "decision", model_set_state(f->db, rev, REVISION_PUBLISHED, NULL, 1001, e));
	conclude(f->db, rev, POLICY_PUBLISH, 1002);

	ok(model_find(f->db, "org/m", NULL, MODEL_VISIBLE, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, A);
	assert_int_equal(r.published_at, 1002);
	ok(model_find(f->db, "org/m", "aaaaaaa", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	ok(model_find(f->db, "org/m", "refs/heads/main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	fails(ERR_NOT_FOUND, "no revision dev", model_find(f->db, "org/m", "dev", MODEL_VISIBLE, &a, &m, &r, &no_rev, e));
	assert_true(no_rev);
	fails(ERR_NOT_FOUND, "no revision aaaaaa", model_find(f->db, "org/m", "aaaaaa", MODEL_VISIBLE, &a, &m, &r, &no_rev, e));
	ok(model_files(f->db, rev, FILES_HELD, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 2);
	assert_string_equal(got[0].path, "config.json");
	assert_true(digest_equal(&got[0].sha256, &(struct digest){ .algo = 0 }) == false && got[0].sha256.algo == DIGEST_SHA256);
	assert_int_equal(r.formats, FORMAT_BIT(FORMAT_SAFETENSORS));
	assert_int_equal(r.size_bytes, 8);
	/* The same again: nothing to do. */
	assert_int_equal(plan(f->db, id, A, "main", files, 2, 1005, &changed), rev);
	assert_false(changed);
	own(json) json_t *why = finding_why(f->db, rev, NULL);
	assert_int_equal(json_array_size(why), 1);
	assert_string_equal(json_get_str(json_array_get(why, 0), "rule"), "license");
}

static void test_second_revision(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model_file files[2];
	struct model_ref *refs;
	struct model m;
	struct revision r;
	bool changed;
	size_t n;

	arena_init(&a);
	two_files(files, "one");
	int64_t id = model(f->db, "org/m"), first = plan(f->db, id, A, "main", files, 2, 1000, &changed);
	store_both(f->db, first, "one");
	conclude(f->db, first, POLICY_PUBLISH, 1001);
	two_files(files, "two");
	int64_t second = plan(f->db, id, B, "main", files, 2, 1010, &changed);
	/* The LFS file is here already. */
	struct model_file *missing;
	ok(model_files(f->db, second, FILES_MISSING, NULL, NULL, 0, &a, &missing, &n, e));
	assert_int_equal(n, 1);
	assert_string_equal(missing[0].path, "config.json");
	ok(model_find(f->db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, A);
	ok(model_find(f->db, "org/m", "main", MODEL_ANY, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, B);
	store_both(f->db, second, "two");
	conclude(f->db, second, POLICY_HOLD, 1011);
	ok(model_find(f->db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, A);
	fails(ERR_NOT_FOUND, "no revision", model_find(f->db, "org/m", B, MODEL_VISIBLE, &a, &m, &r, NULL, e));
	ok(model_rule(f->db, second, POLICY_PUBLISH, "ada", "looked at it", 1012, e));
	ok(model_find(f->db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, B);
	assert_string_equal(r.reason, "published by ada: looked at it");
	ok(model_find(f->db, "org/m", A, MODEL_VISIBLE, &a, &m, &r, NULL, e));	/* the older one by its commit */
	ok(model_refs(f->db, id, 0, &a, &refs, &n, e));
	assert_int_equal(n, 1);
	assert_string_equal(refs[0].commit, B);
	/* Upstream goes back to A: asked for again, so the ref is to move though A is published already. */
	two_files(files, "one");
	plan(f->db, id, A, "main", files, 2, 1020, &changed);
	assert_true(changed);
	conclude(f->db, first, POLICY_PUBLISH, 1021);
	ok(model_find(f->db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, A);
	/* A late decision on what was asked for earlier does not take the ref back. */
	conclude(f->db, second, POLICY_PUBLISH, 1022);
	ok(model_find(f->db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, A);
	/* Upstream goes to B and back, and of A there is nothing to plan. */
	two_files(files, "two");
	plan(f->db, id, B, "main", files, 2, 1023, &changed);
	ok(model_ask_ref(f->db, first, "main", 1023, e));
	conclude(f->db, second, POLICY_PUBLISH, 1024);
	ok(model_find(f->db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, A);
	/* A person rejects what is served: off every door. */
	ok(model_rule(f->db, first, POLICY_REJECT, "ada", "bad", 1030, e));
	fails(ERR_NOT_FOUND, "no revision", model_find(f->db, "org/m", "main", MODEL_VISIBLE, &a, &m, &r, NULL, e));
	fails(ERR_NOT_FOUND, "no revision", model_find(f->db, "org/m", A, MODEL_VISIBLE, &a, &m, &r, NULL, e));
	ok(model_find(f->db, "org/m", B, MODEL_VISIBLE, &a, &m, &r, NULL, e));
}

static int64_t published(struct db *db, int64_t m, const char *commit, const char *ref, int64_t now)
{
	struct model_file files[2];
	bool changed;

	two_files(files, commit);
	int64_t id = plan(db, m, commit, ref, files, 2, now, &changed);
	store_both(db, id, commit);
	conclude(db, id, POLICY_PUBLISH, now);
	return id;
}

static void assert_at(struct db *db, const char *ref, enum model_who who, const char *commit)
{
	own(arena) struct arena a;
	struct model m;
	struct revision r;

	arena_init(&a);
	ok(model_find(db, "org/m", ref, who, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, commit);
}

/* What was asked for and published while the clock was ahead stands behind what came later, also when that time has come. */
static void test_clock_that_was_ahead(void **state)
{
	const int64_t now = 20000 * (int64_t)86400, ahead = now + 4000 * (int64_t)86400;
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct revision *all, shown;
	struct model m;
	size_t n;

	arena_init(&a);
	int64_t id = model(f->db, "org/m"), first = published(f->db, id, A, "main", ahead);
	published(f->db, id, B, "main", now);
	assert_at(f->db, "main", MODEL_VISIBLE, B);
	assert_at(f->db, "main", MODEL_ANY, B);
	assert_at(f->db, NULL, MODEL_ANY, B);
	ok(model_revisions(f->db, id, MODEL_ANY, &a, &all, &n, e));
	assert_true(n == 2 && !strcmp(all[0].commit, B) && all[0].planned_at == now && all[1].planned_at < now);
	conclude(f->db, first, POLICY_PUBLISH, now + 1);	/* a late decision */
	assert_at(f->db, "main", MODEL_VISIBLE, B);
	published(f->db, id, A, "main", now + 1);	/* upstream goes back, and forth again within the second */
	assert_at(f->db, "main", MODEL_VISIBLE, A);
	assert_at(f->db, NULL, MODEL_ANY, A);
	published(f->db, id, B, "main", now + 1);
	assert_at(f->db, "main", MODEL_VISIBLE, B);
	assert_at(f->db, NULL, MODEL_ANY, B);
	published(f->db, id, AB, "main", ahead + 10);
	assert_at(f->db, "main", MODEL_VISIBLE, AB);

	/* Where there is no main, what was published last is shown; and whose repository it is, is that of what was published last. */
	const struct {
		const char *commit, *ref, *key;
		int64_t at;
	} two[] = { { A, "v1", "111111111111111111111111", ahead }, { B, "v2", "222222222222222222222222", now } };
	char key[MODEL_KEY_HEX + 1];
	bool known;

	id = model(f->db, "org/tags");
	for (size_t i = 0; i < ARRAY_LEN(two); i++) {
		struct model_file files[2];
		struct model_plan p = { .model_id = id, .commit = two[i].commit, .ref = two[i].ref, .files = files, .n_files = 2, .upstream_key = two[i].key };
		int64_t rev;

		two_files(files, two[i].ref);
		ok(model_plan(f->db, &p, two[i].at, &rev, NULL, e));
		store_both(f->db, rev, two[i].ref);
		conclude(f->db, rev, POLICY_PUBLISH, two[i].at);
	}
	ok(model_find_shown(f->db, "org/tags", &a, &m, &shown, e));
	assert_string_equal(shown.commit, B);
	ok(model_key(f->db, id, key, &known, e));
	assert_string_equal(key, two[1].key);
}

static void test_pending_files(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model_file files[2], *got;
	struct policy_facts facts;
	struct revision r;
	bool changed;
	size_t n;

	arena_init(&a);
	two_files(files, "c");
	files[1].wanted = false;
	files[1].skip_reason = "not selected";
	int64_t id = model(f->db, "org/m"), rev = plan(f->db, id, A, "main", files, 2, 1000, &changed);
	struct model_stored s = { "config.json", sha("c"), 1 };
	ok(model_files_stored(f->db, rev, &s, 1, e));
	conclude(f->db, rev, POLICY_PUBLISH, 1001);
	ok(model_files(f->db, rev, FILES_HELD, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 1);
	/* More files of the same commit are wanted: not shown until the gate has passed them, though stored. */
	files[1].wanted = true;
	plan(f->db, id, A, "main", files, 2, 1010, &changed);
	assert_true(changed);
	store_both(f->db, rev, "c");
	ok(model_set_state(f->db, rev, REVISION_TESTING, NULL, 1010, e));
	ok(model_revision(f->db, rev, &a, NULL, &r, e));
	assert_int_equal(r.state, REVISION_PUBLISHED);
	ok(model_files(f->db, rev, FILES_HELD, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 1);
	ok(model_evidence(f->db, rev, &a, &facts, e));
	assert_int_equal(facts.n_weight_files, 1);
	assert_int_equal(facts.n_inspected, 0);
	conclude(f->db, rev, POLICY_REJECT, 1011);
	ok(model_files(f->db, rev, FILES_HELD, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 1);
	ok(model_revision(f->db, rev, &a, NULL, &r, e));
	assert_int_equal(r.state, REVISION_PUBLISHED);
	plan(f->db, id, A, "main", files, 2, 1020, &changed);
	conclude(f->db, rev, POLICY_PUBLISH, 1021);
	ok(model_files(f->db, rev, FILES_HELD, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 2);
	/* A narrower selection takes nothing away from what is served. */
	files[1].wanted = false;
	plan(f->db, id, A, "main", files, 2, 1030, &changed);
	assert_false(changed);
	ok(model_files(f->db, rev, FILES_HELD, NULL, NULL, 0, &a, &got, &n, e));
	assert_int_equal(n, 2);
	/* What is served never changes under a commit. */
	struct model_plan lie = { .model_id = id, .commit = A, .files = files, .n_files = 2 };
	files[0].git_oid = oid("else");
	fails(ERR_MISMATCH, "never changes", model_plan(f->db, &lie, 1040, &rev, NULL, e));
}

static void test_lies(void **state)
{
	struct fixture *f = *state;
	struct model_file files[2];
	int64_t m = model(f->db, "org/m"), other, id;
	bool changed;

	two_files(files, "c");
	int64_t rev = plan(f->db, m, A, "main", files, 2, 1000, &changed);
	struct model_plan p = { .model_id = m, .commit = A, .files = files, .n_files = 2 };
	/* Never published: the listing may have lied then or now, so the newer word counts. */
	files[0].git_oid = oid("else");
	ok(model_plan(f->db, &p, 1001, &id, NULL, e));
	files[0].git_oid = oid("c");
	ok(model_plan(f->db, &p, 1001, &id, NULL, e));
	files[1].path = "config.json";
	fails(ERR_INPUT, "twice", model_plan(f->db, &p, 1001, &id, NULL, e));
	files[1].path = "config.json/x";
	fails(ERR_INPUT, "needs a directory", model_plan(f->db, &p, 1001, &id, NULL, e));
	files[1].path = "../x";
	fails(ERR_INPUT, "..", model_plan(f->db, &p, 1001, &id, NULL, e));
	p.commit = "xyz";
	fails(ERR_INPUT, "commit", model_plan(f->db, &p, 1001, &id, NULL, e));

	struct model_stored s = { "model.safetensors", sha("evil"), 7 };
	fails(ERR_MISMATCH, "sha256 mismatch in model.safetensors", model_files_stored(f->db, rev, &s, 1, e));
	s = (struct model_stored){ "model.safetensors", sha("weights"), 8 };
	fails(ERR_MISMATCH, "has 8 bytes", model_files_stored(f->db, rev, &s, 1, e));
	s = (struct model_stored){ "nope", sha("weights"), 7 };
	fails(ERR_NOT_FOUND, "nope", model_files_stored(f->db, rev, &s, 1, e));

	struct model_upstream u = { .name = "org/m", .upstream = "mirror2", .gated = -1, .is_private = -1, .disabled = -1, .downloads = -1, .likes = -1 };
	fails(ERR_CONFLICT, "does not change where it comes from", model_upsert(f->db, &u, 1001, &other, e));
	u.name = "a/b/c";
	fails(ERR_USAGE, "ORG/NAME", model_upsert(f->db, &u, 1001, &other, e));
	u.name = "../etc";
	fails(ERR_USAGE, "begins with", model_upsert(f->db, &u, 1001, &other, e));
}

/* More files than a page of a walk: all come, once and in their order, also while those before are changed. */
static void test_many_files(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a = { 0 };
	own(mem) struct model_file *files = mem_zalloc(MANY * sizeof(*files));
	struct model_file *list;
	static const size_t counts[] = { [FILES_ALL] = MANY, [FILES_HELD] = 1, [FILES_SERVED] = MANY - 1, [FILES_FIRST] = 1, [FILES_WANTED] = MANY - 1, [FILES_SKIPPED] = 1, [FILES_MISSING] = MANY - 2 };
	struct model_sum sum;
	uint64_t n_held;
	bool changed;
	size_t n;

	for (size_t i = 0; i < MANY; i++)
		files[i] = (struct model_file){ .path = arena_printf(&a, "d%zu/%04zu", i % 2, i), .size_bytes = i, .git_oid = oid("x"), .wanted = i != 7 };
	int64_t m = model(f->db, "org/m"), rev = plan(f->db, m, A, "main", files, MANY, 1000, &changed);

	for (enum model_files_of which = FILES_ALL; which <= FILES_MISSING; which++) {
		own(walk) struct model_walk w = { .db = f->db, .revision_id = rev, .which = which };
		const struct model_file *at;
		char last[32] = "";

		ok(model_files(f->db, rev, which, NULL, NULL, 0, &a, &list, &n, e));
		for (size_t again = 0; again < 2; again++, model_walk_rewind(&w), *last = 0) {
			size_t seen = 0;

			while (model_walk_next(&w, &at, NULL) > 0) {
				assert_true(strcmp(last, at->path) < 0);
				assert_string_equal(at->path, list[seen++].path);
				snprintf(last, sizeof(last), "%s", at->path);
				if (which == FILES_ALL && !again && at->wanted)
					ok(model_files_stored(f->db, rev, &(struct model_stored){ at->path, sha("y"), at->size_bytes }, at->size_bytes == 1, e));
			}
			assert_int_equal(seen, counts[which]);
		}
		ok(model_count(f->db, rev, which, &n_held, e));
		assert_int_equal(n_held, n);
	}
	ok(model_files(f->db, rev, FILES_ALL, "d1", "d1/0003", 2, &a, &list, &n, e));
	assert_int_equal(n, 2);
	assert_string_equal(list[0].path, "d1/0005");
	ok(model_files(f->db, rev, FILES_ALL, "d0", NULL, 0, &a, &list, &n, e));
	assert_int_equal(n, MANY / 2);
	ok(model_sum(f->db, rev, &sum, e));
	assert_int_equal(sum.files, MANY - 1);
	assert_int_equal(sum.bytes, MANY * (MANY - 1) / 2 - 7);
	assert_int_equal(sum.stored_files, 1);
	assert_int_equal(sum.stored_bytes, 1);
}

static void test_person_and_findings(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model_file files[2];
	struct policy_facts facts;
	bool changed;

	arena_init(&a);
	two_files(files, "c");
	int64_t m = model(f->db, "org/m"), rev = plan(f->db, m, A, "main", files, 2, 1000, &changed);
	store_both(f->db, rev, "c");
	struct finding bad = { "model.safetensors", "safetensors-overlap", FINDING_REJECT, "tensors overlap" };
	struct finding_file file = { "model.safetensors", FINDING_REJECT, "safetensors" }, unknown = { "other.bin", FINDING_ACCEPT, NULL };
	/* What is said about a file that the revision does not hold vouches for nothing. */
	ok(finding_record(f->db, rev, "inspect", &unknown, 1, NULL, 0, true, 1001, e));
	ok(model_evidence(f->db, rev, &a, &facts, e));
	assert_int_equal(facts.n_inspected, 0);
	ok(finding_record(f->db, rev, "inspect", &file, 1, &bad, 1, true, 1001, e));
	ok(model_evidence(f->db, rev, &a, &facts, e));
	assert_int_equal(facts.n_rejected, 1);
	assert_int_equal(facts.n_inspected, 1);
	assert_string_equal(facts.worst_rule, "safetensors-overlap");
	fails(ERR_REFUSED, "tensors overlap", model_rule(f->db, rev, POLICY_PUBLISH, "ada", "I know", 1002, e));
	/* An inspection that did not come to its end vouches for nothing. */
	ok(finding_record(f->db, rev, "inspect", &file, 1, NULL, 0, false, 1003, e));
	ok(model_evidence(f->db, rev, &a, &facts, e));
	assert_int_equal(facts.n_inspected, 0);
	assert_string_equal(facts.not_inspected, "model.safetensors");
	assert_true(isnan(facts.bits_per_byte));
	struct finding_smoke smoke = { .verdict = "pass", .device = "cpu", .bits_per_byte = 0.9, .tokens_per_s = NAN, .reasons = "[\"fine\"]", .at = 1004 }, last;
	ok(finding_record_smoke(f->db, rev, &smoke, e));
	ok(finding_last_smoke(f->db, rev, &a, &last, e));
	assert_true(isnan(last.tokens_per_s) && last.bits_per_byte > 0.89);
	ok(model_evidence(f->db, rev, &a, &facts, e));
	assert_string_equal(facts.smoke_reason, "fine");
	ok(model_rule(f->db, rev, POLICY_REJECT, "ada", NULL, 1005, e));
	/* The ruling survives a re-sync of the revision … */
	plan(f->db, m, A, "main", files, 2, 1010, &changed);
	ok(model_evidence(f->db, rev, &a, &facts, e));
	assert_int_equal(facts.person, POLICY_PERSON_REJECTED);
	assert_string_equal(facts.person_name, "ada");
	/* … and does not reach another. */
	int64_t next = plan(f->db, m, B, "main", files, 2, 1011, &changed);
	ok(model_evidence(f->db, next, &a, &facts, e));
	assert_int_equal(facts.person, POLICY_NOBODY);
}

static void test_many_findings(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	static struct finding many[FINDING_MAX + 50];
	struct finding *list;
	struct model_file files[2];
	bool changed;
	size_t n;

	arena_init(&a);
	two_files(files, "c");
	int64_t rev = plan(f->db, model(f->db, "org/m"), A, "main", files, 2, 1000, &changed);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct finding){ "config.json", "odd", FINDING_FLAG, "odd \xc3\xa9" };
	many[FINDING_MAX + 10].severity = FINDING_REJECT;
	ok(finding_record(f->db, rev, "inspect", NULL, 0, many, ARRAY_LEN(many), true, 1000, e));
	ok(finding_list(f->db, rev, &a, &list, &n, e));
	assert_int_equal(n, FINDING_MAX + 1);
	assert_int_equal(list[0].severity, FINDING_REJECT);	/* what was left out still rejects */
	assert_string_equal(list[0].rule, "more-findings");
}

static void test_drift(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model m;
	struct event *ev;
	size_t n;
	bool moved;
	char commit[MODEL_COMMIT_HEX + 1];

	arena_init(&a);
	int64_t id = model(f->db, "org/m"), same;
	struct model_upstream u = { .name = "neworg/m", .asked_name = "org/m", .upstream = "hub", .gated = 1, .is_private = -1, .disabled = -1, .downloads = -1, .likes = -1 };
	ok(model_upsert(f->db, &u, 2000, &same, e));
	assert_int_equal(same, id);
	ok(model_find_repo(f->db, "NewOrg/m", &a, &m, e));
	assert_string_equal(m.name, "org/m");	/* what we call it does not change by itself */
	assert_int_equal(m.gated, MODEL_GATED_AUTO);
	assert_int_equal(m.downloads, 5);
	ok(model_saw_ref(f->db, id, "main", A, 2001, &moved, e));
	assert_false(moved);
	ok(model_saw_ref(f->db, id, "main", A, 2002, &moved, e));
	assert_false(moved);
	ok(model_saw_ref(f->db, id, "main", B, 2003, &moved, e));
	assert_true(moved);
	ok(model_saw_ref(f->db, id, "main", NULL, 2004, &moved, e));
	assert_true(moved);
	ok(model_upstream_ref(f->db, id, "main", commit, e));
	assert_string_equal(commit, "");
	ok(model_saw_gone(f->db, id, true, 2005, e));
	ok(model_saw_gone(f->db, id, true, 2006, e));
	ok(model_saw_gone(f->db, id, false, 2007, e));
	ok(event_list(f->db, 0, "org/m", 100, &a, &ev, &n, e));
	const char *const want[] = { "upstream.gated", "upstream.renamed", "upstream.moved", "upstream.ref_gone", "upstream.vanished", "upstream.returned" };
	assert_int_equal(n, ARRAY_LEN(want));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(ev[i].kind, want[i]);
	const struct digest none = { 0 };
	ok(event_verify(f->db, &none, NULL, NULL, e));
}

/* Whoever asks for `upstream.disabled` is not told so when it is enabled again. */
static void test_what_is_taken_back_is_told_by_another_kind(void **state)
{
	static const struct {
		struct model_upstream u;
		const char *kind;
	} steps[] = {
		{ { .gated = MODEL_GATED_AUTO, .is_private = 0, .disabled = 0 }, "upstream.gated" },
		{ { .gated = MODEL_GATED_MANUAL, .is_private = 0, .disabled = 0 }, "upstream.gated" },
		{ { .gated = MODEL_OPEN, .is_private = 0, .disabled = 0 }, "upstream.ungated" },
		{ { .gated = MODEL_OPEN, .is_private = 1, .disabled = 0 }, "upstream.private" },
		{ { .gated = MODEL_OPEN, .is_private = 0, .disabled = 0 }, "upstream.public" },
		{ { .gated = MODEL_OPEN, .is_private = 0, .disabled = 1 }, "upstream.disabled" },
		{ { .gated = MODEL_OPEN, .is_private = 0, .disabled = 0 }, "upstream.enabled" },
	};
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct event *ev;
	int64_t id = model(f->db, "org/m");
	size_t n;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct model_upstream u = steps[i].u;

		u.name = "org/m";
		u.upstream = "hub";
		u.downloads = u.likes = -1;
		ok(model_upsert(f->db, &u, 2000, &id, e));
	}
	ok(event_list(f->db, 0, "org/m", 100, &a, &ev, &n, e));
	assert_int_equal(n, ARRAY_LEN(steps));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(ev[i].kind, steps[i].kind);
}

static void test_a_name_is_what_is_here_by_it(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	const char *to;
	struct model m;

	arena_init(&a);
	int64_t former = model(f->db, "org/m"), later = model(f->db, "neworg/m"), id;
	struct model_upstream u = { .name = "neworg/m", .asked_name = "org/m", .upstream = "hub" };
	for (int i = 0; i < 2; i++) {
		ok(model_upsert(f->db, &u, 2000, &id, e));
		assert_int_equal(id, former);
		ok(model_find_repo(f->db, "neworg/m", &a, &m, e));
		assert_int_equal(m.id, later);
		ok(model_renamed_to(f->db, &m, &a, &to, e));
		assert_null(to);
		ok(model_find_repo(f->db, "org/m", &a, &m, e));
		assert_int_equal(m.id, former);
		ok(model_renamed_to(f->db, &m, &a, &to, e));
		assert_string_equal(to, "neworg/m");
	}
	u = (struct model_upstream){ .name = "org/third", .asked_name = "org/m", .upstream = "hub" };
	ok(model_upsert(f->db, &u, 2001, &id, e));
	assert_int_equal(id, former);
	u = (struct model_upstream){ .name = "neworg/m", .asked_name = "org/third", .upstream = "hub" };
	ok(model_upsert(f->db, &u, 2002, &id, e));
	assert_int_equal(id, former);
}

static void test_a_listing_at_once(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct err why = ERR_NONE;
	struct model m;
	int64_t ids[4];
	size_t skipped;

	arena_init(&a);
	model(f->db, "org/known");
	const struct model_upstream u[] = {
		{ .name = "org/known", .upstream = "hub", .gated = 1, .downloads = 9 },
		{ .name = "bad name", .upstream = "hub" },
		{ .name = "org/known", .upstream = "elsewhere" },
		{ .name = "org/new", .upstream = "hub" },
	};
	ok(model_upsert_many(f->db, u, 4, 2000, ids, &skipped, &why, e));
	assert_int_equal(skipped, 2);
	assert_int_equal(why.code, ERR_USAGE);
	assert_true(ids[0] && !ids[1] && !ids[2] && ids[3]);
	ok(model_find_repo(f->db, "org/known", &a, &m, e));
	assert_int_equal(m.downloads, 9);
	assert_string_equal(m.upstream, "hub");
	ok(model_find_repo(f->db, "org/new", &a, &m, e));
}

static void test_facts_tags_documents(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model_file files[2];
	const char *const tags[] = { "llama", "license:mit", "en" }, *const fewer[] = { "llama" }, *const bases[] = { "meta/llama" }, *const conflicts[] = { "card says mit, text says x" };
	const char **got, *relation, *text;
	struct revision r;
	struct policy_facts facts;
	bool changed;
	size_t n;

	arena_init(&a);
	two_files(files, "c");
	int64_t m = model(f->db, "org/m"), rev = plan(f->db, m, A, "main", files, 2, 1000, &changed);
	struct model_facts facts_in = { .license = "mit", .license_source = "card", .license_conflicts = conflicts, .n_license_conflicts = 1, .params = 42,
					.dtypes = "{\"F32\":42}", .architecture = "llama", .task = "text-generation", .tags = tags, .n_tags = 3,
					.base_models = bases, .n_base_models = 1, .base_relation = "finetune" };
	ok(model_set_facts(f->db, rev, &facts_in, e));
	ok(model_tags(f->db, m, &a, &got, &n, e));
	assert_int_equal(n, 3);
	facts_in.tags = fewer;
	facts_in.n_tags = 1;
	ok(model_set_facts(f->db, rev, &facts_in, e));
	ok(model_tags(f->db, m, &a, &got, &n, e));
	assert_int_equal(n, 1);
	ok(model_revision_tags(f->db, rev, &a, &got, &n, e));
	assert_int_equal(n, 1);
	ok(model_revision_tags(f->db, rev + 1, &a, &got, &n, e));
	assert_int_equal(n, 0);
	ok(model_base_models(f->db, rev, &a, &got, &n, &relation, e));
	assert_string_equal(got[0], "meta/llama");
	assert_string_equal(relation, "finetune");
	ok(model_revision(f->db, rev, &a, NULL, &r, e));
	assert_string_equal(r.license, "mit");
	assert_int_equal(r.params, 42);
	assert_string_equal(r.architecture, "llama");
	assert_null(r.quantization);
	ok(model_evidence(f->db, rev, &a, &facts, e));
	assert_int_equal(facts.n_license_conflicts, 1);
	assert_string_equal(facts.license, "mit");
	ok(model_keep_document(f->db, rev, DOCUMENT_CARD, "", "a\0b", 3, 1000, e));
	ok(model_document(f->db, rev, DOCUMENT_CARD, "", &a, &text, &n, e));
	assert_int_equal(n, 3);
	assert_memory_equal(text, "a\0b", 4);
	fails(ERR_NOT_FOUND, "kept", model_document(f->db, rev, DOCUMENT_TREE, "", &a, &text, &n, e));
	/* The id of an LFS pointer is not kept where it follows, and given back all the same; an odd one is kept. */
	struct model_file *listed;
	struct digest derived;
	git_pointer_id(&derived, &(struct git_pointer){ sha("weights"), 7 });
	files[1].git_oid = derived;
	int64_t other = plan(f->db, m, B, NULL, files, 2, 1000, &changed);
	ok(model_files(f->db, other, FILES_ALL, NULL, NULL, 0, &a, &listed, &n, e));
	assert_true(digest_equal(&listed[1].git_oid, &derived));
	ok(model_files(f->db, rev, FILES_ALL, NULL, NULL, 0, &a, &listed, &n, e));
	assert_false(digest_equal(&listed[1].git_oid, &derived));
	files[1].sha256 = sha("evil");
	struct model_plan lie = { .model_id = m, .commit = B, .files = files, .n_files = 2 };
	ok(model_plan(f->db, &lie, 1001, &other, NULL, e));
}

/* A git file's content, once stored, is known by its git id. */
static void test_known_by_git_id(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model_file files[2];
	bool changed;

	arena_init(&a);
	two_files(files, "c");
	int64_t m = model(f->db, "org/m"), rev = plan(f->db, m, A, "main", files, 2, 1000, &changed);
	int64_t other = plan(f->db, m, B, NULL, files, 2, 1001, &changed);
	struct digest d, o = oid("c");
	struct lost_use *uses;
	size_t n_uses;
	bool news;
	fails(ERR_NOT_FOUND, "no other revision", model_known_git_blob(f->db, m, "config.json", &o, 1, &d, e));
	store_both(f->db, rev, "c");
	ok(model_known_git_blob(f->db, m, "config.json", &o, 1, &d, e));
	fails(ERR_NOT_FOUND, "no other revision", model_known_git_blob(f->db, m + 1, "config.json", &o, 1, &d, e));
	/* Another model finds it through its base, and through the weights that both list. */
	const char *repos[] = { "org/none", "ORG/m" };
	struct model_kin kin;
	two_files(files, "c");
	int64_t copy = plan(f->db, model(f->db, "org/copy"), A, "main", files, 2, 1000, &changed);
	two_files(files, "x");
	files[1].sha256 = sha("other weights");
	files[1].git_oid = oid("other pointer");
	int64_t stranger = plan(f->db, model(f->db, "org/stranger"), A, "main", files, 2, 1000, &changed);
	ok(model_kin(f->db, stranger, NULL, 0, &kin, e));
	assert_int_equal(kin.n, 0);
	fails(ERR_NOT_FOUND, "no related model", model_kin_git_blob(f->db, &kin, "config.json", &o, 1, &d, e));
	ok(model_kin(f->db, stranger, repos, 2, &kin, e));
	assert_int_equal(kin.n, 1);
	assert_int_equal(kin.revision_id[0], other);	/* the newest, as none is published */
	ok(model_kin(f->db, copy, NULL, 0, &kin, e));
	assert_int_not_equal(kin.n, 0);
	fails(ERR_NOT_FOUND, "config2", model_kin_git_blob(f->db, &kin, "config2.json", &o, 1, &d, e));
	ok(model_kin_git_blob(f->db, &kin, "config.json", &o, 1, &d, e));
	ok(lost_note(f->db, &d, "gone", 2000, &a, &uses, &n_uses, &news, e));
	assert_true(news && n_uses == 0);	/* nothing of it is published */
	fails(ERR_NOT_FOUND, "no other revision", model_known_git_blob(f->db, m, "config.json", &o, 1, &d, e));
	fails(ERR_NOT_FOUND, "no related model", model_kin_git_blob(f->db, &kin, "config.json", &o, 1, &d, e));
}

static void test_short_commits(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	struct model_file files[2];
	struct model m;
	struct revision r;
	bool changed;

	arena_init(&a);
	two_files(files, "c");
	int64_t id = model(f->db, "org/m");
	plan(f->db, id, A, NULL, files, 2, 1000, &changed);
	plan(f->db, id, AB, NULL, files, 2, 1001, &changed);
	fails(ERR_NOT_FOUND, "more than one", model_find(f->db, "org/m", "aaaaaaaa", MODEL_ANY, &a, &m, &r, NULL, e));
	ok(model_find(f->db, "org/m", "aaaaaaaab", MODEL_ANY, &a, &m, &r, NULL, e));
	assert_string_equal(r.commit, AB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_published_only),	 with_fixture(test_second_revision), with_fixture(test_clock_that_was_ahead), with_fixture(test_pending_files),
		with_fixture(test_lies),		 with_fixture(test_many_files),	   with_fixture(test_person_and_findings), with_fixture(test_many_findings),
		with_fixture(test_a_name_is_what_is_here_by_it),
		with_fixture(test_drift), with_fixture(test_what_is_taken_back_is_told_by_another_kind),		 with_fixture(test_a_listing_at_once), with_fixture(test_facts_tags_documents), with_fixture(test_known_by_git_id),
		with_fixture(test_short_commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
