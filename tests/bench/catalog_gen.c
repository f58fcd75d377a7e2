/*
 * catalog_gen.c - a catalog as large as the Hub, for measuring: catalog_gen FILE MODELS [files]. The schema is the program's own; rows are
 * written straight into it, because a bench needs minutes and the proper way would take hours. Distributions (tags and files a model,
 * how often a tag, licence or task occurs, downloads, sizes) follow the recorded Hub corpora of 2022 and 2026, of which the latter has tags that
 * nearly every model carries; everything is drawn from a fixed seed, so the same call makes the same catalog.
 */
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/db.h"

#define TAGS_TOTAL    210000	/* distinct, besides the wide ones */
#define AUTHORS	      300000
#define ARCHITECTURES 3000	/* unnamed ones, besides those below */
#define TAGS_EACH     8		/* with the wide ones, besides the licence; 8.7 in all */
#define FILES_EACH    10
#define FRESH_SHARE   0.6	/* of files: content that no other revision has */
#define NOW	      1795000000

enum { AUTHOR = 1, LICENSE, TASK, LIBRARY, ARCHITECTURE, QUANTIZATION, UPSTREAM, TAG };

static const char *const licences[] = { "apache-2.0", "unknown", "mit", "other", "cc-by-4.0", "bsd-3-clause", "gemma", "agpl-3.0", "openrail", "creativeml-openrail-m",
					"llama3.1", "gpl-3.0", "llama3.2", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc-by-nc-sa-4.0", "llama2", "llama3", "bigscience-openrail-m",
					"cc0-1.0", "afl-3.0", "bsd-2-clause", "wtfpl", "unlicense", "mpl-2.0" };
static const char *const tasks[] = { "text-generation", "text-classification", "fill-mask", "text2text-generation", "automatic-speech-recognition", "feature-extraction",
				     "token-classification", "image-classification", "text-to-image", "translation", "question-answering", "image-text-to-text",
				     "sentence-similarity", "object-detection", "summarization", "zero-shot-classification" };
static const char *const architectures[] = { "LlamaForCausalLM", "Qwen2ForCausalLM", "BertForMaskedLM", "MistralForCausalLM", "GPT2LMHeadModel", "Gemma2ForCausalLM",
					     "RobertaForMaskedLM", "T5ForConditionalGeneration", "Wav2Vec2ForCTC", "Phi3ForCausalLM", "Qwen3ForCausalLM", "BloomForCausalLM" };
static const char *const quantizations[] = { "Q4_K_M", "Q8_0", "GPTQ", "AWQ", "INT8", "FP8", "Q5_K_M", "Q6_K", "MXFP4" };
/* Tags that very many models carry, and by how large a part of them. */
static const struct { const char *name; double share; } wide_tags[] = { { "region:us", 0.999 }, { "safetensors", 0.53 }, { "transformers", 0.36 }, { "gguf", 0.14 } };
/* Bits of enum format: safetensors, pickle, both, GGUF, none, ONNX beside safetensors, Keras, TensorFlow. */
static const int format_sets[] = { 2, 8, 10, 4, 0, 18, 32, 64 };
static const char *const words[] = { "llama", "qwen2", "bert", "mistral", "gpt2", "gemma", "instruct", "chat", "gguf", "base", "large", "small", "lora", "7b", "8b", "70b", "0.5b",
				     "finetuned", "merged", "awq", "gptq", "sft", "dpo", "v1", "v2", "coder", "math", "vision", "whisper", "distil", "roberta", "uncased" };
/* In the order of their bytes, as revisions are planned. */
static const char *const files[] = { ".gitattributes", "README.md", "config.json", "generation_config.json", "merges.txt", "model.safetensors", "special_tokens_map.json",
				     "tokenizer.json", "tokenizer_config.json", "vocab.json" };

static sqlite3 *db;
static uint64_t seed = 88172645463325252ull;

static uint64_t next(void)
{
	seed ^= seed << 13;	/* xorshift64, Marsaglia 2003 */
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static double uniform(void)
{
	return (double)(next() >> 11) * 0x1p-53;
}

/* A rank below n, the k-th about as often as 1 / (k + 2.7): close to how tags and authors occur. */
static uint64_t zipf(uint64_t n)
{
	return (uint64_t)(2.7 * pow(((double)n + 2.7) / 2.7, uniform()) - 2.7) % n;
}

static void check(int rc, const char *what)
{
	if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
		fprintf(stderr, "catalog_gen: %s: %s\n", what, sqlite3_errmsg(db));
		exit(1);
	}
}

static void run(const char *text)
{
	check(sqlite3_exec(db, text, NULL, NULL, NULL), text);
}

static sqlite3_stmt *prepare(const char *text)
{
	sqlite3_stmt *s;

	check(sqlite3_prepare_v2(db, text, -1, &s, NULL), text);
	return s;
}

static void step(sqlite3_stmt *s)
{
	check(sqlite3_step(s), sqlite3_sql(s));
	sqlite3_reset(s);
}

static void bind_random(sqlite3_stmt *s, int at, size_t n)
{
	uint64_t bytes[4] = { next(), next(), next(), next() };

	sqlite3_bind_blob(s, at, bytes, (int)n, SQLITE_TRANSIENT);
}

/* Terms: fixed ranges of ids, so that rows can name them without a look-up. */
static int64_t base_of[9];

/* Named ones, or "<prefix><number>". */
static void add_terms(int kind, uint64_t n, const char *const *names, const char *prefix)
{
	static sqlite3_stmt *s;
	char text[64];

	if (!s)
		s = prepare("INSERT INTO term (kind, name) VALUES (?1, ?2)");
	for (uint64_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%s%llu", names ? "" : prefix, (unsigned long long)i);
		sqlite3_bind_int(s, 1, kind);
		sqlite3_bind_text(s, 2, names ? names[i] : text, -1, SQLITE_TRANSIENT);
		step(s);
		if (base_of[kind] == 0)
			base_of[kind] = sqlite3_last_insert_rowid(db);
	}
}

static const char *saved_indexes[64];
static size_t n_indexes;

/* Rows go in first, indexes are made after. */
static void drop_indexes(void)
{
	sqlite3_stmt *s = prepare("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL");
	char *drops[64];
	size_t n = 0;

	while (sqlite3_step(s) == SQLITE_ROW) {
		saved_indexes[n_indexes++] = mem_strdup((const char *)sqlite3_column_text(s, 1));
		drops[n] = sqlite3_mprintf("DROP INDEX %s", sqlite3_column_text(s, 0));
		n++;
	}
	sqlite3_finalize(s);
	for (size_t i = 0; i < n; i++) {
		run(drops[i]);
		sqlite3_free(drops[i]);
	}
}

static void model_name(char out[128], uint64_t i)
{
	uint64_t author = zipf(AUTHORS);

	snprintf(out, 128, "author%llu/%s-%s-%s-%llu", (unsigned long long)author, words[zipf(ARRAY_LEN(words))], words[next() % ARRAY_LEN(words)],
		 words[next() % ARRAY_LEN(words)], (unsigned long long)i);
}

struct row {
	int64_t at, license, task, library, architecture, quantization, gated, state, size, formats, deprecated_at, sunset_at;
};

/* A term among `n`, or none for this part of all models. */
static int64_t term_or_none(int kind, uint64_t n, double none)
{
	int64_t id = base_of[kind] + (int64_t)zipf(n);

	return uniform() < none ? 0 : id;
}

static struct row random_row(void)
{
	struct row r = { .at = NOW - (int64_t)(next() % 126230400), .license = base_of[LICENSE] + (int64_t)zipf(ARRAY_LEN(licences)) };
	double fate = uniform();

	r.task = term_or_none(TASK, ARRAY_LEN(tasks), 0.2);
	r.library = base_of[LIBRARY] + (int64_t)zipf(8);
	r.architecture = term_or_none(ARCHITECTURE, ARRAY_LEN(architectures) + ARCHITECTURES, 0.3);
	r.quantization = term_or_none(QUANTIZATION, ARRAY_LEN(quantizations), 0.88);
	r.size = (int64_t)exp(20 + 2.2 * (uniform() + uniform() + uniform() - 1.5) * 2);
	r.formats = format_sets[zipf(ARRAY_LEN(format_sets))];
	r.gated = uniform() < 0.03;
	r.state = fate < 0.03 ? 5 : fate < 0.05 ? 6 : 7;
	if (uniform() < 0.005) {
		r.deprecated_at = r.at;
		r.sunset_at = NOW - 31536000 + (int64_t)(next() % 94608000);
	}
	return r;
}

static void bind_term(sqlite3_stmt *s, int at, int64_t id)
{
	if (id)
		sqlite3_bind_int64(s, at, id);
	else
		sqlite3_bind_null(s, at);
}

/* ?1 … ?11 of both tables. */
static void bind_shared(sqlite3_stmt *s, uint64_t i, const struct row *r)
{
	sqlite3_bind_int64(s, 1, (int64_t)i);
	sqlite3_bind_int64(s, 2, r->state);
	sqlite3_bind_int64(s, 3, r->state == 7 ? r->at : 0);
	bind_term(s, 4, r->license);
	sqlite3_bind_int64(s, 5, r->size);
	sqlite3_bind_int64(s, 6, r->size / 2);
	bind_term(s, 7, r->task);
	bind_term(s, 8, r->library);
	bind_term(s, 9, r->architecture);
	bind_term(s, 10, r->quantization);
	sqlite3_bind_int64(s, 11, r->formats);
}

static void add_models(uint64_t n)
{
	sqlite3_stmt *m = prepare("INSERT INTO model (id, revision_id, newest_id, state, newest_state, visible, published_at, license_id, commercial, size_bytes, params, task_id, library_id, "
				  "architecture_id, quantization_id, formats, name, author_id, upstream_id, downloads, likes, created_at, modified_at, gated, deprecated_at, sunset_at) "
				  "VALUES (?1, ?1, ?1, ?2, ?2, ?2 = 7, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)");
	sqlite3_stmt *r = prepare("INSERT INTO revision (id, model_id, state, published_at, license_id, commercial, size_bytes, params, task_id, library_id, architecture_id, quantization_id, "
				  "formats, commit_id, planned_at, state_at, proof, license_source) VALUES (?1, ?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, 3, 'card')");
	sqlite3_stmt *ref = prepare("INSERT INTO ref (model_id, name, revision_id, moved_at) VALUES (?1, 'main', ?1, ?2)");

	for (uint64_t i = 1; i <= n; i++) {
		struct row row = random_row();
		char name[128];

		model_name(name, i);
		bind_shared(m, i, &row);
		sqlite3_bind_text(m, 12, name, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(m, 13, base_of[AUTHOR] + (int64_t)strtoull(name + 6, NULL, 10));
		sqlite3_bind_int64(m, 14, base_of[UPSTREAM]);
		sqlite3_bind_int64(m, 15, (int64_t)(2 * pow(1 - uniform(), -1.25)) - 2);
		sqlite3_bind_int64(m, 16, (int64_t)pow(1 - uniform(), -0.9) - 1);
		sqlite3_bind_int64(m, 17, row.at - 86400);
		sqlite3_bind_int64(m, 18, row.at);
		sqlite3_bind_int64(m, 19, row.gated);
		sqlite3_bind_int64(m, 20, row.deprecated_at);
		sqlite3_bind_int64(m, 21, row.sunset_at);
		step(m);
		bind_shared(r, i, &row);
		bind_random(r, 12, 20);
		sqlite3_bind_int64(r, 13, row.at);
		step(r);
		sqlite3_bind_int64(ref, 1, (int64_t)i);
		sqlite3_bind_int64(ref, 2, row.at);
		step(ref);
	}
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Pairs (tag, model) sorted by tag, so that the table fills in order. */
static void add_tags(uint64_t n)
{
	uint64_t *pairs = malloc(n * (TAGS_EACH + 1) * sizeof(*pairs)), count = 0, last = UINT64_MAX;
	sqlite3_stmt *s = prepare("INSERT INTO model_tag (tag_id, model_id) VALUES (?1, ?2)"), *c;

	if (!pairs)
		abort();
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t each = TAGS_EACH + (next() % 10 < 7);

		for (uint64_t k = 0; k < ARRAY_LEN(wide_tags); k++)
			if (uniform() < wide_tags[k].share) {
				pairs[count++] = k << 32 | i;
				each--;
			}
		while (each--)
			pairs[count++] = (ARRAY_LEN(wide_tags) + zipf(TAGS_TOTAL)) << 32 | i;
	}
	qsort(pairs, count, sizeof(*pairs), compare_u64);
	for (uint64_t i = 0; i < count; i++) {
		if (pairs[i] == last)
			continue;
		last = pairs[i];
		sqlite3_bind_int64(s, 1, base_of[TAG] + (int64_t)(last >> 32));
		sqlite3_bind_int64(s, 2, (int64_t)(last & 0xffffffff));
		step(s);
	}
	free(pairs);
	c = prepare("INSERT INTO tag_count (tag_id, models) SELECT tag_id, count(*) FROM model_tag GROUP BY tag_id");
	step(c);
	sqlite3_finalize(c);
}

static void add_files(uint64_t n)
{
	sqlite3_stmt *b = prepare("INSERT INTO blob (id, sha256, size_bytes, stored) VALUES (?1, ?2, ?3, 1)");
	sqlite3_stmt *f = prepare("INSERT INTO file (revision_id, path, size_bytes, git_oid, lfs, wanted, blob_id) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)");
	sqlite3_stmt *u = prepare("INSERT OR IGNORE INTO blob_use (blob_id, revision_id) VALUES (?1, ?2)");
	int64_t blobs = 0;

	for (uint64_t i = 1; i <= n; i++) {
		for (int k = 0; k < FILES_EACH; k++) {
			bool fresh = blobs == 0 || uniform() < FRESH_SHARE, lfs = k == 5;
			int64_t blob = fresh ? ++blobs : 1 + (int64_t)(next() % (uint64_t)blobs), size = lfs ? (int64_t)(next() % 20000000000) : (int64_t)(next() % 100000);

			if (fresh) {
				sqlite3_bind_int64(b, 1, blob);
				bind_random(b, 2, 32);
				sqlite3_bind_int64(b, 3, size);
				step(b);
			}
			sqlite3_bind_int64(f, 1, (int64_t)i);
			sqlite3_bind_text(f, 2, files[k], -1, SQLITE_STATIC);
			sqlite3_bind_int64(f, 3, size);
			if (lfs)
				sqlite3_bind_null(f, 4);
			else
				bind_random(f, 4, 20);
			sqlite3_bind_int(f, 5, lfs);
			sqlite3_bind_int64(f, 6, blob);
			step(f);
			sqlite3_bind_int64(u, 1, blob);
			sqlite3_bind_int64(u, 2, (int64_t)i);
			step(u);
		}
	}
}

int main(int argc, char **argv)
{
	struct err e = ERR_NONE;
	struct db *catalog;
	uint64_t n;

	if (argc < 3 || str_parse_u64(argv[2], &n, &e) < 0)
		return fprintf(stderr, "catalog_gen FILE MODELS [files]\n"), 2;
	unlink(argv[1]);
	if (db_open(&catalog, argv[1], 0, &e) < 0)
		return fprintf(stderr, "catalog_gen: %s\n", e.msg), 1;
	db_close(catalog);
	check(sqlite3_open(argv[1], &db), "open");
	run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; BEGIN");
	drop_indexes();
	add_terms(UPSTREAM, 1, (const char *const[]){ "hub" }, NULL);
	add_terms(LICENSE, ARRAY_LEN(licences), licences, NULL);
	add_terms(TASK, ARRAY_LEN(tasks), tasks, NULL);
	add_terms(ARCHITECTURE, ARRAY_LEN(architectures), architectures, NULL);
	add_terms(ARCHITECTURE, ARCHITECTURES, NULL, "architecture");
	add_terms(QUANTIZATION, ARRAY_LEN(quantizations), quantizations, NULL);
	add_terms(LIBRARY, 8, NULL, "library");
	add_terms(AUTHOR, AUTHORS, NULL, "author");
	for (size_t i = 0; i < ARRAY_LEN(wide_tags); i++)
		add_terms(TAG, 1, &wide_tags[i].name, NULL);
	add_terms(TAG, TAGS_TOTAL, NULL, "tag:");
	add_models(n);
	add_tags(n);
	if (argc > 3)
		add_files(n);
	for (size_t i = 0; i < n_indexes; i++)
		run(saved_indexes[i]);
	run("COMMIT; PRAGMA journal_mode = WAL");
	sqlite3_close(db);
	return 0;
}
