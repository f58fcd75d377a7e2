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

/* ---- small files: checked in memory, flushed in groups --------------------------------------------------------- */

static int commit_group(struct loop *l, struct err *e)
{
	int rc;

	if (!l->n_group)
		return 0;
	rc = store_publish_batch(l->f->store, l->group, l->n_group, e);
	if (!rc)
		rc = l->f->stored(l->f->arg, (const struct fetch_file *const *)l->group_files, l->n_group, e);
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
	l->group[l->n_group++] = (struct store_item){ .fd = fd, .size_bytes = n, .sha256 = f->id };
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

int fetch_take_small(struct loop *l, struct fetch_file *f, const void *p, size_t n, bool last_try, struct err *e)
{
	char want[DIGEST_HEX_MAX], got[DIGEST_HEX_MAX];
	struct digest sha256, git;
	bool by_git = f->id.algo == DIGEST_SHA1;

	digest_of(&sha256, DIGEST_SHA256, p, n);
	git_object_id(&git, GIT_BLOB, p, n);
	if (digest_equal(by_git ? &git : &sha256, &f->id)) {
		f->id = sha256;
		return add_to_group(l, f, p, n, e);
	}
	digest_hex(want, &f->id);
	digest_hex(got, by_git ? &git : &sha256);
	err_set(e, ERR_MISMATCH, "%s mismatch in '%s': the listing says %.16s…, the bytes that came are %.16s…", by_git ? "git object id" : "sha256", f->path, want, got);
	return last_try ? keep_wrong(l, p, n, &sha256, e) : ERR_MISMATCH;
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
		rc = transfer_exchanged(t, code, e);
		if (rc)
			return rc;
	}
	return 0;
}

int fetch_too_long(struct loop *l, const char *url, int64_t ms, struct err *e)
{
	char origin[300];

	net_origin(origin, sizeof(origin), url);
	l->f->wait_s = ms / 1000;
	return err_set(e, ERR_THROTTLED, "%s asks to wait %lld s before the next file", origin, (long long)ms / 1000);
}

/* Small files count as they come; one that is tried again does not count twice. */
static void count(struct loop *l, struct transfer *t)
{
	if (t->large || t->small.len <= t->counted)
		return;
	l->done_bytes += t->small.len - t->counted;
	t->counted = t->small.len;
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
			rc = transfer_drained(t, e);
		if (!rc && t->state == WAITING && t->retry_ms <= now)
			rc = transfer_retry(t, e);
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
			transfer_end(t);
			*wait_ms = more(l) ? 0 : *wait_ms;	/* its place is free for another */
		}
	}
	return rc;
}

/* From here the first file to fetch that is of this kind. */
static size_t next_of(const struct fetch *f, size_t i, bool small)
{
	while (i < f->n_files && (f->files[i].same || is_small(&f->files[i]) != small))
		i++;
	return i;
}

static void look_ahead(struct loop *l)
{
	l->next_large = next_of(l->f, l->next_large, false);
	l->next_small = next_of(l->f, l->next_small, true);
}

static bool large_can_start(const struct loop *l)
{
	return l->next_large < l->f->n_files && (!l->f->max_large || l->large < l->f->max_large);
}

static bool small_can_start(const struct loop *l)
{
	return l->next_small < l->f->n_files && (!l->small_bytes || l->small_bytes + l->f->files[l->next_small].size_bytes <= FETCH_SMALL_TOTAL_BYTES);
}

bool fetch_can_start(const struct loop *l)
{
	return large_can_start(l) || small_can_start(l);
}

/* The next file that may start: large ones as long as their number allows, else small ones as long as their memory does. NULL: none now. */
static struct fetch_file *next_file(struct loop *l)
{
	struct fetch_file *f = large_can_start(l) ? &l->f->files[l->next_large++] : small_can_start(l) ? &l->f->files[l->next_small++] : NULL;

	look_ahead(l);
	return f;
}

static int start_one(struct loop *l, struct transfer *t, struct fetch_file *f, struct err *e)
{
	if (!f->size_bytes) {	/* nothing to fetch; its id is checked all the same */
		hub_learn(l->f->hub, HUB_RESOLVE, NULL);
		hub_leave(l->f->hub);
		return fetch_take_small(l, f, "", 0, true, e);
	}
	return transfer_begin(l, t, f, e);
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
		pace = hub_spend(l->f->hub, 0);	/* what ended transfers have taken beyond the cap nobody else waits for */
		if (pace > 0) {
			*wait_ms = pace < *wait_ms ? (int)pace : *wait_ms;
			return 0;
		}
		if (!hub_enter(l->f->hub)) {
			hub_crowd(l->f->hub);	/* another job holds the connections */
			*wait_ms = *wait_ms < 50 ? *wait_ms : 50;
			return 0;
		}
		pace = hub_pace(l->f->hub, HUB_RESOLVE);
		if (pace > 0) {
			hub_leave(l->f->hub);
			if (pace < *wait_ms)
				*wait_ms = (int)pace;
			if (pace <= NET_WAIT_MAX_S * 1000)
				return 0;
			return fetch_too_long(l, l->f->hub->config.endpoint, pace, e);
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

static void wait_for_network(struct loop *l, int ms)
{
	int64_t began = net_now_ms();

	curl_multi_poll(l->multi, NULL, 0, ms, NULL);
	l->split.idle_ms += net_now_ms() - began;
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
		rc = split_step(l, e);
	if (!rc)
		rc = step_transfers(l, &wait_ms, e);
	if (!rc && l->n_group && net_now_ms() - l->group_since_ms >= FETCH_GROUP_MS)
		rc = commit_group(l, e);
	if (!rc && busy(l))
		wait_for_network(l, wait_ms < PROGRESS_MS ? wait_ms : PROGRESS_MS);
	return rc;
}

static void loop_close(struct loop *l)
{
	for (size_t i = 0; i < l->n_places; i++)
		if (l->places[i].state != IDLE)
			transfer_end(&l->places[i]);
	for (size_t i = 0; i < l->n_group; i++)
		close(l->group[i].fd);
	curl_multi_cleanup(l->multi);
	free(l->places);
}

int fetch_files(struct fetch *f, struct err *e)
{
	struct loop l = { .f = f, .multi = curl_multi_init(), .n_places = (size_t)hub_connections(f->hub) };
	int rc = 0;

	if (!l.multi)
		abort();
	if (l.n_places > FETCH_PLACES_MAX)
		l.n_places = FETCH_PLACES_MAX;
	l.places = mem_zalloc(l.n_places * sizeof(*l.places));
	look_ahead(&l);
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
