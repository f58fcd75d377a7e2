/*
 * api_v1_bundle.c - bundles over the API: a revision's entry and contents go out; contents come in, in pieces where they must, until a job takes them
 * over. An upload lies in DATA/incoming/blobs under the SHA-256 that it is to have; whoever goes on with it says from where.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/api_v1_impl.h"
#include "registryd/bundle.h"
#include "registryd/bundle_upload.h"
#include "registryd/door.h"
#include "registryd/keys.h"
#include "registryd/loss.h"
#include "registryd/room.h"

#define STATES_MAX 10000	/* contents asked about in one request */
#define PAGE_MAX   10000	/* contents listed in one answer */
#define MANIFEST   "bundle.json"	/* what a bundle's signature is about */

int api_v1_bundle_entry(struct request *rq, struct err *e)
{
	const char *rev = http_query(rq, "revision");
	struct daemon *d = api_v1_daemon(rq);
	struct revision r;
	struct model m;
	json_t *entry;

	if (api_v1_find_published(rq, rev, &m, &r, e) < 0 || door_check(rq, &m, &r, rev, e) < 0)
		return e->code;
	entry = bundle_entry(d, &m, &r, &rq->arena, e);
	return entry ? http_answer_json(rq, 200, entry) : (int)e->code;
}

static int read_id(struct request *rq, struct digest *id, struct err *e)
{
	const char *hex = http_param(rq, "sha256");

	return digest_parse(id, DIGEST_SHA256, hex, e) < 0 ? err_set(e, ERR_USAGE, "'%.80s' is not a SHA-256", hex) : 0;
}

int api_v1_blob(struct request *rq, struct err *e)
{
	struct daemon *d = api_v1_daemon(rq);
	struct digest id;
	uint64_t size;
	struct err why = ERR_NONE;
	int fd = read_id(rq, &id, e) < 0 ? (int)e->code : store_open_blob(d->store, &id, &size, e);

	if (fd == ERR_NOT_FOUND && loss_note(d, &id, false, "it is no longer in the store", &why) < 0) {
		*e = why;
		return why.code;
	}
	return fd < 0 ? fd : http_answer_fd(rq, 200, "application/octet-stream", fd, 0, size);
}

/* ---- what is here ---------------------------------------------------------------------------------------------- */

int api_v1_blobs(struct request *rq, struct err *e)
{
	struct digest after = { 0 }, *list;
	const char *from = http_query(rq, "after");
	json_t *names = json_array();
	size_t n;

	if (from && digest_parse(&after, DIGEST_SHA256, from, e) < 0) {
		json_decref(names);
		return err_set(e, ERR_USAGE, "'after' is not a SHA-256");
	}
	if (model_blobs(api_v1_daemon(rq)->db, &after, PAGE_MAX, &rq->arena, &list, &n, e) < 0) {
		json_decref(names);
		return e->code;
	}
	for (size_t i = 0; i < n; i++) {
		char hex[DIGEST_HEX_MAX];

		digest_hex(hex, &list[i]);
		json_array_append_new(names, json_string(hex));
	}
	return http_answer_json(rq, 200, json_pack("{s:o, s:b}", "blobs", names, "more", n == PAGE_MAX));
}

/* {"sha256","received_bytes"} for one that the store does not hold; NULL when it does, or with e set. */
static json_t *state_of(struct request *rq, int incoming, const char *hex, struct err *e)
{
	struct digest id;
	struct stat st;
	int fd;

	if (digest_parse(&id, DIGEST_SHA256, hex ? hex : "", e) < 0) {
		err_set(e, ERR_USAGE, "'%.80s' is not a SHA-256", hex ? hex : "");
		return NULL;
	}
	fd = store_open_blob(api_v1_daemon(rq)->store, &id, NULL, e);
	if (fd >= 0) {
		close(fd);
		return NULL;
	}
	if (e->code != ERR_NOT_FOUND)
		return NULL;
	*e = ERR_NONE;
	if (fstatat(incoming, hex, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		st.st_size = 0;
	return json_pack("{s:s, s:I}", "sha256", hex, "received_bytes", (json_int_t)st.st_size);
}

/* A content that is asked about by its SHA-256 alone is wanted; of files, as an entry has them, the policy may leave some out. Their wanted is set. */
static int read_asked(struct request *rq, const json_t *asked, struct model_file *files, struct err *e)
{
	const json_t *one;
	size_t i;

	json_array_foreach (asked, i, one) {
		files[i] = (struct model_file){ .path = "", .wanted = true };
		if (json_is_object(one) && json_need_str(one, "path", &files[i].path, "\"blobs\"", e) < 0)
			return err_set(e, ERR_USAGE, "a file in \"blobs\" must have a path");
	}
	policy_skip_files(daemon_policy(api_v1_daemon(rq)), files, json_array_size(asked));
	return 0;
}

int api_v1_blobs_missing(struct request *rq, struct err *e)
{
	static const char *const names[] = { "blobs", NULL };
	own(json) json_t *body = http_json_object(rq, e), *missing = json_array(), *skipped = json_array();
	const json_t *asked = json_object_get(body, "blobs"), *one;
	struct model_file *files;
	own(fd) int incoming = -1;
	size_t i;

	if (!body || api_v1_known(body, names, e) < 0)
		return e->code;
	if (!json_is_array(asked) || json_array_size(asked) > STATES_MAX)
		return err_set(e, ERR_USAGE, "\"blobs\" must be a list of at most %d SHA-256s, or files with one", STATES_MAX);
	incoming = bundle_upload_dir(api_v1_daemon(rq)->store, e);
	if (incoming < 0)
		return e->code;
	files = arena_alloc(&rq->arena, (json_array_size(asked) + 1) * sizeof(*files));
	if (read_asked(rq, asked, files, e) < 0)
		return e->code;
	json_array_foreach (asked, i, one) {
		json_t *state = state_of(rq, incoming, json_is_object(one) ? json_get_str(one, "sha256") : json_string_value(one), e);

		if (!state && e->code)
			return e->code;
		if (state && files[i].wanted)
			json_array_append(missing, state);
		else if (state)
			json_array_append(skipped, json_object_get(state, "sha256"));
		json_decref(state);
	}
	return http_answer_json(rq, 200, json_pack("{s:O, s:O}", "missing", missing, "skipped", skipped));
}

/* ---- uploads --------------------------------------------------------------------------------------------------- */

struct arrival {
	int fd;
	uint64_t from, at, left;
	struct room *room;
	struct room_claim *claim;
};

static void arrival_free(void *state)
{
	struct arrival *a = state;

	own_fd(&a->fd);	/* and with it goes the lock */
	room_give(a->room, a->claim);
	free(a);
}

int api_v1_blob_put_begin(struct request *rq, struct err *e)
{
	uint64_t offset = 0, length = http_content_length(rq), size;
	struct digest id;
	own(fd) int dir = -1;
	own(fd) int fd = -1;
	struct arrival *a;
	char hex[DIGEST_HEX_MAX];

	if (read_id(rq, &id, e) < 0 || http_query_u64(rq, "offset", 0, INT64_MAX, &offset, e) < 0)
		return e->code;
	a = mem_zalloc(sizeof(*a));
	*a = (struct arrival){ .fd = -1, .from = offset, .at = offset, .left = length, .room = api_v1_daemon(rq)->room };
	rq->state = a;
	rq->release = arrival_free;
	if (api_v1_claim_room(rq, http_param(rq, "sha256"), &a->claim, e) < 0)
		return e->code;
	dir = bundle_upload_dir(api_v1_daemon(rq)->store, e);
	if (dir < 0)
		return e->code;
	digest_hex(hex, &id);
	fd = openat(dir, hex, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_errno(e, "create the upload %.12s", hex);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_CONFLICT, "%.12s is being uploaded by somebody else", hex);
	if (fdio_size(fd, &size, hex, e) < 0)
		return e->code;
	if (offset > size)
		return err_set(e, ERR_CONFLICT, "of %.12s there are %llu bytes, and not %llu", hex, (unsigned long long)size, (unsigned long long)offset);
	if (ftruncate(fd, (off_t)offset) < 0)
		return err_errno(e, "shorten the upload %.12s", hex);
	a->fd = take_fd(&fd);
	return 0;
}

int api_v1_blob_put_data(struct request *rq, const void *p, size_t n, struct err *e)
{
	struct arrival *a = rq->state;

	if (fdio_pwrite(a->fd, p, n, a->at, "the upload", e) < 0) {
		if (e->code == ERR_NOSPACE && ftruncate(a->fd, (off_t)a->from) == 0)	/* a full disk must not stay so until nobody wants it */
			room_give(a->room, take(a->claim));
		return e->code;
	}
	room_received(a->room, a->claim, n);
	a->at += n;
	a->left -= n < a->left ? n : a->left;
	return 0;
}

int api_v1_blob_put(struct request *rq, struct err *e)
{
	struct arrival *a = rq->state;

	flock(a->fd, LOCK_UN);	/* who has read the answer may send the next piece at once */
	if (a->left)
		return err_set(e, ERR_USAGE, "the upload ended early; what came is kept");
	return http_answer_json(rq, 200, json_pack("{s:s, s:I}", "sha256", http_param(rq, "sha256"), "received_bytes", (json_int_t)a->at));
}

int api_v1_bundle(struct request *rq, struct err *e)
{
	static const char *const names[] = { "repo", "entry", "rollback", NULL };
	own(json) json_t *body = http_json_object(rq, e);
	const char *repo, *entry;
	const json_t *back;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "repo", &repo, e) < 0 || api_v1_check_repo(repo, e) < 0 || api_v1_text(body, "entry", &entry, e) < 0)
		return e->code;
	if (!entry || !str_is_hex(entry, 64))
		return err_set(e, ERR_USAGE, "\"entry\" must be the SHA-256 of an uploaded entry");
	back = json_object_get(body, "rollback");
	if (back && !json_is_boolean(back))
		return err_set(e, ERR_USAGE, "\"rollback\" must be true or false");
	return api_v1_enqueue(rq, "bundle", repo, NULL, json_pack("{s:s, s:b}", "entry", entry, "rollback", json_is_true(back)), e);
}

/* ---- the signature --------------------------------------------------------------------------------------------- */

int api_v1_bundle_sign(struct request *rq, struct err *e)
{
	static const char *const names[] = { "sha256", "key", NULL };
	own(json) json_t *body = http_json_object(rq, e), *statement = NULL;
	own(sign_key) struct sign_key k = { 0 };
	struct sign_file manifest = { .path = MANIFEST };
	const char *hex, *key;

	if (!body || api_v1_known(body, names, e) < 0 || api_v1_text(body, "sha256", &hex, e) < 0 || api_v1_text(body, "key", &key, e) < 0)
		return e->code;
	if (!hex || digest_parse(&manifest.sha256, DIGEST_SHA256, hex, e) < 0)
		return err_set(e, ERR_USAGE, "\"sha256\" must be that of the bundle's " MANIFEST);
	if (keys_load(api_v1_daemon(rq), key, &k, e) < 0)
		return e->code;
	statement = sign_oms_statement("registryd bundle", &manifest, 1, e);
	return statement ? api_v1_answer_signed(rq, statement, &k, e) : e->code;
}
