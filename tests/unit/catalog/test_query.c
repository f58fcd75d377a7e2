/* test_query.c - every filter of the contract, pages that neither skip nor repeat, plans that use the index meant for them, and the JSON shapes. */
#include "catalog_test.h"

#include <math.h>

#include "base/json.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "catalog/query.h"
#include "catalog/query_impl.h"

#define NOW 100000

struct made {
	const char *name, *license, *architecture, *task, *tags[3];
	uint64_t size;
	int64_t params, downloads;
	enum policy_outcome outcome;
	const char *file;
	const char *content;	/* what its file's digest is of; NULL: the name */
};

static const struct made all[] = {
	{ "acme/alpha", "apache-2.0", "llama", "text-generation", { "en", "gguf" }, 1000, 100, 50, POLICY_PUBLISH, "model.safetensors", NULL },
	{ "acme/beta", "mit", "qwen2", "text-generation", { "en" }, 2000, 200, 40, POLICY_PUBLISH, "model.gguf", NULL },
	{ "Other/Gamma_b", "cc-by-nc-4.0", "llama", "Fill-Mask", { "en", "fr" }, 3000, 300, 30, POLICY_HOLD, "model.safetensors", NULL },
	{ "other/delta", "apache-2.0", "bert", "fill-mask", { "fr" }, 4000, 0, 30, POLICY_PUBLISH, "pytorch_model.bin", NULL },
	{ "legacy", "apache-2.0", NULL, NULL, { NULL }, 5000, 0, 0, POLICY_REJECT, "model.safetensors", NULL },
};

static struct digest sha(const char *text)
{
	struct digest d;

	digest_of(&d, DIGEST_SHA256, text, strlen(text));
	return d;
}

static int64_t make_at(struct db *db, const struct made *m, const char *ref, int64_t now)
{
	struct model_upstream u = { .name = m->name, .upstream = "hub", .downloads = m->downloads, .likes = 1, .modified_at = now };
	struct model_file file = { .path = m->file, .size_bytes = m->size, .sha256 = sha(m->content ? m->content : m->name), .lfs = true, .wanted = true };
	struct model_facts facts = { .license = m->license, .architecture = m->architecture, .task = m->task, .params = m->params, .tags = m->tags };
	char commit[DIGEST_HEX_MAX];
	struct model_plan plan = { .commit = commit, .ref = ref, .files = &file, .n_files = 1 };
	struct model_stored stored = { m->file, file.sha256, m->size };
	struct policy_verdict v = { .outcome = m->outcome, .n_reasons = 1, .summary = "because", .reasons = { { .rule = "license", .outcome = m->outcome, .text = "because" } } };
	int64_t id, rev;

	while (facts.n_tags < 3 && m->tags[facts.n_tags])
		facts.n_tags++;
	digest_of(&file.git_oid, DIGEST_SHA1, m->name, strlen(m->name));
	digest_hex(commit, &file.sha256);
	commit[40] = 0;
	ok(model_upsert(db, &u, now, &id, e));
	plan.model_id = id;
	ok(model_plan(db, &plan, now, &rev, NULL, e));
	ok(model_files_stored(db, rev, &stored, 1, e));
	ok(model_set_facts(db, rev, &facts, e));
	ok(model_conclude(db, rev, &v, now, e));
	return rev;
}

static int64_t make(struct db *db, const struct made *m, int64_t now)
{
	return make_at(db, m, "main", now);
}

/* One more stands in upstream's listing, and is no row of ours. */
static void make_all(struct db *db)
{
	struct model_upstream u = { .name = "acme/listed", .upstream = "hub", .downloads = 99 };
	int64_t id;

	ok(model_upsert(db, &u, 900, &id, e));
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		make(db, &all[i], 1000 + (int64_t)i);
}

/* The names a filter gives, comma-separated in order. */
static void expect(struct db *db, const struct query_filter *f, const char *want)
{
	own(arena) struct arena a;
	own(buf) struct buf got;
	struct query_row *rows;
	const char *next;
	uint64_t models, bytes;
	size_t n;

	arena_init(&a);
	buf_init(&got, 10000);
	ok(query_models(db, f, NOW, &a, &rows, &n, &next, e));
	for (size_t i = 0; i < n; i++)
		buf_printf(&got, i ? ",%s" : "%s", rows[i].m.name);
	assert_string_equal(got.data, want);
	ok(query_count(db, f, NOW, &models, &bytes, e));
	assert_int_equal(models, n);
}

#define filter(...) (&(struct query_filter){ .gated = -1, __VA_ARGS__ })
#define PUBLISHED .state = REVISION_PUBLISHED
#define TAG(name) .tag = { name }, .n_tag = 1
#define LICENSE(id) .license = { id }, .n_license = 1

static void every_filter(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;

	make_all(db);
	expect(db, filter(0), "acme/alpha,acme/beta,legacy,other/delta,Other/Gamma_b");
	expect(db, filter(.author = "acme"), "acme/alpha,acme/beta");
	expect(db, filter(.search = { "listed" }, .n_search = 1), "");
	expect(db, filter(.visible_only = true), "acme/alpha,acme/beta,other/delta");
	expect(db, filter(.license = { "apache-2.0" }, .n_license = 1), "acme/alpha,legacy,other/delta");
	expect(db, filter(.license = { "mit", "cc-by-nc-4.0" }, .n_license = 2), "acme/beta,Other/Gamma_b");
	expect(db, filter(.license = { "wtfpl" }, .n_license = 1), "");
	expect(db, filter(.commercial = true, .max_size = 4000), "acme/alpha,acme/beta,other/delta");
	expect(db, filter(.min_size = 2000, .max_size = 3000), "acme/beta,Other/Gamma_b");
	expect(db, filter(.min_params = 150), "acme/beta,Other/Gamma_b");
	expect(db, filter(.max_params = 250), "acme/alpha,acme/beta");
	expect(db, filter(.format = FORMAT_GGUF), "acme/beta");
	expect(db, filter(.architecture = "llama"), "acme/alpha,Other/Gamma_b");
	expect(db, filter(.task = "fill-mask"), "other/delta,Other/Gamma_b");
	expect(db, filter(.task = "Fill-Mask"), "other/delta,Other/Gamma_b");
	expect(db, filter(.author = "OTHER"), "other/delta,Other/Gamma_b");
	expect(db, filter(.tag = { "en" }, .n_tag = 1), "acme/alpha,acme/beta,Other/Gamma_b");
	expect(db, filter(.tag = { "en", "fr" }, .n_tag = 2), "Other/Gamma_b");
	expect(db, filter(.tag = { "en", "nowhere" }, .n_tag = 2), "");
	expect(db, filter(.state = REVISION_HELD), "Other/Gamma_b");
	expect(db, filter(.state = REVISION_REJECTED, .license = { "apache-2.0" }, .n_license = 1), "legacy");
	expect(db, filter(.search = { "ALPH" }, .n_search = 1), "acme/alpha");
	expect(db, filter(.search = { "a_b" }, .n_search = 1), "Other/Gamma_b");
	expect(db, filter(.search = { "_b" }, .n_search = 1), "Other/Gamma_b");
	expect(db, filter(.search = { "e\"'--" }, .n_search = 1), "");
	expect(db, filter(.search = { "acme", "et" }, .n_search = 2), "acme/beta");
	expect(db, filter(.contains = sha("acme/beta")), "acme/beta");
	expect(db, filter(.contains = sha("nothing")), "");
	expect(db, filter(.sort = QUERY_SORT_SIZE, .descending = true), "legacy,other/delta,Other/Gamma_b,acme/beta,acme/alpha");
	expect(db, filter(.sort = QUERY_SORT_DOWNLOADS, .descending = true), "acme/alpha,acme/beta,Other/Gamma_b,other/delta,legacy");
}

/* Pages of every length, in both directions and by every key, join to the whole without a gap or a repetition. */
static void pages_join(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;

	make_all(db);
	for (int sort = QUERY_SORT_NAME; sort <= QUERY_SORT_SUNSET; sort++) {
		for (size_t limit = 1; limit <= 6; limit++) {
			struct query_filter f = { .gated = -1, .sort = (enum query_sort)sort, .descending = limit % 2, .limit = limit };
			own(arena) struct arena a;
			size_t total = 0, n, pages = 0;
			unsigned seen = 0;

			arena_init(&a);
			do {
				struct query_row *rows;

				ok(query_models(db, &f, NOW, &a, &rows, &n, &f.cursor, e));
				for (size_t i = 0; i < n; i++)
					seen |= 1u << rows[i].m.id;
				total += n;
				assert_true(++pages < 10);
			} while (f.cursor);
			assert_int_equal(total, ARRAY_LEN(all));
			assert_int_equal(__builtin_popcount(seen), ARRAY_LEN(all));
		}
	}
	struct query_filter f = { .gated = -1, .cursor = "zz" };
	own(arena) struct arena a;
	struct query_row *rows;
	size_t n;

	arena_init(&a);
	fails(ERR_USAGE, "cursor", query_models(db, &f, NOW, &a, &rows, &n, &(const char *){ NULL }, e));
}

static void sort_keys(void **state)
{
	enum query_sort s;
	bool down;

	(void)state;
	ok(query_sort_parse(&s, &down, "-size", e));
	assert_int_equal(s, QUERY_SORT_SIZE);
	assert_true(down);
	ok(query_sort_parse(&s, &down, "lastModified", e));
	assert_int_equal(s, QUERY_SORT_MODIFIED);
	fails(ERR_USAGE, "did you mean 'size'", query_sort_parse(&s, &down, "sise", e));
}

/* The plan of the query that a filter becomes, as one line. */
static void plan_of(struct db *db, const struct query_filter *f, const char *order, struct buf *out)
{
	own(read) struct read r = { 0 };
	own(query_where) struct query_where w = { 0 };
	own(arena) struct arena a;
	own(buf) struct buf text;

	arena_init(&a);
	buf_init(&text, QUERY_SQL_MAX);
	ok(read_begin(&r, db, e));
	ok(query_where_build(&w, r.c, f, NOW, &a, e));
	buf_printf(&text, "EXPLAIN QUERY PLAN SELECT m.id, %s FROM %s WHERE %s ORDER BY %s, m.id LIMIT $%d", w.shown, w.from.data, w.where.data, order, query_where_int(&w, 50));
	struct err e = ERR_NONE;
	own(sql) struct sql q = sql_prepare(r.c, text.data, &e);

	query_where_bind(&w, &q);
	buf_reset(out);
	while (sql_row(&q))
		buf_printf(out, "%s; ", sql_get_text(&q, 3));
	assert_int_equal(sql_done(&q), 0);
}

static void plans_are_golden(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;
	own(buf) struct buf plan;

	buf_init(&plan, 10000);
	make_all(db);
	plan_of(db, filter(.license = { "apache-2.0" }, .n_license = 1, .max_size = 4000), "m.downloads DESC", &plan);
	assert_string_equal(plan.data, "SEARCH m USING INDEX model_license (license_id=?); ");
	plan_of(db, filter(.max_size = 4000), "m.downloads DESC", &plan);
	assert_string_equal(plan.data, "SCAN m USING INDEX model_downloads; ");
	plan_of(db, filter(.visible_only = true), "m.modified_at DESC", &plan);
	assert_string_equal(plan.data, "SCAN m USING INDEX model_modified; ");
	plan_of(db, filter(.tag = { "en", "fr" }, .n_tag = 2), "m.downloads DESC", &plan);	/* common tags: walk in order, test each */
	assert_string_equal(plan.data, "SCAN m USING INDEX model_downloads; CORRELATED SCALAR SUBQUERY 1; SEARCH t0 USING PRIMARY KEY (tag_id=? AND model_id=?); "
				       "CORRELATED SCALAR SUBQUERY 2; SEARCH t1 USING PRIMARY KEY (tag_id=? AND model_id=?); ");
	plan_of(db, filter(.sunset_before = 5), "m.sunset_at", &plan);
	assert_string_equal(plan.data, "SEARCH m USING INDEX model_sunset (sunset_at>? AND sunset_at<?); ");
	plan_of(db, filter(.state = REVISION_HELD), "m.name", &plan);
	assert_non_null(strstr(plan.data, "SEARCH u USING COVERING INDEX revision_unsettled (state=?)"));
	plan_of(db, filter(PUBLISHED, .sunset_before = 5), "m.name", &plan);
	if (!strstr(plan.data, "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)") || !strstr(plan.data, "INDEX model_sunset (sunset_at>? AND sunset_at<?)"))
		fail_msg("%s", plan.data);
	plan_of(db, filter(PUBLISHED, TAG("gguf")), "m.downloads DESC", &plan);	/* a row by its id: whose main is retired is found besides */
	if (!strstr(plan.data, "SEARCH model_tag USING PRIMARY KEY (tag_id=?)") || !strstr(plan.data, "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)"))
		fail_msg("%s", plan.data);
	plan_of(db, filter(.contains = sha("x")), "m.name", &plan);
	if (!strstr(plan.data, "SEARCH m USING INTEGER PRIMARY KEY"))
		fail_msg("%s", plan.data);
	assert_non_null(strstr(plan.data, "INDEX blob_sha256 (sha256=?)"));
	assert_non_null(strstr(plan.data, "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"));
}

/* "Which revision holds this file?" may be an older one than the one that is served. */
static void contains_names_the_holder(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;
	const struct made old = { "org/m", "mit", NULL, NULL, { "en" }, 1000, 0, 0, POLICY_PUBLISH, "model.safetensors", NULL };
	int64_t first = make(db, &old, 1000), model, second;
	struct model_upstream u = { .name = "org/m", .upstream = "hub" };
	struct model_file file = { .path = "model.safetensors", .size_bytes = 7, .sha256 = sha("newer"), .lfs = true, .wanted = true };
	struct model_stored stored = { "model.safetensors", file.sha256, 7 };
	struct policy_verdict v = { .outcome = POLICY_PUBLISH, .summary = "because" };
	own(arena) struct arena a;
	struct query_row *rows;
	const char *next;
	size_t n;

	arena_init(&a);
	digest_of(&file.git_oid, DIGEST_SHA1, "newer", 5);
	ok(model_upsert(db, &u, 2000, &model, e));
	struct model_plan plan = { .model_id = model, .commit = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", .ref = "main", .files = &file, .n_files = 1 };
	ok(model_plan(db, &plan, 2000, &second, NULL, e));
	ok(model_files_stored(db, second, &stored, 1, e));
	ok(model_conclude(db, second, &v, 2000, e));
	ok(query_models(db, filter(.contains = sha("org/m")), NOW, &a, &rows, &n, &next, e));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].r.id, first);
	ok(query_models(db, filter(.contains = sha("newer")), NOW, &a, &rows, &n, &next, e));
	assert_int_equal(rows[0].r.id, second);
	ok(query_models(db, filter(.contains = sha("newer"), .state = REVISION_HELD), NOW, &a, &rows, &n, &next, e));
	assert_int_equal(n, 0);
}

#define MARK(model, revision, ...) ok(lifecycle_deprecate(db, &(struct lifecycle_order){ .model_id = model, .revision_id = revision, .who = "test", .reason = "old", __VA_ARGS__ }, &rules, 5000, e))

static void expect_first(struct db *db, const struct query_filter *f, int64_t revision_id)
{
	own(arena) struct arena a;
	struct query_row *rows;
	const char *next;
	size_t n;

	arena_init(&a);
	ok(query_models(db, f, NOW, &a, &rows, &n, &next, e));
	assert_true(n > 0);
	assert_int_equal(rows[0].r.id, revision_id);
}

/* Of a model with several revisions in a state one is shown, and all that is asked for holds for that one. */
static void filters_are_about_the_row_shown(void **state)
{
	static const struct made new = { "org/m", "mit", "llama", NULL, { "two", "license:mit" }, 1000, 0, 9, POLICY_PUBLISH, "model.safetensors", "new" };
	static const struct made old = { "org/m", "apache-2.0", "llama", NULL, { "one" }, 1000, 0, 9, POLICY_PUBLISH, "model.safetensors", "old" };
	static const struct made held = { "org/m", "apache-2.0", "llama", NULL, { "three" }, 1000, 0, 9, POLICY_HOLD, "model.safetensors", "held" };
	const struct policy_lifecycle rules = { 0 };
	struct db *db = ((struct fixture *)*state)->db;
	int64_t second = make(db, &new, 1000), first = make_at(db, &old, NULL, 2000);
	struct model m;
	struct revision r;
	own(arena) struct arena a;

	arena_init(&a);
	make_at(db, &held, NULL, 3000);
	ok(model_revision(db, first, &a, &m, &r, e));
	for (int round = 0; round < 2; round++) {	/* of few models the tag's list is walked, of many the models */
		expect_first(db, filter(PUBLISHED, .search = { "org/m" }, .n_search = 1), second);
		expect(db, filter(PUBLISHED, TAG("two")), "org/m");
		expect(db, filter(PUBLISHED, TAG("one")), "");
		expect(db, filter(PUBLISHED, LICENSE("mit"), .architecture = "llama"), "org/m");
		expect(db, filter(PUBLISHED, TAG("license:mit"), LICENSE("apache-2.0")), "");
		expect(db, filter(.state = REVISION_HELD, TAG("three")), "org/m");
		expect(db, filter(.state = REVISION_HELD, TAG("two")), "");
		for (uint64_t i = 0; i < 40 && !round; i++)
			make(db, &(struct made){ arena_printf(&a, "many/m%02d", (int)i), "gemma", NULL, NULL, { "much" }, 1, 0, 1, POLICY_PUBLISH, "model.gguf", NULL }, 1000);
	}
	MARK(m.id, first, .sunset_at = 900000);
	expect(db, filter(PUBLISHED, .deprecated = true), "");
	expect(db, filter(PUBLISHED, .sunset_before = 900001), "");
	MARK(m.id, second, .sunset_at = 800000);
	expect(db, filter(PUBLISHED, .deprecated = true), "org/m");
	expect(db, filter(PUBLISHED, .sunset_before = 800001), "org/m");
	expect_first(db, filter(PUBLISHED, .sort = QUERY_SORT_SUNSET, .descending = true), second);
	expect(db, filter(.state = REVISION_HELD, .sunset_before = 900001), "");
	expect_first(db, filter(PUBLISHED, .sort = QUERY_SORT_SUNSET), second);	/* before all that have no end */
	expect_first(db, filter(.sort = QUERY_SORT_SUNSET), second);
	MARK(m.id, 0, .sunset_at = 700000);
	expect(db, filter(.state = REVISION_HELD, .sunset_before = 700001), "org/m");
	/* Its main is retired: what else is published is what there is. */
	ok(lifecycle_retire(db, &(struct lifecycle_order){ .model_id = m.id, .revision_id = second, .who = "test" }, 6000, e));
	expect_first(db, filter(PUBLISHED, TAG("one")), first);
	expect(db, filter(PUBLISHED, TAG("two")), "");
	expect(db, filter(PUBLISHED, LICENSE("apache-2.0"), .sunset_before = 700001), "org/m");
	expect(db, filter(PUBLISHED, .sunset_before = 700000), "");
}

static void sums(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;
	struct err e = ERR_NONE;

	make_all(db);
	own(json) json_t *licenses = query_licenses(db, &e);
	own(json) json_t *facets = query_facets(db, filter(.license = { "apache-2.0" }, .n_license = 1), NOW, &e);
	own(json) json_t *totals = query_totals(db, &e);
	own(mem) char *first = json_text(json_array_get(licenses, 0));
	own(mem) char *formats = json_text(json_object_get(facets, "format"));
	own(mem) char *states = json_text(json_object_get(facets, "state"));

	assert_string_equal(first, "{\"bytes\":10000,\"commercial_use\":\"yes\",\"id\":\"apache-2.0\",\"models\":3,\"name\":\"Apache License 2.0\",\"spdx\":\"Apache-2.0\"}");
	assert_string_equal(formats, "[{\"bytes\":6000,\"models\":2,\"value\":\"safetensors\"},{\"bytes\":4000,\"models\":1,\"value\":\"pickle\"}]");
	assert_string_equal(states, "[{\"bytes\":5000,\"models\":2,\"value\":\"published\"},{\"bytes\":5000,\"models\":1,\"value\":\"rejected\"}]");
	assert_int_equal(json_get_int(totals, "published", 0), 3);
	assert_int_equal(json_get_int(totals, "held", 0), 1);
	assert_int_equal(json_get_int(totals, "blob_bytes", 0), 15000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(every_filter), with_fixture(pages_join), cmocka_unit_test(sort_keys), with_fixture(plans_are_golden), with_fixture(sums), with_fixture(contains_names_the_holder),
		with_fixture(filters_are_about_the_row_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
