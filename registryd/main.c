/* main.c - the daemon's life: read the settings, open store and catalog, serve, follow signals, stop. */
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/query.h"
#include "catalog/usage.h"
#include "registryd/api_hub.h"
#include "registryd/api_oci.h"
#include "registryd/api_ops.h"
#include "registryd/api_v1.h"
#include "registryd/auth.h"
#include "registryd/daemon.h"
#include "registryd/http.h"
#include "registryd/metrics.h"
#include "registryd/net.h"
#include "registryd/notify.h"
#include "registryd/page.h"
#include "registryd/quota.h"
#include "registryd/room.h"
#include "registryd/rules.h"
#include "registryd/webhook.h"
#include "registryd/worker.h"

static const char usage[] =
	"usage: registryd [--config FILE] [--data DIR] [--listen ADDR:PORT] [--check-config] [--print-config] [--version]\n"
	"Mirrors models from a Hub, tests them and serves them. registryd(8) says more.\n";

#define HEAPS	      2			/* of malloc */
#define LARGE_BLOCK_BYTES (1 << 20)	/* from there on a block is the system's */
#define INDEX_LOOK_MS 1000	/* how often it is asked whether the posting index should be loaded anew */

enum action { SERVE, CHECK_CONFIG, PRINT_CONFIG, PRINT_VERSION, PRINT_HELP };

struct invocation {
	enum action action;
	const char *config_path;	/* NULL: the embedded default */
	struct config_override override;
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },	 { "data", required_argument, NULL, 'd' },	   { "listen", required_argument, NULL, 'l' },
	{ "check-config", no_argument, NULL, CHECK_CONFIG }, { "print-config", no_argument, NULL, PRINT_CONFIG }, { "version", no_argument, NULL, PRINT_VERSION },
	{ "help", no_argument, NULL, PRINT_HELP },	 { 0 },
};

static int unknown_option(const char *text, struct err *e)
{
	const char *names[ARRAY_LEN(long_options)], *near;
	size_t n = 0, len = strcspn(text, "=");
	own(mem) char *name = strndup(text, len);

	for (const struct option *o = long_options; o->name; o++)
		names[n++] = o->name;
	for (size_t i = 0; i < n; i++)
		if (str_starts(name, "--") && !strcmp(name + 2, names[i]))
			return err_set(e, ERR_USAGE, "%s %s", name, long_options[i].has_arg ? "needs a value" : "takes no value");
	near = str_starts(name, "--") ? str_nearest(name + 2, names, n) : NULL;
	if (near)
		return err_set(e, ERR_USAGE, "unknown option %s; did you mean --%s?", name, near);
	return err_set(e, ERR_USAGE, "unknown option %s", name);
}

static int read_arguments(int argc, char **argv, struct invocation *v, struct err *e)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (c) {
		case 'c':
			v->config_path = optarg;
			break;
		case 'd':
			v->override.data = optarg;
			break;
		case 'l':
			v->override.listen = optarg;
			break;
		case '?':
			return unknown_option(argv[optind - 1], e);
		default:
			v->action = (enum action)c;
		}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "unexpected argument %s", argv[optind]);
	return 0;
}

/* --- settings ----------------------------------------------------------------------------------------------------------------------- */

/* All that were ever in use are kept until the end: see daemon.h. */
struct settings {
	struct config *config;
	struct settings *older;
};

static void settings_free(struct settings *s)
{
	while (s) {
		struct settings *older = s->older;

		config_free(s->config);
		free(s);
		s = older;
	}
}

/* The settings, first in the list, and the policy that they name. */
static int read_settings(const struct invocation *v, struct settings **list, struct policy **policy, struct err *e)
{
	struct settings *s = mem_zalloc(sizeof(*s));
	int rc = config_load(&s->config, v->config_path, &v->override, e);

	for (size_t i = 0; !rc && i < s->config->listen.n; i++)
		rc = http_check_listen(s->config->listen.items[i], e);
	if (!rc)
		rc = config_check_files(s->config, e);
	if (!rc)
		rc = policy_load(policy, s->config->policy, e);
	if (rc) {
		settings_free(s);
		return rc;
	}
	s->older = *list;
	*list = s;
	return 0;
}

static bool same_list(const struct config_list *a, const struct config_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]))
			return false;
	return true;
}

static void note_restart(const struct config *old, const struct config *new)
{
	const struct { const char *name; bool changed; } rows[] = {
		{ "data", strcmp(old->data, new->data) != 0 },
		{ "listen", !same_list(&old->listen, &new->listen) },
		{ "http", memcmp(&old->http, &new->http, sizeof(old->http)) != 0 },
		{ "sync.buffers", old->sync.buffers != new->sync.buffers },
		{ "catalog", memcmp(&old->catalog, &new->catalog, sizeof(old->catalog)) != 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].changed)
			log_event(LOG_WARNING, "config.needs_restart", "setting=%s", rows[i].name);
}

/* SIGHUP. Whoever works goes on with the settings that he took. A policy that must be asked about first is refused alone. */
static void reload(struct daemon *d, const struct invocation *v, struct settings **list)
{
	struct err e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];
	struct policy *policy;

	if (read_settings(v, list, &policy, &e)) {
		log_event(LOG_ERR, "config.refused", "error=%s effect=\"the old settings stay\"", log_quote(quoted, e.msg));
		return;
	}
	note_restart(daemon_config(d), (*list)->config);
	webhook_begin(d->db, (*list)->config);
	atomic_store(&d->config, (*list)->config);
	atomic_fetch_add(&d->reloads, 1);
	log_set_level(config_log_level((*list)->config));
	if (rules_adopt(d, policy, "settings", false, &e))
		log_event(LOG_WARNING, "policy.refused", "error=%s", log_quote(quoted, e.msg));
	log_event(LOG_NOTICE, "config.reloaded", "file=%s", v->config_path ? v->config_path : "embedded");
}

/* --- opening and closing ------------------------------------------------------------------------------------------------------------- */

static void raise_file_limit(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* policy is taken. */
static int open_data(struct daemon *d, struct policy *policy, struct err *e)
{
	const struct config *c = daemon_config(d);
	own(mem) char *path = NULL;
	int rc = store_open(&d->store, c->data, e);

	if (!rc && asprintf(&path, "%s/catalog.sqlite", c->data) < 0)
		abort();
	if (!rc)
		d->room = room_new(d->store);
	d->quota = quota_new();
	if (!rc)
		rc = db_open(&d->db, path, (unsigned)c->catalog.readers, e);
	if (rc)
		policy_free(policy);
	else
		rc = rules_open(d, policy, e);
	return rc ? rc : auth_first_token(d, c->data, d->started_at, e);
}

/* What answers rest on: the catalog's commits, and the settings. */
static uint64_t generation(void *app)
{
	struct daemon *d = app;
	uint64_t seen = UINT64_MAX;	/* never the number of commits: answers at once */

	db_wait_change(d->db, &seen, 0);
	return seen << 16 ^ atomic_load(&d->reloads);
}

static int open_http(struct daemon *d, struct err *e)
{
	static const struct http_route *const tables[] = { api_ops_routes, api_v1_routes, api_oci_routes, api_hub_routes, page_routes };
	const struct config *c = daemon_config(d);
	struct http_options o = {
		.listen = c->listen.items,
		.n_listen = c->listen.n,
		.threads = (unsigned)c->http.threads,
		.connections_max = (unsigned)c->http.connections,
		.idle_timeout_s = (unsigned)c->http.idle_timeout_s,
		.tables = tables,
		.n_tables = ARRAY_LEN(tables),
		.app = d,
		.authorize = auth_authorize,
		.generation = generation,
		.finished = metrics_finished,
		.error_page = page_error,
	};

	return http_open(&d->http, &o, e);
}

static bool load_index(struct daemon *d)
{
	struct err e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];

	if (query_index_load(d->db, daemon_config(d)->catalog.index_memory, &e)) {
		atomic_store(&d->index_loaded, false);
		log_event(LOG_WARNING, "catalog.no_index", "error=%s effect=\"queries are answered by SQLite\"", log_quote(quoted, e.msg));
		return false;
	}
	atomic_store(&d->index_loaded, true);
	return true;
}

/* At the start, and again whenever much has changed since; one that does not fit into its memory is not tried again. */
static void *keep_index(void *arg)
{
	struct daemon *d = arg;
	bool good = load_index(d);

	while (good && net_sleep(INDEX_LOOK_MS, &d->stopping))
		if (query_index_grown(d->db))
			good = load_index(d);
	return NULL;
}

static void flush_usage(struct daemon *d)
{
	struct err e = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];

	if (d->db && usage_flush(d->db, &e))
		log_event(LOG_ERR, "usage.not_written", "error=%s", log_quote(quoted, e.msg));
}

static void close_data(struct daemon *d)
{
	flush_usage(d);
	rules_close(d);
	db_close(d->db);
	room_free(d->room);
	quota_free(d->quota);
	store_close(d->store);
}

/* --- serving ------------------------------------------------------------------------------------------------------------------------- */

static void say_ready(struct daemon *d)
{
	const struct config *c = daemon_config(d);
	char status[300];

	for (size_t i = 0; i < c->listen.n; i++)
		log_event(LOG_NOTICE, "daemon.ready", "listen=%s port=%u data=%s version=%s", c->listen.items[i], http_port(d->http, i), c->data, REGISTRYD_VERSION);
	snprintf(status, sizeof(status), "serving %s at %s", c->data, c->listen.items[0]);
	notify_ready(status);
}

/*
 * Until SIGTERM or SIGINT. Signals are blocked in every thread and taken here, so no handler runs anywhere. The watchdog is told from here:
 * it sees a process that is stopped or starved, or a reload that hangs. Whether requests can be answered is for /-/ready to say.
 */
static void follow_signals(struct daemon *d, const struct invocation *v, struct settings **list, const sigset_t *signals)
{
	int64_t every = notify_watchdog_ms();
	struct timespec wait = { .tv_sec = every / 1000, .tv_nsec = every % 1000 * 1000000 };

	for (;;) {
		int sig = sigtimedwait(signals, NULL, every ? &wait : NULL);

		if (every)
			notify_alive();
		if (sig == SIGHUP) {
			notify_reloading();
			reload(d, v, list);
			notify_ready(NULL);
		} else if (sig > 0) {
			log_event(LOG_NOTICE, "daemon.stopping", "signal=%s", sigabbrev_np(sig));
			notify_stopping(daemon_config(d)->http.grace_s);
			return;
		}
	}
}

/*
 * glibc gives threads heaps of their own, up to eight a core, and what one thread frees another does not get: a job would leave its largest
 * moment behind in each thread that it went through. Threads seldom allocate at once here, and small things come from a cache of their own.
 * And it learns from each large block that is freed to take the next one from a heap, where it leaves a hole: lists of many files are to go back.
 */
static void share_heap(void)
{
	mallopt(M_ARENA_MAX, HEAPS);
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
	mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK_BYTES);
}

static void prepare_process(sigset_t *signals)
{
	share_heap();
	raise_file_limit();
	umask(027);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static int serve(const struct invocation *v, struct settings **list, struct policy *policy, struct err *e)
{
	struct daemon d = { .started_at = (int64_t)time(NULL) };
	struct worker *worker = NULL;
	struct webhook *webhook = NULL;
	sigset_t signals;
	pthread_t index;
	int rc;

	atomic_store(&d.config, (*list)->config);
	log_set_level(config_log_level((*list)->config));
	prepare_process(&signals);
	rc = open_data(&d, policy, e);
	if (!rc)
		rc = open_http(&d, e);
	if (!rc)
		rc = worker_start(&worker, &d, e);
	if (!rc)
		rc = webhook_start(&webhook, &d, e);
	if (!rc && pthread_create(&index, NULL, keep_index, &d))
		rc = err_set(e, ERR_FAILED, "no thread could be started");
	if (!rc) {
		say_ready(&d);
		follow_signals(&d, v, list, &signals);
	}
	atomic_store(&d.stopping, true);
	if (!rc)
		pthread_join(index, NULL);
	http_close(d.http, (unsigned)daemon_config(&d)->http.grace_s);
	worker_stop(worker);
	webhook_stop(webhook);
	close_data(&d);
	if (!rc)
		log_event(LOG_NOTICE, "daemon.stopped", "uptime_s=%lld", (long long)time(NULL) - (long long)d.started_at);
	return rc;
}

static int fail(const struct err *e)
{
	fprintf(stderr, "registryd: %s\n", e->msg);
	return err_exit_status(e->code);
}

/* To standard output, which may be a full disk. */
static int print(const char *text)
{
	struct err e;

	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return 0;
	err_errno(&e, "write to standard output");
	fail(&e);
	return 1;
}

static int act(const struct invocation *v, struct settings **list)
{
	struct policy *policy = NULL;
	struct err e = ERR_NONE;
	own(mem) char *text = NULL;

	if (v->action == PRINT_VERSION)
		return print("registryd " REGISTRYD_VERSION "\n");
	if (v->action == PRINT_HELP)
		return print(usage);
	if (read_settings(v, list, &policy, &e)) {
		fail(&e);
		return e.code == ERR_NOT_FOUND || e.code == ERR_INPUT ? 2 : err_exit_status(e.code);	/* a file that was named wrong is wrong usage */
	}
	if (v->action == SERVE)
		return serve(v, list, policy, &e) ? fail(&e) : 0;
	policy_free(policy);
	if (v->action == PRINT_CONFIG)
		text = config_show((*list)->config);
	else if (asprintf(&text, "%s: valid\n", v->config_path ? v->config_path : "the embedded default") < 0)
		abort();
	return print(text);
}

int main(int argc, char **argv)
{
	struct invocation v = { 0 };
	struct settings *list = NULL;
	struct err e = ERR_NONE;
	int status;

	if (read_arguments(argc, argv, &v, &e)) {
		fail(&e);
		fputs(usage, stderr);
		return 2;
	}
	status = act(&v, &list);
	settings_free(list);
	return status;
}
