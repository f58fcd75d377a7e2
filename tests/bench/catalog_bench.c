/*
 * catalog_bench.c - how long questions to a big catalog take: catalog_bench FILE [ROUNDS]. Prints one line a question: name, p50 and p99 in
 * milliseconds over random instances, warm, and the same of the processor's time. FILE is made by catalog_gen. With "index" behind ROUNDS the posting index is loaded first; with "writer" behind that only
 * the reader beside a writer is measured, with other words the questions that begin with them.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/event.h"
#include "catalog/query.h"

#define NOW 1795000000

static uint64_t seed = 42;

static uint64_t next(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 33;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What this thread has computed: on a machine that others use too, it tells what the reader pays for the writer from what it pays for them. */
static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static const char *tag_of(struct arena *a, uint64_t rank)
{
	return arena_printf(a, "tag:%llu", (unsigned long long)rank);
}

/* A number between the two, small ones as often as large ones. */
static uint64_t any_scale(double from, double to)
{
	return (uint64_t)(from * pow(to / from, (double)next() * 0x1p-31));
}

static const char *const licences[] = { "apache-2.0", "mit", "other", "cc-by-4.0", "gemma", "llama3.1", "gpl-3.0", "cc-by-nc-4.0" };
static const char *const tasks[] = { "text-generation", "fill-mask", "image-classification", "question-answering" };
static const char *const architectures[] = { "LlamaForCausalLM", "BertForMaskedLM", "architecture3", "architecture400" };
static const char *const wide_tags[] = { "region:us", "safetensors", "transformers", "gguf" };
static const char *const texts[] = { "llama", "qwen2", "instruct", "gguf", "mistral-7b", "author12/", "coder-math", "roberta-large", "zzz" };

typedef void shape(struct query_filter *f, struct arena *a);

static void licence_size(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->license[0] = "apache-2.0";
	f->n_license = 1;
	f->max_size = 20000000000;
}

static void any_licence_size(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->license[0] = licences[next() % ARRAY_LEN(licences)];
	f->n_license = 1;
	f->max_size = 1000000 + next() * next() % 100000000000;
}

static void common_tags(struct query_filter *f, struct arena *a)
{
	f->tag[0] = tag_of(a, next() % 5);
	f->tag[1] = tag_of(a, 5 + next() % 20);
	f->n_tag = 2;
}

static void common_mid(struct query_filter *f, struct arena *a)
{
	f->tag[0] = tag_of(a, next() % 10);
	f->tag[1] = tag_of(a, 200 + next() % 2000);
	f->n_tag = 2;
}

static void mid_mid(struct query_filter *f, struct arena *a)
{
	f->tag[0] = tag_of(a, 50 + next() % 500);
	f->tag[1] = tag_of(a, 50 + next() % 500);
	f->n_tag = 2;
}

static void rare_common(struct query_filter *f, struct arena *a)
{
	f->tag[0] = tag_of(a, next() % 10);
	f->tag[1] = tag_of(a, 20000 + next() % 100000);
	f->n_tag = 2;
}

static void tags_and_filters(struct query_filter *f, struct arena *a)
{
	mid_mid(f, a);
	f->n_tag = 1;
	f->license[0] = licences[next() % 3];
	f->n_license = 1;
	f->max_size = 20000000000;
	f->task = "text-generation";
}

static void by_author(struct query_filter *f, struct arena *a)
{
	f->author = arena_printf(a, "Author%llu", (unsigned long long)(next() % 100000));
}

/* --- for facets: what lets most models through, half of them, or a few --- */

static void everything(struct query_filter *f, struct arena *a)
{
	(void)f;
	(void)a;
}

static void wide_tag(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->tag[f->n_tag++] = wide_tags[next() % ARRAY_LEN(wide_tags)];
}

static void wide_tags_both(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->tag[0] = wide_tags[next() % 2];
	f->tag[1] = wide_tags[2 + next() % 2];
	f->n_tag = 2;
}

static void common_tag(struct query_filter *f, struct arena *a)
{
	f->tag[f->n_tag++] = tag_of(a, next() % 20);
}

static void any_size(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->max_size = any_scale(1e6, 1e12);
	f->min_size = next() % 2 ? any_scale(1e6, 1e12) : 0;
}

static void tag_size(struct query_filter *f, struct arena *a)
{
	if (next() % 2)
		wide_tag(f, a);
	else
		common_tag(f, a);
	f->max_size = any_scale(1e8, 1e11);
}

static void any_format(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->format = (enum format)(FORMAT_SAFETENSORS + next() % 4);
}

/* Those with thousands of models, which the one drawn by by_author() hardly ever has. */
static void big_author(struct query_filter *f, struct arena *a)
{
	f->author = arena_printf(a, "Author%llu", (unsigned long long)(next() % 20));
}

static void some_licences(struct query_filter *f, struct arena *a)
{
	(void)a;
	for (size_t i = 0, n = 2 + next() % 4; i < n; i++)
		f->license[f->n_license++] = licences[(i * 2 + next() % 2) % ARRAY_LEN(licences)];
	f->commercial = next() % 2;
}

/* Everything that a person can click together. */
static void any_mix(struct query_filter *f, struct arena *a)
{
	for (uint64_t n = next() % 3; f->n_tag < n;)
		f->tag[f->n_tag++] = next() % 2 ? wide_tags[next() % ARRAY_LEN(wide_tags)] : tag_of(a, any_scale(1, 30000));
	for (uint64_t n = next() % 2 ? next() % 4 : 0; f->n_license < n;)
		f->license[f->n_license++] = licences[next() % ARRAY_LEN(licences)];
	f->max_size = next() % 2 ? any_scale(1e7, 1e12) : 0;
	f->min_size = next() % 4 ? 0 : any_scale(1e6, 1e11);
	f->max_params = next() % 5 ? 0 : (int64_t)any_scale(1e7, 1e11);
	f->min_params = next() % 5 ? 0 : (int64_t)any_scale(1e6, 1e10);
	f->format = next() % 3 ? FORMAT_NONE : (enum format)(FORMAT_SAFETENSORS + next() % 4);
	f->task = next() % 3 ? NULL : tasks[next() % ARRAY_LEN(tasks)];
	f->architecture = next() % 5 ? NULL : architectures[next() % ARRAY_LEN(architectures)];
	f->quantization = next() % 10 ? NULL : "Q4_K_M";
	f->gated = next() % 5 ? -1 : (int)(next() % 2);
	f->commercial = next() % 5 == 0;
	f->visible_only = next() % 4 != 0;
	if (next() % 10 == 0)
		big_author(f, a);
}

static void search(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->search[0] = texts[next() % ARRAY_LEN(texts)];
	f->n_search = 1;
}

static void newest(struct query_filter *f, struct arena *a)
{
	(void)a;
	f->sort = QUERY_SORT_MODIFIED;
}

#define KNOWN_MAX 20000
static const char *known_names[KNOWN_MAX];
static size_t n_known_names;

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void fail(const struct err *e)
{
	fprintf(stderr, "catalog_bench: %s\n", e->msg);
	exit(1);
}

static void page(struct db *db, const struct query_filter *f, struct arena *a)
{
	struct query_row *rows;
	struct err e = ERR_NONE;
	const char *cursor;
	size_t n;

	if (query_models(db, f, NOW, a, &rows, &n, &cursor, &e) < 0)
		fail(&e);
}

static void facets(struct db *db, const struct query_filter *f, struct arena *a)
{
	struct err e = ERR_NONE;
	json_t *j = query_facets(db, f, NOW, &e);

	(void)a;
	if (!j)
		fail(&e);
	json_decref(j);
}

/* What the first page of the daemon asks. */
static void page_and_facets(struct db *db, const struct query_filter *f, struct arena *a)
{
	page(db, f, a);
	facets(db, f, a);
}

/* Times `rounds` instances of a question, after a tenth as many that do not count. */
static void time_rounds(struct db *db, shape *make, void (*ask)(struct db *, const struct query_filter *, struct arena *), int rounds, double *ms, double *cpu)
{
	for (int i = -rounds / 10 - 1; i < rounds; i++) {
		struct query_filter f = { .gated = -1, .visible_only = true, .sort = QUERY_SORT_DOWNLOADS, .descending = true, .limit = 50 };
		struct arena a;
		double start, start_cpu;

		arena_init(&a);
		make(&f, &a);
		start = now_ms();
		start_cpu = cpu_ms();
		ask(db, &f, &a);
		if (i >= 0) {
			cpu[i] = cpu_ms() - start_cpu;
			ms[i] = now_ms() - start;
		}
		arena_done(&a);
	}
}

static void print_times(const char *name, double *ms, double *cpu, int n)
{
	qsort(ms, (size_t)n, sizeof(*ms), compare);
	qsort(cpu, (size_t)n, sizeof(*cpu), compare);
	printf("%-44s p50 %8.3f ms   p99 %8.3f ms   of the processor %.3f, %.3f ms\n", name, ms[n / 2], ms[n * 99 / 100], cpu[n / 2], cpu[n * 99 / 100]);
	fflush(stdout);
}

static void measure(struct db *db, const char *name, shape *make, void (*ask)(struct db *, const struct query_filter *, struct arena *), int rounds)
{
	double *ms = mem_zalloc(2 * (size_t)rounds * sizeof(*ms));

	time_rounds(db, make, ask, rounds, ms, ms + rounds);
	print_times(name, ms, ms + rounds, rounds);
	free(ms);
}

/* --- a writer at work ------------------------------------------------------------------------------------------------------------- */

#define BATCH 1000

struct writer {
	struct db *db;
	atomic_bool stop;
	uint64_t rows, batch;
	double ms;
};

/* A listing as upstream answers it: four known models to one new one, some of which have changed. */
static void write_batch(struct writer *w)
{
	static struct model_upstream u[BATCH];
	struct err e = ERR_NONE;
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < BATCH; i++) {
		uint64_t r = (w->batch * BATCH + i) * 2654435761u % 1000003;

		u[i] = (struct model_upstream){ .upstream = "hub", .gated = (int)(r % 50 == 0), .is_private = 0, .disabled = 0, .downloads = (int64_t)(r * 7), .likes = (int64_t)(r % 100),
						.modified_at = NOW - (int64_t)r };
		u[i].name = i % 5 == 0 ? arena_printf(&a, "fresh%llu/model-%llu-%zu", (unsigned long long)(r % 1000), (unsigned long long)w->batch, i)
				       : known_names[r % n_known_names];
	}
	if (model_upsert_many(w->db, u, BATCH, NOW, NULL, NULL, NULL, &e) < 0)
		fail(&e);
	w->batch++;
	w->rows += BATCH;
	arena_done(&a);
}

static void *write_on(void *arg)
{
	struct writer *w = arg;
	double start = now_ms();

	do
		write_batch(w);
	while (!atomic_load(&w->stop));
	w->ms += now_ms() - start;
	return NULL;
}

static void learn_names(struct db *db)
{
	struct query_filter f = { .gated = -1, .limit = 1000, .sort = QUERY_SORT_DOWNLOADS, .descending = true };
	static struct arena a;

	arena_init(&a);
	for (int page = 0; page < 20; page++) {
		struct query_row *rows;
		struct err e = ERR_NONE;
		size_t n;

		if (query_models(db, &f, NOW, &a, &rows, &n, &f.cursor, &e) < 0)
			fail(&e);
		for (size_t i = 0; i < n && n_known_names < KNOWN_MAX; i++)
			known_names[n_known_names++] = rows[i].m.name;
		if (!f.cursor)
			break;
	}
}

#define TURNS 6

/* Times and CPU times of a reader, over all turns. */
struct reader {
	double *ms, *cpu;
	int n;
};

static void read_on(struct db *db, struct reader *r, shape *make, int rounds)
{
	time_rounds(db, make, page, rounds, r->ms + r->n, r->cpu + r->n);
	r->n += rounds;
}

static void print_ratio(const char *name, double *beside, double *alone, int n)
{
	qsort(beside, (size_t)n, sizeof(*beside), compare);
	qsort(alone, (size_t)n, sizeof(*alone), compare);
	printf("%-44s p50 %8.2fx     p99 %8.2fx\n", name, beside[n / 2] / alone[n / 2], beside[n * 99 / 100] / alone[n * 99 / 100]);
}

static struct reader reader_new(int n)
{
	return (struct reader){ mem_zalloc((size_t)n * sizeof(double)), mem_zalloc((size_t)n * sizeof(double)), 0 };
}

static void read_beside(struct db *db, struct writer *w, struct reader *r, shape *make, int rounds)
{
	pthread_t thread;

	atomic_store(&w->stop, false);
	if (pthread_create(&thread, NULL, write_on, w) != 0)
		abort();
	read_on(db, r, make, rounds);
	atomic_store(&w->stop, true);
	pthread_join(thread, NULL);
}

/*
 * A reader alone and beside the writer by turns, so that a noisy minute falls on both, and each as often first. They ask different questions of a kind: what the one
 * has read would be in memory for the other.
 */
static void compare_readers(struct db *db, struct writer *w, const char *name, shape *make, int rounds)
{
	struct reader alone = reader_new(rounds * TURNS), beside = reader_new(rounds * TURNS);
	char line[64];

	w->rows = 0;
	w->ms = 0;
	for (int turn = 0; turn < TURNS; turn++) {
		if (turn % 2)
			read_beside(db, w, &beside, make, rounds);
		read_on(db, &alone, make, rounds);
		if (turn % 2 == 0)
			read_beside(db, w, &beside, make, rounds);
	}
	snprintf(line, sizeof(line), "a reader of %s, alone", name);
	print_times(line, alone.ms, alone.cpu, alone.n);
	print_times("  beside a writer", beside.ms, beside.cpu, beside.n);
	print_ratio("  beside against alone", beside.ms, alone.ms, alone.n);
	print_ratio("  the reader's own CPU time", beside.cpu, alone.cpu, alone.n);
	printf("%-44s %12.0f rows/s\n", "  the writer meanwhile", (double)w->rows / w->ms * 1e3);
}

static void under_a_writer(struct db *db, int rounds)
{
	struct writer w = { .db = db };
	struct err e = ERR_NONE;
	double start;

	learn_names(db);
	start = now_ms();
	for (int i = 0; i < 10; i++)
		write_batch(&w);
	printf("%-44s %12.0f rows/s\n", "durable upserts, 1000 a batch", (double)w.rows / (now_ms() - start) * 1e3);
	compare_readers(db, &w, "first pages", any_licence_size, rounds);
	compare_readers(db, &w, "rare pages", mid_mid, rounds);
	if (event_verify(db, &(struct digest){ 0 }, NULL, NULL, &e) < 0)
		fail(&e);
}

static const struct {
	const char *name;
	shape *make;
	void (*ask)(struct db *, const struct query_filter *, struct arena *);
} questions[] = {
	{ "apache-2.0, < 20 GB, by downloads", licence_size, page },
	{ "any licence, any size", any_licence_size, page },
	{ "two common tags", common_tags, page },
	{ "common and middling tag", common_mid, page },
	{ "two middling tags", mid_mid, page },
	{ "rare and common tag", rare_common, page },
	{ "tag, licence, size and task", tags_and_filters, page },
	{ "author, any case", by_author, page },
	{ "author of thousands, any case", big_author, page },
	{ "by last change", newest, page },
	{ "substring, by downloads", search, page },
	{ "facets of a tag with filters", tags_and_filters, facets },
	{ "facets of a licence and size", any_licence_size, facets },
	{ "facets of everything", everything, facets },
	{ "facets of a wide tag", wide_tag, facets },
	{ "facets of two wide tags", wide_tags_both, facets },
	{ "facets of a common tag", common_tag, facets },
	{ "facets of two common tags", common_tags, facets },
	{ "facets of a size", any_size, facets },
	{ "facets of a tag and size", tag_size, facets },
	{ "facets of a format", any_format, facets },
	{ "facets of an author of thousands", big_author, facets },
	{ "facets of some licences", some_licences, facets },
	{ "any mix: page", any_mix, page },
	{ "any mix: page and facets", any_mix, page_and_facets },
};

static void all_questions(struct db *db, const char *words, int rounds)
{
	for (size_t i = 0; i < ARRAY_LEN(questions); i++)
		if (str_starts(questions[i].name, words))
			measure(db, questions[i].name, questions[i].make, questions[i].ask, rounds);
	if (!*words)
		printf("%-44s %12.2f GB\n", "size of the catalog", (double)db_size_bytes(db) / 1e9);
}

int main(int argc, char **argv)
{
	struct err e = ERR_NONE;
	struct db *db;
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 200;
	double start = now_ms();

	if (argc < 2 || rounds < 10)
		return fprintf(stderr, "catalog_bench FILE [ROUNDS] [index] [writer|WORDS]\n"), 2;
	if (db_open(&db, argv[1], 0, &e) < 0)
		fail(&e);
	struct arena a;

	arena_init(&a);
	page(db, &(struct query_filter){ .gated = -1, .license = { "apache-2.0" }, .n_license = 1, .sort = QUERY_SORT_DOWNLOADS, .descending = true, .limit = 50 }, &a);
	arena_done(&a);
	printf("%-44s %12.1f ms\n", "open and first answer by licence", now_ms() - start);
	if (argc > 3) {
		start = now_ms();
		if (query_index_load(db, UINT64_MAX, &e) < 0)
			fail(&e);
		printf("%-44s %12.1f ms\n", "load the posting index", now_ms() - start);
	}
	if (argc < 5 || strcmp(argv[4], "writer") != 0)
		all_questions(db, argc > 4 ? argv[4] : "", rounds);
	if (argc < 5 || strcmp(argv[4], "writer") == 0)
		under_a_writer(db, rounds);
	if (argc < 5)
		measure(db, "any mix: page and facets, behind the writer", any_mix, page_and_facets, rounds);
	db_close(db);
	return 0;
}
