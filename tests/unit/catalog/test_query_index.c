/*
 * test_query_index.c - the posting index and the rows kept in memory give SQLite's answers: the same catalog is opened twice, with the index loaded and without, and
 * asked random questions; also behind changes that came after the load, and while it was made.
 */
#include "catalog_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "base/vec.h"
#include "catalog/lifecycle.h"
#include "catalog/query.h"
#include "catalog/sql.h"

#define NOW  100000
#define MADE 5000	/* when what is marked is marked: some sunsets lie between the two */

/* Some terms are carried by nearly all, some by few: the index keeps them in different ways. */
static const char *const licenses[] = { "apache-2.0", "apache-2.0", "apache-2.0", "mit", "mit", "gemma", "cc-by-nc-4.0", "wtfpl" };
static const char *const tags[] = { "all", "all", "all", "half", "half", "en", "fr", "de", "rare" };
static const char *const authors[] = { "org/", "Org/", "ORG2/", "org2/", "other/", "" };
static const char *const paths[] = { "model.safetensors", "model.gguf", "pytorch_model.bin", "model.onnx" };

static uint64_t seed = 1;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

#define any_of(list) ((list)[rnd(ARRAY_LEN(list))])

static struct model_facts random_facts(const char **carried)
{
	static const char *const tasks[] = { "text-generation", "fill-mask", NULL }, *const architectures[] = { "llama", "bert", "qwen2", NULL };
	struct model_facts f = { .license = any_of(licenses), .task = any_of(tasks), .architecture = any_of(architectures), .params = (int64_t)rnd(500),
				 .quantization = rnd(3) ? NULL : "Q4_K_M", .library = rnd(2) ? "transformers" : "diffusers", .tags = carried };

	for (uint64_t n = rnd(5); f.n_tags < n; f.n_tags++)
		carried[f.n_tags] = any_of(tags);
	return f;
}

/* Model i, with other facts each time; the later of two plans is shown. */
static void make(struct db *db, uint64_t i, int64_t now)
{
	static const enum policy_outcome outcomes[] = { POLICY_PUBLISH, POLICY_PUBLISH, POLICY_PUBLISH, POLICY_HOLD };
	const char *carried[8];
	char name[64], content[64], commit[DIGEST_HEX_MAX];
	struct model_facts facts = random_facts(carried);
	struct model_upstream u = { .name = name, .upstream = "hub", .downloads = (int64_t)rnd(20), .gated = (int)rnd(3), .likes = 1, .modified_at = now };
	struct model_file file = { .path = any_of(paths), .size_bytes = rnd(20) ? 1 + rnd(5000) : (1ull << 40) - 2 + rnd(4), .lfs = true, .wanted = true };
	struct model_plan plan = { .commit = commit, .ref = "main", .files = &file, .n_files = 1 };
	enum policy_outcome outcome = any_of(outcomes);
	struct policy_verdict v = { .outcome = outcome, .n_reasons = 1, .summary = "because", .reasons = { { .rule = "license", .outcome = outcome, .text = "because" } } };
	struct model_stored stored;
	int64_t rev;

	snprintf(name, sizeof(name), "%smodel%llu", authors[i % ARRAY_LEN(authors)], (unsigned long long)i);
	snprintf(content, sizeof(content), "%llu", (unsigned long long)seed);
	digest_of(&file.sha256, DIGEST_SHA256, content, strlen(content));
	digest_of(&file.git_oid, DIGEST_SHA1, content, strlen(content));
	digest_hex(commit, &file.sha256);
	commit[40] = 0;
	stored = (struct model_stored){ file.path, file.sha256, file.size_bytes };
	ok(model_upsert(db, &u, now, &plan.model_id, e));
	if (!rnd(8))
		return;		/* metadata alone, or what was there before with other downloads */
	ok(model_plan(db, &plan, now, &rev, NULL, e));
	ok(model_files_stored(db, rev, &stored, 1, e));
	ok(model_set_facts(db, rev, &facts, e));
	ok(model_conclude(db, rev, &v, now, e));
	if (!rnd(6) && outcome == POLICY_PUBLISH)
		ok(lifecycle_deprecate(db, &(struct lifecycle_order){ .model_id = plan.model_id, .who = "test", .reason = "old", .sunset_at = rnd(3) ? MADE + (int64_t)rnd(2 * NOW) + 1 : 0 },
				       &(struct policy_lifecycle){ 0 }, MADE, e));
}

static struct query_filter random_filter(void)
{
	static const char *const asked[] = { "org", "ORG2", "oTher", "nobody", "" }, *const words[] = { "DEL1", "7", "org", "2/model", "model" };
	struct query_filter f = { .gated = rnd(4) ? -1 : (int)rnd(2), .sort = QUERY_SORT_DOWNLOADS, .descending = true, .limit = 1 + rnd(20), .visible_only = rnd(3) };

	for (uint64_t n = rnd(3); f.n_tag < n;)
		f.tag[f.n_tag++] = rnd(12) ? any_of(tags) : "nowhere";
	for (uint64_t n = rnd(2) ? rnd(4) : 0; f.n_license < n;)
		f.license[f.n_license++] = rnd(12) ? any_of(licenses) : "unheard-of";
	f.task = rnd(3) ? NULL : "fill-mask";
	f.library = rnd(4) ? NULL : "diffusers";
	f.architecture = rnd(4) ? NULL : "llama";
	f.quantization = rnd(6) ? NULL : "Q4_K_M";
	f.author = rnd(6) ? NULL : any_of(asked);
	f.max_size = rnd(2) ? 0 : rnd(8) ? rnd(5000) : (1ull << 40) - 2 + rnd(4);
	f.min_size = rnd(3) ? 0 : rnd(8) ? rnd(4000) : (1ull << 40) - 2 + rnd(4);
	f.min_params = rnd(3) ? 0 : (int64_t)rnd(500);
	f.max_params = rnd(4) ? 0 : (int64_t)rnd(500);
	f.format = rnd(4) ? FORMAT_NONE : (enum format)(FORMAT_SAFETENSORS + rnd(4));
	f.commercial = !rnd(4);
	f.deprecated = !rnd(8);
	f.sunset_before = rnd(8) ? 0 : MADE + (int64_t)rnd(2 * NOW);
	if (!rnd(4))
		f.search[f.n_search++] = any_of(words);
	return f;
}

/* Everything that a row says. */
static void put_row(struct buf *out, const struct query_row *row)
{
	const struct model *m = &row->m;
	const struct revision *r = &row->r;

	buf_printf(out, "%lld %s %s %s %d %d %d %lld %lld %lld %lld %lld %lld; ", (long long)m->id, m->name, m->author, m->upstream, m->gated, m->is_private, m->disabled,
		   (long long)m->vanished_at, (long long)m->downloads, (long long)m->likes, (long long)m->created_at, (long long)m->modified_at, (long long)m->checked_at);
	buf_printf(out, "%lld %lld %s %d %s %d %lld %lld %lld %s %lld ", (long long)r->id, (long long)r->model_id, r->commit, r->state, r->reason, r->proof, (long long)r->planned_at,
		   (long long)r->state_at, (long long)r->published_at, r->title, (long long)r->commit_at);
	buf_printf(out, "%s %s %s %llu %lld %s %s %s %s %s %lld %u\n", r->license, r->license_name, r->license_source, (unsigned long long)r->size_bytes, (long long)r->params, r->dtypes,
		   r->architecture, r->quantization, r->task, r->library, (long long)r->context_length, r->formats);
}

/* All pages of the filter, and its facets, as one text. */
static char *answer_of(struct db *db, struct query_filter f)
{
	struct err problem = ERR_NONE;
	own(arena) struct arena a;
	struct buf out;
	own(json) json_t *facets = query_facets(db, &f, NOW, &problem);
	own(mem) char *text = json_text(facets);

	arena_init(&a);
	buf_init(&out, 16 << 20);
	do {
		struct query_row *rows;
		size_t n;

		ok(query_models(db, &f, NOW, &a, &rows, &n, &f.cursor, e));
		for (size_t i = 0; i < n; i++)
			put_row(&out, &rows[i]);
		buf_puts(&out, ";\n");
	} while (f.cursor);
	buf_puts(&out, text);
	return buf_take(&out);
}

static void compare_answers(struct db *indexed, struct db *plain, int times)
{
	for (int i = 0; i < times; i++) {
		struct query_filter f = random_filter();
		own(mem) char *a = answer_of(indexed, f);
		own(mem) char *b = answer_of(plain, f);

		assert_string_equal(a, b);
	}
}

static void the_index_agrees(void **state)
{
	struct fixture *fx = *state;
	struct query_row *rows;
	own(arena) struct arena a;
	struct db *plain;
	const char *next;
	size_t n;

	arena_init(&a);
	ok(query_index_load(fx->db, UINT64_MAX, e));	/* of nothing */
	ok(db_open(&plain, fx->path, 0, e));
	for (uint64_t i = 0; i < 40; i++)
		make(fx->db, i, 500);
	compare_answers(fx->db, plain, 100);
	for (uint64_t i = 40; i < 200; i++)
		make(fx->db, i, 1000);
	ok(query_index_load(fx->db, UINT64_MAX, e));
	compare_answers(fx->db, plain, 250);
	for (uint64_t i = 170; i < 240; i++)	/* some again, with other facts and downloads, some new */
		make(fx->db, i, 2000);
	compare_answers(fx->db, plain, 250);
	for (uint64_t i = 235; i < 240; i++)	/* and again */
		make(fx->db, i, 3000);
	compare_answers(fx->db, plain, 100);
	ok(query_index_load(fx->db, UINT64_MAX, e));
	compare_answers(fx->db, plain, 100);
	fails(ERR_LIMIT, "posting index", query_index_load(fx->db, 10, e));
	ok(query_models(fx->db, &(struct query_filter){ .gated = -1 }, NOW, &a, &rows, &n, &next, e));
	db_close(plain);
}

struct changing {
	struct db *db;
	atomic_bool stop;
	uint64_t seed;
};

/* Has its own numbers: rnd() is the other thread's. */
static void *change_on(void *arg)
{
	struct changing *c = arg;

	while (!atomic_load(&c->stop)) {
		char name[64];
		struct model_upstream u = { .name = name, .upstream = "hub", .gated = -1, .likes = 1, .modified_at = 4000 };
		int64_t id;

		c->seed = c->seed * 6364136223846793005ull + 1442695040888963407ull;
		u.downloads = (int64_t)(c->seed >> 40) % 20;
		snprintf(name, sizeof(name), "%smodel%llu", authors[(c->seed >> 33) % 100 % ARRAY_LEN(authors)], (unsigned long long)(c->seed >> 33) % 100);
		ok(model_upsert(c->db, &u, 4000, &id, e));
	}
	return NULL;
}

/* What is committed while an index is made must be in it. */
static void nothing_is_missed_meanwhile(void **state)
{
	struct fixture *fx = *state;
	struct changing c = { .db = fx->db, .seed = 7 };
	struct db *plain;
	pthread_t thread;

	for (uint64_t i = 0; i < 80; i++)
		make(fx->db, i, 1000);
	ok(db_open(&plain, fx->path, 0, e));
	for (int round = 0; round < 3; round++) {
		atomic_store(&c.stop, false);
		assert_int_equal(pthread_create(&thread, NULL, change_on, &c), 0);
		for (int i = 0; i < 3; i++) {
			ok(query_index_load(fx->db, UINT64_MAX, e));
			for (int k = 0; k < 20; k++)
				free(answer_of(fx->db, random_filter()));	/* fills the memory with rows that change */
		}
		atomic_store(&c.stop, true);
		pthread_join(thread, NULL);
		compare_answers(fx->db, plain, 50);
	}
	db_close(plain);
}

/* Changes that are no listing's business are seen in it all the same. */
static void changed_rows_are_seen(void **state)
{
	struct fixture *fx = *state;
	struct query_filter f = { .gated = -1, .sort = QUERY_SORT_DOWNLOADS, .descending = true, .limit = 10 };
	struct lifecycle_order order = { .who = "test", .reason = "because" };
	struct query_row *rows;
	own(arena) struct arena a;
	struct db *plain;
	const char *next;
	size_t n;

	arena_init(&a);
	for (uint64_t i = 0; i < 10; i++)
		make(fx->db, i, 1000);
	ok(db_open(&plain, fx->path, 0, e));
	ok(query_index_load(fx->db, UINT64_MAX, e));
	ok(query_models(plain, &f, NOW, &a, &rows, &n, &next, e));
	assert_in_range(n, 5, 9);	/* some have no revision */
	for (size_t i = 0; i < n; i++) {
		order.model_id = rows[i].m.id;
		for (int step = 0; step < 4; step++) {
			own(mem) char *one = answer_of(fx->db, f);
			own(mem) char *two = answer_of(plain, f);

			assert_string_equal(one, two);
			if (rows[i].r.id && step == 0)
				ok(model_set_proof(fx->db, rows[i].r.id, PROOF_COMMIT, e));
			else if (step == 1)
				ok(model_saw_gone(fx->db, rows[i].m.id, true, 5000, e));
			else if (rows[i].r.state == REVISION_PUBLISHED && step == 2)
				ok(lifecycle_retire(fx->db, &order, 5000, e));
		}
	}
	db_close(plain);
}

/* An empty revision of each model, which makes it a row: by SQL, for thousands of plans would take minutes. */
static void plan_nothing(struct db *db)
{
	own(tx) struct tx t = { 0 };

	ok(tx_begin(&t, db, e));
	{
		own(sql) struct sql plan = sql_prepare(t.c, "INSERT INTO revision (model_id, commit_id, state, planned_at, state_at) SELECT id, zeroblob(20), 1, 1, 1 FROM model", NULL);
		own(sql) struct sql show = sql_prepare(t.c, "UPDATE model SET state = 1, revision_id = r.id FROM revision AS r WHERE r.model_id = model.id", NULL);

		ok(sql_run(&plan));
		ok(sql_run(&show));
	}
	ok(tx_commit(&t, e));
}

/* A page whose rows lie behind thousands that are too small; and more models than there is room for in memory. */
static void few_among_many(void **state)
{
	enum { MANY = 9000 };
	struct fixture *fx = *state;
	static struct model_upstream u[MANY];
	static char names[MANY][32];
	struct query_filter f = { .gated = -1, .sort = QUERY_SORT_DOWNLOADS, .descending = true, .limit = 7 };
	struct db *plain;

	for (size_t i = 0; i < 2 * MANY; i++) {
		struct model_upstream *one = &u[i % MANY];

		snprintf(names[i % MANY], sizeof(names[0]), "many/%zu", i);
		*one = (struct model_upstream){ .name = names[i % MANY], .upstream = "hub", .gated = -1, .is_private = -1, .disabled = -1, .downloads = 1000, .likes = -1 };
		if (i % MANY == MANY - 1)
			ok(model_upsert_many(fx->db, u, MANY, 500, NULL, NULL, NULL, e));
	}
	plan_nothing(fx->db);
	for (uint64_t i = 0; i < 60; i++)
		make(fx->db, i, 1000);
	ok(db_open(&plain, fx->path, 0, e));
	ok(query_index_load(fx->db, UINT64_MAX, e));
	for (uint64_t least = 0; least < 4000; least += 500) {
		f.limit = least ? 7 : 1000;
		f.min_size = least;
		f.min_params = (int64_t)least / 20;
		own(mem) char *a = answer_of(fx->db, f);
		own(mem) char *b = answer_of(plain, f);

		assert_string_equal(a, b);
	}
	db_close(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = { with_fixture(the_index_agrees), with_fixture(nothing_is_missed_meanwhile), with_fixture(changed_rows_are_seen), with_fixture(few_among_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
