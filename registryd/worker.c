/* worker.c - see worker.h. The table of job kinds, the threads that run them, and the clock that reports their progress. */
#include "registryd/worker.h"

#include <stdarg.h>

#include <malloc.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/bundle.h"
#include "registryd/clock.h"
#include "registryd/derive.h"
#include "registryd/housekeep.h"
#include "registryd/hubs.h"
#include "registryd/import.h"
#include "registryd/job_end.h"
#include "registryd/mirror.h"
#include "registryd/recheck.h"
#include "registryd/room.h"
#include "registryd/rules.h"
#include "registryd/smoke.h"
#include "registryd/sync.h"
#include "registryd/turns.h"
#include "registryd/work.h"

#define THREADS_MAX	 64
#define IDLE_WAIT_MS	 1000	/* the longest sleep without a look at the queue */
#define TICK_MS		 250
#define FAILURES_LOGGED	 100	/* of one job that goes on without what failed */
#define RECORD_WAIT_MS	 500	/* between two tries to write down what became of a job */
#define WAIT_DEFAULT_S	 60
#define SWEEP_WAIT_S	 5
#define UPSTREAM_WAIT_S	 300	/* before the second try of a scheduled job; as much more before each further one */
#define UPSTREAM_TRIES	 20

enum store_use { STORE_IDLE, STORE_USED, STORE_SWEPT };

static const struct {
	const char *kind;
	int (*run)(struct work *w, struct err *e);
	enum store_use store;
} kinds[] = {
	{ "sync", sync_job, STORE_USED },
	{ "plan", sync_plan_job, STORE_IDLE },
	{ "smoke", recheck_smoke_job, STORE_USED },
	{ "verify", recheck_verify_job, STORE_USED },
	{ "mirror", mirror_job, STORE_IDLE },
	{ "import", import_job, STORE_USED },
	{ "bundle", bundle_job, STORE_USED },
	{ "gc", housekeep_gc_job, STORE_SWEPT },
	{ "rebuild", derive_rebuild_job, STORE_USED },
	{ "derive", derive_job, STORE_USED },
	{ "policy", rules_job, STORE_USED },
};
/* What may begin while a sweep waits for its turn. */
static const char *const beside_sweep[] = {
	"plan", "mirror",	/* they use nothing of the store */
	"gc",			/* it waits too */
	"policy",		/* what is forbidden goes off the doors now; it fetches nothing and is short, and the sweep tries again */
	NULL,
};

struct thread {
	struct worker *all;
	size_t n;		/* its place among them: the last retire first */
	pthread_t id;
	bool begun, ended;	/* to be joined; has retired */
	struct work *running;	/* NULL: none */
};

struct worker {
	struct daemon *d;
	struct pool pool;
	struct hubs hubs;
	struct turns turns;
	pthread_mutex_t lock;		/* for all below */
	struct thread threads[THREADS_MAX];
	pthread_t ticker, recheck;
	atomic_bool stop;
	bool recovered;			/* the jobs of the daemon before are queued again; until then none runs */
	const struct config *followed;	/* the settings that the ticker has seen last */
};

/* ---- what a job may ask ---------------------------------------------------------------------------------------- */

void work_phase(struct work *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&w->lock);
	vsnprintf(w->phase, sizeof(w->phase), fmt, ap);
	str_mend_utf8(w->phase);
	pthread_mutex_unlock(&w->lock);
	va_end(ap);
}

void work_totals(struct work *w, uint64_t bytes, uint64_t files)
{
	pthread_mutex_lock(&w->lock);
	w->bytes_total = bytes;
	w->files_total = files;
	pthread_mutex_unlock(&w->lock);
}

void work_done(struct work *w, uint64_t bytes, uint64_t files)
{
	pthread_mutex_lock(&w->lock);
	w->bytes_done = bytes;
	w->files_done = files;
	pthread_mutex_unlock(&w->lock);
}

void work_file(struct work *w, json_t *file)
{
	if (!w->files.max) {
		store_spool(w->store, &w->files, WORK_FILES_MAX);
		spool_puts(&w->files, "[");
	}
	if (!file) {
		spool_puts(&w->files, "]");
		return;
	}
	if (w->files.n > 1)
		spool_puts(&w->files, ",");
	spool_json(&w->files, file);
}

int work_check(struct work *w, struct err *e)
{
	return atomic_load(&w->stop) ? err_set(e, ERR_CANCELED, "stopped") : 0;
}

int work_failed(struct work *w, struct work_failures *f, struct err *e)
{
	char quoted[LOG_QUOTE_MAX];

	if (e->code == ERR_CANCELED || e->code == ERR_NOSPACE || e->code == ERR_THROTTLED)
		return e->code;
	if (!f->n++)
		f->first = *e;
	if (f->n <= FAILURES_LOGGED)
		log_event(LOG_WARNING, "job.goes_on", "id=%lld kind=%s error=%s", (long long)w->job.id, w->job.kind, log_quote(quoted, e->msg));
	*e = (struct err)ERR_NONE;
	return 0;
}

int work_failures(const struct work_failures *f, struct err *e)
{
	if (!f->n)
		return 0;
	if (f->n == 1)
		*e = f->first;
	else
		err_set(e, f->first.code, "%.600s; and %lld more failures", f->first.msg, (long long)f->n - 1);
	return f->first.code;
}

/* ---- upstreams ------------------------------------------------------------------------------------------------- */

struct hub *work_hub(struct work *w, const char *name, struct err *e)
{
	struct hub *h = hubs_take(&w->worker->hubs, w->d, name, e);

	if (h)
		*vec_push(&w->hubs, &w->n_hubs, &w->cap_hubs) = h;
	return h;
}

static void leave_hubs(struct work *w)
{
	for (size_t i = 0; i < w->n_hubs; i++)
		hubs_give(&w->worker->hubs, w->hubs[i]);
	free(w->hubs);
}

/* Has the upstream that the job has asked got another token since, in its file or in the settings? */
static bool has_new_token(struct work *w)
{
	const struct hub *before = w->n_hubs ? w->hubs[w->n_hubs - 1] : NULL;
	const struct hub *now = before ? work_hub(w, before->config.name, NULL) : NULL;

	return now && now != before;
}

/* ---- one job --------------------------------------------------------------------------------------------------- */

static int run_with_store(struct work *w, size_t kind, struct err *e)
{
	struct turns *turns = &w->worker->turns;
	int rc = 0;

	if (kinds[kind].store == STORE_USED) {
		turns_use(turns);
	} else if (kinds[kind].store == STORE_SWEPT && (rc = turns_sweep(turns, w->job.id, e))) {
		w->wait_s = SWEEP_WAIT_S;
		return rc;
	}
	rc = kinds[kind].run(w, e);
	if (kinds[kind].store == STORE_USED)
		turns_used(turns, w->db);
	else if (kinds[kind].store == STORE_SWEPT)
		turns_swept(turns, w->job.id);
	return rc;
}

static int run_kind(struct work *w, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].kind, w->job.kind))
			return run_with_store(w, i, e);
	return err_set(e, ERR_UNSUPPORTED, "this program knows no job of kind '%s'", w->job.kind);
}

static void report(struct work *w)
{
	char phase[WORK_PHASE_MAX];
	uint64_t bd, bt, fd, ft;

	pthread_mutex_lock(&w->lock);
	bd = w->bytes_done, bt = w->bytes_total, fd = w->files_done, ft = w->files_total;
	memcpy(phase, w->phase, sizeof(phase));
	pthread_mutex_unlock(&w->lock);
	if (job_progress(w->db, w->job.id, bd, bt, fd, ft, phase)) {
		atomic_store(&w->canceled, true);
		atomic_store(&w->stop, true);
	}
}

static void log_end(const struct work *w, int rc, const struct err *e)
{
	char quoted[LOG_QUOTE_MAX];

	if (rc)
		log_event(LOG_WARNING, "job.failed", "id=%lld kind=%s repo=%s error=%s", (long long)w->job.id, w->job.kind, w->job.repo, log_quote(quoted, e->msg));
	else
		log_event(LOG_INFO, "job.done", "id=%lld kind=%s repo=%s", (long long)w->job.id, w->job.kind, w->job.repo);
}

static int64_t wait_seconds(const struct work *w)
{
	return w->wait_s <= 0 ? WAIT_DEFAULT_S : w->wait_s > JOB_WAIT_MAX_S ? JOB_WAIT_MAX_S : w->wait_s;
}

/* Nobody is there to start a scheduled job again when its upstream could not be reached: it waits, longer each time. */
static bool waits_for_upstream(struct work *w, int rc)
{
	if (rc != ERR_UNREACHABLE || strcmp(w->job.who, "schedule") || w->job.attempts > UPSTREAM_TRIES)
		return false;
	w->wait_s = (int64_t)UPSTREAM_WAIT_S * w->job.attempts;
	return true;
}

static int record(struct work *w, int rc, bool waits, const struct err *why, const char *result, struct err *e)
{
	int64_t now = work_now();

	if (waits)
		return job_wait_until(w->db, w->job.id, now + wait_seconds(w), rc == ERR_UNREACHABLE, why->msg, now, e);
	return rc ? job_fail(w->db, w->job.id, why, now, e) : job_finish(w->db, w->job.id, result, w->files.max ? &w->files : NULL, now, e);
}

/* May writing down what became of a job succeed later: is it the disk that is full, read-only or failing, or too many files that are open? */
static bool passes(int rc)
{
	return rc == ERR_FAILED || rc == ERR_NOSPACE || rc == ERR_BUSY;
}

static void show_stuck(struct work *w, int rc, const struct err *why, const struct err *e)
{
	if (rc)
		work_phase(w, "%s; this can't be written down yet: %s", why->msg, e->msg);
	else
		work_phase(w, "it has ended, which can't be written down yet: %s", e->msg);
	report(w);
	job_stuck(w->db, w->job.id);
}

/*
 * Writes down what became of the job, as soon as the disk lets it: else it would seem to run until the next start. A stopping daemon leaves it running: the next start
 * queues it again.
 */
static int settle(struct work *w, int rc, struct err *why, struct err *e)
{
	own(mem) char *result = w->result ? json_text(w->result) : NULL;
	bool waits = rc == ERR_NOSPACE || rc == ERR_THROTTLED || waits_for_upstream(w, rc);
	char quoted[LOG_QUOTE_MAX];
	int wrote;

	report(w);
	if (rc == ERR_CANCELED && !atomic_load(&w->canceled))
		return 0;
	if (waits)
		log_event(LOG_WARNING, "job.waits", "id=%lld kind=%s repo=%s why=%s", (long long)w->job.id, w->job.kind, w->job.repo, log_quote(quoted, why->msg));
	else
		log_end(w, rc, why);
	wrote = record(w, rc, waits, why, result, e);
	if (wrote && passes(wrote)) {
		log_event(LOG_ERR, "job.unrecorded", "id=%lld error=%s", (long long)w->job.id, log_quote(quoted, e->msg));
		show_stuck(w, rc, why, e);
	}
	while (wrote && passes(wrote) && !atomic_load(&w->worker->stop)) {
		nanosleep(&(struct timespec){ .tv_nsec = RECORD_WAIT_MS * 1000000L }, NULL);
		*e = (struct err)ERR_NONE;
		wrote = record(w, rc, waits, why, result, e);
	}
	if (!wrote)
		job_end_note(w->d, w->job.id);	/* it may have been canceled when it was about to wait */
	return wrote;
}

static void run_job(struct work *w)
{
	struct err why = ERR_NONE, e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];
	int rc;

	w->args = json_parse(w->job.args, strlen(w->job.args), "the job's arguments", &why);
	rc = w->args ? run_kind(w, &why) : ERR_INPUT;
	if (rc == ERR_AUTH && has_new_token(w)) {	/* replaced while the job ran: once more, from what is here by now */
		log_event(LOG_NOTICE, "job.new_token", "id=%lld upstream=%s", (long long)w->job.id, w->hubs[w->n_hubs - 1]->config.name);
		json_decref(take(w->result));
		spool_done(&w->files);
		why = (struct err)ERR_NONE;
		rc = run_kind(w, &why);
	}
	if (!rc && w->files.max && spool_end(&w->files, &why))
		rc = err_wrap(&why, "the files of the result");
	if (settle(w, rc, &why, &e))
		log_event(LOG_ERR, "job.lost", "id=%lld error=%s", (long long)w->job.id, log_quote(quoted, e.msg));
	json_decref(w->args);
	json_decref(w->result);
	spool_done(&w->files);
	leave_hubs(w);
}

/* ---- the threads ----------------------------------------------------------------------------------------------- */

static void show(struct thread *t, struct work *w)
{
	pthread_mutex_lock(&t->all->lock);
	t->running = w;
	if (w && atomic_load(&t->all->stop))
		atomic_store(&w->stop, true);
	pthread_mutex_unlock(&t->all->lock);
}

/* Claims and runs one job; false when there was none, *next_at says when there may be. */
static bool one_job(struct thread *t, int64_t *next_at)
{
	struct worker *all = t->all;
	own(arena) struct arena a;
	struct work w = { .d = all->d, .worker = all, .db = all->d->db, .store = all->d->store, .pool = &all->pool, .arena = &a };
	struct err e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];
	int rc;

	arena_init(&a);
	rc = job_claim(w.db, turns_held(&all->turns, w.db, &a) ? beside_sweep : NULL, work_now(), &a, &w.job, next_at, &e);
	if (rc) {
		if (rc != ERR_NOT_FOUND)
			log_event(LOG_ERR, "job.claim", "error=%s", log_quote(quoted, e.msg));
		return false;
	}
	w.config = daemon_config(all->d);
	w.policy = daemon_policy(all->d);
	pthread_mutex_init(&w.lock, NULL);
	show(t, &w);
	run_job(&w);
	show(t, NULL);
	pthread_mutex_destroy(&w.lock);
	arena_done(&a);
	malloc_trim(0);	/* a listing of 100,000 files leaves a lot of memory that nobody needs now */
	return true;
}

static size_t threads_wanted(struct daemon *d)
{
	int64_t n = daemon_config(d)->sync.jobs;

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (size_t)n;
}

/* The settings are read under the lock: whoever begins threads after a reload sees who has retired by the former ones. */
static bool retires(struct thread *t)
{
	pthread_mutex_lock(&t->all->lock);
	t->ended = t->n >= threads_wanted(t->all->d);
	pthread_mutex_unlock(&t->all->lock);
	return t->ended;
}

static void *work_loop(void *arg)
{
	struct thread *t = arg;
	struct worker *all = t->all;
	uint64_t seen = 0;

	while (!atomic_load(&all->stop) && !retires(t)) {
		int64_t next_at = 0;

		db_wait_change(all->d->db, &seen, 0);
		if (!one_job(t, &next_at) && !atomic_load(&all->stop))
			db_wait_change(all->d->db, &seen, IDLE_WAIT_MS);
	}
	return NULL;
}

/* As many as the settings say. The first has to be. */
static void begin_threads(struct worker *all)
{
	size_t wanted = threads_wanted(all->d);

	for (size_t i = 0; i < wanted; i++) {
		struct thread *t = &all->threads[i];
		bool works;

		pthread_mutex_lock(&all->lock);
		works = t->begun && !t->ended;
		t->ended = false;
		pthread_mutex_unlock(&all->lock);
		if (works)
			continue;
		if (t->begun)
			pthread_join(t->id, NULL);
		t->begun = !pthread_create(&t->id, NULL, work_loop, t);
		if (!t->begun && !i)
			abort();
		if (!t->begun) {
			log_event(LOG_ERR, "worker.no_thread", "jobs=%zu wanted=%zu effect=\"so many run at once until the settings are read again\"", i, wanted);
			return;
		}
	}
}

/* May what made jobs wait be otherwise now? */
static bool may_go_on(const struct config *old, const struct config *new)
{
	bool changed = new->sync.keep_free != old->sync.keep_free;

	for (size_t i = 0; i < new->n_upstreams && !changed; i++) {
		const struct config_upstream *u = &new->upstreams[i], *o = config_find_upstream(old, u->name);

		changed = o && (o->window.from != u->window.from || o->window.to != u->window.to);
	}
	return changed;
}

static void follow_settings(struct worker *all)
{
	const struct config *c = daemon_config(all->d);
	struct err e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];

	if (all->followed == c)
		return;
	begin_threads(all);
	hubs_follow(&all->hubs, c);
	if (may_go_on(all->followed, c) && job_wake(all->d->db, 0, &e))
		log_event(LOG_ERR, "job.wake", "error=%s", log_quote(quoted, e.msg));
	all->followed = c;
}

/* One that has not come to wait yet is told at the next tick. */
static bool is_running(struct worker *all, int64_t job)
{
	bool running = false;

	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < THREADS_MAX; i++)
		running |= all->threads[i].running && all->threads[i].running->job.id == job;
	pthread_mutex_unlock(&all->lock);
	return running;
}

static void wake_for_room(struct worker *all)
{
	int64_t later[THREADS_MAX], job;
	char quoted[LOG_QUOTE_MAX];
	size_t n = 0;

	while (n < THREADS_MAX && (job = room_due(all->d->room))) {
		struct err e = ERR_NONE;

		if (is_running(all, job))
			later[n++] = job;
		else if (job_wake(all->d->db, job, &e))
			log_event(LOG_ERR, "job.wake", "error=%s", log_quote(quoted, e.msg));
	}
	while (n)
		room_wait(all->d->room, later[--n]);
}

/* The jobs of the daemon before go on. Settings may have changed, or room been made, while none ran. */
static int recover(struct worker *all, struct err *e)
{
	own(arena) struct arena a = { 0 };
	struct job *left;
	size_t n = 0;
	int rc = job_list(all->d->db, &(struct job_filter){ .active_only = true, .limit = THREADS_MAX }, &a, &left, &n, e);

	if (!rc)
		rc = job_recover(all->d->db, NULL, e);
	for (size_t i = 0; i < n && !rc; i++)
		if (left[i].state == JOB_RUNNING)
			job_end_note(all->d, left[i].id);
	if (!rc)
		rc = job_wake(all->d->db, 0, e);
	if (!rc)
		rc = rules_catch_up(all->d, e);
	all->recovered = !rc;
	if (!rc)
		begin_threads(all);
	return rc;
}

/* Reports progress, learns of cancellations, and lets the clock do what is due. */
static void *tick_loop(void *arg)
{
	struct worker *all = arg;
	struct clock clock = { 0 };

	while (net_sleep(TICK_MS, &all->stop)) {
		if (!all->recovered && recover(all, NULL))
			continue;
		follow_settings(all);
		pthread_mutex_lock(&all->lock);
		for (size_t i = 0; i < THREADS_MAX; i++)
			if (all->threads[i].running)
				report(all->threads[i].running);
		pthread_mutex_unlock(&all->lock);
		wake_for_room(all);
		clock_tick(&clock, all->d, work_now());
	}
	return NULL;
}

/* A new driver makes verdicts old. A thread of its own: asking a driver takes its time. */
static void *recheck_loop(void *arg)
{
	struct worker *all = arg;

	do {
		char quoted[LOG_QUOTE_MAX];
		struct err e = ERR_NONE;
		size_t n = 0;

		if (recheck_queue_due(all->d, work_now(), &n, &e))
			log_event(LOG_WARNING, "smoke.platform", "error=%s", log_quote(quoted, e.msg));
		if (n)
			log_event(LOG_NOTICE, "smoke.platform_changed", "queued=%zu", n);
	} while (net_sleep(RECHECK_EVERY_MS, &all->stop));
	return NULL;
}

static void worker_free(struct worker *all)
{
	hubs_done(&all->hubs);
	pool_done(&all->pool);
	turns_done(&all->turns);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

int worker_start(struct worker **out, struct daemon *d, struct err *e)
{
	struct worker *all = mem_zalloc(sizeof(*all));
	const struct config *c = daemon_config(d);
	char quoted[LOG_QUOTE_MAX];
	int rc;

	net_init();
	smoke_view_clean(d->store);
	all->d = d;
	pool_init(&all->pool, c->sync.buffers);
	hubs_init(&all->hubs);
	turns_init(&all->turns);
	pthread_mutex_init(&all->lock, NULL);
	for (size_t i = 0; i < THREADS_MAX; i++)
		all->threads[i] = (struct thread){ .all = all, .n = i };
	all->followed = c;
	rc = recover(all, e);
	if (rc && rc != ERR_NOSPACE) {
		worker_free(all);
		return rc;
	}
	if (rc)
		log_event(LOG_ERR, "worker.no_room", "error=%s effect=\"no job runs until there is room\"", log_quote(quoted, e->msg));
	*e = (struct err)ERR_NONE;
	if (pthread_create(&all->ticker, NULL, tick_loop, all) || pthread_create(&all->recheck, NULL, recheck_loop, all))
		abort();
	*out = all;
	return 0;
}

void worker_stop(struct worker *all)
{
	if (!all)
		return;
	atomic_store(&all->stop, true);
	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < THREADS_MAX; i++)
		if (all->threads[i].running)
			atomic_store(&all->threads[i].running->stop, true);
	pthread_mutex_unlock(&all->lock);
	db_wake(all->d->db);
	pthread_join(all->ticker, NULL);	/* it begins threads */
	for (size_t i = 0; i < THREADS_MAX; i++)
		if (all->threads[i].begun)
			pthread_join(all->threads[i].id, NULL);
	pthread_join(all->recheck, NULL);
	worker_free(all);
}
