/* smoke_child.c - the process side of smoke.h: the directory it may see, starting, reading, ending it. What it said is smoke.c's. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/net.h"
#include "registryd/smoke.h"

#define SMOKE_PROGRAM  "registryd-smoke"
#define SMOKE_ARGS_MAX 32
#define POLL_MS	       100

void smoke_child_done(struct smoke_child *c)
{
	json_decref(c->report);
	free(c->text);
	memset(c, 0, sizeof(*c));
}

/* ---- the view ------------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static void remove_tree(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void smoke_view_close(const char *dir)
{
	if (dir)
		remove_tree(dir);
}

void smoke_view_clean(struct store *st)
{
	own(mem) char *dir = NULL;

	if (asprintf(&dir, "%s/work", store_data_dir(st)) < 0)
		abort();
	remove_tree(dir);
}

/* A second name for a blob: no copy, and the child can neither write to it nor see the store. */
static int link_one(struct work *w, const char *dir, const struct model_file *f, struct err *e)
{
	own(fd) int fd = store_open_blob(w->store, &f->sha256, NULL, e);
	own(mem) char *path = NULL;
	char from[64], *slash;

	if (fd < 0)
		return fd;
	if (asprintf(&path, "%s/%s", dir, f->path) < 0)
		abort();
	slash = strrchr(path, '/');
	*slash = 0;
	if (fdio_mkdirs(path, 0700, e))
		return e->code;
	*slash = '/';
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return err_errno(e, "show '%s' to the inspector", f->path);
	return 0;
}

int smoke_view_open(struct work *w, const struct model_file *files, size_t n, char **dir, struct err *e)
{
	own(mem) char *path = NULL;
	int rc;

	if (asprintf(&path, "%s/work/%lld", store_data_dir(w->store), (long long)w->job.id) < 0)
		abort();
	remove_tree(path);
	rc = fdio_mkdirs(path, 0700, e);
	for (size_t i = 0; !rc && i < n; i++)
		if (files[i].stored)
			rc = link_one(w, path, &files[i], e);
	if (rc) {
		remove_tree(path);
		return rc;
	}
	*dir = take(path);
	return 0;
}

/* ---- the process ---------------------------------------------------------------------------------------------- */

/* As configured, or $REGISTRYD_SMOKE, or beside this program. */
static char *program(struct work *w)
{
	const char *set = w->config->smoke.program ? w->config->smoke.program : getenv("REGISTRYD_SMOKE");
	char self[4096], *slash, *path;
	ssize_t n;

	if (set && *set)
		return mem_strdup(set);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return mem_strdup(SMOKE_PROGRAM);
	self[n] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	if (asprintf(&path, "%s/%s", self, SMOKE_PROGRAM) < 0)
		abort();
	return path;
}

static int start(const char *path, char *const argv[], int out, int errors, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	int rc;

	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	sigaddset(&usual, SIGXFSZ);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, errors, 2);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid, path, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* Reads what is there; false at the end of the stream. Past the ceiling it is read and dropped for stderr, an end for stdout. */
static bool drain(int fd, struct buf *b, bool cut)
{
	char chunk[65536];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (!n)
		return false;
	return !buf_add(b, chunk, (size_t)n) || cut;
}

/* Until both streams end, the time is up or the job is stopped. */
static void listen_to(struct work *w, int out, int errors, struct buf *text, struct buf *said, int64_t until_ms, bool *timed_out)
{
	struct pollfd p[2] = { { .fd = out, .events = POLLIN }, { .fd = errors, .events = POLLIN } };

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (atomic_load(&w->stop))
			return;
		if (net_now_ms() > until_ms) {
			*timed_out = true;
			return;
		}
		if (poll(p, 2, POLL_MS) <= 0)
			continue;
		if (p[0].revents && !drain(out, text, false))
			p[0].fd = -1;
		if (p[1].revents && !drain(errors, said, true))
			p[1].fd = -1;
		if (buf_failed(text))
			return;
	}
}

/* Waits for the child until the same moment, then ends it and its group. */
static int reap(struct work *w, pid_t pid, int64_t until_ms, bool *timed_out)
{
	int status = 0;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (atomic_load(&w->stop) || *timed_out || net_now_ms() > until_ms) {
			*timed_out |= !atomic_load(&w->stop);
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		net_sleep(5, NULL);
	}
	kill(-pid, SIGKILL);	/* whatever it started */
	return status;
}

static const char *last_line(struct buf *said)
{
	char *line;

	while (said->len && (said->data[said->len - 1] == '\n' || said->data[said->len - 1] == ' '))
		said->data[--said->len] = 0;
	line = strrchr(said->data, '\n');
	return str_printable(line ? line + 1 : said->data);
}

static void judge(struct smoke_child *c, struct buf *text, struct buf *said, int status, int64_t limit_s)
{
	struct err e = ERR_NONE;

	c->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (buf_failed(text)) {
		snprintf(c->problem, sizeof(c->problem), "its report is longer than %u bytes", SMOKE_OUTPUT_MAX);
	} else if (c->timed_out) {
		snprintf(c->problem, sizeof(c->problem), "it was stopped after %lld s", (long long)limit_s);
	} else if (c->signal) {
		snprintf(c->problem, sizeof(c->problem), "it was stopped by signal %d (%s)%s%.300s", c->signal, strsignal(c->signal), said->len ? " after saying: " : "", last_line(said));
	} else {
		c->report = json_parse(text->data, text->len, "its report", &e);
		if (!json_is_object(c->report)) {
			json_decref(take(c->report));
			snprintf(c->problem, sizeof(c->problem), "it ended with status %d and no report%s%.300s", c->exit_status, said->len ? ": " : "", last_line(said));
		}
	}
	if (c->report)
		c->text = buf_take(text);
}

int smoke_run(struct work *w, const char *const *args, struct smoke_child *c, struct err *e)
{
	int64_t limit_s = w->config->smoke.timeout_s > 0 ? w->config->smoke.timeout_s : SMOKE_TIMEOUT_S, until_ms = net_now_ms() + limit_s * 1000;
	own(mem) char *path = program(w);
	char *argv[SMOKE_ARGS_MAX + 2] = { path };
	own(buf) struct buf text;
	own(buf) struct buf said;
	int out[2], errors[2], rc, status;
	pid_t pid;

	memset(c, 0, sizeof(*c));
	c->exit_status = -1;
	buf_init(&text, SMOKE_OUTPUT_MAX);
	buf_init(&said, SMOKE_STDERR_MAX);
	for (size_t i = 0; args[i] && i < SMOKE_ARGS_MAX; i++)
		argv[i + 1] = (char *)args[i];
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_errno(e, "start %s", path);
	if (pipe2(errors, O_CLOEXEC) < 0) {
		close(out[0]);
		close(out[1]);
		return err_errno(e, "start %s", path);
	}
	rc = start(path, argv, out[1], errors[1], &pid);
	close(out[1]);
	close(errors[1]);
	if (rc) {
		snprintf(c->problem, sizeof(c->problem), "%s can't be started: %s", path, strerrordesc_np(rc));
	} else {
		listen_to(w, out[0], errors[0], &text, &said, until_ms, &c->timed_out);
		close(out[0]);	/* a child that goes on writing is told so */
		out[0] = -1;
		status = reap(w, pid, until_ms, &c->timed_out);
		judge(c, &text, &said, status, limit_s);
	}
	if (out[0] >= 0)
		close(out[0]);
	close(errors[0]);
	return atomic_load(&w->stop) ? err_set(e, ERR_CANCELED, "stopped") : 0;
}
