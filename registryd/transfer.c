/*
 * transfer.c - one exchange with an upstream after another until a file, or a lane of it, is here. fetch.c runs many of them at once; what is
 * decided here is what an answer, a broken connection or a wrong byte means, and what is asked next. See fetch_impl.h.
 */
#include "registryd/fetch_impl.h"

#include <sys/ioctl.h>

#include "base/str.h"
#include "base/vec.h"

/* ---- one transfer ---------------------------------------------------------------------------------------------- */

#define CURL_BUFFER_BYTES (256L << 10)

_Static_assert(CURL_BUFFER_BYTES <= STREAM_PUSH_MAX, "libcurl hands over no more than a stream takes at once");

static uint64_t have(const struct transfer *t)
{
	return t->large ? t->lane.at : t->small.len;
}

/* Where what this transfer is to bring ends. */
static uint64_t upto(const struct transfer *t)
{
	return t->large ? t->lane.end : t->file->size_bytes;
}

/* The booking of an exchange is over: its answer has begun, so that a long body keeps nobody waiting, or none came. */
static void learn(struct transfer *t, const struct net_answer *a)
{
	if (t->booked)
		hub_learn(t->loop->f->hub, t->bucket, a);
	t->booked = false;
}

/* Everything, though a range was asked for: one lane can pass over what is here, several would each fetch the whole file. */
static enum body judge_everything(struct transfer *t)
{
	curl_off_t length = -1;

	curl_easy_getinfo(t->h, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (length >= 0 && (uint64_t)length != t->file->size_bytes && !t->answer.header[NET_CONTENT_ENCODING]) {
		err_set(&t->why, ERR_MISMATCH, "'%s': upstream sends %lld bytes, the listing says %llu", t->file->path, (long long)length, (unsigned long long)t->file->size_bytes);
		return BODY_WRONG;
	}
	t->skip = have(t);
	t->until = t->file->size_bytes;
	if (!t->large || !t->ranged)
		return BODY_TAKE;
	t->large->plain = true;
	if (t->large->lanes == 1) {
		stream_extend(t->large->stream, &t->lane, t->until);
		return BODY_TAKE;
	}
	err_set(&t->why, ERR_UNREACHABLE, "'%s': upstream answers a range with everything", t->file->path);
	return BODY_WRONG;
}

/* Is this the answer to what was asked, so that its bytes may be taken? Decided once, at the first byte. */
static enum body judge_body(struct transfer *t)
{
	unsigned long long from, to, total;
	long status = 0;

	curl_easy_getinfo(t->h, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return judge_everything(t);
	if (status != 206)
		return BODY_DROP;
	if (!t->answer.header[NET_CONTENT_RANGE] || sscanf(t->answer.header[NET_CONTENT_RANGE], "bytes %llu-%llu/%llu", &from, &to, &total) != 3 || from != have(t) || to >= t->until) {
		err_set(&t->why, ERR_UNREACHABLE, "'%s': upstream answers another range than the one asked for", t->file->path);
		return BODY_WRONG;
	}
	if (total != t->file->size_bytes) {
		err_set(&t->why, ERR_MISMATCH, "'%s': upstream has %llu bytes, the listing says %llu", t->file->path, total, (unsigned long long)t->file->size_bytes);
		return BODY_WRONG;
	}
	return BODY_TAKE;
}

/* Bytes were found here: the file's other lanes may go the same way. */
static void keep_address(struct transfer *t)
{
	if (!t->large || (t->large->url && !strcmp(t->large->url, t->url)))
		return;
	free(t->large->url);
	t->large->url = mem_strdup(t->url);
	t->large->hops = t->hops;
}

static size_t wait_for_us(struct transfer *t, bool starved)
{
	t->paused = true;
	t->starved = starved;
	t->loop->split.ours = true;
	return CURL_WRITEFUNC_PAUSE;
}

/* Into the stream, but no further than the lane goes. */
static size_t take_large(struct transfer *t, const char *p, size_t n)
{
	size_t mine = n < upto(t) - have(t) ? n : (size_t)(upto(t) - have(t));
	enum stream_room room = mine ? stream_push(t->large->stream, &t->lane, p, mine) : STREAM_TOOK;

	if (room == STREAM_FULL)
		return wait_for_us(t, true);
	if (room == STREAM_BROKEN)
		return 0;
	t->cut = have(t) == upto(t) && upto(t) < t->until;
	t->large->counted += mine;
	t->loop->done_bytes += mine;
	return mine;
}

static size_t sends_too_much(struct transfer *t)
{
	if (t->until < t->file->size_bytes)
		err_set(&t->why, ERR_UNREACHABLE, "'%s': upstream sends more than the range that was asked for", t->file->path);
	else if (t->answer.header[NET_CONTENT_ENCODING])	/* these may not be upstream's bytes at all */
		err_set(&t->why, ERR_UNREACHABLE, "'%s': it comes encoded as '%.60s', though it was asked for as it is: is there a proxy in between?", t->file->path,
			str_printable(t->answer.header[NET_CONTENT_ENCODING]));
	else
		err_set(&t->why, ERR_MISMATCH, "'%s': upstream sends more than the %llu bytes that the listing says", t->file->path, (unsigned long long)t->file->size_bytes);
	return 0;
}

/* What has come for it and waits in the kernel goes with the connection; upstream has sent it all the same. */
static void spend_unread(struct transfer *t)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	int n = 0;

	if (!curl_easy_getinfo(t->h, CURLINFO_ACTIVESOCKET, &fd) && fd != CURL_SOCKET_BAD && !ioctl(fd, FIONREAD, &n) && n > 0)
		hub_spend(t->loop->f->hub, (uint64_t)n);
}

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n, skipped, took;
	int64_t wait;

	if (t->body == BODY_UNJUDGED) {
		t->body = judge_body(t);
		learn(t, &t->answer);
		if (t->body == BODY_TAKE)
			keep_address(t);
	}
	if (t->body == BODY_WRONG)
		return 0;
	if (t->body == BODY_DROP) {
		t->dropped += len;
		hub_spend(t->loop->f->hub, len);
		return t->dropped > FETCH_ERROR_BODY_MAX ? 0 : len;
	}
	if (t->resume_ms && t->resume_ms > net_now_ms())	/* the bandwidth cap */
		return wait_for_us(t, false);
	skipped = t->skip < len ? (size_t)t->skip : len;
	if (have(t) + (len - skipped) > t->until) {
		t->body = BODY_WRONG;
		return sends_too_much(t);
	}
	took = len - skipped;
	if (!t->large)
		buf_add(&t->small, p + skipped, took);
	else if ((took = take_large(t, p + skipped, took)) == CURL_WRITEFUNC_PAUSE)
		return took;
	t->skip -= skipped;
	t->loop->moved = t->file->path;
	t->loop->split.bytes += took;
	wait = hub_spend(t->loop->f->hub, len);
	t->resume_ms = wait ? net_now_ms() + wait : 0;
	if (t->cut)
		spend_unread(t);
	return t->cut ? 0 : skipped + took;
}

/* Sends the request for what is still missing to t->url. */
static void request(struct transfer *t)
{
	char range[64];

	curl_slist_free_all(t->headers);
	t->headers = hub_headers(t->loop->f->hub, t->url);
	t->body = BODY_UNJUDGED;
	t->dropped = t->skip = 0;
	t->paused = t->starved = t->cut = false;
	t->until = upto(t);
	t->ranged = have(t) > 0 || t->until < t->file->size_bytes;
	t->why = ERR_NONE;
	*t->curl_error = 0;
	hub_prepare(t->loop->f->hub, t->h, t->url, &t->answer);
	snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)have(t), (unsigned long long)t->until - 1);
	curl_easy_setopt(t->h, CURLOPT_RANGE, t->ranged ? range : NULL);
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

/* Asks t->url, when its turn has come. */
static int ask(struct transfer *t, struct err *e)
{
	struct hub *h = t->loop->f->hub;
	int64_t pace = 0;

	if (!t->booked) {
		t->bucket = hub_bucket_of(h, t->url, HUB_RESOLVE);
		pace = hub_pace(h, t->bucket);
		t->booked = !pace;
	}
	t->keep_url = pace > 0;
	if (!pace) {
		request(t);
		return 0;
	}
	t->state = WAITING;
	t->retry_ms = net_now_ms() + pace;
	return pace > NET_WAIT_MAX_S * 1000 ? fetch_too_long(t->loop, t->url, pace, e) : 0;
}

/* From the beginning of the way: the Hub's own address. Small files start over, large ones go on where they are. */
static int resolve(struct transfer *t, struct err *e)
{
	free(t->url);
	t->url = hub_resolve_url(t->loop->f->hub, t->loop->f->repo, t->loop->f->commit, t->file->path);
	t->hops = 0;
	t->kept_url = false;
	t->start = have(t);
	if (!t->large)
		buf_reset(&t->small);
	return ask(t, e);
}

/* Where bytes of this file were found before: for as long as the address lives, the Hub need not be asked for each range. */
static int ask_where_it_was(struct transfer *t, struct err *e)
{
	struct large *g = t->large;

	if (!g->url)
		return resolve(t, e);
	free(t->url);
	t->url = mem_strdup(g->url);
	t->hops = g->hops;
	t->kept_url = true;
	t->start = have(t);
	return ask(t, e);
}

/* ---- begin and end --------------------------------------------------------------------------------------------- */

static void count_lost(struct transfer *t, uint64_t bytes)
{
	t->large->counted -= bytes;
	t->loop->done_bytes -= bytes;
}

/* Others go on with the file; what is left of this lane is theirs. */
static void leave(struct transfer *t)
{
	count_lost(t, stream_release(t->large->stream, &t->lane));
	t->large->lanes--;
	t->large = NULL;
	t->state = ENDED;
}

/*
 * A lane that failed, though others are well: upstream may not like so many, or ranges. The lane before it goes on into what it leaves, when
 * it asked for that once; so the first connection of a file brings it all if need be.
 */
static void give_back(struct transfer *t)
{
	struct loop *l = t->loop;
	struct large *g = t->large;

	leave(t);
	for (size_t i = 0; i < l->n_places; i++)
		if (l->places[i].large == g && l->places[i].state == RECEIVING)
			stream_extend(g->stream, &l->places[i].lane, l->places[i].until);
	split_hold(l);
}

static void free_large(struct transfer *t)
{
	struct large *g = t->large;

	if (!g || --g->lanes)
		return;
	stream_close(g->stream);
	free(g->url);
	free(g);
	t->loop->large--;
}

void transfer_end(struct transfer *t)
{
	struct loop *l = t->loop;

	learn(t, NULL);
	curl_multi_remove_handle(l->multi, t->h);
	curl_easy_setopt(t->h, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(t->h, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(t->h, CURLOPT_RANGE, NULL);
	hub_put(l->f->hub, t->h);
	hub_leave(l->f->hub);
	curl_slist_free_all(t->headers);
	if (t->large)
		stream_release(t->large->stream, &t->lane);
	free_large(t);
	l->small_bytes -= is_small(t->file) ? (size_t)t->file->size_bytes : 0;
	buf_done(&t->small);
	net_answer_done(&t->answer);
	free(t->url);
	memset(t, 0, sizeof(*t));
}

static int open_stream(struct transfer *t, struct err *e)
{
	struct large *g = t->large;
	struct stream_want w = { .path = g->file->path, .size_bytes = g->file->size_bytes, .afresh = g->wrong > 0, .keep_wrong = g->wrong > 0 };
	int rc;

	*(g->file->id.algo == DIGEST_SHA256 ? &w.sha256 : &w.git_oid) = g->file->id;
	rc = stream_open(&g->stream, t->loop->f->store, t->loop->f->pool, &w, t->loop->multi, e);
	if (rc)
		return err_wrap(e, "fetch '%s'", g->file->path);
	g->counted = stream_resumed(g->stream);
	t->loop->done_bytes += g->counted;
	return 0;
}

static void wait_ms(struct transfer *t, int64_t ms)
{
	t->state = WAITING;
	t->retry_ms = net_now_ms() + ms;
}

/* All bytes of the file are here or on their way. */
static void nothing_left(struct transfer *t)
{
	if (t->large->lanes > 1) {
		leave(t);
		return;
	}
	stream_finish(t->large->stream);
	t->state = DRAINING;
}

/* The first bytes for a transfer that has none to receive. */
static int first_lane(struct transfer *t, struct err *e)
{
	switch (stream_claim(t->large->stream, &t->lane, split_claim_max(t->loop, t->large))) {
	case STREAM_CLAIMED:
		return resolve(t, e);
	case STREAM_NO_BUFFER:
		wait_ms(t, FETCH_BUFFER_MS);
		return 0;
	case STREAM_ALL_TAKEN:	/* partial/ holds it all: only to be verified */
		break;
	}
	nothing_left(t);
	return 0;
}

static int open_and_ask(struct transfer *t, struct err *e)
{
	int rc = open_stream(t, e);

	t->elsewhere = rc == ERR_CONFLICT;
	if (t->elsewhere) {
		wait_ms(t, FETCH_ELSEWHERE_MS);
		return 0;
	}
	return rc ? rc : first_lane(t, e);
}

int transfer_begin(struct loop *l, struct transfer *t, struct fetch_file *f, struct err *e)
{
	*t = (struct transfer){ .loop = l, .file = f, .h = hub_take(l->f->hub), .state = RECEIVING, .booked = true, .bucket = HUB_RESOLVE };
	if (is_small(f)) {
		buf_init(&t->small, (size_t)f->size_bytes + 1);
		l->small_bytes += (size_t)f->size_bytes;
		return resolve(t, e);
	}
	t->large = mem_zalloc(sizeof(*t->large));
	*t->large = (struct large){ .file = f, .lanes = 1 };
	l->large++;
	return open_and_ask(t, e);
}

int transfer_begin_lane(struct loop *l, struct transfer *t, struct large *g, bool *began, struct err *e)
{
	struct stream_lane lane = { 0 };

	*began = stream_claim(g->stream, &lane, l->split.segment) == STREAM_CLAIMED;
	if (!*began)
		return 0;
	g->lanes++;
	*t = (struct transfer){ .loop = l, .file = g->file, .large = g, .lane = lane, .h = hub_take(l->f->hub), .state = RECEIVING };
	return ask_where_it_was(t, e);
}

/* The lane has brought what it was to bring: on to the next bytes, unless somebody else could use the connection better. */
static int lane_done(struct transfer *t, struct err *e)
{
	struct loop *l = t->loop;

	if (t->large->lanes > 1 && (fetch_can_start(l) || hub_is_crowded(l->f->hub))) {
		leave(t);
		return 0;
	}
	if (stream_claim(t->large->stream, &t->lane, split_claim_max(l, t->large)) == STREAM_CLAIMED)
		return ask_where_it_was(t, e);
	nothing_left(t);
	return 0;
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
	if (!etag || t->file->id.algo != DIGEST_SHA256)
		return 0;
	digest_hex(want, &t->file->id);
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

	if (t->large && t->large->lanes > 1) {
		give_back(t);
		return 0;
	}
	if (have(t) >= t->start + FETCH_PROGRESS_BYTES)
		t->attempt = 0;	/* it does get on */
	if (++t->attempt > h->config.retries) {
		*e = *why;
		return e->code;
	}
	wait_ms(t, net_backoff_ms(t->attempt, h->config.backoff_ms));
	return 0;
}

/* The file from its beginning, in one lane. */
static int start_over(struct transfer *t, struct err *e)
{
	struct loop *l = t->loop;

	for (size_t i = 0; i < l->n_places; i++)
		if (&l->places[i] != t && l->places[i].large == t->large)
			transfer_end(&l->places[i]);
	stream_release(t->large->stream, &t->lane);
	count_lost(t, t->large->counted);
	t->large->wrong++;
	t->large->plain = true;
	stream_close(take(t->large->stream));
	return open_stream(t, e);
}

/* The bytes were wrong: once more from the beginning, then it is final. */
static int wrong_bytes(struct transfer *t, const struct err *why, struct err *e)
{
	if (t->wrong || (t->large && t->large->wrong)) {
		*e = *why;
		return e->code;
	}
	if (t->large)
		return start_over(t, e) ? e->code : again(t, why, e);
	t->wrong++;
	t->loop->done_bytes -= t->counted;
	t->counted = 0;
	buf_reset(&t->small);
	return again(t, why, e);
}

static int whole(struct transfer *t, struct err *e)
{
	struct err why = ERR_NONE;
	int rc;

	if (t->large)
		return lane_done(t, e);
	rc = fetch_take_small(t->loop, t->file, t->small.data, t->small.len, t->wrong > 0, &why);
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
	char origin[300];

	if (t->kept_url && !net_status_transient(t->answer.status))
		return resolve(t, e);
	if (net_status_transient(t->answer.status) || (t->hops && t->answer.status != 407)) {	/* a signed address that has expired answers 403: resolve it anew */
		net_origin(origin, sizeof(origin), t->url);
		err_set(&why, t->answer.status == 429 ? ERR_THROTTLED : ERR_UNREACHABLE, "'%s': %s answers %ld", t->file->path, origin, t->answer.status);
		return again(t, &why, e);
	}
	if (t->answer.status == 416 && have(t)) {
		err_set(&why, ERR_MISMATCH, "'%s': upstream says it is shorter than the listing does", t->file->path);
		return wrong_bytes(t, &why, e);
	}
	return hub_explain(l->f->hub, l->f->repo, t->file->path, &t->answer, l->f->stop, e);
}

int transfer_exchanged(struct transfer *t, CURLcode code, struct err *e)
{
	struct err why = ERR_NONE, disk = ERR_NONE;
	struct digest unused;
	int rc = 0;

	curl_multi_remove_handle(t->loop->multi, t->h);
	if (code != CURLE_OK)
		code = net_blame_proxy(t->h, code, t->curl_error);
	curl_easy_getinfo(t->h, CURLINFO_RESPONSE_CODE, &t->answer.status);
	learn(t, &t->answer);
	if (t->large && stream_ended(t->large->stream, &unused, &rc, &disk) && rc) {
		*e = disk;
		return rc;
	}
	if (t->cut)
		return lane_done(t, e);
	if (t->body == BODY_WRONG)
		return t->why.code == ERR_MISMATCH ? wrong_bytes(t, &t->why, e) : again(t, &t->why, e);
	if (t->answer.status >= 301 && t->answer.status <= 308 && t->answer.status != 304 && t->answer.header[NET_LOCATION])
		return follow(t, e);
	if (t->answer.status >= 400 || (code == CURLE_OK && t->answer.status >= 300))
		return refused(t, e);
	if (code == CURLE_OK && !t->hops && check_linked(t, e))
		return e->code;
	if (have(t) == upto(t) && (code == CURLE_OK || t->body == BODY_TAKE))
		return whole(t, e);
	if (code == CURLE_OK || net_code_transient(code) || code == CURLE_WRITE_ERROR) {
		err_set(&why, ERR_UNREACHABLE, "'%s': the transfer broke off at byte %llu of %llu: %s", t->file->path, (unsigned long long)have(t),
			(unsigned long long)t->file->size_bytes, code == CURLE_OK ? "the connection was closed" : *t->curl_error ? t->curl_error : curl_easy_strerror(code));
		return again(t, &why, e);
	}
	return hub_unreachable(t->loop->f->hub, t->file->path, t->url, code, t->curl_error, e);
}

/* A stream that has all its bytes: published or wrong? */
int transfer_drained(struct transfer *t, struct err *e)
{
	const struct fetch_file *f = t->file;
	struct err why = ERR_NONE;
	struct digest sha256;
	int rc;

	if (!stream_ended(t->large->stream, &sha256, &rc, &why))
		return 0;
	if (rc == ERR_MISMATCH)
		return wrong_bytes(t, &why, e);
	t->state = ENDED;
	if (rc) {
		*e = why;
		return rc;
	}
	t->file->id = sha256;
	return t->loop->f->stored(t->loop->f->arg, &f, 1, e);
}

/* Another job is at this content: has it brought it by now, or given up? */
static int look_elsewhere(struct transfer *t, struct err *e)
{
	const struct fetch_file *f = t->file;
	int rc = f->id.algo == DIGEST_SHA256 ? store_has(t->loop->f->store, &f->id, f->size_bytes, e) : 0;

	if (rc < 0)
		return rc;
	if (!rc)
		return open_and_ask(t, e);
	t->loop->done_bytes += f->size_bytes;
	t->state = ENDED;
	return t->loop->f->stored(t->loop->f->arg, &f, 1, e);
}

int transfer_retry(struct transfer *t, struct err *e)
{
	if (t->elsewhere)
		return look_elsewhere(t, e);
	if (t->keep_url)
		return ask(t, e);
	if (t->large && !t->lane.open)
		return first_lane(t, e);
	return have(t) == upto(t) ? whole(t, e) : resolve(t, e);
}
