/* fetch.c - see fetch.h. One thread runs all transfers of a fetch with curl_multi; the order of files is theirs in the list, largest first by its maker. */
#include "registryd/fetch.h"

#include <errno.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/fetch_impl.h"
#include "verify/git_object.h"

#define POLL_MS		  1000	/* the longest wait in the loop */
#define POLL_STARVED_MS	  5	/* while a transfer waits for a buffer of the pool */
#define PROGRESS_MS	  200
#define CURL_BUFFER_BYTES (256L << 10)

/* ---- small files: checked in memory, flushed in groups --------------------------------------------------------- */

static int commit_group(struct loop *l, struct err *e)
{
	int rc;

	if (!l->n_group)
		return 0;
	rc = store_publish_batch(l->f->store, l->group, l->n_group, e);
	if (!rc) {
		for (size_t i = 0; i < l->n_group; i++)
			l->group_files[i]->stored = true;
		rc = l->f->stored(l->f->arg, (const struct fetch_file *const *)l->group_files, l->n_group, e);
	}
	for (size_t i = 0; i < l->n_group; i++)
		close(l->group[i].fd);
	l->n_group = 0;
	return rc;
}

static int add_to_group(struct loop *l, struct fetch_file *f, const void *p, size_t n, struct err *e)
{
	int fd = store_temp(l->f->store, e);
	int rc;

	if (fd < 0)
		return err_wrap(e, "store '%s'", f->path);
	rc = fdio_write(fd, p, n, f->path, e);
	if (rc) {
		close(fd);
		return rc;
	}
	if (!l->n_group)
		l->group_since_ms = net_now_ms();
	l->group_files[l->n_group] = f;
	l->group[l->n_group++] = (struct store_item){ .fd = fd, .size_bytes = n, .sha256 = f->sha256 };
	return l->n_group == FETCH_GROUP_FILES ? commit_group(l, e) : 0;
}

static int keep_wrong(struct loop *l, const void *p, size_t n, const struct digest *sha256, struct err *e)
{
	own(fd) int fd = store_temp(l->f->store, NULL);

	if (fd >= 0 && !fdio_write(fd, p, n, "quarantine", NULL) && !store_quarantine(l->f->store, fd, sha256, e->msg, time(NULL), NULL, NULL) &&
	    strlen(e->msg) + 24 < sizeof(e->msg))
		snprintf(e->msg + strlen(e->msg), 24, " (kept in quarantine/)");
	return e->code;
}

/* A whole small file: 0 stored with its group, ERR_MISMATCH, or another failure. */
static int take_small(struct loop *l, struct fetch_file *f, const void *p, size_t n, bool last_try, struct err *e)
{
	char want[DIGEST_HEX_MAX], got[DIGEST_HEX_MAX];
	struct digest sha256, git;
	bool by_git = f->sha256.algo == DIGEST_NONE;

	digest_of(&sha256, DIGEST_SHA256, p, n);
	git_object_id(&git, GIT_BLOB, p, n);
	if (by_git ? digest_equal(&git, &f->git_oid) : digest_equal(&sha256, &f->sha256)) {
		f->sha256 = sha256;
		return add_to_group(l, f, p, n, e);
	}
	digest_hex(want, by_git ? &f->git_oid : &f->sha256);
	digest_hex(got, by_git ? &git : &sha256);
	err_set(e, ERR_MISMATCH, "%s mismatch in '%s': the listing says %.16s…, the bytes that came are %.16s…", by_git ? "git object id" : "sha256", f->path, want, got);
	return last_try ? keep_wrong(l, p, n, &sha256, e) : ERR_MISMATCH;
}

/* ---- one transfer ---------------------------------------------------------------------------------------------- */

static bool is_small(const struct fetch_file *f)
{
	return f->size_bytes <= FETCH_SMALL_BYTES;
}

static uint64_t have(const struct transfer *t)
{
	return t->stream ? stream_offset(t->stream) : t->small.len;
}

/* The booking of an exchange is over: its answer has begun, so that a long body keeps nobody waiting, or none came. */
static void learn(struct transfer *t, const struct net_answer *a)
{
	if (t->booked)
		hub_learn(t->loop->f->hub, HUB_RESOLVE, a);
	t->booked = false;
}

/* Is this the answer to what was asked, so that its bytes may be taken? Decided once, at the first byte. */
static enum body judge_body(struct transfer *t)
{
	unsigned long long from, to, total;
	long status = 0;
	curl_off_t length = -1;

	curl_easy_getinfo(t->h, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->h, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (status == 200) {
		t->skip = have(t);	/* not the range that was asked for, but everything: pass over what is here */
		if (length >= 0 && (uint64_t)length != t->file->size_bytes && !t->answer.header[NET_CONTENT_ENCODING]) {
			err_set(&t->why, ERR_MISMATCH, "'%s': upstream sends %lld bytes, the listing says %llu", t->file->path, (long long)length, (unsigned long long)t->file->size_bytes);
			return BODY_WRONG;
		}
		return BODY_TAKE;
	}
	if (status != 206)
		return BODY_DROP;
	if (!t->answer.header[NET_CONTENT_RANGE] || sscanf(t->answer.header[NET_CONTENT_RANGE], "bytes %llu-%llu/%llu", &from, &to, &total) != 3 || from != have(t)) {
		err_set(&t->why, ERR_UNREACHABLE, "'%s': upstream answers another range than the one asked for", t->file->path);
		return BODY_WRONG;
	}
	if (total != t->file->size_bytes) {
		err_set(&t->why, ERR_MISMATCH, "'%s': upstream has %llu bytes, the listing says %llu", t->file->path, total, (unsigned long long)t->file->size_bytes);
		return BODY_WRONG;
	}
	return BODY_TAKE;
}

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n, skipped;
	int64_t wait;

	if (t->body == BODY_UNJUDGED) {
		t->body = judge_body(t);
		learn(t, &t->answer);
	}
	if (t->body == BODY_WRONG)
		return 0;
	if (t->body == BODY_DROP) {
		t->dropped += len;
		return t->dropped > FETCH_ERROR_BODY_MAX ? 0 : len;
	}
	if (t->resume_ms > net_now_ms()) {	/* the bandwidth cap */
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	skipped = t->skip < len ? (size_t)t->skip : len;
	if (have(t) + (len - skipped) > t->file->size_bytes) {
		err_set(&t->why, ERR_MISMATCH, "'%s': upstream sends more than the %llu bytes that the listing says", t->file->path, (unsigned long long)t->file->size_bytes);
		t->body = BODY_WRONG;
		return 0;
	}
	if (!t->stream) {
		buf_add(&t->small, p + skipped, len - skipped);
	} else if (len > skipped) {
		enum stream_room room = stream_push(t->stream, p + skipped, len - skipped);

		if (room == STREAM_BROKEN)
			return 0;
		if (room == STREAM_FULL) {
			t->paused = t->starved = true;
			return CURL_WRITEFUNC_PAUSE;
		}
	}
	t->skip -= skipped;
	t->loop->moved = t->file->path;
	wait = hub_spend(t->loop->f->hub, len);
	t->resume_ms = wait ? net_now_ms() + wait : 0;
	return len;
}

/* Sends the request for what is still missing to t->url. */
static void request(struct transfer *t)
{
	char range[64];

	curl_slist_free_all(t->headers);
	t->headers = hub_headers(t->loop->f->hub, t->url);
	t->body = BODY_UNJUDGED;
	t->dropped = t->skip = 0;
	t->paused = t->starved = false;
	t->why = ERR_NONE;
	*t->curl_error = 0;
	net_prepare(t->h, t->url, &t->answer);
	if (have(t)) {
		snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)have(t), (unsigned long long)t->file->size_bytes - 1);
		curl_easy_setopt(t->h, CURLOPT_RANGE, range);
	} else {
		curl_easy_setopt(t->h, CURLOPT_RANGE, NULL);
	}
	curl_easy_setopt(t->h, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->h, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(t->h, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(t->h, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(t->h, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->h, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->h, CURLOPT_ERRORBUFFER, t->curl_error);
	curl_easy_setopt(t->h, CURLOPT_BUFFERSIZE, is_small(t->file) ? 64L << 10 : CURL_BUFFER_BYTES);
	if (curl_multi_add_handle(t->loop->multi, t->h) != CURLM_OK)
		abort();
	t->state = RECEIVING;
}

static int too_long(struct loop *l, int64_t ms, struct err *e)
{
	l->f->wait_s = ms / 1000;
	return err_set(e, ERR_THROTTLED, "%s asks to wait %lld s before the next file", l->f->hub->config.endpoint, (long long)ms / 1000);
}

/* Asks t->url, when its turn has come: on the upstream's own host its limits count. */
static int ask(struct transfer *t, struct err *e)
{
	struct hub *h = t->loop->f->hub;
	int64_t pace = 0;

	if (!t->booked && hub_is_home(h, t->url)) {
		pace = hub_pace(h, HUB_RESOLVE);
		t->booked = !pace;
	}
	t->keep_url = pace > 0;
	if (!pace) {
		request(t);
		return 0;
	}
	t->state = WAITING;
	t->retry_ms = net_now_ms() + pace;
	return pace > NET_WAIT_MAX_S * 1000 ? too_long(t->loop, pace, e) : 0;
}

/* From the beginning of the way: the Hub's own address. Small files start over, large ones go on where they are. */
static int resolve(struct transfer *t, struct err *e)
{
	free(t->url);
	t->url = hub_resolve_url(t->loop->f->hub, t->loop->f->repo, t->loop->f->commit, t->file->path);
	t->hops = 0;
	t->start = have(t);
	if (!t->stream)
		buf_reset(&t->small);
	return ask(t, e);
}

static void end_transfer(struct loop *l, struct transfer *t)
{
	learn(t, NULL);
	curl_multi_remove_handle(l->multi, t->h);
	curl_easy_setopt(t->h, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(t->h, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(t->h, CURLOPT_RANGE, NULL);
	hub_put(l->f->hub, t->h);
	hub_leave(l->f->hub);
	curl_slist_free_all(t->headers);
	stream_close(t->stream);
	l->small_bytes -= is_small(t->file) ? (size_t)t->file->size_bytes : 0;
	l->large -= !is_small(t->file);
	buf_done(&t->small);
	net_answer_done(&t->answer);
	free(t->url);
	memset(t, 0, sizeof(*t));
}

static int open_stream(struct transfer *t, struct err *e)
{
	struct stream_want w = { t->file->path, t->file->size_bytes, t->file->sha256, t->file->git_oid, t->wrong > 0, t->wrong > 0 };
	int rc;

	rc = stream_open(&t->stream, t->loop->f->store, t->loop->f->pool, &w, t->loop->multi, e);
	if (rc)
		return err_wrap(e, "fetch '%s'", t->file->path);
	t->counted = stream_resumed(t->stream);
	t->loop->done_bytes += t->counted;
	return 0;
}

static int open_and_ask(struct transfer *t, struct err *e)
{
	int rc = open_stream(t, e);

	t->elsewhere = rc == ERR_CONFLICT;
	if (t->elsewhere) {
		t->state = WAITING;
		t->retry_ms = net_now_ms() + FETCH_ELSEWHERE_MS;
		return 0;
	}
	if (rc)
		return rc;
	if (have(t) < t->file->size_bytes)
		return resolve(t, e);
	stream_finish(t->stream);	/* partial/ holds it all: only to be verified */
	t->state = DRAINING;
	return 0;
}

/* `booked`: hub_pace() has said yes to one request already. */
static int begin(struct loop *l, struct transfer *t, struct fetch_file *f, struct err *e)
{
	*t = (struct transfer){ .loop = l, .file = f, .h = hub_take(l->f->hub), .state = RECEIVING, .booked = true };
	if (is_small(f)) {
		buf_init(&t->small, (size_t)f->size_bytes + 1);
		l->small_bytes += (size_t)f->size_bytes;
		return resolve(t, e);
	}
	l->large++;
	return open_and_ask(t, e);
}

/* ---- what an ended exchange means ------------------------------------------------------------------------------ */

/* The first answer names the content; it must be what the listing named. */
static int check_linked(const struct transfer *t, struct err *e)
{
	const char *commit = t->answer.header[NET_REPO_COMMIT], *etag = t->answer.header[NET_LINKED_ETAG], *size = t->answer.header[NET_LINKED_SIZE];
	char want[DIGEST_HEX_MAX];
	uint64_t n;

	if (commit && strcmp(commit, t->loop->f->commit))
		return err_set(e, ERR_MISMATCH, "'%s': upstream serves it from commit %.40s instead of %s", t->file->path, commit, t->loop->f->commit);
	if (size && !str_parse_u64(size, &n, NULL) && n != t->file->size_bytes)
		return err_set(e, ERR_MISMATCH, "'%s': upstream now names a size of %llu bytes, the listing says %llu", t->file->path, (unsigned long long)n, (unsigned long long)t->file->size_bytes);
	if (!etag || t->file->sha256.algo != DIGEST_SHA256)
		return 0;
	digest_hex(want, &t->file->sha256);
	etag += strspn(etag, "W/\"");
	if (strcspn(etag, "\"") == 64 && strspn(etag, "0123456789abcdef") >= 64 && strncmp(etag, want, 64))
		return err_set(e, ERR_MISMATCH, "'%s': upstream now names another SHA-256 (%.16s…) than the listing (%.16s…)", t->file->path, etag, want);
	return 0;
}

static int follow(struct transfer *t, struct err *e)
{
	char *next = net_join(t->url, t->answer.header[NET_LOCATION]);
	int rc = t->hops ? 0 : check_linked(t, e);

	if (!rc && !next)
		rc = err_set(e, ERR_INPUT, "'%s': upstream redirects to '%.200s', which is no http address", t->file->path, t->answer.header[NET_LOCATION]);
	if (!rc && ++t->hops > NET_REDIRECTS_MAX)
		rc = err_set(e, ERR_INPUT, "'%s': upstream redirects more than %d times", t->file->path, NET_REDIRECTS_MAX);
	if (rc) {
		free(next);
		return rc;
	}
	free(t->url);
	t->url = next;
	return ask(t, e);
}

/* Another try later, from the Hub's own address; `why` is the error when there have been too many. */
static int again(struct transfer *t, const struct err *why, struct err *e)
{
	struct hub *h = t->loop->f->hub;

	if (have(t) >= t->start + FETCH_PROGRESS_BYTES)
		t->attempt = 0;	/* it does get on */
	if (++t->attempt > h->config.retries) {
		*e = *why;
		return e->code;
	}
	t->state = WAITING;
	t->retry_ms = net_now_ms() + net_backoff_ms(t->attempt, h->config.backoff_ms);
	return 0;
}

/* The bytes were wrong: once more from the beginning, then it is final. */
static int wrong_bytes(struct transfer *t, const struct err *why, struct err *e)
{
	if (t->wrong++) {
		*e = *why;
		return e->code;
	}
	t->loop->done_bytes -= t->counted;
	t->counted = 0;
	stream_close(take(t->stream));
	if (!is_small(t->file) && open_stream(t, e))
		return e->code;
	buf_reset(&t->small);
	return again(t, why, e);
}

static int whole(struct transfer *t, struct err *e)
{
	struct err why = ERR_NONE;
	int rc;

	if (t->stream) {
		stream_finish(t->stream);
		t->state = DRAINING;
		return 0;
	}
	rc = take_small(t->loop, t->file, t->small.data, t->small.len, t->wrong > 0, &why);
	if (rc == ERR_MISMATCH)
		return wrong_bytes(t, &why, e);
	if (rc)
		*e = why;
	t->state = ENDED;
	return rc;
}

static int refused(struct transfer *t, struct err *e)
{
	struct loop *l = t->loop;
	struct err why = ERR_NONE;

	if (net_status_transient(t->answer.status) || t->hops) {	/* a signed address that has expired answers 403: resolve it anew */
		err_set(&why, t->answer.status == 429 ? ERR_THROTTLED : ERR_UNREACHABLE, "'%s': upstream answers %ld", t->file->path, t->answer.status);
		return again(t, &why, e);
	}
	if (t->answer.status == 416 && have(t)) {
		err_set(&why, ERR_MISMATCH, "'%s': upstream says it is shorter than the listing does", t->file->path);
		return wrong_bytes(t, &why, e);
	}
	return hub_explain(l->f->hub, l->f->repo, t->file->path, &t->answer, l->f->stop, e);
}

static int exchange_ended(struct transfer *t, CURLcode code, struct err *e)
{
	struct err why = ERR_NONE, disk = ERR_NONE;
	struct digest unused;
	int rc = 0;

	curl_multi_remove_handle(t->loop->multi, t->h);
	curl_easy_getinfo(t->h, CURLINFO_RESPONSE_CODE, &t->answer.status);
	learn(t, &t->answer);
	if (t->stream && stream_ended(t->stream, &unused, &rc, &disk) && rc) {
		*e = disk;
		return rc;
	}
	if (t->body == BODY_WRONG)
		return t->why.code == ERR_MISMATCH ? wrong_bytes(t, &t->why, e) : again(t, &t->why, e);
	if (t->answer.status >= 301 && t->answer.status <= 308 && t->answer.status != 304 && t->answer.header[NET_LOCATION])
		return follow(t, e);
	if (t->answer.status >= 400 || (code == CURLE_OK && t->answer.status >= 300))
		return refused(t, e);
	if (code == CURLE_OK && !t->hops && check_linked(t, e))
		return e->code;
	if (have(t) == t->file->size_bytes && (code == CURLE_OK || t->body == BODY_TAKE))
		return whole(t, e);
	if (code == CURLE_OK || net_code_transient(code) || code == CURLE_WRITE_ERROR) {
		err_set(&why, ERR_UNREACHABLE, "'%s': the transfer broke off after %llu of %llu bytes: %s", t->file->path, (unsigned long long)have(t),
			(unsigned long long)t->file->size_bytes, code == CURLE_OK ? "the connection was closed" : *t->curl_error ? t->curl_error : curl_easy_strerror(code));
		return again(t, &why, e);
	}
	return err_set(e, ERR_UNREACHABLE, "'%s': %s", t->file->path, *t->curl_error ? t->curl_error : curl_easy_strerror(code));
}

/* A stream that has all its bytes: published or wrong? */
static int drained(struct transfer *t, struct err *e)
{
	const struct fetch_file *f = t->file;
	struct err why = ERR_NONE;
	struct digest sha256;
	int rc;

	if (!stream_ended(t->stream, &sha256, &rc, &why))
		return 0;
	if (rc == ERR_MISMATCH)
		return wrong_bytes(t, &why, e);
	t->state = ENDED;
	if (rc) {
		*e = why;
		return rc;
	}
	t->file->sha256 = sha256;
	t->file->stored = true;
	return t->loop->f->stored(t->loop->f->arg, &f, 1, e);
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

static int take_messages(struct loop *l, struct err *e)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(l->multi, &left))) {
		struct transfer *t;
		CURLcode code = m->data.result;
		int rc;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		rc = exchange_ended(t, code, e);
		if (rc)
			return rc;
	}
	return 0;
}

static void count(struct loop *l, struct transfer *t)
{
	uint64_t now = have(t);

	l->done_bytes += now > t->counted ? now - t->counted : 0;
	if (now > t->counted)
		t->counted = now;
}

/* Another job is at this content: has it brought it by now, or given up? */
static int look_elsewhere(struct transfer *t, struct err *e)
{
	const struct fetch_file *f = t->file;
	int rc = f->sha256.algo ? store_has(t->loop->f->store, &f->sha256, f->size_bytes, e) : 0;

	if (rc < 0)
		return rc;
	if (!rc)
		return open_and_ask(t, e);
	t->loop->done_bytes += f->size_bytes;
	t->state = ENDED;
	t->file->stored = true;
	return t->loop->f->stored(t->loop->f->arg, &f, 1, e);
}

/* What the transfer waited for is due. */
static int retry(struct transfer *t, struct err *e)
{
	if (t->elsewhere)
		return look_elsewhere(t, e);
	if (t->keep_url)
		return ask(t, e);
	return have(t) == t->file->size_bytes && t->stream ? whole(t, e) : resolve(t, e);
}

static bool more(const struct loop *l)
{
	return l->next_large < l->f->n_files || l->next_small < l->f->n_files;
}

/* Moves every transfer that can move without the network. *wait_ms becomes the time until one of them wants attention. */
static int step_transfers(struct loop *l, int *wait_ms, struct err *e)
{
	int64_t now = net_now_ms(), due;
	int rc = 0;

	for (size_t i = 0; i < l->n_places && !rc; i++) {
		struct transfer *t = &l->places[i];

		if (t->state == IDLE)
			continue;
		count(l, t);
		if (t->state == DRAINING)
			rc = drained(t, e);
		if (!rc && t->state == WAITING && t->retry_ms <= now)
			rc = retry(t, e);
		if (rc)
			return rc;
		if (t->state == RECEIVING && t->paused && t->resume_ms <= now) {
			t->paused = t->starved = false;
			curl_easy_pause(t->h, CURLPAUSE_CONT);	/* may pause itself again at once */
		}
		due = t->state == WAITING ? t->retry_ms - now : t->paused ? (t->starved ? POLL_STARVED_MS : t->resume_ms - now) : POLL_MS;
		if (due < *wait_ms)
			*wait_ms = due < 1 ? 1 : (int)due;
		if (t->state == ENDED) {
			end_transfer(l, t);
			*wait_ms = more(l) ? 0 : *wait_ms;	/* its place is free for another */
		}
	}
	return rc;
}

/* The next file that may start: large ones as long as their number allows, else small ones as long as their memory does. NULL: none now. */
static struct fetch_file *next_file(struct loop *l)
{
	struct fetch_file *f;

	while (l->next_large < l->f->n_files && is_small(&l->f->files[l->next_large]))
		l->next_large++;
	while (l->next_small < l->f->n_files && !is_small(&l->f->files[l->next_small]))
		l->next_small++;
	if (l->next_large < l->f->n_files && (!l->f->max_large || l->large < l->f->max_large))
		return &l->f->files[l->next_large++];
	if (l->next_small == l->f->n_files)
		return NULL;
	f = &l->f->files[l->next_small];
	if (l->small_bytes && l->small_bytes + f->size_bytes > FETCH_SMALL_TOTAL_BYTES)
		return NULL;
	l->next_small++;
	return f;
}

static int start_one(struct loop *l, struct transfer *t, struct fetch_file *f, struct err *e)
{
	int rc;

	if (!f->size_bytes) {	/* nothing to fetch; its id is checked all the same */
		hub_learn(l->f->hub, HUB_RESOLVE, NULL);
		hub_leave(l->f->hub);
		return take_small(l, f, "", 0, true, e);
	}
	rc = begin(l, t, f, e);
	return rc;
}

/* Starts what may be started now: a place, a connection, a turn with the upstream, and memory. */
static int start_transfers(struct loop *l, int *wait_ms, struct err *e)
{
	for (size_t i = 0; i < l->n_places; i++) {
		struct fetch_file *f;
		int64_t pace;
		int rc;

		if (l->places[i].state != IDLE)
			continue;
		if (!more(l))
			return 0;
		if (!hub_enter(l->f->hub)) {
			*wait_ms = *wait_ms < 50 ? *wait_ms : 50;	/* another job holds the connections */
			return 0;
		}
		pace = hub_pace(l->f->hub, HUB_RESOLVE);
		if (pace > 0) {
			hub_leave(l->f->hub);
			if (pace < *wait_ms)
				*wait_ms = (int)pace;
			if (pace <= NET_WAIT_MAX_S * 1000)
				return 0;
			return too_long(l, pace, e);
		}
		f = next_file(l);
		if (!f) {
			hub_learn(l->f->hub, HUB_RESOLVE, NULL);
			hub_leave(l->f->hub);
			return 0;
		}
		rc = start_one(l, &l->places[i], f, e);
		if (rc)
			return rc;
	}
	return 0;
}

static bool busy(const struct loop *l)
{
	for (size_t i = 0; i < l->n_places; i++)
		if (l->places[i].state != IDLE)
			return true;
	return more(l);
}

static int check_stop(struct loop *l, struct err *e)
{
	int64_t now = net_now_ms();
	bool asked = l->f->stop && atomic_load(l->f->stop);

	if (now - l->progress_ms >= PROGRESS_MS) {
		l->progress_ms = now;
		asked |= l->f->progress && l->f->progress(l->f->arg, l->done_bytes, l->moved);
		l->f->wait_s = hub_window_wait(l->f->hub, time(NULL));
		if (l->f->wait_s)
			return err_set(e, ERR_THROTTLED, "outside the time of day in which upstream '%s' may be used; it opens in %lld min", l->f->hub->config.name, (long long)l->f->wait_s / 60);
	}
	return asked ? err_set(e, ERR_CANCELED, "stopped; what was fetched is kept") : 0;
}

static int turn(struct loop *l, struct err *e)
{
	int wait_ms = POLL_MS, running;
	int rc;

	rc = check_stop(l, e);
	if (!rc)
		rc = start_transfers(l, &wait_ms, e);
	if (rc)
		return rc;
	curl_multi_perform(l->multi, &running);
	rc = take_messages(l, e);
	if (!rc)
		rc = step_transfers(l, &wait_ms, e);
	if (!rc && l->n_group && net_now_ms() - l->group_since_ms >= FETCH_GROUP_MS)
		rc = commit_group(l, e);
	if (!rc && busy(l))
		curl_multi_poll(l->multi, NULL, 0, wait_ms < PROGRESS_MS ? wait_ms : PROGRESS_MS, NULL);
	return rc;
}

static void loop_close(struct loop *l)
{
	for (size_t i = 0; i < l->n_places; i++)
		if (l->places[i].state != IDLE)
			end_transfer(l, &l->places[i]);
	for (size_t i = 0; i < l->n_group; i++)
		close(l->group[i].fd);
	curl_multi_cleanup(l->multi);
	free(l->places);
}

int fetch_files(struct fetch *f, struct err *e)
{
	struct loop l = { .f = f, .multi = curl_multi_init(), .n_places = (size_t)f->hub->config.connections };
	int rc = 0;

	if (!l.multi)
		abort();
	if (l.n_places > FETCH_PLACES_MAX)
		l.n_places = FETCH_PLACES_MAX;
	l.places = mem_zalloc(l.n_places * sizeof(*l.places));
	curl_multi_setopt(l.multi, CURLMOPT_MAXCONNECTS, (long)l.n_places * 2);
	while (!rc && busy(&l))
		rc = turn(&l, e);
	if (!rc || l.n_group) {	/* what is whole is kept, also when another file failed */
		struct err late = ERR_NONE;
		int grc = commit_group(&l, &late);

		if (!rc && grc) {
			*e = late;
			rc = grc;
		}
	}
	if (f->progress)
		f->progress(f->arg, l.done_bytes, l.moved);
	loop_close(&l);
	return rc;
}
