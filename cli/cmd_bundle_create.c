/* cmd_bundle_create.c - bundle create: entries and contents of published models onto a medium, the manifest last. Begun again, it goes on. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "cli/bundle.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/verb.h"

#define VOLUME_MIN (UINT64_C(1) << 20)
#define PAGE_ROWS  1000
#define COPY_BYTES (1u << 20)

struct content {
	char sha256[DIGEST_HEX_MAX];
	uint64_t size_bytes;
};

struct create {
	struct ctl *c;
	const char *dir;
	json_t *models, *blobs;		/* of the manifest to be */
	json_t *left_out;		/* by --all, for whoever asked: the medium does not tell */
	size_t n_lost;			/* of these, for a loss of the store */
	struct err lost;		/* of the first */
	struct content *contents;
	size_t n_contents, cap_contents;
	struct digest *there;		/* what the receipt says, sorted */
	size_t n_there;
	uint64_t volume_bytes, room;	/* of a volume, 0: none are made; left in the one being filled */
	unsigned volume;
	uint64_t total_bytes, done_bytes;
	size_t n_done;
	struct progress progress;
};

static int by_bytes(const void *a, const void *b)
{
	return memcmp(((const struct digest *)a)->bytes, ((const struct digest *)b)->bytes, sizeof(((const struct digest *)a)->bytes));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct content *)a)->sha256, ((const struct content *)b)->sha256);
}

/* ---- what the other side has ----------------------------------------------------------------------------------- */

static int read_receipt(struct create *k, const char *file, struct err *e)
{
	own(json) json_t *j = NULL;
	own(buf) struct buf text;
	const json_t *list, *hex;
	size_t i;

	buf_init(&text, BUNDLE_MANIFEST_MAX);
	if (fdio_slurp(AT_FDCWD, file, &text, e) < 0)
		return e->code;
	j = json_parse(text.data, text.len, file, e);
	if (!j)
		return e->code;
	if (strcmp(json_get_str_or(j, "format", ""), BUNDLE_RECEIPT) != 0)
		return err_set(e, ERR_INPUT, "'%s' is no receipt: `bundle import --receipt FILE` writes one", file);
	list = json_object_get(j, "blobs");
	k->there = mem_zalloc((json_array_size(list) + 1) * sizeof(*k->there));
	json_array_foreach (list, i, hex)
		if (digest_parse(&k->there[k->n_there++], DIGEST_SHA256, json_string_value(hex) ? json_string_value(hex) : "", e) < 0)
			return err_wrap(e, "%s", file);
	qsort(k->there, k->n_there, sizeof(*k->there), by_bytes);
	return 0;
}

static bool is_there(const struct create *k, const char *sha256)
{
	struct digest d;

	return k->n_there && !digest_parse(&d, DIGEST_SHA256, sha256, NULL) && bsearch(&d, k->there, k->n_there, sizeof(d), by_bytes);
}

/* ---- entries --------------------------------------------------------------------------------------------------- */

static int collect(void *arg, const char *p, size_t n, struct err *e)
{
	return buf_add(arg, p, n) < 0 ? err_set(e, ERR_LIMIT, "the entry is larger than %zu bytes", BUNDLE_ENTRY_MAX) : 0;
}

static int note_contents(struct create *k, const json_t *entry, struct err *e)
{
	const json_t *f;
	size_t i;

	json_array_foreach (json_object_get(entry, "held"), i, f) {
		const char *hex = json_get_str_or(f, "sha256", "");
		int64_t size = json_get_int(f, "size_bytes", -1);
		struct content *one;

		if (!str_is_hex(hex, 64) || size < 0)
			return err_set(e, ERR_FAILED, "the daemon gives no SHA-256 or size for '%s'", ctl_text(f, "path"));
		if (is_there(k, hex))
			continue;
		one = vec_push(&k->contents, &k->n_contents, &k->cap_contents);
		*one = (struct content){ .size_bytes = (uint64_t)size };
		snprintf(one->sha256, sizeof(one->sha256), "%s", hex);
	}
	return 0;
}

static int write_file(const struct create *k, const char *path, const void *p, size_t n, struct err *e)
{
	own(mem) char *full = NULL;

	if (asprintf(&full, "%s/%s", k->dir, path) < 0)
		abort();
	return fdio_replace(AT_FDCWD, full, p, n, 0644, e);
}

static int add_model(struct create *k, const char *word, struct err *e)
{
	char hex[DIGEST_HEX_MAX], path[BUNDLE_PATH_MAX];
	own(json) json_t *entry = NULL;
	own(buf) struct buf url, text;
	const json_t *about;
	struct digest id;
	struct ctl_model m;

	buf_init(&url, CLIENT_PATH_MAX);
	buf_init(&text, BUNDLE_ENTRY_MAX);
	if (ctl_parse_model(&m, word, e) < 0)
		return e->code;
	ctl_model_path(&url, &m, "/-/bundle");
	if (client_stream(&k->c->client, url.data, collect, &text, e) < 0)
		return e->code;
	entry = json_parse(text.data, text.len, "the daemon's entry", e);
	if (!entry || note_contents(k, entry, e) < 0)
		return e->code;
	digest_of(&id, DIGEST_SHA256, text.data, text.len);
	digest_hex(hex, &id);
	bundle_entry_path(path, hex);
	about = json_object_get(entry, "about");
	json_array_append_new(k->models, json_pack("{s:s, s:s, s:s*, s:I, s:s, s:I}", "repo", json_get_str_or(entry, "repo", m.repo), "revision", json_get_str_or(entry, "revision", ""),
		"license", json_get_str(about, "license"), "size_bytes", json_get_int(about, "size_bytes", 0), "entry", hex, "entry_bytes", (json_int_t)text.len));
	return write_file(k, path, text.data, text.len, e);
}

/* One of many. What is past its sunset or withdrawn goes to nobody, and what has lost a file is not whole: the others go without it. */
static int add_one_of_all(struct create *k, const json_t *m, struct err *e)
{
	own(mem) char *word = NULL;
	int rc;

	if (asprintf(&word, "%s@%s", json_get_str_or(m, "repo", ""), json_get_str_or(m, "revision", "")) < 0)	/* it need not be what `main` serves */
		abort();
	rc = add_model(k, word, e);
	if (rc != ERR_GONE && rc != ERR_REFUSED && rc != ERR_LEGAL && rc != ERR_MISMATCH)
		return rc;
	fprintf(stderr, "left out: %s\n", e->msg);
	json_array_append_new(k->left_out, json_pack("{s:s, s:s, s:s, s:s}", "repo", json_get_str(m, "repo"), "revision", json_get_str(m, "revision"), "code",
		err_label(rc), "reason", e->msg));
	if (rc == ERR_MISMATCH && !k->n_lost++)
		k->lost = *e;
	*e = ERR_NONE;
	return 0;
}

static int add_published(struct create *k, struct err *e)
{
	own(mem) char *cursor = NULL;
	const char *next;

	do {
		own(json) json_t *page = NULL;
		own(buf) struct buf path;
		const json_t *m;
		size_t i;

		buf_init(&path, CLIENT_PATH_MAX);
		buf_puts(&path, "/-/v1/models?state=published&sort=name");
		client_query_number(&path, "limit", PAGE_ROWS);
		client_query_add(&path, "cursor", cursor);
		if (client_get(&k->c->client, path.data, &page, e) < 0)
			return e->code;
		json_array_foreach (json_object_get(page, "models"), i, m) {
			if (add_one_of_all(k, m, e) < 0)
				return e->code;
		}
		next = json_get_str(page, "next");
		free(cursor);
		cursor = next ? strdup(next) : NULL;
	} while (cursor);
	return 0;
}

static int add_models(struct create *k, struct err *e)
{
	const struct args *a = &k->c->args;

	if (args_has(a, "all") != !a->n_words)
		return err_set(e, ERR_USAGE, "name models, or give --all; not both");
	for (size_t i = 0; i < a->n_words; i++)
		if (add_model(k, a->words[i], e) < 0)
			return e->code;
	return args_has(a, "all") ? add_published(k, e) : 0;
}

/* ---- volumes --------------------------------------------------------------------------------------------------- */

static int next_volume(struct create *k, struct err *e)
{
	if (k->volume == BUNDLE_VOLUMES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d volumes would be needed: make them larger", BUNDLE_VOLUMES_MAX);
	k->volume++;
	k->room = k->volume_bytes;
	return 0;
}

/* Where a content lies: in the volume being filled when it fits, else in the next; only what is larger than a volume is divided. */
static int place(struct create *k, const struct content *one, struct err *e)
{
	json_t *parts = json_array();
	uint64_t left = one->size_bytes;

	json_array_append_new(k->blobs, json_pack("{s:s, s:I, s:o}", "sha256", one->sha256, "size_bytes", (json_int_t)left, "parts", parts));
	if (!k->volume_bytes) {
		json_array_append_new(parts, json_pack("[i, I]", 0, (json_int_t)left));
		return 0;
	}
	if ((left > k->room && left <= k->volume_bytes) || !k->volume)
		if (next_volume(k, e) < 0)
			return e->code;
	do {
		uint64_t here = left < k->room ? left : k->room;

		if (!here && left && next_volume(k, e) < 0)
			return e->code;
		if (!here && left)
			continue;
		json_array_append_new(parts, json_pack("[i, I]", (int)k->volume, (json_int_t)here));
		left -= here;
		k->room -= here;
	} while (left);
	return json_array_size(parts) > BUNDLE_PARTS_MAX ? err_set(e, ERR_LIMIT, "a content would be in more than %d parts: make the volumes larger", BUNDLE_PARTS_MAX) : 0;
}

static int place_all(struct create *k, struct err *e)
{
	if (k->n_contents)
		qsort(k->contents, k->n_contents, sizeof(*k->contents), by_name);
	for (size_t i = 0; i < k->n_contents; i++) {
		if (i && !strcmp(k->contents[i].sha256, k->contents[i - 1].sha256))
			continue;
		k->total_bytes += k->contents[i].size_bytes;
		if (place(k, &k->contents[i], e) < 0)
			return e->code;
	}
	return 0;
}

/* ---- contents -------------------------------------------------------------------------------------------------- */

/* One content on its way from the daemon into its parts. */
struct arriving {
	struct create *k;
	const json_t *blob;
	struct digest_ctx digest;
	size_t part;
	int fd;
	uint64_t left;		/* of the part */
	uint64_t got;
};

/* The file of part i, under its own name or, until all of it is checked, under that of an unfinished one. */
static char *part_file(const struct arriving *a, size_t i, bool unfinished, uint64_t *bytes)
{
	char path[BUNDLE_PATH_MAX];
	char *full;

	bundle_part(a->blob, i, path, bytes);
	if (asprintf(&full, "%s/%s%s", a->k->dir, path, unfinished ? ".unfinished" : "") < 0)
		abort();
	return full;
}

static int open_part(struct arriving *a, struct err *e)
{
	own(mem) char *file = part_file(a, a->part, true, &a->left);
	own(mem) char *dir = NULL;
	char path[BUNDLE_PATH_MAX];

	bundle_part(a->blob, a->part, path, &a->left);
	if (asprintf(&dir, "%s/%.*s", a->k->dir, (int)(strrchr(path, '/') - path), path) < 0)
		abort();
	if (fdio_mkdirs(dir, 0755, e) < 0)
		return e->code;
	a->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return a->fd < 0 ? err_errno(e, "create '%s'", file) : 0;
}

static void close_part(struct arriving *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void show(struct create *k, uint64_t bytes, const char *sha256)
{
	char phase[64];
	struct progress_state s = { .bytes_done = (int64_t)(k->done_bytes + bytes), .bytes_total = (int64_t)k->total_bytes, .files_done = (int64_t)k->n_done,
		.files_total = (int64_t)json_array_size(k->blobs), .phase = phase };

	snprintf(phase, sizeof(phase), isatty(STDERR_FILENO) ? "writing %.12s" : "writing", sha256);
	progress_show(&k->progress, &s, progress_now_ms());
}

static int arrive(void *arg, const char *p, size_t n, struct err *e)
{
	struct arriving *a = arg;

	digest_update(&a->digest, p, n);
	a->got += n;
	while (n) {
		size_t here = n < a->left ? n : (size_t)a->left;

		if (!here) {
			if (a->part + 1 == bundle_parts(a->blob))
				return err_set(e, ERR_MISMATCH, "the daemon sends more of %.12s than it said", json_get_str(a->blob, "sha256"));
			a->part++;
			close_part(a);
			if (open_part(a, e) < 0)
				return e->code;
			continue;
		}
		if (fdio_write(a->fd, p, here, "the bundle", e) < 0)
			return e->code;
		p += here;
		n -= here;
		a->left -= here;
	}
	show(a->k, a->got, json_get_str(a->blob, "sha256"));
	return 0;
}

static int finish_parts(struct arriving *a, struct err *e)
{
	for (size_t i = 0; i < bundle_parts(a->blob); i++) {
		uint64_t bytes;
		own(mem) char *from = part_file(a, i, true, &bytes), *to = part_file(a, i, false, &bytes);

		if (rename(from, to) < 0)
			return err_errno(e, "name '%s'", to);
	}
	return 0;
}

static bool is_right(struct digest_ctx *c, const json_t *blob)
{
	char hex[DIGEST_HEX_MAX];
	struct digest got;

	digest_end(c, &got);
	digest_hex(hex, &got);
	return !strcmp(hex, json_get_str(blob, "sha256"));
}

/* Was it written whole by an earlier run? Its bytes say so. */
static bool is_written(struct arriving *a)
{
	own(digest) struct digest_ctx c = { 0 };
	own(mem) char *buf = mem_zalloc(COPY_BYTES);

	digest_begin(&c, DIGEST_SHA256);
	for (size_t i = 0; i < bundle_parts(a->blob); i++) {
		uint64_t bytes, got = 0;
		own(mem) char *file = part_file(a, i, false, &bytes);
		own(fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
		ssize_t n = 0;

		while (fd >= 0 && (n = fdio_read(fd, buf, COPY_BYTES, file, NULL)) > 0) {
			digest_update(&c, buf, (size_t)n);
			got += (uint64_t)n;
		}
		if (fd < 0 || n < 0 || got != bytes)
			return false;
	}
	return is_right(&c, a->blob);
}

static int fetch(struct create *k, const json_t *blob, struct err *e)
{
	struct arriving a = { .k = k, .blob = blob, .fd = -1 };
	char path[BUNDLE_PATH_MAX];
	int rc;

	if (is_written(&a))
		return 0;
	digest_begin(&a.digest, DIGEST_SHA256);
	snprintf(path, sizeof(path), "/-/v1/blobs/%.64s", json_get_str(blob, "sha256"));
	rc = open_part(&a, e);
	if (rc == 0)
		rc = client_stream(&k->c->client, path, arrive, &a, e);
	if (rc == ERR_NOT_FOUND)
		rc = err_set(e, ERR_MISMATCH, "content %.12s is lost from the store, which has taken note of it: `bundle create --all`, begun again, leaves out what has it",
			json_get_str(blob, "sha256"));
	if (rc == 0 && (a.left || a.part + 1 != bundle_parts(blob) || !is_right(&a.digest, blob)))
		rc = err_set(e, ERR_MISMATCH, "content %.12s arrived with other bytes than its SHA-256 names: `registryctl verify --all` looks at the store", json_get_str(blob, "sha256"));
	close_part(&a);
	digest_done(&a.digest);
	return rc ? rc : finish_parts(&a, e);
}

static int fetch_all(struct create *k, struct err *e)
{
	const json_t *blob;
	size_t i;
	int rc = 0;

	progress_init(&k->progress, isatty(STDERR_FILENO), k->c->quiet);
	json_array_foreach (k->blobs, i, blob) {
		rc = fetch(k, blob, e);
		if (rc < 0)
			break;
		k->done_bytes += (uint64_t)json_get_int(blob, "size_bytes", 0);
		k->n_done++;
	}
	progress_clear(&k->progress);
	return rc;
}

/* ---- the manifest ---------------------------------------------------------------------------------------------- */

static int sign(struct create *k, const struct buf *manifest, struct err *e)
{
	const char *key = args_text(&k->c->args, "sign");
	own(json) json_t *body = NULL, *signature = NULL;
	own(mem) char *text = NULL;
	char hex[DIGEST_HEX_MAX];
	struct digest id;

	if (!key)
		return 0;
	digest_of(&id, DIGEST_SHA256, manifest->data, manifest->len);
	digest_hex(hex, &id);
	body = json_pack("{s:s, s:s}", "sha256", hex, "key", key);
	if (client_call(&k->c->client, "POST", "/-/v1/bundles/sign", body, &signature, e) < 0)
		return e->code;
	text = json_text(signature);
	return write_file(k, BUNDLE_SIGNATURE, text, strlen(text), e);
}

/* All that was written so far is on the medium. */
static int flush(const struct create *k, struct err *e)
{
	own(fd) int fd = fdio_open_dir(AT_FDCWD, k->dir, e);

	return fd < 0 ? fd : syncfs(fd) < 0 ? err_errno(e, "flush '%s'", k->dir) : 0;
}

/* Contents and signature come first: a directory with a manifest is a whole bundle, also after a power cut. */
static int finish(struct create *k, struct err *e)
{
	char now[STR_TIME_MAX];
	own(json) json_t *j = NULL;
	own(buf) struct buf text;

	str_format_iso(now, (int64_t)time(NULL));
	j = json_pack("{s:s, s:s, s:s, s:b, s:i, s:O, s:O}", "format", BUNDLE_FORMAT, "created_at", now, "source", k->c->client.url, "differential",
		args_has(&k->c->args, "since"), "volumes", (int)k->volume, "models", k->models, "blobs", k->blobs);
	buf_init(&text, BUNDLE_MANIFEST_MAX);
	if (json_write(&text, j) < 0 || buf_failed(&text))
		return err_set(e, ERR_LIMIT, BUNDLE_MANIFEST " would be larger than %zu bytes", BUNDLE_MANIFEST_MAX);
	if (sign(k, &text, e) < 0 || flush(k, e) < 0 || write_file(k, BUNDLE_MANIFEST, text.data, text.len, e) < 0)
		return e->code;
	json_object_set(j, "left_out", k->left_out);
	return k->c->json ? ctl_print_json(j, e) : 0;
}

static int prepare(struct create *k, struct err *e)
{
	own(mem) char *entries = NULL, *manifest = NULL;
	const char *since = args_text(&k->c->args, "since");

	k->dir = args_text(&k->c->args, "o");
	k->volume_bytes = args_number(&k->c->args, "volume-size", 0);
	if (!k->dir)
		return err_set(e, ERR_USAGE, "bundle create needs -o DIR: where the bundle goes");
	if (args_has(&k->c->args, "volume-size") && k->volume_bytes < VOLUME_MIN)
		return err_set(e, ERR_USAGE, "--volume-size must be at least 1MiB");
	if (asprintf(&entries, "%s/entries", k->dir) < 0 || asprintf(&manifest, "%s/" BUNDLE_MANIFEST, k->dir) < 0)
		abort();
	if (access(manifest, F_OK) == 0)
		return err_set(e, ERR_CONFLICT, "'%s' holds a whole bundle already: name another directory", k->dir);
	if (fdio_mkdirs(entries, 0755, e) < 0)
		return e->code;
	return since ? read_receipt(k, since, e) : 0;
}

int cmd_bundle_create(struct ctl *c, struct err *e)
{
	own(json) json_t *models = json_array(), *blobs = json_array(), *left_out = json_array();
	struct create k = { .c = c, .models = models, .blobs = blobs, .left_out = left_out };
	char size[TEXT_SHORT_MAX];
	int rc = prepare(&k, e);

	if (rc == 0)
		rc = add_models(&k, e);
	if (rc == 0)
		rc = place_all(&k, e);
	if (rc == 0)
		rc = fetch_all(&k, e);
	if (rc == 0)
		rc = finish(&k, e);
	free(k.contents);
	free(k.there);
	if (rc < 0)
		return rc;
	text_size(size, (int64_t)k.total_bytes);
	ctl_say(c, "%zu models, %zu contents, %s%s", json_array_size(models), json_array_size(blobs), size, args_has(&c->args, "sign") ? ", signed" : "");
	if (k.n_lost)
		return err_set(e, ERR_MISMATCH, "the bundle is written without %zu of %zu models, of which files are lost from the store; of the first: %s", k.n_lost,
			k.n_lost + json_array_size(models), k.lost.msg);
	return 0;
}
