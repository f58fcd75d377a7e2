/*
 * seed.c - puts a directory into a store and catalog as a published model, without Hub, inspection and smoke test: what tests of the
 * doors need. The daemon must not be running on the data directory.
 *
 *	seed --data DIR --repo ORG/NAME --from DIR [--ref main] [--commit HEX] [--license ID] [--task T] [--tag T]… [--gated] [--alias OLD]
 *	     [--state published|held|rejected] [--leave-out GLOB]… [--info FILE] [--deprecated-at T] [--sunset-at T] [--successor REPO]
 *	     [--retired] [--withdrawn] [--legal] [--downloads N]
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/finding.h"
#include "catalog/lifecycle.h"
#include "catalog/model.h"
#include "catalog/store.h"
#include "verify/git_object.h"

#define LIST_MAX 32

struct seed {
	const char *data, *repo, *from, *ref, *commit, *license, *task, *alias, *state, *info, *successor;
	const char *tags[LIST_MAX], *leave_out[LIST_MAX];
	size_t n_tags, n_leave_out;
	int64_t deprecated_at, sunset_at, downloads;
	int gated, retired, withdrawn, legal;
	struct model_file *files;
	size_t n_files, cap_files;
};

static struct err failure;

static void check(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "seed: %s\n", failure.msg);
	exit(1);
}

static bool kept_as_lfs(const char *path)
{
	return format_of_path(path) != FORMAT_NONE || str_ends(path, "tokenizer.model");
}

static void keep(struct store *st, const struct model_file *f, const struct buf *b)
{
	own(fd) int fd = -1;

	if (store_has(st, &f->sha256, f->size_bytes, &failure) > 0)
		return;
	fd = store_temp(st, &failure);
	check(fd);
	check(fdio_write(fd, b->data, b->len, f->path, &failure));
	check(store_publish(st, fd, &f->sha256, f->size_bytes, &failure));
}

static void add_file(struct seed *s, struct store *st, const char *path, const char *rel)
{
	struct model_file *f;
	own(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	own(buf) struct buf b;

	buf_init(&b, 1u << 30);
	if (fd < 0)
		check(err_errno(&failure, "open %s", path));
	check(fdio_slurp_fd(fd, path, &b, &failure));
	f = vec_push(&s->files, &s->n_files, &s->cap_files);
	f->path = mem_strdup(rel);
	f->size_bytes = b.len;
	f->lfs = kept_as_lfs(rel);
	f->wanted = true;
	digest_of(&f->sha256, DIGEST_SHA256, b.data, b.len);
	if (f->lfs) {
		struct git_pointer p = { f->sha256, f->size_bytes };

		git_pointer_id(&f->git_oid, &p);
	} else {
		git_object_id(&f->git_oid, GIT_BLOB, b.data, b.len);
	}
	for (size_t i = 0; i < s->n_leave_out; i++)
		if (str_glob(s->leave_out[i], rel))
			f->wanted = false;
	if (f->wanted)
		keep(st, f, &b);
	else
		f->skip_reason = "left out by the test";
}

static void walk(struct seed *s, struct store *st, const char *dir, const char *rel)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		check(err_errno(&failure, "open %s", dir));
	while ((e = readdir(d))) {
		own(mem) char *path = NULL, *name = NULL;
		struct stat st_;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (asprintf(&path, "%s/%s", dir, e->d_name) < 0 || asprintf(&name, "%s%s%s", rel, *rel ? "/" : "", e->d_name) < 0)
			abort();
		if (stat(path, &st_) < 0)
			check(err_errno(&failure, "stat %s", path));
		if (S_ISDIR(st_.st_mode))
			walk(s, st, path, name);
		else
			add_file(s, st, path, name);
	}
	closedir(d);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct model_file *)a)->path, ((const struct model_file *)b)->path);
}

/* A commit id made of the files' ids: the same content gives the same commit. */
static void make_commit(struct seed *s, char out[DIGEST_HEX_MAX])
{
	own(digest) struct digest_ctx c = { 0 };
	struct digest d;

	digest_begin(&c, DIGEST_SHA1);
	digest_update(&c, s->repo, strlen(s->repo));
	for (size_t i = 0; i < s->n_files; i++) {
		digest_update(&c, s->files[i].path, strlen(s->files[i].path) + 1);
		digest_update(&c, s->files[i].sha256.bytes, 32);
	}
	digest_end(&c, &d);
	digest_hex(out, &d);
}

static int64_t upsert(struct seed *s, struct db *db, int64_t now)
{
	struct model_upstream u = { .name = s->repo, .asked_name = s->alias, .upstream = "hub", .gated = s->gated ? MODEL_GATED_AUTO : MODEL_OPEN,
		.is_private = 0, .disabled = 0, .downloads = s->downloads, .likes = 3, .created_at = 1700000000, .modified_at = now };
	int64_t id;

	check(model_upsert(db, &u, now, &id, &failure));
	return id;
}

static void facts(struct seed *s, struct db *db, int64_t revision)
{
	const char *tags[LIST_MAX + 1];
	size_t n = 0;
	own(mem) char *license = NULL;
	struct model_facts f = { .license = s->license, .license_source = "card", .params = 260000, .dtypes = "{\"F32\":260000}", .architecture = "llama", .task = s->task,
		.library = "transformers", .context_length = 512 };

	if (asprintf(&license, "license:%s", s->license) < 0)
		abort();
	tags[n++] = license;
	for (size_t i = 0; i < s->n_tags; i++)
		tags[n++] = s->tags[i];
	f.tags = tags;
	f.n_tags = n;
	check(model_set_facts(db, revision, &f, &failure));
}

static void smoke(struct db *db, int64_t revision, int64_t now)
{
	struct finding_smoke s = { .verdict = "pass", .device = "cpu", .bits_per_byte = 0.95, .prompt_tokens = 128, .tokens_per_s = 100, .reasons = "[]", .report = "{}", .at = now };

	check(finding_record_smoke(db, revision, &s, &failure));
}

static void documents(struct seed *s, struct db *db, int64_t revision, int64_t now)
{
	own(buf) struct buf b;
	own(mem) char *card = NULL;

	buf_init(&b, MODEL_DOCUMENT_MAX);
	if (s->info) {
		check(fdio_slurp(AT_FDCWD, s->info, &b, &failure));
		check(model_keep_document(db, revision, DOCUMENT_INFO, "", b.data, b.len, now, &failure));
	}
	buf_reset(&b);
	if (asprintf(&card, "%s/README.md", s->from) < 0)
		abort();
	if (!fdio_slurp(AT_FDCWD, card, &b, NULL))
		check(model_keep_document(db, revision, DOCUMENT_CARD, "", b.data, b.len, now, &failure));
}

static void conclude(struct seed *s, struct db *db, int64_t revision, int64_t now)
{
	struct policy_verdict v = { .outcome = POLICY_PUBLISH, .n_reasons = 1, .summary = "a test wants it so" };

	if (!strcmp(s->state, "held"))
		v.outcome = POLICY_HOLD;
	if (!strcmp(s->state, "rejected"))
		v.outcome = POLICY_REJECT;
	v.reasons[0] = (struct policy_reason){ .rule = "license", .outcome = v.outcome, .text = v.summary };
	check(model_conclude(db, revision, &v, now, &failure));
}

static void lifecycle(struct seed *s, struct db *db, int64_t model, int64_t now)
{
	struct lifecycle_order o = { .model_id = model, .who = "test", .reason = "a test wants it so", .sunset_at = s->sunset_at, .successor = s->successor, .force = true, .legal = s->legal };
	struct policy_lifecycle rules = { .notice_s = 0 };

	if (s->deprecated_at)
		check(lifecycle_deprecate(db, &o, &rules, s->deprecated_at, &failure));
	if (s->retired)
		check(lifecycle_retire(db, &o, now, &failure));
	if (s->withdrawn || s->legal)
		check(lifecycle_withdraw(db, &o, now, &failure));
}

static void fill(struct seed *s, struct store *st, struct db *db)
{
	int64_t now = (int64_t)time(NULL), model, revision;
	struct model_stored *stored;
	char commit[DIGEST_HEX_MAX];
	size_t n = 0;

	walk(s, st, s->from, "");
	if (!s->n_files)
		check(err_set(&failure, ERR_USAGE, "%s is empty", s->from));
	qsort(s->files, s->n_files, sizeof(*s->files), by_path);
	make_commit(s, commit);
	if (s->commit)
		snprintf(commit, sizeof(commit), "%s", s->commit);
	model = upsert(s, db, now);
	struct model_plan p = { .model_id = model, .commit = commit, .ref = s->ref, .title = "A commit", .commit_at = now - 3600, .files = s->files, .n_files = s->n_files };
	check(model_plan(db, &p, now, &revision, NULL, &failure));
	check(model_saw_ref(db, model, s->ref, commit, now, NULL, &failure));
	stored = mem_zalloc(s->n_files * sizeof(*stored));
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].wanted)
			stored[n++] = (struct model_stored){ s->files[i].path, s->files[i].sha256, s->files[i].size_bytes };
	check(model_set_state(db, revision, REVISION_FETCHING, NULL, now, &failure));
	check(model_files_stored(db, revision, stored, n, &failure));
	free(stored);
	check(model_set_state(db, revision, REVISION_TESTING, NULL, now, &failure));
	check(model_set_proof(db, revision, PROOF_LISTING, &failure));
	documents(s, db, revision, now);
	facts(s, db, revision);
	smoke(db, revision, now);
	conclude(s, db, revision, now);
	lifecycle(s, db, model, now);
	printf("%s\n", commit);
}

static const struct option options[] = {
	{ "data", 1, NULL, 'd' }, { "repo", 1, NULL, 'r' }, { "from", 1, NULL, 'f' }, { "ref", 1, NULL, 'R' }, { "commit", 1, NULL, 'c' },
	{ "license", 1, NULL, 'l' }, { "task", 1, NULL, 't' }, { "tag", 1, NULL, 'T' }, { "gated", 0, NULL, 'g' }, { "alias", 1, NULL, 'a' },
	{ "state", 1, NULL, 's' }, { "leave-out", 1, NULL, 'o' }, { "info", 1, NULL, 'i' }, { "deprecated-at", 1, NULL, 'D' }, { "sunset-at", 1, NULL, 'S' },
	{ "successor", 1, NULL, 'u' }, { "retired", 0, NULL, 'e' }, { "withdrawn", 0, NULL, 'w' }, { "legal", 0, NULL, 'L' }, { "downloads", 1, NULL, 'n' }, { 0 },
};

static void set_option(struct seed *s, int c)
{
	switch (c) {
	case 'd': s->data = optarg; break;
	case 'r': s->repo = optarg; break;
	case 'f': s->from = optarg; break;
	case 'R': s->ref = optarg; break;
	case 'c': s->commit = optarg; break;
	case 'l': s->license = optarg; break;
	case 't': s->task = optarg; break;
	case 'T': s->tags[s->n_tags++ % LIST_MAX] = optarg; break;
	case 'g': s->gated = 1; break;
	case 'a': s->alias = optarg; break;
	case 's': s->state = optarg; break;
	case 'o': s->leave_out[s->n_leave_out++ % LIST_MAX] = optarg; break;
	case 'i': s->info = optarg; break;
	case 'D': check(str_parse_time(optarg, &s->deprecated_at, &failure)); break;
	case 'S': check(str_parse_time(optarg, &s->sunset_at, &failure)); break;
	case 'u': s->successor = optarg; break;
	case 'e': s->retired = 1; break;
	case 'w': s->withdrawn = 1; break;
	case 'L': s->legal = 1; break;
	case 'n': s->downloads = strtoll(optarg, NULL, 10); break;
	default: exit(2);
	}
}

int main(int argc, char **argv)
{
	struct seed s = { .ref = "main", .license = "mit", .task = "text-generation", .state = "published" };
	own(mem) char *path = NULL;
	struct store *st;
	struct db *db;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(&s, c);
	if (!s.data || !s.repo || !s.from)
		return fputs("seed: --data, --repo and --from are needed\n", stderr), 2;
	if (asprintf(&path, "%s/catalog.sqlite", s.data) < 0)
		abort();
	check(store_open(&st, s.data, &failure));
	check(db_open(&db, path, 0, &failure));
	fill(&s, st, db);
	for (size_t i = 0; i < s.n_files; i++)
		free((char *)s.files[i].path);
	free(s.files);
	db_close(db);
	store_close(st);
	return 0;
}
