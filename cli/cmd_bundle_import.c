/*
 * cmd_bundle_import.c - bundle import: to the daemon goes what its store lacks, from where an earlier try left off; then it proves, inspects, tests and
 * judges each revision as if its Hub had sent it. One that is refused does not keep the others out.
 */
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/bundle.h"
#include "cli/job.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/verb.h"

#define ASK_MAX 3000	/* files asked about in one call: with the longest paths, as much as the daemon takes */

struct bringing {
	struct ctl *c;
	struct bundle b;
	json_t *results;
	json_t *followed;			/* models that name a successor */
	json_t *skipped;			/* by SHA-256: contents that the daemon's policy leaves out; false where it wants them for another revision */
	struct progress progress;
	uint64_t total_bytes, done_bytes;	/* of the model under way, without what the daemon has */
	const char *repo;
	struct err worst;
	size_t n_refused;
};

/* ---- contents -------------------------------------------------------------------------------------------------- */

static void moved(void *arg, uint64_t bytes)
{
	struct bringing *r = arg;
	char phase[PROGRESS_PHASE_MAX];
	struct progress_state s = { .bytes_done = (int64_t)(r->done_bytes + bytes), .bytes_total = (int64_t)r->total_bytes, .phase = phase };

	snprintf(phase, sizeof(phase), "sending %s", r->repo);
	progress_show(&r->progress, &s, progress_now_ms());
}

static int send_piece(struct bringing *r, const char *sha256, int fd, uint64_t offset, uint64_t bytes, struct err *e)
{
	own(json) json_t *answer = NULL;
	struct digest ignored;
	char path[160];

	snprintf(path, sizeof(path), "/-/v1/blobs/%.64s?offset=%llu", sha256, (unsigned long long)offset);
	if (client_upload(&r->c->client, path, fd, bytes, moved, r, &ignored, &answer, e) < 0)
		return err_wrap(e, "send %.12s", sha256);
	r->done_bytes += bytes;
	return 0;
}

/* What the daemon has received of it stays; the job looks at all of its bytes. */
static int send_content(struct bringing *r, const json_t *blob, uint64_t received, struct err *e)
{
	uint64_t at = 0;

	for (size_t i = 0; i < bundle_parts(blob); i++) {
		uint64_t bytes, skip;
		own(fd) int fd = bundle_open_part(&r->b, blob, i, &bytes, e);

		if (fd < 0)
			return fd;
		skip = received > at ? received - at : 0;
		skip = skip < bytes ? skip : bytes;
		if (skip && lseek(fd, (off_t)skip, SEEK_SET) < 0)
			return err_errno(e, "go on with %.12s", json_get_str(blob, "sha256"));
		if ((skip < bytes || (!bytes && !received)) && send_piece(r, json_get_str(blob, "sha256"), fd, at + skip, bytes - skip, e) < 0)
			return e->code;
		at += bytes;
	}
	return 0;
}

static int send_missing(struct bringing *r, const json_t *missing, struct err *e)
{
	const json_t *one;
	size_t i;

	json_array_foreach (missing, i, one) {
		const json_t *blob = bundle_find_blob(&r->b, json_get_str_or(one, "sha256", ""));
		int64_t received = json_get_int(one, "received_bytes", 0);

		if (!blob)
			return err_set(e, ERR_NOT_FOUND, "content %.12s of %s is neither in the bundle nor here: make one without --since, or against a receipt that `bundle import --receipt` writes here now",
				       json_get_str_or(one, "sha256", "?"), r->repo);
		r->total_bytes += (uint64_t)(json_get_int(blob, "size_bytes", 0) - (received < json_get_int(blob, "size_bytes", 0) ? received : 0));
	}
	json_array_foreach (missing, i, one) {
		const json_t *blob = bundle_find_blob(&r->b, json_get_str_or(one, "sha256", ""));
		int64_t received = json_get_int(one, "received_bytes", 0);

		if (send_content(r, blob, received <= json_get_int(blob, "size_bytes", 0) ? (uint64_t)received : 0, e) < 0)
			return e->code;
	}
	return 0;
}

static void note_skipped(struct bringing *r, const json_t *answer)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(answer, "missing"), i, one)
		json_object_set_new(r->skipped, json_get_str_or(one, "sha256", ""), json_false());
	json_array_foreach (json_object_get(answer, "skipped"), i, one)
		if (json_is_string(one) && !json_object_get(r->skipped, json_string_value(one)))
			json_object_set_new(r->skipped, json_string_value(one), json_true());
}

static int send_contents(struct bringing *r, const json_t *entry, struct err *e)
{
	const json_t *held = json_object_get(entry, "held");
	size_t n = json_array_size(held);

	r->total_bytes = r->done_bytes = 0;
	for (size_t i = 0; i < n;) {
		own(json) json_t *asked = json_array(), *body = NULL, *answer = NULL;

		for (; i < n && json_array_size(asked) < ASK_MAX; i++)
			json_array_append(asked, json_array_get(held, i));
		body = json_pack("{s:O}", "blobs", asked);
		if (client_call(&r->c->client, "POST", "/-/v1/blobs/missing", body, &answer, e) < 0)
			return e->code;
		note_skipped(r, answer);
		if (send_missing(r, json_object_get(answer, "missing"), e) < 0)
			return e->code;
	}
	return 0;
}

static int send_entry(struct bringing *r, const json_t *model, struct err *e)
{
	char path[BUNDLE_PATH_MAX];
	own(fd) int fd = -1;

	bundle_entry_path(path, json_get_str(model, "entry"));
	fd = fdio_open_beneath(r->b.dirfd, path, O_RDONLY, e);
	return fd < 0 ? fd : send_piece(r, json_get_str(model, "entry"), fd, 0, (uint64_t)json_get_int(model, "entry_bytes", 0), e);
}

/* ---- models ---------------------------------------------------------------------------------------------------- */

/* What became of it; the worst of all is how the command ends: content that does not verify, then what was refused, then the rest. */
static void note(struct bringing *r, const json_t *model, const json_t *result, const struct err *why)
{
	static const int rank[] = { ERR_MISMATCH, ERR_REFUSED };
	size_t was = 0, is = 0;

	json_array_append_new(r->results, json_pack("{s:s, s:s, s:s, s:s?, s:s*}", "repo", json_get_str(model, "repo"), "revision", json_get_str(model, "revision"), "state",
		json_get_str_or(result, "state", "failed"), "reason", why->code ? why->msg : NULL, "lifecycle", json_get_str(result, "lifecycle")));
	if (!why->code) {
		ctl_say(r->c, "published %s@%.12s", json_get_str(model, "repo"), json_get_str(model, "revision"));
		return;
	}
	ctl_say(r->c, "%s %s@%.12s: %s", json_get_str_or(result, "state", "failed"), json_get_str(model, "repo"), json_get_str(model, "revision"), why->msg);
	r->n_refused++;
	while (was < ARRAY_LEN(rank) && (int)r->worst.code != rank[was])
		was++;
	while (is < ARRAY_LEN(rank) && (int)why->code != rank[is])
		is++;
	if (!r->worst.code || is < was)
		r->worst = *why;
}

/* What stayed, or became, otherwise than at the other site. */
static void say_otherwise(struct bringing *r, const json_t *model, const json_t *result)
{
	const json_t *ref;
	size_t i;

	json_array_foreach (json_object_get(result, "refs_kept"), i, ref)
		ctl_say(r->c, "%s of %s stays at %.12s, which came here later; --rollback takes it back", json_get_str_or(ref, "name", "?"), json_get_str(model, "repo"),
			json_get_str_or(ref, "revision", "?"));
	if (json_get_str(result, "lifecycle"))
		ctl_say(r->c, "%s %s", json_get_str(model, "repo"), ctl_text(result, "lifecycle"));
}

/* The entry is there: the daemon's part. */
static int start(struct bringing *r, const json_t *model, json_t **job, struct err *e)
{
	own(json) json_t *body = json_pack("{s:s, s:s}", "repo", json_get_str(model, "repo"), "entry", json_get_str(model, "entry"));

	if (args_has(&r->c->args, "rollback"))
		json_object_set_new(body, "rollback", json_true());
	return job_start(r->c, "/-/v1/bundles", body, job, e);
}

static int judge(struct bringing *r, const json_t *model, struct err *e)
{
	own(json) json_t *job = NULL;
	const json_t *result;
	struct err why = ERR_NONE;

	if (start(r, model, &job, e) < 0)
		return e->code;
	result = json_object_get(job, "result");
	if (job_outcome(job, &why) == 0 && strcmp(json_get_str_or(result, "state", ""), "published") != 0)
		err_set(&why, err_from_label(json_get_str(result, "code")) == ERR_MISMATCH ? ERR_MISMATCH : ERR_REFUSED, "%s",
			json_get_str(result, "reason") ? ctl_text(result, "reason") : "`registryctl why` tells more");
	note(r, model, result, &why);
	say_otherwise(r, model, result);
	return 0;
}

static bool names_successor(const json_t *life)
{
	return json_get_str(life, "successor") || json_get_str(json_object_get(life, "of_revision"), "successor");
}

static int bring(struct bringing *r, const json_t *model, struct err *e)
{
	own(json) json_t *entry = NULL;
	own(buf) struct buf text;
	int rc;

	buf_init(&text, BUNDLE_ENTRY_MAX);
	r->repo = json_get_str(model, "repo");
	if (bundle_read_entry(&r->b, model, &text, e) < 0)
		return e->code;
	entry = json_parse(text.data, text.len, "the bundle's entry", e);
	if (!entry)
		return e->code;
	progress_init(&r->progress, isatty(STDERR_FILENO), r->c->quiet);
	if (names_successor(json_object_get(entry, "lifecycle")))
		json_array_append(r->followed, (json_t *)model);
	rc = send_contents(r, entry, e);
	if (rc == 0)
		rc = send_entry(r, model, e);
	progress_clear(&r->progress);
	return rc ? rc : judge(r, model, e);
}

/* ---- the receipt ----------------------------------------------------------------------------------------------- */

/* What is here, and what would not be taken for any revision. */
static int write_receipt(struct ctl *c, json_t *skipped, const char *file, struct err *e)
{
	const char *sha256;
	json_t *by_all;
	own(json) json_t *all = json_array(), *receipt = NULL;
	own(mem) char *text = NULL;
	char now[STR_TIME_MAX], after[DIGEST_HEX_MAX] = "";
	bool more = true;

	while (more) {
		own(json) json_t *page = NULL;
		const json_t *list;
		own(buf) struct buf path;

		buf_init(&path, CLIENT_PATH_MAX);
		buf_puts(&path, "/-/v1/blobs");
		client_query_add(&path, "after", *after ? after : NULL);
		if (client_get(&c->client, path.data, &page, e) < 0)
			return e->code;
		list = json_object_get(page, "blobs");
		json_array_extend(all, (json_t *)list);
		more = json_get_bool(page, "more", false) && json_array_size(list);
		if (more)
			snprintf(after, sizeof(after), "%s", json_string_value(json_array_get(list, json_array_size(list) - 1)));
	}
	json_object_foreach (skipped, sha256, by_all)
		if (json_is_true(by_all))
			json_array_append_new(all, json_string(sha256));
	str_format_iso(now, (int64_t)time(NULL));
	receipt = json_pack("{s:s, s:s, s:s, s:O}", "format", BUNDLE_RECEIPT, "site", c->client.url, "at", now, "blobs", all);
	text = json_text(receipt);
	return fdio_output(file, text, strlen(text), e);
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

/* A successor may have come after the model that names it: now that all are here, those are gone through again. What became of each is known. */
static int name_successors(struct bringing *r, struct err *e)
{
	const json_t *model;
	size_t i;

	json_array_foreach (r->followed, i, model) {
		own(json) json_t *job = NULL;

		if (send_entry(r, model, e) < 0 || start(r, model, &job, e) < 0)
			return e->code;
	}
	return 0;
}

static int bring_all(struct bringing *r, struct err *e)
{
	const json_t *model;
	size_t i;

	json_array_foreach (r->b.models, i, model) {
		int rc = bring(r, model, e);

		/* A medium with a hole in it, or a daemon that says no to this model: the next may be better. */
		if (rc == ERR_CANCELED || rc == ERR_UNREACHABLE || rc == ERR_AUTH || rc == ERR_NOSPACE)
			return rc;
		if (rc < 0)
			note(r, model, NULL, e);
		*e = ERR_NONE;
	}
	return name_successors(r, e);
}

int cmd_bundle_import(struct ctl *c, struct err *e)
{
	own(json) json_t *results = json_array(), *followed = json_array(), *skipped = json_object();
	struct bringing r = { .c = c, .b = { .dirfd = -1 }, .results = results, .followed = followed, .skipped = skipped };
	const char *receipt = args_text(&c->args, "receipt");
	char hint[DIGEST_HEX_MAX];
	int rc = bundle_open(&r.b, c->args.words[0], e);

	if (rc == 0)
		rc = bundle_check_signature(c, &r.b, args_text(&c->args, "trust"), hint, e);
	if (rc == 0 && !*hint && !c->quiet)
		fprintf(stderr, "the bundle is not signed: each model is judged by its own evidence\n");
	if (rc == 0)
		rc = bring_all(&r, e);
	if (rc == 0 && receipt)
		rc = write_receipt(c, skipped, receipt, e);
	if (rc == 0 && c->json) {
		own(json) json_t *all = json_pack("{s:s?, s:O}", "key", *hint ? hint : NULL, "models", results);

		rc = ctl_print_json(all, e);
	}
	bundle_done(&r.b);
	if (rc == 0 && r.n_refused)
		rc = err_set(e, r.worst.code == ERR_MISMATCH || r.worst.code == ERR_REFUSED ? (int)r.worst.code : ERR_FAILED, "%zu of %zu models are not published; of the worst: %s", r.n_refused, json_array_size(results), r.worst.msg);
	return rc;
}
